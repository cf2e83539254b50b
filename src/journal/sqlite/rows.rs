//! The SQL statements: each function is one query or one change.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use super::jobs;
use crate::draft::ids::DraftId;
use crate::journal::{
    Appended, CallPosition, DraftRow, NewDraftRow, NewRecord, PackedDocument, Record, after,
};

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

/// The columns of a draft. The number of calls and the time of the last one are queried, not stored, so that
/// adding a call writes nothing else.
const COLUMNS: &str = concat!(
    "origin, id, name, edition, reason, created_ms, max(changed_ms, ",
    last!("at_ms"),
    ") AS modified_ms, ",
    last!("sequence"),
    " + 1 - (SELECT count(*) FROM calls WHERE internal AND place BETWEEN key << 32 AND key << 32 | 4294967295)",
    ", saved_to, deleted_ms, moved_origin, moved_id"
);

/// Adds a call to the draft ?1 of origin ?2, in one statement and so atomically. If the draft is unknown, in the
/// trash or moved, or if the position is not free, the key violates the check or is null, and the insert fails.
macro_rules! insert_at {
    ($place:expr) => {
        concat!(
            "INSERT INTO calls (place, at_ms, engine_version, tool, arguments, found, reply, call, internal, document)
             VALUES (
                 coalesce(
                     (SELECT ",
            $place,
            " FROM drafts
                      WHERE id = ?1 AND origin = ?2 AND deleted_ms IS NULL AND moved_id IS NULL),
                     -1),
                 ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        )
    };
}

/// Adds a draft with its first call, inside the caller's transaction, if its id is free.
pub(super) fn create(
    transaction: &Connection,
    draft: &NewDraftRow,
    record: &NewRecord,
) -> rusqlite::Result<Option<Appended>> {
    if let Some(fence) = &record.fence
        && !jobs::is_held(transaction, fence)?
    {
        return Ok(None);
    }
    let added = transaction
        .prepare_cached(
            "INSERT INTO drafts (origin, id, name, edition, reason, created_ms, changed_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
             ON CONFLICT (id, origin) DO NOTHING",
        )?
        .execute(params![
            draft.origin,
            draft.id.as_str(),
            draft.name,
            draft.edition,
            draft.reason,
            record.at_ms
        ])?;
    if added == 0 {
        return Ok(None);
    }
    let entered = insert(
        transaction,
        &draft.origin,
        &draft.id,
        record,
        CallPosition::Sequence(0),
    )?;
    // A draft without its first call must not be stored.
    entered
        .map(Some)
        .ok_or(rusqlite::Error::StatementChangedRows(0))
}

/// Like [`create`], in its own transaction. It takes the write lock at the start: if a transaction reads first and
/// another process writes before it does, SQLite fails without waiting.
pub(super) fn create_alone(
    connection: &mut Connection,
    draft: &NewDraftRow,
    record: &NewRecord,
) -> rusqlite::Result<Option<Appended>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let entered = create(&transaction, draft, record)?;
    transaction.commit()?;
    Ok(entered)
}

/// Adds a call with the document and the name of the draft that it has, together or not at all; not if another process
/// has taken over the job that makes it.
pub(super) fn insert(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    record: &NewRecord,
    at: CallPosition,
) -> rusqlite::Result<Option<Appended>> {
    if record.document.is_none() && record.name.is_none() && record.fence.is_none() {
        return insert_call(connection, origin, draft, record, at);
    }
    connection.execute_batch("SAVEPOINT with_more")?;
    let attempt = || {
        if let Some(fence) = &record.fence
            && !jobs::is_held(connection, fence)?
        {
            return Ok(None);
        }
        if let Some(document) = &record.document {
            put_document(connection, document)?;
        }
        let entered = insert_call(connection, origin, draft, record, at)?;
        set_name(connection, origin, draft, record)?;
        Ok(entered)
    };
    let entered = attempt();
    let end = match &entered {
        Ok(Some(_)) => "RELEASE with_more",
        _ => "ROLLBACK TO with_more; RELEASE with_more",
    };
    let ended = connection.execute_batch(end);
    if ended.is_err() {
        // A lock that another process has at this moment must not leave a transaction open.
        let _ = connection.execute_batch("ROLLBACK TO with_more; RELEASE with_more");
    }
    entered.and_then(|entered| ended.map(|()| entered))
}

