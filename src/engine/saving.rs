//! What became of saves, for `query_draft_status`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::args::Call;
use crate::draft::ids::DraftId;
use crate::draft::material::MediaKind;
use crate::engine::edit::{Edit, Learnt};
use crate::engine::{Engine, Target};
use crate::error::{Error, Result};

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

impl Engine {
    /// How far the last save of a draft is, or how it ended. What was saved by another process is known from
    /// the journal.
    pub(crate) fn progress(&self, draft: &DraftId) -> Result<Progress> {
        if let Some(progress) = self.saves.get(draft) {
            return Ok(progress);
        }
        match self.journal.find(draft)? {
            Some(row) if row.saved_to.is_some() => Ok(Progress {
                state: State::Completed,
                message: "Draft creation completed".to_owned(),
                percent: 100,
                files_done: 0,
                files: 0,
            }),
            _ => Err(Error::not_found(format!(
                "Task with ID {draft} not found. Please check if the task ID is correct."
            ))
            .hint("`save_draft` starts one; its id is the draft's")),
        }
    }

    /// Looks again for the files that could not be read when they were placed, and tells what it found.
    pub(crate) async fn learn(&self, draft: &DraftId, call: &Call) -> Result<Vec<String>> {
        let unread: Vec<(MediaKind, String)> = self.read(draft, |draft| {
            let unread = draft.media.iter().filter(|media| !media.known.read);
            unread
                .map(|media| (media.kind, media.source.to_string()))
                .collect()
        })?;
        if unread.is_empty() {
            return Ok(Vec::new());
        }
        let looks = unread.iter().map(|(kind, source)| async move {
            let looked = self.look("media", source, *kind, true, false).await.ok()?;
            looked.known.read.then(|| Learnt {
                kind: *kind,
                source: source.clone(),
                known: looked.known,
            })
        });
        let learnt: Vec<Learnt> = futures::future::join_all(looks)
            .await
            .into_iter()
            .flatten()
            .collect();
        if learnt.is_empty() {
            return Ok(Vec::new());
        }
        let notes = learnt
            .iter()
            .map(|file| format!("{} can be read now", crate::media::shown(&file.source)))
            .collect();
        let target = Target {
            draft: Some(draft),
            width: 0.0,
            height: 0.0,
        };
        self.edit(target, call, Edit::Learn(learnt))?;
        Ok(notes)
    }
}
