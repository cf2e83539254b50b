//! One item of a plan: the call that it becomes.

use std::sync::Arc;

use capcut_draft::{Clock, SpeedCurve, TimeRange};
use serde_json::{Value, json};

use super::duck_shape;
use super::generated_keys;
use super::script;
use super::section::Section;
use super::sound_keys;
use crate::args::input_rule::FURTHER;
use crate::args::property;
use crate::error::{Error, shortened};
use crate::secrets;
use crate::styles::Styles;
use crate::tool::Spec;
use crate::tools::add_subtitle::AddSubtitle;
use crate::tools::{self, Object};
use crate::units::Micros;

/// A subtitle whose words are not in the plan.
const WITHOUT_WORDS: &str = "without_words";
/// What is made for an item: the key, the argument that gets the file, and a name until then.
const MADE_LATER: [(&str, &str, &str); 3] = [
    ("say", "audio_url", ".wav"),
    ("imagine", "image_url", ".png"),
    ("film", "video_url", ".mp4"),
];

/// The `duration` of an item that is shown for the whole video.
const WHOLE: &str = "whole";

/// One call for an item of the plan.
#[derive(Clone)]
pub(crate) struct Item {
    pub section: Section,
    /// Its path in the plan: `visuals[3]`; `audio[0]#2` is the second repetition of a loop.
    pub path: String,
    /// Its index among all items.
    pub place: usize,
    pub spec: &'static Spec,
    /// The arguments under their own names, without a draft.
    pub arguments: Object,
    /// Start and end on the timeline in seconds, if both are known for sure.
    pub span: Option<(f64, f64)>,
    /// Its end is not in the plan: it follows from its media or from the pictures.
    pub open_end: bool,
    /// It has no time in the plan: it follows the item before it on its track.
    pub follows: bool,
    /// Its position follows from other items, one of which has an unknown length.
    pub open_place: bool,
    /// Notes from reading its arguments.
    pub notes: Vec<String>,
    /// Why it cannot be made: what its keys need from a file that does not have it.
    pub fault: Option<Arc<Error>>,
    /// The words or the description that its file was made from.
    pub(super) made_of: Option<String>,
    /// The keys that the plan has in addition to the arguments of the tool.
    pub(super) extras: Object,
}

impl Item {
    /// Which part of its file it plays when, if both of its ends are known.
    pub(super) fn clock(&self) -> Option<Clock> {
        let (start, end) = self.span?;
        let speed = self.number("speed").filter(|speed| *speed > 0.0);
        let speed = speed.unwrap_or(1.0);
        let from = self.number("start").unwrap_or(0.0);
        let to = from + (end - start) * speed;
        let further = self.arguments.get(FURTHER);
        let curve = further.and_then(|further| further.get("speed_curve"));
        let curve = curve.and_then(|curve| SpeedCurve::read(curve).ok());
        let curve = curve.map_or_else(Vec::new, |curve| curve.points());
        let range = |start, end| {
            let micros = |seconds| Micros::from_seconds(seconds).0;
            TimeRange::between(micros(start), micros(end))
        };
        Some(Clock::new(range(start, end), range(from, to), speed, curve))
    }

