//! Runs many plans: concurrently within the same lanes, with retries, a report line per draft, and resumption.

pub(crate) mod report;
mod report_file;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use futures::{FutureExt as _, StreamExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use report::{BatchLine, PlanKey};
use report_file::BatchLog;
pub(crate) use report_file::ReportPlace;

use super::generated::{self, Spending};
use super::plan::Plan;
use super::report::{RunOutcome, RunReport};
use super::source::PlanSource;
use super::table::TableRow;
use super::{CheckedPlan, RunStart, canvas_of, check, compose, refuse};
use crate::caller::{Caller, Fence};
use crate::draft::ids::DraftId;
use crate::engine::marker;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context, Step, jobs};
use crate::providers::{Estimate, MaxCost};
use crate::sorting;
use crate::styles::Styles;

/// What happens to the other drafts of a batch if one cannot be completed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum OnError {
    /// The others are created.
    #[default]
    Continue,
    /// No other is started.
    Stop,
}

/// How a batch handles failed drafts, and how many drafts it creates concurrently.
#[derive(Clone, Debug)]
pub(crate) struct BatchOptions {
    /// How many drafts are created concurrently.
    pub jobs: usize,
    /// Retries of a draft that is not complete; each resumes the draft of the try before.
    pub retries: u32,
    pub retry_delay: Duration,
    /// Cancelled when the client has disconnected: there are no retries after that.
    pub left: CancellationToken,
    pub on_error: OnError,
    /// What may be spent on all drafts together.
    pub spending: Spending,
    /// The report, with a line per draft; with it, a killed batch continues where it stopped.
    pub report: ReportPlace,
    /// No draft is begun after this time, so that other jobs go first; the batch continues later.
    pub pauses_after: Option<Duration>,
}

/// What a batch has done.
pub(crate) struct BatchEnd {
    /// A line per draft, in the batch's order.
    pub lines: Vec<BatchLine>,
    /// Whether it paused before all drafts were begun.
    pub is_paused: bool,
}

/// The most drafts of one batch.
const MOST_DRAFTS: usize = 10_000;
/// The most bytes of all plans of a template together: all are checked before the first draft is created.
const MOST_BYTES: usize = 256 << 20;

/// One plan of a batch.
pub(crate) struct BatchEntry {
    /// Its name for people: its file, or its line.
    pub label: String,
    pub plan: Plan,
    /// The checked plan, if it was checked.
    pub checked: Option<CheckedPlan>,
    /// Why no draft can be created from it, if that is known before the first draft is started.
    pub wrong: Option<Error>,
}

impl BatchEntry {
    pub(crate) fn new(label: String, plan: Result<Plan>) -> Self {
        let (plan, wrong) = match plan {
            Ok(plan) => (plan, None),
            Err(error) => (Plan::default(), Some(error)),
        };
        Self {
            label,
            plan,
            checked: None,
            wrong,
        }
    }
}

/// Creates all drafts. `told` is called for each draft as it finishes.
pub(crate) async fn run(
    app: &Arc<App>,
    mut entries: Vec<BatchEntry>,
    options: &BatchOptions,
    context: &Context,
    told: &(dyn Fn(&BatchLine) + Send + Sync),
) -> Result<BatchEnd> {
    permit_all(app, &entries, options.spending, context).await?;
    let keys = keys(&entries)?;
    tell_apart(&mut entries, &keys);
    let pauses_at = options.pauses_after.map(|time| Instant::now() + time);
    let batch = Arc::new(Batch {
        app: Arc::clone(app),
        log: BatchLog::open(&options.report)?,
        pauses_at,
        is_paused: AtomicBool::new(false),
        stop: context.cancel.child_token(),
        options: options.clone(),
        caller: context.caller.clone(),
    });
    // With `OnError::Stop`, a plan that is known to fail stops the others before any of them starts.
    if options.on_error == OnError::Stop && entries.iter().any(|entry| entry.wrong.is_some()) {
        batch.stop.cancel();
    }
    let total = entries.len() as f64;
    let mut ended = 0;
    let mut lines: Vec<BatchLine> =
        futures::stream::iter(entries.into_iter().zip(keys).enumerate())
            .map(|(index, (entry, key))| {
                let mut broken = BatchLine::new(index, &entry, &key, "failed");
                let job = BatchJob {
                    batch: Arc::clone(&batch),
                    index,
                    entry,
                    key,
                };
                // One task per draft, so that a panic in one does not stop the others.
                let job = AbortOnDropHandle::new(tokio::spawn(job.in_its_turn()));
                job.map(move |ended| {
                    ended.unwrap_or_else(|error| {
                        let why = "an internal error stopped this draft";
                        broken.errors = vec![Error::internal(why).source(error).to_string()];
                        Ok(broken)
                    })
                })
            })
            .buffer_unordered(options.jobs.max(1))
            .inspect(|line: &Result<BatchLine>| {
                if let Ok(line) = line {
                    told(line);
                    if let Some(progress) = &context.progress {
                        ended += 1;
                        progress(Step {
                            done: f64::from(ended),
                            total: Some(total),
                            bytes: None,
                            message: format!("{}: {}", line.label, line.status),
                        });
                    }
                }
            })
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect::<Result<_>>()?;
    sorting::sort_by_key(&mut lines, |line| line.index);
    Ok(BatchEnd {
        lines,
        is_paused: batch.is_paused.load(Ordering::Relaxed),
    })
}

