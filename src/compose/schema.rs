//! The JSON Schema of a plan, for editors: the plan's own keys, and for each item the arguments of its tool.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::plan::{Plan, Section};
use crate::local;
use crate::tools::Object;

/// The whole schema, with `$defs` for the items.
pub(crate) fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<Plan>()
        .to_value();
    schema["title"] = json!("A plan for capcut-mcp compose");
    for section in Section::ALL {
        let choices: Vec<Value> = section
            .tools()
            .iter()
            .filter_map(|tool| item(section, tool))
            .collect();
        schema["properties"][section.key()]["items"] = match <[Value; 1]>::try_from(choices) {
            Ok([only]) => only,
            Err(choices) => json!({ "anyOf": choices }),
        };
    }
    if let Some(save) = arguments("save_draft") {
        schema["properties"]["save"] = json!({
            "description": schema["properties"]["save"]["description"],
            "anyOf": [{ "type": "boolean" }, save],
        });
    }
    schema
}

/// The arguments of a tool without the draft, which a plan makes itself; names that people use are accepted too.
fn arguments(tool: &str) -> Option<Value> {
    let spec = local::find(tool)?;
    let mut schema: Object = spec.input().as_ref().clone();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.shift_remove("draft_id");
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| name != "draft_id");
    }
    schema.shift_remove("additionalProperties");
    schema.insert(
        "description".to_owned(),
        json!(format!("Arguments of `{tool}`.")),
    );
    Some(Value::Object(schema))
}

fn item(section: Section, tool: &str) -> Option<Value> {
    let mut schema = arguments(tool)?;
    let properties = schema["properties"].as_object_mut()?;
    for key in section.comforts() {
        let (kind, told) = match *key {
            "id" => ("string", "A name of your own for the item."),
            "type" => (
                "string",
                "\"video\" or \"image\"; told by the URL's argument without it.",
            ),
            "duration" => ("number", "How long it is shown, in seconds."),
            "fit" => ("string", "\"video\": cut to the end of the pictures."),
            "loop" => ("boolean", "Repeated until the end of the pictures."),
            "align_to" => (
                "string",
                "The `id` of the audio item with which the subtitles start.",
            ),
            _ => continue,
        };
        properties
            .entry(*key)
            .or_insert_with(|| json!({ "type": kind, "description": told }));
    }
    Some(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_every_argument_of_every_item() {
        let schema = schema();
        let audio = &schema["properties"]["audio"]["items"]["properties"];
        for key in ["audio_url", "volume", "fit", "loop", "id"] {
            assert!(audio[key]["description"].is_string(), "{key}: {audio}");
        }
        assert!(audio["draft_id"].is_null());
        let visuals = &schema["properties"]["visuals"]["items"]["anyOf"];
        assert!(
            visuals[0]["properties"]["video_url"].is_object(),
            "{visuals}"
        );
        assert!(
            visuals[1]["properties"]["image_url"].is_object(),
            "{visuals}"
        );
    }
}
