//! Operations on a draft, in words of the timeline.
//!
//! All operations of a list are applied, or none. Times are in seconds; an operation writes times that fall on frames,
//! rounded down, and leaves all others as they are.

mod arrange;
mod beats;
mod copies;
mod cut;
pub(crate) mod easing;
mod letters;
mod levels;
pub(crate) mod look;
mod media;
pub(crate) mod motion;
mod motions;
mod named;
pub(crate) mod parts;
mod pauses;
pub(crate) mod picture;
mod repeat;
pub(crate) mod session;
pub(crate) mod sound;
mod together;
mod tracks;
pub(crate) mod whole;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::document::Document;
use crate::edit::Step;
use crate::error::{Error, ErrorKind, Result, nearest, quoted_list};
use crate::property::Property;
use crate::resource::{NoResources, Resources};
use crate::select::{ClipSelector, Time};
use session::Session;

pub use easing::Easing;
pub use levels::{LOUDNESS_RANGE, SoundPart, VolumeForLoudness};
pub use media::{MediaFile, MediaFileKind};
pub use named::TextEffectKind;
pub use pauses::{PauseRule, kept_frames, merged_cuts, pauses_to_cut, without_short_pieces};
pub use picture::is_adjustment;
pub use together::{DuckShape, ducked, multiplied};
pub use whole::{Cover, FRAME_RATES, Marker};

/// A change of a draft, as JSON: `{"op": "move", "clip": "c3", "at": 4.5}`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Operation {
    /// Sets properties of a clip, or of all clips of a track.
    Set(Set),
    /// Replaces the file of a clip; place and look stay.
    ReplaceMedia(Box<ReplaceMedia>),
    /// Replaces the words of a text; styles stay.
    ReplaceText(ReplaceText),
    /// Moves a clip to another time or track.
    Move(Move),
    /// Moves everything that starts at a time or later.
    Shift(Shift),
    /// Moves the edges of a clip.
    Trim(Trim),
    /// Cuts a clip in two.
    Split(Split),
    /// Removes a clip, or all clips of a track.
    Remove(Remove),
    /// Copies a clip.
    Duplicate(Duplicate),
    /// Animates a property.
    AddKeyframes(AddKeyframes),
    /// Removes keyframes.
    ClearKeyframes(ClearKeyframes),
    /// Removes the transition, effects, mask or animations of a clip.
    Clear(Clear),
    /// Changes or removes a track.
    Track(TrackChange),
    /// Sets the size of the canvas.
    Canvas(Canvas),
    /// Sets the name in the document.
    Rename(Rename),
    /// Sets what the draft is as a whole: frame rate, size, magnet, cover, markers.
    Settings(Box<Settings>),
    /// Adds markers to the timeline.
    AddMarkers(AddMarkers),
    /// Makes clips a group, which moves as one.
    Group(Group),
    /// Dissolves the group of a clip.
    Ungroup(Ungroup),
    /// Shows one frame of a video for a while.
    Freeze(Box<Freeze>),
    /// Makes the sound of a video a clip of its own, and mutes the video.
    SplitAudio(SplitAudio),
    /// Lowers clips while others sound.
    Duck(Duck),
    /// Fades the whole video.
    Fade(Fade),
    /// Sets how loud clips are on average.
    Loudness(Loudness),
    /// Cuts the pauses out of speech.
    JumpCut(JumpCut),
    /// Ends clips on beats of music.
    CutOn(CutOn),
}

macro_rules! operation_structs {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
            #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $($(#[$field_meta])* pub $field: $type,)*
            }

            impl $name {
                const KEYS: &'static [&'static str] = &[$(stringify!($field)),*];
            }
        )*
    };
}

