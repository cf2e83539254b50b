//! The HTTP connections to one API server.

use std::net::IpAddr;
use std::sync::OnceLock;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::Url;

use super::envelope;
use crate::error::{Error, Result};
use crate::manifest::{self, ApiSection};
use crate::media::http::never_written;

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("capcut-mcp/", env!("CARGO_PKG_VERSION")));
/// Identifies the sending process, so that a listener of the same process recognises its own requests.
const SENDER: HeaderName = HeaderName::from_static("x-capcut-mcp-sender");

/// The random id of this process as a sender of requests; its listener has the same one.
#[derive(Clone)]
pub(crate) struct Sender(HeaderValue);

impl Sender {
    pub(super) fn new() -> Self {
        Self(HeaderValue::from(fastrand::u64(..)))
    }

    /// Whether this process sent the request with these headers: forwarding to itself would be an endless loop.
    pub(crate) fn sent(&self, headers: &HeaderMap) -> bool {
        headers.get(SENDER) == Some(&self.0)
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One request.
pub(super) struct Message<'a> {
    pub method: Method,
    pub path: &'a str,
    /// JSON, if there is a body.
    pub body: Option<Vec<u8>>,
    /// The body is in our own dialect.
    pub strict: bool,
}

/// A complete answer.
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Why there is no reply.
pub(super) enum Unanswered {
    /// No server listens there, or the connection was closed before the request was written: nothing was sent.
    NotReached(String),
    /// The request could not be built; nothing was sent.
    Ours(Error),
    /// The connection broke off before an answer; the request may have arrived.
    Broken(String),
    /// The answer broke off after this number of bytes.
    Halfway(usize, String),
    /// The answer exceeds the size limit.
    TooLong,
}

/// The client for one server; it is created on first use.
pub(super) struct Wire {
    sender: Sender,
    way: OnceLock<Way>,
}

struct Way {
    /// Headers of every request.
    headers: HeaderMap,
    /// Those of a request with a body.
    headers_of_body: HeaderMap,
    /// The values of the configured ones, which are secret.
    secrets: Vec<HeaderValue>,
    client: HttpClient,
}

enum HttpClient {
    /// To this machine, without TLS, proxy or user. With `reqwest`, a call takes a fifth more CPU and 64 calls in flight
    /// reach three quarters of the throughput (`docs/speed.md`).
    Direct {
        client: legacy::Client<HttpConnector, Full<Bytes>>,
        authority: Authority,
        /// The parts of the address before and after the path of a request.
        around: (String, String),
    },
    Any {
        client: reqwest::Client,
        base: Url,
    },
}

impl Wire {
    pub(super) fn new(sender: Sender) -> Self {
        Self {
            sender,
            way: OnceLock::new(),
        }
    }

    /// Sends a request to `base` and reads the answer, at most `limit` bytes.
    pub(super) async fn send(
        &self,
        base: &str,
        api: &ApiSection,
        message: Message<'_>,
        limit: u64,
    ) -> Result<Reply, Unanswered> {
        let way = self.way(base, api).map_err(Unanswered::Ours)?;
        let mut reply = way.send(message, limit).await?;
        if reply.body.len() <= ECHO {
            hide(&mut reply.body, &way.secrets);
        }
        Ok(reply)
    }

