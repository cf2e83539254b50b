//! The trait of a tool, and the single list of all routed tools: those that a CapCut API also has.
//!
//! MCP, HTTP, command line, README and tests iterate over the list that [`crate::local::all`] builds from these and
//! the local tools; nothing else refers to tools by name.

// Declared without a macro, because `cargo fmt` does not format modules that a macro declares.
pub(crate) mod add_audio;
pub(crate) mod add_effect;
pub(crate) mod add_image;
pub(crate) mod add_sticker;
pub(crate) mod add_subtitle;
pub(crate) mod add_text;
pub(crate) mod add_video;
pub(crate) mod add_video_keyframe;
pub(crate) mod create_draft;
pub(crate) mod generate_draft_url;
pub(crate) mod lists;
pub(crate) mod query_draft_status;
pub(crate) mod query_script;
pub(crate) mod save_draft;

use std::any::Any;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};
use serde_json::{Value, json};

use crate::args::lenient::{self, Checked};
use crate::args::located::{self, Misread};
use crate::args::mend::{self, Comfort, Mended, Of};
use crate::args::schema;
use crate::catalog::{self, NameKind};
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::progress::Progress;
use crate::units::Edition;

pub(crate) use crate::args::{Call, Object, to_value};
pub(crate) use crate::caller::{Caller, Manner};

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

