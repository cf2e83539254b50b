//! Captions from SRT, WebVTT and ASS text, and from transcripts with words. The input is text; fetching files is left to others.
//!
//! [`parse`] accepts what people and programs actually write. [`parse_as_api`] accepts what the CapCut API
//! accepts, in its way, and otherwise falls back to [`parse`]. Both report a broken cue by its number and line,
//! and note what they changed.

mod ass;
mod cue;
pub(crate) mod export;
mod heard;
mod look;
mod markup;
mod srt;
mod time;
mod timing;
mod transcript;
mod vtt;
mod words;

use std::borrow::Cow;

use crate::encoding;
use crate::error::{Error, Result};
use crate::units::{Micros, Range};

pub(crate) use cue::{Cue, CueBox, Notes, numbered};
use cue::{CueSpan, LetterSize, LetterStyle};
pub(crate) use heard::HeardPart;
pub(crate) use look::{CallLook, Gives};
pub(crate) use timing::{Laid, LinesBelow};
pub(crate) use transcript::{Grouping, tokens};

/// Maximum size of a subtitle file.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// The size of a translation in comparison with the text above it.
const TRANSLATION_SIZE: f64 = 0.75;

/// A line of the text, trimmed.
#[derive(Clone, Copy, Debug)]
struct SubtitleLine<'a> {
    /// From 1.
    number: usize,
    text: &'a str,
}

/// Parsed subtitles.
#[derive(Debug)]
pub(crate) struct Subtitles {
    pub cues: Vec<Cue>,
    pub notes: Notes,
    /// Parsed as in the API, which does not split overlapping cues.
    is_as_api: bool,
}

/// The captions of SRT, WebVTT or ASS text, or of a transcript, whose words are grouped; the format is detected. An error
/// if there are none. Captions without text are left out.
pub(crate) fn parse(text: &str, grouping: &Grouping) -> Result<Subtitles> {
    parse_heard(text, grouping, &[])
}

