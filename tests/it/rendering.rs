//! Frames and preview videos, over MCP and from a shell, with a real FFmpeg.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::support::{Client, Home, media, media_server};

pub(crate) fn has_ffmpeg() -> bool {
    let there = Command::new("ffmpeg").arg("-version").output().is_ok();
    if !there {
        eprintln!("skipped: FFmpeg is not installed");
    }
    there
}

/// A draft with a clip, a picture above it, and sound.
fn fill(client: &mut Client) -> Value {
    let draft = client
        .call(
            "create_draft",
            json!({ "name": "Trip", "width": 640, "height": 360 }),
        )
        .unwrap();
    let draft = draft["draft_id"].clone();
    let path = |name: &str| media(name).display().to_string();
    let clip = json!({ "draft_id": draft, "video_url": path("clip.mp4"), "start": 0, "end": 2 });
    client.call("add_video", clip).unwrap();
    let logo = json!({
        "draft_id": draft, "image_url": path("logo.png"), "start": 0, "end": 2, "track_name": "logo", "scale_x": 0.3, "scale_y": 0.3
    });
    client.call("add_image", logo).unwrap();
    let music = json!({ "draft_id": draft, "audio_url": path("music.mp3"), "start": 0, "end": 2, "volume": 0.5 });
    client.call("add_audio", music).unwrap();
    draft
}

/// The image of an answer, decoded.
pub(crate) fn image(answer: &Value) -> (String, Vec<u8>) {
    let content = answer["result"]["content"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    let block = content
        .iter()
        .find(|block| block["type"] == "image")
        .unwrap_or_else(|| panic!("{answer}"));
    let data = block["data"].as_str().unwrap();
    assert!(data.len() <= 90_000, "{} characters", data.len());
    (
        block["mimeType"].as_str().unwrap().to_owned(),
        BASE64_STANDARD.decode(data).unwrap(),
    )
}

fn frames(video: &Path) -> u64 {
    let said = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v",
            "-show_entries",
            "stream=nb_frames",
            "-of",
            "csv=p=0",
        ])
        .arg(video)
        .output()
        .unwrap();
    String::from_utf8_lossy(&said.stdout)
        .trim()
        .parse()
        .unwrap_or(0)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_client_sees_frames_before_and_after_the_save() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::new();
    let mut client = home.serve_with(&["serve", "--backend", "embedded"]);
    client.initialize("2025-11-25");
    let draft = fill(&mut client);
    let ask = |client: &mut Client, arguments: Value| {
        client.request(
            "tools/call",
            json!({ "name": "preview_frame", "arguments": arguments }),
        )
    };
    let answer = ask(
        &mut client,
        json!({ "draft_id": draft, "at": 1.0, "format": "png", "size": 320 }),
    );
    let (kind, bytes) = image(&answer);
    assert_eq!(kind, "image/png");
    assert_eq!(bytes[16..24], [0, 0, 1, 64, 0, 0, 0, 180], "320 × 180");
    let answer = ask(&mut client, json!({ "draft_id": draft, "count": 6 }));
    let (kind, bytes) = image(&answer);
    assert_eq!(
        (kind.as_str(), &bytes[..2]),
        ("image/jpeg", &[0xff, 0xd8][..])
    );
    let reply = &answer["result"]["structuredContent"];
    assert_eq!(reply["times"].as_array().map(Vec::len), Some(6), "{reply}");
    assert!(
        reply["notes"]
            .to_string()
            .contains("the app's export is final"),
        "{reply}"
    );
    assert!(
        !reply["notes"].to_string().contains("placeholder"),
        "{reply}"
    );

    let saved = client
        .call(
            "save_draft",
            json!({ "draft_id": draft, "draft_folder": home.file("drafts/x", "").parent() }),
        )
        .unwrap();
    let folder = saved["folder"].as_str().unwrap().to_owned();
    let answer = ask(&mut client, json!({ "draft": folder, "times": [0, 1.5] }));
    image(&answer);
    assert!(!answer.to_string().contains("placeholder"), "{answer}");
    // Files that are gone are said and drawn as placeholders.
    for file in ["assets/video", "assets/image", "assets/audio"] {
        let _ = fs::remove_dir_all(Path::new(&folder).join(file));
    }
    let answer = ask(&mut client, json!({ "draft": folder, "at": 1.0 }));
    image(&answer);
    assert!(
        answer["result"]["structuredContent"]["notes"]
            .to_string()
            .contains("placeholder"),
        "{answer}"
    );
}

#[test]
fn wrong_times_and_sizes_are_explained() {
    let home = Home::new();
    let mut client = home.serve_with(&["serve", "--backend", "embedded"]);
    client.initialize("2025-11-25");
    let draft = fill(&mut client);
    let mut refused = |tool: &str, arguments: Value, words: &[&str]| {
        let error = client.call(tool, arguments).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{word:?} in {error}");
        }
    };
    refused(
        "preview_frame",
        json!({ "draft_id": draft }),
        &["exactly one of `at`"],
    );
    refused(
        "preview_frame",
        json!({ "draft_id": draft, "at": 9 }),
        &["9 s", "2 s"],
    );
    refused(
        "preview_frame",
        json!({ "draft_id": draft, "at": 1, "size": 4000 }),
        &["4000 pixels", "640"],
    );
    refused(
        "preview_frame",
        json!({ "draft_id": draft, "draft": "x", "at": 1 }),
        &["not both"],
    );
    refused(
        "preview_frame",
        json!({ "draft": "no such draft", "at": 1 }),
        &["no such draft"],
    );
    refused(
        "preview_video",
        json!({ "draft_id": draft, "from": 1.5, "to": 1 }),
        &["1.5 s", "1 s"],
    );
    refused(
        "preview_video",
        json!({ "draft_id": draft, "from": -1 }),
        &["`from` is -1"],
    );
}

