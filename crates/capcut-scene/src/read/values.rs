//! Reads values of documents: those that make no sense count as missing, others are limited.

use capcut_draft::{ClipRef, Document, KeyframeList, MaterialRef};

use crate::animated::{Animated, Key};
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
