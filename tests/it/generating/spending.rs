//! What runs may spend, and what they say about it before.

use serde_json::{Value, json};

use super::{completed, compose, home_with, saved_plan};
use crate::access::{add, bearer};
use crate::support::services::{Manner, Route, Services, ServicesSettings};
use crate::support::{Home, McpOverHttp, until};

/// Voices have a price by characters, pictures one each, and films have none.
fn sections(services: &Services, generate: &str) -> Vec<String> {
    vec![
        format!("[generate]\ncurrency = \"EUR\"\n{generate}\n"),
        services.section(
            "voice",
            "openai",
            "speech",
            "price = { per_1000_characters = 10.0 }",
        ),
        services.section("draw", "openai", "picture", "price = 0.1"),
        services.section("move", "ark", "film", ""),
        services.section("clip", "openai", "film", "price = { per_second = 0.5 }"),
    ]
}

/// 20 characters, two pictures.
fn priced(home: &Home) -> Value {
    saved_plan(
        home,
        &json!({
            "audio": [{ "say": "Twenty letters here." }],
            "visuals": [{ "imagine": "a watch", "duration": 1 }, { "imagine": "a strap", "duration": 1 }],
        }),
    )
}

#[test]
fn a_request_whose_answer_was_lost_counts_as_a_cost_and_a_refused_one_does_not() {
    for (manner, cost) in [(Manner::ResetAfter, 0.4), (Manner::Refused, 0.2)] {
        let services = Services::with(ServicesSettings::default(), move |asked| {
            match asked.route {
                Route::Speech => manner,
                _ => Manner::Good,
            }
        });
        let home = home_with(&sections(&services, "max_cost = 1"));
        let mut client = home.connected();
        let reply = compose(&mut client, &priced(&home), &json!({})).expect("the pictures");
        assert_eq!(reply["status"], "partial", "{reply:#}");
        assert_eq!(
            reply["report"]["made"]["cost"], cost,
            "{manner:?}: {reply:#}"
        );
    }
}

#[test]
fn nothing_with_a_price_is_sent_over_mcp_without_permission() {
    let services = Services::start();
    let home = home_with(&sections(&services, ""));
    let mut client = home.connected();
    let plan = priced(&home);
    for more in [
        json!({}),
        json!({ "max_cost": 0.39 }),
        json!({ "max_cost": 0 }),
        json!({ "max_cost": "0.2" }),
    ] {
        let error = compose(&mut client, &plan, &more).expect_err("it asks");
        assert!(
            error.contains("0.4 EUR") && error.contains("`max_cost: 0.4`"),
            "{more}: {error}"
        );
        assert!(error.contains("3 to make"), "{more}: {error}");
    }
    let error = compose(&mut client, &plan, &json!({ "max_cost": "much" })).expect_err("no amount");
    assert!(
        error.contains("`max_cost`") && error.contains("\"much\""),
        "{error}"
    );
    assert_eq!(services.creations(), 0);
    let reply = compose(&mut client, &plan, &json!({ "max_cost": 0.4 })).expect("permitted");
    assert_eq!(reply["status"], "complete", "{reply:#}");
    assert_eq!(reply["report"]["made"]["cost"], 0.4, "{reply:#}");
    assert_eq!(reply["report"]["made"]["currency"], "EUR");
    // What is there costs nothing and needs no permission.
    completed(&mut client, &plan);
    // Without a price, an amount is not enough.
    let film = saved_plan(
        &home,
        &json!({ "visuals": [{ "film": { "prompt": "a hand", "provider": "move" }, "duration": 1 }] }),
    );
    for more in [json!({}), json!({ "max_cost": 100 })] {
        let error = compose(&mut client, &film, &more).expect_err("it asks");
        assert!(
            error.contains("`max_cost: \"unknown\"`") && error.contains("move"),
            "{error}"
        );
    }
    assert_eq!(services.asked(Route::ArkFilm), 0);
    let reply = compose(&mut client, &film, &json!({ "max_cost": "unknown" })).expect("permitted");
    assert_eq!(
        reply["report"]["made"]["unknown"],
        json!(["move"]),
        "{reply:#}"
    );
}

