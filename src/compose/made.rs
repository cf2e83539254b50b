//! What a run has made: checked, saved, and taken back where it must not stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::document::Document;
use super::earlier::sequences;
use super::layout::Item;
use super::plan::{Plan, Save, Section};
use super::report::{Outcome, Report, Status};
use super::verify::verify;
use super::{call, lives_on, moved, query};
use crate::draft::ids::DraftId;
use crate::engine::package::Unfetched;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context, Progress};
use crate::media::Media;
use crate::tools::Object;

/// How often a save is tried without the items whose media could not be had.
const SAVES: usize = 4;

/// A draft after a run, and what is known of every item.
pub(super) struct Made<'a> {
    pub app: &'a Arc<App>,
    pub context: &'a Context,
    pub known: &'a (dyn Fn(&DraftId) + Send + Sync),
    pub draft: DraftId,
    /// This run made the draft.
    pub is_new: bool,
    /// The place of the run's first call among the calls of the draft.
    pub began: u64,
    /// In the order of the report's rows.
    pub items: Vec<Item>,
    pub report: Report,
}

impl Made<'_> {
    fn is_remote(&self) -> bool {
        self.report.backend.as_deref() == Some("remote")
    }

    fn note(&mut self, note: impl Into<String>) {
        self.report.note(note.into());
    }

    /// Where the draft is now, if its server lost it and it was made again.
    async fn follow(&mut self) {
        let Some(current) = moved(self.app, &self.draft).await else {
            return;
        };
        self.note(lives_on(&self.draft, &current));
        self.report.backend = self.app.backend_of(&current).await.ok().map(str::to_owned);
        (self.known)(&current);
        self.report.draft_id = Some(current.clone());
        self.draft = current;
        // The calls were made again: those of this run are found by their arguments.
        self.began = 1;
    }

    /// The media that the engine could not look at, each with the reason. (What a server can read is known to the
    /// server.)
    async fn unseen(&mut self) -> BTreeMap<String, Error> {
        if self.is_remote() {
            return BTreeMap::new();
        }
        let unread = self.app.engine.read(&self.draft, |draft| {
            let unread = draft.media.iter().filter(|media| !media.known.read);
            unread
                .map(|media| media.source.to_string())
                .collect::<BTreeSet<_>>()
        });
        match unread.await {
            Ok(unread) => self.unreachable(unread).await,
            Err(error) => {
                self.note(format!("the media were not checked: {}", error.message));
                BTreeMap::new()
            }
        }
    }

    /// An item of a draft that is to be saved has failed if its media could not be looked at, however it was answered.
    pub(super) async fn fail_unseen(&mut self, abort: bool) {
        let unseen = self.unseen().await;
        let failed = self.fail(&unseen);
        // An abort takes everything back.
        if !abort {
            self.take_out(&failed).await;
        }
    }

    /// In a draft that is not saved such an item stays, but is not counted as one that is known to be right.
    pub(super) async fn mark_unseen(&mut self) {
        let unseen = self.unseen().await;
        for index in self.items_of(&unseen) {
            self.report.items[index].status = Status::Unseen;
        }
    }

    /// Which of the sources cannot be read, each with the reason.
    async fn unreachable(&self, sources: BTreeSet<String>) -> BTreeMap<String, Error> {
        let looks = sources.into_iter().map(|source| async move {
            let media = self.app.media.of(&self.context.caller);
            let error = media.facts(&source).await.err()?;
            Some((source, error))
        });
        let looked = futures::future::join_all(looks).await;
        looked.into_iter().flatten().collect()
    }

    /// The items that are there and show or play these media.
    fn items_of(&self, media: &BTreeMap<String, Error>) -> Vec<usize> {
        let rows = self.items.iter().zip(&self.report.items).enumerate();
        rows.filter(|(_, (item, row))| {
            let source = item.source().map(str::trim);
            row.status == Status::Ok && source.is_some_and(|source| media.contains_key(source))
        })
        .map(|(index, _)| index)
        .collect()
    }

    /// Marks the items of these media as failed, and gives their places.
    fn fail(&mut self, media: &BTreeMap<String, Error>) -> Vec<usize> {
        let failed = self.items_of(media);
        for index in &failed {
            let source = self.items[*index].source().map(str::trim);
            if let Some(error) = source.and_then(|source| media.get(source)) {
                self.report.items[*index].fail(&error.again());
            }
        }
        failed
    }

    /// Takes failed items that this run added out of the draft, so that the rest can be saved and they can be added
    /// again. Keyframes go with their clip. Whether all of the failed are out.
    async fn take_out(&mut self, failed: &[usize]) -> bool {
        let (mut out, stay): (Vec<usize>, Vec<usize>) = failed
            .iter()
            .partition(|index| self.report.items[**index].tries > 0);
        for index in &stay {
            let note = "it was in the draft before, and stays there";
            self.report.items[*index].notes.push(note.to_owned());
        }
        if out.is_empty() {
            return stay.is_empty();
        }
        for index in self.keyframes_on(&out) {
            self.report.items[index].fail(&Error::media("the clip that it moves has failed"));
            out.push(index);
        }
        let taken = match self.calls_of(&out).await {
            Ok(calls) if calls.len() == out.len() => {
                self.app
                    .engine
                    .take_back(&self.draft, calls, &self.context.caller)
                    .await
            }
            Ok(_) => Err(Error::not_found("its call is not in the journal")),
            Err(error) => Err(error),
        };
        for index in out {
            let note = match &taken {
                Ok(()) => "it was taken out of the draft again".to_owned(),
                Err(error) => format!("it is still in the draft: {}", error.message),
            };
            self.report.items[index].notes.push(note);
        }
        taken.is_ok() && stay.is_empty()
    }

    /// The keyframes that are there on the clips of these items.
    fn keyframes_on(&self, clips: &[usize]) -> Vec<usize> {
        let moves = |item: &Item| {
            let times = item.times();
            clips.iter().any(|clip| {
                let (clip, row) = (&self.items[*clip], &self.report.items[*clip]);
                let (start, end) = (row.start.unwrap_or(0.0), row.end.unwrap_or(f64::MAX));
                clip.track() == item.track()
                    && times.iter().any(|time| (start..=end).contains(time))
            })
        };
        let rows = self.items.iter().zip(&self.report.items).enumerate();
        rows.filter(|(_, (item, row))| {
            item.section == Section::Keyframes && row.status == Status::Ok && moves(item)
        })
        .map(|(index, _)| index)
        .collect()
    }

    async fn calls_of(&self, items: &[usize]) -> Result<BTreeSet<u64>> {
        if self.is_remote() {
            return Err(Error::conflict(
                "the CapCut API cannot take calls back, nor delete segments",
            ));
        }
        let items = items
            .iter()
            .map(|index| (&self.items[*index], &self.report.items[*index]));
        sequences(self.app, &self.draft, self.began, items).await
    }

    async fn take_back(&self, items: &[usize]) -> Result<()> {
        let calls = self.calls_of(items).await?;
        self.app
            .engine
            .take_back(&self.draft, calls, &self.context.caller)
            .await
    }

    /// Compares the draft itself with what was acknowledged.
    pub(super) async fn verify(&mut self, before: &BTreeMap<String, usize>) {
        let read = query(self.app, &self.draft, false, self.context).await;
        self.follow().await;
        let is_remote = self.is_remote();
        match read {
            Ok(document) => {
                self.report.totals.segments_in_draft = document.segments();
                let items: Vec<&Item> = self.items.iter().collect();
                let notes = verify(
                    &document,
                    &items,
                    &mut self.report.items,
                    before,
                    !is_remote,
                );
                self.report.notes.extend(notes);
            }
            Err(error) => {
                for row in &mut self.report.items {
                    if row.status == Status::Ok {
                        row.fail(&Error::new(
                            error.kind,
                            "was acknowledged, but the draft cannot be read to check it",
                        ));
                    }
                }
                self.note(format!("the draft could not be checked: {}", error.message));
            }
        }
    }

    async fn count_segments(&mut self) {
        if let Ok(document) = query(self.app, &self.draft, false, self.context).await {
            self.report.totals.segments_in_draft = Document::segments(&document);
        }
    }

    /// Saves the draft. On the engine items whose media cannot be had fail, and the rest is saved.
    pub(super) async fn save(&mut self, plan: &Plan, abort: bool, progress: Option<Progress>) {
        let mut arguments = match &plan.save {
            Some(Save::Whether(false)) => return,
            Some(Save::With(arguments)) => arguments.clone(),
            Some(Save::Whether(true)) | None => Object::new(),
        };
        let context = Context {
            progress,
            ..self.context.clone()
        };
        for _ in 0..SAVES {
            arguments.insert("draft_id".to_owned(), json!(self.draft));
            if self.report.backend.as_deref() == Some("embedded") {
                self.app.engine.made_of(&self.draft, plan.own_origin());
            }
            let saved = call(self.app, "save_draft", arguments.clone(), &context).await;
            self.follow().await;
            let error = match saved {
                Ok(reply) => return self.saved(&reply),
                Err(error) => error,
            };
            self.report.save_error = Some(error.to_string());
            if error.kind == Kind::Cancelled {
                self.report.outcome = Outcome::Cancelled;
                return;
            }
            self.report.outcome = Outcome::Failed;
            let failed = self.fail_unfetched(&error).await;
            self.report.count();
            self.report.outcome = Outcome::Failed;
            if failed.is_empty() {
                return;
            }
            if abort {
                return self.abort().await;
            }
            if !self.take_out(&failed).await {
                return;
            }
            self.count_segments().await;
            if self.report.is_empty() {
                return;
            }
        }
    }

    /// Fails the items whose media a save could not have.
    async fn fail_unfetched(&mut self, error: &Error) -> Vec<usize> {
        let unfetched = error
            .source
            .as_deref()
            .and_then(|source| source.downcast_ref::<Unfetched>());
        let media = match unfetched {
            Some(unfetched) => unfetched
                .0
                .iter()
                .map(|(source, error)| (source.trim().to_owned(), error.again()))
                .collect(),
            // A server does not say which: what cannot be fetched from here either is not counted as there. (Of its
            // files nothing is known here.)
            None if self.is_remote() => {
                let sources = self.items.iter().filter_map(Item::source);
                let sources = sources.filter(|source| !Media::is_here(source));
                self.unreachable(sources.map(|source| source.trim().to_owned()).collect())
                    .await
            }
            None => BTreeMap::new(),
        };
        self.fail(&media)
    }

    fn saved(&mut self, reply: &Value) {
        self.report.count();
        self.report.save_error = None;
        self.report.saved = true;
        self.report.folder = reply["folder"].as_str().map(str::to_owned);
        self.report.zip = reply["zip"].as_str().map(str::to_owned);
        for note in reply["notes"].as_array().into_iter().flatten() {
            if let Some(note) = note.as_str() {
                self.report.note(note.to_owned());
            }
        }
    }

    /// Undoes what this run added, and nothing else: a draft that it made goes to the trash, from one that existed
    /// its calls are taken back.
    pub(super) async fn abort(&mut self) {
        let draft = self.draft.clone();
        let sent: Vec<usize> = (0..self.items.len())
            .filter(|index| self.report.items[*index].tries > 0)
            .collect();
        if self.is_new && !self.is_remote() {
            self.app.forget(&draft);
            match self.app.journal.delete(&draft).await {
                Ok(()) => {
                    self.undone(&sent);
                    self.report.draft_id = None;
                    self.report.totals.segments_in_draft = 0;
                    self.note(format!(
                        "the unfinished draft {draft} was moved to the trash; `delete_draft` with \"draft_id\": \"{draft}\" and \"restore\": true takes it out again"
                    ));
                }
                Err(error) => self.note(format!(
                    "the unfinished draft {draft} is left: {}",
                    error.message
                )),
            }
        } else {
            match self.take_back(&sent).await {
                Ok(()) => {
                    self.undone(&sent);
                    self.count_segments().await;
                    self.note(format!(
                        "what this run added was taken back; draft {draft} is as it was before"
                    ));
                }
                Err(error) => {
                    let left: Vec<&str> = sent
                        .iter()
                        .map(|index| &self.report.items[*index])
                        .filter(|row| row.status == Status::Ok)
                        .map(|row| row.item.as_str())
                        .collect();
                    let left = if left.is_empty() {
                        "nothing of this run".to_owned()
                    } else {
                        left.join(", ")
                    };
                    self.note(format!(
                        "{}: draft {draft} is left with {left}{}",
                        error.message,
                        if self.is_new {
                            ", unfinished"
                        } else {
                            " besides what it had before"
                        }
                    ));
                }
            }
        }
        self.report.outcome = Outcome::Aborted;
    }

    /// What was taken back is not there any more.
    fn undone(&mut self, sent: &[usize]) {
        for index in sent {
            let row = &mut self.report.items[*index];
            if row.status == Status::Ok {
                row.status = Status::Skipped;
                row.error = Some("was taken back, as another item failed".to_owned());
                (row.segment_id, row.start, row.end) = (None, None, None);
            }
        }
        self.report.count();
    }
}
