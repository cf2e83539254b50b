//! The tables, and the migration of older ones.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// Step `n` migrates the tables from version `n` to `n + 1`. Steps are only added, never changed.
///
/// Processes of the previous version continue to use the tables after a step, so a step only adds: tables, indexes, and
/// columns that have a default. One that cannot do with this sets `oldest_program` to the version that it leads to,
/// which refuses older programs.
pub(super) const STEPS: &[&str] = &[TABLES, APPEND];

/// The oldest PostgreSQL that has what the statements need.
const OLDEST_SERVER: i32 = 130_000;

/// The version of the tables, and the id of the journal.
const FORMAT: &str = "
    CREATE TABLE IF NOT EXISTS capcut_mcp.format (
        one            boolean PRIMARY KEY DEFAULT true CHECK (one),
        version        integer NOT NULL,
        oldest_program integer NOT NULL,
        journal        uuid NOT NULL
    );
    INSERT INTO capcut_mcp.format (version, oldest_program, journal)
        VALUES (0, 0, gen_random_uuid()) ON CONFLICT DO NOTHING;
";

/// Columns that identify something are compared by their bytes. Texts are stored as `text::stored` returns them, JSON as
/// it is: there U+0000 is always escaped.
///
/// A draft's row counts its calls: the lock on it orders concurrent appends. No index has a column that an append or a
/// beat changes, so that PostgreSQL writes no index for them; the free space in the pages is for these new versions of rows.
const TABLES: &str = r#"
    CREATE TABLE capcut_mcp.drafts (
        key            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant         text COLLATE "C" NOT NULL,
        origin         text COLLATE "C" NOT NULL,
        id             text COLLATE "C" NOT NULL,
        name           text NOT NULL,
        lower_name     text COLLATE "C" NOT NULL,
        edition        text NOT NULL,
        reason         text NOT NULL,
        created_ms     bigint NOT NULL,
        changed_ms     bigint NOT NULL,
        last_ms        bigint NOT NULL,
        last_sequence  bigint NOT NULL,
        internal_calls bigint NOT NULL,
        saved_to       text,
        deleted_ms     bigint,
        moved_origin   text,
        moved_id       text,
        UNIQUE (tenant, id, origin)
    ) WITH (fillfactor = 70);
    CREATE INDEX trash ON capcut_mcp.drafts (tenant, deleted_ms) WHERE deleted_ms IS NOT NULL;

    CREATE TABLE capcut_mcp.calls (
        draft          bigint NOT NULL,
        sequence       bigint NOT NULL,
        call           uuid,
        at_ms          bigint NOT NULL,
        engine_version bigint NOT NULL,
        tool           text NOT NULL,
        arguments      text NOT NULL,
        found          text,
        reply          text NOT NULL,
        internal       boolean NOT NULL,
        document       text COLLATE "C",
        PRIMARY KEY (draft, sequence)
    );
    CREATE UNIQUE INDEX call_ids ON capcut_mcp.calls (draft, call);
    CREATE INDEX call_documents ON capcut_mcp.calls (document) WHERE document IS NOT NULL;

    CREATE TABLE capcut_mcp.documents (
        tenant text COLLATE "C" NOT NULL,
        hash   text COLLATE "C" NOT NULL,
        packed bytea NOT NULL,
        uses   bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (tenant, hash)
    );
    ALTER TABLE capcut_mcp.documents ALTER COLUMN packed SET STORAGE EXTERNAL;

    CREATE TABLE capcut_mcp.tenants (
        tenant    text COLLATE "C" PRIMARY KEY,
        claims    bigint NOT NULL DEFAULT 0,
        creations bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50);

    CREATE SEQUENCE capcut_mcp.queue;
    CREATE TABLE capcut_mcp.jobs (
        tenant     text COLLATE "C" NOT NULL,
        id         text COLLATE "C" NOT NULL,
        kind       text NOT NULL,
        draft      text,
        request    text NOT NULL,
        state      text NOT NULL,
        key        text,
        key_hash   bytea,
        phase      smallint NOT NULL,
        attempt    bigint NOT NULL,
        runner     text NOT NULL,
        until_ms   bigint NOT NULL,
        queued     bigint NOT NULL,
        stop       boolean NOT NULL DEFAULT false,
        updated_ms bigint NOT NULL,
        PRIMARY KEY (tenant, id)
    ) WITH (fillfactor = 70);
    CREATE UNIQUE INDEX job_keys ON capcut_mcp.jobs (tenant, key_hash) WHERE key_hash IS NOT NULL;
    CREATE INDEX open_jobs ON capcut_mcp.jobs (tenant, queued) WHERE phase < 2;
    CREATE INDEX running_jobs ON capcut_mcp.jobs (tenant) WHERE phase = 1;
    CREATE INDEX ended_jobs ON capcut_mcp.jobs (phase, updated_ms) WHERE phase = 2;

    CREATE TABLE capcut_mcp.leases (
        tenant   text COLLATE "C" NOT NULL,
        key      text COLLATE "C" NOT NULL,
        holder   uuid NOT NULL,
        until_ms bigint NOT NULL,
        PRIMARY KEY (tenant, key)
    ) WITH (fillfactor = 70);

    CREATE TABLE capcut_mcp.shared_values (
        tenant   text COLLATE "C" NOT NULL,
        key      text COLLATE "C" NOT NULL,
        value    bytea NOT NULL,
        until_ms bigint,
        PRIMARY KEY (tenant, key)
    );
    CREATE INDEX expiring_values ON capcut_mcp.shared_values (until_ms) WHERE until_ms IS NOT NULL;

    CREATE TABLE capcut_mcp.creations (
        tenant     text COLLATE "C" NOT NULL,
        key        text COLLATE "C" NOT NULL,
        provider   text NOT NULL,
        state      text NOT NULL,
        runner     text NOT NULL,
        task       text,
        cost       double precision NOT NULL,
        found      text,
        claimed_ms bigint NOT NULL,
        claim      uuid,
        PRIMARY KEY (tenant, key)
    );
    CREATE INDEX creations_by_time ON capcut_mcp.creations (tenant, claimed_ms);
