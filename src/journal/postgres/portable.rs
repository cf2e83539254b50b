//! Copying what a tenant has, out of the database and into it.

use std::collections::HashSet;

use tokio::sync::mpsc;
use tokio_postgres::Row;

use super::append::{lowered, signed};
use super::creations::{self, creation_row};
use super::database::{DatabasePool, DatabaseTransaction, TransactionUse, values};
use super::drafts::now_ms;
use super::failure;
use super::jobs::{key_hash, number, phase};
use super::text::{original, stored};
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::Result;
use crate::journal::{
    CreationRow, DraftCalls, Imported, MergeRule, PackedDocument, PortableCall, PortableDraft,
    PortableJob, PortableValue, StorePart,
};

/// How many rows are read at once.
const PAGE: i64 = 100;

macro_rules! call_columns {
    () => {
        "sequence, at_ms, engine_version, tool, arguments, found, reply, call, internal, document"
    };
}

/// Reads the columns of a row one after the other.
struct RowColumns<'a> {
    database: &'a DatabasePool,
    row: &'a Row,
    next: usize,
}

impl<'a> RowColumns<'a> {
    fn new(database: &'a DatabasePool, row: &'a Row) -> Self {
        Self {
            database,
            row,
            next: 0,
        }
    }

    fn value<T: tokio_postgres::types::FromSql<'a>>(&mut self) -> Result<T> {
        let at = self.next;
        self.next += 1;
        self.database.get(self.row, at)
    }

    fn text(&mut self) -> Result<String> {
        self.value().map(original)
    }

    fn maybe(&mut self) -> Result<Option<String>> {
        Ok(self.value::<Option<String>>()?.map(original))
    }
}

fn portable_call(database: &DatabasePool, row: &Row) -> Result<PortableCall> {
    let mut columns = RowColumns::new(database, row);
    Ok(PortableCall {
        sequence: columns.value::<i64>()?.cast_unsigned(),
        at_ms: columns.value()?,
        engine_version: u32::try_from(columns.value::<i64>()?).unwrap_or(u32::MAX),
        tool: columns.text()?,
        arguments: columns.text()?,
        found: columns.maybe()?,
        reply: columns.text()?,
        call: columns.value()?,
        internal: columns.value()?,
        document: columns.maybe()?,
    })
}

/// Sends everything of a tenant, in one transaction that sees the database as it was at its beginning.
pub(super) async fn export(
    database: &DatabasePool,
    who: &TenantName,
    to: &mpsc::Sender<StorePart>,
) -> Result<()> {
    let mut held = database.long_connection().await?;
    let transaction = held.begin(TransactionUse::Snapshot).await?;
    if export_drafts(&transaction, who, to).await?
        && export_jobs(&transaction, who, to).await?
        && export_values(&transaction, who, to).await?
    {
        export_creations(&transaction, who, to).await?;
    }
    transaction.commit().await
}

/// As the other functions here, false if no one receives.
async fn export_drafts(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    to: &mpsc::Sender<StorePart>,
) -> Result<bool> {
    const SQL: &str = "
        SELECT key, origin, id, name, edition, reason, created_ms, changed_ms, saved_to, deleted_ms, moved_origin, moved_id
        FROM capcut_mcp.drafts WHERE tenant = $1 AND key > $2 ORDER BY key LIMIT $3";
    let database = transaction.database();
    let mut sent = HashSet::new();
    let mut after = i64::MIN;
    loop {
        let values = values![TEXT who.as_str(), INT8 after, INT8 PAGE];
        let rows = transaction.query(SQL, values).await?;
        for row in &rows {
            let mut columns = RowColumns::new(database, row);
            after = columns.value()?;
            let draft = PortableDraft {
                origin: columns.text()?,
                id: DraftId(columns.text()?),
                name: columns.text()?,
                edition: columns.text()?,
                reason: columns.text()?,
                created_ms: columns.value()?,
                changed_ms: columns.value()?,
                saved_to: columns.maybe()?,
                deleted_ms: columns.value()?,
                moved_to: columns.maybe()?.zip(columns.maybe()?.map(DraftId)),
            };
            if !export_calls(transaction, who, after, draft, &mut sent, to).await? {
                return Ok(false);
            }
        }
        if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
            return Ok(true);
        }
    }
}

