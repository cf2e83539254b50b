//! `generate_video`: from a theme to a saved draft, over MCP, over HTTP and from a shell.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{home_with, requests};
use crate::access::{add, bearer};
use crate::support::drafts::{clips, document_in, of_clip};
use crate::support::services::{Route, Services, ServicesSettings};
use crate::support::{Home, http};

/// The request that public guides show.
fn of_guides() -> Value {
    json!({
        "video_theme": "介绍我们的新款智能手表", "duration": 30, "aspect_ratio": "9:16", "ai_asset_type": "文生图像",
        "visual_style": "商务专业", "enable_tts": true, "voice_type": "zh_male_dongfanghaoran_moon_bigtts"
    })
}

const CHINESE: &str = r#"好的：{"scenes": [
    {"say": "我们的新款智能手表来了。它很轻，也很亮。", "show": "手腕上的手表"},
    {"say": "一次充电可以用十四天。", "show": "充电座上的手表"},
    {"say": "跑步、游泳、睡觉，它都知道。", "show": "跑步的人"},
    {"say": "今天就来看看吧！", "show": "商店"}]}"#;

fn writing(text: &str) -> ServicesSettings {
    ServicesSettings {
        text: text.to_owned(),
        ..ServicesSettings::default()
    }
}

fn sections(services: &Services, generate: &str, has_text: bool) -> Vec<String> {
    let mut sections = vec![
        format!("[generate]\ncurrency = \"CNY\"\n{generate}\n"),
        services.section(
            "voice",
            "volc-tts",
            "speech",
            "price = { per_1000_characters = 5.0 }",
        ),
        services.section("draw", "openai", "picture", "price = 0.2"),
    ];
    if has_text {
        sections.push(services.section("write", "openai", "text", "price = 0.01"));
    }
    sections
}

fn clips_of<'a>(document: &'a Value, all: &'a [Value], list: &str) -> Vec<(&'a Value, &'a Value)> {
    let mut found: Vec<(&Value, &Value)> = all
        .iter()
        .filter_map(|clip| Some((clip, of_clip(document, clip, list).into_iter().next()?)))
        .collect();
    found.sort_by_key(|(clip, _)| clip["target_timerange"]["start"].as_i64());
    found
}

fn seconds(value: &Value) -> f64 {
    value.as_f64().expect("a number") / 1e6
}

#[test]
fn the_request_of_the_guides_makes_a_saved_draft() {
    let services = Services::with(writing(CHINESE), |_| crate::support::services::Manner::Good);
    let home = home_with(&sections(&services, "max_cost = 5", true));
    let served = home.serve_http(&[]);
    let (status, text) = served.post("/api/v1/generate-video", &of_guides());
    assert_eq!(status, 200, "{text}");
    let video: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(video["status"], "success", "{video:#}");
    assert!(
        video["draft_id"].as_str().is_some_and(|id| !id.is_empty()),
        "{video:#}"
    );
    let length = video["duration"].as_f64().expect("a length");
    assert!((length - 30.0).abs() <= 1.0, "{video:#}");
    // There is no file of the video, and the answer says why.
    assert_eq!(video["video_url"], Value::Null);
    assert!(
        video["message"]
            .as_str()
            .is_some_and(|text| text.contains("`render`")),
        "{video:#}"
    );
    assert!(
        video
            .as_object()
            .expect("an object")
            .contains_key("download_url"),
        "{video:#}"
    );
    // Scenes, five sentences, four pictures: a voice, a picture and the text are in the table, with what they cost.
    let made = video["made"].as_array().expect("a table");
    assert_eq!(made.len(), 1 + 5 + 4, "{video:#}");
    assert!(
        made.iter()
            .all(|row| row["by"].is_string() && row["cost"].is_f64()),
        "{video:#}"
    );
    let sum: f64 = made.iter().filter_map(|row| row["cost"].as_f64()).sum();
    assert!(
        (video["cost"].as_f64().expect("an amount") - sum).abs() < 1e-3 && sum > 0.8,
        "{video:#}"
    );
    assert_eq!(services.asked(Route::VolcSpeech), 5);
    let voice = services
        .server
        .asked()
        .into_iter()
        .find(|asked| asked.path.starts_with("/volc"));
    let body = voice.expect("a voice").json();
    assert_eq!(
        body["req_params"]["speaker"],
        "zh_male_dongfanghaoran_moon_bigtts"
    );
    let picture = services
        .server
        .asked()
        .into_iter()
        .find(|asked| asked.path.ends_with("generations"));
    let prompt = picture.expect("a picture").json();
    assert!(
        prompt["prompt"]
            .as_str()
            .is_some_and(|text| text.contains("商务专业")),
        "{prompt}"
    );

    // The same once more, over MCP and from a shell: nothing is asked for again.
    let before = requests(&services);
    let mut client = home.connected();
    let folder = home.path().join("drafts");
    let mut again = of_guides();
    again["draft_folder"] = json!(folder);
    let reply = client
        .call("generate_video", again.clone())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(reply["status"], "success", "{reply:#}");
    assert_eq!(reply["report"]["cost"], 0.0, "{reply:#}");
    assert_eq!(requests(&services), before);
    let saved = Path::new(reply["report"]["folder"].as_str().expect("a folder")).to_owned();
    assert!(document_in(&saved).is_some(), "{reply:#}");
    home.run(&[Path::new("lint"), &saved]).success();
    assert_eq!(services.complaints(), [""; 0]);
}

