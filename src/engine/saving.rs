//! Saving drafts, and the progress of saves for `query_draft_status`.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capcut_draft::field::root;
use capcut_draft::{Dialect, Document, RootRef};
use serde::{Deserialize, Serialize};

use crate::args::Call;
use crate::caller::{Caller, Manner};
use crate::draft::Draft;
use crate::draft::ids::{DraftId, Id};
use crate::draft::material::MediaKind;
use crate::draft::segment::{Segment, SegmentContent};
use crate::draft::working;
use crate::engine::documents::properties;
use crate::engine::documents::{OpenedFrom, RecordedWrite, document_error, lacks};
use crate::engine::edit::{Edit, EditOutcome, Learnt};
use crate::engine::marker::PlanOrigin;
use crate::engine::package::existing::Terms;
use crate::engine::package::opened::back::PreparedSave;
use crate::engine::package::opened::copy::CopyRequest;
use crate::engine::package::opened::{self, OpenedState, OpenedSubject};
use crate::engine::package::{self, SaveRequest, SavedPackage, Subject, WhileRunning};
use crate::engine::profile::{AppOs, Profile, own_os};
use crate::engine::timeline;
use crate::engine::{CallTarget, Engine, RecordedEdit, VERSION, aside, changing, registry, reply};
use crate::error::{Error, Result};
use crate::journal::{
    self, Appended, CallPosition, ENGINE, Journal, NewRecord, Runner, document_hash,
};
use crate::progress::Bytes;
use crate::settings::Os;
use crate::units::Edition;

/// Maximum number of saves whose progress is remembered.
const MAX_SAVES: usize = 1000;

/// How often the progress of a save is published to other processes.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// The progress of a save.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SaveProgress {
    pub state: SaveState,
    /// The current step, or the error.
    pub message: String,
    /// From 0 to 100.
    pub percent: u64,
    pub files_done: u64,
    pub files: u64,
    /// As `percent`, including parts of unfinished files.
    #[serde(skip)]
    pub exact: f64,
    /// Bytes of the files, if any had to be fetched.
    #[serde(skip)]
    pub bytes: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SaveState {
    Processing,
    Completed,
    Failed,
}

impl SaveState {
    /// The API's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// The last saves of this process.
#[derive(Default)]
pub(crate) struct Saves {
    last: Mutex<Last>,
}

/// Allows one save at a time per draft: two would write the same folder.
type Gate = Arc<tokio::sync::Mutex<()>>;

#[derive(Default)]
struct Last {
    /// The plans of drafts that are about to be saved.
    origins: HashMap<DraftId, PlanOrigin>,
    gates: HashMap<DraftId, Gate>,
    by_draft: HashMap<DraftId, SaveProgress>,
    order: VecDeque<DraftId>,
}

impl Saves {
    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, draft: &DraftId, progress: SaveProgress) {
        let mut last = self.lock();
        if last.by_draft.insert(draft.clone(), progress).is_none() {
            last.order.push_back(draft.clone());
            if last.order.len() > MAX_SAVES
                && let Some(oldest) = last.order.pop_front()
            {
                last.by_draft.remove(&oldest);
            }
        }
    }

    fn made_of(&self, draft: &DraftId, origin: PlanOrigin) {
        self.lock().origins.insert(draft.clone(), origin);
    }

    /// The plan that the draft is saved for now, if any.
    fn origin(&self, draft: &DraftId) -> PlanOrigin {
        self.lock().origins.remove(draft).unwrap_or_default()
    }

    fn gate(&self, draft: &DraftId) -> Gate {
        let mut last = self.lock();
        // Unused gates are removed, and recreated when needed.
        last.gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        last.gates.entry(draft.clone()).or_default().clone()
    }

    pub(crate) fn get(&self, draft: &DraftId) -> Option<SaveProgress> {
        self.lock().by_draft.get(draft).cloned()
    }
}

/// A save as other processes see it, in the journal.
#[derive(Clone)]
struct Journalled {
    journal: Arc<Journal>,
    runner: Arc<Runner>,
    draft: DraftId,
    /// Microseconds since 1970.
    begun: i64,
}

