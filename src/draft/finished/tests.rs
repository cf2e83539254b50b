//! The finished document: its shape, its frames, and what it refers to.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::*;
use crate::golden;

fn markers(empty: &Map<String, Value>) -> Markers<'_> {
    Markers {
        document_id: "DOC".to_owned(),
        name: "a draft",
        version: 360_000,
        new_version: "179.0.0",
        platform: empty,
        root_extra: empty,
        masks: &["common_mask"],
        video_check_flag: 62_978_047,
    }
}

fn finished(working: &Value) -> (Value, Vec<String>) {
    let empty = Map::new();
    let finished = finish(working, &markers(&empty), &HashMap::new());
    let mut written = Vec::new();
    finished.document.write(&mut written);
    (serde_json::from_slice(&written).unwrap(), finished.notes)
}

/// Every working document in a recording, however deep, as value or as text.
fn documents(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(object) => {
            if object.contains_key("tracks") && object.contains_key("materials") {
                found.push(value.clone());
            }
            object.values().for_each(|value| documents(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| documents(value, found)),
        Value::String(text) if text.starts_with('{') && text.contains("\"materials\"") => {
            if let Ok(inner) = serde_json::from_str(text) {
                documents(&inner, found);
            }
        }
        _ => {}
    }
}

/// What must hold for every finished document.
fn check(name: &str, working: &Value) {
    let (done, notes) = finished(working);
    assert_eq!(done.as_object().unwrap().len(), 36, "{name}");
    let grid = Grid::new(30.0);
    let mut ids = HashSet::new();
    for (list_name, materials) in done["materials"].as_object().unwrap() {
        for material in list(materials) {
            assert!(
                ids.insert(material["id"].as_str().unwrap()),
                "{name}: {list_name} has an id twice"
            );
            let count = material.as_object().unwrap().len();
            match list_name.as_str() {
                "videos" => assert_eq!(count, 68, "{name}"),
                "audios" => assert_eq!(count, 62, "{name}"),
                "texts" => {
                    assert_eq!(count, 126, "{name}");
                    let content: Value =
                        serde_json::from_str(material["content"].as_str().unwrap()).unwrap();
                    assert!(
                        text::is_contiguous(
                            content["text"].as_str().unwrap(),
                            list(&content["styles"])
                        ),
                        "{name}: {content}"
                    );
                }
                _ => {}
            }
        }
    }
    assert_eq!(done["tracks"][0]["type"], "video", "{name}");
    let mut segments = 0;
    for track in list(&done["tracks"]) {
        let mut end = Micros::ZERO;
        for segment in list(&track["segments"]) {
            segments += 1;
            assert_eq!(segment.as_object().unwrap().len(), 51, "{name}");
            assert!(
                ids.contains(segment["material_id"].as_str().unwrap()),
                "{name}"
            );
            for id in list(&segment["extra_material_refs"]) {
                assert!(
                    ids.contains(id.as_str().unwrap()),
                    "{name}: {id} leads nowhere"
                );
            }
            let target = range(&segment["target_timerange"]);
            assert!(
                target.start >= end && target.duration > Micros::ZERO,
                "{name}: {segment}"
            );
            assert!(
                grid.is_on(target.start) && grid.is_on(target.end()),
                "{name}: {target:?}"
            );
            end = target.end();
            let speed = segment["speed"].as_f64().unwrap();
            if segment["source_timerange"].is_object() {
                let source = range(&segment["source_timerange"]);
                assert_eq!(
                    source.duration.0,
                    (target.duration.0 as f64 * speed).round() as i64,
                    "{name}"
                );
            }
        }
    }
    let before: usize = list(&working["tracks"])
        .iter()
        .map(|track| list(&track["segments"]).len())
        .sum();
    let left_out = notes
        .iter()
        .filter(|note| note.contains("is left out"))
        .count();
    assert_eq!(segments + left_out, before, "{name}: {notes:?}");
}

#[test]
fn every_recorded_draft_becomes_a_sound_document() {
    let mut count = 0;
    for (name, recording) in golden::recordings(golden::Part::Cases) {
        let mut found = Vec::new();
        documents(&recording, &mut found);
        for working in found {
            check(&name, &working);
            count += 1;
        }
    }
    assert!(count > 300, "only {count} recorded drafts");
}

fn video_track(name: &str, starts: &[i64]) -> Value {
    let segments: Vec<_> = starts
        .iter()
        .map(|start| {
            json!({"id": format!("{name}{start}"), "material_id": "v", "speed": 1.0, "extra_material_refs": [],
                   "target_timerange": {"start": start * 1_000_000, "duration": 1_000_000},
                   "source_timerange": {"start": 0, "duration": 1_000_000}})
        })
        .collect();
    json!({"id": name, "name": name, "type": "video", "attribute": 0, "flag": 0, "is_default_name": false, "segments": segments})
}

fn with_tracks(tracks: &[Value]) -> Value {
    json!({"fps": 30, "tracks": tracks, "canvas_config": {"width": 1, "height": 1, "ratio": "original"},
           "materials": {"videos": [{"id": "v", "type": "video", "duration": 9_000_000}]}})
}

#[test]
fn gaps_survive_because_the_main_track_is_empty() {
    let check = |tracks: &[Value], expected: &[(&str, usize)]| {
        let (done, _) = finished(&with_tracks(tracks));
        let found: Vec<_> = list(&done["tracks"])
            .iter()
            .map(|track| {
                (
                    track["name"].as_str().unwrap(),
                    list(&track["segments"]).len(),
                )
            })
            .collect();
        assert_eq!(found, expected);
    };
    let empty = video_track("video", &[]);
    check(
        &[empty.clone(), video_track("clips", &[1, 3])],
        &[("video", 0), ("clips", 2)],
    );
    check(
        &[video_track("under", &[0]), empty.clone()],
        &[("", 0), ("under", 1)],
    );
    check(&[video_track("video", &[0, 1])], &[("video", 2)]);
    check(&[video_track("video", &[0, 2])], &[("", 0), ("video", 2)]);
    check(&[empty], &[("video", 0)]);
}

#[test]
fn a_document_is_the_same_each_time() {
    let working = with_tracks(&[video_track("clips", &[1, 3])]);
    assert_eq!(finished(&working), finished(&working));
}

#[test]
fn a_long_track_that_is_finished_in_parts_has_each_material_once_and_in_order() {
    let starts: Vec<i64> = (0..1000).collect();
    let mut track = video_track("clips", &starts);
    for segment in list_mut(&mut track, "segments").unwrap() {
        segment["extra_material_refs"] = json!(["shared"]);
    }
    let mut working = with_tracks(&[track]);
    working["materials"]["speeds"] = json!([{"id": "shared", "type": "speed", "speed": 1.0}]);
    check("a long track", &working);
    let (done, _) = finished(&working);
    let materials = &done["materials"];
    assert_eq!(list(&materials["videos"]).len(), 1);
    assert_eq!(list(&materials["speeds"]).len(), 1);
    let canvases: Vec<_> = list(&materials["canvases"])
        .iter()
        .map(|canvas| &canvas["id"])
        .collect();
    let segments = list(&done["tracks"][1]["segments"]).iter();
    let referred: Vec<_> = segments
        .flat_map(|segment| list(&segment["extra_material_refs"]))
        .filter(|id| canvases.contains(id))
        .collect();
    assert_eq!(canvases.len(), 1000);
    assert_eq!(canvases, referred);
}
