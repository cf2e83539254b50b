//! Masks, colours, backgrounds, compound clips, texts and transitions of documents.

use capcut_draft::Document;
use serde_json::{Value, json};
use tiny_skia::Pixmap;

use crate::support::{self, Areas, document_of, draw, image, movie, pixel};

const CANVAS: (u32, u32) = (320, 180);

fn with(clip: Value, materials: Value) -> Document {
    let tracks = json!([{"type": "video", "segments": [image("A", clip)]}]);
    document_of(tracks, materials, CANVAS.0, CANVAS.1)
}

fn white(document: &Document, at: i64) -> Pixmap {
    draw(
        &movie(document),
        at,
        CANVAS,
        &mut support::Plain(support::WHITE),
    )
}

/// The part of the picture that is lit.
fn light(picture: &Pixmap) -> f64 {
    let sum: f64 = picture
        .pixels()
        .iter()
        .map(|pixel| f64::from(pixel.red()))
        .sum();
    sum / 255.0 / f64::from(picture.width() * picture.height())
}

fn masked(kind: &str, config: Value) -> f64 {
    let mask = json!({"masks": [{"id": "M", "type": "mask", "resource_type": kind, "name": "", "config": config}]});
    light(&white(
        &with(json!({"extra_material_refs": ["M"]}), mask),
        0,
    ))
}

#[test]
fn masks_show_their_part_of_the_picture() {
    let near = |own: f64, expected: f64, what: &str| {
        assert!(
            (own - expected).abs() < 0.012,
            "{what}: {own} instead of {expected}"
        );
    };
    let round = std::f64::consts::PI / 4.0;
    near(masked("line", json!({})), 0.5, "linear");
    near(
        masked("line", json!({"rotation": 30.0})),
        0.5,
        "linear, turned",
    );
    near(
        masked("line", json!({"centerY": 0.5})),
        0.25,
        "linear, higher",
    );
    near(masked("mirror", json!({"height": 0.4})), 0.4, "mirror");
    near(
        masked("rectangle", json!({"width": 0.5, "height": 0.5})),
        0.25,
        "rectangle",
    );
    near(
        masked(
            "rectangle",
            json!({"width": 0.5, "height": 0.5, "invert": true}),
        ),
        0.75,
        "rectangle, inverted",
    );
    near(
        masked(
            "rectangle",
            json!({"width": 0.9, "height": 0.9, "feather": 0.2}),
        ),
        0.81,
        "rectangle, soft",
    );
    near(
        masked("circle", json!({"width": 0.5, "height": 0.5})),
        0.25 * round,
        "circle",
    );
    let heart = masked("heart", json!({"width": 0.5, "height": 0.8}));
    let star = masked("pentagram", json!({"width": 0.5, "height": 0.8}));
    assert!((0.2..0.36).contains(&heart), "{heart}");
    assert!((0.08..0.2).contains(&star), "{star}");
    assert!(
        masked(
            "rectangle",
            json!({"width": 0.5, "height": 0.5, "roundCorner": 1.0})
        ) < 0.245
    );
}

#[test]
fn masks_that_are_not_drawn_show_the_whole_picture_and_are_noted() {
    let mask = json!({"masks": [{"id": "M", "resource_type": "contour", "name": "Pen"}]});
    let document = with(json!({"extra_material_refs": ["M"]}), mask);
    assert_eq!(light(&white(&document, 0)), 1.0);
    let movie = movie(&document);
    let note = movie
        .notes()
        .iter()
        .find(|note| note.subject == "mask_type")
        .unwrap();
    assert!(note.is_left_out && note.text.contains("\"Pen\"") && &*note.clip == "c1");
}

#[test]
fn keyframes_move_a_mask() {
    let mask = json!({"common_mask": [{"id": "M", "resource_type": "rectangle", "config": {"width": 0.2, "height": 0.2}}]});
    let points =
        json!([{"time_offset": 0, "values": [-0.5]}, {"time_offset": 1_000_000, "values": [0.5]}]);
    let keyframes =
        json!([{"property_type": "KFTypeCommonMaskPositionX", "keyframe_list": points}]);
    let document = with(
        json!({"extra_material_refs": ["M"], "common_keyframes": keyframes}),
        mask,
    );
    let at = |time, x| pixel(&white(&document, time), x, 90)[0];
    assert_eq!(
        [at(0, 80), at(0, 160), at(500_000, 160), at(1_000_000, 240)],
        [255, 0, 255, 255]
    );
}

