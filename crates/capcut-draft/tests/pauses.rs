//! `jump_cut`: which pauses are cut, and that everything else moves along.

mod support;

use capcut_draft::{Document, ErrorKind};
use serde_json::{Value, json};
use support::{app, applied, assert_near, data, placed};

const BEACH: &str = "##_draftpath_placeholder_0E685133-18CE-45ED-8CB8-2904A212EC80_##/beach.mp4";
const VOICE: &str = "/Users/user/voice.m4a";

fn jump_cut(clip: &str, file: &str, spans: &[(f64, f64)]) -> Value {
    json!({ "op": "jump_cut", "clip": clip, "speech": [{ "file": file, "spans": spans }] })
}

/// The document has a locked track with a title.
fn unlock() -> Value {
    json!({ "op": "track", "track": "t7", "lock": false })
}

/// Speech from 0.5 to 1.5 and from 3 to 3.5 s of the timeline: 0–0.4, 1.6–2.9 and 3.6–4 s are cut.
const SPOKEN: [(f64, f64); 2] = [(1.5, 2.5), (4.0, 4.5)];

#[test]
fn all_tracks_markers_and_words_lose_the_same_frames() {
    let mut document = app();
    let markers = json!([
        { "at": 0.2, "title": "before" }, { "at": 1, "title": "spoken" }, { "at": 2, "title": "in a pause" }, { "at": 6, "title": "after" },
    ]);
    let reports = applied(
        &mut document,
        json!([unlock(), { "op": "add_markers", "markers": markers }, jump_cut("c1", BEACH, &SPOKEN)]),
    )
    .expect("cut");
    let changes = reports[2].changes.join("\n");
    assert!(
        changes.starts_with("3 pauses are cut, 2.1 s in total (times before the cut): 0 s–0.4 s, 1.6 s–2.9 s, 3.6 s–4 s"),
        "{changes}"
    );
    // The clip itself, and what follows it on its track.
    assert_near(
        &placed(&document, "t1"),
        &[
            (0.0, 1.2, 1.4),
            (1.2, 1.9, 3.9),
            (1.9, 4.933, 0.0),
            (4.933, 7.9, 0.0),
        ],
    );
    // Clips above, words, and music below become shorter at their end.
    assert_near(
        &placed(&document, "t2"),
        &[(0.6, 1.3, 0.0), (2.9, 3.9, 0.0)],
    );
    assert_near(
        &placed(&document, "t3"),
        &[(0.0, 1.2, 0.0), (1.2, 2.4, 0.0), (3.9, 5.4, 0.0)],
    );
    assert_near(&placed(&document, "t8"), &[(0.0, 6.9, 2.0)]);
    let times: Vec<f64> = document
        .markers()
        .iter()
        .map(|marker| marker.at.micros as f64 / 1e6)
        .collect();
    let expected = [0.0, 0.6, 1.2, 3.9];
    assert!(
        times.len() == 4
            && times
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 0.001),
        "{times:?}"
    );
}

#[test]
fn clips_of_the_same_group_are_cut_with_it() {
    let mut document = app();
    applied(
        &mut document,
        json!([jump_cut(VOICE_CLIP, VOICE, &[(0.0, 0.5), (1.5, 2.0)])]),
    )
    .expect("cut");
    // 1.6–2.4 s is cut: the picture of the group has the same edges.
    let pieces = [(1.0, 1.6, 0.0), (1.6, 2.2, 1.4)];
    let picture = placed(&document, "t2");
    assert_near(&picture[..2], &[(1.0, 1.6, 0.0), (1.6, 2.2, picture[1].2)]);
    let sound = placed(&document, "t9");
    assert_near(&sound[..2], &pieces);
    // The next clip plays the same file, and only moves.
    assert_near(&sound[2..], &[(2.7, 3.2, 2.0)]);
}

/// A sound in a group with a picture.
const VOICE_CLIP: &str = "c14";

#[test]
fn several_clips_are_cut_only_where_none_of_them_speaks() {
    let mut document = app();
    let both = json!({
        "op": "jump_cut", "clip": ["c1", VOICE_CLIP],
        "speech": [
            { "file": BEACH, "spans": SPOKEN },
            { "file": VOICE, "spans": [[0.6, 1.9]] },
        ],
    });
    // 1.6–2.9 s of one is spoken by the other, which is silent before 1.5 and after 2.9 s.
    let reports = applied(&mut document, json!([unlock(), both])).expect("cut");
    let changes = reports[1].changes.join("\n");
    assert!(
        changes.starts_with("2 pauses are cut, 0.8 s in total"),
        "{changes}"
    );
}

#[test]
fn what_has_no_constant_speed_or_is_locked_is_refused() {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&data("app.json")).expect("JSON");
        change(&mut value);
        Document::parse(value.to_string()).expect("a document")
    };
    let mut reversed = changed(&|value| value["tracks"][0]["segments"][0]["reverse"] = true.into());
    let mut curve = changed(&|value| {
        let refs = value["tracks"][0]["segments"][0]["extra_material_refs"].clone();
        let refs = refs.as_array().expect("refs");
        let speeds = value["materials"]["speeds"].as_array_mut().expect("speeds");
        let own = speeds.iter_mut().find(|speed| refs.contains(&speed["id"]));
        own.expect("a speed")["mode"] = 1.into();
    });
    for (document, expected) in [
        (&mut reversed, "plays backwards"),
        (&mut curve, "has a speed curve"),
    ] {
        let error =
            applied(document, json!([jump_cut("c1", BEACH, &SPOKEN)])).expect_err("an error");
        assert!(error.message.contains(expected), "{error}");
    }
    let error =
        applied(&mut app(), json!([jump_cut("c1", BEACH, &SPOKEN)])).expect_err("a locked title");
    assert_eq!(error.kind, ErrorKind::Locked);
}
