//! The values of a `set` as people and models send them, brought into the form of the list of properties.

use capcut_draft::measure::{self, BLUR_LEVELS};
use capcut_draft::{Property, Unit};
use serde_json::{Value, json};

use crate::args::Object;
use crate::args::input_rule::GROUPS;
use crate::args::property;
use crate::args::scalar::{boolean, number, parse_json_text};
use crate::args::size;
use crate::error::{Error, Result, shortened};
use crate::styles::Styles;

/// Other names of the parts of a property in an object, and the property of each part.
type Parts = &'static [(&'static [&'static str], &'static str)];

const NESTED: [(&str, Parts); 2] = [
    (
        "filter",
        &[
            (&["name", "type", "id", "filter"], "filter"),
            (&["intensity", "strength", "value"], "filter_intensity"),
        ],
    ),
    (
        "chroma_key",
        &[
            (&["color", "colour", "key"], "chroma_key"),
            (&["strength", "intensity", "similarity"], "chroma_strength"),
            (&["shadow"], "chroma_shadow"),
            (&["edge", "smooth", "edge_smooth"], "chroma_edge"),
            (&["spill"], "chroma_spill"),
        ],
    ),
];

/// `{"filter": {"name": "X", "intensity": 80}}` as `{"filter": "X", "filter_intensity": 80}`.
pub(crate) fn expand(members: &mut Object) {
    for (name, parts) in NESTED {
        let is_own = |key: &&String| find(key).is_some_and(|(known, _)| known.name == name);
        let Some(key) = members.keys().find(is_own).cloned() else {
            continue;
        };
        if !members[&key].is_object() {
            continue;
        }
        let Some(Value::Object(inner)) = members.shift_remove(&key) else {
            continue;
        };
        for (part, value) in inner {
            let own = parts
                .iter()
                .find(|(names, _)| names.contains(&part.as_str()));
            let own = own.map_or_else(|| format!("{name}_{part}"), |(_, own)| (*own).to_owned());
            members.entry(own).or_insert(value);
        }
    }
}

/// Reads the values of an operation `set`: names in other spellings, values in one object, notations such as `"50%"`.
/// Values that are null or empty are not given. Returns notes on unusual values.
pub(crate) fn read(operation: &mut Object, styles: &Styles) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    flatten(operation);
    expand_style(operation, styles)?;
    for name in ["volume", "loudness"] {
        if operation
            .get(name)
            .is_some_and(|value| is_curve(name, value))
            && let Some(value) = operation.shift_remove(name)
        {
            operation.insert("volume_curve".to_owned(), value);
        }
    }
    let names: Vec<String> = operation.keys().cloned().collect();
    for name in names {
        if ["op", "clip"].contains(&name.as_str()) {
            continue;
        }
        let Some(mut value) = operation.get(&name).cloned() else {
            continue;
        };
        if is_missing(&value) {
            operation.shift_remove(&name);
            continue;
        }
        let Some((property, known)) = find(&name) else {
            continue;
        };
        if property.refusal().is_some() {
            continue;
        }
        let (note, alpha) = read_value(property, &name, &mut value)?;
        notes.extend(note.map(|note| format!("`{name}` {note}")));
        if known == name {
            operation.insert(name.clone(), value);
        } else {
            if operation.contains_key(known) {
                return Err(given_twice(&name, known));
            }
            operation.shift_remove(&name);
            operation.insert(known.to_owned(), value);
        }
        if let (Some(alpha), Some(of_alpha)) = (alpha, alpha_of(property.name)) {
            operation.entry(of_alpha).or_insert(property::json(alpha));
        }
    }
    Ok(notes)
}

fn given_twice(name: &str, other: &str) -> Error {
    Error::invalid(format!(
        "`{name}` and `{other}` are one property: give it once"
    ))
}

/// Reads a value as `set` does, and puts it into `into` by the property's own name. Returns what is unusual about it.
pub(crate) fn put(
    into: &mut Object,
    property: &Property,
    name: &str,
    mut value: Value,
) -> Result<Option<String>> {
    let (note, alpha) = read_value(property, name, &mut value)?;
    if into.insert(property.name.to_owned(), value).is_some() {
        return Err(Error::invalid(format!(
            "`{name}` is the property `{}`, which is given twice: give it once",
            property.name
        )));
    }
    if let (Some(alpha), Some(of_alpha)) = (alpha, alpha_of(property.name)) {
        into.entry(of_alpha).or_insert(property::json(alpha));
    }
    Ok(note.map(|note| format!("`{name}` {note}")))
}

