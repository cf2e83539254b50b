//! What clips have from the app's catalog: transitions, masks, animations, fonts, effects and stickers.

use serde_json::{Map, Value, json};

use crate::document::{ClipRef, Dialect, MaterialRef, RootRef};
use crate::error::{Error, Result, quoted_list};
use crate::field::{material, root};
use crate::kinds::{ClipKind, shortened};
use crate::ops::look::scaled;
use crate::ops::picture::{BLEND_MODE, FILTER};
use crate::ops::session::Session;
use crate::path::PathPart;
use crate::property::{Property, PropertyDefault};
use crate::resource::{Resource, ResourceKind, ResourceParameter};
use crate::value::RawJson;

/// The bits of `check_flag` without which the app ignores masks on a video or picture.
const MASK_FLAGS: i64 = 63_487;

/// The bit of `check_flag` that the API sets for a sound with an effect.
const SOUND_EFFECT_FLAG: i64 = 2;

/// The value that removes what a property names.
pub(super) fn is_none(name: &str) -> bool {
    ["none", "null", "无"]
        .iter()
        .any(|none| name.trim().eq_ignore_ascii_case(none))
}

/// The default of a property in a tool, in its unit.
fn default_in(property: &str, tool: &str) -> f64 {
    match Property::named(property).map(|property| property.default_in(tool)) {
        Some(PropertyDefault::Number(number)) => number,
        _ => 0.0,
    }
}

fn micros_of(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

/// The type of an animation in documents, and the property of its length.
fn phase(kind: ResourceKind) -> (&'static str, &'static str) {
    match kind {
        ResourceKind::Intro => ("in", "intro_duration"),
        ResourceKind::Outro => ("out", "outro_duration"),
        // It fills what the others leave.
        ResourceKind::Loop => ("loop", ""),
        _ => ("group", "combo_duration"),
    }
}

/// The additional materials of texts that are in one list.
#[derive(Clone, Copy)]
pub enum TextEffectKind {
    /// A speech bubble.
    Bubble,
    /// An effect of the letters.
    Letters,
}

impl TextEffectKind {
    /// Refuses what is not an id of the app: names of these effects are not known.
    ///
    /// # Errors
    /// `NotFound` with where an id is found.
    pub fn check_id(self, id: &str) -> Result<()> {
        let is_id = id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_id {
            return Ok(());
        }
        Err(Error::not_found(format!(
            "\"{}\" is not an id, and no public table has the names of the app's {}",
            shortened(id, 80),
            match self {
                Self::Bubble => "speech bubbles",
                Self::Letters => "text effects",
            }
        ))
        .hint("give the id that `inspect_draft` shows for a text of another draft that has it"))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bubble => "text_shape",
            Self::Letters => "text_effect",
        }
    }
}

