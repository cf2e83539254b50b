//! How a value moves between two keyframes.

use serde_json::Value;

use crate::error::{Error, Result};

/// A curve from one keyframe to the next: the two control points of a cubic curve from (0, 0) to (1, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Easing(pub [f64; 4]);

const IN: Easing = Easing([0.42, 0.0, 1.0, 1.0]);
const OUT: Easing = Easing([0.0, 0.0, 0.58, 1.0]);
const IN_OUT: Easing = Easing([0.42, 0.0, 0.58, 1.0]);

impl Easing {
    /// Slow at both ends.
    pub(crate) const SMOOTH: Self = IN_OUT;
    /// Slow at the end.
    pub(crate) const OUT: Self = OUT;

    /// Reads a name or four numbers as in CSS; none is a straight line.
    ///
    /// # Errors
    /// `Invalid` with the names.
    pub fn read(value: &Value) -> Result<Option<Self>> {
        let wrong = || {
            Error::invalid(format!(
                "`easing` is {value}; it must be \"linear\", \"in\", \"out\", \"in_out\" or four numbers [x1, y1, x2, y2], with x from 0 to 1"
            ))
        };
        match value {
            Value::Null => Ok(None),
            Value::String(text) => {
                let plain = text.trim().to_lowercase().replace([' ', '-'], "_");
                if let Some(numbers) = plain.strip_prefix("cubic_bezier(") {
                    let numbers = numbers.trim_end_matches(')').split(',');
                    let numbers: Vec<f64> = numbers
                        .filter_map(|number| number.trim_matches('_').parse().ok())
                        .collect();
                    return Self::of(&numbers).map(Some).ok_or_else(wrong);
                }
                match plain.strip_prefix("ease_").unwrap_or(&plain) {
                    "linear" | "line" | "none" => Ok(None),
                    "in" | "slow_start" => Ok(Some(IN)),
                    "out" | "slow_end" => Ok(Some(OUT)),
                    "in_out" | "inout" | "ease" | "smooth" => Ok(Some(IN_OUT)),
                    _ => Err(wrong()),
                }
            }
            Value::Array(numbers) => {
                let numbers: Vec<f64> = numbers.iter().filter_map(Value::as_f64).collect();
                Self::of(&numbers).map(Some).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }

    fn of(numbers: &[f64]) -> Option<Self> {
        let numbers: [f64; 4] = numbers.try_into().ok()?;
        let [x1, y1, x2, y2] = numbers;
        let fits = [x1, x2].iter().all(|x| (0.0..=1.0).contains(x))
            && [y1, y2].iter().all(|y| (-10.0..=10.0).contains(y));
        fits.then_some(Self(numbers))
    }

    /// The handles in documents: the right one of the first keyframe and the left one of the second, each as time in
    /// microseconds and value from its keyframe.
    // CapCut 8.0 on macOS writes `FreeCurveInOut` with such handles (app-saved draft).
    #[must_use]
    pub fn handles(self, time: i64, change: f64) -> [(f64, f64); 2] {
        let Self([x1, y1, x2, y2]) = self;
        let time = time as f64;
        let tidy = |number: f64| (number * 1e9).round() / 1e9;
        [
            ((x1 * time).round(), tidy(y1 * change)),
            (((x2 - 1.0) * time).round(), tidy((y2 - 1.0) * change)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_numbers_are_read() {
        for (value, expected) in [
            (json!("linear"), None),
            (json!("in"), Some(IN)),
            (json!("ease-in"), Some(IN)),
            (json!("Ease Out"), Some(OUT)),
            (json!("ease"), Some(IN_OUT)),
            (json!("ease-in-out"), Some(IN_OUT)),
            (
                json!([0.1, 0.2, 0.3, 1.4]),
                Some(Easing([0.1, 0.2, 0.3, 1.4])),
            ),
            (
                json!("cubic-bezier(0.1, 0.2, 0.3, 1.4)"),
                Some(Easing([0.1, 0.2, 0.3, 1.4])),
            ),
        ] {
            assert_eq!(Easing::read(&value).unwrap(), expected, "{value}");
        }
        for value in [
            json!("bounce"),
            json!([1, 2]),
            json!([2, 0, 0, 1]),
            json!(7),
        ] {
            assert!(Easing::read(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn handles_are_parts_of_the_way_between_keyframes() {
        let [right, left] = IN_OUT.handles(1_000_000, -2.0);
        assert_eq!(right, (420_000.0, 0.0));
        assert_eq!(left, (-420_000.0, 0.0));
        let [right, left] = Easing([0.25, 0.5, 0.75, 1.0]).handles(2_000_000, 4.0);
        assert_eq!(right, (500_000.0, 2.0));
        assert_eq!(left, (-500_000.0, 0.0));
    }
}
