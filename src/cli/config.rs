//! `config`: the settings file, and which setting comes from where.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueHint};

use crate::cli;
use crate::cli::samples;
use crate::error::Result;
use crate::manifest::{self, Manifest};
use crate::settings::{self, ConfigFile, FILE_KEYS, Settings};
use crate::storage::Storage;

/// Writes, shows and checks the settings file `tools.toml`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp config show
  capcut-mcp config init                 a file with every setting, as a comment, where it is looked for
  capcut-mcp config init my-tools.toml
  capcut-mcp config check my-tools.toml")]
pub(super) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Writes a file in which every setting is a comment; an existing file is not changed.
    Init {
        /// The file; by default the one that is looked for.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Shows the settings of the process and where each comes from, and the file's other keys.
    Show,
    /// Checks a file; by default the one that is looked for. A bucket in `[storage]` is tried.
    Check {
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}

impl Config {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let usual = |file: Option<PathBuf>| {
            let usual = settings.config_file.as_ref().map(|file| file.path.clone());
            file.or(usual).ok_or_else(settings::no_home)
        };
        match self.action {
            Action::Init { file } => {
                let file = usual(file)?;
                samples::write(&file, manifest::commented().as_bytes())?;
                cli::print(&format!(
                    "wrote {}\nnext: remove the # in front of what you change",
                    file.display()
                ))
            }
            Action::Check { file } => {
                let path = usual(file)?;
                let manifest = check(&path)?;
                let storage = Storage::new(manifest.storage, settings.storage_keys.clone());
                let mut text = format!("{} is valid", path.display());
                if storage.is_bucket() {
                    storage.probe().await?;
                    let _ = write!(text, "\n{} can be used", storage.shown());
                }
                cli::print(&text)
            }
            Action::Show => {
                if let Some(file) = settings
                    .config_file
                    .as_ref()
                    .filter(|file| file.path.exists())
                {
                    check(&file.path)?;
                }
                cli::print(&shown(settings))
            }
        }
    }
}

fn check(path: &std::path::Path) -> Result<Manifest> {
    let file = ConfigFile {
        path: path.to_owned(),
        named: true,
    };
    let manifest = Manifest::load(Some(&file))?;
    Settings::checked(&file)?;
    Ok(manifest)
}

fn shown(settings: &Settings) -> String {
    let mut text = String::new();
    let file = settings.config_file.as_ref();
    let path = file.map_or_else(|| "none".to_owned(), |file| file.path.display().to_string());
    let exists = file.is_some_and(|file| file.path.exists());
    let state = if exists { "" } else { " (does not exist)" };
    let _ = writeln!(text, "settings file: {path}{state}\n");
    for (key, variable) in FILE_KEYS {
        let (value, origin) = settings.origin(variable);
        let _ = writeln!(
            text,
            "{key:<16} {:<28} {origin}",
            value.unwrap_or_else(|| "-".to_owned())
        );
    }
    text
}
