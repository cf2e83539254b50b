//! Ten everyday requests, each in three spellings that a model would send: aliases, numbers as text, nested or flat. Every spelling gives
//! the intended document.

use serde_json::{Value, json};

use crate::support::drafts::{document, keyframes};
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
    let document = document(client, &draft);
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

/// A draft with two photos, a video, music under a voice, and two captions.
fn whole_video(client: &mut Client) -> Value {
    let made = client.call("create_draft", json!({ "width": 1080, "height": 1920 }));
    let draft = made.expect("a draft")["draft_id"].clone();
    let srt = "1\n00:00:00,000 --> 00:00:01,000\nOne\n\n2\n00:00:01,000 --> 00:00:02,000\nTwo\n";
    for (tool, arguments) in [
        (
            "add_image",
            json!({ "image_url": media("picture.jpg"), "start": 0, "end": 2 }),
        ),
        (
            "add_image",
            json!({ "image_url": media("logo.png"), "start": 2, "end": 4 }),
        ),
        (
            "add_video",
            json!({ "video_url": media("clip.mp4"), "target_start": 4, "end": 3 }),
        ),
        (
            "add_audio",
            json!({ "audio_url": media("music.mp3"), "end": 7, "volume": 0.8, "track_name": "music" }),
        ),
        (
            "add_audio",
            json!({ "audio_url": media("voice.mp3"), "target_start": 2, "end": 2, "track_name": "voice" }),
        ),
        ("add_subtitle", json!({ "srt": srt })),
    ] {
        let mut arguments = arguments;
        arguments["draft_id"] = draft.clone();
        let added = client.call(tool, arguments);
        added.unwrap_or_else(|error| panic!("{tool}: {error}"));
    }
    draft
}

/// The clips whose material is in a list, of a type if one is given.
fn clips_of(document: &Value, list: &str, kind: &str) -> Vec<Value> {
    let materials = document["materials"][list].as_array().expect("a list");
    let is_own = |clip: &&Value| {
        materials.iter().any(|material| {
            material["id"] == clip["material_id"] && (kind.is_empty() || material["type"] == kind)
        })
    };
    let tracks = document["tracks"].as_array().expect("tracks").iter();
    let clips = tracks.flat_map(|track| track["segments"].as_array().expect("clips"));
    clips.filter(is_own).cloned().collect()
}

/// The keyframes of a clip by property: times from its start in seconds, and values.
fn points(clip: &Value, property: &str) -> Vec<(f64, f64)> {
    let points = keyframes(clip, property).into_iter();
    points
        .map(|point| {
            let time = point["time_offset"].as_f64().expect("a time") / 1e6;
            (time, point["values"][0].as_f64().expect("a value"))
        })
        .collect()
}

fn is_near(points: &[(f64, f64)], expected: &[(f64, f64)]) -> bool {
    points.len() == expected.len()
        && points
            .iter()
            .zip(expected)
            .all(|(one, other)| (one.0 - other.0).abs() < 0.04 && (one.1 - other.1).abs() < 0.03)
}

/// Whether a document is as a request intends.
type IsDone = fn(&Value) -> bool;

fn photos_are_gray(document: &Value) -> bool {
    let all = clips_of(document, "videos", "photo");
    let is_gray = |clip: &Value| {
        value(clip, &document["materials"], "effects:saturation/value") == json!(-1.0)
    };
    let others = clips_of(document, "videos", "video");
    all.len() == 2 && all.iter().all(is_gray) && !others.iter().any(is_gray)
}

fn photos_zoom(document: &Value) -> bool {
    let all = clips_of(document, "videos", "photo");
    let zooms = |clip: &Value| {
        let sizes = points(clip, "KFTypeScaleX");
        sizes.len() == 2 && sizes[1].1 > sizes[0].1
    };
    all.len() == 2 && all.iter().all(zooms)
}

fn music_is_lower(document: &Value) -> bool {
    let music = clips_of(document, "audios", "");
    let expected = [(1.7, 0.8), (2.0, 0.2), (4.0, 0.2), (4.3, 0.8)];
    music
        .iter()
        .any(|clip| is_near(&points(clip, "KFTypeVolume"), &expected))
}

fn video_fades_out(document: &Value) -> bool {
    let video = &clips_of(document, "videos", "video")[0];
    let music = clips_of(document, "audios", "");
    let fade = |clip: &Value| {
        value(
            clip,
            &document["materials"],
            "audio_fades/fade_out_duration",
        )
    };
    is_near(
        &points(video, "KFTypeAlpha"),
        &[(0.0, 1.0), (2.0, 1.0), (3.0, 0.0)],
    ) && fade(video) == json!(1_000_000)
        && music.iter().any(|clip| fade(clip) == json!(1_000_000))
}

fn captions_are_alike(document: &Value) -> bool {
    let texts = document["materials"]["texts"].as_array().expect("texts");
    texts.len() == 2
        && texts.iter().all(|text| {
            let content = text["content"].as_str().expect("a text");
            let content: Value = serde_json::from_str(content).expect("JSON");
            let style = &content["styles"][0];
            style["size"] == json!(12.0) && style["bold"] == json!(true)
        })
}

