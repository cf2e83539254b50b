//! Properties beyond the schemas of the tools that add clips: in calls, at a shell, in plans, and in edited drafts.

use std::fs;

use serde_json::{Value, json};

use crate::plans::{compose, remote};
use crate::support::drafts::{self, clips, document, document_in, keyframes, of_clip};
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
    let mut own = own.filter_map(Result::ok).map(|entry| entry.path());
    own.find_map(|folder| document_in(&folder))
        .expect("a document")
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
        (json!({ "fade_in": 60 }), "`fade_in` is 60 s, but c1"),
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

/// What a value in a material of a saved draft is: list, type (if it has one), path, and value.
type Stored = (&'static str, Option<&'static str>, &'static str, Value);

/// Checks a value of the only clip of a document.
fn assert_stored(document: &Value, (list, kind, path, value): &Stored, of: &Value) {
    let clip = &clips(document)[0];
    if *list == "clip" {
        assert_eq!(clip.pointer(path), Some(value), "{of}: {path}");
        return;
    }
    let all = of_clip(document, clip, list);
    let found = all
        .iter()
        .find(|material| kind.is_none_or(|kind| material["type"] == kind));
    let found = found.unwrap_or_else(|| panic!("{of}: no {kind:?} in {list}"));
    assert_eq!(found.pointer(path), Some(value), "{of}: {list}{path}");
}

/// Each look in spellings that people and models use, and where the saved document has it.
fn looks() -> Vec<(Vec<Value>, Vec<Stored>)> {
    let effect = |kind| move |path, value| ("effects", Some(kind), path, value);
    vec![
        (
            vec![
                json!({ "filter": "ABG", "filter_intensity": 80 }),
                json!({ "filter_type": "abg", "filter_intensity": "80" }),
                json!({ "filter": { "name": "ABG", "intensity": 0.8 } }),
                json!({ "properties": { "filterName": "7127679308897832206", "filter-strength": 80 } }),
            ],
            vec![
                effect("filter")("/value", json!(0.8)),
                effect("filter")("/resource_id", json!("7127679308897832206")),
                effect("filter")("/apply_target_type", json!(0)),
            ],
        ),
        (
            vec![
                json!({ "brightness": 0.2, "contrast": -0.1, "saturation": "+0.3", "temperature": "15%" }),
                json!({ "properties": { "brightness": "20%", "Contrast": "-10%", "saturation": "0.3", "warmth": 0.15 } }),
                json!({ "adjustments": { "brightness": 0.2, "contrast": -0.1, "saturation": 0.3, "temperature": 0.15 } }),
            ],
            vec![
                effect("brightness")("/value", json!(0.2)),
                effect("brightness")("/version", json!("v2")),
                effect("contrast")("/value", json!(-0.1)),
                effect("saturation")("/value", json!(0.3)),
                effect("temperature")("/value", json!(0.15)),
            ],
        ),
        (
            vec![
                json!({ "tint": -0.2, "highlights": 0.1, "shadows": 0.1, "sharpen": 0.5, "vignette": 0.4, "grain": "30%" }),
                json!({ "hue": "-0.2", "highlight": "10%", "shadows": "0.1", "sharpness": "50%", "vignetting": 0.4, "film_grain": 0.3 }),
            ],
            vec![
                effect("tone")("/value", json!(-0.2)),
                effect("highlight")("/value", json!(0.1)),
                effect("shadow")("/value", json!(0.1)),
                effect("sharpen")("/value", json!(0.5)),
                effect("vignetting")("/value", json!(0.4)),
                effect("particle")("/value", json!(0.3)),
            ],
        ),
        (
            vec![
                json!({ "blend_mode": "Screen" }),
                json!({ "blend": "滤色" }),
                json!({ "mix_mode": "screen" }),
            ],
            vec![effect("mix_mode")(
                "/resource_id",
                json!("6758325170760323597"),
            )],
        ),
        (
            vec![
                json!({ "chroma_key": "#00ff00", "chroma_strength": 40, "chroma_shadow": 10 }),
                json!({ "green_screen": "lime", "chroma_intensity": "40%", "chromaShadow": "10" }),
                json!({ "chroma_key": { "color": "#00FF00", "strength": 40, "shadow": "10%" } }),
            ],
            vec![
                ("chromas", None, "/color", json!("#00ff00ff")),
                ("chromas", None, "/intensity_value", json!(0.4)),
                ("chromas", None, "/shadow_value", json!(0.1)),
                ("chromas", None, "/version", json!("v2")),
            ],
        ),
        (
            vec![
                json!({ "crop": { "x": 0.25, "y": 0, "width": 0.5, "height": 1 } }),
                json!({ "crop": { "left": "25%", "right": 0.25 } }),
                json!({ "crop": "{\"x\": \"25%\", \"width\": 0.5}" }),
            ],
            vec![
                ("videos", None, "/crop/upper_left_x", json!(0.25)),
                ("videos", None, "/crop/lower_right_x", json!(0.75)),
                ("videos", None, "/crop/lower_right_y", json!(1.0)),
            ],
        ),
        (
            // The file is 480 × 854 pixels: of its height, 480 pixels are visible.
            vec![
                json!({ "crop": "1:1" }),
                json!({ "crop": { "ratio": "1:1" } }),
            ],
            vec![
                ("videos", None, "/crop/upper_left_y", json!(0.218_969_555)),
                ("videos", None, "/crop/lower_right_y", json!(0.781_030_445)),
            ],
        ),
        (
            // On a canvas of 1000 × 2000 pixels, it is 1000 × 1779 pixels in size.
            vec![
                json!({ "fit": "cover" }),
                json!({ "object_fit": "Cover" }),
                json!({ "fit": "cover", "box": { "x": 0, "y": 0, "width": 1000, "height": 2000 } }),
                json!({ "fit": "cover", "position": { "x": 0, "y": 0, "width": 1000, "height": 2000 } }),
            ],
            vec![
                ("clip", None, "/clip/scale/x", json!(1.124_122)),
                ("clip", None, "/clip/scale/y", json!(1.124_122)),
            ],
        ),
        (
            vec![json!({ "fit": "fill" }), json!({ "fit": "stretch" })],
            vec![
                ("clip", None, "/clip/scale/x", json!(1.0)),
                ("clip", None, "/clip/scale/y", json!(1.124_122)),
                ("clip", None, "/uniform_scale/on", json!(false)),
            ],
        ),
        (
            vec![
                json!({ "fit": "contain", "box": { "x": 500, "y": 0, "width": 500, "height": 2000 } }),
                json!({ "box": { "x": "500px", "y": "0", "width": 500, "height": "2000" } }),
            ],
            vec![
                ("clip", None, "/clip/scale/x", json!(0.5)),
                ("clip", None, "/clip/transform/x", json!(0.5)),
                ("clip", None, "/clip/transform/y", json!(0.0)),
            ],
        ),
        (
            vec![
                json!({ "speed": 2, "keep_pitch": false }),
                json!({ "speed": "2x", "preserve_pitch": "no" }),
            ],
            vec![
                ("clip", None, "/is_tone_modify", json!(true)),
                ("clip", None, "/speed", json!(2.0)),
            ],
        ),
        (
            vec![
                json!({ "speed_curve": "montage" }),
                json!({ "speedRamp": "蒙太奇" }),
            ],
            vec![
                ("speeds", None, "/mode", json!(1)),
                ("speeds", None, "/curve_speed/name", json!("Montage")),
                ("speeds", None, "/curve_speed/speed_points/2/y", json!(6.8)),
            ],
        ),
        (
            vec![
                json!({ "speed_curve": [[0, 2], [1, 2]] }),
                json!({ "speed_curve": "[{\"x\": 0, \"y\": \"2x\"}, {\"x\": 1, \"y\": 2}]" }),
            ],
            vec![
                ("speeds", None, "/speed", json!(2.0)),
                ("clip", None, "/speed", json!(2.0)),
                ("clip", None, "/target_timerange/duration", json!(500_000)),
            ],
        ),
        (
            vec![
                json!({ "background_color": "navy" }),
                json!({ "canvas_color": "#000080" }),
            ],
            vec![
                ("canvases", None, "/color", json!("#000080ff")),
                ("canvases", None, "/type", json!("canvas_color")),
            ],
        ),
        (
            vec![
                json!({ "intro_animation": "Fade In", "intro_duration": 0.3, "outro_animation": "Fade Out" }),
                json!({ "properties": { "introAnimation": "fade in", "animation_duration": "300ms", "outro-animation": "fade_out" } }),
            ],
            vec![
                (
                    "material_animations",
                    None,
                    "/animations/0/type",
                    json!("in"),
                ),
                (
                    "material_animations",
                    None,
                    "/animations/0/duration",
                    json!(300_000),
                ),
                (
                    "material_animations",
                    None,
                    "/animations/1/type",
                    json!("out"),
                ),
                (
                    "material_animations",
                    None,
                    "/animations/1/material_type",
                    json!("video"),
                ),
            ],
        ),
        (
            vec![
                json!({ "fade_in": 0.5, "fade_out": "200ms" }),
                json!({ "properties": { "fadeIn": "0.5s", "fade_out": 0.2 } }),
            ],
            vec![
                ("audio_fades", None, "/fade_in_duration", json!(500_000)),
                ("audio_fades", None, "/fade_out_duration", json!(200_000)),
            ],
        ),
    ]
}

#[test]
fn looks_of_clips_are_saved_in_both_editions_in_every_spelling() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    for edition in ["capcut", "jianying"] {
        for (spellings, stored) in looks() {
            for (index, values) in spellings.iter().enumerate() {
                let draft = draft(&mut client, edition);
                let mut arguments = values.clone();
                arguments["draft_id"] = draft.as_str().into();
                arguments["video_url"] = clip.to_str().into();
                arguments["end"] = 1.into();
                if let Err(error) = client.call("add_video", arguments) {
                    panic!("{edition} {values}: {error}");
                }
                // Saving takes longer than looking.
                let document = if index == 0 {
                    saved(&mut client, &home, &draft)
                } else {
                    document(&mut client, &draft)
                };
                let is_saved = index == 0;
                for stored in &stored {
                    // Working documents have only the keys that are set.
                    if is_saved
                        || clips(&document)[0].pointer(stored.2).is_some()
                        || stored.0 != "clip"
                    {
                        assert_stored(&document, stored, values);
                    }
                }
                if is_saved {
                    let folder = home.path().join(format!("saved-{draft}"));
                    let own = fs::read_dir(&folder).expect("a folder");
                    let own = own.filter_map(Result::ok).map(|entry| entry.path());
                    for folder in own.filter(|path| path.is_dir()) {
                        let checked =
                            client.call("validate_draft", json!({ "draft_folder": folder }));
                        let checked = checked.expect("it is checked").to_string();
                        assert!(!checked.contains("\"error\""), "{values}: {checked}");
                    }
                }
            }
        }
    }
}