/// What the journal stores about a draft's last save.
#[derive(Debug, Serialize, Deserialize)]
struct LastSave {
    begun: i64,
    runner: String,
    progress: SaveProgress,
}

impl LastSave {
    fn key(draft: &DraftId) -> String {
        format!("save_{draft}")
    }

    async fn read(journal: &Journal, draft: &DraftId) -> Result<Option<Self>> {
        let row = journal.job_get(&Self::key(draft)).await?;
        Ok(row.and_then(|row| serde_json::from_str(&row.state).ok()))
    }

    /// A running save whose process has ended is reported as failed.
    fn seen(mut self, runner: &Runner) -> SaveProgress {
        if self.progress.state == SaveState::Processing && !runner.is_there(&self.runner) {
            self.progress.state = SaveState::Failed;
            "Failed to save draft: interrupted, as the process that saved it ended; save it again"
                .clone_into(&mut self.progress.message);
        }
        self.progress
    }
}

impl Journalled {
    /// If two processes save a draft at the same time, the journal keeps the save that began later.
    async fn put(&self, progress: &SaveProgress) {
        if let Err(error) = self.try_put(progress).await {
            tracing::warn!(draft = %self.draft, %error, "the progress of the save could not be published to other processes");
        }
    }

    async fn try_put(&self, progress: &SaveProgress) -> Result<()> {
        let last = LastSave::read(&*self.journal, &self.draft).await?;
        if last.is_some_and(|last| last.begun > self.begun) {
            return Ok(());
        }
        let state = LastSave {
            begun: self.begun,
            runner: self.runner.name().to_owned(),
            progress: progress.clone(),
        };
        let state = serde_json::to_string(&state)
            .map_err(|e| Error::internal("a save's state cannot be written as JSON").source(e))?;
        let row = journal::JobRecord {
            id: LastSave::key(&self.draft),
            kind: "save".to_owned(),
            draft: Some(self.draft.clone()),
            state,
            // Lets old rows be removed, including those of interrupted saves.
            finished: true,
            pid: std::process::id(),
            updated_ms: 0,
        };
        self.journal.job_put(&row).await
    }

    /// Publishes the progress of the save periodically.
    async fn follow(&self, saves: &Saves) -> Infallible {
        let mut told = saves.get(&self.draft);
        loop {
            tokio::time::sleep(TOLD_EVERY).await;
            let now = saves.get(&self.draft);
            if let Some(progress) = now.as_ref().filter(|_| now != told) {
                self.put(progress).await;
            }
            told = now;
        }
    }
}

/// A running save: if it is dropped before its end, it was cancelled and is reported as failed.
struct Unfinished<'a> {
    saves: &'a Saves,
    save: Option<Journalled>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(save) = self.save.take()
            && let Some(last) = self.saves.get(&save.draft)
        {
            let progress = SaveProgress {
                state: SaveState::Failed,
                message: "Failed to save draft: the save was cancelled".to_owned(),
                ..last
            };
            self.saves.set(&save.draft, progress.clone());
            // If the process ends before this is written, others notice that the process is gone.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { save.put(&progress).await });
            }
        }
    }
}

/// How and where a call requests a draft to be saved.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are options of a call")]
pub(crate) struct SaveWish {
    /// A drafts folder, of this machine or of another.
    pub folder: Option<String>,
    /// If no folder is given, the draft is saved in this program's own folder, not the app's.
    pub own_folder: bool,
    /// Default: the draft's own name.
    pub name: Option<String>,
    pub target_os: Option<AppOs>,
    pub target_folder: Option<String>,
    /// The draft is for an unknown other machine.
    pub portable: bool,
    pub profile: Option<String>,
    pub app_version: Option<String>,
    pub overwrite: bool,
    pub zip: bool,
    pub while_running: WhileRunning,
}

impl SaveWish {
    /// Whether an opened draft is copied instead of saved into its own folder.
    fn is_copy(&self, from: &OpenedFrom) -> bool {
        self.name.is_some() || self.folder.is_some() || from.copied.is_some()
    }

