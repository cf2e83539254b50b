//! A cache of media fetched from the web, shared by the drafts of all processes: in a folder of this machine, or in a
//! bucket, so that all servers that use it have the same media.
//!
//! Entries have a key of the address and the caller's access, so that no address is visible and no entry is returned to a
//! caller that could not have fetched it.

mod expiry;
mod folder;
mod shared;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;
use sha2::{Digest as _, Sha256};

use super::http::Validators;
use super::probe::Depth;
use super::{Facts, MediaLimits, blocking, cancellable, probed};
use crate::caller::Access;
use crate::error::{Error, Kind, Result};
use crate::storage::{ContentStore, KeyedTurns};

pub(crate) use expiry::{MADE, NeededMedia, remove_expired, source_key};
use folder::{FolderCache, FolderEntry};
pub(crate) use folder::{Removed, prune_older};
use shared::{SharedCache, SharedEntry};

/// How long a confirmation from the server is used: all drafts of a batch share one.
const FRESH: Duration = Duration::from_mins(1);

pub(super) struct Cache {
    kept: CacheKind,
    /// When the server last confirmed an entry to this process.
    confirmed: Mutex<HashMap<CacheKey, Instant>>,
    turns: KeyedTurns<CacheKey>,
}

enum CacheKind {
    Folder(Arc<FolderCache>),
    Shared(Box<SharedCache>),
}

/// The key of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    /// A hash of the address and the access.
    id: String,
    /// A hash of the address.
    url: String,
}

/// An entry in use, which is not removed.
pub(super) enum CacheEntry {
    Folder(FolderEntry),
    Shared(SharedEntry),
}

/// A file of an entry.
pub(super) struct CachedFile {
    pub path: PathBuf,
    pub file: File,
    /// Whether other files may be links to it.
    pub may_be_linked: bool,
}

/// What was found for a key.
#[derive(Default)]
pub(super) struct CacheLookup {
    pub entry: Option<CacheEntry>,
    /// Why it is not known whether there is an entry.
    pub failure: Option<Error>,
}

/// The content of a new entry.
pub(super) enum NewContent {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Cache {
    /// The cache; `None` if it is disabled.
    pub(super) fn new(
        data: Option<&Path>,
        limits: &MediaLimits,
        shared: Option<ContentStore>,
    ) -> Option<Self> {
        let data = data.filter(|_| limits.cache_bytes > 0)?;
        let kept = match shared {
            Some(content) => CacheKind::Shared(Box::new(SharedCache::new(content))),
            None => CacheKind::Folder(Arc::new(FolderCache::new(data, limits))),
        };
        Some(Self {
            kept,
            confirmed: Mutex::default(),
            turns: KeyedTurns::default(),
        })
    }

    pub(super) fn key(access: &Access, url: &Url) -> CacheKey {
        let mut hash = Sha256::new();
        hash.update(access.fetch_key());
        hash.update([0]);
        hash.update(url.as_str());
        CacheKey {
            id: hex(&hash.finalize()),
            url: key_of_url(url),
        }
    }

    /// Held while an entry is fetched, so that other requests for it wait.
    pub(super) fn turn(&self, key: &CacheKey) -> Arc<tokio::sync::Mutex<()>> {
        self.turns.of(key)
    }

    /// Whether the server has confirmed the entry a moment ago.
    pub(super) fn is_fresh(&self, key: &CacheKey, entry: &CacheEntry) -> bool {
        let confirmed = self
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_known = confirmed.get(key).is_some_and(|at| at.elapsed() < FRESH);
        // To another server, for a shared cache.
        is_known || matches!(entry, CacheEntry::Shared(entry) if entry.is_fresh())
    }

