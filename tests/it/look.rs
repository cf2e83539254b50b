//! Properties beyond the schemas of the tools that add clips: in calls, at a shell, in plans, and in edited drafts.

use std::fs;

use serde_json::{Value, json};

use crate::plans::compose;
use crate::support::{Client, Home, media};

fn draft(client: &mut Client, edition: &str) -> String {
    let made = client.call(
        "create_draft",
        json!({ "width": 1000, "height": 2000, "name": "Look", "edition": edition }),
    );
    made.expect("a draft")["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

fn document(client: &mut Client, draft: &str) -> Value {
    let read = client.call("query_script", json!({ "draft_id": draft, "path": "" }));
    let read = read.expect("a document");
    serde_json::from_str(read["script"].as_str().expect("a text")).expect("JSON")
}

/// The clips of a document.
fn clips(document: &Value) -> Vec<Value> {
    let tracks = document["tracks"].as_array().expect("tracks").iter();
    let clips = tracks.flat_map(|track| track["segments"].as_array().cloned().unwrap_or_default());
    clips.collect()
}

/// The materials of a list that a clip refers to.
fn of_clip<'d>(document: &'d Value, clip: &Value, list: &str) -> Vec<&'d Value> {
    let refs = clip["extra_material_refs"].as_array().expect("references");
    let is_own =
        |material: &&Value| refs.contains(&material["id"]) || clip["material_id"] == material["id"];
    let list = document["materials"][list].as_array();
    list.into_iter().flatten().filter(is_own).collect()
}

/// Calls an `add_*` tool on a new draft, and gives the reply and its document.
fn added(
    client: &mut Client,
    edition: &str,
    tool: &str,
    arguments: &Value,
) -> Result<(Value, Value), String> {
    let draft = draft(client, edition);
    let mut arguments = arguments.clone();
    arguments["draft_id"] = draft.as_str().into();
    let reply = client.call(tool, arguments)?;
    Ok((reply, document(client, &draft)))
}

/// The saved document of a draft.
fn saved(client: &mut Client, home: &Home, draft: &str) -> Value {
    let folder = home.path().join(format!("saved-{draft}"));
    fs::create_dir_all(&folder).expect("a folder");
    let reply = client.call(
        "save_draft",
        json!({ "draft_id": draft, "draft_folder": folder.to_str().expect("UTF-8") }),
    );
    reply.expect("it is saved");
    let own = fs::read_dir(&folder).expect("a folder");
    let own = own.filter_map(Result::ok).map(|entry| entry.path());
    let file = own
        .filter(|path| path.is_dir())
        .flat_map(|path| {
            [
                path.join("draft_info.json"),
                path.join("draft_content.json"),
            ]
        })
        .find(|file| file.exists());
    let text = fs::read(file.expect("a document")).expect("it can be read");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn properties_that_a_tool_does_not_list_are_accepted_in_every_spelling() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    for edition in ["capcut", "jianying"] {
        for values in [
            json!({ "rotation": "45deg", "opacity": "50%", "flip_horizontal": "yes" }),
            json!({ "rotate": 45, "alpha": 0.5, "flipHorizontal": true }),
            json!({ "properties": { "angle": "45", "Opacity": 0.5, "flip-horizontal": "on" } }),
            json!({ "properties": "{\"rotation\": 45, \"opacity\": \".5\"}", "flip_horizontal": 1 }),
        ] {
            let mut arguments = values.clone();
            arguments["video_url"] = clip.to_str().into();
            let (_, document) =
                added(&mut client, edition, "add_video", &arguments).expect("added");
            let own = &clips(&document)[0]["clip"];
            assert_eq!(own["rotation"], 45.0, "{values}");
            assert_eq!(own["alpha"], 0.5, "{values}");
            assert_eq!(own["flip"]["horizontal"], true, "{values}");
        }
    }
    let (_, document) = added(
        &mut client,
        "capcut",
        "add_subtitle",
        &json!({ "srt": "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo\n", "letterSpacing": 2 }),
    )
    .expect("added");
    for text in document["materials"]["texts"].as_array().expect("texts") {
        assert_eq!(text["letter_spacing"], 2.0);
    }
}

