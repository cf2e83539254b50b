//! `capcut-mcp engine` over HTTP: all kinds of bodies, connections, limits, and invalid arguments.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Value, json};

use crate::support::{self, Home, Served, http, media_server};

const POSTS: [&str; 13] = [
    "create_draft",
    "add_video",
    "add_audio",
    "add_image",
    "add_text",
    "add_subtitle",
    "add_sticker",
    "add_effect",
    "add_video_keyframe",
    "query_script",
    "save_draft",
    "query_draft_status",
    "generate_draft_url",
];

/// Posts these bytes as JSON; returns the status and the body of the answer.
fn post(served: &Served, path: &str, body: &[u8]) -> (u16, String) {
    let kind = [("Content-Type", "application/json")];
    http("POST", &format!("{}{path}", served.url), &kind, body)
}

fn draft(served: &Served) -> String {
    let created = served
        .output("/create_draft", &json!({}))
        .expect("a draft is made");
    created["draft_id"].as_str().expect("its id").to_owned()
}

/// The document of the draft.
fn script(served: &Served, draft: &str) -> Value {
    let request = json!({"draft_id": draft, "force_update": false});
    let output = served
        .output("/query_script", &request)
        .unwrap_or_else(|error| panic!("{draft} is broken: {error}"));
    serde_json::from_str(output.as_str().expect("a text")).expect("the document is JSON")
}

#[test]
fn calls_work_after_every_malformed_body() {
    let home = Home::new();
    let served = home.engine(&[]);
    let deep = "[".repeat(100_000);
    let digits = format!("{{\"width\":{}}}", "9".repeat(4301));
    let bodies: [(&[u8], u16); 16] = [
        (b"", 400),
        (b"{bad json", 400),
        (b"{\"draft_id\":\"\xff\"}", 400),
        (b"{\"draft_id\":\"\xc3(\"}", 400),
        (b"\xff\xfe{", 400),
        (b"{\"a\":tru", 400),
        (b"{\"a\":1}}", 400),
        (b"{'a':1}", 400),
        (b"\0\0\0\0\0\0\0\0", 400),
        (digits.as_bytes(), 400),
        (b"null", 500),
        (b"[]", 500),
        (b"\"text\"", 500),
        (b"3", 500),
        (b"NaN", 500),
        (deep.as_bytes(), 500),
    ];
    for tool in POSTS {
        let path = format!("/{tool}");
        for (body, wanted) in bodies {
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            let (status, text) = post(&served, &path, body);
            assert_eq!(status, wanted, "{path} {shown}: {text}");
            assert!(
                text.starts_with("<!doctype html>"),
                "{path} {shown}: {text}"
            );
        }
        draft(&served);
    }
}

#[test]
fn a_connection_stays_open_between_calls() {
    let home = Home::new();
    let served = home.engine(&[]);
    let mut stream =
        TcpStream::connect(served.url.trim_start_matches("http://")).expect("it listens");
    stream
        .set_read_timeout(Some(support::PATIENCE))
        .expect("a time limit");
    let mut reader = BufReader::new(stream.try_clone().expect("the same connection"));
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        let request = "POST /create_draft HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\n\r\n{}";
        stream.write_all(request.as_bytes()).expect("sent");
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = number.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the body");
        assert!(body.is_ascii() && body.ends_with(b"}\n"));
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        ids.insert(
            answer["output"]["draft_id"]
                .as_str()
                .expect("an id")
                .to_owned(),
        );
    }
    assert_eq!(ids.len(), 20);
}

#[test]
fn parallel_connections_lose_nothing() {
    let home = Home::new();
    let served = home.engine(&[]);
    let id = draft(&served);
    thread::scope(|scope| {
        for worker in 0..8 {
            let (served, id) = (&served, &id);
            scope.spawn(move || {
                for number in 0..15 {
                    let request = json!({
                        "draft_id": id,
                        "text": format!("{worker}/{number} 你好 😀"),
                        "start": number,
                        "end": number + 1,
                        "track_name": format!("track {worker}"),
                    });
                    let output = served.output("/add_text", &request).expect("it is placed");
                    assert_eq!(output["draft_id"], json!(id));
                }
            });
        }
    });
    let script = script(&served, &id);
    let tracks = script["tracks"].as_array().expect("tracks");
    assert_eq!(tracks.len(), 8);
    for track in tracks {
        assert_eq!(track["segments"].as_array().map(Vec::len), Some(15));
    }
    assert_eq!(
        script["materials"]["texts"].as_array().map(Vec::len),
        Some(120)
    );
}

#[test]
fn a_text_of_a_megabyte_is_stored_and_returned() {
    let home = Home::new();
    let served = home.engine(&[]);
    let id = draft(&served);
    let text = "长文 long 😀\n".repeat(70_000);
    assert!(text.len() > 1 << 20);
    let request = json!({"draft_id": id, "text": text});
    served.output("/add_text", &request).expect("it is placed");
    let script = script(&served, &id);
    let content = script["materials"]["texts"][0]["content"]
        .as_str()
        .expect("a text");
    let content: Value = serde_json::from_str(content).expect("JSON in a text");
    assert_eq!(content["text"].as_str(), Some(text.as_str()));
}

