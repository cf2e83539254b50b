//! SRT: blocks of a number, a line of times, and text; read as in the API, or with the usual errors of files.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::cue::{Cue, CueFrame, CuePosition, LetterStyle, Notes};
use super::markup::MarkupReader;
use super::time::{CueTimes, index, time, times, whole};
use super::words::marked_words;
use super::{SubtitleLine, broken, excerpt, expected_times, left_out};
use crate::error::{Error, Result};
use crate::units::{Micros, Range};

/// A cue as written in its block, in WebVTT and SRT.
pub(super) struct Block<'a> {
    pub number: u64,
    pub start: Micros,
    pub end: Micros,
    /// The text after the times on their line.
    pub settings: &'a str,
    pub text: String,
}

/// SRT with the usual errors: missing or wrong numbers, missing or additional blank lines, other separators in
/// times, missing hours, settings after the times.
pub(super) fn parse(lines: &[SubtitleLine<'_>], notes: &mut Notes) -> Result<Vec<Cue>> {
    let classes = HashMap::new();
    let blocks = blocks(lines, false, notes)?;
    let mut cues = Vec::with_capacity(blocks.len());
    for block in blocks {
        let plain = MarkupReader {
            cue: block.number,
            notes,
            classes: &classes,
        }
        .tagged(&block.text, false);
        if block.settings.split_whitespace().any(is_box) {
            notes.of_cue(block.number, "the position after its times was left out");
        }
        if let Some(range) = left_out(block.number, block.start, block.end, notes) {
            let words = marked_words(&plain.text, &plain.marks, range);
            cues.push(Cue {
                number: block.number,
                range,
                text: plain.text,
                style: LetterStyle::default(),
                parts: plain.parts,
                place: plain.place,
                frame: CueFrame::default(),
                words,
                sung: None,
            });
        }
    }
    Ok(cues)
}

/// `X1:100`: a box in pixels of a picture of unknown size.
fn is_box(setting: &str) -> bool {
    setting.len() > 3 && setting.as_bytes()[2] == b':' && setting.starts_with(['X', 'Y'])
}

pub(super) fn blocks<'a>(
    lines: &[SubtitleLine<'a>],
    vtt: bool,
    notes: &mut Notes,
) -> Result<Vec<Block<'a>>> {
    let mut found: Vec<(usize, Micros, Micros, &'a str)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        match times(line.text) {
            CueTimes::FromTo(start, end, settings) => found.push((at, start, end, settings)),
            CueTimes::Broken => {
                let before = at
                    .checked_sub(1)
                    .and_then(|before| index(lines[before].text));
                let cue = before.unwrap_or(found.len() as u64 + 1);
                return Err(expected_times(cue, *line));
            }
            CueTimes::None => {}
        }
    }
    let Some(&(head_end, ..)) = found.first() else {
        return Ok(Vec::new());
    };
    let mut label = head(&lines[..head_end], vtt, notes)?;
    let indexed = is_indexed(lines, found.iter().map(|(at, ..)| *at), label.is_some());
    let mut blocks = Vec::with_capacity(found.len());
    for (place, &(at, start, end, settings)) in found.iter().enumerate() {
        let number = label.unwrap_or(place as u64 + 1);
        let next = found.get(place + 1).map(|(at, ..)| *at);
        let body = &lines[at + 1..next.unwrap_or(lines.len())];
        let (body, next_label) = match next {
            Some(_) => without_label(body, number, indexed, vtt),
            None => (body, None),
        };
        let text = if indexed {
            text_before_orphan(body, number)?
        } else {
            joined(body)
        };
        label = next_label;
        blocks.push(Block {
            number,
            start,
            end,
            settings,
            text,
        });
    }
    Ok(blocks)
}