"#;

/// Adds calls, at most one per draft, in the order in which they are given: that of their drafts, so that no two statements
/// wait for each other. The row of the draft is locked first, and read as the previous holder of the lock left it. The call's
/// id is in a unique index. What changes the answer to the same values has to become a function with another name.
///
/// The plans are made for tables of any size: those of a new database are empty at first, and a plan for an empty table reads
/// all of it.
const APPEND: &str = r"
    CREATE FUNCTION capcut_mcp.append_1(text[], text[], text[], int8[], uuid[], text[], int8[], int8[], int8[], text[],
        text[], text[], text[], bool[], text[], bytea[], text[], text[])
    RETURNS TABLE (added int8, already int8, last int8, is_open bool, is_held bool)
    LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    AS $function$
    #variable_conflict use_column
    DECLARE
        given record;
        place int8;
    BEGIN
        IF current_setting('synchronous_commit') = 'off' THEN
            PERFORM set_config('synchronous_commit', 'on', true);
        END IF;
        FOR given IN
            SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
                AS given (tenant, origin, id, at, call, job, attempt, at_ms, engine_version, tool, arguments, found, reply,
                    internal, document, packed, name, lower_name)
        LOOP
            added := NULL; already := NULL; last := NULL; is_open := NULL; is_held := true;
            IF given.job IS NOT NULL THEN
                PERFORM 1 FROM capcut_mcp.jobs
                WHERE jobs.tenant = given.tenant AND jobs.id = given.job AND jobs.attempt = given.attempt AND jobs.phase = 1
                FOR SHARE;
                is_held := FOUND;
            END IF;
            IF is_held THEN
                INSERT INTO capcut_mcp.calls (draft, sequence, call, at_ms, engine_version, tool, arguments, found, reply,
                    internal, document)
                SELECT drafts.key, drafts.last_sequence + 1, given.call, given.at_ms, given.engine_version, given.tool,
                    given.arguments, given.found, given.reply, given.internal, given.document
                FROM capcut_mcp.drafts
                WHERE drafts.tenant = given.tenant AND drafts.id = given.id AND drafts.origin = given.origin
                    AND drafts.deleted_ms IS NULL AND drafts.moved_id IS NULL
                    AND (given.at IS NULL OR given.at = drafts.last_sequence + 1)
                FOR NO KEY UPDATE OF drafts
                ON CONFLICT (draft, call) DO NOTHING
                RETURNING draft, sequence INTO place, added;
            END IF;
            IF added IS NULL THEN
                SELECT drafts.last_sequence, drafts.deleted_ms IS NULL AND drafts.moved_id IS NULL, calls.sequence
                INTO last, is_open, already
                FROM capcut_mcp.drafts
                LEFT JOIN capcut_mcp.calls ON calls.draft = drafts.key AND calls.call = given.call
                WHERE drafts.tenant = given.tenant AND drafts.id = given.id AND drafts.origin = given.origin;
            ELSE
                UPDATE capcut_mcp.drafts SET
                    last_sequence = added,
                    last_ms = given.at_ms,
                    internal_calls = drafts.internal_calls + given.internal::int,
                    name = coalesce(given.name, drafts.name),
                    lower_name = coalesce(given.lower_name, drafts.lower_name)
                WHERE drafts.key = place;
                IF given.document IS NOT NULL THEN
                    INSERT INTO capcut_mcp.documents AS documents (tenant, hash, packed)
                    VALUES (given.tenant, given.document, given.packed)
                    ON CONFLICT (tenant, hash) DO UPDATE SET uses = documents.uses + 1;
                END IF;
            END IF;
            RETURN NEXT;
        END LOOP;
    END
    $function$;
