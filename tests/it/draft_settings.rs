//! What a draft is as a whole: frame rate, ratio, magnet, cover, markers, groups; created, in plans, edited and saved.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::drafts::{created, edited, saved_at, script, text};
use crate::support::{Client, Home, media};

/// Saves a draft; returns its folder, its document and the reply.
fn saved(client: &mut Client, draft: &str) -> (PathBuf, Value, Value) {
    let saved = client.call("save_draft", json!({ "draft_id": draft, "portable": true }));
    let saved = saved.expect("saved");
    let (folder, document) = saved_at(&saved);
    (folder, document, saved)
}

fn add_clips(client: &mut Client, draft: &str) {
    for (tool, arguments) in [
        (
            "add_video",
            json!({ "video_url": text(&media("clip.mp4")), "end": 1.01 }),
        ),
        (
            "add_image",
            json!({ "image_url": text(&media("picture.jpg")), "start": 1.01, "end": 2.5 }),
        ),
        (
            "add_text",
            json!({ "text": "Hello", "start": 0.51, "end": 2.03 }),
        ),
    ] {
        let mut arguments = arguments;
        arguments["draft_id"] = draft.into();
        client.call(tool, arguments).expect("added");
    }
}

/// A time on the frames of `fps`, rounded down.
fn is_on(time: &Value, fps: f64) -> bool {
    let time = time.as_i64().expect("a time");
    let frame = (time as f64 * fps / 1e6).round();
    ((frame * 1e6 / fps) + 1e-3).floor() as i64 == time
}

#[test]
fn a_draft_has_its_frame_rate_ratio_and_markers_in_both_editions() {
    let home = Home::embedded();
    let mut client = home.connected();
    for (edition, fps, ratio, size) in [
        ("capcut", json!(25), json!("square"), (1080, 1080)),
        ("jianying", json!("60"), json!("4:5"), (1080, 1350)),
        ("capcut", json!("24 fps"), json!("16x9"), (1920, 1080)),
        ("capcut", json!("60fps"), json!("16 by 9"), (1920, 1080)),
        ("jianying", json!("50帧"), json!("vertical"), (1080, 1920)),
    ] {
        let draft = created(
            &mut client,
            json!({
                "edition": edition, "fps": fps, "ratio": ratio, "magnet": "off",
                "markers": [{ "time": "0:01.03", "title": "One" }, { "at": 2, "color": "red" }],
            }),
        );
        add_clips(&mut client, &draft);
        let rows = client.call("inspect_draft", json!({ "draft_id": draft }));
        let rows = rows.expect("rows");
        let fps: f64 = fps.as_f64().unwrap_or_else(|| {
            let text = fps.as_str().expect("text");
            text[..2].parse().expect("a number")
        });
        let summary = rows["summary"].as_str().expect("a line");
        let line = format!("{}×{}, {fps} fps", size.0, size.1);
        assert!(summary.contains(&line), "{summary}");
        assert!(
            summary.contains("magnet off") && summary.contains("2 markers"),
            "{summary}"
        );
        assert_eq!(rows["markers"][0]["title"], "One");
        let (folder, document, _) = saved(&mut client, &draft);
        assert_eq!(document["fps"].as_f64(), Some(fps), "{edition}");
        assert_eq!(document["config"]["maintrack_adsorb"], false);
        let canvas = &document["canvas_config"];
        assert_eq!(
            (&canvas["width"], &canvas["height"]),
            (&json!(size.0), &json!(size.1))
        );
        let marks = &document["time_marks"]["mark_items"];
        assert_eq!(
            (&marks[0]["title"], &marks[1]["color"]),
            (&json!("One"), &json!("#ff0000"))
        );
        for mark in marks.as_array().expect("markers") {
            assert_eq!(mark["time_range"]["duration"], 0);
            assert!(is_on(&mark["time_range"]["start"], fps), "{mark}");
        }
        for track in document["tracks"].as_array().expect("tracks") {
            for segment in track["segments"].as_array().expect("segments") {
                let target = &segment["target_timerange"];
                let end = json!(
                    target["start"].as_i64().expect("a time")
                        + target["duration"].as_i64().expect("a time")
                );
                assert!(
                    is_on(&target["start"], fps) && is_on(&end, fps),
                    "{fps}: {target}"
                );
            }
        }
        let found = client.call("validate_draft", json!({ "draft": text(&folder) }));
        let found = found.expect("problems");
        assert_eq!(found["errors"], 0, "{found}");
    }
    let error = client
        .call("create_draft", json!({ "fps": 29 }))
        .expect_err("refused");
    assert!(error.contains("24, 25, 30, 50"), "{error}");
}

