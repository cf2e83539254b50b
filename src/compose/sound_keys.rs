//! The values of keys of a plan that need to know what is heard: `loudness_lufs`, `cut_on` and `jump_cut`.

use capcut_draft::{JumpCut, LOUDNESS_RANGE, Operation, PauseRule};
use serde_json::{Value, json};

use crate::args::schema;
use crate::error::shortened;

const MOST_EVERY: u64 = 64;
const MOST_OFFSET: u64 = 10_000;
const KEYS: [&str; 3] = ["beats_of", "every", "offset"];

/// Reads the value of `loudness_lufs`.
pub(super) fn read_loudness(value: &Value) -> Result<Value, String> {
    let number = match value {
        Value::String(text) => {
            let text = text.trim().to_ascii_lowercase();
            text.trim_end_matches("lufs").trim().parse::<f64>().ok()
        }
        value => value.as_f64(),
    };
    match number.filter(|number| LOUDNESS_RANGE.contains(number)) {
        Some(number) => Ok(json!(number)),
        None => Err(format!(
            "is {}; it must be from -40 (quiet) to -5 LUFS (loud), such as -16",
            shortened(&value.to_string())
        )),
    }
}

/// On which beats an item ends.
pub(super) struct BeatWish {
    /// The `id` of the music.
    pub music: String,
    pub every: usize,
    pub offset: usize,
}

/// Reads the value of `cut_on`: the `id` of the music, or an object.
pub(super) fn read_cut_on(value: &Value) -> Result<Value, String> {
    if let Value::String(music) = value {
        return Ok(json!({ "beats_of": music.trim() }));
    }
    let wrong = || {
        format!(
            "is {}; it must be {{\"beats_of\": ID of the music, \"every\": 2, \"offset\": 0}}",
            shortened(&value.to_string())
        )
    };
    let members = value.as_object().ok_or_else(wrong)?;
    if let Some(unknown) = members.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!(
            "it has no key `{}`; its keys are `beats_of`, `every` and `offset`",
            shortened(unknown)
        ));
    }
    let music = members.get("beats_of").and_then(Value::as_str);
    if music.is_none_or(|music| music.trim().is_empty()) {
        return Err("`beats_of` is missing: give the `id` of the music".to_owned());
    }
    let mut read = members.clone();
    for (name, least, most) in [("every", 1, MOST_EVERY), ("offset", 0, MOST_OFFSET)] {
        let Some(given) = members.get(name) else {
            continue;
        };
        let Some(number) = whole(given).filter(|number| (least..=most).contains(number)) else {
            return Err(format!(
                "its `{name}` is {}; it must be a whole number of beats from {least} to {most}",
                shortened(&given.to_string())
            ));
        };
        read.insert(name.to_owned(), number.into());
    }
    Ok(Value::Object(read))
}

/// A number from 0 on that is whole, also if it is written with a point.
pub(super) fn whole(value: &Value) -> Option<u64> {
    u64::try_from(schema::whole(value.as_number()?)?).ok()
}

impl BeatWish {
    /// The wish that a value describes, as [`read_cut_on`] returns it.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let whole = |name: &str, usual| {
            let number = value.get(name).and_then(Value::as_u64);
            number.map_or(usual, |number| number as usize)
        };
        Some(Self {
            music: value.get("beats_of")?.as_str()?.trim().to_owned(),
            every: whole("every", 1),
            offset: whole("offset", 0),
        })
    }
}

/// Reads the value of `jump_cut`: true, or an object with `min_pause` and `keep`.
pub(super) fn read_jump_cut(value: &Value) -> Result<Value, String> {
    jump_cut(value).map(|_| value.clone())
}

/// The operation that a value of `jump_cut` stands for; `None` for false.
pub(super) fn jump_cut(value: &Value) -> Result<Option<JumpCut>, String> {
    let mut operation = json!({ "op": "jump_cut", "clip": "" });
    match value {
        Value::Bool(false) => return Ok(None),
        Value::Bool(true) => {}
        Value::Object(members) => {
            for (key, value) in members {
                if !["min_pause", "keep"].contains(&key.as_str()) {
                    return Err(format!(
                        "it has no key `{}`; its keys are `min_pause` and `keep`",
                        shortened(key)
                    ));
                }
                operation[key] = value.clone();
            }
        }
        _ => {
            return Err(format!(
                "is {}; it must be true or {{\"min_pause\": 0.4, \"keep\": 0.1}}, in seconds",
                shortened(&value.to_string())
            ));
        }
    }
    let read = Operation::read(&operation).and_then(|operation| match operation {
        Operation::JumpCut(wish) => PauseRule::of(&wish).map(|_| Some(wish)),
        _ => Ok(None),
    });
    read.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_their_unit() {
        assert_eq!(read_loudness(&json!(-16)), Ok(json!(-16.0)));
        assert_eq!(read_loudness(&json!("-14 LUFS")), Ok(json!(-14.0)));
        for value in [json!(-41), json!(0), json!("loud"), json!(true)] {
            let error = read_loudness(&value).unwrap_err();
            assert!(error.contains("from -40"), "{error}");
        }
    }

    #[test]
    fn beats_may_be_counted_with_a_point() {
        let given = json!({ "beats_of": "m", "every": 2.0, "offset": 1e1 });
        let read = read_cut_on(&given).expect("whole numbers");
        assert_eq!(read, json!({ "beats_of": "m", "every": 2, "offset": 10 }));
        let wish = BeatWish::of(&read).expect("a wish");
        assert_eq!(wish.every, 2);
        let half = json!({ "beats_of": "m", "every": 2.5 });
        read_cut_on(&half).expect_err("no whole number");
    }

    #[test]
    fn wrong_values_are_named() {
        assert_eq!(
            read_cut_on(&json!("music")),
            Ok(json!({ "beats_of": "music" }))
        );
        for (value, expected) in [
            (json!(2), "is 2; it must be"),
            (json!({ "every": 2 }), "`beats_of` is missing"),
            (json!({ "beats_of": "m", "every": 0 }), "its `every` is 0"),
            (
                json!({ "beats_of": "m", "offset": -1 }),
                "its `offset` is -1",
            ),
            (json!({ "beats_of": "m", "each": 2 }), "no key `each`"),
        ] {
            let error = read_cut_on(&value).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
