//! Argument types that several tools share, and the normalisation of loosely typed arguments.

pub(crate) mod draft_settings;
pub(crate) mod duplicates;
pub(crate) mod input_rule;
pub(crate) mod lenient;
pub(crate) mod located;
pub(crate) mod normalize;
pub(crate) mod part;
pub(crate) mod placeholder;
pub(crate) mod position;
pub(crate) mod property;
pub(crate) mod reply;
pub(crate) mod scalar;
pub(crate) mod schema;
pub(crate) mod set_values;
pub(crate) mod size;
pub(crate) mod suggest;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::caller::{Caller, Manner};
use crate::draft::clip::Clip;
use crate::draft::ids::DraftId;
use crate::error::{Error, Result as Tried};
use normalize::Normalized;
pub(crate) use position::{Content, Position};

/// A JSON object: arguments, a schema, a reply.
pub(crate) type Object = serde_json::Map<String, Value>;

/// What the engine receives with a request: the call as it is written to the journal.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub tool: &'static str,
    /// The arguments after normalisation, under the tool's own names.
    pub arguments: Object,
    /// Who makes the call.
    pub caller: Caller,
    /// What normalisation changed; not in the journal.
    pub normalized: Normalized,
}

/// A reply as JSON.
pub(crate) fn to_value(reply: &impl Serialize) -> Tried<Value> {
    serde_json::to_value(reply)
        .map_err(|e| Error::internal("the reply cannot be written as JSON").source(e))
}

/// Reads any JSON value as a truth value, as the API does: `1`, `"yes"` and `[0]` are true.
pub(crate) fn truthy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(is_truthy(&Value::deserialize(deserializer)?))
}

/// Whether the API treats the value as true.
pub(crate) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}

/// A value that may be absent but not null.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A `position`, for strict callers; the API does not have this argument.
pub(crate) fn place<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Position>, D::Error> {
    Ok(Position::read(&Value::deserialize(deserializer)?).ok())
}

/// A list; null is an empty list.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A count; 0 for what is not a number, which the checks for strict callers refuse.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_u64().unwrap_or(0))
}

/// The kind of a JSON value, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A draft's id; `None` for null, an empty string or zero.
pub(crate) fn draft_id<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DraftId>, D::Error> {
    match Value::deserialize(deserializer)? {
        value @ (Value::Array(_) | Value::Object(_)) => Err(D::Error::custom(format!(
            "a draft's id is a string, not {value}"
        ))),
        value if !is_truthy(&value) => Ok(None),
        value => Ok(Some(DraftId(shown(value)))),
    }
}

/// Text; the API also accepts numbers.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        value @ (Value::String(_) | Value::Number(_)) => Ok(shown(value)),
        value => Err(D::Error::custom(format!("expected text, not {value}"))),
    }
}

/// Text or null; the API also accepts numbers.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        value @ (Value::String(_) | Value::Number(_)) => Ok(Some(shown(value))),
        value => Err(D::Error::custom(format!("expected text, not {value}"))),
    }
}

/// Text of a field that the API does not have and therefore never refuses.
pub(crate) fn own_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// Text unchanged, other values as JSON.
fn shown(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A number of a field that the API does not have and therefore never refuses.
pub(crate) fn own_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_f64().unwrap_or(0.0))
}

/// As [`own_number`], but optional.
pub(crate) fn own_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_f64())
}

/// Seconds as a number, or as text: `4`, `1m2`, `1h0m3s` (recordings in `tests/golden`).
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Number(number) => number
            .as_f64()
            .ok_or_else(|| D::Error::custom("the number is too large")),
        Value::String(text) => clock(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is not a time: give seconds as a number, or text like \"1m2\" or \"1h0m3s\""
            ))
        }),
        value => Err(D::Error::custom(format!(
            "expected a time in seconds, not {value}"
        ))),
    }
}

/// Seconds as a number or as a number in text, or null.
pub(crate) fn optional_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64()),
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => Ok(Some(seconds)),
            _ => Err(D::Error::custom(format!(
                "{text:?} is not a number of seconds"
            ))),
        },
        value => Err(D::Error::custom(format!(
            "expected a time in seconds, not {value}"
        ))),
    }
}

