//! `generate_draft_url`: a link to a draft at the configured site.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{self, Engine};
use crate::error::{Error, Result};
use crate::tools::{Call, Hints, Manner, Texts, Tool};

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
    /// The link; none where no site is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_url: Option<String>,
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
        Self {
            draft_url: Some(draft_url),
            notes,
        }
    }

    /// As users get it: the site of the reference API belongs to others and has none of their drafts.
    fn for_users(draft_url: String) -> Self {
        if draft_url.is_empty() || draft_url.starts_with(engine::DRAFT_DOMAIN) {
            let note = "nothing was uploaded, and no site is set up that has the draft: `save_draft` writes its \
                 folder, and with `zip` one file to pass on";
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

    fn reply_from_api(&self, output: Value) -> Result<Link> {
        let link: Link = serde_json::from_value(output)
            .map_err(|e| Error::internal("the reply has another shape").source(e))?;
        // Clients of the HTTP API get what the server answered, as it is.
        Ok(Link::for_users(link.draft_url.unwrap_or_default()))
    }

    fn reply_to_api(reply: Link, _link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({ "draft_url": reply.draft_url })
    }
}