    /// An opened draft stays a draft of its app on its system.
    fn refuse_for_opened(&self, id: &DraftId, from: &OpenedFrom) -> Result<()> {
        let given = [
            ("portable", self.portable),
            ("target_os", self.target_os.is_some()),
            ("target_folder", self.target_folder.is_some()),
            ("app_version", self.app_version.is_some()),
            ("draft_profile", self.profile.is_some()),
            ("zip", self.zip),
        ];
        let given: Vec<String> = given
            .into_iter()
            .filter(|(_, is_given)| *is_given)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if given.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} cannot be used with draft {id}, which was opened from {}: it is saved as the draft of {} that it was",
            given.join(", "),
            from.path().display(),
            from.edition.app()
        ))
        .hint("leave these arguments out; for another machine, copy the folder there with its media"))
    }
}

/// Where the folder is created, and the machine whose paths are written into it.
struct SaveDestination {
    drafts: PathBuf,
    target: Option<package::TargetMachine>,
    note: Option<String>,
}

impl Engine {
    /// Saves a draft as a folder that the app can open, and records the progress and the result.
    pub(crate) async fn save(
        &self,
        id: &DraftId,
        wish: SaveWish,
        call: &Call,
        listener: &(dyn Fn(&SaveProgress) + Send + Sync),
    ) -> Result<SavedPackage> {
        let folder = crate::args::folder(wish.folder.as_deref())?;
        // An unknown draft must not get an entry for a save.
        self.read(id, |_| ()).await?;
        let gate = self.saves.gate(id);
        let _alone = gate.lock().await;
        let tell_exactly = |progress: SaveProgress| {
            listener(&progress);
            self.saves.set(id, progress);
        };
        let tell = |state, message: String, percent: u64, files_done, files| {
            tell_exactly(SaveProgress {
                state,
                message,
                percent,
                files_done,
                files,
                exact: percent as f64,
                bytes: None,
            });
        };
        tell(
            SaveState::Processing,
            "Updating media file metadata".to_owned(),
            5,
            0,
            0,
        );
        let save = Journalled {
            journal: Arc::clone(&self.journal),
            runner: Arc::clone(&self.runner),
            draft: id.clone(),
            begun: package::now(),
        };
        let mut unfinished = Unfinished {
            saves: &self.saves,
            save: Some(save.clone()),
        };
        if let Some(progress) = self.saves.get(id) {
            save.put(&progress).await;
        }
        let work = async {
            if let Some(from) = self.opened(id).await?
                && !(wish.is_copy(&from)
                    && self.inspect(id, Document::dialect).await? == Dialect::Api)
            {
                let saved = self
                    .save_opened(id, from, &wish, folder.as_deref(), call)
                    .await?;
                self.journal
                    .set_saved(ENGINE, id, &saved.folder.to_string_lossy())
                    .await?;
                return Ok(saved);
            }
            let learnt = self.learn(id, call).await?;
            let (draft, mut subject) = self.subject(id).await?;
            subject.notes.extend(learnt);
            *self.hold(id).await?.refreshed() = crate::engine::refreshed_now(&draft);
            let (request, note) = self
                .request(&draft, &wish, folder.as_deref(), &call.caller)
                .await?;
            let mut saved = package::save_document(
                subject,
                &request,
                &self.media(&call.caller),
                &self.covers,
                &|step| {
                    let percent = (60 * step.files_done)
                        .checked_div(step.files)
                        .map_or(70, |part| 10 + part);
                    let message = if step.files_done < step.files {
                        format!("Downloaded {}/{} files", step.files_done, step.files)
                    } else {
                        "Saving draft information".to_owned()
                    };
                    tell_exactly(SaveProgress {
                        state: SaveState::Processing,
                        message,
                        percent,
                        files_done: step.files_done,
                        files: step.files,
                        exact: if step.files_done < step.files {
                            10.0 + 60.0 * (step.files_done as f64 + step.part) / step.files as f64
                        } else {
                            percent as f64
                        },
                        bytes: (step.files > 0).then_some(step.bytes),
                    });
                },
            )
            .await?;
            saved.notes.extend(note);
            if let Some(folder) = folder {
                let target = CallTarget {
                    draft: Some(id),
                    width: 0.0,
                    height: 0.0,
                };
                self.edit(target, call, Edit::Folder(folder)).await?;
            }
            self.journal
                .set_saved(ENGINE, id, &saved.folder.to_string_lossy())
                .await?;
            match saved.unzipped.take() {
                Some(error) => Err(error),
                None => Ok(saved),
            }
        };
        let saved: Result<SavedPackage> = tokio::select! {
            saved = work => saved,
            never = save.follow(&self.saves) => match never {},
        };
        unfinished.save = None;
        match &saved {
            Ok(saved) => tell(
                SaveState::Completed,
                "Draft creation completed".to_owned(),
                100,
                saved.files,
                saved.files,
            ),
            Err(error) => {
                let last = self.saves.get(id);
                let (percent, done, all) = last.map_or((5, 0, 0), |last| {
                    (last.percent, last.files_done, last.files)
                });
                tell(
                    SaveState::Failed,
                    format!("Failed to save draft: {}", error.message),
                    percent,
                    done,
                    all,
                );
            }
        }
        if let Some(progress) = self.saves.get(id) {
            save.put(&progress).await;
        }
        saved
    }

