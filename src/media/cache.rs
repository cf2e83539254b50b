//! A cache on disk of media fetched from the web, shared by the drafts of all processes.
//!
//! An entry is a file and a note. Both are named by a hash of the address and the caller's access, so that no
//! address is visible and no entry is returned to a caller that could not have fetched it. The note is written
//! last and contains the file's name, size and modification time: without a matching note there is no entry. A
//! file in use has a shared lock; only files that can be locked exclusively are removed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use reqwest::Url;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::MediaLimits;
use super::http::Validators;
use crate::caller::Access;
use crate::regular_file::{self, Links};
use crate::sorting;

/// How long a confirmation from the server is used: all drafts of a batch share one.
const FRESH: Duration = Duration::from_mins(1);
const NOTE: &str = "json";
const MEDIA: &str = "media";
const PART: &str = "part";

pub(super) struct Cache {
    folder: PathBuf,
    most_bytes: u64,
    age: Duration,
    /// When the server last confirmed an entry to this process.
    confirmed: Mutex<HashMap<CacheKey, Instant>>,
    turns: Mutex<HashMap<CacheKey, Weak<tokio::sync::Mutex<()>>>>,
}

/// The key of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CacheKey(String);

#[derive(Debug, Serialize, Deserialize)]
struct CacheNote {
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
pub(super) struct CacheEntry {
    pub path: PathBuf,
    file: File,
    note: CacheNote,
}

impl CacheEntry {
    pub(super) fn validators(&self) -> Option<&Validators> {
        let validators = &self.note.validators;
        validators.are_there().then_some(validators)
    }

    /// Writes its bytes to another file.
    pub(super) fn copy_to(&mut self, to: &mut File) -> io::Result<u64> {
        io::copy(&mut self.file, to)
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub files: u64,
    pub bytes: u64,
}

impl Cache {
    /// The cache; `None` if it is disabled.
    pub(super) fn new(data: Option<&Path>, limits: &MediaLimits) -> Option<Self> {
        Some(Self {
            folder: folder(data.filter(|_| limits.cache_bytes > 0)?),
            most_bytes: limits.cache_bytes,
            age: Duration::from_secs(limits.cache_age_s),
            confirmed: Mutex::default(),
            turns: Mutex::default(),
        })
    }

    pub(super) fn key(access: &Access, url: &Url) -> CacheKey {
        let mut hash = Sha256::new();
        hash.update(access.fetch_key());
        hash.update([0]);
        hash.update(url.as_str());
        CacheKey(
            hash.finalize()
                .iter()
                .fold(String::new(), |text, byte| format!("{text}{byte:02x}")),
        )
    }

    /// Held while an entry is fetched, so that other requests for it wait.
    pub(super) fn turn(&self, key: &CacheKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }

    pub(super) fn is_fresh(&self, key: &CacheKey) -> bool {
        let confirmed = self
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        confirmed.get(key).is_some_and(|at| at.elapsed() < FRESH)
    }

    /// The entry, if it is complete and not too old.
    pub(super) fn find(&self, key: &CacheKey) -> Option<CacheEntry> {
        let note = self.note(key)?;
        let path = self.folder.join(&note.file);
        let file = regular_file::open(&path, Links::Refuse).ok()?;
        file.try_lock_shared().ok()?;
        let there = file.metadata().ok()?;
        let is_whole = there.len() == note.bytes && there.modified().ok() == note.written;
        let age = SystemTime::now().duration_since(note.confirmed).ok()?;
        (is_whole && age < self.age).then_some(CacheEntry { path, file, note })
    }

    fn note(&self, key: &CacheKey) -> Option<CacheNote> {
        let note = self.folder.join(&key.0).with_extension(NOTE);
        let note = regular_file::read(&note, 64 << 10, Links::Refuse).ok()?;
        let note: CacheNote = serde_json::from_slice(&note).ok()?;
        // A file name of this cache, not a path.
        note.file
            .starts_with(&key.0)
            .then_some(note)
            .filter(|note| Path::new(&note.file).file_name() == Some(note.file.as_ref()))
    }

    /// Records that the server confirmed the entry.
    pub(super) fn confirm(&self, key: &CacheKey, kept: &mut CacheEntry) {
        self.remember(key);
        kept.note.confirmed = SystemTime::now();
        if let Err(error) = self.write_note(key, &kept.note) {
            tracing::debug!(%error, "the note of a cached file cannot be written");
        }
    }

    fn remember(&self, key: &CacheKey) {
        let mut confirmed = self
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        confirmed.retain(|_, at| at.elapsed() < FRESH);
        confirmed.insert(key.clone(), Instant::now());
    }

    /// Caches a fetched file. Errors are only logged: the file is then fetched again the next time.
    pub(super) fn keep(&self, key: &CacheKey, content: impl Read, validators: Validators) {
        if let Err(error) = self.try_to_keep(key, content, validators) {
            tracing::info!(%error, folder = %self.folder.display(), "a fetched file is not cached");
        }
    }

    fn try_to_keep(
        &self,
        key: &CacheKey,
        content: impl Read,
        validators: Validators,
    ) -> io::Result<()> {
        regular_file::create_own_folder(&self.folder)?;
        let mut part = self.part()?;
        let bytes = io::copy(
            &mut content.take(self.most_bytes.saturating_add(1)),
            &mut part,
        )?;
        if bytes > self.most_bytes {
            return Ok(());
        }
        // Complete before it gets its name.
        part.as_file().sync_all()?;
        let written = part.as_file().metadata()?.modified().ok();
        let before = self.note(key);
        let file = format!("{}-{:08x}.{MEDIA}", key.0, fastrand::u32(..));
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
        self.remember(key);
        drop(part);
        if let Some(before) = before {
            remove_unused(&self.folder.join(before.file));
        }
        self.shrink();
        Ok(())
    }

    /// A temporary file, readable by the owner only.
    fn part(&self) -> io::Result<tempfile::NamedTempFile> {
        let suffix = format!(".{PART}");
        tempfile::Builder::new()
            .suffix(&suffix)
            .tempfile_in(&self.folder)
    }

    fn write_note(&self, key: &CacheKey, note: &CacheNote) -> io::Result<()> {
        let mut part = self.part()?;
        part.write_all(&serde_json::to_vec(note)?)?;
        part.persist(self.folder.join(&key.0).with_extension(NOTE))?;
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
    prune(&folder(data), age, u64::MAX)
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
    /// Removes a file, and counts it where that worked.
    pub(crate) fn file(&mut self, path: &Path, bytes: u64) {
        if fs::remove_file(path).is_ok() {
            self.files += 1;
            self.bytes += bytes;
        }
    }
}