    /// Reads an item as its tool's arguments, or returns all its problems, each with its path.
    pub(super) fn decode(
        section: Section,
        path: &str,
        given: &Object,
        styles: &Styles,
    ) -> Result<Self, Vec<String>> {
        let mut arguments = given.clone();
        let mut extras = Object::new();
        let mut faults = Vec::new();
        let tool = match tool_of(section, &arguments) {
            Ok(tool) => tool,
            Err(fault) => return Err(vec![format!("{path}: {fault}")]),
        };
        for key in section.rules() {
            // For videos, `duration` is an argument of the API; images do not have it.
            if *key == "duration" && tool == "add_video" {
                continue;
            }
            if let Some(value) = arguments
                .shift_remove(*key)
                .filter(|value| !is_blank(value))
            {
                match extra(key, value) {
                    Ok(value) => {
                        extras.insert((*key).to_owned(), value);
                    }
                    Err(fault) => faults.push(format!("{path}.{key}: {fault}")),
                }
            }
        }
        if arguments.shift_remove("draft_id").is_some() {
            faults.push(format!(
                "{path}.draft_id: a plan creates its own draft; remove this key"
            ));
        }
        let spec = tools::routed(tool).ok_or_else(|| vec![format!("{path}: no tool `{tool}`")])?;
        if let Some((key, fault)) = generated_keys::conflict(&extras, &arguments) {
            faults.push(format!("{path}.{key}: {fault}"));
        }
        // Until it is made.
        for (key, argument, file) in MADE_LATER {
            // Also where the key has a wrong value, which is reported.
            if given.contains_key(key) && section.rules().contains(&key) && spec.takes(argument) {
                arguments
                    .entry(argument)
                    .or_insert_with(|| format!("not-made/{path}{file}").into());
            }
        }
        if extras.contains_key("jump_cut") {
            if tool == "add_image" {
                faults.push(format!("{path}.jump_cut: a picture has no pauses"));
            }
            for other in ["loop", "cut_on"] {
                if extras.get(other).is_some_and(|value| value != false) {
                    faults.push(format!(
                        "{path}.jump_cut: `{other}` is given as well: give one of them"
                    ));
                }
            }
        }
        if extras.contains_key("loudness_lufs") {
            let is_fixed = ["volume", "loudness"]
                .iter()
                .find(|key| arguments.get(**key).is_some_and(|value| !value.is_array()));
            if tool == "add_image" {
                faults.push(format!("{path}.loudness_lufs: a picture has no sound"));
            } else if let Some(key) = is_fixed {
                faults.push(format!(
                    "{path}.loudness_lufs: `{key}` is given as well: give one of them"
                ));
            }
        }
        if let Some(words) = extras.get("script") {
            let given = arguments
                .keys()
                .find(|key| spec.own_name(key) == "srt" || key.as_str() == "subtitle_text");
            if let Some(given) = given {
                faults.push(format!(
                    "{path}.script: `{given}` has the words as well: give one of them"
                ));
            }
            // Until the voice was heard.
            arguments.insert("srt".to_owned(), script::without_voice(words).into());
        } else if section == Section::Subtitles
            && (extras.contains_key("auto") || extras.contains_key("align_to"))
            && !arguments
                .keys()
                .any(|key| spec.own_name(key) == "srt" || key == "subtitle_text")
        {
            // Until the words are known: those of the voice, or a transcript.
            extras.insert(WITHOUT_WORDS.to_owned(), json!(true));
            let words = json!(["Words."]);
            arguments.insert("srt".to_owned(), script::without_voice(&words).into());
        } else if extras.contains_key("auto") {
            faults.push(format!(
                "{path}.auto: the words are given as well: give one of them"
            ));
        }
        match spec.normalize_item(&mut arguments, styles) {
            Ok(notes) if faults.is_empty() => {
                if matches!(section, Section::Audio | Section::Visuals) {
                    arguments
                        .entry("track_name")
                        .or_insert_with(|| json!(section.track()));
                }
                let mut item = Self {
                    section,
                    path: path.to_owned(),
                    place: 0,
                    spec,
                    arguments,
                    span: None,
                    open_end: false,
                    follows: false,
                    open_place: false,
                    notes,
                    fault: None,
                    made_of: None,
                    extras,
                };
                item.open_end = item.has_open_end();
                match item.contradiction() {
                    Some(fault) => Err(vec![format!("{path}.duration: {fault}")]),
                    None => Ok(item),
                }
            }
            Ok(_) => Err(faults),
            Err(error) => {
                faults.extend(error.message.lines().map(|line| at(path, line)));
                Err(faults)
            }
        }
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.arguments.get(key).and_then(Value::as_f64)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.arguments.get(key).and_then(Value::as_str)
    }

    /// The text of an argument.
    pub(crate) fn argument(&self, key: &str) -> Option<&str> {
        self.text(key)
    }

    /// A failure of one of its keys; the first one counts.
    pub(super) fn fail(&mut self, key: &str, error: &Error) {
        let mut error = error.again();
        error.message = format!("`{key}`: {}", error.message);
        self.fault.get_or_insert_with(|| Arc::new(error));
    }

    /// Whether something is made for it before the layout.
    pub(crate) fn is_made(&self) -> bool {
        ["say", "imagine", "film", "auto"]
            .iter()
            .any(|key| self.extras.contains_key(*key))
    }

