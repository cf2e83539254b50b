//! Malicious input: values of several megabytes, files without an end, characters that control a terminal.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Answer, Home, Server};

const MEGABYTE: usize = 1 << 20;

#[test]
fn errors_about_values_of_megabytes_are_short() {
    let home = Home::embedded();
    let mut client = home.connected();
    let made = client.call("create_draft", json!({})).unwrap();
    let draft = made["draft_id"].as_str().unwrap().to_owned();
    let long = "é\u{202e} ".repeat(MEGABYTE / 4);
    let many: serde_json::Map<String, Value> = (0..20_000)
        .map(|number| (format!("unknown_{number}"), json!(1)))
        .collect();
    let with = |key: &str, value: Value| {
        let mut arguments = json!({ "draft_id": draft, "text": "a", "start": 0, "end": 1 });
        arguments[key] = value;
        arguments
    };
    for (tool, arguments) in [
        ("add_text", with("draft_id", json!(long))),
        ("add_text", with("font_color", json!(long))),
        ("add_text", with("font", json!(long))),
        ("add_text", with("start", json!(long))),
        ("add_text", with("intro_animation", json!(long))),
        ("add_text", with(&long, json!(1))),
        (
            "add_text",
            with("text_styles", json!(vec![json!({ "x": 1 }); 20_000])),
        ),
        ("add_text", Value::Object(many)),
        ("add_video", json!({ "draft_id": draft, "video_url": long })),
        (
            "add_video",
            json!({ "draft_id": draft, "video_url": format!("/{long}") }),
        ),
        (
            "add_image",
            json!({ "draft_id": draft, "image_url": format!("http://127.0.0.1:1/{long}") }),
        ),
        (
            "add_effect",
            json!({ "draft_id": draft, "effect_type": long }),
        ),
        (
            "add_sticker",
            json!({ "draft_id": draft, "sticker_id": "1", "start": long }),
        ),
        (
            "add_subtitle",
            json!({ "draft_id": draft, "srt": format!("1\n{long} --> \n") }),
        ),
        (
            "add_video_keyframe",
            json!({ "draft_id": draft, "track_name": long, "property_type": long, "time": 1, "value": "1" }),
        ),
        ("save_draft", json!({ "draft_id": long })),
        (
            "save_draft",
            json!({ "draft_id": draft, "draft_folder": format!("/tmp/{long}") }),
        ),
        ("query_script", json!({ "draft_id": long })),
        ("delete_draft", json!({ "draft_id": long })),
        ("recover_draft", json!({ "draft_id": long })),
        ("job_status", json!({ "job_id": long })),
        ("cancel_job", json!({ "job_id": long })),
        ("validate_draft", json!({ "draft_folder": long })),
        ("compose_draft", json!({ "plan": long })),
        (
            "compose_draft",
            json!({ "plan": { "video": long, &long: 1 } }),
        ),
        ("create_draft", json!({ "width": long })),
        ("preview_draft", json!({ "draft_id": long })),
        ("get_animation_types", json!({ "kind": long })),
        ("get_video_duration", json!({ "video_url": long })),
    ] {
        let error = client.call(tool, arguments).expect_err(tool);
        assert!(error.len() < 40_000, "{tool}: {} bytes", error.len());
        assert!(!error.is_empty(), "{tool}");
    }
    for (method, params) in [
        ("tools/call", json!({ "name": long, "arguments": {} })),
        (long.as_str(), json!({})),
        ("prompts/get", json!({ "name": long })),
        (
            "resources/read",
            json!({ "uri": format!("draft://{long}") }),
        ),
    ] {
        let answer = client.request(method, params);
        assert!(answer["error"].is_object());
        assert!(
            answer.to_string().len() < 40_000,
            "{}",
            &answer.to_string()[..200]
        );
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn a_long_error_of_a_server_is_shortened() {
    let words = "no ".repeat(5 * MEGABYTE / 3);
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/get_mask_types" => Answer::success(&json!([{ "name": "Linear" }])),
        _ => Answer::failure(&words),
    });
    let home = Home::remote(&server.url);
    let (_, error) = home.call("create_draft", &json!({})).unwrap_err();
    assert!(
        error.len() < 40_000 && error.contains("no no no"),
        "{} bytes",
        error.len()
    );
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_as_files() {
    let home = Home::embedded();
    let pipe = home.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let folder = home.path().join("drafts/trip");
    fs::create_dir_all(&folder).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    for (number, name) in [
        "draft_content.json",
        "draft_info.json",
        "draft_meta_info.json",
    ]
    .iter()
    .enumerate()
    {
        let document = folder.join(name);
        let _ = fs::remove_file(&document);
        for target in [&pipe, Path::new("/dev/zero")] {
            std::os::unix::fs::symlink(target, &document).unwrap();
            let ran = home.run(&["lint", &path(&folder)]);
            assert_eq!(ran.code, 2, "{ran:?}");
            assert!(ran.stderr.contains("symbolic link"), "{ran:?}");
            let refused = home.call("validate_draft", &json!({ "draft_folder": folder }));
            assert!(refused.unwrap_err().1.contains("symbolic link"));
            fs::remove_file(&document).unwrap();
        }
        assert!(
            Command::new("mkfifo")
                .arg(&document)
                .status()
                .unwrap()
                .success()
        );
        let ran = home.run(&["lint", "--fix", &path(&folder)]);
        assert!(
            ran.code == 2 && ran.stderr.contains("pipe"),
            "{number}: {ran:?}"
        );
        fs::remove_file(&document).unwrap();
        fs::write(&document, "{}").unwrap();
    }
    let ran = home.run(&["call", "list_drafts", "--log-file", &path(&pipe)]);
    assert!(ran.code == 2 && ran.stderr.contains("pipe"), "{ran:?}");
    let made = home.call("create_draft", &json!({})).unwrap();
    for (tool, key) in [
        ("add_video", "video_url"),
        ("add_image", "image_url"),
        ("add_audio", "audio_url"),
        ("add_subtitle", "srt"),
    ] {
        for source in [path(&pipe), "/dev/zero".to_owned()] {
            let arguments = json!({ "draft_id": made["draft_id"], key: source });
            let (_, error) = home.call(tool, &arguments).unwrap_err();
            assert!(
                error.contains("regular file") || error.contains("not a"),
                "{tool}: {error}"
            );
        }
    }
    for plan in ["/dev/zero", &path(folder.as_path())] {
        let ran = home.run(&["compose", plan]);
        assert_eq!(ran.code, 2, "{ran:?}");
    }
}

#[test]
fn output_contains_no_terminal_control_characters() {
    let home = Home::embedded();
    let hostile = "\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J\u{202e}gpj\u{7f}\u{8}";
    let folder = home.path().join("drafts").join("trip\u{1b}[31m\u{202e}");
    fs::create_dir_all(&folder).unwrap();
    let document = json!({
        "id": hostile, "name": hostile, "duration": 1, "fps": hostile,
        "canvas_config": { "width": 1, "height": 1, "ratio": hostile },
        "tracks": [{ "id": hostile, "type": hostile, "segments": [{
            "id": hostile, "material_id": hostile, "extra_material_refs": [hostile],
            "target_timerange": { "start": 0, "duration": 1 } }] }],
        "materials": { "videos": [{ "id": "v", "path": format!("/{hostile}"), "material_name": hostile, "type": hostile }] },
    });
    for name in ["draft_content.json", "draft_info.json"] {
        fs::write(folder.join(name), document.to_string()).unwrap();
    }
    let mut printed = Vec::new();
    let path = folder.to_str().unwrap();
    for arguments in [
        &["lint", path][..],
        &["lint", path, "--json"],
        &["lint", path, "--fix"],
        &["lint", hostile],
        &["call", "validate_draft", &format!("draft_folder={path}")],
        &["call", "create_draft", &format!("name={hostile}")],
        &["call", "list_drafts"],
        &["call", hostile],
        &["call", "add_text", &format!("draft_id={hostile}")],
        &["doctor"],
        &["doctor", "--json"],
        &["compose", hostile],
    ] {
        let ran = home.run(arguments);
        printed.push((arguments.join(" "), format!("{}{}", ran.stdout, ran.stderr)));
    }
    let plan = home.file(
        "plan.yaml",
        json!({
            "name": hostile,
            "texts": [{ "text": hostile, "start": 0, "end": 1, hostile: 1 }],
        })
        .to_string(),
    );
    for more in [&["--dry-run"][..], &[]] {
        let ran = home.run(&[&["compose", plan.to_str().unwrap()], more].concat());
        printed.push((
            "compose".to_owned(),
            format!("{}{}", ran.stdout, ran.stderr),
        ));
    }
    for (what, text) in printed {
        let commands = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || c == '\u{202e}';
        assert!(!text.contains(commands), "{what}: {text:?}");
    }
}
