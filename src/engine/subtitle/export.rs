//! Captions of a draft as SRT, WebVTT or ASS text.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::look::{EM, EM_OF_HEIGHT};
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
    /// Half canvases from the middle, positive to the right and upwards.
    pub place: (f64, f64),
    /// Its words by characters, with times from its start.
    pub words: Vec<(usize, usize, Range)>,
    /// How words that are spoken are emphasised.
    pub sung: Option<Karaoke>,
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
    /// Colour, and width as a part of the size.
    pub outline: Option<(Rgb, f64)>,
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
        let (column, row) = numpad(text.place).unwrap_or((0, -1));
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
#[derive(Clone, PartialEq)]
struct NamedStyle {
    style: ShownStyle,
    sung: Option<Rgb>,
    key: i8,
}

fn ass(texts: &[ShownText], canvas: (f64, f64)) -> String {
    let (width, height) = (canvas.0.max(1.0).round(), canvas.1.max(1.0).round());
    let unit = EM * width.min(height) / 1080.0 / EM_OF_HEIGHT;
    let mut styles: Vec<NamedStyle> = Vec::new();
    let mut events = String::new();
    for text in texts {
        let Some((.., style)) = text.styles.first() else {
            continue;
        };
        let place = numpad(text.place);
        let (column, row) = place.unwrap_or((0, 0));
        let own = NamedStyle {
            style: style.clone(),
            sung: text.sung.map(|karaoke| karaoke.color),
            key: (row + 1) * 3 + column + 2,
        };
        let index = match styles.iter().position(|known| *known == own) {
            Some(index) => index,
            None => {
                styles.push(own);
                styles.len() - 1
            }
        };
        let mut body = String::new();
        if place.is_none() {
            let (x, y) = (
                f64::midpoint(1.0, text.place.0) * width,
                f64::midpoint(1.0, -text.place.1) * height,
            );
            let _ = write!(body, "{{\\pos({},{})}}", short(x), short(y));
        }
        dialogue(&mut body, text, style, unit);
        let (start, end) = (ass_clock(text.range.start), ass_clock(text.range.end()));
        let _ = writeln!(
            events,
            "Dialogue: 0,{start},{end},{},,0,0,0,,{body}",
            name(index)
        );
    }
    let mut out = format!(
        "[Script Info]\nScriptType: v4.00+\nPlayResX: {width}\nPlayResY: {height}\nWrapStyle: 0\nScaledBorderAndShadow: yes\n\n\
         [V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, \
         Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n"
    );
    let margin = ((1.0 - USUAL_Y) / 2.0 * height).round();
    let side = ((1.0 - SIDE_X) / 2.0 * width).round();
    for (index, NamedStyle { style, sung, key }) in styles.iter().enumerate() {
        let on = |is_on: bool| if is_on { -1 } else { 0 };
        let (edge, edge_width) = style.outline.unwrap_or((Rgb(0, 0, 0), 0.0));
        let _ = writeln!(
            out,
            "Style: {},{},{},{},{},{},&H80000000,{},{},{},0,100,100,0,0,1,{},0,{key},{side},{side},{margin},1",
            name(index),
            font(style),
            short(style.size * unit),
            ass_color(sung.unwrap_or(style.color), style.alpha),
            ass_color(style.color, style.alpha),
            ass_color(edge, 1.0),
            on(style.bold),
            on(style.italic),
            on(style.underline),
            short(edge_width * style.size * unit),
        );
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

/// The name of the font; commas and line breaks separate the values of a style.
fn font(style: &ShownStyle) -> String {
    let font = style.font.as_deref().unwrap_or("Arial");
    font.replace(|letter: char| letter == ',' || letter.is_control(), " ")
}

/// The text of a dialogue with tags for parts with their own style and for its words.
fn dialogue(body: &mut String, text: &ShownText, whole: &ShownStyle, unit: f64) {
    let letters: Vec<char> = text.text.chars().collect();
    let mut current = whole;
    // What was said up to here, in hundredths, so that rounding does not add up.
    let mut said = 0;
    let tag = match text.sung.map(|karaoke| karaoke.mode) {
        Some(KaraokeMode::Fill) => "kf",
        Some(KaraokeMode::Outline) => "ko",
        _ => "k",
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
            let (start, end) = (hundredths(range.start), hundredths(range.end()));
            if start > said {
                let _ = write!(body, "{{\\{tag}{}}}", start - said);
                said = start;
            }
            let _ = write!(body, "{{\\{tag}{}}}", (end - said).max(0));
            said = said.max(end);
        }
        match letter {
            '\n' => body.push_str("\\N"),
            '\r' => {}
            '{' | '}' => {
                body.push('\\');
                body.push(*letter);
            }
            // Without an invisible letter after it, it would be read with the next one.
            '\\' => body.push_str("\\\u{2060}"),
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
        let _ = write!(body, "\\fs{}", short(style.size * unit));
    }
    if style.outline != whole.outline {
        let (Rgb(red, green, blue), width) = style.outline.unwrap_or((Rgb(0, 0, 0), 0.0));
        let width = short(width * style.size * unit);
        let _ = write!(body, "\\bord{width}\\3c&H{blue:02X}{green:02X}{red:02X}&");
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

/// A number with at most two decimals.
fn short(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
