//! The media of an opened draft: those that edits brought in, and those that are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use capcut_draft::field::material::KIND as MATERIAL_KIND;
use capcut_draft::field::root;
use capcut_draft::{Document, MaterialRef, RootRef};

use super::super::fetching::{FetchedFile, fetch_one};
use super::super::home::DraftLocation;
use super::super::{make, name};
use super::OpenedSubject;
use crate::draft::finished::Needed;
use crate::engine::documents::{CopiedFile, document_error};
use crate::engine::package::files::BinEntry;
use crate::engine::paths::{below, file_name, is_foreign, located, plain};
use crate::engine::profile::is_linked_to_media_list;
use crate::engine::registry;
use crate::error::Result;
use crate::media::Media;

/// The lists of materials with media files.
const LISTS: [&str; 2] = ["videos", "audios"];

/// Media that were copied into the folder of the draft.
#[derive(Debug, Default)]
pub(super) struct CopiedMedia {
    /// By source.
    pub files: BTreeMap<String, CopiedFile>,
    /// The files that are new in it.
    pub new: Vec<String>,
    /// Their entries in the media bin.
    pub entries: Vec<BinEntry>,
    /// Their size.
    pub bytes: u64,
    /// What could not be copied.
    pub notes: Vec<String>,
}

pub(super) fn media_of(
    document: &Document,
) -> impl Iterator<Item = (&'static str, MaterialRef, String)> {
    LISTS.into_iter().flat_map(move |list| {
        document.materials(list).filter_map(move |material| {
            let path = document.text(material, &["path"])?.into_owned();
            (!path.is_empty()).then_some((list, material, path))
        })
    })
}

/// The media files that edits brought in from outside the draft's folder.
pub(super) fn brought(draft: &OpenedSubject, folder: &Path) -> Vec<Needed> {
    let Some(base) = &draft.base else {
        return Vec::new();
    };
    let here = registry::app_path(folder);
    let mut seen = BTreeSet::new();
    let document = &draft.document;
    media_of(document)
        .filter(|(.., path)| {
            let file = Path::new(path);
            !base.media.contains(path)
                && file.is_absolute()
                && !is_foreign(path)
                && below(&plain(path), &here).is_none()
                && seen.insert(path.clone())
        })
        .map(|(list, material, source)| Needed {
            list,
            id: document.id(material).into_owned(),
            is_picture: document
                .text(material, &["type"])
                .is_some_and(|kind| kind == "photo"),
            place: String::new(),
            shown: None,
            source,
        })
        .collect()
}

/// Copies media into the folder `into`, which becomes or is added to the draft's folder; `there` are the files that it
/// has already, and `known` those that were copied into it before.
pub(super) async fn copy(
    needed: &[Needed],
    (draft, home): (&str, &DraftLocation),
    (there, known): (&[PathBuf], &BTreeMap<String, CopiedFile>),
    into: &Path,
    media: &Media,
) -> Result<CopiedMedia> {
    let mut copied = CopiedMedia::default();
    let names = name::of_media(needed, there, name::LONGEST);
    for (needed, (kind, stem)) in needed.iter().zip(&names) {
        let earlier = known.get(&needed.source);
        let earlier = earlier.filter(|file| there.contains(&PathBuf::from(&file.inside)));
        if let Some(file) = earlier {
            copied.files.insert(needed.source.clone(), file.clone());
            continue;
        }
        make(&into.join("assets").join(kind))?;
        match fetch_one(needed, (kind, stem), into, media, &|_, _| ()).await {
            Ok(file) => copied.add(needed, &file, draft, home),
            Err(error) => copied.notes.push(format!(
                "{} was not copied into the draft: {}",
                needed.source, error.message
            )),
        }
    }
    Ok(copied)
}

impl CopiedMedia {
    fn add(&mut self, needed: &Needed, file: &FetchedFile, draft: &str, home: &DraftLocation) {
        let named = file.named(home, draft);
        self.entries.push(file.entry(&named));
        let copied = CopiedFile {
            inside: file.inside.clone(),
            bin_id: named.bin_id,
        };
        self.files.insert(needed.source.clone(), copied);
        self.new.push(file.inside.clone());
        self.bytes += file.bytes;
    }

    /// Lets the document use the copies.
    pub(super) fn place(&self, document: &mut Document, home: &DraftLocation) -> Result<()> {
        let all: Vec<_> = media_of(document).collect();
        let version = document.value(RootRef, &root::NEW_VERSION);
        let mut edit = document.edit();
        for (list, material, source) in all {
            let Some(file) = self.files.get(&source) else {
                continue;
            };
            let path = format!("{}/{}", home.media, file.inside);
            edit.set(material, &["path"], path.as_str())
                .map_err(document_error)?;
            let kind = edit.value(material, &MATERIAL_KIND);
            if is_linked_to_media_list(list, &kind, &version) {
                edit.set(material, &["local_material_id"], file.bin_id.as_str())
                    .map_err(document_error)?;
            }
        }
        edit.commit();
        Ok(())
    }
}

/// The names of media that should be on this machine and are not.
pub(super) fn missing(document: &Document, folder: Option<&Path>) -> Vec<String> {
    let mut names = Vec::new();
    for (.., path) in media_of(document) {
        let file = located(&path, folder);
        let name = file_name(&path).to_owned();
        if file.is_some_and(|file| !file.exists()) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// How many media files on this machine the document uses, and their size.
pub(super) fn counted(document: &Document, folder: Option<&Path>) -> (u64, u64) {
    let files = media_of(document).filter_map(|(.., path)| located(&path, folder));
    let files: BTreeSet<PathBuf> = files.collect();
    let sizes = files.iter().filter_map(|file| {
        let there = std::fs::metadata(file).ok()?;
        there.is_file().then_some(there.len())
    });
    sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
}
