//! Where every item stands: starts and ends worked out before anything is created, without I/O.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::plan::{Plan, Section};
use crate::error::{Error, Result};
use crate::local;
use crate::tools::{Manner, Object, Spec};

/// The track of pictures whose plan names none: one for images and videos, so that they follow each other.
const VISUAL_TRACK: &str = "video_main";
const AUDIO_TRACK: &str = "audio_main";
/// How long an image is shown when the plan does not say, in seconds; the API's default.
const IMAGE_S: f64 = 3.0;
/// At most so many repetitions of a looped sound: a sound of a millisecond is a mistake.
const MOST_LOOPS: usize = 1000;

/// One call to be made for an item of the plan.
pub(crate) struct Item {
    pub section: Section,
    /// Where it stands in the plan: `visuals[3]`; `audio[0]#2` is the second turn of a loop.
    pub path: String,
    pub spec: &'static Spec,
    /// The arguments under their own names, without a draft.
    pub arguments: Object,
    extras: Object,
}

impl Item {
    fn number(&self, key: &str) -> Option<f64> {
        self.arguments.get(key).and_then(Value::as_f64)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.arguments.get(key).and_then(Value::as_str)
    }

    fn extra_number(&self, key: &str) -> Option<f64> {
        self.extras.get(key).and_then(Value::as_f64)
    }

    /// The media that it shows or plays, if it has one.
    pub(crate) fn source(&self) -> Option<&str> {
        ["video_url", "image_url", "audio_url"]
            .iter()
            .find_map(|key| self.text(key))
    }

    /// Whether its length follows from its media.
    pub(crate) fn needs_length(&self) -> bool {
        let open_end = self.number("end").is_none_or(|end| end <= 0.0);
        match self.section {
            Section::Audio => open_end || self.extras.contains_key("fit") || self.is_loop(),
            Section::Visuals => open_end && self.arguments.contains_key("video_url"),
            _ => false,
        }
    }

    fn is_loop(&self) -> bool {
        self.extras.get("loop").and_then(Value::as_bool) == Some(true)
    }

    pub(crate) fn track(&self) -> &str {
        self.text("track_name").unwrap_or_default()
    }
}

/// Reads every item as its tool's arguments; every fault of every item at once, each with its path.
pub(crate) fn decode(plan: &Plan) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut faults = Vec::new();
    for section in Section::ALL {
        for (index, given) in plan.section(section).iter().enumerate() {
            let path = format!("{}[{index}]", section.key());
            match decode_item(section, &path, given) {
                Ok(item) => items.push(item),
                Err(found) => faults.extend(found),
            }
        }
    }
    let ids: Vec<String> = items
        .iter()
        .filter_map(|item| Some(item.extras.get("id")?.as_str()?.to_owned()))
        .collect();
    for item in &items {
        if let Some(id) = item.extras.get("align_to").and_then(Value::as_str)
            && !ids.iter().any(|known| known == id)
        {
            faults.push(format!(
                "{}.align_to: no item has the id {id:?}; ids are: {}",
                item.path,
                if ids.is_empty() {
                    "none".to_owned()
                } else {
                    ids.join(", ")
                }
            ));
        }
    }
    if faults.is_empty() {
        Ok(items)
    } else {
        Err(Error::invalid(faults.join("\n")))
    }
}