operation_structs! {
    /// `replace_media`: the caller measured the file.
    ReplaceMedia {
        clip: ClipSelector,
        /// The new file.
        media: MediaFile,
        /// Start in the file, seconds.
        #[serde(default)]
        source_start: Time,
        /// What happens if the file is too short.
        #[serde(default)]
        length: MediaLength,
        /// For `freeze`: a picture of the file's last frame.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        still: Option<MediaFile>,
    }
    /// `replace_text`
    ReplaceText {
        clip: ClipSelector,
        text: String,
    }
    /// `move`
    Move {
        clip: ClipSelector,
        /// New start on the timeline, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Time>,
        /// New track, of the same type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        track: Option<String>,
    }
    /// `shift`
    Shift {
        /// Everything that starts then or later moves, seconds.
        from: Time,
        /// By how much, seconds; negative is earlier.
        by: Time,
        /// Only this track.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        track: Option<String>,
    }
    /// `trim`: edges on the timeline.
    Trim {
        clip: ClipSelector,
        /// New start on the timeline, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<Time>,
        /// New end on the timeline, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<Time>,
        /// New length, seconds; instead of `end`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration: Option<Time>,
    }
    /// `split`
    Split {
        clip: ClipSelector,
        /// Time on the timeline, seconds.
        at: Time,
    }
    /// `remove`
    Remove {
        clip: ClipSelector,
        /// Moves what follows on the track earlier. Default: only on the main track, by its magnet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        close_gap: Option<bool>,
    }
    /// `duplicate`
    Duplicate {
        clip: ClipSelector,
        /// Start of the copy on the timeline, seconds. Default: the end of the clip.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Time>,
        /// Track of the copy. Default: the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        track: Option<String>,
    }
    /// `add_keyframes`
    AddKeyframes {
        clip: ClipSelector,
        /// Such as `opacity`, `position_x`, `scale` or `volume`.
        property: String,
        points: Vec<KeyframeValue>,
        /// How the value moves to the next keyframe: `linear`, `in`, `out`, `in_out`, or `[x1, y1, x2, y2]`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        easing: Option<Value>,
    }
    /// A value at a time.
    KeyframeValue {
        /// Time on the timeline, seconds.
        #[serde(alias = "at")]
        time: Time,
        value: f64,
        /// As that of the operation, for the way to the next keyframe.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        easing: Option<Value>,
    }
    /// `clear_keyframes`
    ClearKeyframes {
        clip: ClipSelector,
        /// Default: all properties.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        property: Option<String>,
        /// Only the keyframe at this time on the timeline, seconds. Default: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time: Option<Time>,
    }
    /// `clear`
    Clear {
        clip: ClipSelector,
        what: ClearWhat,
    }
    /// `track`
    TrackChange {
        /// Id or name.
        track: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mute: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lock: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hide: Option<bool>,
        /// New name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rename: Option<String>,
        /// New position among all tracks, from 0, the lowest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<usize>,
        /// Removes the track with its clips.
        #[serde(default)]
        remove: bool,
    }
    /// `canvas`
    Canvas {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    }
    /// `rename`
    Rename {
        name: String,
    }
    /// `freeze`: the caller made the picture.
    Freeze {
        clip: ClipSelector,
        /// The frame at this time on the timeline, seconds.
        at: Time,
        /// How long it is shown, seconds.
        #[serde(default = "three_seconds")]
        duration: Time,
        /// A picture of the frame.
        still: MediaFile,
    }
    /// `settings`
    #[derive(Default)]
    Settings {
        /// Frames per second: 24, 25, 30, 50 or 60.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fps: Option<f64>,
        /// Width of the canvas, pixels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        width: Option<u32>,
        /// Height of the canvas, pixels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        height: Option<u32>,
        /// Whether the app closes gaps on the main track.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        magnet: Option<bool>,
        /// A file, or a time on the timeline in seconds; "none": the first picture.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cover: Option<Cover>,
        /// All markers of the timeline, instead of those that are there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        markers: Option<Vec<Marker>>,
    }
    /// `add_markers`
    AddMarkers {
        markers: Vec<Marker>,
    }
    /// `group`
    Group {
        clips: Vec<ClipSelector>,
    }
    /// `ungroup`
    Ungroup {
        clip: ClipSelector,
    }
    /// `split_audio`
    SplitAudio {
        clip: ClipSelector,
        /// A track of sounds. Default: one that is free at this time, or a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        track: Option<String>,
    }
    /// `duck`: music that is quieter under a voice.
    Duck {
        /// What becomes quieter: a clip, a track, a kind such as "sounds", or a list.
        clip: ClipSelector,
        /// The clips during which it does.
        under: ClipSelector,
        /// The part of its loudness that stays, 0 to 1. Default: 0.25.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<f64>,
        /// By how much it is lowered, decibels from -60 to 0; instead of `to`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_db: Option<f64>,
        /// How long it takes to become quieter and louder, seconds from 0 to 10. Default: 0.3.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fade: Option<Time>,
        /// How long it takes to become quieter, before the others begin; seconds. Default: `fade`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attack: Option<Time>,
        /// How long it takes to become louder again, seconds. Default: `fade`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<Time>,
        /// How long it stays quiet after the others, seconds from 0 to 10. Default: 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hold: Option<Time>,
        /// Where somebody speaks in the files of `under`. Clips of other files count from their start to their end.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        speech: Vec<SpeechInFile>,
    }
    /// `jump_cut`: pauses are cut out of clips in which somebody speaks; everything else moves along.
    JumpCut {
        /// A clip, or a list.
        clip: ClipSelector,
        /// The shortest pause that is cut, seconds from 0.1 to 60. Default: 0.4.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_pause: Option<Time>,
        /// What stays of a pause on each side, seconds from 0 to 5. Default: 0.1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<Time>,
        /// Where somebody speaks in the files of the clips.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        speech: Vec<SpeechInFile>,
    }
    /// `cut_on`: clips of video tracks end on the nearest beats, and what follows them directly on their track moves along.
    CutOn {
        /// A clip, a track, a kind such as "images", or a list.
        clip: ClipSelector,
        /// The music: a clip, a track, or a list.
        beats_of: ClipSelector,
        /// Every second beat with 2; from 1 to 64. Default: 1.
        #[serde(default = "one_beat")]
        every: u32,
        /// How many beats of what is played are left out first, from 0 to 10,000. Default: 0.
        #[serde(default)]
        offset: u32,
        /// The beats of the files of `beats_of`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beats: Vec<BeatsInFile>,
    }
    /// `loudness`: the volume at which clips have an integrated loudness by EBU R128.
    Loudness {
        /// A clip, a track, a kind such as "sounds", or a list.
        clip: ClipSelector,
        /// LUFS from -40 to -5.
        loudness_lufs: f64,
        /// How loud the parts of the files are that the clips play; the caller measured them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        measured: Vec<PartLoudness>,
    }
    /// `fade`: pictures and sounds together, at the start and the end of the timeline.
    Fade {
        /// Length, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fade_in: Option<Time>,
        /// Length, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fade_out: Option<Time>,
    }
}

