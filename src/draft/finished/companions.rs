//! The materials that a segment has beside its own: speed, canvas, animations and their like.
//!
//! The app finds them by category, whatever their order; they are written as it writes them, and
//! those that it would add at opening are there from the start.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::shapes::{Filled, fill, shape};
use super::{Index, Lists, list, made_id};
use crate::units::Micros;

/// What kinds of segment have, in the order of the app; `true`: always.
const VIDEO: &[(&str, bool)] = &[
    ("speeds", true),
    ("placeholder_infos", true),
    ("transitions", false),
    ("canvases", true),
    ("material_animations", false),
    ("sound_channel_mappings", true),
    ("material_colors", true),
    ("loudnesses", false),
    ("vocal_separations", true),
];
const AUDIO: &[(&str, bool)] = &[
    ("speeds", true),
    ("placeholder_infos", true),
    ("audio_fades", false),
    ("beats", true),
    ("sound_channel_mappings", true),
    ("loudnesses", false),
    ("vocal_separations", true),
];
const TEXT: &[(&str, bool)] = &[("material_animations", true)];
const NONE: &[(&str, bool)] = &[];

/// The kind of object in a list of `materials`.
fn kind_of(list: &str) -> &'static str {
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
        "masks" | "common_mask" => "mask",
        "video_effects" => "video_effect",
        "effects" => "effect",
        _ => "other",
    }
}

/// What the companions of one segment depend on.
pub(super) struct Companions<'a> {
    pub index: &'a Index<'a>,
    pub masks: &'a [&'a str],
    pub length: Micros,
    pub speed: f64,
}

impl Companions<'_> {
    /// Puts the companions of segment `id` into `lists` and gives back their ids. References that
    /// lead nowhere are dropped.
    pub(crate) fn complete(
        &self,
        kind: &str,
        id: &str,
        refs: &Value,
        lists: &mut Lists,
    ) -> Vec<Value> {
        let order = match kind {
            "video" => VIDEO,
            "audio" => AUDIO,
            "text" | "sticker" => TEXT,
            _ => NONE,
        };
        let mut given: HashMap<&str, Vec<&Value>> = HashMap::new();
        let mut others: Vec<(&str, &Value)> = Vec::new();
        for reference in list(refs) {
            let Some((list, material)) = reference.as_str().and_then(|id| self.index.main(id))
            else {
                continue;
            };
            if order.iter().any(|(name, _)| *name == list) {
                given.entry(list).or_default().push(material);
            // A speed on something that has no clock is a leftover of the libraries.
            } else if list != "speeds" {
                others.push((list, material));
            }
        }
        let mut ids = Vec::new();
        for (name, always) in order {
            let materials = given.remove(name).unwrap_or_default();
            if materials.is_empty() && *always {
                let mut own = Map::new();
                own.insert("id".to_owned(), json!(made_id(&[id, name])));
                self.put(name, own, lists, &mut ids);
            }
            for material in materials {
                let own = material.as_object().cloned().unwrap_or_default();
                self.put(name, own, lists, &mut ids);
            }
        }
        for (name, material) in others {
            let own = material.as_object().cloned().unwrap_or_default();
            self.put(name, own, lists, &mut ids);
        }
        ids
    }

    fn put(
        &self,
        name: &str,
        mut own: Map<String, Value>,
        lists: &mut Lists,
        ids: &mut Vec<Value>,
    ) {
        let id = own.get("id").cloned().unwrap_or_default();
        ids.push(id.clone());
        match name {
            "speeds" => {
                own.insert("speed".to_owned(), json!(self.speed));
            }
            "material_animations" => {
                let animations = own.get("animations").cloned().unwrap_or_default();
                let animations: Vec<_> = list(&animations)
                    .iter()
                    .map(|animation| self.animation(animation))
                    .collect();
                own.insert("animations".to_owned(), Value::Array(animations));
            }
            "transitions" => {
                let resource = own.get("resource_id").cloned().unwrap_or_default();
                own.insert("third_resource_id".to_owned(), resource);
            }
            "masks" | "common_mask" => {
                let config = own.get("config").cloned().unwrap_or_default();
                let mut whole = shape("mask")["config"].clone();
                for (key, value) in config.as_object().into_iter().flatten() {
                    whole[key] = value.clone();
                }
                own.insert("config".to_owned(), whole);
            }
            _ => {}
        }
        // Two segments may share one, as they may share a file.
        if !self.index.first_use(id.as_str().unwrap_or_default()) {
            return;
        }
        let filled = Filled::new(kind_of(name), own);
        if matches!(name, "masks" | "common_mask") {
            for list in self.masks {
                lists
                    .entry((*list).to_owned())
                    .or_default()
                    .push(filled.clone());
            }
        } else {
            lists.entry(name.to_owned()).or_default().push(filled);
        }
    }

    /// An animation inside the segment, whose length may have changed by part of a frame.
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
        own.entry("third_resource_id").or_insert(resource);
        fill("animation", own)
    }
}
