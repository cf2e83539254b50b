//! Drafts as their clients see them: the working document, its clips, and what a save writes.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::Client;

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Creates a draft; returns its id.
pub(crate) fn created(client: &mut Client, arguments: Value) -> String {
    let made = client.call("create_draft", arguments).expect("a draft");
    made["draft_id"].as_str().expect("an id").to_owned()
}

/// Applies operations.
pub(crate) fn edited(
    client: &mut Client,
    draft: &(impl Serialize + ?Sized),
    operations: Value,
) -> Result<Value, String> {
    client.call(
        "edit_draft",
        json!({ "draft_id": draft, "operations": operations }),
    )
}

/// The text of a draft's working document.
pub(crate) fn script(client: &mut Client, draft: &(impl Serialize + ?Sized)) -> String {
    let read = client.call("query_script", json!({ "draft_id": draft, "path": "" }));
    read.expect("a document")["script"]
        .as_str()
        .expect("a text")
        .to_owned()
}

/// A draft's working document.
pub(crate) fn document(client: &mut Client, draft: &(impl Serialize + ?Sized)) -> Value {
    serde_json::from_str(&script(client, draft)).expect("JSON")
}

/// The document in a draft's folder; `None` if there is none.
pub(crate) fn document_in(folder: &Path) -> Option<Value> {
    let names = ["draft_content.json", "draft_info.json"];
    let bytes = names
        .iter()
        .find_map(|name| fs::read(folder.join(name)).ok());
    serde_json::from_slice(&bytes?).ok()
}

/// The folder that a save names in its reply, and the document there.
pub(crate) fn saved_at(reply: &Value) -> (PathBuf, Value) {
    let folder = PathBuf::from(reply["folder"].as_str().expect("a folder"));
    let document = document_in(&folder).expect("a document");
    (folder, document)
}

/// The clips of a document.
pub(crate) fn clips(document: &Value) -> Vec<Value> {
    let tracks = document["tracks"].as_array().expect("tracks").iter();
    let clips = tracks.flat_map(|track| track["segments"].as_array().cloned().unwrap_or_default());
    clips.collect()
}

/// The materials of a list that a clip refers to.
pub(crate) fn of_clip<'d>(document: &'d Value, clip: &Value, list: &str) -> Vec<&'d Value> {
    let refs = clip["extra_material_refs"].as_array();
    let refers = |id: &Value| refs.is_some_and(|refs| refs.contains(id));
    let is_own =
        |material: &&Value| refers(&material["id"]) || clip["material_id"] == material["id"];
    let list = document["materials"][list].as_array();
    list.into_iter().flatten().filter(is_own).collect()
}

/// The keyframes of a property of a clip, by its name in documents; empty if it has none.
pub(crate) fn keyframes(clip: &Value, key: &str) -> Vec<Value> {
    let lists = clip["common_keyframes"].as_array().expect("lists");
    let list = lists.iter().find(|list| list["property_type"] == key);
    let points = list.and_then(|list| list["keyframe_list"].as_array());
    points.cloned().unwrap_or_default()
}

/// Start and end of the clips with this material on the timeline, and the start in the file; in seconds, by start.
pub(crate) fn placed(document: &Value, list: &str) -> Vec<(f64, f64, f64)> {
    let mut placed: Vec<(f64, f64, f64)> = clips(document)
        .iter()
        .filter(|clip| !of_clip(document, clip, list).is_empty())
        .map(|clip| {
            let time = |range: &str, key: &str| clip[range][key].as_f64().unwrap_or(0.0) / 1e6;
            let start = time("target_timerange", "start");
            (
                start,
                start + time("target_timerange", "duration"),
                time("source_timerange", "start"),
            )
        })
        .collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    placed
}
