//! What a tool is: the trait that each tool of a CapCut API implements, its entry in the list, and a decoded call.

mod request;
mod spec;

use std::borrow::Cow;
use std::time::Duration;

use capcut_draft::Settings;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::input_rule::InputRule;
use crate::args::lenient::Checked;
use crate::args::{Call, Object, to_value};
use crate::caller::Caller;
use crate::catalog::NameKind;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::saving::SaveWish;
use crate::engine::{Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::progress::Progress;
use crate::units::Edition;

pub(crate) use request::{Request, typed};
pub(crate) use spec::{ReplyForm, Spec};

/// The hints by which clients decide whether to ask the user; there is no default on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the hints of MCP")]
pub(crate) struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
}

impl Hints {
    /// Only reads, from this machine or the API.
    pub(crate) const READ: Self = Self {
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
    };
    /// Adds to a draft; a repeated call adds again.
    pub(crate) const ADD: Self = Self {
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: false,
    };
    /// Adds media, which may come from any server.
    pub(crate) const ADD_MEDIA: Self = Self {
        read_only: false,
        destructive: false,
        idempotent: false,
        open_world: true,
    };
}

/// How a call depends on other calls on its draft; the executor schedules turns by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Touches no draft.
    Free,
    /// Places something on the named track. `dependent` if its position depends on earlier calls
    /// (no length or time given).
    Track {
        group: Group,
        track: String,
        dependent: bool,
    },
    /// Waits for all earlier calls on the draft, and later calls wait for it: saves, queries, keyframes.
    Alone,
}

/// Tracks of one group are opened one after another; different groups may open tracks concurrently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Group {
    Audio,
    Visual,
    Other,
}

/// The wording of the reference API around an error; its clients may match it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts {
    /// Arguments that must be present and true.
    pub required: &'static [&'static str],
    /// Arguments that may be absent but not null.
    pub not_null: &'static [&'static str],
    /// The message if one of these rules is broken.
    pub missing: &'static str,
    /// The text before any other error.
    pub before: &'static str,
    /// The text after it.
    pub after: &'static str,
    /// The whole message for an unknown draft; `{}` is its id.
    pub unknown: &'static str,
}

impl Texts {
    pub(crate) const NONE: Self = Self {
        required: &[],
        not_null: &[],
        missing: "",
        before: "",
        after: "",
        unknown: "",
    };
}

/// What a call asks for and no CapCut API has. A save on a server adds it to the saved draft.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BeyondApi {
    /// Of the draft as a whole.
    pub draft: Settings,
    /// Properties of the call's clips, as `set` takes them.
    pub clips: Object,
}

impl BeyondApi {
    pub(crate) fn is_empty(&self) -> bool {
        self.clips.is_empty() && self.draft == Settings::default()
    }
}

