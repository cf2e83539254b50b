//! Captions from SRT, WebVTT and ASS text. What is read is text already: fetching is left to others.
//!
//! [`parse`] takes what people and programs really write, [`parse_as_api`] what the CapCut API takes, in its way,
//! and the rest like [`parse`]. Both name a broken cue by its number and line, and say what they changed.

mod ass;
mod cue;
mod look;
mod markup;
mod srt;
mod time;
mod timing;
mod vtt;

use std::borrow::Cow;

use crate::encoding;
use crate::error::{Error, Result};
use crate::units::{Micros, Range};

pub(crate) use cue::{Cue, Notes, numbered};
pub(crate) use look::{CallLook, Gives};
pub(crate) use timing::Laid;

/// The most that a subtitle file may hold.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// A line of the text, without the space around it.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// From 1.
    number: usize,
    text: &'a str,
}

/// Subtitles that were read.
#[derive(Debug)]
pub(crate) struct Subtitles {
    pub cues: Vec<Cue>,
    pub notes: Notes,
    /// Read as the API reads them, which does not divide cues that overlap.
    is_as_api: bool,
}

/// The captions of SRT, WebVTT or ASS text, whichever it is; an error if there is none. Captions without text are
/// left out.
pub(crate) fn parse(text: &str) -> Result<Subtitles> {
    let text = text.trim_start_matches('\u{feff}');
    let lines = lines(text);
    let mut notes = Notes::default();
    let read = if ass::is_ass(&lines) {
        ass::parse(&lines, &mut notes)?
    } else if vtt::is_vtt(&lines) {
        vtt::parse(&lines, &mut notes)?
    } else {
        srt::parse(&lines, &mut notes)?
    };
    let mut cues = read;
    cues.retain(|cue| {
        let has_text = !cue.text.trim().is_empty();
        if !has_text {
            notes.of_cue(cue.number, "left out, because it has no text");
        }
        has_text
    });
    if cues.is_empty() {
        let left_out = notes.left_out();
        return Err(if left_out.is_empty() {
            srt::nothing_found(&lines)
        } else {
            Error::invalid(format!("no cue can be shown: {left_out}"))
        });
    }
    Ok(Subtitles {
        cues,
        notes,
        is_as_api: false,
    })
}

/// The captions as the CapCut API reads them, empty ones included. What it cannot read is read by [`parse`];
/// when that fails too, the message is the API's.
pub(crate) fn parse_as_api(text: &str) -> Result<Subtitles> {
    let mut notes = Notes::default();
    let strict = match srt::parse_strictly(&lines(text), &mut notes) {
        Ok(cues) => {
            return Ok(Subtitles {
                cues,
                notes,
                is_as_api: true,
            });
        }
        Err(message) => message,
    };
    parse(text).map_err(|error| match strict {
        Some(message) => Error::invalid(message).hint(error.message),
        None => error,
    })
}

/// The text of a file, and what is to be said of its encoding.
pub(crate) fn decode(bytes: &[u8]) -> (String, Option<String>) {
    let decoded = encoding::decode(bytes);
    let note = decoded.note();
    (decoded.text, note)
}

/// The text of a file as the API has it: what is not Unicode is lost, which is said.
pub(crate) fn decode_as_api(bytes: &[u8]) -> (String, Option<String>) {
    let decoded = encoding::decode(bytes);
    if !decoded.guessed {
        let note = decoded.note();
        return (decoded.text, note);
    }
    let name = decoded.encoding;
    let note = format!(
        "the file is not UTF-8 (probably {name}): its letters are shown as \u{fffd}; save it as UTF-8"
    );
    (String::from_utf8_lossy(bytes).into_owned(), Some(note))
}

impl Subtitles {
    /// Adds what was said of their file.
    pub(crate) fn with(mut self, note: Option<String>) -> Self {
        if let Some(note) = note {
            let mut notes = Notes::default();
            notes.of_file(note);
            notes.extend(self.notes);
            self.notes = notes;
        }
        self
    }

    /// Moves them by `offset`, and puts those that overlap on further lanes.
    pub(crate) fn laid(mut self, offset: Micros) -> Result<Laid> {
        let cues = timing::moved(self.cues, offset, &mut self.notes)?;
        let lanes = if self.is_as_api {
            vec![cues]
        } else {
            timing::lanes(cues, &mut self.notes)
        };
        Ok(Laid {
            lanes,
            notes: self.notes,
        })
    }
}

impl Laid {
    /// See [`timing::lines_below`].
    pub(crate) fn lines_below(&self) -> Vec<Vec<usize>> {
        timing::lines_below(&self.lanes)
    }

    /// The captions on one track.
    pub(crate) fn joined(&self) -> Vec<(Range, String)> {
        timing::joined(&self.lanes)
    }
}