/// Whether most cues, or the first one and half of all, have their number before their times: then a number
/// there is not text.
fn is_indexed(lines: &[SubtitleLine<'_>], times: impl Iterator<Item = usize>, first: bool) -> bool {
    let (mut all, mut labelled) = (0, 0);
    for at in times {
        let mut before = lines[..at]
            .iter()
            .rev()
            .filter(|line| !line.text.is_empty());
        all += 1;
        labelled += usize::from(before.next().is_some_and(|line| index(line.text).is_some()));
    }
    2 * labelled > all || (first && 2 * labelled == all)
}

/// The number before the first times. Other text there is left out; a cue without times there is an error.
fn head(lines: &[SubtitleLine<'_>], vtt: bool, notes: &mut Notes) -> Result<Option<u64>> {
    let filled: Vec<&SubtitleLine<'_>> =
        lines.iter().filter(|line| !line.text.is_empty()).collect();
    let Some(last) = filled.last() else {
        return Ok(None);
    };
    let label = index(last.text);
    if vtt {
        return Ok(label);
    }
    if let [first, second, ..] = filled[..]
        && let Some(cue) = index(first.text)
    {
        return Err(expected_times(cue, *second));
    }
    if filled.len() > usize::from(label.is_some()) {
        notes.of_file(format!(
            "the text before the first cue (line {}) was left out",
            filled[0].number
        ));
    }
    Ok(label)
}

/// The lines of cue `cue` up to the next cue's number or name, and that number.
fn without_label<'l, 'a>(
    body: &'l [SubtitleLine<'a>],
    cue: u64,
    indexed: bool,
    vtt: bool,
) -> (&'l [SubtitleLine<'a>], Option<u64>) {
    let Some(last) = body.iter().rposition(|line| !line.text.is_empty()) else {
        return (body, None);
    };
    let after_blank = last > 0 && body[last - 1].text.is_empty();
    let adjacent = last + 1 == body.len();
    let has_text = body[..last].iter().any(|line| !line.text.is_empty());
    let label = index(body[last].text);
    let is_next = label.is_some() && label == cue.checked_add(1);
    let is_label = match label {
        Some(_) if indexed => is_next || (adjacent && (after_blank || has_text)),
        Some(_) => adjacent && after_blank && (is_next || vtt),
        None => adjacent && after_blank && (indexed || vtt),
    };
    if is_label {
        (&body[..last], label)
    } else {
        (body, None)
    }
}

/// The text of cue `cue`; if it contains the next number, that cue has no times.
fn text_before_orphan(body: &[SubtitleLine<'_>], cue: u64) -> Result<String> {
    for (at, line) in body.iter().enumerate().skip(1) {
        let is_next = body[at - 1].text.is_empty() && index(line.text) == cue.checked_add(1);
        if is_next {
            let mut after = body[at + 1..].iter().filter(|line| !line.text.is_empty());
            return match after.next() {
                Some(after) => Err(expected_times(cue + 1, *after)),
                None => Ok(joined(&body[..at])),
            };
        }
    }
    Ok(joined(body))
}

fn joined(body: &[SubtitleLine<'_>]) -> String {
    let filled = body
        .iter()
        .map(|line| line.text)
        .filter(|text| !text.is_empty());
    filled.collect::<Vec<_>>().join("\n")
}

/// SRT as the API reads it: text with its tags. A text that it cannot read is an error, with its message if it
/// has a readable one. A cue that does not end after its start is left out; the API would store it.
pub(super) fn parse_strictly(
    lines: &[SubtitleLine<'_>],
    notes: &mut Notes,
) -> Result<Vec<Cue>, Option<String>> {
    let mut cues = Vec::new();
    let mut rest = lines.iter().peekable();
    while let Some(line) = rest.next() {
        if line.text.is_empty() {
            continue;
        }
        if !line.text.chars().all(char::is_numeric) {
            return Err(Some(format!(
                "Expected a number at line {}, got '{}'",
                line.number, line.text
            )));
        }
        let number = whole(line.text)
            .and_then(|number| number.try_into().ok())
            .unwrap_or(cues.len() as u64 + 1);
        let Some(line) = rest.next() else { break };
        let (start, end) = strict_times(line.text).ok_or(None)?;
        if rest.peek().is_none() {
            break;
        }
        let body: Vec<&str> = rest
            .by_ref()
            .map(|line| line.text)
            .take_while(|text| !text.is_empty())
            .collect();
        if let Some(range) = left_out(number, start, end, notes) {
            cues.push(Cue {
                number,
                range,
                text: body.join("\n"),
                style: LetterStyle::default(),
                parts: Vec::new(),
                place: CuePosition::default(),
                frame: CueFrame::default(),
                words: Vec::new(),
                sung: None,
            });
        }
    }
    Ok(cues)
}

/// Parses exactly `h:m:s,ms --> h:m:s,ms`.
fn strict_times(text: &str) -> Option<(Micros, Micros)> {
    let strict = |text: &str| {
        let (clock, millis) = text.split_once(',')?;
        let is_whole = whole(millis).is_some()
            && clock.split(':').count() == 3
            && clock.split(':').all(|part| whole(part).is_some());
        is_whole.then(|| time(text)).flatten()
    };
    let (from, to) = text.split_once(" --> ")?;
    Some((strict(from)?, strict(to)?))
}

/// Writes captions so that the API's strict parser can read them.
pub(super) fn written<'a>(captions: impl Iterator<Item = (Range, &'a str)>) -> String {
    let mut text = String::new();
    for (index, (range, words)) in captions.enumerate() {
        // A blank line would end the cue.
        let lines: Vec<&str> = words
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let (start, end) = (clock(range.start), clock(range.end()));
        let _ = write!(
            text,
            "{}\n{start} --> {end}\n{}\n\n",
            index + 1,
            lines.join("\n")
        );
    }
    text
}

fn clock(time: Micros) -> String {
    let ms = time.0.max(0) / 1000;
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02},{:03}", ms % 1000)
}

