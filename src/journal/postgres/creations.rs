//! Requests to providers that create something.

use tokio_postgres::Row;
use uuid::Uuid;

use super::database::{DatabasePool, StatementWork, values};
use super::drafts::now_ms;
use super::text::{original, stored};
use crate::access::TenantName;
use crate::error::{Error, Kind, Result};
use crate::journal::{Budget, CreationClaim, CreationRow, CreationState};

/// How often a claim is repeated because others claimed at the same time.
const TRIES: usize = 200;

macro_rules! columns {
    () => {
        "key, provider, state, runner, task, cost, found, claimed_ms"
    };
}
pub(super) use columns;

/// Writes a creation, a new one or that with its key.
pub(super) const PUT: &str = "
    INSERT INTO capcut_mcp.creations (tenant, key, provider, state, runner, task, cost, found, claimed_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (tenant, key) DO UPDATE SET provider = excluded.provider, state = excluded.state,
        runner = excluded.runner, task = excluded.task, cost = excluded.cost, found = excluded.found,
        claimed_ms = excluded.claimed_ms";

/// The values of [`PUT`].
macro_rules! put_values {
    ($who:expr, $row:expr) => {
        values![
            TEXT $who.as_str(),
            TEXT stored(&$row.key),
            TEXT stored(&$row.provider),
            TEXT $row.state.name(),
            TEXT stored(&$row.runner),
            TEXT $row.task.as_deref().map(stored),
            FLOAT8 $row.cost,
            TEXT $row.found.as_deref().map(stored),
            INT8 $row.claimed_ms,
        ]
    };
}
pub(super) use put_values;

pub(super) fn creation_row(database: &DatabasePool, row: &Row) -> Result<CreationRow> {
    let text = |column| database.get(row, column).map(original);
    let maybe = |column| -> Result<Option<String>> {
        Ok(database.get::<Option<String>>(row, column)?.map(original))
    };
    let state = text(2)?;
    Ok(CreationRow {
        key: text(0)?,
        provider: text(1)?,
        // A state of a newer version: nothing is known about it.
        state: CreationState::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .unwrap_or(CreationState::Uncertain),
        runner: text(3)?,
        task: maybe(4)?,
        cost: database.get(row, 5)?,
        found: maybe(6)?,
        claimed_ms: database.get(row, 7)?,
    })
}

pub(super) async fn find(
    database: &DatabasePool,
    who: &TenantName,
    key: &str,
) -> Result<Option<CreationRow>> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM capcut_mcp.creations WHERE tenant = $1 AND key = $2"
    );
    let row = database
        .one(
            StatementWork::Look,
            SQL,
            values![TEXT who.as_str(), TEXT stored(key)],
        )
        .await?;
    row.map(|row| creation_row(database, &row)).transpose()
}

/// Claims a creation. The number of claims of the tenant is compared with the one that was seen with the sum, so that two
/// claims at the same time do not exceed the budget together. The claim has an id: after a lost answer it finds itself.
pub(super) async fn claim(
    database: &DatabasePool,
    who: &TenantName,
    row: &CreationRow,
    budget: Option<Budget>,
) -> Result<CreationClaim> {
    const SQL: &str = concat!(
        "WITH known AS (
             INSERT INTO capcut_mcp.tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING
         ), seen AS MATERIALIZED (
             SELECT creations FROM capcut_mcp.tenants WHERE tenant = $1
         ), there AS MATERIALIZED (
             SELECT ",
        columns!(),
        ", claim FROM capcut_mcp.creations WHERE tenant = $1 AND key = $2
         ), spent AS MATERIALIZED (
             SELECT coalesce(sum(cost), 0) AS cost FROM capcut_mcp.creations WHERE tenant = $1 AND claimed_ms >= $9
         ), counted AS (
             UPDATE capcut_mcp.tenants SET creations = tenants.creations + 1 FROM seen, spent
             WHERE tenant = $1 AND tenants.creations = seen.creations
                 AND ($10::float8 IS NULL OR spent.cost + $7 <= $10 + 1e-9)
                 AND NOT EXISTS (SELECT 1 FROM there)
             RETURNING 1
         ), added AS (
             INSERT INTO capcut_mcp.creations (tenant, key, provider, state, runner, task, cost, found, claimed_ms, claim)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, ",
        now_ms!(),
        ", $11 FROM counted RETURNING ",
        columns!(),
        ", claim
         )
         SELECT found.*, spent.cost FROM spent
         LEFT JOIN (SELECT * FROM added UNION ALL SELECT * FROM there) AS found ON true"
    );
    let claim = Uuid::new_v4();
    for _ in 0..TRIES {
        let answer = database
            .one(
                StatementWork::Write,
                SQL,
                values![
                    TEXT who.as_str(),
                    TEXT stored(&row.key),
                    TEXT stored(&row.provider),
                    TEXT row.state.name(),
                    TEXT stored(&row.runner),
                    TEXT row.task.as_deref().map(stored),
                    FLOAT8 row.cost,
                    TEXT row.found.as_deref().map(stored),
                    INT8 budget.map_or(0, |budget| budget.since_ms),
                    FLOAT8 budget.map(|budget| budget.most),
                    UUID claim,
                ],
            )
            .await?;
        let Some(answer) = answer else {
            return Err(Error::internal(
                "the database did not answer about a creation",
            ));
        };
        if database.get::<Option<String>>(&answer, 0)?.is_some() {
            let found = creation_row(database, &answer)?;
            return Ok(
                if database.get::<Option<Uuid>>(&answer, 8)? == Some(claim) {
                    CreationClaim::Claimed(found)
                } else {
                    CreationClaim::Exists(found)
                },
            );
        }
        let spent: f64 = database.get(&answer, 9)?;
        if let Some(budget) = budget
            && !budget.allows(spent, row.cost)
        {
            return Ok(CreationClaim::OverBudget(spent));
        }
        // Another one was claimed at the same time, or it is the tenant's first.
    }
    Err(Error::new(
        Kind::Busy,
        "too many creations are claimed at the same time; nothing was sent to the provider",
    )
    .hint("send the call again"))
}

