//! How argument values are read: likely mistakes and accepted notations. Units and ranges are those of the list of
//! properties, [`capcut_draft::PROPERTIES`].
//!
//! [`of`] gives the row of an argument by its name and [`ArgumentRow::read`] brings a value into the form of the schema: `"50%"` for a volume becomes 0.5, `"1:30"` for a time 90, `"red"`
//! for a colour `"#FF0000"`. An impossible value gives an error with the unit, the range and the likely meaning; a
//! possible but unusual value gives a note.
//!
//! Plans: the arguments of an item go through [`Spec::normalize_item`](crate::tool::Spec::normalize_item), which applies
//! these rows, blanks (`""`, `"none"`), other names and defaults exactly as for a call, and returns the notes for the
//! item's row of the report. It requires no `draft_id`, sets no times, and refuses `null`. What only a plan has (such as
//! the `duration` of a text) is read with the row directly: `property::of("duration")`, for example.

mod colour;
mod notation;

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter;
use std::ops::Deref;
use std::sync::LazyLock;

use capcut_draft::measure::{self, Measure};

use capcut_draft::{PROPERTIES, Property, PropertyArgument, PropertyDefault, Unit};
use serde_json::Value;

pub(crate) use colour::Colour;
pub(crate) use notation::{decimal, json};

use crate::error::shortened;

/// The seconds that a text stands for: `"1:30"`, `"5 seconds"`, `"1 分 30 秒"`.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    notation::number(Unit::Seconds, text)
}

/// How the values of an argument are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArgumentRow(&'static Measure);

impl Deref for ArgumentRow {
    type Target = Measure;

    fn deref(&self) -> &Measure {
        self.0
    }
}

/// The row of a tool's argument; none for text, switches, counts and similar arguments.
pub(crate) fn of(argument: &str) -> Option<ArgumentRow> {
    if let Some(listed) = listed(argument) {
        return of_measure(listed.measure);
    }
    let measure = match argument {
        "start" | "end" | "duration" | "target_start" | "time" | "times" | "at" | "from" | "to"
        | "source_start" | "source_end" | "start_time" | "end_time" => &measure::TIME,
        "time_offset" => &measure::SHIFT,
        "width" | "height" => &measure::PIXELS,
        "draft_id" | "job_id" | "task_id" | "resume" | "video_url" | "audio_url" | "image_url"
        | "property_type" => &measure::WORD,
        _ => return None,
    };
    Some(ArgumentRow(measure))
}

/// The entry of the list of properties for an argument of a tool that adds clips.
pub(crate) fn listed(argument: &str) -> Option<&'static PropertyArgument> {
    static BY_NAME: LazyLock<HashMap<&str, &Property>> = LazyLock::new(|| {
        let mut by_name = HashMap::new();
        for property in PROPERTIES {
            for name in iter::once(&property.name).chain(property.aliases) {
                by_name.entry(*name).or_insert(property);
            }
        }
        by_name
    });
    BY_NAME.get(argument)?.argument.as_ref()
}

/// The default of an argument of a tool, as JSON; none for names, which depend on the edition.
pub(crate) fn default_in(argument: &str, tool: &str) -> Option<Value> {
    let property = Property::named(argument)?;
    if property.resource().is_some() {
        return None;
    }
    match property.default_in(tool) {
        PropertyDefault::Number(number) => Some(json(number)),
        PropertyDefault::Switch(on) => Some(on.into()),
        PropertyDefault::Text(text) => Some(text.into()),
        _ => None,
    }
}

/// The row of a keyframe's value, by what it changes.
pub(crate) fn of_keyframe(property_type: &str) -> Option<ArgumentRow> {
    match property_type {
        "position_x" | "position_y" => Some(ArgumentRow(&measure::KEYFRAME_POSITION)),
        "uniform_scale" => Some(ArgumentRow(&measure::SCALE)),
        "saturation" | "contrast" | "brightness" => Some(ArgumentRow(&measure::ADJUSTMENT)),
        other => of(other).or_else(|| of_property(other)),
    }
}

