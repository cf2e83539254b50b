//! The journal in an SQLite file, which any number of processes may use at the same time.
//!
//! A single append and a query of one draft take microseconds and run immediately, on the caller's thread. Work
//! that takes longer or finds the file locked runs on other threads, where waiting does not block callers: writes
//! on the journal's own thread, which adds all waiting calls in one transaction, and reads on the blocking pool.

mod creations;
mod file;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Appended, Budget, CallPosition, CreationClaim, CreationRow, DraftRow, JobRecord,
    KEEP_FINISHED_MS, NewDraftRow, NewRecord, PackedDocument, Record, Store, SyncMode,
    already_exists, beyond, changed, now_ms,
};
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};

use file::{JournalFile, OpenConnection};
use writer::{JournalEntry, JournalWriter};

/// How long another process may lock the file before a call fails. Writing takes microseconds; only a suspended
/// process or emptying a large trash locks the file for longer.
const BUSY: Duration = Duration::from_secs(10);

/// Creating one does no I/O: the file is opened on first use.
#[derive(Debug)]
pub(super) struct Sqlite {
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

impl Drop for Sqlite {
    /// When the process exits, everything is written, and a copy of the file alone is complete.
    fn drop(&mut self) {
        self.writer.end();
        if let Some(current) = &mut *lock(&self.shared.writing) {
            current.finish(&self.shared.file);
        }
    }
}

impl Sqlite {
    /// The journal in the file `path`; without a path, every use fails with a hint.
    pub(super) fn new(path: Option<PathBuf>, sync: SyncMode) -> Self {
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

    /// Why a call was not accepted at `at`; `None` if it should be tried again.
    async fn not_appended(
        &self,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<Option<Appended>> {
        let calls = (self as &dyn Store).refused(origin, draft).await?;
        let CallPosition::Sequence(sequence) = at else {
            // The draft accepts calls again: it was restored from the trash in the meantime.
            return Ok(None);
        };
        if sequence >= calls {
            return Err(beyond(draft, sequence, calls));
        }
        let (origin, id) = (origin.to_owned(), draft.clone());
        let there = self
            .look(move |connection| rows::call_at(connection, &origin, &id, sequence))
            .await?;
        Ok(Some(if there == Some(record.call) {
            Appended::Already(sequence)
        } else {
            Appended::Conflict
        }))
    }
}

#[async_trait]
impl Store for Sqlite {
    fn path(&self) -> Option<&Path> {
        self.shared.file.path.as_deref()
    }

    /// The id in the file with the inode of the file, so that copies of the file have different ids.
    async fn id(&self) -> Result<String> {
        let id = self.look(rows::journal_id).await?;
        Ok(match self.shared.file.inode() {
            Some(inode) => format!("{id}-{inode:x}"),
            None => id,
        })
    }

    async fn check(&self) -> Result<()> {
        let verdict: String = self
            .read(|connection| connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))
            .await?;
        if verdict == "ok" {
            return Ok(());
        }
        Err(file::damaged(&self.shared.file, &verdict))
    }

    async fn create(&self, draft: &NewDraftRow, record: &NewRecord) -> Result<()> {
        let entered =
            self.enter_without_waiting(|connection| rows::create_alone(connection, draft, record));
        let entered = match entered {
            Some(entered) => entered?,
            None => {
                let entry = JournalEntry::Draft(draft.clone(), record.clone());
                self.writer.enter(entry).await?
            }
        };
        if entered.is_some() {
            return Ok(());
        }
        let (origin, id) = (draft.origin.clone(), draft.id.clone());
        let first = self
            .look(move |connection| rows::call_at(connection, &origin, &id, 0))
            .await?;
        if first == Some(record.call) {
            return Ok(());
        }
        Err(already_exists(&draft.origin, &draft.id))
    }

    async fn append(
        &self,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<Appended> {
        loop {
            let entered = self.enter_without_waiting(|connection| {
                rows::insert(connection, origin, draft, record, at)
            });
            let entered = match entered {
                Some(entered) => entered?,
                None => {
                    let entry =
                        JournalEntry::Call(origin.to_owned(), draft.clone(), record.clone(), at);
                    self.writer.enter(entry).await?
                }
            };
            if let Some(appended) = entered {
                return Ok(appended);
            }
            if let Some(appended) = self.not_appended(origin, draft, record, at).await? {
                return Ok(appended);
            }
        }
    }

    async fn records(&self, origin: &str, draft: &DraftId, from: u64) -> Result<Vec<Record>> {
        let (at, id) = (origin.to_owned(), draft.clone());
        let stored = self
            .read(move |connection| rows::records(connection, &at, &id, from))
            .await?;
        let damaged = |sequence: u64| {
            let what = format!("call {sequence} of draft {draft}");
            file::damaged(&self.shared.file, &what)
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

    async fn last_sequence(&self, origin: &str, draft: &DraftId) -> Result<Option<u64>> {
        let (origin, draft) = (origin.to_owned(), draft.clone());
        self.look(move |connection| rows::last_sequence(connection, &origin, &draft))
            .await
    }

    async fn find(&self, draft: &DraftId) -> Result<Option<DraftRow>> {
        let draft = draft.clone();
        self.look(move |connection| rows::find(connection, &draft))
            .await
    }

    async fn find_at(&self, origin: &str, draft: &DraftId) -> Result<Option<DraftRow>> {
        let (origin, draft) = (origin.to_owned(), draft.clone());
        self.look(move |connection| rows::find_at(connection, &origin, &draft))
            .await
    }

    async fn list(
        &self,
        include_deleted: bool,
        limit: usize,
        query: Option<&str>,
    ) -> Result<Vec<DraftRow>> {
        let wanted: Option<Arc<str>> = query.map(|text| text.trim().to_lowercase().into());
        let list = move |connection: &Connection| {
            rows::list(connection, include_deleted, limit, wanted.as_deref())
        };
        let short = list.clone();
        let listed = self.look(move |connection| {
            let is_short = rows::are_few(connection)?;
            is_short.then(|| short(connection)).transpose()
        });
        match listed.await? {
            Some(rows) => Ok(rows),
            None => self.read(list).await,
        }
    }

    async fn set_saved(&self, origin: &str, draft: &DraftId, folder: &str) -> Result<()> {
        let (at, id, folder) = (origin.to_owned(), draft.clone(), folder.to_owned());
        let rows = self
            .write_durably(move |connection| {
                rows::set_saved(connection, &at, &id, &folder, now_ms())
            })
            .await?;
        changed(rows, draft)
    }

    async fn set_moved(
        &self,
        (origin, draft): (&str, &DraftId),
        last: u64,
        (to_origin, to): (&str, &DraftId),
    ) -> Result<bool> {
        let (from, id) = (origin.to_owned(), draft.clone());
        let (to_origin, to) = (to_origin.to_owned(), to.clone());
        self.write(move |connection| {
            rows::set_moved(connection, (&from, &id), last, (&to_origin, &to), now_ms())
        })
        .await
    }

    async fn delete(&self, draft: &DraftId) -> Result<()> {
        let id = draft.clone();
        self.change(draft, move |connection| {
            rows::delete(connection, &id, now_ms())
        })
        .await
    }

    async fn restore(&self, draft: &DraftId) -> Result<()> {
        let id = draft.clone();
        self.change(draft, move |connection| rows::restore(connection, &id))
            .await
    }

    async fn document(&self, hash: &str) -> Result<Option<PackedDocument>> {
        let hash = hash.to_owned();
        self.read(move |connection| rows::document(connection, &hash))
            .await
    }

    async fn empty_trash(&self, older_than: Duration) -> Result<u64> {
        let age_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let until_ms = now_ms().saturating_sub(age_ms);
        self.write(move |connection| rows::empty_trash(connection, until_ms))
            .await
    }

    async fn job_put(&self, job: &JobRecord) -> Result<()> {
        let job = job.clone();
        self.write(move |connection| {
            let now = now_ms();
            rows::job_put(connection, &job, now, now - KEEP_FINISHED_MS)
        })
        .await
    }

    async fn job_get(&self, id: &str) -> Result<Option<JobRecord>> {
        let wanted = id.to_owned();
        let job = self
            .look(move |connection| rows::job_get(connection, &wanted))
            .await?;
        if let Some(job) = &job {
            serde_json::from_str::<&RawValue>(&job.state).map_err(|error| {
                file::damaged(&self.shared.file, &format!("job {id}")).source(error)
            })?;
        }
        Ok(job)
    }

    async fn lease(&self, key: &str, holder: Uuid, lasts: Duration) -> Result<bool> {
        let key = key.to_owned();
        let lasts_ms = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        self.write(move |connection| {
            let now = now_ms();
            rows::lease(connection, &key, holder, now, now.saturating_add(lasts_ms))
        })
        .await
    }

    async fn release(&self, key: &str, holder: Uuid) -> Result<()> {
        let key = key.to_owned();
        self.write(move |connection| rows::release(connection, &key, holder))
            .await
    }

    async fn creation(&self, key: &str) -> Result<Option<CreationRow>> {
        let key = key.to_owned();
        self.look(move |connection| creations::find(connection, &key))
            .await
    }

    async fn claim_creation(
        &self,
        row: &CreationRow,
        budget: Option<Budget>,
    ) -> Result<CreationClaim> {
        let row = row.clone();
        self.write_durably(move |connection| creations::claim(connection, &row, budget, now_ms()))
            .await
    }

    async fn put_creation(&self, row: &CreationRow) -> Result<()> {
        let row = row.clone();
        self.write_durably(move |connection| creations::put(connection, &row))
            .await
    }

    async fn replace_creation(
        &self,
        seen: &CreationRow,
        new: Option<&CreationRow>,
    ) -> Result<bool> {
        let (seen, new) = (seen.clone(), new.cloned());
        self.write_durably(move |connection| creations::replace(connection, &seen, new.as_ref()))
            .await
    }

    async fn drop_creation(&self, key: &str) -> Result<()> {
        let key = key.to_owned();
        self.write(move |connection| creations::drop(connection, &key))
            .await
    }

    async fn spent(&self, since_ms: i64) -> Result<f64> {
        self.look(move |connection| creations::spent(connection, since_ms))
            .await
    }
}
