//! The result of a run: it is verified, saved, and undone where it must not stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::document::DraftSegments;
use super::item::Item;
use super::plan::{Plan, Save};
use super::report::{ItemStatus, RunOutcome, RunReport};
use super::resume::{change, sequences};
use super::section::Section;
use super::verify::verify;
use super::{call, moved, query, recreated_as};
use crate::args::normalize::Normalized;
use crate::draft::ids::DraftId;
use crate::engine::documents::UndoWish;
use crate::engine::package::Unfetched;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context, Progress};
use crate::media::Media;
use crate::tools::{Call, Object};

/// How often a save is tried, each time without the items whose media could not be fetched.
const SAVES: usize = 4;

/// A draft after a run, and what is known of every item.
pub(super) struct FinishedRun<'a> {
    pub app: &'a Arc<App>,
    pub context: &'a Context,
    pub known: &'a (dyn Fn(&DraftId) + Send + Sync),
    pub draft: DraftId,
    /// Whether this run created the draft.
    pub is_new: bool,
    /// The sequence number of the run's first call among the calls of the draft.
    pub began: u64,
    /// In the order of the report's rows.
    pub items: Vec<Item>,
    pub report: RunReport,
}

impl FinishedRun<'_> {
    fn is_remote(&self) -> bool {
        self.report.backend.as_deref() == Some("remote")
    }

    fn note(&mut self, note: impl Into<String>) {
        self.report.note(note.into());
    }

    /// Switches to the current draft if its server lost the draft and it was recreated.
    async fn follow(&mut self) {
        let Some(current) = moved(self.app, &self.draft).await else {
            return;
        };
        self.note(recreated_as(&self.draft, &current));
        self.report.backend = self.app.backend_of(&current).await.ok().map(str::to_owned);
        (self.known)(&current);
        self.report.draft_id = Some(current.clone());
        self.draft = current;
        // All calls were repeated in the new draft: this run's calls are found by their arguments.
        self.began = 1;
    }

    /// The media that the engine could not read, each with the reason. (Which media a server can read is only known to
    /// the server.)
    async fn unseen(&mut self) -> BTreeMap<String, Error> {
        if self.is_remote() {
            return BTreeMap::new();
        }
        // A draft that was edited is a document, which does not say what was read.
        if self
            .app
            .engine
            .is_document(&self.draft)
            .await
            .unwrap_or(false)
        {
            let rows = self.items.iter().zip(&self.report.items);
            let sent = rows.filter(|(_, row)| row.tries > 0 && row.status == ItemStatus::Ok);
            let sources = sent.filter_map(|(item, _)| item.source());
            let sources = sources.map(|source| source.trim().to_owned()).collect();
            return self.unreachable(sources).await;
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

    /// Before a save: fails items whose media could not be read, even if their calls succeeded.
    pub(super) async fn fail_unseen(&mut self, abort: bool) {
        let unseen = self.unseen().await;
        let failed = self.fail(&unseen);
        // An abort undoes everything anyway.
        if !abort {
            self.take_out(&failed).await;
        }
    }

    /// Without a save: such items stay in the draft, with the status `unseen` instead of `ok`.
    pub(super) async fn mark_unseen(&mut self) {
        let unseen = self.unseen().await;
        for index in self.items_of(&unseen) {
            self.report.items[index].status = ItemStatus::Unseen;
        }
    }

    /// The sources that cannot be read, each with the reason.
    async fn unreachable(&self, sources: BTreeSet<String>) -> BTreeMap<String, Error> {
        let looks = sources.into_iter().map(|source| async move {
            let media = self.app.media.of(&self.context.caller);
            let error = media.facts(&source).await.err()?;
            Some((source, error))
        });
        let looked = futures::future::join_all(looks).await;
        looked.into_iter().flatten().collect()
    }

    /// The successful items that show or play these media.
    fn items_of(&self, media: &BTreeMap<String, Error>) -> Vec<usize> {
        let rows = self.items.iter().zip(&self.report.items).enumerate();
        rows.filter(|(_, (item, row))| {
            let source = item.source().map(str::trim);
            row.status == ItemStatus::Ok && source.is_some_and(|source| media.contains_key(source))
        })
        .map(|(index, _)| index)
        .collect()
    }

    /// Marks the items of these media as failed, and returns their indexes.
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

    /// Removes failed items that this run added from the draft, so that the rest can be saved and the items can be added
    /// again. Keyframes are removed with their clip. Returns whether all failed items were removed.
    async fn take_out(&mut self, failed: &[usize]) -> bool {
        let (mut out, stay): (Vec<usize>, Vec<usize>) = failed
            .iter()
            .partition(|index| self.report.items[**index].tries > 0);
        for index in &stay {
            let note = "it was in the draft before this run, and stays there";
            self.report.items[*index].notes.push(note.to_owned());
        }
        if out.is_empty() {
            return stay.is_empty();
        }
        for index in self.keyframes_on(&out) {
            self.report.items[index].fail(&Error::media("the clip that it animates has failed"));
            out.push(index);
        }
        let taken = self.remove(&out).await;
        for index in out {
            let note = match &taken {
                Ok(()) => "it was removed from the draft".to_owned(),
                Err(error) => format!("it is still in the draft: {}", error.message),
            };
            self.report.items[index].notes.push(note);
        }
        taken.is_ok() && stay.is_empty()
    }

    /// Removes items that this run added from the draft.
    async fn remove(&self, out: &[usize]) -> Result<()> {
        let calls = self.calls_of(out).await?;
        if calls.len() != out.len() {
            return Err(Error::not_found("its call is not in the journal"));
        }
        let (app, draft, caller) = (self.app, &self.draft, &self.context.caller);
        if !app.engine.is_document(draft).await? {
            return app.engine.take_back(draft, calls, caller).await;
        }
        let out = out.iter().map(|index| (&self.items[*index], index));
        let clips = out.filter(|(item, _)| item.section != Section::Keyframes);
        let clips = clips.filter_map(|(_, index)| self.report.items[*index].segment_id.as_deref());
        let clips: Vec<&str> = clips.collect();
        change::remove(app, draft, &clips, &calls, caller).await
    }

    /// The successful keyframes on the clips of these items.
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
            item.section == Section::Keyframes && row.status == ItemStatus::Ok && moves(item)
        })
        .map(|(index, _)| index)
        .collect()
    }

    async fn calls_of(&self, items: &[usize]) -> Result<BTreeSet<u64>> {
        if self.is_remote() {
            return Err(Error::conflict(
                "the CapCut API cannot undo calls or delete segments",
            ));
        }
        let items = items
            .iter()
            .map(|index| (&self.items[*index], &self.report.items[*index]));
        sequences(self.app, &self.draft, self.began, items).await
    }

    /// Undoes what this run did with an existing draft: the edits of clips and what it added.
    async fn undo_run(&self, sent: &[usize]) -> Result<()> {
        let (engine, caller) = (&self.app.engine, &self.context.caller);
        if self.is_remote() || !engine.is_document(&self.draft).await? {
            let calls = self.calls_of(sent).await?;
            return engine.take_back(&self.draft, calls, caller).await;
        }
        let Some(run) = caller.run.clone() else {
            return Err(Error::internal("the run has no id"));
        };
        let mut arguments = Object::new();
        arguments.insert("draft_id".to_owned(), json!(self.draft));
        let call = Call {
            tool: "undo_draft",
            arguments,
            caller: caller.clone(),
            normalized: Normalized::default(),
        };
        let undone = engine.undo(&self.draft, &UndoWish::Run(run), &call).await;
        undone.map(drop)
    }

    /// Compares the draft itself with the acknowledged items.
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
                    if row.status == ItemStatus::Ok {
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
            self.report.totals.segments_in_draft = DraftSegments::segments(&document);
        }
    }

    /// Saves the draft. On the engine, items whose media cannot be fetched fail, and the rest is saved.
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
                self.report.outcome = RunOutcome::Cancelled;
                return;
            }
            self.report.outcome = RunOutcome::Failed;
            let failed = self.fail_unfetched(&error).await;
            self.report.count();
            self.report.outcome = RunOutcome::Failed;
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

    /// Fails the items whose media the save could not fetch.
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
            // A server does not report which media failed: media that cannot be fetched from here either are treated
            // as missing. (Files on the server's machine cannot be checked from here.)
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
        self.report.download_url = reply["download_url"].as_str().map(str::to_owned);
        self.report.next = reply["next"].as_str().map(str::to_owned);
        for note in reply["notes"].as_array().into_iter().flatten() {
            if let Some(note) = note.as_str() {
                self.report.note(note.to_owned());
            }
        }
    }

    /// Undoes only what this run added: a draft that it created is moved to the trash; in an existing draft, its calls
    /// are undone.
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
                        "the unfinished draft {draft} was moved to the trash; `delete_draft` with \"draft_id\": \"{draft}\" and \"restore\": true restores it"
                    ));
                }
                Err(error) => self.note(format!(
                    "the unfinished draft {draft} could not be removed: {}",
                    error.message
                )),
            }
        } else {
            match self.undo_run(&sent).await {
                Ok(()) => {
                    self.undone(&sent);
                    self.count_segments().await;
                    self.note(format!(
                        "what this run added was undone; draft {draft} is as it was before"
                    ));
                }
                Err(error) => {
                    let left: Vec<&str> = sent
                        .iter()
                        .map(|index| &self.report.items[*index])
                        .filter(|row| row.status == ItemStatus::Ok)
                        .map(|row| row.item.as_str())
                        .collect();
                    let left = if left.is_empty() {
                        "nothing of this run".to_owned()
                    } else {
                        left.join(", ")
                    };
                    self.note(format!(
                        "{}: draft {draft} still contains {left}{}",
                        error.message,
                        if self.is_new {
                            ", and is unfinished"
                        } else {
                            " in addition to its earlier content"
                        }
                    ));
                }
            }
        }
        self.report.outcome = RunOutcome::Aborted;
    }

    /// Marks undone items as skipped.
    fn undone(&mut self, sent: &[usize]) {
        for index in sent {
            let row = &mut self.report.items[*index];
            if row.status == ItemStatus::Ok {
                row.status = ItemStatus::Skipped;
                row.error = Some("was undone, because another item failed".to_owned());
                (row.segment_id, row.start, row.end) = (None, None, None);
            }
        }
        self.report.count();
    }
}
