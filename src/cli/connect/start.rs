//! Starts a server as a client does, over pipes, and asks for its tools.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::LaunchCommand;
use crate::error::{Error, Kind, Result};
use crate::settings::{Env, Os, value};

/// How long a server may take to answer. Codex allows 10 s, other clients up to a minute.
const START: Duration = Duration::from_secs(30);

/// How long it may take to exit after its stdin is closed.
const END: Duration = Duration::from_secs(5);

/// The protocol version that most current clients request.
const PROTOCOL: &str = "2025-06-18";

/// The variables of its own environment that a client passes on: the list of the official SDKs, which most clients
/// use.
fn inherited(os: Os) -> &'static [&'static str] {
    match os {
        Os::Linux | Os::MacOs => &["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"],
        Os::Windows => &[
            "APPDATA",
            "HOMEDRIVE",
            "HOMEPATH",
            "LOCALAPPDATA",
            "PATH",
            "PROCESSOR_ARCHITECTURE",
            "SYSTEMDRIVE",
            "SYSTEMROOT",
            "TEMP",
            "USERNAME",
            "USERPROFILE",
        ],
    }
}

/// The names of the tools that the server offers.
pub(super) fn tools(server: &LaunchCommand, os: Os, env: Env<'_>) -> Result<Vec<String>> {
    let mut command = Command::new(&server.command);
    command
        .args(&server.args)
        .env_clear()
        .envs(
            inherited(os)
                .iter()
                .filter_map(|name| Some((name, value(env, name)?))),
        )
        .envs(server.env.iter().map(|(name, value)| (name, value)))
        // Desktop clients start servers from folders that are unrelated to the user's.
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| {
        Error::new(
            Kind::Unavailable,
            format!("{} cannot be started", server.command),
        )
        .source(error)
    })?;
    let mut started = Started::new(child)?;
    let asked = started.ask();
    let said = started.end();
    asked.map_err(|error| match said.trim() {
        "" => error,
        said => Error::new(error.kind, format!("{}; it wrote: {said}", error.message)),
    })
}

struct Started {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Option<thread::JoinHandle<String>>,
    until: Instant,
}

impl Started {
    fn new(mut child: Child) -> Result<Self> {
        let missing = || Error::internal("the started server has no pipes");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = thread::spawn(move || {
            // The last lines usually give the reason of a failure.
            let mut last: VecDeque<String> = VecDeque::new();
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while let Ok(1..) = stderr.by_ref().take(4096).read_until(b'\n', &mut line) {
                if last.len() == 5 {
                    last.pop_front();
                }
                last.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
            Vec::from(last).join("\n")
        });
        Ok(Self {
            child,
            stdin,
            lines,
            stderr: Some(stderr),
            until: Instant::now() + START,
        })
    }

    /// The handshake, then the list of tools.
    fn ask(&mut self) -> Result<Vec<String>> {
        let client = json!({ "name": "capcut-mcp connect", "version": env!("CARGO_PKG_VERSION") });
        let params =
            json!({ "protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client });
        self.request(1, "initialize", &params)?;
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        let listed = self.request(2, "tools/list", &json!({}))?;
        let tools = listed["tools"].as_array().into_iter().flatten();
        let names = tools.filter_map(|tool| tool["name"].as_str());
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.is_empty() {
            return Err(self.wrong("its list of tools is empty"));
        }
        Ok(names)
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let line = format!("{message}\n");
        let written = match &mut self.stdin {
            Some(stdin) => stdin
                .write_all(line.as_bytes())
                .and_then(|()| stdin.flush()),
            None => Ok(()),
        };
        written.map_err(|_| self.wrong("it exited without an answer"))
    }

    fn request(&mut self, id: u64, method: &str, params: &Value) -> Result<Value> {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        loop {
            let rest = self.until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(rest).map_err(|error| match error {
                RecvTimeoutError::Timeout => {
                    let waited = START.as_secs();
                    self.wrong(&format!("it did not answer `{method}` within {waited} s"))
                }
                RecvTimeoutError::Disconnected => self.wrong("it exited without an answer"),
            })?;
            let message: Value = serde_json::from_str(&line)
                .map_err(|_| self.wrong("it wrote something other than MCP messages to stdout"))?;
            if message["id"] == json!(id) {
                return match message.get("error") {
                    Some(error) => Err(self.wrong(&format!("it answered `{method}` with {error}"))),
                    None => Ok(message["result"].clone()),
                };
            }
        }
    }

    fn wrong(&self, what: &str) -> Error {
        Error::new(
            Kind::Unavailable,
            format!("the server was started, but {what}"),
        )
    }

    /// Stops the server as clients do, by closing its stdin. Returns what it wrote to stderr.
    fn end(mut self) -> String {
        drop(self.stdin.take());
        let until = Instant::now() + END;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        // Killing fails if it has already exited, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let stderr = self.stderr.take().map(thread::JoinHandle::join);
        stderr.and_then(Result::ok).unwrap_or_default()
    }
}