    /// Whether it is a subtitle whose words are not in the plan, and not those of a voice that is made.
    pub(super) fn has_no_words(&self) -> bool {
        self.extras.contains_key(WITHOUT_WORDS)
            && !self.extras.contains_key("auto")
            && !self.extras.contains_key("of_voice")
    }

    /// Whether it is a caption with the words of the voice with this id.
    pub(super) fn is_of_voice(&self, id: &str) -> bool {
        self.extras.contains_key("of_voice") && self.extra_text("align_to") == Some(id)
    }

    pub(super) fn extra(&self, key: &str) -> Option<&Value> {
        self.extras.get(key)
    }

    pub(super) fn extra_text(&self, key: &str) -> Option<&str> {
        self.extras.get(key).and_then(Value::as_str)
    }

    pub(super) fn extra_number(&self, key: &str) -> Option<f64> {
        self.extras.get(key).and_then(Value::as_f64)
    }

    /// The media file that it shows or plays, if any.
    pub(crate) fn source(&self) -> Option<&str> {
        ["video_url", "image_url", "audio_url"]
            .iter()
            .find_map(|key| self.text(key))
    }

    /// Its content on one line, for people: the name of its file, the words of a text, the name of an effect.
    pub(crate) fn content(&self) -> String {
        let file = |key: &str| {
            let path = self.text(key)?.trim();
            let path = if path.contains("://") {
                secrets::address(path)
            } else {
                path.to_owned()
            };
            path.rsplit(['/', '\\'])
                .find(|name| !name.is_empty())
                .map(str::to_owned)
        };
        let words = |text: &str| {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.join(" ")
        };
        if let Some(text) = self.made_of.clone().or_else(|| self.makes()) {
            return words(&text);
        }
        match self.section {
            Section::Audio => file("audio_url"),
            Section::Visuals => file("video_url").or_else(|| file("image_url")),
            Section::Texts => self.text("text").map(words),
            Section::Subtitles => self.first_words().map(|text| words(&text)).or_else(|| {
                let is_text = AddSubtitle::location(self.text("srt")?).is_none();
                if is_text {
                    Some("subtitles".to_owned())
                } else {
                    file("srt")
                }
            }),
            Section::Stickers => self.text("sticker_id").map(words),
            Section::Effects => self.text("effect_type").map(words),
            Section::Keyframes => self.text("property_type").map(words),
        }
        .unwrap_or_default()
    }

    /// The words or the description that its file is made from, if it is made.
    pub(super) fn makes(&self) -> Option<String> {
        let said = generated_keys::said(&self.extras).map(|said| said.text);
        said.or_else(|| Some(generated_keys::described(&self.extras)?.prompt))
    }

    /// The first words of a script, or of subtitles that are given as text.
    fn first_words(&self) -> Option<String> {
        match self.extra("script") {
            Some(script) => script.as_array()?.first()?.as_str().map(str::to_owned),
            None => AddSubtitle::first_words(self.text("srt")?),
        }
    }

    fn has_open_end(&self) -> bool {
        let open =
            self.number("end").is_none_or(|end| end <= 0.0) && self.number("duration").is_none();
        match self.section {
            Section::Audio => open || self.extras.contains_key("fit") || self.is_loop(),
            Section::Visuals => open && self.arguments.contains_key("video_url"),
            _ => false,
        }
    }

    /// Its end in the file: the given end, limited to the end of the file; by default the end of the file.
    pub(super) fn ends_at(&mut self, length: Option<f64>) -> Option<f64> {
        let given = self.number("end").filter(|end| *end > 0.0);
        let given =
            given.or_else(|| Some(self.number("start").unwrap_or(0.0) + self.number("duration")?));
        let end = match (given, length) {
            (Some(end), Some(length)) => end.min(length),
            (end, length) => end.or(length)?,
        };
        self.arguments.insert("end".to_owned(), json!(end));
        Some(end)
    }

    /// Whether it is shown for the whole video.
    pub(super) fn is_whole(&self) -> bool {
        self.extra_text("duration") == Some(WHOLE)
    }

