//! `engine`: serves the CapCut API over HTTP, with the engine in this process or a server behind it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use super::monitor::Monitor;
use super::names::ListenerNames;
use crate::caller::Allowed;
use crate::cli;
use crate::engine::{self, EngineOptions};
use crate::error::{Error, Kind, Result};
use crate::exec::App;
use crate::http::{self, ApiService};
use crate::media;
use crate::settings::{BackendChoice, Settings};

/// Serves the CapCut API over HTTP, in place of the reference server or in front of one.
///
/// By default the engine in this process makes the drafts. With `--backend remote` every call is forwarded to the
/// CapCut API server at `--api-url`, with the checks, retries, journal and recovery of the other commands. With
/// `--backend auto` the server makes new drafts while it answers; otherwise the engine does.
///
/// Programs that reach the port can make drafts, read any draft and make the server fetch media from public hosts.
/// There is no authentication: let only machines that you trust reach the port. Requests with an unknown host name
/// (see `--public-host`) and requests from web pages (see `--allow-origin`) are refused.
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
    /// A host that media may come from, in addition to public hosts; `*.lan` allows all names under it. Clients on this
    /// machine may also use media of this machine's own servers. Can be repeated.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// A folder that media may be read from and drafts may be saved to; can be repeated.
    #[arg(long, value_name = "FOLDER")]
    allow_dir: Vec<PathBuf>,
    /// The start of `draft_url` in replies, such as https://drafts.example.com.
    #[arg(long, value_name = "URL", value_parser = parse_site)]
    draft_domain: Option<String>,
    #[command(flatten)]
    names: ListenerNames,
    #[command(flatten)]
    monitor: Monitor,
}

impl EngineCommand {
    /// Two threads handle requests. Requests are short and share the journal, where one thread writes while the other
    /// reads and answers; further threads would only wait. Long work runs on separate threads.
    pub(super) fn run(self, settings: Settings) -> anyhow::Result<ExitCode> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        cli::survive_full_quotas(&runtime);
        let ended = runtime.block_on(self.serve(settings));
        // Interrupted work leaves no incomplete files, and it must not keep the process alive.
        runtime.shutdown_timeout(cli::LAST_WORK);
        ended?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self, settings: Settings) -> Result<()> {
        if settings.backend == BackendChoice::Remote && self.draft_domain.is_some() {
            return Err(Error::invalid(
                "`--draft-domain` cannot be used with `--backend remote`: the server creates the links",
            )
            .hint("set `draft_domain` in the server's configuration"));
        }
        // Registered before it listens, so that an early signal is not missed.
        let end = cli::stop_requested()?;
        let address = SocketAddr::new(self.host, self.port);
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| not_bound(address, error))?;
        let address = listener.local_addr().map_err(|error| {
            Error::internal("cannot determine the address of the listener").source(error)
        })?;
        let mut options = EngineOptions::new(&settings);
        if let Some(site) = &self.draft_domain {
            options.link = engine::link_at(site);
        }
        let allowed = Arc::new(Allowed::new(self.allow_host, self.allow_dir));
        let mut app = App::with_options(settings, options)?;
        if let Some(app) = Arc::get_mut(&mut app) {
            not_itself(app, address).await?;
        }
        self.monitor.listen(&app, &self.names).await?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                "{address} can be reached from other machines, and there is no authentication"
            );
        }
        let edition = app.engine.edition();
        let servers = app.servers.addresses.iter().map(|url| media::shown(url));
        let servers = servers.collect::<Vec<_>>().join(" or ");
        let who = match app.settings.backend {
            BackendChoice::Embedded => format!("the {} engine", edition.app()),
            BackendChoice::Remote => format!("the proxy for the server at {servers}"),
            BackendChoice::Auto => format!(
                "the proxy for the server at {servers}, or else the {} engine,",
                edition.app()
            ),
        };
        tracing::info!("{who} answers at http://{address}");
        http::serve(
            listener,
            Arc::new(ApiService::of(&app, &allowed, self.names.admission())),
            end,
        )
        .await;
        Ok(())
    }
}

