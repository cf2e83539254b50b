//! Forwarding to a CapCut API: recorded answers, and every kind of failure.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::plans::compose;
use crate::racy::{Manners, Racy};
use crate::support::{Answer, Asked, Delivery, Home, NOWHERE, Server, media, media_server};

const DRAFT: &str = "dfd_cat_1700000000_0badcafe";
const PAGE: &str = "<!doctype html>\n<html lang=en>\n<title>405 Method Not Allowed</title>\n<h1>Method Not Allowed</h1>";

/// Answers as the reference server does, except where `other` returns an answer.
pub(crate) fn reference(
    other: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
) -> Server {
    Server::start(move |asked| other(asked).unwrap_or_else(|| recorded(asked)))
}

fn recorded(asked: &Asked) -> Answer {
    let placed = json!({ "draft_id": DRAFT, "draft_url": format!("https://www.install-ai-guider.top/draft/downloader?draft_id={DRAFT}&is_capcut=1") });
    match asked.path.as_str() {
        "/get_mask_types" => Answer::success(&json!([{ "name": "Linear" }, { "name": "Mirror" }])),
        "/query_script" => {
            let script = json!({ "tracks": [], "materials": {}, "duration": 0 });
            Answer::success(&json!(script.to_string()))
        }
        "/save_draft" => Answer::success(&json!({ "success": true, "draft_url": "" })),
        "/query_draft_status" => Answer::success(&json!({
            "status": "completed", "message": "Draft creation completed", "progress": 100,
            "completed_files": 0, "total_files": 0, "draft_url": "",
        })),
        path if path == "/create_draft" || path.starts_with("/add_") => Answer::success(&placed),
        _ => Answer::new(404, "text/html", PAGE),
    }
}

/// The document of a draft with the text of [`text`].
fn script_with_text() -> Value {
    json!({
        "tracks": [{ "name": "text_main", "segments": [{ "material_id": "t", "target_timerange": { "start": 0, "duration": 1_000_000 } }] }],
        "materials": { "texts": [{ "id": "t" }] },
    })
}

fn home(server: &Server) -> Home {
    let mut home = Home::new();
    home.api(&server.url);
    home
}

fn text() -> Value {
    json!({ "draft_id": DRAFT, "text": "hello", "start": 0, "end": 1 })
}

#[test]
fn a_draft_is_created_and_saved_on_the_server() {
    let server = reference(|asked| {
        (asked.path == "/query_script")
            .then(|| Answer::success(&json!(script_with_text().to_string())))
    });
    let home = home(&server);
    let reply = home.call("create_draft", &json!({})).unwrap();
    assert_eq!(
        (&reply["draft_id"], &reply["backend"]),
        (&json!(DRAFT), &json!("remote")),
        "{reply}"
    );
    assert!(
        !reply.to_string().contains("install-ai-guider"),
        "a link to a page that does not exist: {reply}"
    );
    // Another process finds the draft through the journal.
    home.call("add_text", &text()).unwrap();
    let bodies: Vec<Value> = server
        .asked()
        .iter()
        .filter(|asked| asked.path == "/add_text")
        .map(Asked::json)
        .collect();
    assert_eq!(bodies.len(), 1);
    assert_eq!(
        (&bodies[0]["text"], &bodies[0]["draft_id"]),
        (&json!("hello"), &json!(DRAFT))
    );
    let reply = home
        .call("save_draft", &json!({ "draft_id": DRAFT }))
        .unwrap();
    assert_eq!(reply["backend"], "remote", "{reply}");
    assert_eq!(
        server.count("/query_draft_status"),
        1,
        "the status is queried after a success"
    );
}

/// Checks the exit code and the words of the error for this answer to `add_text`.
fn check(answer: Answer, code: i32, words: &[&str]) {
    let server = reference(move |asked| (asked.path == "/add_text").then(|| answer.clone()));
    let home = home(&server);
    home.call("create_draft", &json!({})).unwrap();
    let (found, text) = home.call("add_text", &text()).unwrap_err();
    assert_eq!(found, code, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing: {text}");
    }
    assert_eq!(
        server.count("/add_text"),
        1,
        "an edit was sent again: {text}"
    );
}

#[test]
fn each_kind_of_failure_is_one_clear_error() {
    let overlap = "Error occurred while processing text: New segment overlaps with existing segment [start: 0, end: 1]. You can click the link below for help: ";
    check(
        Answer::failure(overlap),
        2,
        &["overlaps with existing segment", "/add_text"],
    );
    check(
        Answer::failure("Unsupported font: x"),
        2,
        &["Unsupported font: x"],
    );
    check(
        Answer::new(405, "text/html", PAGE),
        2,
        &["405", "Method Not Allowed", "health_check"],
    );
    check(Answer::new(415, "text/html", PAGE), 2, &["415"]);
    check(Answer::new(500, "text/html", PAGE), 4, &["500"]);
    let other = json!({ "draft_id": "dfd_cat_1700000000_00000bad", "draft_url": "" });
    check(
        Answer::success(&other),
        2,
        &[DRAFT, "00000bad", "unknown to", "recover_draft"],
    );
}

#[test]
fn a_lost_answer_of_an_edit_is_checked_in_the_draft() {
    let there = json!({
        "tracks": [{ "name": "text_main", "segments": [{ "material_id": "t", "target_timerange": { "start": 0, "duration": 1_000_000 } }] }],
        "materials": {},
    });
    let answers = [
        Answer::success(&json!({})).delivery(Delivery::Reset),
        Answer::success(&json!({ "draft_id": DRAFT })).delivery(Delivery::CutAt(20)),
        Answer::new(200, "application/json", ""),
        Answer::new(200, "text/html", PAGE),
        Answer::new(200, "application/json", "[1]"),
        Answer::new(502, "text/html", PAGE),
    ];
    let count = answers.len();
    for answer in answers {
        let script = there.to_string();
        let server = reference(move |asked| match asked.path.as_str() {
            "/add_text" => Some(answer.clone()),
            "/query_script" => Some(Answer::success(&json!(script))),
            _ => None,
        });
        let home = home(&server);
        home.call("create_draft", &json!({})).unwrap();
        let reply = home.call("add_text", &text()).unwrap();
        assert!(reply["notes"].to_string().contains("lost"), "{reply}");
        assert_eq!(server.count("/add_text"), 1, "it was applied already");
    }
    assert_eq!(count, 6);
}

