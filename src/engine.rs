//! The engine: create, edit, read and save drafts. Drafts change only in `Engine::edit`.
//!
//! Drafts are held in memory and kept in the journal. A draft is the fold of its calls: a draft that is not in
//! memory, or that another process changed, is read from the journal.

pub(crate) mod backup;
pub(crate) mod documents;
pub(crate) mod draft_files;
pub(crate) mod edit;
mod exclusive;
pub(crate) mod folder_change;
mod held;
pub(crate) mod lengths;
pub(crate) mod marker;
pub(crate) mod moved_paths;
pub(crate) mod package;
pub(crate) mod parts;
pub(crate) mod paths;
pub(crate) mod profile;
pub(crate) mod registry;
pub(crate) mod resources;
pub(crate) mod saving;
pub(crate) mod subtitle;
#[cfg(test)]
mod tests;
pub(crate) mod timeline;
pub(crate) mod timelines;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use capcut_draft::Settings as DraftSettings;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::args::reply::Placed;
use crate::args::{Call, Object};
use crate::caller::{CalledBy, Caller, Manner};
use crate::draft::Draft;
use crate::draft::ids::{DraftId, Ids};
use crate::draft::segment::SegmentContent;
use crate::draft::working::{self, Refreshed};
use crate::engine::documents::{
    DocumentTexts, DraftState, OpenedFrom, RecordedStep, RecordedUndo, RecordedWrite, fold_state,
    properties, undone,
};
use crate::engine::edit::{Edit, EditOutcome, Prepared};
use crate::engine::held::{HeldDraft, HeldDrafts};
use crate::engine::package::cover::Covers;
use crate::engine::package::opened::OpenedState;
use crate::engine::saving::Saves;
use crate::error::{Error, Kind, Result};
use crate::journal::{self, Appended, CallPosition, ENGINE, Journal, NewRecord, Record, Runner};
use crate::media::{Media, MediaStore};
use crate::settings::Settings;
use crate::units::Edition;

/// The engine version in every record. A newer engine folds older records as their version did.
const VERSION: u32 = 2;

/// The tool name in journal records that take calls back.
const TAKE_BACK: &str = "take_back";

/// Maximum attempts of an edit that conflicts with other processes.
const TRIES: usize = 64;

/// The default site for links to drafts, as in the reference API.
pub(crate) const DRAFT_DOMAIN: &str = "https://www.install-ai-guider.top";

/// The prefix of links to drafts at a site.
pub(crate) fn link_at(site: &str) -> String {
    format!("{}/draft/downloader", site.trim_end_matches('/'))
}

/// Further settings of the engine.
#[derive(Clone, Debug)]
pub(crate) struct EngineOptions {
    /// The prefix of links to drafts: site and path.
    pub link: String,
    /// Where drafts are saved if no app on this machine would find them.
    pub data_dir: Option<PathBuf>,
    /// Possible drafts folders of CapCut.
    pub capcut_dirs: Vec<PathBuf>,
    /// Possible drafts folders of JianYing.
    pub jianying_dirs: Vec<PathBuf>,
    /// Maximum size of the drafts in memory.
    pub memory_bytes: usize,
}

impl EngineOptions {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            link: link_at(DRAFT_DOMAIN),
            data_dir: settings.data_dir().ok().map(Path::to_owned),
            capcut_dirs: settings.drafts_dirs(Edition::Capcut).to_owned(),
            jianying_dirs: settings.drafts_dirs(Edition::Jianying).to_owned(),
            memory_bytes: 64 << 20,
        }
    }
}

/// How many states of opened documents are kept for their next saves.
const OPENED_STATES: usize = 32;

/// The drafts, and what is needed to create and save them.
pub(crate) struct Engine {
    edition: Edition,
    media: MediaStore,
    journal: Arc<Journal>,
    options: EngineOptions,
    drafts: HeldDrafts,
    saves: Saves,
    /// This process as other processes see it.
    runner: Arc<Runner>,
    covers: Arc<Covers>,
    /// By the hash of the document: the saves of a draft need the same one.
    opened_states: Cache<String, Arc<OpenedState>>,
}

