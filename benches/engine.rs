//! The engine against the reference server: `cargo bench --bench engine`. Exits with 1 when a bound is missed.
//! `cargo bench --bench engine -- search` only measures the search of the catalog.
//!
//! The figures of the reference were measured on a machine that also has two cores, with the load generator on
//! the same machine and the same number of clients.

#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Requests per second of the reference with one client, and with eight.
const REFERENCE_CREATE: [f64; 2] = [413.0, 703.0];
const REFERENCE_ADD: [f64; 2] = [395.0, 769.0];
/// The time that the reference takes to save 50 videos from a local host, in seconds.
const REFERENCE_SAVE_S: f64 = 11.2;

const CLIENTS: [usize; 2] = [1, 8];

fn main() -> ExitCode {
    let home = tempfile::tempdir().expect("a folder");
    let mut report = Report::default();
    if std::env::args().any(|argument| argument == "search") {
        searches(&mut report, home.path());
        return report.code();
    }
    start(&mut report, home.path());
    throughput(&mut report, home.path());
    in_process(&mut report, home.path());
    queries(&mut report, home.path());
    save(&mut report, home.path());
    searches(&mut report, home.path());
    memory(&mut report, home.path());
    report.code()
}

#[derive(Default)]
struct Report {
    missed: usize,
}

impl Report {
    fn code(&self) -> ExitCode {
        if self.missed == 0 {
            return ExitCode::SUCCESS;
        }
        println!("{} bounds are missed", self.missed);
        ExitCode::FAILURE
    }

    fn at_most(&mut self, what: &str, value: f64, bound: f64, unit: &str) {
        self.line(what, value, unit, value <= bound, &format!("<= {bound}"));
    }

    fn at_least(&mut self, what: &str, value: f64, bound: f64, unit: &str) {
        self.line(what, value, unit, value >= bound, &format!(">= {bound}"));
    }

    fn line(&mut self, what: &str, value: f64, unit: &str, met: bool, bound: &str) {
        let sign = if met { "ok    " } else { "MISSED" };
        println!("{sign} {what:<52} {value:>10.2} {unit} ({bound})");
        self.missed += usize::from(!met);
    }
}

/// `capcut-mcp engine` with its own data directory.
struct Engine {
    child: Child,
    address: String,
}

impl Engine {
    fn start(home: &Path) -> Self {
        let folder = tempfile::tempdir_in(home).expect("a folder").keep();
        let port = free_port();
        let child = Command::new(env!("CARGO_BIN_EXE_capcut-mcp"))
            .args(["engine", "--port", &port.to_string(), "--allow-dir"])
            .arg(home)
            .arg("--data-dir")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the engine starts");
        let engine = Self {
            child,
            address: format!("127.0.0.1:{port}"),
        };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&engine.address).is_err() {
            assert!(Instant::now() < until, "the engine does not listen");
            thread::sleep(Duration::from_micros(200));
        }
        engine
    }

    fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// The current resident memory, in bytes.
    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        number.expect("VmRSS") * 1024.0
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A connection that is kept open, with only the parts of HTTP that the engine needs.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the engine listens");
        stream.set_nodelay(true).expect("TCP");
        Self {
            stream: BufReader::with_capacity(1 << 16, stream),
        }
    }

    /// Posts a request; returns the body of the answer.
    fn post(&mut self, path: &str, body: &str) -> Vec<u8> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(request.as_bytes()).expect("sent");
        let (length, _) = head(&mut self.stream).expect("an answer");
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).expect("all of it");
        answer
    }

    /// Runs a call that must succeed; returns its `output`.
    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.post(&format!("/{tool}"), &arguments.to_string());
        let mut answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["success"], true, "{answer}");
        answer["output"].take()
    }

    fn draft(&mut self) -> String {
        let created = self.call("create_draft", &json!({}));
        created["draft_id"].as_str().expect("an id").to_owned()
    }
}