#[test]
fn an_edit_that_was_not_applied_is_sent_again() {
    let dropped = AtomicUsize::new(0);
    let server = reference(move |asked| {
        let first = asked.path == "/add_text" && dropped.fetch_add(1, Ordering::SeqCst) == 0;
        first.then(|| Answer::success(&json!({})).delivery(Delivery::Reset))
    });
    let home = home(&server);
    home.call("create_draft", &json!({})).unwrap();
    home.call("add_text", &text()).unwrap();
    assert_eq!(
        (server.count("/add_text"), server.count("/query_script")),
        (2, 2)
    );
}

#[test]
fn a_save_that_failed_is_an_error_although_the_server_says_success() {
    let polls = Arc::new(Mutex::new(0));
    let server = reference(move |asked| {
        (asked.path == "/query_draft_status").then(|| {
            let mut polls = polls.lock().unwrap();
            *polls += 1;
            let (status, message) = if *polls < 3 {
                ("processing", "Downloaded 1/2 files")
            } else {
                ("failed", "Failed to save draft: no space left")
            };
            Answer::success(
                &json!({ "status": status, "message": message, "progress": 70, "draft_url": "" }),
            )
        })
    });
    let home = home(&server);
    home.call("create_draft", &json!({})).unwrap();
    let (code, text) = home
        .call("save_draft", &json!({ "draft_id": DRAFT }))
        .unwrap_err();
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("no space left"), "{text}");
    assert_eq!(server.count("/save_draft"), 1);
}

#[test]
fn without_a_server_the_engine_makes_drafts_and_the_reply_says_so() {
    let mut home = Home::new();
    home.api(NOWHERE);
    let reply = home.call("create_draft", &json!({})).unwrap();
    assert_eq!(reply["backend"], "embedded", "{reply}");
    assert!(
        reply["reason"]
            .as_str()
            .unwrap()
            .contains("no answer from http://127.0.0.1:"),
        "{reply}"
    );
    let (code, text) = home
        .call_with(&["--backend", "remote"], "create_draft", &json!({}))
        .unwrap_err();
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("--backend embedded"), "{text}");
}

#[test]
fn health_check_reports_the_server_and_its_caveats() {
    let fork = reference(|asked| {
        (asked.path == "/")
            .then(|| Answer::json(&json!({ "message": "CapCutAPI", "version": "1.1.0" })))
    });
    let health = home(&fork).call("health_check", &json!({})).unwrap();
    let server = &health["servers"][0];
    assert_eq!(
        (&server["server"], &server["edition"]),
        (&json!("CapCutAPI 1.1.0 (fork)"), &json!("capcut")),
        "{health}"
    );
    assert!(
        server["caveats"].to_string().contains("all interfaces"),
        "{health}"
    );
    let other = Server::start(|_| Answer::new(200, "text/html", "<html><title>Grafana</title>"));
    let health = home(&other).call("health_check", &json!({})).unwrap();
    assert_eq!(health["backend"], "embedded");
    assert!(
        health["servers"][0]["error"]
            .as_str()
            .unwrap()
            .contains("Grafana"),
        "{health}"
    );
}

#[test]
fn a_server_that_never_answers_times_out() {
    let server = reference(|asked| {
        (asked.path == "/add_text").then(|| Answer::success(&json!({})).delivery(Delivery::Silence))
    });
    let mut home = home(&server);
    let config = home.file("tools.toml", "[tools]\nadd_text = { timeout_s = 0.5 }\n");
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
    home.call("create_draft", &json!({})).unwrap();
    let started = std::time::Instant::now();
    let (code, text) = home.call("add_text", &text()).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("did not answer in time") && text.contains("may still be processing it"),
        "{text}"
    );
    assert_eq!(server.count("/add_text"), 1);
}

#[test]
fn an_unknown_key_in_the_config_file_is_refused_with_its_position() {
    let mut home = Home::new();
    let config = home.file("mine.toml", "[lanes]\naudo = { slots = 1 }\n");
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
    let (code, text) = home.call("list_drafts", &json!({})).unwrap_err();
    assert_ne!(code, 0);
    assert!(
        text.contains("mine.toml:2:1: \"audo\" is not a lane")
            && text.contains("did you mean `audio`?"),
        "{text}"
    );
}

/// Writes a draft as the reference server does: its template's markers, media missing from the lists, wrong
/// paths.
fn write_as_the_server(folder: &Path) {
    let assets = folder.join("assets/video");
    std::fs::create_dir_all(&assets).unwrap();
    std::fs::copy(media("clip.mp4"), assets.join("video_1.mp4")).unwrap();
    let platform = json!({ "app_id": 359_289, "app_source": "cc", "app_version": "6.5.0", "os": "mac",
        "device_id": "c4ca4238a0b923820dcc509a6f75849b", "hard_disk_id": "307563e0192a94465c0e927fbc482942", "mac_address": "c3371f2d4fb02791c067ce44d8fb4ed5" });
    let document = json!({
        "id": "91E08AC5-22FB-47E2-9AA0-7DC300FAEA2B", "version": 360_000, "new_version": "110.0.0", "fps": 30.0,
        "duration": 1_000_000, "canvas_config": { "width": 1080, "height": 1920, "ratio": "original" },
        "platform": platform, "last_modified_platform": platform,
        "materials": { "videos": [{ "id": "m", "type": "video", "path": "", "material_name": "video_1.mp4",
            "remote_url": "", "duration": 2_000_000, "width": 64, "height": 64, "has_audio": true }] },
        "tracks": [{ "id": "t", "type": "video", "name": "video_main", "segments": [{ "id": "s", "material_id": "m",
            "speed": 1.0, "extra_material_refs": ["gone"],
            "source_timerange": { "start": 0, "duration": 1_000_000 },
            "target_timerange": { "start": 0, "duration": 1_000_000 } }] }],
    });
    std::fs::write(folder.join("draft_info.json"), document.to_string()).unwrap();
}