    fn way(&self, base: &str, api: &ApiSection) -> Result<&Way> {
        if let Some(way) = self.way.get() {
            return Ok(way);
        }
        let way = Way::new(base, api, &self.sender)?;
        Ok(self.way.get_or_init(|| way))
    }
}

impl Way {
    fn new(base: &str, api: &ApiSection, sender: &Sender) -> Result<Self> {
        let wanted = api.headers.values()?;
        let secrets = wanted.iter().map(|(_, value)| value.clone()).collect();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, JSON);
        for (name, value) in wanted {
            headers.append(name, value);
        }
        headers.entry(USER_AGENT).or_insert(AGENT);
        headers.insert(SENDER, sender.0.clone());
        let mut headers_of_body = headers.clone();
        headers_of_body.insert(CONTENT_TYPE, JSON);
        let wrong =
            |error: String| Error::invalid(format!("`{base}` is not a valid address: {error}"));
        let url = Url::parse(base).map_err(|error| wrong(error.to_string()))?;
        let is_plain =
            url.scheme() == "http" && url.username().is_empty() && url.password().is_none();
        let client = if is_plain && is_loopback(base) {
            HttpClient::direct(&url, api).map_err(|error| wrong(error.to_string()))?
        } else {
            HttpClient::any(url, api)?
        };
        Ok(Self {
            headers,
            headers_of_body,
            secrets,
            client,
        })
    }

    async fn send(&self, message: Message<'_>, limit: u64) -> Result<Reply, Unanswered> {
        let mut headers = match message.body {
            Some(_) => self.headers_of_body.clone(),
            None => self.headers.clone(),
        };
        if message.strict {
            headers.insert(
                envelope::MANNER_HEADER,
                HeaderValue::from_static(envelope::STRICT),
            );
        }
        match &self.client {
            HttpClient::Direct {
                client,
                authority,
                around: (before, after),
            } => {
                let path = format!("{before}{}{after}", message.path);
                let mut request = Request::new(Full::from(message.body.unwrap_or_default()));
                *request.method_mut() = message.method;
                *request.uri_mut() = uri(authority, path).map_err(not_made)?;
                *request.headers_mut() = headers;
                let reply = client.request(request).await.map_err(|error| {
                    let is_connect = error.is_connect();
                    unanswered(&error, is_connect)
                })?;
                whole(reply, limit).await
            }
            HttpClient::Any { client, base } => {
                let mut url = base.clone();
                let path = format!("{}{}", url.path().trim_end_matches('/'), message.path);
                url.set_path(&path);
                let mut request = client.request(message.method, url).headers(headers);
                if let Some(body) = message.body {
                    request = request.body(body);
                }
                let reply = request.send().await.map_err(|error| {
                    if error.is_builder() {
                        not_made(error.without_url())
                    } else {
                        unanswered(&error, error.is_connect())
                    }
                })?;
                whole(Response::from(reply), limit).await
            }
        }
    }
}

impl HttpClient {
    fn direct(url: &Url, api: &ApiSection) -> Result<Self, hyper::http::Error> {
        let authority = Authority::try_from(url.authority())?;
        let after = url
            .query()
            .map_or(String::new(), |query| format!("?{query}"));
        let patience = manifest::seconds(api.loopback_connect_timeout_s);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(patience));
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(api.connections)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self::Direct {
            client,
            authority,
            around: (url.path().trim_end_matches('/').to_owned(), after),
        })
    }

    fn any(base: Url, api: &ApiSection) -> Result<Self> {
        // Fails if another thread installed it already; it is the same provider everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder();
        let mut patience = api.connect_timeout_s;
        if is_loopback(base.as_str()) {
            client = client.no_proxy();
            patience = api.loopback_connect_timeout_s;
        }
        if base.scheme() == "http" {
            // Plain HTTP needs no certificates, as redirects are not followed. Loading those of the system takes
            // megabytes.
            client = client.tls_certs_only([]);
        }
        let client = client
            .connect_timeout(manifest::seconds(patience))
            .pool_max_idle_per_host(api.connections)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                Error::internal("the HTTP client could not be created").source(error)
            })?;
        Ok(Self::Any { client, base })
    }
}

fn uri(authority: &Authority, path: String) -> Result<Uri, hyper::http::Error> {
    let mut parts = hyper::http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.clone());
    parts.path_and_query = Some(PathAndQuery::try_from(path)?);
    Ok(Uri::from_parts(parts)?)
}

fn not_made(error: impl std::error::Error + Send + Sync + 'static) -> Unanswered {
    Unanswered::Ours(Error::internal("the request could not be built").source(error))
}

