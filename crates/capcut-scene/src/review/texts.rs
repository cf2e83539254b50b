//! Texts that leave the canvas or the safe area, or cover each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use capcut_draft::TimeRange;
use serde_json::{Map, Value};

use super::inside::Inside;
use super::{
    Finding, FindingKind, NAMED, is_still, named, scale_values, set, shown_words, spanned,
    texts_of, tidy, words_of,
};
use crate::geometry::Affine;
use crate::movie::Clip;

/// How many times a text is looked at while its place changes.
const LOOKS: i64 = 9;
/// How many pairs of texts are compared.
const PAIRS: usize = 400_000;
/// Pixels by which a text may be over an edge, because of rounding.
const ROUNDING: f64 = 1.0;
/// A part of the smaller text that may be covered: accents and the space between lines.
const COVERED: f64 = 0.05;

/// A rectangle in pixels of the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Area {
    fn width(self) -> f64 {
        self.right - self.left
    }

    fn height(self) -> f64 {
        self.bottom - self.top
    }

    fn with(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    fn moved(self, (x, y): (f64, f64)) -> Self {
        Self {
            left: self.left + x,
            top: self.top + y,
            right: self.right + x,
            bottom: self.bottom + y,
        }
    }

    fn shrunk(self, by: f64) -> Self {
        Self {
            left: self.left + by,
            top: self.top + by,
            right: self.right - by,
            bottom: self.bottom - by,
        }
    }

    /// How much of the smaller one is in both, from 0 to 1.
    fn overlap(self, other: Self) -> f64 {
        let across = self.right.min(other.right) - self.left.max(other.left);
        let down = self.bottom.min(other.bottom) - self.top.max(other.top);
        if across <= 0.0 || down <= 0.0 {
            return 0.0;
        }
        let smaller = (self.width() * self.height()).min(other.width() * other.height());
        across * down / smaller.max(1e-9)
    }

    /// How far it is beyond each side of another one, pixels; negative: within.
    fn beyond(self, other: Self) -> [(&'static str, f64, bool); 4] {
        [
            ("left", other.left - self.left, true),
            ("top", other.top - self.top, false),
            ("right", self.right - other.right, true),
            ("bottom", self.bottom - other.bottom, false),
        ]
    }
}

/// The canvas, and the part of it in which texts are safe.
fn safe_area((width, height): (f64, f64)) -> Area {
    let is_vertical = (width / height - 9.0 / 16.0).abs() < 0.02;
    // On vertical video, apps show names and buttons at the top, at the bottom and on the right.
    let (top, bottom, right) = if is_vertical {
        (0.1, 0.2, 0.15)
    } else {
        (0.05, 0.05, 0.05)
    };
    Area {
        left: width * 0.05,
        top: height * top,
        right: width * (1.0 - right),
        bottom: height * (1.0 - bottom),
    }
}

/// A text and where it is.
pub(super) struct PlacedText<'m> {
    inside: &'m Inside<'m>,
    /// The index of what it is in, and of its track.
    track: (usize, usize),
    clip: &'m Clip,
    /// When it is seen in the draft.
    range: TimeRange,
    /// The part of the canvas in which it can be seen.
    frame: Area,
    words: String,
    /// Where its middle is.
    anchor: (f64, f64),
    /// At its place, where most of it is seen.
    pub area: Area,
    is_still: bool,
}

