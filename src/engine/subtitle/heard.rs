//! Captions of a sound that is heard in parts: trimmed, moved, faster or slower, repeated, or with pauses cut out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cue::{Cue, CueWord, Notes};
use crate::error::{Error, Result};
use crate::sorting;
use crate::units::{Micros, Range};

/// A part of a file with sound, and when it is heard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct HeardPart {
    /// Its start in the file, seconds.
    pub from: f64,
    /// Its end in the file, seconds. Default: the end of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// When it is heard on the timeline, seconds.
    pub at: f64,
    /// Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
}

/// Longer times are not times of a file, in seconds.
const LONGEST: f64 = 1e6;

impl HeardPart {
    /// An error that lists all values of parts that are out of range.
    pub(crate) fn check(parts: &[Self]) -> Result<()> {
        let mut faults = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            for (name, time) in [("from", part.from), ("at", part.at)] {
                if !(0.0..=LONGEST).contains(&time) {
                    faults.push(format!(
                        "`heard[{index}].{name}` is {time} s; it must be from 0 to {LONGEST} s"
                    ));
                }
            }
            if let Some(to) = part.to.filter(|to| !(*to > part.from && *to <= LONGEST)) {
                faults.push(format!(
                    "`heard[{index}].to` is {to} s; it must be after `from` ({} s)",
                    part.from
                ));
            }
            if let Some(speed) = part.speed.filter(|speed| !(0.01..=100.0).contains(speed)) {
                faults.push(format!(
                    "`heard[{index}].speed` is {speed}; it must be from 0.01 to 100"
                ));
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(faults.join("\n")))
        }
    }

    fn speed(&self) -> f64 {
        self.speed.unwrap_or(1.0)
    }

    fn end(&self) -> f64 {
        self.to.unwrap_or(LONGEST)
    }

    /// When a time of the file within this part is heard.
    fn shown(&self, seconds: f64) -> f64 {
        self.at + (seconds - self.from) / self.speed()
    }
}

/// Parts that play the file forwards: a repetition begins the next turn.
#[derive(Clone, Copy)]
struct PlayedTurn<'a>(&'a [HeardPart]);

impl<'a> PlayedTurn<'a> {
    fn all(parts: &'a [HeardPart]) -> impl Iterator<Item = Self> {
        parts
            .chunk_by(|part, next| next.from >= part.end() - 1e-9)
            .map(Self)
    }

    fn is_heard(self, time: f64) -> bool {
        self.0
            .iter()
            .any(|part| (part.from..part.end()).contains(&time))
    }

    /// When a time of the file is heard; what is cut out is heard when the next part begins.
    fn shown(self, time: f64) -> Micros {
        let next = self.0.iter().find(|part| time < part.end());
        let seconds = match (next, self.0.last()) {
            (Some(part), _) => part.shown(time.max(part.from)),
            (None, Some(last)) => last.shown(last.end()),
            (None, None) => time,
        };
        Micros::from_seconds(seconds)
    }

    /// The start and end of a range on the timeline, if its middle is heard.
    fn word(self, start: Micros, end: Micros) -> Option<(Micros, Micros)> {
        let (start, end) = (start.seconds(), end.seconds());
        if !self.is_heard(f64::midpoint(start, end)) {
            return None;
        }
        let shown = (self.shown(start), self.shown(end));
        Some((shown.0, shown.1.max(shown.0 + Micros(1))))
    }
}

/// Which parts are heard, for messages.
fn listed(parts: &[HeardPart]) -> String {
    let spans = parts.iter().take(4).map(|part| match part.to {
        Some(to) => format!("{} to {to} s", part.from),
        None => format!("from {} s", part.from),
    });
    let more = if parts.len() > 4 { ", …" } else { "" };
    format!("{}{more}", spans.collect::<Vec<_>>().join(", "))
}

fn nothing_heard(of: &str, parts: &[HeardPart]) -> Error {
    Error::invalid(format!(
        "no {of} is in the part of the sound that is heard ({} of the file)",
        listed(parts)
    ))
    .hint("the times of subtitles count from the start of the file, also if the sound is trimmed")
}

/// One of several ranges of a file, when it is heard.
pub(super) struct HeardRange {
    pub index: usize,
    pub start: Micros,
    pub end: Micros,
    /// It is the last one before a repetition.
    pub ends_turn: bool,
}