/// A server that saves drafts in `drafts`, and a home that is configured with that folder.
fn saving(drafts: &Path, settings: &str) -> (Server, Home) {
    saving_draft(drafts, settings, &json!({}))
}

/// The same, for a draft created with these arguments.
fn saving_draft(drafts: &Path, settings: &str, draft: &Value) -> (Server, Home) {
    let folder = drafts.join(DRAFT);
    let written = folder.clone();
    let server = reference(move |asked| match asked.path.as_str() {
        "/save_draft" => {
            write_as_the_server(&written);
            None
        }
        "/query_script" => {
            let script = std::fs::read_to_string(written.join("draft_info.json")).unwrap();
            Some(Answer::success(&json!(script)))
        }
        _ => None,
    });
    let mut home = home(&server);
    let config = format!("[api]\ndrafts_folder = '{}'\n{settings}", drafts.display());
    let config = home.file("tools.toml", config);
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
    home.call("create_draft", draft).unwrap();
    (server, home)
}

fn notes(reply: &Value) -> String {
    let notes = reply["notes"].as_array().expect("notes");
    let notes: Vec<_> = notes.iter().filter_map(Value::as_str).collect();
    notes.join("\n")
}

#[test]
fn a_reachable_server_save_is_checked_and_fixed() {
    let drafts = tempfile::tempdir().unwrap();
    let (_server, home) = saving(drafts.path(), "");
    let reply = home
        .call("save_draft", &json!({ "draft_id": DRAFT }))
        .unwrap();
    let told = notes(&reply);
    assert!(
        told.contains("fixed: ") && told.contains("the server's original files"),
        "{told}"
    );
    let folder = drafts.path().join(DRAFT);
    assert_eq!(reply["folder"], json!(folder.display().to_string()));
    let document = std::fs::read_to_string(folder.join("draft_content.json")).unwrap();
    assert!(
        !document.contains("c4ca4238a0b9") && !document.contains("gone"),
        "{document}"
    );
    assert!(document.contains("assets/video/video_1.mp4"), "{document}");
    assert!(folder.join("draft_meta_info.json").is_file());
    let code = home.run(&["lint", &folder.display().to_string()]).code;
    assert_eq!(code, 0, "nothing is left to fix");
}

#[test]
fn a_server_save_is_only_reported_if_fixing_is_off_or_it_is_elsewhere() {
    let drafts = tempfile::tempdir().unwrap();
    let (_server, home) = saving(drafts.path(), "mend_saves = false\n");
    let untouched = |reply: &Value| {
        let told = notes(reply);
        assert!(
            told.contains("problems:") && !told.contains("fixed: "),
            "{told}"
        );
        let folder = drafts.path().join(DRAFT);
        assert!(!folder.join("draft_content.json").exists());
        told
    };
    let save = json!({ "draft_id": DRAFT });
    untouched(&home.call("save_draft", &save).unwrap());

    let (_server, home) = saving(drafts.path(), "");
    let elsewhere = home.path().join("the app's drafts");
    let save = json!({ "draft_id": DRAFT, "draft_folder": elsewhere });
    let told = untouched(&home.call("save_draft", &save).unwrap());
    assert!(
        told.contains("move the folder") && told.contains("after you move the folder"),
        "{told}"
    );
}

#[test]
fn a_link_that_does_not_work_is_not_passed_on() {
    let site = "https://www.install-ai-guider.top/draft/downloader";
    let server = reference(move |asked| {
        let link = json!({ "draft_url": format!("{site}?={DRAFT}") });
        (asked.path == "/generate_draft_url").then(|| Answer::success(&link))
    });
    let home = home(&server);
    home.call("create_draft", &json!({})).unwrap();
    let reply = home
        .call("generate_draft_url", &json!({ "draft_id": DRAFT }))
        .unwrap();
    let note = reply["notes"][0].as_str().unwrap();
    assert!(note.contains("nothing was uploaded"), "{reply}");
    // The site belongs to a third party, which never received the draft.
    assert!(!reply.to_string().contains(site), "{reply}");
}

