//! The plan: one struct for MCP, YAML, TOML and JSON, with its placeholders and paths.

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::path::{Path, PathBuf};

use capcut_draft::Cover;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::aligned;
use super::item::Item;
use super::of_voices;
use super::on_beats;
use super::section::Section;
use super::source::Places;
use super::structure;
use super::template::DraftTemplate;
use crate::args::located::{self, Misread};
use crate::args::{is_truthy, placeholder, property};
use crate::engine::marker::{self, PlanOrigin};
use crate::error::{Error, Result};
use crate::manifest::OnFailure;
use crate::settings;
use crate::styles::Styles;
use crate::tools::{self, Object};

/// A whole video: canvas, audio, pictures, texts, subtitles and what follows, then the save.
///
/// An item without a time starts where the one before it on its track ends; a length that is not given is
/// the media's own. `${name}` in any text is filled from `inputs`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Plan {
    /// The draft's name, shown in the app and given to its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A note stored with the draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Canvas width in pixels; default 1080.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    /// Canvas height in pixels; default 1920.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<f64>,
    /// Instead of width and height: "9:16", "16:9", "1:1", …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aspect_ratio: Option<String>,
    /// Instead of width and height: "1920x1080".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    /// Frames per second: 24, 25, 30, 50 or 60; default 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "frame_rate")]
    pub fps: Option<Value>,
    /// Whether the app closes gaps on the main track; on by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "switch")]
    pub magnet: Option<Value>,
    /// The picture in the app's list: a file, or a time of the video in seconds; the first picture by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "file_or_time")]
    pub cover: Option<Value>,
    /// Markers on the timeline: `at` in seconds, `title`, `color`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "items")]
    pub markers: Option<Value>,
    /// Sounds: arguments of `add_audio`; also `id`, `fit: "video"` (cut to the end of the pictures), `loop` (repeat
    /// until that end), `fade_in` and `fade_out` in seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "items")]
    pub audio: Vec<Object>,
    /// Pictures in their order: arguments of `add_video` or `add_image`; also `duration` of an image in seconds
    /// (default 3). `transition` leads to the next one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "items")]
    pub visuals: Vec<Object>,
    /// Texts: arguments of `add_text`; also `duration` in seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "items")]
    pub texts: Vec<Object>,
    /// Subtitles: arguments of `add_subtitle`; also `align_to`: the `id` of an item whose sound they belong to, and
    /// `script`: the words that are spoken there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "items")]
    pub subtitles: Vec<Object>,
    /// Stickers: arguments of `add_sticker`; also `duration` in seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "items")]
    pub stickers: Vec<Object>,
    /// Effects: arguments of `add_effect`; also `duration` in seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "items")]
    pub effects: Vec<Object>,
    /// Keyframes: arguments of `add_video_keyframe`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "items")]
    pub keyframes: Vec<Object>,
    /// Instead of items: a draft whose slots are filled, as by `apply_template`. Its keys may also stand next to it:
    /// `template: DRAFT`, `media`, `texts`, `repeat`, `strict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<DraftTemplate>,
    /// Arguments of `save_draft`; `false` leaves the draft unsaved. Saved by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object")]
    pub save: Option<Save>,
    /// What a failed item means for the rest: `partial_continue` continues without it; `abort` stops and undoes what
    /// the run added. Default: from `tools.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Values for the `${name}` placeholders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "object")]
    pub inputs: BTreeMap<String, Value>,
    /// Identifies the plan, so that its next run replaces the draft of this one. Default: from its content.
    #[serde(skip)]
    pub origin: PlanOrigin,
    /// The positions of the values in the plan's file, if it has one.
    #[serde(skip)]
    pub places: Places,
    /// Notes about the files that it was read from.
    #[serde(skip)]
    pub notes: Vec<String>,
    /// The call says that the plan replaces what is there.
    #[serde(skip)]
    pub overwrites: bool,
    /// The saved looks of texts that its items name.
    #[serde(skip)]
    pub styles: Styles,
}

/// Whether and how the draft is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Save {
    Whether(bool),
    With(Object),
}

fn items(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "object" } })
}

fn frame_rate(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "enum": [24, 25, 30, 50, 60] })
}

fn switch(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "boolean" })
}

fn file_or_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number"] })
}

fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

