//! (tests only) Other names and notations, checked on the real tools: a row for each.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{InputRule, no_effect, normalize, of_schema};
use crate::styles::Styles;
use crate::tool::Spec;
use crate::tools::{Object, ROUTED};

fn spec(tool: &str) -> &'static Spec {
    ROUTED
        .iter()
        .find(|spec| spec.name == tool)
        .unwrap_or_else(|| panic!("there is no tool {tool}"))
}

fn normalized(spec: &Spec, arguments: &Value) -> crate::error::Result<Object> {
    let mut arguments = arguments.as_object().expect("an object").clone();
    if of_schema(spec.input(), "draft_id").is_some() {
        arguments
            .entry("draft_id")
            .or_insert_with(|| json!("dfd_cat_1_00000000"));
    }
    normalize(
        spec.name,
        spec.input_rules,
        spec.input(),
        &mut arguments,
        super::ArgumentSource::Call,
        &Styles::default(),
    )?;
    Ok(arguments)
}

/// Checks that `arguments`, with what the tool requires, become the same as `becomes`.
fn check(tool: &str, arguments: &Value, becomes: &Value) {
    let spec = spec(tool);
    let strict = normalized(spec, becomes).unwrap_or_else(|e| panic!("{tool} {becomes}: {e}"));
    let loose = normalized(spec, arguments).unwrap_or_else(|e| panic!("{tool} {arguments}: {e}"));
    assert_eq!(
        Value::Object(loose),
        Value::Object(strict),
        "{tool} {arguments}"
    );
}

/// A value that an argument of this schema takes.
fn some_value(schema: &Value) -> Value {
    if let Some(first) = schema["enum"]
        .as_array()
        .and_then(|allowed| allowed.first())
    {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(1),
        Some("array") => json!([some_value(&schema["items"])]),
        _ => json!("#102030"),
    }
}

#[test]
fn arguments_without_effect_get_a_note() {
    let mut checked = std::collections::BTreeSet::new();
    for spec in &ROUTED {
        for (given, needed) in no_effect::NEEDED {
            let first = needed
                .iter()
                .find(|name| of_schema(spec.input(), name).is_some());
            let Some(first) = first else { continue };
            for name in given {
                let Some(schema) = of_schema(spec.input(), name) else {
                    continue;
                };
                let mut alone = Object::from_iter([((*name).to_owned(), some_value(schema))]);
                for required in spec.input()["required"].as_array().into_iter().flatten() {
                    let required = required.as_str().expect("a name");
                    let text = if required == "srt" { CUE } else { "/a" };
                    alone.entry(required).or_insert_with(|| json!(text));
                }
                let mut beside = alone.clone();
                let needs = of_schema(spec.input(), first).expect("a property");
                beside.insert((*first).to_owned(), some_value(needs));
                let expected = format!("`{name}` has no effect without `{first}`");
                let notes = |mut arguments| {
                    let notes = spec.normalize_item(&mut arguments, &Styles::default());
                    notes.unwrap_or_else(|e| panic!("{} {name}: {e}", spec.name))
                };
                assert!(notes(alone).contains(&expected), "{} {name}", spec.name);
                assert!(!notes(beside).contains(&expected), "{} {name}", spec.name);
                checked.insert(*name);
            }
        }
    }
    let all: std::collections::BTreeSet<_> = no_effect::NEEDED
        .iter()
        .flat_map(|(given, _)| given.iter().copied())
        .collect();
    assert_eq!(checked, all, "each argument belongs to a tool");
}

const CUE: &str = "1\n00:00:01,000 --> 00:00:02,500\nHi\n";