async fn export_calls(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    key: i64,
    draft: PortableDraft,
    sent: &mut HashSet<String>,
    to: &mpsc::Sender<StorePart>,
) -> Result<bool> {
    const SQL: &str = concat!(
        "SELECT ",
        call_columns!(),
        " FROM capcut_mcp.calls WHERE draft = $1 AND sequence > $2 ORDER BY sequence LIMIT $3"
    );
    const DOCUMENT: &str =
        "SELECT packed FROM capcut_mcp.documents WHERE tenant = $1 AND hash = $2";
    let database = transaction.database();
    let mut part = DraftCalls::new(draft);
    let mut after = -1_i64;
    loop {
        let values = values![INT8 key, INT8 after, INT8 PAGE];
        let rows = transaction.query(SQL, values).await?;
        for row in &rows {
            let call = portable_call(database, row)?;
            after = signed(call.sequence);
            if let Some(hash) = &call.document
                && !sent.contains(hash)
            {
                let values = values![TEXT who.as_str(), TEXT stored(hash)];
                let found = transaction.query(DOCUMENT, values).await?;
                if let Some(row) = found.first() {
                    sent.insert(hash.clone());
                    part.documents.push(PackedDocument {
                        hash: hash.clone(),
                        packed: database.get(row, 0)?,
                    });
                }
            }
            if let Some(part) = part.push(call)
                && to.send(part).await.is_err()
            {
                return Ok(false);
            }
        }
        if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
            break;
        }
    }
    match part.rest() {
        Some(part) => Ok(to.send(part).await.is_ok()),
        None => Ok(true),
    }
}

async fn export_jobs(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    to: &mpsc::Sender<StorePart>,
) -> Result<bool> {
    const SQL: &str = "
        SELECT queued, id, kind, draft, request, state, key, phase, attempt, runner, stop, updated_ms
        FROM capcut_mcp.jobs WHERE tenant = $1 AND (queued, id) > ($2, $3) ORDER BY queued, id LIMIT $4";
    let (mut queued, mut id) = (i64::MIN, String::new());
    loop {
        let values = values![TEXT who.as_str(), INT8 queued, TEXT stored(&id), INT8 PAGE];
        let rows = transaction.query(SQL, values).await?;
        for row in &rows {
            let mut columns = RowColumns::new(transaction.database(), row);
            queued = columns.value()?;
            let job = PortableJob {
                id: columns.text()?,
                kind: columns.text()?,
                draft: columns.maybe()?.map(DraftId),
                request: columns.text()?,
                state: columns.text()?,
                key: columns.maybe()?,
                phase: phase(columns.value()?),
                attempt: u32::try_from(columns.value::<i64>()?).unwrap_or(u32::MAX),
                runner: columns.text()?,
                stop: columns.value()?,
                updated_ms: columns.value()?,
            };
            id.clone_from(&job.id);
            if to.send(StorePart::Job(Box::new(job))).await.is_err() {
                return Ok(false);
            }
        }
        if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
            return Ok(true);
        }
    }
}

async fn export_values(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    to: &mpsc::Sender<StorePart>,
) -> Result<bool> {
    const SQL: &str = concat!(
        "SELECT key, value, until_ms FROM capcut_mcp.shared_values
         WHERE tenant = $1 AND key > $2 AND (until_ms IS NULL OR until_ms > ",
        now_ms!(),
        ") ORDER BY key LIMIT $3"
    );
    let mut after = String::new();
    loop {
        let values = values![TEXT who.as_str(), TEXT stored(&after), INT8 PAGE];
        let rows = transaction.query(SQL, values).await?;
        for row in &rows {
            let mut columns = RowColumns::new(transaction.database(), row);
            let value = PortableValue {
                key: columns.text()?,
                value: columns.value()?,
                until_ms: columns.value()?,
            };
            after.clone_from(&value.key);
            if to.send(StorePart::Value(value)).await.is_err() {
                return Ok(false);
            }
        }
        if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
            return Ok(true);
        }
    }
}

