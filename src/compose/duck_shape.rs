//! The value of `duck` in a plan.

use capcut_draft::{DuckShape, Operation};
use serde_json::{Value, json};

/// Reads the value of `duck`: true, the `id` or track of sounds, a list of these, or an object with `under` and a shape.
pub(super) fn read(value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(_) | Value::String(_) => {}
        Value::Array(names) if !names.is_empty() && names.iter().all(Value::is_string) => {}
        Value::Object(_) => {
            shape(value)?;
            if let Some(under) = value.get("under") {
                let is_list = under.is_string()
                    || under.as_array().is_some_and(|names| {
                        !names.is_empty() && names.iter().all(Value::is_string)
                    });
                if !is_list {
                    return Err(format!(
                        "its `under` is {under}; it must be the `id` or track of sounds, or a list of these"
                    ));
                }
            }
        }
        _ => {
            return Err(format!(
                "is {value}; it must be true, the `id` or track of sounds, a list of these, or {{under, by_db, attack, \
                 release, hold}}"
            ));
        }
    }
    Ok(value.clone())
}

/// How much and how fast it becomes quieter.
pub(super) fn shape(value: &Value) -> Result<DuckShape, String> {
    let mut operation = json!({ "op": "duck", "clip": "", "under": "" });
    for (key, value) in value.as_object().into_iter().flatten() {
        match key.as_str() {
            "under" => {}
            "op" | "clip" | "speech" => return Err(format!("it has no key `{key}`")),
            _ => operation[key] = value.clone(),
        }
    }
    let read = Operation::read(&operation).and_then(|operation| match operation {
        Operation::Duck(duck) => DuckShape::of(&duck),
        _ => Ok(DuckShape::default()),
    });
    read.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_wrong_values_are_named() {
        for value in [
            json!(true),
            json!("voice"),
            json!(["voice", "video_main"]),
            json!({ "under": ["voice"], "by_db": -12, "attack": 0.2, "release": "500ms", "hold": 0.1 }),
            json!({ "to": 0.1 }),
        ] {
            assert_eq!(read(&value), Ok(value.clone()));
        }
        for (value, expected) in [
            (json!(3), "is 3; it must be true"),
            (json!([]), "it must be true"),
            (json!({ "under": 3 }), "its `under` is 3"),
            (json!({ "by_db": 6 }), "`by_db` is 6"),
            (json!({ "by_db": -6, "to": 0.5 }), "both given"),
            (json!({ "attack": 11 }), "`attack` is 11"),
            (json!({ "depth": 1 }), "depth"),
        ] {
            let error = read(&value).expect_err("an error");
            assert!(error.contains(expected), "{value}: {error}");
        }
        let decibels = shape(&json!({ "by_db": -12 })).expect("a shape");
        assert!((decibels.to - 0.251).abs() < 1e-3);
    }
}
