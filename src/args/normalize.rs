//! Normalisation of arguments as people and weak models send them: other names, "720", "true".
//!
//! Arguments are normalised once, for all tools, by their schemas: first names, then notations such as
//! `resolution`, then values. One error reports all remaining problems, one per line.

use std::fmt::Arguments;

use serde_json::Value;

use super::input_rule::{FURTHER, InputRule};
use super::position::Position;
use crate::args::scalar::{is_blank, parse_json_text, shown};
use crate::args::{Object, draft_settings, placeholder, property, size};
use crate::error::{Error, Result};
use crate::styles::Styles;

mod caption;
mod layers;
mod letters;
mod members;
mod names;
mod no_effect;
mod pixels;
mod properties;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
mod times;
mod value;

/// Where the arguments come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArgumentSource {
    /// A client's call.
    Call,
    /// An item of a plan: it has no draft yet, and its times follow from other items.
    Item,
    /// A call from the journal: it keeps its meaning, so ranges and newer defaults are not applied.
    Record,
}

/// What normalisation changed that the caller should know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Normalized {
    /// What was adjusted or is unusual.
    pub notes: Vec<String>,
    /// The arguments that were sent by another name: `(sent, own)`.
    pub renamed: Vec<(&'static str, &'static str)>,
    /// The names in the shown schema of arguments that were not sent by the tool's own name: `(shown, own)`.
    pub shown: Vec<(&'static str, &'static str)>,
    /// The properties of the call that the tool does not have as arguments, as `set` takes them.
    pub properties: Object,
}

impl Normalized {
    /// Rewrites an error to call an argument by the name that was sent, or by its name in the shown schema.
    pub(crate) fn by_sent_names(&self, error: &mut Error) {
        for (sent, own) in self.renamed.iter().chain(&self.shown) {
            let (own, sent) = (format!("`{own}`"), format!("`{sent}`"));
            for text in [Some(&mut error.message), error.hint.as_mut()]
                .into_iter()
                .flatten()
            {
                if text.contains(&own) {
                    *text = text.replace(&own, &sent);
                }
            }
        }
    }
}

/// Brings the arguments into the form of the schema. The error lists all problems.
pub(crate) fn normalize(
    tool: &str,
    rules: &[InputRule],
    schema: &Object,
    arguments: &mut Object,
    of: ArgumentSource,
    styles: &Styles,
) -> Result<Normalized> {
    let mut normalizer = Normalizer {
        tool,
        rules,
        of,
        styles,
        normalized: Normalized::default(),
        problems: ProblemList::default(),
    };
    for (name, value) in arguments.iter() {
        // Templates and plans are filled and checked later.
        let is_later = matches!(name.as_str(), "plan" | "plans" | "template");
        if !is_later && of != ArgumentSource::Record {
            let other = |rule: &InputRule| rule.other_name().filter(|(other, _)| other == name);
            let own = rules.iter().find_map(other);
            let own = own.map_or(name.as_str(), |(_, argument)| argument);
            let takes_slots = rules
                .iter()
                .any(|rule| matches!(rule, InputRule::Slots(argument) if *argument == own));
            normalizer.placeholders(value, takes_slots, format_args!("{name}"));
        }
    }
    normalizer.absent(schema, arguments);
    let has = |one: InputRule| rules.contains(&one);
    if has(InputRule::Caption) {
        normalizer.caption(arguments);
    }
    normalizer.names(schema, arguments);
    if has(InputRule::Layers) {
        normalizer.layers(arguments);
    }
    let further = normalizer.properties(schema, arguments);
    if has(InputRule::Size) {
        for fault in size::normalize(arguments) {
            normalizer.problems.push(fault);
        }
    }
    if has(InputRule::FrameRate)
        && let Err(error) = draft_settings::normalize_rate(arguments)
    {
        arguments.shift_remove("fps");
        normalizer.problems.push(error.message);
    }
    for rule in rules {
        if let InputRule::Times(times) = *rule {
            normalizer.times(times, arguments);
        }
    }
    if has(InputRule::Position) {
        normalizer.pixels(arguments);
        normalizer.position(arguments);
    }
    if has(InputRule::Letters) {
        normalizer.part_styles(arguments);
    }
    let letters = if has(InputRule::Letters) {
        normalizer.letters(arguments)
    } else {
        None
    };
    let strength = if has(InputRule::Intensity) {
        normalizer.intensity(arguments)
    } else {
        None
    };
    let unlisted = unlisted(rules, arguments);
    normalizer.object(schema, arguments, "");
    arguments.extend(unlisted);
    if of != ArgumentSource::Record {
        for rule in rules {
            defaults(*rule, arguments);
        }
    }
    if let Some(letters) = letters {
        letters.put(arguments);
    }
    if let Some(strength) = strength {
        arguments.insert("intensity".to_owned(), property::json(strength));
    }
    if of != ArgumentSource::Record {
        normalizer.without_effect(schema, arguments);
    }
    if !further.is_empty() {
        arguments.insert(FURTHER.to_owned(), further.into());
    }
    let normalized = normalizer.normalized;
    normalizer.problems.into_result().map(|()| normalized)
}

