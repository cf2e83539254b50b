//! Markup in the text of a cue: tags in angle brackets, override blocks in braces, and character references.

use std::collections::HashMap;
use std::sync::Arc;

use super::cue::{
    CueFrame, CuePosition, CueSpan, LetterSize, LetterStyle, Marked, Notes, TimeMark,
};
use super::time::time;
use crate::draft::text::{KaraokeMode, Rgb};
use crate::units::Micros;

/// A cue's text without its markup.
#[derive(Debug, Default)]
pub(super) struct Plain {
    pub text: String,
    pub parts: Vec<CueSpan>,
    pub place: CuePosition,
    pub frame: CueFrame,
    pub marks: Vec<(u32, TimeMark)>,
}

/// The context for reading a text.
pub(super) struct MarkupReader<'a> {
    /// The number of its cue, for the notes.
    pub cue: u64,
    pub notes: &'a mut Notes,
    /// The styles that a style sheet defines for classes and tags.
    pub classes: &'a HashMap<String, LetterStyle>,
}

const CSS_LEFT: &str = "sizes and other properties of letters were left out: use `font_size`";

/// The em of common fonts as a part of the height from their highest to their lowest letters, which ASS calls their size.
pub(super) const EM_OF_HEIGHT: f64 = 0.9;

/// Maximum depth of nested tags.
const DEPTH: usize = 64;
/// Tags of HTML and WebVTT, which are not text.
const TAGS: [&str; 24] = [
    "b", "i", "u", "s", "c", "v", "em", "strong", "strike", "del", "ins", "font", "span", "p",
    "div", "lang", "ruby", "rt", "rp", "rb", "big", "small", "sub", "sup",
];

struct OpenTag<'a> {
    name: &'a str,
    /// The style before the tag.
    before: LetterStyle,
}

