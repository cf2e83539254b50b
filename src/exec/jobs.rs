//! Jobs: work that takes longer than a client waits. A job is started, waited for, looked up by its id,
//! cancelled.
//!
//! Every job is in the store from its start, with a request that is complete enough for another process. Usually the process
//! that accepted the call runs the job at once; a job whose process has ended is reported as interrupted, and a call
//! resumes it. Where workers take jobs from the queue, they also take over those of processes that have ended.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{App, Context, Progress, Step, delivery, panicked};
use crate::caller::{CalledBy, Caller, Fence, From, Manner};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result, shortened};
use crate::journal::{
    Beat, ENGINE, JobAdded, JobPhase, JobReport, JobRow, Journal, NewJob, Runner,
};
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

/// A job that has ended this many processes is not tried again.
const MOST_LOST: u32 = 5;

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum JobStage {
    /// It is in the queue, until a worker takes it.
    Waiting,
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
    /// How many processes ended while they ran it.
    #[serde(default)]
    lost: u32,
}

impl JobState {
    fn new(kind: &str) -> Self {
        Self {
            status: JobStage::Running,
            draft_id: None,
            done: 0.0,
            total: None,
            message: String::new(),
            result: None,
            error: None,
            error_kind: None,
            kind: kind.to_owned(),
            lost: 0,
        }
    }

    /// Whether it has not ended.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, JobStage::Waiting | JobStage::Running)
    }

    /// What the store keeps of it: links expire, so that each answer has new ones.
    fn report(&self) -> Result<JobReport> {
        let result = self.result.as_ref().and_then(delivery::without_links);
        let state = match result {
            None => serde_json::to_string(self),
            result => serde_json::to_string(&Self {
                result,
                ..self.clone()
            }),
        };
        let state = state
            .map_err(|e| Error::internal("a job's state cannot be written as JSON").source(e))?;
        Ok(JobReport {
            state,
            draft: self.draft_id.clone(),
        })
    }

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
    fence: Fence,
    state: watch::Sender<JobState>,
    journal: Arc<Journal>,
    /// Held while the state is written to the store, so that the last write is the newest state.
    keeping: Arc<tokio::sync::Mutex<()>>,
    /// How long the job's lease lasts if this process ends unexpectedly.
    lease: Duration,
    /// Whether another process takes the job over when its lease has ended.
    is_taken_over: bool,
    /// The work has stopped at a point where another job may go first; see [`Handle::pause`].
    paused: Arc<AtomicBool>,
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
            ..Context::of(&Caller {
                fence: Some(self.fence.clone()),
                ..caller
            })
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.fence.job
    }

    /// The draft that an earlier attempt at the job has made.
    pub(crate) async fn draft_before(&self) -> Result<Option<DraftId>> {
        if self.fence.attempt <= 1 {
            return Ok(None);
        }
        let known = self.state.borrow().draft_id.clone();
        match known {
            Some(draft) => Ok(Some(draft)),
            // The attempt may have ended before it wrote the id.
            None => draft_of(&self.journal, &self.fence).await,
        }
    }

    /// The work ends here for now: the job goes back into the queue, behind those that wait.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
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

    /// The end is written to the store before it is published: who waits for it may end the process. False if another
    /// process has the job now.
    async fn end(&self, outcome: Result<Value>) -> bool {
        let _keeping = self.keeping.lock().await;
        let mut state = self.state.borrow().clone();
        match outcome {
            Ok(result) => {
                state.status = JobStage::Done;
                state.result = Some(result);
            }
            Err(error) => state.fail(&error),
        }
        if !self.store_end(&state).await {
            return false;
        }
        self.state.send_replace(state);
        true
    }

    /// Writes the end to the store; false if the job is another process's now. A store that fails is asked again for as
    /// long as the lease may last; after that a worker has the job, and its end is what readers see. Where no other process
    /// takes jobs over, the end is known here even if it could not be stored.
    async fn store_end(&self, state: &JobState) -> bool {
        let begun = Instant::now();
        loop {
            let ended = async { self.journal.job_end(&self.fence, &state.report()?).await };
            let error = match ended.await {
                Ok(is_own) => return is_own,
                Err(error) => error,
            };
            tracing::warn!(job = self.id(), %error, "the end of the job could not be stored");
            if !self.is_taken_over {
                return true;
            }
            if begun.elapsed() >= self.lease {
                return false;
            }
            tokio::time::sleep(LOOKED_EVERY).await;
        }
    }

    /// Puts the job back into the queue.
    async fn requeue(&self) {
        let _keeping = self.keeping.lock().await;
        let state = JobState {
            status: JobStage::Waiting,
            ..self.state.borrow().clone()
        };
        let back = async {
            self.journal
                .job_requeue(&self.fence, &state.report()?)
                .await
        };
        if let Err(error) = back.await {
            // Its lease ends, and then a worker takes it.
            tracing::warn!(job = self.id(), %error, "the job could not be put back into the queue");
        }
    }

    /// Renews the lease, writes the job's progress into the store for other processes, and stops the job when one of
    /// them asks for it. Returns when the job is no longer this process's: another one has it, or the store has not
    /// answered for as long as the lease lasts.
    async fn beat(&self) {
        let mut kept = 0.0;
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(LOOKED_EVERY).await;
            let _keeping = self.keeping.lock().await;
            let state = self.state.borrow().clone();
            let report = (state.done > kept).then(|| state.report()).transpose();
            let sent = Instant::now();
            let beat = async {
                let report = report?;
                self.journal
                    .job_beat(&self.fence, report.as_ref(), self.lease)
                    .await
            };
            match tokio::time::timeout(self.lease, beat).await {
                Ok(Ok(Beat::Lost)) => return,
                Ok(Ok(beat)) => {
                    kept = state.done;
                    renewed = sent;
                    if beat == Beat::Stop {
                        self.cancel.cancel();
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(job = self.id(), %error, "the lease of the job could not be renewed");
                }
                Err(_) => {}
            }
            if renewed.elapsed() >= self.lease {
                return;
            }
        }
    }

    async fn keep(&self, state: &JobState) {
        let kept = async {
            let report = state.report()?;
            // What it says about going on is heard by the next beat.
            self.journal
                .job_beat(&self.fence, Some(&report), self.lease)
                .await
                .map(drop)
        };
        if let Err(error) = kept.await {
            tracing::warn!(job = self.id(), %error, "the job's state could not be stored");
        }
    }
}

