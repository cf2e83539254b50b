//! The process is killed at random moments of composing: everything it acknowledged exists afterwards, exactly
//! once.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::racy::{Manners, Racy, mix};
use crate::support::{Client, Home, Server, full, media};

/// An edit: its tool, its track, its start in seconds.
type Edit = (&'static str, &'static str, u64);

const EDITS: u64 = 36;

fn edits() -> impl Iterator<Item = Edit> {
    (0..EDITS).map(|n| match n % 4 {
        0 => ("add_text", "words", n),
        1 => ("add_image", "front", n),
        2 => ("add_image", "back", n),
        _ => ("add_audio", "sound", n),
    })
}

fn arguments((tool, track, start): Edit, draft: &str) -> Value {
    let mut arguments = match tool {
        "add_text" => json!({ "text": format!("at {start}"), "start": start, "end": start + 1 }),
        "add_image" => json!({ "image_url": media("logo.png"), "start": start, "end": start + 1 }),
        _ => {
            json!({ "audio_url": media("music.mp3"), "target_start": start, "start": 0, "end": 1 })
        }
    };
    arguments["track_name"] = json!(track);
    arguments["draft_id"] = json!(draft);
    arguments
}

/// How many segments there are at each start on each track.
fn places(script: &Value) -> BTreeMap<(String, u64), usize> {
    let mut places = BTreeMap::new();
    for track in script["tracks"].as_array().expect("tracks") {
        let name = track["name"].as_str().unwrap_or_default();
        for segment in track["segments"].as_array().expect("segments") {
            let start = segment["target_timerange"]["start"]
                .as_f64()
                .expect("a start");
            *places
                .entry((name.to_owned(), (start / 1e6) as u64))
                .or_default() += 1;
        }
    }
    places
}

/// The draft as a new process reads it.
fn read_by_new_process(home: &Home, draft: &str) -> BTreeMap<(String, u64), usize> {
    let ask = json!({ "draft_id": draft, "force_update": false });
    let reply = home.call("query_script", &ask).expect("the draft is there");
    let script = reply["script"].as_str().expect("a document");
    places(&serde_json::from_str(script).expect("JSON"))
}

/// Kills a process that has received all calls together; returns the draft and what had been acknowledged by
/// then.
fn killed(home: &Home, instant: Instant) -> (String, BTreeSet<(String, u64)>) {
    let mut client = home.connected();
    let made = client.call("create_draft", json!({})).expect("a draft");
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    let asked: BTreeMap<u64, Edit> = edits()
        .map(|edit| {
            let params = json!({ "name": edit.0, "arguments": arguments(edit, &draft) });
            (client.ask("tools/call", params), edit)
        })
        .collect();
    let mut answered = Vec::new();
    while answered.len() < instant.answers && next_answer(&mut client, &mut answered) {}
    thread::sleep(instant.then);
    client.child.kill().expect("killed");
    client.wait();
    while next_answer(&mut client, &mut answered) {}
    let acknowledged = answered
        .into_iter()
        .map(|(id, result)| {
            let edit = asked[&id];
            assert!(result["isError"] != json!(true), "{edit:?}: {result}");
            (edit.1.to_owned(), edit.2)
        })
        .collect();
    (draft, acknowledged)
}

/// Reads the next answer; false if there is none or only part of one, because the process is dead.
fn next_answer(client: &mut Client, answered: &mut Vec<(u64, Value)>) -> bool {
    let Some(line) = client.line() else {
        return false;
    };
    let Ok(message) = serde_json::from_str::<Value>(&line) else {
        return false;
    };
    if let Some(id) = message["id"].as_u64() {
        answered.push((id, message["result"].clone()));
    }
    true
}

#[track_caller]
fn check(places: &BTreeMap<(String, u64), usize>, acknowledged: &BTreeSet<(String, u64)>) {
    for place in acknowledged {
        assert!(
            places.contains_key(place),
            "{place:?} was acknowledged and is lost: {places:?}"
        );
    }
    for (place, times) in places {
        assert_eq!(*times, 1, "{place:?}");
    }
}

/// A client repeats all calls; those that were applied before are refused because of an overlap.
fn repeat_all_calls(home: &Home, draft: &str) {
    let mut client = home.connected();
    for edit in edits() {
        if let Err(error) = client.call(edit.0, arguments(edit, draft)) {
            assert!(
                error.contains("is occupied from") || error.contains("overlaps"),
                "{edit:?}: {error}"
            );
        }
    }
    assert_eq!(client.end(), 0);
}

fn rounds() -> u64 {
    if full() { 100 } else { 8 }
}

/// The moment at which a process is killed: after a number of answers plus a short time.
struct Instant {
    answers: usize,
    then: Duration,
}

fn instant(round: u64) -> Instant {
    let roll = mix(round + 77);
    Instant {
        answers: (roll % EDITS) as usize,
        then: Duration::from_micros((roll >> 32) % 3000),
    }
}

