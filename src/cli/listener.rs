//! The listener of `serve --http` and of `engine`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use super::access_options::AccessOptions;
use super::monitor::Monitor;
use super::names::ListenerNames;
use crate::access::AccessGate;
use crate::access::tokens::{SharedTokens, TOKENS_KEY, TokenStore};
use crate::caller::Allowed;
use crate::cli;
use crate::engine::{self, EngineOptions};
use crate::error::{Error, Kind, Result};
use crate::exec::App;
use crate::http::{self, HttpServer, ServerOptions};
use crate::media;
use crate::settings::{BackendChoice, Settings, ToolChoice};

/// How many jobs a process runs at the same time, where jobs wait in a queue.
pub(super) const WORKERS: usize = 4;

/// What the clients of a listener may use.
#[derive(Debug, Default, Args)]
pub(super) struct ListenerOptions {
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
    access: AccessOptions,
    /// How many jobs this process runs at the same time; further ones wait in a queue, from which any process that uses the
    /// same store takes them. 0: none, only others. Default: 4 with `--store`; without it, each job begins at once.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(0..=256))]
    workers: Option<u16>,
    /// Serves MCP without sessions: each request is answered by itself. Clients of versions before 2026-07-28 then get no
    /// progress of calls and cannot cancel them.
    #[arg(long)]
    stateless: bool,
    /// The address at which clients reach this server, such as https://capcut.example.com: the start of links to saved
    /// drafts. Default with `--http`: the host that a request names.
    #[arg(long, value_name = "URL", value_parser = parse_site)]
    public_url: Option<String>,
}

/// Where a listener is, and which options set that.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListenerAddress {
    pub address: SocketAddr,
    /// Whether the address is the value of `--http`; otherwise it is that of `--host` and `--port`.
    pub is_of_http: bool,
}

impl ListenerOptions {
    /// `--audit-log`.
    pub(super) fn audit_log(&self) -> Option<PathBuf> {
        self.access.audit_log.clone()
    }

    /// Serves until the process is told to stop.
    ///
    /// Two threads handle requests. Requests are short and share the journal, where one thread writes while the other
    /// reads and answers; further threads would only wait. Long work runs on separate threads.
    ///
    /// `tools` are those of `/mcp`; without them, only the CapCut API is served.
    pub(super) fn run(
        self,
        at: ListenerAddress,
        names: &ListenerNames,
        monitor: Monitor,
        settings: Settings,
        tools: Option<ToolChoice>,
    ) -> Result<()> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| Error::internal("the runtime cannot be started").source(error))?;
        cli::survive_full_quotas(&runtime);
        let ended = runtime.block_on(self.serve(at, names, monitor, settings, tools));
        // Interrupted work leaves no incomplete files, and it must not keep the process alive.
        runtime.shutdown_timeout(cli::LAST_WORK);
        ended
    }

    async fn serve(
        self,
        at: ListenerAddress,
        names: &ListenerNames,
        monitor: Monitor,
        mut settings: Settings,
        tools: Option<ToolChoice>,
    ) -> Result<()> {
        if settings.backend == BackendChoice::Remote && self.draft_domain.is_some() {
            return Err(Error::invalid(
                "`--draft-domain` cannot be used with `--backend remote`: the server creates the links",
            )
            .hint("set `draft_domain` in the server's configuration"));
        }
        // Registered before it listens, so that an early signal is not missed.
        let end = cli::stop_requested()?;
        let listener = TcpListener::bind(at.address)
            .await
            .map_err(|error| not_bound(at, error))?;
        let address = listener.local_addr().map_err(|error| {
            Error::internal("cannot determine the address of the listener").source(error)
        })?;
        let workers = self.workers.map(usize::from);
        let workers = workers.or_else(|| settings.store.as_ref().map(|_| WORKERS));
        settings.are_jobs_queued = workers.is_some();
        let mut options = EngineOptions::new(&settings);
        if let Some(site) = &self.draft_domain {
            options.link = engine::link_at(site);
        }
        let mut app = App::with_options(settings, options)?;
        if let Some(app) = Arc::get_mut(&mut app) {
            not_itself(app, address, at.is_of_http).await?;
        }
        let has_mcp = tools.is_some();
        let mut access = self.access.settings(&app.settings, &app.manifest)?;
        if let Some(tokens) = shared_tokens(&app).await? {
            access.tokens = TokenStore::Shared(tokens);
        }
        let gate = AccessGate::new(access, address)?;
        let options_of_server = ServerOptions {
            tools,
            allowed: Arc::new(Allowed::new(self.allow_host, self.allow_dir)),
            tls: self.access.tls()?,
            gate: Some(gate),
            public_url: self.public_url.map(Arc::from),
            is_stateless: self.stateless,
            is_worker: false,
        };
        let scheme = options_of_server.scheme();
        let server = HttpServer::of(&app, options_of_server, names.admission()).await?;
        monitor.listen(&app, names).await?;
        if self.access.is_open_to_all() && !address.ip().is_loopback() {
            tracing::warn!(
                "{address} can be reached from other machines, and `--no-auth` serves everyone"
            );
        }
        if app.storage.is_bucket() {
            let storage = Arc::clone(&app.storage);
            tokio::spawn(async move {
                match storage.probe().await {
                    Ok(()) => {
                        tracing::info!("saved drafts and uploaded files are in {}", storage.shown())
                    }
                    Err(error) => {
                        tracing::error!("drafts cannot be downloaded, nor files uploaded: {error}")
                    }
                }
            });
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
        if has_mcp {
            tracing::info!("MCP clients connect to {scheme}://{address}/mcp");
        }
        tracing::info!("{who} answers at {scheme}://{address}");
        http::serve(listener, Arc::new(server), workers, end).await;
        app.finish_sent().await;
        Ok(())
    }
}