#[test]
fn one_request_changes_several_clips_in_every_spelling() {
    let requests: [(&str, [Value; 3], IsDone); 5] = [
        (
            "make all photos black and white",
            [
                json!({ "op": "set", "clip": "photos", "saturation": -1 }),
                json!({ "op": "set", "clips": "all images", "saturation": "-100%" }),
                json!({ "op": "set", "clip": ["c1", "c2"], "properties": { "saturation": "-1" } }),
            ],
            photos_are_gray,
        ),
        (
            "slow zoom on every photo",
            [
                json!({ "op": "set", "clip": "every photo", "motion": "zoom_in" }),
                json!({ "op": "set", "clip": "images", "motion": "Zoom In", "motion_strength": 30 }),
                json!({ "op": "set", "clips": ["picture.jpg", "logo.png"], "camera_motion": "zoom-in" }),
            ],
            photos_zoom,
        ),
        (
            "lower the music under the voice",
            [
                json!({ "op": "duck", "clip": "music", "under": "voice" }),
                json!({ "op": "duck", "clip": "music.mp3", "under": "voice.mp3", "to": 0.25 }),
                json!({ "op": "duck", "clips": ["music"], "under": ["voice"], "fade": "300ms" }),
            ],
            music_is_lower,
        ),
        (
            "fade the whole video out",
            [
                json!({ "op": "fade", "fade_out": 1 }),
                json!({ "op": "fade", "fade_out": "1s" }),
                json!({ "op": "fade", "fade_out": "1000ms" }),
            ],
            video_fades_out,
        ),
        (
            "the same style for all captions",
            [
                json!({ "op": "set", "clip": "captions", "font_size": 12, "bold": true }),
                json!({ "op": "set", "clip": "all subtitles", "fontSize": "12", "bold": "yes" }),
                json!({ "op": "set", "clip": "subtitle", "properties": { "font_size": 12, "bold": true } }),
            ],
            captions_are_alike,
        ),
    ];
    let home = Home::embedded();
    let mut client = home.serve_with(&["serve"]);
    client.initialize("2025-11-25");
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (wish, spellings, is_done) in requests {
        for operation in spellings {
            tried += 1;
            let draft = whole_video(&mut client);
            let before = document(&mut client, &draft);
            assert!(!is_done(&before), "{wish}");
            let edit = json!({ "draft_id": draft, "operations": [operation] });
            match client.call("edit_draft", edit) {
                Err(error) => wrong.push(format!("{wish}: {operation}: {error}")),
                Ok(reply) => {
                    let now = document(&mut client, &draft);
                    if !is_done(&now) {
                        wrong.push(format!("{wish}: {operation}: {reply}: {now}"));
                    }
                    client
                        .call("undo_draft", json!({ "draft_id": draft }))
                        .expect("undone");
                    assert_eq!(document(&mut client, &draft), before, "{wish}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "of {tried}:\n{}", wrong.join("\n"));
    assert_eq!(tried, 15);
}

/// A plan says the same once for all items of a section.
#[test]
fn one_key_of_a_plan_changes_several_items() {
    let whole = json!({
        "visuals": [
            { "image_url": media("picture.jpg"), "duration": 2 },
            { "image_url": media("logo.png"), "duration": 2 },
            { "video_url": media("clip.mp4"), "end": 3 },
        ],
        "audio": [
            { "audio_url": media("music.mp3"), "end": 7, "volume": 0.8, "track_name": "music" },
            { "audio_url": media("voice.mp3"), "at": 2, "end": 2, "track_name": "voice" },
        ],
        "subtitles": [{ "srt": "1\n00:00:00,000 --> 00:00:01,000\nOne\n\n2\n00:00:01,000 --> 00:00:02,000\nTwo\n" }],
        "save": false,
    });
    let requests: [(&str, Value, IsDone); 6] = [
        (
            "/defaults",
            json!({ "images": { "saturation": -1 } }),
            photos_are_gray,
        ),
        (
            "/defaults",
            json!({ "images": { "motion": "zoom_in" } }),
            photos_zoom,
        ),
        (
            "/defaults",
            json!({ "captions": { "font_size": 12, "bold": true } }),
            captions_are_alike,
        ),
        ("/audio/0/duck", json!(true), music_is_lower),
        ("/audio/0/duck", json!("voice"), music_is_lower),
        ("/audio/0/duck", json!("yes"), music_is_lower),
    ];
    let home = Home::embedded();
    let mut client = home.connected();
    for (path, value, is_done) in requests {
        let mut plan = whole.clone();
        let (parent, key) = path.rsplit_once('/').expect("a path");
        plan.pointer_mut(parent).expect("a parent")[key] = value.clone();
        let made = client.call("compose_draft", json!({ "plan": plan }));
        let made = made.unwrap_or_else(|error| panic!("{value}: {error}"));
        assert_eq!(made["status"], "complete", "{value}: {made}");
        let document = document(&mut client, &made["draft_id"]);
        assert!(is_done(&document), "{value}: {made}: {document}");
        // The plan has nothing more to do.
        let again = json!({ "plan": plan, "resume": made["draft_id"] });
        client.call("compose_draft", again).expect("resumed");
        assert_eq!(
            self::document(&mut client, &made["draft_id"]),
            document,
            "{value}"
        );
    }
    for (defaults, says) in [
        (json!({ "pictuers": {} }), "is not a section of a plan"),
        (json!({ "texts": 7 }), "it must be an object"),
        (json!([]), "defaults: is"),
        (json!({ "texts": { "volume": 1 } }), "defaults.texts.volume"),
    ] {
        let mut plan = whole.clone();
        plan["defaults"] = defaults;
        let error = client
            .call("compose_draft", json!({ "plan": plan }))
            .expect_err("refused");
        assert!(error.contains(says), "{error}");
    }
}
