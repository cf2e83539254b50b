//! Makes captions of words: breaks at pauses and punctuation, within the limits of what can be read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TimedWord;
use super::script::{ends_clause, ends_sentence, is_full_width, is_unspaced};
use crate::engine::subtitle::cue::{Cue, CueFrame, CuePosition, CueWord, LetterStyle, Notes};
use crate::error::{Error, Result};
use crate::units::{Micros, Range};

/// ScriptLimits for captions that are made of words. Texts of subtitle files keep their captions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Grouping {
    /// Characters a line, 1 to 500. Default: 42; 18 in Chinese, Japanese and Korean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_chars: Option<f64>,
    /// Lines a caption, 1 to 10. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lines: Option<f64>,
    /// Words a caption, 1 to 1000. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_words: Option<f64>,
    /// Characters a second, 1 to 100. Default: 17; 8 in Chinese, Japanese and Korean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chars_per_second: Option<f64>,
    /// A pause of this many seconds ends a caption, 0.05 to 60. Default: 0.7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<f64>,
    /// Gaps between captions up to this many seconds are closed, 0 to 10. Default: 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<f64>,
}

/// The least time that a caption is shown, if nothing follows it.
const LEAST: Micros = Micros(700_000);
/// The most that a caption stays after its last word, so that it can be read.
const LONGEST_AFTER: Micros = Micros(2_000_000);
/// A pause that makes a good end of a caption.
const BREATH: Micros = Micros(200_000);

impl Grouping {
    /// An error that lists all limits that are out of range.
    pub(crate) fn checked(&self) -> Result<()> {
        let limits = [
            ("max_chars", self.max_chars, 1.0, 500.0),
            ("max_lines", self.max_lines, 1.0, 10.0),
            ("max_words", self.max_words, 1.0, 1000.0),
            ("chars_per_second", self.chars_per_second, 1.0, 100.0),
            ("pause", self.pause, 0.05, 60.0),
            ("gap", self.gap, 0.0, 10.0),
        ];
        let wrong = limits.into_iter().filter_map(|(name, value, least, most)| {
            let value = value.filter(|value| !(least..=most).contains(value))?;
            Some(format!(
                "`grouping.{name}` is {value}; it must be from {least} to {most}"
            ))
        });
        let wrong: Vec<String> = wrong.collect();
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(wrong.join("\n")))
        }
    }

    fn pause(&self) -> Micros {
        Micros::from_seconds(self.pause.unwrap_or(0.7))
    }

    fn limits(&self, words: &[TimedWord]) -> ScriptLimits {
        let letters = || {
            words
                .iter()
                .flat_map(|word| word.text.chars())
                .filter(|letter| letter.is_alphanumeric())
        };
        let wide = letters().filter(|letter| is_full_width(*letter)).count();
        let is_wide = 2 * wide > letters().count();
        let whole =
            |limit: Option<f64>, usual: usize| limit.map_or(usual, |limit| limit.max(1.0) as usize);
        ScriptLimits {
            line: whole(self.max_chars, if is_wide { 18 } else { 42 }),
            lines: whole(self.max_lines, 1),
            words: whole(self.max_words, usize::MAX),
            per_second: self
                .chars_per_second
                .unwrap_or(if is_wide { 8.0 } else { 17.0 })
                .max(0.1),
        }
    }
}

/// The limits for words of one script.
#[derive(Clone, Copy, Debug)]
struct ScriptLimits {
    line: usize,
    lines: usize,
    words: usize,
    per_second: f64,
}

/// The captions of words, in order.
pub(super) fn captions(words: &[TimedWord], grouping: &Grouping, notes: &mut Notes) -> Vec<Cue> {
    let pause = grouping.pause();
    let mut captions: Vec<(Vec<TimedWord>, ScriptLimits)> = Vec::new();
    let mut first = 0;
    for index in 0..words.len() {
        let ends = match words.get(index + 1) {
            Some(next) => {
                words[index].ends_caption
                    || next.start - words[index].end >= pause
                    || ends_sentence(&words[index].text)
            }
            None => true,
        };
        if ends {
            let block = &words[first..=index];
            let limits = grouping.limits(block);
            let block = short_enough(block, limits);
            for (from, to) in breaks(&block, limits) {
                captions.push((block[from..to].to_vec(), limits));
            }
            first = index + 1;
        }
    }
    let mut cues: Vec<Cue> = captions
        .iter()
        .enumerate()
        .map(|(index, (words, limits))| cue(index as u64 + 1, words, *limits))
        .collect();
    let gap = Micros::from_seconds(grouping.gap.unwrap_or(0.5));
    for index in 0..cues.len() {
        let next = cues.get(index + 1).map(|next| next.range.start);
        let limits = captions[index].1;
        let cue = &mut cues[index];
        let length = cue
            .text
            .chars()
            .filter(|letter| !letter.is_whitespace())
            .count() as f64;
        let needed = Micros::from_seconds(length / limits.per_second).max(LEAST);
        let said = cue.range.end();
        let mut end = said.max(cue.range.start + needed).min(said + LONGEST_AFTER);
        if let Some(next) = next {
            end = end.min(next);
            if next - end <= gap {
                end = next;
            }
        }
        // Words that share a start leave no room, and a caption needs some.
        end = end.max(cue.range.start + Micros(1));
        cue.range.duration = end - cue.range.start;
        let rate = length / cue.range.duration.seconds();
        if rate > limits.per_second * 1.05 {
            notes.of_cue(
                cue.number,
                format!(
                    "faster to read than {} characters a second, because the voice is",
                    limits.per_second
                ),
            );
        }
    }
    cues
}

