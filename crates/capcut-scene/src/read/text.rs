//! Reads texts and lays them out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use capcut_draft::{
    ClipRef, Dialect, Document, KeyframeList, MaterialRef, TextContent, TextForm, field,
};
use capcut_text::{
    Align, Background, FontChoice, Rgba, Shadow, Stroke, Text, TextLayout, TextPart,
};
use serde_json::Value;

use super::values::{animated, limited};
use super::{Reader, Source, effects};
use crate::animated::Animated;
use crate::movie::{Emphasis, What};
use crate::scene::Color;

/// The em of size 1 on a canvas whose shorter side is 1080 pixels.
// Two renderers that are calibrated by the app agree at 4.7 to 5.
const EM: f64 = 5.0;
/// The size of letters without one.
const USUAL_SIZE: f64 = 8.0;
/// The largest number of styles of a text that are read.
const MAX_STYLES: usize = 2_000;
/// The bit of `check_flag` of a text with a background.
const HAS_BACKGROUND: i64 = 16;

impl Reader {
    pub(super) fn text(
        &mut self,
        source: &Source<'_>,
        own: ClipRef,
        main: MaterialRef,
        name: &Arc<str>,
    ) -> What {
        let document = source.document;
        let content = TextContent::read(&document.value(main, &field::material::CONTENT));
        let text = text(document, main, &content, source.canvas);
        let layout = self.fonts.lay_out(&text);
        self.text_notes(document, own, &layout, name);
        What::Text(Arc::new(layout))
    }

    /// How a caption emphasises its words, if it does.
    pub(super) fn emphasis(
        &mut self,
        document: &Document,
        own: ClipRef,
        layout: &TextLayout,
        name: &Arc<str>,
    ) -> Option<Emphasis> {
        let animations = effects::companions(document, own, "material_animations")
            .into_iter()
            .filter_map(|material| {
                let rows = document.raw(material, &["animations"])?;
                serde_json::from_slice::<Vec<Value>>(rows).ok()
            });
        let caption = animations
            .flatten()
            .find(|animation| animation["type"] == "caption")?;
        let animation = caption["name"].as_str().unwrap_or_default();
        let main = document.main_material(own)?;
        let color = color(document, main, "ktv_color");
        let words = document.caption_words(own);
        let (Some(color), false) = (color, words.is_empty()) else {
            let text = format!("the caption animation \"{animation}\" is not drawn");
            self.note(name, "karaoke", true, text);
            return None;
        };
        let text = format!(
            "words take the colour of the caption animation \"{animation}\" at once; the app may draw it in another way"
        );
        self.note(name, "karaoke", false, text);
        let all: Vec<char> = layout
            .text()
            .parts
            .iter()
            .flat_map(|part| part.text.chars())
            .collect();
        let changes = words.into_iter().map(|word| {
            let rest = all.get(word.to..).unwrap_or_default();
            let line_end = rest.iter().position(|letter| *letter == '\n');
            let characters = match animation {
                "Highlight" => word.from..word.to,
                "Karaoke by line" => 0..word.to + line_end.unwrap_or(rest.len()),
                _ => 0..word.to,
            };
            (word.start, layout.clusters_of(characters))
        });
        let mut changes: Vec<_> = changes.collect();
        changes.sort_by_key(|(start, _)| *start);
        Some(Emphasis {
            color: rgba(color, 1.0),
            changes,
        })
    }

    fn text_notes(
        &mut self,
        document: &Document,
        own: ClipRef,
        layout: &TextLayout,
        name: &Arc<str>,
    ) {
        self.note(
            name,
            "text",
            false,
            "the size of letters may differ by 10 % from the app's, and with it where lines break",
        );
        for missing in layout.missing() {
            self.note(
                name,
                "font",
                true,
                format!(
                    "no installed font has {} ({}); install a font for it, on Debian and Ubuntu the package {}",
                    missing.script, missing.characters, missing.package
                ),
            );
        }
        for font in layout.replaced_fonts() {
            self.note(
                name,
                "font",
                false,
                format!("the font \"{font}\" is not installed; another is used"),
            );
        }
        if layout.is_cut() {
            self.note(
                name,
                "text",
                true,
                "only the first 10,000 characters are drawn",
            );
        }
        for effect in effects::companions(document, own, "effects") {
            let kind = document.value(effect, &field::material::KIND);
            let what = match &*kind {
                "text_effect" => "the text effect",
                "text_shape" => "the speech bubble",
                _ => continue,
            };
            self.note(name, &kind, true, format!("{what} is not drawn"));
        }
    }
}

/// The opacity of a text, of which documents of both dialects have other places.
pub(super) fn opacity(document: &Document, own: ClipRef, lists: &[KeyframeList]) -> Animated {
    let main = document.main_material(own);
    let base = match document.dialect() {
        // The colours of the styles have it.
        Dialect::Api => None,
        Dialect::App => main.and_then(|main| document.number(main, &["global_alpha"])),
    };
    let base = limited(base.unwrap_or(1.0));
    let global = animated(lists, "KFTypeGlobalAlpha", base);
    if global.is_fixed() {
        animated(lists, "KFTypeAlpha", base)
    } else {
        global
    }
}

