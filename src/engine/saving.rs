//! Saving drafts.
//!
//! [`progress`] has the progress of saves, [`destination`] where a draft is saved, and [`opened`] the saves of drafts that
//! were opened.

mod destination;
mod opened;
mod progress;

use std::path::PathBuf;
use std::sync::Arc;

use capcut_draft::field::root;
use capcut_draft::{Dialect, Document, RootRef};

use crate::args::Call;
use crate::caller::{Caller, Manner};
use crate::draft::Draft;
use crate::draft::ids::{DraftId, Id};
use crate::draft::material::MediaKind;
use crate::draft::segment::{Segment, SegmentContent};
use crate::draft::working;
use crate::engine::documents::OpenedFrom;
use crate::engine::documents::properties;
use crate::engine::edit::{Edit, Learnt};
use crate::engine::marker::PlanOrigin;
use crate::engine::package::existing::Terms;
use crate::engine::package::{self, SaveRequest, SavedPackage, Subject, WhileRunning};
use crate::engine::profile::{AppOs, Profile, own_os};
use crate::engine::timeline;
use crate::engine::{CallTarget, Engine, aside, registry};
use crate::error::{Error, Result};
use crate::journal::ENGINE;

pub(crate) use destination::os_of_folder;
use progress::{Journalled, LastSave, Unfinished};
pub(crate) use progress::{SaveProgress, SaveState, Saves};

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
        let fence = call.caller.fence.as_ref();
        let work = async {
            if let Some(from) = self.opened(id).await?
                && !(wish.is_copy(&from)
                    && self.inspect(id, Document::dialect).await? == Dialect::Api)
            {
                let saved = self
                    .save_opened(id, from, &wish, folder.as_deref(), call)
                    .await?;
                self.journal
                    .set_saved(ENGINE, id, &saved.folder.to_string_lossy(), fence)
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
                .set_saved(ENGINE, id, &saved.folder.to_string_lossy(), fence)
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

    /// The progress or result of a draft's last save. Saves of other processes are known from the journal.
    pub(crate) async fn progress(&self, draft: &DraftId) -> Result<SaveProgress> {
        let own = self.saves.get(draft);
        if let Some(own) = own
            .as_ref()
            .filter(|own| own.state == SaveState::Processing)
        {
            return Ok(own.clone());
        }
        let last = LastSave::read(&self.journal, draft).await?;
        // For a save of this process, the memory is more current.
        let is_own = match &last {
            Some(last) => last.runner == self.runner.name().await,
            None => true,
        };
        if let Some(own) = own.filter(|_| is_own) {
            return Ok(own);
        }
        if let Some(last) = last {
            return Ok(last.seen(&self.runner).await);
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
