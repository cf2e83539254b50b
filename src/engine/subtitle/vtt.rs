//! WebVTT: blocks as in SRT, with comments, style sheets, regions and cue settings.

use std::collections::HashMap;

use super::cue::{Cue, CueFrame, CuePosition, LetterStyle, Notes};
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
    let (body, sheet, regions) = sections(lines, notes);
    let mut cues = Vec::new();
    for block in blocks(&body, true, notes)? {
        let mut plain = MarkupReader {
            cue: block.number,
            notes,
            classes: &sheet,
        }
        .tagged(&block.text, true);
        place(
            block.settings,
            &mut plain.place,
            &regions,
            block.number,
            notes,
        );
        if let Some(range) = left_out(block.number, block.start, block.end, notes) {
            let words = marked_words(&plain.text, &plain.marks, range);
            cues.push(Cue {
                number: block.number,
                range,
                text: plain.text,
                style: sheet.get("").cloned().unwrap_or_default(),
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

/// A part of the canvas in which cues are shown, in parts of the canvas from its upper left corner.
#[derive(Clone, Copy, Debug)]
struct Region {
    width: f64,
    lines: f64,
    /// The point of the region, in parts of it, that is at the point of the canvas.
    anchor: (f64, f64),
    point: (f64, f64),
}

impl Default for Region {
    fn default() -> Self {
        Self {
            width: 1.0,
            lines: 3.0,
            anchor: (0.0, 1.0),
            point: (0.0, 1.0),
        }
    }
}

impl Region {
    fn left(self) -> f64 {
        self.point.0 - self.anchor.0 * self.width
    }

    fn bottom(self) -> f64 {
        self.point.1 + (1.0 - self.anchor.1) * self.lines * LINE_HEIGHT
    }

    /// Reads `id:name width:40% lines:3 regionanchor:0%,100% viewportanchor:10%,90%`; returns its id, too.
    fn read(settings: &str, notes: &mut Notes) -> (String, Self) {
        let mut own = Self::default();
        let mut id = String::new();
        for (name, value) in settings
            .split_whitespace()
            .filter_map(|own| own.split_once(':'))
        {
            let pair = || {
                let (x, y) = value.split_once(',')?;
                Some((part_of(x)?, part_of(y)?))
            };
            match name {
                "id" => value.clone_into(&mut id),
                "width" => own.width = part_of(value).unwrap_or(own.width),
                "lines" => {
                    let lines = value.parse::<u16>().ok();
                    own.lines = lines.map_or(own.lines, |lines| f64::from(lines.clamp(1, 100)));
                }
                "regionanchor" => own.anchor = pair().unwrap_or(own.anchor),
                "viewportanchor" => own.point = pair().unwrap_or(own.point),
                "scroll" => {
                    notes.of_file(format!(
                        "the region {id:?} does not scroll: its cues replace each other"
                    ));
                }
                _ => {}
            }
        }
        (id, own)
    }
}

/// `40%` as a part.
fn part_of(value: &str) -> Option<f64> {
    let percent = value.strip_suffix('%')?.parse::<f64>().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// The lines of the cues, the regions, and the styles that style sheets define for classes, tags and (with an empty name)
/// all text.
fn sections<'a>(
    lines: &[SubtitleLine<'a>],
    notes: &mut Notes,
) -> (
    Vec<SubtitleLine<'a>>,
    HashMap<String, LetterStyle>,
    HashMap<String, Region>,
) {
    let mut body: Vec<SubtitleLine<'a>> = Vec::with_capacity(lines.len());
    let mut sheet = String::new();
    let mut regions: Vec<String> = Vec::new();
    let mut in_region = false;
    // The header ends at a blank line, as do comments and styles.
    let mut skipping = true;
    let mut in_sheet = false;
    let mut after_blank = false;
    for line in lines.iter().skip_while(|line| line.text.is_empty()) {
        let first_word = line.text.split_whitespace().next().unwrap_or_default();
        if line.text.is_empty() || !matches!(times(line.text), CueTimes::None) {
            (skipping, in_sheet, in_region) = (false, false, false);
        } else if after_blank && matches!(first_word, "NOTE" | "STYLE" | "REGION") {
            skipping = true;
            in_sheet = first_word == "STYLE";
            in_region = first_word == "REGION";
            if in_region {
                regions.push(String::new());
            }
            after_blank = false;
            continue;
        }
        after_blank = line.text.is_empty();
        if in_sheet {
            sheet.push_str(line.text);
            sheet.push('\n');
        }
        if let Some(region) = regions.last_mut().filter(|_| in_region) {
            region.push_str(line.text);
            region.push(' ');
        }
        if !skipping {
            body.push(*line);
        }
    }
    let regions = regions.iter().map(|region| Region::read(region, notes));
    let regions = regions.collect();
    (body, rules(&sheet, notes), regions)
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
                *known = letters.clone().over(std::mem::take(known));
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
fn place(
    settings: &str,
    place: &mut CuePosition,
    regions: &HashMap<String, Region>,
    cue: u64,
    notes: &mut Notes,
) {
    let mut anchor = (0, -1);
    let mut is_told = false;
    let mut position = None;
    let mut column = None;
    let mut region = None;
    for setting in settings.split_whitespace() {
        let Some((name, value)) = setting.split_once(':') else {
            continue;
        };
        let mut values = value.split(',');
        let value = values.next().unwrap_or_default();
        let part = part_of(value);
        let unknown = |notes: &mut Notes| {
            notes.of_cue(
                cue,
                format!("its setting `{name}` has a value that is not known and was left out"),
            );
        };
        match name {
            "line" => {
                let line: Option<i64> = value.parse().ok();
                let (at, edge) = match (part, line) {
                    (Some(part), _) => {
                        let edge = match values.next() {
                            Some("end") => -1,
                            Some("center") => 0,
                            _ => 1,
                        };
                        (part, edge)
                    }
                    (None, Some(line @ ..=-1)) => (1.0 + (line as f64 + 1.0) * LINE_HEIGHT, -1),
                    (None, Some(line)) => (line as f64 * LINE_HEIGHT, 1),
                    (None, None) => {
                        if value != "auto" {
                            unknown(notes);
                        }
                        continue;
                    }
                };
                place.point.1 = Some(at.clamp(0.0, 1.0));
                anchor.1 = edge;
                is_told = true;
            }
            "position" => {
                position = part;
                column = match values.next() {
                    Some("line-left") => Some(-1),
                    Some("center") => Some(0),
                    Some("line-right") => Some(1),
                    _ => None,
                };
                if part.is_none() && value != "auto" {
                    unknown(notes);
                }
            }
            "align" => {
                place.align = match value {
                    "start" | "left" => Some(-1),
                    "end" | "right" => Some(1),
                    "center" | "middle" => Some(0),
                    _ => {
                        unknown(notes);
                        None
                    }
                };
            }
            "size" => place.width = part.filter(|part| *part > 0.0),
            "vertical" => place.vertical = matches!(value, "rl" | "lr"),
            "region" => {
                region = regions.get(value).copied();
                if region.is_none() {
                    notes.of_cue(cue, "its region is not defined in the file");
                }
            }
            _ => notes.of_cue(
                cue,
                format!("the setting `{name}` is not known and was left out"),
            ),
        }
    }
    anchor.0 = column.or(place.align).unwrap_or(0);
    // As in players: cues with a line of their own are not in the region.
    if let Some(region) = region.filter(|_| place.point.1.is_none() && !place.vertical) {
        let usual = f64::midpoint(1.0, f64::from(anchor.0));
        position = Some((region.left() + region.width * position.unwrap_or(usual)).clamp(0.0, 1.0));
        place.point.1 = Some(region.bottom().clamp(0.0, 1.0));
        place.width = Some(region.width * place.width.unwrap_or(1.0));
        is_told = true;
    }
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
