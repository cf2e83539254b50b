//! Builds a whole video from one plan: validate, probe media, add audio and pictures concurrently up to the sync point,
//! add the rest in order, verify, save, and report item by item.

mod aligned;
mod asset_run;
pub(crate) mod batch;
mod check;
pub(crate) mod commas;
pub(crate) mod document;
mod duck_shape;
mod ducking;
pub(crate) mod generated;
mod generated_keys;
mod item;
mod jump_cuts;
pub(crate) mod known;
pub(crate) mod layout;
mod levels;
mod listening;
mod made;
mod of_voices;
mod on_beats;
pub(crate) mod plan;
mod probe;
pub(crate) mod report;
mod resume;
mod review;
mod run;
pub(crate) mod schema;
mod script;
pub(crate) mod section;
pub(crate) mod seen;
mod sound_keys;
pub(crate) mod source;
mod spoken;
mod steps;
mod structure;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod template_run;
pub(crate) mod theme;
mod verify;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::exec::drafts::editable;
use crate::exec::{App, Context};
use crate::manifest::OnFailure;
use crate::tools::Object;
use asset_run::generate;
pub(crate) use check::{CheckedPlan, canvas_of, check, refuse};
use document::DraftSegments;
use generated::Spending;
use item::Item;
use known::KnownMedia;
use listening::{listen, measure};
use made::FinishedRun;
use plan::{Plan, Save};
use probe::probe;
use report::{Phases, RunOutcome, RunReport, Totals};
use resume::last_plan::{self, RunPlan};
use resume::{ResumeState, ResumedPlan};
use run::PlanRun;
use section::Section;
use steps::Steps;
use template_run::TemplateRun;

/// How a run starts, and the callback for its draft.
pub(crate) struct RunStart<'a> {
    /// The checked plan, if it was checked before.
    pub checked: Option<CheckedPlan>,
    /// The draft of an earlier run; only missing items are added.
    pub resume: Option<DraftId>,
    /// What may be spent on what is made for it.
    pub spending: Spending,
    /// Called as soon as the draft is known.
    pub known: &'a (dyn Fn(&DraftId) + Send + Sync),
}

