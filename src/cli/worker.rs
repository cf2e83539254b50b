//! `worker`: runs the jobs that servers put into the queue.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::listener::WORKERS;
use super::monitor::Monitor;
use super::names::ListenerNames;
use crate::caller::Allowed;
use crate::cli;
use crate::error::{Error, Result};
use crate::exec::App;
use crate::http::{HttpServer, ServerOptions};
use crate::settings::Settings;

/// Runs the jobs that servers put into the queue, and serves nothing.
///
/// Servers that use the same store (`--store`) take new jobs in; any number of workers on any machines run them. A worker that
/// is told to stop puts its jobs back into the queue; those of one that fails are taken over by others after 15 seconds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp worker                            the store is that of CAPCUT_MCP_STORE
  capcut-mcp worker --workers 8 --metrics 0.0.0.0:9464")]
pub(super) struct Worker {
    /// How many jobs run at the same time.
    #[arg(long, value_name = "NUMBER", default_value_t = WORKERS as u16, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// As for `serve`: a host that media may come from, in addition to public hosts.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// As for `serve`: a folder that media may be read from and drafts may be saved to.
    #[arg(long, value_name = "FOLDER")]
    allow_dir: Vec<PathBuf>,
    #[command(flatten)]
    names: ListenerNames,
    #[command(flatten)]
    monitor: Monitor,
}

impl Worker {
    pub(super) fn run(self, settings: Settings) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        cli::survive_full_quotas(&runtime);
        let ended = runtime.block_on(self.work(settings));
        runtime.shutdown_timeout(cli::LAST_WORK);
        ended?;
        Ok(ExitCode::SUCCESS)
    }

    async fn work(self, mut settings: Settings) -> Result<()> {
        let end = cli::stop_requested().map_err(|error| {
            Error::internal("the signals that end the process cannot be received").source(error)
        })?;
        settings.are_jobs_queued = true;
        let app = App::new(settings)?;
        let options = ServerOptions {
            allowed: Arc::new(Allowed::new(self.allow_host, self.allow_dir)),
            is_worker: true,
            ..ServerOptions::default()
        };
        let server = Arc::new(HttpServer::of(&app, options, self.names.admission()).await?);
        self.monitor.listen(&app, &self.names).await?;
        let (stop, most) = (CancellationToken::new(), usize::from(self.workers));
        tracing::info!("up to {most} jobs run here at the same time");
        let working = tokio::spawn(Arc::clone(&server).work(most, stop.clone()));
        end.await;
        stop.cancel();
        // It fails only by a panic; then nothing runs.
        let _ended = working.await;
        server.end_jobs().await;
        app.finish_sent().await;
        Ok(())
    }
}
