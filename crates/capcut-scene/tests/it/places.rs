//! Where pictures are drawn, at several times and rates.

use crate::support::{self, Areas, document, image, movie, pixel, video};
use capcut_scene::Composer;
use serde_json::json;

#[test]
fn a_clip_that_fits_the_canvas_is_copied() {
    let movie = movie(&document(
        json!({"segments": [image("A", json!({}))]}),
        80,
        60,
    ));
    let frame = support::draw(&movie, 0, (80, 60), &mut Areas::default());
    let expected = Areas::picture(80, 60);
    assert_eq!(frame.data(), expected.data());
}

#[test]
fn a_moved_turned_and_scaled_clip_has_its_corners_where_the_document_says() {
    // 40 × 60 pixels in a canvas of 160 × 90: contained with factor 1.5, then half as large, turned by 90°.
    let clip = json!({"scale": {"x": 0.5, "y": 0.5}, "rotation": 90.0, "transform": {"x": 0.5, "y": 0.5}, "alpha": 1.0});
    let movie = movie(&document(
        json!({"segments": [image("A 40x60", json!({"clip": clip}))]}),
        160,
        90,
    ));
    let frame = support::draw(&movie, 0, (160, 90), &mut Areas::sized(40, 60));
    // Centre (120, 22.5); 45 pixels wide and 30 high after the turn.
    for (x, y, color) in [
        (99, 9, support::BLUE),    // bottom left comes to the top left
        (141, 9, support::RED),    // top left comes to the top right
        (141, 36, support::GREEN), // top right comes to the bottom right
        (99, 36, support::WHITE),
        (96, 22, support::BLACK),
        (144, 22, support::BLACK),
        (120, 6, support::BLACK),
        (120, 39, support::BLACK),
    ] {
        assert_eq!(pixel(&frame, x, y), color, "{x}, {y}");
    }
}

#[test]
fn a_smaller_target_shows_the_same_scene() {
    let clip = json!({"scale": {"x": 0.5, "y": 0.5}, "transform": {"x": 0.5, "y": -0.5}});
    let movie = movie(&document(
        json!({"segments": [image("A", json!({"clip": clip}))]}),
        160,
        80,
    ));
    let frame = support::draw(&movie, 0, (80, 40), &mut Areas::sized(160, 80));
    assert_eq!(pixel(&frame, 39, 30), support::BLACK);
    assert_eq!(pixel(&frame, 41, 21), support::RED);
    assert_eq!(pixel(&frame, 78, 38), support::WHITE);
}

#[test]
fn videos_are_asked_for_the_time_in_their_file() {
    let clip = video(
        "V",
        json!({
            "target_timerange": {"start": 1_000_000, "duration": 2_000_000},
            "source_timerange": {"start": 500_000, "duration": 4_000_000}, "speed": 2.0,
        }),
    );
    let movie = movie(&document(json!({"segments": [clip]}), 80, 60));
    let mut frames = Areas::default();
    let mut composer = Composer::new(support::fonts());
    for time in [0, 1_000_000, 1_500_000, 2_999_999, 3_000_000] {
        let mut target = tiny_skia::Pixmap::new(80, 60).unwrap();
        composer.compose(&movie.scene(time), &mut frames, &mut target);
    }
    let times: Vec<i64> = frames.asked.iter().map(|wanted| wanted.at).collect();
    assert_eq!(times, [500_000, 1_500_000, 4_499_998]);
    assert_eq!(movie.media()[0].uses[0].source.end(), 4_500_000);
    assert_eq!(frames.asked[0].size, (80, 60));
}
