//! A tool in the list: what clients see of it, and how its arguments are decoded.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use capcut_draft::ClipKind;
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::request::{self, Request};
use super::{Hints, Texts, Tool};
use crate::args::input_rule::InputRule;
use crate::args::normalize::{self, ArgumentSource, Normalized};
use crate::args::{Call, Object, schema, set_values};
use crate::caller::{Caller, Manner};
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::styles::Styles;

/// How clients receive the replies of a tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyForm {
    /// The field of the reply with the path of a PNG or JPEG file, which is also sent to clients that show images.
    pub picture: Option<&'static str>,
    /// The reply as lines of text, for tools whose replies are lists; other replies are JSON.
    pub lines: Option<fn(&Value) -> String>,
    /// Whether the reply names a draft (`draft_id` or `draft`) that clients with a view of drafts show in it.
    pub shows_draft: bool,
}

impl ReplyForm {
    /// JSON only.
    pub(crate) const JSON: Self = Self {
        picture: None,
        lines: None,
        shows_draft: false,
    };
}

/// A tool in the list.
pub(crate) struct Spec {
    pub name: &'static str,
    pub title: &'static str,
    pub hints: Hints,
    pub input_rules: &'static [InputRule],
    pub texts: Texts,
    pub reply_form: ReplyForm,
    /// Whether a cancelled call ends by itself and reports what it has done.
    pub reports_when_cancelled: bool,
    /// `None`: a local tool.
    api: Option<ApiTool>,
    make_input: fn() -> Object,
    make_output: fn() -> Object,
    schemas: OnceLock<Schemas>,
}

type Decode = fn(&'static Spec, Call) -> Result<Box<dyn Request>>;

type AsMeant = fn(&mut Object);

type ToApi = for<'r> fn(&'r Value, &dyn Fn(&DraftId) -> String) -> Result<Cow<'r, Value>>;

/// What only a tool has that a CapCut API also has.
struct ApiTool {
    decode: Decode,
    as_meant: AsMeant,
    to_api: ToApi,
}

struct Schemas {
    description: String,
    input: Arc<Object>,
    output: Arc<Object>,
    /// Whether replies have the fields `backend` and `reason`.
    names_backend: bool,
    gives_reason: bool,
}

