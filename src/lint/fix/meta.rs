//! Fixes `draft_meta_info.json`: id, name, paths, and the list of media.

use std::collections::HashMap;
use std::fs;

use serde_json::{Map, Value, json};

use super::FixTarget;
use crate::draft::finished::list_mut;
use crate::draft::finished::shapes::{fill, shape};
use crate::engine::paths::file_name;
use crate::engine::registry::app_path;
use crate::lint::folder::MediaLocation;
use crate::lint::media::FileMaterial;
use crate::lint::meta::{bin_path, entries, in_draft, is_portable};
use crate::units::Micros;

/// The duration of a still image in the list of media, in microseconds.
const STILL: i64 = 5_000_000;

/// The content for a draft without this file.
pub(super) fn empty() -> Value {
    Value::Object(shape("meta").clone())
}

/// The id of each medium's entry, by list and index.
pub(super) type Bin = HashMap<(&'static str, usize), String>;

pub(super) fn mend(patient: &FixTarget<'_>, meta: &mut Value, end: Option<Micros>) -> Bin {
    let folder = patient.folder;
    let is_new = folder.meta.is_none();
    let is_shared = folder.is_template();
    if is_new || is_shared || meta["draft_id"].as_str().is_none_or(str::is_empty) {
        meta["draft_id"] = json!(super::new_id());
    }
    if is_new || is_shared {
        meta["tm_draft_create"] = json!(patient.now);
        meta["tm_draft_modified"] = json!(patient.now);
    }
    if !folder.is_for_another_machine() {
        let root = folder.path.parent().unwrap_or(&folder.path);
        let mut right = vec![("draft_name", folder.name())];
        // A portable draft contains no absolute paths and stays portable.
        if !is_portable(folder, &patient.media) {
            right.push(("draft_fold_path", app_path(&folder.path)));
            right.push(("draft_root_path", app_path(root)));
        }
        for (key, value) in right {
            let told = meta[key].as_str().unwrap_or_default();
            // Other notations of the same path are accepted.
            if told.replace('\\', "/").trim_end_matches('/') != value {
                meta[key] = json!(value);
            }
        }
    }
    let told = meta["tm_duration"].as_i64().unwrap_or_default();
    if let Some(end) = end
        && told.abs_diff(end.0) > 40_000
    {
        meta["tm_duration"] = json!(end.0);
    }
    follow_renames(patient, meta);
    let bin = list(patient, meta);
    if is_new {
        let bytes: u64 = patient.media.iter().map(size).sum();
        meta["draft_timeline_materials_size_"] = json!(bytes);
    }
    bin
}

fn size(medium: &FileMaterial) -> u64 {
    let file = medium.place.file();
    file.and_then(|file| fs::metadata(file).ok())
        .map_or(0, |metadata| metadata.len())
}

fn groups(meta: &mut Value) -> &mut Vec<Value> {
    if !meta["draft_materials"].is_array() {
        meta["draft_materials"] = shape("meta")["draft_materials"].clone();
    }
    let groups = &mut meta["draft_materials"];
    groups.as_array_mut().expect("it is a list: see above")
}

fn follow_renames(patient: &FixTarget<'_>, meta: &mut Value) {
    let folder = patient.folder;
    let mut renames: HashMap<String, String> = patient
        .renames
        .iter()
        .map(|(from, to)| {
            (
                format!("./{}", folder.shown(from)),
                format!("./{}", folder.shown(to)),
            )
        })
        .collect();
    for medium in &patient.media {
        if let MediaLocation::Found(file) = &medium.place
            && !medium.path.is_empty()
        {
            renames.insert(in_draft(folder, &medium.path), app_path(file));
        }
    }
    if renames.is_empty() {
        return;
    }
    let entries = groups(meta)
        .iter_mut()
        .filter_map(|group| list_mut(group, "value"))
        .flatten();
    for entry in entries {
        let old = in_draft(folder, entry["file_Path"].as_str().unwrap_or_default());
        if let Some(new) = renames.get(&old) {
            if entry["extra_info"].as_str() == Some(file_name(&old)) {
                entry["extra_info"] = json!(file_name(new));
            }
            entry["file_Path"] = json!(new);
        }
    }
}

/// Adds missing media to the list, and returns the ids of all media.
fn list(patient: &FixTarget<'_>, meta: &mut Value) -> Bin {
    let folder = patient.folder;
    let mut by_id: HashMap<String, String> = HashMap::new();
    let mut by_path: HashMap<String, String> = HashMap::new();
    for entry in entries(meta) {
        let Some(id) = entry["id"].as_str() else {
            continue;
        };
        let path = in_draft(folder, entry["file_Path"].as_str().unwrap_or_default());
        by_id.insert(id.to_owned(), path.clone());
        by_path.entry(path).or_insert_with(|| id.to_owned());
    }
    let mut bin = Bin::new();
    let mut added = Vec::new();
    for medium in patient.media.iter().filter(|medium| medium.is_listed()) {
        let path = match medium.place.file() {
            Some(file) if file.starts_with(&folder.path) => format!("./{}", patient.inside(file)),
            _ => bin_path(folder, medium),
        };
        let id = if let Some(id) = by_path.get(&path) {
            // A link to an existing entry is kept, because the app wrote it.
            Some(&medium.link)
                .filter(|link| by_id.contains_key(*link))
                .unwrap_or(id)
                .clone()
        } else {
            let is_free = !medium.link.is_empty() && !by_id.contains_key(&medium.link);
            let id = if is_free {
                medium.link.clone()
            } else {
                uuid::Uuid::new_v4().to_string()
            };
            added.push(entry(patient, medium, &id, &path));
            by_id.insert(id.clone(), path.clone());
            by_path.insert(path, id.clone());
            id
        };
        bin.insert((medium.list, medium.index), id);
    }
    if !added.is_empty() {
        let groups = groups(meta);
        let place = groups
            .iter()
            .position(|group| group["type"] == 0 && group["value"].is_array());
        let place = place.unwrap_or_else(|| {
            groups.insert(0, json!({"type": 0, "value": []}));
            0
        });
        if let Some(value) = list_mut(&mut groups[place], "value") {
            value.extend(added);
        }
    }
    bin
}

fn entry(patient: &FixTarget<'_>, medium: &FileMaterial, id: &str, path: &str) -> Value {
    let is_still = matches!(&*medium.kind, "photo" | "gif");
    let kind = match (medium.list, is_still) {
        ("audios", _) => "music",
        (_, true) => "photo",
        _ => "video",
    };
    let duration = if is_still { STILL } else { medium.duration.0 };
    let rough = if is_still {
        json!({"start": -1, "duration": -1})
    } else {
        json!({"start": 0, "duration": duration})
    };
    let own = json!({
        "id": id, "file_Path": path, "extra_info": file_name(path), "metetype": kind,
        "duration": duration, "width": medium.width, "height": medium.height,
        "roughcut_time_range": rough, "sub_time_range": {"start": -1, "duration": -1},
        "import_time": patient.now / 1_000_000, "import_time_ms": patient.now,
        "create_time": patient.now / 1_000_000, "item_source": 1, "type": 0,
    });
    fill(
        "bin_entry",
        own.as_object().cloned().unwrap_or_else(Map::new),
    )
}