/// All texts. A text that moves is judged by its best place: it may come from outside.
pub(super) fn placed<'m>(all: &'m [Inside<'m>]) -> Vec<PlacedText<'m>> {
    let placed = all.iter().enumerate();
    placed
        .flat_map(|(index, inside)| placed_in(index, inside, safe_area(all[0].timeline.canvas)))
        .collect()
}

fn placed_in<'m>(index: usize, inside: &'m Inside<'m>, safe: Area) -> Vec<PlacedText<'m>> {
    let canvas = inside.timeline.canvas;
    let mut all = Vec::new();
    for (track, _, _, clip, layout) in texts_of(inside.timeline) {
        let size = (f64::from(layout.width()), f64::from(layout.height()));
        let is_still = is_still(clip) && inside.is_still();
        let range = inside.range(clip.clock.target);
        if range.duration <= 0 {
            continue;
        }
        let looks = if is_still { 1 } else { LOOKS };
        let places = (0..looks).map(|look| {
            let at = range.start + range.duration / (looks + 1) * (look + 1);
            let own = clip.place(canvas, size, inside.time(at));
            place(own.then(inside.map(at)), size)
        });
        let excess = |area: Area| {
            let beyond = area.beyond(safe).map(|(_, by, _)| by.max(0.0));
            beyond.iter().sum::<f64>()
        };
        let best = places.min_by(|one, other| excess(one.1).total_cmp(&excess(other.1)));
        let Some((anchor, area)) = best else { continue };
        let numbers = [area.left, area.top, area.right, area.bottom];
        if numbers.iter().any(|number| !number.is_finite()) {
            continue;
        }
        all.push(PlacedText {
            inside,
            track: (index, track),
            clip,
            range,
            frame: inside.frame(range.start + range.duration / 2),
            words: words_of(layout),
            anchor,
            area,
            is_still,
        });
    }
    all
}

/// The middle of a text or canvas and the rectangle around it.
pub(super) fn place(map: Affine, (width, height): (f64, f64)) -> ((f64, f64), Area) {
    let anchor = map.apply(width / 2.0, height / 2.0);
    let corners = map.corners(width, height);
    let point = |(x, y): (f64, f64)| Area {
        left: x,
        top: y,
        right: x,
        bottom: y,
    };
    let area = corners[1..]
        .iter()
        .fold(point(corners[0]), |area, corner| area.with(point(*corner)));
    (anchor, area)
}

impl PlacedText<'_> {
    /// Its area around its middle.
    fn extent(&self) -> Area {
        self.area.moved((-self.anchor.0, -self.anchor.1))
    }

    fn scale(&self) -> (f64, f64) {
        let middle = self.clip.clock.target.start + self.clip.clock.target.duration / 2;
        let value = |animated| self.clip.value(animated, middle);
        (value(&self.clip.scale_x), value(&self.clip.scale_y))
    }
}

/// The size and the place of texts with this extent within an area: the factor of the size, and the middle.
fn fitted(extent: Area, anchor: (f64, f64), within: Area) -> (f64, (f64, f64)) {
    let within = within.shrunk(2.0);
    let factor = (within.width() / extent.width().max(1e-6))
        .min(within.height() / extent.height().max(1e-6));
    let factor = if factor < 1.0 { factor * 0.99 } else { 1.0 };
    let clamp = |own: f64, low: f64, high: f64| own.clamp(low.min(high), high.max(low));
    let x = clamp(
        anchor.0,
        within.left - extent.left * factor,
        within.right - extent.right * factor,
    );
    let y = clamp(
        anchor.1,
        within.top - extent.top * factor,
        within.bottom - extent.bottom * factor,
    );
    (factor, (x, y))
}

/// A place on the canvas as values of `set`.
fn place_values(canvas: (f64, f64), (x, y): (f64, f64), values: &mut Map<String, Value>) {
    let round = |number: f64| (number * 1e4).round() / 1e4;
    let x = round(x / (canvas.0 / 2.0) - 1.0);
    let y = round(1.0 - y / (canvas.1 / 2.0));
    values.insert("position_x".to_owned(), x.into());
    values.insert("position_y".to_owned(), y.into());
}

