//! Providers that stand in for others, breakers, and limits.

use std::time::Duration;

use serde_json::json;

use super::{completed, compose, home_with, made, paid, requests, saved_plan};
use crate::support::services::{Manner, Route, Services, ServicesSettings};
use crate::support::until;

fn always(manner: Manner) -> Services {
    Services::with(ServicesSettings::default(), move |_| manner)
}

/// A home with `first`, for which `second` stands in.
fn two(first: &Services, second: &Services, kind: &str, makes: &str) -> crate::support::Home {
    home_with(&[
        paid(""),
        first.section(
            "first",
            kind,
            makes,
            "price = 1\ndefault = true\nfallback = \"second\"",
        ),
        second.section("second", kind, makes, "price = 1"),
    ])
}

#[test]
fn another_provider_stands_in_only_if_the_first_surely_did_not_accept() {
    for manner in [
        Manner::Refused,
        Manner::Failed(500),
        Manner::ResetAfter,
        Manner::Page,
    ] {
        let (first, second) = (always(manner), Services::start());
        let home = two(&first, &second, "openai", "speech");
        let mut client = home.connected();
        let plan = saved_plan(&home, &json!({ "audio": [{ "say": "Hello, everybody." }] }));
        let reply = compose(&mut client, &plan, &json!({}));
        assert_eq!(
            first.creations() + second.creations(),
            1,
            "{manner:?}: {reply:?}"
        );
        if manner == Manner::Refused {
            let reply = reply.expect("made");
            assert_eq!(
                made(&reply),
                [("audio[0]".to_owned(), "second".to_owned(), false)]
            );
        } else {
            assert_eq!(second.asked(Route::Speech), 0, "{manner:?}: {reply:?}");
        }
    }
}

#[test]
fn a_provider_that_cannot_be_reached_did_not_accept() {
    let (first, second) = (Services::start(), Services::start());
    first.server.refuse(true);
    until("its port is closed", || {
        std::net::TcpStream::connect(&first.server.url[7..]).is_err()
    });
    let home = two(&first, &second, "openai", "picture");
    let mut client = home.connected();
    let plan = saved_plan(
        &home,
        &json!({ "visuals": [{ "imagine": "a watch", "duration": 1 }] }),
    );
    let reply = completed(&mut client, &plan);
    assert_eq!(made(&reply)[0].1, "second");
}

#[test]
fn a_finished_asset_of_a_fallback_is_used_before_both() {
    let first = Services::with(ServicesSettings::default(), |asked| {
        if asked.number == 0 {
            Manner::Refused
        } else {
            Manner::Good
        }
    });
    let second = Services::start();
    let home = two(&first, &second, "openai", "picture");
    let plan = saved_plan(
        &home,
        &json!({ "visuals": [{ "imagine": "a watch", "duration": 1 }] }),
    );
    completed(&mut home.connected(), &plan);
    let before = requests(&first) + requests(&second);
    let reply = completed(&mut home.connected(), &plan);
    assert_eq!(requests(&first) + requests(&second), before);
    assert_eq!(
        made(&reply),
        [("visuals[0]".to_owned(), "second".to_owned(), true)]
    );
}

#[test]
fn a_task_of_a_fallback_is_finished_before_the_first_is_asked_again() {
    let first = Services::with(ServicesSettings::default(), |asked| {
        if asked.number == 0 {
            Manner::Refused
        } else {
            Manner::Good
        }
    });
    let settings = ServicesSettings {
        film_time: Duration::from_millis(1500),
        ..ServicesSettings::default()
    };
    let second = Services::with(settings, |_| Manner::Good);
    let home = two(&first, &second, "ark", "film");
    let plan = saved_plan(
        &home,
        &json!({ "visuals": [{ "film": "a hand", "duration": 1 }] }),
    );
    let file = home.file("plan.json", plan.to_string());
    let line = ["compose", file.to_str().expect("a path"), "--json"];
    let mut child = home.command(&line).spawn().expect("it starts");
    let tasks = "/ark/contents/generations/tasks/";
    until("the task is asked for", || second.server.count(tasks) > 0);
    child.kill().expect("killed");
    child.wait().expect("an end");
    home.run(&line).success();
    assert_eq!((first.creations(), second.creations()), (0, 1));
}

