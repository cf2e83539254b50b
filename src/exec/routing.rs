//! Finds the backend that keeps a draft: in the journal, or by asking the API about ids that the journal lacks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use serde_json::json;
use uuid::Uuid;

use super::App;
use crate::backend::{Backend, Choice, Failure, Reached, Remote};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::journal::{self, ENGINE, NewDraftRow, NewRecord};
use crate::settings::BackendChoice;
use crate::tool::{Request, Turn};
use crate::units::Edition;

/// The number of drafts whose backends are cached.
const REMEMBERED: usize = 4096;
/// The tool name of journal records for drafts that existed on a server before this journal knew them.
pub(crate) const ADOPTED: &str = "adopted";

/// The backend of a call.
#[derive(Clone)]
pub(super) struct Home {
    pub backend: Backend,
    /// Why this backend was chosen, if it was chosen for this call.
    pub reason: Option<String>,
    auto: bool,
    /// Draft and server are fixed, regardless of the journal.
    pub moving: bool,
}

impl Home {
    /// The home of a draft that is recreated elsewhere.
    pub(crate) fn moving(backend: Backend) -> Self {
        Self {
            backend,
            reason: Some("recreated from the journal".into()),
            auto: false,
            moving: true,
        }
    }

    /// Whether a call without a draft that did not get through may choose another backend instead of waiting for
    /// this server.
    pub(crate) fn may_choose_again(&self, request: &dyn Request, failure: &Failure) -> bool {
        self.auto
            && request.draft().is_none()
            && matches!(self.backend, Backend::Remote(_))
            && matches!(failure.reached, Reached::Never | Reached::Lost)
    }
}

/// A cache of the drafts' origins, as in the journal, by draft id.
pub(super) struct OriginCache {
    origins: Cache<DraftId, String>,
    /// How many times an entry was removed.
    forgotten: Mutex<u64>,
}

impl Default for OriginCache {
    fn default() -> Self {
        Self {
            origins: Cache::new(REMEMBERED),
            forgotten: Mutex::default(),
        }
    }
}

/// The state of the cache when a lookup missed: the result of a slower lookup is stored only if nothing was
/// removed since.
#[derive(Clone, Copy, Debug)]
pub(super) struct CacheMiss(u64);

impl OriginCache {
    /// Locked while an entry is stored or removed.
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.forgotten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn knows(&self, draft: &DraftId) -> bool {
        self.origins.peek(draft).is_some()
    }

    fn get(&self, draft: &DraftId) -> Result<String, CacheMiss> {
        let forgotten = self.lock();
        self.origins.get(draft).ok_or(CacheMiss(*forgotten))
    }

    /// Stores the origin of a new draft.
    pub(crate) fn put(&self, draft: &DraftId, origin: &str) {
        self.origins.insert(draft.clone(), origin.to_owned());
    }

    /// Stores an origin that was looked up.
    fn learn(&self, draft: &DraftId, origin: &str, asked: CacheMiss) {
        let forgotten = self.lock();
        if *forgotten == asked.0 {
            self.put(draft, origin);
        }
    }

    fn forget(&self, draft: &DraftId) {
        let mut forgotten = self.lock();
        self.origins.remove(draft);
        *forgotten += 1;
    }
}

impl App {
    /// The backend of a call.
    pub(super) async fn home(&self, request: &dyn Request) -> Result<Home> {
        let Some(draft) = request.draft() else {
            return self.home_of(None).await;
        };
        // Over HTTP an id may be that of a task, which only the server that issued it knows.
        let may_be_a_task =
            !request.call().caller.manner.is_strict() && request.turn() == Turn::Free;
        let wanted = self.settings.backend;
        if may_be_a_task
            && wanted != BackendChoice::Embedded
            && !self.homes.knows(draft)
            && self.journal.find(draft).await?.is_none()
        {
            return Box::pin(self.home_of_new()).await;
        }
        self.home_of(Some(draft)).await
    }

    /// The backend that keeps the draft, or would keep a new one.
    pub(crate) async fn keeper(&self, draft: Option<&DraftId>) -> Result<Backend> {
        Ok(self.home_of(draft).await?.backend)
    }

    async fn home_of(&self, draft: Option<&DraftId>) -> Result<Home> {
        let wanted = self.settings.backend;
        let Some(draft) = draft else {
            return Box::pin(self.home_of_new()).await;
        };
        // The engine itself decides what to do with unknown ids.
        if wanted == BackendChoice::Embedded {
            return Ok(Home {
                backend: Backend::Embedded(Arc::clone(&self.engine)),
                reason: None,
                auto: false,
                moving: false,
            });
        }
        let origin = match self.homes.get(draft) {
            Ok(origin) => origin,
            Err(asked) => match self.journal.find(draft).await? {
                Some(row) => {
                    row.takes_calls()?;
                    let origin = row.origin;
                    self.homes.learn(draft, &origin, asked);
                    origin
                }
                None => return Box::pin(self.adopt(draft, asked)).await,
            },
        };
        self.home_at(&origin, draft).await
    }

