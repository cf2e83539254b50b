//! The value of `script` in a plan: a known text, and its words.

use capcut_sound::{Span, spoken_weight};
use serde_json::{Value, json};

use crate::engine::subtitle::tokens;
use crate::error::shortened;
use crate::units::Micros;

/// Seconds for a weight of 1 in usual speech.
pub(super) const USUAL_PACE: f64 = 0.2;
/// The longest script, in characters.
const MOST_CHARACTERS: usize = 1_000_000;

/// Reads a script as a list of lines; a text is one line.
pub(super) fn read(value: &Value) -> std::result::Result<Value, String> {
    let lines: Vec<&str> = match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_list = |list: &Vec<Value>| list.iter().all(Value::is_string);
    if !value.is_string() && !value.as_array().is_some_and(is_list) {
        return Err(format!(
            "is {}; it must be the words that are spoken, as a text or a list of lines",
            shortened(&value.to_string())
        ));
    }
    let count: usize = lines.iter().map(|line| line.chars().count()).sum();
    if count > MOST_CHARACTERS {
        return Err(format!(
            "has {count} characters; at most {MOST_CHARACTERS} are placed"
        ));
    }
    let lines: Vec<&str> = lines
        .into_iter()
        .map(str::trim)
        .filter(|line| line.chars().any(char::is_alphanumeric))
        .collect();
    match lines.as_slice() {
        [] => Err("has no words: give the words that are spoken".to_owned()),
        [only] if is_file_name(only) => Err(format!(
            "is {}, which looks like the name of a file: give the words themselves; transcripts and subtitle files are \
             `words`",
            shortened(only)
        )),
        lines => Ok(json!(lines)),
    }
}

fn is_file_name(line: &str) -> bool {
    let ending = line.rsplit_once('.').map_or("", |(_, ending)| ending);
    !line.contains(char::is_whitespace)
        && ["txt", "md", "srt", "vtt", "ass", "json", "docx"]
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
}

/// The words of a script, each as a transcript has it: with the blank before it and the line break after it.
pub(super) fn words(script: &Value) -> Vec<String> {
    let mut words = Vec::new();
    let lines: Vec<&str> = script
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for line in &lines {
        for (word, is_joined) in tokens(line) {
            words.push(if is_joined { word } else { format!(" {word}") });
        }
        if lines.len() > 1
            && let Some(last) = words.last_mut()
        {
            last.push('\n');
        }
    }
    words
}

/// Words and their times, as a transcript.
pub(super) fn transcript(words: &[String], times: &[Span]) -> String {
    let words = words.iter().zip(times);
    let words: Vec<Value> = words
        .map(|(word, time)| json!({ "text": word, "start": seconds(time.start), "end": seconds(time.end) }))
        .collect();
    Value::Array(words).to_string()
}

/// How long a text takes to speak, relative to [`USUAL_PACE`].
pub(super) fn weight(text: &str) -> f64 {
    let words = words(&json!(text.lines().collect::<Vec<_>>()));
    words.iter().map(|word| spoken_weight(word)).sum()
}

/// A script at a usual pace, for the checks that are made before its voice is heard.
pub(super) fn without_voice(script: &Value) -> String {
    let words = words(script);
    let mut at = 0.0;
    let times: Vec<Span> = words
        .iter()
        .map(|word| {
            let start = at;
            at += spoken_weight(word) * USUAL_PACE;
            Span::new(start, at)
        })
        .collect();
    transcript(&words, &times)
}

/// To microseconds.
fn seconds(time: f64) -> f64 {
    Micros::from_seconds(time).seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_lists_of_lines_are_read() {
        assert_eq!(read(&json!("Hello there.")), Ok(json!(["Hello there."])));
        let lines = read(&json!(["Hello there.", "", " 你好，世界。 "])).unwrap();
        assert_eq!(lines, json!(["Hello there.", "你好，世界。"]));
        assert_eq!(
            words(&lines),
            [" Hello", " there.\n", " 你", "好，", "世", "界。\n"]
        );
        for (value, expected) in [
            (json!(3), "is 3; it must be"),
            (json!(["a", 3]), "a text or a list of lines"),
            (json!([]), "has no words"),
            (json!(" … "), "has no words"),
            (json!("voice.txt"), "looks like the name of a file"),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
