//! `pull`: puts a draft from a zip file, a link or a server into the app's folder on this computer.

mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use reqwest::Url;
use serde_json::{Value, json};

use super::shown::{Shown, Without};
use crate::cli;
use crate::delivery::download::{DownloadedFile, Downloads, NamedServer};
use crate::delivery::unpack::DraftArchive;
use crate::engine::package::existing::IfTaken;
use crate::engine::package::name;
use crate::engine::package::pulled::{PullRequest, PulledChange, PulledDraft};
use crate::engine::registry;
use crate::error::{Error, Kind, Result};
use crate::exec::Step;
use crate::manifest::Manifest;
use crate::media;
use crate::progress::Bytes;
use crate::regular_file::{self, SMALL_BYTES};
use crate::settings::Settings;
use crate::units::Edition;

/// The folder in the data folder for files that are fetched.
const FOLDER: &str = "pull";

/// Puts a draft from a zip file, a link or a server into the app's folder on this computer.
///
/// The paths in it are changed for this computer, it is added to the app's list of drafts, and every file is verified. A
/// draft that is here already is not changed, and a draft that was changed in the app is never replaced: the new version
/// is put beside it. An interrupted download is continued by the next call.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp pull 'https://drafts.example.com/drafts/Trip.zip?...'   the `download_url` of a saved draft
  capcut-mcp pull Trip.zip                                         a zip file of a draft
  capcut-mcp pull Trip.zip --to drafts                             into another folder than the app's
  capcut-mcp pull --server http://nas.local:8080 --watch           every draft that is saved there from now on
  capcut-mcp pull --server http://nas.local:8080 'http://nas.local:8080/drafts/Trip.zip?...'")]
pub(super) struct Pull {
    /// A link or a zip file. Without it, the drafts that were saved on the server since the last call.
    #[arg(value_name = "URL|FILE", required_unless_present = "server", value_hint = ValueHint::AnyPath)]
    source: Option<String>,
    /// The server that makes the drafts, which may have a private address.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    server: Option<String>,
    /// A host with a private address to which links may lead, besides the server: the object storage of a server on the
    /// same network. Can be repeated.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Waits for new drafts on the server, until it is stopped.
    #[arg(long, requires = "server", conflicts_with = "source")]
    watch: bool,
    /// Also the drafts that were saved before the first call.
    #[arg(long, requires = "server", conflicts_with = "source")]
    all: bool,
    /// The file with the token for the server. The variable CAPCUT_MCP_TOKEN has the token itself.
    #[arg(long, value_name = "FILE", requires = "server", value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
    /// The drafts folder. Default: the app's.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    to: Option<PathBuf>,
    /// The name of the draft in the app. Default: its own.
    #[arg(long, value_name = "NAME", requires = "source")]
    name: Option<String>,
    /// Prints one JSON object for each draft.
    #[arg(long)]
    json: bool,
}

/// Where drafts are put, and how the results are shown.
#[derive(Clone, Debug)]
struct PullTarget {
    settings: Settings,
    to: Option<PathBuf>,
    name: Option<String>,
    /// The app that the user named, for zip files that do not show it.
    edition: Option<Edition>,
    /// SHA-256 of the zip file, if a server stated it.
    sha256: Option<String>,
    most: u64,
    json: bool,
}

impl Pull {
    pub(super) async fn run(
        self,
        settings: Settings,
        edition: Option<Edition>,
    ) -> anyhow::Result<ExitCode> {
        let limits = Manifest::load(settings.config_file.as_ref())?
            .limits
            .delivery;
        let server = match &self.server {
            Some(address) => Some(NamedServer::new(address, self.token(&settings)?)?),
            None => None,
        };
        let target = PullTarget {
            to: self.to.clone(),
            name: self.name.clone(),
            edition,
            sha256: None,
            most: limits.pull_bytes,
            json: self.json,
            settings,
        };
        let folder = target.settings.data_dir()?.join(FOLDER);
        let stop = cli::stop_requested()?;
        let work = async {
            match &self.source {
                Some(source) if is_link(source) => {
                    let url = Url::parse(source).map_err(|error| {
                        Error::invalid(format!("{:?} is not an address", media::shown(source)))
                            .source(error)
                    })?;
                    let downloads =
                        Downloads::new(folder, server, &self.allow_host, limits.pull_bytes)?;
                    let shown = media::shown(source);
                    let file = fetched(&downloads, &url, self.json).await?;
                    let put = target
                        .put_fetched(file, shown, IfTaken::NumberIfEdited)
                        .await?;
                    target.report(&put)
                }
                Some(source) => {
                    let path = PathBuf::from(source);
                    let shown = path.file_name().unwrap_or(path.as_os_str());
                    let shown = shown.to_string_lossy().into_owned();
                    let put = target.put(path, shown, IfTaken::NumberIfEdited).await?;
                    target.report(&put)
                }
                None => {
                    let downloads = Downloads::new(
                        folder.clone(),
                        server,
                        &self.allow_host,
                        limits.pull_bytes,
                    )?;
                    let every = crate::manifest::seconds(limits.watch_every_s);
                    let address = self.server.as_deref().unwrap_or_default();
                    let watch = watch::Watch::new(&target, &downloads, &folder, address)?;
                    watch.run(self.all, self.watch.then_some(every)).await
                }
            }
        };
        tokio::select! {
            done = Box::pin(work) => done,
            () = stop => Ok(ExitCode::from(Kind::Cancelled.exit_code())),
        }
    }

