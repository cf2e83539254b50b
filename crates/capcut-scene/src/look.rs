//! Colours of a layer: adjustments, and a colour that becomes transparent.

use crate::cover::noise;
use crate::scene::Color;

/// An adjustment of the colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjustment {
    Brightness,
    Contrast,
    Saturation,
    Temperature,
    Tint,
    Exposure,
    Highlights,
    Shadows,
    Whites,
    Blacks,
    Faded,
    Vignette,
    Grain,
}

impl Adjustment {
    pub(crate) const ALL: [Self; 13] = [
        Self::Brightness,
        Self::Contrast,
        Self::Saturation,
        Self::Temperature,
        Self::Tint,
        Self::Exposure,
        Self::Highlights,
        Self::Shadows,
        Self::Whites,
        Self::Blacks,
        Self::Faded,
        Self::Vignette,
        Self::Grain,
    ];

    /// Its type among the `effects` of documents, and the property of its keyframes.
    pub(crate) fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Brightness => ("brightness", "KFTypeBrightness"),
            Self::Contrast => ("contrast", "KFTypeContrast"),
            Self::Saturation => ("saturation", "KFTypeSaturation"),
            Self::Temperature => ("temperature", "KFTypeTemperature"),
            Self::Tint => ("tone", "KFTypeTone"),
            Self::Exposure => ("light_sensation", "KFTypeLightSensatione"),
            Self::Highlights => ("highlight", "KFTypeHightLight"),
            Self::Shadows => ("shadow", "KFTypeShadow"),
            Self::Whites => ("white", "KFTypeWhite"),
            Self::Blacks => ("black", "KFTypeBlack"),
            Self::Faded => ("fade", "KFTypeFade"),
            Self::Vignette => ("vignetting", "KFTypeVignetting"),
            Self::Grain => ("particle", "KFTypeParticle"),
        }
    }
}

/// A colour that becomes transparent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChromaKey {
    pub color: Color,
    /// From 0 to 1, as the others: how similar colours may be.
    pub strength: f64,
    pub shadow: f64,
    pub edge: f64,
    pub spill: f64,
}

/// How the colours of a layer are changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// From -1 to 1, in the order of [`Adjustment`].
    pub(crate) adjustments: [f64; Adjustment::ALL.len()],
    pub chroma: Option<ChromaKey>,
}

impl Look {
    #[must_use]
    pub fn get(&self, adjustment: Adjustment) -> f64 {
        self.adjustments[adjustment as usize]
    }

