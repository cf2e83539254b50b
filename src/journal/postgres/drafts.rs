//! Queries and changes of drafts.

use tokio_postgres::Row;

use super::append::{lowered, signed};
use super::database::{DatabasePool, StatementWork, millis, values};
use super::failure;
use super::text::{original, stored};
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::Result;
use crate::journal::{DraftRow, Fence, PackedDocument, Record, taken_over, unknown};

use std::time::Duration;

/// The database's time in milliseconds since 1970.
macro_rules! now_ms {
    () => {
        "(extract(epoch FROM now()) * 1000)::int8"
    };
}
pub(super) use now_ms;

/// The condition on the draft $3 of origin $2 of the tenant $1.
macro_rules! at {
    () => {
        "tenant = $1 AND origin = $2 AND id = $3"
    };
}

const COLUMNS: &str =
    "origin, id, name, edition, reason, created_ms, greatest(changed_ms, last_ms),
    last_sequence + 1 - internal_calls, saved_to, deleted_ms, moved_origin, moved_id";

fn draft_row(database: &DatabasePool, row: &Row) -> Result<DraftRow> {
    let text = |column| database.get(row, column).map(original);
    let maybe = |column| -> Result<Option<String>> {
        Ok(database.get::<Option<String>>(row, column)?.map(original))
    };
    Ok(DraftRow {
        origin: text(0)?,
        id: DraftId(text(1)?),
        name: text(2)?,
        edition: text(3)?,
        reason: text(4)?,
        created_ms: database.get(row, 5)?,
        modified_ms: database.get(row, 6)?,
        calls: database.get::<i64>(row, 7)?.cast_unsigned(),
        saved_to: maybe(8)?,
        deleted_ms: database.get(row, 9)?,
        moved_to: maybe(10)?.zip(maybe(11)?.map(DraftId)),
    })
}

pub(super) async fn records(
    database: &DatabasePool,
    who: &TenantName,
    origin: &str,
    draft: &DraftId,
    from: u64,
) -> Result<Vec<Record>> {
    const SQL: &str = concat!(
        "SELECT sequence, tool, arguments, found, reply, engine_version, at_ms, internal
         FROM capcut_mcp.drafts JOIN capcut_mcp.calls ON calls.draft = drafts.key
         WHERE ",
        at!(),
        " AND sequence >= $4 ORDER BY sequence"
    );
    let answer = database
        .run(
            StatementWork::Read,
            SQL,
            values![TEXT who.as_str(), TEXT stored(origin), TEXT stored(draft.as_str()), INT8 signed(from)],
        )
        .await?;
    let record = |row| -> Result<Record> {
        let sequence = database.get::<i64>(row, 0)?.cast_unsigned();
        let json = |column| {
            let text = original(database.get(row, column)?);
            serde_json::from_str(&text).map_err(|error| {
                let what = format!("call {sequence} of draft {draft} is not JSON");
                failure::damaged(&database.address, &what).source(error)
            })
        };
        Ok(Record {
            sequence,
            tool: original(database.get(row, 1)?),
            arguments: json(2)?,
            found: database.get::<Option<String>>(row, 3)?.map(original),
            reply: json(4)?,
            engine_version: u32::try_from(database.get::<i64>(row, 5)?).unwrap_or(u32::MAX),
            at_ms: database.get(row, 6)?,
            internal: database.get(row, 7)?,
        })
    };
    answer.rows.iter().map(record).collect()
}

pub(super) async fn last_sequence(
    database: &DatabasePool,
    who: &TenantName,
    origin: &str,
    draft: &DraftId,
) -> Result<Option<u64>> {
    const SQL: &str = concat!(
        "SELECT last_sequence FROM capcut_mcp.drafts WHERE ",
        at!(),
        " AND deleted_ms IS NULL"
    );
    let row = database
        .one(
            StatementWork::Look,
            SQL,
            values![TEXT who.as_str(), TEXT stored(origin), TEXT stored(draft.as_str())],
        )
        .await?;
    row.map(|row| database.get(&row, 0).map(i64::cast_unsigned))
        .transpose()
}

pub(super) async fn find(
    database: &DatabasePool,
    who: &TenantName,
    draft: &DraftId,
) -> Result<Option<DraftRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM capcut_mcp.drafts WHERE tenant = $1 AND id = $2
         ORDER BY deleted_ms IS NOT NULL, greatest(changed_ms, last_ms) DESC LIMIT 1"
    );
    let row = database
        .one(
            StatementWork::Look,
            &sql,
            values![TEXT who.as_str(), TEXT stored(draft.as_str())],
        )
        .await?;
    row.map(|row| draft_row(database, &row)).transpose()
}

