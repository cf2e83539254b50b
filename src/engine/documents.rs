//! Drafts that are documents: those that were opened, and our own after their first edit that is not an addition.
//!
//! The journal has the document's text once, compressed, and each edit as a step on it. A draft of ours returns to its
//! compact form if its edits are undone.

mod adding;
mod copying;
mod history;
pub(crate) mod properties;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capcut_draft::{Dialect, Document, ErrorKind, Operation, OperationReport, Step};
use serde::{Deserialize, Serialize};

use crate::args::Call;
use crate::args::reply::Placed;
use crate::draft::Draft;
use crate::draft::ids::DraftId;
use crate::draft::working;
use crate::engine::edit::EditOutcome;
use crate::engine::resources::CatalogResources;
use crate::engine::{
    Engine, NOT_REFRESHED, NewDraft, RecordedEdit, TRIES, VERSION, apply, as_seen, aside, changing,
    empty, fold, new_id, reply, taken_back,
};
use crate::error::{Error, Kind, Result};
use crate::journal::{
    self, Appended, CallPosition, ENGINE, NewDraftRow, NewRecord, PackedDocument, document_hash,
};
use crate::sorting;
use crate::units::Edition;

pub(super) use adding::add;
pub(crate) use copying::{CopiedDraft, DraftCopy, for_app};
pub(crate) use history::{HistoryStep, UndoWish};
pub(super) use history::{RecordedUndo, undone};
use properties::SetProperties;

/// What a draft is at the moment.
pub(crate) struct DraftState {
    /// The compact form. For a draft that was opened: id, edition, canvas and sequence.
    pub draft: Draft,
    /// The document that it became.
    pub document: Option<Box<Document>>,
    /// Where it was opened.
    pub opened: Option<Arc<OpenedFrom>>,
}

/// Where a draft was opened, and its state then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenedFrom {
    /// The hash of the text, which the journal has.
    pub document: String,
    pub edition: Edition,
    /// The draft's folder; a document outside a draft folder has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The file of the document.
    pub file: PathBuf,
    /// SHA-256 of the documents in the folder, by their names in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    pub app: String,
    pub app_version: String,
    /// For a copy, which has no folder of its own: the short ids of what it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<ShortIds>,
}

/// The numbers of the short ids of clips and tracks, in the order of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShortIds {
    clips: Vec<u32>,
    tracks: Vec<u32>,
}

impl OpenedFrom {
    /// The folder with the document.
    pub(crate) fn folder_of_file(&self) -> &Path {
        let above = self.file.parent().unwrap_or(Path::new("."));
        self.folder.as_deref().unwrap_or(above)
    }

    /// What was opened, for messages.
    pub(crate) fn path(&self) -> &Path {
        self.folder.as_deref().unwrap_or(&self.file)
    }
}

/// What a save wrote into the folder of a draft that was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedWrite {
    /// SHA-256 of the documents in the folder, by their names in it.
    pub files: BTreeMap<String, String>,
    /// The media that were copied into it, by source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub media: BTreeMap<String, CopiedFile>,
    /// The name in the app, if it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A file that was copied into the folder of a draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopiedFile {
    /// Its path in the folder.
    pub inside: String,
    /// Its id in the media bin.
    pub bin_id: String,
}

/// An edit of a document.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedStep {
    step: Step,
    /// What it changed, in words.
    pub changes: Vec<String>,
    /// The short ids of the clips that it changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clips: Vec<String>,
    /// A name for the state after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// The document that our own draft became with this edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<BaseDocument>,
    /// The draft's names before and after it, if it changed the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed: Option<(String, String)>,
}

/// The working document of our own draft at its first edit that is not an addition. It is kept as text, because a
/// later version of this program may write it differently.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct BaseDocument {
    document: String,
    #[serde(flatten)]
    ids: ShortIds,
}

/// A document that was read from a file.
#[derive(Debug)]
pub(crate) struct NewDocument {
    pub text: Vec<u8>,
    /// The draft's name in the app, or the name of its folder or file.
    pub name: String,
    pub edition: Option<Edition>,
    /// The draft's folder; a document outside a draft folder has none.
    pub folder: Option<PathBuf>,
    pub file: PathBuf,
    /// SHA-256 of the documents in the folder, by their names in it.
    pub files: BTreeMap<String, String>,
}

