//! The journal in an SQLite file, which any number of processes may use at the same time.
//!
//! A single append and a query of one draft take microseconds and run immediately, on the caller's thread. Work
//! that takes longer or finds the file locked runs on other threads, where waiting does not block callers: writes
//! on the journal's own thread, which adds all waiting calls in one transaction, and reads on the blocking pool.

mod creations;
mod file;
mod jobs;
mod portable;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use super::{
    Appended, Beat, Budget, CallPosition, ClaimTerms, ClaimedJob, CreationClaim, CreationRow,
    DraftRow, Fence, Imported, JobAdded, JobReport, JobRow, KEEP_FINISHED_MS, MergeRule,
    NewDraftRow, NewJob, NewRecord, PackedDocument, PortableStore, Record, Store, StorePart,
    SyncMode, already_exists, beyond, changed, now_ms, taken_over,
};
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::settings::TENANTS_DIR;

use file::{JournalFile, OpenConnection};
use writer::{JournalEntry, JournalWriter};

/// How long another process may lock the file before a call fails. Writing takes microseconds; only a suspended
/// process or emptying a large trash locks the file for longer.
const BUSY: Duration = Duration::from_secs(10);

/// The name of a journal in the data folder of its tenant.
const FILE: &str = "journal.db";

/// How often a worker looks for jobs of other processes.
const LOOKED_EVERY: Duration = Duration::from_millis(250);

/// The journals of all tenants below a folder, each in a file of its own. Creating one does no I/O: a file is opened on first
/// use.
#[derive(Debug)]
pub(super) struct Sqlite {
    /// `None` if the process has no data folder.
    folder: Option<PathBuf>,
    sync: SyncMode,
    /// Told when this process adds or stops a job.
    queue: Notify,
    open: Mutex<HashMap<TenantName, Arc<TenantJournal>>>,
}

