//! Leases and small values, which the processes of all machines share.

use std::time::Duration;

use uuid::Uuid;

use super::database::{DatabasePool, StatementWork, millis, values};
use super::drafts::now_ms;
use super::text::stored;
use crate::access::TenantName;
use crate::error::Result;

/// How long a lease that was not renewed stays in its table, in milliseconds.
const KEEP_LEASE_MS: i64 = 3600 * 1000;
/// One of this number of new leases removes those that were not renewed.
const SWEEP: u32 = 100;

/// Acquires or renews a lease. It survives the end of the database: with a lease that is forgotten, two would have it.
pub(super) async fn lease(
    database: &DatabasePool,
    who: &TenantName,
    key: &str,
    holder: Uuid,
    lasts: Duration,
) -> Result<bool> {
    const SQL: &str = concat!(
        "INSERT INTO capcut_mcp.leases AS leases (tenant, key, holder, until_ms)
         VALUES ($1, $2, $3, ",
        now_ms!(),
        " + $4)
         ON CONFLICT (tenant, key) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms
         WHERE leases.holder = excluded.holder OR leases.until_ms <= ",
        now_ms!(),
        " RETURNING xmax = 0"
    );
    let row = database
        .one(
            StatementWork::Write,
            SQL,
            values![TEXT who.as_str(), TEXT stored(key), UUID holder, INT8 millis(lasts)],
        )
        .await?;
    let Some(row) = row else { return Ok(false) };
    if database.get(&row, 0)? && fastrand::u32(..SWEEP) == 0 {
        const OLD: &str = concat!(
            "DELETE FROM capcut_mcp.leases WHERE (tenant, key) IN (
                 SELECT tenant, key FROM capcut_mcp.leases WHERE until_ms < ",
            now_ms!(),
            " - $1 FOR UPDATE SKIP LOCKED)"
        );
        // The lease is acquired, whatever becomes of the old ones.
        if let Err(error) = database
            .run(StatementWork::Write, OLD, values![INT8 KEEP_LEASE_MS])
            .await
        {
            tracing::debug!("old leases could not be removed: {}", error.cause());
        }
    }
    Ok(true)
}

/// A release that is lost with the database's last commits only lets the lease end later.
pub(super) async fn release(
    database: &DatabasePool,
    who: &TenantName,
    key: &str,
    holder: Uuid,
) -> Result<()> {
    const SQL: &str = "DELETE FROM capcut_mcp.leases WHERE tenant = $1 AND key = $2 AND holder = $3
        RETURNING set_config('synchronous_commit', 'off', true)";
    database
        .run(
            StatementWork::Write,
            SQL,
            values![TEXT who.as_str(), TEXT stored(key), UUID holder],
        )
        .await?;
    Ok(())
}

pub(super) async fn is_leased(
    database: &DatabasePool,
    who: &TenantName,
    key: &str,
) -> Result<bool> {
    const SQL: &str = concat!(
        "SELECT 1 FROM capcut_mcp.leases WHERE tenant = $1 AND key = $2 AND until_ms > ",
        now_ms!()
    );
    let row = database
        .one(
            StatementWork::Look,
            SQL,
            values![TEXT who.as_str(), TEXT stored(key)],
        )
        .await?;
    Ok(row.is_some())
}

pub(super) async fn value(
    database: &DatabasePool,
    who: &TenantName,
    key: &str,
) -> Result<Option<Vec<u8>>> {
    const SQL: &str = concat!(
        "SELECT value FROM capcut_mcp.shared_values
         WHERE tenant = $1 AND key = $2 AND (until_ms IS NULL OR until_ms > ",
        now_ms!(),
        ")"
    );
    let row = database
        .one(
            StatementWork::Look,
            SQL,
            values![TEXT who.as_str(), TEXT stored(key)],
        )
        .await?;
    row.map(|row| database.get(&row, 0)).transpose()
}

/// Writes a value, whatever it was, and removes some that have expired.
pub(super) async fn put_value(
    database: &DatabasePool,
    who: &TenantName,
    key: &str,
    new: &[u8],
    lasts: Option<Duration>,
) -> Result<()> {
    const SQL: &str = concat!(
        "WITH old AS (
             DELETE FROM capcut_mcp.shared_values WHERE (tenant, key) IN (
                 SELECT tenant, key FROM capcut_mcp.shared_values
                 WHERE until_ms < ",
        now_ms!(),
        " AND (tenant, key) <> ($1, $2) LIMIT 20 FOR UPDATE SKIP LOCKED)
         )
         INSERT INTO capcut_mcp.shared_values (tenant, key, value, until_ms)
         VALUES ($1, $2, $3, ",
        now_ms!(),
        " + $4)
         ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value, until_ms = excluded.until_ms"
    );
    database
        .run(
            StatementWork::Write,
            SQL,
            values![TEXT who.as_str(), TEXT stored(key), BYTEA new, INT8 lasts.map(millis)],
        )
        .await?;
    Ok(())
}

/// Writes or removes a value if it still is as it was seen.
pub(super) async fn set_value(
    database: &DatabasePool,
    who: &TenantName,
    key: &str,
    seen: Option<&[u8]>,
    new: Option<&[u8]>,
    lasts: Option<Duration>,
) -> Result<bool> {
    /// Where there is none, or one that has expired.
    const FIRST: &str = concat!(
        "INSERT INTO capcut_mcp.shared_values AS own (tenant, key, value, until_ms)
         VALUES ($1, $2, $3, ",
        now_ms!(),
        " + $4)
         ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value, until_ms = excluded.until_ms
         WHERE own.until_ms <= ",
        now_ms!(),
        " RETURNING 1"
    );
    const CHANGE: &str = concat!(
        "UPDATE capcut_mcp.shared_values SET value = $3, until_ms = ",
        now_ms!(),
        " + $4
         WHERE tenant = $1 AND key = $2 AND value = $5 AND (until_ms IS NULL OR until_ms > ",
        now_ms!(),
        ") RETURNING 1"
    );
    const REMOVE: &str = concat!(
        "DELETE FROM capcut_mcp.shared_values
         WHERE tenant = $1 AND key = $2 AND value = $3 AND (until_ms IS NULL OR until_ms > ",
        now_ms!(),
        ") RETURNING 1"
    );
    let (tenant, stored) = (who.as_str(), stored(key));
    let lasts = lasts.map(millis);
    let answer = match (seen, new) {
        (None, Some(new)) => {
            let values = values![TEXT tenant, TEXT stored, BYTEA new, INT8 lasts];
            database.run(StatementWork::Write, FIRST, values).await?
        }
        (Some(seen), Some(new)) => {
            let values = values![TEXT tenant, TEXT stored, BYTEA new, INT8 lasts, BYTEA seen];
            database.run(StatementWork::Write, CHANGE, values).await?
        }
        (Some(seen), None) => {
            let values = values![TEXT tenant, TEXT stored, BYTEA seen];
            database.run(StatementWork::Write, REMOVE, values).await?
        }
        (None, None) => return Ok(value(database, who, key).await?.is_none()),
    };
    if !answer.rows.is_empty() {
        return Ok(true);
    }
    if !answer.again {
        return Ok(false);
    }
    // The answer to the first attempt was lost.
    Ok(value(database, who, key).await?.as_deref() == new)
}