/// A change by operations.
#[derive(Debug)]
pub(crate) struct DraftChange<'a> {
    pub operations: &'a [Operation],
    /// A name for the state after it.
    pub checkpoint: Option<&'a str>,
    /// Only says what would change.
    pub dry_run: bool,
}

/// What a change did.
#[derive(Debug)]
pub(crate) struct Changed {
    pub reports: Vec<OperationReport>,
    /// Whether the journal has a new step.
    pub is_recorded: bool,
}

/// The error of the document crate as ours.
pub(crate) fn document_error(error: capcut_draft::Error) -> Error {
    let kind = match error.kind {
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::Invalid | ErrorKind::Ambiguous | ErrorKind::TooLarge => Kind::InvalidArgument,
        ErrorKind::Mismatch => Kind::Internal,
        _ => Kind::Conflict,
    };
    let found = Error::new(kind, error.message);
    match error.hint {
        Some(hint) => found.hint(hint),
        None => found,
    }
}

/// The texts of documents by their hash.
pub(super) type DocumentTexts = HashMap<String, Vec<u8>>;

fn parse(texts: &DocumentTexts, hash: &str) -> Result<Document> {
    let text = texts.get(hash).ok_or_else(|| lacks(hash))?;
    Document::parse(text.clone()).map_err(document_error)
}

pub(super) fn lacks(hash: &str) -> Error {
    Error::internal(format!("the journal lacks the document {hash}"))
        .hint("restore the journal from a backup, or open the draft again with `open_draft`")
}

impl ShortIds {
    fn of(document: &Document) -> Self {
        let (clips, tracks) = document.short_numbers();
        Self { clips, tracks }
    }

    fn give(&self, document: &mut Document) {
        document.set_short_numbers(&self.clips, &self.tracks);
    }
}

impl OpenedFrom {
    fn parse(&self, texts: &DocumentTexts) -> Result<Document> {
        let mut document = parse(texts, &self.document)?;
        if let Some(ids) = &self.copied {
            ids.give(&mut document);
        }
        Ok(document)
    }
}

/// The working document of a draft of ours. Clips and tracks are numbered in the order in which they were made, so
/// that what is added later changes no number.
fn own_document(draft: &Draft) -> Result<OwnDocument> {
    let written = properties::written(draft, working::write(draft))?;
    let text = written.text.into_bytes();
    let mut document = Document::parse(text.clone()).map_err(document_error)?;
    document.set_dialect(Dialect::Api);
    let mut order: Vec<usize> = (0..draft.tracks.len()).collect();
    sorting::sort_by(&mut order, |a, b| {
        let height = |index: usize| draft.tracks[index].render_index;
        height(*a).total_cmp(&height(*b))
    });
    let clips = order
        .iter()
        .flat_map(|index| draft.tracks[*index].segments());
    let base = BaseDocument {
        document: document_hash(&text),
        ids: ShortIds {
            clips: clips.map(|segment| segment.order + 1).collect(),
            tracks: order.iter().map(|index| *index as u32 + 1).collect(),
        },
    };
    base.ids.give(&mut document);
    Ok(OwnDocument {
        document,
        text,
        base,
        set: written.set,
    })
}

impl DraftState {
    pub(super) fn of(draft: Draft) -> Self {
        Self {
            draft,
            document: None,
            opened: None,
        }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        // As measured with captions.
        const DRAFT_BYTES: usize = 1536;
        const SEGMENT_BYTES: usize = 1024;
        let document = self.document.as_deref();
        let document = document.map_or(0, Document::memory_bytes);
        DRAFT_BYTES + self.draft.len() * SEGMENT_BYTES + document
    }

    /// Applies what a later record stores, unless it [rebuilds](RecordedEdit::rebuilds) the draft.
    pub(super) fn apply(&mut self, found: &RecordedEdit) -> Result<()> {
        match &found.step {
            Some(step) => {
                self.apply_step(&step.step)?;
                self.draft.sequence += 1;
                Ok(())
            }
            None => apply(&mut self.draft, found),
        }
    }

    pub(super) fn apply_step(&mut self, step: &Step) -> Result<()> {
        let document = self.document.as_mut();
        let document = document.ok_or_else(|| Error::internal("a step has no document"))?;
        document.apply(step).map_err(document_error)
    }

    /// Calls `look` with the draft as a document; that of our own drafts in compact form is written for it.
    pub(super) fn with_document<T>(&self, look: impl FnOnce(&Document) -> T) -> Result<T> {
        match &self.document {
            Some(document) => Ok(look(document)),
            None => own_document(&self.draft).map(|own| look(&own.document)),
        }
    }