pub(super) async fn put(
    database: &DatabasePool,
    who: &TenantName,
    row: &CreationRow,
) -> Result<()> {
    database
        .run(StatementWork::Write, PUT, put_values!(who, row))
        .await?;
    Ok(())
}

/// Replaces or removes a creation if it is as it was seen: [`CreationRow::is_as`].
pub(super) async fn replace(
    database: &DatabasePool,
    who: &TenantName,
    seen: &CreationRow,
    new: Option<&CreationRow>,
) -> Result<bool> {
    /// The condition that the row is as it was seen.
    macro_rules! as_seen {
        () => {
            "tenant = $1 AND key = $2 AND state = $3 AND runner = $4 AND task IS NOT DISTINCT FROM $5 AND claimed_ms = $6"
        };
    }
    const REMOVE: &str = concat!(
        "DELETE FROM capcut_mcp.creations WHERE ",
        as_seen!(),
        " RETURNING 1"
    );
    const REPLACE: &str = concat!(
        "UPDATE capcut_mcp.creations SET key = $7, provider = $8, state = $9, runner = $10, task = $11, cost = $12,
             found = $13, claimed_ms = $14 WHERE ",
        as_seen!(),
        " RETURNING 1"
    );
    let (tenant, key, runner) = (who.as_str(), stored(&seen.key), stored(&seen.runner));
    let (state, task) = (seen.state.name(), seen.task.as_deref().map(stored));
    let answer = match new {
        None => {
            let values = values![
                TEXT tenant, TEXT key, TEXT state, TEXT runner, TEXT task, INT8 seen.claimed_ms
            ];
            database.run(StatementWork::Write, REMOVE, values).await?
        }
        Some(new) => database
            .run(
                StatementWork::Write,
                REPLACE,
                values![
                    TEXT tenant, TEXT key, TEXT state, TEXT runner, TEXT task, INT8 seen.claimed_ms,
                    TEXT stored(&new.key),
                    TEXT stored(&new.provider),
                    TEXT new.state.name(),
                    TEXT stored(&new.runner),
                    TEXT new.task.as_deref().map(stored),
                    FLOAT8 new.cost,
                    TEXT new.found.as_deref().map(stored),
                    INT8 new.claimed_ms,
                ],
            )
            .await?,
    };
    if !answer.rows.is_empty() {
        return Ok(true);
    }
    if !answer.again {
        return Ok(false);
    }
    // The answer to the first attempt was lost.
    Ok(match new {
        None => find(database, who, &seen.key).await?.is_none(),
        Some(new) => find(database, who, &new.key).await?.as_ref() == Some(new),
    })
}

pub(super) async fn drop(database: &DatabasePool, who: &TenantName, key: &str) -> Result<()> {
    database
        .run(
            StatementWork::Write,
            "DELETE FROM capcut_mcp.creations WHERE tenant = $1 AND key = $2",
            values![TEXT who.as_str(), TEXT stored(key)],
        )
        .await?;
    Ok(())
}

pub(super) async fn spent(database: &DatabasePool, who: &TenantName, since_ms: i64) -> Result<f64> {
    let row = database
        .one(
            StatementWork::Look,
            "SELECT coalesce(sum(cost), 0) FROM capcut_mcp.creations WHERE tenant = $1 AND claimed_ms >= $2",
            values![TEXT who.as_str(), INT8 since_ms],
        )
        .await?;
    row.map_or(Ok(0.0), |row| database.get(&row, 0))
}
