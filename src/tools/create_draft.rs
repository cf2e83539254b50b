//! `create_draft`: a new, empty draft.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::mend::Comfort;
use crate::args::{self, default};
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{self, Engine, NewDraft};
use crate::error::Result;
use crate::tools::{Call, Hints, Texts, Tool};

/// Makes an empty draft and gives its `draft_id`, which every other call takes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CreateDraft {
    /// The caller's own id for it (HTTP only).
    #[serde(
        default,
        deserialize_with = "args::draft_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(skip)]
    pub draft_id: Option<DraftId>,
    /// Canvas width in pixels.
    #[serde(default = "default::width", deserialize_with = "args::side")]
    #[schemars(with = "f64", range(min = 16, max = 16384))]
    pub width: f64,
    /// Canvas height in pixels.
    #[serde(default = "default::height", deserialize_with = "args::side")]
    #[schemars(with = "f64", range(min = 16, max = 16384))]
    pub height: f64,
    /// Name in the app and of the folder; the id without.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub name: Option<String>,
    /// A note kept with the draft.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub note: Option<String>,
}

/// The new draft.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Created {
    /// The new draft's id.
    pub draft_id: DraftId,
    /// `embedded` or `remote`: who keeps the draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Why that backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Tool for CreateDraft {
    const NAME: &'static str = "create_draft";
    const TITLE: &'static str = "Create draft";
    const HINTS: Hints = Hints::ADD;
    const COMFORT: &'static [Comfort] = &[
        Comfort::Size,
        Comfort::Alias("title", "name"),
        Comfort::Alias("project_name", "name"),
        Comfort::Alias("description", "note"),
    ];
    const TEXTS: Texts = Texts {
        required: &[],
        not_null: &[],
        missing: "",
        before: "Error occurred while creating draft: ",
        after: ".",
        unknown: "",
    };
    type Reply = Created;

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::Nothing
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Created> {
        let own = engine::is_strict(call);
        let new = NewDraft {
            name: self.name.clone().filter(|_| own),
            note: self.note.clone().filter(|_| own),
            width: self.width,
            height: self.height,
            edition: engine.edition(),
        };
        Ok(Created {
            draft_id: match &self.draft_id {
                Some(id) => engine.create_as(id, new, call).await?,
                None => engine.create(new, call).await?,
            },
            backend: None,
            reason: None,
        })
    }

    fn reply_to_api(reply: Created, link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({ "draft_id": reply.draft_id, "draft_url": link(&reply.draft_id) })
    }
}
