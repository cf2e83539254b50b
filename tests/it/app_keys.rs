//! The objects that properties need in a saved draft have the keys, and the types of values, that the apps write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::drafts::{document_in, saved_at};
use crate::support::{Client, Home, media};

/// The object of a property in a document.
struct Part {
    property: &'static str,
    /// The path from the root: keys, `*` for all items of a list, and `list[type]` for those of a type.
    path: &'static str,
}

const fn part(property: &'static str, path: &'static str) -> Part {
    Part { property, path }
}

/// Keys of drafts that were saved in a form between two that this program writes: 8.0.0-beta2 has keys that came after 8.0.0,
/// and JianYing 5.5 and 5.6 are older than the oldest form. Each with the edition and version that it is compared with.
const BETWEEN: [(&str, &str, &str); 7] = [
    ("capcut", "8.0.0", "enable_hsl_curves"),
    ("capcut", "8.0.0", "enable_mask_shadow"),
    ("capcut", "8.0.0", "enable_mask_stroke"),
    ("capcut", "8.0.0", "source"),
    ("jianying", "5.7.0", "enable_color_correct_adjust"),
    ("jianying", "5.7.0", "multi_language_current"),
    ("jianying", "5.7.0", "gameplay"),
];

const PARTS: [Part; 22] = [
    part("start", "tracks/*/segments/*/target_timerange"),
    part("source_start", "tracks/*/segments/*/source_timerange"),
    part("position_x", "tracks/*/segments/*/clip/transform"),
    part("scale_x", "tracks/*/segments/*/clip/scale"),
    part("flip_horizontal", "tracks/*/segments/*/clip/flip"),
    part("rotation", "tracks/*/segments/*/clip"),
    part("scale", "tracks/*/segments/*/uniform_scale"),
    part("visible", "tracks/*/segments/*"),
    part("track_name", "tracks/*"),
    part("volume_curve", "tracks/*/segments/*/common_keyframes/*"),
    part(
        "volume_curve",
        "tracks/*/segments/*/common_keyframes/*/keyframe_list/*",
    ),
    part("speed", "materials/speeds/*"),
    part("background_color", "materials/canvases[canvas_color]"),
    part("transition", "materials/transitions/*"),
    part("fade_in", "materials/audio_fades/*"),
    part("intro_animation", "materials/material_animations/*"),
    part(
        "intro_animation",
        "materials/material_animations/*/animations/*",
    ),
    part("effect_type", "materials/video_effects/*"),
    part("effect_params", "materials/video_effects/*/adjust_params/*"),
    part("media", "materials/videos/*"),
    part("crop", "materials/videos/*/crop"),
    part("border_width", "materials/texts/*"),
];

/// The objects at a path.
fn at<'d>(value: &'d Value, path: &str) -> Vec<&'d Value> {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let (key, kind) = match first.split_once('[') {
        Some((key, kind)) => (key, Some(kind.trim_end_matches(']'))),
        None => (first, None),
    };
    let found: Vec<&Value> = if key == "*" {
        value.as_array().into_iter().flatten().collect()
    } else if let Some(kind) = kind {
        let list = value[key].as_array().into_iter().flatten();
        list.filter(|item| item["type"] == kind).collect()
    } else {
        value.get(key).into_iter().collect()
    };
    if rest.is_empty() {
        return found
            .into_iter()
            .filter(|found| found.is_object())
            .collect();
    }
    found
        .into_iter()
        .flat_map(|found| at(found, rest))
        .collect()
}

/// The keys of objects, each with the types of its values; numbers of both kinds are one.
fn shape(objects: &[&Value]) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut shape: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for object in objects {
        for (key, value) in object.as_object().into_iter().flatten() {
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "switch",
                Value::Number(_) => "number",
                Value::String(_) => "text",
                Value::Array(_) => "list",
                Value::Object(_) => "object",
            };
            shape.entry(key.clone()).or_default().insert(kind);
        }
    }
    shape
}

