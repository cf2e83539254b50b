//! A draft as a folder on disk, with all its media.
//!
//! Everything is written into a temporary folder beside the place where it shall be, which is then
//! renamed as a whole: whatever happens, there is the old draft or the new one. Media that cannot be
//! had fail the save, all of them in one message.

mod arriving;
pub(crate) mod cover;
pub(crate) mod files;
mod install;
pub(crate) mod name;
mod staging;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::draft::finished::{self, Content, File, Finished, Markers, Needed, made_id};
use crate::draft::{Draft, working};
use crate::engine::marker::Marker;
use crate::engine::profile::{AppOs, Profile};
use crate::engine::registry;
use crate::error::{Error, Kind, Result};
use crate::lint::paths::TOKEN;
use crate::media::{Facts, Format, Media, shown};
use crate::progress::Bytes;
use crate::units::{Edition, Micros};
use arriving::Arriving;
use cover::Cover;
use files::{Documents, Entry};
use staging::Staging;

/// How many media files are fetched at the same time.
const AT_ONCE: usize = 8;

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
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Saved> {
    let subject = Subject {
        id: draft.id.to_string(),
        edition: draft.edition,
        working: working::write(draft),
    };
    save_document(subject, request, media, progress).await
}

/// What is saved: a draft's working document.
pub(crate) struct Subject {
    pub id: String,
    /// The edition whose names and ids are in it.
    pub edition: Edition,
    /// As `query_script` answers it.
    pub working: String,
}

async fn save_document(
    subject: Subject,
    request: &SaveRequest,
    media: &Media,
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
    let cover = Arc::new(Cover::of(&working, &needed));
    let fetched = fetch_all(&needed, &cover, &staging.path, media, progress).await?;
    progress(Progress {
        part: 0.0,
        bytes: Bytes {
            done: fetched.iter().map(|file| file.bytes).sum(),
            of: None,
        },
        files_done: needed.len() as u64,
        files: needed.len() as u64,
        message: "writing the draft".to_owned(),
    });
    let job = Job {
        id,
        name,
        home,
        request: request.clone(),
        working,
        fetched,
        cover,
        running,
        notes,
    };
    blocking(move || job.write(staging)).await
}

/// Everything that is left to do once the media are there; it all waits for the disk.
struct Job {
    id: String,
    name: String,
    home: Home,
    request: SaveRequest,
    working: Value,
    fetched: Vec<Medium>,
    cover: Arc<Cover>,
    running: Option<String>,
    notes: Vec<String>,
}

impl Job {
    fn write(mut self, staging: Staging) -> Result<Saved> {
        let now = now();
        let bytes: u64 = self.fetched.iter().map(|file| file.bytes).sum();
        let profile = match self.request.target {
            // What leaves this machine tells nothing about it.
            Some(_) => self.request.profile.clone().portable(),
            None => self.request.profile.clone(),
        };
        let documents = std::thread::scope(|scope| {
            if self.cover.is_drawn() {
                scope.spawn(|| self.cover.write(&staging.path, None));
            }
            self.documents(&profile, &self.home, bytes, now)
        });
        if !self.request.zip {
            // Freed while the files go to the disk: of a long draft it is a lot.
            let working = std::mem::take(&mut self.working);
            std::thread::spawn(move || drop(working));
        }
        let marker = std::thread::scope(|scope| {
            let marker = scope.spawn(|| Marker::new(&self.id, &documents.timeline));
            documents.write(&staging.path)?;
            marker
                .join()
                .map_err(|_| Error::internal("the draft could not be marked"))
        })?;
        marker.write(&staging.path)?;
        let final_path = staging.path_of_draft();
        let kept = staging.finish()?;
        let zip = if self.request.zip {
            let place = match &self.request.target {
                Some(_) => self.home.clone(),
                // Beside a folder for this machine, a file for any other.
                None => Home::anywhere(&self.name),
            };
            let portable = self.documents(&profile.clone().portable(), &place, bytes, now);
            let to = self.request.drafts.join(format!("{}.zip", self.name));
            install::zip(&final_path, &self.name, &portable, &profile, &to)?;
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
        let registered = self.register(&profile, &final_path, &documents, bytes, now);
        self.notes.extend(documents.notes);
        self.say_what_next(&profile, &final_path, registered);
        Ok(Saved {
            folder: final_path,
            zip,
            files: self.fetched.len() as u64,
            bytes,
            registered,
            notes: self.notes,
        })
    }

    fn documents(&self, profile: &Profile, home: &Home, bytes: u64, now: i64) -> Documents {
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
            bytes,
            now,
        });
        documents.os = profile.os;
        documents.now = now;
        documents.duration = duration;
        documents.notes = notes;
        documents
    }

    fn register(
        &mut self,
        profile: &Profile,
        folder: &Path,
        documents: &Documents,
        bytes: u64,
        now: i64,
    ) -> bool {
        if self.request.target.is_some() || !registry::is_drafts_folder(&self.request.drafts) {
            return false;
        }
        let entry = registry::Entry {
            name: &self.name,
            id: &made_id(&[&self.id, "draft"]),
            folder,
            json_file: profile.primary_file(),
            duration: documents.duration,
            bytes,
            now,
        };
        match registry::register(&entry) {
            Ok(_) => true,
            Err(error) => {
                self.notes.push(error.to_string());
                false
            }
        }
    }

    fn say_what_next(&mut self, profile: &Profile, folder: &Path, registered: bool) {
        let app = profile.edition.app();
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

/// What the draft's folder is called in its own documents.
///
/// Media are named by their whole path: the token for the draft's own folder stands in drafts of the
/// app too, but only for what the app itself put there, independent readers do not resolve it, and a
/// sticker with such a path was seen to show nothing. The token is for drafts whose place on the
/// other machine is not known, where it is the only path that can be right.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    folder: String,
    root: String,
    /// What stands before `/assets/…` in the timeline.
    media: String,
}

