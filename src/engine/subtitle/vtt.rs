//! WebVTT: blocks as in SRT, with comments, style sheets, regions and cue settings.

use std::collections::HashMap;

use super::cue::{Cue, CuePosition, LetterStyle, Notes};
use super::markup::{self, MarkupReader};
use super::srt::blocks;
use super::time::{CueTimes, times};
use super::words::marked_words;
use super::{SubtitleLine, left_out};
use crate::error::Result;

/// Height of a line as a fraction of the canvas, for positions in lines.
const LINE_HEIGHT: f64 = 0.0533;

pub(super) fn is_vtt(lines: &[SubtitleLine<'_>]) -> bool {
    let first = lines.iter().find(|line| !line.text.is_empty());
    first.is_some_and(|line| {
        let rest = line.text.strip_prefix("WEBVTT");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    })
}

pub(super) fn parse(lines: &[SubtitleLine<'_>], notes: &mut Notes) -> Result<Vec<Cue>> {
    let (body, sheet) = sections(lines, notes);
    let mut cues = Vec::new();
    for block in blocks(&body, true, notes)? {
        let mut plain = MarkupReader {
            cue: block.number,
            notes,
            classes: &sheet,
        }
        .tagged(&block.text, true);
        place(block.settings, &mut plain.place, block.number, notes);
        if let Some(range) = left_out(block.number, block.start, block.end, notes) {
            let words = marked_words(&plain.text, &plain.marks, range);
            cues.push(Cue {
                number: block.number,
                range,
                text: plain.text,
                style: sheet.get("").copied().unwrap_or_default(),
                parts: plain.parts,
                place: plain.place,
                words,
                sung: None,
            });
        }
    }
    Ok(cues)
}

/// The lines of the cues, and the styles that style sheets define for classes, tags and (with an empty name)
/// all text.
fn sections<'a>(
    lines: &[SubtitleLine<'a>],
    notes: &mut Notes,
) -> (Vec<SubtitleLine<'a>>, HashMap<String, LetterStyle>) {
    let mut body: Vec<SubtitleLine<'a>> = Vec::with_capacity(lines.len());
    let mut sheet = String::new();
    // The header ends at a blank line, as do comments and styles.
    let mut skipping = true;
    let mut in_sheet = false;
    let mut after_blank = false;
    for line in lines.iter().skip_while(|line| line.text.is_empty()) {
        let first_word = line.text.split_whitespace().next().unwrap_or_default();
        if line.text.is_empty() || !matches!(times(line.text), CueTimes::None) {
            (skipping, in_sheet) = (false, false);
        } else if after_blank && matches!(first_word, "NOTE" | "STYLE" | "REGION") {
            skipping = true;
            in_sheet = first_word == "STYLE";
            if first_word == "REGION" {
                notes.of_file("regions were left out");
            }
            after_blank = false;
            continue;
        }
        after_blank = line.text.is_empty();
        if in_sheet {
            sheet.push_str(line.text);
            sheet.push('\n');
        }
        if !skipping {
            body.push(*line);
        }
    }
    (body, rules(&sheet, notes))
}

/// The rules of style sheets that concern letters.
fn rules(sheet: &str, notes: &mut Notes) -> HashMap<String, LetterStyle> {
    let mut found: HashMap<String, LetterStyle> = HashMap::new();
    let mut is_whole = true;
    let mut rest = sheet;
    while let Some((selectors, after)) = rest.split_once('{') {
        let (declarations, next) = after.split_once('}').unwrap_or((after, ""));
        rest = next;
        let (letters, others) = markup::declarations(declarations);
        is_whole &= !others;
        for selector in selectors.split(',') {
            let Some(of) = selector.trim().strip_prefix("::cue") else {
                is_whole = false;
                continue;
            };
            let name = of.trim_matches(['(', ')']).trim().to_ascii_lowercase();
            let is_plain = name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
            if is_plain {
                // `c.loud` means the class `.loud`.
                let key = name.strip_prefix('c').filter(|rest| rest.starts_with('.'));
                let known = found.entry(key.unwrap_or(&name).to_owned()).or_default();
                *known = letters.over(*known);
            } else {
                is_whole = false;
            }
        }
    }
    if !is_whole {
        notes.of_file(
            "a part of the style sheet was left out: only colour, bold, italic and underline are supported",
        );
    }
    found
}

/// Applies the settings of a cue to its position.
fn place(settings: &str, place: &mut CuePosition, cue: u64, notes: &mut Notes) {
    let mut anchor = (0, -1);
    let mut is_told = false;
    let mut position = None;
    for setting in settings.split_whitespace() {
        let Some((name, value)) = setting.split_once(':') else {
            continue;
        };
        let mut values = value.split(',');
        let value = values.next().unwrap_or_default();
        let part = value
            .strip_suffix('%')
            .and_then(|percent| percent.parse::<f64>().ok())
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(|percent| percent / 100.0);
        match name {
            "line" => {
                let line: Option<i64> = value.parse().ok();
                let (at, edge) = match (part, line) {
                    (Some(part), _) => (part, if values.next() == Some("end") { -1 } else { 1 }),
                    (None, Some(line @ ..=-1)) => (1.0 + (line as f64 + 1.0) * LINE_HEIGHT, -1),
                    (None, Some(line)) => (line as f64 * LINE_HEIGHT, 1),
                    (None, None) => continue,
                };
                place.point.1 = Some(at.clamp(0.0, 1.0));
                anchor.1 = edge;
                is_told = true;
            }
            "position" => {
                position = part;
            }
            "align" => {
                place.align = match value {
                    "start" | "left" => Some(-1),
                    "end" | "right" => Some(1),
                    "center" | "middle" => Some(0),
                    _ => None,
                };
            }
            "size" => place.width = part.filter(|part| *part > 0.0),
            "vertical" => place.vertical = matches!(value, "rl" | "lr"),
            "region" => notes.of_cue(cue, "its region was left out"),
            _ => {}
        }
    }
    anchor.0 = place.align.unwrap_or(0);
    if position.is_some() || anchor.0 != 0 {
        place.point.0 = position;
        is_told = true;
    }
    if is_told && place.anchor.is_none() {
        place.anchor = Some(anchor);
    }
    if place.width.is_some_and(|width| width >= 1.0) {
        place.width = None;
    }
}
