//! A whole video from one plan: validate, prepare, fan out, meet at the sync point, follow up, verify, save,
//! sum up item by item.

pub(crate) mod batch;
mod check;
pub(crate) mod document;
pub(crate) mod layout;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context, Cost, Progress, Step};
use crate::manifest::OnFailure;
use crate::progress::Bytes;
use crate::tools::{Manner, Object};
pub(crate) use check::{Checked, check};
use document::Document;
use layout::{Item, Lengths};
use plan::{Plan, Save, Section};
use report::{Outcome, Phases, Report, Row, Status, Totals};

/// How many media are probed at once.
const PROBES: usize = 8;
/// How often the bytes that are read meanwhile are told of.
const TOLD_EVERY: Duration = Duration::from_millis(250);

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
        None => check(app, plan, taking.resume.as_ref()).await?,
    };
    let mut phases = Phases::default();

    let probing = Instant::now();
    let mut steps = Steps {
        progress: context.progress.clone(),
        total: items.len(),
        saves: !matches!(plan.save, Some(Save::Whether(false))),
    };
    let lengths = probe(app, &items, &steps, &context.cancel).await?;
    phases.probe_ms = ms(probing);
    let items = layout::lay_out(items, &lengths, true);
    check::refuse(layout::conflicts(&items))?;
    // A looped sound is as many items as it has turns.
    steps.total = items.len();

    let creating = Instant::now();
    let (mut draft, mut backend, present, mut notes) = match taking.resume {
        Some(draft) => {
            let force = items.iter().any(|item| item.section == Section::Keyframes);
            let document = query(app, &draft, force, context).await?;
            let draft = app.current(&draft)?;
            let backend = app.backend_of(&draft)?.to_owned();
            (draft, backend, Some(document), Vec::new())
        }
        None => {
            let reply = call(app, "create_draft", create, context).await?;
            let draft = reply
                .get("draft_id")
                .and_then(Value::as_str)
                .map(|id| DraftId(id.to_owned()))
                .ok_or_else(|| Error::internal("`create_draft` gave no `draft_id`"))?;
            let backend = reply["backend"].as_str().unwrap_or("embedded").to_owned();
            let notes = reply["reason"]
                .as_str()
                .map(str::to_owned)
                .into_iter()
                .collect();
            (draft, backend, None, notes)
        }
    };
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
            app.backend_of(&current)?.clone_into(&mut backend);
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

/// What one run shares among its calls.
struct Run<'a> {
    app: &'a Arc<App>,
    draft: &'a DraftId,
    context: &'a Context,
    /// What the draft held when the run was taken up again.
    present: Option<Document>,
    abort: bool,
    /// Fires when the client gives up, or at the first failure where that stops the rest.
    stop: CancellationToken,
    done: AtomicUsize,
    /// What the calls took, without their waits for each other.
    busy_us: AtomicU64,
    steps: &'a Steps,
}

/// What is told of a run while it goes on: the items are counted, and the save is one more; what is looked at
/// before counts as a part of the first.
struct Steps {
    progress: Option<Progress>,
    total: usize,
    saves: bool,
}

impl Steps {
    fn tell(&self, done: f64, message: String, bytes: Option<Bytes>) {
        if let Some(progress) = &self.progress {
            progress(Step {
                done,
                total: Some((self.total + usize::from(self.saves)) as f64),
                message,
                bytes,
            });
        }
    }

    /// Who hears of the save.
    fn of_save(&self) -> Option<Progress> {
        let progress = self.progress.clone()?;
        let items = self.total as f64;
        Some(Arc::new(move |step: Step| {
            let part = step.total.map_or(0.0, |total| step.done / total);
            progress(Step {
                done: items + part.clamp(0.0, 1.0),
                total: Some(items + 1.0),
                message: format!("save: {}", step.message),
                bytes: step.bytes,
            });
        }))
    }
}

