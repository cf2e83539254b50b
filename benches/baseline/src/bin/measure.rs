//! Measures our server and the baseline in one run: `measure OURS BASELINE`. Exits with 1 when a bound is missed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use bench::{Api, Cpus, Report, Server, Streams, at, median};

const DRAFT: &str = "dfd_cat_1700000000_0123abcd";
const ROUNDS: usize = 15;
const CALLS: usize = 1_000;
const MANY: usize = 10_000;

/// The server that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Bare,
    Ours,
}

/// The calls that are measured.
trait Calls {
    fn send_call(&mut self);
    fn expect_result(&mut self);
    fn edits(&mut self, draft: &str) -> (f64, f64);
    fn one_by_one(&mut self, calls: usize) -> Vec<Duration>;
    fn together(&mut self, calls: usize, in_flight: usize) -> f64;
}

impl Calls for Server {
    fn send_call(&mut self) {
        self.id += 1;
        self.calls += 1;
        let id = self.id;
        self.send(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"query_draft_status\",\"arguments\":{{\"task_id\":\"{DRAFT}\"}}}}}}\n"));
    }

    fn expect_result(&mut self) {
        let line = self.receive();
        let good = line.windows(19).any(|w| w == b"\"structuredContent\"");
        assert!(good, "no result: {}", String::from_utf8_lossy(line));
    }

    /// Adds texts one after another, each recorded in the journal before it is answered; returns the median and
    /// the 99th percentile in microseconds.
    fn edits(&mut self, draft: &str) -> (f64, f64) {
        let mut times: Vec<Duration> = (0..CALLS)
            .map(|index| {
                let start = Instant::now();
                let answer = self.ask(
                    "tools/call",
                    &format!("{{\"name\":\"add_text\",\"arguments\":{{\"draft_id\":\"{draft}\",\"text\":\"a\",\"start\":{index},\"end\":{}}}}}", index + 1),
                );
                assert!(answer.contains("structuredContent"), "{answer}");
                start.elapsed()
            })
            .collect();
        (at(&mut times, 0.5), at(&mut times, 0.99))
    }

    fn one_by_one(&mut self, calls: usize) -> Vec<Duration> {
        (0..calls)
            .map(|_| {
                let start = Instant::now();
                self.send_call();
                self.expect_result();
                start.elapsed()
            })
            .collect()
    }

    fn together(&mut self, calls: usize, in_flight: usize) -> f64 {
        let start = Instant::now();
        let mut sent = 0;
        for received in 0..calls {
            while sent < calls && sent < received + in_flight {
                self.send_call();
                sent += 1;
            }
            self.expect_result();
        }
        calls as f64 / start.elapsed().as_secs_f64()
    }
}

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [ours, baseline] = arguments.as_slice() else {
        eprintln!("usage: measure OURS BASELINE");
        std::process::exit(2);
    };
    let cpus = Cpus::divide();
    let (api, url) = Api::start(|path, _| {
        Some(match path {
            "/create_draft" | "/add_text" => {
                format!("{{\"draft_id\":\"{DRAFT}\",\"draft_url\":\"https://example.org\"}}")
            }
            "/query_draft_status" => format!(
                "{{\"completed_files\":1,\"draft_url\":\"\",\"message\":\"\",\"progress\":1,\"status\":\"processing\",\"task_id\":\"{DRAFT}\",\"total_files\":2}}"
            ),
            _ => "[{\"name\":\"a\"}]".to_owned(),
        })
    });
    let bench = Bench {
        ours: ours.clone(),
        baseline: baseline.clone(),
        cpus,
        api,
        url,
        home: std::env::temp_dir().join(format!("capcut-mcp-measure-{}", std::process::id())),
    };
    let mut report = Report::default();
    for streams in [Streams::Pipes, Streams::Sockets] {
        calls(&mut report, &bench, streams);
    }
    process(&mut report, &bench);
    let _ = std::fs::remove_dir_all(&bench.home);
    report.exit();
}

/// What all measurements share.
struct Bench {
    ours: PathBuf,
    baseline: PathBuf,
    cpus: Cpus,
    api: Arc<Api>,
    url: String,
    home: PathBuf,
}

impl Bench {
    fn home(&self, name: &str) -> PathBuf {
        let home = self.home.join(name);
        std::fs::create_dir_all(&home).expect("a folder");
        home
    }

    fn server(&self, program: &Path, arguments: &[&str], home: &Path, streams: Streams) -> Server {
        let start = || Server::start(program, arguments, &self.url, home, streams);
        self.cpus.server(start)
    }
}

/// Creates the draft that the calls are about, and warms up.
fn prepared(mut server: Server, makes_draft: bool) -> Server {
    server.ready();
    if makes_draft {
        let answer = server.ask("tools/call", "{\"name\":\"create_draft\",\"arguments\":{}}");
        assert!(answer.contains(DRAFT), "{answer}");
    }
    server.one_by_one(500);
    server
}

