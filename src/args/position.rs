//! `position`: where something is placed, as a word or in pixels.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Value, json};

/// A position on the canvas: a word, or a box in pixels. [`Position::resolve`] converts it to `transform_*` and
/// `scale_*` when the canvas is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Position {
    /// `-1`, `0` or `1` on each axis: left, centre, right and bottom, centre, top.
    Word { x: i8, y: i8 },
    /// The position of the centre, in pixels from the canvas's top left corner.
    Point { x: f64, y: f64 },
    /// Pixels from the centre, to the right and up, on each axis that is given.
    Offset { right: Option<f64>, up: Option<f64> },
    /// A box in pixels, measured from the canvas's top left corner.
    Box {
        x: f64,
        y: f64,
        width: f64,
        height: f64,
    },
}

/// What is placed: it decides how far from the centre an edge position is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content {
    /// Text, whose size is not known: near the edge, inside the canvas.
    Text,
    /// An image or clip: its own size if known, and its scale.
    Picture {
        size: Option<(f64, f64)>,
        scale: (f64, f64),
    },
}

/// A position in the editor's own terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// Offset of the centre in half canvas widths; 1 is the right edge. `None`: not changed.
    pub transform_x: Option<f64>,
    /// Offset of the centre in half canvas heights; 1 is the upper edge.
    pub transform_y: Option<f64>,
    /// Set when a box gives the size.
    pub scale_x: Option<f64>,
    pub scale_y: Option<f64>,
}

/// Text at an edge: near the edge, but inside the canvas for a line of usual length.
const TEXT_X: f64 = 0.6;
const TEXT_Y: f64 = 0.8;

impl Position {
    /// The words, as in schemas.
    const WORDS: [&'static str; 9] = [
        "center",
        "top",
        "bottom",
        "left",
        "right",
        "top_left",
        "top_right",
        "bottom_left",
        "bottom_right",
    ];
    /// What the argument may be, for messages.
    pub(crate) const ALLOWED: &'static str = "\"center\", \"top\", \"bottom\", \"left\", \"right\", \"top_left\", \"top_right\", \
         \"bottom_left\", \"bottom_right\" or {x, y, width, height} in pixels";

    /// Reads a word or an object.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => word(text)
                .ok_or_else(|| format!("which is not a position; it can be {}", Self::ALLOWED)),
            Value::Object(members) => {
                if let Some(offset) = offset(members) {
                    return Ok(offset);
                }
                if let Some(odd) = members
                    .keys()
                    .find(|k| !matches!(k.as_str(), "x" | "y" | "width" | "height"))
                {
                    return Err(format!(
                        "which has the unknown key `{odd}`; it can be {}",
                        Self::ALLOWED
                    ));
                }
                let number = |key: &str| match members.get(key) {
                    None | Some(Value::Null) => Ok(None),
                    Some(value) => value
                        .as_f64()
                        .or_else(|| {
                            value
                                .as_str()?
                                .trim()
                                .trim_end_matches("px")
                                .trim()
                                .parse()
                                .ok()
                        })
                        .filter(|n: &f64| n.is_finite())
                        .map(Some)
                        .ok_or_else(|| format!("where `{key}` is not a number of pixels")),
                };
                match (
                    number("x")?,
                    number("y")?,
                    number("width")?,
                    number("height")?,
                ) {
                    (x, y, Some(width), Some(height)) if width > 0.0 && height > 0.0 => {
                        match (x, y) {
                            (Some(x), Some(y)) => Ok(Self::Box { x, y, width, height }),
                            _ => Err("which lacks `x` or `y`, the upper left corner of the box in pixels".into()),
                        }
                    }
                    (_, _, Some(_), Some(_)) => {
                        Err("where `width` and `height` must be greater than 0".into())
                    }
                    (_, _, Some(_), None) | (_, _, None, Some(_)) => {
                        Err("which needs both `width` and `height`, or neither".into())
                    }
                    (Some(x), Some(y), None, None) => Ok(Self::Point { x, y }),
                    _ => Err("which lacks `x` or `y`, in pixels from the upper left corner".into()),
                }
            }
            _ => Err(format!(
                "which is not a position; it can be {}",
                Self::ALLOWED
            )),
        }
    }

    /// The position on a canvas of this size, for this content.
    pub(crate) fn resolve(&self, canvas: (f64, f64), content: Content) -> Placement {
        let (canvas_width, canvas_height) = (canvas.0.max(1.0), canvas.1.max(1.0));
        // At scale 1, the content is fitted into the canvas.
        let fitted = match content {
            Content::Picture {
                size: Some((width, height)),
                ..
            } if width > 0.0 && height > 0.0 => {
                let factor = (canvas_width / width).min(canvas_height / height);
                (width * factor, height * factor)
            }
            _ => (canvas_width, canvas_height),
        };
        let at = |x: f64, y: f64| Placement {
            transform_x: Some(tidy(2.0 * x / canvas_width - 1.0)),
            transform_y: Some(tidy(1.0 - 2.0 * y / canvas_height)),
            scale_x: None,
            scale_y: None,
        };
        match *self {
            Self::Word { x, y } => {
                let (reach_x, reach_y) = match content {
                    Content::Text => (TEXT_X, TEXT_Y),
                    // The edge of the content is at the edge of the canvas.
                    Content::Picture { scale, .. } => (
                        (1.0 - fitted.0 * scale.0.abs() / canvas_width).max(0.0),
                        (1.0 - fitted.1 * scale.1.abs() / canvas_height).max(0.0),
                    ),
                };
                Placement {
                    transform_x: Some(tidy(f64::from(x) * reach_x)),
                    transform_y: Some(tidy(f64::from(y) * reach_y)),
                    scale_x: None,
                    scale_y: None,
                }
            }
            Self::Point { x, y } => at(x, y),
            Self::Offset { right, up } => Placement {
                transform_x: right.map(|right| tidy(2.0 * right / canvas_width)),
                transform_y: up.map(|up| tidy(2.0 * up / canvas_height)),
                scale_x: None,
                scale_y: None,
            },
            Self::Box {
                x,
                y,
                width,
                height,
            } => Placement {
                scale_x: Some(tidy(width / fitted.0)),
                scale_y: Some(tidy(height / fitted.1)),
                ..at(x + width / 2.0, y + height / 2.0)
            },
        }
    }
}

