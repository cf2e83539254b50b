//! `call`: one tool from the shell, the same way as over MCP.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use crate::args::duplicates::{Noticed, given_twice};
use crate::cli;
use crate::cli::completions::tool_name;
use crate::cli::shown::{Shown, Without};
use crate::error::{Error, Result};
use crate::exec::{App, Context, call_log};
use crate::local::{self, DecodedCall};
use crate::regular_file::{self, TEXT_BYTES};
use crate::tools::{Caller, Object};

/// Calls one tool and prints its reply as JSON.
///
/// Arguments are checked as over MCP: all problems are reported together, and text is converted to numbers
/// and lists where the tool expects them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp call create_draft aspect_ratio=9:16 name=\"First steps\"
  capcut-mcp call add_video draft_id=ID video_url=clip.mp4 start=1 end=4 target_start=0
  capcut-mcp call add_text --json '{\"draft_id\": \"ID\", \"text\": \"Hello\", \"start\": 0, \"end\": 3}'
  capcut-mcp call add_text draft_id=ID track_name=second --json @examples/calls/3-add_text.json
  capcut-mcp call save_draft draft_id=ID draft_folder=./drafts

Exit codes: 0 = success, 2 = wrong arguments or draft, 3 = media problem, 4 = unreachable or timed out
(try again later), 70 = internal error, 130 = interrupted.")]
pub(super) struct CallCommand {
    /// The tool; `capcut-mcp tools` lists them.
    #[arg(value_parser = tool_name(), hide_possible_values = true)]
    tool: String,
    /// Arguments as `key=value`, or a JSON object; they override those of `--json`.
    #[arg(value_name = "KEY=VALUE")]
    pairs: Vec<String>,
    /// Arguments as a JSON object: the object itself, `@FILE`, or `@-` for stdin.
    #[arg(long, value_name = "JSON")]
    json: Option<String>,
}

impl CallCommand {
    /// Decodes the call into the tool's request. Reports all problems together.
    pub(super) fn decode(&self) -> Result<DecodedCall> {
        self.decoded()
            .inspect_err(|error| call_log::refused(&self.tool, error, false))
    }

    fn decoded(&self) -> Result<DecodedCall> {
        let spec = local::find(&self.tool).ok_or_else(|| cli::unknown_tool(&self.tool))?;
        let mut arguments = match &self.json {
            Some(json) => object(json)?,
            None => Object::new(),
        };
        arguments.extend(pairs(&self.pairs)?);
        if let Ok(here) = std::env::current_dir() {
            cli::anchor(&mut arguments, &here, std::env::home_dir().as_deref());
        }
        local::decode(spec, arguments, &Caller::shell())
    }
}

/// Runs one call and prints its reply; Ctrl-C or a request to terminate cancels it.
pub(super) async fn run(app: Arc<App>, request: DecodedCall) -> anyhow::Result<ExitCode> {
    let shown = Shown::new(Without::Nothing);
    let context = Context {
        progress: Some(shown.progress()),
        ..Context::of(&Caller::shell())
    };
    let cancel = context.cancel.clone();
    let call = request.answer(&app, context);
    tokio::pin!(call);
    let reply = tokio::select! {
        reply = &mut call => reply,
        () = cli::stop_requested()? => {
            cancel.cancel();
            let ended = call.await;
            app.finish_sent().await;
            ended
        }
    };
    shown.clear();
    let reply = reply?;
    let code = cli::print(&cli::json_text(&reply))?;
    // A job that was answered `running` runs only as long as this process.
    tokio::select! {
        () = app.jobs.drain() => {}
        () = cli::stop_requested()? => app.jobs.cancel_all().await,
    }
    Ok(code)
}

/// Parses `key=value` pairs. Values stay text: decoding converts them to the types of the tool's schema.
fn pairs(pairs: &[String]) -> Result<Object> {
    let mut arguments = Object::new();
    for pair in pairs {
        // No key begins with a brace.
        if pair.trim_start().starts_with('{') {
            arguments.extend(parsed("the JSON object", pair)?);
            continue;
        }
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Error::invalid(format!("{pair:?} is not an argument"))
                .hint("write `key=value`, or `--json '{…}'`"));
        };
        let twice = arguments.insert(key.to_owned(), Value::String(value.to_owned()));
        if twice.is_some() {
            return Err(Error::invalid(format!("`{key}` is given more than once")));
        }
    }
    Ok(arguments)
}