fn calls(report: &mut Report, bench: &Bench, streams: Streams) {
    println!("-- tools/call over {streams:?}");
    let home = bench.home(&format!("{streams:?}"));
    let api = &bench.api;
    let mut figures: HashMap<(&str, Who), Vec<f64>> = HashMap::new();
    for _ in 0..ROUNDS {
        // One after the other, so that both run under the same conditions.
        for (who, program) in [(Who::Bare, &bench.baseline), (Who::Ours, &bench.ours)] {
            while api.open.load(Ordering::SeqCst) > 0 {
                // Connections of the previous server may still be open.
                thread::sleep(Duration::from_millis(1));
            }
            let server = bench.server(program, &[], &home, streams);
            let mut server = prepared(server, who != Who::Bare);
            let (requests, cpu) = (api.requests.load(Ordering::SeqCst), server.cpu());
            api.most
                .store(api.open.load(Ordering::SeqCst), Ordering::SeqCst);
            let mut times = server.one_by_one(CALLS);
            let cpu = (server.cpu() - cpu) as f64 / CALLS as f64 / 1e3;
            let throughput = server.together(MANY, 64);
            let requests = api.requests.load(Ordering::SeqCst) - requests;
            let mut note = |what, value| figures.entry((what, who)).or_default().push(value);
            note("p50", at(&mut times, 0.5));
            note("p99", at(&mut times, 0.99));
            note("cpu", cpu);
            note("throughput", throughput);
            note("requests", requests as f64 / (CALLS + MANY) as f64);
            note("connections", api.most.load(Ordering::SeqCst) as f64);
            server.end();
        }
    }
    let mut figure = |what, who| median(figures.get_mut(&(what, who)).expect("measured"));
    for (what, name, unit, bound, at_most) in [
        ("p50", "latency, median", "us", 1.25, true),
        ("p99", "latency, 99th percentile", "us", 1.25, true),
        ("cpu", "CPU per call", "us", 1.4, true),
        ("throughput", "64 in flight", "calls/s", 0.8, false),
    ] {
        report.ratio(
            name,
            unit,
            figure(what, Who::Bare),
            figure(what, Who::Ours),
            bound,
            at_most,
        );
    }
    report.bound(
        "connections to the API",
        "",
        figure("connections", Who::Ours),
        8.0,
    );
    let requests = figure("requests", Who::Ours);
    report.line(
        requests == 1.0,
        &format!("{:<34} {requests:>10} (= 1)", "requests per reading call"),
    );
}

fn process(report: &mut Report, bench: &Bench) {
    println!("-- the process");
    let home = bench.home("process");
    let ours = &bench.ours;
    let mut greeted = Vec::new();
    let mut ended = Vec::new();
    let mut lists = Vec::new();
    for _ in 0..30 {
        let mut server = bench.server(ours, &[], &home, Streams::Pipes);
        greeted.push(server.spawned.elapsed().as_secs_f64() * 1e3);
        server.ready();
        server.id = 0;
        lists.push(server.ask("tools/list", "{}"));
        server.id = 0;
        lists.push(server.ask("tools/list", "{}"));
        thread::sleep(Duration::from_millis(20));
        ended.push(server.end().as_secs_f64() * 1e3);
    }
    report.bound(
        "spawn to `initialize` answer",
        "ms",
        median(&mut greeted),
        5.0,
    );
    report.bound("idle end after EOF", "ms", median(&mut ended), 5.0);
    let same = lists.windows(2).all(|pair| pair[0] == pair[1]);
    report.line(
        same,
        &format!("tools/list, {} bytes, identical every time", lists[0].len()),
    );

    let server = bench.server(ours, &[], &home, Streams::Pipes);
    let mut server = prepared(server, true);
    server.together(50_000, 64);
    server.one_by_one(50_000);
    report.bound(
        "peak memory after 100,000 calls",
        "MB",
        server.peak() as f64 / 1e6,
        12.0,
    );
    server.end();
    println!("-- edits, in the journal before they are answered (no bound)");
    for backend in ["remote", "embedded"] {
        let arguments = ["serve", "--backend", backend];
        let mut server = bench.server(ours, &arguments, &home, Streams::Pipes);
        server.ready();
        let answer = server.ask("tools/call", "{\"name\":\"create_draft\",\"arguments\":{}}");
        let draft = answer.split("dfd_cat_").nth(1).expect("a draft");
        let draft = format!("dfd_cat_{}", &draft[..19]);
        let (median, tail) = server.edits(&draft);
        println!(
            "       add_text, {backend:<10} median {median:>8.1} us, 99th percentile {tail:>8.1} us"
        );
        server.end();
    }
    let size = std::fs::metadata(ours).expect("the executable").len();
    report.bound("size of the executable", "MB", size as f64 / 1e6, 21.0);
}
