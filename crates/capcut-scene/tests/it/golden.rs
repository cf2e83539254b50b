//! Scenes with known corners and colours, at five times and several frame rates.

use capcut_draft::Grid;
use serde_json::{Value, json};

use crate::support::{self, Areas, document_of, draw, image, movie, pixel, video};

const RATES: [f64; 5] = [24000.0 / 1001.0, 25.0, 30000.0 / 1001.0, 30.0, 60.0];
const CANVAS: (u32, u32) = (320, 180);

fn keyframes(property: &str, points: &[(i64, f64)]) -> Value {
    let list: Vec<Value> = points
        .iter()
        .map(|(time, value)| json!({"time_offset": time, "values": [value], "curveType": "Line"}))
        .collect();
    json!({"property_type": property, "keyframe_list": list})
}

/// A clip of 120 × 90 pixels over a whole one, which moves, grows and turns from 1 s to 3 s on the timeline.
fn moving() -> Value {
    video(
        "V 120x90",
        json!({
            "target_timerange": {"start": 1_000_000, "duration": 2_000_000},
            "source_timerange": {"start": 400_000, "duration": 4_000_000}, "speed": 2.0,
            "clip": {"scale": {"x": 0.5, "y": 0.5}, "alpha": 1.0},
            "common_keyframes": [
                keyframes("KFTypePositionX", &[(400_000, -0.5), (4_400_000, 0.5)]),
                keyframes("KFTypePositionY", &[(400_000, 0.2), (4_400_000, -0.2)]),
                keyframes("KFTypeScaleX", &[(400_000, 0.3), (4_400_000, 0.6)]),
                keyframes("KFTypeRotation", &[(400_000, 0.0), (4_400_000, 90.0)]),
            ],
        }),
    )
}

/// Where the corners of the moving clip must be, computed apart from the crate: top left, top right, bottom right, bottom
/// left.
fn corners(at: i64) -> [(f64, f64); 4] {
    let part = (at - 1_000_000) as f64 / 2e6;
    let (width, height) = (f64::from(CANVAS.0), f64::from(CANVAS.1));
    let center = (
        width / 2.0 * (1.0 - 0.5 + part),
        height / 2.0 * (1.0 - 0.2 + 0.4 * part),
    );
    let scale = (0.3 + 0.3 * part) * (width / 120.0).min(height / 90.0);
    let angle = (90.0 * part).to_radians();
    [(-60.0, -45.0), (60.0, -45.0), (60.0, 45.0), (-60.0, 45.0)].map(|(x, y): (f64, f64)| {
        let (x, y) = (x * scale, y * scale);
        (
            center.0 + x * angle.cos() - y * angle.sin(),
            center.1 + x * angle.sin() + y * angle.cos(),
        )
    })
}

#[test]
fn corners_are_within_a_pixel_at_any_rate() {
    let whole = image(
        "A",
        json!({"target_timerange": {"start": 0, "duration": 5_000_000}}),
    );
    let tracks =
        json!([{"type": "video", "segments": [whole]}, {"type": "video", "segments": [moving()]}]);
    let movie = movie(&document_of(tracks, json!({}), CANVAS.0, CANVAS.1));
    let colors = [support::RED, support::GREEN, support::WHITE, support::BLUE];
    for rate in RATES {
        let grid = Grid::new(rate);
        // The first frame of the clip and its last one are among the times.
        let first = grid.frame(1_000_000 - 1) + 1;
        let last = grid.frame(3_000_000 - 1);
        let frames = [first, first + 1, i64::midpoint(first, last), last - 7, last];
        for at in frames.map(|frame| grid.time(frame).max(1_000_000)) {
            let corners = corners(at);
            let center = (
                corners.iter().map(|(x, _)| x).sum::<f64>() / 4.0,
                corners.iter().map(|(_, y)| y).sum::<f64>() / 4.0,
            );
            // The whole clip is gray where the moving one must not be.
            let mut frames = OnGray;
            let frame = draw(&movie, at, CANVAS, &mut frames);
            for ((x, y), color) in corners.into_iter().zip(colors) {
                let (dx, dy) = (center.0 - x, center.1 - y);
                let length = dx.hypot(dy);
                let near = |by: f64| {
                    let (x, y) = (x + dx / length * by, y + dy / length * by);
                    (x >= 0.0 && y >= 0.0 && x < 320.0 && y < 180.0)
                        .then(|| pixel(&frame, x as u32, y as u32))
                };
                // Along the diagonal, 1 px from both edges is at most 2.6 px from the corner.
                if let Some(inside) = near(2.6) {
                    support::assert_near(inside, color, &format!("inside {x}, {y} at {at}"));
                }
                if let Some(outside) = near(-2.2) {
                    support::assert_near(outside, GRAY, &format!("outside {x}, {y} at {at}"));
                }
            }
        }
    }
}

