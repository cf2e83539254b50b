//! The cache in a bucket: the content of files by its hash, and for each key a note that says which content it has.
//!
//! A note is written by a server that has just asked the source, and the last one stays: each of them was true when it was
//! written, and a note that is older than the last one costs no more than another question to the source. Nothing is gained
//! by comparing before writing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::{CacheKey, CachedFile, FRESH, NewContent};
use crate::error::{Error, Kind, Result};
use crate::media::http::Validators;
use crate::media::{Facts, blocking};
use crate::regular_file::{self, Links};
use crate::storage::ContentStore;

/// The group of the notes; the hash of an address is the second part of a note's key.
pub(crate) const URLS: &str = "urls";

pub(super) struct SharedCache {
    content: ContentStore,
    /// Notes that this process has read or written a moment ago.
    known: Mutex<HashMap<CacheKey, (Instant, SharedEntry)>>,
}

/// What is known about a fetched file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SharedEntry {
    pub sha256: String,
    pub bytes: u64,
    /// When the source last confirmed that the content is current, by the clock of the server that asked it.
    pub confirmed: SystemTime,
    validators: Validators,
    facts: Facts,
}

impl SharedEntry {
    pub(super) fn validators(&self) -> &Validators {
        &self.validators
    }

    pub(super) fn is_fresh(&self) -> bool {
        let age = SystemTime::now().duration_since(self.confirmed);
        age.is_ok_and(|age| age < FRESH)
    }

    pub(super) fn into_facts(self) -> Facts {
        self.facts
    }
}

impl SharedCache {
    pub(super) fn new(content: ContentStore) -> Self {
        Self {
            content,
            known: Mutex::default(),
        }
    }

    /// The entry, if its content is in the bucket.
    pub(super) async fn find(&self, key: &CacheKey) -> Result<Option<SharedEntry>> {
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(key).cloned()
        };
        if let Some((when, entry)) = known
            && when.elapsed() < FRESH
        {
            return Ok(Some(entry));
        }
        let Some(note) = self.content.note(&group_of(key), &key.id).await? else {
            return Ok(None);
        };
        let Ok(entry) = serde_json::from_slice::<SharedEntry>(&note) else {
            tracing::warn!("a note about a fetched file is damaged: the file is fetched again");
            return Ok(None);
        };
        if !self.content.has(&entry.sha256, entry.bytes).await? {
            return Ok(None);
        }
        self.remember(key, &entry);
        Ok(Some(entry))
    }

    fn remember(&self, key: &CacheKey, entry: &SharedEntry) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (when, _)| when.elapsed() < FRESH);
        known.insert(key.clone(), (Instant::now(), entry.clone()));
    }

    /// Records that the source confirmed the entry.
    pub(super) async fn confirm(&self, key: &CacheKey, entry: &mut SharedEntry) {
        entry.confirmed = SystemTime::now();
        if let Err(error) = self.write(key, entry).await {
            tracing::warn!("the note about a fetched file stays old: {}", error.cause());
        }
    }

    async fn write(&self, key: &CacheKey, entry: &SharedEntry) -> Result<()> {
        let note = serde_json::to_vec(entry)
            .map_err(|error| Error::internal("a note cannot be written").source(error))?;
        self.content.put_note(&group_of(key), &key.id, note).await?;
        self.remember(key, entry);
        Ok(())
    }

    /// Puts a fetched file into the bucket, and then its note.
    pub(super) async fn keep(
        &self,
        key: &CacheKey,
        content: NewContent,
        facts: &Facts,
        validators: Validators,
    ) -> Result<()> {
        let open = move || -> io::Result<Box<dyn Read>> {
            Ok(match content {
                NewContent::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
                NewContent::File(path) => Box::new(File::open(path)?),
            })
        };
        let blob = self.content.new_blob(open).await?;
        let entry = SharedEntry {
            sha256: blob.sha256.clone(),
            bytes: blob.bytes,
            confirmed: SystemTime::now(),
            validators,
            facts: Facts {
                bytes: Some(blob.bytes),
                ..facts.clone()
            },
        };
        self.content.keep(blob, None).await?;
        self.write(key, &entry).await
    }

    /// The copy of an entry's content on this machine.
    pub(super) async fn file(&self, entry: &SharedEntry) -> Result<Option<CachedFile>> {
        let found = self.content.local(&entry.sha256, None, entry.bytes).await?;
        let Some(path) = found else {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, (_, known)| known.sha256 != entry.sha256);
            return Ok(None);
        };
        let at = path.clone();
        let file = blocking(move || {
            regular_file::open(&at, Links::Refuse).map_err(|error| {
                Error::new(Kind::Unavailable, "a copy of a fetched file cannot be read")
                    .source(error)
            })
        })
        .await?;
        Ok(Some(CachedFile {
            path,
            file,
            // A program that changes a draft's file would change what other drafts get.
            may_be_linked: false,
        }))
    }
}

fn group_of(key: &CacheKey) -> String {
    format!("{URLS}/{}", key.url)
}
