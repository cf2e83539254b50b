//! `cut_on`: clips end on beats of music, and what follows them moves along; and sounds with a speed curve.

mod support;

use capcut_draft::{Document, Error, ErrorKind};
use serde_json::{Value, json};
use support::{app, applied, assert_near, data, placed};

const SONG: &str = "/Users/user/song.mp3";

/// Beats every 0.6 s of the song. It is played from its second 2 on, where one is, until second 11.
fn cut_on(clip: &str, more: Value) -> Value {
    let times: Vec<f64> = (0..50).map(|beat| 0.2 + 0.6 * f64::from(beat)).collect();
    let mut operation = json!({
        "op": "cut_on", "clip": clip, "beats_of": "Music", "beats": [{ "file": SONG, "times": times }],
    });
    for (key, value) in more.as_object().expect("keys") {
        operation[key] = value.clone();
    }
    operation
}

fn of_timeline(times: &[f64]) -> Value {
    let times: Vec<f64> = times.iter().map(|time| time + 2.0).collect();
    json!({ "beats": [{ "file": SONG, "times": times }] })
}

fn ends(document: &Document, track: &str) -> Vec<f64> {
    let clips = placed(document, track);
    for pair in clips.windows(2) {
        assert!(pair[0].1 <= pair[1].0 + 1e-5, "{clips:?}");
    }
    clips.iter().map(|(_, end, _)| *end).collect()
}

fn assert_ends(document: &Document, track: &str, expected: &[f64]) {
    let found = ends(document, track);
    let is_near = found
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(
        is_near && found.len() == expected.len(),
        "{found:?} {expected:?}"
    );
}

#[test]
fn clips_of_the_main_track_end_on_beats_and_stay_together() {
    for (more, expected) in [
        (json!({}), [4.2, 7.2, 9.0]),
        (json!({ "every": 4, "offset": 1 }), [3.0, 5.4, 7.8]),
        (of_timeline(&[4.01, 7.0, 7.8, 10.9]), [4.0, 7.0, 7.8]),
    ] {
        let mut document = app();
        let reports = applied(&mut document, json!([cut_on("t1", more)])).expect("cut");
        assert_ends(&document, "t1", &expected);
        let rows = placed(&document, "t1");
        assert_near(
            &rows[..2],
            &[(0.0, expected[0], 1.0), (expected[0], expected[1], 0.0)],
        );
        let changes = reports[0].changes.join("\n");
        assert!(
            changes.contains(&format!("c2 at {} s, c3 at {} s", expected[1], expected[2])),
            "{changes}"
        );
        let transitions = document
            .inspect(&capcut_draft::InspectFilter::default())
            .expect("rows");
        assert!(
            transitions[0].clips[..2]
                .iter()
                .all(|row| row.transition.is_some()),
            "{changes}"
        );
    }
    // Only one: the others keep their lengths.
    let mut document = app();
    let reports = applied(&mut document, json!([cut_on("c1", json!({}))])).expect("cut");
    assert_ends(&document, "t1", &[4.2, 7.233_333, 10.2]);
    assert!(
        reports[0]
            .changes
            .join("\n")
            .contains("2 clips after them moved along"),
        "{reports:?}"
    );
    // What ends on beats is left as it is.
    let again = applied(&mut document, json!([cut_on("c1", json!({}))])).expect("cut");
    assert!(
        again[0].changes.is_empty() && again[0].notes[0].contains("end on beats already"),
        "{again:?}"
    );
    // After the last beat.
    let reports = applied(
        &mut document,
        json!([cut_on("t1", of_timeline(&[3.0, 6.0]))]),
    )
    .expect("cut");
    assert_ends(&document, "t1", &[3.0, 6.0, 8.966_666]);
    assert!(
        reports[0]
            .notes
            .join("\n")
            .contains("no beats are left for c3"),
        "{reports:?}"
    );
}

