//! Work that outlives a client's patience: started, waited for a while, asked after by id, cancelled.
//!
//! Every job stands in the journal from its start, so that a restart finds it again: what was running then is
//! reported as interrupted, with what is needed to take it up again.

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

use super::{App, Context, Progress, Step, panicked};
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::journal::{self, Journal, Runner};
use crate::tools::{Hints, Request};

/// What the ids of jobs begin with.
pub(crate) const PREFIX: &str = "job_";

/// How many finished jobs stay in memory; older ones are read from the journal.
const REMEMBERED: usize = 32;

/// How long a job that is to stop may take to put its things in order.
pub(crate) const UNDONE: Duration = Duration::from_secs(5);

/// How often a job looks whether another process wants it to stop, and how often a job of another process is asked
/// after.
const LOOKED_EVERY: Duration = Duration::from_millis(250);

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Status {
    Running,
    /// It ended, and its result tells how.
    Done,
    Failed,
    Cancelled,
    /// The process that ran it ended before it did.
    Interrupted,
}

/// What is known of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub status: Status,
    /// What was asked for, enough to take it up again.
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
    /// What kind of work it is.
    #[serde(default)]
    pub kind: String,
    /// The presence of the process that runs it; empty where it has none.
    #[serde(default)]
    runner: String,
}

impl State {
    /// Why it failed, as the error that it was.
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
            Status::Cancelled
        } else {
            Status::Failed
        };
        self.error = Some(error.to_string());
        self.error_kind = Some(error.kind.name().to_owned());
    }
}

/// A job's handle for the work itself: it tells how far it is, and hears when it shall stop.
#[derive(Clone)]
pub(crate) struct Handle {
    id: String,
    kind: &'static str,
    state: watch::Sender<State>,
    journal: Arc<Journal>,
    /// Held while the state is written to the journal: what is written last is the newest.
    keeping: Arc<tokio::sync::Mutex<()>>,
    pub cancel: CancellationToken,
    /// Fires when the client has gone: what is under way is ended, but not tried again.
    pub left: CancellationToken,
}

impl Handle {
    /// What the job's own calls bring along: its token, and who hears of their steps besides the job.
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
            // It is there for whoever looks; those who wait for the end are not woken.
            false
        });
    }

    /// The draft is known from now on, also after a restart.
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

    /// Kept before it is told: who hears of the end may end the process.
    async fn end(&self, outcome: Result<Value>) {
        let _keeping = self.keeping.lock().await;
        let mut state = self.state.borrow().clone();
        match outcome {
            Ok(result) => {
                state.status = Status::Done;
                state.result = Some(result);
            }
            Err(error) => state.fail(&error),
        }
        self.keep(&state).await;
        self.state.send_replace(state);
    }

    /// Writes the job's progress into the journal for other processes, and stops the job when one of them asks for that.
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

    async fn keep(&self, state: &State) {
        if let Err(error) = put(&self.journal, &self.id, self.kind, state).await {
            tracing::warn!(job = self.id, %error, "the job's state could not be kept");
        }
    }
}

/// Under this name the journal keeps the request to stop a job.
fn stop_key(id: &str) -> String {
    format!("stop_{id}")
}

async fn put(journal: &Arc<Journal>, id: &str, kind: &str, state: &State) -> Result<()> {
    let json = serde_json::to_string(state)
        .map_err(|e| Error::internal("a job's state cannot be written as JSON").source(e))?;
    let job = journal::Job {
        id: id.to_owned(),
        kind: kind.to_owned(),
        draft: state.draft_id.clone(),
        state: json,
        finished: state.status != Status::Running,
        pid: std::process::id(),
        updated_ms: 0,
    };
    journal.job_put(&job).await
}

struct Job {
    kind: &'static str,
    state: watch::Receiver<State>,
    cancel: CancellationToken,
}

/// What jobs run on, on a thread of its own, so that a long one leaves those alone that clients are answered on.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// Made when the first job starts.
fn thread() -> Option<tokio::runtime::Handle> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if runtime.is_none() {
        *runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("jobs")
            .enable_all()
            .build()
            .inspect_err(|error| tracing::warn!("jobs get no thread of their own: {error}"))
            .ok();
    }
    runtime.as_ref().map(|runtime| runtime.handle().clone())
}

