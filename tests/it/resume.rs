//! Runs on an existing draft: an existing item counts as done only if it matches the plan in every setting, and
//! an aborted run removes what it added.

use std::time::Duration;

use serde_json::{Value, json};

use crate::plans::{compose, plan, remote};
use crate::racy::{Manners, Racy};
use crate::support::{Answer, Client, Delivery, Home, NOWHERE, Server, media};

/// Items of every kind.
fn every_kind(home: &Home) -> Value {
    home.file("first.srt", "1\n00:00:00,000 --> 00:00:01,000\nfirst\n");
    json!({
        "name": "Kinds", "aspect_ratio": "16:9",
        "audio": [{ "audio_url": media("music.mp3"), "volume": 0.5, "fit": "video" }],
        "visuals": [
            { "image_url": media("logo.png"), "duration": 2 },
            { "image_url": media("picture.jpg"), "duration": 2 },
        ],
        "texts": [{ "text": "one", "start": 0, "end": 1 }, { "text": "two", "start": 1, "end": 2, "font_color": "#00FF00" }],
        "subtitles": [{ "srt": home.path().join("first.srt") }],
        "stickers": [{ "sticker_id": "7107529669750066445", "start": 0, "end": 1 }],
        "effects": [{ "effect_type": "Flicker", "start": 0, "end": 1 }],
        "keyframes": [{ "property_type": "alpha", "time": 1, "value": "0.5" }],
        "save": false,
    })
}

/// The plan with another value at this path.
fn with(plan: &Value, place: &str, value: Value) -> Value {
    let mut plan = plan.clone();
    let (parent, key) = place.rsplit_once('/').expect("a place");
    match plan.pointer_mut(parent).expect("a parent") {
        Value::Array(items) => items[key.parse::<usize>().expect("an index")] = value,
        parent => parent[key] = value,
    }
    plan
}

fn resume(client: &mut Client, plan: &Value, draft: &Value) -> Result<Value, String> {
    let arguments = json!({ "plan": plan, "resume": draft, "detail": "all" });
    client.call("compose_draft", arguments)
}

fn script(client: &mut Client, draft: &Value) -> String {
    let asked = json!({ "draft_id": draft, "force_update": false });
    let reply = client.call("query_script", asked).expect("the script");
    reply["script"].as_str().expect("a document").to_owned()
}

