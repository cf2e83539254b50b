//! A draft as a folder on disk, with all its media.
//!
//! Everything is written into a temporary folder next to the final path, which is then renamed as a whole: in
//! any case there is either the old or the new draft. If media are not available, the save fails with one
//! message that lists all of them.

pub(crate) mod archive;
mod arriving;
pub(crate) mod cover;
pub(crate) mod existing;
mod fetching;
pub(crate) mod files;
mod home;
pub(crate) mod name;
pub(crate) mod opened;
pub(crate) mod pulled;
mod staging;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::draft::finished::{
    self, ContentType, Finished, FinishedDocument, Markers, Needed, made_id,
};
use crate::engine::marker::{self, Marker, Stamp, WrittenFile};
use crate::engine::profile::{AppOs, Profile};
use crate::engine::registry;
use crate::engine::timelines::Timeline;
use crate::error::{Error, Kind, Result};
use crate::media::Media;
use crate::progress::Bytes;
use crate::units::Edition;
use archive::ArchiveSource;
use cover::{Cover, Covers};
use existing::Terms;
pub(crate) use fetching::Unfetched;
use fetching::{FetchedFile, fetch_all};
use files::{BinEntry, Documents, Timelines};
use home::DraftLocation;
use staging::{ReplacedDraft, Staging};
pub(crate) use staging::{prune_backups, prune_made};

/// How and where to save a draft.
#[derive(Clone, Debug)]
pub(crate) struct SaveRequest {
    /// The drafts folder on this machine in which the draft's folder is created.
    pub drafts: PathBuf,
    /// The name of the draft in the app, and of its folder.
    pub name: String,
    pub profile: Profile,
    /// The machine where the draft will be opened, if that is not this one.
    pub target: Option<TargetMachine>,
    /// What may be replaced.
    pub terms: Terms,
    /// Also write a zip file with everything next to the folder.
    pub zip: bool,
    /// What to do if the app is running, as it keeps its list of drafts in memory.
    pub while_running: WhileRunning,
}

/// Another machine.
#[derive(Clone, Debug)]
pub(crate) struct TargetMachine {
    pub os: AppOs,
    /// Its drafts folder. `None`: the draft can be placed in any folder.
    pub folder: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WhileRunning {
    /// Save, with a note on what to do.
    #[default]
    Warn,
    Refuse,
}

/// The result of a save.
#[derive(Debug)]
pub(crate) struct SavedPackage {
    pub folder: PathBuf,
    /// The zip file, if it was requested and could be written.
    pub zip: Option<PathBuf>,
    /// Why the zip file could not be written; the draft itself is saved.
    pub unzipped: Option<Error>,
    /// The number of media files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Whether the draft is in the app's list of drafts.
    pub registered: bool,
    /// What differs from the request.
    pub notes: Vec<String>,
    /// What to do next, so that the app shows the draft.
    pub next: String,
}

/// The progress of a save.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PackageProgress {
    pub files_done: u64,
    pub files: u64,
    /// The sum of the completed fractions of unfinished files.
    pub part: f64,
    /// Bytes of all files that were started.
    pub bytes: Bytes,
    pub message: String,
}

/// Where a cover from the web is kept until the picture is made.
const COVER_SOURCE: &str = "cover.part";

/// What is saved: the working document of a draft.
pub(crate) struct Subject {
    pub id: String,
    /// The edition whose names and ids are in it.
    pub edition: Edition,
    /// The document as returned by `query_script`.
    pub working: String,
    /// What the document lacks.
    pub notes: Vec<String>,
}

