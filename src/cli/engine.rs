//! `engine`: the CapCut API over HTTP, carried out by the engine of this process.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;

use crate::exec::App;
use crate::http;
use crate::media::Access;
use crate::settings::Settings;

/// Serves the CapCut API over HTTP, in the place of the reference server.
///
/// Whoever reaches the port can make drafts, read any of them, and have public hosts asked for media. There is
/// no sign-in: let only machines that you trust reach it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp engine
  capcut-mcp engine --port 9001 --edition jianying
  capcut-mcp engine --host 0.0.0.0 --allow-host nas.local --allow-dir /srv/media")]
pub(super) struct Engine {
    /// The address to listen at.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// The port to listen at; 0 takes a free one.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// A host that media may come from besides public ones and this machine; `*.lan` stands for all below it.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// A folder that media may be read from and drafts be saved into.
    #[arg(long, value_name = "FOLDER")]
    allow_dir: Vec<PathBuf>,
}

impl Engine {
    /// Requests are carried out side by side, on all processors.
    pub(super) fn run(self, settings: Settings) -> anyhow::Result<ExitCode> {
        tokio::runtime::Runtime::new()?.block_on(self.serve(settings))
    }

    async fn serve(self, settings: Settings) -> anyhow::Result<ExitCode> {
        let edition = settings.edition;
        let access = Access::network(self.allow_host, self.allow_dir.clone());
        let app = App::with_access(settings, access, self.allow_dir)?;
        let listener = TcpListener::bind((self.host, self.port))
            .await
            .with_context(|| format!("cannot listen at {}:{}", self.host, self.port))?;
        let address = listener.local_addr()?;
        if !self.host.is_loopback() {
            tracing::warn!(
                "{address} can be reached from other machines, and nobody is asked to sign in"
            );
        }
        tracing::info!("the {} engine answers at http://{address}", edition.app());
        http::serve(listener, app.engine.clone()).await?;
        Ok(ExitCode::SUCCESS)
    }
}
