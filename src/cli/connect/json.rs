//! Edits JSON only at the ranges of the changed values, so that everything else stays the same, byte for byte. Accepts
//! comments and trailing commas.

use std::fmt::Write as _;

use jsonc_parser::ast::{Object as Node, ObjectProp, Value as Tree};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::{Map, Value};

use super::syntax::{SyntaxError, newline_of};

const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The entries of the object `key`; none if it does not exist.
pub(super) fn entries(text: &str, key: &str) -> Result<Map<String, Value>, SyntaxError> {
    let root = parse(text)?;
    let Some(container) = container(text, root.as_ref(), key)? else {
        return Ok(Map::new());
    };
    let Tree::Object(object) = &container.value else {
        return Ok(Map::new());
    };
    Ok(map_of(object))
}

/// The whole document.
pub(super) fn document(text: &str) -> Result<Map<String, Value>, SyntaxError> {
    let root = parse(text)?;
    Ok(root.as_ref().map(map_of).unwrap_or_default())
}

/// The text with an entry added. No entry of that name exists yet.
pub(super) fn add(text: &str, key: &str, name: &str, entry: &Value) -> Result<String, SyntaxError> {
    let root = parse(text)?;
    let style = Style::of(text, root.as_ref());
    let whole = || Value::Object(Map::from_iter([(name.to_owned(), entry.clone())]));
    let Some(object) = &root else {
        let document = Value::Object(Map::from_iter([(key.to_owned(), whole())]));
        let before = text.trim_end();
        let between = if before.is_empty() { "" } else { style.newline };
        let document = style.pretty(&document, "");
        return Ok(format!("{before}{between}{document}{}", style.newline));
    };
    Ok(match container(text, root.as_ref(), key)? {
        None => style.insert(text, object, key, &whole()),
        Some(property) => match &property.value {
            Tree::Object(object) => style.insert(text, object, name, entry),
            // `null` counts as absent.
            other => {
                let range = other.range();
                let indent = indent_at(text, range.start);
                let value = style.shown(&whole(), indent);
                [&text[..range.start], &value, &text[range.end..]].concat()
            }
        },
    })
}

/// The text with the value of an entry replaced or, with `field`, that of one of its fields.
pub(super) fn replace(
    text: &str,
    key: &str,
    name: &str,
    field: Option<&str>,
    value: &Value,
) -> Result<String, SyntaxError> {
    let root = parse(text)?;
    let style = Style::of(text, root.as_ref());
    let there = container(text, root.as_ref(), key)?
        .and_then(|container| property(&container.value, name))
        .and_then(|entry| match field {
            None => Some(entry),
            Some(field) => property(&entry.value, field),
        });
    let Some(there) = there else {
        return Ok(text.to_owned());
    };
    let range = there.value.range();
    let value = style.shown(value, indent_at(text, range.start));
    Ok([&text[..range.start], &value, &text[range.end..]].concat())
}

/// The text without an entry.
pub(super) fn remove(text: &str, key: &str, name: &str) -> Result<String, SyntaxError> {
    let root = parse(text)?;
    let Some(container) = container(text, root.as_ref(), key)? else {
        return Ok(text.to_owned());
    };
    let Tree::Object(object) = &container.value else {
        return Ok(text.to_owned());
    };
    let index = object
        .properties
        .iter()
        .rposition(|property| property.name.as_str() == name);
    Ok(index.map_or_else(|| text.to_owned(), |index| cut(text, object, index)))
}

/// The object in the text; none if the text has only comments.
fn parse(text: &str) -> Result<Option<Node<'_>>, SyntaxError> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &OPTIONS).map_err(|error| {
        let message = error.kind().to_string();
        SyntaxError::at(text, error.range().start, lower_first(&message))
    })?;
    match parsed.value {
        None => Ok(None),
        Some(Tree::Object(object)) => Ok(Some(object)),
        Some(other) => Err(SyntaxError::at(
            text,
            other.range().start,
            format!("expected an object `{{…}}`, found {}", kind(&other)),
        )),
    }
}

/// The property that contains the servers. Of several with one name the last counts, as in common JSON parsers.
fn container<'a, 'b>(
    text: &str,
    root: Option<&'b Node<'a>>,
    key: &str,
) -> Result<Option<&'b ObjectProp<'a>>, SyntaxError> {
    let found = root.and_then(|root| last(root, key));
    match found.map(|property| &property.value) {
        None | Some(Tree::Object(_) | Tree::NullKeyword(_)) => Ok(found),
        Some(other) => Err(SyntaxError::at(
            text,
            other.range().start,
            format!("`{key}` is {}, not an object `{{…}}`", kind(other)),
        )),
    }
}

