//! A loopback HTTP server with scripted answers that can fail as real servers do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::until;

/// A request as a loopback server received it.
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
    /// The body as JSON; null if it is not JSON.
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
    /// The delay before anything is sent.
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
    /// Nothing until the client disconnects.
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

    /// The envelope of a CapCut API around an error, with HTTP 200.
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
    /// Its address, without a trailing slash.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
    unread: Arc<AtomicUsize>,
    address: SocketAddr,
}

impl Server {
    /// A server that answers everything with 404.
    pub(crate) fn empty() -> Self {
        Self::start(|_| Answer::new(404, "text/plain", "not here"))
    }

    pub(crate) fn start(handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let mut listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("a bound address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let closed = Arc::new(AtomicBool::new(false));
        let unread = Arc::new(AtomicUsize::new(0));
        let handler: Arc<Handler> = Arc::new(handler);
        let (log, peak, stop) = (Arc::clone(&asked), Arc::clone(&most), Arc::clone(&stopped));
        let (away, counted) = (Arc::clone(&closed), Arc::clone(&open));
        let reset = Arc::clone(&unread);
        thread::spawn(move || {
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
                let left = reset.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                });
                if left.is_ok() {
                    reset_unread(stream);
                    continue;
                }
                let now = counted.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                let (handler, log, open) =
                    (Arc::clone(&handler), Arc::clone(&log), Arc::clone(&counted));
                thread::spawn(move || {
                    // A client that disconnects early is not an error of the server.
                    let _ = answer_one(&stream, &handler, &log);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            url: format!("http://{address}"),
            asked,
            open,
            most,
            stopped,
            closed,
            unread,
            address,
        }
    }

    /// Resets the next connections before anything of their requests is read.
    pub(crate) fn reset_unread(&self, connections: usize) {
        self.unread.fetch_add(connections, Ordering::SeqCst);
    }

    /// Refuses connections from now on, as if the server were down, or accepts them again.
    pub(crate) fn refuse(&self, whether: bool) {
        self.closed.store(whether, Ordering::SeqCst);
        if whether {
            // Wakes the accepting thread, which then closes its port.
            let _ = TcpStream::connect(self.address);
        }
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }

    /// The number of requests to paths with this prefix.
    pub(crate) fn count(&self, path: &str) -> usize {
        let asked = self.asked.lock().expect("not poisoned");
        asked
            .iter()
            .filter(|one| one.path.starts_with(path))
            .count()
    }

    /// Waits until it has finished the requests of a client that is gone.
    pub(crate) fn wait_until_idle(&self) {
        // The last request may not have been accepted yet.
        thread::sleep(Duration::from_millis(30));
        until("the server is idle", || {
            self.open.load(Ordering::SeqCst) == 0
        });
    }

    /// The maximum number of connections that were open at the same time.
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
        // Wakes the accepting thread, which then closes its port.
        let _ = TcpStream::connect(self.address);
    }
}

/// Closes a connection on which a request has arrived but was not read: the client's system receives a reset.
fn reset_unread(stream: TcpStream) {
    thread::spawn(move || {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let _ = stream.peek(&mut [0]);
    });
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