/// A tool that a CapCut API also has. The doc comment on the request is the tool's description; the doc comments on
/// its fields are the descriptions in the schema.
pub(crate) trait Tool:
    Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static
{
    const NAME: &'static str;
    const TITLE: &'static str;
    const HINTS: Hints;
    /// Other names and notations for the arguments of this tool (strict callers only).
    const COMFORT: &'static [Comfort] = &[];
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

    /// Refuses what the engine can do and a CapCut API cannot.
    fn only_here(&self) -> Result<()> {
        Ok(())
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

    /// A text that a CapCut API may not be able to read in its present form.
    fn text_file(&self) -> Option<TextFile<'_>> {
        None
    }

    /// Reads the `output` of a CapCut API as our reply.
    fn reply_from_api(&self, output: Value) -> Result<Self::Reply> {
        serde_json::from_value(output)
            .map_err(|e| Error::internal("the reply has an unexpected shape").source(e))
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

/// A decoded call of any tool.
pub(crate) trait Request: Send + Sync {
    fn spec(&self) -> &'static Spec;
    fn draft(&self) -> Option<&DraftId>;
    fn turn(&self) -> Turn;
    /// See [`Tool::leaves`].
    fn leaves(&self) -> Leaves;
    /// See [`Tool::names`].
    fn names(&self) -> Vec<CatalogName<'_>>;
    fn call(&self) -> &Call;
    /// See [`Tool::wanted_edition`].
    fn wanted_edition(&self) -> Option<Edition> {
        None
    }
    /// Whether something in it depends on the edition of its draft.
    fn needs_edition(&self) -> bool {
        false
    }
    /// The same call with the names and defaults of this edition; `None` if nothing changes.
    fn in_edition(&self, _edition: Edition) -> Result<Option<Box<dyn Request>>> {
        Ok(None)
    }
    /// The arguments with all defaults, under their own names: equal for equivalent calls.
    fn arguments_in_full(&self) -> Result<Object> {
        Ok(self.call().arguments.clone())
    }
    /// See [`Tool::faults_on`].
    fn faults_on(&self, canvas: Canvas) -> Faults;
    /// See [`Tool::only_here`].
    fn only_here(&self) -> Result<()>;
    /// The request itself, for local tools.
    fn as_any(&self) -> &dyn Any;
    /// See [`Tool::patience`].
    fn patience(&self) -> Option<Duration>;
    /// Whether it stops by itself when it is cancelled, and reports what it had done.
    fn reports_when_cancelled(&self) -> bool {
        false
    }
    fn run<'a>(
        &'a self,
        engine: &'a Engine,
        told: Option<&'a Progress>,
    ) -> BoxFuture<'a, Result<Value>>;
    /// The body for a server of this edition, with catalog names as the edition lists them.
    fn to_api(&self, edition: Edition) -> Object;
    /// See [`Tool::text_file`].
    fn text_file(&self) -> Option<TextFile<'_>>;
    /// Reads a server's `output` as this tool's reply, in the shape of the engine's reply.
    fn reply_from_api(&self, output: Value) -> Result<Value>;
}

type Decode = fn(&'static Spec, Call) -> Result<Box<dyn Request>>;

type AsMeant = fn(&mut Object);

type ToApi = for<'r> fn(&'r Value, &dyn Fn(&DraftId) -> String) -> Result<Cow<'r, Value>>;

/// A tool in the list.
pub(crate) struct Spec {
    pub name: &'static str,
    pub title: &'static str,
    pub hints: Hints,
    pub comfort: &'static [Comfort],
    /// Whether a CapCut API has it; otherwise it is a local tool.
    pub routed: bool,
    pub texts: Texts,
    /// The field of the reply with the path of a PNG file, which is shown to clients that support images.
    pub picture: Option<&'static str>,
    decode: Decode,
    as_meant: AsMeant,
    to_api: ToApi,
    make_input: fn() -> Object,
    make_output: fn() -> Object,
    schemas: OnceLock<Schemas>,
}

struct Schemas {
    description: String,
    input: Arc<Object>,
    output: Arc<Object>,
}

impl Spec {
    pub(crate) const fn routed<T: Tool>() -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            hints: T::HINTS,
            comfort: T::COMFORT,
            routed: true,
            texts: T::TEXTS,
            picture: None,
            decode: decode_routed::<T>,
            as_meant: T::as_meant,
            to_api: T::value_to_api,
            make_input: schema::input::<T>,
            make_output: schema::output::<T::Reply>,
            schemas: OnceLock::new(),
        }
    }

    /// A local tool; `crate::local` creates these.
    pub(crate) const fn local<T: JsonSchema, R: JsonSchema>(
        name: &'static str,
        title: &'static str,
        hints: Hints,
        comfort: &'static [Comfort],
        picture: Option<&'static str>,
        decode: Decode,
    ) -> Self {
        Self {
            name,
            title,
            hints,
            comfort,
            routed: false,
            texts: Texts::NONE,
            picture,
            decode,
            as_meant: |_| (),
            to_api: |reply, _| Ok(Cow::Borrowed(reply)),
            make_input: schema::input::<T>,
            make_output: schema::output::<R>,
            schemas: OnceLock::new(),
        }
    }

    fn schemas(&self) -> &Schemas {
        self.schemas.get_or_init(|| {
            let mut input = (self.make_input)();
            let description = match input.shift_remove("description") {
                Some(Value::String(text)) => text,
                _ => String::new(),
            };
            // Without `draft_id`, the API creates a draft. For strict callers it is required, because they have
            // probably forgotten it.
            let has_draft = input
                .get("properties")
                .is_some_and(|properties| properties.get("draft_id").is_some());
            if self.routed
                && has_draft
                && let Value::Array(required) = input
                    .entry("required")
                    .or_insert_with(|| Value::Array(Vec::new()))
                && !required.iter().any(|name| name == "draft_id")
            {
                required.insert(0, "draft_id".into());
            }
            let mut output = (self.make_output)();
            output.shift_remove("description");
            // Any reply may get notes on its way to the client.
            if let Some(Value::Object(properties)) = output.get_mut("properties") {
                properties
                    .entry("notes")
                    .or_insert_with(|| json!({ "type": "array", "items": { "type": "string" } }));
            }
            Schemas {
                description,
                input: Arc::new(input),
                output: Arc::new(output),
            }
        })
    }

    /// What the tool does, for people and models.
    pub(crate) fn description(&self) -> &str {
        &self.schemas().description
    }

    /// The flat schema of the arguments.
    pub(crate) fn input(&self) -> &Arc<Object> {
        &self.schemas().input
    }

    /// The schema as clients see it.
    pub(crate) fn shown_input(&self) -> Arc<Object> {
        schema::shown_input(self.input(), self.comfort)
    }

    /// The flat schema of the reply.
    pub(crate) fn output(&self) -> &Arc<Object> {
        &self.schemas().output
    }

    /// Decodes arguments to a request, or returns one error with all problems.
    pub(crate) fn decode(
        &'static self,
        mut arguments: Object,
        caller: &Caller,
    ) -> Result<Box<dyn Request>> {
        let mended = match caller.manner {
            Manner::Strict => self.mend(&mut arguments, Of::Call)?,
            Manner::Api => Mended::default(),
        };
        self.request(arguments, caller, mended)
    }

    /// Decodes a call from the journal. It keeps the meaning that it had when it was accepted: newer ranges and defaults
    /// do not apply to it.
    pub(crate) fn decode_recorded(
        &'static self,
        mut arguments: Object,
        caller: &Caller,
    ) -> Result<Box<dyn Request>> {
        if caller.manner == Manner::Strict {
            self.mend(&mut arguments, Of::Record)?;
        }
        self.read(arguments, caller)
    }

    /// Brings the arguments of a plan's item into the form of the schema, or returns all problems. The result is the
    /// notes for the report.
    pub(crate) fn mend_item(&self, arguments: &mut Object) -> Result<Vec<String>> {
        Ok(self.mend(arguments, Of::Item)?.notes)
    }

    fn mend(&self, arguments: &mut Object, of: Of) -> Result<Mended> {
        mend::mend(self.name, self.comfort, self.input(), arguments, of)
    }

    /// An argument's own name for any name that is accepted for it.
    pub(crate) fn own_name<'n>(&self, name: &'n str) -> &'n str
    where
        'static: 'n,
    {
        self.comfort
            .iter()
            .filter_map(|comfort| comfort.other_name())
            .find_map(|(other, own)| (other == name).then_some(own))
            .unwrap_or(name)
    }

    /// Whether the tool accepts an argument of this name.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let is_own = |name: &str| {
            let properties = self.input().get("properties").and_then(Value::as_object);
            properties.is_some_and(|properties| properties.contains_key(name))
        };
        is_own(self.own_name(name))
            || self
                .comfort
                .iter()
                .any(|comfort| comfort.names().contains(&name))
    }

    /// Decodes arguments that need no normalisation.
    pub(crate) fn read(
        &'static self,
        arguments: Object,
        caller: &Caller,
    ) -> Result<Box<dyn Request>> {
        self.request(arguments, caller, Mended::default())
    }

    /// As [`Self::read`], with what normalisation changed before.
    pub(crate) fn request(
        &'static self,
        arguments: Object,
        caller: &Caller,
        mended: Mended,
    ) -> Result<Box<dyn Request>> {
        (self.decode)(
            self,
            Call {
                tool: self.name,
                arguments,
                caller: caller.clone(),
                mended,
            },
        )
    }

    /// See [`Tool::as_meant`].
    pub(crate) fn take_as_meant(&self, arguments: &mut Object) {
        (self.as_meant)(arguments);
    }

    /// A reply of ours as the `output` of a CapCut API.
    pub(crate) fn reply_to_api<'r>(
        &self,
        reply: &'r Value,
        link: &dyn Fn(&DraftId) -> String,
    ) -> Result<Cow<'r, Value>> {
        (self.to_api)(reply, link)
    }
}

