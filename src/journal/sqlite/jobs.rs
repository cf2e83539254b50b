//! The table of jobs.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use crate::draft::ids::DraftId;
use crate::journal::{
    Beat, ClaimTerms, Fence, JobAdded, JobPhase, JobReport, JobRow, NewJob, after,
};

/// The values of the column `phase`.
const WAITING: i64 = 0;
const RUNNING: i64 = 1;
const ENDED: i64 = 2;

pub(super) fn phase(number: i64) -> JobPhase {
    match number {
        WAITING => JobPhase::Waiting,
        RUNNING => JobPhase::Running,
        _ => JobPhase::Ended,
    }
}

pub(super) fn number(phase: JobPhase) -> i64 {
    match phase {
        JobPhase::Waiting => WAITING,
        JobPhase::Running => RUNNING,
        JobPhase::Ended => ENDED,
    }
}

/// Removes the jobs that ended before ?1.
pub(super) const REMOVE_ENDED: &str = "DELETE FROM jobs WHERE phase = 2 AND updated_ms < ?1";

/// ?2 is the time.
const COLUMNS: &str = "id, kind, draft, request, state, key, phase, attempt, runner,
    phase = 1 AND until_ms <= ?2, updated_ms";

fn row(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        draft: row.get::<_, Option<String>>(2)?.map(DraftId),
        request: row.get(3)?,
        state: row.get(4)?,
        key: row.get(5)?,
        phase: phase(row.get(6)?),
        attempt: row.get(7)?,
        runner: row.get(8)?,
        is_lost: row.get(9)?,
        updated_ms: row.get(10)?,
    })
}

pub(super) fn add(
    connection: &mut Connection,
    job: &NewJob,
    now_ms: i64,
    lease: Duration,
) -> rusqlite::Result<JobAdded> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(key) = &job.key {
        let same = transaction
            .prepare_cached("SELECT id FROM jobs WHERE key = ?1")?
            .query_row(params![key], |row| row.get(0))
            .optional()?;
        if let Some(id) = same {
            return Ok(JobAdded::Exists(id));
        }
    }
    let attempt = i64::from(job.runner.is_some());
    let phase = if job.runner.is_some() {
        RUNNING
    } else {
        WAITING
    };
    transaction
        .prepare_cached(
            "INSERT INTO jobs (id, kind, request, state, key, phase, attempt, runner, until_ms, queued_ms, updated_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
                 max(?10, (SELECT coalesce(max(queued_ms), 0) + 1 FROM jobs WHERE phase = 0)), ?10)",
        )?
        .execute(params![
            job.id,
            job.kind,
            job.request,
            job.state,
            job.key,
            phase,
            attempt,
            job.runner.as_deref().unwrap_or_default(),
            after(now_ms, lease),
            now_ms,
        ])?;
    transaction.commit()?;
    Ok(JobAdded::New)
}

/// The number of running jobs, and since when the first job that a worker may take has waited; `None` if there is none.
pub(super) fn first_open(
    connection: &Connection,
    now_ms: i64,
) -> rusqlite::Result<Option<(usize, i64)>> {
    let since: Option<i64> = connection
        .prepare_cached(
            "SELECT min(queued_ms) FROM jobs WHERE phase = 0 OR phase = 1 AND until_ms <= ?1",
        )?
        .query_row(params![now_ms], |row| row.get(0))?;
    let Some(since) = since else {
        return Ok(None);
    };
    let running: i64 = connection
        .prepare_cached("SELECT count(*) FROM jobs WHERE phase = 1 AND until_ms > ?1")?
        .query_row(params![now_ms], |row| row.get(0))?;
    Ok(Some((
        usize::try_from(running).unwrap_or(usize::MAX),
        since,
    )))
}

pub(super) fn claim(
    connection: &mut Connection,
    terms: &ClaimTerms,
    now_ms: i64,
) -> rusqlite::Result<Option<JobRow>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match first_open(&transaction, now_ms)? {
        Some((running, _)) if running < terms.per_tenant => {}
        _ => return Ok(None),
    }
    let id: String = transaction
        .prepare_cached(
            "SELECT id FROM jobs WHERE phase = 0 OR phase = 1 AND until_ms <= ?1
             ORDER BY queued_ms, id LIMIT 1",
        )?
        .query_row(params![now_ms], |row| row.get(0))?;
    transaction
        .prepare_cached(
            "UPDATE jobs SET phase = 1, attempt = attempt + 1, runner = ?2, until_ms = ?3, updated_ms = ?4
             WHERE id = ?1",
        )?
        .execute(params![id, terms.runner, after(now_ms, terms.lease), now_ms])?;
    let claimed = get(&transaction, &id, now_ms)?;
    transaction.commit()?;
    Ok(claimed)
}

/// Whether the job is still run by this attempt.
pub(super) fn is_held(connection: &Connection, fence: &Fence) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND attempt = ?2 AND phase = 1)",
        )?
        .query_row(params![&*fence.job, fence.attempt], |row| row.get(0))
}

