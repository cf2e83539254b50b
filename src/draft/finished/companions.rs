//! The additional materials of a segment: speed, canvas, animations and others.
//!
//! The app finds them by category, in any order. They are written in the app's order, and those that it would
//! add on opening are included from the start.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::shapes::{Filled, Shapes};
use super::{Gathered, MaterialIndex, list, made_id};
use crate::units::Micros;

/// Whether a segment gets a companion that it was not given.
#[derive(Clone, Copy)]
enum Need {
    Always,
    /// In drafts of this scheme and newer ones.
    Since(u32),
    Given,
}
use Need::{Always, Given, Since};

/// The companions of each kind of segment, in the app's order.
const VIDEO: &[(&str, Need)] = &[
    ("speeds", Always),
    ("placeholder_infos", Since(131)),
    ("transitions", Given),
    ("canvases", Always),
    ("material_animations", Given),
    ("sound_channel_mappings", Always),
    ("material_colors", Since(142)),
    ("loudnesses", Given),
    ("vocal_separations", Always),
];
const AUDIO: &[(&str, Need)] = &[
    ("speeds", Always),
    ("placeholder_infos", Since(131)),
    ("audio_fades", Given),
    ("beats", Always),
    ("sound_channel_mappings", Always),
    ("loudnesses", Given),
    ("vocal_separations", Always),
];
const TEXT: &[(&str, Need)] = &[("material_animations", Always)];
const NONE: &[(&str, Need)] = &[];

/// The kind of object in a list of `materials`.
pub(super) fn kind_of(list: &str) -> &'static str {
    match list {
        "speeds" => "speed",
        "placeholder_infos" => "placeholder_info",
        "transitions" => "transition",
        "canvases" => "canvas",
        "material_animations" => "material_animation",
        "sound_channel_mappings" => "sound_channel_mapping",
        "material_colors" => "material_color",
        "vocal_separations" => "vocal_separation",
        "beats" => "beats",
        "audio_fades" => "audio_fade",
        "audio_effects" => "audio_effect",
        "masks" => "mask",
        "common_mask" => "common_mask",
        "video_effects" => "video_effect",
        "effects" => "effect",
        "audios" => "audio",
        _ => "other",
    }
}

/// What the companions of one segment depend on.
pub(super) struct Companions<'i, 'a> {
    pub index: &'i MaterialIndex<'a>,
    pub shapes: &'static Shapes,
    pub scheme: u32,
    pub masks: &'i [&'i str],
    pub length: Micros,
    pub speed: f64,
    /// Where the app has what it adjusts pictures with.
    pub adjustments_at: Option<&'static str>,
}