#[test]
fn a_draft_continues_after_its_server_restarted_or_disappeared() {
    let text = |draft: &Value, start: u32| json!({ "draft_id": draft, "text": "hello", "start": start, "end": start + 1 });
    for restarted in [true, false] {
        let server = Home::new();
        let engine = server.engine(&[]);
        let port = engine.port();
        let mut home = Home::new();
        let config = home.file("tools.toml", "[retry]\nunsent = { first_wait_s = 0.05 }\n");
        home.api(&engine.url)
            .set("CAPCUT_MCP_CONFIG", &config.display().to_string());
        let made = home.call("create_draft", &json!({})).unwrap();
        let draft = &made["draft_id"];
        assert_eq!(made["backend"], "remote", "{made}");
        for start in 0..3 {
            home.call("add_text", &text(draft, start)).unwrap();
        }
        drop(engine);
        // Another data folder has no record of the draft.
        let other = Home::new();
        let _engine = restarted.then(|| other.engine_at(port, &[]));
        let (_, error) = home.call("add_text", &text(draft, 3)).unwrap_err();
        assert!(
            error.contains("`recover_draft`") && error.contains("lost"),
            "{error}"
        );
        let forgotten = error.contains("restarted or lost the draft");
        assert_eq!(forgotten, restarted, "{error}");
        let auto = ["--recover", "auto"];
        let reply = home.call_with(&auto, "add_text", &text(draft, 4)).unwrap();
        let note = reply["notes"][0].as_str().unwrap();
        let backend = if restarted { "(remote)" } else { "(embedded)" };
        for part in [draft.as_str().unwrap(), backend, "4 acknowledged calls"] {
            assert!(note.contains(part), "{part}: {note}");
        }
        // Another process uses the old id.
        let query = json!({ "draft_id": draft });
        let reply = home.call_with(&auto, "query_script", &query).unwrap();
        assert!(
            reply["notes"].to_string().contains("continues as"),
            "{reply}"
        );
        let script: Value = serde_json::from_str(reply["script"].as_str().unwrap()).unwrap();
        let tracks = script["tracks"].as_array().unwrap().iter();
        let texts = tracks.map(|track| track["segments"].as_array().unwrap().len());
        assert_eq!(texts.sum::<usize>(), 4);
        let (_, error) = home.call("query_script", &query).unwrap_err();
        assert!(
            error.contains("continues as"),
            "not followed without `--recover auto`: {error}"
        );
    }
}

/// A port with a CapCut API is preferred to one that does not answer or answers something else.
#[test]
fn ports_are_tried_in_order() {
    let api = reference(|_| None);
    let other = Server::start(|_| Answer::new(200, "text/html", "<html><title>Grafana</title>"));
    for (first, found) in [(NOWHERE, "refused"), (&other.url, "Grafana")] {
        let mut home = Home::new();
        let addresses = json!([first, api.url]);
        let config = home.file("tools.toml", format!("[api]\nbase_urls = {addresses}\n"));
        home.set("CAPCUT_MCP_CONFIG", &config.display().to_string())
            .set("CAPCUT_API_URL", "");
        let reply = home.call("create_draft", &json!({})).unwrap();
        assert_eq!(reply["backend"], "remote", "{reply}");
        assert!(reply["reason"].to_string().contains(&api.url), "{reply}");
        let health = home.call("health_check", &json!({})).unwrap();
        let servers = &health["servers"];
        assert!(servers[0]["error"].to_string().contains(found), "{health}");
        assert_eq!(servers[1]["server"], "CapCutAPI", "{health}");
        assert!(servers[1]["latency_ms"].as_f64().unwrap() > 0.0);
        assert!(
            servers[1]["caveats"]
                .to_string()
                .contains("without authentication")
        );
    }
}

/// The fork saves after its answer, without an envelope, under its own task id.
#[test]
fn a_save_that_continues_after_its_answer_is_followed_to_its_end() {
    let zip = tempfile::NamedTempFile::new().unwrap();
    let path = zip.path().display().to_string();
    for (last, fails) in [
        (
            json!({ "success": true, "status": "completed", "message": path, "progress": 100 }),
            false,
        ),
        (
            json!({ "success": true, "status": "failed", "message": "no template", "progress": 5 }),
            true,
        ),
    ] {
        let asked_after = AtomicUsize::new(0);
        let server = reference(move |asked| match asked.path.as_str() {
            "/" => Some(Answer::json(
                &json!({ "message": "CapCutAPI", "version": "1.1.0" }),
            )),
            "/save_draft" => Some(Answer::json(
                &json!({ "success": true, "task_id": "task-7", "message": "started successfully" }),
            )),
            "/query_draft_status" => {
                assert_eq!(asked.json()["task_id"], "task-7");
                let early = asked_after.fetch_add(1, Ordering::SeqCst) < 2;
                Some(Answer::json(&if early {
                    json!({ "success": true, "status": "processing", "message": "Downloading", "progress": 30 })
                } else {
                    last.clone()
                }))
            }
            _ => None,
        });
        let mut home = home(&server);
        let config = home.file("tools.toml", "[limits]\nstatus_every_s = 0.02\n");
        home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
        home.call("create_draft", &json!({})).unwrap();
        let saved = home.call("save_draft", &json!({ "draft_id": DRAFT }));
        assert_eq!(server.count("/query_draft_status"), 3);
        match saved {
            Ok(reply) => {
                assert!(!fails, "{reply}");
                assert!(reply["notes"].to_string().contains(&path), "{reply}");
            }
            Err((_, text)) => assert!(fails && text.contains("no template"), "{text}"),
        }
    }
}

