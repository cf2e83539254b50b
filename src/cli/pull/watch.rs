//! The new drafts of a server: each is pulled once, in the order in which they were saved.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PullTarget, fetched};
use crate::cli;
use crate::delivery::download::{Downloads, ListedVersion};
use crate::engine::marker;
use crate::engine::package::existing::IfTaken;
use crate::engine::registry;
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links, SMALL_BYTES};

/// How long to wait at most for a server that does not answer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often a draft that fails is tried.
const TRIES: u32 = 3;

/// What is known about a server.
#[derive(Debug, Default, Serialize, Deserialize)]
struct WatchState {
    /// The last version that needs no more work.
    after: Option<String>,
}

pub(super) struct Watch<'a> {
    target: &'a PullTarget,
    downloads: &'a Downloads,
    path: PathBuf,
    state: Option<WatchState>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        target: &'a PullTarget,
        downloads: &'a Downloads,
        folder: &Path,
        address: &str,
    ) -> Result<Self> {
        let name = marker::hash(address.trim_end_matches('/').as_bytes());
        let path = folder.join(format!("server-{}.json", &name[..16]));
        let state = match regular_file::read(&path, SMALL_BYTES, Links::Refuse) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| {
                Error::conflict(format!("{} is damaged", path.display()))
                    .hint("remove the file: the drafts that are on the server then are not pulled, unless you add `--all`")
                    .source(error)
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(
                    Error::conflict(format!("{} cannot be read", path.display())).source(error)
                );
            }
        };
        Ok(Self {
            target,
            downloads,
            path,
            state,
        })
    }

    /// Pulls the new drafts, once or `every` so often.
    pub(super) async fn run(
        mut self,
        all: bool,
        every: Option<Duration>,
    ) -> anyhow::Result<ExitCode> {
        let mut wait = every.unwrap_or_default();
        let mut is_lost = false;
        let mut is_first = true;
        let mut failed = None;
        loop {
            let after = self.after(all && is_first);
            let listed = self.newer(after.as_deref()).await;
            match (listed, every) {
                (Ok(new), _) => {
                    if is_lost {
                        cli::say("the server answers again");
                    }
                    (is_lost, wait) = (false, every.unwrap_or_default());
                    if self.state.is_none() && !all {
                        self.begin(&new)?;
                    } else {
                        failed = self.pull(&new, every).await?;
                        self.state.get_or_insert_default();
                    }
                    if is_first && every.is_some() {
                        cli::say("waiting for new drafts; Ctrl-C stops");
                    }
                    is_first = false;
                }
                (Err(error), Some(_)) if is_passing(&error) => {
                    if !is_lost {
                        cli::say(&format!("{error}; trying again"));
                    }
                    is_lost = true;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                (Err(error), _) => return Err(error.into()),
            }
            if every.is_none() {
                return match failed {
                    Some(error) => Err(error.into()),
                    None => Ok(ExitCode::SUCCESS),
                };
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn after(&self, from_the_beginning: bool) -> Option<String> {
        let state = self.state.as_ref().filter(|_| !from_the_beginning);
        state.and_then(|state| state.after.clone())
    }

    /// All versions after `after`, the oldest first.
    async fn newer(&self, after: Option<&str>) -> Result<Vec<ListedVersion>> {
        let mut all = self.downloads.list(after, None).await?;
        let mut page = all.len();
        // A server lists a limited number at a time.
        while page > 0 {
            let before = all.last().map(|last| last.version.clone());
            let more = self.downloads.list(after, before.as_deref()).await?;
            page = more.len();
            all.extend(more);
        }
        all.reverse();
        Ok(all)
    }

    /// Begins with the drafts that are saved from now on.
    fn begin(&mut self, there: &[ListedVersion]) -> Result<()> {
        if !there.is_empty() {
            cli::say(&format!(
                "{} versions of drafts were saved on the server before; add `--all` to pull them too",
                there.len()
            ));
        }
        let after = there.last().map(|last| last.version.clone());
        self.note(after)
    }

    fn note(&mut self, after: Option<String>) -> Result<()> {
        let state = WatchState { after };
        let bytes = serde_json::to_vec(&state)
            .map_err(|error| Error::internal("a state cannot be written").source(error))?;
        registry::write(&self.path, &bytes)?;
        self.state = Some(state);
        Ok(())
    }

    /// Pulls these versions; those that a later one replaces are left out. Returns the last failure.
    async fn pull(
        &mut self,
        new: &[ListedVersion],
        every: Option<Duration>,
    ) -> Result<Option<Error>> {
        let mut later = BTreeSet::new();
        let mut wanted: Vec<&ListedVersion> = new.iter().rev().collect();
        wanted.retain(|version| later.insert(version.draft_id.as_str()));
        let mut last = None;
        for version in wanted.into_iter().rev() {
            let done = match every {
                Some(every) => self.patiently(version, every).await,
                None => self.once(version).await,
            };
            if let Err(error) = done {
                let failure = format!("the draft \"{}\" was not pulled: {error}", version.name);
                cli::say(&format!("error: {failure}"));
                if every.is_none() {
                    // The next call tries it again.
                    return Ok(Some(error));
                }
                last = Some(error);
            }
            self.note(Some(version.version.clone()))?;
        }
        Ok(last)
    }

    async fn once(&self, version: &ListedVersion) -> Result<()> {
        let url = self.downloads.address(version)?;
        let file = fetched(self.downloads, &url, self.target.json).await?;
        let shown = format!("{}.zip", version.name);
        let target = PullTarget {
            sha256: Some(version.sha256.clone()),
            ..self.target.clone()
        };
        let put = target.put_fetched(file, shown, IfTaken::Number).await?;
        self.target
            .report(&put)
            .map_err(|error| Error::internal("the result cannot be printed").source(error))?;
        Ok(())
    }

    /// Waits while the app runs, a disk is full, or the server does not answer.
    async fn patiently(&self, version: &ListedVersion, every: Duration) -> Result<()> {
        let mut told = String::new();
        let mut left = TRIES;
        let mut wait = every;
        let mut version = version.clone();
        loop {
            let Err(error) = self.once(&version).await else {
                return Ok(());
            };
            if !is_passing(&error) {
                left -= 1;
            }
            if left == 0 {
                return Err(error);
            }
            let text = error.to_string();
            if text != told {
                cli::say(&format!("the draft \"{}\" waits: {text}", version.name));
                told = text;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            // A link is valid for some time only.
            let after = self.after(false);
            if let Ok(listed) = self.newer(after.as_deref()).await {
                version = listed
                    .into_iter()
                    .find(|listed| listed.version == version.version)
                    .ok_or_else(|| Error::not_found("it was removed from the server"))?;
            }
        }
    }
}

/// Whether a failure ends by itself or by what the user does: a server that is away, a running app, a full disk.
fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind,
        Kind::Unsent | Kind::Unavailable | Kind::Timeout | Kind::Busy | Kind::Conflict
    )
}
