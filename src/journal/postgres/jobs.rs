//! The queue of jobs.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;

use super::database::{DatabasePool, StatementWork, millis, values};
use super::drafts::now_ms;
use super::text::{original, stored};
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::journal::{
    Beat, ClaimTerms, ClaimedJob, Fence, JobAdded, JobPhase, JobReport, JobRow, KEEP_FINISHED_MS,
    NewJob,
};

/// The values of the column `phase`.
const WAITING: i16 = 0;
const RUNNING: i16 = 1;
const ENDED: i16 = 2;

pub(super) fn phase(number: i16) -> JobPhase {
    match number {
        WAITING => JobPhase::Waiting,
        RUNNING => JobPhase::Running,
        _ => JobPhase::Ended,
    }
}

pub(super) fn number(phase: JobPhase) -> i16 {
    match phase {
        JobPhase::Waiting => WAITING,
        JobPhase::Running => RUNNING,
        JobPhase::Ended => ENDED,
    }
}

/// The channel on which other processes hear of a new job, and of one that is asked to stop.
pub(super) const CHANNEL: &str = "capcut_mcp_jobs";

/// How often a statement is repeated because others worked on the same jobs at the same time.
const TRIES: usize = 100;

/// The columns of a job, of the table or of rows that were just changed.
macro_rules! columns {
    ($jobs:literal) => {
        concat!(
            $jobs,
            ".id, ",
            $jobs,
            ".kind, ",
            $jobs,
            ".draft, ",
            $jobs,
            ".request, ",
            $jobs,
            ".state, ",
            $jobs,
            ".key, ",
            $jobs,
            ".phase, ",
            $jobs,
            ".attempt, ",
            $jobs,
            ".runner, ",
            $jobs,
            ".phase = 1 AND ",
            $jobs,
            ".until_ms <= ",
            now_ms!(),
            ", ",
            $jobs,
            ".updated_ms"
        )
    };
}

fn job_row(database: &DatabasePool, row: &Row) -> Result<JobRow> {
    let text = |column| database.get(row, column).map(original);
    let maybe = |column| -> Result<Option<String>> {
        Ok(database.get::<Option<String>>(row, column)?.map(original))
    };
    Ok(JobRow {
        id: text(0)?,
        kind: text(1)?,
        draft: maybe(2)?.map(DraftId),
        request: text(3)?,
        state: text(4)?,
        key: maybe(5)?,
        phase: phase(database.get(row, 6)?),
        attempt: u32::try_from(database.get::<i64>(row, 7)?).unwrap_or(u32::MAX),
        runner: text(8)?,
        is_lost: database.get(row, 9)?,
        updated_ms: database.get(row, 10)?,
    })
}

fn busy() -> Error {
    Error::new(
        Kind::Busy,
        "too many processes work on the same jobs at the same time",
    )
    .hint("send the call again")
}

/// The index has a hash of the key, so that a key may have any length.
pub(super) fn key_hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