    /// Looks for an entry. It is looked for outside the threads that answer clients, because the disk may be slow.
    pub(super) async fn look(&self, key: &CacheKey) -> CacheLookup {
        let found = match &self.kept {
            CacheKind::Folder(folder) => {
                let (folder, key) = (Arc::clone(folder), key.clone());
                let found = blocking(move || Ok(folder.find(&key.id))).await;
                found.map(|entry| entry.map(CacheEntry::Folder))
            }
            CacheKind::Shared(shared) => {
                let found = shared.find(key).await;
                found.map(|entry| entry.map(CacheEntry::Shared))
            }
        };
        match found {
            Ok(entry) => CacheLookup {
                entry,
                failure: None,
            },
            Err(error) => {
                tracing::warn!("fetched media cannot be looked up: {}", error.cause());
                CacheLookup {
                    entry: None,
                    failure: Some(error),
                }
            }
        }
    }

    /// Records that the server confirmed the entry.
    pub(super) async fn confirm(&self, key: &CacheKey, entry: &mut CacheEntry) {
        self.remember(key);
        match (&self.kept, entry) {
            (CacheKind::Folder(folder), CacheEntry::Folder(entry)) => {
                let (folder, key) = (Arc::clone(folder), key.clone());
                let note = entry.confirmed();
                let written = blocking(move || {
                    folder.write_confirmed(&key.id, &note);
                    Ok(())
                });
                if let Err(error) = written.await {
                    tracing::debug!(
                        "the note of a cached file is not written: {}",
                        error.cause()
                    );
                }
            }
            (CacheKind::Shared(shared), CacheEntry::Shared(entry)) => {
                shared.confirm(key, entry).await;
            }
            _ => {}
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
    pub(super) async fn keep(
        &self,
        key: &CacheKey,
        content: NewContent,
        facts: &Facts,
        validators: Validators,
    ) {
        let is_kept = match &self.kept {
            CacheKind::Folder(folder) => {
                let (folder, id) = (Arc::clone(folder), key.id.clone());
                blocking(move || Ok(folder.keep(&id, &content, validators))).await
            }
            CacheKind::Shared(shared) => shared
                .keep(key, content, facts, validators)
                .await
                .map(|()| true),
        };
        match is_kept {
            Ok(true) => self.remember(key),
            Ok(false) => {}
            Err(error) => tracing::warn!("a fetched file is not cached: {}", error.cause()),
        }
    }

    /// The file of an entry; `None` if it has been removed from a shared cache.
    ///
    /// # Errors
    /// If the shared cache does not answer.
    pub(super) async fn file(&self, entry: CacheEntry) -> Result<Option<CachedFile>> {
        match (&self.kept, entry) {
            (_, CacheEntry::Folder(entry)) => Ok(Some(entry.into_file())),
            (CacheKind::Shared(shared), CacheEntry::Shared(entry)) => shared.file(&entry).await,
            (CacheKind::Folder(_), CacheEntry::Shared(_)) => Ok(None),
        }
    }
}

impl CacheEntry {
    pub(super) fn validators(&self) -> Option<&Validators> {
        let validators = match self {
            Self::Folder(entry) => entry.validators(),
            Self::Shared(entry) => entry.validators(),
        };
        validators.are_there().then_some(validators)
    }

    /// What is known about the file.
    pub(super) async fn facts(self, limits: &MediaLimits, shown: String) -> Result<Facts> {
        match self {
            Self::Folder(entry) => {
                let CachedFile { path, file, .. } = entry.into_file();
                cancellable(limits, move |guard| {
                    // It is in use until it has been read.
                    let _file = file;
                    probed(&path, &shown, guard, Depth::Facts)
                })
                .await
            }
            Self::Shared(entry) => Ok(entry.into_facts()),
        }
    }

    /// Whether it is used although the source could not be asked. A draft on any server has to find its media, also after a
    /// link has expired or a host is gone; what a caller may not fetch stays refused.
    pub(super) fn stands_in(&self, failure: &Error) -> bool {
        let is_refused = matches!(failure.kind, Kind::InvalidArgument | Kind::Internal);
        matches!(self, Self::Shared(_)) && !is_refused
    }
}

/// A hash of an address.
pub(super) fn key_of_url(url: &Url) -> String {
    hex(&Sha256::digest(url.as_str()))
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}