/// All files and folders below `folder`, except the engine's own.
fn listing(folder: &Path, own: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path != own {
            found.insert(path.clone());
            if path.is_dir() {
                listing(&path, own, found);
            }
        }
    }
}

/// A minimal valid call of a tool, in a draft that has a video and a text.
fn base(tool: &str, draft: &str, media: &str) -> Value {
    match tool {
        "create_draft" => json!({}),
        "add_video" => json!({"draft_id": draft, "video_url": format!("{media}/range/clip.mp4"),
            "track_name": "more video", "end": 1}),
        "add_audio" => json!({"draft_id": draft, "audio_url": format!("{media}/range/music.mp3"),
            "end": 1}),
        "add_image" => json!({"draft_id": draft, "image_url": format!("{media}/range/logo.png")}),
        "add_text" => json!({"draft_id": draft, "text": "text", "track_name": "more text"}),
        "add_subtitle" => {
            json!({"draft_id": draft, "srt": "1\n00:00:01,000 --> 00:00:02,000\nHi\n"})
        }
        "add_sticker" => json!({"draft_id": draft, "sticker_id": "7107529669750066445"}),
        "add_effect" => json!({"draft_id": draft, "effect_type": "Like", "params": []}),
        "query_draft_status" => json!({"task_id": draft}),
        _ => json!({"draft_id": draft}),
    }
}

/// Calls a tool with each of these values for each argument, and checks after each argument that the draft is
/// still valid. Returns the number of calls.
fn every_argument(
    served: &Served,
    home: &Home,
    media: &str,
    tool: &str,
    refused: &[&str],
    others: &[&str],
) -> usize {
    let mut calls = 0;
    // All of them, also those that the schema does not list: `name (type, default …)`.
    let described = home.run(&["tools", tool]).success().stdout;
    let names = described.lines().filter_map(|line| {
        let (name, _) = line.split_once(" (")?;
        let is_name = name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        (is_name && !name.is_empty()).then(|| name.to_owned())
    });
    // The API's own names, and arguments that only the API has.
    let own = |shown: &String| match (tool, shown.as_str()) {
        ("add_video" | "add_audio", "at") => Some("target_start".to_owned()),
        ("add_video_keyframe", "at") => Some("time".to_owned()),
        (_, "at" | "source_start") => Some("start".to_owned()),
        (_, "source_end") => Some("end".to_owned()),
        ("add_video" | "add_audio", "duration") => Some(shown.clone()),
        (_, "duration" | "edition") => None,
        _ => Some(shown.clone()),
    };
    let makes_drafts = tool.starts_with("add_") && tool != "add_video_keyframe";
    let canvas = makes_drafts.then_some(["width", "height"]);
    let canvas = canvas.into_iter().flatten().map(str::to_owned);
    let fields: BTreeSet<String> = names.filter_map(|name| own(&name)).chain(canvas).collect();
    for field in &fields {
        let draft = draft(served);
        let clip = json!({"draft_id": draft, "video_url": format!("{}/range/clip.mp4", media)});
        served.output("/add_video", &clip).expect("a clip");
        let text = json!({"draft_id": draft, "text": "first"});
        served.output("/add_text", &text).expect("a text");
        let mut arguments = base(tool, &draft, media);
        arguments[field] = json!("VALUE");
        let arguments = arguments.to_string();
        for value in refused.iter().chain(others) {
            let body = arguments.replace("\"VALUE\"", value);
            let shown = format!("{tool} {field} {}", &value[..value.len().min(60)]);
            let (status, text) = post(served, &format!("/{tool}"), body.as_bytes());
            assert_eq!(status, 200, "{shown}: {text}");
            let answer: Value =
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("{shown}: {e}: {text}"));
            let error = answer["error"].as_str().expect("a text");
            assert_eq!(
                answer["success"] == json!(true),
                error.is_empty(),
                "{shown}: {text}"
            );
            assert!(
                !error.contains("internal error in capcut-mcp"),
                "{shown}: {error}"
            );
            if refused.contains(value) {
                assert!(error.contains(&format!("`{field}")), "{shown}: {error}");
            }
            calls += 1;
        }
        script(served, &draft);
    }
    calls
}

