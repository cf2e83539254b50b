//! The connections to one API server: on this machine straight through hyper, elsewhere with all that
//! reqwest knows of proxies and certificates.
//!
//! reqwest is built on the same client of hyper; what it adds (proxies, redirects, TLS, addresses read
//! three times a call) is a fifth of what a call to a server on this machine costs, and not needed there.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::Url;

use crate::error::{Error, Result};
use crate::manifest::{self, Api};

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("capcut-mcp/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(90);

/// What comes back: the head, and the body as it arrives.
pub(super) type Reply = Response<Either<Incoming, reqwest::Body>>;

/// The way to one server; nothing is opened before it is used.
#[derive(Default)]
pub(super) struct Wire(OnceLock<Way>);

enum Way {
    Near {
        client: Client<HttpConnector, Full<Bytes>>,
        host: Authority,
        prefix: String,
    },
    Far {
        client: reqwest::Client,
        base: Url,
    },
}

/// Why there is no reply.
pub(super) enum Unanswered {
    /// Nobody listens there; nothing was sent.
    Nobody(String),
    /// It is our own fault; nothing was sent.
    Ours(Error),
    /// It broke off, and the request may have arrived.
    Broken(String),
}

impl Wire {
    /// Sends a request to `base` followed by `path`, with a body of JSON if there is one.
    pub(super) async fn send(
        &self,
        base: &str,
        api: &Api,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Reply, Unanswered> {
        match self.way(base, api).map_err(Unanswered::Ours)? {
            Way::Near {
                client,
                host,
                prefix,
            } => {
                let request = near(host, &format!("{prefix}{path}"), method, body);
                let reply = client.request(request.map_err(Unanswered::Ours)?).await;
                reply
                    .map(|reply| reply.map(Either::Left))
                    .map_err(|error| broken_near(&error))
            }
            Way::Far { client, base } => {
                let mut url = base.clone();
                url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
                let mut request = client.request(method, url).header(ACCEPT, JSON);
                if let Some(body) = body {
                    request = request.header(CONTENT_TYPE, JSON).body(body);
                }
                let reply = request.send().await.map_err(broken_far)?;
                Ok(Response::from(reply).map(Either::Right))
            }
        }
    }

    fn way(&self, base: &str, api: &Api) -> Result<&Way> {
        if let Some(way) = self.0.get() {
            return Ok(way);
        }
        let way = Way::new(base, api)?;
        Ok(self.0.get_or_init(|| way))
    }
}

impl Way {
    fn new(base: &str, api: &Api) -> Result<Self> {
        let wrong = |error| Error::invalid(format!("`{base}` is no address: {error}"));
        let url = Url::parse(base).map_err(|error| wrong(error.to_string()))?;
        if is_loopback(base) && url.scheme() == "http" {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            let connect = manifest::seconds(api.loopback_connect_timeout_s);
            connector.set_connect_timeout(Some(connect));
            return Ok(Self::Near {
                client: Client::builder(TokioExecutor::new())
                    .pool_max_idle_per_host(api.connections)
                    .pool_idle_timeout(IDLE)
                    .pool_timer(TokioTimer::new())
                    .build(connector),
                host: url
                    .authority()
                    .parse()
                    .map_err(|error: hyper::http::uri::InvalidUri| wrong(error.to_string()))?,
                prefix: url.path().trim_end_matches('/').to_owned(),
            });
        }
        // Whoever comes first installs it; it is the same one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(AGENT)
            .connect_timeout(manifest::seconds(api.connect_timeout_s))
            .pool_max_idle_per_host(api.connections)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::internal("no HTTP client could be made").source(error))?;
        Ok(Self::Far { client, base: url })
    }
}

fn near(
    host: &Authority,
    path: &str,
    method: Method,
    body: Option<Vec<u8>>,
) -> Result<Request<Full<Bytes>>> {
    let unfit = |error: hyper::http::Error| {
        Error::internal(format!("no request can be made of `{path}`")).source(error)
    };
    let path = PathAndQuery::try_from(path).map_err(|error| unfit(error.into()))?;
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(host.clone())
        .path_and_query(path.clone())
        .build()
        .map_err(unfit)?;
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, JSON);
    let request = if body.is_some() {
        request.header(CONTENT_TYPE, JSON)
    } else {
        request
    };
    let body = Full::new(Bytes::from(body.unwrap_or_default()));
    request.body(body).map_err(unfit)
}

fn broken_near(error: &legacy::Error) -> Unanswered {
    let cause = root(error);
    if error.is_connect() {
        Unanswered::Nobody(cause)
    } else {
        Unanswered::Broken(cause)
    }
}

fn broken_far(error: reqwest::Error) -> Unanswered {
    let cause = root(&error);
    if error.is_connect() {
        Unanswered::Nobody(cause)
    } else if error.is_builder() {
        let what = "a request could not be made";
        Unanswered::Ours(Error::internal(what).source(error.without_url()))
    } else {
        Unanswered::Broken(cause)
    }
}

/// The innermost cause, which is the one that says something.
pub(super) fn root(error: &(dyn std::error::Error + 'static)) -> String {
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
    use super::*;

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
