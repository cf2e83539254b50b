//! Each fault of each kind of service: what may have been accepted is not sent again by itself, and what surely was not is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::{compose, home_with, paid, requests, saved_plan};
use crate::support::services::made::wave;
use crate::support::services::{Manner, Route, Services, ServicesSettings};
use crate::support::{Client, Home};

/// A kind of service, and how a plan asks it for something.
struct AskedKind {
    route: Route,
    kind: &'static str,
    makes: &'static str,
}

const KINDS: [AskedKind; 8] = [
    AskedKind {
        route: Route::Speech,
        kind: "openai",
        makes: "speech",
    },
    AskedKind {
        route: Route::Picture,
        kind: "openai",
        makes: "picture",
    },
    AskedKind {
        route: Route::Film,
        kind: "openai",
        makes: "film",
    },
    AskedKind {
        route: Route::Transcript,
        kind: "openai",
        makes: "transcript",
    },
    AskedKind {
        route: Route::Text,
        kind: "openai",
        makes: "text",
    },
    AskedKind {
        route: Route::ArkFilm,
        kind: "ark",
        makes: "film",
    },
    AskedKind {
        route: Route::VolcSpeech,
        kind: "volc-tts",
        makes: "speech",
    },
    AskedKind {
        route: Route::ElevenSpeech,
        kind: "elevenlabs",
        makes: "speech",
    },
];

/// The scenes of the text service.
const SCENES: &str = r#"{"scenes": [{"say": "Hello there", "show": "a watch"}]}"#;

/// What follows from a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// It may have been accepted.
    Uncertain,
    /// It is sent again at once, and succeeds.
    Again,
    /// It fails, and may be sent again by the next run.
    Refused,
    Good,
}

/// Longer than the time limit of the providers.
const SLOW: Manner = Manner::Slow(Duration::from_millis(2500));

fn faults(route: Route) -> Vec<(Manner, Expected)> {
    let mut faults = vec![
        (Manner::ResetBefore, Expected::Uncertain),
        (Manner::ResetAfter, Expected::Uncertain),
        (SLOW, Expected::Uncertain),
        (Manner::Truncated, Expected::Uncertain),
        (Manner::Failed(500), Expected::Uncertain),
        (Manner::Failed(503), Expected::Uncertain),
        (Manner::Page, Expected::Uncertain),
        (Manner::Empty, Expected::Uncertain),
        (Manner::Busy(150), Expected::Again),
        (Manner::BusyByCode, Expected::Again),
        (Manner::Refused, Expected::Refused),
        (Manner::Good, Expected::Good),
    ];
    match route {
        Route::Speech | Route::VolcSpeech | Route::ElevenSpeech => faults.extend([
            (Manner::UnknownSize, Expected::Good),
            (Manner::TwoMp3s, Expected::Good),
        ]),
        Route::Picture => faults.extend([
            (Manner::ByUrl, Expected::Good),
            (Manner::ByUrlOnce, Expected::Good),
        ]),
        Route::ArkFilm => faults.push((Manner::ByUrlOnce, Expected::Good)),
        _ => {}
    }
    faults
}

/// Asks for one asset that no other index asks for. What it is called in the errors of the stubs is `subject`.
fn ask(
    client: &mut Client,
    home: &Home,
    kind: &AskedKind,
    index: usize,
    retry: bool,
) -> Result<Value, String> {
    let words = format!("Words of number {index} here");
    let more = json!({ "retry_uncertain": retry });
    let plan = match kind.makes {
        "speech" => json!({ "audio": [{ "say": words }] }),
        "picture" => json!({ "visuals": [{ "imagine": words, "duration": 1 }] }),
        "film" => json!({ "visuals": [{ "film": words, "duration": 1 }] }),
        "transcript" => {
            let samples = vec![900; 16_000 + 100 * index];
            let file = home.file(&format!("sound-{index}.wav"), wave(&samples));
            json!({
                "audio": [{ "id": "a", "audio_url": file }],
                "subtitles": [{ "align_to": "a", "auto": true }],
            })
        }
        _ => {
            return client.call(
                "generate_video",
                json!({
                    "theme": words, "tts": false, "duration": 3, "wait_s": 60,
                    "draft_folder": home.path().join("drafts"), "name": format!("Number {index}"),
                    "retry_uncertain": retry,
                }),
            );
        }
    };
    compose(client, &saved_plan(home, &plan), &more)
}

fn is_done(reply: &Result<Value, String>) -> bool {
    let done = |reply: &Value| {
        let status = reply["status"].as_str().unwrap_or_default();
        ["complete", "success"].contains(&status)
    };
    reply.as_ref().is_ok_and(done)
}

/// The text of an error, or of a report with one.
fn told(reply: &Result<Value, String>) -> String {
    match reply {
        Ok(reply) => reply.to_string(),
        Err(error) => error.clone(),
    }
}

const BILLED: &str = "may have been accepted and billed";