/// The newer version saves into the folder that is named, so its files are checked there.
#[test]
fn a_save_into_the_named_folder_is_checked_there() {
    let media = media_server();
    let script = json!({
        "materials": { "videos": [{
            "id": "m", "material_name": "video_a.mp4", "remote_url": "http://127.0.0.1:9/a.mp4", "type": "video", "duration": 5,
        }], "audios": [{
            "id": "a", "name": "audio_b.mp3", "remote_url": format!("{}/range/music.mp3", media.url), "duration": 20_000_000,
        }] },
        "tracks": [
            { "name": "video_main", "segments": [{ "material_id": "m", "target_timerange": { "start": 0, "duration": 5 } }] },
            { "name": "audio_main", "segments": [{
                "material_id": "a",
                "source_timerange": { "start": 8_000_000, "duration": 10_000_000 },
                "target_timerange": { "start": 0, "duration": 10_000_000 },
            }] },
        ],
    });
    let server = reference(move |asked| match asked.path.as_str() {
        "/preview/media" if asked.method == "OPTIONS" => Some(Answer::new(200, "text/plain", "")),
        "/query_script" => Some(Answer::success(&json!(script.to_string()))),
        _ => None,
    });
    let home = home(&server);
    let health = home.call("health_check", &json!({})).unwrap();
    let found = &health["servers"][0];
    assert!(
        found["server"].to_string().contains("VectCutAPI"),
        "{health}"
    );
    assert!(found["caveats"].to_string().contains("preview"), "{health}");
    home.call("create_draft", &json!({})).unwrap();
    let folder = home.path().join("drafts");
    let files = folder.join(DRAFT).join("assets");
    for kind in ["video", "audio"] {
        std::fs::create_dir_all(files.join(kind)).unwrap();
    }
    let put = |from: &str, to: &str| {
        std::fs::copy(crate::support::media(from), files.join(to)).unwrap();
    };
    let save = json!({ "draft_id": DRAFT, "draft_folder": folder });
    let (code, text) = home.call("save_draft", &save).unwrap_err();
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("video_a.mp4") && text.contains("missing"),
        "{text}"
    );
    put("clip.mp4", "video/video_a.mp4");
    // A valid file of its format, but not the file at the source.
    put("voice.mp3", "audio/audio_b.mp3");
    let (_, text) = home.call("save_draft", &save).unwrap_err();
    assert!(
        text.contains("audio_b.mp3")
            && text.contains("lasts 3.05")
            && text.contains("has 9396 of 48501 bytes"),
        "{text}"
    );
    // The file at the source, but shorter than the server measured.
    put("music.mp3", "audio/audio_b.mp3");
    let reply = home.call("save_draft", &save).unwrap();
    let told = notes(&reply);
    assert!(
        told.contains("lasts 12.06") && told.contains("to 18 s"),
        "{told}"
    );
    assert_eq!(reply["files"], 2, "{reply}");
    assert_eq!(reply["folder"], json!(folder.join(DRAFT)), "{reply}");
}

#[test]
fn a_server_that_is_not_a_capcut_api_is_described_in_the_error() {
    let others = [
        (
            Answer::new(200, "text/html", "<html><title>Grafana</title>"),
            "Grafana",
        ),
        (Answer::json(&json!({ "service": "vault" })), "vault"),
        (Answer::new(401, "text/plain", "who are you"), "401"),
        (Answer::success(&json!([])), "200"),
        (
            Answer::success(&json!({})).delivery(Delivery::Silence),
            "did not answer in time",
        ),
    ];
    for (answer, words) in others {
        let server = Server::start(move |_| answer.clone());
        let mut home = home(&server);
        let config = home.file("tools.toml", "[api]\nprobe_timeout_s = 0.3\n");
        home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
        let (_, text) = home
            .call_with(&["--backend", "remote"], "create_draft", &json!({}))
            .unwrap_err();
        assert!(text.contains(words), "{words}: {text}");
        assert_eq!(server.count("/create_draft"), 0);
        let told = home.run(&["doctor"]).success().stdout;
        assert!(
            told.contains(words) && told.contains("the engine"),
            "{told}"
        );
    }
}

/// A server that requires a key; it repeats the key that it was sent, as some do.
#[test]
fn the_key_for_a_server_is_sent_and_never_shown() {
    const KEY: &str = "s3cret-0123456789";
    let server = reference(|asked| {
        let sent = asked
            .headers
            .get("x-api-key")
            .map_or("nothing", String::as_str);
        (sent != KEY).then(|| {
            Answer::new(
                401,
                "application/json",
                format!("{{\"detail\":\"bad key: {sent}\"}}"),
            )
        })
    });
    let mut home = home(&server);
    // Without a key, the message says that one is required, and how to set it.
    let doctor = home.run(&["doctor", "--json"]);
    assert!(
        doctor.stdout.contains("requires a key") && doctor.stdout.contains("CAPCUT_API_KEY"),
        "{doctor:?}"
    );
    let (code, told) = home
        .call_with(&["--backend", "remote"], "create_draft", &json!({}))
        .unwrap_err();
    assert!(told.contains("401") && told.contains("headers"), "{told}");
    assert_eq!(code, 2, "{told}");
    let config = home.file(
        "tools.toml",
        "[api.headers]\n\"X-API-Key\" = \"${MY_KEY}\"\n",
    );
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
    let (_, told) = home
        .call_with(&["--backend", "remote"], "create_draft", &json!({}))
        .unwrap_err();
    assert!(
        told.contains("`MY_KEY` is not set") && told.contains("X-API-Key"),
        "{told}"
    );
    // Neither a wrong key nor the right one is shown anywhere.
    for (key, right) in [("wr0ng-9876543210", false), (KEY, true)] {
        home.set("MY_KEY", key);
        let line = [
            "--backend",
            "remote",
            "--log",
            "trace",
            "call",
            "create_draft",
        ];
        let ran = home.run(&line);
        assert_eq!(ran.code == 0, right, "{ran:?}");
        let doctor = home.run(&["--log", "trace", "doctor"]);
        let health = home.run(&["--log", "trace", "call", "health_check"]);
        for shown in [&ran, &doctor, &health] {
            assert!(
                !shown.stdout.contains(key) && !shown.stderr.contains(key),
                "{shown:?}"
            );
        }
        assert_eq!(
            doctor.stdout.contains("requires a key"),
            !right,
            "{doctor:?}"
        );
    }
    let config = home.file("tools.toml", "[api.headers]\nHost = \"elsewhere\"\n");
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
    let (_, told) = home.call("list_drafts", &json!({})).unwrap_err();
    assert!(
        told.contains("tools.toml:2:") && told.contains("api.headers.Host"),
        "{told}"
    );
}