/// As [`parse`], for subtitles of a sound whose parts are heard at other times; with their own times if there are no parts.
pub(crate) fn parse_heard(
    text: &str,
    grouping: &Grouping,
    heard: &[HeardPart],
) -> Result<Subtitles> {
    let text = text.trim_start_matches('\u{feff}');
    let lines = lines(text);
    let mut notes = Notes::default();
    let is_transcript = transcript::is_json(text);
    let read = if is_transcript {
        transcript::parse(text, grouping, heard, &mut notes)?
    } else if ass::is_ass(&lines) {
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
    if !heard.is_empty() && !is_transcript {
        cues = heard::cues_heard(cues, heard, &mut notes)?;
    }
    Ok(Subtitles {
        cues,
        notes,
        is_as_api: false,
    })
}

/// The captions as the CapCut API reads them, including empty ones. If it cannot read the text, [`parse`] is
/// used; if that fails too, the message is the API's.
pub(crate) fn parse_as_api(text: &str, grouping: &Grouping) -> Result<Subtitles> {
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
    parse(text, grouping).map_err(|error| match strict {
        Some(message) => Error::invalid(message).hint(error.message),
        None => error,
    })
}

/// The text of a file, and a note on its encoding.
pub(crate) fn decode(bytes: &[u8]) -> (String, Option<String>) {
    let decoded = encoding::decode(bytes);
    let note = decoded.note();
    (decoded.text, note)
}

/// The text of a file as the API reads it: characters in other encodings are lost, and a note says so.
pub(crate) fn decode_as_api(bytes: &[u8]) -> (String, Option<String>) {
    let decoded = encoding::decode(bytes);
    if !decoded.guessed {
        let note = decoded.note();
        return (decoded.text, note);
    }
    let name = decoded.encoding;
    let note = format!(
        "the file is not UTF-8 (probably {name}): its non-ASCII characters are shown as \u{fffd}; save it as UTF-8"
    );
    (String::from_utf8_lossy(bytes).into_owned(), Some(note))
}

impl Subtitles {
    /// Adds a note on the file.
    pub(crate) fn with(mut self, note: Option<String>) -> Self {
        if let Some(note) = note {
            let mut notes = Notes::default();
            notes.of_file(note);
            notes.extend(self.notes);
            self.notes = notes;
        }
        self
    }

    /// Estimates the times of the words of cues that have none.
    pub(crate) fn with_words(mut self) -> Self {
        for cue in &mut self.cues {
            if cue.words.is_empty() {
                cue.words = words::estimated(&cue.text, cue.range);
                let what = "the times of its words are estimated from their lengths";
                self.notes.of_cue(cue.number, what);
            }
        }
        self
    }

    /// One cue for each word, which is shown until the next one. Parts of cues without times are not shown.
    pub(crate) fn word_by_word(self) -> Self {
        let Self {
            cues,
            notes,
            is_as_api,
        } = self.with_words();
        let mut single = Vec::with_capacity(cues.len() * 4);
        for cue in cues {
            let letters: Vec<char> = cue.text.chars().collect();
            for (index, word) in cue.words.iter().enumerate() {
                let next = cue.words.get(index + 1).map(|next| next.start);
                let (end, to) = (
                    next.unwrap_or(cue.range.end()),
                    (word.to as usize).min(letters.len()),
                );
                let from = (word.from as usize).min(to);
                if end <= word.start || from == to {
                    continue;
                }
                let parts = cue.parts.iter().filter_map(|part| {
                    let from = part.from.max(word.from) - word.from;
                    let to = part.to.min(word.to).saturating_sub(word.from);
                    (to > from).then_some(CueSpan {
                        from,
                        to,
                        ..part.clone()
                    })
                });
                single.push(Cue {
                    range: Range::new(word.start, end - word.start),
                    text: letters[from..to].iter().collect(),
                    parts: parts.collect(),
                    words: Vec::new(),
                    sung: None,
                    ..cue.clone()
                });
            }
        }
        Self {
            cues: single,
            notes,
            is_as_api,
        }
    }

    /// Adds the captions of another language below those of this one, in smaller letters: to each cue those that are shown
    /// at its time.
    pub(crate) fn with_translation(mut self, other: Self) -> Self {
        let mut used = vec![false; other.cues.len()];
        for cue in &mut self.cues {
            let mut below: Vec<&str> = Vec::new();
            for (index, own) in other.cues.iter().enumerate() {
                let shared =
                    own.range.end().min(cue.range.end()) - own.range.start.max(cue.range.start);
                // Half of the shorter one.
                if shared.0 * 2 >= own.range.duration.min(cue.range.duration).0 {
                    used[index] = true;
                    below.push(&own.text);
                }
            }
            if below.is_empty() {
                self.notes
                    .of_cue(cue.number, "has no translation at its time");
                continue;
            }
            let below = below.join(" ").replace('\n', " ");
            let from = cue.text.chars().count() as u32 + 1;
            let to = from + below.chars().count() as u32;
            cue.text.push('\n');
            cue.text.push_str(&below);
            cue.parts.push(CueSpan {
                from,
                to,
                letters: LetterStyle {
                    size: Some(LetterSize::Times(TRANSLATION_SIZE)),
                    ..LetterStyle::default()
                },
            });
        }
        let unused = other.cues.iter().zip(used).filter(|(_, used)| !used);
        for (cue, _) in unused {
            let what = "of the translation: left out, because no caption is shown at its time";
            self.notes.of_cue(cue.number, what);
        }
        self
    }

    /// Moves the cues by `offset`, and puts overlapping cues on additional lanes.
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
    pub(crate) fn lines_below(&self, lines: impl Fn(&Cue) -> usize) -> Vec<Vec<LinesBelow>> {
        timing::lines_below(&self.lanes, lines)
    }

    /// The captions on a single track.
    pub(crate) fn joined(&self) -> Vec<(Range, String)> {
        timing::joined(&self.lanes)
    }
}

/// Subtitles for an API that reads SRT strictly and without styles.
#[derive(Debug)]
pub(crate) struct ForApi {
    /// `None`: the original text can be sent unchanged.
    pub srt: Option<String>,
    pub notes: Notes,
}

/// Converts subtitles for an API that adds `offset` to their times.
pub(crate) fn for_api(
    text: &str,
    encoding: Option<String>,
    offset: Micros,
    grouping: &Grouping,
    heard: &[HeardPart],
) -> Result<ForApi> {
    let is_plain = encoding.is_none() && heard.is_empty();
    let mut subtitles = parse_heard(text, grouping, heard)?.with(encoding);
    let styled: Vec<u64> = subtitles
        .cues
        .iter()
        .filter(|cue| cue.has_look())
        .map(|cue| cue.number)
        .collect();
    for cue in styled {
        subtitles.notes.of_cue(
            cue,
            "bold, italic, colours and positions of the file were left out, as the server does not support them",
        );
    }
    let mut laid = subtitles.laid(offset)?;
    for cue in laid.lanes.iter().skip(1).flatten() {
        laid.notes.of_cue(
            cue.number,
            "overlaps another cue; both are shown in one caption",
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

/// Text from an argument, not a file: the two characters `\n` are read as a line break, as sent by clients that
/// escape twice. In ASS they have their own meaning.
pub(crate) fn inline(text: &str) -> Cow<'_, str> {
    if !text.contains("\\n")
        || transcript::is_json(text)
        || (text.contains('\n') && ass::is_ass(&lines(text)))
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\\r\\n", "\n").replace("\\n", "\n"))
}

/// Splits a text at all line boundaries that the API recognises.
fn lines(text: &str) -> Vec<SubtitleLine<'_>> {
    let boundary = |c| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines: Vec<SubtitleLine<'_>> = Vec::new();
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
        lines.push(SubtitleLine {
            number: lines.len() + 1,
            text: line.trim(),
        });
        rest = after;
    }
    lines
}

/// The error for subtitles that were fetched, without their words and numbers: a caller that gives an address
/// must not see the content of its response.
pub(crate) fn without_content(error: &Error) -> Error {
    if error.message.starts_with(srt::NOTHING) {
        return Error::invalid(srt::NOTHING).hint(srt::HOW);
    }
    // Every message names the line before any quote.
    let line = error.message.split("line ").nth(1).map(|rest| {
        let end = rest.find(|char: char| !char.is_ascii_digit());
        &rest[..end.unwrap_or(rest.len())]
    });
    let place = match line {
        Some(line) if !line.is_empty() => format!("line {line} of the file is"),
        _ => "the file is".to_owned(),
    };
    Error::invalid(format!(
        "{place} not valid SRT, WebVTT, ASS or a transcript"
    ))
    .hint("pass the text of the subtitles as `srt`; then the error quotes the line")
}

/// The error for a cue: its number, the line, and what is wrong.
fn broken(cue: u64, line: usize, what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("cue {cue}, line {line}: {what}"))
}

fn expected_times(cue: u64, line: SubtitleLine<'_>) -> Error {
    let found = format!(
        "expected times like `00:00:01,000 --> 00:00:02,500`, found {:?}",
        excerpt(line.text)
    );
    broken(cue, line.number, found)
}

/// The range of a cue; `None` with a note if it has no length.
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

/// The start of a line, shortened for a message.
pub(crate) fn excerpt(text: &str) -> &str {
    match text.char_indices().nth(60) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests;
