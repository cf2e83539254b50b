//! Texts that are hard to tell from what is below them.

use std::sync::Arc;

use capcut_draft::TimeRange;
use capcut_text::{Rgba, TextLayout};
use serde_json::{Map, Value};

use super::inside::Inside;
use super::{Finding, FindingKind, set, shown_words, texts_of, tidy, words_of};
use crate::movie::{Clip, Movie};
use crate::scene::{Content, Layer, Scene};

/// The least contrast ratio: that of WCAG 2 for large text.
const LEAST: f64 = 3.0;
/// The width of an outline that is added.
const OUTLINE: i64 = 40;

/// A text whose contrast can be measured.
#[derive(Clone, Debug)]
pub struct MeasuredText {
    /// By its short id.
    pub clip: Arc<str>,
    /// When it is shown, microseconds.
    pub range: TimeRange,
    /// When it is measured, microseconds.
    pub at: i64,
    /// What is below it then.
    pub below: Scene,
    /// Left, top, right and bottom, as parts of the canvas from 0 to 1.
    pub area: [f64; 4],
    /// The files that are seen below it, as indexes of [`Movie::media`].
    pub media: Vec<usize>,
    layout: Arc<TextLayout>,
    opacity: f64,
    /// Whether operations can change it.
    is_own: bool,
    advice: &'static str,
}

/// The texts of a movie whose contrast can be measured: all, in an order in which the first ones are spread over the draft.
#[derive(Clone, Debug)]
pub struct MeasurableTexts<'m> {
    movie: &'m Movie,
    all: Vec<Inside<'m>>,
    texts: Vec<TextToMeasure<'m>>,
}

#[derive(Clone, Debug)]
struct TextToMeasure<'m> {
    /// The index of what it is in.
    inside: usize,
    clip: &'m Clip,
    layout: &'m Arc<TextLayout>,
    /// When it is seen in the draft.
    range: TimeRange,
}

impl TextToMeasure<'_> {
    fn at(&self) -> i64 {
        self.range.start + self.range.duration / 2
    }
}

impl Movie {
    /// The texts whose contrast can be measured, also those in compound clips.
    #[must_use]
    pub fn measurable_texts(&self) -> MeasurableTexts<'_> {
        let all = Inside::all(self);
        let mut texts = Vec::new();
        for (index, inside) in all.iter().enumerate() {
            texts.extend(texts_of(inside.timeline).map(|(_, _, _, clip, layout)| {
                let range = inside.range(clip.clock.target);
                TextToMeasure {
                    inside: index,
                    clip,
                    layout,
                    range,
                }
            }));
        }
        texts.retain(|text| text.range.duration > 0);
        texts.sort_by_key(|text| text.range.start);
        let mut spread = Vec::with_capacity(texts.len());
        for step in [32, 16, 8, 4, 2, 1] {
            let is_new = |index: &usize| step == 32 || !index.is_multiple_of(step * 2);
            let indexes = (0..texts.len()).step_by(step).filter(is_new);
            spread.extend(indexes.map(|index| texts[index].clone()));
        }
        MeasurableTexts {
            movie: self,
            all,
            texts: spread,
        }
    }
}

impl MeasurableTexts<'_> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// When they are measured, microseconds.
    pub fn times(&self) -> impl Iterator<Item = i64> {
        self.texts.iter().map(TextToMeasure::at)
    }

    /// The short id of a text, and of the compound clips that contain it.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<Arc<str>> {
        Some(self.texts.get(index)?.clip.name.clone())
    }

    /// What a text is measured with; none if it is not seen as it is, such as during a transition.
    #[must_use]
    pub fn measured(&self, index: usize) -> Option<MeasuredText> {
        let own = self.texts.get(index)?;
        let inside = &self.all[own.inside];
        let (clip, layout) = (own.clip, own.layout);
        let at = own.at();
        let mut below = self.movie.scene(at);
        let outer = inside.outer.iter().map(|(_, clip)| &*clip.name);
        let path: Vec<&str> = outer.chain([&*clip.name]).collect();
        if !cut_off(&mut below, &path) {
            return None;
        }
        let size = (f64::from(layout.width()), f64::from(layout.height()));
        let (width, height) = below.canvas;
        let inner = inside.time(at);
        let place = clip.place(inside.timeline.canvas, size, inner);
        let corners = place.then(inside.map(at)).corners(size.0, size.1);
        let ends = |values: [f64; 4], side: f64| {
            let low = values.into_iter().fold(f64::INFINITY, f64::min);
            let high = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
            ((low / side).clamp(0.0, 1.0), (high / side).clamp(0.0, 1.0))
        };
        let (left, right) = ends(corners.map(|corner| corner.0), width);
        let (top, bottom) = ends(corners.map(|corner| corner.1), height);
        let media = media_of(&below);
        let opacity = clip.value(&clip.opacity, inner).clamp(0.0, 1.0);
        Some(MeasuredText {
            clip: clip.name.clone(),
            range: own.range,
            at,
            below,
            area: [left, top, right, bottom],
            media,
            layout: layout.clone(),
            opacity: opacity * inside.opacity(at),
            is_own: inside.is_draft(),
            advice: inside.advice(),
        })
    }
}

/// Leaves what is below a clip in a scene, which is found by its path of compound clips; false if it is not there.
fn cut_off(scene: &mut Scene, path: &[&str]) -> bool {
    let Some((first, inner)) = path.split_first() else {
        return false;
    };
    let own = scene.layers.iter().position(|layer| &*layer.clip == *first);
    let Some(own) = own else { return false };
    if inner.is_empty() {
        scene.layers.truncate(own);
        return true;
    }
    scene.layers.truncate(own + 1);
    match scene.layers.last_mut().map(|layer| &mut layer.content) {
        Some(Content::Scene(scene)) => cut_off(scene, inner),
        _ => false,
    }
}

