//! The connections to one API server: on this machine straight through hyper, elsewhere with all that
//! reqwest knows of proxies and certificates.
//!
//! What reqwest adds (proxies, redirects, TLS, addresses read three times a call) is a third of what a call
//! to a server on this machine costs and not needed there; and its pool opens a connection too many when
//! one comes back while another is being made.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::http::{request, response};
use hyper::{Method, Request, Response, Version};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::runtime::{self, Handle};
use tokio::task::JoinHandle;

use crate::envelope;
use crate::error::{Error, Result};
use crate::manifest::{self, Api};

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("capcut-mcp/", env!("CARGO_PKG_VERSION")));
/// Says who sends, so that a listener of the same program can tell its own requests.
const SENDER: HeaderName = HeaderName::from_static("x-capcut-mcp-sender");

/// Who sends requests: the servers' side of one program, and its listener.
#[derive(Clone)]
pub(crate) struct Sender(HeaderValue);

impl Sender {
    pub(super) fn new() -> Self {
        Self(HeaderValue::from(fastrand::u64(..)))
    }

    /// Whether a request with these headers comes from here: what forwards to itself never ends.
    pub(crate) fn sent(&self, headers: &HeaderMap) -> bool {
        headers.get(SENDER) == Some(&self.0)
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What is sent.
pub(super) struct Message<'a> {
    pub method: Method,
    pub path: &'a str,
    /// JSON, if there is a body.
    pub body: Option<Vec<u8>>,
    /// The body is in our own dialect.
    pub strict: bool,
}

/// What came back, whole.
pub(super) struct Reply {
    pub head: response::Parts,
    pub body: Vec<u8>,
}

/// Why there is no reply.
pub(super) enum Unanswered {
    /// Nobody listens there, or the connection was closed before the request was written: nothing was sent.
    Nobody(String),
    /// It is our own fault; nothing was sent.
    Ours(Error),
    /// It broke off before an answer, and the request may have arrived.
    Broken(String),
    /// The answer broke off after so many bytes.
    Halfway(usize, String),
    /// The answer is longer than it may be.
    TooLong,
}

/// The way to one server; nothing is opened before it is used. Whoever sends holds one of the server's
/// places, so there are never more connections than places.
pub(super) struct Wire {
    sender: Sender,
    way: OnceLock<Way>,
}

struct Way {
    /// What goes with every request; the first of them are what the server wants, and secret.
    headers: Vec<(HeaderName, HeaderValue)>,
    secrets: usize,
    to: To,
}

enum To {
    Near(Near),
    Far { client: reqwest::Client, base: Url },
}

impl Wire {
    pub(super) fn new(sender: Sender) -> Self {
        Self {
            sender,
            way: OnceLock::new(),
        }
    }

    /// Sends to `base` and reads the answer, of `limit` bytes at most.
    pub(super) async fn send(
        &self,
        base: &str,
        api: &Api,
        message: Message<'_>,
        limit: u64,
    ) -> Result<Reply, Unanswered> {
        let way = self.way(base, api).map_err(Unanswered::Ours)?;
        let headers = &way.headers;
        let mut reply = match &way.to {
            To::Near(near) => near.send(message, headers, limit).await?,
            // Boxed, because it is the uncommon way and every call would carry room for it.
            To::Far { client, base } => {
                Box::pin(far(client, base, message, headers, limit)).await?
            }
        };
        if way.secrets > 0 && reply.body.len() <= ECHO {
            hide(&mut reply.body, &headers[..way.secrets]);
        }
        Ok(reply)
    }

    fn way(&self, base: &str, api: &Api) -> Result<&Way> {
        if let Some(way) = self.way.get() {
            return Ok(way);
        }
        let way = Way::new(base, api, &self.sender)?;
        Ok(self.way.get_or_init(|| way))
    }
}

impl Way {
    fn new(base: &str, api: &Api, sender: &Sender) -> Result<Self> {
        let mut headers = api.headers.values()?;
        let secrets = headers.len();
        headers.push((SENDER, sender.0.clone()));
        let wrong = |error: String| Error::invalid(format!("`{base}` is no address: {error}"));
        let url = Url::parse(base).map_err(|error| wrong(error.to_string()))?;
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let is_here = is_loopback(base);
        if is_here && url.scheme() == "http" && is_plain {
            let to = Near::new(&url, api).map(To::Near).map_err(wrong)?;
            return Ok(Self {
                headers,
                secrets,
                to,
            });
        }
        // Whoever comes first installs it; it is the same one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder();
        if is_here {
            client = client.no_proxy();
        }
        let client = client
            .user_agent(AGENT)
            .connect_timeout(manifest::seconds(api.connect_timeout_s))
            .pool_max_idle_per_host(api.connections)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::internal("no HTTP client could be made").source(error))?;
        let to = To::Far { client, base: url };
        Ok(Self {
            headers,
            secrets,
            to,
        })
    }
}