    async fn home_at(&self, origin: &str, draft: &DraftId) -> Result<Home> {
        let backend = if origin == ENGINE {
            let remote = self.settings.backend == BackendChoice::Remote;
            if remote && let Some(remote) = Box::pin(self.with_same_journal()).await {
                return Ok(Home {
                    backend: Backend::Remote(remote),
                    reason: None,
                    auto: false,
                    moving: false,
                });
            }
            if remote {
                return Err(Error::conflict(format!(
                    "draft {draft} is on the embedded engine, and `--backend remote` allows only a server"
                ))
                .hint("move it with `recover_draft` and `to: \"remote\"`")
                .at_shell("use `--backend auto`"));
            }
            Backend::Embedded(Arc::clone(&self.engine))
        } else {
            Backend::Remote(self.servers.at(origin))
        };
        Ok(Home {
            backend,
            reason: None,
            auto: false,
            moving: false,
        })
    }

    /// The server, if it is an engine that keeps its drafts in the same journal.
    async fn with_same_journal(&self) -> Option<Arc<Remote>> {
        let remote = self.servers.first(&self.journal).await.ok()?;
        let server = remote.server(&self.journal).await.ok()?;
        (server.same_journal && !server.is_front).then_some(remote)
    }

    async fn home_of_new(&self) -> Result<Home> {
        let choice = self.choose().await?;
        Ok(Home {
            backend: choice.backend,
            reason: Some(choice.reason),
            auto: self.settings.backend == BackendChoice::Auto,
            moving: false,
        })
    }

    /// The backend for a new draft.
    pub(crate) async fn choose(&self) -> Result<Choice> {
        self.choose_for(None).await
    }

    /// The backend for recreating a draft of this edition; `None`: the backend for a new draft.
    pub(super) async fn choose_for(&self, edition: Option<Edition>) -> Result<Choice> {
        let admits = |remote: &Remote| self.admits(remote);
        let wanted = self.settings.backend;
        let engine = edition.map(|edition| self.engine.for_edition(edition));
        let engine = engine.as_ref().unwrap_or(&self.engine);
        self.servers
            .choose(wanted, edition, engine, &self.journal, &admits)
            .await
    }

    /// The edition whose names apply: the requested one, otherwise that of the server for new drafts.
    pub(crate) async fn edition(&self) -> Edition {
        let own = self.settings.edition;
        if self.settings.asked_edition.is_some() || self.settings.backend == BackendChoice::Embedded
        {
            return own;
        }
        let Ok(remote) = self.servers.first(&self.journal).await else {
            return own;
        };
        let server = remote.server(&self.journal).await;
        server.map_or(own, |server| server.edition)
    }

    /// Finds a draft that the journal lacks: the API's, if it knows the id.
    async fn adopt(&self, draft: &DraftId, asked: CacheMiss) -> Result<Home> {
        let Ok(remote) = self.servers.first(&self.journal).await else {
            return Err(journal::unknown(draft));
        };
        match remote.script(draft, self.look_until()).await {
            Ok(_) => {}
            Err(failure) if failure.reached == Reached::Forgotten => {
                return Err(journal::unknown(draft));
            }
            Err(failure) => return Err(failure.error),
        }
        let server = remote.server(&self.journal).await?;
        if !server.same_journal {
            let row = NewDraftRow {
                origin: remote.base.clone(),
                id: draft.clone(),
                name: String::new(),
                edition: server.edition.name().into(),
                reason: "the draft already existed on the server".into(),
            };
            let record = NewRecord {
                call: Uuid::new_v4(),
                tool: ADOPTED.into(),
                arguments: "{}".into(),
                found: None,
                reply: json!({ "draft_id": draft }).to_string(),
                engine_version: 0,
                at_ms: journal::now_ms(),
                internal: false,
                document: None,
                name: None,
                fence: None,
            };
            match self.journal.create(&row, &record).await {
                Ok(()) => {}
                // Another call adopted the draft at the same time.
                Err(error) if error.kind == Kind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        self.homes.learn(draft, &remote.base, asked);
        self.home_at(&remote.base, draft).await
    }

    /// Checks that the draft is still where it was when the call arrived: it may have moved while the call
    /// waited, or another process may have deleted it.
    pub(super) async fn still_there(
        &self,
        remote: &Remote,
        draft: &DraftId,
    ) -> Result<(), Failure> {
        if self.homes.knows(draft) {
            match self.journal.last_sequence(&remote.base, draft).await {
                // If the journal cannot answer, the call is still sent to the server.
                Ok(Some(_)) | Err(_) => return Ok(()),
                Ok(None) => {}
            }
        }
        let Some(row) = self.journal.find(draft).await? else {
            return Ok(());
        };
        row.takes_calls().map_err(|error| {
            let failure = Failure::refused(error);
            if row.deleted_ms.is_some() {
                // A deleted draft is not lost and must not be recreated.
                self.forget(draft);
                return failure;
            }
            Failure {
                reached: Reached::Forgotten,
                ..failure
            }
        })
    }

    /// Removes what is cached about a draft.
    pub(crate) fn forget(&self, draft: &DraftId) {
        self.turns.forget(draft);
        self.homes.forget(draft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_from_before_the_draft_moved_is_not_cached() {
        let homes = OriginCache::default();
        let draft = DraftId("d".into());
        let asked = homes.get(&draft).unwrap_err();
        homes.forget(&draft);
        homes.learn(&draft, "http://old", asked);
        assert!(!homes.knows(&draft));
        let asked = homes.get(&draft).unwrap_err();
        homes.learn(&draft, "http://new", asked);
        assert_eq!(homes.get(&draft).ok().unwrap(), "http://new");
    }
}
