//! Signing in with a provider's tokens, and TLS.

use std::fs;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::support::{Answer, Home, McpOverHttp, Served, Server, http, http_with_head, until};

/// A key of a provider.
struct Key {
    id: &'static str,
    pair: Ed25519KeyPair,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
        Self { id, pair }
    }

    fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id, "x": x })
    }

    /// A token with these claims besides the usual ones.
    fn token(&self, claims: &Value) -> String {
        let mut all = json!({ "iss": "https://id.example.com", "aud": "capcut", "sub": "alice", "exp": 4_000_000_000_u64 });
        for (name, value) in claims.as_object().expect("claims") {
            all[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "EdDSA", "kid": self.id, "typ": "at+jwt" });
        let message = format!("{}.{}", part(&header), part(&all));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// A provider whose keys can be replaced, and the number of times that they were fetched.
struct Provider {
    keys: Arc<Mutex<Vec<Value>>>,
    fetched: Arc<Mutex<usize>>,
    server: Server,
}

impl Provider {
    fn new(keys: Vec<Value>) -> Self {
        let keys = Arc::new(Mutex::new(keys));
        let fetched = Arc::new(Mutex::new(0));
        let (given, count) = (Arc::clone(&keys), Arc::clone(&fetched));
        let server = Server::start(move |_| {
            *count.lock().unwrap() += 1;
            Answer::json(&json!({ "keys": *given.lock().unwrap() }))
        });
        Self {
            keys,
            fetched,
            server,
        }
    }

    /// A settings file that accepts its tokens.
    fn settings(&self, home: &Home, more: &str) -> String {
        let text = format!(
            "[auth.jwt]\nissuer = \"https://id.example.com\"\naudience = \"capcut\"\nkeys = \"{}/keys\"\n{more}",
            self.server.url
        );
        home.file("tools.toml", text).display().to_string()
    }
}

fn create(served: &Served, token: &str) -> (u16, String) {
    let token = format!("Bearer {token}");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", token.as_str()),
    ];
    http(
        "POST",
        &format!("{}/create_draft", served.url),
        &headers,
        b"{}",
    )
}

#[test]
fn tokens_of_the_provider_are_accepted_and_others_are_not() {
    let home = Home::embedded();
    let (key, stranger) = (Key::new("one"), Key::new("one"));
    let provider = Provider::new(vec![key.public()]);
    let settings = provider.settings(&home, "write_scope = \"drafts\"\nadmin_scope = \"admin\"\n");
    let served = home.serve_http(&["--config", &settings]);
    // A provider counts as a token: no one is served without one.
    let (status, head, _) = http_with_head("POST", &format!("{}/mcp", served.url), &[], b"{}");
    assert_eq!(status, 401);
    let metadata = format!(
        "resource_metadata=\"http://127.0.0.1:{}/.well-known/oauth-protected-resource/mcp\"",
        served.port()
    );
    assert!(head.contains(&metadata), "{head}");
    for (path, resource) in [("", ""), ("/mcp", "/mcp")] {
        let url = format!("{}/.well-known/oauth-protected-resource{path}", served.url);
        let (status, text) = http("GET", &url, &[], b"");
        assert_eq!(status, 200);
        let metadata: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(metadata["resource"], format!("{}{resource}", served.url));
        assert_eq!(
            metadata["authorization_servers"],
            json!(["https://id.example.com"])
        );
        assert_eq!(metadata["scopes_supported"], json!(["drafts", "admin"]));
    }
    let writer = key.token(&json!({ "scope": "openid drafts" }));
    assert_eq!(create(&served, &writer).0, 200);
    assert_eq!(create(&served, &key.token(&json!({}))).0, 403);
    for (what, token) in [
        (
            "expired",
            key.token(&json!({ "scope": "drafts", "exp": 1_000_000_000 })),
        ),
        (
            "not yet",
            key.token(&json!({ "scope": "drafts", "nbf": 3_900_000_000_u64 })),
        ),
        (
            "audience",
            key.token(&json!({ "scope": "drafts", "aud": "other" })),
        ),
        (
            "issuer",
            key.token(&json!({ "scope": "drafts", "iss": "https://evil.example" })),
        ),
        (
            "another key of that id",
            stranger.token(&json!({ "scope": "drafts" })),
        ),
        ("cut", writer[..writer.len() - 2].to_owned()),
    ] {
        let (status, text) = create(&served, &token);
        assert_eq!(status, 401, "{what}: {text}");
    }
    // The drafts of a claim are those of that tenant, also over MCP.
    let mut client = McpOverHttp::new(&served.url);
    client
        .headers
        .push(("Authorization".to_owned(), format!("Bearer {writer}")));
    let mut client = client.connect("2025-06-18");
    let list = client.call("list_drafts", &json!({}));
    assert_eq!(list["drafts"].as_array().map(Vec::len), Some(1));
    let other = key.token(&json!({ "sub": "local", "scope": "drafts" }));
    let token = format!("Bearer {other}");
    let mut client = McpOverHttp::new(&served.url);
    client.headers.push(("Authorization".to_owned(), token));
    let mut client = client.connect("2025-06-18");
    home.call("create_draft", &json!({}))
        .expect("a draft of stdio");
    assert_eq!(client.call("list_drafts", &json!({}))["drafts"], json!([]));
    assert_eq!(*provider.fetched.lock().unwrap(), 1, "keys are cached");
}

