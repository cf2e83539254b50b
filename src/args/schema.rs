//! Schemas that every client can read: flat, without `$ref`, one type per property, no nulls.
//!
//! Many clients support only a part of JSON Schema (forms of workflow tools, dialects of model vendors), so only what
//! all of them understand is sent: `type`, `properties`, `required`, `items`, `enum`, bounds, defaults and descriptions.

use std::sync::Arc;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Number, Value, json};

use crate::args::Object;
use crate::args::input_rule::{InputRule, ToolTimes};
use crate::args::property::{self, json as json_number};

/// The schema of a tool's arguments.
pub(crate) fn input<T: JsonSchema>() -> Object {
    generate(T::json_schema, Side::Input)
}

/// The schema of a tool's reply.
pub(crate) fn output<T: JsonSchema>() -> Object {
    generate(T::json_schema, Side::Output)
}

/// Completes the arguments that are properties of clips: description and default are those of the list of properties.
pub(crate) fn describe(input: &mut Object, tool: &str) {
    let required = input.get("required").cloned().unwrap_or_default();
    let required = |name: &str| {
        let names = required.as_array();
        names.is_some_and(|names| names.iter().any(|one| one == name))
    };
    let Some(Value::Object(properties)) = input.get_mut("properties") else {
        return;
    };
    for (name, schema) in properties {
        let (Some(listed), Value::Object(schema)) = (property::listed(name), schema) else {
            continue;
        };
        if schema.contains_key("description") {
            continue;
        }
        // The order of the keys is that of `KEPT`.
        let mut described = object([
            ("type", schema.shift_remove("type").unwrap_or_default()),
            ("description", listed.description(tool).into()),
        ]);
        described.append(schema);
        *schema = described;
        if !required(name)
            && let Some(default) = property::default_in(name, tool)
        {
            schema.entry("default").or_insert(default);
        }
    }
}

/// The schema of arguments as clients see it: with the names that callers expect, without deprecated arguments (which
/// are still accepted), and without the obvious. Unknown arguments are refused with the nearest name, so only a tool
/// without arguments declares `additionalProperties`.
pub(crate) fn shown_input(schema: &Arc<Object>, rules: &[InputRule]) -> Arc<Object> {
    let mut shown = (**schema).clone();
    if let Some(Value::Object(properties)) = shown.get_mut("properties") {
        properties.retain(|_, property| property.get("deprecated").is_none());
        if rules.iter().any(|one| matches!(one, InputRule::Shown(..))) {
            *properties = renamed(std::mem::take(properties), rules);
        }
        let empty = properties.is_empty();
        properties.values_mut().for_each(without_the_obvious);
        if !empty {
            shown.shift_remove("additionalProperties");
        }
    }
    Arc::new(shown)
}

/// The properties by the names that callers expect; `end` is shown as `duration` where a tool has a span.
fn renamed(properties: Object, rules: &[InputRule]) -> Object {
    let shown = |own: &str| {
        rules.iter().find_map(|rule| match *rule {
            InputRule::Shown(name, argument) if argument == own => Some(name),
            _ => None,
        })
    };
    let usual = rules.iter().find_map(|one| match one {
        InputRule::Times(ToolTimes::Span { seconds }) => Some(*seconds),
        _ => None,
    });
    let mut out = Object::new();
    for (own, property) in properties {
        if let Some(seconds) = usual.filter(|_| own == "end") {
            let length = json!({
                "type": "number", "description": "Length, seconds.", "exclusiveMinimum": 0, "default": json_number(seconds),
            });
            out.insert("duration".to_owned(), length);
            continue;
        }
        let name = shown(&own).map_or(own, str::to_owned);
        out.insert(name, property);
    }
    out
}

