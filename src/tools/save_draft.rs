//! `save_draft`: the draft as a folder that the app opens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args;
use crate::args::mend::Comfort;
use crate::draft::ids::DraftId;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::tools::{Call, Hints, Texts, Tool, Turn};

/// Writes the draft with all its media as a folder that the app opens, and tells where it is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SaveDraft {
    /// The draft.
    #[serde(default, deserialize_with = "args::draft_id")]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    /// The app's drafts folder; found by itself without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_folder: Option<String>,
    /// The name in the app; without it the draft's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// App to write for: `capcut` or `jianying`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// Writes a zip file beside the folder too.
    #[serde(default, deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub zip: bool,
}

/// Where the draft is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Saved {
    /// The folder that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// How many media files are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Their size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether the app lists it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<bool>,
    /// Who saved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// What to know of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Tool for SaveDraft {
    const NAME: &'static str = "save_draft";
    const TITLE: &'static str = "Save draft";
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: true,
        idempotent: true,
        open_world: true,
    };
    const COMFORT: &'static [Comfort] = &[
        Comfort::Alias("output_path", "draft_folder"),
        Comfort::Alias("title", "name"),
        Comfort::Alias("project_name", "name"),
    ];
    const TEXTS: Texts = Texts {
        required: &["draft_id"],
        not_null: &[],
        missing: "Hi, the required parameter 'draft_id' is missing. Please add it and try again.",
        before: "",
        after: "",
        unknown: "Draft {} does not exist in cache.",
    };
    type Reply = Saved;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Alone
    }

    async fn run(&self, _engine: &Engine, _call: &Call) -> Result<Saved> {
        Err(Error::internal("the engine is not there yet"))
    }

    fn reply_to_api(_reply: &Saved, _link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({ "success": true, "draft_url": "" })
    }
}
