//! The folder `Timelines`, in which newer app versions store the timelines of a draft.
//!
//! If it exists, the app reads the document in it and ignores the one in the draft's own folder; the newest
//! versions do not open a draft without it. The files match those that CapCut 8.1 and 8.9.1 write.

use std::borrow::Cow;
use std::sync::LazyLock;

use capcut_draft::{Document, RootRef, field};
use serde_json::{Map, Value, json};

use crate::draft::finished::made_id;
use crate::draft::finished::shapes::{Filled, Shapes};

pub(crate) const FOLDER: &str = "Timelines";
/// The list of timelines, and which is the main one.
pub(crate) const PROJECT: &str = "Timelines/project.json";
/// The timelines that the app shows next to each other.
pub(crate) const LAYOUT: &str = "timeline_layout.json";
/// The documents that contain a timeline, in the draft's own folder and in that of its timeline.
pub(crate) const DOCUMENTS: [&str; 3] = ["draft_content.json", "draft_info.json", "template-2.tmp"];

/// The app's name for the first timeline.
const NAME: &str = "Timeline 01";

/// Since this scheme, the project has its own id; before, it had the id of the main timeline (both seen in
/// drafts saved by CapCut: 8.1 and 8.9.1).
const OWN_PROJECT_ID: u32 = 175;

/// The only timeline of a draft.
#[derive(Debug)]
pub(crate) struct Timeline<'a> {
    /// The document's id.
    pub id: Cow<'a, str>,
    pub scheme: u32,
    pub color_space: i64,
    pub render_index_track_mode_on: bool,
    /// Microseconds since 1970.
    pub now: i64,
}

impl<'a> Timeline<'a> {
    /// The timeline of a document.
    pub(crate) fn of(document: &'a Document, scheme: u32, now: i64) -> Self {
        Self {
            id: document.id(RootRef),
            scheme,
            color_space: document.value(RootRef, &field::root::COLOR_SPACE),
            render_index_track_mode_on: document
                .value(RootRef, &field::root::RENDER_INDEX_TRACK_MODE),
            now,
        }
    }

    /// The timeline's folder within the draft's folder.
    pub(crate) fn folder(&self) -> String {
        folder(&self.id)
    }

    /// `Timelines/project.json`.
    pub(crate) fn project(&self) -> Value {
        let id = if self.scheme < OWN_PROJECT_ID {
            self.id.clone().into_owned()
        } else {
            made_id(&[&self.id, "project"])
        };
        json!({
            "config": {
                "color_space": self.color_space,
                "render_index_track_mode_on": self.render_index_track_mode_on,
                "use_float_render": false,
            },
            "create_time": self.now,
            "id": id,
            "main_timeline_id": self.id,
            "timelines": [self.entry()],
            "update_time": self.now,
            "version": 0,
        })
    }

    /// Its entry in the project's list of timelines.
    pub(crate) fn entry(&self) -> Value {
        json!({
            "create_time": self.now,
            "id": self.id,
            "is_marked_delete": false,
            "name": NAME,
            "update_time": self.now,
        })
    }

    /// `timeline_layout.json`.
    pub(crate) fn layout(&self) -> Value {
        json!({
            "dockItems": [{
                "dockIndex": 0,
                "ratio": 1,
                "timelineIds": [self.id],
                "timelineNames": [NAME],
            }],
            "layoutOrientation": 1,
        })
    }

    /// The other files that the app stores both in the draft's folder and in the timeline's folder, with
    /// neutral content, by name.
    pub(crate) fn companions(&self) -> Vec<(&'static str, Vec<u8>)> {
        static NEUTRAL: LazyLock<Map<String, Value>> = LazyLock::new(|| {
            serde_json::from_str(include_str!("timelines/companions.json"))
                .expect("a test parses this file")
        });
        let mut all: Vec<_> = NEUTRAL
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_string().into_bytes()))
            .collect();
        all.push(("template.tmp", self.template()));
        all.push(("draft.extra", b"{}".to_vec()));
        all
    }

    /// The empty document that the app creates first.
    fn template(&self) -> Vec<u8> {
        let mut root = Filled::new(Shapes::of_scheme(self.scheme), "root");
        root.set("id", made_id(&[&self.id, "template"]));
        root.set("new_version", "75.0.0");
        root.set("color_space", -1);
        root.set("group_container", Value::Null);
        root.set("render_index_track_mode_on", false);
        let mut written = Vec::new();
        root.write(&mut written, &[]);
        written
    }
}

/// The folder of the timeline with this id within the draft's folder.
pub(crate) fn folder(id: &str) -> String {
    format!("{FOLDER}/{id}")
}

/// Replaces a timeline's id in a project or layout.
pub(crate) fn rename(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text == from => to.clone_into(text),
        Value::Array(all) => all.iter_mut().for_each(|value| rename(value, from, to)),
        Value::Object(all) => all.values_mut().for_each(|value| rename(value, from, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_has_its_own_id_since_scheme_175() {
        let timeline = |scheme| Timeline {
            id: Cow::Borrowed("A"),
            scheme,
            color_space: 0,
            render_index_track_mode_on: true,
            now: 7,
        };
        for (scheme, is_own) in [(159, false), (167, false), (175, true), (179, true)] {
            let project = timeline(scheme).project();
            assert_eq!(project["main_timeline_id"], "A");
            assert_eq!(project["timelines"][0]["id"], "A");
            assert_eq!(project["id"] != "A", is_own, "{scheme}");
        }
        assert_eq!(
            timeline(179).layout()["dockItems"][0]["timelineIds"],
            json!(["A"])
        );
    }

    #[test]
    fn every_companion_is_valid_json() {
        let document = Document::parse(r#"{"id": "A", "tracks": []}"#).unwrap();
        let timeline = Timeline::of(&document, 179, 7);
        let all = timeline.companions();
        assert_eq!(all.len(), 9);
        for (name, bytes) in all {
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(value.is_object(), "{name}");
        }
    }

    #[test]
    fn a_renamed_timeline_is_renamed_everywhere() {
        let document = Document::parse(r#"{"id": "A", "tracks": []}"#).unwrap();
        let mut project = Timeline::of(&document, 159, 7).project();
        rename(&mut project, "A", "B");
        assert!(!project.to_string().contains("\"A\""), "{project}");
        assert_eq!(
            (&project["id"], &project["main_timeline_id"]),
            (&json!("B"), &json!("B"))
        );
    }
}
