//! Values that keyframes change.

/// A keyframe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// Microseconds, on the clock of the list.
    pub time: i64,
    pub value: f64,
    /// The control points of the curves to it and from it: microseconds and change of the value, both from the keyframe;
    /// none for straight lines.
    pub handles: Option<[(f64, f64); 2]>,
}

/// A value that may change over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Animated {
    /// The value without keyframes.
    pub base: f64,
    /// By time.
    pub keys: Vec<Key>,
}

impl Animated {
    /// A value that does not change.
    #[must_use]
    pub const fn fixed(base: f64) -> Self {
        Self {
            base,
            keys: Vec::new(),
        }
    }

    /// The value at a time, microseconds on the clock of its keyframes. Before the first and after the last keyframe it
    /// keeps their value.
    #[must_use]
    pub fn at(&self, time: f64) -> f64 {
        let (Some(first), Some(last)) = (self.keys.first(), self.keys.last()) else {
            return self.base;
        };
        let after = self.keys.partition_point(|key| key.time as f64 <= time);
        if after == 0 {
            return first.value;
        }
        let Some(to) = self.keys.get(after) else {
            return last.value;
        };
        let from = &self.keys[after - 1];
        between(from, to, time)
    }

    /// The largest absolute value that it has.
    #[must_use]
    pub fn largest(&self) -> f64 {
        let keys = self.keys.iter();
        let values = keys.flat_map(|key| {
            // A curve may rise above its ends; it stays within its control points.
            let handles = key.handles.unwrap_or_default();
            [
                key.value.abs(),
                (key.value + handles[0].1).abs(),
                (key.value + handles[1].1).abs(),
            ]
        });
        let largest = values.fold(0.0, f64::max);
        if self.keys.is_empty() {
            self.base.abs()
        } else {
            largest
        }
    }

    /// The same value on another clock: its keyframes' times go through a map that keeps their order.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.keys.is_empty()
    }
}

fn between(from: &Key, to: &Key, time: f64) -> f64 {
    let (start, end) = (from.time as f64, to.time as f64);
    let length = end - start;
    if length <= 0.0 {
        return to.value;
    }
    let part = ((time - start) / length).clamp(0.0, 1.0);
    let change = to.value - from.value;
    let out = from.handles.map_or((0.0, 0.0), |handles| handles[1]);
    let into = to.handles.map_or((0.0, 0.0), |handles| handles[0]);
    if from.handles.is_none() && to.handles.is_none() || out == (0.0, 0.0) && into == (0.0, 0.0) {
        return from.value + change * part;
    }
    let x1 = (out.0 / length).clamp(0.0, 1.0);
    let x2 = (1.0 + into.0 / length).clamp(0.0, 1.0);
    let u = parameter(x1, x2, part);
    let (v1, v2) = (from.value + out.1, to.value + into.1);
    cubic(from.value, v1, v2, to.value, u)
}

fn cubic(p0: f64, p1: f64, p2: f64, p3: f64, u: f64) -> f64 {
    let v = 1.0 - u;
    v * v * v * p0 + 3.0 * v * v * u * p1 + 3.0 * v * u * u * p2 + u * u * u * p3
}

/// Where a cubic curve from 0 to 1 with these control points has this value; it rises, so bisection finds it.
fn parameter(x1: f64, x2: f64, x: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if cubic(0.0, x1, x2, 1.0, middle) < x {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(time: i64, value: f64) -> Key {
        Key {
            time,
            value,
            handles: None,
        }
    }

    #[test]
    fn values_move_in_straight_lines_and_along_curves() {
        let line = Animated {
            base: 9.0,
            keys: vec![key(100, 1.0), key(300, 3.0)],
        };
        assert_eq!(
            [0.0, 100.0, 150.0, 300.0, 900.0].map(|time| line.at(time)),
            [1.0, 1.0, 1.5, 3.0, 3.0]
        );
        // As CSS computes cubic-bezier(0.42, 0, 0.58, 1).
        let mut eased = line.clone();
        eased.keys[0].handles = Some([(0.0, 0.0), (84.0, 0.0)]);
        eased.keys[1].handles = Some([(-84.0, 0.0), (0.0, 0.0)]);
        assert!((eased.at(150.0) - (1.0 + 2.0 * 0.129_162)).abs() < 1e-4);
        assert!((eased.at(200.0) - 2.0).abs() < 1e-6);
        assert_eq!(eased.largest(), 3.0);
    }

    #[test]
    fn keyframes_at_one_time_do_not_divide_by_zero() {
        let twice = Animated {
            base: 0.0,
            keys: vec![key(5, 1.0), key(5, 2.0)],
        };
        assert_eq!(
            (twice.at(4.0), twice.at(5.0), twice.at(6.0)),
            (1.0, 2.0, 2.0)
        );
    }
}
