//! MCP over Streamable HTTP: `http measure EXECUTABLE` compares `serve --http` with `http serve`, a minimal server of the
//! same SDK with one constant tool.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::{Report, median};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};

/// Calls of one round; rounds of both servers alternate.
const CALLS: usize = 500;
const ROUNDS: usize = 8;
const SESSIONS: usize = 1000;
const HALF_OPEN: usize = 10_000;

/// A server with one tool, whose reply is as long as that of the call to ours.
struct Constant;

impl ServerHandler for Constant {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let drafts = json!({ "drafts": [{ "draft_id": "dfd_cat_1764234000_0a1b2c3d", "name": "a",
            "backend": "embedded", "edition": "capcut", "created": 1, "modified": 1, "calls": 1 }] });
        Ok(CallToolResult::structured(drafts).into())
    }
}

fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.sse_retry = None;
        let config = StreamableHttpServerConfig::default().with_sse_retry(None);
        let service = StreamableHttpService::new(|| Ok(Constant), Arc::new(sessions), config);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        eprintln!("MCP clients connect to http://{address}/mcp");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                let _ = served.await;
            });
        }
    });
}

/// A server under test; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr"));
        let mut address = None;
        while address.is_none() {
            let mut line = String::new();
            assert!(
                lines.read_line(&mut line).expect("a line") > 0,
                "the server ended"
            );
            address = line
                .split_once("MCP clients connect to http://")
                .and_then(|(_, rest)| rest.split_once("/mcp"))
                .map(|(address, _)| address.to_owned());
        }
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self {
            child,
            address: address.expect("an address"),
        }
    }

    /// Resident memory in bytes.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("its state");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kilobytes.expect("a size") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session on a connection that stays open.
struct Client {
    reader: BufReader<TcpStream>,
    address: String,
    session: String,
    body: Vec<u8>,
}

impl Client {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("an option");
        let mut client = Self {
            reader: BufReader::new(stream),
            address: address.to_owned(),
            session: String::new(),
            body: Vec::new(),
        };
        client.post(
            &json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "bench", "version": "1" } } }),
        );
        assert!(!client.session.is_empty(), "no session");
        client.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    /// Sends a message and reads the whole answer.
    fn post(&mut self, message: &Value) {
        let text = message.to_string();
        let session = if self.session.is_empty() {
            String::new()
        } else {
            format!(
                "Mcp-Session-Id: {}\r\nMCP-Protocol-Version: 2025-11-25\r\n",
                self.session
            )
        };
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{session}Content-Length: {}\r\n\r\n{text}",
            self.address,
            text.len()
        );
        self.reader
            .get_mut()
            .write_all(request.as_bytes())
            .expect("sent");
        let mut chunked = false;
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            self.reader.read_line(&mut line).expect("a header");
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            } else if let Some(value) = header.strip_prefix("mcp-session-id: ") {
                value.clone_into(&mut self.session);
            }
            chunked |= header == "transfer-encoding: chunked";
        }
        self.body.clear();
        if !chunked {
            self.body.resize(length, 0);
            self.reader.read_exact(&mut self.body).expect("a body");
            return;
        }
        loop {
            line.clear();
            self.reader.read_line(&mut line).expect("a size");
            let size = usize::from_str_radix(line.trim(), 16).expect("a size");
            let start = self.body.len();
            self.body.resize(start + size, 0);
            self.reader
                .read_exact(&mut self.body[start..])
                .expect("a piece");
            line.clear();
            self.reader
                .read_line(&mut line)
                .expect("the end of a piece");
            if size == 0 {
                return;
            }
        }
    }

    fn call(&mut self, id: usize) -> Duration {
        let start = Instant::now();
        self.post(&json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": "list_drafts", "arguments": {} } }));
        let took = start.elapsed();
        let text = String::from_utf8_lossy(&self.body);
        assert!(text.contains("\"draft_id\""), "{text}");
        took
    }
}

/// How long others wait for an answer while many connections have sent half of a request.
fn half_open(server: &Server, report: &mut Report) {
    let mut connections = Vec::with_capacity(HALF_OPEN);
    let mut longest = Duration::ZERO;
    for opened in 1..=HALF_OPEN {
        let mut stream = TcpStream::connect(&server.address).expect("it listens");
        // The server may have closed it again to make room.
        let _ =
            stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n");
        connections.push(stream);
        if opened % (HALF_OPEN / 100) == 0 {
            let start = Instant::now();
            let mut other = TcpStream::connect(&server.address).expect("it listens");
            let request = format!(
                "GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                server.address
            );
            other.write_all(request.as_bytes()).expect("sent");
            let mut answer = String::new();
            other.read_to_string(&mut answer).expect("an answer");
            longest = longest.max(start.elapsed());
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
    println!(
        "       {} connections have sent half of a request",
        connections.len()
    );
    report.bound(
        "longest answer beside half-open connections",
        "ms",
        longest.as_secs_f64() * 1e3,
        100.0,
    );
}

fn measure(executable: &str) {
    let home = std::env::temp_dir().join(format!("capcut-mcp-bench-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a folder");
    let ours = || {
        let mut command = Command::new(executable);
        command
            .args([
                "serve",
                "--http",
                "127.0.0.1:0",
                "--backend",
                "embedded",
                "--data-dir",
            ])
            .arg(&home);
        Server::start(command)
    };
    let mut report = Report::default();
    {
        let server = ours();
        let mut constant = Command::new(std::env::current_exe().expect("this program"));
        constant.arg("serve");
        let baseline = Server::start(constant);
        let mut own = Client::connect(&server.address);
        own.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "create_draft", "arguments": { "name": "a" } } }));
        let mut other = Client::connect(&baseline.address);
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for (client, times) in [&mut own, &mut other].into_iter().zip(&mut times) {
                for call in 0..CALLS {
                    let took = client.call(2 + round * CALLS + call);
                    // The first round warms both up.
                    if round > 0 {
                        times.push(took.as_secs_f64() * 1e6);
                    }
                }
            }
        }
        let [ours, theirs] = &mut times;
        let (ours, theirs) = (median(ours), median(theirs));
        println!("       a reading call over HTTP: {ours:.1} us, constant tool {theirs:.1} us");
        report.bound("a reading call over HTTP", "x", ours / theirs, 1.3);
    }
    let server = ours();
    let before = server.memory();
    let sessions: Vec<Client> = (0..SESSIONS)
        .map(|_| Client::connect(&server.address))
        .collect();
    // The server puts sessions aside that have been idle for 15 seconds, and looks every 5.
    std::thread::sleep(Duration::from_secs(25));
    let after = server.memory();
    println!(
        "       memory: {:.1} MB, with {} idle sessions {:.1} MB",
        before as f64 / 1e6,
        sessions.len(),
        after as f64 / 1e6
    );
    report.bound(
        "memory with 1,000 idle sessions",
        "MB",
        after as f64 / 1e6,
        60.0,
    );
    drop((sessions, server));
    half_open(&ours(), &mut report);
    let _ = std::fs::remove_dir_all(&home);
    report.exit();
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve(),
        ["measure", executable] => measure(executable),
        _ => {
            eprintln!("http serve | http measure EXECUTABLE");
            std::process::exit(2);
        }
    }
}