/// Hours, minutes and seconds in text, each followed by its letter; the last letter may be missing.
fn clock(text: &str) -> Option<f64> {
    let text = format!("{}s", text.trim().to_lowercase());
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.as_str()),
    };
    let mut total = 0.0;
    for (letter, seconds) in [('h', 3600.0), ('m', 60.0), ('s', 1.0)] {
        if let Some((number, after)) = rest.split_once(letter) {
            total += number.trim().parse::<f64>().ok()? * seconds;
            rest = after;
        }
    }
    total.is_finite().then_some(sign * total)
}

/// A number that the API copies into the draft unchecked. Null stands for its default. Text that is not a number
/// is refused, because it would break the draft.
pub(crate) fn loose<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(b) => Ok(Some(f64::from(u8::from(b)))),
        Value::Number(number) => Ok(number.as_f64()),
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(D::Error::custom(format!("{text:?} is not a number"))),
        },
        value => Err(D::Error::custom(format!("expected a number, not {value}"))),
    }
}

/// A canvas side of a new draft. The API ignores it when the draft exists, so what is not a number becomes NaN
/// and is only reported when the side is needed.
pub(crate) fn side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Err(D::Error::custom("expected a number of pixels, not null")),
        Value::String(text) => Ok(text.trim().parse().unwrap_or(f64::NAN)),
        value => Ok(value.as_f64().unwrap_or(f64::NAN)),
    }
}

/// On or off, as the API reads whole numbers: `true`, `1`, `"1"`.
pub(crate) fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(b) => Ok(b),
        Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
        Value::String(text) if text.trim().parse::<i64>().is_ok() => {
            Ok(text.trim().parse::<i64>() != Ok(0))
        }
        value => Err(D::Error::custom(format!(
            "expected true or false, not {value}"
        ))),
    }
}

/// A whole number from 1 to 4; the API also reads `true` as 1.
pub(crate) fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Value::deserialize(deserializer)? {
        value if !is_truthy(&value) && value.as_f64() != Some(0.0) => Ok(None),
        Value::Bool(true) => Ok(Some(1.0)),
        Value::Number(number) => Ok(number.as_f64()),
        value => Err(D::Error::custom(format!(
            "{value} is not one of the levels 1, 2, 3, 4"
        ))),
    }
}

/// The API accepts `duration` as text, but then cannot compute the end of a clip from it.
pub(crate) fn no_text_for_length(call: &Call, is_end: bool) -> Tried<()> {
    match call.arguments.get("duration") {
        Some(Value::String(text)) if is_end && call.caller.manner == Manner::Api => Err(
            Error::invalid(format!("`duration` is the text {text:?}, not a number")),
        ),
        _ => Ok(()),
    }
}

/// The drafts folder that a call names, for the paths of the working document.
pub(crate) fn folder(folder: Option<&str>) -> Result<Option<String>, Error> {
    match folder {
        Some(folder) if folder.starts_with("\\\\") => Err(Error::invalid(format!(
            "`draft_folder`: {folder:?} is a network share, which the paths in a draft cannot name"
        ))
        .hint("give the share a drive letter, or give a local folder")),
        Some(folder) if folder.contains('\0') => Err(Error::invalid(
            "`draft_folder` contains a NUL character, which a path cannot",
        )),
        folder => Ok(folder
            .filter(|folder| !folder.is_empty())
            .map(str::to_owned)),
    }
}

/// The clip with a strict caller's `position` applied; the API does not have this argument.
pub(crate) fn clip(
    strict: bool,
    position: Option<Position>,
    canvas: (f64, f64),
    content: Content,
    clip: Clip,
) -> Clip {
    let Some(position) = position.filter(|_| strict) else {
        return clip;
    };
    let placement = position.resolve(canvas, content);
    Clip {
        transform_x: placement.transform_x.unwrap_or(clip.transform_x),
        transform_y: placement.transform_y.unwrap_or(clip.transform_y),
        scale_x: placement.scale_x.unwrap_or(clip.scale_x),
        scale_y: placement.scale_y.unwrap_or(clip.scale_y),
        ..clip
    }
}

/// Replaces `position` by the numbers that a CapCut API understands.
pub(crate) fn api_position(
    arguments: &mut Object,
    position: Option<Position>,
    canvas: (f64, f64),
    content: Content,
) {
    let Some(position) = position else { return };
    arguments.shift_remove("position");
    let placement = position.resolve(canvas, content);
    let mut set = |name: &str, value: f64| arguments.insert(name.to_owned(), value.into());
    if let Some(x) = placement.transform_x {
        set("transform_x", x);
    }
    if let Some(y) = placement.transform_y {
        set("transform_y", y);
    }
    if let (Some(x), Some(y)) = (placement.scale_x, placement.scale_y) {
        set("scale_x", x);
        set("scale_y", y);
    }
}

