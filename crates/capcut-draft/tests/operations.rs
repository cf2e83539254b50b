//! Operations: what they change, what they refuse, and that everything else stays.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use capcut_draft::{
    ClipKind, Document, ErrorKind, InspectFilter, Operation, OperationReport, Problem, Result,
    RootRef, Step,
};
use serde_json::{Value, json};
use support::{Random, app, data, documents};

fn run(document: &mut Document, operations: Value) -> Result<(Step, Vec<OperationReport>)> {
    let Value::Array(operations) = operations else {
        panic!("a list")
    };
    let operations: Vec<Operation> = operations
        .iter()
        .map(Operation::read)
        .collect::<Result<_>>()?;
    document.apply_operations(&operations)
}

/// Runs operations, and checks that undoing gives the same bytes; returns the document after the operations.
fn done(operations: Value) -> (Document, Vec<OperationReport>) {
    let mut document = app();
    let before = document.write();
    let problems = document.problems();
    let (step, reports) = run(&mut document, operations).unwrap();
    let after = document.write();
    serde_json::from_slice::<Value>(&after).unwrap();
    assert_eq!(document.problems(), problems);
    document.apply(&step.inverse()).unwrap();
    assert_eq!(document.write(), before);
    document.apply(&step).unwrap();
    assert_eq!(document.write(), after);
    (document, reports)
}

fn refused(operations: Value) -> capcut_draft::Error {
    let mut document = app();
    let before = document.write();
    let error = run(&mut document, operations).unwrap_err();
    assert_eq!(document.write(), before);
    error
}

fn clip(document: &Document, id: &str) -> capcut_draft::ClipRow {
    let tracks = document.inspect(&InspectFilter::default()).unwrap();
    let mut rows = tracks.into_iter().flat_map(|track| track.clips);
    rows.find(|row| row.id == id)
        .unwrap_or_else(|| panic!("{id}"))
}

fn times(document: &Document, ids: &[&str]) -> Vec<(f64, f64)> {
    ids.iter()
        .map(|id| clip(document, id))
        .map(|row| (row.start, row.end))
        .collect()
}

#[test]
fn clips_are_named_by_id_track_and_time_name_or_words() {
    let document = app();
    let find = |selector: Value| {
        let selector = serde_json::from_value(selector).unwrap();
        document
            .select(&selector)
            .map(|clip| document.short_id(clip))
    };
    let full = clip(&document, "c7").full_id;
    for (selector, expected) in [
        (json!("c7"), "c7"),
        (json!(full), "c7"),
        (json!("city.mp4"), ""),
        (json!("logo"), "c3"),
        (json!("song.mp3"), "c13"),
        (json!("t3@2.5"), "c7"),
        (json!({"track": "Titles", "at": 6.5}), "c8"),
        (json!("第二行字幕"), "c7"),
        (json!("hello"), "c6"),
        (json!("Shake"), "c10"),
    ] {
        match find(selector.clone()) {
            Ok(id) => assert_eq!(id, expected, "{selector}"),
            Err(error) => {
                assert_eq!(expected, "", "{selector}: {error}");
                assert_eq!(error.kind, ErrorKind::Ambiguous);
                assert!(
                    error.message.contains("c2 (video") && error.message.contains("c5"),
                    "{error}"
                );
            }
        }
    }
    let error = find(json!("Helo worl")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.hint.unwrap().contains("c6"));
    let error = find(json!({"track": "Titel", "at": 1})).unwrap_err();
    assert!(error.hint.unwrap().contains("t3 \"Titles\""));
    let error = find(json!({"track": "t3", "at": 5})).unwrap_err();
    assert!(error.hint.unwrap().contains("c7"), "the nearest clip");
}

#[test]
fn properties_are_set_with_their_mirrors() {
    let (document, reports) = done(json!([
        {"op": "set", "clip": "c1", "volume": 0.5, "opacity": 0.25, "scale": 1.5, "position_x": -0.5,
            "rotation": 90, "flip_horizontal": true, "visible": false},
        {"op": "set", "clip": "c6", "font_size": 12, "font_color": "#FF0000", "bold": true, "italic": true,
            "alignment": "left", "opacity": 0.5, "border_width": 40, "background_color": "#000000",
            "shadow_enabled": true},
        {"op": "set", "clip": "c3", "mask_feather": 30, "mask_invert": true},
        {"op": "set", "clip": "c11", "strength": 55},
        {"op": "set", "clip": "c13", "fade_out": 0.5, "volume": 2},
    ]));
    assert_eq!(reports[0].clips, ["c1"]);
    let root: Value = serde_json::from_slice(&document.write()).unwrap();
    let first = &root["tracks"][0]["segments"][0];
    assert_eq!(first["clip"]["alpha"], 0.25);
    assert_eq!(first["clip"]["scale"], json!({"x": 1.5, "y": 1.5}));
    assert_eq!(
        (&first["volume"], &first["visible"]),
        (&json!(0.5), &json!(false))
    );
    let text = &root["materials"]["texts"][0];
    assert_eq!(
        [
            &text["bold_width"],
            &text["italic_degree"],
            &text["text_color"],
            &text["font_size"],
            &text["alignment"]
        ],
        [
            &json!(0.008),
            &json!(10),
            &json!("#ff0000"),
            &json!(12.0),
            &json!(0)
        ]
    );
    assert_eq!(text["check_flag"], 7 | 8 | 16 | 32);
    let content: Value = serde_json::from_str(text["content"].as_str().unwrap()).unwrap();
    for style in content["styles"].as_array().unwrap() {
        assert_eq!(style["size"], 12.0);
        assert_eq!(
            style["fill"]["content"]["solid"]["color"],
            json!([1.0, 0.0, 0.0])
        );
        assert_eq!(style["strokes"][0]["width"], 0.08);
    }
    assert_eq!(text["global_alpha"], 0.5);
    assert_eq!(
        root["materials"]["common_mask"][0]["config"]["feather"],
        0.3
    );
    assert_eq!(root["materials"]["effects"][0]["value"], 0.55);
    assert_eq!(
        root["materials"]["audio_fades"][0]["fade_out_duration"],
        500_000
    );
}