/// Texts beyond the canvas, and those beyond the safe area.
pub(super) fn edges(canvas: (f64, f64), placed: &[PlacedText<'_>]) -> (Vec<Finding>, Vec<Finding>) {
    let (width, height) = canvas;
    let safe = safe_area(canvas);
    let worst = |text: &PlacedText<'_>, area: Area| {
        let sides = text.area.beyond(area).into_iter();
        sides
            .filter(|(_, by, _)| *by > ROUNDING)
            .max_by(|one, other| one.1.total_cmp(&other.1))
    };
    // Captions of a track that are at one place are moved together.
    let mut groups: BTreeMap<_, Vec<&PlacedText<'_>>> = BTreeMap::new();
    for text in placed {
        let (kind, side) = if let Some((side, ..)) = worst(text, text.frame) {
            (FindingKind::OffCanvas, side)
        } else if let Some((side, ..)) = worst(text, safe) {
            (FindingKind::OutsideSafeArea, side)
        } else {
            continue;
        };
        let (factor, _) = fitted(text.extent(), text.anchor, safe);
        let scale = text.scale();
        // What becomes smaller or moves stands alone.
        let alone = if factor < 1.0 || !text.is_still {
            text.clip.name.to_string()
        } else {
            String::new()
        };
        let numbers = [text.anchor.0, text.anchor.1, scale.0, scale.1];
        let key = (kind, text.track, side, numbers.map(f64::to_bits), alone);
        groups.entry(key).or_default().push(text);
    }
    let (mut off, mut outside) = (Vec::new(), Vec::new());
    for ((kind, _, side, ..), all) in groups {
        for texts in all.chunks(NAMED) {
            let is_off = kind == FindingKind::OffCanvas;
            let Some(first) = texts.first() else { continue };
            let extents = texts.iter().map(|text| text.extent());
            let Some(extent) = extents.reduce(Area::with) else {
                continue;
            };
            let (factor, anchor) = fitted(extent, first.anchor, safe);
            let mut values = Map::new();
            place_values(canvas, anchor, &mut values);
            if factor < 1.0 {
                let scale = first.scale();
                scale_values((scale.0 * factor, scale.1 * factor), &mut values);
            }
            let clips: Vec<Arc<str>> = texts.iter().map(|text| text.clip.name.clone()).collect();
            let beyond = |text: &&PlacedText<'_>| {
                let area = if is_off { text.frame } else { safe };
                let sides = text.area.beyond(area).into_iter();
                let own = sides.filter(|own| own.0 == side);
                own.map(|(_, by, is_across)| by / if is_across { width } else { height } * 100.0)
                    .fold(0.0, f64::max)
            };
            let most = texts.iter().map(beyond).fold(0.0, f64::max);
            let margin = match side {
                "left" => safe.left / width,
                "top" => safe.top / height,
                "right" => 1.0 - safe.right / width,
                _ => 1.0 - safe.bottom / height,
            } * 100.0;
            let names = named(&clips, &first.words);
            let (what, value, limit, unit) = if is_off {
                (
                    format!(
                        "{names}: {} % of the canvas beyond its {side} edge",
                        tidy(most)
                    ),
                    tidy(most),
                    0.0,
                    "percent of the canvas beyond the edge",
                )
            } else {
                (
                    format!(
                        "{names}: {} % from the {side} edge; texts are safe from {} % on",
                        tidy(margin - most),
                        tidy(margin)
                    ),
                    tidy(margin - most),
                    tidy(margin),
                    "percent of the canvas from the edge",
                )
            };
            let finding = Finding {
                kind,
                range: spanned(texts.iter().map(|text| text.range)),
                operations: if first.inside.is_draft() {
                    vec![set(&clips, first.is_still, values)]
                } else {
                    Vec::new()
                },
                clips,
                what: what + first.inside.advice(),
                value,
                limit,
                unit,
            };
            if is_off { &mut off } else { &mut outside }.push(finding);
        }
    }
    (off, outside)
}

