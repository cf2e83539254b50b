//! Helpers for the tests of whole videos.

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
