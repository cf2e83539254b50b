//! `quickstart`: makes a first draft from the small media that are built into the executable.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueHint};

use crate::cli;
use crate::cli::compose::Compose;
use crate::cli::samples::{self, FIRST_DRAFT};
use crate::exec::App;

/// Makes a first draft from built-in media and shows where it is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp quickstart
  capcut-mcp quickstart --draft-folder ./drafts")]
pub(super) struct Quickstart {
    /// The folder that the draft is written to. Default: the app's drafts folder.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    draft_folder: Option<PathBuf>,
}

impl Quickstart {
    pub(super) async fn run(self, app: Arc<App>) -> anyhow::Result<ExitCode> {
        let folder = app.settings.data_dir()?.join("quickstart");
        let plan = folder.join(FIRST_DRAFT.path);
        for sample in std::iter::once(FIRST_DRAFT).chain(FIRST_DRAFT.media()) {
            samples::replace(&folder.join(sample.path), sample.content)?;
        }
        let ended = Compose::of(plan.clone(), self.draft_folder)
            .run(app)
            .await?;
        if ended == ExitCode::SUCCESS {
            cli::print(&format!(
                "\nThe plan of this draft: {}\nnext: capcut-mcp init slideshow --from FOLDER   a plan with your own images",
                plan.display()
            ))?;
        }
        Ok(ended)
    }
}