#[test]
fn resume_takes_the_exact_name_of_a_draft() {
    let home = Home::embedded();
    let mut plan = json!({
        "name": "Kinds", "save": false, "texts": [{ "text": "one", "start": 0, "end": 1 }],
    });
    let mut client = home.connected();
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    plan["texts"] = json!([plan["texts"][0], { "text": "two", "start": 1, "end": 2 }]);
    let resumed = resume(&mut client, &plan, &json!("Kinds")).expect("resumed");
    assert_eq!(resumed["draft_id"], made["draft_id"], "{resumed}");
    assert_eq!(resumed["status"], "complete", "{resumed}");
    plan["texts"] = json!([
        plan["texts"][0], plan["texts"][1], { "text": "three", "start": 2, "end": 3 },
    ]);
    home.file("plan.json", plan.to_string());
    let output = home.run(&["compose", "plan.json", "--resume", "Kinds", "--json"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let draft = made["draft_id"].as_str().expect("an id");
    assert!(output.stdout.contains(draft), "{}", output.stdout);
}

/// The rows of a draft, with the words of its texts in full.
fn rows(client: &mut Client, draft: &Value) -> String {
    let rows = client.call("inspect_draft", json!({ "draft_id": draft }));
    rows.expect("the rows")["tracks"].to_string()
}

#[test]
fn resume_edits_the_clips_of_changed_items() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = every_kind(&home);
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let before = script(&mut client, &draft);
    let count = before.matches("target_timerange").count();
    for (place, value, part) in [
        ("/texts/0/text", json!("uno"), "\"words\":\"uno\""),
        ("/texts/1/start", json!(1.5), "\"start\":1.5"),
        ("/texts/0/end", json!(0.5), "\"end\":0.5"),
        ("/audio/0/volume", json!(0.9), "\"volume\":0.9"),
        ("/audio/0/audio_url", json!(media("voice.mp3")), "voice.mp3"),
        (
            "/visuals/0/image_url",
            json!(media("picture.jpg")),
            "picture.jpg",
        ),
        ("/effects/0/end", json!(2), "\"end\":2"),
    ] {
        let changed = with(&plan, place, value);
        let done = resume(&mut client, &changed, &draft);
        let done = done.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(done["status"], "complete", "{place}: {done}");
        assert_eq!(done["draft_id"], draft, "{place}");
        assert!(
            done.to_string()
                .contains("its clip in the draft was changed"),
            "{done}"
        );
        let rows = rows(&mut client, &draft);
        let now = script(&mut client, &draft);
        // Files have names of their own in a draft; the document has their paths.
        assert!(rows.contains(part) || now.contains(part), "{place}: {rows}");
        assert_eq!(
            now.contains("logo.png"),
            !place.ends_with("image_url"),
            "{now}"
        );
        assert_eq!(
            now.matches("target_timerange").count(),
            count,
            "{place}: nothing is added"
        );
        // The same plan again has nothing to do.
        resume(&mut client, &changed, &draft).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(script(&mut client, &draft), now, "{place}");
        let undo = json!({ "draft_id": draft });
        client.call("undo_draft", undo).expect("undone");
        assert_eq!(
            script(&mut client, &draft),
            before,
            "{place}: one step of undo"
        );
    }
    // Values of the look are read from the document.
    let looks = with(
        &with(&plan, "/texts/1/font_color", json!("#FF0000")),
        "/stickers/0/scale_x",
        json!(2),
    );
    resume(
        &mut client,
        &with(&looks, "/visuals/1/transform_x", json!(0.25)),
        &draft,
    )
    .expect("changed");
    let now: Value = serde_json::from_str(&script(&mut client, &draft)).expect("JSON");
    let clips = now["tracks"].as_array().expect("tracks").iter();
    let clips: Vec<&Value> = clips
        .flat_map(|track| track["segments"].as_array().expect("clips"))
        .collect();
    let has = |path: &str, value: f64| {
        clips
            .iter()
            .any(|clip| clip.pointer(path).and_then(Value::as_f64) == Some(value))
    };
    assert!(
        has("/clip/scale/x", 2.0) && has("/clip/transform/x", 0.25),
        "{now}"
    );
}

#[test]
fn several_changes_and_new_items_are_one_step() {
    let home = Home::embedded();
    let mut client = home.connected();
    let texts = |rows: &[(&str, f64, f64)]| {
        let items = rows
            .iter()
            .map(|(text, start, end)| json!({ "text": text, "start": start, "end": end }));
        json!({ "name": "Several", "save": false, "texts": items.collect::<Vec<_>>() })
    };
    let plan = texts(&[("one", 0.0, 1.0), ("two", 1.0, 2.0), ("three", 2.0, 3.0)]);
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let before = script(&mut client, &draft);
    // The first one is longer, so those after it move; one has other words, and one is new.
    let plan = texts(&[
        ("one", 0.0, 2.0),
        ("2", 2.0, 3.0),
        ("three", 3.0, 4.0),
        ("four", 4.0, 5.0),
    ]);
    let done = resume(&mut client, &plan, &draft).expect("changed");
    assert_eq!(done["status"], "complete", "{done}");
    let text = rows(&mut client, &draft);
    for (words, start, end) in [("one", 0, 2), ("2", 2, 3), ("three", 3, 4), ("four", 4, 5)] {
        let tracks: Value = serde_json::from_str(&text).expect("JSON");
        let clips = tracks[0]["clips"].as_array().expect("clips");
        let clip = clips
            .iter()
            .find(|clip| clip["words"] == words)
            .expect("the text");
        assert_eq!(clip["start"].as_f64(), Some(f64::from(start)), "{text}");
        assert_eq!(clip["end"].as_f64(), Some(f64::from(end)), "{text}");
    }
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(script(&mut client, &draft), before);
}

#[test]
fn what_was_edited_by_hand_is_replaced_only_with_overwrite() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = every_kind(&home);
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let by_hand = json!([
        { "op": "replace_text", "clip": "one", "text": "by hand" },
        { "op": "remove", "clip": "two" },
    ]);
    let edit = json!({ "draft_id": draft, "operations": by_hand });
    client.call("edit_draft", edit).expect("edited");
    let before = script(&mut client, &draft);
    let mut plan = with(&plan, "/texts/0/text", json!("uno"));
    let error = resume(&mut client, &plan, &draft).expect_err("edited by hand");
    for part in [
        "texts[0].text: the draft has \"one\", but the plan has \"uno\"; its clip was edited by hand",
        "texts[1]: the draft no longer has its clip",
        "`overwrite`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(script(&mut client, &draft), before, "nothing was changed");
    // What the plan does not change stays as it was edited.
    plan["texts"].as_array_mut().expect("texts").pop();
    let other = with(&plan, "/texts/0/text", json!("one"));
    let louder = with(&other, "/audio/0/volume", json!(0.9));
    resume(&mut client, &louder, &draft).expect("another item");
    let text = rows(&mut client, &draft);
    assert!(
        text.contains("by hand") && text.contains("\"volume\":0.9"),
        "{text}"
    );
    let arguments = json!({ "plan": plan, "resume": draft, "overwrite": true });
    let done = client.call("compose_draft", arguments).expect("replaced");
    assert_eq!(done["status"], "complete", "{done}");
    let text = rows(&mut client, &draft);
    assert!(text.contains("uno") && !text.contains("by hand"), "{text}");
}

#[test]
fn changed_items_that_no_operation_sets_are_added_again() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = every_kind(&home);
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let before = script(&mut client, &draft);
    let clips = |text: &str| text.matches("target_timerange").count();
    let keyframes = |text: &str| text.matches("\"time_offset\"").count();
    let video = json!({ "video_url": media("clip.mp4"), "start": 0, "end": 2 });
    for (place, value, part) in [
        ("/visuals/0/transition", json!("Dissolve"), "\"Dissolve\""),
        ("/visuals/0/intro_animation", json!("Fade_In"), "\"in\""),
        ("/visuals/0/mask_type", json!("Circle"), "\"circle\""),
        ("/visuals/0", video, "clip.mp4"),
        ("/texts/0/intro_animation", json!("Fade_In"), "\"in\""),
        (
            "/texts/0/shadow_enabled",
            json!(true),
            "\"has_shadow\":true",
        ),
        ("/subtitles/0/font_size", json!(9), "\"size\":9"),
        ("/subtitles/0/time_offset", json!(0.5), "first"),
        ("/stickers/0/sticker_id", json!("1"), "\"sticker_id\":\"1\""),
        ("/effects/0/effect_type", json!("TV_Lines"), "TVLines"),
        ("/keyframes/0/value", json!("0.75"), "0.75"),
        ("/keyframes/0/time", json!(1.5), "1500000"),
        (
            "/keyframes/0/property_type",
            json!("rotation"),
            "KFTypeRotation",
        ),
        ("/keyframes/0/track_name", json!("text_main"), "KFTypeAlpha"),
    ] {
        let changed = with(&plan, place, value);
        let done = resume(&mut client, &changed, &draft);
        let done = done.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(done["status"], "complete", "{place}: {done}");
        assert_eq!(done["draft_id"], draft, "{place}");
        let now = script(&mut client, &draft);
        // Texts of a document have JSON of their own.
        assert!(
            now.replace(['\\', ' '], "").contains(part),
            "{place}: {now}"
        );
        assert_ne!(now, before, "{place}");
        assert_eq!(clips(&now), clips(&before), "{place}: {now}");
        assert_eq!(keyframes(&now), keyframes(&before), "{place}: {now}");
        let again = resume(&mut client, &changed, &draft);
        let again = again.unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(script(&mut client, &draft), now, "{place}: {again}");
        let undo = json!({ "draft_id": draft });
        client.call("undo_draft", undo).expect("undone");
        assert_eq!(
            script(&mut client, &draft),
            before,
            "{place}: one step of undo"
        );
    }
    // The captions are in the file, and the file was changed.
    home.file(
        "first.srt",
        "1\n00:00:00,000 --> 00:00:00,500\nsecond\n\n2\n00:00:00,500 --> 00:00:02,000\nthird\n",
    );
    let done = resume(&mut client, &plan, &draft).expect("other captions");
    assert_eq!(done["status"], "complete", "{done}");
    let now = script(&mut client, &draft);
    assert!(
        now.contains("second") && now.contains("third") && !now.contains("first"),
        "{now}"
    );
    assert_eq!(clips(&now), clips(&before) + 1);
    resume(&mut client, &plan, &draft).expect("nothing to do");
    assert_eq!(script(&mut client, &draft), now);
    // One caption less.
    home.file("first.srt", "1\n00:00:00,500 --> 00:00:02,000\nthird\n");
    resume(&mut client, &plan, &draft).expect("one caption");
    assert_eq!(
        clips(&script(&mut client, &draft)),
        clips(&before),
        "the other one is removed"
    );
}

