//! The cache in a folder.
//!
//! An entry is a file and a note. The note is written last and contains the file's name, size and modification time:
//! without a matching note there is no entry. A file in use has a shared lock; only files that can be locked exclusively are
//! removed.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{CachedFile, FRESH, NewContent};
use crate::media::MediaLimits;
use crate::media::http::Validators;
use crate::regular_file::{self, Links};
use crate::sorting;
use crate::storage;

const NOTE: &str = "json";
const MEDIA: &str = "media";
const PART: &str = "part";

pub(super) struct FolderCache {
    folder: PathBuf,
    most_bytes: u64,
    age: Duration,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CacheNote {
    file: String,
    bytes: u64,
    /// When the file was written: a different time means that another program changed it.
    written: Option<SystemTime>,
    /// When the server last confirmed that the file is current.
    confirmed: SystemTime,
    validators: Validators,
}

/// An entry in use, which is not removed.
#[derive(Debug)]
pub(crate) struct FolderEntry {
    path: PathBuf,
    file: File,
    note: CacheNote,
}

impl FolderEntry {
    pub(super) fn validators(&self) -> &Validators {
        &self.note.validators
    }

    pub(super) fn into_file(self) -> CachedFile {
        CachedFile {
            path: self.path,
            file: self.file,
            may_be_linked: true,
        }
    }

    /// Its note, now that the server has confirmed it.
    pub(super) fn confirmed(&mut self) -> CacheNote {
        self.note.confirmed = SystemTime::now();
        self.note.clone()
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub files: u64,
    pub bytes: u64,
}

impl FolderCache {
    pub(super) fn new(data: &Path, limits: &MediaLimits) -> Self {
        Self {
            folder: folder(data),
            most_bytes: limits.cache_bytes,
            age: Duration::from_secs(limits.cache_age_s),
        }
    }

    /// The entry, if it is complete and not too old.
    pub(super) fn find(&self, key: &str) -> Option<FolderEntry> {
        let note = self.note(key)?;
        let path = self.folder.join(&note.file);
        let file = regular_file::open(&path, Links::Refuse).ok()?;
        file.try_lock_shared().ok()?;
        let there = file.metadata().ok()?;
        let is_whole = there.len() == note.bytes && there.modified().ok() == note.written;
        let age = SystemTime::now().duration_since(note.confirmed).ok()?;
        (is_whole && age < self.age).then_some(FolderEntry { path, file, note })
    }

    fn note(&self, key: &str) -> Option<CacheNote> {
        let note = self.folder.join(key).with_extension(NOTE);
        let note = regular_file::read(&note, 64 << 10, Links::Refuse).ok()?;
        let note: CacheNote = serde_json::from_slice(&note).ok()?;
        // A file name of this cache, not a path.
        note.file
            .starts_with(key)
            .then_some(note)
            .filter(|note| Path::new(&note.file).file_name() == Some(note.file.as_ref()))
    }

    /// Writes the note of an entry that the server has confirmed.
    pub(super) fn write_confirmed(&self, key: &str, note: &CacheNote) {
        if let Err(error) = self.write_note(key, note) {
            tracing::debug!(%error, "the note of a cached file cannot be written");
        }
    }

    /// Caches a fetched file; returns whether that worked. Errors are only logged.
    pub(super) fn keep(&self, key: &str, content: &NewContent, validators: Validators) -> bool {
        let kept = match content {
            NewContent::Bytes(bytes) => self.try_to_keep(key, bytes.as_slice(), validators),
            NewContent::File(path) => {
                File::open(path).and_then(|file| self.try_to_keep(key, file, validators))
            }
        };
        kept.unwrap_or_else(|error| {
            tracing::info!(%error, folder = %self.folder.display(), "a fetched file is not cached");
            false
        })
    }

    fn try_to_keep(
        &self,
        key: &str,
        content: impl Read,
        validators: Validators,
    ) -> io::Result<bool> {
        regular_file::create_own_folder(&self.folder)?;
        let mut part = self.part()?;
        let bytes = io::copy(
            &mut content.take(self.most_bytes.saturating_add(1)),
            &mut part,
        )?;
        if bytes > self.most_bytes {
            return Ok(false);
        }
        // Complete before it gets its name.
        part.as_file().sync_all()?;
        let written = part.as_file().metadata()?.modified().ok();
        let before = self.note(key);
        let file = format!("{key}-{:08x}.{MEDIA}", fastrand::u32(..));
        // Locked before it gets its name, so that it is not removed before its note exists.
        part.as_file().lock_shared()?;
        let part = part.persist(self.folder.join(&file))?;
        let note = CacheNote {
            file,
            bytes,
            written,
            confirmed: SystemTime::now(),
            validators,
        };
        self.write_note(key, &note)?;
        drop(part);
        if let Some(before) = before {
            remove_unused(&self.folder.join(before.file));
        }
        self.shrink();
        Ok(true)
    }

