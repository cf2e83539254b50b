//! Computes the start and end of every item before anything is created, without I/O.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::plan::{Plan, Section};
use crate::args::property;
use crate::error::shortened;
use crate::local;
use crate::tools::{Object, Spec};
use crate::units::Micros;

/// The default duration of an image in seconds; the API's default.
const IMAGE_S: f64 = 3.0;
/// Tolerance for the overlap of consecutive items, in microseconds (rounding to the grid).
const ROUNDING: i64 = 1;
/// The `duration` of an item that is shown for the whole video.
const WHOLE: &str = "whole";
/// Shorter differences on the timeline get no note, in seconds.
const NOTED: f64 = 0.1;
/// The most repetitions of a looped sound; more are a mistake, such as a sound of a millisecond.
const MOST_LOOPS: usize = 1000;

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
    extras: Object,
}

impl Item {
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.arguments.get(key).and_then(Value::as_f64)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.arguments.get(key).and_then(Value::as_str)
    }

    fn extra_number(&self, key: &str) -> Option<f64> {
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
            let path = path
                .split(['?', '#'])
                .next()
                .filter(|_| path.contains("://"))
                .unwrap_or(path);
            path.rsplit(['/', '\\'])
                .find(|name| !name.is_empty())
                .map(str::to_owned)
        };
        let words = |key: &str| {
            let words: Vec<&str> = self.text(key)?.split_whitespace().collect();
            Some(words.join(" "))
        };
        match self.section {
            Section::Audio => file("audio_url"),
            Section::Visuals => file("video_url").or_else(|| file("image_url")),
            Section::Texts => words("text"),
            Section::Subtitles => match self.text("srt") {
                Some(srt) if srt.trim().contains('\n') => Some("subtitles".to_owned()),
                _ => file("srt"),
            },
            Section::Stickers => words("sticker_id"),
            Section::Effects => words("effect_type"),
            Section::Keyframes => words("property_type"),
        }
        .unwrap_or_default()
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
    fn ends_at(&mut self, length: Option<f64>) -> Option<f64> {
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
    fn is_whole(&self) -> bool {
        self.extras.get("duration").and_then(Value::as_str) == Some(WHOLE)
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
    fn start_in_file(&self) -> Option<f64> {
        let is_video = self.arguments.contains_key("video_url");
        self.number("start")
            .filter(|start| is_video && *start > 0.0 && self.follows)
    }

    fn is_loop(&self) -> bool {
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
    fn number_or_default(&self, key: &str) -> Option<f64> {
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

/// Reads every item as its tool's arguments. Also returns all problems of all items, each with its path.
pub(crate) fn decode(plan: &Plan) -> (Vec<Item>, Vec<String>) {
    let mut items = Vec::new();
    let mut faults = Vec::new();
    for section in Section::ALL {
        for (index, given) in plan.section(section).iter().enumerate() {
            let path = format!("{}[{index}]", section.key());
            match decode_item(section, &path, given) {
                Ok(mut item) => {
                    item.place = items.len();
                    items.push(item);
                }
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
                "{}.align_to: no item has the id {id:?}; the ids are: {}",
                item.path,
                if ids.is_empty() {
                    "none".to_owned()
                } else {
                    ids.join(", ")
                }
            ));
        }
    }
    (items, faults)
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
    let spec = local::find(tool).ok_or_else(|| vec![format!("{path}: no tool `{tool}`")])?;
    match spec.mend_item(&mut arguments) {
        Ok(notes) if faults.is_empty() => {
            if matches!(section, Section::Audio | Section::Visuals) {
                arguments
                    .entry("track_name")
                    .or_insert_with(|| json!(section.track()));
            }
            let mut item = Item {
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
    // Names that both tools accept.
    let either = has(["url", "path"]);
    match (arguments.get("type").and_then(Value::as_str), video, image) {
        (Some("video") | None, true, false) => Ok(first),
        (Some("image" | "photo") | None, false, true) => Ok(second),
        (Some("video"), false, false) if either => Ok(first),
        (Some("image" | "photo"), false, false) if either => Ok(second),
        (Some(kind), _, _) => Err(format!(
            "`type` is {kind:?}; it is \"video\" with `video_url`, or \"image\" with `image_url`"
        )),
        _ => Err("has neither `video_url` nor `image_url` (give exactly one)".to_owned()),
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
        ("loop", Value::Bool(_), _) => Ok(value),
        ("loop", _, Some("true" | "yes" | "on" | "1")) => Ok(json!(true)),
        ("loop", _, Some("false" | "no" | "off" | "0")) => Ok(json!(false)),
        ("loop", ..) => Err(format!("is {}, which is not true or false", shown())),
        ("duration", ..) => {
            let length = property::of(key).and_then(|time| time.value(&value));
            match length.filter(|length| *length > 0.0 && length.is_finite()) {
                Some(length) => Ok(json!(length)),
                None => Err(format!(
                    "is {}; it is a length in seconds above 0, such as 2.5, \"1:30\" or \"1500ms\", or \"whole\" for the \
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

/// The lengths of media in seconds, by source: of the picture (or the file) and of the sound.
pub(crate) type Lengths = HashMap<String, (f64, f64)>;

/// The start of the next item of a track that has no time.
#[derive(Clone, Copy)]
struct Cursor {
    at: f64,
    /// Whether all items before it have a known length.
    sure: bool,
}

/// Sets the start and end of every item; a looped sound becomes one item per repetition.
///
/// Media of unknown length keep an open end: the call reports the problem. Unless `all` items are given, positions that
/// follow from other items are not sure.
pub(crate) fn lay_out(mut items: Vec<Item>, lengths: &Lengths, all: bool) -> Vec<Item> {
    let begin = Cursor { at: 0.0, sure: all };
    let mut cursors: HashMap<String, Cursor> = HashMap::new();
    let mut pictures = begin;
    for item in items
        .iter_mut()
        .filter(|item| item.section == Section::Visuals)
    {
        // An item that is shown for the whole video does not define its length.
        if item.is_whole() {
            continue;
        }
        let cursor = cursors.entry(item.track().to_owned()).or_insert(begin);
        *cursor = place_visual(item, *cursor, lengths);
        pictures.at = pictures.at.max(cursor.at);
        pictures.sure &= cursor.sure;
    }
    // If the only picture is shown for the whole video, the sounds define the length.
    let whole = if pictures.at > 0.0 {
        pictures
    } else {
        end_of_sounds(&items, lengths, begin)
    };
    if pictures.at <= 0.0 && items.iter().any(|item| item.section == Section::Visuals) {
        pictures = whole;
    }
    for item in &mut items {
        match item.section {
            Section::Visuals if !item.is_whole() => {}
            Section::Visuals | Section::Texts | Section::Stickers | Section::Effects => {
                let track = item.track().to_owned();
                let cursor = cursors.entry(track).or_insert(begin);
                *cursor = place_shown(item, *cursor, whole);
            }
            Section::Subtitles | Section::Audio | Section::Keyframes => {}
        }
    }
    let mut cursors: HashMap<String, Cursor> = HashMap::new();
    let mut out = Vec::with_capacity(items.len());
    let mut starts: HashMap<String, f64> = HashMap::new();
    for item in items {
        let first = out.len();
        if item.section == Section::Audio {
            let cursor = cursors.entry(item.track().to_owned()).or_insert(begin);
            out.extend(place_audio(item, cursor, pictures, lengths));
        } else {
            out.push(item);
        }
        if let Some(item) = out.get(first)
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

fn place_visual(item: &mut Item, cursor: Cursor, lengths: &Lengths) -> Cursor {
    let is_image = item.arguments.contains_key("image_url");
    let key = if is_image { "start" } else { "target_start" };
    let given = item.number(key);
    let at = given.unwrap_or(cursor.at);
    item.follows = given.is_none();
    item.open_place = given.is_none() && !cursor.sure;
    item.arguments.insert(key.to_owned(), json!(at));
    let end = if is_image {
        let end = item.number("end");
        let end = end.unwrap_or(at + item.extra_number("duration").unwrap_or(IMAGE_S));
        item.arguments.insert("end".to_owned(), json!(end));
        Some(end)
    } else {
        let start = item.number("start").unwrap_or(0.0);
        item.ends_at(lengths.get(item.source().unwrap_or_default()).map(|l| l.0))
            .map(|end| at + (end - start) / speed(item))
    };
    let cursor = Cursor {
        at: end.unwrap_or(at),
        sure: end.is_some() && (given.is_some() || cursor.sure),
    };
    item.span = cursor.sure.then_some((at, cursor.at));
    cursor
}

/// The end of the sounds that do not depend on the pictures.
fn end_of_sounds(items: &[Item], lengths: &Lengths, begin: Cursor) -> Cursor {
    let mut cursors: HashMap<&str, Cursor> = HashMap::new();
    let mut end = begin;
    for item in items.iter().filter(|item| item.section == Section::Audio) {
        if item.extras.contains_key("fit") || item.is_loop() {
            continue;
        }
        let cursor = cursors.entry(item.track()).or_insert(begin);
        for placed in place_audio(item.clone(), cursor, begin, lengths) {
            end.sure &= placed.span.is_some();
        }
        end.at = end.at.max(cursor.at);
    }
    end
}

/// Places a text, a sticker or an effect, or a picture that is shown for the whole video.
fn place_shown(item: &mut Item, cursor: Cursor, whole: Cursor) -> Cursor {
    let given = item.number("start");
    let is_whole = item.is_whole();
    let fits = item.number("end").is_none_or(|end| end > cursor.at);
    // The start follows from an end and a length.
    let said = item.number("end").zip(item.extra_number("duration"));
    let given = given.or_else(|| said.map(|(end, length)| (end - length).max(0.0)));
    let start = given.unwrap_or(if is_whole || !fits { 0.0 } else { cursor.at });
    item.follows = given.is_none() && !is_whole;
    let end = match item.number("end") {
        Some(end) => end,
        None if is_whole => whole.at.max(start),
        None => {
            let usual = item.number_or_default("end").unwrap_or(IMAGE_S);
            start + item.extra_number("duration").unwrap_or(usual)
        }
    };
    let sure = (!item.follows || cursor.sure) && (!is_whole || whole.sure);
    item.open_place = !sure;
    item.arguments
        .insert("start".to_owned(), json!(round(start)));
    item.arguments.insert("end".to_owned(), json!(round(end)));
    item.span = sure.then_some((start, end));
    Cursor { at: end, sure }
}

fn speed(item: &Item) -> f64 {
    item.number("speed")
        .filter(|speed| *speed > 0.0)
        .unwrap_or(1.0)
}

fn place_audio(
    mut item: Item,
    cursor: &mut Cursor,
    pictures: Cursor,
    lengths: &Lengths,
) -> Vec<Item> {
    let given = item.number("target_start");
    let target = given.unwrap_or(cursor.at);
    item.follows = given.is_none();
    item.open_place = given.is_none() && !cursor.sure;
    item.arguments
        .insert("target_start".to_owned(), json!(target));
    let start = item.number("start").unwrap_or(0.0);
    let speed = speed(&item);
    let end = item.ends_at(lengths.get(item.source().unwrap_or_default()).map(|l| l.1));
    let once = end.map_or(0.0, |end| (end - start) / speed);
    let fits = item.extras.contains_key("fit") || item.is_loop();
    let sure = end.is_some() && (given.is_some() || cursor.sure) && (!fits || pictures.sure);
    *cursor = Cursor { at: target, sure };
    if once <= 0.0 {
        // Nothing to repeat or cut: the end is open, or before the start, which the check reports.
        return vec![item];
    }
    let stop = if fits && pictures.at > target {
        pictures.at
    } else {
        target + once
    };
    let turns = if item.is_loop() {
        (((stop - target) / once - 1e-6).ceil().max(1.0) as usize).min(MOST_LOOPS)
    } else {
        1
    };
    let mut out = Vec::with_capacity(turns);
    for turn in 0..turns {
        let mut turned = item.clone();
        let at = cursor.at;
        let played = once.min(stop - at);
        let arguments = &mut turned.arguments;
        arguments.insert("target_start".to_owned(), json!(round(at)));
        arguments.insert("end".to_owned(), json!(round(start + played * speed)));
        // The fades apply to the sound as a whole, not to each repetition.
        if turn > 0 {
            arguments.shift_remove("fade_in");
            turned.extras.clear();
            turned.notes.clear();
        }
        if turn + 1 < turns {
            arguments.shift_remove("fade_out");
        }
        if turns > 1 {
            turned.path = format!("{}#{}", item.path, turn + 1);
        }
        cursor.at += played;
        turned.span = sure.then_some((at, cursor.at));
        out.push(turned);
    }
    out
}

/// Notes about unexpected layouts: gaps without a picture, and sounds that are longer than the pictures.
pub(crate) fn notes(items: &[Item]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut pictures: Vec<(f64, f64, &Item)> = Vec::new();
    for item in items.iter().filter(|item| item.section == Section::Visuals) {
        match item.span {
            Some((start, end)) => pictures.push((start, end, item)),
            None => return notes,
        }
    }
    pictures.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some(end) = pictures.iter().map(|(_, end, _)| *end).reduce(f64::max) else {
        return notes;
    };
    let mut shown_until = 0.0;
    let mut before: Option<&Item> = None;
    for (start, end, item) in &pictures {
        if *start > shown_until + NOTED {
            let mut note = format!(
                "nothing is shown from {} s to {} s",
                round(shown_until),
                round(*start)
            );
            let misread = [before, Some(*item)].into_iter().flatten();
            for (video, start) in misread.filter_map(|item| Some((item, item.start_in_file()?))) {
                note += &start_is_of_file(video, start);
            }
            notes.push(format!("{}: {note}", item.path));
        } else if let Some(start) = item.start_in_file()
            && (start - item.span.map_or(0.0, |span| span.0)).abs() < NOTED
        {
            // It is equal to the time at which the item starts anyway, so it was meant for the timeline.
            notes.push(format!(
                "{}: {}",
                item.path,
                start_is_of_file(item, start).trim_start_matches("; ")
            ));
        }
        if *end > shown_until {
            shown_until = *end;
            before = Some(item);
        }
    }
    let sounds = items.iter().filter(|item| item.section == Section::Audio);
    let longest = sounds
        .filter_map(|item| Some((item, item.span?.1)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((sound, until)) = longest.filter(|(_, until)| *until > end + NOTED) {
        notes.push(format!(
            "{}: plays until {} s, {} s longer than the pictures, which end at {} s; `fit: \"video\"` ends it with the pictures",
            sound.plan_path(),
            round(until),
            round(until - end),
            round(end)
        ));
    }
    notes
}

fn start_is_of_file(video: &Item, start: f64) -> String {
    let at = video.span.map_or(0.0, |span| span.0);
    format!(
        "; `start` of {} ({start} s) is the start in its file, and the video is shown from {} s on: `at` sets the time \
         on the timeline",
        video.path,
        round(at)
    )
}

/// Problems of the layout: two items at the same time on one track, two kinds of items on one track.
pub(crate) fn conflicts<'a>(items: impl IntoIterator<Item = &'a Item> + Clone) -> Vec<String> {
    let mut faults = Vec::new();
    let whole = items.clone().into_iter().filter(|item| item.is_whole());
    for item in whole.filter(|item| item.span.is_some_and(|(start, end)| end <= start)) {
        faults.push(format!(
            "{}.duration: no picture or sound of the plan sets the length of the whole video: give seconds",
            item.path
        ));
    }
    let mut tracks: HashMap<&str, Vec<&Item>> = HashMap::new();
    for item in items
        .into_iter()
        .filter(|item| item.section.holds().is_some())
    {
        let on_track = tracks.entry(item.track()).or_default();
        if let Some(first) = on_track.first()
            && first.section.holds() != item.section.holds()
        {
            faults.push(format!(
                "{}.track_name: track `{}` already has {} ({}): give another name",
                item.path,
                item.track(),
                first.section.holds().unwrap_or_default(),
                first.path
            ));
        } else {
            on_track.push(item);
        }
    }
    let mut overlaps: Vec<(usize, String)> = Vec::new();
    for (track, on_track) in tracks {
        let mut spans: Vec<(Micros, Micros, &Item)> = on_track
            .into_iter()
            .filter_map(|item| {
                let (start, end) = item.span?;
                let (start, end) = (Micros::from_seconds(start), Micros::from_seconds(end));
                (start < end).then_some((start, end, item))
            })
            .collect();
        spans.sort_by_key(|(start, end, _)| (*start, *end));
        let mut occupied: Option<(Micros, Micros, &Item)> = None;
        for span in spans {
            let (start, end, item) = span;
            if let Some((from, until, other)) = occupied
                && until.0 - start.0 > ROUNDING
            {
                let (later, earlier) = if item.place >= other.place {
                    ((item, start, end), (other, from, until))
                } else {
                    ((other, from, until), (item, start, end))
                };
                overlaps.push((
                    later.0.place,
                    format!(
                        "{}: {} to {} was requested, but track `{track}` is occupied by {} from {} to {}; give another time or `track_name`",
                        later.0.path, later.1, later.2, earlier.0.path, earlier.1, earlier.2
                    ),
                ));
            }
            if occupied.is_none_or(|(_, until, _)| until < end) {
                occupied = Some(span);
            }
        }
    }
    overlaps.sort();
    faults.extend(overlaps.into_iter().map(|(_, fault)| fault));
    faults
}

/// Rounds to microseconds, the unit of the draft.
fn round(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The items of a plan in which `clip` is 4 s long, with a sound of 3 s, and `music` 10 s.
    fn laid_out(plan: Value) -> Vec<Item> {
        let plan = Plan::from_value(
            &plan,
            &super::super::source::Places::default(),
            &std::collections::BTreeMap::new(),
            None,
        )
        .unwrap();
        let (items, faults) = decode(&plan);
        assert_eq!(faults, [""; 0]);
        let lengths = [("/clip", (4.0, 3.0)), ("/music", (10.0, 10.0))];
        let lengths = lengths.map(|(source, both)| (source.to_owned(), both));
        lay_out(items, &Lengths::from(lengths), true)
    }

    fn spans(items: &[Item]) -> Vec<(&str, Option<(f64, f64)>)> {
        items
            .iter()
            .map(|item| (item.path.as_str(), item.span))
            .collect()
    }

    #[test]
    fn items_without_a_time_follow_the_previous_item_on_their_track() {
        let items = laid_out(json!({ "visuals": [
            { "video_url": "/clip" },
            { "image_url": "/a.png" },
            { "video_url": "/clip", "start": 1, "duration": 2, "speed": 2 },
            { "image_url": "/a.png", "track_name": "over", "duration": 1.5 },
            { "image_url": "/a.png", "start": 20, "end": 21 },
            { "video_url": "/clip", "end": 9 },
            { "image_url": "/a.png", "track_name": "over" },
        ]}));
        let expected = [
            (0.0, 4.0),
            (4.0, 7.0),
            (7.0, 8.0),
            (0.0, 1.5),
            (20.0, 21.0),
            (21.0, 25.0),
            (1.5, 4.5),
        ];
        let found: Vec<_> = items.iter().filter_map(|item| item.span).collect();
        assert_eq!(found, expected);
        assert_eq!(items[2].arguments["end"], 3.0, "a second from 1 to 3");
    }

    #[test]
    fn texts_stickers_and_effects_without_a_time_follow_each_other() {
        let items = laid_out(json!({
            "texts": [
                { "text": "a" },
                { "text": "b", "duration": 2 },
                { "text": "c", "start": 20 },
                { "text": "d", "end": 30 },
                { "text": "e", "track_name": "other", "duration": 1 },
                { "text": "f", "end": 3, "track_name": "other" },
                { "text": "g", "end": 0.5, "track_name": "third" },
            ],
            "stickers": [{ "sticker_id": "1", "duration": 1.5 }, { "sticker_id": "2", "end": 4 }],
            "effects": [{ "effect_type": "x", "duration": 1 }, { "effect_type": "y" }],
        }));
        let found: Vec<_> = items.iter().filter_map(|item| item.span).collect();
        let expected = [
            (0.0, 5.0),
            (5.0, 7.0),
            (20.0, 25.0),
            (25.0, 30.0),
            (0.0, 1.0),
            (1.0, 3.0),
            (0.0, 0.5),
            (0.0, 1.5),
            (1.5, 4.0),
            (0.0, 1.0),
            (1.0, 4.0),
        ];
        assert_eq!(found, expected);
        assert_eq!(items[1].arguments["start"], 5.0);
        let items = laid_out(json!({ "texts": [
            { "text": "a", "at": "0:01", "duration": "1500ms" },
            { "text": "b", "duration": "0:02" },
            { "text": "c", "end": 9, "duration": 2 },
            { "text": "d", "start": 9, "end": 10, "duration": 1 },
            { "text": "e", "duration": "" },
        ]}));
        let found: Vec<_> = items.iter().filter_map(|item| item.span).collect();
        assert_eq!(
            found,
            [
                (1.0, 2.5),
                (2.5, 4.5),
                (7.0, 9.0),
                (9.0, 10.0),
                (10.0, 15.0)
            ]
        );
        assert_eq!(conflicts(&items), [""; 0]);
    }

    #[test]
    fn invalid_lengths_are_refused() {
        let check = |item: Value, expected: &str| {
            let plan = json!({ "texts": [item] });
            let places = super::super::source::Places::default();
            let plan = Plan::from_value(&plan, &places, &std::collections::BTreeMap::new(), None);
            let (_, faults) = decode(&plan.unwrap());
            assert!(
                faults.iter().any(|fault| fault.contains(expected)),
                "{faults:?}"
            );
        };
        check(
            json!({ "text": "a", "duration": "long" }),
            "texts[0].duration: is \"long\"; it is a length in seconds",
        );
        check(
            json!({ "text": "a", "duration": -1 }),
            "is -1; it is a length",
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

    #[test]
    fn items_accept_the_names_for_times_that_calls_accept() {
        let items = laid_out(json!({ "visuals": [
            { "video_url": "/clip", "source_start": 1, "source_end": 3 },
            { "image_url": "/a.png", "at": 5, "duration": 1 },
            { "video_url": "/clip", "at": 8, "source_start": "1s", "duration": 2 },
        ]}));
        let found: Vec<_> = items.iter().filter_map(|item| item.span).collect();
        assert_eq!(found, [(0.0, 2.0), (5.0, 6.0), (8.0, 10.0)]);
    }

    #[test]
    fn items_shown_for_the_whole_video_end_with_the_pictures() {
        let items = laid_out(json!({
            "visuals": [{ "video_url": "/clip" }, { "image_url": "/a.png", "duration": 6 },
                { "image_url": "/b.png", "track_name": "mark", "duration": "whole" }],
            "texts": [{ "text": "a", "duration": "Whole" }, { "text": "b", "start": 2, "duration": "whole", "track_name": "t" }],
            "stickers": [{ "sticker_id": "1", "duration": "whole" }],
            "effects": [{ "effect_type": "x", "duration": "whole" }],
        }));
        let found: Vec<_> = items[2..].iter().filter_map(|item| item.span).collect();
        assert_eq!(
            found,
            [
                (0.0, 10.0),
                (0.0, 10.0),
                (2.0, 10.0),
                (0.0, 10.0),
                (0.0, 10.0)
            ]
        );
        // One picture for a whole song.
        let items = laid_out(json!({
            "audio": [{ "audio_url": "/music" }, { "audio_url": "/clip", "loop": true, "track_name": "b" }],
            "visuals": [{ "image_url": "/a.png", "duration": "whole" }],
        }));
        assert_eq!(items.last().unwrap().span, Some((0.0, 10.0)));
        assert_eq!(
            items[4].span,
            Some((9.0, 10.0)),
            "the loop ends with the picture"
        );
        assert_eq!(notes(&items), [""; 0]);
        let items = laid_out(json!({ "texts": [{ "text": "a", "duration": "whole" }] }));
        assert!(conflicts(&items)[0].contains("the length of the whole video"));
    }

    #[test]
    fn gaps_and_sounds_longer_than_the_pictures_are_noted() {
        let check = |plan: Value, expected: &[&str]| {
            let items = laid_out(plan);
            let found = notes(&items);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (note, part) in found.iter().zip(expected) {
                assert!(note.contains(part), "{part}: {note}");
            }
        };
        let clip =
            |start: f64, end: f64| json!({ "video_url": "/clip", "start": start, "end": end });
        let image = |start: f64| json!({ "image_url": "/a.png", "start": start, "duration": 1 });
        check(
            json!({ "visuals": [clip(0.0, 2.0), clip(1.0, 2.0), image(3.0)] }),
            &[],
        );
        check(
            json!({ "visuals": [image(0.0), clip(3.0, 4.0), image(4.0)] }),
            &[
                "visuals[2]: nothing is shown from 2 s to 4 s; `start` of visuals[1] (3 s) is the start in its file",
            ],
        );
        check(
            json!({ "visuals": [clip(0.0, 2.0), clip(2.0, 4.0)] }),
            &["visuals[1]: `start` of visuals[1] (2 s) is the start in its file"],
        );
        check(
            json!({ "visuals": [image(1.0)] }),
            &["visuals[0]: nothing is shown from 0 s to 1 s"],
        );
        check(
            json!({ "visuals": [image(0.0)], "audio": [{ "audio_url": "/music" }] }),
            &["audio[0]: plays until 10 s, 9 s longer than the pictures"],
        );
        check(
            json!({ "visuals": [image(0.0)], "audio": [{ "audio_url": "/music", "fit": "video" }] }),
            &[],
        );
        check(json!({ "audio": [{ "audio_url": "/music" }] }), &[]);
    }

    #[test]
    fn sounds_fit_the_pictures_and_are_repeated_until_their_end() {
        let items = laid_out(json!({
            "visuals": [{ "image_url": "/a.png", "duration": 7 }],
            "audio": [
                { "audio_url": "/music", "fit": "video", "track_name": "a" },
                { "audio_url": "/clip", "loop": true, "fade_in": 1, "fade_out": 0.5, "track_name": "b", "id": "voice" },
                { "audio_url": "/clip", "duration": 1, "track_name": "c", "target_start": 2 },
                { "audio_url": "/clip", "track_name": "c" },
            ],
            "subtitles": [{ "srt": "1\n00:00:00,000 --> 00:00:01,000\nx", "align_to": "voice", "time_offset": 0.25 }],
        }));
        let found = spans(&items);
        assert_eq!(
            found[..6],
            [
                ("audio[0]", Some((0.0, 7.0))),
                ("audio[1]#1", Some((0.0, 3.0))),
                ("audio[1]#2", Some((3.0, 6.0))),
                ("audio[1]#3", Some((6.0, 7.0))),
                ("audio[2]", Some((2.0, 3.0))),
                ("audio[3]", Some((3.0, 6.0))),
            ]
        );
        let faded = |index: usize| {
            let arguments = &items[index].arguments;
            (
                arguments.contains_key("fade_in"),
                arguments.contains_key("fade_out"),
            )
        };
        assert_eq!(
            [faded(1), faded(2), faded(3)],
            [(true, false), (false, false), (false, true)]
        );
        let subtitles = items.last().unwrap();
        assert_eq!(subtitles.arguments["time_offset"], 0.25);
    }

    #[test]
    fn after_an_unknown_length_positions_are_open_until_a_time_is_given() {
        let items = laid_out(json!({
            "visuals": [
                { "video_url": "/unknown" },
                { "image_url": "/a.png" },
                { "image_url": "/a.png", "start": 5, "end": 6 },
            ],
            "audio": [{ "audio_url": "/music", "fit": "video" }],
        }));
        let found: Vec<_> = items.iter().map(|item| item.span).collect();
        assert_eq!(found, [None, None, None, Some((5.0, 6.0))]);
        assert_eq!(conflicts(&items), [""; 0]);
    }

    #[test]
    fn adjacent_items_do_not_overlap() {
        let third = 1.0 / 3.0;
        let check = |start: f64, faults: usize| {
            let items = laid_out(json!({ "texts": [
                { "text": "a", "start": 0, "end": third }, { "text": "b", "start": start, "end": 1 },
            ]}));
            assert_eq!(conflicts(&items).len(), faults, "{start}");
        };
        check(third, 0);
        check(0.333_333, 0);
        check(0.333, 1);
        check(0.0, 1);
    }
}