/// The keys of operations that hold a time in seconds.
const TIMES: [&str; 8] = [
    "at",
    "by",
    "duration",
    "end",
    "from",
    "source_start",
    "start",
    "time",
];

/// Reads the notations of the times of an operation and of its keyframes, as those of all arguments. Others are left to
/// the operation, which refuses them.
pub(crate) fn read_times(operation: &mut Object) {
    for name in TIMES {
        if let Some(value) = operation.get_mut(name)
            && let Some(seconds) = value.as_str().and_then(property::seconds)
        {
            *value = property::json(seconds);
        }
    }
    let points = operation.get_mut("points").and_then(Value::as_array_mut);
    for point in points.into_iter().flatten() {
        if let Value::Object(point) = point {
            read_times(point);
        }
    }
}

/// Reads the notations of a canvas size: `"1080"`, `aspect_ratio: "9:16"`, `resolution`.
pub(crate) fn read_size(operation: &mut Object) -> Result<()> {
    let faults = size::normalize(operation);
    if !faults.is_empty() {
        return Err(Error::invalid(faults.join("\n")));
    }
    for side in ["width", "height"] {
        if let Some(value) = operation.get_mut(side)
            && let Some(pixels) = number(value).and_then(|pixels| pixels.as_f64())
        {
            *value = property::json(pixels);
        }
    }
    Ok(())
}

/// Reads the notations of the values of keyframes, such as `"50%"`.
pub(crate) fn read_points(operation: &mut Object) -> Result<()> {
    let property = operation.get("property").and_then(Value::as_str);
    let Some((property, _)) = property.and_then(find) else {
        return Ok(());
    };
    let points = operation.get_mut("points").and_then(Value::as_array_mut);
    for (index, point) in points.into_iter().flatten().enumerate() {
        if let Some(value) = point.get_mut("value").filter(|value| value.is_string()) {
            read_value(property, &format!("points[{index}].value"), value)?;
        }
    }
    Ok(())
}

/// `{"properties": {"volume": 0.5}}` and `{"property": "volume", "value": 0.5}` as `{"volume": 0.5}`.
fn flatten(operation: &mut Object) {
    for name in GROUPS.into_iter().chain(["values"]) {
        if let Some(Value::Object(_)) = operation.get(name)
            && let Some(Value::Object(members)) = operation.shift_remove(name)
        {
            operation.extend(members);
        }
    }
    if let (Some(Value::String(name)), true) = (
        operation.get("property").cloned(),
        operation.contains_key("value"),
    ) && let Some(value) = operation.shift_remove("value")
    {
        operation.shift_remove("property");
        operation.insert(name, value);
    }
    expand(operation);
}

/// Whether it is what clients send for a value that is not given.
fn is_missing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// The property of a name in any spelling, and that name in the list: `fontSize`, `font-size` and `Font Size` are `font_size`.
pub(crate) fn find(name: &str) -> Option<(&'static Property, &'static str)> {
    if let Some(found) = Property::with_name(name) {
        return Some(found);
    }
    let mut plain = String::with_capacity(name.len() + 4);
    for letter in name.trim().chars() {
        match letter {
            '-' | ' ' => plain.push('_'),
            _ if letter.is_uppercase() => {
                if plain.chars().last().is_some_and(char::is_lowercase) {
                    plain.push('_');
                }
                plain.extend(letter.to_lowercase());
            }
            _ => plain.push(letter),
        }
    }
    Property::with_name(&plain)
}

/// The property with the opacity of a colour.
fn alpha_of(color: &str) -> Option<&'static str> {
    match color {
        "font_color" => Some("opacity"),
        "border_color" => Some("border_alpha"),
        "background_color" => Some("background_alpha"),
        "shadow_color" => Some("shadow_alpha"),
        _ => None,
    }
}