/// Runs a plan. `Err` means that nothing was created; otherwise the report describes what was created.
pub(crate) async fn compose(
    app: &Arc<App>,
    plan: &Plan,
    taking: RunStart<'_>,
    context: &Context,
) -> Result<RunReport> {
    let started = Instant::now();
    let run = match &context.caller.fence {
        // Every attempt at a job is the same run.
        Some(fence) => DraftId::of_job(&fence.job, fence.part).to_string(),
        None => format!("{:016x}", fastrand::u64(..)),
    };
    let context = &Context {
        caller: context.caller.in_run(Some(run.into())),
        ..context.clone()
    };
    let CheckedPlan { mut items, create } = match taking.checked {
        Some(checked) => checked,
        None => check(app, plan, taking.resume.as_ref(), &context.caller).await?,
    };
    if let Some(template) = &plan.template {
        let (resume, known) = (taking.resume, taking.known);
        let run = TemplateRun {
            app,
            plan,
            template,
            known,
            context,
        };
        return run.compose(resume).await;
    }
    let mut phases = Phases::default();

    let mut steps = Steps {
        progress: context.progress.clone(),
        total: items.len(),
        saves: !matches!(plan.save, Some(Save::Whether(false))),
    };
    let made = generate(
        app,
        plan,
        (&mut items, canvas_of(plan, &context.caller)),
        taking.spending,
        &steps,
        context,
    )
    .await?;
    let probing = Instant::now();
    let mut lengths = probe(app, &items, &steps, context).await?;
    lengths.fps = plan.frame_rate();
    listen(app, &items, &mut lengths, context).await?;
    let mut laid = layout::lay_out(items.clone(), &lengths, true);
    // Which parts of files are played is known after the layout.
    if measure(app, &laid, &mut lengths, context).await? {
        laid = layout::lay_out(items, &lengths, true);
    }
    let items = laid;
    phases.probe_ms = ms(probing);
    let conflicts = review::conflicts(&items);
    refuse(
        conflicts
            .iter()
            .map(|fault| plan.places.located(fault))
            .collect(),
    )?;
    let of_layout = review::notes(&items);
    // Each repetition of a looped sound is an item.
    steps.total = items.len();

    let creating = Instant::now();
    let Begun {
        draft,
        backend,
        is_new,
        began,
        earlier,
        mut notes,
    } = begin(
        app,
        plan,
        taking.resume,
        create,
        (&items, &lengths),
        context,
    )
    .await?;
    phases.create_ms = ms(creating);
    notes.extend(of_layout);
    notes.extend(plan.notes.iter().cloned());
    (taking.known)(&draft);

    let before = earlier.counts.clone();
    let run = PlanRun {
        app,
        draft: &draft,
        context,
        earlier,
        abort: plan.on_failure.unwrap_or(app.manifest.sync.on_failure) == OnFailure::Abort,
        is_remote: backend == "remote",
        stop: context.cancel.child_token(),
        done: AtomicUsize::new(0),
        busy_us: AtomicU64::new(0),
        steps: &steps,
    };
    let fanning = Instant::now();
    let (first, rest): (Vec<Item>, Vec<Item>) = items
        .into_iter()
        .partition(|item| matches!(item.section, Section::Audio | Section::Visuals));
    let mut rows = if run.is_remote {
        run.fan_out(&first, app.sync_timeout()).await
    } else {
        run.in_order(&first).await
    };
    phases.fan_out_ms = ms(fanning);
    let following = Instant::now();
    rows.extend(run.in_order(&rest).await);
    phases.rest_ms = ms(following);
    let abort = run.abort;
    phases.one_after_another_ms =
        phases.create_ms + run.busy_us.load(Ordering::Relaxed) as f64 / 1e3;

    let mut made = FinishedRun {
        app,
        context,
        known: taking.known,
        is_new,
        began,
        items: first.into_iter().chain(rest).collect(),
        report: RunReport {
            outcome: RunOutcome::Complete,
            draft_id: Some(draft.clone()),
            backend: Some(backend),
            saved: false,
            folder: None,
            zip: None,
            download_url: None,
            save_error: None,
            totals: Totals::default(),
            items: rows,
            made,
            estimate: None,
            phases,
            notes,
            look: None,
            next: None,
        },
        draft,
    };
    let verifying = Instant::now();
    if !context.cancel.is_cancelled() {
        if steps.saves {
            made.fail_unseen(abort).await;
        }
        made.verify(&before).await;
        if !steps.saves {
            made.mark_unseen().await;
        }
    }
    made.report.phases.verify_ms = ms(verifying);
    made.report.count();
    if context.cancel.is_cancelled() {
        made.report.outcome = RunOutcome::Cancelled;
    } else if abort && made.report.outcome == RunOutcome::Partial {
        made.abort().await;
    } else if made.report.is_empty() {
        made.report.outcome = RunOutcome::Failed;
    } else {
        let saving = Instant::now();
        made.save(plan, abort, steps.of_save()).await;
        made.report.phases.save_ms = ms(saving);
    }
    made.report.set_next_step();
    made.report.phases.total_ms = ms(started);
    Ok(made.report)
}

/// Makes what the items of a plan need, without a draft: they have their files then, or a fault.
pub(crate) async fn make_assets(
    app: &Arc<App>,
    plan: &Plan,
    items: &mut [Item],
    spending: Spending,
    context: &Context,
) -> Result<Option<generated::MadeReport>> {
    let steps = Steps {
        progress: context.progress.clone(),
        total: items.len(),
        saves: true,
    };
    let canvas = canvas_of(plan, &context.caller);
    generate(app, plan, (items, canvas), spending, &steps, context).await
}

/// What a run would do: the items where they would be, with known or estimated lengths, and what would be made at what price.
/// Nothing is made or sent.
pub(crate) async fn planned(
    app: &Arc<App>,
    plan: &Plan,
    items: Vec<Item>,
    context: &Context,
) -> Result<RunReport> {
    let steps = Steps {
        progress: None,
        total: items.len(),
        saves: false,
    };
    let mut lengths = probe(app, &items, &steps, context).await?;
    lengths.fps = plan.frame_rate();
    for item in &items {
        if let (Some(source), Some(seconds)) = (item.source(), generated::expected_length(item)) {
            lengths
                .lengths
                .insert(source.to_owned(), (seconds, seconds));
        }
    }
    let estimate = if generated::is_any(&items) {
        Some(generated::estimate(app, &items, canvas_of(plan, &context.caller), context).await?)
    } else {
        None
    };
    let laid = layout::lay_out(items, &lengths, true);
    let rows = laid.iter().map(run::planned_row).collect();
    Ok(RunReport {
        estimate,
        ..RunReport::planned(rows, plan.notes.clone())
    })
}

/// The draft of a run.
struct Begun {
    draft: DraftId,
    backend: String,
    /// Whether this run created it.
    is_new: bool,
    /// The sequence number of the run's first call among the calls of the draft.
    began: u64,
    /// What an earlier run left in the draft.
    earlier: ResumeState,
    notes: Vec<String>,
}

