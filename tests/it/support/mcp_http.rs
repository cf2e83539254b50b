//! An MCP client over Streamable HTTP, written by hand: each request has its own connection.

use serde_json::{Value, json};

use super::http_with_head;

/// A client of `/mcp`.
pub(crate) struct McpOverHttp {
    url: String,
    /// Sent with each request.
    pub(crate) headers: Vec<(String, String)>,
    session: Option<String>,
    version: String,
    id: u64,
}

impl McpOverHttp {
    /// A client that has not sent anything yet.
    pub(crate) fn new(server: &str) -> Self {
        Self {
            url: format!("{server}/mcp"),
            headers: Vec::new(),
            session: None,
            version: "2025-03-26".to_owned(),
            id: 0,
        }
    }

    /// A client with a session of this version of the protocol.
    pub(crate) fn connected(server: &str, version: &str) -> Self {
        Self::new(server).connect(version)
    }

    /// Opens a session of this version of the protocol.
    pub(crate) fn connect(self, version: &str) -> Self {
        let mut client = self;
        version.clone_into(&mut client.version);
        let answer = client.ask(
            "initialize",
            &json!({ "protocolVersion": version, "capabilities": {},
                "clientInfo": { "name": "tests", "version": "1" } }),
        );
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        assert!(client.session.is_some(), "the server opens no session");
        let (status, _) = client.post(&json!({ "jsonrpc": "2.0",
            "method": "notifications/initialized" }));
        assert_eq!(status, 202);
        client
    }

    /// Continues at another server, with the same session.
    #[cfg(unix)]
    pub(crate) fn go_to(&mut self, server: &str) {
        self.url = format!("{server}/mcp");
    }

    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Uses a session that another client opened.
    pub(crate) fn take_session(&mut self, session: &str) {
        self.session = Some(session.to_owned());
    }

    fn sent_headers(&self) -> Vec<(&str, &str)> {
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        if let Some(session) = &self.session {
            headers.push(("Mcp-Session-Id", session));
            headers.push(("MCP-Protocol-Version", &self.version));
        }
        let own = self.headers.iter();
        headers.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
        headers
    }

    /// Posts a message; returns the status and the messages of the answer.
    pub(crate) fn post(&mut self, message: &Value) -> (u16, Vec<Value>) {
        let (status, text) = self.post_text(message.to_string().as_bytes());
        let messages = if text.trim_start().starts_with('{') {
            vec![serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))]
        } else {
            text.lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .filter(|data| !data.trim().is_empty())
                .map(|data| serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}")))
                .collect()
        };
        (status, messages)
    }

    /// Posts any bytes; returns the status and the body.
    pub(crate) fn post_text(&mut self, body: &[u8]) -> (u16, String) {
        let headers = self.sent_headers();
        let (status, head, text) = http_with_head("POST", &self.url, &headers, body);
        let session = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("mcp-session-id")
                .then(|| value.trim().to_owned())
        });
        if session.is_some() {
            self.session = session;
        }
        (status, text)
    }

    /// Sends a request; returns the answer to it.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.id += 1;
        let id = self.id;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let (status, messages) = self.post(&request);
        messages
            .into_iter()
            .find(|message| message["id"] == id)
            .unwrap_or_else(|| panic!("no answer to {request}: status {status}"))
    }

    /// Calls a tool; returns its result.
    pub(crate) fn result(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.ask(
            "tools/call",
            &json!({ "name": tool, "arguments": arguments }),
        );
        assert!(answer.get("result").is_some(), "{tool}: {answer}");
        answer["result"].clone()
    }

    /// Calls a tool; returns its reply.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let result = self.result(tool, arguments);
        assert_eq!(result["isError"], false, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// Calls a tool that fails; returns the text of the error.
    pub(crate) fn error(&mut self, tool: &str, arguments: &Value) -> String {
        let result = self.result(tool, arguments);
        assert_eq!(result["isError"], true, "{tool}: {result}");
        let text = result["content"][0]["text"].as_str();
        text.expect("a text").to_owned()
    }

    /// Closes the session; returns the status.
    pub(crate) fn close(&mut self) -> u16 {
        let headers = self.sent_headers();
        http_with_head("DELETE", &self.url, &headers, b"").0
    }
}
