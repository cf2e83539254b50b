//! `generate_draft_url`: a link to a draft at the configured site. On a server whose clients download saved drafts, the executor
//! puts the link to the last saved version in its place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::args;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{self, Engine};
use crate::error::{Error, Result};
use crate::tool::{Hints, Texts, Tool, read_output};
use crate::tools::{Call, Manner};

/// Returns the draft's link on the configured site; uploads nothing.
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
    /// The link; absent if no site is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_url: Option<String>,
    /// What to know about the link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Link {
    /// A link that only works if the site has the draft.
    fn new(draft_url: String) -> Self {
        let site = draft_url.split('?').next().unwrap_or_default();
        let notes = vec![format!(
            "nothing was uploaded: the link only works if the site {site} has the draft"
        )];
        Self {
            draft_url: Some(draft_url),
            notes,
        }
    }

    /// The link for users. The site of the reference API belongs to others and does not have their drafts.
    fn for_users(draft_url: String) -> Self {
        if draft_url.is_empty() || draft_url.starts_with(engine::DRAFT_DOMAIN) {
            let note = "nothing was uploaded, and no site for drafts is configured: `save_draft` writes the draft \
                 folder, and with `zip` also a single file to pass on";
            return Self {
                draft_url: None,
                notes: vec![note.to_owned()],
            };
        }
        Self::new(draft_url)
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

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Link> {
        let Some(draft) = &self.draft_id else {
            return Err(Error::invalid("`draft_id` is missing"));
        };
        let link = engine.download_link(draft);
        Ok(match call.caller.manner {
            Manner::Strict => Link::for_users(link),
            Manner::Api => Link::new(link),
        })
    }

    fn reply_from_api(&self, output: &RawValue) -> Result<Link> {
        let link: Link = read_output(output)?;
        // Clients of the HTTP API receive the server's reply unchanged.
        Ok(Link::for_users(link.draft_url.unwrap_or_default()))
    }

    fn reply_to_api(reply: Link, _link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({ "draft_url": reply.draft_url })
    }
}
