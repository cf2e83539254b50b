//! `delete_draft`: moves a draft to the trash and restores it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draft::ids::DraftId;
use crate::error::Result;
use crate::exec::{App, Context};
use crate::journal::ENGINE;
use crate::local::LocalTool;
use crate::tool::Hints;

/// Moves a draft to the trash, or back with `restore`. Saved folders stay.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DeleteDraft {
    /// The draft.
    pub draft_id: DraftId,
    /// Restores it.
    #[serde(default)]
    pub restore: bool,
}

/// The result.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Fate {
    pub draft_id: DraftId,
    /// Whether it is in the trash now.
    pub deleted: bool,
    /// Notes on the result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for DeleteDraft {
    const NAME: &'static str = "delete_draft";
    const TITLE: &'static str = "Delete draft";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: true,
        idempotent: true,
        open_world: false,
    };
    type Reply = Fate;

    fn draft(&self) -> Option<&DraftId> {
        Some(&self.draft_id)
    }

    async fn run(&self, app: &Arc<App>, _context: &Context) -> Result<Fate> {
        let mut notes = Vec::new();
        if self.restore {
            app.journal.restore(&self.draft_id).await?;
        } else {
            app.journal.delete(&self.draft_id).await?;
            if let Some(row) = app.journal.find(&self.draft_id).await?
                && row.origin != ENGINE
            {
                notes.push(format!(
                    "{} cannot delete drafts: this one remains there until the server is restarted",
                    row.origin
                ));
            }
        }
        app.forget(&self.draft_id);
        Ok(Fate {
            draft_id: self.draft_id.clone(),
            deleted: !self.restore,
            notes,
        })
    }
}
