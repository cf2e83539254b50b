//! The progress of saves, for `query_draft_status`: in this process, and in the journal for others.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::draft::ids::DraftId;
use crate::engine::marker::PlanOrigin;
use crate::error::{Error, Result};
use crate::journal::{self, Journal, Runner};
use crate::progress::Bytes;

/// Maximum number of saves whose progress is remembered.
const MAX_SAVES: usize = 1000;

/// How often the progress of a save is published to other processes.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// The progress of a save.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SaveProgress {
    pub state: SaveState,
    /// The current step, or the error.
    pub message: String,
    /// From 0 to 100.
    pub percent: u64,
    pub files_done: u64,
    pub files: u64,
    /// As `percent`, including parts of unfinished files.
    #[serde(skip)]
    pub exact: f64,
    /// Bytes of the files, if any had to be fetched.
    #[serde(skip)]
    pub bytes: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SaveState {
    Processing,
    Completed,
    Failed,
}

impl SaveState {
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

/// Allows one save at a time per draft: two would write the same folder.
type Gate = Arc<tokio::sync::Mutex<()>>;

#[derive(Default)]
struct Last {
    /// The plans of drafts that are about to be saved.
    origins: HashMap<DraftId, PlanOrigin>,
    gates: HashMap<DraftId, Gate>,
    by_draft: HashMap<DraftId, SaveProgress>,
    order: VecDeque<DraftId>,
}

impl Saves {
    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, draft: &DraftId, progress: SaveProgress) {
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

    pub(super) fn made_of(&self, draft: &DraftId, origin: PlanOrigin) {
        self.lock().origins.insert(draft.clone(), origin);
    }

    /// The plan that the draft is saved for now, if any.
    pub(super) fn origin(&self, draft: &DraftId) -> PlanOrigin {
        self.lock().origins.remove(draft).unwrap_or_default()
    }

    pub(super) fn gate(&self, draft: &DraftId) -> Gate {
        let mut last = self.lock();
        // Unused gates are removed, and recreated when needed.
        last.gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        last.gates.entry(draft.clone()).or_default().clone()
    }

    pub(crate) fn get(&self, draft: &DraftId) -> Option<SaveProgress> {
        self.lock().by_draft.get(draft).cloned()
    }
}

/// A save as other processes see it, in the journal.
#[derive(Clone)]
pub(super) struct Journalled {
    pub journal: Arc<Journal>,
    pub runner: Arc<Runner>,
    pub draft: DraftId,
    /// Microseconds since 1970.
    pub begun: i64,
}

/// What the journal stores about a draft's last save.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LastSave {
    begun: i64,
    pub runner: String,
    progress: SaveProgress,
}

impl LastSave {
    fn key(draft: &DraftId) -> String {
        format!("save_{draft}")
    }

    pub(super) async fn read(journal: &Journal, draft: &DraftId) -> Result<Option<Self>> {
        let state = journal.value(&Self::key(draft)).await?;
        Ok(state.and_then(|state| serde_json::from_slice(&state).ok()))
    }

    /// A running save whose process has ended is reported as failed.
    pub(super) async fn seen(mut self, runner: &Runner) -> SaveProgress {
        if self.progress.state == SaveState::Processing && !runner.is_there(&self.runner).await {
            self.progress.state = SaveState::Failed;
            "Failed to save draft: interrupted, as the process that saved it ended; save it again"
                .clone_into(&mut self.progress.message);
        }
        self.progress
    }
}

impl Journalled {
    /// If two processes save a draft at the same time, the journal keeps the save that began later.
    pub(super) async fn put(&self, progress: &SaveProgress) {
        if let Err(error) = self.try_put(progress).await {
            tracing::warn!(draft = %self.draft, %error, "the progress of the save could not be published to other processes");
        }
    }

    async fn try_put(&self, progress: &SaveProgress) -> Result<()> {
        let last = LastSave::read(&self.journal, &self.draft).await?;
        if last.is_some_and(|last| last.begun > self.begun) {
            return Ok(());
        }
        let state = LastSave {
            begun: self.begun,
            runner: self.runner.name().await.to_owned(),
            progress: progress.clone(),
        };
        let state = serde_json::to_vec(&state)
            .map_err(|e| Error::internal("a save's state cannot be written as JSON").source(e))?;
        let key = LastSave::key(&self.draft);
        self.journal
            .put_value(&key, &state, Some(journal::KEPT))
            .await
    }

    /// Publishes the progress of the save periodically.
    pub(super) async fn follow(&self, saves: &Saves) -> Infallible {
        let mut told = saves.get(&self.draft);
        loop {
            tokio::time::sleep(TOLD_EVERY).await;
            let now = saves.get(&self.draft);
            if let Some(progress) = now.as_ref().filter(|_| now != told) {
                self.put(progress).await;
            }
            told = now;
        }
    }
}

/// A running save: if it is dropped before its end, it was cancelled and is reported as failed.
pub(super) struct Unfinished<'a> {
    pub saves: &'a Saves,
    pub save: Option<Journalled>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(save) = self.save.take()
            && let Some(last) = self.saves.get(&save.draft)
        {
            let progress = SaveProgress {
                state: SaveState::Failed,
                message: "Failed to save draft: the save was cancelled".to_owned(),
                ..last
            };
            self.saves.set(&save.draft, progress.clone());
            // If the process ends before this is written, others notice that the process is gone.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { save.put(&progress).await });
            }
        }
    }
}
