//! Captions whose words take a colour while they are spoken.

use capcut_draft::Document;
use serde_json::{Value, json};
use tiny_skia::Pixmap;

use crate::support::{Plain, draw, movie};

const SIZE: (u32, u32) = (640, 360);

/// A caption from 1 s to 4 s with four words of half a second each, the third on a second line.
fn caption(animation: &str, more: &Value) -> Document {
    let words = "One two\nthree four";
    let style = json!({
        "range": [0, words.len()], "size": 15.0,
        "fill": {"content": {"render_type": "solid", "solid": {"alpha": 1.0, "color": [1.0, 1.0, 1.0]}}},
    });
    let mut text = json!({
        "id": "T", "type": "subtitle", "content": json!({"text": words, "styles": [style]}).to_string(),
        "font_size": 15.0, "alignment": 1, "ktv_color": "#ff0000",
        "words": {
            "text": ["One", " ", "two", "\n", "three", " ", "four"],
            "start_time": [500, 1000, 1000, 1500, 1500, 2000, 2000],
            "end_time": [1000, 1000, 1500, 1500, 2000, 2000, 2500],
        },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        text[key.as_str()] = value.clone();
    }
    let animation = json!({
        "id": "A", "type": "sticker_animation",
        "animations": [{"id": "1", "name": animation, "type": "caption", "start": 0, "duration": 3_000_000,
            "resource_id": "7361356220424262161"}],
    });
    let clip = json!({
        "id": "S", "material_id": "T", "extra_material_refs": ["A"], "visible": true,
        "target_timerange": {"start": 1_000_000, "duration": 3_000_000},
        "clip": {"alpha": 1.0, "rotation": 0.0, "scale": {"x": 1.0, "y": 1.0}, "transform": {"x": 0.0, "y": 0.0}},
    });
    let root = json!({
        "id": "D", "fps": 30.0, "duration": 4_000_000,
        "canvas_config": {"width": SIZE.0, "height": SIZE.1, "ratio": "original"},
        "tracks": [{"id": "K", "type": "text", "attribute": 0, "segments": [clip]}],
        "materials": {"texts": [text], "material_animations": [animation]},
    });
    Document::parse(root.to_string()).unwrap()
}

/// How many pixels are red and white, in the upper and in the lower line.
fn counted(picture: &Pixmap) -> [(usize, usize); 2] {
    let mut counts = [(0, 0); 2];
    for (index, pixel) in picture.pixels().iter().enumerate() {
        let line = usize::from(index as u32 / SIZE.0 >= SIZE.1 / 2);
        match (pixel.red(), pixel.green(), pixel.blue()) {
            (255, 0, 0) => counts[line].0 += 1,
            (255, 255, 255) => counts[line].1 += 1,
            _ => {}
        }
    }
    counts
}

fn drawn(document: &Document, ms: i64) -> Pixmap {
    draw(
        &movie(document),
        ms * 1000,
        SIZE,
        &mut Plain([0, 0, 0, 255]),
    )
}

/// What the red and the white pixels of a line are like.
type Is<'t> = &'t dyn Fn((usize, usize)) -> bool;

#[test]
fn words_have_the_colour_when_they_are_spoken() {
    // Which parts of both lines are red: nothing, some or all of it.
    let none = |count: (usize, usize)| count.0 == 0 && count.1 > 50;
    let some = |count: (usize, usize)| count.0 > 50 && count.1 > 50;
    let all = |count: (usize, usize)| count.0 > 50 && count.1 == 0;
    let (none, some, all): (Is, Is, Is) = (&none, &some, &all);
    for (animation, expected) in [
        (
            "Karaoke",
            [
                (none, none),
                (some, none),
                (all, none),
                (all, some),
                (all, all),
            ],
        ),
        (
            "Highlight",
            [
                (none, none),
                (some, none),
                (some, none),
                (none, some),
                (none, some),
            ],
        ),
        (
            "Karaoke by line",
            [
                (none, none),
                (all, none),
                (all, none),
                (all, all),
                (all, all),
            ],
        ),
        // An animation of the app with another name.
        (
            "字幕动画",
            [
                (none, none),
                (some, none),
                (all, none),
                (all, some),
                (all, all),
            ],
        ),
    ] {
        let document = caption(animation, &json!({}));
        for (ms, (upper, lower)) in [1400, 1700, 2200, 2700, 3900].into_iter().zip(expected) {
            let counts = counted(&drawn(&document, ms));
            assert!(
                upper(counts[0]) && lower(counts[1]),
                "{animation} {ms}: {counts:?}"
            );
        }
        let notes = movie(&document).notes().to_vec();
        let own = notes.iter().find(|note| note.subject == "karaoke").unwrap();
        assert!(!own.is_left_out && own.text.contains(animation), "{own:?}");
    }
}

#[test]
fn only_the_colour_of_letters_changes() {
    let plain = drawn(&caption("Karaoke", &json!({"ktv_color": "#ffffff"})), 2700);
    let before = drawn(&caption("Karaoke", &json!({})), 1100);
    assert!(plain.data() == before.data());
    // The outline and the box behind the text stay as they are.
    let boxed = json!({
        "check_flag": 31, "background_color": "#0000ff", "background_alpha": 0.5, "background_style": 1,
    });
    let of = |ms: i64| drawn(&caption("Karaoke", &boxed), ms);
    let (early, late) = (of(1100), of(3900));
    let blue = |picture: &Pixmap| {
        let pixels = picture.pixels().iter();
        pixels
            .filter(|pixel| pixel.red() == 0 && pixel.green() == 0 && pixel.blue() > 100)
            .count()
    };
    assert!(blue(&early) > 1000);
    assert_eq!(blue(&early), blue(&late));
}

#[test]
fn a_caption_without_words_or_colour_is_noted() {
    for more in [
        json!({"words": {}}),
        json!({"ktv_color": ""}),
        json!({"words": 7}),
    ] {
        let document = caption("Karaoke", &more);
        let counts = counted(&drawn(&document, 3900));
        assert!(counts[0].0 == 0 && counts[0].1 > 50, "{counts:?}");
        let movie = movie(&document);
        assert!(
            movie
                .notes()
                .iter()
                .any(|note| note.subject == "karaoke" && note.is_left_out),
            "{more}"
        );
    }
}
