//! The cover that an edit chose for an opened draft.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use capcut_draft::field::root;
use capcut_draft::{Cover, Document, RootRef};

use super::super::cover::{CoverScene, Covers, made_of, unmade};
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
        let bytes = match &chosen {
            Cover::File(source) => match file_of_cover(source, temporary, media).await {
                Some(file) => picture(file, &draft.document).await?,
                None => None,
            },
            Cover::At(time) => {
                let time = Micros(time.micros);
                drawn(&draft.document, time, folder, media).await?
            }
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
    document: &Document,
) -> Result<Option<Vec<u8>>> {
    let summary = document.summary();
    let size = (summary.width as f64, summary.height as f64);
    blocking(move || {
        Ok(made_of(
            &file,
            content,
            Micros::ZERO,
            size,
            &Covers::default(),
        ))
    })
    .await
}

/// The picture of the draft at a time, from files that its caller may read.
async fn drawn(
    document: &Document,
    time: Micros,
    folder: Option<&Path>,
    media: &Media,
) -> Result<Option<Vec<u8>>> {
    let document = document.clone();
    let Some(scene) = blocking(move || Ok(CoverScene::new(&document, time))).await? else {
        return Ok(None);
    };
    let mut files = HashMap::new();
    for named in scene.files() {
        let Some(file) = located(named, folder) else {
            continue;
        };
        if let Some(file) = media.here(&file.to_string_lossy()).await {
            files.insert(named.to_owned(), file);
        }
    }
    blocking(move || Ok(scene.draw(&files))).await
}
