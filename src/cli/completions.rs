//! `completions`: scripts with which shells complete commands, options and their values.

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Args, Command, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::cli;
use crate::local;

/// Prints the completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp completions bash > ~/.local/share/bash-completion/completions/capcut-mcp
  capcut-mcp completions zsh  > ~/.zfunc/_capcut-mcp
  capcut-mcp completions fish > ~/.config/fish/completions/capcut-mcp.fish")]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        cli::print(&script(self.shell)?)
    }
}

fn script(shell: Shell) -> anyhow::Result<String> {
    const NAME: &str = "capcut-mcp";
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    let script = String::from_utf8(script)?;
    if shell == Shell::Fish {
        return Ok(script + &fish_values());
    }
    // clap_complete 4.6 splits the name at its hyphen in half of the labels, so bash never reaches a subcommand.
    Ok(script.replace("capcut__subcmd__mcp", "capcut__mcp"))
}

/// The values of positional arguments, which clap_complete 4.6 omits for fish.
fn fish_values() -> String {
    let mut lines = String::new();
    let mut cli = Cli::command();
    cli.build();
    for command in cli.get_subcommands() {
        for argument in command.get_positionals() {
            let values = argument.get_possible_values();
            let names: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
            if !names.is_empty() {
                lines += &format!(
                    "complete -c capcut-mcp -n \"__fish_capcut_mcp_using_subcommand {}\" -f -a \"{}\"\n",
                    command.get_name(),
                    names.join(" ")
                );
            }
        }
    }
    lines
}

/// A parser for values, with the names that shells complete.
#[derive(Clone)]
pub(super) struct CompletedParser<T> {
    names: fn() -> Vec<&'static str>,
    parse: fn(&str) -> Result<T, String>,
}

/// Parses a value with `parse`; shells complete `names`.
pub(super) fn named<T>(
    names: fn() -> Vec<&'static str>,
    parse: fn(&str) -> Result<T, String>,
) -> CompletedParser<T> {
    CompletedParser { names, parse }
}

/// The name of a tool. Unknown names are refused later, with the nearest known ones.
pub(super) fn tool_name() -> CompletedParser<String> {
    named(
        || local::all().map(|spec| spec.name).collect(),
        |name| Ok(name.to_owned()),
    )
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for CompletedParser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let parse = self.parse;
        StringValueParser::new()
            .try_map(move |text| parse(&text))
            .parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.names)().into_iter().map(PossibleValue::new)))
    }
}