/// Reads the normalised arguments as the tool's own struct.
pub(crate) fn typed<T: DeserializeOwned>(call: &Call) -> Result<T> {
    located::read(&call.arguments).map_err(|Misread { path, fault }| {
        if path.is_empty() {
            Error::invalid(fault)
        } else {
            Error::invalid(format!("`{path}`: {fault}"))
        }
    })
}

fn decode_routed<T: Tool>(spec: &'static Spec, mut call: Call) -> Result<Box<dyn Request>> {
    let tool: T = match call.caller.manner {
        Manner::Strict => typed(&call)?,
        Manner::Api => match T::deserialize(&call.arguments) {
            Ok(tool) => tool,
            Err(_) => lenient::read(&mut call.arguments, T::CHECKED)?,
        },
    };
    if call.caller.manner == Manner::Strict {
        let faults = tool.faults();
        if !faults.is_empty() {
            return Err(Error::invalid(faults.join("\n")));
        }
    }
    Ok(Box::new(Routed { spec, tool, call }))
}

struct Routed<T> {
    spec: &'static Spec,
    tool: T,
    call: Call,
}

impl<T: Tool> Routed<T> {
    fn lacks_font(&self) -> bool {
        T::USUAL_FONT.is_some() && !self.call.arguments.contains_key("font")
    }
}

/// Replaces the name at a path such as `transition` or `text_styles[0].font`. Returns whether the path exists.
fn put(arguments: &mut Object, place: &str, name: &str) -> bool {
    let mut parts = place
        .split(['.', '['])
        .map(|part| part.trim_end_matches(']'));
    let mut at = parts.next().and_then(|first| arguments.get_mut(first));
    for part in parts {
        at = at.and_then(|value| match part.parse::<usize>() {
            Ok(index) => value.get_mut(index),
            Err(_) => value.get_mut(part),
        });
    }
    match at {
        Some(value) => {
            *value = name.into();
            true
        }
        None => false,
    }
}

