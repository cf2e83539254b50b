//! Runs a plan's calls: audio and pictures concurrently or in order, one row per item.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::item::Item;
use super::ms;
use super::report::{ItemReport, ItemStatus};
use super::resume::ResumeState;
use super::section::Section;
use super::steps::Steps;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind};
use crate::exec::{App, Context, Cost};

/// What the calls of one run share.
pub(super) struct PlanRun<'a> {
    pub app: &'a Arc<App>,
    pub draft: &'a DraftId,
    pub context: &'a Context,
    /// What the draft contained when the run was resumed.
    pub earlier: ResumeState,
    pub abort: bool,
    pub is_remote: bool,
    /// Cancelled when the client gives up, or at the first failure with `on_failure: abort`.
    pub stop: CancellationToken,
    pub done: AtomicUsize,
    /// The total duration of the calls, without the time they waited for each other.
    pub busy_us: AtomicU64,
    pub steps: &'a Steps,
}

impl PlanRun<'_> {
    /// Runs calls one after another, in the order of the plan.
    pub(super) async fn in_order(&self, items: &[Item]) -> Vec<ItemReport> {
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            rows.push(self.one(item).await);
        }
        rows
    }

    /// Runs audio and pictures concurrently. First the tracks are opened in the plan's order, one call at a time in each
    /// of the two branches; then all other calls run concurrently within the lanes' limits.
    pub(super) async fn fan_out(&self, items: &[Item], limit: Duration) -> Vec<ItemReport> {
        let mut rows: Vec<Option<ItemReport>> = items.iter().map(|_| None).collect();
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
    ) -> Vec<(usize, ItemReport)> {
        let mut opened: Vec<&str> = Vec::new();
        let mut rows = Vec::new();
        for (index, item) in items {
            if opened.contains(&item.track()) {
                continue;
            }
            let row = self.by(item, deadline).await;
            if row.status == ItemStatus::Ok {
                opened.push(item.track());
            }
            rows.push((index, row));
        }
        rows
    }

    async fn by(&self, item: &Item, deadline: tokio::time::Instant) -> ItemReport {
        match tokio::time::timeout_at(deadline, self.one(item)).await {
            Ok(row) => row,
            Err(_) => {
                let mut row = row(item, ItemStatus::Failed);
                row.fail(
                    &Error::new(Kind::Timeout, "got no reply before the sync point")
                        .hint("raise `[sync] timeout_s` in tools.toml, or run the plan again with `resume`"),
                );
                row
            }
        }
    }

    async fn one(&self, item: &Item) -> ItemReport {
        let mut row = row(item, ItemStatus::Ok);
        row.notes.clone_from(&item.notes);
        row.notes
            .extend(self.earlier.replaces(item).map(str::to_owned));
        if self.stop.is_cancelled() {
            row.status = ItemStatus::Skipped;
            let why = if self.context.cancel.is_cancelled() {
                "the run was cancelled"
            } else {
                "an earlier item failed"
            };
            row.error = Some(why.to_owned());
            return row;
        }
        if let Some(note) = self.earlier.has(item) {
            row.notes.push(note.to_owned());
        } else if let Some(fault) = &item.fault {
            row.fail(fault);
        } else if self.is_remote && item.open_place {
            let error = if item.follows {
                Error::media("its start follows from earlier items on its track, and the length of one of them is unknown, because its file cannot be read from this machine")
                    .hint("set its start, or an `end` for the item before it")
            } else {
                Error::media("it ends with the pictures, and the length of one of them is unknown, because its file cannot be read from this machine")
                    .hint("set its `duration` in seconds, or an `end` for the picture")
            };
            // The server may be able to read the file, and then both items would overlap.
            row.fail(&error);
        } else {
            let started = Instant::now();
            let mut arguments = item.arguments.clone();
            let draft = self.app.current(self.draft).await;
            arguments.insert(
                "draft_id".to_owned(),
                json!(draft.as_ref().unwrap_or(self.draft)),
            );
            let cost = Arc::new(Cost::default());
            let caller = &self.context.caller;
            let context = Context {
                cancel: self.stop.clone(),
                cost: Some(cost.clone()),
                ..Context::of(caller)
            };
            let reply = match item.spec.read(arguments, caller) {
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
                    row.status = ItemStatus::Skipped;
                }
                Err(error) => row.fail(&error),
            }
        }
        row.track = row
            .track
            .or_else(|| Some(item.track().to_owned()).filter(|t| !t.is_empty()));
        if self.abort && row.status == ItemStatus::Failed {
            self.stop.cancel();
        }
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let message = format!("{} {:?}", row.item, row.status).to_lowercase();
        self.steps.tell(done as f64, message, None);
        row
    }
}

/// The row of an item that is only planned.
pub(super) fn planned_row(item: &Item) -> ItemReport {
    let (start, end) = item.span.unzip();
    ItemReport {
        track: Some(item.track().to_owned()).filter(|track| !track.is_empty()),
        start,
        end,
        notes: item.notes.clone(),
        ..row(item, ItemStatus::Ok)
    }
}

fn row(item: &Item, status: ItemStatus) -> ItemReport {
    ItemReport {
        content: item.content(),
        ..ItemReport::new(&item.path, item.spec.name, status)
    }
}

fn fill(row: &mut ItemReport, reply: &Value) {
    row.segment_id = reply["segment_id"].as_str().map(str::to_owned);
    row.track = reply["track"].as_str().map(str::to_owned);
    row.start = reply["start"].as_f64();
    row.end = reply["end"].as_f64();
    if let Some(notes) = reply["notes"].as_array() {
        row.notes
            .extend(notes.iter().filter_map(Value::as_str).map(str::to_owned));
    }
}