#[test]
fn names_used_in_guides_become_the_tools_own() {
    for (tool, arguments, becomes) in [
        (
            "create_draft",
            json!({ "title": "a" }),
            json!({ "name": "a" }),
        ),
        (
            "create_draft",
            json!({ "project_name": "a" }),
            json!({ "name": "a" }),
        ),
        (
            "create_draft",
            json!({ "description": "a" }),
            json!({ "note": "a" }),
        ),
        (
            "create_draft",
            json!({ "resolution": "1920x1080" }),
            json!({ "width": 1920, "height": 1080 }),
        ),
        (
            "create_draft",
            json!({ "aspect_ratio": "9:16" }),
            json!({ "width": 1080, "height": 1920 }),
        ),
        (
            "add_video",
            json!({ "video_path": "a.mp4" }),
            json!({ "video_url": "a.mp4" }),
        ),
        (
            "add_video",
            json!({ "video_url": "a", "start_time": "2" }),
            json!({ "video_url": "a", "target_start": 2 }),
        ),
        (
            "add_video",
            json!({ "video_url": "a", "output_path": "/d" }),
            json!({ "video_url": "a", "draft_folder": "/d" }),
        ),
        (
            "add_video",
            json!({ "video_url": "a", "position": "top_left" }),
            json!({ "video_url": "a", "position": "top_left" }),
        ),
        (
            "add_audio",
            json!({ "audio_path": "a.mp3" }),
            json!({ "audio_url": "a.mp3" }),
        ),
        (
            "add_audio",
            json!({ "audio_url": "a", "start_time": 2 }),
            json!({ "audio_url": "a", "target_start": 2 }),
        ),
        (
            "add_image",
            json!({ "image_path": "a.png" }),
            json!({ "image_url": "a.png" }),
        ),
        (
            "add_image",
            json!({ "image_url": "a", "start_time": 2, "end_time": 3 }),
            json!({ "image_url": "a", "start": 2, "end": 3 }),
        ),
        (
            "add_image",
            json!({ "image_url": "a", "position": "{\"x\": 1, \"y\": 2}" }),
            json!({ "image_url": "a", "position": { "x": 1, "y": 2 } }),
        ),
        (
            "add_text",
            json!({ "text": "a", "start_time": 1, "end_time": 2 }),
            json!({ "text": "a", "start": 1, "end": 2 }),
        ),
        (
            "add_text",
            json!({ "text": "a", "start": 1, "end": 2, "font_type": "f" }),
            json!({ "text": "a", "start": 1, "end": 2, "font": "f" }),
        ),
        (
            "add_text",
            json!({ "text": "a", "start": 1, "end": 2, "position": "bottom" }),
            json!({ "text": "a", "start": 1, "end": 2, "position": "bottom" }),
        ),
        (
            "add_subtitle",
            json!({ "srt_path": "a.srt" }),
            json!({ "srt": "a.srt" }),
        ),
        (
            "add_subtitle",
            json!({ "subtitle_text": "Hi", "start_time": 1, "end_time": "2.5" }),
            json!({ "srt": CUE }),
        ),
        (
            "add_subtitle",
            json!({ "srt": "a.srt", "font_type": "f" }),
            json!({ "srt": "a.srt", "font": "f" }),
        ),
        (
            "save_draft",
            json!({ "draft_id": "d", "output_path": "/d" }),
            json!({ "draft_id": "d", "draft_folder": "/d" }),
        ),
        (
            "save_draft",
            json!({ "draft_id": "d", "title": "a" }),
            json!({ "draft_id": "d", "name": "a" }),
        ),
        (
            "save_draft",
            json!({ "draft_id": "d", "project_name": "a" }),
            json!({ "draft_id": "d", "name": "a" }),
        ),
    ] {
        check(tool, &arguments, &becomes);
    }
}

/// A value that the schema allows.
fn sample(name: &str, schema: &Value) -> Value {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(Value::Array(choices)) = schema.get("enum") {
        return choices[0].clone();
    }
    match schema["type"].as_str().expect("one type") {
        _ if name == "position" => json!("center"),
        _ if name.ends_with("color") => json!("#00FF00"),
        _ if name == "sticker_id" => json!("7132"),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        "string" => json!("a"),
        "array" => json!([sample("", &schema["items"])]),
        "object" => Value::Object(required(schema)),
        other => panic!("{name}: {other}"),
    }
}

fn required(schema: &Value) -> Object {
    let names = schema.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .map(|name| {
            let name = name.as_str().expect("a name");
            (name.to_owned(), sample(name, &schema["properties"][name]))
        })
        .collect()
}

/// Each alias names an argument and hides none.
#[test]
fn every_alias_becomes_its_argument() {
    let mut count = 0;
    for spec in &ROUTED {
        let schema = Value::Object((**spec.input()).clone());
        for rule in spec.input_rules {
            let InputRule::Alias(alias, name) = *rule else {
                continue;
            };
            count += 1;
            let property = &schema["properties"][name];
            assert!(property.is_object(), "{}: {alias} -> {name}", spec.name);
            assert!(
                schema["properties"].get(alias).is_none(),
                "{}: {alias} is an argument",
                spec.name
            );
            let value = sample(name, property);
            let mut arguments = required(&schema);
            arguments.shift_remove(name);
            let mut strict = arguments.clone();
            arguments.insert(alias.to_owned(), value.clone());
            strict.insert(name.to_owned(), value);
            check(spec.name, &Value::Object(arguments), &Value::Object(strict));
        }
    }
    assert!(count >= 20, "only {count} other names were found");
}

