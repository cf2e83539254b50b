//! Reads JSON objects as structs, with errors that say where the problem is.
//!
//! Deserialisers of values do not know where they are. A deserialiser that records its path would be a second copy of
//! the reading code of each struct, so the place is searched for by reading shorter and shorter parts of the object.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Object;

/// Why an object cannot be read.
#[derive(Debug)]
pub(crate) struct Misread {
    /// The innermost value that cannot be read, as `keyframes[2].value`; empty for the object itself.
    pub path: String,
    pub fault: String,
}

/// Reads the object as `T`.
pub(crate) fn read<T: DeserializeOwned>(object: &Object) -> Result<T, Misread> {
    T::deserialize(object).map_err(|error| {
        let fault = error.to_string();
        let fault_of = |part: &Object| T::deserialize(part).err().map(|error| error.to_string());
        let path = Search {
            object,
            fault: &fault,
            fault_of: &fault_of,
        }
        .path();
        Misread { path, fault }
    })
}

struct Search<'s> {
    object: &'s Object,
    /// The fault that is searched for.
    fault: &'s str,
    fault_of: &'s dyn Fn(&Object) -> Option<String>,
}

impl Search<'_> {
    fn path(&self) -> String {
        let mut path = String::new();
        // The indexes of the children on the way to the value.
        let mut steps = Vec::new();
        loop {
            let (names, count) = self.children(&steps);
            if count == 0 || self.is_missing(&steps) || self.remains(&steps, 0) {
                return path;
            }
            // Reading stops at the first fault, which is therefore in the last child of the shortest part that has it.
            let (mut without, mut with) = (0, count);
            while with - without > 1 {
                let middle = without.midpoint(with);
                if self.remains(&steps, middle) {
                    with = middle;
                } else {
                    without = middle;
                }
            }
            let index = with - 1;
            match names.get(index) {
                Some(name) if path.is_empty() => path.push_str(name),
                Some(name) => path.push_str(&format!(".{name}")),
                None => path.push_str(&format!("[{index}]")),
            }
            steps.push(index);
        }
    }

    /// The names of the members of the value at `steps`, and the number of its members or items.
    fn children(&self, steps: &[usize]) -> (Vec<String>, usize) {
        let mut found = (Vec::new(), 0);
        self.changed(steps, |value| match value {
            Value::Object(members) => found = (members.keys().cloned().collect(), members.len()),
            Value::Array(items) => found.1 = items.len(),
            _ => {}
        });
        found
    }

    /// The name of the member that is missing, if that is the fault.
    fn missing(&self) -> Option<&str> {
        let rest = self.fault.strip_prefix("missing field `")?;
        rest.split_once('`').map(|(name, _)| name)
    }

    /// Whether the fault is that the value at `steps` lacks a member.
    fn is_missing(&self, steps: &[usize]) -> bool {
        let Some(name) = self.missing() else {
            return false;
        };
        let mut is_object = false;
        let fault = self.changed(steps, |value| {
            if let Value::Object(members) = value {
                is_object = true;
                members.entry(name).or_insert(Value::Null);
            }
        });
        is_object && fault.as_deref() != Some(self.fault)
    }

    /// Whether the fault remains if the value at `steps` keeps only its first `length` children.
    fn remains(&self, steps: &[usize], length: usize) -> bool {
        let missing = self.missing();
        let fault = self.changed(steps, |value| match value {
            Value::Object(members) => {
                // Without it, the value itself would lack the member that one of its children lacks.
                let is_kept = |(index, (name, _)): &(usize, (String, Value))| {
                    *index < length || missing == Some(name.as_str())
                };
                let kept = std::mem::take(members).into_iter().enumerate();
                *members = kept.filter(is_kept).map(|(_, member)| member).collect();
            }
            Value::Array(items) => items.truncate(length),
            _ => {}
        });
        fault.as_deref() == Some(self.fault)
    }

    /// The fault of a copy whose value at `steps` was changed.
    fn changed(&self, steps: &[usize], change: impl FnOnce(&mut Value)) -> Option<String> {
        let mut copy = Value::Object(self.object.clone());
        let mut value = &mut copy;
        for step in steps {
            value = match value {
                Value::Object(members) => members.values_mut().nth(*step)?,
                Value::Array(items) => items.get_mut(*step)?,
                _ => return None,
            };
        }
        change(value);
        (self.fault_of)(copy.as_object()?)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Shape {
        name: String,
        points: Vec<Point>,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        inner: Option<Box<Shape>>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Point {
        x: f64,
        name: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Round,
    }

    #[test]
    fn errors_name_the_innermost_value() {
        let good = json!({ "x": 1 });
        for (object, path, fault) in [
            (json!({}), "", "missing field `name`"),
            (json!({ "name": "a" }), "", "missing field `points`"),
            (
                json!({ "name": 1, "points": [] }),
                "name",
                "invalid type: integer `1`",
            ),
            (
                json!({ "points": [good, good, {}, {}], "name": "a" }),
                "points[2]",
                "missing field `x`",
            ),
            (
                json!({ "points": [good, { "x": 1, "name": 2 }, { "x": "1" }], "name": "a" }),
                "points[1].name",
                "invalid type: integer `2`",
            ),
            (
                json!({ "name": "a", "points": {} }),
                "points",
                "invalid type: map",
            ),
            (
                json!({ "name": "a", "points": [], "kind": "square" }),
                "kind",
                "unknown variant `square`",
            ),
            (
                json!({ "name": "a", "points": [], "colour": 1 }),
                "colour",
                "unknown field `colour`",
            ),
            (
                json!({ "name": "a", "points": [], "inner": { "name": "b", "points": [good, 7] } }),
                "inner.points[1]",
                "invalid type: integer `7`",
            ),
            (
                json!({ "name": "a", "inner": { "points": [] }, "points": [] }),
                "inner",
                "missing field `name`",
            ),
        ] {
            let error = super::read::<Shape>(object.as_object().unwrap()).unwrap_err();
            assert_eq!(error.path, path, "{object}");
            assert!(error.fault.starts_with(fault), "{object}: {}", error.fault);
        }
    }
}
