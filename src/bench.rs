//! The entry point for benchmarks: tool calls as a client makes them, but in the same process.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::exec::{App, Context};
use crate::local;
use crate::settings::{BackendChoice, Given, Settings};
use crate::tools::Caller;

/// The embedded engine of this process, with its own data directory.
pub struct InProcess(Arc<App>);

impl InProcess {
    /// An engine that keeps its journal in `data_dir`. Errors are returned as text.
    pub fn open(data_dir: &Path) -> Result<Self, String> {
        let given = Given {
            data_dir: Some(data_dir.to_owned()),
            backend: Some(BackendChoice::Embedded),
            ..Given::default()
        };
        let settings = Settings::current(given).map_err(|error| error.to_string())?;
        App::new(settings)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Calls a tool and returns its reply, or the text of the error.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value, String> {
        let Value::Object(arguments) = arguments else {
            return Err("arguments must be an object".into());
        };
        let caller = Caller::user();
        let spec = local::find(tool).ok_or_else(|| format!("there is no tool `{tool}`"))?;
        let call = local::decode(spec, arguments, &caller).map_err(|error| error.to_string())?;
        let reply = call.answer(&self.0, Context::of(&caller)).await;
        reply.map_err(|error| error.to_string())
    }
}