const GRAY: support::Rgba = [90, 90, 90, 255];

/// The areas for videos, and a gray picture for others.
struct OnGray;

impl capcut_scene::Frames for OnGray {
    fn frame(&mut self, wanted: &capcut_scene::WantedFrame) -> capcut_scene::Frame {
        let picture = if wanted.medium == 0 {
            support::plain(wanted.size, GRAY)
        } else {
            Areas::picture(120, 90)
        };
        capcut_scene::Frame::Picture(std::sync::Arc::new(picture))
    }
}

#[test]
fn slow_movement_is_finer_than_a_pixel() {
    let clip = |x: f64| {
        let clip = json!({"scale": {"x": 0.5, "y": 0.5}, "transform": {"x": x, "y": 0.0}});
        let tracks = json!([{"type": "video", "segments": [image("A", json!({"clip": clip}))]}]);
        let movie = movie(&document_of(tracks, json!({}), CANVAS.0, CANVAS.1));
        let frame = draw(&movie, 0, CANVAS, &mut support::Plain(support::WHITE));
        // The light in a row is the width; its middle is the place.
        let row: Vec<f64> = (0..320)
            .map(|x| f64::from(pixel(&frame, x, 90)[0]))
            .collect();
        let light: f64 = row.iter().sum();
        let middle: f64 = row
            .iter()
            .enumerate()
            .map(|(x, part)| (x as f64 + 0.5) * part)
            .sum();
        middle / light
    };
    for step in 0..20 {
        let x = f64::from(step) * 0.3 / 160.0;
        let miss = clip(x) - (160.0 + f64::from(step) * 0.3);
        assert!(miss.abs() < 0.02, "step {step}: {miss}");
    }
}

#[test]
fn crop_comes_before_fit_and_flips_mirror() {
    // The right half of 320 × 180 is 160 × 180: contained, it is 160 wide in the middle.
    let mut document = json!({
        "canvas_config": {"width": 320, "height": 180}, "tracks": [{"type": "video", "segments": [
            image("A", json!({"clip": {"flip": {"horizontal": true, "vertical": true}}})),
        ]}],
        "materials": {"videos": [{"id": "A", "type": "photo", "path": "a", "width": 320, "height": 180, "crop": {
            "upper_left_x": 0.5, "upper_left_y": 0.0, "upper_right_x": 1.0, "upper_right_y": 0.0,
            "lower_left_x": 0.5, "lower_left_y": 1.0, "lower_right_x": 1.0, "lower_right_y": 1.0}}]},
    });
    let parse = |document: &Value| capcut_draft::Document::parse(document.to_string()).unwrap();
    let frame = draw(&movie(&parse(&document)), 0, CANVAS, &mut Areas::default());
    // The right half is green above white; mirrored, white above green.
    for (x, y, color) in [
        (79, 10, support::BLACK),
        (80, 10, support::WHITE),
        (239, 10, support::WHITE),
        (240, 10, support::BLACK),
        (160, 170, support::GREEN),
        (160, 1, support::WHITE),
    ] {
        assert_eq!(pixel(&frame, x, y), color, "{x}, {y}");
    }
    // Corners in one place are no part of a picture.
    document["materials"]["videos"][0]["crop"] = json!({"upper_left_x": 1.0, "lower_left_x": 1.0});
    let frame = draw(&movie(&parse(&document)), 0, CANVAS, &mut Areas::default());
    assert_eq!(pixel(&frame, 1, 1), support::WHITE);
}

