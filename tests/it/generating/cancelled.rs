//! Calls that are cancelled while assets are made.

use std::time::Duration;

use serde_json::{Value, json};

use super::{completed, compose, home_with, made, paid, saved_plan};
use crate::support::services::{Manner, Route, Services, ServicesSettings};
use crate::support::{Client, Home, until};

fn ask(client: &mut Client, plan: &Value) -> u64 {
    let arguments = json!({ "plan": plan, "wait_s": 60 });
    client.ask(
        "tools/call",
        json!({ "name": "compose_draft", "arguments": arguments }),
    )
}

fn drafts(client: &mut Client) -> usize {
    let listed = client.call("list_drafts", json!({})).expect("a list");
    listed["drafts"].as_array().expect("drafts").len()
}

fn two_kinds(services: &Services, film: &str) -> Home {
    home_with(&[
        paid("voices = 1"),
        services.section("voice", "openai", "speech", "price = 1"),
        services.section("move", film, "film", "price = 1"),
    ])
}

#[test]
fn a_cancelled_call_ends_its_task_and_keeps_what_was_sent() {
    for (film, route) in [("ark", Route::ArkFilm), ("openai", Route::Film)] {
        let settings = ServicesSettings {
            voice_delay: Duration::from_millis(700),
            film_time: Duration::from_mins(5),
            ..ServicesSettings::default()
        };
        let services = Services::with(settings, |_| Manner::Good);
        let home = two_kinds(&services, film);
        let plan = saved_plan(
            &home,
            &json!({
                "audio": [{ "say": "The first voice." }, { "say": "The second voice." }],
                "visuals": [{ "film": "a hand", "duration": 1 }],
            }),
        );
        let mut client = home.connected();
        let id = ask(&mut client, &plan);
        until("the task and a voice are under way", || {
            services.asked(route) == 1 && services.asked(Route::Speech) == 1
        });
        client.notify("notifications/cancelled", json!({ "requestId": id }));
        until("the task is cancelled", || services.cancelled() == 1);
        // The second voice is not sent, also not when the first has arrived.
        services.server.wait_until_idle();
        assert_eq!(drafts(&mut client), 0);
        assert_eq!(
            (services.asked(route), services.asked(Route::Speech)),
            (1, 1)
        );
        let first = saved_plan(&home, &json!({ "audio": [{ "say": "The first voice." }] }));
        let reply = completed(&mut client, &first);
        assert_eq!(
            made(&reply),
            [("audio[0]".to_owned(), "voice".to_owned(), true)]
        );
        assert_eq!(services.asked(Route::Speech), 1);
    }
}

#[test]
fn a_cancelled_task_is_created_again_by_the_next_run() {
    let settings = ServicesSettings {
        film_time: Duration::from_millis(1200),
        ..ServicesSettings::default()
    };
    let services = Services::with(settings, |_| Manner::Good);
    let home = two_kinds(&services, "ark");
    let plan = saved_plan(
        &home,
        &json!({ "visuals": [{ "film": "a hand", "duration": 1 }] }),
    );
    let mut client = home.connected();
    let id = ask(&mut client, &plan);
    until("the task is there", || services.creations() == 1);
    client.notify("notifications/cancelled", json!({ "requestId": id }));
    until("the task is cancelled", || services.cancelled() == 1);
    completed(&mut client, &plan);
    assert_eq!(services.creations(), 2);
}

