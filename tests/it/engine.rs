//! The embedded engine served over HTTP: `capcut-mcp engine`. Deliberate differences from the reference API are
//! listed in `docs/compatibility.md`; each has its test here.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Home, Served, media};

/// An engine that may read the test media, with a draft.
struct Bench {
    engine: Served,
    draft: Value,
    clip: String,
    music: String,
    picture: String,
}

impl Bench {
    fn new(home: &Home) -> Self {
        let folder = media("clip.mp4");
        let folder = folder.parent().expect("a folder").display().to_string();
        let engine = home.engine(&["--allow-dir", &folder]);
        let path = |name| media(name).display().to_string();
        let draft = engine.output("/create_draft", &json!({})).expect("a draft")["draft_id"].take();
        Self {
            draft,
            clip: path("clip.mp4"),
            music: path("music.mp3"),
            picture: path("picture.jpg"),
            engine,
        }
    }

    /// Posts to this draft.
    fn post(&self, path: &str, mut body: Value) -> Result<Value, String> {
        if body.get("draft_id").is_none() {
            body["draft_id"] = self.draft.clone();
        }
        self.engine.output(path, &body)
    }

    fn script(&self) -> Value {
        let script = self.post("/query_script", json!({})).expect("a script");
        serde_json::from_str(script.as_str().expect("text")).expect("JSON")
    }

    /// Checks that the call fails with a text that contains all of `parts`, and that the draft does not change.
    fn refused(&self, path: &str, body: &Value, parts: &[&str]) {
        let before = self.script();
        let told = self.post(path, body.clone()).expect_err(&body.to_string());
        for part in parts {
            assert!(
                told.contains(part),
                "{path} {body}: {told:?} lacks {part:?}"
            );
        }
        assert_eq!(self.script(), before, "{path} {body} changed the draft");
    }
}

fn segments<'a>(script: &'a Value, track: &str) -> &'a [Value] {
    script["tracks"]
        .as_array()
        .and_then(|tracks| tracks.iter().find(|other| other["name"] == track))
        .and_then(|track| track["segments"].as_array())
        .map_or(&[], Vec::as_slice)
}

/// Options of an engine for replaying the recordings.
pub(crate) fn for_recordings() -> Vec<String> {
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/media");
    [
        "--allow-dir",
        &media.to_string_lossy(),
        "--allow-host",
        "127.0.0.1",
    ]
    .map(str::to_owned)
    .into()
}

/// Fails unless the recorded cases pass, except for the listed deliberate differences.
pub(crate) fn replay(url: &str, edition: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let ran = Command::new("python3")
        .arg(golden.join("replay.py"))
        .args(["--base-url", url, "--env", edition])
        .arg("--except")
        .arg(golden.join(format!("{edition}.except")))
        .output()
        .expect("python3 replays the recordings");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(!told.contains("yet it passes"), "{told}");
}

#[test]
fn the_recorded_cases_pass_except_for_deliberate_differences() {
    for edition in ["capcut", "jianying"] {
        let home = Home::new();
        let mut options = for_recordings();
        options.extend(["--edition", edition].map(str::to_owned));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        replay(&home.engine(&options).url, edition);
    }
}

#[test]
fn the_lists_of_differences_are_short_and_give_reasons() {
    let lists = [
        include_str!("../golden/capcut.except"),
        include_str!("../golden/jianying.except"),
    ];
    let lines: Vec<&str> = lists.iter().flat_map(|list| list.lines()).collect();
    assert!(lines.len() <= 88, "{} differences", lines.len());
    for line in lines {
        assert!(
            line.split_once("  # ")
                .is_some_and(|(name, why)| !name.is_empty() && why.len() > 10),
            "{line:?} has no reason"
        );
    }
}

#[test]
fn the_error_for_an_unknown_draft_names_no_other_draft() {
    let home = Home::new();
    let bench = Bench::new(&home);
    let id = bench.draft.as_str().expect("an id");
    let mut wrong = id.to_owned();
    wrong.pop();
    for (path, body) in [
        ("/add_text", json!({"text": "a"})),
        ("/add_video", json!({"video_url": bench.clip})),
        ("/add_sticker", json!({"sticker_id": "1"})),
        ("/add_video_keyframe", json!({})),
        ("/save_draft", json!({})),
        ("/query_script", json!({})),
    ] {
        let mut body = body;
        body["draft_id"] = json!(wrong);
        let told = bench.engine.output(path, &body).expect_err(path);
        assert!(told.contains(&wrong), "{path}: {told}");
        assert!(!told.contains(id), "{path}: {told}");
    }
}

