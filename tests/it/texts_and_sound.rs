//! Looks of texts and sounds beyond the arguments that schemas list: loop animations, styles of parts, saved styles,
//! loudness over time, the sound of a video as a clip.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::drafts::{self, created, document, edited, saved_at, script, text};
use crate::support::{Client, Home, media};

fn add(client: &mut Client, draft: &str, tool: &str, arguments: &Value) -> Value {
    let mut arguments = arguments.clone();
    arguments["draft_id"] = draft.into();
    match client.call(tool, arguments.clone()) {
        Ok(reply) => reply,
        Err(error) => panic!("{arguments}: {error}"),
    }
}

fn saved(client: &mut Client, draft: &str) -> (PathBuf, Value) {
    let saved = client.call("save_draft", json!({ "draft_id": draft, "portable": true }));
    let saved = saved.expect("saved");
    let (folder, document) = saved_at(&saved);
    let found = client.call("validate_draft", json!({ "draft": text(&folder) }));
    let found = found.expect("problems");
    assert_eq!(found["errors"], 0, "{found}");
    (folder, document)
}

fn styles(document: &Value) -> Value {
    let content = document["materials"]["texts"][0]["content"]
        .as_str()
        .expect("a text");
    let content: Value = serde_json::from_str(content).expect("JSON");
    content["styles"].clone()
}

#[test]
fn a_loop_animation_fills_what_entrance_and_exit_leave() {
    let home = Home::embedded();
    let mut client = home.connected();
    for edition in ["capcut", "jianying"] {
        let first = |client: &mut Client, kind: &str| {
            let found = client.call(
                "search_catalog",
                json!({ "kind": kind, "edition": edition, "limit": 1 }),
            );
            let found = found.expect("names");
            found["hits"][0]["name"]
                .as_str()
                .expect("a name")
                .to_owned()
        };
        let (intro, outro, own) = (
            first(&mut client, "text_intro"),
            first(&mut client, "text_outro"),
            first(&mut client, "text_loop"),
        );
        let draft = created(&mut client, json!({ "edition": edition }));
        add(
            &mut client,
            &draft,
            "add_text",
            &json!({
                "text": "Hello", "duration": 4, "intro_animation": intro, "intro_duration": 0.5,
                "outro_animation": outro, "outro_duration": 1, "loop_animation": own,
            }),
        );
        let spans = |document: &Value| -> Vec<(String, i64, i64)> {
            let all = document["materials"]["material_animations"][0]["animations"].as_array();
            all.expect("animations")
                .iter()
                .map(|one| {
                    (
                        one["type"].as_str().expect("a type").to_owned(),
                        one["start"].as_i64().expect("a time"),
                        one["duration"].as_i64().expect("a time"),
                    )
                })
                .collect()
        };
        let expected = [
            ("in".to_owned(), 0, 500_000),
            ("out".to_owned(), 3_000_000, 1_000_000),
            ("loop".to_owned(), 500_000, 2_500_000),
        ];
        let (_, document) = saved(&mut client, &draft);
        assert_eq!(spans(&document), expected, "{edition}");
        let before = script(&mut client, &draft);
        let longer = json!([
            { "op": "set", "clip": "Hello", "intro_duration": 1 },
            { "op": "trim", "clip": "Hello", "end": 6 },
        ]);
        edited(&mut client, &draft, longer).expect("edited");
        let (_, document) = saved(&mut client, &draft);
        assert_eq!(
            spans(&document)[2],
            ("loop".to_owned(), 1_000_000, 4_000_000)
        );
        let without = json!([{ "op": "set", "clip": "Hello", "text_loop": "none" }]);
        edited(&mut client, &draft, without).expect("edited");
        client
            .call("undo_draft", json!({ "draft_id": draft, "steps": 2 }))
            .expect("undone");
        assert_eq!(script(&mut client, &draft), before);
        let error = edited(
            &mut client,
            &draft,
            json!([{ "op": "set", "clip": "Hello", "loop_animation": "no such thing" }]),
        );
        assert!(error.expect_err("refused").contains("loop_animation"));
    }
}

