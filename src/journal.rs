//! Every acknowledged call of every draft, on disk; a draft is the fold of its calls.
//!
//! One SQLite file serves any number of processes. What a call means is left to the engine: here it
//! is a row with JSON in it.

mod batch;
mod file;
mod jobs;
mod schema;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::Value;

use crate::args::Call;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};

use batch::Batch;
use file::{Identity, Place};
pub(crate) use jobs::Job;

/// The origin of drafts that the engine made; any other origin is a server's address.
pub(crate) const ENGINE: &str = "engine";

/// A column of the last call of the draft `key`.
macro_rules! last {
    ($column:literal) => {
        concat!(
            "(SELECT ",
            $column,
            " FROM calls WHERE place BETWEEN key << 32 AND key << 32 | 4294967295 ORDER BY place DESC LIMIT 1)"
        )
    };
}

/// The drafts and their calls. Making one does no I/O: the file is opened by the first use.
#[derive(Debug)]
pub(crate) struct Journal {
    place: Place,
    open: Mutex<Option<Open>>,
    batch: Batch,
}

/// A connection, and which file it is to.
#[derive(Debug)]
struct Open {
    connection: Connection,
    identity: Option<Identity>,
    /// Rows that had been written when the log was last moved to the file.
    moved: u64,
}

/// A call that was carried out, and what came of it; `J` is JSON, read or still to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record<J = Value> {
    /// The place of the call among the draft's calls; the call that created it is 0.
    pub sequence: u64,
    /// The tool's name.
    pub tool: String,
    /// The arguments as they were understood.
    pub arguments: J,
    /// What was found out when the call was made, as JSON: with it, folding needs neither files nor network.
    pub found: Option<String>,
    /// What was answered.
    pub reply: J,
    /// The engine that carried it out; a newer engine folds older records the older way.
    pub engine_version: u32,
    /// When it was carried out, in milliseconds since 1970.
    pub at_ms: i64,
}

/// JSON that can be written.
pub(crate) trait Json {
    fn text(&self) -> Cow<'_, str>;
}

impl Json for Value {
    fn text(&self) -> Cow<'_, str> {
        // Faster than by way of `Display`.
        Cow::Owned(serde_json::to_string(self).unwrap_or_default())
    }
}

/// What is written already.
impl Json for String {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
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
    /// How many calls it has, the one that created it included.
    pub calls: u64,
    /// The folder it was last saved to.
    pub saved_to: Option<String>,
    /// When it went to the trash.
    pub deleted_ms: Option<i64>,
    /// Where it lives on after it was replayed elsewhere: origin and id.
    pub moved_to: Option<(String, DraftId)>,
}

