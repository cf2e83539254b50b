//! Words with times from transcripts of speech recognisers and of voices, in the JSON of each service.
//!
//! A shape is recognised by its keys, never by the name of a file. Times that cannot be right are repaired, and the
//! notes name the word.

mod grouping;
mod repair;
mod script;
mod shapes;

use serde_json::Value;

use super::cue::{Cue, Notes};
use super::heard::{HeardPart, words_heard};
use crate::error::{Error, Result};
use crate::units::Micros;

pub(crate) use grouping::Grouping;
pub(super) use script::spoken_weight;
pub(crate) use script::tokens;

/// Transcripts with more words than a day of speech has are refused.
const MAX_WORDS: usize = 500_000;

/// A word as the transcript has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HeardWord {
    pub text: String,
    /// `None` if the transcript has no time, or one that is not a time.
    pub start: Option<Micros>,
    pub end: Option<Micros>,
    /// It follows the word before it without a blank.
    pub is_joined: bool,
    /// The start and end of the phrase in the transcript, if it has times.
    pub phrase: Option<(Micros, Micros)>,
    /// A line ends after it: its text in the transcript ends with a line break.
    pub ends_caption: bool,
}

/// A word with its time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimedWord {
    pub text: String,
    pub start: Micros,
    pub end: Micros,
    pub is_joined: bool,
    pub ends_caption: bool,
}

/// Whether a text is JSON, which no subtitle format begins like.
pub(super) fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    match text.as_bytes().first() {
        // `[Script Info]`, `[00:01.00]` of LRC, and `{0}{25}` of MicroDVD are not JSON.
        Some(b'{') => text[1..].trim_start().starts_with(['"', '}']),
        Some(b'[') => text[1..].trim_start().starts_with(['{', ']']),
        _ => false,
    }
}

/// The captions of a transcript, in order, when its words are heard.
pub(super) fn parse(
    text: &str,
    grouping: &Grouping,
    heard: &[HeardPart],
    notes: &mut Notes,
) -> Result<Vec<Cue>> {
    let value = value(text)?;
    let mut words = shapes::read(&value).ok_or_else(|| unknown(&value))?;
    words.retain(|word| !word.text.trim().is_empty());
    if words.is_empty() {
        return Err(
            Error::invalid("no cue was found: the JSON transcript has no words")
                .hint("pass a transcript of speech, or subtitles in SRT, WebVTT or ASS"),
        );
    }
    if words.len() > MAX_WORDS {
        return Err(Error::invalid(format!(
            "the transcript has {} words; at most {MAX_WORDS} are read",
            words.len()
        ))
        .hint("split it into parts, and give each its `time_offset`"));
    }
    let words = repair::repaired(words, notes)?;
    let words = if heard.is_empty() {
        words
    } else {
        when_heard(&words, heard)?
    };
    Ok(grouping::captions(&words, grouping, notes))
}

/// The words at the times at which they are heard. Repetitions do not share a caption.
fn when_heard(words: &[TimedWord], parts: &[HeardPart]) -> Result<Vec<TimedWord>> {
    let times: Vec<(Micros, Micros)> = words.iter().map(|word| (word.start, word.end)).collect();
    let heard = words_heard(&times, parts)?;
    let words = heard.into_iter().map(|heard| TimedWord {
        start: heard.start,
        end: heard.end,
        ends_caption: words[heard.index].ends_caption || heard.ends_turn,
        ..words[heard.index].clone()
    });
    Ok(words.collect())
}

/// One JSON value, or one per line.
fn value(text: &str) -> Result<Value> {
    let whole = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: serde_json::Result<Vec<Value>> = lines.map(serde_json::from_str).collect();
    match lines {
        Ok(lines) if lines.len() > 1 => Ok(Value::Array(lines)),
        _ => Err(Error::invalid(format!(
            "line {} of the transcript is not valid JSON (column {})",
            whole.line(),
            whole.column()
        ))
        .hint("pass the whole answer of the recogniser as it is")),
    }
}

/// The error for JSON that is no known transcript: its keys, and what is read.
fn unknown(value: &Value) -> Error {
    let keys = match value {
        Value::Object(members) => members.keys().take(8).map(String::as_str).collect(),
        Value::Array(list) => match list.first() {
            Some(Value::Object(members)) => members.keys().take(8).map(String::as_str).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let found = if keys.is_empty() {
        "it has no keys".to_owned()
    } else {
        format!("its keys are {}", keys.join(", "))
    };
    Error::invalid(format!(
        "no cue was found: this JSON is not a known transcript ({found})"
    ))
    .hint(
        "give words as [{\"text\": \"Hello\", \"start\": 0.1, \"end\": 0.4}] in seconds, or the JSON of Whisper, OpenAI, \
         whisper.cpp, Deepgram, AssemblyAI, Azure, AWS, Volcengine, ElevenLabs, edge-tts or CapCut",
    )
}

#[cfg(test)]
mod tests;