    /// Copies a draft into the drafts folder of its app, by the rules of a save there. It is refused while the app is
    /// running. `None`: the app has no such folder on this machine.
    pub(crate) async fn deploy(
        &self,
        id: &DraftId,
        wish: SaveWish,
        call: &Call,
    ) -> Result<Option<SavedPackage>> {
        let gate = self.saves.gate(id);
        let _alone = gate.lock().await;
        if let Some(from) = self.opened(id).await? {
            return Err(Error::invalid(format!(
                "draft {id} was opened from {} and is saved there",
                from.path().display()
            )));
        }
        let (draft, subject) = self.subject(id).await?;
        if registry::find(self.dirs(draft.edition)).is_none() {
            return Ok(None);
        }
        let wish = SaveWish {
            while_running: WhileRunning::Refuse,
            name: wish.name,
            profile: wish.profile,
            app_version: wish.app_version,
            overwrite: wish.overwrite,
            ..SaveWish::default()
        };
        let (request, _) = self.request(&draft, &wish, None, &call.caller).await?;
        let media = self.media(&call.caller);
        package::save_document(subject, &request, &media, &self.covers, &|_| ())
            .await
            .map(Some)
    }

    /// The compact form of a draft, and what is saved of it.
    async fn subject(&self, id: &DraftId) -> Result<(Draft, Subject)> {
        let held = self.hold(id).await?;
        self.catch_up(&held).await?;
        aside(|| {
            let state = held.lock();
            let mut draft = state.draft.clone();
            let mut notes = Vec::new();
            let working = match &state.document {
                Some(document) => {
                    let name = document.value(RootRef, &root::NAME);
                    if !name.is_empty() {
                        draft.name = Some(name.into());
                    }
                    String::from_utf8_lossy(&document.write()).into_owned()
                }
                None => {
                    let written = properties::written(&draft, working::write(&draft))?;
                    if !written.set.unfit.is_empty() {
                        let what = format!("draft {id} was not saved");
                        return Err(properties::refused(&what, &written.set.unfit)
                            .hint("change them with `edit_draft`, and save again"));
                    }
                    notes = written.set.notes;
                    written.text
                }
            };
            let subject = Subject {
                id: id.to_string(),
                edition: draft.edition,
                working,
                notes,
            };
            Ok((draft, subject))
        })
    }

    /// Saves a draft that was opened: into its folder, or as a copy.
    async fn save_opened(
        &self,
        id: &DraftId,
        from: Arc<OpenedFrom>,
        wish: &SaveWish,
        folder: Option<&str>,
        call: &Call,
    ) -> Result<SavedPackage> {
        wish.refuse_for_opened(id, &from)?;
        let media = self.media(&call.caller);
        if let Some(request) = self
            .copy_request(id, &from, wish, folder, &call.caller)
            .await?
        {
            let draft = self.opened_draft(id, from).await?;
            return opened::copy::copy(draft, request, &media).await;
        }
        call.caller.access.may_write(from.folder_of_file())?;
        let backups = self.data_dir()?.join("backups");
        let change = opened::back::begin(Arc::clone(&from)).await?;
        let draft = self.opened_draft(id, from).await?;
        match opened::back::prepare(change, draft, wish.overwrite, &media).await? {
            PreparedSave::Nothing(saved) => Ok(saved),
            PreparedSave::Change(change) => {
                self.record_write(id, &change.write, call).await?;
                change.commit(backups).await
            }
        }
    }