pub(super) fn put_document(
    connection: &Connection,
    document: &PackedDocument,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO documents (hash, packed) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING",
        )?
        .execute(params![document.hash, document.packed])?;
    Ok(())
}

fn set_name(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    record: &NewRecord,
) -> rusqlite::Result<()> {
    if let Some(name) = &record.name {
        connection.execute(
            "UPDATE drafts SET name = ?3 WHERE id = ?1 AND origin = ?2",
            params![draft.as_str(), origin, name],
        )?;
    }
    Ok(())
}

/// Adds a call, if its position is free. With [`CallPosition::End`], a call that was already added is not added again.
fn insert_call(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    record: &NewRecord,
    at: CallPosition,
) -> rusqlite::Result<Option<Appended>> {
    const THERE: &str = insert_at!(concat!(
        "CASE WHEN ?3 = coalesce(",
        last!("sequence"),
        ", -1) + 1 THEN key << 32 | ?3 END"
    ));
    // ?3 is 0 here.
    const LAST: &str = insert_at!(concat!(
        "coalesce(",
        last!("place"),
        " + 1, key << 32 | ?3)"
    ));
    let (sql, sequence) = match at {
        CallPosition::Sequence(sequence) => (THERE, signed(sequence)),
        CallPosition::End => {
            if let Some(sequence) = recent_sequence(connection, origin, draft, record.call)? {
                return Ok(Some(Appended::Already(sequence)));
            }
            (LAST, 0)
        }
    };
    let added = connection.prepare_cached(sql)?.execute(params![
        draft.as_str(),
        origin,
        sequence,
        record.at_ms,
        record.engine_version,
        record.tool,
        record.arguments,
        record.found,
        record.reply,
        record.call.as_bytes(),
        record.internal,
        record.document.as_ref().map(|document| &document.hash),
    ]);
    match added {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(None),
        added => {
            added?;
            let sequence = connection.last_insert_rowid() & i64::from(u32::MAX);
            Ok(Some(Appended::Done(sequence.cast_unsigned())))
        }
    }
}

/// The sequence of a call if it is one of the last 33. Retries follow soon, so an index of all ids, which would
/// slow down every insert, is not needed.
fn recent_sequence(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    call: Uuid,
) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached(concat!(
            "SELECT sequence FROM drafts
             JOIN calls ON place BETWEEN max(key << 32, ",
            last!("place"),
            " - 32) AND key << 32 | 4294967295
             WHERE id = ?1 AND origin = ?2 AND call = ?3"
        ))?
        .query_row(params![draft.as_str(), origin, call.as_bytes()], |row| {
            row.get(0).map(i64::cast_unsigned)
        })
        .optional()
}

/// The id of the call at this sequence; none if there is no call, or if it was added by a version without ids.
pub(super) fn call_at(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    sequence: u64,
) -> rusqlite::Result<Option<Uuid>> {
    let call: Option<Option<[u8; 16]>> = connection
        .prepare_cached(
            "SELECT call FROM drafts JOIN calls ON place = key << 32 | ?3
             WHERE id = ?1 AND origin = ?2",
        )?
        .query_row(params![draft.as_str(), origin, signed(sequence)], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(call.flatten().map(Uuid::from_bytes))
}

pub(super) fn records(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    from: u64,
) -> rusqlite::Result<Vec<Stored>> {
    connection
        .prepare_cached(
            "SELECT sequence, tool, arguments, found, reply, engine_version, at_ms, internal
             FROM drafts JOIN calls ON place BETWEEN key << 32 | ?3 AND key << 32 | 4294967295
             WHERE id = ?1 AND origin = ?2
             ORDER BY place",
        )?
        .query_map(params![draft.as_str(), origin, signed(from)], Stored::read)?
        .collect()
}

pub(super) fn last_sequence(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
) -> rusqlite::Result<Option<u64>> {
    let last: Option<i64> = connection
        .prepare_cached(concat!(
            "SELECT ",
            last!("sequence"),
            " FROM drafts WHERE id = ?1 AND origin = ?2 AND deleted_ms IS NULL",
        ))?
        .query_row(params![draft.as_str(), origin], |row| row.get(0))
        .optional()?;
    Ok(last.map(i64::cast_unsigned))
}

pub(super) fn find(connection: &Connection, draft: &DraftId) -> rusqlite::Result<Option<DraftRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM drafts WHERE id = ?1
             ORDER BY deleted_ms IS NOT NULL, modified_ms DESC LIMIT 1"
        ))?
        .query_row(params![draft.as_str()], draft_row)
        .optional()
}