impl<T: Tool> Request for Routed<T> {
    fn spec(&self) -> &'static Spec {
        self.spec
    }

    fn draft(&self) -> Option<&DraftId> {
        self.tool.draft()
    }

    fn turn(&self) -> Turn {
        self.tool.turn()
    }

    fn leaves(&self) -> Leaves {
        self.tool.leaves(self.call.caller.manner.is_strict())
    }

    fn names(&self) -> Vec<CatalogName<'_>> {
        self.tool.names()
    }

    fn call(&self) -> &Call {
        &self.call
    }

    fn wanted_edition(&self) -> Option<Edition> {
        self.tool.wanted_edition()
    }

    fn needs_edition(&self) -> bool {
        self.call.caller.manner.is_strict()
            && (self.lacks_font()
                || self.tool.wanted_edition().is_some()
                || !self.tool.names().is_empty())
    }

    fn in_edition(&self, edition: Edition) -> Result<Option<Box<dyn Request>>> {
        let mut arguments = Cow::Borrowed(&self.call.arguments);
        let mut notes = Vec::new();
        for named in self.tool.names() {
            let Some(entry) = catalog::translated(edition, named.kinds, named.name) else {
                continue;
            };
            if put(arguments.to_mut(), &named.argument, entry.key) {
                notes.push(format!(
                    "`{}`: {:?} is `{}` in {}",
                    named.argument,
                    named.name,
                    entry.key,
                    edition.app()
                ));
            }
        }
        if let Some(font) = T::USUAL_FONT.filter(|_| self.lacks_font()) {
            arguments
                .to_mut()
                .insert("font".to_owned(), font(edition).into());
        }
        let Cow::Owned(arguments) = arguments else {
            return Ok(None);
        };
        let mut mended = self.call.mended.clone();
        mended.notes.extend(notes);
        self.spec
            .request(arguments, &self.call.caller, mended)
            .map(Some)
    }

    fn arguments_in_full(&self) -> Result<Object> {
        match to_value(&self.tool)? {
            Value::Object(arguments) => Ok(arguments),
            _ => Err(Error::internal("a request is not an object")),
        }
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = self.tool.faults_on(canvas);
        for error in &mut faults.0 {
            self.call.mended.by_sent_names(error);
        }
        faults
    }

    fn only_here(&self) -> Result<()> {
        self.tool.only_here()
    }

    fn as_any(&self) -> &dyn Any {
        &self.tool
    }

    fn patience(&self) -> Option<Duration> {
        self.tool
            .patience()
            .filter(|_| self.call.caller.manner == Manner::Strict)
    }

    fn run<'a>(
        &'a self,
        engine: &'a Engine,
        told: Option<&'a Progress>,
    ) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let reply = match told {
                Some(told) => self.tool.run_telling(engine, &self.call, told).await,
                None => self.tool.run(engine, &self.call).await,
            };
            match reply {
                Ok(reply) => T::reply_value(reply),
                Err(mut error) => {
                    self.call.mended.by_sent_names(&mut error);
                    Err(error)
                }
            }
        })
    }

    fn to_api(&self, edition: Edition) -> Object {
        // In the API's dialect, arguments have the API's meaning and stay unchanged.
        if !self.call.caller.manner.is_strict() {
            return self.call.arguments.clone();
        }
        let mut body = self.tool.to_api(&self.call.arguments);
        for named in self.tool.names() {
            if let Some(Value::String(name)) = body.get_mut(&*named.argument)
                && let Ok(entry) = catalog::find_in(edition, named.kinds, name)
            {
                entry.key.clone_into(name);
            }
        }
        body
    }

    fn text_file(&self) -> Option<TextFile<'_>> {
        let is_strict = self.call.caller.manner.is_strict();
        is_strict.then(|| self.tool.text_file()).flatten()
    }

    fn reply_from_api(&self, output: Value) -> Result<Value> {
        let reply = self.tool.reply_from_api(output)?;
        T::reply_value(match self.call.caller.manner {
            Manner::Strict => self.tool.part_of(reply)?,
            Manner::Api => reply,
        })
    }
}

/// The routed tool of that name.
pub(crate) fn routed(name: &str) -> Option<&'static Spec> {
    ROUTED.iter().find(|spec| spec.name == name)
}

/// Builds the list of the routed tools, in the order that clients see.
macro_rules! tools {
    ($($module:ident :: $tool:ident,)* ; $lists:ident : $($list:ident,)*) => {
        /// Every tool that a CapCut API also has.
        pub(crate) static ROUTED: [Spec; [$($module::$tool::NAME,)* $($lists::$list::NAME,)*].len()] =
            [$(Spec::routed::<$module::$tool>(),)* $(Spec::routed::<$lists::$list>(),)*];
    };
}

tools! {
    create_draft::CreateDraft,
    add_video::AddVideo,
    add_audio::AddAudio,
    add_image::AddImage,
    add_text::AddText,
    add_subtitle::AddSubtitle,
    add_sticker::AddSticker,
    add_effect::AddEffect,
    add_video_keyframe::AddVideoKeyframe,
    query_script::QueryScript,
    save_draft::SaveDraft,
    query_draft_status::QueryDraftStatus,
    generate_draft_url::GenerateDraftUrl,
    ;
    lists:
    GetIntroAnimationTypes,
    GetOutroAnimationTypes,
    GetComboAnimationTypes,
    GetTransitionTypes,
    GetMaskTypes,
    GetAudioEffectTypes,
    GetFontTypes,
    GetTextIntroTypes,
    GetTextOutroTypes,
    GetTextLoopAnimTypes,
    GetVideoSceneEffectTypes,
    GetVideoCharacterEffectTypes,
}
