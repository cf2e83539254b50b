//! Copying what a journal contains, out of its file and into it.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use uuid::Uuid;

use super::{creations, jobs, rows};
use crate::draft::ids::DraftId;
use crate::journal::{
    CreationRow, DraftCalls, Imported, MergeRule, PortableCall, PortableDraft, PortableJob,
    PortableValue, StorePart,
};

macro_rules! call_columns {
    () => {
        "sequence, at_ms, engine_version, tool, arguments, found, reply, call, internal, document"
    };
}

fn call(row: &Row<'_>) -> rusqlite::Result<PortableCall> {
    Ok(PortableCall {
        sequence: row.get::<_, i64>(0)?.cast_unsigned(),
        at_ms: row.get(1)?,
        engine_version: row.get(2)?,
        tool: row.get(3)?,
        arguments: row.get(4)?,
        found: row.get(5)?,
        reply: row.get(6)?,
        call: row.get::<_, Option<[u8; 16]>>(7)?.map(Uuid::from_bytes),
        internal: row.get(8)?,
        document: row.get(9)?,
    })
}

/// Gives all parts to `send` until it returns false. `connection` is in a transaction, so that all are of one moment.
pub(super) fn export(
    connection: &Connection,
    now_ms: i64,
    send: &mut dyn FnMut(StorePart) -> bool,
) -> rusqlite::Result<()> {
    let mut sent = HashSet::new();
    let mut drafts = connection.prepare(
        "SELECT key, origin, id, name, edition, reason, created_ms, changed_ms, saved_to, deleted_ms, moved_origin, moved_id
         FROM drafts ORDER BY key",
    )?;
    let mut drafts = drafts.query([])?;
    while let Some(row) = drafts.next()? {
        let moved: Option<(String, String)> = row.get::<_, Option<_>>(10)?.zip(row.get(11)?);
        let draft = PortableDraft {
            origin: row.get(1)?,
            id: DraftId(row.get(2)?),
            name: row.get(3)?,
            edition: row.get(4)?,
            reason: row.get(5)?,
            created_ms: row.get(6)?,
            changed_ms: row.get(7)?,
            saved_to: row.get(8)?,
            deleted_ms: row.get(9)?,
            moved_to: moved.map(|(origin, id)| (origin, DraftId(id))),
        };
        if !export_calls(connection, row.get(0)?, draft, &mut sent, send)? {
            return Ok(());
        }
    }
    let mut statement = connection.prepare(
        "SELECT id, kind, draft, request, state, key, phase, attempt, runner, stop, updated_ms
         FROM jobs ORDER BY queued_ms, id",
    )?;
    let mut found = statement.query_map([], |row| {
        Ok(PortableJob {
            id: row.get(0)?,
            kind: row.get(1)?,
            draft: row.get::<_, Option<String>>(2)?.map(DraftId),
            request: row.get(3)?,
            state: row.get(4)?,
            key: row.get(5)?,
            phase: jobs::phase(row.get(6)?),
            attempt: row.get(7)?,
            runner: row.get(8)?,
            stop: row.get(9)?,
            updated_ms: row.get(10)?,
        })
    })?;
    while let Some(job) = found.next().transpose()? {
        if !send(StorePart::Job(Box::new(job))) {
            return Ok(());
        }
    }
    let mut statement = connection.prepare(
        "SELECT key, value, until_ms FROM shared_values WHERE coalesce(until_ms > ?1, 1) ORDER BY key",
    )?;
    let mut found = statement.query_map([now_ms], |row| {
        Ok(PortableValue {
            key: row.get(0)?,
            value: row.get(1)?,
            until_ms: row.get(2)?,
        })
    })?;
    while let Some(value) = found.next().transpose()? {
        if !send(StorePart::Value(value)) {
            return Ok(());
        }
    }
    creations::each(connection, |row| send(StorePart::Creation(Box::new(row))))
}

/// False if no one receives.
fn export_calls(
    connection: &Connection,
    key: i64,
    draft: PortableDraft,
    sent: &mut HashSet<String>,
    send: &mut dyn FnMut(StorePart) -> bool,
) -> rusqlite::Result<bool> {
    let mut part = DraftCalls::new(draft);
    let mut calls = connection.prepare_cached(concat!(
        "SELECT ",
        call_columns!(),
        " FROM calls WHERE place BETWEEN ?1 << 32 AND ?1 << 32 | 4294967295 ORDER BY place"
    ))?;
    let mut calls = calls.query_map([key], call)?;
    while let Some(call) = calls.next().transpose()? {
        if let Some(hash) = &call.document
            && !sent.contains(hash)
            && let Some(document) = rows::document(connection, hash)?
        {
            sent.insert(hash.clone());
            part.documents.push(document);
        }
        if part.push(call).is_some_and(|part| !send(part)) {
            return Ok(false);
        }
    }
    Ok(part.rest().is_none_or(send))
}

/// Adds what is missing, all or nothing.
pub(super) fn import(
    connection: &mut Connection,
    parts: &[StorePart],
    existing: MergeRule,
    now_ms: i64,
) -> rusqlite::Result<Vec<Imported>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = parts
        .iter()
        .map(|part| match part {
            StorePart::Draft(part) => import_draft(&transaction, part, existing),
            StorePart::Job(job) => import_job(&transaction, job, existing, now_ms),
            StorePart::Value(value) => import_value(&transaction, value, existing),
            StorePart::Creation(row) => import_creation(&transaction, row, existing),
        })
        .collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(done)
}