    /// An opened draft as it is saved.
    async fn opened_draft(&self, id: &DraftId, from: Arc<OpenedFrom>) -> Result<OpenedSubject> {
        let held = self.hold(id).await?;
        self.catch_up(&held).await?;
        let document = held.lock().document.as_deref().cloned();
        let document = document.ok_or_else(|| Error::internal("the draft has no document"))?;
        let (text, hash) = aside(|| {
            let text = document.write();
            let hash = document_hash(&text);
            (text, hash)
        });
        let base = if hash == from.document {
            None
        } else {
            Some(self.opened_state(&from.document).await?)
        };
        let founds = self.founds(id, 0).await?;
        let row = self.journal.find(id).await?;
        Ok(OpenedSubject {
            id: id.to_string(),
            name: row.map(|row| row.name).unwrap_or_default(),
            from,
            document,
            base,
            text,
            hash,
            writes: founds.into_iter().filter_map(|found| found.write).collect(),
        })
    }

    /// What a save needs of the opened document with this hash.
    async fn opened_state(&self, hash: &str) -> Result<Arc<OpenedState>> {
        if let Some(known) = self.opened_states.get(hash) {
            return Ok(known);
        }
        let packed = self.journal.document(hash).await?;
        let text = packed.ok_or_else(|| lacks(hash))?.text()?;
        let document = aside(|| Document::parse(text)).map_err(document_error)?;
        let state = Arc::new(OpenedState::new(&document));
        self.opened_states
            .insert(hash.to_owned(), Arc::clone(&state));
        Ok(state)
    }

    /// Records what a save is about to write into the folder of an opened draft.
    async fn record_write(&self, id: &DraftId, write: &RecordedWrite, call: &Call) -> Result<()> {
        let held = self.hold(id).await?;
        let _turn = held.turn().await;
        let found = RecordedEdit {
            write: Some(write.clone()),
            ..RecordedEdit::default()
        };
        let placed = reply(id, None, &EditOutcome::default());
        let record = NewRecord {
            internal: true,
            ..NewRecord::of(call, Some(&found), &placed, VERSION)?
        };
        let at = CallPosition::End;
        match self.journal.append(ENGINE, id, &record, at).await? {
            Appended::Done(_) | Appended::Already(_) => self.catch_up(&held).await.map(drop),
            Appended::Conflict => Err(changing(id)),
        }
    }

    /// Where to copy an opened draft; `None` if it is saved into its own folder.
    async fn copy_request(
        &self,
        id: &DraftId,
        from: &OpenedFrom,
        wish: &SaveWish,
        folder: Option<&str>,
        caller: &Caller,
    ) -> Result<Option<CopyRequest>> {
        if !wish.is_copy(from) {
            return Ok(None);
        }
        let edition = from.edition;
        let own = from.folder.as_deref();
        let beside = own
            .and_then(Path::parent)
            .filter(|it| may_write(it, caller));
        let drafts = match (folder, beside) {
            (Some(folder), _) => {
                let place = self.place(edition, wish, Some(folder), caller)?;
                if place.target.is_some() {
                    return Err(Error::invalid(format!(
                        "`draft_folder`: a draft that was opened is copied into a folder of this machine that may be written, and {folder} is none"
                    ))
                    .hint("give the absolute path of the app's drafts folder, or save with `name` only"));
                }
                place.drafts
            }
            (None, Some(beside)) => beside.to_owned(),
            (None, None) => self.place(edition, wish, None, caller)?.drafts,
        };
        let of_folder = own.and_then(Path::file_name);
        let of_folder = of_folder.filter(|_| from.copied.is_none());
        let of_folder = of_folder.map(|name| name.to_string_lossy().into_owned());
        let name = match wish.name.clone().or(of_folder) {
            Some(name) => name,
            None => {
                let row = self.journal.find(id).await?;
                row.map(|row| row.name).unwrap_or_default()
            }
        };
        let to = drafts.join(package::name::folder(&name)).canonicalize();
        if let (Some(own), Ok(to)) = (own, to)
            && own.canonicalize().is_ok_and(|own| own == to)
        {
            if from.copied.is_some() {
                return Err(Error::conflict(format!(
                    "draft {id} is a copy of the draft in {}, which stays as it is",
                    own.display()
                ))
                .hint("give another `name` or `draft_folder`"));
            }
            return Ok(None);
        }
        Ok(Some(CopyRequest {
            drafts,
            name,
            terms: Terms {
                draft: id.to_string(),
                origin: self.saves.origin(id),
                overwrite: wish.overwrite,
                ..Terms::default()
            },
            while_running: wish.while_running,
        }))
    }

