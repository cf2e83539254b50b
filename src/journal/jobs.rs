//! Jobs in a store: a queue whose jobs outlive the processes that run them.
//!
//! A job waits, runs or has ended. The process that runs it renews a lease; when the lease ends without that, another
//! process may take the job over, with the next attempt. Whatever a job writes is checked against its attempt, so that
//! a process that was suspended beyond its lease writes nothing afterwards.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::access::TenantName;
use crate::draft::ids::DraftId;

/// A job to be added.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub id: String,
    /// The name of the tool that it runs.
    pub kind: String,
    /// The work, complete enough for another process, as JSON. It does not change.
    pub request: String,
    /// Its state, as JSON.
    pub state: String,
    /// A job that has the same key is the same job.
    pub key: Option<String>,
    /// The process that runs it from now on; `None`: it waits for a worker.
    pub runner: Option<String>,
}

/// What adding a job did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JobAdded {
    /// It was added; if it runs already, this is its first attempt.
    New,
    /// There is a job with its idempotency key: its id.
    Exists(String),
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobPhase {
    /// It waits for a worker.
    Waiting,
    /// A process runs it, or did until it ended without saying so.
    Running,
    /// It has ended, successfully or not.
    Ended,
}

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobRow {
    pub id: String,
    pub kind: String,
    /// The draft it works on, once it has one.
    pub draft: Option<DraftId>,
    pub request: String,
    pub state: String,
    pub key: Option<String>,
    pub phase: JobPhase,
    /// How often a process began to run it.
    pub attempt: u32,
    /// The process that runs it or ran it last: the name of its [`Runner`](super::Runner).
    pub runner: String,
    /// Whether it runs, but the lease of its runner has ended.
    pub is_lost: bool,
    /// When it was last written, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// What a process reports about a job that it runs.
#[derive(Clone, Debug)]
pub(crate) struct JobReport {
    /// Its state, as JSON.
    pub state: String,
    pub draft: Option<DraftId>,
}

/// Which jobs a worker takes.
#[derive(Clone, Debug)]
pub(crate) struct ClaimTerms {
    /// The worker's process: the name of its [`Runner`](super::Runner).
    pub runner: String,
    pub lease: Duration,
    /// How many jobs of a tenant may run at the same time, on all machines.
    pub per_tenant: usize,
}

/// A job that a worker may run.
#[derive(Clone, Debug)]
pub(crate) struct ClaimedJob {
    pub who: TenantName,
    pub job: JobRow,
}

/// Whether a job may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Beat {
    Go,
    /// It was asked to stop.
    Stop,
    /// Another process has it, or it has ended: nothing may be written any more.
    Lost,
}