    /// Why calls that add to a draft cannot add to this one.
    pub(super) fn refuse_additions(&self, tool: &str) -> Result<()> {
        let Some(opened) = &self.opened else {
            return Ok(());
        };
        Err(Error::conflict(format!(
            "`{tool}` cannot add to a draft of {} that was opened",
            opened.edition.app()
        ))
        .hint("copy a clip with `edit_draft` and `duplicate`, then change it with `replace_text`, `replace_media` or `set`"))
    }
}

/// Builds a draft from its records.
pub(super) fn fold_state(
    id: &DraftId,
    founds: &[RecordedEdit],
    texts: &DocumentTexts,
) -> Result<DraftState> {
    let mut without = taken_back(founds);
    without.extend(undone(founds));
    let first = founds.first();
    let (draft, opened) = match first.and_then(|first| first.open.as_ref()) {
        Some(opened) => {
            let document = opened.parse(texts)?;
            let mut draft = empty_for(id, &document, opened);
            draft.sequence = founds.len() as u64;
            (draft, Some(Arc::new(opened.clone())))
        }
        None => (fold(id, founds, &without)?, None),
    };
    let mut state = DraftState {
        draft,
        document: None,
        opened,
    };
    state.document = fold_document(founds, texts, state.opened.as_deref())?.map(Box::new);
    Ok(state)
}

/// Applies the steps of a draft's records, also those that were undone since: short ids depend on them.
fn fold_document(
    founds: &[RecordedEdit],
    texts: &DocumentTexts,
    opened: Option<&OpenedFrom>,
) -> Result<Option<Document>> {
    let mut document = opened.map(|opened| opened.parse(texts)).transpose()?;
    let step_at = |sequence: u64| {
        let found = usize::try_from(sequence).ok().and_then(|at| founds.get(at));
        found.and_then(|found| found.step.as_ref())
    };
    for found in founds {
        if let Some(step) = &found.step {
            apply_step(&mut document, step, texts)?;
        }
        let Some(undo) = &found.undo else { continue };
        for step in undo.undo.iter().filter_map(|sequence| step_at(*sequence)) {
            if step.base.is_some() {
                document = None;
            } else if let Some(document) = &mut document {
                document
                    .apply(&step.step.inverse())
                    .map_err(document_error)?;
            }
        }
        for step in undo.redo.iter().filter_map(|sequence| step_at(*sequence)) {
            apply_step(&mut document, step, texts)?;
        }
    }
    Ok(document)
}

fn apply_step(
    document: &mut Option<Document>,
    step: &RecordedStep,
    texts: &DocumentTexts,
) -> Result<()> {
    if let Some(base) = &step.base {
        let mut own = parse(texts, &base.document)?;
        own.set_dialect(Dialect::Api);
        base.ids.give(&mut own);
        *document = Some(own);
    }
    let document = document
        .as_mut()
        .ok_or_else(|| Error::internal("a step has no document"))?;
    document.apply(&step.step).map_err(document_error)
}

fn empty_for(id: &DraftId, document: &Document, opened: &OpenedFrom) -> Draft {
    let summary = document.summary();
    // Documents without a size use the app's usual canvas.
    let size = |pixels: i64, usual: f64| {
        if (1..=65_536).contains(&pixels) {
            pixels as f64
        } else {
            usual
        }
    };
    empty(
        id,
        &NewDraft {
            name: None,
            note: None,
            width: size(summary.width, 1920.0),
            height: size(summary.height, 1080.0),
            edition: opened.edition,
            settings: Box::default(),
        },
    )
}