pub(super) async fn add(
    database: &DatabasePool,
    who: &TenantName,
    job: &NewJob,
    lease: Duration,
) -> Result<JobAdded> {
    const SQL: &str = concat!(
        "WITH known AS (
             INSERT INTO capcut_mcp.tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING
         ), same AS MATERIALIZED (
             SELECT id FROM capcut_mcp.jobs WHERE tenant = $1 AND (id = $2 OR key_hash = $7)
             ORDER BY key_hash = $7 IS NOT TRUE LIMIT 1
         ), added AS (
             INSERT INTO capcut_mcp.jobs (tenant, id, kind, request, state, key, key_hash, phase, attempt, runner, until_ms,
                 queued, updated_ms)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8::int8, $8::int8, $9, ",
        now_ms!(),
        " + $10, nextval('capcut_mcp.queue'), ",
        now_ms!(),
        " WHERE NOT EXISTS (SELECT 1 FROM same)
             ON CONFLICT DO NOTHING RETURNING id
         )
         SELECT (SELECT id FROM added), (SELECT id FROM same),
             (SELECT pg_notify('capcut_mcp_jobs', '') FROM added WHERE $8 = 0)::text"
    );
    let hash = job.key.as_deref().map(key_hash);
    for _ in 0..TRIES {
        let answer = database
            .run(
                StatementWork::Write,
                SQL,
                values![
                    TEXT who.as_str(),
                    TEXT stored(&job.id),
                    TEXT stored(&job.kind),
                    TEXT stored(&job.request),
                    TEXT stored(&job.state),
                    TEXT job.key.as_deref().map(stored),
                    BYTEA hash.as_ref().map(<[u8; 32]>::as_slice),
                    INT8 i64::from(job.runner.is_some()),
                    TEXT stored(job.runner.as_deref().unwrap_or_default()),
                    INT8 millis(lease),
                ],
            )
            .await?;
        let Some(row) = answer.rows.first() else {
            return Err(Error::internal("the database did not answer about a job"));
        };
        if database.get::<Option<String>>(row, 0)?.is_some() {
            return Ok(JobAdded::New);
        }
        if let Some(id) = database.get::<Option<String>>(row, 1)? {
            let id = original(id);
            // The answer to the first attempt was lost.
            let is_own = answer.again && id == job.id;
            return Ok(if is_own {
                JobAdded::New
            } else {
                JobAdded::Exists(id)
            });
        }
        // Another process added it at the same time: the next look sees it.
    }
    Err(busy())
}

