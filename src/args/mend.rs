//! Arguments as people and weak models send them: other names, "720", "true"; every fault at once.
//!
//! Mending happens once, for all tools, by their schemas: names first, then notations such as
//! `resolution`, then values. What cannot be mended is told in one error, a line per fault.

use std::fmt::Arguments;

use serde_json::{Number, Value};

use super::position::Position;
use super::schema::whole;
use crate::args::{Object, placeholder};
use crate::error::{Error, Result, shortened};

mod size;
#[cfg(test)]
mod table;

/// A name or notation that people use for an argument; shown in the docs only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comfort {
    /// Another name for an argument: `(alias, argument)`.
    Alias(&'static str, &'static str),
    /// `resolution: "1920x1080"` and `aspect_ratio: "9:16"` for `width` and `height`.
    Size,
    /// `position`: "center", "bottom", … or `{x, y, width, height}` in pixels, for `transform_*` and `scale_*`.
    Position,
    /// `subtitle_text` with `start_time` and `end_time`: one caption as `srt`.
    Caption,
}

impl Comfort {
    /// The names that it adds to those of the schema.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Alias(..) | Self::Position => &[],
            Self::Size => &["resolution", "aspect_ratio"],
            Self::Caption => &["subtitle_text"],
        }
    }
}

/// Brings the arguments into the form of the schema, or names everything that is wrong with them.
pub(crate) fn mend(
    tool: &str,
    comfort: &[Comfort],
    schema: &Object,
    arguments: &mut Object,
) -> Result<()> {
    let mut mending = Mending {
        tool,
        comfort,
        renamed: Vec::new(),
        faults: Faults::default(),
    };
    for (name, value) in arguments.iter() {
        // Templates and plans are filled later, and checked then.
        if !matches!(name.as_str(), "plan" | "plans" | "template") {
            mending.placeholders(value, format_args!("{name}"));
        }
    }
    // Absent is said in several ways.
    arguments.retain(|_, value| !value.is_null());
    if comfort.contains(&Comfort::Caption) {
        mending.caption(arguments);
    }
    mending.names(schema, arguments);
    if comfort.contains(&Comfort::Size) {
        for fault in size::mend(arguments) {
            mending.faults.push(fault);
        }
    }
    if comfort.contains(&Comfort::Position) {
        mending.position(arguments);
    }
    mending.object(schema, arguments, "");
    mending.faults.into_result()
}

/// Faults that are listed one by one; the others are counted.
const LISTED: usize = 20;

#[derive(Default)]
struct Faults {
    listed: Vec<String>,
    more: usize,
}

impl Faults {
    fn push(&mut self, fault: String) {
        self.add(|| fault);
    }

    /// Adds a fault, whose text is made only if it is listed.
    fn add(&mut self, fault: impl FnOnce() -> String) {
        if self.listed.len() < LISTED {
            self.listed.push(fault());
        } else {
            self.more += 1;
        }
    }

    fn into_result(self) -> Result<()> {
        if self.listed.is_empty() {
            return Ok(());
        }
        let mut text = self.listed.join("\n");
        if self.more > 0 {
            text.push_str(&format!("\nand {} more faults", grouped(self.more)));
        }
        Err(Error::invalid(text))
    }
}

/// `19,980`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

struct Mending<'a> {
    tool: &'a str,
    comfort: &'a [Comfort],
    /// The arguments that came by another name, so that faults speak of what was sent.
    renamed: Vec<(&'static str, &'static str)>,
    faults: Faults,
}