/// Why a request has no answer.
fn unanswered(error: &(dyn std::error::Error + 'static), is_connect: bool) -> Unanswered {
    let cause = root(error);
    if is_connect || never_written(error) {
        Unanswered::NotReached(cause)
    } else {
        Unanswered::Broken(cause)
    }
}

/// Answers up to this size can be quoted in errors and logs, so secrets that were sent are removed from them.
const ECHO: usize = 64 << 10;

/// Replaces the values of these headers in an answer: a server may echo what it received.
fn hide(body: &mut Vec<u8>, secrets: &[HeaderValue]) {
    for value in secrets {
        // A scheme such as `Bearer` is not a secret.
        let words = value.as_bytes().split(|byte| *byte == b' ');
        for word in words.filter(|word| word.len() >= 6) {
            while let Some(at) = body.windows(word.len()).position(|part| part == word) {
                body.splice(at..at + word.len(), *b"***");
            }
        }
    }
}

/// Reads the whole answer.
async fn whole<B>(reply: Response<B>, limit: u64) -> Result<Reply, Unanswered>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let (parts, mut incoming) = reply.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| Unanswered::Halfway(body.len(), root(&error)))?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        if body.len() as u64 + chunk.len() as u64 > limit {
            return Err(Unanswered::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

/// The innermost cause: the outer ones only say that sending failed.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if std::ptr::addr_eq(cause, error) {
        return "the connection broke off".into();
    }
    cause.to_string()
}

/// Whether the address is one of this machine: no proxy is used for it, and the connect timeout is short.
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
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use hyper::Request;
    use hyper::client::conn::http1;
    use hyper::header::HOST;
    use hyper_util::rt::TokioIo;

    use super::*;
    use crate::manifest::Manifest;

    /// A server that keeps connections, and counts them.
    fn server() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    for line in BufReader::new(&stream).lines().map_while(Result::ok) {
                        if line.is_empty() {
                            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                            (&stream).write_all(answer).unwrap();
                        }
                    }
                });
            }
        });
        (base, count)
    }

    fn get() -> Message<'static> {
        Message {
            method: Method::GET,
            path: "/",
            body: None,
            strict: false,
        }
    }

    // On one thread, as `serve` runs: on several, the next call may start before the connection is back in the pool.
    #[tokio::test]
    async fn calls_reuse_one_connection() {
        let (base, counts) = server();
        let api = Manifest::built_in().api;
        let wire = Wire::new(Sender::new());
        for _ in 0..5 {
            assert!(wire.send(&base, &api, get(), 10).await.is_ok());
        }
        assert_eq!(counts.load(Ordering::SeqCst), 1);
    }

    /// Accepts one connection, reads the given number of bytes, and closes it.
    fn closes_after(bytes: usize) -> (SocketAddr, thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let closing = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut vec![0; bytes]).unwrap();
        });
        (address, closing)
    }

    #[tokio::test]
    async fn a_partly_sent_request_counts_as_possibly_received() {
        let (address, _closing) = closes_after(10);
        let wire = Wire::new(Sender::new());
        let (base, api) = (format!("http://{address}"), Manifest::built_in().api);
        let why = wire.send(&base, &api, get(), 10).await.map(|_| ());
        assert!(matches!(why, Err(Unanswered::Broken(_))));
    }

    #[tokio::test]
    async fn errors_show_whether_the_request_was_sent() {
        for (read, unsent) in [(0, true), (10, false)] {
            let (address, closing) = closes_after(read);
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            if unsent {
                closing.join().unwrap();
                while !sender.is_closed() {
                    tokio::task::yield_now().await;
                }
            }
            let request = Request::builder().header(HOST, "x").body(String::new());
            let error = sender.send_request(request.unwrap()).await.unwrap_err();
            assert_eq!(never_written(&error), unsent, "{error:?}");
        }
    }

    #[test]
    fn is_loopback_accepts_only_addresses_of_this_machine() {
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
