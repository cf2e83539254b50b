//! (tests only) Typical wrong calls of weak models and of people, with the expected answers in `tests/messages`.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::exec::testing::app;
use crate::exec::{App, Context};
use crate::local;
use crate::mcp::ToolSet;
use crate::settings::{BackendChoice, ToolChoice};
use crate::tools::{Caller, Object};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where an answer is sent.
#[derive(Clone, Copy)]
enum To {
    Client,
    Shell,
}

/// The call of a line, with the draft id and the media folder filled in.
fn call_of(line: &str, draft: &str) -> (String, Object) {
    let media = format!("{ROOT}/tests/golden/media");
    let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    let filled = |text: &str| text.replace("{draft}", draft).replace("{media}", &media);
    let tool = line["tool"].as_str().expect("a tool").to_owned();
    let mut arguments = Object::new();
    if let Some(given) = line["arguments"].as_object() {
        for (name, value) in given {
            let value = match value {
                Value::String(text) => filled(text).into(),
                other => other.clone(),
            };
            arguments.insert(name.clone(), value);
        }
    }
    for pair in line["pairs"].as_array().into_iter().flatten() {
        let (name, value) = pair
            .as_str()
            .and_then(|pair| pair.split_once('='))
            .expect("a pair");
        arguments.insert(name.to_owned(), filled(value).into());
    }
    (tool, arguments)
}

async fn answer(app: &Arc<App>, to: To, tool: &str, mut arguments: Object) -> String {
    if matches!(to, To::Shell) {
        crate::cli::anchor(
            &mut arguments,
            Path::new("/here"),
            Some(Path::new("/home/me")),
        );
    }
    let Some(spec) = local::find(tool) else {
        return match to {
            To::Client => plain_tools().unknown(tool),
            To::Shell => crate::cli::unknown_tool(tool).to_string(),
        };
    };
    let caller = Caller::user();
    let sent = match spec.call(arguments.clone(), &caller) {
        Ok(call) => Value::Object(call.arguments),
        Err(_) => Value::Null,
    };
    let ended = match local::decode(spec, arguments, &caller) {
        Ok(call) => call.answer(app, Context::of(&caller)).await,
        Err(error) => Err(error),
    };
    match (ended, to) {
        (Ok(mut reply), _) => {
            for name in ["segment_id", "backend", "track", "reason", "draft_id"] {
                reply.as_object_mut().map(|reply| reply.shift_remove(name));
            }
            format!("sent {sent}\nreply {reply}")
        }
        (Err(error), To::Client) => plain_tools()
            .naming_profiles(&error.for_client())
            .into_owned(),
        (Err(error), To::Shell) => error.to_string(),
    }
}

fn plain_tools() -> ToolSet {
    ToolSet::new(ToolChoice::default()).expect("the default tools")
}

async fn table(name: &str, to: To) {
    let folder = Path::new(ROOT).join("tests/messages");
    let calls = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).expect("the calls");
    let mut text = String::new();
    let mut count = 0;
    for line in calls.lines() {
        let app = app(None, BackendChoice::Embedded, |_| {});
        let made = app.test("create_draft", json!({ "name": "Film" })).await;
        let draft = made.expect("a draft")["draft_id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let (tool, arguments) = call_of(line, &draft);
        let answer = answer(&app, to, &tool, arguments).await;
        let answer = answer
            .replace(&draft, "{draft}")
            .replace(&format!("{ROOT}/tests/golden/media"), "{media}")
            .replace(ROOT, "{here}");
        writeln!(text, "{line}\n    {}\n", answer.replace('\n', "\n    ")).expect("text");
        count += 1;
    }
    assert!(count >= 60, "{count} calls");
    let path = folder.join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).expect("the table");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == text,
        "{name}: the answers differ from the table; `UPDATE=1 cargo test --lib` rewrites it\n{text}"
    );
    if matches!(to, To::Client) {
        let told = text.lines().filter(|line| line.starts_with("    "));
        for line in told {
            assert!(
                !line.contains("capcut-mcp ") && !line.contains("`--"),
                "an answer to an MCP client names a shell command: {line}"
            );
        }
    }
}

#[tokio::test]
async fn wrong_calls_of_models_are_answered_as_recorded() {
    table("models", To::Client).await;
}

#[tokio::test]
async fn wrong_calls_of_people_are_answered_as_recorded() {
    table("people", To::Shell).await;
}