impl Plan {
    pub(crate) fn section(&self, section: Section) -> &[Object] {
        match section {
            Section::Audio => &self.audio,
            Section::Visuals => &self.visuals,
            Section::Texts => &self.texts,
            Section::Subtitles => &self.subtitles,
            Section::Stickers => &self.stickers,
            Section::Effects => &self.effects,
            Section::Keyframes => &self.keyframes,
        }
    }

    /// Reads every item as its tool's arguments. Also returns all problems of all items, each with its path.
    pub(crate) fn items(&self) -> (Vec<Item>, Vec<String>) {
        let mut items = Vec::new();
        let mut faults = Vec::new();
        for section in Section::ALL {
            for (index, given) in self.section(section).iter().enumerate() {
                let path = format!("{}[{index}]", section.key());
                match Item::decode(section, &path, given, &self.styles) {
                    Ok(mut item) => {
                        item.place = items.len();
                        items.push(item);
                    }
                    Err(found) => faults.extend(found),
                }
            }
        }
        of_voices::connect(&mut items);
        faults.extend(aligned::faults(&items));
        faults.extend(on_beats::faults(&items));
        (items, faults)
    }

    /// Makes the save replace an existing draft of the same name, with a backup.
    pub(crate) fn overwrite(&mut self) {
        self.overwrites = true;
        let mut arguments = match self.save.take() {
            Some(Save::With(arguments)) => arguments,
            Some(Save::Whether(false)) => {
                self.save = Some(Save::Whether(false));
                return;
            }
            Some(Save::Whether(true)) | None => Object::new(),
        };
        arguments.insert("overwrite".to_owned(), Value::Bool(true));
        self.save = Some(Save::With(arguments));
    }

    /// Frames per second, if given; as text also with its unit.
    pub(super) fn frame_rate(&self) -> Option<f64> {
        match self.fps.as_ref()? {
            Value::String(text) => text
                .trim()
                .trim_end_matches("fps")
                .trim()
                .parse::<f64>()
                .ok(),
            value => value.as_f64(),
        }
    }

    /// Whether a resumed run replaces edits that were made by hand.
    pub(crate) fn replaces_edits(&self) -> bool {
        let says = |arguments: &Object| arguments.get("overwrite").is_some_and(is_truthy);
        self.overwrites || matches!(&self.save, Some(Save::With(arguments)) if says(arguments))
    }

    /// Identifies its content.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        let json = serde_json::to_vec(self)
            .map_err(|e| Error::internal("a plan cannot be written as JSON").source(e))?;
        let hash = Sha256::digest(json);
        Ok(hash[..8]
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
    }

    /// The plan's origin; by default from its content.
    pub(crate) fn own_origin(&self) -> PlanOrigin {
        let mut origin = self.origin.clone();
        if origin.plan.is_none() {
            origin.plan = self.fingerprint().ok();
        }
        origin
    }

    /// Identifies the plan by its location and the values of its placeholders. Only the hash is stored, so that a draft
    /// that leaves this machine does not contain the names of its folders.
    pub(crate) fn stands_at(&mut self, place: &str, set: &BTreeMap<String, Value>) {
        let set = serde_json::to_string(set).unwrap_or_default();
        let hash = marker::hash(format!("{place}\0{set}").as_bytes());
        self.origin.plan = Some(hash[..16].to_owned());
    }

    /// Reads a plan from a value: fills placeholders, and makes relative paths absolute below `base`. The error lists all
    /// problems of its structure, its items and its placeholders.
    pub(crate) fn from_value(
        value: &Value,
        places: &Places,
        set: &BTreeMap<String, Value>,
        base: Option<&Path>,
        styles: &Styles,
    ) -> Result<Self> {
        let mut value = value.clone();
        let mut inputs = BTreeMap::new();
        if let Value::Object(plan) = &mut value
            && plan.get("inputs").is_some_and(Value::is_object)
            && let Some(Value::Object(own)) = plan.shift_remove("inputs")
        {
            inputs.extend(own);
        }
        inputs.extend(set.iter().map(|(k, v)| (k.clone(), v.clone())));
        let mut faults = Vec::new();
        fill(&mut value, &inputs, format_args!(""), &mut faults);
        let unfilled = faults.len();
        faults.extend(structure::take_faults(&mut value));
        let mut plan: Self = match value.as_object() {
            Some(object) => located::read(object).map_err(|Misread { path, fault }| {
                let path = if path.is_empty() { "." } else { &path };
                Error::invalid(format!("{path}: {fault}"))
            })?,
            None => Self::default(),
        };
        plan.styles = styles.clone();
        if !faults.is_empty() {
            let (_, of_items) = plan.items();
            let more = of_items
                .into_iter()
                .filter(|fault| !follows(fault, &faults[..unfilled], &faults));
            let more: Vec<String> = more.collect();
            faults.extend(more);
            let faults: Vec<String> = faults.iter().map(|fault| places.located(fault)).collect();
            let error = Error::invalid(faults.join("\n"));
            return Err(if unfilled > 0 {
                error
                    .hint("give values in `inputs`")
                    .at_shell("with `--set name=value`")
            } else {
                error
            });
        }
        plan.inputs = inputs;
        plan.places = places.clone();
        plan.anchor(base);
        Ok(plan)
    }

