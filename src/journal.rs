//! The journal records every acknowledged call of every draft; a draft is the fold of its calls.
//!
//! The rest of the crate uses it through [`Store`]. Only the engine interprets calls: here a call is a record that
//! contains JSON.

#[cfg(test)]
mod contract;
mod creations;
mod documents;
mod jobs;
#[cfg(test)]
mod memory;
mod portable;
mod postgres;
mod presence;
mod sqlite;
mod tenant;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::access::TenantName;
use crate::args::Call;
pub(crate) use crate::caller::Fence;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result, shortened};
pub(crate) use creations::{Budget, CreationClaim, CreationRow, CreationState};
pub(crate) use documents::{PackedDocument, document_hash};
pub(crate) use jobs::{
    Beat, ClaimTerms, ClaimedJob, JobAdded, JobPhase, JobReport, JobRow, NewJob,
};
pub(crate) use portable::{
    DraftCalls, Imported, MergeRule, PortableCall, PortableDraft, PortableJob, PortableStore,
    PortableValue, StorePart,
};
pub(crate) use presence::Runner;
pub(crate) use tenant::Journal;

/// The origin of drafts that the engine made; any other origin is a server's address.
pub(crate) const ENGINE: &str = "engine";

/// Drafts, their calls, and jobs of all tenants. No method blocks the thread that awaits it; several processes may use one
/// store at the same time. What belongs to another tenant does not exist for a call: `who` is the tenant.
///
/// The rest of the crate uses it through [`Journal`], which is the part of one tenant.
#[async_trait]
pub(crate) trait Store: Debug + Send + Sync {
    /// The path of a tenant's journal, if it is a file.
    fn path(&self, _who: &TenantName) -> Option<PathBuf> {
        None
    }

    /// Whether processes on other machines use this store as well.
    fn is_shared(&self) -> bool {
        false
    }

    /// Releases what is open for a tenant that is no longer in use; its next call opens it again.
    fn close(&self, _who: &TenantName) {}

    /// The id of the journal: two processes with the same id use the same journal.
    async fn id(&self, who: &TenantName) -> Result<String>;

    /// Reads the whole journal and fails if it is damaged; the time depends on its size.
    async fn check(&self, who: &TenantName) -> Result<()>;

    /// The tenants that have something in the store, in order.
    async fn tenants(&self) -> Result<Vec<TenantName>>;

    /// Adds a draft with the call that created it, sequence 0. Repeating this with the same record changes nothing.
    async fn create(&self, who: &TenantName, draft: &NewDraftRow, record: &NewRecord)
    -> Result<()>;