/// The row of a property of clips.
pub(crate) fn of_property(name: &str) -> Option<ArgumentRow> {
    of_measure(Property::named(name)?.measure)
}

/// The row of a measure that has notations.
fn of_measure(measure: &'static Measure) -> Option<ArgumentRow> {
    let is_read = !matches!(
        measure.unit,
        Unit::Switch
            | Unit::Choice(_)
            | Unit::Words
            | Unit::Plain
            | Unit::Crop
            | Unit::Box
            | Unit::SpeedCurve
            | Unit::LoudnessCurve
            | Unit::TextParts
    );
    is_read.then_some(ArgumentRow(measure))
}

/// The row of a member of an object within an argument, such as `text_styles[0].style.color`.
pub(crate) fn of_member(name: &str) -> Option<ArgumentRow> {
    match name {
        "size" | "color" | "alpha" | "font" => of(name),
        _ => None,
    }
}

/// What was found while reading a value.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ParsedValue {
    /// What is unusual about the value.
    pub note: Option<String>,
    /// The opacity of a colour that has one.
    pub alpha: Option<f64>,
}

impl ArgumentRow {
    /// Brings a value into the form of the schema. Values of another type are left to the schema's check.
    pub(crate) fn read(self, value: &mut Value) -> Result<ParsedValue, String> {
        match self.unit {
            Unit::Color => self.colour(value),
            Unit::NumericId => self.numeric_id(value),
            Unit::Word => {
                trim(value);
                Ok(ParsedValue::default())
            }
            _ => self.number(value),
        }
    }

