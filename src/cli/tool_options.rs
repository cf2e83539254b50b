//! The options that choose which tools clients see and can call.

use clap::Args;

use super::completions::named;
use crate::local;
use crate::mcp::tool_set;
use crate::settings::ToolsGiven;

/// Which tools clients see and can call.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ToolOptions {
    /// Tools that clients see and can call: a profile (`default`, `compose`, `api`, `full`), names of tools, or both,
    /// separated by commas. Without it, clients see `default` and can also call the others by name.
    #[arg(long, value_name = "NAMES", value_parser = named(profiles, checked), hide_possible_values = true)]
    tools: Option<String>,
    /// Tools that clients neither see nor can call.
    #[arg(long, value_name = "NAMES", value_parser = named(tools, checked), hide_possible_values = true)]
    exclude: Option<String>,
    /// Leaves out all tools that change something.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    read_only: Option<bool>,
}

fn profiles() -> Vec<&'static str> {
    tool_set::profiles().map(|(name, _)| name).collect()
}

fn tools() -> Vec<&'static str> {
    local::all().map(|spec| spec.name).collect()
}

fn checked(text: &str) -> Result<String, String> {
    match tool_set::check(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(match error.hint {
            Some(hint) => format!("{}: {hint}", error.message),
            None => error.message,
        }),
    }
}

impl ToolOptions {
    pub(super) fn given(self) -> ToolsGiven {
        ToolsGiven {
            tools: self.tools,
            exclude: self.exclude,
            read_only: self.read_only,
        }
    }

    /// The options for the entry of a client.
    pub(super) fn words(&self) -> Vec<(&'static str, String)> {
        let texts = [("--tools", &self.tools), ("--exclude", &self.exclude)];
        let texts = texts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)));
        let read_only = self.read_only.map(|on| ("--read-only", on.to_string()));
        texts.chain(read_only).collect()
    }
}