/// Reads the head of a request or answer; returns the length of the body and the first line.
fn head(stream: &mut impl BufRead) -> Option<(usize, String)> {
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        let text = line.trim().to_ascii_lowercase();
        if let Some(value) = text.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if text.is_empty() {
            return Some((length, first));
        }
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn start(report: &mut Report, home: &Path) {
    let times = (0..15)
        .map(|_| {
            timed(|| {
                let engine = Engine::start(home);
                engine.client().call("create_draft", &json!({}));
            })
        })
        .collect();
    let what = "engine: from start to the first draft";
    report.at_most(what, median(times) * 1e3, 50.0, "ms");
}

fn throughput(report: &mut Report, home: &Path) {
    const CALLS: usize = 24_000;
    let engine = Engine::start(home);
    for (tool, reference) in [
        ("create_draft", REFERENCE_CREATE),
        ("add_text", REFERENCE_ADD),
    ] {
        for (clients, reference) in CLIENTS.into_iter().zip(reference) {
            let elapsed = timed(|| {
                thread::scope(|scope| {
                    for _ in 0..clients {
                        scope.spawn(|| call_on(&engine, tool, CALLS / clients));
                    }
                });
            });
            let each_second = CALLS as f64 / elapsed.as_secs_f64();
            let what = format!("{tool}, HTTP, clients {clients}: times the reference");
            report.at_least(&what, each_second / reference, 20.0, "x");
        }
    }
}

/// Makes this number of calls, a thousand on each draft.
fn call_on(engine: &Engine, tool: &str, calls: usize) {
    let mut client = engine.client();
    let path = format!("/{tool}");
    let mut draft = String::new();
    for index in 0..calls {
        if index % 1_000 == 0 {
            draft = client.draft();
        }
        let answer = client.post(&path, &text_at(&draft, index));
        let good = answer.windows(14).any(|w| w == b"\"success\":true");
        assert!(good, "{}", String::from_utf8_lossy(&answer));
    }
}

/// Arguments for `add_text`; `create_draft` accepts them too, because it ignores unknown fields.
fn text_at(draft: &str, index: usize) -> String {
    format!(
        "{{\"draft_id\":\"{draft}\",\"text\":\"a\",\"start\":{index},\"end\":{}}}",
        index + 1
    )
}

fn in_process(report: &mut Report, home: &Path) {
    const CALLS: usize = 20_000;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let engine = capcut_mcp::bench::InProcess::open(&home.join("in-process")).expect("an engine");
    runtime.block_on(async {
        let call = async |tool: &str, arguments: Value| {
            engine.call(tool, arguments).await.expect("a reply")
        };
        let start = Instant::now();
        for _ in 0..CALLS {
            call("create_draft", json!({})).await;
        }
        let each_second = CALLS as f64 / start.elapsed().as_secs_f64();
        let what = "create_draft, in process: times the reference";
        report.at_least(what, each_second / REFERENCE_CREATE[0], 50.0, "x");

        let drafts = 10;
        let mut elapsed = Duration::ZERO;
        for _ in 0..drafts {
            let draft = call("create_draft", json!({})).await["draft_id"].take();
            let start = Instant::now();
            for index in 0..CALLS / drafts {
                let arguments =
                    json!({ "draft_id": draft, "text": "a", "start": index, "end": index + 1 });
                call("add_text", arguments).await;
            }
            elapsed += start.elapsed();
        }
        let each_second = CALLS as f64 / elapsed.as_secs_f64();
        let what = "add_text, in process: times the reference";
        report.at_least(what, each_second / REFERENCE_ADD[0], 50.0, "x");
    });
}

/// The search of the catalog, with words of several kinds, in English and Chinese, misspelt and unknown.
fn searches(report: &mut Report, home: &Path) {
    const QUERIES: [&str; 6] = ["fade", "warm retro", "disolve", "淡入", "模糊", "qqqq"];
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas/search_catalog.json");
    let schema = fs::read(schema).expect("the schema");
    let schema: Value = serde_json::from_slice(&schema).expect("JSON");
    let kinds = kinds_in(&schema).expect("the kinds");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let engine = capcut_mcp::bench::InProcess::open(&home.join("search")).expect("an engine");
    let slowest = |arguments: &Value| {
        let times = QUERIES.iter().map(|query| {
            let mut arguments = arguments.clone();
            arguments["query"] = json!(query);
            let times = (0..9).map(|_| {
                timed(|| {
                    let found = runtime.block_on(engine.call("search_catalog", arguments.clone()));
                    found.expect("a reply");
                })
            });
            median(times.collect()) * 1e3
        });
        times.fold(0.0, f64::max)
    };
    let by_kind = kinds.iter().map(|kind| slowest(&json!({ "kind": kind })));
    let slowest_kind = by_kind.fold(0.0, f64::max);
    let what = format!("search_catalog, the slowest of {} kinds", kinds.len());
    report.at_most(&what, slowest_kind, 5.0, "ms");
    let all = slowest(&json!({}));
    report.at_most("search_catalog, over all kinds", all, 20.0, "ms");
}

/// The values of the argument `kind` in a schema.
fn kinds_in(schema: &Value) -> Option<Vec<String>> {
    match schema {
        Value::Object(members) => {
            let own = members.get("kind").and_then(|kind| kind["enum"].as_array());
            let own = own.map(|kinds| kinds.iter().filter_map(Value::as_str).map(str::to_owned));
            own.map(Iterator::collect)
                .or_else(|| members.values().find_map(kinds_in))
        }
        Value::Array(list) => list.iter().find_map(kinds_in),
        _ => None,
    }
}

fn queries(report: &mut Report, home: &Path) {
    let engine = Engine::start(home);
    let mut client = engine.client();
    let draft = client.draft();
    let mut added = 0;
    let mut figures = Vec::new();
    for (segments, bound) in [(1_000, 10.0), (3_000, 30.0)] {
        for index in added..segments {
            client.post("/add_text", &text_at(&draft, index));
        }
        added = segments;
        for force_update in [false, true] {
            let arguments = json!({ "draft_id": draft, "force_update": force_update }).to_string();
            let times = (0..15).map(|_| {
                timed(|| {
                    client.post("/query_script", &arguments);
                })
            });
            let time = median(times.collect()) * 1e3;
            let refreshed = if force_update { ", refreshed" } else { "" };
            let what = format!("query_script of {segments} segments{refreshed}");
            report.at_most(&what, time, bound, "ms");
            figures.push(time);
        }
    }
    let growth = figures[2] / figures[0] / 3.0;
    let what = "query_script: time per segment, 3,000 against 1,000";
    report.at_most(what, growth, 1.5, "x");
    // Alternating, so that both run under the same conditions.
    let fresh = client.draft();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for index in 0..500 {
        let both = [
            (&fresh, index, &mut first),
            (&draft, 3_000 + index, &mut last),
        ];
        for (draft, index, times) in both {
            times.push(timed(|| {
                client.post("/add_text", &text_at(draft, index));
            }));
        }
    }
    let what = "add_text: the 3,000th against the first";
    report.at_most(what, median(last) / median(first), 1.25, "x");
}

fn save(report: &mut Report, home: &Path) {
    const VIDEOS: usize = 50;
    let clip = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/media/clip.mp4");
    let (host, asked) = serve(fs::read(clip).expect("the clip"));
    let mut times = Vec::new();
    for round in 0..5 {
        let engine = Engine::start(home);
        let mut client = engine.client();
        let draft = client.draft();
        for index in 0..VIDEOS {
            let url = format!("http://{host}/{round}/{index}.mp4");
            let arguments =
                json!({ "draft_id": draft, "video_url": url, "end": 1, "target_start": index });
            client.call("add_video", &arguments);
        }
        let folder = home.join(format!("saved-{round}"));
        fs::create_dir(&folder).expect("a folder");
        times.push(timed(|| {
            let saved = client.call(
                "save_draft",
                &json!({ "draft_id": draft, "draft_folder": folder }),
            );
            assert!(saved.is_object(), "{saved}");
        }));
        let media = fs::read_dir(&folder).expect("the folder").flatten().count();
        assert_eq!(media, 1, "one draft");
    }
    assert!(asked.load(Ordering::Relaxed) >= VIDEOS * times.len());
    let what = format!("save of {VIDEOS} videos: times the reference");
    report.at_least(&what, REFERENCE_SAVE_S / median(times), 20.0, "x");
}

/// A host that returns the same bytes for every path, with range support.
fn serve(bytes: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let (bytes, counter) = (Arc::new(bytes), Arc::clone(&asked));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (bytes, counter) = (Arc::clone(&bytes), Arc::clone(&counter));
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                while let Some(range) = range(&mut reader, bytes.len()) {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let head = match range {
                        None => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", bytes.len()),
                        Some((from, to)) => format!(
                            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{to}/{}\r\nContent-Length: {}\r\n",
                            bytes.len(),
                            to - from + 1
                        ),
                    };
                    let (from, to) = range.unwrap_or((0, bytes.len() - 1));
                    let stream = reader.get_mut();
                    let head =
                        format!("{head}Content-Type: video/mp4\r\nAccept-Ranges: bytes\r\n\r\n");
                    if stream.write_all(head.as_bytes()).is_err()
                        || stream.write_all(&bytes[from..=to]).is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    (host, asked)
}

/// The range that the next request asks for: `None` if there is no request, `Some(None)` for the whole file.
#[expect(
    clippy::option_option,
    reason = "there may be no request, or one without a range"
)]
fn range(reader: &mut impl BufRead, length: usize) -> Option<Option<(usize, usize)>> {
    let (mut line, mut range) = (String::new(), None);
    let mut lines = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        lines += 1;
        let text = line.trim().to_ascii_lowercase();
        if text.is_empty() && lines > 1 {
            return Some(range);
        }
        if let Some((from, to)) = text
            .strip_prefix("range: bytes=")
            .and_then(|r| r.split_once('-'))
        {
            let from = from.parse().ok()?;
            let to = to.parse().unwrap_or(length - 1).min(length - 1);
            range = Some((from, to));
        }
    }
}

fn memory(report: &mut Report, home: &Path) {
    const DRAFTS: usize = 10_000;
    let empty = Engine::start(home);
    let mut client = empty.client();
    for _ in 0..DRAFTS {
        client.draft();
    }
    report.at_most(
        "memory with 10,000 drafts",
        empty.memory() / 1e6,
        100.0,
        "MB",
    );
    drop(empty);
    let engine = Engine::start(home);
    let mut client = engine.client();
    let captions: Vec<String> = (0..20)
        .map(|n| {
            format!(
                "{}\n00:00:{n:02},000 --> 00:00:{:02},000\nWords to read, {n}\n",
                n + 1,
                n + 1
            )
        })
        .collect();
    let captions = captions.join("\n");
    for _ in 0..DRAFTS {
        let draft = client.draft();
        client.call(
            "add_subtitle",
            &json!({ "draft_id": draft, "srt": captions }),
        );
    }
    report.at_most(
        "memory with 10,000 drafts of 20 captions",
        engine.memory() / 1e6,
        100.0,
        "MB",
    );
}
