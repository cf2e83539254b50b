//! Documents with values that other readers of JSON refuse: half of a surrogate pair, numbers beyond `f64`.

use capcut_draft::field::{clip, material, root, track};
use capcut_draft::{
    CompanionFile, Document, ErrorKind, FieldState, Operation, PathPart, RootRef, TextContent,
    TimeRange,
};
use serde_json::json;

/// A document with two clips, a text and a name; `change` replaces parts of it.
fn document(change: &[(&str, &str)]) -> Document {
    let mut text = String::from(
        r#"{ "fps": 30.0, "name": "plain", "duration": 4000000, "unknown": ["kept"],
  "tracks": [{"id": "T1", "type": "video", "attribute": 0, "segments": [
    {"id": "S1", "material_id": "V1", "target_timerange": {"start": 0, "duration": 2000000},
     "source_timerange": {"start": 0, "duration": 2000000}, "speed": 1.0, "volume": 1.0, "note": "n1"},
    {"id": "S2", "material_id": "V1", "target_timerange": {"start": 2000000, "duration": 2000000},
     "source_timerange": {"start": 0, "duration": 2000000}, "speed": 1.0, "volume": 1.0}]},
   {"id": "T2", "type": "text", "segments": [
    {"id": "S3", "material_id": "X1", "target_timerange": {"start": 0, "duration": 2000000}}]}],
  "materials": {"videos": [{"id": "V1", "type": "video", "duration": 9000000, "material_name": "a.mp4"}],
   "texts": [{"id": "X1", "type": "text", "check_flag": 7,
     "content": "{\"text\":\"Hello\",\"styles\":[{\"range\":[0,5],\"size\":8}]}"}]} }"#,
    );
    for (from, to) in change {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let document = Document::parse(text.clone()).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(document.write(), text.as_bytes());
    document
}

const HALF: &str = r"\ud83d";

fn apply(document: &mut Document, operation: serde_json::Value) -> Result<(), (ErrorKind, String)> {
    let before = document.write();
    let operation = Operation::read(&operation).unwrap();
    match document.apply_operations(&[operation]) {
        Ok((step, _)) => {
            let after = document.write();
            document.apply(&step.inverse()).unwrap();
            assert_eq!(document.write(), before);
            document.apply(&step).unwrap();
            assert_eq!(document.write(), after);
            Ok(())
        }
        Err(error) => {
            assert_eq!(document.write(), before);
            Err((error.kind, error.to_string()))
        }
    }
}