/// What a job is: the arguments of a tool, and who calls it; complete enough for another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JobCall {
    pub arguments: Value,
    pub caller: JobCaller,
}

/// The caller of a job, the part that another process needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobCaller {
    pub manner: Manner,
    /// `None`: the user of a process.
    pub from: Option<From>,
    pub site: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<CalledBy>>,
}

impl JobCall {
    pub(crate) fn new(arguments: &impl Serialize, caller: &Caller) -> Result<Self> {
        let arguments = serde_json::to_value(arguments)
            .map_err(|e| Error::internal("a job's request cannot be written as JSON").source(e))?;
        Ok(Self {
            arguments,
            caller: JobCaller {
                manner: caller.manner,
                from: caller.from(),
                site: caller.site.clone(),
                by: caller.by.clone(),
            },
        })
    }

    /// Reads the request of a stored job. Earlier versions stored the arguments alone, and of `compose_draft` the plan, as a
    /// part of the job's state.
    fn read(kind: &str, request: &str) -> Result<Self> {
        let unreadable = |e| Error::internal("the request of the job cannot be read").source(e);
        let value: Value = serde_json::from_str(request).map_err(unreadable)?;
        if value.get("caller").is_some_and(Value::is_object) {
            return serde_json::from_value(value).map_err(unreadable);
        }
        let asked = value.get("request").cloned().unwrap_or_default();
        let arguments = match kind {
            "compose_draft" => json!({ "plan": asked }),
            _ => asked,
        };
        Ok(Self {
            arguments,
            caller: JobCaller::default(),
        })
    }
}

struct Job {
    kind: String,
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
    terms: JobTerms,
    left: CancellationToken,
    /// Cancelled when this process ends while workers of others go on: the jobs go back into the queue.
    handing_over: CancellationToken,
}

/// How the jobs of a process are run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobTerms {
    /// Whether workers take them from a queue; otherwise the process that accepts a job runs it.
    pub are_queued: bool,
    /// How long the lease of one lasts if its process ends unexpectedly.
    pub lease: Duration,
}

/// A job that starts.
pub(crate) struct JobStart<'a> {
    /// The name of its tool.
    pub kind: &'static str,
    pub call: &'a JobCall,
    /// With the key of an earlier job, that job is meant.
    pub key: Option<&'a str>,
}

