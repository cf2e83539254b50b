//! The finished document: its keys, its frames, and its references.

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
        scheme: 179,
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

/// Every working document in a recording at any depth, as a value or as text.
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

/// Checks what every finished document must satisfy.
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
    let kinds: Vec<_> = list(&done["tracks"])
        .iter()
        .map(|track| track["type"].as_str().unwrap())
        .collect();
    assert!(
        kinds[..kinds.len().min(1)] == ["video"] || !kinds.contains(&"video"),
        "{name}: {kinds:?}"
    );
    let mut segments = 0;
    for track in list(&done["tracks"]) {
        assert!(
            !list(&track["segments"]).is_empty(),
            "{name}: an empty track"
        );
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
                    "{name}: {id} refers to nothing"
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
fn every_recorded_draft_becomes_a_valid_document() {
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
fn no_track_is_empty_and_gaps_on_the_main_track_survive() {
    let check = |tracks: &[Value], expected: &[(&str, i64)], magnet: bool| {
        let (done, _) = finished(&with_tracks(tracks));
        let found: Vec<_> = list(&done["tracks"])
            .iter()
            .map(|track| {
                assert!(!list(&track["segments"]).is_empty());
                (
                    track["name"].as_str().unwrap(),
                    track["flag"].as_i64().unwrap(),
                )
            })
            .collect();
        assert_eq!(found, expected);
        assert_eq!(done["config"]["maintrack_adsorb"], magnet);
    };
    let empty = video_track("video", &[]);
    check(
        &[empty.clone(), video_track("clips", &[1, 3])],
        &[("clips", 0)],
        false,
    );
    check(
        &[empty.clone(), video_track("clips", &[0, 1])],
        &[("clips", 0)],
        true,
    );
    check(
        &[
            empty.clone(),
            video_track("under", &[0, 2]),
            video_track("over", &[5]),
        ],
        &[("under", 0), ("over", 2)],
        false,
    );
    let mut sound = video_track("sound", &[2]);
    sound["type"] = json!("audio");
    check(
        &[sound.clone(), video_track("video", &[0])],
        &[("video", 0), ("sound", 0)],
        true,
    );
    check(&[empty.clone(), sound], &[("sound", 0)], true);
    check(&[empty], &[], true);
}

#[test]
fn saved_times_are_rounded_down_to_frames_and_neighbours_still_touch() {
    // Frames 11, 22, 44 at 30 frames per second, as the reference API rounds them.
    let mut track = video_track("clips", &[0, 1]);
    let segments = list_mut(&mut track, "segments").unwrap();
    for (segment, (start, duration)) in segments
        .iter_mut()
        .zip([(366_667, 366_666), (733_333, 733_334)])
    {
        segment["target_timerange"] = json!({"start": start, "duration": duration});
        segment["source_timerange"] = json!({"start": 66_667, "duration": duration});
        let keyframes: Vec<_> = [0, 33_333, 40_000, 366_667]
            .map(|time| json!({"time_offset": time, "values": [1.0]}))
            .into();
        segment["common_keyframes"] =
            json!([{"property_type": "KFTypeAlpha", "keyframe_list": keyframes}]);
    }
    segments[1]["speed"] = json!(2.0);
    let (done, _) = finished(&with_tracks(&[track]));
    let segments = list(&done["tracks"][0]["segments"]);
    let targets: Vec<_> = segments
        .iter()
        .map(|segment| range(&segment["target_timerange"]))
        .collect();
    assert_eq!(targets[0].start, Micros(366_666));
    assert_eq!(targets[0].end(), targets[1].start);
    assert_eq!(targets[1].start, Micros(733_333));
    assert_eq!(targets[1].end(), Micros(1_466_666));
    assert_eq!(done["duration"], 1_466_666);
    assert_eq!(segments[0]["source_timerange"]["start"], 66_666);
    let times = |segment: &Value| -> Vec<i64> {
        list(&segment["common_keyframes"][0]["keyframe_list"])
            .iter()
            .map(|keyframe| keyframe["time_offset"].as_i64().unwrap())
            .collect()
    };
    // From frame 2 of the file: frames 0, 1, 2 and 11 of the clip, one keyframe each.
    assert_eq!(times(&segments[0]), [66_666, 100_000, 133_333, 433_333]);
    assert_eq!(times(&segments[1]), [66_666, 133_333, 200_000, 800_000]);
}

#[test]
fn only_video_segments_enable_adjustments_and_keys_match_the_version() {
    let mut effect = video_track("effects", &[0]);
    effect["type"] = json!("effect");
    effect["segments"][0]["material_id"] = json!("e");
    effect["segments"][0]["enable_adjust"] = json!(true);
    let mut working = with_tracks(&[video_track("video", &[0]), effect]);
    let param = json!({"name": "effects_adjust_size", "value": 0.5, "default_value": 0.25, "max_value": 1.0,
                       "min_value": 0.0, "parameterIndex": 0, "portIndex": 0});
    working["materials"]["video_effects"] =
        json!([{"id": "e", "type": "video_effect", "adjust_params": [param]}]);
    let at = |scheme| {
        let empty = Map::new();
        let markers = Markers {
            scheme,
            ..markers(&empty)
        };
        let mut written = Vec::new();
        finish(&working, &markers, &HashMap::new())
            .document
            .write(&mut written);
        serde_json::from_slice::<Value>(&written).unwrap()
    };
    let done = at(179);
    let enabled = |track: usize| {
        let segment = &done["tracks"][track]["segments"][0];
        [
            segment["enable_adjust"].clone(),
            segment["enable_lut"].clone(),
        ]
    };
    assert_eq!(enabled(0), [true, true]);
    assert_eq!(enabled(1), [false, false]);
    let effect = &done["materials"]["video_effects"][0];
    assert_eq!(
        effect["adjust_params"],
        json!([{"name": "effects_adjust_size", "value": 0.5, "default_value": 0.25}])
    );
    assert_eq!(effect["sub_type"], 0);
    let has =
        |document: &Value, key: &str| document["materials"]["video_effects"][0].get(key).is_some();
    let (new, middle, old) = (at(179), at(167), at(110));
    for (key, expected) in [
        ("aigc_current_artifact_path", [true, false, false]),
        ("sdk_extra", [true, false, false]),
        ("bind_segment_id", [true, true, false]),
        ("enable_video_mask_stroke", [true, true, false]),
        ("item_effect_type", [true, true, false]),
    ] {
        assert_eq!(
            [&new, &middle, &old].map(|document| has(document, key)),
            expected,
            "{key}"
        );
    }
    let segment = |document: &Value| {
        document["tracks"][0]["segments"][0]
            .as_object()
            .unwrap()
            .len()
    };
    assert_eq!([&new, &middle, &old].map(segment), [51, 50, 32]);
    assert!(old["materials"].get("placeholder_infos").is_none());
    assert!(new["materials"].get("placeholder_infos").is_some());
}

#[test]
fn finishing_is_deterministic() {
    let working = with_tracks(&[video_track("clips", &[1, 3])]);
    assert_eq!(finished(&working), finished(&working));
}

#[test]
fn a_track_finished_in_parallel_has_each_material_once_and_in_order() {
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
    let segments = list(&done["tracks"][0]["segments"]).iter();
    let referred: Vec<_> = segments
        .flat_map(|segment| list(&segment["extra_material_refs"]))
        .filter(|id| canvases.contains(id))
        .collect();
    assert_eq!(canvases.len(), 1000);
    assert_eq!(canvases, referred);
}
