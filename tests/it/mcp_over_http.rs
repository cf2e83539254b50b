//! MCP over Streamable HTTP: sessions of every version, calls, cancellation, and what else the listener has.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use serde_json::{Value, json};

use crate::support::{Home, McpOverHttp, PATIENCE, Served, http, media, until};

/// The versions of the protocol with sessions.
const WITH_SESSIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// The metadata of a request of the version without sessions.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn server(home: &Home) -> Served {
    let folder = media("clip.mp4");
    let folder = folder.parent().expect("a folder").display().to_string();
    home.serve_http(&["--backend", "embedded", "--allow-dir", &folder])
}

/// A whole draft, from `create_draft` to `save_draft`.
fn make_a_draft(client: &mut McpOverHttp, name: &str) -> String {
    let made = client.call(
        "create_draft",
        &json!({ "name": name, "width": 720, "height": 1280 }),
    );
    let draft = made["draft_id"].as_str().expect("an id").to_owned();
    let clip = media("clip.mp4").display().to_string();
    client.call(
        "add_video",
        &json!({ "draft_id": draft, "video_url": clip }),
    );
    client.call(
        "add_text",
        &json!({ "draft_id": draft, "text": "Hello 世界", "start": 0, "end": 1 }),
    );
    let saved = client.call("save_draft", &json!({ "draft_id": draft }));
    let folder = saved["folder"].as_str().expect("a folder");
    assert!(std::path::Path::new(folder).is_dir(), "{folder}");
    draft
}

#[test]
fn clients_of_every_version_make_a_draft() {
    let home = Home::new();
    let served = server(&home);
    for version in WITH_SESSIONS {
        let mut client = McpOverHttp::connected(&served.url, version);
        let tools = client.ask("tools/list", &json!({}));
        let tools = tools["result"]["tools"].as_array().expect("tools").len();
        assert_eq!(tools, 28, "{version}");
        make_a_draft(&mut client, version);
        let resources = client.ask("resources/list", &json!({}));
        assert!(resources.to_string().contains("draft://"), "{resources}");
        let prompts = client.ask("prompts/list", &json!({}));
        let prompts = prompts["result"]["prompts"].as_array();
        assert!(prompts.is_some_and(|prompts| !prompts.is_empty()));
        let completed = client.ask(
            "completion/complete",
            &json!({ "ref": { "type": "ref/resource", "uri": "draft://{draft_id}" },
                "argument": { "name": "draft_id", "value": "" } }),
        );
        let values = completed["result"]["completion"]["values"].as_array();
        assert!(
            values.is_some_and(|values| !values.is_empty()),
            "{completed}"
        );
        assert!((200..300).contains(&client.close()), "{version}");
        let (status, _) = client.post_text(
            json!({ "jsonrpc": "2.0", "id": 99, "method": "tools/list" })
                .to_string()
                .as_bytes(),
        );
        assert_eq!(status, 404, "{version}: the session is closed");
    }
}

#[test]
fn clients_without_sessions_make_a_draft() {
    let home = Home::new();
    let served = server(&home);
    let mut client = McpOverHttp::new(&served.url);
    let mut ask = |method: &str, name: Option<&str>, mut params: Value| {
        params["_meta"] = meta();
        client.headers = vec![
            ("MCP-Protocol-Version".to_owned(), "2026-07-28".to_owned()),
            ("Mcp-Method".to_owned(), method.to_owned()),
        ];
        if let Some(name) = name {
            client
                .headers
                .push(("Mcp-Name".to_owned(), name.to_owned()));
        }
        let answer = client.ask(method, &params);
        assert!(answer.get("result").is_some(), "{method}: {answer}");
        assert!(client.session().is_none(), "this version has no sessions");
        answer["result"].clone()
    };
    let discovered = ask("server/discover", None, json!({}));
    assert!(
        discovered.to_string().contains("2026-07-28"),
        "{discovered}"
    );
    let listed = ask("tools/list", None, json!({}));
    assert_eq!(listed["tools"].as_array().map(Vec::len), Some(28));
    let made = ask(
        "tools/call",
        Some("create_draft"),
        json!({ "name": "create_draft", "arguments": {} }),
    );
    let draft = &made["structuredContent"]["draft_id"];
    let saved = ask(
        "tools/call",
        Some("save_draft"),
        json!({ "name": "save_draft", "arguments": { "draft_id": draft } }),
    );
    assert_eq!(saved["isError"], false, "{saved}");
}