/// Where somebody speaks in a file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct SpeechInFile {
    /// As documents name it.
    pub file: String,
    /// Start and end, seconds in the file.
    pub spans: Vec<(f64, f64)>,
}

/// The beats of a file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct BeatsInFile {
    /// As documents name it.
    pub file: String,
    /// Seconds in the file, in order.
    pub times: Vec<f64>,
}

/// How loud a part of a file is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct PartLoudness {
    /// As documents name it.
    pub file: String,
    /// Seconds in the file.
    pub start: f64,
    /// Seconds in the file.
    pub end: f64,
    /// Integrated loudness.
    pub lufs: f64,
    /// dBTP.
    pub true_peak: f64,
}

/// `set`: a clip, and any properties of the list.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct Set {
    pub clip: ClipSelector,
    /// Properties by name, such as `"volume": 0.5`.
    #[serde(flatten)]
    pub values: BTreeMap<String, Value>,
}

/// How long the app shows a frozen frame.
fn three_seconds() -> Time {
    Time::from_micros(3_000_000)
}

fn one_beat() -> u32 {
    1
}

/// What `clear` removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClearWhat {
    Transition,
    Effect,
    Mask,
    Animation,
    Filter,
    Adjustments,
    BlendMode,
    ChromaKey,
}

