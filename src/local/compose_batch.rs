//! `compose_batch`: makes many drafts in one call; always a job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::args::input_rule::InputRule;
use crate::compose::batch::report::BatchReport;
use crate::compose::batch::{self, BatchEnd, BatchEntry, BatchOptions, OnError, ReportPlace};
use crate::compose::plan::Plan;
use crate::compose::report::Detail;
use crate::compose::source::{Places, PlanSource};
use crate::compose::table::TableRow;
use crate::error::{Error, Kind, Result};
use crate::exec::jobs::{Handle, JobCall, JobStart};
use crate::exec::{App, Context};
use crate::local::compose_draft::{JobReply, amount, placeholders, spending};
use crate::local::{JobTool, LocalTool};
use crate::tool::Hints;
use crate::tools::{Caller, to_value};

/// Makes many drafts from plans or from a template and inputs; immediately returns a `job_id`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ComposeBatch {
    /// Plans, as for `compose_draft`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "many")]
    pub plans: Vec<Value>,
    /// One plan with `${name}` placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "placeholders")]
    pub template: Option<Value>,
    /// The template's values, one set per draft.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "many")]
    pub inputs: Vec<BTreeMap<String, Value>>,
    /// As for `compose_draft`.
    #[serde(default)]
    pub overwrite: bool,
    /// Drafts made in parallel.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 32))]
    pub jobs: usize,
    /// After a failed draft.
    #[serde(default)]
    pub on_error: OnError,
    /// Retries of an incomplete draft.
    #[serde(default)]
    #[schemars(range(min = 0, max = 20))]
    pub retries: u32,
    /// Seconds between tries.
    #[serde(default = "five")]
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub retry_delay_s: f64,
    /// What voices, pictures and films of all drafts may cost together: an amount, or "unknown".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "amount")]
    pub max_cost: Option<Value>,
    /// As for `compose_draft`.
    #[serde(default)]
    pub retry_uncertain: bool,
    /// As for `compose_draft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// How long a batch runs before jobs that wait behind it get their turn.
const RUNS_FOR: Duration = Duration::from_secs(2);

fn two() -> usize {
    2
}

fn five() -> f64 {
    5.0
}

fn many(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "array", "items": placeholders(generator) })
}

impl ComposeBatch {
    async fn entries(&self, app: &Arc<App>, caller: &Caller) -> Result<Vec<BatchEntry>> {
        let mut entries = match &self.template {
            Some(template) => {
                let template = PlanSource {
                    value: template.clone(),
                    places: Places::default(),
                };
                let rows = self
                    .inputs
                    .iter()
                    .enumerate()
                    .map(|(index, values)| TableRow {
                        line: index + 1,
                        values: Ok(values.clone()),
                    });
                batch::from_template(&template, rows.collect(), None, &caller.styles)?
            }
            None => Vec::new(),
        };
        for (index, plan) in self.plans.iter().enumerate() {
            let plan = Plan::from_value(
                plan,
                &Places::default(),
                &BTreeMap::new(),
                None,
                &caller.styles,
            );
            entries.push(BatchEntry::new(format!("plans[{index}]"), plan));
        }
        if entries.is_empty() {
            return Err(Error::invalid(
                "there is nothing to make: no `plans`, and no `template` with `inputs`",
            ));
        }
        if self.overwrite {
            for entry in &mut entries {
                entry.plan.overwrite();
            }
        }
        batch::check_all(app, &mut entries, caller).await;
        batch::refuse_all_wrong(&entries)?;
        Ok(entries)
    }
}

impl ComposeBatch {
    fn options(&self) -> Result<BatchOptions> {
        Ok(BatchOptions {
            jobs: self.jobs,
            retries: self.retries,
            retry_delay: Duration::from_secs_f64(self.retry_delay_s.clamp(0.0, 3600.0)),
            left: CancellationToken::new(),
            on_error: self.on_error,
            spending: spending(self.max_cost.as_ref(), self.retry_uncertain)?,
            report: ReportPlace::Nowhere,
            pauses_after: None,
        })
    }

    /// The call as a job knows it.
    fn as_job(&self) -> Result<Value> {
        let mut call = to_value(self)?;
        if let Value::Object(call) = &mut call {
            call.shift_remove("idempotency_key");
        }
        Ok(call)
    }
}

impl LocalTool for ComposeBatch {
    const NAME: &'static str = "compose_batch";
    const TITLE: &'static str = "Compose batch";
    const HINTS: Hints = Hints::ADD_MEDIA;
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("retries"),
        InputRule::Rare("max_cost"),
        InputRule::Rare("retry_uncertain"),
        InputRule::Rare("idempotency_key"),
        InputRule::Rare("jobs"),
        InputRule::Rare("retry_delay_s"),
        InputRule::Alias("retry_count", "retries"),
        InputRule::Alias("retry_delay", "retry_delay_s"),
    ];
    type Reply = JobReply;

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<JobReply> {
        let key = self.idempotency_key.as_deref();
        let asked = JobCall::new(&self.as_job()?, &context.caller)?;
        if let Some(id) = app.jobs.with_key(Self::NAME, key, &asked).await? {
            let state = app.jobs.wait(&id, Duration::ZERO).await?;
            return Ok(JobReply::of(&id, state, Detail::Failures));
        }
        let entries = self.entries(app, &context.caller).await?;
        let options = self.options()?;
        batch::permit_all(app, &entries, options.spending, context).await?;
        app.job_within_quota().await?;
        let start = JobStart {
            kind: Self::NAME,
            call: &asked,
            key,
        };
        let (worker, caller) = (Arc::clone(app), context.caller.clone());
        let work = move |handle: Handle| async move {
            let context = handle.context(caller, None);
            made(&worker, entries, options, (&handle, &context)).await
        };
        let id = app.jobs.start(start, work).await?;
        let state = app.jobs.wait(&id, Duration::ZERO).await?;
        Ok(JobReply::of(&id, state, Detail::Failures))
    }
}

impl JobTool for ComposeBatch {
    async fn work(&self, app: &Arc<App>, handle: &Handle, context: &Context) -> Result<Value> {
        let entries = self.entries(app, &context.caller).await?;
        let options = BatchOptions {
            pauses_after: app.jobs.are_queued().then_some(RUNS_FOR),
            ..self.options()?
        };
        made(app, entries, options, (handle, context)).await
    }
}

/// Creates the drafts of a job.
async fn made(
    app: &Arc<App>,
    entries: Vec<BatchEntry>,
    mut options: BatchOptions,
    (handle, context): (&Handle, &Context),
) -> Result<Value> {
    options.left = handle.left.clone();
    if let Some(fence) = context.caller.fence.clone() {
        options.report = ReportPlace::Job(Arc::clone(&app.journal), fence);
    }
    let BatchEnd { lines, is_paused } =
        batch::run(app, entries, &options, context, &|_| {}).await?;
    let complete = lines.iter().filter(|line| line.is_complete()).count();
    if context.cancel.is_cancelled() {
        let done = format!(
            "cancelled; {complete} of {} drafts are complete",
            lines.len()
        );
        return Err(Error::new(Kind::Cancelled, done));
    }
    if is_paused {
        handle.pause();
    }
    to_value(&BatchReport::new(lines))
}
