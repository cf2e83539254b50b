//! Whole videos from plans, on both backends: the same draft regardless of timing, nothing lost, every item
//! reported.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::check::refused;
use crate::plans::{compose, plan, remote};
use crate::racy::{BadSave, Manners, Racy};
use crate::support::{Answer, Asked, Home, Served, Server, media, media_server};

#[test]
fn no_segment_is_lost_on_a_server_that_loses_segments_of_parallel_calls() {
    let (home, api) = remote(4);
    let mut client = home.connected();
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
        "the audio lane has 3 slots"
    );
    assert!(
        api.most[1].load(Ordering::SeqCst) <= 5,
        "the visual lane has 5 slots"
    );
    assert!(api.server.most_connections() <= 8);
}

#[test]
fn the_engine_gives_the_same_draft_for_the_same_plan() {
    let home = Home::embedded();
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
        // Ids are derived from the draft's id and differ between drafts.
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
fn a_failed_item_is_reported_and_the_others_are_made() {
    let home = Home::embedded();
    let nothing = Server::empty();
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
fn an_aborted_run_leaves_no_draft_on_the_engine() {
    let home = Home::embedded();
    let nothing = Server::empty();
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

#[test]
fn a_sound_fades_on_the_engine_and_is_refused_on_a_server() {
    let home = Home::embedded();
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
    // The looped sound fades as a whole: its first repetition fades in, its last one out.
    let voice = on("voice");
    assert_eq!(voice, [Some((500_000, 0)), None, Some((0, 1_250_000))]);
    assert_eq!(
        on("music"),
        [Some((750_000, 250_000))],
        "cut to the sound's length"
    );
    assert!(
        report
            .to_string()
            .contains("were shortened to 0.75 s and 0.25 s"),
        "{report}"
    );
    assert_eq!(on("plain"), [None]);

    let (home, api) = remote(1);
    refused(
        &home,
        &plan,
        &[
            "audio[0]: the API of",
            "has no `fade_in`, `fade_out`",
            "audio[1]",
            "api.drafts_folder",
            "--backend embedded",
        ],
    );
    assert_eq!(api.drafts(), 0);
    let made = home.call("create_draft", &json!({})).expect("a draft");
    let sound =
        json!({ "draft_id": made["draft_id"], "audio_url": media("music.mp3"), "fade_out": 1 });
    let (code, stderr) = home.call("add_audio", &sound).expect_err("a server cannot");
    assert_eq!(
        (code, stderr.contains("has no `fade_out`")),
        (2, true),
        "{stderr}"
    );
    assert_eq!(api.server.count("/add_audio"), 0);
}

/// Over HTTP, fades are fields that the API does not know.
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

/// Runs a plan on a server that handles each call as `misbehave` says; returns the server and the result.
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
    let mut client = home.connected();
    client.call("compose_draft", json!({ "plan": plan }))
}

#[test]
fn an_acknowledged_segment_that_is_missing_counts_as_failed() {
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
    let reply = made.expect("the other items were added");
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
fn an_unexpected_segment_is_reported() {
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
    let reply = made.expect("everything was added");
    let notes = reply["report"]["notes"].to_string();
    assert!(
        notes.contains("text_main") && notes.contains("has 3 segments, but this run expected 2"),
        "{reply}"
    );
}

#[test]
fn an_incomplete_save_is_reported_with_the_file() {
    let media = media_server();
    let address = |name: &str| format!("{}/range/{name}", media.url);
    let video = json!({
        "visuals": [{ "video_url": address("clip.mp4"), "start": 0, "end": 2 }],
    });
    let image = json!({ "visuals": [{ "image_url": address("logo.png"), "duration": 2 }] });
    let sound = json!({ "audio": [{ "audio_url": address("music.mp3"), "end": 2 }] });
    for plan in [&video, &image, &sound] {
        assert_eq!(
            composed_on(|_, carry_out| carry_out(None), plan).expect("a server without problems")["status"],
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
        .expect_err("an incomplete save");
        for word in words {
            assert!(error.contains(word), "{bad:?}: {error}");
        }
    }
}

/// The examples run on the engine, in this process and over HTTP as a server.
#[test]
fn every_example_makes_a_complete_draft_on_both_backends() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let served = Home::new();
    let engine: Served = served.engine(&["--allow-dir", &examples.to_string_lossy()]);
    let here = Home::embedded();
    let there = Home::remote(&engine.url);
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
