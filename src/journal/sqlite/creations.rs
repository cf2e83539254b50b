//! The table of creations.

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior};

use super::super::{Budget, CreationClaim, CreationRow, CreationState};

const COLUMNS: &str = "key, provider, state, runner, task, cost, found, claimed_ms";

fn row(row: &Row<'_>) -> rusqlite::Result<CreationRow> {
    let state: String = row.get(2)?;
    Ok(CreationRow {
        key: row.get(0)?,
        provider: row.get(1)?,
        // A state of a newer version: nothing is known about it.
        state: CreationState::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .unwrap_or(CreationState::Uncertain),
        runner: row.get(3)?,
        task: row.get(4)?,
        cost: row.get(5)?,
        found: row.get(6)?,
        claimed_ms: row.get(7)?,
    })
}

pub(super) fn find(connection: &Connection, key: &str) -> rusqlite::Result<Option<CreationRow>> {
    let query = format!("SELECT {COLUMNS} FROM creations WHERE key = ?1");
    let mut statement = connection.prepare_cached(&query)?;
    statement.query_row([key], row).optional()
}

/// Gives all creations to `send` until it returns false.
pub(super) fn each(
    connection: &Connection,
    mut send: impl FnMut(CreationRow) -> bool,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM creations ORDER BY key"))?;
    let mut found = statement.query_map([], row)?;
    while let Some(row) = found.next().transpose()? {
        if !send(row) {
            break;
        }
    }
    Ok(())
}

pub(super) fn claim(
    connection: &mut Connection,
    new: &CreationRow,
    budget: Option<Budget>,
    now_ms: i64,
) -> rusqlite::Result<CreationClaim> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(found) = find(&transaction, &new.key)? {
        return Ok(CreationClaim::Exists(found));
    }
    if let Some(budget) = budget {
        let spent = spent(&transaction, budget.since_ms)?;
        if !budget.allows(spent, new.cost) {
            return Ok(CreationClaim::OverBudget(spent));
        }
    }
    let new = CreationRow {
        claimed_ms: now_ms,
        ..new.clone()
    };
    put(&transaction, &new)?;
    transaction.commit()?;
    Ok(CreationClaim::Claimed(new))
}

pub(super) fn put(connection: &Connection, new: &CreationRow) -> rusqlite::Result<()> {
    let query = format!(
        "INSERT OR REPLACE INTO creations ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    );
    let mut statement = connection.prepare_cached(&query)?;
    statement.execute((
        &new.key,
        &new.provider,
        new.state.name(),
        &new.runner,
        &new.task,
        new.cost,
        &new.found,
        new.claimed_ms,
    ))?;
    Ok(())
}

pub(super) fn replace(
    connection: &mut Connection,
    seen: &CreationRow,
    new: Option<&CreationRow>,
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !find(&transaction, &seen.key)?.is_some_and(|own| own.is_as(seen)) {
        return Ok(false);
    }
    drop(&transaction, &seen.key)?;
    if let Some(new) = new {
        put(&transaction, new)?;
    }
    transaction.commit()?;
    Ok(true)
}

pub(super) fn drop(connection: &Connection, key: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM creations WHERE key = ?1", [key])?;
    Ok(())
}

pub(super) fn spent(connection: &Connection, since_ms: i64) -> rusqlite::Result<f64> {
    connection.query_row(
        "SELECT COALESCE(SUM(cost), 0.0) FROM creations WHERE claimed_ms >= ?1",
        [since_ms],
        |row| row.get(0),
    )
}
