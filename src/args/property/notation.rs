//! Number notations: `50%`, `-6dB`, `1:30`, `1080px`, `0,8`.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use capcut_draft::Unit;
use serde_json::{Number, Value};

use super::PIXELS_PER_SIZE;

/// The number that a text stands for in this unit.
pub(super) fn number(unit: Unit, text: &str) -> Option<f64> {
    let text = half_width(text.trim());
    let text = text.as_ref();
    if let Some(number) = decimal(text) {
        return Some(number);
    }
    let lower = text.to_lowercase();
    let before = |ends: &[&str]| {
        let rest = ends.iter().find_map(|end| lower.strip_suffix(end))?;
        decimal(rest)
    };
    let percent = || before(&["%", "％", "percent"]);
    match unit {
        Unit::Seconds => time(text),
        Unit::Loudness => percent()
            .map(|number| number / 100.0)
            .or_else(|| before(&["db"]).map(loudness))
            .or_else(|| before(&["x", "×", "倍"])),
        Unit::Opacity | Unit::Adjustment => percent().map(|number| number / 100.0),
        Unit::Scale | Unit::Speed => percent()
            .map(|number| number / 100.0)
            .or_else(|| before(&["x", "×", "倍"]))
            .or_else(|| decimal(lower.strip_prefix('x')?)),
        Unit::Strength => percent(),
        Unit::Pixels => before(&["px", "pixels", "像素"]),
        Unit::FontSize => before(&["pt"]),
        Unit::Degrees => before(&["degrees", "deg", "°", "度"]),
        Unit::Fraction => percent().map(|number| number / 100.0),
        _ => None,
    }
    .map(tidy)
}

/// Advice for a text that cannot be read.
pub(super) fn meant(unit: Unit, text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    match unit {
        Unit::FontSize => {
            let pixels = decimal(text.strip_suffix("px")?)?;
            Some(format!(
                "{text} is about {}",
                (pixels / PIXELS_PER_SIZE).round()
            ))
        }
        Unit::HalfCanvas if text.ends_with('%') => Some(
            "write 0% of the canvas as -1, 50% as 0 and 100% as 1; or give `position` as {x, y} in pixels"
                .to_owned(),
        ),
        Unit::Seconds if text.contains(':') => {
            Some("after a colon, minutes and seconds are from 0 to 59".to_owned())
        }
        _ if text.contains(',') => {
            let point = text.replacen(',', ".", 1);
            let grouped = text.replace(',', "");
            let is_number = |text: &str| number(unit, text).is_some();
            (is_number(&point) && is_number(&grouped)).then(|| {
                format!("the comma may be a decimal point or separate thousands: write {point} or {grouped}")
            })
        }
        _ => None,
    }
}

/// Full-width digits and signs, which Chinese input methods write, as those of ASCII.
fn half_width(text: &str) -> Cow<'_, str> {
    const FULL_WIDTH: RangeInclusive<char> = '！'..='～';
    if !text.contains(|letter| FULL_WIDTH.contains(&letter)) {
        return text.into();
    }
    let plain = text.chars().map(|letter| match letter {
        letter if FULL_WIDTH.contains(&letter) => {
            char::from_u32(letter as u32 - 0xfee0).unwrap_or(letter)
        }
        other => other,
    });
    plain.collect::<String>().into()
}

/// Converts decibels to a factor.
pub(super) fn loudness(decibels: f64) -> f64 {
    10_f64.powf(decibels / 20.0)
}

/// A finite number. A comma is read as the decimal point, unless it may separate thousands.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let text = half_width(text.trim());
    let read = match text.split_once(',') {
        None => text.parse(),
        Some((whole, part)) => {
            let digits = whole.trim_start_matches(['-', '+']);
            let is_point = !digits.is_empty()
                && !part.is_empty()
                && digits
                    .bytes()
                    .chain(part.bytes())
                    .all(|byte| byte.is_ascii_digit())
                && (part.len() != 3 || digits.len() > 3 || digits.starts_with('0'));
            if !is_point {
                return None;
            }
            format!("{whole}.{part}").parse()
        }
    };
    read.ok().filter(|number: &f64| number.is_finite())
}

/// Units of time; within a unit, longer names come before their prefixes.
const TIMES: [(&[&str], f64); 5] = [
    (&["hours", "hour", "hrs", "hr", "h", "小时", "时"], 3600.0),
    (
        &["minutes", "minute", "mins", "min", "m", "分钟", "分"],
        60.0,
    ),
    (
        &["seconds", "second", "secs", "sec", "s", "秒钟", "秒", ""],
        1.0,
    ),
    (&["milliseconds", "millisecond", "msec", "ms", "毫秒"], 1e-3),
    (&["microseconds", "microsecond", "us", "µs", "微秒"], 1e-6),
];

/// Seconds: `1.5`, `90s`, `1500ms`, `2 min`, `1h2m3s`, `1:30`, `00:01:30.5`.
fn time(text: &str) -> Option<f64> {
    let text = text.trim().to_lowercase().replace('：', ":");
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest.trim()),
        None => (1.0, text.as_str()),
    };
    let seconds = if text.contains(':') {
        clock(text)?
    } else {
        with_units(text)?
    };
    Some(tidy(sign * seconds))
}

/// `minutes:seconds` or `hours:minutes:seconds`.
fn clock(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let (last, whole) = parts.split_last()?;
    if !(1..=2).contains(&whole.len()) {
        return None;
    }
    let seconds = last.replace(',', ".");
    let plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let seconds: f64 = seconds.parse().ok().filter(|_| plain(&seconds))?;
    let mut total = 0.0;
    for (index, part) in whole.iter().enumerate() {
        let number: u32 = part.parse().ok()?;
        if index > 0 && number >= 60 {
            return None;
        }
        total = total * 60.0 + f64::from(number);
    }
    (seconds < 60.0).then_some(total * 60.0 + seconds)
}

fn with_units(text: &str) -> Option<f64> {
    let (mut rest, mut total, mut next) = (text, 0.0, 0);
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','))
            .unwrap_or(rest.len());
        let number = decimal(&rest[..end])?;
        rest = rest[end..].trim_start();
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c.is_whitespace())
            .unwrap_or(rest.len());
        let unit = rest[..end].trim_end_matches(['.', ',']);
        rest = rest[end..].trim_start();
        let place = TIMES.iter().position(|(names, _)| names.contains(&unit))?;
        // Units must descend from hours, and each may occur once.
        if place < next {
            return None;
        }
        next = place + 1;
        total += number * TIMES[place].1;
    }
    (next > 0).then_some(total)
}

/// Rounds to six decimals, to remove the noise of binary fractions.
fn tidy(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// A number as JSON; whole numbers have no fraction.
pub(crate) fn json(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9.0e15 {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
