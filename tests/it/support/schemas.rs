//! Replies against the schemas that clients are shown: some clients drop what is not declared.

use std::path::Path;

use serde_json::{Value, json};

/// Every field of the reply is in the tool's output schema, with its type. The schemas are the snapshots, which another
/// test compares with what the server lists.
pub(crate) fn check_reply(tool: &str, reply: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/schemas/{tool}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{tool}: {e}"));
    let listed: Value = serde_json::from_str(&text).expect("JSON");
    declared(tool, &listed["outputSchema"], reply);
}

fn declared(place: &str, schema: &Value, value: &Value) {
    let kind = schema["type"].as_str();
    let kind = kind.unwrap_or_else(|| panic!("{place} is not declared: {value}"));
    let fits = match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("{place}: {other}"),
    };
    assert!(fits, "{place} is {value}, declared as {kind}");
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{place} is {value}: {allowed:?}");
    }
    match value {
        Value::Object(members) if schema["additionalProperties"].is_object() => {
            for (name, member) in members {
                let place = format!("{place}.{name}");
                declared(&place, &schema["additionalProperties"], member);
            }
        }
        // An object without declared members has any.
        Value::Object(members) if schema["properties"] != json!({}) => {
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().expect("a name");
                assert!(members.contains_key(name), "{place} lacks {name}: {value}");
            }
            for (name, member) in members {
                declared(
                    &format!("{place}.{name}"),
                    &schema["properties"][name],
                    member,
                );
            }
        }
        Value::Array(items) => {
            for item in items {
                declared(&format!("{place}[]"), &schema["items"], item);
            }
        }
        _ => {}
    }
}
