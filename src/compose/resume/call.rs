//! Calls for items, and in which arguments two of them differ.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::compose::item::Item;
use crate::compose::section::Section;
use crate::error::{Error, Result};
use crate::media::shown;
use crate::tools::{self, Caller, Manner, Object};
use crate::units::{Edition, Micros};

/// Numbers with at most this difference are equal: times are counted in microseconds.
const SAME: f64 = 1e-6;
/// The most characters of a value in a message.
const SHOWN_CHARS: usize = 80;

/// A call for an item: from the journal, or required by a plan.
#[derive(Clone)]
pub(super) struct PlannedCall {
    pub sequence: u64,
    pub tool: String,
    /// The clip that it added, if the journal knows it; of captions, the first one.
    pub clip: Option<String>,
    /// How many captions or keyframes it added, if the journal knows it.
    pub count: Option<u64>,
    /// Whether a run of a plan made it.
    pub is_of_run: bool,
    /// The sequence number of the last call of a run about it.
    pub last_run: u64,
    pub section: Section,
    /// With all defaults, without the draft.
    pub arguments: Object,
    /// On the timeline.
    pub start: Micros,
    /// Its content: argument and value.
    pub content: Option<(&'static str, String)>,
}

/// The arguments with the content of a call.
const CONTENTS: [&str; 7] = [
    "text",
    "video_url",
    "image_url",
    "audio_url",
    "srt",
    "sticker_id",
    "effect_type",
];

impl PlannedCall {
    pub(super) fn new(sequence: u64, tool: &str, arguments: Object) -> Option<Self> {
        let section = Section::of_tool(tool)?;
        // Both sides are read leniently. What cannot be read was written by another version, and is compared unchanged.
        let reader = Caller::user().in_manner(Manner::Api);
        let mut arguments = tools::routed(tool)
            .and_then(|spec| spec.read(arguments.clone(), &reader).ok())
            .and_then(|request| request.arguments_in_full().ok())
            .unwrap_or(arguments);
        // `width` and `height` are the canvas of a new draft, which does not apply here.
        for key in ["draft_id", "width", "height"] {
            arguments.shift_remove(key);
        }
        let start = match tool {
            "add_video" | "add_audio" => "target_start",
            "add_subtitle" => "time_offset",
            "add_video_keyframe" => "time",
            _ => "start",
        };
        let start = arguments.get(start).and_then(Value::as_f64);
        let content = CONTENTS
            .iter()
            .find_map(|key| Some((*key, arguments.get(*key)?.as_str()?.to_owned())));
        Some(Self {
            sequence,
            tool: tool.to_owned(),
            clip: None,
            count: None,
            is_of_run: false,
            last_run: sequence,
            section,
            start: Micros::from_seconds(start.unwrap_or(0.0)),
            content,
            arguments,
        })
    }

    /// The call of an item, with the names and defaults of this edition.
    pub(super) fn of_item(item: &Item, edition: Edition) -> Result<Self> {
        let read = item.spec.read(item.arguments.clone(), &Caller::user());
        let sent = match read.and_then(|request| request.in_edition(edition)) {
            Ok(Some(request)) => request.call().arguments.clone(),
            Ok(None) | Err(_) => item.arguments.clone(),
        };
        Self::new(0, item.spec.name, sent)
            .ok_or_else(|| Error::internal(format!("{} has no call", item.path)))
    }