";

/// Why a database cannot be used as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The server's version, such as 12.3.
    OldServer(String),
    /// The encoding of the database, which must be UTF8.
    Encoding(String),
    /// A newer program changed the tables so that this one cannot use them: their version.
    Newer(i32),
    /// The server only answers queries.
    ReadOnly,
}

/// Makes the tables, or applies the missing steps, all or none. If several processes start at the same time, one of them
/// does it.
pub(super) async fn migrate(
    client: &mut Client,
    steps: &[&str],
) -> Result<Result<(), Unfit>, tokio_postgres::Error> {
    let server = client
        .query_typed_one(
            "SELECT current_setting('server_version_num')::int4, current_setting('server_version'),
                 current_setting('server_encoding'), current_setting('transaction_read_only') = 'on',
                 to_regclass('capcut_mcp.format') IS NOT NULL",
            &[],
        )
        .await?;
    if server.try_get::<_, i32>(0)? < OLDEST_SERVER {
        return Ok(Err(Unfit::OldServer(server.try_get(1)?)));
    }
    let encoding: String = server.try_get(2)?;
    if encoding != "UTF8" {
        return Ok(Err(Unfit::Encoding(encoding)));
    }
    if server.try_get(3)? {
        return Ok(Err(Unfit::ReadOnly));
    }
    if !server.try_get::<_, bool>(4)? {
        make_format(client).await?;
    }
    // The version first, without a lock: nearly always there is nothing to do.
    match missing(version(client).await?, steps) {
        Ok(0) => return Ok(Ok(())),
        Ok(_) => {}
        Err(unfit) => return Ok(Err(unfit)),
    }
    let transaction = client.transaction().await?;
    transaction
        .batch_execute("LOCK TABLE capcut_mcp.format IN EXCLUSIVE MODE")
        .await?;
    let row = transaction.query_typed_one(VERSION, &[]).await?;
    let missing = match missing((row.try_get(0)?, row.try_get(1)?), steps) {
        Ok(missing) => missing,
        Err(unfit) => return Ok(Err(unfit)),
    };
    for step in &steps[steps.len() - missing..] {
        transaction.batch_execute(step).await?;
    }
    if missing > 0 {
        let set = format!("UPDATE capcut_mcp.format SET version = {}", steps.len());
        transaction.batch_execute(&set).await?;
    }
    transaction.commit().await?;
    Ok(Ok(()))
}

const VERSION: &str = "SELECT version, oldest_program FROM capcut_mcp.format";

async fn version(client: &Client) -> Result<(i32, i32), tokio_postgres::Error> {
    let row = client.query_typed_one(VERSION, &[]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The number of steps to be done.
fn missing((version, oldest_program): (i32, i32), steps: &[&str]) -> Result<usize, Unfit> {
    // Of a negative version nothing is known: it is refused, too.
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let oldest = usize::try_from(oldest_program).unwrap_or(usize::MAX);
    if oldest > steps.len() {
        return Err(Unfit::Newer(version));
    }
    Ok(steps.len().saturating_sub(done))
}

/// Makes the schema with the table of the version. Of processes that do this at the same time, all but one may fail although
/// `IF NOT EXISTS` is there: then the other one has done it.
async fn make_format(client: &Client) -> Result<(), tokio_postgres::Error> {
    const TRIES: usize = 20;
    let mut tries = 0;
    loop {
        // Making a schema needs a right, even if it exists.
        let there = client
            .query_typed_one("SELECT to_regnamespace('capcut_mcp') IS NOT NULL", &[])
            .await?;
        let schema = if there.try_get(0)? {
            ""
        } else {
            "CREATE SCHEMA IF NOT EXISTS capcut_mcp;"
        };
        // One message with several statements is one transaction.
        let made = client.batch_execute(&format!("{schema}{FORMAT}")).await;
        tries += 1;
        match made {
            Err(error)
                if tries < TRIES
                    && [
                        &SqlState::UNIQUE_VIOLATION,
                        &SqlState::DUPLICATE_SCHEMA,
                        &SqlState::DUPLICATE_TABLE,
                        &SqlState::DUPLICATE_OBJECT,
                    ]
                    .iter()
                    .any(|state| error.code() == Some(state)) =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            made => return made,
        }
    }
}
