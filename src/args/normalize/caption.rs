//! `subtitle_text` with its times: one caption, converted to an `srt` with one cue; transcripts that are values.

use serde_json::Value;

use super::Normalizer;
use crate::args::scalar::{number, shown};
use crate::args::{Object, property};

impl Normalizer<'_> {
    /// Converts `subtitle_text` with its times to an `srt` with one cue, and a transcript that is given as a value to its
    /// text.
    pub(super) fn caption(&mut self, arguments: &mut Object) {
        for name in ["srt", "words", "transcript", "translation"] {
            if let Some(value @ (Value::Array(_) | Value::Object(_))) = arguments.get_mut(name) {
                *value = Value::String(value.to_string());
            }
        }
        let Some(text) = arguments.shift_remove("subtitle_text") else {
            return;
        };
        if arguments.contains_key("srt") || arguments.contains_key("srt_path") {
            self.problems.push(
                "`subtitle_text` is one caption and `srt` is a whole file: give one of them".into(),
            );
            return;
        }
        let text = match text {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let mut take = |names: &[&'static str]| {
            names
                .iter()
                .find_map(|name| Some((*name, arguments.shift_remove(*name)?)))
        };
        let start = take(&["at", "from", "start_time", "start"]);
        let end = take(&["to", "end_time", "end"]);
        let length = take(&["duration"]);
        let mut seconds = |given: Option<(&str, Value)>| {
            let (name, mut value) = given?;
            let read = property::of(name).map_or(Ok(()), |row| row.read(&mut value).map(drop));
            let number = number(&value).and_then(|n| n.as_f64());
            if read.is_err() || number.is_none_or(|n| n < 0.0) {
                self.problems.push(format!(
                    "`{name}` is {}, which is not a time in seconds",
                    shown(&value)
                ));
                return None;
            }
            number
        };
        let given = end.is_some() || length.is_some();
        let start = if start.is_some() {
            seconds(start)
        } else {
            Some(0.0)
        };
        let length = seconds(length);
        let end = seconds(end).or_else(|| Some(start? + length?));
        if !given {
            self.problems.push(
                "`end_time` is missing: the time when the caption disappears, in seconds".into(),
            );
        }
        // An empty line would end the cue.
        let text: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        if text.is_empty() {
            self.problems
                .push("`subtitle_text` is empty; it must be the caption to show".into());
        }
        let mut srt = String::new();
        if let (Some(start), Some(end)) = (start, end) {
            if end <= start {
                self.problems.push(format!(
                    "`end_time` is {end} s, which is not after `start_time` ({start} s)"
                ));
            }
            srt = format!(
                "1\n{} --> {}\n{}\n",
                timestamp(start),
                timestamp(end),
                text.join("\n")
            );
        }
        // Also after a problem, so that `srt` is not reported as missing too.
        arguments.insert("srt".into(), srt.into());
    }
}

fn timestamp(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round() as u64;
    format!(
        "{:02}:{:02}:{:02},{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}
