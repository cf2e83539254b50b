//! Whole videos from plans, on both backends: the same draft whatever the timing, nothing lost, every item told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::racy::{BadSave, Manners, Racy};
use crate::support::{Answer, Asked, Home, Served, Server, media, media_server, until};

/// Three sounds and `pictures` pictures whose lengths are given, over several tracks, and texts.
fn plan(pictures: usize) -> Value {
    let visuals: Vec<Value> = (0..pictures)
        .map(|n| {
            let track = format!("track_{}", n % 3);
            if n % 2 == 0 {
                json!({ "video_url": format!("http://127.0.0.1:9/v{n}.mp4"), "start": 0, "end": 2, "track_name": track })
            } else {
                json!({ "image_url": format!("http://127.0.0.1:9/i{n}.png"), "duration": 2, "track_name": track })
            }
        })
        .collect();
    json!({
        "name": "Timing",
        "audio": (0..3).map(|n| json!({ "audio_url": format!("http://127.0.0.1:9/a{n}.mp3"), "end": 4 })).collect::<Vec<_>>(),
        "visuals": visuals,
        "texts": [{ "text": "one", "start": 0, "end": 1 }, { "text": "two", "start": 1, "end": 2 }],
        "save": false,
    })
}

fn compose(home: &Home, plan: &Value, options: &[&str]) -> (i32, Value, String) {
    let file = home.file("plan.json", plan.to_string());
    let file = file.to_string_lossy().into_owned();
    let mut line = vec!["compose", &file, "--json"];
    line.extend(options);
    let ran = home.run(&line);
    let last = ran.stdout.lines().last().unwrap_or("null").to_owned();
    let event: Value = serde_json::from_str(&last).unwrap_or(Value::Null);
    (ran.code, event["report"].clone(), ran.stderr)
}

fn remote(latency_ms: u64) -> (Home, Racy) {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(latency_ms),
        steady: false,
    });
    let mut home = Home::new();
    home.api(&api.server.url)
        .set("CAPCUT_MCP_BACKEND", "remote");
    (home, api)
}

/// A web server that has nothing.
fn nothing() -> Server {
    Server::start(|_| Answer::new(404, "text/plain", "not here"))
}

fn embedded() -> Home {
    let mut home = Home::new();
    home.set("CAPCUT_MCP_BACKEND", "embedded");
    home
}

#[test]
fn a_server_that_loses_segments_under_careless_calls_loses_none_of_ours() {
    let (home, api) = remote(4);
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let mut first: Option<BTreeMap<String, Vec<(i64, i64, String)>>> = None;
    for run in 0..200 {
        let reply = client
            .call("compose_draft", json!({ "plan": plan(12) }))
            .expect("composed");
        assert_eq!(reply["status"], "complete", "run {run}: {reply}");
        let id = reply["draft_id"].as_str().expect("a draft").to_owned();
        let draft = api.draft(&id);
        assert_eq!(draft.values().map(Vec::len).sum::<usize>(), 17, "run {run}");
        assert_eq!(
            *first.get_or_insert_with(|| draft.clone()),
            draft,
            "run {run}"
        );
    }
    assert!(
        api.most[0].load(Ordering::SeqCst) <= 3,
        "the audio lane has 3 places"
    );
    assert!(
        api.most[1].load(Ordering::SeqCst) <= 5,
        "the visual lane has 5 places"
    );
    assert!(api.server.most_connections() <= 8);
}

#[test]
fn the_engine_gives_the_same_draft_for_the_same_plan() {
    let home = embedded();
    let mut plan = plan(0);
    plan["visuals"] = json!([
        { "video_url": media("clip.mp4"), "transition": "Dissolve" },
        { "image_url": media("picture.jpg") },
        { "video_url": media("clip.mp4"), "start": 1, "end": 2, "track_name": "over", "target_start": 0.5 },
    ]);
    plan["audio"] = json!([{ "audio_url": media("music.mp3"), "fit": "video", "loop": true }]);
    let script = |report: &Value| {
        let reply = home
            .call(
                "query_script",
                &json!({ "draft_id": report["draft_id"], "force_update": false }),
            )
            .expect("the script");
        let text = reply["script"].as_str().expect("a document").to_owned();
        // Ids are derived from the draft, and differ with it.
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut out = String::new();
        for part in text.split('"') {
            if part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit()) {
                let next = names.len();
                out += &format!("#{}", names.entry(part.to_owned()).or_insert(next));
            } else {
                out += part;
            }
            out.push('"');
        }
        out
    };
    let reports: Vec<Value> = (0..3)
        .map(|_| {
            let (code, report, stderr) = compose(&home, &plan, &[]);
            assert_eq!(code, 0, "{stderr}\n{report}");
            report
        })
        .collect();
    assert_eq!(script(&reports[0]), script(&reports[1]));
    assert_eq!(script(&reports[0]), script(&reports[2]));
    let audio: Vec<&Value> = reports[0]["items"]
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["tool"] == "add_audio")
        .collect();
    let pictures_end = reports[0]["items"][audio.len() + 1]["end"]
        .as_f64()
        .expect("an end");
    let sound_end = audio.last().expect("a sound")["end"]
        .as_f64()
        .expect("an end");
    assert!(
        (sound_end - pictures_end).abs() < 0.001,
        "{sound_end} and {pictures_end}"
    );
}