impl DraftRow {
    /// Fails unless calls can be added to the draft.
    pub(crate) fn takes_calls(&self) -> Result<()> {
        let id = &self.id;
        if self.deleted_ms.is_some() {
            return Err(Error::not_found(format!("draft {id} is in the trash"))
                .hint("take it out with `delete_draft` and `restore: true`, or make a new one"));
        }
        if let Some((_, to)) = &self.moved_to {
            return Err(Error::not_found(format!("draft {id} lives on as {to}"))
                .hint(format!("use `draft_id` {:?}", to.as_str())));
        }
        Ok(())
    }
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Appended {
    Done,
    /// Somebody else has that sequence: read what is new and try again.
    Conflict,
}

impl Record<String> {
    /// A call that was just carried out.
    pub(crate) fn of(
        sequence: u64,
        call: &Call,
        found: Option<&impl Serialize>,
        reply: &impl Serialize,
        engine_version: u32,
    ) -> Result<Self> {
        Ok(Self {
            sequence,
            tool: call.tool.to_owned(),
            arguments: written(&call.arguments)?,
            found: found.map(written).transpose()?,
            reply: written(reply)?,
            engine_version,
            at_ms: now_ms(),
        })
    }
}

fn written(part: &(impl Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(part)
        .map_err(|error| Error::internal("a call cannot be written down").source(error))
}

impl Journal {
    /// The journal in `dir`, which is made when it is first needed.
    pub(crate) fn at(dir: impl AsRef<Path>) -> Self {
        Self::new(Place::File(dir.as_ref().join("journal.db")))
    }

    /// The journal in `dir`, or, where there is no folder for it, one whose every use fails with
    /// the way out.
    pub(crate) fn of(dir: Option<&Path>) -> Self {
        match dir {
            Some(dir) => Self::at(dir),
            None => Self::new(Place::Nowhere),
        }
    }

    /// A journal that is gone with the process.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
    pub(crate) fn in_memory() -> Self {
        Self::new(Place::Memory)
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            open: Mutex::default(),
            batch: Batch::default(),
        }
    }

    /// The file, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Memory | Place::Nowhere => None,
        }
    }

    /// Opens the file and looks through all of it. For `doctor`: it takes as long as the file is big.
    pub(crate) fn check(&self) -> Result<()> {
        let verdict: String = self.with(|connection| {
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        })?;
        if verdict == "ok" {
            return Ok(());
        }
        Err(file::damaged(&self.place, &verdict))
    }

    /// Enters a draft with the call that created it, sequence 0.
    pub(crate) fn create(&self, row: &NewDraft, record: &Record<impl Json>) -> Result<()> {
        check_first(&row.id, record)?;
        let fresh = self.with(|connection| {
            let transaction = connection.transaction_with_behavior(IMMEDIATE)?;
            let fresh = insert_draft(&transaction, row, record)?;
            transaction.commit()?;
            Ok(fresh)
        })?;
        if fresh {
            return Ok(());
        }
        Err(there_already(&row.origin, &row.id))
    }

    /// Adds a call to a draft. It is on disk, as far as the death of this process goes, when this
    /// returns [`Appended::Done`].
    pub(crate) fn append(
        &self,
        origin: &str,
        draft: &DraftId,
        record: &Record<impl Json>,
    ) -> Result<Appended> {
        if self.with(|connection| insert(connection, origin, draft, record))? {
            return Ok(Appended::Done);
        }
        self.not_appended(origin, draft, record.sequence)
    }

    /// Why there was no place for a call.
    fn not_appended(&self, origin: &str, draft: &DraftId, sequence: u64) -> Result<Appended> {
        let calls = self.live(origin, draft)?.calls;
        if sequence < calls {
            return Ok(Appended::Conflict);
        }
        Err(Error::new(
            Kind::Unavailable,
            format!(
                "the journal has {calls} calls of draft {draft}, and this is call {sequence} in this process"
            ),
        )
        .hint("was `journal.db` put back from a copy? restart capcut-mcp so that it reads what is there"))
    }

    /// Adds a call at the end, whatever its `sequence` says, and gives the sequence it got: for calls
    /// whose order does not matter or is decided elsewhere.
    pub(crate) fn append_next(
        &self,
        origin: &str,
        draft: &DraftId,
        record: &Record<impl Json>,
    ) -> Result<u64> {
        loop {
            let added = self.with(|connection| insert_next(connection, origin, draft, record))?;
            if let Some(sequence) = added {
                return Ok(sequence);
            }
            // Why there is no such draft is asked now; one that was put back meanwhile is there again.
            self.live(origin, draft)?;
        }
    }

    /// The calls of a draft in their order, from sequence `from` on.
    pub(crate) fn records(&self, origin: &str, draft: &DraftId, from: u64) -> Result<Vec<Record>> {
        let rows: Vec<Stored> = self.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT sequence, tool, arguments, found, reply, engine_version, at_ms
                     FROM drafts JOIN calls ON place BETWEEN key << 32 | ?3 AND key << 32 | 4294967295
                     WHERE id = ?1 AND origin = ?2
                     ORDER BY place",
                )?
                .query_map(params![draft.as_str(), origin, signed(from)], Stored::read)?
                .collect()
        })?;
        rows.into_iter()
            .map(|stored| {
                let sequence = stored.sequence;
                stored.parse().map_err(|error| {
                    file::damaged(&self.place, &format!("call {sequence} of draft {draft}"))
                        .source(error)
                })
            })
            .collect()
    }

    /// The sequence of a draft's last call; `None` if the journal does not have the draft or it is in
    /// the trash. Cheap: it is asked before each edit to see what another process added.
    pub(crate) fn last_sequence(&self, origin: &str, draft: &DraftId) -> Result<Option<u64>> {
        self.with(|connection| {
            connection
                .prepare_cached(concat!(
                    "SELECT ",
                    last!("sequence"),
                    " FROM drafts WHERE id = ?1 AND origin = ?2 AND deleted_ms IS NULL",
                ))?
                .query_row(params![draft.as_str(), origin], |row| {
                    row.get(0).map(i64::cast_unsigned)
                })
                .optional()
        })
    }

    /// A draft, whatever its origin and whether or not it is in the trash; if two origins have the
    /// id, the one outside the trash that changed last.
    pub(crate) fn find(&self, draft: &DraftId) -> Result<Option<DraftRow>> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM drafts WHERE id = ?1
                     ORDER BY deleted_ms IS NOT NULL, modified_ms DESC LIMIT 1"
                ))?
                .query_row(params![draft.as_str()], draft_row)
                .optional()
        })
    }

    /// The drafts that changed last, latest first, whose name or id holds `query`.
    pub(crate) fn list(
        &self,
        include_deleted: bool,
        limit: usize,
        query: Option<&str>,
    ) -> Result<Vec<DraftRow>> {
        let wanted = query.map(|text| text.trim().to_lowercase());
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM drafts WHERE ?1 OR deleted_ms IS NULL
                 ORDER BY modified_ms DESC, key DESC"
            ))?;
            let rows = statement.query_map(params![include_deleted], draft_row)?;
            rows.filter(|row| match (row, &wanted) {
                (Ok(row), Some(wanted)) => {
                    row.id.as_str().contains(wanted.as_str())
                        || row.name.to_lowercase().contains(wanted.as_str())
                }
                _ => true,
            })
            .take(limit)
            .collect()
        })
    }

    /// The ids most like `draft`, best first: for "did you mean". A draft of that name counts as best.
    pub(crate) fn near(&self, draft: &str, count: usize) -> Result<Vec<DraftId>> {
        const RECENT: usize = 1000;
        // Nothing near is much longer, and comparing takes as long as the text is.
        let draft: String = draft.trim().chars().take(100).collect();
        let name = draft.to_lowercase();
        let mut near: Vec<(usize, DraftId)> = self
            .list(false, RECENT, None)?
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

    /// Remembers where a draft was saved. Everything acknowledged so far outlives a loss of power
    /// when this returns.
    pub(crate) fn set_saved(&self, origin: &str, draft: &DraftId, folder: &str) -> Result<()> {
        let changed = self.with(|connection| {
            // A commit under FULL waits for the log, and all earlier commits are in the log.
            connection.pragma_update(None, "synchronous", "FULL")?;
            let changed = connection.execute(
                "UPDATE drafts SET saved_to = ?3, changed_ms = max(changed_ms, ?4)
                 WHERE id = ?1 AND origin = ?2",
                params![draft.as_str(), origin, folder, now_ms()],
            );
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            changed
        })?;
        Self::changed(changed, draft)
    }

    #[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
    pub(crate) fn set_name(&self, origin: &str, draft: &DraftId, name: &str) -> Result<()> {
        let changed = self.with(|connection| {
            connection.execute(
                "UPDATE drafts SET name = ?3, changed_ms = max(changed_ms, ?4)
                 WHERE id = ?1 AND origin = ?2",
                params![draft.as_str(), origin, name, now_ms()],
            )
        })?;
        Self::changed(changed, draft)
    }

    /// Remembers that a draft was replayed elsewhere and lives on there.
    pub(crate) fn set_moved(
        &self,
        origin: &str,
        draft: &DraftId,
        to_origin: &str,
        to: &DraftId,
    ) -> Result<()> {
        let changed = self.with(|connection| {
            connection.execute(
                "UPDATE drafts SET moved_origin = ?3, moved_id = ?4, changed_ms = max(changed_ms, ?5)
                 WHERE id = ?1 AND origin = ?2",
                params![draft.as_str(), origin, to_origin, to.as_str(), now_ms()],
            )
        })?;
        Self::changed(changed, draft)
    }

    /// Moves a draft to the trash. One that is there already stays there.
    pub(crate) fn delete(&self, draft: &DraftId) -> Result<()> {
        let changed = self.with(|connection| {
            connection.execute(
                "UPDATE drafts SET deleted_ms = coalesce(deleted_ms, ?2) WHERE id = ?1",
                params![draft.as_str(), now_ms()],
            )
        })?;
        Self::changed(changed, draft)
    }

    /// Takes a draft out of the trash. One that is not in it stays as it is.
    pub(crate) fn restore(&self, draft: &DraftId) -> Result<()> {
        let changed = self.with(|connection| {
            connection.execute(
                "UPDATE drafts SET deleted_ms = NULL WHERE id = ?1",
                params![draft.as_str()],
            )
        })?;
        Self::changed(changed, draft)
    }

    /// Forgets for good what has been in the trash for at least `older_than`, and says how many
    /// drafts that were. Their room in the file is used again.
    pub(crate) fn empty_trash(&self, older_than: Duration) -> Result<u64> {
        let age_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let until_ms = now_ms().saturating_sub(age_ms);
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(IMMEDIATE)?;
            transaction.execute(
                "DELETE FROM calls WHERE place IN (
                     SELECT place FROM drafts
                     JOIN calls ON place BETWEEN key << 32 AND key << 32 | 4294967295
                     WHERE deleted_ms <= ?1)",
                params![until_ms],
            )?;
            let gone = transaction.execute(
                "DELETE FROM drafts WHERE deleted_ms <= ?1",
                params![until_ms],
            )?;
            transaction.commit()?;
            Ok(gone as u64)
        })
    }

    /// The draft if calls can be added to it, else why not.
    fn live(&self, origin: &str, draft: &DraftId) -> Result<DraftRow> {
        let row = self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM drafts WHERE id = ?1 AND origin = ?2"
                ))?
                .query_row(params![draft.as_str(), origin], draft_row)
                .optional()
        })?;
        let row = row.ok_or_else(|| unknown(draft))?;
        row.takes_calls()?;
        Ok(row)
    }

    fn changed(rows: usize, draft: &DraftId) -> Result<()> {
        if rows == 0 {
            return Err(unknown(draft));
        }
        Ok(())
    }

    /// Runs `work` on the connection, opening it first if need be.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut open = self.lock();
        if let Some(current) = &*open
            && !self.place.still_is(current.identity.as_ref())
        {
            *open = None;
            return Err(file::replaced(&self.place));
        }
        let current = match &mut *open {
            Some(current) => current,
            empty => empty.insert(self.place.open()?),
        };
        let done = work(&mut current.connection).map_err(|error| self.place.explain(error));
        current.relieve(&self.place);
        done
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        // A panic while the lock was held has rolled its transaction back: the connection is sound.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error for a draft that the journal does not have. The nearest ids are added for callers who may know them.
pub(crate) fn unknown(draft: &DraftId) -> Error {
    Error::not_found(format!("there is no draft {:?}", draft.as_str()))
        .hint("make one with `create_draft`")
}

