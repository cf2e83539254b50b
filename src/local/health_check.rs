//! `health_check`: which backend would handle calls now, and the state of the servers.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backend::is_loopback;
use crate::error::Result;
use crate::exec::{App, Context};
use crate::local::LocalTool;
use crate::settings::BackendChoice;
use crate::tool::Hints;

/// Reports which backend handles calls, a server or the embedded engine, and its health.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct HealthCheck {}

/// The state of this process and its backends.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthReport {
    /// Whether drafts can be made.
    pub healthy: bool,
    /// `embedded` or `remote`: the backend of the next draft; absent if no draft can be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<&'static str>,
    /// Why that backend, or why none.
    pub reason: String,
    /// This program's version.
    pub version: &'static str,
    /// The app that the engine makes drafts for: `capcut` or `jianying`.
    pub edition: &'static str,
    /// The data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<String>,
    /// The servers at the addresses of the CapCut API.
    pub servers: Vec<ServerHealth>,
    /// How many calls run and wait in each lane.
    pub lanes: Vec<LaneHealth>,
}

/// The server at an address.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ServerHealth {
    pub url: String,
    /// Which server it is; absent if none answers like a CapCut API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<&'static str>,
    /// Its version, if it reports one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The app whose names it has: `capcut` or `jianying`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<&'static str>,
    /// The time of one answer in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// `closed`: calls are sent. `open`: paused after repeated failures. `half_open`: a few trial calls are sent.
    pub breaker: &'static str,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Known problems of this server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
}

/// The use of a lane.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct LaneHealth {
    pub lane: &'static str,
    /// Running calls.
    pub active: usize,
    /// Waiting calls.
    pub waiting: usize,
    /// The concurrency limit.
    pub slots: usize,
}

impl LocalTool for HealthCheck {
    const NAME: &'static str = "health_check";
    const TITLE: &'static str = "Health check";
    const HINTS: Hints = Hints::READ;
    type Reply = HealthReport;

    async fn run(&self, app: &Arc<App>, _context: &Context) -> Result<HealthReport> {
        let servers = servers(app).await;
        let (backend, reason) = match app.choose().await {
            Ok(choice) => (Some(choice.backend.name()), choice.reason),
            Err(error) => (None, error.message),
        };
        Ok(HealthReport {
            healthy: backend.is_some(),
            backend,
            reason,
            version: env!("CARGO_PKG_VERSION"),
            edition: app.edition().await.name(),
            data_dir: app
                .settings
                .data_dir()
                .ok()
                .map(|dir| dir.display().to_string()),
            servers,
            lanes: app
                .lanes
                .in_use()
                .map(|lane| LaneHealth {
                    lane: lane.lane.name(),
                    active: lane.active,
                    waiting: lane.waiting,
                    slots: lane.slots,
                })
                .into(),
        })
    }
}

/// The servers at all addresses, probed now.
pub(crate) async fn servers(app: &Arc<App>) -> Vec<ServerHealth> {
    if app.settings.backend == BackendChoice::Embedded {
        return Vec::new();
    }
    let asked = app.servers.addresses.iter().map(async |address| {
        let remote = app.servers.at(address);
        remote.doubt().await;
        let server = remote.server(&app.journal).await;
        let mut health = ServerHealth {
            url: address.clone(),
            server: None,
            version: None,
            edition: None,
            latency_ms: None,
            breaker: app.position(&remote).name(),
            error: None,
            caveats: Vec::new(),
        };
        match server {
            Ok(server) => {
                health.server = Some(server.dialect.name());
                health.version.clone_from(&server.version);
                health.edition = Some(server.edition.name());
                health.latency_ms = Some((server.latency.as_secs_f64() * 1e5).round() / 100.0);
                health.caveats = server
                    .dialect
                    .caveats()
                    .iter()
                    .map(|&text| text.into())
                    .collect();
                if let Err(error) = remote.of_asked_edition(&server) {
                    health.caveats.push(error.message);
                } else if server.edition != app.settings.edition {
                    health.caveats.push(format!(
                        "it makes drafts for {}, the engine in this process for {}",
                        server.edition.app(),
                        app.settings.edition.app()
                    ));
                }
                if !is_loopback(address) && address.starts_with("http://") {
                    health
                        .caveats
                        .push("the connection is not encrypted".into());
                }
            }
            Err(error) => health.error = Some(error.message),
        }
        health
    });
    futures::future::join_all(asked).await
}