    /// The number that a value stands for, for messages and comparisons.
    pub(crate) fn value(self, value: &Value) -> Option<f64> {
        match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => notation::number(self.unit, text),
            _ => None,
        }
    }

    /// Checks a number.
    pub(crate) fn check(self, number: f64) -> Result<Option<String>, String> {
        let (low, high) = self.range;
        if !(low..=high).contains(&number) {
            let meant = self
                .meant(number)
                .map_or(String::new(), |meant| format!("; {meant}"));
            return Err(format!("is {number}; it must be {}{meant}", self.says));
        }
        let (low, high) = self.usual;
        if (low..=high).contains(&number) {
            return Ok(None);
        }
        let meant = self
            .meant(number)
            .map_or(String::new(), |meant| format!("; {meant}"));
        Ok(Some(format!(
            "is {number}, which is unusual: it is {}{meant}",
            self.says
        )))
    }

    fn number(self, value: &mut Value) -> Result<ParsedValue, String> {
        let number = match &*value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match notation::number(self.unit, text) {
                Some(number) => {
                    let read = self
                        .check(number)
                        .map_err(|fault| sent_as(&fault, number, text));
                    *value = json(number);
                    return Ok(ParsedValue {
                        note: read?,
                        ..ParsedValue::default()
                    });
                }
                // The schema's check reports text that holds no number at all.
                None if !text.bytes().any(|byte| byte.is_ascii_digit()) => None,
                None => {
                    let meant = notation::meant(self.unit, text)
                        .map_or(String::new(), |meant| format!("; {meant}"));
                    return Err(format!(
                        "is {:?}, which cannot be read; it must be {}{meant}",
                        shortened(text),
                        self.says
                    ));
                }
            },
            Value::Array(_) => return self.list(value),
            _ => None,
        };
        let note = number.map_or(Ok(None), |number| self.check(number))?;
        Ok(ParsedValue {
            note,
            ..ParsedValue::default()
        })
    }

    fn list(self, value: &mut Value) -> Result<ParsedValue, String> {
        let Value::Array(items) = value else {
            return Ok(ParsedValue::default());
        };
        let item_row = match self.unit {
            Unit::Parameters => Self(&measure::STRENGTH),
            _ => self,
        };
        let mut note = None;
        for (index, item) in items.iter_mut().enumerate() {
            if let Value::Array(_) = item {
                continue;
            }
            let read = item_row
                .number(item)
                .map_err(|fault| format!("[{index}] {fault}"))?;
            note = note.or(read.note.map(|note| format!("[{index}] {note}")));
        }
        Ok(ParsedValue {
            note,
            ..ParsedValue::default()
        })
    }

    /// The probable meaning of a number that is unusual or outside the range.
    fn meant(self, number: f64) -> Option<String> {
        let tidy = |number: f64| (number * 1000.0).round() / 1000.0;
        let percent = || Some(format!("did you mean {}?", tidy(number / 100.0)));
        match self.unit {
            Unit::Seconds if number < 0.0 => Some("did you mean 0?".to_owned()),
            Unit::Seconds if number >= 1e6 => {
                Some(format!("did you mean {}?", tidy(number / 1e6)))
            }
            Unit::Seconds if number > 1000.0 => {
                Some(format!("did you mean {}?", tidy(number / 1e3)))
            }
            Unit::Loudness if number < 0.0 => Some(format!(
                "did you mean 0 (silent) or \"{number}dB\" ({})?",
                tidy(notation::loudness(number))
            )),
            Unit::Loudness if (10.0..=1000.0).contains(&number) => percent(),
            Unit::Opacity if number > 100.0 && number <= 255.0 => {
                Some(format!("did you mean {}?", tidy(number / 255.0)))
            }
            Unit::Opacity if number > 1.0 && number < 2.0 => Some("did you mean 1?".to_owned()),
            Unit::Opacity if number > 1.0 && number <= 100.0 => percent(),
            Unit::Adjustment if number.abs() > 1.0 && number.abs() <= 100.0 => percent(),
            Unit::Scale if number > 500.0 => Some(
                "for a size in pixels give `position` as {x, y, width, height}".to_owned(),
            ),
            Unit::Scale if number > 10.0 => percent(),
            Unit::HalfCanvas if number.abs() > 20.0 => Some(
                "for pixels write \"100px\", or give `position` as {x, y} from the upper left corner"
                    .to_owned(),
            ),
            Unit::FontSize if number > 300.0 => Some(format!(
                "if you meant pixels, use about {}",
                (number / PIXELS_PER_SIZE).round()
            )),
            Unit::FontSize if number < 1.0 => Some("did you mean 8?".to_owned()),
            Unit::Fraction if number > 1.0 && number <= 100.0 => percent(),
            Unit::Strength if number > 100.0 => Some("did you mean 100?".to_owned()),
            Unit::Speed if number > 10.0 => percent(),
            Unit::Speed if number <= 0.0 => Some("did you mean 1?".to_owned()),
            _ => None,
        }
    }

    fn colour(self, value: &mut Value) -> Result<ParsedValue, String> {
        let text = match &*value {
            Value::String(text) => text,
            Value::Number(number) => {
                let meant = colour::of_number(number)
                    .map_or(String::new(), |meant| format!("; did you mean {meant:?}?"));
                return Err(format!(
                    "is the number {number}; it must be text: {}{meant}",
                    self.says
                ));
            }
            _ => return Ok(ParsedValue::default()),
        };
        // The usual form needs no conversion.
        if colour::is_plain(text) {
            return Ok(ParsedValue::default());
        }
        match Colour::read(text) {
            Ok(read) => {
                *value = Value::String(read.code());
                Ok(ParsedValue {
                    alpha: (read.alpha < 1.0).then_some(read.alpha),
                    ..ParsedValue::default()
                })
            }
            Err(near) => {
                let meant = match near {
                    Some(near) => format!("; did you mean {near:?}?"),
                    None if text.trim_start().starts_with('#') => {
                        "; after `#` come 3, 6 or 8 digits from 0 to 9 and A to F".to_owned()
                    }
                    None => String::new(),
                };
                Err(format!(
                    "is {:?}, which is not a colour; it must be {}{meant}",
                    shortened(text),
                    self.says
                ))
            }
        }
    }

    fn numeric_id(self, value: &mut Value) -> Result<ParsedValue, String> {
        trim(value);
        let text: Cow<'_, str> = match &*value {
            Value::String(text) => text.as_str().into(),
            Value::Number(number) => number.to_string().into(),
            _ => return Ok(ParsedValue::default()),
        };
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(ParsedValue::default());
        }
        let lost = if text.bytes().any(|byte| matches!(byte, b'e' | b'.')) && value.is_number() {
            "; send it as text, because it is too long for a JSON number"
        } else {
            ""
        };
        Err(format!(
            "is {:?}; it must be {}, for example \"7132097333274250789\"{lost}",
            shortened(&text),
            self.says
        ))
    }
}

