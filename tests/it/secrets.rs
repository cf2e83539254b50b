//! Passwords, tokens and keys appear in no error, log, report, list, label or saved draft.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::{Answer, Asked, Home, Server, http, media, until};

/// Used as the value of every secret.
const SECRET: &str = "S3CRETvalue";

/// A CapCut API that creates drafts, but answers every edit with an error that repeats the request.
fn api() -> Server {
    Server::start(|asked: &Asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        match path {
            "/get_mask_types" => Answer::success(&json!([{ "name": "Linear" }])),
            "/create_draft" => Answer::success(
                &json!({ "draft_id": "dfd_cat_1700000000_0badcafe", "draft_url": "" }),
            ),
            "/query_script" => Answer::success(&json!("{\"tracks\": [], \"materials\": {}}")),
            _ => Answer::failure(&format!(
                "bad request to {} by {:?}",
                asked.path, asked.headers
            )),
        }
    })
}

#[test]
fn secrets_in_the_api_url_are_sent_there_and_never_shown() {
    let server = api();
    let host = server.url.trim_start_matches("http://").to_owned();
    let given = format!("http://me:{SECRET}1@{host}/?key={SECRET}2&X-Amz-Signature={SECRET}3");
    let mut home = Home::new();
    let log = home.path().join("log");
    home.api(&given);
    let log_option = log.to_str().unwrap().to_owned();
    let mut shown = Vec::new();
    for command in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["call", "health_check"],
        &["call", "create_draft"],
        &["call", "list_drafts"],
        &[
            "call",
            "add_text",
            "draft_id=dfd_cat_1700000000_0badcafe",
            "text=a",
            "start=0",
            "end=1",
        ],
        &["call", "save_draft", "draft_id=dfd_cat_1700000000_0badcafe"],
    ] {
        let options = ["--log", "trace", "--log-file", &log_option];
        let ran = home.run(&[command, &options].concat());
        shown.push((command.join(" "), format!("{}{}", ran.stdout, ran.stderr)));
    }
    shown.push(("log".to_owned(), fs::read_to_string(&log).unwrap()));

    let mut client = home.serve_with(&["serve", "--metrics", "0", "--log", "debug"]);
    client.initialize("2025-11-25");
    let _ = client.call("create_draft", json!({}));
    let _ = client.call(
        "add_text",
        json!({ "draft_id": "dfd_cat_1700000000_0badcafe", "text": "a", "start": 0, "end": 1 }),
    );
    let health = client.call("health_check", json!({})).unwrap();
    shown.push(("health_check".to_owned(), health.to_string()));
    let drafts = client.request("resources/list", json!({}));
    shown.push(("resources".to_owned(), drafts.to_string()));
    let mut address = None;
    until("metrics are served", || {
        address = client.said.address("metrics are served at ");
        address.is_some()
    });
    let (_, metrics) = http(
        "GET",
        &format!("http://{}/metrics", address.unwrap()),
        &[],
        b"",
    );
    shown.push(("metrics".to_owned(), metrics));
    shown.push(("stderr".to_owned(), client.stderr()));
    assert_eq!(client.end(), 0);

    for (what, text) in &shown {
        assert!(!text.contains(SECRET), "{what}: {text}");
    }
    let health = &shown[2].1;
    assert!(
        health.contains(&server.url),
        "the address is still shown: {health}"
    );
    // The server itself receives them.
    let asked = server.asked();
    let mut edits = asked
        .iter()
        .filter(|asked| asked.path.starts_with("/create_draft"));
    assert!(
        edits.all(|asked| asked.path.contains(&format!("key={SECRET}2"))
            && asked.headers["authorization"].starts_with("Basic ")
            && asked.headers["host"] == host)
    );
}