#[test]
fn keyframes_of_the_plan_stay_at_their_times_when_their_clip_changes() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = json!({
        "name": "Moving", "save": false,
        "visuals": [
            { "image_url": media("logo.png"), "duration": 2 },
            { "image_url": media("picture.jpg"), "duration": 2 },
        ],
        "keyframes": [
            { "property_types": ["alpha", "alpha", "scale_x"], "times": [0.25, 1.6, 2.5], "values": ["0.5", "1", "2"] },
        ],
    });
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let before = script(&mut client, &draft);
    let times = |client: &mut Client| {
        let text = script(client, &draft);
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let tracks = list(&document["tracks"]).into_iter();
        let clips = tracks.flat_map(|track| list(&track["segments"]));
        let points = clips.flat_map(|clip| {
            let start = clip["target_timerange"]["start"].as_f64().expect("a start");
            let lists = list(&clip["common_keyframes"]).into_iter();
            let points = lists.flat_map(|points| list(&points["keyframe_list"]));
            points.map(move |point| start + point["time_offset"].as_f64().expect("a time"))
        });
        let mut times: Vec<f64> = points.map(|micros| micros / 1e6).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    for changed in [
        with(&plan, "/visuals/0/duration", json!(1.5)),
        with(&plan, "/visuals/0/transition", json!("Dissolve")),
        with(&plan, "/visuals/1/image_url", json!(media("logo.png"))),
    ] {
        let done = resume(&mut client, &changed, &draft).expect("changed");
        assert_eq!(done["status"], "complete", "{done}");
        let now = times(&mut client);
        assert_eq!(now.len(), 3, "{now:?}");
        for (now, planned) in now.iter().zip([0.25, 1.6, 2.5]) {
            assert!((now - planned).abs() < 0.07, "{now} {planned}");
        }
        let text = script(&mut client, &draft);
        resume(&mut client, &changed, &draft).expect("nothing to do");
        assert_eq!(script(&mut client, &draft), text);
        let undo = json!({ "draft_id": draft });
        client.call("undo_draft", undo).expect("undone");
        assert_eq!(script(&mut client, &draft), before);
    }
    // Clips of the main track, which has a magnet.
    let mut main = plan.clone();
    for section in ["visuals", "keyframes"] {
        for item in main[section].as_array_mut().expect("items") {
            item["track_name"] = json!("video");
        }
    }
    let made = client.call("compose_draft", json!({ "plan": main }));
    let other = made.expect("made")["draft_id"].clone();
    let changed = with(&main, "/visuals/0/transition", json!("Dissolve"));
    let done = resume(&mut client, &changed, &other).expect("changed");
    assert_eq!(done["status"], "complete", "{done}");
    // Keyframes that are not in the plan are not lost with their clip.
    let by_hand =
        json!({ "draft_id": draft, "property_type": "rotation", "time": 1, "value": "45" });
    client.call("add_video_keyframe", by_hand).expect("added");
    let mut changed = with(&plan, "/visuals/0/transition", json!("Dissolve"));
    let error = resume(&mut client, &changed, &draft).expect_err("a keyframe by hand");
    assert!(
        error.contains("rotation") && error.contains("not in the plan"),
        "{error}"
    );
    // New keyframes are added to a draft that was edited.
    changed = with(&plan, "/visuals/0/scale_x", json!(2));
    changed["keyframes"]
        .as_array_mut()
        .expect("keyframes")
        .push(json!({ "property_type": "alpha", "time": 3, "value": "0.1" }));
    let done = resume(&mut client, &changed, &draft).expect("changed");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(times(&mut client).len(), 5);
}

