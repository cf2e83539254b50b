//! A service that is down, breaks off and comes back.

use std::fs;

use serde_json::{Value, json};

use super::server::S3;
use super::{home, no_secrets};
use crate::access::{add, bearer};
use crate::support::{McpOverHttp, http, media, until};

#[test]
fn a_draft_that_was_saved_while_the_service_was_down_can_be_downloaded_later() {
    let s3 = S3::start();
    let home = home(&s3.url, "");
    let served = home.serve_http(&[]);
    let mut client = McpOverHttp::connected(&served.url, "2025-11-25");
    let draft = client.call("create_draft", &json!({}))["draft_id"].clone();
    s3.down();
    let saved = client.call("save_draft", &json!({ "draft_id": draft }));
    assert_eq!(saved["download_url"], Value::Null, "{saved}");
    assert!(
        saved["notes"].to_string().contains("cannot be downloaded"),
        "{saved}"
    );
    assert!(
        s3.objects("team")
            .iter()
            .all(|path| !path.ends_with(".zip"))
    );
    s3.up();
    let mut link = Value::Null;
    until("the draft can be downloaded", || {
        link = client.call("save_draft", &json!({ "draft_id": draft }))["download_url"].clone();
        link.is_string()
    });
    assert_eq!(http("GET", link.as_str().expect("a link"), &[], b"").0, 200);
    assert_eq!(s3.objects("team/t/local/drafts").len(), 1);
}

#[test]
fn files_that_arrive_in_part_are_not_used() {
    let s3 = S3::start();
    let (one, other) = (home(&s3.url, ""), home(&s3.url, ""));
    let (first, second) = (one.serve_http(&[]), other.serve_http(&[]));
    let clip = fs::read(media("clip.mp4")).expect("an example");
    let url = format!("{}/files/clip.mp4", first.url);
    assert_eq!(http("PUT", &url, &[], &clip).0, 201);
    let draft = second.output("/create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    let clip_of = json!({ "draft_id": draft, "video_url": "files/clip.mp4", "start": 0, "end": 1 });
    // Little of it arrives with each of the tries.
    s3.cut_at(2_000);
    let added = second.output("/add_video", &clip_of);
    assert!(added.is_err(), "{added:?}");
    let copies = other.data().join("files/.copies");
    let left = fs::read_dir(&copies).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing of it is left");
    s3.up();
    until("the file is used", || {
        second.output("/add_video", &clip_of).is_ok()
    });
    no_secrets(&other, &[second.stderr()]);
}

#[test]
fn readiness_tries_the_bucket_but_not_for_every_caller() {
    let s3 = S3::start();
    let home = home(&s3.url, "");
    let token = bearer(&add(&home, &["monitor"]));
    let served = home.serve_http(&[]);
    let ready = |token: Option<&str>| {
        let headers: Vec<_> = token
            .iter()
            .map(|token| ("Authorization", *token))
            .collect();
        http("GET", &format!("{}/ready", served.url), &headers, b"")
    };
    let (status, text) = ready(Some(&token));
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("\"storage\":\"ok\""), "{text}");
    assert!(s3.objects("team").is_empty(), "the probe is deleted");
    let before = s3.connections();
    for _ in 0..50 {
        let (status, text) = ready(None);
        assert_eq!(status, 200);
        assert!(!text.contains("storage"), "{text}");
    }
    assert!(
        s3.connections() <= before + 3,
        "the result is kept for some time"
    );
    s3.down();
    until("it is not ready", || ready(None).0 == 503);
    let (_, text) = ready(Some(&token));
    assert!(text.contains("object storage (bucket drafts"), "{text}");
    s3.up();
    until("it is ready again", || ready(None).0 == 200);
}
