//! A whole video from one plan: validate, prepare, fan out, meet at the sync point, follow up, verify, save,
//! sum up item by item.

pub(crate) mod batch;
mod check;
pub(crate) mod document;
pub(crate) mod layout;
pub(crate) mod plan;
mod probe;
pub(crate) mod report;
mod run;
pub(crate) mod schema;
mod steps;
mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::manifest::OnFailure;
use crate::tools::Object;
pub(crate) use check::{Checked, check};
use document::Document;
use layout::Item;
use plan::{Plan, Save, Section};
use probe::probe;
use report::{Outcome, Phases, Report, Status, Totals};
use run::Run;
use steps::Steps;
use verify::verify;

/// How a run is taken up, and who is told of its draft.
pub(crate) struct Taking<'a> {
    /// The plan as it was checked, if it was.
    pub checked: Option<Checked>,
    /// The draft of an earlier run: only what it lacks is done.
    pub resume: Option<DraftId>,
    /// Called as soon as the draft is known.
    pub known: &'a (dyn Fn(&DraftId) + Send + Sync),
}

/// Carries a plan out. An `Err` means that nothing was made; whatever was made is told by the report.
pub(crate) async fn compose(
    app: &Arc<App>,
    plan: &Plan,
    taking: Taking<'_>,
    context: &Context,
) -> Result<Report> {
    let started = Instant::now();
    let Checked { items, create } = match taking.checked {
        Some(checked) => checked,
        None => check(app, plan, taking.resume.as_ref(), &context.caller).await?,
    };
    let mut phases = Phases::default();

    let probing = Instant::now();
    let mut steps = Steps {
        progress: context.progress.clone(),
        total: items.len(),
        saves: !matches!(plan.save, Some(Save::Whether(false))),
    };
    let lengths = probe(app, &items, &steps, context).await?;
    phases.probe_ms = ms(probing);
    let items = layout::lay_out(items, &lengths, true);
    check::refuse(layout::conflicts(&items))?;
    // A looped sound is as many items as it has turns.
    steps.total = items.len();

    let creating = Instant::now();
    let Begun {
        mut draft,
        mut backend,
        present,
        mut notes,
    } = begin(app, taking.resume, create, &items, context).await?;
    phases.create_ms = ms(creating);
    (taking.known)(&draft);

    let before = present.as_ref().map(Document::counts).unwrap_or_default();
    let run = Run {
        app,
        draft: &draft,
        context,
        present,
        abort: plan.on_failure.unwrap_or(app.manifest.sync.on_failure) == OnFailure::Abort,
        stop: context.cancel.child_token(),
        done: AtomicUsize::new(0),
        busy_us: AtomicU64::new(0),
        steps: &steps,
    };
    let fanning = Instant::now();
    let (first, rest): (Vec<Item>, Vec<Item>) = items
        .into_iter()
        .partition(|item| matches!(item.section, Section::Audio | Section::Visuals));
    let mut rows = if backend == "remote" {
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

    let verifying = Instant::now();
    let mut segments_in_draft = 0;
    if !context.cancel.is_cancelled() {
        let read = query(app, &draft, false, context).await;
        if let Some(current) = moved(app, &draft) {
            notes.push(lives_on(&draft, &current));
            if let Ok(keeper) = app.backend_of(&current) {
                keeper.clone_into(&mut backend);
            }
            (taking.known)(&current);
            draft = current;
        }
        match read {
            Ok(document) => {
                segments_in_draft = document.segments();
                let calls: Vec<&Item> = first.iter().chain(&rest).collect();
                notes.extend(verify(&document, &calls, &mut rows, &before));
            }
            Err(error) => {
                for row in rows.iter_mut().filter(|row| row.status == Status::Ok) {
                    row.fail(&Error::new(
                        error.kind,
                        "was acknowledged, but the draft cannot be read to check it",
                    ));
                }
                notes.push(format!("the draft could not be checked: {}", error.message));
            }
        }
    }
    phases.verify_ms = ms(verifying);

    let count = |status| rows.iter().filter(|row| row.status == status).count();
    let totals = Totals {
        asked: rows.len(),
        ok: count(Status::Ok),
        failed: count(Status::Failed),
        skipped: count(Status::Skipped),
        segments_in_draft,
    };
    let mut report = Report {
        outcome: if totals.ok == totals.asked {
            Outcome::Complete
        } else {
            Outcome::Partial
        },
        draft_id: Some(draft.clone()),
        backend: Some(backend.clone()),
        folder: None,
        save_error: None,
        totals,
        items: rows,
        phases,
        notes,
    };
    if context.cancel.is_cancelled() {
        report.outcome = Outcome::Cancelled;
    } else if abort && report.outcome == Outcome::Partial {
        report.outcome = Outcome::Aborted;
        clear_away(app, &draft, &backend, &mut report);
    } else if report.totals.ok == 0 && report.totals.asked > 0 {
        report.outcome = Outcome::Failed;
    } else {
        let context = Context {
            progress: steps.of_save(),
            ..context.clone()
        };
        save(app, plan, &draft, &context, &mut report).await;
        if let Some(current) = moved(app, &draft) {
            report.notes.push(lives_on(&draft, &current));
            report.backend = app.backend_of(&current).ok().map(str::to_owned);
            (taking.known)(&current);
            report.draft_id = Some(current);
        }
    }
    report.phases.total_ms = ms(started);
    Ok(report)
}

/// The draft of a run.
struct Begun {
    draft: DraftId,
    backend: String,
    /// What an earlier run left in it.
    present: Option<Document>,
    notes: Vec<String>,
}

/// Makes the draft, or looks at the one that is taken up.
async fn begin(
    app: &Arc<App>,
    resume: Option<DraftId>,
    create: Object,
    items: &[Item],
    context: &Context,
) -> Result<Begun> {
    if let Some(draft) = resume {
        let force = items.iter().any(|item| item.section == Section::Keyframes);
        let present = query(app, &draft, force, context).await?;
        let draft = app.current(&draft)?;
        return Ok(Begun {
            backend: app.backend_of(&draft)?.to_owned(),
            draft,
            present: Some(present),
            notes: Vec::new(),
        });
    }
    let reply = call(app, "create_draft", create, context).await?;
    let text = |key: &str| reply[key].as_str().map(str::to_owned);
    Ok(Begun {
        draft: text("draft_id")
            .map(DraftId)
            .ok_or_else(|| Error::internal("`create_draft` gave no `draft_id`"))?,
        backend: text("backend").unwrap_or_else(|| "embedded".to_owned()),
        present: None,
        notes: text("reason").into_iter().collect(),
    })
}

/// The draft that one lives on as, after its server lost it.
fn moved(app: &App, draft: &DraftId) -> Option<DraftId> {
    let current = app.current(draft).ok()?;
    (current != *draft).then_some(current)
}

fn lives_on(draft: &DraftId, current: &DraftId) -> String {
    format!(
        "draft {draft} was lost by its server and made again as {current}: use that from now on"
    )
}

async fn save(
    app: &Arc<App>,
    plan: &Plan,
    draft: &DraftId,
    context: &Context,
    report: &mut Report,
) {
    let mut arguments = match &plan.save {
        Some(Save::Whether(false)) => return,
        Some(Save::With(arguments)) => arguments.clone(),
        Some(Save::Whether(true)) | None => Object::new(),
    };
    arguments.insert("draft_id".to_owned(), json!(draft));
    let saving = Instant::now();
    match call(app, "save_draft", arguments, context).await {
        Ok(reply) => {
            report.folder = reply["folder"].as_str().map(str::to_owned);
            if let Some(notes) = reply["notes"].as_array() {
                report
                    .notes
                    .extend(notes.iter().filter_map(Value::as_str).map(str::to_owned));
            }
        }
        Err(error) => {
            report.outcome = if error.kind == Kind::Cancelled {
                Outcome::Cancelled
            } else {
                Outcome::Failed
            };
            report.save_error = Some(error.to_string());
        }
    }
    report.phases.save_ms = ms(saving);
}

/// After an abort nothing stays on the engine; a server cannot delete, so its left-over draft is named.
fn clear_away(app: &Arc<App>, draft: &DraftId, backend: &str, report: &mut Report) {
    if backend == "remote" {
        report.notes.push(format!(
            "the CapCut API cannot delete drafts: {draft} is left there, unfinished"
        ));
        return;
    }
    app.forget(draft);
    match app.journal.delete(draft) {
        Ok(()) => {
            report.draft_id = None;
            report.totals.segments_in_draft = 0;
            report
                .notes
                .push("the unfinished draft was deleted".to_owned());
        }
        Err(error) => report.notes.push(format!(
            "the unfinished draft {draft} is left: {}",
            error.message
        )),
    }
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
) -> Result<Document> {
    let arguments = match json!({ "draft_id": draft, "force_update": force }) {
        Value::Object(arguments) => arguments,
        _ => Object::new(),
    };
    let context = Context {
        progress: None,
        ..context.clone()
    };
    Document::read(&call(app, "query_script", arguments, &context).await?)
}

fn ms(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