/// Saves a document from any source.
pub(crate) async fn save_document(
    subject: Subject,
    request: &SaveRequest,
    media: &Media,
    covers: &Arc<Covers>,
    progress: &(dyn Fn(PackageProgress) + Send + Sync),
) -> Result<SavedPackage> {
    let Subject {
        id,
        edition,
        working,
        mut notes,
    } = subject;
    let wanted = name::folder(&request.name);
    if wanted != request.name.trim() {
        notes.push(format!(
            "the folder and the draft are named \"{wanted}\", as \"{}\" is not a valid name on every system",
            request.name
        ));
    }
    if edition != request.profile.edition {
        notes.push(format!(
            "the draft uses effects of {}, which {} may lack: their ids differ between the apps",
            edition.app(),
            request.profile.edition.app()
        ));
    }
    // Report a wrong target before anything is written.
    DraftLocation::new(request, &wanted)?;
    let looked_for = (request.target.is_none() && registry::is_drafts_folder(&request.drafts))
        .then_some(request.profile.edition);
    let running = blocking(move || Ok(looked_for.and_then(registry::running)));
    let parsed = blocking(move || {
        serde_json::from_str::<Value>(&working).map_err(|error| {
            Error::internal("the working document of the draft is not valid JSON").source(error)
        })
    });
    let (drafts, zip) = (request.drafts.clone(), request.zip);
    let terms = Terms {
        draft: id.clone(),
        ..request.terms.clone()
    };
    // Reads the existing draft in parallel, to check whether it was changed.
    let begun = blocking(move || {
        staging::clean(&drafts);
        Staging::begin(&drafts, &wanted, zip, terms)
    });
    let (running, mut working, staging) = tokio::try_join!(running, parsed, begun)?;
    refuse_running(
        request.while_running,
        request.profile.edition,
        running.as_deref(),
    )?;
    let name = staging.name.clone();
    let home = DraftLocation::new(request, &name)?;
    notes.extend(staging.note.clone());
    let (longest_name, too_long) = home.longest_name(request, &name);
    notes.extend(too_long);
    if !request.profile.has_caption_words() {
        notes.extend(finished::without_words(&mut working));
    }
    let needed = finished::needed(&working);
    let cover = Cover::of(&working, &needed);
    let drawn = cover.time().map(|time| (time, working.to_string()));
    let (tell, arrived) = oneshot::channel();
    let first = cover.shows().map(|index| (index, tell));
    let shown = first.as_ref().map(|(index, _)| &needed[*index]);
    let folder = staging.path.clone();
    let covered = covered((cover, covers), shown, arrived, &folder, media);
    let written_out = async {
        let fetched = fetch_all((&needed, longest_name), first, &staging, media, progress).await?;
        let bytes = fetched.iter().map(|file| file.bytes).sum();
        progress(PackageProgress {
            part: 0.0,
            bytes: Bytes {
                done: bytes,
                of: None,
            },
            files_done: needed.len() as u64,
            files: needed.len() as u64,
            message: "writing the draft".to_owned(),
        });
        let earlier: Vec<String> = fetched
            .iter()
            .filter_map(|file| file.note.clone())
            .collect();
        let mut job = PackageJob {
            id,
            name,
            home,
            profile: match request.target {
                // A draft for another machine must not contain data of this one.
                Some(_) => request.profile.clone().portable(),
                None => request.profile.clone(),
            },
            request: request.clone(),
            working,
            fetched,
            bytes,
            links: media.links(),
            now: now(),
            running,
            notes,
        };
        job.notes.extend(earlier);
        blocking(move || {
            let (documents, marker) = job.written(&staging)?;
            job.free();
            Ok((job, staging, documents, marker))
        })
        .await
    };
    let ((mut job, staging, documents, marker), uncovered) =
        tokio::try_join!(written_out, covered)?;
    job.notes.extend(uncovered);
    if let Some((time, working)) = drawn {
        let sources = needed
            .iter()
            .map(|needed| (needed.list, &*needed.id, &needed.source));
        let sources: HashMap<_, _> = sources
            .map(|(list, id, source)| ((list, id), source))
            .collect();
        let fetched = job.fetched.iter().filter_map(|file| {
            let source = *sources.get(&(file.list, &*file.id))?;
            Some((source.clone(), staging.path.join(&file.inside)))
        });
        let files = fetched.collect();
        let folder = staging.path.clone();
        job.notes
            .extend(blocking(move || Ok(cover::draw(working, time, &files, &folder))).await?);
    }
    if let Some(holder) = registry::holder(&request.drafts) {
        progress(PackageProgress {
            part: 0.0,
            bytes: Bytes { done: 0, of: None },
            files_done: needed.len() as u64,
            files: needed.len() as u64,
            message: format!("waiting for {holder}, which holds the list of drafts"),
        });
    }
    blocking(move || job.finish(staging, documents, marker)).await
}

fn refuse_running(
    while_running: WhileRunning,
    edition: Edition,
    running: Option<&str>,
) -> Result<()> {
    match running {
        Some(process) if while_running == WhileRunning::Refuse => Err(Error::conflict(format!(
            "{} is running ({process}) and would overwrite its list of drafts",
            edition.app()
        ))
        .hint("quit the app and save again, or save without this check")),
        _ => Ok(()),
    }
}