#[test]
fn looks_of_clips_are_set_shown_and_undone() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    let draft = draft(&mut client, "capcut");
    // The second clip shares the file of the first.
    for at in [0, 2] {
        client
            .call(
                "add_video",
                json!({ "draft_id": draft, "video_url": clip, "target_start": at, "end": 1 }),
            )
            .expect("added");
    }
    let before = document(&mut client, &draft);
    for (spellings, stored) in looks() {
        let mut values = spellings[0].clone();
        if values.get("position").is_some() {
            continue;
        }
        values["op"] = "set".into();
        values["clip"] = "c1".into();
        client
            .call(
                "edit_draft",
                json!({ "draft_id": draft, "operations": [values] }),
            )
            .unwrap_or_else(|error| panic!("{values}: {error}"));
        let after = document(&mut client, &draft);
        for stored in &stored {
            if stored.0 != "clip" || clips(&after)[0].pointer(stored.2).is_some() {
                assert_stored(&after, stored, &values);
            }
        }
        let other = &clips(&after)[1];
        let kept = ["clip", "speed", "extra_material_refs"];
        for key in kept {
            assert_eq!(other[key], clips(&before)[1][key], "{values}");
        }
        let file = of_clip(&after, other, "videos");
        assert_eq!(file[0]["crop"]["lower_right_x"], 1.0, "{values}");
        let shown = client.call("inspect_draft", json!({ "draft_id": draft, "query": "c1" }));
        let shown = shown.expect("rows");
        let look = &shown["tracks"][0]["clips"][0];
        let look = if look.is_null() {
            &shown["tracks"][1]["clips"][0]
        } else {
            look
        };
        assert!(
            ["look", "speed", "effects"]
                .iter()
                .any(|key| look[*key] != Value::Null),
            "{values}: {shown}"
        );
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
        assert!(document(&mut client, &draft) == before, "{values}");
    }
}