#[test]
fn settings_are_edited_and_undone_to_the_same_bytes() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = created(&mut client, json!({}));
    add_clips(&mut client, &draft);
    let before = script(&mut client, &draft);
    let reply = edited(
        &mut client,
        &draft,
        json!([
            { "op": "settings", "fps": "50", "ratio": "1:1", "cover": "0:01", "magnet": false },
            { "op": "add_markers", "markers": { "at": "1.5s", "name": "Cut" } },
            { "op": "group", "clips": ["c1", "Hello"] },
        ]),
    );
    let reply = reply.expect("edited");
    assert!(
        reply["changes"]
            .to_string()
            .contains("50 frames per second"),
        "{reply}"
    );
    let rows = client.call("inspect_draft", json!({ "draft_id": draft }));
    let rows = rows.expect("rows");
    let summary = rows["summary"].as_str().expect("a line");
    for part in [
        "1080×1080",
        "50 fps",
        "magnet off",
        "cover at 1 s",
        "1 markers",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    let groups = rows["tracks"].to_string().matches("\"group\"").count();
    assert_eq!(groups, 2);
    let (_, document, _) = saved(&mut client, &draft);
    assert_eq!(document["fps"].as_f64(), Some(50.0));
    assert_eq!(document["time_marks"]["mark_items"][0]["title"], "Cut");
    assert!(document.get("capcut_mcp_cover").is_none());
    let grouped: Vec<&Value> = document["tracks"]
        .as_array()
        .expect("tracks")
        .iter()
        .flat_map(|track| track["segments"].as_array().expect("segments"))
        .map(|segment| &segment["group_id"])
        .filter(|group| **group != json!(""))
        .collect();
    assert_eq!(grouped.len(), 2);
    assert_eq!(grouped[0], grouped[1]);
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(script(&mut client, &draft), before);
    for (operation, says) in [
        (
            json!({ "op": "settings", "fps": 23 }),
            "24, 25, 30, 50 and 60",
        ),
        (
            json!({ "op": "settings", "cover": "/no/such.jpg" }),
            "`cover`",
        ),
        (
            json!({ "op": "settings", "cover": text(&media("music.mp3")) }),
            "contains no picture",
        ),
        (
            json!({ "op": "set_fps", "fps": 25 }),
            "did you mean \"settings\"",
        ),
        (
            json!({ "op": "settings", "frames": 25 }),
            "its keys are `fps`",
        ),
    ] {
        let error = edited(&mut client, &draft, json!([operation])).expect_err("refused");
        assert!(error.contains(says), "{error}");
    }
}

/// The green of the pixel in the middle of a JPEG, by `ffmpeg`; none without it.
fn middle(file: &Path) -> Option<u8> {
    let out = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i", text(file), "-vf"])
        .args(["scale=1:1,format=rgb24", "-f", "rawvideo", "-"])
        .output()
        .ok()?;
    out.stdout.get(1).copied()
}

