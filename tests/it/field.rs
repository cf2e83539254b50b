//! Files of kinds on which users' jobs failed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Answer, Home, Server};

fn field(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field");
    folder.join(name).display().to_string()
}

/// Adds items to a new draft, saves and lints it; returns its folder and document.
fn saved(home: &Home, calls: &[(&str, Value)], save: Value) -> (PathBuf, Value) {
    let draft = home.call("create_draft", &json!({})).unwrap()["draft_id"].clone();
    for (tool, arguments) in calls {
        let mut arguments = arguments.clone();
        arguments["draft_id"] = draft.clone();
        home.call(tool, &arguments)
            .unwrap_or_else(|(code, told)| panic!("{tool} {arguments}: {code}: {told}"));
    }
    let mut save = save;
    save["draft_id"] = draft;
    save["draft_folder"] = json!(home.path().join("drafts"));
    let saved = home
        .call("save_draft", &save)
        .unwrap_or_else(|(code, told)| panic!("{calls:?}: {code}: {told}"));
    let folder = PathBuf::from(
        saved["folder"]
            .as_str()
            .unwrap_or_else(|| panic!("{saved}")),
    );
    let checked = home.run(&[Path::new("lint"), &folder]);
    assert_eq!(checked.code, 0, "{calls:?}: {}", checked.stdout);
    let document = std::fs::read_to_string(folder.join("draft_content.json")).unwrap();
    (folder, serde_json::from_str(&document).unwrap())
}

