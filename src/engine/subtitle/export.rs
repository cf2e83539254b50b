//! Captions of a draft as SRT, WebVTT or ASS text.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cue::CueBox;
use super::look::{EM, TextBox};
use super::markup::EM_OF_HEIGHT;
use crate::draft::clip::Clip;
use crate::draft::text::{Karaoke, KaraokeMode, Rgb};
use crate::units::{Micros, Range};

/// A format of subtitles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SubtitleFormat {
    Srt,
    Vtt,
    Ass,
}

/// A text of a draft with its times and look.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShownText {
    pub range: Range,
    pub text: String,
    /// Styles of characters `from` to `to` (exclusive), in text order; the first is that of the whole.
    pub styles: Vec<(usize, usize, ShownStyle)>,
    /// Its place, scale and rotation.
    pub clip: Clip,
    pub frame: ShownFrame,
    /// Its words by characters, with times from its start.
    pub words: Vec<(usize, usize, Range)>,
    /// How words that are spoken are emphasised.
    pub sung: Option<Karaoke>,
}

/// What a text has as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ShownFrame {
    /// The alignment of its lines: -1 left, 0 centred, 1 right.
    pub column: i8,
    /// The width at which lines are broken, in pixels of the canvas.
    pub fixed_width: Option<f64>,
    pub shadow: Option<ShownShadow>,
    /// Additional space between letters, in ems.
    pub letter_spacing: f64,
    /// The box behind it.
    pub background: Option<CueBox>,
}

/// A shadow of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShownShadow {
    pub color: Rgb,
    /// From 0 to 1.
    pub alpha: f64,
    /// To the right and downwards, in ems.
    pub offset: (f64, f64),
}

/// The style of letters of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShownStyle {
    pub font: Option<String>,
    /// In the unit of requests.
    pub size: f64,
    pub color: Rgb,
    /// From 0 to 1.
    pub alpha: f64,
    pub bold: bool,
    pub italic: bool,
    pub underline: bool,
    /// Colour, opacity, and width as a part of the size.
    pub outline: Option<(Rgb, f64, f64)>,
}

impl ShownText {
    /// Half canvases from the middle, positive to the right and upwards.
    fn place(&self) -> (f64, f64) {
        (self.clip.transform_x, self.clip.transform_y)
    }

    /// Whether it is shown at a time of the other one, at the same place.
    fn covers(&self, other: &Self) -> bool {
        let starts_before = self.range.start < other.range.end();
        starts_before && other.range.start < self.range.end() && self.place() == other.place()
    }
}

/// The text of a file with these captions, in the order of their times.
pub(crate) fn written(texts: &[ShownText], format: SubtitleFormat, canvas: (f64, f64)) -> String {
    match format {
        SubtitleFormat::Srt => srt(texts),
        SubtitleFormat::Vtt => vtt(texts),
        SubtitleFormat::Ass => ass(texts, canvas),
    }
}

