//! The look of a text as properties, by which another text can get the same look.

use serde_json::{Map, Value, json};

use crate::content::TextContent;
use crate::document::{ClipRef, Dialect, Document, MaterialRef, RootRef};
use crate::error::{Error, Result};
use crate::field::{FieldValue, material, root};
use crate::kinds::ClipKind;
use crate::path::PathPart;
use crate::scan::number;

/// The properties of animations, by their type in documents.
const ANIMATIONS: [(&str, &str, Option<&str>); 3] = [
    ("in", "intro_animation", Some("intro_duration")),
    ("out", "outro_animation", Some("outro_duration")),
    ("loop", "loop_animation", None),
];

fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

impl Document {
    /// The look of a text: properties by name, as `set` takes them. What parts of the text have of their own is left out;
    /// place, size and turn are not part of it.
    ///
    /// # Errors
    /// `Invalid` if the clip is not a text, `ReadOnly` if its styles cannot be read.
    pub fn text_look(&self, clip: ClipRef) -> Result<Map<String, Value>> {
        let main = self.main_material(clip);
        let (Some(main), ClipKind::Text) = (main, self.clip_kind(clip)) else {
            return Err(Error::invalid(format!(
                "{} is not a text",
                self.describe(clip)
            )));
        };
        let content = TextContent::read(&self.value(main, &material::CONTENT));
        if content.style_count() == 0 {
            return Err(Error::read_only(format!(
                "the styles of {} are written in a form that cannot be read",
                self.describe(clip)
            )));
        }
        let mut look = Map::new();
        self.letters_look(main, &content, &mut look);
        self.outline_look(&content, &mut look);
        self.background_look(main, &mut look);
        self.shadow_look(main, &mut look);
        self.effects_look(clip, &mut look);
        self.animations_look(clip, &mut look);
        Ok(look)
    }

