//! The journal records every acknowledged call of every draft; a draft is the fold of its calls.
//!
//! The rest of the crate uses it through [`Store`]. Only the engine interprets calls: here a call is a record that
//! contains JSON.

#[cfg(test)]
mod contract;
mod creations;
mod documents;
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
use crate::sorting;
pub(crate) use creations::{Budget, CreationClaim, CreationRow, CreationState};
pub(crate) use documents::{PackedDocument, document_hash};
pub(crate) use presence::Runner;

/// The origin of drafts that the engine made; any other origin is a server's address.
pub(crate) const ENGINE: &str = "engine";

/// Drafts, their calls, and jobs. No method blocks the thread that awaits it; several processes may use one store
/// at the same time.
#[async_trait]
pub(crate) trait Store: Debug + Send + Sync {
    /// The path of the journal's file, if it is a file.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// The id of the journal: two processes with the same id use the same journal.
    async fn id(&self) -> Result<String>;

    /// Reads the whole journal and fails if it is damaged; the time depends on its size.
    async fn check(&self) -> Result<()>;

    /// Adds a draft with the call that created it, sequence 0. Repeating this with the same record changes nothing.
    async fn create(&self, draft: &NewDraftRow, record: &NewRecord) -> Result<()>;

    /// Adds a call to a draft. After [`Appended::Done`] the call survives a crash of this process; whether it
    /// survives a power failure depends on [`SyncMode`].
    async fn append(
        &self,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<Appended>;

    /// The calls of a draft in order, starting at sequence `from`.
    async fn records(&self, origin: &str, draft: &DraftId, from: u64) -> Result<Vec<Record>>;

    /// The sequence of a draft's last call; `None` if there is no such draft or it is in the trash. Must be cheap:
    /// it is called before every read of a draft, to detect calls that other processes added.
    async fn last_sequence(&self, origin: &str, draft: &DraftId) -> Result<Option<u64>>;

    /// The draft with this id, even if it is in the trash. If two origins have the id: drafts outside the trash
    /// come first, then the one that changed last.
    async fn find(&self, draft: &DraftId) -> Result<Option<DraftRow>>;

    /// The draft with this origin and id, even if it is in the trash.
    async fn find_at(&self, origin: &str, draft: &DraftId) -> Result<Option<DraftRow>>;

    /// The drafts whose name or id contains `query`, the most recently changed first.
    async fn list(
        &self,
        include_deleted: bool,
        limit: usize,
        query: Option<&str>,
    ) -> Result<Vec<DraftRow>>;

    /// Records where a draft was saved. When this returns, everything acknowledged so far survives a power failure.
    async fn set_saved(&self, origin: &str, draft: &DraftId, folder: &str) -> Result<()>;

    /// Records the new origin and id of a draft that was replayed elsewhere up to the call `last`. Returns false,
    /// and changes nothing, if the draft's last call is not `last` or if it was moved before.
    async fn set_moved(
        &self,
        from: (&str, &DraftId),
        last: u64,
        to: (&str, &DraftId),
    ) -> Result<bool>;

    /// Moves a draft to the trash. If it is already there, nothing changes.
    async fn delete(&self, draft: &DraftId) -> Result<()>;

    /// Takes a draft out of the trash. If it is not there, nothing changes.
    async fn restore(&self, draft: &DraftId) -> Result<()>;

    /// The stored document with this hash, which a record of a draft names.
    async fn document(&self, hash: &str) -> Result<Option<PackedDocument>>;

    /// Permanently removes drafts that have been in the trash for at least `older_than`, and the documents that no
    /// other draft uses. Returns the number of drafts.
    async fn empty_trash(&self, older_than: Duration) -> Result<u64>;

    /// Adds a job, or updates its state.
    async fn job_put(&self, job: &JobRecord) -> Result<()>;

    async fn job_get(&self, id: &str) -> Result<Option<JobRecord>>;

    /// Acquires or renews the lease `key` for `holder`; false while another holder has it.
    async fn lease(&self, key: &str, holder: Uuid, lasts: Duration) -> Result<bool>;

    /// Releases a lease, if `holder` has it.
    async fn release(&self, key: &str, holder: Uuid) -> Result<()>;

    /// The creation with this key.
    async fn creation(&self, key: &str) -> Result<Option<CreationRow>>;

    /// Records a creation before its request is sent, unless there is one with its key or it exceeds the budget. What was
    /// claimed survives a power failure.
    async fn claim_creation(
        &self,
        row: &CreationRow,
        budget: Option<Budget>,
    ) -> Result<CreationClaim>;

    /// Replaces the creation with this key; what was written survives a power failure.
    async fn put_creation(&self, row: &CreationRow) -> Result<()>;

    /// Replaces a creation, or removes it, if it still is as it was seen; false if it is not.
    async fn replace_creation(&self, seen: &CreationRow, new: Option<&CreationRow>)
    -> Result<bool>;

    /// Removes a creation that was surely not accepted.
    async fn drop_creation(&self, key: &str) -> Result<()>;

    /// What all creations since this time cost, in milliseconds since 1970; also those that are under way.
    async fn spent(&self, since_ms: i64) -> Result<f64>;
}

/// The store that a process uses.
pub(crate) type Journal = dyn Store;

/// Which acknowledged calls survive a power failure. A crash of the process alone loses nothing in either mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SyncMode {
    /// Each call is on the disk before it is acknowledged.
    Full,
    /// The calls of the last seconds may be lost.
    #[default]
    Normal,
}