/// What happens if a new file is shorter than the clip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MediaLength {
    /// The clip ends with the file.
    #[default]
    Cut,
    /// The last frame stays to the end of the clip.
    Freeze,
    /// The file repeats.
    Loop,
    /// The file plays slower.
    Speed,
}

/// What an operation changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperationReport {
    /// The name of the operation.
    pub op: &'static str,
    /// The short ids of the clips that it changed.
    pub clips: Vec<String>,
    /// What changed, in words.
    pub changes: Vec<String>,
    /// What the reader should know.
    pub notes: Vec<String>,
}

const NAMES: [&str; 26] = [
    "set",
    "replace_media",
    "replace_text",
    "move",
    "shift",
    "trim",
    "split",
    "remove",
    "duplicate",
    "add_keyframes",
    "clear_keyframes",
    "clear",
    "track",
    "canvas",
    "rename",
    "settings",
    "add_markers",
    "group",
    "ungroup",
    "freeze",
    "split_audio",
    "duck",
    "fade",
    "loudness",
    "jump_cut",
    "cut_on",
];

/// Names that other programs give to operations, for "did you mean".
const OTHER_NAMES: [(&str, &str); 33] = [
    ("beat_sync", "cut_on"),
    ("sync_to_beat", "cut_on"),
    ("cut_on_beat", "cut_on"),
    ("cut_on_beats", "cut_on"),
    ("remove_silence", "jump_cut"),
    ("cut_silence", "jump_cut"),
    ("remove_pauses", "jump_cut"),
    ("normalize", "loudness"),
    ("normalize_audio", "loudness"),
    ("loudness_lufs", "loudness"),
    ("duck_audio", "duck"),
    ("ducking", "duck"),
    ("fade_out", "fade"),
    ("fade_in", "fade"),
    ("freeze_frame", "freeze"),
    ("delete", "remove"),
    ("delete_clip", "remove"),
    ("set_text", "replace_text"),
    ("edit_text", "replace_text"),
    ("change_text", "replace_text"),
    ("update_text", "replace_text"),
    ("swap", "replace_media"),
    ("replace_clip", "replace_media"),
    ("copy", "duplicate"),
    ("delay", "shift"),
    ("set_fps", "settings"),
    ("set_cover", "settings"),
    ("draft", "settings"),
    ("add_marker", "add_markers"),
    ("set_markers", "settings"),
    ("detach_audio", "split_audio"),
    ("extract_audio", "split_audio"),
    ("separate_audio", "split_audio"),
];

/// The error for an operation without `op`: where its name was written instead.
fn without_name(value: &Value) -> Error {
    let error = Error::invalid("the operation has no `op`");
    let members = value.as_object();
    let named = members.into_iter().flatten().find_map(|(key, value)| {
        let is_name = |name: &str| NAMES.contains(&name);
        match value {
            Value::Object(_) if is_name(key) => Some(key.as_str()),
            Value::String(name) if is_name(name) => Some(name.as_str()),
            _ => None,
        }
    });
    error.hint(match named {
        Some(name) => {
            format!("write {{\"op\": \"{name}\", …}}, with the other keys next to `op`")
        }
        None => format!("it can be {}", quoted_list(&NAMES)),
    })
}