pub(super) async fn find_at(
    database: &DatabasePool,
    who: &TenantName,
    origin: &str,
    draft: &DraftId,
) -> Result<Option<DraftRow>> {
    let sql = format!(
        concat!("SELECT {} FROM capcut_mcp.drafts WHERE ", at!()),
        COLUMNS
    );
    let row = database
        .one(
            StatementWork::Look,
            &sql,
            values![TEXT who.as_str(), TEXT stored(origin), TEXT stored(draft.as_str())],
        )
        .await?;
    row.map(|row| draft_row(database, &row)).transpose()
}

pub(super) async fn list(
    database: &DatabasePool,
    who: &TenantName,
    include_deleted: bool,
    limit: usize,
    query: Option<&str>,
) -> Result<Vec<DraftRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM capcut_mcp.drafts
         WHERE tenant = $1 AND ($2 OR deleted_ms IS NULL)
             AND ($3::text IS NULL OR strpos(id, $3) > 0 OR strpos(lower_name, $3) > 0)
         ORDER BY greatest(changed_ms, last_ms) DESC, key DESC LIMIT $4"
    );
    let answer = database
        .run(
            StatementWork::Read,
            &sql,
            values![
                TEXT who.as_str(),
                BOOL include_deleted,
                TEXT query.map(|text| lowered(text.trim())),
                INT8 i64::try_from(limit).unwrap_or(i64::MAX),
            ],
        )
        .await?;
    let rows = answer.rows.iter();
    rows.map(|row| draft_row(database, row)).collect()
}

pub(super) async fn set_saved(
    database: &DatabasePool,
    who: &TenantName,
    (origin, draft): (&str, &DraftId),
    folder: &str,
    fence: Option<&Fence>,
) -> Result<()> {
    const SQL: &str = concat!(
        "WITH held AS MATERIALIZED (
             SELECT 1 FROM capcut_mcp.jobs WHERE tenant = $1 AND id = $5 AND attempt = $6 AND phase = 1 FOR SHARE
         ), changed AS (
             UPDATE capcut_mcp.drafts SET saved_to = $4, changed_ms = greatest(changed_ms, ",
        now_ms!(),
        ") WHERE ",
        at!(),
        " AND ($5::text IS NULL OR EXISTS (SELECT 1 FROM held)) RETURNING 1
         )
         SELECT EXISTS (SELECT 1 FROM changed), $5::text IS NULL OR EXISTS (SELECT 1 FROM held)"
    );
    let row = database
        .one(
            StatementWork::Write,
            SQL,
            values![
                TEXT who.as_str(),
                TEXT stored(origin),
                TEXT stored(draft.as_str()),
                TEXT stored(folder),
                TEXT fence.map(|fence| stored(&fence.job)),
                INT8 fence.map(|fence| i64::from(fence.attempt)),
            ],
        )
        .await?;
    let Some(row) = row else {
        return Err(unknown(draft));
    };
    match fence {
        _ if database.get(&row, 0)? => Ok(()),
        Some(fence) if !database.get::<bool>(&row, 1)? => Err(taken_over(fence)),
        _ => Err(unknown(draft)),
    }
}

pub(super) async fn set_moved(
    database: &DatabasePool,
    who: &TenantName,
    (origin, draft): (&str, &DraftId),
    last: u64,
    (to_origin, to): (&str, &DraftId),
) -> Result<bool> {
    const SQL: &str = concat!(
        "UPDATE capcut_mcp.drafts SET moved_origin = $4, moved_id = $5, changed_ms = greatest(changed_ms, ",
        now_ms!(),
        ") WHERE ",
        at!(),
        " AND moved_id IS NULL AND last_sequence = $6 RETURNING 1"
    );
    let answer = database
        .run(
            StatementWork::Write,
            SQL,
            values![
                TEXT who.as_str(),
                TEXT stored(origin),
                TEXT stored(draft.as_str()),
                TEXT stored(to_origin),
                TEXT stored(to.as_str()),
                INT8 signed(last),
            ],
        )
        .await?;
    if !answer.rows.is_empty() {
        return Ok(true);
    }
    if !answer.again {
        return Ok(false);
    }
    // The answer to the first attempt was lost.
    let row = find_at(database, who, origin, draft).await?;
    let moved = row.and_then(|row| row.moved_to);
    Ok(moved.is_some_and(|(at, id)| at == to_origin && id == *to))
}

/// Moves a draft to the trash or takes it out; false if there is none.
pub(super) async fn set_deleted(
    database: &DatabasePool,
    who: &TenantName,
    draft: &DraftId,
    deleted: bool,
) -> Result<bool> {
    const SQL: &str = concat!(
        "UPDATE capcut_mcp.drafts SET deleted_ms = CASE WHEN $3 THEN coalesce(deleted_ms, ",
        now_ms!(),
        ") END WHERE tenant = $1 AND id = $2 RETURNING 1"
    );
    let answer = database
        .run(
            StatementWork::Write,
            SQL,
            values![TEXT who.as_str(), TEXT stored(draft.as_str()), BOOL deleted],
        )
        .await?;
    Ok(!answer.rows.is_empty())
}