/// The words of a transcript when they are heard, in order; those outside of all parts are left out.
pub(super) fn words_heard(
    words: &[(Micros, Micros)],
    parts: &[HeardPart],
) -> Result<Vec<HeardRange>> {
    let mut heard = Vec::with_capacity(words.len());
    for turn in PlayedTurn::all(parts) {
        let before = heard.len();
        for (index, (start, end)) in words.iter().enumerate() {
            if let Some((start, end)) = turn.word(*start, *end) {
                heard.push(HeardRange {
                    index,
                    start,
                    end,
                    ends_turn: false,
                });
            }
        }
        if let Some(last) = heard[before..].last_mut() {
            last.ends_turn = true;
        }
    }
    if heard.is_empty() {
        return Err(nothing_heard("word", parts));
    }
    sorting::sort_by_key(&mut heard, |word| word.start);
    Ok(heard)
}

/// The captions of a file when they are heard; those outside of all parts are left out.
pub(super) fn cues_heard(
    cues: Vec<Cue>,
    parts: &[HeardPart],
    notes: &mut Notes,
) -> Result<Vec<Cue>> {
    let mut heard = Vec::with_capacity(cues.len());
    for cue in cues {
        let before = heard.len();
        for turn in PlayedTurn::all(parts) {
            let start = turn.shown(cue.range.start.seconds());
            let end = turn.shown(cue.range.end().seconds());
            if end <= start {
                continue;
            }
            let words = cue.words.iter().filter_map(|word| {
                let (start, end) = turn.word(word.start, word.end)?;
                Some(CueWord {
                    start,
                    end,
                    ..*word
                })
            });
            heard.push(Cue {
                range: Range::new(start, end - start),
                words: words.collect(),
                ..cue.clone()
            });
        }
        if heard.len() == before {
            notes.of_cue(
                cue.number,
                "left out, because this part of the sound is not heard",
            );
        }
    }
    if heard.is_empty() {
        return Err(nothing_heard("caption", parts));
    }
    sorting::sort_by_key(&mut heard, |cue| cue.range.start);
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(from: f64, to: f64, at: f64, speed: f64) -> HeardPart {
        HeardPart {
            from,
            to: Some(to),
            at,
            speed: Some(speed),
        }
    }

    fn word(start: f64, end: f64) -> (Micros, Micros) {
        (Micros::from_seconds(start), Micros::from_seconds(end))
    }

    fn times(words: &[(Micros, Micros)], parts: &[HeardPart]) -> Vec<(f64, f64)> {
        let words = words_heard(words, parts).unwrap();
        let times = words
            .iter()
            .map(|word| (word.start.seconds(), word.end.seconds()));
        times.collect()
    }

    #[test]
    fn words_are_heard_where_the_parts_are() {
        let words = [
            word(0.5, 0.9),
            word(1.0, 1.4),
            word(2.0, 3.0),
            word(4.0, 5.0),
        ];
        let trimmed = times(&words, &[part(1.0, 4.2, 10.0, 2.0)]);
        assert_eq!(trimmed, [(10.0, 10.2), (10.5, 11.0)]);
        let cut = times(
            &words,
            &[part(0.0, 1.5, 0.0, 1.0), part(1.9, 6.0, 1.5, 1.0)],
        );
        assert_eq!(cut[2..], [(1.6, 2.6), (3.6, 4.6)]);
        let looped = times(
            &words[..2],
            &[part(0.0, 2.0, 0.0, 1.0), part(0.0, 2.0, 2.0, 1.0)],
        );
        assert_eq!(looped, [(0.5, 0.9), (1.0, 1.4), (2.5, 2.9), (3.0, 3.4)]);
        let error = words_heard(&words, &[part(8.0, 9.0, 0.0, 1.0)])
            .err()
            .unwrap();
        assert!(error.message.contains("8 to 9 s of the file"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        let error =
            HeardPart::check(&[part(2.0, 1.0, 0.0, 1.0), part(0.0, 1.0, -1.0, 0.0)]).unwrap_err();
        for expected in [
            "`heard[0].to` is 1 s",
            "`heard[1].at` is -1 s",
            "`heard[1].speed` is 0;",
        ] {
            assert!(error.message.contains(expected), "{error}");
        }
    }
}