#[test]
fn the_cover_is_a_file_or_a_frame() {
    let home = Home::embedded();
    let mut client = home.connected();
    let cover = |draft: &str, client: &mut Client| {
        let (folder, _, reply) = saved(client, draft);
        let files: Vec<String> = fs::read_dir(&folder)
            .expect("the folder")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        assert!(!files.contains(&"cover.part".to_owned()), "{files:?}");
        let bytes = fs::read(folder.join("draft_cover.jpg")).expect("a cover");
        (folder, bytes, reply)
    };
    let usual = created(&mut client, json!({ "ratio": "1:1" }));
    add_clips(&mut client, &usual);
    let (_, usual, _) = cover(&usual, &mut client);
    let picture = text(&media("picture.jpg")).to_owned();
    let server = crate::support::media_server();
    let url = format!("{}/range/picture.jpg", server.url);
    let mut covers = Vec::new();
    // At 2 s the picture is shown.
    for chosen in [json!(picture), json!(url), json!(2), json!("0:02")] {
        let arguments = json!({ "ratio": "1:1", "cover": chosen });
        let draft = created(&mut client, arguments);
        add_clips(&mut client, &draft);
        let (_, bytes, reply) = cover(&draft, &mut client);
        assert_ne!(bytes, usual, "{chosen}: {reply}");
        covers.push(bytes);
    }
    assert!(covers[0] == covers[1] && covers[2] == covers[3]);
    // A time shows the whole picture, with its texts.
    let draft = created(&mut client, json!({ "ratio": "1:1", "cover": 2 }));
    add_clips(&mut client, &draft);
    let title = json!({ "draft_id": draft, "text": "Title", "track_name": "titles", "start": 1.5, "end": 2.1, "font_size": 30 });
    client.call("add_text", title).expect("a text");
    let (_, titled, reply) = cover(&draft, &mut client);
    assert!(titled != covers[2] && titled != usual, "{reply}");
    assert!(!reply["notes"].to_string().contains("cover"), "{reply}");
    let draft = created(&mut client, json!({ "cover": 60 }));
    add_clips(&mut client, &draft);
    let (_, _, reply) = cover(&draft, &mut client);
    assert!(
        reply["notes"].to_string().contains("`cover` is at 60"),
        "{reply}"
    );
    // As for a whole plan, with a path beside it.
    let plan = home.file(
        "plan.yaml",
        "name: Covered\naspect_ratio: \"1:1\"\nframe_rate: 25\ncover: cover.jpg\nmagnet: false\n\
         markers:\n  - {at: 0.5, title: A}\ntexts:\n  - {text: Hi}\nsave: {portable: true}\n",
    );
    fs::copy(&picture, plan.with_file_name("cover.jpg")).expect("copied");
    let made = home.run(&["compose", text(&plan), "--json"]).success();
    let report = made.stdout.lines().last().expect("a report");
    let report: Value = serde_json::from_str(report).expect("JSON");
    let folder = report["report"]["folder"].as_str();
    let folder = PathBuf::from(folder.expect("a folder"));
    let bytes = fs::read(folder.join("draft_cover.jpg")).expect("a cover");
    assert_eq!(bytes, covers[0]);
    assert!(middle(&folder.join("draft_cover.jpg")).is_none_or(|green| green > 0));
}

#[test]
fn an_opened_draft_gets_a_frame_rate_and_a_cover() {
    let home = Home::embedded();
    let mut client = home.connected();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/capcut-draft/tests/data");
    let document = fs::read_to_string(data.join("app.json")).expect("it is in the repository");
    let file = home.file("apps/Trip/draft_info.json", &document);
    let folder = file.parent().expect("a folder").to_owned();
    fs::write(folder.join("draft_cover.jpg"), "old").expect("written");
    let opened = client.call("open_draft", json!({ "draft": text(&folder) }));
    let draft = opened.expect("opens")["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let cover = json!([{ "op": "settings", "cover": text(&media("picture.jpg")) }]);
    edited(&mut client, &draft, cover).expect("edited");
    client
        .call("save_draft", json!({ "draft_id": draft }))
        .expect("saved");
    assert_eq!(fs::read_to_string(&file).expect("a text"), document);
    let picture = fs::read(folder.join("draft_cover.jpg")).expect("a cover");
    assert!(picture.starts_with(&[0xff, 0xd8]));
    let fps = json!([{ "op": "settings", "fps": 25, "markers": [{ "at": 1, "title": "M" }] }]);
    edited(&mut client, &draft, fps).expect("edited");
    client
        .call("save_draft", json!({ "draft_id": draft }))
        .expect("saved");
    let now: Value = serde_json::from_slice(&fs::read(&file).expect("a text")).expect("JSON");
    assert_eq!(
        (now["fps"].as_f64(), now.get("capcut_mcp_cover")),
        (Some(25.0), None)
    );
    assert_eq!(now["time_marks"]["mark_items"][0]["title"], "M");
    let copy = json!({ "draft_id": draft, "name": "Copy", "draft_folder": text(home.path()) });
    let copy = client.call("save_draft", copy).expect("copied");
    let copy = PathBuf::from(
        copy["folder"]
            .as_str()
            .or(copy["draft_folder"].as_str())
            .expect("a folder"),
    );
    assert_eq!(
        fs::read(copy.join("draft_cover.jpg")).expect("a cover"),
        picture
    );
}

#[test]
fn plans_with_wrong_settings_are_refused_with_all_problems() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = json!({
        "fps": 29, "markers": [{ "title": "x" }], "magnet": [1], "texts": [{ "text": "a" }],
    });
    let error = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect_err("refused");
    assert!(error.contains("magnet: is a list"), "{error}");
    let plan = json!({ "fps": 29, "texts": [{ "text": "a" }] });
    let error = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect_err("refused");
    assert!(
        error.contains("fps") && error.contains("24, 25, 30, 50"),
        "{error}"
    );
    let plan = json!({ "template": "x", "fps": 25 });
    let error = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect_err("refused");
    assert!(error.contains("fps: is that of the template"), "{error}");
}