#[test]
fn what_the_app_renders_itself_is_refused_with_the_reason() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    for (name, expected) in [
        ("reverse", "renders itself"),
        ("stabilize", "switch it on in the app"),
        ("remove_background", "chroma_key"),
        ("freeze_frame", "operation `freeze`"),
        ("background_image", "on a track below"),
    ] {
        let mut arguments = json!({ "video_url": clip });
        arguments[name] = true.into();
        let error = added(&mut client, "capcut", "add_video", &arguments).expect_err("refused");
        assert!(error.contains(expected), "{name}: {error}");
    }
    let values = [
        (
            json!({ "crop": { "left": 0.6, "right": 0.5 } }),
            "nothing is left",
        ),
        (
            json!({ "crop": { "x": 20, "width": 100 } }),
            "a fraction from 0 to 1",
        ),
        (json!({ "crop": "square" }), "it must be the visible part"),
        (
            json!({ "fit": "zoom" }),
            "\"cover\", \"contain\" or \"fill\"",
        ),
        (json!({ "brightness": 50 }), "did you mean 0.5?"),
        (json!({ "filter": "ABGG" }), "ABG"),
        (json!({ "blend_mode": "scren" }), "creen"),
        (json!({ "filter_intensity": 50 }), "set `filter` as well"),
        (json!({ "speed_curve": "montag" }), "montage"),
        (
            json!({ "speed_curve": "hero", "speed": 2 }),
            "remove `speed`",
        ),
        (json!({ "letter_spacing": 2 }), "it is a property of text"),
    ];
    for (values, expected) in values {
        let mut arguments = values.clone();
        arguments["video_url"] = clip.to_str().into();
        let error = added(&mut client, "capcut", "add_video", &arguments).expect_err("refused");
        assert!(error.contains(expected), "{values}: {error}");
    }
}

#[test]
fn the_http_api_reads_the_filters_of_newer_sources() {
    let home = Home::embedded();
    let clip = media("clip.mp4");
    let folder = clip.parent().expect("a folder").to_string_lossy();
    let served = home.engine(&["--allow-dir", &folder]);
    let body = json!({ "video_url": clip, "filter_type": "ABG", "filter_intensity": 40.0, "brightness": 0.5 });
    let output = served.output("/add_video", &body).expect("added");
    let mut client = home.connected();
    let document = document(&mut client, output["draft_id"].as_str().expect("an id"));
    let effects = of_clip(&document, &clips(&document)[0], "effects");
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0]["value"], 0.4);
    let body = json!({ "video_url": clip, "filter_type": "No such filter" });
    let error = served.output("/add_video", &body).expect_err("refused");
    assert!(error.contains("No such filter"), "{error}");
}