#[test]
fn a_preview_video_is_a_job_that_can_be_cancelled() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::new();
    let mut client = home.serve_with(&["serve", "--backend", "embedded"]);
    client.initialize("2025-11-25");
    let draft = fill(&mut client);
    let made = client
        .call(
            "preview_video",
            json!({ "draft_id": draft, "from": 0.5, "to": 1.5, "size": 320 }),
        )
        .unwrap();
    assert_eq!(made["status"], "done", "{made}");
    let report = &made["report"];
    assert_eq!(
        (&report["width"], &report["height"], &report["has_sound"]),
        (&json!(320), &json!(180), &json!(true))
    );
    let file = Path::new(report["file"].as_str().unwrap());
    assert_eq!(frames(file), 30);
    assert!(
        report["notes"]
            .to_string()
            .contains("the app's export is final"),
        "{report}"
    );
    fs::remove_file(file).unwrap();

    // Slowed down to ten minutes, so that it surely still runs.
    let long = client
        .call("create_draft", json!({ "width": 640, "height": 360 }))
        .unwrap()["draft_id"]
        .clone();
    let picture = media("picture.jpg").display().to_string();
    client
        .call(
            "add_image",
            json!({ "draft_id": long, "image_url": picture, "start": 0, "end": 3000 }),
        )
        .unwrap();
    let started = client
        .call("preview_video", json!({ "draft_id": long, "wait_s": 0 }))
        .unwrap();
    assert_eq!(started["status"], "running", "{started}");
    let job = started["job_id"].clone();
    let ended = client.call("cancel_job", json!({ "job_id": job })).unwrap();
    assert_eq!(ended["status"], "cancelled", "{ended}");
    assert_eq!(names(&home.data().join("previews")), [""; 0]);
}

#[test]
fn render_writes_a_file_and_replaces_none() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = fill(&mut client);
    let id = draft.as_str().unwrap();
    let target = home.path().join("out/影片.mp4");
    fs::create_dir(home.path().join("out")).unwrap();
    let out = target.display().to_string();
    let ran = home
        .run(&["render", id, "-o", &out, "--to", "1", "--json"])
        .success();
    assert_eq!(ran.json()["width"], 640, "{}", ran.json());
    assert_eq!(frames(&target), 30);
    let before = fs::read(&target).unwrap();
    let ran = home.run(&["render", id, "-o", &out]);
    assert!(
        ran.stderr.contains("exists") && ran.stderr.contains("--overwrite"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read(&target).unwrap(), before);
    home.run(&["render", id, "-o", &out, "--overwrite", "--from", "1"])
        .success();
    assert_ne!(fs::read(&target).unwrap(), before);
    assert_eq!(names(&home.path().join("out")).len(), 1);
}

#[test]
#[cfg(unix)]
fn a_killed_render_leaves_no_half_file_and_the_next_one_removes_its_traces() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = client
        .call("create_draft", json!({ "width": 640, "height": 360 }))
        .unwrap()["draft_id"]
        .clone();
    let picture = media("picture.jpg").display().to_string();
    client
        .call(
            "add_image",
            json!({ "draft_id": draft, "image_url": picture, "start": 0, "end": 3000 }),
        )
        .unwrap();
    let id = draft.as_str().unwrap();
    let folder = home.path().join("out");
    fs::create_dir(&folder).unwrap();
    let out = folder.join("v.mp4").display().to_string();
    let mut running = home
        .command(&["render", id, "-o", &out])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    while names(&folder).is_empty() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(!Path::new(&out).exists());
    home.run(&["render", id, "-o", &out, "--to", "0.5", "--size", "160"])
        .success();
    assert_eq!(names(&folder), ["v.mp4"]);
    assert_eq!(frames(Path::new(&out)), 15);
}

#[test]
fn media_of_a_url_are_fetched_for_a_picture_and_missing_ones_are_named() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let web = media_server();
    let mut client = home.serve_with(&["serve", "--allow-host", "127.0.0.1"]);
    client.initialize("2025-11-25");
    let draft = client
        .call("create_draft", json!({ "width": 640, "height": 360 }))
        .unwrap();
    let url = |name: &str| format!("{}/range/{name}", web.url);
    let draft = draft["draft_id"].clone();
    client
        .call(
            "add_video",
            json!({ "draft_id": draft, "video_url": url("clip.mp4"), "start": 0, "end": 2 }),
        )
        .unwrap();
    client
        .call(
            "add_image",
            json!({ "draft_id": draft, "image_url": url("logo.png"), "track_name": "logo" }),
        )
        .unwrap();
    let frame = |client: &mut Client, at: f64| {
        let arguments = json!({ "draft_id": draft, "at": at, "format": "png", "size": 320 });
        let answer = client.request(
            "tools/call",
            json!({ "name": "preview_frame", "arguments": arguments }),
        );
        let notes = answer["result"]["structuredContent"]["notes"].to_string();
        (image(&answer).1, notes)
    };
    let (first, notes) = frame(&mut client, 1.0);
    assert!(!notes.contains("placeholder"), "{notes}");
    // The same time again, from what was kept.
    assert_eq!(frame(&mut client, 1.0).0, first);
    drop(web);
    let gone = url_of_nothing();
    client
        .call("add_image", json!({ "draft_id": draft, "image_url": gone, "track_name": "gone", "start": 0, "end": 2 }))
        .ok();
    let (with_placeholder, notes) = frame(&mut client, 1.5);
    assert_ne!(with_placeholder, first);
    assert!(notes.contains("gone.png"), "{notes}");
}

/// The address of a file on a server that does not answer.
fn url_of_nothing() -> &'static str {
    "http://127.0.0.1:9/gone.png"
}
