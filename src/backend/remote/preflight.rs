//! Refuses calls that a server would acknowledge but not apply, before they are sent.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Remote;
use crate::backend::dialect::Server;
use crate::backend::{Failure, Reached};
use crate::caller::Caller;
use crate::catalog;
use crate::draft::evidence::{Contents, Leaves};
use crate::draft::ids::DraftId;
use crate::engine::parts;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::manifest;
use crate::tool::{CatalogName, Converted, Request, TextFile, TextSource, settings_given};
use crate::tools::Manner;
use crate::tools::lists;

/// For a server that recreates lost drafts, the draft is queried before a call, unless a call on it succeeded
/// within this time: no server restarts faster.
const RECENT: Duration = Duration::from_secs(1);
/// How many recently seen drafts are remembered.
const REMEMBERED: usize = 4096;

impl Remote {
    /// Refuses keyframes that this server does not keep, and keyframes at a time without a clip, which no server
    /// keeps.
    pub(super) async fn refuse_dropped_keyframes(
        &self,
        request: &dyn Request,
        leaves: &Leaves,
        server: &Server,
        journal: &Arc<Journal>,
    ) -> Result<()> {
        let (Leaves::Keyframes(keyframes), Some(draft)) = (leaves, request.draft()) else {
            return Ok(());
        };
        if server.dialect.is_truthful() {
            return Ok(());
        }
        if !server.dialect.keeps_keyframes() {
            return Err(Error::conflict(format!(
                "{} at {} acknowledges keyframes but does not keep them: nothing was sent",
                server.dialect.name(),
                self.base
            ))
            .at_shell("use another server, or make the draft with `--backend embedded`"));
        }
        // In the API's dialect a keyframe may come before its clip. The save reports keyframes that still have no
        // clip.
        if request.call().caller.manner == Manner::Api {
            return Ok(());
        }
        let track = &keyframes.track;
        let outside = self.with_account(journal, draft, |account| {
            let mut times = keyframes.times.iter();
            let outside =
                times.find(|&&time| account.has_segment_at(track, time) == Some(false))?;
            Some((*outside, account.stretches(track)))
        });
        let Some((time, stretches)) = outside.await? else {
            return Ok(());
        };
        let hint = "give the `track_name` of a clip, and a time on the timeline that is inside it";
        Err(if stretches.is_empty() {
            let what = format!("`track_name`: track {track:?} has no clips");
            Error::not_found(what).hint(hint)
        } else {
            let what = format!(
                "`time`: no clip is at {time} on track {track:?}, so the server would drop the keyframe; its clips \
                 are at {stretches} (seconds)"
            );
            Error::invalid(what).hint(hint)
        })
    }