fn import_draft(
    connection: &Connection,
    part: &DraftCalls,
    existing: MergeRule,
) -> rusqlite::Result<Imported> {
    let (draft, first) = (&part.draft, part.calls.first());
    let known: Option<(i64, Option<i64>)> = connection
        .prepare_cached(
            "SELECT key, (SELECT sequence FROM calls WHERE place BETWEEN key << 32 AND key << 32 | 4294967295
                 ORDER BY place DESC LIMIT 1)
             FROM drafts WHERE id = ?1 AND origin = ?2",
        )?
        .query_row(params![draft.id.as_str(), draft.origin], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let there: Vec<PortableCall> = match (known, first, part.calls.last()) {
        (Some((key, _)), Some(first), Some(last)) => connection
            .prepare_cached(concat!(
                "SELECT ",
                call_columns!(),
                " FROM calls WHERE place BETWEEN ?1 << 32 | ?2 AND ?1 << 32 | ?3 ORDER BY place"
            ))?
            .query_map(
                params![
                    key,
                    first.sequence.cast_signed(),
                    last.sequence.cast_signed()
                ],
                call,
            )?
            .collect::<rusqlite::Result<_>>()?,
        _ => Vec::new(),
    };
    let last = known.and_then(|(_, last)| last.map(i64::cast_unsigned));
    let missing = match part.missing(&there, last) {
        Ok(missing) => missing,
        Err(sequence) => return Ok(Imported::Differs(sequence)),
    };
    let values = params![
        draft.origin,
        draft.id.as_str(),
        draft.name,
        draft.edition,
        draft.reason,
        draft.created_ms,
        draft.changed_ms,
        draft.saved_to,
        draft.deleted_ms,
        draft.moved_to.as_ref().map(|(origin, _)| origin),
        draft.moved_to.as_ref().map(|(_, id)| id.as_str()),
    ];
    let key = match known {
        Some((key, _)) => {
            if existing == MergeRule::Replace {
                connection
                    .prepare_cached(
                        "UPDATE drafts SET name = ?3, edition = ?4, reason = ?5, created_ms = ?6, changed_ms = ?7,
                             saved_to = ?8, deleted_ms = ?9, moved_origin = ?10, moved_id = ?11
                         WHERE origin = ?1 AND id = ?2",
                    )?
                    .execute(values)?;
            }
            key
        }
        None => {
            connection
                .prepare_cached(
                    "INSERT INTO drafts (origin, id, name, edition, reason, created_ms, changed_ms, saved_to, deleted_ms,
                         moved_origin, moved_id)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                )?
                .execute(values)?;
            connection.last_insert_rowid()
        }
    };
    for document in &part.documents {
        rows::put_document(connection, document)?;
    }
    for call in missing {
        connection
            .prepare_cached(
                "INSERT INTO calls (place, at_ms, engine_version, tool, arguments, found, reply, call, internal, document)
                 VALUES (?1 << 32 | ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                key,
                call.sequence.cast_signed(),
                call.at_ms,
                call.engine_version,
                call.tool,
                call.arguments,
                call.found,
                call.reply,
                call.call.map(Uuid::into_bytes),
                call.internal,
                call.document,
            ])?;
    }
    Ok(Imported::Written(missing.len() as u64))
}

/// A job that runs is not run by the process that its row names: its lease has ended.
fn import_job(
    connection: &Connection,
    job: &PortableJob,
    existing: MergeRule,
    now_ms: i64,
) -> rusqlite::Result<Imported> {
    let taken: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE key = ?1 AND id <> ?2)")?
        .query_row(params![job.key, job.id], |row| row.get(0))?;
    if taken {
        return Ok(Imported::KeyTaken);
    }
    let written = connection
        .prepare_cached(
            "INSERT INTO jobs (id, kind, draft, request, state, key, phase, attempt, runner, until_ms, stop, queued_ms,
                 updated_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10,
                 max(?12, (SELECT coalesce(max(queued_ms), 0) + 1 FROM jobs WHERE phase = 0)), ?11)
             ON CONFLICT (id) DO UPDATE SET draft = ?3, state = ?5, phase = ?7, attempt = ?8, runner = ?9, until_ms = 0,
                 stop = ?10, updated_ms = ?11
             WHERE ?13 AND (updated_ms < ?11 OR updated_ms = ?11 AND phase < ?7)",
        )?
        .execute(params![
            job.id,
            job.kind,
            job.draft.as_ref().map(DraftId::as_str),
            job.request,
            job.state,
            job.key,
            jobs::number(job.phase),
            job.attempt,
            job.runner,
            job.stop,
            job.updated_ms,
            now_ms,
            existing == MergeRule::Replace,
        ])?;
    Ok(Imported::Written(written as u64))
}

fn import_value(
    connection: &Connection,
    value: &PortableValue,
    existing: MergeRule,
) -> rusqlite::Result<Imported> {
    let written = connection
        .prepare_cached(
            "INSERT INTO shared_values (key, value, until_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET value = ?2, until_ms = ?3
             WHERE ?4 AND (value IS NOT ?2 OR until_ms IS NOT ?3)",
        )?
        .execute(params![
            value.key,
            value.value,
            value.until_ms,
            existing == MergeRule::Replace
        ])?;
    Ok(Imported::Written(written as u64))
}

fn import_creation(
    connection: &Connection,
    row: &CreationRow,
    existing: MergeRule,
) -> rusqlite::Result<Imported> {
    let is_written = match creations::find(connection, &row.key)? {
        None => true,
        Some(there) => existing == MergeRule::Replace && there != *row,
    };
    if is_written {
        creations::put(connection, row)?;
    }
    Ok(Imported::Written(is_written.into()))
}