fn decode_item(section: Section, path: &str, given: &Object) -> Result<Item, Vec<String>> {
    let mut arguments = given.clone();
    let mut extras = Object::new();
    let mut faults = Vec::new();
    let tool = match tool_of(section, &arguments) {
        Ok(tool) => tool,
        Err(fault) => return Err(vec![format!("{path}: {fault}")]),
    };
    for key in section.comforts() {
        // A video's own `duration` is an argument of the API; an image has none.
        if *key == "duration" && tool == "add_video" {
            continue;
        }
        if let Some(value) = arguments.shift_remove(*key) {
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
            "{path}.draft_id: a plan makes its own draft; leave it out"
        ));
    }
    if let Some(length) = extras.get("duration").and_then(Value::as_f64)
        && !arguments.contains_key("end")
        && section != Section::Visuals
    {
        let start = ["start", "start_time"]
            .iter()
            .find_map(|key| arguments.get(*key).and_then(Value::as_f64))
            .unwrap_or(0.0);
        arguments.insert("end".to_owned(), json!(start + length));
    }
    let spec = local::find(tool).ok_or_else(|| vec![format!("{path}: no tool `{tool}`")])?;
    match spec.decode(arguments, Manner::Strict) {
        Ok(request) if faults.is_empty() => {
            let mut arguments = request.call().arguments.clone();
            let track = match section {
                Section::Audio => Some(AUDIO_TRACK),
                Section::Visuals => Some(VISUAL_TRACK),
                _ => None,
            };
            if let Some(track) = track {
                arguments
                    .entry("track_name")
                    .or_insert_with(|| json!(track));
            }
            Ok(Item {
                section,
                path: path.to_owned(),
                spec,
                arguments,
                extras,
            })
        }
        Ok(_) => Err(faults),
        Err(error) => {
            faults.extend(error.message.lines().map(|line| at(path, line)));
            Err(faults)
        }
    }
}

/// "`transition`: …" of an item is `visuals[3].transition: …` of the plan.
fn at(path: &str, fault: &str) -> String {
    match fault
        .strip_prefix('`')
        .and_then(|rest| rest.split_once('`'))
    {
        Some((field, rest)) => format!("{path}.{field}{rest}"),
        None => format!("{path}: {fault}"),
    }
}

fn tool_of(section: Section, arguments: &Object) -> Result<&'static str, String> {
    let [first, second] = section.tools() else {
        return Ok(section.tools()[0]);
    };
    let image = arguments.contains_key("image_url") || arguments.contains_key("image_path");
    let video = arguments.contains_key("video_url") || arguments.contains_key("video_path");
    match (arguments.get("type").and_then(Value::as_str), video, image) {
        (Some("video") | None, true, false) => Ok(first),
        (Some("image" | "photo") | None, false, true) => Ok(second),
        (Some(kind), _, _) => Err(format!(
            "`type` is {kind:?}; it is \"video\" with `video_url`, or \"image\" with `image_url`"
        )),
        _ => Err("has neither `video_url` nor `image_url` (give exactly one)".to_owned()),
    }
}

fn extra(key: &str, value: Value) -> Result<Value, String> {
    match (key, &value) {
        ("id" | "type" | "align_to", Value::String(_)) | ("loop", Value::Bool(_)) => Ok(value),
        ("fit", Value::String(fit)) if fit == "video" => Ok(value),
        ("fit", _) => Err(format!("is {value}; the one way to fit is \"video\"")),
        ("loop", Value::String(text)) if text == "true" || text == "false" => {
            Ok(json!(text == "true"))
        }
        ("duration", _) => match value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok())
        {
            Some(length) if length > 0.0 && length.is_finite() => Ok(json!(length)),
            _ => Err(format!(
                "is {value}; a length in seconds is a number above 0"
            )),
        },
        _ => Err(format!("is {value}, which does not fit")),
    }
}

/// The lengths of media in seconds, by source: of the picture (or the file), and of the sound.
pub(crate) type Lengths = HashMap<String, (f64, f64)>;

/// Gives every item its start and end; looped sounds become one item a turn.
///
/// A medium of unknown length keeps its open end: the call tells what is wrong with it.
pub(crate) fn lay_out(mut items: Vec<Item>, lengths: &Lengths) -> Vec<Item> {
    let mut cursors: HashMap<String, f64> = HashMap::new();
    let mut pictures_end: f64 = 0.0;
    for item in items
        .iter_mut()
        .filter(|item| item.section == Section::Visuals)
    {
        let cursor = cursors.entry(item.track().to_owned()).or_default();
        *cursor = place_visual(item, *cursor, lengths);
        pictures_end = pictures_end.max(*cursor);
    }
    let mut cursors: HashMap<String, f64> = HashMap::new();
    let mut out = Vec::with_capacity(items.len());
    let mut starts: HashMap<String, f64> = HashMap::new();
    for item in items {
        if item.section == Section::Audio {
            let cursor = cursors.entry(item.track().to_owned()).or_default();
            let (placed, end) = place_audio(item, *cursor, pictures_end, lengths);
            *cursor = end;
            out.extend(placed);
        } else {
            out.push(item);
        }
        if let Some(item) = out.last()
            && let Some(id) = item.extras.get("id").and_then(Value::as_str)
        {
            let start = item
                .number("target_start")
                .or_else(|| item.number("start"))
                .unwrap_or(0.0);
            starts.entry(id.to_owned()).or_insert(start);
        }
    }
    for item in out
        .iter_mut()
        .filter(|item| item.section == Section::Subtitles)
    {
        if let Some(start) = item
            .extras
            .get("align_to")
            .and_then(Value::as_str)
            .and_then(|id| starts.get(id))
        {
            let offset = item.number("time_offset").unwrap_or(0.0);
            item.arguments
                .insert("time_offset".to_owned(), json!(offset + start));
        }
    }
    out
}

