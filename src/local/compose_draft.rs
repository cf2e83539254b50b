//! `compose_draft`: makes a whole video in one call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::input_rule::InputRule;
use crate::caller::Caller;
use crate::compose::batch::report::BatchReport;
use crate::compose::generated::Spending;
use crate::compose::plan::Plan;
use crate::compose::report::{Detail, RunOutcome, RunReport, shorten};
use crate::compose::source::Places;
use crate::compose::theme::GeneratedVideo;
use crate::compose::{self, CheckedPlan, RunStart};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::exec::drafts::NamedDraft;
use crate::exec::jobs::{self, Handle, JobCall, JobStart};
use crate::exec::{App, Context};
use crate::local::look::{look, not_looked};
use crate::local::{JobTool, LocalTool};
use crate::printable::counted;
use crate::providers::{Estimate, MaxCost};
use crate::tool::{Hints, ReplyForm};
use crate::tools::save_draft::Saved;
use crate::tools::{Object, to_value};

/// How long a call waits by default before it answers `running`, in seconds. Claude Desktop times out after 60.
pub(crate) fn default_wait_s() -> f64 {
    45.0
}

/// Makes and saves a whole video from one plan; reports failures, notes, totals.
///
/// Items without a time follow the one before.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of its own"
)]
pub(crate) struct ComposeDraft {
    /// Items take all arguments of their tool; resource `schema://plan` has every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::compose::schema::common")]
    pub plan: Option<Object>,
    /// Values for `${name}` in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "placeholders")]
    pub inputs: BTreeMap<String, Value>,
    /// Replaces a draft of this name, with backup.
    #[serde(default)]
    pub overwrite: bool,
    /// Resumes a run: `job_id`, or `draft_id` or exact name with the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// Seconds to wait before the reply is `running`.
    #[serde(default = "default_wait_s")]
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub wait_s: f64,
    /// Checks its picture and sound.
    #[serde(default)]
    pub look: bool,
    /// "failures" or "all" items.
    #[serde(default)]
    pub detail: Detail,
    /// Only says what would be made, and at what price.
    #[serde(default)]
    pub dry_run: bool,
    /// What voices, pictures and films may cost: an amount, or "unknown".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "amount")]
    pub max_cost: Option<Value>,
    /// Sends again what a provider may have accepted and billed.
    #[serde(default)]
    pub retry_uncertain: bool,
    /// A repeated call with the same key is the same job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// An amount or "unknown". The first type is the one that arguments are converted to; an amount may be text.
pub(super) fn amount(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "number"] })
}

/// What a call may spend.
pub(super) fn spending(max_cost: Option<&Value>, retry_uncertain: bool) -> Result<Spending> {
    let max_cost = max_cost.map(MaxCost::read).transpose();
    Ok(Spending {
        max_cost: max_cost.map_err(|fault| Error::invalid(format!("`max_cost`: {fault}")))?,
        retry_uncertain,
    })
}

/// Any names; the one in the schema is an example.
pub(super) fn placeholders(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let name = serde_json::json!({ "type": "string" });
    schemars::json_schema!({ "type": "object", "additionalProperties": true, "properties": { "name": name } })
}

/// The state of the work.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct JobReply {
    /// `waiting`, `running`, `complete`, `success`, `partial`, `done`, `failed`, `aborted`, `cancelled` or `interrupted`.
    pub status: String,
    /// For `job_status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The draft, once it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<DraftId>,
    /// Steps done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<f64>,
    /// All steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// The current or last step, and what to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The result: `items`, `totals`, `phases`, `folder`, `notes` of a composed draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "report")]
    pub report: Option<Value>,
}

/// A job is a plan, a batch, a save or a video from a theme.
fn report(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let kinds = [
        generator.subschema_for::<RunReport>(),
        generator.subschema_for::<BatchReport>(),
        generator.subschema_for::<Saved>(),
        generator.subschema_for::<GeneratedVideo>(),
    ];
    schemars::json_schema!({ "anyOf": kinds })
}

impl JobReply {
    /// The reply of `job_status` for a job.
    pub(crate) fn of(id: &str, mut state: jobs::JobState, detail: Detail) -> Self {
        if let (Detail::Failures, Some(report)) = (detail, &mut state.result) {
            shorten(report);
        }
        let outcome = state
            .result
            .as_ref()
            .and_then(|result| result["outcome"].as_str().or(result["status"].as_str()));
        let status = match (state.status, outcome) {
            (jobs::JobStage::Done, Some(outcome)) => outcome.to_owned(),
            (status, _) => name(status).to_owned(),
        };
        let message = match (state.status, &state.error) {
            (_, Some(error)) => error.clone(),
            (jobs::JobStage::Running, None) => {
                format!("{}; ask `job_status` again", or(&state.message, "running"))
            }
            (jobs::JobStage::Waiting, None) => format!("{}; ask `job_status` again", state.message),
            (jobs::JobStage::Interrupted, None) if state.kind == ComposeDraft::NAME => format!(
                "the process that ran the job has ended; resume it with `compose_draft` and `resume`: {id:?}"
            ),
            (jobs::JobStage::Interrupted, None) => {
                format!(
                    "the process that ran the job has ended; call `{}` again",
                    state.kind
                )
            }
            _ => state.message,
        };
        Self {
            status,
            job_id: Some(id.to_owned()),
            draft_id: state.draft_id,
            done: Some(state.done),
            total: state.total,
            message,
            report: state.result,
        }
    }
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

fn name(status: jobs::JobStage) -> &'static str {
    match status {
        jobs::JobStage::Waiting => "waiting",
        jobs::JobStage::Running => "running",
        jobs::JobStage::Done => "done",
        jobs::JobStage::Failed => "failed",
        jobs::JobStage::Cancelled => "cancelled",
        jobs::JobStage::Interrupted => "interrupted",
    }
}