/// `{right, up}`, the form that `transform_x: "100px"` is converted to.
fn offset(members: &serde_json::Map<String, Value>) -> Option<Position> {
    let is_offset = members
        .keys()
        .all(|key| matches!(key.as_str(), "right" | "up"));
    let number = |key: &str| members.get(key).and_then(Value::as_f64);
    let (right, up) = (number("right"), number("up"));
    (is_offset && (right.is_some() || up.is_some())).then_some(Position::Offset { right, up })
}

/// Rounds to six decimals: finer than a pixel, and without the noise of binary fractions.
fn tidy(value: f64) -> f64 {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded == 0.0 { 0.0 } else { rounded }
}

fn word(text: &str) -> Option<Position> {
    let text = text.trim().to_lowercase();
    // "topleft" and "左上角" are written without a space.
    let parts: Vec<String> = if text.is_ascii() {
        text.replace("top", "top ")
            .replace("bottom", "bottom ")
            .split([' ', '_', '-', ',', '/'])
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    } else {
        text.chars().map(String::from).collect()
    };
    let (mut x, mut y, mut said) = (None, None, false);
    for part in &parts {
        let (axis, value) = match part.as_str() {
            "top" | "upper" | "上" | "顶" => (&mut y, 1),
            "bottom" | "lower" | "下" | "底" => (&mut y, -1),
            "left" | "左" => (&mut x, -1),
            "right" | "右" => (&mut x, 1),
            // Centred on each axis that no other word sets.
            "center" | "centre" | "centered" | "middle" | "中" | "居" | "央" | "心" | "间"
            | "正" => {
                said = true;
                continue;
            }
            "corner" | "side" | "edge" | "部" | "方" | "侧" | "边" | "角" | "端" => continue,
            _ => return None,
        };
        said = true;
        if axis.replace(value).is_some_and(|before| before != value) {
            return None;
        }
    }
    said.then_some(Position::Word {
        x: x.unwrap_or(0),
        y: y.unwrap_or(0),
    })
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Word { x, y } => {
                let name = match (y, x) {
                    (1, -1) => "top_left",
                    (1, 1) => "top_right",
                    (1, _) => "top",
                    (-1, -1) => "bottom_left",
                    (-1, 1) => "bottom_right",
                    (-1, _) => "bottom",
                    (_, -1) => "left",
                    (_, 1) => "right",
                    _ => "center",
                };
                name.serialize(serializer)
            }
            Self::Point { x, y } => json!({ "x": x, "y": y }).serialize(serializer),
            Self::Offset { right, up } => {
                let axes = [("right", right), ("up", up)];
                serializer.collect_map(axes.into_iter().filter_map(|(name, at)| Some((name, at?))))
            }
            Self::Box {
                x,
                y,
                width,
                height,
            } => json!({ "x": x, "y": y, "width": width, "height": height }).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::read(&value).map_err(|fault| D::Error::custom(format!("{value}, {fault}")))
    }
}

