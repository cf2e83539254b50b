//! Scratch.
use crate::exec::App;
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
/// Scratch.
#[derive(Debug, Args)]
#[command(after_help = "Example: capcut-mcp engine")]
pub(super) struct Engine {}
impl Engine {
    pub(super) fn run(self, _app: Arc<App>) -> anyhow::Result<ExitCode> {
        anyhow::bail!("scratch")
    }
}
