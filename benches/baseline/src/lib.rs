//! Shared parts of the measurements: a small API, a server under test, and the report.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Returns the `output` for a path and a body; `None` if the path does not exist.
type Answer = dyn Fn(&str, &[u8]) -> Option<String> + Send + Sync;

/// A minimal CapCut API: it keeps connections open and answers each one in its own thread.
pub struct Api {
    pub requests: AtomicUsize,
    pub open: AtomicUsize,
    /// The maximum number of connections that were open at the same time.
    pub most: AtomicUsize,
    answer: Box<Answer>,
}

impl Api {
    pub fn start(
        answer: impl Fn(&str, &[u8]) -> Option<String> + Send + Sync + 'static,
    ) -> (Arc<Self>, String) {
        let api = Arc::new(Self {
            requests: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            answer: Box::new(answer),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let served = Arc::clone(&api);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let api = Arc::clone(&served);
                thread::spawn(move || {
                    let now = api.open.fetch_add(1, Ordering::SeqCst) + 1;
                    api.most.fetch_max(now, Ordering::SeqCst);
                    let _ = api.serve(&stream);
                    api.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (api, url)
    }

    fn serve(&self, mut stream: &TcpStream) -> std::io::Result<()> {
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
            let (status, content) = match (self.answer)(&path, &body) {
                Some(output) => (
                    "200 OK",
                    format!("{{\"error\":\"\",\"output\":{output},\"success\":true}}\n"),
                ),
                None => ("404 NOT FOUND", "{}".to_owned()),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{content}",
                content.len()
            );
            stream.write_all(answer.as_bytes())?;
        }
    }
}

/// The CPUs of this machine: one for the server under test, the others for its client and the API. Otherwise the
/// system wakes a process sometimes on the CPU of the process that waits for it and sometimes on another, and the
/// difference is larger than everything that is measured here.
pub struct Cpus {
    servers: CpuSet,
    others: CpuSet,
}

impl Cpus {
    /// Restricts this thread, and the threads that it starts from now on, to the CPUs of the client and the API.
    pub fn divide() -> Self {
        let all = sched_getaffinity(None).expect("Linux");
        let (mut servers, mut others) = (all, all);
        let last = (0..CpuSet::MAX_CPU).rfind(|cpu| all.is_set(*cpu));
        if let (Some(last), true) = (last, all.count() > 1) {
            servers = CpuSet::new();
            servers.set(last);
            others.unset(last);
        }
        sched_setaffinity(None, &others).expect("a CPU");
        Self { servers, others }
    }

    /// Runs `spawn` so that the process it starts stays on the server's CPU.
    pub fn server<T>(&self, spawn: impl FnOnce() -> T) -> T {
        sched_setaffinity(None, &self.servers).expect("a CPU");
        let spawned = spawn();
        sched_setaffinity(None, &self.others).expect("a CPU");
        spawned
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Streams {
    Pipes,
    Sockets,
}

/// A server under test.
pub struct Server {
    pub child: Child,
    stdin: Option<Box<dyn Write>>,
    stdout: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
    pub id: usize,
    pub calls: usize,
    pub spawned: Instant,
}

impl Server {
    pub fn start(
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
                // The command keeps the server's ends of the sockets open until it is dropped.
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

    pub fn ready(&mut self) {
        self.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    }

    pub fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        stdin.write_all(line.as_bytes()).expect("the server reads");
    }

    pub fn receive(&mut self) -> &[u8] {
        self.line.clear();
        let count = self.stdout.read_until(b'\n', &mut self.line);
        assert!(count.expect("the server writes") > 0, "the server ended");
        &self.line
    }

    pub fn ask(&mut self, method: &str, params: &str) -> String {
        self.id += 1;
        let id = self.id;
        self.send(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n"
        ));
        String::from_utf8_lossy(self.receive()).into_owned()
    }

    /// CPU time of all threads so far, in nanoseconds.
    pub fn cpu(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("Linux");
        tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// The peak memory so far, in bytes.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        number.expect("VmHWM") * 1024
    }

    /// Closes stdin and waits for the server to end; returns the time between.
    pub fn end(mut self) -> Duration {
        let start = Instant::now();
        self.stdin = None;
        let status = self.child.wait().expect("the server ends");
        assert!(status.success(), "{status}");
        start.elapsed()
    }
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn at(times: &mut [Duration], share: f64) -> f64 {
    times.sort();
    let index = ((times.len() - 1) as f64 * share) as usize;
    times[index].as_secs_f64() * 1e6
}

#[derive(Default)]
pub struct Report {
    missed: usize,
}

impl Report {
    pub fn ratio(
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

    pub fn bound(&mut self, what: &str, unit: &str, value: f64, bound: f64) {
        self.line(
            value <= bound,
            &format!("{what:<34} {value:>10.2} {unit} (<= {bound})"),
        );
    }

    /// Ends the process with the result.
    pub fn exit(&self) {
        if self.missed > 0 {
            println!("{} bounds are missed", self.missed);
            std::process::exit(1);
        }
    }

    pub fn line(&mut self, met: bool, text: &str) {
        println!("{} {text}", if met { "ok    " } else { "MISSED" });
        self.missed += usize::from(!met);
    }
}
