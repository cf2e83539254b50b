//! A draft as a folder on disk, with all its media.
//!
//! Everything is written into a temporary folder beside the place where it shall be, which is then
//! renamed as a whole: whatever happens, there is the old draft or the new one. Media that cannot be
//! had fail the save, all of them in one message.

mod arriving;
pub(crate) mod cover;
mod fetching;
pub(crate) mod files;
mod home;
mod install;
pub(crate) mod name;
mod staging;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::draft::finished::{self, Content, Document, Finished, Markers, Needed, made_id};
use crate::draft::{Draft, working};
use crate::engine::marker::Marker;
use crate::engine::profile::{AppOs, Profile};
use crate::engine::registry;
use crate::engine::timelines::Timeline;
use crate::error::{Error, Kind, Result};
use crate::media::Media;
use crate::progress::Bytes;
use crate::units::Edition;
use cover::{Cover, Covers};
pub(crate) use fetching::Unfetched;
use fetching::{Medium, fetch_all};
use files::{Documents, Entry, Timelines};
use home::Home;
use staging::Staging;

/// How and where a draft is saved.
#[derive(Clone, Debug)]
pub(crate) struct SaveRequest {
    /// The folder of drafts on this machine that the draft's folder is made in.
    pub drafts: PathBuf,
    /// The draft's name in the app, and its folder's.
    pub name: String,
    pub profile: Profile,
    /// The machine where the draft will be opened, if that is not this one.
    pub target: Option<Target>,
    /// A draft of that name that is another one: kept as a backup, instead of refusing to save.
    pub overwrite: bool,
    /// One file with everything beside the folder.
    pub zip: bool,
    /// What to do while the app runs, which keeps its list of drafts in memory.
    pub while_running: WhileRunning,
}

/// Another machine.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub os: AppOs,
    /// Its folder of drafts, without which the draft can be put anywhere.
    pub folder: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WhileRunning {
    /// Save and say what to do.
    #[default]
    Warn,
    Refuse,
}

/// What was saved.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub folder: PathBuf,
    /// The file with everything, if one was asked for.
    pub zip: Option<PathBuf>,
    /// How many media files are in it.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// The app's list of drafts has it.
    pub registered: bool,
    /// What is not as it was asked for, and what to do next.
    pub notes: Vec<String>,
}

/// How far a save is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    pub files_done: u64,
    pub files: u64,
    /// What has come of the files that are not done, each as a part of 1.
    pub part: f64,
    /// Of all files that were begun.
    pub bytes: Bytes,
    pub message: String,
}

