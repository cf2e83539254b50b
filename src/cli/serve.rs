//! `serve`: MCP on stdin and stdout, the default command, or over HTTP.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::listener::{ListenerAddress, ListenerOptions, parse_address};
use super::monitor::Monitor;
use super::names::ListenerNames;
use super::tool_options::ToolOptions;
use crate::cli;
use crate::error::Kind;
use crate::exec::App;
use crate::mcp::{self, ToolSet};
use crate::settings::Settings;

/// Serves MCP on stdin and stdout (the default), or over HTTP.
///
/// With `--http`, one process serves any number of clients: MCP (Streamable HTTP) at /mcp, the CapCut API at its own
/// paths, and /health, /ready and /metrics.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  capcut-mcp serve --backend embedded          does not use a CapCut API, even if one runs
  capcut-mcp serve --tools compose             a short list: plans, and changes to what they made
  capcut-mcp serve --tools default,query_script
  capcut-mcp serve --read-only                 no tool that changes something
  capcut-mcp serve --http                      for clients that connect to http://127.0.0.1:8080/mcp
  capcut-mcp connect claude-code               makes a client start it; `connect --list` lists clients")]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) tools: ToolOptions,
    /// Serves over HTTP at this address instead of stdin and stdout. Default: 127.0.0.1:8080, this machine only.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "", value_parser = parse_address)]
    pub(super) http: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) listener: ListenerOptions,
    #[command(flatten)]
    names: ListenerNames,
    #[command(flatten)]
    monitor: Monitor,
}

/// The text for someone who starts the server by hand.
const BY_HAND: &str = r#"This is an MCP server: it waits for a client's messages on stdin, and stdin is a terminal.
Normally a client starts it: `COMMAND connect CLIENT` adds it to the client's configuration, and
`COMMAND connect --list` lists the clients. For any other client, add this to its configuration:

  {"mcpServers": {"capcut": {"command": "COMMAND", "args": ["serve"]}}}

To make a draft in this shell, see `capcut-mcp --help`. Ctrl-D stops the server."#;

impl Serve {
    /// Serves over HTTP.
    pub(super) fn run_http(
        self,
        address: SocketAddr,
        settings: Settings,
    ) -> anyhow::Result<ExitCode> {
        let at = ListenerAddress {
            address,
            is_of_http: true,
        };
        let tools = Some(settings.tools.clone());
        self.listener
            .run(at, &self.names, self.monitor, settings, tools)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Serves on stdin and stdout.
    pub(super) async fn run(self, app: Arc<App>) -> anyhow::Result<ExitCode> {
        if io::stdin().is_terminal() {
            let command = std::env::current_exe().map_or_else(
                |_| "capcut-mcp".to_owned(),
                |path| path.display().to_string(),
            );
            cli::say(&by_hand(&command));
        }
        let tools = ToolSet::new(app.settings.tools.clone())?;
        self.monitor.listen_if_free(&app, &self.names).await;
        // On a signal, work in progress is dropped: saves leave no incomplete files, and jobs are interrupted.
        tokio::select! {
            served = Box::pin(mcp::serve(Arc::clone(&app), tools)) => served?,
            () = cli::stop_requested()? => {
                app.finish_sent().await;
                return Ok(Kind::Cancelled.exit_code().into());
            }
        }
        app.finish_sent().await;
        Ok(ExitCode::SUCCESS)
    }
}

fn by_hand(command: &str) -> String {
    let in_json = command.replace('\\', "\\\\");
    BY_HAND
        .replace("\"COMMAND\"", &format!("\"{in_json}\""))
        .replace("COMMAND", command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_how_to_configure_a_client() {
        let text = by_hand(r"C:\Tools\capcut-mcp.exe");
        let line = text.lines().find(|line| line.contains("mcpServers"));
        let json: serde_json::Value =
            serde_json::from_str(line.expect("a configuration")).expect("valid JSON");
        assert_eq!(
            json["mcpServers"]["capcut"]["command"],
            r"C:\Tools\capcut-mcp.exe"
        );
    }
}
