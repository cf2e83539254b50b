//! Templates: what slots are called, what filling changes, and that everything else stays.

mod support;

use capcut_draft::{
    ClipRow, ClipSelector, Document, FilledTemplate, InspectFilter, MediaFile, MediaFileKind,
    MediaLength, Operation, RepeatedGroup, SlotMedia, SlotValues, TemplateValues, Time,
};
use serde_json::json;
use support::{app, documents};

fn file(path: &str, kind: MediaFileKind, seconds: f64) -> MediaFile {
    MediaFile {
        path: path.to_owned(),
        kind,
        name: None,
        duration: (kind != MediaFileKind::Image).then(|| Time::from_micros((seconds * 1e6) as i64)),
        width: 640,
        height: 360,
        has_audio: true,
        remote_url: None,
        bin_id: None,
    }
}

fn video(path: &str, seconds: f64) -> SlotMedia {
    SlotMedia {
        file: file(path, MediaFileKind::Video, seconds),
        length: MediaLength::Freeze,
        still: Some(file("/m/still.png", MediaFileKind::Image, 0.0)),
    }
}

fn sound(path: &str, seconds: f64) -> SlotMedia {
    SlotMedia {
        file: file(path, MediaFileKind::Audio, seconds),
        length: MediaLength::Cut,
        still: None,
    }
}

fn values(media: &[(&str, SlotMedia)], texts: &[(&str, &str)]) -> SlotValues {
    let owned = |name: &str| name.to_owned();
    SlotValues {
        media: media
            .iter()
            .map(|(name, file)| (owned(name), file.clone()))
            .collect(),
        texts: texts
            .iter()
            .map(|(name, words)| (owned(name), owned(words)))
            .collect(),
    }
}

fn once(values: SlotValues) -> TemplateValues {
    TemplateValues {
        values,
        repeat: None,
    }
}

/// Fills a document, and checks that planning changes nothing and that undoing gives the same bytes.
fn filled(document: &mut Document, template: &TemplateValues) -> FilledTemplate {
    let before = document.write();
    let problems = document.problems();
    let filled = document.plan_template(template).unwrap();
    assert_eq!(document.write(), before);
    document.apply(&filled.step).unwrap();
    let after = document.write();
    assert_eq!(document.problems(), problems);
    document.apply(&filled.step.inverse()).unwrap();
    assert_eq!(document.write(), before);
    document.apply(&filled.step).unwrap();
    assert_eq!(document.write(), after);
    filled
}

fn rows(document: &Document) -> Vec<ClipRow> {
    let tracks = document.inspect(&InspectFilter::default()).unwrap();
    tracks.into_iter().flat_map(|track| track.clips).collect()
}

fn clip(document: &Document, id: &str) -> ClipRow {
    let found = rows(document).into_iter().find(|row| row.id == id);
    found.unwrap_or_else(|| panic!("{id}"))
}

fn with_words(words: &[(&str, &str)]) -> Document {
    let mut document = app();
    for (clip, text) in words {
        let operation = json!({ "op": "replace_text", "clip": clip, "text": text });
        let operation = Operation::read(&operation).unwrap();
        document.apply_operations(&[operation]).unwrap();
    }
    document
}

#[test]
fn placeholders_are_filled_and_the_rest_of_the_text_stays() {
    let mut document = with_words(&[
        ("c6", "{{greeting}}, {{ name }}!"),
        ("c7", "{{Name}} again"),
    ]);
    let texts = [("greeting", "Hi {{name}}"), ("name", "Zoë 😀")];
    let found = filled(&mut document, &once(values(&[], &texts)));
    assert_eq!(
        clip(&document, "c6").words.as_deref(),
        Some("Hi {{name}}, Zoë 😀!")
    );
    assert_eq!(clip(&document, "c7").words.as_deref(), Some("Zoë 😀 again"));
    assert_eq!(clip(&document, "c8").words.as_deref(), Some("Bye"));
    assert!(found.open.is_empty(), "{:?}", found.open);
    assert_eq!(found.kept.len(), 8, "{:?}", found.kept);

    let mut document = with_words(&[("c6", "{{greeting}}, {{ name }}!")]);
    let found = filled(&mut document, &once(values(&[], &[("{{NAME}}", "you")])));
    assert_eq!(
        clip(&document, "c6").words.as_deref(),
        Some("{{greeting}}, you!")
    );
    assert_eq!(found.open, ["greeting"]);
}