#[test]
fn a_failed_item_is_told_and_the_rest_goes_on() {
    let home = embedded();
    let nothing = nothing();
    let plan = json!({
        "name": "Partial",
        "visuals": [
            { "image_url": media("picture.jpg"), "duration": 2 },
            { "image_url": format!("{}/missing.png", nothing.url), "duration": 2 },
            { "image_url": media("logo.png"), "duration": 2 },
        ],
        "texts": [{ "text": "here" }],
    });
    let (code, report, stderr) = compose(&home, &plan, &[]);
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(report["outcome"], "partial", "{report}");
    assert_eq!(
        report["totals"],
        json!({ "asked": 4, "ok": 3, "failed": 1, "skipped": 0, "segments_in_draft": 3 })
    );
    let failed = &report["items"][1];
    assert_eq!(
        (&failed["item"], &failed["status"]),
        (&json!("visuals[1]"), &json!("failed"))
    );
    assert!(
        failed["error"]
            .as_str()
            .expect("why")
            .contains("missing.png"),
        "{failed}"
    );
    assert!(report["folder"].is_string(), "the rest is saved: {report}");
}

#[test]
fn an_abort_leaves_nothing_behind_on_the_engine() {
    let home = embedded();
    let nothing = nothing();
    let plan = json!({
        "name": "Abort", "on_failure": "abort",
        "visuals": [{ "image_url": format!("{}/missing.png", nothing.url) }, { "image_url": media("logo.png") }],
        "texts": [{ "text": "never" }],
    });
    let (code, report, _) = compose(&home, &plan, &[]);
    assert_eq!(code, 1);
    assert_eq!(report["outcome"], "aborted", "{report}");
    assert_eq!(report["totals"]["skipped"], 2, "{report}");
    assert!(
        report["folder"].is_null() && report["draft_id"].is_null(),
        "{report}"
    );
    let drafts = home.call("list_drafts", &json!({})).expect("a list");
    assert_eq!(
        drafts["drafts"].as_array().map(Vec::len),
        Some(0),
        "{drafts}"
    );
}

/// Runs a plan that cannot be right; stderr must name every one of these, and nothing may have been made.
fn refused(home: &Home, plan: &Value, expected: &[&str]) {
    let (code, _, stderr) = compose(home, plan, &[]);
    assert_eq!(code, 2, "{stderr}");
    for text in expected {
        assert!(stderr.contains(text), "{text} in\n{stderr}");
    }
    let drafts = home.call("list_drafts", &json!({})).expect("a list");
    assert_eq!(drafts["drafts"].as_array().map(Vec::len), Some(0));
}

#[test]
fn every_fault_of_a_plan_is_told_before_anything_is_made() {
    let plan = json!({
        "aspect_ratio": "9x16y",
        "visuals": [
            { "image_url": media("logo.png"), "transitoin": "Dissolve" },
            { "colour": "red" },
            { "video_url": media("clip.mp4"), "speed": "fast" },
        ],
        "texts": [{ "start": 1 }, { "text": "a", "font": "Comic Sans of my own" }],
        "subtitles": [{ "srt": "1\n00:00:00,000 --> 00:00:01,000\nx\n", "align_to": "voice" }],
        "save": { "draft_profile": "capcut-amiga" },
    });
    refused(
        &embedded(),
        &plan,
        &[
            "aspect_ratio",
            "visuals[0].transitoin",
            "visuals[1]",
            "visuals[2].speed",
            "texts[0].text",
            "texts[1].font: ",
            "subtitles[0].align_to",
            "save.draft_profile",
        ],
    );
}