#[test]
fn invalid_times_are_refused_with_their_values() {
    let home = Home::new();
    let bench = Bench::new(&home);
    let video = |extra: Value| {
        let mut body = json!({"video_url": bench.clip});
        for (name, value) in extra.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    };
    let check = |path, body: Value, parts: &[&str]| bench.refused(path, &body, parts);
    check(
        "/add_video",
        video(json!({"start": 3, "end": 1})),
        &["`end` is 1 s", "`start` (3 s)"],
    );
    check(
        "/add_video",
        video(json!({"start": -1})),
        &["`start` is -1 s"],
    );
    check(
        "/add_video",
        video(json!({"start": 9})),
        &["`start` is 9 s", "ends at 4"],
    );
    check(
        "/add_video",
        video(json!({"target_start": -2})),
        &["`target_start` is -2 s"],
    );
    check(
        "/add_video",
        video(json!({"speed": -1})),
        &["`speed` is -1"],
    );
    check(
        "/add_text",
        json!({"text": "a", "start": 3, "end": 1}),
        &["`end` is 1 s"],
    );
    check(
        "/add_image",
        json!({"image_url": bench.picture, "start": 5, "end": 2}),
        &["`end` is 2 s"],
    );
    check(
        "/add_sticker",
        json!({"sticker_id": "1", "start": 3, "end": 3}),
        &["`end` is 3 s"],
    );
    check(
        "/add_effect",
        json!({"effect_type": "Blur", "start": 5, "end": 4}),
        &["`end` is 4 s"],
    );
    let srt = "1\n00:00:00,000 --> 00:00:01,000\na\n";
    check(
        "/add_subtitle",
        json!({"srt": srt, "time_offset": -1}),
        &["cue 1", "-1 s"],
    );
}

#[test]
fn media_lengths_are_measured_during_the_call() {
    let home = Home::new();
    let bench = Bench::new(&home);
    bench
        .post("/add_video", json!({"video_url": bench.clip}))
        .expect("placed");
    let (_, text) = bench.engine.post(
        "/add_video",
        &json!({"video_url": bench.clip, "draft_id": bench.draft, "target_start": 4, "end": 60}),
    );
    let answer: Value = serde_json::from_str(&text).expect("an envelope");
    assert_eq!(answer["success"], true, "{answer}");
    assert!(
        answer["notes"][0]
            .as_str()
            .expect("a note")
            .contains("shortened"),
        "{answer}"
    );
    assert_eq!(
        (&answer["start"], &answer["end"]),
        (&json!(4.0), &json!(8.0)),
        "{answer}"
    );
    bench.refused(
        "/add_video",
        &json!({"video_url": bench.clip, "target_start": 2, "end": 1}),
        &[
            "start: 2000000, end: 3000000",
            "0 s to 4 s",
            "it fits at 8 s",
        ],
    );
    let script = bench.script();
    assert_eq!(script["duration"], 8_000_000);
    assert_eq!(segments(&script, "video_main").len(), 2);
}

#[test]
fn a_failed_call_changes_nothing() {
    let home = Home::new();
    let bench = Bench::new(&home);
    bench
        .post("/add_text", json!({"text": "a"}))
        .expect("placed");
    for (path, body, part) in [
        (
            "/add_text",
            json!({"text": "b", "track_name": "new", "color": "red"}),
            "color",
        ),
        (
            "/add_text",
            json!({"text": "b", "track_name": "new", "font": "No Such Font"}),
            "font",
        ),
        (
            "/add_audio",
            json!({"audio_url": bench.music, "effect_type": "NoSuchVoice"}),
            "effect_type",
        ),
        (
            "/add_audio",
            json!({"audio_url": bench.music, "track_name": "text_main"}),
            "text_main",
        ),
        (
            "/add_video",
            json!({"video_url": bench.clip, "transition": "fade inn"}),
            "transition",
        ),
        (
            "/add_video",
            json!({"video_url": bench.clip, "mask_type": "Circle", "mask_rect_width": 1}),
            "mask_rect_width",
        ),
        (
            "/add_image",
            json!({"image_url": bench.picture, "intro_animation": "Nope"}),
            "intro_animation",
        ),
        (
            "/add_image",
            json!({"image_url": bench.picture, "background_blur": 5}),
            "background_blur",
        ),
        (
            "/add_text",
            json!({"text": "b", "start": 6, "end": 7, "intro_animation": "Nope"}),
            "intro_animation",
        ),
        (
            "/add_text",
            json!({"text": "b", "start": 6, "end": 7, "text_styles": ["x"]}),
            "text_styles",
        ),
        (
            "/add_text",
            json!({"text": "b", "start": 6, "end": 7, "text_styles": [{"start": 0, "end": 9}]}),
            "text_styles[0]",
        ),
        (
            "/add_effect",
            json!({"effect_type": "Blur", "params": [101]}),
            "params[0]",
        ),
        (
            "/add_subtitle",
            json!({"srt": "1\n00:00:00,000 --> 00:00:02,000\nA\n\n2\n00:00:01,000 --> 00:00:03,000\nB\n"}),
            "cue 2",
        ),
        ("/add_subtitle", json!({"srt": "hello"}), "srt"),
        (
            "/add_video_keyframe",
            json!({"track_name": "text_main", "property_types": ["alpha", "nope"], "times": [0, 1], "values": ["1", "1"]}),
            "property_types[1]",
        ),
        (
            "/add_video_keyframe",
            json!({"track_name": "text_main", "time": 9}),
            "0 s to 5 s",
        ),
    ] {
        bench.refused(path, &body, &[part]);
    }
    // A first call that fails leaves no draft.
    let before = bench
        .engine
        .output("/create_draft", &json!({}))
        .expect("a draft");
    assert!(before["draft_id"].is_string());
    bench
        .engine
        .output("/add_text", &json!({"text": "a", "color": "red"}))
        .expect_err("not a colour");
}

