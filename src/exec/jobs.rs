//! Jobs: work that takes longer than a client waits. A job is started, waited for, looked up by its id,
//! cancelled.
//!
//! Every job is in the journal from its start, so that it is found again after a restart: a job whose process has
//! ended is reported as interrupted, with the request needed to resume it.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{App, Context, Progress, Step, delivery, panicked};
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::journal::{self, Journal, Runner};
use crate::tool::{Hints, Request};

/// The prefix of job ids.
pub(crate) const PREFIX: &str = "job_";

/// How many finished jobs stay in memory; older ones are read from the journal.
const REMEMBERED: usize = 32;

/// How long a job that was asked to stop may take to clean up.
pub(crate) const UNDONE: Duration = Duration::from_secs(5);

/// How often a job checks whether another process asks it to stop, and how often the state of another process's
/// job is read.
const LOOKED_EVERY: Duration = Duration::from_millis(250);

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum JobStage {
    Running,
    /// It ended, and its result says how.
    Done,
    Failed,
    Cancelled,
    /// The process that ran the job ended before the job did.
    Interrupted,
}

/// The stored state of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JobState {
    pub status: JobStage,
    /// The request, complete enough to resume the job.
    pub request: Box<RawValue>,
    pub draft_id: Option<DraftId>,
    pub done: f64,
    pub total: Option<f64>,
    pub message: String,
    pub result: Option<Value>,
    pub error: Option<String>,
    /// The name of the error's kind.
    #[serde(default)]
    pub error_kind: Option<String>,
    /// The name of the tool that the job runs.
    #[serde(default)]
    pub kind: String,
    /// The presence id of the process that runs it; empty if it has none.
    #[serde(default)]
    runner: String,
}

impl JobState {
    /// Why the job failed, as an error.
    pub(crate) fn failure(&self) -> Option<Error> {
        let text = self.error.as_deref()?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| Some(kind.name()) == self.error_kind.as_deref())
            .unwrap_or(Kind::Internal);
        Some(match text.split_once("\nhint: ") {
            Some((message, hint)) => Error::new(kind, message).hint(hint),
            None => Error::new(kind, text),
        })
    }

    fn fail(&mut self, error: &Error) {
        self.status = if error.kind == Kind::Cancelled {
            JobStage::Cancelled
        } else {
            JobStage::Failed
        };
        self.error = Some(error.to_string());
        self.error_kind = Some(error.kind.name().to_owned());
    }
}

/// A job's handle for the work itself: it reports progress, and signals when the job must stop.
#[derive(Clone)]
pub(crate) struct Handle {
    id: String,
    kind: &'static str,
    state: watch::Sender<JobState>,
    journal: Arc<Journal>,
    /// Held while the state is written to the journal, so that the last write is the newest state.
    keeping: Arc<tokio::sync::Mutex<()>>,
    pub cancel: CancellationToken,
    /// Cancelled when the client has disconnected: the current step is finished, but not tried again.
    pub left: CancellationToken,
}

impl Handle {
    /// The context for the job's own calls: its cancellation token, and who else receives their progress.
    pub(crate) fn context(&self, caller: Caller, progress: Option<Progress>) -> Context {
        let told = self.clone();
        Context {
            cancel: self.cancel.clone(),
            progress: Some(Arc::new(move |step: Step| {
                told.step(&step);
                if let Some(progress) = &progress {
                    progress(step);
                }
            })),
            ..Context::of(&caller)
        }
    }

    pub(crate) fn step(&self, step: &Step) {
        self.state.send_if_modified(|state| {
            state.done = step.done;
            state.total = step.total;
            state.message.clone_from(&step.message);
            // The step is stored for readers; tasks that wait for the end are not woken.
            false
        });
    }

    /// Sets the draft of the job, also for readers after a restart.
    pub(crate) fn draft(&self, draft: &DraftId) {
        self.state
            .send_modify(|state| state.draft_id = Some(draft.clone()));
        let handle = self.clone();
        tokio::spawn(async move {
            let _keeping = handle.keeping.lock().await;
            let state = handle.state.borrow().clone();
            handle.keep(&state).await;
        });
    }

    /// The end is written to the journal before it is published: who waits for it may end the process.
    async fn end(&self, outcome: Result<Value>) {
        let _keeping = self.keeping.lock().await;
        let mut state = self.state.borrow().clone();
        match outcome {
            Ok(result) => {
                state.status = JobStage::Done;
                state.result = Some(result);
            }
            Err(error) => state.fail(&error),
        }
        self.keep(&state).await;
        self.state.send_replace(state);
    }