    fn text(&self, key: &str) -> &str {
        self.arguments
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Its position: nothing overlaps on one track, so two calls for one position are two versions of one item.
    pub(super) fn place(&self) -> (Section, &str, Micros, String) {
        let list = |key: &str| self.arguments.get(key).map(Value::to_string);
        let which = match self.section {
            Section::Keyframes => format!(
                "{} {:?} {:?}",
                self.text("property_type"),
                list("property_types"),
                list("times")
            ),
            _ => String::new(),
        };
        (self.section, self.text("track_name"), self.start, which)
    }

    /// The properties and times of its keyframes.
    pub(super) fn keyframes(&self) -> Vec<(&str, f64)> {
        let list = |key: &str| self.arguments.get(key).and_then(Value::as_array);
        match (list("property_types"), list("times")) {
            (Some(properties), Some(times)) => {
                let pairs = properties.iter().zip(times);
                pairs
                    .filter_map(|(property, time)| Some((property.as_str()?, time.as_f64()?)))
                    .collect()
            }
            _ => vec![(self.text("property_type"), self.start.seconds())],
        }
    }

    pub(super) fn track(&self) -> &str {
        self.text("track_name")
    }

    /// A description for people: `add_text` "Hello" at 2 s on track `text_main`.
    pub(super) fn named(&self) -> String {
        let what = match &self.content {
            Some((key, content)) => format!(" {}", value_shown(key, &json!(content))),
            None => format!(" {}", self.text("property_type")),
        };
        format!(
            "`{}`{what} at {} on track `{}`",
            self.tool,
            self.start,
            self.text("track_name")
        )
    }

    /// The arguments in which two calls differ.
    pub(super) fn differences(&self, other: &Self, open_end: bool) -> Vec<String> {
        let keys: BTreeSet<&String> = self
            .arguments
            .keys()
            .chain(other.arguments.keys())
            .collect();
        keys.into_iter()
            .filter(|key| {
                let (one, two) = (self.arguments.get(*key), other.arguments.get(*key));
                // An end that follows from the media is absent if the media could not be read.
                let is_absent = |value: Option<&Value>| {
                    value.is_none_or(|value| value.as_f64().is_none_or(|end| end <= 0.0))
                };
                let is_open =
                    open_end && key.as_str() == "end" && (is_absent(one) || is_absent(two));
                !is_open && !same(one.unwrap_or(&Value::Null), two.unwrap_or(&Value::Null))
            })
            .cloned()
            .collect()
    }

    pub(super) fn is(&self, other: &Self, open_end: bool) -> bool {
        // The arguments that differ most often are compared first, because long drafts have many calls.
        self.tool == other.tool
            && (self.start.0 - other.start.0).abs() <= 1
            && self.content == other.content
            && self.differences(other, open_end).is_empty()
    }
}

fn same(one: &Value, two: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse::<f64>().ok(),
        other => other.as_f64(),
    };
    match (one, two) {
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            let get = |object: &Object, key: &String| object.get(key).cloned().unwrap_or_default();
            one.keys()
                .chain(two.keys())
                .all(|key| same(&get(one, key), &get(two, key)))
        }
        (Value::String(one), Value::String(two)) => one == two,
        (Value::Number(_), _) | (_, Value::Number(_)) => match (number(one), number(two)) {
            (Some(one), Some(two)) => (one - two).abs() <= SAME,
            _ => false,
        },
        (one, two) => one == two,
    }
}

/// A value for messages: shortened, and without the secrets of a URL.
pub(super) fn value_shown(key: &str, value: &Value) -> String {
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        Value::String(text) if key.ends_with("_url") || key == "srt" => json!(shown(text)),
        other => other.clone(),
    };
    let text = text.to_string();
    if text.chars().count() <= SHOWN_CHARS {
        return text;
    }
    text.chars().take(SHOWN_CHARS).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(tool: &str, arguments: &Value) -> PlannedCall {
        PlannedCall::new(0, tool, arguments.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn calls_are_equal_if_all_their_arguments_are() {
        let one = sent(
            "add_text",
            &json!({ "draft_id": "a", "text": "Hi", "start": 0, "end": 2.0 }),
        );
        let is = |more: &Value| {
            let mut other = json!({ "draft_id": "b", "text": "Hi", "start": 0.0, "end": 2 });
            other
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            one.differences(&sent("add_text", &other), false)
        };
        assert_eq!(is(&json!({})), [""; 0]);
        // An explicit default, and another notation of a number.
        assert_eq!(
            is(&json!({ "track_name": "text_main", "rotation": 0 })),
            [""; 0]
        );
        for (key, value) in [
            ("text", json!("hi")),
            ("font_color", json!("#00FF00")),
            ("end", json!(2.001)),
            ("font_size", json!(9)),
            ("shadow_enabled", json!(true)),
            ("text_styles", json!([{ "start": 0, "end": 1 }])),
        ] {
            assert_eq!(is(&json!({ key: value })), [key], "{key}");
        }
    }

    #[test]
    fn an_end_that_follows_from_the_media_may_be_absent() {
        let clip = json!({ "video_url": "/clip", "target_start": 0 });
        let mut ended = clip.clone();
        ended["end"] = json!(4.0);
        let (open, ended) = (sent("add_video", &clip), sent("add_video", &ended));
        assert!(open.is(&ended, true) && !open.is(&ended, false));
        let mut other = clip.clone();
        other["end"] = json!(5.0);
        assert!(!ended.is(&sent("add_video", &other), true));
    }

    #[test]
    fn secrets_in_urls_are_not_shown() {
        let url = json!("https://me:pw@h/a.mp4?token=1");
        assert_eq!(value_shown("video_url", &url), "\"https://h/a.mp4\"");
        assert!(value_shown("text", &json!("x".repeat(500))).chars().count() < 100);
    }
}