    /// The problem if its `duration` contradicts its start and end.
    fn contradiction(&self) -> Option<String> {
        let (start, end) = (self.number("start")?, self.number("end")?);
        let length = self.extras.get("duration")?;
        let is_it = length
            .as_f64()
            .is_some_and(|length| (start + length - end).abs() < 1e-6);
        (!is_it).then(|| {
            format!(
                "is {length}, but the item is shown from {start} s to {end} s, which is {} s: give one of them",
                round(end - start)
            )
        })
    }

    /// Its start in the file, if the item sets that but not its time on the timeline.
    pub(super) fn start_in_file(&self) -> Option<f64> {
        let is_video = self.arguments.contains_key("video_url");
        self.number("start")
            .filter(|start| is_video && *start > 0.0 && self.follows)
    }

    pub(super) fn is_loop(&self) -> bool {
        self.extras.get("loop").and_then(Value::as_bool) == Some(true)
    }

    pub(crate) fn track(&self) -> &str {
        self.text("track_name").unwrap_or(self.section.track())
    }

    /// The times of keyframes on the timeline, in seconds.
    pub(crate) fn times(&self) -> Vec<f64> {
        match self.arguments.get("times").and_then(Value::as_array) {
            Some(times) => times.iter().filter_map(Value::as_f64).collect(),
            None => vec![self.number("time").unwrap_or(0.0)],
        }
    }

    /// Whether it is a repetition of a loop after the first.
    pub(crate) fn is_repeated(&self) -> bool {
        self.path.contains('#') && !self.path.ends_with("#1")
    }

    /// Its path in the plan; the same for all repetitions of a loop.
    pub(crate) fn plan_path(&self) -> &str {
        self.path.split('#').next().unwrap_or_default()
    }

    /// A number, or the tool's default for it.
    pub(super) fn number_or_default(&self, key: &str) -> Option<f64> {
        let default = || {
            self.spec
                .input()
                .get("properties")?
                .get(key)?
                .get("default")?
                .as_f64()
        };
        self.number(key).or_else(default)
    }
}

/// "`transition`: …" of an item is `visuals[3].transition: …` of the plan.
pub(crate) fn at(path: &str, fault: &str) -> String {
    match fault
        .strip_prefix('`')
        .and_then(|rest| rest.split_once('`'))
    {
        Some((field, rest)) if path.is_empty() => format!("{field}{rest}"),
        Some((field, rest)) => format!("{path}.{field}{rest}"),
        None if path.is_empty() => fault.to_owned(),
        None => format!("{path}: {fault}"),
    }
}

fn tool_of(section: Section, arguments: &Object) -> Result<&'static str, String> {
    let [first, second] = section.tools() else {
        return Ok(section.tools()[0]);
    };
    let has = |names: [&str; 2]| names.iter().any(|name| arguments.contains_key(*name));
    let (image, video) = (
        has(["image_url", "image_path"]),
        has(["video_url", "video_path"]),
    );
    match (
        arguments.contains_key("imagine"),
        arguments.contains_key("film"),
    ) {
        (true, _) => return Ok(second),
        (false, true) => return Ok(first),
        (false, false) => {}
    }
    // Names that both tools accept.
    let either = has(["url", "path"]);
    match (arguments.get("type").and_then(Value::as_str), video, image) {
        (Some("video") | None, true, false) => Ok(first),
        (Some("image" | "photo") | None, false, true) => Ok(second),
        (Some("video"), false, false) if either => Ok(first),
        (Some("image" | "photo"), false, false) if either => Ok(second),
        (Some(kind), _, _) => Err(format!(
            "`type` is {kind:?}; it must be \"video\" with `video_url`, or \"image\" with `image_url`"
        )),
        _ => Err("has neither `video_url` nor `image_url`: give exactly one, or `url` with `type: video` or `type: image`, or a description in `imagine` or `film`".to_owned()),
    }
}

/// Whether a value stands for no value, as in forms.
fn is_blank(value: &Value) -> bool {
    let word = value.as_str().map(|text| text.trim().to_lowercase());
    matches!(word.as_deref(), Some("" | "null" | "none" | "undefined"))
}