/// Height in pixels of letters of size 1 on a canvas whose shorter side is 1080.
pub(crate) const PIXELS_PER_SIZE: f64 = 5.0;

/// The largest of the usual sizes.
const USUAL_SIZE: f64 = 15.0;

/// A note for text in a large font that is wider than the canvas.
pub(crate) fn too_wide(text: &str, size: f64, canvas: (f64, f64)) -> Option<String> {
    // Letters are about half as wide as high; those of Chinese, Japanese and Korean are as wide as high.
    let width = |line: &str| -> f64 {
        line.chars()
            .map(|c| if c >= '\u{1100}' { 1.0 } else { 0.5 })
            .sum()
    };
    let widest = text.lines().map(width).fold(0.0, f64::max);
    let letter = PIXELS_PER_SIZE * canvas.0.min(canvas.1) / 1080.0;
    let pixels = widest * letter * size;
    (size > USUAL_SIZE && pixels > canvas.0).then(|| {
        format!(
            "the text is about {} pixels wide at `font_size` {size}, and the canvas is {}: usual sizes are 5 to 15",
            (pixels / 10.0).round() * 10.0,
            canvas.0
        )
    })
}

/// Puts the text that was sent into a message, in place of the number that it stands for.
fn sent_as(fault: &str, number: f64, text: &str) -> String {
    fault.replacen(
        &format!("is {number}"),
        &format!("is {:?}", shortened(text.trim())),
        1,
    )
}

