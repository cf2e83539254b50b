//! `generate_draft_url`: a link to a draft at the configured site.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args;
use crate::draft::evidence::Leaves;
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
    /// What to know of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Link {
    /// A link that leads nowhere unless somebody sees to it.
    fn new(draft_url: String) -> Self {
        let site = draft_url.split('?').next().unwrap_or_default();
        let notes = vec![format!(
            "nothing was uploaded: it works only if {site} is a site that has the draft"
        )];
        Self { draft_url, notes }
    }
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

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::Nothing
    }

    async fn run(&self, engine: &Engine, _call: &Call) -> Result<Link> {
        let Some(draft) = &self.draft_id else {
            return Err(Error::invalid("`draft_id` is missing"));
        };
        Ok(Link::new(engine.download_link(draft)))
    }

    fn reply_from_api(&self, output: Value) -> Result<Link> {
        let link: Link = serde_json::from_value(output)
            .map_err(|e| Error::internal("the reply has another shape").source(e))?;
        Ok(Link::new(link.draft_url))
    }

    fn reply_to_api(reply: Link, _link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({ "draft_url": reply.draft_url })
    }
}
