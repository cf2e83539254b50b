//! Argument types that several tools share, and how loose arguments become right ones.

pub(crate) mod mend;
pub(crate) mod position;
pub(crate) mod schema;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub(crate) use position::{Content, Placement, Position};

/// Reads any JSON value by its truth, as the API does: `1`, `"yes"` and `[0]` are true.
pub(crate) fn truthy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => false,
        Value::Bool(b) => b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    })
}