/// Gives a job to a worker. The row of its tenant is locked and its number of claims compared with the one that was seen, so
/// that of two workers that count the running jobs of a tenant at the same time only one takes a job of it. Others take one
/// of another tenant, or look again.
const CLAIM: &str = concat!(
    "WITH running AS MATERIALIZED (
         SELECT tenant, count(*) AS jobs FROM capcut_mcp.jobs
         WHERE phase = 1 AND until_ms > ",
    now_ms!(),
    " GROUP BY tenant
     ), open AS MATERIALIZED (
         SELECT tenants.tenant, tenants.claims, coalesce(running.jobs, 0) AS running, first.queued
         FROM capcut_mcp.tenants
         LEFT JOIN running USING (tenant)
         CROSS JOIN LATERAL (
             SELECT queued FROM capcut_mcp.jobs
             WHERE jobs.tenant = tenants.tenant AND phase < 2 AND (phase = 0 OR until_ms <= ",
    now_ms!(),
    ") ORDER BY queued LIMIT 1
         ) AS first
         WHERE coalesce(running.jobs, 0) < $1
     ), turn AS MATERIALIZED (
         SELECT tenants.tenant FROM open
         JOIN capcut_mcp.tenants ON tenants.tenant = open.tenant AND tenants.claims = open.claims
         ORDER BY open.running, open.queued LIMIT 1
         FOR NO KEY UPDATE OF tenants SKIP LOCKED
     ), picked AS MATERIALIZED (
         SELECT first.tenant, first.id FROM turn CROSS JOIN LATERAL (
             SELECT jobs.tenant, jobs.id FROM capcut_mcp.jobs
             WHERE jobs.tenant = turn.tenant AND phase < 2 AND (phase = 0 OR until_ms <= ",
    now_ms!(),
    ") ORDER BY queued LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
         ) AS first
     ), counted AS (
         UPDATE capcut_mcp.tenants SET claims = claims + 1 FROM picked WHERE tenants.tenant = picked.tenant
     ), taken AS (
         UPDATE capcut_mcp.jobs SET phase = 1, attempt = attempt + 1, runner = $2, until_ms = ",
    now_ms!(),
    " + $3, updated_ms = ",
    now_ms!(),
    " FROM picked WHERE jobs.tenant = picked.tenant AND jobs.id = picked.id
         RETURNING jobs.*
     )
     SELECT ",
    columns!("taken"),
    ", taken.tenant, EXISTS (SELECT 1 FROM open) FROM (SELECT) AS one LEFT JOIN taken ON true"
);

pub(super) async fn claim(
    database: &DatabasePool,
    terms: &ClaimTerms,
) -> Result<Option<ClaimedJob>> {
    for _ in 0..TRIES {
        let row = database
            .one(
                StatementWork::Write,
                CLAIM,
                values![
                    INT8 i64::try_from(terms.per_tenant).unwrap_or(i64::MAX),
                    TEXT stored(&terms.runner),
                    INT8 millis(terms.lease),
                ],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        if let Some(tenant) = database.get::<Option<String>>(&row, 11)? {
            let who = tenant
                .parse()
                .map_err(|error: String| super::failure::damaged(&database.address, &error))?;
            let job = job_row(database, &row)?;
            return Ok(Some(ClaimedJob { who, job }));
        }
        if !database.get::<bool>(&row, 12)? {
            return Ok(None);
        }
        // All tenants with jobs were locked by other workers, each for the time of a commit.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..10))).await;
    }
    Ok(None)
}

pub(super) async fn beat(
    database: &DatabasePool,
    who: &TenantName,
    fence: &Fence,
    report: Option<&JobReport>,
    lease: Duration,
) -> Result<Beat> {
    const SQL: &str = concat!(
        "UPDATE capcut_mcp.jobs SET until_ms = ",
        now_ms!(),
        " + $4, updated_ms = ",
        now_ms!(),
        ", state = coalesce($5, state), draft = coalesce($6, draft)
         WHERE tenant = $1 AND id = $2 AND attempt = $3 AND phase = 1 RETURNING stop"
    );
    let row = database
        .one(
            StatementWork::Write,
            SQL,
            values![
                TEXT who.as_str(),
                TEXT stored(&fence.job),
                INT8 i64::from(fence.attempt),
                INT8 millis(lease),
                TEXT report.map(|report| stored(&report.state)),
                TEXT report.and_then(|report| report.draft.as_ref()).map(|draft| stored(draft.as_str())),
            ],
        )
        .await?;
    Ok(match row {
        None => Beat::Lost,
        Some(row) if database.get(&row, 0)? => Beat::Stop,
        Some(_) => Beat::Go,
    })
}

/// Ends a job, and removes some of those that ended long ago.
pub(super) async fn end(
    database: &DatabasePool,
    who: &TenantName,
    fence: &Fence,
    report: &JobReport,
) -> Result<bool> {
    const SQL: &str = concat!(
        "WITH ended AS (
             UPDATE capcut_mcp.jobs SET phase = 2, updated_ms = ",
        now_ms!(),
        ", state = $4, draft = coalesce($5, draft)
             WHERE tenant = $1 AND id = $2 AND attempt = $3 AND phase = 1 RETURNING 1
         ), old AS (
             DELETE FROM capcut_mcp.jobs WHERE phase = 2 AND (tenant, id) IN (
                 SELECT tenant, id FROM capcut_mcp.jobs WHERE phase = 2 AND updated_ms < ",
        now_ms!(),
        " - $6 ORDER BY updated_ms LIMIT 100 FOR UPDATE SKIP LOCKED)
         )
         SELECT EXISTS (SELECT 1 FROM ended), EXISTS (
             SELECT 1 FROM capcut_mcp.jobs
             WHERE tenant = $1 AND id = $2 AND attempt = $3 AND phase = 2 AND state = $4)"
    );
    leave(database, who, fence, report, SQL, Some(KEEP_FINISHED_MS)).await
}

pub(super) async fn requeue(
    database: &DatabasePool,
    who: &TenantName,
    fence: &Fence,
    report: &JobReport,
) -> Result<bool> {
    const SQL: &str = concat!(
        "WITH back AS (
             UPDATE capcut_mcp.jobs SET phase = 0, queued = nextval('capcut_mcp.queue'), updated_ms = ",
        now_ms!(),
        ", state = $4, draft = coalesce($5, draft)
             WHERE tenant = $1 AND id = $2 AND attempt = $3 AND phase = 1 RETURNING 1
         )
         SELECT EXISTS (SELECT 1 FROM back), EXISTS (
             SELECT 1 FROM capcut_mcp.jobs
             WHERE tenant = $1 AND id = $2 AND attempt = $3 AND phase = 0 AND state = $4),
             (SELECT pg_notify('capcut_mcp_jobs', '') FROM back)::text"
    );
    leave(database, who, fence, report, SQL, None).await
}

/// The statement answers whether the job was left now, and whether it was before with the same state.
async fn leave(
    database: &DatabasePool,
    who: &TenantName,
    fence: &Fence,
    report: &JobReport,
    sql: &str,
    keep_ms: Option<i64>,
) -> Result<bool> {
    let state = stored(&report.state);
    let (tenant, job, attempt) = (who.as_str(), stored(&fence.job), i64::from(fence.attempt));
    let draft = report.draft.as_ref().map(|draft| stored(draft.as_str()));
    let all = values![TEXT tenant, TEXT job, INT8 attempt, TEXT state, TEXT draft, INT8 keep_ms];
    let values = if keep_ms.is_some() { all } else { &all[..5] };
    let answer = database.run(StatementWork::Write, sql, values).await?;
    let Some(row) = answer.rows.first() else {
        return Err(Error::internal("the database did not answer about a job"));
    };
    Ok(database.get(row, 0)? || (answer.again && database.get(row, 1)?))
}

pub(super) async fn get(
    database: &DatabasePool,
    who: &TenantName,
    id: &str,
) -> Result<Option<JobRow>> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!("jobs"),
        " FROM capcut_mcp.jobs WHERE tenant = $1 AND id = $2"
    );
    let row = database
        .one(
            StatementWork::Look,
            SQL,
            values![TEXT who.as_str(), TEXT stored(id)],
        )
        .await?;
    row.map(|row| job_row(database, &row)).transpose()
}