/// The names of settings of a draft.
pub(crate) fn settings_given(settings: &Settings) -> Vec<String> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(given)) => given.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// A tool that a CapCut API also has. The doc comment on the request is the tool's description; the doc comments on
/// its fields are the descriptions in the schema.
pub(crate) trait Tool:
    Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static
{
    const NAME: &'static str;
    const TITLE: &'static str;
    const HINTS: Hints;
    /// Other names and notations for the arguments of this tool (strict callers only).
    const INPUT_RULES: &'static [InputRule] = &[];
    /// The arguments whose type the reference API depends on (HTTP only).
    const CHECKED: &'static [Checked] = &[];
    /// The reference API's wording of errors.
    const TEXTS: Texts = Texts::NONE;
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// The draft that the call is about, if it names one.
    fn draft(&self) -> Option<&DraftId> {
        None
    }

    fn turn(&self) -> Turn {
        Turn::Free
    }

    /// What the call leaves in its draft's document. There is no default on purpose: this decides whether a call
    /// whose reply was lost was applied, and whether a saved draft is complete. `strict` is true in our own dialect.
    fn leaves(&self, strict: bool) -> Leaves;

    /// The names of effects, fonts and similar things in the call.
    fn names(&self) -> Vec<CatalogName<'_>> {
        Vec::new()
    }

    /// The font of a text in this edition if the call does not give one.
    const USUAL_FONT: Option<fn(Edition) -> &'static str> = None;

    /// The edition that the call requests.
    fn wanted_edition(&self) -> Option<Edition> {
        None
    }

    /// Checks for strict callers beyond the schema; returns all problems.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }

    /// All problems of a strict call on such a canvas that can be found without its draft and its files.
    fn faults_on(&self, _canvas: Canvas) -> Faults {
        Faults::default()
    }

    /// Refuses what the engine can do, and a CapCut API cannot, and a save cannot add. `strict` is true in our own dialect.
    fn only_here(&self, _strict: bool) -> Result<()> {
        Ok(())
    }

    /// What the engine can do and a CapCut API cannot, in our own dialect, and a save can add.
    fn beyond_api(&self) -> BeyondApi {
        BeyondApi::default()
    }

    /// Runs the call on the engine.
    fn run(&self, engine: &Engine, call: &Call)
    -> impl Future<Output = Result<Self::Reply>> + Send;

    /// As [`Tool::run`], and reports progress while it runs.
    fn run_telling(
        &self,
        engine: &Engine,
        call: &Call,
        _told: &Progress,
    ) -> impl Future<Output = Result<Self::Reply>> + Send {
        self.run(engine, call)
    }

    /// How long a client waits before it gets a job id instead of the result. `None`: until the call ends.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// The body for the reference API for a strict caller; values that the API would misread are corrected here.
    fn to_api(&self, arguments: &Object) -> Object {
        arguments.clone()
    }

    /// Converts arguments that a server accepted in the API's dialect, so that the engine does the same with them.
    fn as_meant(_arguments: &mut Object) {}

    /// The properties that newer sources of the API have as arguments (HTTP only).
    fn api_properties(&self) -> Object {
        Object::new()
    }

    /// Where and how the call saves its draft.
    fn save_wish(&self) -> Result<Option<SaveWish>> {
        Ok(None)
    }

    /// A text that a CapCut API may not be able to read in its present form.
    fn text_file(&self) -> Option<TextFile<'_>> {
        None
    }

    /// Reads the `output` of a CapCut API as our reply.
    fn reply_from_api(&self, output: &RawValue) -> Result<Self::Reply> {
        read_output(output)
    }

    /// The part of a server's reply that a strict caller requested.
    fn part_of(&self, reply: Self::Reply) -> Result<Self::Reply> {
        Ok(reply)
    }

    /// The reply as clients receive it.
    fn reply_value(reply: Self::Reply) -> Result<Value> {
        to_value(&reply)
    }

    /// Our reply as the `output` of a CapCut API; `link` makes the `draft_url`.
    fn reply_to_api(reply: Self::Reply, link: &dyn Fn(&DraftId) -> String) -> Value;

    /// The same for the result of [`Tool::reply_value`].
    fn value_to_api<'r>(
        reply: &'r Value,
        link: &dyn Fn(&DraftId) -> String,
    ) -> Result<Cow<'r, Value>> {
        let reply = Self::Reply::deserialize(reply)
            .map_err(|e| Error::internal("our own reply has an unexpected shape").source(e))?;
        Ok(Cow::Owned(Self::reply_to_api(reply, link)))
    }
}

/// Reads the `output` of a CapCut API.
pub(crate) fn read_output<'o, T: Deserialize<'o>>(output: &'o RawValue) -> Result<T> {
    serde_json::from_str(output.get())
        .map_err(|e| Error::internal("the reply has an unexpected shape").source(e))
}

/// The name of an effect, a font or a similar thing in a call's arguments.
#[derive(Debug)]
pub(crate) struct CatalogName<'a> {
    /// The argument as named in errors, such as `text_styles[0].font`.
    pub argument: Cow<'static, str>,
    pub kinds: &'static [NameKind],
    pub name: &'a str,
}

impl<'a> CatalogName<'a> {
    /// `None` where no name is given.
    pub(crate) fn new(
        argument: impl Into<Cow<'static, str>>,
        kinds: &'static [NameKind],
        name: Option<&'a str>,
    ) -> Option<Self> {
        let name = name.filter(|name| !name.is_empty())?;
        let argument = argument.into();
        Some(Self {
            argument,
            kinds,
            name,
        })
    }
}

/// A text that is converted to a form that a CapCut API reads.
pub(crate) struct TextFile<'a> {
    /// The argument that holds the text or its location; it also accepts the converted text.
    pub argument: &'static str,
    pub text: TextSource<'a>,
    /// Converts the text for the API.
    pub convert: Box<dyn Fn(&[u8], &Caller) -> Result<Converted> + Send + Sync + 'a>,
}

/// Where such a text is.
pub(crate) enum TextSource<'a> {
    Given(Cow<'a, str>),
    /// A path or a URL.
    At {
        source: &'a str,
        max_bytes: u64,
        /// Whether the API cannot read it there by itself.
        is_needed: bool,
    },
}

/// A text for a CapCut API.
#[derive(Default)]
pub(crate) struct Converted {
    /// `None`: the argument can be sent unchanged.
    pub text: Option<String>,
    pub notes: Vec<String>,
}
