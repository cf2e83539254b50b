//! Reads values of documents: those that make no sense count as missing, others are limited.

use capcut_draft::{ClipKind, ClipRef, Document, KeyframeList, MaterialRef, TimeRange, field};

use crate::animated::{Animated, Key};
use crate::clock::{Clock, SpeedPoint};
use crate::geometry::Affine;

/// A number that makes sense, or its default.
pub(super) fn number(document: &Document, own: ClipRef, path: &[&str], default: f64) -> f64 {
    let number = document.number(own, path).unwrap_or(default);
    limited(number)
}

/// Numbers in documents are limited, so that products of them stay finite.
pub(super) fn limited(number: f64) -> f64 {
    if number.is_finite() {
        number.clamp(-1e6, 1e6)
    } else {
        0.0
    }
}

/// A value with the keyframes of the app's property.
pub(super) fn animated(lists: &[KeyframeList], key: &str, base: f64) -> Animated {
    let Some(list) = lists
        .iter()
        .find(|list| list.property == key && !list.points.is_empty())
    else {
        return Animated::fixed(base);
    };
    let mut keys: Vec<Key> = list
        .points
        .iter()
        .filter_map(|point| {
            let handle = |(x, y): (f64, f64)| (limited_time(x), limited(y));
            Some(Key {
                time: point.offset,
                value: limited(point.value?),
                handles: point.is_curve.then(|| point.handles.map(handle)),
            })
        })
        .collect();
    keys.sort_by_key(|key| key.time);
    Animated { base, keys }
}

pub(super) fn limited_time(time: f64) -> f64 {
    if time.is_finite() {
        time.clamp(-1e13, 1e13)
    } else {
        0.0
    }
}

/// Which part of its file a clip shows, and how fast.
pub(super) fn clock(document: &Document, own: ClipRef, kind: ClipKind) -> Clock {
    let target = document.target(own);
    let source = document
        .get(own, &field::clip::SOURCE)
        .unwrap_or(TimeRange {
            start: 0,
            duration: target.duration,
        });
    if !matches!(
        kind,
        ClipKind::Video | ClipKind::Audio | ClipKind::Compound | ClipKind::Image
    ) {
        return Clock::new(target, source, 1.0, Vec::new());
    }
    let material = document.companion(own, &["speeds"]);
    let speed = document
        .get(own, &field::clip::SPEED)
        .or_else(|| document.get(material?, &field::material::SPEED))
        .unwrap_or(1.0);
    let curve = material.map_or_else(Vec::new, |material| speed_curve(document, material));
    Clock::new(target, source, speed, curve)
}

fn speed_curve(document: &Document, material: MaterialRef) -> Vec<SpeedPoint> {
    let points = document.raw(material, &["curve_speed", "speed_points"]);
    let points = points.and_then(|raw| serde_json::from_slice::<serde_json::Value>(raw).ok());
    let points = points.as_ref().and_then(serde_json::Value::as_array);
    let points = points.into_iter().flatten();
    points
        .filter_map(|point| {
            Some(SpeedPoint {
                at: point.get("x")?.as_f64()?,
                speed: point.get("y")?.as_f64()?,
            })
        })
        .collect()
}

/// From the visible part of a picture, as a square, to the whole picture as a square.
pub(super) fn crop(document: &Document, main: MaterialRef) -> Affine {
    let corner = |key: &str, default: f64| {
        let number = document.number(main, &["crop", key]).unwrap_or(default);
        limited(number).clamp(0.0, 1.0)
    };
    let (left, top) = (corner("upper_left_x", 0.0), corner("upper_left_y", 0.0));
    let crop = Affine {
        a: corner("upper_right_x", 1.0) - left,
        b: corner("upper_right_y", 0.0) - top,
        c: corner("lower_left_x", 0.0) - left,
        d: corner("lower_left_y", 1.0) - top,
        e: left,
        f: top,
    };
    // What is as good as nothing cannot be enlarged to the canvas.
    if (crop.a * crop.d - crop.b * crop.c).abs() < 1e-6 {
        return Affine::IDENTITY;
    }
    crop
}
