//! ASS and SSA: one `Dialogue:` line per caption, with named styles.

use std::collections::HashMap;

use super::cue::{Cue, CueBox, CueFrame, CuePosition, LetterSize, LetterStyle, Notes, TimeMark};
use super::markup::{self, MarkupReader, ScriptUnits};
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

const MARGINS: [&str; 3] = ["marginl", "marginr", "marginv"];

/// A named style.
#[derive(Clone, Debug)]
struct AssStyle {
    letters: LetterStyle,
    frame: CueFrame,
    font_size: f64,
    anchor: Option<(i8, i8)>,
    /// Left, right, and lower or upper, in pixels of the script.
    margins: [Option<f64>; 3],
    strikes_out: bool,
    has_box_shadow: bool,
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
            let named = columns.cell(&cells, "style").unwrap_or_default().trim();
            // Old files mark the default style with a star.
            let named = named.trim_start_matches('*');
            let found = styles.get(named);
            if found.is_none() && !styles.is_empty() && !named.is_empty() && named != "Default" {
                let instead = if styles.contains_key("Default") {
                    "`Default` is used"
                } else {
                    "it has none"
                };
                let named = excerpt(named);
                notes.of_cue(
                    number,
                    format!("its style {named:?} is not in the file: {instead}"),
                );
            }
            let style = found.or_else(|| styles.get("Default"));
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
                        .map(|(name, style)| (name.clone(), (style.letters.clone(), style.frame)))
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
            if let Some(style) = style.filter(|_| !plain.text.is_empty()) {
                if style.strikes_out {
                    notes.of_cue(number, "strikethrough was left out");
                }
                if style.has_box_shadow {
                    notes.of_cue(number, "the shadow of the box was left out");
                }
            }
            if plain.place.anchor.is_none() {
                plain.place.anchor = style.and_then(|style| style.anchor);
            }
            // Zero stands for the margin of the style.
            let mut margins = MARGINS.into_iter().enumerate().map(|(index, name)| {
                let own = columns.cell(&cells, name).and_then(finite);
                let own = own.filter(|margin| *margin != 0.0);
                own.or_else(|| style?.margins[index])
            });
            let sides = [margins.next(), margins.next(), margins.next()].map(Option::flatten);
            if sides.iter().any(Option::is_some) {
                let [left, right, end] = sides.map(Option::unwrap_or_default);
                plain.place.anchor = plain.place.anchor.or(Some((0, -1)));
                plain.place.margins = Some((
                    left / script.width,
                    right / script.width,
                    end / script.height,
                ));
            }
            if let Some(range) = left_out(number, start, end, notes) {
                let words = marked_words(&plain.text, &plain.marks, range);
                let mut letters = style.map(|style| style.letters.clone()).unwrap_or_default();
                let frame = style.map(|style| style.frame).unwrap_or_default();
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
                    frame: plain.frame.over(frame),
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
            let name = name.trim_start_matches('*');
            let style = AssStyle::read(&columns, &cells, is_old);
            if styles.insert(name.to_owned(), style).is_some() {
                let name = excerpt(name);
                notes.of_file(format!(
                    "style {name:?} is defined more than once: the last definition is used"
                ));
            }
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
    (script, styles)
}

impl AssStyle {
    fn read(columns: &Columns, cells: &[&str], is_old: bool) -> Self {
        let cell = |name: &str| columns.cell(cells, name).map(str::trim);
        let number = |name: &str| finite(cell(name)?);
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
        let back = color("backcolour");
        let depth = number("shadow");
        let shadow = depth.filter(|_| !has_box);
        let shadow = shadow.map(|depth| markup::ems(depth, font_size));
        Self {
            frame: CueFrame {
                shadow: (shadow, shadow),
                shadow_color: back.map(|(color, _)| color),
                shadow_alpha: back.map(|(_, alpha)| alpha),
                scale: (
                    number("scalex").map(markup::scale),
                    number("scaley").map(markup::scale),
                ),
                letter_spacing: number("spacing").map(|pixels| markup::ems(pixels, font_size)),
                rotation: number("angle").map(markup::clockwise),
                background: edge.filter(|_| has_box).map(|(color, alpha)| CueBox {
                    color,
                    alpha,
                    padding: markup::ems(number("outline").unwrap_or_default(), font_size)
                        .clamp(0.0, 1.0),
                }),
            },
            letters: LetterStyle {
                font: cell("fontname").and_then(markup::font_name),
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
            margins: MARGINS.map(number),
            strikes_out: is_on("strikeout") == Some(true),
            has_box_shadow: has_box && depth.is_some_and(|depth| depth > 0.0),
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

fn finite(cell: &str) -> Option<f64> {
    let number = cell.trim().parse::<f64>().ok();
    number.filter(|number| number.is_finite() && number.abs() <= 1e6)
}

/// What follows `name:`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (before, after) = text.split_once(':')?;
    before
        .trim()
        .eq_ignore_ascii_case(name)
        .then(|| after.trim())
}
