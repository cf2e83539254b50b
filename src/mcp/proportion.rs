//! Shortens replies that are too long for a conversation: a part is kept, and a note says how to get the rest.

use serde_json::{Value, json};

use crate::args::part;
use crate::sorting;
use crate::tool::Spec;
use crate::tools::Object;

/// The maximum length of a reply in characters, unless the call asks for everything.
const MOST: usize = 60_000;
/// The maximum where the draft of the reply is shown in a view: hosts do not show results above 150,000 characters, and a reply is sent
/// twice, as data and as text.
const MOST_WITH_VIEW: usize = 30_000;
/// No reply up to this length is shortened.
pub(super) const SHORT: usize = MOST_WITH_VIEW;
/// Characters reserved for the notes of a shortened reply.
const SPARE: usize = 2_000;
/// Only texts and lists longer than this are cut.
const LONG: usize = 8_000;
/// The maximum number of parts of a document that are listed.
const PARTS: usize = 60;

/// The arguments of a call that affect the length of its reply.
pub(super) struct LengthOptions {
    /// The whole reply, regardless of its length.
    all: bool,
    /// The position of the first entry of a list.
    offset: u64,
}

impl LengthOptions {
    pub(super) fn of(arguments: &Object) -> Self {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str);
        Self {
            all: text("path").is_some_and(|path| !path.is_empty() && part::is_whole(path))
                || text("detail") == Some("all"),
            offset: arguments.get("offset").and_then(Value::as_u64).unwrap_or(0),
        }
    }
}

/// The whole reply, or as much of it as fits.
pub(super) fn shorten(reply: Value, asked: &LengthOptions, spec: &Spec) -> Value {
    let most = if spec.reply_form.shows_draft {
        MOST_WITH_VIEW
    } else {
        MOST
    };
    if asked.all || !is_long(&reply, most) {
        return reply;
    }
    let mut reply = reply;
    let mut notes = Vec::new();
    while is_long(&reply, most) {
        let Some(path) = longest(&reply) else { break };
        let spare = size(&reply).saturating_sub(most - SPARE);
        let Some(value) = reply.pointer_mut(&path) else {
            break;
        };
        let name = path.trim_start_matches('/').replace('/', ".");
        match value {
            Value::String(text) => match serde_json::from_str(text) {
                Ok(document @ (Value::Object(_) | Value::Array(_))) => {
                    notes.push(format!(
                        "`{name}` has {} characters: ask for one of its `parts` with `path`, or for all of it \
                         with `path`: \"/\"",
                        text.chars().count()
                    ));
                    text.clear();
                    reply["parts"] = parts(&document);
                }
                _ => {
                    let all = text.chars().count();
                    let kept = LONG
                        .max(text.len().saturating_sub(spare))
                        .min(text.len() - 1);
                    text.truncate(text.floor_char_boundary(kept));
                    notes.push(format!(
                        "`{name}` is cut; its full length is {all} characters"
                    ));
                }
            },
            Value::Array(list) => {
                let all = list.len();
                let kept = cut(list, spare);
                let next = asked.offset as usize + kept;
                notes.push(format!(
                    "`{name}` has {all} entries, of which {kept} fit in a reply{}",
                    rest(spec, next)
                ));
                if let Some(offset) = reply
                    .get_mut("next_offset")
                    .filter(|offset| offset.is_u64())
                {
                    *offset = json!(next);
                } else if reply["total"]
                    .as_u64()
                    .is_some_and(|total| total > next as u64)
                {
                    reply["next_offset"] = json!(next);
                }
            }
            _ => break,
        }
    }
    if let Value::Object(members) = &mut reply {
        let said = members.entry("notes").or_insert_with(|| json!([]));
        if let Value::Array(said) = said {
            said.extend(notes.into_iter().map(Value::from));
        }
    }
    reply
}

/// How to ask for the rest.
fn rest(spec: &Spec, next: usize) -> String {
    let input = spec.input();
    let takes = |name: &str| {
        input
            .get("properties")
            .is_some_and(|known| known.get(name).is_some())
    };
    if takes("offset") {
        return format!(": continue with `offset`: {next}");
    }
    let narrower: Vec<String> = ["query", "kind", "limit"]
        .into_iter()
        .filter(|name| takes(name))
        .map(|name| format!("`{name}`"))
        .collect();
    match (narrower.is_empty(), takes("detail")) {
        (false, _) => format!(": narrow the list with {}", narrower.join(" or ")),
        (true, true) => ": `detail`: \"all\" returns all of them".to_owned(),
        (true, false) => String::new(),
    }
}

fn size(value: &Value) -> usize {
    // An upper bound that is faster than counting characters.
    serde_json::to_string(value).map_or(0, |text| text.len())
}

fn is_long(value: &Value, most: usize) -> bool {
    let text = serde_json::to_string(value).unwrap_or_default();
    text.len() > most && text.chars().count() > most
}