#[test]
fn slots_are_clips_by_id_by_file_and_by_words() {
    let mut document = app();
    let media = [
        ("c3", video("/m/c.mp4", 20.0)),
        ("beach", video("/m/a.mp4", 20.0)),
        ("SONG.mp3", sound("/m/s.mp3", 20.0)),
    ];
    let full = clip(&document, "c8").full_id;
    let texts = [("bye", "Tschüss"), ("c6", "Title"), ("第二行字幕", "二")];
    filled(&mut document, &once(values(&media, &texts)));
    for (id, path) in [("c1", "/m/a.mp4"), ("c3", "/m/c.mp4"), ("c13", "/m/s.mp3")] {
        assert_eq!(clip(&document, id).path.as_deref(), Some(path), "{id}");
    }
    for (id, words) in [("c6", "Title"), ("c7", "二"), ("c8", "Tschüss")] {
        assert_eq!(clip(&document, id).words.as_deref(), Some(words), "{id}");
    }
    let times = |document: &Document| {
        let times = rows(document).into_iter().map(|row| (row.start, row.end));
        times.collect::<Vec<_>>()
    };
    assert_eq!(times(&document), times(&app()), "lengths and places stay");
    let mut document = app();
    filled(
        &mut document,
        &once(values(&[], &[(&full, "By its long id")])),
    );
    assert_eq!(
        clip(&document, "c8").words.as_deref(),
        Some("By its long id")
    );
}

#[test]
fn a_short_video_freezes_and_a_short_sound_ends() {
    let mut document = app();
    let before = clip(&document, "c1");
    let media = [
        ("c1", video("/m/short.mp4", 1.5)),
        ("song.mp3", sound("/m/s.mp3", 3.0)),
    ];
    filled(&mut document, &once(values(&media, &[])));
    let shown = clip(&document, "c1");
    assert_eq!((shown.start, shown.end), (0.0, 1.5));
    let still = rows(&document)
        .into_iter()
        .find(|row| row.path.as_deref() == Some("/m/still.png"))
        .expect("the last frame");
    assert_eq!((still.start, still.end), (1.5, before.end));
    assert_eq!(still.keyframes.is_empty(), before.keyframes.is_empty());
    assert_eq!(clip(&document, "c13").end, 3.0);
    assert_eq!(clip(&document, "c2").start, 4.0, "what follows stays");
}

#[test]
fn parts_of_one_file_show_the_same_parts_of_the_new_one() {
    let mut document = app();
    let split = Operation::read(&json!({ "op": "split", "clip": "c13", "at": 3.0 })).unwrap();
    document.apply_operations(&[split]).unwrap();
    filled(
        &mut document,
        &once(values(&[("song.mp3", sound("/m/s.mp3", 30.0))], &[])),
    );
    let parts: Vec<[f64; 2]> = rows(&document)
        .iter()
        .filter(|row| row.path.as_deref() == Some("/m/s.mp3"))
        .filter_map(|row| row.source)
        .collect();
    assert_eq!(parts, [[0.0, 3.0], [3.0, 9.0]]);
}