#[test]
fn the_folder_has_the_name_of_the_draft_or_the_reply_says_why_not() {
    let drafts = tempfile::tempdir().unwrap();
    let named = json!({ "name": "Summer trip" });
    let (server, mut home) = saving_draft(drafts.path(), "", &named);
    for _ in 0..2 {
        let reply = home.call("save_draft", &json!({ "draft_id": DRAFT }));
        let folder = drafts.path().join("Summer trip");
        assert_eq!(reply.unwrap()["folder"], json!(folder));
        assert!(folder.join("draft_content.json").is_file());
        assert!(!drafts.path().join(DRAFT).exists());
    }
    let asked = server.asked();
    let sent = asked.iter().find(|asked| asked.path == "/save_draft");
    assert_eq!(sent.unwrap().json(), json!({ "draft_id": DRAFT }));
    // If the folder cannot be reached, the draft keeps the name that the server gives it.
    home.set("CAPCUT_MCP_CONFIG", "");
    let reply = home
        .call("save_draft", &json!({ "draft_id": DRAFT }))
        .unwrap();
    let told = notes(&reply);
    assert!(
        told.contains("not \"Summer trip\"") && told.contains("api.drafts_folder"),
        "{told}"
    );
}

/// Options that no server supports are applied to the files that it saved.
#[test]
fn unsupported_save_options_are_applied_after_the_save() {
    let drafts = tempfile::tempdir().unwrap();
    let (server, home) = saving(drafts.path(), "");
    let save = |mut options: Value| {
        options["draft_id"] = json!(DRAFT);
        home.call("save_draft", &options)
    };
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(drafts.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    };
    let document = |folder: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join("draft_content.json")).unwrap()).unwrap()
    };
    let reply = save(json!({ "name": "Summer trip", "zip": true })).unwrap();
    let folder = drafts.path().join("Summer trip");
    assert_eq!(reply["folder"], json!(folder), "{reply}");
    assert_eq!(names(), ["Summer trip", "Summer trip.zip"], "{reply}");
    assert_eq!(reply["zip"], json!(drafts.path().join("Summer trip.zip")));
    let clip = document(&folder)["materials"]["videos"][0]["path"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        Path::new(&clip).is_file() && Path::new(&clip).starts_with(&folder),
        "{clip}"
    );
    let meta = std::fs::read(folder.join("draft_meta_info.json")).unwrap();
    let meta: Value = serde_json::from_slice(&meta).unwrap();
    assert_eq!(meta["draft_name"], "Summer trip");
    let sent = server.asked();
    let sent = sent
        .iter()
        .find(|asked| asked.path == "/save_draft")
        .unwrap();
    assert_eq!(
        sent.json(),
        json!({ "draft_id": DRAFT }),
        "the server receives only what it supports"
    );
    // The same draft again under its name, then for another machine and another version of the app.
    save(json!({ "name": "Summer trip" })).unwrap();
    save(json!({ "name": "Away", "target_os": "windows", "target_folder": r"D:\Drafts", "app_version": "9.1.0" })).unwrap();
    let away = document(&drafts.path().join("Away"));
    assert_eq!(
        away["materials"]["videos"][0]["path"],
        "D:/Drafts/Away/assets/video/video_1.mp4"
    );
    assert_eq!(away["platform"]["app_version"], "9.1.0");
    save(json!({ "name": "Anywhere", "portable": true })).unwrap();
    let anywhere = drafts.path().join("Anywhere");
    let text = document(&anywhere).to_string();
    assert!(
        !text.contains(&*drafts.path().to_string_lossy()),
        "a path of this machine: {text}"
    );
    save(json!({ "name": "Old", "draft_profile": "jianying_legacy" })).unwrap();
    assert_eq!(
        document(&drafts.path().join("Old"))["platform"]["app_source"],
        "lv"
    );
    // Another draft of that name is not changed, unless it may be overwritten: then it is kept as a backup.
    std::fs::create_dir(drafts.path().join("Taken")).unwrap();
    std::fs::write(
        drafts.path().join("Taken/draft_content.json"),
        "{\"mine\": 1}",
    )
    .unwrap();
    let saves = server.count("/save_draft");
    let (code, told) = save(json!({ "name": "Taken" })).unwrap_err();
    assert!(
        code == 2 && told.contains("another draft") && told.contains("overwrite"),
        "{told}"
    );
    assert_eq!(
        server.count("/save_draft"),
        saves,
        "refused before the save"
    );
    let reply = save(json!({ "name": "Taken", "overwrite": true })).unwrap();
    assert!(reply["notes"].to_string().contains("kept in"), "{reply}");
    assert!(!drafts.path().join(DRAFT).exists());
}

