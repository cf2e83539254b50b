//! `add_video_keyframe`: add keyframes.

use capcut_draft::Easing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args;
use crate::args::input_rule::InputRule;
use crate::args::lenient::{Checked, always};
use crate::args::property::{self, decimal, json};
use crate::args::reply::Placed;
use crate::args::suggest::nearest_value;
use crate::draft::evidence::{KeyframeTimes, Leaves};
use crate::draft::ids::DraftId;
use crate::draft::keyframe::KeyframeProperty;
use crate::engine::edit::{Edit, Point, Points};
use crate::engine::parts;
use crate::engine::{self, CallTarget, Canvas, Engine};
use crate::error::{Error, Faults, Result};
use crate::tool::{Hints, Texts, Tool, Turn};
use crate::tools::Call;
use crate::units::Micros;

/// Animates a clip's property: one keyframe, or several from the lists `property_types`, `times` and `values`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AddVideoKeyframe {
    /// Id or exact name.
    #[serde(
        default,
        deserialize_with = "args::draft_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "DraftId", required)]
    pub draft_id: Option<DraftId>,
    /// The track with the clip.
    #[serde(default = "main_track", deserialize_with = "args::optional_text")]
    #[schemars(with = "Option<String>")]
    pub track_name: Option<String>,
    /// What changes.
    #[serde(default = "alpha")]
    #[schemars(extend("enum" = names()))]
    pub property_type: String,
    /// Time on the timeline, seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub time: f64,
    /// As text: "0.5", "50%", "45deg", "+0.2"; positions in half canvases, -10 to 10, or "100px".
    #[serde(default = "full")]
    #[schemars(with = "String")]
    pub value: Value,
    /// How the value moves to the next keyframe; the API does not have this argument.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(skip)]
    pub easing: Value,
    /// For several keyframes: a `property_type` each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("items" = serde_json::json!({ "type": "string", "enum": names() })))]
    pub property_types: Option<Vec<String>>,
    /// Their times, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Vec<f64>>,
    /// Their values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    pub values: Option<Vec<Value>>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde requires the type of the field"
)]
fn main_track() -> Option<String> {
    Some("video_main".to_owned())
}

fn names() -> [&'static str; KeyframeProperty::OF_API.len()] {
    KeyframeProperty::OF_API.map(KeyframeProperty::name)
}

fn alpha() -> String {
    "alpha".to_owned()
}

fn full() -> Value {
    Value::from("1.0")
}

impl AddVideoKeyframe {
    /// The requested keyframes: one, or several if any of the lists is given. Positions in pixels are for
    /// strict callers, and need the canvas.
    fn points(&self, strict: bool, canvas: Option<(f64, f64)>) -> Result<Vec<Point>> {
        let easing = if strict {
            Easing::read(&self.easing).map_err(|error| Error::invalid(error.message))?
        } else {
            None
        };
        let point = |place: &str, property: &str, time: f64, value: &Value| {
            let point = point(place, property, time, value, strict, canvas)?;
            Ok::<_, Error>(Point {
                easing: easing.map(|Easing(curve)| curve),
                ..point
            })
        };
        let (properties, times, values) = match (&self.property_types, &self.times, &self.values) {
            (None, None, None) => {
                return Ok(vec![point(
                    "",
                    &self.property_type,
                    self.time,
                    &self.value,
                )?]);
            }
            (Some(properties), Some(times), Some(values)) => (properties, times, values),
            _ => {
                return Err(Error::invalid(
                    "In batch mode, `property_types`, `times` and `values` must be provided together",
                ));
            }
        };
        let counts = [properties.len(), times.len(), values.len()];
        if counts[0] == 0 || counts.iter().any(|count| *count != counts[0]) {
            return Err(Error::invalid(format!(
                "`property_types`, `times` and `values` must have equal lengths above 0, but have {}, {} and {}",
                counts[0], counts[1], counts[2]
            )));
        }
        (0..counts[0])
            .map(|i| point(&format!("s[{i}]"), &properties[i], times[i], &values[i]))
            .collect()
    }

    /// Whether a position is given in pixels.
    fn has_pixels(&self) -> bool {
        let one = [self.value.clone()];
        let values = self.values.as_deref().unwrap_or(&one);
        values.iter().any(|value| pixels(value).is_some())
    }
}

