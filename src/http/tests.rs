//! Tests of the HTTP server over a socket, with tools whose answers are controlled by the arguments.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::caller::Caller;
use crate::error::{Error, Kind};
use crate::tools::ROUTED;

const DRAFT: &str = "dfd_cat_1700000000_0badcafe";

/// A server for these tests: the calls that it received, and how to stop it.
struct TestServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    carried_out: Arc<AtomicUsize>,
    slow: Arc<Semaphore>,
}

/// Replies as the tools do, or as the `text` argument says.
async fn reply(arguments: Object, list: bool, slow: &Semaphore) -> Result<Value> {
    match arguments.get("text").and_then(Value::as_str) {
        Some("panic") => panic!("as the test requested"),
        Some("fail") => Err(Error::conflict("no room").hint("another track")),
        Some("busy") => Err(Error::new(Kind::Busy, "the lane is full")),
        Some("slow") => {
            slow.acquire().await.expect("open").forget();
            Ok(json!({"draft_id": DRAFT}))
        }
        _ if list => Ok(json!({"total": 1, "names": [{"name": "淡入"}]})),
        _ => Ok(json!({
            "draft_id": DRAFT,
            "track": "text_main",
            "backend": "embedded",
            "notes": ["cut to 2 s"],
        })),
    }
}

impl TestServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let carried_out = Arc::new(AtomicUsize::new(0));
        let slow = Arc::new(Semaphore::new(0));
        let (count, gate) = (Arc::clone(&carried_out), Arc::clone(&slow));
        let run: Run = Arc::new(move |request| {
            let arguments = request.call().arguments.clone();
            let list = request.spec().name.starts_with("get_");
            let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
            Box::pin(async move {
                let reply = reply(arguments, list, &gate).await;
                count.fetch_add(1, Ordering::SeqCst);
                reply.map(|reply| Done {
                    reply,
                    output: None,
                })
            })
        });
        let tenant = Tenant {
            run,
            health: Box::new(|| Box::pin(async { (true, json!({ "status": "ok" })) })),
            refused: Box::new(|_, _| {}),
            link: Box::new(|draft| format!("https://drafts.test/?draft_id={draft}")),
            app: None,
            mcp: None,
            here: Caller::client(Manner::Api, From::Here, &Arc::default()),
            network: Caller::client(Manner::Api, From::Network, &Arc::default()),
            use_of: super::tenants::TenantUse::new(0),
        };
        let calls = Arc::new(Semaphore::new(CALLS));
        let own = HttpServer::new(Tenants::only(tenant), calls, CancellationToken::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(serve(listener, Arc::new(own), None, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop: Some(stop),
            served,
            carried_out,
            slow,
        }
    }

    async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        Client {
            stream,
            buffer: Vec::new(),
        }
    }

    async fn ask(&self, method: &str, path: &str, kind: Option<&str>, body: &[u8]) -> Got {
        let mut client = self.connect().await;
        client.send(method, path, kind, body).await;
        client.got(method == "HEAD").await
    }

    async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Got {
        let kind = Some("application/json");
        self.ask("POST", path, kind, body.as_ref()).await
    }
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn error(&self) -> String {
        let answer = self.json();
        assert_eq!(answer["success"], false, "{answer}");
        assert_eq!(answer["output"], "", "{answer}");
        answer["error"].as_str().expect("a text").to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Client {
    async fn send(&mut self, method: &str, path: &str, kind: Option<&str>, body: &[u8]) {
        let kind = kind.map_or_else(String::new, |kind| format!("Content-Type: {kind}\r\n"));
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: {length}\r\n\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat()).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
    }

    async fn got(&mut self, head_only: bool) -> Got {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            let count = self.stream.read_buf(&mut self.buffer).await.expect("read");
            assert!(
                count > 0,
                "closed: {}",
                String::from_utf8_lossy(&self.buffer)
            );
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).expect("ASCII");
        let status = head[9..12].parse().expect("a status");
        let mut got = Got {
            status,
            head,
            body: Vec::new(),
        };
        let length = got
            .header("content-length")
            .map_or(0, |n| n.parse().expect("a number"));
        if !head_only {
            while self.buffer.len() < length {
                let count = self.stream.read_buf(&mut self.buffer).await.expect("read");
                assert!(count > 0, "the body broke off");
            }
            got.body = self.buffer.drain(..length).collect();
        }
        got
    }
}