impl<'a> Companions<'_, 'a> {
    /// Gathers the companions of segment `id` and returns their ids. Drops references to materials that do not
    /// exist.
    pub(crate) fn complete(
        &self,
        kind: &str,
        id: &str,
        refs: &Value,
        gathered: &mut Gathered<'a>,
    ) -> Vec<Value> {
        let order = match kind {
            "video" => VIDEO,
            "audio" => AUDIO,
            "text" | "sticker" => TEXT,
            _ => NONE,
        };
        let mut given: HashMap<&str, Vec<&'a Value>> = HashMap::new();
        let mut others: Vec<(&str, &'a Value)> = Vec::new();
        for reference in list(refs) {
            let Some((list, material)) = reference.as_str().and_then(|id| self.index.main(id))
            else {
                continue;
            };
            if order.iter().any(|(name, _)| *name == list) {
                given.entry(list).or_default().push(material);
            // The libraries also write a speed for content without a clock; drop it.
            } else if list != "speeds" {
                others.push((list, material));
            }
        }
        let mut ids = Vec::new();
        for (name, need) in order {
            let materials = given.remove(name).unwrap_or_default();
            let is_needed = match need {
                Always => true,
                Since(scheme) => *scheme <= self.scheme,
                Given => false,
            };
            if materials.is_empty() && is_needed {
                let mut own = Filled::new(self.shapes, kind_of(name));
                own.set("id", made_id(&[id, name]));
                self.put(name, own, gathered, &mut ids);
            }
            for material in materials {
                self.put(name, self.of(name, material), gathered, &mut ids);
            }
        }
        for (name, material) in others {
            if matches!(name, "masks" | "common_mask") {
                self.mask(material, gathered, &mut ids);
            } else {
                self.put(name, self.of(name, material), gathered, &mut ids);
            }
        }
        ids
    }

    fn of(&self, list: &str, material: &'a Value) -> Filled<'a> {
        Filled::of(self.shapes, kind_of(list), material.as_object())
    }

    fn put(
        &self,
        name: &str,
        mut own: Filled<'a>,
        gathered: &mut Gathered<'a>,
        ids: &mut Vec<Value>,
    ) {
        let id = own.get("id").clone();
        // Two segments may share a material, as they may share a file.
        let is_first = gathered.is_first(id.as_str().unwrap_or_default());
        ids.push(id);
        if !is_first {
            return;
        }
        match name {
            "speeds" => own.set("speed", self.speed),
            "material_animations" => {
                let animations = list(own.get("animations")).iter();
                let animations: Vec<_> = animations
                    .map(|animation| self.animation(animation))
                    .collect();
                own.set("animations", animations);
            }
            "transitions" => {
                let resource = own.get("resource_id").clone();
                own.set("third_resource_id", resource);
            }
            "video_effects" => adjust_params(&mut own),
            "effects" if self.adjustments_at.is_some() => {
                let is_adjustment = own
                    .get("type")
                    .as_str()
                    .is_some_and(capcut_draft::is_adjustment);
                if is_adjustment && own.get("path") == "" {
                    own.set("path", self.adjustments_at.unwrap_or_default());
                }
            }
            _ => {}
        }
        gathered.put(name, own);
    }

    /// Adds a mask to each list in which the apps look for it.
    fn mask(&self, material: &'a Value, gathered: &mut Gathered<'a>, ids: &mut Vec<Value>) {
        let id = &material["id"];
        ids.push(id.clone());
        if !gathered.is_first(id.as_str().unwrap_or_default()) {
            return;
        }
        for list in self.masks {
            let mut own = self.of(list, material);
            let mut whole = self.shapes.neutral(kind_of(list))["config"].clone();
            for (key, value) in material["config"].as_object().into_iter().flatten() {
                whole[key] = value.clone();
            }
            own.set("config", whole);
            gathered.put(list, own);
        }
    }

    /// Fits an animation into its segment, whose length may have changed by rounding.
    fn animation(&self, given: &Value) -> Value {
        let mut own = given.as_object().cloned().unwrap_or_default();
        let micros = |key: &str| given[key].as_i64().unwrap_or_default();
        let length = self.length.0;
        let (start, duration) = if given["type"] == "out" {
            let duration = micros("duration").min(length);
            (length - duration, duration)
        } else {
            let start = micros("start").clamp(0, length);
            (start, micros("duration").min(length - start))
        };
        own.insert("start".to_owned(), json!(start));
        own.insert("duration".to_owned(), json!(duration));
        let resource = own.get("resource_id").cloned().unwrap_or_default();
        if self
            .shapes
            .neutral("animation")
            .contains_key("third_resource_id")
        {
            own.entry("third_resource_id").or_insert(resource);
        }
        self.shapes.fill("animation", own)
    }
}

/// In the app's drafts, the settings of an effect have three keys; the libraries also write the bounds of each.
pub(super) fn adjust_params(effect: &mut Filled<'_>) {
    let params: Vec<_> = list(effect.get("adjust_params"))
        .iter()
        .map(|param| json!({"name": param["name"], "value": param["value"], "default_value": param["default_value"]}))
        .collect();
    effect.set("adjust_params", params);
}
