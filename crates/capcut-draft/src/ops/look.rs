//! Operations that change how clips look and sound.

use crate::curve::SpeedCurve;
use crate::document::{ClipRef, Dialect, MaterialRef, RootRef};
use crate::error::{Error, Result};
use crate::field::{clip, root};
use crate::grid::Seconds;
use crate::kinds::{ClipKind, shortened};
use crate::measure::Unit;
use serde_json::Value;

use crate::ops::named::{TextEffectKind, is_none};
use crate::ops::picture::{BLEND_MODE, FILTER, adjustments};
use crate::ops::session::Session;
use crate::ops::{Clear, ClearWhat, Set};
use crate::property::{Property, PropertyValue, Storage};
use crate::resource::ResourceKind;
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
            if let Some(why) = property.refusal() {
                return Err(Error::invalid(format!("`set` does not change `{name}`")).hint(why));
            }
            let mut read = property.read(value)?;
            if let PropertyValue::Pixels(pixels) = read {
                let canvas = (
                    self.edit.value(RootRef, &root::CANVAS_WIDTH) as f64,
                    self.edit.value(RootRef, &root::CANVAS_HEIGHT) as f64,
                );
                read = PropertyValue::Number(property.in_half_canvases(name, pixels, canvas)?);
            }
            values.push((property, name, read, value));
        }
        // A mask, for example, is there before its size is set.
        values.sort_by_key(|(property, ..)| property.position());
        for pair in values.windows(2) {
            if pair[0].0.name == pair[1].0.name {
                return Err(Error::invalid(format!(
                    "`{}` and `{}` are one property: give it once",
                    pair[0].1, pair[1].1
                )));
            }
        }
        for own in self.edit.select_all(&operation.clip)? {
            self.touch(own)?;
            let kind = self.edit.clip_kind(own);
            for (property, name, value, given) in &values {
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
                self.set_property(own, kind, property, value, operation)
                    .map_err(|error| with_value(error, [name, property.name], given))?;
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
        operation: &Set,
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
            (Storage::Mask(path, factor), value) => {
                for companion in self.masks(own)? {
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
            (Storage::Adjustment(kind, version), PropertyValue::Number(number)) => {
                self.set_adjustment(own, (kind, version), *number)
            }
            (Storage::Style(path, mirror), value) => self.set_style(own, path, mirror, value),
            (Storage::Resource(of), PropertyValue::Words(name)) => {
                self.set_named(own, kind, (property, of), name)
            }
            (_, PropertyValue::Words(words)) => match property.name {
                "sticker_id" => self.set_sticker(own, words),
                "group" => self.set_group(own, words),
                "effect_effect_id" => {
                    let id = Some(words.as_str());
                    self.set_text_effect(own, TextEffectKind::Letters, id, id)
                }
                "bubble_effect_id" => {
                    let other = operation.values.get("bubble_resource_id");
                    let other = other.and_then(Value::as_str);
                    self.set_text_effect(own, TextEffectKind::Bubble, Some(words), other)
                }
                "bubble_resource_id" => {
                    let removes = |value: &Value| value.as_str().is_some_and(is_none);
                    if operation
                        .values
                        .get("bubble_effect_id")
                        .is_some_and(removes)
                    {
                        return Ok(());
                    }
                    self.set_text_effect(own, TextEffectKind::Bubble, None, Some(words))
                }
                _ => self.set_words(own, words),
            },
            (_, PropertyValue::Parts(parts)) => self.set_parts(own, parts),
            (_, PropertyValue::Loudness(points)) => self.set_volume_curve(own, points),
            (_, PropertyValue::Parameters(values)) => self.set_effect_parameters(own, kind, values),
            (_, PropertyValue::NamedParameters(values)) => {
                self.set_named_parameters(own, kind, values)
            }
            (_, PropertyValue::Number(strength)) if property.name == "strength" => {
                self.set_strength(own, kind, *strength)
            }
            (_, PropertyValue::Crop(crop)) => self.set_crop(own, *crop),
            (_, PropertyValue::Curve(curve)) => self.set_speed_curve(own, curve),
            (_, value) if ["motion", "motion_strength"].contains(&property.name) => {
                self.set_motion_of(own, property, value, operation)
            }
            (_, value) if ["fit", "box"].contains(&property.name) => {
                self.set_fit_of(own, property, value, operation)
            }
            (_, value) => self.set_special(own, kind, property.name, value),
        }
    }

    /// `motion` and its strength, in any order.
    fn set_motion_of(
        &mut self,
        own: ClipRef,
        property: &Property,
        value: &PropertyValue,
        operation: &Set,
    ) -> Result<()> {
        let given = |name: &str| {
            let found = operation.values.iter().find(|(key, _)| {
                Property::named(key).is_some_and(|property| property.name == name)
            });
            found.map(|(_, value)| Property::find(name).and_then(|own| own.read(value)))
        };
        if property.name == "motion_strength" {
            return match given("motion") {
                Some(_) => Ok(()),
                None => Err(Error::invalid("`motion_strength` needs `motion`")
                    .hint("set `motion` as well, such as \"ken_burns\"")),
            };
        }
        let (PropertyValue::Number(index), Unit::Choice(words)) = (value, property.measure.unit)
        else {
            return Ok(());
        };
        let strength = match given("motion_strength").transpose()? {
            Some(PropertyValue::Number(strength)) => strength,
            _ => 50.0,
        };
        let name = words.get(*index as usize).copied().unwrap_or_default();
        self.set_motion(own, name, strength)
    }

    /// `fit` and `box`, in any order.
    fn set_fit_of(
        &mut self,
        own: ClipRef,
        property: &Property,
        value: &PropertyValue,
        operation: &Set,
    ) -> Result<()> {
        let other = |name: &str| {
            let found = operation.values.iter().find(|(key, _)| {
                Property::named(key).is_some_and(|property| property.name == name)
            });
            found.map(|(_, value)| Property::find(name).and_then(|own| own.read(value)))
        };
        match value {
            PropertyValue::Box(_) if other("fit").is_some() => Ok(()),
            PropertyValue::Box(frame) => self.set_fit(own, "contain", Some(*frame)),
            PropertyValue::Number(index) => {
                let fit = match property.measure.unit {
                    Unit::Choice(words) => words.get(*index as usize).copied(),
                    _ => None,
                };
                let frame = match other("box").transpose()? {
                    Some(PropertyValue::Box(frame)) => Some(frame),
                    _ => None,
                };
                self.set_fit(own, fit.unwrap_or_default(), frame)
            }
            _ => Ok(()),
        }
    }

    /// The additional materials of a clip in these lists, not shared with other clips. A mask may have one copy
    /// in each of two lists.
    pub(super) fn own_companions(
        &mut self,
        own: ClipRef,
        lists: &[&str],
    ) -> Result<Vec<MaterialRef>> {
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

    pub(super) fn own_main(&mut self, own: ClipRef) -> Result<MaterialRef> {
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
            ("mute", PropertyValue::Switch(on)) => self.set_mute(own, *on),
            ("speed", PropertyValue::Number(speed)) => {
                self.drop_speed_curve(own)?;
                self.set_speed(own, *speed)
            }
            ("keep_pitch", PropertyValue::Switch(keeps)) => {
                self.edit.set(own, &["is_tone_modify"], &!keeps)
            }
            ("filter_intensity", PropertyValue::Number(strength)) => {
                self.set_filter_strength(own, *strength)
            }
            ("chroma_key", PropertyValue::Color(color)) => self.set_chroma_key(own, *color),
            ("chroma_strength", PropertyValue::Number(number)) => {
                self.set_chroma_value(own, "intensity_value", *number)
            }
            ("chroma_shadow", PropertyValue::Number(number)) => {
                self.set_chroma_value(own, "shadow_value", *number)
            }
            ("chroma_edge", PropertyValue::Number(number)) => {
                self.set_chroma_value(own, "edge_smooth_value", *number)
            }
            ("chroma_spill", PropertyValue::Number(number)) => {
                self.set_chroma_value(own, "spill_value", *number)
            }
            ("background_color", PropertyValue::Color(color)) if kind != ClipKind::Text => {
                self.set_background_color(own, *color)
            }
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
                    .usable_number(own, &["clip", "scale", other])?
                    .unwrap_or(1.0);
                self.edit
                    .set(own, &["uniform_scale", "on"], &(other == *scale))
            }
            ("fade_in" | "fade_out", PropertyValue::Number(seconds)) => {
                self.set_fade(own, name, *seconds)
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
                self.longer_transitions.push(own);
                self.edit.set(transition, &["duration"], &duration)
            }
            ("mask_height", PropertyValue::Number(height)) => self.set_mask_height(own, *height),
            ("intro_duration", PropertyValue::Number(seconds)) => {
                self.set_animation_length(own, kind, ResourceKind::Intro, *seconds)
            }
            ("outro_duration", PropertyValue::Number(seconds)) => {
                self.set_animation_length(own, kind, ResourceKind::Outro, *seconds)
            }
            ("combo_duration", PropertyValue::Number(seconds)) => {
                self.set_animation_length(own, kind, ResourceKind::Combo, *seconds)
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

    pub(super) fn set_fade(&mut self, own: ClipRef, name: &str, seconds: f64) -> Result<()> {
        self.edit.check_times(own)?;
        let key = if name == "fade_in" {
            "fade_in_duration"
        } else {
            "fade_out_duration"
        };
        let duration = self.grid.floor((seconds * 1e6).round() as i64);
        let length = self.edit.target(own).duration;
        if duration > length {
            return Err(Error::invalid(format!(
                "`{name}` is {}, but {} lasts {}",
                Seconds(duration),
                self.edit.describe(own),
                Seconds(length)
            ))
            .hint(format!(
                "give `{name}` at most {}, or make the clip longer",
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

    /// Gives a clip a constant speed again.
    fn drop_speed_curve(&mut self, own: ClipRef) -> Result<()> {
        let Some(companion) = self.edit.companion(own, &["speeds"]) else {
            return Ok(());
        };
        if self
            .edit
            .usable_number(companion, &["mode"])?
            .unwrap_or(0.0)
            == 0.0
        {
            return Ok(());
        }
        let companion = self.edit.own_copy(own, companion)?;
        self.edit.set(companion, &["mode"], &0)?;
        self.edit.set(companion, &["curve_speed"], &RawJson("null"))
    }

    /// Gives a clip a speed curve; its length on the timeline follows from the curve's average.
    fn set_speed_curve(&mut self, own: ClipRef, curve: &SpeedCurve) -> Result<()> {
        self.set_speed(own, curve.average())?;
        let companion = match self.edit.companion(own, &["speeds"]) {
            Some(companion) => self.edit.own_copy(own, companion)?,
            None => {
                let members = format!(
                    "\"type\":\"speed\",\"mode\":0,\"speed\":{:?},\"curve_speed\":null",
                    curve.average()
                );
                self.add_companion(own, "speeds", &members)?
            }
        };
        self.edit.set(companion, &["mode"], &1)?;
        let curve = curve.document().to_string();
        self.edit.set(companion, &["curve_speed"], &RawJson(&curve))
    }

    /// Sets the speed; the part of the file stays, the length on the timeline follows.
    pub(crate) fn set_speed(&mut self, own: ClipRef, speed: f64) -> Result<()> {
        let Some(source) = self.edit.range(own, &["source_timerange"]) else {
            return Err(Error::invalid(format!(
                "{} has no speed",
                self.edit.describe(own)
            )));
        };
        self.edit.check_times(own)?;
        let companion = self.edit.companion(own, &["speeds"]);
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
                ClearWhat::Filter => (self.drop_effects(own, &[FILTER])?, "filter"),
                ClearWhat::Adjustments => {
                    let kinds: Vec<&str> = adjustments().collect();
                    (self.drop_effects(own, &kinds)?, "adjustment")
                }
                ClearWhat::BlendMode => (self.drop_effects(own, &[BLEND_MODE])?, "blend mode"),
                ClearWhat::ChromaKey => (self.drop_companions(own, &["chromas"])?, "chroma key"),
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
pub(crate) fn scaled(number: f64, factor: f64) -> f64 {
    if factor == 1.0 {
        number
    } else {
        (number * factor * 1e9).round() / 1e9
    }
}

/// The error of a property with its name and value, if the message has neither of its names.
fn with_value(error: Error, names: [&str; 2], given: &Value) -> Error {
    let is_named = names
        .iter()
        .any(|name| error.message.contains(&format!("`{name}`")));
    if is_named {
        return error;
    }
    let given = given.to_string();
    Error {
        message: format!(
            "`{}` is {}: {}",
            names[0],
            shortened(&given, 80),
            error.message
        ),
        ..error
    }
}
