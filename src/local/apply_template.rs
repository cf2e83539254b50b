//! `apply_template`: a new draft from a template, its slots filled.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::input_rule::InputRule;
use crate::compose::template::{DraftTemplate, TOOL};
use crate::draft::ids::DraftId;
use crate::error::Result;
use crate::exec::{App, Context};
use crate::local::{LocalTool, call_of};
use crate::tool::Hints;

/// Makes a new draft from any draft, with other files and words in its slots.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ApplyTemplate {
    #[serde(flatten)]
    pub template: DraftTemplate,
    /// Name of the new draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The new draft.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AppliedTemplate {
    pub draft_id: DraftId,
    pub name: String,
    pub changes: Vec<String>,
    /// Ids of the clips that changed.
    pub clips: Vec<String>,
    /// Slots without a value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for ApplyTemplate {
    const NAME: &'static str = TOOL;
    const TITLE: &'static str = "Apply template";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: true,
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("repeat"),
        InputRule::Rare("strict"),
        InputRule::Alias("template", "draft"),
        InputRule::Alias("draft_id", "draft"),
        InputRule::Slots("repeat"),
    ];
    type Reply = AppliedTemplate;

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<AppliedTemplate> {
        let name = self.name.as_deref();
        let filled = self.template.fill(app, name, Self::NAME, context).await?;
        let (name, changes) = (filled.name().to_owned(), filled.changes().to_vec());
        let (clips, open) = (filled.clips.clone(), filled.open.clone());
        let notes = filled.notes.clone();
        let draft_id = filled.create(app, &call_of(self, context)?).await?;
        Ok(AppliedTemplate {
            draft_id,
            name,
            changes,
            clips,
            open,
            notes,
        })
    }
}