impl Run<'_> {
    /// One after another: the order of calls is the order of the plan.
    async fn in_order(&self, items: &[Item]) -> Vec<Row> {
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            rows.push(self.one(item).await);
        }
        rows
    }

    /// Audio and pictures side by side. Tracks are opened in the plan's order, the opening call of a track alone
    /// in its branch; then everything else at once, as far as the lanes allow.
    async fn fan_out(&self, items: &[Item], limit: Duration) -> Vec<Row> {
        let mut rows: Vec<Option<Row>> = items.iter().map(|_| None).collect();
        let deadline = tokio::time::Instant::now() + limit;
        let branch = |section: Section| {
            items
                .iter()
                .enumerate()
                .filter(move |(_, item)| item.section == section)
        };
        let opened = futures::future::join(
            self.open(branch(Section::Audio), deadline),
            self.open(branch(Section::Visuals), deadline),
        )
        .await;
        for (index, row) in opened.0.into_iter().chain(opened.1) {
            rows[index] = Some(row);
        }
        let mut calls: FuturesUnordered<_> = items
            .iter()
            .enumerate()
            .filter(|(index, _)| rows[*index].is_none())
            .map(async |(index, item)| (index, self.by(item, deadline).await))
            .collect();
        while let Some((index, row)) = calls.next().await {
            rows[index] = Some(row);
        }
        drop(calls);
        rows.into_iter().flatten().collect()
    }

    async fn open<'b>(
        &self,
        items: impl Iterator<Item = (usize, &'b Item)>,
        deadline: tokio::time::Instant,
    ) -> Vec<(usize, Row)> {
        let mut opened: Vec<&str> = Vec::new();
        let mut rows = Vec::new();
        for (index, item) in items {
            if opened.contains(&item.track()) {
                continue;
            }
            let row = self.by(item, deadline).await;
            if row.status == Status::Ok {
                opened.push(item.track());
            }
            rows.push((index, row));
        }
        rows
    }

    async fn by(&self, item: &Item, deadline: tokio::time::Instant) -> Row {
        match tokio::time::timeout_at(deadline, self.one(item)).await {
            Ok(row) => row,
            Err(_) => {
                let mut row = Row::new(&item.path, item.spec.name, Status::Failed);
                row.fail(
                    &Error::new(Kind::Timeout, "was not answered before the sync point")
                        .hint("raise `[sync] timeout_s` in tools.toml, or take the run up again with `resume`"),
                );
                row
            }
        }
    }

    async fn one(&self, item: &Item) -> Row {
        let mut row = Row::new(&item.path, item.spec.name, Status::Ok);
        if self.stop.is_cancelled() {
            row.status = Status::Skipped;
            let why = if self.context.cancel.is_cancelled() {
                "the run was cancelled"
            } else {
                "an item before it failed"
            };
            row.error = Some(why.to_owned());
            return row;
        }
        if self
            .present
            .as_ref()
            .is_some_and(|document| document.holds(item))
        {
            row.notes.push("was there already".to_owned());
        } else {
            let started = Instant::now();
            let mut arguments = item.arguments.clone();
            let draft = self.app.current(self.draft);
            arguments.insert(
                "draft_id".to_owned(),
                json!(draft.as_ref().unwrap_or(self.draft)),
            );
            let cost = Arc::new(Cost::default());
            let context = Context {
                cancel: self.stop.clone(),
                progress: None,
                cost: Some(cost.clone()),
            };
            let reply = match item.spec.read(arguments, Manner::Strict) {
                Ok(request) => self.app.run(request, context).await,
                Err(error) => Err(error),
            };
            row.ms = ms(started);
            row.tries = u32::try_from(cost.tries()).unwrap_or(u32::MAX);
            let busy_us = cost.busy().as_micros() as u64;
            self.busy_us.fetch_add(busy_us, Ordering::Relaxed);
            match reply {
                Ok(reply) => fill(&mut row, &reply),
                Err(error) if error.kind == Kind::Cancelled => {
                    row.fail(&error);
                    row.status = Status::Skipped;
                }
                Err(error) => row.fail(&error),
            }
        }
        row.track = row
            .track
            .or_else(|| Some(item.track().to_owned()).filter(|t| !t.is_empty()));
        if self.abort && row.status == Status::Failed {
            self.stop.cancel();
        }
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let message = format!("{} {:?}", row.item, row.status).to_lowercase();
        self.steps.tell(done as f64, message, None);
        row
    }
}