/// Properties that a server's API does not have are added to the files that it saved, or refused.
#[test]
fn properties_that_the_api_lacks_are_added_after_the_save_or_refused() {
    let drafts = tempfile::tempdir().unwrap();
    let (server, home) = saving(drafts.path(), "");
    let clip = json!({ "draft_id": DRAFT, "video_url": media("clip.mp4"), "start": 0, "end": 1,
        "track_name": "video_main", "rotation": "30deg", "opacity": "50%" });
    home.call("add_video", &clip).unwrap();
    let sent = server.asked();
    let sent = sent.iter().find(|asked| asked.path == "/add_video");
    let sent = sent.unwrap().json();
    for name in ["rotation", "opacity", "properties"] {
        assert!(sent.get(name).is_none(), "the API has no {name}: {sent}");
    }
    // Also in the API's dialect, and by another process.
    let reply = home
        .call("save_draft", &json!({ "draft_id": DRAFT }))
        .unwrap();
    let told = notes(&reply);
    assert!(
        told.contains("added after the save") && told.contains("`opacity`, `rotation` of 1 clip"),
        "{told}"
    );
    let folder = reply["folder"].as_str().expect("a folder");
    let document = std::fs::read(Path::new(folder).join("draft_content.json")).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let own = &document["tracks"][0]["segments"][0]["clip"];
    assert_eq!(
        (&own["rotation"], &own["alpha"]),
        (&json!(30.0), &json!(0.5))
    );
    let code = home.run(&["lint", folder]).code;
    assert_eq!(code, 0, "the draft has no problems");

    // The server's clip is shorter than requested: fades are shortened, and what does not fit is the engine's error.
    let (_server, other) = saving(drafts.path(), "");
    let faded = json!({ "draft_id": DRAFT, "video_url": media("clip.mp4"), "start": 0, "end": 2,
        "track_name": "video_main", "fade_in": 1.5, "rotation": 10 });
    other.call("add_video", &faded).unwrap();
    let reply = other
        .call("save_draft", &json!({ "draft_id": DRAFT }))
        .unwrap();
    let told = notes(&reply);
    assert!(
        told.contains("`fade_in`, `rotation` of 1 clip")
            && told.contains("c1 (video \"video_1.mp4\"")
            && told.contains("were shortened to 1 s and 0 s"),
        "{told}"
    );
    let (_server, other) = saving(drafts.path(), "");
    let loud = json!({ "draft_id": DRAFT, "video_url": media("clip.mp4"), "start": 0, "end": 2,
        "track_name": "video_main", "volume": [{ "at": 0, "value": 1 }, { "at": 1.5, "value": 0 }] });
    other.call("add_video", &loud).unwrap();
    let (code, told) = other
        .call("save_draft", &json!({ "draft_id": DRAFT }))
        .unwrap_err();
    assert!(
        code == 2
            && told.contains("saved draft")
            && told.contains("without all of `volume_curve`")
            && told.contains("1.5 s is not within c1"),
        "{code} {told}"
    );

    // What cannot be found in the saved draft is refused before the server is asked.
    let srt = "1\n00:00:01,000 --> 00:00:02,000\nOne\n";
    let file = home.file("one.srt", srt);
    let captions = json!({ "draft_id": DRAFT, "srt": file, "letter_spacing": 2 });
    let asked = server.count("/add_subtitle");
    let (code, told) = home.call("add_subtitle", &captions).unwrap_err();
    assert!(
        code == 2
            && told.contains("letter_spacing")
            && told.contains("give the captions themselves as `srt`")
            && told.contains("--backend embedded"),
        "{told}"
    );
    assert_eq!(server.count("/add_subtitle"), asked);
    // So are properties of a server whose folder is out of reach, in calls and in plans.
    let server = reference(|_| None);
    let home = self::home(&server);
    home.call("create_draft", &json!({})).unwrap();
    let (code, told) = home.call("add_video", &clip).unwrap_err();
    assert!(
        code == 2
            && told.contains("`opacity`")
            && told.contains("`rotation`")
            && told.contains("api.drafts_folder")
            && told.contains("--backend embedded"),
        "{told}"
    );
    let plan = json!({ "visuals": [{ "video_url": media("clip.mp4"), "end": 1, "rotation": 30 }] });
    let (code, _, told) = compose(&home, &plan, &[]);
    assert!(code == 2 && told.contains("`rotation`"), "{code} {told}");
    assert_eq!(server.count("/add_video"), 0);
}

/// Frame rate, markers, cover, groups and fades of sounds are added to the files that a server saved, or refused.
#[test]
fn settings_of_a_draft_that_the_api_lacks_are_added_after_the_save_or_refused() {
    let settings = json!({
        "fps": "25 fps", "magnet": false, "cover": media("picture.jpg"),
        "markers": [{ "at": 0.5, "title": "Half" }],
    });
    let drafts = tempfile::tempdir().unwrap();
    let (server, home) = saving_draft(drafts.path(), "", &settings);
    let sent = server.asked();
    let sent = sent.iter().find(|asked| asked.path == "/create_draft");
    let sent = sent.unwrap().json();
    for name in ["fps", "magnet", "cover", "markers"] {
        assert!(sent.get(name).is_none(), "the API has no {name}: {sent}");
    }
    let clip = json!({ "draft_id": DRAFT, "video_url": media("clip.mp4"), "start": 0, "end": 1,
        "track_name": "video_main", "group": "intro" });
    home.call("add_video", &clip).unwrap();
    // The journal has the settings for another process.
    let reply = home
        .call("save_draft", &json!({ "draft_id": DRAFT }))
        .unwrap();
    let told = notes(&reply);
    assert!(
        told.contains("`fps`, `magnet`, `cover`, `markers` of the draft; `group` of 1 clip"),
        "{told}"
    );
    let folder = Path::new(reply["folder"].as_str().expect("a folder")).to_owned();
    let document = std::fs::read(folder.join("draft_content.json")).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(
        (
            &document["fps"],
            &document["config"]["maintrack_adsorb"],
            &document["time_marks"]["mark_items"][0]["title"],
        ),
        (&json!(25.0), &json!(false), &json!("Half"))
    );
    let group = &document["tracks"][0]["segments"][0]["group_id"];
    assert!(group.as_str().is_some_and(|id| !id.is_empty()), "{group}");
    let cover = std::fs::read(folder.join("draft_cover.jpg")).unwrap();
    assert!(cover.starts_with(&[0xff, 0xd8]));
    let code = home.run(&["lint", &folder.display().to_string()]).code;
    assert_eq!(code, 0, "the draft has no problems");

    // A server whose folder is out of reach.
    let server = reference(|_| None);
    let home = self::home(&server);
    let (code, told) = home.call("create_draft", &settings).unwrap_err();
    assert!(
        code == 2
            && told.contains("has no `fps`, `magnet`, `cover`, `markers`")
            && told.contains("api.drafts_folder")
            && told.contains("--backend embedded"),
        "{told}"
    );
    let plan = json!({ "fps": 50, "texts": [{ "text": "Hi", "end": 1 }] });
    let (code, _, told) = compose(&home, &plan, &[]);
    assert!(code == 2 && told.contains("has no `fps`"), "{code} {told}");
    assert_eq!(server.count("/create_draft"), 0);
}

