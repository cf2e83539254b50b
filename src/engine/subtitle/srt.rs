//! SRT and WebVTT: blocks of an index or a name, a line of times, and text.

use std::fmt::Write as _;

use super::{Cue, Line, digit, excerpt, expected_times, range, time, whole};
use crate::error::{Error, Result};
use crate::units::Micros;

/// What stands between two times, the right way first.
const ARROWS: [&str; 5] = ["-->", "->", "—>", "–>", "→"];

/// What a line is for the times of a cue.
enum Times {
    None,
    Broken,
    FromTo(Micros, Micros),
}

pub(super) fn is_vtt(lines: &[Line<'_>]) -> bool {
    let first = lines.iter().find(|line| !line.text.is_empty());
    first.is_some_and(|line| {
        let rest = line.text.strip_prefix("WEBVTT");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    })
}

/// SRT with the usual faults: missing or wrong indices, missing or additional blank lines, `.` for `,`,
/// missing hours, settings after the times.
pub(super) fn parse(lines: &[Line<'_>]) -> Result<Vec<Cue>> {
    cues(lines, false)
}

/// WebVTT without its comments, styles, settings, tags and escapes.
pub(super) fn parse_vtt(lines: &[Line<'_>]) -> Result<Vec<Cue>> {
    let mut body: Vec<Line<'_>> = Vec::with_capacity(lines.len());
    // The header goes on until a blank line, as do comments and styles.
    let mut skipping = true;
    let mut after_blank = false;
    for line in lines.iter().skip_while(|line| line.text.is_empty()) {
        let first_word = line.text.split_whitespace().next().unwrap_or_default();
        if line.text.is_empty() || !matches!(times(line.text), Times::None) {
            skipping = false;
        } else if after_blank && matches!(first_word, "NOTE" | "STYLE" | "REGION") {
            skipping = true;
        }
        after_blank = line.text.is_empty();
        if !skipping {
            body.push(*line);
        }
    }
    let mut cues = cues(&body, true)?;
    for cue in &mut cues {
        cue.text = plain(&cue.text);
    }
    Ok(cues)
}

fn cues(lines: &[Line<'_>], vtt: bool) -> Result<Vec<Cue>> {
    let mut found: Vec<(usize, Micros, Micros)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        match times(line.text) {
            Times::FromTo(start, end) => found.push((at, start, end)),
            Times::Broken => {
                let before = at
                    .checked_sub(1)
                    .and_then(|before| index(lines[before].text));
                let cue = before.unwrap_or(found.len() as u64 + 1);
                return Err(expected_times(cue, *line));
            }
            Times::None => {}
        }
    }

    let head_end = found.first().map_or(lines.len(), |(at, ..)| *at);
    let mut label = head(&lines[..head_end], vtt)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    // Where the first cue has a number, a number before the times of another is its number and not text.
    let indexed = label.is_some();
    let mut cues = Vec::with_capacity(found.len());
    for (number, &(at, start, end)) in found.iter().enumerate() {
        let cue = label.unwrap_or(number as u64 + 1);
        let range = range(cue, lines[at].number, start, end)?;
        let next = found.get(number + 1).map(|(at, ..)| *at);
        let body = &lines[at + 1..next.unwrap_or(lines.len())];
        let (body, next_label) = match next {
            Some(_) => without_label(body, indexed, vtt),
            None => (body, None),
        };
        let text = if indexed {
            text_before_orphan(body, cue)?
        } else {
            joined(body)
        };
        label = next_label;
        cues.push(Cue { range, text });
    }
    Ok(cues)
}

/// The number before the first times; anything else there is refused in SRT, and a name in WebVTT.
fn head(lines: &[Line<'_>], vtt: bool) -> Result<Option<u64>> {
    let mut filled = lines.iter().filter(|line| !line.text.is_empty());
    let Some(first) = filled.next() else {
        return Ok(None);
    };
    let label = index(first.text);
    match (label, filled.next()) {
        _ if vtt => Ok(None),
        (Some(label), Some(second)) => Err(expected_times(label, *second)),
        (Some(label), None) => Ok(Some(label)),
        (None, _) => Err(Error::invalid(format!(
            "line {}: expected the number of a cue, found {:?}",
            first.number,
            excerpt(first.text),
        ))),
    }
}

/// The lines up to the next cue's number or name, and its number.
fn without_label<'a, 'b>(
    body: &'a [Line<'b>],
    indexed: bool,
    vtt: bool,
) -> (&'a [Line<'b>], Option<u64>) {
    let Some(last) = body.iter().rposition(|line| !line.text.is_empty()) else {
        return (body, None);
    };
    let after_blank = last > 0 && body[last - 1].text.is_empty();
    let adjacent = last + 1 == body.len();
    let label = index(body[last].text);
    let is_label = match label {
        Some(_) => indexed || after_blank,
        None => adjacent && after_blank && (indexed || vtt),
    };
    if is_label {
        (&body[..last], label)
    } else {
        (body, None)
    }
}

/// The text of cue `cue`; the next number among it tells of a cue that has no times.
fn text_before_orphan(body: &[Line<'_>], cue: u64) -> Result<String> {
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

fn joined(body: &[Line<'_>]) -> String {
    let filled = body
        .iter()
        .map(|line| line.text)
        .filter(|text| !text.is_empty());
    filled.collect::<Vec<_>>().join("\n")
}

fn index(text: &str) -> Option<u64> {
    whole(text).and_then(|number| number.try_into().ok())
}

fn times(text: &str) -> Times {
    let Some((from, to)) = ARROWS.iter().find_map(|arrow| text.split_once(arrow)) else {
        return Times::None;
    };
    let to = to.trim_start();
    // Settings may follow the end: `line:0`, `X1:0`.
    let end = to.split(char::is_whitespace).next().and_then(time);
    if let (Some(start), Some(end)) = (time(from), end) {
        return Times::FromTo(start, end);
    }
    // Text may have an arrow too, but then it does not begin like a time.
    let like_time = text.contains("-->")
        && from.contains(':')
        && from.trim_start().starts_with(|c| digit(c).is_some());
    if like_time {
        Times::Broken
    } else {
        Times::None
    }
}

/// The text without tags, with its escapes resolved.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        plain.push_str(&rest[..start]);
        rest = &rest[start..];
        match rest.find('>') {
            Some(end) => rest = &rest[end + 1..],
            None => break,
        }
    }
    plain.push_str(rest);
    for (escape, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&nbsp;", "\u{a0}"),
        ("&lrm;", "\u{200e}"),
        ("&rlm;", "\u{200f}"),
        ("&amp;", "&"),
    ] {
        plain = plain.replace(escape, character);
    }
    plain.trim().to_owned()
}

/// SRT as the API reads it. What it does not read at all is the outer error, with its message where
/// that is a message; a cue that ends before it starts, which it would store, is the inner one.
pub(super) fn parse_strictly(lines: &[Line<'_>]) -> Result<Result<Vec<Cue>>, Option<String>> {
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
        let cue = index(line.text).unwrap_or(cues.len() as u64 + 1);
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
        match range(cue, line.number, start, end) {
            Ok(range) => cues.push(Cue {
                range,
                text: body.join("\n"),
            }),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(cues))
}

/// `h:m:s,ms --> h:m:s,ms` and nothing else.
fn strict_times(text: &str) -> Option<(Micros, Micros)> {
    let strict = |text: &str| {
        let (clock, millis) = text.split_once(',')?;
        let is_whole = clock.split(':').count() == 3 && whole(millis).is_some();
        is_whole.then(|| time(text)).flatten()
    };
    let (from, to) = text.split_once(" --> ")?;
    Some((strict(from)?, strict(to)?))
}
/// Cues as the API's strict parser reads them back.
pub(super) fn written(cues: &[Cue]) -> String {
    let mut text = String::new();
    for (index, cue) in cues.iter().enumerate() {
        // A blank line would end the cue.
        let lines: Vec<&str> = cue
            .text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let (start, end) = (clock(cue.range.start), clock(cue.range.end()));
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
