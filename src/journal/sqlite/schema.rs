//! The tables, and the migration of older files.

use rusqlite::Connection;

/// Step `n` migrates a file from version `n` to `n + 1`. Steps are only added, never changed.
pub(super) const STEPS: &[&str] = &[
    TABLES,
    CALLS_BY_PLACE,
    CALL_IDS,
    INTERNAL,
    JOURNAL_ID,
    LEASES,
    DOCUMENTS,
    FINISHED_JOBS,
    CREATIONS,
    SHARED_VALUES,
    JOB_QUEUE,
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

/// Combines a call's draft and sequence in one integer key: such a table keeps all rows in its leaves, and an
/// append at its end writes only the last leaf.
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

/// The UUID of a call: 16 bytes.
const CALL_IDS: &str = "ALTER TABLE calls ADD COLUMN call BLOB";

/// Marks records that are not user calls. Earlier versions stored them as calls of the tools that caused them. The
/// index contains only these few, so that user calls can be counted by subtraction.
const INTERNAL: &str = "
    ALTER TABLE calls ADD COLUMN internal INTEGER NOT NULL DEFAULT 0;
    UPDATE calls SET internal = 1 WHERE tool IN ('save_draft', 'query_script');
    CREATE INDEX internal_calls ON calls (place) WHERE internal;
";

/// An id that distinguishes this journal from one at the same path on another machine.
const JOURNAL_ID: &str = "
    CREATE TABLE journal (id TEXT NOT NULL);
    INSERT INTO journal VALUES (lower(hex(randomblob(16))));
";

/// Leases for work that only one process may do at a time.
const LEASES: &str = "
    CREATE TABLE leases (
        key      TEXT PRIMARY KEY,
        holder   TEXT NOT NULL,
        until_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// Documents that drafts were opened from, as [`PackedDocument`](crate::journal::PackedDocument). A record names its
/// document; the index contains only these few records.
const DOCUMENTS: &str = "
    CREATE TABLE documents (
        hash   TEXT PRIMARY KEY,
        packed BLOB NOT NULL
    );
    ALTER TABLE calls ADD COLUMN document TEXT;
    CREATE INDEX call_documents ON calls (document) WHERE document IS NOT NULL;
";

/// Finds the finished jobs that are old enough to be removed. Their states are large, and each job looks for them at its end.
const FINISHED_JOBS: &str = "
    CREATE INDEX finished_jobs ON jobs (updated_ms) WHERE finished;
";

/// Requests to providers that create something.
const CREATIONS: &str = "
    CREATE TABLE creations (
        key        TEXT PRIMARY KEY,
        provider   TEXT NOT NULL,
        state      TEXT NOT NULL,
        runner     TEXT NOT NULL,
        task       TEXT,
        cost       REAL NOT NULL,
        found      TEXT,
        claimed_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX creations_by_time ON creations (claimed_ms);
";

/// Small values that the processes of a server share. Earlier versions kept the progress of saves and the plans of runs in the
/// table of jobs, for a week.
const SHARED_VALUES: &str = "
    CREATE TABLE shared_values (
        key      TEXT PRIMARY KEY,
        value    BLOB NOT NULL,
        until_ms INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX expiring_values ON shared_values (until_ms) WHERE until_ms IS NOT NULL;
    INSERT INTO shared_values
        SELECT id, CAST(state AS BLOB), updated_ms + 604800000 FROM jobs WHERE kind IN ('plan', 'save');
";

/// Jobs with leases, which other processes can take over. Earlier versions had the request in the state, which stands in
/// both columns for their jobs, and requests to stop a job as rows of their own. `phase`: 0 waiting, 1 running, 2 ended.
const JOB_QUEUE: &str = "
    CREATE TABLE queued_jobs (
        id         TEXT PRIMARY KEY,
        kind       TEXT NOT NULL,
        draft      TEXT,
        request    TEXT NOT NULL,
        state      TEXT NOT NULL,
        key        TEXT,
        phase      INTEGER NOT NULL,
        attempt    INTEGER NOT NULL,
        runner     TEXT NOT NULL,
        until_ms   INTEGER NOT NULL,
        stop       INTEGER NOT NULL DEFAULT 0,
        queued_ms  INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    INSERT INTO queued_jobs
        SELECT id, kind, draft, state, state, NULL, CASE WHEN finished THEN 2 ELSE 1 END, 1, '',
            0, 0, updated_ms, updated_ms
        FROM jobs WHERE kind NOT IN ('stop', 'plan', 'save');
    DROP TABLE jobs;
    ALTER TABLE queued_jobs RENAME TO jobs;
    CREATE UNIQUE INDEX job_keys ON jobs (key) WHERE key IS NOT NULL;
    CREATE INDEX open_jobs ON jobs (phase, queued_ms) WHERE phase < 2;
    CREATE INDEX ended_jobs ON jobs (updated_ms) WHERE phase = 2;
";

pub(super) fn version(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // This program never writes a negative version: it becomes a huge one and is refused as newer.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Applies the missing steps, all or none. If two processes start at the same time, the second one finds nothing to
/// do.
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
