//! Edits TOML only at the ranges of the changed statements, so that everything else stays the same, byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Value};
use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, parse_document};

use super::syntax::{SyntaxError, newline_of};

/// The tables in the table `key`; none if it does not exist.
pub(super) fn entries(text: &str, key: &str) -> Result<Map<String, Value>, SyntaxError> {
    let table = parse(text)?;
    let Some(container) = table.get(key) else {
        return Ok(Map::new());
    };
    match serde_json::to_value(container) {
        Ok(Value::Object(map)) => Ok(map),
        _ => {
            let at = statements(text)
                .into_iter()
                .find(|statement| statement.path == [key])
                .map_or(0, |statement| statement.range.start);
            let message = format!("`{key}` is not a table, such as `[{key}.NAME]`");
            Err(SyntaxError::at(text, at, message))
        }
    }
}

/// The whole document.
pub(super) fn document(text: &str) -> Result<Map<String, Value>, SyntaxError> {
    match serde_json::to_value(parse(text)?) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Ok(Map::new()),
    }
}

/// The text with a table added. No table of that name exists yet.
pub(super) fn add(text: &str, key: &str, name: &str, entry: &Value) -> Result<String, SyntaxError> {
    entries(text, key)?;
    let inline = statements(text)
        .into_iter()
        .find(|statement| statement.path == [key] && statement.value.is_some());
    if let Some(value) = inline.and_then(|statement| statement.value) {
        let end = value.end - 1;
        let inside = text[value.start + 1..end].trim_end();
        let comma = match inside.chars().last() {
            None | Some(',') => "",
            Some(_) => ",",
        };
        let at = value.start + 1 + inside.len();
        let added = format!("{comma} {} = {} ", key_text(name), inline_value(entry));
        return Ok([&text[..at], &added, &text[end..]].concat());
    }
    let newline = newline_of(text);
    let gap = match text {
        "" => String::new(),
        _ if text.ends_with('\n') => newline.to_owned(),
        _ => newline.repeat(2),
    };
    let mut added = format!("[{key}.{}]{newline}", key_text(name));
    for (field, value) in entry.as_object().into_iter().flatten() {
        added += &format!("{} = {}{newline}", key_text(field), inline_value(value));
    }
    Ok([text, &gap, &added].concat())
}

/// The text with the value of a field replaced.
pub(super) fn replace(
    text: &str,
    key: &str,
    name: &str,
    field: &str,
    value: &Value,
) -> Result<String, SyntaxError> {
    parse(text)?;
    let there = statements(text)
        .into_iter()
        .find(|statement| statement.path == [key, name, field])
        .and_then(|statement| statement.value);
    Ok(there.map_or_else(
        || text.to_owned(),
        |range| {
            let value = inline_value(value);
            [&text[..range.start], &value, &text[range.end..]].concat()
        },
    ))
}

/// The text without a table and its subtables.
pub(super) fn remove(text: &str, key: &str, name: &str) -> Result<String, SyntaxError> {
    parse(text)?;
    let statements = statements(text);
    let mut cuts: Vec<Range<usize>> = Vec::new();
    // Whether the last cut is the header of the values that follow: comments between them are removed too.
    let mut in_section = false;
    for statement in &statements {
        let is_own = statement.path.len() >= 2 && statement.path[..2] == [key, name];
        if statement.inline {
            let is_cut = cuts
                .last()
                .is_some_and(|cut| cut.contains(&statement.range.start));
            if is_own && !is_cut {
                cuts.push(in_list(text, &statement.range));
            }
            continue;
        }
        let lines = whole_lines(text, &statement.range);
        let is_header = statement.value.is_none();
        match cuts.last_mut() {
            Some(section) if is_own && in_section && !is_header => section.end = lines.end,
            _ if is_own => cuts.push(lines),
            _ => {}
        }
        in_section = is_own && (is_header || in_section);
    }
    let mut kept = text.to_owned();
    for cut in cuts.into_iter().rev() {
        let (before, after) = (&kept[..cut.start], &kept[cut.end..]);
        // The empty line before it.
        let is_apart = after.is_empty() || after.starts_with(['\n', '\r']);
        let shorter = before
            .strip_suffix("\r\n")
            .or_else(|| before.strip_suffix('\n'))
            .filter(|shorter| is_apart && (shorter.is_empty() || shorter.ends_with('\n')));
        kept = [shorter.unwrap_or(before), after].concat();
    }
    Ok(kept)
}

