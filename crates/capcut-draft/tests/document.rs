//! Reading, writing, editing and undoing without changing anything else.

mod support;

use capcut_draft::field::{clip, material, root};
use capcut_draft::{
    Dialect, Document, ErrorKind, FieldState, MAX_BYTES, PathPart, RawJson, RootRef, Step,
    WithDefault,
};
use serde::de::IgnoredAny;
use serde_json::Value;
use support::{Random, app, data, documents};

#[test]
fn an_untouched_document_is_written_with_the_same_bytes() {
    for (name, bytes) in documents() {
        let document = Document::parse(bytes.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(document.write(), bytes, "{name}");
    }
}

#[test]
fn random_edits_give_valid_json_and_are_undone_to_the_same_bytes() {
    for (name, bytes) in documents() {
        let mut document = Document::parse(bytes.clone()).unwrap();
        let mut random = Random(bytes.len() as u64);
        let mut steps = Vec::new();
        let rounds = if bytes.len() > 200_000 { 40 } else { 120 };
        for round in 0..rounds {
            let clips: Vec<_> = document.all_clips().collect();
            let tracks = document.tracks();
            let mut edit = document.edit();
            match (random.below(8), clips.is_empty()) {
                (0, false) => {
                    let clip = clips[random.below(clips.len())];
                    edit.remove(clip).unwrap();
                }
                (1, false) => {
                    let clip = clips[random.below(clips.len())];
                    let track = tracks[random.below(tracks.len())];
                    let index = random.below(edit.clips(track).len());
                    edit.move_clip(clip, track, index).unwrap();
                }
                (2, false) => {
                    let clip = clips[random.below(clips.len())];
                    let value = random.time(9_999_999);
                    edit.set(clip, &["target_timerange", "start"], &value)
                        .unwrap();
                }
                (3, false) => {
                    let clip = clips[random.below(clips.len())];
                    if let Some(main) = edit.main_material(clip) {
                        edit.set(main, &["content"], "words \"in\" 引号 😀")
                            .unwrap();
                        edit.set(main, &["new", "deep", "key"], &1.5).unwrap();
                        edit.own_copy(clip, main).unwrap();
                    }
                }
                (4, false) => {
                    let clip = clips[random.below(clips.len())];
                    edit.clear(clip, &["volume"]).unwrap();
                    edit.clear(clip, &["target_timerange", "start"]).unwrap();
                }
                (5, _) if tracks.len() > 1 => {
                    let track = tracks[random.below(tracks.len())];
                    edit.move_track(track, random.below(tracks.len())).unwrap();
                }
                (6, _) if tracks.len() > 1 => {
                    edit.remove(tracks[random.below(tracks.len())]).unwrap();
                }
                _ => {
                    edit.set(RootRef, &["name"], &format!("{round}")).unwrap();
                    edit.add_material("brand_new", "{\"id\":\"n\"}").unwrap();
                }
            }
            steps.push(edit.commit());
            if round % 20 == 0 {
                let text = document.write();
                let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
                serde_json::from_slice::<Value>(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
        let edited = document.write();
        // Stored steps give the same text on the document as it was read.
        let stored = serde_json::to_string(&steps).unwrap();
        let stored: Vec<Step> = serde_json::from_str(&stored).unwrap();
        let mut again = Document::parse(bytes.clone()).unwrap();
        for step in &stored {
            again
                .apply(step)
                .unwrap_or_else(|e| panic!("{name}: {e} {step:?}"));
        }
        assert_eq!(again.write(), edited, "{name}");
        for step in steps.iter().rev() {
            document.apply(&step.inverse()).unwrap();
        }
        assert_eq!(document.write(), bytes, "{name}");
    }
}

#[test]
fn mutated_documents_are_accepted_if_their_syntax_is_valid() {
    let mut random = Random(7);
    for (name, bytes) in documents() {
        if bytes.len() > 60_000 {
            continue;
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        for round in 0..1_500 {
            let mut mutated = bytes.to_vec();
            for _ in 0..=random.below(2) {
                let at = random.below(mutated.len());
                match random.below(4) {
                    0 => drop(mutated.remove(at)),
                    1 => mutated[at] = b"{}[]\",:\\0 -e.tn\x01\xff"[random.below(17)],
                    2 => mutated.insert(at, b"{}[]\",:\\0 -e.tn"[random.below(15)]),
                    _ => mutated.truncate(at.max(1)),
                }
            }
            let expected = std::str::from_utf8(&mutated)
                .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
            let accepted = match Document::parse(mutated.clone()) {
                Ok(document) => {
                    assert_eq!(document.write(), mutated, "{name} {round}");
                    true
                }
                Err(error) => error.kind == ErrorKind::NotADraft,
            };
            assert_eq!(accepted, expected, "{name} {round}");
        }
    }
}

#[test]
fn an_edit_that_is_dropped_is_rolled_back() {
    let mut document = app();
    let before = document.write();
    let clips: Vec<_> = document.all_clips().collect();
    let tracks = document.tracks();
    let mut edit = document.edit();
    edit.set(clips[0], &["volume"], &0.5).unwrap();
    edit.remove(clips[1]).unwrap();
    edit.remove(tracks[3]).unwrap();
    edit.add_material("loudnesses", "{\"id\":\"x\"}").unwrap();
    drop(edit);
    assert_eq!(document.write(), before);
}

#[test]
fn an_equal_value_and_the_default_of_a_missing_key_are_not_written() {
    let mut document = app();
    let before = document.write();
    let first = document.all_clips().next().unwrap();
    let mut edit = document.edit();
    edit.set(first, &["volume"], &1_i64).unwrap();
    edit.set(first, &["speed"], &1.0).unwrap();
    let missing = WithDefault {
        value: false,
        default: false,
    };
    edit.set(first, &["is_loop"], &missing).unwrap();
    assert!(edit.commit().is_empty());
    assert_eq!(document.write(), before);
}

#[test]
fn duplicate_keys_are_read_and_not_edited() {
    let text = r#"{"tracks":[{"type":"text","segments":[{"id":"a","volume":1,"volume":2}]}],"materials":{}}"#;
    let mut document = Document::parse(text).unwrap();
    assert_eq!(document.write(), text.as_bytes());
    let first = document.all_clips().next().unwrap();
    let mut edit = document.edit();
    let error = edit.set(first, &["volume"], &0.5).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ReadOnly);
    edit.set(first, &["speed"], &2.0).unwrap();
    drop(edit);
    let text = r#"{"tracks":[],"materials":{"a":[],"a":[{"id":"x"}]}}"#;
    let mut document = Document::parse(text).unwrap();
    assert_eq!(document.write(), text.as_bytes());
    let error = document.edit().set(RootRef, &["name"], "x").unwrap_err();
    assert_eq!(error.kind, ErrorKind::ReadOnly);
}

#[test]
fn keys_with_escapes_byte_order_marks_and_escaped_values_are_kept() {
    let bytes = data("escapes.json");
    let mut document = Document::parse(bytes.clone()).unwrap();
    assert_eq!(document.tracks().len(), 2);
    let texts: Vec<_> = document.materials("texts").collect();
    let content = document.value(texts[0], &material::CONTENT);
    assert!(content.contains("Grüße"), "{content}");
    let video = document.material("my clip").unwrap();
    let mut edit = document.edit();
    edit.set(texts[0], &["content"], &content.replace("Grüße", "Größe"))
        .unwrap();
    edit.set(video, &["path"], "C:/b.png").unwrap();
    let step = edit.commit();
    let text = String::from_utf8(document.write()).unwrap();
    assert!(
        text.contains("Gr\\u00f6\\u00dfe") && text.contains("C:\\/b.png"),
        "{text}"
    );
    assert!(!text.replace("\r\n", "").contains('\n'));
    document.apply(&step.inverse()).unwrap();
    assert_eq!(document.write(), bytes);
}

#[test]
fn an_inserted_element_takes_the_indent_of_its_siblings() {
    let mut document = Document::parse(data("small.json")).unwrap();
    let track = document.tracks()[1];
    let mut edit = document.edit();
    edit.add_clip(track, 2, "{\"id\":\"new\"}").unwrap();
    edit.add_clip(track, 0, "{\"id\":\"first\"}").unwrap();
    edit.commit();
    let text = String::from_utf8(document.write()).unwrap();
    assert!(
        text.contains("},\n        {\"id\":\"new\"}\n      ]"),
        "{text}"
    );
    assert!(
        text.contains("[\n        {\"id\":\"first\"},\n        {\n"),
        "{text}"
    );
}

#[test]
fn ids_are_spelled_exactly_and_several_elements_may_have_one() {
    let text = r#"{"tracks":[],"materials":{"effects":[{"id":"Ab"},{"id":"Ab","n":2}],"masks":[{"id":"ab"}]}}"#;
    let document = Document::parse(text).unwrap();
    assert_eq!(document.materials_by_id("Ab").count(), 2);
    assert_eq!(document.materials_by_id("AB").count(), 0);
    assert_eq!(
        document.list_name(document.material("ab").unwrap()),
        "masks"
    );
}

#[test]
fn the_inner_document_of_a_compound_clip_is_opaque() {
    let document = Document::parse(data("sparse.json")).unwrap();
    assert!(document.material("INNER-MAT").is_none());
    assert_eq!(document.clips_by_id("INNER-SEG").count(), 0);
    assert_eq!(document.materials("drafts").len(), 1);
}

#[test]
fn missing_keys_mean_their_defaults() {
    let document = Document::parse(data("sparse.json")).unwrap();
    let first = document.all_clips().next().unwrap();
    assert_eq!(document.grid().fps(), 30.0);
    assert_eq!(document.target(first).start, 0);
    assert_eq!(document.value(first, &clip::SPEED), 1.0);
    assert_eq!(document.state(first, &clip::SPEED), FieldState::Missing);
    assert_eq!(document.value(RootRef, &root::FPS), 30.0);
}

#[test]
fn only_dangling_references_are_reported() {
    let document = Document::parse(data("sparse.json")).unwrap();
    let dangling = document.dangling();
    assert_eq!(dangling.len(), 1);
    assert_eq!(dangling[0].id, "no-such-id");
    assert!(app().dangling().is_empty());
}

#[test]
fn a_shared_material_is_copied_before_it_is_changed() {
    let mut document = app();
    let over = document.tracks()[1];
    let clips: Vec<_> = document.clips(over).collect();
    let id = document.refs(clips[0])[0].clone().into_owned();
    assert_eq!(document.users(&id), clips);
    let speed = document.material(&id).unwrap();
    let mut edit = document.edit();
    let own = edit.own_copy(clips[0], speed).unwrap();
    assert_ne!(own, speed);
    assert_eq!(edit.own_copy(clips[0], own).unwrap(), own);
    edit.commit();
    assert_eq!(document.users(&id), [clips[1]]);
    assert_eq!(document.users(&document.id(own)), [clips[0]]);
    assert!(document.dangling().is_empty());
}

#[test]
fn a_step_for_another_text_is_refused_and_changes_nothing() {
    let mut document = app();
    let first = document.all_clips().next().unwrap();
    let mut edit = document.edit();
    edit.set(first, &["volume"], &0.25).unwrap();
    let step = edit.commit();
    let after = document.write();
    let error = document.apply(&step).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Mismatch);
    assert_eq!(document.write(), after);
    let mut other = Document::parse(data("small.json")).unwrap();
    let before = other.write();
    assert!(other.apply(&step).is_err());
    assert_eq!(other.write(), before);
}

#[test]
fn short_ids_stay_with_their_clips() {
    let mut document = app();
    let clips: Vec<_> = document.all_clips().collect();
    let ids: Vec<String> = clips.iter().map(|clip| document.short_id(*clip)).collect();
    assert_eq!(ids[..3], ["c1", "c2", "c3"]);
    let second = document.id(clips[1]).into_owned();
    let over = document.tracks()[1];
    let mut edit = document.edit();
    edit.remove(clips[2]).unwrap();
    let moved = edit.move_clip(clips[1], over, 0).unwrap();
    let new = edit.add_clip(over, 0, "{\"id\":\"new\"}").unwrap();
    assert_eq!(edit.short_id(moved), "c2");
    assert_eq!(edit.short_id(new), format!("c{}", clips.len() + 1));
    let step = edit.commit();
    document.apply(&step.inverse()).unwrap();
    let again: Vec<String> = document
        .all_clips()
        .map(|clip| document.short_id(clip))
        .collect();
    assert_eq!(again, ids);
    document.apply(&step).unwrap();
    let moved = document.clips_by_id(&second).next().unwrap();
    assert_eq!(document.short_id(moved), "c2");
    let new = document.clips_by_id("new").next().unwrap();
    assert_eq!(document.short_id(new), format!("c{}", clips.len() + 1));
}

#[test]
fn what_is_not_a_draft_is_refused_with_the_reason() {
    let kind = |text: &[u8]| Document::parse(text).unwrap_err().kind;
    assert_eq!(kind(&vec![b' '; MAX_BYTES + 1]), ErrorKind::TooLarge);
    assert_eq!(kind(b"{\"a\": 1}"), ErrorKind::NotADraft);
    assert_eq!(kind(b"[1, 2]"), ErrorKind::NotADraft);
    assert_eq!(kind(b"{\"tracks\": ["), ErrorKind::Syntax);
    assert_eq!(kind(b""), ErrorKind::Syntax);
    assert_eq!(
        kind(b"U2FsdGVkX1+abcdefghijklmnopqrstuvwxyz0123456789=="),
        ErrorKind::Encrypted
    );
    let binary: Vec<u8> = (0..200).map(|n: u8| n.wrapping_mul(37) | 0x80).collect();
    assert_eq!(kind(&binary), ErrorKind::Encrypted);
}

#[test]
fn the_working_document_of_the_api_is_recognised() {
    assert_eq!(app().dialect(), Dialect::App);
    let api = Document::parse(data("api.json")).unwrap();
    assert_eq!(api.dialect(), Dialect::Api);
}

#[test]
fn a_path_through_lists_is_edited_in_place() {
    let mut document = app();
    let bytes = document.write();
    let first = document.all_clips().next().unwrap();
    let path = [
        PathPart::Key("common_keyframes"),
        PathPart::Index(0),
        PathPart::Key("keyframe_list"),
        PathPart::Index(1),
        PathPart::Key("values"),
        PathPart::Index(0),
    ];
    let mut edit = document.edit();
    edit.set_at(first, &path, &0.75).unwrap();
    let step = edit.commit();
    assert!(serde_json::to_string(&step).unwrap().len() < 120);
    document.apply(&step.inverse()).unwrap();
    assert_eq!(document.write(), bytes);
}

#[test]
fn any_object_can_be_completed_to_a_draft() {
    assert!(Document::parse("{}").is_err());
    let mut document = Document::parse_object("{}").unwrap();
    assert!(!document.has_tracks());
    let mut edit = document.edit();
    edit.set(RootRef, &["tracks"], &RawJson("[]")).unwrap();
    edit.add_track(0, "{\"id\":\"t\"}").unwrap();
    edit.add_material("videos", "{\"id\":\"m\"}").unwrap();
    edit.commit();
    let expected = r#"{"tracks":[{"id":"t"}],"materials":{"videos":[{"id":"m"}]}}"#;
    assert_eq!(document.write(), expected.as_bytes());
    assert!(Document::parse_object("[]").is_err());
}

#[test]
fn references_and_keyframes_are_repaired_and_restored() {
    let text = r#"{"tracks": [{"segments": [{
        "extra_material_refs": ["gone", "s", 7],
        "common_keyframes": [{"keyframe_list": [{"id": "a", "time_offset": 5}, {"id": "b", "time_offset": 2.0}, {"id": "c", "time_offset": 5}]}]
    }]}], "materials": {"speeds": [{"id": "s"}]}}"#;
    let mut document = Document::parse(text).unwrap();
    let clip = document.all_clips().next().unwrap();
    let mut edit = document.edit();
    edit.drop_dangling_refs(clip).unwrap();
    edit.set_keyframe_offset(clip, 0, 2, 3).unwrap();
    edit.sort_keyframes(clip, 0).unwrap();
    let step = edit.commit();
    assert_eq!(document.refs(clip), ["s"]);
    let offsets: Vec<i64> = document.keyframes(clip)[0]
        .points
        .iter()
        .map(|point| point.offset)
        .collect();
    assert_eq!(offsets, [2, 3, 5]);
    document.apply(&step.inverse()).unwrap();
    assert_eq!(document.write(), text.as_bytes());
}