#[test]
fn over_http_unknown_settings_are_ignored_as_before() {
    let home = Home::embedded();
    let served = home.engine(&[]);
    for fps in [json!("abc"), json!(25), json!([1]), Value::Null] {
        let made = served.output(
            "/create_draft",
            &json!({ "width": 1080, "height": 1920, "fps": fps, "markers": 3, "cover": {} }),
        );
        let made = made.expect("a draft");
        let script = served
            .output("/query_script", &json!({ "draft_id": made["draft_id"] }))
            .expect("a document");
        let script: Value = serde_json::from_str(script.as_str().expect("text")).expect("JSON");
        assert_eq!(script["fps"], 30);
    }
}

#[test]
fn an_opened_draft_gets_a_cover_at_a_time_with_its_texts() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = created(&mut client, json!({ "ratio": "1:1" }));
    add_clips(&mut client, &draft);
    let title = json!({ "draft_id": draft, "text": "Title", "track_name": "titles", "start": 1.5, "end": 2.1, "font_size": 30 });
    client.call("add_text", title).expect("a text");
    let (folder, _, _) = saved(&mut client, &draft);
    let opened = client.call("open_draft", json!({ "draft": text(&folder) }));
    let opened = opened.expect("opens")["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let mut cover = |at: f64| {
        edited(
            &mut client,
            &opened,
            json!([{ "op": "settings", "cover": at }]),
        )
        .expect("edited");
        let reply = client
            .call("save_draft", json!({ "draft_id": opened }))
            .expect("saved");
        assert!(!reply["notes"].to_string().contains("cover"), "{reply}");
        fs::read(folder.join("draft_cover.jpg")).expect("a cover")
    };
    let (plain, titled) = (cover(2.2), cover(2.0));
    assert!(plain.starts_with(&[0xff, 0xd8]) && titled.starts_with(&[0xff, 0xd8]));
    assert_ne!(plain, titled, "the same picture, once with the text");
    assert_eq!(cover(2.2), plain);
    // A file that is gone is no cover: the one before stays, and a note says so.
    for entry in fs::read_dir(folder.join("assets/image"))
        .expect("a folder")
        .flatten()
    {
        fs::remove_file(entry.path()).expect("removed");
    }
    edited(
        &mut client,
        &opened,
        json!([{ "op": "settings", "cover": 2.3 }]),
    )
    .expect("edited");
    let reply = client.call("save_draft", json!({ "draft_id": opened }));
    let told = reply.map_or_else(|error| format!("{error:?}"), |reply| reply.to_string());
    assert!(
        told.contains("cover could not be made") || told.contains("missing"),
        "{told}"
    );
    assert_eq!(
        fs::read(folder.join("draft_cover.jpg")).expect("a cover"),
        plain
    );
}