impl Jobs {
    pub(crate) fn new(journal: Arc<Journal>, runner: Arc<Runner>, terms: JobTerms) -> Self {
        Self {
            journal,
            known: Mutex::default(),
            running: Mutex::default(),
            runner,
            terms,
            left: CancellationToken::new(),
            handing_over: CancellationToken::new(),
        }
    }

    /// The job with an idempotency key, if there is one already.
    ///
    /// # Errors
    /// If the key was used for another request.
    pub(crate) async fn with_key(
        &self,
        kind: &str,
        key: Option<&str>,
        call: &JobCall,
    ) -> Result<Option<String>> {
        let Some(key) = key else { return Ok(None) };
        let Some(row) = self.journal.job_with_key(&stored_key(kind, key)).await? else {
            return Ok(None);
        };
        same_request(&row, key, call)?;
        Ok(Some(row.id))
    }

    /// Starts `work`, which receives its handle, or puts the job into the queue. The job is in the store before this
    /// returns.
    ///
    /// # Errors
    /// If its idempotency key was used for another request.
    pub(crate) async fn start<F, W>(&self, start: JobStart<'_>, work: F) -> Result<String>
    where
        F: FnOnce(Handle) -> W,
        W: Future<Output = Result<Value>> + Send + 'static,
    {
        let JobStart { kind, call, key } = start;
        let request = serde_json::to_string(call)
            .map_err(|e| Error::internal("a job's request cannot be written as JSON").source(e))?;
        let id = format!("{PREFIX}{}", uuid::Uuid::now_v7().simple());
        let mut state = JobState::new(kind);
        let runner = if self.terms.are_queued {
            state.status = JobStage::Waiting;
            None
        } else {
            Some(self.runner.name().await.to_owned())
        };
        let job = NewJob {
            id: id.clone(),
            kind: kind.to_owned(),
            request,
            state: state.report()?.state,
            key: key.map(|key| stored_key(kind, key)),
            runner,
        };
        match self.journal.job_add(&job, self.terms.lease).await? {
            JobAdded::Exists(id) => {
                // Another call with the key came between the look for it and this one.
                let row = self.stored(&id).await?;
                same_request(&row, key.unwrap_or_default(), call)?;
                return Ok(id);
            }
            JobAdded::New if self.terms.are_queued => return Ok(id),
            JobAdded::New => {}
        }
        let fence = Fence {
            job: id.as_str().into(),
            attempt: 1,
            part: 0,
        };
        let _runs = self.spawn(fence, state, work);
        Ok(id)
    }

    /// Runs a job that a worker has taken; the result ends when the job no longer runs here. `work` receives its handle.
    ///
    /// # Errors
    /// If its processes have ended too often, or if it cannot be read.
    pub(crate) async fn take<F, W>(&self, job: &JobRow, work: F) -> Result<()>
    where
        F: FnOnce(Handle, JobCall) -> W,
        W: Future<Output = Result<Value>> + Send + 'static,
    {
        let mut state = read_state(job)?;
        if state.status == JobStage::Running {
            state.lost += 1;
        }
        if state.lost > MOST_LOST {
            return Err(Error::internal(format!(
                "{} processes ended while they ran the job",
                state.lost
            ))
            .hint("look for the cause in the logs of the servers before you start it again"));
        }
        state.status = JobStage::Running;
        let call = JobCall::read(&job.kind, &job.request)?;
        let fence = Fence {
            job: job.id.as_str().into(),
            attempt: job.attempt,
            part: 0,
        };
        // So that the next process knows that this one had begun. Whether it may go on is heard by the first beat.
        let _beat = self
            .journal
            .job_beat(&fence, Some(&state.report()?), self.terms.lease)
            .await?;
        let _ended = self.spawn(fence, state, |handle| work(handle, call)).await;
        Ok(())
    }

    /// Ends a job that a worker has taken but cannot run.
    pub(crate) async fn give_up(&self, job: &JobRow, error: &Error) -> Result<()> {
        let mut state = read_state(job).unwrap_or_else(|_| JobState::new(&job.kind));
        state.fail(error);
        let fence = Fence {
            job: job.id.as_str().into(),
            attempt: job.attempt,
            part: 0,
        };
        // If it was taken over, its end is another process's.
        let _ended = self.journal.job_end(&fence, &state.report()?).await?;
        Ok(())
    }

    /// Runs the work of a job in a task; what is returned gets an error when the job no longer runs here.
    fn spawn<F, W>(
        &self,
        fence: Fence,
        state: JobState,
        work: F,
    ) -> tokio::sync::oneshot::Receiver<()>
    where
        F: FnOnce(Handle) -> W,
        W: Future<Output = Result<Value>> + Send + 'static,
    {
        let kind = state.kind.clone();
        let (sender, receiver) = watch::channel(state);
        let cancel = CancellationToken::new();
        let id = fence.job.to_string();
        let handle = Handle {
            fence,
            state: sender,
            journal: self.journal.clone(),
            keeping: Arc::default(),
            lease: self.terms.lease,
            is_taken_over: self.are_taken_over(),
            paused: Arc::default(),
            cancel: cancel.clone(),
            left: self.left.clone(),
        };
        let work = work(handle.clone());
        let job = Arc::new(Job {
            kind,
            state: receiver,
            cancel,
        });
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED {
                known.retain(|_, job| job.state.borrow().is_open());
            }
            known.insert(id, job);
        }
        let handing_over = self.handing_over.clone();
        let (gone, is_gone) = tokio::sync::oneshot::channel();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        let work = async move {
            let _gone: tokio::sync::oneshot::Sender<()> = gone;
            let outcome = tokio::select! {
                outcome = AssertUnwindSafe(work).catch_unwind() => outcome,
                // The sender of the state is dropped: those who wait here look into the store.
                () = handle.beat() => return,
                () = handing_over.cancelled() => return handle.requeue().await,
            };
            if handle.paused.load(Ordering::Relaxed) && matches!(outcome, Ok(Ok(_))) {
                return handle.requeue().await;
            }
            let outcome = outcome.unwrap_or_else(|panic| Err(panicked(Hints::ADD, panic.as_ref())));
            if !handle.end(outcome).await {
                tracing::warn!(job = handle.id(), "another process has taken the job over");
            }
        };
        match thread() {
            Some(thread) => running.spawn_on(work, &thread),
            None => running.spawn(work),
        };
        is_gone
    }