impl Engine {
    /// Opens a document as a new draft.
    pub(crate) async fn open_document(&self, new: NewDocument, call: &Call) -> Result<DraftId> {
        let packed = aside(|| PackedDocument::of(&new.text))?;
        let document = Document::parse(new.text).map_err(document_error)?;
        let opened = self.opened_from(&document, new.edition, packed.hash.clone());
        let opened = OpenedFrom {
            folder: new.folder,
            file: new.file,
            files: new.files,
            ..opened
        };
        let id = new_id();
        let draft = empty_for(&id, &document, &opened);
        let row = NewDraftRow {
            origin: ENGINE.to_owned(),
            id: id.clone(),
            name: new.name,
            edition: opened.edition.name().to_owned(),
            reason: String::new(),
        };
        let opened = Arc::new(opened);
        let found = RecordedEdit {
            open: Some((*opened).clone()),
            by: call.caller.by.clone(),
            ..RecordedEdit::default()
        };
        let placed = reply(&id, Some(true), &EditOutcome::default());
        let record = NewRecord {
            document: Some(Arc::new(packed)),
            ..NewRecord::of(call, Some(&found), &placed, VERSION)?
        };
        self.journal.create(&row, &record).await?;
        let state = DraftState {
            draft,
            document: Some(Box::new(document)),
            opened: Some(opened),
        };
        self.drafts.insert(state, NOT_REFRESHED);
        Ok(id)
    }

    /// What is known of a document, apart from its files.
    fn opened_from(
        &self,
        document: &Document,
        edition: Option<Edition>,
        hash: String,
    ) -> OpenedFrom {
        let summary = document.summary();
        let stated = summary.edition.parse().ok();
        OpenedFrom {
            document: hash,
            edition: stated.or(edition).unwrap_or(self.edition),
            folder: None,
            file: PathBuf::new(),
            files: BTreeMap::new(),
            app: summary.app.to_owned(),
            app_version: summary.app_version,
            copied: None,
        }
    }

    /// How many records a draft has, for [`Caller::seen`](crate::caller::Caller::seen). Read it before the draft: then a
    /// change in between is noticed.
    pub(crate) async fn records(&self, id: &DraftId) -> Result<u64> {
        let last = self.journal.last_sequence(ENGINE, id).await?;
        last.map(|last| last + 1)
            .ok_or_else(|| journal::unknown(id))
    }

    /// The current draft as a document.
    pub(crate) async fn inspect<T>(
        &self,
        id: &DraftId,
        look: impl FnOnce(&Document) -> T,
    ) -> Result<T> {
        let held = self.hold(id).await?;
        self.catch_up(&held).await?;
        held.settle_folder();
        aside(|| held.lock().with_document(look))
    }

    /// Whether a draft is a document: it was opened or edited.
    pub(crate) async fn is_document(&self, id: &DraftId) -> Result<bool> {
        let held = self.hold(id).await?;
        self.catch_up(&held).await?;
        let state = held.lock();
        Ok(state.document.is_some())
    }

    /// Where a draft was opened; `None` for drafts that this program made.
    pub(crate) async fn opened(&self, id: &DraftId) -> Result<Option<Arc<OpenedFrom>>> {
        let held = self.hold(id).await?;
        let state = held.lock();
        Ok(state.opened.clone())
    }

    /// Applies operations to a draft as one step, all or none.
    pub(crate) async fn change(
        &self,
        id: &DraftId,
        change: &DraftChange<'_>,
        call: &Call,
    ) -> Result<Changed> {
        let held = self.hold(id).await?;
        let _turn = held.turn().await;
        self.catch_up(&held).await?;
        held.settle_folder();
        for _ in 0..TRIES {
            let planned = aside(|| {
                let mut state = held.lock();
                let sequence = state.draft.sequence;
                as_seen(call, id, sequence)?;
                let plan = plan(&mut state, change.operations)?;
                Ok::<_, Error>((plan, sequence))
            });
            let (plan, sequence) = match planned {
                Ok(planned) => planned,
                Err(error) => {
                    // Another process may have added what is missing.
                    if self.catch_up(&held).await? {
                        continue;
                    }
                    return Err(error);
                }
            };
            if change.dry_run || (plan.step.is_empty() && change.checkpoint.is_none()) {
                return Ok(Changed {
                    reports: plan.reports,
                    is_recorded: false,
                });
            }
            let renamed = match new_name(change.operations) {
                Some(name) => Some((self.name(id).await?, name.to_owned())),
                None => None,
            };
            let (mut found, document) = plan.record(change.checkpoint, renamed.clone())?;
            found.run.clone_from(&call.caller.run);
            found.by.clone_from(&call.caller.by);
            let placed: Placed = reply(id, None, &EditOutcome::default());
            let record = NewRecord {
                document,
                name: renamed.map(|(_, name)| name),
                ..NewRecord::of(call, Some(&found), &placed, VERSION)?
            };
            let at = CallPosition::Sequence(sequence);
            match self.journal.append(ENGINE, id, &record, at).await {
                Ok(Appended::Done(_) | Appended::Already(_)) => {
                    let mut state = held.lock();
                    // A reader that caught up in the meantime may have applied it from the journal.
                    if state.draft.sequence == sequence {
                        if let Some(own) = plan.own {
                            state.document = Some(Box::new(own.document));
                        }
                        let applied = state.apply_step(&plan.step);
                        state.draft.sequence += 1;
                        if let Err(error) = applied {
                            drop(state);
                            // The journal has the step; the draft is read from it again.
                            self.drafts.forget(id);
                            return Err(error);
                        }
                    }
                    let bytes = state.bytes();
                    drop(state);
                    self.drafts.resized(&held, bytes);
                    return Ok(Changed {
                        reports: plan.reports,
                        is_recorded: true,
                    });
                }
                Ok(Appended::Conflict) => {
                    self.catch_up(&held).await?;
                }
                Err(error) => {
                    self.drafts.forget(id);
                    return Err(error);
                }
            }
        }
        Err(changing(id))
    }