#[test]
fn names_that_no_catalog_has_are_told_with_the_nearest_on_both_backends() {
    let image = "http://127.0.0.1:9/i.png";
    let plan = json!({
        "visuals": [
            { "image_url": image, "transition": "Disolve", "mask_type": "Circel", "outro_animation": "Fade_Outt" },
            { "video_url": "http://127.0.0.1:9/v.mp4", "end": 2, "transition": "Black Fade", "mask_type": "Hexagram" },
            { "image_url": image, "combo_animation": "nonsense" },
        ],
        "audio": [{ "audio_url": "http://127.0.0.1:9/a.mp3", "end": 2, "effect_type": "Big_Hous" }],
        "texts": [{
            "text": "ab", "start": 0, "end": 2, "intro_animation": "Fade In", "outro_animation": "Fade Owt",
            "text_styles": [{ "start": 0, "end": 1, "font": "Nofont" }],
        }],
        "subtitles": [{ "srt": "1\n00:00:00,000 --> 00:00:01,000\nx\n", "font": "Nofont" }],
        "effects": [{ "effect_type": "Vignete", "start": 0, "end": 2 }],
        "keyframes": [{ "property_type": "opacity" }, { "track_name": "nowhere" }],
    });
    let expected = [
        "visuals[0].transition: CapCut has no transition \"Disolve\" (did you mean `Dissolve`",
        "visuals[0].mask_type: CapCut has no mask \"Circel\" (did you mean `Circle`",
        "visuals[0].outro_animation: ",
        "visuals[1].mask_type: ",
        "visuals[2].combo_animation: ",
        "audio[0].effect_type: ",
        "texts[0].outro_animation: ",
        "texts[0].text_styles[0].font: ",
        "subtitles[0].font: ",
        "effects[0].effect_type: ",
        "keyframes[0].property_type: ",
        "keyframes[1].track_name: ",
    ];
    refused(&embedded(), &plan, &expected);
    let (home, api) = remote(1);
    refused(&home, &plan, &expected);
    assert_eq!(api.drafts(), 0);
    // What is right is not told.
    let (_, _, stderr) = compose(&home, &plan, &[]);
    assert!(
        !stderr.contains("visuals[1].transition") && !stderr.contains("intro_animation"),
        "{stderr}"
    );
}

#[test]
fn what_cannot_be_in_time_or_on_disk_is_told_before_anything_is_made() {
    let home = embedded();
    let text = home.file("notes.txt", "no picture");
    let broken = home.file("broken.srt", "1\n00:00:03,000 --> what\nx\n");
    let plan = json!({
        "visuals": [
            { "video_url": media("clip.mp4"), "start": 3, "end": 1 },
            { "image_url": media("logo.png"), "start": 4, "end": 6, "track_name": "over" },
            { "image_url": media("logo.png"), "start": 5, "end": 7, "track_name": "over" },
            { "image_url": media("logo.png"), "start": 7, "end": 8, "track_name": "over" },
            { "image_url": "/nowhere/missing.png" },
            { "image_url": text },
            { "video_url": media("logo.png") },
        ],
        "audio": [{ "audio_url": "https://[broken", "end": 3 }],
        "texts": [
            { "text": "a", "start": 6 },
            { "text": "b", "start": 0, "end": 2 },
            { "text": "c", "start": 1, "end": 3 },
            { "text": "d", "start": 1, "end": 3, "track_name": "over" },
        ],
        "subtitles": [{ "srt": broken }, { "srt": "/nowhere/missing.srt" }],
    });
    refused(
        &home,
        &plan,
        &[
            "visuals[0].end is 1 s, which is not after `start` (3 s)",
            "visuals[2]: 5 s to 7 s on track `over` is taken by visuals[1] (4 s to 6 s)",
            "visuals[4].image_url: no such file: /nowhere/missing.png",
            "visuals[5].image_url: ",
            "visuals[6].video_url: ",
            "add it with `add_image`",
            "audio[0].audio_url: ",
            "texts[0].end is 5 s",
            "texts[2]: 1 s to 3 s on track `text_main` is taken by texts[1]",
            "texts[3].track_name: track `over` holds pictures (visuals[1])",
            "subtitles[0].srt: ",
            "subtitles[1].srt: no such file",
        ],
    );
}