impl Mending<'_> {
    /// What a template left in a value.
    fn placeholders(&mut self, value: &Value, place: Arguments<'_>) {
        match value {
            Value::String(text) => {
                if let Some(found) = placeholder::unfilled(text) {
                    let fault = placeholder::fault(found);
                    self.faults.push(format!("`{place}`: {fault}"));
                }
            }
            Value::Array(list) => {
                for (index, item) in list.iter().enumerate() {
                    self.placeholders(item, format_args!("{place}[{index}]"));
                }
            }
            Value::Object(members) => {
                for (name, item) in members {
                    self.placeholders(item, format_args!("{place}.{name}"));
                }
            }
            _ => {}
        }
    }

    /// `subtitle_text` with its times becomes the one cue of an `srt`.
    fn caption(&mut self, arguments: &mut Object) {
        let Some(text) = arguments.shift_remove("subtitle_text") else {
            return;
        };
        if arguments.contains_key("srt") || arguments.contains_key("srt_path") {
            self.faults.push(
                "`subtitle_text` is one caption and `srt` a whole file: give one of them".into(),
            );
            return;
        }
        let text = match text {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut take = |names: [&'static str; 2]| {
            names
                .into_iter()
                .find_map(|name| Some((name, arguments.shift_remove(name)?)))
        };
        let start = take(["start_time", "start"]);
        let end = take(["end_time", "end"]);
        let mut seconds = |given: Option<(&str, Value)>| {
            let (name, value) = given?;
            let number = number(&value).and_then(|n| n.as_f64());
            if number.is_none_or(|n| n < 0.0) {
                self.faults.push(format!(
                    "`{name}` is {}, which is not a time in seconds",
                    shown(&value)
                ));
                return None;
            }
            number
        };
        let given = end.is_some();
        let start = if start.is_some() {
            seconds(start)
        } else {
            Some(0.0)
        };
        let end = seconds(end);
        if !given {
            self.faults
                .push("`end_time` is missing: when the caption disappears, in seconds".into());
        }
        // An empty line would end the cue.
        let text: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        if text.is_empty() {
            self.faults
                .push("`subtitle_text` is empty; it is the caption to show".into());
        }
        let mut srt = String::new();
        if let (Some(start), Some(end)) = (start, end) {
            if end <= start {
                self.faults.push(format!(
                    "`end_time` is {end} s, which is not after `start_time` ({start} s)"
                ));
            }
            srt = format!(
                "1\n{} --> {}\n{}\n",
                timestamp(start),
                timestamp(end),
                text.join("\n")
            );
        }
        // Also after a fault, so that `srt` is not called missing on top of it.
        arguments.insert("srt".into(), srt.into());
    }

    /// Other names become the tool's own.
    fn names(&mut self, schema: &Object, arguments: &mut Object) {
        for comfort in self.comfort {
            let Comfort::Alias(alias, name) = *comfort else {
                continue;
            };
            // Few arguments are compared faster than a name is hashed.
            if !arguments.keys().any(|given| given == alias) {
                continue;
            }
            if property(schema, alias).is_some() {
                continue;
            }
            let Some(value) = arguments.shift_remove(alias) else {
                continue;
            };
            match arguments.get(name) {
                Some(given) if *given != value => self.faults.push(format!(
                    "`{alias}` is another name for `{name}`: give one of them, not {} and {}",
                    shown(&value),
                    shown(given)
                )),
                Some(_) => {}
                None => {
                    arguments.insert(name.to_owned(), value);
                    self.renamed.push((alias, name));
                }
            }
        }
    }

    fn position(&mut self, arguments: &mut Object) {
        let Some(value) = arguments.get_mut("position") else {
            return;
        };
        parse_json_text(value, "object");
        let fault = Position::read(value)
            .err()
            .map(|fault| format!("`position` is {}, {fault}", shown(value)));
        let value = match value {
            Value::Object(_) => "a box",
            _ => "a word",
        };
        if let Some(fault) = fault {
            self.faults.push(fault);
        }
        for name in ["transform_x", "transform_y"] {
            if arguments.contains_key(name) {
                self.faults.push(format!(
                    "`position` ({value}) and `{name}` both say where it stands: give one of them"
                ));
            }
        }
    }

    /// Mends and checks the members of an object; `path` is "" or ends in a dot.
    fn object(&mut self, schema: &Object, members: &mut Object, path: &str) {
        let empty = Object::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        // An object whose members are not described may have any.
        let closed = !properties.is_empty() || path.is_empty();
        members.retain(|_, value| !value.is_null());
        let mut absent = Vec::new();
        for (name, value) in members.iter_mut() {
            match properties.get(name) {
                Some(Value::Object(property)) => {
                    let is_required = required.iter().any(|r| r == name.as_str());
                    if is_blank(value, property) && !is_required {
                        absent.push(name.clone());
                    } else if !(path.is_empty() && self.is_position(name)) {
                        let sent = self.sent_as(name, path);
                        self.value(property, value, format_args!("{path}{sent}"));
                    }
                }
                _ if closed => {
                    let (tool, comfort) = (self.tool, self.comfort);
                    self.faults
                        .add(|| unknown(tool, comfort, name, properties, path));
                }
                _ => {}
            }
        }
        for name in absent {
            members.shift_remove(&name);
        }
        for name in required.iter().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                let means = properties
                    .get(name)
                    .and_then(|p| p.get("description"))
                    .and_then(Value::as_str)
                    .map_or(String::new(), |text| format!(": {}", first_sentence(text)));
                self.faults
                    .push(format!("`{path}{name}` is missing{means}"));
            }
        }
    }

    fn is_position(&self, name: &str) -> bool {
        name == "position" && self.comfort.contains(&Comfort::Position)
    }

    fn sent_as<'n>(&self, name: &'n str, path: &str) -> &'n str
    where
        'static: 'n,
    {
        if !path.is_empty() {
            return name;
        }
        self.renamed
            .iter()
            .find(|(_, own)| *own == name)
            .map_or(name, |(alias, _)| alias)
    }

    /// Mends a value and checks it against the schema of its place.
    fn value(&mut self, schema: &Object, value: &mut Value, place: Arguments<'_>) {
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or("");
        match kind {
            "integer" | "number" => {
                // Whole numbers are written without a fraction everywhere.
                let mended = number(value).and_then(|n| match whole(&n) {
                    Some(whole) => Some(whole.into()),
                    None => (kind == "number").then_some(n),
                });
                match mended {
                    Some(mended) => {
                        self.bounds(schema, mended.as_f64().unwrap_or(f64::NAN), value, place);
                        *value = Value::Number(mended);
                    }
                    None if kind == "integer" => self.wrong(place, value, "a whole number", schema),
                    None => self.wrong(place, value, "a number", schema),
                }
            }
            "boolean" => match boolean(value) {
                Some(mended) => *value = Value::Bool(mended),
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
                // One thing instead of a list of one.
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
                    // What may have any key is read, and its faults told, where it is used.
                    Value::Object(_)
                        if schema.get("additionalProperties") == Some(&Value::Bool(true)) => {}
                    Value::Object(members) => self.object(schema, members, &format!("{place}.")),
                    _ => self.wrong(place, value, "an object", schema),
                }
            }
            _ => {}
        }
    }

    fn wrong(&mut self, place: Arguments<'_>, value: &Value, wanted: &str, schema: &Object) {
        let range = range(schema).map_or(String::new(), |range| format!(" ({range})"));
        self.faults.push(format!(
            "`{place}` is {}, which is not {wanted}{range}",
            shown(value)
        ));
    }

    fn bounds(&mut self, schema: &Object, number: f64, value: &Value, place: Arguments<'_>) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let outside = bound("minimum").is_some_and(|low| number < low)
            || bound("maximum").is_some_and(|high| number > high)
            || bound("exclusiveMinimum").is_some_and(|low| number <= low);
        if outside && let Some(range) = range(schema) {
            self.faults.push(format!(
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
            let near = nearest(text, allowed.iter().copied())
                .map_or(String::new(), |near| format!("; did you mean \"{near}\"?"));
            self.faults.push(format!(
                "`{place}` is {}; it can be {}{near}",
                shown(&text.into()),
                listed(allowed.into_iter(), '"')
            ));
        }
        let length = text.chars().count() as u64;
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        if length == 0 && bound("minLength").is_some_and(|low| low > 0) {
            self.faults.push(format!("`{place}` is empty"));
        } else if let Some(low) = bound("minLength").filter(|low| length < *low) {
            self.faults.push(format!(
                "`{place}` has {length} characters, fewer than {low}"
            ));
        } else if let Some(high) = bound("maxLength").filter(|high| length > *high) {
            self.faults.push(format!(
                "`{place}` has {length} characters, more than {high}"
            ));
        }
    }

    fn count(&mut self, schema: &Object, count: usize, place: Arguments<'_>) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        if let Some(low) = bound("minItems").filter(|low| (count as u64) < *low) {
            self.faults
                .push(format!("`{place}` has {count} items, fewer than {low}"));
        }
        if let Some(high) = bound("maxItems").filter(|high| (count as u64) > *high) {
            self.faults
                .push(format!("`{place}` has {count} items, more than {high}"));
        }
    }
}

