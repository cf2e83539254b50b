//! Running the executable in a home of its own, and the loopback servers that it meets there.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything in these tests may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Whether the long form of a test is wanted: hundreds of runs instead of a few.
pub(crate) fn full() -> bool {
    std::env::var_os("CAPCUT_TEST_FULL").is_some()
}

/// The executable under test.
pub(crate) const EXECUTABLE: &str = env!("CARGO_BIN_EXE_capcut-mcp");

/// A file of the small media that lie in `examples/media`.
pub(crate) fn media(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/media")
        .join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// The folder of recordings beside the repository (or `CAPCUT_SHARED`); says so on stderr when it is absent.
pub(crate) fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("CAPCUT_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    if path.join("capcut-api").is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no recordings at {}", path.display());
    None
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free loopback port")
        .port()
}

/// Waits until `done` holds; panics with `what` when it never does.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: still not so");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A private home: data, configuration and cache of the executables started here; gone when dropped.
pub(crate) struct Home {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Home {
    /// An empty home in which nothing answers at the API's address.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["config", "data", "cache", "tmp"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder in the home");
        }
        let api = format!("http://127.0.0.1:{}", free_port());
        let variables = BTreeMap::from([("CAPCUT_API_URL".to_owned(), api)]);
        Self { folder, variables }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the executable keeps its journal: `--data-dir` of everything started here.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Sets an environment variable for everything started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The API that everything started from now on finds.
    pub(crate) fn api(&mut self, url: &str) -> &mut Self {
        self.set("CAPCUT_API_URL", url)
    }

    /// A file in the home, and its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a folder in the home");
        }
        std::fs::write(&path, content).expect("a file in the home");
        path
    }

    /// The executable with these arguments, in this home, its streams piped and stdin closed.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(EXECUTABLE);
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("USERPROFILE", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_DATA_HOME", self.data())
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            .env("TMPDIR", self.path().join("tmp"))
            .env("CAPCUT_MCP_DATA_DIR", self.data())
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs a command to its end with this on its stdin.
    pub(crate) fn run_with<A: AsRef<OsStr>>(&self, arguments: &[A], stdin: &str) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the executable starts");
        let mut pipe = child.stdin.take().expect("stdin is piped");
        let text = stdin.to_owned();
        let writer = thread::spawn(move || pipe.write_all(text.as_bytes()));
        let output = child.wait_with_output().expect("the executable ends");
        let _ = writer.join();
        Ran::from(output)
    }

    /// `capcut-mcp call` with JSON arguments: the reply, or what was printed on stderr with the exit code.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Result<Value, (i32, String)> {
        self.call_with(&[], tool, arguments)
    }

    /// The same with options before the command, such as `["--backend", "embedded"]`.
    pub(crate) fn call_with(
        &self,
        options: &[&str],
        tool: &str,
        arguments: &Value,
    ) -> Result<Value, (i32, String)> {
        let text = arguments.to_string();
        let mut line: Vec<&str> = options.to_vec();
        line.extend(["call", tool, "--json", &text]);
        let ran = self.run(&line);
        if ran.code == 0 {
            Ok(ran.json())
        } else {
            Err((ran.code, ran.stderr))
        }
    }

    /// An MCP server over pipes.
    pub(crate) fn serve(&self) -> Client {
        self.serve_with(&["serve"])
    }

    /// An MCP server over pipes, with these arguments.
    pub(crate) fn serve_with<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Client {
        let child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the executable starts");
        Client::over_pipes(child)
    }

    /// An MCP server over UNIX sockets, which is what clients written for Node give their servers.
    #[cfg(unix)]
    pub(crate) fn serve_over_sockets<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Client {
        use std::os::fd::OwnedFd;
        use std::os::unix::net::UnixStream;

        let (ours_in, theirs_in) = UnixStream::pair().expect("a socket pair");
        let (ours_out, theirs_out) = UnixStream::pair().expect("a socket pair");
        let mut child = self
            .command(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs_in)))
            .stdout(Stdio::from(OwnedFd::from(theirs_out)))
            .spawn()
            .expect("the executable starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        Client::new(child, Box::new(ours_in), Box::new(ours_out), stderr)
    }

    /// The engine as an HTTP server on a free port, ready to answer.
    pub(crate) fn engine(&self, arguments: &[&str]) -> Served {
        self.engine_at(free_port(), arguments)
    }

    /// The same on this port.
    pub(crate) fn engine_at(&self, port: u16, arguments: &[&str]) -> Served {
        let number = port.to_string();
        let mut line = vec!["engine", "--port", &number];
        line.extend(arguments);
        let mut child = self.command(&line).spawn().expect("the executable starts");
        let said = collect(child.stderr.take().expect("stderr is piped"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        until("the engine answers", || {
            let ended = child.try_wait().expect("the engine's state");
            assert!(
                ended.is_none(),
                "the engine ended: {ended:?}\n{}",
                said.lock().expect("not poisoned")
            );
            TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
        });
        Served {
            url: format!("http://{address}"),
            child,
            said,
        }
    }
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: code(output.status),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The JSON on stdout of a command that succeeded.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("stdout is not JSON ({e}): {self:#?}"))
    }

    /// Fails the test unless the command succeeded.
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
}

