//! The tables, and how an older file gets them.

use rusqlite::Connection;

/// Step `n` takes a file from version `n` to `n + 1`. Steps are only ever added.
pub(super) const STEPS: &[&str] = &[
    TABLES,
    CALLS_BY_PLACE,
    CALL_IDS,
    INTERNAL,
    JOURNAL_ID,
    LEASES,
];

const TABLES: &str = "
    CREATE TABLE drafts (
        key          INTEGER PRIMARY KEY,
        origin       TEXT NOT NULL,
        id           TEXT NOT NULL,
        name         TEXT NOT NULL,
        edition      TEXT NOT NULL,
        reason       TEXT NOT NULL,
        created_ms   INTEGER NOT NULL,
        changed_ms   INTEGER NOT NULL,
        saved_to     TEXT,
        deleted_ms   INTEGER,
        moved_origin TEXT,
        moved_id     TEXT,
        UNIQUE (id, origin)
    );
    CREATE TABLE calls (
        draft          INTEGER NOT NULL REFERENCES drafts (key),
        sequence       INTEGER NOT NULL,
        at_ms          INTEGER NOT NULL,
        engine_version INTEGER NOT NULL,
        tool           TEXT NOT NULL,
        arguments      TEXT NOT NULL,
        found          TEXT,
        reply          TEXT NOT NULL,
        PRIMARY KEY (draft, sequence)
    ) WITHOUT ROWID;
    CREATE TABLE jobs (
        id         TEXT PRIMARY KEY,
        kind       TEXT NOT NULL,
        draft      TEXT,
        state      TEXT NOT NULL,
        updated_ms INTEGER NOT NULL,
        finished   INTEGER NOT NULL,
        pid        INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// A call's draft and sequence in one number: a table of numbered rows keeps all rows in its leaves, and what comes
/// at the end of it only writes the last one.
const CALLS_BY_PLACE: &str = "
    ALTER TABLE calls RENAME TO calls_by_draft;
    CREATE TABLE calls (
        place          INTEGER PRIMARY KEY CHECK (place >= 0),
        draft          INTEGER AS (place >> 32),
        sequence       INTEGER AS (place & 4294967295),
        at_ms          INTEGER NOT NULL,
        engine_version INTEGER NOT NULL,
        tool           TEXT NOT NULL,
        arguments      TEXT NOT NULL,
        found          TEXT,
        reply          TEXT NOT NULL
    );
    INSERT INTO calls (place, at_ms, engine_version, tool, arguments, found, reply)
        SELECT draft << 32 | sequence, at_ms, engine_version, tool, arguments, found, reply
        FROM calls_by_draft ORDER BY draft, sequence;
    DROP TABLE calls_by_draft;
";

/// What identifies a call: 16 bytes.
const CALL_IDS: &str = "ALTER TABLE calls ADD COLUMN call BLOB";

/// Records that no call of a user made. Earlier versions entered them as calls of the tools that caused them. The
/// index is of these few only, so that the calls of a user are counted as the rest.
const INTERNAL: &str = "
    ALTER TABLE calls ADD COLUMN internal INTEGER NOT NULL DEFAULT 0;
    UPDATE calls SET internal = 1 WHERE tool IN ('save_draft', 'query_script');
    CREATE INDEX internal_calls ON calls (place) WHERE internal;
";

/// What tells this journal from one at the same path on another machine.
const JOURNAL_ID: &str = "
    CREATE TABLE journal (id TEXT NOT NULL);
    INSERT INTO journal VALUES (lower(hex(randomblob(16))));
";

/// What only one process may do at a time.
const LEASES: &str = "
    CREATE TABLE leases (
        key      TEXT PRIMARY KEY,
        holder   TEXT NOT NULL,
        until_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
";

pub(super) fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A negative version was never written by us: as a huge one it is refused as newer.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Takes the steps that are missing, all or none. Of two processes that come at once the second finds
/// nothing left to do.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    if version(connection)? >= steps.len() {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for step in steps.iter().skip(version(&transaction)?) {
        transaction.execute_batch(step)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {}", steps.len()))?;
    transaction.commit()
}