fn check(kind: &AskedKind) {
    let next = Arc::new(Mutex::new(None));
    let (taken, route) = (Arc::clone(&next), kind.route);
    let settings = ServicesSettings {
        text: SCENES.to_owned(),
        ..ServicesSettings::default()
    };
    let services = Services::with(settings, move |asked| {
        let mut next = taken.lock().expect("not poisoned");
        if asked.route == route {
            next.take().unwrap_or(Manner::Good)
        } else {
            Manner::Good
        }
    });
    let limits = "timeout_s = 1.5\nprice = 0.01\nbreaker = { failures = 1000, cool_down_s = 0.1 }";
    let mut sections = vec![
        paid(""),
        services.section("one", kind.kind, kind.makes, limits),
    ];
    if kind.makes == "text" {
        sections.push(services.section("draw", "openai", "picture", "price = 0.01"));
    }
    let home = home_with(&sections);
    let faults = faults(kind.route);
    let what = |manner: Manner, run: &str| format!("{:?}, {manner:?}, {run}", kind.route);

    let mut client = home.connected();
    for (index, (manner, expected)) in faults.iter().copied().enumerate() {
        *next.lock().expect("not poisoned") = Some(manner);
        let before = services.asked(kind.route);
        let reply = ask(&mut client, &home, kind, index, false);
        let text = told(&reply);
        let what = what(manner, "first run");
        let asked = services.asked(kind.route) - before;
        assert_eq!(
            asked,
            if expected == Expected::Again { 2 } else { 1 },
            "{what}: {text}"
        );
        match expected {
            Expected::Uncertain => assert!(text.contains(BILLED), "{what}: {text}"),
            Expected::Refused => {
                assert!(
                    text.contains("HTTP 400") && !text.contains("billed"),
                    "{what}: {text}"
                );
                assert!(!is_done(&reply), "{what}: {text}");
            }
            Expected::Good | Expected::Again => assert!(is_done(&reply), "{what}: {text}"),
        }
        assert!(
            next.lock().expect("not poisoned").is_none(),
            "{what}: the fault was met"
        );
    }
    assert_eq!(client.end(), 0);

    // Another process: nothing uncertain is sent again, and nothing that is there.
    let mut client = home.connected();
    for (index, (manner, expected)) in faults.iter().copied().enumerate() {
        let before = requests(&services);
        let reply = ask(&mut client, &home, kind, index, false);
        let text = told(&reply);
        let what = what(manner, "second run");
        match expected {
            Expected::Uncertain => assert!(text.contains(BILLED), "{what}: {text}"),
            _ => assert!(is_done(&reply), "{what}: {text}"),
        }
        let asked = requests(&services) - before;
        if expected == Expected::Refused {
            assert!(asked >= 1, "{what}: {text}");
        } else {
            assert_eq!(asked, 0, "{what}: {text}");
        }
    }
    for ((route, text), count) in services.accepted() {
        assert!(count <= 1, "{route:?} {text:?} was accepted {count} times");
    }

    // Only if it is wished, and then once.
    let wished = services.asked(kind.route);
    for (index, (manner, expected)) in faults.iter().copied().enumerate() {
        let before = services.asked(kind.route);
        let reply = ask(&mut client, &home, kind, index, true);
        let what = what(manner, "with retry_uncertain");
        assert!(is_done(&reply), "{what}: {}", told(&reply));
        let asked = services.asked(kind.route) - before;
        assert_eq!(
            asked,
            usize::from(expected == Expected::Uncertain),
            "{what}"
        );
    }
    let uncertain = faults
        .iter()
        .filter(|(_, expected)| *expected == Expected::Uncertain);
    assert_eq!(services.asked(kind.route) - wished, uncertain.count());
    let before = requests(&services);
    for (index, (manner, _)) in faults.iter().copied().enumerate() {
        let reply = ask(&mut client, &home, kind, index, true);
        assert!(is_done(&reply), "{}", what(manner, "after it"));
    }
    assert_eq!(
        requests(&services),
        before,
        "{:?}: a finished plan asks for nothing",
        kind.route
    );
    assert_eq!(services.complaints(), [""; 0]);
}

#[test]
fn a_voice_of_openai_is_created_once_under_every_fault() {
    check(&KINDS[0]);
}

#[test]
fn a_picture_is_created_once_under_every_fault() {
    check(&KINDS[1]);
}

#[test]
fn a_film_of_openai_is_created_once_under_every_fault() {
    check(&KINDS[2]);
}

#[test]
fn a_transcript_is_created_once_under_every_fault() {
    check(&KINDS[3]);
}

#[test]
fn a_text_is_created_once_under_every_fault() {
    check(&KINDS[4]);
}

#[test]
fn a_film_of_ark_is_created_once_under_every_fault() {
    check(&KINDS[5]);
}

#[test]
fn a_voice_of_volcengine_is_created_once_under_every_fault() {
    check(&KINDS[6]);
}

#[test]
fn a_voice_of_elevenlabs_is_created_once_under_every_fault() {
    check(&KINDS[7]);
}

#[test]
fn a_removed_file_is_requested_once() {
    let services = Services::start();
    let home = home_with(&[
        paid(""),
        services.section("voice", "openai", "speech", "price = 0.01"),
        services.section("draw", "openai", "picture", "price = 0.01"),
    ]);
    let plan = saved_plan(
        &home,
        &json!({
            "audio": [{ "say": "Hello there, everybody." }],
            "visuals": [{ "imagine": "a watch", "duration": 1 }, { "imagine": "a strap", "duration": 1 }],
        }),
    );
    let mut client = home.connected();
    super::completed(&mut client, &plan);
    assert_eq!(services.creations(), 3);
    let files = |ending: &str| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(home.data().join("assets")).expect("the folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| path.extension().is_some_and(|own| own == ending))
            .collect()
    };
    let voices = files("wav");
    assert_eq!(voices.len(), 1);
    std::fs::remove_file(&voices[0]).expect("removed");
    let before = requests(&services);
    super::completed(&mut client, &plan);
    assert_eq!(requests(&services) - before, 1);
    // A file that was cut off is not the asset either.
    let pictures = files("png");
    std::fs::write(&pictures[0], b"x").expect("written");
    super::completed(&mut client, &plan);
    super::completed(&mut client, &plan);
    assert_eq!(requests(&services) - before, 2);
}