#[test]
fn opacity_and_modes_have_the_values_of_their_formulas() {
    let below = [100, 150, 200, 255];
    let above = [200, 100, 50, 255];
    let mode = |name: &str, alpha: f64| {
        let upper = image(
            "V",
            json!({"clip": {"alpha": alpha}, "extra_material_refs": ["M"]}),
        );
        let tracks = json!([
            {"type": "video", "segments": [image("A", json!({}))]}, {"type": "video", "segments": [upper]}]);
        let modes = json!({"effects": [{"id": "M", "type": "mix_mode", "name": name}]});
        let movie = movie(&document_of(tracks, modes, CANVAS.0, CANVAS.1));
        let mut frames = support::ByMedium(vec![below, above]);
        pixel(&draw(&movie, 0, CANVAS, &mut frames), 160, 90)
    };
    let expected = |formula: fn(f64, f64) -> f64, alpha: f64| {
        let mut color = [255; 4];
        for channel in 0..3 {
            let (b, a) = (
                f64::from(below[channel]) / 255.0,
                f64::from(above[channel]) / 255.0,
            );
            let mixed = formula(b, a).clamp(0.0, 1.0);
            color[channel] = ((b + (mixed - b) * alpha) * 255.0).round() as u8;
        }
        color
    };
    for alpha in [1.0, 0.5, 0.25] {
        for (names, formula) in [
            (["Normal", "正常"], (|_, a| a) as fn(f64, f64) -> f64),
            (["Multiply", "正片叠底"], |b, a| b * a),
            (["Screen", "滤色"], |b, a| b + a - b * a),
            (["Darken", "变暗"], f64::min),
            (["Lighten", "变亮"], f64::max),
        ] {
            for name in names {
                support::assert_near(mode(name, alpha), expected(formula, alpha), name);
            }
        }
    }
    support::assert_near(mode("Add", 1.0), expected(|b, a| b + a, 1.0), "Add");
}

#[test]
fn hidden_tracks_and_clips_are_not_seen_and_the_order_decides() {
    let segment = |id: &str, more: Value| image(id, more);
    let two = |track_mode: bool, hidden: i64, visible: bool| {
        let mut document = json!({
            "canvas_config": {"width": 320, "height": 180}, "render_index_track_mode_on": track_mode,
            "tracks": [
                {"type": "video", "segments": [segment("A", json!({"render_index": 5}))]},
                {"type": "video", "attribute": hidden, "segments": [segment("B", json!({"render_index": 1, "visible": visible}))]},
            ], "materials": {"videos": []},
        });
        for id in ["A", "B"] {
            let video = json!({"id": id, "type": "photo", "path": id, "width": 320, "height": 180});
            document["materials"]["videos"]
                .as_array_mut()
                .unwrap()
                .push(video);
        }
        let document = capcut_draft::Document::parse(document.to_string()).unwrap();
        let movie = movie(&document);
        let is_second = movie.media().len() > 1;
        let mut frames = support::ByMedium(vec![support::RED, support::BLUE]);
        (
            pixel(&draw(&movie, 0, CANVAS, &mut frames), 9, 9),
            is_second,
        )
    };
    assert_eq!(two(true, 0, true), (support::BLUE, true));
    assert_eq!(two(false, 0, true), (support::RED, true));
    assert_eq!(two(true, 2, true).0, support::RED);
    assert_eq!(two(true, 0, false), (support::RED, false));
}