/// The position of a new call among the calls of its draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallPosition {
    /// Exactly this sequence: the call was computed on a draft with this number of calls.
    Sequence(u64),
    /// After the last call: the order does not matter or is decided elsewhere.
    End,
}

/// The outcome of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Appended {
    /// The call was added with this sequence.
    Done(u64),
    /// The call was already added, with this sequence: an earlier answer was lost. It was not added twice.
    Already(u64),
    /// Another call has this sequence: read the new calls and try again.
    Conflict,
}

/// An executed call to be added to the journal.
#[derive(Clone, Debug)]
pub(crate) struct NewRecord {
    /// Identifies this call, so that it is not added twice.
    pub call: Uuid,
    /// The tool's name.
    pub tool: String,
    /// The arguments as they were interpreted, as JSON.
    pub arguments: String,
    /// External facts that the call used, as JSON: with them, folding needs neither files nor network.
    pub found: Option<String>,
    /// The reply, as JSON.
    pub reply: String,
    /// The version of the engine that executed it; newer engines fold older records with the rules of that version.
    pub engine_version: u32,
    /// When it was executed, in milliseconds since 1970.
    pub at_ms: i64,
    /// It is part of the draft but not a user's call: facts that a save found.
    pub internal: bool,
    /// The document that the draft continues from, which is stored with the record.
    pub document: Option<Arc<PackedDocument>>,
    /// The draft's name from this call on, if the call changed it.
    pub name: Option<String>,
}

/// A recorded call; the fields are those of [`NewRecord`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The position of the call among the draft's calls; the call that created the draft is 0.
    pub sequence: u64,
    pub tool: String,
    pub arguments: Value,
    pub found: Option<String>,
    pub reply: Value,
    pub engine_version: u32,
    pub at_ms: i64,
    pub internal: bool,
}

/// The properties of a draft when it is created.
#[derive(Clone, Debug)]
pub(crate) struct NewDraftRow {
    pub origin: String,
    pub id: DraftId,
    pub name: String,
    /// `capcut` or `jianying`; empty if the server does not say.
    pub edition: String,
    /// Why this backend was chosen.
    pub reason: String,
}

/// A draft's entry in the journal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DraftRow {
    pub origin: String,
    pub id: DraftId,
    pub name: String,
    pub edition: String,
    pub reason: String,
    pub created_ms: i64,
    /// When the last call was added, or when the row was last changed in another way.
    pub modified_ms: i64,
    /// How many user calls it has, including the one that created it.
    pub calls: u64,
    /// The folder it was last saved to.
    pub saved_to: Option<String>,
    /// When it was moved to the trash.
    pub deleted_ms: Option<i64>,
    /// The origin and id under which it continues after it was replayed elsewhere.
    pub moved_to: Option<(String, DraftId)>,
}

/// Work that may take longer than a client waits: its kind, its progress, and the process that runs it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JobRecord {
    pub id: String,
    /// The kind of work: `compose`, `save`.
    pub kind: String,
    /// The draft it works on, once it has one.
    pub draft: Option<DraftId>,
    /// Its progress and finally its outcome, as JSON.
    pub state: String,
    /// Whether it has ended, successfully or not.
    pub finished: bool,
    /// The process that runs it.
    pub pid: u32,
    /// When it was last written, in milliseconds since 1970; set by [`Store::job_put`].
    pub updated_ms: i64,
}