/// Milliseconds since 1970, as records count them.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as i64)
}

/// Takes the write lock at once: a transaction that reads first and then finds that it is too late
/// to write cannot be waited for.
const IMMEDIATE: rusqlite::TransactionBehavior = rusqlite::TransactionBehavior::Immediate;

/// A draft's row. How many calls there are and when the last came is looked up, not kept, so that
/// adding a call writes nothing but the call.
const COLUMNS: &str = concat!(
    "origin, id, name, edition, reason, created_ms, max(changed_ms, ",
    last!("at_ms"),
    ") AS modified_ms, ",
    last!("sequence"),
    " + 1, saved_to, deleted_ms, moved_origin, moved_id"
);

fn draft_row(row: &Row<'_>) -> rusqlite::Result<DraftRow> {
    let moved_origin: Option<String> = row.get(10)?;
    let moved_id: Option<String> = row.get(11)?;
    Ok(DraftRow {
        origin: row.get(0)?,
        id: DraftId(row.get(1)?),
        name: row.get(2)?,
        edition: row.get(3)?,
        reason: row.get(4)?,
        created_ms: row.get(5)?,
        modified_ms: row.get(6)?,
        calls: row.get(7).map(i64::cast_unsigned)?,
        saved_to: row.get(8)?,
        deleted_ms: row.get(9)?,
        moved_to: moved_origin.zip(moved_id.map(DraftId)),
    })
}