impl MarkupReader<'_> {
    /// Reads SRT or WebVTT text: tags, references, and in SRT override blocks.
    pub(super) fn tagged(&mut self, text: &str, is_vtt: bool) -> Plain {
        let mut marked = Marked::default();
        let mut place = CuePosition::default();
        let mut frame = CueFrame::default();
        let mut open: Vec<OpenTag<'_>> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['<', '{']) {
            self.words(&rest[..at], is_vtt, &mut marked);
            rest = &rest[at..];
            if rest.starts_with('{') {
                // Up to the next brace of either kind, so that text with many braces is not scanned repeatedly.
                let end = rest[1..].find(['{', '}']).map(|end| end + 1);
                match end.filter(|end| !is_vtt && rest[*end..].starts_with('}')) {
                    Some(end) if is_override(&rest[1..end]) => {
                        self.overrides(
                            &rest[1..end],
                            &mut marked,
                            (&mut place, &mut frame),
                            &ScriptUnits::default(),
                        );
                        rest = &rest[end + 1..];
                    }
                    _ => {
                        marked.push("{");
                        rest = &rest[1..];
                    }
                }
                continue;
            }
            let tag = Tag::read(rest);
            match tag.filter(|tag| is_vtt || tag.is_markup(rest)) {
                Some(tag) => {
                    self.tag(&tag, &mut open, &mut marked);
                    rest = &rest[tag.bytes..];
                }
                None => {
                    marked.push("<");
                    rest = &rest[1..];
                }
            }
        }
        self.words(rest, is_vtt, &mut marked);
        let (text, parts, marks) = marked.finish();
        Plain {
            text,
            parts,
            place,
            frame,
            marks,
        }
    }

    fn words(&self, text: &str, is_vtt: bool, marked: &mut Marked) {
        if !text.contains('&') {
            marked.push(text);
        } else if is_vtt {
            marked.push(&htmlize::unescape(text));
        } else {
            marked.push(&references(text));
        }
    }

    fn tag<'t>(&mut self, tag: &Tag<'t>, open: &mut Vec<OpenTag<'t>>, marked: &mut Marked) {
        if tag.name.starts_with(|c: char| c.is_ascii_digit()) {
            match time(tag.name) {
                Some(time) => marked.mark(TimeMark::At(time)),
                None => self.note("times of words that are not times were left out"),
            }
            return;
        }
        if tag.is(&["br"]) {
            marked.push("\n");
            return;
        }
        if tag.closes {
            let place = open
                .iter()
                .rposition(|open| open.name.eq_ignore_ascii_case(tag.name));
            if let Some(place) = place {
                marked.letters = open[place].before.clone();
                open.truncate(place);
                if tag.is(&["rt"]) {
                    marked.push(")");
                }
            }
            return;
        }
        let before = marked.letters.clone();
        let mut own = LetterStyle::default();
        if tag.is(&["b", "strong"]) {
            own.bold = Some(true);
        } else if tag.is(&["i", "em"]) {
            own.italic = Some(true);
        } else if tag.is(&["u", "ins"]) {
            own.underline = Some(true);
        } else if tag.is(&["s", "strike", "del"]) {
            self.note("strikethrough was left out");
        } else if tag.is(&["v"]) {
            self.note("names of voices were left out");
        } else if tag.is(&["rt"]) {
            self.note("readings of ruby text were put in brackets");
            marked.push("(");
        } else if tag.is(&["font", "span"]) {
            self.attributes(tag, &mut own);
        } else if tag.is(&["c", "lang", "p", "div", "ruby", "rb"]) {
        } else if tag.is(&["rp"]) {
            // Brackets for readers without ruby support: ours are already written.
        } else {
            self.note("unsupported tags were left out");
        }
        if let Some(letters) = self.classes.get(&tag.name.to_ascii_lowercase()) {
            own = own.over(letters.clone());
        }
        for class in tag.classes.split('.').filter(|class| !class.is_empty()) {
            match self.classes.get(&format!(".{class}")) {
                Some(letters) => own = letters.clone().over(own),
                None => match class_color(class) {
                    Some(color) => own.color = Some(color),
                    None if class.starts_with("bg_") => {
                        self.note("backgrounds of words were left out");
                    }
                    // A class without a style.
                    None => {}
                },
            }
        }
        marked.letters = own.over(before.clone());
        if !tag.is_empty && open.len() < DEPTH {
            open.push(OpenTag {
                name: tag.name,
                before,
            });
        }
    }

    fn attributes(&mut self, tag: &Tag<'_>, own: &mut LetterStyle) {
        for (name, value) in tag.attributes() {
            match name.to_ascii_lowercase().as_str() {
                "color" => match color(value) {
                    Some((color, alpha)) => {
                        own.color = Some(color);
                        own.alpha = alpha.or(own.alpha);
                    }
                    None => self.note("unknown colours were left out"),
                },
                "style" => {
                    let (letters, rest) = declarations(value);
                    *own = letters.over(std::mem::take(own));
                    if rest {
                        self.note(CSS_LEFT);
                    }
                }
                "face" => own.font = font_name(value),
                "size" => self.note(CSS_LEFT),
                _ => {}
            }
        }
    }

    fn note(&mut self, what: &str) {
        self.notes.of_cue(self.cue, what);
    }

    /// Reads the text of an ASS dialogue.
    pub(super) fn dialogue(&mut self, text: &str, script: &ScriptUnits) -> Plain {
        let mut marked = Marked::default();
        let mut place = CuePosition::default();
        let mut frame = CueFrame::default();
        let mut rest = text;
        let mut drawing = false;
        loop {
            let (before, tags, after) = match block_start(rest) {
                Some((before, tagged)) => match tagged.split_once('}') {
                    Some((tags, after)) => (before, tags, after),
                    None => (rest, "", ""),
                },
                None => (rest, "", ""),
            };
            if !drawing {
                let mut words = before;
                while let Some((said, escaped)) = words.split_once('\\') {
                    marked.push(said);
                    let (shown, bytes) = match escaped.as_bytes().first() {
                        Some(b'N' | b'n') => ("\n", 1),
                        Some(b'h') => ("\u{a0}", 1),
                        Some(b'{') => ("{", 1),
                        Some(b'}') => ("}", 1),
                        _ => ("\\", 0),
                    };
                    marked.push(shown);
                    words = &escaped[bytes..];
                }
                marked.push(words);
            }
            if let Some(scale) = self.overrides(tags, &mut marked, (&mut place, &mut frame), script)
            {
                drawing = scale > 0;
                if drawing {
                    self.note("drawings were left out");
                }
            }
            if after.is_empty() {
                break;
            }
            rest = after;
        }
        let (text, parts, marks) = marked.finish();
        Plain {
            text,
            parts,
            place,
            frame,
            marks,
        }
    }

    /// Applies the tags of a block; returns the scale of the drawing that `\p` begins or, with 0, ends.
    fn overrides(
        &mut self,
        block: &str,
        marked: &mut Marked,
        (place, frame): (&mut CuePosition, &mut CueFrame),
        script: &ScriptUnits,
    ) -> Option<u32> {
        let mut drawing = None;
        // Short forms of other players: `{b}`, `{/i}`, `{y:u}`.
        if let Some((which, on)) = short_form(block) {
            match which {
                'b' => marked.letters.bold = Some(on),
                'i' => marked.letters.italic = Some(on),
                _ => marked.letters.underline = Some(on),
            }
            return None;
        }
        let mut tags = block.split('\\');
        // Text before the first tag is a comment.
        tags.next();
        let mut skipped = 0_usize;
        for tag in tags {
            let tag = tag.trim();
            // Tags inside `\t(…)` describe an animation.
            if skipped > 0 {
                skipped =
                    (skipped + tag.matches('(').count()).saturating_sub(tag.matches(')').count());
                continue;
            }
            let end = tag
                .char_indices()
                .find(|(at, c)| !(c.is_ascii_alphabetic() || (*at == 0 && c.is_ascii_digit())))
                .map_or(tag.len(), |(at, _)| at);
            let (name, value) = tag.split_at(end);
            let value = value.trim();
            match name {
                "b" => {
                    marked.letters.bold =
                        number(value).map(|weight| weight == 1.0 || weight >= 600.0)
                }
                "i" => marked.letters.italic = number(value).map(|on| on != 0.0),
                "u" => marked.letters.underline = number(value).map(|on| on != 0.0),
                "c" | "1c" => marked.letters.color = ass_color(value).map(|(color, _)| color),
                "3c" => marked.letters.outline_color = ass_color(value).map(|(color, _)| color),
                "alpha" => {
                    marked.letters.alpha = ass_alpha(value);
                    marked.letters.outline_alpha = marked.letters.alpha;
                    if marked.is_empty() {
                        frame.shadow_alpha = marked.letters.alpha;
                    }
                }
                "1a" => marked.letters.alpha = ass_alpha(value),
                "3a" => marked.letters.outline_alpha = ass_alpha(value),
                "bord" => {
                    marked.letters.outline = number(value)
                        .map(|width| outline_width(width, script.size(&marked.letters)));
                }
                "an" => {
                    if let Some(anchor) = number(value).and_then(numpad) {
                        place.anchor = Some(anchor);
                    }
                }
                "a" => {
                    if let Some(anchor) = number(value).and_then(old_alignment) {
                        place.anchor = Some(anchor);
                    }
                }
                "pos" | "move" => {
                    let numbers: Vec<f64> = value
                        .trim_matches(['(', ')'])
                        .split(',')
                        .map_while(|part| number(part.trim()))
                        .collect();
                    if let [x, y, ..] = numbers[..] {
                        place.point = (Some(x / script.width), Some(y / script.height));
                        place.pinned = true;
                    }
                    if name == "move" {
                        self.note("movements were left out: the text stays at its start position");
                    }
                }
                "xshad" | "yshad" | "shad" | "4c" | "4a" | "fscx" | "fscy" | "fsc" | "fsp"
                | "frz" | "fr" => {
                    if marked.is_empty() {
                        frame_override(name, value, frame, script.size(&marked.letters));
                    } else {
                        self.note(
                            "shadows, scales, spacing and rotations within the text were left out: a text has one of each",
                        );
                    }
                }
                "2c" | "2a" => self
                    .note("colours of words that are not yet sung were left out within the text"),
                "r" => {
                    marked.letters = LetterStyle::default();
                    if marked.is_empty() {
                        *frame = CueFrame::default();
                    }
                }
                _ if name.starts_with('r') && name.len() > 1 => {
                    // The name of a style may follow directly.
                    let style = script.styles.get(&tag[1..]).cloned().unwrap_or_default();
                    (marked.letters, *frame) = if marked.is_empty() {
                        style
                    } else {
                        (style.0, *frame)
                    };
                }
                "p" => drawing = value.parse().ok(),
                "k" | "K" | "kf" | "ko" => {
                    // Hundredths of a second.
                    let length = number(value).unwrap_or(0.0).clamp(0.0, 1e6);
                    let mode = match name {
                        "k" => KaraokeMode::Words,
                        "ko" => KaraokeMode::Outline,
                        _ => KaraokeMode::Fill,
                    };
                    marked.mark(TimeMark::Lasts(Micros((length * 1e4).round() as i64), mode));
                }
                "kt" => {
                    let time = number(value).unwrap_or(0.0).clamp(0.0, 1e6);
                    marked.mark(TimeMark::After(Micros((time * 1e4).round() as i64)));
                }
                "fs" => {
                    let size = number(value).filter(|size| *size > 0.0);
                    marked.letters.size = size.map(|size| LetterSize::OfScript {
                        size,
                        canvas: (script.width, script.height),
                    });
                }
                "t" => {
                    skipped = value
                        .matches('(')
                        .count()
                        .saturating_sub(value.matches(')').count());
                    self.note("transformations were left out");
                }
                "fad" | "fade" => {
                    self.note("fades were left out: use `add_text` with an animation")
                }
                "clip" | "iclip" => self.note("clippings were left out"),
                "s" => self.note("strikethrough was left out"),
                // The name of the font follows directly.
                _ if name.starts_with("fn") => marked.letters.font = font_name(&tag[2..]),
                "q" | "" | "fe" => {}
                _ => self.note("blurs, rotations in space and similar effects were left out"),
            }
        }
        drawing
    }
}

