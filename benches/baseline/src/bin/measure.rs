//! Measures our server beside the baseline, in one run: `measure OURS BASELINE`. Exits 1 when a bound is missed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const DRAFT: &str = "dfd_cat_1700000000_0123abcd";
const ROUNDS: usize = 5;
const CALLS: usize = 2_000;
const MANY: usize = 20_000;

/// A CapCut API as small as can be: it keeps connections open and answers every call at once.
#[derive(Default)]
struct Api {
    requests: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
}

impl Api {
    fn start() -> (Arc<Self>, String) {
        let api = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let served = Arc::clone(&api);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let api = Arc::clone(&served);
                thread::spawn(move || {
                    let now = api.open.fetch_add(1, Ordering::SeqCst) + 1;
                    api.most.fetch_max(now, Ordering::SeqCst);
                    let _ = api.answer(&stream);
                    api.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (api, url)
    }

    fn answer(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let (mut line, mut body) = (String::new(), Vec::new());
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let path = line.split(' ').nth(1).unwrap_or("").to_owned();
            let mut length = 0;
            loop {
                line.clear();
                reader.read_line(&mut line)?;
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            body.resize(length, 0);
            reader.read_exact(&mut body)?;
            self.requests.fetch_add(1, Ordering::SeqCst);
            let output = match path.as_str() {
                "/create_draft" | "/add_text" => {
                    format!("{{\"draft_id\":\"{DRAFT}\",\"draft_url\":\"https://example.org\"}}")
                }
                "/query_draft_status" => format!(
                    "{{\"completed_files\":1,\"draft_url\":\"\",\"message\":\"\",\"progress\":1,\"status\":\"processing\",\"task_id\":\"{DRAFT}\",\"total_files\":2}}"
                ),
                _ => "[{\"name\":\"a\"}]".to_owned(),
            };
            let envelope = format!("{{\"error\":\"\",\"output\":{output},\"success\":true}}\n");
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{envelope}",
                envelope.len()
            );
            stream.write_all(answer.as_bytes())?;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Streams {
    Pipes,
    Sockets,
}

/// A server under test.
struct Server {
    child: Child,
    stdin: Option<Box<dyn Write>>,
    stdout: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
    id: usize,
    calls: usize,
    spawned: Instant,
}

impl Server {
    fn start(program: &Path, api: &str, home: &Path, streams: Streams) -> Self {
        Self::start_with(program, &[], api, home, streams)
    }

    fn start_with(
        program: &Path,
        arguments: &[&str],
        api: &str,
        home: &Path,
        streams: Streams,
    ) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("CAPCUT_API_URL", api)
            .env("CAPCUT_MCP_DATA_DIR", home)
            .env("HOME", home)
            .stderr(Stdio::null());
        let spawned = Instant::now();
        let (child, stdin, stdout): (Child, Box<dyn Write>, Box<dyn Read>) = match streams {
            Streams::Pipes => {
                command.stdin(Stdio::piped()).stdout(Stdio::piped());
                let mut child = command.spawn().expect("the server starts");
                let stdin = child.stdin.take().expect("piped");
                let stdout = child.stdout.take().expect("piped");
                (child, Box::new(stdin), Box::new(stdout))
            }
            Streams::Sockets => {
                let (in_ours, in_theirs) = UnixStream::pair().expect("sockets");
                let (out_ours, out_theirs) = UnixStream::pair().expect("sockets");
                command
                    .stdin(OwnedFd::from(in_theirs))
                    .stdout(OwnedFd::from(out_theirs));
                let child = command.spawn().expect("the server starts");
                // The command holds the server's ends until it is gone.
                drop(command);
                (child, Box::new(in_ours), Box::new(out_ours))
            }
        };
        let mut server = Self {
            child,
            stdin: Some(stdin),
            stdout: BufReader::with_capacity(1 << 16, stdout),
            line: Vec::new(),
            id: 0,
            calls: 0,
            spawned,
        };
        server.send("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"m\",\"version\":\"1\"}}}\n");
        server.receive();
        server
    }

    fn ready(&mut self) {
        self.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    }

    fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        stdin.write_all(line.as_bytes()).expect("the server reads");
    }

    fn receive(&mut self) -> &[u8] {
        self.line.clear();
        let count = self.stdout.read_until(b'\n', &mut self.line);
        assert!(count.expect("the server writes") > 0, "the server ended");
        &self.line
    }

    fn ask(&mut self, method: &str, params: &str) -> String {
        self.id += 1;
        let id = self.id;
        self.send(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n"
        ));
        String::from_utf8_lossy(self.receive()).into_owned()
    }

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

    /// CPU time of all threads so far, in nanoseconds.
    fn cpu(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("Linux");
        tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// The most memory so far, in bytes.
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        number.expect("VmHWM") * 1024
    }

    /// Texts one after another, each journalled before it is answered; microseconds, median and 99th percentile.
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

    /// Closes stdin and waits; the time between.
    fn end(mut self) -> Duration {
        let start = Instant::now();
        self.stdin = None;
        let status = self.child.wait().expect("the server ends");
        assert!(status.success(), "{status}");
        start.elapsed()
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn at(times: &mut [Duration], share: f64) -> f64 {
    times.sort();
    let index = ((times.len() - 1) as f64 * share) as usize;
    times[index].as_secs_f64() * 1e6
}

#[derive(Default)]
struct Report {
    missed: usize,
}

impl Report {
    fn ratio(
        &mut self,
        what: &str,
        unit: &str,
        baseline: f64,
        ours: f64,
        bound: f64,
        at_most: bool,
    ) {
        let ratio = ours / baseline;
        let met = if at_most {
            ratio <= bound
        } else {
            ratio >= bound
        };
        let sign = if at_most { "<=" } else { ">=" };
        self.line(
            met,
            &format!("{what:<34} baseline {baseline:>9.1} {unit:<7} ours {ours:>9.1} {unit:<7} ratio {ratio:>5.2} ({sign} {bound})"),
        );
    }

    fn bound(&mut self, what: &str, unit: &str, value: f64, bound: f64) {
        self.line(
            value <= bound,
            &format!("{what:<34} {value:>10.2} {unit} (<= {bound})"),
        );
    }

    fn line(&mut self, met: bool, text: &str) {
        println!("{} {text}", if met { "ok    " } else { "MISSED" });
        self.missed += usize::from(!met);
    }
}

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [ours, baseline] = arguments.as_slice() else {
        eprintln!("usage: measure OURS BASELINE");
        std::process::exit(2);
    };
    let home = std::env::temp_dir().join(format!("capcut-mcp-measure-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a folder");
    let (api, url) = Api::start();
    let mut report = Report::default();

    for streams in [Streams::Pipes, Streams::Sockets] {
        calls(&mut report, ours, baseline, &api, &url, &home, streams);
    }
    process(&mut report, ours, &url, &home);
    let _ = std::fs::remove_dir_all(&home);
    if report.missed > 0 {
        println!("{} bounds are missed", report.missed);
        std::process::exit(1);
    }
}

/// Makes the draft that is then asked about, and warms up.
fn prepared(program: &Path, url: &str, home: &Path, streams: Streams, makes_draft: bool) -> Server {
    let mut server = Server::start(program, url, home, streams);
    server.ready();
    if makes_draft {
        let answer = server.ask("tools/call", "{\"name\":\"create_draft\",\"arguments\":{}}");
        assert!(answer.contains(DRAFT), "{answer}");
    }
    server.one_by_one(500);
    server
}

fn calls(
    report: &mut Report,
    ours: &Path,
    baseline: &Path,
    api: &Api,
    url: &str,
    home: &Path,
    streams: Streams,
) {
    println!("-- tools/call over {streams:?}");
    let home = home.join(format!("{streams:?}"));
    std::fs::create_dir_all(&home).expect("a folder");
    let mut figures: HashMap<(&str, bool), Vec<f64>> = HashMap::new();
    for _ in 0..ROUNDS {
        // One after the other, so that both meet the same machine.
        for (is_ours, program) in [(false, baseline), (true, ours)] {
            let mut server = prepared(program, url, &home, streams, is_ours);
            let (requests, cpu) = (api.requests.load(Ordering::SeqCst), server.cpu());
            api.most
                .store(api.open.load(Ordering::SeqCst), Ordering::SeqCst);
            let mut times = server.one_by_one(CALLS);
            let cpu = (server.cpu() - cpu) as f64 / CALLS as f64 / 1e3;
            let throughput = server.together(MANY, 64);
            let requests = api.requests.load(Ordering::SeqCst) - requests;
            let mut note = |what, value| figures.entry((what, is_ours)).or_default().push(value);
            note("p50", at(&mut times, 0.5));
            note("p99", at(&mut times, 0.99));
            note("cpu", cpu);
            note("throughput", throughput);
            note("requests", requests as f64 / (CALLS + MANY) as f64);
            note("connections", api.most.load(Ordering::SeqCst) as f64);
            server.end();
        }
    }
    let mut figure = |what, is_ours| median(figures.get_mut(&(what, is_ours)).expect("measured"));
    for (what, name, unit, bound, at_most) in [
        ("p50", "latency, median", "us", 1.25, true),
        ("p99", "latency, 99th percentile", "us", 1.25, true),
        ("cpu", "CPU per call", "us", 1.4, true),
        ("throughput", "64 in flight", "calls/s", 0.8, false),
    ] {
        report.ratio(
            name,
            unit,
            figure(what, false),
            figure(what, true),
            bound,
            at_most,
        );
    }
    report.bound(
        "connections to the API",
        "",
        figure("connections", true),
        8.0,
    );
    let requests = figure("requests", true);
    report.line(
        requests == 1.0,
        &format!("{:<34} {requests:>10} (= 1)", "requests per reading call"),
    );
}

fn process(report: &mut Report, ours: &Path, url: &str, home: &Path) {
    println!("-- the process");
    let home = home.join("process");
    std::fs::create_dir_all(&home).expect("a folder");
    let mut greeted = Vec::new();
    let mut ended = Vec::new();
    let mut lists = Vec::new();
    for _ in 0..30 {
        let mut server = Server::start(ours, url, &home, Streams::Pipes);
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
        &format!("tools/list, {} bytes, always the same", lists[0].len()),
    );

    let mut server = prepared(ours, url, &home, Streams::Pipes, true);
    server.together(50_000, 64);
    server.one_by_one(50_000);
    report.bound(
        "peak memory after 100,000 calls",
        "MB",
        server.peak() as f64 / 1e6,
        12.0,
    );
    server.end();
    println!("-- edits, journalled before they are answered (no bound)");
    for backend in ["remote", "embedded"] {
        let arguments = ["serve", "--backend", backend];
        let mut server = Server::start_with(ours, &arguments, url, &home, Streams::Pipes);
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
    report.bound("size of the executable", "MB", size as f64 / 1e6, 16.0);
}
