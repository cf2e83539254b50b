//! What is heard: `analyze_audio`, and music that is lowered under the speech of a voice.

use std::f64::consts::PI;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::drafts::{clips, created, document, edited, keyframes, of_clip, text};
use crate::support::{Client, Home, media};

/// Samples a second.
pub(crate) const RATE: u32 = 16_000;

/// A WAV with a tone in each span, in seconds, above a little noise.
pub(crate) fn voice(home: &Home, name: &str, spans: &[(f64, f64)], seconds: f64) -> PathBuf {
    let mut state = 9_u32;
    let samples = (0..(seconds * f64::from(RATE)) as u32).map(|index| {
        let time = f64::from(index) / f64::from(RATE);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state >> 16) / 65_536.0 - 0.5;
        let is_spoken = spans
            .iter()
            .any(|(start, end)| (*start..*end).contains(&time));
        let tone = if is_spoken {
            0.5 * (2.0 * PI * 300.0 * time).sin()
        } else {
            0.0
        };
        ((tone + 0.002 * noise) * 32_767.0) as i16
    });
    wave(home, name, &samples.collect::<Vec<_>>())
}

pub(crate) fn wave(home: &Home, name: &str, samples: &[i16]) -> PathBuf {
    let size = samples.len() as u32 * 2;
    let mut bytes = Vec::from(*b"RIFF");
    bytes.extend((36 + size).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((RATE * 2).to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(size.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    home.file(name, bytes)
}

pub(crate) fn pairs(value: &Value) -> Vec<(f64, f64)> {
    let rows = value.as_array().expect("a list").iter();
    rows.map(|row| {
        (
            row[0].as_f64().expect("a time"),
            row[1].as_f64().expect("a time"),
        )
    })
    .collect()
}

pub(crate) fn is_near(found: &[(f64, f64)], truth: &[(f64, f64)], tolerance: f64) -> bool {
    found.len() == truth.len()
        && found
            .iter()
            .zip(truth)
            .all(|(a, b)| (a.0 - b.0).abs() <= tolerance && (a.1 - b.1).abs() <= tolerance)
}

#[test]
fn a_file_is_analysed_once_by_its_content() {
    let home = Home::embedded();
    let mut client = home.connected();
    let spans = [(1.0, 2.5), (3.0, 4.0), (5.5, 6.0)];
    let file = voice(&home, "voice.wav", &spans, 7.0);
    let ask = |client: &mut Client, arguments: Value| client.call("analyze_audio", arguments);
    let found = ask(
        &mut client,
        json!({ "source": text(&file), "what": ["speech", "silence", "loudness"] }),
    )
    .expect("an analysis");
    assert!(is_near(&pairs(&found["speech"]), &spans, 0.03), "{found}");
    let silence = [(0.0, 1.0), (2.5, 3.0), (4.0, 5.5), (6.0, 7.0)];
    assert!(
        is_near(&pairs(&found["silence"]), &silence, 0.03),
        "{found}"
    );
    let lufs = found["loudness"]["lufs"].as_f64().expect("LUFS");
    assert!((-15.0..-5.0).contains(&lufs), "{found}");
    assert!(
        found["beats"].is_null() && found["codec"] == "PCM",
        "{found}"
    );
    // The same content under another name, and a part of it.
    let copy = home.file("copy.bin", fs::read(&file).expect("a file"));
    let part = ask(
        &mut client,
        json!({ "path": text(&copy), "what": ["speech"], "start": 2, "end": 3.5 }),
    )
    .expect("an analysis");
    assert!(
        is_near(&pairs(&part["speech"]), &[(2.0, 2.5), (3.0, 3.5)], 0.03),
        "{part}"
    );
    let kept = || {
        fs::read_dir(home.data().join("sound"))
            .expect("a folder")
            .count()
    };
    assert_eq!(kept(), 1);
    // Other content under the same name.
    voice(&home, "voice.wav", &spans[1..], 7.0);
    let found = ask(
        &mut client,
        json!({ "source": text(&file), "what": ["speech"] }),
    )
    .expect("an analysis");
    assert!(
        is_near(&pairs(&found["speech"]), &spans[1..], 0.03),
        "{found}"
    );
    assert_eq!(kept(), 2);
    // A damaged result is replaced.
    for entry in fs::read_dir(home.data().join("sound"))
        .expect("a folder")
        .flatten()
    {
        fs::write(entry.path(), "{").expect("it is damaged");
    }
    let again = ask(
        &mut client,
        json!({ "source": text(&file), "what": ["speech"] }),
    )
    .expect("an analysis");
    assert_eq!(again["speech"], found["speech"]);
}

#[test]
fn what_cannot_be_heard_is_named() {
    let home = Home::embedded();
    let mut client = home.connected();
    let silent = wave(&home, "silent.wav", &vec![0; 32_000]);
    let found = client
        .call("analyze_audio", json!({ "source": text(&silent) }))
        .expect("an analysis");
    assert_eq!(found["silence"], json!([[0.0, 2.0]]), "{found}");
    assert!(
        found["notes"].to_string().contains("silent.wav is silent"),
        "{found}"
    );
    assert!(found["loudness"]["lufs"].is_null(), "{found}");
    let noise: Vec<i16> = (0..64_000_i32)
        .map(|n| (n.wrapping_mul(7_919) % 4_001 - 2_000) as i16)
        .collect();
    let noise = wave(&home, "noise.wav", &noise);
    let found = client
        .call(
            "analyze_audio",
            json!({ "source": text(&noise), "what": ["speech"] }),
        )
        .expect("an analysis");
    assert!(
        found["notes"]
            .to_string()
            .contains("noise.wav has no speech of 0.3 s or more"),
        "{found}"
    );
    let mut refused = |source: &str, expected: &str| {
        let error = client
            .call("analyze_audio", json!({ "source": source }))
            .expect_err("an error");
        assert!(error.contains(expected), "{source}: {error}");
    };
    refused(text(&media("picture.jpg")), "contains no sound");
    refused("/absent/voice.mp3", "/absent/voice.mp3");
    refused("", "`source` is empty");
    let whole = fs::read(media("music.mp3")).expect("a file");
    let cut = home.file("text.mp3", "this is no sound, whatever its name says");
    refused(text(&cut), "text.mp3");
    let cut = home.file("cut.mp3", &whole[..whole.len() / 2]);
    let error = client.call("analyze_audio", json!({ "source": text(&cut) }));
    // A length that the file does not state cannot be missed.
    assert!(error.is_ok() || error.is_err_and(|error| error.contains("cut.mp3")));
}

/// Where a clip is lowered, in seconds of its keyframes.
pub(crate) fn lowered(clip: &Value, least: f64) -> Vec<(f64, f64)> {
    let points = keyframes(clip, "KFTypeVolume");
    let point = |point: &Value| {
        (
            point["time_offset"].as_f64().expect("a time") / 1e6,
            point["values"][0].as_f64().expect("a value"),
        )
    };
    let points: Vec<(f64, f64)> = points.iter().map(point).collect();
    points
        .windows(2)
        .filter(|pair| pair[0].1 <= least && pair[1].1 <= least)
        .map(|pair| (pair[0].0, pair[1].0))
        .collect()
}

pub(crate) fn music_of(document: &Value) -> Value {
    let own = clips(document)
        .into_iter()
        .find(|clip| !keyframes(clip, "KFTypeVolume").is_empty());
    own.expect("a clip with loudness over time")
}

pub(crate) const SPOKEN: [(f64, f64); 4] = [(0.5, 1.5), (3.0, 4.0), (6.0, 8.0), (11.0, 11.5)];

/// [`SPOKEN`] as a clip that takes the file from a time at a speed, placed on the timeline.
fn on_timeline(start: f64, from: f64, to: f64, speed: f64) -> Vec<(f64, f64)> {
    let shown = |time: f64| start + (time.clamp(from, to) - from) / speed;
    let spans = SPOKEN.iter().map(|(a, b)| (shown(*a), shown(*b)));
    spans.filter(|(a, b)| b > a).collect()
}

#[test]
fn music_is_lowered_under_the_speech_of_trimmed_moved_and_fast_voices() {
    let home = Home::embedded();
    let mut client = home.connected();
    let voice = voice(&home, "talk.wav", &SPOKEN, 12.0);
    let music = voice_like_music(&home);
    for (at, from, to, speed) in [
        (0.0, 0.0, 12.0, 1.0),
        (2.0, 3.4, 9.0, 1.0),
        (1.0, 2.0, 12.0, 2.0),
        (1.5, 0.0, 8.5, 0.5),
    ] {
        let draft = created(&mut client, json!({}));
        for (tool, arguments) in [
            (
                "add_audio",
                json!({ "audio_url": text(&music), "volume": 0.8, "track_name": "music" }),
            ),
            (
                "add_audio",
                json!({ "audio_url": text(&voice), "track_name": "voice", "target_start": at, "start": from, "end": to, "speed": speed }),
            ),
        ] {
            let mut arguments = arguments;
            arguments["draft_id"] = draft.as_str().into();
            client.call(tool, arguments).expect("a clip");
        }
        let reply = edited(
            &mut client,
            &draft,
            json!([{ "op": "duck", "clip": "music", "under": "voice", "by_db": -12, "fade": 0.1 }]),
        )
        .expect("edited");
        let clip = music_of(&document(&mut client, &draft));
        let truth = on_timeline(at, from, to, speed);
        let found = lowered(&clip, 0.8 * 0.26);
        assert!(
            is_near(&found, &truth, 0.06),
            "{at} {from} {to} {speed}: {found:?} {truth:?} {reply}"
        );
        let said = reply["changes"].to_string();
        assert!(said.contains("at 25 % of its loudness under"), "{said}");
        // The same from a plan.
        let plan = json!({
            "audio": [
                { "audio_url": text(&music), "volume": 0.8, "track_name": "music", "duck": { "under": ["voice"], "by_db": -12, "fade": 0.1 } },
                { "id": "voice", "audio_url": text(&voice), "track_name": "talk", "target_start": at, "start": from, "end": to, "speed": speed },
            ],
            "save": false,
        });
        let made = client
            .call("compose_draft", json!({ "plan": plan, "detail": "all" }))
            .expect("a draft");
        let draft = made["draft_id"].as_str().expect("an id").to_owned();
        let found = lowered(&music_of(&document(&mut client, &draft)), 0.8 * 0.26);
        assert!(
            is_near(&found, &truth, 0.06),
            "plan {at} {from} {to} {speed}: {found:?} {truth:?} {made}"
        );
        assert!(
            made.to_string().contains("at 25 % of its loudness at"),
            "{made}"
        );
    }
}

/// Thirty seconds of a steady tone.
pub(crate) fn voice_like_music(home: &Home) -> PathBuf {
    voice(home, "music.wav", &[(0.0, 30.0)], 30.0)
}

#[test]
fn a_looped_voice_and_a_curve_of_loudness_are_followed() {
    let home = Home::embedded();
    let mut client = home.connected();
    let spoken = [(0.5, 1.5)];
    let voice = voice(&home, "short.wav", &spoken, 3.0);
    let music = voice_like_music(&home);
    let plan = json!({
        "visuals": [{ "image_url": media("picture.jpg"), "duration": 9 }],
        "audio": [
            { "audio_url": text(&music), "end": 9, "track_name": "music", "duck": { "to": 0.5, "fade": 0.2 },
                "volume_curve": [{ "at": 0, "value": 1 }, { "at": 9, "value": 0.1 }] },
            { "audio_url": text(&voice), "track_name": "voice", "loop": true },
        ],
        "save": false,
    });
    let made = client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("a draft");
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    let clip = music_of(&document(&mut client, &draft));
    let points: Vec<(f64, f64)> = keyframes(&clip, "KFTypeVolume")
        .iter()
        .map(|point| {
            (
                point["time_offset"].as_f64().expect("a time") / 1e6,
                point["values"][0].as_f64().expect("a value"),
            )
        })
        .collect();
    for start in [0.5, 3.5, 6.5] {
        let own = 1.0 - 0.9 * start / 9.0;
        let is_there = points
            .iter()
            .any(|(time, value)| (time - start).abs() <= 0.06 && (value - own / 2.0).abs() < 0.02);
        assert!(is_there, "{start}: {points:?}");
    }
    assert!(
        points.first().is_some_and(|point| *point == (0.0, 1.0)),
        "{points:?}"
    );
}

#[test]
fn a_voice_without_speech_is_an_error_that_names_the_file() {
    let home = Home::embedded();
    let mut client = home.connected();
    let silent = wave(&home, "silent.wav", &vec![0; 32_000]);
    let music = voice_like_music(&home);
    let draft = created(&mut client, json!({}));
    for (file, track, at) in [(&music, "music", 0.0), (&silent, "voice", 4.0)] {
        let arguments = json!({ "draft_id": draft, "audio_url": text(file), "track_name": track, "target_start": at });
        client.call("add_audio", arguments).expect("a clip");
    }
    let duck = json!([{ "op": "duck", "clip": "music", "under": "voice" }]);
    let error = edited(&mut client, &draft, duck).expect_err("an error");
    assert!(
        error.contains("operations[0]") && error.contains("silent.wav is silent"),
        "{error}"
    );
    let plan = json!({
        "audio": [
            { "audio_url": text(&music), "track_name": "music", "duck": true },
            { "audio_url": text(&silent), "track_name": "voice" },
        ],
        "save": false,
    });
    let made = client
        .call("compose_draft", json!({ "plan": plan, "detail": "all" }))
        .expect("a report");
    let rows = made["report"]["items"].as_array().expect("rows");
    let status: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["status"].as_str())
        .collect();
    assert_eq!(status, ["failed", "ok"], "{made}");
    assert!(
        rows[0]["error"]
            .to_string()
            .contains("silent.wav is silent"),
        "{made}"
    );
}

/// A voice that speaks the sentences, with pauses of this many seconds between them; and when each sentence is spoken.
fn spoken(
    home: &Home,
    name: &str,
    language: &str,
    sentences: &[&str],
) -> (PathBuf, Vec<(f64, f64)>) {
    let mut samples: Vec<i16> = vec![0; RATE as usize / 2];
    let mut spans = Vec::new();
    for (index, sentence) in sentences.iter().enumerate() {
        let file = home.path().join(format!("{name}.{index}.wav"));
        let made = Command::new("espeak-ng")
            .args(["-v", language, "-w"])
            .args([file.as_os_str(), sentence.as_ref()])
            .status();
        assert!(made.is_ok_and(|status| status.success()), "espeak-ng");
        let bytes = fs::read(&file).expect("a voice");
        let rate = u32::from_le_bytes(bytes[24..28].try_into().expect("a rate"));
        let read: Vec<i16> = bytes[44..]
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let count = read.len() as u64 * u64::from(RATE) / u64::from(rate);
        let voice: Vec<i16> = (0..count)
            .map(|at| read[(at * u64::from(rate) / u64::from(RATE)) as usize])
            .collect();
        let loud = |sample: &i16| sample.unsigned_abs() > 300;
        let first = voice.iter().position(loud).expect("a voice");
        let last = voice.iter().rposition(loud).expect("a voice");
        let start = samples.len();
        samples.extend(&voice[first..=last]);
        spans.push((
            start as f64 / f64::from(RATE),
            samples.len() as f64 / f64::from(RATE),
        ));
        samples.extend(vec![0; RATE as usize * 4 / 5]);
    }
    (wave(home, name, &samples), spans)
}

/// The texts of a document with their words: start and end of each on the timeline, in seconds.
pub(crate) fn words_of(document: &Value) -> Vec<(String, Vec<(f64, f64)>)> {
    let mut captions: Vec<(i64, String, Vec<(f64, f64)>)> = clips(document)
        .iter()
        .filter_map(|clip| {
            let text = of_clip(document, clip, "texts").into_iter().next()?;
            let content: Value = serde_json::from_str(text["content"].as_str()?).ok()?;
            let start = clip["target_timerange"]["start"].as_i64()?;
            let times = |key: &str| -> Vec<f64> {
                let times = text["words"][key].as_array().into_iter().flatten();
                times
                    .filter_map(Value::as_f64)
                    .map(|time| time / 1e3 + start as f64 / 1e6)
                    .collect()
            };
            let texts = text["words"]["text"].as_array().into_iter().flatten();
            let is_word: Vec<bool> = texts
                .map(|word| word.as_str().is_some_and(|word| !word.trim().is_empty()))
                .collect();
            let words = times("start_time").into_iter().zip(times("end_time"));
            let words = words.zip(is_word).filter(|(_, is_word)| *is_word);
            let shown = content["text"].as_str()?.to_owned();
            Some((start, shown, words.map(|(times, _)| times).collect()))
        })
        .collect();
    captions.sort_by_key(|(start, ..)| *start);
    captions
        .into_iter()
        .map(|(_, text, words)| (text, words))
        .collect()
}

pub(crate) fn composed(client: &mut Client, plan: &Value) -> (Value, Value) {
    let made = client
        .call("compose_draft", json!({ "plan": plan, "detail": "all" }))
        .unwrap_or_else(|error| panic!("{plan}: {error}"));
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    (document(client, &draft), made)
}

#[test]
fn a_script_is_placed_on_the_speech_of_a_voice() {
    let english = [
        "The quick brown fox jumps over the lazy dog.",
        "Then it sleeps.",
        "Tomorrow we will see it again, if the weather stays fine.",
    ];
    let chinese = ["今天我们去公园。", "天气很好，大家都很高兴。"];
    for (edition, language, sentences) in [
        ("capcut", "en", english.as_slice()),
        ("jianying", "cmn", chinese.as_slice()),
    ] {
        let mut home = Home::embedded();
        home.set("CAPCUT_MCP_EDITION", edition);
        let mut client = home.connected();
        let (voice, spans) = spoken(&home, "voice.wav", language, sentences);
        // Whole; trimmed to the sentences after the first, moved, faster; and the same with all words.
        let from = f64::midpoint(spans[0].1, spans[1].0);
        let part = sentences[1..].join(" ");
        let all = sentences.join(" ");
        for (at, from, speed, script, skipped) in [
            (0.0, 0.0, 1.0, json!(all), 0),
            (2.0, from, 1.5, json!(part), 1),
            (3.0, from, 1.0, json!(all), 1),
            (0.0, 0.0, 1.0, json!(sentences), 0),
        ] {
            let plan = json!({
                "audio": [{ "id": "voice", "audio_url": text(&voice), "target_start": at, "start": from, "speed": speed }],
                "subtitles": [{ "script": script, "align_to": "voice", "karaoke": { "color": "#FFD400" } }],
                "save": false,
            });
            let (document, made) = composed(&mut client, &plan);
            let captions = words_of(&document);
            let shown = |time: f64| at + (time - from) / speed;
            let truth: Vec<(f64, f64)> = spans[skipped..]
                .iter()
                .map(|(start, end)| (shown(*start), shown(*end)))
                .collect();
            let words: Vec<(f64, f64)> = captions
                .iter()
                .flat_map(|(_, words)| words.clone())
                .collect();
            assert!(words.len() >= 4, "{captions:?}");
            for (start, end) in &words {
                let is_spoken = truth
                    .iter()
                    .any(|span| *start >= span.0 - 0.06 && *end <= span.1 + 0.06);
                assert!(
                    is_spoken,
                    "{edition} {at} {speed}: {start}–{end} {truth:?} {captions:?}"
                );
            }
            // Sentences begin and end with their speech.
            for (start, end) in &truth {
                let near = |of: f64, times: &dyn Fn(&(f64, f64)) -> f64| {
                    words.iter().any(|word| (times(word) - of).abs() <= 0.06)
                };
                assert!(
                    near(*start, &|word| word.0) && near(*end, &|word| word.1),
                    "{edition} {at} {speed}: {start}–{end} {captions:?}"
                );
            }
            let said = made.to_string();
            assert!(
                said.contains("are estimated") && said.contains("voice.wav"),
                "{said}"
            );
            if script.is_array() {
                let texts: Vec<&str> = captions.iter().map(|(text, _)| text.as_str()).collect();
                assert_eq!(texts.concat().replace(' ', ""), all.replace(' ', ""));
                assert!(texts.contains(&sentences[1]), "{texts:?}");
            }
        }
    }
}

#[test]
fn words_stay_exact_on_trimmed_fast_and_looped_voices() {
    let home = Home::embedded();
    let mut client = home.connected();
    let voice = voice(&home, "talk.wav", &SPOKEN, 12.0);
    let words = json!([
        { "text": "one", "start": 0.5, "end": 0.9 }, { "text": "two", "start": 3.1, "end": 3.5 },
        { "text": "three", "start": 6.25, "end": 7.0 }, { "text": "four", "start": 11.1, "end": 11.4 },
    ]);
    let mut check = |voice: Value, visuals: Value, expected: &[(f64, f64)]| {
        let plan = json!({
            "visuals": visuals, "audio": [voice], "save": false,
            "subtitles": [{ "words": words.to_string(), "align_to": "voice", "preset": "highlight" }],
        });
        let (document, made) = composed(&mut client, &plan);
        let found: Vec<(f64, f64)> = words_of(&document)
            .into_iter()
            .flat_map(|(_, words)| words)
            .collect();
        assert!(
            is_near(&found, expected, 0.001_5),
            "{found:?} {expected:?} {made}"
        );
    };
    let file = text(&voice);
    check(
        json!({ "id": "voice", "audio_url": file, "target_start": 2, "start": 3, "end": 9 }),
        json!([]),
        &[(2.1, 2.5), (5.25, 6.0)],
    );
    check(
        json!({ "id": "voice", "audio_url": file, "target_start": 1, "start": 2, "speed": 2 }),
        json!([]),
        &[(1.55, 1.75), (3.125, 3.5), (5.55, 5.7)],
    );
    check(
        json!({ "id": "voice", "audio_url": file, "end": 4, "loop": true }),
        json!([{ "image_url": media("picture.jpg"), "duration": 7 }]),
        &[(0.5, 0.9), (3.1, 3.5), (4.5, 4.9)],
    );
}

#[test]
fn what_a_script_cannot_be_placed_on_is_named() {
    let home = Home::embedded();
    let mut client = home.connected();
    let silent = wave(&home, "silent.wav", &vec![0; 32_000]);
    let subtitles = |more: Value| {
        let mut item = json!({ "script": "Hello there, how are you?", "align_to": "voice" });
        for (key, value) in more.as_object().expect("keys") {
            item[key] = value.clone();
        }
        json!({
            "audio": [{ "id": "voice", "audio_url": text(&silent) }],
            "texts": [{ "id": "title", "text": "A" }],
            "subtitles": [item], "save": false,
        })
    };
    for (more, expected) in [
        (json!({ "align_to": "voise" }), "did you mean \"voice\"?"),
        (json!({ "align_to": "title" }), "which has no sound"),
        (json!({ "align_to": "" }), "`align_to` is missing"),
        (
            json!({ "words": "a.json" }),
            "`words` has the words as well",
        ),
        (json!({ "script": "..." }), "has no words"),
        (
            json!({ "script": "script.txt" }),
            "looks like the name of a file",
        ),
        (json!({ "script": [1] }), "a text or a list of lines"),
        (json!({ "font": "No Such Font" }), "No Such Font"),
    ] {
        let error = client
            .call("compose_draft", json!({ "plan": subtitles(more.clone()) }))
            .expect_err("an error");
        assert!(
            error.contains("subtitles[0]") && error.contains(expected),
            "{more}: {error}"
        );
    }
    // The file is known only when it was heard: then the item fails, and the rest is made.
    let made = client
        .call(
            "compose_draft",
            json!({ "plan": subtitles(json!({})), "detail": "all" }),
        )
        .map_or_else(|error| error, |made| made.to_string());
    assert!(made.contains("silent.wav is silent"), "{made}");
}

/// A tone at a level for each of these lengths, in seconds.
fn tones(home: &Home, name: &str, parts: &[(f64, f64)]) -> PathBuf {
    let samples = parts.iter().flat_map(|(seconds, level)| {
        (0..(seconds * f64::from(RATE)) as u32).map(move |index| {
            let time = f64::from(index) / f64::from(RATE);
            (level * (2.0 * PI * 500.0 * time).sin() * 32_767.0) as i16
        })
    });
    wave(home, name, &samples.collect::<Vec<_>>())
}

pub(crate) fn volume(clip: &Value) -> f64 {
    clip["volume"].as_f64().expect("a volume")
}

pub(crate) fn lufs(client: &mut Client, file: &Path) -> f64 {
    let arguments = json!({ "source": text(file), "what": ["loudness"] });
    let found = client
        .call("analyze_audio", arguments)
        .expect("an analysis");
    found["loudness"]["lufs"].as_f64().expect("LUFS")
}

#[test]
fn loudness_is_that_of_the_part_that_is_played() {
    let home = Home::embedded();
    let mut client = home.connected();
    let both = tones(&home, "both.wav", &[(5.0, 0.5), (10.0, 0.05)]);
    let quiet = tones(&home, "quiet.wav", &[(10.0, 0.05)]);
    let of_quiet = lufs(&mut client, &quiet);
    let expected = 10f64.powf((-16.0 - of_quiet) / 20.0);
    let near = |found: f64, expected: f64| (found / expected).log10().abs() * 20.0 < 0.1;
    // The picture ends the loop in the middle of a repetition.
    for more in [json!({}), json!({ "speed": 2 }), json!({ "loop": true })] {
        let mut item = json!({ "audio_url": text(&both), "start": 5, "loudness_lufs": -16 });
        for (key, value) in more.as_object().expect("keys") {
            item[key] = value.clone();
        }
        let plan = json!({
            "visuals": [{ "image_url": media("picture.jpg"), "duration": 17 }], "audio": [item], "save": false,
        });
        let (document, made) = composed(&mut client, &plan);
        let volumes: Vec<f64> = clips(&document)
            .iter()
            .filter(|clip| !of_clip(&document, clip, "audios").is_empty())
            .map(volume)
            .collect();
        assert!(
            !volumes.is_empty() && volumes.iter().all(|volume| near(*volume, expected)),
            "{volumes:?} {expected}"
        );
        assert!(
            made.to_string().contains("-16.0 LUFS instead of -2"),
            "{made}"
        );
    }
    // In a draft: what ducks stays ducked.
    let draft = created(&mut client, json!({}));
    for (file, track, start) in [(&both, "music", 5.0), (&quiet, "voice", 0.0)] {
        let arguments = json!({
            "draft_id": draft, "audio_url": text(file), "track_name": track, "start": start, "volume": 0.8, "end": start + 4.0,
        });
        client.call("add_audio", arguments).expect("a clip");
    }
    let speaking = voice(&home, "speaking.wav", &[(1.0, 2.0)], 4.0);
    let arguments =
        json!({ "draft_id": draft, "audio_url": text(&speaking), "track_name": "speaker" });
    client.call("add_audio", arguments).expect("a clip");
    let reply = edited(
        &mut client,
        &draft,
        json!([
            { "op": "duck", "clip": "music", "under": "speaker" },
            { "op": "loudness", "clip": ["music", "voice"], "loudness_lufs": -16 },
        ]),
    )
    .expect("edited");
    let document_now = document(&mut client, &draft);
    let music = music_of(&document_now);
    assert!(near(volume(&music), expected), "{reply}");
    let lowest = keyframes(&music, "KFTypeVolume")
        .iter()
        .filter_map(|point| point["values"][0].as_f64())
        .fold(f64::INFINITY, f64::min);
    assert!(near(lowest, expected / 4.0), "{lowest} {expected}");
    assert!(
        reply["changes"]
            .to_string()
            .contains("-16.0 LUFS instead of"),
        "{reply}"
    );
}

#[test]
fn loudness_that_cannot_be_reached_is_explained() {
    let home = Home::embedded();
    let mut client = home.connected();
    let silent = wave(&home, "silent.wav", &vec![0; 32_000]);
    let mut samples = vec![0_i16; 64_000];
    for (index, sample) in (0_i32..).zip(samples.iter_mut()) {
        *sample = if index % 16_000 == 100 {
            30_000
        } else {
            ((index * 7_919) % 601 - 300) as i16
        };
    }
    let peaks = wave(&home, "peaks.wav", &samples);
    let draft = created(&mut client, json!({}));
    for (file, track) in [(&silent, "silent"), (&peaks, "peaks")] {
        let arguments = json!({ "draft_id": draft, "audio_url": text(file), "track_name": track });
        client.call("add_audio", arguments).expect("a clip");
    }
    let reply = edited(
        &mut client,
        &draft,
        json!([{ "op": "loudness", "clip": "peaks", "loudness_lufs": -10 }]),
    )
    .expect("edited");
    assert!(
        reply["changes"]
            .to_string()
            .contains("not louder, as its true peak is at -1 dBTP"),
        "{reply}"
    );
    let volumes: Vec<f64> = clips(&document(&mut client, &draft))
        .iter()
        .map(volume)
        .collect();
    assert!(
        volumes.iter().any(|volume| (0.9..0.99).contains(volume)),
        "{volumes:?}"
    );
    for (operation, expected) in [
        (
            json!({ "op": "loudness", "clip": "silent", "loudness_lufs": -16 }),
            "silent.wav",
        ),
        (
            json!({ "op": "loudness", "clip": "peaks", "loudness_lufs": -3 }),
            "from -40 (quiet) to -5",
        ),
        (
            json!({ "op": "loudness", "clip": "peeks", "loudness_lufs": -16 }),
            "peeks",
        ),
    ] {
        let error = edited(&mut client, &draft, json!([operation])).expect_err("an error");
        assert!(error.contains(expected), "{error}");
    }
    for (item, expected) in [
        (
            json!({ "loudness_lufs": 3 }),
            "audio[0].loudness_lufs: is 3",
        ),
        (
            json!({ "loudness_lufs": -16, "volume": 0.5 }),
            "`volume` is given as well",
        ),
    ] {
        let mut plan = json!({ "audio": [item], "save": false });
        plan["audio"][0]["audio_url"] = json!(text(&peaks));
        let error = client
            .call("compose_draft", json!({ "plan": plan }))
            .expect_err("an error");
        assert!(error.contains(expected), "{error}");
    }
    let plan = json!({
        "audio": [
            { "audio_url": text(&silent), "loudness_lufs": -16 },
            { "audio_url": text(&peaks), "track_name": "b", "loudness_lufs": -30 },
        ],
        "save": false,
    });
    let (_, made) = composed(&mut client, &plan);
    let rows = &made["report"]["items"];
    assert!(
        rows[0]["status"] == "failed" && rows[1]["status"] == "ok",
        "{made}"
    );
    assert!(
        rows[0]["error"]
            .to_string()
            .contains("silent.wav cannot be measured"),
        "{made}"
    );
}