/// A draft begins with its call 0.
fn check_first<J>(id: &DraftId, record: &Record<J>) -> Result<()> {
    if record.sequence == 0 {
        return Ok(());
    }
    Err(Error::internal(format!(
        "the call that creates draft {id} must be its call 0, not {}",
        record.sequence
    )))
}

fn there_already(origin: &str, id: &DraftId) -> Error {
    Error::conflict(format!("draft {id} of {origin} is in the journal already"))
        .hint("call `create_draft` again: the next draft gets another id")
}

/// Adds a draft with its first call, within a transaction; whether its id was free.
fn insert_draft(
    transaction: &Connection,
    row: &NewDraft,
    record: &Record<impl Json>,
) -> rusqlite::Result<bool> {
    let added = transaction
        .prepare_cached(
            "INSERT INTO drafts (origin, id, name, edition, reason, created_ms, changed_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
             ON CONFLICT (id, origin) DO NOTHING",
        )?
        .execute(params![
            row.origin,
            row.id.as_str(),
            row.name,
            row.edition,
            row.reason,
            record.at_ms
        ])?;
    if added > 0 && !insert(transaction, &row.origin, &row.id, record)? {
        // Never half a draft.
        return Err(rusqlite::Error::StatementChangedRows(0));
    }
    Ok(added > 0)
}