/// The files of fonts that the texts of a document name.
pub(crate) fn font_files(document: &Document) -> Vec<String> {
    let mut files = BTreeSet::new();
    for text in document.materials("texts") {
        let content = TextContent::read(&document.value(text, &field::material::CONTENT));
        for style in styles(&content) {
            if let Some(path) = style.pointer("/font/path").and_then(Value::as_str)
                && !path.is_empty()
            {
                files.insert(path.to_owned());
            }
        }
        if files.len() > MAX_STYLES {
            break;
        }
    }
    files.into_iter().collect()
}

fn styles(content: &TextContent) -> Vec<Value> {
    let styles = serde_json::from_str(content.styles());
    let Ok(Value::Array(mut styles)) = styles else {
        return Vec::new();
    };
    styles.truncate(MAX_STYLES);
    styles
}

/// A text of a document, in pixels of the canvas.
fn text(document: &Document, main: MaterialRef, content: &TextContent, canvas: (f64, f64)) -> Text {
    let number = |key: &str| document.number(main, &[key]).map(limited);
    let unit = EM * canvas.0.min(canvas.1) / 1080.0;
    let usual = Usual {
        unit,
        size: number("font_size")
            .filter(|size| *size > 0.0)
            .unwrap_or(USUAL_SIZE),
        color: color(document, main, "text_color").unwrap_or(Color::WHITE),
        letter_spacing: number("letter_spacing").unwrap_or(0.0).clamp(-1.0, 10.0),
        font: document
            .text(main, &["font_title"])
            .map(std::borrow::Cow::into_owned),
        has_own_opacity: document.dialect() == Dialect::App
            && number("global_alpha").is_some_and(|alpha| alpha < 1.0),
    };
    let words = content.words();
    let parts = match content.form() {
        TextForm::Json => parts(&words, content, document.dialect(), &usual),
        TextForm::Markup | TextForm::Plain => vec![usual.part(words.into_owned(), &Value::Null)],
    };
    let em = parts.iter().map(|part| part.size).fold(0.0, f32::max);
    let em = if em > 0.0 {
        f64::from(em)
    } else {
        unit * usual.size
    };
    let mut text = Text::new(parts);
    text.align = match number("alignment").map(|index| index as i64) {
        Some(0) => Align::Left,
        Some(2) => Align::Right,
        _ => Align::Center,
    };
    text.vertical = number("typesetting") == Some(1.0);
    text.line_height = (1.2 + number("line_spacing").unwrap_or(0.02).clamp(-0.9, 10.0)) as f32;
    let (side, fixed) = if text.vertical {
        (canvas.1, number("fixed_height"))
    } else {
        (canvas.0, number("fixed_width"))
    };
    let part = number("line_max_width").unwrap_or(0.82);
    let width = fixed
        .filter(|width| *width > 0.0)
        .or_else(|| (part > 0.0).then_some(part * side));
    text.max_width = width.map(|width| width.max(em) as f32);
    text.shadow = shadow(document, main, em);
    text.background = background(document, main, em);
    text
}

/// What parts of a text have that do not say otherwise.
struct Usual {
    /// Pixels of an em of size 1.
    unit: f64,
    size: f64,
    color: Color,
    /// Parts of an em.
    letter_spacing: f64,
    font: Option<String>,
    /// Whether the text has its opacity as a whole.
    has_own_opacity: bool,
}

impl Usual {
    fn part(&self, text: String, style: &Value) -> TextPart {
        let number = |path: &str| style.pointer(path).and_then(Value::as_f64).map(limited);
        let flag = |path: &str| style.pointer(path).and_then(Value::as_bool) == Some(true);
        let size = number("/size")
            .filter(|size| *size > 0.0)
            .unwrap_or(self.size);
        let em = size * self.unit;
        let solid = "/fill/content/solid";
        let alpha = if self.has_own_opacity {
            1.0
        } else {
            let whole = number("/fill/alpha").unwrap_or(1.0);
            number(&format!("{solid}/alpha")).unwrap_or(1.0) * whole
        };
        let fill = style
            .pointer(&format!("{solid}/color"))
            .and_then(unit_color);
        let fill = fill.unwrap_or(self.color);
        let stroke = style.pointer("/strokes/0").and_then(|stroke| {
            let width = limited(stroke.get("width")?.as_f64()?);
            let alpha = stroke
                .pointer("/content/solid/alpha")
                .and_then(Value::as_f64);
            let color = stroke.pointer("/content/solid/color").and_then(unit_color);
            (width > 0.0).then(|| Stroke {
                width: (width * em) as f32,
                colour: rgba(color.unwrap_or(Color::BLACK), alpha.unwrap_or(1.0)),
            })
        });
        let path = style.pointer("/font/path").and_then(Value::as_str);
        let path = path.filter(|path| !path.is_empty());
        let stem = path.map(|path| {
            let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
            file.rsplit_once('.')
                .map_or(file, |(stem, _)| stem)
                .to_owned()
        });
        let title = self
            .font
            .clone()
            .filter(|title| !matches!(&**title, "" | "none"));
        TextPart {
            font: FontChoice {
                file: path.map(PathBuf::from),
                family: title.or(stem),
                bold: flag("/bold"),
                italic: flag("/italic"),
            },
            fill: rgba(fill, alpha),
            stroke,
            letter_spacing: (self.letter_spacing * em) as f32,
            underline: flag("/underline"),
            ..TextPart::new(text, em as f32)
        }
    }
}