async fn export_creations(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    to: &mpsc::Sender<StorePart>,
) -> Result<bool> {
    const SQL: &str = concat!(
        "SELECT ",
        creations::columns!(),
        " FROM capcut_mcp.creations WHERE tenant = $1 AND key > $2 ORDER BY key LIMIT $3"
    );
    let mut after = String::new();
    loop {
        let values = values![TEXT who.as_str(), TEXT stored(&after), INT8 PAGE];
        let rows = transaction.query(SQL, values).await?;
        for row in &rows {
            let row = creation_row(transaction.database(), row)?;
            after.clone_from(&row.key);
            if to.send(StorePart::Creation(Box::new(row))).await.is_err() {
                return Ok(false);
            }
        }
        if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
            return Ok(true);
        }
    }
}

/// Adds what is missing, all or nothing.
pub(super) async fn import(
    database: &DatabasePool,
    who: &TenantName,
    parts: &[StorePart],
    existing: MergeRule,
) -> Result<Vec<Imported>> {
    let mut held = database.long_connection().await?;
    let transaction = held.begin(TransactionUse::Write).await?;
    let known = "INSERT INTO capcut_mcp.tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING";
    transaction.query(known, values![TEXT who.as_str()]).await?;
    let mut done = Vec::with_capacity(parts.len());
    for part in parts {
        done.push(match part {
            StorePart::Draft(part) => import_draft(&transaction, who, part, existing).await?,
            StorePart::Job(job) => import_job(&transaction, who, job, existing).await?,
            StorePart::Value(value) => import_value(&transaction, who, value, existing).await?,
            StorePart::Creation(row) => import_creation(&transaction, who, row, existing).await?,
        });
    }
    transaction.commit().await?;
    held.keep();
    Ok(done)
}

async fn import_draft(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    part: &DraftCalls,
    existing: MergeRule,
) -> Result<Imported> {
    const FIND: &str = "SELECT key, last_sequence FROM capcut_mcp.drafts
        WHERE tenant = $1 AND origin = $2 AND id = $3 FOR NO KEY UPDATE";
    const THERE: &str = concat!(
        "SELECT ",
        call_columns!(),
        " FROM capcut_mcp.calls WHERE draft = $1 AND sequence BETWEEN $2 AND $3 ORDER BY sequence"
    );
    let database = transaction.database();
    let (draft, calls) = (&part.draft, &part.calls);
    let (Some(first), Some(last)) = (calls.first(), calls.last()) else {
        return Ok(Imported::Written(0));
    };
    let values =
        values![TEXT who.as_str(), TEXT stored(&draft.origin), TEXT stored(draft.id.as_str())];
    let found = transaction.query(FIND, values).await?;
    let known: Option<(i64, u64)> = match found.first() {
        None => None,
        Some(row) => Some((
            database.get(row, 0)?,
            database.get::<i64>(row, 1)?.cast_unsigned(),
        )),
    };
    let mut there = Vec::new();
    if let Some((key, _)) = known {
        let values = values![INT8 key, INT8 signed(first.sequence), INT8 signed(last.sequence)];
        for row in &transaction.query(THERE, values).await? {
            there.push(portable_call(database, row)?);
        }
    }
    let missing = match part.missing(&there, known.map(|(_, last)| last)) {
        Ok(missing) => missing,
        Err(sequence) => return Ok(Imported::Differs(sequence)),
    };
    for document in &part.documents {
        const SQL: &str = "
            INSERT INTO capcut_mcp.documents AS documents (tenant, hash, packed) VALUES ($1, $2, $3)
            ON CONFLICT (tenant, hash) DO UPDATE SET uses = documents.uses + 1";
        let values = values![TEXT who.as_str(), TEXT stored(&document.hash), BYTEA document.packed];
        transaction.query(SQL, values).await?;
    }
    let key = match known {
        None => Some(put_draft(transaction, who, draft, None).await?),
        Some((key, _)) if existing == MergeRule::Replace => {
            Some(put_draft(transaction, who, draft, Some(key)).await?)
        }
        Some((key, _)) => Some(key),
    };
    let (Some(key), false) = (key, missing.is_empty()) else {
        return Ok(Imported::Written(0));
    };
    put_calls(transaction, key, missing).await?;
    Ok(Imported::Written(missing.len() as u64))
}

