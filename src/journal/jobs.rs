//! Work that outlives a client's patience, as it is remembered across processes.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::value::RawValue;

use super::{Journal, file, now_ms};
use crate::draft::ids::DraftId;
use crate::error::Result;

/// How long what a job came to can be asked for: a week.
const KEEP_FINISHED_MS: i64 = 7 * 24 * 3600 * 1000;

/// A piece of work: what it is, how far it got, and who is at it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job {
    pub id: String,
    /// What kind of work: `compose`, `save`.
    pub kind: String,
    /// The draft it works on, once it has one.
    pub draft: Option<DraftId>,
    /// How far it got, and in the end what came of it: JSON.
    pub state: String,
    /// Whether it is over, well or badly.
    pub finished: bool,
    /// The process that is at it.
    pub pid: u32,
    /// When it was last written, in milliseconds since 1970; set by [`Journal::job_put`].
    pub updated_ms: i64,
}

impl Journal {
    /// Enters a job, or what became of it since.
    pub(crate) fn job_put(&self, job: &Job) -> Result<()> {
        let now = now_ms();
        self.with(|connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO jobs (id, kind, draft, state, updated_ms, finished, pid)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    job.id,
                    job.kind,
                    job.draft.as_ref().map(DraftId::as_str),
                    job.state,
                    now,
                    job.finished,
                    job.pid,
                ])?;
            if job.finished {
                connection.execute(
                    "DELETE FROM jobs WHERE finished AND updated_ms < ?1",
                    params![now - KEEP_FINISHED_MS],
                )?;
            }
            Ok(())
        })
    }

    pub(crate) fn job_get(&self, id: &str) -> Result<Option<Job>> {
        let found = self.with(|connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?
                .query_row(params![id], read)
                .optional()
        })?;
        found.map(|found| self.whole(found)).transpose()
    }

    /// The jobs that nobody has ended, the oldest first: still at work, or left behind by a process
    /// that died.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
    pub(crate) fn jobs_unfinished(&self) -> Result<Vec<Job>> {
        let found: Vec<Job> = self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM jobs WHERE NOT finished ORDER BY updated_ms, id"
                ))?
                .query_map([], read)?
                .collect()
        })?;
        found.into_iter().map(|found| self.whole(found)).collect()
    }

    fn whole(&self, job: Job) -> Result<Job> {
        serde_json::from_str::<&RawValue>(&job.state).map_err(|error| {
            file::damaged(&self.place, &format!("job {}", job.id)).source(error)
        })?;
        Ok(job)
    }
}

const COLUMNS: &str = "id, kind, draft, state, updated_ms, finished, pid";

fn read(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(0)?,
        kind: row.get(1)?,
        draft: row.get::<_, Option<String>>(2)?.map(DraftId),
        state: row.get(3)?,
        updated_ms: row.get(4)?,
        finished: row.get(5)?,
        pid: row.get(6)?,
    })
}