#[test]
fn unsupported_save_options_are_refused_if_the_folder_is_out_of_reach() {
    let server = reference(|_| None);
    let home = home(&server);
    home.call("create_draft", &json!({})).unwrap();
    for (option, value) in [
        ("name", json!("Trip")),
        ("zip", json!(true)),
        ("portable", json!(true)),
        ("target_os", json!("macos")),
        ("target_folder", json!("/Users/me/Movies")),
        ("app_version", json!("9.1.0")),
        ("draft_profile", json!("capcut-mac")),
        ("overwrite", json!(true)),
        ("refuse_while_running", json!(true)),
    ] {
        let mut arguments = json!({ "draft_id": DRAFT });
        arguments[option] = value;
        let (code, told) = home.call("save_draft", &arguments).unwrap_err();
        assert_eq!(code, 2, "{told}");
        assert!(
            told.contains(&format!("`{option}`")) && told.contains("api.drafts_folder"),
            "{told}"
        );
    }
    assert_eq!(server.count("/save_draft"), 0);
    // A folder that a server started in another directory would resolve differently.
    let arguments = json!({ "draft_id": DRAFT, "draft_folder": "drafts" });
    home.call("save_draft", &arguments).unwrap();
    let asked = server.asked();
    let sent = asked
        .iter()
        .find(|asked| asked.path == "/save_draft")
        .unwrap()
        .json();
    let whole = home.path().canonicalize().unwrap().join("drafts");
    let folder = Path::new(sent["draft_folder"].as_str().unwrap());
    assert!(folder.is_absolute(), "{sent}");
    assert_eq!(
        folder
            .parent()
            .unwrap()
            .canonicalize()
            .unwrap()
            .join("drafts"),
        whole,
        "{sent}"
    );
}

/// What can happen to a journal while a process uses it.
const RUINS: [&str; 5] = ["held", "deleted", "cut", "garbage", "no folder"];

fn ruin(home: &Home, how: &str) -> Option<rusqlite::Connection> {
    let file = |name: &str| home.data().join(name);
    match how {
        "held" => {
            let holder = rusqlite::Connection::open(file("journal.db")).unwrap();
            holder.execute_batch("BEGIN IMMEDIATE").unwrap();
            return Some(holder);
        }
        "deleted" => {
            for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
                let _ = std::fs::remove_file(file(name));
            }
        }
        "cut" => {
            for name in ["journal.db", "journal.db-wal"] {
                std::fs::write(file(name), "").unwrap();
            }
        }
        "garbage" => {
            for name in ["journal.db", "journal.db-wal"] {
                std::fs::write(file(name), [7; 9000]).unwrap();
            }
        }
        _ => {
            std::fs::remove_dir_all(home.data()).unwrap();
            std::fs::write(home.data(), "no folder").unwrap();
        }
    }
    None
}

#[test]
fn an_applied_edit_that_the_journal_lacks_is_reported() {
    for how in RUINS {
        let server = reference(|_| None);
        let home = Home::remote(&server.url);
        let mut client = home.connected();
        let front = home.engine(&[]);
        client.call("create_draft", json!({})).unwrap();
        let first = json!({ "draft_id": DRAFT, "text": "first", "start": 8, "end": 9 });
        front.output("/add_text", &first).unwrap();
        client.call("add_text", first).unwrap();
        let before = server.count("/add_text");
        let _holder = ruin(&home, how);
        let said = [
            client.call("add_text", text()).unwrap_err(),
            front.output("/add_text", &text()).unwrap_err(),
        ];
        let sent = server.count("/add_text") - before;
        for said in &said {
            let is_there =
                said.contains("was applied to draft") && said.contains("do not send it again");
            assert!(is_there, "{how}: {said}");
            assert!(!said.contains("nothing"), "{how}: {said}");
        }
        assert_eq!(sent, 2, "{how}: {said:?}");
    }
}

/// The journal cannot grow: its disk is full, or the process is not allowed to write files of that size.
#[cfg(unix)]
#[test]
fn an_edit_too_large_for_the_journal_is_reported_as_applied() {
    let server = reference(|_| None);
    let home = Home::remote(&server.url);
    home.call("create_draft", &json!({})).unwrap();
    // More than the limit in blocks of 512 bytes or of 1024, and not too long for one argument.
    let long = json!({ "draft_id": DRAFT, "text": "x".repeat(120_000), "start": 0, "end": 1 });
    let command = home.command(&["call", "add_text", "--json", &long.to_string()]);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -f 100; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(home.path())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .stdin(std::process::Stdio::null());
    let ran = limited.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(server.count("/add_text"), 1, "{said}");
    assert!(
        said.contains("was applied to draft") && said.contains("do not send it again"),
        "{said}"
    );
}

#[test]
fn a_plan_saved_at_an_unknown_folder_says_so() {
    let api = Racy::start(Manners {
        latency: Duration::ZERO,
        steady: false,
    });
    let home = Home::remote(&api.server.url);
    let plan = json!({ "texts": [{ "text": "Hello", "start": 0, "end": 1 }] });
    let plan = home.file("plan.json", plan.to_string());
    let ran = home
        .run(&["compose", &plan.display().to_string()])
        .success();
    let known = "saved by the server, which does not report the folder; set `api.drafts_folder`";
    assert!(ran.stdout.contains(known), "{ran:?}");
    assert!(!ran.stdout.to_lowercase().contains("not saved"), "{ran:?}");
    assert_eq!(api.server.count("/save_draft"), 1);
}

#[test]
fn keyframe_positions_in_pixels_are_refused_before_the_server_is_asked() {
    let server = reference(|_| None);
    let home = home(&server);
    let made = home.call("create_draft", &json!({})).expect("a draft");
    let frame = |value: &str| {
        json!({
            "draft_id": made["draft_id"], "track_name": "main", "property_type": "position_x",
            "time": 1, "value": value,
        })
    };
    let (code, said) = home
        .call("add_video_keyframe", &frame("540px"))
        .expect_err("pixels");
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("pixels") && said.contains("half canvases"),
        "{said}"
    );
    assert_eq!(server.count("/add_video_keyframe"), 0, "{said}");
}