/// The path of the longest list or text in a reply, at the top or within an object.
fn longest(reply: &Value) -> Option<String> {
    let mut found: Option<(usize, String)> = None;
    let mut look = |size: usize, path: String| {
        if found.as_ref().is_none_or(|(most, _)| size > *most) {
            found = Some((size, path));
        }
    };
    for (name, value) in reply.as_object()? {
        match value {
            Value::Object(inner) => {
                for (inner, value) in inner.iter().filter(|(_, value)| is_divisible(value)) {
                    look(size(value), format!("/{name}/{inner}"));
                }
            }
            value if is_divisible(value) && name != "notes" => {
                look(size(value), format!("/{name}"))
            }
            _ => {}
        }
    }
    found.map(|(_, path)| path)
}

fn is_divisible(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => text.len() > LONG,
        _ => false,
    }
}

/// Removes entries from a list until `spare` characters are gone: first, from the end, those whose status is a
/// success. Returns how many entries are left.
fn cut(list: &mut Vec<Value>, spare: usize) -> usize {
    let is_right = |entry: &Value| matches!(entry["status"].as_str(), Some("complete" | "ok"));
    let mut spare = spare;
    for right in [true, false] {
        for index in (0..list.len()).rev() {
            if spare == 0 {
                return list.len();
            }
            if is_right(&list[index]) == right {
                spare = spare.saturating_sub(size(&list[index]) + 1);
                list.remove(index);
            }
        }
    }
    list.len()
}

/// The members of a document, each with its path and its size.
fn parts(document: &Value) -> Value {
    let part = |path: String, value: &Value| {
        let what = match value {
            Value::Array(list) => format!("{} items", list.len()),
            Value::Object(members) => format!("{} keys", members.len()),
            _ => "a value".to_owned(),
        };
        json!({ "path": path, "what": what, "characters": size(value) })
    };
    let mut parts: Vec<Value> = match document {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                part(
                    format!("/{}", name.replace('~', "~0").replace('/', "~1")),
                    value,
                )
            })
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| part(format!("[{index}]"), value))
            .collect(),
        _ => Vec::new(),
    };
    sorting::sort_by_key(&mut parts, |part| {
        std::cmp::Reverse(part["characters"].as_u64())
    });
    parts.truncate(PARTS);
    Value::Array(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local;

    fn shortened(tool: &str, arguments: Value, reply: Value) -> Value {
        let spec = local::find(tool).unwrap();
        let asked = LengthOptions::of(arguments.as_object().unwrap());
        shorten(reply, &asked, spec)
    }

    #[test]
    fn a_long_document_is_replaced_by_its_parts_unless_all_is_requested() {
        let script =
            json!({ "tracks": vec!["é".repeat(99); 1000], "fps": 30, "materials": { "a/b": 1 } })
                .to_string();
        let reply = json!({ "script": script });
        let short = shortened("query_script", json!({}), reply.clone());
        assert_eq!(short["script"], "");
        assert_eq!(short["parts"][0]["path"], "/tracks");
        assert_eq!(short["parts"][0]["what"], "1000 items");
        let note = short["notes"][0].as_str().unwrap();
        assert!(note.contains("`path`: \"/\""), "{note}");
        assert_eq!(
            shortened("query_script", json!({ "path": "/" }), reply.clone()),
            reply
        );
        let small = json!({ "script": "{}" });
        assert_eq!(shortened("query_script", json!({}), small.clone()), small);
    }

    #[test]
    fn a_long_list_is_cut_with_a_note_on_how_to_continue() {
        let names: Vec<Value> = (0..2_000)
            .map(|n| json!({ "name": format!("{n:0>60}") }))
            .collect();
        let reply = json!({ "total": 5_000, "names": names, "next_offset": 2_100 });
        let short = shortened("get_font_types", json!({ "offset": 100 }), reply);
        let kept = short["names"].as_array().unwrap().len();
        assert!(kept > 500 && size(&short) <= MOST, "{kept}");
        assert_eq!(short["next_offset"], 100 + kept);
        assert!(
            short["notes"][0]
                .as_str()
                .unwrap()
                .contains(&format!("`offset`: {}", 100 + kept))
        );
        let hits: Vec<Value> = (0..1_000)
            .map(|n| json!({ "name": format!("{n:0>90}") }))
            .collect();
        let short = shortened(
            "search_catalog",
            json!({ "limit": 1000 }),
            json!({ "hits": hits }),
        );
        assert!(size(&short) <= MOST);
        assert!(
            short["notes"][0]
                .as_str()
                .unwrap()
                .contains("continue with `offset`: ")
        );
    }

    #[test]
    fn a_cut_report_keeps_its_failures() {
        let line = |n: usize| {
            let status = if n.is_multiple_of(100) {
                "failed"
            } else {
                "complete"
            };
            json!({ "index": n, "status": status, "folder": "x".repeat(100) })
        };
        let lines: Vec<Value> = (0..2_000).map(line).collect();
        let reply = json!({ "status": "partial", "report": { "complete": 1980, "drafts": lines } });
        let short = shortened("job_status", json!({}), reply);
        assert!(size(&short) <= MOST);
        let drafts = short["report"]["drafts"].as_array().unwrap();
        assert_eq!(
            drafts
                .iter()
                .filter(|line| line["status"] == "failed")
                .count(),
            20
        );
        assert!(drafts.len() > 300);
        let notes = short["notes"][0].as_str().unwrap();
        assert!(
            notes.contains("`report.drafts` has 2000 entries"),
            "{notes}"
        );
    }
}