    /// Adds a call to a draft. After [`Appended::Done`] the call survives a crash of this process; whether it
    /// survives a power failure depends on [`SyncMode`].
    async fn append(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<Appended>;

    /// The calls of a draft in order, starting at sequence `from`.
    async fn records(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        from: u64,
    ) -> Result<Vec<Record>>;

    /// The sequence of a draft's last call; `None` if there is no such draft or it is in the trash. Must be cheap:
    /// it is called before every read of a draft, to detect calls that other processes added.
    async fn last_sequence(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
    ) -> Result<Option<u64>>;

    /// The draft with this id, even if it is in the trash. If two origins have the id: drafts outside the trash
    /// come first, then the one that changed last.
    async fn find(&self, who: &TenantName, draft: &DraftId) -> Result<Option<DraftRow>>;

    /// The draft with this origin and id, even if it is in the trash.
    async fn find_at(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
    ) -> Result<Option<DraftRow>>;

    /// The drafts whose name or id contains `query`, the most recently changed first.
    async fn list(
        &self,
        who: &TenantName,
        include_deleted: bool,
        limit: usize,
        query: Option<&str>,
    ) -> Result<Vec<DraftRow>>;

    /// Records where a draft was saved. When this returns, everything acknowledged so far survives a power failure. A
    /// job that another process continues records nothing.
    async fn set_saved(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        folder: &str,
        fence: Option<&Fence>,
    ) -> Result<()>;

    /// Records the new origin and id of a draft that was replayed elsewhere up to the call `last`. Returns false,
    /// and changes nothing, if the draft's last call is not `last` or if it was moved before.
    async fn set_moved(
        &self,
        who: &TenantName,
        from: (&str, &DraftId),
        last: u64,
        to: (&str, &DraftId),
    ) -> Result<bool>;

    /// Moves a draft to the trash. If it is already there, nothing changes.
    async fn delete(&self, who: &TenantName, draft: &DraftId) -> Result<()>;

    /// Takes a draft out of the trash. If it is not there, nothing changes.
    async fn restore(&self, who: &TenantName, draft: &DraftId) -> Result<()>;

    /// The stored document with this hash, which a record of a draft names.
    async fn document(&self, who: &TenantName, hash: &str) -> Result<Option<PackedDocument>>;

    /// Permanently removes drafts that have been in the trash for at least `older_than`, and the documents that no
    /// other draft uses. Returns the number of drafts.
    async fn empty_trash(&self, who: &TenantName, older_than: Duration) -> Result<u64>;

    /// Adds a job: one that waits for a worker, or that its process runs at once. Adding a job with the idempotency key
    /// of another one adds nothing.
    async fn job_add(&self, who: &TenantName, job: &NewJob, lease: Duration) -> Result<JobAdded>;

    /// Gives a job of any tenant to a worker: one that waits, or whose runner's lease has ended. Tenants with fewer
    /// running jobs come first, then the job that has waited longest.
    async fn job_claim(&self, terms: &ClaimTerms) -> Result<Option<ClaimedJob>>;

    /// Renews the lease of a running job, writes its state if there is a new one, and says whether it may go on.
    async fn job_beat(
        &self,
        who: &TenantName,
        fence: &Fence,
        report: Option<&JobReport>,
        lease: Duration,
    ) -> Result<Beat>;

    /// Ends a job with its final state; false if it was taken over or has ended.
    async fn job_end(&self, who: &TenantName, fence: &Fence, report: &JobReport) -> Result<bool>;

    /// Puts a running job back into the queue, behind those that wait; false if it was taken over or has ended.
    async fn job_requeue(
        &self,
        who: &TenantName,
        fence: &Fence,
        report: &JobReport,
    ) -> Result<bool>;

    async fn job_get(&self, who: &TenantName, id: &str) -> Result<Option<JobRow>>;

    /// The job with an idempotency key.
    async fn job_with_key(&self, who: &TenantName, key: &str) -> Result<Option<JobRow>>;

    /// Asks a running job to stop. One that no process runs ends at once, with the state `stopped`. Returns the job as it was
    /// before.
    async fn job_stop(&self, who: &TenantName, id: &str, stopped: &str) -> Result<Option<JobRow>>;

    /// How many jobs of a tenant wait or run.
    async fn jobs_open(&self, who: &TenantName) -> Result<usize>;

    /// Returns when a job may have been added or asked to stop, by this process or another one, or after `most`.
    async fn jobs_changed(&self, most: Duration);

    /// Acquires or renews the lease `key` for `holder`; false while another holder has it.
    async fn lease(
        &self,
        who: &TenantName,
        key: &str,
        holder: Uuid,
        lasts: Duration,
    ) -> Result<bool>;

    /// Releases a lease, if `holder` has it.
    async fn release(&self, who: &TenantName, key: &str, holder: Uuid) -> Result<()>;

    /// Whether anyone has the lease.
    async fn is_leased(&self, who: &TenantName, key: &str) -> Result<bool>;

    /// A small value that the processes of a server share, such as its tokens or the state of a session.
    async fn value(&self, who: &TenantName, key: &str) -> Result<Option<Vec<u8>>>;

    /// Writes a value, whatever it was before.
    async fn put_value(
        &self,
        who: &TenantName,
        key: &str,
        new: &[u8],
        lasts: Option<Duration>,
    ) -> Result<()>;

    /// Writes a value if it still is as it was seen, durably; `None` removes it. False if it is not. `lasts`: after this
    /// time without another write the value is removed.
    async fn set_value(
        &self,
        who: &TenantName,
        key: &str,
        seen: Option<&[u8]>,
        new: Option<&[u8]>,
        lasts: Option<Duration>,
    ) -> Result<bool>;

    /// The creation with this key.
    async fn creation(&self, who: &TenantName, key: &str) -> Result<Option<CreationRow>>;

    /// Records a creation before its request is sent, unless there is one with its key or it exceeds the budget. What was
    /// claimed survives a power failure.
    async fn claim_creation(
        &self,
        who: &TenantName,
        row: &CreationRow,
        budget: Option<Budget>,
    ) -> Result<CreationClaim>;

    /// Replaces the creation with this key; what was written survives a power failure.
    async fn put_creation(&self, who: &TenantName, row: &CreationRow) -> Result<()>;

    /// Replaces a creation, or removes it, if it still is as it was seen; false if it is not.
    async fn replace_creation(
        &self,
        who: &TenantName,
        seen: &CreationRow,
        new: Option<&CreationRow>,
    ) -> Result<bool>;

    /// Removes a creation that was surely not accepted.
    async fn drop_creation(&self, who: &TenantName, key: &str) -> Result<()>;

    /// What all creations since this time cost, in milliseconds since 1970; also those that are under way.
    async fn spent(&self, who: &TenantName, since_ms: i64) -> Result<f64>;
}

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
    /// The job that makes the call: if another process continues the job, the call is not added.
    pub fence: Option<Fence>,
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

/// How long the outcome of a job is kept: a week.
const KEEP_FINISHED_MS: i64 = 7 * 24 * 3600 * 1000;
/// The same for values that belong to a draft: the progress of its last save, the plan of its last run.
pub(crate) const KEPT: Duration = Duration::from_hours(7 * 24);

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
            fence: call.caller.fence.clone(),
        })
    }
}