    /// A temporary file, readable by the owner only.
    fn part(&self) -> io::Result<tempfile::NamedTempFile> {
        let suffix = format!(".{PART}");
        tempfile::Builder::new()
            .suffix(&suffix)
            .tempfile_in(&self.folder)
    }

    fn write_note(&self, key: &str, note: &CacheNote) -> io::Result<()> {
        let mut part = self.part()?;
        part.write_all(&serde_json::to_vec(note)?)?;
        part.persist(self.folder.join(key).with_extension(NOTE))?;
        Ok(())
    }

    /// Removes entries that are too old or exceed the size limit.
    fn shrink(&self) {
        prune(&self.folder, self.age, self.most_bytes);
    }
}

fn folder(data: &Path) -> PathBuf {
    data.join("media")
}

/// Removes the fetched media in this data folder that were not confirmed for `age`, unless they are in use.
pub(crate) fn prune_older(data: &Path, age: Duration) -> Removed {
    let mut removed = prune(&folder(data), age, u64::MAX);
    let (files, bytes) = storage::remove_copies(storage::Storage::media_copies(data), age);
    removed.files += files;
    removed.bytes += bytes;
    removed
}

fn prune(folder: &Path, age: Duration, most_bytes: u64) -> Removed {
    let mut removed = Removed::default();
    let now = SystemTime::now();
    let ago = |time: SystemTime| now.duration_since(time).unwrap_or_default();
    let mut entries: Vec<(SystemTime, PathBuf, Option<CacheNote>, u64)> = Vec::new();
    if !fs::symlink_metadata(folder).is_ok_and(|there| there.is_dir()) {
        return removed;
    }
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = file.path();
        let Some(there) = file.metadata().ok().filter(fs::Metadata::is_file) else {
            continue;
        };
        let written = there.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        match path.extension().and_then(|ending| ending.to_str()) {
            Some(MEDIA) => {
                let note = note_of(&path);
                let since = note.as_ref().map_or(written, |note| note.confirmed);
                entries.push((since, path, note, there.len()));
            }
            // Left by a killed process; a running download keeps writing to its file.
            Some(PART) if ago(written) >= FRESH.max(age) => removed.file(&path, there.len()),
            // A note whose file was removed.
            Some(NOTE) if ago(written) >= FRESH => {
                let note = regular_file::read(&path, 64 << 10, Links::Refuse).ok();
                let note = note.and_then(|note| serde_json::from_slice::<CacheNote>(&note).ok());
                if note.is_none_or(|note| !folder.join(note.file).exists()) {
                    removed.file(&path, there.len());
                }
            }
            _ => {}
        }
    }
    sorting::sort_by_key(&mut entries, |(since, ..)| *since);
    let mut all: u64 = entries.iter().map(|(.., bytes)| bytes).sum();
    for (since, path, note, bytes) in entries {
        // A file that was replaced while it was in use.
        let is_replaced = note.is_none() && ago(since) >= FRESH;
        if !(is_replaced || ago(since) >= age || all > most_bytes) || !remove_unused(&path) {
            continue;
        }
        all -= bytes;
        removed.files += 1;
        removed.bytes += bytes;
        if note.is_some() {
            let _ = fs::remove_file(note_path(&path));
        }
    }
    removed
}

/// The note that names this file, if one does.
fn note_of(media: &Path) -> Option<CacheNote> {
    let note = regular_file::read(&note_path(media), 64 << 10, Links::Refuse).ok()?;
    let note: CacheNote = serde_json::from_slice(&note).ok()?;
    (media.file_name() == Some(note.file.as_ref())).then_some(note)
}

fn note_path(media: &Path) -> PathBuf {
    let name = media.file_stem().unwrap_or_default().to_string_lossy();
    let key = name.split('-').next().unwrap_or_default();
    media.with_file_name(format!("{key}.{NOTE}"))
}

/// Removes a file unless it is in use; returns whether it was removed.
fn remove_unused(path: &Path) -> bool {
    let Ok(file) = regular_file::open(path, Links::Refuse) else {
        return false;
    };
    file.try_lock().is_ok() && fs::remove_file(path).is_ok()
}

impl Removed {
    pub(super) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    /// Removes a file, and counts it where that worked.
    pub(crate) fn file(&mut self, path: &Path, bytes: u64) {
        if fs::remove_file(path).is_ok() {
            self.files += 1;
            self.bytes += bytes;
        }
    }
}