fn point(
    place: &str,
    property: &str,
    time: f64,
    value: &Value,
    strict: bool,
    canvas: Option<(f64, f64)>,
) -> Result<Point> {
    let property_type = if place.is_empty() {
        "property_type".to_owned()
    } else {
        format!("property_type{place}")
    };
    let property = KeyframeProperty::all()
        .filter(|known| strict || KeyframeProperty::OF_API.contains(known))
        .find(|known| known.name() == property)
        .ok_or_else(|| {
            let names: Vec<&str> = KeyframeProperty::all()
                .map(KeyframeProperty::name)
                .collect();
            let near = nearest_value(property, names.iter().copied())
                .map_or(String::new(), |near| format!("did you mean `{near}`? "));
            Error::invalid(format!(
                "`{property_type}`: Unsupported keyframe property type: {property:?}"
            ))
            .hint(format!("{near}it can be {}", names.join(", ")))
        })?;
    let time = parts::seconds(&format!("time{place}"), time)?;
    if strict {
        let value = meant(property, value, canvas).map_err(|fault| {
            Error::invalid(format!("`value{place}` of {} {fault}", property.name()))
        })?;
        return Ok(Point {
            property,
            time: Micros::from_seconds_truncated(time),
            value,
            easing: None,
        });
    }
    let value = number(property, value).ok_or_else(|| {
        Error::invalid(format!(
            "`value{place}`: Invalid value format: {value} for {}",
            property.name()
        ))
        .hint(match property {
            KeyframeProperty::PositionX | KeyframeProperty::PositionY => {
                "give a number from -10 to 10, as text"
            }
            KeyframeProperty::Rotation => "give it as \"45deg\" or \"45\"",
            KeyframeProperty::Alpha | KeyframeProperty::Volume => "give it as \"50%\" or \"0.5\"",
            KeyframeProperty::Saturation
            | KeyframeProperty::Contrast
            | KeyframeProperty::Brightness => "give it as \"+0.5\" or \"-0.5\"",
            _ => "give a number as text, such as \"1.5\"",
        })
    })?;
    Ok(Point {
        property,
        time: Micros::from_seconds_truncated(time),
        value,
        easing: None,
    })
}

/// The number of a value in pixels.
fn pixels(value: &Value) -> Option<f64> {
    let text = value.as_str()?.trim().to_lowercase();
    decimal(text.strip_suffix("px")?)
}

/// Reads a value in any accepted notation of its property.
fn meant(
    property: KeyframeProperty,
    value: &Value,
    canvas: Option<(f64, f64)>,
) -> std::result::Result<f64, String> {
    let row = property::of_keyframe(property.name());
    let row = row.ok_or("has no unit")?;
    let mut value = value.clone();
    let side = match property {
        KeyframeProperty::PositionX => Some(canvas.map(|canvas| canvas.0)),
        KeyframeProperty::PositionY => Some(canvas.map(|canvas| canvas.1)),
        _ => None,
    };
    if let (Some(side), Some(pixels)) = (side, pixels(&value)) {
        // Without a canvas, the caller only uses the times.
        value = json(side.map_or(0.0, |side| 2.0 * pixels / side));
    }
    row.read(&mut value)?;
    let number = value.as_f64();
    number.ok_or_else(|| format!("is {value}; it must be {}", row.says))
}

/// Reads a value in the API's notation of its property. The API accepts JSON numbers only for positions and scales.
fn number(property: KeyframeProperty, value: &Value) -> Option<f64> {
    let float = |text: &str| text.trim().parse::<f64>().ok();
    let plain = matches!(
        property,
        KeyframeProperty::PositionX
            | KeyframeProperty::PositionY
            | KeyframeProperty::ScaleX
            | KeyframeProperty::ScaleY
            | KeyframeProperty::UniformScale
    );
    let number = match value {
        Value::Number(number) if plain => number.as_f64()?,
        Value::String(text) => match property {
            KeyframeProperty::Alpha | KeyframeProperty::Volume => match text.strip_suffix('%') {
                Some(percent) => float(percent)? / 100.0,
                None => float(text)?,
            },
            KeyframeProperty::Rotation => float(text.strip_suffix("deg").unwrap_or(text))?,
            KeyframeProperty::Saturation
            | KeyframeProperty::Contrast
            | KeyframeProperty::Brightness => {
                match (text.strip_prefix('+'), text.strip_prefix('-')) {
                    (Some(rest), _) => float(rest)?,
                    (_, Some(rest)) => -float(rest)?,
                    _ => float(text)?,
                }
            }
            _ => float(text)?,
        },
        _ => return None,
    };
    let is_place = matches!(
        property,
        KeyframeProperty::PositionX | KeyframeProperty::PositionY
    );
    let fits = number.is_finite() && (!is_place || (-10.0..=10.0).contains(&number));
    fits.then_some(number)
}