/// The exit code; minus the signal's number when one ended it.
pub(crate) fn code(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return -signal;
    }
    status.code().expect("an exit code")
}

fn collect(mut stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&text);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            sink.lock()
                .expect("not poisoned")
                .push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
    text
}

/// A running `capcut-mcp engine`; killed when dropped.
pub(crate) struct Served {
    /// Its address, without a slash at the end.
    pub(crate) url: String,
    pub(crate) child: Child,
    said: Arc<Mutex<String>>,
}

impl Served {
    /// Posts a JSON body; the status and the answer's body.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, String) {
        http(
            "POST",
            &format!("{}{path}", self.url),
            &[("Content-Type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    /// Gets a path; the status and the answer's body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        http("GET", &format!("{}{path}", self.url), &[], b"")
    }

    /// Posts and opens the envelope: `output` of a success, `error` of a failure.
    pub(crate) fn output(&self, path: &str, body: &Value) -> Result<Value, String> {
        let (status, text) = self.post(path, body);
        assert_eq!(status, 200, "{path}: {text}");
        let mut answer: Value = serde_json::from_str(&text).expect("a JSON envelope");
        if answer["success"] == json!(true) {
            Ok(answer["output"].take())
        } else {
            Err(answer["error"].as_str().expect("an error").to_owned())
        }
    }

    /// What it wrote on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One HTTP request on a connection of its own; the status and the body as text.
pub(crate) fn http(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String) {
    let rest = url.strip_prefix("http://").expect("a plain HTTP address");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).expect("the server accepts");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time limit");
    let mut head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("a string takes it");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).expect("the head is sent");
    // A server may answer before it has read the body.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("{url}: no HTTP answer"));
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status line");
    let mut body = answer.split_off(end + 4);
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        body = dechunk(&body);
    }
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..end])
            .ok()
            .and_then(|text| usize::from_str_radix(text.trim(), 16).ok())
            .expect("a chunk's size");
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}

/// What a server's stdout had to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Line(String),
    Silence,
    End,
}

/// An MCP client of one server process; the process is killed when it is dropped.
pub(crate) struct Client {
    pub(crate) child: Child,
    stdin: Option<Box<dyn Write + Send>>,
    lines: Receiver<String>,
    waiting: VecDeque<Value>,
    said: Arc<Mutex<String>>,
    last_id: u64,
}

impl Client {
    fn over_pipes(mut child: Child) -> Self {
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        Self::new(child, Box::new(stdin), Box::new(stdout), stderr)
    }

    fn new(
        child: Child,
        stdin: Box<dyn Write + Send>,
        stdout: Box<dyn Read + Send>,
        stderr: impl Read + Send + 'static,
    ) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while let Ok(1..) = reader.read_until(b'\n', &mut line) {
                let text = String::from_utf8_lossy(&line).into_owned();
                if sender.send(text).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Self {
            child,
            stdin: Some(stdin),
            lines,
            waiting: VecDeque::new(),
            said: collect(stderr),
            last_id: 0,
        }
    }