    /// The job's state, after at most `wait` if it has not ended, in this process or another one.
    pub(crate) async fn wait(&self, id: &str, wait: Duration) -> Result<JobState> {
        let until = Instant::now() + wait;
        if let Some(job) = self.job(id) {
            let mut state = job.state.clone();
            let ended = state.wait_for(|state| !state.is_open());
            match tokio::time::timeout(wait, ended).await {
                Ok(Ok(_)) | Err(_) => {
                    let state = job.state.borrow().clone();
                    return Ok(state);
                }
                // The job no longer runs here.
                Ok(Err(_)) => self.forget(id),
            }
        }
        loop {
            let state = self.remembered(id).await?;
            let left = until.saturating_duration_since(Instant::now());
            if !state.is_open() || left.is_zero() {
                return Ok(state);
            }
            tokio::time::sleep(LOOKED_EVERY.min(left)).await;
        }
    }

    fn forget(&self, id: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(id);
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
            None => {
                let mut stopped = self.remembered(id).await?;
                if stopped.is_open() || stopped.status == JobStage::Interrupted {
                    let why = Error::new(
                        Kind::Cancelled,
                        "it was cancelled before it began or went on",
                    );
                    stopped.fail(&why);
                    self.journal.job_stop(id, &stopped.report()?.state).await?;
                }
            }
        }
        let mut state = self.wait(id, wait).await?;
        if state.is_open() {
            state.message = format!(
                "it was asked to stop and has not stopped within {} s",
                wait.as_secs()
            );
        }
        Ok(state)
    }

    /// The arguments of a job.
    pub(crate) async fn arguments(&self, id: &str) -> Result<Value> {
        let row = self.stored(id).await?;
        Ok(JobCall::read(&row.kind, &row.request)?.arguments)
    }

    /// Puts all running jobs back into the queue, for the workers of other processes.
    pub(crate) async fn hand_over(&self) {
        self.handing_over.cancel();
        // Their leases end, and then other workers take them.
        let _ended = tokio::time::timeout(UNDONE, self.drain()).await;
    }

    /// Whether other processes take over the jobs of one that has ended.
    fn are_taken_over(&self) -> bool {
        self.terms.are_queued || self.journal.store().is_shared()
    }

    /// Whether workers take the jobs from the queue.
    pub(crate) fn are_queued(&self) -> bool {
        self.terms.are_queued
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
                    .filter(|job| job.state.borrow().is_open() && job.state.has_changed().is_ok())
                    .map(|job| job.state.clone())
                    .collect()
            };
            if states.is_empty() {
                return;
            }
            for mut state in states {
                // An error means that the job's task is gone, so it has ended.
                let _ended = state.wait_for(|state| !state.is_open()).await;
            }
        }
    }

    /// Ids and kinds of the running jobs.
    pub(crate) fn running(&self) -> Vec<(String, String)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .filter(|(_, job)| job.state.borrow().is_open() && job.state.has_changed().is_ok())
            .map(|(id, job)| (id.clone(), job.kind.clone()))
            .collect()
    }

    fn job(&self, id: &str) -> Option<Arc<Job>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    async fn stored(&self, id: &str) -> Result<JobRow> {
        let row = self.journal.job_get(id).await?;
        row.ok_or_else(|| {
            let running: Vec<String> = self.running().into_iter().map(|(id, _)| id).collect();
            Error::not_found(format!("no job {:?} is known", shortened(id))).hint(
                if running.is_empty() {
                    "no job is running; `list_drafts` lists the existing drafts".to_owned()
                } else {
                    format!("running jobs: {}", running.join(", "))
                },
            )
        })
    }

    /// The stored state of a job that this process does not run.
    async fn remembered(&self, id: &str) -> Result<JobState> {
        let row = self.stored(id).await?;
        let mut state = read_state(&row)?;
        let is_taken_over = self.are_taken_over();
        state.status = match row.phase {
            JobPhase::Ended => state.status,
            JobPhase::Waiting => JobStage::Waiting,
            JobPhase::Running if is_taken_over && row.is_lost => JobStage::Waiting,
            JobPhase::Running if is_taken_over => JobStage::Running,
            JobPhase::Running if row.is_lost => JobStage::Interrupted,
            JobPhase::Running if self.runner.is_there(&row.runner).await => JobStage::Running,
            JobPhase::Running => JobStage::Interrupted,
        };
        if state.status == JobStage::Waiting && state.message.is_empty() {
            "it waits for a worker".clone_into(&mut state.message);
        }
        Ok(state)
    }
}

