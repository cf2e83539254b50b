//! The look of texts: letters, outline, background and shadow, and their words.

use crate::content::TextContent;
use crate::document::{ClipRef, Dialect, MaterialRef, RootRef};
use crate::error::{Error, Result};
use crate::field::{material, root};
use crate::kinds::{ClipKind, shortened};
use crate::ops::ReplaceText;
use crate::ops::look::scaled;
use crate::ops::session::Session;
use crate::path::PathPart;
use crate::property::PropertyValue;
use crate::value::RawJson;

/// What a text stores beside its styles is three times the blur of the shadow.
const STORED_SMOOTHING: f64 = 3.0;

impl Session<'_> {
    pub(super) fn set_style(
        &mut self,
        own: ClipRef,
        path: &[&str],
        mirror: Option<&str>,
        value: &PropertyValue,
    ) -> Result<()> {
        let parts: Vec<PathPart<'_>> = path.iter().map(|key| PathPart::Key(key)).collect();
        self.edit_styles(own, |content| match value {
            PropertyValue::Number(number) => content.set_in_styles(&parts, number),
            PropertyValue::Switch(on) => content.set_in_styles(&parts, on),
            PropertyValue::Color(color) => {
                content.set_in_styles(&parts, &RawJson(&unit_color(*color)))
            }
            _ => false,
        })?;
        let Some(mirror) = mirror.filter(|_| self.edit.dialect() == Dialect::App) else {
            return Ok(());
        };
        let main = self.own_main(own)?;
        match value {
            PropertyValue::Number(number) => self.edit.set(main, &[mirror], number),
            PropertyValue::Switch(on) => self.edit.set(main, &[mirror], on),
            PropertyValue::Color(color) => self.edit.set(main, &[mirror], &hex(*color)),
            _ => Ok(()),
        }
    }

    pub(super) fn edit_styles(
        &mut self,
        own: ClipRef,
        change: impl FnOnce(&mut TextContent) -> bool,
    ) -> Result<()> {
        let main = self.own_main(own)?;
        let mut content = TextContent::read(&self.edit.value(main, &material::CONTENT));
        if content.style_count() == 0 || !change(&mut content) {
            return Err(Error::read_only(format!(
                "the styles of {} are written in a form that cannot be edited",
                self.edit.describe(own)
            ))
            .hint("its words can be replaced"));
        }
        self.edit
            .set(main, material::CONTENT.path, content.as_str())
    }

    pub(super) fn set_letters(
        &mut self,
        own: ClipRef,
        name: &str,
        value: &PropertyValue,
    ) -> Result<()> {
        let is_app = self.edit.dialect() == Dialect::App;
        let main = self.own_main(own)?;
        match (name, value) {
            ("font_color", value) => self.set_style(
                own,
                &["fill", "content", "solid", "color"],
                Some("text_color"),
                value,
            ),
            ("bold", PropertyValue::Switch(on)) => {
                self.set_style(own, &["bold"], None, value)?;
                // The app writes exactly this width where the styles are bold.
                let width = if *on { 0.008 } else { 0.0 };
                if is_app {
                    self.edit.set(main, &["bold_width"], &width)
                } else {
                    Ok(())
                }
            }
            ("italic", PropertyValue::Switch(on)) => {
                self.set_style(own, &["italic"], None, value)?;
                let degree = if *on { 10_i64 } else { 0 };
                if is_app {
                    self.edit.set(main, &["italic_degree"], &degree)
                } else {
                    Ok(())
                }
            }
            ("alignment", PropertyValue::Number(index)) => {
                self.edit.set(main, &["alignment"], &(*index as i64))
            }
            ("vertical", PropertyValue::Switch(on)) => {
                self.edit.set(main, &["typesetting"], &i64::from(*on))
            }
            ("background_color", PropertyValue::Color(color)) => {
                self.set_background(main, Some(*color))
            }
            (name, PropertyValue::Number(number)) if name.starts_with("background_") => {
                self.set_background_value(own, main, name, *number)
            }
            ("fixed_width" | "fixed_height", PropertyValue::Number(part)) => {
                self.set_box(main, name, *part)
            }
            ("border_width" | "border_color" | "border_alpha", value) => {
                self.set_border(own, main, name, value)
            }
            _ => self.set_shadow(own, main, name, value),
        }
    }

    /// `check_flag` says which parts of a text the app reads: 8 outline, 16 background, 32 shadow.
    pub(super) fn set_flag(&mut self, main: MaterialRef, bit: i64, on: bool) -> Result<()> {
        let flags = self.flags(main)?;
        let new = if on { flags | bit } else { flags & !bit };
        self.edit.set(main, &["check_flag"], &new)
    }

    fn flags(&self, main: MaterialRef) -> Result<i64> {
        let flags = self.edit.usable_number(main, &["check_flag"])?;
        Ok(flags.unwrap_or(7.0) as i64)
    }

    /// Shows a colour behind a text; without one, that of the text, or black.
    fn set_background(&mut self, main: MaterialRef, color: Option<[u8; 3]>) -> Result<()> {
        let is_shown = self.flags(main)? & 16 != 0;
        let has_color = self
            .edit
            .text(main, &["background_color"])
            .is_some_and(|color| !color.is_empty());
        if let Some(color) = color.or_else(|| (!has_color).then_some([0; 3])) {
            self.edit.set(main, &["background_color"], &hex(color))?;
        }
        if !is_shown {
            let style = match self.edit.dialect() {
                // As the API writes a background without a style.
                Dialect::Api => 2_i64,
                Dialect::App => 1,
            };
            let known = self.edit.usable_number(main, &["background_style"])?;
            if known.unwrap_or(0.0) == 0.0 {
                self.edit.set(main, &["background_style"], &style)?;
            }
            if self.edit.number(main, &["background_alpha"]) == Some(0.0) {
                self.edit.set(main, &["background_alpha"], &1.0)?;
            }
        }
        self.set_flag(main, 16, true)
    }

    fn set_background_value(
        &mut self,
        own: ClipRef,
        main: MaterialRef,
        name: &str,
        number: f64,
    ) -> Result<()> {
        match name {
            "background_alpha" if number > 0.0 => {
                self.set_background(main, None)?;
                return self.edit.set(main, &[name], &number);
            }
            "background_alpha" => {
                self.edit.set(main, &[name], &number)?;
                return self.set_flag(main, 16, false);
            }
            // The API counts its styles from 1, and takes 0 for the last.
            "background_style" => {
                let style = match number {
                    1.0 => 0_i64,
                    0.0 | 2.0 => 2,
                    other => {
                        return Err(Error::invalid(format!(
                            "`background_style` is {other}; it must be 0, 1 or 2"
                        )));
                    }
                };
                self.edit.set(main, &[name], &style)?;
            }
            "background_horizontal_offset" | "background_vertical_offset" => {
                self.edit.set(main, &[name], &(2.0 * number - 1.0))?;
            }
            _ => self.edit.set(main, &[name], &number)?,
        }
        if self.flags(main)? & 16 == 0 {
            let id = self.edit.short_id(own);
            self.note(format!(
                "{id} has no colour behind its text: set `background_color`, so that `{name}` is visible"
            ));
        }
        Ok(())
    }

    /// Sets a side of the text's box, a fraction of the canvas; the text's own size for 0 and less.
    fn set_box(&mut self, main: MaterialRef, name: &str, part: f64) -> Result<()> {
        let side = match name {
            "fixed_width" => &root::CANVAS_WIDTH,
            _ => &root::CANVAS_HEIGHT,
        };
        let pixels = if part > 0.0 {
            (part * self.edit.value(RootRef, side) as f64) as i64
        } else {
            -1
        };
        match self.edit.dialect() {
            Dialect::Api => self.edit.set(main, &[name], &pixels),
            Dialect::App => self.edit.set(main, &[name], &(pixels as f64)),
        }
    }

    fn set_border(
        &mut self,
        own: ClipRef,
        main: MaterialRef,
        name: &str,
        value: &PropertyValue,
    ) -> Result<()> {
        let is_app = self.edit.dialect() == Dialect::App;
        if let PropertyValue::Number(width) = value
            && name == "border_width"
            && *width == 0.0
        {
            self.edit_styles(own, |content| {
                content.set_in_styles(&[PathPart::Key("strokes")], &RawJson("[]"))
            })?;
            if is_app {
                self.edit.set(main, &["border_width"], &0.0)?;
                self.edit.set(main, &["border_color"], "")?;
            }
            return self.set_flag(main, 8, false);
        }
        self.edit_styles(own, |content| {
            let first = [PathPart::Key("strokes"), PathPart::Index(0)];
            (0..content.style_count()).all(|style| {
                if content.style_value(style, &first).is_none()
                    && !content.set_in_style(
                        style,
                        &[PathPart::Key("strokes")],
                        // The width is 40 of 100.
                        &RawJson("[{\"content\":{\"render_type\":\"solid\",\"solid\":{\"alpha\":1.0,\"color\":[0.0,0.0,0.0]}},\"width\":0.08}]"),
                    )
                {
                    return false;
                }
                let mut path = first.to_vec();
                let keys: &[&str] = match name {
                    "border_width" => &["width"],
                    "border_color" => &["content", "solid", "color"],
                    _ => &["content", "solid", "alpha"],
                };
                path.extend(keys.iter().map(|key| PathPart::Key(key)));
                match value {
                    PropertyValue::Number(number) if name == "border_width" => {
                        content.set_in_style(style, &path, &scaled(*number, 0.002))
                    }
                    PropertyValue::Number(number) => content.set_in_style(style, &path, number),
                    PropertyValue::Color(color) => {
                        content.set_in_style(style, &path, &RawJson(&unit_color(*color)))
                    }
                    _ => false,
                }
            })
        })?;
        if is_app {
            let content = TextContent::read(&self.edit.value(main, &material::CONTENT));
            let first = [PathPart::Key("strokes"), PathPart::Index(0)];
            let mut width = first.to_vec();
            width.push(PathPart::Key("width"));
            let width = content
                .style_value(0, &width)
                .and_then(|width| width.parse::<f64>().ok());
            self.edit
                .set(main, &["border_width"], &width.unwrap_or(0.08))?;
            match value {
                PropertyValue::Color(color) => {
                    self.edit.set(main, &["border_color"], &hex(*color))?
                }
                PropertyValue::Number(alpha) if name == "border_alpha" => {
                    self.edit.set(main, &["border_alpha"], alpha)?;
                }
                _ => {}
            }
            if self
                .edit
                .text(main, &["border_color"])
                .is_none_or(|color| color.is_empty())
            {
                self.edit.set(main, &["border_color"], "#000000")?;
            }
        }
        self.set_flag(main, 8, true)
    }

    fn set_shadow(
        &mut self,
        own: ClipRef,
        main: MaterialRef,
        name: &str,
        value: &PropertyValue,
    ) -> Result<()> {
        let is_on = *value != PropertyValue::Switch(false);
        match (name, value) {
            ("shadow_color", PropertyValue::Color(color)) => {
                self.edit.set(main, &["shadow_color"], &hex(*color))?;
            }
            ("shadow_enabled", _) => {}
            ("shadow_smoothing", PropertyValue::Number(number)) => {
                self.edit
                    .set(main, &[name], &scaled(*number, STORED_SMOOTHING))?;
            }
            (name, PropertyValue::Number(number)) => self.edit.set(main, &[name], number)?,
            _ => {}
        }
        if is_on
            && self
                .edit
                .text(main, &["shadow_color"])
                .is_none_or(|color| color.is_empty())
        {
            self.edit.set(main, &["shadow_color"], "#000000")?;
        }
        self.edit.set(main, &["has_shadow"], &is_on)?;
        self.set_flag(main, 32, is_on)?;
        let number = |key, default| -> Result<f64> {
            Ok(self.edit.usable_number(main, &[key])?.unwrap_or(default))
        };
        let color = self
            .edit
            .text(main, &["shadow_color"])
            .unwrap_or_default()
            .into_owned();
        let byte = |at: usize| {
            let part = color
                .get(at..at + 2)
                .and_then(|part| u8::from_str_radix(part, 16).ok());
            part.unwrap_or(0)
        };
        let shadows = if is_on {
            format!(
                "[{{\"alpha\":{:?},\"angle\":{:?},\"content\":{{\"render_type\":\"solid\",\"solid\":{{\"color\":{}}}}},\"diffuse\":{:?},\"distance\":{:?}}}]",
                number("shadow_alpha", 0.9)?,
                number("shadow_angle", -45.0)?,
                unit_color([byte(1), byte(3), byte(5)]),
                scaled(number("shadow_smoothing", 0.45)? / STORED_SMOOTHING, 1.0) / 6.0,
                number("shadow_distance", 5.0)?,
            )
        } else {
            "[]".to_owned()
        };
        self.edit_styles(own, |content| {
            content.set_in_styles(&[PathPart::Key("shadows")], &RawJson(&shadows))
        })
    }

    pub(crate) fn replace_text(&mut self, operation: &ReplaceText) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        self.touch(own)?;
        self.set_words(own, &operation.text)?;
        self.changed(format!(
            "{} now says \"{}\"",
            self.edit.short_id(own),
            shortened(&operation.text, 40)
        ));
        Ok(())
    }

    pub(super) fn set_words(&mut self, own: ClipRef, words: &str) -> Result<()> {
        if self.require_inside(own)? != ClipKind::Text {
            return Err(Error::invalid(format!(
                "{} is not a text",
                self.edit.describe(own)
            )));
        }
        let main = self.own_main(own)?;
        let mut content = TextContent::read(&self.edit.value(main, &material::CONTENT));
        if !content.set_words(words, self.edit.dialect()) {
            return Err(Error::read_only(format!(
                "the words of {} are written in a form that cannot be edited",
                self.edit.describe(own)
            )));
        }
        self.edit
            .set(main, material::CONTENT.path, content.as_str())?;
        if self
            .edit
            .raw(main, &["words", "text"])
            .is_some_and(|list| list.len() > 2)
        {
            // They are timed; the app makes them again from the text.
            for key in ["text", "start_time", "end_time"] {
                if self.edit.raw(main, &["words", key]).is_some() {
                    self.edit.set(main, &["words", key], &RawJson("[]"))?;
                }
            }
            self.note(format!(
                "the times of the single words of {} are removed, as the words changed",
                self.edit.short_id(own)
            ));
        }
        Ok(())
    }
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn unit_color(color: [u8; 3]) -> String {
    let [red, green, blue] = color.map(|part| f64::from(part) / 255.0);
    format!("[{red:?},{green:?},{blue:?}]")
}