    async fn request(
        &self,
        draft: &Draft,
        wish: &SaveWish,
        folder: Option<&str>,
        caller: &Caller,
    ) -> Result<(SaveRequest, Option<String>)> {
        let place = self.place(draft.edition, wish, folder, caller)?;
        let os = place
            .target
            .as_ref()
            .map_or_else(own_os, |target| target.os);
        let profile = match (&wish.profile, &wish.app_version) {
            (Some(name), _) => Profile::named(name, os)?,
            (None, Some(version)) => Profile::for_version(draft.edition, os, version)?,
            (None, None) => {
                let (drafts, edition) = (place.drafts.clone(), draft.edition);
                let is_here = place.target.is_none();
                package::blocking(move || {
                    let learnt = is_here.then(|| Profile::learn(&drafts, edition));
                    Ok(learnt
                        .flatten()
                        .unwrap_or_else(|| Profile::built_in(edition, os)))
                })
                .await?
            }
        };
        // The reference API names the folder after the id, and its clients look for that, unless they give a name.
        let own = draft.name.as_deref();
        let own = own.filter(|_| caller.manner == Manner::Strict);
        let name = wish.name.as_deref().or(own);
        let name = name.unwrap_or(draft.id.as_str()).to_owned();
        let request = SaveRequest {
            drafts: place.drafts,
            name,
            profile,
            target: place.target,
            terms: Terms {
                draft: draft.id.to_string(),
                origin: self.saves.origin(&draft.id),
                overwrite: wish.overwrite,
                saved_to: self.saved_to(&draft.id).await?,
                ..Terms::default()
            },
            zip: wish.zip,
            while_running: wish.while_running,
        };
        Ok((request, place.note))
    }

    async fn saved_to(&self, draft: &DraftId) -> Result<Option<PathBuf>> {
        let row = self.journal.find(draft).await?;
        Ok(row.and_then(|row| row.saved_to).map(PathBuf::from))
    }

    /// Records the plan of a draft before the draft is saved.
    pub(crate) fn made_of(&self, draft: &DraftId, origin: PlanOrigin) {
        self.saves.made_of(draft, origin);
    }

    fn place(
        &self,
        edition: Edition,
        wish: &SaveWish,
        folder: Option<&str>,
        caller: &Caller,
    ) -> Result<SaveDestination> {
        // A caller of the API may give the folder of any machine.
        if let Some(folder) = folder.filter(|_| caller.manner == Manner::Strict) {
            check_parent(folder)?;
        }
        if wish.portable || wish.target_os.is_some() || wish.target_folder.is_some() {
            let os = wish.target_os.unwrap_or_else(|| {
                wish.target_folder
                    .as_deref()
                    .map_or_else(own_os, os_of_folder)
            });
            let (drafts, note) = match folder {
                Some(folder) if may_write(Path::new(folder), caller) => {
                    (PathBuf::from(folder), None)
                }
                Some(folder) => {
                    let own = self.own_folder()?;
                    let note = unwritten(folder, &own);
                    (own, Some(note))
                }
                None => (self.own_folder()?, None),
            };
            return Ok(SaveDestination {
                drafts,
                target: Some(package::TargetMachine {
                    os,
                    folder: wish.target_folder.clone(),
                }),
                note,
            });
        }
        if let Some(folder) = folder {
            let path = Path::new(folder);
            if may_write(path, caller) {
                return Ok(SaveDestination {
                    drafts: path.to_owned(),
                    target: None,
                    note: None,
                });
            }
            let drafts = self.own_folder()?;
            let note = format!(
                "{}; the paths in the draft begin with {folder}",
                unwritten(folder, &drafts)
            );
            return Ok(SaveDestination {
                drafts,
                target: Some(package::TargetMachine {
                    os: os_of_folder(folder),
                    folder: Some(folder.to_owned()),
                }),
                note: Some(note),
            });
        }
        if wish.own_folder {
            return Ok(SaveDestination {
                drafts: self.own_folder()?,
                target: None,
                note: None,
            });
        }
        if let Some(drafts) = registry::find(self.dirs(edition)) {
            return Ok(SaveDestination {
                drafts,
                target: None,
                note: None,
            });
        }
        let drafts = self.own_folder()?;
        let note = format!(
            "{} was not found on this machine, so the draft is in {}; if the app is installed here, save again with its drafts folder as `draft_folder`",
            edition.app(),
            drafts.display()
        );
        Ok(SaveDestination {
            drafts,
            target: Some(package::TargetMachine {
                os: own_os(),
                folder: None,
            }),
            note: Some(note),
        })
    }

