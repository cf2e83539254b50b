//! Packs the folder of a saved draft into a zip file that works on any computer.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::Path;

use capcut_draft::{CompanionFile, Document, PathPart, RootRef, field};

use crate::engine::draft_files::{BACKUP, FileContent, LOCKED, META, ROOTS, content};
use crate::engine::folder_change;
use crate::engine::marker;
use crate::engine::moved_paths::moved;
use crate::engine::package::archive::{ArchiveManifest, ArchiveSource};
use crate::engine::package::pulled::{documents, files, is_document};
use crate::engine::paths::{TOKEN, is_foreign, plain, without_verbatim};
use crate::engine::profile::edition_of;
use crate::engine::registry;
use crate::error::{Error, Kind, Result};
use crate::units::Edition;

/// The folder of the media that this program put into a draft.
const MEDIA: &str = "assets/";

/// A packed draft.
#[derive(Debug)]
pub(crate) struct PackedFolder {
    pub manifest: ArchiveManifest,
    /// What is not in the zip file.
    pub notes: Vec<String>,
}

/// Packs the draft in `folder` into `to`, an empty file. It is for the app that its document names, otherwise for that of
/// `edition`.
pub(crate) fn pack_folder(
    folder: &Path,
    draft: &str,
    edition: Edition,
    to: &File,
) -> Result<PackedFolder> {
    let folder = folder
        .canonicalize()
        .map(without_verbatim)
        .map_err(|error| unpacked(folder, error))?;
    folder_change::settle(&folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let portable = Portable::read(&folder)?;
    let edition = portable.edition.unwrap_or(edition);
    let files: BTreeSet<String> = files(&folder)?
        .into_iter()
        .filter(|inside| is_packed(inside) && !portable.documents.contains_key(inside))
        .filter(|inside| {
            folder
                .join(inside)
                .symlink_metadata()
                .is_ok_and(|it| it.is_file())
        })
        .collect();
    let documents = portable.documents.into_iter();
    let source = ArchiveSource {
        draft,
        name: &name,
        edition,
        written_for: None,
        folder: &folder,
        documents: documents
            .map(|(name, bytes)| (name, Cow::Owned(bytes)))
            .collect(),
        files,
        media: portable.media,
    };
    let manifest = source
        .write(io::BufWriter::new(to))
        .and_then(|manifest| to.sync_all().map(|()| manifest))
        .map_err(|error| unpacked(&folder, error))?;
    let outside = portable.outside.len();
    let notes = portable.outside.first().map(|first| {
        format!(
            "{outside} media of the draft are not in the zip file, as they are not in the draft's folder, such as {first}"
        )
    });
    Ok(PackedFolder {
        manifest,
        notes: notes.into_iter().collect(),
    })
}

/// Whether a file belongs to the draft: not the state of this program or of a running app.
fn is_packed(inside: &str) -> bool {
    let first = inside.split('/').next().unwrap_or_default();
    !(first.starts_with(registry::TEMPORARY)
        || [marker::FILE, LOCKED, BACKUP, ".DS_Store", "Thumbs.db"].contains(&first))
}

/// The documents of a draft without paths and ids of this machine.
#[derive(Debug, Default)]
struct Portable {
    documents: BTreeMap<String, Vec<u8>>,
    /// The files in the folder to which they refer.
    media: BTreeSet<String>,
    /// Media outside the folder.
    outside: Vec<String>,
    /// The app that the draft is for.
    edition: Option<Edition>,
}

impl Portable {
    fn read(folder: &Path) -> Result<Self> {
        let mut portable = Self::default();
        let read = documents(folder)?;
        let stated = read.iter().find(|(name, _)| name == META);
        let stated = stated.and_then(|(_, bytes)| CompanionFile::parse(bytes.clone()).ok());
        let stated = stated.and_then(|meta| {
            let stated = plain(&meta.text(&[PathPart::Key("draft_fold_path")])?);
            (!stated.is_empty()).then_some(stated)
        });
        let here = registry::app_path(folder);
        let mut olds: Vec<&str> = vec![&here];
        olds.extend(stated.as_deref().filter(|stated| *stated != here));
        let media = RefCell::new(BTreeSet::new());
        let mut note = |below: &str| {
            if !below.split('/').any(|part| part == "..") && folder.join(below).is_file() {
                media.borrow_mut().insert(below.to_owned());
            }
            true
        };
        // The copies of a document have the same bytes.
        let mut known: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (name, bytes) in read {
            if !is_packed(&name) || !is_document(&name) {
                continue;
            }
            if let Some((_, after)) = known.iter().find(|(before, _)| *before == bytes) {
                portable.documents.insert(name, after.clone());
                continue;
            }
            let is_json = content(&bytes) == FileContent::Json;
            let Some(text) = std::str::from_utf8(&bytes).ok().filter(|_| is_json) else {
                portable.documents.insert(name, bytes);
                continue;
            };
            let mut after = text.to_owned();
            for old in &olds {
                after = moved(&after, old, TOKEN, &mut note);
            }
            // A draft that was saved for any folder has the token already. Elsewhere the app itself writes it.
            moved(&after, TOKEN, TOKEN, &mut |below| {
                below.starts_with(MEDIA) && note(below)
            });
            let after = if name == META {
                without_paths(after.into_bytes())
            } else {
                portable.without_machine(after.into_bytes(), ROOTS.contains(&&*name))
            };
            known.push((bytes, after.clone()));
            portable.documents.insert(name, after);
        }
        portable.media = media.into_inner();
        Ok(portable)
    }

    /// A document without the ids of this machine; a root document also shows which media are outside the folder.
    fn without_machine(&mut self, text: Vec<u8>, is_root: bool) -> Vec<u8> {
        let Ok(mut document) = Document::parse(text.clone()) else {
            return text;
        };
        if is_root {
            let source = document.value(RootRef, &field::root::PLATFORM.app_source);
            self.edition = self.edition.or(edition_of(&source));
        }
        if is_root && self.outside.is_empty() {
            for list in ["videos", "audios"] {
                for material in document.materials(list) {
                    let path = document.value(material, &field::material::PATH);
                    let is_here = Path::new(&path).is_absolute() && !is_foreign(&path);
                    if is_here && Path::new(&path).is_file() {
                        self.outside.push(path);
                    }
                }
            }
        }
        let platforms = [field::root::PLATFORM, field::root::LAST_MODIFIED_PLATFORM];
        let mut edit = document.edit();
        for id in platforms.iter().flat_map(|platform| &platform.machine) {
            if edit.get(RootRef, id).is_some_and(|id| !id.is_empty())
                && edit.set(RootRef, id.path, "").is_err()
            {
                return text;
            }
        }
        edit.commit();
        document.write()
    }
}

/// `draft_meta_info.json` without the draft's place.
fn without_paths(text: Vec<u8>) -> Vec<u8> {
    let Ok(mut meta) = CompanionFile::parse(text.clone()) else {
        return text;
    };
    for key in ["draft_fold_path", "draft_root_path"] {
        let path = [PathPart::Key(key)];
        if meta.raw(&path).is_some() && meta.set(&path, "").is_err() {
            return text;
        }
    }
    meta.write()
}

fn unpacked(folder: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull => "free some space on the server, and save the draft again",
        _ => "save the draft again",
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Error::new(
        Kind::Conflict,
        format!("the draft \"{name}\" cannot be packed"),
    )
    .hint(hint)
    .source(error)
}