/// Defaults of arguments: those of the list of properties, and of what is no property of a clip.
pub(crate) mod default {
    use capcut_draft::{Property, PropertyDefault};

    /// The default of an argument of a tool; a constant, so that a name that the list lacks does not compile.
    const fn listed(argument: &str, tool: &str) -> PropertyDefault {
        match Property::named(argument) {
            Some(property) => property.default_in(tool),
            None => panic!("the list of properties has no such argument"),
        }
    }

    pub(crate) const fn number_in(argument: &str, tool: &str) -> f64 {
        match listed(argument, tool) {
            PropertyDefault::Number(number) => number,
            _ => panic!("the default of this argument is not a number"),
        }
    }

    const fn text_in(argument: &str, tool: &str) -> &'static str {
        match listed(argument, tool) {
            PropertyDefault::Text(text) => text,
            _ => panic!("the default of this argument is not a text"),
        }
    }

    /// Functions of the names of arguments that give their defaults.
    macro_rules! numbers {
        ($tool:literal: $($argument:ident)*) => {
            $(pub(crate) fn $argument() -> f64 {
                const { number_in(stringify!($argument), $tool) }
            })*
        };
    }

    macro_rules! texts {
        ($tool:literal: $($argument:ident)*) => {
            $(pub(crate) fn $argument() -> String {
                const { text_in(stringify!($argument), $tool) }.to_owned()
            })*
        };
    }

    numbers!("":
        volume speed alpha transform_x transform_y scale_x scale_y rotation
        mask_rotation mask_feather font_size font_alpha border_width border_alpha
        background_round_radius background_width background_height
        background_horizontal_offset background_vertical_offset fixed_width fixed_height
        outro_animation_duration combo_animation_duration
        shadow_alpha shadow_angle shadow_distance shadow_smoothing filter_intensity);
    texts!("": font_color border_color shadow_color);

    /// The same for arguments that null turns off.
    macro_rules! optional {
        ($tool:literal $read:ident $type:ty: $($argument:ident)*) => {
            $(pub(crate) fn $argument() -> Option<$type> {
                Some(const { $read(stringify!($argument), $tool) }.into())
            })*
        };
    }

    pub(crate) mod add_image {
        use super::number_in;
        optional!("add_image" number_in f64: transition_duration intro_animation_duration animation_duration);
    }

    pub(crate) mod add_text {
        use super::{number_in, text_in};
        numbers!("add_text": background_alpha);
        texts!("add_text": background_color);
        optional!("add_text" number_in f64: intro_duration outro_duration);
        optional!("add_text" text_in String: font);
    }

    pub(crate) mod add_subtitle {
        use super::{number_in, text_in};
        numbers!("add_subtitle": background_alpha font_size transform_y);
        texts!("add_subtitle": background_color);
        optional!("add_subtitle" text_in String: font);
    }

    pub(crate) fn width() -> f64 {
        1080.0
    }

    pub(crate) fn height() -> f64 {
        1920.0
    }
}

/// Numbers that the API copies into the draft unchecked, as [`loose`]; null stands for the default.
pub(crate) mod loose {
    use serde::Deserializer;

    use super::{default, loose};

    macro_rules! arguments {
        ($($argument:ident)*) => {
            $(pub(crate) fn $argument<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
                Ok(loose(deserializer)?.unwrap_or_else(default::$argument))
            })*
        };
    }

    arguments!(volume alpha transform_x transform_y scale_x scale_y rotation background_round_radius);

    pub(crate) mod add_subtitle {
        use serde::Deserializer;

        use crate::args::default::add_subtitle as default;
        use crate::args::loose;

        arguments!(font_size transform_y);
    }
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn times_in_text_are_read_as_the_api_reads_them() {
        let check = |text, seconds| assert_eq!(clock(text), seconds, "{text}");
        check("4", Some(4.0));
        check("1m2", Some(62.0));
        check("1h0m3", Some(3603.0));
        check("1m2s", Some(62.0));
        check("-2.5", Some(-2.5));
        check("1m", None);
        check("x", None);
        check("nan", None);
    }
}