#[test]
fn a_key_colour_shows_what_is_below() {
    let upper = image("B", json!({"extra_material_refs": ["K"]}));
    let tracks = json!([{"type": "video", "segments": [image("A", json!({}))]}, {"type": "video", "segments": [upper]}]);
    let chroma = json!({"chromas": [{"id": "K", "color": "#00ff00ff", "intensity_value": 0.2}]});
    let movie = movie(&document_of(tracks, chroma, CANVAS.0, CANVAS.1));
    let mut frames = support::ByMedium(vec![support::BLUE, support::GREEN]);
    assert_eq!(
        pixel(&draw(&movie, 0, CANVAS, &mut frames), 100, 100),
        support::BLUE
    );
    let mut frames = support::ByMedium(vec![support::BLUE, support::RED]);
    assert_eq!(
        pixel(&draw(&movie, 0, CANVAS, &mut frames), 100, 100),
        support::RED
    );
}

#[test]
fn adjustments_change_colours_and_an_adjustment_clip_those_below_it() {
    let effect = |id: &str| json!({"id": id, "type": "saturation", "value": -1.0});
    let gray = |color: support::Rgba| color[0] == color[1] && color[1] == color[2];
    let own = with(
        json!({"extra_material_refs": ["S"]}),
        json!({"effects": [effect("S")]}),
    );
    let mut red = support::Plain(support::RED);
    assert!(gray(pixel(&draw(&movie(&own), 0, CANVAS, &mut red), 5, 5)));
    let mut document: Value =
        serde_json::from_slice(&with(json!({}), json!({"effects": [effect("S")]})).write())
            .unwrap();
    document["materials"]["placeholders"] = json!([{"id": "P", "type": "adjust"}]);
    let adjust = json!({"material_id": "P", "extra_material_refs": ["S"],
        "target_timerange": {"start": 1_000_000, "duration": 500_000}});
    document["tracks"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "adjust", "segments": [adjust]}));
    let document = Document::parse(document.to_string()).unwrap();
    let at = |time| {
        pixel(
            &draw(
                &movie(&document),
                time,
                CANVAS,
                &mut support::Plain(support::RED),
            ),
            5,
            5,
        )
    };
    assert_eq!(at(0), support::RED);
    assert!(gray(at(1_200_000)));
}

#[test]
fn a_canvas_is_a_colour_a_blur_or_a_picture() {
    let canvas = |canvas: Value| {
        let mut document: Value = serde_json::from_slice(
            &with(
                json!({"extra_material_refs": ["C"]}),
                json!({"canvases": [canvas]}),
            )
            .write(),
        )
        .unwrap();
        document["materials"]["videos"][0]["width"] = json!(180);
        Document::parse(document.to_string()).unwrap()
    };
    let color = canvas(json!({"id": "C", "type": "canvas_color", "color": "#ff8000ff"}));
    let frame = white(&color, 0);
    assert_eq!(pixel(&frame, 10, 90), [255, 128, 0, 255]);
    assert_eq!(pixel(&frame, 160, 90), support::WHITE);
    let blurred = canvas(json!({"id": "C", "type": "canvas_blur", "blur": 0.5}));
    let frame = draw(&movie(&blurred), 0, CANVAS, &mut Areas::sized(180, 180));
    // Red above blue on the left, mixed around the middle.
    let (top, middle, bottom) = (
        pixel(&frame, 20, 8),
        pixel(&frame, 20, 90),
        pixel(&frame, 20, 171),
    );
    assert!(top[0] > 200 && bottom[2] > 200, "{top:?} {bottom:?}");
    assert!(
        (60..200).contains(&middle[0]) && (60..200).contains(&middle[2]),
        "{middle:?}"
    );
    let picture = canvas(json!({"id": "C", "type": "canvas_image", "image": "/back.png"}));
    let mut frames = support::ByMedium(vec![support::RED, support::BLUE]);
    let movie = movie(&picture);
    assert_eq!(movie.media()[1].path, "/back.png");
    let frame = draw(&movie, 0, CANVAS, &mut frames);
    assert_eq!(
        (pixel(&frame, 10, 90), pixel(&frame, 160, 90)),
        (support::BLUE, support::RED)
    );
}