/// The schema of arguments as models read it, in every conversation: without ranges that the description has, without
/// the limits of seconds, without what a name says, and with the same names once. Other values are refused with an explanation.
/// Rare arguments are accepted without being listed; `search_catalog` explains them.
pub(crate) fn listed_input(shown: &Object, rules: &[InputRule]) -> Object {
    let mut listed = shown.clone();
    let Some(Value::Object(properties)) = listed.get_mut("properties") else {
        return listed;
    };
    properties.retain(|name, _| {
        !is_rare(rules, name) && property::listed(name).is_none_or(|listed| listed.is_listed)
    });
    let enums: Vec<Value> = properties
        .values()
        .filter_map(|property| property.get("enum").cloned())
        .collect();
    for (name, property) in properties.iter_mut() {
        if name == "draft_id"
            && let Some(property) = property.as_object_mut()
        {
            property.shift_remove("description");
        }
        if name == "track_name"
            && property["description"] == "Track; created if new."
            && let Some(property) = property.as_object_mut()
        {
            property.shift_remove("description");
        }
        if name == "offset"
            && let Some(property) = property.as_object_mut()
        {
            property.shift_remove("minimum");
            property.shift_remove("default");
        }
        if let Some(Value::Object(items)) = property.get_mut("items") {
            items.shift_remove("description");
            if items.get("enum").is_some_and(|names| enums.contains(names)) {
                items.shift_remove("enum");
            }
            if let Some(Value::Object(members)) = items.get_mut("properties") {
                members.retain(|member, _| !is_rare(rules, &format!("{name}.{member}")));
                members.values_mut().for_each(without_words);
            }
        }
        let description = property["description"].as_str().unwrap_or_default();
        if (description.contains(" to 1") || description.contains("econds"))
            && let Some(property) = property.as_object_mut()
        {
            for bound in ["minimum", "exclusiveMinimum", "maximum"] {
                property.shift_remove(bound);
            }
        }
    }
    listed
}

fn is_rare(rules: &[InputRule], name: &str) -> bool {
    rules
        .iter()
        .any(|rule| matches!(rule, InputRule::Rare(rare) if *rare == name))
}

/// Removes descriptions and defaults of members of a list's items, whose names say enough.
fn without_words(member: &mut Value) {
    let Some(member) = member.as_object_mut() else {
        return;
    };
    member.shift_remove("description");
    member.shift_remove("default");
    if let Some(Value::Object(inner)) = member.get_mut("properties") {
        inner.values_mut().for_each(without_words);
    }
}

/// The schema of replies in the list of tools: a long object within a reply, such as the report of a run, is an object of
/// any form there. No model reads these schemas, and clients read the list at every start.
pub(crate) fn listed_output(output: &Object) -> Object {
    let mut listed = output.clone();
    if let Some(Value::Object(properties)) = listed.get_mut("properties") {
        for property in properties.values_mut() {
            if property["type"] == "object" && property.to_string().len() > LONG_OUTPUT {
                *property = json!({ "type": "object", "properties": {} });
            }
        }
    }
    listed
}

/// A longer schema of an object within a reply is not listed, in bytes.
const LONG_OUTPUT: usize = 1000;