#[test]
fn parts_of_a_text_are_styled_in_the_simple_form() {
    let home = Home::embedded();
    let mut client = home.connected();
    let one = |client: &mut Client, parts: Value| {
        let draft = created(client, json!({ "edition": "capcut" }));
        add(
            client,
            &draft,
            "add_text",
            &json!({ "text": "one two one", "duration": 2, "font_size": 8, "text_styles": parts }),
        );
        styles(&document(client, &draft))
    };
    let nested = one(
        &mut client,
        json!([{ "start": 4, "end": 7, "style": { "color": "#FFCC00", "bold": true, "size": 12 }, "border": { "width": 40, "color": "#000000" } }]),
    );
    let ranges: Vec<&Value> = nested
        .as_array()
        .expect("styles")
        .iter()
        .map(|style| &style["range"])
        .collect();
    assert_eq!(ranges, [&json!([0, 4]), &json!([4, 7]), &json!([7, 11])]);
    for parts in [
        json!([{ "start": 4, "end": 7, "font_color": "#FFCC00", "bold": true, "font_size": 12, "border_color": "black" }]),
        json!([{ "range": [4, 7], "color": "#fc0", "bold": "yes", "size": "12", "outline_color": "#000" }]),
        json!({ "words": "two", "text_color": "rgb(255, 204, 0)", "bold": 1, "font_size": 12, "border_width": 40 }),
        json!(
            "[{\"from\": 4, \"to\": 7, \"font_color\": \"#FFCC00\", \"bold\": true, \"font_size\": 12, \"border_color\": \"#000000\"}]"
        ),
    ] {
        assert_eq!(one(&mut client, parts.clone()), nested, "{parts}");
    }
    let both = one(&mut client, json!([{ "words": "one", "italic": true }]));
    let italic: Vec<&Value> = both
        .as_array()
        .expect("styles")
        .iter()
        .filter(|style| style["italic"] == true)
        .collect();
    assert_eq!(italic.len(), 2);
    let draft = created(&mut client, json!({ "edition": "capcut" }));
    for (parts, says) in [
        (
            json!([{ "words": "three", "bold": true }]),
            "which is not in the text",
        ),
        (
            json!([{ "start": 0, "end": 1, "color": "red", "style": { "color": "blue" } }]),
            "give one of them",
        ),
        (
            json!([{ "start": 0, "end": 1, "font_colour": "red" }]),
            "font_colour",
        ),
        (
            json!([{ "start": 0, "end": 99, "bold": true }]),
            "is not a range of a text",
        ),
    ] {
        let error = client.call(
            "add_text",
            json!({ "draft_id": draft, "text": "one two", "text_styles": parts }),
        );
        let error = error.expect_err("refused");
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_saved_style_gives_other_texts_the_same_look() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = created(&mut client, json!({ "edition": "capcut" }));
    add(
        &mut client,
        &draft,
        "add_text",
        &json!({
            "text": "Model", "duration": 3, "font": "Poppins_Bold", "font_size": 12, "font_color": "#FFCC00", "bold": true,
            "alignment": "left", "letter_spacing": 0.1, "border_color": "#112233", "border_width": 30,
            "background_color": "#445566", "background_alpha": 0.5, "shadow_color": "#778899", "vertical": true,
            "intro_animation": "Typewriter", "intro_duration": 0.8,
        }),
    );
    let listed = client.call(
        "style_presets",
        json!({ "save": "Yellow title", "draft_id": draft, "clip": "Model" }),
    );
    let listed = listed.expect("saved");
    assert_eq!(listed["styles"][0]["name"], "Yellow title", "{listed}");
    let look = &listed["styles"][0]["properties"];
    assert_eq!(
        (&look["font_color"], &look["alignment"]),
        (&json!("#FFCC00"), &json!("left")),
        "{look}"
    );
    // Kept in the data folder: another process has it.
    drop(client);
    let mut client = home.connected();
    let rows = |client: &mut Client, draft: &str, query: &str| {
        let rows = client.call(
            "inspect_draft",
            json!({ "draft_id": draft, "query": query }),
        );
        let rows = rows.expect("rows");
        let tracks = rows["tracks"].as_array().expect("tracks").clone();
        tracks[0]["clips"][0]["look"].clone()
    };
    let model = rows(&mut client, &draft, "Model");
    assert!(
        model.as_object().is_some_and(|look| look.len() > 15),
        "{model}"
    );
    add(
        &mut client,
        &draft,
        "add_text",
        &json!({ "text": "Copy", "start": 3, "duration": 2, "style": "yellow title" }),
    );
    assert_eq!(rows(&mut client, &draft, "Copy"), model);
    add(
        &mut client,
        &draft,
        "add_text",
        &json!({ "text": "Plain", "start": 5, "duration": 2 }),
    );
    let before = script(&mut client, &draft);
    let set = json!([{ "op": "set", "clip": "Plain", "style": "Yellow title", "font_size": 20 }]);
    edited(&mut client, &draft, set).expect("set");
    let mut expected = model.clone();
    expected["font_size"] = json!(20.0);
    assert_eq!(rows(&mut client, &draft, "Plain"), expected);
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(script(&mut client, &draft), before);
    let plan = json!({
        "texts": [{ "text": "In a plan", "style": "Yellow title" }], "save": false,
    });
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let planned = made["draft_id"].as_str().expect("an id").to_owned();
    assert_eq!(
        rows(&mut client, &planned, "plan")["border_width"],
        model["border_width"]
    );
    // Captions have it as well; what is given beside it wins.
    let srt = "1\n00:00:00,000 --> 00:00:01,000\nOne\n\n2\n00:00:01,000 --> 00:00:02,000\nTwo\n";
    let captioned = client.call("create_draft", json!({})).expect("a draft");
    let captioned = captioned["draft_id"].as_str().expect("an id").to_owned();
    add(
        &mut client,
        &captioned,
        "add_subtitle",
        &json!({ "srt": srt, "style": "yellow title", "font_size": 6 }),
    );
    for words in ["One", "Two"] {
        let look = rows(&mut client, &captioned, words);
        assert_eq!(
            (
                &look["border_width"],
                &look["font_color"],
                &look["font_size"]
            ),
            (&model["border_width"], &model["font_color"], &json!(6.0)),
            "{look}"
        );
    }
    let error = client.call(
        "add_text",
        json!({ "draft_id": draft, "text": "x", "start": 9, "style": "Blue" }),
    );
    let error = error.expect_err("refused");
    assert!(error.contains("Yellow title"), "{error}");
    let own = client.call(
        "style_presets",
        json!({ "save": "Small", "properties": { "fontSize": "5", "color": "red" } }),
    );
    let own = own.expect("saved");
    assert_eq!(own["styles"][0]["properties"]["font_size"], 5.0, "{own}");
    let error = client.call(
        "style_presets",
        json!({ "save": "Wrong", "properties": { "font_size": "huge", "volume": 1 } }),
    );
    error.expect_err("refused");
    let left = client
        .call("style_presets", json!({ "remove": "Small" }))
        .expect("removed");
    assert_eq!(left["styles"].as_array().map(Vec::len), Some(1), "{left}");
}

/// The keyframes of loudness of the first clip of a file, as times and values.
fn curve(document: &Value, kind: &str) -> Vec<(i64, f64)> {
    let tracks = document["tracks"].as_array().expect("tracks");
    let segments = tracks
        .iter()
        .filter(|track| track["type"] == kind)
        .flat_map(|track| track["segments"].as_array().expect("segments"));
    let groups =
        segments.flat_map(|segment| segment["common_keyframes"].as_array().expect("groups"));
    groups
        .filter(|group| group["property_type"] == "KFTypeVolume")
        .flat_map(|group| group["keyframe_list"].as_array().expect("points"))
        .map(|point| {
            (
                point["time_offset"].as_i64().expect("a time"),
                point["values"][0].as_f64().expect("a value"),
            )
        })
        .collect()
}

#[test]
fn volume_is_a_curve_on_the_clock_of_the_clip() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = created(&mut client, json!({ "edition": "jianying" }));
    // From 1 s of the file on, at 0.5 s of the timeline, twice as fast.
    add(
        &mut client,
        &draft,
        "add_audio",
        &json!({
            "audio_url": text(&media("music.mp3")), "start": 1, "end": 3, "target_start": 0.5, "speed": 2,
            "volume": [{ "at": 0.5, "value": 1 }, { "time": "1 s", "volume": "50%" }, [1.5, 0]],
        }),
    );
    let (_, document) = saved(&mut client, &draft);
    assert_eq!(
        curve(&document, "audio"),
        [(1_000_000, 1.0), (2_000_000, 0.5), (3_000_000, 0.0)]
    );
    let rows = client.call(
        "inspect_draft",
        json!({ "draft_id": draft, "query": "music" }),
    );
    let rows = rows.expect("rows");
    let points = &rows["tracks"][0]["clips"][0]["keyframes"]["volume"];
    assert_eq!(points[1], json!([1.0, 0.5]), "{rows}");
    let before = script(&mut client, &draft);
    let set =
        json!([{ "op": "set", "clip": "music.mp3", "volume": [{ "at": 0.5, "value": 0.2 }] }]);
    edited(&mut client, &draft, set).expect("set");
    let (_, document) = saved(&mut client, &draft);
    assert_eq!(curve(&document, "audio"), [(1_000_000, 0.2)]);
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(script(&mut client, &draft), before);
    let plan = json!({
        "audio": [{ "audio_url": text(&media("music.mp3")), "at": 1, "duration": 2, "volume": [{ "at": 1, "value": 0 }, { "at": 2, "value": "100%" }] }],
        "texts": [{ "text": "a", "duration": 3 }], "save": { "portable": true },
    });
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("made");
    let planned = made["draft_id"].as_str().expect("an id").to_owned();
    let (_, document) = saved(&mut client, &planned);
    assert_eq!(curve(&document, "audio"), [(0, 0.0), (1_000_000, 1.0)]);
    for (volume, says) in [
        (json!([{ "at": 9, "value": 1 }]), "is not within"),
        (json!([{ "at": 1 }]), "volume_curve[0]"),
        (json!([{ "at": 1, "value": 99 }]), "0 to 10"),
        (json!([7]), "volume_curve[0]"),
    ] {
        let error = client.call(
            "add_audio",
            json!({ "draft_id": draft, "audio_url": text(&media("music.mp3")), "end": 1, "track_name": "b", "volume": volume }),
        );
        let error = error.expect_err("refused");
        assert!(error.contains(says), "{volume}: {error}");
    }
}

