//! The JSON Schema of a plan, for editors: the plan's own keys, and the arguments of each item's tool.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::plan::Plan;
use super::section::Section;
use crate::tools::{self, Object};

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
    schema["properties"]["defaults"] = json!({
        "description": "Keys that all items of a section have, unless an item has them itself, by section, \"images\" or \"videos\".",
        "type": "object",
        "additionalProperties": { "type": "object" },
    });
    let template = schema["properties"]["template"].take();
    for key in ["media", "repeat", "strict"] {
        schema["properties"][key] = template["properties"][key].clone();
    }
    // With a template, it has the words of its slots.
    let words = &template["properties"]["texts"]["additionalProperties"];
    schema["properties"]["texts"]["additionalProperties"] = words.clone();
    schema["properties"]["texts"]["type"] = json!(["array", "object"]);
    schema["properties"]["template"] = json!({
        "description": template["description"],
        "anyOf": [{ "type": "string" }, template],
    });
    if let Some(save) = arguments("save_draft") {
        schema["properties"]["save"] = json!({
            "description": schema["properties"]["save"]["description"],
            "anyOf": [{ "type": "boolean" }, save],
        });
    }
    schema
}

/// The plan in the schema of `compose_draft`, which is in the context of every conversation: the plan's own keys, and
/// only the common keys of each item.
pub(crate) fn common(_: &mut SchemaGenerator) -> Schema {
    let mut properties = Object::new();
    for (key, schema) in [
        ("name", json!({ "type": "string" })),
        (
            "width",
            json!({ "type": "number", "description": "Canvas, pixels. Default: 1080x1920." }),
        ),
        ("height", json!({ "type": "number" })),
        (
            "aspect_ratio",
            json!({ "type": "string", "description": "Instead: \"9:16\", \"16:9\", …" }),
        ),
    ] {
        properties.insert(key.to_owned(), schema);
    }
    for section in Section::ALL {
        let (description, keys) = usual(section);
        let mut of_item = Object::new();
        for key in keys.split(' ') {
            if let Some(schema) = short(section, key) {
                of_item.insert(key.to_owned(), schema);
            }
        }
        properties.insert(
            section.key().to_owned(),
            json!({
                "type": "array",
                "description": description,
                "items": { "type": "object", "properties": of_item },
            }),
        );
    }
    properties.insert(
        "save".to_owned(),
        json!({
            "type": "object",
            "description": "Arguments of `save_draft`, or false.",
            "properties": {},
        }),
    );
    json_schema!({ "type": "object", "properties": properties, "additionalProperties": true })
}

/// The description of a section, and the common keys of its items.
fn usual(section: Section) -> (&'static str, &'static str) {
    match section {
        Section::Audio => (
            "`add_audio`; `fit: \"video\"` ends it with the pictures, `loop` repeats it until then.",
            "audio_url at duration volume fade_in fade_out fit loop id",
        ),
        Section::Visuals => (
            "`add_video` or `add_image`, in their order. `duration` of an image: seconds (default 3) or \"whole\".",
            "video_url image_url at source_start source_end duration speed volume transition track_name",
        ),
        Section::Texts => (
            "`add_text`. `duration`: seconds (default 5) or \"whole\".",
            "text at duration font font_size font_color transform_y track_name",
        ),
        Section::Subtitles => (
            "`add_subtitle`; `align_to`: the `id` of the audio that they belong to.",
            "srt align_to time_offset",
        ),
        Section::Stickers => ("Stickers.", "sticker_id at duration"),
        Section::Effects => ("`add_effect`.", "effect_type at duration"),
        Section::Keyframes => (
            "`add_video_keyframe`.",
            "track_name property_types times values",
        ),
    }
}

/// Type and allowed values of a key, if the items have it.
fn short(section: Section, key: &str) -> Option<Value> {
    let own = section.tools().iter().find_map(|tool| {
        let spec = tools::routed(tool)?;
        let property = spec.input().get("properties")?.get(spec.own_name(key))?;
        Some(property.clone())
    });
    let (schema, only) = match own {
        Some(schema) => (schema, ["type", "items", "enum"].as_slice()),
        None => (comfort(section, key)?, ["type", "enum"].as_slice()),
    };
    let mut short = Object::new();
    for kept in only {
        if let Some(value) = schema.get(*kept) {
            short.insert((*kept).to_owned(), value.clone());
        }
    }
    // `add_video_keyframe` lists the names of its properties.
    if let Some(Value::Object(items)) = short.get_mut("items") {
        items.shift_remove("enum");
    }
    Some(Value::Object(short))
}