/// A draft to be created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NewDraft {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Canvas width in pixels.
    pub width: f64,
    /// Canvas height in pixels.
    pub height: f64,
    #[serde(default)]
    pub edition: Edition,
    /// Frame rate, magnet, cover and markers.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub settings: Box<DraftSettings>,
}

fn is_usual(settings: &DraftSettings) -> bool {
    *settings == DraftSettings::default()
}

/// The draft that a call is for: an existing one, or one that the call creates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallTarget<'a> {
    pub draft: Option<&'a DraftId>,
    /// Canvas of a new draft, in pixels.
    pub width: f64,
    /// Canvas of a new draft, in pixels.
    pub height: f64,
}

/// What a call needs to know about its draft before it is applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canvas {
    pub width: f64,
    pub height: f64,
    pub edition: Edition,
}

/// What the journal stores of a call, so that it can be applied again.
#[derive(Debug, Default, Serialize, Deserialize)]
struct RecordedEdit {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    create: Option<NewDraft>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edit: Option<Edit>,
    /// Properties of the clips that the edit adds, as `set` takes them.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    properties: Object,
    /// The draft was opened from a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<OpenedFrom>,
    /// An edit of a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<RecordedStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undo: Option<RecordedUndo>,
    /// A save into the folder that the draft was opened from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    write: Option<RecordedWrite>,
    /// The run of a plan that the call belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Arc<str>>,
    /// Who made the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Arc<CalledBy>>,
}

impl RecordedEdit {
    /// What is recorded of every call.
    fn of(call: &Call) -> Self {
        Self {
            run: call.caller.run.clone(),
            by: call.caller.by.clone(),
            ..Self::default()
        }
    }

    /// The hash of the document that it needs from the journal.
    fn document(&self) -> Option<&str> {
        let opened = self.open.as_ref().map(|open| open.document.as_str());
        opened.or_else(|| self.step.as_ref()?.base())
    }

    /// The first engine version that applies it completely.
    fn version(&self) -> u32 {
        let is_filter = matches!(
            &self.edit,
            Some(Edit::Place(place)) if matches!(place.content, SegmentContent::Filter(_))
        );
        if self.properties.is_empty() && !is_filter {
            1
        } else {
            VERSION
        }
    }

    /// Checks the edit against the current draft, and creates everything that it adds.
    fn prepare(&self, edit: &Edit, draft: &Draft, ids: &mut Ids) -> Result<Prepared> {
        let mut prepared = edit.prepare(draft, ids)?;
        prepared.set_properties(&self.properties);
        Ok(prepared)
    }

    /// Whether the draft must be built again, because it changes more than the end of the draft.
    fn rebuilds(&self) -> bool {
        matches!(self.edit, Some(Edit::TakeBack(_)))
            || self.undo.is_some()
            || self.document().is_some()
    }
}

/// An edit that was checked, and can be applied.
enum PlannedEdit {
    /// Of the compact form.
    Own(Box<Prepared>),
    /// Of the document that the draft became.
    Document(capcut_draft::Step),
}

impl Engine {
    /// Creates an engine. Does no I/O.
    pub(crate) fn new(
        edition: Edition,
        media: MediaStore,
        journal: Arc<Journal>,
        options: EngineOptions,
    ) -> Self {
        Self {
            edition,
            media,
            runner: Arc::new(Runner::new(&journal)),
            journal,
            drafts: HeldDrafts::new(options.memory_bytes),
            options,
            saves: Saves::default(),
            covers: Arc::default(),
            opened_states: Cache::new(OPENED_STATES),
        }
    }

