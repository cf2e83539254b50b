//! Values: converted to the type of their schema and checked against it.

use std::fmt::Arguments;

use serde_json::{Number, Value};

use super::Normalizer;
use crate::args::Object;
use crate::args::input_rule::InputRule;
use crate::args::property;
use crate::args::scalar::{boolean, listed, number, parse_json_text, shown};
use crate::args::schema::whole;
use crate::args::suggest::nearest_value;

/// Whether the schema allows every value of its type.
fn has_no_rules(schema: &Object) -> bool {
    let mut keys = schema.keys();
    keys.all(|key| matches!(key.as_str(), "type" | "description"))
}

impl Normalizer<'_> {
    /// Normalises a value and checks it against its schema.
    pub(super) fn value(&mut self, schema: &Object, value: &mut Value, place: Arguments<'_>) {
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or("");
        match kind {
            _ if value.is_null() => {}
            // Most texts may be any text, and looking for each rule takes longer than this.
            "string" if value.is_string() && has_no_rules(schema) => {}
            "integer" | "number" => {
                // Whole numbers are written without a fraction.
                let normalized = number(value).and_then(|n| match whole(&n) {
                    Some(whole) => Some(whole.into()),
                    None => (kind == "number").then_some(n),
                });
                match normalized {
                    Some(normalized) if !is_allowed(schema, &normalized) => {
                        let allowed = schema.get("enum").and_then(Value::as_array);
                        let allowed: Vec<String> = allowed
                            .into_iter()
                            .flatten()
                            .map(Value::to_string)
                            .collect();
                        self.problems.push(format!(
                            "`{place}` is {}; it can be {}",
                            shown(value),
                            allowed.join(", ")
                        ));
                    }
                    Some(normalized) => {
                        self.bounds(
                            schema,
                            normalized.as_f64().unwrap_or(f64::NAN),
                            value,
                            place,
                        );
                        *value = Value::Number(normalized);
                    }
                    None if kind == "integer" => self.wrong(place, value, "a whole number", schema),
                    None => self.wrong(place, value, "a number", schema),
                }
            }
            "boolean" => match boolean(value) {
                Some(normalized) => *value = Value::Bool(normalized),
                None => self.wrong(place, value, "true or false", schema),
            },
            "string" => {
                if matches!(value, Value::Number(_) | Value::Bool(_)) {
                    *value = Value::String(value.to_string());
                }
                match value {
                    Value::String(text) => {
                        one_of(schema, text);
                        self.string(schema, text, place);
                    }
                    _ => self.wrong(place, value, "text", schema),
                }
            }
            "array" => {
                parse_json_text(value, "array");
                let items = schema.get("items").and_then(Value::as_object);
                // A single item becomes a list of one.
                let one = match (&*value, items.and_then(|i| i.get("type")?.as_str())) {
                    (Value::Object(_), Some("object")) | (Value::String(_), Some("string")) => true,
                    (value, Some("number" | "integer")) => number(value).is_some(),
                    _ => false,
                };
                if one {
                    *value = Value::Array(vec![value.take()]);
                }
                match value {
                    Value::Array(list) => {
                        self.count(schema, list.len(), place);
                        if let Some(items) = items {
                            for (index, item) in list.iter_mut().enumerate() {
                                self.value(items, item, format_args!("{place}[{index}]"));
                            }
                        }
                    }
                    _ => self.wrong(place, value, "a list", schema),
                }
            }
            "object" => {
                parse_json_text(value, "object");
                match value {
                    // An object that may have any key is read and checked where it is used.
                    Value::Object(_)
                        if schema.get("additionalProperties") == Some(&Value::Bool(true)) => {}
                    Value::Object(members) => self.object(schema, members, &format!("{place}.")),
                    _ => self.wrong(place, value, "an object", schema),
                }
            }
            _ => {}
        }
    }

    fn wrong(&mut self, place: Arguments<'_>, value: &Value, expected: &str, schema: &Object) {
        let argument = place.to_string();
        let range = range(schema).map_or(String::new(), |range| format!(" ({range})"));
        let means = match property::of(self.own_name(&argument)) {
            // What says the range itself needs it no second time.
            Some(property) if expected.ends_with("number") => {
                let has_range = property.says.bytes().any(|byte| byte.is_ascii_digit());
                let range = if has_range { "" } else { &range };
                format!("; it must be {}{range}", property.says)
            }
            _ => range,
        };
        self.problems.push(format!(
            "`{place}` is {}, which is not {expected}{means}",
            shown(value)
        ));
    }

    fn bounds(&mut self, schema: &Object, number: f64, value: &Value, place: Arguments<'_>) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let outside = bound("minimum").is_some_and(|low| number < low)
            || bound("maximum").is_some_and(|high| number > high)
            || bound("exclusiveMinimum").is_some_and(|low| number <= low);
        if outside && let Some(range) = range(schema) {
            self.problems.push(format!(
                "`{place}` is {}, which is not {range}",
                shown(value)
            ));
        }
    }

    fn string(&mut self, schema: &Object, text: &str, place: Arguments<'_>) {
        if let Some(Value::Array(allowed)) = schema.get("enum")
            && !allowed.iter().any(|a| a == text)
        {
            let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            let argument = place.to_string();
            let advice = self.rules.iter().find_map(|rule| match *rule {
                InputRule::ValueAdvice(of, values, advice)
                    if self.own_name(&argument) == of && values.contains(&bare(text).as_str()) =>
                {
                    Some(format!("; {advice}"))
                }
                _ => None,
            });
            let near = advice.unwrap_or_else(|| {
                nearest_value(text, allowed.iter().copied())
                    .map_or(String::new(), |near| format!("; did you mean \"{near}\"?"))
            });
            self.problems.push(format!(
                "`{place}` is {}; it can be {}{near}",
                shown(&text.into()),
                listed(allowed.into_iter(), '"')
            ));
        }
        let length = text.chars().count() as u64;
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        if length == 0 && bound("minLength").is_some_and(|low| low > 0) {
            self.problems.push(format!("`{place}` is empty"));
        } else if let Some(low) = bound("minLength").filter(|low| length < *low) {
            self.problems.push(format!(
                "`{place}` has {length} characters; it must have at least {low}"
            ));
        } else if let Some(high) = bound("maxLength").filter(|high| length > *high) {
            self.problems.push(format!(
                "`{place}` has {length} characters; it can have up to {high}"
            ));
        }
    }

    fn count(&mut self, schema: &Object, count: usize, place: Arguments<'_>) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        if let Some(low) = bound("minItems").filter(|low| (count as u64) < *low) {
            self.problems.push(format!(
                "`{place}` has {count} items; it must have at least {low}"
            ));
        }
        if let Some(high) = bound("maxItems").filter(|high| (count as u64) > *high) {
            self.problems.push(format!(
                "`{place}` has {count} items; it can have up to {high}"
            ));
        }
    }
}

