//! Which clients the listeners serve, and what these clients may read, fetch and write.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{self, Answer, Home, Served, Server, http};

/// Sends this text over a separate connection; returns the status and the rest of the answer.
fn raw(address: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(support::PATIENCE))
        .expect("a time limit");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // A refused connection may be reset after its answer was sent.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    (status.expect("a status"), format!("{head}\r\n\r\n{body}"))
}

fn address(served: &Served) -> &str {
    served.url.trim_start_matches("http://")
}

/// Posts JSON with these head lines, plus only those that a body needs.
fn post_with(served: &Served, path: &str, lines: &[&str], body: &Value) -> (u16, String) {
    let body = body.to_string();
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!(
        "POST {path} HTTP/1.1\r\n{lines}Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    raw(address(served), &request)
}

fn answer_of(text: &str) -> Value {
    let body = text.split_once("\r\n\r\n").expect("a body").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A service that answers every request with this text.
fn service(text: &'static str) -> Server {
    Server::start(move |_| Answer::new(200, "text/plain", text))
}

fn drafts(home: &Home) -> usize {
    let listed = home.call("list_drafts", &json!({})).expect("a list");
    listed["drafts"].as_array().map_or(0, Vec::len)
}

#[test]
fn requests_that_a_web_page_could_cause_are_refused_without_effect() {
    let home = Home::new();
    let served = home.engine(&["--no-auth"]);
    let cases: [(&[&str], u16, &str); 9] = [
        (
            &["Host: evil.example:9000"],
            421,
            "--public-host evil.example",
        ),
        (&["Host: localhost.evil.example"], 421, "--public-host"),
        (&["Host: EVIL.example."], 421, "--public-host"),
        (
            &["Host: localhost", "Origin: https://evil.example"],
            403,
            "--allow-origin https://evil.example",
        ),
        (&["Host: localhost", "Origin: null"], 403, "--allow-origin"),
        (
            &["Host: 127.0.0.1:9000", "Origin: http://203.0.113.5"],
            403,
            "--allow-origin",
        ),
        (&["Host: localhost", "Host: localhost"], 400, "Host"),
        (&["Host: a@localhost"], 400, "Host"),
        (&[], 400, "Host"),
    ];
    for path in ["/create_draft", "/query_script", "/nothing"] {
        for (lines, wanted, told) in cases {
            let (status, text) = post_with(&served, path, lines, &json!({"draft_id": "dfd"}));
            assert_eq!(status, wanted, "{path} {lines:?}: {text}");
            let answer = answer_of(&text);
            assert_eq!(answer["success"], false, "{path} {lines:?}");
            let error = answer["error"].as_str().expect("a text");
            assert!(error.contains(told), "{path} {lines:?}: {error}");
        }
    }
    for target in [
        "http://evil.example/create_draft",
        "http://localhost:1/create_draft",
    ] {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let (status, text) = raw(address(&served), &request);
        assert!(status == 421 || status == 400, "{target}: {text}");
    }
    assert_eq!(drafts(&home), 0);
    let accepted: [&[&str]; 6] = [
        &["Host: localhost"],
        &["Host: LOCALHOST.:9000"],
        &["Host: 192.168.1.20:9000"],
        &["Host: [::1]:9000"],
        &["Host: host.docker.internal:9000"],
        &["Host: localhost", "Origin: http://localhost:3000"],
    ];
    for lines in accepted {
        let (status, text) = post_with(&served, "/create_draft", lines, &json!({}));
        assert_eq!(
            (status, &answer_of(&text)["success"]),
            (200, &json!(true)),
            "{lines:?}"
        );
    }
    let old = "GET /health HTTP/1.0\r\n\r\n";
    assert_eq!(raw(address(&served), old).0, 200);
}

#[test]
fn options_allow_host_names_and_origins() {
    let home = Home::new();
    let served = home.engine(&[
        "--no-auth",
        "--public-host",
        "Videos.example.com",
        "--allow-origin",
        "https://app.example.com",
    ]);
    let page = "Origin: https://app.example.com";
    let (status, text) = post_with(
        &served,
        "/create_draft",
        &["Host: videos.example.com", page],
        &json!({}),
    );
    assert_eq!(status, 200, "{text}");
    let head = text.to_ascii_lowercase();
    assert!(
        head.contains("access-control-allow-origin: https://app.example.com"),
        "{text}"
    );
    assert!(head.contains("vary: origin"), "{text}");
    let preflight = |origin: &str| {
        let request = format!(
            "OPTIONS /create_draft HTTP/1.1\r\nHost: videos.example.com\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\
             Connection: close\r\n\r\n"
        );
        let (status, text) = raw(address(&served), &request);
        (status, text.to_ascii_lowercase())
    };
    let (status, text) = preflight("https://app.example.com");
    assert_eq!(status, 200, "{text}");
    for line in [
        "access-control-allow-origin: https://app.example.com",
        "access-control-allow-methods: options, post",
        "access-control-allow-headers: authorization, content-type, last-event-id,",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    for origin in ["https://evil.example", "null", "http://app.example.com"] {
        let (status, text) = preflight(origin);
        assert_eq!(status, 403, "{origin}: {text}");
        assert!(!text.contains("access-control-"), "{origin}: {text}");
    }
    let bad = home.run(&["engine", "--public-host", "https://a.b"]);
    assert!(bad.stderr.contains("host name"), "{bad:#?}");
}

#[test]
fn the_metrics_listener_refuses_foreign_hosts_and_pages() {
    let home = Home::new();
    let served = home.engine(&["--metrics", "0"]);
    let mut metrics = None;
    support::until("the metrics address is printed", || {
        metrics = served.said.address("metrics are served at ");
        metrics.is_some()
    });
    let metrics = metrics.expect("an address");
    let metrics = metrics.trim_end_matches("/metrics").to_owned();
    let ask = |lines: &str| {
        raw(
            &metrics,
            &format!("GET /metrics HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"),
        )
    };
    assert_eq!(ask("Host: localhost\r\n").0, 200);
    for (lines, wanted, told) in [
        ("Host: evil.example\r\n", 421, "--public-host"),
        (
            "Host: localhost\r\nOrigin: https://evil.example\r\n",
            403,
            "--allow-origin",
        ),
        ("", 400, "Host"),
    ] {
        let (status, text) = ask(lines);
        assert_eq!(status, wanted, "{lines}: {text}");
        assert!(
            answer_of(&text)["error"]
                .as_str()
                .expect("a text")
                .contains(told)
        );
        assert!(!text.contains("mcp_bridge"), "{text}");
    }
}

/// Requests that come from the network, through a proxy or under another host name.
const FROM_THE_NETWORK: [&[&str]; 5] = [
    &["Host: 192.168.1.20:9000"],
    &["Host: host.docker.internal"],
    &["Host: localhost", "X-Forwarded-For: 203.0.113.5"],
    &["Host: localhost", "Forwarded: for=127.0.0.1"],
    &["Host: localhost", "Via: 1.1 proxy"],
];

#[test]
fn network_clients_reach_no_service_of_this_machine() {
    let home = Home::new();
    let secret = "1\n00:00:00,000 --> 00:00:01,000\nthe secret of a local service\n";
    let media = service(secret);
    let served = home.engine(&["--no-auth"]);
    let draft = served.output("/create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    let port = media.url.rsplit(':').next().expect("a port");
    let addresses = [
        format!("http://127.0.0.1:{port}/a"),
        format!("http://localhost:{port}/a"),
        format!("http://[::ffff:127.0.0.1]:{port}/a"),
        format!("http://2130706433:{port}/a"),
        format!("http://127.1:{port}/a"),
        format!("http://0.0.0.0:{port}/a"),
    ];
    for lines in FROM_THE_NETWORK {
        for url in &addresses {
            for (path, body) in [
                ("/add_subtitle", json!({"draft_id": draft, "srt": url})),
                ("/add_video", json!({"draft_id": draft, "video_url": url})),
                ("/add_image", json!({"draft_id": draft, "image_url": url})),
                ("/add_audio", json!({"draft_id": draft, "audio_url": url})),
            ] {
                let (status, text) = post_with(&served, path, lines, &body);
                let answer = answer_of(&text);
                assert_eq!(status, 200, "{path} {lines:?} {url}");
                assert_eq!(answer["success"], false, "{path} {lines:?} {url}: {answer}");
                assert!(
                    text.contains("--allow-host"),
                    "{path} {lines:?} {url}: {answer}"
                );
                assert!(!text.contains("secret"), "{path} {lines:?} {url}: {answer}");
            }
        }
    }
    assert!(media.asked().is_empty(), "{:?}", media.asked());
    let body = json!({"draft_id": draft, "srt": addresses[0]});
    let local = served.output("/add_subtitle", &body);
    assert!(local.is_ok(), "{local:?}");
    // Data fetched for a client on this machine is not in a cache for others.
    let (_, text) = post_with(&served, "/add_subtitle", FROM_THE_NETWORK[0], &body);
    assert_eq!(answer_of(&text)["success"], false, "{text}");
}

#[test]
fn an_allowed_service_is_reachable_for_network_clients() {
    let home = Home::new();
    let media = service("1\n00:00:00,000 --> 00:00:01,000\nhello\n");
    let served = home.engine(&["--no-auth", "--allow-host", "127.0.0.1"]);
    let draft = served.output("/create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    for (index, lines) in FROM_THE_NETWORK.into_iter().enumerate() {
        let track = format!("subtitle {index}");
        let body =
            json!({"draft_id": draft, "srt": format!("{}/a", media.url), "track_name": track});
        let (_, text) = post_with(&served, "/add_subtitle", lines, &body);
        assert_eq!(answer_of(&text)["success"], true, "{lines:?}: {text}");
    }
}

#[test]
fn errors_contain_nothing_of_fetched_content() {
    let home = Home::new();
    let served = home.engine(&["--no-auth"]);
    let draft = served.output("/create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    for secret in [
        "the-secret-token",
        "{\"token\": \"the-secret-token\"}",
        "<html><title>the-secret-token</title></html>",
        "1\nthe-secret-token --> 00:00:01,000\nx\n",
        "1\n00:00:00,000 --> the-secret-token\nx\n",
        "WEBVTT\n\nthe-secret-token --> x\nx\n",
        "4839201\nthe-secret\n",
        "[Script Info]\nTitle: the-secret-token\n[Events]\nDialogue: the-secret-token\n",
    ] {
        let media = service(secret);
        let url = format!("{}/a", media.url);
        for (path, body) in [
            ("/add_subtitle", json!({"draft_id": draft, "srt": url})),
            ("/add_video", json!({"draft_id": draft, "video_url": url})),
            ("/add_image", json!({"draft_id": draft, "image_url": url})),
        ] {
            let (_, text) = served.post(path, &body);
            let text = text.replace(&url, "");
            for part in ["the-secret", "4839201"] {
                assert!(!text.contains(part), "{path} {secret:?}: {text}");
            }
        }
        let user = home.call("add_subtitle", &json!({"draft_id": draft, "srt": url}));
        if let Err((_, error)) = user {
            assert!(!error.contains("the-secret"), "{secret:?}: {error}");
        }
    }
}

#[test]
fn errors_over_http_name_no_other_draft() {
    let home = Home::new();
    let served = home.engine(&["--no-auth"]);
    let draft = served.output("/create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    let draft = draft.as_str().expect("an id");
    let near = &draft[..draft.len() - 1];
    for path in [
        "/query_script",
        "/save_draft",
        "/add_text",
        "/add_effect",
        "/query_draft_status",
        "/generate_draft_url",
    ] {
        let body = json!({
            "draft_id": near, "task_id": near, "text": "x", "start": 0, "end": 1, "effect_type": "x",
        });
        let (_, text) = served.post(path, &body);
        assert!(!text.replace(near, "").contains(draft), "{path}: {text}");
        assert!(!text.contains(draft), "{path}: {text}");
    }
    let user = home.call("query_script", &json!({"draft_id": near}));
    let (_, error) = user.expect_err("an unknown draft");
    assert!(error.contains(draft), "{error}");
}

#[test]
fn refused_reads_and_writes_name_the_option_in_the_answer() {
    let home = Home::new();
    let served = home.engine(&["--no-auth"]);
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/media/clip.mp4");
    let clip = clip.to_string_lossy().into_owned();
    let draft = served.output("/create_draft", &json!({})).expect("a draft")["draft_id"].clone();
    for (path, name) in [
        ("/add_video", "video_url"),
        ("/add_image", "image_url"),
        ("/add_audio", "audio_url"),
        ("/add_subtitle", "srt"),
    ] {
        for source in [
            clip.clone(),
            format!("file://{clip}"),
            "/etc/passwd".to_owned(),
            "/no/such/file".to_owned(),
        ] {
            let mut body = json!({"draft_id": draft, "end": 1});
            body[name] = json!(source);
            let (_, text) = served.post(path, &body);
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(answer["success"], false, "{path} {source}: {answer}");
            let error = answer["error"].as_str().expect("a text");
            assert!(error.contains("--allow-dir"), "{path} {source}: {error}");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let wanted = folder.path().to_string_lossy().into_owned();
    let body = json!({"draft_id": draft, "draft_folder": wanted});
    let (_, text) = served.post("/save_draft", &body);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let told = format!("{} {}", answer["error"], answer["output"]);
    assert!(told.contains("--allow-dir"), "{answer}");
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("it is there")
            .count(),
        0
    );
    drop(served);
    let served = home.engine(&["--no-auth", "--allow-dir", &wanted]);
    let (_, text) = served.post("/save_draft", &body);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["success"], true, "{answer}");
    assert!(!text.contains("--allow-dir"), "{answer}");
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("it is there")
            .count(),
        1
    );
}

/// The peak memory of a process in bytes, if the system reports it.
#[cfg(target_os = "linux")]
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.expect("a number") << 10
}

#[cfg(target_os = "linux")]
#[test]
fn bodies_of_many_values_take_little_memory() {
    let home = Home::new();
    let served = home.engine(&["--no-auth"]);
    let list = format!("[{}0]", "0,".repeat(30_000_000));
    let members = (0..2_000_000).map(|number| format!("\"{number}\":0"));
    let object = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    let nested = format!("[{}0]", "[],".repeat(15_000_000));
    let bodies: Vec<Vec<u8>> = [list, object, nested]
        .iter()
        .map(|value| format!("{{\"x\":{value}}}").into_bytes())
        .collect();
    let wide: Vec<u8> = String::from_utf8_lossy(&bodies[1])
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let send = |body: &[u8]| {
        let kind = [("Content-Type", "application/json")];
        http("POST", &format!("{}/create_draft", served.url), &kind, body)
    };
    std::thread::scope(|scope| {
        for body in bodies.iter().chain([&wide, &bodies[0]]) {
            scope.spawn(|| {
                let (status, text) = send(body);
                assert_eq!(status, 413, "{text}");
                let answer: Value = serde_json::from_str(&text).expect("JSON");
                assert!(answer["error"].as_str().expect("a text").contains("200000"));
            });
        }
    });
    let most = peak_memory(served.child.id());
    assert!(most < 500 << 20, "{} MiB", most >> 20);
    // A long body with few values is accepted.
    let text = "x".repeat(8 << 20);
    let (status, _) = send(json!({"unknown": text}).to_string().as_bytes());
    assert_eq!(status, 200);
}

#[cfg(unix)]
#[test]
fn idle_connections_are_closed_before_descriptors_run_out() {
    let home = Home::new();
    let served = home.engine_with_files(128);
    let open = |_| TcpStream::connect(address(&served)).expect("it listens");
    // A connection that is in the middle of a body is not idle, but later ones without a request are.
    let mut busy = open(0);
    let head = "POST /create_draft HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{";
    busy.write_all(head.as_bytes()).expect("sent");
    let mut idle: Vec<TcpStream> = (0..200).map(open).collect();
    for _ in 0..20 {
        assert_eq!(served.get("/health").0, 200);
    }
    busy.write_all(b"}").expect("sent");
    let mut answer = String::new();
    busy.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let first = &mut idle[0];
    first
        .set_read_timeout(Some(support::PATIENCE))
        .expect("a time limit");
    assert!(matches!(first.read(&mut [0]), Ok(0) | Err(_)));
}
