use std::collections::BTreeSet;
use std::sync::Arc;

use capcut_text::Fonts;
use tiny_skia::Pixmap;

use super::*;
use crate::compose::{Composer, Frame, Frames, WantedFrame};
use crate::movie::Movie;

const SIZE: (u32, u32) = (96, 54);

/// Two files with other patterns.
struct Two;

impl Two {
    fn picture(medium: usize) -> Pixmap {
        let mut picture = Pixmap::new(SIZE.0, SIZE.1).unwrap();
        let (pixels, _) = picture.data_mut().as_chunks_mut::<4>();
        for (index, pixel) in pixels.iter_mut().enumerate() {
            let (x, y) = (index % 96, index / 96);
            let part = ((x / 7 + y / 11) % 2 * 90 + x + y) as u8;
            *pixel = if medium == 0 {
                [200, part, 30, 255]
            } else {
                [20, 60, 255 - part, 255]
            };
        }
        picture
    }
}

impl Frames for Two {
    fn frame(&mut self, wanted: &WantedFrame) -> Frame {
        Frame::Picture(Arc::new(Self::picture(wanted.medium)))
    }
}

fn movie(form: TransitionForm) -> Movie {
    let document = serde_json::json!({
        "canvas_config": {"width": SIZE.0, "height": SIZE.1}, "fps": 30,
        "tracks": [{"type": "video", "segments": [
            {"material_id": "A", "target_timerange": {"start": 0, "duration": 2_000_000}, "extra_material_refs": ["T"]},
            {"material_id": "B", "target_timerange": {"start": 2_000_000, "duration": 2_000_000}},
        ]}],
        "materials": {
            "videos": [
                {"id": "A", "type": "photo", "path": "a", "width": SIZE.0, "height": SIZE.1},
                {"id": "B", "type": "photo", "path": "b", "width": SIZE.0, "height": SIZE.1},
            ],
            "transitions": [{"id": "T", "name": "Mix", "duration": 1_000_000}],
        },
    });
    let document = capcut_draft::Document::parse(document.to_string()).unwrap();
    let mut movie = Movie::new(&document, &Fonts::of_folders(&[]));
    assert_eq!(movie.timelines[0].tracks[0].joints.len(), 1);
    movie.timelines[0].tracks[0].joints[0].form = form;
    movie
}

fn draw(movie: &Movie, at: i64) -> Vec<u8> {
    let mut target = Pixmap::new(SIZE.0, SIZE.1).unwrap();
    Composer::new(Fonts::of_folders(&[])).compose(&movie.scene(at), &mut Two, &mut target);
    target.data().to_vec()
}

/// The mean difference of two pictures, steps of 255.
fn difference(first: &[u8], second: &[u8]) -> f64 {
    let sum: u64 = first
        .iter()
        .zip(second)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / first.len() as f64
}

#[test]
fn each_form_differs_from_a_cut_and_from_the_others_and_is_complete_at_its_ends() {
    let (first, second) = (Two::picture(0), Two::picture(1));
    let mut seen: Vec<(TransitionForm, Vec<u8>)> = Vec::new();
    for form in EVERY_FORM {
        let movie = movie(*form);
        let before = draw(&movie, 1_499_999);
        assert_eq!(before, first.data(), "{form:?} changes what is before it");
        assert_eq!(draw(&movie, 2_500_000), second.data(), "{form:?}");
        let at_start = draw(&movie, 1_500_000);
        assert!(
            difference(&at_start, first.data()) < 4.0,
            "{form:?} at its start"
        );
        let at_end = draw(&movie, 2_499_999);
        assert!(
            difference(&at_end, second.data()) < 4.0,
            "{form:?} at its end"
        );
        let early = draw(&movie, 1_850_000);
        let late = draw(&movie, 2_150_000);
        for (part, plain) in [(&early, first.data()), (&late, second.data())] {
            assert!(difference(part, plain) > 1.0, "{form:?} is a cut");
        }
        for pixel in early.as_chunks::<4>().0 {
            assert_eq!(pixel[3], 255, "{form:?} leaves the canvas open");
        }
        let both = [early, late].concat();
        for (other, picture) in &seen {
            assert!(
                difference(&both, picture) > 0.5,
                "{form:?} looks as {other:?}"
            );
        }
        seen.push((*form, both));
    }
    assert!(seen.len() >= 8);
}

#[test]
fn names_of_both_editions_have_forms() {
    use Direction::{Down, Left, Right, Up};
    use TransitionForm as F;
    for (name, form) in [
        ("Mix", F::Dissolve),
        ("叠化", F::Dissolve),
        ("Black Fade", F::Through(Color::BLACK)),
        ("闪黑", F::Through(Color::BLACK)),
        ("White_Flash", F::Through(Color::WHITE)),
        ("Wipe Right", F::Wipe(Right)),
        ("向左擦除", F::Wipe(Left)),
        ("向上擦除", F::Wipe(Up)),
        ("Slide", F::Slide(Left)),
        ("下移", F::Push(Down)),
        ("Left", F::Push(Left)),
        ("Pull in", F::ZoomIn),
        ("拉远", F::ZoomOut),
        ("圆形遮罩", F::Circle),
        ("Clock wipe", F::Clock),
        ("Blur", F::Blur),
        ("模糊", F::Blur),
        ("Horizontal Blur", F::Whip(Left)),
        ("Rotate CCW II", F::Spin(false)),
        ("顺时针旋转", F::Spin(true)),
        ("百叶窗", F::Stripes { vertical: false }),
        ("爱心", F::Heart),
        ("Open Horizontally", F::Doors { horizontal: true }),
    ] {
        assert_eq!(find_transition(name, &[]), (form, true), "{name}");
    }
    assert_eq!(
        find_transition("", &["6724845717472416269"]),
        (F::Dissolve, true)
    );
    assert_eq!(
        find_transition("", &["6724226861666144779"]),
        (F::ZoomIn, true)
    );
    assert_eq!(find_transition("Qwxyz", &["1"]), (F::Dissolve, false));
    let ids: BTreeSet<&str> = IDS.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), IDS.len());
}

#[test]
fn any_part_and_canvas_gives_numbers() {
    for form in EVERY_FORM {
        for part in [f64::NAN, -1.0, 0.0, 0.3, 1.0, 9.0] {
            let sides = form.sides(part, (2.0, 8192.0));
            for side in [sides.first, sides.second] {
                assert!(
                    (0.0..=1.0).contains(&side.opacity) || part.is_nan(),
                    "{form:?} {part}"
                );
            }
        }
    }
}