fn written(part: &(impl Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(part)
        .map_err(|error| Error::internal("a call cannot be written as JSON").source(error))
}

/// The store in `dir`, which is created on first use, with the journal of each tenant in a folder of its own. If there is no
/// folder for it, every use fails with a hint.
pub(crate) fn in_folder(dir: Option<&Path>, sync: SyncMode) -> Arc<dyn PortableStore> {
    Arc::new(sqlite::Sqlite::new(dir, sync))
}

/// The store in a database: `postgres://…`.
pub(crate) fn in_postgres(address: &str) -> Result<Arc<dyn PortableStore>> {
    Ok(Arc::new(postgres::Postgres::new(address)?))
}

/// The journal of the user of this process in `dir`.
#[cfg(test)]
pub(crate) fn at(dir: impl AsRef<Path>, sync: SyncMode) -> Arc<Journal> {
    let store = in_folder(Some(dir.as_ref()), sync);
    Arc::new(Journal::new(store, TenantName::local()))
}

/// A journal that ends with the process.
#[cfg(test)]
pub(crate) fn in_memory() -> Arc<Journal> {
    let store = Arc::<memory::MemoryStore>::default();
    Arc::new(Journal::new(store, TenantName::local()))
}

/// One whose store does not take the first `ends` of jobs.
#[cfg(test)]
pub(crate) fn in_memory_that_loses(ends: u32) -> Arc<Journal> {
    let store = Arc::new(memory::MemoryStore::that_loses(ends));
    Arc::new(Journal::new(store, TenantName::local()))
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

/// The error for what a job writes after another process has taken it over.
fn taken_over(fence: &Fence) -> Error {
    let message = format!(
        "job {} continues in another process; this one adds nothing more",
        fence.job
    );
    Error::new(Kind::Cancelled, message).hint("ask `job_status` for its state")
}

/// The error for a draft that the journal does not have. Similar ids are added elsewhere, for callers that may see
/// them.
pub(crate) fn unknown(draft: &DraftId) -> Error {
    Error::not_found(format!("there is no draft {:?}", shortened(draft.as_str()))).hint(
        "make one with `create_draft`; a draft that the app saved has no id here: `open_draft` opens it, and `validate_draft` checks its folder",
    )
}

/// A time in milliseconds after another one.
fn after(now_ms: i64, lasts: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX))
}

/// The current time in milliseconds since 1970, as in records.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as i64)
}