fn last<'a, 'b>(object: &'b Node<'a>, name: &str) -> Option<&'b ObjectProp<'a>> {
    let mut properties = object.properties.iter().rev();
    properties.find(|property| property.name.as_str() == name)
}

fn property<'a, 'b>(value: &'b Tree<'a>, name: &str) -> Option<&'b ObjectProp<'a>> {
    match value {
        Tree::Object(object) => last(object, name),
        _ => None,
    }
}

fn kind(value: &Tree<'_>) -> &'static str {
    match value {
        Tree::StringLit(_) => "a string",
        Tree::NumberLit(_) => "a number",
        Tree::BooleanLit(_) => "true or false",
        Tree::Object(_) => "an object",
        Tree::Array(_) => "a list",
        Tree::NullKeyword(_) => "null",
    }
}

fn map_of(object: &Node<'_>) -> Map<String, Value> {
    let mut map = Map::new();
    for property in &object.properties {
        map.insert(property.name.as_str().to_owned(), value_of(&property.value));
    }
    map
}

fn value_of(tree: &Tree<'_>) -> Value {
    match tree {
        Tree::StringLit(string) => Value::String(string.value.clone().into_owned()),
        // A number out of range is compared by its text.
        Tree::NumberLit(number) => {
            serde_json::from_str(number.value).unwrap_or_else(|_| number.value.into())
        }
        Tree::BooleanLit(boolean) => Value::Bool(boolean.value),
        Tree::Object(object) => Value::Object(map_of(object)),
        Tree::Array(array) => array.elements.iter().map(value_of).collect(),
        Tree::NullKeyword(_) => Value::Null,
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// The layout of a document.
struct Style<'a> {
    newline: &'static str,
    /// One level of indentation.
    unit: &'a str,
    /// Whether everything is on one line.
    one_line: bool,
    /// The space after colons and commas on one line.
    space: &'static str,
}

impl<'a> Style<'a> {
    fn of(text: &'a str, root: Option<&Node<'_>>) -> Self {
        let unit = root
            .and_then(|root| root.properties.first())
            .and_then(|first| own_indent(text, first.range.start))
            .filter(|indent| !indent.is_empty());
        let (one_line, tight) = root.map_or((false, false), |root| {
            let inside = &text[root.range.start..root.range.end];
            let is_filled = !root.properties.is_empty();
            let one_line = is_filled && !inside.contains('\n');
            (one_line, one_line && !inside.contains(": "))
        });
        Self {
            newline: newline_of(text),
            unit: unit.unwrap_or("  "),
            one_line,
            space: if tight { "" } else { " " },
        }
    }

    /// A value in this document's layout, after a key on a line with this indentation.
    fn shown(&self, value: &Value, indent: &str) -> String {
        if self.one_line {
            self.inline(value)
        } else {
            self.pretty(value, indent)
        }
    }

    /// Objects over several lines, lists on one.
    fn pretty(&self, value: &Value, indent: &str) -> String {
        let Value::Object(map) = value else {
            return self.inline(value);
        };
        if map.is_empty() {
            return "{}".to_owned();
        }
        let inner = format!("{indent}{}", self.unit);
        let mut text = String::from("{");
        for (index, (name, value)) in map.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let value = self.pretty(value, &inner);
            let _ = write!(
                text,
                "{comma}{}{inner}{}: {value}",
                self.newline,
                quoted(name)
            );
        }
        let _ = write!(text, "{}{indent}}}", self.newline);
        text
    }

    fn inline(&self, value: &Value) -> String {
        let space = self.space;
        let comma = format!(",{space}");
        match value {
            Value::Object(map) => {
                let pairs = map.iter();
                let pairs = pairs
                    .map(|(name, value)| format!("{}:{space}{}", quoted(name), self.inline(value)));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(&comma))
            }
            Value::Array(list) => {
                let values: Vec<_> = list.iter().map(|value| self.inline(value)).collect();
                format!("[{}]", values.join(&comma))
            }
            plain => plain.to_string(),
        }
    }

    /// The text with a property added at the end of an object.
    fn insert(&self, text: &str, object: &Node<'_>, name: &str, value: &Value) -> String {
        let (open, close) = (object.range.start + 1, object.range.end - 1);
        let base = indent_at(text, object.range.start);
        let property = |indent: Option<&str>| match indent {
            Some(indent) => format!("{}: {}", quoted(name), self.pretty(value, indent)),
            None => format!("{}:{}{}", quoted(name), self.space, self.inline(value)),
        };
        let Some(last) = object.properties.last() else {
            let inside = text[open..close].trim_end();
            if self.one_line {
                let property = property(None);
                return [&text[..open], inside, &property, &text[close..]].concat();
            }
            let indent = format!("{base}{}", self.unit);
            return format!(
                "{}{inside}{newline}{indent}{}{newline}{base}{}",
                &text[..open],
                property(Some(&indent)),
                &text[close..],
                newline = self.newline,
            );
        };
        let end = last.range.end;
        let after = after_trivia(text, end, false);
        // Where a document has trailing commas, the new property gets one too.
        let trailing = text[after..].starts_with(',');
        let filled = if trailing { after + 1 } else { end };
        let (missing, own) = if trailing { ("", ",") } else { (",", "") };
        if !text[open..close].contains('\n') {
            let space = self.space;
            let property = property(None);
            return format!(
                "{}{missing}{space}{property}{own}{}",
                &text[..filled],
                &text[filled..]
            );
        }
        let indent = own_indent(text, last.range.start)
            .map_or_else(|| format!("{base}{}", self.unit), str::to_owned);
        // Insert after a comment on the same line: it describes what precedes it.
        let line = text[..after_trivia(text, filled, true)]
            .trim_end_matches([' ', '\t'])
            .len()
            .max(filled);
        format!(
            "{}{missing}{}{newline}{indent}{}{own}{}",
            &text[..end],
            &text[end..line],
            property(Some(&indent)),
            &text[line..],
            newline = self.newline,
        )
    }
}

