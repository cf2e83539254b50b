//! `--metrics`: what was counted, for Prometheus and for `stats`, at an address of its own.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::error::{Error, Kind, Result};
use crate::exec::App;
use crate::metrics;

/// Connections at once; who scrapes needs one.
const CONNECTIONS: usize = 16;

/// How long a request's head may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the metrics are told, if anywhere.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Monitor {
    /// Tell metrics at http://ADDRESS/metrics, such as 127.0.0.1:9090; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    metrics: Option<SocketAddr>,
}

/// An address with its port; a port alone is one of this machine.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse()
        .map_err(|_| format!("{text:?} is no address with a port, such as 127.0.0.1:9090"))
}

impl Monitor {
    /// Listens from now on, as long as the runtime lives.
    pub(super) async fn listen(self, app: &Arc<App>) -> Result<()> {
        let Some(address) = self.metrics else {
            return Ok(());
        };
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| not_bound(address, error))?;
        let address = listener.local_addr().map_err(|error| {
            Error::internal("the listener does not know its own address").source(error)
        })?;
        if !address.ip().is_loopback() {
            tracing::warn!("metrics at {address} can be read from other machines");
        }
        tracing::info!("metrics are told at http://{address}/metrics");
        tokio::spawn(serve(listener, Arc::clone(app)));
        Ok(())
    }
}

async fn serve(listener: TcpListener, app: Arc<App>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!("a connection for metrics failed: {error}");
                // Out of file handles, most likely: asking again at once would only burn time.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let app = Arc::clone(&app);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                std::future::ready(Ok::<_, Infallible>(answer(&app, &request)))
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!("a connection for metrics broke off: {error}");
            }
            drop(place);
        });
    }
}

fn answer(app: &App, request: &Request<Incoming>) -> Response<String> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, kind, text) = if reads && request.uri().path() == "/metrics" {
        (StatusCode::OK, metrics::CONTENT_TYPE, app.metrics_text())
    } else {
        let text = "There is nothing here but GET /metrics.\n".to_owned();
        (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", text)
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn not_bound(address: SocketAddr, error: io::Error) -> Error {
    let (what, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            format!("`--metrics`: port {} is taken: something answers at {address} already", address.port()),
            "each process needs a port of its own, and clients start one each: take another, or port 0 for any free one (the log tells it)".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("`--metrics`: this user may not listen at {address}"),
            "take a port from 1024 up".to_owned(),
        ),
        _ => (
            format!("`--metrics`: cannot listen at {address}"),
            format!("`--metrics {}` is for this machine only", SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())),
        ),
    };
    Error::new(Kind::Unavailable, what).hint(hint).source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        let shown = |text| parse_address(text).map(|address| address.to_string());
        for text in ["9090", "127.0.0.1:9090", "localhost:9090"] {
            assert_eq!(shown(text).as_deref(), Ok("127.0.0.1:9090"), "{text}");
        }
        assert_eq!(shown("[::1]:9090").as_deref(), Ok("[::1]:9090"));
        for text in ["", "99999", "example.com:9090", "127.0.0.1"] {
            let error = parse_address(text).expect_err(text);
            assert!(error.contains("127.0.0.1:9090"), "{error}");
        }
    }
}
