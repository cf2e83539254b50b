//! The engine as a process that serves HTTP.

use std::net::TcpStream;
use std::process::Child;

use serde_json::{Value, json};

use super::{Home, Said, http, until};

impl Home {
    /// The engine as an HTTP server on a free port, ready to answer.
    pub(crate) fn engine(&self, arguments: &[&str]) -> Served {
        self.engine_at(0, arguments)
    }

    /// Like [`engine`](Self::engine), on this port.
    pub(crate) fn engine_at(&self, port: u16, arguments: &[&str]) -> Served {
        let number = port.to_string();
        let mut line = vec!["engine", "--port", &number];
        line.extend(arguments);
        Self::served(self.command(&line))
    }

    /// MCP and the API over HTTP on a free port, ready to answer.
    pub(crate) fn serve_http(&self, arguments: &[&str]) -> Served {
        self.serve_http_at(0, arguments)
    }

    /// Like [`serve_http`](Self::serve_http), on this port.
    pub(crate) fn serve_http_at(&self, port: u16, arguments: &[&str]) -> Served {
        let address = format!("127.0.0.1:{port}");
        let mut line = vec!["serve", "--http", &address];
        line.extend(arguments);
        Self::served(self.command(&line))
    }

    /// An engine that may only open this number of files and connections.
    #[cfg(unix)]
    pub(crate) fn engine_with_files(&self, files: u32) -> Served {
        let engine = self.command(&["engine", "--port", "0"]);
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")])
            .arg(engine.get_program())
            .args(engine.get_args())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .env_clear();
        for (name, value) in engine.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        Self::served(command)
    }

    fn served(mut command: std::process::Command) -> Served {
        let mut child = command.spawn().expect("the executable starts");
        let said = Said::collect(child.stderr.take().expect("stderr is piped"));
        let mut address = None;
        until("the engine answers", || {
            let ended = child.try_wait().expect("the engine's state");
            assert!(
                ended.is_none(),
                "the engine ended: {ended:?}\n{}",
                said.text()
            );
            address = said.address("answers at ");
            address
                .as_ref()
                .is_some_and(|address| TcpStream::connect(address).is_ok())
        });
        Served {
            url: format!("http://{}", address.expect("it answers")),
            child,
            said,
        }
    }
}

/// A running `capcut-mcp engine`; killed when dropped.
pub(crate) struct Served {
    /// Its address, without a trailing slash.
    pub(crate) url: String,
    pub(crate) child: Child,
    pub(crate) said: Said,
}

impl Served {
    pub(crate) fn port(&self) -> u16 {
        let port = self
            .url
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        port.expect("an address with a port")
    }

    /// Posts a JSON body; returns the status and the body of the answer.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, String) {
        http(
            "POST",
            &format!("{}{path}", self.url),
            &[("Content-Type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    /// Gets a path; returns the status and the body of the answer.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        http("GET", &format!("{}{path}", self.url), &[], b"")
    }

    /// Posts and unpacks the envelope: `output` of a success, `error` of a failure.
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

    /// Its stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.said.text()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