/// How often a server reads the tokens of a store that others change as well.
const TOKENS_READ: Duration = Duration::from_millis(500);

/// The tokens of a store that several servers use, which are read regularly from now on.
async fn shared_tokens(app: &App) -> Result<Option<Arc<SharedTokens>>> {
    if !app.journal.store().is_shared() {
        return Ok(None);
    }
    let tokens = Arc::<SharedTokens>::default();
    tokens.put(app.journal.value(TOKENS_KEY).await?);
    let (journal, read) = (Arc::clone(&app.journal), Arc::clone(&tokens));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TOKENS_READ).await;
            match journal.value(TOKENS_KEY).await {
                Ok(bytes) => read.put(bytes),
                // What was read last counts for some time.
                Err(error) => tracing::debug!("the tokens cannot be read: {}", error.cause()),
            }
        }
    });
    Ok(Some(tokens))
}

/// Excludes this listener from the servers that calls are sent to. It is an error if it is the configured one.
async fn not_itself(app: &mut App, own: SocketAddr, is_of_http: bool) -> Result<()> {
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
            "`--backend {}`: {} is the address of this server itself, so calls would loop",
            backend.name(),
            media::shown(url)
        ))
        .hint(format!(
            "use another {}, or give the address of the CapCut API server with `--api-url`",
            if is_of_http {
                "address for `--http`"
            } else {
                "`--port`"
            }
        ))),
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
fn not_bound(at: ListenerAddress, error: io::Error) -> Error {
    let ListenerAddress {
        address,
        is_of_http,
    } = at;
    let other = |ip: IpAddr, port: u16| match is_of_http {
        true => format!("`--http {}`", SocketAddr::new(ip, port)),
        false if ip == address.ip() => format!("`--port {port}`"),
        false => format!("`--host {ip}`"),
    };
    let port = address.port();
    let (what, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            format!("port {port} is in use: another program already listens at {address}"),
            format!(
                "stop the program that listens there (the CapCut API server or another engine), or use another port: {}",
                other(
                    address.ip(),
                    if port == u16::MAX { port - 1 } else { port + 1 }
                )
            ),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("this user is not allowed to listen at {address}"),
            format!(
                "use a port of 1024 or higher, such as {}",
                other(address.ip(), if is_of_http { 8080 } else { 9000 })
            ),
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("{} is not an address of this machine", address.ip()),
            format!(
                "use {} for this machine only, or {} to accept others too",
                other(IpAddr::from([127, 0, 0, 1]), port),
                other(IpAddr::from([0, 0, 0, 0]), port)
            ),
        ),
        _ => (
            format!("cannot listen at {address}"),
            if is_of_http {
                "try another address".to_owned()
            } else {
                "try another `--host` or `--port`".to_owned()
            },
        ),
    };
    Error::new(Kind::Unavailable, what).hint(hint).source(error)
}

/// The address of a listener in the words of a user.
pub(super) fn parse_host(text: &str) -> Result<IpAddr, String> {
    let bare = text.trim_matches(['[', ']']);
    match bare {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        _ => bare.parse().map_err(|_| {
            format!("{text:?} is not an IP address: use 127.0.0.1 for this machine only, 0.0.0.0 to accept others too")
        }),
    }
}

/// The address and port of `--http`: `HOST:PORT`, a port, or an address, with the port 8080.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let local = IpAddr::from([127, 0, 0, 1]);
    if text.is_empty() {
        return Ok(SocketAddr::new(local, HTTP_PORT));
    }
    let bad = || {
        format!(
            "{text:?} is not an address, such as 127.0.0.1:{HTTP_PORT} (this machine only) or 0.0.0.0:{HTTP_PORT} (others too)"
        )
    };
    if let Some(port) = text
        .strip_prefix(':')
        .or(Some(text))
        .and_then(|port| port.parse().ok())
    {
        return Ok(SocketAddr::new(local, port));
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = parse_host(text) {
        return Ok(SocketAddr::new(ip, HTTP_PORT));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let ip = parse_host(host).map_err(|_| bad())?;
    Ok(SocketAddr::new(ip, port.parse().map_err(|_| bad())?))
}

/// The port of `serve --http`, as guides name it.
const HTTP_PORT: u16 = 8080;

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
    fn addresses_may_lack_a_host_or_a_port() {
        for (text, expected) in [
            ("", Some("127.0.0.1:8080")),
            ("9001", Some("127.0.0.1:9001")),
            (":9001", Some("127.0.0.1:9001")),
            ("localhost", Some("127.0.0.1:8080")),
            ("localhost:81", Some("127.0.0.1:81")),
            ("0.0.0.0", Some("0.0.0.0:8080")),
            ("0.0.0.0:80", Some("0.0.0.0:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("::", Some("[::]:8080")),
            ("example.com:80", None),
            ("127.0.0.1:99999", None),
            ("http://127.0.0.1", None),
        ] {
            let address = parse_address(text).ok().map(|address| address.to_string());
            assert_eq!(address.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_port_in_use_is_reported_with_advice() {
        for (is_of_http, advice) in [(false, "`--port 9001`"), (true, "`--http 127.0.0.1:9001`")] {
            let at = ListenerAddress {
                address: SocketAddr::from(([127, 0, 0, 1], 9000)),
                is_of_http,
            };
            let error = not_bound(at, io::ErrorKind::AddrInUse.into());
            assert!(error.message.contains("port 9000 is in use"), "{error}");
            assert!(error.to_string().contains(advice), "{error}");
        }
    }
}
