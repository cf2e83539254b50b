//! The properties of clips that `set` changes: one list with units, ranges, defaults, and where a document has them.

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result, nearest, quoted_list};
use crate::kinds::ClipKind::{
    self, Adjust, Audio, Compound, Effect, Filter, Image, Sticker, Text, TextTemplate, Unknown,
    Video,
};

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A factor; 1 is unchanged.
    Factor,
    /// From 0, invisible, to 1, opaque.
    Opacity,
    /// Half canvases from the centre; right and up are positive.
    HalfCanvas,
    /// Degrees, clockwise.
    Degrees,
    /// Seconds.
    Seconds,
    /// From 0 to 100.
    Strength,
    /// A part of the whole, from 0 to 1.
    Fraction,
    /// The size of letters on the app's scale.
    FontSize,
    /// As the app stores it.
    Plain,
    /// `true` or `false`.
    Switch,
    /// `#RRGGBB`.
    Color,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Any text.
    Words,
}

/// Where a document has a property.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Storage {
    /// In the clip itself.
    Clip(&'static [&'static str]),
    /// In the material of the clip; the stored value is the given one times a factor.
    Material(&'static [&'static str], f64),
    /// In an additional material of one of these lists.
    Companion(&'static [&'static str], &'static [&'static str], f64),
    /// In the styles of a text: the path in each style, and the key of the material that repeats it.
    Style(&'static [&'static str], Option<&'static str>),
    /// More than one value depends on it.
    Special,
}

/// A property of clips.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Property {
    pub name: &'static str,
    /// Other names that are accepted.
    pub aliases: &'static [&'static str],
    /// What it is, in a few words.
    pub about: &'static str,
    pub unit: Unit,
    /// Values outside are refused.
    pub range: (f64, f64),
    /// What a clip has without it, as JSON.
    pub default: &'static str,
    /// The kinds of clips that have it.
    pub kinds: &'static [ClipKind],
    pub(crate) storage: Storage,
}

const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
const SOUND: &[ClipKind] = &[Video, Audio, Compound];
const PICTURE: &[ClipKind] = &[Video, Image, Sticker, Text, Compound, TextTemplate];
const MASKED: &[ClipKind] = &[Video, Image, Compound];
const WORDS: &[ClipKind] = &[Text];
const ALL: &[ClipKind] = &[
    Video,
    Image,
    Audio,
    Text,
    Sticker,
    Effect,
    Filter,
    Adjust,
    Compound,
    TextTemplate,
    Unknown,
];
const MASKS: &[&str] = &["common_mask", "masks"];

const fn row(
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    (unit, low, high): (Unit, f64, f64),
    default: &'static str,
    kinds: &'static [ClipKind],
    storage: Storage,
) -> Property {
    Property {
        name,
        aliases,
        about,
        unit,
        range: (low, high),
        default,
        kinds,
        storage,
    }
}

use Storage::{Clip, Companion, Material, Special, Style};

const SWITCH: (Unit, f64, f64) = (Unit::Switch, ANY.0, ANY.1);
const COLOR: (Unit, f64, f64) = (Unit::Color, ANY.0, ANY.1);
const OPACITY: (Unit, f64, f64) = (Unit::Opacity, 0.0, 1.0);
const FRACTION: (Unit, f64, f64) = (Unit::Fraction, 0.0, 1.0);
const STRENGTH: (Unit, f64, f64) = (Unit::Strength, 0.0, 100.0);
const HALF: (Unit, f64, f64) = (Unit::HalfCanvas, -20.0, 20.0);
const FACTOR: (Unit, f64, f64) = (Unit::Factor, 0.0, 20.0);
const ANGLE: (Unit, f64, f64) = (Unit::Degrees, -36_000.0, 36_000.0);
const SECONDS: (Unit, f64, f64) = (Unit::Seconds, 0.0, 86_400.0);
const ALIGNMENTS: Unit = Unit::Choice(&["left", "center", "right"]);