    /// An engine with the same journal whose new drafts are for another app.
    pub(crate) fn for_edition(self: &Arc<Self>, edition: Edition) -> Arc<Self> {
        if edition == self.edition {
            return Arc::clone(self);
        }
        let (media, journal) = (self.media.clone(), Arc::clone(&self.journal));
        Arc::new(Self::new(edition, media, journal, self.options.clone()))
    }

    /// The app that new drafts are for, and whose effects are listed.
    pub(crate) fn edition(&self) -> Edition {
        self.edition
    }

    /// The media that a caller may read.
    pub(crate) fn media(&self, caller: &Caller) -> Media {
        self.media.of(caller)
    }

    /// This process as other processes see it.
    pub(crate) fn runner(&self) -> Arc<Runner> {
        Arc::clone(&self.runner)
    }

    /// The prefix of links to drafts.
    pub(crate) fn link_prefix(&self) -> &String {
        &self.options.link
    }

    /// The link to a draft that the API returns.
    pub(crate) fn link(&self, draft: &DraftId) -> String {
        let flag = u8::from(self.edition == Edition::Capcut);
        format!("{}?draft_id={draft}&is_capcut={flag}", self.options.link)
    }

    /// The link that `generate_draft_url` returns. The name of its parameter is missing, as in the API.
    pub(crate) fn download_link(&self, draft: &DraftId) -> String {
        format!("{}?={draft}", self.options.link)
    }

    /// Creates an empty draft.
    pub(crate) async fn create(&self, new: NewDraft, call: &Call) -> Result<DraftId> {
        let Some(fence) = &call.caller.fence else {
            return self.create_as(&new_id(), new, call).await;
        };
        let of_job = DraftId::of_job(&fence.job, fence.part);
        match self.create_as(&of_job, new.clone(), call).await {
            // The job makes another draft, or one in the place of a draft that was deleted.
            Err(error) if error.kind == Kind::Conflict => {
                self.create_as(&new_id(), new, call).await
            }
            created => created,
        }
    }

    /// Creates an empty draft with an id of the caller's choice; an error if the id is invalid or exists.
    pub(crate) async fn create_as(
        &self,
        id: &DraftId,
        new: NewDraft,
        call: &Call,
    ) -> Result<DraftId> {
        if DraftId::of_server(id.as_str()).is_none() {
            return Err(Error::invalid(format!(
                "`draft_id`: {:?} cannot be the id of a draft",
                id.as_str()
            ))
            .hint("an id is 1 to 200 bytes of letters, digits, `_`, `-` and `.`, and does not begin with a dot"));
        }
        let found = RecordedEdit {
            create: Some(new),
            by: call.caller.by.clone(),
            ..RecordedEdit::default()
        };
        let placed = self.open(id.clone(), found, call).await?;
        Ok(placed.draft_id)
    }

    /// Canvas and edition of the draft that a call is for. Reports an unknown draft before any slow work.
    pub(crate) async fn canvas(&self, target: CallTarget<'_>) -> Result<Canvas> {
        if let Some(id) = target.draft {
            // These values never change, so edits of other processes need not be read.
            let held = self.hold(id).await?;
            let draft = &held.lock().draft;
            return Ok(Canvas {
                width: draft.width,
                height: draft.height,
                edition: draft.edition,
            });
        }
        check_canvas(target.width, target.height)?;
        Ok(Canvas {
            width: target.width,
            height: target.height,
            edition: self.edition,
        })
    }