/// The keys of the plans in a report.
fn keys(entries: &[BatchEntry]) -> Result<Vec<PlanKey>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let keys = entries.iter().map(|entry| {
        let print = entry.plan.fingerprint()?;
        let times = seen.entry(print.clone()).or_default();
        let occurrence = *times;
        *times += 1;
        Ok(PlanKey { print, occurrence })
    });
    keys.collect()
}

/// Gives each plan of the batch its own origin, the same in every run, and a common batch id: drafts of one batch never
/// replace each other.
fn tell_apart(entries: &mut [BatchEntry], keys: &[PlanKey]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut all = String::new();
    for (entry, key) in entries.iter_mut().zip(keys) {
        let plan = entry.plan.origin.plan.take();
        let plan = plan.unwrap_or_else(|| key.print.clone());
        let times = seen.entry(plan.clone()).or_default();
        *times += 1;
        let own = match *times {
            1 => plan,
            times => format!("{plan}-{times}"),
        };
        all += &own;
        entry.plan.origin.plan = Some(own);
    }
    if entries.len() > 1 {
        let batch = marker::hash(all.as_bytes())[..16].to_owned();
        for entry in entries {
            entry.plan.origin.batch = Some(batch.clone());
        }
    }
}

/// What the drafts of a batch have in common.
struct Batch {
    app: Arc<App>,
    options: BatchOptions,
    log: BatchLog,
    pauses_at: Option<Instant>,
    is_paused: AtomicBool,
    stop: CancellationToken,
    caller: Caller,
}

/// One draft of a batch.
struct BatchJob {
    batch: Arc<Batch>,
    index: usize,
    entry: BatchEntry,
    key: PlanKey,
}

impl BatchJob {
    /// Creates the draft, unless the report has it or the batch was stopped.
    async fn in_its_turn(mut self) -> Result<BatchLine> {
        if let Some(error) = self.entry.wrong.take() {
            let mut line = self.line("failed");
            line.errors = error.to_string().lines().map(str::to_owned).collect();
            self.batch.log.add(&self.key, &line).await?;
            return Ok(line);
        }
        let before = self.batch.log.before(&self.key).await?;
        if let Some(line) = before.clone().filter(BatchLine::is_still_there) {
            return Ok(BatchLine {
                index: self.index,
                label: self.entry.label,
                ..line
            });
        }
        if self.batch.stop.is_cancelled() {
            return Ok(self.line("skipped"));
        }
        if self.batch.pauses_at.is_some_and(|at| at <= Instant::now()) {
            self.batch.is_paused.store(true, Ordering::Relaxed);
            return Ok(self.line("skipped"));
        }
        let checked = self.entry.checked.take();
        let draft = match before.and_then(|line| line.draft_id) {
            None => self.draft_of_job().await?,
            draft => draft,
        };
        let line = self.run(draft, checked).await?;
        if self.batch.options.on_error == OnError::Stop && !line.is_complete() {
            self.batch.stop.cancel();
        }
        Ok(line)
    }

