//! Documents with values of any kind: nothing panics, and time and memory are limited.

use capcut_draft::Document;
use proptest::prelude::*;
use serde_json::{Value, json};
use tiny_skia::Pixmap;

use crate::support::{self, Areas};

/// Real documents: of our writer, of the reference API, and sparse ones.
const DOCUMENTS: [&str; 5] = [
    include_str!("../../../capcut-draft/tests/data/app.json"),
    include_str!("../../../capcut-draft/tests/data/api.json"),
    include_str!("../../../capcut-draft/tests/data/finished.json"),
    include_str!("../../../capcut-draft/tests/data/small.json"),
    include_str!("../../../capcut-draft/tests/data/sparse.json"),
];

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!(true)),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![
            Just(0.0),
            Just(-1.0),
            Just(1e300),
            Just(-1e300),
            Just(1e-300)
        ]
        .prop_map(Value::from),
        prop_oneof![
            Just(0),
            Just(1),
            Just(-1),
            Just(i64::MAX),
            Just(i64::MIN),
            Just(3_000_000)
        ]
        .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ]
}

/// The number of values in a document.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// Replaces the value with this number in the order of the document.
fn replace(value: &mut Value, number: &mut usize, new: &Value) -> bool {
    if *number == 0 {
        *value = new.clone();
        return true;
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, number, new)),
        Value::Object(members) => members.values_mut().any(|item| replace(item, number, new)),
        _ => false,
    }
}

fn check(document: &Document) {
    let movie = support::movie(document);
    let (width, height) = movie.canvas();
    assert!((2..=8192).contains(&width) && (2..=8192).contains(&height));
    assert!((1.0..=1000.0).contains(&movie.fps()) && movie.duration() >= 0);
    for medium in movie.media() {
        for usage in &medium.uses {
            assert!(usage.shown.duration >= 0 && usage.source.duration >= 0);
            assert!(usage.largest.0.is_finite() && usage.largest.1.is_finite());
        }
    }
    for sound in movie.sounds() {
        assert!((0.0..=1e12).contains(&sound.gain_at(sound.range.start)));
    }
    let mut composer = capcut_scene::Composer::new(support::fonts());
    let mut target = Pixmap::new(48, 32).unwrap();
    let end = movie.duration();
    for at in [0, 1, end / 3, end / 2, end - 1, end, -5] {
        composer.compose(&movie.scene(at), &mut Areas::sized(24, 24), &mut target);
    }
}

#[test]
fn real_documents_are_drawn() {
    for document in DOCUMENTS {
        check(&Document::parse(document).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_documents_do_not_panic(
        which in 0..DOCUMENTS.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), odd()), 1..12),
    ) {
        let mut document: Value = serde_json::from_str(DOCUMENTS[which]).unwrap();
        for (index, new) in changes {
            let mut number = index.index(count(&document) - 1) + 1;
            replace(&mut document, &mut number, &new);
        }
        if let Ok(document) = Document::parse_object(document.to_string()) {
            check(&document);
        }
    }

    #[test]
    fn any_place_size_and_time_can_be_drawn(
        numbers in proptest::collection::vec(any::<f64>(), 8),
        (start, length, speed) in (any::<i64>(), any::<i64>(), any::<f64>()),
        (width, height) in (0..20_000_i64, 0..20_000_i64),
    ) {
        let clip = json!({
            "clip": {"scale": {"x": numbers[0], "y": numbers[1]}, "rotation": numbers[2], "alpha": numbers[3],
                "transform": {"x": numbers[4], "y": numbers[5]}},
            "target_timerange": {"start": start, "duration": length}, "speed": speed,
            "source_timerange": {"start": length, "duration": start},
            "extra_material_refs": ["M", "C", "N", "X"],
        });
        let materials = json!({
            "masks": [{"id": "M", "resource_type": "circle", "config": {"width": numbers[6], "height": numbers[7], "feather": numbers[0]}}],
            "canvases": [{"id": "C", "type": "canvas_blur", "blur": numbers[1]}],
            "transitions": [{"id": "X", "name": "Blur", "duration": length}],
            "material_animations": [{"id": "N", "animations": [{"type": "in", "name": "Blur", "duration": length, "start": start}]}],
        });
        let track = json!([{"segments": [support::image("A", clip), support::image("B", json!({}))]}]);
        check(&support::document_of(track, materials, width as u32, height as u32));
    }
}