#[test]
fn the_first_event_of_an_answer_is_the_answer() {
    let home = Home::new();
    let served = server(&home);
    let mut client = McpOverHttp::connected(&served.url, "2025-03-26");
    let call = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": { "name": "create_draft", "arguments": {} } });
    let (status, text) = client.post_text(call.to_string().as_bytes());
    assert_eq!(status, 200);
    // Clients of Dify take the first `data:` for the answer.
    let first = text.lines().find(|line| line.starts_with("data:"));
    let first = first.map_or(text.as_str(), |line| line.trim_start_matches("data:"));
    let answer: Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(answer["id"], 5, "{text}");
}

#[test]
fn errors_are_results_that_start_with_their_kind() {
    let home = Home::new();
    let served = server(&home);
    let mut client = McpOverHttp::connected(&served.url, "2025-11-25");
    let unknown = client.error(
        "add_text",
        &json!({ "draft_id": "dfd_cat_1_0", "text": "a", "start": 0, "end": 1 }),
    );
    assert!(unknown.starts_with("ERROR not_found: "), "{unknown}");
    let wrong = client.error("create_draft", &json!({ "width": -3 }));
    assert!(wrong.starts_with("ERROR invalid_argument: "), "{wrong}");
    let twice = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"create_draft","arguments":{"width":720,"width":1080}}}"#;
    let (_, text) = client.post_text(twice);
    assert!(text.contains("`width`") && text.contains("ERROR"), "{text}");
    let refused = client.error("open_draft", &json!({ "draft": "/etc" }));
    assert!(refused.contains("--allow-dir"), "{refused}");
}

#[test]
fn files_outside_the_allowed_folders_are_not_read_or_written() {
    let home = Home::new();
    let served = server(&home);
    let secret = home.path().join("secret");
    std::fs::create_dir_all(&secret).expect("a folder");
    std::fs::copy(media("clip.mp4"), secret.join("clip.mp4")).expect("a copy");
    std::fs::copy(media("picture.jpg"), secret.join("a.jpg")).expect("a copy");
    std::fs::write(
        secret.join("a.srt"),
        "1\n00:00:00,000 --> 00:00:01,000\nsecret words\n",
    )
    .expect("written");
    let path = |name: &str| secret.join(name).display().to_string();
    let mut client = McpOverHttp::connected(&served.url, "2025-11-25");
    let made = client.call("create_draft", &json!({}));
    let draft = made["draft_id"].clone();
    let clip = json!({ "video_url": path("clip.mp4"), "draft_id": draft });
    for (tool, arguments) in [
        ("add_video", clip.clone()),
        (
            "add_audio",
            json!({ "draft_id": draft, "audio_url": path("clip.mp4") }),
        ),
        (
            "add_image",
            json!({ "draft_id": draft, "image_url": path("a.jpg") }),
        ),
        (
            "add_subtitle",
            json!({ "draft_id": draft, "srt": path("a.srt") }),
        ),
        (
            "get_video_duration",
            json!({ "video_url": path("clip.mp4") }),
        ),
        ("open_draft", json!({ "draft": path("") })),
        ("validate_draft", json!({ "draft_folder": path("") })),
        (
            "validate_draft",
            json!({ "draft_folder": path(""), "fix": true }),
        ),
        ("apply_template", json!({ "template": path("") })),
        ("preview_draft", json!({ "draft_id": path("") })),
        ("inspect_draft", json!({ "draft_id": path("") })),
        (
            "compose_draft",
            json!({ "plan": { "visuals": [{ "video_url": path("clip.mp4") }] } }),
        ),
        (
            "compose_draft",
            json!({ "plan": { "cover": path("a.jpg") } }),
        ),
        (
            "compose_draft",
            json!({ "plan": { "template": path(""), "texts": [] } }),
        ),
        (
            "edit_draft",
            json!({ "draft_id": draft, "operations": [{ "op": "settings", "cover": path("a.jpg") }] }),
        ),
    ] {
        let result = client.result(tool, &arguments);
        let text = result.to_string();
        assert!(!text.contains("secret words"), "{tool} {arguments}: {text}");
        assert_eq!(result["isError"], true, "{tool} {arguments}: {text}");
    }
    let outside = home.path().join("outside");
    let saved = client.result(
        "save_draft",
        &json!({ "draft_id": draft, "draft_folder": outside.display().to_string() }),
    );
    assert!(!outside.exists(), "{saved}");
}

