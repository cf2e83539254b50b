//! Fixes the folder `Timelines`: the folder of the main timeline gets the document's id as its name and a copy of
//! the document.

use serde_json::{Value, json};

use super::{FixRun, FixTarget};
use crate::draft::finished::list_mut;
use crate::engine::timelines::{self, DOCUMENTS, FOLDER, LAYOUT, PROJECT, Timeline};
use crate::error::{Error, Result};
use crate::lint::folder::ROOTS;
use crate::lint::timelines::is_listed;
use crate::regular_file::{self, DOCUMENT_BYTES, Links};

const COVER: &str = "draft_cover.jpg";

/// The document that will be written to the draft's folder.
pub(super) struct WrittenDocument<'a> {
    pub timeline: Timeline<'a>,
    pub bytes: &'a [u8],
    /// Write it with both names, not only the one that the app on the draft's system reads.
    pub both: bool,
}

impl FixRun {
    /// Renames the folder of the main timeline to the document's id, before its files are written.
    pub(super) fn rename_timeline(&mut self, patient: &FixTarget<'_>, id: &str) {
        let folder = patient.folder;
        let (Some(main), Some(project)) = (&folder.main_timeline, &folder.project) else {
            return;
        };
        if main.eq_ignore_ascii_case(id) {
            return;
        }
        let (from, to) = (timelines::folder(main), timelines::folder(id));
        if folder.path.join(&from).is_dir() && !folder.path.join(&to).exists() {
            self.rename_file(from, to);
        }
        let mut project = project.clone();
        timelines::rename(&mut project, main, id);
        self.write(PROJECT, project.to_string().as_bytes());
        let layout = regular_file::read(&folder.path.join(LAYOUT), DOCUMENT_BYTES, Links::Refuse);
        let layout = layout
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        if let Some(before) = layout {
            let mut layout = before.clone();
            timelines::rename(&mut layout, main, id);
            if layout != before {
                self.write(LAYOUT, layout.to_string().as_bytes());
            }
        }
    }

    /// Writes the missing files of the folder.
    pub(super) fn complete_timelines(
        &mut self,
        patient: &FixTarget<'_>,
        written: &WrittenDocument<'_>,
    ) -> Result<()> {
        let codes = ["timelines-missing", "timeline-missing", "timeline-id"];
        if !codes.iter().any(|code| patient.has(code)) {
            return Ok(());
        }
        let folder = patient.folder;
        let timeline = &written.timeline;
        let place = timeline.folder();
        for inside in [FOLDER, &place] {
            let path = folder.path.join(inside);
            if path.is_symlink() {
                return Err(
                    Error::conflict(format!("{} is a symbolic link", path.display()))
                        .hint("replace the link with the folder itself"),
                );
            }
        }
        match &folder.project {
            Some(project) if folder.main_timeline.is_some() => {
                // A project in which the timeline is renamed is checked again in the next round.
                let is_renamed = self.pending.files.contains_key(PROJECT);
                let is_missing = !is_renamed && !is_listed(folder, &timeline.id);
                if is_missing && patient.has("timeline-id") {
                    let mut project = project.clone();
                    match list_mut(&mut project, "timelines") {
                        Some(all) => all.push(timeline.entry()),
                        None => project["timelines"] = json!([timeline.entry()]),
                    }
                    self.write(PROJECT, project.to_string().as_bytes());
                }
            }
            _ => {
                self.write(PROJECT, timeline.project().to_string().as_bytes());
                if !self.pending.has(folder, LAYOUT) {
                    self.write(LAYOUT, timeline.layout().to_string().as_bytes());
                }
            }
        }
        let is_new = !ROOTS
            .iter()
            .any(|root| self.pending.has(folder, &format!("{place}/{root}")));
        for name in DOCUMENTS {
            let nested = format!("{place}/{name}");
            let is_needed = if ROOTS.contains(&name) {
                written.both || name == patient.profile.primary_file()
            } else {
                is_new
            };
            if is_needed && !self.pending.has(folder, &nested) {
                self.write(&nested, written.bytes);
            }
            // Some versions read the mirror first, so every mirror must be the same as the document.
            if is_new && !ROOTS.contains(&name) && !self.pending.has(folder, name) {
                self.write(name, written.bytes);
            }
        }
        if is_new {
            self.add_companions(patient, timeline);
        }
        Ok(())
    }

    fn add_companions(&mut self, patient: &FixTarget<'_>, timeline: &Timeline<'_>) {
        let folder = patient.folder;
        let place = timeline.folder();
        let cover = regular_file::read(&folder.path.join(COVER), DOCUMENT_BYTES, Links::Refuse);
        let nested = |name: &str| format!("{place}/{name}");
        let mut all: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, bytes) in timeline.companions() {
            all.push((name.to_owned(), bytes.clone()));
            all.push((nested(name), bytes));
        }
        all.extend(cover.ok().map(|bytes| (nested(COVER), bytes)));
        for (name, bytes) in all {
            if !self.pending.has(folder, &name) {
                self.write(&name, &bytes);
            }
        }
    }
}