/// The text before and after the brace that begins a block of tags; `\{` is a brace of the text.
fn block_start(text: &str) -> Option<(&str, &str)> {
    let start = text
        .match_indices('{')
        .map(|(at, _)| at)
        .find(|at| !text[..*at].ends_with('\\'))?;
    Some((&text[..start], &text[start + 1..]))
}

/// The units for the overrides of an ASS file.
#[derive(Debug)]
pub(super) struct ScriptUnits {
    pub width: f64,
    pub height: f64,
    /// The font size of the dialogue's style.
    pub font_size: f64,
    pub styles: HashMap<String, (LetterStyle, CueFrame)>,
}

impl ScriptUnits {
    /// The font size of letters.
    fn size(&self, letters: &LetterStyle) -> f64 {
        match letters.size {
            Some(LetterSize::OfScript { size, .. }) => size,
            _ => self.font_size,
        }
    }
}

impl Default for ScriptUnits {
    fn default() -> Self {
        Self {
            width: 384.0,
            height: 288.0,
            font_size: 18.0,
            styles: HashMap::new(),
        }
    }
}

/// Width of an outline in the unit of requests, 0 to 100, where 100 is a fifth of the font size.
pub(super) fn outline_width(pixels: f64, font_size: f64) -> f64 {
    let width = pixels / font_size.max(SMALLEST) * 500.0;
    (width * 100.0).round().clamp(0.0, 10_000.0) / 100.0
}