#[test]
fn layers_over_a_time_range_are_effects_and_filters() {
    let home = Home::embedded();
    let mut client = home.connected();
    for (edition, effect) in [("capcut", "Blur"), ("jianying", "模糊")] {
        let draft = draft(&mut client, edition);
        let call = |client: &mut Client, mut arguments: Value| {
            arguments["draft_id"] = draft.as_str().into();
            client.call("add_effect", arguments)
        };
        call(
            &mut client,
            json!({ "effect_type": effect, "end": 3, "intensity": 0.8 }),
        )
        .expect("added");
        for (at, filter) in [
            json!({ "effect_type": "ABG", "effect_category": "filter", "intensity": 0.8 }),
            json!({ "filter": "ABG", "filter_intensity": "80%" }),
            json!({ "effect_name": "abg", "category": "Filters", "intensity": 80 }),
        ]
        .into_iter()
        .enumerate()
        {
            let mut filter = filter;
            filter["at"] = (at * 2).into();
            filter["duration"] = 2.into();
            call(&mut client, filter).expect("added");
        }
        let document = saved(&mut client, &home, &draft);
        let tracks = document["tracks"].as_array().expect("tracks");
        let filters = tracks.iter().find(|track| track["type"] == "filter");
        let filters = filters.expect("a track of filters")["segments"].clone();
        let filters = filters.as_array().expect("clips");
        assert_eq!(filters.len(), 3);
        for (index, clip) in filters.iter().enumerate() {
            assert_eq!(clip["target_timerange"]["start"], 2_000_000 * index as u64);
            let filter = of_clip(&document, clip, "effects")[0];
            assert_eq!(filter["type"], "filter");
            assert_eq!(filter["value"], 0.8);
            assert_eq!(filter["resource_id"], "7127679308897832206");
        }
        // Its edits and their undo.
        let before = drafts::document(&mut client, &draft);
        let clip = clips(&before)
            .into_iter()
            .find(|clip| clip["id"] == filters[0]["id"]);
        let id = clip.expect("the filter")["id"].clone();
        let set = json!({ "op": "set", "clip": id, "strength": 30, "filter": "KE1" });
        client
            .call(
                "edit_draft",
                json!({ "draft_id": draft, "operations": [set] }),
            )
            .expect("edited");
        let after = drafts::document(&mut client, &draft);
        let own = clips(&after)
            .into_iter()
            .find(|clip| clip["id"] == id)
            .expect("it");
        let filter = of_clip(&after, &own, "effects")[0];
        assert_eq!(
            (&filter["value"], &filter["name"]),
            (&json!(0.3), &json!("KE1"))
        );
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
        assert!(drafts::document(&mut client, &draft) == before);
    }
    let draft = draft(&mut client, "capcut");
    let wrong = json!({ "draft_id": draft, "filter": "ABGG" });
    let error = client.call("add_effect", wrong).expect_err("refused");
    assert!(error.contains("ABG"), "{error}");
}

#[test]
fn intensity_is_the_strength_of_an_effect_by_its_name() {
    let home = Home::embedded();
    let mut client = home.connected();
    let of = |client: &mut Client, arguments: Value| {
        let (reply, document) = added(client, "jianying", "add_effect", &arguments).expect("added");
        let effect = of_clip(&document, &clips(&document)[0], "video_effects")[0].clone();
        (reply.to_string(), effect)
    };
    let value = |effect: &Value, name: &str| {
        let params = effect["adjust_params"].as_array().expect("parameters");
        let param = params.iter().find(|param| param["name"] == name);
        param.expect("the parameter")["value"]
            .as_f64()
            .expect("a number")
    };
    let (_, usual) = of(&mut client, json!({ "effect_type": "模糊" }));
    let names: Vec<String> = usual["adjust_params"]
        .as_array()
        .expect("parameters")
        .iter()
        .map(|param| param["name"].as_str().expect("a name").to_owned())
        .collect();
    assert!(!names.is_empty());
    let first = names[0].trim_start_matches("effects_adjust_").to_owned();
    // By name, in both forms, and in a later edit.
    for params in [
        json!({ first.clone(): 30 }),
        json!(json!({ names[0].clone(): "30%" }).to_string()),
    ] {
        let (_, effect) = of(
            &mut client,
            json!({ "effect_type": "模糊", "params": params }),
        );
        assert!(
            (value(&effect, &names[0]) - 0.3).abs() < 1e-9,
            "{params}: {effect}"
        );
        for other in &names[1..] {
            assert_eq!(value(&effect, other), value(&usual, other));
        }
    }
    let wrong = json!({ "effect_type": "模糊", "params": { "no_such": 1 } });
    let error = added(&mut client, "jianying", "add_effect", &wrong).expect_err("refused");
    assert!(
        error.contains("no_such") && error.contains(&first),
        "{error}"
    );
}

