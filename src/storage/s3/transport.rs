//! Sends requests to object storage.

use std::error::Error as StdError;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use reqwest::{Client, Url};

use crate::error::{Error, Result};
use crate::storage::section::StorageSection;

const CONNECT: Duration = Duration::from_secs(5);
/// Time limit between two pieces of an answer.
const PIECE: Duration = Duration::from_secs(30);
/// Servers close connections that are not used for some time.
const IDLE: Duration = Duration::from_secs(20);
/// After this many failed connections in a row, requests fail at once for some time: a service that is down does not
/// hold up everything that waits for one request after the other.
const FAILURES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(3);

/// Makes the client, and is its own connector: the options of the library are not used.
#[derive(Clone, Debug)]
pub(super) struct Transport(Client);

impl Transport {
    pub(super) fn new(section: &StorageSection) -> Result<Self> {
        // An error means that it is installed already; it is the same provider everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("capcut-mcp/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(PIECE)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(url) = Url::parse(&section.endpoint).ok().filter(is_near) {
            client = client.no_proxy();
            if url.scheme() == "http" {
                // Loading the certificates of the system takes megabytes.
                client = client.tls_certs_only([]);
            }
        }
        let endpoint = section.endpoint().and_then(|url| Url::parse(&url).ok());
        let host = endpoint.as_ref().and_then(Url::host_str);
        if let Some(host) = host.filter(|host| host.ends_with(".localhost")) {
            // RFC 6761: such names are this machine. Not every resolver knows them.
            client = client.resolve(host, (Ipv4Addr::LOCALHOST, 0).into());
        }
        let client = client.build().map_err(|error| {
            Error::internal("the HTTP client for object storage could not be created").source(error)
        })?;
        Ok(Self(client))
    }
}

/// Whether the service runs on this machine or network, where a proxy is not asked.
fn is_near(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_own = host == "localhost" || host.ends_with(".localhost");
    is_own || !host.contains('.') || url.scheme() == "http"
}

impl HttpConnector for Transport {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service {
            client: self.0.clone(),
            unreachable: Mutex::default(),
        }))
    }
}

#[derive(Debug)]
struct Service {
    client: Client,
    /// How many connections failed in a row, and when the last one did.
    unreachable: Mutex<Option<(u32, Instant)>>,
}

impl Service {
    fn is_paused(&self) -> bool {
        let unreachable = self
            .unreachable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unreachable.is_some_and(|(failures, last)| failures >= FAILURES && last.elapsed() < PAUSE)
    }

    fn note(&self, is_reached: bool) {
        let mut unreachable = self
            .unreachable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *unreachable = if is_reached {
            None
        } else {
            let before = unreachable.map_or(0, |(failures, _)| failures);
            Some((before.saturating_add(1), Instant::now()))
        };
    }
}

/// The service could not be reached a moment ago.
#[derive(Debug)]
struct Paused;

impl fmt::Display for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it could not be reached a moment ago")
    }
}

impl StdError for Paused {}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if self.is_paused() {
            return Err(HttpError::new(HttpErrorKind::Unknown, Paused));
        }
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string());
        let url = url.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let answered = self.client.execute(request).await;
        let answer = answered.map_err(|error| {
            if error.is_connect() {
                self.note(false);
            }
            http_error(error)
        })?;
        self.note(true);
        let (parts, body) = hyper::http::Response::<reqwest::Body>::from(answer).into_parts();
        let body = HttpResponseBody::new(body.map_err(http_error));
        Ok(HttpResponse::from_parts(parts, body))
    }
}

/// The error in the terms by which the library decides whether a request is repeated.
fn http_error(error: reqwest::Error) -> HttpError {
    let mut kind = if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_decode() {
        HttpErrorKind::Decode
    } else {
        HttpErrorKind::Unknown
    };
    let mut cause = error.source();
    while let Some(one) = cause.filter(|_| kind == HttpErrorKind::Unknown) {
        let closed = one.downcast_ref::<hyper::Error>();
        if closed.is_some_and(|it| it.is_closed() || it.is_incomplete_message()) {
            kind = HttpErrorKind::Request;
        } else if one.is::<std::io::Error>() {
            kind = HttpErrorKind::Interrupted;
        }
        cause = one.source();
    }
    HttpError::new(kind, error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_paused_after_several_failed_connections() {
        let service = Service {
            client: Client::new(),
            unreachable: Mutex::default(),
        };
        for _ in 1..FAILURES {
            service.note(false);
            assert!(!service.is_paused());
        }
        service.note(false);
        assert!(service.is_paused());
        service.note(true);
        assert!(!service.is_paused());
    }

    #[test]
    fn proxies_are_not_asked_for_services_nearby() {
        for (address, expected) in [
            ("http://127.0.0.1:9000", true),
            ("https://localhost:9000", true),
            ("https://minio:9000", true),
            ("https://s3.example.com", false),
        ] {
            let url = Url::parse(address).expect("an address");
            assert_eq!(is_near(&url), expected, "{address}");
        }
    }
}