    /// Where the app of this edition may have its drafts folder.
    fn dirs(&self, edition: Edition) -> &[PathBuf] {
        match edition {
            Edition::Capcut => &self.options.capcut_dirs,
            Edition::Jianying => &self.options.jianying_dirs,
        }
    }

    /// Whether an app on this machine keeps its drafts in this folder.
    pub(crate) fn is_apps_folder(&self, folder: &Path) -> bool {
        let apps = [&self.options.capcut_dirs, &self.options.jianying_dirs];
        let mut found = apps.into_iter().filter_map(|dirs| registry::find(dirs));
        found.any(|drafts| drafts == folder)
    }

    /// The folder for drafts that no app on this machine would find.
    fn own_folder(&self) -> Result<PathBuf> {
        Ok(self.data_dir()?.join("drafts"))
    }

    fn data_dir(&self) -> Result<&Path> {
        let data = self.options.data_dir.as_deref();
        data.ok_or_else(crate::settings::no_home)
    }

    /// The progress or result of a draft's last save. Saves of other processes are known from the journal.
    pub(crate) async fn progress(&self, draft: &DraftId) -> Result<SaveProgress> {
        let own = self.saves.get(draft);
        if let Some(own) = own
            .as_ref()
            .filter(|own| own.state == SaveState::Processing)
        {
            return Ok(own.clone());
        }
        let last = LastSave::read(&*self.journal, draft).await?;
        // For a save of this process, the memory is more current.
        let own = own.filter(|_| {
            let runner = last.as_ref().map(|last| &*last.runner);
            runner.is_none_or(|runner| runner == self.runner.name())
        });
        if let Some(progress) = own.or_else(|| last.map(|last| last.seen(&self.runner))) {
            return Ok(progress);
        }
        match self.journal.find(draft).await? {
            Some(row) if row.saved_to.is_some() => Ok(SaveProgress {
                state: SaveState::Completed,
                message: "Draft creation completed".to_owned(),
                percent: 100,
                files_done: 0,
                files: 0,
                exact: 100.0,
                bytes: None,
            }),
            _ => Err(Error::not_found(format!(
                "Task with ID {draft} not found. Please check if the task ID is correct."
            ))
            .hint("`save_draft` starts a task; its id is the draft's id")),
        }
    }