#[tokio::test]
async fn a_success_has_the_envelope_of_the_api_and_our_extra_fields() {
    let server = TestServer::start().await;
    let got = server.post("/add_text", r#"{"text":"x"}"#).await;
    assert_eq!(got.status, 200);
    assert_eq!(got.header("content-type"), Some("application/json"));
    let url = format!("https://drafts.test/?draft_id={DRAFT}");
    assert_eq!(
        String::from_utf8(got.body).expect("ASCII"),
        format!(
            concat!(
                r#"{{"backend":"embedded","error":"","notes":["cut to 2 s"],"#,
                r#""output":{{"draft_id":"{id}","draft_url":"{url}"}},"success":true,"track":"text_main"}}"#,
                "\n"
            ),
            id = DRAFT,
            url = url
        )
    );
    let got = server.ask("GET", "/get_mask_types", None, b"").await;
    assert_eq!(
        String::from_utf8(got.body).expect("ASCII"),
        "{\"error\":\"\",\"output\":[{\"name\":\"\\u6de1\\u5165\"}],\"success\":true,\"total\":1}\n"
    );
}

#[tokio::test]
async fn paths_methods_and_bodies_are_answered_as_the_api_does() {
    const JSON: Option<&str> = Some("application/json");
    let server = TestServer::start().await;
    let cases: &[(&str, &str, Option<&str>, &str, u16)] = &[
        ("POST", "/create_draft", JSON, "{}", 200),
        ("POST", "/create_draft?x=1&y", JSON, "{}", 200),
        ("POST", "//create_draft", JSON, "{}", 200),
        ("POST", "/create%5Fdraft", JSON, "{}", 200),
        ("POST", "http://localhost/create_draft", JSON, "{}", 200),
        (
            "POST",
            "/create_draft",
            Some("application/json; charset=utf-8"),
            "{}",
            200,
        ),
        ("POST", "/create_draft", Some("Application/JSON"), "{}", 200),
        (
            "POST",
            "/create_draft",
            Some("application/vnd.api+json"),
            "{}",
            200,
        ),
        (
            "POST",
            "/create_draft",
            Some("APPLICATION/x+JSON ;a=b"),
            "{}",
            200,
        ),
        (
            "POST",
            "/create_draft",
            JSON,
            "{\"width\":1,\"width\":2}",
            200,
        ),
        ("POST", "/create_draft", JSON, "\u{feff}{}", 200),
        ("POST", "/create_draft", None, "", 415),
        ("POST", "/create_draft", None, "{}", 415),
        ("POST", "/create_draft", Some("text/plain"), "{}", 415),
        ("POST", "/create_draft", Some("text/json"), "{}", 415),
        ("POST", "/create_draft", Some("text/x+json"), "{}", 415),
        (
            "POST",
            "/create_draft",
            Some("application/x-www-form-urlencoded"),
            "{}",
            415,
        ),
        ("POST", "/create_draft", JSON, "", 400),
        ("POST", "/create_draft", JSON, "{bad json", 400),
        ("POST", "/create_draft", JSON, "null", 500),
        ("POST", "/create_draft", JSON, "[]", 500),
        ("POST", "/create_draft", JSON, "\"text\"", 500),
        ("POST", "/create_draft", JSON, "3", 500),
        ("GET", "/create_draft", None, "", 405),
        ("HEAD", "/create_draft", None, "", 405),
        ("PUT", "/add_text", JSON, "{}", 405),
        ("PATCH", "/add_text", JSON, "{}", 405),
        ("DELETE", "/add_text", None, "", 405),
        ("BREW", "/add_text", None, "", 405),
        ("OPTIONS", "/create_draft", None, "", 200),
        ("OPTIONS", "/get_mask_types", None, "", 200),
        ("OPTIONS", "/nope", None, "", 404),
        ("GET", "/get_mask_types", None, "", 200),
        ("GET", "/get_mask_types?a=b", None, "", 200),
        ("GET", "//get_mask_types", None, "", 200),
        ("GET", "/get%5fmask_types", None, "", 200),
        ("HEAD", "/get_mask_types", None, "", 200),
        ("POST", "/get_mask_types", JSON, "{}", 405),
        ("GET", "/get_mask_types/", None, "", 404),
        ("POST", "/create_draft/", JSON, "{}", 404),
        ("GET", "/", None, "", 404),
        ("GET", "/nope", None, "", 404),
        ("POST", "/nope", JSON, "{}", 404),
        ("GET", "/%ff%fe%", None, "", 404),
        ("GET", "/get_duration", None, "", 404),
        ("POST", "/health", JSON, "{}", 405),
        ("HEAD", "/health", None, "", 200),
    ];
    for &(method, path, kind, body, status) in cases {
        let case = format!("{method} {path} {kind:?} {body}");
        let got = server.ask(method, path, kind, body.as_bytes()).await;
        assert_eq!(got.status, status, "{case}: {got:?}");
        let json = status == 200 && method != "OPTIONS";
        let wanted = if json {
            "application/json"
        } else {
            "text/html; charset=utf-8"
        };
        assert_eq!(got.header("content-type"), Some(wanted), "{case}");
        if method == "HEAD" && status == 200 {
            assert_ne!(got.header("content-length"), Some("0"), "{case}");
        } else if method == "OPTIONS" && status == 200 {
            assert!(got.body.is_empty(), "{case}");
            assert!(
                got.header("allow")
                    .is_some_and(|allow| allow.contains("OPTIONS")),
                "{case}"
            );
        } else if method != "HEAD" && !json {
            let page = String::from_utf8(got.body).expect("ASCII");
            assert!(page.starts_with("<!doctype html>"), "{case}: {page}");
            assert!(
                page.contains(&format!("<title>{status} ")),
                "{case}: {page}"
            );
        }
        // A call works after any of these requests.
        assert_eq!(
            server.post("/create_draft", "{}").await.json()["success"],
            true,
            "{case}"
        );
    }
}

#[tokio::test]
async fn every_routed_tool_has_a_route() {
    let server = TestServer::start().await;
    for spec in &ROUTED {
        let path = format!("/{}", spec.name);
        let got = server.ask("OPTIONS", &path, None, b"").await;
        let wanted = if spec.name.starts_with("get_") {
            "GET, HEAD, OPTIONS"
        } else {
            "OPTIONS, POST"
        };
        assert_eq!(got.header("allow"), Some(wanted), "{path}");
    }
}

#[tokio::test]
async fn a_failure_is_reported_in_the_words_of_the_api() {
    let server = TestServer::start().await;
    let check = async |body: &str, error: &str| {
        let got = server.post("/add_text", body).await;
        assert_eq!(got.status, 200, "{body}");
        assert_eq!(got.error(), error, "{body}");
    };
    let around = |text: &str| {
        format!(
            "Error occurred while processing text: {text}. You can click the link below for help: "
        )
    };
    let missing = "Hi, the required parameters 'text', 'start' or 'end' are missing. ";
    check("{}", missing).await;
    check(r#"{"text":"fail"}"#, &around("no room; another track")).await;
    check(
        r#"{"text":"x","start":NaN}"#,
        &around("`start` is NaN, where a finite number is expected"),
    )
    .await;
    check(
        r#"{"text":"\ud83d"}"#,
        &around("`text` contains half of a surrogate pair, which is not a character"),
    )
    .await;
    assert_eq!(server.carried_out.load(Ordering::SeqCst), 1);
    let got = server
        .post("/add_text", r#"{"text":"x","unknown_field":NaN}"#)
        .await;
    assert_eq!(got.json()["success"], true);
}

#[tokio::test]
async fn a_panic_is_answered_and_the_server_continues() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client
        .send(
            "POST",
            "/add_text",
            Some("application/json"),
            br#"{"text":"panic"}"#,
        )
        .await;
    let got = client.got(false).await;
    assert_eq!(got.status, 200);
    assert!(
        got.error().contains("an internal error in capcut-mcp"),
        "{got:?}"
    );
    client
        .send(
            "POST",
            "/add_text",
            Some("application/json"),
            br#"{"text":"x"}"#,
        )
        .await;
    assert_eq!(client.got(false).await.json()["success"], true);
}

#[tokio::test]
async fn calls_over_the_limit_get_503_with_retry_after() {
    let server = TestServer::start().await;
    let got = server.post("/add_text", r#"{"text":"busy"}"#).await;
    assert_eq!(got.status, 503);
    assert_eq!(got.header("retry-after"), Some("1"));
    assert!(got.error().contains("the lane is full"));

    let mut waiting = Vec::new();
    for _ in 0..CALLS {
        let mut client = server.connect().await;
        client
            .send(
                "POST",
                "/add_text",
                Some("application/json"),
                br#"{"text":"slow"}"#,
            )
            .await;
        waiting.push(client);
    }
    // All are running as soon as one more call is refused.
    loop {
        let got = server.post("/add_text", r#"{"text":"x"}"#).await;
        if got.status == 503 {
            assert_eq!(got.header("retry-after"), Some("1"));
            assert!(got.error().contains("512 calls are under way"), "{got:?}");
            break;
        }
    }
    assert_eq!(server.ask("GET", "/health", None, b"").await.status, 200);
    server.slow.add_permits(CALLS);
    for mut client in waiting {
        assert_eq!(client.got(false).await.json()["success"], true);
    }
    assert_eq!(
        server.post("/add_text", r#"{"text":"x"}"#).await.status,
        200
    );
}

#[tokio::test]
async fn a_connection_serves_many_calls_with_any_framing_of_bodies() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client
            .send("POST", "/create_draft", Some("application/json"), b"{}")
            .await;
        assert_eq!(client.got(false).await.status, 200);
        client
            .send("POST", "/nope", Some("application/json"), &[b' '; 100_000])
            .await;
        assert_eq!(client.got(false).await.status, 404);
        client.send("POST", "/create_draft", None, b"{bad").await;
        assert_eq!(client.got(false).await.status, 415);
        let chunked = "POST /create_draft HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n3\r\n{\"w\r\n";
        client.raw(chunked.as_bytes()).await;
        client.raw(b"9\r\nidth\":720\r\n1\r\n}\r\n0\r\n\r\n").await;
        assert_eq!(client.got(false).await.json()["success"], true);
        // Two requests sent together are answered in order.
        client
            .send("POST", "/add_text", Some("application/json"), b"{}")
            .await;
        client
            .send("POST", "/create_draft", Some("application/json"), b"{}")
            .await;
        assert_eq!(client.got(false).await.json()["success"], false);
        assert_eq!(client.got(false).await.json()["success"], true);
    }
}

#[tokio::test]
async fn a_body_over_64_mib_is_refused() {
    let server = TestServer::start().await;
    let text = "好".repeat(1 << 20);
    let got = server
        .post("/add_text", format!("{{\"text\":\"{text}\"}}"))
        .await;
    assert_eq!(got.json()["success"], true);
    let got = server.post("/add_text", vec![b' '; (64 << 20) + 1]).await;
    assert_eq!(got.status, 413);
    assert_eq!(got.error(), "the body is larger than 64 MiB");
}

#[tokio::test]
async fn a_call_completes_after_its_client_disconnects() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client
        .send(
            "POST",
            "/add_text",
            Some("application/json"),
            br#"{"text":"slow"}"#,
        )
        .await;
    // The next request on the connection is not read before the first is answered.
    server.post("/create_draft", "{}").await;
    drop(client);
    server.post("/create_draft", "{}").await;
    server.slow.add_permits(1);
    while server.carried_out.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopping_lets_running_calls_finish() {
    let mut server = TestServer::start().await;
    let mut idle = server.connect().await;
    idle.send("POST", "/create_draft", Some("application/json"), b"{}")
        .await;
    assert_eq!(idle.got(false).await.status, 200);
    let mut client = server.connect().await;
    client
        .send(
            "POST",
            "/add_text",
            Some("application/json"),
            br#"{"text":"slow"}"#,
        )
        .await;
    server.post("/create_draft", "{}").await;
    server
        .stop
        .take()
        .expect("not yet stopped")
        .send(())
        .expect("it serves");
    // An idle connection is closed immediately.
    assert_eq!(idle.stream.read(&mut [0]).await.expect("closed"), 0);
    server.slow.add_permits(1);
    assert_eq!(client.got(false).await.json()["success"], true);
    (&mut server.served).await.expect("it ended");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn health_reports_ok() {
    let server = TestServer::start().await;
    let got = server.ask("GET", "/health", None, b"").await;
    let wanted = json!({ "status": "ok" });
    assert_eq!(got.json(), wanted);
}