#[test]
fn each_point_of_loudness_has_its_easing() {
    let home = Home::embedded();
    let mut client = home.connected();
    let points = json!([
        { "at": 0, "value": 1, "easing": "in_out" },
        { "at": 1, "value": 0.5 },
        { "at": 2, "value": 0, "easing": "out" },
    ]);
    let music = json!({ "audio_url": media("music.mp3"), "end": 2, "volume": points });
    let plan = json!({ "audio": [music], "save": false });
    let mut curves = Vec::new();
    for by_plan in [false, true] {
        let draft = if by_plan {
            let made = client.call("compose_draft", json!({ "plan": plan }));
            made.expect("made")["draft_id"].clone()
        } else {
            let draft =
                client.call("create_draft", json!({})).expect("a draft")["draft_id"].clone();
            let mut music = music.clone();
            music["draft_id"] = draft.clone();
            client.call("add_audio", music).expect("added");
            draft
        };
        let text = script(&mut client, draft.as_str().expect("an id"));
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let tracks = document["tracks"].as_array().expect("tracks");
        let mut lists = tracks
            .iter()
            .filter(|track| track["type"] == "audio")
            .map(|track| track["segments"][0]["common_keyframes"][0].clone());
        let list = lists.next_back().expect("a list");
        assert_eq!(list["property_type"], "KFTypeVolume");
        let of = |index: usize, key: &str| list["keyframe_list"][index][key].clone();
        assert_eq!(of(0, "right_control"), json!({ "x": 420_000.0, "y": 0.0 }));
        assert_eq!(of(1, "left_control")["x"], -420_000.0);
        assert_eq!(of(1, "right_control")["x"], 0.0, "a straight line");
        curves.push((of(0, "curveType"), of(1, "values")));
    }
    assert_eq!(curves[0], (json!("FreeCurveInOut"), json!([0.5])));
    assert_eq!(curves[0], curves[1]);
    let draft = created(&mut client, json!({}));
    let wrong = json!({
        "draft_id": draft, "audio_url": media("music.mp3"), "end": 2, "volume": [{ "at": 0, "value": 1, "easing": "bounce" }],
    });
    let error = client.call("add_audio", wrong).expect_err("refused");
    assert!(
        error.contains("easing") && error.contains("in_out"),
        "{error}"
    );
}

