//! `engine`: the CapCut API over HTTP, carried out by the engine of this process.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
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
use crate::settings::{BackendChoice, Settings};

/// Serves the CapCut API over HTTP, in the place of the reference server.
///
/// Programs that reach the port can make drafts, read any of them, and have public hosts asked for media. There is
/// no sign-in: let only machines that you trust reach it. Requests that name the server by a name it is not known by
/// (`--public-host`) and requests of web pages (`--allow-origin`) are refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp engine
  capcut-mcp engine --port 9001 --edition jianying
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
    pub(super) fn run(self, mut settings: Settings) -> anyhow::Result<ExitCode> {
        // This is the API: asking another one would be going in circles.
        settings.backend = BackendChoice::Embedded;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        cli::survive_full_quotas(&runtime);
        let ended = runtime.block_on(self.serve(settings));
        // What was cut off must not keep the process alive.
        runtime.shutdown_background();
        ended?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self, settings: Settings) -> Result<()> {
        // Told to end before it listens, it must not miss it.
        let end = cli::told_to_end()?;
        let address = SocketAddr::new(self.host, self.port);
        let mut options = Options::new(&settings);
        if let Some(site) = &self.draft_domain {
            options.link = engine::link_at(site);
        }
        let allowed = Arc::new(Allowed::new(self.allow_host, self.allow_dir));
        let app = App::with_options(settings, options)?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| not_bound(address, error))?;
        self.monitor.listen(&app, &self.names).await?;
        let address = listener.local_addr().map_err(|error| {
            Error::internal("the listener does not know its own address").source(error)
        })?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                "{address} can be reached from other machines, and nobody is asked to sign in"
            );
        }
        let edition = app.engine.edition();
        tracing::info!("the {} engine answers at http://{address}", edition.app());
        http::serve(
            listener,
            Arc::new(Api::of(&app, &allowed, self.names.admission())),
            end,
        )
        .await;
        Ok(())
    }
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