/// All properties.
#[rustfmt::skip]
pub static PROPERTIES: [Property; 49] = [
    row("volume", &["loudness"], "loudness", FACTOR, "1.0", SOUND, Special),
    row("speed", &[], "playback speed; the clip's length changes with it", (Unit::Factor, 0.1, 100.0), "1.0", SOUND, Special),
    row("visible", &[], "whether the clip is shown", SWITCH, "true", ALL, Clip(&["visible"])),
    row("opacity", &["alpha", "font_alpha"], "opacity", OPACITY, "1.0", PICTURE, Special),
    row("scale", &["uniform_scale"], "size, both ways", FACTOR, "1.0", PICTURE, Special),
    row("scale_x", &[], "width", FACTOR, "1.0", PICTURE, Special),
    row("scale_y", &[], "height", FACTOR, "1.0", PICTURE, Special),
    row("position_x", &["transform_x", "x"], "distance from the centre to the right", HALF, "0.0", PICTURE, Clip(&["clip", "transform", "x"])),
    row("position_y", &["transform_y", "y"], "distance from the centre upwards", HALF, "0.0", PICTURE, Clip(&["clip", "transform", "y"])),
    row("rotation", &["angle"], "rotation", ANGLE, "0.0", PICTURE, Clip(&["clip", "rotation"])),
    row("flip_horizontal", &[], "mirrored left to right", SWITCH, "false", PICTURE, Clip(&["clip", "flip", "horizontal"])),
    row("flip_vertical", &[], "mirrored top to bottom", SWITCH, "false", PICTURE, Clip(&["clip", "flip", "vertical"])),
    row("fade_in", &[], "length of the fade-in of the sound", SECONDS, "0.0", SOUND, Special),
    row("fade_out", &[], "length of the fade-out of the sound", SECONDS, "0.0", SOUND, Special),
    row("transition_duration", &[], "length of the transition to the next clip", SECONDS, "0.0", MASKED, Special),
    row("background_blur", &[], "blur of the background behind the clip; 0 is none", FRACTION, "0.0", MASKED, Special),
    row("strength", &["intensity"], "strength of a filter or effect", STRENGTH, "100.0", &[Effect, Filter], Material(&["value"], 0.01)),
    row("mask_center_x", &[], "centre of the mask, to the right", HALF, "0.0", MASKED, Companion(MASKS, &["config", "centerX"], 1.0)),
    row("mask_center_y", &[], "centre of the mask, upwards", HALF, "0.0", MASKED, Companion(MASKS, &["config", "centerY"], 1.0)),
    row("mask_width", &["mask_rect_width"], "width of the mask", (Unit::Fraction, 0.0, 10.0), "0.5", MASKED, Companion(MASKS, &["config", "width"], 1.0)),
    row("mask_height", &["mask_size"], "height of the mask", (Unit::Fraction, 0.0, 10.0), "0.5", MASKED, Companion(MASKS, &["config", "height"], 1.0)),
    row("mask_rotation", &[], "rotation of the mask", ANGLE, "0.0", MASKED, Companion(MASKS, &["config", "rotation"], 1.0)),
    row("mask_feather", &[], "soft edge of the mask", STRENGTH, "0.0", MASKED, Companion(MASKS, &["config", "feather"], 0.01)),
    row("mask_round_corner", &[], "rounding of the mask's corners", STRENGTH, "0.0", MASKED, Companion(MASKS, &["config", "roundCorner"], 0.01)),
    row("mask_invert", &[], "shows what is outside the mask", SWITCH, "false", MASKED, Companion(MASKS, &["config", "invert"], 1.0)),
    row("text", &["words"], "the words", (Unit::Words, ANY.0, ANY.1), "\"\"", WORDS, Special),
    row("font_size", &["size"], "size of the letters, usually 5 to 15", (Unit::FontSize, 1.0, 300.0), "8.0", WORDS, Style(&["size"], Some("font_size"))),
    row("font_color", &["color", "text_color"], "colour of the letters", COLOR, "\"#FFFFFF\"", WORDS, Special),
    row("bold", &[], "bold letters", SWITCH, "false", WORDS, Special),
    row("italic", &[], "slanted letters", SWITCH, "false", WORDS, Special),
    row("underline", &[], "underlined letters", SWITCH, "false", WORDS, Style(&["underline"], Some("underline"))),
    row("alignment", &["align"], "alignment of the lines", (ALIGNMENTS, ANY.0, ANY.1), "\"center\"", WORDS, Special),
    row("vertical", &[], "letters from top to bottom", SWITCH, "false", WORDS, Special),
    row("letter_spacing", &[], "space between letters, as the app stores it", (Unit::Plain, -10.0, 100.0), "0.0", WORDS, Material(&["letter_spacing"], 1.0)),
    row("line_spacing", &[], "space between lines, as the app stores it", (Unit::Plain, -10.0, 100.0), "0.02", WORDS, Material(&["line_spacing"], 1.0)),
    row("border_width", &[], "width of the outline; 0 is none", STRENGTH, "0.0", WORDS, Special),
    row("border_color", &[], "colour of the outline", COLOR, "\"#000000\"", WORDS, Special),
    row("border_alpha", &[], "opacity of the outline", OPACITY, "1.0", WORDS, Special),
    row("background_color", &[], "colour behind the text", COLOR, "\"\"", WORDS, Special),
    row("background_alpha", &[], "opacity of the colour behind the text", OPACITY, "1.0", WORDS, Material(&["background_alpha"], 1.0)),
    row("background_round_radius", &[], "rounding of the colour's corners", FRACTION, "0.0", WORDS, Material(&["background_round_radius"], 1.0)),
    row("background_width", &[], "width of the colour behind the text", FRACTION, "0.14", WORDS, Material(&["background_width"], 1.0)),
    row("background_height", &[], "height of the colour behind the text", FRACTION, "0.14", WORDS, Material(&["background_height"], 1.0)),
    row("shadow_enabled", &["shadow"], "whether the text has a shadow", SWITCH, "false", WORDS, Special),
    row("shadow_color", &[], "colour of the shadow", COLOR, "\"#000000\"", WORDS, Special),
    row("shadow_alpha", &[], "opacity of the shadow", OPACITY, "0.9", WORDS, Special),
    row("shadow_angle", &[], "direction of the shadow", ANGLE, "-45.0", WORDS, Special),
    row("shadow_distance", &[], "distance of the shadow", STRENGTH, "5.0", WORDS, Special),
    row("shadow_smoothing", &[], "blur of the shadow", FRACTION, "0.45", WORDS, Special),
];