    /// Makes the paths of files absolute: below `base`, or below the home folder (`~/`).
    fn anchor(&mut self, base: Option<&Path>) {
        const SOURCES: [&str; 8] = [
            "video_url",
            "video_path",
            "image_url",
            "image_path",
            "audio_url",
            "srt",
            "srt_path",
            "translation",
        ];
        let sections = [
            (Section::Audio, &mut self.audio),
            (Section::Visuals, &mut self.visuals),
            (Section::Subtitles, &mut self.subtitles),
        ];
        for (section, items) in sections {
            for (key, value) in items.iter_mut().flat_map(Object::iter_mut) {
                let tools = section
                    .tools()
                    .iter()
                    .filter_map(|tool| tools::routed(tool));
                let is_source = tools
                    .map(|spec| spec.own_name(key))
                    .any(|own| SOURCES.contains(&own));
                if is_source {
                    make_absolute(value, base);
                }
            }
        }
        if let Some(Value::String(cover)) = &mut self.cover
            && property::seconds(cover).is_none()
            && !Cover::is_usual(cover)
            && let Some(absolute) = below(base, cover)
        {
            *cover = absolute.to_string_lossy().into_owned();
        }
        if let Some(template) = &mut self.template {
            for file in template.files_mut() {
                if let Some(absolute) = below(base, file) {
                    *file = absolute.to_string_lossy().into_owned();
                }
            }
            // A name is not a path.
            let draft = &mut template.draft;
            if draft.contains(['/', '\\'])
                && let Some(absolute) = below(base, draft)
            {
                *draft = absolute.to_string_lossy().into_owned();
            }
        }
        if let Some(Save::With(arguments)) = &mut self.save
            && let Some(spec) = tools::routed("save_draft")
        {
            for (key, folder) in arguments.iter_mut() {
                if spec.own_name(key) == "draft_folder" {
                    make_absolute(folder, base);
                }
            }
        }
    }
}

fn make_absolute(value: &mut Value, base: Option<&Path>) {
    if let Value::String(path) = value
        && let Some(absolute) = below(base, path)
    {
        *path = absolute.to_string_lossy().into_owned();
    }
}

fn path_of(fault: &str) -> &str {
    fault.split_once(": ").map_or("", |(path, _)| path)
}

/// Whether a problem of an item follows from problems that were found before: the same value has one, or the item
/// has an unfilled placeholder.
fn follows(fault: &str, unfilled: &[String], known: &[String]) -> bool {
    let path = path_of(fault);
    let item = path.find(']').map_or(path, |end| &path[..=end]);
    known
        .iter()
        .map(|known| path_of(known))
        .any(|known| known == path || known == item)
        || unfilled.iter().any(|known| known.starts_with(item))
}

/// A relative path as an absolute one: below the home folder or `base`.
fn below(base: Option<&Path>, source: &str) -> Option<PathBuf> {
    let source = source.trim();
    if source.starts_with('~')
        && let Some(path) = settings::in_home(source)
    {
        return Some(path);
    }
    let is_path = !source.is_empty()
        && !source.contains("://")
        && !source.contains('\n')
        && !source.contains("-->")
        && !source.starts_with(['{', '['])
        && !Path::new(source).is_absolute()
        && !source.starts_with('\\')
        && source.as_bytes().get(1) != Some(&b':');
    Some(base.filter(|_| is_path)?.join(source))
}