/// The draft that an earlier attempt at a part of a job has made with the engine.
pub(crate) async fn draft_of(journal: &Journal, fence: &Fence) -> Result<Option<DraftId>> {
    let draft = DraftId::of_job(&fence.job, fence.part);
    let row = journal.find_at(ENGINE, &draft).await?;
    let row = row.filter(|row| row.deleted_ms.is_none());
    Ok(row.map(|row| row.id))
}

/// The state of a job that waited or ran when its store was copied, as one that was interrupted.
pub(crate) fn interrupted(kind: &str, state: &str) -> Result<String> {
    let mut state: JobState = serde_json::from_str(state).map_err(|e| {
        Error::internal(format!("the state of a `{kind}` job cannot be read")).source(e)
    })?;
    state.status = JobStage::Interrupted;
    Ok(state.report()?.state)
}

/// # Errors
/// If the job with an idempotency key is another request.
fn same_request(job: &JobRow, key: &str, call: &JobCall) -> Result<()> {
    let earlier = JobCall::read(&job.kind, &job.request)?;
    if earlier.arguments == call.arguments {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "`idempotency_key` {:?} was used for another call of `{}`, which is job {}",
        shortened(key),
        job.kind,
        job.id
    ))
    .hint("give each request its own key; repeat a key only with the same arguments"))
}

/// The key of a job in the store.
fn stored_key(kind: &str, key: &str) -> String {
    format!("{kind} {key}")
}

