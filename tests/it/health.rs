//! `capcut-mcp health`: the state of a running server, for health checks.

use serde_json::{Value, json};

use super::support::{Answer, Home, NOWHERE, Server};

#[test]
fn health_prints_the_state_of_a_server_and_fails_without_one() {
    let home = Home::embedded();
    let mut served = home.serve_http(&[]);
    let place = served.url.trim_start_matches("http://").to_owned();
    for url in [&served.url, &format!("{}/health", served.url), &place] {
        let told = home.run(&["health", url]).success().json();
        assert_eq!(told["status"], "ok", "{told}");
    }
    let told = home.run(&["health", "--ready", &served.url]).success();
    assert_eq!(told.json()["ready"], true);
    assert_eq!(told.json()["checks"]["journal"], "ok");

    served.child.kill().expect("the server is killed");
    served.child.wait().expect("the server ends");
    let gone = home.run(&["health", &served.url]);
    assert_eq!((gone.code, gone.stdout.as_str()), (4, ""));
    assert!(gone.stderr.contains("no answer"), "{}", gone.stderr);
    assert!(gone.stderr.contains("hint: "), "{}", gone.stderr);
}

#[test]
fn health_needs_no_token_and_then_gets_the_state_only() {
    let mut home = Home::embedded();
    home.set(
        "CAPCUT_MCP_TOKENS",
        "alice 0123456789abcdef0123456789abcdef",
    );
    let served = home.serve_http(&[]);
    for line in [
        &["health", &*served.url][..],
        &["health", "--ready", &*served.url],
    ] {
        let told = home.run(line).success().json();
        assert_eq!(told, json!({ "status": "ok" }), "{line:?}");
    }
}

#[test]
fn health_fails_if_the_server_says_that_no_draft_can_be_made() {
    let home = Home::remote(NOWHERE);
    let served = home.engine(&["--backend", "remote"]);
    let told = home.run(&["health", &served.url]);
    assert_eq!((told.code, told.stdout.as_str()), (4, ""));
    assert!(told.stderr.contains("HTTP 503"), "{}", told.stderr);
    let said = &told.stderr[told.stderr.find('{').expect("the answer")..];
    let said: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    assert_eq!(said["status"], "unavailable", "{said}");
}

#[test]
fn health_does_not_take_another_server_for_this_one() {
    let other = Server::start(|asked| match &*asked.path {
        "/health" => Answer::new(302, "text/html", ""),
        _ => Answer::new(404, "text/html", "<h1>nothing here</h1>".repeat(1000)),
    });
    let home = Home::embedded();
    let moved = home.run(&["health", &other.url]);
    assert_eq!(moved.code, 4, "{moved:?}");
    assert!(moved.stderr.contains("HTTP 302"), "{}", moved.stderr);
    let missing = home.run(&["health", "--ready", &other.url]);
    assert_eq!(missing.code, 4, "{missing:?}");
    assert!(missing.stderr.contains("HTTP 404"), "{}", missing.stderr);
    assert!(missing.stderr.len() < 1500, "{}", missing.stderr);
}