/// Creates the cover while the media are fetched, as extracting a video frame takes time. Uses the source file
/// if it is on this machine, else the fetched file once it has `arrived`. Returns a note if it is not the cover that was
/// chosen.
async fn covered(
    (cover, covers): (Cover, &Arc<Covers>),
    shown: Option<&Needed>,
    arrived: oneshot::Receiver<(PathBuf, ContentType)>,
    folder: &Path,
    media: &Media,
) -> Result<Option<String>> {
    let file = match shown {
        None => match cover.file() {
            Some(source) => file_of_cover(source, folder, media).await,
            None => None,
        },
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
        let own = file.as_ref().map(|(path, content)| (&**path, *content));
        let note = cover.write(&folder, own, &covers);
        let fetched = folder.join(COVER_SOURCE);
        if file.is_some_and(|(path, _)| path == fetched) {
            let _ = std::fs::remove_file(fetched);
        }
        Ok(note)
    })
    .await
}

/// The file that was chosen as the cover; one from the web is fetched into the folder.
async fn file_of_cover(
    source: &str,
    folder: &Path,
    media: &Media,
) -> Option<(PathBuf, ContentType)> {
    if let Some(path) = media.here(source).await {
        let facts = media.facts(source).await.ok()?;
        return Some((path, fetching::content("videos", &facts)));
    }
    let to = folder.join(COVER_SOURCE);
    let fetched = media.fetch(source, &to, &|_, _| {}).await.ok()?;
    Some((to, fetching::content("videos", &fetched.facts)))
}

/// The work after the media are fetched; all of it blocks on the disk.
struct PackageJob {
    id: String,
    name: String,
    home: DraftLocation,
    profile: Profile,
    request: SaveRequest,
    working: Value,
    fetched: Vec<FetchedFile>,
    /// The size of all media.
    bytes: u64,
    /// Media may be hard links to the user's files.
    links: bool,
    /// Microseconds since 1970.
    now: i64,
    running: Option<String>,
    notes: Vec<String>,
}

impl PackageJob {
    /// Writes the documents and returns them, with the marker of the folder.
    fn written(&self, staging: &Staging) -> Result<(Documents, Marker)> {
        let (documents, document) = self.documents(&self.profile, &self.home);
        let marker = std::thread::scope(|scope| {
            // Freeing the document of a long draft takes time, so it runs while the files are written.
            scope.spawn(move || drop(document));
            let marker = scope.spawn(|| self.marker(staging, &documents));
            documents.write(&staging.path)?;
            marker
                .join()
                .map_err(|_| Error::internal("the draft could not be marked"))
        })?;
        Ok((documents, marker))
    }

    fn marker(&self, staging: &Staging, documents: &Documents) -> Marker {
        let mut marker = Marker::new(&self.id, &documents.timeline);
        let all = documents.all();
        let all = all.iter().map(|(name, bytes)| (&**name, &**bytes));
        marker.note_documents(all, &documents.timeline);
        marker.elsewhere = self.request.target.is_some();
        marker.origin = self.request.terms.origin.clone();
        if let Some(before) = staging.marker_before() {
            if marker.origin.plan.is_none() {
                marker.origin = before.origin.clone();
            }
            marker.zips.clone_from(&before.zips);
        }
        marker
    }

    /// Writes the marker, once all our files are in the folder. It is the last file, as a document that is
    /// newer than its marker was changed by the app.
    fn mark(&self, staging: &Staging, marker: &mut Marker) -> Result<()> {
        for medium in self.fetched.iter().filter(|medium| !medium.is_own) {
            let path = staging.path.join(&medium.inside);
            let stamp = Stamp::of(&path).map_err(|error| unwritable(&path, error))?;
            let stamp = if self.links { stamp.shared() } else { stamp };
            marker
                .files
                .insert(medium.inside.clone(), WrittenFile::Media(stamp));
        }
        for cover in existing::covers(&staging.path) {
            if let Ok(bytes) = marker::read(&staging.path.join(&cover)) {
                marker
                    .files
                    .insert(cover, WrittenFile::Hash(marker::hash(&bytes)));
            }
        }
        marker.write(&staging.path)
    }

    /// Frees what is no longer needed, in the background.
    fn free(&mut self) {
        if !self.request.zip {
            let working = std::mem::take(&mut self.working);
            std::thread::spawn(move || drop(working));
        }
    }

    fn finish(
        mut self,
        staging: Staging,
        documents: Documents,
        mut marker: Marker,
    ) -> Result<SavedPackage> {
        documents.write_cover(&staging.path)?;
        self.mark(&staging, &mut marker)?;
        let final_path = staging.path_of_draft();
        let before = staging.marker_before().cloned();
        if let Some(kept) = staging.finish()? {
            self.notes.push(said_of(&kept));
        }
        let registered = self.register(&final_path, &documents);
        let zipped = self.request.zip.then(|| {
            let zipped = self.zip(&final_path, marker, before.as_ref());
            zipped.map_err(|error| {
                let what = format!(
                    "the draft itself is saved in {}, but not its zip file: {}",
                    final_path.display(),
                    error.message
                );
                Error {
                    message: what,
                    ..error
                }
            })
        });
        let (zip, unzipped) = match zipped.transpose() {
            Ok(zip) => (zip, None),
            Err(error) => (None, Some(error)),
        };
        self.notes.extend(documents.notes);
        let next = self.next_step(&final_path, registered);
        Ok(SavedPackage {
            folder: final_path,
            zip,
            unzipped,
            files: self.fetched.len() as u64,
            bytes: self.bytes,
            registered,
            notes: self.notes,
            next,
        })
    }