#[test]
fn captions_and_keyframes_edited_by_hand_are_replaced_only_with_overwrite() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = every_kind(&home);
    let two = "1\n00:00:00,000 --> 00:00:01,000\nfirst\n\n2\n00:00:01,000 --> 00:00:02,000\nnext\n";
    home.file("first.srt", two);
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let by_hand = json!([
        { "op": "replace_text", "clip": "first", "text": "by hand" },
        { "op": "add_keyframes", "clip": { "track": "video_main", "at": 1 }, "property": "opacity",
            "points": [{ "time": 1, "value": 0.9 }] },
    ]);
    let edit = json!({ "draft_id": draft, "operations": by_hand });
    client.call("edit_draft", edit).expect("edited");
    let before = script(&mut client, &draft);
    // What the plan does not change stays as it was edited.
    resume(&mut client, &plan, &draft).expect("nothing to do");
    assert_eq!(script(&mut client, &draft), before);
    for (place, value) in [
        ("/subtitles/0/font_size", json!(9)),
        ("/keyframes/0/value", json!("0.75")),
        ("/visuals/0/transition", json!("Dissolve")),
    ] {
        let changed = with(&plan, place, value);
        let error = resume(&mut client, &changed, &draft).expect_err(place);
        assert!(
            error.contains("edited by hand since") && error.contains("`overwrite`"),
            "{place}: {error}"
        );
        assert_eq!(script(&mut client, &draft), before, "{place}");
        let overwrite = json!({ "plan": changed, "resume": draft, "overwrite": true });
        let done = client.call("compose_draft", overwrite).expect(place);
        assert_eq!(done["status"], "complete", "{place}: {done}");
        assert_ne!(script(&mut client, &draft), before, "{place}");
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
        assert_eq!(script(&mut client, &draft), before, "{place}");
    }
    home.file("first.srt", two.replace("next", "other"));
    let error = resume(&mut client, &plan, &draft).expect_err("another file");
    assert!(
        error.contains("subtitles[0].srt")
            && error.contains("\"other\"")
            && error.contains("by hand"),
        "{error}"
    );
}