pub(super) fn find_at(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
) -> rusqlite::Result<Option<DraftRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM drafts WHERE id = ?1 AND origin = ?2"
        ))?
        .query_row(params![draft.as_str(), origin], draft_row)
        .optional()
}

/// Whether there are so few drafts that a list of them is made in less time than another thread needs to start.
pub(super) fn are_few(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT coalesce(max(key) - min(key), 0) < 100 FROM drafts")?
        .query_row([], |row| row.get(0))
}

/// `wanted` must be lower case.
pub(super) fn list(
    connection: &Connection,
    include_deleted: bool,
    limit: usize,
    wanted: Option<&str>,
) -> rusqlite::Result<Vec<DraftRow>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM drafts WHERE ?1 OR deleted_ms IS NULL
         ORDER BY modified_ms DESC, key DESC"
    ))?;
    let rows = statement.query_map(params![include_deleted], draft_row)?;
    rows.filter(|row| match (row, wanted) {
        (Ok(row), Some(wanted)) => {
            row.id.as_str().contains(wanted) || row.name.to_lowercase().contains(wanted)
        }
        _ => true,
    })
    .take(limit)
    .collect()
}

pub(super) fn set_saved(
    connection: &Connection,
    origin: &str,
    draft: &DraftId,
    folder: &str,
    now_ms: i64,
) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE drafts SET saved_to = ?3, changed_ms = max(changed_ms, ?4)
         WHERE id = ?1 AND origin = ?2",
        params![draft.as_str(), origin, folder, now_ms],
    )
}

pub(super) fn set_moved(
    connection: &Connection,
    (origin, draft): (&str, &DraftId),
    last: u64,
    (to_origin, to): (&str, &DraftId),
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let changed = connection.execute(
        concat!(
            "UPDATE drafts SET moved_origin = ?3, moved_id = ?4, changed_ms = max(changed_ms, ?5)
             WHERE id = ?1 AND origin = ?2 AND moved_id IS NULL AND ?6 = ",
            last!("sequence")
        ),
        params![
            draft.as_str(),
            origin,
            to_origin,
            to.as_str(),
            now_ms,
            signed(last)
        ],
    )?;
    Ok(changed > 0)
}

pub(super) fn journal_id(connection: &Connection) -> rusqlite::Result<String> {
    connection
        .prepare_cached("SELECT id FROM journal")?
        .query_row([], |row| row.get(0))
}

/// Acquires the lease if it is free, expired or held by `holder`; returns whether `holder` has it now.
pub(super) fn lease(
    connection: &Connection,
    key: &str,
    holder: Uuid,
    now_ms: i64,
    until_ms: i64,
) -> rusqlite::Result<bool> {
    let taken = connection
        .prepare_cached(
            "INSERT INTO leases (key, holder, until_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET holder = ?2, until_ms = ?3
             WHERE holder = ?2 OR until_ms <= ?4",
        )?
        .execute(params![key, holder.to_string(), until_ms, now_ms])?;
    Ok(taken > 0)
}