fn extra(key: &str, value: Value) -> Result<Value, String> {
    let shown = || shortened(&value.to_string()).into_owned();
    let word = value.as_str().map(|text| text.trim().to_lowercase());
    match (key, &value, word.as_deref()) {
        ("duration", _, Some(WHOLE)) => Ok(json!(WHOLE)),
        ("fit", _, Some("video")) => Ok(json!("video")),
        ("fit", ..) => Err(format!("is {}; the only value is \"video\"", shown())),
        ("loop" | "duck", Value::Bool(_), _) => Ok(value),
        ("loop" | "duck", _, Some("true" | "yes" | "on" | "1")) => Ok(json!(true)),
        ("loop" | "duck", _, Some("false" | "no" | "off" | "0")) => Ok(json!(false)),
        ("loop", ..) => Err(format!("is {}, which is not true or false", shown())),
        ("duck", ..) => duck_shape::read(&value),
        ("script", ..) => script::read(&value),
        ("say", ..) => generated_keys::read_say(&value),
        ("imagine" | "film", ..) => generated_keys::read_described(key, &value),
        ("seed", ..) => generated_keys::read_seed(&value),
        ("style" | "provider" | "language", ..) => generated_keys::read_word(key, &value),
        ("auto", _, Some("true" | "yes" | "on")) => Ok(json!(true)),
        ("auto", ..) => generated_keys::read_auto(&value),
        ("loudness_lufs", ..) => sound_keys::read_loudness(&value),
        ("jump_cut", _, Some("true" | "yes" | "on")) => Ok(json!(true)),
        ("jump_cut", ..) => sound_keys::read_jump_cut(&value),
        ("cut_on", ..) => sound_keys::read_cut_on(&value),
        ("duration", ..) => {
            let length = property::of(key).and_then(|time| time.value(&value));
            match length.filter(|length| *length > 0.0 && length.is_finite()) {
                Some(length) => Ok(json!(length)),
                None => Err(format!(
                    "is {}; it must be a length in seconds above 0, such as 2.5, \"1:30\" or \"1500ms\", or \"whole\" for the \
                     whole video",
                    shown()
                )),
            }
        }
        (_, Value::String(_), _) => Ok(value),
        (_, Value::Number(_), _) => Ok(json!(value.to_string())),
        _ => Err(format!("is {}, which is not text", shown())),
    }
}

/// Rounds to microseconds, the unit of the draft.
pub(super) fn round(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::layout::tests::laid_out;

    #[test]
    fn subtitles_are_named_by_their_file_or_their_first_words() {
        let words = r#"[{"text": "Good", "start": 2.18, "end": 2.5}, {"text": " day.\n", "start": 2.5, "end": 2.9}]"#;
        let cue = "1\n00:00:01,000 --> 00:00:02,000\nAn <b>old</b>\nhouse/home\n\n2\n00:00:02,000 --> 00:00:03,000\nx";
        let vtt = format!("WEBVTT\n\n{}", cue.replace(',', "."));
        let ass =
            "[Events]\nFormat: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,{\\b1}One\\Ntwo\n";
        for (item, expected) in [
            (
                json!({ "script": ["Hello\tthere.", "Bye."] }),
                "Hello there.",
            ),
            (json!({ "script": "你好，世界。" }), "你好，世界。"),
            (json!({ "words": words }), "Good day."),
            (
                json!({ "words": serde_json::from_str::<Value>(words).unwrap() }),
                "Good day.",
            ),
            (json!({ "srt": cue }), "An old house/home"),
            (
                json!({ "srt": cue.replace('\n', "\\n") }),
                "An old house/home",
            ),
            (json!({ "srt": vtt }), "An old house/home"),
            (json!({ "srt": ass }), "One two"),
            (json!({ "words": "/a b/talk.json" }), "talk.json"),
            (
                json!({ "srt": "https://me:secret@example.com/a/b.srt?token=1#x" }),
                "b.srt",
            ),
            (
                json!({ "srt": "https://me:secret@example.com/?token=1" }),
                "example.com",
            ),
            (json!({ "srt": "not/subtitles\nat all" }), "subtitles"),
        ] {
            let mut item = item;
            item["align_to"] = "voice".into();
            let items = laid_out(json!({
                "audio": [{ "audio_url": "/music", "id": "voice" }],
                "subtitles": [item],
            }));
            assert_eq!(items[1].content(), expected, "{item}");
        }
    }
}