#[test]
fn without_scenes_or_permission_the_call_asks_for_them() {
    let services = Services::with(writing(CHINESE), |_| crate::support::services::Manner::Good);
    let home = home_with(&sections(&services, "max_cost = 5", false));
    let served = home.serve_http(&[]);
    let (status, text) = served.post("/api/v1/generate-video", &of_guides());
    assert_eq!(status, 400, "{text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&answer["status"], &answer["video_url"]),
        (&json!("error"), &Value::Null)
    );
    assert!(
        answer["message"]
            .as_str()
            .is_some_and(|text| text.contains("`scenes`")),
        "{answer}"
    );
    let error = home
        .connected()
        .call("generate_video", of_guides())
        .expect_err("it asks");
    assert!(
        error.contains("`scenes`") && error.contains("\"say\""),
        "{error}"
    );

    let home = home_with(&sections(&services, "", true));
    let served = home.serve_http(&[]);
    let (status, text) = served.post("/api/v1/generate-video", &of_guides());
    assert_eq!(status, 400, "{text}");
    assert!(
        text.contains("CNY") && text.contains("max_cost") && text.contains("to make"),
        "{text}"
    );
    let mut client = home.connected();
    let error = client
        .call("generate_video", of_guides())
        .expect_err("it asks");
    assert!(
        error.contains("CNY") && error.contains("`max_cost"),
        "{error}"
    );
    let mut dry = of_guides();
    dry["dry_run"] = json!(true);
    let reply = client.call("generate_video", dry).expect("an estimate");
    assert_eq!(reply["status"], "planned", "{reply:#}");
    assert!(
        reply["report"]["estimate"]["cost"]
            .as_f64()
            .is_some_and(|cost| cost > 0.5),
        "{reply:#}"
    );
    assert_eq!(requests(&services), 0);
}

#[test]
fn a_token_that_only_reads_makes_no_video() {
    let services = Services::with(writing(CHINESE), |_| crate::support::services::Manner::Good);
    let home = home_with(&sections(&services, "max_cost = 5", true));
    let reader = bearer(&add(&home, &["bob", "--read-only"]));
    let writer = bearer(&add(&home, &["alice"]));
    let served = home.serve_http(&[]);
    let url = format!("{}/api/v1/generate-video", served.url);
    let post = |token: &str| {
        let headers = [
            ("Content-Type", "application/json"),
            ("Authorization", token),
        ];
        http("POST", &url, &headers, of_guides().to_string().as_bytes())
    };
    let (status, text) = post(&reader);
    assert_eq!(status, 403, "{text}");
    assert_eq!(requests(&services), 0);
    assert_eq!(
        http("POST", &url, &[("Content-Type", "application/json")], b"{}").0,
        401
    );
    let (status, text) = post(&writer);
    assert_eq!(status, 200, "{text}");
}

#[test]
fn a_rendered_video_has_a_link_that_plays() {
    let services = Services::start();
    let home = home_with(&sections(&services, "max_cost = 5", false));
    let mut asked = of_guides();
    asked["scenes"] = json!([{ "say": "我们的新手表来了。", "show": "手表" }, { "say": "今天就来看看吧！", "show": "商店" }]);
    asked["duration"] = json!(4);
    asked["render"] = json!(true);
    let plays = |file: &Path| {
        let ran = Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-show_entries",
                "format=duration:stream=codec_type",
                "-of",
                "json",
            ])
            .arg(file)
            .output()
            .expect("ffprobe");
        let found: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
        let length: f64 = found["format"]["duration"]
            .as_str()
            .expect("a length")
            .parse()
            .expect("a number");
        assert!((length - 4.0).abs() < 1.0, "{found}");
        assert_eq!(
            found["streams"].as_array().map(Vec::len),
            Some(2),
            "{found}"
        );
    };
    let served = home.serve_http(&[]);
    let (status, text) = served.post("/api/v1/generate-video", &asked);
    assert_eq!(status, 200, "{text}");
    let video: Value = serde_json::from_str(&text).expect("JSON");
    let link = video["video_url"]
        .as_str()
        .unwrap_or_else(|| panic!("{video:#}"));
    let file = home.path().join("video.mp4");
    let ran = Command::new("curl")
        .args(["-sSf", "-o"])
        .arg(&file)
        .arg(link)
        .status();
    assert!(ran.expect("curl").success(), "{video:#}");
    plays(&file);
    let reply = home
        .connected()
        .call("generate_video", asked)
        .expect("a video");
    let file = reply["report"]["video_url"]
        .as_str()
        .unwrap_or_else(|| panic!("{reply:#}"));
    plays(Path::new(file));
}