#[test]
fn a_property_of_another_kind_and_a_wrong_value_are_refused() {
    let kinds = |operations| refused(operations).kind;
    assert_eq!(
        kinds(json!([{"op": "set", "clip": "c1", "font_size": 12}])),
        ErrorKind::Invalid
    );
    assert_eq!(
        kinds(json!([{"op": "set", "clip": "c1", "volume": 100}])),
        ErrorKind::Invalid
    );
    assert_eq!(
        kinds(json!([{"op": "set", "clip": "c1", "colour": 1}])),
        ErrorKind::NotFound
    );
    let error = refused(
        json!([{"op": "set", "clip": "c1", "volume": 1.5}, {"op": "set", "clip": "c1", "volum": 1}]),
    );
    assert!(error.to_string().contains("\"volume\""), "{error}");
    let error = refused(json!([{"op": "move", "clip": "c1", "at": 1, "too": 2}]));
    assert!(
        error
            .to_string()
            .contains("no key \"too\"; its keys are `clip`, `at`"),
        "{error}"
    );
    for (operation, message) in [
        (
            json!({"op": "trim", "clip_id": "c1", "from": 1}),
            "trim: it has no key \"clip_id\" or \"from\"",
        ),
        (json!({"op": "split", "at": 6}), "split: `clip` is missing"),
        (
            json!({"op": "replace_text", "clip": 2, "text": "x"}),
            "`clip` is 2; it must be text, such as \"c1\"",
        ),
        (
            json!({"op": "clear", "clip": "c1", "what": "all"}),
            "`what` is \"all\"; it must be one of `transition`",
        ),
        (
            json!({"op": "canvas", "width": "1920px", "height": 1080}),
            "`width` is \"1920px\"; it must be a whole number",
        ),
        (
            json!({"op": "track", "track": "t1", "mute": "yes"}),
            "`mute` is \"yes\"; it must be true or false",
        ),
        (
            json!({"op": "trim", "clip": "c1", "duration": "long"}),
            "`duration`: \"long\" is not a time",
        ),
        (
            json!({"op": "add_keyframes", "clip": "c1", "property": "opacity", "points": [{"value": 1}]}),
            "the keys of a point are `time`, `value`",
        ),
        (
            json!({"op": "set", "clip": "c1", "properties": {"volume": 1}}),
            "write each property next to `clip`",
        ),
        (
            json!({"replace_text": {"clip": "c1", "text": "x"}}),
            "write {\"op\": \"replace_text\", …}",
        ),
        (
            json!({"action": "remove", "clip": "c1"}),
            "write {\"op\": \"remove\", …}",
        ),
        (
            json!({"op": "delete", "clip": "c1"}),
            "did you mean \"remove\"?",
        ),
    ] {
        let error = Operation::read(&operation).unwrap_err().to_string();
        assert!(error.contains(message), "{operation}: {error}");
    }
    let error = refused(json!([{"op": "remove", "clip": "??"}])).to_string();
    assert!(error.contains("the clips are c1 ("), "{error}");
    let error = refused(json!([{"op": "rename", "name": "x"}, {"op": "remove", "clip": "c99"}]));
    assert!(
        error.message.starts_with("operations[1] (remove)"),
        "{error}"
    );
}

#[test]
fn clips_of_a_locked_track_are_not_edited_until_it_is_unlocked() {
    let error = refused(json!([{"op": "replace_text", "clip": "locked title", "text": "x"}]));
    assert_eq!(error.kind, ErrorKind::Locked);
    assert!(error.hint.unwrap().contains("\"lock\": false"));
    done(json!([
        {"op": "track", "track": "t7", "lock": false},
        {"op": "replace_text", "clip": "locked title", "text": "x"},
    ]));
}

#[test]
fn words_are_replaced_with_their_styles() {
    let (document, _) =
        done(json!([{"op": "replace_text", "clip": "c6", "text": "Hello 😀😀 big world"}]));
    assert_eq!(clip(&document, "c6").words.unwrap(), "Hello 😀😀 big world");
    let error = refused(json!([{"op": "replace_text", "clip": "c1", "text": "x"}]));
    assert!(error.message.contains("is not a text"), "{error}");
}

#[test]
fn the_main_track_closes_gaps_and_orders_clips() {
    let (document, reports) = done(json!([{"op": "remove", "clip": "c1"}]));
    assert_eq!(
        times(&document, &["c2", "c3"]),
        [(0.0, 3.033_333), (3.033_333, 6.0)]
    );
    assert!(reports[0].notes[0].contains("magnet"));
    let (document, _) = done(json!([{"op": "move", "clip": "c3", "at": 0}]));
    assert_eq!(
        times(&document, &["c3", "c1", "c2"]),
        [(0.0, 2.966_666), (2.966_666, 6.966_666), (6.966_666, 10.0)]
    );
    let (document, _) = done(json!([{"op": "trim", "clip": "c1", "start": 1}]));
    assert_eq!(
        times(&document, &["c1", "c2"]),
        [(0.0, 3.0), (3.0, 6.033_333)]
    );
    assert_eq!(clip(&document, "c1").source, Some([2.0, 5.0]));
}

#[test]
fn a_transition_goes_with_its_left_clip_and_ends_with_its_neighbour() {
    let (document, reports) = done(json!([{"op": "remove", "clip": "c3"}]));
    assert!(clip(&document, "c2").transition.is_none());
    assert!(clip(&document, "c1").transition.is_some());
    assert!(
        reports[0]
            .changes
            .iter()
            .any(|change| change.contains("transition after c2"))
    );
    let (document, _) = done(json!([{"op": "split", "clip": "c1", "at": 2}]));
    assert!(clip(&document, "c1").transition.is_none());
    assert!(clip(&document, "c16").transition.is_some());
}

#[test]
fn a_transition_is_shortened_when_the_clip_after_it_is() {
    let duration = |document: &Document, id: &str| clip(document, id).transition.unwrap().duration;
    let whole = duration(&app(), "c1");
    let (document, reports) = done(json!([{"op": "trim", "clip": "c2", "duration": 0.2}]));
    assert!(duration(&document, "c1") <= 0.2 && whole > 0.2);
    assert!(
        reports[0]
            .changes
            .iter()
            .any(|change| change.contains("transition after c1"))
    );
    // One that was too long before is not part of another change.
    let (mut document, _) = done(json!([{"op": "rename", "name": "x"}]));
    let first = document.all_clips().next().unwrap();
    let ids: Vec<String> = document.refs(first).into_iter().map(String::from).collect();
    let transition = ids
        .iter()
        .find_map(|id| document.material_in("transitions", id))
        .unwrap();
    let mut edit = document.edit();
    edit.set(transition, &["duration"], &60_000_000_i64)
        .unwrap();
    edit.commit();
    run(
        &mut document,
        json!([{"op": "set", "clip": "c1", "volume": 0.5}]),
    )
    .unwrap();
    assert_eq!(duration(&document, "c1"), 60.0);
    run(
        &mut document,
        json!([{"op": "set", "clip": "c1", "transition_duration": 4}]),
    )
    .unwrap();
    assert!(duration(&document, "c1") < 4.0);
}

#[test]
fn a_clip_moves_on_its_track_but_not_over_another() {
    let (document, _) = done(json!([{"op": "move", "clip": "c8", "at": 5.02}]));
    assert_eq!(times(&document, &["c8"]), [(5.0, 6.5)]);
    let error = refused(json!([{"op": "move", "clip": "c8", "at": 4}]));
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(
        error.message.contains("c7") && error.message.contains("0.5 s"),
        "{error}"
    );
    let (document, _) = done(json!([{"op": "move", "clip": "c5", "track": "t1", "at": 100}]));
    assert_eq!(times(&document, &["c5"]), [(10.0, 11.0)]);
    let error = refused(json!([{"op": "move", "clip": "c5", "track": "Music"}]));
    assert!(error.message.contains("track for video"), "{error}");
}