/// What an API is sent that reads SRT strictly, without letters of its own.
#[derive(Debug)]
pub(crate) struct ForApi {
    /// None: what there is can be sent as it is.
    pub srt: Option<String>,
    pub notes: Notes,
}

/// Subtitles as an API reads them that adds `offset` to their times.
pub(crate) fn for_api(text: &str, encoding: Option<String>, offset: Micros) -> Result<ForApi> {
    let is_plain = encoding.is_none();
    let mut subtitles = parse(text)?.with(encoding);
    let styled: Vec<u64> = subtitles
        .cues
        .iter()
        .filter(|cue| cue.has_look())
        .map(|cue| cue.number)
        .collect();
    for cue in styled {
        subtitles.notes.of_cue(
            cue,
            "bold, italic, colours and places of the file were left out, which the server does not take",
        );
    }
    let mut laid = subtitles.laid(offset)?;
    for cue in laid.lanes.iter().skip(1).flatten() {
        laid.notes.of_cue(
            cue.number,
            "overlaps another and is shown in one caption with it meanwhile",
        );
    }
    let captions: Vec<(Range, String)> = laid
        .joined()
        .into_iter()
        .map(|(range, text)| (Range::new(range.start - offset, range.duration), text))
        .collect();
    let mut unread = Notes::default();
    let strict = srt::parse_strictly(&lines(text), &mut unread).ok();
    let is_same = is_plain
        && unread.left_out().is_empty()
        && strict.is_some_and(|strict| {
            let strict = strict.iter().map(|cue| (cue.range, cue.text.as_str()));
            strict.eq(captions.iter().map(|(range, text)| (*range, text.as_str())))
        });
    let srt = (!is_same)
        .then(|| srt::written(captions.iter().map(|(range, text)| (*range, text.as_str()))));
    Ok(ForApi {
        srt,
        notes: laid.notes,
    })
}

/// Text that came in an argument and not from a file: the two characters `\n` stand for a line break,
/// as clients write it that escape twice. ASS has its own meaning for them.
pub(crate) fn inline(text: &str) -> Cow<'_, str> {
    if !text.contains("\\n") || (text.contains('\n') && ass::is_ass(&lines(text))) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\\r\\n", "\n").replace("\\n", "\n"))
}

/// The lines of a text, at every boundary that the API knows.
fn lines(text: &str) -> Vec<Line<'_>> {
    let boundary = |c| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = match rest.find(boundary) {
            Some(end) => {
                let tail = &rest[end..];
                let after = tail.strip_prefix("\r\n").unwrap_or_else(|| {
                    let mut chars = tail.chars();
                    chars.next();
                    chars.as_str()
                });
                (&rest[..end], after)
            }
            None => (rest, ""),
        };
        lines.push(Line {
            number: lines.len() + 1,
            text: line.trim(),
        });
        rest = after;
    }
    lines
}

/// What is wrong with subtitles that were fetched, without their words and numbers: whoever names an address must
/// not be shown what it answers.
pub(crate) fn without_content(error: &Error) -> Error {
    if error.message.starts_with(srt::NOTHING) {
        return Error::invalid(srt::NOTHING).hint(srt::HOW);
    }
    // Every message names the line before it quotes anything.
    let line = error.message.split("line ").nth(1).map(|rest| {
        let end = rest.find(|char: char| !char.is_ascii_digit());
        &rest[..end.unwrap_or(rest.len())]
    });
    let place = match line {
        Some(line) if !line.is_empty() => format!("line {line} of it is"),
        _ => "it is".to_owned(),
    };
    Error::invalid(format!("{place} not as in SRT, WebVTT or ASS"))
        .hint("`srt` also takes the subtitles themselves; then the error quotes the line")
}

/// A fault in a cue: its number, the line, what is wrong.
fn broken(cue: u64, line: usize, what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("cue {cue}, line {line}: {what}"))
}

fn expected_times(cue: u64, line: Line<'_>) -> Error {
    let found = format!(
        "expected times like `00:00:01,000 --> 00:00:02,500`, found {:?}",
        excerpt(line.text)
    );
    broken(cue, line.number, found)
}

/// Where a cue is, if it has a length; else it is left out.
fn left_out(cue: u64, start: Micros, end: Micros, notes: &mut Notes) -> Option<Range> {
    if end > start {
        return Some(Range::new(start, end - start));
    }
    notes.of_cue(
        cue,
        if end == start {
            "left out, because it ends when it starts"
        } else {
            "left out, because it ends before it starts"
        },
    );
    None
}

/// As much of a line as fits into a message.
fn excerpt(text: &str) -> &str {
    match text.char_indices().nth(60) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests;