/// Enough processes were killed in the middle, neither before their first nor after their last acknowledged call.
fn assert_killed_midway(counts: &[usize]) {
    let middle = counts
        .iter()
        .filter(|count| (1..EDITS as usize).contains(*count))
        .count();
    eprintln!("acknowledged before the end: {counts:?}");
    assert!(are_enough(middle, counts.len()), "{counts:?}");
}

/// The few rounds of the short form say little about the distribution of the moments.
fn are_enough(hit: usize, rounds: usize) -> bool {
    if full() { hit * 3 >= rounds } else { hit > 0 }
}

#[test]
fn calls_acknowledged_by_the_engine_survive_a_kill_exactly_once() {
    let mut counts = Vec::new();
    for round in 0..rounds() {
        let home = Home::embedded();
        let (draft, acknowledged) = killed(&home, instant(round));
        check(&read_by_new_process(&home, &draft), &acknowledged);
        counts.push(acknowledged.len());
        if round % 4 == 0 {
            repeat_all_calls(&home, &draft);
            let all = read_by_new_process(&home, &draft);
            check(&all, &acknowledged);
            assert_eq!(all.len(), EDITS as usize, "round {round}");
        }
    }
    assert_killed_midway(&counts);
}

#[test]
fn calls_acknowledged_by_a_server_survive_a_kill_exactly_once_even_if_the_server_dies() {
    let mut counts = Vec::new();
    for round in 0..rounds() {
        let api = Racy::start(Manners {
            latency: Duration::from_millis(4),
            steady: false,
        });
        let mut home = Home::remote(&api.server.url);
        home.set("CAPCUT_MCP_RECOVER", "auto");
        let (draft, acknowledged) = killed(&home, instant(round));
        counts.push(acknowledged.len());
        api.server.wait_until_idle();
        check(&read_by_new_process(&home, &draft), &acknowledged);
        match round % 4 {
            0 => {
                repeat_all_calls(&home, &draft);
                let all = read_by_new_process(&home, &draft);
                check(&all, &acknowledged);
                assert_eq!(all.len(), EDITS as usize, "round {round}");
            }
            1 => {
                api.forget();
                check(&read_by_new_process(&home, &draft), &acknowledged);
            }
            _ => {}
        }
    }
    assert_killed_midway(&counts);
}

/// Kills a process that makes a whole video, then resumes the job.
fn killed_and_resumed(home: &Home, server: &Server, after: Duration) -> (bool, Value) {
    let items: Vec<Value> = edits().map(|edit| arguments(edit, "")).collect();
    let of = |tool: &str| -> Vec<Value> {
        let all = edits()
            .zip(&items)
            .filter(|((name, _, _), _)| *name == tool);
        all.map(|(_, item)| {
            let mut item = item.clone();
            item.as_object_mut()
                .expect("an object")
                .shift_remove("draft_id");
            item
        })
        .collect()
    };
    let plan = json!({ "audio": of("add_audio"), "visuals": of("add_image"), "texts": of("add_text"), "save": false });
    let mut client = home.connected();
    let asked = json!({ "plan": plan, "wait_s": 0 });
    let running = client.call("compose_draft", asked).expect("running");
    thread::sleep(after);
    client.child.kill().expect("killed");
    client.wait();
    server.wait_until_idle();
    let mut client = home.connected();
    let job = running["job_id"].clone();
    let told = client
        .call("job_status", json!({ "job_id": job }))
        .expect("a status");
    if told["status"] == "complete" {
        return (false, told);
    }
    assert_eq!(told["status"], "interrupted", "{told}");
    let resumed = client.call("compose_draft", json!({ "resume": job }));
    (true, resumed.expect("resumed"))
}

#[test]
fn a_video_is_completed_after_a_kill_without_duplicates() {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(4),
        steady: false,
    });
    let mut interrupted = 0;
    for round in 0..rounds() / 2 {
        for (backend, longest_us) in [("embedded", 12_000), ("remote", 70_000)] {
            let mut home = Home::new();
            home.api(&api.server.url).set("CAPCUT_MCP_BACKEND", backend);
            let after = Duration::from_micros(mix(round + 5) % longest_us);
            let (in_the_middle, done) = killed_and_resumed(&home, &api.server, after);
            interrupted += usize::from(in_the_middle);
            assert_eq!(
                done["status"], "complete",
                "{backend}, round {round}: {done}"
            );
            let draft = done["draft_id"].as_str().expect("a draft");
            let found = read_by_new_process(&home, draft);
            check(&found, &BTreeSet::new());
            assert_eq!(
                found.len(),
                EDITS as usize,
                "{backend}, round {round}: {found:?}"
            );
        }
    }
    eprintln!("killed in the middle: {interrupted} of {}", rounds());
    assert!(
        are_enough(interrupted, rounds() as usize),
        "{interrupted} of {}",
        rounds()
    );
}