    /// The draft that an earlier attempt at the job has made.
    async fn draft_of_job(&self) -> Result<Option<DraftId>> {
        match self.fence() {
            Some(fence) if fence.attempt > 1 => {
                jobs::draft_of(&self.batch.app.journal, &fence).await
            }
            _ => Ok(None),
        }
    }

    /// The right of the job to write this draft.
    fn fence(&self) -> Option<Fence> {
        let fence = self.batch.caller.fence.clone()?;
        let part = u32::try_from(self.index).unwrap_or(u32::MAX);
        Some(Fence { part, ..fence })
    }

    fn line(&self, status: &str) -> BatchLine {
        BatchLine::new(self.index, &self.entry, &self.key, status)
    }

    async fn run(
        &self,
        mut resume: Option<DraftId>,
        mut checked: Option<CheckedPlan>,
    ) -> Result<BatchLine> {
        let Batch {
            app,
            options,
            log,
            stop,
            caller,
            ..
        } = &*self.batch;
        let started = Instant::now();
        let context = Context {
            cancel: stop.child_token(),
            ..Context::of(&Caller {
                fence: self.fence(),
                ..caller.clone()
            })
        };
        let mut line = self.line("started");
        for attempt in 0..=options.retries {
            if attempt > 0 {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    () = options.left.cancelled() => break,
                    () = tokio::time::sleep(options.retry_delay) => {}
                }
            }
            line.tries = attempt + 1;
            let begun = Mutex::new(None);
            let known = |draft: &DraftId| {
                let mut line = self.line("started");
                line.draft_id = Some(draft.clone());
                if let Err(error) = log.add_begun(&line) {
                    *begun
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                }
            };
            let taking = RunStart {
                checked: checked.take().filter(|_| resume.is_none()),
                resume: resume.clone(),
                // All plans were permitted together; a retry sends nothing twice.
                spending: Spending {
                    max_cost: Some(MaxCost::Unknown),
                    retry_uncertain: options.spending.retry_uncertain && attempt == 0,
                },
                known: &known,
            };
            let outcome = compose(app, &self.entry.plan, taking, &context).await;
            if let Some(error) = begun
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
            {
                return Err(error);
            }
            match outcome {
                Ok(report) => {
                    take(&mut line, &report);
                    resume.clone_from(&report.draft_id);
                    if matches!(report.outcome, RunOutcome::Complete | RunOutcome::Cancelled) {
                        break;
                    }
                }
                Err(error) => {
                    "failed".clone_into(&mut line.status);
                    line.errors = error.to_string().lines().map(str::to_owned).collect();
                    match error.kind {
                        // The draft of the earlier run no longer exists: start over.
                        Kind::NotFound if resume.is_some() => resume = None,
                        Kind::InvalidArgument | Kind::Conflict | Kind::Cancelled => break,
                        _ => {}
                    }
                }
            }
        }
        line.ms = (started.elapsed().as_secs_f64() * 1e3).round();
        log.add(&self.key, &line).await?;
        Ok(line)
    }
}

fn take(line: &mut BatchLine, report: &RunReport) {
    line.status = serde_json::to_value(report.outcome)
        .ok()
        .and_then(|outcome| outcome.as_str().map(str::to_owned))
        .unwrap_or_default();
    line.draft_id.clone_from(&report.draft_id);
    line.folder.clone_from(&report.folder);
    line.zip.clone_from(&report.zip);
    line.download_url.clone_from(&report.download_url);
    line.notes.clone_from(&report.notes);
    line.ok = report.totals.ok;
    line.asked = report.totals.asked;
    line.errors = report.faults();
    line.errors.extend(
        report
            .save_error
            .iter()
            .map(|error| format!("save: {error}")),
    );
}

/// What the plans cost together: what several of them have made is made once.
pub(crate) async fn estimate_all(
    app: &Arc<App>,
    entries: &[BatchEntry],
    context: &Context,
) -> Result<Option<Estimate>> {
    let mut orders = Vec::new();
    for entry in entries.iter().filter(|entry| entry.wrong.is_none()) {
        let (items, _) = entry.plan.items();
        if generated::is_any(&items) {
            let canvas = canvas_of(&entry.plan, &context.caller);
            orders.extend(generated::orders(app, &items, canvas, context).await?);
        }
    }
    if orders.is_empty() {
        return Ok(None);
    }
    let maker = app.maker.as_ref().ok_or_else(generated::no_folder)?;
    maker.estimate(&orders).await.map(Some)
}