fn files(folder: &Path) -> Vec<String> {
    let read = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = ["audio", "image", "video"]
        .iter()
        .flat_map(|kind| read(folder.join("assets").join(kind)))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn an_animated_picture_is_shown_for_the_requested_time() {
    let home = Home::embedded();
    let picture = json!({ "image_url": field("10-anim.webp"), "start": 0, "end": 5 });
    let (_, document) = saved(&home, &[("add_image", picture)], json!({}));
    let segment = &document["tracks"][0]["segments"][0];
    assert_eq!(segment["target_timerange"]["duration"], 5_000_000);
    assert_eq!(document["materials"]["videos"][0]["type"], "gif");
}

#[test]
fn every_speed_gives_a_valid_draft() {
    let home = Home::embedded();
    for speed in [100.0, 3.0, 0.1, 1.0 / 3.0, 7.77, 33.3, 0.013, 61.0] {
        let clip = json!({ "video_url": field("13-two-seconds.mp4"), "speed": speed });
        let sound = json!({ "audio_url": field("01-joined.mp3"), "speed": speed });
        let (_, document) = saved(
            &home,
            &[("add_video", clip), ("add_audio", sound)],
            json!({}),
        );
        assert_eq!(document["tracks"].as_array().unwrap().len(), 2, "{speed}");
    }
}

#[test]
fn media_files_keep_the_extension_of_their_format() {
    let home = Home::embedded();
    let sound = json!({ "audio_url": field("18-sound.caf") });
    let clip = json!({ "video_url": field("19-clip.avi") });
    let calls = [("add_video", clip.clone()), ("add_audio", sound.clone())];
    let (folder, _) = saved(&home, &calls, json!({}));
    assert_eq!(files(&folder), ["18-sound.caf", "19-clip.avi"]);
}

#[test]
fn a_format_that_needs_ffprobe_is_refused_with_that_reason() {
    let mut home = Home::embedded();
    home.set("PATH", "");
    let draft = home.call("create_draft", &json!({})).unwrap()["draft_id"].clone();
    for (tool, argument, name, what) in [
        ("add_video", "video_url", "19-clip.avi", "an AVI file"),
        ("add_audio", "audio_url", "18-sound.caf", "a CAF file"),
    ] {
        let (_, told) = home
            .call(tool, &json!({ "draft_id": draft, argument: field(name) }))
            .expect_err("not read");
        assert!(told.contains(what) && told.contains("ffprobe"), "{told}");
    }
}

#[test]
fn paths_for_windows_are_short_enough() {
    let home = Home::embedded();
    let source = home
        .path()
        .join(format!("{}.mp4", "holiday ".repeat(13).trim()));
    std::fs::copy(field("13-two-seconds.mp4"), &source).unwrap();
    let target = format!(
        "C:/Users/{}/AppData/Local/CapCut/User Data/Projects/com.lveditor.draft",
        "u".repeat(20)
    );
    for target_folder in [Some(target), None] {
        let save = json!({
            "name": "A summer with everybody ".repeat(4).trim(), "target_os": "windows",
            "target_folder": target_folder, "overwrite": true
        });
        let clip = json!({ "video_url": source });
        let (folder, _) = saved(&home, &[("add_video", clip)], save);
        let place = target_folder.unwrap_or_else(|| "C:/".repeat(30));
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let file = &files(&folder)[0];
        let path = format!("{place}/{name}/assets/video/{file}");
        assert!(path.len() < 260, "{}: {path}", path.len());
        assert!(file.starts_with("holiday"), "{file}");
    }
    // If no path can be short enough, the reply says so.
    let draft = home.call("create_draft", &json!({})).unwrap()["draft_id"].clone();
    let clip = json!({ "draft_id": draft, "video_url": source });
    home.call("add_video", &clip).unwrap();
    let save = json!({
        "draft_id": draft, "name": "A summer", "target_os": "windows",
        "target_folder": format!("D:/{}", "a long way/".repeat(25))
    });
    let saved = home.call("save_draft", &save).unwrap();
    assert!(
        saved["notes"].to_string().contains("259 characters"),
        "{saved}"
    );
}

/// The server is asked once for all drafts of a batch; the next batch asks whether the file has changed.
#[test]
fn a_source_is_fetched_once_for_all_drafts() {
    let home = Home::embedded();
    let bytes = std::fs::read(field("13-two-seconds.mp4")).unwrap();
    let server = Server::start(move |asked| {
        let known = asked.headers.get("if-none-match").map(String::as_str);
        let mut answer = if known == Some("\"1\"") {
            Answer::new(304, "video/mp4", "")
        } else {
            Answer::new(200, "video/mp4", bytes.clone())
        };
        answer.headers.push(("ETag".to_owned(), "\"1\"".to_owned()));
        answer
    });
    let url = format!("{}/clip.mp4", server.url);
    let plan = home.file(
        "plan.yaml",
        format!("name: ${{name}}\nvisuals:\n  - video_url: {url}\n"),
    );
    let rows = home.file("rows.csv", "name\none\ntwo\nthree\n");
    let ran = home.run(&[
        Path::new("compose"),
        Path::new("--template"),
        &plan,
        Path::new("--inputs"),
        &rows,
    ]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let asked = server.asked().len();
    assert!(asked <= 2, "one inspection and one download: {asked}");
    let next = home.file(
        "next.yaml",
        format!("name: next\nvisuals:\n  - video_url: {url}\n"),
    );
    let ran = home.run(&[Path::new("compose"), &next]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(server.asked().len(), asked + 1);
}

#[test]
fn doctor_prunes_only_old_files_of_this_program() {
    let home = Home::embedded();
    let draft = home.call("create_draft", &json!({})).unwrap()["draft_id"].clone();
    let clip = json!({ "draft_id": draft, "video_url": field("13-two-seconds.mp4") });
    home.call("add_video", &clip).unwrap();
    home.call("preview_draft", &json!({ "draft_id": draft }))
        .unwrap();
    for _ in 0..2 {
        let save = json!({ "draft_id": draft, "name": "mine", "overwrite": true });
        let saved = home.call("save_draft", &save).unwrap();
        let document = Path::new(saved["folder"].as_str().unwrap()).join("draft_content.json");
        std::fs::write(document, "{\"edited\": 1}").unwrap();
    }
    let gone = home.call("create_draft", &json!({})).unwrap()["draft_id"].clone();
    home.call("delete_draft", &json!({ "draft_id": gone }))
        .unwrap();
    home.file("data/media/0.media", "a leftover file");
    home.file("data/backups/mine-1700000000-2/draft_info.json", "{}");
    home.file("data/backups/mine/draft_info.json", "{}");
    let backups = home.data().join("drafts/.capcut-mcp-backup");
    assert!(backups.exists());
    home.file("data/drafts/.capcut-mcp-backup/notes of mine.txt", "mine");
    #[cfg(unix)]
    {
        let outside = home.file("outside/clip.mp4", "mine");
        let link = backups.join("link 1");
        std::os::unix::fs::symlink(outside.parent().unwrap(), link).unwrap();
    }
    let removed = |days: &str| {
        let ran = home.run(&["doctor", "--json", "--prune", "--older-than", days]);
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        let findings = told["findings"].as_array().unwrap().clone();
        ["previews", "backups", "fetched media", "trash"].map(|what| {
            let found = findings.iter().find(|finding| finding["what"] == what);
            found.expect(what)["detail"].as_str().unwrap().to_owned()
        })
    };
    let young = removed("30");
    assert!(
        young[0].contains(" 0 files") && young[1].contains(" 1 file "),
        "{young:?}"
    );
    assert!(young[3].contains(" 0 drafts"), "{young:?}");
    let all = removed("0");
    for what in &all[..2] {
        assert!(
            !what.contains(" 0 files") && !what.contains("of 0 bytes"),
            "{all:?}"
        );
    }
    assert!(all[3].contains("removed 1 draft"), "{all:?}");
    assert!(!home.data().join("backups/mine-1700000000-2").exists());
    assert!(home.data().join("backups/mine").exists());
    assert_eq!(
        std::fs::read_dir(home.data().join("previews"))
            .unwrap()
            .count(),
        0
    );
    let left: Vec<_> = std::fs::read_dir(&backups)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(left.contains(&"notes of mine.txt".into()), "{left:?}");
    assert!(left.len() <= 2, "{left:?}");
    #[cfg(unix)]
    assert!(home.path().join("outside/clip.mp4").exists());
    assert!(
        home.data().join("drafts/mine").exists(),
        "saved drafts are kept"
    );
}
