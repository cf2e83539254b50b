//! A decoded call of a tool that runs on a backend, whatever tool it is.

use std::borrow::Cow;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::{BeyondApi, CatalogName, Spec, TextFile, Tool, Turn};
use crate::args::input_rule::FURTHER;
use crate::args::located::{self, Misread};
use crate::args::{Call, Object, lenient, to_value};
use crate::caller::Manner;
use crate::catalog;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::documents::properties;
use crate::engine::saving::SaveWish;
use crate::engine::{Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::progress::Progress;
use crate::units::Edition;

/// A decoded call of a tool that runs on a backend.
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
    fn wanted_edition(&self) -> Option<Edition>;
    /// Whether something in it depends on the edition of its draft.
    fn needs_edition(&self) -> bool;
    /// The same call with the names and defaults of this edition; `None` if nothing changes.
    fn in_edition(&self, edition: Edition) -> Result<Option<Box<dyn Request>>>;
    /// The arguments with all defaults, under their own names: equal for equivalent calls.
    fn arguments_in_full(&self) -> Result<Object>;
    /// See [`Tool::faults_on`].
    fn faults_on(&self, canvas: Canvas) -> Faults;
    /// See [`Tool::only_here`].
    fn only_here(&self) -> Result<()>;
    /// See [`Tool::beyond_api`], with the properties of its clips that it does not list. Nothing in the API's dialect.
    fn beyond_api(&self) -> BeyondApi;
    /// See [`Tool::save_wish`].
    fn save_wish(&self) -> Result<Option<SaveWish>>;
    /// See [`Tool::patience`].
    fn patience(&self) -> Option<Duration>;
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
    fn reply_from_api(&self, output: &RawValue) -> Result<Value>;
}

impl dyn Request + '_ {
    /// The same for an `output` that was put together here.
    pub(crate) fn reply_from_value(&self, output: &Value) -> Result<Value> {
        let output = to_raw_value(output)
            .map_err(|e| Error::internal("an output cannot be written as JSON").source(e))?;
        self.reply_from_api(&output)
    }
}

struct ToolRequest<T> {
    spec: &'static Spec,
    tool: T,
    call: Call,
}

impl<T: Tool> ToolRequest<T> {
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

impl<T: Tool> Request for ToolRequest<T> {
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
        let mut normalized = self.call.normalized.clone();
        normalized.notes.extend(notes);
        self.spec
            .request(arguments, &self.call.caller, normalized)
            .map(Some)
    }

    fn arguments_in_full(&self) -> Result<Object> {
        match to_value(&self.tool)? {
            Value::Object(mut arguments) => {
                if let Some(further) = self.call.arguments.get(FURTHER) {
                    arguments.insert(FURTHER.to_owned(), further.clone());
                }
                Ok(arguments)
            }
            _ => Err(Error::internal("a request is not an object")),
        }
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = self.tool.faults_on(canvas);
        faults.0.extend(properties::unknown_names(
            &self.call.normalized.properties,
            self.spec.clip_kind(),
            canvas.edition,
        ));
        for error in &mut faults.0 {
            self.call.normalized.by_sent_names(error);
        }
        faults
    }

    fn only_here(&self) -> Result<()> {
        self.tool.only_here(self.call.caller.manner.is_strict())
    }

    fn beyond_api(&self) -> BeyondApi {
        // In the API's dialect everything is sent: a server of newer sources may have it itself.
        if !self.call.caller.manner.is_strict() {
            return BeyondApi::default();
        }
        let mut beyond = self.tool.beyond_api();
        beyond.clips.extend(self.call.normalized.properties.clone());
        beyond
    }

    fn save_wish(&self) -> Result<Option<SaveWish>> {
        self.tool.save_wish()
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
                    self.call.normalized.by_sent_names(&mut error);
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
        body.shift_remove(FURTHER);
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

    fn reply_from_api(&self, output: &RawValue) -> Result<Value> {
        let reply = self.tool.reply_from_api(output)?;
        T::reply_value(match self.call.caller.manner {
            Manner::Strict => self.tool.part_of(reply)?,
            Manner::Api => reply,
        })
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

pub(super) fn decode<T: Tool>(spec: &'static Spec, mut call: Call) -> Result<Box<dyn Request>> {
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
    call.normalized.properties = match call.caller.manner {
        Manner::Strict => match call.arguments.get(FURTHER) {
            Some(Value::Object(properties)) => properties.clone(),
            _ => Object::new(),
        },
        Manner::Api => tool.api_properties(),
    };
    Ok(Box::new(ToolRequest { spec, tool, call }))
}
