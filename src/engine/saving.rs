//! What became of saves, for `query_draft_status`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::draft::ids::DraftId;

/// How many saves are remembered.
const MAX_SAVES: usize = 1000;

/// How far a save is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    pub state: State,
    /// The step, or what went wrong.
    pub message: String,
    /// From 0 to 100.
    pub percent: u64,
    pub files_done: u64,
    pub files: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Processing,
    Completed,
    Failed,
}

impl State {
    /// The API's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// The last saves of this process.
#[derive(Default)]
pub(crate) struct Saves {
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    by_draft: HashMap<DraftId, Progress>,
    order: VecDeque<DraftId>,
}

impl Saves {
    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, draft: &DraftId, progress: Progress) {
        let mut last = self.lock();
        if last.by_draft.insert(draft.clone(), progress).is_none() {
            last.order.push_back(draft.clone());
            if last.order.len() > MAX_SAVES
                && let Some(oldest) = last.order.pop_front()
            {
                last.by_draft.remove(&oldest);
            }
        }
    }

    pub(crate) fn get(&self, draft: &DraftId) -> Option<Progress> {
        self.lock().by_draft.get(draft).cloned()
    }
}