#[test]
fn effects_of_texts_are_given_by_id() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = created(&mut client, json!({}));
    for name in ["effect_effect_id", "text_effect", "bubble_effect_id"] {
        let mut wrong =
            json!({ "draft_id": draft, "text": "Hi", "bubble_resource_id": "6742029398926430728" });
        wrong[name] = json!("golden letters");
        let error = client.call("add_text", wrong).expect_err("refused");
        assert!(
            error.contains("\"golden letters\" is not an id") && error.contains("another draft"),
            "{error}"
        );
    }
    let right =
        json!({ "draft_id": draft, "text": "Hi", "effect_effect_id": "7296357486490144036" });
    client.call("add_text", right).expect("added");
}

#[test]
fn the_sound_of_a_video_is_split_off_or_muted() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = created(&mut client, json!({ "edition": "capcut" }));
    add(
        &mut client,
        &draft,
        "add_video",
        &json!({
            "video_url": text(&media("clip.mp4")), "start": 0.5, "end": 1.5, "speed": 2, "volume": 0.8, "fade_in": 0.1,
        }),
    );
    let before = script(&mut client, &draft);
    let reply = edited(
        &mut client,
        &draft,
        json!([{ "op": "split_audio", "clip": "c1" }]),
    );
    let reply = reply.expect("split off");
    assert!(
        reply["changes"].to_string().contains("the video is muted"),
        "{reply}"
    );
    let (_, document) = saved(&mut client, &draft);
    let of = |kind: &str| {
        let tracks = document["tracks"].as_array().expect("tracks");
        let track = tracks
            .iter()
            .find(|track| track["type"] == kind)
            .expect("a track");
        track["segments"][0].clone()
    };
    let (video, sound) = (of("video"), of("audio"));
    assert_eq!(
        (&video["volume"], &sound["volume"]),
        (&json!(0.0), &json!(0.8))
    );
    for key in ["target_timerange", "source_timerange", "speed"] {
        assert_eq!(video[key], sound[key], "{key}");
    }
    assert_eq!(sound["clip"], Value::Null);
    assert_eq!(
        document["materials"]["audio_fades"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let audio = &document["materials"]["audios"][0];
    assert_eq!(audio["id"], sound["material_id"]);
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(script(&mut client, &draft), before);
    let mute = json!([{ "op": "set", "clip": "c1", "mute": true }]);
    edited(&mut client, &draft, mute).expect("muted");
    let off = json!([{ "op": "set", "clip": "c1", "muted": "off" }]);
    edited(&mut client, &draft, off).expect("not muted");
    assert!(script(&mut client, &draft).contains("\"volume\":0.8"));
    add(
        &mut client,
        &draft,
        "add_image",
        &json!({ "image_url": text(&media("picture.jpg")), "start": 3, "end": 4, "track_name": "p" }),
    );
    let error = edited(
        &mut client,
        &draft,
        json!([{ "op": "detach_audio", "clip": "c2" }]),
    );
    assert!(error.expect_err("refused").contains("split_audio"));
    let error = edited(
        &mut client,
        &draft,
        json!([{ "op": "split_audio", "clip": "c2" }]),
    );
    assert!(
        error
            .expect_err("refused")
            .contains("no sound that can be split off")
    );
    // A draft of an app, with the keys of its version.
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/capcut-draft/tests/data");
    let app = fs::read_to_string(data.join("app.json")).expect("it is in the repository");
    let file = home.file("apps/Trip/draft_info.json", &app);
    let folder = file.parent().expect("a folder");
    let opened = client
        .call("open_draft", json!({ "draft": text(folder) }))
        .expect("opens");
    let opened = opened["draft_id"].as_str().expect("an id").to_owned();
    let split = json!([{ "op": "split_audio", "clip": "c1" }]);
    edited(&mut client, &opened, split).expect("split off");
    let edited = drafts::document(&mut client, &opened);
    let audios = edited["materials"]["audios"].as_array().expect("sounds");
    let new = audios
        .iter()
        .find(|audio| audio["type"] == "video_original_sound");
    assert!(
        new.is_some_and(|audio| audio.as_object().is_some_and(|keys| keys.len() > 30)),
        "{audios:?}"
    );
    client
        .call("undo_draft", json!({ "draft_id": opened }))
        .expect("undone");
    assert_eq!(script(&mut client, &opened), app);
}

#[test]
fn parts_of_an_existing_text_get_their_own_styles() {
    let home = Home::embedded();
    let mut client = home.connected();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/capcut-draft/tests/data");
    let app = fs::read_to_string(data.join("app.json")).expect("it is in the repository");
    let file = home.file("apps/Trip/draft_info.json", &app);
    let opened = client.call(
        "open_draft",
        json!({ "draft": text(file.parent().expect("a folder")) }),
    );
    let opened = opened.expect("opens")["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let own = created(&mut client, json!({ "edition": "jianying" }));
    add(
        &mut client,
        &own,
        "add_text",
        &json!({ "text": "ab😀cd ef", "duration": 2, "bold": true }),
    );
    for (draft, clip) in [(own.as_str(), "c1"), (opened.as_str(), "c6")] {
        let words = json!([{ "op": "replace_text", "clip": clip, "text": "ab😀cd ef" }]);
        edited(&mut client, draft, words).expect("replaced");
        let before = script(&mut client, draft);
        let set = json!([{ "op": "set", "clip": clip, "text_styles": [
            { "start": 2, "end": 4, "font_color": "red", "font_size": "20" },
            { "words": "ef", "style": { "underline": true }, "border": { "width": 50, "color": "#00ff00" } },
        ] }]);
        edited(&mut client, draft, set).expect("set");
        let document = document(&mut client, draft);
        let texts = document["materials"]["texts"].as_array().expect("texts");
        let contents = texts
            .iter()
            .filter_map(|text| serde_json::from_str::<Value>(text["content"].as_str()?).ok());
        let content = contents
            .into_iter()
            .find(|content| content["text"] == "ab😀cd ef");
        let styles = content.expect("the text")["styles"]
            .as_array()
            .expect("styles")
            .clone();
        let ranges: Vec<&Value> = styles.iter().map(|style| &style["range"]).collect();
        // The apps count an emoji as two, the API as one.
        let expected = if draft == own {
            [json!([0, 2]), json!([2, 4]), json!([4, 6]), json!([6, 8])]
        } else {
            [json!([0, 2]), json!([2, 5]), json!([5, 7]), json!([7, 9])]
        };
        assert_eq!(ranges, expected.iter().collect::<Vec<_>>());
        assert_eq!(
            styles[1]["fill"]["content"]["solid"]["color"],
            json!([1.0, 0.0, 0.0])
        );
        assert_eq!(
            (&styles[1]["size"], &styles[3]["underline"]),
            (&json!(20.0), &json!(true))
        );
        assert_eq!(styles[3]["strokes"][0]["width"], 0.1);
        assert_ne!(styles[0]["size"], 20.0);
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
        assert_eq!(script(&mut client, draft), before);
        for (parts, says) in [
            (
                json!([{ "start": 2, "end": 99, "bold": true }]),
                "is not a range",
            ),
            (
                json!([{ "words": "xyz", "bold": true }]),
                "does not contain",
            ),
            (
                json!([{ "start": 0, "end": 1, "vertical": true }]),
                "no `vertical` of its own",
            ),
            (
                json!([{ "start": 0, "end": 1, "font_color": "rde" }]),
                "text_styles[0]",
            ),
            (json!([{ "start": 0, "end": 1 }]), "what is different there"),
        ] {
            let set = json!([{ "op": "set", "clip": clip, "text_styles": parts }]);
            let error = edited(&mut client, draft, set).expect_err("refused");
            assert!(error.contains(says), "{says}: {error}");
        }
    }
}

#[test]
fn texts_take_every_property_in_tools_and_plans() {
    let home = Home::embedded();
    let mut client = home.connected();
    let look = json!({
        "text": "Hello", "rotation": "45deg", "scale": 1.5, "align": "left", "letter_spacing": 0.1, "line_spacing": 0.12,
        "fixed_width": "50%", "vertical": true, "bold": true, "italic": true, "underline": true, "group": "intro",
    });
    for edition in ["capcut", "jianying"] {
        let draft = created(&mut client, json!({ "edition": edition }));
        let mut single = look.clone();
        single["duration"] = json!(2);
        add(&mut client, &draft, "add_text", &single);
        let mute = json!({ "video_url": text(&media("clip.mp4")), "end": 1, "mute": true, "group": "intro" });
        add(&mut client, &draft, "add_video", &mute);
        let mut item = look.clone();
        item["duration"] = json!(2);
        let plan = json!({
            "visuals": [{ "video_url": text(&media("clip.mp4")), "duration": 1, "mute": "yes", "group": "intro" }],
            "texts": [item], "save": false,
        });
        let made = client
            .call("compose_draft", json!({ "plan": plan }))
            .expect("made");
        let planned = made["draft_id"].as_str().expect("an id").to_owned();
        for draft in [&draft, &planned] {
            let (_, document) = saved(&mut client, draft);
            let text = &document["materials"]["texts"][0];
            for (key, value) in [
                ("alignment", json!(0)),
                ("letter_spacing", json!(0.1)),
                ("line_spacing", json!(0.12)),
                ("typesetting", json!(1)),
                ("fixed_width", json!(540.0)),
                ("bold_width", json!(0.008)),
                ("italic_degree", json!(10)),
            ] {
                assert_eq!(text[key], value, "{key}");
            }
            let segments: Vec<&Value> = document["tracks"]
                .as_array()
                .expect("tracks")
                .iter()
                .flat_map(|track| track["segments"].as_array().expect("segments"))
                .collect();
            assert_eq!(segments.len(), 2);
            assert_ne!(segments[0]["group_id"], "");
            assert_eq!(segments[0]["group_id"], segments[1]["group_id"]);
            let clip = |kind: &str| {
                let tracks = document["tracks"].as_array().expect("tracks");
                let track = tracks.iter().find(|track| track["type"] == kind);
                track.expect("a track")["segments"][0].clone()
            };
            let shown = clip("text")["clip"].clone();
            assert_eq!(
                (&shown["rotation"], &shown["scale"]["x"]),
                (&json!(45.0), &json!(1.5))
            );
            assert_eq!(clip("video")["volume"], 0.0);
        }
        for (arguments, says) in [
            (
                json!({ "text": "x", "start": 5, "gradient": "red to blue" }),
                "gradient",
            ),
            (
                json!({ "text": "x", "start": 5, "loop_animation": "no such" }),
                "loop_animation",
            ),
        ] {
            let mut arguments = arguments.clone();
            arguments["draft_id"] = draft.as_str().into();
            let error = client.call("add_text", arguments).expect_err("refused");
            assert!(error.contains(says), "{error}");
        }
        let set = json!([{ "op": "set", "clip": "Hello", "text_effect": "金色描边" }]);
        let error = edited(&mut client, &draft, set).expect_err("refused");
        assert!(error.contains("is not an id"), "{error}");
        let set = json!([{ "op": "set", "clip": "Hello", "gradient": "red" }]);
        let error = edited(&mut client, &draft, set).expect_err("refused");
        assert!(error.contains("set it in the app"), "{error}");
    }
}