/// Brings a value into the form of its property; returns what is unusual about it, and the opacity of a colour.
fn read_value(
    property: &Property,
    name: &str,
    value: &mut Value,
) -> Result<(Option<String>, Option<f64>)> {
    let measure = property.measure;
    let wrong = |value: &Value| {
        Error::invalid(format!(
            "`{name}` is {}; it must be {}",
            shortened(&value.to_string()),
            measure.says
        ))
    };
    match measure.unit {
        Unit::Switch => *value = boolean(value).ok_or_else(|| wrong(value))?.into(),
        Unit::Choice(words) => {
            let text = value.as_str().unwrap_or_default().trim().to_lowercase();
            let text = text.replace([' ', '-'], "_");
            let text = match text.as_str() {
                "centre" | "middle" | "centered" | "居中" => "center",
                "左" | "左对齐" => "left",
                "右" | "右对齐" => "right",
                "fit" | "letterbox" | "适应" => "contain",
                "crop" | "fill_crop" | "裁剪" => "cover",
                "stretch" | "拉伸" => "fill",
                "slide" | "slide_in" => "slide_left",
                "kenburns" => "ken_burns",
                other => other,
            };
            if !words.contains(&text) {
                return Err(wrong(value));
            }
            *value = text.into();
        }
        Unit::Words => {
            if matches!(value, Value::Number(_) | Value::Bool(_)) {
                *value = value.to_string().into();
            }
        }
        Unit::LoudnessCurve => read_curve(name, value)?,
        Unit::TextParts => read_parts(name, value)?,
        Unit::Parameters => {
            if let Value::String(text) = &*value
                && let Ok(list @ Value::Array(_)) = serde_json::from_str(text)
            {
                *value = list;
            }
            if let Value::String(text) = &*value
                && let Ok(members @ Value::Object(_)) = serde_json::from_str(text)
            {
                *value = members;
            }
            match value {
                Value::Array(_) => {}
                Value::Object(members) => {
                    for (member, value) in members {
                        let row = property::of_property("strength");
                        let read = row.map_or(Ok(()), |row| row.read(value).map(drop));
                        read.map_err(|fault| Error::invalid(format!("`{name}.{member}` {fault}")))?;
                        if let Some(number) = number(value) {
                            *value = number.into();
                        }
                    }
                }
                _ => *value = json!([value]),
            }
        }
        Unit::Plain => {
            if let Some(number) = number(value) {
                *value = number.into();
            }
        }
        Unit::Crop | Unit::Box | Unit::SpeedCurve => {
            if let Value::String(text) = &*value
                && text.trim_start().starts_with(['{', '['])
                && let Ok(read) = serde_json::from_str(text)
            {
                *value = read;
            }
            property.check(value).map_err(|error| {
                let found = Error::invalid(error.message);
                match error.hint {
                    Some(hint) => found.hint(hint),
                    None => found,
                }
            })?;
        }
        // The document crate knows the canvas.
        Unit::HalfCanvas
            if value
                .as_str()
                .is_some_and(|text| text.trim().to_lowercase().ends_with("px")) =>
        {
            return Ok((None, None));
        }
        _ => {}
    }
    let Some(row) = property::of_property(property.name) else {
        return Ok((None, None));
    };
    if is_strength(name)
        && let Some(strength) = number(value).and_then(|number| number.as_f64())
        && strength > 0.0
        && strength <= 1.0
    {
        *value = property::json(strength * 100.0);
    }
    let given = value.clone();
    let read = row.read(value).map_err(|fault| {
        let error = Error::invalid(format!("`{name}` {fault}"));
        match level(property, &given) {
            Some(blur) => error.hint(format!(
                "the level {given} of `add_image` and `add_video` is {blur} here"
            )),
            None => error,
        }
    })?;
    Ok((read.note, read.alpha))
}

/// Whether people give it from 0 to 1 as well as from 0 to 100. 1 is all.
fn is_strength(name: &str) -> bool {
    find(name).is_some_and(|(_, known)| known.ends_with("intensity"))
}