    /// Checks again the files that could not be read when they were placed, and returns notes on those that can
    /// be read now.
    pub(crate) async fn learn(&self, draft: &DraftId, call: &Call) -> Result<Vec<String>> {
        if self.hold(draft).await?.lock().document.is_some() {
            // Edits of a document measure the files that they use.
            return Ok(Vec::new());
        }
        let unread: Vec<(MediaKind, String)> = self
            .read(draft, |draft| {
                let unread = draft.media.iter().filter(|media| !media.known.read);
                unread
                    .map(|media| (media.kind, media.source.to_string()))
                    .collect()
            })
            .await?;
        if unread.is_empty() {
            return Ok(Vec::new());
        }
        // A file that still cannot be read does not stop the save here; the save reports it.
        let caller = &call.caller.in_manner(Manner::Api);
        let looks = unread.iter().map(|(kind, source)| async move {
            let looked = self.look("media", source, *kind, true, caller).await.ok()?;
            looked.known.read.then(|| Learnt {
                kind: *kind,
                source: source.clone(),
                known: looked.known,
            })
        });
        let learnt: Vec<Learnt> = futures::future::join_all(looks)
            .await
            .into_iter()
            .flatten()
            .collect();
        if learnt.is_empty() {
            return Ok(Vec::new());
        }
        let mut notes: Vec<String> = learnt
            .iter()
            .map(|file| format!("{} can be read now", crate::media::shown(&file.source)))
            .collect();
        notes.extend(
            self.read(draft, |draft| shortened_fades(draft, &learnt))
                .await?,
        );
        let target = CallTarget {
            draft: Some(draft),
            width: 0.0,
            height: 0.0,
        };
        self.edit(target, call, Edit::Learn(learnt)).await?;
        Ok(notes)
    }
}

/// Notes on the sounds whose fades are longer than their files.
fn shortened_fades(draft: &Draft, learnt: &[Learnt]) -> Vec<String> {
    let shortened = |(_, segment): (_, &Segment)| {
        let media = segment.content.media()?;
        let is_it = |file: &&Learnt| Id::of_name(&file.kind.file_name(&file.source)) == media;
        let known = learnt.iter().find(is_it)?.known;
        let mut fitted = segment.clone();
        timeline::fit(&mut fitted, known.duration);
        let fade = |segment: &Segment| match &segment.content {
            SegmentContent::Sound(sound) => sound.fade,
            _ => None,
        };
        let fits = fade(&fitted)?;
        let at = segment.target.start;
        (fade(segment) != Some(fits))
            .then(|| format!("at {at}: {}", fits.shortened(fitted.target.duration)))
    };
    draft.segments().into_iter().filter_map(shortened).collect()
}

/// Whether a folder is on this machine and this caller may save drafts into it.
fn may_write(folder: &Path, caller: &Caller) -> bool {
    folder.is_absolute()
        && (folder.is_dir() || folder.parent().is_some_and(Path::is_dir))
        && caller.access.may_write(folder).is_ok()
}

fn unwritten(folder: &str, drafts: &Path) -> String {
    format!(
        "`draft_folder`: {folder} is not a folder that this program may write to (a server allows folders with `--allow-dir`): the draft is in {}",
        drafts.display()
    )
}

/// The folder itself is created, but not its parents: they may be missing by mistake, or be on a disk that is
/// not mounted. A folder that clearly belongs to another machine is accepted.
fn check_parent(folder: &str) -> Result<()> {
    let path = Path::new(folder);
    let exists = path.is_dir() || path.parent().is_none_or(Path::is_dir);
    if exists || !path.is_absolute() || is_elsewhere(folder, Os::current()) {
        return Ok(());
    }
    let above = path
        .ancestors()
        .skip(1)
        .take_while(|above| !above.is_dir())
        .last()
        .unwrap_or(path);
    Err(Error::invalid(format!(
        "`draft_folder`: {folder} cannot be created, as {} does not exist",
        above.display()
    ))
    .hint("create that folder or correct the path; for a draft to be opened on another machine, give its folder as `target_folder`"))
}

/// Whether a path has the syntax of another system than `here`. Neither app runs on Linux, where the home
/// folders and volumes of macOS do not exist.
fn is_elsewhere(folder: &str, here: Os) -> bool {
    let is_windows = os_of_folder(folder) == AppOs::Windows;
    match here {
        Os::Windows => !is_windows && folder.starts_with('/'),
        Os::MacOs => is_windows,
        Os::Linux => is_windows || folder.starts_with("/Users/") || folder.starts_with("/Volumes/"),
    }
}

/// Drive letters and backslashes mean Windows.
pub(crate) fn os_of_folder(folder: &str) -> AppOs {
    let drive = matches!(folder.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if drive || folder.contains('\\') {
        AppOs::Windows
    } else {
        AppOs::Macos
    }
}
