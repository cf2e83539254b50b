//! `bold`, `italic` and `underline` of a whole text, and `intensity` of an effect.

use serde_json::{Value, json};

use super::{ArgumentSource, Normalizer};
use crate::args::Object;
use crate::args::property;
use crate::args::scalar::{boolean, number, parse_json_text, shown};

/// Keys of a part of a text in the simple form: the object that has it in the form of the schema, and its key there.
const OF_PART: [(&str, &str, &str); 16] = [
    ("font_color", "style", "color"),
    ("text_color", "style", "color"),
    ("color", "style", "color"),
    ("font_size", "style", "size"),
    ("size", "style", "size"),
    ("bold", "style", "bold"),
    ("italic", "style", "italic"),
    ("underline", "style", "underline"),
    ("alpha", "style", "alpha"),
    ("opacity", "style", "alpha"),
    ("font_alpha", "style", "alpha"),
    ("border_width", "border", "width"),
    ("border_color", "border", "color"),
    ("border_alpha", "border", "alpha"),
    ("outline_width", "border", "width"),
    ("outline_color", "border", "color"),
];
/// The width of an outline that is given only by its colour.
const OUTLINE: f64 = 40.0;

/// The style of the letters of a whole text.
pub(super) struct WholeTextStyle(Object);

impl Normalizer<'_> {
    /// `{start, end, font_color}` in `text_styles` as `{start, end, style: {color}}`. Instead of `start` and `end` a part
    /// may have `range: [start, end]`, or `words`, which stands for each place of these words.
    pub(super) fn part_styles(&mut self, arguments: &mut Object) {
        for alias in ["styles", "style_ranges", "ranges"] {
            if !arguments.contains_key("text_styles")
                && arguments.get(alias).is_some_and(Value::is_array)
                && let Some(value) = arguments.shift_remove(alias)
            {
                arguments.insert("text_styles".to_owned(), value);
            }
        }
        let text = arguments.get("text").and_then(Value::as_str);
        let text = text.unwrap_or_default().to_owned();
        let Some(styles) = arguments.get_mut("text_styles") else {
            return;
        };
        parse_json_text(styles, "array");
        parse_json_text(styles, "object");
        if styles.is_object() {
            *styles = json!([styles]);
        }
        let Value::Array(parts) = styles else { return };
        let mut all = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter_mut().enumerate() {
            let Value::Object(part) = part else {
                all.push(part.take());
                continue;
            };
            if let Err(fault) = nest(part) {
                self.problems.push(format!("`text_styles[{index}]{fault}"));
            }
            let words = ["words", "text", "word"]
                .iter()
                .find_map(|name| part.shift_remove(*name));
            let Some(words) = words else {
                all.push(Value::Object(std::mem::take(part)));
                continue;
            };
            let found = ranges_of(&text, words.as_str().unwrap_or_default());
            if found.is_empty() {
                self.problems.push(format!(
                    "`text_styles[{index}].words` is {}, which is not in the text",
                    shown(&words)
                ));
            }
            for (start, end) in found {
                let mut part = part.clone();
                part.insert("start".to_owned(), start.into());
                part.insert("end".to_owned(), end.into());
                all.push(Value::Object(part));
            }
        }
        *parts = all;
    }

    /// Takes the arguments that style the whole text.
    pub(super) fn letters(&mut self, arguments: &mut Object) -> Option<WholeTextStyle> {
        let mut letters = Object::new();
        for name in ["bold", "italic", "underline"] {
            let Some(value) = arguments.shift_remove(name) else {
                continue;
            };
            match boolean(&value) {
                Some(true) => {
                    letters.insert(name.to_owned(), true.into());
                }
                Some(false) => {}
                None => self.problems.push(format!(
                    "`{name}` is {}, which is not true or false",
                    shown(&value)
                )),
            }
        }
        let name = letters.keys().next()?;
        if arguments.contains_key("text_styles") {
            self.problems.push(format!(
                "`{name}` applies to the whole text, and `text_styles` to its parts: give `{name}` in each `style` there"
            ));
            return None;
        }
        Some(WholeTextStyle(letters))
    }

    /// The strength of an effect from 0 to 100: `intensity: 0.8` and `"80%"` are 80.
    pub(super) fn intensity(&mut self, arguments: &mut Object) -> Option<f64> {
        let mut value = arguments.shift_remove("intensity")?;
        let is_percent = value.is_string() && number(&value).is_none();
        let row = property::of_property("strength");
        let read = row.map_or(Ok(()), |row| row.read(&mut value).map(drop));
        let strength = number(&value).and_then(|number| number.as_f64());
        match (read, strength) {
            (Err(fault), _) => {
                self.problems.push(format!("`intensity` {fault}"));
                None
            }
            (Ok(()), None) => {
                self.problems.push(format!(
                    "`intensity` is {}; it must be a number from 0 to 1, or like \"80%\"",
                    shown(&value)
                ));
                None
            }
            (Ok(()), Some(strength))
                if strength <= 1.0 && !is_percent && self.of != ArgumentSource::Record =>
            {
                Some(strength * 100.0)
            }
            (Ok(()), strength) => strength,
        }
    }
}

/// Moves the keys of the simple form to where the schema has them. The error continues the place of the part.
fn nest(part: &mut Object) -> Result<(), String> {
    if let Some(Value::Array(range)) = part.get("range")
        && let [start, end] = &range[..]
    {
        let (start, end) = (start.clone(), end.clone());
        part.shift_remove("range");
        part.insert("start".to_owned(), start);
        part.insert("end".to_owned(), end);
    }
    for (other, own) in [
        ("from", "start"),
        ("to", "end"),
        ("font_type", "font"),
        ("font_name", "font"),
    ] {
        if !part.contains_key(own)
            && let Some(value) = part.shift_remove(other)
        {
            part.insert(own.to_owned(), value);
        }
    }
    for (key, object, own) in OF_PART {
        let Some(value) = part.shift_remove(key) else {
            continue;
        };
        let nested = part.entry(object).or_insert_with(|| json!({}));
        let Value::Object(nested) = nested else {
            return Err(format!(
                ".{object}` is {}, which is not an object",
                shown(nested)
            ));
        };
        match nested.get(own) {
            Some(given) if *given != value => {
                return Err(format!(
                    ".{key}` is {}, but its `{object}.{own}` is {}: give one of them",
                    shown(&value),
                    shown(given)
                ));
            }
            _ => drop(nested.insert(own.to_owned(), value)),
        }
    }
    if let Some(Value::Object(border)) = part.get_mut("border")
        && border.contains_key("color")
    {
        border
            .entry("width")
            .or_insert_with(|| property::json(OUTLINE));
    }
    Ok(())
}

/// The places of words in a text, in characters.
fn ranges_of(text: &str, words: &str) -> Vec<(usize, usize)> {
    if words.is_empty() {
        return Vec::new();
    }
    let length = words.chars().count();
    text.match_indices(words)
        .map(|(at, _)| {
            let start = text[..at].chars().count();
            (start, start + length)
        })
        .collect()
}

impl WholeTextStyle {
    /// Makes the whole text one styled part, and keeps its border.
    pub(super) fn put(self, arguments: &mut Object) {
        let text = arguments.get("text").and_then(Value::as_str).unwrap_or("");
        let mut style = json!({ "start": 0, "end": text.chars().count(), "style": self.0 });
        if let Some(width) = arguments.get("border_width") {
            style["border"] = json!({ "width": width });
        }
        arguments.insert("text_styles".to_owned(), Value::Array(vec![style]));
    }
}