impl Sqlite {
    pub(super) fn new(folder: Option<&Path>, sync: SyncMode) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            sync,
            queue: Notify::new(),
            open: Mutex::default(),
        }
    }

    fn of(&self, who: &TenantName) -> Arc<TenantJournal> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(journal) = open.get(who) {
            return Arc::clone(journal);
        }
        let journal = Arc::new(TenantJournal::new(self.path(who), self.sync));
        open.insert(who.clone(), Arc::clone(&journal));
        journal
    }

    /// Why a call was not accepted at `at`; `None` if it should be tried again.
    async fn not_appended(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<Option<Appended>> {
        let calls = (self as &dyn Store).refused(who, origin, draft).await?;
        self.still_held(who, record.fence.as_ref()).await?;
        let CallPosition::Sequence(sequence) = at else {
            // The draft accepts calls again: it was restored from the trash in the meantime.
            return Ok(None);
        };
        if sequence >= calls {
            return Err(beyond(draft, sequence, calls));
        }
        let (origin, id) = (origin.to_owned(), draft.clone());
        let there = self
            .of(who)
            .look(move |connection| rows::call_at(connection, &origin, &id, sequence))
            .await?;
        Ok(Some(if there == Some(record.call) {
            Appended::Already(sequence)
        } else {
            Appended::Conflict
        }))
    }

    /// Fails if another process has taken over the job that writes.
    async fn still_held(&self, who: &TenantName, fence: Option<&Fence>) -> Result<()> {
        let Some(fence) = fence else {
            return Ok(());
        };
        let wanted = fence.clone();
        let held = self
            .of(who)
            .look(move |connection| jobs::is_held(connection, &wanted))
            .await?;
        if held { Ok(()) } else { Err(taken_over(fence)) }
    }

    /// The tenants that have a journal.
    fn found(folder: &Path) -> io::Result<Vec<TenantName>> {
        let mut names = Vec::new();
        if folder.join(FILE).try_exists()? {
            names.push(TenantName::local());
        }
        let entries = match fs::read_dir(folder.join(TENANTS_DIR)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // What is no tenant's folder has no valid name.
            let name = entry.file_name().into_string().ok();
            if let Some(name) = name.and_then(|name| name.parse::<TenantName>().ok())
                && name != TenantName::local()
                && entry.file_type()?.is_dir()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// The journal of one tenant.
#[derive(Debug)]
struct TenantJournal {
    shared: Arc<SharedConnections>,
    writer: JournalWriter,
}

/// What the journal's threads share. Writing and reading have separate connections, so that a writer that waits for
/// another process does not block readers.
#[derive(Debug)]
struct SharedConnections {
    file: JournalFile,
    writing: Slot,
    reading: Slot,
}

/// A connection, once it is open. Its busy timeout is zero except while [`SharedConnections::attempt`] uses it.
type Slot = Mutex<Option<OpenConnection>>;

impl SharedConnections {
    /// Runs `work` if this is possible without waiting and without opening the file; otherwise returns `None`.
    fn without_waiting<T>(
        &self,
        slot: &Slot,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Option<Result<T>> {
        let mut open = match slot.try_lock() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let current = open.as_mut()?;
        if current.fault(&self.file).is_some() {
            return None;
        }
        match work(&mut current.connection) {
            Err(error) if is_busy(&error) => None,
            // What was just written is not in the files: the caller writes it again.
            Ok(_) if current.fault_after(&self.file).is_some() => None,
            done => {
                current.move_log_if_long(&self.file);
                Some(done.map_err(|error| self.file.explain(error)))
            }
        }
    }

    /// Runs `work`, after opening the file if necessary; waits up to `patience` while another process locks it. If
    /// the files are replaced during this, `work` runs a second time, so it must be repeatable.
    fn attempt<T>(
        &self,
        slot: &Slot,
        patience: Duration,
        mut work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<rusqlite::Result<T>> {
        let mut open = lock(slot);
        let mut again = false;
        loop {
            if let Some(current) = &mut *open
                && let Some(fault) = current.fault(&self.file)
            {
                let repaired = current.repair(fault);
                *open = None;
                self.close_idle();
                if !repaired {
                    return Err(file::tampered(&self.file, fault));
                }
                tracing::warn!(
                    "the `-wal` file of the journal {} was removed; no calls were lost",
                    self.file
                );
            }
            let current = match &mut *open {
                Some(current) => current,
                empty => empty.insert(self.file.open()?),
            };
            let done = current
                .connection
                .busy_timeout(patience)
                .and_then(|()| work(&mut current.connection));
            let reset = current.connection.busy_timeout(Duration::ZERO);
            if done.is_ok() && !again && current.fault_after(&self.file).is_some() {
                again = true;
                continue;
            }
            current.move_log_if_long(&self.file);
            return Ok(done.and_then(|done| reset.map(|()| done)));
        }
    }

    /// Closes the connections that are not in use: SQLite reads the log again only after all connections were
    /// closed.
    fn close_idle(&self) {
        for slot in [&self.writing, &self.reading] {
            if let Ok(mut open) = slot.try_lock() {
                *open = None;
            }
        }
    }

    /// Like [`SharedConnections::attempt`], waiting up to [`BUSY`].
    fn wait<T>(
        &self,
        slot: &Slot,
        work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.attempt(slot, BUSY, work)?
            .map_err(|error| self.file.explain(error))
    }
}

fn lock(slot: &Slot) -> MutexGuard<'_, Option<OpenConnection>> {
    // A panic while the lock was held rolled back the transaction: the connection is still usable.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

impl Drop for TenantJournal {
    /// When the process exits, everything is written, and a copy of the file alone is complete.
    fn drop(&mut self) {
        self.writer.end();
        if let Some(current) = &mut *lock(&self.shared.writing) {
            current.finish(&self.shared.file);
        }
    }
}

impl TenantJournal {
    /// The journal in the file `path`; without a path, every use fails with a hint.
    fn new(path: Option<PathBuf>, sync: SyncMode) -> Self {
        let shared = Arc::new(SharedConnections {
            file: JournalFile::new(path, sync),
            writing: Slot::default(),
            reading: Slot::default(),
        });
        Self {
            writer: JournalWriter::new(Arc::clone(&shared)),
            shared,
        }
    }

    /// Runs a short query: immediately if possible, otherwise on the blocking pool.
    async fn look<T: Send + 'static>(
        &self,
        look: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        // The pages that the writing connection has are current: after each write of it, the other one reads them again.
        let at_once = |slot| {
            let look = |connection: &mut Connection| look(connection);
            self.shared.without_waiting(slot, look)
        };
        let seen = at_once(&self.shared.writing).or_else(|| at_once(&self.shared.reading));
        match seen {
            Some(seen) => seen,
            None => self.read(move |connection| look(connection)).await,
        }
    }

    /// Runs a query that may take long, on the blocking pool.
    async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        let work = move || shared.wait(&shared.reading, |connection| read(connection));
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(Error::internal("reading the journal was interrupted").source(error)),
        }
    }

    /// Writes something other than a call, which is rare and not urgent.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnMut(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(write).await
    }

    /// The same; what was written, and everything before it, survives a power failure.
    async fn write_durably<T: Send + 'static>(
        &self,
        mut write: impl FnMut(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let back_to = self.shared.file.synchronous();
        self.write(move |connection| {
            // A commit with FULL waits until the log is on the disk, and all earlier commits are in the log.
            connection.pragma_update(None, "synchronous", "FULL")?;
            let written = write(connection);
            connection.pragma_update(None, "synchronous", back_to)?;
            written
        })
        .await
    }

    /// Changes a draft; an error if it does not exist.
    async fn change(
        &self,
        draft: &DraftId,
        change: impl FnMut(&mut Connection) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<()> {
        let rows = self.write(change).await?;
        changed(rows, draft)
    }

    /// Adds a call if this is possible without waiting, otherwise `None`. The inner `None` means that it was not
    /// accepted.
    fn enter_without_waiting(
        &self,
        enter: impl FnOnce(&mut Connection) -> rusqlite::Result<Option<Appended>>,
    ) -> Option<Result<Option<Appended>>> {
        // In this mode a commit waits for the disk, which takes milliseconds.
        if self.shared.file.sync == SyncMode::Full || self.writer.is_crowded() {
            return None;
        }
        self.shared.without_waiting(&self.shared.writing, enter)
    }
}

#[async_trait]
impl Store for Sqlite {
    fn path(&self, who: &TenantName) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(if *who == TenantName::local() {
            folder.join(FILE)
        } else {
            folder.join(TENANTS_DIR).join(who.as_str()).join(FILE)
        })
    }

    fn close(&self, who: &TenantName) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = open.remove(who);
        drop(open);
        // What is waiting is written now, without keeping other tenants from their journals.
        drop(closed);
    }

    async fn tenants(&self) -> Result<Vec<TenantName>> {
        let Some(folder) = self.folder.clone() else {
            return Ok(Vec::new());
        };
        let found = tokio::task::spawn_blocking(move || Self::found(&folder)).await;
        found.map_err(io::Error::other).flatten().map_err(|error| {
            Error::internal("the folder of the tenants cannot be read").source(error)
        })
    }

    /// The id in the file with the inode of the file, so that copies of the file have different ids.
    async fn id(&self, who: &TenantName) -> Result<String> {
        let own = self.of(who);
        let id = own.look(rows::journal_id).await?;
        Ok(match own.shared.file.inode() {
            Some(inode) => format!("{id}-{inode:x}"),
            None => id,
        })
    }

    async fn check(&self, who: &TenantName) -> Result<()> {
        let own = self.of(who);
        let verdict: String = own
            .read(|connection| connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))
            .await?;
        if verdict == "ok" {
            return Ok(());
        }
        Err(file::damaged(&own.shared.file, &verdict))
    }

    async fn create(
        &self,
        who: &TenantName,
        draft: &NewDraftRow,
        record: &NewRecord,
    ) -> Result<()> {
        let own = self.of(who);
        let entered =
            own.enter_without_waiting(|connection| rows::create_alone(connection, draft, record));
        let entered = match entered {
            Some(entered) => entered?,
            None => {
                let entry = JournalEntry::Draft(draft.clone(), record.clone());
                own.writer.enter(entry).await?
            }
        };
        if entered.is_some() {
            return Ok(());
        }
        let (origin, id) = (draft.origin.clone(), draft.id.clone());
        let first = own
            .look(move |connection| rows::call_at(connection, &origin, &id, 0))
            .await?;
        if first == Some(record.call) {
            return Ok(());
        }
        self.still_held(who, record.fence.as_ref()).await?;
        Err(already_exists(&draft.origin, &draft.id))
    }

    async fn append(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<Appended> {
        let own = self.of(who);
        loop {
            let entered = own.enter_without_waiting(|connection| {
                rows::insert(connection, origin, draft, record, at)
            });
            let entered = match entered {
                Some(entered) => entered?,
                None => {
                    let entry =
                        JournalEntry::Call(origin.to_owned(), draft.clone(), record.clone(), at);
                    own.writer.enter(entry).await?
                }
            };
            if let Some(appended) = entered {
                return Ok(appended);
            }
            if let Some(appended) = self.not_appended(who, origin, draft, record, at).await? {
                return Ok(appended);
            }
        }
    }

    async fn records(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        from: u64,
    ) -> Result<Vec<Record>> {
        let own = self.of(who);
        let (at, id) = (origin.to_owned(), draft.clone());
        let stored = own
            .read(move |connection| rows::records(connection, &at, &id, from))
            .await?;
        let damaged = |sequence: u64| {
            let what = format!("call {sequence} of draft {draft}");
            file::damaged(&own.shared.file, &what)
        };
        stored
            .into_iter()
            .map(|stored| {
                let sequence = stored.sequence;
                let parsed = stored.parse();
                parsed.map_err(|error| damaged(sequence).source(error))
            })
            .collect()
    }

    async fn last_sequence(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
    ) -> Result<Option<u64>> {
        let own = self.of(who);
        let (origin, draft) = (origin.to_owned(), draft.clone());
        own.look(move |connection| rows::last_sequence(connection, &origin, &draft))
            .await
    }

    async fn find(&self, who: &TenantName, draft: &DraftId) -> Result<Option<DraftRow>> {
        let own = self.of(who);
        let draft = draft.clone();
        own.look(move |connection| rows::find(connection, &draft))
            .await
    }

    async fn find_at(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
    ) -> Result<Option<DraftRow>> {
        let own = self.of(who);
        let (origin, draft) = (origin.to_owned(), draft.clone());
        own.look(move |connection| rows::find_at(connection, &origin, &draft))
            .await
    }

    async fn list(
        &self,
        who: &TenantName,
        include_deleted: bool,
        limit: usize,
        query: Option<&str>,
    ) -> Result<Vec<DraftRow>> {
        let own = self.of(who);
        let wanted: Option<Arc<str>> = query.map(|text| text.trim().to_lowercase().into());
        let list = move |connection: &Connection| {
            rows::list(connection, include_deleted, limit, wanted.as_deref())
        };
        let short = list.clone();
        let listed = own.look(move |connection| {
            let is_short = rows::are_few(connection)?;
            is_short.then(|| short(connection)).transpose()
        });
        match listed.await? {
            Some(rows) => Ok(rows),
            None => own.read(list).await,
        }
    }

    async fn set_saved(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        folder: &str,
        fence: Option<&Fence>,
    ) -> Result<()> {
        let (at, id, folder) = (origin.to_owned(), draft.clone(), folder.to_owned());
        let held = fence.cloned();
        let rows = self
            .of(who)
            .write_durably(move |connection| {
                if let Some(fence) = &held
                    && !jobs::is_held(connection, fence)?
                {
                    return Ok(None);
                }
                rows::set_saved(connection, &at, &id, &folder, now_ms()).map(Some)
            })
            .await?;
        match (rows, fence) {
            (None, Some(fence)) => Err(taken_over(fence)),
            (rows, _) => changed(rows.unwrap_or(0), draft),
        }
    }

    async fn set_moved(
        &self,
        who: &TenantName,
        (origin, draft): (&str, &DraftId),
        last: u64,
        (to_origin, to): (&str, &DraftId),
    ) -> Result<bool> {
        let own = self.of(who);
        let (from, id) = (origin.to_owned(), draft.clone());
        let (to_origin, to) = (to_origin.to_owned(), to.clone());
        own.write(move |connection| {
            rows::set_moved(connection, (&from, &id), last, (&to_origin, &to), now_ms())
        })
        .await
    }

    async fn delete(&self, who: &TenantName, draft: &DraftId) -> Result<()> {
        let own = self.of(who);
        let id = draft.clone();
        own.change(draft, move |connection| {
            rows::delete(connection, &id, now_ms())
        })
        .await
    }

    async fn restore(&self, who: &TenantName, draft: &DraftId) -> Result<()> {
        let own = self.of(who);
        let id = draft.clone();
        own.change(draft, move |connection| rows::restore(connection, &id))
            .await
    }

    async fn document(&self, who: &TenantName, hash: &str) -> Result<Option<PackedDocument>> {
        let own = self.of(who);
        let hash = hash.to_owned();
        own.read(move |connection| rows::document(connection, &hash))
            .await
    }

    async fn empty_trash(&self, who: &TenantName, older_than: Duration) -> Result<u64> {
        let own = self.of(who);
        let age_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let until_ms = now_ms().saturating_sub(age_ms);
        own.write(move |connection| rows::empty_trash(connection, until_ms))
            .await
    }

    async fn job_add(&self, who: &TenantName, job: &NewJob, lease: Duration) -> Result<JobAdded> {
        let job = job.clone();
        let added = self
            .of(who)
            .write(move |connection| jobs::add(connection, &job, now_ms(), lease))
            .await;
        self.queue.notify_waiters();
        added
    }

    async fn job_claim(&self, terms: &ClaimTerms) -> Result<Option<ClaimedJob>> {
        let mut open = Vec::new();
        for who in self.tenants().await? {
            let own = self.of(&who);
            let waits = own
                .look(move |connection| jobs::first_open(connection, now_ms()))
                .await?;
            if let Some((running, since_ms)) = waits
                && running < terms.per_tenant
            {
                open.push((running, since_ms, who));
            }
        }
        open.sort();
        for (_, _, who) in open {
            let terms = terms.clone();
            let claimed = self
                .of(&who)
                .write(move |connection| jobs::claim(connection, &terms, now_ms()))
                .await?;
            if let Some(job) = claimed {
                return Ok(Some(ClaimedJob { who, job }));
            }
        }
        Ok(None)
    }

    async fn job_beat(
        &self,
        who: &TenantName,
        fence: &Fence,
        report: Option<&JobReport>,
        lease: Duration,
    ) -> Result<Beat> {
        let own = self.of(who);
        if report.is_none() {
            // Most beats write nothing.
            let fence = fence.clone();
            let known = own
                .look(move |connection| jobs::beat_unwritten(connection, &fence, now_ms(), lease))
                .await?;
            if let Some(beat) = known {
                return Ok(beat);
            }
        }
        let (fence, report) = (fence.clone(), report.cloned());
        own.write(move |connection| {
            jobs::beat(connection, &fence, report.as_ref(), now_ms(), lease)
        })
        .await
    }

    async fn job_end(&self, who: &TenantName, fence: &Fence, report: &JobReport) -> Result<bool> {
        let (fence, report) = (fence.clone(), report.clone());
        self.of(who)
            .write(move |connection| {
                let now = now_ms();
                jobs::end(connection, &fence, &report, now, now - KEEP_FINISHED_MS)
            })
            .await
    }

    async fn job_requeue(
        &self,
        who: &TenantName,
        fence: &Fence,
        report: &JobReport,
    ) -> Result<bool> {
        let (fence, report) = (fence.clone(), report.clone());
        let done = self
            .of(who)
            .write(move |connection| jobs::requeue(connection, &fence, &report, now_ms()))
            .await;
        self.queue.notify_waiters();
        done
    }

    async fn job_get(&self, who: &TenantName, id: &str) -> Result<Option<JobRow>> {
        let own = self.of(who);
        let wanted = id.to_owned();
        let job = own
            .look(move |connection| jobs::get(connection, &wanted, now_ms()))
            .await?;
        if let Some(job) = &job {
            serde_json::from_str::<&RawValue>(&job.state).map_err(|error| {
                file::damaged(&own.shared.file, &format!("job {id}")).source(error)
            })?;
        }
        Ok(job)
    }

    async fn job_with_key(&self, who: &TenantName, key: &str) -> Result<Option<JobRow>> {
        let key = key.to_owned();
        self.of(who)
            .look(move |connection| jobs::with_key(connection, &key, now_ms()))
            .await
    }

    async fn job_stop(&self, who: &TenantName, id: &str, stopped: &str) -> Result<Option<JobRow>> {
        let (id, stopped) = (id.to_owned(), stopped.to_owned());
        let was = self
            .of(who)
            .write(move |connection| jobs::stop(connection, &id, &stopped, now_ms()))
            .await;
        self.queue.notify_waiters();
        was
    }

    async fn jobs_open(&self, who: &TenantName) -> Result<usize> {
        self.of(who).look(jobs::open).await
    }

    async fn jobs_changed(&self, most: Duration) {
        // Other processes do not say when they have added a job.
        let most = most.min(LOOKED_EVERY);
        let _timed_out = tokio::time::timeout(most, self.queue.notified()).await;
    }

    async fn lease(
        &self,
        who: &TenantName,
        key: &str,
        holder: Uuid,
        lasts: Duration,
    ) -> Result<bool> {
        let own = self.of(who);
        let key = key.to_owned();
        let lasts_ms = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        own.write(move |connection| {
            let now = now_ms();
            rows::lease(connection, &key, holder, now, now.saturating_add(lasts_ms))
        })
        .await
    }

    async fn release(&self, who: &TenantName, key: &str, holder: Uuid) -> Result<()> {
        let own = self.of(who);
        let key = key.to_owned();
        own.write(move |connection| rows::release(connection, &key, holder))
            .await
    }

    async fn is_leased(&self, who: &TenantName, key: &str) -> Result<bool> {
        let key = key.to_owned();
        self.of(who)
            .look(move |connection| rows::is_leased(connection, &key, now_ms()))
            .await
    }

    async fn value(&self, who: &TenantName, key: &str) -> Result<Option<Vec<u8>>> {
        let key = key.to_owned();
        self.of(who)
            .look(move |connection| rows::value(connection, &key, now_ms()))
            .await
    }

    async fn put_value(
        &self,
        who: &TenantName,
        key: &str,
        new: &[u8],
        lasts: Option<Duration>,
    ) -> Result<()> {
        let (key, new) = (key.to_owned(), new.to_vec());
        self.of(who)
            .write(move |connection| rows::put_value(connection, &key, &new, now_ms(), lasts))
            .await
    }

    async fn set_value(
        &self,
        who: &TenantName,
        key: &str,
        seen: Option<&[u8]>,
        new: Option<&[u8]>,
        lasts: Option<Duration>,
    ) -> Result<bool> {
        let key = key.to_owned();
        let (seen, new) = (seen.map(<[u8]>::to_vec), new.map(<[u8]>::to_vec));
        self.of(who)
            .write_durably(move |connection| {
                let change = (seen.as_deref(), new.as_deref());
                rows::set_value(connection, &key, change, now_ms(), lasts)
            })
            .await
    }

    async fn creation(&self, who: &TenantName, key: &str) -> Result<Option<CreationRow>> {
        let own = self.of(who);
        let key = key.to_owned();
        own.look(move |connection| creations::find(connection, &key))
            .await
    }

    async fn claim_creation(
        &self,
        who: &TenantName,
        row: &CreationRow,
        budget: Option<Budget>,
    ) -> Result<CreationClaim> {
        let own = self.of(who);
        let row = row.clone();
        own.write_durably(move |connection| creations::claim(connection, &row, budget, now_ms()))
            .await
    }

    async fn put_creation(&self, who: &TenantName, row: &CreationRow) -> Result<()> {
        let own = self.of(who);
        let row = row.clone();
        own.write_durably(move |connection| creations::put(connection, &row))
            .await
    }

    async fn replace_creation(
        &self,
        who: &TenantName,
        seen: &CreationRow,
        new: Option<&CreationRow>,
    ) -> Result<bool> {
        let own = self.of(who);
        let (seen, new) = (seen.clone(), new.cloned());
        own.write_durably(move |connection| creations::replace(connection, &seen, new.as_ref()))
            .await
    }

    async fn drop_creation(&self, who: &TenantName, key: &str) -> Result<()> {
        let own = self.of(who);
        let key = key.to_owned();
        own.write(move |connection| creations::drop(connection, &key))
            .await
    }

    async fn spent(&self, who: &TenantName, since_ms: i64) -> Result<f64> {
        let own = self.of(who);
        own.look(move |connection| creations::spent(connection, since_ms))
            .await
    }
}

#[async_trait]
impl PortableStore for Sqlite {
    fn name(&self) -> String {
        match &self.folder {
            Some(folder) => format!("folder {}", folder.display()),
            None => "folder that is not known".to_owned(),
        }
    }

    async fn export(&self, who: &TenantName, to: mpsc::Sender<StorePart>) -> Result<()> {
        let shared = Arc::clone(&self.of(who).shared);
        let work = move || {
            // A connection of its own: the export takes as long as its receiver.
            let mut own = shared.file.open()?;
            let exported = own.connection.transaction().and_then(|transaction| {
                let mut send = |part| to.blocking_send(part).is_ok();
                portable::export(&transaction, now_ms(), &mut send)
            });
            exported.map_err(|error| shared.file.explain(error))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(Error::internal("reading the journal was interrupted").source(error)),
        }
    }

    async fn import(
        &self,
        who: &TenantName,
        parts: &[StorePart],
        existing: MergeRule,
    ) -> Result<Vec<Imported>> {
        let parts = parts.to_vec();
        let done = self
            .of(who)
            .write_durably(move |connection| {
                portable::import(connection, &parts, existing, now_ms())
            })
            .await;
        self.queue.notify_waiters();
        done
    }
}
