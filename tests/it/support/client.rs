//! An MCP client of a server process.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Home, PATIENCE, Said, code, schemas};

impl Home {
    /// An MCP server over pipes.
    pub(crate) fn serve(&self) -> Client {
        self.serve_with(&["serve"])
    }

    /// An MCP server over pipes, after `initialize`.
    pub(crate) fn connected(&self) -> Client {
        let mut client = self.serve();
        client.initialize("2025-11-25");
        client
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

    /// An MCP server over UNIX sockets, which clients written for Node use for their servers.
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
}

/// The result of reading a server's stdout.
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
    pub(crate) said: Said,
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
            said: Said::collect(stderr),
            last_id: 0,
        }
    }

    /// Writes bytes unchanged; an error means that the server is gone.
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

    /// Sends a request and returns its id, without waiting.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        message["params"] = params;
        self.send(&message);
        id
    }

    /// The next line; `None` if the server closed its stdout.
    pub(crate) fn line(&mut self) -> Option<String> {
        match self.hear(PATIENCE) {
            Heard::Line(line) => Some(line),
            Heard::End => None,
            Heard::Silence => panic!("no line within {PATIENCE:?}; stderr: {}", self.stderr()),
        }
    }

    /// What arrives on stdout within this time.
    pub(crate) fn hear(&mut self, time: Duration) -> Heard {
        match self.lines.recv_timeout(time) {
            Ok(line) => Heard::Line(line),
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// The next message; messages that [`answer`](Self::answer) skipped come first.
    pub(crate) fn message(&mut self) -> Option<Value> {
        if let Some(message) = self.waiting.pop_front() {
            return Some(message);
        }
        self.line().map(|line| {
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON ({e}): {line:?}"))
        })
    }

    /// The answer to the request with this id; other messages are kept for later.
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

    /// The legacy handshake; returns the server's `result`.
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
        let said = &result["structuredContent"];
        // Rows are sent as lines, other replies as the same JSON.
        if tool != "inspect_draft" {
            let same: Value = serde_json::from_str(text).expect("the text is the same JSON");
            assert_eq!(same, *said);
        }
        schemas::check_reply(tool, said);
        Ok(said.clone())
    }

    /// Closes the server's stdin.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits for the server to end; returns its exit code.
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

    /// Ends the server by closing its stdin; returns its exit code.
    pub(crate) fn end(mut self) -> i32 {
        self.close();
        self.wait()
    }

    /// The stderr of the server so far.
    pub(crate) fn stderr(&self) -> String {
        self.said.text()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