    /// Applies an edit: checks it, appends it to the journal, then changes the draft. A failed edit changes
    /// nothing; if it would have created the draft, the draft is not created.
    pub(crate) async fn edit(
        &self,
        target: CallTarget<'_>,
        call: &Call,
        edit: Edit,
    ) -> Result<Placed> {
        let Some(id) = target.draft else {
            let new = NewDraft {
                name: None,
                note: None,
                width: target.width,
                height: target.height,
                edition: self.edition,
                settings: Box::default(),
            };
            let found = RecordedEdit {
                create: Some(new),
                edit: Some(edit),
                properties: call.normalized.properties.clone(),
                by: call.caller.by.clone(),
                ..RecordedEdit::default()
            };
            return self.open(new_id(), found, call).await;
        };
        let held = self.hold(id).await?;
        // Edits of a draft run in the order of their arrival.
        let _turn = held.turn().await;
        let found = RecordedEdit {
            edit: Some(edit),
            properties: call.normalized.properties.clone(),
            ..RecordedEdit::of(call)
        };
        for _ in 0..TRIES {
            let (prepared, placed, record, sequence) = match self.prepare(&held, &found, call) {
                Ok(prepared) => prepared,
                // Another process may have added what is missing.
                Err(error) => {
                    if self.catch_up(&held).await? {
                        continue;
                    }
                    return Err(error);
                }
            };
            let at = CallPosition::Sequence(sequence);
            match self.journal.append(ENGINE, id, &record, at).await {
                Ok(Appended::Done(_) | Appended::Already(_)) => {
                    let mut state = held.lock();
                    // A reader that caught up in the meantime may have applied it from the journal.
                    let applied = if state.draft.sequence == sequence {
                        state.draft.sequence += 1;
                        prepared.commit(&mut state)
                    } else {
                        Ok(())
                    };
                    let bytes = state.bytes();
                    drop(state);
                    if let Err(error) = applied {
                        // The journal has the call; the draft is read from it again.
                        self.drafts.forget(id);
                        return Err(error);
                    }
                    self.drafts.resized(&held, bytes);
                    return Ok(placed);
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

    /// The prepared edit, its record, and the record's sequence number.
    fn prepare(
        &self,
        held: &HeldDraft,
        found: &RecordedEdit,
        call: &Call,
    ) -> Result<(PlannedEdit, Placed, NewRecord, u64)> {
        let mut state = held.lock();
        let Some(edit) = &found.edit else {
            return Err(Error::internal("the call has no edit"));
        };
        let internal = matches!(edit, Edit::Learn(_) | Edit::Folder(_));
        if !internal {
            as_seen(call, &state.draft.id, state.draft.sequence)?;
        }
        if state.document.is_some() && !internal {
            let (step, outcome) = documents::add(&mut state, found, edit, call.tool)?;
            let placed = reply(&state.draft.id, None, &outcome);
            let found = RecordedEdit {
                step: Some(RecordedStep::addition(step.clone())),
                ..RecordedEdit::of(call)
            };
            let record = NewRecord::of(call, Some(&found), &placed, found.version())?;
            return Ok((
                PlannedEdit::Document(step),
                placed,
                record,
                state.draft.sequence,
            ));
        }
        let draft = &state.draft;
        let ids = &mut Ids::new(&draft.id, draft.sequence);
        let mut prepared = found.prepare(edit, draft, ids)?;
        properties::check(draft, &mut prepared)?;
        let placed = reply(&draft.id, None, &prepared.outcome);
        let record = NewRecord {
            internal,
            ..NewRecord::of(call, Some(found), &placed, found.version())?
        };
        Ok((
            PlannedEdit::Own(Box::new(prepared)),
            placed,
            record,
            draft.sequence,
        ))
    }

    /// Reads the compact form of the current draft, including edits of other processes.
    pub(crate) async fn read<T>(&self, id: &DraftId, read: impl FnOnce(&Draft) -> T) -> Result<T> {
        let held = self.hold(id).await?;
        self.catch_up(&held).await?;
        let state = held.lock();
        Ok(read(&state.draft))
    }

    /// The working document. With `refresh`, or for strict callers, everything is current. Otherwise, files and
    /// lengths that were not refreshed yet are as requested, as in the API.
    pub(crate) async fn script(&self, id: &DraftId, refresh: bool, strict: bool) -> Result<String> {
        let held = self.hold(id).await?;
        self.catch_up(&held).await?;
        aside(|| {
            let state = held.lock();
            if let Some(document) = &state.document {
                return Ok(String::from_utf8_lossy(&document.write()).into_owned());
            }
            let draft = &state.draft;
            if refresh {
                *held.refreshed() = refreshed_now(draft);
            }
            let refreshed = *held.refreshed();
            let text = if refresh || strict {
                working::write(draft)
            } else {
                working::write_unrefreshed(draft, refreshed)
            };
            properties::written(draft, text).map(|written| written.text)
        })
    }

    /// Creates a draft, with its first edit if there is one, as one record.
    async fn open(&self, id: DraftId, found: RecordedEdit, call: &Call) -> Result<Placed> {
        let Some(new) = &found.create else {
            return Err(Error::internal("a new draft has no parameters"));
        };
        check_canvas(new.width, new.height)?;
        let mut draft = empty(&id, new);
        let outcome = match &found.edit {
            Some(edit) => {
                let mut prepared = found.prepare(edit, &draft, &mut Ids::new(&id, 0))?;
                properties::check(&draft, &mut prepared)?;
                let outcome = prepared.outcome.clone();
                prepared.commit(&mut draft);
                outcome
            }
            None => EditOutcome::default(),
        };
        let placed = reply(&id, Some(true), &outcome);
        let row = crate::journal::NewDraftRow {
            origin: ENGINE.to_owned(),
            id: id.clone(),
            name: new.name.clone().unwrap_or_default(),
            edition: new.edition.name().to_owned(),
            reason: String::new(),
        };
        let record = NewRecord::of(call, Some(&found), &placed, found.version())?;
        self.journal.create(&row, &record).await?;
        self.drafts.insert(DraftState::of(draft), NOT_REFRESHED);
        Ok(placed)
    }

    /// Whether a draft is in memory.
    pub(crate) fn holds(&self, id: &DraftId) -> bool {
        self.drafts.get(id).is_some()
    }

    async fn hold(&self, id: &DraftId) -> Result<Arc<HeldDraft>> {
        if let Some(held) = self.drafts.get(id) {
            return Ok(held);
        }
        let state = self.fold(id).await?;
        let refreshed = refreshed_now(&state.draft);
        Ok(self.drafts.insert(state, refreshed))
    }

    /// Builds a draft from its calls.
    async fn fold(&self, id: &DraftId) -> Result<DraftState> {
        if self.journal.last_sequence(ENGINE, id).await?.is_none() {
            return Err(match self.journal.find(id).await? {
                Some(row) if row.deleted_ms.is_some() => {
                    Error::not_found(format!("draft {id} is in the trash"))
                        .hint("restore it, or make a new one with `create_draft`")
                }
                Some(row) if row.origin != ENGINE => Error::not_found(format!(
                    "draft {id} is kept by the API at {}, not by the engine",
                    row.origin
                )),
                _ => journal::unknown(id),
            });
        }
        let founds = self.founds(id, 0).await?;
        self.folded(id, &founds).await
    }

    /// Builds a draft from the stored data of its calls.
    async fn folded(&self, id: &DraftId, founds: &[RecordedEdit]) -> Result<DraftState> {
        let mut texts = DocumentTexts::new();
        for hash in founds.iter().filter_map(RecordedEdit::document) {
            if !texts.contains_key(hash)
                && let Some(packed) = self.journal.document(hash).await?
            {
                texts.insert(hash.to_owned(), aside(|| packed.text())?);
            }
        }
        aside(|| fold_state(id, founds, &texts))
    }

    /// Puts a draft that was built again in the place of its earlier state.
    fn replace(&self, held: &HeldDraft, state: DraftState) {
        *held.refreshed() = refreshed_now(&state.draft);
        let bytes = state.bytes();
        *held.lock() = state;
        self.drafts.resized(held, bytes);
    }

    /// The stored data of a draft's calls, from a sequence number on.
    async fn founds(&self, id: &DraftId, from: u64) -> Result<Vec<RecordedEdit>> {
        self.journal
            .records(ENGINE, id, from)
            .await?
            .iter()
            .map(|record| found(id, record))
            .collect()
    }

    /// Takes calls of a draft back, as if they had never been made. Fails and changes nothing if other calls
    /// depend on them.
    pub(crate) async fn take_back(
        &self,
        id: &DraftId,
        calls: BTreeSet<u64>,
        caller: &Caller,
    ) -> Result<()> {
        if calls.is_empty() {
            return Ok(());
        }
        let held = self.hold(id).await?;
        let _turn = held.turn().await;
        if held.lock().document.is_some() {
            return Err(Error::conflict(format!(
                "calls of draft {id} cannot be taken back, as it was edited since"
            ))
            .hint("undo the edits with `undo_draft`, or change the draft with `edit_draft`"));
        }
        let mut arguments = Object::new();
        arguments.insert("draft_id".to_owned(), id.as_str().into());
        arguments.insert("calls".to_owned(), calls.iter().copied().collect());
        let call = Call {
            tool: TAKE_BACK,
            arguments,
            caller: caller.clone(),
            normalized: crate::args::normalize::Normalized::default(),
        };
        for _ in 0..TRIES {
            let founds = self.founds(id, 0).await?;
            let mut without = taken_back(&founds);
            without.extend(undone(&founds));
            without.extend(&calls);
            let mut draft = fold(id, &founds, &without).map_err(|error| {
                Error::conflict(format!(
                    "calls of draft {id} cannot be taken back, as other calls depend on them: {}",
                    error.message
                ))
            })?;
            let found = RecordedEdit {
                edit: Some(Edit::TakeBack(calls.clone())),
                ..RecordedEdit::default()
            };
            let placed = reply(id, None, &EditOutcome::default());
            let record = NewRecord {
                internal: true,
                ..NewRecord::of(&call, Some(&found), &placed, found.version())?
            };
            let at = CallPosition::Sequence(draft.sequence);
            match self.journal.append(ENGINE, id, &record, at).await {
                Ok(Appended::Done(_) | Appended::Already(_)) => {
                    draft.sequence += 1;
                    self.replace(&held, DraftState::of(draft));
                    return Ok(());
                }
                Ok(Appended::Conflict) => {}
                Err(error) => {
                    self.drafts.forget(id);
                    return Err(error);
                }
            }
        }
        Err(changing(id))
    }

    /// Applies what other processes added; returns whether there was anything.
    async fn catch_up(&self, held: &HeldDraft) -> Result<bool> {
        let (id, sequence) = {
            let draft = &held.lock().draft;
            (draft.id.clone(), draft.sequence)
        };
        let Some(last) = self.journal.last_sequence(ENGINE, &id).await? else {
            self.drafts.forget(&id);
            return Err(self
                .fold(&id)
                .await
                .err()
                .unwrap_or_else(|| Error::not_found(format!("draft {id} was just deleted"))));
        };
        if last + 1 == sequence {
            return Ok(false);
        }
        if last + 1 < sequence {
            // The journal was restored from a copy and takes precedence.
            let folded = self.fold(&id).await?;
            let mut state = held.lock();
            if state.draft.sequence == sequence {
                *state = folded;
            }
            return Ok(true);
        }
        let founds = self.founds(&id, sequence).await?;
        if founds.iter().any(RecordedEdit::rebuilds) {
            let folded = self.fold(&id).await?;
            let mut state = held.lock();
            if state.draft.sequence < folded.draft.sequence {
                *state = folded;
            }
            return Ok(true);
        }
        aside(|| {
            let mut state = held.lock();
            for (found, place) in founds.iter().zip(sequence..) {
                // An edit or another reader may have applied a call in the meantime.
                if place == state.draft.sequence {
                    state.apply(found)?;
                }
            }
            Ok(true)
        })
    }
}

/// Runs work that takes milliseconds; on a multi-thread runtime, other calls continue.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Builds a draft from its calls, skipping those in `without`.
fn fold(id: &DraftId, founds: &[RecordedEdit], without: &BTreeSet<u64>) -> Result<Draft> {
    let Some((first, rest)) = founds.split_first() else {
        return Err(Error::internal(format!(
            "the journal has no calls of draft {id}"
        )));
    };
    let new = first.create.as_ref().ok_or_else(|| {
        Error::internal(format!("the first call of draft {id} does not create it"))
    })?;
    let mut draft = empty(id, new);
    draft.sequence = 0;
    for found in std::iter::once(first).chain(rest) {
        if without.contains(&draft.sequence) {
            // Its sequence number stays used, as the ids of other calls depend on theirs.
            draft.sequence += 1;
        } else {
            apply(&mut draft, found)?;
        }
    }
    Ok(draft)
}

impl PlannedEdit {
    fn commit(self, state: &mut DraftState) -> Result<()> {
        match self {
            Self::Own(prepared) => {
                prepared.commit(&mut state.draft);
                Ok(())
            }
            Self::Document(step) => state.apply_step(&step),
        }
    }
}

/// The calls that later calls have taken back.
fn taken_back(founds: &[RecordedEdit]) -> BTreeSet<u64> {
    founds
        .iter()
        .filter_map(|found| match &found.edit {
            Some(Edit::TakeBack(calls)) => Some(calls),
            _ => None,
        })
        .flatten()
        .copied()
        .collect()
}

/// The user's calls that make up a draft: without those that were taken back, and without internal ones, such
/// as lengths learned during a save.
pub(crate) fn standing(records: Vec<Record>) -> Vec<Record> {
    let mut gone: BTreeSet<u64> = BTreeSet::new();
    for record in &records {
        if takes_back(record) {
            gone.insert(record.sequence);
            let calls = record.arguments["calls"].as_array().into_iter().flatten();
            gone.extend(calls.filter_map(serde_json::Value::as_u64));
        }
        if let Some(undo) = undo_of(record) {
            gone.insert(record.sequence);
            gone.extend(undo.undo);
            for sequence in undo.redo {
                gone.remove(&sequence);
            }
        }
    }
    records
        .into_iter()
        .filter(|record| !record.internal && !gone.contains(&record.sequence))
        .collect()
}

/// What an undo took or brought back; `None` for other records.
fn undo_of(record: &Record) -> Option<RecordedUndo> {
    let found = record
        .found
        .as_deref()
        .filter(|found| found.contains("\"undo\""))?;
    serde_json::from_str::<RecordedEdit>(found).ok()?.undo
}

/// Whether a record opens or edits a document, which no server can repeat.
pub(crate) fn edits_document(record: &Record) -> bool {
    let is_edit = |found: &&str| found.contains("\"open\"") || found.contains("\"step\"");
    let found = record.found.as_deref().filter(is_edit);
    let read = found.and_then(|found| serde_json::from_str::<RecordedEdit>(found).ok());
    read.is_some_and(|found| found.open.is_some() || found.step.is_some())
}

/// The run of a plan that a call belongs to.
pub(crate) fn run_of(record: &Record) -> Option<Arc<str>> {
    let found = record.found.as_deref()?;
    let read = serde_json::from_str::<RecordedEdit>(found).ok()?;
    read.run
}

/// The short ids of the clips that an edit changed.
pub(crate) fn clips_of(record: &Record) -> Vec<String> {
    let found = record.found.as_deref();
    let read = found.and_then(|found| serde_json::from_str::<RecordedEdit>(found).ok());
    let step = read.and_then(|found| found.step);
    step.map_or_else(Vec::new, |step| step.clips)
}

/// Whether a record takes earlier calls back.
pub(crate) fn takes_back(record: &Record) -> bool {
    record.tool == TAKE_BACK || undo_of(record).is_some()
}

fn changing(id: &DraftId) -> Error {
    Error::new(
        Kind::Busy,
        format!("draft {id} keeps being changed by other processes"),
    )
    .hint("try again")
}

/// Refuses a change by a caller who read an earlier state of the draft than the one with this many records.
fn as_seen(call: &Call, id: &DraftId, records: u64) -> Result<()> {
    match call.caller.seen {
        Some(seen) if seen != records => Err(Error::conflict(format!(
            "draft {id} was changed since it was read: nothing of this change was applied"
        ))
        .hint("look at the draft as it is now, then make the change again")),
        _ => Ok(()),
    }
}

fn new_id() -> DraftId {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    DraftId::make(since.unwrap_or_default().as_secs(), fastrand::u32(..))
}

fn empty(id: &DraftId, new: &NewDraft) -> Draft {
    Draft {
        id: id.clone(),
        edition: new.edition,
        name: new.name.as_deref().map(Into::into),
        note: new.note.as_deref().map(Into::into),
        width: new.width,
        height: new.height,
        settings: new.settings.clone(),
        tracks: Vec::new(),
        media: Vec::new(),
        sequence: 1,
        made: 0,
    }
}

/// Nothing of a new draft was refreshed.
const NOT_REFRESHED: Refreshed = Refreshed {
    media: 0,
    segments: 0,
    call: 0,
};

fn refreshed_now(draft: &Draft) -> Refreshed {
    Refreshed {
        media: draft.media.len(),
        segments: draft.made,
        call: draft.sequence,
    }
}

fn check_canvas(width: f64, height: f64) -> Result<()> {
    for (name, value) in [("width", width), ("height", height)] {
        if !(value.is_finite() && (1.0..=65_536.0).contains(&value)) {
            let value = if value.is_nan() {
                "the value".to_owned()
            } else {
                value.to_string()
            };
            return Err(
                Error::invalid(format!("`{name}`: {value} is not a number of pixels"))
                    .hint("a canvas is 1 to 65536 pixels wide and high, such as 1080 and 1920"),
            );
        }
    }
    Ok(())
}

fn apply(draft: &mut Draft, found: &RecordedEdit) -> Result<()> {
    if let Some(edit) = &found.edit {
        found
            .prepare(edit, draft, &mut Ids::new(&draft.id, draft.sequence))?
            .commit(draft);
    }
    draft.sequence += 1;
    Ok(())
}

fn found(id: &DraftId, record: &Record) -> Result<RecordedEdit> {
    if record.engine_version > VERSION {
        return Err(Error::new(
            Kind::Unavailable,
            format!(
                "draft {id} was edited by a newer capcut-mcp: call {} has engine version {}, but this capcut-mcp supports versions up to {VERSION}",
                record.sequence, record.engine_version
            ),
        )
        .hint("use the newer capcut-mcp for this draft, or make a new one with `create_draft`")
        .lasting());
    }
    let Some(found) = &record.found else {
        return Ok(RecordedEdit::default());
    };
    serde_json::from_str(found).map_err(|error| {
        Error::internal(format!(
            "call {} of draft {id}, written by engine version {}, cannot be read by version {VERSION}",
            record.sequence, record.engine_version
        ))
        .source(error)
    })
}

fn reply(id: &DraftId, created: Option<bool>, outcome: &EditOutcome) -> Placed {
    Placed {
        draft_id: id.clone(),
        created,
        track: outcome.track.clone(),
        segment_id: outcome.segment.map(|id| id.to_string()),
        start: outcome.range.map(|range| range.start.seconds()),
        end: outcome.range.map(|range| range.end().seconds()),
        count: outcome.count,
        backend: None,
        notes: outcome.notes.clone(),
    }
}

/// Whether a call comes from a strict caller.
pub(crate) fn is_strict(call: &Call) -> bool {
    call.caller.manner == Manner::Strict
}