    /// Writes the job's progress into the journal for other processes, and stops the job when one of them asks
    /// for it.
    async fn answer_others(&self) {
        let mut kept = 0.0;
        loop {
            tokio::time::sleep(LOOKED_EVERY).await;
            match self.journal.job_get(&stop_key(&self.id)).await {
                Ok(Some(_)) => {
                    self.cancel.cancel();
                    return std::future::pending().await;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(job = self.id, %error, "the journal cannot be read"),
            }
            let state = self.state.borrow().clone();
            if state.done > kept {
                kept = state.done;
                let _keeping = self.keeping.lock().await;
                self.keep(&state).await;
            }
        }
    }

    async fn keep(&self, state: &JobState) {
        if let Err(error) = put(&self.journal, &self.id, self.kind, state).await {
            tracing::warn!(job = self.id, %error, "the job's state could not be stored");
        }
    }
}

/// The journal key of the request to stop a job.
fn stop_key(id: &str) -> String {
    format!("stop_{id}")
}

async fn put(journal: &Arc<Journal>, id: &str, kind: &str, state: &JobState) -> Result<()> {
    let result = state.result.as_ref().and_then(delivery::without_links);
    let json = match result {
        None => serde_json::to_string(state),
        result => serde_json::to_string(&JobState {
            result,
            ..state.clone()
        }),
    };
    let json =
        json.map_err(|e| Error::internal("a job's state cannot be written as JSON").source(e))?;
    let job = journal::JobRecord {
        id: id.to_owned(),
        kind: kind.to_owned(),
        draft: state.draft_id.clone(),
        state: json,
        finished: state.status != JobStage::Running,
        pid: std::process::id(),
        updated_ms: 0,
    };
    journal.job_put(&job).await
}

struct Job {
    kind: &'static str,
    state: watch::Receiver<JobState>,
    cancel: CancellationToken,
}

/// The runtime of the jobs, on its own thread: a long job does not delay the threads that answer clients.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// Creates the runtime when the first job starts.
fn thread() -> Option<tokio::runtime::Handle> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if runtime.is_none() {
        *runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("jobs")
            .enable_all()
            .build()
            .inspect_err(|error| tracing::warn!("jobs have no separate thread: {error}"))
            .ok();
    }
    runtime.as_ref().map(|runtime| runtime.handle().clone())
}

/// Drops the jobs that still run, at the end of the process: other processes see them as interrupted. Waits up to
/// `time` for work that cannot be interrupted, such as removing the files of an incomplete save.
pub(crate) fn shut_down(time: Duration) {
    let runtime = RUNTIME
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(time);
    }
}

/// All jobs of this process; dropping it stops them.
pub(crate) struct Jobs {
    journal: Arc<Journal>,
    known: Mutex<HashMap<String, Arc<Job>>>,
    running: Mutex<JoinSet<()>>,
    runner: Arc<Runner>,
    left: CancellationToken,
}

impl Jobs {
    pub(crate) fn new(journal: Arc<Journal>, runner: Arc<Runner>) -> Self {
        Self {
            journal,
            known: Mutex::default(),
            running: Mutex::default(),
            runner,
            left: CancellationToken::new(),
        }
    }

    /// Starts `work`, which receives its handle. The job is in the journal before this returns.
    pub(crate) async fn start<F, W>(
        &self,
        kind: &'static str,
        request: &impl Serialize,
        work: F,
    ) -> Result<String>
    where
        F: FnOnce(Handle) -> W,
        W: Future<Output = Result<Value>> + Send + 'static,
    {
        let id = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
        let request = serde_json::value::to_raw_value(request)
            .map_err(|e| Error::internal("a job's request cannot be written as JSON").source(e))?;
        let state = JobState {
            status: JobStage::Running,
            request,
            draft_id: None,
            done: 0.0,
            total: None,
            message: String::new(),
            result: None,
            error: None,
            error_kind: None,
            kind: kind.to_owned(),
            runner: self.runner.name().to_owned(),
        };
        put(&self.journal, &id, kind, &state).await?;
        let (sender, receiver) = watch::channel(state);
        let cancel = CancellationToken::new();
        let handle = Handle {
            id: id.clone(),
            kind,
            state: sender,
            journal: self.journal.clone(),
            keeping: Arc::default(),
            cancel: cancel.clone(),
            left: self.left.clone(),
        };
        let work = work(handle.clone());
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED {
                known.retain(|_, job| job.state.borrow().status == JobStage::Running);
            }
            known.insert(
                id.clone(),
                Arc::new(Job {
                    kind,
                    state: receiver,
                    cancel,
                }),
            );
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        let work = async move {
            let outcome = tokio::select! {
                outcome = AssertUnwindSafe(work).catch_unwind() => outcome,
                () = handle.answer_others() => Ok(Err(Error::internal("a job ended without a result"))),
            };
            let outcome = outcome.unwrap_or_else(|panic| Err(panicked(Hints::ADD, panic.as_ref())));
            handle.end(outcome).await;
        };
        match thread() {
            Some(thread) => running.spawn_on(work, &thread),
            None => running.spawn(work),
        };
        Ok(id)
    }