/// A length in pixels as ems of letters of this size, to a ten thousandth, and at most 10 either way.
pub(super) fn ems(pixels: f64, font_size: f64) -> f64 {
    let ems = pixels / (font_size.max(SMALLEST) * EM_OF_HEIGHT);
    (ems.clamp(-10.0, 10.0) * 1e4).round() / 1e4
}

/// Letters of no size have no lengths in comparison with it.
const SMALLEST: f64 = 1e-3;

/// The name of a font as files give it. An `@` before it stands for letters that are turned for vertical text.
pub(super) fn font_name(name: &str) -> Option<Arc<str>> {
    let name = name.trim().trim_start_matches('@').trim();
    (!name.is_empty() && name != "0").then(|| name.into())
}

/// Applies a tag that concerns the whole text; without a value, it resets to the style.
fn frame_override(name: &str, value: &str, frame: &mut CueFrame, font_size: f64) {
    let read = number(value);
    let length = read.map(|pixels| ems(pixels, font_size));
    let factor = read.map(scale);
    match name {
        "xshad" => frame.shadow.0 = length,
        "yshad" => frame.shadow.1 = length,
        "shad" => frame.shadow = (length, length),
        "4c" => frame.shadow_color = ass_color(value).map(|(color, _)| color),
        "4a" => frame.shadow_alpha = ass_alpha(value),
        "fscx" => frame.scale.0 = factor,
        "fscy" => frame.scale.1 = factor,
        "fsc" => frame.scale = (None, None),
        "fsp" => frame.letter_spacing = length,
        _ => frame.rotation = read.map(clockwise),
    }
}