#[test]
fn clips_of_a_group_move_and_are_removed_together() {
    let (document, reports) = done(json!([{"op": "move", "clip": "c4", "at": 1.2}]));
    assert_eq!(times(&document, &["c4", "c14"]), [(1.2, 3.2), (1.2, 3.2)]);
    assert!(reports[0].clips.contains(&"c14".to_owned()));
    let (document, _) = done(json!([{"op": "remove", "clip": "c14"}]));
    let all = document.inspect(&InspectFilter::default()).unwrap();
    assert!(
        all.iter()
            .flat_map(|track| &track.clips)
            .all(|row| row.id != "c4" && row.id != "c14")
    );
}

#[test]
fn everything_after_a_time_moves_and_the_magnet_is_turned_off() {
    let (document, reports) = done(json!([{"op": "shift", "from": 4, "by": 2}]));
    assert_eq!(
        times(&document, &["c1", "c2", "c8"]),
        [(0.0, 4.0), (6.0, 9.033_333), (8.0, 9.5)]
    );
    let root: Value = serde_json::from_slice(&document.write()).unwrap();
    assert_eq!(root["config"]["maintrack_adsorb"], false);
    assert_eq!(root["duration"], 12_000_000);
    assert!(reports[0].notes[0].contains("magnet"));
    assert!(
        clip(&document, "c1").transition.is_none(),
        "its neighbour moved"
    );
}

#[test]
fn a_split_clip_plays_as_before() {
    let (document, _) = done(json!([{"op": "split", "clip": "c1", "at": 1.5}]));
    let (left, right) = (clip(&document, "c1"), clip(&document, "c16"));
    assert_eq!(
        (left.start, left.end, right.start, right.end),
        (0.0, 1.5, 1.5, 4.0)
    );
    assert_eq!(
        (left.source, right.source),
        (Some([1.0, 2.5]), Some([2.5, 5.0]))
    );
    assert_eq!(left.keyframes["position_x"], [[0.0, 0.0], [1.5, 0.375]]);
    assert_eq!(right.keyframes["position_x"], [[1.5, 0.375], [2.0, 0.5]]);
    assert_eq!(left.effects, ["Fade in"]);
    assert_eq!(right.effects, ["Fade out"]);
    // A text counts from its own start.
    let (document, _) = done(json!([{"op": "split", "clip": "c7", "at": 2.5}]));
    let (left, right) = (clip(&document, "c7"), clip(&document, "c16"));
    assert_eq!(left.keyframes["opacity"], [[2.0, 0.0], [2.5, 0.5]]);
    assert_eq!(right.keyframes["opacity"], [[2.5, 0.5], [3.0, 1.0]]);
    assert_eq!(left.words, right.words);
    assert_ne!(left.full_id, right.full_id);
    refused(json!([{"op": "split", "clip": "c7", "at": 2}]));
}

#[test]
fn the_speed_changes_the_length() {
    let (document, _) = done(json!([{"op": "set", "clip": "c5", "speed": 0.5}]));
    assert_eq!(times(&document, &["c5"]), [(5.0, 7.0)]);
    assert_eq!(clip(&document, "c5").source, Some([0.0, 1.0]));
    assert_eq!(clip(&document, "c4").speed, 1.0, "its speed was shared");
    let (document, _) = done(json!([{"op": "set", "clip": "c2", "speed": 1}]));
    assert_eq!(
        times(&document, &["c2", "c3"]),
        [(4.0, 10.066_666), (10.066_666, 13.033_333)]
    );
}

#[test]
fn a_trim_beyond_the_file_or_over_a_neighbour_is_refused() {
    let error = refused(json!([{"op": "trim", "clip": "c14", "end": 9}]));
    assert_eq!(error.kind, ErrorKind::Conflict);
    let error = refused(json!([{"op": "trim", "clip": "c1", "duration": 60}]));
    assert!(error.message.contains("its file lasts 10 s"), "{error}");
    let error = refused(json!([{"op": "trim", "clip": "c15", "start": 0}]));
    assert!(error.message.contains("only 2 s"), "{error}");
    let (document, _) = done(json!([{"op": "trim", "clip": "c8", "start": 6.5, "duration": 4}]));
    assert_eq!(times(&document, &["c8"]), [(6.5, 10.5)]);
}

#[test]
fn a_copy_is_independent() {
    let (document, _) = done(json!([
        {"op": "duplicate", "clip": "c8"},
        {"op": "replace_text", "clip": "c16", "text": "Copy"},
        {"op": "duplicate", "clip": "c1"},
    ]));
    assert_eq!(clip(&document, "c8").words.unwrap(), "Bye");
    assert_eq!(times(&document, &["c16", "c17"]), [(7.5, 9.0), (4.0, 8.0)]);
    let refs = |id: &str| {
        let clip = document.select(&id.into()).unwrap();
        document
            .refs(clip)
            .into_iter()
            .map(String::from)
            .collect::<BTreeSet<_>>()
    };
    assert!(refs("c1").is_disjoint(&refs("c17")));
    let root: Value = serde_json::from_slice(&document.write()).unwrap();
    let mut ids = BTreeMap::new();
    for list in root["materials"].as_object().unwrap().values() {
        for material in list.as_array().unwrap() {
            *ids.entry(material["id"].to_string()).or_insert(0) += 1;
        }
    }
    assert!(ids.values().all(|count| *count == 1));
}

#[test]
fn the_gap_of_a_removed_clip_stays_on_the_main_track_if_asked() {
    let start = |operation: Value| clip(&done(json!([operation])).0, "c2").start;
    assert_eq!(start(json!({"op": "remove", "clip": "c1"})), 0.0);
    assert_eq!(
        start(json!({"op": "remove", "clip": "c1", "close_gap": false})),
        4.0
    );
}

#[test]
fn one_keyframe_is_removed_by_its_time() {
    let (document, _) = done(json!([
        {"op": "add_keyframes", "clip": "c2", "property": "opacity",
            "points": [{"time": 4, "value": 0}, {"time": 4.51, "value": 0.5}, {"time": 5, "value": 1}]},
        {"op": "add_keyframes", "clip": "c2", "property": "scale_x", "points": [{"time": 4.5, "value": 2}]},
        {"op": "clear_keyframes", "clip": "c2", "property": "opacity", "time": 4.51},
    ]));
    assert_eq!(
        clip(&document, "c2").keyframes["opacity"],
        [[4.0, 0.0], [5.0, 1.0]]
    );
    let (document, _) = done(json!([
        {"op": "add_keyframes", "clip": "c2", "property": "opacity", "points": [{"time": 4, "value": 0}]},
        {"op": "add_keyframes", "clip": "c2", "property": "scale_x", "points": [{"time": 4, "value": 2}]},
        {"op": "clear_keyframes", "clip": "c2", "time": 4},
    ]));
    assert!(clip(&document, "c2").keyframes.is_empty());
    let root: Value = serde_json::from_slice(&document.write()).unwrap();
    assert_eq!(
        root["tracks"][0]["segments"][1]["uniform_scale"]["on"],
        json!(false),
        "only one side is animated"
    );
}