/// A beat that need not be written, because the lease lasts for at least half of its time; otherwise `None`.
pub(super) fn beat_unwritten(
    connection: &Connection,
    fence: &Fence,
    now_ms: i64,
    lease: Duration,
) -> rusqlite::Result<Option<Beat>> {
    let held: Option<(bool, i64)> = connection
        .prepare_cached(
            "SELECT stop, until_ms FROM jobs WHERE id = ?1 AND attempt = ?2 AND phase = 1",
        )?
        .query_row(params![&*fence.job, fence.attempt], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(match held {
        None => Some(Beat::Lost),
        Some((_, until_ms)) if until_ms < after(now_ms, lease / 2) => None,
        Some((true, _)) => Some(Beat::Stop),
        Some((false, _)) => Some(Beat::Go),
    })
}

pub(super) fn beat(
    connection: &Connection,
    fence: &Fence,
    report: Option<&JobReport>,
    now_ms: i64,
    lease: Duration,
) -> rusqlite::Result<Beat> {
    let stop: Option<bool> = connection
        .prepare_cached(
            "UPDATE jobs SET until_ms = ?3, updated_ms = ?4, state = coalesce(?5, state), draft = coalesce(?6, draft)
             WHERE id = ?1 AND attempt = ?2 AND phase = 1 RETURNING stop",
        )?
        .query_row(
            params![
                &*fence.job,
                fence.attempt,
                after(now_ms, lease),
                now_ms,
                report.map(|report| &report.state),
                report.and_then(|report| report.draft.as_ref()).map(DraftId::as_str),
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(match stop {
        None => Beat::Lost,
        Some(true) => Beat::Stop,
        Some(false) => Beat::Go,
    })
}

/// Ends a job, and removes jobs that ended before `keep_from_ms`.
pub(super) fn end(
    connection: &Connection,
    fence: &Fence,
    report: &JobReport,
    now_ms: i64,
    keep_from_ms: i64,
) -> rusqlite::Result<bool> {
    let ended = connection
        .prepare_cached(
            "UPDATE jobs SET phase = 2, updated_ms = ?3, state = ?4, draft = coalesce(?5, draft)
             WHERE id = ?1 AND attempt = ?2 AND phase = 1",
        )?
        .execute(params![
            &*fence.job,
            fence.attempt,
            now_ms,
            report.state,
            report.draft.as_ref().map(DraftId::as_str),
        ])?;
    connection
        .prepare_cached(REMOVE_ENDED)?
        .execute(params![keep_from_ms])?;
    Ok(ended > 0)
}

pub(super) fn requeue(
    connection: &Connection,
    fence: &Fence,
    report: &JobReport,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let done = connection
        .prepare_cached(
            "UPDATE jobs SET phase = 0,
                 queued_ms = max(?3, (SELECT coalesce(max(queued_ms), 0) + 1 FROM jobs WHERE phase = 0)),
                 updated_ms = ?3, state = ?4, draft = coalesce(?5, draft)
             WHERE id = ?1 AND attempt = ?2 AND phase = 1",
        )?
        .execute(params![
            &*fence.job,
            fence.attempt,
            now_ms,
            report.state,
            report.draft.as_ref().map(DraftId::as_str),
        ])?;
    Ok(done > 0)
}

pub(super) fn get(
    connection: &Connection,
    id: &str,
    now_ms: i64,
) -> rusqlite::Result<Option<JobRow>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?
        .query_row(params![id, now_ms], row)
        .optional()
}

pub(super) fn with_key(
    connection: &Connection,
    key: &str,
    now_ms: i64,
) -> rusqlite::Result<Option<JobRow>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE key = ?1"))?
        .query_row(params![key, now_ms], row)
        .optional()
}

/// Asks a running job to stop; one that no process runs ends at once.
pub(super) fn stop(
    connection: &mut Connection,
    id: &str,
    stopped: &str,
    now_ms: i64,
) -> rusqlite::Result<Option<JobRow>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let was = get(&transaction, id, now_ms)?;
    match &was {
        Some(job) if job.phase == JobPhase::Waiting || job.is_lost => {
            // The next attempt: a suspended process that ran it writes nothing any more.
            transaction.execute(
                "UPDATE jobs SET phase = 2, attempt = attempt + 1, state = ?2, updated_ms = ?3 WHERE id = ?1",
                params![id, stopped, now_ms],
            )?;
        }
        Some(job) if job.phase == JobPhase::Running => {
            transaction.execute("UPDATE jobs SET stop = 1 WHERE id = ?1", params![id])?;
        }
        _ => {}
    }
    transaction.commit()?;
    Ok(was)
}

/// How many jobs wait or run.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("SELECT count(*) FROM jobs WHERE phase < 2")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(|open| usize::try_from(open).unwrap_or(usize::MAX))
}