#[test]
fn their_values_are_defined() {
    let document = document(&[
        (r#""plain""#, r#""cut \ud83d""#),
        (r#""fps": 30.0"#, r#""fps": 1e999"#),
        (r#""duration": 4000000"#, r#""duration": -1e999"#),
        (r#""start": 2000000"#, r#""start": 1e400"#),
    ]);
    assert_eq!(document.value(RootRef, &root::NAME), "cut \u{fffd}");
    assert_eq!(document.state(RootRef, &root::FPS), FieldState::Other);
    assert_eq!(document.number(RootRef, &["fps"]), None);
    assert_eq!(document.grid().fps(), 30.0);
    assert_eq!(document.get(RootRef, &root::DURATION), None);
    let clips: Vec<_> = document.all_clips().collect();
    let target = document.target(clips[1]);
    assert_eq!(
        target,
        TimeRange {
            start: 0,
            duration: 2_000_000
        }
    );
    assert_eq!(document.fields(clips[0]).value(&clip::SPEED), 1.0);
    assert_eq!(document.value(document.tracks()[0], &track::KIND), "video");
}

#[test]
fn what_is_beside_them_can_be_edited() {
    let mut document = document(&[
        (r#""kept""#, r#""\udc00\ud800", 1e999, {"\ud83d": -1e999}"#),
        (r#""n1""#, r#""n \uD83D!", "big": 1E+999"#),
        ("a.mp4", "a \\ud83d.mp4"),
    ]);
    for operation in [
        json!({"op": "set", "clip": "c1", "volume": 0.5}),
        json!({"op": "split", "clip": "c2", "at": 3}),
        json!({"op": "set", "clip": "c1", "speed": 2}),
        json!({"op": "replace_text", "clip": "c3", "text": "New 😀"}),
        json!({"op": "duplicate", "clip": "c1", "at": 8}),
        json!({"op": "remove", "clip": "c2"}),
        json!({"op": "rename", "name": "Trip"}),
    ] {
        apply(&mut document, operation.clone()).unwrap_or_else(|e| panic!("{operation}: {e:?}"));
    }
    let text = String::from_utf8(document.write()).unwrap();
    for kept in [
        r#"["\udc00\ud800", 1e999, {"\ud83d": -1e999}]"#,
        r#""note": "n \uD83D!", "big": 1E+999"#,
        r"a \ud83d.mp4",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    Document::parse(text).unwrap();
}

#[test]
fn a_cut_text_keeps_its_words_when_its_style_changes_and_can_be_replaced() {
    // The half is in the JSON of the content.
    let mut inside = document(&[("Hello", &format!("Hello \\{HALF}"))]);
    let text = inside.materials("texts").next().unwrap();
    let content = TextContent::read(&inside.value(text, &material::CONTENT));
    assert_eq!(content.words(), "Hello \u{fffd}");
    apply(
        &mut inside,
        json!({"op": "set", "clip": "c3", "font_size": 12}),
    )
    .unwrap();
    let text = String::from_utf8(inside.write()).unwrap();
    assert!(text.contains(r#"Hello \\ud83d\""#), "{text}");
    apply(
        &mut inside,
        json!({"op": "replace_text", "clip": "c3", "text": "Hi"}),
    )
    .unwrap();
    assert!(!String::from_utf8(inside.write()).unwrap().contains(HALF));

    // The half is in the string that holds the content.
    let mut outside = document(&[("Hello", &format!("Hello {HALF}"))]);
    let (kind, error) = apply(
        &mut outside,
        json!({"op": "set", "clip": "c3", "font_size": 12}),
    )
    .unwrap_err();
    assert_eq!(kind, ErrorKind::ReadOnly);
    for part in [
        "half of a surrogate pair",
        "materials/texts/0/content",
        "replace the whole text",
    ] {
        assert!(error.contains(part), "{error}");
    }
    apply(
        &mut outside,
        json!({"op": "replace_text", "clip": "c3", "text": "Hi"}),
    )
    .unwrap();
    assert!(!String::from_utf8(outside.write()).unwrap().contains(HALF));
}

#[test]
fn edits_that_compute_with_a_number_beyond_the_range_are_refused_with_its_place() {
    let refused = |change: &[(&str, &str)], operation: serde_json::Value, place: &str| {
        let mut document = document(change);
        let (kind, error) = apply(&mut document, operation.clone()).expect_err(place);
        assert_eq!(kind, ErrorKind::ReadOnly, "{operation}: {error}");
        assert!(
            error.contains(place) && error.contains("too large"),
            "{operation}: {error}"
        );
        // The volume is not computed with it.
        apply(
            &mut document,
            json!({"op": "set", "clip": "c2", "volume": 0.5}),
        )
        .unwrap();
    };
    let start = [(r#""start": 2000000"#, r#""start": 1e999"#)];
    let place = "tracks/0/segments/1/target_timerange/start";
    for operation in [
        json!({"op": "trim", "clip": "c2", "duration": 1}),
        json!({"op": "move", "clip": "c2", "at": 5}),
        json!({"op": "split", "clip": "c2", "at": 1}),
        json!({"op": "shift", "from": 0, "by": 1}),
        json!({"op": "duplicate", "clip": "c2"}),
        json!({"op": "set", "clip": "c2", "speed": 2}),
        json!({"op": "set", "clip": "c2", "fade_in": 0.1}),
        json!({"op": "add_keyframes", "clip": "c2", "property": "opacity",
               "points": [{"time": 0, "value": 0.5}]}),
    ] {
        refused(&start, operation, place);
    }
    let trim = json!({"op": "trim", "clip": "c1", "duration": 1});
    refused(
        &[(r#""fps": 30.0"#, r#""fps": 1e999"#)],
        trim.clone(),
        " fps ",
    );
    let keyframes =
        r#""note": "n1", "common_keyframes": [{"keyframe_list": [{"time_offset": 1e999}]}]"#;
    refused(
        &[(r#""note": "n1""#, keyframes)],
        trim,
        "tracks/0/segments/0/common_keyframes[0]/keyframe_list[0]/time_offset",
    );
    refused(
        &[(r#""attribute": 0"#, r#""attribute": 1e999"#)],
        json!({"op": "track", "track": "t1", "mute": true}),
        "tracks/0/attribute",
    );
    refused(
        &[(r#""check_flag": 7"#, r#""check_flag": 1e999"#)],
        json!({"op": "set", "clip": "c3", "shadow_enabled": true}),
        "materials/texts/0/check_flag",
    );
}

#[test]
fn such_a_number_can_be_replaced_and_its_clip_removed() {
    let mut document = document(&[
        (r#""volume": 1.0, "note""#, r#""volume": 1e999, "note""#),
        (r#""duration": 4000000"#, r#""duration": 1e999"#),
        (r#""start": 2000000"#, r#""start": 1e999"#),
    ]);
    apply(
        &mut document,
        json!({"op": "set", "clip": "c1", "volume": 0.5}),
    )
    .unwrap();
    apply(&mut document, json!({"op": "remove", "clip": "c2"})).unwrap();
    let text = String::from_utf8(document.write()).unwrap();
    assert!(text.contains(r#""volume": 0.5, "note""#), "{text}");
    // The length of the draft could not be compared, so it stays.
    assert!(text.contains(r#""duration": 1e999, "unknown""#), "{text}");
}

#[test]
fn other_files_of_a_draft_keep_them_too() {
    let text = r#"{"draft_name": "cut \ud83d", "size": 1e999, "id": "a"}"#;
    let mut meta = CompanionFile::parse(text).unwrap();
    assert_eq!(
        meta.text(&[PathPart::Key("draft_name")]).unwrap(),
        "cut \u{fffd}"
    );
    meta.set(&[PathPart::Key("id")], "b").unwrap();
    let error = meta
        .set(&[PathPart::Key("draft_name")], "cut \u{fffd}!")
        .unwrap_err();
    assert!(
        error.message.contains("half of a surrogate pair"),
        "{error}"
    );
    assert_eq!(meta.write(), text.replace(r#""a""#, r#""b""#).as_bytes());
}