#[test]
fn values_that_would_break_a_draft_are_refused() {
    let home = Home::new();
    let bench = Bench::new(&home);
    for body in [
        json!({"width": "wide"}),
        json!({"width": [1080]}),
        json!({"height": 0}),
        json!({"height": -5}),
    ] {
        bench
            .engine
            .output("/create_draft", &body)
            .expect_err("not a canvas size");
    }
    for (path, body, part) in [
        (
            "/add_audio",
            json!({"audio_url": bench.music, "volume": "loud"}),
            "volume",
        ),
        ("/add_video_keyframe", json!({"value": "nan"}), "value"),
        (
            "/add_sticker",
            json!({"sticker_id": "1", "alpha": "much"}),
            "alpha",
        ),
    ] {
        bench.refused(path, &body, &[part]);
    }
    // Numbers as text and nulls are interpreted, where the reference would copy them into the draft.
    bench
        .post(
            "/add_video",
            json!({"video_url": bench.clip, "transform_y": "0.5", "volume": null}),
        )
        .expect("placed");
    let script = bench.script();
    let segment = &segments(&script, "video_main")[0];
    assert_eq!(segment["clip"]["transform"]["y"], 0.5);
    assert_eq!(segment["volume"], 1.0);
}

#[test]
fn names_are_found_in_any_spelling_and_language() {
    let home = Home::new();
    let bench = Bench::new(&home);
    for (at, name) in ["Black_Fade", "black fade", "BLACK-FADE"]
        .into_iter()
        .enumerate()
    {
        let body =
            json!({"video_url": bench.clip, "end": 1, "target_start": at, "transition": name});
        bench.post("/add_video", body).expect(name);
    }
    let script = bench.script();
    let transitions = script["materials"]["transitions"]
        .as_array()
        .expect("a list");
    assert_eq!(transitions.len(), 3);
    assert!(transitions.iter().all(|one| one["name"] == "Black Fade"));
}

#[test]
fn effect_params_are_optional_and_keep_their_order() {
    let home = Home::new();
    let bench = Bench::new(&home);
    let body = |start, params: Value| {
        let mut body = json!({"effect_type": "Heart_Kisses", "start": start, "end": start + 1});
        if !params.is_null() {
            body["params"] = params;
        }
        body
    };
    bench
        .post("/add_effect", body(0, Value::Null))
        .expect("defaults");
    bench
        .post("/add_effect", body(1, json!([10, 90])))
        .expect("both");
    bench
        .post("/add_effect", body(2, json!([null, 40, 7])))
        .expect("the second");
    let script = bench.script();
    let values = |index: usize| -> Vec<f64> {
        script["materials"]["video_effects"][index]["adjust_params"]
            .as_array()
            .expect("params")
            .iter()
            .map(|param| param["value"].as_f64().expect("a number"))
            .collect()
    };
    assert_eq!(values(0), [0.33, 1.0]);
    assert_eq!(values(1), [0.1, 0.9]);
    assert_eq!(values(2), [0.33, 0.4]);
}

#[test]
fn texts_accept_options_at_which_the_reference_fails() {
    let home = Home::new();
    let bench = Bench::new(&home);
    bench
        .post(
            "/add_text",
            json!({"text": "abc", "effect_effect_id": "7296357486490144036"}),
        )
        .expect("an effect");
    let styled = json!({"text": "abc", "start": 5, "end": 6, "shadow_enabled": true,
        "text_styles": [{"start": 1, "end": 2}]});
    bench
        .post("/add_text", styled)
        .expect("a shadow and styles");
    bench
        .post(
            "/add_subtitle",
            json!({"srt": "1\n00:00:07,000 --> 00:00:08,000\nand/nor\n"}),
        )
        .expect("a caption");
    let script = bench.script();
    assert_eq!(script["materials"]["effects"][0]["type"], "text_effect");
    let texts = script["materials"]["texts"].as_array().expect("texts");
    let content: Value =
        serde_json::from_str(texts[2]["content"].as_str().expect("text")).expect("JSON");
    assert_eq!(content["text"], "and/nor");
}

