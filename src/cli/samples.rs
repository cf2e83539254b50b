//! The example plans and their small media, which are built into the executable for `init` and `quickstart`.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};

/// A file of the folder `examples`, with its path relative to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub path: &'static str,
    pub content: &'static [u8],
}

macro_rules! sample {
    ($path:literal) => {
        Sample {
            path: $path,
            content: include_bytes!(concat!("../../examples/", $path)),
        }
    };
}

pub(super) const FIRST_DRAFT: Sample = sample!("first-draft.yaml");
pub(super) const SLIDESHOW: Sample = sample!("slideshow.yaml");
pub(super) const AD: Sample = sample!("product-ad.toml");
pub(super) const KARAOKE: Sample = sample!("karaoke.yaml");
pub(super) const BATCH: Sample = sample!("batch.yaml");
pub(super) const BATCH_TABLE: Sample = sample!("batch.csv");

pub(super) const PICTURE: Sample = sample!("media/picture.jpg");

const MEDIA: [Sample; 6] = [
    sample!("media/captions.srt"),
    sample!("media/clip.mp4"),
    sample!("media/logo.png"),
    sample!("media/music.mp3"),
    PICTURE,
    sample!("media/voice.mp3"),
];

impl Sample {
    pub(super) fn text(self) -> &'static str {
        std::str::from_utf8(self.content).unwrap_or_default()
    }

    /// The media that a plan names.
    pub(super) fn media(self) -> impl Iterator<Item = Sample> {
        MEDIA
            .into_iter()
            .filter(move |media| self.text().contains(media.path))
    }
}

/// Creates a folder and its parents.
pub(super) fn folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path)
        .map_err(|e| Error::invalid(format!("{} cannot be created", path.display())).source(e))
}

/// Writes a new file. An existing file with the same content is kept; with other content it is an error.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |e| Error::invalid(format!("{} cannot be written", path.display())).source(e);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(content).map_err(failed),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if is_same(path, content) {
                return Ok(());
            }
            let message = format!("{} already exists with other content", path.display());
            Err(Error::new(Kind::Conflict, message)
                .hint("choose another file, or move the existing one away"))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whether a file has exactly this content.
fn is_same(path: &Path, content: &[u8]) -> bool {
    let is_as_long = fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.len() == content.len() as u64);
    is_as_long && fs::read(path).is_ok_and(|found| found == content)
}

/// Writes or replaces one of this program's own files, under a temporary name first, so that it is never incomplete.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |e| Error::invalid(format!("{} cannot be written", path.display())).source(e);
    if is_same(path, content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// Writes new files and returns for each whether it is new. Nothing is written if one of them exists with other
/// content.
pub(super) fn write_all(files: &[(PathBuf, Vec<u8>)]) -> Result<Vec<(&Path, bool)>> {
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    let known: Vec<bool> = files.iter().map(|(path, _)| is_there(path)).collect();
    for ((path, content), _) in files.iter().zip(&known).filter(|(_, known)| **known) {
        write(path, content)?;
    }
    let mut written = Vec::new();
    for ((path, content), known) in files.iter().zip(known) {
        write(path, content)?;
        written.push((path.as_path(), !known));
    }
    Ok(written)
}