fn compound(inner: Value, clip: Value) -> Document {
    let mut outer: Value = serde_json::from_slice(&with(clip, json!({})).write()).unwrap();
    outer["tracks"][0]["segments"][0]["extra_material_refs"] = json!(["D"]);
    outer["materials"]["drafts"] = json!([{"id": "D", "type": "combination", "draft": inner}]);
    Document::parse(outer.to_string()).unwrap()
}

#[test]
fn compound_clips_are_drawn_and_heard_at_their_place_and_time() {
    let inner_clip = image(
        "I",
        json!({
            "target_timerange": {"start": 1_000_000, "duration": 3_000_000}, "source_timerange": {"start": 0, "duration": 3_000_000},
            "clip": {"scale": {"x": 0.5, "y": 0.5}}, "volume": 0.5,
        }),
    );
    let inner = json!({
        "canvas_config": {"width": 160, "height": 90}, "tracks": [{"type": "video", "segments": [inner_clip]}],
        "materials": {"videos": [{"id": "I", "type": "video", "path": "/inner.mp4", "width": 160, "height": 90}]},
    });
    let document = compound(
        inner,
        json!({
            "target_timerange": {"start": 500_000, "duration": 1_000_000}, "source_timerange": {"start": 500_000, "duration": 2_000_000},
            "speed": 2.0, "volume": 0.5, "clip": {"scale": {"x": 0.5, "y": 0.5}, "transform": {"x": 0.5, "y": 0.0}},
        }),
    );
    let movie = movie(&document);
    let frame = |at| draw(&movie, at, CANVAS, &mut support::Plain(support::WHITE));
    // The inner clip begins at 1 s inside, which is 750 ms outside.
    assert_eq!(light(&frame(740_000)), 0.0);
    let frame = frame(760_000);
    assert!(
        (light(&frame) - 1.0 / 16.0).abs() < 0.002,
        "{}",
        light(&frame)
    );
    assert_eq!(
        (pixel(&frame, 240, 90), pixel(&frame, 190, 90)),
        (support::WHITE, support::BLACK)
    );
    let medium = &movie.media()[0];
    assert_eq!(
        (&*medium.path, &*medium.uses[0].clip),
        ("/inner.mp4", "c1/c1")
    );
    assert_eq!(
        (medium.uses[0].shown.start, medium.uses[0].shown.end()),
        (750_000, 1_500_000)
    );
    assert_eq!(
        (medium.uses[0].source.start, medium.uses[0].source.end()),
        (0, 1_500_000)
    );
    let sound = &movie.sounds()[0];
    assert_eq!(
        (sound.range.start, sound.range.end(), sound.clock.speed),
        (750_000, 1_500_000, 2.0)
    );
    assert!((sound.gain_at(800_000) - 0.25).abs() < 1e-9);
}

#[test]
fn compound_clips_that_contain_themselves_in_words_only_are_limited() {
    let mut inner = json!({"tracks": [], "materials": {}});
    for _ in 0..30 {
        inner = json!({
            "tracks": [{"type": "video", "segments": [{"material_id": "D", "target_timerange": {"start": 0, "duration": 9_000_000}}]}],
            "materials": {"drafts": [{"id": "D", "draft": inner}]},
        });
    }
    let document = compound(inner, json!({}));
    let movie = movie(&document);
    let note = movie
        .notes()
        .iter()
        .find(|note| note.subject == "compound clip")
        .unwrap();
    assert!(
        note.is_left_out && note.text.contains("8 levels"),
        "{note:?}"
    );
    let _ = draw(&movie, 0, CANVAS, &mut Areas::default());
}