/// Removes defaults that need no statement: a switch is off, and an object may have other members.
fn without_the_obvious(property: &mut Value) {
    let Some(property) = property.as_object_mut() else {
        return;
    };
    if property.get("additionalProperties") == Some(&Value::Bool(true)) {
        property.shift_remove("additionalProperties");
    }
    if property.get("default") == Some(&Value::Bool(false)) {
        property.shift_remove("default");
    }
    if let Some(items) = property.get_mut("items") {
        without_the_obvious(items);
    }
    if let Some(Value::Object(inner)) = property.get_mut("properties") {
        inner.values_mut().for_each(without_the_obvious);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

// Not generic, so that it is compiled only once.
fn generate(of: fn(&mut SchemaGenerator) -> Schema, side: Side) -> Object {
    let settings = match side {
        Side::Input => SchemaSettings::draft2020_12(),
        Side::Output => SchemaSettings::draft2020_12().for_serialize(),
    };
    let settings = settings.with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let schema = of(&mut settings.into_generator()).to_value();
    let mut flat = flatten(schema, side).schema;
    if side == Side::Input {
        flat.insert("additionalProperties".into(), false.into());
    }
    flat
}

struct Flat {
    schema: Object,
    nullable: bool,
}

/// The keys that are kept, in the order of output.
const KEPT: [&str; 14] = [
    "type",
    "description",
    "enum",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "pattern",
    "default",
    "deprecated",
    // Which other keys an object may have.
    "additionalProperties",
];

fn flatten(schema: Value, side: Side) -> Flat {
    let Value::Object(mut schema) = schema else {
        // `true` allows any JSON; the replies and arguments that use it hold objects.
        return Flat {
            schema: object([("type", "object".into()), ("properties", json!({}))]),
            nullable: false,
        };
    };
    let mut nullable = false;
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(branches)) = schema.shift_remove(key) {
            nullable |= merge(&mut schema, branches, side);
        }
    }
    let kind = single_type(&schema, &mut nullable);
    schema.insert("type".into(), kind.clone().into());

    let mut flat = Object::new();
    for key in KEPT {
        match schema.shift_remove(key) {
            None | Some(Value::Null) => {}
            // The values of a map.
            Some(values @ Value::Object(_))
                if key == "additionalProperties" && side == Side::Output =>
            {
                let values = flatten(values, side);
                flat.insert(key.into(), Value::Object(values.schema));
            }
            Some(others) if key == "additionalProperties" && others != Value::Bool(true) => {}
            // A reply needs names and types only; bounds and descriptions are for arguments.
            _ if side != Side::Input && key != "type" && key != "enum" => {}
            // The members have their own defaults.
            Some(Value::Object(_)) if key == "default" => {}
            Some(Value::Array(mut values)) if key == "enum" => {
                nullable |= values.iter().any(Value::is_null);
                values.retain(|value| !value.is_null());
                flat.insert(key.into(), Value::Array(values));
            }
            // The limits of Rust's integer types are of no use to a caller.
            Some(Value::Number(bound))
                if key == "maximum"
                    && schema.contains_key("format")
                    && matches!(bound.as_u64(), Some(0xff | 0xffff | 0xffff_ffff)) => {}
            Some(value) => {
                flat.insert(key.into(), plain(value));
            }
        }
    }
    if let Some(Value::String(text)) = flat.get_mut("description") {
        // Doc comments are wrapped in the source.
        *text = unwrap_lines(text);
    }
    match kind.as_str() {
        "array" => {
            let items = schema.shift_remove("items").unwrap_or(Value::Bool(true));
            let items = flatten(items, side);
            flat.insert("items".into(), Value::Object(items.schema));
        }
        "object" => flatten_object(&mut schema, &mut flat, side),
        _ => {}
    }
    Flat {
        schema: flat,
        nullable,
    }
}

fn flatten_object(schema: &mut Object, flat: &mut Object, side: Side) {
    // Some clients refuse the whole list for one object without `properties`; an empty one allows any.
    let properties = match schema.shift_remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    let mut required: Vec<Value> = match schema.shift_remove("required") {
        Some(Value::Array(names)) => names,
        _ => Vec::new(),
    };
    let mut out = Map::new();
    for (name, property) in properties {
        let property = flatten(property, side);
        if property.nullable {
            required.retain(|r| r.as_str() != Some(name.as_str()));
        }
        out.insert(name, Value::Object(property.schema));
    }
    flat.insert("properties".into(), Value::Object(out));
    if !required.is_empty() {
        flat.insert("required".into(), Value::Array(required));
    }
}

