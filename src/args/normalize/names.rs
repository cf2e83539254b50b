//! Other names of arguments, and names that do not exist.

use serde_json::Value;

use super::{Normalizer, of_schema};
use crate::args::input_rule::InputRule;
use crate::args::scalar::{listed, shown};
use crate::args::suggest::nearest;
use crate::args::{Object, property, set_values};
use crate::error::shortened;

/// How many arguments are listed when no name is similar.
const NAMED: usize = 8;

impl Normalizer<'_> {
    /// Replaces other names by the tool's own.
    pub(super) fn names(&mut self, schema: &Object, arguments: &mut Object) {
        for rule in self.rules {
            if let InputRule::Shown(name, own) = *rule
                && !arguments.keys().any(|given| given == own)
            {
                self.normalized.shown.push((name, own));
            }
        }
        for rule in self.rules {
            let Some((alias, name)) = rule.other_name() else {
                continue;
            };
            // With few arguments, comparing is faster than hashing the name.
            if !arguments.keys().any(|given| given == alias) {
                continue;
            }
            if of_schema(schema, alias).is_some() {
                continue;
            }
            let Some(value) = arguments.shift_remove(alias) else {
                continue;
            };
            match arguments.get(name) {
                Some(given) if !is_same(name, given, &value) => self.problems.push(format!(
                    "`{alias}` is another name for `{name}`: give one of them, not {} and {}",
                    shown(&value),
                    shown(given)
                )),
                Some(_) => {}
                None => {
                    arguments.insert(name.to_owned(), value);
                    self.normalized.renamed.push((alias, name));
                }
            }
        }
    }

    /// The tool's own name of an argument.
    pub(super) fn own_name<'n>(&self, name: &'n str) -> &'n str
    where
        'static: 'n,
    {
        self.rules
            .iter()
            .filter_map(|rule| rule.other_name())
            .find(|(alias, _)| *alias == name)
            .map_or(name, |(_, own)| own)
    }

    pub(super) fn sent_as<'n>(&self, name: &'n str, path: &str) -> &'n str
    where
        'static: 'n,
    {
        if !path.is_empty() {
            return name;
        }
        let normalized = &self.normalized;
        let mut names = normalized.renamed.iter().chain(&normalized.shown);
        names
            .find(|(_, own)| *own == name)
            .map_or(name, |(alias, _)| alias)
    }
}

/// The message for an argument that does not exist.
pub(super) fn unknown(
    tool: &str,
    rules: &[InputRule],
    name: &str,
    properties: &Object,
    path: &str,
) -> String {
    let rules = if path.is_empty() { rules } else { &[] };
    let whose = if path.is_empty() {
        format!("`{tool}` has no such argument")
    } else {
        "there is no such field".into()
    };
    let advice = rules.iter().find_map(|rule| match *rule {
        InputRule::Advice(other, advice) if other.eq_ignore_ascii_case(name) => Some(advice),
        _ => None,
    });
    if let Some(advice) = advice {
        return format!("`{path}{name}`: {whose}; {advice}");
    }
    if let Some(reason) = not_here(rules, name) {
        return format!("`{path}{name}`: {whose}: {reason}");
    }
    // By the names in the shown schema.
    let shown = |own: &'_ str| {
        rules.iter().find_map(|rule| match *rule {
            InputRule::Shown(name, argument) if argument == own => Some(name),
            _ => None,
        })
    };
    let own = properties
        .iter()
        .filter(|(_, property)| property.get("deprecated").is_none())
        .map(|(own, _)| (own.as_str(), shown(own).unwrap_or(own)));
    let others = rules.iter().flat_map(|rule| {
        let other = rule
            .other_name()
            .map(|(alias, own)| (alias, shown(own).unwrap_or(own)));
        rule.names().iter().map(|name| (*name, *name)).chain(other)
    });
    let names: Vec<(&str, &str)> = own.clone().chain(others).collect();
    let near = nearest(name, names.iter().map(|(name, _)| *name))
        .and_then(|near| names.iter().find(|(name, _)| *name == near));
    let name = shortened(name);
    match near {
        Some((_, own)) => format!("`{path}{name}`: {whose}; did you mean `{own}`?"),
        None if properties.is_empty() => format!("`{path}{name}`: {whose}; it takes no arguments"),
        None => {
            let count = own.clone().count();
            let more = match count.saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = listed(own.map(|(_, shown)| shown).take(NAMED), '`');
            format!("`{path}{name}`: {whose}; the known ones are {first}{more}")
        }
    }
}

/// Why a property of clips is not one of this tool.
fn not_here(rules: &[InputRule], name: &str) -> Option<String> {
    let kind = rules.iter().find_map(|rule| match rule {
        InputRule::Properties(kind) => Some(*kind),
        _ => None,
    })?;
    let (property, _) = set_values::find(name)?;
    if let Some(reason) = property.not_in_calls() {
        return Some(reason.to_owned());
    }
    (property.refusal().is_none() && !property.kinds.contains(&kind)).then(|| {
        let kinds: Vec<&str> = property.kinds.iter().map(|kind| kind.word()).collect();
        format!("it is a property of {}", kinds.join(", "))
    })
}

/// Whether two values of an argument are equal, in any notation.
fn is_same(argument: &str, one: &Value, other: &Value) -> bool {
    one == other
        || property::of(argument).is_some_and(|row| {
            let values = row.value(one).zip(row.value(other));
            values.is_some_and(|(one, other)| (one - other).abs() < 1e-9)
        })
}
