//! `create_draft`: a new, empty draft.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::args::input_rule::InputRule;
use crate::args::{self, default};
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{self, Engine, NewDraft};
use crate::error::Result;
use crate::tool::{Hints, Texts, Tool, read_output};
use crate::tools::{Call, Object};
use crate::units::Edition;

/// Creates an empty draft and returns its `draft_id` for other calls.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CreateDraft {
    /// The caller's own id for the draft (HTTP only).
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
    /// Name in the app and of the folder. Default: the id.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub name: Option<String>,
    /// A note stored with the draft.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub note: Option<String>,
    /// The target app, whose names are used.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>", extend("enum" = ["capcut", "jianying"]))]
    pub edition: Option<String>,
}

/// The new draft.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Created {
    /// The new draft's id.
    pub draft_id: DraftId,
    /// Its canvas in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    /// Its canvas in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<f64>,
    /// `capcut` or `jianying`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// The backend that keeps the draft: `embedded` or `remote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Why that backend was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was adjusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl CreateDraft {
    fn created(&self, draft_id: DraftId) -> Created {
        Created {
            draft_id,
            width: Some(self.width),
            height: Some(self.height),
            edition: None,
            backend: None,
            reason: None,
            notes: Vec::new(),
        }
    }
}

impl Tool for CreateDraft {
    const NAME: &'static str = "create_draft";
    const TITLE: &'static str = "Create draft";
    const HINTS: Hints = Hints::ADD;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("note"),
        InputRule::Size,
        InputRule::Alias("title", "name"),
        InputRule::Alias("project_name", "name"),
        InputRule::Alias("description", "note"),
        InputRule::Advice(
            "fps",
            "drafts have 30 frames per second; change it in the app",
        ),
        InputRule::Advice(
            "duration",
            "the length of a draft follows from what is added to it",
        ),
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

    fn wanted_edition(&self) -> Option<Edition> {
        self.edition.as_deref()?.parse().ok()
    }

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
            edition: self
                .wanted_edition()
                .filter(|_| own)
                .unwrap_or(engine.edition()),
        };
        let edition = new.edition;
        let draft_id = match &self.draft_id {
            Some(id) => engine.create_as(id, new, call).await?,
            None => engine.create(new, call).await?,
        };
        Ok(Created {
            edition: Some(edition.name().to_owned()),
            ..self.created(draft_id)
        })
    }

    fn reply_from_api(&self, output: &RawValue) -> Result<Created> {
        let answered: Created = read_output(output)?;
        Ok(Created {
            edition: answered.edition,
            ..self.created(answered.draft_id)
        })
    }

    fn to_api(&self, arguments: &Object) -> Object {
        let mut arguments = arguments.clone();
        arguments.shift_remove("edition");
        arguments
    }

    fn reply_to_api(reply: Created, link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({ "draft_id": reply.draft_id, "draft_url": link(&reply.draft_id) })
    }
}
