//! ASS and SSA: one `Dialogue:` line per caption, with named styles.

use std::collections::HashMap;

use super::cue::{Cue, CuePosition, LetterSize, LetterStyle, Notes, TimeMark};
use super::markup::{self, MarkupReader, STYLE_LEFT, ScriptUnits};
use super::time::time;
use super::words::marked_words;
use super::{SubtitleLine, broken, excerpt, left_out};
use crate::draft::text::{Karaoke, KaraokeMode, Rgb};
use crate::error::Result;
use crate::sorting;

/// The columns if there is no `Format:` line.
const COLUMNS: [&str; 10] = [
    "layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text",
];
const STYLE_COLUMNS: [&str; 23] = [
    "name",
    "fontname",
    "fontsize",
    "primarycolour",
    "secondarycolour",
    "outlinecolour",
    "backcolour",
    "bold",
    "italic",
    "underline",
    "strikeout",
    "scalex",
    "scaley",
    "spacing",
    "angle",
    "borderstyle",
    "outline",
    "shadow",
    "alignment",
    "marginl",
    "marginr",
    "marginv",
    "encoding",
];

/// A named style.
#[derive(Clone, Copy, Debug)]
struct AssStyle {
    letters: LetterStyle,
    font_size: f64,
    anchor: Option<(i8, i8)>,
    has_box: bool,
    /// The colour of words that are not yet sung.
    unsung: Option<Rgb>,
}

/// The column names, in order.
struct Columns(Vec<String>);