#[test]
fn beats_follow_the_trim_the_place_the_speed_and_the_curve_of_the_music() {
    let song = |operation: Value| {
        let mut document = app();
        applied(
            &mut document,
            json!([operation, cut_on("c1", json!({ "every": 2 }))]),
        )
        .expect("cut");
        ends(&document, "t1")[0]
    };
    for (operation, expected) in [
        // Beats at 0.3 + 0.6 n, the first of which is left out with every second one.
        (json!({ "op": "move", "clip": "c13", "at": 0.3 }), 3.9),
        // The first 0.9 s are gone, and with them two beats.
        (json!({ "op": "trim", "clip": "c13", "start": 0.9 }), 3.6),
        (json!({ "op": "set", "clip": "c13", "speed": 2 }), 4.2),
    ] {
        let found = song(operation.clone());
        assert!((found - expected).abs() < 1e-4, "{operation} {found}");
    }
    // From factor 1 to 3: the time until the middle of the file is ln 2 / ln 3 of the clip.
    let mut document = with_curve(12);
    let middle = of_timeline(&[4.5]);
    applied(&mut document, json!([cut_on("c1", middle)])).expect("cut");
    let expected = 9.0 * 2f64.ln() / 3f64.ln();
    let found = ends(&document, "t1")[0];
    assert!((found - expected).abs() < 0.018, "{found} {expected}");
}

/// The document, with a speed curve from 1 to 3 for a clip, by index.
fn with_curve(index: usize) -> Document {
    let mut value: Value = serde_json::from_slice(&data("app.json")).expect("JSON");
    let segments = value["tracks"].as_array().expect("tracks").iter();
    let segments = segments.flat_map(|track| track["segments"].as_array().expect("segments"));
    let refs = segments.collect::<Vec<_>>()[index]["extra_material_refs"].clone();
    let refs = refs.as_array().expect("refs");
    let speeds = value["materials"]["speeds"].as_array_mut().expect("speeds");
    let own = speeds.iter_mut().find(|speed| refs.contains(&speed["id"]));
    let own = own.expect("a speed");
    own["mode"] = 1.into();
    own["curve_speed"] = json!({
        "id": "", "name": "Custom", "speed_points": [{ "x": 0, "y": 1 }, { "x": 1, "y": 3 }],
    });
    Document::parse(value.to_string()).expect("a document")
}

#[test]
fn music_is_lowered_where_a_voice_with_a_speed_curve_speaks() {
    let mut document = with_curve(0);
    let file = document.sound_parts(&serde_json::from_value(json!("c1")).expect("a clip"));
    let file = file.expect("a file")[0].file.clone();
    let duck = json!({
        "op": "duck", "clip": "c13", "under": "c1", "speech": [{ "file": file, "spans": [[3.0, 6.0]] }],
    });
    let reports = applied(&mut document, json!([duck])).expect("ducked");
    // The middle of what is played, of 4 s.
    assert!(
        reports[0].changes.join("\n").contains("2.524 s–4 s"),
        "{reports:?}"
    );
}

#[test]
fn groups_go_along_and_other_tracks_keep_their_gaps() {
    let mut document = app();
    applied(&mut document, json!([cut_on("t2", json!({ "every": 2 }))])).expect("cut");
    assert_ends(&document, "t2", &[2.4, 6.0]);
    // The sound of the group has the same edges; the next one is no part of it.
    assert_near(
        &placed(&document, "t9"),
        &[(1.0, 2.4, 0.0), (3.5, 4.0, 2.0)],
    );
    // A caption in a group with a picture moves with it, once.
    let mut document = app();
    let group = json!({ "op": "group", "clips": ["c1", "c2", "c8"] });
    applied(&mut document, json!([group, cut_on("t1", json!({}))])).expect("cut");
    assert_near(&placed(&document, "t3")[2..], &[(6.2, 7.7, 0.0)]);
    // On a track without a magnet, what touches a clip stays with it.
    let mut document = app();
    let off = json!({ "op": "settings", "magnet": false });
    applied(&mut document, json!([off, cut_on("c1", json!({}))])).expect("cut");
    assert_ends(&document, "t1", &[4.2, 7.233_333, 10.2]);
}

