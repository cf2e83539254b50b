//! Properties of clips that a tool accepts without listing them in its schema.

use capcut_draft::{ClipKind, Property, SpeedCurve, Unit};
use serde_json::Value;

use super::{ArgumentSource, Normalizer, of_schema};
use crate::args::input_rule::{FURTHER, GROUPS, InputRule};
use crate::args::scalar::{parse_json_text, shown};
use crate::args::{Object, property, set_values};

impl Normalizer<'_> {
    /// Takes the properties that the schema does not have out of the arguments, in the form of `set`. Those that it has
    /// get the name that it has for them.
    pub(super) fn properties(&mut self, schema: &Object, arguments: &mut Object) -> Object {
        let mut further = Object::new();
        let kind = self.rules.iter().find_map(|rule| match rule {
            InputRule::Properties(kind) => Some(*kind),
            _ => None,
        });
        let Some(kind) = kind else { return further };
        if self.of == ArgumentSource::Record {
            if let Some(Value::Object(recorded)) = arguments.shift_remove(FURTHER) {
                further = recorded;
            }
            return further;
        }
        self.flatten(arguments);
        if kind == ClipKind::Text
            && let Err(error) = set_values::expand_style(arguments, self.styles)
        {
            let hint = error.hint.map_or(String::new(), |hint| format!("; {hint}"));
            self.problems
                .push(format!("`style`: {}{hint}", error.message));
        }
        for name in ["volume", "loudness"] {
            if arguments
                .get(name)
                .is_some_and(|value| set_values::is_curve(name, value))
                && let Some(value) = arguments.shift_remove(name)
            {
                arguments.insert("volume_curve".to_owned(), value);
            }
        }
        self.nested(kind, schema, arguments);
        self.scale_of_sides(schema, arguments);
        self.fit_into_position(arguments);
        let names: Vec<String> = arguments
            .keys()
            .filter(|name| of_schema(schema, name).is_none())
            .cloned()
            .collect();
        for name in names {
            let is_notation = |rule: &InputRule| rule.names().contains(&name.as_str());
            if self.rules.iter().any(is_notation) {
                continue;
            }
            let found = set_values::find(&name);
            let Some((known, sent)) = found.filter(|(known, _)| known.is_settable_on(kind)) else {
                continue;
            };
            let Some(value) = arguments.shift_remove(&name) else {
                continue;
            };
            let own = known.names().find(|own| of_schema(schema, own).is_some());
            if let Some(own) = own {
                match arguments.get(own) {
                    Some(given) if *given != value => self.problems.push(format!(
                        "`{name}` is another name for `{own}`: give one of them, not {} and {}",
                        shown(&value),
                        shown(given)
                    )),
                    Some(_) => {}
                    None => {
                        arguments.insert(own.to_owned(), value);
                        self.normalized.renamed.push((sent, own));
                    }
                }
                continue;
            }
            self.put_property(&mut further, known, &name, value);
        }
        self.speed_of_curve(&further, arguments);
        self.named_parameters(&mut further, arguments);
        further
    }

    /// Members of an object become arguments: `border: {color, width}` is `border_color` and `border_width`, and
    /// `transition: {name, duration}` is `transition` and `transition_duration`. An object with other members stays as it is.
    fn nested(&self, kind: ClipKind, schema: &Object, arguments: &mut Object) {
        let takes = |name: &str| {
            of_schema(schema, self.own_name(name)).is_some()
                || set_values::find(name).is_some_and(|(property, _)| property.is_settable_on(kind))
        };
        let is_flat = |name: &str| {
            let is_object = set_values::find(name).is_some_and(|(property, _)| {
                matches!(
                    property.measure.unit,
                    Unit::Crop | Unit::Box | Unit::SpeedCurve | Unit::Parameters
                )
            });
            !is_object && !matches!(name, "position" | "params")
        };
        let objects = arguments.iter().filter(|(name, value)| {
            value.as_object().is_some_and(|members| !members.is_empty()) && is_flat(name)
        });
        let names: Vec<String> = objects.map(|(name, _)| name.clone()).collect();
        for name in names {
            let members = arguments.get(&name).and_then(Value::as_object);
            let flat: Option<Vec<(String, Value)>> = members.map_or(Some(Vec::new()), |members| {
                let flat = members.iter().map(|(member, value)| {
                    let own = match member.as_str() {
                        "name" | "type" | "id" | "preset" => {
                            vec![name.clone(), format!("{name}_type")]
                        }
                        _ => vec![format!("{name}_{member}")],
                    };
                    let own = own.into_iter().find(|own| takes(own))?;
                    Some((own, value.clone()))
                });
                flat.collect()
            });
            let Some(flat) = flat else { continue };
            if flat
                .iter()
                .any(|(own, _)| *own != name && arguments.contains_key(own))
            {
                continue;
            }
            arguments.shift_remove(&name);
            arguments.extend(flat);
        }
    }

    /// `scale` of tools that have a scale for each side. A position at an edge depends on it.
    fn scale_of_sides(&mut self, schema: &Object, arguments: &mut Object) {
        const SIDES: [&str; 2] = ["scale_x", "scale_y"];
        let is_open =
            |side: &&str| of_schema(schema, side).is_some() && !arguments.contains_key(*side);
        if !SIDES.iter().all(is_open) {
            return;
        }
        let found = arguments.keys().find_map(|name| {
            let (property, sent) = set_values::find(name)?;
            (property.name == "scale").then(|| (name.clone(), sent))
        });
        let Some((name, sent)) = found else { return };
        if let Some(value) = arguments.shift_remove(&name) {
            for side in SIDES {
                arguments.insert(side.to_owned(), value.clone());
                self.normalized.renamed.push((sent, side));
            }
        }
    }

    /// The box of `position` is that of `fit`.
    fn fit_into_position(&mut self, arguments: &mut Object) {
        let is_fitted = arguments
            .keys()
            .any(|name| set_values::find(name).is_some_and(|(property, _)| property.name == "fit"));
        if is_fitted && let Some(position) = arguments.get_mut("position") {
            parse_json_text(position, "object");
            if position.get("width").is_some()
                && let Some(position) = arguments.shift_remove("position")
            {
                arguments.insert("box".to_owned(), position);
            }
        }
    }

    /// Parameters of an effect by name are set after the effect is known.
    fn named_parameters(&mut self, further: &mut Object, arguments: &mut Object) {
        for name in ["params", "effect_params"] {
            let Some(value) = arguments.get_mut(name) else {
                continue;
            };
            parse_json_text(value, "object");
            if value.is_object()
                && let Some(value) = arguments.shift_remove(name)
                && let Some((known, _)) = set_values::find(name)
            {
                self.put_property(further, known, name, value);
            }
        }
    }

    fn put_property(&mut self, further: &mut Object, known: &Property, name: &str, value: Value) {
        match set_values::put(further, known, name, value) {
            Ok(note) => self.normalized.notes.extend(note),
            Err(error) => {
                let hint = error.hint.map_or(String::new(), |hint| format!("; {hint}"));
                self.problems.push(format!("{}{hint}", error.message));
            }
        }
    }

    /// The speed of a clip with a curve is the curve's average, from which its length follows.
    fn speed_of_curve(&mut self, further: &Object, arguments: &mut Object) {
        let Some(curve) = further
            .get("speed_curve")
            .and_then(|curve| SpeedCurve::read(curve).ok())
        else {
            return;
        };
        if arguments.contains_key("speed") {
            self.problems
                .push("`speed_curve` sets the speed of each part: remove `speed`".to_owned());
        }
        arguments.insert("speed".to_owned(), property::json(curve.average()));
    }

    /// Moves the members of `properties` to the other arguments.
    fn flatten(&mut self, arguments: &mut Object) {
        for group in GROUPS {
            self.flatten_group(group, arguments);
        }
        set_values::expand(arguments);
    }

    fn flatten_group(&mut self, group: &str, arguments: &mut Object) {
        let Some(mut value) = arguments.shift_remove(group) else {
            return;
        };
        parse_json_text(&mut value, "object");
        let Value::Object(members) = value else {
            self.problems.push(format!(
                "`{group}` is {}; it must be an object such as {{\"rotation\": 45}}",
                shown(&value)
            ));
            return;
        };
        for (name, value) in members {
            match arguments.get(&name) {
                Some(given) if *given != value => self.problems.push(format!(
                    "`{name}` is {} and, in `{group}`, {}: give it once",
                    shown(given),
                    shown(&value)
                )),
                Some(_) => {}
                None if value.is_null() => {}
                None => drop(arguments.insert(name, value)),
            }
        }
    }
}