pub(super) fn is_ass(lines: &[SubtitleLine<'_>]) -> bool {
    let told = lines.iter().find_map(|line| {
        let text = line.text;
        let section = ["[Script Info]", "[Events]", "[V4 Styles]", "[V4+ Styles]"]
            .iter()
            .any(|section| text.eq_ignore_ascii_case(section));
        if section || value(text, "Dialogue").is_some() {
            return Some(true);
        }
        text.contains("-->").then_some(false)
    });
    told.unwrap_or(false)
}

/// The captions, sorted by start.
pub(super) fn parse(lines: &[SubtitleLine<'_>], notes: &mut Notes) -> Result<Vec<Cue>> {
    let (script, styles) = script(lines, notes);
    let mut columns = Columns::of(&COLUMNS);
    let mut in_events = true;
    let mut cues = Vec::new();
    let mut number = 0;
    let classes = HashMap::new();
    for line in lines {
        if line.text.starts_with('[') {
            in_events = line.text.eq_ignore_ascii_case("[Events]");
        } else if let Some(format) = value(line.text, "Format").filter(|_| in_events) {
            columns = Columns::read(format);
        } else if let Some(dialogue) = value(line.text, "Dialogue") {
            number += 1;
            let cells = columns.cells(dialogue);
            let read = |name: &str, otherwise: usize| {
                let cell = columns
                    .cell(&cells, name)
                    .or_else(|| cells.get(otherwise).copied());
                let cell = cell.unwrap_or_default();
                time(cell).ok_or_else(|| {
                    let found = excerpt(cell.trim());
                    let what = format!("expected a time like `0:00:01.50`, found {found:?}");
                    broken(number, line.number, what)
                })
            };
            let (start, end) = (read("start", 1)?, read("end", 2)?);
            let style = columns.cell(&cells, "style").unwrap_or_default().trim();
            // Old files mark the default style with a star.
            let style = styles.get(style.trim_start_matches('*'));
            let style = style.or_else(|| styles.get("Default"));
            let text = if cells.len() == columns.0.len() {
                cells.last().copied().unwrap_or_default()
            } else {
                ""
            };
            let own = ScriptUnits {
                font_size: style.map_or(script.font_size, |style| style.font_size),
                styles: HashMap::new(),
                ..script
            };
            let own = if text.contains("\\r") {
                ScriptUnits {
                    styles: styles
                        .iter()
                        .map(|(name, style)| (name.clone(), style.letters))
                        .collect(),
                    ..own
                }
            } else {
                own
            };
            let mut reader = MarkupReader {
                cue: number,
                notes,
                classes: &classes,
            };
            let mut plain = reader.dialogue(text, &own);
            let is_set = |name: &str| {
                let margin = columns
                    .cell(&cells, name)
                    .and_then(|cell| cell.trim().parse::<f64>().ok());
                margin.is_some_and(|margin| margin != 0.0)
            };
            if !plain.text.is_empty() {
                if style.is_some_and(|style| style.has_box) {
                    notes.of_cue(
                        number,
                        "the box behind the text was left out: use `background_alpha`",
                    );
                }
                if ["marginl", "marginr", "marginv"]
                    .iter()
                    .any(|name| is_set(name))
                {
                    notes.of_cue(number, "its margins were left out");
                }
            }
            if plain.place.anchor.is_none() {
                plain.place.anchor = style.and_then(|style| style.anchor);
            }
            if let Some(range) = left_out(number, start, end, notes) {
                let words = marked_words(&plain.text, &plain.marks, range);
                let mut letters = style.map(|style| style.letters).unwrap_or_default();
                let mut sung = None;
                if !words.is_empty() {
                    let color = letters.color.unwrap_or(Rgb(255, 255, 255));
                    let unsung = style.and_then(|style| style.unsung);
                    // With one colour for both, nothing is seen of it.
                    let is_seen = unsung.is_some_and(|unsung| unsung != color);
                    let mut modes = plain.marks.iter().filter_map(|(_, mark)| match mark {
                        TimeMark::Lasts(_, mode) => Some(*mode),
                        _ => None,
                    });
                    let mode = modes.next().unwrap_or(KaraokeMode::Words);
                    if modes.any(|other| other != mode) {
                        notes.of_cue(
                            number,
                            "mixes `\\k`, `\\kf` and `\\ko`: all its words are sung as the first one",
                        );
                    }
                    sung = is_seen.then_some(Karaoke { color, mode });
                    letters.color = unsung.or(letters.color);
                }
                cues.push(Cue {
                    number,
                    range,
                    text: plain.text,
                    style: letters,
                    parts: plain.parts,
                    place: CuePosition {
                        align: plain.place.anchor.map(|(x, _)| x),
                        ..plain.place
                    },
                    words,
                    sung,
                });
            }
        }
    }
    sorting::sort_by_key(&mut cues, |cue| cue.range.start);
    Ok(cues)
}

/// The size of the canvas for positions, and the styles by name.
fn script(
    lines: &[SubtitleLine<'_>],
    notes: &mut Notes,
) -> (ScriptUnits, HashMap<String, AssStyle>) {
    let mut script = ScriptUnits::default();
    let mut styles: HashMap<String, AssStyle> = HashMap::new();
    let mut columns = Columns::of(&STYLE_COLUMNS);
    let mut section = String::new();
    let (mut width, mut height) = (None, None);
    for line in lines {
        if line.text.starts_with('[') {
            section = line.text.to_ascii_lowercase();
        }
        let side = |name: &str| {
            let side = value(line.text, name).and_then(|side| side.parse::<f64>().ok());
            side.filter(|side| (1.0..=1e6).contains(side))
        };
        width = width.or_else(|| side("PlayResX"));
        height = height.or_else(|| side("PlayResY"));
        if !section.contains("styles") {
            continue;
        }
        if let Some(format) = value(line.text, "Format") {
            columns = Columns::read(format);
        } else if let Some(style) = value(line.text, "Style") {
            let cells = columns.cells(style);
            let name = columns.cell(&cells, "name").unwrap_or_default().trim();
            let is_old = !section.contains("v4+");
            styles.insert(
                name.trim_start_matches('*').to_owned(),
                AssStyle::read(&columns, &cells, is_old),
            );
        }
    }
    // As in players, a missing side follows from the other one.
    match (width, height) {
        (Some(width), Some(height)) => (script.width, script.height) = (width, height),
        (Some(width), None) => (script.width, script.height) = (width, width * 0.75),
        (None, Some(height)) => (script.width, script.height) = (height / 0.75, height),
        (None, None) => {}
    }
    for style in styles.values_mut() {
        if let Some(LetterSize::OfScript { canvas, .. }) = &mut style.letters.size {
            *canvas = (script.width, script.height);
        }
    }
    if !styles.is_empty() {
        notes.of_file(STYLE_LEFT);
    }
    (script, styles)
}

impl AssStyle {
    fn read(columns: &Columns, cells: &[&str], is_old: bool) -> Self {
        let cell = |name: &str| columns.cell(cells, name).map(str::trim);
        let number = |name: &str| cell(name)?.parse::<f64>().ok().filter(|n| n.is_finite());
        let is_on = |name: &str| number(name).map(|on| on != 0.0);
        let color = |name: &str| markup::ass_color(cell(name)?);
        let font_size = number("fontsize")
            .filter(|size| *size > 0.0)
            .unwrap_or(18.0);
        let has_box = number("borderstyle") == Some(3.0);
        let outline = number("outline").filter(|_| !has_box);
        // SSA has no separate colour for the outline.
        let edge = if is_old {
            "backcolour"
        } else {
            "outlinecolour"
        };
        let edge = color(edge);
        let alignment = number("alignment");
        Self {
            letters: LetterStyle {
                bold: is_on("bold"),
                italic: is_on("italic"),
                underline: is_on("underline"),
                color: color("primarycolour").map(|(color, _)| color),
                size: number("fontsize").filter(|size| *size > 0.0).map(|size| {
                    LetterSize::OfScript {
                        size,
                        canvas: (384.0, 288.0),
                    }
                }),
                alpha: color("primarycolour").map(|(_, alpha)| alpha),
                outline: outline.map(|width| markup::outline_width(width, font_size)),
                outline_color: edge.map(|(color, _)| color),
                outline_alpha: edge.map(|(_, alpha)| alpha),
            },
            font_size,
            unsung: color("secondarycolour")
                .filter(|_| !is_old)
                .map(|(color, _)| color),
            anchor: alignment.and_then(if is_old {
                markup::old_alignment
            } else {
                markup::numpad
            }),
            has_box,
        }
    }
}

impl Columns {
    fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn read(format: &str) -> Self {
        Self(
            format
                .split(',')
                .map(|name| name.trim().to_ascii_lowercase())
                .collect(),
        )
    }

    /// Splits a line into cells; the last cell may contain commas.
    fn cells<'a>(&self, line: &'a str) -> Vec<&'a str> {
        line.splitn(self.0.len().max(1), ',').collect()
    }

    fn cell<'a>(&self, cells: &[&'a str], name: &str) -> Option<&'a str> {
        let place = self.0.iter().position(|other| other == name)?;
        cells.get(place).copied()
    }
}

/// What follows `name:`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (before, after) = text.split_once(':')?;
    before
        .trim()
        .eq_ignore_ascii_case(name)
        .then(|| after.trim())
}