#[test]
fn a_sound_fades_on_the_engine_and_is_refused_on_a_server() {
    let home = embedded();
    let plan = json!({
        "visuals": [{ "image_url": media("logo.png"), "duration": 8 }],
        "audio": [
            { "audio_url": media("voice.mp3"), "loop": true, "fade_in": 0.5, "fade_out": "1.25", "track_name": "voice" },
            { "audio_url": media("music.mp3"), "end": 1, "fade_in": 0.75, "fade_out": 2, "track_name": "music" },
            { "audio_url": media("music.mp3"), "fit": "video", "track_name": "plain" },
        ],
    });
    let (code, report, stderr) = compose(&home, &plan, &["--draft-folder", "drafts"]);
    assert_eq!(code, 0, "{stderr}\n{report}");
    let folder = std::path::PathBuf::from(report["folder"].as_str().expect("a folder"));
    let document = ["draft_info.json", "draft_content.json"]
        .iter()
        .find_map(|name| std::fs::read(folder.join(name)).ok())
        .expect("a document");
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    let fades = document["materials"]["audio_fades"]
        .as_array()
        .expect("fades");
    let fade_of = |segment: &Value| {
        let refs = segment["extra_material_refs"].as_array().expect("refs");
        let fade = fades.iter().find(|fade| refs.contains(&fade["id"]))?;
        assert_eq!(
            (&fade["type"], &fade["fade_type"]),
            (&json!("audio_fade"), &json!(0))
        );
        Some((
            fade["fade_in_duration"].as_i64()?,
            fade["fade_out_duration"].as_i64()?,
        ))
    };
    let on = |track: &str| -> Vec<Option<(i64, i64)>> {
        let tracks = document["tracks"].as_array().expect("tracks");
        let track = tracks
            .iter()
            .find(|t| t["name"] == track)
            .expect("the track");
        track["segments"]
            .as_array()
            .expect("segments")
            .iter()
            .map(fade_of)
            .collect()
    };
    // The sound as a whole fades: its first turn in, its last one out.
    let voice = on("voice");
    assert_eq!(voice, [Some((500_000, 0)), None, Some((0, 1_250_000))]);
    assert_eq!(
        on("music"),
        [Some((750_000, 250_000))],
        "cut to the sound's length"
    );
    assert!(
        report.to_string().contains("were cut to 0.75 s and 0.25 s"),
        "{report}"
    );
    assert_eq!(on("plain"), [None]);

    let (home, api) = remote(1);
    refused(
        &home,
        &plan,
        &[
            "audio[0].fade_in is 0.5 s",
            "audio[1].fade_in",
            "--backend embedded",
        ],
    );
    assert_eq!(api.drafts(), 0);
    let sound = json!({ "audio_url": media("music.mp3"), "fade_out": 1 });
    let (code, stderr) = home.call("add_audio", &sound).expect_err("a server cannot");
    assert_eq!(
        (code, stderr.contains("`fade_out` is 1 s")),
        (2, true),
        "{stderr}"
    );
    assert_eq!(api.server.count("/add_audio"), 0);
}

/// Over HTTP they are fields that the API does not know.
#[test]
fn fades_are_ignored_over_http() {
    let home = Home::new();
    let served = home.engine(&[
        "--allow-dir",
        &media("music.mp3")
            .parent()
            .expect("a folder")
            .to_string_lossy(),
    ]);
    let sound = json!({ "audio_url": media("music.mp3"), "fade_in": 1, "fade_out": "no number" });
    let made = served.output("/add_audio", &sound).expect("added");
    let script = served
        .output("/query_script", &json!({ "draft_id": made["draft_id"] }))
        .expect("the script");
    let script: Value = serde_json::from_str(script.as_str().expect("text")).expect("JSON");
    assert_eq!(script["materials"]["audio_fades"], json!([]));
    assert_eq!(
        script["tracks"][0]["segments"].as_array().map(Vec::len),
        Some(1)
    );
}

/// Lengths are known only after the media were looked at, which is before anything is made.
#[test]
fn overlaps_that_follow_from_the_lengths_of_media_are_told_before_anything_is_made() {
    let plan = json!({ "visuals": [
        { "video_url": media("clip.mp4") },
        { "image_url": media("logo.png") },
        { "image_url": media("logo.png"), "start": 3.5, "end": 5 },
    ]});
    for home in [embedded(), remote(1).0] {
        refused(
            &home,
            &plan,
            &[
                "visuals[2]: 3.5 s to 5 s",
                "is taken by visuals[0] (0 s to 4 s)",
            ],
        );
    }
}

#[test]
fn a_run_is_taken_up_again_and_only_what_is_missing_is_done() {
    let (home, api) = remote(1);
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let whole = plan(12);
    let mut part = whole.clone();
    part["visuals"] = json!(whole["visuals"].as_array().expect("pictures")[..5]);
    part["texts"] = json!([]);
    let begun = client
        .call("compose_draft", json!({ "plan": part }))
        .expect("begun");
    let id = begun["draft_id"].as_str().expect("a draft").to_owned();
    let before = api.server.count("/add_");
    let done = client
        .call("compose_draft", json!({ "plan": whole, "resume": id }))
        .expect("taken up again");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(done["draft_id"], json!(id));
    assert_eq!(
        api.server.count("/add_") - before,
        7 + 2,
        "only what was missing is sent"
    );
    assert_eq!(api.draft(&id).values().map(Vec::len).sum::<usize>(), 17);
}

#[test]
fn a_server_that_forgot_the_draft_is_no_success() {
    let (home, api) = remote(1);
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let begun = client
        .call("compose_draft", json!({ "plan": plan(2) }))
        .expect("begun");
    api.forget();
    let error = client
        .call(
            "compose_draft",
            json!({ "plan": plan(4), "resume": begun["draft_id"] }),
        )
        .expect_err("the draft is gone");
    assert!(
        error.contains(begun["draft_id"].as_str().expect("an id")),
        "{error}"
    );
}