#[test]
fn keyframes_are_added_on_the_clock_of_the_document() {
    let (document, _) = done(json!([
        {"op": "add_keyframes", "clip": "c2", "property": "opacity",
            "points": [{"time": 4, "value": 0}, {"time": 5, "value": 1}]},
        {"op": "add_keyframes", "clip": "c1", "property": "position_x", "points": [{"time": 1, "value": 0.1}]},
        {"op": "clear_keyframes", "clip": "c13"},
    ]));
    let root: Value = serde_json::from_slice(&document.write()).unwrap();
    let list = &root["tracks"][0]["segments"][1]["common_keyframes"][0]["keyframe_list"];
    assert_eq!(
        [&list[0]["time_offset"], &list[1]["time_offset"]],
        [&json!(0), &json!(2_000_000)]
    );
    assert_eq!(
        clip(&document, "c2").keyframes["opacity"],
        [[4.0, 0.0], [5.0, 1.0]]
    );
    assert_eq!(
        clip(&document, "c1").keyframes["position_x"],
        [[0.0, 0.0], [1.0, 0.1], [2.0, 0.5]]
    );
    assert!(clip(&document, "c13").keyframes.is_empty());
    let error = refused(
        json!([{"op": "add_keyframes", "clip": "c2", "property": "opacity",
        "points": [{"time": 9, "value": 1}]}]),
    );
    assert!(error.message.contains("from 4 s to 7.033 s"), "{error}");
    let error = refused(
        json!([{"op": "add_keyframes", "clip": "c2", "property": "opasity", "points": []}]),
    );
    assert!(
        error.to_string().contains("did you mean \"opacity\""),
        "{error}"
    );
}

#[test]
fn keyframes_of_the_apis_document_count_from_their_clip() {
    let mut document = Document::parse(data("api.json")).unwrap();
    let before = document.write();
    let tracks = document.inspect(&InspectFilter::default()).unwrap();
    let row = tracks
        .iter()
        .flat_map(|track| &track.clips)
        .find(|row| row.kind == ClipKind::Video);
    let row = row.unwrap();
    let (step, _) = run(
        &mut document,
        json!([
            {"op": "trim", "clip": row.id, "start": row.start + 1.0},
            {"op": "add_keyframes", "clip": row.id, "property": "alpha",
                "points": [{"time": row.start + 1.5, "value": 0.5}]},
        ]),
    )
    .unwrap();
    let text = String::from_utf8(document.write()).unwrap();
    assert!(text.contains("\"time_offset\":500000"), "{text}");
    document.apply(&step.inverse()).unwrap();
    assert_eq!(document.write(), before);
}

#[test]
fn parts_of_a_clip_are_cleared() {
    let (document, _) = done(json!([
        {"op": "clear", "clip": "c1", "what": "transition"},
        {"op": "clear", "clip": "c1", "what": "animation"},
        {"op": "clear", "clip": "c3", "what": "mask"},
    ]));
    assert!(clip(&document, "c1").transition.is_none());
    assert!(clip(&document, "c1").effects.is_empty() && clip(&document, "c3").effects.is_empty());
    assert_eq!(document.materials("common_mask").len(), 0);
}

#[test]
fn tracks_are_muted_named_ordered_and_removed() {
    let (document, _) = done(json!([
        {"op": "track", "track": "Music", "mute": true, "rename": "Song"},
        {"op": "track", "track": "t4", "order": 2},
        {"op": "track", "track": "t5", "remove": true},
    ]));
    let tracks = document.inspect(&InspectFilter::default()).unwrap();
    let ids: Vec<&str> = tracks.iter().map(|track| track.id.as_str()).collect();
    assert_eq!(ids, ["t1", "t2", "t4", "t3", "t6", "t7", "t8", "t9"]);
    let song = tracks.iter().find(|track| track.name == "Song").unwrap();
    assert!(song.muted && song.id == "t8");
    let root: Value = serde_json::from_slice(&document.write()).unwrap();
    assert_eq!(root["tracks"][6]["segments"][0]["track_attribute"], 1);
    let layer = |track: usize| root["tracks"][track]["segments"][0]["render_index"].clone();
    assert_eq!((layer(2), layer(3)), (json!(14000), json!(14001)));
    let error = refused(json!([{"op": "track", "track": "t1", "order": 3}]));
    assert!(error.message.contains("main track"), "{error}");
    refused(json!([{"op": "track", "track": "t7", "remove": true}]));
}

#[test]
fn canvas_and_name_are_set() {
    let (document, _) = done(
        json!([{"op": "canvas", "width": 1920, "height": 1080}, {"op": "rename", "name": "Trip"}]),
    );
    let summary = document.summary();
    assert_eq!(
        (summary.width, summary.height, summary.name.as_str()),
        (1920, 1080, "Trip")
    );
    let root: Value = serde_json::from_slice(&document.write()).unwrap();
    assert_eq!(root["canvas_config"]["ratio"], "16:9");
}

#[test]
fn the_frame_rate_moves_all_times_to_its_frames() {
    let (document, reports) = done(json!([{"op": "settings", "fps": 24}]));
    let grid = document.grid();
    assert_eq!((grid.fps(), document.summary().fps), (24.0, 24.0));
    for clip in document.all_clips() {
        let target = document.target(clip);
        let times = (target.start, target.end());
        assert_eq!(times, (grid.floor(target.start), grid.floor(target.end())));
    }
    // 7,033,333 µs is frame 211 of 30, and between the frames 168 and 169 of 24.
    assert_eq!(times(&document, &["c2", "c3"]), [(4.0, 7.0), (7.0, 10.0)]);
    assert!(reports[0].clips.contains(&"c2".to_owned()));
    assert!(!reports[0].clips.contains(&"c1".to_owned()));
    let error = refused(json!([{"op": "settings", "fps": 23.976}]));
    assert!(error.message.contains("24, 25, 30, 50 and 60"), "{error}");
}