#[test]
fn nothing_with_a_price_is_sent_over_http_or_from_a_shell_without_permission() {
    let services = Services::start();
    let home = home_with(&sections(&services, ""));
    let file = home.file("plan.json", priced(&home).to_string());
    let plan = file.to_str().expect("a path");
    for (more, code) in [
        (&[][..], 2),
        (&["--max-cost", "0.1"], 2),
        (&["--max-cost", "a lot"], 2),
    ] {
        let line = [&["compose", plan], more].concat();
        let ran = home.run(&line);
        assert_eq!(ran.code, code, "{ran:#?}");
        assert!(
            ran.stderr.contains("max") && ran.stderr.contains("cost"),
            "{ran:#?}"
        );
    }
    let served = home.serve_http(&[]);
    let mut remote = McpOverHttp::connected(&served.url, "2025-06-18");
    let error = remote.error("compose_draft", &json!({ "plan": priced(&home) }));
    assert!(error.contains("0.4 EUR"), "{error}");
    assert_eq!(services.creations(), 0);
    home.run(&["compose", plan, "--max-cost", "0.4"]).success();
    assert_eq!(services.creations(), 3);
}

#[test]
fn the_settings_permit_an_amount_for_each_run() {
    let services = Services::start();
    let home = home_with(&sections(&services, "max_cost = 0.5"));
    let mut client = home.connected();
    completed(&mut client, &priced(&home));
    let more = saved_plan(
        &home,
        &json!({ "visuals": (0..6).map(|n| json!({ "imagine": format!("Box {n}"), "duration": 1 })).collect::<Vec<_>>() }),
    );
    let error = compose(&mut client, &more, &json!({})).expect_err("0.6 is more");
    assert!(error.contains("more than `max_cost`, 0.5 EUR"), "{error}");
    // Three times 0.1 is not more than 0.3.
    let three = saved_plan(
        &home,
        &json!({ "visuals": (0..3).map(|n| json!({ "imagine": format!("Cup {n}"), "duration": 1 })).collect::<Vec<_>>() }),
    );
    compose(&mut client, &three, &json!({ "max_cost": 0.3 })).expect("permitted");
}