/// The files that a scene shows.
fn media_of(scene: &Scene) -> Vec<usize> {
    fn collect(layers: &[Layer], found: &mut Vec<usize>) {
        for layer in layers {
            match &layer.content {
                Content::Picture(picture) => found.push(picture.medium),
                Content::Scene(scene) => collect(&scene.layers, found),
                Content::Group { layers, .. } => collect(layers, found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(&scene.layers, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

impl MeasuredText {
    /// The finding if the text has too little contrast against the pixels below it, which are `[red, green, blue]`. An
    /// empty list says nothing.
    #[must_use]
    pub fn judge(&self, below: &[[u8; 3]]) -> Option<Finding> {
        if below.is_empty() {
            return None;
        }
        let text = self.layout.text();
        let mean = mean(below);
        let around = text
            .background
            .map_or(mean, |own| blended(own.colour, self.opacity, mean));
        let mut least = f64::INFINITY;
        let mut fills = Vec::new();
        for part in text
            .parts
            .iter()
            .filter(|part| !part.text.trim().is_empty())
        {
            let fill = blended(part.fill, self.opacity, around);
            fills.push(luminance(fill));
            let plain = ratio(luminance(fill), luminance(around));
            let outlined = part.stroke.map_or(1.0, |stroke| {
                let stroke = blended(stroke.colour, self.opacity, around);
                ratio(luminance(fill), luminance(stroke))
            });
            least = least.min(plain.max(outlined));
        }
        if !least.is_finite() || least >= LEAST {
            return None;
        }
        Some(Finding {
            kind: FindingKind::LowContrast,
            range: self.range,
            clips: vec![self.clip.clone()],
            what: format!(
                "{} {} is hard to read on what is below it: a contrast of {} to 1{}",
                self.clip,
                shown_words(&words_of(&self.layout)),
                tidy(least),
                self.advice
            ),
            value: tidy(least),
            limit: LEAST,
            unit: "contrast ratio",
            operations: if self.is_own {
                let name = std::slice::from_ref(&self.clip);
                vec![set(name, true, outlined(&fills, self.opacity))]
            } else {
                Vec::new()
            },
        })
    }
}

/// An outline from which all fills stand out; letters of one colour where no outline does.
fn outlined(fills: &[f64], opacity: f64) -> Map<String, Value> {
    let stands_out = |own: f64| {
        let ratios = fills.iter().map(|fill| ratio(*fill, own));
        ratios.fold(f64::INFINITY, f64::min)
    };
    let (black, white) = (stands_out(0.0), stands_out(1.0));
    let mut values = Map::new();
    let mut add = |name: &str, value: Value| values.insert(name.to_owned(), value);
    if black.max(white) < LEAST * 1.2 || opacity < 0.9 {
        add("font_color", "#FFFFFF".into());
        add("border_color", "#000000".into());
        if opacity < 0.9 {
            add("opacity", 1.into());
        }
    } else {
        let color = if black >= white { "#000000" } else { "#FFFFFF" };
        add("border_color", color.into());
    }
    add("border_width", OUTLINE.into());
    add("border_alpha", 1.into());
    values
}

/// The mean of pixels, as shares of light from 0 to 1.
fn mean(pixels: &[[u8; 3]]) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for pixel in pixels {
        for (sum, part) in sum.iter_mut().zip(pixel) {
            *sum += linear(f64::from(*part) / 255.0);
        }
    }
    sum.map(|sum| sum / pixels.len() as f64)
}

/// A colour over light, as shares of light. Colours mix as they are stored, which is how they are drawn.
fn blended(color: Rgba, opacity: f64, below: [f64; 3]) -> [f64; 3] {
    let alpha = f64::from(color.alpha) / 255.0 * opacity;
    let own = [color.red, color.green, color.blue].map(|part| f64::from(part) / 255.0);
    let mut mixed = [0.0; 3];
    for (index, mixed) in mixed.iter_mut().enumerate() {
        let stored = own[index] * alpha + stored(below[index]) * (1.0 - alpha);
        *mixed = linear(stored);
    }
    mixed
}

/// From a stored value of sRGB to light, both from 0 to 1.
fn linear(stored: f64) -> f64 {
    if stored <= 0.04045 {
        stored / 12.92
    } else {
        ((stored + 0.055) / 1.055).powf(2.4)
    }
}

fn stored(linear: f64) -> f64 {
    if linear <= 0.003_130_8 {
        linear * 12.92
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    }
}

/// The relative luminance of WCAG 2.
fn luminance([red, green, blue]: [f64; 3]) -> f64 {
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// The contrast ratio of WCAG 2, from 1 to 21.
fn ratio(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_wcag() {
        let of = |one: [u8; 3], other: [u8; 3]| {
            ratio(luminance(mean(&[one])), luminance(mean(&[other])))
        };
        assert!((of([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
        assert!((of([0x76; 3], [255; 3]) - 4.54).abs() < 0.01);
        assert!((of([255, 0, 0], [255; 3]) - 3.998).abs() < 0.01);
        assert!((of([9; 3], [9; 3]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_outline_stands_out_from_every_fill() {
        for fill in 0..=20 {
            let fill = f64::from(fill) / 20.0;
            let values = outlined(&[fill], 1.0);
            let color = if values["border_color"] == "#000000" {
                0.0
            } else {
                1.0
            };
            assert!(values.get("font_color").is_some() || ratio(fill, color) >= LEAST);
        }
        assert!(outlined(&[0.0, 1.0], 1.0).contains_key("font_color"));
    }
}
