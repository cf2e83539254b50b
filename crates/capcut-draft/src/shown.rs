//! The look of a clip: the properties that differ from their defaults, in the form in which `set` takes them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::document::{ClipRef, Document};
use crate::kinds::ClipKind;
use crate::ops::picture::{BLEND_MODE, FILTER};
use crate::property::{PROPERTIES, PropertyDefault, Storage};

/// A number without the error of a factor.
fn tidy(number: f64) -> Value {
    let number = (number * 1e6).round() / 1e6;
    if number.fract() == 0.0 && number.abs() < 1e15 {
        json!(number as i64)
    } else {
        json!(number)
    }
}

impl Document {
    /// The properties of a clip that differ from their defaults, apart from volume, speed and visibility.
    pub(crate) fn look(&self, clip: ClipRef, kind: ClipKind) -> BTreeMap<&'static str, Value> {
        let mut look = BTreeMap::new();
        for property in PROPERTIES.iter().filter(|own| own.kinds.contains(&kind)) {
            let value = match (property.storage, property.default) {
                (Storage::Clip(path), PropertyDefault::Number(default)) => self
                    .number(clip, path)
                    .filter(|number| *number != default)
                    .map(tidy),
                (Storage::Clip(path), PropertyDefault::Switch(default)) if path != ["visible"] => {
                    self.raw(clip, path)
                        .filter(|raw| matches!(*raw, b"true" | b"false"))
                        .map(|raw| raw == b"true")
                        .filter(|on| *on != default)
                        .map(Value::from)
                }
                (Storage::Adjustment(kind, _), _) => self
                    .effect_of(clip, kind)
                    .and_then(|effect| self.number(effect, &["value"]))
                    .filter(|value| *value != 0.0)
                    .map(tidy),
                (Storage::Special | Storage::Resource(_), _) => {
                    self.special(clip, kind, property.name)
                }
                _ => None,
            };
            if let Some(value) = value {
                look.insert(property.name, value);
            }
        }
        look
    }

    fn special(&self, clip: ClipRef, kind: ClipKind, name: &str) -> Option<Value> {
        let named = |kind: &str| {
            let effect = self.effect_of(clip, kind)?;
            self.material_name(effect).map(Value::from)
        };
        let chroma = |key: &str| {
            let chroma = self.companion(clip, &["chromas"])?;
            self.number(chroma, &[key]).map(|value| tidy(value * 100.0))
        };
        match name {
            "opacity" if kind != ClipKind::Text => {
                let alpha = self.number(clip, &["clip", "alpha"])?;
                (alpha != 1.0).then(|| tidy(alpha))
            }
            "scale" | "scale_x" | "scale_y" => {
                let x = self.number(clip, &["clip", "scale", "x"])?;
                let y = self.number(clip, &["clip", "scale", "y"])?;
                let is_uniform = name == "scale";
                let scale = if name == "scale_y" { y } else { x };
                (is_uniform == (x == y) && scale != 1.0).then(|| tidy(scale))
            }
            "filter" if kind != ClipKind::Filter => named(FILTER),
            "blend_mode" => named(BLEND_MODE),
            "filter_intensity" => {
                let filter = self.effect_of(clip, FILTER)?;
                let value = self.number(filter, &["value"])?;
                (value != 1.0).then(|| tidy(value * 100.0))
            }
            "strength" if kind == ClipKind::Filter => {
                let main = self.main_material(clip)?;
                let value = self.number(main, &["value"])?;
                (value != 1.0).then(|| tidy(value * 100.0))
            }
            "crop" => {
                let part = self.crop(clip);
                let [x, y, width, height] = part;
                (part != [0.0, 0.0, 1.0, 1.0]).then(|| {
                    json!({ "x": tidy(x), "y": tidy(y), "width": tidy(width), "height": tidy(height) })
                })
            }
            "keep_pitch" => {
                let changes = self.raw(clip, &["is_tone_modify"])? == b"true";
                changes.then_some(false.into())
            }
            "speed_curve" => {
                let speed = self.companion(clip, &["speeds"])?;
                let name = self.text(speed, &["curve_speed", "name"])?;
                Some(name.into_owned().into())
            }
            "chroma_key" => {
                let chroma = self.companion(clip, &["chromas"])?;
                let color = self.text(chroma, &["color"])?;
                Some(color.get(..7).unwrap_or(&color).to_uppercase().into())
            }
            "chroma_strength" => chroma("intensity_value"),
            "chroma_shadow" => chroma("shadow_value").filter(|value| *value != 0),
            "chroma_edge" => chroma("edge_smooth_value").filter(|value| *value != 0),
            "chroma_spill" => chroma("spill_value").filter(|value| *value != 0),
            "background_blur" => {
                let canvas = self.companion(clip, &["canvases"])?;
                let blur = self.number(canvas, &["blur"])?;
                (blur > 0.0).then(|| tidy(blur))
            }
            "background_color" if kind != ClipKind::Text => {
                let canvas = self.companion(clip, &["canvases"])?;
                let color = self.text(canvas, &["color"])?;
                let is_color = color.len() >= 7 && !color.ends_with("00000000");
                is_color.then(|| color[..7].to_uppercase().into())
            }
            "fade_in" | "fade_out" => {
                let fade = self.companion(clip, &["audio_fades"])?;
                let length = self.number(fade, &[&format!("{name}_duration")])?;
                (length > 0.0).then(|| tidy(length / 1e6))
            }
            _ => None,
        }
    }
}
