//! `query_draft_status`: the status of the last save.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::args;
use crate::args::input_rule::InputRule;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::tool::{Hints, Texts, Tool};
use crate::tools::Call;

/// Reports the progress or result of a draft's last save.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct QueryDraftStatus {
    /// The draft's id.
    #[serde(default, deserialize_with = "args::draft_id")]
    #[schemars(with = "DraftId", required)]
    pub task_id: Option<DraftId>,
}

/// The status of a save.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DraftStatus {
    /// `processing`, `completed` or `failed`.
    pub status: String,
    /// The step, or what went wrong.
    #[serde(default)]
    pub message: String,
    /// From 0 to 100.
    #[serde(default, deserialize_with = "percent")]
    #[schemars(with = "u64")]
    pub progress: u64,
    /// Media files that are done.
    #[serde(default)]
    pub completed_files: u64,
    /// All media files.
    #[serde(default)]
    pub total_files: u64,
}

/// Some servers report fractions of a percent, or null while a save is queued.
fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let percent = Option::<f64>::deserialize(deserializer)?;
    Ok(percent.unwrap_or_default().clamp(0.0, 100.0) as u64)
}

impl Tool for QueryDraftStatus {
    const NAME: &'static str = "query_draft_status";
    const TITLE: &'static str = "Save status";
    const HINTS: Hints = Hints::READ;
    const INPUT_RULES: &'static [InputRule] = &[InputRule::Alias("draft_id", "task_id")];
    const TEXTS: Texts = Texts {
        required: &["task_id"],
        not_null: &[],
        missing: "Hi, the required parameter 'task_id' is missing. Please add it and try again.",
        before: "",
        after: "",
        unknown: "",
    };
    type Reply = DraftStatus;

    fn draft(&self) -> Option<&DraftId> {
        self.task_id.as_ref()
    }

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::Nothing
    }

    async fn run(&self, engine: &Engine, _call: &Call) -> Result<DraftStatus> {
        let Some(draft) = &self.task_id else {
            return Err(Error::invalid("`task_id` is missing"));
        };
        let progress = engine.progress(draft).await?;
        Ok(DraftStatus {
            status: progress.state.name().to_owned(),
            message: progress.message,
            progress: progress.percent,
            completed_files: progress.files_done,
            total_files: progress.files,
        })
    }

    fn reply_to_api(reply: DraftStatus, _link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({
            "status": reply.status,
            "message": reply.message,
            "progress": reply.progress,
            "completed_files": reply.completed_files,
            "total_files": reply.total_files,
            "draft_url": "",
        })
    }
}
