//! Single values as forms and weak models send them, and how messages show them.

use serde_json::{Number, Value};

use crate::args::property::decimal;
use crate::args::schema::whole;
use crate::error::shortened;

/// Whether it is what clients and forms send for a value that is not given.
pub(crate) fn is_blank(text: &str) -> bool {
    const BLANK: [&str; 5] = ["null", "none", "undefined", "nil", "无"];
    if text.len() > 32 {
        return false;
    }
    let text = text.trim();
    text.is_empty() || BLANK.iter().any(|blank| blank.eq_ignore_ascii_case(text))
}

/// A number, or text that is one.
pub(crate) fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => {
            let text = text.trim();
            if let Ok(whole) = text.parse::<i64>() {
                return Some(whole.into());
            }
            Number::from_f64(decimal(text)?)
        }
        _ => None,
    }
}

pub(crate) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => match whole(number) {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Parses JSON in a string if it is of the expected kind.
pub(crate) fn parse_json_text(value: &mut Value, kind: &str) {
    let Value::String(text) = &*value else {
        return;
    };
    let opening = if kind == "array" { '[' } else { '{' };
    if text.trim_start().starts_with(opening)
        && let Ok(parsed) = serde_json::from_str::<Value>(text)
    {
        *value = parsed;
    }
}

/// A value as it was sent, shortened when long.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        // A long text is shortened before it is quoted, because only its beginning is shown.
        Value::String(text) if text.len() > 400 => {
            let start = shortened(text);
            format!("{start:?}")
        }
        other => shortened(&other.to_string()).into_owned(),
    }
}

pub(crate) fn listed<'n>(names: impl Iterator<Item = &'n str>, quote: char) -> String {
    names
        .map(|name| format!("{quote}{name}{quote}"))
        .collect::<Vec<_>>()
        .join(", ")
}