/// Creates the draft, or compares the draft to resume with the plan.
async fn begin(
    app: &Arc<App>,
    plan: &Plan,
    resume: Option<DraftId>,
    create: Object,
    (items, lengths): (&[Item], &KnownMedia),
    context: &Context,
) -> Result<Begun> {
    if let Some(draft) = resume {
        let force = items.iter().any(|item| item.section == Section::Keyframes);
        let document = query(app, &draft, force, context).await?;
        let draft = app.current(&draft).await?;
        let row = app.journal.find(&draft).await?;
        let row = row.ok_or_else(|| crate::journal::unknown(&draft))?;
        let wanted = ResumedPlan {
            plan,
            create: check::decode("create_draft", create, &context.caller)?.arguments_in_full()?,
            items,
            lengths,
            caller: &context.caller,
        };
        let last = app.journal.last_sequence(&row.origin, &draft).await?;
        let mut earlier = resume::compare(app, &row, &document, &wanted).await?;
        if !earlier.changes.is_empty() {
            let here = editable(app, &draft, "compose_draft", context).await?;
            if here.id != draft {
                // A draft on a server continues in the engine, where its clips can be edited.
                last_plan::copy(app, &draft, &here.id).await?;
                let create = wanted.create;
                let again = begin(app, plan, Some(here.id), create, (items, lengths), context);
                let mut begun = Box::pin(again).await?;
                begun.notes.extend(here.note);
                return Ok(begun);
            }
            // Before anything is removed for items that could not be added again.
            for item in earlier.added_again(items) {
                if let Some(fault) = &item.fault {
                    let path = Some(item.plan_path());
                    return Err(resume::change::unchanged(&draft, path, fault.again()));
                }
                if let Some(source) = item.source() {
                    let file = app.media.of(&context.caller).facts(source).await;
                    let path = Some(item.plan_path());
                    file.map_err(|error| resume::change::unchanged(&draft, path, error))?;
                }
            }
            let _turn = app.turn_alone(&draft).await?;
            let changed =
                resume::change::apply(app, &draft, &earlier.changes, &context.caller).await?;
            earlier.notes.extend(changed);
        }
        let has = |item| earlier.has(item).is_some();
        let is_done = earlier.changes.is_empty() && items.iter().all(has);
        let undone = &earlier.undone;
        if !is_done || !last_plan::is_last(app, &draft, plan, undone).await? {
            let plan = RunPlan::of(plan, context);
            last_plan::remember(app, &draft, plan, undone).await;
        }
        return Ok(Begun {
            backend: app.backend_of(&draft).await?.to_owned(),
            draft,
            is_new: false,
            began: last.map_or(0, |last| last + 1),
            notes: std::mem::take(&mut earlier.notes),
            earlier,
        });
    }
    let reply = call(app, "create_draft", create, context).await?;
    let text = |key: &str| reply[key].as_str().map(str::to_owned);
    let draft = text("draft_id")
        .map(DraftId)
        .ok_or_else(|| Error::internal("`create_draft` returned no `draft_id`"))?;
    let of_run = RunPlan::of(plan, context);
    last_plan::remember(app, &draft, of_run, &BTreeSet::new()).await;
    Ok(Begun {
        draft,
        is_new: true,
        began: 1,
        backend: text("backend").unwrap_or_else(|| "embedded".to_owned()),
        earlier: ResumeState::default(),
        notes: text("reason").into_iter().collect(),
    })
}

/// The draft that replaces one that its server lost.
async fn moved(app: &App, draft: &DraftId) -> Option<DraftId> {
    let current = app.current(draft).await.ok()?;
    (current != *draft).then_some(current)
}

fn recreated_as(draft: &DraftId, current: &DraftId) -> String {
    format!("draft {draft} was lost by its server and recreated as {current}: use that from now on")
}

async fn call(app: &Arc<App>, tool: &str, arguments: Object, context: &Context) -> Result<Value> {
    app.run(
        check::decode(tool, arguments, &context.caller)?,
        context.clone(),
    )
    .await
}

async fn query(
    app: &Arc<App>,
    draft: &DraftId,
    force: bool,
    context: &Context,
) -> Result<DraftSegments> {
    let arguments = match json!({ "draft_id": draft, "force_update": force }) {
        Value::Object(arguments) => arguments,
        _ => Object::new(),
    };
    let context = Context {
        progress: None,
        ..context.clone()
    };
    let mut reply = call(app, "query_script", arguments, &context).await?;
    match reply.get_mut("script") {
        Some(Value::String(script)) => DraftSegments::read(std::mem::take(script)),
        _ => Err(Error::internal("`query_script` returned no document")),
    }
}

fn ms(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
