//! Memory that large work used goes back to the system. Only for Linux with glibc, whose allocator keeps it.

use std::fmt::Write as _;
use std::process::Child;

use serde_json::json;

use super::support::{Home, until};

/// Megabytes that a process holds.
fn resident(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.expect("its memory").split_whitespace().nth(1);
    let kilobytes: u64 = kilobytes.expect("a number").parse().expect("a number");
    kilobytes / 1024
}

fn captions(count: usize) -> String {
    let mut srt = String::new();
    let time = |ms: usize| {
        let (s, ms) = (ms / 1000, ms % 1000);
        format!("{:02}:{:02}:{:02},{ms:03}", s / 3600, s / 60 % 60, s % 60)
    };
    for number in 0..count {
        let (start, end) = (time(number * 1000), time(number * 1000 + 900));
        let _ = write!(
            srt,
            "{}\n{start} --> {end}\ncaption {number}\n\n",
            number + 1
        );
    }
    srt
}

#[test]
fn memory_of_large_saves_is_released() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = client.call("create_draft", json!({})).expect("a draft")["draft_id"].clone();
    let subtitles = json!({ "draft_id": draft, "srt": captions(5_000) });
    client.call("add_subtitle", subtitles).expect("added");
    for _ in 0..3 {
        let save = json!({ "draft_id": draft, "wait_s": 50 });
        client.call("save_draft", save).expect("saved");
    }
    // Without releasing, 300 MB stay; 30 to 60 MB are in use.
    until("the memory is released", || resident(&client.child) < 140);
    assert_eq!(client.end(), 0);
}

#[test]
fn memory_of_refused_bodies_is_released() {
    let home = Home::embedded();
    let engine = home.engine(&[]);
    // 17 MB of numbers: more values than a body may have; then as one text, which is an unknown field.
    let values = json!({ "x": vec![0; 8_500_000] });
    let text = json!({ "x": "a".repeat(17 << 20), "draft_id": "unknown" });
    for body in [&values, &text, &values, &text, &values, &text] {
        let (_, answer) = engine.post("/add_text", body);
        assert!(answer.contains("\"success\":false"), "{answer:.300}");
    }
    until("the memory is released", || resident(&engine.child) < 90);
}
