//! Transcripts of all services, and repairs of their times.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engine::subtitle::{Cue, parse as parse_any};

/// A transcript of the folder with the same five words in the shape of each service.
fn shape(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/field/transcripts");
    std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap()
}

fn cues(text: &str) -> Vec<Cue> {
    parse_any(text, &Grouping::default()).unwrap().cues
}

/// The words of captions with their times in milliseconds.
fn words(cues: &[Cue]) -> Vec<(String, i64, i64)> {
    let mut words = Vec::new();
    for cue in cues {
        let letters: Vec<char> = cue.text.chars().collect();
        for word in &cue.words {
            let text = letters[word.from as usize..word.to as usize]
                .iter()
                .collect();
            words.push((text, word.start.0 / 1000, word.end.0 / 1000));
        }
    }
    words
}

fn notes(text: &str) -> String {
    let read = parse_any(text, &Grouping::default()).unwrap();
    read.notes.lines(true).join("\n")
}

fn expected() -> Vec<(String, i64, i64)> {
    let expected: Value = serde_json::from_str(&shape("expected")).unwrap();
    let ms = |time: &Value| (time.as_f64().unwrap() * 1000.0).round() as i64;
    let words = expected["words"].as_array().unwrap().iter();
    words
        .map(|word| {
            let text = word["text"].as_str().unwrap().to_owned();
            (text, ms(&word["start"]), ms(&word["end"]))
        })
        .collect()
}