/// The five nodes of the guides, with their inputs.
#[test]
fn the_five_calls_of_the_guides_make_a_draft() {
    let home = Home::embedded();
    let mut client = home.connected();
    let made = client
        .call(
            "create_draft",
            json!({ "title": "My video", "description": "From the guide" }),
        )
        .expect("a draft");
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    let calls = [
        (
            "add_video",
            json!({ "video_url": media("clip.mp4"), "start_time": 0, "duration": 3 }),
        ),
        (
            "add_text",
            json!({ "text": "Title", "font_size": 48, "position": "center" }),
        ),
        (
            "add_effect",
            json!({ "effect_type": "fade_in", "intensity": 0.8 }),
        ),
    ];
    for (tool, mut arguments) in calls {
        arguments["draft_id"] = draft.as_str().into();
        if let Err(error) = client.call(tool, arguments) {
            panic!("{tool}: {error}");
        }
    }
    let document = saved(&mut client, &home, &draft);
    let kinds: Vec<&str> = document["tracks"]
        .as_array()
        .expect("tracks")
        .iter()
        .filter_map(|track| track["type"].as_str())
        .collect();
    for kind in ["video", "text", "effect"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
}

#[test]
fn curves_of_keyframes_follow_the_speed_of_their_clip() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = draft(&mut client, "capcut");
    let clip = json!({ "draft_id": draft, "video_url": media("clip.mp4"), "end": 4 });
    client.call("add_video", clip).expect("added");
    client
        .call(
            "add_video_keyframe",
            json!({
                "draft_id": draft, "property_types": ["position_x", "position_x"], "times": [0, 2],
                "values": ["0", "0.5"], "easing": "in_out",
            }),
        )
        .expect("animated");
    let handles = |client: &mut Client| {
        let own = clips(&document(client, &draft))[0].clone();
        let points = keyframes(&own, "KFTypePositionX");
        let x = |point: &Value, handle: &str| point[handle]["x"].as_f64().expect("a time");
        (
            points[1]["time_offset"].as_i64().expect("a time"),
            x(&points[0], "right_control"),
            x(&points[1], "left_control"),
        )
    };
    let before = document(&mut client, &draft);
    assert_eq!(handles(&mut client), (2_000_000, 840_000.0, -840_000.0));
    for (speed, expected) in [
        (2.0, (1_000_000, 420_000.0, -420_000.0)),
        (0.5, (4_000_000, 1_680_000.0, -1_680_000.0)),
    ] {
        let operation = json!({ "op": "set", "clip": "c1", "speed": speed });
        let edit = json!({ "draft_id": draft, "operations": [operation] });
        client.call("edit_draft", edit).expect("edited");
        assert_eq!(handles(&mut client), expected, "{speed}");
        // On the clock of the file, as the app writes them, nothing changes with the speed.
        let saved = saved(&mut client, &home, &draft);
        let points = keyframes(&clips(&saved)[0], "KFTypePositionX");
        assert_eq!(points[1]["time_offset"], 2_000_000, "{speed}");
        assert_eq!(points[0]["right_control"]["x"], 840_000.0, "{speed}");
    }
    for _ in 0..2 {
        let undo = json!({ "draft_id": draft });
        client.call("undo_draft", undo).expect("undone");
    }
    let after = document(&mut client, &draft);
    assert_eq!(after["tracks"], before["tracks"]);
}

#[test]
fn keyframes_move_along_curves() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    for easing in [
        json!("in_out"),
        json!("Ease-In-Out"),
        json!([0.42, 0, 0.58, 1]),
        json!("cubic-bezier(0.42, 0, 0.58, 1)"),
    ] {
        let draft = draft(&mut client, "capcut");
        // The file plays at twice its speed: its clock counts two seconds for each.
        client
            .call(
                "add_video",
                json!({ "draft_id": draft, "video_url": clip, "end": 4, "speed": 2 }),
            )
            .expect("added");
        client
            .call("add_video_keyframe", json!({
                "draft_id": draft, "property_types": ["position_x", "position_x"], "times": [0, 1],
                "values": ["0", "0.5"], "easing": easing,
            }))
            .expect("animated");
        let own = clips(&document(&mut client, &draft))[0].clone();
        let points = keyframes(&own, "KFTypePositionX");
        assert_eq!(points[0]["curveType"], "FreeCurveInOut", "{easing}");
        assert_eq!(
            points[0]["right_control"],
            json!({ "x": 420_000.0, "y": 0.0 })
        );
        assert_eq!(
            points[1]["left_control"],
            json!({ "x": -420_000.0, "y": -0.0 })
        );
        let document = saved(&mut client, &home, &draft);
        let points = keyframes(&clips(&document)[0], "KFTypePositionX");
        assert_eq!(points[1]["time_offset"], 2_000_000);
        assert_eq!(points[0]["right_control"]["x"], 840_000.0);
        // The same in an edited draft, on another property.
        let operation = json!({
            "op": "add_keyframes", "clip": "c1", "property": "temperature", "easing": easing,
            "points": [{ "time": 0, "value": "-20%" }, { "time": "1s", "value": 0.3, "easing": "linear" }, { "time": 1.5, "value": 0 }],
        });
        client
            .call(
                "edit_draft",
                json!({ "draft_id": draft, "operations": [operation] }),
            )
            .expect("edited");
        let own = clips(&drafts::document(&mut client, &draft))[0].clone();
        let points = keyframes(&own, "KFTypeTemperature");
        let edited = drafts::document(&mut client, &draft);
        let adjusted = of_clip(&edited, &clips(&edited)[0], "effects");
        assert_eq!(adjusted[0]["type"], "temperature");
        assert_eq!(points[0]["values"], json!([-0.2]));
        assert_eq!(points[0]["right_control"]["x"], 420_000.0);
        assert_eq!(points[1]["right_control"]["x"], 0.0);
        // Calls that add to the edited draft.
        client
            .call("add_video_keyframe", json!({
                "draft_id": draft, "property_type": "rotation", "time": 0, "value": "45deg", "easing": easing,
            }))
            .expect("animated");
    }
    let draft = draft(&mut client, "capcut");
    client
        .call(
            "add_video",
            json!({ "draft_id": draft, "video_url": clip, "end": 1 }),
        )
        .expect("added");
    let wrong =
        json!({ "draft_id": draft, "property_type": "alpha", "value": "50%", "easing": "bounce" });
    let error = client
        .call("add_video_keyframe", wrong)
        .expect_err("refused");
    assert!(
        error.contains("bounce") && error.contains("in_out"),
        "{error}"
    );
}