    /// The token for the server.
    fn token(&self, settings: &Settings) -> Result<Option<String>> {
        let Some(path) = &self.token_file else {
            return Ok(settings.token.clone());
        };
        let read = regular_file::read_named(path, SMALL_BYTES).map_err(|error| {
            Error::invalid(format!("`--token-file`: {} cannot be read", path.display()))
                .source(error)
        })?;
        let token = read.text.trim();
        if token.is_empty() {
            return Err(Error::invalid(format!(
                "`--token-file`: {} is empty",
                path.display()
            )));
        }
        Ok(Some(token.to_owned()))
    }
}

fn is_link(source: &str) -> bool {
    ["http://", "https://"].iter().any(|start| {
        source
            .get(..start.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(start))
    })
}

/// Fetches a file and shows the progress.
async fn fetched(downloads: &Downloads, url: &Url, json: bool) -> Result<DownloadedFile> {
    let shown = Shown::new(if json {
        Without::Nothing
    } else {
        Without::Lines
    });
    let progress = shown.progress();
    let file = downloads
        .fetch(url, &|done, of| {
            let bytes = Bytes { done, of };
            progress(Step {
                // Not a whole number, which would be shown in any case.
                done: of
                    .filter(|of| *of > 0)
                    .map_or(0.5, |of| 100.0 * done as f64 / of as f64)
                    .clamp(0.001, 99.999),
                total: Some(100.0),
                message: format!("downloaded {bytes}"),
                bytes: Some(bytes),
            });
        })
        .await;
    shown.clear();
    file
}

impl PullTarget {
    /// Puts a fetched file there; it is removed unless the same file may be used by the next call.
    async fn put_fetched(
        &self,
        file: DownloadedFile,
        shown: String,
        if_taken: IfTaken,
    ) -> Result<PulledDraft> {
        let put = self.put(file.path.clone(), shown, if_taken).await;
        // A damaged file is fetched again, while a running app or a full disk is no reason for that.
        if put
            .as_ref()
            .err()
            .is_none_or(|error| error.kind == Kind::Media)
        {
            file.remove();
        }
        put
    }

    async fn put(&self, path: PathBuf, shown: String, if_taken: IfTaken) -> Result<PulledDraft> {
        let target = self.clone();
        let put = tokio::task::spawn_blocking(move || target.put_now(&path, &shown, if_taken));
        put.await
            .map_err(|error| Error::internal("unpacking the draft failed").source(error))?
    }

    fn put_now(&self, path: &Path, shown: &str, if_taken: IfTaken) -> Result<PulledDraft> {
        let mut archive = DraftArchive::open(path, shown, self.most)?;
        if self
            .sha256
            .as_ref()
            .is_some_and(|stated| *stated != archive.sha256)
        {
            return Err(Error::media(format!(
                "{shown} is not the file that the server lists: its SHA-256 is {}",
                archive.sha256
            )));
        }
        let edition = archive.edition()?.or(self.edition);
        let edition = edition.unwrap_or(self.settings.edition);
        let drafts = self.drafts(edition)?;
        let request = PullRequest {
            name: self.name.clone().unwrap_or_else(|| archive.name.clone()),
            draft: archive.draft()?,
            edition,
            archive: archive.sha256.clone(),
            media: archive
                .manifest
                .as_ref()
                .map(|manifest| manifest.media.clone()),
            if_taken,
            drafts,
        };
        if let Some(found) = request.found()? {
            return Ok(found);
        }
        let folder = request.drafts.join(name::folder(&request.name));
        archive.fits(self.settings.os, &folder)?;
        request.put(|to| archive.unpack(to))
    }

    /// The drafts folder.
    fn drafts(&self, edition: Edition) -> Result<PathBuf> {
        if let Some(to) = &self.to {
            let folder = std::path::absolute(to).unwrap_or_else(|_| to.clone());
            if !folder.is_dir() {
                return Err(Error::not_found(format!(
                    "`--to`: the folder {} does not exist",
                    folder.display()
                ))
                .hint("give the folder in which the app keeps its drafts"));
            }
            return Ok(folder);
        }
        registry::find(self.settings.drafts_dirs(edition)).ok_or_else(|| {
            Error::not_found(format!(
                "the drafts folder of {} was not found on this computer",
                edition.app()
            ))
            .hint("start the app once, or give the folder with `--to`")
        })
    }

    /// Prints the result.
    fn report(&self, put: &PulledDraft) -> anyhow::Result<ExitCode> {
        cli::print(&if self.json {
            as_json(put).to_string()
        } else {
            as_text(put)
        })
    }
}

fn as_json(put: &PulledDraft) -> Value {
    let mut value = json!({
        "folder": put.folder,
        "change": match put.change {
            PulledChange::New => "new",
            PulledChange::Replaced => "replaced",
            PulledChange::Nothing => "nothing",
        },
        "registered": put.registered,
        "next": put.next,
    });
    if !put.notes.is_empty() {
        value["notes"] = json!(put.notes);
    }
    value
}

fn as_text(put: &PulledDraft) -> String {
    let folder = put.folder.display();
    let mut lines = vec![match put.change {
        PulledChange::New => format!("The draft is in {folder}"),
        PulledChange::Replaced => format!("The draft in {folder} was replaced by the new version"),
        PulledChange::Nothing => {
            format!("Nothing was changed: this version of the draft is in {folder} already")
        }
    }];
    lines.extend(put.notes.iter().map(|note| format!("note: {note}")));
    lines.push(format!("next: {}", put.next));
    lines.join("\n")
}
