//! The drafts in memory: the most recently used ones, up to a total size. Others are read from the journal again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::draft::ids::DraftId;
use crate::draft::working::Refreshed;
use crate::engine::documents::DraftState;
use crate::engine::{aside, folder_change};

/// Maximum number of drafts in memory; others are only in the journal.
const MAX_DRAFTS: usize = 10_000;

/// A draft in memory. Its lock is never held across an `await`, but its turn may be.
pub(crate) struct HeldDraft {
    state: Mutex<DraftState>,
    turns: tokio::sync::Mutex<()>,
    used: AtomicU64,
    bytes: AtomicUsize,
    refreshed: Mutex<Refreshed>,
}

impl HeldDraft {
    /// How much of the draft the API would have refreshed.
    pub(crate) fn refreshed(&self) -> MutexGuard<'_, Refreshed> {
        self.refreshed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Edits of the draft take turns, in order of arrival.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turns.lock().await
    }

    /// Completes or removes what a killed process left in the folder that the draft was opened from. Does not wait
    /// for a save that is running.
    pub(crate) fn settle_folder(&self) {
        let opened = self.lock().opened.clone();
        let Some(folder) = opened.and_then(|opened| opened.folder.clone()) else {
            return;
        };
        // A save reports the reason if it is still there.
        if let Err(error) = aside(|| folder_change::settle_if_free(&folder)) {
            tracing::warn!(%error, "an interrupted save could not be completed");
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, DraftState> {
        // A draft changes in one step that cannot panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct HeldDrafts {
    by_id: Mutex<HashMap<DraftId, Arc<HeldDraft>>>,
    clock: AtomicU64,
    bytes: AtomicUsize,
    /// Maximum size of all drafts together. Drafts that are in use stay.
    most_bytes: usize,
}

impl HeldDrafts {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            by_id: Mutex::default(),
            clock: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            most_bytes,
        }
    }

    /// About how much memory the drafts take.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn map(&self) -> MutexGuard<'_, HashMap<DraftId, Arc<HeldDraft>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn get(&self, id: &DraftId) -> Option<Arc<HeldDraft>> {
        let held = self.map().get(id).cloned()?;
        held.used.store(self.now(), Ordering::Relaxed);
        Some(held)
    }

    /// Adds a draft; if it was added in the meantime, that one is kept.
    pub(crate) fn insert(&self, state: DraftState, refreshed: Refreshed) -> Arc<HeldDraft> {
        let bytes = state.bytes();
        let id = state.draft.id.clone();
        let mut map = self.map();
        let held = map
            .entry(id)
            .or_insert_with(|| {
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                Arc::new(HeldDraft {
                    state: Mutex::new(state),
                    turns: tokio::sync::Mutex::default(),
                    used: AtomicU64::new(self.now()),
                    bytes: AtomicUsize::new(bytes),
                    refreshed: Mutex::new(refreshed),
                })
            })
            .clone();
        self.make_room(&mut map);
        held
    }

    /// Updates the size of a draft.
    pub(crate) fn resized(&self, held: &HeldDraft, bytes: usize) {
        let before = held.bytes.swap(bytes, Ordering::Relaxed);
        if bytes < before {
            self.lost(before - bytes);
            return;
        }
        let more = bytes - before;
        let all = self.bytes.fetch_add(more, Ordering::Relaxed) + more;
        if all > self.most_bytes {
            self.make_room(&mut self.map());
        }
    }

    pub(crate) fn forget(&self, id: &DraftId) {
        if let Some(held) = self.map().remove(id) {
            self.lost(held.bytes.load(Ordering::Relaxed));
        }
    }

    fn lost(&self, bytes: usize) {
        let less = |all: usize| Some(all.saturating_sub(bytes));
        let _ = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Removes the least recently used drafts, a tenth at a time; drafts in use stay.
    fn make_room(&self, map: &mut HashMap<DraftId, Arc<HeldDraft>>) {
        let is_full =
            |len: usize| len > MAX_DRAFTS || self.bytes.load(Ordering::Relaxed) > self.most_bytes;
        if !is_full(map.len()) || map.len() < 2 {
            return;
        }
        let mut by_use: Vec<(u64, DraftId)> = map
            .iter()
            .filter(|(_, held)| Arc::strong_count(held) == 1)
            .map(|(id, held)| (held.used.load(Ordering::Relaxed), id.clone()))
            .collect();
        by_use.sort_unstable();
        let tenth = by_use.len().div_ceil(10);
        for (number, (_, id)) in by_use.into_iter().enumerate() {
            if number >= tenth && !is_full(map.len()) {
                break;
            }
            if let Some(held) = map.remove(&id) {
                self.lost(held.bytes.load(Ordering::Relaxed));
            }
        }
    }
}
