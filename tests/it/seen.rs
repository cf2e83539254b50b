//! A look at the picture of a draft: what it finds, and that what it suggests fixes it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tiny_skia::{Color, Pixmap};

use crate::support::{Client, Home, media};

/// A picture of one colour.
fn picture(folder: &Path, name: &str, (width, height): (u32, u32), grey: u8) -> PathBuf {
    let file = folder.join(name);
    let mut pixels = Pixmap::new(width, height).expect("a size");
    pixels.fill(Color::from_rgba8(grey, grey, grey, 255));
    fs::write(&file, pixels.encode_png().expect("a PNG")).expect("written");
    file
}

struct Made<'c> {
    client: &'c mut Client,
    draft: Value,
}

impl<'c> Made<'c> {
    fn new(client: &'c mut Client, (width, height): (u32, u32)) -> Self {
        let made = client.call("create_draft", json!({ "width": width, "height": height }));
        let draft = made.expect("a draft")["draft_id"].clone();
        Self { client, draft }
    }

    fn add(&mut self, tool: &str, mut arguments: Value) -> &mut Self {
        arguments["draft_id"] = self.draft.clone();
        self.client.call(tool, arguments).expect("added");
        self
    }

    fn text(&mut self, words: &str, more: &Value) -> &mut Self {
        let mut arguments = json!({ "text": words, "start": 0, "end": 4 });
        for (key, value) in more.as_object().into_iter().flatten() {
            arguments[key.as_str()] = value.clone();
        }
        self.add("add_text", arguments)
    }

    fn image(&mut self, file: &Path, start: f64, end: f64) -> &mut Self {
        self.add(
            "add_image",
            json!({ "image_url": file, "start": start, "end": end }),
        )
    }

    fn look(&mut self) -> Value {
        let arguments = json!({ "draft_id": self.draft, "look": true });
        self.client
            .call("validate_draft", arguments)
            .expect("a look")
    }

    /// Applies what the first finding of each kind suggests, until there is none.
    fn fixed(&mut self, expected: &[&str]) {
        let reply = self.look();
        assert_eq!(codes(&reply), expected, "{reply:#}");
        for left in (0..expected.len()).rev() {
            let reply = self.look();
            let finding = &reply["look"]["findings"][0];
            let operations = finding["operations"].clone();
            assert!(!operations.as_array().expect("operations").is_empty());
            let edit = json!({ "draft_id": self.draft, "operations": operations });
            self.client
                .call("edit_draft", edit)
                .unwrap_or_else(|error| panic!("{error}: {finding:#}"));
            let after = self.look();
            assert_eq!(codes(&after).len(), left, "{finding:#} {after:#}");
        }
    }
}

fn codes(reply: &Value) -> Vec<&str> {
    let findings = reply["look"]["findings"].as_array().expect("findings");
    findings
        .iter()
        .map(|finding| finding["code"].as_str().expect("a code"))
        .collect()
}

#[test]
fn each_kind_of_fault_is_found_and_fixed_before_the_first_save() {
    let home = Home::embedded();
    let dark = picture(home.path(), "dark.png", (960, 540), 20);
    let light = picture(home.path(), "light.png", (960, 540), 250);
    let small = picture(home.path(), "small.png", (96, 54), 20);
    let mut client = home.connected();
    let wide = (960, 540);

    let mut made = Made::new(&mut client, wide);
    made.image(&dark, 0.0, 4.0).text("Title", &json!({}));
    let reply = made.look();
    assert_eq!(reply["look"], json!({ "findings": [] }), "{reply:#}");
    assert!(reply.get("draft_folder").is_none(), "{reply:#}");
    assert!(
        reply["notes"][0]
            .as_str()
            .expect("a note")
            .contains("not saved yet")
    );

    let mut made = Made::new(&mut client, wide);
    made.image(&dark, 0.0, 4.0)
        .text("Beyond the edge", &json!({ "position_x": 1.0 }))
        .fixed(&["off_canvas"]);

    let mut made = Made::new(&mut client, (540, 960));
    made.image(&dark, 0.0, 4.0)
        .text("Under the buttons", &json!({ "position_y": -0.8 }))
        .fixed(&["outside_safe_area"]);

    let mut made = Made::new(&mut client, wide);
    made.image(&dark, 0.0, 4.0)
        .text("One title", &json!({}))
        .text("and another", &json!({ "track_name": "second" }))
        .fixed(&["text_overlap"]);

    let mut made = Made::new(&mut client, wide);
    made.image(&light, 0.0, 4.0)
        .text("White on white", &json!({ "font_color": "#FFFFFF" }))
        .fixed(&["low_contrast"]);

    for words in [
        "These forty characters last for a second",
        "一秒钟之内没有人读得完这句话",
    ] {
        let mut made = Made::new(&mut client, wide);
        made.image(&dark, 0.0, 4.0)
            .text(words, &json!({ "end": 1 }))
            .fixed(&["too_fast"]);
    }

    let mut made = Made::new(&mut client, wide);
    made.image(&small, 0.0, 4.0).fixed(&["enlarged"]);

    let mut made = Made::new(&mut client, wide);
    made.image(&dark, 0.0, 1.0)
        .image(&dark, 2.0, 3.0)
        .fixed(&["black_gap"]);
}