/// Merges the branches of a choice into one schema: null is dropped, constants become an `enum`, and of several other
/// branches the first one is used. An object of a reply has the fields of all branches, and requires those that all have.
/// Returns whether null was among them.
fn merge(schema: &mut Object, branches: Vec<Value>, side: Side) -> bool {
    let before = branches.len();
    let branches: Vec<Object> = branches
        .into_iter()
        .filter(|b| b.get("type").and_then(Value::as_str) != Some("null"))
        .filter_map(|b| match b {
            Value::Object(b) => Some(b),
            _ => None,
        })
        .collect();
    let nullable = branches.len() < before;
    let constants: Vec<Value> = branches
        .iter()
        .flat_map(|b| match (b.get("const"), b.get("enum")) {
            (Some(constant), _) => vec![constant.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            _ => Vec::new(),
        })
        .collect();
    if constants.len() >= branches.len() && !constants.is_empty() {
        schema.insert("type".into(), "string".into());
        schema.insert("enum".into(), Value::Array(constants));
        return nullable;
    }
    let mut branches = branches.into_iter();
    for (key, value) in branches.next().into_iter().flatten() {
        schema.entry(key).or_insert(value);
    }
    if side == Side::Output {
        branches.for_each(|branch| join(schema, branch));
    }
    nullable
}

/// Adds the fields of another branch to an object.
fn join(schema: &mut Object, mut branch: Object) {
    if let (Some(Value::Object(properties)), Some(Value::Object(more))) = (
        schema.get_mut("properties"),
        branch.shift_remove("properties"),
    ) {
        for (name, property) in more {
            properties.entry(name).or_insert(property);
        }
    }
    let required = branch.shift_remove("required").unwrap_or_default();
    if let Some(Value::Array(names)) = schema.get_mut("required") {
        names.retain(|name| required.as_array().is_some_and(|all| all.contains(name)));
    }
}

fn single_type(schema: &Object, nullable: &mut bool) -> String {
    match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            *nullable |= kinds.iter().any(|k| k == "null");
            kinds
                .iter()
                .filter_map(Value::as_str)
                .find(|k| *k != "null")
                .unwrap_or("string")
                .to_owned()
        }
        _ if schema.contains_key("enum") => "string".into(),
        _ => "object".into(),
    }
}

/// `16` for `16.0`: the same number, but shorter.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(n) => whole(&n).map_or(Value::Number(n), Value::from),
        other => other,
    }
}

/// The number as an integer if it is whole, in any notation.
pub(crate) fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        number
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() < 9.0e15)
            .map(|f| f as i64)
    })
}

