//! Every acknowledged call of every draft; a draft is the fold of its calls.
//!
//! [`Store`] is what the rest of the crate knows of it. What a call means is left to the engine: here it is a record
//! with JSON in it.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod memory;
mod presence;
mod sqlite;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::args::Call;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result, shortened};
pub(crate) use presence::Runner;

/// The origin of drafts that the engine made; any other origin is a server's address.
pub(crate) const ENGINE: &str = "engine";

/// Drafts, their calls, and jobs. No method blocks the thread that awaits it; several processes may use one store
/// at the same time.
#[async_trait]
pub(crate) trait Store: Debug + Send + Sync {
    /// The file, if it is one.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// What identifies it: two processes that get the same use the same journal.
    async fn id(&self) -> Result<String>;

    /// Reads all of it and fails if it is damaged; takes as long as it is big.
    async fn check(&self) -> Result<()>;

    /// Enters a draft with the call that created it, sequence 0. A second time with the same record changes nothing.
    async fn create(&self, draft: &NewDraft, record: &NewRecord) -> Result<()>;

    /// Adds a call to a draft. After [`Appended::Done`] it outlives this process; whether it outlives a power cut
    /// depends on [`SyncMode`].
    async fn append(
        &self,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: At,
    ) -> Result<Appended>;

    /// The calls of a draft in their order, from sequence `from` on.
    async fn records(&self, origin: &str, draft: &DraftId, from: u64) -> Result<Vec<Record>>;

    /// The sequence of a draft's last call; `None` if there is no such draft or it is in the trash. Cheap: it is
    /// asked before a draft is read, to see what other processes added.
    async fn last_sequence(&self, origin: &str, draft: &DraftId) -> Result<Option<u64>>;

    /// The draft of this id, also one in the trash; if two origins have the id, the one outside the trash that
    /// changed last.
    async fn find(&self, draft: &DraftId) -> Result<Option<DraftRow>>;

    /// The draft of this origin and id, also one in the trash.
    async fn find_at(&self, origin: &str, draft: &DraftId) -> Result<Option<DraftRow>>;

    /// The drafts that changed last, latest first, whose name or id holds `query`.
    async fn list(
        &self,
        include_deleted: bool,
        limit: usize,
        query: Option<&str>,
    ) -> Result<Vec<DraftRow>>;

    /// Remembers where a draft was saved. Everything acknowledged so far outlives a power cut when this returns.
    async fn set_saved(&self, origin: &str, draft: &DraftId, folder: &str) -> Result<()>;

    /// Remembers that a draft was replayed elsewhere up to the call `last`: its new origin and id. False, and nothing
    /// changed, if it has other calls by now or was moved already.
    async fn set_moved(
        &self,
        from: (&str, &DraftId),
        last: u64,
        to: (&str, &DraftId),
    ) -> Result<bool>;

    /// Moves a draft to the trash. One that is there already stays there.
    async fn delete(&self, draft: &DraftId) -> Result<()>;

    /// Takes a draft out of the trash. One that is not in it stays as it is.
    async fn restore(&self, draft: &DraftId) -> Result<()>;

    /// Removes for good what has been in the trash for at least `older_than`, and gives the number of drafts.
    async fn empty_trash(&self, older_than: Duration) -> Result<u64>;

    /// Enters a job, or its new state.
    async fn job_put(&self, job: &Job) -> Result<()>;

    async fn job_get(&self, id: &str) -> Result<Option<Job>>;

    /// Takes the lease `key` for `holder`, or makes it last longer; false while another holder has it.
    async fn lease(&self, key: &str, holder: Uuid, lasts: Duration) -> Result<bool>;

    /// Gives a lease up, if `holder` has it.
    async fn release(&self, key: &str, holder: Uuid) -> Result<()>;
}

/// The store that a process uses.
pub(crate) type Journal = dyn Store;

/// What an acknowledgement promises when the power fails; the death of the process alone loses nothing either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SyncMode {
    /// Each call is on the disk before it is acknowledged.
    Full,
    /// The calls of the last seconds may be lost.
    #[default]
    Normal,
}

