//! Words of captions in the forms that versions of the apps store.

use capcut_draft::{CaptionWord, ClipRef, Document};
use serde_json::{Value, json};

/// Captions of these texts, times and words.
fn document(captions: &[(&str, Value, (i64, i64), Value)]) -> Document {
    let mut segments = Vec::new();
    let mut texts = Vec::new();
    for (index, (text, words, (start, duration), source)) in captions.iter().enumerate() {
        let id = format!("T{index}");
        segments.push(json!({ "id": format!("S{index}"), "material_id": id, "source_timerange": source,
            "target_timerange": { "start": start, "duration": duration }, "extra_material_refs": [] }));
        let content = json!({ "text": text, "styles": [] }).to_string();
        texts.push(json!({ "id": id, "type": "subtitle", "content": content, "words": words }));
    }
    let document = json!({ "id": "D", "duration": 0, "tracks": [{ "id": "K", "type": "text", "segments": segments }],
        "materials": { "texts": texts } });
    Document::parse(document.to_string()).expect("a document")
}

fn words(document: &Document, index: usize) -> Vec<(usize, usize, i64, i64)> {
    let clips: Vec<ClipRef> = document.all_clips().collect();
    let words = document.caption_words(clips[index]).into_iter();
    words
        .map(
            |CaptionWord {
                 from,
                 to,
                 start,
                 end,
             }| (from, to, start / 1000, end / 1000),
        )
        .collect()
}

#[test]
fn words_that_count_from_the_start_of_the_clip_are_read() {
    // CapCut 8.9: blanks are entries. CapCut 9.0: only words.
    let with_blanks = json!({ "text": ["One", " ", "two."], "start_time": [0, 400, 400], "end_time": [400, 400, 900] });
    let without =
        json!({ "text": ["One", "two."], "start_time": [0, 400], "end_time": [400, 900] });
    for words_of in [with_blanks, without] {
        let document = document(&[("One two.", words_of, (5_000_000, 1_000_000), Value::Null)]);
        assert_eq!(words(&document, 0), [(0, 3, 0, 400), (4, 8, 400, 900)]);
    }
}

#[test]
fn words_on_the_clock_of_the_sound_are_moved_to_their_clip() {
    let all = json!({ "text": ["a", "b", "c", "a", "d"], "start_time": [5000, 5500, 6000, 6500, 7000], "end_time": [5500, 6000, 6500, 7000, 7500] });
    // CapCut 3.8: whole, and split in three, each of which keeps all words.
    let source = |start: i64, duration: i64| json!({ "start": start, "duration": duration });
    let document = document(&[
        (
            "a b c a d",
            all.clone(),
            (5_000_000, 2_500_000),
            Value::Null,
        ),
        (
            "a b",
            all.clone(),
            (5_000_000, 1_000_000),
            source(5_000_000, 1_000_000),
        ),
        (
            "c",
            all.clone(),
            (6_000_000, 500_000),
            source(6_000_000, 500_000),
        ),
        ("a d", all.clone(), (8_000_000, 1_000_000), Value::Null),
        ("a b c a d", all, (20_000_000, 2_500_000), Value::Null),
    ]);
    let whole = [
        (0, 1, 0, 500),
        (2, 3, 500, 1000),
        (4, 5, 1000, 1500),
        (6, 7, 1500, 2000),
        (8, 9, 2000, 2500),
    ];
    assert_eq!(words(&document, 0), whole);
    assert_eq!(words(&document, 1), [(0, 1, 0, 500), (2, 3, 500, 1000)]);
    assert_eq!(words(&document, 2), [(0, 1, 0, 500)]);
    assert_eq!(words(&document, 3), [(0, 1, 0, 500), (2, 3, 500, 1000)]);
    assert_eq!(words(&document, 4), whole, "moved by hand");
}

#[test]
fn words_that_are_not_those_of_the_text_and_broken_lists_are_not_returned() {
    for words_of in [
        json!({ "text": ["other"], "start_time": [0], "end_time": [400] }),
        json!({ "text": ["One", "two"], "start_time": [0], "end_time": ["x"] }),
        json!({ "text": "One", "start_time": 0, "end_time": 0 }),
        json!([]),
        Value::Null,
    ] {
        let document = document(&[("One two", words_of, (0, 1_000_000), Value::Null)]);
        assert_eq!(words(&document, 0), []);
    }
    let huge = json!({ "text": ["One"], "start_time": [-1e300], "end_time": [1e300] });
    let document = document(&[("One", huge, (0, 1_000_000), Value::Null)]);
    let found = words(&document, 0);
    assert!(
        found.iter().all(|word| word.2 >= 0 && word.3 <= 1000),
        "{found:?}"
    );
}
