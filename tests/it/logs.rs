//! The log of calls: one line when each call ends, for all transports.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Answer, Home, NOWHERE, Server, http, media, until};

/// The words that public guides tell users to search logs for.
const SEARCHED: [&str; 4] = ["Connection", "timeout", "API Error", "Authentication"];

/// The lines about calls.
fn calls(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains(" tool=")).collect()
}

fn lines_of<'a>(log: &'a str, tool: &str) -> Vec<&'a str> {
    let field = format!(" tool={tool} ");
    calls(log)
        .into_iter()
        .filter(|line| line.contains(&field))
        .collect()
}

/// The only line about this tool.
#[track_caller]
fn line_of<'a>(log: &'a str, tool: &str) -> &'a str {
    let lines = lines_of(log, tool);
    assert_eq!(lines.len(), 1, "{tool} in\n{log}");
    lines[0]
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("the log file")
}

/// A CapCut API that gives this answer to calls that add something.
fn api(answer: Answer) -> Server {
    Server::start(move |asked| match asked.path.as_str() {
        "/get_mask_types" => Answer::success(&json!([{ "name": "Circle" }])),
        "/create_draft" => {
            Answer::success(&json!({ "draft_id": "dfd_cat_1_00000001", "draft_url": "" }))
        }
        "/add_text" => answer.clone(),
        _ => Answer::new(404, "text/html", "<!doctype html><title>404</title>"),
    })
}