/// Where a call goes among the calls of its draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Exactly there: what the call does was worked out on a draft of that many calls.
    Sequence(u64),
    /// After the last: the order does not matter or is decided elsewhere.
    End,
}

/// The outcome of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Appended {
    /// It has this sequence now.
    Done(u64),
    /// It was entered before, as this sequence: an answer was lost, and the call was not entered twice.
    Already(u64),
    /// Another call has that sequence: read what is new and try again.
    Conflict,
}

/// A call that was carried out and is to be entered.
#[derive(Clone, Debug)]
pub(crate) struct NewRecord {
    /// Identifies this call: entering it again is recognised.
    pub call: Uuid,
    /// The tool's name.
    pub tool: String,
    /// The arguments as they were understood, as JSON.
    pub arguments: String,
    /// What was found out when the call was made, as JSON: with it, folding needs neither files nor network.
    pub found: Option<String>,
    /// What was answered, as JSON.
    pub reply: String,
    /// The engine that carried it out; a newer engine folds older records the older way.
    pub engine_version: u32,
    /// When it was carried out, in milliseconds since 1970.
    pub at_ms: i64,
    /// It is part of the draft, but no call of a user made it: what a save found out.
    pub internal: bool,
}

/// A call as it was entered; the fields are those of [`NewRecord`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The place of the call among the draft's calls; the call that created it is 0.
    pub sequence: u64,
    pub tool: String,
    pub arguments: Value,
    pub found: Option<String>,
    pub reply: Value,
    pub engine_version: u32,
    pub at_ms: i64,
    pub internal: bool,
}

/// What is said of a draft when it is created.
#[derive(Clone, Debug)]
pub(crate) struct NewDraft {
    pub origin: String,
    pub id: DraftId,
    pub name: String,
    /// `capcut` or `jianying`; empty where a server does not tell.
    pub edition: String,
    /// Why this backend has it.
    pub reason: String,
}

/// A draft as the journal knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DraftRow {
    pub origin: String,
    pub id: DraftId,
    pub name: String,
    pub edition: String,
    pub reason: String,
    pub created_ms: i64,
    /// When the last call was added, or the row last changed otherwise.
    pub modified_ms: i64,
    /// How many calls of a user it has, the one that created it included.
    pub calls: u64,
    /// The folder it was last saved to.
    pub saved_to: Option<String>,
    /// When it went to the trash.
    pub deleted_ms: Option<i64>,
    /// Where it lives on after it was replayed elsewhere: origin and id.
    pub moved_to: Option<(String, DraftId)>,
}

/// A piece of work that outlives a client's patience: what it is, how far it got, and which process runs it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job {
    pub id: String,
    /// What kind of work: `compose`, `save`.
    pub kind: String,
    /// The draft it works on, once it has one.
    pub draft: Option<DraftId>,
    /// How far it got, and in the end its outcome: JSON.
    pub state: String,
    /// Whether it has ended, well or badly.
    pub finished: bool,
    /// The process that runs it.
    pub pid: u32,
    /// When it was last written, in milliseconds since 1970; set by [`Store::job_put`].
    pub updated_ms: i64,
}

/// How long the outcome of a job can be asked for: a week.
const KEEP_FINISHED_MS: i64 = 7 * 24 * 3600 * 1000;

impl DraftRow {
    /// Fails unless calls can be added to the draft.
    pub(crate) fn takes_calls(&self) -> Result<()> {
        let id = &self.id;
        if self.deleted_ms.is_some() {
            return Err(Error::not_found(format!("draft {id} is in the trash"))
                .hint("take it out with `delete_draft` and `restore: true`, or make a new one"));
        }
        if let Some((_, to)) = &self.moved_to {
            return Err(Error::not_found(format!("draft {id} continues as {to}"))
                .hint(format!("use `draft_id` {:?}", to.as_str())));
        }
        Ok(())
    }
}