#[test]
fn a_draft_stays_usable_after_an_invalid_call() {
    let home = Home::new();
    let bench = Bench::new(&home);
    bench.refused(
        "/add_video",
        &json!({"video_url": bench.clip, "track_name": null}),
        &["track_name"],
    );
    for (at, track) in ["video", "video", "other"].into_iter().enumerate() {
        let body =
            json!({"video_url": bench.clip, "end": 1, "target_start": at, "track_name": track});
        bench.post("/add_video", body).expect(track);
    }
    // A text without a track name does not create an audio track.
    bench.refused(
        "/add_text",
        &json!({"text": "a", "track_name": null}),
        &["track_name"],
    );
    bench
        .post("/add_audio", json!({"audio_url": bench.music}))
        .expect("a sound");
}

#[test]
fn keyframes_are_applied_immediately_or_refused() {
    let home = Home::new();
    let bench = Bench::new(&home);
    bench
        .post("/add_audio", json!({"audio_url": bench.music}))
        .expect("a sound");
    bench
        .post("/add_effect", json!({"effect_type": "Blur"}))
        .expect("an effect");
    let volume =
        json!({"track_name": "audio_main", "property_type": "volume", "value": "50%", "time": 1});
    bench.post("/add_video_keyframe", volume).expect("volume");
    bench.refused(
        "/add_video_keyframe",
        &json!({"track_name": "effect_01", "value": "0.5"}),
        &["property_type", "effect"],
    );
    bench.refused(
        "/add_video_keyframe",
        &json!({"track_name": "effect_01", "time": "soon"}),
        &["time"],
    );
    let script = bench.script();
    let list = &segments(&script, "audio_main")[0]["common_keyframes"][0];
    assert_eq!(list["property_type"], "KFTypeVolume");
    assert_eq!(list["keyframe_list"][0]["values"], json!([0.5]));
}

#[test]
fn a_save_reports_missing_files() {
    let home = Home::new();
    let bench = Bench::new(&home);
    let gone = media("clip.mp4")
        .with_file_name("gone.mp4")
        .display()
        .to_string();
    bench
        .post("/add_video", json!({"video_url": gone, "end": 2}))
        .expect("accepted, as the reference does");
    bench
        .post("/save_draft", json!({}))
        .expect_err("a file is missing");
    let status = bench
        .engine
        .output("/query_draft_status", &json!({"task_id": bench.draft}))
        .expect("a status");
    assert_eq!(status["status"], "failed", "{status}");

    let fine = bench
        .engine
        .output("/create_draft", &json!({}))
        .expect("a draft");
    let id = &fine["draft_id"];
    bench
        .engine
        .output(
            "/add_image",
            &json!({"draft_id": id, "image_url": bench.picture}),
        )
        .expect("placed");
    bench
        .engine
        .output("/save_draft", &json!({"draft_id": id}))
        .expect("saved");
    let status = bench
        .engine
        .output("/query_draft_status", &json!({"task_id": id}))
        .expect("a status");
    assert_eq!(status["status"], "completed", "{status}");
}

#[test]
fn parallel_calls_on_one_draft_lose_nothing() {
    let home = Home::new();
    let bench = Bench::new(&home);
    std::thread::scope(|scope| {
        for at in 0..32 {
            let bench = &bench;
            scope.spawn(move || {
                let body = json!({"text": "a", "start": at, "end": at + 1});
                bench.post("/add_text", body).expect("placed");
            });
        }
    });
    assert_eq!(segments(&bench.script(), "text_main").len(), 32);
    // Only one of several calls for the same position succeeds.
    let won: usize = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let bench = &bench;
                scope.spawn(move || {
                    let body = json!({"text": "b", "track_name": "one", "start": 0, "end": 1});
                    usize::from(bench.post("/add_text", body).is_ok())
                })
            })
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("answered"))
            .sum()
    });
    assert_eq!(won, 1);
}

#[test]
fn a_draft_survives_the_death_of_the_engine() {
    let home = Home::new();
    let mut bench = Bench::new(&home);
    bench
        .post(
            "/add_video",
            json!({"video_url": bench.clip, "transition": "Mix"}),
        )
        .expect("placed");
    bench
        .post("/add_video_keyframe", json!({"time": 1, "value": "0.5"}))
        .expect("set");
    bench
        .post(
            "/add_subtitle",
            json!({"srt": "1\n00:00:00,000 --> 00:00:01,000\na\n"}),
        )
        .expect("added");
    let before = bench.script();
    bench.engine.child.kill().expect("killed");
    bench.engine = home.engine(&[]);
    assert_eq!(bench.script(), before);
}