fn read_state(job: &JobRow) -> Result<JobState> {
    let mut state: JobState = serde_json::from_str(&job.state)
        .map_err(|e| Error::internal("a job's state cannot be read").source(e))?;
    state.kind.clone_from(&job.kind);
    if job.draft.is_some() {
        state.draft_id.clone_from(&job.draft);
    }
    Ok(state)
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
        let asked = JobCall::new(&request.call().arguments, &context.caller)?;
        let app = self.clone();
        let work = move |handle: Handle| async move {
            if let Some(draft) = &draft {
                handle.draft(draft);
            }
            let context = handle.context(context.caller, context.progress);
            // The records are made of the call, which has its own caller.
            let call = request.call();
            let (arguments, normalized) = (call.arguments.clone(), call.normalized.clone());
            let caller = Caller {
                fence: context.caller.fence.clone(),
                ..call.caller.clone()
            };
            let request = request.spec().request(arguments, &caller, normalized)?;
            app.run(request, context).await
        };
        self.job_within_quota().await?;
        let start = JobStart {
            kind: name,
            call: &asked,
            key: None,
        };
        let id = self.jobs.start(start, work).await?;
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
    use crate::journal::{self, SyncMode};
    use serde_json::json;

    fn of(journal: Arc<Journal>) -> Jobs {
        let runner = Arc::new(Runner::new(&journal));
        let terms = JobTerms {
            are_queued: false,
            lease: Duration::from_secs(15),
        };
        Jobs::new(journal, runner, terms)
    }

    fn call() -> JobCall {
        JobCall::new(&json!({"a": 1}), &Caller::user()).unwrap()
    }

    fn test(call: &JobCall) -> JobStart<'_> {
        JobStart {
            kind: "test",
            call,
            key: None,
        }
    }

    fn jobs() -> Jobs {
        of(journal::in_memory())
    }

    #[tokio::test]
    async fn a_finished_job_is_found_again_by_id() {
        let jobs = jobs();
        let id = jobs
            .start(test(&call()), async |_| Ok(json!({"b": 2})))
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
    async fn two_calls_with_one_key_at_the_same_time_are_one_job_only_if_they_are_the_same() {
        // As after both have looked for a job with the key and found none.
        let jobs = jobs();
        let start = async |arguments: Value| {
            let call = JobCall::new(&arguments, &Caller::user()).unwrap();
            let start = JobStart {
                kind: "test",
                call: &call,
                key: Some("k1"),
            };
            jobs.start(start, async |_| Ok(json!({}))).await
        };
        let first = start(json!({"a": 1})).await.unwrap();
        assert_eq!(start(json!({"a": 1})).await.unwrap(), first);
        let other = start(json!({"a": 2})).await.unwrap_err();
        assert_eq!(other.kind, Kind::Conflict);
        assert!(other.to_string().contains(&first), "{other}");
    }

    /// A job that a worker runs to its end while the store does not take the first `lost` ends.
    async fn run_where_ends_are_lost(lost: u32, lease: Duration) -> (Jobs, JobRow, JobState) {
        let journal = journal::in_memory_that_loses(lost);
        let runner = Arc::new(Runner::new(&journal));
        let terms = JobTerms {
            are_queued: true,
            lease,
        };
        let jobs = Jobs::new(journal.clone(), runner, terms);
        let id = jobs
            .start(test(&call()), async |_| Ok(json!({})))
            .await
            .unwrap();
        let terms = crate::journal::ClaimTerms {
            runner: "worker".to_owned(),
            lease,
            per_tenant: 1,
        };
        let claimed = journal.store().job_claim(&terms).await.unwrap().unwrap();
        let work = async |_, _| Ok(json!({"b": 2}));
        jobs.take(&claimed.job, work).await.unwrap();
        let row = journal.job_get(&id).await.unwrap().unwrap();
        let seen = jobs.wait(&id, Duration::ZERO).await.unwrap();
        (jobs, row, seen)
    }

    #[tokio::test]
    async fn the_end_of_a_job_is_stored_once_the_store_answers_again() {
        let (_jobs, row, seen) = run_where_ends_are_lost(2, Duration::from_secs(60)).await;
        assert_eq!(row.phase, JobPhase::Ended);
        assert_eq!(seen.status, JobStage::Done);
    }

    #[tokio::test]
    async fn an_end_that_is_not_stored_is_no_end_where_others_take_jobs_over() {
        let lease = Duration::from_millis(300);
        let (_jobs, row, seen) = run_where_ends_are_lost(u32::MAX, lease).await;
        assert_eq!(row.phase, JobPhase::Running);
        assert_ne!(seen.status, JobStage::Done, "{seen:?}");
    }

    #[tokio::test]
    async fn a_job_outlasts_a_short_wait_and_stops_when_cancelled() {
        let jobs = jobs();
        let id = jobs
            .start(test(&call()), async |handle: Handle| {
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
            .start(test(&call()), async |handle: Handle| {
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
            .start(test(&call()), |_| std::future::pending())
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
            .start(test(&call()), async |handle: Handle| {
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
            .start(test(&call()), |_| std::future::pending())
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
            jobs.start(test(&call()), async move |handle: Handle| {
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
            .start(test(&call()), async |_| panic!("oh no"))
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
