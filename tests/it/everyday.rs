//! Ten everyday requests, each in three spellings that a model would send: aliases, numbers as text, nested or flat. Every spelling gives
//! the intended document.

use serde_json::{Value, json};

use crate::support::{Client, Home, media};

/// A request: the tool, three spellings of its arguments, and what the document of the clip must have.
struct Request {
    wish: &'static str,
    tool: &'static str,
    spellings: [Value; 3],
    /// Paths in the clip and its materials (`list/…`), and their values.
    expected: Vec<(&'static str, Value)>,
}

fn requests() -> Vec<Request> {
    let video = json!(media("clip.mp4"));
    let picture = json!(media("picture.jpg"));
    let music = json!(media("music.mp3"));
    vec![
        Request {
            wish: "logo bottom right",
            tool: "add_image",
            spellings: [
                json!({ "image_url": picture, "position": "bottom_right", "scale": 0.2, "at": 0, "duration": 10 }),
                json!({ "image_path": picture, "position": "bottom-right", "scale": "20%", "start_time": "0", "end_time": "10s" }),
                json!({ "url": picture, "position": "Bottom Right", "properties": { "scale": "0.2" }, "start": 0, "end": 10 }),
            ],
            expected: vec![
                ("clip/scale/x", json!(0.2)),
                ("clip/scale/y", json!(0.2)),
                ("target_timerange/duration", json!(10_000_000)),
            ],
        },
        Request {
            wish: "lower the music and fade it out",
            tool: "add_audio",
            spellings: [
                json!({ "audio_url": music, "volume": 0.3, "fade_out": 0.5 }),
                json!({ "audio_path": music, "volume": "30%", "fadeOut": "0.5s" }),
                json!({ "url": music, "loudness": "0.3", "fade_out_duration": "500ms" }),
            ],
            expected: vec![
                ("volume", json!(0.3)),
                ("audio_fades/fade_out_duration", json!(500_000)),
            ],
        },
        Request {
            wish: "warm retro look",
            tool: "add_video",
            spellings: [
                json!({ "video_url": video, "filter": "_1980", "filter_intensity": 80, "temperature": 0.3 }),
                json!({ "video_url": video, "filter": { "name": "1980", "intensity": "80%" }, "warmth": "30%" }),
                json!({ "video_url": video, "properties": { "filter": "1980", "filter_intensity": "80", "temperature": "0.3" } }),
            ],
            expected: vec![
                ("effects:filter/resource_id", json!("7127828208690433311")),
                ("effects:filter/value", json!(0.8)),
                ("effects:temperature/value", json!(0.3)),
            ],
        },
        Request {
            wish: "Ken Burns on a photo",
            tool: "add_image",
            spellings: [
                json!({ "image_url": picture, "motion": "ken_burns" }),
                json!({ "image_url": picture, "motion_preset": "Ken Burns" }),
                json!({ "image_url": picture, "properties": { "camera_motion": "ken-burns" } }),
            ],
            expected: vec![("common_keyframes", json!("some"))],
        },
        Request {
            wish: "title with a yellow outline that pops in",
            tool: "add_text",
            spellings: [
                json!({ "text": "Hi", "border_color": "#FFFF00", "border_width": 40, "motion": "pop" }),
                json!({ "content": "Hi", "outline_color": "yellow", "outline_width": "40", "motion": "Pop" }),
                json!({ "text": "Hi", "border": { "color": "rgb(255, 255, 0)", "width": 40 }, "properties": { "motion": "pop" } }),
            ],
            expected: vec![
                (
                    "letters/strokes/0/content/solid/color",
                    json!([1.0, 1.0, 0.0]),
                ),
                ("common_keyframes", json!("some")),
            ],
        },
        Request {
            wish: "slow motion",
            tool: "add_video",
            spellings: [
                json!({ "video_url": video, "speed": 0.5 }),
                json!({ "video_url": video, "speed": "50%" }),
                json!({ "path": video, "playback_speed": "0.5x" }),
            ],
            expected: vec![("speeds/speed", json!(0.5))],
        },
        Request {
            wish: "blurred background",
            tool: "add_video",
            spellings: [
                json!({ "video_url": video, "background_blur": 2 }),
                json!({ "video_url": video, "backgroundBlur": "2" }),
                json!({ "video_url": video, "background_blur": 2.0 }),
            ],
            expected: vec![
                ("canvases/type", json!("canvas_blur")),
                ("canvases/blur", json!(0.375)),
            ],
        },
        Request {
            wish: "dissolve to the next clip",
            tool: "add_video",
            spellings: [
                json!({ "video_url": video, "transition": "Dissolve", "transition_duration": 0.4 }),
                json!({ "video_url": video, "transition_type": "dissolve", "transition_duration": "0.4 s" }),
                json!({ "video_url": video, "transition": { "name": "Dissolve", "duration": "400ms" } }),
            ],
            expected: vec![
                ("transitions/name", json!("Dissolve")),
                ("transitions/duration", json!(400_000)),
            ],
        },
        Request {
            wish: "half transparent, turned watermark",
            tool: "add_text",
            spellings: [
                json!({ "text": "Draft", "opacity": 0.5, "rotation": 45 }),
                json!({ "text": "Draft", "alpha": "50%", "rotate": "45deg" }),
                json!({ "text": "Draft", "font_alpha": "0.5", "angle": "45°" }),
            ],
            expected: vec![
                ("clip/rotation", json!(45.0)),
                ("letters/fill/content/solid/alpha", json!(0.5)),
            ],
        },
        Request {
            wish: "black and white",
            tool: "add_video",
            spellings: [
                json!({ "video_url": video, "saturation": -1 }),
                json!({ "video_url": video, "saturation": "-100%" }),
                json!({ "video_url": video, "properties": { "saturation": "-1.0" } }),
            ],
            expected: vec![("effects:saturation/value", json!(-1.0))],
        },
    ]
}

/// The clip of a draft, and the materials of its document.
fn made(
    client: &mut Client,
    request: &Request,
    arguments: &Value,
) -> Result<(Value, Value), String> {
    let made = client.call("create_draft", json!({ "width": 1080, "height": 1920 }));
    let draft = made.expect("a draft")["draft_id"].clone();
    let mut arguments = arguments.clone();
    arguments["draft_id"] = draft.clone();
    client.call(request.tool, arguments)?;
    let read = client.call("query_script", json!({ "draft_id": draft, "path": "" }));
    let read = read.expect("a document");
    let document: Value =
        serde_json::from_str(read["script"].as_str().expect("a text")).expect("JSON");
    let tracks = document["tracks"].as_array().expect("tracks").iter();
    let mut clips = tracks.flat_map(|track| track["segments"].as_array().into_iter().flatten());
    let clip = clips.next().expect("a clip").clone();
    Ok((clip, document["materials"].clone()))
}

/// The value at a path: in the clip, in its material of a list (`list/key`, or `list:type/key`), or in the style of
/// its letters (`letters/…`).
fn value(clip: &Value, materials: &Value, path: &str) -> Value {
    if path == "common_keyframes" {
        let has = clip[path].as_array().is_some_and(|list| !list.is_empty());
        return if has { json!("some") } else { Value::Null };
    }
    if let Some(path) = path.strip_prefix("letters") {
        let content = materials["texts"][0]["content"].as_str().expect("a text");
        let content: Value = serde_json::from_str(content).expect("JSON");
        return content["styles"][0]
            .pointer(path)
            .cloned()
            .unwrap_or_default();
    }
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let (list, kind) = first.split_once(':').unwrap_or((first, ""));
    if let Some(list) = materials[list].as_array() {
        let refs = clip["extra_material_refs"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = list.iter().find(|material| {
            let is_own = refs.contains(&material["id"]) || clip["material_id"] == material["id"];
            is_own && (kind.is_empty() || material["type"] == kind)
        });
        return found.map_or(Value::Null, |found| found[rest].clone());
    }
    clip.pointer(&format!("/{path}"))
        .cloned()
        .unwrap_or_default()
}

#[test]
fn everyday_requests_give_the_intended_document_in_every_spelling() {
    let home = Home::embedded();
    let mut client = home.serve_with(&["serve"]);
    client.initialize("2025-11-25");
    let mut wrong = Vec::new();
    let mut tried = 0;
    for request in requests() {
        for spelling in &request.spellings {
            tried += 1;
            match made(&mut client, &request, spelling) {
                Err(error) => wrong.push(format!("{}: {spelling}: {error}", request.wish)),
                Ok((clip, materials)) => {
                    for (path, expected) in &request.expected {
                        let is = value(&clip, &materials, path);
                        let is_equal = match (is.as_f64(), expected.as_f64()) {
                            (Some(is), Some(expected)) => (is - expected).abs() < 1e-6,
                            _ => is == *expected,
                        };
                        if !is_equal {
                            wrong.push(format!(
                                "{}: {spelling}: `{path}` is {is}, not {expected}",
                                request.wish
                            ));
                        }
                    }
                    if request.wish.starts_with("logo") {
                        let at =
                            |side: &str| clip["clip"]["transform"][side].as_f64().unwrap_or(0.0);
                        if !(at("x") > 0.5 && at("y") < -0.5) {
                            wrong.push(format!("{}: {}", request.wish, clip["clip"]));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "of {tried}:\n{}", wrong.join("\n"));
    assert_eq!(tried, 30);
}