#[test]
fn each_call_over_stdio_writes_one_line_when_it_ends() {
    let home = Home::new();
    let mut client = home.serve_with(&["serve", "--backend", "embedded"]);
    client.initialize("2025-06-18");
    let made = client.call("create_draft", json!({})).expect("a draft");
    let id = made["draft_id"].as_str().expect("an id").to_owned();
    let text = json!({ "draft_id": id, "text": "x", "start": 0, "end": 1 });
    client.call("add_text", text.clone()).expect("a text");
    client.call("list_drafts", json!({})).expect("the drafts");
    client
        .call("add_image", json!({ "draft_id": id }))
        .expect_err("there is no picture");
    let lost = json!({ "draft_id": "dfd_cat_1_00000000" });
    client.call("query_script", lost).expect_err("no draft");
    let unknown = json!({ "name": "no_such_tool", "arguments": {} });
    assert!(client.request("tools/call", unknown)["error"].is_object());
    assert_eq!(
        client.request("tools/list", json!({}))["error"],
        Value::Null
    );
    until("all lines are written", || {
        !lines_of(&client.stderr(), "no_such_tool").is_empty()
    });
    let log = client.stderr();
    assert_eq!(calls(&log).len(), 6, "{log}");
    for (tool, level, status, backend) in [
        ("create_draft", "INFO", "ok", "embedded"),
        ("add_text", "INFO", "ok", "embedded"),
        ("list_drafts", "INFO", "ok", "local"),
        ("add_image", "WARN", "invalid_argument", "none"),
        ("query_script", "WARN", "not_found", ""),
        ("no_such_tool", "WARN", "not_found", "none"),
    ] {
        let line = line_of(&log, tool);
        for part in [
            format!(" {level} "),
            format!(" status={status} "),
            " duration_ms=".to_owned(),
            " tries=".to_owned(),
            format!(" backend={backend}"),
        ] {
            assert!(line.contains(&part), "{part:?} in {line}");
        }
        assert!(!SEARCHED.iter().any(|word| line.contains(word)), "{line}");
    }
    for tool in ["create_draft", "add_text"] {
        let line = line_of(&log, tool);
        assert!(line.contains(&format!(" draft={id} ")), "{line}");
        assert!(line.contains(" tries=1 "), "{line}");
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn a_line_break_in_a_value_starts_no_new_line() {
    for format in ["plain", "json"] {
        let home = Home::new();
        let log = home.path().join("a.log");
        let file = log.to_str().expect("a path");
        let options = [
            "serve",
            "--backend",
            "embedded",
            "--log-format",
            format,
            "--log-file",
            file,
        ];
        let mut client = home.serve_with(&options);
        client.initialize("2025-06-18");
        let forged = "x\n2026-01-01T00:00:00Z ERROR forged \r\u{1b}[31m\u{85}\u{2028}";
        let lost = json!({ "draft_id": forged, "text": "x", "start": 0, "end": 1 });
        client.call("add_text", lost).expect_err("no draft");
        let unknown = json!({ "name": forged, "arguments": {} });
        assert!(client.request("tools/call", unknown)["error"].is_object());
        assert_eq!(client.end(), 0);
        let text = read(&log);
        assert_eq!(text.lines().count(), 2, "{text}");
        for line in text.lines() {
            let starts = if format == "json" { "{" } else { "2" };
            assert!(
                line.starts_with(starts) && !line.starts_with("2026-01-01T00:00:00Z"),
                "{text}"
            );
            assert!(
                !line.contains(|c: char| c.is_control() || c == '\u{2028}'),
                "{line:?}"
            );
        }
    }
}

#[test]
fn failures_contain_the_search_words_of_guides() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("http://{}", silent.local_addr().expect("an address"));
    let refusing = |status| Answer::new(status, "application/json", "{}");
    let failing = api(Answer::failure("Track named x overlaps"));
    let broken = api(refusing(500));
    let unauthorised = api(refusing(401));
    let forbidden = api(refusing(403));
    for (url, word) in [
        (NOWHERE, "Connection"),
        (&silent, "timeout"),
        (&failing.url, "API Error"),
        (&broken.url, "API Error"),
        (&unauthorised.url, "Authentication"),
        (&forbidden.url, "Authentication"),
    ] {
        let mut home = Home::remote(url);
        let config = home.file(
            "tools.toml",
            "[retry]\nunsent = { tries = 1, first_wait_s = 0.01 }\ntransient = { tries = 1, first_wait_s = 0.01 }\n[tools.create_draft]\ntimeout_s = 1\n[tools.add_text]\ntimeout_s = 1\n",
        );
        home.set("CAPCUT_MCP_CONFIG", config.to_str().expect("a path"));
        let mut client = home.serve_with(&["serve", "--log", "WARNING"]);
        client.initialize("2025-06-18");
        let text = json!({ "draft_id": "dfd_cat_1_00000001", "text": "x", "start": 0, "end": 1 });
        let tool = match client.call("create_draft", json!({})) {
            Ok(_) => {
                client.call("add_text", text).expect_err(word);
                "add_text"
            }
            Err(_) => "create_draft",
        };
        until("the line is written", || {
            !lines_of(&client.stderr(), tool).is_empty()
        });
        let log = client.stderr();
        let line = line_of(&log, tool);
        assert!(line.contains(" WARN "), "{line}");
        for searched in SEARCHED {
            assert_eq!(line.contains(searched), searched == word, "{url}: {line}");
        }
        // Successful calls are below this log level.
        assert_eq!(calls(&log).len(), 1, "{log}");
    }
}

#[test]
fn calls_and_refusals_over_http_write_one_line_each() {
    let home = Home::new();
    let engine = home.engine(&[]);
    let post = |path: &str, headers: &[(&str, &str)], body: &str| {
        let url = format!("{}{path}", engine.url);
        http("POST", &url, headers, body.as_bytes())
    };
    let json = [("Content-Type", "application/json")];
    assert_eq!(post("/create_draft", &json, "{}").0, 200);
    // A refused `create_draft`, a call with a missing argument, and invalid bodies.
    post("/create_draft", &json, r#"{"width":"wide"}"#);
    post("/add_text", &json, "{}");
    assert_eq!(post("/add_audio", &json, "{").0, 400);
    assert_eq!(post("/add_video", &[], "{}").0, 415);
    assert_eq!(post("/nowhere", &json, "{}").0, 404);
    let (status, _) = post("/add_image", &[json[0], ("Host", "evil.example")], "{}");
    // Two `Host` headers, one of which is not a name of this server.
    assert_eq!(status, 400);
    let page = ("Origin", "https://evil.example");
    assert_eq!(post("/add_image", &[json[0], page], "{}").0, 403);
    until("all lines are written", || {
        engine.stderr().contains("https://evil.example")
    });
    let log = engine.stderr();
    let created = lines_of(&log, "create_draft");
    assert_eq!(created.len(), 2, "{log}");
    assert!(created[0].contains(" INFO ") && created[0].contains(" draft=dfd_"));
    for line in [created[1], line_of(&log, "add_text")] {
        assert!(
            line.contains(" WARN ") && line.contains("API Error"),
            "{line}"
        );
        assert!(line.contains(" status=invalid_argument "), "{line}");
    }
    for (path, status) in [("add_audio", 400), ("add_video", 415), ("nowhere", 404)] {
        let fields = format!("path={path} status={status}");
        let lines = log.lines().filter(|line| line.contains(&fields));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.len(), 1, "{fields} in\n{log}");
        assert!(lines[0].contains(" WARN "), "{}", lines[0]);
    }
    for (word, status) in [("Connection", 400), ("Authentication", 403)] {
        let lines = log.lines().filter(|line| line.contains(word));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.len(), 1, "{word} in\n{log}");
        let field = format!(" status={status}");
        assert!(
            lines[0].contains(" WARN ") && lines[0].contains(&field),
            "{}",
            lines[0]
        );
    }
}