/// Advice for the keys of a plan.
const IN_PLAN: &str = "the video is described in `plan`, such as {\"name\": \"Trip\", \"visuals\": [{\"image_url\": \"/trip/a.jpg\"}], \
     \"texts\": [{\"text\": \"Day 1\"}], \"audio\": [{\"audio_url\": \"/trip/music.mp3\"}]}";

impl LocalTool for ComposeDraft {
    const NAME: &'static str = "compose_draft";
    const TITLE: &'static str = "Compose draft";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const REPORTS_WHEN_CANCELLED: bool = true;
    const REPLY_FORM: ReplyForm = ReplyForm {
        shows_draft: true,
        ..ReplyForm::JSON
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("detail"),
        InputRule::Rare("wait_s"),
        InputRule::Rare("dry_run"),
        InputRule::Rare("max_cost"),
        InputRule::Rare("retry_uncertain"),
        InputRule::Rare("idempotency_key"),
        InputRule::Advice("name", IN_PLAN),
        InputRule::Advice("title", IN_PLAN),
        InputRule::Advice("width", IN_PLAN),
        InputRule::Advice("height", IN_PLAN),
        InputRule::Advice("aspect_ratio", IN_PLAN),
        InputRule::Advice("visuals", IN_PLAN),
        InputRule::Advice("images", IN_PLAN),
        InputRule::Advice("videos", IN_PLAN),
        InputRule::Advice("clips", IN_PLAN),
        InputRule::Advice("audio", IN_PLAN),
        InputRule::Advice("music", IN_PLAN),
        InputRule::Advice("texts", IN_PLAN),
        InputRule::Advice("captions", IN_PLAN),
        InputRule::Advice("subtitles", IN_PLAN),
        InputRule::Advice("save", IN_PLAN),
    ];
    type Reply = JobReply;

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<JobReply> {
        let spending = spending(self.max_cost.as_ref(), self.retry_uncertain)?;
        let key = self.idempotency_key.as_deref();
        let asked = JobCall::new(&self.as_job()?, &context.caller)?;
        if let Some(id) = app.jobs.with_key(Self::NAME, key, &asked).await? {
            let state = app.jobs.answered(&id, self.wait_s, &context.cancel).await?;
            return answer(&id, state, self.detail);
        }
        let (plan, resume) = self.taking(app, &context.caller).await?;
        // Problems of the plan are reported directly, not by a job.
        let checked = tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(cancelled_before()),
            checked = compose::check(app, &plan, resume.as_ref(), &context.caller) => checked?,
        };
        if self.dry_run {
            let report = compose::planned(app, &plan, checked.items, context).await?;
            return planned(&report);
        }
        app.job_within_quota().await?;
        let start = JobStart {
            kind: Self::NAME,
            call: &asked,
            key,
        };
        let (caller, progress) = (context.caller.clone(), context.progress.clone());
        let (worker, looks) = (Arc::clone(app), self.look);
        let work = move |handle: Handle| async move {
            let context = handle.context(caller, progress);
            let taking = (Some(checked), resume);
            made(
                &worker,
                &plan,
                taking,
                (spending, looks),
                (&handle, &context),
            )
            .await
        };
        let id = app.jobs.start(start, work).await?;
        let state = app.jobs.answered(&id, self.wait_s, &context.cancel).await?;
        answer(&id, state, self.detail)
    }
}

impl JobTool for ComposeDraft {
    async fn work(&self, app: &Arc<App>, handle: &Handle, context: &Context) -> Result<Value> {
        let spending = spending(self.max_cost.as_ref(), self.retry_uncertain)?;
        let (plan, resume) = self.taking(app, &context.caller).await?;
        let resume = handle.draft_before().await?.or(resume);
        let taking = (None, resume);
        made(app, &plan, taking, (spending, self.look), (handle, context)).await
    }
}

/// Composes a plan for a job, and then looks at the draft if that is wanted.
async fn made(
    app: &Arc<App>,
    plan: &Plan,
    (checked, resume): (Option<CheckedPlan>, Option<DraftId>),
    (spending, looks): (Spending, bool),
    (handle, context): (&Handle, &Context),
) -> Result<Value> {
    let known = |draft: &DraftId| handle.draft(draft);
    let taking = RunStart {
        checked,
        resume,
        spending,
        known: &known,
    };
    let mut report = compose::compose(app, plan, taking, context).await?;
    if looks && !context.cancel.is_cancelled() {
        look_at(app, &mut report, context).await;
    }
    to_value(&report)
}