    /// Writes bytes as they are; an error means that the server is gone.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(bytes)?;
        stdin.flush()
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.write(line.as_bytes()).expect("the server reads");
    }

    /// Sends a notification.
    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        let mut message = json!({ "jsonrpc": "2.0", "method": method });
        message["params"] = params;
        self.send(&message);
    }

    /// Sends a request and gives its id, without waiting.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        message["params"] = params;
        self.send(&message);
        id
    }

    /// The next line as it came; `None` when the server closed its stdout.
    pub(crate) fn line(&mut self) -> Option<String> {
        match self.hear(PATIENCE) {
            Heard::Line(line) => Some(line),
            Heard::End => None,
            Heard::Silence => panic!("no line within {PATIENCE:?}; stderr: {}", self.stderr()),
        }
    }

    /// What comes within this time.
    pub(crate) fn hear(&mut self, time: Duration) -> Heard {
        match self.lines.recv_timeout(time) {
            Ok(line) => Heard::Line(line),
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// The next message, answers that were passed over by [`answer`](Self::answer) first.
    pub(crate) fn message(&mut self) -> Option<Value> {
        if let Some(message) = self.waiting.pop_front() {
            return Some(message);
        }
        self.line().map(|line| {
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON ({e}): {line:?}"))
        })
    }

    /// The answer to the request with this id; other messages stay for later.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        let is_answer = |message: &Value| message["id"] == json!(id) && message["method"].is_null();
        if let Some(index) = self.waiting.iter().position(is_answer) {
            return self.waiting.remove(index).expect("it is there");
        }
        let mut passed = VecDeque::new();
        loop {
            let line = self
                .line()
                .unwrap_or_else(|| panic!("stdout ended before answer {id}: {}", self.stderr()));
            let message: Value =
                serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON ({e}): {line:?}"));
            if is_answer(&message) {
                self.waiting.append(&mut passed);
                return message;
            }
            passed.push_back(message);
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer(id)
    }

    /// The legacy handshake; gives the server's `result`.
    pub(crate) fn initialize(&mut self, version: &str) -> Value {
        let mut answer = self.request(
            "initialize",
            json!({
                "protocolVersion": version,
                "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" },
            }),
        );
        self.notify("notifications/initialized", json!({}));
        answer["result"].take()
    }

    /// The parameters of a stateless request of 2026-07-28.
    pub(crate) fn modern(mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        });
        params
    }

    /// Calls a tool; the structured content of a success, the text of a failure.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, String> {
        let mut params = json!({ "name": tool });
        params["arguments"] = arguments;
        let id = self.ask("tools/call", params);
        let answer = self.answer(id);
        assert!(answer["error"].is_null(), "{tool}: {answer}");
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        if result["isError"] == json!(true) {
            assert!(
                result["structuredContent"].is_null(),
                "an error has text only: {answer}"
            );
            return Err(text.to_owned());
        }
        let said: Value = serde_json::from_str(text).expect("the text is the same JSON");
        assert_eq!(said, result["structuredContent"]);
        Ok(said)
    }

    /// Closes the server's stdin.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits for the server's end; gives its exit code.
    pub(crate) fn wait(&mut self) -> i32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the server's state") {
                return code(status);
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the server by closing its stdin; gives its exit code.
    pub(crate) fn end(mut self) -> i32 {
        self.close();
        self.wait()
    }

    /// What the server wrote on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request as a loopback server got it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// An answer of a loopback server.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delivery: Delivery,
    /// Waited before anything is sent.
    pub(crate) delay: Duration,
}

/// How the body of an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// With its length.
    Whole,
    /// With its length, but the connection closes after this many bytes.
    CutAt(usize),
    /// Without a length: it ends when the connection closes.
    Unmeasured,
    /// In pieces of this many bytes, with a pause after each.
    Slow(usize, Duration),
    /// Nothing at all until the client has gone.
    Silence,
    /// The connection is closed without an answer.
    Reset,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body: body.into(),
            delivery: Delivery::Whole,
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::new(200, "application/json", format!("{body}\n"))
    }

    /// The envelope of a CapCut API around an `output`.
    pub(crate) fn success(output: &Value) -> Self {
        Self::json(&json!({ "error": "", "output": output, "success": true }))
    }

    /// The envelope of a CapCut API around an error: HTTP 200 all the same.
    pub(crate) fn failure(error: &str) -> Self {
        Self::json(&json!({ "error": error, "output": "", "success": false }))
    }

    pub(crate) fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    pub(crate) fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Handler = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A loopback HTTP server that closes each connection after its answer, as the reference API does.