#[test]
fn commands_log_calls_to_a_file_and_on_request() {
    let home = Home::embedded();
    let log = home.path().join("logs/calls.log");
    let file = log.to_str().expect("a path");
    // The reply and the error are printed in any case.
    let made = home
        .run(&["call", "create_draft", "--log-file", file])
        .success();
    assert_eq!(made.stderr, "");
    let failed = home.run(&["call", "create_draft", "width=wide", "--log-file", file]);
    assert_eq!(
        (failed.code, calls(&failed.stderr).len()),
        (2, 0),
        "{failed:?}"
    );
    assert_eq!(failed.stderr.matches("width").count(), 1, "{failed:?}");
    let text = read(&log);
    let lines = lines_of(&text, "create_draft");
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[0].contains(" INFO ") && lines[1].contains(" WARN "),
        "{text}"
    );
    for level in ["INFO", "info,capcut_mcp=info"] {
        let asked = home
            .run(&["call", "create_draft", "--log", level])
            .success();
        line_of(&asked.stderr, "create_draft");
    }
    let asked = home
        .run(&["call", "create_draft", "--log", "WARNING"])
        .success();
    assert_eq!(asked.stderr, "");
    // A plan writes one line for each of its calls.
    let plan = home.file(
        "plan.yaml",
        "name: p\ntexts:\n  - { text: one, start: 0, end: 1 }\n  - { text: two, start: 1, end: 2 }\n",
    );
    let composed = home
        .run(&[
            "compose",
            plan.to_str().expect("a path"),
            "--log-file",
            file,
        ])
        .success();
    assert_eq!(calls(&composed.stderr).len(), 0, "{composed:?}");
    assert_eq!(lines_of(&read(&log), "add_text").len(), 2);
}

#[test]
fn jobs_write_one_line_when_they_end() {
    let home = Home::new();
    let mut client = home.serve_with(&["serve", "--backend", "embedded"]);
    client.initialize("2025-06-18");
    let picture = media("picture.jpg");
    let plan = json!({ "name": "p", "visuals": [{ "image_url": picture, "start": 0, "end": 1 }] });
    client
        .call("compose_draft", json!({ "plan": plan }))
        .expect("a draft");
    until("the line is written", || {
        !lines_of(&client.stderr(), "compose_draft").is_empty()
    });
    let log = client.stderr();
    assert!(
        line_of(&log, "compose_draft").contains(" status=ok "),
        "{log}"
    );
    line_of(&log, "add_image");
    assert_eq!(client.end(), 0);
}

#[test]
fn an_unread_log_does_not_block_the_server() {
    let home = Home::new();
    let mut child = home
        .command(&["serve", "--backend", "embedded", "--log", "trace"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the executable starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    // More lines than a pipe holds, while nothing reads stderr.
    let calls = 2_000;
    let writer = std::thread::spawn(move || {
        use std::io::Write as _;
        let first = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
        let mut lines = format!("{first}\n");
        for id in 1..=calls {
            let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
                "name": "no_such_tool_with_a_long_name_so_that_lines_are_long", "arguments": {} } });
            lines += &format!("{call}\n");
        }
        let written = stdin.write_all(lines.as_bytes());
        (stdin, written)
    });
    let mut answers = std::io::BufRead::lines(std::io::BufReader::new(stdout));
    for _ in 0..=calls {
        answers.next().expect("an answer").expect("a line");
    }
    let (stdin, written) = writer.join().expect("no panic");
    written.expect("written");
    drop(stdin);
    until("it ends", || child.try_wait().expect("its state").is_some());
}

#[test]
fn an_unknown_log_level_is_refused_by_every_command() {
    let home = Home::embedded();
    for (level, expected) in [("loud", "levels are"), ("warnings", "`warning`")] {
        for command in [&["serve"][..], &["call", "create_draft"], &["doctor"]] {
            let line = [command, &["--log", level]].concat();
            let ran = home.run(&line);
            assert_ne!(ran.code, 0, "{line:?}");
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(said.contains(level) && said.contains(expected), "{said}");
        }
    }
    for level in [
        "warning",
        "CRITICAL",
        "Fatal",
        "capcut_mcp=debug,hyper=warn",
    ] {
        home.run(&["tools", "--log", level]).success();
        home.run(&["call", "create_draft", "--log", level])
            .success();
    }
}