/// Fills `${name}` in every text. A text that is only a placeholder becomes the value itself, of any type.
fn fill(
    value: &mut Value,
    inputs: &BTreeMap<String, Value>,
    path: Arguments<'_>,
    faults: &mut Vec<String>,
) {
    match value {
        Value::String(text) => {
            if let Some(name) = text
                .strip_prefix("${")
                .and_then(|rest| rest.strip_suffix('}'))
                && !name.contains(['$', '{', '}'])
            {
                match inputs.get(name) {
                    Some(given) => *value = given.clone(),
                    None => {
                        faults.push(unfilled(path, name, inputs));
                    }
                }
                return;
            }
            let mut filled = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some(at) = rest.find("${") {
                let Some(length) = rest[at..].find('}') else {
                    break;
                };
                let name = &rest[at + 2..at + length];
                filled.push_str(&rest[..at]);
                match inputs.get(name) {
                    Some(Value::String(given)) => filled.push_str(given),
                    Some(given) => filled.push_str(&given.to_string()),
                    None => faults.push(unfilled(path, name, inputs)),
                }
                rest = &rest[at + length + 1..];
            }
            filled.push_str(rest);
            if let Some(found) = placeholder::unfilled(&filled) {
                faults.push(format!("{path}: {}", placeholder::fault(found)));
            }
            *text = filled;
        }
        Value::Array(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                fill(item, inputs, format_args!("{path}[{index}]"), faults);
            }
        }
        Value::Object(object) => {
            for (key, item) in object.iter_mut() {
                let dot = if path.as_str() == Some("") { "" } else { "." };
                fill(item, inputs, format_args!("{path}{dot}{key}"), faults);
            }
        }
        _ => {}
    }
}