/// What is wrong with an argument of that name, which there is not.
fn unknown(tool: &str, comfort: &[Comfort], name: &str, properties: &Object, path: &str) -> String {
    let comfort = if path.is_empty() { comfort } else { &[] };
    let own = properties.keys().map(|own| (own.as_str(), own.as_str()));
    let others = comfort.iter().flat_map(|comfort| {
        let alias = match *comfort {
            Comfort::Alias(alias, own) => Some((alias, own)),
            _ => None,
        };
        comfort
            .names()
            .iter()
            .map(|name| (*name, *name))
            .chain(alias)
    });
    let names: Vec<(&str, &str)> = own.chain(others).collect();
    let whose = if path.is_empty() {
        format!("`{tool}` has no such argument")
    } else {
        "there is no such field".into()
    };
    let near = nearest(name, names.iter().map(|(name, _)| *name))
        .and_then(|near| names.iter().find(|(name, _)| *name == near));
    let name = shortened(name);
    match near {
        Some((_, own)) => format!("`{path}{name}`: {whose}; did you mean `{own}`?"),
        None if properties.is_empty() => format!("`{path}{name}`: {whose}; it takes none"),
        None => format!(
            "`{path}{name}`: {whose}; there are {}",
            listed(properties.keys().map(String::as_str), '`')
        ),
    }
}