#[test]
fn movements_are_keyframes_by_name() {
    let home = Home::embedded();
    let mut client = home.connected();
    let picture = media("picture.jpg");
    for (values, key, count, last) in [
        (json!({ "motion": "ken_burns" }), "KFTypeScaleX", 2, 1.2),
        (
            json!({ "motion": "Ken Burns", "motion_strength": "100%" }),
            "KFTypeScaleX",
            2,
            1.4,
        ),
        (
            json!({ "properties": { "motionPreset": "zoom-out", "motion_intensity": 1 } }),
            "KFTypeScaleX",
            2,
            1.0,
        ),
        (json!({ "motion": "pop" }), "KFTypeScaleX", 3, 1.0),
        (json!({ "motion": "pulse" }), "KFTypeScaleX", 5, 1.0),
        (json!({ "motion": "shake" }), "KFTypePositionX", 21, 0.0),
        (json!({ "motion": "slide" }), "KFTypePositionX", 2, 0.0),
    ] {
        let mut arguments = values.clone();
        arguments["image_url"] = picture.to_str().into();
        arguments["end"] = 2.into();
        let (_, document) = added(&mut client, "capcut", "add_image", &arguments).expect("added");
        let points = keyframes(&clips(&document)[0], key);
        assert_eq!(points.len(), count, "{values}");
        assert_eq!(points[count - 1]["values"], json!([last]), "{values}");
    }
    // All pictures of a track, again with another movement, and back.
    let draft = draft(&mut client, "capcut");
    for at in [0, 2] {
        client
            .call(
                "add_image",
                json!({ "draft_id": draft, "image_url": picture, "start": at, "end": at + 2 }),
            )
            .expect("added");
    }
    let before = document(&mut client, &draft);
    let set = |client: &mut Client, motion: &str| {
        let track = document(client, &draft)["tracks"]
            .as_array()
            .expect("tracks")
            .iter()
            .position(|track| track["segments"] != json!([]))
            .expect("a track");
        let set = json!({ "op": "set", "clip": format!("t{}", track + 1), "motion": motion });
        client.call(
            "edit_draft",
            json!({ "draft_id": draft, "operations": [set] }),
        )
    };
    for motion in ["shake", "ken_burns"] {
        set(&mut client, motion).expect("edited");
    }
    for own in clips(&document(&mut client, &draft)) {
        assert_eq!(own["common_keyframes"].as_array().expect("lists").len(), 1);
        assert_eq!(keyframes(&own, "KFTypeScaleX").len(), 2);
    }
    set(&mut client, "none").expect("edited");
    for own in clips(&document(&mut client, &draft)) {
        assert_eq!(own["common_keyframes"], json!([]));
    }
    for _ in 0..3 {
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
    }
    assert!(document(&mut client, &draft) == before);
}

#[test]
fn masks_have_keyframes_and_can_be_inverted() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    for (edition, mask) in [("capcut", "Filmstrip"), ("jianying", "镜面")] {
        let draft = draft(&mut client, edition);
        client
            .call("add_video", json!({
                "draft_id": draft, "video_url": clip, "end": 2, "mask_type": mask, "mask_invert": true,
            }))
            .expect("added");
        let before = document(&mut client, &draft);
        let operations = json!([
            { "op": "add_keyframes", "clip": "c1", "property": "mask_center_x", "easing": "out",
                "points": [{ "time": 0, "value": -1 }, { "time": 1, "value": 0.5 }] },
            { "op": "add_keyframes", "clip": "c1", "property": "mask_feather", "points": [{ "time": 0, "value": 50 }] },
            { "op": "add_keyframes", "clip": "c1", "property": "mask_round_corner", "points": [{ "time": 0, "value": 20 }] },
        ]);
        client
            .call(
                "edit_draft",
                json!({ "draft_id": draft, "operations": operations }),
            )
            .expect("edited");
        let document = saved(&mut client, &home, &draft);
        let own = &clips(&document)[0];
        let lists = ["common_mask", "masks"].map(|list| of_clip(&document, own, list));
        let mask = lists.iter().flatten().next().expect("a mask");
        assert_eq!(mask["resource_type"], "mirror");
        assert_eq!(mask["config"]["invert"], true);
        let constant = mask["constant_material_id"].as_str().expect("an id");
        assert!(!constant.is_empty());
        for animated in own["common_keyframes"].as_array().expect("lists") {
            assert_eq!(animated["material_id"], constant);
        }
        assert_eq!(keyframes(own, "KFTypeCommonMaskPositionX").len(), 2);
        assert_eq!(
            keyframes(own, "KFTypeCommonMaskFeather")[0]["values"],
            json!([0.5])
        );
        assert_eq!(
            keyframes(own, "KFTypeCommonMaskRoundCorner")[0]["values"],
            json!([0.2])
        );
        let shown = client.call("inspect_draft", json!({ "draft_id": draft, "query": "c1" }));
        assert!(shown.expect("rows").to_string().contains("mask_feather"));
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
        assert!(drafts::document(&mut client, &draft)["tracks"] == before["tracks"]);
    }
    let draft = draft(&mut client, "capcut");
    client
        .call(
            "add_video",
            json!({ "draft_id": draft, "video_url": clip, "end": 2 }),
        )
        .expect("added");
    let operation = json!({ "op": "add_keyframes", "clip": "c1", "property": "mask_center_x", "points": [{ "time": 0, "value": 0 }] });
    let error = client.call(
        "edit_draft",
        json!({ "draft_id": draft, "operations": [operation] }),
    );
    assert!(error.expect_err("refused").contains("has no mask"));
}