/// A plan on a server that does with each call what `misbehave` says; and what came of it.
fn composed_on(
    misbehave: impl Fn(&Asked, &dyn Fn(Option<BadSave>) -> Answer) -> Answer + Send + Sync + 'static,
    plan: &Value,
) -> Result<Value, String> {
    let mut home = Home::new();
    let folder = home.path().join("server");
    std::fs::create_dir(&folder).expect("the server's folder");
    let manners = Manners {
        latency: Duration::ZERO,
        steady: true,
    };
    let api = Racy::start_with(manners, Some(&folder), move |_, asked, carry_out| {
        misbehave(asked, carry_out)
    });
    let settings = format!("[api]\ndrafts_folder = {:?}\n", folder.to_string_lossy());
    let config = home.file("tools.toml", settings);
    home.api(&api.server.url)
        .set("CAPCUT_MCP_BACKEND", "remote")
        .set("CAPCUT_MCP_CONFIG", &config.to_string_lossy());
    let mut client = home.serve();
    client.initialize("2025-11-25");
    client.call("compose_draft", json!({ "plan": plan }))
}

#[test]
fn a_segment_that_was_acknowledged_and_is_not_there_has_failed() {
    let lying = AtomicUsize::new(0);
    let made = composed_on(
        move |asked, carry_out| {
            let body = asked.json();
            if asked.path == "/add_image" && lying.fetch_add(1, Ordering::SeqCst) == 2 {
                return Answer::success(&json!({ "draft_id": body["draft_id"] }));
            }
            carry_out(None)
        },
        &plan(12),
    );
    let reply = made.expect("the rest is there");
    assert_eq!(reply["status"], "partial", "{reply}");
    let rows = reply["report"]["items"].as_array().expect("rows");
    let failed: Vec<&Value> = rows
        .iter()
        .filter(|row| row["status"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1, "{reply}");
    assert_eq!(failed[0]["tool"], "add_image");
    let error = failed[0]["error"].as_str().expect("why");
    assert!(error.contains("it is not in the draft"), "{error}");
}

#[test]
fn a_segment_that_nobody_asked_for_is_told() {
    let made = composed_on(
        |asked, carry_out| {
            let answer = carry_out(None);
            if asked.path == "/query_script" {
                let body: Value = serde_json::from_slice(&answer.body).expect("an envelope");
                let script = body["output"].as_str().expect("a document");
                let mut script: Value = serde_json::from_str(script).expect("a document");
                let tracks = script["tracks"].as_array_mut().expect("tracks");
                let track = tracks.iter_mut().find(|track| track["name"] == "text_main");
                let segments = track.expect("texts")["segments"].as_array_mut();
                let segments = segments.expect("segments");
                let mut other = segments[0].clone();
                other["target_timerange"]["start"] = json!(77_000_000);
                segments.push(other);
                return Answer::success(&json!(script.to_string()));
            }
            answer
        },
        &plan(4),
    );
    let reply = made.expect("all is there");
    let notes = reply["report"]["notes"].to_string();
    assert!(
        notes.contains("text_main") && notes.contains("has 3 segments, of which this run knows 2"),
        "{reply}"
    );
}

#[test]
fn a_save_that_is_not_whole_is_told_with_the_file() {
    let media = media_server();
    let address = |name: &str| format!("{}/range/{name}", media.url);
    let video = json!({
        "visuals": [{ "video_url": address("clip.mp4"), "start": 0, "end": 2 }],
    });
    let image = json!({ "visuals": [{ "image_url": address("logo.png"), "duration": 2 }] });
    let sound = json!({ "audio": [{ "audio_url": address("music.mp3"), "end": 2 }] });
    for plan in [&video, &image, &sound] {
        assert_eq!(
            composed_on(|_, carry_out| carry_out(None), plan).expect("a sound server")["status"],
            "complete"
        );
    }
    for (plan, bad, words) in [
        (&video, BadSave::Fails, ["no space left", "failed to save"]),
        (
            &video,
            BadSave::FileMissing,
            ["the file is missing", "clip.mp4"],
        ),
        (&video, BadSave::FileCut, ["is cut off", "clip.mp4"]),
        (&video, BadSave::FileWrong, ["an HTML page", "clip.mp4"]),
        (&image, BadSave::FileCut, ["is cut off", "logo.png"]),
        (&sound, BadSave::FileCut, ["is cut off", "music.mp3"]),
    ] {
        let error = composed_on(
            move |asked, carry_out| carry_out((asked.path == "/save_draft").then_some(bad)),
            plan,
        )
        .expect_err("not whole");
        for word in words {
            assert!(error.contains(word), "{bad:?}: {error}");
        }
    }
}

#[test]
fn long_work_is_answered_as_a_job_that_goes_on() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(120),
        steady: true,
    });
    let mut home = Home::new();
    home.api(&api.server.url)
        .set("CAPCUT_MCP_BACKEND", "remote");
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let running = client
        .call("compose_draft", json!({ "plan": plan(12), "wait_s": 0 }))
        .expect("running");
    assert_eq!(running["status"], "running", "{running}");
    let job = running["job_id"].clone();
    let light = std::time::Instant::now();
    client.call("list_drafts", json!({})).expect("a light call");
    assert!(light.elapsed() < Duration::from_secs(1));
    let done = client
        .call("job_status", json!({ "job_id": job, "wait_s": 30 }))
        .expect("done");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(done["report"]["totals"]["ok"], 17);
    assert_eq!(client.end(), 0);
    // It is found again by another process.
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let again = client
        .call("job_status", json!({ "job_id": job }))
        .expect("remembered");
    assert_eq!(again["status"], "complete");
}

