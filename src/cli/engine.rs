//! `engine`: the CapCut API over HTTP, carried out by the engine of this process or by a server behind it.

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
use super::names::Names;
use crate::caller::Allowed;
use crate::cli;
use crate::engine::{self, Options};
use crate::error::{Error, Kind, Result};
use crate::exec::App;
use crate::http::{self, Api};
use crate::media;
use crate::settings::{BackendChoice, Settings};

/// Serves the CapCut API over HTTP, in place of the reference server or in front of one.
///
/// The engine in this process makes the drafts. With `--backend remote` every call goes on to the CapCut API server
/// at `--api-url`, with the checks, retries, journal and recovery of the other commands; with `--backend auto` the
/// server makes the new drafts while it answers, and the engine while it does not.
///
/// Programs that reach the port can make drafts, read any of them, and have public hosts asked for media. There is
/// no sign-in: let only machines that you trust reach it. Requests that name the server by a name it is not known by
/// (`--public-host`) and requests of web pages (`--allow-origin`) are refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp engine
  capcut-mcp engine --port 9001 --edition jianying
  capcut-mcp engine --port 9100 --backend remote --api-url http://127.0.0.1:9000 --recover auto
  capcut-mcp engine --host 0.0.0.0 --allow-host nas.local --allow-dir /srv/media")]
pub(super) struct Engine {
    /// The address to listen at; 0.0.0.0 for other machines and containers too.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS", value_parser = parse_host)]
    host: IpAddr,
    /// The port to listen at; 0 takes a free one.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// A host that media may come from besides public ones; `*.lan` stands for all names below it. Clients on this
    /// machine may name this machine too.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// A folder that media may be read from and drafts be saved into.
    #[arg(long, value_name = "FOLDER")]
    allow_dir: Vec<PathBuf>,
    /// The site that the `draft_url` of answers begins with.
    #[arg(long, value_name = "URL", value_parser = parse_site)]
    draft_domain: Option<String>,
    #[command(flatten)]
    names: Names,
    #[command(flatten)]
    monitor: Monitor,
}

impl Engine {
    /// Requests are carried out on two threads: they are short and meet at the journal, where one writes what has
    /// come while the other reads and answers; more would only wait for each other. What is long has threads of its
    /// own.
    pub(super) fn run(self, settings: Settings) -> anyhow::Result<ExitCode> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        cli::survive_full_quotas(&runtime);
        let ended = runtime.block_on(self.serve(settings));
        // What was cut off leaves nothing half-made, but must not keep the process alive.
        runtime.shutdown_timeout(cli::LAST_WORK);
        ended?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self, settings: Settings) -> Result<()> {
        if settings.backend == BackendChoice::Remote && self.draft_domain.is_some() {
            return Err(Error::invalid(
                "`--draft-domain` cannot be used with `--backend remote`: the links are those of the server behind",
            )
            .hint("set the site in the server's own configuration (`draft_domain`)"));
        }
        // Told to end before it listens, it must not miss it.
        let end = cli::told_to_end()?;
        let address = SocketAddr::new(self.host, self.port);
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| not_bound(address, error))?;
        let address = listener.local_addr().map_err(|error| {
            Error::internal("the listener does not know its own address").source(error)
        })?;
        let mut options = Options::new(&settings);
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
                "{address} can be reached from other machines, and nobody is asked to sign in"
            );
        }
        let edition = app.engine.edition();
        let servers = app.servers.addresses.iter().map(|url| media::shown(url));
        let servers = servers.collect::<Vec<_>>().join(" or ");
        let who = match app.settings.backend {
            BackendChoice::Embedded => format!("the {} engine", edition.app()),
            BackendChoice::Remote => format!("what stands in front of the server at {servers}"),
            BackendChoice::Auto => format!(
                "the server at {servers}, or else the {} engine,",
                edition.app()
            ),
        };
        tracing::info!("{who} answers at http://{address}");
        http::serve(
            listener,
            Arc::new(Api::of(&app, &allowed, self.names.admission())),
            end,
        )
        .await;
        Ok(())
    }
}

/// Calls never go to this listener itself: it is no server that is looked for, and must not be the one that was named.
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
            "`--backend {}`: {} is where this engine itself listens, so calls would go in a circle",
            backend.name(),
            media::shown(url)
        ))
        .hint("listen at another `--port`, or give the address of the CapCut API server with `--api-url`")),
        _ => Ok(()),
    }
}

/// Whether connections to this URL come to the listener at `own`.
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
        // A listener at all addresses is reached by each that this machine has: only those can be bound.
        if is_here || (own.ip().is_unspecified() && TcpListener::bind((ip, 0)).await.is_ok()) {
            return true;
        }
    }
    false
}

/// Why nothing can listen there, and what to do.
fn not_bound(address: SocketAddr, error: io::Error) -> Error {
    let port = address.port();
    let (what, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            format!("port {port} is taken: something answers at {address} already"),
            format!(
                "end what listens there (the CapCut API server, or another engine), or take another port: `--port {}`",
                if port == u16::MAX { port - 1 } else { port + 1 }
            ),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("this user may not listen at {address}"),
            "take a port from 1024 up, such as `--port 9000`".to_owned(),
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("{} is no address of this machine", address.ip()),
            "`--host 127.0.0.1` is for this machine only, `--host 0.0.0.0` for others too"
                .to_owned(),
        ),
        _ => (
            format!("cannot listen at {address}"),
            "another `--host` or `--port` may do".to_owned(),
        ),
    };
    Error::new(Kind::Unavailable, what).hint(hint).source(error)
}

fn parse_host(text: &str) -> Result<IpAddr, String> {
    let bare = text.trim_matches(['[', ']']);
    match bare {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        _ => bare.parse().map_err(|_| {
            format!("{text:?} is no IP address: 127.0.0.1 is for this machine only, 0.0.0.0 for others too")
        }),
    }
}

fn parse_site(text: &str) -> Result<String, String> {
    let site = text.trim_end_matches('/');
    if site.starts_with("http://") || site.starts_with("https://") {
        Ok(site.to_owned())
    } else {
        Err(format!("{text:?} does not begin with http:// or https://"))
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
    fn a_port_that_is_taken_is_told_with_the_way_out() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9000));
        let error = not_bound(address, io::ErrorKind::AddrInUse.into());
        assert!(error.message.contains("port 9000 is taken"), "{error}");
        assert!(error.to_string().contains("`--port 9001`"), "{error}");
    }
}