#[test]
fn markers_stand_in_the_form_of_the_app() {
    let (document, _) = done(json!([
        {"op": "add_markers", "markers": [{"at": 5.02, "title": "End"}]},
        {"op": "add_markers", "markers": [{"at": 1, "title": "Intro \"1\"", "color": "#FF0000"}, {"at": 9}]},
    ]));
    let root: Value = serde_json::from_slice(&document.write()).unwrap();
    let marks = &root["time_marks"]["mark_items"];
    let starts: Vec<&Value> = (0..3)
        .map(|index| &marks[index]["time_range"]["start"])
        .collect();
    // On frames of 30, rounded down.
    assert_eq!(
        starts,
        [&json!(1_000_000), &json!(5_000_000), &json!(9_000_000)]
    );
    assert_eq!(marks[0]["title"], "Intro \"1\"");
    assert_eq!(
        (&marks[0]["color"], &marks[1]["color"]),
        (&json!("#ff0000"), &json!("#00c1cd"))
    );
    let mut keys: Vec<&String> = marks[0].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["color", "id", "time_range", "title"]);
    let ids: BTreeSet<&str> = (0..3)
        .filter_map(|index| marks[index]["id"].as_str())
        .collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(document.summary().markers.len(), 3);
    let (document, _) = done(json!([
        {"op": "add_markers", "markers": [{"at": 1}]},
        {"op": "settings", "markers": []},
    ]));
    assert_eq!(document.markers(), []);
    for operation in [
        json!({"op": "add_markers", "markers": []}),
        json!({"op": "add_markers", "markers": [{"at": -1}]}),
        json!({"op": "add_markers", "markers": [{"at": 1, "color": "red"}]}),
    ] {
        refused(json!([operation]));
    }
}

#[test]
fn groups_are_made_and_dissolved() {
    let (document, _) = done(json!([{"op": "group", "clips": ["c1", "c6"]}]));
    let group = |id: &str| clip(&document, id).group;
    assert!(group("c1").is_some());
    assert_eq!(group("c1"), group("c6"));
    assert_eq!(group("c2"), None);
    // Another group of the first clip leaves the second behind.
    let (document, _) = done(json!([
        {"op": "group", "clips": ["c1", "c6"]}, {"op": "group", "clips": ["c1", "c7"]},
    ]));
    let group = |id: &str| clip(&document, id).group;
    assert_eq!(group("c1"), group("c7"));
    assert_ne!(group("c1"), group("c6"));
    let (document, _) = done(json!([
        {"op": "group", "clips": ["c1", "c6"]}, {"op": "ungroup", "clip": "c6"},
    ]));
    assert_eq!(clip(&document, "c1").group, None);
    let error = refused(json!([{"op": "group", "clips": ["c1", "c1"]}]));
    assert!(error.message.contains("at least 2"), "{error}");
}

#[test]
fn the_magnet_is_turned_on_only_without_gaps() {
    let (document, _) = done(json!([{"op": "settings", "magnet": false}]));
    assert!(!document.summary().magnet);
    let (document, _) = done(json!([
        {"op": "settings", "magnet": false}, {"op": "settings", "magnet": true},
    ]));
    assert!(document.summary().magnet);
    let error = refused(json!([
        {"op": "settings", "magnet": false},
        {"op": "move", "clip": "c3", "at": 12},
        {"op": "settings", "magnet": true},
    ]));
    assert!(
        error.message.contains("gap from 7.033 s to 12 s"),
        "{error}"
    );
}

#[test]
fn a_cover_is_chosen_by_time_or_file() {
    let (document, _) = done(json!([{"op": "settings", "cover": 2.51}]));
    let shown = serde_json::to_value(document.cover()).unwrap();
    assert_eq!(shown, json!(2.5));
    let (document, _) =
        done(json!([{"op": "settings", "cover": "/a/b.jpg", "width": 1920, "height": 1080}]));
    let shown = serde_json::to_value(document.summary()).unwrap();
    assert_eq!(
        (&shown["cover"], &shown["width"]),
        (&json!("/a/b.jpg"), &json!(1920))
    );
    let (document, _) = done(json!([
        {"op": "settings", "cover": "/a/b.jpg"}, {"op": "settings", "cover": "none"},
    ]));
    assert_eq!(document.write(), app().write());
    let error = refused(json!([{"op": "settings", "cover": 60}]));
    assert!(error.message.contains("the draft ends at"), "{error}");
    refused(json!([{"op": "settings"}]));
}

#[test]
fn the_clips_of_a_compound_clip_are_shown() {
    let mut root: Value = serde_json::from_slice(&app().write()).unwrap();
    let inner = |id: &str| {
        json!({
            "id": id, "tracks": [{"id": "T", "type": "video", "segments": [
                {"id": "S", "material_id": "V", "target_timerange": {"start": 0, "duration": 1_500_000}},
            ]}],
            "materials": {"videos": [{"id": "V", "type": "video", "material_name": "inside.mp4"}]},
        })
    };
    root["materials"]["drafts"] = json!([{"id": "D", "draft": inner("I")}]);
    root["tracks"][0]["segments"][0]["extra_material_refs"] = json!(["D"]);
    let document = Document::parse(root.to_string()).unwrap();
    let row = clip(&document, "c1");
    assert_eq!(row.kind, ClipKind::Compound);
    let shown = serde_json::to_value(&row.contains).unwrap();
    assert_eq!(
        shown,
        json!([{"kind": "video", "start": 0.0, "end": 1.5, "name": "inside.mp4"}])
    );
}

#[test]
fn a_new_file_keeps_place_and_look() {
    let media = |seconds: f64| json!({"path": "/m/new.mp4", "kind": "video", "duration": seconds, "width": 640, "height": 360});
    let replace = |clip: &str, seconds: f64, length: &str| json!([{"op": "replace_media", "clip": clip, "media": media(seconds), "length": length}]);
    let (document, _) = done(replace("c1", 60.0, "cut"));
    let row = clip(&document, "c1");
    assert_eq!(
        (row.start, row.end, row.source),
        (0.0, 4.0, Some([0.0, 4.0]))
    );
    assert_eq!(row.path.unwrap(), "/m/new.mp4");
    assert_eq!(
        clip(&document, "c4").media.unwrap(),
        "beach.mp4",
        "the file was shared"
    );
    let (document, _) = done(replace("c1", 2.5, "cut"));
    assert_eq!(
        times(&document, &["c1", "c2"]),
        [(0.0, 2.5), (2.5, 5.533_333)]
    );
    let (document, _) = done(replace("c1", 2.0, "speed"));
    assert_eq!(
        (clip(&document, "c1").speed, clip(&document, "c1").end),
        (0.5, 4.0)
    );
    let (document, _) = done(replace("c1", 1.5, "loop"));
    assert_eq!(
        times(&document, &["c1", "c16", "c17"]),
        [(0.0, 1.5), (1.5, 3.0), (3.0, 4.0)]
    );
    assert_eq!(clip(&document, "c17").source, Some([0.0, 1.0]));
    let error = refused(replace("c1", 1.5, "freeze"));
    assert!(error.message.contains("`still`"), "{error}");
    let still = json!({"path": "/m/last.png", "kind": "image", "width": 640, "height": 360});
    let (document, _) = done(
        json!([{"op": "replace_media", "clip": "c1", "media": media(1.5), "length": "freeze", "still": still}]),
    );
    let row = clip(&document, "c16");
    assert_eq!((row.kind, row.start, row.end), (ClipKind::Image, 1.5, 4.0));
    let error = refused(json!([{"op": "replace_media", "clip": "c13", "media": media(3.0)}]));
    assert!(error.message.contains("cannot replace"), "{error}");
}