/// Describes what a text without any cue looks like.
pub(super) fn looks_like(lines: &[SubtitleLine<'_>]) -> Option<&'static str> {
    let filled = lines
        .iter()
        .map(|line| line.text)
        .filter(|text| !text.is_empty());
    let first = filled.clone().next()?;
    let starts = |what: &str| {
        first
            .get(..what.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(what))
    };
    if starts("<!doctype html") || starts("<html") {
        return Some("a web page; give the address of the file itself");
    }
    if starts("<?xml") || starts("<tt") || starts("<transcript") || starts("<sami") {
        return Some("XML subtitles such as TTML or SAMI");
    }
    let is_lrc = |text: &str| {
        let time = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        time.is_some_and(|(clock, _)| time_of_lyrics(clock))
    };
    if filled.clone().take(50).any(is_lrc) {
        return Some("LRC, a lyrics format without end times");
    }
    if starts("{\"") || starts("[{") || starts("{ \"") || first == "{" || first == "[" {
        return Some("JSON");
    }
    let is_frames = |text: &str| {
        let inner = text.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        inner.is_some_and(|(frame, rest)| whole(frame).is_some() && rest.starts_with('{'))
    };
    if is_frames(first) {
        return Some("MicroDVD, which uses frame numbers");
    }
    let is_pair = |text: &str| {
        let pair = text.split_once(',');
        pair.is_some_and(|(from, to)| time(from).is_some() && time(to).is_some())
    };
    filled
        .clone()
        .take(50)
        .any(is_pair)
        .then_some("SBV, a format of YouTube")
}

fn time_of_lyrics(clock: &str) -> bool {
    clock.len() <= 12 && time(clock).is_some()
}

/// The error for a text without any cue.
pub(super) fn nothing_found(lines: &[SubtitleLine<'_>]) -> Error {
    let mut filled = lines.iter().filter(|line| !line.text.is_empty());
    let Some(first) = filled.next() else {
        return Error::invalid(format!("{NOTHING}: it is empty")).hint(HOW);
    };
    match looks_like(lines) {
        Some(what) => Error::invalid(format!("{NOTHING}: it looks like {what}")),
        None => {
            let number = first.number;
            // A number alone is the start of an incomplete cue.
            match index(first.text) {
                Some(cue) => match filled.next() {
                    Some(second) => expected_times(cue, *second),
                    None => broken(cue, number, "the file ends before its times"),
                },
                None => Error::invalid(format!(
                    "{NOTHING}: line {number} is {:?}",
                    excerpt(first.text)
                )),
            }
        }
    }
    .hint(HOW)
}

/// The message for a text without any cue.
pub(super) const NOTHING: &str = "no cue was found";
pub(super) const HOW: &str =
    "give SRT (a line `00:00:01,000 --> 00:00:02,500`, then the text), WebVTT or ASS";
