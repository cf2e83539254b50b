//! `say`, `imagine`, `film`, `auto`, and captions of voices that are made.

use serde_json::{Value, json};

use super::{completed, compose, home_with, paid, requests, saved_plan};
use crate::sound::words_of;
use crate::support::drafts::{clips, document, of_clip};
use crate::support::services::made::Voice;
use crate::support::services::{Route, Services};
use crate::support::{Client, Home};

fn all_kinds(services: &Services) -> Home {
    home_with(&[
        paid(""),
        services.section("voice", "openai", "speech", "price = 1\ndefault = true"),
        services.section("timed", "elevenlabs", "speech", "price = 1"),
        services.section("draw", "openai", "picture", "price = 1"),
        services.section("move", "openai", "film", "price = 1\ndefault = true"),
        services.section("ark", "ark", "film", "price = 1"),
        services.section("hear", "openai", "transcript", "price = 1"),
    ])
}

fn draft(client: &mut Client, reply: &Value) -> Value {
    let id = reply["draft_id"].as_str().expect("a draft").to_owned();
    document(client, &id)
}

const WORDS: &str = "Meet our new watch. It is light and it is bright.";

#[test]
fn captions_of_a_voice_have_its_words_and_times() {
    let services = Services::start();
    let home = all_kinds(&services);
    let mut client = home.connected();
    for (provider, tolerance) in [("timed", 0.003), ("voice", 0.2)] {
        let plan = saved_plan(
            &home,
            &json!({
                "audio": [{ "id": "v", "say": { "text": WORDS, "provider": provider }, "target_start": 1.5 }],
                "subtitles": [{ "align_to": "v" }],
            }),
        );
        let reply = completed(&mut client, &plan);
        let found: Vec<(f64, f64)> = words_of(&draft(&mut client, &reply))
            .into_iter()
            .flat_map(|(_, words)| words)
            .collect();
        let truth = Voice::tones(WORDS, 1.0).words();
        assert_eq!(found.len(), truth.len(), "{provider}: {found:?} {truth:?}");
        let mut off = 0.0_f64;
        for ((start, end), (_, true_start, true_end)) in found.iter().zip(&truth) {
            off = off.max((start - true_start - 1.5).abs());
            if provider == "timed" {
                off = off.max((end - true_end - 1.5).abs());
            }
        }
        eprintln!("{provider}: words at most {:.0} ms off", off * 1000.0);
        assert!(off <= tolerance, "{provider}: {off} s, {found:?} {truth:?}");
    }
    // A voice that is played faster has its words earlier.
    let plan = saved_plan(
        &home,
        &json!({
            "audio": [{ "id": "v", "say": { "text": WORDS, "provider": "timed" }, "speed": 1.25 }],
            "subtitles": [{ "align_to": "v" }],
        }),
    );
    let reply = completed(&mut client, &plan);
    let found: Vec<(f64, f64)> = words_of(&draft(&mut client, &reply))
        .into_iter()
        .flat_map(|(_, words)| words)
        .collect();
    let truth = Voice::tones(WORDS, 1.0).words();
    for ((start, _), (word, true_start, _)) in found.iter().zip(&truth) {
        assert!((start - true_start / 1.25).abs() < 0.003, "{word}: {start}");
    }
}

#[test]
fn transcripts_caption_sounds_and_voices() {
    let services = Services::start();
    let home = all_kinds(&services);
    let mut client = home.connected();
    let plan = saved_plan(
        &home,
        &json!({
            "audio": [{ "id": "v", "say": WORDS }],
            "subtitles": [{ "align_to": "v", "auto": "hear" }],
        }),
    );
    let reply = completed(&mut client, &plan);
    let shown: Vec<String> = words_of(&draft(&mut client, &reply))
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    assert_eq!(
        shown.join(" ").split_whitespace().collect::<Vec<_>>(),
        WORDS.split(' ').collect::<Vec<_>>()
    );
    assert_eq!(services.asked(Route::Transcript), 1);
    // A second run costs nothing, and so needs no permission.
    let before = requests(&services);
    let reply = compose(&mut client, &plan, &json!({ "max_cost": 0 }))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(reply["status"], "complete", "{reply:#}");
    assert_eq!(requests(&services), before);
    // A file that is there.
    let plan = saved_plan(
        &home,
        &json!({
            "audio": [{ "id": "m", "audio_url": crate::support::media("voice.mp3") }],
            "subtitles": [{ "align_to": "m", "auto": true }],
        }),
    );
    completed(&mut client, &plan);
    assert_eq!(services.asked(Route::Transcript), 2);
    let before = requests(&services);
    compose(&mut client, &plan, &json!({ "max_cost": 0 }))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(requests(&services), before);
}