impl NewRecord {
    /// A call that was just carried out.
    pub(crate) fn of(
        call: &Call,
        found: Option<&impl Serialize>,
        reply: &impl Serialize,
        engine_version: u32,
    ) -> Result<Self> {
        Ok(Self {
            call: Uuid::new_v4(),
            tool: call.tool.to_owned(),
            arguments: written(&call.arguments)?,
            found: found.map(written).transpose()?,
            reply: written(reply)?,
            engine_version,
            at_ms: now_ms(),
            internal: false,
        })
    }
}

fn written(part: &(impl Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(part)
        .map_err(|error| Error::internal("a call cannot be written down").source(error))
}

/// The journal in `dir`, which is made when it is first needed.
pub(crate) fn at(dir: impl AsRef<Path>, sync: SyncMode) -> Arc<Journal> {
    Arc::new(sqlite::Sqlite::new(
        Some(dir.as_ref().join("journal.db")),
        sync,
    ))
}

/// The journal in `dir`, or, where there is no folder for it, one whose every use fails with the way out.
pub(crate) fn of(dir: Option<&Path>, sync: SyncMode) -> Arc<Journal> {
    match dir {
        Some(dir) => at(dir, sync),
        None => Arc::new(sqlite::Sqlite::new(None, sync)),
    }
}

/// A journal that ends with the process.
#[cfg(test)]
pub(crate) fn in_memory() -> Arc<Journal> {
    Arc::new(memory::Memory::default())
}

/// What every store does alike.
impl dyn Store {
    /// The ids most like `draft`, best first: for "did you mean". A draft of that name counts as best.
    pub(crate) async fn near(&self, draft: &str, count: usize) -> Result<Vec<DraftId>> {
        const RECENT: usize = 1000;
        // Nothing near is much longer, and comparing takes as long as the text is.
        let draft: String = draft.trim().chars().take(100).collect();
        let name = draft.to_lowercase();
        let mut near: Vec<(usize, DraftId)> = self
            .list(false, RECENT, None)
            .await?
            .into_iter()
            .map(|row| {
                let distance = if row.name.to_lowercase() == name {
                    0
                } else {
                    strsim::osa_distance(&draft, row.id.as_str())
                };
                (distance, row.id)
            })
            .collect();
        // The sort is stable: of two equally near, the one that changed last comes first.
        near.sort_by_key(|(distance, _)| *distance);
        Ok(near.into_iter().take(count).map(|(_, id)| id).collect())
    }

    /// Why there was no place for a call; `Ok` with the number of records if the draft takes calls.
    async fn refused(&self, origin: &str, draft: &DraftId) -> Result<u64> {
        let Some(row) = self.find_at(origin, draft).await? else {
            return Err(unknown(draft));
        };
        row.takes_calls()?;
        let last = self.last_sequence(origin, draft).await?;
        Ok(last.map_or(0, |last| last + 1))
    }
}

/// Fails if no row was changed: there is no such draft.
fn changed(rows: usize, draft: &DraftId) -> Result<()> {
    if rows == 0 {
        return Err(unknown(draft));
    }
    Ok(())
}

fn there_already(origin: &str, id: &DraftId) -> Error {
    Error::conflict(format!("draft {id} of {origin} is in the journal already"))
        .hint("call `create_draft` again: the next draft gets another id")
}

/// A call whose place is beyond the end: this process knows calls that the journal does not have.
fn beyond(draft: &DraftId, sequence: u64, calls: u64) -> Error {
    Error::new(
        Kind::Unavailable,
        format!(
            "the journal has {calls} calls of draft {draft}, and this is call {sequence} in this process"
        ),
    )
    .hint("was the journal put back from a copy? look at the draft, then send the call again")
}

/// The error for a draft that the journal does not have. The nearest ids are added for callers who may know them.
pub(crate) fn unknown(draft: &DraftId) -> Error {
    Error::not_found(format!("there is no draft {:?}", shortened(draft.as_str())))
        .hint("make one with `create_draft`")
}

/// Milliseconds since 1970, as records count them.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as i64)
}
