//! `health`: asks a running server for its state, for health checks of containers and for scripts.

use std::process::ExitCode;

use clap::Args;

use super::ask;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::media::shown;

/// Asks a running server whether it works; exit code 4 if it does not, or does not answer.
///
/// Prints the server's answer. Nothing else is needed, so that it serves as the health check of a container.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp health                                  the server at http://127.0.0.1:8080
  capcut-mcp health --ready                          whether it can also record calls now
  capcut-mcp health https://capcut.example.com")]
pub(super) struct AskHealth {
    /// The address of the server.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Asks /ready instead of /health: whether the journal, the data folder, the bucket and the backend can be used.
    #[arg(long)]
    ready: bool,
}

impl AskHealth {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let url = ask::page(&self.url, if self.ready { "/ready" } else { "/health" });
        cli::print(&state(&url).await?)
    }
}

/// The answer of a server that works.
async fn state(url: &str) -> Result<String> {
    let (status, text) = ask::get(url).await.map_err(|error| {
        error.hint("is the server running, and is this the address of its `--http` or `--host` and `--port`?")
    })?;
    if status.is_success() {
        return Ok(text);
    }
    // Of a page that is not the server's, the beginning says what it is.
    let said: String = text.trim().chars().take(500).collect();
    Err(Error::new(
        Kind::Unavailable,
        format!("{}: HTTP {status}: {said}", shown(url)),
    )
    .hint("the server's log says what is missing, and so does /ready to callers with a token"))
}