/// Whether a number is one of the allowed values, if the schema lists any.
fn is_allowed(schema: &Object, number: &Number) -> bool {
    let Some(Value::Array(allowed)) = schema.get("enum") else {
        return true;
    };
    allowed.iter().any(|one| one.as_f64() == number.as_f64())
}

/// Replaces an allowed value in another spelling: "capcut" becomes "CapCut".
fn one_of(schema: &Object, text: &mut String) {
    let Some(Value::Array(allowed)) = schema.get("enum") else {
        return;
    };
    let allowed = || allowed.iter().filter_map(Value::as_str);
    if allowed().any(|a| a == text) {
        return;
    }
    let wanted = bare(text);
    let meant = OTHER_WORDS
        .iter()
        .find(|(others, _)| others.contains(&wanted.as_str()))
        .map_or(wanted.as_str(), |(_, word)| word);
    if let Some(same) = allowed().find(|a| bare(a) == meant) {
        same.clone_into(text);
    }
}

/// Other words for fixed values.
const OTHER_WORDS: [(&[&str], &str); 6] = [
    (&["win"], "windows"),
    (&["mac", "darwin", "osx", "os_x"], "macos"),
    (&["剪映"], "jianying"),
    (&["local", "engine"], "embedded"),
    (&["server"], "remote"),
    (&["opacity"], "alpha"),
];

fn bare(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '-'], "_")
}

fn range(schema: &Object) -> Option<String> {
    let low = schema.get("minimum");
    let above = schema.get("exclusiveMinimum");
    match (low, above, schema.get("maximum")) {
        (Some(low), _, Some(high)) => Some(format!("within {low} to {high}")),
        (None, Some(above), Some(high)) => Some(format!("above {above} and up to {high}")),
        (Some(low), _, None) => Some(format!("{low} or more")),
        (None, Some(above), None) => Some(format!("more than {above}")),
        (None, None, Some(high)) => Some(format!("at most {high}")),
        (None, None, None) => None,
    }
}
