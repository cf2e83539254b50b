//! `create_draft`: a new, empty draft.

use capcut_draft::{Cover, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::args::input_rule::InputRule;
use crate::args::{self, default, draft_settings};
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{self, Engine, NewDraft};
use crate::error::Result;
use crate::tool::{BeyondApi, Hints, Texts, Tool, read_output};
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
    /// Frames per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>", extend("enum" = [24, 25, 30, 50, 60]))]
    pub fps: Option<Value>,
    /// Whether the app closes gaps on the main track. Default: on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<bool>")]
    pub magnet: Option<Value>,
    /// The picture in the app's list: a file, or a time of the video in seconds. Default: the first picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub cover: Option<Value>,
    /// Markers on the timeline: `{at, title, color}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Object>>")]
    pub markers: Option<Value>,
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
    /// What the draft is as a whole besides its canvas.
    fn settings(&self) -> Result<Settings> {
        let values = [
            ("fps", &self.fps),
            ("magnet", &self.magnet),
            ("cover", &self.cover),
            ("markers", &self.markers),
        ];
        let given = values
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        draft_settings::of_new(given.collect())
    }

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
        InputRule::FrameRate,
        InputRule::Alias("title", "name"),
        InputRule::Alias("project_name", "name"),
        InputRule::Alias("description", "note"),
        InputRule::Rare("magnet"),
        InputRule::Rare("cover"),
        InputRule::Rare("markers"),
        InputRule::Alias("frame_rate", "fps"),
        InputRule::Alias("framerate", "fps"),
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

    fn faults(&self) -> Vec<String> {
        let error = self.settings().err();
        error.map(|error| error.to_string()).into_iter().collect()
    }

    fn beyond_api(&self) -> BeyondApi {
        BeyondApi {
            draft: self.settings().unwrap_or_default(),
            ..BeyondApi::default()
        }
    }

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::Nothing
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Created> {
        let own = engine::is_strict(call);
        // In the API's dialect, fields that the API does not have are ignored.
        let settings = if own {
            self.settings()?
        } else {
            Settings::default()
        };
        if let Some(Cover::File(source)) = &settings.cover {
            engine.check_cover(source, &call.caller).await?;
        }
        let new = NewDraft {
            name: self.name.clone().filter(|_| own),
            note: self.note.clone().filter(|_| own),
            width: self.width,
            height: self.height,
            edition: self
                .wanted_edition()
                .filter(|_| own)
                .unwrap_or(engine.edition()),
            settings: Box::new(settings),
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
        for key in draft_settings::KEYS {
            arguments.shift_remove(key);
        }
        arguments
    }

    fn reply_to_api(reply: Created, link: &dyn Fn(&DraftId) -> String) -> Value {
        json!({ "draft_id": reply.draft_id, "draft_url": link(&reply.draft_id) })
    }
}