#[test]
fn an_aborted_resume_leaves_the_draft_as_it_was_and_a_partial_one_can_be_undone_and_completed() {
    let home = Home::embedded();
    let nothing = Server::empty();
    let mut client = home.connected();
    let mut plan = every_kind(&home);
    plan.as_object_mut().expect("a plan").remove("save");
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let before = script(&mut client, &draft);
    let looks = with(&plan, "/visuals/0/transition", json!("Dissolve"));
    let looks = with(&looks, "/stickers/0/sticker_id", json!("1"));
    let looks = with(&looks, "/texts/0/text", json!("uno"));
    let mut failing = looks.clone();
    let missing = json!({ "image_url": format!("{}/missing.png", nothing.url), "duration": 2 });
    let visuals = failing["visuals"].as_array_mut().expect("pictures");
    visuals.push(missing);
    let abort = with(&failing, "/on_failure", json!("abort"));
    // Only what can be read replaces what is in the draft.
    let mut other = with(&plan, "/visuals/0", failing["visuals"][2].clone());
    for _ in 0..2 {
        let error = resume(&mut client, &other, &draft).expect_err("no file");
        assert!(
            error.contains("nothing was changed") && error.contains("visuals[0]: "),
            "{error}"
        );
        assert_eq!(script(&mut client, &draft), before);
        other["visuals"][0]["transition"] = json!("Dissolve");
    }

    let error = resume(&mut client, &abort, &draft).expect_err("aborted");
    assert!(error.contains("undone"), "{error}");
    assert_eq!(script(&mut client, &draft), before);
    // Aborted without a change of its own: the step before stays.
    let mut only_more = with(&plan, "/on_failure", json!("abort"));
    let visuals = only_more["visuals"].as_array_mut().expect("pictures");
    visuals.push(failing["visuals"][2].clone());
    let edit = json!([{ "op": "set", "clip": "two", "bold": true }]);
    let edit = json!({ "draft_id": draft, "operations": edit });
    client.call("edit_draft", edit).expect("edited");
    let bold = script(&mut client, &draft);
    let error = resume(&mut client, &only_more, &draft).expect_err("aborted");
    assert!(error.contains("undone"), "{error}");
    assert_eq!(script(&mut client, &draft), bold);
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(script(&mut client, &draft), before);

    // The other items are made; the whole run is one step.
    let done = resume(&mut client, &failing, &draft).expect("partial");
    assert_eq!(done["status"], "partial", "{done}");
    let partial = script(&mut client, &draft);
    assert!(
        partial.contains("Dissolve") && !partial.contains("missing.png"),
        "{partial}"
    );
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(script(&mut client, &draft), before);
    client
        .call("undo_draft", json!({ "draft_id": draft, "redo": true }))
        .expect("brought back");
    assert_eq!(script(&mut client, &draft), partial);
    let mended = with(
        &failing,
        "/visuals/2/image_url",
        json!(media("picture.jpg")),
    );
    let done = resume(&mut client, &mended, &draft).expect("completed");
    assert_eq!(done["status"], "complete", "{done}");
    let now = script(&mut client, &draft);
    let clips = |text: &str| text.matches("target_timerange").count();
    assert_eq!(clips(&now), clips(&before) + 1);
}

/// The document of a draft.
fn document(client: &mut Client, draft: &Value) -> Value {
    serde_json::from_str(&script(client, draft)).expect("JSON")
}

#[test]
fn resume_changes_the_settings_of_the_draft() {
    let home = Home::embedded();
    let mut client = home.connected();
    let mut plan = every_kind(&home);
    plan["markers"] = json!([{ "at": 1, "title": "A" }]);
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let before = script(&mut client, &draft);
    for (key, value, path, stored) in [
        ("fps", json!("25 fps"), "/fps", json!(25.0)),
        (
            "magnet",
            json!(false),
            "/config/maintrack_adsorb",
            json!(false),
        ),
        (
            "aspect_ratio",
            json!("9:16"),
            "/canvas_config/height",
            json!(1920),
        ),
        (
            "markers",
            json!([{ "at": 1, "title": "A" }, { "at": "2s", "title": "B" }]),
            "/time_marks/mark_items/1/title",
            json!("B"),
        ),
        (
            "cover",
            json!(media("picture.jpg")),
            "/capcut_mcp_cover/file",
            json!(media("picture.jpg")),
        ),
        ("name", json!("Others"), "/name", json!("Others")),
    ] {
        let mut changed = plan.clone();
        changed[key] = value;
        let done = resume(&mut client, &changed, &draft);
        let done = done.unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(done["status"], "complete", "{key}: {done}");
        let now = document(&mut client, &draft);
        assert_eq!(now.pointer(path), Some(&stored), "{key}: {now}");
        // The same plan again has nothing to do, also for another process.
        let after = script(&mut client, &draft);
        resume(&mut home.connected(), &changed, &draft).expect("nothing to do");
        assert_eq!(script(&mut client, &draft), after, "{key}");
        let undo = json!({ "draft_id": draft });
        client.call("undo_draft", undo).expect("undone");
        assert_eq!(script(&mut client, &draft), before, "{key}: one step");
    }
    // Items that change with the settings are the same step.
    let mut changed = with(&plan, "/texts/0/text", json!("uno"));
    (changed["fps"], changed["magnet"]) = (json!(50), json!(false));
    resume(&mut client, &changed, &draft).expect("changed");
    let now = document(&mut client, &draft);
    assert_eq!(now["fps"], 50.0);
    assert!(now.to_string().contains("uno"), "{now}");
    // What was edited by hand is replaced with `overwrite` only; what the plan does not set stays.
    let by_hand = json!({ "draft_id": draft, "operations": [{ "op": "settings", "fps": 60 }] });
    client.call("edit_draft", by_hand).expect("edited");
    changed["fps"] = json!(25);
    let error = resume(&mut client, &changed, &draft).expect_err("edited by hand");
    assert!(
        error.contains("fps: the draft has 60")
            && error.contains("the plan has 25")
            && error.contains("edited by hand")
            && error.contains("`overwrite`"),
        "{error}"
    );
    let without = changed.as_object_mut().expect("a plan").remove("fps");
    resume(&mut client, &changed, &draft).expect("nothing to do");
    assert_eq!(document(&mut client, &draft)["fps"], 60.0);
    changed["fps"] = without.expect("a frame rate");
    let arguments = json!({ "plan": changed, "resume": draft, "overwrite": true });
    client.call("compose_draft", arguments).expect("replaced");
    assert_eq!(document(&mut client, &draft)["fps"], 25.0);
    // A wrong value changes nothing.
    let before = script(&mut client, &draft);
    changed["cover"] = json!(media("music.mp3"));
    let error = resume(&mut client, &changed, &draft).expect_err("no picture");
    assert!(
        error.contains("contains no picture") && error.contains("nothing was changed"),
        "{error}"
    );
    assert_eq!(script(&mut client, &draft), before);
}