/// A scale in per cent as a factor.
pub(super) fn scale(percent: f64) -> f64 {
    (percent.clamp(1.0, 10_000.0) * 100.0).round() / 1e4
}

/// Degrees anticlockwise as degrees clockwise, from -180 to 180.
pub(super) fn clockwise(degrees: f64) -> f64 {
    let turned = (-degrees).rem_euclid(360.0);
    let turned = if turned > 180.0 {
        turned - 360.0
    } else {
        turned
    };
    // Not `-0`.
    (turned * 1e3).round() / 1e3 + 0.0
}

/// Whether a block in braces in an SRT file is an override, not text.
fn is_override(block: &str) -> bool {
    block.starts_with('\\') || short_form(block).is_some()
}

fn short_form(block: &str) -> Option<(char, bool)> {
    let block = block.trim();
    let (block, on) = match block.strip_prefix('/') {
        Some(block) => (block, false),
        None => (block, true),
    };
    let block = block
        .strip_prefix("y:")
        .or_else(|| block.strip_prefix("Y:"))
        .unwrap_or(block);
    match block {
        "b" | "B" => Some(('b', on)),
        "i" | "I" => Some(('i', on)),
        "u" | "U" => Some(('u', on)),
        _ => None,
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The alignment of a key on the numeric keypad.
pub(super) fn numpad(key: f64) -> Option<(i8, i8)> {
    let key = key as i64;
    (1..=9)
        .contains(&key)
        .then(|| ((key - 1) % 3 - 1, (key - 1) / 3 - 1))
        .map(|(x, y)| (x as i8, y as i8))
}

/// The alignment in SSA: 1 to 3 bottom, 5 to 7 top, 9 to 11 middle.
pub(super) fn old_alignment(number: f64) -> Option<(i8, i8)> {
    let number = number as i64;
    let x = match number % 4 {
        1 => -1,
        2 => 0,
        3 => 1,
        _ => return None,
    };
    let y = match number / 4 {
        0 => -1,
        1 => 1,
        2 => 0,
        _ => return None,
    };
    (number > 0).then_some((x, y))
}

/// Parses `&HAABBGGRR&`, or the same as a decimal number, to a colour and its opacity.
pub(super) fn ass_color(text: &str) -> Option<(Rgb, f64)> {
    let bare = text.trim().trim_matches(['&', '(', ')']);
    let value = match bare.strip_prefix(['H', 'h']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => bare.parse::<i64>().ok()? as u32,
    };
    let [transparent, blue, green, red] = value.to_be_bytes();
    Some((Rgb(red, green, blue), opacity(transparent)))
}

fn ass_alpha(text: &str) -> Option<f64> {
    let bare = text.trim().trim_matches('&');
    let hex = bare.strip_prefix(['H', 'h']).unwrap_or(bare);
    u8::from_str_radix(hex, 16).ok().map(opacity)
}

fn opacity(transparent: u8) -> f64 {
    (f64::from(255 - transparent) / 255.0 * 1000.0).round() / 1000.0
}

/// A colour of HTML or CSS, and its opacity if it has one.
pub(super) fn color(text: &str) -> Option<(Rgb, Option<f64>)> {
    let text = text.trim().trim_matches(['"', '\'']).trim();
    if text.starts_with("&H") || text.starts_with("&h") {
        return ass_color(text).map(|(color, _)| (color, None));
    }
    let read = csscolorparser::parse(text)
        .or_else(|_| csscolorparser::parse(&format!("#{}", text.trim_start_matches('#'))))
        .ok()?;
    let [red, green, blue, alpha] = read.to_rgba8();
    let alpha = (alpha < 255).then(|| opacity(255 - alpha));
    Some((Rgb(red, green, blue), alpha))
}

/// The colours that WebVTT defines as classes.
fn class_color(class: &str) -> Option<Rgb> {
    let known = [
        "white", "lime", "cyan", "red", "yellow", "magenta", "blue", "black",
    ];
    let known = known.contains(&class);
    known
        .then(|| color(class))
        .flatten()
        .map(|(color, _)| color)
}

/// The style of CSS declarations, and whether there are other, unsupported ones.
pub(super) fn declarations(text: &str) -> (LetterStyle, bool) {
    let mut letters = LetterStyle::default();
    let mut rest = false;
    for declaration in text.split(';') {
        let Some((name, value)) = declaration.split_once(':') else {
            continue;
        };
        let value = value.trim().trim_end_matches("!important").trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "color" => match color(value) {
                Some((color, alpha)) => {
                    letters.color = Some(color);
                    letters.alpha = alpha.or(letters.alpha);
                }
                None => rest = true,
            },
            "opacity" => letters.alpha = number(value).filter(|part| (0.0..=1.0).contains(part)),
            "font-weight" => {
                let is_heavy = number(value).is_some_and(|weight| weight >= 600.0);
                letters.bold = Some(is_heavy || value.starts_with("bold"));
            }
            "font-style" => {
                letters.italic = Some(value == "italic" || value.starts_with("oblique"));
            }
            "text-decoration" | "text-decoration-line" => {
                letters.underline = Some(value.contains("underline"));
            }
            _ => rest = true,
        }
    }
    (letters, rest)
}

/// A tag in angle brackets.
struct Tag<'a> {
    /// Without classes.
    name: &'a str,
    /// The text after the first dot of the name.
    classes: &'a str,
    annotation: &'a str,
    closes: bool,
    /// `<br/>`
    is_empty: bool,
    bytes: usize,
}