/// Writes the row of a draft, a new one or that with this key, and returns its key.
async fn put_draft(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    draft: &PortableDraft,
    key: Option<i64>,
) -> Result<i64> {
    const NEW: &str = "
        INSERT INTO capcut_mcp.drafts (tenant, origin, id, name, lower_name, edition, reason, created_ms, changed_ms, saved_to,
            deleted_ms, moved_origin, moved_id, last_ms, last_sequence, internal_calls)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $8, -1, 0) RETURNING key";
    const CHANGE: &str = "
        UPDATE capcut_mcp.drafts SET name = $4, lower_name = $5, edition = $6, reason = $7, created_ms = $8, changed_ms = $9,
            saved_to = $10, deleted_ms = $11, moved_origin = $12, moved_id = $13
        WHERE tenant = $1 AND origin = $2 AND id = $3 RETURNING key";
    let moved = draft.moved_to.as_ref();
    let sql = if key.is_none() { NEW } else { CHANGE };
    let rows = transaction
        .query(
            sql,
            values![
                TEXT who.as_str(),
                TEXT stored(&draft.origin),
                TEXT stored(draft.id.as_str()),
                TEXT stored(&draft.name),
                TEXT lowered(&draft.name),
                TEXT stored(&draft.edition),
                TEXT stored(&draft.reason),
                INT8 draft.created_ms,
                INT8 draft.changed_ms,
                TEXT draft.saved_to.as_deref().map(stored),
                INT8 draft.deleted_ms,
                TEXT moved.map(|(origin, _)| stored(origin)),
                TEXT moved.map(|(_, id)| stored(id.as_str())),
            ],
        )
        .await?;
    let database = transaction.database();
    let Some(row) = rows.first() else {
        return Err(failure::damaged(
            &database.address,
            &format!("draft {} was removed while it was locked", draft.id),
        ));
    };
    database.get(row, 0)
}

/// One value of each call.
fn each<'a, T>(calls: &'a [PortableCall], get: impl Fn(&'a PortableCall) -> T) -> Vec<T> {
    calls.iter().map(get).collect()
}

async fn put_calls(
    transaction: &DatabaseTransaction<'_>,
    key: i64,
    calls: &[PortableCall],
) -> Result<()> {
    const ADD: &str = concat!(
        "INSERT INTO capcut_mcp.calls (draft, ",
        call_columns!(),
        ") SELECT $1, * FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::uuid[], $10::bool[], $11::text[])"
    );
    const COUNT: &str = "
        UPDATE capcut_mcp.drafts SET last_sequence = $2, last_ms = $3, internal_calls = internal_calls + $4 WHERE key = $1";
    let Some(last) = calls.last() else {
        return Ok(());
    };
    transaction
        .query(
            ADD,
            values![
                INT8 key,
                INT8_ARRAY each(calls, |call| signed(call.sequence)),
                INT8_ARRAY each(calls, |call| call.at_ms),
                INT8_ARRAY each(calls, |call| i64::from(call.engine_version)),
                TEXT_ARRAY each(calls, |call| stored(&call.tool)),
                TEXT_ARRAY each(calls, |call| stored(&call.arguments)),
                TEXT_ARRAY each(calls, |call| call.found.as_deref().map(stored)),
                TEXT_ARRAY each(calls, |call| stored(&call.reply)),
                UUID_ARRAY each(calls, |call| call.call),
                BOOL_ARRAY each(calls, |call| call.internal),
                TEXT_ARRAY each(calls, |call| call.document.as_deref().map(stored)),
            ],
        )
        .await?;
    let internal = calls.iter().filter(|call| call.internal).count();
    let internal = i64::try_from(internal).unwrap_or(i64::MAX);
    let values = values![INT8 key, INT8 signed(last.sequence), INT8 last.at_ms, INT8 internal];
    transaction.query(COUNT, values).await?;
    Ok(())
}