/// Removes surrounding blanks and line breaks, which copied ids and URLs often have.
fn trim(value: &mut Value) {
    if let Value::String(text) = value
        && (text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace))
    {
        *text = text.trim().to_owned();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(argument: &str, value: Value) -> Result<(Value, ParsedValue), String> {
        let mut value = value;
        let read = of(argument).expect("a row").read(&mut value)?;
        Ok((value, read))
    }

    #[track_caller]
    fn becomes(argument: &str, rows: &[(Value, Value)]) {
        for (value, expected) in rows {
            let (got, _) = read(argument, value.clone()).unwrap_or_else(|e| panic!("{value} {e}"));
            assert_eq!(got, *expected, "{argument} {value}");
        }
    }

    #[track_caller]
    fn refused(argument: &str, rows: &[(Value, &str)]) {
        for (value, expected) in rows {
            let fault = read(argument, value.clone()).expect_err("a problem");
            assert!(fault.contains(expected), "{argument} {value}: {fault}");
        }
    }

    #[test]
    fn times_are_read_in_common_notations() {
        becomes(
            "start",
            &[
                (json!(1.5), json!(1.5)),
                (json!("1.5"), json!(1.5)),
                (json!("1,5"), json!(1.5)),
                (json!("1:30"), json!(90)),
                (json!("00:01:30.5"), json!(90.5)),
                (json!("00:01:30,5"), json!(90.5)),
                (json!("90s"), json!(90)),
                (json!("1500ms"), json!(1.5)),
                (json!("2 min"), json!(120)),
                (json!("1m2"), json!(62)),
                (json!("1h2m3.5s"), json!(3723.5)),
                (json!("1 分 30 秒"), json!(90)),
                (json!("90 seconds"), json!(90)),
                (json!("９０"), json!(90)),
                (json!("１：３０"), json!(90)),
                (json!("１．５ 秒"), json!(1.5)),
            ],
        );
        refused(
            "start",
            &[
                (json!(-1), "from 0 to 86400"),
                (json!("-1s"), "is \"-1s\""),
                (json!("1,500"), "write 1.500 or 1500"),
                (json!("0:01:19:24"), "from 0 to 86400"),
                (json!("1:75"), "from 0 to 86400"),
                (json!(90_000), "did you mean 90?"),
                (json!(5_000_000), "did you mean 5?"),
            ],
        );
    }

    #[test]
    fn factors_are_also_read_in_percent_and_decibels() {
        becomes(
            "volume",
            &[
                (json!("50%"), json!(0.5)),
                (json!("-6dB"), json!(0.501_187)),
                (json!("0 dB"), json!(1)),
                (json!(0.8), json!(0.8)),
                (json!("0,8"), json!(0.8)),
            ],
        );
        becomes("alpha", &[(json!("50 %"), json!(0.5))]);
        becomes(
            "scale_x",
            &[(json!("150%"), json!(1.5)), (json!("2x"), json!(2))],
        );
        becomes(
            "speed",
            &[(json!("2x"), json!(2)), (json!("50%"), json!(0.5))],
        );
        becomes(
            "params",
            &[(json!(["50%", 20, null]), json!([50, 20, null]))],
        );
        becomes(
            "rotation",
            &[(json!("45deg"), json!(45)), (json!("-90°"), json!(-90))],
        );
        becomes("width", &[(json!("1080px"), json!(1080))]);
    }

    #[test]
    fn impossible_values_are_refused_with_unit_range_and_likely_meaning() {
        refused(
            "volume",
            &[
                (json!(80), "0 to 10, 1 is unchanged; did you mean 0.8?"),
                (json!("80"), "is \"80\""),
                (json!(100), "did you mean 1?"),
                (json!(-1), "did you mean 0 (silent) or \"-1dB\""),
            ],
        );
        refused(
            "alpha",
            &[
                (json!(50), "did you mean 0.5?"),
                (json!(-0.1), "0 (invisible)"),
            ],
        );
        refused(
            "scale_x",
            &[(json!(3119), "in pixels"), (json!(-1), "a factor")],
        );
        refused(
            "transform_x",
            &[(json!(7568.6), "half canvases"), (json!(-21), "pixels")],
        );
        refused(
            "font_size",
            &[
                (json!(0), "1 to 300"),
                (json!(-3), "1 to 300"),
                (json!(1000), "about 200"),
                (json!("48px"), "about 10"),
            ],
        );
        refused(
            "sticker_id",
            &[(json!("smile"), "digits"), (json!(7.2e18), "digits")],
        );
        refused("params", &[(json!([10, 400]), "[1] is 400")]);
        refused("speed", &[(json!(0), "above 0"), (json!(-2), "above 0")]);
    }

    #[test]
    fn unusual_values_get_a_note() {
        for (argument, value) in [
            ("volume", json!(5)),
            ("scale_x", json!(15)),
            ("transform_y", json!(3)),
            ("speed", json!(50)),
            ("transition_duration", json!(100)),
        ] {
            let (_, read) = read(argument, value).expect("a value");
            assert!(read.note.expect("a note").contains("unusual"), "{argument}");
        }
        let (_, read) = read("volume", json!(1)).expect("a value");
        assert_eq!(read, ParsedValue::default());
    }

    #[test]
    fn colours_are_read_in_common_notations() {
        becomes(
            "font_color",
            &[
                (json!("#FFCC00"), json!("#FFCC00")),
                (json!("ffcc00"), json!("#FFCC00")),
                (json!("#fc0"), json!("#FFCC00")),
                (json!(" Red "), json!("#FF0000")),
                (json!("rgb(255, 204, 0)"), json!("#FFCC00")),
                (json!("红色"), json!("#FF0000")),
                (json!("light blue"), json!("#ADD8E6")),
            ],
        );
        let (value, read) = read("font_color", json!("rgba(255, 0, 0, 0.5)")).expect("a colour");
        assert_eq!((value, read.alpha), (json!("#FF0000"), Some(0.5)));
        refused(
            "font_color",
            &[
                (json!(16_711_680), "did you mean \"#FF0000\"?"),
                (json!(112_233), "did you mean \"#112233\"?"),
                (json!("16711680"), "did you mean \"#FF0000\"?"),
                (json!("rred"), "did you mean \"red\"?"),
                (json!("#12345"), "not a colour"),
            ],
        );
    }

    #[test]
    fn large_text_wider_than_the_canvas_gets_a_note() {
        let sentence = "A normal sentence of eight words, like this";
        let note = too_wide(sentence, 48.0, (1080.0, 1920.0)).expect("a note");
        assert!(
            note.contains("`font_size` 48") && note.contains("usual sizes are 5 to 15"),
            "{note}"
        );
        assert!(too_wide("一句普通的字幕文字", 48.0, (1080.0, 1920.0)).is_some());
        for (text, size) in [
            (sentence, 8.0),
            ("Hello", 48.0),
            (sentence, 15.0),
            ("a\nb\nc\nd\ne\nf", 48.0),
        ] {
            assert_eq!(
                too_wide(text, size, (1080.0, 1920.0)),
                None,
                "{text} {size}"
            );
        }
    }

    #[test]
    fn keyframe_values_are_read_by_the_same_rows() {
        for (property, value, expected) in [
            ("alpha", json!("50%"), json!(0.5)),
            ("alpha", json!(0.25), json!(0.25)),
            ("volume", json!("-6dB"), json!(0.501_187)),
            ("rotation", json!("45deg"), json!(45)),
            ("rotation", json!("-90°"), json!(-90)),
            ("uniform_scale", json!("150%"), json!(1.5)),
            ("brightness", json!("+0.2"), json!(0.2)),
            ("contrast", json!("-20%"), json!(-0.2)),
            ("position_x", json!("0,5"), json!(0.5)),
        ] {
            let mut read = value.clone();
            of_keyframe(property)
                .expect("a row")
                .read(&mut read)
                .expect("read");
            assert_eq!(read, expected, "{property} {value}");
        }
        for (property, value, expected) in [
            (
                "alpha",
                json!("150%"),
                "is \"150%\"; it must be from 0 (invisible) to 1 (opaque); did you mean 1?",
            ),
            ("alpha", json!(80), "did you mean 0.8?"),
            (
                "volume",
                json!(100),
                "0 to 10, 1 is unchanged; did you mean 1?",
            ),
            (
                "saturation",
                json!(50),
                "from -1 to 1, 0 is unchanged, such as \"+0.2\"; did you mean 0.5?",
            ),
            ("position_x", json!(540), "half canvases"),
            ("scale_x", json!(3000), "in pixels"),
        ] {
            let mut read = value.clone();
            let fault = of_keyframe(property)
                .expect("a row")
                .read(&mut read)
                .expect_err("a problem");
            assert!(fault.contains(expected), "{property} {value}: {fault}");
        }
    }

    #[test]
    fn surrounding_blanks_of_ids_and_names_are_removed() {
        becomes(
            "draft_id",
            &[(json!("dfd_cat_1_ab\n"), json!("dfd_cat_1_ab"))],
        );
        becomes(
            "sticker_id",
            &[
                (json!(" 7132\n"), json!("7132")),
                (json!(7132), json!(7132)),
            ],
        );
    }
}