    /// Refuses what the API does not have, unless a save can [add it](super::save) to the saved draft.
    pub(crate) fn refuse_beyond_api(
        &self,
        request: &dyn Request,
        leaves: &Leaves,
        server: &Server,
    ) -> Result<()> {
        let beyond = request.beyond_api();
        if beyond.is_empty() {
            return Ok(());
        }
        let names = settings_given(&beyond.draft);
        let names = names.iter().chain(beyond.clips.keys());
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        let missing = format!("the API of {} has no {names}", server.dialect.name());
        let without = "leave them out, or make the draft with `--backend embedded`";
        if !beyond.clips.is_empty() && !matches!(leaves, Leaves::Segments(_)) {
            let hint = match request.text_file() {
                Some(file) => format!(
                    "give the captions themselves as `{}` instead of a file, {without}",
                    file.argument
                ),
                None => without.to_owned(),
            };
            return Err(Error::invalid(format!(
                "{missing}, and the clips of this call cannot be found in the saved draft to add them there"
            ))
            .hint(hint));
        }
        if self.can_add_to_saves(server) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{missing}, and this machine cannot write into the folder where the server keeps saved drafts to add them there"
        ))
        .hint(format!(
            "if this machine has that folder, set `api.drafts_folder` in `tools.toml` to it; otherwise {without}"
        )))
    }

    /// Refuses names that the server does not have: it may ignore them silently. For callers in the API's dialect
    /// nothing is checked; they get the server's own behaviour.
    pub(super) async fn refuse_unknown_names(
        &self,
        request: &dyn Request,
        server: &Server,
        until: Instant,
    ) -> Result<()> {
        if request.call().caller.manner != Manner::Strict || server.dialect.is_truthful() {
            return Ok(());
        }
        let mut faults = Vec::new();
        for named in request.names() {
            let found = catalog::find_in(server.edition, named.kinds, named.name);
            let error = match found {
                Ok(entry) if !entry.more => continue,
                Ok(entry) => catalog::newer(server.edition, entry),
                Err(error) => error,
            };
            // A server that is newer than our tables may have the name: ask it.
            if !server.dialect.names_are_ours() && self.may_have(&named, until).await {
                continue;
            }
            faults.push(parts::of::<()>(&named.argument, Err(error)));
        }
        let mut faults = faults.into_iter().filter_map(Result::err);
        let Some(mut first) = faults.next() else {
            return Ok(());
        };
        for fault in faults {
            first.message = format!("{}\n{}", first.message, fault);
        }
        Err(first)
    }

    /// Whether the server lists the name, or its list is not available.
    async fn may_have(&self, named: &CatalogName<'_>, until: Instant) -> bool {
        let tools: HashSet<&str> = named
            .kinds
            .iter()
            .filter_map(|&kind| lists::of_kind(kind))
            .collect();
        for tool in tools {
            match self.names(tool, until).await {
                Some(names) if !names.contains(named.name) => {}
                _ => return true,
            }
        }
        false
    }

    /// The names in one of the server's lists, cached for as long as the list itself (`cache_s`).
    async fn names(&self, tool: &'static str, until: Instant) -> Option<Arc<HashSet<String>>> {
        let route = self.manifest.route(tool).ok()?;
        let keep = manifest::seconds(route.cache_s.unwrap_or_default());
        if let Some((at, names)) = self.listed.lock().get(tool)
            && at.elapsed() < keep
        {
            return Some(Arc::clone(names));
        }
        let Ok(Value::Array(entries)) = self.list(route.path()?, until).await else {
            return None;
        };
        let names = entries.iter().filter_map(|entry| entry["name"].as_str());
        let names: Arc<HashSet<String>> = Arc::new(names.map(str::to_owned).collect());
        let kept = (Instant::now(), Arc::clone(&names));
        self.listed.lock().insert(tool, kept);
        Some(names)
    }

    /// Refuses a call on a draft that the server lost, for servers that would not report this.
    pub(super) async fn refuse_lost(
        &self,
        draft: &DraftId,
        journal: &Arc<Journal>,
        until: Instant,
    ) -> Result<(), Failure> {
        let look = Instant::now() + manifest::seconds(self.manifest.limits.look_timeout_s);
        let script = match self.script(draft, until.min(look)).await {
            Ok(script) => script,
            Err(failure) if matches!(failure.reached, Reached::Forgotten | Reached::Never) => {
                return Err(failure);
            }
            // The comparison before the save catches what cannot be checked now.
            Err(_) => return Ok(()),
        };
        let Some(contents) = Contents::of(&script) else {
            return Ok(());
        };
        let compared = self.with_account(journal, draft, |account| {
            account.refuse_if_short(&self.base, draft, &contents)
        });
        match compared.await {
            Ok(Err(failure)) if failure.reached == Reached::Forgotten => Err(failure),
            _ => Ok(()),
        }
    }

    /// A text file, converted to what the server can read.
    pub(super) async fn converted(
        &self,
        file: &TextFile<'_>,
        caller: &Caller,
    ) -> Result<Converted> {
        let converted = match &file.text {
            TextSource::Given(text) => (file.convert)(text.as_bytes(), caller),
            TextSource::At {
                source,
                max_bytes,
                is_needed,
            } => match self.media.of(caller).text(source, *max_bytes).await {
                Ok(bytes) => (file.convert)(&bytes, caller),
                Err(error) if *is_needed => Err(error),
                // The server may be able to read it.
                Err(_) => return Ok(Converted::default()),
            },
        };
        parts::of(file.argument, converted)
    }
}

/// When the last call on each draft succeeded.
#[derive(Default)]
pub(super) struct RecentDrafts(Mutex<HashMap<DraftId, Instant>>);

impl RecentDrafts {
    pub(super) fn is_recent(&self, draft: &DraftId) -> bool {
        let seen = self.lock();
        seen.get(draft).is_some_and(|at| at.elapsed() < RECENT)
    }

    pub(super) fn now(&self, draft: &DraftId) {
        let mut seen = self.lock();
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(draft.clone(), Instant::now());
    }

    /// Called when the server did not answer: a different server may listen there now.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DraftId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type ListedNames = (Instant, Arc<HashSet<String>>);

/// The names that a server lists.
#[derive(Default)]
pub(super) struct ServerNames(Mutex<HashMap<&'static str, ListedNames>>);

impl ServerNames {
    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, ListedNames>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