#[test]
fn contrast_is_measured_against_the_background_of_a_text_if_it_has_one() {
    let home = Home::embedded();
    let light = picture(home.path(), "light.png", (960, 540), 250);
    let mut client = home.connected();
    for (more, expected) in [
        (json!({}), 1),
        (
            json!({ "background_color": "#000000", "background_alpha": 1.0 }),
            0,
        ),
        (
            json!({ "background_color": "#F0F0F0", "background_alpha": 1.0 }),
            1,
        ),
        (json!({ "border_color": "#000000", "border_width": 40 }), 0),
        (json!({ "border_color": "#FFFFFF", "border_width": 40 }), 1),
        (json!({ "font_color": "#101010" }), 0),
    ] {
        let mut made = Made::new(&mut client, (960, 540));
        made.image(&light, 0.0, 4.0).text("White", &more);
        let reply = made.look();
        assert_eq!(codes(&reply).len(), expected, "{more}: {reply:#}");
        if expected > 0 {
            made.fixed(&["low_contrast"]);
        }
    }
}

#[test]
fn a_picture_that_cannot_be_read_is_said_and_not_judged() {
    let home = Home::embedded();
    let gone = picture(home.path(), "gone.png", (960, 540), 250);
    let mut client = home.connected();
    let mut made = Made::new(&mut client, (960, 540));
    made.image(&gone, 0.0, 4.0).text("White", &json!({}));
    fs::remove_file(&gone).expect("removed");
    let reply = made.look();
    assert!(codes(&reply).is_empty(), "{reply:#}");
    let notes = reply["look"]["notes"].to_string();
    assert!(notes.contains("contrast not checked"), "{reply:#}");
}

#[test]
fn a_saved_draft_is_looked_at_as_well_by_id_or_folder() {
    let home = Home::embedded();
    let dark = picture(home.path(), "dark.png", (960, 540), 20);
    let drafts = home.path().join("drafts");
    fs::create_dir_all(&drafts).expect("a folder");
    let mut client = home.connected();
    let mut made = Made::new(&mut client, (960, 540));
    made.image(&dark, 0.0, 4.0)
        .text("Beyond the edge", &json!({ "position_x": 1.0 }))
        .add("save_draft", json!({ "draft_folder": drafts }));
    let by_id = made.look();
    assert_eq!(codes(&by_id), ["off_canvas"], "{by_id:#}");
    let folder = by_id["draft_folder"].clone();
    let by_folder = made
        .client
        .call("validate_draft", json!({ "draft": folder, "look": true }))
        .expect("a look");
    assert_eq!(codes(&by_folder), ["off_canvas"], "{by_folder:#}");
    let without = made
        .client
        .call("validate_draft", json!({ "draft": folder }));
    assert!(without.expect("checked").get("look").is_none());
    // Without a look, a draft must be saved.
    let other = Made::new(made.client, (960, 540));
    let error = other
        .client
        .call("validate_draft", json!({ "draft_id": other.draft }));
    assert!(error.expect_err("not saved").contains("not been saved"));
}

