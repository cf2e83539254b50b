//! The dialect in which a call of the journal was sent to a server, and how to repeat the call.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Manner};
use crate::error::{Error, Result};
use crate::journal::Record;
use crate::tool::Request;
use crate::tools::{self, Object};

/// What the journal keeps about a call to a server. Default: the call was in our dialect.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct RecordedDialect {
    #[serde(default)]
    manner: Manner,
    /// The run of a plan that the call belongs to; the engine records it under the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Arc<str>>,
}

impl RecordedDialect {
    /// What is kept about a call of this caller; `None` for the default.
    pub(crate) fn by(caller: &Caller) -> Option<Self> {
        let is_usual = caller.manner.is_strict() && caller.run.is_none();
        (!is_usual).then(|| Self {
            manner: caller.manner,
            run: caller.run.clone(),
        })
    }

    fn of(record: &Record) -> Self {
        let found = record.found.as_deref();
        let sent = found.and_then(|found| serde_json::from_str(found).ok());
        sent.unwrap_or_default()
    }
}

/// The dialect in which a call of the journal was sent to a server.
pub(crate) fn manner(record: &Record) -> Manner {
    RecordedDialect::of(record).manner
}

/// The request that repeats a call of the journal with these arguments, on a server or on the engine, with the
/// meaning that the call had when it was accepted.
pub(crate) fn again(
    record: &Record,
    mut arguments: Object,
    caller: &Caller,
    on_server: bool,
) -> Result<Box<dyn Request>> {
    let caller = &caller.in_run(RecordedDialect::of(record).run);
    let tool = &record.tool;
    let spec = tools::routed(tool).ok_or_else(|| {
        Error::not_found(format!(
            "the journal contains a call of `{tool}`, which is not a tool"
        ))
    })?;
    if manner(record) == Manner::Api {
        if on_server {
            return spec.decode_recorded(arguments, &caller.in_manner(Manner::Api));
        }
        spec.take_as_meant(&mut arguments);
    }
    spec.decode_recorded(arguments.clone(), &caller.in_manner(Manner::Strict))
        .or_else(|_| spec.decode_recorded(arguments, &caller.in_manner(Manner::Api)))
}