pub(super) async fn with_key(
    database: &DatabasePool,
    who: &TenantName,
    key: &str,
) -> Result<Option<JobRow>> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!("jobs"),
        " FROM capcut_mcp.jobs WHERE tenant = $1 AND key_hash = $2"
    );
    let hash = key_hash(key);
    let row = database
        .one(
            StatementWork::Look,
            SQL,
            values![TEXT who.as_str(), BYTEA hash.as_slice()],
        )
        .await?;
    row.map(|row| job_row(database, &row)).transpose()
}

/// Asks a running job to stop; one that no process runs ends with the next attempt, so that a suspended process that ran it
/// writes nothing any more.
pub(super) async fn stop(
    database: &DatabasePool,
    who: &TenantName,
    id: &str,
    stopped: &str,
) -> Result<Option<JobRow>> {
    const SQL: &str = concat!(
        "WITH was AS MATERIALIZED (
             SELECT * FROM capcut_mcp.jobs WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE
         ), asked AS (
             UPDATE capcut_mcp.jobs SET stop = true FROM was
             WHERE jobs.tenant = was.tenant AND jobs.id = was.id AND jobs.phase = 1 AND jobs.until_ms > ",
        now_ms!(),
        " RETURNING 1
         ), ended AS (
             UPDATE capcut_mcp.jobs SET phase = 2, attempt = jobs.attempt + 1, state = $3, updated_ms = ",
        now_ms!(),
        " FROM was
             WHERE jobs.tenant = was.tenant AND jobs.id = was.id
                 AND (jobs.phase = 0 OR jobs.phase = 1 AND jobs.until_ms <= ",
        now_ms!(),
        ") RETURNING 1
         )
         SELECT ",
        columns!("was"),
        ", (SELECT pg_notify('capcut_mcp_jobs', '') FROM asked)::text, EXISTS (SELECT 1 FROM ended) FROM was"
    );
    let answer = database
        .run(
            StatementWork::Write,
            SQL,
            values![TEXT who.as_str(), TEXT stored(id), TEXT stored(stopped)],
        )
        .await?;
    let row = answer.rows.first();
    row.map(|row| job_row(database, row)).transpose()
}

/// How many jobs of a tenant wait or run.
pub(super) async fn open(database: &DatabasePool, who: &TenantName) -> Result<usize> {
    let row = database
        .one(
            StatementWork::Look,
            "SELECT count(*) FROM capcut_mcp.jobs WHERE tenant = $1 AND phase < 2",
            values![TEXT who.as_str()],
        )
        .await?;
    let open: i64 = row.map_or(Ok(0), |row| database.get(&row, 0))?;
    Ok(usize::try_from(open).unwrap_or(usize::MAX))
}