/// The keys next to `op`; `None` for `set`, which takes properties.
fn keys_of(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "replace_media" => ReplaceMedia::KEYS,
        "replace_text" => ReplaceText::KEYS,
        "move" => Move::KEYS,
        "shift" => Shift::KEYS,
        "trim" => Trim::KEYS,
        "split" => Split::KEYS,
        "remove" => Remove::KEYS,
        "duplicate" => Duplicate::KEYS,
        "add_keyframes" => AddKeyframes::KEYS,
        "clear_keyframes" => ClearKeyframes::KEYS,
        "clear" => Clear::KEYS,
        "track" => TrackChange::KEYS,
        "canvas" => Canvas::KEYS,
        "rename" => Rename::KEYS,
        "settings" => Settings::KEYS,
        "add_markers" => AddMarkers::KEYS,
        "group" => Group::KEYS,
        "ungroup" => Ungroup::KEYS,
        "freeze" => Freeze::KEYS,
        "split_audio" => SplitAudio::KEYS,
        "duck" => Duck::KEYS,
        "fade" => Fade::KEYS,
        "loudness" => Loudness::KEYS,
        "jump_cut" => JumpCut::KEYS,
        "cut_on" => CutOn::KEYS,
        _ => return None,
    })
}

/// Keys that an operation does not have, all in one error.
fn check_keys(name: &str, members: &Map<String, Value>) -> Result<()> {
    let own = members.iter().filter(|(key, _)| *key != "op");
    let Some(keys) = keys_of(name) else {
        let takes_object = |key: &str| {
            Property::named(key).is_some_and(|property| property.measure.unit.takes_object())
        };
        let wrong = |(key, value): &(&String, &Value)| {
            *key != "clip" && value.is_object() && !takes_object(key)
        };
        return match own.into_iter().find(wrong) {
            None => Ok(()),
            Some((key, _)) => Err(Error::invalid(format!("{name}: `{key}` is an object")).hint(
                "write each property next to `clip`: {\"op\": \"set\", \"clip\": \"c1\", \"volume\": 0.5}",
            )),
        };
    };
    let unknown: Vec<&str> = own
        .map(|(key, _)| key.as_str())
        .filter(|key| !keys.contains(key))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let message = format!("{name}: it has no key {}", quoted_list(&unknown));
    Err(Error::invalid(message).hint(format!("its keys are {}", ticked(keys))))
}

/// The same value with whole numbers written without a point.
fn with_whole_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 9.0e15 => {
                Value::from(whole as i64)
            }
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(with_whole_numbers).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), with_whole_numbers(value)))
            .collect(),
        _ => value.clone(),
    }
}

fn ticked(keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    keys.join(", ")
}

/// The error for an operation that cannot be read, with the key of the wrong value.
fn misread(name: &str, value: &Value, fault: &str) -> Error {
    let empty = Map::new();
    let members = value.as_object().unwrap_or(&empty);
    let missing = fault
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'))
        .map(|(key, _)| key);
    if let Some(key) = missing
        && keys_of(name).is_none_or(|keys| keys.contains(&key))
    {
        return Error::invalid(format!("{name}: `{key}` is missing"));
    }
    // Reading stops at the first wrong value, so only without that value is the fault another one.
    let wrong = members.iter().find(|(key, _)| {
        let mut others = members.clone();
        others.remove(*key);
        *key != "op"
            && Operation::deserialize(Value::Object(others))
                .map_or_else(|error| error.to_string(), |_| String::new())
                != fault
    });
    let Some((key, value)) = wrong else {
        return Error::invalid(format!("{name}: {fault}"));
    };
    let expected = match fault.split_once(", expected ") {
        _ if key == "cover" => "a file, a time in seconds, or \"none\"",
        _ if key == "clip" => "text, such as \"c1\", or {\"track\": \"t1\", \"at\": 2.5}",
        _ if key == "points" && value.is_array() => {
            return Error::invalid(format!("{name}: `points`: {fault}")).hint(format!(
                "the keys of a point are {}; the time is in seconds",
                ticked(KeyframeValue::KEYS)
            ));
        }
        Some((_, "u32" | "usize")) => "a whole number, 0 or more",
        Some((_, "a boolean")) => "true or false",
        Some((_, "a string")) => "text",
        Some((_, "a sequence")) => "a list",
        Some((_, expected)) => expected,
        None => return Error::invalid(format!("{name}: `{key}`: {fault}")),
    };
    Error::invalid(format!("{name}: `{key}` is {value}; it must be {expected}"))
}