impl<'a> Tag<'a> {
    /// The tag at the start of a text; `None` if there is another `<` before its end.
    fn read(text: &'a str) -> Option<Self> {
        let inner = &text[1..];
        let end = inner.find(['<', '>'])?;
        if inner.as_bytes()[end] == b'<' {
            return None;
        }
        let inner = &inner[..end];
        let (inner, closes) = match inner.strip_prefix('/') {
            Some(inner) => (inner, true),
            None => (inner, false),
        };
        let (inner, is_empty) = match inner.strip_suffix('/') {
            Some(inner) => (inner, true),
            None => (inner, false),
        };
        let (head, annotation) = match inner.find(char::is_whitespace) {
            Some(at) => inner.split_at(at),
            None => (inner, ""),
        };
        let is_time = super::time::time(head).is_some();
        let (name, classes) = match head.split_once('.') {
            Some(both) if !is_time => both,
            _ => (head, ""),
        };
        Some(Self {
            name,
            classes,
            annotation: annotation.trim(),
            closes,
            is_empty,
            bytes: end + 2,
        })
    }

    fn is(&self, names: &[&str]) -> bool {
        names
            .iter()
            .any(|name| self.name.eq_ignore_ascii_case(name))
    }

    /// Whether this is markup in SRT, where a `<` may be text. `rest` begins with it.
    fn is_markup(&self, rest: &str) -> bool {
        if self.name.contains(':') {
            return super::time::time(self.name).is_some();
        }
        let is_name = self.name.starts_with(|c: char| c.is_ascii_alphabetic())
            && self
                .name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_known = self.is(&TAGS) || self.is(&["br"]);
        // Unknown tags: with attributes, or closed shortly afterwards.
        let is_other = || {
            let near = &rest[self.bytes..];
            let limit = near
                .char_indices()
                .nth(300)
                .map_or(near.len(), |(at, _)| at);
            self.closes
                || self.annotation.contains('=')
                || near[..limit].contains(&format!("</{}>", self.name))
        };
        is_name && (is_known || is_other())
    }

    /// Attribute names and values, with or without quotes.
    fn attributes(&self) -> Vec<(&'a str, &'a str)> {
        let mut found = Vec::new();
        let mut rest = self.annotation;
        while let Some((name, after)) = rest.split_once('=') {
            let name = name
                .trim()
                .rsplit(char::is_whitespace)
                .next()
                .unwrap_or_default();
            let after = after.trim_start();
            let (value, next) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    after[1..].split_once(quote).unwrap_or((&after[1..], ""))
                }
                _ => after.split_once(char::is_whitespace).unwrap_or((after, "")),
            };
            found.push((name, value));
            rest = next;
        }
        found
    }
}

/// Decodes the character references of a text that is not HTML: only those that end with `;`.
fn references(text: &str) -> String {
    /// The longest reference in HTML.
    const LONGEST: usize = 33;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'#';
        let length = rest
            .bytes()
            .skip(1)
            .take(LONGEST)
            .take_while(|byte| name(*byte))
            .count();
        let end = 1 + length;
        if length > 0 && rest.as_bytes().get(end) == Some(&b';') {
            out.push_str(&htmlize::unescape(&rest[..=end]));
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}
