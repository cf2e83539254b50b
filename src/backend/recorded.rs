//! The dialect in which a call of the journal was sent to a server, and how to repeat the call.

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
}

impl RecordedDialect {
    pub(crate) fn by(caller: &Caller) -> Self {
        Self {
            manner: caller.manner,
        }
    }
}

/// The dialect in which a call of the journal was sent to a server.
pub(crate) fn manner(record: &Record) -> Manner {
    let found = record.found.as_deref();
    let sent = found.and_then(|found| serde_json::from_str::<RecordedDialect>(found).ok());
    sent.unwrap_or_default().manner
}

/// The request that repeats a call of the journal with these arguments, on a server or on the engine, with the
/// meaning that the call had when it was accepted.
pub(crate) fn again(
    record: &Record,
    mut arguments: Object,
    caller: &Caller,
    on_server: bool,
) -> Result<Box<dyn Request>> {
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
