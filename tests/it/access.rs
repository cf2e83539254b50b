//! Who is served over HTTP: with and without tokens, with every kind of wrong one, and what a token may do.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Home, McpOverHttp, Served, http, http_with_head, until};

pub(crate) const GIVEN: &str = "0123456789abcdef0123456789ABCDEF";

/// Makes a token; returns it.
pub(crate) fn add(home: &Home, arguments: &[&str]) -> String {
    let line: Vec<&str> = ["token", "add"].iter().chain(arguments).copied().collect();
    home.run(&line).success().stdout.trim().to_owned()
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Creates a draft with these headers; returns the status and the answer.
pub(crate) fn create(served: &Served, headers: &[(&str, &str)]) -> (u16, Value) {
    create_at(served, "/create_draft", headers)
}

pub(crate) fn create_at(served: &Served, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend(headers);
    let (status, text) = http("POST", &format!("{}{path}", served.url), &all, b"{}");
    let answer = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
    (status, answer)
}

pub(crate) fn status(served: &Served, token: &str) -> u16 {
    create(served, &[("Authorization", &bearer(token))]).0
}

pub(crate) fn id_of(answer: &Value) -> String {
    let id = answer["output"]["draft_id"].as_str();
    id.unwrap_or_else(|| panic!("no draft: {answer}"))
        .to_owned()
}

#[test]
fn without_tokens_only_programs_on_this_machine_are_served() {
    let home = Home::embedded();
    let served = home.serve_http(&[]);
    assert_eq!(create(&served, &[]).0, 200);
    // A placeholder, as clients of the API send it.
    assert_eq!(status(&served, "placeholder"), 200);
    for name in [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "x-forwarded-port",
        "Via",
        "X-Real-IP",
    ] {
        let (status, answer) = create(&served, &[(name, "127.0.0.1")]);
        assert_eq!(status, 401, "{name}: {answer}");
        let error = answer["error"].as_str().expect("an error");
        assert!(error.contains("capcut-mcp token add NAME"), "{error}");
    }
    // A name that leads to this machine, as containers use it.
    let request = |host: &str| {
        let port = served.port();
        let head = format!(
            "POST /create_draft HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        raw(&served, head.as_bytes())
    };
    assert_eq!(request("localhost").0, 200);
    assert_eq!(request("host.docker.internal").0, 401);
    assert_eq!(request("192.168.1.1").0, 401);
    assert_eq!(request("evil.example").0, 421);
    // The state of the server is no secret, and has nothing else in it.
    let (status, health) = http(
        "GET",
        &format!("{}/health", served.url),
        &[("Via", "1.1 x")],
        b"",
    );
    assert_eq!((status, health.trim()), (200, r#"{"status":"ok"}"#));
}

/// Sends these bytes over a separate connection; returns the status and the whole answer.
fn raw(served: &Served, bytes: &[u8]) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let address = served.url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(crate::support::PATIENCE))
        .expect("a time limit");
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or(0), text)
}

#[test]
fn every_wrong_token_is_refused_alike_and_changes_of_tokens_hold_at_once() {
    let home = Home::embedded();
    let served = home.serve_http(&[]);
    assert_eq!(create(&served, &[]).0, 200);
    let alice = add(&home, &["alice"]);
    until("the first token closes the server", || {
        create(&served, &[]).0 == 401
    });
    assert_eq!(status(&served, &alice), 200);

    let shorter = &alice[..alice.len() - 1];
    let longer = format!("{alice}A");
    let upper = alice.to_uppercase();
    let basic = format!("Basic {alice}");
    let twice = bearer(&alice);
    let tables: Vec<Vec<(&str, String)>> = vec![
        vec![],
        vec![("Authorization", bearer(shorter))],
        vec![("Authorization", bearer(&longer))],
        vec![("Authorization", bearer(&upper))],
        vec![("Authorization", bearer("x"))],
        vec![("Authorization", bearer(&"x".repeat(4000)))],
        vec![("Authorization", alice.clone())],
        vec![("Authorization", basic)],
        vec![("Authorization", "Bearer".to_owned())],
        vec![("Authorization", String::new())],
        vec![("Authorization", format!("Bearer {alice} {alice}"))],
        vec![("Authorization", twice.clone()), ("Authorization", twice)],
        vec![("X-Authorization", bearer(&alice))],
        vec![("Cookie", format!("token={alice}"))],
        vec![("X-Api-Key", alice.clone())],
    ];
    for headers in tables {
        let sent: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        for path in [
            "/create_draft",
            "/mcp",
            "/metrics",
            "/no/such/path",
            "/%2e%2e/create_draft",
        ] {
            let url = format!("{}{path}", served.url);
            let (status, head, body) = http_with_head("POST", &url, &sent, b"{}");
            assert_eq!(status, 401, "{path} {sent:?}: {body}");
            assert!(
                head.to_lowercase()
                    .contains("\r\nwww-authenticate: bearer realm=\"capcut-mcp\""),
                "{head}"
            );
            assert!(head.to_lowercase().contains("\r\nx-request-id: "), "{head}");
            assert!(!body.contains(shorter), "{body}");
        }
    }
    // A token in the query is none: queries are in the logs of proxies.
    assert_eq!(
        create_at(&served, &format!("/create_draft?token={alice}"), &[]).0,
        401
    );

    let ran = home.run(&["token", "rotate", "alice"]).success();
    let new = ran.stdout.trim();
    until("the old token is refused", || {
        status(&served, &alice) == 401
    });
    assert_eq!(status(&served, new), 200);
    home.run(&["token", "revoke", "alice"]).success();
    let bob = add(&home, &["bob"]);
    until("the revoked token is refused", || {
        status(&served, new) == 401
    });
    assert_eq!(status(&served, &bob), 200);

    // An expired token: the file is edited, so that no one has to wait.
    let file = home.data().join("tokens.json");
    let whole = fs::read_to_string(&file).unwrap();
    let mut document: Value = serde_json::from_str(&whole).unwrap();
    document["tokens"][0]["expires_s"] = json!(1_000_000_000);
    fs::write(&file, document.to_string()).unwrap();
    until("the expired token is refused", || {
        status(&served, &bob) == 401
    });
    let (_, answer) = create(&served, &[("Authorization", &bearer(&bob))]);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("expired on 2001-09-09"),
        "{answer}"
    );
    // It still counts: the server does not become open.
    assert_eq!(create(&served, &[]).0, 401);

    // A damaged or missing file stops access, for everyone.
    for change in [Some(&whole[..whole.len() / 2]), Some(""), None] {
        match change {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        until("no one is served", || status(&served, &bob) == 503);
        let (status, answer) = create(&served, &[]);
        assert_eq!(status, 503);
        assert!(
            !answer
                .to_string()
                .contains(&home.path().display().to_string()),
            "{answer}"
        );
    }
    fs::write(&file, &whole).unwrap();
    until("the restored file counts", || status(&served, &bob) == 200);
}

#[test]
fn a_listener_that_others_reach_does_not_start_without_tokens() {
    let home = Home::embedded();
    for (line, what) in [
        (
            vec!["engine", "--host", "0.0.0.0", "--port", "0"],
            "can be reached from other machines",
        ),
        (
            vec!["engine", "--host", "::", "--port", "0"],
            "can be reached from other machines",
        ),
        (
            vec!["serve", "--http", "0.0.0.0:0"],
            "can be reached from other machines",
        ),
        (
            vec!["engine", "--port", "0", "--behind-proxy"],
            "`--behind-proxy`",
        ),
        (
            vec!["engine", "--port", "0", "--tls-cert", "x"],
            "--tls-key",
        ),
        (
            vec!["engine", "--port", "0", "--tls-cert", "x", "--tls-key", "y"],
            "cannot be read",
        ),
    ] {
        let ran = home.run(&line);
        assert_ne!(ran.code, 0, "{line:?}");
        assert!(ran.stderr.contains(what), "{line:?}: {}", ran.stderr);
        if !line.contains(&"--tls-cert") {
            assert!(
                ran.stderr.contains("`capcut-mcp token add NAME`"),
                "{}",
                ran.stderr
            );
        }
    }
    let open = home.engine(&["--host", "0.0.0.0", "--no-auth"]);
    assert_eq!(create(&open, &[("Via", "1.1 proxy")]).0, 200);
    drop(open);
    add(&home, &["alice"]);
    let closed = home.engine(&["--host", "0.0.0.0", "--behind-proxy"]);
    assert_eq!(create(&closed, &[]).0, 401);
    drop(closed);
    fs::write(home.data().join("tokens.json"), "{").unwrap();
    let ran = home.run(&["engine", "--port", "0"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("is damaged"), "{}", ran.stderr);
}

#[test]
fn tokens_come_from_a_variable_or_a_file() {
    let mut home = Home::embedded();
    let file = home.file(
        "tokens.txt",
        format!("# for the robot\nrobot {GIVEN}F read-only\n"),
    );
    home.set("CAPCUT_MCP_TOKENS", &format!("ci {GIVEN}V"));
    home.set("CAPCUT_MCP_TOKENS_FILE", &file.display().to_string());
    let served = home.serve_http(&[]);
    assert_eq!(create(&served, &[]).0, 401);
    assert_eq!(status(&served, &format!("{GIVEN}V")), 200);
    assert_eq!(status(&served, &format!("{GIVEN}F")), 403);
    fs::write(&file, format!("robot {GIVEN}G")).unwrap();
    until("the file is read again", || {
        status(&served, &format!("{GIVEN}G")) == 200
    });
    assert_eq!(status(&served, &format!("{GIVEN}F")), 401);
    drop(served);
    for (text, what) in [
        ("ci secret", "at least 32"),
        ("ci", "no token after the name"),
        ("CI 0123456789abcdef0123456789abcdef", "use \"ci\""),
    ] {
        home.set("CAPCUT_MCP_TOKENS", text);
        let ran = home.run(&["engine", "--port", "0"]);
        assert_ne!(ran.code, 0, "{text}");
        assert!(ran.stderr.contains(what), "{text}: {}", ran.stderr);
        assert!(
            !ran.stderr.contains("secret") && !ran.stderr.contains("89abcdef"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_token_in_the_path_works_for_every_route_and_only_there() {
    let home = Home::embedded();
    let token = add(&home, &["alice"]);
    let served = home.serve_http(&[]);
    for path in [
        "/t/TOKEN/create_draft",
        "//t/TOKEN//create_draft",
        "/%74/TOKEN/create_draft",
        "/t/TOKEN/create%5Fdraft",
    ] {
        let (status, answer) = create_at(&served, &path.replace("TOKEN", &token), &[]);
        assert_eq!(status, 200, "{path}");
        id_of(&answer);
    }
    let url = format!("{}/t/{token}", served.url);
    let mut client = McpOverHttp::connected(&url, "2025-06-18");
    assert!(client.call("list_drafts", &json!({}))["drafts"].is_array());
    for path in [
        "/t/TOKENx/create_draft",
        "/t/x/create_draft",
        "/t//create_draft",
        "/T/TOKEN/create_draft",
        "/create_draft/t/TOKEN",
        "/t/TOKEN",
        "/t%2FTOKEN%2Fcreate_draft",
        "/x/../t/TOKEN/create_draft",
        "/t/x/t/TOKEN/create_draft",
    ] {
        let (status, _) = create_at(&served, &path.replace("TOKEN", &token), &[]);
        assert_eq!(status, 401, "{path}");
    }
}

#[test]
fn broken_requests_are_refused_and_others_are_answered() {
    use std::fmt::Write as _;
    let home = Home::embedded();
    let token = add(&home, &["alice"]);
    let served = home.serve_http(&[]);
    let port = served.port();
    let head = |lines: &str| {
        format!(
            "POST /create_draft HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n{lines}\r\n"
        )
    };
    let auth = format!("Authorization: Bearer {token}\r\n");
    let mut many = String::new();
    for number in 0..2000 {
        write!(many, "X-{number}: y\r\n").unwrap();
    }
    let smuggled = format!(
        "POST /create_draft HTTP/1.1\r\nHost: localhost:{port}\r\n{auth}Content-Length: 2\r\nContent-Type: application/json\r\n\r\n{{}}"
    );
    for (name, request) in [
        (
            "both lengths",
            head(&format!(
                "{auth}Content-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
            )) + "0\r\n\r\n"
                + &smuggled,
        ),
        (
            "two lengths",
            head(&format!(
                "{auth}Content-Length: 2\r\nContent-Length: 60\r\n"
            )) + "{}"
                + &smuggled,
        ),
        (
            "list of lengths",
            head(&format!("{auth}Content-Length: 2, 60\r\n")) + "{}",
        ),
        (
            "negative length",
            head(&format!("{auth}Content-Length: -1\r\n")),
        ),
        (
            "hidden coding",
            head(&format!("{auth}Transfer-Encoding: xchunked\r\n")) + "0\r\n\r\n",
        ),
        (
            "space before the colon",
            head(&format!("{auth}Content-Length : 2\r\n")) + "{}",
        ),
        (
            "folded header",
            head(&format!(
                "Authorization: Bearer\r\n {token}\r\nContent-Length: 2\r\nConnection: close\r\n"
            )) + "{}",
        ),
        (
            "huge header",
            head(&format!("{auth}X-A: {}\r\n", "a".repeat(1 << 20))),
        ),
        ("many headers", head(&many)),
        (
            "long target",
            format!(
                "POST /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "a".repeat(1 << 20)
            ),
        ),
        (
            "two hosts",
            head(&format!(
                "Host: localhost:{port}\r\n{auth}Content-Length: 2\r\nConnection: close\r\n"
            )) + "{}",
        ),
        (
            "no host",
            format!(
                "POST /create_draft HTTP/1.1\r\n{auth}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
            ),
        ),
        ("zero byte", head(&format!("{auth}X-A: a\0b\r\n"))),
        ("not HTTP", "\x16\x03\x01\x02\0\x01\0".to_owned()),
    ] {
        let (status, answer) = raw(&served, request.as_bytes());
        // At most one answer, and no success: the second request in a body is never one.
        let answers = answer
            .lines()
            .filter(|line| line.starts_with("HTTP/1.1 "))
            .count();
        assert!(answers <= 1, "{name}: {answer}");
        assert!(
            status == 0 || (400..500).contains(&status),
            "{name}: {answer}"
        );
    }
    let listed = home.call("list_drafts", &json!({})).expect("a list");
    assert_eq!(listed["drafts"], json!([]));

    // The body of a caller who is not served is not read.
    let large = head("Content-Length: 60000000\r\n");
    let (status, answer) = raw(&served, large.as_bytes());
    assert_eq!(status, 401, "{answer}");
    assert!(
        answer.to_lowercase().contains("\r\nconnection: close"),
        "{answer}"
    );
    assert_eq!(self::status(&served, &token), 200);
}

#[test]
fn every_answer_has_the_headers_that_protect_browsers() {
    let home = Home::embedded();
    let served = home.serve_http(&[]);
    for (method, path) in [
        ("GET", "/health"),
        ("POST", "/create_draft"),
        ("GET", "/none"),
        ("GET", "/metrics"),
        ("OPTIONS", "/mcp"),
    ] {
        let (_, head, _) = http_with_head(method, &format!("{}{path}", served.url), &[], b"");
        let head = head.to_lowercase();
        for header in [
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "x-request-id: ",
        ] {
            assert!(
                head.contains(&format!("\r\n{header}")),
                "{method} {path} {header}: {head}"
            );
        }
        assert!(!head.contains("strict-transport-security"), "{head}");
    }
}