impl Session<'_> {
    /// Gives a clip the thing of a name, in place of the one that it has; `none` removes that.
    pub(super) fn set_named(
        &mut self,
        own: ClipRef,
        clip: ClipKind,
        (property, kind): (&Property, ResourceKind),
        name: &str,
    ) -> Result<()> {
        if is_none(name) {
            return self.remove_named(own, clip, kind);
        }
        let found = self.resources.find(kind, clip, name).map_err(|mut error| {
            error.message = format!("`{}`: {}", property.name, error.message);
            error
        })?;
        if let Some(note) = &found.note {
            self.note(format!("`{}`: {note}", property.name));
        }
        match kind {
            ResourceKind::Transition => self.set_transition(own, &found),
            ResourceKind::Mask => self.set_mask(own, &found),
            ResourceKind::Intro
            | ResourceKind::Outro
            | ResourceKind::Combo
            | ResourceKind::Loop => {
                self.set_animation(own, clip, kind, &found)?;
                self.fit_loop(own)
            }
            ResourceKind::Font => self.set_font(own, &found),
            ResourceKind::Effect => match clip {
                ClipKind::Audio => self.set_sound_effect(own, &found),
                ClipKind::Effect => self.set_video_effect(own, &found),
                _ => self.set_clip_effect(own, &found),
            },
            ResourceKind::Filter if clip == ClipKind::Filter => self.set_filter_clip(own, &found),
            ResourceKind::Filter => self.set_catalog_effect(own, FILTER, &found),
            ResourceKind::BlendMode => self.set_catalog_effect(own, BLEND_MODE, &found),
        }
    }

    fn remove_named(&mut self, own: ClipRef, clip: ClipKind, kind: ResourceKind) -> Result<()> {
        let count = match kind {
            ResourceKind::Transition => self.drop_companions(own, &["transitions"])?,
            ResourceKind::Mask => self.drop_companions(own, &["common_mask", "masks"])?,
            ResourceKind::Intro
            | ResourceKind::Outro
            | ResourceKind::Combo
            | ResourceKind::Loop => {
                let count = self.drop_animations(own, &[phase(kind).0])?;
                self.fit_loop(own)?;
                count
            }
            ResourceKind::Effect if clip != ClipKind::Effect => {
                self.drop_companions(own, &["audio_effects", "video_effects"])?
            }
            ResourceKind::Filter if clip != ClipKind::Filter => {
                self.drop_effects(own, &[FILTER])?
            }
            ResourceKind::BlendMode => self.drop_effects(own, &[BLEND_MODE])?,
            ResourceKind::Effect | ResourceKind::Filter => {
                return Err(Error::invalid(format!(
                    "{} shows nothing else",
                    self.edit.describe(own)
                ))
                .hint("the operation `remove` removes the clip"));
            }
            ResourceKind::Font => {
                return Err(Error::invalid("a text has a font: \"none\" is not one")
                    .hint("give the name of another font"));
            }
        };
        if count == 0 {
            let id = self.edit.short_id(own);
            self.note(format!("{id} has none"));
        }
        Ok(())
    }

    /// Adds an additional material with these members; in the app's dialect, with all of its keys.
    pub(super) fn add_whole(
        &mut self,
        own: ClipRef,
        lists: &[&str],
        members: &Map<String, Value>,
    ) -> Result<String> {
        let first = lists.first().copied().unwrap_or_default();
        let id = self.edit.unused_id(&self.edit.id(own), first);
        for list in lists {
            let mut all = self.resources.neutral(list);
            for (key, value) in members {
                match (all.get_mut(key), value) {
                    (Some(Value::Object(known)), Value::Object(own)) => known.extend(own.clone()),
                    _ => drop(all.insert(key.clone(), value.clone())),
                }
            }
            all.insert("id".to_owned(), id.as_str().into());
            self.edit
                .add_material(list, &Value::Object(all).to_string())?;
        }
        self.edit.add_ref(own, &id)?;
        Ok(id)
    }

    /// Sets members of a material that the app derived from what it showed before, where it has them.
    pub(super) fn forget_source(&mut self, material: MaterialRef) -> Result<()> {
        for key in ["path", "category_id", "category_name", "request_id"] {
            if self.edit.raw(material, &[key]).is_some() {
                self.edit.set(material, &[key], "")?;
            }
        }
        Ok(())
    }

    fn set_transition(&mut self, own: ClipRef, found: &Resource) -> Result<()> {
        let old = self.edit.companion(own, &["transitions"]);
        let duration = match old {
            Some(old) => self.edit.value(old, &material::DURATION),
            None => micros_of(default_in("transition_duration", "add_video")),
        };
        self.drop_companions(own, &["transitions"])?;
        let mut members = members(json!({
            "category_id": "", "category_name": "", "duration": self.grid.floor(duration),
            "effect_id": found.effect_id, "is_overlap": found.is_overlap, "name": found.name,
            "platform": "all", "resource_id": found.resource_id, "type": "transition",
        }));
        self.also_third_id(&mut members, "transitions", found);
        self.add_whole(own, &["transitions"], &members)?;
        self.longer_transitions.push(own);
        let end = self.edit.target(own).end();
        let track = self.edit.track_of(own);
        let follows = self
            .edit
            .clips(track)
            .any(|clip| clip != own && (self.edit.target(clip).start - end).abs() <= 2);
        if !follows {
            let id = self.edit.short_id(own);
            self.note(format!(
                "no clip follows {id} directly on its track: the transition is visible as soon as one does"
            ));
        }
        Ok(())
    }

    /// Newer versions of the app repeat the resource id.
    pub(super) fn also_third_id(
        &self,
        members: &mut Map<String, Value>,
        list: &str,
        found: &Resource,
    ) {
        if self
            .resources
            .neutral(list)
            .contains_key("third_resource_id")
        {
            members.insert(
                "third_resource_id".to_owned(),
                found.resource_id.as_str().into(),
            );
        }
    }

    fn set_mask(&mut self, own: ClipRef, found: &Resource) -> Result<()> {
        let masks = ["common_mask", "masks"];
        let is_rectangle = found.shape == "rectangle";
        let (width, height) = (
            self.edit.value(RootRef, &root::CANVAS_WIDTH) as f64,
            self.edit.value(RootRef, &root::CANVAS_HEIGHT) as f64,
        );
        // A shape keeps its proportion: its width follows from its height.
        let width_of = |side: f64| {
            if is_rectangle || width <= 0.0 {
                side
            } else {
                side * height * found.aspect_ratio / width
            }
        };
        if self.edit.companion(own, &masks).is_none() {
            let side = default_in("mask_height", "");
            let members = members(json!({
                "config": {
                    "aspectRatio": found.aspect_ratio, "centerX": 0.0, "centerY": 0.0, "feather": 0.0,
                    "height": side, "invert": false, "rotation": 0.0, "roundCorner": 0.0,
                    "width": width_of(side),
                },
                "category": "video", "category_id": "", "category_name": "", "name": found.name,
                "platform": "all", "position_info": "", "resource_type": found.shape,
                "resource_id": found.resource_id, "type": "mask",
            }));
            self.add_whole(own, self.resources.mask_lists(), &members)?;
        } else {
            for mask in self.own_companions(own, &masks)? {
                let side = self.edit.number(mask, &["config", "height"]);
                let side = side.unwrap_or_else(|| default_in("mask_height", ""));
                self.edit.set(mask, &["name"], found.name.as_str())?;
                self.edit
                    .set(mask, &["resource_id"], found.resource_id.as_str())?;
                self.edit
                    .set(mask, &["resource_type"], found.shape.as_str())?;
                self.edit
                    .set(mask, &["config", "aspectRatio"], &found.aspect_ratio)?;
                self.edit.set(mask, &["config", "width"], &width_of(side))?;
                self.forget_source(mask)?;
            }
        }
        self.set_check_flags(own, MASK_FLAGS)
    }

    /// Sets bits of the file's `check_flag` without which the app ignores what the clip got.
    fn set_check_flags(&mut self, own: ClipRef, bits: i64) -> Result<()> {
        let Some(main) = self.edit.main_material(own) else {
            return Ok(());
        };
        let Some(flags) = self.edit.get(main, &material::CHECK_FLAG) else {
            return Ok(());
        };
        if flags & bits == bits {
            return Ok(());
        }
        let main = self.own_main(own)?;
        self.edit
            .set(main, material::CHECK_FLAG.path, &(flags | bits))
    }

    /// Sets the height of a mask; a shape with a fixed proportion keeps it.
    pub(super) fn set_mask_height(&mut self, own: ClipRef, height: f64) -> Result<()> {
        for mask in self.masks(own)? {
            let is_rectangle = self
                .edit
                .text(mask, &["resource_type"])
                .is_none_or(|shape| shape == "rectangle");
            let old = |key| self.edit.number(mask, &["config", key]);
            let (old_height, old_width) = (old("height"), old("width"));
            self.edit.set(mask, &["config", "height"], &height)?;
            if let (Some(old_height), Some(width), false) = (old_height, old_width, is_rectangle)
                && old_height > 0.0
            {
                let width = width * height / old_height;
                self.edit.set(mask, &["config", "width"], &width)?;
            }
        }
        Ok(())
    }

    /// The masks of a clip, not shared with other clips.
    pub(super) fn masks(&mut self, own: ClipRef) -> Result<Vec<MaterialRef>> {
        let lists = ["common_mask", "masks"];
        if self.edit.companion(own, &lists).is_none() {
            return Err(
                Error::invalid(format!("{} has no mask", self.edit.describe(own)))
                    .hint("set `mask_type` as well, such as \"Circle\""),
            );
        }
        self.own_companions(own, &lists)
    }

    fn set_animation(
        &mut self,
        own: ClipRef,
        clip: ClipKind,
        kind: ResourceKind,
        found: &Resource,
    ) -> Result<()> {
        let (name, of_length) = phase(kind);
        let length = self.edit.target(own).duration;
        let old = self.animation(own, name);
        let duration = match old {
            Some((companion, index)) => self.animation_time(companion, index, "duration"),
            None => micros_of(default_in(of_length, "")),
        };
        let duration = duration.clamp(0, length);
        // An animation of the whole clip excludes the others.
        let excluded: &[&str] = match kind {
            ResourceKind::Combo => &["group", "in", "out"],
            ResourceKind::Intro => &["in", "group"],
            ResourceKind::Loop => &["loop"],
            _ => &["out", "group"],
        };
        self.drop_animations(own, excluded)?;
        let companion = match self.edit.companion(own, &["material_animations"]) {
            Some(companion) => self.edit.own_copy(own, companion)?,
            None => {
                let members = members(json!({
                    "type": "sticker_animation", "multi_language_current": "none", "animations": [],
                }));
                let id = self.add_whole(own, &["material_animations"], &members)?;
                let added = self.edit.material(&id);
                added.ok_or_else(|| Error::invalid("the animations cannot be added"))?
            }
        };
        if self
            .edit
            .raw(companion, &["animations"])
            .is_none_or(|list| list == b"null")
        {
            self.edit.set(companion, &["animations"], &RawJson("[]"))?;
        }
        let (panel, material_type) = if clip == ClipKind::Text {
            ("", "sticker")
        } else {
            ("video", "video")
        };
        let start = if name == "out" { length - duration } else { 0 };
        let mut item = members(json!({
            "anim_adjust_params": null, "platform": "all", "panel": panel,
            "material_type": material_type, "name": found.name, "id": found.effect_id, "type": name,
            "resource_id": found.resource_id, "start": start, "duration": duration,
        }));
        self.also_third_id(&mut item, "animation", found);
        let mut whole = self.resources.neutral("animation");
        whole.extend(item);
        let (_, items) = self
            .edit
            .items(companion.0, &[PathPart::Key("animations")])?;
        // As the libraries order them: entrance, exit, loop.
        let at = match name {
            "loop" => items.len(),
            "out" => items.len() - usize::from(self.animation(own, "loop").is_some()),
            _ => 0,
        };
        let json = Value::Object(whole).to_string();
        self.edit.insert_item(
            companion,
            &[PathPart::Key("animations")],
            at,
            json.as_bytes(),
        )
    }

    /// Sets how long an animation of a clip lasts; 0 is its own length, or the whole clip.
    pub(super) fn set_animation_length(
        &mut self,
        own: ClipRef,
        clip: ClipKind,
        kind: ResourceKind,
        seconds: f64,
    ) -> Result<()> {
        let (name, _) = phase(kind);
        let length = self.edit.target(own).duration;
        let Some((companion, index)) = self.animation(own, name) else {
            let word = match kind {
                ResourceKind::Intro => "intro_animation",
                ResourceKind::Outro => "outro_animation",
                _ => "combo_animation",
            };
            return Err(Error::invalid(format!(
                "{} has no such animation",
                self.edit.describe(own)
            ))
            .hint(format!("set `{word}` as well")));
        };
        let duration = if seconds > 0.0 {
            micros_of(seconds)
        } else if kind == ResourceKind::Combo {
            length
        } else {
            let id = self.animation_value(companion, index, "resource_id");
            let id = id.unwrap_or_default();
            let found = self.resources.find(kind, clip, id.trim_matches('"'))?;
            found
                .duration
                .filter(|duration| *duration > 0)
                .unwrap_or_else(|| micros_of(default_in("intro_duration", "")))
        };
        let duration = duration.clamp(0, length);
        let companion = self.edit.own_copy(own, companion)?;
        let start = if name == "out" { length - duration } else { 0 };
        for (key, value) in [("start", start), ("duration", duration)] {
            let path = [
                PathPart::Key("animations"),
                PathPart::Index(index),
                PathPart::Key(key),
            ];
            self.edit.set_at(companion, &path, &value)?;
        }
        self.fit_loop(own)
    }

    /// The loop animation of a text fills what its entrance and its exit leave.
    pub(super) fn fit_loop(&mut self, own: ClipRef) -> Result<()> {
        let Some((companion, index)) = self.animation(own, "loop") else {
            return Ok(());
        };
        let length = self.edit.target(own).duration;
        let of = |name| {
            let found = self.animation(own, name);
            found.map_or(0, |(companion, index)| {
                self.animation_time(companion, index, "duration")
            })
        };
        let start = of("in").clamp(0, length);
        let end = (length - of("out")).max(start);
        let companion = self.edit.own_copy(own, companion)?;
        for (key, value) in [("start", start), ("duration", end - start)] {
            let path = [
                PathPart::Key("animations"),
                PathPart::Index(index),
                PathPart::Key(key),
            ];
            self.edit.set_at(companion, &path, &value)?;
        }
        Ok(())
    }

    /// The material with the animation of a type of a clip, and its index there.
    fn animation(&self, own: ClipRef, name: &str) -> Option<(MaterialRef, usize)> {
        let companion = self.edit.companion(own, &["material_animations"])?;
        let mut index = 0;
        while let Some(kind) = self.animation_value(companion, index, "type") {
            if kind.trim_matches('"') == name {
                return Some((companion, index));
            }
            index += 1;
        }
        None
    }

    fn animation_time(&self, companion: MaterialRef, index: usize, key: &str) -> i64 {
        let value = self.animation_value(companion, index, key);
        value
            .and_then(|value| crate::document::micros(value.as_bytes()))
            .unwrap_or(0)
    }

    fn drop_animations(&mut self, own: ClipRef, names: &[&str]) -> Result<usize> {
        let mut count = 0;
        for name in names {
            while let Some((companion, index)) = self.animation(own, name) {
                let companion = self.edit.own_copy(own, companion)?;
                self.edit
                    .remove_item(companion, &[PathPart::Key("animations")], index)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn set_font(&mut self, own: ClipRef, found: &Resource) -> Result<()> {
        let path = format!("C:/{}.ttf", found.name);
        let font = json!({ "id": found.resource_id, "path": path }).to_string();
        self.edit_styles(own, |content| {
            content.set_in_styles(&[PathPart::Key("font")], &RawJson(&font))
        })?;
        if self.edit.dialect() != Dialect::App {
            return Ok(());
        }
        let main = self.own_main(own)?;
        self.edit.set(main, &["font_path"], path.as_str())?;
        self.edit
            .set(main, &["font_resource_id"], found.resource_id.as_str())?;
        self.edit.set(main, &["font_title"], found.name.as_str())?;
        for key in ["font_id", "font_name", "font_url"] {
            if self.edit.raw(main, &[key]).is_some() {
                self.edit.set(main, &[key], "")?;
            }
        }
        if self
            .edit
            .raw(main, &["fonts"])
            .is_some_and(|list| list.len() > 2)
        {
            // They describe the fonts before.
            self.edit.set(main, &["fonts"], &RawJson("[]"))?;
        }
        Ok(())
    }

    fn set_sound_effect(&mut self, own: ClipRef, found: &Resource) -> Result<()> {
        self.drop_companions(own, &["audio_effects"])?;
        let (category_id, category_name) = &found.category;
        let members = members(json!({
            "audio_adjust_params": adjusted(found, &[], true), "category_id": category_id,
            "category_name": category_name, "is_ugc": false, "name": found.name, "production_path": "",
            "resource_id": found.resource_id, "speaker_id": "", "sub_type": 1,
            "time_range": { "duration": 0, "start": 0 }, "type": "audio_effect",
        }));
        self.add_whole(own, &["audio_effects"], &members)?;
        self.set_check_flags(own, SOUND_EFFECT_FLAG)
    }

    fn set_video_effect(&mut self, own: ClipRef, found: &Resource) -> Result<()> {
        let main = self.own_main(own)?;
        let kind = if found.is_on_faces {
            "face_effect"
        } else {
            "video_effect"
        };
        for (key, value) in [
            ("name", found.name.as_str()),
            ("effect_id", &found.effect_id),
            ("resource_id", &found.resource_id),
            ("type", kind),
        ] {
            self.edit.set(main, &[key], value)?;
        }
        self.forget_source(main)?;
        self.set_parameters(main, found, &[])
    }

    pub(super) fn set_parameters(
        &mut self,
        effect: MaterialRef,
        found: &Resource,
        values: &[Option<f64>],
    ) -> Result<()> {
        let key = if self.edit.list_name(effect) == "audio_effects" {
            "audio_adjust_params"
        } else {
            "adjust_params"
        };
        // The app's video effects have three keys for each.
        let is_whole = key == "audio_adjust_params" || self.edit.dialect() == Dialect::Api;
        let list = adjusted(found, values, is_whole).to_string();
        self.edit.set(effect, &[key], &RawJson(&list))
    }

    /// The effect of a clip, not shared with other clips, and what the catalog says about it.
    fn own_effect(&mut self, own: ClipRef, clip: ClipKind) -> Result<(MaterialRef, Resource)> {
        let effect = if clip == ClipKind::Effect {
            self.own_main(own)?
        } else {
            let lists = ["audio_effects", "video_effects"];
            let Some(effect) = self.edit.companion(own, &lists) else {
                return Err(
                    Error::invalid(format!("{} has no effect", self.edit.describe(own)))
                        .hint("set `effect_type` as well"),
                );
            };
            self.edit.own_copy(own, effect)?
        };
        let id = self.edit.value(effect, &material::RESOURCE_ID);
        let found = self.resources.find(ResourceKind::Effect, clip, &id)?;
        Ok((effect, found))
    }

    /// Sets the parameters of the effect that a clip has.
    pub(super) fn set_effect_parameters(
        &mut self,
        own: ClipRef,
        clip: ClipKind,
        values: &[Option<f64>],
    ) -> Result<()> {
        let (effect, found) = self.own_effect(own, clip)?;
        if values.len() > found.parameters.len() {
            return Err(Error::invalid(format!(
                "\"{}\" has {} parameters, but {} were given",
                found.name,
                found.parameters.len(),
                values.len()
            )));
        }
        self.set_parameters(effect, &found, values)
    }

    /// Sets parameters of the effect that a clip has by their names; the others stay.
    pub(super) fn set_named_parameters(
        &mut self,
        own: ClipRef,
        clip: ClipKind,
        values: &[(String, f64)],
    ) -> Result<()> {
        let (effect, found) = self.own_effect(own, clip)?;
        let mut all = self.parameters(effect, &found);
        for (name, value) in values {
            let index = found.parameter(name).ok_or_else(|| {
                let names: Vec<&str> = found
                    .parameters
                    .iter()
                    .map(ResourceParameter::short)
                    .collect();
                let error = Error::not_found(format!(
                    "the effect \"{}\" has no parameter \"{name}\"",
                    found.name
                ));
                if names.is_empty() {
                    error.hint("it has no parameters")
                } else {
                    error.hint(format!(
                        "it has {}, each from 0 to 100",
                        quoted_list(&names)
                    ))
                }
            })?;
            all[index] = Some(*value);
        }
        self.set_parameters(effect, &found, &all)
    }

    /// Sets the strength of a filter, or the parameter that is the strength of an effect.
    pub(super) fn set_strength(
        &mut self,
        own: ClipRef,
        clip: ClipKind,
        strength: f64,
    ) -> Result<()> {
        if clip == ClipKind::Filter {
            let main = self.own_main(own)?;
            return self.edit.set(main, &["value"], &scaled(strength, 0.01));
        }
        let (effect, found) = self.own_effect(own, clip)?;
        let Some(index) = found.strength() else {
            self.note(format!(
                "the effect \"{}\" has no strength: it is as it was",
                found.name
            ));
            return Ok(());
        };
        let mut all = self.parameters(effect, &found);
        all[index] = Some(strength);
        self.set_parameters(effect, &found, &all)
    }

    /// The values of the parameters of an effect, from 0 to 100.
    fn parameters(&self, effect: MaterialRef, found: &Resource) -> Vec<Option<f64>> {
        let key = if self.edit.list_name(effect) == "audio_effects" {
            "audio_adjust_params"
        } else {
            "adjust_params"
        };
        let value = |(index, parameter): (usize, &ResourceParameter)| {
            let path = [
                PathPart::Key(key),
                PathPart::Index(index),
                PathPart::Key("value"),
            ];
            let value = crate::scan::number(self.edit.raw_at(effect, &path)?)?;
            let range = parameter.max - parameter.min;
            (range != 0.0).then(|| scaled((value - parameter.min) / range, 100.0))
        };
        found.parameters.iter().enumerate().map(value).collect()
    }

    pub(super) fn set_sticker(&mut self, own: ClipRef, id: &str) -> Result<()> {
        let main = self.own_main(own)?;
        for key in ["resource_id", "sticker_id"] {
            self.edit.set(main, &[key], id)?;
        }
        if self.edit.raw(main, &["name"]).is_some() {
            self.edit.set(main, &["name"], "")?;
        }
        self.forget_source(main)
    }

    /// Sets the bubble or the text effect of a text by its ids; a part that is not given stays.
    pub(super) fn set_text_effect(
        &mut self,
        own: ClipRef,
        kind: TextEffectKind,
        effect_id: Option<&str>,
        resource_id: Option<&str>,
    ) -> Result<()> {
        let companions: Vec<MaterialRef> = self.edit.companions(own, &["effects"]).collect();
        let old = companions
            .into_iter()
            .find(|effect| self.edit.value(*effect, &material::KIND) == kind.name());
        let is_removed = [effect_id, resource_id].into_iter().flatten().any(is_none);
        for id in [effect_id, resource_id].into_iter().flatten() {
            kind.check_id(id)?;
        }
        let given = match old {
            Some(old) if is_removed => {
                let id = self.edit.id(old).into_owned();
                self.edit.drop_ref(own, &id)?;
                None
            }
            Some(old) => {
                let old = self.edit.own_copy(own, old)?;
                for (key, id) in [("effect_id", effect_id), ("resource_id", resource_id)] {
                    if let Some(id) = id {
                        self.edit.set(old, &[key], id)?;
                    }
                }
                self.forget_source(old)?;
                effect_id
            }
            None if is_removed => return Ok(()),
            None => {
                let (Some(effect_id), Some(resource_id)) = (effect_id, resource_id) else {
                    return Err(Error::invalid(format!(
                        "{} has no speech bubble",
                        self.edit.describe(own)
                    ))
                    .hint("give both `bubble_effect_id` and `bubble_resource_id`"));
                };
                let mut members = members(json!({
                    "apply_target_type": 0, "effect_id": effect_id, "resource_id": resource_id,
                    "type": kind.name(), "value": 1.0,
                }));
                let found = Resource {
                    resource_id: resource_id.to_owned(),
                    ..Resource::default()
                };
                self.also_third_id(&mut members, "effects", &found);
                self.add_whole(own, &["effects"], &members)?;
                Some(effect_id)
            }
        };
        if matches!(kind, TextEffectKind::Bubble) {
            return Ok(());
        }
        let style = given.map_or("null".to_owned(), |id| {
            json!({ "id": id, "path": "C:" }).to_string()
        });
        self.edit_styles(own, |content| {
            content.set_in_styles(&[PathPart::Key("effectStyle")], &RawJson(&style))
        })
    }
}

pub(super) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The parameters of an effect with values from 0 to 100; the effect's own where none is given.
fn adjusted(found: &Resource, values: &[Option<f64>], is_whole: bool) -> Value {
    let parameter = |(index, parameter): (usize, &ResourceParameter)| {
        let value = match values.get(index).copied().flatten() {
            Some(value) => parameter.min + (parameter.max - parameter.min) * value / 100.0,
            None => parameter.default,
        };
        if is_whole {
            json!({
                "default_value": parameter.default, "max_value": parameter.max,
                "min_value": parameter.min, "name": parameter.name, "parameterIndex": index,
                "portIndex": 0, "value": value,
            })
        } else {
            json!({
                "name": parameter.name, "value": value, "default_value": parameter.default,
            })
        }
    };
    found.parameters.iter().enumerate().map(parameter).collect()
}
