//! Operations that change how clips look and sound.

use crate::content::TextContent;
use crate::document::{ClipRef, Dialect, MaterialRef};
use crate::error::{Error, Result};
use crate::field::{clip, material};
use crate::grid::Seconds;
use crate::kinds::{ClipKind, shortened};
use crate::ops::session::Session;
use crate::ops::{Clear, ClearWhat, ReplaceText, Set};
use crate::property::{Property, PropertyValue, Storage};
use crate::scan::PathPart;
use crate::value::{RawJson, quoted};

impl Session<'_> {
    pub(crate) fn set(&mut self, operation: &Set) -> Result<()> {
        if operation.values.is_empty() {
            return Err(Error::invalid("`set` names no property")
                .hint("for example {\"op\": \"set\", \"clip\": \"c1\", \"volume\": 0.5}"));
        }
        let mut values = Vec::new();
        for (name, value) in &operation.values {
            let property = Property::find(name)?;
            values.push((property, property.read(value)?, value));
        }
        for own in self.edit.select_all(&operation.clip)? {
            self.touch(own)?;
            let kind = self.edit.clip_kind(own);
            for (property, value, given) in &values {
                if !property.kinds.contains(&kind) {
                    let reason = kind
                        .read_only()
                        .map_or(String::new(), |reason| format!("; it is {reason}"));
                    return Err(Error::invalid(format!(
                        "{} has no `{}`{reason}",
                        self.edit.describe(own),
                        property.name
                    )));
                }
                self.set_property(own, kind, property, value)?;
                self.changed(format!(
                    "{}: {} is {given}",
                    self.edit.short_id(own),
                    property.name
                ));
            }
        }
        Ok(())
    }

    fn set_property(
        &mut self,
        own: ClipRef,
        kind: ClipKind,
        property: &Property,
        value: &PropertyValue,
    ) -> Result<()> {
        match (property.storage, value) {
            (Storage::Clip(path), PropertyValue::Switch(on)) => self.edit.set(own, path, on),
            (Storage::Clip(path), PropertyValue::Number(number)) => {
                self.edit.set(own, path, number)
            }
            (Storage::Material(path, factor), PropertyValue::Number(number)) => {
                let main = self.own_main(own)?;
                self.edit.set(main, path, &scaled(*number, factor))
            }
            (Storage::Companion(lists, path, factor), value) => {
                let companions: Vec<MaterialRef> = self.edit.companions(own, lists).collect();
                if companions.is_empty() {
                    return Err(Error::invalid(format!(
                        "{} has no mask",
                        self.edit.describe(own)
                    )));
                }
                for companion in self.own_companions(own, lists)? {
                    match value {
                        PropertyValue::Switch(on) => self.edit.set(companion, path, on)?,
                        PropertyValue::Number(number) => {
                            self.edit.set(companion, path, &scaled(*number, factor))?;
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            (Storage::Style(path, mirror), value) => self.set_style(own, path, mirror, value),
            (_, PropertyValue::Words(words)) => self.set_words(own, words),
            (_, value) => self.set_special(own, kind, property.name, value),
        }
    }

    /// The additional materials of a clip in these lists, not shared with other clips. A mask may have one copy
    /// in each of two lists.
    fn own_companions(&mut self, own: ClipRef, lists: &[&str]) -> Result<Vec<MaterialRef>> {
        if let Some(first) = self.edit.companion(own, lists) {
            self.edit.own_copy(own, first)?;
        }
        let ids: Vec<String> = self.edit.refs(own).into_iter().map(String::from).collect();
        let mut all = Vec::new();
        for id in ids {
            all.extend(
                self.edit
                    .materials_by_id(&id)
                    .filter(|material| lists.contains(&self.edit.list_name(*material))),
            );
        }
        Ok(all)
    }

    fn own_main(&mut self, own: ClipRef) -> Result<MaterialRef> {
        let main = self.edit.main_material(own).ok_or_else(|| {
            Error::read_only(format!(
                "the material of {} does not exist",
                self.edit.describe(own)
            ))
        })?;
        self.edit.own_copy(own, main)
    }

    fn set_special(
        &mut self,
        own: ClipRef,
        kind: ClipKind,
        name: &str,
        value: &PropertyValue,
    ) -> Result<()> {
        let is_app = self.edit.dialect() == Dialect::App;
        match (name, value) {
            ("volume", PropertyValue::Number(volume)) => {
                self.edit.set(own, clip::VOLUME.path, volume)?;
                if *volume > 0.0 && self.edit.raw(own, &["last_nonzero_volume"]).is_some() {
                    self.edit.set(own, &["last_nonzero_volume"], volume)?;
                }
                Ok(())
            }
            ("speed", PropertyValue::Number(speed)) => self.set_speed(own, *speed),
            ("opacity", PropertyValue::Number(opacity)) => {
                // The app ignores the opacity of a text's clip.
                if kind != ClipKind::Text {
                    return self.edit.set(own, &["clip", "alpha"], opacity);
                }
                if is_app {
                    let main = self.own_main(own)?;
                    return self.edit.set(main, &["global_alpha"], opacity);
                }
                self.set_style(own, &["fill", "content", "solid", "alpha"], None, value)
            }
            ("scale", PropertyValue::Number(scale)) => {
                self.edit.set(own, &["clip", "scale", "x"], scale)?;
                self.edit.set(own, &["clip", "scale", "y"], scale)?;
                self.edit.set(own, &["uniform_scale", "on"], &true)
            }
            ("scale_x" | "scale_y", PropertyValue::Number(scale)) => {
                let (axis, other) = if name == "scale_x" {
                    ("x", "y")
                } else {
                    ("y", "x")
                };
                self.edit.set(own, &["clip", "scale", axis], scale)?;
                let other = self
                    .edit
                    .number(own, &["clip", "scale", other])
                    .unwrap_or(1.0);
                if other != *scale {
                    self.edit.set(own, &["uniform_scale", "on"], &false)?;
                }
                Ok(())
            }
            ("fade_in" | "fade_out", PropertyValue::Number(seconds)) => {
                let key = if name == "fade_in" {
                    "fade_in_duration"
                } else {
                    "fade_out_duration"
                };
                self.set_fade(own, key, *seconds)
            }
            ("transition_duration", PropertyValue::Number(seconds)) => {
                let Some(transition) = self.edit.companion(own, &["transitions"]) else {
                    return Err(Error::invalid(format!(
                        "{} has no transition to the next clip",
                        self.edit.describe(own)
                    )));
                };
                let transition = self.edit.own_copy(own, transition)?;
                let duration = self.grid.floor((seconds * 1e6).round() as i64);
                self.edit.set(transition, &["duration"], &duration)
            }
            ("background_blur", PropertyValue::Number(blur)) => {
                let canvas = match self.edit.companion(own, &["canvases"]) {
                    Some(canvas) => self.edit.own_copy(own, canvas)?,
                    None => self.add_companion(own, "canvases", "\"type\":\"canvas_blur\",\"blur\":0.0,\"color\":\"\",\"source_platform\":0")?,
                };
                let kind = if *blur > 0.0 {
                    "canvas_blur"
                } else {
                    "canvas_color"
                };
                self.edit.set(canvas, &["type"], kind)?;
                self.edit.set(canvas, &["blur"], blur)
            }
            _ => self.set_letters(own, name, value),
        }
    }

    fn set_fade(&mut self, own: ClipRef, key: &str, seconds: f64) -> Result<()> {
        let duration = self.grid.floor((seconds * 1e6).round() as i64);
        let length = self.edit.target(own).duration;
        if duration > length {
            return Err(Error::invalid(format!(
                "the fade is {} long; {} lasts {}",
                Seconds(duration),
                self.edit.describe(own),
                Seconds(length)
            )));
        }
        let fade = match self.edit.companion(own, &["audio_fades"]) {
            Some(fade) => self.edit.own_copy(own, fade)?,
            None if duration == 0 => return Ok(()),
            None => self.add_companion(
                own,
                "audio_fades",
                "\"type\":\"audio_fade\",\"fade_type\":0,\"fade_in_duration\":0,\"fade_out_duration\":0",
            )?,
        };
        self.edit.set(fade, &[key], &duration)
    }

    /// Adds an additional material with these members.
    fn add_companion(&mut self, own: ClipRef, list: &str, members: &str) -> Result<MaterialRef> {
        let id = self.edit.unused_id(&self.edit.id(own), list);
        let json = format!("{{\"id\":{},{members}}}", quoted(&id));
        let material = self.edit.add_material(list, &json)?;
        self.edit.add_ref(own, &id)?;
        Ok(material)
    }

    /// Sets the speed; the part of the file stays, the length on the timeline follows.
    pub(crate) fn set_speed(&mut self, own: ClipRef, speed: f64) -> Result<()> {
        let Some(source) = self.edit.range(own, &["source_timerange"]) else {
            return Err(Error::invalid(format!(
                "{} has no speed",
                self.edit.describe(own)
            )));
        };
        let companion = self.edit.companion(own, &["speeds"]);
        if let Some(companion) = companion
            && self
                .edit
                .number(companion, &["mode"])
                .is_some_and(|mode| mode != 0.0)
        {
            return Err(Error::read_only(format!(
                "{} has a speed curve, which can only be changed in the app",
                self.edit.describe(own)
            )));
        }
        let old = self.speed(own);
        if old == speed {
            return Ok(());
        }
        self.touch_time(own)?;
        let track = self.edit.track_of(own);
        let is_magnetic = self.is_magnetic(track);
        let (first, _) = self.frames(own);
        let frames = self
            .grid
            .frame_of_sum((source.duration as f64 / speed).round() as i64)
            .max(1);
        let target = self.range_of_frames(first, first + frames);
        let duration = (target.duration as f64 * speed).round() as i64;
        let duration = duration.min(source.duration.max(1));
        self.set_source(own, crate::grid::TimeRange { duration, ..source })?;
        self.edit.set(own, clip::SPEED.path, &speed)?;
        if let Some(companion) = companion {
            let companion = self.edit.own_copy(own, companion)?;
            self.edit.set(companion, &["speed"], &speed)?;
        }
        if !self.keyframes_on_source_clock(own) {
            self.stretch_keyframes(own, old / speed)?;
        }
        self.set_target(own, target)?;
        self.fit_animations(own, target.duration)?;
        self.changed(format!(
            "{} now lasts from {} to {}",
            self.edit.short_id(own),
            Seconds(target.start),
            Seconds(target.end())
        ));
        if is_magnetic {
            self.close_gaps(track)?;
        }
        Ok(())
    }

    fn set_style(
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
            PropertyValue::Words(_) => false,
        })?;
        let Some(mirror) = mirror.filter(|_| self.edit.dialect() == Dialect::App) else {
            return Ok(());
        };
        let main = self.own_main(own)?;
        match value {
            PropertyValue::Number(number) => self.edit.set(main, &[mirror], number),
            PropertyValue::Switch(on) => self.edit.set(main, &[mirror], on),
            PropertyValue::Color(color) => self.edit.set(main, &[mirror], &hex(*color)),
            PropertyValue::Words(_) => Ok(()),
        }
    }

    fn edit_styles(
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

    fn set_letters(&mut self, own: ClipRef, name: &str, value: &PropertyValue) -> Result<()> {
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
                self.edit.set(main, &["background_color"], &hex(*color))?;
                if self.edit.number(main, &["background_style"]).unwrap_or(0.0) == 0.0 {
                    self.edit.set(main, &["background_style"], &1_i64)?;
                }
                self.set_flag(main, 16, true)
            }
            ("border_width" | "border_color" | "border_alpha", value) => {
                self.set_border(own, main, name, value)
            }
            _ => self.set_shadow(own, main, name, value),
        }
    }

    /// `check_flag` says which parts of a text the app reads: 8 outline, 16 background, 32 shadow.
    fn set_flag(&mut self, main: MaterialRef, bit: i64, on: bool) -> Result<()> {
        let flags = self.edit.number(main, &["check_flag"]).unwrap_or(7.0) as i64;
        let new = if on { flags | bit } else { flags & !bit };
        self.edit.set(main, &["check_flag"], &new)
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
        let number = |key, default| self.edit.number(main, &[key]).unwrap_or(default);
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
                number("shadow_alpha", 0.9),
                number("shadow_angle", -45.0),
                unit_color([byte(1), byte(3), byte(5)]),
                number("shadow_smoothing", 0.45) / 6.0,
                number("shadow_distance", 5.0),
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

    fn set_words(&mut self, own: ClipRef, words: &str) -> Result<()> {
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

    pub(crate) fn clear(&mut self, operation: &Clear) -> Result<()> {
        for own in self.edit.select_all(&operation.clip)? {
            self.touch(own)?;
            let id = self.edit.short_id(own);
            let (count, word) = match operation.what {
                ClearWhat::Transition => {
                    (self.drop_companions(own, &["transitions"])?, "transition")
                }
                ClearWhat::Mask => (
                    self.drop_companions(own, &["common_mask", "masks"])?,
                    "mask",
                ),
                ClearWhat::Effect => {
                    let lists = ["video_effects", "audio_effects", "effects"];
                    (self.drop_companions(own, &lists)?, "effect")
                }
                ClearWhat::Animation => (self.clear_animations(own)?, "animation"),
            };
            if count == 0 {
                self.note(format!("{id} has no {word}"));
            } else {
                self.changed(format!("the {word} of {id} is removed"));
            }
        }
        Ok(())
    }

    fn clear_animations(&mut self, own: ClipRef) -> Result<usize> {
        let Some(companion) = self.edit.companion(own, &["material_animations"]) else {
            return Ok(0);
        };
        if self
            .edit
            .raw(companion, &["animations"])
            .is_none_or(|list| list.len() <= 2)
        {
            return Ok(0);
        }
        let companion = self.edit.own_copy(own, companion)?;
        self.edit.set(companion, &["animations"], &RawJson("[]"))?;
        Ok(1)
    }
}

/// The stored value; without the error of a factor such as 0.01.
fn scaled(number: f64, factor: f64) -> f64 {
    if factor == 1.0 {
        number
    } else {
        (number * factor * 1e9).round() / 1e9
    }
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn unit_color(color: [u8; 3]) -> String {
    let [red, green, blue] = color.map(|part| f64::from(part) / 255.0);
    format!("[{red:?},{green:?},{blue:?}]")
}
