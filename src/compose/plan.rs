//! The plan: one struct for MCP, YAML, TOML and JSON; its placeholders, its paths, its schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::marker::{self, Origin};
use crate::error::{Error, Result};
use crate::manifest::OnFailure;
use crate::tools::Object;

/// A whole video: canvas, audio, pictures, texts, subtitles and what follows, then the save.
///
/// An item without a time starts where the one before it on its track ends; a length that is not given is
/// the media's own. `${name}` in any text is filled from `inputs`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The draft's name, shown in the app and given to its folder.
    #[serde(
        default,
        alias = "title",
        alias = "project_name",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<String>,
    /// A note kept with the draft.
    #[serde(
        default,
        alias = "description",
        skip_serializing_if = "Option::is_none"
    )]
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
    /// Subtitles: arguments of `add_subtitle`; also `align_to`: the `id` of an audio item with which they start.
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
    /// Arguments of `save_draft`; `false` leaves the draft unsaved. Saved by default.
    #[serde(
        default,
        deserialize_with = "save",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(schema_with = "object")]
    pub save: Option<Save>,
    /// What a failed item means for the rest: `partial_continue` goes on without it; `abort` stops and takes back what
    /// the run added. Default: what `tools.toml` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Values for the `${name}` placeholders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "object")]
    pub inputs: BTreeMap<String, Value>,
    /// Which plan it is, so that its next run replaces the draft of this one; its content says so by default.
    #[serde(skip)]
    pub origin: Origin,
}

/// Whether and how the draft is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Save {
    Whether(bool),
    With(Object),
}

fn save<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Save>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(whether) => Ok(Some(Save::Whether(whether))),
        Value::Object(arguments) => Ok(Some(Save::With(arguments))),
        other => Err(serde::de::Error::custom(format!(
            "{other} is neither true, false nor the arguments of `save_draft`"
        ))),
    }
}

fn items(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "object" } })
}

fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

/// A section of the plan: where its items stand, and which tools carry them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Section {
    Audio,
    Visuals,
    Texts,
    Subtitles,
    Stickers,
    Effects,
    Keyframes,
}

impl Section {
    /// All, in the order in which their items are carried out.
    pub(crate) const ALL: [Self; 7] = [
        Self::Audio,
        Self::Visuals,
        Self::Texts,
        Self::Subtitles,
        Self::Stickers,
        Self::Effects,
        Self::Keyframes,
    ];