/// Saves `draft` as it is now.
pub(crate) async fn save(
    draft: &Draft,
    request: &SaveRequest,
    media: &Media,
    covers: &Arc<Covers>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Saved> {
    let subject = Subject {
        id: draft.id.to_string(),
        edition: draft.edition,
        working: working::write(draft),
    };
    save_document(subject, request, media, covers, progress).await
}

/// What is saved: a draft's working document.
pub(crate) struct Subject {
    pub id: String,
    /// The edition whose names and ids are in it.
    pub edition: Edition,
    /// As `query_script` answers it.
    pub working: String,
}

/// Saves a document, whoever made it.
pub(crate) async fn save_document(
    subject: Subject,
    request: &SaveRequest,
    media: &Media,
    covers: &Arc<Covers>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Saved> {
    let Subject {
        id,
        edition,
        working,
    } = subject;
    let name = name::folder(&request.name);
    let mut notes = Vec::new();
    if name != request.name.trim() {
        notes.push(format!(
            "the folder and the draft are named \"{name}\", as \"{}\" is not possible on every system",
            request.name
        ));
    }
    if edition != request.profile.edition {
        notes.push(format!(
            "the draft was made with the names of {}, and {} may lack its effects: their ids differ between the two",
            edition.app(),
            request.profile.edition.app()
        ));
    }
    let home = Home::new(request, &name)?;
    let looked_for = (request.target.is_none() && registry::is_drafts_folder(&request.drafts))
        .then_some(request.profile.edition);
    let running = blocking(move || Ok(looked_for.and_then(registry::running)));
    let parsed = blocking(move || {
        serde_json::from_str::<Value>(&working).map_err(|error| {
            Error::internal("the working document of the draft is no JSON").source(error)
        })
    });
    let (running, working) = tokio::try_join!(running, parsed)?;
    if let Some(process) = &running
        && request.while_running == WhileRunning::Refuse
    {
        return Err(Error::conflict(format!(
            "{} is running ({process}) and would write over its list of drafts",
            request.profile.edition.app()
        ))
        .hint("quit the app and save again, or save without asking for this check"));
    }
    let needed = finished::needed(&working);
    let (drafts, folder) = (request.drafts.clone(), name.clone());
    let (draft, overwrite) = (id.clone(), request.overwrite);
    let staging = blocking(move || {
        staging::clean(&drafts);
        Staging::begin(&drafts, &folder, &draft, overwrite)
    })
    .await?;
    let cover = Cover::of(&working, &needed);
    let (tell, arrived) = oneshot::channel();
    let first = cover.shows().map(|index| (index, tell));
    let shown = first.as_ref().map(|(index, _)| &needed[*index]);
    let folder = staging.path.clone();
    let covered = covered((cover, covers), shown, arrived, &folder, media);
    let written_out = async {
        let fetched = fetch_all(&needed, first, &staging.path, media, progress).await?;
        let bytes = fetched.iter().map(|file| file.bytes).sum();
        progress(Progress {
            part: 0.0,
            bytes: Bytes {
                done: bytes,
                of: None,
            },
            files_done: needed.len() as u64,
            files: needed.len() as u64,
            message: "writing the draft".to_owned(),
        });
        let mut job = Job {
            id,
            name,
            home,
            profile: match request.target {
                // What leaves this machine tells nothing about it.
                Some(_) => request.profile.clone().portable(),
                None => request.profile.clone(),
            },
            request: request.clone(),
            working,
            fetched,
            bytes,
            now: now(),
            running,
            notes,
        };
        blocking(move || {
            let documents = job.written(&staging)?;
            job.free();
            Ok((job, staging, documents))
        })
        .await
    };
    let ((job, staging, documents), ()) = tokio::try_join!(written_out, covered)?;
    blocking(move || job.finish(staging, documents)).await
}

/// Makes the cover while the media come in, as a frame of a video takes its time: of the file where it lies, if
/// that is on this machine, else once it `arrived`.
async fn covered(
    (cover, covers): (Cover, &Arc<Covers>),
    shown: Option<&Needed>,
    arrived: oneshot::Receiver<(PathBuf, Content)>,
    folder: &Path,
    media: &Media,
) -> Result<()> {
    let file = match shown {
        None => None,
        Some(needed) => match media.here(&needed.source).await {
            Some(path) => {
                let facts = media.facts(&needed.source).await.ok();
                facts.map(|facts| (path, fetching::content(needed.list, &facts)))
            }
            None => arrived.await.ok(),
        },
    };
    let (folder, covers) = (folder.to_owned(), Arc::clone(covers));
    blocking(move || {
        let file = file.as_ref().map(|(path, content)| (&**path, *content));
        cover.write(&folder, file, &covers);
        Ok(())
    })
    .await
}

/// Everything that is left to do once the media are there; it all waits for the disk.
struct Job {
    id: String,
    name: String,
    home: Home,
    profile: Profile,
    request: SaveRequest,
    working: Value,
    fetched: Vec<Medium>,
    /// Of all media.
    bytes: u64,
    /// Microseconds since 1970.
    now: i64,
    running: Option<String>,
    notes: Vec<String>,
}

impl Job {
    /// Writes the documents and gives them.
    fn written(&self, staging: &Staging) -> Result<Documents> {
        let (documents, document) = self.documents(&self.profile, &self.home);
        let marker = std::thread::scope(|scope| {
            // Of a long draft it is a lot to free, which goes on while the files go to the disk.
            scope.spawn(move || drop(document));
            let marker = scope.spawn(|| Marker {
                elsewhere: self.request.target.is_some(),
                ..Marker::new(&self.id, &documents.timeline)
            });
            documents.write(&staging.path)?;
            marker
                .join()
                .map_err(|_| Error::internal("the draft could not be marked"))
        })?;
        marker.write(&staging.path)?;
        Ok(documents)
    }

    /// Frees what is not needed any more, which nobody waits for.
    fn free(&mut self) {
        if !self.request.zip {
            let working = std::mem::take(&mut self.working);
            std::thread::spawn(move || drop(working));
        }
    }

    fn finish(mut self, staging: Staging, documents: Documents) -> Result<Saved> {
        documents.write_cover(&staging.path)?;
        let final_path = staging.path_of_draft();
        let kept = staging.finish()?;
        let zip = if self.request.zip {
            let place = match &self.request.target {
                Some(_) => self.home.clone(),
                // Beside a folder for this machine, a file for any other.
                None => Home::anywhere(),
            };
            let profile = self.profile.clone().portable();
            let (portable, _) = self.documents(&profile, &place);
            let to = self.request.drafts.join(format!("{}.zip", self.name));
            install::zip(&final_path, &self.name, &portable, &self.profile, &to)?;
            Some(to)
        } else {
            None
        };
        if let Some(kept) = kept {
            self.notes.push(format!(
                "the draft of that name that was there is kept in {}",
                kept.display()
            ));
        }
        let registered = self.register(&final_path, &documents);
        self.notes.extend(documents.notes);
        self.say_what_next(&final_path, registered);
        Ok(Saved {
            folder: final_path,
            zip,
            files: self.fetched.len() as u64,
            bytes: self.bytes,
            registered,
            notes: self.notes,
        })
    }

    /// The documents, and the one that they were made of.
    fn documents<'a>(&'a self, profile: &'a Profile, home: &Home) -> (Documents, Document<'a>) {
        let files: HashMap<_, _> = self
            .fetched
            .iter()
            .map(|file| ((file.list, file.id.clone()), file.named(home, &self.id)))
            .collect();
        let markers = Markers {
            document_id: made_id(&[&self.id, "timeline"]),
            name: &self.name,
            version: profile.version,
            new_version: &profile.new_version,
            scheme: profile.scheme(),
            platform: &profile.platform,
            root_extra: &profile.root_extra,
            masks: profile.masks().names(),
            video_check_flag: profile.video_check_flag(),
        };
        let Finished {
            document,
            duration,
            notes,
        } = finished::finish(&self.working, &markers, &files);
        let entries: Vec<Entry> = self
            .fetched
            .iter()
            .map(|file| file.entry(&files[&(file.list, file.id.clone())]))
            .collect();
        let mut documents = Documents::new(&document, &entries);
        documents.meta = files::meta(&files::Meta {
            id: &made_id(&[&self.id, "draft"]),
            name: &self.name,
            folder: &home.folder,
            root: &home.root,
            entries: &entries,
            duration,
            bytes: self.bytes,
            now: self.now,
        });
        let timeline = Timeline {
            id: &markers.document_id,
            scheme: markers.scheme,
            color_space: document.color_space(),
            render_index_track_mode_on: document.render_index_track_mode_on(),
            now: self.now,
        };
        documents.timelines = profile.has_timelines().then(|| Timelines::new(&timeline));
        documents.os = profile.os;
        documents.now = self.now;
        documents.duration = duration;
        documents.notes = notes;
        (documents, document)
    }

    fn register(&mut self, folder: &Path, documents: &Documents) -> bool {
        if self.request.target.is_some() || !registry::is_drafts_folder(&self.request.drafts) {
            return false;
        }
        let entry = registry::Entry {
            name: &self.name,
            id: &made_id(&[&self.id, "draft"]),
            folder,
            json_file: self.profile.primary_file(),
            duration: documents.duration,
            bytes: self.bytes,
            now: self.now,
        };
        match registry::register(&entry) {
            Ok(_) => true,
            Err(error) => {
                self.notes.push(error.to_string());
                false
            }
        }
    }

    fn say_what_next(&mut self, folder: &Path, registered: bool) {
        let app = self.profile.edition.app();
        let next = if let Some(target) = &self.request.target {
            match &target.folder {
                Some(root) => format!(
                    "copy the folder \"{}\" into {root} on the other machine while {app} is closed, then start {app}",
                    self.name
                ),
                None => format!(
                    "copy the folder \"{}\" into {app}'s drafts folder on the other machine while {app} is closed, then start {app}",
                    self.name
                ),
            }
        } else if let Some(process) = &self.running {
            format!(
                "{app} is running ({process}) and writes its list of drafts when it ends: quit it and start it again; if the draft is not shown then, save it once more while {app} is closed"
            )
        } else if registered {
            format!(
                "start {app}: the draft \"{}\" is the first on its home page",
                self.name
            )
        } else {
            format!(
                "{} is no drafts folder of {app}: copy the folder \"{}\" there while {app} is closed, or save with `draft_folder` and `target_os` for the machine that has {app}",
                folder.parent().unwrap_or(folder).display(),
                self.name
            )
        };
        self.notes.push(next);
    }
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))
}

pub(crate) fn unwritable(path: &Path, error: std::io::Error) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::StorageFull => "free some space and save again",
        _ => {
            "check that the folder exists and may be written, or save into another with `draft_folder`"
        }
    };
    Error::new(
        Kind::Conflict,
        format!("{} cannot be written", path.display()),
    )
    .hint(hint)
    .source(error)
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("saving broke down").source(error)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