/// How long the outcome of a job is kept: a week.
const KEEP_FINISHED_MS: i64 = 7 * 24 * 3600 * 1000;

impl DraftRow {
    /// Fails unless calls can be added to the draft.
    pub(crate) fn takes_calls(&self) -> Result<()> {
        let id = &self.id;
        if self.deleted_ms.is_some() {
            return Err(Error::not_found(format!("draft {id} is in the trash"))
                .hint("restore it with `delete_draft` and `restore: true`, or make a new draft"));
        }
        if let Some((_, to)) = &self.moved_to {
            return Err(Error::not_found(format!("draft {id} continues as {to}"))
                .hint(format!("use `draft_id` {:?}", to.as_str())));
        }
        Ok(())
    }
}

impl NewRecord {
    /// A call that was just executed.
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
            document: None,
            name: None,
        })
    }
}

fn written(part: &(impl Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(part)
        .map_err(|error| Error::internal("a call cannot be written as JSON").source(error))
}

/// The journal in `dir`, which is created on first use.
pub(crate) fn at(dir: impl AsRef<Path>, sync: SyncMode) -> Arc<Journal> {
    Arc::new(sqlite::Sqlite::new(
        Some(dir.as_ref().join("journal.db")),
        sync,
    ))
}

/// The journal in `dir`. If there is no folder for it, every use fails with a hint.
pub(crate) fn of(dir: Option<&Path>, sync: SyncMode) -> Arc<Journal> {
    match dir {
        Some(dir) => at(dir, sync),
        None => Arc::new(sqlite::Sqlite::new(None, sync)),
    }
}

/// A journal that ends with the process.
#[cfg(test)]
pub(crate) fn in_memory() -> Arc<Journal> {
    Arc::new(memory::MemoryStore::default())
}

/// Methods that are the same for all stores.
impl dyn Store {
    /// The drafts whose name or id is most similar to `draft`, best first: for "did you mean".
    pub(crate) async fn near(&self, draft: &str, count: usize) -> Result<Vec<DraftRow>> {
        const RECENT: usize = 1000;
        // Similar ids are not much longer, and the time to compare grows with the length of the text.
        let draft: String = draft.trim().chars().take(100).collect();
        let name = draft.to_lowercase();
        let mut near: Vec<(usize, DraftRow)> = self
            .list(false, RECENT, None)
            .await?
            .into_iter()
            .map(|row| {
                let by_id = strsim::osa_distance(&draft, row.id.as_str());
                let own: String = row.name.to_lowercase().chars().take(100).collect();
                let by_name = strsim::osa_distance(&name, &own);
                (by_id.min(by_name), row)
            })
            .collect();
        // The sort is stable: of two equally similar drafts, the one that changed last comes first.
        sorting::sort_by_key(&mut near, |(distance, _)| *distance);
        Ok(near.into_iter().take(count).map(|(_, row)| row).collect())
    }

    /// The reason why a call was not added; `Ok` with the number of records if the draft accepts calls.
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

fn already_exists(origin: &str, id: &DraftId) -> Error {
    Error::conflict(format!("draft {id} of {origin} is already in the journal"))
        .hint("call `create_draft` again: the next draft gets another id")
}

/// The error for a sequence beyond the end: this process knows calls that the journal does not have.
fn beyond(draft: &DraftId, sequence: u64, calls: u64) -> Error {
    Error::new(
        Kind::Unavailable,
        format!(
            "the journal has {calls} calls of draft {draft}, but in this process this is call {sequence}"
        ),
    )
    .hint("the journal may have been restored from a backup: check the draft, then send the call again")
}

/// The error for a draft that the journal does not have. Similar ids are added elsewhere, for callers that may see
/// them.
pub(crate) fn unknown(draft: &DraftId) -> Error {
    Error::not_found(format!("there is no draft {:?}", shortened(draft.as_str()))).hint(
        "make one with `create_draft`; a draft that the app saved has no id here: `open_draft` opens it, and `validate_draft` checks its folder",
    )
}

/// The current time in milliseconds since 1970, as in records.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as i64)
}