/// The parts of a text with their styles. What no style covers has the first one.
fn parts(words: &str, content: &TextContent, dialect: Dialect, usual: &Usual) -> Vec<TextPart> {
    let styles = styles(content);
    let ranges = content.ranges();
    let first = styles.first().unwrap_or(&Value::Null);
    if styles.len() <= 1 {
        return vec![usual.part(words.to_owned(), first)];
    }
    let mut parts: Vec<(usize, String)> = Vec::new();
    let mut at = 0;
    // Styles are in the order of their ranges; where they are not, the first that covers a character counts.
    let mut hint = 0;
    let covers = |index: usize, at: usize| {
        let range = ranges.get(index)?;
        let is_in = range.start.unwrap_or(0) <= at && at < range.end.unwrap_or(usize::MAX);
        is_in.then_some(index)
    };
    let limit = styles.len().min(ranges.len());
    for character in words.chars() {
        let style = covers(hint, at)
            .or_else(|| covers(hint + 1, at).filter(|index| *index < limit))
            .or_else(|| (0..limit).find_map(|index| covers(index, at)));
        hint = style.unwrap_or(hint);
        let style = style.unwrap_or(0);
        match parts.last_mut() {
            Some((last, text)) if *last == style => text.push(character),
            _ => parts.push((style, character.to_string())),
        }
        at += match dialect {
            Dialect::App => character.len_utf16(),
            Dialect::Api => 1,
        };
    }
    let style = |index: usize| styles.get(index).unwrap_or(first);
    parts
        .into_iter()
        .map(|(index, text)| usual.part(text, style(index)))
        .collect()
}

fn color(document: &Document, main: MaterialRef, key: &str) -> Option<Color> {
    Color::read(&document.text(main, &[key])?)
}

/// A colour of three parts from 0 to 1.
fn unit_color(value: &Value) -> Option<Color> {
    let list = value.as_array()?;
    let part = |index: usize| {
        let part = list.get(index)?.as_f64()?;
        Some((part.clamp(0.0, 1.0) * 255.0).round() as u8)
    };
    Some(Color::opaque(part(0)?, part(1)?, part(2)?))
}

fn rgba(color: Color, alpha: f64) -> Rgba {
    let alpha = (color.alpha * alpha.clamp(0.0, 1.0) * 255.0).round();
    Rgba::new(color.red, color.green, color.blue, alpha as u8)
}

fn shadow(document: &Document, main: MaterialRef, em: f64) -> Option<Shadow> {
    if document.flag(main, &["has_shadow"]) != Some(true) {
        return None;
    }
    let number = |key: &str, default: f64| document.number(main, &[key]).map_or(default, limited);
    let color = color(document, main, "shadow_color").unwrap_or(Color::BLACK);
    let angle = number("shadow_angle", -45.0).to_radians();
    let distance = number("shadow_distance", 5.0).clamp(0.0, 100.0) / 100.0 * em;
    Some(Shadow {
        offset: (
            (angle.cos() * distance) as f32,
            (-angle.sin() * distance) as f32,
        ),
        blur: (number("shadow_smoothing", 0.45).clamp(0.0, 3.0) * 0.1 * em) as f32,
        colour: rgba(color, number("shadow_alpha", 0.9)),
    })
}

fn background(document: &Document, main: MaterialRef, em: f64) -> Option<Background> {
    let flags = document.value(main, &field::material::CHECK_FLAG);
    let color = color(document, main, "background_color")?;
    if flags & HAS_BACKGROUND == 0 {
        return None;
    }
    let number = |key: &str, default: f64| document.number(main, &[key]).map_or(default, limited);
    let part = |key: &str| number(key, 0.14).clamp(-1.0, 4.0) * em;
    let offset = |key: &str| number(key, 0.0).clamp(-4.0, 4.0) * em;
    Some(Background {
        colour: rgba(color, number("background_alpha", 1.0)),
        radius: (number("background_round_radius", 0.0).clamp(0.0, 1.0) * em) as f32,
        padding: (
            part("background_width") as f32,
            part("background_height") as f32,
        ),
        offset: (
            offset("background_horizontal_offset") as f32,
            -offset("background_vertical_offset") as f32,
        ),
    })
}
