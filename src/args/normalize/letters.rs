//! `bold`, `italic` and `underline` of a whole text, and `intensity` of an effect.

use serde_json::{Value, json};

use super::{ArgumentSource, Normalizer};
use crate::args::Object;
use crate::args::property;
use crate::args::scalar::{boolean, number, shown};

/// The style of the letters of a whole text.
pub(super) struct WholeTextStyle(Object);

impl Normalizer<'_> {
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
