//! `query_script`: the draft's current document.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args;
use crate::args::input_rule::InputRule;
use crate::args::part;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{self, Engine};
use crate::error::{Error, Result};
use crate::tool::{Hints, Texts, Tool, Turn, read_output};
use crate::tools::{Call, Object, to_value};

/// Returns a draft's document, or a part of it, as JSON text.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct QueryScript {
    /// The draft.
    #[serde(default, deserialize_with = "args::draft_id")]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    /// Retries media that could not be read.
    #[serde(default = "yes", deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub force_update: bool,
    /// Part: `tracks[0].segments[0:10]`; `/` is all, of any size.
    #[serde(
        default,
        deserialize_with = "args::own_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub path: Option<String>,
}

impl QueryScript {
    /// The part of the document that a strict caller requested.
    fn part(&self, script: String) -> Result<String> {
        let path = self.path.as_deref().filter(|path| !part::is_whole(path));
        let Some(path) = path else { return Ok(script) };
        let document: Value = serde_json::from_str(&script)
            .map_err(|e| Error::internal("the draft's document cannot be read").source(e))?;
        Ok(part::part(&document, path)?.to_string())
    }
}

fn yes() -> bool {
    true
}

/// A draft's document.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Script {
    /// The document as JSON text.
    pub script: String,
    /// For a document that is too long for a reply: the parts that `path` can select.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// What was adjusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A part of a document.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Part {
    pub path: String,
    /// Such as `12 items`.
    pub what: String,
    pub characters: usize,
}

impl Tool for QueryScript {
    const NAME: &'static str = "query_script";
    const TITLE: &'static str = "Query script";
    const HINTS: Hints = Hints::READ;
    const INPUT_RULES: &'static [InputRule] = &[];
    const TEXTS: Texts = Texts {
        required: &["draft_id"],
        not_null: &[],
        missing: "Hi, the required parameter 'draft_id' is missing. Please add it and try again.",
        before: "Error occurred while querying script: ",
        after: ". ",
        unknown: "Draft {} does not exist in cache.",
    };
    type Reply = Script;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Alone
    }

    fn leaves(&self, _strict: bool) -> Leaves {
        Leaves::Nothing
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Script> {
        let Some(draft) = &self.draft_id else {
            return Err(Error::invalid("`draft_id` is missing"));
        };
        let notes = if self.force_update {
            engine.learn(draft, call).await?
        } else {
            Vec::new()
        };
        let strict = engine::is_strict(call);
        let script = engine.script(draft, self.force_update, strict).await?;
        let script = if strict { self.part(script)? } else { script };
        Ok(Script {
            script,
            parts: Vec::new(),
            notes,
        })
    }

    /// A server returns the whole document.
    fn to_api(&self, arguments: &Object) -> Object {
        let mut arguments = arguments.clone();
        arguments.shift_remove("path");
        arguments
    }

    fn part_of(&self, reply: Script) -> Result<Script> {
        let script = self.part(reply.script)?;
        Ok(Script { script, ..reply })
    }

    fn reply_from_api(&self, output: &RawValue) -> Result<Script> {
        match read_output(output)? {
            Value::String(script) => Ok(Script {
                script,
                parts: Vec::new(),
                notes: Vec::new(),
            }),
            other => Err(Error::internal(format!(
                "the server's script is {}, not text",
                crate::args::kind(&other)
            ))),
        }
    }

    /// The document is moved instead of serialised, because it can be megabytes long.
    fn reply_value(reply: Script) -> Result<Value> {
        let Script {
            script,
            parts,
            notes,
        } = reply;
        let mut value = to_value(&Script {
            script: String::new(),
            parts,
            notes,
        })?;
        value["script"] = Value::String(script);
        Ok(value)
    }

    fn reply_to_api(reply: Script, _link: &dyn Fn(&DraftId) -> String) -> Value {
        Value::String(reply.script)
    }

    fn value_to_api<'r>(
        reply: &'r Value,
        _link: &dyn Fn(&DraftId) -> String,
    ) -> Result<Cow<'r, Value>> {
        Ok(Cow::Borrowed(&reply["script"]))
    }
}
