//! Movements of a clip by keyframes, by name.

use crate::document::ClipRef;
use crate::error::Result;
use crate::grid::Seconds;
use crate::ops::easing::Easing;
use crate::ops::session::Session;

/// The values of a property over the length of a clip.
struct Movement {
    property: &'static str,
    /// Microseconds from the clip's start, and value.
    points: Vec<(i64, f64)>,
    easing: Option<Easing>,
}

/// Steps of a movement that repeats: at most this many keyframes.
const STEPS: i64 = 60;

impl Session<'_> {
    /// Moves a clip over its whole length; `none` removes the keyframes of place and size.
    pub(super) fn set_motion(&mut self, own: ClipRef, name: &str, strength: f64) -> Result<()> {
        self.edit.check_times(own)?;
        let length = self.edit.target(own).duration;
        let number = |path: &[&str], unset| self.edit.number(own, path).unwrap_or(unset);
        let scale = (
            number(&["clip", "scale", "x"], 1.0),
            number(&["clip", "scale", "y"], 1.0),
        );
        let place = (
            number(&["clip", "transform", "x"], 0.0),
            number(&["clip", "transform", "y"], 0.0),
        );
        let part = strength / 100.0;
        let movements = match name {
            "zoom_out" => sizes(
                scale,
                &[(0, 1.0 + 0.4 * part), (length, 1.0)],
                Some(Easing::SMOOTH),
            ),
            "shake" => {
                let by = 0.04 * part;
                let step = (length / STEPS).max(100_000);
                vec![
                    shaking("position_x", place.0, by, length, step),
                    shaking("position_y", place.1, by * 0.6, length, step * 3 / 2),
                ]
            }
            "pulse" => {
                let step = (length / STEPS).max(500_000);
                let beats = (0..=length / step).map(|index| {
                    let factor = if index % 2 == 0 {
                        1.0
                    } else {
                        1.0 + 0.2 * part
                    };
                    (index * step, factor)
                });
                sizes(scale, &beats.collect::<Vec<_>>(), Some(Easing::SMOOTH))
            }
            "pop" => {
                let length = length.min(450_000);
                let points = [(0, 0.01), (length * 2 / 3, 1.0 + 0.3 * part), (length, 1.0)];
                sizes(scale, &points, Some(Easing::OUT))
            }
            "slide_left" => vec![sliding("position_x", place.0, place.0 + 2.0, length)],
            "slide_right" => vec![sliding("position_x", place.0, place.0 - 2.0, length)],
            "slide_up" => vec![sliding("position_y", place.1, place.1 - 2.0, length)],
            "slide_down" => vec![sliding("position_y", place.1, place.1 + 2.0, length)],
            "none" => Vec::new(),
            _ => sizes(
                scale,
                &[(0, 1.0), (length, 1.0 + 0.4 * part)],
                Some(Easing::SMOOTH),
            ),
        };
        // A movement replaces the one before.
        for key in [
            "KFTypeScaleX",
            "KFTypeScaleY",
            "KFTypePositionX",
            "KFTypePositionY",
        ] {
            self.drop_keyframes_of(own, key)?;
        }
        let start = self.edit.target(own).start;
        for movement in movements {
            let points = movement.points.iter().map(|(time, value)| {
                let value = (value * 1e6).round() / 1e6;
                (start + time, value, movement.easing)
            });
            self.put_points(own, movement.property, &points.collect::<Vec<_>>())?;
        }
        if length < 500_000 && name != "none" {
            let id = self.edit.short_id(own);
            self.note(format!(
                "{id} lasts {}, which is short for a movement",
                Seconds(length)
            ));
        }
        Ok(())
    }
}

/// Sizes as factors of a clip's own size.
fn sizes(scale: (f64, f64), points: &[(i64, f64)], easing: Option<Easing>) -> Vec<Movement> {
    let of = |property, own: f64| Movement {
        property,
        points: points
            .iter()
            .map(|(time, factor)| (*time, own * factor))
            .collect(),
        easing,
    };
    if scale.0 == scale.1 {
        vec![of("scale", scale.0)]
    } else {
        vec![of("scale_x", scale.0), of("scale_y", scale.1)]
    }
}

/// There and back in even steps, ending where it began.
fn shaking(property: &'static str, own: f64, by: f64, length: i64, step: i64) -> Movement {
    let count = length / step;
    let points = (0..=count).map(|index| {
        let offset = match index % 4 {
            1 => by,
            3 => -by,
            _ => 0.0,
        };
        (
            index * step,
            own + if index == count { 0.0 } else { offset },
        )
    });
    Movement {
        property,
        points: points.collect(),
        easing: None,
    }
}

/// From outside of the canvas to the clip's own place.
fn sliding(property: &'static str, own: f64, from: f64, length: i64) -> Movement {
    Movement {
        property,
        points: vec![(0, from), (length.min(500_000), own)],
        easing: Some(Easing::OUT),
    }
}