#[test]
fn unknown_keys_are_fetched_but_not_for_everyone_who_asks() {
    let home = Home::embedded();
    let (one, two) = (Key::new("one"), Key::new("two"));
    // The keys are replaced before the first token arrives, so that no pause is over yet afterwards.
    let provider = Provider::new(vec![one.public()]);
    let settings = provider.settings(&home, "");
    let served = home.serve_http(&["--config", &settings]);
    provider.keys.lock().unwrap().push(two.public());
    assert_eq!(create(&served, &two.token(&json!({}))).0, 200);
    assert_eq!(create(&served, &one.token(&json!({}))).0, 200);
    for id in ["three", "four", "five"] {
        assert_eq!(
            create(&served, &Key::new(id).token(&json!({}))).0,
            401,
            "{id}"
        );
    }
    assert_eq!(*provider.fetched.lock().unwrap(), 1);
}

#[test]
fn a_provider_that_cannot_be_reached_stops_only_its_own_tokens() {
    let home = Home::embedded();
    let key = Key::new("one");
    let server = Server::start(|_| Answer::new(500, "text/plain", "down"));
    let text = format!(
        "[auth.jwt]\nissuer = \"https://id.example.com\"\naudience = \"capcut\"\nkeys = \"{}/keys\"\n",
        server.url
    );
    let settings = home.file("tools.toml", text).display().to_string();
    let token = home.run(&["token", "add", "bob"]).success().stdout;
    let served = home.serve_http(&["--config", &settings]);
    assert_eq!(create(&served, &key.token(&json!({}))).0, 503);
    assert_eq!(create(&served, "unknown").0, 401);
    assert_eq!(create(&served, token.trim()).0, 200);
}

#[test]
fn settings_that_cannot_be_safe_are_refused() {
    let home = Home::embedded();
    for (text, what) in [
        ("issuer = \"https://id.example.com\"", "audience"),
        (
            "issuer = \"x\"\naudience = \"a\"\nkeys = \"http://id.example.com/keys\"",
            "https://",
        ),
        (
            "issuer = \"x\"\naudience = \"a\"\nkeys = \"keys.json\"",
            "absolute path",
        ),
        ("algorithms = [\"none\"]", "none"),
        ("algorithms = [\"HS256\"]", "HS256"),
        ("leeway_s = 100000.0", "leeway_s"),
    ] {
        let file = home.file("tools.toml", format!("[auth.jwt]\n{text}\n"));
        let ran = home.run(&[
            "engine",
            "--port",
            "0",
            "--config",
            &file.display().to_string(),
        ]);
        assert_ne!(ran.code, 0, "{text}");
        assert!(ran.stderr.contains(what), "{text}: {}", ran.stderr);
    }
}

/// Gets a path over TLS; returns the certificate of the server, and the answer.
fn get(port: u16, path: &str) -> (Vec<u8>, reqwest::Response) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .tls_info(true)
            .no_proxy()
            .build()
            .expect("a client");
        let answer = client
            .get(format!("https://127.0.0.1:{port}{path}"))
            .send()
            .await;
        let answer = answer.expect("an answer");
        let info = answer
            .extensions()
            .get::<reqwest::tls::TlsInfo>()
            .expect("TLS");
        (
            info.peer_certificate().expect("a certificate").to_vec(),
            answer,
        )
    })
}

#[test]
fn tls_uses_the_files_and_notices_when_they_are_replaced() {
    let home = Home::embedded();
    let data = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/");
        fs::read(format!("{folder}{name}")).expect(name)
    };
    let certificate = home.file("server.crt", data("one.crt"));
    let key = home.file("server.key", data("one.key"));
    let served = home.engine(&[
        "--tls-cert",
        &certificate.display().to_string(),
        "--tls-key",
        &key.display().to_string(),
    ]);
    let port = served.port();
    let (first, answer) = get(port, "/health");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["strict-transport-security"],
        "max-age=31536000"
    );
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");

    // Plain HTTP gets no answer, and silent clients hold up no one.
    let silent: Vec<_> = (0..50)
        .map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens"))
        .collect();
    let mut plain = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    std::io::Write::write_all(
        &mut plain,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .unwrap();
    let mut said = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut said);
    assert!(!String::from_utf8_lossy(&said).contains("HTTP/1.1 200"));
    assert_eq!(get(port, "/health").0, first);
    drop(silent);

    fs::write(&certificate, data("two.crt")).unwrap();
    fs::write(&key, data("two.key")).unwrap();
    until("the new certificate is used", || {
        get(port, "/health").0 != first
    });
    let second = get(port, "/health").0;
    fs::write(&certificate, "damaged").unwrap();
    until("the damage is reported", || {
        let (used, _) = get(port, "/health");
        assert_eq!(used, second);
        served
            .stderr()
            .contains("the last certificate stays in use")
    });
}