#[test]
fn a_composed_draft_is_looked_at_if_that_is_asked_for() {
    let home = Home::embedded();
    let light = picture(home.path(), "light.png", (960, 540), 250);
    let mut client = home.connected();
    let plan = json!({
        "name": "Seen", "width": 960, "height": 540, "save": false,
        "visuals": [{ "image_url": light, "duration": 4 }, { "image_url": light, "at": 6, "duration": 1 }],
        "texts": [{ "text": "White on white", "start": 0, "end": 4, "font_color": "#FFFFFF" }],
    });
    let reply = client
        .call("compose_draft", json!({ "plan": plan, "look": true }))
        .expect("composed");
    let report = &reply["report"];
    assert_eq!(codes(report), ["low_contrast", "black_gap"], "{reply:#}");
    let finding = &report["look"]["findings"][1];
    assert_eq!(
        (&finding["start"], &finding["end"]),
        (&json!(4.0), &json!(6.0))
    );
    let draft = reply["draft_id"].clone();
    for finding in report["look"]["findings"].as_array().expect("findings") {
        let edit = json!({ "draft_id": draft, "operations": finding["operations"] });
        client.call("edit_draft", edit).expect("edited");
    }
    let after = client
        .call("validate_draft", json!({ "draft_id": draft, "look": true }))
        .expect("a look");
    assert!(codes(&after).is_empty(), "{after:#}");
    let mut plan = plan;
    plan["name"] = "Unseen".into();
    let reply = client.call("compose_draft", json!({ "plan": plan }));
    assert!(reply.expect("composed")["report"].get("look").is_none());
}

#[test]
fn contrast_is_measured_on_frames_of_videos() {
    if std::process::Command::new("ffmpeg")
        .arg("-version")
        .output()
        .is_err()
    {
        eprintln!("skipped: FFmpeg is not installed");
        return;
    }
    let home = Home::embedded();
    let mut client = home.connected();
    let mut made = Made::new(&mut client, (64, 36));
    made.add(
        "add_video",
        json!({ "video_url": media("clip.mp4"), "start": 0, "end": 2 }),
    );
    // The same colour everywhere has a contrast of 1; opposite ones are told apart.
    made.text("Hi", &json!({ "end": 2, "font_size": 5 }));
    let reply = made.look();
    let notes = reply["look"]["notes"].to_string();
    assert!(!notes.contains("contrast not checked"), "{reply:#}");
}

#[test]
fn the_contrast_of_all_texts_is_measured() {
    let home = Home::embedded();
    let light = picture(home.path(), "light.png", (960, 540), 250);
    let mut client = home.connected();
    let mut made = Made::new(&mut client, (960, 540));
    made.image(&light, 0.0, 60.0);
    for index in 0..30 {
        let start = index * 2;
        let end = start + 2;
        let more = json!({ "start": start, "end": end, "track_name": "titles" });
        made.text("White", &more);
    }
    let reply = made.look();
    assert_eq!(codes(&reply), ["low_contrast"; 8], "{reply:#}");
    let notes = reply["look"]["notes"].to_string();
    assert!(notes.contains("22 further findings"), "{reply:#}");
    assert!(!notes.contains("not checked"), "{reply:#}");
}

#[test]
fn what_a_look_did_not_reach_in_time_is_listed() {
    let mut home = Home::embedded();
    let limits = home.file("limits.toml", "[limits]\nreview_timeout_s = 0.000001\n");
    home.set("CAPCUT_MCP_CONFIG", limits.to_str().expect("UTF-8"));
    let light = picture(home.path(), "light.png", (960, 540), 250);
    let mut client = home.connected();
    let mut made = Made::new(&mut client, (960, 540));
    made.image(&light, 0.0, 4.0)
        .text("White", &json!({}))
        .add("add_audio", json!({ "audio_url": media("music.mp3") }));
    let reply = made.look();
    assert!(!codes(&reply).contains(&"low_contrast"), "{reply:#}");
    let notes = reply["look"]["notes"].to_string();
    assert!(
        notes.contains("sound not checked for") && notes.contains("music.mp3"),
        "{reply:#}"
    );
    assert!(
        notes.contains("contrast not checked for") && notes.contains("a look takes at most"),
        "{reply:#}"
    );
}

#[test]
fn a_draft_on_a_server_is_looked_at_as_well() {
    let theirs = Home::embedded();
    let home = Home::new();
    let light = picture(home.path(), "light.png", (960, 540), 250);
    let music = media("music.mp3");
    let folders =
        [&light, &music].map(|file| file.parent().expect("a folder").display().to_string());
    let server = theirs.engine(&["--allow-dir", &folders[0], "--allow-dir", &folders[1]]);
    let mut home = home;
    home.api(&server.url);
    let mut client = home.serve_with(&["serve", "--backend", "remote"]);
    client.initialize("2025-06-18");
    let mut made = Made::new(&mut client, (960, 540));
    made.image(&light, 0.0, 9.0)
        .text("White on white", &json!({ "end": 9 }))
        .add("add_audio", json!({ "audio_url": music, "end": 4 }));
    let reply = made.look();
    assert_eq!(codes(&reply), ["low_contrast", "long_silence"], "{reply:#}");
    assert!(reply["look"].get("notes").is_none(), "{reply:#}");
}