/// The arguments of a tool without the draft, which the plan creates; other names of arguments are included.
fn arguments(tool: &str) -> Option<Value> {
    let spec = tools::routed(tool)?;
    let mut schema: Object = spec.shown_input().as_ref().clone();
    if let (Some(Value::Object(shown)), Some(Value::Object(own))) =
        (schema.get_mut("properties"), spec.input().get("properties"))
    {
        for (name, property) in own {
            shown.entry(name).or_insert_with(|| property.clone());
        }
        for (other, name) in spec.input_rules.iter().filter_map(|rule| rule.other_name()) {
            if let Some(property) = own.get(name) {
                let mut property = property.clone();
                property["description"] = json!(format!("Another name for `{name}`."));
                shown.entry(other).or_insert(property);
            }
        }
        shown.shift_remove("draft_id");
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

/// A key that a plan's items have in addition to the arguments of their tools.
fn comfort(section: Section, key: &str) -> Option<Value> {
    if !section.rules().contains(&key) {
        return None;
    }
    Some(match key {
        "id" => json!({ "type": "string", "description": "Your name for the item." }),
        "type" => json!({
            "type": "string",
            "enum": ["video", "image"],
            "description": "Default: from the argument that has the URL.",
        }),
        "duration" => json!({
            "type": ["number", "string"],
            "description": "How long it is shown: seconds, or \"whole\" for the whole video.",
        }),
        "fit" => json!({
            "type": "string",
            "enum": ["video"],
            "description": "Cut to the end of the pictures.",
        }),
        "loop" => {
            json!({ "type": "boolean", "description": "Repeated until the end of the pictures." })
        }
        "duck" => json!({
            "type": ["boolean", "string", "array", "object"],
            "description": "Quieter while others speak: true, the track or `id` of those sounds, a list, or {under, by_db, attack, release, hold}.",
        }),
        "loudness_lufs" => json!({
            "type": "number",
            "description": "The loudness of what is played, -40 to -5 LUFS (such as -16), instead of `volume`. Its true peak stays below -1 dB.",
        }),
        "cut_on" => json!({
            "type": ["object", "string"],
            "description": "Ends on a beat of music: its `id`, or {beats_of, every, offset}. Without a `duration`, on the next one that counts.",
        }),
        "jump_cut" => json!({
            "type": ["boolean", "object"],
            "description": "Cuts the pauses out of speech; all other items move along: true, or {min_pause, keep} in seconds (default: 0.4 and 0.1).",
        }),
        "align_to" => json!({
            "type": "string",
            "description": "The `id` of a sound or video whose subtitles these are: their times are those of its file, also if it is trimmed, moved, faster or repeated.",
        }),
        "script" => json!({
            "type": ["string", "array"],
            "items": { "type": "string" },
            "description": "Instead of `srt`: the words that are spoken in `align_to`, as a text or a list of lines. Their times are estimated from the speech in the file.",
        }),
        "say" => json!({
            "type": ["string", "object"],
            "description": "Instead of a file: the words that a provider of speech speaks. As an object: {text, voice, provider, voice_speed}.",
            "required": ["text"],
            "additionalProperties": false,
            "properties": {
                "text": { "type": "string", "description": "The words; at most 100,000 characters." },
                "voice": { "type": "string", "description": "The voice, as the provider names it. Default: the provider's `voice`." },
                "provider": { "type": "string", "description": PROVIDER },
                "voice_speed": {
                    "type": "number",
                    "minimum": 0.5,
                    "maximum": 2,
                    "description": "The pace at which it is spoken; 1 is the voice's own (default). `speed` is that of playback.",
                },
            },
        }),
        "imagine" => made_of_words(
            "Instead of a file: the description of a picture that a provider makes in the shape of the canvas.",
        ),
        "film" => made_of_words(
            "Instead of a file: the description of a clip that a provider makes, as long as the item (default: 5 s).",
        ),
        "style" => json!({ "type": "string", "description": STYLE }),
        "seed" => seed(),
        "provider" => json!({ "type": "string", "description": PROVIDER }),
        "auto" => json!({
            "type": ["boolean", "string"],
            "description": "Instead of `srt`: the words that are heard in `align_to`, written down by the provider of transcripts with this name; true: the default one.",
        }),
        "language" => json!({
            "type": "string",
            "description": "The language that `auto` hears, as a code such as \"en\" or \"zh\". Default: the provider finds out.",
        }),
        _ => return None,
    })
}

const PROVIDER: &str = "The name of a provider in `tools.toml`. Default: the only one, or the one with `default = true`.";
const STYLE: &str = "Added to the description; the same for all pictures makes them look alike.";

fn seed() -> Value {
    json!({
        "type": "integer",
        "minimum": 0,
        "maximum": u32::MAX,
        "description": "The same description with the same seed is made once. Without a seed, each item gets a picture of its own.",
    })
}

/// `imagine` or `film`.
fn made_of_words(description: &str) -> Value {
    json!({
        "type": ["string", "object"],
        "description": format!("{description} As an object: {{prompt, style, seed, provider}}."),
        "required": ["prompt"],
        "additionalProperties": false,
        "properties": {
            "prompt": { "type": "string", "description": "The description; at most 100,000 characters." },
            "style": { "type": "string", "description": STYLE },
            "seed": seed(),
            "provider": { "type": "string", "description": PROVIDER },
        },
    })
}

/// The keys of visuals that are not for this tool: a picture has no sound, and each is made by its own key.
fn of_other_visuals(tool: &str) -> &'static [&'static str] {
    match tool {
        "add_image" => &["loudness_lufs", "jump_cut", "film"],
        "add_video" => &["imagine"],
        _ => &[],
    }
}

fn item(section: Section, tool: &str) -> Option<Value> {
    let mut schema = arguments(tool)?;
    let properties = schema["properties"].as_object_mut()?;
    let others = of_other_visuals(tool);
    for key in section.rules().iter().filter(|key| !others.contains(key)) {
        if let Some(schema) = comfort(section, key) {
            properties.entry(*key).or_insert(schema);
        }
    }
    let made = ["say", "imagine", "film"]
        .into_iter()
        .find(|key| properties.contains_key(*key));
    if let Some(made) = made {
        // A file, or what is made.
        let file = schema["required"].take();
        schema["required"] = json!([]);
        schema["anyOf"] = json!([{ "required": file }, { "required": [made] }]);
    }
    Some(schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local;

    #[test]
    fn the_common_keys_are_keys_of_the_items() {
        let spec = local::find("compose_draft").unwrap();
        let plan = &spec.input()["properties"]["plan"];
        for section in Section::ALL {
            let keys = plan["properties"][section.key()]["items"]["properties"].as_object();
            let keys = keys.unwrap();
            assert!(keys.len() > 1, "{}", section.key());
            let is_placed = !matches!(section, Section::Subtitles | Section::Keyframes);
            assert_eq!(keys.contains_key("at"), is_placed, "{}", section.key());
            assert!(keys.keys().all(|key| section.takes(key)), "{keys:?}");
        }
        let size = plan.to_string().len();
        assert!(size < 3_300, "{size} bytes");
    }

    #[test]
    fn the_schema_knows_every_argument_of_every_item() {
        let schema = schema();
        let audio = &schema["properties"]["audio"]["items"]["properties"];
        for key in [
            "audio_url",
            "volume",
            "fit",
            "loop",
            "id",
            "at",
            "target_start",
            "source_start",
            "url",
        ] {
            assert!(audio[key]["description"].is_string(), "{key}: {audio}");
        }
        assert!(audio["draft_id"].is_null());
        for key in ["text", "voice", "provider", "voice_speed"] {
            let key = &audio["say"]["properties"][key];
            assert!(key["description"].is_string(), "{key}");
        }
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

    #[test]
    fn an_item_needs_a_file_or_what_is_made() {
        let schema = schema();
        let audio = &schema["properties"]["audio"]["items"];
        let visuals = &schema["properties"]["visuals"]["items"]["anyOf"];
        for (item, file, made, other) in [
            (audio, "audio_url", "say", "imagine"),
            (&visuals[0], "video_url", "film", "imagine"),
            (&visuals[1], "image_url", "imagine", "film"),
        ] {
            let expected = json!([{ "required": [file] }, { "required": [made] }]);
            assert_eq!(item["anyOf"], expected);
            assert_eq!(item["required"], json!([]));
            assert!(item["properties"][made].is_object(), "{made}");
            assert!(item["properties"][other].is_null(), "{file}: {other}");
        }
        let subtitles = &schema["properties"]["subtitles"]["items"]["properties"];
        assert!(subtitles["auto"].is_object() && subtitles["language"].is_object());
    }
}
