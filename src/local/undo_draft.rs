//! `undo_draft`: takes steps of a draft back, or brings them back.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draft::ids::DraftId;
use crate::engine::documents::UndoWish;
use crate::error::Result;
use crate::exec::drafts::editable;
use crate::exec::{App, Context};
use crate::local::edit_draft::out_of_date;
use crate::local::{LocalTool, call_of};
use crate::tool::Hints;

/// Undoes the last calls that changed a draft; `redo` brings them back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UndoDraft {
    /// The draft.
    pub draft_id: DraftId,
    /// How many calls.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// Or back to this checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Brings back what was undone.
    #[serde(default)]
    pub redo: bool,
}

fn one() -> usize {
    1
}

/// The draft afterwards.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UndoneDraft {
    pub draft_id: DraftId,
    /// What was undone or brought back.
    pub steps: Vec<String>,
    /// How many calls can still be undone.
    pub undoable: usize,
    /// How many can be brought back.
    pub redoable: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for UndoDraft {
    const NAME: &'static str = "undo_draft";
    const TITLE: &'static str = "Undo";
    const HINTS: Hints = Hints {
        read_only: false,
        // Undo can be undone.
        destructive: false,
        idempotent: false,
        open_world: false,
    };
    type Reply = UndoneDraft;

    fn draft(&self) -> Option<&DraftId> {
        Some(&self.draft_id)
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.steps == 0 {
            faults.push("`steps` is 0; it must be at least 1".to_owned());
        }
        if self.redo && self.checkpoint.is_some() {
            faults.push("give `redo` or `checkpoint`, not both".to_owned());
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<UndoneDraft> {
        let draft = editable(app, &self.draft_id, Self::NAME, context).await?;
        let _turn = app.turn_alone(&draft.id).await?;
        let wish = match &self.checkpoint {
            Some(name) => UndoWish::Checkpoint(name.trim().to_owned()),
            None if self.redo => UndoWish::Redo(self.steps),
            None => UndoWish::Steps(self.steps),
        };
        let undone = app
            .engine
            .undo(&draft.id, &wish, &call_of(self, context)?)
            .await?;
        let mut notes: Vec<String> = draft.note.into_iter().collect();
        notes.extend(out_of_date(app, &draft.id).await?);
        Ok(UndoneDraft {
            draft_id: draft.id,
            steps: undone
                .steps
                .iter()
                .map(|step| step.changes.join("; "))
                .collect(),
            undoable: undone.left,
            redoable: undone.redoable,
            notes,
        })
    }
}
