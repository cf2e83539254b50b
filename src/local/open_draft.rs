//! `open_draft`: opens a draft that an app or another program saved.

use std::sync::Arc;

use capcut_draft::{Step, Summary};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::input_rule::InputRule;
use crate::compose::template::{copy_name, original};
use crate::draft::ids::DraftId;
use crate::engine::documents::DraftCopy;
use crate::error::{Error, Result};
use crate::exec::drafts::locate;
use crate::exec::{App, Context};
use crate::lint;
use crate::local::rows::{seconds, summary_line};
use crate::local::{LocalTool, call_of};
use crate::tool::Hints;

/// How many clips with a read-only inside are listed.
const LISTED: usize = 20;

/// Opens a draft that CapCut, JianYing or another program saved; its files stay as they are.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct OpenDraft {
    /// Folder, document, or exact name in the app.
    pub draft: String,
    /// Copies it, also by id.
    #[serde(default)]
    pub duplicate: bool,
}

/// The opened draft.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpenedDraft {
    /// For `inspect_draft` and `edit_draft`.
    pub draft_id: DraftId,
    pub name: String,
    pub app: String,
    pub version: String,
    pub system: String,
    pub summary: String,
    pub duration: f64,
    pub tracks: usize,
    pub clips: usize,
    pub editable: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// What cannot be edited, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for OpenDraft {
    const NAME: &'static str = "open_draft";
    const TITLE: &'static str = "Open draft";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: false,
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Alias("draft_folder", "draft"),
        InputRule::Alias("folder", "draft"),
        InputRule::Alias("path", "draft"),
        InputRule::Alias("name", "draft"),
    ];
    type Reply = OpenedDraft;

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<OpenedDraft> {
        let (id, name, file) = if self.duplicate {
            self.duplicated(app, context).await?
        } else {
            self.opened(app, context).await?
        };
        let summary = app
            .engine
            .inspect(&id, capcut_draft::Document::summary)
            .await?;
        Ok(OpenedDraft {
            summary: summary_line(&summary),
            notes: restrictions(&summary),
            draft_id: id,
            name,
            app: summary.app.to_owned(),
            version: summary.app_version,
            system: summary.system,
            duration: seconds(summary.duration),
            tracks: summary.tracks,
            clips: summary.clips,
            editable: summary.read_only.is_none(),
            file,
        })
    }
}

impl OpenDraft {
    /// Id, name and file of the opened draft.
    async fn opened(&self, app: &Arc<App>, context: &Context) -> Result<(DraftId, String, String)> {
        let path = locate(app, &context.caller, &self.draft).await?;
        let opened = tokio::task::spawn_blocking(move || lint::open(&path))
            .await
            .map_err(|error| Error::internal("the draft could not be read").source(error))??;
        let (name, file) = (opened.name.clone(), opened.file.display().to_string());
        let call = call_of(self, context)?;
        let id = app.engine.open_document(opened, &call).await?;
        Ok((id, name, file))
    }

    /// The same of a copy, which has a history of its own.
    async fn duplicated(
        &self,
        app: &Arc<App>,
        context: &Context,
    ) -> Result<(DraftId, String, String)> {
        let copied = original(app, &self.draft, Self::NAME, context).await?;
        let file = copied.opened.as_ref().map(|opened| opened.file.display());
        let file = file.map_or_else(String::new, |file| file.to_string());
        let copy = DraftCopy {
            name: copy_name(None, &copied.name),
            step: Step::default(),
            changes: Vec::new(),
        };
        let name = copy.name.clone();
        let call = call_of(self, context)?;
        let id = app.engine.create_copy(copied, copy, &call).await?;
        Ok((id, name, file))
    }
}

/// What cannot be edited, and why.
fn restrictions(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(
        summary
            .read_only
            .as_ref()
            .map(|reason| format!("the draft can be inspected, but not edited: {reason}")),
    );
    for clip in summary.read_only_clips.iter().take(LISTED) {
        notes.push(format!("{} is {}", clip.id, clip.reason));
    }
    if let Some(more) = summary.read_only_clips.len().checked_sub(LISTED)
        && more > 0
    {
        notes.push(format!("and {more} further clips"));
    }
    notes
}