#[test]
fn wrong_values_are_named_together() {
    let services = Services::start();
    let home = home_with(&sections(&services, "max_cost = 5", true));
    let mut client = home.connected();
    let error = client
        .call(
            "generate_video",
            json!({ "theme": " …", "duration": 2, "ai_asset_type": "文生音乐", "scenes": [{ "seconds": 3 }], "max_cost": "much" }),
        )
        .expect_err("wrong");
    for part in [
        "`theme`",
        "`duration` is 2",
        "文生音乐",
        "`scenes` [0]",
        "`max_cost`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = client
        .call(
            "generate_video",
            json!({ "theme": "x", "scenes": [{ "saay": "x" }] }),
        )
        .expect_err("wrong");
    assert!(error.contains("`say`"), "{error}");
    for (arguments, part) in [
        (
            json!({ "theme": "x", "speech_provider": "missing", "scenes": [{ "say": "Hello there.", "show": "a watch" }] }),
            "missing",
        ),
        (
            json!({ "theme": "x", "visual_provider": "voice", "scenes": [{ "say": "Hello there.", "show": "a watch" }] }),
            "makes speech",
        ),
        (
            json!({ "theme": "x", "text_provider": "draw" }),
            "makes pictures",
        ),
        (
            json!({ "theme": "x", "aspect_ratio": "wide", "scenes": [{ "say": "Hello there.", "show": "a watch" }] }),
            "aspect_ratio",
        ),
        (
            json!({ "theme": "x", "asset_type": "film", "scenes": [{ "say": "Hello there.", "show": "a watch" }] }),
            "no provider that makes films",
        ),
    ] {
        let error = client
            .call("generate_video", arguments.clone())
            .expect_err("wrong");
        assert!(error.contains(part), "{arguments}: {error}");
    }
    assert_eq!(requests(&services), 0);
}

#[test]
fn a_voice_is_never_cut() {
    let services = Services::start();
    let home = home_with(&sections(&services, "max_cost = 50", false));
    let mut client = home.connected();
    // The tones are about 5 s for a scene.
    let scene = json!({ "say": "Here are some words that take a while to be spoken by anybody, and a few more of them.", "show": "a watch" });
    for (wished, least, most, fast) in [
        (5.6, 5.5, 6.1, false),
        (5.2, 5.1, 5.7, true),
        (3.0, 5.5, 5.7, true),
    ] {
        let name = format!("Video {wished}");
        let reply = client
            .call("generate_video", json!({
                "theme": "watch", "duration": wished, "scenes": [scene], "name": name, "draft_folder": home.path().join("drafts"),
            }))
            .unwrap_or_else(|error| panic!("{error}"));
        let report = &reply["report"];
        let document = document_in(Path::new(report["folder"].as_str().expect("a folder")))
            .expect("a document");
        let all = clips(&document);
        let voices = clips_of(&document, &all, "audios");
        assert_eq!(voices.len(), 1, "{report:#}");
        let voice = voices[0].0;
        let own = seconds(&voices[0].1["duration"]);
        let played = seconds(&voice["source_timerange"]["duration"]);
        // Clips begin and end at frames.
        assert!((own - played).abs() < 0.05, "{own} {played}");
        let speed = voice["speed"].as_f64().expect("a speed");
        assert!(speed <= 1.1501, "{speed}");
        eprintln!(
            "{wished}: {own} s of voice, speed {speed}, {}",
            report["duration"]
        );
        let length = report["duration"].as_f64().expect("a length");
        let notes = report["notes"].to_string();
        assert!(length >= own / 1.1501, "{report:#}");
        assert!((least..=most).contains(&length), "{length}");
        assert_eq!(speed > 1.0, notes.contains("times as fast"), "{notes}");
        if length > wished + 0.5 {
            assert!(fast && notes.contains("instead of"), "{notes}");
        }
    }
}

/// When a WAV is first loud, in seconds.
fn first_sound(file: &Path) -> f64 {
    let wave = std::fs::read(file).expect("a voice");
    let rate = u32::from_le_bytes(wave[24..28].try_into().expect("a rate"));
    let loud = wave[44..]
        .chunks_exact(2)
        .position(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() > 300);
    loud.expect("a sound") as f64 / f64::from(rate)
}

/// A video with the voices of espeak-ng as a program, and pictures of a service on this machine.
fn whole(home: &Home, theme: &str, scenes: &Value) {
    let folder = home.path().join("drafts");
    let arguments = json!({
        "theme": theme, "duration": 30, "scenes": scenes, "visual_style": "clear light", "draft_folder": folder,
    });
    let reply = home
        .call("generate_video", &arguments)
        .unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(reply["status"], "success", "{reply:#}");
    let report = &reply["report"];
    let saved = Path::new(report["folder"].as_str().expect("a folder"));
    let linted = home.run(&[Path::new("lint"), saved]);
    assert_eq!(linted.code, 0, "{linted:#?}");
    let document = document_in(saved).expect("a document");
    let length = seconds(&document["duration"]);
    assert!((length - 30.0).abs() <= 1.0, "{length} s");
    let canvas = &document["canvas_config"];
    let (width, height) = (
        canvas["width"].as_f64().expect("pixels"),
        canvas["height"].as_f64().expect("pixels"),
    );
    assert!((width / height - 9.0 / 16.0).abs() < 0.01, "{canvas}");
    let all = clips(&document);
    let captions: Vec<f64> = clips_of(&document, &all, "texts")
        .iter()
        .map(|(clip, _)| seconds(&clip["target_timerange"]["start"]))
        .collect();
    let voices = clips_of(&document, &all, "audios");
    assert!(
        voices.len() >= 5 && captions.len() >= voices.len(),
        "{} {}",
        voices.len(),
        captions.len()
    );
    let mut ends = 0.0;
    for (clip, material) in voices {
        let file = material["path"].as_str().expect("a path");
        let file = if Path::new(file).is_file() {
            Path::new(file).to_owned()
        } else {
            saved.join(file.rsplit("##/").next().unwrap_or(file))
        };
        let start = seconds(&clip["target_timerange"]["start"]);
        assert!(start >= ends, "voices do not overlap: {start} {ends}");
        ends = start + seconds(&clip["target_timerange"]["duration"]);
        let heard = start + first_sound(&file) / clip["speed"].as_f64().expect("a speed");
        let off = captions
            .iter()
            .map(|caption| (caption - heard).abs())
            .fold(f64::MAX, f64::min);
        eprintln!(
            "{theme}: heard at {heard:.3} s, caption {:.0} ms off",
            off * 1000.0
        );
        assert!(off <= 0.12, "{heard} s: {captions:?}");
    }
    let pictures = clips_of(&document, &all, "videos");
    assert_eq!(pictures.len(), scenes.as_array().expect("scenes").len());
    assert!(
        pictures.iter().all(|(clip, _)| !clip["common_keyframes"]
            .as_array()
            .expect("a list")
            .is_empty()),
        "pictures move"
    );
}

#[test]
fn a_video_of_30_seconds_is_made_with_programs_in_english_and_in_chinese() {
    let services = Services::start();
    for (voice, theme, scenes) in [
        (
            "en-us",
            "our new watch",
            json!([
                { "say": "Meet our new watch. It is light, and it is bright.", "show": "a watch on a wrist" },
                { "say": "It runs for fourteen days. Then it charges in an hour.", "show": "a watch on its charger" },
                { "say": "It knows how you run, how you swim and how you sleep.", "show": "a runner at dawn" },
                { "say": "Your data stays on the watch. No one else sees it.", "show": "a lock" },
                { "say": "Come and see it today!", "show": "a shop" },
            ]),
        ),
        (
            "cmn",
            "我们的新款智能手表",
            json!([
                { "say": "我们的新款智能手表来了。它很轻，也很亮。", "show": "手腕上的手表" },
                { "say": "一次充电可以用十四天。充满只要一个小时。", "show": "充电座上的手表" },
                { "say": "跑步、游泳、睡觉，它都知道。", "show": "跑步的人" },
                { "say": "你的数据只在手表里。", "show": "一把锁" },
                { "say": "今天就来看看吧！", "show": "商店" },
            ]),
        ),
    ] {
        let speak = format!(
            "[providers.voice]\nkind = \"command\"\nmakes = \"speech\"\ncommand = [\"espeak-ng\", \"-v\", \"{{voice}}\", \"-f\", \"{{text_file}}\", \"-w\", \"{{out}}\"]\nvoice = \"{voice}\"\nprice = 0.0\n"
        );
        let home = home_with(&[
            speak,
            services.section("draw", "openai", "picture", "price = 0.0"),
        ]);
        whole(&home, theme, &scenes);
    }
}
