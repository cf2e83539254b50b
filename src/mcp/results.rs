//! Replies and errors in the form that clients expect.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

use super::ToolSet;
use super::proportion;
use crate::error::{Error, Result};
use crate::regular_file::{self, Links, TEXT_BYTES};
use crate::tool::Spec;

/// Structured content, and the same as text for clients that read only text.
pub(super) fn success(
    mut reply: Value,
    lines: Option<fn(&Value) -> String>,
    shorten: impl FnOnce(Value) -> Value,
) -> CallToolResult {
    without_nulls(&mut reply);
    // Faster than `Display`.
    let mut text = serde_json::to_string(&reply).unwrap_or_default();
    if text.len() > proportion::SHORT {
        reply = shorten(reply);
        text = serde_json::to_string(&reply).unwrap_or_default();
    }
    if let Some(lines) = lines {
        text = lines(&reply);
    }
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(reply);
    result
}

/// Removes nulls: output schemas declare values that may be absent, not null.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// The picture in a reply, if the replies of this tool have one.
pub(super) async fn picture(spec: &Spec, reply: &Value) -> Result<Option<ContentBlock>> {
    let path = spec
        .reply_form
        .picture
        .and_then(|field| reply.get(field)?.as_str());
    let Some(path) = path else {
        return Ok(None);
    };
    let file = PathBuf::from(path);
    let read = move || regular_file::read(&file, TEXT_BYTES, Links::Refuse);
    let read = tokio::task::spawn_blocking(read).await;
    let bytes = read.map_err(io::Error::other).flatten().map_err(|error| {
        Error::internal(format!("{path} was written, but cannot be read")).source(error)
    })?;
    let kind = match bytes.get(..2) {
        Some([0xff, 0xd8]) => "image/jpeg",
        _ => "image/png",
    };
    let data = BASE64_STANDARD.encode(bytes);
    Ok(Some(ContentBlock::image(data, kind)))
}

/// Text only: clients check structured content against the output schema of a success. Some clients show only the text,
/// so it starts with `ERROR` and the kind of error, which workflows can branch on.
pub(super) fn failure(error: &Error, tools: &ToolSet) -> CallToolResult {
    let text = format!(
        "ERROR {}: {}",
        error.kind.name(),
        tools.naming_profiles(&error.for_client())
    );
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// The fields of replies with advice, at any depth.
const ADVICE_FIELDS: [&str; 6] = ["notes", "note", "hint", "error", "message", "reason"];

/// Adds the profile to tools that clients do not see, where a reply advises to use them.
pub(super) fn name_profiles(reply: &mut Value, tools: &ToolSet) {
    match reply {
        Value::Object(members) => {
            for (key, value) in members {
                if !ADVICE_FIELDS.contains(&key.as_str()) {
                    name_profiles(value, tools);
                    continue;
                }
                match value {
                    Value::String(text) => name_in(text, tools),
                    Value::Array(items) => {
                        for item in items {
                            match item {
                                Value::String(text) => name_in(text, tools),
                                other => name_profiles(other, tools),
                            }
                        }
                    }
                    other => name_profiles(other, tools),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                name_profiles(item, tools);
            }
        }
        _ => {}
    }
}

fn name_in(text: &mut String, tools: &ToolSet) {
    if let Cow::Owned(named) = tools.naming_profiles(text) {
        *text = named;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::ToolChoice;

    #[test]
    fn a_success_is_sent_as_structured_content_and_as_text() {
        let result = success(
            json!({ "draft_id": "d", "reason": null, "count": 0 }),
            None,
            |reply| reply,
        );
        let result = serde_json::to_value(result).expect("JSON");
        assert_eq!(
            result["structuredContent"],
            json!({ "draft_id": "d", "count": 0 })
        );
        assert_eq!(
            result["content"][0]["text"],
            r#"{"draft_id":"d","count":0}"#
        );
        assert_eq!(result["isError"], false);
    }

    #[test]
    fn a_failure_is_sent_as_text_with_its_hint() {
        let error = Error::invalid("`a` is 1").hint("send 2");
        let result = failure(&error, &plain());
        let result = serde_json::to_value(result).expect("JSON");
        assert_eq!(
            result["content"][0]["text"],
            "ERROR invalid_argument: `a` is 1\nhint: send 2"
        );
        assert_eq!(result["isError"], true);
        assert!(result.get("structuredContent").is_none());
    }

    fn plain() -> ToolSet {
        ToolSet::new(ToolChoice::default()).expect("the default tools")
    }

    #[test]
    fn advice_in_replies_names_the_profile_of_tools_that_are_not_listed() {
        let mut reply = json!({
            "text": "`recover_draft`",
            "notes": ["use `recover_draft`"],
            "failed": [{ "error": "see `query_script`" }],
        });
        name_profiles(&mut reply, &plain());
        assert_eq!(
            reply,
            json!({
                "text": "`recover_draft`",
                "notes": ["use `recover_draft` (profile `full`)"],
                "failed": [{ "error": "see `query_script` (profile `api`)" }],
            })
        );
    }

    #[test]
    fn a_result_with_a_view_has_at_most_90_000_characters() {
        let item = |n: usize| {
            json!({ "item": format!("texts[{n}]"), "tool": "add_text", "status": "failed", "tries": 1, "ms": 0.5,
                "error": "\"text\" is \"\"", "hint": "write \"words\"" })
        };
        for (items, is_cut) in [(100, false), (1_000, true)] {
            let rows: Vec<Value> = (0..items).map(item).collect();
            let reply = json!({ "status": "partial", "message": "m".repeat(500), "report": { "items": rows } });
            let spec = crate::local::find("compose_draft").expect("a tool");
            let asked = proportion::LengthOptions::of(&serde_json::Map::new());
            let shorten = |reply| proportion::shorten(reply, &asked, spec);
            let result = success(reply, spec.reply_form.lines, shorten);
            let result = serde_json::to_value(result).expect("JSON");
            let characters = result.to_string().chars().count() + crate::picture::outline::MOST;
            assert!(characters < 90_000, "{items}: {characters}");
            let kept = result["structuredContent"]["report"]["items"]
                .as_array()
                .expect("items");
            assert_eq!(kept.len() < items, is_cut, "{items}: {}", kept.len());
        }
    }
}