impl Home {
    fn new(request: &SaveRequest, name: &str) -> Result<Self> {
        match &request.target {
            None => {
                let drafts =
                    std::path::absolute(&request.drafts).unwrap_or_else(|_| request.drafts.clone());
                let root = registry::app_path(&drafts);
                let folder = registry::app_path(&drafts.join(name));
                Ok(Self {
                    media: folder.clone(),
                    folder,
                    root,
                })
            }
            Some(Target { folder: None, .. }) => Ok(Self::anywhere(name)),
            Some(Target {
                os,
                folder: Some(root),
            }) => {
                let root = name::target_folder(*os, root)?;
                let folder = format!("{}/{name}", root.trim_end_matches('/'));
                Ok(Self {
                    media: folder.clone(),
                    folder,
                    root,
                })
            }
        }
    }

    fn anywhere(_name: &str) -> Self {
        Self {
            folder: String::new(),
            root: String::new(),
            media: TOKEN.to_owned(),
        }
    }
}

/// A media file that lies in the draft's folder.
#[derive(Clone, Debug)]
pub(crate) struct Medium {
    list: &'static str,
    id: String,
    /// `assets/video/clip.mp4`
    inside: String,
    bytes: u64,
    facts: Facts,
}

impl Medium {
    fn content(&self) -> Content {
        match &self.facts {
            Facts {
                format: Format::Gif,
                ..
            } => Content::MovingPicture,
            Facts { is_still: true, .. } => Content::Picture,
            Facts {
                has_video: true, ..
            } if self.list == "videos" => Content::Video,
            _ => Content::Sound,
        }
    }

    fn duration(&self) -> Micros {
        match self.list {
            "audios" => self.facts.audio_duration.unwrap_or(self.facts.duration),
            _ => self.facts.duration,
        }
    }

    fn file_name(&self) -> &str {
        self.inside.rsplit('/').next().unwrap_or(&self.inside)
    }

    fn named(&self, home: &Home, draft: &str) -> File {
        File {
            path: format!("{}/{}", home.media, self.inside),
            name: self.file_name().to_owned(),
            bin_id: made_id(&[draft, self.list, &self.id, "bin"]).to_lowercase(),
            content: self.content(),
            width: self.facts.width,
            height: self.facts.height,
            duration: self.duration(),
            has_audio: self.facts.has_audio,
        }
    }

    fn entry(&self, file: &File) -> Entry {
        Entry {
            id: file.bin_id.clone(),
            name: file.name.clone(),
            inside: self.inside.clone(),
            content: file.content,
            width: file.width,
            height: file.height,
            duration: file.duration,
        }
    }
}