#[test]
fn every_shape_gives_the_words_with_their_exact_times() {
    for name in [
        "assemblyai",
        "azure-detailed",
        "capcut-words",
        "deepgram",
        "edge-tts-lines",
        "elevenlabs-tts",
        "faster-whisper",
        "openai-verbose",
        "volcengine-asr",
        "whisper-cli",
        "whisper-cpp-full",
        "whisperx",
        "expected",
    ] {
        let read = cues(&shape(name));
        assert_eq!(read.len(), 1, "{name}");
        let mut own = words(&read);
        let mut expected = expected();
        if name == "edge-tts-lines" {
            expected[4].0 = "here".to_owned();
        }
        if name == "whisperx" {
            // It has no time, and is placed between its neighbours.
            assert_eq!((own[3].1, own[3].2), (1050, 1320));
            (own[3].1, own[3].2) = (1200, 1320);
            assert!(
                notes(&shape(name)).contains("word 4 \"is\": estimated"),
                "{}",
                notes(&shape(name))
            );
        } else {
            assert_eq!(notes(&shape(name)), "", "{name}");
        }
        assert_eq!(own, expected, "{name}");
        assert_eq!(
            read[0].text,
            expected
                .iter()
                .map(|word| word.0.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            "{name}"
        );
        assert_eq!(read[0].range.start, Micros(100_000), "{name}");
    }
}

#[test]
fn shapes_without_examples_in_files_are_read() {
    let five = expected();
    let aws: Vec<Value> = five
        .iter()
        .flat_map(|(text, start, end)| {
            let word = json!({ "type": "pronunciation", "start_time": format!("{}", *start as f64 / 1e3),
                "end_time": format!("{}", *end as f64 / 1e3), "alternatives": [{ "content": text.trim_end_matches('.') }] });
            let mark = json!({ "type": "punctuation", "alternatives": [{ "content": "." }] });
            if text.ends_with('.') { vec![word, mark] } else { vec![word] }
        })
        .collect();
    let stt: Vec<Value> = five
        .iter()
        .flat_map(|(text, start, end)| {
            let at = |ms: i64| ms as f64 / 1e3;
            [
                json!({ "text": text, "type": "word", "start": at(*start), "end": at(*end) }),
                json!({ "text": " ", "type": "spacing", "start": at(*end), "end": at(*end) }),
            ]
        })
        .chain([json!({ "text": "(laughs)", "type": "audio_event", "start": 1.8, "end": 2.0 })])
        .collect();
    let ticks = |ms: i64| ms * 10_000;
    let azure: Vec<Value> = five
        .iter()
        .map(|(text, start, end)| json!({ "displayText": text, "offsetInTicks": ticks(*start), "durationInTicks": ticks(end - start) }))
        .collect();
    let metadata: Vec<Value> = five
        .iter()
        .map(|(text, start, end)| json!({ "Type": "WordBoundary", "Data": { "Offset": ticks(*start), "Duration": ticks(end - start),
            "text": { "Text": text, "Length": 3, "BoundaryType": "WordBoundary" } } }))
        .collect();
    let lines: Vec<String> = five
        .iter()
        .map(|(text, start, end)| json!({ "type": "WordBoundary", "offset": ticks(*start), "duration": ticks(end - start), "text": text }).to_string())
        .collect();
    let google: Vec<Value> = five
        .iter()
        .map(|(text, start, end)| json!({ "word": text, "startTime": format!("{}s", *start as f64 / 1e3), "endTime": format!("{}s", *end as f64 / 1e3) }))
        .collect();
    for (name, text) in [
        ("aws", json!({ "jobName": "a", "results": { "transcripts": [{ "transcript": "x" }], "items": aws } }).to_string()),
        ("elevenlabs", json!({ "language_code": "eng", "text": "x", "words": stt }).to_string()),
        ("azure batch", json!({ "recognizedPhrases": [{ "nBest": [{ "display": "x", "displayWords": azure }] }] }).to_string()),
        ("edge service", json!({ "Metadata": metadata }).to_string()),
        ("edge lines", lines.join("\n")),
        ("google", json!({ "results": [{ "alternatives": [{ "transcript": "x", "words": google }] }] }).to_string()),
        ("volcengine list", {
            let one: Value = serde_json::from_str(&shape("volcengine-asr")).unwrap();
            json!({ "result": [one["result"]] }).to_string()
        }),
    ] {
        assert_eq!(words(&cues(&text)), five, "{name}");
    }
}

#[test]
fn phrases_without_words_are_spread_over_their_times() {
    let text = json!({ "segments": [
        { "start": 1.0, "end": 2.0, "text": " Hello there." },
        { "start": 3.0, "end": 4.0, "text": "你好世界。" },
    ]})
    .to_string();
    let read = cues(&text);
    assert_eq!(
        read.iter().map(|cue| cue.text.as_str()).collect::<Vec<_>>(),
        ["Hello there.", "你好世界。"]
    );
    assert_eq!(
        (read[0].range.start, read[1].range.start),
        (Micros(1_000_000), Micros(3_000_000))
    );
    assert_eq!(words(&read).len(), 6);
    assert!(notes(&text).contains("estimated: it was placed within the time of its phrase"));
}

fn of(words: &[(&str, f64, f64)]) -> String {
    let words: Vec<Value> = words
        .iter()
        .map(|(word, start, end)| json!({ "word": word, "start": start, "end": end }))
        .collect();
    json!({ "words": words }).to_string()
}

#[test]
fn times_that_cannot_be_right_are_repaired_and_the_notes_name_the_word() {
    let check = |words_given: &[(&str, f64, f64)], expected: &[(i64, i64)], told: &str| {
        let text = of(words_given);
        let times: Vec<(i64, i64)> = words(&cues(&text))
            .into_iter()
            .map(|(_, start, end)| (start, end))
            .collect();
        assert_eq!(times, expected, "{words_given:?}");
        assert!(notes(&text).contains(told), "{told}: {}", notes(&text));
    };
    // Backwards: the one that is out of order, whether it is too early or too late.
    check(
        &[
            ("a", 1.0, 1.2),
            ("b", 0.1, 0.3),
            ("c", 1.6, 1.8),
            ("d", 1.8, 2.0),
        ],
        &[(1000, 1200), (1200, 1600), (1600, 1800), (1800, 2000)],
        "word 2 \"b\": its time ran backwards",
    );
    check(
        &[
            ("a", 1.0, 1.2),
            ("b", 9.0, 9.3),
            ("c", 1.6, 1.8),
            ("d", 1.8, 2.0),
        ],
        &[(1000, 1200), (1200, 1600), (1600, 1800), (1800, 2000)],
        "word 2 \"b\": its time ran backwards",
    );
    // No length.
    let text = of(&[
        ("aaa", 1.0, 1.2),
        ("bbb", 1.2, 1.2),
        ("ccc", 1.6, 1.8),
        ("ddd", 1.8, 2.0),
    ]);
    let read = words(&cues(&text));
    assert_eq!(read[1].1, 1200);
    assert!(read[1].2 > 1250 && read[1].2 <= 1600, "{read:?}");
    assert!(notes(&text).contains("word 2 \"bbb\": had no length"));
    // The times of the phrase for each word.
    let text = of(&[("one", 1.0, 3.0), ("two", 1.0, 3.0), ("six", 1.0, 3.0)]);
    let read = words(&cues(&text));
    assert_eq!((read[0].1, read[2].2), (1000, 3000));
    assert!((1600..1700).contains(&read[1].1), "{read:?}");
    assert!(
        notes(&text)
            .contains("words 1 \"one\", 2 \"two\" and 3 \"six\": had the time of its whole phrase")
    );
    // Pulled into the silence before it.
    let text = of(&[
        ("Well", 0.0, 5.3),
        ("then", 5.3, 5.6),
        ("let", 5.6, 5.8),
        ("us", 5.8, 6.0),
        ("go", 6.0, 6.2),
    ]);
    let read = words(&cues(&text));
    assert!(
        (4700..5200).contains(&read[0].1) && read[0].2 == 5300,
        "{read:?}"
    );
    assert!(notes(&text).contains("word 1 \"Well\": began in the silence"));
}

#[test]
fn captions_keep_to_the_limits_for_their_script() {
    let english: Vec<Value> = (0..60)
        .map(|index| json!({ "word": format!("word{index}"), "start": 0.4 * f64::from(index), "end": 0.4 * f64::from(index) + 0.35 }))
        .collect();
    let chinese: Vec<Value> = "今天我们来看看新的手表它有很多功能而且电池可以用七天大家都说很好用非常推荐"
        .chars()
        .enumerate()
        .map(|(index, letter)| json!({ "word": letter.to_string(), "start": 0.25 * index as f64, "end": 0.25 * index as f64 + 0.25 }))
        .collect();
    for (words_given, line, rate, is_joined) in
        [(english, 42, 17.0, false), (chinese, 18, 8.0, true)]
    {
        let text = json!({ "words": words_given }).to_string();
        let read = cues(&text);
        assert!(read.len() > 1);
        let mut end = Micros::ZERO;
        for cue in &read {
            assert!(cue.text.chars().count() <= line, "{}", cue.text);
            assert_eq!(cue.text.contains(' '), !is_joined);
            assert!(cue.text.chars().count() as f64 / cue.range.duration.seconds() <= rate * 1.2);
            // No gap between captions without a pause.
            assert!(end == Micros::ZERO || cue.range.start == end, "{read:?}");
            end = cue.range.end();
        }
        assert_eq!(words(&read).len(), words_given.len());
        // Captions of about the same length.
        let lengths: Vec<usize> = read.iter().map(|cue| cue.text.chars().count()).collect();
        assert!(
            lengths.iter().min().unwrap() * 3 > *lengths.iter().max().unwrap(),
            "{lengths:?}"
        );
    }
}

#[test]
fn every_limit_can_be_set() {
    let words_given: Vec<Value> = (0..40)
        .map(|index| json!({ "word": format!("word{index}"), "start": 0.5 * f64::from(index), "end": 0.5 * f64::from(index) + 0.1 }))
        .collect();
    let text = json!({ "words": words_given }).to_string();
    let read = |grouping: Value| {
        let grouping: Grouping = serde_json::from_value(grouping).unwrap();
        parse_any(&text, &grouping).unwrap()
    };
    let longest = |cues: &[Cue]| {
        let lines = cues
            .iter()
            .flat_map(|cue| cue.text.split('\n').map(|line| line.chars().count()));
        lines.max().unwrap()
    };
    assert!(longest(&read(json!({ "max_chars": 15 })).cues) <= 15);
    let two = read(json!({ "max_lines": 2 })).cues;
    assert!(two.iter().any(|cue| cue.text.contains('\n')) && longest(&two) <= 42);
    assert!(
        read(json!({ "max_words": 1 }))
            .cues
            .iter()
            .all(|cue| cue.words.len() == 1)
    );
    assert_eq!(
        read(json!({ "pause": 0.3 })).cues.len(),
        40,
        "0.4 s between words"
    );
    let gaps = read(json!({ "pause": 0.3, "gap": 0, "chars_per_second": 100 })).cues;
    assert!(
        gaps[..39]
            .iter()
            .all(|cue| cue.range.duration <= Micros(500_000))
    );
    let slow = read(json!({ "chars_per_second": 2 }));
    assert!(
        slow.notes
            .lines(true)
            .join("\n")
            .contains("faster to read than 2 characters a second")
    );
    let wrong: Grouping = serde_json::from_value(json!({ "max_chars": 0, "pause": 90 })).unwrap();
    let error = wrong.checked().unwrap_err().message;
    assert!(
        error.contains("`grouping.max_chars` is 0") && error.contains("`grouping.pause` is 90"),
        "{error}"
    );
}

#[test]
fn captions_end_at_sentences_and_long_words_are_divided() {
    let text = of(&[
        ("Stop.", 0.0, 0.3),
        ("Go", 0.3, 0.5),
        ("Mr.", 0.5, 0.7),
        ("Li!", 0.7, 0.9),
    ]);
    let texts: Vec<String> = cues(&text).into_iter().map(|cue| cue.text).collect();
    assert_eq!(texts, ["Stop.", "Go Mr. Li!"]);
    let long = "x".repeat(100);
    let read = cues(&of(&[(long.as_str(), 0.0, 9.0)]));
    assert!(read.len() == 3 && read.iter().all(|cue| cue.text.chars().count() <= 42));
}

#[test]
fn json_that_is_no_transcript_is_an_error_with_its_keys() {
    for (text, parts) in [
        (
            "{\"name\": \"x\", \"list\": [1]}",
            ["name, list", "not a known transcript"],
        ),
        ("{\"segments\": [", ["line 1", "not valid JSON"]),
        (
            "{\"words\": [{\"word\": \"a\"}, {\"word\": \"b\"}]}",
            ["no word", "has a time"],
        ),
        ("[{\"text\": 5}]", ["not a known transcript", "text"]),
    ] {
        let error = parse_any(text, &Grouping::default()).unwrap_err();
        assert!(
            parts.iter().all(|part| error.message.contains(part)),
            "{error}"
        );
        assert!(error.hint.is_some());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("words".to_owned()),
        Just("segments".to_owned()),
        Just("text".to_owned()),
        Just("word".to_owned()),
        Just("start".to_owned()),
        Just("end".to_owned()),
        Just("start_time".to_owned()),
        Just("end_time".to_owned()),
        Just("results".to_owned()),
        Just("items".to_owned()),
        Just("alternatives".to_owned()),
        Just("channels".to_owned()),
        Just("offset".to_owned()),
        Just("duration".to_owned()),
        Just("offsets".to_owned()),
        Just("from".to_owned()),
        Just("to".to_owned()),
        Just("transcription".to_owned()),
        Just("tokens".to_owned()),
        Just("NBest".to_owned()),
        Just("Words".to_owned()),
        Just("characters".to_owned()),
        Just("character_start_times_seconds".to_owned()),
        Just("character_end_times_seconds".to_owned()),
        Just("result".to_owned()),
        Just("utterances".to_owned()),
        Just("type".to_owned()),
        Just("content".to_owned()),
        "[a-z]{0,4}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        (0..4000_i64).prop_map(Value::from),
        (0.0..9.0).prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
        "[ a-zA-Z,.!你好。\u{301}]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 96, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Words with any times.
fn any_words() -> impl Strategy<Value = Value> {
    let time = || {
        prop_oneof![
            Just(Value::Null),
            (0.0..20.0).prop_map(|number| json!(number)),
            Just(json!(3.0))
        ]
    };
    let word = ("[ a-z你好,.]{0,12}", time(), time());
    prop::collection::vec(word, 1..30).prop_map(|words| {
        let words = words.into_iter();
        words
            .map(|(word, start, end)| json!({ "word": word, "start": start, "end": end }))
            .collect::<Vec<_>>()
            .into()
    })
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(value in prop_oneof![any_json(), any_words().prop_map(|words| json!({ "words": words }))]) {
        let text = value.to_string();
        for grouping in [
            Grouping::default(),
            Grouping { max_lines: Some(2.0), max_chars: Some(5.0), ..Grouping::default() },
        ] {
            let Ok(read) = parse_any(&text, &grouping) else { continue };
            let mut at = Micros::ZERO;
            for cue in &read.cues {
                prop_assert!(cue.range.start >= at && cue.range.duration > Micros::ZERO, "{:?}", read.cues);
                at = cue.range.start;
                let count = cue.text.chars().count() as u32;
                let (mut done, mut start) = (0, Micros::ZERO);
                for word in &cue.words {
                    prop_assert!(done <= word.from && word.from < word.to && word.to <= count);
                    prop_assert!(start <= word.start && word.start < word.end, "{:?}", cue.words);
                    (done, start) = (word.to, word.start);
                }
            }
            if let Ok(laid) = read.laid(Micros(-1_500_000)) {
                for cue in laid.lanes.iter().flatten() {
                    for word in cue.own_words() {
                        prop_assert!(word.start >= Micros::ZERO && word.end <= cue.range.duration);
                    }
                }
            }
        }
    }
}