/// Fails unless what the plans cost together is permitted.
pub(crate) async fn permit_all(
    app: &Arc<App>,
    entries: &[BatchEntry],
    spending: Spending,
    context: &Context,
) -> Result<()> {
    match estimate_all(app, entries, context).await? {
        Some(estimate) => generated::permit(app, &estimate, spending),
        None => Ok(()),
    }
}

/// Checks the plans before any of them starts.
pub(crate) async fn check_all(app: &Arc<App>, entries: &mut [BatchEntry], caller: &Caller) {
    for entry in entries.iter_mut().filter(|entry| entry.wrong.is_none()) {
        match check(app, &entry.plan, None, caller).await {
            Ok(checked) => entry.checked = Some(checked),
            Err(error) if error.kind == Kind::InvalidArgument => entry.wrong = Some(error),
            // An unreachable server may be reachable later: each draft reports this by itself.
            Err(_) => {}
        }
        tokio::task::yield_now().await;
    }
}

/// If no draft can be created: an error with all problems, one per line, with the plan's label.
pub(crate) fn refuse_all_wrong(entries: &[BatchEntry]) -> Result<()> {
    if entries.iter().any(|entry| entry.wrong.is_none()) {
        return Ok(());
    }
    let faults = entries.iter().flat_map(|entry| {
        let text = entry
            .wrong
            .as_ref()
            .map_or_else(String::new, Error::to_string);
        let label = entry.label.clone();
        let line = |line: &str| {
            if line.starts_with(&label) {
                line.to_owned()
            } else {
                format!("{label}: {line}")
            }
        };
        let lines: Vec<String> = text.lines().map(line).collect();
        lines
    });
    refuse(faults.collect())
}

/// One plan for each row of values.
pub(crate) fn from_template(
    template: &PlanSource,
    rows: Vec<TableRow>,
    base: Option<&Path>,
    styles: &Styles,
) -> Result<Vec<BatchEntry>> {
    let size = serde_json::to_vec(&template.value)
        .map_err(|e| Error::internal("a template cannot be written as JSON").source(e))?
        .len();
    if rows.len() > MOST_DRAFTS || rows.len().saturating_mul(size) > MOST_BYTES {
        return Err(Error::invalid(format!(
            "{} drafts from a template of {size} bytes are too many for one batch",
            rows.len()
        ))
        .hint(format!(
            "a batch has at most {MOST_DRAFTS} drafts, and their plans at most {} MB together: split the inputs",
            MOST_BYTES >> 20
        )));
    }
    let entries = rows.into_iter().map(|row| {
        let plan = row.values.and_then(|values| {
            Plan::from_value(&template.value, &template.places, &values, base, styles)
        });
        BatchEntry::new(format!("line {}", row.line), plan)
    });
    Ok(entries.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compose::source::Places;
    use crate::compose::table::RowValues;

    #[test]
    fn a_batch_is_limited_in_number_and_size() {
        let source = |value| PlanSource {
            value,
            places: Places::default(),
        };
        let rows = |count| {
            let row = |line| TableRow {
                line,
                values: Ok(RowValues::new()),
            };
            (1..=count).map(row).collect::<Vec<_>>()
        };
        let small = source(json!({"texts": [{"text": "a", "duration": 1}]}));
        let entries = from_template(&small, rows(MOST_DRAFTS), None, &Styles::default()).unwrap();
        assert_eq!(entries.len(), MOST_DRAFTS);
        let large = source(json!({"texts": [{"text": "a".repeat(1 << 20), "duration": 1}]}));
        for (template, count) in [(&small, MOST_DRAFTS + 1), (&large, 256)] {
            let error = from_template(template, rows(count), None, &Styles::default())
                .err()
                .unwrap();
            assert_eq!(error.kind, Kind::InvalidArgument, "{error}");
            let text = error.to_string();
            assert!(text.contains(&format!("{count} drafts")), "{text}");
            assert!(
                text.contains("10000 drafts") && text.contains("256 MB"),
                "{text}"
            );
        }
    }
}