/// Brings all media into the folder, or says of every one why it cannot be had.
async fn fetch_all(
    needed: &[Needed],
    cover: &Arc<Cover>,
    folder: &Path,
    media: &Media,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Medium>> {
    let names = name::of_media(needed);
    for kind in names.iter().map(|(kind, _)| kind).collect::<HashSet<_>>() {
        make(&folder.join("assets").join(kind))?;
    }
    let arriving = Arriving::of(needed.len());
    // Boxed one by one: the compiler cannot see that a closure over the stream is `Send`.
    let mut work: Vec<BoxFuture<'_, (usize, Result<Medium>)>> = Vec::with_capacity(needed.len());
    let mut in_turn: Vec<_> = needed.iter().zip(&names).enumerate().collect();
    in_turn.sort_by_key(|(index, _)| !cover.shows(*index));
    for (index, (needed, (kind, stem))) in in_turn {
        let arriving = &arriving;
        work.push(Box::pin(async move {
            let heard = move |done: u64, of: Option<u64>| {
                if let Some(step) = arriving.bytes(index, done, of) {
                    progress(step);
                }
            };
            let result = fetch_one(needed, (kind, stem), folder, media, &heard).await;
            if let Ok(medium) = &result
                && cover.shows(index)
            {
                // While the other media come in, as a frame of a video takes its time.
                let (cover, folder, medium) = (cover.clone(), folder.to_owned(), medium.clone());
                let made = blocking(move || {
                    cover.write(&folder, Some(&medium));
                    Ok(())
                });
                if let Err(error) = made.await {
                    return (index, Err(error));
                }
            }
            progress(arriving.ended(index));
            (index, result)
        }));
    }
    let mut fetched: Vec<(usize, Result<Medium>)> = futures::stream::iter(work)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    fetched.sort_by_key(|(index, _)| *index);
    let mut files = Vec::with_capacity(needed.len());
    let mut failures = Vec::new();
    for (index, result) in fetched {
        match result {
            Ok(file) => files.push(file),
            Err(error) => failures.push((&needed[index], error)),
        }
    }
    if failures.is_empty() {
        return Ok(files);
    }
    Err(unfetched(&failures, needed.len()))
}

fn unfetched(failures: &[(&Needed, Error)], all: usize) -> Error {
    let rows: Vec<_> = failures
        .iter()
        .map(|(needed, error)| {
            let source = shown(&needed.source);
            let reason = Error {
                hint: None,
                kind: error.kind,
                message: error.message.clone(),
                source: None,
            };
            let cause = error.source.as_ref().map(|cause| format!(": {cause}"));
            format!(
                "- {}: {source}: {}{}",
                needed.place,
                reason.message,
                cause.unwrap_or_default()
            )
        })
        .collect();
    // One dead file makes trying again pointless; a network that is down does not.
    let kind = failures
        .iter()
        .map(|(_, error)| error.kind)
        .find(|kind| *kind == Kind::Media)
        .unwrap_or(failures[0].1.kind);
    Error::new(
        kind,
        format!(
            "nothing was saved, as {} of {all} media files cannot be had:\n{}",
            failures.len(),
            rows.join("\n")
        ),
    )
    .hint(
        "put these files where they can be reached, or make the draft with others, and save again",
    )
}

async fn fetch_one(
    needed: &Needed,
    (kind, stem): (&str, &str),
    folder: &Path,
    media: &Media,
    heard: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Medium> {
    if needed.source.is_empty() {
        return Err(Error::media("no URL or path was given"));
    }
    let place = folder.join("assets").join(kind);
    let unnamed = place.join(format!("{stem}.part"));
    let fetched = media.fetch(&needed.source, &unnamed, heard).await?;
    let facts = fetched.facts;
    let usable = match needed.list {
        "audios" => facts.has_audio,
        _ => facts.has_video || facts.is_still || facts.format == Format::Gif,
    };
    if !usable {
        return Err(Error::media(match needed.list {
            "audios" => "there is no sound in it",
            _ => "there is no picture in it",
        }));
    }
    let name = format!("{stem}.{}", facts.format.extension());
    let to = place.join(&name);
    tokio::fs::rename(&unnamed, &to)
        .await
        .map_err(|error| unwritable(&to, error))?;
    Ok(Medium {
        list: needed.list,
        id: needed.id.clone(),
        inside: format!("assets/{kind}/{name}"),
        bytes: fetched.bytes,
        facts,
    })
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