/// The object that `--json` gives: inline, in a file or on stdin.
fn object(json: &str) -> Result<Object> {
    let (place, text) = match json.strip_prefix('@') {
        None => ("`--json`".to_owned(), json.to_owned()),
        Some("-") => {
            let text = regular_file::read_stdin(TEXT_BYTES)
                .map_err(|e| Error::invalid("stdin cannot be read").source(e))?;
            ("stdin".to_owned(), text.text)
        }
        Some(file) => (
            file.to_owned(),
            regular_file::read_named(Path::new(file), TEXT_BYTES)
                .map_err(|e| Error::invalid(format!("{file} cannot be read")).source(e))?
                .text,
        ),
    };
    parsed(&place, &text)
}

fn parsed(place: &str, text: &str) -> Result<Object> {
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(Noticed {
            twice: Some(key), ..
        }) => {
            let error = given_twice(&key);
            Err(Error {
                message: format!("{place}: {}", error.message),
                ..error
            })
        }
        Ok(Noticed {
            value: Value::Object(object),
            ..
        }) => Ok(object),
        Ok(_) => Err(Error::invalid(format!("{place} is not a JSON object"))
            .hint("write the arguments in braces: `{\"text\": \"Hello\"}`")),
        Err(e) => Err(Error::invalid(format!("{place} is not JSON")).source(e)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Kind;

    fn call(line: &[&str]) -> CallCommand {
        let mut call = CallCommand {
            tool: line[0].to_owned(),
            pairs: Vec::new(),
            json: None,
        };
        for word in &line[1..] {
            match word.strip_prefix("--json=") {
                Some(json) => call.json = Some(json.to_owned()),
                None => call.pairs.push((*word).to_owned()),
            }
        }
        call
    }

    fn decoded(line: &[&str]) -> Object {
        match call(line).decode().expect("it decodes") {
            DecodedCall::Routed(request) => request.call().arguments.clone(),
            DecodedCall::Local(_) => panic!("{line:?} runs on no backend"),
        }
    }

    #[track_caller]
    fn refused(line: &[&str], expected: &str) {
        let Err(error) = call(line).decode() else {
            panic!("{line:?} is accepted")
        };
        assert_eq!(error.kind.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn text_is_converted_to_numbers_and_aliases_are_accepted() {
        let arguments = decoded(&["create_draft", "width=720", "title=Trip"]);
        assert_eq!(arguments["width"].as_f64(), Some(720.0));
        assert_eq!(arguments["name"], json!("Trip"));
    }

    #[test]
    fn an_object_without_an_option_is_read_as_json() {
        let arguments = decoded(&[
            "create_draft",
            r#"{"width": 720, "height": 480, "name": "a=b"}"#,
        ]);
        assert_eq!(
            (&arguments["width"], &arguments["name"]),
            (&json!(720), &json!("a=b"))
        );
        refused(&["create_draft", r#"{"width": 720"#], "the JSON object");
        refused(
            &["create_draft", r#"{"width": 1, "width": 2}"#],
            "the JSON object",
        );
    }

    #[test]
    fn pairs_override_the_json() {
        let json = r#"--json={"width": 16, "height": 480}"#;
        let arguments = decoded(&["create_draft", "width=720", json]);
        assert_eq!(arguments["width"].as_f64(), Some(720.0));
        assert_eq!(arguments["height"].as_f64(), Some(480.0));
    }

    #[test]
    fn a_value_may_contain_equals_signs_or_be_empty() {
        let arguments = pairs(&["text=a=b".to_owned(), "name=".to_owned()]).expect("pairs");
        assert_eq!(arguments["text"], json!("a=b"));
        assert_eq!(arguments["name"], json!(""));
    }

    #[test]
    fn arguments_are_read_from_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("call.json");
        std::fs::write(&file, "\u{feff}{\"width\": 640}").expect("a file");
        let json = format!("--json=@{}", file.display());
        let arguments = decoded(&["create_draft", &json]);
        assert_eq!(arguments["width"].as_f64(), Some(640.0));
        refused(
            &["create_draft", "--json=@/nowhere/call.json"],
            "/nowhere/call.json",
        );
    }

    #[test]
    fn invalid_calls_are_refused_with_the_reason() {
        refused(&["create_draft", "width"], "\"width\" is not an argument");
        refused(&["create_draft", "=3"], "is not an argument");
        refused(
            &["create_draft", "width=16", "width=20"],
            "`width` is given more than once",
        );
        refused(&["create_draft", "--json=[1]"], "not a JSON object");
        refused(
            &["create_draft", r#"--json={"width": 16, "width": 20}"#],
            "`--json`: `width` is given twice in one object",
        );
        refused(&["create_draft", "--json={"], "not JSON");
        refused(&["create_drafts"], "did you mean `create_draft`");
        let Err(error) = call(&["frobnicate"]).decode() else {
            panic!("accepted")
        };
        assert_eq!(error.kind, Kind::NotFound);
    }
}