    /// The job's state, after at most `wait` if it still runs, in this process or another one.
    pub(crate) async fn wait(&self, id: &str, wait: Duration) -> Result<JobState> {
        let Some(job) = self.job(id) else {
            return self.wait_elsewhere(id, wait).await;
        };
        let mut state = job.state.clone();
        let ended = state.wait_for(|state| state.status != JobStage::Running);
        // The state is returned whether the job has ended or not.
        let _ended = tokio::time::timeout(wait, ended).await;
        let state = job.state.borrow().clone();
        Ok(state)
    }

    async fn wait_elsewhere(&self, id: &str, wait: Duration) -> Result<JobState> {
        let until = Instant::now() + wait;
        loop {
            let state = self.remembered(id).await?;
            let left = until.saturating_duration_since(Instant::now());
            if state.status != JobStage::Running || left.is_zero() {
                return Ok(state);
            }
            tokio::time::sleep(LOOKED_EVERY.min(left)).await;
        }
    }

    /// Waits for a job for the call that started it, at most `wait_s` seconds. If the client gives up, the call and the job end;
    /// after an answer that the job is running, it continues.
    pub(crate) async fn answered(
        &self,
        id: &str,
        wait_s: f64,
        cancel: &CancellationToken,
    ) -> Result<JobState> {
        let given_up = self.token(id).drop_guard();
        let wait = Duration::from_secs_f64(wait_s.clamp(0.0, 3600.0));
        let state = tokio::select! {
            biased;
            () = cancel.cancelled() => self.cancel(id, UNDONE).await?,
            state = self.wait(id, wait) => state?,
        };
        given_up.disarm();
        Ok(state)
    }

    /// The token that cancels the job.
    pub(crate) fn token(&self, id: &str) -> CancellationToken {
        self.job(id)
            .map(|job| job.cancel.clone())
            .unwrap_or_default()
    }

    /// Asks the job to stop, also if another process runs it; the returned state contains what it had done by
    /// then.
    pub(crate) async fn cancel(&self, id: &str, wait: Duration) -> Result<JobState> {
        match self.job(id) {
            Some(job) => job.cancel.cancel(),
            None if self.remembered(id).await?.status == JobStage::Running => {
                let stop = journal::JobRecord {
                    id: stop_key(id),
                    kind: "stop".to_owned(),
                    draft: None,
                    state: "{}".to_owned(),
                    finished: true,
                    pid: std::process::id(),
                    updated_ms: 0,
                };
                self.journal.job_put(&stop).await?;
            }
            None => {}
        }
        let mut state = self.wait(id, wait).await?;
        if state.status == JobStage::Running {
            state.message = format!(
                "it was asked to stop and has not stopped within {} s",
                wait.as_secs()
            );
        }
        Ok(state)
    }

    /// Stops all running jobs, all within one time limit.
    pub(crate) async fn cancel_all(&self) {
        for (id, _) in self.running() {
            self.token(&id).cancel();
        }
        // Jobs that take longer end with the process.
        let _ended = tokio::time::timeout(UNDONE, self.drain()).await;
    }

    /// The client has disconnected: jobs continue, but their calls are not tried again.
    pub(crate) fn leave(&self) {
        self.left.cancel();
    }

    /// Waits for all running jobs, before the process ends.
    pub(crate) async fn drain(&self) {
        loop {
            let states: Vec<_> = {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known
                    .values()
                    .filter(|job| job.state.borrow().status == JobStage::Running)
                    .map(|job| job.state.clone())
                    .collect()
            };
            if states.is_empty() {
                return;
            }
            for mut state in states {
                // An error means that the job's task is gone, so it has ended.
                let _ended = state
                    .wait_for(|state| state.status != JobStage::Running)
                    .await;
            }
        }
    }

    /// Ids and kinds of the running jobs.
    pub(crate) fn running(&self) -> Vec<(String, &'static str)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .filter(|(_, job)| job.state.borrow().status == JobStage::Running)
            .map(|(id, job)| (id.clone(), job.kind))
            .collect()
    }