#[test]
fn a_job_goes_on_after_its_client_has_gone() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(80),
        steady: true,
    });
    let mut home = Home::new();
    home.api(&api.server.url)
        .set("CAPCUT_MCP_BACKEND", "remote");
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let running = client
        .call("compose_draft", json!({ "plan": plan(12), "wait_s": 0 }))
        .expect("running");
    assert_eq!(client.end(), 0);
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let done = client
        .call("job_status", json!({ "job_id": running["job_id"] }))
        .expect("remembered");
    assert_eq!(done["status"], "complete", "{done}");
}

#[test]
fn a_killed_run_is_interrupted_and_resumable() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(60),
        steady: true,
    });
    let mut home = Home::new();
    home.api(&api.server.url)
        .set("CAPCUT_MCP_BACKEND", "remote");
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let running = client
        .call("compose_draft", json!({ "plan": plan(12), "wait_s": 0 }))
        .expect("running");
    until("some of it is there", || api.server.count("/add_") >= 4);
    client.child.kill().expect("killed");
    client.wait();
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let told = client
        .call("job_status", json!({ "job_id": running["job_id"] }))
        .expect("told");
    assert_eq!(told["status"], "interrupted", "{told}");
    // What the server had in hand when the client died is done by now.
    std::thread::sleep(Duration::from_millis(300));
    let done = client
        .call("compose_draft", json!({ "resume": running["job_id"] }))
        .expect("taken up again");
    assert_eq!(done["status"], "complete", "{done}");
    let id = done["draft_id"].as_str().expect("a draft");
    assert_eq!(api.draft(id).values().map(Vec::len).sum::<usize>(), 17);
    assert_eq!(api.drafts(), 1);
}

#[test]
fn cancelling_stops_what_waits_and_tells_what_was_done() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(150),
        steady: true,
    });
    let mut home = Home::new();
    home.api(&api.server.url)
        .set("CAPCUT_MCP_BACKEND", "remote");
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let running = client
        .call("compose_draft", json!({ "plan": plan(40), "wait_s": 0 }))
        .expect("running");
    until("some of it is there", || api.server.count("/add_") >= 4);
    let stopped = client
        .call("cancel_job", json!({ "job_id": running["job_id"] }))
        .expect("stopped");
    assert_eq!(stopped["status"], "cancelled", "{stopped}");
    let sent = api.server.count("/add_");
    assert!(sent < 45, "{sent} of 45 were sent");
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(
        api.server.count("/add_"),
        sent,
        "nothing is sent afterwards"
    );
}

#[test]
fn a_batch_from_a_csv_goes_on_where_it_was_killed() {
    let home = embedded();
    home.file(
        "plan.yaml",
        format!(
            "name: ${{name}}\nvisuals:\n  - image_url: {}\n    duration: ${{seconds}}\ntexts:\n  - text: ${{name}}\n",
            media("logo.png").display()
        ),
    );
    let rows: String = (0..8)
        .map(|n| format!("Draft {n},{}\n", n % 3 + 1))
        .collect();
    home.file("rows.csv", format!("name,seconds\n{rows}"));
    let line = [
        "compose",
        "--template",
        "plan.yaml",
        "--inputs",
        "rows.csv",
        "--report",
        "out.jsonl",
        "--jobs",
        "2",
    ];
    let mut child = home.command(&line).spawn().expect("the batch starts");
    let report = home.path().join("out.jsonl");
    let complete = || {
        std::fs::read_to_string(&report)
            .unwrap_or_default()
            .matches("\"complete\"")
            .count()
    };
    until("some drafts are complete", || complete() >= 2);
    child.kill().expect("killed");
    child.wait().expect("ended");
    let before = complete();
    let ran = home.run(&line);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(
        complete(),
        8,
        "each draft is completed once, {before} of them before the kill"
    );
    assert!(
        ran.stdout.contains("8 of 8 drafts are complete"),
        "{}",
        ran.stdout
    );
}