/// The words, with those that are longer than a line in parts.
fn short_enough(words: &[TimedWord], limits: ScriptLimits) -> Vec<TimedWord> {
    let mut short = Vec::with_capacity(words.len());
    for word in words {
        let letters: Vec<char> = word.text.chars().collect();
        if letters.len() <= limits.line {
            short.push(word.clone());
            continue;
        }
        let parts = letters.len().div_ceil(limits.line);
        let size = letters.len().div_ceil(parts);
        let length = (word.end - word.start).0 as f64;
        for (index, part) in letters.chunks(size).enumerate() {
            let at = |letter: usize| {
                word.start
                    + Micros(
                        (length * letter.min(letters.len()) as f64 / letters.len() as f64) as i64,
                    )
            };
            short.push(TimedWord {
                text: part.iter().collect(),
                start: at(index * size),
                end: at((index + 1) * size),
                is_joined: index > 0 || word.is_joined,
                ends_caption: false,
            });
        }
    }
    short
}

/// The width of a word after another: its characters and the blank before it.
fn width(word: &TimedWord, is_first: bool) -> usize {
    word.text.chars().count() + usize::from(!is_first && !word.is_joined)
}

/// Divides words that belong together into captions: the ranges with the lowest sum of costs.
fn breaks(words: &[TimedWord], limits: ScriptLimits) -> Vec<(usize, usize)> {
    let room = (limits.line * limits.lines) as f64;
    let mut best: Vec<(f64, usize)> = vec![(f64::INFINITY, 0); words.len() + 1];
    best[0] = (0.0, 0);
    for from in 0..words.len() {
        let before = best[from].0;
        let mut length = 0;
        for to in from + 1..=words.len() {
            length += width(&words[to - 1], to == from + 1);
            let is_one = to == from + 1;
            let fits = is_one
                || (to - from <= limits.words
                    && length <= limits.line * limits.lines
                    && (length <= limits.line || lines(&words[from..to], limits).is_some()));
            if !fits {
                break;
            }
            let empty = (1.0 - length as f64 / room).max(0.0);
            let at_end = match words.get(to) {
                None => 0.0,
                Some(_) if ends_clause(&words[to - 1].text) => 0.0,
                Some(next) if next.start - words[to - 1].end >= BREATH => 0.1,
                Some(next) if next.is_joined && !next.text.starts_with(is_unspaced) => 0.8,
                Some(_) => 0.35,
            };
            let lone = if is_one && words.len() > 1 && empty > 0.75 {
                0.5
            } else {
                0.0
            };
            let cost = before + empty * empty + at_end + lone;
            if cost < best[to].0 {
                best[to] = (cost, from);
            }
        }
    }
    let mut ranges = Vec::new();
    let mut to = words.len();
    while to > 0 {
        let from = best[to].1;
        ranges.push((from, to));
        to = from;
    }
    ranges.reverse();
    ranges
}

/// The first words of the lines after the first, so that the lines are about equally long; `None` if they do not fit.
fn lines(words: &[TimedWord], limits: ScriptLimits) -> Option<Vec<usize>> {
    let total: usize = words
        .iter()
        .enumerate()
        .map(|(index, word)| width(word, index == 0))
        .sum();
    let count = total.div_ceil(limits.line);
    (count..=limits.lines).find_map(|count| {
        let target = total.div_ceil(count);
        let mut starts = Vec::new();
        let mut length = 0;
        for (index, word) in words.iter().enumerate() {
            let own = width(word, length == 0);
            let is_over = length > 0
                && (length + own > limits.line
                    || (length + own / 2 > target && starts.len() + 1 < count));
            if is_over {
                starts.push(index);
                length = width(word, true);
            } else {
                length += own;
            }
        }
        (starts.len() < count && starts.len() < limits.lines).then_some(starts)
    })
}

fn cue(number: u64, words: &[TimedWord], limits: ScriptLimits) -> Cue {
    let starts = lines(words, limits).unwrap_or_default();
    let mut text = String::new();
    let mut count = 0;
    let mut timed = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        if starts.contains(&index) {
            text.push('\n');
            count += 1;
        } else if index > 0 && !word.is_joined {
            text.push(' ');
            count += 1;
        }
        let length = word.text.chars().count() as u32;
        timed.push(CueWord {
            from: count,
            to: count + length,
            start: word.start,
            end: word.end,
        });
        text.push_str(&word.text);
        count += length;
    }
    let start = words.first().map_or(Micros::ZERO, |word| word.start);
    let end = words.last().map_or(start, |word| word.end);
    Cue {
        number,
        range: Range::new(start, end - start),
        text,
        style: LetterStyle::default(),
        parts: Vec::new(),
        place: CuePosition::default(),
        frame: CueFrame::default(),
        words: timed,
        sung: None,
    }
}
