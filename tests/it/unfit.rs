//! Properties that do not fit a clip, which is known only when its file can be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{Answer, Home, Server, media};

/// Serves `clip.mp4`, which is 4 s long, once `is_up` is set.
fn slow_to_start(is_up: &Arc<AtomicBool>) -> Server {
    let bytes = std::fs::read(media("clip.mp4")).expect("the clip");
    let is_up = Arc::clone(is_up);
    Server::start(move |_| {
        if is_up.load(Ordering::SeqCst) {
            Answer::new(200, "video/mp4", bytes.clone())
        } else {
            Answer::new(503, "text/plain", "starting")
        }
    })
}

#[test]
fn a_save_names_every_property_that_does_not_fit_the_file() {
    let is_up = Arc::new(AtomicBool::new(false));
    let server = slow_to_start(&is_up);
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = client.call("create_draft", json!({})).expect("a draft")["draft_id"].clone();
    let url = format!("{}/clip.mp4", server.url);
    let clip = json!({
        "draft_id": draft, "video_url": url, "start": 0, "end": 8, "rotation": 30, "fade_in": 6,
        "fade_out": 5, "volume": [{ "at": 0, "value": 1 }, { "at": 6, "value": 0 }],
    });
    client.call("add_video", clip).expect("added unread");
    is_up.store(true, Ordering::SeqCst);
    let save = json!({ "draft_id": draft, "portable": true });
    for _ in 0..2 {
        let error = client
            .call("save_draft", save.clone())
            .expect_err("it does not fit");
        for part in [
            "was not saved",
            "`fade_in` is 6 s, but c1",
            "`fade_out` is 5 s",
            "`volume_curve` is [",
            "lasts 4 s",
            "give `fade_in` at most 4 s",
            "edit_draft",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    // Another process knows the length from the journal.
    let mut other = home.connected();
    let edit =
        json!({ "draft_id": draft, "operations": [{ "op": "set", "clip": "c1", "fade_in": 1 }] });
    let edited = other.call("edit_draft", edit).expect("edited").to_string();
    assert!(
        edited.contains("left out, as it does not fit: `fade_out`"),
        "{edited}"
    );
    let saved = client.call("save_draft", save).expect("it fits now");
    let folder = saved["folder"].as_str().expect("a folder");
    let document = ["draft_content.json", "draft_info.json"]
        .iter()
        .find_map(|name| std::fs::read(std::path::Path::new(folder).join(name)).ok());
    let document: Value = serde_json::from_slice(&document.expect("a document")).expect("JSON");
    let own = &document["tracks"][0]["segments"][0];
    assert_eq!(own["clip"]["rotation"], 30.0, "the others are kept");
    assert_eq!(own["common_keyframes"], json!([]));
    let fade = &document["materials"]["audio_fades"][0];
    assert_eq!(
        (&fade["fade_in_duration"], &fade["fade_out_duration"]),
        (&json!(1_000_000), &json!(0))
    );
}