    fn job(&self, id: &str) -> Option<Arc<Job>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// The stored state of a job that this process does not run.
    async fn remembered(&self, id: &str) -> Result<JobState> {
        // The same table holds other rows, such as stop requests, under ids with other prefixes.
        let row = self.journal.job_get(id).await?;
        let row = row.filter(|_| id.starts_with(PREFIX)).ok_or_else(|| {
            let running: Vec<String> = self.running().into_iter().map(|(id, _)| id).collect();
            Error::not_found(format!("no job {id:?} is known")).hint(if running.is_empty() {
                "no job is running; `list_drafts` lists the existing drafts".to_owned()
            } else {
                format!("running jobs: {}", running.join(", "))
            })
        })?;
        let mut state: JobState = serde_json::from_str(&row.state)
            .map_err(|e| Error::internal("a job's state cannot be read").source(e))?;
        if state.status == JobStage::Running && !self.runner.is_there(&state.runner) {
            state.status = JobStage::Interrupted;
        }
        Ok(state)
    }
}

impl App {
    /// Like [`App::run`], but for clients that wait only up to a limit: a call that takes longer continues as a
    /// job, and the reply says so.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Box<dyn Request>,
        context: Context,
    ) -> Result<Value> {
        match request.patience() {
            // Jobs are rare; boxed so that every call's future does not contain one.
            Some(patience) => Box::pin(self.answer_within(patience, request, context)).await,
            None => self.run(request, context).await,
        }
    }

    async fn answer_within(
        self: &Arc<Self>,
        patience: Duration,
        request: Box<dyn Request>,
        context: Context,
    ) -> Result<Value> {
        let cancel = context.cancel.clone();
        let name = request.spec().name;
        let draft = request.draft().cloned();
        let asked = request.call().arguments.clone();
        let app = self.clone();
        let work = move |handle: Handle| async move {
            if let Some(draft) = &draft {
                handle.draft(draft);
            }
            let context = handle.context(context.caller, context.progress);
            app.run(request, context).await
        };
        self.job_within_quota()?;
        let id = self.jobs.start(name, &asked, work).await?;
        // If the client drops this call, the job is cancelled. Once the client has the job's id, the job
        // continues.
        let given_up = self.jobs.token(&id).drop_guard();
        let state = tokio::select! {
            biased;
            () = cancel.cancelled() => self.jobs.cancel(&id, UNDONE).await?,
            state = self.jobs.wait(&id, patience) => state?,
        };
        given_up.disarm();
        if let Some(error) = state.failure() {
            return Err(error);
        }
        Ok(state.result.unwrap_or_else(|| {
            json!({
                "status": "running",
                "job_id": id,
                "notes": ["still running: call `job_status` with this `job_id` for the result, or `cancel_job` to stop it"],
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::SyncMode;
    use serde_json::json;

    fn of(journal: Arc<Journal>) -> Jobs {
        let runner = Arc::new(Runner::new(&*journal));
        Jobs::new(journal, runner)
    }

    fn jobs() -> Jobs {
        of(journal::in_memory())
    }

    #[tokio::test]
    async fn a_finished_job_is_found_again_by_id() {
        let jobs = jobs();
        let id = jobs
            .start("test", &json!({"a": 1}), async |_| Ok(json!({"b": 2})))
            .await
            .unwrap();
        let state = jobs.wait(&id, Duration::from_secs(5)).await.unwrap();
        assert_eq!(state.status, JobStage::Done);
        assert_eq!(state.result, Some(json!({"b": 2})));
        jobs.drain().await;
        jobs.known.lock().unwrap().clear();
        assert_eq!(
            jobs.wait(&id, Duration::ZERO).await.unwrap().status,
            JobStage::Done
        );
    }

    #[tokio::test]
    async fn a_job_outlasts_a_short_wait_and_stops_when_cancelled() {
        let jobs = jobs();
        let id = jobs
            .start("test", &json!({}), async |handle: Handle| {
                handle.cancel.cancelled().await;
                Err(Error::new(Kind::Cancelled, "stopped after 3 of 9"))
            })
            .await
            .unwrap();
        assert_eq!(
            jobs.wait(&id, Duration::ZERO).await.unwrap().status,
            JobStage::Running
        );
        let state = jobs.cancel(&id, Duration::from_secs(5)).await.unwrap();
        assert_eq!(state.status, JobStage::Cancelled);
        assert_eq!(state.error.as_deref(), Some("stopped after 3 of 9"));
    }

    #[tokio::test]
    async fn a_job_whose_process_ended_is_interrupted() {
        let journal = journal::in_memory();
        let jobs = of(journal.clone());
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let id = jobs
            .start("test", &json!({"plan": {}}), async |handle: Handle| {
                handle.draft(&DraftId("dfd_cat_1_00000001".to_owned()));
                begun.send(()).unwrap();
                std::future::pending().await
            })
            .await
            .unwrap();
        has_begun.await.unwrap();
        let is_kept = async || journal.job_get(&id).await.unwrap().unwrap().draft.is_some();
        while !is_kept().await {
            tokio::task::yield_now().await;
        }
        drop(jobs);
        let state = of(journal).wait(&id, Duration::ZERO).await.unwrap();
        assert_eq!(state.status, JobStage::Interrupted);
        assert_eq!(
            state.draft_id,
            Some(DraftId("dfd_cat_1_00000001".to_owned()))
        );
    }

    #[tokio::test]
    async fn a_job_of_another_process_runs_until_that_process_ends() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = of(journal::at(dir.path(), SyncMode::Normal));
        let other = of(journal::at(dir.path(), SyncMode::Normal));
        let id = jobs
            .start("test", &json!({}), |_| std::future::pending())
            .await
            .unwrap();
        let seen = other.wait(&id, Duration::ZERO).await.unwrap();
        assert_eq!(seen.status, JobStage::Running);
        drop(jobs);
        let seen = other.wait(&id, Duration::ZERO).await.unwrap();
        assert_eq!(seen.status, JobStage::Interrupted);
    }

    #[tokio::test]
    async fn a_job_of_another_process_can_be_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = of(journal::at(dir.path(), SyncMode::Normal));
        let other = of(journal::at(dir.path(), SyncMode::Normal));
        let id = jobs
            .start("test", &json!({}), async |handle: Handle| {
                handle.step(&Step {
                    done: 3.0,
                    total: Some(9.0),
                    message: "3 of 9".to_owned(),
                    bytes: None,
                });
                handle.cancel.cancelled().await;
                Err(Error::new(Kind::Cancelled, "stopped after 3 of 9"))
            })
            .await
            .unwrap();
        // The other process can read the progress.
        while other
            .wait(&id, Duration::ZERO)
            .await
            .unwrap()
            .total
            .is_none()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let waiting = other.wait(&id, Duration::from_secs(60));
        let (waited, cancelled) = tokio::join!(waiting, other.cancel(&id, Duration::from_secs(60)));
        for state in [waited.unwrap(), cancelled.unwrap()] {
            assert_eq!(state.status, JobStage::Cancelled);
            assert_eq!(state.error.as_deref(), Some("stopped after 3 of 9"));
        }
        assert_eq!(
            jobs.wait(&id, Duration::from_secs(60))
                .await
                .unwrap()
                .status,
            JobStage::Cancelled
        );
    }

    #[tokio::test]
    async fn a_job_that_does_not_stop_is_reported_as_running() {
        let jobs = jobs();
        let id = jobs
            .start("test", &json!({}), |_| std::future::pending())
            .await
            .unwrap();
        let state = jobs.cancel(&id, Duration::from_millis(1)).await.unwrap();
        assert_eq!(state.status, JobStage::Running);
        assert!(
            state.message.contains("has not stopped"),
            "{}",
            state.message
        );
    }

    #[tokio::test(start_paused = true)]
    async fn all_jobs_are_stopped_within_one_time_limit() {
        let jobs = jobs();
        let (stopped, mut order) = tokio::sync::mpsc::unbounded_channel();
        for slow in [true, true, true, false, false] {
            let stopped = stopped.clone();
            jobs.start("test", &json!({}), async move |handle: Handle| {
                handle.cancel.cancelled().await;
                let _ = stopped.send(slow);
                if slow {
                    std::future::pending::<()>().await;
                }
                Err(Error::new(Kind::Cancelled, "stopped"))
            })
            .await
            .unwrap();
        }
        let begun = tokio::time::Instant::now();
        jobs.cancel_all().await;
        assert!(begun.elapsed() < 2 * UNDONE, "{:?}", begun.elapsed());
        // Jobs that do not stop have not kept the others from being cancelled.
        for _ in 0..5 {
            order.recv().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_job_that_panics_fails_and_ends_the_wait() {
        let jobs = jobs();
        let id = jobs
            .start("test", &json!({}), async |_| panic!("oh no"))
            .await
            .unwrap();
        let state = jobs.wait(&id, Duration::from_secs(5)).await.unwrap();
        assert_eq!(state.status, JobStage::Failed);
        assert!(state.failure().unwrap().to_string().contains("oh no"));
        jobs.drain().await;
    }

    #[tokio::test]
    async fn an_unknown_job_is_not_found() {
        assert_eq!(
            jobs().wait("job_x", Duration::ZERO).await.unwrap_err().kind,
            Kind::NotFound
        );
    }
}