/// A connection and the task that serves it.
struct Link {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
    /// Where that task runs.
    home: runtime::Id,
}

/// Why a connection gave no answer.
enum Unserved {
    /// The request came back as it was: nothing of it was written.
    Unsent(Box<Request<Full<Bytes>>>, String),
    Broken(String),
}

impl From<Unserved> for Unanswered {
    fn from(why: Unserved) -> Self {
        match why {
            Unserved::Unsent(_, cause) => Self::Nobody(cause),
            Unserved::Broken(cause) => Self::Broken(cause),
        }
    }
}

impl Link {
    async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unserved> {
        // A closed connection gives the request back below.
        let _ = self.sender.ready().await;
        let sent = self.sender.try_send_request(request).await;
        sent.map_err(|mut error| {
            let unsent = error.take_message();
            let cause = root(&error.into_error());
            match unsent {
                Some(request) => Unserved::Unsent(Box::new(request), cause),
                None => Unserved::Broken(cause),
            }
        })
    }

    /// The place is given back with the connection, not before.
    async fn close(self) {
        drop(self.sender);
        let _ = tokio::time::timeout(CLOSING, self.connection).await;
    }
}

/// How long the end of a connection is waited for.
const CLOSING: Duration = Duration::from_millis(100);

/// Whether the server closes the connection after this answer, as the reference server always does.
fn ends(head: &response::Parts) -> bool {
    let says_so = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    head.version == Version::HTTP_10 || head.headers.get(CONNECTION).is_some_and(says_so)
}

/// A server on this machine.
struct Near {
    host: HeaderValue,
    /// Host and port, as a socket takes them.
    address: (String, u16),
    /// What stands before every path.
    prefix: String,
    connect: Duration,
    /// Connections that wait for a request.
    idle: Mutex<Vec<Link>>,
}

impl Near {
    fn new(url: &Url, api: &Api) -> Result<Self, String> {
        let host = url.host_str().ok_or("it names no host")?;
        Ok(Self {
            host: HeaderValue::from_str(url.authority()).map_err(|error| error.to_string())?,
            address: (
                host.trim_matches(['[', ']']).to_owned(),
                url.port_or_known_default().unwrap_or(80),
            ),
            prefix: url.path().trim_end_matches('/').to_owned(),
            connect: manifest::seconds(api.loopback_connect_timeout_s),
            idle: Mutex::default(),
        })
    }

    async fn send(
        &self,
        message: Message<'_>,
        headers: &[(HeaderName, HeaderValue)],
        limit: u64,
    ) -> Result<Reply, Unanswered> {
        let mut request = self.request(message, headers).map_err(Unanswered::Ours)?;
        let home = Handle::current().id();
        let (link, reply) = loop {
            let (mut link, fresh) = match self.waiting(home) {
                Some(link) if link.home == home => (link, false),
                elsewhere => {
                    if let Some(link) = elsewhere {
                        link.close().await;
                    }
                    (self.open().await?, true)
                }
            };
            match link.ask(request).await {
                Ok(reply) => break (link, reply),
                // The server closed the connection while it was not in use.
                Err(Unserved::Unsent(unsent, _)) if !fresh => request = *unsent,
                Err(why) => return Err(why.into()),
            }
        };
        let reply = whole(reply, limit).await?;
        if ends(&reply.head) {
            link.close().await;
        } else {
            self.idle().push(link);
        }
        Ok(reply)
    }