/// The lines of a text; a blank line would end its cue.
fn cue_lines(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn srt(texts: &[ShownText]) -> String {
    let mut out = String::new();
    for (index, text) in texts.iter().enumerate() {
        let (start, end) = (clock(text.range.start, ','), clock(text.range.end(), ','));
        let body = cue_lines(&tagged(text, false, &|plain| plain.to_owned()));
        let _ = write!(out, "{}\n{start} --> {end}\n{body}\n\n", index + 1);
    }
    out
}

fn vtt(texts: &[ShownText]) -> String {
    let escaped = |plain: &str| {
        let plain = plain.replace('&', "&amp;").replace('<', "&lt;");
        plain.replace('>', "&gt;")
    };
    let mut out = "WEBVTT\n\n".to_owned();
    for text in texts {
        let (start, end) = (clock(text.range.start, '.'), clock(text.range.end(), '.'));
        let (column, row) = numpad(text.place()).unwrap_or((0, -1));
        let mut settings = match row {
            1 => " line:5%".to_owned(),
            0 => " line:50%".to_owned(),
            _ => String::new(),
        };
        match column {
            -1 => settings.push_str(" align:start position:10%"),
            1 => settings.push_str(" align:end position:90%"),
            _ => {}
        }
        let body = cue_lines(&tagged(text, true, &escaped));
        let _ = write!(out, "{start} --> {end}{settings}\n{body}\n\n");
    }
    out
}

/// The text with tags for bold, italic and underlined parts, and with the times of its words.
fn tagged(text: &ShownText, has_times: bool, escaped: &dyn Fn(&str) -> String) -> String {
    let letters: Vec<char> = text.text.chars().collect();
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    let mut plain = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let style = style_at(text, index);
        let wanted: Vec<&str> = style.map_or_else(Vec::new, |style| {
            let tags = [
                (style.bold, "b"),
                (style.italic, "i"),
                (style.underline, "u"),
            ];
            tags.into_iter()
                .filter_map(|(is_on, tag)| is_on.then_some(tag))
                .collect()
        });
        let word = text.words.iter().find(|word| word.0 == index);
        // The first word starts with its cue.
        let mark = word.filter(|word| has_times && word.2.start > Micros::ZERO);
        if wanted != open || mark.is_some() {
            out.push_str(&escaped(&plain));
            plain.clear();
        }
        if wanted != open {
            for tag in open.iter().rev() {
                let _ = write!(out, "</{tag}>");
            }
            for tag in &wanted {
                let _ = write!(out, "<{tag}>");
            }
            open = wanted;
        }
        if let Some(word) = mark {
            let _ = write!(out, "<{}>", clock(text.range.start + word.2.start, '.'));
        }
        plain.push(*letter);
    }
    out.push_str(&escaped(&plain));
    for tag in open.iter().rev() {
        let _ = write!(out, "</{tag}>");
    }
    out
}

fn style_at(text: &ShownText, index: usize) -> Option<&ShownStyle> {
    let covering = text
        .styles
        .iter()
        .rev()
        .find(|(from, to, _)| (*from..*to).contains(&index));
    covering.or(text.styles.first()).map(|(.., style)| style)
}