/// A draft with all these properties, saved for a version of an app.
fn saved_for(client: &mut Client, edition: &str, version: &str) -> Value {
    let made = client.call("create_draft", json!({ "edition": edition }));
    let draft = made.expect("a draft")["draft_id"].clone();
    let points = json!([{ "at": 0, "value": 1 }, { "at": 1, "value": 0 }]);
    for (tool, arguments) in [
        (
            "add_video",
            json!({
                "video_url": media("clip.mp4"), "end": 2, "rotation": 10, "flip_horizontal": true,
                "volume": points, "speed": 2, "background_color": "#102030", "fade_in": 0.2,
                "crop": { "left": 0.1 },
                "transition": if edition == "capcut" { "Dissolve" } else { "叠化" },
            }),
        ),
        (
            "add_image",
            json!({
                "image_url": media("picture.jpg"), "start": 1, "end": 3,
                "intro_animation": if edition == "capcut" { "Fade_In" } else { "渐显" },
            }),
        ),
        (
            "add_text",
            json!({ "text": "Hi", "start": 0, "end": 1, "border_width": 40, "border_color": "#000000" }),
        ),
        (
            "add_effect",
            json!({ "effect_type": if edition == "capcut" { "Blur" } else { "模糊" }, "start": 0, "end": 1 }),
        ),
    ] {
        let mut arguments = arguments;
        arguments["draft_id"] = draft.clone();
        let added = client.call(tool, arguments);
        added.unwrap_or_else(|error| panic!("{tool} {edition}: {error}"));
    }
    let save = json!({ "draft_id": draft, "portable": true, "app_version": version });
    let saved = client.call("save_draft", save).expect("saved");
    saved_at(&saved).1
}

/// The drafts that the apps saved: folder, edition and version.
fn app_drafts() -> Vec<(PathBuf, &'static str, String)> {
    let shared = std::env::var("CAPCUT_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let folder = Path::new(&shared).join("app-drafts");
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no drafts of the apps at {}", folder.display());
        return Vec::new();
    };
    let folders = entries.flatten().map(|entry| entry.path());
    let read = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        let mut words = name.split('-');
        let edition = match words.next()? {
            "cc" => "capcut",
            "lv" => "jianying",
            _ => return None,
        };
        // Drafts are written for JianYing 5.7 and newer.
        let version = match words.next()? {
            "5.5.0" | "5.6.0" => "5.7.0",
            version => version,
        };
        Some((path, edition, version.to_owned()))
    };
    let mut drafts: Vec<_> = folders.filter_map(read).collect();
    drafts.sort();
    drafts
}

#[test]
fn objects_of_properties_have_the_keys_that_the_apps_write() {
    let home = Home::embedded();
    let mut client = home.connected();
    let mut ours: BTreeMap<(&str, String), Value> = BTreeMap::new();
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = BTreeSet::new();
    let drafts = app_drafts();
    for (folder, edition, version) in &drafts {
        let Some(theirs) = document_in(folder) else {
            continue;
        };
        let own = ours
            .entry((edition, version.clone()))
            .or_insert_with(|| saved_for(&mut client, edition, version));
        for Part { property, path } in &PARTS {
            let (own, theirs) = (shape(&at(own, path)), shape(&at(&theirs, path)));
            if theirs.is_empty() {
                continue;
            }
            *compared.entry(*path).or_default() += 1;
            let is_apart = |key: &str| BETWEEN.contains(&(edition, version.as_str(), key));
            for (key, kinds) in &theirs {
                match own.get(key) {
                    None if !is_apart(key) => {
                        wrong.insert(format!(
                            "{property} ({path}) {edition} {version}: `{key}` is missing"
                        ));
                    }
                    Some(own)
                        if own.is_disjoint(kinds)
                            && !kinds.contains("null")
                            && !own.contains("null") =>
                    {
                        wrong.insert(format!("{property} ({path}) {edition} {version}: `{key}` is {own:?}, the app's {kinds:?}"));
                    }
                    _ => {}
                }
            }
            for key in own
                .keys()
                .filter(|key| !theirs.contains_key(*key) && !is_apart(key))
            {
                wrong.insert(format!(
                    "{property} ({path}) {edition} {version}: `{key}` is not the app's"
                ));
            }
        }
    }
    let list: Vec<String> = wrong.into_iter().collect();
    assert!(list.is_empty(), "{}", list.join("\n"));
    if drafts.is_empty() {
        return;
    }
    let skipped: Vec<&str> = PARTS
        .iter()
        .filter(|part| !compared.contains_key(part.path))
        .map(|part| part.property)
        .collect();
    assert!(compared.len() > PARTS.len() / 2, "{compared:?}");
    if !skipped.is_empty() {
        eprintln!("SKIPPED: no draft of an app has {}", skipped.join(", "));
    }
}