/// A header (`[a.b]`, which has no value) or a key with its value, with the full path of its table.
struct Statement {
    path: Vec<String>,
    range: Range<usize>,
    value: Option<Range<usize>>,
    /// Whether it is inside an inline table.
    inline: bool,
}

fn parse(text: &str) -> Result<toml::Table, SyntaxError> {
    text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        SyntaxError::at(text, at, error.message())
    })
}

/// The statements of a text that has been parsed.
fn statements(text: &str) -> Vec<Statement> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut events: Vec<Event> = Vec::new();
    parse_document(&tokens, &mut |event| events.push(event), &mut ());
    let key_of = |event: &Event| {
        let mut key = Cow::Borrowed("");
        if let Some(raw) = source.get(event) {
            raw.decode_key(&mut key, &mut ());
        }
        key.into_owned()
    };
    let mut found: Vec<Statement> = Vec::new();
    let mut table: Vec<String> = Vec::new();
    let mut keys: Vec<String> = Vec::new();
    let mut start = 0;
    // The open brackets: whether each is a table, and the statement whose value it is.
    let mut open: Vec<(bool, Option<usize>)> = Vec::new();
    let mut header = 0;
    let mut pending = None;
    for event in &events {
        let span = event.span();
        match event.kind() {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                header = span.start();
                keys.clear();
            }
            EventKind::StdTableClose | EventKind::ArrayTableClose => {
                table = std::mem::take(&mut keys);
                found.push(Statement {
                    path: table.clone(),
                    range: header..span.end(),
                    value: None,
                    inline: false,
                });
            }
            EventKind::SimpleKey => {
                if keys.is_empty() {
                    start = span.start();
                }
                keys.push(key_of(event));
            }
            EventKind::KeyValSep => {
                let within = match open.last() {
                    None => table.clone(),
                    Some((true, Some(parent))) => found[*parent].path.clone(),
                    // A table in a list does not have its own path.
                    Some(_) => vec![String::new()],
                };
                let path = within.into_iter().chain(std::mem::take(&mut keys));
                pending = Some(found.len());
                found.push(Statement {
                    path: path.collect(),
                    range: start..span.end(),
                    value: None,
                    inline: !open.is_empty(),
                });
            }
            EventKind::InlineTableOpen | EventKind::ArrayOpen => {
                let statement = pending.take();
                if let Some(statement) = statement {
                    found[statement].value = Some(span.start()..span.end());
                }
                open.push((event.kind() == EventKind::InlineTableOpen, statement));
            }
            EventKind::InlineTableClose | EventKind::ArrayClose => {
                if let Some((_, Some(statement))) = open.pop()
                    && let Some(value) = &mut found[statement].value
                {
                    value.end = span.end();
                }
            }
            EventKind::Scalar => {
                if let Some(statement) = pending.take() {
                    found[statement].value = Some(span.start()..span.end());
                }
            }
            _ => {}
        }
    }
    for statement in &mut found {
        if let Some(value) = &statement.value {
            statement.range.end = value.end;
        }
    }
    found
}

/// The range extended to whole lines.
fn whole_lines(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[range.end..]
        .find('\n')
        .map_or(text.len(), |at| range.end + at + 1);
    start..end
}

/// The range including one adjacent comma.
fn in_list(text: &str, range: &Range<usize>) -> Range<usize> {
    let after = &text[range.end..];
    let gap = after.len() - after.trim_start().len();
    if after[gap..].starts_with(',') {
        let end = range.end + gap + 1;
        let blank = text[end..].len() - text[end..].trim_start_matches([' ', '\t']).len();
        return range.start..end + blank;
    }
    let before = text[..range.start].trim_end();
    let start = before.strip_suffix(',').unwrap_or(before).len();
    start..range.end
}

fn key_text(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        toml::Value::from(key).to_string()
    }
}

fn inline_value(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{} = {}", key_text(key), inline_value(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(list) => {
            let values: Vec<_> = list.iter().map(inline_value).collect();
            format!("[{}]", values.join(", "))
        }
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        plain => plain.to_string(),
    }
}
