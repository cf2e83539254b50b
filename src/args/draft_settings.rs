//! What a draft is as a whole, as people and models send it: frame rate, magnet, cover, markers.

use capcut_draft::Settings;
use serde::Deserialize;
use serde_json::{Number, Value, json};

use crate::args::Object;

use crate::args::property::{self, Colour};
use crate::args::scalar::{boolean, number};
use crate::error::{Error, Result, shortened};

/// The keys.
pub(crate) const KEYS: [&str; 4] = ["fps", "magnet", "cover", "markers"];

/// Names that are accepted for the keys of a marker.
const OF_MARKER: [(&str, &str); 6] = [
    ("time", "at"),
    ("start", "at"),
    ("name", "title"),
    ("text", "title"),
    ("label", "title"),
    ("colour", "color"),
];

/// Brings the values into the form of the operation `settings`.
pub(crate) fn read(members: &mut Object) -> Result<()> {
    members.retain(|key, value| !(KEYS.contains(&key.as_str()) && value.is_null()));
    normalize_rate(members)?;
    if let Some(magnet) = members.get_mut("magnet") {
        *magnet = boolean(magnet)
            .ok_or_else(|| wrong("magnet", magnet, "true or false"))?
            .into();
    }
    if let Some(cover) = members.get_mut("cover") {
        match cover {
            Value::String(text) => {
                if let Some(seconds) = property::seconds(text) {
                    *cover = property::json(seconds);
                } else if text.trim().is_empty() {
                    members.shift_remove("cover");
                }
            }
            Value::Number(_) => {}
            other => {
                return Err(wrong(
                    "cover",
                    other,
                    "a file, a time in seconds, or \"none\"",
                ));
            }
        }
    }
    if let Some(markers) = members.get_mut("markers") {
        read_markers(markers)?;
    }
    Ok(())
}

/// Reads `fps` with its unit, as a number.
pub(crate) fn normalize_rate(members: &mut Object) -> Result<()> {
    if let Some(fps) = members.get_mut("fps").filter(|fps| !fps.is_null()) {
        *fps = frame_rate(fps)
            .map(Value::Number)
            .ok_or_else(|| wrong("fps", fps, "24, 25, 30, 50 or 60"))?;
    }
    Ok(())
}

/// A frame rate, with or without its unit.
fn frame_rate(given: &Value) -> Option<Number> {
    const UNITS: [&str; 8] = [
        "frames per second",
        "frames/s",
        "frames",
        "fps",
        "hz",
        "帧每秒",
        "帧/秒",
        "帧",
    ];
    let Some(text) = given.as_str() else {
        return number(given);
    };
    let text = text.trim().to_lowercase();
    let unit = UNITS.iter().find_map(|unit| text.strip_suffix(unit));
    number(&json!(unit.unwrap_or(&text).trim()))
}

fn wrong(name: &str, value: &Value, expected: &str) -> Error {
    let value = shortened(&value.to_string()).into_owned();
    Error::invalid(format!("`{name}` is {value}; it must be {expected}"))
}

fn read_markers(markers: &mut Value) -> Result<()> {
    if let Value::String(text) = &*markers
        && let Ok(parsed) = serde_json::from_str(text)
    {
        *markers = parsed;
    }
    if !markers.is_array() {
        *markers = json!([markers]);
    }
    for (index, marker) in markers.as_array_mut().into_iter().flatten().enumerate() {
        let name = format!("markers[{index}]");
        if matches!(marker, Value::Number(_) | Value::String(_)) {
            *marker = json!({ "at": marker });
        }
        let Value::Object(members) = marker else {
            return Err(wrong(
                &name,
                marker,
                "an object such as {\"at\": 2.5, \"title\": \"Intro\"}",
            ));
        };
        for (other, own) in OF_MARKER {
            if !members.contains_key(own)
                && let Some(value) = members.shift_remove(other)
            {
                members.insert(own.to_owned(), value);
            }
        }
        let unknown = members
            .keys()
            .find(|key| !["at", "title", "color"].contains(&key.as_str()));
        if let Some(key) = unknown {
            return Err(Error::invalid(format!("`{name}` has no `{key}`"))
                .hint("a marker has `at` (seconds), `title` and `color`"));
        }
        let at = members.get("at").cloned().unwrap_or_default();
        let seconds = match &at {
            Value::String(text) => property::seconds(text),
            other => other.as_f64(),
        };
        let seconds =
            seconds.ok_or_else(|| wrong(&format!("{name}.at"), &at, "a time in seconds"))?;
        members.insert("at".to_owned(), property::json(seconds));
        if let Some(title) = members.get_mut("title")
            && (title.is_number() || title.is_boolean())
        {
            *title = title.to_string().into();
        }
        if let Some(color) = members.get_mut("color") {
            let read = color.as_str().map(Colour::read);
            let Some(Ok(known)) = read else {
                return Err(wrong(
                    &format!("{name}.color"),
                    color,
                    "a colour such as \"#00C1CD\"",
                ));
            };
            *color = known.code().to_lowercase().into();
        }
    }
    Ok(())
}

/// The settings of a new draft.
pub(crate) fn of_new(mut members: Object) -> Result<Settings> {
    read(&mut members)?;
    let settings = Settings::deserialize(Value::Object(members))
        .map_err(|error| Error::invalid(error.to_string()))?;
    let checked = settings.check();
    checked.map_err(|error| Error::invalid(error.message))?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_people_and_models_send_them() {
        let Value::Object(given) = json!({
            "fps": "60 fps", "magnet": "off", "cover": "0:02.5",
            "markers": [1, "0:03", { "time": "4 s", "name": 7, "colour": "red" }],
        }) else {
            panic!("an object");
        };
        let settings = of_new(given).unwrap();
        assert_eq!((settings.fps, settings.magnet), (Some(60.0), Some(false)));
        let markers = serde_json::to_value(settings.markers.unwrap()).unwrap();
        assert_eq!(
            markers,
            json!([
                { "at": 1.0, "title": "", "color": "#00c1cd" },
                { "at": 3.0, "title": "", "color": "#00c1cd" },
                { "at": 4.0, "title": "7", "color": "#ff0000" },
            ])
        );
        assert_eq!(json!(settings.cover), json!(2.5));
        for text in [
            "60fps",
            "60 FPS",
            "60.0",
            "60 frames per second",
            "60帧",
            " 60 帧/秒 ",
        ] {
            let given = Object::from_iter([("fps".to_owned(), json!(text))]);
            assert_eq!(of_new(given).unwrap().fps, Some(60.0), "{text}");
        }
        for (given, says) in [
            (json!({ "fps": 29 }), "24, 25, 30, 50 and 60"),
            (json!({ "fps": "fast" }), "`fps` is \"fast\""),
            (json!({ "magnet": 3 }), "true or false"),
            (json!({ "cover": [1] }), "a file, a time in seconds"),
            (json!({ "cover": -1 }), "the timeline starts at 0 s"),
            (
                json!({ "markers": [{ "title": "x" }] }),
                "`markers[0].at` is null",
            ),
            (
                json!({ "markers": [{ "at": 1, "titel": "x" }] }),
                "`markers[0]` has no `titel`",
            ),
            (
                json!({ "markers": [{ "at": 1, "color": "rde" }] }),
                "`markers[0].color` is \"rde\"",
            ),
            (json!({ "markers": [true] }), "an object such as"),
        ] {
            let Value::Object(given) = given else {
                panic!("an object");
            };
            let error = of_new(given.clone()).unwrap_err().to_string();
            assert!(error.contains(says), "{given:?}: {error}");
        }
    }
}