/// The same value as a form or a weak model may send it.
fn loosened(value: &Value, choice: u8) -> Value {
    match (value, choice % 3) {
        (Value::Number(n), 0) => json!(n.to_string()),
        (Value::Number(n), 1) if n.is_i64() => json!(n.as_f64()),
        (Value::Number(n), 2) if n.is_i64() => json!(format!(" {n}.0 ")),
        (Value::Bool(b), 0) => json!(b.to_string()),
        (Value::Bool(b), 1) => json!(u8::from(*b)),
        (Value::Array(_) | Value::Object(_), 0) => json!(value.to_string()),
        (Value::Array(items), _) => items.iter().map(|item| loosened(item, choice)).collect(),
        (Value::Object(members), _) => members
            .iter()
            .map(|(name, member)| (name.clone(), loosened(member, choice)))
            .collect(),
        _ => value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_tool_accepts_loosely_typed_values(choices in prop::collection::vec(any::<u8>(), 64)) {
        for spec in &ROUTED {
            let schema = Value::Object((**spec.input()).clone());
            let mut strict = Object::new();
            for (name, property) in schema["properties"].as_object().expect("properties") {
                // `position` and `transform_*` exclude each other.
                if name != "position" {
                    strict.insert(name.clone(), sample(name, property));
                }
            }
            let mut choices = choices.iter().cycle();
            let mut loose = Object::new();
            for (name, value) in &strict {
                let choice = *choices.next().expect("endless");
                loose.insert(name.clone(), loosened(value, choice));
            }
            loose.insert("aspect_ratio".into(), Value::Null);
            let strict = Value::Object(strict);
            check(spec.name, &Value::Object(loose), &strict);
        }
    }

    #[test]
    fn any_arguments_are_accepted_or_refused_as_invalid(
        tool in 0..ROUTED.len(),
        pairs in prop::collection::vec((any::<prop::sample::Index>(), "[a-z_\\[{\"0-9.]{0,12}", 0..6u8), 0..12),
    ) {
        let spec = &ROUTED[tool];
        let names: Vec<&String> = spec.input()["properties"].as_object().expect("properties").keys().collect();
        let mut arguments = Object::new();
        for (index, text, kind) in pairs {
            let name = if names.is_empty() { "a".to_owned() } else { names[index.index(names.len())].clone() };
            let value = match kind {
                0 => json!(text),
                1 => json!(text.len()),
                2 => json!([text]),
                3 => json!({ (text.clone()): text }),
                4 => json!(text.len() % 2 == 0),
                _ => json!(-1e300),
            };
            let name = if kind == 5 { format!("{name}x") } else { name };
            arguments.insert(name, value);
        }
        if let Err(error) = normalized(spec, &Value::Object(arguments)) {
            prop_assert_eq!(error.kind, crate::error::Kind::InvalidArgument);
            prop_assert!(error.message.lines().all(|line| line.contains('`')), "{}", error.message);
        }
    }
}

/// Checks for keywords that some clients cannot read; with `explained`, each property needs a description.
fn lint(place: &str, schema: &Value, explained: bool) {
    let members = schema
        .as_object()
        .unwrap_or_else(|| panic!("{place}: {schema}"));
    for key in [
        "$ref",
        "$defs",
        "$schema",
        "anyOf",
        "oneOf",
        "allOf",
        "const",
        "title",
        "format",
        "prefixItems",
    ] {
        assert!(!members.contains_key(key), "{place}: {key}");
    }
    let kind = members["type"]
        .as_str()
        .unwrap_or_else(|| panic!("{place}: one type"));
    assert_ne!(members.get("default"), Some(&Value::Null), "{place}");
    match kind {
        "array" => lint(&format!("{place}[]"), &members["items"], false),
        "object" => {
            if let Some(properties) = members.get("properties") {
                for (name, property) in properties.as_object().expect("properties") {
                    let place = format!("{place}.{name}");
                    lint(&place, property, false);
                    if explained {
                        let text = property["description"].as_str();
                        let text = text.unwrap_or_else(|| panic!("{place}: no description"));
                        assert!(text.len() > 3, "{place}: {text}");
                    }
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_client_can_read_the_schemas() {
    for spec in &ROUTED {
        lint(spec.name, &Value::Object((**spec.input()).clone()), true);
        lint(spec.name, &Value::Object((**spec.output()).clone()), false);
        assert_eq!(spec.output()["type"], "object", "{}", spec.name);
        assert!(
            !spec.output()["properties"]
                .as_object()
                .expect("properties")
                .is_empty(),
            "{}",
            spec.name
        );
        let words = spec.description().len();
        assert!((15..600).contains(&words), "{}: {words} bytes", spec.name);
    }
}