#[test]
fn compound_clips_and_templates_move_but_stay_closed() {
    let mut document = Document::parse(data("sparse.json")).unwrap();
    let before = document.write();
    let summary = document.summary();
    assert_eq!((summary.app, summary.edition), ("JianYing", "jianying"));
    let closed: Vec<&str> = summary
        .read_only_clips
        .iter()
        .map(|clip| clip.id.as_str())
        .collect();
    assert_eq!(closed, ["c1", "c3"]);
    let error = run(
        &mut document,
        json!([{"op": "replace_text", "clip": "c3", "text": "x"}]),
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::ReadOnly);
    let (step, _) = run(
        &mut document,
        json!([
            {"op": "trim", "clip": "c1", "end": 2},
            {"op": "move", "clip": "c3", "at": 4},
            {"op": "duplicate", "clip": "c1", "at": 6},
            {"op": "replace_text", "clip": "Markup", "text": "Other"},
        ]),
    )
    .unwrap();
    assert_eq!(document.materials("drafts").len(), 1);
    document.apply(&step.inverse()).unwrap();
    assert_eq!(document.write(), before);
}

#[test]
fn old_versions_are_only_read() {
    let text = String::from_utf8(data("app.json"))
        .unwrap()
        .replace("\"8.5.0\"", "\"2.2.0\"");
    let mut document = Document::parse(text).unwrap();
    assert!(document.summary().read_only.unwrap().contains("CapCut 3.8"));
    let error = run(&mut document, json!([{"op": "remove", "clip": "c1"}])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::ReadOnly);
}

#[test]
fn rows_show_gaps_overlaps_and_missing_references() {
    let document = app();
    let tracks = document.inspect(&InspectFilter::default()).unwrap();
    assert!(tracks[0].main && tracks[0].gaps.is_empty());
    assert_eq!(tracks[2].gaps[0].start, 4.5);
    let one = InspectFilter {
        query: Some("bye".to_owned()),
        ..InspectFilter::default()
    };
    let rows = document.inspect(&one).unwrap();
    assert_eq!(rows.iter().map(|track| track.clips.len()).sum::<usize>(), 1);
    let sparse = Document::parse(data("sparse.json")).unwrap();
    let rows = sparse.inspect(&InspectFilter::default()).unwrap();
    assert_eq!(rows[0].clips[1].missing, ["no-such-id"]);
    serde_json::to_string(&rows).unwrap();
}

/// What a document finds by its index is what a look at all clips finds.
fn check_links(document: &Document) {
    let mut users: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for clip in document.all_clips() {
        let mut ids: BTreeSet<String> = document.refs(clip).into_iter().map(Into::into).collect();
        ids.insert(document.material_id(clip).into_owned());
        for id in ids {
            users.entry(id).or_default().push(clip);
        }
        let id = document.id(clip);
        assert!(document.clips_by_id(&id).any(|own| own == clip) || id.is_empty());
        let range = document.range(clip, &["target_timerange"]);
        assert_eq!(document.target(clip), range.unwrap_or_default());
    }
    for (id, clips) in users {
        assert_eq!(document.users(&id), clips, "{id}");
    }
    for list in document.material_lists() {
        for material in document.materials(list) {
            let id = document.id(material);
            assert!(document.materials_by_id(&id).any(|own| own == material) || id.is_empty());
        }
    }
}

/// A random operation; many are refused, which must change nothing.
fn random_operation(document: &Document, random: &mut Random) -> Option<Value> {
    let clips: Vec<_> = document.all_clips().collect();
    let tracks = document.tracks();
    if clips.is_empty() || tracks.is_empty() {
        return None;
    }
    let own = clips[random.below(clips.len())];
    let id = document.short_id(own);
    let track = document.short_track_id(tracks[random.below(tracks.len())]);
    let target = document.target(own);
    let target = if (0..1 << 40).contains(&target.start) {
        target
    } else {
        capcut_draft::TimeRange::default()
    };
    let mut time =
        |limit: i64| random.time(u32::try_from(limit.clamp(1, 1 << 30)).unwrap()) as f64 / 1e6;
    let (at, inside) = (
        time(30_000_000),
        target.start as f64 / 1e6 + time(target.duration),
    );
    let value = time(1_000_000);
    let length = ["cut", "loop", "speed"][random.below(3)];
    Some(match random.below(36) {
        0 => json!({"op": "move", "clip": id, "at": at}),
        1 => json!({"op": "move", "clip": id, "at": at, "track": track}),
        2 => json!({"op": "shift", "from": inside, "by": value}),
        3 => json!({"op": "shift", "from": inside, "by": -value, "track": track}),
        4 => json!({"op": "trim", "clip": id, "start": inside}),
        5 => json!({"op": "trim", "clip": id, "end": inside + value}),
        6 | 7 => json!({"op": "split", "clip": id, "at": inside}),
        8 => json!({"op": "remove", "clip": id}),
        9 => json!({"op": "remove", "clip": id, "close_gap": true}),
        10 => json!({"op": "duplicate", "clip": id}),
        11 => json!({"op": "duplicate", "clip": id, "at": at}),
        12 => {
            json!({"op": "add_keyframes", "clip": id, "property": "opacity", "points": [{"time": inside, "value": value}]})
        }
        13 => json!({"op": "clear_keyframes", "clip": id}),
        14 => json!({"op": "clear", "clip": id, "what": "transition"}),
        15 => json!({"op": "clear", "clip": id, "what": "animation"}),
        16 => json!({"op": "track", "track": track, "mute": value > 0.5, "rename": "x"}),
        17 => json!({"op": "track", "track": track, "order": random.below(tracks.len())}),
        18 => json!({"op": "replace_text", "clip": id, "text": "ab😀 c".repeat(random.below(4))}),
        19 => json!({"op": "set", "clip": id, "speed": 0.5 + value}),
        20 => json!({"op": "set", "clip": id, "opacity": value}),
        21 => json!({"op": "set", "clip": id, "font_size": 10.0 + value, "bold": true}),
        22 => json!({"op": "set", "clip": id, "fade_in": value / 4.0, "volume": value}),
        23 => json!({"op": "clear", "clip": id, "what": "effect"}),
        24 => json!({"op": "clear", "clip": id, "what": "mask"}),
        25 => json!({"op": "canvas", "width": 100 + random.below(2_000), "height": 1_080}),
        26 => json!({"op": "rename", "name": format!("n{value}")}),
        27 => json!({"op": "set", "clip": id, "scale": 0.5 + value, "rotation": value}),
        28 => json!({"op": "track", "track": track, "remove": random.below(20) == 0, "hide": true}),
        29 => {
            let fps = [24, 25, 30, 50, 60][random.below(5)];
            json!({"op": "settings", "fps": fps, "cover": 0.1})
        }
        30 => {
            json!({"op": "add_markers", "markers": [{"at": value, "title": "é\"😀"}, {"at": at}]})
        }
        31 => json!({"op": "group", "clips": [id, "c2", "c4"]}),
        32 => json!({"op": "ungroup", "clip": id}),
        33 | 34 => {
            let music = document.short_id(clips[random.below(clips.len())]);
            let selector = serde_json::from_value(json!(music)).unwrap();
            let parts = document.sound_parts(&selector).unwrap_or_default();
            let times: Vec<f64> = (0..200)
                .map(|beat| f64::from(beat) * (0.1 + value))
                .collect();
            let beats: Vec<Value> = parts
                .iter()
                .map(|part| json!({"file": part.file, "times": times}))
                .collect();
            let clip = if value > 0.5 { &id } else { &track };
            json!({"op": "cut_on", "clip": clip, "beats_of": music, "beats": beats})
        }
        _ => {
            json!({"op": "replace_media", "clip": id, "length": length,
            "media": {"path": "/n.mp4", "kind": "video", "duration": 0.5 + value * 4.0}})
        }
    })
}