impl ComposeDraft {
    /// The call as a job knows it: how long the caller waits and what it is shown are not a part of the work.
    fn as_job(&self) -> Result<Value> {
        let mut call = to_value(self)?;
        if let Value::Object(call) = &mut call {
            for of_the_answer in ["wait_s", "detail", "idempotency_key"] {
                call.shift_remove(of_the_answer);
            }
        }
        Ok(call)
    }

    async fn taking(&self, app: &Arc<App>, caller: &Caller) -> Result<(Plan, Option<DraftId>)> {
        let mut resume = None;
        let mut plan = self.plan.clone().map(Value::Object);
        if let Some(id) = &self.resume {
            if id.starts_with(jobs::PREFIX) {
                let state = app.jobs.wait(id, Duration::ZERO).await?;
                if state.kind != Self::NAME {
                    return Err(Error::invalid(format!(
                        "`resume`: the job {id:?} is a call of `{}`, not a composed draft",
                        state.kind
                    ))
                    .hint("call that tool again"));
                }
                if state.is_open() {
                    return Err(Error::conflict(format!("the job {id:?} is still running"))
                        .hint("ask `job_status`, or stop it with `cancel_job`"));
                }
                resume = state.draft_id;
                if plan.is_none() {
                    plan = app.jobs.arguments(id).await?.get("plan").cloned();
                }
            } else {
                resume = Some(app.named_draft(id, caller).await?);
            }
        }
        let plan = plan.ok_or_else(|| {
            Error::invalid("`plan` is missing").hint("give a plan, or `resume` with a `job_id`")
        })?;
        let mut plan = Plan::from_value(
            &plan,
            &Places::default(),
            &self.inputs,
            None,
            &caller.styles,
        )?;
        if self.overwrite {
            plan.overwrite();
        }
        Ok((plan, resume))
    }
}

/// The reply of a call that makes nothing.
fn planned(report: &RunReport) -> Result<JobReply> {
    let estimate = report.estimate.as_ref();
    let price = estimate.map_or_else(|| "nothing is made by providers".to_owned(), Estimate::text);
    Ok(JobReply {
        status: "planned".to_owned(),
        message: format!(
            "nothing was made or sent; {}; {price}",
            counted(report.items.len(), "item")
        ),
        report: Some(to_value(report)?),
        ..JobReply::default()
    })
}

fn cancelled_before() -> Error {
    Error::new(Kind::Cancelled, "`compose_draft` was cancelled").hint("nothing was done")
}

/// Adds a look at the draft to a report. The draft is made, so that an error is a note.
async fn look_at(app: &Arc<App>, report: &mut RunReport, context: &Context) {
    let Some(draft) = report.draft_id.clone().filter(|_| !report.is_empty()) else {
        return;
    };
    match look(app, &NamedDraft::Known(draft), context).await {
        Ok(review) => report.look = Some(review),
        Err(error) => report.note(not_looked(&error)),
    }
}

/// The reply for a finished run. A run that made nothing or was not saved is a failure.
fn answer(id: &str, state: jobs::JobState, detail: Detail) -> Result<JobReply> {
    if let Some(error) = state.failure() {
        return Err(error);
    }
    match (state.status, state.result.clone()) {
        (jobs::JobStage::Done, Some(result)) => {
            let report: RunReport = serde_json::from_value(result)
                .map_err(|e| Error::internal("the report has another shape").source(e))?;
            match report.outcome {
                RunOutcome::Complete | RunOutcome::Partial => {
                    let message = format!("{}; {}", report.summary(), report.save_summary());
                    let mut reply = JobReply::of(id, state, detail);
                    reply.message = message;
                    Ok(reply)
                }
                outcome => Err(failed(outcome, &report)),
            }
        }
        _ => Ok(JobReply::of(id, state, detail)),
    }
}

fn failed(outcome: RunOutcome, report: &RunReport) -> Error {
    let kind = match outcome {
        RunOutcome::Cancelled => Kind::Cancelled,
        _ => Kind::Media,
    };
    let mut lines = vec![match outcome {
        RunOutcome::Cancelled => format!("cancelled; done until then: {}", report.summary()),
        RunOutcome::Aborted => format!("stopped at the first failure: {}", report.summary()),
        _ if report.save_error.is_some() => format!("not saved; {}", report.summary()),
        _ => format!(
            "no item of the plan was added to a draft: {}",
            report.summary()
        ),
    }];
    lines.extend(
        report
            .save_error
            .iter()
            .map(|error| format!("save: {error}")),
    );
    lines.extend(report.faults());
    lines.extend(report.notes.iter().cloned());
    let error = Error::new(kind, lines.join("\n"));
    match &report.draft_id {
        Some(draft) => error.hint(format!(
            "fix the problems and call `compose_draft` with `resume`: \"{draft}\" and the plan; only what is missing is added"
        )),
        None => error.hint("fix the problems and call `compose_draft` again"),
    }
}
