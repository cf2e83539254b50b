//! `query_script`: the draft's document as it stands.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args;
use crate::args::mend::Comfort;
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{self, Engine};
use crate::error::{Error, Result};
use crate::tools::{Call, Hints, Texts, Tool, Turn, to_value};

/// Gives a draft's whole document as JSON text; large.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct QueryScript {
    /// The draft.
    #[serde(default, deserialize_with = "args::draft_id")]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    /// Looks again for media that could not be read.
    #[serde(default = "yes", deserialize_with = "args::truthy")]
    #[schemars(with = "bool")]
    pub force_update: bool,
}

fn yes() -> bool {
    true
}

/// A draft's document.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Script {
    /// The document as JSON text.
    pub script: String,
    /// What was adjusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Tool for QueryScript {
    const NAME: &'static str = "query_script";
    const TITLE: &'static str = "Query script";
    const HINTS: Hints = Hints::READ;
    const COMFORT: &'static [Comfort] = &[];
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
        Ok(Script { script, notes })
    }

    fn reply_from_api(&self, output: Value) -> Result<Script> {
        match output {
            Value::String(script) => Ok(Script {
                script,
                notes: Vec::new(),
            }),
            other => Err(Error::internal(format!(
                "the server's script is no text but {}",
                crate::args::kind(&other)
            ))),
        }
    }

    /// The document is moved: it is megabytes.
    fn reply_value(reply: Script) -> Result<Value> {
        let Script { script, notes } = reply;
        let mut value = to_value(&Script {
            script: String::new(),
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
