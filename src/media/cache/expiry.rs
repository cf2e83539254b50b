//! Removes media from a bucket that no draft needs: those that were not confirmed or used for some time, and the oldest ones
//! beyond a limit.
//!
//! Several servers may do so at the same time: each removes only what has expired, and removing twice is no error. What is
//! young stays, because a server may be about to use it; see [`ContentStore`].

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::folder::Removed;
use super::shared::{SharedEntry, URLS};
use crate::error::Result;
use crate::media::source::MediaSource;
use crate::storage::{ContentStore, NoteFile, YOUNG};

/// The group of notes about what providers made. It was paid for, so that it stays until there is no space for it.
pub(crate) const MADE: &str = "made";
/// How many notes are read at the same time.
const AT_ONCE: usize = 8;

/// What drafts need.
#[derive(Default)]
pub(crate) struct NeededMedia {
    /// Hashes of addresses; see [`source_key`].
    pub urls: HashSet<String>,
    /// SHA-256 of contents.
    pub contents: HashSet<String>,
}

/// The hash of an address of media, by which a draft's needs are compared; `None` for what is not an address.
pub(crate) fn source_key(source: &str) -> Option<String> {
    match MediaSource::parse(source) {
        Ok(MediaSource::Http(url)) => Some(super::key_of_url(&url)),
        _ => None,
    }
}

/// Content, and the notes that name it.
#[derive(Default)]
struct ContentUse {
    notes: Vec<NoteFile>,
    /// The time since it was last confirmed or made.
    age: Option<Duration>,
    is_needed: bool,
    is_made: bool,
}

impl ContentUse {
    fn add(&mut self, note: NoteFile, is_needed: bool, is_made: bool) {
        self.age = Some(self.age.map_or(note.age, |age| age.min(note.age)));
        self.notes.push(note);
        self.is_needed |= is_needed;
        self.is_made |= is_made;
    }
}

/// Removes what is older than `age` and not needed, and then what else is not needed until `excess` bytes are removed.
pub(crate) async fn remove_expired(
    content: &ContentStore,
    needed: &NeededMedia,
    age: Duration,
    excess: u64,
) -> Result<Removed> {
    let least = age.max(YOUNG);
    let mut left = Vec::new();
    for note in content.notes(URLS).await? {
        let is_needed = needed.urls.contains(&note.group);
        if !is_needed && note.age >= least {
            content
                .remove_note(&note.full_group(URLS), &note.name)
                .await?;
        } else {
            left.push((note, is_needed));
        }
    }
    let mut uses: HashMap<String, ContentUse> = HashMap::new();
    let reads: Vec<_> = left
        .into_iter()
        .map(|(note, is_needed)| {
            async move {
                let text = content.note(&note.full_group(URLS), &note.name).await?;
                let entry = text.and_then(|text| serde_json::from_slice(&text).ok());
                Ok((entry, note, is_needed))
            }
            .boxed()
        })
        .collect();
    let mut reads = futures::stream::iter(reads).buffer_unordered(AT_ONCE);
    while let Some((entry, note, is_needed)) = reads.try_next().await? {
        // A damaged note names nothing.
        let entry: Option<SharedEntry> = entry;
        if let Some(entry) = entry {
            let named = uses.entry(entry.sha256).or_default();
            named.add(note, is_needed, false);
        }
    }
    for note in content.notes(MADE).await? {
        let is_needed = needed.contents.contains(&note.name);
        let named = uses.entry(note.name.clone()).or_default();
        named.add(note, is_needed, true);
    }
    let mut removed = Removed::default();
    let mut spare = Vec::new();
    for (sha256, bytes, written) in content.files().await? {
        let named = uses.remove(&sha256).unwrap_or_default();
        if named.is_needed || needed.contents.contains(&sha256) {
            continue;
        }
        if let Some(age) = named.age {
            spare.push((named.is_made, age.min(written), sha256, bytes, named.notes));
        } else if written >= least && content.remove(&sha256).await? {
            // No note names it.
            removed.add(bytes);
        }
    }
    // First what can be fetched, the oldest first, and then what was paid for.
    spare.sort_by_key(|(is_made, age, ..)| (*is_made, std::cmp::Reverse(*age)));
    for (_, age, sha256, bytes, notes) in spare {
        if removed.bytes >= excess {
            break;
        }
        if age < YOUNG {
            continue;
        }
        for note in notes {
            let group = if note.group.is_empty() { MADE } else { URLS };
            content
                .remove_note(&note.full_group(group), &note.name)
                .await?;
        }
        if content.remove(&sha256).await? {
            removed.add(bytes);
        }
    }
    Ok(removed)
}