fn unwrap_lines(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| {
            paragraph
                .lines()
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Object {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Easing {
        /// As it is.
        Linear,
        /// Slow at first.
        EaseIn,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Plain {
        Low,
        High,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Point {
        /// Pixels.
        x: Option<f32>,
        y: f64,
    }

    /// Does a thing that is
    /// described on two lines.
    ///
    /// And more.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Everything {
        /// A number.
        #[schemars(range(min = 0.0, max = 8.5))]
        #[serde(default = "two")]
        number: f64,
        count: u8,
        #[serde(default)]
        maybe: Option<i64>,
        easing: Option<Easing>,
        plain: Option<Plain>,
        point: Option<Point>,
        points: Vec<Point>,
        names: Option<Vec<String>>,
        any: Value,
        map: BTreeMap<String, u32>,
    }

    fn two() -> f64 {
        2.0
    }

    #[test]
    fn shown_schemas_leave_out_the_obvious() {
        #[derive(Serialize, Deserialize, JsonSchema)]
        struct Part {
            #[serde(default)]
            bold: bool,
        }
        #[derive(Serialize, Deserialize, JsonSchema)]
        struct Shown {
            #[serde(default)]
            count: u8,
            #[serde(default)]
            on: bool,
            parts: Vec<Part>,
        }
        #[derive(Serialize, Deserialize, JsonSchema)]
        struct Nothing {}
        let shown = shown_input(&Arc::new(input::<Shown>()), &[]);
        assert_eq!(
            Value::Object((*shown).clone()),
            json!({
                "type": "object",
                "properties": {
                    "count": { "type": "integer", "minimum": 0, "default": 0 },
                    "on": { "type": "boolean" },
                    "parts": {
                        "type": "array",
                        "items": { "type": "object", "properties": { "bold": { "type": "boolean" } } },
                    },
                },
                "required": ["parts"],
            })
        );
        let nothing = shown_input(&Arc::new(input::<Nothing>()), &[]);
        assert_eq!(nothing["additionalProperties"], false);
    }

    #[test]
    fn an_input_schema_is_flat() {
        let schema = Value::Object(input::<Everything>());
        let point = json!({
            "type": "object",
            "properties": { "x": { "type": "number", "description": "Pixels." }, "y": { "type": "number" } },
            "required": ["y"],
        });
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "description": "Does a thing that is described on two lines.\n\nAnd more.",
                "properties": {
                    "number": { "type": "number", "description": "A number.", "minimum": 0, "maximum": 8.5, "default": 2 },
                    "count": { "type": "integer", "minimum": 0 },
                    "maybe": { "type": "integer" },
                    "easing": { "type": "string", "enum": ["linear", "ease_in"] },
                    "plain": { "type": "string", "enum": ["low", "high"] },
                    "point": point,
                    "points": { "type": "array", "items": point },
                    "names": { "type": "array", "items": { "type": "string" } },
                    "any": { "type": "object", "properties": {} },
                    "map": { "type": "object", "properties": {} },
                },
                "required": ["count", "points", "any", "map"],
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn an_output_schema_does_not_require_what_may_be_null() {
        let schema = Value::Object(output::<Everything>());
        assert_eq!(
            schema["required"],
            json!(["number", "count", "points", "any", "map"])
        );
        assert!(schema.get("additionalProperties").is_none());
    }

    #[test]
    fn objects_within_a_reply_are_declared_in_full() {
        let schema = Value::Object(output::<Everything>());
        let point = json!({
            "type": "object",
            "properties": { "x": { "type": "number" }, "y": { "type": "number" } },
            "required": ["y"],
        });
        assert_eq!(schema["properties"]["point"], point);
        assert_eq!(
            schema["properties"]["points"],
            json!({ "type": "array", "items": point })
        );
        assert_eq!(
            schema["properties"]["map"],
            json!({ "type": "object", "additionalProperties": { "type": "integer" }, "properties": {} })
        );
        assert_eq!(schema["properties"]["number"], json!({ "type": "number" }));
        assert_eq!(
            schema["properties"]["easing"],
            json!({ "type": "string", "enum": ["linear", "ease_in"] })
        );
    }

    #[test]
    fn an_object_of_several_forms_has_the_fields_of_all_of_them() {
        #[derive(Serialize, JsonSchema)]
        #[serde(untagged)]
        #[expect(dead_code, reason = "only its schema is used")]
        enum Shape {
            Circle { name: String, radius: f64 },
            Square { name: String, side: f64 },
        }
        #[derive(Serialize, JsonSchema)]
        struct Shapes {
            shapes: Vec<Shape>,
        }
        let schema = Value::Object(output::<Shapes>());
        assert_eq!(
            schema["properties"]["shapes"]["items"],
            json!({
                "type": "object",
                "properties": {
                    "name": { "type": "string" },
                    "radius": { "type": "number" },
                    "side": { "type": "number" },
                },
                "required": ["name"],
            })
        );
    }

    #[test]
    fn deprecated_names_are_accepted_but_not_shown() {
        #[derive(Serialize, Deserialize, JsonSchema)]
        struct Aged {
            new: Option<String>,
            #[schemars(extend("deprecated" = true))]
            old: Option<String>,
        }
        let all = Arc::new(input::<Aged>());
        assert_eq!(all["properties"]["old"]["type"], "string");
        let shown = shown_input(&all, &[]);
        assert_eq!(shown["properties"], json!({ "new": { "type": "string" } }));
    }

    #[test]
    fn a_schema_without_fields_still_has_properties() {
        #[derive(Serialize, Deserialize, JsonSchema)]
        struct Nothing {}
        assert_eq!(
            Value::Object(input::<Nothing>()),
            json!({ "type": "object", "properties": {}, "additionalProperties": false })
        );
    }
}