#[test]
fn films_are_as_long_as_their_items() {
    let services = Services::start();
    let home = all_kinds(&services);
    let mut client = home.connected();
    for (provider, route) in [("move", Route::Film), ("ark", Route::ArkFilm)] {
        let film = |name: &str| json!({ "prompt": name, "provider": provider });
        let plan = saved_plan(
            &home,
            &json!({ "visuals": [{ "film": film("one"), "duration": 4 }, { "film": film("two"), "duration": 3.2 }] }),
        );
        let reply = completed(&mut client, &plan);
        let document = draft(&mut client, &reply);
        let lengths: Vec<f64> = clips(&document)
            .iter()
            .filter(|clip| !of_clip(&document, clip, "videos").is_empty())
            .map(|clip| {
                clip["target_timerange"]["duration"]
                    .as_f64()
                    .expect("a length")
                    / 1e6
            })
            .collect();
        assert!(
            (lengths[0] - 4.0).abs() < 0.05 && (lengths[1] - 3.2).abs() < 0.05,
            "{provider}: {lengths:?}"
        );
        assert_eq!(services.asked(route), 2);
    }
}

#[test]
fn a_resumed_plan_asks_for_nothing_that_is_there() {
    let services = Services::start();
    let home = all_kinds(&services);
    let mut client = home.connected();
    let plan = |text: &str| {
        saved_plan(
            &home,
            &json!({
                "audio": [{ "id": "v", "say": WORDS }],
                "visuals": [{ "imagine": "a watch", "style": "bright", "duration": 2 }, { "film": "a hand", "duration": 2 }],
                "subtitles": [{ "align_to": "v" }],
                "texts": [{ "text": text, "start": 0, "end": 1 }],
            }),
        )
    };
    let reply = completed(&mut client, &plan("Tuesday"));
    let draft = reply["draft_id"].clone();
    let before = requests(&services);
    let segments = reply["report"]["totals"]["segments_in_draft"].clone();
    let changed = compose(&mut client, &plan("Monday"), &json!({ "resume": draft }));
    assert_eq!(requests(&services), before, "{changed:?}");
    // The whole plan again under another name.
    let mut other = plan("Monday");
    other["name"] = json!("Other");
    let reply = completed(&mut client, &other);
    assert_eq!(reply["report"]["totals"]["segments_in_draft"], segments);
    assert_eq!(requests(&services), before);
    let resumed = compose(&mut client, &other, &json!({ "resume": reply["draft_id"] }))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(resumed["status"], "complete", "{resumed:#}");
    assert_eq!(
        resumed["report"]["totals"]["segments_in_draft"], segments,
        "{resumed:#}"
    );
    assert_eq!(requests(&services), before);
}