#[test]
fn names_that_are_no_slots_are_all_reported_with_the_nearest() {
    let mut document = with_words(&[("c6", "{{headline}}")]);
    let media = [
        ("beech", video("/m/a.mp4", 20.0)),
        ("zzz", video("/m/a.mp4", 20.0)),
    ];
    let error = document
        .plan_template(&once(values(&media, &[("hedline", "x")])))
        .unwrap_err();
    let text = error.to_string();
    for part in [
        "\"beech\"",
        "did you mean \"beach\"",
        "\"zzz\"",
        "the slots are",
        "\"headline\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let wrong = document
        .plan_template(&once(values(&[("c13", video("/m/a.mp4", 20.0))], &[])))
        .unwrap_err();
    assert!(wrong.to_string().contains("same kind"), "{wrong}");
}

#[test]
fn a_group_is_shown_once_for_each_set_and_what_follows_moves() {
    let mut document = with_words(&[("c6", "{{city}}")]);
    let remove = Operation::read(&json!({ "op": "remove", "clip": "c7" })).unwrap();
    document.apply_operations(&[remove]).unwrap();
    let group = |sets: Vec<SlotValues>| RepeatedGroup {
        clips: vec![ClipSelector::from("c1"), ClipSelector::from("c6")],
        sets,
    };
    let set = |path: &str, city: &str| values(&[("c1", video(path, 20.0))], &[("city", city)]);
    let sets = vec![
        set("/m/1.mp4", "Rome"),
        set("/m/2.mp4", "Oslo"),
        set("/m/3.mp4", "Lima"),
    ];
    let template = TemplateValues {
        values: values(&[], &[("Bye", "The end")]),
        repeat: Some(group(sets)),
    };
    let before = document.clone();
    filled(&mut document, &template);
    let all = rows(&document);
    let starts = |path: &str| {
        let row = all.iter().find(|row| row.path.as_deref() == Some(path));
        row.map(|row| (row.start, row.end))
    };
    assert_eq!(starts("/m/1.mp4"), Some((0.0, 4.0)));
    assert_eq!(starts("/m/2.mp4"), Some((4.0, 8.0)));
    assert_eq!(starts("/m/3.mp4"), Some((8.0, 12.0)));
    let said = |words: &str| {
        let row = all.iter().find(|row| row.words.as_deref() == Some(words));
        row.map(|row| (row.start, row.end))
    };
    assert_eq!(said("Rome"), Some((0.0, 2.0)));
    assert_eq!(said("Lima"), Some((8.0, 10.0)));
    assert_eq!(said("The end"), Some((14.0, 15.5)), "later texts move");
    let moved = |id: &str| clip(&document, id).start - clip(&before, id).start;
    assert_eq!(moved("c2"), 8.0, "the main track makes room");
    assert_eq!(moved("c3"), 8.0);
    assert_eq!(moved("c13"), 0.0, "the music began before");
    assert_eq!(moved("c5"), 8.0, "an overlay");

    let mut document = before;
    let unknown = TemplateValues {
        values: SlotValues::default(),
        repeat: Some(group(vec![values(&[], &[("Bye", "x")])])),
    };
    let error = document.plan_template(&unknown).unwrap_err();
    assert!(error.to_string().contains("\"city\""), "{error}");
    let empty = TemplateValues {
        values: SlotValues::default(),
        repeat: Some(group(Vec::new())),
    };
    assert!(
        document
            .plan_template(&empty)
            .unwrap_err()
            .to_string()
            .contains("`sets`")
    );
}

#[test]
fn every_document_is_filled_without_new_problems() {
    for (name, bytes) in documents() {
        let mut document = Document::parse(bytes).unwrap();
        if document.read_only_reason().is_some() {
            continue;
        }
        let all = rows(&document);
        for row in all.iter().take(60) {
            let media = match (&row.path, &row.words) {
                (Some(_), _) if row.kind == capcut_draft::ClipKind::Audio => {
                    values(&[(&*row.id, sound("/m/s.mp3", 1.0))], &[])
                }
                (Some(_), _) => values(&[(&*row.id, video("/m/v.mp4", 1.0))], &[]),
                (None, Some(_)) => values(&[], &[(&*row.id, "other words")]),
                (None, None) => continue,
            };
            let before = document.write();
            let problems = document.problems();
            match document.plan_template(&once(media)) {
                Ok(filled) => {
                    document.apply(&filled.step).unwrap();
                    assert_eq!(document.problems(), problems, "{name}: {}", row.id);
                    document.apply(&filled.step.inverse()).unwrap();
                }
                Err(error) => assert!(
                    matches!(
                        error.kind,
                        capcut_draft::ErrorKind::ReadOnly | capcut_draft::ErrorKind::Locked
                    ),
                    "{name}: {error}"
                ),
            }
            assert!(document.write() == before, "{name}: {}", row.id);
        }
    }
}
