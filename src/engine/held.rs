//! The drafts in memory: the most recently used ones, up to a total number of segments. A document counts as the
//! segments that take as much memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::draft::ids::DraftId;
use crate::draft::working::Refreshed;
use crate::engine::documents::DraftState;
use crate::engine::{aside, folder_change};

/// Maximum number of drafts in memory; others are only in the journal.
const MAX_DRAFTS: usize = 10_000;

/// Maximum number of segments of all drafts together; about half a kilobyte each.
const MAX_SEGMENTS: usize = 100_000;

/// A draft in memory. Its lock is never held across an `await`, but its turn may be.
pub(crate) struct HeldDraft {
    state: Mutex<DraftState>,
    turns: tokio::sync::Mutex<()>,
    used: AtomicU64,
    segments: AtomicUsize,
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

#[derive(Default)]
pub(crate) struct HeldDrafts {
    by_id: Mutex<HashMap<DraftId, Arc<HeldDraft>>>,
    clock: AtomicU64,
    segments: AtomicUsize,
}

impl HeldDrafts {
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
        let segments = state.weight();
        let id = state.draft.id.clone();
        let mut map = self.map();
        let held = map
            .entry(id)
            .or_insert_with(|| {
                self.segments.fetch_add(segments, Ordering::Relaxed);
                Arc::new(HeldDraft {
                    state: Mutex::new(state),
                    turns: tokio::sync::Mutex::default(),
                    used: AtomicU64::new(self.now()),
                    segments: AtomicUsize::new(segments),
                    refreshed: Mutex::new(refreshed),
                })
            })
            .clone();
        self.make_room(&mut map);
        held
    }

    /// Updates the number of segments of a draft.
    pub(crate) fn grew(&self, held: &HeldDraft, segments: usize) {
        let before = held.segments.swap(segments, Ordering::Relaxed);
        let all = self
            .segments
            .fetch_add(segments.saturating_sub(before), Ordering::Relaxed);
        if all > MAX_SEGMENTS {
            self.make_room(&mut self.map());
        }
    }

    pub(crate) fn forget(&self, id: &DraftId) {
        if let Some(held) = self.map().remove(id) {
            self.lost(&held);
        }
    }

    fn lost(&self, held: &HeldDraft) {
        let segments = held.segments.load(Ordering::Relaxed);
        let _ = self
            .segments
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |all| {
                Some(all.saturating_sub(segments))
            });
    }

    /// Removes the least recently used drafts, a tenth at a time; drafts in use stay.
    fn make_room(&self, map: &mut HashMap<DraftId, Arc<HeldDraft>>) {
        let is_full =
            |len: usize| len > MAX_DRAFTS || self.segments.load(Ordering::Relaxed) > MAX_SEGMENTS;
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
                self.lost(&held);
            }
        }
    }
}