#[test]
fn a_video_ends_on_an_earlier_beat_if_its_file_is_too_short() {
    // At factor 2, the file of 8 s is enough for 4 s.
    let mut document = app();
    applied(
        &mut document,
        json!([cut_on("c2", of_timeline(&[5.0, 8.2]))]),
    )
    .expect("cut");
    assert_ends(&document, "t1", &[4.0, 5.0, 7.966_667]);
    let error = refused(app(), cut_on("c2", of_timeline(&[8.2])));
    assert!(
        error
            .message
            .contains("is enough until 8 s; the next beat is at 8.2 s"),
        "{error}"
    );
    // A sound of the same group is as long.
    let error = refused(app(), cut_on("c4", of_timeline(&[5.2])));
    assert!(error.message.contains("is enough until 5 s"), "{error}");
}

fn refused(mut document: Document, operation: Value) -> Error {
    let before = document.write();
    let error = applied(&mut document, json!([operation])).expect_err("an error");
    assert_eq!(document.write(), before);
    error
}

#[test]
fn what_cannot_end_on_beats_is_refused() {
    let mut locked = app();
    applied(
        &mut locked,
        json!([{ "op": "track", "track": "t1", "lock": true }]),
    )
    .expect("locked");
    assert_eq!(
        refused(locked, cut_on("c1", json!({}))).kind,
        ErrorKind::Locked
    );
    for (clip, more, expected) in [
        ("c6", json!({}), "is not a picture or clip on a video track"),
        (
            "c13",
            json!({}),
            "is not a picture or clip on a video track",
        ),
        (
            "t1",
            json!({ "every": 0 }),
            "`every` is 0; it must be a whole number of beats from 1 to 64",
        ),
        ("t1", json!({ "offset": 10_001 }), "`offset` is 10001"),
        (
            "t1",
            json!({ "every": 1.5 }),
            "`every` is 1.5; it must be a whole number",
        ),
        ("t1", json!({ "offset": 30 }), "no such beat"),
        ("t1", json!({ "beats": [] }), "are not known"),
        ("t1", json!({ "beats_of": "c6" }), "has no sound of a file"),
        ("t1", json!({ "music": "c6" }), "it has no key \"music\""),
    ] {
        let error = refused(app(), cut_on(clip, more));
        assert!(error.message.contains(expected), "{error}");
    }
    let error = refused(with_curve(1), cut_on("t1", json!({})));
    assert!(
        error.message.contains("its end cannot be moved to a beat"),
        "{error}"
    );
    let mut value: Value = serde_json::from_slice(&data("app.json")).expect("JSON");
    value["tracks"][7]["segments"][0]["reverse"] = true.into();
    let reversed = Document::parse(value.to_string()).expect("a document");
    let error = refused(reversed, cut_on("t1", json!({})));
    assert!(error.message.contains("plays backwards"), "{error}");
}

#[test]
fn whole_numbers_may_be_written_with_a_point() {
    let read = |value: Value| format!("{:?}", capcut_draft::Operation::read(&value));
    for (with_a_point, without) in [
        (
            cut_on("t1", json!({ "every": 2.0, "offset": 1.0 })),
            cut_on("t1", json!({ "every": 2, "offset": 1 })),
        ),
        (
            json!({ "op": "canvas", "width": 1080.0, "height": 1920.0 }),
            json!({ "op": "canvas", "width": 1080, "height": 1920 }),
        ),
    ] {
        let expected = read(without);
        assert!(expected.starts_with("Ok"), "{expected}");
        assert_eq!(read(with_a_point), expected);
    }
}
