//! How the picture of a clip looks: filter, adjustments, blend mode, chroma key, crop, size, background and effect.

use serde_json::{Map, Value, json};

use crate::document::{ClipRef, Dialect, Document, MaterialRef, RootRef};
use crate::error::{Error, Result};
use crate::field::{material, root};
use crate::ops::look::scaled;
use crate::ops::named::members;
use crate::ops::session::Session;
use crate::property::{Crop, PROPERTIES, Property, Storage};
use crate::resource::Resource;

/// The type of a filter among the `effects` of a document.
pub(crate) const FILTER: &str = "filter";
/// The type of a blend mode among the `effects` of a document.
pub(crate) const BLEND_MODE: &str = "mix_mode";

/// The types of adjustments among the `effects` of a document.
pub(crate) fn adjustments() -> impl Iterator<Item = &'static str> {
    PROPERTIES
        .iter()
        .filter_map(|property| match property.storage {
            Storage::Adjustment(kind, _) => Some(kind),
            _ => None,
        })
}

/// Whether a material of this type among the `effects` of a document is an adjustment of a picture.
#[must_use]
pub fn is_adjustment(kind: &str) -> bool {
    adjustments().any(|own| own == kind)
}

impl Document {
    /// The material in `effects` of this type that a clip refers to.
    pub(crate) fn effect_of(&self, own: ClipRef, kind: &str) -> Option<MaterialRef> {
        let mut effects = self.companions(own, &["effects"]);
        effects.find(|effect| self.value(*effect, &material::KIND) == kind)
    }

    /// The visible part of a clip's picture: left, top, width and height in fractions.
    pub(crate) fn crop(&self, own: ClipRef) -> [f64; 4] {
        let main = self.main_material(own);
        let corner = |key, whole: f64| {
            let number = main.and_then(|main| self.number(main, &["crop", key]));
            number.unwrap_or(whole)
        };
        let (left, top) = (corner("upper_left_x", 0.0), corner("upper_left_y", 0.0));
        let (right, bottom) = (corner("lower_right_x", 1.0), corner("lower_right_y", 1.0));
        [left, top, right - left, bottom - top]
    }
}