#[test]
fn a_breaker_opens_after_three_failures_and_the_next_run_is_told() {
    let services = always(Manner::Failed(500));
    let home = home_with(&[
        paid("voices = 1"),
        services.section("voice", "openai", "speech", "price = 1"),
    ]);
    let mut client = home.connected();
    let say: Vec<_> = (0..5)
        .map(|n| json!({ "say": format!("Sentence number {n}.") }))
        .collect();
    let reply = compose(
        &mut client,
        &saved_plan(&home, &json!({ "audio": say })),
        &json!({}),
    );
    assert_eq!(services.asked(Route::Speech), 3, "{reply:?}");
    let next = saved_plan(&home, &json!({ "audio": [{ "say": "Something else." }] }));
    let reply = compose(&mut client, &next, &json!({}));
    let text = reply.map_or_else(|error| error, |reply| reply.to_string());
    assert!(
        text.contains("failed several times in a row") && text.contains(" s"),
        "{text}"
    );
    assert_eq!(services.asked(Route::Speech), 3);
}

#[test]
fn a_breaker_closes_when_the_provider_works_again() {
    let services = Services::with(ServicesSettings::default(), |asked| {
        if asked.number < 2 {
            Manner::Failed(500)
        } else {
            Manner::Good
        }
    });
    let breaker = "price = 1\nbreaker = { failures = 2, cool_down_s = 0.2 }";
    let home = home_with(&[
        paid("voices = 1"),
        services.section("voice", "openai", "speech", breaker),
    ]);
    let mut client = home.connected();
    let say: Vec<_> = (0..2)
        .map(|n| json!({ "say": format!("Sentence number {n}.") }))
        .collect();
    let _ = compose(
        &mut client,
        &saved_plan(&home, &json!({ "audio": say })),
        &json!({}),
    );
    let mut number = 0;
    until("the breaker is closed", || {
        number += 1;
        let say = json!({ "audio": [{ "say": format!("Later sentence {number}.") }] });
        let reply = compose(&mut client, &saved_plan(&home, &say), &json!({}));
        reply.is_ok_and(|reply| reply["status"] == "complete")
    });
    assert_eq!(services.asked(Route::Speech), 3);
}

#[test]
fn limits_hold() {
    let settings = || ServicesSettings {
        voice_delay: Duration::from_millis(250),
        picture_delay: Duration::from_millis(250),
        ..ServicesSettings::default()
    };
    let plan = |home: &crate::support::Home| {
        let say: Vec<_> = (0..7)
            .map(|n| json!({ "say": format!("Sentence number {n}.") }))
            .collect();
        let imagine: Vec<_> = (0..9)
            .map(|n| json!({ "imagine": format!("Watch {n}"), "duration": 1 }))
            .collect();
        saved_plan(home, &json!({ "audio": say, "visuals": imagine }))
    };
    // Those of the two branches of a run.
    let services = Services::with(settings(), |_| Manner::Good);
    let sections = |more: &str| {
        [
            paid(""),
            services.section("voice", "openai", "speech", more),
            services.section("draw", "openai", "picture", more),
        ]
    };
    let home = home_with(&sections("price = 1"));
    completed(&mut home.connected(), &plan(&home));
    let most = (
        services.most_at_once(Route::Speech),
        services.most_at_once(Route::Picture),
    );
    assert_eq!(most, (3, 5));

    // That of a provider, for two runs together.
    let services = Services::with(settings(), |_| Manner::Good);
    let home = home_with(&[
        paid(""),
        services.section("voice", "openai", "speech", "price = 1\nconcurrency = 2"),
        services.section("draw", "openai", "picture", "price = 1\nconcurrency = 2"),
    ]);
    let mut client = home.connected();
    let other = saved_plan(
        &home,
        &json!({ "name": "Other", "visuals": [
        { "imagine": "A strap", "duration": 1 }, { "imagine": "A box", "duration": 1 } ] }),
    );
    for plan in [plan(&home), other] {
        client.ask(
            "tools/call",
            json!({ "name": "compose_draft", "arguments": { "plan": plan, "wait_s": 60 } }),
        );
    }
    until("all are made", || services.creations() == 7 + 9 + 2);
    let most = (
        services.most_at_once(Route::Speech),
        services.most_at_once(Route::Picture),
    );
    assert_eq!(most, (2, 2));

    // Calls in a minute: the third has no turn before its time limit.
    let services = Services::start();
    let limit = "price = 1\ncalls_per_minute = 2\ntimeout_s = 1.0";
    let home = home_with(&[
        paid(""),
        services.section("voice", "openai", "speech", limit),
    ]);
    let say: Vec<_> = (0..3)
        .map(|n| json!({ "say": format!("Sentence number {n}.") }))
        .collect();
    let plan = saved_plan(&home, &json!({ "audio": say }));
    let reply = compose(&mut home.connected(), &plan, &json!({})).expect("a report");
    assert_eq!(reply["status"], "partial", "{reply:#}");
    assert_eq!(
        (services.asked(Route::Speech), made(&reply).len()),
        (2, 2),
        "{reply:#}"
    );
}

