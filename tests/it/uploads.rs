//! Files that clients send to a server, and name in their calls.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use crate::support::{Home, McpOverHttp, PATIENCE, Served, http, media, until};

fn put(served: &Served, name: &str, content: &[u8]) -> (u16, Value) {
    let url = format!("{}/files/{name}", served.url);
    let (status, text) = http("PUT", &url, &[], content);
    let answer = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    (status, answer)
}

fn files(home: &Home) -> Vec<String> {
    let Ok(entries) = fs::read_dir(home.data().join("files")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn uploaded_files_are_used_in_calls_plans_and_the_api() {
    let home = Home::new();
    let served = home.serve_http(&["--backend", "embedded"]);
    for (name, file) in [
        ("clip.mp4", "clip.mp4"),
        ("%E5%9B%BE%20%E7%89%87.jpg", "picture.jpg"),
        ("captions.srt", "captions.srt"),
        ("music.mp3", "music.mp3"),
    ] {
        let content = fs::read(media(file)).expect("an example");
        let (status, answer) = put(&served, name, &content);
        assert_eq!(status, 201, "{name}: {answer}");
        assert_eq!(answer["bytes"], content.len(), "{answer}");
        let (status, again) = put(&served, name, &content);
        assert_eq!((status, &again), (200, &answer), "{name}");
    }
    let (status, text) = http("GET", &format!("{}/files", served.url), &[], b"");
    assert_eq!(status, 200);
    let listed: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(listed["files"].as_array().map(Vec::len), Some(4), "{text}");
    assert!(text.contains("files/"), "{text}");

    let mut client = McpOverHttp::connected(&served.url, "2025-11-25");
    let draft = client.call("create_draft", &json!({}))["draft_id"].clone();
    client.call(
        "add_video",
        &json!({ "draft_id": draft, "video_url": "files/clip.mp4" }),
    );
    client.call(
        "add_subtitle",
        &json!({ "draft_id": draft, "srt": "files/captions.srt" }),
    );
    client.call("save_draft", &json!({ "draft_id": draft }));
    let made = client.call(
        "compose_draft",
        &json!({ "plan": {
            "visuals": [{ "image_url": "files/图 片.jpg" }, { "video_url": "files/clip.mp4" }],
            "audio": [{ "audio_url": "files/music.mp3" }] } }),
    );
    let folder = made["report"]["folder"].as_str();
    assert!(
        folder.is_some_and(|folder| std::path::Path::new(folder).is_dir()),
        "{made}"
    );
    let made = served.output("/create_draft", &json!({})).expect("a draft");
    let added = served.output(
        "/add_image",
        &json!({ "draft_id": made["draft_id"], "image_url": "files/图 片.jpg", "end": 1 }),
    );
    assert!(added.is_ok(), "{added:?}");
    let missing = client.error(
        "add_video",
        &json!({ "draft_id": draft, "video_url": "files/other.mp4" }),
    );
    assert!(missing.contains("files/other.mp4"), "{missing}");
}

#[test]
fn what_is_not_a_usable_file_is_refused_and_leaves_nothing() {
    let home = Home::new();
    let config = home.file("tools.toml", "[limits]\nupload_bytes = 200000\n");
    let config = config.display().to_string();
    let served = home.serve_http(&["--backend", "embedded", "--config", &config]);
    let clip = fs::read(media("picture.jpg")).expect("an example");
    let large = vec![b'x'; 200_001];
    for (name, content, wanted) in [
        ("..%2Fa.jpg", &clip[..], 400),
        ("%2e%2e", &clip[..], 400),
        ("a%2Fb.jpg", &clip[..], 400),
        ("a%5Cb.jpg", &clip[..], 400),
        ("a%00.jpg", &clip[..], 400),
        ("con.jpg", &clip[..], 400),
        ("picture", &clip[..], 400),
        (".jpg", &clip[..], 400),
        ("a.mp4", &clip[..], 415),
        ("a.jpg", &b"no picture"[..], 415),
        ("a.exe", &b"MZ"[..], 415),
        ("a.srt", &b""[..], 400),
        ("a.srt", &large[..], 400),
    ] {
        let (status, answer) = put(&served, name, content);
        assert_eq!(status, wanted, "{name}: {answer}");
        assert_eq!(answer["success"], false, "{name}: {answer}");
        let error = answer["error"].as_str().expect("a text");
        assert!(
            !error.contains(home.path().to_str().expect("a path")),
            "{error}"
        );
    }
    assert_eq!(files(&home), [""; 0]);
    let (status, _) = put(&served, "a.jpg", &clip);
    assert_eq!(status, 201);
    let other = fs::read(media("captions.srt")).expect("an example");
    let (status, _) = put(&served, "b.srt", &other);
    assert_eq!(status, 201);
    let (status, answer) = put(
        &served,
        "b.srt",
        b"1\n00:00:00,000 --> 00:00:01,000\nother\n",
    );
    assert_eq!(status, 409, "{answer}");
    assert_eq!(
        fs::read(home.data().join("files/b.srt")).expect("kept"),
        other
    );
    let url = format!("{}/files/b.srt", served.url);
    assert_eq!(http("DELETE", &url, &[], b"").0, 200);
    assert_eq!(http("DELETE", &url, &[], b"").0, 404);
    assert_eq!(http("GET", &url, &[], b"").0, 405);
    assert_eq!(files(&home), ["a.jpg"]);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let home = Home::new();
    let served = home.serve_http(&["--backend", "embedded"]);
    let address = served.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    write!(
        stream,
        "PUT /files/a.srt HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1000\r\n\r\nhalf"
    )
    .expect("sent");
    until("the file arrives", || files(&home).len() == 1);
    stream.shutdown(Shutdown::Write).expect("closed");
    let mut rest = String::new();
    let _ = stream.read_to_string(&mut rest);
    until("the rest is removed", || files(&home).is_empty());
    let (status, _) = put(
        &served,
        "a.srt",
        b"1\n00:00:00,000 --> 00:00:01,000\nwhole\n",
    );
    assert_eq!(status, 201);
}