    /// Packs the draft saved in `folder` into a zip file next to it.
    fn zip(
        &mut self,
        folder: &Path,
        mut marker: Marker,
        before: Option<&Marker>,
    ) -> Result<PathBuf> {
        let place = match &self.request.target {
            Some(_) => self.home.clone(),
            // The folder is for this machine, the zip file for any machine.
            None => DraftLocation::anywhere(),
        };
        let profile = self.profile.clone().portable();
        let (portable, _) = self.documents(&profile, &place);
        let to = self.request.drafts.join(format!("{}.zip", self.name));
        // A video and an audio material may share one file.
        let media: BTreeSet<String> = self.fetched.iter().map(|it| it.inside.clone()).collect();
        let covers = existing::covers(folder);
        let source = ArchiveSource {
            draft: &self.id,
            name: &self.name,
            edition: self.profile.edition,
            written_for: Some((self.profile.app_version.clone(), self.profile.os)),
            folder,
            documents: portable.all(),
            files: media.iter().cloned().chain(covers).collect(),
            media,
        };
        let packed = archive::pack(&source, &to)?;
        // Recorded first: if the save is killed in between, the next save recognises both files.
        marker.note_zip(packed.stamp()?);
        marker.write(folder)?;
        if let Some(kept) = packed.place(&to, before, self.request.terms.overwrite)? {
            self.notes.push(format!(
                "the previous file {} is kept in {}",
                to.display(),
                kept.display()
            ));
        }
        Ok(to)
    }

    /// The documents, and the finished document that they were made from.
    fn documents<'a>(
        &'a self,
        profile: &'a Profile,
        home: &DraftLocation,
    ) -> (Documents, FinishedDocument<'a>) {
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
        let entries: Vec<BinEntry> = self
            .fetched
            .iter()
            .map(|file| file.entry(&files[&(file.list, file.id.clone())]))
            .collect();
        // A thousand texts take some megabytes: growing the buffer step by step costs as much as writing them.
        let mut timeline = Vec::with_capacity(1 << 20);
        document.write(&mut timeline);
        let mut documents = Documents::new(timeline, &entries);
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
            id: markers.document_id.as_str().into(),
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
        let entry = registry::RegistryEntry {
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

    fn next_step(&self, folder: &Path, registered: bool) -> String {
        let app = self.profile.edition.app();
        if let Some(target) = &self.request.target {
            match &target.folder {
                Some(root) => format!(
                    "copy the folder \"{}\" into {root} on the other machine while {app} is closed, then start {app}",
                    self.name
                ),
                None => format!(
                    "copy the folder \"{}\" into {app}'s drafts folder on the machine that has {app} while {app} is closed, then start {app}",
                    self.name
                ),
            }
        } else {
            let running = self.running.as_deref();
            next_here(
                self.profile.edition,
                running,
                registered,
                (folder, &self.name),
            )
        }
    }
}

/// What to do next with a draft on this machine.
fn next_here(
    edition: Edition,
    running: Option<&str>,
    registered: bool,
    (folder, name): (&Path, &str),
) -> String {
    let app = edition.app();
    if let Some(process) = running {
        format!(
            "{app} is running ({process}) and writes its list of drafts when it quits: quit and restart it; if the draft is not shown then, save it again while {app} is closed"
        )
    } else if registered {
        format!("start {app}: the draft \"{name}\" is the first on its home page")
    } else {
        format!(
            "{} is not a drafts folder of {app}: copy the folder \"{name}\" there while {app} is closed, or save with `draft_folder` and `target_os` for the machine that has {app}",
            folder.parent().unwrap_or(folder).display()
        )
    }
}

fn said_of(kept: &ReplacedDraft) -> String {
    let edited = if kept.changed.is_empty() {
        String::new()
    } else {
        format!(
            "; it had been edited since it was saved ({})",
            existing::listed(&kept.changed)
        )
    };
    format!(
        "the previous draft with this name is kept in {}{edited}",
        kept.folder.display()
    )
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
        Err(error) => Err(Error::internal("saving panicked").source(error)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