/// The examples are run on our own engine, here and over HTTP as a server.
#[test]
fn every_example_makes_a_complete_draft_on_both_backends() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let served = Home::new();
    let engine: Served = served.engine(&["--allow-dir", &examples.to_string_lossy()]);
    let here = embedded();
    let mut there = Home::new();
    there.api(&engine.url).set("CAPCUT_MCP_BACKEND", "remote");
    let mut found = 0;
    for entry in std::fs::read_dir(&examples).expect("the examples") {
        let path = entry.expect("an entry").path();
        let ending = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        if !matches!(ending, "yaml" | "toml" | "json")
            || path.file_stem().is_some_and(|s| s == "batch")
        {
            continue;
        }
        found += 1;
        for home in [&here, &there] {
            let ran = home.run(&["compose", &path.to_string_lossy()]);
            assert_eq!(
                ran.code,
                0,
                "{}:\n{}\n{}",
                path.display(),
                ran.stdout,
                ran.stderr
            );
        }
    }
    assert!(found >= 6, "{found} examples");
    for home in [&here, &there] {
        let template = examples.join("batch.yaml");
        let inputs = examples.join("batch.csv");
        let ran = home.run(&[
            "compose",
            "--template",
            &template.to_string_lossy(),
            "--inputs",
            &inputs.to_string_lossy(),
        ]);
        assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.contains("10 of 10 drafts are complete"),
            "{}",
            ran.stdout
        );
    }
}

/// Of each report line that counts: what became of the draft.
fn statuses(home: &Home, report: &str) -> Vec<String> {
    let text = std::fs::read_to_string(home.path().join(report)).expect("a report");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines
        .filter(|line| line["status"] != "started")
        .map(|line| line["status"].as_str().expect("a status").to_owned())
        .collect()
}

#[test]
fn plans_come_as_lines_from_stdin_and_a_batch_stops_where_it_is_told_to() {
    let home = embedded();
    let nothing = nothing();
    let picture =
        |url: String| json!({ "visuals": [{ "image_url": url, "duration": 1 }], "save": false });
    let good = picture(media("logo.png").to_string_lossy().into_owned());
    let lines = format!(
        "{good}\n\n{}\n{good}\n",
        picture(format!("{}/a.png", nothing.url))
    );
    let ran = home.run_with(
        &[
            "compose",
            "-",
            "--jobs",
            "1",
            "--on-error",
            "stop",
            "--report",
            "stop.jsonl",
        ],
        &lines,
    );
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("1 of 3 drafts are complete"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("skipped"), "{}", ran.stdout);
    assert_eq!(statuses(&home, "stop.jsonl"), ["complete", "failed"]);
    let ran = home.run_with(
        &[
            "compose", "-", "--jobs", "1", "--report", "go.jsonl", "--json",
        ],
        &lines,
    );
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert_eq!(
        statuses(&home, "go.jsonl"),
        ["complete", "failed", "complete"]
    );
    let last = ran.stdout.lines().last().expect("a summary");
    let summary: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(
        (&summary["event"], &summary["complete"]),
        (&json!("summary"), &json!(2))
    );
    // Every plan is looked at before the first is begun.
    let wrong = format!("{good}\n{{\"texts\": [{{}}]}}\n");
    let ran = home.run_with(&["compose", "-", "--report", "none.jsonl"], &wrong);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("-:2: texts[0].text"), "{}", ran.stderr);
    assert!(!home.path().join("none.jsonl").exists());
}

#[test]
fn a_batch_tries_again_and_takes_its_inputs_from_stdin() {
    let home = embedded();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let logo = std::fs::read(media("logo.png")).expect("the logo");
    let shaky = Server::start(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) < 2 {
            Answer::new(404, "text/plain", "not yet")
        } else {
            Answer::new(200, "image/png", logo.clone())
        }
    });
    home.file(
        "plan.toml",
        format!(
            "name = \"${{title}}\"\nsave = false\n[[visuals]]\nimage_url = \"{}/a.png\"\nduration = \"${{seconds}}\"\n",
            shaky.url
        ),
    );
    let ran = home.run_with(
        &[
            "compose",
            "--template",
            "plan.toml",
            "--inputs",
            "-",
            "--retries",
            "3",
            "--retry-delay",
            "0",
            "--report",
            "out.jsonl",
        ],
        "{\"title\": \"One\", \"seconds\": 1.5}\n",
    );
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(statuses(&home, "out.jsonl"), ["complete"]);
    let text = std::fs::read_to_string(home.path().join("out.jsonl")).expect("a report");
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert!(last["tries"].as_u64().expect("a number") > 1, "{last}");
}