/// `00:00:01,500`.
fn clock(time: Micros, separator: char) -> String {
    let ms = (time.0.max(0) + 500) / 1000;
    format!(
        "{:02}:{:02}:{:02}{separator}{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}

/// Hundredths of a second.
fn hundredths(time: Micros) -> i64 {
    (time.0.max(0) + 5000) / 10_000
}

/// `0:00:01.50`.
fn ass_clock(time: Micros) -> String {
    let time = hundredths(time);
    format!(
        "{}:{:02}:{:02}.{:02}",
        time / 360_000,
        time / 6000 % 60,
        time / 100 % 60,
        time % 100
    )
}

/// Where captions are that no file and no call places.
const USUAL_Y: f64 = 0.8;
const SIDE_X: f64 = 0.6;

/// Column and row, `-1` to `1`, of a text that is where such texts are placed; `None` for any other place.
fn numpad((x, y): (f64, f64)) -> Option<(i8, i8)> {
    let of = |value: f64, side: f64| {
        let sides = [(-1, -side), (0, 0.0), (1, side)];
        let found = sides.into_iter().find(|(_, at)| (value - at).abs() < 1e-6);
        found.map(|(side, _)| side)
    };
    Some((of(x, SIDE_X)?, of(y, USUAL_Y)?))
}

/// A named style.
#[derive(Clone)]
struct NamedStyle {
    style: ShownStyle,
    frame: ShownFrame,
    sung: Option<Rgb>,
    scale: (f64, f64),
    rotation: f64,
    anchor: (i8, i8),
    margins: Margins,
}

/// Left, right, and lower or upper, in whole pixels.
type Margins = [i64; 3];

impl NamedStyle {
    fn of(text: &ShownText, style: &ShownStyle, anchor: (i8, i8), margins: Margins) -> Self {
        Self {
            style: style.clone(),
            // What belongs to the place is not part of the style.
            frame: ShownFrame {
                column: 0,
                fixed_width: None,
                ..text.frame.clone()
            },
            sung: text.sung.map(|karaoke| karaoke.color),
            scale: (text.clip.scale_x, text.clip.scale_y),
            rotation: text.clip.rotation,
            anchor,
            margins,
        }
    }

    /// Whether a dialogue with `other` can have this style, with its own anchor and those of its margins that differ. A margin of
    /// zero in a dialogue stands for that of the style.
    fn suits(&self, other: &Self) -> bool {
        let mut margins = self.margins.iter().zip(&other.margins);
        margins.all(|(own, other)| own == other || *other != 0)
            && self.style == other.style
            && self.frame == other.frame
            && self.sung == other.sung
            && self.scale == other.scale
            && self.rotation == other.rotation
    }

    fn line(&self, name: &str, unit: f64) -> String {
        let Self { style, frame, .. } = self;
        let on = |is_on: bool| if is_on { -1 } else { 0 };
        let size = font_size(style, unit);
        let em = size * EM_OF_HEIGHT;
        let (mut edge, mut edge_alpha, width) = style.outline.unwrap_or((Rgb(0, 0, 0), 1.0, 0.0));
        let mut edge_width = outline(width, size);
        let mut border = 1;
        if let Some(CueBox {
            color,
            alpha,
            padding,
        }) = frame.background
        {
            (edge, edge_alpha) = (color, alpha);
            edge_width = short(padding * em, OF_EM * em);
            border = 3;
        }
        let shadow = frame.shadow.as_ref();
        let (shadow_color, shadow_alpha) =
            shadow.map_or((Rgb(0, 0, 0), 0.5), |shadow| (shadow.color, shadow.alpha));
        let depth = shadow.map_or(0.0, |shadow| shadow.offset.1.max(shadow.offset.0) * em);
        let key = keypad(self.anchor);
        let [left, right, end] = self.margins;
        format!(
            "Style: {name},{},{},{},{},{},{},{},{},{},0,{},{},{},{},{border},{},{},{key},{left},{right},{end},1",
            font(style),
            size,
            ass_color(self.sung.unwrap_or(style.color), style.alpha),
            ass_color(style.color, style.alpha),
            ass_color(edge, edge_alpha),
            ass_color(shadow_color, shadow_alpha),
            on(style.bold),
            on(style.italic),
            on(style.underline),
            short(self.scale.0 * 100.0, 0.005),
            short(self.scale.1 * 100.0, 0.005),
            short(frame.letter_spacing * em, OF_EM * em),
            short(-self.rotation, 0.0005),
            edge_width,
            short(depth.max(0.0), OF_EM * em),
        )
    }
}

fn keypad((column, row): (i8, i8)) -> i8 {
    (row + 1) * 3 + column + 2
}

/// Where a text is: its anchor and margins, and the point of the anchor in pixels if the margins do not give it.
struct Anchored {
    anchor: (i8, i8),
    margins: Margins,
    point: Option<(f64, f64)>,
}

impl Anchored {
    fn of(text: &ShownText, size: f64, canvas: (f64, f64), is_covered: bool) -> Self {
        let (width, height) = canvas;
        let column = text.frame.column;
        let (x, y) = text.place();
        let row = match y {
            y if y > 0.0 => 1,
            y if y < 0.0 => -1,
            _ => 0,
        };
        let bounds = TextBox {
            text: &text.text,
            size,
            fixed_width: text.frame.fixed_width,
            clip: &text.clip,
            canvas,
        };
        // From the left and from the top, in pixels.
        let point = |anchor| {
            let (right, up) = bounds.to_centre(anchor);
            (
                f64::midpoint(1.0, x - right) * width,
                f64::midpoint(1.0, up - y) * height,
            )
        };
        let fixed = text.frame.fixed_width.unwrap_or(width);
        let sides = width - fixed.clamp(1.0, width);
        let placed = point((column, row));
        let left = match column {
            -1 => placed.0,
            1 => placed.0 - fixed,
            _ => sides / 2.0 + placed.0 - width / 2.0,
        };
        let end = match row {
            -1 => height - placed.1,
            1 => placed.1,
            _ => 0.0,
        };
        let margins = [left, sides - left, end];
        // Captions at the usual place are not at whole pixels, and half a pixel is not seen.
        let limit = if numpad((x, y)).is_some() { 0.5 } else { 0.01 };
        let is_whole = margins
            .iter()
            .all(|margin| *margin >= -0.01 && (margin - margin.round()).abs() <= limit);
        if is_whole && !is_covered {
            return Self {
                anchor: (column, row),
                margins: margins.map(|margin| margin.round().max(0.0) as i64),
                point: None,
            };
        }
        let left = (sides / 2.0).floor();
        Self {
            anchor: (column, 0),
            margins: [left as i64, (sides - left).round() as i64, 0],
            point: Some(point((column, 0))),
        }
    }
}

fn ass(texts: &[ShownText], canvas: (f64, f64)) -> String {
    let canvas = (canvas.0.max(1.0).round(), canvas.1.max(1.0).round());
    let (width, height) = canvas;
    let unit = EM * width.min(height) / 1080.0 / EM_OF_HEIGHT;
    let mut styles: Vec<NamedStyle> = Vec::new();
    let mut events = String::new();
    // Those that may still be shown with the next one.
    let mut shown: Vec<&ShownText> = Vec::new();
    for text in texts {
        let Some((.., style)) = text.styles.first() else {
            continue;
        };
        shown.retain(|other| other.range.end() > text.range.start);
        let is_covered = shown.iter().any(|other| other.covers(text));
        shown.push(text);
        let at = Anchored::of(text, style.size, canvas, is_covered);
        let own = NamedStyle::of(text, style, at.anchor, at.margins);
        let index = match styles.iter().position(|known| known.suits(&own)) {
            Some(index) => index,
            None => {
                styles.push(own);
                styles.len() - 1
            }
        };
        let style_of = &styles[index];
        let mut body = String::new();
        if at.anchor != style_of.anchor {
            let _ = write!(body, "\\an{}", keypad(at.anchor));
        }
        if let Some((x, y)) = at.point {
            let half = 0.5e-6 / 2.0;
            let (x, y) = (short(x, half * width), short(y, half * height));
            let _ = write!(body, "\\pos({x},{y})");
        }
        if let Some(ShownShadow { offset, .. }) = &text.frame.shadow
            && (offset.0 != offset.1 || offset.0 < 0.0)
        {
            let em = font_size(style, unit) * EM_OF_HEIGHT;
            let (right, down) = (
                short(offset.0 * em, OF_EM * em),
                short(offset.1 * em, OF_EM * em),
            );
            let _ = write!(body, "\\xshad{right}\\yshad{down}");
        }
        if !body.is_empty() {
            body = format!("{{{body}}}");
        }
        dialogue(&mut body, text, style, unit);
        let (start, end) = (ass_clock(text.range.start), ass_clock(text.range.end()));
        let [left, right, row] = at.margins;
        let own = |margin: i64, index: usize| {
            if margin == style_of.margins[index] {
                0
            } else {
                margin
            }
        };
        let _ = writeln!(
            events,
            "Dialogue: 0,{start},{end},{},,{},{},{},,{body}",
            name(index),
            own(left, 0),
            own(right, 1),
            own(row, 2),
        );
    }
    let mut out = format!(
        "[Script Info]\nScriptType: v4.00+\nPlayResX: {width}\nPlayResY: {height}\nWrapStyle: 0\nScaledBorderAndShadow: yes\n\n\
         [V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \
         Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n"
    );
    for (index, style) in styles.iter().enumerate() {
        let _ = writeln!(out, "{}", style.line(&name(index), unit));
    }
    let _ = write!(
        out,
        "\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n{events}"
    );
    out
}

fn name(index: usize) -> String {
    match index {
        0 => "Default".to_owned(),
        index => format!("Style{}", index + 1),
    }
}

/// The name of the font without what would end it in a style or a tag.
fn font(style: &ShownStyle) -> String {
    let font = style.font.as_deref().unwrap_or("Arial");
    font.replace(
        |letter: char| matches!(letter, ',' | '\\' | '{' | '}') || letter.is_control(),
        " ",
    )
}

/// An invisible letter between two others.
const JOINER: char = '\u{2060}';

/// The text of a dialogue with tags for parts with their own style and for its words.
fn dialogue(body: &mut String, text: &ShownText, whole: &ShownStyle, unit: f64) {
    let letters: Vec<char> = text.text.chars().collect();
    let mut current = whole;
    // What was said up to here, in hundredths, so that rounding does not add up.
    let mut said = 0;
    let mut has_begun = false;
    let tag = match text.sung.map(|karaoke| karaoke.mode) {
        Some(KaraokeMode::Fill) => "kf",
        Some(KaraokeMode::Outline) => "ko",
        _ => "k",
    };
    let is_timed = |index: usize| {
        let mut words = text.words.iter();
        words.any(|(from, to, _)| (*from..*to).contains(&index))
    };
    for (index, letter) in letters.iter().enumerate() {
        let style = style_at(text, index).unwrap_or(whole);
        if style != current {
            body.push_str("{\\r");
            overrides(body, style, whole, unit);
            body.push('}');
            current = style;
        }
        if let Some((from, _, range)) = text.words.iter().find(|word| word.0 == index) {
            debug_assert_eq!(*from, index);
            has_begun = true;
            let (start, end) = (hundredths(range.start), hundredths(range.end()));
            if start > said {
                let _ = write!(body, "{{\\{tag}{}}}", start - said);
                said = start;
            }
            let _ = write!(body, "{{\\{tag}{}}}", (end - said).max(0));
            said = said.max(end);
        } else if has_begun
            && !letter.is_whitespace()
            && !is_timed(index)
            && (letters[index - 1].is_whitespace() || is_timed(index - 1))
        {
            // Text without a time would be sung with the word before it.
            let _ = write!(body, "{{\\{tag}0}}");
        }
        match letter {
            '\n' => body.push_str("\\N"),
            '\r' => {}
            '{' | '}' => {
                body.push('\\');
                body.push(*letter);
            }
            // Without an invisible letter after it, it would be read with the next one.
            '\\' if letters.get(index + 1) != Some(&JOINER) => {
                body.push('\\');
                body.push(JOINER);
            }
            letter => body.push(*letter),
        }
    }
}

fn overrides(body: &mut String, style: &ShownStyle, whole: &ShownStyle, unit: f64) {
    let flags = [
        ("b", style.bold, whole.bold),
        ("i", style.italic, whole.italic),
        ("u", style.underline, whole.underline),
    ];
    for (tag, own, other) in flags {
        if own != other {
            let _ = write!(body, "\\{tag}{}", u8::from(own));
        }
    }
    if style.color != whole.color {
        let Rgb(red, green, blue) = style.color;
        let _ = write!(body, "\\c&H{blue:02X}{green:02X}{red:02X}&");
    }
    if style.alpha != whole.alpha {
        let _ = write!(body, "\\1a&H{:02X}&", transparency(style.alpha));
    }
    if style.size != whole.size {
        let _ = write!(body, "\\fs{}", font_size(style, unit));
    }
    if style.outline != whole.outline {
        let (Rgb(red, green, blue), alpha, width) =
            style.outline.unwrap_or((Rgb(0, 0, 0), 1.0, 0.0));
        let width = outline(width, font_size(style, unit));
        let _ = write!(body, "\\bord{width}\\3c&H{blue:02X}{green:02X}{red:02X}&");
        if whole.outline.is_none_or(|(_, other, _)| other != alpha) {
            let _ = write!(body, "\\3a&H{:02X}&", transparency(alpha));
        }
    }
    if style.font != whole.font {
        let _ = write!(body, "\\fn{}", font(style));
    }
}

/// `&HAABBGGRR`, where 0 is opaque.
fn ass_color(Rgb(red, green, blue): Rgb, alpha: f64) -> String {
    format!(
        "&H{:02X}{blue:02X}{green:02X}{red:02X}",
        transparency(alpha)
    )
}

fn transparency(alpha: f64) -> u8 {
    ((1.0 - alpha.clamp(0.0, 1.0)) * 255.0).round() as u8
}

/// What a draft keeps of lengths in ems: half of a ten thousandth.
const OF_EM: f64 = 5e-5;

/// The size of letters in pixels, which a draft keeps to a hundredth of its unit.
fn font_size(style: &ShownStyle, unit: f64) -> f64 {
    short(style.size * unit, 0.005 * unit)
}

/// The width of an outline in pixels. Drafts keep it to 0.01, where 100 is a fifth of the size.
fn outline(of_size: f64, size: f64) -> f64 {
    short(of_size * size, 0.005 / 500.0 * size)
}

/// The number with the fewest decimals that is read as the same one, if readers keep what is less than `half` beside it.
fn short(number: f64, half: f64) -> f64 {
    let mut rounded = number;
    for decimals in 0..=6 {
        let parts = 10_f64.powi(decimals);
        rounded = (number * parts).round() / parts;
        if (rounded - number).abs() < 0.95 * half {
            break;
        }
    }
    // Not `-0`.
    rounded + 0.0
}