/// Adds a call to the draft ?1 of ?2, in one statement and so all or nothing. Where the draft is unknown, in the trash
/// or elsewhere, or has no such place for it, its place is refused.
macro_rules! insert_at {
    ($place:expr) => {
        concat!(
            "INSERT INTO calls (place, at_ms, engine_version, tool, arguments, found, reply)
             VALUES (
                 coalesce(
                     (SELECT ",
            $place,
            " FROM drafts
                      WHERE id = ?1 AND origin = ?2 AND deleted_ms IS NULL AND moved_id IS NULL),
                     -1),
                 ?4, ?5, ?6, ?7, ?8, ?9)"
        )
    };
}

/// Adds a call after the last one of its draft, if that is the one before.
fn insert(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    record: &Record<impl Json>,
) -> rusqlite::Result<bool> {
    const SQL: &str = insert_at!(concat!(
        "CASE WHEN ?3 = coalesce(",
        last!("sequence"),
        ", -1) + 1 THEN key << 32 | ?3 END"
    ));
    execute_insert(SQL, connection, origin, draft, record)
}

/// Adds a call after the last one of its draft, whichever that is, and gives its sequence.
fn insert_next(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    record: &Record<impl Json>,
) -> rusqlite::Result<Option<u64>> {
    const SQL: &str = insert_at!(concat!("coalesce(", last!("place"), " + 1, key << 32)"));
    let entered = execute_insert(SQL, connection, origin, draft, record)?;
    let sequence = connection.last_insert_rowid() & i64::from(u32::MAX);
    Ok(entered.then_some(sequence.cast_unsigned()))
}

fn execute_insert(
    sql: &str,
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    record: &Record<impl Json>,
) -> rusqlite::Result<bool> {
    let added = connection.prepare_cached(sql)?.execute(params![
        draft.as_str(),
        origin,
        signed(record.sequence),
        record.at_ms,
        record.engine_version,
        record.tool,
        record.arguments.text(),
        record.found,
        record.reply.text(),
    ]);
    match added {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Ok(false)
        }
        added => added.map(|_| true),
    }
}

/// SQLite's integers are signed, and a place has 32 bits for the sequence; no draft has as many calls.
fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// A row of `calls`, its JSON not parsed yet.
struct Stored {
    sequence: u64,
    tool: String,
    arguments: String,
    found: Option<String>,
    reply: String,
    engine_version: u32,
    at_ms: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get(0).map(i64::cast_unsigned)?,
            tool: row.get(1)?,
            arguments: row.get(2)?,
            found: row.get(3)?,
            reply: row.get(4)?,
            engine_version: row.get(5)?,
            at_ms: row.get(6)?,
        })
    }

    fn parse(self) -> serde_json::Result<Record> {
        Ok(Record {
            sequence: self.sequence,
            tool: self.tool,
            arguments: serde_json::from_str(&self.arguments)?,
            found: self.found,
            reply: serde_json::from_str(&self.reply)?,
            engine_version: self.engine_version,
            at_ms: self.at_ms,
        })
    }
}