    /// The key in the plan.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Visuals => "visuals",
            Self::Texts => "texts",
            Self::Subtitles => "subtitles",
            Self::Stickers => "stickers",
            Self::Effects => "effects",
            Self::Keyframes => "keyframes",
        }
    }

    /// The track that its items stand on where they name none.
    pub(crate) fn track(self) -> &'static str {
        match self {
            Self::Audio => "audio_main",
            // One for images and videos, so that they follow each other.
            Self::Visuals | Self::Keyframes => "video_main",
            Self::Texts => "text_main",
            Self::Subtitles => "subtitle",
            Self::Stickers => "sticker_main",
            Self::Effects => "effect_01",
        }
    }

    /// What its tracks hold, for people; none for keyframes, which are on tracks of others.
    pub(crate) fn holds(self) -> Option<&'static str> {
        match self {
            Self::Audio => Some("audio"),
            Self::Visuals => Some("pictures"),
            Self::Texts | Self::Subtitles => Some("texts"),
            Self::Stickers => Some("stickers"),
            Self::Effects => Some("effects"),
            Self::Keyframes => None,
        }
    }

    /// The tools that carry out its items.
    pub(crate) fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Audio => &["add_audio"],
            Self::Visuals => &["add_video", "add_image"],
            Self::Texts => &["add_text"],
            Self::Subtitles => &["add_subtitle"],
            Self::Stickers => &["add_sticker"],
            Self::Effects => &["add_effect"],
            Self::Keyframes => &["add_video_keyframe"],
        }
    }

    /// The section whose items a tool carries out.
    pub(crate) fn of_tool(tool: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|section| section.tools().contains(&tool))
    }

    /// What a plan's item may say besides the tool's own arguments.
    pub(crate) fn comforts(self) -> &'static [&'static str] {
        match self {
            Self::Audio => &["id", "fit", "loop"],
            Self::Visuals => &["id", "type", "duration"],
            Self::Texts | Self::Stickers | Self::Effects => &["id", "duration"],
            Self::Subtitles => &["id", "align_to"],
            Self::Keyframes => &["id"],
        }
    }
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

    /// Whatever has the draft's name is replaced when it is saved, with a backup.
    pub(crate) fn overwrite(&mut self) {
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

    /// Which plan it is; its content says so by default.
    pub(crate) fn own_origin(&self) -> Origin {
        let mut origin = self.origin.clone();
        if origin.plan.is_none() {
            origin.plan = super::batch::fingerprint(self).ok();
        }
        origin
    }

    /// Says which plan it is: where it stands, and what its placeholders are filled with. Only the hash is kept, as
    /// a draft that leaves this machine names none of its folders.
    pub(crate) fn stands_at(&mut self, place: &str, set: &BTreeMap<String, Value>) {
        let set = serde_json::to_string(set).unwrap_or_default();
        let hash = marker::hash(format!("{place}\0{set}").as_bytes());
        self.origin.plan = Some(hash[..16].to_owned());
    }

    /// Reads a plan from a value: placeholders filled, relative paths made absolute below `base`.
    pub(crate) fn from_value(
        value: &Value,
        set: &BTreeMap<String, Value>,
        base: Option<&Path>,
    ) -> Result<Self> {
        let own = value.get("inputs").and_then(Value::as_object);
        let own = own.into_iter().flatten();
        let mut inputs: BTreeMap<String, Value> = own
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        inputs.extend(set.iter().map(|(k, v)| (k.clone(), v.clone())));
        let value = if value.get("inputs").is_some() || has_placeholder(value) {
            Cow::Owned(filled(value.clone(), &inputs)?)
        } else {
            Cow::Borrowed(value)
        };
        let mut plan: Self = serde_path_to_error::deserialize(&*value).map_err(|e| {
            let path = e.path().to_string();
            Error::invalid(format!("plan: `{path}`: {}", e.into_inner())).hint(format!(
                "the keys of a plan are {}; `capcut-mcp tools --plan-schema` tells all",
                "name, note, width, height, aspect_ratio, resolution, audio, visuals, texts, subtitles, \
                 stickers, effects, keyframes, save, on_failure and inputs"
            ))
        })?;
        plan.inputs = inputs;
        if let Some(base) = base {
            plan.anchor(base);
        }
        Ok(plan)
    }

    fn anchor(&mut self, base: &Path) {
        const SOURCES: [&str; 8] = [
            "video_url",
            "video_path",
            "image_url",
            "image_path",
            "audio_url",
            "audio_path",
            "srt",
            "srt_path",
        ];
        for item in self
            .audio
            .iter_mut()
            .chain(&mut self.visuals)
            .chain(&mut self.subtitles)
        {
            for key in SOURCES {
                if let Some(Value::String(source)) = item.get_mut(key)
                    && let Some(absolute) = below(base, source)
                {
                    *source = absolute.to_string_lossy().into_owned();
                }
            }
        }
    }
}

/// A relative path that names an existing file below `base`, or surely means a file, as an absolute one.
fn below(base: &Path, source: &str) -> Option<PathBuf> {
    let is_path = !source.contains("://")
        && !source.contains('\n')
        && !source.contains("-->")
        && !Path::new(source).is_absolute()
        && !source.starts_with('\\')
        && source.as_bytes().get(1) != Some(&b':');
    is_path.then(|| base.join(source))
}

fn has_placeholder(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(list) => list.iter().any(has_placeholder),
        Value::Object(object) => object.values().any(has_placeholder),
        _ => false,
    }
}

/// A plan without its inputs, every placeholder filled.
fn filled(mut value: Value, inputs: &BTreeMap<String, Value>) -> Result<Value> {
    if let Value::Object(plan) = &mut value {
        plan.shift_remove("inputs");
    }
    let mut faults = Vec::new();
    fill(&mut value, inputs, format_args!(""), &mut faults);
    if !faults.is_empty() {
        return Err(Error::invalid(faults.join("\n"))
            .hint("give a value with `--set name=value`, or in `inputs`"));
    }
    Ok(value)
}

/// Fills `${name}` in every text. A text that is one placeholder takes the value itself, whatever its type.
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
                    None => faults.push(unfilled(path, name, inputs)),
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
        Plan::from_value(&value, &set, Some(Path::new("/plans")))
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
    fn every_unfilled_placeholder_is_named_with_its_path() {
        let error = plan(json!({"texts": [{"text": "${a} and ${b}"}]}), &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("texts[0].text") && error.contains("${a}") && error.contains("${b}"),
            "{error}"
        );
    }

    #[test]
    fn relative_paths_are_below_the_plan() {
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

    #[test]
    fn an_unknown_key_is_refused_with_the_known_ones() {
        let error = plan(json!({"visual": []}), &[]).unwrap_err().to_string();
        assert!(
            error.contains("visual") && error.contains("visuals"),
            "{error}"
        );
    }
}
