//! `recover_draft`: recreates a draft from its journal, on a server or in the engine.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draft::ids::DraftId;
use crate::error::Result;
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::settings::BackendChoice;
use crate::tool::Hints;

/// Recreates a lost draft from its acknowledged calls, or moves a draft between server and engine.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RecoverDraft {
    /// The draft.
    pub draft_id: DraftId,
    /// Where to create it. Default: chosen automatically.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["remote", "embedded"]))]
    pub to: Option<String>,
}

/// The recreated draft.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RecoveredDraft {
    /// The new draft.
    pub draft_id: DraftId,
    /// The draft that it replaces.
    pub was: DraftId,
    /// `embedded` or `remote`: where the new draft is.
    pub backend: &'static str,
    /// How many calls were applied again.
    pub calls: usize,
    /// Segments on each track of the new draft.
    pub segments: Vec<TrackSegments>,
    /// Notes on the result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How many segments a track has.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct TrackSegments {
    pub track: String,
    pub count: usize,
}

impl LocalTool for RecoverDraft {
    const NAME: &'static str = "recover_draft";
    const TITLE: &'static str = "Recover draft";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: true,
    };
    type Reply = RecoveredDraft;

    fn draft(&self) -> Option<&DraftId> {
        Some(&self.draft_id)
    }

    fn faults(&self) -> Vec<String> {
        match self.to.as_deref() {
            None | Some("remote" | "embedded") => Vec::new(),
            Some(other) => vec![format!(
                "`to` is {other:?}; it must be `remote` or `embedded`"
            )],
        }
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<RecoveredDraft> {
        let to = match self.to.as_deref() {
            Some("embedded") => BackendChoice::Embedded,
            Some(_) => BackendChoice::Remote,
            None => BackendChoice::Auto,
        };
        let made = app.recover(&self.draft_id, to, context).await?;
        Ok(RecoveredDraft {
            draft_id: made.draft,
            was: self.draft_id.clone(),
            backend: made.backend,
            calls: made.calls,
            segments: made
                .segments
                .into_iter()
                .map(|(track, count)| TrackSegments { track, count })
                .collect(),
            notes: made.notes,
        })
    }
}
