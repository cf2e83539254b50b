//! Arguments as the reference API reads them over HTTP. It never checks most values: null stands for the default, and
//! text that holds a number stands for that number, unless the API itself fails on such a value.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::located::{self, Misread};
use super::{Object, is_truthy};
use crate::error::{Error, Result};

/// An argument whose type the reference API depends on: a wrong type fails there too (recordings in `tests/golden`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    pub argument: &'static str,
    /// Only together with this argument, if one is named: it must be given and true.
    pub beside: Option<&'static str>,
}

/// Shorthand for arguments that are always checked.
pub(crate) const fn always(argument: &'static str) -> Checked {
    Checked {
        argument,
        beside: None,
    }
}

/// Shorthand for arguments that are checked only when another argument uses them.
pub(crate) const fn beside(argument: &'static str, other: &'static str) -> Checked {
    Checked {
        argument,
        beside: Some(other),
    }
}

/// Reads the arguments as `T`. Values that `T` refuses but the API would not check become the default or the number
/// that they stand for, also in `arguments`. The error names the first argument that cannot be read.
pub(crate) fn read<T: DeserializeOwned>(arguments: &mut Object, checked: &[Checked]) -> Result<T> {
    loop {
        let Misread { path, fault } = match located::read(arguments) {
            Ok(read) => return Ok(read),
            Err(misread) => misread,
        };
        // Each step replaces a null or a text, so the loop terminates.
        if replace(arguments, &path, checked) {
            continue;
        }
        return Err(Error::invalid(if path.is_empty() {
            fault
        } else {
            format!("`{path}`: {fault}")
        }));
    }
}

/// Replaces the argument by its default or number if possible. Returns whether it was replaced.
fn replace(arguments: &mut Object, name: &str, checked: &[Checked]) -> bool {
    let fails = checked.iter().any(|one| {
        let used = |other: &str| arguments.get(other).is_some_and(is_truthy);
        one.argument == name && one.beside.is_none_or(used)
    });
    if fails {
        return false;
    }
    match arguments.get(name) {
        Some(Value::Null) => arguments.shift_remove(name).is_some(),
        Some(Value::String(text)) => match number(text) {
            Some(number) => {
                arguments.insert(name.to_owned(), number);
                true
            }
            None => false,
        },
        _ => false,
    }
}

/// The finite number that a text holds.
fn number(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map(Value::from)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Shape {
        #[serde(default = "seven")]
        size: f64,
        #[serde(default)]
        name: String,
        #[serde(default = "seven")]
        time: f64,
        #[serde(default)]
        mask: Option<String>,
        #[serde(default)]
        feather: f64,
    }

    fn seven() -> f64 {
        7.0
    }

    const CHECKED: &[Checked] = &[always("time"), beside("feather", "mask")];

    fn read(arguments: Value) -> std::result::Result<(Shape, Value), String> {
        let mut arguments = arguments.as_object().cloned().expect("an object");
        let shape = super::read(&mut arguments, CHECKED).map_err(|error| error.message)?;
        Ok((shape, Value::Object(arguments)))
    }

    #[test]
    fn null_becomes_the_default_and_numeric_text_a_number() {
        let (shape, arguments) =
            read(json!({ "size": null, "name": null, "feather": " 1.5 " })).unwrap();
        assert_eq!((shape.size, shape.feather), (7.0, 1.5));
        assert_eq!(arguments, json!({ "feather": 1.5 }));
        assert_eq!(read(json!({ "size": "12" })).unwrap().0.size, 12.0);
    }

    #[test]
    fn values_that_fail_in_the_reference_api_are_refused_by_name() {
        for (arguments, place) in [
            (json!({ "time": null }), "`time`: "),
            (json!({ "time": "1" }), "`time`: "),
            (json!({ "feather": null, "mask": "Circle" }), "`feather`: "),
            (json!({ "size": "wide" }), "`size`: "),
            (json!({ "size": "inf" }), "`size`: "),
            (json!({ "size": [] }), "`size`: "),
        ] {
            let error = read(arguments.clone()).unwrap_err();
            assert!(error.starts_with(place), "{arguments}: {error}");
        }
        assert!(read(json!({ "feather": null, "mask": null })).is_ok());
    }
}