#[test]
fn a_renamed_draft_is_saved_under_its_new_name() {
    let home = Home::embedded();
    let mut client = home.connected();
    let mut plan = json!({
        "name": "First", "texts": [{ "text": "one", "start": 0, "end": 1 }], "save": { "portable": true },
    });
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    plan["name"] = json!("Second");
    let done = resume(&mut client, &plan, &draft).expect("renamed");
    let folder = done["report"]["folder"].as_str().expect("a folder");
    assert!(folder.ends_with("Second"), "{done}");
    // A copy has its own name.
    let copy = json!({ "template": draft, "name": "Third" });
    let copy = client.call("apply_template", copy).expect("copied");
    let saved = json!({ "draft_id": copy["draft_id"], "portable": true });
    let saved = client.call("save_draft", saved).expect("saved");
    let folder = saved["folder"].as_str().expect("a folder");
    assert!(folder.ends_with("Third"), "{saved}");
}

#[test]
fn resume_rejects_another_note() {
    let home = Home::embedded();
    let mut client = home.connected();
    let mut plan = every_kind(&home);
    plan["note"] = json!("for Monday");
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let before = script(&mut client, &draft);
    let error = resume(
        &mut client,
        &with(&plan, "/note", json!("for Friday")),
        &draft,
    )
    .expect_err("another note");
    assert!(
        error.contains("note: the draft has \"for Monday\"")
            && error.contains("cannot be changed")
            && error.contains("without `resume`"),
        "{error}"
    );
    assert!(!error.contains("already in the draft"), "{error}");
    assert_eq!(script(&mut client, &draft), before, "nothing was changed");
    // The same plan, with other spellings of the same values and new items.
    let more = with(
        &with(&plan, "/texts/0/start", json!("0.0")),
        "/texts/0/vertical",
        json!(false),
    );
    let mut more = with(&more, "/effects/0/track_name", json!("effect_01"));
    more["texts"]
        .as_array_mut()
        .expect("texts")
        .push(json!({ "text": "three", "start": 2, "end": 3 }));
    let done = resume(&mut client, &more, &draft).expect("one is added");
    assert_eq!(done["status"], "complete", "{done}");
    let sent: Vec<&Value> = done["report"]["items"]
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["tries"] != 0)
        .map(|row| &row["item"])
        .collect();
    assert_eq!(sent, [&json!("texts[2]")]);
}

#[test]
fn resume_reports_removed_and_moved_items() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = every_kind(&home);
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let mut fewer = plan.clone();
    fewer["texts"].as_array_mut().expect("texts").remove(0);
    let done = resume(&mut client, &fewer, &draft).expect("nothing to do");
    let notes = done["report"]["notes"].to_string();
    assert!(
        notes.contains("`add_text`") && notes.contains("one") && notes.contains("text_main"),
        "{done}"
    );
    let mut turned = plan.clone();
    turned["texts"].as_array_mut().expect("texts").reverse();
    let done = resume(&mut client, &turned, &draft).expect("nothing to do");
    let notes = done["report"]["notes"].to_string();
    assert!(
        notes.contains("texts[1] was added to the draft before texts[0]"),
        "{done}"
    );
    // Without given times, pictures in another order are different pictures at those times.
    let mut turned = plan.clone();
    turned["visuals"]
        .as_array_mut()
        .expect("pictures")
        .reverse();
    let done = resume(&mut client, &turned, &draft).expect("in another order");
    assert_eq!(done["status"], "complete", "{done}");
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    // A text that was added by hand is not mistaken for the plan's text.
    let by_hand = json!({ "draft_id": draft, "text": "by hand", "start": 5, "end": 6 });
    client.call("add_text", by_hand).expect("added");
    let mut more = plan.clone();
    more["texts"]
        .as_array_mut()
        .expect("texts")
        .push(json!({ "text": "planned", "start": 5, "end": 6 }));
    let error = resume(&mut client, &more, &draft).expect_err("another text is at this position");
    assert!(
        error.contains("texts[2].text") && error.contains("by hand") && error.contains("planned"),
        "{error}"
    );
}