    /// The name under which the journal lists a draft.
    pub(super) async fn name(&self, id: &DraftId) -> Result<String> {
        let row = self.journal.find_at(ENGINE, id).await?;
        Ok(row.map(|row| row.name).unwrap_or_default())
    }
}

/// The name that operations give the draft.
fn new_name(operations: &[Operation]) -> Option<&str> {
    operations
        .iter()
        .rev()
        .find_map(|operation| match operation {
            Operation::Rename(rename) => Some(rename.name.as_str()),
            _ => None,
        })
}

/// A planned change of a draft; the draft is as before.
struct PlannedChange {
    step: Step,
    reports: Vec<OperationReport>,
    /// The document of our own draft, which becomes one with this change.
    own: Option<OwnDocument>,
}

struct OwnDocument {
    document: Document,
    text: Vec<u8>,
    base: BaseDocument,
    set: SetProperties,
}

fn plan(state: &mut DraftState, operations: &[Operation]) -> Result<PlannedChange> {
    let edition = state.draft.edition;
    if let Some(document) = &mut state.document {
        let resources = CatalogResources::of(edition, document);
        let (step, reports) = document
            .plan_operations(operations, &resources)
            .map_err(document_error)?;
        return Ok(PlannedChange {
            step,
            reports,
            own: None,
        });
    }
    let mut own = own_document(&state.draft)?;
    let resources = CatalogResources::of(edition, &own.document);
    let (step, mut reports) = own
        .document
        .plan_operations(operations, &resources)
        .map_err(document_error)?;
    if let Some(report) = reports.first_mut() {
        let unfit = own.set.unfit.iter();
        let unfit = unfit.map(|unfit| format!("left out, as it does not fit: {unfit}"));
        report
            .notes
            .extend(unfit.chain(own.set.notes.iter().cloned()));
    }
    Ok(PlannedChange {
        step,
        reports,
        own: Some(own),
    })
}

impl PlannedChange {
    /// Its record, and the document that is stored with it.
    fn record(
        &self,
        checkpoint: Option<&str>,
        renamed: Option<(String, String)>,
    ) -> Result<(RecordedEdit, Option<Arc<PackedDocument>>)> {
        let packed = match &self.own {
            Some(own) => Some(Arc::new(aside(|| PackedDocument::of(&own.text))?)),
            None => None,
        };
        let changes = self.reports.iter().flat_map(|report| &report.changes);
        let clips: BTreeSet<&String> = self
            .reports
            .iter()
            .flat_map(|report| &report.clips)
            .collect();
        let found = RecordedEdit {
            step: Some(RecordedStep {
                step: self.step.clone(),
                changes: changes.cloned().collect(),
                clips: clips.into_iter().cloned().collect(),
                checkpoint: checkpoint.map(str::to_owned),
                base: self.own.as_ref().map(|own| own.base.clone()),
                renamed,
            }),
            ..RecordedEdit::default()
        };
        Ok((found, packed))
    }
}

impl RecordedStep {
    /// The step of a call that added to a document.
    pub(super) fn addition(step: Step) -> Self {
        Self {
            step,
            changes: Vec::new(),
            clips: Vec::new(),
            checkpoint: None,
            base: None,
            renamed: None,
        }
    }

    /// The hash of the document that it starts from, if it starts one.
    pub(super) fn base(&self) -> Option<&str> {
        self.base.as_ref().map(|base| base.document.as_str())
    }
}