#[test]
fn a_dry_run_shows_items_characters_seconds_and_price() {
    let services = Services::start();
    let home = home_with(&sections(&services, ""));
    let mut client = home.connected();
    let mut plan = priced(&home);
    let visuals = plan["visuals"].as_array_mut().expect("a list");
    visuals.push(json!({ "film": { "prompt": "a hand", "provider": "clip" }, "duration": 4 }));
    let dry = json!({ "dry_run": true });
    let reply = compose(&mut client, &plan, &dry).expect("an estimate");
    let estimate = &reply["report"]["estimate"];
    assert_eq!(reply["status"], "planned");
    assert_eq!(
        (&estimate["items"], &estimate["kept"]),
        (&json!(4), &json!(0)),
        "{reply:#}"
    );
    assert_eq!(estimate["seconds"], 4.0, "{reply:#}");
    // Voices and descriptions: 20 + 7 + 7 + 6.
    assert_eq!(estimate["characters"], 40, "{reply:#}");
    assert_eq!(estimate["cost"], 2.4, "{reply:#}");
    let message = reply["message"].as_str().expect("a text");
    for part in ["4 to make", "40 characters", "4 s", "2.4 EUR"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(services.creations(), 0);
    compose(&mut client, &priced(&home), &json!({ "max_cost": 1 })).expect("made");
    let reply = compose(&mut client, &plan, &dry).expect("an estimate");
    let estimate = &reply["report"]["estimate"];
    assert_eq!(
        (&estimate["items"], &estimate["kept"]),
        (&json!(1), &json!(3)),
        "{reply:#}"
    );
    assert_eq!(estimate["cost"], 2.0, "{reply:#}");
    let file = home.file("plan.json", plan.to_string());
    let ran = home
        .run(&["compose", file.to_str().expect("a path"), "--dry-run"])
        .success();
    assert!(ran.stdout.contains("2 EUR"), "{ran:#?}");
}

#[test]
fn a_budget_counts_what_earlier_processes_spent() {
    let services = Services::start();
    let home = home_with(&sections(
        &services,
        "max_cost = 100\nbudget = 0.3\npictures = 1",
    ));
    let picture = |n: u32| json!({ "imagine": format!("Box {n}"), "duration": 1 });
    let two = saved_plan(&home, &json!({ "visuals": [picture(1), picture(2)] }));
    completed(&mut home.connected(), &two);
    let more = saved_plan(&home, &json!({ "visuals": [picture(3), picture(4)] }));
    let reply = compose(&mut home.connected(), &more, &json!({})).expect("a report");
    assert_eq!(reply["status"], "partial", "{reply:#}");
    let text = reply.to_string();
    assert!(
        text.contains("the budget is used up: 0.3 EUR of 0.3 EUR"),
        "{text}"
    );
    assert_eq!(services.asked(Route::Picture), 3);
    let listed = home.run(&["providers"]);
    assert!(listed.stdout.contains("0.3 EUR of 0.3 EUR"), "{listed:#?}");
    // What is there still costs nothing.
    completed(&mut home.connected(), &two);
}

#[test]
fn the_drafts_of_a_batch_are_estimated_together() {
    let services = Services::start();
    let home = home_with(&sections(&services, ""));
    let mut client = home.connected();
    let plans: Vec<Value> = ["a watch", "a strap", "a strap"]
        .iter()
        .enumerate()
        .map(|(n, what)| {
            saved_plan(&home, &json!({ "name": format!("Draft {n}"), "visuals": [{ "imagine": what, "seed": 1, "duration": 1 }] }))
        })
        .collect();
    let call = |more: Value| {
        let mut arguments = json!({ "plans": plans });
        for (key, value) in more.as_object().expect("keys") {
            arguments[key] = value.clone();
        }
        arguments
    };
    let error = client
        .call("compose_batch", call(json!({ "max_cost": 0.15 })))
        .expect_err("it asks");
    assert!(
        error.contains("0.2 EUR") && error.contains("2 to make"),
        "{error}"
    );
    assert_eq!(services.creations(), 0);
    let mut reply = client
        .call("compose_batch", call(json!({ "max_cost": 0.2 })))
        .expect("permitted");
    until("the batch has ended", || {
        let job = json!({ "job_id": reply["job_id"] });
        reply = client.call("job_status", job).expect("a state");
        reply["status"] != "running"
    });
    assert_eq!(reply["status"], "complete", "{reply:#}");
    assert_eq!(services.creations(), 2, "{:?}", services.accepted());
}

#[test]
fn each_tenant_has_a_budget() {
    let services = Services::start();
    let home = home_with(&sections(&services, "max_cost = 100\nbudget = 0.2"));
    let tokens = ["alice", "bob"].map(|name| bearer(&add(&home, &[name])));
    let served = home.serve_http(&[]);
    let [mut alice, mut bob] = tokens.map(|token| {
        let mut client = McpOverHttp::new(&served.url);
        client.headers.push(("Authorization".to_owned(), token));
        client.connect("2025-06-18")
    });
    let plan = |who: &str, numbers: std::ops::Range<u32>| {
        let pictures = numbers.map(|n| json!({ "imagine": format!("{who} {n}"), "duration": 1 }));
        let pictures: Vec<Value> = pictures.collect();
        json!({ "plan": { "name": who, "width": 360, "height": 640, "visuals": pictures, "save": false }, "wait_s": 60 })
    };
    let reply = alice.call("compose_draft", &plan("Alice", 0..2));
    assert_eq!(reply["status"], "complete", "{reply:#}");
    let error = alice.error("compose_draft", &plan("Alice", 2..3));
    assert!(error.contains("the budget is used up"), "{error}");
    let reply = bob.call("compose_draft", &plan("Bob", 0..2));
    assert_eq!(reply["status"], "complete", "{reply:#}");
    // What one tenant paid for is not the other's.
    let error = bob.error("compose_draft", &plan("Alice", 0..1));
    assert!(error.contains("the budget is used up"), "{error}");
    assert_eq!(services.asked(Route::Picture), 4);
}