#[test]
fn wrong_values_are_named_with_their_places() {
    let services = Services::start();
    let home = all_kinds(&services);
    let mut client = home.connected();
    for (keys, parts) in [
        (
            json!({ "audio": [{ "say": 7 }] }),
            &["audio[0].say", "7"][..],
        ),
        (
            json!({ "audio": [{ "say": "…" }] }),
            &["audio[0].say", "no words"],
        ),
        (
            json!({ "audio": [{ "say": { "txt": "a" } }] }),
            &["audio[0].say", "`txt`"],
        ),
        (
            json!({ "audio": [{ "say": { "text": "Hello", "voice_speed": 3 } }] }),
            &["audio[0].say", "voice_speed", "0.5", "2"],
        ),
        (
            json!({ "audio": [{ "say": "Hello", "audio_url": "a.mp3" }] }),
            &["audio[0].say", "`audio_url`"],
        ),
        (
            json!({ "audio": [{ "say": { "text": "Hello", "provider": "draw" } }] }),
            &["audio[0].say", "\"draw\"", "pictures"],
        ),
        (
            json!({ "audio": [{ "say": { "text": "Hello", "provider": "who" } }] }),
            &["audio[0].say", "\"who\"", "voice"],
        ),
        (
            json!({ "visuals": [{ "imagine": "a", "film": "b" }] }),
            &["visuals[0].film", "`imagine`"],
        ),
        (
            json!({ "visuals": [{ "imagine": "a watch", "seed": -1 }] }),
            &["visuals[0].seed", "-1"],
        ),
        (
            json!({ "visuals": [{ "imagine": ["a"] }] }),
            &["visuals[0].imagine"],
        ),
        (
            json!({ "visuals": [{ "seed": 3, "image_url": crate::support::media("logo.png") }] }),
            &["visuals[0].seed"],
        ),
        (
            json!({ "texts": [{ "say": "Hello", "text": "a" }] }),
            &["texts[0]", "say"],
        ),
        (
            json!({ "audio": [{ "id": "v", "say": "Hello" }], "subtitles": [{ "align_to": "v", "auto": "voice" }] }),
            &["subtitles[0].auto", "speech"],
        ),
        (
            json!({ "audio": [{ "id": "v", "say": "Hello" }], "subtitles": [{ "align_to": "w" }] }),
            &["subtitles[0]", "\"w\""],
        ),
        (
            json!({ "audio": [{ "id": "v", "say": "Hello" }], "subtitles": [{ "auto": true }] }),
            &["subtitles[0]", "align_to"],
        ),
        (
            json!({ "audio": [{ "id": "v", "say": "Hello" }], "subtitles": [{ "align_to": "v", "auto": 3 }] }),
            &["subtitles[0].auto", "3"],
        ),
    ] {
        let error = compose(&mut client, &saved_plan(&home, &keys), &json!({}));
        let error = error.map(|reply| panic!("{keys}: {reply}")).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{keys}: {part} in {error}");
        }
    }
    assert_eq!(requests(&services), 0);
}

#[test]
fn words_of_yaml_are_words() {
    let services = Services::start();
    let home = all_kinds(&services);
    let plan = "name: Words\nwidth: 360\nheight: 640\naudio:\n  - say: No\n  - say: { text: Yes }\nvisuals:\n  - { imagine: Off, duration: 1 }\nsave: false\n";
    let file = home.file("plan.yaml", plan);
    home.run(&["compose", file.to_str().expect("a path")])
        .success();
    let accepted = services.accepted();
    let texts: Vec<&str> = accepted.keys().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["No", "Yes", "Off"]);
}

#[test]
fn long_speeches_are_made_in_pieces_and_joined() {
    let services = Services::start();
    let home = home_with(&[
        paid(""),
        services.section("voice", "volc-tts", "speech", "price = 1\ntext_bytes = 60"),
    ]);
    let mut client = home.connected();
    let words = "我们的新款智能手表来了。它很轻，也很亮。一次充电可以用十四天。充满只要一个小时。";
    let plan = saved_plan(
        &home,
        &json!({ "audio": [{ "id": "v", "say": words }], "subtitles": [{ "align_to": "v" }] }),
    );
    let reply = completed(&mut client, &plan);
    let asked = services.asked(Route::VolcSpeech);
    assert!(asked >= 2, "{asked}");
    assert_eq!(reply["report"]["made"]["cost"], asked as f64);
    let spoken: String = {
        let mut texts: Vec<String> = services
            .server
            .asked()
            .iter()
            .map(|asked| {
                asked.json()["req_params"]["text"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        texts.sort_by_key(|text| words.find(text.as_str()));
        texts.concat()
    };
    assert_eq!(spoken, words);
    let before = requests(&services);
    completed(&mut client, &plan);
    assert_eq!(requests(&services), before);
}
