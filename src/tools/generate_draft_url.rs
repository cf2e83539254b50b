//! `generate_draft_url`: a link to a draft at the configured site.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args;
use crate::draft::ids::DraftId;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::tools::{Call, Hints, Texts, Tool};

/// Makes the link under which a site would offer the draft; uploads nothing.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GenerateDraftUrl {
    /// The draft.
    #[serde(default, deserialize_with = "args::draft_id")]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
}

/// A link.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Link {
    /// The link.
    pub draft_url: String,
}

impl Tool for GenerateDraftUrl {
    const NAME: &'static str = "generate_draft_url";
    const TITLE: &'static str = "Draft link";
    const HINTS: Hints = Hints::READ;
    const TEXTS: Texts = Texts {
        required: &["draft_id"],
        not_null: &[],
        missing: "Hi, the required parameter 'draft_id' is missing. Please add it and try again.",
        before: "",
        after: "",
        unknown: "",
    };
    type Reply = Link;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    async fn run(&self, engine: &Engine, _call: &Call) -> Result<Link> {
        let Some(draft) = &self.draft_id else {
            return Err(Error::invalid("`draft_id` is missing"));
        };
        Ok(Link {
            draft_url: engine.download_link(draft),
        })
    }

    fn reply_to_api(reply: &Link, _link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({ "draft_url": reply.draft_url })
    }
}