/// Drops the jobs that still run, at the end of the process: others see them interrupted. Waits up to `time` for
/// what cannot be interrupted, such as removing what a save has not completed.
pub(crate) fn shut_down(time: Duration) {
    let runtime = RUNTIME
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(time);
    }
}

/// All jobs of this process; dropping it ends them.
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

    /// Starts `work`, which is told its handle. The job is in the journal before this returns.
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
        let state = State {
            status: Status::Running,
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
                known.retain(|_, job| job.state.borrow().status == Status::Running);
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
                () = handle.answer_others() => Ok(Err(Error::internal("a job was not waited for"))),
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

    /// The job's state, after at most `wait` if it still runs, here or in another process.
    pub(crate) async fn wait(&self, id: &str, wait: Duration) -> Result<State> {
        let Some(job) = self.job(id) else {
            return self.wait_elsewhere(id, wait).await;
        };
        let mut state = job.state.clone();
        let ended = state.wait_for(|state| state.status != Status::Running);
        // Whether it ended or not, its state is told.
        let _ended = tokio::time::timeout(wait, ended).await;
        let state = job.state.borrow().clone();
        Ok(state)
    }

    async fn wait_elsewhere(&self, id: &str, wait: Duration) -> Result<State> {
        let until = Instant::now() + wait;
        loop {
            let state = self.remembered(id).await?;
            let left = until.saturating_duration_since(Instant::now());
            if state.status != Status::Running || left.is_zero() {
                return Ok(state);
            }
            tokio::time::sleep(LOOKED_EVERY.min(left)).await;
        }
    }

    /// Stops the job when it is cancelled.
    pub(crate) fn token(&self, id: &str) -> CancellationToken {
        self.job(id)
            .map(|job| job.cancel.clone())
            .unwrap_or_default()
    }

    /// Asks the job to stop, also one of another process; what it had done by then is in its state afterwards.
    pub(crate) async fn cancel(&self, id: &str, wait: Duration) -> Result<State> {
        match self.job(id) {
            Some(job) => job.cancel.cancel(),
            None if self.remembered(id).await?.status == Status::Running => {
                let stop = journal::Job {
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
        if state.status == Status::Running {
            state.message = format!(
                "it was asked to stop and has not stopped within {} s",
                wait.as_secs()
            );
        }
        Ok(state)
    }

    /// Stops everything that runs, all of it at once.
    pub(crate) async fn cancel_all(&self) {
        for (id, _) in self.running() {
            self.token(&id).cancel();
        }
        // What takes longer is ended by the end of the process.
        let _ended = tokio::time::timeout(UNDONE, self.drain()).await;
    }

    /// The client has gone: jobs go on, but nothing is tried again for it.
    pub(crate) fn leave(&self) {
        self.left.cancel();
    }

    /// Waits for everything that runs; for the end of the process.
    pub(crate) async fn drain(&self) {
        loop {
            let states: Vec<_> = {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known
                    .values()
                    .filter(|job| job.state.borrow().status == Status::Running)
                    .map(|job| job.state.clone())
                    .collect()
            };
            if states.is_empty() {
                return;
            }
            for mut state in states {
                // An error means that it is gone, which is an end too.
                let _ended = state
                    .wait_for(|state| state.status != Status::Running)
                    .await;
            }
        }
    }

    /// Ids and kinds of what runs now.
    pub(crate) fn running(&self) -> Vec<(String, &'static str)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .filter(|(_, job)| job.state.borrow().status == Status::Running)
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

    /// A job of an earlier process, or of another one.
    async fn remembered(&self, id: &str) -> Result<State> {
        // The same table has other things under names of another form.
        let row = self.journal.job_get(id).await?;
        let row = row.filter(|_| id.starts_with(PREFIX)).ok_or_else(|| {
            let running: Vec<String> = self.running().into_iter().map(|(id, _)| id).collect();
            Error::not_found(format!("no job {id:?} is known")).hint(if running.is_empty() {
                "no job is running; `list_drafts` tells what was made".to_owned()
            } else {
                format!("running jobs: {}", running.join(", "))
            })
        })?;
        let mut state: State = serde_json::from_str(&row.state)
            .map_err(|e| Error::internal("a job's state cannot be read").source(e))?;
        if state.status == Status::Running && !self.runner.is_there(&state.runner) {
            state.status = Status::Interrupted;
        }
        Ok(state)
    }
}

impl App {
    /// As [`App::run`], for clients that wait only so long: what takes longer becomes a job, which they are told of.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Box<dyn Request>,
        context: Context,
    ) -> Result<Value> {
        match request.patience() {
            // A job is rare: calls need not have the room for one.
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
        let id = self.jobs.start(name, &asked, work).await?;
        // A client that gives up drops this call, and the job with it; one that was answered lets it go on.
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
                "notes": ["it goes on: ask `job_status` with the `job_id`, or stop it with `cancel_job`"],
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
    async fn a_job_is_waited_for_and_found_again() {
        let jobs = jobs();
        let id = jobs
            .start("test", &json!({"a": 1}), async |_| Ok(json!({"b": 2})))
            .await
            .unwrap();
        let state = jobs.wait(&id, Duration::from_secs(5)).await.unwrap();
        assert_eq!(state.status, Status::Done);
        assert_eq!(state.result, Some(json!({"b": 2})));
        jobs.drain().await;
        jobs.known.lock().unwrap().clear();
        assert_eq!(
            jobs.wait(&id, Duration::ZERO).await.unwrap().status,
            Status::Done
        );
    }

    #[tokio::test]
    async fn patience_ends_before_the_work_and_cancelling_ends_it() {
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
            Status::Running
        );
        let state = jobs.cancel(&id, Duration::from_secs(5)).await.unwrap();
        assert_eq!(state.status, Status::Cancelled);
        assert_eq!(state.error.as_deref(), Some("stopped after 3 of 9"));
    }

    #[tokio::test]
    async fn what_ran_when_its_process_ended_is_interrupted() {
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
        assert_eq!(state.status, Status::Interrupted);
        assert_eq!(
            state.draft_id,
            Some(DraftId("dfd_cat_1_00000001".to_owned()))
        );
    }

    #[tokio::test]
    async fn a_job_of_another_process_runs_until_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = of(journal::at(dir.path(), SyncMode::Normal));
        let other = of(journal::at(dir.path(), SyncMode::Normal));
        let id = jobs
            .start("test", &json!({}), |_| std::future::pending())
            .await
            .unwrap();
        let seen = other.wait(&id, Duration::ZERO).await.unwrap();
        assert_eq!(seen.status, Status::Running);
        drop(jobs);
        let seen = other.wait(&id, Duration::ZERO).await.unwrap();
        assert_eq!(seen.status, Status::Interrupted);
    }

    #[tokio::test]
    async fn a_job_of_another_process_is_cancelled_and_waited_for() {
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
        // How far it is comes to be known there too.
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
            assert_eq!(state.status, Status::Cancelled);
            assert_eq!(state.error.as_deref(), Some("stopped after 3 of 9"));
        }
        assert_eq!(
            jobs.wait(&id, Duration::from_secs(60))
                .await
                .unwrap()
                .status,
            Status::Cancelled
        );
    }

    #[tokio::test]
    async fn a_job_that_does_not_stop_is_not_called_stopped() {
        let jobs = jobs();
        let id = jobs
            .start("test", &json!({}), |_| std::future::pending())
            .await
            .unwrap();
        let state = jobs.cancel(&id, Duration::from_millis(1)).await.unwrap();
        assert_eq!(state.status, Status::Running);
        assert!(
            state.message.contains("has not stopped"),
            "{}",
            state.message
        );
    }

    #[tokio::test(start_paused = true)]
    async fn all_jobs_are_stopped_at_once_within_one_limit() {
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
        // Those that do not end have not kept the others from hearing of it.
        for _ in 0..5 {
            order.recv().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_job_that_panics_has_failed_and_holds_nobody_up() {
        let jobs = jobs();
        let id = jobs
            .start("test", &json!({}), async |_| panic!("oh no"))
            .await
            .unwrap();
        let state = jobs.wait(&id, Duration::from_secs(5)).await.unwrap();
        assert_eq!(state.status, Status::Failed);
        assert!(state.failure().unwrap().to_string().contains("oh no"));
        jobs.drain().await;
    }

    #[tokio::test]
    async fn an_unknown_job_is_refused() {
        assert_eq!(
            jobs().wait("job_x", Duration::ZERO).await.unwrap_err().kind,
            Kind::NotFound
        );
    }
}