    pub(crate) fn set(&mut self, adjustment: Adjustment, value: f64) {
        self.adjustments[adjustment as usize] = if value.is_finite() {
            value.clamp(-1.0, 1.0)
        } else {
            0.0
        };
    }

    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.chroma.is_none() && self.adjustments.iter().all(|value| *value == 0.0)
    }

    pub(crate) fn compile(&self) -> CompiledLook {
        CompiledLook {
            curves: [0, 1, 2].map(|channel| self.curve(channel)),
            saturation: (1.0 + self.get(Adjustment::Saturation)) as f32,
            vignette: self.get(Adjustment::Vignette),
            grain: self.get(Adjustment::Grain) * 48.0,
            chroma: self.chroma,
        }
    }

    /// The values of a channel: red, green or blue.
    // The apps do not publish their formulas; these have the same direction, and about the same strength at the ends.
    fn curve(&self, channel: usize) -> [u8; 256] {
        use Adjustment as A;
        let gain = match channel {
            0 => 1.0 + 0.25 * self.get(A::Temperature) + 0.1 * self.get(A::Tint),
            1 => 1.0 - 0.2 * self.get(A::Tint),
            _ => 1.0 - 0.25 * self.get(A::Temperature) + 0.1 * self.get(A::Tint),
        };
        let gain = gain * self.get(A::Exposure).exp2();
        let faded = self.get(A::Faded).max(0.0);
        let mut curve = [0; 256];
        for (value, out) in curve.iter_mut().enumerate() {
            let mut v = value as f64 / 255.0 * gain;
            let dark = (1.0 - v).clamp(0.0, 1.0);
            let bright = v.clamp(0.0, 1.0);
            v += 0.35 * self.get(A::Brightness) * (0.4 + 2.4 * bright * dark);
            v += 0.35 * self.get(A::Highlights) * bright * bright * dark.sqrt();
            v += 0.35 * self.get(A::Shadows) * dark * dark * bright.sqrt();
            v += 0.25 * self.get(A::Whites) * bright.powi(4);
            v += 0.25 * self.get(A::Blacks) * dark.powi(4);
            v = 0.5 + (v - 0.5) * (1.0 + 0.7 * self.get(A::Contrast));
            v = v * (1.0 - 0.3 * faded) + 0.18 * faded;
            *out = (v.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
        curve
    }
}

/// A look that is ready for pixels.
pub(crate) struct CompiledLook {
    curves: [[u8; 256]; 3],
    saturation: f32,
    vignette: f64,
    /// Steps of 255.
    grain: f64,
    chroma: Option<ChromaKey>,
}

impl CompiledLook {
    /// Changes a row of premultiplied pixels. `place` gives where in the layer a pixel is, from 0 to 1 in both directions.
    pub(crate) fn row(&self, row: &mut [u32], place: impl Fn(usize) -> (f64, f64)) {
        for (index, pixel) in row.iter_mut().enumerate() {
            let [red, green, blue, alpha] = pixel.to_le_bytes();
            if alpha == 0 {
                continue;
            }
            let mut color = [red, green, blue];
            if alpha < 255 {
                let alpha = u32::from(alpha);
                color = color.map(|part| (u32::from(part) * 255 / alpha).min(255) as u8);
            }
            let mut opacity = f64::from(alpha) / 255.0;
            if let Some(chroma) = &self.chroma {
                opacity *= keyed(chroma, &mut color);
            }
            let curved = [0, 1, 2].map(|channel| {
                let value = self.curves[channel][usize::from(color[channel])];
                f32::from(value)
            });
            let luma = 0.299 * curved[0] + 0.587 * curved[1] + 0.114 * curved[2];
            let mut color = curved.map(|value| luma + (value - luma) * self.saturation);
            if self.vignette != 0.0 || self.grain != 0.0 {
                let (x, y) = place(index);
                let change = self.at(x, y);
                color = color.map(|value| value * change.0 + change.1);
            }
            let opacity = opacity as f32;
            let [red, green, blue] =
                color.map(|value| (value.clamp(0.0, 255.0) * opacity + 0.5) as u8);
            *pixel = u32::from_le_bytes([red, green, blue, (opacity * 255.0 + 0.5) as u8]);
        }
    }

    /// Factor and sum for a pixel at a place.
    fn at(&self, x: f64, y: f64) -> (f32, f32) {
        let radius = ((x - 0.5).hypot(y - 0.5) / 0.7072).clamp(0.0, 1.0);
        let edge = radius * radius * (3.0 - 2.0 * radius);
        let factor = 1.0 - 0.85 * self.vignette * edge;
        let noise = if self.grain == 0.0 {
            0.0
        } else {
            (noise((x * 2000.0) as i64, (y * 2000.0) as i64) - 0.5) * self.grain
        };
        (factor as f32, noise as f32)
    }
}

/// How opaque a colour stays, from 0 to 1; takes the key's colour from it.
fn keyed(key: &ChromaKey, color: &mut [u8; 3]) -> f64 {
    let chroma = |[red, green, blue]: [f64; 3]| {
        (
            -0.168_736 * red - 0.331_264 * green + 0.5 * blue,
            0.5 * red - 0.418_688 * green - 0.081_312 * blue,
        )
    };
    let own = color.map(f64::from);
    let key_color = [key.color.red, key.color.green, key.color.blue].map(f64::from);
    let (first, second) = (chroma(own), chroma(key_color));
    let distance = (first.0 - second.0).hypot(first.1 - second.1) / 255.0;
    let from = 0.02 + 0.5 * key.strength;
    let width = 0.04 + 0.3 * key.edge;
    let part = ((distance - from) / width).clamp(0.0, 1.0);
    let opacity = part * part * (3.0 - 2.0 * part);
    if key.spill > 0.0 {
        let most = (0..3)
            .max_by(|a, b| key_color[*a].total_cmp(&key_color[*b]))
            .unwrap_or(1);
        let others = (0..3).filter(|channel| *channel != most);
        let limit = others.map(|channel| own[channel]).fold(0.0, f64::max);
        if own[most] > limit {
            color[most] = (own[most] + (limit - own[most]) * key.spill).round() as u8;
        }
    }
    opacity.max(key.shadow * 0.5 * (1.0 - own[1].max(own[0]).max(own[2]) / 255.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(look: &Look, color: [u8; 4]) -> [u8; 4] {
        let mut row = [u32::from_le_bytes(color)];
        look.compile().row(&mut row, |_| (0.5, 0.5));
        row[0].to_le_bytes()
    }

    #[test]
    fn a_plain_look_changes_nothing_and_each_adjustment_something() {
        let color = [200, 100, 50, 255];
        assert!(Look::default().is_plain());
        assert_eq!(changed(&Look::default(), color), color);
        for adjustment in Adjustment::ALL {
            if matches!(adjustment, Adjustment::Vignette | Adjustment::Grain) {
                continue;
            }
            for value in [-1.0, 1.0] {
                let mut look = Look::default();
                look.set(adjustment, value);
                if adjustment == Adjustment::Faded && value < 0.0 {
                    continue;
                }
                assert_ne!(changed(&look, color), color, "{adjustment:?} {value}");
            }
        }
    }

    #[test]
    fn directions_are_those_of_the_names() {
        let with = |adjustment, value| {
            let mut look = Look::default();
            look.set(adjustment, value);
            look
        };
        let gray = changed(&with(Adjustment::Saturation, -1.0), [200, 100, 50, 255]);
        assert!(gray[0] == gray[1] && gray[1] == gray[2]);
        let warm = changed(&with(Adjustment::Temperature, 0.5), [100, 100, 100, 255]);
        assert!(warm[0] > 100 && warm[2] < 100);
        let magenta = changed(&with(Adjustment::Tint, 0.5), [100, 100, 100, 255]);
        assert!(magenta[1] < 100);
        assert!(changed(&with(Adjustment::Brightness, 0.5), [100, 100, 100, 255])[0] > 100);
        let mut row = [u32::MAX];
        with(Adjustment::Vignette, 1.0)
            .compile()
            .row(&mut row, |_| (0.0, 0.0));
        assert!(row[0].to_le_bytes()[0] < 100);
    }

    #[test]
    fn the_key_colour_becomes_transparent_and_others_stay() {
        let look = Look {
            chroma: Some(ChromaKey {
                color: Color::opaque(0, 255, 0),
                strength: 0.2,
                shadow: 0.0,
                edge: 0.0,
                spill: 0.0,
            }),
            ..Look::default()
        };
        assert_eq!(changed(&look, [0, 255, 0, 255]), [0, 0, 0, 0]);
        assert_eq!(changed(&look, [10, 240, 10, 255])[3], 0);
        assert_eq!(changed(&look, [255, 0, 0, 255]), [255, 0, 0, 255]);
        assert_eq!(changed(&look, [200, 180, 170, 255])[3], 255);
    }
}
