//! `engine`: serves the CapCut API over HTTP, with the engine in this process or a server behind it.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use clap::Args;

use super::listener::{ListenerAddress, ListenerOptions, parse_host};
use super::monitor::Monitor;
use super::names::ListenerNames;
use crate::settings::Settings;

/// Serves the CapCut API over HTTP, in place of the reference server or in front of one.
///
/// By default the engine in this process makes the drafts. With `--backend remote` every call is forwarded to the
/// CapCut API server at `--api-url`, with the checks, retries, journal and recovery of the other commands. With
/// `--backend auto` the server makes new drafts while it answers; otherwise the engine does.
///
/// Without tokens (`capcut-mcp token add`) only programs on this machine are served. Requests with an unknown host name (see
/// `--public-host`) and requests from web pages (see `--allow-origin`) are refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp engine
  capcut-mcp engine --port 9001 --edition jianying
  capcut-mcp engine --port 9100 --backend remote --api-url http://127.0.0.1:9000 --recover auto
  capcut-mcp engine --host 0.0.0.0 --allow-host nas.local --allow-dir /srv/media")]
pub(super) struct EngineCommand {
    /// The address to listen on; 0.0.0.0 also accepts other machines and containers.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS", value_parser = parse_host)]
    host: IpAddr,
    /// The port to listen on; 0 selects a free one.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    #[command(flatten)]
    pub(super) listener: ListenerOptions,
    #[command(flatten)]
    names: ListenerNames,
    #[command(flatten)]
    monitor: Monitor,
}

impl EngineCommand {
    pub(super) fn run(self, settings: Settings) -> anyhow::Result<ExitCode> {
        let at = ListenerAddress {
            address: SocketAddr::new(self.host, self.port),
            is_of_http: false,
        };
        self.listener
            .run(at, &self.names, self.monitor, settings, None)?;
        Ok(ExitCode::SUCCESS)
    }
}
