//! Speed curves: how fast each part of a clip plays.

use serde_json::{Value, json};

use crate::clock::SpeedPoint;
use crate::error::{Error, Result, nearest, quoted_list};

/// A speed curve of the apps. Names, ids and points: public notes of what the apps write.
struct Preset {
    name: &'static str,
    /// As the app shows it.
    shown: &'static str,
    others: &'static [&'static str],
    id: &'static str,
    points: &'static [(f64, f64)],
}

const fn preset(
    name: &'static str,
    shown: &'static str,
    others: &'static [&'static str],
    id: &'static str,
    points: &'static [(f64, f64)],
) -> Preset {
    Preset {
        name,
        shown,
        others,
        id,
        points,
    }
}

#[rustfmt::skip]
static PRESETS: [Preset; 6] = [
    preset("montage", "Montage", &["蒙太奇"], "6768648600848175619",
        &[(0.0, 0.9), (0.1, 0.9), (0.5, 6.8), (0.65, 0.3), (0.8, 1.0), (1.0, 1.0)]),
    preset("hero", "Hero", &["hero_time", "hero_moment", "英雄时刻"], "6768650238149267981",
        &[(0.0, 1.0), (0.35, 5.5), (0.45, 0.5), (0.55, 0.5), (0.65, 5.5), (1.0, 1.0)]),
    preset("bullet", "Bullet", &["bullet_time", "子弹时间"], "6768731518358524430",
        &[(0.0, 5.2), (0.4, 5.2), (0.46, 0.5), (0.54, 0.5), (0.6, 5.2), (1.0, 5.2)]),
    preset("jump_cut", "Jump cut", &["jumper", "jump", "跳接"], "6768731594225095175",
        &[(0.0, 0.6), (0.43, 0.6), (0.5, 6.0), (0.57, 0.6), (1.0, 0.6)]),
    preset("flash_in", "Flash in", &["闪进"], "6768731653402530307",
        &[(0.0, 5.2), (0.4, 5.2), (0.6, 1.0), (1.0, 1.0)]),
    preset("flash_out", "Flash out", &["闪出"], "6768731733484376589",
        &[(0.0, 1.0), (0.4, 1.0), (0.6, 5.2), (1.0, 5.2)]),
];

/// The names of the apps' speed curves.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|preset| preset.name)
}

/// A speed curve: factors by part of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeedCurve {
    name: &'static str,
    id: &'static str,
    /// Part of the file, from 0 to 1, and factor.
    points: Vec<(f64, f64)>,
}

/// The speeds that the app's curves can have.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.1..=10.0;

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let text = text.trim().trim_end_matches(['x', 'X', '×']);
            match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse::<f64>().ok().map(|n| n / 100.0),
                None => text.trim().parse().ok(),
            }
        }
        _ => None,
    }
}

impl SpeedCurve {
    /// Reads the name of a curve of the app, or points as `{"x", "y"}` or `[x, y]`.
    ///
    /// # Errors
    /// `Invalid` with the names or the form of points.
    pub fn read(value: &Value) -> Result<Self> {
        match value {
            Value::String(text) => Self::named(text),
            Value::Array(points) => Self::custom(points),
            Value::Object(members) => match members.get("points").and_then(Value::as_array) {
                Some(points) => Self::custom(points),
                None => Err(wrong(value)),
            },
            _ => Err(wrong(value)),
        }
    }

    fn named(text: &str) -> Result<Self> {
        let plain = text.trim().to_lowercase().replace([' ', '-'], "_");
        let found = PRESETS
            .iter()
            .find(|preset| preset.name == plain || preset.others.contains(&plain.as_str()));
        let Some(preset) = found else {
            let error = Error::not_found(format!("there is no speed curve {text:?}"));
            let names: Vec<&str> = names().collect();
            let near = nearest(&plain, names.iter().copied());
            return Err(error.hint(if near.is_empty() {
                format!(
                    "it can be {}, or points such as [[0, 1], [0.5, 3], [1, 1]]",
                    quoted_list(&names)
                )
            } else {
                format!("did you mean {}?", quoted_list(&near))
            }));
        };
        Ok(Self {
            name: preset.shown,
            id: preset.id,
            points: preset.points.to_vec(),
        })
    }