#[test]
fn every_value_of_every_argument_is_answered_and_the_next_call_works() {
    let home = Home::new();
    let served = home.engine(&[]);
    let media = media_server();
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    // Values that no draft can contain are refused with the name of the field.
    let refused = [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "[NaN]",
        "\"\\ud800\"",
        "{\"a\":\"\\udfff x\"}",
    ];
    let others = [
        "null",
        "true",
        "false",
        "\"\"",
        "\"x\"",
        "[]",
        "{}",
        "[[1]]",
        "{\"a\":null}",
        "-1",
        "0",
        "1e300",
        "-1e300",
        "123456789012345678901234567890",
        "-9223372036854775808",
        "5e-324",
        "\"NaN\"",
        "\"1e999\"",
        "\"../../../../up\"",
        "\"/nowhere/at/all\"",
        "\"C:\\\\x\\\\..\\\\y\"",
        "\"\\\\\\\\server\\\\share\"",
        "\"a\\u0000b\"",
        "\"http://169.254.169.254/latest\"",
        "\"file:///etc/passwd\"",
        &long,
    ];
    let mut before = BTreeSet::new();
    listing(home.path(), &home.data(), &mut before);
    let calls: usize = thread::scope(|scope| {
        let workers: Vec<_> = POSTS
            .iter()
            .map(|tool| {
                scope.spawn(|| every_argument(&served, &home, &media.url, tool, &refused, &others))
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("all well"))
            .sum()
    });
    assert!(calls > 5000, "only {calls} calls");
    let mut after = BTreeSet::new();
    listing(home.path(), &home.data(), &mut after);
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "outside the data folder: {new:?}");
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn an_unknown_field_may_contain_any_value() {
    let home = Home::new();
    let served = home.engine(&[]);
    let body =
        br#"{"text":"x","note to self":NaN,"\ud800":[1],"deep":[[{"a":"\udfff"}]],"big":1e999}"#;
    let (status, text) = post(&served, "/add_text", body);
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["success"], json!(true), "{text}");
}

#[test]
fn a_port_that_is_in_use_is_reported_with_a_hint() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let ran = home.run(&["engine", "--port", &port]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(
        ran.stderr.contains(&format!("port {port} is in use")),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("--port"), "{ran:?}");
    assert!(ran.stdout.is_empty(), "{ran:?}");
}

#[test]
fn the_address_is_printed_with_a_warning_if_others_can_reach_it() {
    let home = Home::new();
    let served = home.engine(&[]);
    support::until("it prints its address", || {
        served.stderr().contains(&served.url)
    });
    assert!(
        !served.stderr().contains("--no-auth"),
        "{}",
        served.stderr()
    );
    let open = home.engine(&["--host", "0.0.0.0", "--no-auth", "--edition", "jianying"]);
    support::until("it prints a warning", || {
        open.stderr().contains("`--no-auth` serves everyone")
    });
    let (status, text) = open.get("/health");
    assert_eq!(status, 200);
    let health: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(health["edition"], "jianying");
    assert_eq!(health["service"], "capcut-mcp");
}

#[test]
fn links_use_the_configured_domain() {
    let home = Home::new();
    let usual = home.engine(&["--edition", "jianying"]);
    let created = usual.output("/create_draft", &json!({})).expect("a draft");
    let id = created["draft_id"].as_str().expect("an id");
    let wanted =
        format!("https://www.install-ai-guider.top/draft/downloader?draft_id={id}&is_capcut=0");
    assert_eq!(created["draft_url"], json!(wanted));
    let told = home.engine(&["--draft-domain", "http://drafts.lan:8080/"]);
    let created = told.output("/create_draft", &json!({})).expect("a draft");
    let id = created["draft_id"].as_str().expect("an id");
    let wanted = format!("http://drafts.lan:8080/draft/downloader?draft_id={id}&is_capcut=1");
    assert_eq!(created["draft_url"], json!(wanted));
    let link = told
        .output("/generate_draft_url", &json!({"draft_id": id}))
        .expect("a link");
    let wanted = format!("http://drafts.lan:8080/draft/downloader?={id}");
    assert_eq!(link["draft_url"], json!(wanted));
}

#[cfg(unix)]
#[test]
fn signals_stop_the_engine_with_exit_code_0() {
    let home = Home::new();
    for signal in ["-TERM", "-INT"] {
        let mut served = home.engine(&[]);
        draft(&served);
        let idle = TcpStream::connect(served.url.trim_start_matches("http://"));
        let process = served.child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([signal, &process])
            .status();
        assert!(sent.expect("kill runs").success());
        let ended = served.child.wait().expect("it ends");
        assert_eq!(support::code(ended), 0, "{signal}: {}", served.stderr());
        drop(idle);
    }
}

#[test]
fn the_largest_body_is_configurable() {
    let mut home = Home::new();
    let config = home.file("tools.toml", "[limits]\nrequest_bytes = 1000\n");
    home.set("CAPCUT_MCP_CONFIG", &config.display().to_string());
    let engine = home.engine(&[]);
    let text = |length: usize| json!({ "text": "x".repeat(length), "start": 0, "end": 1 });
    engine
        .output("/add_text", &text(900))
        .expect("small enough");
    let (status, body) = engine.post("/add_text", &text(1000));
    assert_eq!(status, 413, "{body}");
    assert!(body.contains("larger than 1000 bytes"), "{body}");
}