#[test]
fn a_call_of_a_session_is_cancelled() {
    let home = Home::new();
    let served = server(&home);
    let mut client = McpOverHttp::connected(&served.url, "2025-11-25");
    // A host that accepts and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/a.mp4", silent.local_addr().expect("bound"));
    let session = client.session().expect("a session").to_owned();
    let server_url = served.url.clone();
    let waiting = thread::spawn(move || {
        let mut other = McpOverHttp::new(&server_url);
        other.take_session(&session);
        let call = json!({ "jsonrpc": "2.0", "id": "slow", "method": "tools/call",
            "params": { "name": "get_video_duration", "arguments": { "video_url": url } } });
        other.post(&call)
    });
    silent.accept().expect("the server asks for the media");
    let (status, _) = client.post(
        &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": { "requestId": "slow" } }),
    );
    assert_eq!(status, 202);
    until("the cancelled call ends", || {
        let log = served.said.text();
        log.contains("get_video_duration") && log.contains("cancelled")
    });
    let made = client.call("create_draft", &json!({}));
    assert!(made["draft_id"].is_string());
    // The stream of the cancelled call ends with the session.
    client.close();
    let _ = waiting.join().expect("no panic");
}

#[test]
fn a_stop_ends_open_streams_and_finishes_calls() {
    let home = Home::new();
    let mut served = server(&home);
    let client = McpOverHttp::connected(&served.url, "2025-11-25");
    let address = served.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let session = client.session().expect("a session");
    write!(
        stream,
        "GET /mcp HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n\r\n"
    )
    .expect("sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    let pid = served.child.id().to_string();
    let stopped = std::process::Command::new("kill").arg(pid).status();
    assert!(stopped.expect("`kill` runs").success());
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let ended = served.child.wait().expect("it ends");
    assert!(ended.success(), "{ended}: {}", served.said.text());
}

#[test]
fn stdio_and_http_share_the_drafts_of_one_folder() {
    let home = Home::new();
    let served = server(&home);
    let mut over_http = McpOverHttp::connected(&served.url, "2025-11-25");
    let mut over_pipes = home.connected();
    let draft = make_a_draft(&mut over_http, "shared");
    let seen = over_pipes
        .call("inspect_draft", json!({ "draft_id": draft }))
        .expect("it is there");
    assert!(seen.to_string().contains("Hello 世界"), "{seen}");
    over_pipes
        .call(
            "add_text",
            json!({ "draft_id": draft, "text": "from stdio", "start": 1, "end": 2 }),
        )
        .expect("an addition");
    let seen = over_http.call("inspect_draft", &json!({ "draft_id": draft }));
    assert!(seen.to_string().contains("from stdio"), "{seen}");
}

#[test]
fn the_listener_has_the_api_and_its_own_pages() {
    let home = Home::new();
    let served = server(&home);
    let made = served
        .output("/create_draft", &json!({}))
        .expect("the routes of the API");
    assert!(made["draft_id"].is_string());
    let get = |path: &str| http("GET", &format!("{}{path}", served.url), &[], b"");
    for path in ["/health", "/api/v1/health", "/health/"] {
        let (status, text) = get(path);
        assert_eq!(status, 200, "{path}: {text}");
        assert!(text.contains("\"ok\""), "{path}: {text}");
    }
    let (status, text) = get("/ready");
    let ready: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &ready["ready"]), (200, &json!(true)), "{text}");
    let (status, text) = get("/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("mcp_bridge_requests_total"), "{text}");
    let (status, text) = get("/ws");
    assert_eq!(status, 426);
    assert!(text.contains("/mcp"), "{text}");
    // `engine` is the same server without MCP.
    let engine = home.engine(&[]);
    assert_eq!(
        http("POST", &format!("{}/mcp", engine.url), &[], b"").0,
        404
    );
    assert_eq!(
        http("GET", &format!("{}/ready", engine.url), &[], b"").0,
        200
    );
}

#[test]
fn a_server_that_cannot_write_is_not_ready() {
    let home = Home::new();
    let served = server(&home);
    let data = home.path().join("not-a-folder");
    std::fs::write(&data, "a file").expect("written");
    let data = data.display().to_string();
    let broken = home.serve_http(&["--backend", "embedded", "--data-dir", &data]);
    let (status, text) = http("GET", &format!("{}/ready", broken.url), &[], b"");
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("data_folder"), "{text}");
    drop(served);
}

#[test]
fn bodies_that_are_not_messages_are_refused() {
    let home = Home::new();
    let served = server(&home);
    let mut client = McpOverHttp::new(&served.url);
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        br#"{"jsonrpc":"2.0"}"#,
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
    ] {
        let (status, text) = client.post_text(body);
        let shown = String::from_utf8_lossy(body);
        assert!((400..500).contains(&status), "{shown}: {status} {text}");
    }
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}}"#,
        "[".repeat(100_000)
    );
    let (status, _) = client.post_text(deep.as_bytes());
    assert!((400..500).contains(&status), "{status}");
    make_a_draft(
        &mut McpOverHttp::connected(&served.url, "2025-11-25"),
        "after",
    );
}