/// A job that runs is not run by the process that its row names: its lease has ended.
async fn import_job(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    job: &PortableJob,
    existing: MergeRule,
) -> Result<Imported> {
    const TAKEN: &str =
        "SELECT 1 FROM capcut_mcp.jobs WHERE tenant = $1 AND key_hash = $2 AND id <> $3";
    const SQL: &str = "
        INSERT INTO capcut_mcp.jobs AS jobs (tenant, id, kind, draft, request, state, key, key_hash, phase, attempt, runner,
            until_ms, queued, stop, updated_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, nextval('capcut_mcp.queue'), $12, $13)
        ON CONFLICT (tenant, id) DO UPDATE SET draft = excluded.draft, state = excluded.state, phase = excluded.phase,
            attempt = excluded.attempt, runner = excluded.runner, until_ms = 0, stop = excluded.stop,
            updated_ms = excluded.updated_ms
        WHERE $14 AND (jobs.updated_ms, jobs.phase) < (excluded.updated_ms, excluded.phase)
        RETURNING 1";
    let hash: Option<[u8; 32]> = job.key.as_deref().map(key_hash);
    let hash = hash.as_ref().map(<[u8; 32]>::as_slice);
    if hash.is_some() {
        let values = values![TEXT who.as_str(), BYTEA hash, TEXT stored(&job.id)];
        if !transaction.query(TAKEN, values).await?.is_empty() {
            return Ok(Imported::KeyTaken);
        }
    }
    let rows = transaction
        .query(
            SQL,
            values![
                TEXT who.as_str(),
                TEXT stored(&job.id),
                TEXT stored(&job.kind),
                TEXT job.draft.as_ref().map(|draft| stored(draft.as_str())),
                TEXT stored(&job.request),
                TEXT stored(&job.state),
                TEXT job.key.as_deref().map(stored),
                BYTEA hash,
                INT2 number(job.phase),
                INT8 i64::from(job.attempt),
                TEXT stored(&job.runner),
                BOOL job.stop,
                INT8 job.updated_ms,
                BOOL existing == MergeRule::Replace,
            ],
        )
        .await?;
    Ok(Imported::Written(rows.len() as u64))
}

async fn import_value(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    value: &PortableValue,
    existing: MergeRule,
) -> Result<Imported> {
    const SQL: &str = "
        INSERT INTO capcut_mcp.shared_values AS own (tenant, key, value, until_ms) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value, until_ms = excluded.until_ms
        WHERE $5 AND (own.value, own.until_ms) IS DISTINCT FROM (excluded.value, excluded.until_ms)
        RETURNING 1";
    let rows = transaction
        .query(
            SQL,
            values![
                TEXT who.as_str(),
                TEXT stored(&value.key),
                BYTEA value.value,
                INT8 value.until_ms,
                BOOL existing == MergeRule::Replace,
            ],
        )
        .await?;
    Ok(Imported::Written(rows.len() as u64))
}

async fn import_creation(
    transaction: &DatabaseTransaction<'_>,
    who: &TenantName,
    row: &CreationRow,
    existing: MergeRule,
) -> Result<Imported> {
    const FIND: &str = concat!(
        "SELECT ",
        creations::columns!(),
        " FROM capcut_mcp.creations WHERE tenant = $1 AND key = $2 FOR UPDATE"
    );
    let values = values![TEXT who.as_str(), TEXT stored(&row.key)];
    let found = transaction.query(FIND, values).await?;
    let is_written = match found.first() {
        None => true,
        Some(there) => {
            existing == MergeRule::Replace && creation_row(transaction.database(), there)? != *row
        }
    };
    if is_written {
        let values = creations::put_values!(who, row);
        transaction.query(creations::PUT, values).await?;
    }
    Ok(Imported::Written(is_written.into()))
}