impl Tool for AddVideoKeyframe {
    const NAME: &'static str = "add_video_keyframe";
    const TITLE: &'static str = "Add keyframes";
    const HINTS: Hints = Hints::ADD;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("property_types"),
        InputRule::Rare("times"),
        InputRule::Rare("values"),
        InputRule::Unlisted(&["easing"]),
        InputRule::Alias("property", "property_type"),
        InputRule::Shown("at", "time"),
        InputRule::Alias("start_time", "time"),
    ];
    const CHECKED: &'static [Checked] = &[
        always("track_name"),
        always("property_type"),
        always("value"),
        always("property_types"),
        always("times"),
        always("values"),
    ];
    const TEXTS: Texts = Texts {
        required: &[],
        not_null: &[],
        missing: "",
        before: "Error occurred while adding keyframe: Failed to add keyframe: ",
        after: ".",
        unknown: "",
    };
    type Reply = Placed;

    fn draft(&self) -> Option<&DraftId> {
        self.draft_id.as_ref()
    }

    fn turn(&self) -> Turn {
        Turn::Alone
    }

    fn leaves(&self, strict: bool) -> Leaves {
        match (self.points(strict, None), &self.track_name) {
            (Ok(points), Some(track)) => Leaves::Keyframes(KeyframeTimes {
                track: track.clone(),
                times: points.iter().map(|point| point.time).collect(),
            }),
            _ => Leaves::Unseen,
        }
    }

    fn faults_on(&self, canvas: Canvas) -> Faults {
        let mut faults = Faults::default();
        faults.of(self.points(true, Some((canvas.width, canvas.height))));
        faults
    }

    fn only_here(&self, strict: bool) -> Result<()> {
        if strict && !self.easing.is_null() {
            return Err(Error::invalid("a CapCut API server has no `easing`")
                .hint("leave it out, or make the draft with `--backend embedded`"));
        }
        if self.has_pixels() {
            return Err(Error::invalid(
                "a server does not support keyframe positions in pixels: give half canvases, where 1 is the right or upper edge",
            ));
        }
        Ok(())
    }

    async fn run(&self, engine: &Engine, call: &Call) -> Result<Placed> {
        let Some(draft) = &self.draft_id else {
            return Err(
                Error::invalid("`draft_id` is missing: keyframes need an existing clip")
                    .hint("pass the `draft_id` from the reply of `add_video`"),
            );
        };
        let Some(track) = &self.track_name else {
            return Err(Error::invalid("`track_name`: Track named None not found"));
        };
        let target = CallTarget {
            draft: Some(draft),
            width: 0.0,
            height: 0.0,
        };
        let strict = engine::is_strict(call);
        let canvas = if strict && self.has_pixels() {
            let canvas = engine.canvas(target).await?;
            Some((canvas.width, canvas.height))
        } else {
            None
        };
        let edit = Edit::Keyframes(Points {
            track: track.clone(),
            points: self.points(strict, canvas)?,
        });
        let mut placed = engine.edit(target, call, edit).await?;
        if self.property_types.is_none() {
            placed.count = None;
        }
        Ok(placed)
    }

    fn reply_to_api(reply: Placed, link: &dyn Fn(&DraftId) -> String) -> Value {
        let mut output = reply.to_api(link);
        if let (Value::Object(output), Some(count)) = (&mut output, reply.count) {
            output.insert("added_keyframes_count".to_owned(), count.into());
        }
        output
    }
}
