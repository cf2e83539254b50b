//! The entry points for benchmarks: tool calls as a client makes them, and calls of a store, in the same process.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::exec::{App, Context};
use crate::journal::{
    self, Appended, CallPosition, ClaimTerms, Fence, JobReport, Journal, NewDraftRow, NewJob,
    NewRecord,
};
use crate::local;
use crate::settings::{BackendChoice, Given, Settings};
use crate::tools::Caller;

/// The embedded engine of this process, with its own data directory.
pub struct InProcess(Arc<App>);

impl InProcess {
    /// An engine that keeps its journal in `data_dir`. Errors are returned as text.
    pub fn open(data_dir: &Path) -> Result<Self, String> {
        let given = Given {
            data_dir: Some(data_dir.to_owned()),
            backend: Some(BackendChoice::Embedded),
            ..Given::default()
        };
        let settings = Settings::current(given).map_err(|error| error.to_string())?;
        App::new(settings)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Calls a tool and returns its reply, or the text of the error.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Value, String> {
        let Value::Object(arguments) = arguments else {
            return Err("arguments must be an object".into());
        };
        let caller = Caller::user();
        let spec = local::find(tool).ok_or_else(|| format!("there is no tool `{tool}`"))?;
        let call = local::decode(spec, arguments, &caller).map_err(|error| error.to_string())?;
        let reply = call.answer(&self.0, Context::of(&caller)).await;
        reply.map_err(|error| error.to_string())
    }
}

/// A store in a database, which is called as the engine calls it.
pub struct Database(Journal);

impl Database {
    /// The store at `postgres://…`. Errors are returned as text.
    pub fn open(address: &str) -> Result<Self, String> {
        let store = journal::in_postgres(address).map_err(|error| error.to_string())?;
        Ok(Self(Journal::new(store, TenantName::local())))
    }

    /// Makes the draft with this number.
    pub async fn create(&self, number: u32) -> Result<(), String> {
        let draft = NewDraftRow {
            origin: journal::ENGINE.to_owned(),
            id: DraftId::make(0, number),
            name: format!("Draft {number}"),
            edition: "capcut".to_owned(),
            reason: "a benchmark".to_owned(),
        };
        let created = self.0.create(&draft, &record("{}")).await;
        created.map_err(|error| error.to_string())
    }

    /// Adds a call with these arguments, as JSON, to the draft with this number; returns when it is on the disk.
    pub async fn append(&self, number: u32, arguments: &str) -> Result<(), String> {
        let draft = DraftId::make(0, number);
        let (record, end) = (record(arguments), CallPosition::End);
        let added = self.0.append(journal::ENGINE, &draft, &record, end).await;
        match added {
            Ok(Appended::Done(_)) => Ok(()),
            Ok(other) => Err(format!("it was added as {other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// How long it takes to list the latest drafts, to find one by its id, and to read its last position, in seconds.
    pub async fn look(&self, number: u32) -> Result<[f64; 3], String> {
        let draft = DraftId::make(0, number);
        let start = Instant::now();
        let listed = self.0.list(false, 50, Some("draft 9")).await;
        listed.map_err(|error| error.to_string())?;
        let listed = start.elapsed();
        let start = Instant::now();
        let found = self
            .0
            .find(&draft)
            .await
            .map_err(|error| error.to_string())?;
        let found_in = start.elapsed();
        found.ok_or("the draft is not found")?;
        let start = Instant::now();
        let last = self.0.last_sequence(journal::ENGINE, &draft).await;
        last.map_err(|error| error.to_string())?;
        Ok([listed, found_in, start.elapsed()].map(|time| time.as_secs_f64()))
    }

    /// Adds this number of jobs that wait.
    pub async fn add_jobs(&self, count: u32) -> Result<(), String> {
        for number in 0..count {
            let job = NewJob {
                id: format!("{number}-{}", uuid::Uuid::new_v4()),
                kind: "compose_draft".to_owned(),
                request: "{}".to_owned(),
                state: "{}".to_owned(),
                key: None,
                runner: None,
            };
            let added = self.0.job_add(&job, Duration::ZERO).await;
            added.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Claims a job and ends it; false if none waits.
    pub async fn run_job(&self) -> Result<bool, String> {
        let terms = ClaimTerms {
            runner: "benchmark".to_owned(),
            lease: Duration::from_mins(1),
            per_tenant: usize::MAX,
        };
        let claimed = self.0.store().job_claim(&terms).await;
        let Some(claimed) = claimed.map_err(|error| error.to_string())? else {
            return Ok(false);
        };
        let fence = Fence {
            job: claimed.job.id.into(),
            attempt: claimed.job.attempt,
            part: 0,
        };
        let report = JobReport {
            state: "{}".to_owned(),
            draft: None,
        };
        let ended = self.0.job_end(&fence, &report).await;
        ended.map_err(|error| error.to_string())
    }
}

fn record(arguments: &str) -> NewRecord {
    NewRecord {
        call: uuid::Uuid::new_v4(),
        tool: "add_text".to_owned(),
        arguments: arguments.to_owned(),
        found: None,
        reply: "{}".to_owned(),
        engine_version: 1,
        at_ms: journal::now_ms(),
        internal: false,
        document: None,
        name: None,
        fence: None,
    }
}
