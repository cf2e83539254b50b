//! `studio`: the page on which people watch and change drafts, for this machine's browser.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::runtime::Builder;

use super::drafts::call;
use crate::caller::Caller;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::exec::App;
use crate::exec::drafts::{NamedDraft, named};
use crate::http::{OwnStudio, serve_studio};
use crate::settings::{self, Os, Settings};

/// Shows the drafts in a browser: player, timeline, history, small changes and undo.
///
/// The page is for the browser of this machine alone. The address that is printed is valid once; the browser that opens it
/// stays signed in until the command ends. `docs/studio.md` shows the page.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp studio
  capcut-mcp studio my-video         opens the page of this draft
  capcut-mcp studio --no-open        only prints the address")]
pub(super) struct StudioCommand {
    /// The draft to open: an id, an exact name, a draft's folder, or its document. Default: the list of drafts.
    draft: Option<String>,
    /// The port to listen on; 0 selects a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Prints the address and opens no browser.
    #[arg(long)]
    no_open: bool,
}

impl StudioCommand {
    pub(super) fn run(self, settings: Settings) -> anyhow::Result<ExitCode> {
        // As for other listeners: one thread answers while another one reads the journal.
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        cli::survive_full_quotas(&runtime);
        let ended = runtime.block_on(self.serve(App::new(settings)?));
        runtime.shutdown_timeout(cli::LAST_WORK);
        ended?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self, app: Arc<App>) -> Result<()> {
        let end = cli::stop_requested()?;
        let draft = match &self.draft {
            Some(draft) => Some(known(&app, draft).await?),
            None => None,
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| not_bound(address, error))?;
        let address = listener.local_addr().map_err(|error| {
            Error::internal("cannot determine the address of the listener").source(error)
        })?;
        let own = Arc::new(OwnStudio::new(&app, address)?);
        let link = own.link(draft.as_deref());
        // Not by `cli::say`, which leaves tokens out. Without a terminal there is no one to tell.
        let _ = writeln!(
            io::stderr(),
            "The studio is at {link}\nThe address is valid once. Ctrl-C ends the studio."
        );
        if !self.no_open
            && let Some((program, arguments)) = opener(Os::current(), settings::has_screen(), &link)
        {
            open(program, &arguments);
        }
        serve_studio(listener, own, end).await;
        app.finish_sent().await;
        Ok(())
    }
}

/// The id of a draft; one that another program saved is opened.
async fn known(app: &Arc<App>, draft: &str) -> Result<String> {
    match named(app, &Caller::shell(), draft).await? {
        NamedDraft::Known(id) => Ok(id.0),
        NamedDraft::OnDisk(path) => {
            let opened = call(app, "open_draft", json!({ "draft": path })).await?;
            Ok(opened["draft_id"].as_str().unwrap_or_default().to_owned())
        }
    }
}

/// The program that opens an address in the browser of a system, with its arguments; `None` without a screen.
fn opener(os: Os, has_screen: bool, link: &str) -> Option<(&'static str, Vec<String>)> {
    let (program, first) = match os {
        Os::Linux if !has_screen => return None,
        Os::Linux => ("xdg-open", None),
        Os::MacOs => ("open", None),
        // `start` would need a shell, to which `&` in the address is a separator.
        Os::Windows => ("rundll32", Some("url.dll,FileProtocolHandler")),
    };
    let arguments = first.into_iter().chain([link]).map(str::to_owned);
    Some((program, arguments.collect()))
}

/// Starts the program. If that fails, the address was printed.
fn open(program: &str, arguments: &[String]) {
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Ok(mut child) => {
            tokio::spawn(async move { drop(child.wait().await) });
        }
        Err(error) => tracing::debug!("{program} cannot be started: {error}"),
    }
}

fn not_bound(address: SocketAddr, error: io::Error) -> Error {
    let (what, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            format!(
                "port {} is in use: another program already listens there",
                address.port()
            ),
            "leave out `--port`: a free one is selected",
        ),
        io::ErrorKind::PermissionDenied => (
            format!(
                "this user is not allowed to listen at port {}",
                address.port()
            ),
            "use a port of 1024 or higher, or leave out `--port`",
        ),
        _ => (
            format!("cannot listen at {address}"),
            "try another `--port`",
        ),
    };
    Error::new(Kind::Unavailable, what).hint(hint).source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_a_program_that_opens_addresses() {
        let link = "http://127.0.0.1:1/studio/open?token=a&draft=b";
        for (os, has_screen, expected) in [
            (Os::Linux, false, None),
            (Os::Linux, true, Some("xdg-open")),
            (Os::MacOs, true, Some("open")),
            (Os::Windows, true, Some("rundll32")),
        ] {
            let found = opener(os, has_screen, link);
            assert_eq!(
                found.as_ref().map(|(program, _)| *program),
                expected,
                "{os}"
            );
            if let Some((_, arguments)) = found {
                assert_eq!(arguments.last().map(String::as_str), Some(link));
            }
        }
    }
}
