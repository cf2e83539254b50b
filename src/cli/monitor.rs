//! `--metrics`: serves the metrics, for Prometheus and for `stats`, at a separate address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use super::names::ListenerNames;
use crate::error::{Error, Kind, Result};
use crate::exec::App;
use crate::http::{self, AcceptOptions, Admission, Connections, Received};
use crate::metrics;

/// A scraper needs one connection.
const CONNECTIONS: Connections = Connections {
    most: 16,
    head: Duration::from_secs(10),
};

/// The address of the metrics in examples, and where `stats` looks: the port of Prometheus exporters for OpenTelemetry.
/// Prometheus itself is at 9090.
pub(super) const USUAL: &str = "127.0.0.1:9464";

/// Where the metrics are served, if anywhere.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Monitor {
    /// Serves metrics at http://ADDRESS/metrics, for example 127.0.0.1:9464; port 0 selects a free one.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    metrics: Option<SocketAddr>,
}

/// Parses an address with a port; a port alone means this machine.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse()
        .map_err(|_| format!("{text:?} is not an address with a port, such as {USUAL}"))
}

impl Monitor {
    /// As [`Monitor::listen`], but a failure only disables the metrics, with a warning in the log: the client must get
    /// its tools in any case.
    pub(super) async fn listen_if_free(self, app: &Arc<App>, names: &ListenerNames) {
        if let Err(error) = self.listen(app, names).await {
            let hint = error.hint.as_deref().unwrap_or_default();
            tracing::warn!("metrics are not available: {}; {hint}", error.cause());
        }
    }

    /// Starts to listen, for as long as the runtime lives.
    pub(super) async fn listen(self, app: &Arc<App>, names: &ListenerNames) -> Result<()> {
        let address = match (self.metrics, &app.settings.metrics) {
            (Some(address), _) => address,
            (None, Some(text)) => parse_address(text).map_err(|error| {
                Error::invalid(error).hint(
                    "correct `address` of `[metrics]` in `tools.toml`, or `CAPCUT_MCP_METRICS`",
                )
            })?,
            (None, None) => return Ok(()),
        };
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| not_bound(address, error))?;
        let address = listener.local_addr().map_err(|error| {
            Error::internal("cannot determine the address of the listener").source(error)
        })?;
        if !address.ip().is_loopback() {
            tracing::warn!("metrics at {address} can be read from other machines");
        }
        tracing::info!("metrics are served at http://{address}/metrics");
        tokio::spawn(serve(listener, Arc::clone(app), names.admission()));
        Ok(())
    }
}

async fn serve(listener: TcpListener, app: Arc<App>, admission: Admission) {
    let admission = Arc::new(admission);
    let answering = move |received: Received| {
        received.activity.works();
        let (app, admission) = (Arc::clone(&app), Arc::clone(&admission));
        async move { answer(&app, &admission, &received).await }
    };
    let stop = std::future::pending();
    let options = AcceptOptions {
        connections: CONNECTIONS,
        metrics: None,
        tls: None,
    };
    http::accept(listener, options, answering, stop)
        .await
        .closed
        .await;
}

async fn answer(app: &Arc<App>, admission: &Admission, received: &Received) -> Response<String> {
    let request = &received.request;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let plain = "text/plain; charset=utf-8";
    let (status, kind, text) = match admission.admit(request, received.peer) {
        Err(refusal) => {
            let text = json!({ "error": refusal.error(), "success": false });
            (refusal.status(), "application/json", format!("{text}\n"))
        }
        Ok(_) if reads && request.uri().path() == "/metrics" => {
            (StatusCode::OK, metrics::CONTENT_TYPE, app.metrics_text())
        }
        Ok(_) if reads && request.uri().path() == "/health" => {
            let (works, health) = http::health(app).await;
            let status = if works {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            (status, "application/json", format!("{health}\n"))
        }
        Ok(_) if reads && request.uri().path() == "/ready" => {
            let (works, ready) = http::ready(app).await;
            let status = if works {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            (status, "application/json", format!("{ready}\n"))
        }
        Ok(_) => {
            let text =
                "This address serves only GET /metrics, GET /health and GET /ready.\n".to_owned();
            (StatusCode::NOT_FOUND, plain, text)
        }
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
            format!("`--metrics`: port {} is in use: another program already listens at {address}", address.port()),
            "each process needs its own port, and each client starts a process: use another port, or port 0 for any free one (the log names it)".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("`--metrics`: this user is not allowed to listen at {address}"),
            "use a port of 1024 or higher".to_owned(),
        ),
        _ => (
            format!("`--metrics`: cannot listen at {address}"),
            format!("for this machine only, use `--metrics {}`", SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())),
        ),
    };
    Error::new(Kind::Unavailable, what).hint(hint).source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_means_this_machine() {
        let shown = |text| parse_address(text).map(|address| address.to_string());
        for text in ["9464", "127.0.0.1:9464", "localhost:9464"] {
            assert_eq!(shown(text).as_deref(), Ok("127.0.0.1:9464"), "{text}");
        }
        assert_eq!(shown("[::1]:9464").as_deref(), Ok("[::1]:9464"));
        for text in ["", "99999", "example.com:9464", "127.0.0.1"] {
            let error = parse_address(text).expect_err(text);
            assert!(error.contains("127.0.0.1:9464"), "{error}");
        }
    }
}