pub(crate) struct Server {
    /// Its address, without a slash at the end.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    most: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let mut listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("a bound address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let most = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let closed = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let (log, peak, stop) = (Arc::clone(&asked), Arc::clone(&most), Arc::clone(&stopped));
        let away = Arc::clone(&closed);
        thread::spawn(move || {
            let open = Arc::new(AtomicUsize::new(0));
            while !stop.load(Ordering::SeqCst) {
                let Ok((stream, _)) = listener.accept() else {
                    continue;
                };
                if away.load(Ordering::SeqCst) {
                    drop(stream);
                    drop(listener);
                    while away.load(Ordering::SeqCst) && !stop.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(1));
                    }
                    let Ok(again) = TcpListener::bind(address) else {
                        break;
                    };
                    listener = again;
                    continue;
                }
                let now = open.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                let (handler, log, open) =
                    (Arc::clone(&handler), Arc::clone(&log), Arc::clone(&open));
                thread::spawn(move || {
                    // A client that hangs up early is none of the server's concern.
                    let _ = answer_one(&stream, &handler, &log);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            url: format!("http://{address}"),
            asked,
            most,
            stopped,
            closed,
            address,
        }
    }

    /// Refuses connections from now on, as a server that is not there, or takes them again.
    pub(crate) fn refuse(&self, whether: bool) {
        self.closed.store(whether, Ordering::SeqCst);
        if whether {
            // Wakes the accepting thread, which then lets go of the port.
            let _ = TcpStream::connect(self.address);
        }
    }

    /// Everything asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }

    /// How many requests went to paths that start so.
    pub(crate) fn count(&self, path: &str) -> usize {
        let asked = self.asked.lock().expect("not poisoned");
        asked
            .iter()
            .filter(|one| one.path.starts_with(path))
            .count()
    }

    /// The most connections that were open at once.
    pub(crate) fn most_connections(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then lets go of the port.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer_one(
    stream: &TcpStream,
    handler: &Arc<Handler>,
    log: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked = Asked {
        method,
        path,
        headers,
        body,
    };
    log.lock().expect("not poisoned").push(asked.clone());
    let answer = handler(&asked);
    thread::sleep(answer.delay);
    send(stream, &asked, &answer)
}

fn send(mut stream: &TcpStream, asked: &Asked, answer: &Answer) -> std::io::Result<()> {
    match answer.delivery {
        Delivery::Reset => return Ok(()),
        Delivery::Silence => {
            stream.read_to_end(&mut Vec::new())?;
            return Ok(());
        }
        _ => {}
    }
    let mut head = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").expect("a string takes it");
    }
    if answer.delivery != Delivery::Unmeasured {
        write!(head, "Content-Length: {}\r\n", answer.body.len()).expect("a string takes it");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if asked.method == "HEAD" {
        return Ok(());
    }
    match answer.delivery {
        Delivery::CutAt(count) => stream.write_all(&answer.body[..count.min(answer.body.len())])?,
        Delivery::Slow(size, pause) => {
            for piece in answer.body.chunks(size) {
                stream.write_all(piece)?;
                thread::sleep(pause);
            }
        }
        _ => stream.write_all(&answer.body)?,
    }
    Ok(())
}

/// A media server over the files of `examples/media` (or others), one folder for each way of answering:
/// `/range/NAME` with ranges, `/plain/NAME` without, `/unmeasured/NAME` without a length, `/truncated/NAME`
/// cut in the middle, `/slow/NAME` in small pieces, `/redirect/NAME` by way of another address,
/// `/empty/NAME`, `/html/NAME` a web page instead, `/reset/NAME`, `/silent/NAME`; anything else is a 404.
pub(crate) fn media_server() -> Server {
    media_server_over(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/media"))
}

/// The same over the files of another folder.
pub(crate) fn media_server_over(folder: &Path) -> Server {
    let folder = folder.to_owned();
    Server::start(move |asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        let missing = || Answer::new(404, "text/html", "<h1>Not Found</h1>");
        let Some((manner, name)) = path.trim_start_matches('/').split_once('/') else {
            return missing();
        };
        let Ok(bytes) = std::fs::read(folder.join(name)) else {
            return missing();
        };
        let kind = content_type(name);
        match manner {
            "range" => ranged(asked, kind, bytes),
            "plain" => Answer::new(200, kind, bytes),
            "unmeasured" => Answer::new(200, kind, bytes).delivery(Delivery::Unmeasured),
            "truncated" => {
                let half = bytes.len() / 2;
                Answer::new(200, kind, bytes).delivery(Delivery::CutAt(half))
            }
            "slow" => {
                let piece = bytes.len().div_ceil(20);
                let pause = Duration::from_millis(50);
                Answer::new(200, kind, bytes).delivery(Delivery::Slow(piece, pause))
            }
            "redirect" => {
                let mut answer = Answer::new(302, "text/html", "");
                answer
                    .headers
                    .push(("Location".to_owned(), format!("/range/{name}")));
                answer
            }
            "empty" => Answer::new(200, kind, ""),
            "html" => Answer::new(200, "text/html", "<html>Please log in</html>"),
            "reset" => Answer::new(200, kind, bytes).delivery(Delivery::Reset),
            "silent" => Answer::new(200, kind, bytes).delivery(Delivery::Silence),
            _ => missing(),
        }
    })
}

fn ranged(asked: &Asked, kind: &str, bytes: Vec<u8>) -> Answer {
    let total = bytes.len();
    let wanted = asked
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
        .and_then(|(from, to)| match (from.parse(), to.parse()) {
            (Ok(from), Ok(to)) => Some((from, to)),
            (Ok(from), Err(_)) => Some((from, total.saturating_sub(1))),
            (Err(_), Ok(last)) => Some((total.saturating_sub(last), total.saturating_sub(1))),
            _ => None,
        });
    let mut answer = match wanted {
        None => Answer::new(200, kind, bytes),
        Some((from, _)) if from >= total => {
            let mut answer = Answer::new(416, kind, "");
            answer
                .headers
                .push(("Content-Range".to_owned(), format!("bytes */{total}")));
            answer
        }
        Some((from, to)) => {
            let to = to.min(total - 1);
            let mut answer = Answer::new(206, kind, &bytes[from..=to]);
            answer.headers.push((
                "Content-Range".to_owned(),
                format!("bytes {from}-{to}/{total}"),
            ));
            answer
        }
    };
    answer
        .headers
        .push(("Accept-Ranges".to_owned(), "bytes".to_owned()));
    answer
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("mp4") => "video/mp4",
        Some("png") => "image/png",
        Some("jpg") => "image/jpeg",
        Some("mp3") => "audio/mpeg",
        Some("wav") => "audio/wav",
        Some("srt") => "application/x-subrip",
        _ => "application/octet-stream",
    }
}

#[test]
fn the_media_server_answers_in_every_manner() {
    let server = media_server();
    let whole = std::fs::read(media("clip.mp4")).expect("the clip").len();
    let check = |path: &str, headers: &[(&str, &str)], status: u16, length: Option<usize>| {
        let url = format!("{}/{path}", server.url);
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("a connection");
        let mut head = format!("GET /{path} HTTP/1.1\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("a string takes it");
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.expect("a head") + 4;
        let line = String::from_utf8_lossy(&answer[..end]).into_owned();
        assert!(
            line.starts_with(&format!("HTTP/1.1 {status} ")),
            "{url}: {line}"
        );
        if let Some(length) = length {
            assert_eq!(answer.len() - end, length, "{url}: {line}");
        }
    };
    check("range/clip.mp4", &[], 200, Some(whole));
    check("range/clip.mp4", &[("Range", "bytes=10-19")], 206, Some(10));
    check("range/clip.mp4", &[("Range", "bytes=-5")], 206, Some(5));
    check(
        "range/clip.mp4",
        &[("Range", "bytes=99999999-")],
        416,
        Some(0),
    );
    check(
        "plain/clip.mp4",
        &[("Range", "bytes=10-19")],
        200,
        Some(whole),
    );
    check("unmeasured/clip.mp4", &[], 200, Some(whole));
    check("truncated/clip.mp4", &[], 200, Some(whole / 2));
    check("slow/clip.mp4", &[], 200, Some(whole));
    check("redirect/clip.mp4", &[], 302, Some(0));
    check("empty/clip.mp4", &[], 200, Some(0));
    check("html/clip.mp4", &[], 200, None);
    check("range/nothing.mp4", &[], 404, None);
    assert_eq!(server.count("/range/"), 5);
}