#[test]
fn properties_that_a_tool_does_not_list_have_the_same_errors() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    for (values, expected) in [
        (
            json!({ "opacity": 50 }),
            "`opacity` is 50; it must be from 0 (invisible) to 1 (opaque); did you mean 0.5?",
        ),
        (
            json!({ "rotation": "left" }),
            "`rotation` is \"left\"; it must be degrees, clockwise",
        ),
        (json!({ "flip_vertical": "up" }), "`flip_vertical`"),
        (json!({ "intro_animation": "Fade Innn" }), "Fade"),
        (json!({ "opacity": 0.5, "alpha": 0.4 }), "give"),
        (json!({ "properties": [1] }), "it must be an object"),
        (json!({ "fade_in": 60 }), "the fade is 60 s long"),
        (json!({ "letter_spacing": 2 }), "`letter_spacing`"),
    ] {
        let mut arguments = values.clone();
        arguments["video_url"] = clip.to_str().into();
        let error = added(&mut client, "capcut", "add_video", &arguments).expect_err("refused");
        assert!(error.contains(expected), "{values}: {error}");
    }
}

#[test]
fn properties_are_saved_restored_edited_and_undone() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    let draft = draft(&mut client, "capcut");
    let add = |client: &mut Client, at: f64, angle: f64| {
        client.call(
            "add_video",
            json!({ "draft_id": draft, "video_url": clip, "target_start": at, "end": 1,
                "rotation": angle, "fade_out": 0.5 }),
        )
    };
    add(&mut client, 0.0, 10.0).expect("added");
    let before = document(&mut client, &draft);
    // Another process builds the draft from its calls.
    let mut other = home.connected();
    assert!(document(&mut other, &draft) == before);
    let edit =
        json!({ "draft_id": draft, "operations": [{ "op": "set", "clip": "c1", "rotation": 20 }] });
    client.call("edit_draft", edit).expect("edited");
    // The draft is a document now.
    add(&mut client, 1.0, 30.0).expect("added");
    let all = clips(&document(&mut client, &draft));
    let angles: Vec<&Value> = all.iter().map(|clip| &clip["clip"]["rotation"]).collect();
    assert_eq!(angles, [20.0, 30.0]);
    let after = document(&mut client, &draft);
    for _ in 0..2 {
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
    }
    assert!(document(&mut client, &draft) == before);
    for _ in 0..2 {
        client
            .call("undo_draft", json!({ "draft_id": draft, "redo": true }))
            .expect("redone");
    }
    assert!(document(&mut client, &draft) == after);
    let saved = saved(&mut client, &home, &draft);
    for (own, angle) in clips(&saved).iter().zip([20.0, 30.0]) {
        assert_eq!(own["clip"]["rotation"], angle);
        let fades = of_clip(&saved, own, "audio_fades");
        assert_eq!(fades[0]["fade_out_duration"], 500_000);
    }
}

#[test]
fn properties_are_accepted_at_a_shell_and_in_plans() {
    let home = Home::embedded();
    let made = home
        .call("create_draft", &json!({ "name": "Shell" }))
        .expect("a draft");
    let id = made["draft_id"].as_str().expect("an id");
    let clip = media("clip.mp4");
    let clip = clip.to_str().expect("UTF-8");
    home.run(&[
        "call",
        "add_video",
        &format!("draft_id={id}"),
        &format!("video_url={clip}"),
        "rotation=90deg",
    ])
    .success();
    let mut client = home.connected();
    assert_eq!(
        clips(&document(&mut client, id))[0]["clip"]["rotation"],
        90.0
    );

    let plan = json!({ "name": "Plan", "visuals": [{ "video_url": clip, "rotation": 30, "properties": { "opacity": "25%" } }] });
    let (code, report, stderr) = compose(&home, &plan, &[]);
    assert_eq!(code, 0, "{stderr}");
    let own = &clips(&document(
        &mut client,
        report["draft_id"].as_str().expect("an id"),
    ))[0]["clip"];
    assert_eq!(
        (&own["rotation"], &own["alpha"]),
        (&json!(30.0), &json!(0.25))
    );
}

#[test]
fn the_http_api_ignores_properties_that_it_does_not_have() {
    let home = Home::embedded();
    let clip = media("clip.mp4");
    let folder = clip.parent().expect("a folder").to_string_lossy();
    let served = home.engine(&["--allow-dir", &folder]);
    let body = json!({ "video_url": clip, "rotation": 45, "properties": { "opacity": 0.5 } });
    let output = served.output("/add_video", &body).expect("added");
    let mut client = home.connected();
    let document = document(&mut client, output["draft_id"].as_str().expect("an id"));
    let own = &clips(&document)[0]["clip"];
    assert_eq!(
        (&own["rotation"], &own["alpha"]),
        (&json!(0.0), &json!(1.0))
    );
}