    fn custom(list: &[Value]) -> Result<Self> {
        let mut points = Vec::with_capacity(list.len());
        for (index, point) in list.iter().enumerate() {
            let (x, y) = match point {
                Value::Array(pair) if pair.len() == 2 => (&pair[0], &pair[1]),
                Value::Object(members) => (
                    first(members, &["x", "at", "time", "position"]),
                    first(members, &["y", "speed", "value"]),
                ),
                _ => (&Value::Null, &Value::Null),
            };
            let (Some(x), Some(y)) = (number(x), number(y)) else {
                return Err(Error::invalid(format!(
                    "point {index} of the speed curve is {point}; it must be {{\"x\": 0.5, \"y\": 2}}: part of the file from 0 to 1, and factor"
                )));
            };
            if !(0.0..=1.0).contains(&x) || !SPEEDS.contains(&y) {
                return Err(Error::invalid(format!(
                    "point {index} of the speed curve is ({x}, {y}); the first number is a part of the file from 0 to 1, the second a factor from 0.1 to 10"
                )));
            }
            points.push((x, y));
        }
        if points.len() < 2 {
            return Err(Error::invalid(
                "a speed curve has at least two points, such as [[0, 1], [1, 3]]",
            ));
        }
        if !points.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(Error::invalid(
                "the points of a speed curve must be in the order of their parts of the file",
            ));
        }
        // The app's curves begin and end with the clip.
        if points[0].0 > 0.0 {
            points.insert(0, (0.0, points[0].1));
        }
        if let Some(last) = points.last().copied()
            && last.0 < 1.0
        {
            points.push((1.0, last.1));
        }
        Ok(Self {
            name: "Custom",
            id: "",
            points,
        })
    }

    /// The factor by which the whole clip is shorter: a part of the file with factor 2 takes half its time.
    #[must_use]
    pub fn average(&self) -> f64 {
        let time: f64 = self
            .points
            .windows(2)
            .map(|pair| {
                let ((from, start), (to, end)) = (pair[0], pair[1]);
                let part = to - from;
                if (end - start).abs() < 1e-9 {
                    part / start
                } else {
                    part * (end / start).ln() / (end - start)
                }
            })
            .sum();
        (1e6 / time).round() / 1e6
    }

    /// The points, for a [`Clock`](crate::Clock).
    #[must_use]
    pub fn points(&self) -> Vec<SpeedPoint> {
        let points = self.points.iter();
        points
            .map(|&(at, speed)| SpeedPoint { at, speed })
            .collect()
    }

    /// As documents have it.
    pub(crate) fn document(&self) -> Value {
        let points = self.points.iter().map(|(x, y)| json!({ "x": x, "y": y }));
        json!({
            "id": self.id, "name": self.name, "source_platform": 0,
            "speed_points": points.collect::<Vec<_>>(),
        })
    }
}

fn first<'v>(members: &'v serde_json::Map<String, Value>, names: &[&str]) -> &'v Value {
    let found = names.iter().find_map(|name| members.get(*name));
    found.unwrap_or(&Value::Null)
}

fn wrong(value: &Value) -> Error {
    let names: Vec<&str> = names().collect();
    Error::invalid(format!(
        "`speed_curve` is {value}; it must be {} or points such as [[0, 1], [0.5, 3], [1, 1]]",
        quoted_list(&names)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_that_of_the_time_each_part_takes() {
        let even = SpeedCurve::read(&json!([[0, 2], [1, 2]])).unwrap();
        assert_eq!(even.average(), 2.0);
        // Half of the file at factor 1 and half at factor 3 take (0.5 + 0.5 / 3) of the time.
        let halves = SpeedCurve::read(&json!([[0, 1], [0.5, 1], [0.500_001, 3], [1, 3]])).unwrap();
        assert!(
            (halves.average() - 1.5).abs() < 1e-4,
            "{}",
            halves.average()
        );
    }

    #[test]
    fn names_and_points_are_read_in_common_forms() {
        for value in [
            json!("Montage"),
            json!("蒙太奇"),
            json!("jump cut"),
            json!("Bullet-Time"),
        ] {
            assert!(SpeedCurve::read(&value).is_ok(), "{value}");
        }
        let forms = [
            json!([[0, 1], [1, 3]]),
            json!([{ "x": 0, "y": "1x" }, { "at": "100%", "speed": 3 }]),
            json!({ "points": [[0, 1], [1, 3]] }),
        ];
        for value in forms {
            let curve = SpeedCurve::read(&value).unwrap();
            assert_eq!(curve.points, [(0.0, 1.0), (1.0, 3.0)], "{value}");
        }
        for (value, expected) in [
            (json!("montag"), "did you mean \"montage\""),
            (json!([[0, 1]]), "two points"),
            (json!([[0, 1], [0.5, 50]]), "factor from 0.1 to 10"),
            (json!([[0.5, 1], [0.2, 2]]), "order"),
            (json!(7), "must be"),
        ] {
            let error = SpeedCurve::read(&value).unwrap_err();
            let text = format!("{} {}", error.message, error.hint.unwrap_or_default());
            assert!(text.contains(expected), "{value}: {text}");
        }
    }
}