#[test]
fn what_was_sent_is_kept_if_a_run_is_aborted() {
    let settings = ServicesSettings {
        picture_delay: Duration::from_millis(400),
        ..ServicesSettings::default()
    };
    let services = Services::with(settings, |asked| {
        if asked.text.starts_with("bad") {
            Manner::Refused
        } else {
            Manner::Good
        }
    });
    let home = home_with(&[
        paid(""),
        services.section("draw", "openai", "picture", "price = 1"),
    ]);
    let picture = |what: &str| json!({ "imagine": what, "duration": 1 });
    let words = [
        "a watch", "a strap", "bad", "a box", "a shop", "a hand", "a door", "a cup",
    ];
    let visuals: Vec<Value> = words.iter().map(|what| picture(what)).collect();
    let plan = saved_plan(&home, &json!({ "on_failure": "abort", "visuals": visuals }));
    let file = home.file("plan.json", plan.to_string());
    let ran = home.run(&["compose", file.to_str().expect("a path")]);
    assert_ne!(ran.code, 0, "{ran:#?}");
    assert!(
        ran.stderr.contains("visuals[2].imagine") && ran.stderr.contains("HTTP 400"),
        "{ran:#?}"
    );
    let sent = services.creations();
    assert!(sent <= 5, "{sent}");
    // The process has ended; the next one knows what was made.
    let mut client = home.connected();
    assert_eq!(drafts(&mut client), 0);
    let good: Vec<Value> = words
        .iter()
        .filter(|what| **what != "bad")
        .map(|what| picture(what))
        .collect();
    let plan = saved_plan(&home, &json!({ "visuals": good }));
    let reply = completed(&mut client, &plan);
    let kept = made(&reply).iter().filter(|(.., kept)| *kept).count();
    assert_eq!(kept, sent, "{reply:#}");
    assert!(
        services.accepted().values().all(|count| *count == 1),
        "{:?}",
        services.accepted()
    );
}

#[test]
fn without_abort_the_rest_is_made_and_saved() {
    let services = Services::with(ServicesSettings::default(), |asked| {
        if asked.text.starts_with("Bad") {
            Manner::Refused
        } else {
            Manner::Good
        }
    });
    let home = two_kinds(&services, "ark");
    let plan = saved_plan(
        &home,
        &json!({
            "audio": [{ "id": "a", "say": "Bad words." }, { "say": "Good words here." }],
            "subtitles": [{ "align_to": "a" }],
            "visuals": [{ "film": "a hand", "duration": 1 }],
        }),
    );
    let reply = compose(&mut home.connected(), &plan, &json!({})).expect("a report");
    assert_eq!(reply["status"], "partial", "{reply:#}");
    let text = reply.to_string();
    assert!(
        text.contains("audio[0]") && text.contains("HTTP 400"),
        "{text}"
    );
    assert_eq!(reply["report"]["totals"]["failed"], 2, "{reply:#}");
    assert_eq!(reply["report"]["saved"], true, "{reply:#}");
}

/// The process is asked to stop while answers are under way: they are kept, and nothing more is sent.
#[cfg(unix)]
#[test]
fn what_was_sent_is_kept_if_the_process_is_asked_to_stop() {
    for serves in [false, true] {
        let settings = ServicesSettings {
            picture_delay: Duration::from_millis(900),
            ..ServicesSettings::default()
        };
        let services = Services::with(settings, |_| Manner::Good);
        let home = home_with(&[
            paid("pictures = 2"),
            services.section("draw", "openai", "picture", "price = 1"),
        ]);
        let visuals: Vec<Value> = (0..5)
            .map(|number| json!({ "imagine": format!("Watch {number}"), "duration": 1 }))
            .collect();
        let plan = saved_plan(&home, &json!({ "visuals": visuals }));
        let stop = |id: u32| {
            let stopped = std::process::Command::new("kill")
                .args(["-TERM", &id.to_string()])
                .status();
            assert!(stopped.expect("kill").success());
        };
        if serves {
            let mut client = home.connected();
            ask(&mut client, &plan);
            until("two are under way", || services.creations() == 2);
            stop(client.child.id());
            client.wait();
        } else {
            let file = home.file("plan.json", plan.to_string());
            let line = ["compose", file.to_str().expect("a path")];
            let mut child = home.command(&line).spawn().expect("it starts");
            until("two are under way", || services.creations() == 2);
            stop(child.id());
            child.wait().expect("an end");
        }
        assert_eq!(services.creations(), 2, "serves: {serves}");
        let reply = completed(&mut home.connected(), &plan);
        let kept = made(&reply).iter().filter(|(.., kept)| *kept).count();
        assert_eq!((kept, services.creations()), (2, 5), "serves: {serves}");
    }
}