/// The texts of the clips and materials, and of what the root has beside them.
struct Texts {
    clips: BTreeMap<String, Vec<u8>>,
    targets: BTreeMap<String, capcut_draft::TimeRange>,
    /// By list and position: ids may stand twice.
    materials: BTreeMap<(String, String), Vec<Vec<u8>>>,
    root: Vec<u8>,
}

impl Texts {
    fn of(document: &Document) -> Self {
        let whole = |raw: Option<&[u8]>| raw.unwrap_or_default().to_vec();
        let mut texts = Self {
            clips: BTreeMap::new(),
            targets: BTreeMap::new(),
            materials: BTreeMap::new(),
            root: whole(document.raw(RootRef, &[])),
        };
        for clip in document.all_clips() {
            let id = document.short_id(clip);
            texts.targets.insert(id.clone(), document.target(clip));
            texts.clips.insert(id, whole(document.raw(clip, &[])));
        }
        for list in document.material_lists() {
            for material in document.materials(list) {
                let key = (list.to_owned(), document.id(material).into_owned());
                let text = whole(document.raw(material, &[]));
                texts.materials.entry(key).or_default().push(text);
            }
        }
        texts
    }
}

/// The ids of materials that these clips use.
fn used_by(document: &Document, clips: &[String]) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for clip in document.all_clips() {
        if clips.contains(&document.short_id(clip)) {
            used.extend(document.refs(clip).into_iter().map(String::from));
            used.insert(document.material_id(clip).into_owned());
        }
    }
    used
}

/// Checks that only what the report names was changed, and that all times that were written are on frames.
fn check_change(
    what: &str,
    (before, used): (&Texts, &BTreeSet<String>),
    document: &Document,
    report: &OperationReport,
) {
    let now = Texts::of(document);
    let changed = |id: &String| report.clips.contains(id);
    if report.op != "track" {
        for (id, text) in &before.clips {
            assert!(
                changed(id) || now.clips.get(id) == Some(text),
                "{what}: {id} is not in the report"
            );
        }
        for id in now.clips.keys() {
            assert!(changed(id) || before.clips.contains_key(id), "{what}: {id}");
        }
        let used_now = used_by(document, &report.clips);
        for (key, text) in &before.materials {
            let is_own = used.contains(&key.1) || used_now.contains(&key.1);
            assert!(
                is_own || now.materials.get(key) == Some(text),
                "{what}: {key:?}"
            );
        }
    }
    let own_keys: &[&str] = match report.op {
        "canvas" => &["canvas_config"],
        "rename" => &["name"],
        "settings" => &[
            "fps",
            "duration",
            "time_marks",
            "capcut_mcp_cover",
            "materials",
        ],
        "add_markers" => &["time_marks"],
        _ => &["duration", "config", "materials"],
    };
    let members = |text: &[u8]| {
        let mut root: Value = serde_json::from_slice(text).unwrap();
        let root = root.as_object_mut().unwrap();
        for key in own_keys {
            root.shift_remove(*key);
        }
        serde_json::to_string(&root).unwrap()
    };
    assert_eq!(members(&now.root), members(&before.root), "{what}");
    let grid = document.grid();
    // Longer times are read as this one.
    let possible = now.targets.iter().filter(|target| target.1.end() < 1 << 42);
    for (id, target) in possible {
        let old = before.targets.get(id);
        if old.map(|old| old.start) != Some(target.start) {
            assert!(grid.is_on(target.start), "{what}: {id} {target:?}");
        }
        if old != Some(target) {
            assert!(grid.is_on(target.end()), "{what}: {id} {target:?}");
        }
    }
}