fn text(content: Value, more: Value, clip: Value) -> Document {
    let mut document: Value = serde_json::from_slice(&with(json!({}), json!({})).write()).unwrap();
    let mut material =
        json!({"id": "T", "type": "text", "content": content.to_string(), "line_max_width": 0.82});
    for (key, value) in more.as_object().unwrap() {
        material[key] = value.clone();
    }
    document["materials"]["texts"] = json!([material]);
    let segment = image("T", clip);
    document["tracks"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "text", "segments": [segment]}));
    Document::parse(document.to_string()).unwrap()
}

fn black(document: &Document, at: i64) -> Pixmap {
    draw(
        &movie(document),
        at,
        CANVAS,
        &mut support::Plain(support::BLACK),
    )
}

#[test]
fn texts_have_their_size_place_and_colours() {
    let content = json!({"text": "HHHH", "styles": [
        {"range": [0, 2], "size": 15.0, "fill": {"content": {"solid": {"color": [1.0, 0.0, 0.0]}}}},
        {"range": [2, 4], "size": 15.0, "fill": {"content": {"solid": {"color": [0.0, 0.0, 1.0]}}}},
    ]});
    let document = text(
        content,
        json!({}),
        json!({"clip": {"transform": {"x": 0.0, "y": 0.5}}}),
    );
    let frame = black(&document, 0);
    let hit = |channel: u32| {
        let lit = frame.pixels().iter().enumerate().filter(|(_, pixel)| {
            [pixel.red(), pixel.green(), pixel.blue()][channel as usize] > 128
        });
        let places: Vec<(usize, usize)> = lit.map(|(at, _)| (at % 320, at / 320)).collect();
        let bounds = |numbers: Vec<usize>| {
            (
                *numbers.iter().min().unwrap(),
                *numbers.iter().max().unwrap(),
            )
        };
        (
            bounds(places.iter().map(|place| place.0).collect()),
            bounds(places.iter().map(|place| place.1).collect()),
        )
    };
    let (red, blue) = (hit(0), hit(2));
    assert!(red.0.1 < blue.0.0, "red is left of blue: {red:?} {blue:?}");
    // Around (160, 45); capitals are about 0.73 of an em of 12.5 pixels high.
    assert!((red.0.0 + blue.0.1).abs_diff(320) <= 3, "{red:?} {blue:?}");
    let height = red.1.1 - red.1.0 + 1;
    assert!((8..=11).contains(&height), "{height}");
    assert!((red.1.0 + red.1.1).abs_diff(90) <= 6, "{red:?}");
    let movie = movie(&document);
    assert!(
        movie
            .notes()
            .iter()
            .any(|note| note.subject == "text" && &*note.clip == "c2")
    );
}

#[test]
fn texts_have_outline_background_and_opacity() {
    let letters = json!({"text": "O", "styles": [{"range": [0, 1], "size": 20.0}]});
    let plain = light(&black(&text(letters.clone(), json!({}), json!({})), 0));
    let mut outlined = letters.clone();
    outlined["styles"][0]["strokes"] =
        json!([{"width": 0.08, "content": {"solid": {"color": [1.0, 1.0, 1.0]}}}]);
    assert!(light(&black(&text(outlined, json!({}), json!({})), 0)) > plain * 1.3);
    let background =
        json!({"background_color": "#ffffff", "background_alpha": 1.0, "check_flag": 23});
    assert!(
        light(&black(
            &text(letters.clone(), background.clone(), json!({})),
            0
        )) > plain * 2.0
    );
    let without = json!({"background_color": "#ffffff", "background_alpha": 1.0, "check_flag": 7});
    assert_eq!(
        light(&black(&text(letters.clone(), without, json!({})), 0)),
        plain
    );
    let half = light(&black(
        &text(letters, json!({"global_alpha": 0.5}), json!({})),
        0,
    ));
    assert!((half / plain - 0.5).abs() < 0.02, "{half} of {plain}");
}