#[test]
fn a_clip_can_have_an_effect_of_its_own() {
    let home = Home::embedded();
    let mut client = home.connected();
    for (edition, effect) in [("capcut", "Blur"), ("jianying", "模糊")] {
        let draft = draft(&mut client, edition);
        client
            .call("add_video", json!({
                "draft_id": draft, "video_url": media("clip.mp4"), "end": 1, "effect_type": effect, "effect_params": [50],
            }))
            .expect("added");
        let document = saved(&mut client, &home, &draft);
        let clip = &clips(&document)[0];
        let own = of_clip(&document, clip, "video_effects");
        assert_eq!(own.len(), 1);
        assert_eq!(own[0]["apply_target_type"], 0);
        assert_eq!(own[0]["adjust_params"][0]["value"], 0.5);
        let none = json!({ "op": "set", "clip": "c1", "effect_type": "none" });
        client
            .call(
                "edit_draft",
                json!({ "draft_id": draft, "operations": [none] }),
            )
            .expect("edited");
        let document = drafts::document(&mut client, &draft);
        assert!(of_clip(&document, &clips(&document)[0], "video_effects").is_empty());
    }
}

#[test]
fn a_frame_can_be_frozen_and_what_follows_moves_later() {
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = media("clip.mp4");
    let draft = draft(&mut client, "capcut");
    for at in [0, 2] {
        client
            .call("add_video", json!({ "draft_id": draft, "video_url": clip, "target_start": at, "end": 2, "fade_in": 0.2 }))
            .expect("added");
    }
    let before = document(&mut client, &draft);
    let operation = json!({
        "op": "freeze", "clip": "c1", "at": "1s", "duration": 1.5, "still": media("picture.jpg"),
    });
    let edit = json!({ "draft_id": draft, "operations": [operation] });
    client.call("edit_draft", edit).expect("edited");
    let after = document(&mut client, &draft);
    let times: Vec<(u64, u64)> = clips(&after)
        .iter()
        .map(|clip| &clip["target_timerange"])
        .map(|range| {
            (
                range["start"].as_u64().expect("a time"),
                range["duration"].as_u64().expect("a time"),
            )
        })
        .collect();
    assert_eq!(
        times,
        [
            (0, 1_000_000),
            (1_000_000, 1_500_000),
            (2_500_000, 1_000_000),
            (3_500_000, 2_000_000)
        ]
    );
    let frozen = &clips(&after)[1];
    assert_eq!(of_clip(&after, frozen, "videos")[0]["type"], "photo");
    assert!(of_clip(&after, frozen, "audio_fades").is_empty());
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert!(document(&mut client, &draft) == before);
    for (values, expected) in [
        (json!({ "at": 9 }), "`at` is 9 s"),
        (json!({ "clip": "c9", "at": 1 }), "c9"),
        (json!({}), "`at` is missing"),
    ] {
        let mut operation = json!({ "op": "freeze", "clip": "c1", "still": media("picture.jpg") });
        operation
            .as_object_mut()
            .expect("an object")
            .extend(values.as_object().expect("an object").clone());
        let edit = json!({ "draft_id": draft, "operations": [operation] });
        let error = client.call("edit_draft", edit).expect_err("refused");
        assert!(error.contains(expected), "{values}: {error}");
    }
    // Without a picture, one is made of the frame.
    let has_ffmpeg = std::process::Command::new("ffmpeg")
        .arg("-version")
        .output()
        .is_ok();
    let operation = json!({ "op": "freeze", "clip": "c1", "at": 0.5 });
    let edit = json!({ "draft_id": draft, "operations": [operation] });
    let edited = client.call("edit_draft", edit);
    if has_ffmpeg {
        edited.expect("edited");
        assert_eq!(clips(&saved(&mut client, &home, &draft)).len(), 4);
    } else {
        assert!(edited.expect_err("no picture").contains("`still`"));
    }
}