impl Operation {
    /// Reads an operation from JSON; its error names what is wrong and the nearest names.
    ///
    /// ```
    /// use capcut_draft::Operation;
    /// let error = Operation::read(&serde_json::json!({"op": "mvoe", "clip": "c1"})).unwrap_err();
    /// assert!(error.to_string().contains("did you mean \"move\""));
    /// ```
    pub fn read(value: &Value) -> Result<Self> {
        let Some(name) = value.get("op").and_then(Value::as_str) else {
            return Err(without_name(value));
        };
        if !NAMES.contains(&name) {
            let error = Error::not_found(format!("there is no operation \"{name}\""));
            let meant = OTHER_NAMES.iter().find(|(other, _)| *other == name);
            let near = meant.map_or_else(|| nearest(name, NAMES), |(_, own)| vec![*own]);
            return Err(if near.is_empty() {
                error.hint(format!("it can be {}", quoted_list(&NAMES)))
            } else {
                error.hint(format!("did you mean {}?", quoted_list(&near)))
            });
        }
        if let Value::Object(members) = value {
            check_keys(name, members)?;
        }
        Self::deserialize(value).or_else(|error| {
            // Clients and models also write 2 as 2.0, which the reader takes for a fraction.
            Self::deserialize(with_whole_numbers(value))
                .map_err(|_| misread(name, value, &error.to_string()))
        })
    }

    /// The name in `op`.
    pub fn name(&self) -> &'static str {
        NAMES[match self {
            Self::Set(_) => 0,
            Self::ReplaceMedia(_) => 1,
            Self::ReplaceText(_) => 2,
            Self::Move(_) => 3,
            Self::Shift(_) => 4,
            Self::Trim(_) => 5,
            Self::Split(_) => 6,
            Self::Remove(_) => 7,
            Self::Duplicate(_) => 8,
            Self::AddKeyframes(_) => 9,
            Self::ClearKeyframes(_) => 10,
            Self::Clear(_) => 11,
            Self::Track(_) => 12,
            Self::Canvas(_) => 13,
            Self::Rename(_) => 14,
            Self::Settings(_) => 15,
            Self::AddMarkers(_) => 16,
            Self::Group(_) => 17,
            Self::Ungroup(_) => 18,
            Self::Freeze(_) => 19,
            Self::SplitAudio(_) => 20,
            Self::Duck(_) => 21,
            Self::Fade(_) => 22,
            Self::Loudness(_) => 23,
            Self::JumpCut(_) => 24,
            Self::CutOn(_) => 25,
        }]
    }

    fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::Set(operation) => session.set(operation),
            Self::ReplaceMedia(operation) => session.replace_media(operation),
            Self::ReplaceText(operation) => session.replace_text(operation),
            Self::Move(operation) => session.move_clip(operation),
            Self::Shift(operation) => session.shift(operation),
            Self::Trim(operation) => session.trim(operation),
            Self::Split(operation) => session.split(operation),
            Self::Remove(operation) => session.remove(operation),
            Self::Duplicate(operation) => session.duplicate(operation),
            Self::AddKeyframes(operation) => session.add_keyframes(operation),
            Self::ClearKeyframes(operation) => session.clear_keyframes(operation),
            Self::Clear(operation) => session.clear(operation),
            Self::Track(operation) => session.change_track_itself(operation),
            Self::Canvas(operation) => session.set_canvas(operation),
            Self::Rename(operation) => session.rename(operation),
            Self::Freeze(operation) => session.freeze(operation),
            Self::Settings(operation) => session.change_settings(operation),
            Self::AddMarkers(operation) => session.add_markers(operation),
            Self::Group(operation) => session.group(operation),
            Self::Ungroup(operation) => session.ungroup(operation),
            Self::SplitAudio(operation) => session.split_audio(operation),
            Self::Duck(operation) => session.duck(operation),
            Self::Fade(operation) => session.fade(operation),
            Self::Loudness(operation) => session.set_loudness(operation),
            Self::JumpCut(operation) => session.jump_cut(operation),
            Self::CutOn(operation) => session.cut_on(operation),
        }
    }
}