fn unfilled(path: Arguments<'_>, name: &str, inputs: &BTreeMap<String, Value>) -> String {
    let known = inputs
        .keys()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known
    };
    format!("{path}: the placeholder `${{{name}}}` has no value (given: {known})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(value: Value, set: &[(&str, Value)]) -> Result<Plan> {
        let set = set
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect();
        Plan::from_value(
            &value,
            &Places::default(),
            &set,
            Some(Path::new("/plans")),
            &Styles::default(),
        )
    }

    #[test]
    fn placeholders_are_filled_and_keep_their_type() {
        let plan = plan(
            json!({"name": "Ad ${n}", "inputs": {"n": 3}, "texts": [{"text": "${t}", "start": "${s}"}]}),
            &[("t", json!("Hi")), ("s", json!(1.5))],
        )
        .unwrap();
        assert_eq!(plan.name.as_deref(), Some("Ad 3"));
        assert_eq!(plan.texts[0]["text"], "Hi");
        assert_eq!(plan.texts[0]["start"], 1.5);
    }

    #[test]
    fn every_unfilled_placeholder_is_reported_with_its_path() {
        let error = plan(json!({"texts": [{"text": "${a} and ${b}"}]}), &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("texts[0].text") && error.contains("${a}") && error.contains("${b}"),
            "{error}"
        );
    }

    #[test]
    fn relative_paths_are_relative_to_the_plan() {
        let plan = plan(
            json!({"visuals": [{"image_path": "a.png"}, {"video_url": "https://x/y.mp4"}],
                   "subtitles": [{"srt": "1\n00:00:00,000 --> 00:00:01,000\nx"}, {"srt_path": "s.srt"}]}),
            &[],
        )
        .unwrap();
        assert_eq!(plan.visuals[0]["image_path"], "/plans/a.png");
        assert_eq!(plan.visuals[1]["video_url"], "https://x/y.mp4");
        assert!(
            plan.subtitles[0]["srt"]
                .as_str()
                .unwrap()
                .starts_with("1\n")
        );
        assert_eq!(plan.subtitles[1]["srt_path"], "/plans/s.srt");
    }

    fn faults(value: Value) -> String {
        plan(value, &[]).unwrap_err().to_string()
    }

    #[test]
    fn one_error_lists_all_problems_of_the_structure() {
        let error = faults(json!({
            "nmae": "x",
            "widht": 5,
            "audio": { "audio_url": "a.mp3" },
            "visuals": [{ "image_url": "a.png" }, null, 7, { "image_url": "b.png", "save": false }],
            "texts": [{ "text": "${gone}" }, { "text": "a", "audio_url": "b.mp3" }, { "tetx": "b" }],
            "stickers": null,
            "save": 3,
            "on_failure": "explode",
            "height": "tall",
        }));
        for expected in [
            "nmae: is not a key of a plan; did you mean `name`?",
            "widht: is not a key of a plan; did you mean `width`?",
            "audio: is an object, not a list of items",
            "visuals[1]: is null",
            "visuals[2]: is 7, which is not an item",
            "visuals[3].save: `save` is a key of the plan",
            "texts[0].text: the placeholder `${gone}`",
            "texts[1].audio_url: `audio_url` belongs to an item of `audio`",
            "texts[2].tetx",
            "stickers: is null",
            "save: is 3, which is not true, false",
            "on_failure: is \"explode\"",
            "height: is \"tall\", which is not a number of pixels",
        ] {
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn a_key_at_the_wrong_level_is_reported_with_its_correct_position() {
        let check = |value: Value, expected: &str| {
            let error = faults(value);
            assert!(error.contains(expected), "{expected}: {error}");
        };
        check(
            json!({ "audio": [{ "audio_url": "a.mp3" }], "loop": true }),
            "loop: is not a key of a plan; indent it: `loop` belongs to `audio[0]`",
        );
        check(
            json!({ "texts": [{ "text": "a" }, { "text": "b" }], "font_color": "#fff", "save": false }),
            "indent it: `font_color` belongs to `texts[1]`",
        );
        check(
            json!({ "loop": true, "audio": [{ "audio_url": "a.mp3" }] }),
            "`loop` belongs to an item of `audio`",
        );
        check(
            json!({ "images": [] }),
            "did you mean `visuals`, a list of items",
        );
        check(json!({ "zzzzqq": 1 }), "its keys are name, note");
        check(json!([{ "text": "a" }]), "the plan is a list");
        check(json!(null), "the plan is empty");
    }

    #[test]
    fn placeholders_of_other_templates_are_refused() {
        let error = faults(json!({ "name": "{{title}}", "texts": [{ "text": "a {{ b }}" }] }));
        assert!(
            error.contains("name: the placeholder {{title}} was not filled"),
            "{error}"
        );
        assert!(
            error.contains("texts[0].text: the placeholder {{ b }}"),
            "{error}"
        );
    }

    #[test]
    fn values_from_tables_are_converted_to_the_types_of_the_plan() {
        let plan = plan(
            json!({ "width": "${w}", "height": "1920px", "save": "${save}", "name": "${n}" }),
            &[
                ("w", json!("1080")),
                ("save", json!("false")),
                ("n", json!(7)),
            ],
        )
        .unwrap();
        assert_eq!((plan.width, plan.height), (Some(1080.0), Some(1920.0)));
        assert!(matches!(plan.save, Some(Save::Whether(false))));
        assert_eq!(plan.name.as_deref(), Some("7"));
    }

    #[test]
    fn paths_below_home_and_the_drafts_folder_are_made_absolute() {
        let plan = plan(
            json!({
                "visuals": [{ "image_url": "~/a.png" }, { "type": "image", "path": "b.png" }],
                "save": { "draft_folder": "./out" },
            }),
            &[],
        )
        .unwrap();
        let home = crate::settings::in_home("~").unwrap();
        assert_eq!(
            plan.visuals[0]["image_url"],
            home.join("a.png").to_str().unwrap()
        );
        assert_eq!(plan.visuals[1]["path"], "/plans/b.png");
        let Some(Save::With(save)) = &plan.save else {
            panic!()
        };
        assert_eq!(
            Path::new(save["draft_folder"].as_str().unwrap()),
            Path::new("/plans/./out")
        );
    }

    #[test]
    fn invalid_lengths_are_refused() {
        let check = |item: Value, expected: &str| {
            let (_, faults) = plan(json!({ "texts": [item] }), &[]).unwrap().items();
            assert!(
                faults.iter().any(|fault| fault.contains(expected)),
                "{faults:?}"
            );
        };
        check(
            json!({ "text": "a", "duration": "long" }),
            "texts[0].duration: is \"long\"; it must be a length in seconds",
        );
        check(
            json!({ "text": "a", "duration": -1 }),
            "is -1; it must be a length",
        );
        check(
            json!({ "text": "a", "start": 1, "end": 3, "duration": 5 }),
            "which is 2 s: give one of them",
        );
        check(
            json!({ "text": "a", "start": 1, "end": 3, "duration": "whole" }),
            "give one of them",
        );
    }
}