/// The text without one property of an object, its comma, and its line if nothing else is on it.
fn cut(text: &str, object: &Node<'_>, index: usize) -> String {
    let (open, close) = (object.range.start + 1, object.range.end - 1);
    let (start, end) = {
        let range = object.properties[index].range;
        (range.start, range.end)
    };
    let after = after_trivia(text, end, false);
    let has_comma = text[after..].starts_with(',');
    // Remove the comma after the property, or else the comma of the property before it.
    let (removed_to, kept_comments) = match has_comma {
        true if text[end..after].trim().is_empty() => (after + 1, ""),
        true => (after + 1, &text[end..after]),
        false => (end, ""),
    };
    let mut before = text[..start].to_owned();
    let rest = &text[removed_to..];
    if object.properties.len() == 1 {
        let inside = [&text[open..start], kept_comments, &text[removed_to..close]].concat();
        let inside = if inside.trim().is_empty() {
            ""
        } else {
            &*inside
        };
        return [&text[..open], inside, &text[close..]].concat();
    }
    if !has_comma && index > 0 {
        let comma = after_trivia(text, object.properties[index - 1].range.end, false);
        before.remove(comma);
    }
    let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let (line, own_line) = match before.rfind('\n') {
        Some(at) if before[at..].trim().is_empty() => {
            let at = if before[..at].ends_with('\r') {
                at - 1
            } else {
                at
            };
            (at, true)
        }
        _ => (before.len(), false),
    };
    let ends_line = rest[blank..].starts_with(['\n', '\r']) && kept_comments.is_empty();
    let closes = rest[blank..].starts_with('}') && !ends_with_line_comment(&before[..line]);
    let (before, rest) = if own_line && ends_line {
        (&before[..line], &rest[blank..])
    } else if own_line && closes {
        (&before[..line], rest)
    } else if has_comma {
        (&*before, &rest[blank..])
    } else if own_line {
        (&*before, rest)
    } else {
        (before.trim_end_matches([' ', '\t']), rest)
    };
    [before, kept_comments, rest].concat()
}

/// Whether text appended on the same line would be part of a comment.
fn ends_with_line_comment(text: &str) -> bool {
    let line = text.rsplit('\n').next().unwrap_or_default();
    line.contains("//")
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The position after white space and comments; with `line`, only after those that begin on this line.
fn after_trivia(text: &str, mut at: usize, line: bool) -> usize {
    loop {
        let rest = &text[at..];
        if rest.starts_with("//") {
            at += rest.find(['\n', '\r']).unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
        } else {
            match rest.chars().next() {
                Some('\n' | '\r') if line => return at,
                Some(c) if c.is_whitespace() => at += c.len_utf8(),
                _ => return at,
            }
        }
    }
}

/// The white space at the beginning of the line of this position.
fn indent_at(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let line = &text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The same, if nothing else precedes this position on its line.
fn own_indent(text: &str, at: usize) -> Option<&str> {
    let start = text[..at].rfind('\n')? + 1;
    let indent = &text[start..at];
    indent
        .trim_matches([' ', '\t'])
        .is_empty()
        .then_some(indent)
}