pub(super) fn release(connection: &Connection, key: &str, holder: Uuid) -> rusqlite::Result<()> {
    connection.execute(
        "DELETE FROM leases WHERE key = ?1 AND holder = ?2",
        params![key, holder.to_string()],
    )?;
    Ok(())
}

pub(super) fn is_leased(connection: &Connection, key: &str, now_ms: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM leases WHERE key = ?1 AND until_ms > ?2)")?
        .query_row(params![key, now_ms], |row| row.get(0))
}

pub(super) fn value(
    connection: &Connection,
    key: &str,
    now_ms: i64,
) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached(
            "SELECT value FROM shared_values WHERE key = ?1 AND coalesce(until_ms > ?2, 1)",
        )?
        .query_row(params![key, now_ms], |row| row.get(0))
        .optional()
}

/// Writes a value if it is still as it was seen.
pub(super) fn set_value(
    connection: &mut Connection,
    key: &str,
    (seen, new): (Option<&[u8]>, Option<&[u8]>),
    now_ms: i64,
    lasts: Option<Duration>,
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if value(&transaction, key, now_ms)?.as_deref() != seen {
        return Ok(false);
    }
    match new {
        Some(new) => put_value(&transaction, key, new, now_ms, lasts)?,
        None => {
            transaction.execute("DELETE FROM shared_values WHERE key = ?1", params![key])?;
        }
    }
    transaction.commit()?;
    Ok(true)
}

/// Writes a value, and removes those whose time is over.
pub(super) fn put_value(
    connection: &Connection,
    key: &str,
    new: &[u8],
    now_ms: i64,
    lasts: Option<Duration>,
) -> rusqlite::Result<()> {
    let until_ms = lasts.map(|lasts| after(now_ms, lasts));
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO shared_values (key, value, until_ms) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![key, new, until_ms])?;
    connection
        .prepare_cached("DELETE FROM shared_values WHERE until_ms <= ?1")?
        .execute(params![now_ms])?;
    Ok(())
}

pub(super) fn delete(
    connection: &Connection,
    draft: &DraftId,
    now_ms: i64,
) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE drafts SET deleted_ms = coalesce(deleted_ms, ?2) WHERE id = ?1",
        params![draft.as_str(), now_ms],
    )
}

pub(super) fn restore(connection: &Connection, draft: &DraftId) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE drafts SET deleted_ms = NULL WHERE id = ?1",
        params![draft.as_str()],
    )
}

pub(super) fn document(
    connection: &Connection,
    hash: &str,
) -> rusqlite::Result<Option<PackedDocument>> {
    connection
        .prepare_cached("SELECT packed FROM documents WHERE hash = ?1")?
        .query_row(params![hash], |row| {
            Ok(PackedDocument {
                hash: hash.to_owned(),
                packed: row.get(0)?,
            })
        })
        .optional()
}

/// Removes the drafts that were in the trash at `until_ms`. SQLite reuses their space in the file.
pub(super) fn empty_trash(connection: &mut Connection, until_ms: i64) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
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
    transaction.execute(
        "DELETE FROM documents
         WHERE NOT EXISTS (SELECT 1 FROM calls WHERE calls.document = documents.hash)",
        [],
    )?;
    transaction.commit()?;
    Ok(gone as u64)
}

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

/// SQLite's integers are signed, and the key has 32 bits for the sequence; no draft has that many calls.
fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// A row of `calls` with unparsed JSON.
pub(super) struct Stored {
    pub sequence: u64,
    tool: String,
    arguments: String,
    found: Option<String>,
    reply: String,
    engine_version: u32,
    at_ms: i64,
    internal: bool,
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
            internal: row.get(7)?,
        })
    }

    pub(super) fn parse(self) -> serde_json::Result<Record> {
        Ok(Record {
            sequence: self.sequence,
            tool: self.tool,
            arguments: serde_json::from_str(&self.arguments)?,
            found: self.found,
            reply: serde_json::from_str(&self.reply)?,
            engine_version: self.engine_version,
            at_ms: self.at_ms,
            internal: self.internal,
        })
    }
}
