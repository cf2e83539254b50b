//! Helpers for the tests of whole videos.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::racy::{Manners, Racy};
use crate::support::Home;

/// Three sounds, `pictures` pictures with given lengths on several tracks, and texts.
pub(crate) fn plan(pictures: usize) -> Value {
    let visuals: Vec<Value> = (0..pictures)
        .map(|n| {
            let track = format!("track_{}", n % 3);
            if n % 2 == 0 {
                json!({ "video_url": format!("http://127.0.0.1:9/v{n}.mp4"), "start": 0, "end": 2, "track_name": track })
            } else {
                json!({ "image_url": format!("http://127.0.0.1:9/i{n}.png"), "duration": 2, "track_name": track })
            }
        })
        .collect();
    json!({
        "name": "Timing",
        "audio": (0..3).map(|n| json!({ "audio_url": format!("http://127.0.0.1:9/a{n}.mp3"), "end": 4 })).collect::<Vec<_>>(),
        "visuals": visuals,
        "texts": [{ "text": "one", "start": 0, "end": 1 }, { "text": "two", "start": 1, "end": 2 }],
        "save": false,
    })
}

/// Runs a plan with the command line; returns the exit code, the report and stderr.
pub(crate) fn compose(home: &Home, plan: &Value, options: &[&str]) -> (i32, Value, String) {
    let file = home.file("plan.json", plan.to_string());
    let file = file.to_string_lossy().into_owned();
    let mut line = vec!["compose", &file, "--json"];
    line.extend(options);
    let ran = home.run(&line);
    let last = ran.stdout.lines().last().unwrap_or("null").to_owned();
    let event: Value = serde_json::from_str(&last).unwrap_or(Value::Null);
    (ran.code, event["report"].clone(), ran.stderr)
}

/// A home with a server whose calls take up to `latency_ms`.
pub(crate) fn remote(latency_ms: u64) -> (Home, Racy) {
    let api = Racy::start(Manners {
        latency: Duration::from_millis(latency_ms),
        steady: false,
    });
    (Home::remote(&api.server.url), api)
}

#[test]
fn every_example_plan_can_be_made_for_both_apps() {
    let home = Home::embedded();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut checked = 0;
    for entry in std::fs::read_dir(&examples)
        .expect("the examples")
        .flatten()
    {
        let path = entry.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if !matches!(ending, Some("toml" | "yaml" | "json")) || path.with_extension("csv").exists()
        {
            continue;
        }
        let file = path.to_str().expect("a path");
        for edition in ["capcut", "jianying"] {
            let ran = home.run(&["compose", file, "--dry-run", "--edition", edition]);
            assert_eq!(
                ran.code, 0,
                "{file} {edition}: {}{}",
                ran.stdout, ran.stderr
            );
        }
        checked += 1;
    }
    assert!(checked >= 5, "{checked} plans");
}

#[test]
fn a_report_ends_with_the_next_step() {
    let home = Home::embedded();
    let ad = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/product-ad.toml");
    let ad = ad.to_str().expect("a path");
    let ran = home.run(&[
        "compose",
        ad,
        "--edition",
        "jianying",
        "--draft-folder",
        "drafts",
    ]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("\"Fly_In\" is `飞入` in JianYing"),
        "{}",
        ran.stdout
    );
    let last = ran.stdout.rfind("next: ").expect("a next step");
    assert!(
        last > ran.stdout.rfind("ms in total").expect("times"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout[last..].contains("copy the folder"),
        "{}",
        ran.stdout
    );
    let plan = json!({ "name": "Two", "save": false, "texts": [{ "text": "a", "end": 1 }] });
    let report = |plan: &Value| {
        home.file("plan.json", plan.to_string());
        let ran = home.run(&["compose", "plan.json", "--json"]);
        let line = ran.stdout.lines().last().expect("a line").to_owned();
        let event: Value = serde_json::from_str(&line).expect("JSON");
        event["report"].clone()
    };
    let unsaved = report(&plan);
    let next = unsaved["next"].as_str().expect("a next step");
    assert!(next.contains("`save_draft`"), "{unsaved}");
}