/// Takes the arguments that the tool reads but its schema does not list.
fn unlisted(rules: &[InputRule], arguments: &mut Object) -> Object {
    let names = rules.iter().flat_map(|rule| match rule {
        InputRule::Unlisted(names) => *names,
        _ => &[],
    });
    let taken = names.filter_map(|name| {
        let (name, value) = arguments.shift_remove_entry(*name)?;
        Some((name, value))
    });
    taken.collect()
}

/// Writes defaults into the call, so that a server and a later replay get the same values.
fn defaults(rule: InputRule, arguments: &mut Object) {
    match rule {
        InputRule::Default(argument, beside, preset)
            if !arguments.contains_key(argument) && !arguments.contains_key(beside) =>
        {
            arguments.insert(argument.to_owned(), preset.value(argument));
        }
        InputRule::With(argument, needs, preset)
            if arguments.contains_key(argument) && !arguments.contains_key(needs) =>
        {
            arguments.insert(needs.to_owned(), preset.value(needs));
        }
        _ => {}
    }
}

/// Problems that are listed one by one; the others are counted.
const LISTED: usize = 20;

#[derive(Default)]
struct ProblemList {
    listed: Vec<String>,
    more: usize,
}

impl ProblemList {
    fn push(&mut self, fault: String) {
        self.add(|| fault);
    }

    /// Adds a problem; its text is built only if it is listed.
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
            text.push_str(&format!("\nand {} more problems", grouped(self.more)));
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

struct Normalizer<'a> {
    tool: &'a str,
    rules: &'a [InputRule],
    of: ArgumentSource,
    /// The saved looks that `style` names.
    styles: &'a Styles,
    normalized: Normalized,
    problems: ProblemList,
}

impl Normalizer<'_> {
    /// Reports template placeholders in a value.
    fn placeholders(&mut self, value: &Value, takes_slots: bool, place: Arguments<'_>) {
        match value {
            Value::String(text) => {
                let found = if takes_slots {
                    placeholder::foreign(text)
                } else {
                    placeholder::unfilled(text)
                };
                if let Some(found) = found {
                    let fault = placeholder::fault(found);
                    self.problems.push(format!("`{place}`: {fault}"));
                }
            }
            Value::Array(list) => {
                for (index, item) in list.iter().enumerate() {
                    self.placeholders(item, takes_slots, format_args!("{place}[{index}]"));
                }
            }
            Value::Object(members) => {
                for (name, item) in members {
                    self.placeholders(item, takes_slots, format_args!("{place}.{name}"));
                }
            }
            _ => {}
        }
    }

    /// Removes empty values: null, "" and similar values of optional arguments.
    fn absent(&mut self, schema: &Object, arguments: &mut Object) {
        let is_absent = |name: &str, value: &Value| match value {
            Value::Null => self.of != ArgumentSource::Item,
            // In recorded calls, such values are text that the API accepted.
            Value::String(text) if self.of != ArgumentSource::Record && is_blank(text) => {
                let own = self.own_name(name);
                own == "draft_id" || (own != "subtitle_text" && !is_required(schema, own))
            }
            _ => false,
        };
        if arguments.iter().any(|(name, value)| is_absent(name, value)) {
            arguments.retain(|name, value| !is_absent(name, value));
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
            self.problems.push(fault);
        }
        for name in ["transform_x", "transform_y"] {
            if arguments.contains_key(name) {
                self.problems.push(format!(
                    "`position` ({value}) and `{name}` both set the position: give one of them"
                ));
            }
        }
    }
}

fn of_schema<'s>(schema: &'s Object, name: &str) -> Option<&'s Value> {
    schema.get("properties")?.get(name)
}

fn is_required(schema: &Object, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|one| one == name))
}