impl Spec {
    pub(crate) const fn routed<T: Tool>() -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            hints: T::HINTS,
            input_rules: T::INPUT_RULES,
            texts: T::TEXTS,
            reply_form: ReplyForm::JSON,
            reports_when_cancelled: false,
            api: Some(ApiTool {
                decode: request::decode::<T>,
                as_meant: T::as_meant,
                to_api: T::value_to_api,
            }),
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
        input_rules: &'static [InputRule],
        reply_form: ReplyForm,
        reports_when_cancelled: bool,
    ) -> Self {
        Self {
            name,
            title,
            hints,
            input_rules,
            texts: Texts::NONE,
            reply_form,
            reports_when_cancelled,
            api: None,
            make_input: schema::input::<T>,
            make_output: schema::output::<R>,
            schemas: OnceLock::new(),
        }
    }

    /// Whether calls run on a backend; otherwise it is a local tool.
    pub(crate) const fn is_routed(&self) -> bool {
        self.api.is_some()
    }

    fn api(&self) -> Result<&ApiTool> {
        self.api
            .as_ref()
            .ok_or_else(|| Error::internal(format!("`{}` does not run on a backend", self.name)))
    }

    fn schemas(&self) -> &Schemas {
        self.schemas.get_or_init(|| {
            let mut input = (self.make_input)();
            if self.is_routed() {
                schema::describe(&mut input, self.name);
            }
            let description = match input.shift_remove("description") {
                Some(Value::String(text)) => text,
                _ => String::new(),
            };
            // Without `draft_id`, the API creates a draft. For strict callers it is required, because they have
            // probably forgotten it.
            let has_draft = input
                .get("properties")
                .is_some_and(|properties| properties.get("draft_id").is_some());
            if self.is_routed()
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
            let replies_with = |name: &str| {
                let properties = output.get("properties");
                properties.is_some_and(|properties| properties.get(name).is_some())
            };
            Schemas {
                description,
                input: Arc::new(input),
                names_backend: replies_with("backend"),
                gives_reason: replies_with("reason"),
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
        schema::shown_input(self.input(), self.input_rules)
    }

    /// The schema in the list of tools; see [`schema::listed_input`].
    pub(crate) fn listed_input(&self) -> Arc<Object> {
        Arc::new(schema::listed_input(&self.shown_input(), self.input_rules))
    }

    /// The flat schema of the reply.
    pub(crate) fn output(&self) -> &Arc<Object> {
        &self.schemas().output
    }

    /// The schema of the reply in the list of tools; see [`schema::listed_output`].
    pub(crate) fn listed_output(&self) -> Arc<Object> {
        Arc::new(schema::listed_output(self.output()))
    }

    /// Whether replies say which backend ran the call.
    pub(crate) fn names_backend(&self) -> bool {
        self.schemas().names_backend
    }

    /// Whether replies say why that backend ran it.
    pub(crate) fn gives_reason(&self) -> bool {
        self.schemas().gives_reason
    }

    /// The call with normalised arguments, or one error with all problems.
    pub(crate) fn call(&self, mut arguments: Object, caller: &Caller) -> Result<Call> {
        let normalized = match caller.manner {
            Manner::Strict => {
                self.normalize(&mut arguments, ArgumentSource::Call, &caller.styles)?
            }
            Manner::Api => Normalized::default(),
        };
        Ok(Call {
            tool: self.name,
            arguments,
            caller: caller.clone(),
            normalized,
        })
    }

    /// Decodes arguments to a request for a backend, or returns one error with all problems.
    pub(crate) fn decode(
        &'static self,
        arguments: Object,
        caller: &Caller,
    ) -> Result<Box<dyn Request>> {
        (self.api()?.decode)(self, self.call(arguments, caller)?)
    }

    /// Decodes a call from the journal. It keeps the meaning that it had when it was accepted: newer ranges and defaults
    /// do not apply to it.
    pub(crate) fn decode_recorded(
        &'static self,
        mut arguments: Object,
        caller: &Caller,
    ) -> Result<Box<dyn Request>> {
        if caller.manner == Manner::Strict {
            self.normalize(&mut arguments, ArgumentSource::Record, &caller.styles)?;
        }
        self.read(arguments, caller)
    }

    /// Brings the arguments of a plan's item into the form of the schema, or returns all problems. The result is the
    /// notes for the report.
    pub(crate) fn normalize_item(
        &self,
        arguments: &mut Object,
        styles: &Styles,
    ) -> Result<Vec<String>> {
        Ok(self
            .normalize(arguments, ArgumentSource::Item, styles)?
            .notes)
    }

    fn normalize(
        &self,
        arguments: &mut Object,
        of: ArgumentSource,
        styles: &Styles,
    ) -> Result<Normalized> {
        normalize::normalize(
            self.name,
            self.input_rules,
            self.input(),
            arguments,
            of,
            styles,
        )
    }

    /// An argument's own name for any name that is accepted for it.
    pub(crate) fn own_name<'n>(&self, name: &'n str) -> &'n str
    where
        'static: 'n,
    {
        self.input_rules
            .iter()
            .filter_map(|rule| rule.other_name())
            .find_map(|(other, own)| (other == name).then_some(own))
            .unwrap_or(name)
    }

    /// Whether the tool accepts an argument of this name.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let is_own = |name: &str| {
            let properties = self.input().get("properties").and_then(Value::as_object);
            properties.is_some_and(|properties| properties.contains_key(name))
        };
        let is_property = || {
            let found = set_values::find(name);
            found
                .zip(self.clip_kind())
                .is_some_and(|((property, _), kind)| property.is_settable_on(kind))
        };
        is_own(self.own_name(name))
            || self
                .input_rules
                .iter()
                .any(|rule| rule.names().contains(&name))
            || is_property()
    }

    /// The kind of clip whose properties it takes beyond its schema.
    pub(crate) fn clip_kind(&self) -> Option<ClipKind> {
        self.input_rules.iter().find_map(|rule| match rule {
            InputRule::Properties(kind) => Some(*kind),
            _ => None,
        })
    }

    /// Decodes arguments that need no normalisation.
    pub(crate) fn read(
        &'static self,
        arguments: Object,
        caller: &Caller,
    ) -> Result<Box<dyn Request>> {
        self.request(arguments, caller, Normalized::default())
    }

    /// As [`Self::read`], with what normalisation changed before.
    pub(crate) fn request(
        &'static self,
        arguments: Object,
        caller: &Caller,
        normalized: Normalized,
    ) -> Result<Box<dyn Request>> {
        (self.api()?.decode)(
            self,
            Call {
                tool: self.name,
                arguments,
                caller: caller.clone(),
                normalized,
            },
        )
    }

    /// See [`Tool::as_meant`].
    pub(crate) fn take_as_meant(&self, arguments: &mut Object) {
        if let Some(api) = &self.api {
            (api.as_meant)(arguments);
        }
    }

    /// A reply of ours as the `output` of a CapCut API.
    pub(crate) fn reply_to_api<'r>(
        &self,
        reply: &'r Value,
        link: &dyn Fn(&DraftId) -> String,
    ) -> Result<Cow<'r, Value>> {
        (self.api()?.to_api)(reply, link)
    }
}
