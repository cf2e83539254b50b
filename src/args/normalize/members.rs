//! The members of an object: notations by their kind, and what is missing or does not exist.

use serde_json::Value;

use super::names::unknown;
use super::{ArgumentSource, Normalizer};
use crate::args::input_rule::InputRule;
use crate::args::scalar::{is_blank, parse_json_text};
use crate::args::{Object, property};

/// The message for a call without a draft.
const NO_DRAFT: &str = "`draft_id` is missing: give the id or exact name of a draft (`list_drafts` lists them, \
     `create_draft` makes one)";

impl Normalizer<'_> {
    /// Normalises and checks the members of an object; `path` is "" or ends with a dot.
    pub(super) fn object(&mut self, schema: &Object, members: &mut Object, path: &str) {
        let empty = Object::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        // An object whose members are not described may have any members.
        let closed = !properties.is_empty() || path.is_empty();
        if self.of != ArgumentSource::Item {
            members.retain(|_, value| !value.is_null());
        }
        let mut absent = Vec::new();
        let mut opacities = Vec::new();
        for (name, value) in members.iter_mut() {
            match properties.get(name) {
                Some(_) if value.is_null() => self.problems.push(format!(
                    "`{path}{name}` is null: remove it, or give a value (in YAML, text after ` #` is a comment: \
                     write colours in quotes, such as \"#00FF00\")"
                )),
                Some(Value::Object(property)) => {
                    let is_required = required.iter().any(|r| r == name.as_str());
                    let is_blank = matches!(&*value, Value::String(text) if is_blank(text));
                    let keeps = self.of == ArgumentSource::Record && property.get("type").is_some_and(|t| t == "string");
                    if is_blank && !is_required && !keeps {
                        absent.push(name.clone());
                    } else if is_blank && self.of != ArgumentSource::Record && value.as_str().is_some_and(|text| text.trim().is_empty()) {
                        let means = meaning(properties, name);
                        self.problems
                            .push(format!("`{path}{name}` is empty, and it is required{means}"));
                    } else if !(path.is_empty() && self.is_position(name)) {
                        let sent = self.sent_as(name, path);
                        if let Some(alpha) = self.notation(name, value, path, sent) {
                            opacities.push((name.clone(), alpha));
                        }
                        self.value(property, value, format_args!("{path}{sent}"));
                    }
                }
                _ if closed => {
                    let (tool, rules) = (self.tool, self.rules);
                    self.problems
                        .add(|| unknown(tool, rules, name, properties, path));
                }
                _ => {}
            }
        }
        for name in absent {
            members.shift_remove(&name);
        }
        for (name, alpha) in opacities {
            self.opacity(&name, alpha, properties, members, path);
        }
        for name in required.iter().filter_map(Value::as_str) {
            let may_lack = name == "draft_id" && path.is_empty() && self.of != ArgumentSource::Call;
            if !members.contains_key(name) && !may_lack {
                let means = meaning(properties, name);
                self.problems.push(match name {
                    "draft_id" if path.is_empty() => NO_DRAFT.to_owned(),
                    _ => format!("`{path}{name}` is missing{means}"),
                });
            }
        }
    }

    /// Reads the notation of a value by its kind; returns the opacity of a colour that has one.
    fn notation(&mut self, name: &str, value: &mut Value, path: &str, sent: &str) -> Option<f64> {
        if self.of == ArgumentSource::Record {
            return None;
        }
        let row = if path.is_empty() {
            property::of(name)?
        } else {
            property::of_member(name)?
        };
        if value
            .as_str()
            .is_some_and(|text| text.trim_start().starts_with('['))
        {
            parse_json_text(value, "array");
        }
        match row.read(value) {
            Ok(read) => {
                if let Some(note) = read.note {
                    self.normalized.notes.push(placed(path, sent, &note));
                }
                read.alpha
            }
            Err(fault) => {
                self.problems.push(placed(path, sent, &fault));
                // Already reported: later checks skip null.
                *value = Value::Null;
                None
            }
        }
    }

    /// Moves the opacity of a colour to its own argument.
    fn opacity(
        &mut self,
        colour: &str,
        alpha: f64,
        properties: &Object,
        members: &mut Object,
        path: &str,
    ) {
        let own = colour.replace("color", "alpha");
        let Some(argument) = [own.as_str(), "alpha"]
            .into_iter()
            .find(|name| properties.contains_key(*name))
        else {
            let note = format!("has the opacity {alpha}, which this colour does not support");
            self.normalized.notes.push(placed(path, colour, &note));
            return;
        };
        match members.get(argument).and_then(Value::as_f64) {
            Some(given) if given != alpha => {
                let note = format!(
                    "has the opacity {alpha}, and `{path}{argument}` is {given}: {given} is used"
                );
                self.normalized.notes.push(placed(path, colour, &note));
            }
            Some(_) => {}
            None => {
                members.insert(argument.to_owned(), property::json(alpha));
            }
        }
    }

    fn is_position(&self, name: &str) -> bool {
        name == "position" && self.rules.contains(&InputRule::Position)
    }
}

/// A line about an argument: "`volume` is 80; …".
fn placed(path: &str, name: &str, text: &str) -> String {
    match text.strip_prefix('[') {
        Some(rest) => {
            let (index, rest) = rest.split_once("] ").unwrap_or(("", rest));
            format!("`{path}{name}[{index}]` {rest}")
        }
        None => format!("`{path}{name}` {text}"),
    }
}

/// What a property is, after a colon.
fn meaning(properties: &Object, name: &str) -> String {
    let text = properties
        .get(name)
        .and_then(|p| p.get("description")?.as_str());
    text.map_or(String::new(), |text| {
        format!(": {}", in_a_sentence(first_sentence(text)))
    })
}

/// A text as the end of a sentence: `The text` becomes `the text`, `URL` stays.
fn in_a_sentence(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").unwrap_or(text.len());
    text[..end]
        .lines()
        .next()
        .unwrap_or("")
        .trim_end_matches('.')
}