#[test]
fn a_batch_over_mcp_is_a_job_with_a_line_for_each_draft() {
    let (home, api) = remote(1);
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let template =
        json!({ "texts": [{ "text": "${title}", "start": 0, "end": 1 }], "save": false });
    let wrong = client.call(
        "compose_batch",
        json!({ "template": template, "inputs": [{ "title": "a" }, {}], "plans": [{ "texts": [{}] }] }),
    );
    let error = wrong.expect_err("two faults");
    assert!(
        error.contains("line 2: texts[0].text: the placeholder"),
        "{error}"
    );
    let wrong = client.call(
        "compose_batch",
        json!({ "plans": [template, { "effects": [{ "effect_type": "Nope" }] }] }),
    );
    let error = wrong.expect_err("two faults");
    assert!(
        error.contains("plans[1]: effects[0].effect_type"),
        "{error}"
    );
    assert_eq!(api.drafts(), 0);
    let begun = client
        .call(
            "compose_batch",
            json!({ "template": template, "inputs": [{ "title": "a" }, { "title": "b" }] }),
        )
        .expect("begun");
    let done = client
        .call(
            "job_status",
            json!({ "job_id": begun["job_id"], "wait_s": 30 }),
        )
        .expect("done");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(
        done["report"]["drafts"].as_array().map(Vec::len),
        Some(2),
        "{done}"
    );
    assert_eq!(api.drafts(), 2);
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_run_and_tells_what_was_done() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(150),
        steady: true,
    });
    let mut home = Home::new();
    home.api(&api.server.url)
        .set("CAPCUT_MCP_BACKEND", "remote");
    let file = home.file("plan.json", plan(40).to_string());
    let child = home
        .command(&["compose", &file.to_string_lossy(), "--json"])
        .spawn()
        .expect("it starts");
    until("some of it is there", || api.server.count("/add_") >= 6);
    let pressed = std::time::Instant::now();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(sent.success());
    let output = child.wait_with_output().expect("it ends");
    assert!(
        pressed.elapsed() < Duration::from_secs(1),
        "{:?}",
        pressed.elapsed()
    );
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let event: Value = serde_json::from_str(text.lines().last().expect("a report")).expect("JSON");
    let report = &event["report"];
    assert_eq!(report["outcome"], "cancelled", "{report}");
    assert!(report["totals"]["ok"].as_u64() >= Some(1), "{report}");
    assert!(report["totals"]["skipped"].as_u64() >= Some(20), "{report}");
    let count = api.server.count("/add_");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        api.server.count("/add_"),
        count,
        "nothing is sent afterwards"
    );
}

#[test]
fn both_branches_are_waited_for_only_so_long() {
    let api = Racy::start(Manners {
        latency: Duration::from_secs(2),
        steady: true,
    });
    let mut home = Home::new();
    let file = home.file("own.toml", "[sync]\ntimeout_s = 0.4\n");
    home.api(&api.server.url)
        .set("CAPCUT_MCP_BACKEND", "remote")
        .set("CAPCUT_MCP_CONFIG", &file.to_string_lossy());
    let (code, report, stderr) = compose(&home, &plan(4), &[]);
    assert_eq!(code, 1, "{stderr}");
    let rows = report["items"].as_array().expect("rows");
    let late: Vec<&Value> = rows
        .iter()
        .filter(|row| {
            row["error"]
                .as_str()
                .is_some_and(|e| e.contains("sync point"))
        })
        .collect();
    assert_eq!(late.len(), 3 + 4, "sounds and pictures: {report}");
    assert_eq!(
        report["totals"]["ok"], 2,
        "the texts follow all the same: {report}"
    );
    let phase = report["phases"]["fan_out_ms"].as_f64().expect("a time");
    assert!((390.0..1500.0).contains(&phase), "{phase}");
}

/// A server that is started again has forgotten its drafts: made again from the journal, the run goes on here.
#[test]
fn a_run_goes_on_after_its_server_was_started_again() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(30),
        steady: true,
    });
    let mut home = Home::new();
    let file = home.file("own.toml", "[retry]\nunsent = { tries = 1, backoff = \"linear\", first_wait_s = 0.1, longest_wait_s = 0.1, jitter = false }\n[breaker]\nfailures = 1000\n");
    home.api(&api.server.url)
        .set("CAPCUT_MCP_CONFIG", &file.to_string_lossy());
    let mut client = home.serve();
    client.initialize("2025-11-25");
    let whole = plan(4);
    let job = client
        .call("compose_draft", json!({ "plan": whole, "wait_s": 0 }))
        .expect("running");
    until("some of it is there", || api.server.count("/add_") >= 3);
    api.down.store(true, Ordering::SeqCst);
    api.forget();
    let broken = client
        .call(
            "job_status",
            json!({ "job_id": job["job_id"], "wait_s": 60 }),
        )
        .expect("told");
    assert_ne!(broken["status"], "complete", "{broken}");
    let draft = broken["draft_id"].clone();
    assert!(
        broken["report"]["totals"]["ok"].as_u64() < Some(9),
        "{broken}"
    );
    api.down.store(false, Ordering::SeqCst);
    let moved = client
        .call(
            "recover_draft",
            json!({ "draft_id": draft, "to": "embedded" }),
        )
        .expect("made again");
    let done = client
        .call(
            "compose_draft",
            json!({ "plan": whole, "resume": moved["draft_id"] }),
        )
        .expect("taken up again");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(done["report"]["totals"]["segments_in_draft"], 9, "{done}");
}
