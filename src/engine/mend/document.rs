//! Mending inside a document; each step changes only what `lint` complains of.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::draft::finished::shapes::shape;
use crate::draft::finished::text::{Units, contiguous, is_contiguous, utf16_len};
use crate::draft::finished::{list, range};
use crate::engine::lint::document::{
    KINDS, LEAST_CHECK_FLAG, TEMPLATE_DEVICE, TEMPLATE_DOCUMENT, end_of, incomplete,
    misplaced_masks, missing_markers, stale_markers,
};
use crate::engine::profile::Profile;

pub(super) fn mend(document: &mut Value, profile: &Profile, own_id: &str) {
    markers(document, profile, own_id);
    fields(document);
    masks(document, profile);
    for text in array(&mut document["materials"]["texts"]) {
        ranges(text);
    }
    tracks(document);
    let (end, told) = (
        end_of(document),
        document["duration"].as_i64().unwrap_or_default(),
    );
    if (end.0 - told).abs() > 40_000 {
        document["duration"] = json!(end.0);
    }
}

fn markers(document: &mut Value, profile: &Profile, own_id: &str) {
    if !missing_markers(document).is_empty() || stale_markers(document).is_some() {
        document["version"] = json!(profile.version);
        document["new_version"] = json!(profile.new_version);
        for key in ["platform", "last_modified_platform"] {
            document[key] = Value::Object(profile.platform.clone());
        }
    }
    for key in ["platform", "last_modified_platform"] {
        if document[key]["device_id"] == TEMPLATE_DEVICE {
            for field in ["device_id", "hard_disk_id", "mac_address"] {
                document[key][field] = json!("");
            }
        }
    }
    if document["id"]
        .as_str()
        .is_some_and(|id| id.eq_ignore_ascii_case(TEMPLATE_DOCUMENT))
    {
        document["id"] = json!(own_id);
    }
}

/// Neutral values for the fields of objects that lack many of them.
fn fields(document: &mut Value) {
    let lacking: HashSet<String> = incomplete(document)
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    if lacking.contains("the document") {
        fill(document, "root");
        for list in ["materials", "config", "keyframes"] {
            for (key, neutral) in shape("root")[list].as_object().into_iter().flatten() {
                if document[list].get(key).is_none() {
                    document[list][key.as_str()] = neutral.clone();
                }
            }
        }
    }
    if lacking.contains("tracks[].segments") {
        for track in array(&mut document["tracks"]) {
            let sound = track["type"] == "audio";
            for segment in array(&mut track["segments"]) {
                // Sound has no place on the canvas.
                let clip = segment.get("clip").cloned();
                fill(segment, "segment");
                if sound && clip.is_none() {
                    segment["clip"] = Value::Null;
                }
            }
        }
    }
    for (name, kind) in KINDS {
        if lacking.contains(&format!("materials.{name}")) {
            for material in array(&mut document["materials"][*name]) {
                fill(material, kind);
            }
        }
    }
}

fn fill(object: &mut Value, kind: &str) {
    if let Some(object) = object.as_object_mut() {
        for (key, neutral) in shape(kind) {
            if !object.contains_key(key) {
                object.insert(key.clone(), neutral.clone());
            }
        }
    }
}

fn masks(document: &mut Value, profile: &Profile) {
    for (from, to) in misplaced_masks(document) {
        let there: HashSet<String> = list(&document["materials"][to])
            .iter()
            .filter_map(|mask| mask["id"].as_str().map(str::to_owned))
            .collect();
        let more: Vec<Value> = list(&document["materials"][from])
            .iter()
            .filter(|mask| mask["id"].as_str().is_none_or(|id| !there.contains(id)))
            .cloned()
            .collect();
        if !document["materials"][to].is_array() {
            document["materials"][to] = json!([]);
        }
        array(&mut document["materials"][to]).extend(more);
    }
    for video in array(&mut document["materials"]["videos"]) {
        if video["check_flag"]
            .as_i64()
            .is_some_and(|flag| flag < LEAST_CHECK_FLAG)
        {
            video["check_flag"] = json!(profile.video_check_flag());
        }
    }
}

/// The ranges of a text's styles in the units of the app. In which units they were counted shows at
/// their end.
fn ranges(text: &mut Value) {
    let Some(mut content) = text["content"]
        .as_str()
        .and_then(|content| serde_json::from_str::<Value>(content).ok())
    else {
        return;
    };
    let words = content["text"].as_str().unwrap_or_default().to_owned();
    let mut styles = list(&content["styles"]).to_vec();
    if is_contiguous(&words, &styles) {
        return;
    }
    let end = styles
        .iter()
        .filter_map(|style| style["range"].get(1)?.as_u64())
        .max()
        .unwrap_or_default() as usize;
    let units = if end == words.chars().count() && end != utf16_len(&words) {
        Units::CodePoints
    } else {
        Units::Utf16
    };
    // Bytes of UTF-16, as an old tool counted.
    if end == 2 * utf16_len(&words) {
        for style in &mut styles {
            for edge in array(&mut style["range"]) {
                if let Some(number) = edge.as_u64() {
                    *edge = json!(number / 2);
                }
            }
        }
    }
    content["styles"] = Value::Array(contiguous(&words, &styles, units));
    text["content"] = json!(content.to_string());
}

fn tracks(document: &mut Value) {
    let speeds: HashMap<String, usize> = list(&document["materials"]["speeds"])
        .iter()
        .enumerate()
        .filter_map(|(index, speed)| Some((speed["id"].as_str()?.to_owned(), index)))
        .collect();
    let known: HashSet<String> = document["materials"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, materials)| list(materials))
        .filter_map(|material| material["id"].as_str().map(str::to_owned))
        .collect();
    let mut wanted: Vec<(usize, f64)> = Vec::new();
    for track in array(&mut document["tracks"]) {
        if track.is_object() && !track["name"].is_string() {
            track["name"] = json!("");
        }
        let segments = array(&mut track["segments"]);
        if !segments.is_sorted_by_key(|segment| range(&segment["target_timerange"]).start) {
            segments.sort_by_key(|segment| range(&segment["target_timerange"]).start);
        }
        for segment in segments {
            if segment.get("extra_material_refs").is_some() {
                array(&mut segment["extra_material_refs"])
                    .retain(|id| id.as_str().is_some_and(|id| known.contains(id)));
            }
            if segment["speed"].as_f64().is_none_or(|speed| speed <= 0.0) {
                segment["speed"] = json!(implied_speed(segment));
            }
            let speed = segment["speed"].as_f64().unwrap_or(1.0);
            for id in list(&segment["extra_material_refs"]) {
                if let Some(index) = id.as_str().and_then(|id| speeds.get(id)) {
                    wanted.push((*index, speed));
                }
            }
        }
    }
    for (index, speed) in wanted {
        let material = &mut document["materials"]["speeds"][index];
        let other = material["speed"].as_f64();
        if material["curve_speed"].is_null()
            && other.is_none_or(|other| (other - speed).abs() > 1e-6)
        {
            material["speed"] = json!(speed);
        }
    }
}

/// The speed that a segment's times tell.
fn implied_speed(segment: &Value) -> f64 {
    let (source, target) = (
        range(&segment["source_timerange"]).duration.0,
        range(&segment["target_timerange"]).duration.0,
    );
    if source > 0 && target > 0 {
        source as f64 / target as f64
    } else {
        1.0
    }
}

/// The list in `value`; a draft whose list is missing gets an empty one.
fn array(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was just made a list")
}
