//! The process is killed at random moments of making assets: nothing is created twice by itself, and tasks are asked for again.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{home_with, paid, saved_plan};
use crate::racy::mix;
use crate::support::services::{Manner, Route, Services, ServicesSettings};
use crate::support::{Home, Ran, full, until};

fn plan(home: &Home) -> Value {
    saved_plan(
        home,
        &json!({
            "audio": [{ "say": "The first voice." }, { "say": "The second voice." }, { "say": "The third voice." }],
            "visuals": [
                { "imagine": "a watch", "duration": 1 }, { "imagine": "a strap", "duration": 1 },
                { "imagine": "a box", "duration": 1 }, { "imagine": "a shop", "duration": 1 },
                { "film": "a hand", "duration": 1 },
            ],
        }),
    )
}

const ASSETS: usize = 8;

fn sections(services: &Services) -> Vec<String> {
    let more = "price = 0.01\nbreaker = { failures = 1000, cool_down_s = 0.1 }";
    vec![
        // Few at a time, so that a kill finds some sent and some not.
        paid("voices = 1\npictures = 2"),
        services.section("voice", "openai", "speech", more),
        services.section("draw", "openai", "picture", more),
        services.section("move", "ark", "film", more),
    ]
}

fn slowly() -> ServicesSettings {
    ServicesSettings {
        voice_delay: Duration::from_millis(30),
        picture_delay: Duration::from_millis(50),
        film_time: Duration::from_millis(120),
        ..ServicesSettings::default()
    }
}

/// The report among the events of a run.
fn reported(ran: &Ran) -> Value {
    let events = ran
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let report = events.into_iter().find(|event| event["event"] == "report");
    let mut report = report.unwrap_or_else(|| panic!("no report: {ran:#?}"));
    report["report"].take()
}

/// The items that the report of a run calls uncertain.
fn uncertain(report: &Value) -> BTreeSet<String> {
    let rows = report["items"].as_array().expect("items");
    let is_uncertain = |row: &&Value| {
        row.to_string()
            .contains("may have been accepted and billed")
    };
    let named = rows.iter().filter(is_uncertain);
    named
        .map(|row| row["item"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// How many runs were killed.
#[derive(Default)]
struct Killed {
    /// Before their end.
    all: usize,
    /// Of these, when something had been sent, but not everything.
    midway: usize,
    /// Assets of which only the services know whether they were made.
    uncertain: usize,
}

/// Kills runs of a plan at random moments, and then completes it.
fn round(seed: u64, kills: usize, killed: &mut Killed) {
    let services = Services::with(slowly(), |_| Manner::Good);
    let home = home_with(&sections(&services));
    let file = home.file("plan.json", plan(&home).to_string());
    let line = ["compose", file.to_str().expect("a path"), "--json"];
    for turn in 0..kills as u64 {
        let random = mix(seed * 1000 + turn);
        let before = services.server.asked().len();
        let mut child = home.command(&line).spawn().expect("it starts");
        // At a random moment after a random number of requests, so that a busy machine is killed midway, too. Later runs
        // have less to do: what is there is not requested.
        let wanted = before + (random % 8) as usize;
        until("it ends or asks", || {
            services.server.asked().len() >= wanted || child.try_wait().expect("a state").is_some()
        });
        thread::sleep(Duration::from_micros((random >> 8) % 60_000));
        child.kill().expect("killed");
        if !child.wait().expect("an end").success() {
            killed.all += 1;
            killed.midway += usize::from((1..ASSETS).contains(&services.creations()));
        }
    }
    services.server.wait_until_idle();
    for ((route, text), count) in services.accepted() {
        assert_eq!(count, 1, "{route:?} {text:?}, seed {seed}");
    }
    let report = reported(&home.run(&line));
    let left = uncertain(&report);
    let failed = report["totals"]["failed"].as_u64().expect("a number") as usize;
    assert_eq!(failed, left.len(), "seed {seed}: {report:#}");
    for ((route, text), count) in services.accepted() {
        assert_eq!(count, 1, "{route:?} {text:?}, seed {seed}");
    }
    // What is uncertain is sent again only on purpose.
    let again = ["compose", line[1], "--json", "--retry-uncertain"];
    let report = reported(&home.run(&again));
    assert_eq!(report["outcome"], "complete", "seed {seed}: {report:#}");
    let twice = services
        .accepted()
        .values()
        .filter(|count| **count > 1)
        .count();
    assert!(
        twice <= left.len(),
        "seed {seed}: {left:?}, {:?}",
        services.accepted()
    );
    assert_eq!(services.accepted().len(), ASSETS, "seed {seed}");
    let asked = services.server.asked().len();
    home.run(&line).success();
    assert_eq!(
        services.server.asked().len(),
        asked,
        "seed {seed}: a finished plan asks for nothing"
    );
    assert_eq!(services.complaints(), [""; 0]);
    killed.uncertain += left.len();
}

#[test]
fn nothing_is_created_twice_by_processes_that_are_killed() {
    let (rounds, kills) = if full() { (67, 3) } else { (8, 3) };
    let mut killed = Killed::default();
    for seed in 0..rounds {
        round(seed, kills, &mut killed);
    }
    let Killed {
        all,
        midway,
        uncertain,
    } = killed;
    let runs = rounds as usize * kills;
    eprintln!("killed: {all} of {runs}, {midway} midway; {uncertain} assets were uncertain");
    let least = if full() { runs / 20 } else { 1 };
    assert!(all * 2 >= runs && midway >= least, "{all} {midway}");
}

#[test]
fn a_task_is_asked_for_again_after_a_kill() {
    for (kind, route, prefix) in [
        ("ark", Route::ArkFilm, "/ark/contents/generations/tasks/"),
        ("openai", Route::Film, "/v1/videos/"),
    ] {
        let settings = ServicesSettings {
            film_time: Duration::from_millis(1500),
            ..slowly()
        };
        let services = Services::with(settings, |_| Manner::Good);
        let home = home_with(&[
            paid(""),
            services.section("move", kind, "film", "price = 1"),
        ]);
        let plan = saved_plan(
            &home,
            &json!({ "visuals": [{ "film": "a hand", "duration": 1 }] }),
        );
        let file = home.file("plan.json", plan.to_string());
        let line = ["compose", file.to_str().expect("a path"), "--json"];
        let mut child = home.command(&line).spawn().expect("it starts");
        until("the task is asked for", || {
            services.server.count(prefix) > 0
        });
        child.kill().expect("killed");
        child.wait().expect("an end");
        let report = reported(&home.run(&line));
        assert_eq!(report["outcome"], "complete", "{report:#}");
        assert_eq!(services.asked(route), 1, "{kind}");
        assert_eq!(services.cancelled(), 0, "{kind}");
    }
}
