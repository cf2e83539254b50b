//! An example for each key of a plan, for `docs/plans.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::plan_tables;
use crate::compose::known::KnownMedia;
use crate::compose::layout;
use crate::compose::plan::Plan;
use crate::compose::source::{Places, PlanFormat, PlanSource};
use crate::engine::Canvas;
use crate::styles::Styles;
use crate::tool::Request;
use crate::tools::{self, Caller, Object};
use crate::units::Edition;

/// Lines of a table of `docs/plans.md` (`*`: of all), a key, and YAML for an item that shows it.
const EXAMPLES: &str = include_str!("plan_examples.tsv");

fn rows() -> impl Iterator<Item = [&'static str; 3]> {
    let lines = EXAMPLES.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        cells.try_into().expect("three cells")
    })
}

/// The example for a key of a table.
pub(super) fn of(table: &str, key: &str) -> Option<&'static str> {
    let find = |table: &str| rows().find(|[of, name, _]| *of == table && *name == key);
    find(table)
        .or_else(|| find("*"))
        .map(|[_, _, example]| example)
}

/// What an example of a table needs besides: the section that its item belongs to, the tool, and the item's content.
const NEEDS: [(&str, &str, &str, &str, &str); 8] = [
    ("audio", "audio", "add_audio", "audio_url", "/music.mp3"),
    (
        "video_url",
        "visuals",
        "add_video",
        "video_url",
        "/clip.mp4",
    ),
    (
        "image_url",
        "visuals",
        "add_image",
        "image_url",
        "/picture.jpg",
    ),
    ("texts", "texts", "add_text", "text", "Our trip"),
    (
        "subtitles",
        "subtitles",
        "add_subtitle",
        "srt",
        "/captions.srt",
    ),
    (
        "stickers",
        "stickers",
        "add_sticker",
        "sticker_id",
        "7132097333274995976",
    ),
    ("effects", "effects", "add_effect", "effect_type", "Blur"),
    (
        "keyframes",
        "keyframes",
        "add_video_keyframe",
        "property_type",
        "alpha",
    ),
];

/// A plan with only the example.
fn plan_with(table: &str, mut example: Object) -> Value {
    if table == "plan" {
        return Value::Object(example);
    }
    if table == "save" {
        return json!({ "save": example });
    }
    let (_, section, tool, content, value) = NEEDS
        .into_iter()
        .find(|(of, ..)| *of == table)
        .unwrap_or_else(|| panic!("no item for the examples of `{table}`"));
    let spec = tools::routed(tool).expect("a tool");
    let gives = |own: &str| example.keys().any(|key| spec.own_name(key) == own);
    // What makes the content of an item, or stands in for it.
    let others = ["property_types", "script", "say", "imagine", "film", "auto"];
    if !gives(content) && !others.iter().any(|key| gives(key)) {
        example.insert(content.to_owned(), json!(value));
    }
    let mut plan = json!({ section: [example] });
    if section == "subtitles" {
        plan["audio"] = json!([{ "audio_url": "/voice.mp3", "id": "voice" }]);
    }
    if section == "visuals" {
        plan["audio"] = json!([{ "audio_url": "/music.mp3", "id": "music" }]);
    }
    plan
}

/// All problems that a plan has before its media are read.
fn problems(plan: &Value) -> Vec<String> {
    let folder = Some(Path::new("/plans"));
    let plan = match Plan::from_value(
        plan,
        &Places::default(),
        &BTreeMap::new(),
        folder,
        &Styles::default(),
    ) {
        Ok(plan) => plan,
        Err(error) => return vec![error.to_string()],
    };
    let canvas = Canvas {
        width: 1080.0,
        height: 1920.0,
        edition: Edition::Capcut,
    };
    let check = |request: crate::error::Result<Box<dyn Request>>| match request {
        Ok(request) => request
            .faults_on(canvas)
            .0
            .iter()
            .map(ToString::to_string)
            .collect(),
        Err(error) => vec![error.to_string()],
    };
    let (items, mut problems) = plan.items();
    let items = layout::lay_out(items, &KnownMedia::default(), true).into_iter();
    for item in items.filter(|item| !item.is_made()) {
        problems.extend(check(item.spec.read(item.arguments, &Caller::user())));
    }
    if let Some(crate::compose::plan::Save::With(mut arguments)) = plan.save {
        arguments.insert("draft_id".to_owned(), json!("dfd_cat_1_00000000"));
        let spec = tools::routed("save_draft").expect("a tool");
        problems.extend(check(spec.decode(arguments, &Caller::user())));
    }
    problems
}

#[test]
fn every_key_of_a_plan_has_an_example_that_is_valid_in_a_plan() {
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for (_, table, schema) in plan_tables() {
        for key in schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key)
        {
            let Some(example) = of(&table, key) else {
                wrong.push(format!("{table}.{key} has no example"));
                continue;
            };
            used.insert(example);
            let read = PlanSource::read(&format!("{{{example}}}"), PlanFormat::Yaml);
            let Ok(Value::Object(item)) = read.map(|source| source.value) else {
                wrong.push(format!("{table}.{key}: {example} is not YAML"));
                continue;
            };
            if !item.contains_key(key) {
                wrong.push(format!("{table}.{key}: {example} does not have the key"));
            }
            let problems = problems(&plan_with(&table, item));
            wrong.extend(
                problems
                    .iter()
                    .map(|problem| format!("{table}.{key}: {example}: {problem}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let unused: Vec<_> = rows()
        .filter(|[_, _, example]| !used.contains(example))
        .collect();
    assert!(unused.is_empty(), "no key has these examples: {unused:?}");
    assert!(used.len() > 100, "only {} examples", used.len());
}
