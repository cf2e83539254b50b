//! The cover that an edit chose for an opened draft.

use std::path::{Path, PathBuf};

use capcut_draft::field::{clip, root, track};
use capcut_draft::{Cover, Document, RootRef};

use super::super::cover::{Covers, made_of, unmade};
use super::super::{COVER_SOURCE, blocking, existing, file_of_cover};
use super::OpenedSubject;
use crate::draft::finished::ContentType;
use crate::engine::documents::document_error;
use crate::engine::package::cover;
use crate::engine::paths::located;
use crate::error::Result;
use crate::media::Media;
use crate::units::Micros;

/// The picture, and a note if it could not be made.
#[derive(Debug, Default)]
pub(super) struct ChosenPicture {
    pub bytes: Option<Vec<u8>>,
    pub note: Option<String>,
}

impl ChosenPicture {
    /// Makes the picture, and takes the choice out of the document, as the app has no place for it. `temporary` is a
    /// folder for a file from the web.
    pub(super) async fn take(
        draft: &mut OpenedSubject,
        temporary: &Path,
        media: &Media,
    ) -> Result<Self> {
        let Some(chosen) = draft.document.cover() else {
            return Ok(Self::default());
        };
        let mut edit = draft.document.edit();
        edit.clear(RootRef, &[root::COVER])
            .map_err(document_error)?;
        edit.commit();
        draft.rewrite();
        let folder = draft.from.folder.as_deref();
        let (file, at) = match &chosen {
            Cover::File(source) => (file_of_cover(source, temporary, media).await, Micros::ZERO),
            Cover::At(time) => match shown_at(&draft.document, time.micros, folder) {
                Some((file, at)) => {
                    let source = file.to_string_lossy().into_owned();
                    (file_of_cover(&source, temporary, media).await, at)
                }
                None => (None, Micros::ZERO),
            },
        };
        let bytes = match file {
            Some(file) => picture(file, at, &draft.document).await?,
            None => None,
        };
        let _ = tokio::fs::remove_file(temporary.join(COVER_SOURCE)).await;
        let note = bytes.is_none().then(|| match &chosen {
            Cover::File(source) => unmade(&format!("from {}", crate::media::shown(source))),
            Cover::At(_) => unmade("at its time"),
        });
        Ok(Self { bytes, note })
    }

    /// The files of the draft that become this picture.
    pub(super) fn files(&self, folder: &Path) -> Vec<(String, Vec<u8>)> {
        let Some(bytes) = &self.bytes else {
            return Vec::new();
        };
        let mut names = existing::covers(folder);
        if !names.iter().any(|name| name == cover::FILE) {
            names.push(cover::FILE.to_owned());
        }
        let is_other = |name: &String| {
            let there = crate::engine::marker::read(&folder.join(name));
            there.map_or(true, |there| there != *bytes)
        };
        let names = names.into_iter().filter(is_other);
        names.map(|name| (name, bytes.clone())).collect()
    }
}

async fn picture(
    (file, content): (PathBuf, ContentType),
    at: Micros,
    document: &Document,
) -> Result<Option<Vec<u8>>> {
    let summary = document.summary();
    let size = (summary.width as f64, summary.height as f64);
    blocking(move || Ok(made_of(&file, content, at, size, &Covers::default()))).await
}

/// The file of the topmost picture or video at a time, and the position in it.
fn shown_at(document: &Document, time: i64, folder: Option<&Path>) -> Option<(PathBuf, Micros)> {
    let tracks = document.tracks().into_iter().rev();
    let pictures = tracks.filter(|own| document.value(*own, &track::KIND) == "video");
    for own in pictures.flat_map(|own| document.clips(own).collect::<Vec<_>>()) {
        let target = document.target(own);
        let is_shown = document.value(own, &clip::VISIBLE);
        if !is_shown || time < target.start || time >= target.end() {
            continue;
        }
        let material = document.main_material(own)?;
        let path = document.text(material, &["path"])?;
        let passed = (time - target.start) as f64 * document.value(own, &clip::SPEED);
        let start = document.value(own, &clip::SOURCE).start;
        return Some((located(&path, folder)?, Micros(start + passed as i64)));
    }
    None
}
