//! What a batch reports: a line per draft, and the result of the whole.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BatchEntry;
use crate::compose::report::RunOutcome;
use crate::draft::ids::DraftId;

/// The state of one draft of a batch; a line of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct BatchLine {
    /// Index in the batch, from 0.
    pub index: usize,
    /// Its file, or its line.
    pub label: String,
    /// A fingerprint of the plan's content; it identifies the plan in a report.
    pub plan: String,
    /// The number among plans with the same content, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurrence: Option<usize>,
    /// `started`, `complete`, `partial`, `failed`, `aborted`, `cancelled` or `skipped`.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<DraftId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The same as one file, if the plan's `save` asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zip: Option<String>,
    /// A link to the saved draft as a zip file, from a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_url: Option<String>,
    /// Items that are in the draft.
    #[serde(default)]
    pub ok: usize,
    /// Items in the plan.
    #[serde(default)]
    pub asked: usize,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// What was adjusted, and what to know about the draft.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Tries in this run of the batch.
    #[serde(default)]
    pub tries: u32,
    #[serde(default)]
    pub ms: f64,
}

/// The result of a batch: `complete`, `partial` if only some drafts are complete, `failed` if none is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct BatchReport {
    pub outcome: RunOutcome,
    /// The number of complete drafts.
    pub complete: usize,
    pub drafts: Vec<BatchLine>,
}

impl BatchReport {
    pub(crate) fn new(drafts: Vec<BatchLine>) -> Self {
        let complete = drafts.iter().filter(|line| line.is_complete()).count();
        let outcome = match complete {
            complete if complete == drafts.len() => RunOutcome::Complete,
            0 => RunOutcome::Failed,
            _ => RunOutcome::Partial,
        };
        Self {
            outcome,
            complete,
            drafts,
        }
    }
}

impl BatchLine {
    pub(super) fn new(index: usize, entry: &BatchEntry, key: &PlanKey, status: &str) -> Self {
        Self {
            index,
            label: entry.label.clone(),
            plan: key.print.clone(),
            occurrence: Some(key.occurrence),
            status: status.to_owned(),
            draft_id: None,
            folder: None,
            zip: None,
            download_url: None,
            ok: 0,
            asked: 0,
            errors: Vec::new(),
            notes: Vec::new(),
            tries: 0,
            ms: 0.0,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.status == "complete"
    }

    /// Whether it is complete and its folder was not removed since. (A folder on another machine cannot be checked.)
    pub(super) fn is_still_there(&self) -> bool {
        let is_gone = |folder: &Path| !folder.exists() && folder.parent().is_some_and(Path::is_dir);
        let folder = self.folder.as_deref().map(Path::new);
        self.is_complete() && !folder.is_some_and(is_gone)
    }
}

/// Identifies a plan in a report, not by its index, so that rows can be inserted before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct PlanKey {
    /// The fingerprint of its content.
    pub print: String,
    /// The number among plans with the same content, from 0.
    pub occurrence: usize,
}