fn place_visual(item: &mut Item, cursor: f64, lengths: &Lengths) -> f64 {
    if item.arguments.contains_key("image_url") {
        let start = item.number("start").unwrap_or(cursor);
        let end = match (item.number("end"), item.extra_number("duration")) {
            (Some(end), _) => end,
            (None, length) => start + length.unwrap_or(IMAGE_S),
        };
        item.arguments.insert("start".to_owned(), json!(start));
        item.arguments.insert("end".to_owned(), json!(end));
        return end;
    }
    let target = item.number("target_start").unwrap_or(cursor);
    item.arguments
        .insert("target_start".to_owned(), json!(target));
    let start = item.number("start").unwrap_or(0.0);
    let length = item
        .source()
        .and_then(|source| lengths.get(source))
        .map(|l| l.0);
    let end = match (item.number("end").filter(|end| *end > 0.0), length) {
        (Some(end), Some(length)) => Some(end.min(length)),
        (end, length) => end.or(length),
    };
    let Some(end) = end else { return target };
    item.arguments.insert("end".to_owned(), json!(end));
    target + (end - start) / speed(item)
}

fn speed(item: &Item) -> f64 {
    item.number("speed")
        .filter(|speed| *speed > 0.0)
        .unwrap_or(1.0)
}

fn place_audio(
    mut item: Item,
    cursor: f64,
    pictures_end: f64,
    lengths: &Lengths,
) -> (Vec<Item>, f64) {
    let target = item.number("target_start").unwrap_or(cursor);
    item.arguments
        .insert("target_start".to_owned(), json!(target));
    let start = item.number("start").unwrap_or(0.0);
    let length = item
        .source()
        .and_then(|source| lengths.get(source))
        .map(|l| l.1);
    let end = match (item.number("end").filter(|end| *end > 0.0), length) {
        (Some(end), Some(length)) => Some(end.min(length)),
        (end, length) => end.or(length),
    };
    let Some(end) = end else {
        return (vec![item], target);
    };
    let speed = speed(&item);
    let once = (end - start) / speed;
    let fit = item.extras.contains_key("fit") || item.is_loop();
    let stop = if fit && pictures_end > target {
        pictures_end
    } else {
        target + once
    };
    item.arguments.insert("end".to_owned(), json!(end));
    if once <= 0.0 {
        return (vec![item], target);
    }
    let turns = if item.is_loop() {
        (((stop - target) / once - 1e-6).ceil().max(1.0) as usize).min(MOST_LOOPS)
    } else {
        1
    };
    let mut out = Vec::with_capacity(turns);
    let mut at = target;
    for turn in 0..turns {
        let mut arguments = item.arguments.clone();
        let played = once.min(stop - at);
        arguments.insert("target_start".to_owned(), json!(round(at)));
        arguments.insert("end".to_owned(), json!(round(start + played * speed)));
        // The sound as a whole fades, not each turn of it.
        if turn > 0 {
            arguments.shift_remove("fade_in");
        }
        if turn + 1 < turns {
            arguments.shift_remove("fade_out");
        }
        let path = if turns == 1 {
            item.path.clone()
        } else {
            format!("{}#{}", item.path, turn + 1)
        };
        out.push(Item {
            section: item.section,
            path,
            spec: item.spec,
            arguments,
            extras: if turn == 0 {
                item.extras.clone()
            } else {
                Object::new()
            },
        });
        at += played;
    }
    (out, at)
}

/// To the microsecond, the draft's own grid.
fn round(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}