impl Session<'_> {
    fn effect_of(&self, own: ClipRef, kind: &str) -> Option<MaterialRef> {
        self.edit.effect_of(own, kind)
    }

    /// Takes the materials in `effects` of these types from a clip.
    pub(super) fn drop_effects(&mut self, own: ClipRef, kinds: &[&str]) -> Result<usize> {
        let mut count = 0;
        for kind in kinds {
            while let Some(effect) = self.effect_of(own, kind) {
                let id = self.edit.id(effect).into_owned();
                self.edit.drop_ref(own, &id)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Sets how strong an adjustment of the picture is; 0 removes it.
    pub(super) fn set_adjustment(
        &mut self,
        own: ClipRef,
        (kind, version): (&str, &str),
        value: f64,
    ) -> Result<()> {
        if value == 0.0 {
            return self.drop_effects(own, &[kind]).map(drop);
        }
        if let Some(effect) = self.effect_of(own, kind) {
            let effect = self.edit.own_copy(own, effect)?;
            self.edit.set(effect, &["value"], &value)?;
        } else {
            self.add_adjustment(own, (kind, version), value)?;
        }
        self.enable_adjustments(own)
    }

    /// Keyframes of an adjustment need its material.
    // JianYing does not show them otherwise (public code that was checked in the app).
    pub(super) fn require_adjustment(&mut self, own: ClipRef, property: &str) -> Result<()> {
        let storage = Property::named(property).map(|property| property.storage);
        if let Some(Storage::Adjustment(kind, version)) = storage
            && self.effect_of(own, kind).is_none()
        {
            self.add_adjustment(own, (kind, version), 0.0)?;
            self.enable_adjustments(own)?;
        }
        Ok(())
    }

    fn add_adjustment(
        &mut self,
        own: ClipRef,
        (kind, version): (&str, &str),
        value: f64,
    ) -> Result<()> {
        let members = members(json!({
            "apply_target_type": 0, "platform": "all", "source_platform": 0, "sub_type": "none",
            "type": kind, "value": value, "version": version,
        }));
        self.add_whole(own, &["effects"], &members).map(drop)
    }

    fn enable_adjustments(&mut self, own: ClipRef) -> Result<()> {
        let is_off = self
            .edit
            .raw(own, &["enable_adjust"])
            .is_some_and(|on| on == b"false");
        if is_off {
            self.edit.set(own, &["enable_adjust"], &true)?;
        }
        Ok(())
    }

    /// What the libraries write for something of the catalog in `effects`.
    fn catalog_effect(&self, kind: &str, found: &Resource, value: f64) -> Map<String, Value> {
        let mut members = members(json!({
            "apply_target_type": 0, "category_id": "", "category_name": "", "effect_id": found.effect_id,
            "name": found.name, "platform": "all", "resource_id": found.resource_id,
            "source_platform": i32::from(kind == FILTER), "sub_type": "none", "time_range": null,
            "type": kind, "value": value,
        }));
        self.also_third_id(&mut members, "effects", found);
        members
    }

    /// Gives a clip a filter or a blend mode, in place of the one that it has.
    pub(super) fn set_catalog_effect(
        &mut self,
        own: ClipRef,
        kind: &str,
        found: &Resource,
    ) -> Result<()> {
        let old = self.effect_of(own, kind);
        let value = old.and_then(|old| self.edit.number(old, &["value"]));
        self.drop_effects(own, &[kind])?;
        let members = self.catalog_effect(kind, found, value.unwrap_or(1.0));
        self.add_whole(own, &["effects"], &members)?;
        Ok(())
    }

    /// Sets which filter a filter clip shows.
    pub(super) fn set_filter_clip(&mut self, own: ClipRef, found: &Resource) -> Result<()> {
        let main = self.own_main(own)?;
        for (key, value) in [
            ("name", found.name.as_str()),
            ("effect_id", &found.effect_id),
            ("resource_id", &found.resource_id),
        ] {
            self.edit.set(main, &[key], value)?;
        }
        self.forget_source(main)
    }

    /// Gives a clip an effect of its own, in place of the one that it has.
    pub(super) fn set_clip_effect(&mut self, own: ClipRef, found: &Resource) -> Result<()> {
        self.drop_companions(own, &["video_effects"])?;
        let kind = if found.is_on_faces {
            "face_effect"
        } else {
            "video_effect"
        };
        let members = members(json!({
            "adjust_params": [], "apply_target_type": 0, "apply_time_range": null, "category_id": "",
            "category_name": "", "common_keyframes": [], "disable_effect_faces": [],
            "effect_id": found.effect_id, "formula_id": "", "name": found.name, "platform": "all",
            "render_index": 11000, "resource_id": found.resource_id, "source_platform": 0,
            "time_range": null, "track_render_index": 0, "type": kind, "value": 1.0, "version": "",
        }));
        let id = self.add_whole(own, &["video_effects"], &members)?;
        let effect = self.edit.material(&id);
        let effect = effect.ok_or_else(|| Error::invalid("the effect cannot be added"))?;
        self.set_parameters(effect, found, &[])
    }

    /// Sets a value of the filter of a clip.
    pub(super) fn set_filter_strength(&mut self, own: ClipRef, strength: f64) -> Result<()> {
        let Some(filter) = self.effect_of(own, FILTER) else {
            return Err(
                Error::invalid(format!("{} has no filter", self.edit.describe(own)))
                    .hint("set `filter` as well"),
            );
        };
        let filter = self.edit.own_copy(own, filter)?;
        self.edit.set(filter, &["value"], &scaled(strength, 0.01))
    }

    /// Makes a colour of a clip transparent.
    pub(super) fn set_chroma_key(
        &mut self,
        own: ClipRef,
        [red, green, blue]: [u8; 3],
    ) -> Result<()> {
        let color = format!("#{red:02x}{green:02x}{blue:02x}ff");
        if let Some(chroma) = self.edit.companion(own, &["chromas"]) {
            let chroma = self.edit.own_copy(own, chroma)?;
            return self.edit.set(chroma, &["color"], color.as_str());
        }
        let members = members(json!({
            "color": color, "edge_smooth_value": 0.0, "intensity_value": 0.2, "shadow_value": 0.0,
            "should_transfer_color": true, "spill_value": 0.0, "type": "chroma", "version": "v2",
        }));
        self.add_whole(own, &["chromas"], &members)?;
        Ok(())
    }

    /// Sets a value of the chroma key of a clip.
    pub(super) fn set_chroma_value(
        &mut self,
        own: ClipRef,
        key: &str,
        strength: f64,
    ) -> Result<()> {
        let Some(chroma) = self.edit.companion(own, &["chromas"]) else {
            return Err(
                Error::invalid(format!("{} has no chroma key", self.edit.describe(own)))
                    .hint("set `chroma_key`, a colour such as \"#00FF00\", as well"),
            );
        };
        let chroma = self.edit.own_copy(own, chroma)?;
        self.edit.set(chroma, &[key], &scaled(strength, 0.01))
    }

    /// Fills what the picture of a clip leaves free with a colour.
    pub(super) fn set_background_color(
        &mut self,
        own: ClipRef,
        [red, green, blue]: [u8; 3],
    ) -> Result<()> {
        let color = format!("#{red:02x}{green:02x}{blue:02x}ff");
        let canvas = match self.edit.companion(own, &["canvases"]) {
            Some(canvas) => self.edit.own_copy(own, canvas)?,
            None => {
                let members = members(json!({
                    "type": "canvas_color", "blur": 0.0, "color": "", "source_platform": 0,
                }));
                let id = self.add_whole(own, &["canvases"], &members)?;
                let added = self.edit.material(&id);
                added.ok_or_else(|| Error::invalid("the background cannot be added"))?
            }
        };
        self.edit.set(canvas, &["type"], "canvas_color")?;
        self.edit.set(canvas, &["blur"], &0.0)?;
        self.edit.set(canvas, &["color"], color.as_str())
    }

    /// Width and height of the file of a clip in pixels.
    fn media_size(&self, own: ClipRef, purpose: &str) -> Result<(f64, f64)> {
        let main = self.edit.main_material(own);
        let side = |key| main.and_then(|main| self.edit.number(main, &[key]));
        match (side("width"), side("height")) {
            (Some(width), Some(height)) if width > 0.0 && height > 0.0 => Ok((width, height)),
            _ => Err(Error::invalid(format!(
                "{purpose} needs the size of the file of {}, which is not known",
                self.edit.describe(own)
            ))
            .hint("the file could not be read when it was added; give fractions or `scale`")),
        }
    }

    /// Shows a part of the picture. The app enlarges it as it enlarges a whole picture.
    pub(super) fn set_crop(&mut self, own: ClipRef, crop: Crop) -> Result<()> {
        let [left, top, width, height] = match crop {
            Crop::Part(part) => part,
            Crop::Ratio(ratio) => {
                let (width, height) = self.media_size(own, "a ratio of `crop`")?;
                let own_ratio = width / height;
                if own_ratio > ratio {
                    let part = ratio / own_ratio;
                    [(1.0 - part) / 2.0, 0.0, part, 1.0]
                } else {
                    let part = own_ratio / ratio;
                    [0.0, (1.0 - part) / 2.0, 1.0, part]
                }
            }
        };
        let tidy = |number: f64| (number * 1e9).round() / 1e9;
        let (left, top) = (tidy(left), tidy(top));
        let (right, bottom) = (tidy(left + width).min(1.0), tidy(top + height).min(1.0));
        let main = self.private_main(own)?;
        let corners = json!({
            "upper_left_x": left, "upper_left_y": top, "upper_right_x": right, "upper_right_y": top,
            "lower_left_x": left, "lower_left_y": bottom, "lower_right_x": right, "lower_right_y": bottom,
        });
        for (key, value) in corners.as_object().into_iter().flatten() {
            let value = value.as_f64().unwrap_or_default();
            self.edit.set(main, &["crop", key], &value)?;
        }
        self.edit.set(main, &["crop_ratio"], "free")?;
        self.edit.set(main, &["crop_scale"], &1.0)
    }

    /// The file's material for this clip alone. In the dialect of the API, a file has one material, which clips that are
    /// added later share.
    fn private_main(&mut self, own: ClipRef) -> Result<MaterialRef> {
        let main = self.own_main(own)?;
        let is_private = self
            .edit
            .text(main, &["material_id"])
            .is_none_or(|shared| shared != self.edit.id(main));
        if self.edit.dialect() == Dialect::App || is_private {
            return Ok(main);
        }
        let id = self.edit.id(main).into_owned();
        let copy = self.edit.copy_material(main, "own")?;
        let new = self.edit.id(copy).into_owned();
        self.edit.change_ref(own, &id, &new)?;
        Ok(copy)
    }

    /// Sets size and place of a clip so that its picture covers a box, is contained in it, or fills it. Scale 1 is the
    /// picture contained in the canvas.
    pub(super) fn set_fit(
        &mut self,
        own: ClipRef,
        fit: &str,
        frame: Option<[f64; 4]>,
    ) -> Result<()> {
        let canvas = (
            self.edit.value(RootRef, &root::CANVAS_WIDTH) as f64,
            self.edit.value(RootRef, &root::CANVAS_HEIGHT) as f64,
        );
        if canvas.0 <= 0.0 || canvas.1 <= 0.0 {
            return Err(Error::invalid(
                "`fit` needs the size of the canvas, which the draft does not say",
            ));
        }
        let size = self.media_size(own, "`fit`")?;
        let [_, _, part_x, part_y] = self.edit.crop(own);
        let size = (size.0 * part_x, size.1 * part_y);
        let contained = (canvas.0 / size.0).min(canvas.1 / size.1);
        let shown = (size.0 * contained, size.1 * contained);
        let [x, y, width, height] = frame.unwrap_or([0.0, 0.0, canvas.0, canvas.1]);
        let (to_width, to_height) = (width / shown.0, height / shown.1);
        let (scale_x, scale_y) = match fit {
            "cover" => (to_width.max(to_height), to_width.max(to_height)),
            "contain" => (to_width.min(to_height), to_width.min(to_height)),
            _ => (to_width, to_height),
        };
        let tidy = |number: f64| (number * 1e6).round() / 1e6;
        let (scale_x, scale_y) = (tidy(scale_x), tidy(scale_y));
        self.edit.set(own, &["clip", "scale", "x"], &scale_x)?;
        self.edit.set(own, &["clip", "scale", "y"], &scale_y)?;
        self.edit
            .set(own, &["uniform_scale", "on"], &(scale_x == scale_y))?;
        if frame.is_some() {
            let place_x = tidy((x + width / 2.0) / (canvas.0 / 2.0) - 1.0);
            let place_y = tidy(1.0 - (y + height / 2.0) / (canvas.1 / 2.0));
            self.edit.set(own, &["clip", "transform", "x"], &place_x)?;
            self.edit.set(own, &["clip", "transform", "y"], &place_y)?;
        }
        Ok(())
    }
}