    fn letters_look(
        &self,
        main: MaterialRef,
        content: &TextContent,
        look: &mut Map<String, Value>,
    ) {
        let style = |path: &[&'static str]| {
            let path: Vec<PathPart<'_>> = path.iter().map(|key| PathPart::Key(key)).collect();
            content.style_value(0, &path)
        };
        let style_number = |path: &[&'static str]| number(style(path)?.as_bytes());
        if let Some(path) = style(&["font", "path"]).and_then(|path| String::read(path.as_bytes()))
        {
            let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
            let title = self.text(main, &["font_title"]).unwrap_or_default();
            let name = match &*title {
                "" | "none" => file.rsplit_once('.').map_or(file, |(name, _)| name),
                title => title,
            };
            if !name.is_empty() {
                look.insert("font".to_owned(), name.into());
            }
        }
        if let Some(size) = style_number(&["size"]) {
            look.insert("font_size".to_owned(), rounded(size).into());
        }
        let solid = ["fill", "content", "solid"];
        if let Some(color) = style(&[solid[0], solid[1], solid[2], "color"]).and_then(hex) {
            look.insert("font_color".to_owned(), color.into());
        }
        let opacity = match self.dialect() {
            Dialect::Api => style_number(&[solid[0], solid[1], solid[2], "alpha"]),
            Dialect::App => self.number(main, &["global_alpha"]),
        };
        if let Some(opacity) = opacity {
            look.insert("opacity".to_owned(), rounded(opacity).into());
        }
        for name in ["bold", "italic", "underline"] {
            look.insert(name.to_owned(), (style(&[name]) == Some("true")).into());
        }
        let index = self.number(main, &["alignment"]).unwrap_or(1.0);
        let words = ["left", "center", "right"];
        let word = words.get(index as usize).copied().unwrap_or("center");
        look.insert("alignment".to_owned(), word.into());
        let is_vertical = self.number(main, &["typesetting"]) == Some(1.0);
        look.insert("vertical".to_owned(), is_vertical.into());
        for name in ["letter_spacing", "line_spacing"] {
            if let Some(spacing) = self.number(main, &[name]) {
                look.insert(name.to_owned(), rounded(spacing).into());
            }
        }
        for (name, side) in [
            ("fixed_width", &root::CANVAS_WIDTH),
            ("fixed_height", &root::CANVAS_HEIGHT),
        ] {
            let pixels = self.number(main, &[name]).filter(|pixels| *pixels > 0.0);
            let side = self.value(RootRef, side) as f64;
            if let Some(pixels) = pixels.filter(|_| side > 0.0) {
                look.insert(name.to_owned(), rounded(pixels / side).into());
            }
        }
    }

    fn outline_look(&self, content: &TextContent, look: &mut Map<String, Value>) {
        let value = |path: &[&'static str]| {
            let mut all = vec![PathPart::Key("strokes"), PathPart::Index(0)];
            all.extend(path.iter().map(|key| PathPart::Key(key)));
            content.style_value(0, &all)
        };
        let Some(width) = value(&["width"]).and_then(|width| number(width.as_bytes())) else {
            return;
        };
        look.insert("border_width".to_owned(), rounded(width / 0.002).into());
        if let Some(color) = value(&["content", "solid", "color"]).and_then(hex) {
            look.insert("border_color".to_owned(), color.into());
        }
        if let Some(alpha) =
            value(&["content", "solid", "alpha"]).and_then(|alpha| number(alpha.as_bytes()))
        {
            look.insert("border_alpha".to_owned(), rounded(alpha).into());
        }
    }

    fn has_text_flag(&self, main: MaterialRef, bit: i64) -> bool {
        let flags = self.value(main, &material::CHECK_FLAG);
        flags & bit != 0
    }

    fn background_look(&self, main: MaterialRef, look: &mut Map<String, Value>) {
        let color = self.text(main, &["background_color"]).unwrap_or_default();
        if !self.has_text_flag(main, 16) || color.len() < 7 {
            return;
        }
        look.insert("background_color".to_owned(), color[..7].into());
        // As `set_background_value` writes it.
        let style = match self.number(main, &["background_style"]) {
            Some(0.0) => Some(1),
            Some(2.0) => Some(2),
            _ => None,
        };
        if let Some(style) = style {
            look.insert("background_style".to_owned(), style.into());
        }
        for name in [
            "background_alpha",
            "background_round_radius",
            "background_height",
            "background_width",
        ] {
            if let Some(value) = self.number(main, &[name]) {
                look.insert(name.to_owned(), rounded(value).into());
            }
        }
        for name in ["background_horizontal_offset", "background_vertical_offset"] {
            if let Some(value) = self.number(main, &[name]) {
                look.insert(name.to_owned(), rounded(f64::midpoint(value, 1.0)).into());
            }
        }
    }

    fn shadow_look(&self, main: MaterialRef, look: &mut Map<String, Value>) {
        if self.raw(main, &["has_shadow"]) != Some(b"true") {
            return;
        }
        look.insert("shadow_enabled".to_owned(), true.into());
        let color = self.text(main, &["shadow_color"]).unwrap_or_default();
        if color.len() >= 7 {
            look.insert("shadow_color".to_owned(), color[..7].into());
        }
        for (name, factor) in [
            ("shadow_alpha", 1.0),
            ("shadow_angle", 1.0),
            ("shadow_distance", 1.0),
            ("shadow_smoothing", 3.0),
        ] {
            if let Some(value) = self.number(main, &[name]) {
                look.insert(name.to_owned(), rounded(value / factor).into());
            }
        }
    }

    fn effects_look(&self, clip: ClipRef, look: &mut Map<String, Value>) {
        for effect in self.companions(clip, &["effects"]) {
            let id = self.text(effect, &["effect_id"]).unwrap_or_default();
            let resource = self.value(effect, &material::RESOURCE_ID);
            match self.value(effect, &material::KIND).as_str() {
                "text_effect" => {
                    look.insert("effect_effect_id".to_owned(), (*id).into());
                }
                "text_shape" => {
                    look.insert("bubble_effect_id".to_owned(), (*id).into());
                    look.insert("bubble_resource_id".to_owned(), resource.into());
                }
                _ => {}
            }
        }
    }

    fn animations_look(&self, clip: ClipRef, look: &mut Map<String, Value>) {
        let Some(animations) = self.companion(clip, &["material_animations"]) else {
            return;
        };
        let value = |index, key| {
            let path = [
                PathPart::Key("animations"),
                PathPart::Index(index),
                PathPart::Key(key),
            ];
            self.raw_at(animations, &path)
        };
        for index in 0.. {
            let Some(kind) = value(index, "type").and_then(String::read) else {
                break;
            };
            let known = ANIMATIONS.iter().find(|(own, ..)| *own == kind);
            let name = value(index, "name").and_then(String::read);
            let (Some((_, property, length)), Some(name)) = (known, name) else {
                continue;
            };
            look.insert((*property).to_owned(), name.into());
            let duration = value(index, "duration").and_then(i64::read);
            if let (Some(length), Some(duration)) = (length, duration) {
                look.insert((*length).to_owned(), json!(duration as f64 / 1e6));
            }
        }
    }
}

/// `[1.0, 0.8, 0.0]` as `#ffcc00`.
fn hex(color: &str) -> Option<String> {
    let parts = color.trim().strip_prefix('[')?.strip_suffix(']')?;
    let mut parts = parts.split(',').map(|part| part.trim().parse::<f64>().ok());
    let mut byte = || Some((parts.next()?? * 255.0).round().clamp(0.0, 255.0) as u8);
    let (red, green, blue) = (byte()?, byte()?, byte()?);
    Some(format!("#{red:02X}{green:02X}{blue:02X}"))
}