#[test]
fn a_changed_item_moves_the_draft_of_a_server_here() {
    let (home, api) = remote(1);
    let mut client = home.connected();
    let plan = plan(4);
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let sent = api.server.count("/add_");
    // What no operation can change leaves the draft where it is.
    let error = resume(&mut client, &with(&plan, "/note", json!("Other")), &draft);
    assert!(error.expect_err("changed").contains("note: "));
    let done = resume(&mut client, &plan, &draft).expect("everything is in the draft");
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(done["draft_id"], draft, "{done}");

    let louder = with(&plan, "/texts/0/text", json!("uno"));
    let error = resume(&mut client, &louder, &draft).expect_err("only a server");
    assert!(
        error.contains("`--backend remote` allows only a server"),
        "{error}"
    );
    drop(client);
    let mut client = home.serve_with(&["serve", "--backend", "auto"]);
    client.initialize("2025-11-25");
    let done = resume(&mut client, &louder, &draft).expect("changed here");
    assert_eq!(done["status"], "complete", "{done}");
    assert_ne!(done["draft_id"], draft, "{done}");
    assert!(
        done.to_string().contains("keep the server's copy"),
        "{done}"
    );
    let text = rows(&mut client, &done["draft_id"]);
    assert!(text.contains("uno"), "{text}");
    assert_eq!(api.server.count("/add_"), sent, "nothing was sent");
    // The old id says where the draft is now.
    let error = resume(&mut client, &louder, &draft).expect_err("moved");
    let new = done["draft_id"].as_str().expect("an id");
    assert!(error.contains(new), "{error}");
}

/// A plan that fails at its second picture, after a picture and a sound.
fn failing(nothing: &Server) -> Value {
    json!({
        "on_failure": "abort",
        "audio": [{ "audio_url": media("music.mp3"), "end": 1 }],
        "visuals": [
            { "image_url": media("logo.png"), "duration": 2 },
            { "image_url": format!("{}/missing.png", nothing.url), "duration": 2 },
        ],
        "texts": [{ "text": "never" }],
    })
}

#[test]
fn an_abort_undoes_only_what_the_run_added() {
    let home = Home::embedded();
    let nothing = Server::empty();
    let mut client = home.connected();
    let draft = client.call("create_draft", json!({})).expect("a draft")["draft_id"].clone();
    let text =
        json!({ "draft_id": draft, "text": "mine", "start": 0, "end": 1, "track_name": "mine" });
    client.call("add_text", text).expect("added");
    let before = script(&mut client, &draft);
    let error = resume(&mut client, &failing(&nothing), &draft).expect_err("aborted");
    let id = draft.as_str().expect("an id");
    assert!(
        error.contains("missing.png") && error.contains("undone") && error.contains(id),
        "{error}"
    );
    assert_eq!(script(&mut client, &draft), before);
    // Another process reads the same draft and can continue it.
    let mut other = home.connected();
    assert_eq!(script(&mut other, &draft), before);
    let mut good = failing(&nothing);
    good["visuals"].as_array_mut().expect("pictures").pop();
    let done = resume(&mut other, &good, &draft).expect("made");
    assert_eq!(done["report"]["totals"]["segments_in_draft"], 4, "{done}");
    let list = client.call("list_drafts", json!({})).expect("a list");
    assert_eq!(list["drafts"].as_array().map(Vec::len), Some(1), "{list}");
    // Undone calls are not replayed elsewhere.
    let moved = client
        .call(
            "recover_draft",
            json!({ "draft_id": draft, "to": "embedded" }),
        )
        .expect("recreated");
    assert_eq!(
        script(&mut client, &moved["draft_id"])
            .matches("missing.png")
            .count(),
        0
    );
}

#[test]
fn a_draft_created_by_an_aborted_run_can_be_restored() {
    let home = Home::embedded();
    let nothing = Server::empty();
    let (code, report, _) = compose(&home, &failing(&nothing), &[]);
    assert_eq!(
        (code, &report["outcome"]),
        (1, &json!("aborted")),
        "{report}"
    );
    let notes = report["notes"].to_string();
    let id = notes
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .find(|word| word.starts_with("dfd_"))
        .expect("the draft is named");
    assert!(
        notes.contains("delete_draft") && notes.contains("restore"),
        "{notes}"
    );
    let wish = json!({ "draft_id": id, "restore": true });
    home.call("delete_draft", &wish).expect("restored");
    let list = home.call("list_drafts", &json!({})).expect("a list");
    assert_eq!(list["drafts"][0]["draft_id"], json!(id), "{list}");
}