impl Document {
    /// Applies operations, all or none, and returns the step that undoes them and what changed. Names of the app's
    /// catalog need [`plan_operations`](Self::plan_operations).
    ///
    /// Change a text, move a clip, undo:
    ///
    /// ```
    /// use capcut_draft::{Document, Operation};
    /// # let text = include_str!("../tests/data/small.json");
    /// let mut document = Document::parse(text)?;
    /// let operations = [
    ///     Operation::read(&serde_json::json!({"op": "replace_text", "clip": "Title", "text": "New"}))?,
    ///     Operation::read(&serde_json::json!({"op": "move", "clip": "c3", "at": 1.5}))?,
    /// ];
    /// let (step, reports) = document.apply_operations(&operations)?;
    /// assert_eq!(reports[0].changes, ["c2 now says \"New\""]);
    /// document.apply(&step.inverse())?;
    /// assert_eq!(document.write(), text.as_bytes());
    /// # Ok::<(), capcut_draft::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of the first operation that fails, with its position; the document is then unchanged.
    pub fn apply_operations(
        &mut self,
        operations: &[Operation],
    ) -> Result<(Step, Vec<OperationReport>)> {
        let (session, reports) = self.run_operations(operations, &NoResources)?;
        Ok((session.edit.commit(), reports))
    }

    /// What operations would change, and the step that changes it; the document stays as it is. Names of the app's
    /// catalog are looked up in `resources`.
    ///
    /// # Errors
    /// As [`apply_operations`](Self::apply_operations).
    pub fn plan_operations(
        &mut self,
        operations: &[Operation],
        resources: &dyn Resources,
    ) -> Result<(Step, Vec<OperationReport>)> {
        let (session, reports) = self.run_operations(operations, resources)?;
        Ok((session.edit.step(), reports))
    }

    fn run_operations<'d>(
        &'d mut self,
        operations: &[Operation],
        resources: &'d dyn Resources,
    ) -> Result<(Session<'d>, Vec<OperationReport>)> {
        self.require_editable()?;
        let mut session = Session::new(self.edit(), resources);
        let mut reports = Vec::with_capacity(operations.len());
        for (index, operation) in operations.iter().enumerate() {
            let done = session.run(operation).map_err(|mut error| {
                error.message = format!(
                    "operations[{index}] ({}): {}",
                    operation.name(),
                    error.message
                );
                error
            });
            reports.push(done?);
        }
        Ok((session, reports))
    }

    pub(crate) fn require_editable(&self) -> Result<()> {
        match self.read_only_reason() {
            Some(reason) => Err(Error::read_only(format!(
                "the draft cannot be edited: {reason}"
            ))),
            None => Ok(()),
        }
    }
}

impl Session<'_> {
    /// Applies an operation with the rules of the timeline.
    pub(crate) fn run(&mut self, operation: &Operation) -> Result<OperationReport> {
        self.begin();
        let done = operation.run(self).and_then(|()| self.finish());
        done.map_err(|mut error| {
            if error.kind == ErrorKind::Syntax {
                error.kind = ErrorKind::ReadOnly;
            }
            error
        })?;
        Ok(self.report(operation.name()))
    }

    /// What the operation that was just applied changed.
    pub(crate) fn report(&mut self, op: &'static str) -> OperationReport {
        OperationReport {
            op,
            clips: self.changed_clips(),
            changes: std::mem::take(&mut self.changes),
            notes: std::mem::take(&mut self.notes),
        }
    }
}