    fn request(
        &self,
        message: Message<'_>,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Request<Full<Bytes>>> {
        let path = format!("{}{}", self.prefix, message.path);
        let mut request = Request::builder()
            .method(message.method)
            .header(HOST, self.host.clone())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, JSON);
        if message.body.is_some() {
            request = request.header(CONTENT_TYPE, JSON);
        }
        if message.strict {
            request = request.header(envelope::MANNER_HEADER, envelope::STRICT);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(message.body.unwrap_or_default()));
        with_path(request, &path, body)
    }

    async fn open(&self) -> Result<Link, Unanswered> {
        let (host, port) = (self.address.0.as_str(), self.address.1);
        let connecting = tokio::time::timeout(self.connect, TcpStream::connect((host, port)));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Unanswered::Nobody(error.to_string())),
            Err(_) => {
                let waited = self.connect.as_secs_f64();
                return Err(Unanswered::Nobody(format!("no connection in {waited} s")));
            }
        };
        let nobody = |error: String| Unanswered::Nobody(error);
        stream
            .set_nodelay(true)
            .map_err(|error| nobody(error.to_string()))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| nobody(root(&error)))?;
        // What breaks a connection is told to whoever uses it.
        let connection = tokio::spawn(async {
            let _ = connection.await;
        });
        Ok(Link {
            sender,
            connection,
            home: Handle::current().id(),
        })
    }

    /// A connection that waits for a request, of this thread if there is one: one that is served elsewhere costs two
    /// wakings a request, more than a new one in the long run.
    fn waiting(&self, home: runtime::Id) -> Option<Link> {
        let mut idle = self.idle();
        match idle.iter().rposition(|link| link.home == home) {
            Some(index) => Some(idle.remove(index)),
            None => idle.pop(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn with_path(
    request: request::Builder,
    path: &str,
    body: Full<Bytes>,
) -> Result<Request<Full<Bytes>>> {
    request.uri(path).body(body).map_err(|error| {
        Error::internal(format!("no request can be made of `{path}`")).source(error)
    })
}

async fn far(
    client: &reqwest::Client,
    base: &Url,
    message: Message<'_>,
    headers: &[(HeaderName, HeaderValue)],
    limit: u64,
) -> Result<Reply, Unanswered> {
    let mut url = base.clone();
    let path = format!("{}{}", base.path().trim_end_matches('/'), message.path);
    url.set_path(&path);
    let request = client.request(message.method, url);
    let mut request = request.header(ACCEPT, JSON);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if message.strict {
        request = request.header(envelope::MANNER_HEADER, envelope::STRICT);
    }
    if let Some(body) = message.body {
        request = request.header(CONTENT_TYPE, JSON).body(body);
    }
    let reply = request.send().await.map_err(|error| {
        let cause = root(&error);
        if error.is_connect() || never_left(&error) {
            Unanswered::Nobody(cause)
        } else if error.is_builder() {
            let what = "a request could not be made";
            Unanswered::Ours(Error::internal(what).source(error.without_url()))
        } else {
            Unanswered::Broken(cause)
        }
    })?;
    whole(Response::from(reply), limit).await
}

/// Whether hyper gave the request up before it wrote anything of it: only then does it say "canceled".
fn never_left(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .filter_map(|error| error.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_canceled)
}

/// Answers up to this size may come into an error or a log, and are looked through for what was sent.
const ECHO: usize = 64 << 10;

/// Takes the values of these headers out of an answer, which may repeat what it was sent.
fn hide(body: &mut Vec<u8>, headers: &[(HeaderName, HeaderValue)]) {
    for (_, value) in headers {
        // A scheme such as `Bearer` is no secret.
        let words = value.as_bytes().split(|byte| *byte == b' ');
        for word in words.filter(|word| word.len() >= 6) {
            while let Some(at) = body.windows(word.len()).position(|part| part == word) {
                body.splice(at..at + word.len(), *b"***");
            }
        }
    }
}

/// Reads the answer to its end.
async fn whole<B>(reply: Response<B>, limit: u64) -> Result<Reply, Unanswered>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let (head, mut rest) = reply.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = rest.frame().await {
        let frame = frame.map_err(|error| Unanswered::Halfway(body.len(), root(&error)))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        if body.len() as u64 + chunk.len() as u64 > limit {
            return Err(Unanswered::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { head, body })
}

/// The innermost cause, which is the one that says something.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if std::ptr::addr_eq(cause, error) {
        return "it broke off".into();
    }
    cause.to_string()
}

/// An address of this machine: never by way of a proxy, and quick to say that nobody is there.
pub(crate) fn is_loopback(base: &str) -> bool {
    let Ok(url) = Url::parse(base) else {
        return false;
    };
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback() || address.is_unspecified())
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::manifest::Manifest;

    /// A server that keeps connections; what it counts: connections in all, and open ones.
    fn server() -> (String, Arc<[AtomicUsize; 2]>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let counted = Arc::clone(&counts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = Arc::clone(&counted);
                counts[0].fetch_add(1, Ordering::SeqCst);
                counts[1].fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    for line in BufReader::new(&stream).lines().map_while(Result::ok) {
                        if line.is_empty() {
                            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                            (&stream).write_all(answer).unwrap();
                        }
                    }
                    counts[1].fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (base, counts)
    }

    #[test]
    fn a_connection_serves_its_own_thread_and_makes_way_for_another() {
        let (base, counts) = server();
        let api = Manifest::built_in().api;
        let wire = Arc::new(Wire::new(Sender::new()));
        let threads = [(); 2].map(|()| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap()
        });
        let ask = |thread: usize| {
            let (wire, base, api) = (Arc::clone(&wire), base.clone(), api.clone());
            let asked = threads[thread]
                .spawn(async move { wire.send(&base, &api, get(), 10).await.is_ok() });
            assert!(threads[thread].block_on(asked).unwrap());
        };
        let opened = |asked: &[usize]| {
            for thread in asked {
                ask(*thread);
            }
            counts[0].load(Ordering::SeqCst)
        };
        assert_eq!(opened(&[0, 0, 0]), 1);
        assert_eq!(opened(&[1, 1]), 2, "each thread has its own");
        assert_eq!(opened(&[0]), 3);
        let patience = std::time::Instant::now() + Duration::from_secs(10);
        while counts[1].load(Ordering::SeqCst) > 1 {
            assert!(
                std::time::Instant::now() < patience,
                "the others are closed"
            );
            thread::yield_now();
        }
    }

    /// Accepts one connection, reads as much as it is told to, and closes it.
    fn closes_after(bytes: usize) -> (Near, thread::JoinHandle<()>) {
        use std::io::Read;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let closing = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut vec![0; bytes]).unwrap();
        });
        (Near::new(&url, &Manifest::built_in().api).unwrap(), closing)
    }

    fn get() -> Message<'static> {
        Message {
            method: Method::GET,
            path: "/",
            body: None,
            strict: false,
        }
    }

    #[tokio::test]
    async fn a_request_that_a_new_connection_gives_back_was_not_sent() {
        let (near, closing) = closes_after(0);
        let mut link = near.open().await.unwrap_or_else(|_| panic!("it listens"));
        closing.join().unwrap();
        while !link.sender.is_closed() {
            tokio::task::yield_now().await;
        }
        let request = near.request(get(), &[]).unwrap();
        let why = link.ask(request).await.map(|_| ()).unwrap_err();
        assert!(matches!(why, Unserved::Unsent(..)));
        assert!(matches!(Unanswered::from(why), Unanswered::Nobody(_)));

        let (near, _closing) = closes_after(10);
        let why = near.send(get(), &[], 10).await.map(|_| ()).unwrap_err();
        assert!(
            matches!(why, Unanswered::Broken(_)),
            "a part of it was sent"
        );
    }

    #[tokio::test]
    async fn an_error_tells_whether_the_request_left() {
        let (near, closing) = closes_after(0);
        let mut link = near.open().await.unwrap_or_else(|_| panic!("it listens"));
        closing.join().unwrap();
        while !link.sender.is_closed() {
            tokio::task::yield_now().await;
        }
        let sent = link.sender.send_request(near.request(get(), &[]).unwrap());
        let error = sent.await.map(|_| ()).unwrap_err();
        assert!(never_left(&error));
        let (near, _closing) = closes_after(10);
        let mut link = near.open().await.unwrap_or_else(|_| panic!("it listens"));
        let sent = link.sender.send_request(near.request(get(), &[]).unwrap());
        let error = sent.await.map(|_| ()).unwrap_err();
        assert!(!never_left(&error));
    }

    #[test]
    fn loopback_is_told_from_other_hosts() {
        for base in [
            "http://127.0.0.1:9000",
            "http://localhost",
            "http://[::1]:1",
            "http://127.8.8.8",
        ] {
            assert!(is_loopback(base), "{base}");
        }
        for base in [
            "http://10.0.0.1",
            "http://localhost.example.org",
            "https://api.example.org:9000",
        ] {
            assert!(!is_loopback(base), "{base}");
        }
    }
}