fn fill(row: &mut Row, reply: &Value) {
    row.segment_id = reply["segment_id"].as_str().map(str::to_owned);
    row.track = reply["track"].as_str().map(str::to_owned);
    row.start = reply["start"].as_f64();
    row.end = reply["end"].as_f64();
    if let Some(notes) = reply["notes"].as_array() {
        row.notes
            .extend(notes.iter().filter_map(Value::as_str).map(str::to_owned));
    }
}

/// What was acknowledged but is not in the draft has failed; gives what is to be said of tracks that have
/// more segments than before the run and what it put there.
fn verify(
    document: &Document,
    items: &[&Item],
    rows: &mut [Row],
    before: &BTreeMap<String, usize>,
) -> Vec<String> {
    let mut wanted = before.clone();
    let mut captioned: BTreeSet<&str> = BTreeSet::new();
    for row in rows.iter_mut() {
        let Some(item) = items.iter().find(|item| item.path == row.item) else {
            continue;
        };
        // Keyframes cannot be seen on a reference server before a refresh, which would probe all media again.
        if item.section == Section::Keyframes {
            continue;
        }
        if item.section == Section::Subtitles {
            captioned.insert(item.track());
        }
        match (row.status, document.place_of(item)) {
            (Status::Ok, Some((start, end))) => {
                row.start = row.start.or(Some(start));
                row.end = row.end.or(Some(end));
                if row.tries > 0 {
                    let track = item.track().to_owned();
                    *wanted.entry(track).or_default() += 1;
                }
            }
            (Status::Ok, None) => row.fail(
                &Error::new(
                    Kind::Unavailable,
                    "was acknowledged, but it is not in the draft",
                )
                .hint("take the run up again with `resume`: only what is missing is done"),
            ),
            (Status::Failed, Some(_)) if row.tries > 0 => {
                row.notes
                    .push("something is in its place all the same".to_owned());
            }
            _ => {}
        }
    }
    let mut more = Vec::new();
    for (track, found) in document.counts() {
        let wanted = wanted.get(&track).copied().unwrap_or_default();
        // How many captions there are only the captions tell.
        if found > wanted && !captioned.contains(track.as_str()) {
            more.push(format!(
                "track {track:?} has {found} segments, of which this run knows {wanted}: look at the draft"
            ));
        }
    }
    more
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
    app.run(check::decode(tool, arguments)?, context.clone())
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

/// The lengths of all media whose items do not say theirs, asked side by side.
async fn probe(
    app: &Arc<App>,
    items: &[Item],
    steps: &Steps,
    cancel: &CancellationToken,
) -> Result<Lengths> {
    let sources: BTreeSet<String> = items
        .iter()
        .filter(|item| item.needs_length())
        .filter_map(|item| item.source().map(str::to_owned))
        .collect();
    let all = sources.len();
    let arrived = Arc::new(AtomicU64::new(0));
    let asked: Vec<BoxFuture<'_, Option<(String, (f64, f64))>>> = sources
        .into_iter()
        .map(|source| {
            let (media, arrived) = (app.media.clone(), arrived.clone());
            async move {
                // A medium that cannot be read keeps its open end: its own call says what is wrong.
                let facts = media.facts_counting(&source, arrived).await.ok()?;
                let sound = facts.audio_duration.unwrap_or(facts.duration);
                Some((source, (facts.duration.seconds(), sound.seconds())))
            }
            .boxed()
        })
        .collect();
    let mut probes = futures::stream::iter(asked).buffer_unordered(PROBES);
    let mut lengths = Lengths::new();
    let mut looked = 0;
    let mut told = 0;
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                return Err(Error::new(Kind::Cancelled, "cancelled while the media were probed; nothing was made"));
            }
            probed = probes.next() => {
                let Some(probed) = probed else { return Ok(lengths) };
                lengths.extend(probed);
                looked += 1;
            }
            () = tokio::time::sleep(TOLD_EVERY) => {
                let done = arrived.load(Ordering::Relaxed);
                if done > told {
                    told = done;
                    let bytes = Bytes { done, of: None };
                    // Nobody knows how much is to come: it nears the first item without reaching it.
                    let part = 1.0 - 1.0 / (1.0 + done as f64 / 1e7);
                    steps.tell(part * 0.99, format!("looked at {looked} of {all} media ({bytes})"), Some(bytes));
                }
            }
        }
    }
}

fn ms(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