/// Applies random operations: each keeps the rules or changes nothing, and undoing each, and then all, gives the same
/// bytes.
fn check_random_operations(name: &str, bytes: &[u8], rounds: usize) {
    let mut document = Document::parse(bytes).unwrap();
    let mut random = Random(bytes.len() as u64 + 1);
    let mut steps = Vec::new();
    let mut problems: BTreeSet<Problem> = document.problems().into_iter().collect();
    let mut text = document.write();
    for _ in 0..rounds {
        let Some(operation) = random_operation(&document, &mut random) else {
            break;
        };
        let what = format!("{name} {operation}");
        let before = Texts::of(&document);
        let all: Vec<String> = before.clips.keys().cloned().collect();
        let used_before: BTreeMap<String, BTreeSet<String>> = all
            .iter()
            .map(|id| (id.clone(), used_by(&document, std::slice::from_ref(id))))
            .collect();
        match run(&mut document, json!([operation])) {
            Err(error) => {
                assert!(!error.message.is_empty());
                assert_eq!(document.write(), text, "{what}");
                continue;
            }
            Ok((step, reports)) => {
                let used = reports[0].clips.iter().filter_map(|id| used_before.get(id));
                let used = used.flatten().cloned().collect();
                check_change(&what, (&before, &used), &document, &reports[0]);
                let after = document.write();
                document.apply(&step.inverse()).unwrap();
                assert_eq!(document.write(), text, "{what}");
                document.apply(&step).unwrap();
                assert_eq!(document.write(), after, "{what}");
                text = after;
                steps.push(step);
            }
        }
        let now: BTreeSet<Problem> = document.problems().into_iter().collect();
        let new: Vec<_> = now.difference(&problems).collect();
        assert!(new.is_empty(), "{what}: {new:?}");
        problems = now;
        if random.below(20) == 0 {
            check_links(&document);
        }
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    serde_json::from_slice::<Value>(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    for step in steps.iter().rev() {
        document.apply(&step.inverse()).unwrap();
    }
    assert_eq!(document.write(), bytes, "{name}");
}

#[test]
fn a_thousand_random_operations_keep_the_rules_and_are_undone_to_the_same_bytes() {
    for (name, bytes) in documents() {
        check_random_operations(&name, &bytes, 1_000);
    }
}

/// Documents with what other programs and damaged files may contain.
fn odd_documents() -> Vec<(&'static str, String)> {
    let clip = |id: &str, material: &str, start: i64, duration: i64, more: &str| {
        format!(
            r#"{{"id":"{id}","material_id":"{material}","target_timerange":{{"start":{start},"duration":{duration}}},"source_timerange":{{"start":0,"duration":{duration}}},"extra_material_refs":["s1","x"],"common_keyframes":[]{more}}}"#
        )
    };
    let document = |root: &str, tracks: &str| {
        let texts = r#"{"id":"t1","content":"{\"text\":\"a😀b\",\"styles\":[{\"range\":[0,3],\"size\":8},{\"range\":[3,4],\"size\":9}]}"},{"id":"t2","content":"plain 😀"},{"id":"t3","content":null},{"id":"t4","content":"<font><size=8>[marked]</size></font>"},{"id":"t5","content":"{\"text\":\"\",\"styles\":[]}"}"#;
        format!(
            r#"{{{root}"tracks":[{tracks}],"materials":{{"videos":[{{"id":"v1","type":"video","path":"a.mp4","duration":10000000}},{{"id":"v1","type":"photo","path":"b.png"}},{{"id":"v2","type":"video","duration":0}}],"audios":[{{"id":"a1","duration":-5}}],"texts":[{texts}],"speeds":[{{"id":"s1","speed":1.0,"mode":1,"curve_speed":{{}}}}],"transitions":[{{"id":"x","duration":500000}}],"drafts":[{{"id":"d1","draft":{{"tracks":[],"materials":{{}}}}}}],"unknown_things":[{{"id":"u1"}}]}}}}"#
        )
    };
    let track = |kind: &str, attribute: i64, clips: &[String]| {
        format!(
            r#"{{"id":"{kind}","type":"{kind}","attribute":{attribute},"segments":[{}]}}"#,
            clips.join(",")
        )
    };
    let second = 1_000_000;
    let videos = [
        clip("c", "v1", 0, second, ""),
        clip("c", "v1", second, 0, ",\"speed\":2.0"),
        clip("c", "v2", second, 2 * second, ",\"group_id\":\"g\""),
        clip("d", "gone", 3 * second, second, ",\"speed\":0"),
        clip("e", "u1", 4 * second, 33_333, ",\"group_id\":\"g\""),
    ];
    let texts = [
        clip("f", "t1", 100, second, ""),
        clip("g", "t2", second + 101, second, ""),
        clip("h", "t3", 2 * second + 102, second, ""),
        clip("i", "t4", 3 * second + 103, 1, ""),
        clip("j", "t5", 4 * second, second, ""),
    ];
    let all = |root: &str| {
        let tracks = [
            track("video", 0, &videos),
            track("text", 0, &texts),
            track("text", 4, &[clip("k", "t1", 0, second, "")]),
            track(
                "audio",
                0,
                &[clip("l", "a1", 0, second, ",\"volume\":null")],
            ),
        ];
        document(root, &tracks.join(","))
    };
    vec![
        ("no tracks", document("", "")),
        ("no clips", document("", r#"{"id":"a","type":"video","segments":[]},{"type":"text"}"#)),
        ("no frame rate", all("")),
        ("0 frames per second", all("\"fps\":0,")),
        ("29.97 frames per second", all("\"fps\":29.97,")),
        ("23.976 frames per second", all("\"fps\":23.976,\"duration\":5000000,")),
        ("no number as frame rate", all("\"fps\":\"30\",\"duration\":null,")),
        (
            "no objects",
            document("", r#"null,7,{"type":"video","segments":[null,"x",{},{"id":7,"target_timerange":null,"extra_material_refs":null}]}"#),
        ),
        (
            "times with fractions, before 0 and beyond all days",
            document("", &track("video", 0, &[
                r#"{"id":"a","material_id":"v1","target_timerange":{"start":0.5,"duration":1000000.75}}"#.to_owned(),
                r#"{"id":"b","material_id":"v1","target_timerange":{"start":-4000000,"duration":1000000}}"#.to_owned(),
                r#"{"id":"c","material_id":"v1","target_timerange":{"start":9223372036854775807,"duration":9223372036854775807}}"#.to_owned(),
                r#"{"id":"d","material_id":"v1","target_timerange":{"start":5000000,"duration":-1}}"#.to_owned(),
                r#"{"id":"e","material_id":"v1","speed":1e-300,"source_timerange":{"start":1e300,"duration":9223372036854775807},"target_timerange":{"start":7000000,"duration":1000000}}"#.to_owned(),
            ])),
        ),
        (
            "overlaps, not sorted",
            document("", &track("text", 0, &[
                clip("a", "t1", 2 * second, 2 * second, ""),
                clip("b", "t2", second, 2 * second, ""),
                clip("c", "t1", second, 2 * second, ""),
                clip("d", "t1", 0, 9 * second, ""),
            ])),
        ),
        (
            "a compound clip",
            document("", &track("video", 0, &[
                r#"{"id":"a","material_id":"v1","extra_material_refs":["d1","d1"],"target_timerange":{"start":0,"duration":1000000},"source_timerange":{"start":0,"duration":1000000}}"#.to_owned(),
                r#"{"id":"b","material_id":"d1","target_timerange":{"start":1000000,"duration":1000000}}"#.to_owned(),
            ])),
        ),
    ]
}

#[test]
fn odd_documents_keep_the_rules_too() {
    for (name, text) in odd_documents() {
        check_random_operations(name, text.as_bytes(), 1_000);
    }
}

/// Planned operations leave no trace: the same step is planned again, and later clips get the same short ids.
#[test]
fn a_plan_changes_nothing_and_its_step_fits() {
    let split = Operation::read(&json!({"op": "split", "clip": "c1", "at": 1})).unwrap();
    let mut document = app();
    let before = document.write();
    let (step, reports) = document
        .plan_operations(std::slice::from_ref(&split), &capcut_draft::NoResources)
        .unwrap();
    assert_eq!(document.write(), before);
    let (again, reports_again) = document
        .plan_operations(std::slice::from_ref(&split), &capcut_draft::NoResources)
        .unwrap();
    assert_eq!((&again, &reports_again), (&step, &reports));
    document.apply(&step).unwrap();
    let (mut other, _) = done(json!([{"op": "split", "clip": "c1", "at": 1}]));
    assert_eq!(document.write(), other.write());
    let ids = |document: &Document| -> Vec<String> {
        document
            .all_clips()
            .map(|clip| document.short_id(clip))
            .collect()
    };
    assert_eq!(ids(&document), ids(&other));
    let numbers: Vec<u32> = (10..).take(ids(&other).len()).collect();
    other.set_short_numbers(&numbers, &[7]);
    assert_eq!(ids(&other)[0], "c10");
    assert_eq!(other.short_track_id(other.tracks()[0]), "t7");
}