#[test]
fn an_invalid_api_url_is_refused_without_showing_its_secrets() {
    for given in [
        "http:me:S3CRETvalue@127.0.0.1:9/x",
        "//me:S3CRETvalue@127.0.0.1:9",
        "me:S3CRETvalue@127.0.0.1:9",
        "ftp://me:S3CRETvalue@127.0.0.1:9/",
        "HTTP://me:S3CRETvalue@127.0.0.1:9/",
        "http://me:S3CRETvalue@127.0.0.1:9/a;jsessionid=S3CRETvalue",
        "http://me:S3/CRETvalue@127.0.0.1:9/",
        "http://127.0.0.1:9/p/http%3A%2F%2Fme%3AS3CRETvalue%40h",
        "http://127.0.0.1:9/?access_token=S3CRETvalue#S3CRETvalue",
    ] {
        let mut home = Home::new();
        home.api(given);
        home.set("CAPCUT_MCP_BACKEND", "remote");
        for command in [
            &["call", "create_draft"][..],
            &["doctor"],
            &["call", "health_check"],
        ] {
            let ran = home.run(&[command, &["--log", "trace"]].concat());
            let shown = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!shown.contains("CRETvalue"), "{given}: {shown}");
        }
    }
}

#[test]
fn secrets_in_media_urls_are_in_no_error_log_or_saved_draft() {
    let clip = fs::read(media("clip.mp4")).unwrap();
    let server = Server::start(move |asked: &Asked| match asked.path.split('?').next() {
        Some("/clip.mp4") => Answer::new(200, "video/mp4", clip.clone()),
        _ => Answer::new(
            404,
            "text/plain",
            format!("no {} for {:?}", asked.path, asked.headers),
        ),
    });
    let host = server.url.trim_start_matches("http://");
    let home = Home::embedded();
    let log = home.path().join("log");
    let log_option = log.to_str().unwrap().to_owned();
    let options = ["--log", "trace", "--log-file", &log_option];
    let call = |arguments: &[&str]| home.run(&[&["call"], arguments, &options].concat());
    let draft = |name: &str| {
        let created = call(&["create_draft", name]).success().json();
        format!("draft_id={}", created["draft_id"].as_str().unwrap())
    };
    // Media that cannot be downloaded make the save of their draft fail.
    let (id, other) = (draft("name=trip"), draft("name=other"));
    let mut shown = Vec::new();
    for (number, (url, works)) in [
        (
            format!("http://me:{SECRET}@{host}/clip.mp4?token={SECRET}#{SECRET}"),
            true,
        ),
        (
            format!("http://{host}/clip.mp4?X-Amz-Signature={SECRET}&{SECRET}"),
            true,
        ),
        (
            format!("http://me:{SECRET}@{host}/none.mp4;jsessionid={SECRET}?key={SECRET}"),
            false,
        ),
        (format!("http:me:{SECRET}@127.0.0.1:9/none.mp4"), false),
        (format!("ftp://me:{SECRET}@{host}/none.mp4"), false),
        (format!("rtsp://me:{SECRET}@{host}/none"), false),
        (format!("//me:{SECRET}@{host}/none.mp4"), false),
        (
            format!("http://127.0.0.1:9/p/http%3A%2F%2Fme%3A{SECRET}%40h"),
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let ran = call(&[
            "add_video",
            if works { &id } else { &other },
            &format!("video_url={url}"),
            "start=0",
            "end=1",
            &format!("target_start={}", 2 * number),
        ]);
        assert!(ran.code == 0 || !works, "{url}: {}", ran.stderr);
        shown.push(ran.stderr);
        let ran = call(&["get_video_duration", &format!("video_url={url}")]);
        shown.push(format!("{}{}", ran.stdout, ran.stderr));
    }
    let folder = home.path().join("drafts");
    shown.push(call(&["save_draft", &other]).stderr);
    let ran = call(&[
        "save_draft",
        &id,
        &format!("draft_folder={}", folder.display()),
    ])
    .success();
    shown.push(format!("{}{}", ran.stdout, ran.stderr));
    shown.push(fs::read_to_string(&log).unwrap());
    for text in &shown {
        assert!(!text.contains(SECRET), "{text}");
    }
    nothing_below_holds(&folder, SECRET);
}

fn nothing_below_holds(folder: &Path, secret: &str) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            nothing_below_holds(&path, secret);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let held = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!held, "{}", path.display());
    }
}