#[test]
fn equal_orders_are_one_request() {
    let services = Services::start();
    let home = home_with(&[
        paid(""),
        services.section("voice", "openai", "speech", "price = 1"),
        services.section("draw", "openai", "picture", "price = 1"),
        services.section("move", "openai", "film", "price = 1"),
    ]);
    let plan = saved_plan(
        &home,
        &json!({
            "audio": [
                { "say": "Hello there." }, { "say": { "text": " Hello there.\n" } }, { "say": { "text": "Hello there.", "voice": "echo" } },
            ],
            "visuals": [
                { "imagine": "a watch", "duration": 1 }, { "imagine": "a watch", "duration": 1 },
                { "imagine": "a watch", "seed": 7, "duration": 1 }, { "imagine": { "prompt": "a watch", "seed": 7 }, "duration": 1 },
                { "imagine": "a watch", "seed": 8, "duration": 1 },
                { "film": "a watch", "duration": 1 }, { "film": "a watch", "duration": 1 },
                { "film": "a watch", "seed": 1, "duration": 1 }, { "film": "a watch", "seed": 1, "duration": 1 },
            ],
        }),
    );
    let mut client = home.connected();
    let reply = completed(&mut client, &plan);
    let asked = [Route::Speech, Route::Picture, Route::Film].map(|route| services.asked(route));
    assert_eq!(asked, [2, 4, 3], "{reply:#}");
    assert_eq!(reply["report"]["made"]["cost"], 9.0, "{reply:#}");
    let before = requests(&services);
    completed(&mut home.connected(), &plan);
    assert_eq!(requests(&services), before);
    // Two runs at the same time share what is under way.
    let slow = Services::with(
        ServicesSettings {
            voice_delay: Duration::from_millis(300),
            ..ServicesSettings::default()
        },
        |_| Manner::Good,
    );
    let home = home_with(&[
        paid(""),
        slow.section("voice", "openai", "speech", "price = 1"),
    ]);
    let plans: Vec<_> = (0..4)
        .map(|n| {
            saved_plan(
                &home,
                &json!({ "name": format!("Watch {n}"), "audio": [{ "say": "Hello there." }] }),
            )
        })
        .collect();
    std::thread::scope(|scope| {
        for pair in plans.chunks(2) {
            let home = &home;
            scope.spawn(move || {
                let mut client = home.connected();
                let ids: Vec<u64> = pair
                    .iter()
                    .map(|plan| {
                        client.ask(
                            "tools/call",
                            json!({ "name": "compose_draft", "arguments": { "plan": plan, "wait_s": 60 } }),
                        )
                    })
                    .collect();
                for id in ids {
                    let answer = client.answer(id);
                    assert_eq!(answer["result"]["structuredContent"]["status"], "complete", "{answer}");
                }
            });
        }
    });
    assert_eq!(slow.asked(Route::Speech), 1);
}

#[test]
fn a_pause_that_is_longer_than_the_time_limit_is_not_cut_short() {
    let (first, second) = (always(Manner::Busy(90_000)), Services::start());
    let alone = "price = 1\ntimeout_s = 1.5";
    let home = home_with(&[paid(""), first.section("voice", "openai", "speech", alone)]);
    let plan = saved_plan(&home, &json!({ "audio": [{ "say": "Hello, everybody." }] }));
    let reply = compose(&mut home.connected(), &plan, &json!({}));
    let text = reply.map_or_else(|error| error, |reply| reply.to_string());
    assert!(
        text.contains("a pause of 90 s") && !text.contains("billed"),
        "{text}"
    );
    assert_eq!(first.asked(Route::Speech), 1, "{text}");
    // Busy is surely not accepted: another one stands in.
    let with_fallback = format!("{alone}\nfallback = \"second\"\ndefault = true");
    let home = home_with(&[
        paid(""),
        first.section("first", "openai", "speech", &with_fallback),
        second.section("second", "openai", "speech", "price = 1"),
    ]);
    let reply = completed(&mut home.connected(), &plan);
    assert_eq!(made(&reply)[0].1, "second");
    assert_eq!((first.asked(Route::Speech), second.creations()), (2, 1));
}