#[test]
fn an_abort_on_a_server_reports_what_remains() {
    let api = Racy::start_with(
        Manners {
            latency: Duration::ZERO,
            steady: true,
        },
        None,
        |_, asked, carry_out| {
            if asked.path == "/add_text" && asked.json()["text"] == "four" {
                return Answer::failure("no such font");
            }
            carry_out(None)
        },
    );
    let home = Home::remote(&api.server.url);
    let mut client = home.connected();
    let made = client
        .call("compose_draft", json!({ "plan": plan(2) }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let mut more = plan(2);
    more["on_failure"] = json!("abort");
    more["texts"].as_array_mut().expect("texts").extend([
        json!({ "text": "three", "start": 2, "end": 3 }),
        json!({ "text": "four", "start": 3, "end": 4 }),
    ]);
    let error = resume(&mut client, &more, &draft).expect_err("aborted");
    let id = draft.as_str().expect("an id");
    assert!(
        error.contains(id) && error.contains("texts[2] in addition to its earlier content"),
        "{error}"
    );
    let list = client.call("list_drafts", json!({})).expect("a list");
    assert_eq!(
        list["drafts"][0]["draft_id"], draft,
        "the draft still exists: {list}"
    );
}

#[test]
fn unreachable_media_fail_their_items_and_the_rest_is_saved() {
    let home = Home::embedded();
    let clip = std::fs::read(media("clip.mp4")).expect("the clip");
    // Range requests succeed, so the clip can be inspected, but a full download breaks off.
    let breaking = Server::start(move |asked| {
        let range = asked.headers.get("range").and_then(|range| {
            let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?))
        });
        let Some((from, to)) = range else {
            return Answer::new(200, "video/mp4", clip.clone()).delivery(Delivery::CutAt(100));
        };
        let to = to.min(clip.len() - 1);
        let mut answer = Answer::new(206, "video/mp4", &clip[from..=to]);
        answer.headers.push((
            "Content-Range".to_owned(),
            format!("bytes {from}-{to}/{}", clip.len()),
        ));
        answer
    });
    let plan = json!({
        "name": "Rest",
        "visuals": [
            { "image_url": media("logo.png"), "duration": 2 },
            { "video_url": format!("{}/clip.mp4", breaking.url), "start": 0, "end": 1 },
        ],
        "audio": [{ "audio_url": format!("{NOWHERE}/dead.mp3"), "start": 0, "end": 2 }],
        "texts": [{ "text": "here" }],
    });
    let (code, report, stderr) = compose(&home, &plan, &[]);
    assert_eq!(
        (code, &report["outcome"]),
        (1, &json!("partial")),
        "{stderr}\n{report}"
    );
    assert_eq!(
        report["totals"],
        json!({ "asked": 4, "ok": 2, "failed": 2, "skipped": 0, "segments_in_draft": 2 }),
        "{report}"
    );
    let folder = std::path::PathBuf::from(report["folder"].as_str().expect("the rest is saved"));
    assert!(
        folder.is_dir() && report["save_error"].is_null(),
        "{report}"
    );
    let status = |item: &str| {
        let rows = report["items"].as_array().expect("rows").iter();
        rows.filter(|row| row["item"] == item)
            .map(|row| row["status"].as_str().expect("a status").to_owned())
            .collect::<String>()
    };
    assert_eq!(status("audio[0]"), "failed");
    assert_eq!(status("visuals[1]"), "failed");
    // With reachable media, only the failed items are added, at their positions.
    let mut mended = plan.clone();
    mended["visuals"][1]["video_url"] = json!(media("clip.mp4"));
    mended["audio"][0]["audio_url"] = json!(media("music.mp3"));
    let draft = report["draft_id"].as_str().expect("a draft").to_owned();
    let (code, report, stderr) = compose(&home, &mended, &["--resume", &draft]);
    assert_eq!(
        (code, &report["outcome"]),
        (0, &json!("complete")),
        "{stderr}\n{report}"
    );
    assert_eq!(report["totals"]["segments_in_draft"], 4, "{report}");
    // Without a save, an item whose media could not be inspected is kept, but not counted as verified.
    let unsaved = with(
        &json!({ "audio": plan["audio"], "texts": plan["texts"] }),
        "/save",
        json!(false),
    );
    let (code, report, stderr) = compose(&home, &unsaved, &[]);
    assert_eq!(
        (code, &report["outcome"]),
        (0, &json!("complete")),
        "{stderr}"
    );
    assert_eq!(
        (&report["totals"]["ok"], &report["totals"]["unseen"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(report["items"][0]["status"], "unseen", "{report}");
    // An abort leaves nothing of the draft.
    let (code, report, _) = compose(&home, &with(&plan, "/on_failure", json!("abort")), &[]);
    assert_eq!(
        (code, &report["outcome"]),
        (1, &json!("aborted")),
        "{report}"
    );
    assert!(report["folder"].is_null(), "{report}");
}

#[test]
fn an_item_after_one_of_unknown_length_fails_on_a_server() {
    let (home, api) = remote(1);
    let mut client = home.connected();
    let plan = json!({
        "visuals": [
            { "video_url": format!("{NOWHERE}/a.mp4") },
            { "video_url": format!("{NOWHERE}/b.mp4") },
            { "image_url": format!("{NOWHERE}/c.png"), "start": 60, "end": 61 },
        ],
        "save": false,
    });
    let reply = client
        .call("compose_draft", json!({ "plan": plan, "detail": "all" }))
        .expect("the other items are made");
    assert_eq!(reply["status"], "partial", "{reply}");
    let second = &reply["report"]["items"][1];
    assert_eq!(second["status"], "failed", "{reply}");
    let error = second["error"].as_str().expect("why");
    assert!(error.contains("its start follows"), "{error}");
    assert_eq!(api.server.count("/add_video"), 1);
}

#[test]
fn resume_sets_names_that_were_changed() {
    let home = Home::embedded();
    let mut client = home.connected();
    let plan = every_kind(&home);
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let draft = made["draft_id"].clone();
    let changed = with(
        &with(&plan, "/stickers/0/sticker_id", json!("123")),
        "/effects/0/effect_type",
        json!("Heart_Kisses"),
    );
    resume(&mut client, &changed, &draft).expect("they are set");
    let script = script(&mut client, &draft);
    assert!(script.contains("\"sticker_id\":\"123\""), "{script}");
    assert!(script.contains("6925620336390050305"), "{script}");
}
