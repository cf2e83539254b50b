//! Properties that do not fit a clip, which is known only when its file can be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::drafts::saved_at;
use crate::support::{Answer, Client, Home, Server, media};

/// Serves `clip.mp4` and `voice.mp3`, which are 4 s and 3 s long, once `is_up` is set.
fn slow_to_start(is_up: &Arc<AtomicBool>) -> Server {
    let is_up = Arc::clone(is_up);
    Server::start(move |asked| {
        let name = asked.path.trim_start_matches('/');
        let kind = if name.ends_with("mp3") {
            "audio/mpeg"
        } else {
            "video/mp4"
        };
        if is_up.load(Ordering::SeqCst) {
            Answer::new(200, kind, std::fs::read(media(name)).expect("a file"))
        } else {
            Answer::new(503, "text/plain", "starting")
        }
    })
}

/// A draft with these calls, made while the server's files cannot be read.
fn unread(client: &mut Client, calls: &[(&str, Value)]) -> Value {
    let draft = client.call("create_draft", json!({})).expect("a draft")["draft_id"].clone();
    for (tool, arguments) in calls {
        let mut arguments = arguments.clone();
        arguments["draft_id"] = draft.clone();
        client.call(tool, arguments).expect("added unread");
    }
    draft
}

#[test]
fn a_save_names_every_property_that_does_not_fit_the_file() {
    let is_up = Arc::new(AtomicBool::new(false));
    let server = slow_to_start(&is_up);
    let home = Home::embedded();
    let mut client = home.connected();
    let clip = json!({
        "video_url": format!("{}/clip.mp4", server.url), "start": 0, "end": 8, "rotation": 30,
        "volume": [{ "at": 0, "value": 1 }, { "at": 6, "value": 0 }],
    });
    let draft = unread(&mut client, &[("add_video", clip)]);
    is_up.store(true, Ordering::SeqCst);
    let save = json!({ "draft_id": draft, "portable": true });
    for _ in 0..2 {
        let error = client
            .call("save_draft", save.clone())
            .expect_err("it does not fit");
        for part in [
            "was not saved",
            "`volume_curve` is [",
            "6 s is not within c1 (video \"clip.mp4\"",
            "from 0 s to 4 s",
            "edit_draft",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    // Another process knows the length from the journal.
    let mut other = home.connected();
    let edit =
        json!({ "draft_id": draft, "operations": [{ "op": "set", "clip": "c1", "volume": 0.5 }] });
    let edited = other.call("edit_draft", edit).expect("edited").to_string();
    assert!(
        edited.contains("left out, as it does not fit: `volume_curve`"),
        "{edited}"
    );
    let saved = client.call("save_draft", save).expect("it fits now");
    let (_, document) = saved_at(&saved);
    let own = &document["tracks"][0]["segments"][0];
    assert_eq!(own["clip"]["rotation"], 30.0, "the others are kept");
    assert_eq!(
        (&own["common_keyframes"], &own["volume"]),
        (&json!([]), &json!(0.5))
    );
}

#[test]
fn fades_are_shortened_to_the_file_and_the_save_says_so() {
    let is_up = Arc::new(AtomicBool::new(false));
    let server = slow_to_start(&is_up);
    let home = Home::embedded();
    let mut client = home.connected();
    let fades = |url: &str, name: &str| {
        json!({
            url: format!("{}/{name}", server.url), "start": 0, "end": 8, "fade_in": 3, "fade_out": 5,
        })
    };
    let draft = unread(
        &mut client,
        &[
            ("add_video", fades("video_url", "clip.mp4")),
            ("add_audio", fades("audio_url", "voice.mp3")),
        ],
    );
    is_up.store(true, Ordering::SeqCst);
    let save = json!({ "draft_id": draft, "portable": true });
    let saved = client.call("save_draft", save).expect("it fits");
    let notes = saved["notes"].to_string();
    let told = "`fade_in` and `fade_out` were shortened to 3 s and ";
    assert_eq!(notes.matches(told).count(), 2, "{notes}");
    let (_, document) = saved_at(&saved);
    let fades = document["materials"]["audio_fades"]
        .as_array()
        .expect("fades");
    assert_eq!(fades.len(), 2, "{document}");
    for fade in fades {
        let of = |key: &str| fade[key].as_i64().expect("a time");
        let whole = of("fade_in_duration") + of("fade_out_duration");
        assert_eq!(of("fade_in_duration"), 3_000_000);
        assert!((3_000_001..=4_000_000).contains(&whole), "{fade}");
    }
}