pub(super) async fn document(
    database: &DatabasePool,
    who: &TenantName,
    hash: &str,
) -> Result<Option<PackedDocument>> {
    let row = database
        .one(
            StatementWork::Read,
            "SELECT packed FROM capcut_mcp.documents WHERE tenant = $1 AND hash = $2",
            values![TEXT who.as_str(), TEXT stored(hash)],
        )
        .await?;
    row.map(|row| {
        Ok(PackedDocument {
            hash: hash.to_owned(),
            packed: database.get(&row, 0)?,
        })
    })
    .transpose()
}

/// Removes drafts with their calls, and the documents that only they used. A document that a concurrent call names has
/// another number of uses than this statement saw, and stays.
pub(super) async fn empty_trash(
    database: &DatabasePool,
    who: &TenantName,
    older_than: Duration,
) -> Result<u64> {
    const SQL: &str = concat!(
        "WITH gone AS (
             DELETE FROM capcut_mcp.drafts WHERE tenant = $1 AND deleted_ms <= ",
        now_ms!(),
        " - $2 RETURNING key
         ), calls AS (
             DELETE FROM capcut_mcp.calls WHERE draft IN (SELECT key FROM gone) RETURNING document
         ), unused AS MATERIALIZED (
             SELECT hash, uses FROM capcut_mcp.documents
             WHERE tenant = $1 AND hash IN (SELECT document FROM calls WHERE document IS NOT NULL)
                 AND NOT EXISTS (
                     SELECT 1 FROM capcut_mcp.calls AS other
                     JOIN capcut_mcp.drafts ON drafts.key = other.draft
                     WHERE other.document = documents.hash AND drafts.tenant = $1
                         AND drafts.key NOT IN (SELECT key FROM gone))
         ), removed AS (
             DELETE FROM capcut_mcp.documents USING unused
             WHERE documents.tenant = $1 AND documents.hash = unused.hash AND documents.uses = unused.uses
         )
         SELECT count(*) FROM gone"
    );
    let row = database
        .one(
            StatementWork::Remove,
            SQL,
            values![TEXT who.as_str(), INT8 millis(older_than)],
        )
        .await?;
    row.map_or(Ok(0), |row| database.get(&row, 0).map(i64::cast_unsigned))
}

/// Fails if a draft lacks calls, or a call its document.
pub(super) async fn check(database: &DatabasePool, who: &TenantName) -> Result<()> {
    const SQL: &str = "
        SELECT drafts.id, count(calls.draft), drafts.last_sequence + 1,
            count(*) FILTER (WHERE calls.document IS NOT NULL AND documents.hash IS NULL)
        FROM capcut_mcp.drafts
        LEFT JOIN capcut_mcp.calls ON calls.draft = drafts.key
        LEFT JOIN capcut_mcp.documents ON documents.tenant = drafts.tenant AND documents.hash = calls.document
        WHERE drafts.tenant = $1
        GROUP BY drafts.key
        HAVING count(calls.draft) <> drafts.last_sequence + 1
            OR max(calls.sequence) <> drafts.last_sequence
            OR count(*) FILTER (WHERE calls.document IS NOT NULL AND documents.hash IS NULL) > 0
            -- Reads every text.
            OR sum(length(calls.arguments) + length(calls.reply) + coalesce(length(calls.found), 0)) < 0
        LIMIT 1";
    let row = database
        .one(StatementWork::Read, SQL, values![TEXT who.as_str()])
        .await?;
    let Some(row) = row else { return Ok(()) };
    let id = original(database.get(&row, 0)?);
    let (calls, expected): (i64, i64) = (database.get(&row, 1)?, database.get(&row, 2)?);
    let documents: i64 = database.get(&row, 3)?;
    let what = if documents > 0 {
        format!("draft {id} lacks {documents} of its documents")
    } else {
        format!("draft {id} has {calls} of {expected} calls")
    };
    Err(failure::damaged(&database.address, &what))
}

/// The tenants that have something in the store.
pub(super) async fn tenants(database: &DatabasePool) -> Result<Vec<TenantName>> {
    const SQL: &str = "
        SELECT tenant FROM capcut_mcp.drafts UNION SELECT tenant FROM capcut_mcp.jobs
        UNION SELECT tenant FROM capcut_mcp.shared_values UNION SELECT tenant FROM capcut_mcp.creations
        ORDER BY 1";
    let answer = database.run(StatementWork::Read, SQL, values![]).await?;
    let tenant = |row| {
        let name: String = database.get(row, 0)?;
        name.parse()
            .map_err(|error: String| failure::damaged(&database.address, &error))
    };
    answer.rows.iter().map(tenant).collect()
}