/// Excludes this listener from the servers that calls are sent to. It is an error if it is the configured one.
async fn not_itself(app: &mut App, own: SocketAddr) -> Result<()> {
    let backend = app.settings.backend;
    if backend == BackendChoice::Embedded {
        return Ok(());
    }
    let mut others = Vec::new();
    for url in &app.servers.addresses {
        if !leads_to(url, own).await {
            others.push(url.clone());
        }
    }
    let all = std::mem::replace(&mut app.servers.addresses, others);
    match all.first() {
        Some(url) if app.servers.addresses.is_empty() => Err(Error::invalid(format!(
            "`--backend {}`: {} is the address of this engine itself, so calls would loop",
            backend.name(),
            media::shown(url)
        ))
        .hint(
            "use another `--port`, or give the address of the CapCut API server with `--api-url`",
        )),
        _ => Ok(()),
    }
}

/// Whether connections to this URL reach the listener at `own`.
async fn leads_to(url: &str, own: SocketAddr) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    if port != own.port() {
        return false;
    }
    let host = host.trim_matches(['[', ']']);
    let Ok(found) = tokio::net::lookup_host((host, port)).await else {
        return false;
    };
    for address in found {
        let ip = address.ip().to_canonical();
        let is_here = ip == own.ip() || ip.is_unspecified();
        // A listener on all addresses is reached through each address of this machine. Only these can be bound.
        if is_here || (own.ip().is_unspecified() && TcpListener::bind((ip, 0)).await.is_ok()) {
            return true;
        }
    }
    false
}

/// Why the address cannot be used, and what to do.
fn not_bound(address: SocketAddr, error: io::Error) -> Error {
    let port = address.port();
    let (what, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            format!("port {port} is in use: another program already listens at {address}"),
            format!(
                "stop the program that listens there (the CapCut API server or another engine), or use another port: `--port {}`",
                if port == u16::MAX { port - 1 } else { port + 1 }
            ),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("this user is not allowed to listen at {address}"),
            "use a port of 1024 or higher, such as `--port 9000`".to_owned(),
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("{} is not an address of this machine", address.ip()),
            "use `--host 127.0.0.1` for this machine only, or `--host 0.0.0.0` to accept others too"
                .to_owned(),
        ),
        _ => (
            format!("cannot listen at {address}"),
            "try another `--host` or `--port`".to_owned(),
        ),
    };
    Error::new(Kind::Unavailable, what).hint(hint).source(error)
}

fn parse_host(text: &str) -> Result<IpAddr, String> {
    let bare = text.trim_matches(['[', ']']);
    match bare {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        _ => bare.parse().map_err(|_| {
            format!("{text:?} is not an IP address: use 127.0.0.1 for this machine only, 0.0.0.0 to accept others too")
        }),
    }
}

fn parse_site(text: &str) -> Result<String, String> {
    let site = text.trim_end_matches('/');
    if site.starts_with("http://") || site.starts_with("https://") {
        Ok(site.to_owned())
    } else {
        Err(format!("{text:?} does not start with http:// or https://"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_localhost() {
        let check = |text, expected: Option<&str>| {
            let host = parse_host(text).ok().map(|host| host.to_string());
            assert_eq!(host.as_deref(), expected, "{text}");
        };
        check("127.0.0.1", Some("127.0.0.1"));
        check("localhost", Some("127.0.0.1"));
        check("[::1]", Some("::1"));
        check("::", Some("::"));
        check("example.com", None);
    }

    #[test]
    fn a_port_in_use_is_reported_with_advice() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9000));
        let error = not_bound(address, io::ErrorKind::AddrInUse.into());
        assert!(error.message.contains("port 9000 is in use"), "{error}");
        assert!(error.to_string().contains("`--port 9001`"), "{error}");
    }
}