#[test]
fn plans_take_looks_layers_and_curves() {
    let home = Home::embedded();
    let plan = json!({
        "name": "Look",
        "visuals": [
            { "video_url": media("clip.mp4"), "end": 2, "filter": "ABG", "brightness": "10%", "fit": "cover" },
            { "image_url": media("picture.jpg"), "duration": 2, "motion": "Ken Burns", "saturation": -0.2 },
        ],
        "effects": [
            { "filter": "KE1", "intensity": 0.5, "at": 0, "duration": 3 },
            { "filter_type": "ABG", "filter_intensity": 50, "at": 3, "duration": 1 },
            { "effect_type": "Blur", "at": 1, "duration": 1, "intensity": "50%" },
        ],
        "keyframes": [
            { "property_types": ["rotation", "rotation"], "times": [0, 1], "values": ["0", "45deg"], "easing": "ease-out" },
        ],
    });
    let (code, report, stderr) = compose(&home, &plan, &[]);
    assert_eq!(code, 0, "{stderr}");
    let mut client = home.connected();
    let draft = report["draft_id"].as_str().expect("an id").to_owned();
    let document = document(&mut client, &draft);
    let all = clips(&document);
    let of_kind = |kind: &str| {
        let of = all.iter().filter(|clip| {
            let effects = of_clip(&document, clip, "effects");
            effects.iter().any(|effect| effect["type"] == kind)
        });
        of.count()
    };
    assert_eq!(
        (
            of_kind("filter"),
            of_kind("brightness"),
            of_kind("saturation")
        ),
        (3, 1, 1)
    );
    let turned = all.iter().find(|clip| {
        let lists = clip["common_keyframes"].as_array().into_iter().flatten();
        lists
            .into_iter()
            .any(|list| list["property_type"] == "KFTypeRotation")
    });
    let points = keyframes(turned.expect("a clip"), "KFTypeRotation");
    assert_eq!(points[1]["left_control"]["x"], -420_000.0);
    // A problem is reported before anything is made.
    let plan = json!({ "name": "Wrong", "visuals": [{ "video_url": media("clip.mp4"), "filter": "ABGG" }] });
    let (code, _, stderr) = compose(&home, &plan, &[]);
    assert_ne!(code, 0);
    assert!(stderr.contains("ABG"), "{stderr}");
}

/// Drafts that an app saved: what is added has the keys that the app writes, and undo gives the same bytes.
#[test]
fn looks_are_set_in_drafts_of_an_app() {
    let home = Home::embedded();
    let data =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/capcut-draft/tests/data");
    let document = fs::read_to_string(data.join("app.json")).expect("it is in the repository");
    let file = home.file("apps/Look/draft_info.json", document);
    let mut client = home.connected();
    let opened = client.call(
        "open_draft",
        json!({ "draft": file.parent().and_then(std::path::Path::to_str) }),
    );
    let draft = opened.expect("opened")["draft_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let rows = client
        .call("inspect_draft", json!({ "draft_id": draft }))
        .expect("rows");
    let tracks = rows["tracks"].as_array().expect("tracks").iter();
    let mut all = tracks.flat_map(|track| track["clips"].as_array().cloned().unwrap_or_default());
    let id = all.find(|clip| clip["kind"] == "video").expect("a video")["id"].clone();
    let before = drafts::document(&mut client, &draft);
    let full = before["materials"]["effects"]
        .as_array()
        .map_or(0, Vec::len);
    for (spellings, stored) in looks() {
        let mut values = spellings[0].clone();
        if stored
            .iter()
            .any(|stored| ["clip", "speeds"].contains(&stored.0))
        {
            continue;
        }
        values["op"] = "set".into();
        values["clip"] = id.clone();
        client
            .call(
                "edit_draft",
                json!({ "draft_id": draft, "operations": [values] }),
            )
            .unwrap_or_else(|error| panic!("{values}: {error}"));
        let after = drafts::document(&mut client, &draft);
        if let Some(added) = after["materials"]["effects"]
            .as_array()
            .and_then(|all| all.get(full))
        {
            for key in [
                "version",
                "path",
                "request_id",
                "adjust_params",
                "render_index",
                "category_name",
            ] {
                assert!(added.get(key).is_some(), "{values}: no {key} in {added}");
            }
        }
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
        assert!(drafts::document(&mut client, &draft) == before, "{values}");
    }
    let operations = json!([
        { "op": "set", "clip": id, "motion": "pulse" },
        { "op": "add_keyframes", "clip": id, "property": "exposure", "easing": "in", "points": [{ "time": 0.1, "value": 0 }] },
    ]);
    let edited = client.call(
        "edit_draft",
        json!({ "draft_id": draft, "operations": operations }),
    );
    let edited = edited.map(drop).or_else(|error| {
        // The clip may begin later.
        if error.contains("is not within") {
            Ok(())
        } else {
            Err(error)
        }
    });
    edited.expect("edited");
}

#[test]
fn properties_that_a_server_lacks_are_refused_and_never_dropped() {
    let (home, api) = remote(0);
    let mut client = home.connected();
    let made = client
        .call("create_draft", json!({ "name": "Remote" }))
        .expect("a draft");
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    for (tool, arguments, expected) in [
        (
            "add_video",
            json!({ "video_url": "http://127.0.0.1:1/a.mp4", "end": 1, "rotation": 45 }),
            "`rotation`",
        ),
        (
            "add_effect",
            json!({ "filter": "ABG" }),
            "filters over everything",
        ),
        (
            "add_video_keyframe",
            json!({ "property_type": "alpha", "value": "50%", "easing": "in" }),
            "`easing`",
        ),
    ] {
        let mut arguments = arguments.clone();
        arguments["draft_id"] = draft.as_str().into();
        let error = client.call(tool, arguments).expect_err("refused");
        assert!(
            error.contains(expected) && error.contains("embedded"),
            "{tool}: {error}"
        );
    }
    assert!(api.draft(&draft).is_empty());
}