#[test]
fn a_typewriter_shows_letter_by_letter() {
    let letters = json!({"text": "MMMMMMMM", "styles": [{"range": [0, 8], "size": 12.0}]});
    let animation = json!({"extra_material_refs": ["N"]});
    let mut document: Value =
        serde_json::from_slice(&text(letters, json!({}), animation).write()).unwrap();
    let row = json!({"type": "in", "name": "Typewriter", "start": 0, "duration": 1_000_000});
    document["materials"]["material_animations"] = json!([{"id": "N", "animations": [row]}]);
    let document = Document::parse(document.to_string()).unwrap();
    let lights: Vec<f64> = [0, 250_000, 500_000, 750_000, 1_000_000]
        .map(|at| light(&black(&document, at)))
        .to_vec();
    assert_eq!(lights[0], 0.0);
    for (step, part) in lights.iter().enumerate() {
        let expected = lights[4] * step as f64 / 4.0;
        assert!((part - expected).abs() < 0.02 * lights[4], "{lights:?}");
    }
}

#[test]
fn a_transition_keeps_both_clips_in_their_files() {
    let first = image(
        "V1",
        json!({
            "target_timerange": {"start": 0, "duration": 1_000_000}, "source_timerange": {"start": 5_000_000, "duration": 1_000_000},
            "extra_material_refs": ["X"],
        }),
    );
    let second = image(
        "V2",
        json!({
            "target_timerange": {"start": 1_000_000, "duration": 1_000_000}, "source_timerange": {"start": 7_000_000, "duration": 1_000_000},
        }),
    );
    let tracks = json!([{"type": "video", "segments": [first, second]}]);
    let materials = json!({"transitions": [{"id": "X", "name": "叠化", "duration": 400_000}]});
    let movie = movie(&document_of(tracks, materials, CANVAS.0, CANVAS.1));
    let uses: Vec<_> = movie
        .media()
        .iter()
        .map(|medium| {
            let own = &medium.uses[0];
            (
                own.shown.start,
                own.shown.end(),
                own.source.start,
                own.source.end(),
            )
        })
        .collect();
    assert_eq!(
        uses,
        [
            (0, 1_200_000, 5_000_000, 6_200_000),
            (800_000, 2_000_000, 6_800_000, 8_000_000)
        ]
    );
    let mut frames = support::ByMedium(vec![[200, 0, 0, 255], [0, 0, 100, 255]]);
    let mut at = |time| pixel(&draw(&movie, time, CANVAS, &mut frames), 100, 100);
    support::assert_near(at(900_000), [150, 0, 25, 255], "a quarter");
    support::assert_near(at(1_000_000), [100, 0, 50, 255], "half");
    support::assert_near(at(1_100_000), [50, 0, 75, 255], "three quarters");
}

#[test]
fn sounds_have_volumes_keyframes_and_fades() {
    let points = json!([{"time_offset": 2_000_000, "values": [1.0]}, {"time_offset": 4_000_000, "values": [0.0]}]);
    let clip = json!({
        "id": "S", "material_id": "M", "target_timerange": {"start": 1_000_000, "duration": 2_000_000},
        "source_timerange": {"start": 2_000_000, "duration": 4_000_000}, "speed": 2.0, "extra_material_refs": ["F"],
        "common_keyframes": [{"property_type": "KFTypeVolume", "keyframe_list": points}],
    });
    let document = |attribute: i64| {
        Document::parse(json!({
        "canvas_config": {"width": 320, "height": 180},
        "tracks": [{"type": "audio", "attribute": attribute, "segments": [clip.clone()]}],
        "materials": {"audios": [{"id": "M", "path": "/m.mp3"}],
            "audio_fades": [{"id": "F", "fade_in_duration": 500_000, "fade_out_duration": 0}]},
    }).to_string()).unwrap()
    };
    let movie = movie(&document(0));
    let sound = &movie.sounds()[0];
    assert_eq!(
        (sound.range.start, sound.range.end()),
        (1_000_000, 3_000_000)
    );
    // Keyframes at 1 s and 2 s on the timeline; the fade lasts until 1.5 s.
    for (at, gain) in [
        (1_000_000, 0.0),
        (1_250_000, 0.75 * 0.5),
        (1_500_000, 0.5),
        (2_000_000, 0.0),
        (2_900_000, 0.0),
    ] {
        assert!(
            (sound.gain_at(at) - gain).abs() < 1e-6,
            "{at}: {}",
            sound.gain_at(at)
        );
    }
    assert!(support::movie(&document(1)).sounds().is_empty());
}