/// A value of a property that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PropertyValue {
    Number(f64),
    Switch(bool),
    Color([u8; 3]),
    Words(String),
}

impl Property {
    /// The property with this name.
    ///
    /// # Errors
    /// `NotFound` with the nearest names.
    pub fn find(name: &str) -> Result<&'static Self> {
        let hit = PROPERTIES
            .iter()
            .find(|property| property.name == name || property.aliases.contains(&name));
        hit.ok_or_else(|| {
            let names = PROPERTIES.iter().flat_map(|property| {
                std::iter::once(property.name).chain(property.aliases.iter().copied())
            });
            let near = nearest(name, names);
            let hint = if near.is_empty() {
                let names: Vec<&str> = PROPERTIES.iter().map(|property| property.name).collect();
                format!("the properties are {}", names.join(", "))
            } else {
                format!("did you mean {}?", quoted_list(&near))
            };
            Error::not_found(format!("there is no property \"{name}\"")).hint(hint)
        })
    }

    /// Unit and range in words.
    pub fn says(&self) -> String {
        let (low, high) = self.range;
        let range = format!("from {low} to {high}");
        match self.unit {
            Unit::Factor => format!("a factor {range}, 1 is unchanged"),
            Unit::Opacity => "from 0 (invisible) to 1 (opaque)".to_owned(),
            Unit::HalfCanvas => {
                format!("half canvases from the centre, {range}: 1 is the right or upper edge")
            }
            Unit::Degrees => "degrees, clockwise".to_owned(),
            Unit::Seconds => format!("seconds {range}"),
            Unit::Strength | Unit::Fraction | Unit::Plain => range,
            Unit::FontSize => format!("on the app's own scale, {range}"),
            Unit::Switch => "true or false".to_owned(),
            Unit::Color => "a colour such as \"#FFCC00\"".to_owned(),
            Unit::Choice(words) => quoted_list(words),
            Unit::Words => "text".to_owned(),
        }
    }

    pub(crate) fn read(&self, value: &Value) -> Result<PropertyValue> {
        let wrong = || {
            Error::invalid(format!(
                "`{}` is {value}; it must be {}",
                self.name,
                self.says()
            ))
        };
        match (self.unit, value) {
            (Unit::Switch, Value::Bool(on)) => Ok(PropertyValue::Switch(*on)),
            (Unit::Switch, Value::String(text)) => match text.as_str() {
                "true" | "on" | "yes" => Ok(PropertyValue::Switch(true)),
                "false" | "off" | "no" => Ok(PropertyValue::Switch(false)),
                _ => Err(wrong()),
            },
            (Unit::Color, Value::String(text)) => {
                color(text).map(PropertyValue::Color).ok_or_else(wrong)
            }
            (Unit::Choice(words), Value::String(text)) => {
                let index = words
                    .iter()
                    .position(|word| word == text)
                    .ok_or_else(wrong)?;
                Ok(PropertyValue::Number(index as f64))
            }
            (Unit::Words, Value::String(text)) => Ok(PropertyValue::Words(text.clone())),
            (Unit::Switch | Unit::Color | Unit::Choice(_) | Unit::Words, _) => Err(wrong()),
            (_, value) => {
                let number = match value {
                    Value::Number(number) => number.as_f64(),
                    Value::String(text) => text.trim().parse().ok(),
                    _ => None,
                };
                let number = number.ok_or_else(wrong)?;
                let (low, high) = self.range;
                if (low..=high).contains(&number) {
                    Ok(PropertyValue::Number(number))
                } else {
                    Err(wrong())
                }
            }
        }
    }
}

/// `#RRGGBB` or `#RGB`.
fn color(text: &str) -> Option<[u8; 3]> {
    let digits = text.trim().strip_prefix('#')?;
    let digits = match digits.len() {
        3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
        6 => digits.to_owned(),
        _ => return None,
    };
    let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_unique() {
        let mut names: Vec<&str> = PROPERTIES
            .iter()
            .flat_map(|property| {
                std::iter::once(property.name).chain(property.aliases.iter().copied())
            })
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn values_outside_a_range_are_refused_with_unit_and_range() {
        let volume = Property::find("volume").unwrap();
        let error = volume.read(&Value::from(50)).unwrap_err();
        assert!(
            error.message.contains("50") && error.message.contains("from 0 to 20"),
            "{error}"
        );
        let error = Property::find("volum").unwrap_err();
        assert!(error.hint.unwrap().contains("\"volume\""));
        assert!(
            Property::find("bold")
                .unwrap()
                .read(&Value::from(1))
                .is_err()
        );
        assert_eq!(color("#fc0"), Some([0xff, 0xcc, 0]));
        assert_eq!(color("#ffcc0"), None);
    }
}