impl JsonSchema for Position {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Position".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Self::WORDS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Content = Content::Picture {
        size: None,
        scale: (0.5, 0.5),
    };

    fn place(position: &Value, content: Content) -> (f64, f64, Option<f64>, Option<f64>) {
        let placement = Position::read(position)
            .expect("a position")
            .resolve((1080.0, 1920.0), content);
        (
            placement.transform_x.expect("a position"),
            placement.transform_y.expect("a position"),
            placement.scale_x,
            placement.scale_y,
        )
    }

    #[test]
    fn spellings_of_a_word_give_the_same_position() {
        for text in [
            "top_left",
            "Top Left",
            "top-left",
            "topleft",
            "left top",
            "upper_left",
            "左上",
            "左上角",
        ] {
            assert_eq!(
                place(&json!(text), Content::Text),
                (-0.6, 0.8, None, None),
                "{text}"
            );
        }
        for text in [
            "bottom",
            "bottom_center",
            "bottom-middle",
            "底部",
            "下方",
            "底部居中",
        ] {
            assert_eq!(
                place(&json!(text), Content::Text),
                (0.0, -0.8, None, None),
                "{text}"
            );
        }
        for text in ["center", "centre", "middle", "居中", "中间", "正中"] {
            assert_eq!(
                place(&json!(text), Content::Text),
                (0.0, 0.0, None, None),
                "{text}"
            );
        }
    }

    #[test]
    fn a_picture_at_an_edge_touches_it() {
        assert_eq!(place(&json!("top_right"), PICTURE), (0.5, 0.5, None, None));
        let wide = Content::Picture {
            size: Some((1920.0, 1080.0)),
            scale: (1.0, 1.0),
        };
        assert_eq!(place(&json!("bottom"), wide), (0.0, -0.683_594, None, None));
        assert_eq!(place(&json!("left"), wide), (0.0, 0.0, None, None));
    }

    #[test]
    fn a_box_in_pixels_sets_position_and_scale() {
        assert_eq!(
            place(
                &json!({ "x": 0, "y": 0, "width": 540, "height": 960 }),
                PICTURE
            ),
            (-0.5, 0.5, Some(0.5), Some(0.5))
        );
        let wide = Content::Picture {
            size: Some((1920.0, 1080.0)),
            scale: (1.0, 1.0),
        };
        assert_eq!(
            place(
                &json!({ "x": 0, "y": 0, "width": 1080, "height": "607.5px" }),
                wide
            ),
            (0.0, 0.683_594, Some(1.0), Some(1.0))
        );
        assert_eq!(
            place(&json!({ "x": 540, "y": 1920 }), Content::Text),
            (0.0, -1.0, None, None)
        );
    }

    #[test]
    fn invalid_positions_are_refused_with_the_reason() {
        for (value, fault) in [
            (json!("top bottom"), "not a position"),
            (json!("behind"), "not a position"),
            (json!("角"), "not a position"),
            (json!(3), "not a position"),
            (json!({ "x": 1 }), "`x` or `y`"),
            (
                json!({ "x": 1, "y": 2, "width": 3 }),
                "both `width` and `height`",
            ),
            (
                json!({ "x": 1, "y": 2, "width": 0, "height": 1 }),
                "greater than 0",
            ),
            (json!({ "x": "far", "y": 2 }), "`x` is not a number"),
            (json!({ "x": 1, "y": 2, "z": 2 }), "unknown key `z`"),
        ] {
            let error = Position::read(&value).expect_err("not a position");
            assert!(error.contains(fault), "{value}: {error}");
        }
    }

    #[test]
    fn a_position_is_written_as_it_is_read() {
        for value in [
            json!("top_left"),
            json!("center"),
            json!("right"),
            json!({ "x": 1.0, "y": 2.0 }),
            json!({ "right": -1.0 }),
            json!({ "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0 }),
        ] {
            let position: Position = serde_json::from_value(value.clone()).expect("a position");
            assert_eq!(serde_json::to_value(position).expect("JSON"), value);
        }
    }
}
