//! Finds moved media files below a folder that the user names.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use capcut_draft::{Fields, MaterialRef, field};

use super::folder::Folder;
use super::media;
use super::sniff::{self, FileContents};
use crate::engine::marker::WrittenFile;
use crate::engine::paths::without_verbatim;
use crate::error::{Error, Result};
use crate::units::Micros;

/// How many levels of folders are searched.
const DEPTH: usize = 8;
/// Maximum number of files and folders to look at.
const MOST: usize = 50_000;

/// The files below a folder, by their names in lower case.
#[derive(Clone, Debug)]
pub(crate) struct MovedMedia {
    by_name: HashMap<String, Vec<PathBuf>>,
}

impl MovedMedia {
    /// Reads the names below `folder`; links are not followed.
    pub(crate) fn below(folder: &Path) -> Result<Self> {
        let folder = folder
            .canonicalize()
            .map(without_verbatim)
            .ok()
            .filter(|folder| folder.is_dir())
            .ok_or_else(|| {
                Error::not_found(format!("the folder {} does not exist", folder.display()))
                    .hint("`--media` takes the folder that the media were moved to")
            })?;
        let mut by_name: HashMap<String, Vec<PathBuf>> = HashMap::new();
        let mut folders = vec![(folder, 0)];
        let mut seen = 0;
        while let Some((folder, depth)) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                seen += 1;
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if seen > MOST {
                    return Err(Error::invalid(format!(
                        "`--media`: the folder contains more than {MOST} files and folders"
                    ))
                    .hint("name a folder deeper inside, closer to the media"));
                }
                if kind.is_dir() && depth < DEPTH {
                    folders.push((entry.path(), depth + 1));
                } else if kind.is_file() {
                    let name = entry.file_name().to_string_lossy().to_lowercase();
                    by_name.entry(name).or_default().push(entry.path());
                }
            }
        }
        for files in by_name.values_mut() {
            files.sort();
        }
        Ok(Self { by_name })
    }

    /// The files with this name that can be the file of a material.
    pub(super) fn candidates(
        &self,
        folder: &Folder,
        is_sound: bool,
        material: &Fields<'_, MaterialRef>,
        (path, name): (&str, &str),
    ) -> Vec<&PathBuf> {
        let size = written_size(folder, path);
        let named = self.by_name.get(&name.to_lowercase());
        named
            .into_iter()
            .flatten()
            .filter(|file| match size {
                Some(size) => fs::metadata(file).is_ok_and(|file| file.len() == size),
                None => fits(file, is_sound, material),
            })
            .collect()
    }
}

/// The size in bytes of a file that this program wrote into the draft.
fn written_size(folder: &Folder, path: &str) -> Option<u64> {
    let inside = super::meta::in_draft(folder, path);
    match folder
        .marker
        .as_ref()?
        .files
        .get(inside.strip_prefix("./")?)?
    {
        WrittenFile::Media(stamp) => Some(stamp.bytes),
        WrittenFile::Hash(_) => None,
    }
}

/// Whether a file has the kind, length and size in pixels that a material states. A document does not state the
/// size of a file in bytes.
fn fits(file: &Path, is_sound: bool, material: &Fields<'_, MaterialRef>) -> bool {
    let FileContents::Media(facts) = sniff::look(file, &file.to_string_lossy()) else {
        return false;
    };
    let said = Micros(material.value(&field::material::DURATION));
    let lasts = facts.duration.max(facts.audio_duration.unwrap_or_default());
    let is_still = media::is_still(material);
    let tolerance = (said.0 / 50).max(300_000);
    let has_length = is_still || said.0 <= 0 || (lasts - said).0.abs() <= tolerance;
    let sides = [field::material::WIDTH, field::material::HEIGHT];
    let mut sides = sides.map(|side| material.value(&side));
    let mut own = [i64::from(facts.width), i64::from(facts.height)];
    // A turned picture has its sides in either order.
    sides.sort_unstable();
    own.sort_unstable();
    let has_size = is_sound || sides[0] <= 0 || sides == own;
    media::fits(is_sound, &facts) && has_length && has_size
}