fn property<'s>(schema: &'s Object, name: &str) -> Option<&'s Value> {
    schema.get("properties")?.get(name)
}

/// Whether an optional value was left empty in the way of forms: "" or "null" where text is not asked for.
fn is_blank(value: &Value, schema: &Object) -> bool {
    let Value::String(text) = value else {
        return false;
    };
    let is_choice = schema.contains_key("enum");
    let is_text = schema.get("type").and_then(Value::as_str) == Some("string") && !is_choice;
    !is_text && matches!(text.trim(), "" | "null" | "None" | "undefined")
}

/// A number, or text that is one.
fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => {
            let text = text.trim();
            if let Ok(whole) = text.parse::<i64>() {
                return Some(whole.into());
            }
            Number::from_f64(text.parse().ok()?)
        }
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
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

/// JSON in a string, when it is of the kind that is wanted.
fn parse_json_text(value: &mut Value, kind: &str) {
    let Value::String(text) = &*value else {
        return;
    };
    let wanted = if kind == "array" { '[' } else { '{' };
    if text.trim_start().starts_with(wanted)
        && let Ok(parsed) = serde_json::from_str::<Value>(text)
    {
        *value = parsed;
    }
}

/// "CapCut" for "capcut": an allowed value in another case is that value.
fn one_of(schema: &Object, text: &mut String) {
    let Some(Value::Array(allowed)) = schema.get("enum") else {
        return;
    };
    let allowed = || allowed.iter().filter_map(Value::as_str);
    if allowed().any(|a| a == text) {
        return;
    }
    let bare = |text: &str| text.trim().to_lowercase().replace([' ', '-'], "_");
    let wanted = bare(text);
    if let Some(same) = allowed().find(|a| bare(a) == wanted) {
        same.clone_into(text);
    }
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

/// A value as it was sent, shortened when long.
fn shown(value: &Value) -> String {
    match value {
        // Not all of a long text is written out as JSON to show its beginning.
        Value::String(text) if text.len() > 400 => {
            let start = shortened(text);
            format!("{start:?}")
        }
        other => shortened(&other.to_string()).into_owned(),
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>, quote: char) -> String {
    names
        .map(|name| format!("{quote}{name}{quote}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").unwrap_or(text.len());
    text[..end]
        .lines()
        .next()
        .unwrap_or("")
        .trim_end_matches('.')
}

fn timestamp(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round() as u64;
    format!(
        "{:02}:{:02}:{:02},{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}

/// The name that was probably meant, if any is near.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // Comparing takes as long as both texts multiplied, and nothing near is much longer.
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_lowercase().replace(['-', ' '], "_");
    let words: Vec<&str> = wanted.split('_').collect();
    names
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            let spelling = strsim::normalized_damerau_levenshtein(&wanted, &lower);
            // `colour_of_text` and `text_color` share words, not spelling.
            let shared = lower
                .split('_')
                .filter(|part| {
                    words
                        .iter()
                        .any(|word| strsim::normalized_damerau_levenshtein(word, part) > 0.8)
                })
                .count() as f64;
            let all = words.len().max(lower.split('_').count()) as f64;
            (spelling.max(shared / all), candidate)
        })
        .filter(|(score, _)| *score >= 0.5)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::args::schema;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Round,
        VerySquare,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Style {
        /// Points.
        #[schemars(range(min = 1))]
        size: Option<f64>,
        bold: Option<bool>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Sample {
        /// The words to show. More of it.
        text: String,
        #[schemars(range(min = 0.0, max = 10.0))]
        start: Option<f64>,
        count: Option<i64>,
        vertical: Option<bool>,
        shape: Option<Shape>,
        style: Option<Style>,
        styles: Option<Vec<Style>>,
        levels: Option<Vec<f64>>,
        #[schemars(length(min = 1, max = 3))]
        track: Option<String>,
        font_color: Option<String>,
        position: Option<crate::args::Position>,
        transform_x: Option<f64>,
        width: Option<u32>,
        height: Option<u32>,
    }

    const COMFORT: &[Comfort] = &[
        Comfort::Alias("words", "text"),
        Comfort::Alias("start_time", "start"),
        Comfort::Size,
        Comfort::Position,
    ];

    fn mended(arguments: Value) -> Result<Value> {
        let Value::Object(mut arguments) = arguments else {
            panic!("an object");
        };
        mend(
            "sample",
            COMFORT,
            &schema::input::<Sample>(),
            &mut arguments,
        )?;
        Ok(Value::Object(arguments))
    }

    #[test]
    fn loose_values_become_those_of_the_schema() {
        let strict = json!({
            "text": "12", "start": 1.5, "count": 1280, "vertical": true, "shape": "very_square",
            "style": { "size": 3, "bold": false }, "styles": [{ "size": 2.5 }], "levels": [1, 2],
        });
        for loose in [
            json!({
                "text": 12, "start": "1.5", "count": "1280.0", "vertical": "true", "shape": "Very Square",
                "style": "{\"size\": \"3\", \"bold\": \"False\"}", "styles": "[{\"size\": \"2.5\", \"bold\": null}]",
                "levels": ["1", 2], "track": null, "transform_x": "", "width": "null",
            }),
            json!({
                "text": "12", "start": " 1.5 ", "count": 1280.0, "vertical": 1, "shape": "very-square",
                "style": { "size": "3", "bold": 0 }, "styles": { "size": 2.5 }, "levels": "[\"1\", \"2\"]",
            }),
            strict.clone(),
        ] {
            assert_eq!(mended(loose.clone()).expect("mended"), strict, "{loose}");
        }
    }

    #[test]
    fn other_names_become_the_tools_own() {
        assert_eq!(
            mended(json!({ "words": "a", "start_time": "2", "resolution": "640x360" }))
                .expect("mended"),
            json!({ "text": "a", "start": 2, "width": 640, "height": 360 })
        );
        assert_eq!(
            mended(json!({ "words": "a", "text": "a" })).expect("mended"),
            json!({ "text": "a" })
        );
    }

    #[test]
    fn a_position_is_a_word_or_a_box_even_as_text() {
        let boxed = json!({ "x": 0, "y": 0, "width": 10, "height": 10 });
        for position in [boxed.clone(), json!(boxed.to_string())] {
            assert_eq!(
                mended(json!({ "text": "a", "position": position })).expect("mended")["position"],
                boxed
            );
        }
        mended(json!({ "text": "a", "position": "bottom" })).expect("a word");
    }

    #[test]
    fn every_fault_is_told_at_once_and_by_the_name_that_was_sent() {
        let error = mended(json!({
            "start_time": 11, "count": 1.5, "vertical": "maybe", "shape": "rond", "style": [],
            "styles": [{ "sise": 1, "size": 0 }], "levels": {}, "track": "", "colour": "#fff",
            "zzz": 1, "position": "behind", "transform_x": "far", "resolution": "big",
        }))
        .expect_err("faults");
        let expected = "\
`resolution` is \"big\", which is not like \"1920x1080\" or \"1080p\"
`position` is \"behind\", which is not a position; it can be \"center\", \"top\", \"bottom\", \"left\", \"right\", \"top_left\", \"top_right\", \"bottom_left\", \"bottom_right\" or {x, y, width, height} in pixels
`position` (a word) and `transform_x` both say where it stands: give one of them
`count` is 1.5, which is not a whole number
`vertical` is \"maybe\", which is not true or false
`shape` is \"rond\"; it can be \"round\", \"very_square\"; did you mean \"round\"?
`style` is [], which is not an object
`styles[0].sise`: there is no such field; did you mean `size`?
`styles[0].size` is 0, which is not 1 or more
`levels` is {}, which is not a list
`track` is empty
`colour`: `sample` has no such argument; did you mean `font_color`?
`zzz`: `sample` has no such argument; there are `text`, `start`, `count`, `vertical`, `shape`, `style`, `styles`, `levels`, `track`, `font_color`, `position`, `transform_x`, `width`, `height`
`transform_x` is \"far\", which is not a number
`start_time` is 11, which is not within 0 to 10
`text` is missing: The words to show";
        assert_eq!(error.message, expected);
    }

    #[test]
    fn of_many_faults_the_first_are_listed_and_the_others_counted() {
        let arguments: Object = (0..20_000)
            .map(|number| (format!("unknown_{number}"), json!(1)))
            .chain([("text".to_owned(), json!("a"))])
            .collect();
        let error = mended(Value::Object(arguments)).expect_err("faults");
        assert_eq!(error.message.lines().count(), LISTED + 1);
        assert!(
            error.message.ends_with("\nand 19,980 more faults"),
            "{error}"
        );
        let levels = vec![json!("x"); 50_000];
        let error = mended(json!({ "text": "a", "levels": levels })).expect_err("faults");
        assert!(error.message.len() < 8_000, "{}", error.message.len());
    }

    #[test]
    fn long_names_and_values_are_shortened() {
        let long = "é".repeat(1 << 20);
        for arguments in [
            json!({ "text": "a", &long: 1 }),
            json!({ "text": "a", "shape": long }),
            json!({ "text": "a", "start": long }),
            json!({ "text": "a", "vertical": long }),
            json!({ "text": "a", "style": long }),
            json!({ "text": "a", "style": { &long: 1 } }),
            json!({ "text": "a", "position": long }),
            json!({ "text": "a", "resolution": long }),
            json!({ "text": "a", "levels": { "a": [long] } }),
            json!({ "text": "a", "words": long }),
        ] {
            let error = mended(arguments).expect_err("a fault");
            assert!(error.message.len() < 1_500, "{}", error.message);
            assert!(
                error.message.contains("1048576 characters") || error.message.contains("(10485"),
                "{error}"
            );
        }
    }

    #[test]
    fn two_names_for_one_argument_must_agree() {
        let error = mended(json!({ "words": "a", "text": "b" })).expect_err("a fault");
        assert_eq!(
            error.message,
            "`words` is another name for `text`: give one of them, not \"a\" and \"b\""
        );
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Subtitle {
        srt: String,
        time_offset: Option<f64>,
    }

    fn caption(arguments: Value) -> Result<Value> {
        let Value::Object(mut arguments) = arguments else {
            panic!("an object");
        };
        let comfort = [Comfort::Caption, Comfort::Alias("srt_path", "srt")];
        mend(
            "add_subtitle",
            &comfort,
            &schema::input::<Subtitle>(),
            &mut arguments,
        )?;
        Ok(Value::Object(arguments))
    }

    #[test]
    fn one_caption_becomes_an_srt_of_one_cue() {
        assert_eq!(
            caption(
                json!({ "subtitle_text": "Hi\n\nyou", "start_time": "1.5", "end_time": 3661.25 })
            )
            .expect("mended"),
            json!({ "srt": "1\n00:00:01,500 --> 01:01:01,250\nHi\nyou\n" })
        );
    }

    #[test]
    fn a_caption_tells_what_it_lacks() {
        for (arguments, fault) in [
            (
                json!({ "subtitle_text": "a" }),
                "`end_time` is missing: when the caption disappears, in seconds",
            ),
            (
                json!({ "subtitle_text": "a", "start_time": 2, "end_time": 1 }),
                "`end_time` is 1 s, which is not after `start_time` (2 s)",
            ),
            (
                json!({ "subtitle_text": "a", "start_time": "x", "end_time": 1 }),
                "`start_time` is \"x\", which is not a time in seconds",
            ),
            (
                json!({ "subtitle_text": " ", "end_time": 1 }),
                "`subtitle_text` is empty; it is the caption to show",
            ),
            (
                json!({ "subtitle_text": "a", "end_time": 1, "srt_path": "b" }),
                "`subtitle_text` is one caption and `srt` a whole file: give one of them",
            ),
        ] {
            let error = caption(arguments).expect_err("a fault");
            assert!(
                error.message.lines().any(|line| line == fault),
                "{}",
                error.message
            );
        }
    }
}