/// Texts that cover each other, and whether some pairs were not compared.
pub(super) fn overlaps(canvas: (f64, f64), placed: &[PlacedText<'_>]) -> (Vec<Finding>, bool) {
    let mut by_start: Vec<&PlacedText<'_>> = placed.iter().collect();
    by_start.sort_by_key(|text| text.range.start);
    let mut found = Vec::new();
    let mut left = PAIRS;
    let mut open: Vec<&PlacedText<'_>> = Vec::new();
    for text in by_start {
        let start = text.range.start;
        open.retain(|other| other.range.end() > start);
        for other in &open {
            if left == 0 {
                return (found, true);
            }
            left -= 1;
            let covered = covered(text, other);
            if covered > COVERED && text.words != other.words {
                found.push(overlap(canvas, placed, (other, text), covered));
            }
        }
        open.push(text);
    }
    (found, false)
}

/// How much of the smaller text the other covers, from 0 to 1.
fn covered(one: &PlacedText<'_>, other: &PlacedText<'_>) -> f64 {
    one.area.overlap(other.area)
}

/// The overlap of two texts; the second one began later.
fn overlap(
    canvas: (f64, f64),
    placed: &[PlacedText<'_>],
    (first, second): (&PlacedText<'_>, &PlacedText<'_>),
    covered: f64,
) -> Finding {
    let (one, other) = (first.range, second.range);
    let range = TimeRange::between(one.start.max(other.start), one.end().min(other.end()));
    let own = |text: &PlacedText<'_>| text.inside.is_draft();
    let place = |text| {
        own(text)
            .then(|| free_place(canvas, placed, text))
            .flatten()
    };
    let (fixed, values) = match (place(second), place(first)) {
        (Some(values), _) => (second, Some(values)),
        (None, Some(values)) => (first, Some(values)),
        // The canvas is full.
        (None, None) => {
            let hidden = || Map::from_iter([("visible".to_owned(), false.into())]);
            let fixed = if own(second) || !own(first) {
                second
            } else {
                first
            };
            (fixed, own(fixed).then(hidden))
        }
    };
    let kept = if std::ptr::eq(fixed, second) {
        first
    } else {
        second
    };
    let name = std::slice::from_ref(&fixed.clip.name);
    let operation = values.map(|values| {
        let is_still = fixed.is_still || values.contains_key("visible");
        set(name, is_still, values)
    });
    Finding {
        kind: FindingKind::TextOverlap,
        range,
        operations: operation.into_iter().collect(),
        clips: vec![fixed.clip.name.clone(), kept.clip.name.clone()],
        what: format!(
            "{} {} and {} {} overlap: {} % of the smaller one{}",
            fixed.clip.name,
            shown_words(&fixed.words),
            kept.clip.name,
            shown_words(&kept.words),
            tidy(covered * 100.0),
            fixed.inside.advice()
        ),
        value: tidy(covered * 100.0),
        limit: COVERED * 100.0,
        unit: "percent of the smaller text",
    }
}

/// Values of `set` for a place where a text covers no other, as near as possible and not smaller than needed.
fn free_place(
    canvas: (f64, f64),
    placed: &[PlacedText<'_>],
    text: &PlacedText<'_>,
) -> Option<Map<String, Value>> {
    /// Heights that are tried, beside those next to other texts.
    const STEPS: u32 = 24;
    let safe = safe_area(canvas);
    let own = text.range;
    let others: Vec<Area> = placed
        .iter()
        .filter(|other| {
            let range = other.range;
            !std::ptr::eq(*other, text) && range.start < own.end() && own.start < range.end()
        })
        .map(|other| other.area)
        .take(200)
        .collect();
    for smaller in [1.0, 0.75, 0.5] {
        let extent = text.extent();
        let extent = Area {
            left: extent.left * smaller,
            top: extent.top * smaller,
            right: extent.right * smaller,
            bottom: extent.bottom * smaller,
        };
        let (factor, (x, y)) = fitted(extent, text.anchor, safe);
        if factor < 1.0 {
            continue;
        }
        let gap = canvas.1 * 0.01;
        let beside = others.iter().flat_map(|other| {
            [
                other.top - extent.bottom - gap,
                other.bottom - extent.top + gap,
            ]
        });
        let spread =
            (0..=STEPS).map(|step| safe.top + safe.height() * f64::from(step) / f64::from(STEPS));
        let mut heights: Vec<f64> = std::iter::once(y).chain(beside).chain(spread).collect();
        heights.sort_by(|one, other| {
            let distance = |height: &f64| (height - text.anchor.1).abs();
            distance(one).total_cmp(&distance(other))
        });
        let is_free = |height: &f64| {
            let area = extent.moved((x, *height));
            let is_safe = area.beyond(safe).iter().all(|(_, by, _)| *by <= 0.0);
            is_safe && others.iter().all(|other| area.overlap(*other) < 0.01)
        };
        if let Some(height) = heights.into_iter().find(is_free) {
            let mut values = Map::new();
            place_values(canvas, (x, height), &mut values);
            if smaller < 1.0 {
                let scale = text.scale();
                scale_values((scale.0 * smaller, scale.1 * smaller), &mut values);
            }
            return Some(values);
        }
    }
    None
}
