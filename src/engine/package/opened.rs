//! Saving a draft that was opened: into the folder that it was opened from, or as a copy.

pub(crate) mod back;
mod brought;
pub(crate) mod copy;
mod cover;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capcut_draft::{CompanionFile, Document, JsonValue, PathPart, RootRef};

use super::files::BinEntry;
use crate::engine::documents::{CopiedFile, OpenedFrom, RecordedWrite};
use crate::engine::marker;
use crate::engine::profile::{AppOs, Profile, own_os};

/// A draft that was opened, as it is saved.
#[derive(Debug)]
pub(crate) struct OpenedSubject {
    pub id: String,
    /// Its name when it was opened.
    pub name: String,
    pub from: Arc<OpenedFrom>,
    pub document: Document,
    /// What the document had when it was opened; `None` if it is the same.
    pub base: Option<Arc<OpenedState>>,
    /// The text of the document, and its SHA-256.
    pub text: Vec<u8>,
    pub hash: String,
    /// What earlier saves wrote into its folder, the oldest first.
    pub writes: Vec<RecordedWrite>,
}

/// What a save needs of a document as it was opened.
#[derive(Debug)]
pub(crate) struct OpenedState {
    name: String,
    /// The paths of its media.
    media: BTreeSet<String>,
}

impl OpenedState {
    pub(crate) fn new(document: &Document) -> Self {
        Self {
            name: name(document),
            media: brought::media_of(document).map(|(.., path)| path).collect(),
        }
    }
}

fn name(document: &Document) -> String {
    let name = document.text(RootRef, &["name"]);
    name.unwrap_or_default().into_owned()
}

impl OpenedSubject {
    /// Writes the text again, after a change of the document.
    fn rewrite(&mut self) {
        self.text = self.document.write();
        self.hash = marker::hash(&self.text);
    }

    /// The folder with its document.
    fn folder(&self) -> &Path {
        self.from.folder_of_file()
    }

    /// The app that it was saved with.
    fn profile(&self) -> Profile {
        let edition = self.from.edition;
        let os = match &*self.document.summary().system {
            "windows" => AppOs::Windows,
            "mac" => AppOs::Macos,
            _ => own_os(),
        };
        Profile::for_version(edition, os, &self.from.app_version)
            .unwrap_or_else(|_| Profile::built_in(edition, os))
    }

    /// Its length in microseconds.
    fn duration(&self) -> i64 {
        let stated = self.document.number(RootRef, &["duration"]);
        let clips = self.document.all_clips();
        let last = clips.map(|clip| self.document.target(clip).end()).max();
        stated.map_or(last.unwrap_or_default(), |stated| stated as i64)
    }

    /// The name that an edit gave it.
    fn new_name(&self) -> Option<String> {
        let now = name(&self.document);
        let is_new = self.base.as_ref().is_some_and(|base| base.name != now);
        Some(now).filter(|now| is_new && !now.trim().is_empty())
    }

    /// The media that earlier saves copied into the folder, by source.
    fn copied_media(&self) -> BTreeMap<String, CopiedFile> {
        let all = self.writes.iter().flat_map(|write| &write.media);
        all.map(|(source, file)| (source.clone(), file.clone()))
            .collect()
    }

    /// A note that names the media that are not on this machine.
    fn missing_media(&self, folder: Option<&Path>) -> Option<String> {
        let missing = brought::missing(&self.document, folder);
        (!missing.is_empty()).then(|| {
            format!(
                "missing media, which the app will not find either: {}",
                super::existing::listed(&missing)
            )
        })
    }
}

/// Sets a value that a file of the app has; what it lacks is not added.
fn set_known<V: JsonValue + ?Sized>(
    file: &mut CompanionFile,
    key: &str,
    value: &V,
) -> capcut_draft::Result<()> {
    let path = [PathPart::Key(key)];
    if file.raw(&path).is_none() {
        return Ok(());
    }
    file.set(&path, value)
}

/// The index of the item of a list whose `type` is this number.
fn list_of_type(file: &CompanionFile, list: &str, kind: &[u8]) -> Option<usize> {
    let item = |index| [PathPart::Key(list), PathPart::Index(index)];
    let mut index = 0;
    loop {
        let [list, item] = item(index);
        file.raw(&[list, item])?;
        if file.raw(&[list, item, PathPart::Key("type")]) == Some(kind) {
            return Some(index);
        }
        index += 1;
    }
}

/// Adds files to the media bin in `draft_meta_info.json`.
fn add_to_bin(
    meta: &mut CompanionFile,
    entries: &[BinEntry],
    now: i64,
) -> capcut_draft::Result<()> {
    let Some(index) = list_of_type(meta, "draft_materials", b"0") else {
        return Ok(());
    };
    let list = [
        PathPart::Key("draft_materials"),
        PathPart::Index(index),
        PathPart::Key("value"),
    ];
    for entry in entries {
        meta.push(&list, &entry.value(now).to_string())?;
    }
    Ok(())
}

/// Adds files to the folders of the media bin in `draft_virtual_store.json`.
fn add_to_store(store: &mut CompanionFile, entries: &[BinEntry]) -> capcut_draft::Result<()> {
    let Some(index) = list_of_type(store, "draft_virtual_store", b"1") else {
        return Ok(());
    };
    let list = [
        PathPart::Key("draft_virtual_store"),
        PathPart::Index(index),
        PathPart::Key("value"),
    ];
    for entry in entries {
        let child = serde_json::json!({"child_id": entry.id, "parent_id": ""});
        store.push(&list, &child.to_string())?;
    }
    Ok(())
}

/// The files in `assets` of a draft folder, by their paths in the draft.
fn assets(folder: &Path) -> Vec<PathBuf> {
    let files = super::existing::walk(&folder.join("assets")).unwrap_or_default();
    files
        .iter()
        .map(|file| Path::new("assets").join(file))
        .collect()
}