/// Reads the styles of parts of a text: also as `add_text` takes them, in `style` and `border`.
fn read_parts(name: &str, value: &mut Value) -> Result<()> {
    parse_json_text(value, "array");
    parse_json_text(value, "object");
    if value.is_object() {
        *value = json!([value]);
    }
    for (index, part) in value.as_array_mut().into_iter().flatten().enumerate() {
        let place = format!("{name}[{index}]");
        let Value::Object(members) = part else {
            continue;
        };
        let mut flat = Object::new();
        let mut given: Vec<(String, Value)> = Vec::new();
        for (key, value) in std::mem::take(members) {
            match (key.as_str(), value) {
                ("style", Value::Object(style)) => given.extend(style),
                ("border", Value::Object(border)) => {
                    given.extend(
                        border
                            .into_iter()
                            .map(|(key, value)| (format!("border_{key}"), value)),
                    );
                }
                ("range", Value::Array(range)) if range.len() == 2 => {
                    flat.insert("start".to_owned(), range[0].clone());
                    flat.insert("end".to_owned(), range[1].clone());
                }
                ("start" | "from", value) => drop(flat.insert("start".to_owned(), value)),
                ("end" | "to", value) => drop(flat.insert("end".to_owned(), value)),
                ("words" | "text" | "word", value) => drop(flat.insert("words".to_owned(), value)),
                (_, value) => given.push((key, value)),
            }
        }
        for (key, value) in given {
            let Some((property, _)) = find(&key) else {
                return Err(Error::invalid(format!("`{place}` has no `{key}`"))
                    .hint("a part has what a whole text has, such as `font_color`, `font_size` and `bold`"));
            };
            put(&mut flat, property, &key, value).map_err(|mut error| {
                error.message = format!("`{place}`: {}", error.message);
                error
            })?;
        }
        for edge in ["start", "end"] {
            if let Some(value) = flat.get_mut(edge)
                && let Some(number) = number(value)
            {
                *value = number.into();
            }
        }
        *members = flat;
    }
    Ok(())
}

/// Replaces `style: NAME` by the properties that were saved under this name; those that are given as well stay.
pub(crate) fn expand_style(members: &mut Object, styles: &Styles) -> Result<()> {
    let names = ["style", "text_style", "style_preset"];
    let Some(Value::String(style)) = names.iter().find_map(|name| members.shift_remove(*name))
    else {
        return Ok(());
    };
    for (name, value) in styles.find(&style)? {
        let is_given = Property::named(&name)
            .is_some_and(|property| property.names().any(|name| members.contains_key(name)));
        if !is_given {
            members.insert(name, value);
        }
    }
    Ok(())
}

/// Whether a value of `volume` is loudness over time: a list, or a text with one.
pub(crate) fn is_curve(name: &str, value: &Value) -> bool {
    let is_volume = matches!(name, "volume" | "loudness");
    is_volume
        && match value {
            Value::Array(_) => true,
            Value::String(text) => text.trim_start().starts_with('['),
            _ => false,
        }
}

/// Reads loudness over time: times in every notation, factors such as `"50%"` and `"-6dB"`, and pairs `[at, value]`.
fn read_curve(name: &str, value: &mut Value) -> Result<()> {
    parse_json_text(value, "array");
    let wrong = |place: &str, value: &Value| {
        Error::invalid(format!(
            "`{place}` is {}; it must be {}",
            shortened(&value.to_string()),
            measure::LOUDNESS_CURVE.says
        ))
    };
    let Value::Array(points) = value else {
        return Err(wrong(name, value));
    };
    for (index, point) in points.iter_mut().enumerate() {
        let place = format!("{name}[{index}]");
        let (at, loudness) = match &*point {
            Value::Array(pair) if pair.len() == 2 => (pair[0].clone(), pair[1].clone()),
            Value::Object(members) => {
                let first = |names: &[&str]| {
                    let found = names.iter().find_map(|name| members.get(*name));
                    found.cloned().unwrap_or_default()
                };
                (
                    first(&["at", "time", "start"]),
                    first(&["value", "volume", "loudness"]),
                )
            }
            _ => return Err(wrong(&place, point)),
        };
        let seconds = match &at {
            Value::String(text) => property::seconds(text),
            other => other.as_f64(),
        };
        let mut factor = loudness.clone();
        let read = property::of_property("volume").map(|row| row.read(&mut factor));
        if let Some(Err(fault)) = read {
            return Err(Error::invalid(format!("`{place}.value` {fault}")));
        }
        let (Some(seconds), Some(factor)) = (seconds, factor.as_f64()) else {
            return Err(wrong(&place, point));
        };
        let easing = point
            .get("easing")
            .filter(|easing| !easing.is_null())
            .cloned();
        *point = json!({ "time": property::json(seconds), "value": property::json(factor) });
        if let Some(easing) = easing {
            point["easing"] = easing;
        }
    }
    Ok(())
}

/// The blur for a level of the tools that add clips.
fn level(property: &Property, given: &Value) -> Option<f64> {
    let level = given
        .as_f64()
        .filter(|_| property.name == "background_blur")?;
    let found = BLUR_LEVELS.iter().find(|(known, _)| *known == level);
    found.map(|(_, blur)| *blur)
}
