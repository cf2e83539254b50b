//! Saving an opened draft as a copy: a new folder with its own ids, for which nothing of the original changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use capcut_draft::{CompanionFile, Document, RawJson, RootRef};
use serde_json::Value;

use super::super::existing::{self, Terms};
use super::super::files::{self, Documents, Timelines};
use super::super::home::DraftLocation;
use super::super::staging::{self, Staging};
use super::super::{
    SavedPackage, WhileRunning, blocking, name, next_here, now, refuse_running, said_of, unwritable,
};
use super::brought::{self, CopiedMedia};
use super::cover::ChosenPicture;
use super::{OpenedSubject, add_to_bin, set_known};
use crate::draft::finished::made_id;
use crate::draft::finished::shapes::shape;
use crate::engine::documents::document_error;
use crate::engine::draft_files::{BACKUP, DraftFiles, FileContent, LOCKED, META, ROOTS};
use crate::engine::marker::{self, Marker, Stamp, WrittenFile};
use crate::engine::moved_paths::moved;
use crate::engine::paths::{plain, same};
use crate::engine::timelines::{self, LAYOUT, PROJECT, Timeline};
use crate::engine::{folder_change, registry};
use crate::error::{Error, Result};
use crate::media::Media;
use crate::regular_file::{self, DOCUMENT_BYTES, Links};
use crate::units::Micros;

/// Where a copy is made.
#[derive(Clone, Debug)]
pub(crate) struct CopyRequest {
    /// The drafts folder.
    pub drafts: PathBuf,
    /// The name of the copy in the app, and of its folder.
    pub name: String,
    pub terms: Terms,
    pub while_running: WhileRunning,
}

/// The ids and paths of the copy.
struct CopyIdentity {
    name: String,
    draft_id: String,
    /// The id of the document, and of its main timeline.
    timeline_id: String,
    home: DraftLocation,
    now: i64,
}

/// A document of the copy: its path, its bytes.
type CopiedDocument = (String, Vec<u8>);

/// What is copied.
struct CopySource {
    draft: OpenedSubject,
    /// The original's folder with its documents, if it exists.
    folder: Option<(PathBuf, DraftFiles)>,
    /// The id of the original's document.
    document_id: String,
}

/// Makes the copy.
pub(crate) async fn copy(
    draft: OpenedSubject,
    request: CopyRequest,
    media: &Media,
) -> Result<SavedPackage> {
    let wanted = name::folder(&request.name);
    let mut notes = Vec::new();
    if wanted != request.name.trim() {
        notes.push(format!(
            "the folder and the draft are named \"{wanted}\", as \"{}\" is not a valid name on every system",
            request.name
        ));
    }
    let edition = draft.from.edition;
    let running = {
        let drafts = request.drafts.clone();
        let while_running = request.while_running;
        blocking(move || {
            let looked_for = registry::is_drafts_folder(&drafts).then_some(edition);
            let running = looked_for.and_then(registry::running);
            refuse_running(while_running, edition, running.as_deref())?;
            Ok(running)
        })
        .await?
    };
    let begun = request.clone();
    let (mut source, staging, identity) = blocking(move || {
        staging::clean(&begun.drafts);
        let staging = Staging::begin(&begun.drafts, &wanted, false, begun.terms)?;
        let identity = CopyIdentity::new(&draft, &staging, &begun.drafts);
        let source = CopySource::read(draft)?;
        source.copy_files(&staging, &identity)?;
        Ok((source, staging, identity))
    })
    .await?;
    notes.extend(staging.note.clone());
    let original = source.draft.folder();
    let needed = brought::brought(&source.draft, original);
    let known = source.draft.copied_media();
    let there = super::assets(&staging.path);
    let (id, home) = (&source.draft.id, &identity.home);
    let copied = brought::copy(&needed, (id, home), (&there, &known), &staging.path, media).await?;
    notes.extend(copied.notes.iter().cloned());
    let cover = ChosenPicture::take(&mut source.draft, &staging.path, media).await?;
    notes.extend(cover.note.clone());
    blocking(move || {
        for (name, bytes) in cover.files(&staging.path) {
            write(&staging.path.join(name), &bytes)?;
        }
        let mut saved = source.finish(staging, identity, copied, running.as_deref())?;
        notes.append(&mut saved.notes);
        Ok(SavedPackage { notes, ..saved })
    })
    .await
}

impl CopyIdentity {
    fn new(draft: &OpenedSubject, staging: &Staging, drafts: &Path) -> Self {
        let drafts = std::path::absolute(drafts).unwrap_or_else(|_| drafts.to_owned());
        let folder = registry::app_path(&drafts.join(&staging.name));
        // The same copy, saved again, keeps its ids.
        let made = |what: &str| made_id(&[&draft.id, &folder, what]);
        Self {
            name: staging.name.clone(),
            draft_id: made("draft"),
            timeline_id: made("timeline"),
            home: DraftLocation {
                root: registry::app_path(&drafts),
                media: folder.clone(),
                folder,
            },
            now: now(),
        }
    }
}

impl CopySource {
    fn read(draft: OpenedSubject) -> Result<Self> {
        let folder = draft.from.folder.clone().filter(|folder| folder.is_dir());
        let folder = match folder {
            Some(folder) => {
                folder_change::settle(&folder)?;
                let files = DraftFiles::read(&folder)?.with_reserves(&folder);
                Some((folder, files))
            }
            None => None,
        };
        let document_id = draft.document.id(RootRef).into_owned();
        Ok(Self {
            draft,
            folder,
            document_id,
        })
    }

    /// The id of the original's main timeline.
    fn main_timeline(&self) -> Option<&str> {
        let (_, files) = self.folder.as_ref()?;
        files.main_timeline.as_deref()
    }

    /// The path in the copy of a file of the original.
    fn path_in_copy(&self, inside: &Path, identity: &CopyIdentity) -> PathBuf {
        let main = self.main_timeline().map(timelines::folder);
        let below = main.and_then(|main| inside.strip_prefix(main).ok());
        match below {
            Some(below) => Path::new(&timelines::folder(&identity.timeline_id)).join(below),
            None => inside.to_owned(),
        }
    }

    /// Copies everything that is not written for the copy.
    fn copy_files(&self, staging: &Staging, identity: &CopyIdentity) -> Result<()> {
        let Some((folder, files)) = &self.folder else {
            return Ok(());
        };
        let all = existing::walk(folder).map_err(|error| unreadable(folder, error))?;
        let written: BTreeSet<&Path> = files
            .files
            .iter()
            .map(|file| Path::new(&*file.name))
            .chain([LOCKED, LAYOUT, marker::FILE].map(Path::new))
            .collect();
        for inside in all {
            let first = inside.iter().next().unwrap_or_default().to_string_lossy();
            // The states in `.backup` are the original's.
            let is_ours = first.starts_with(registry::TEMPORARY) || first == BACKUP;
            if is_ours || written.contains(&*inside) {
                continue;
            }
            let (from, to) = (folder.join(&inside), self.path_in_copy(&inside, identity));
            let to = staging.path.join(to);
            let copied = if from.is_dir() {
                fs::create_dir_all(&to)
            } else {
                existing::put(&from, &to, false)
            };
            copied.map_err(|error| unwritable(&to, error))?;
        }
        Ok(())
    }

    fn finish(
        mut self,
        staging: Staging,
        identity: CopyIdentity,
        copied: CopiedMedia,
        running: Option<&str>,
    ) -> Result<SavedPackage> {
        let edition = self.draft.from.edition;
        let (text, duration) = self.text(&identity, &copied)?;
        let document = Document::parse(text.clone()).map_err(document_error)?;
        let (_, bytes) = brought::counted(&self.draft.document, self.draft.from.folder.as_deref());
        let mut documents = self.documents(&identity, &text)?;
        let meta = self.meta(&identity, &copied, duration, bytes)?;
        documents.retain(|(name, _)| name != META);
        documents.push((META.to_owned(), meta));
        for (name, bytes) in &documents {
            write(&staging.path.join(name), bytes)?;
        }
        self.mark(&staging, &documents, &text)?;
        let json_file = self.json_file(&documents);
        let folder = staging.path_of_draft();
        let mut notes: Vec<String> = staging.finish()?.iter().map(said_of).collect();
        let registered = register(&identity, &folder, (json_file, duration, bytes), &mut notes);
        notes.extend(self.draft.missing_media(Some(&folder)));
        let (files, bytes) = brought::counted(&document, Some(&folder));
        Ok(SavedPackage {
            zip: None,
            unzipped: None,
            files,
            bytes,
            registered,
            notes,
            next: next_here(edition, running, registered, (&folder, &identity.name)),
            folder,
        })
    }

    /// The document of the copy, and its length in microseconds.
    fn text(&mut self, identity: &CopyIdentity, copied: &CopiedMedia) -> Result<(Vec<u8>, i64)> {
        let duration = self.draft.duration();
        let document = &mut self.draft.document;
        copied.place(document, &identity.home)?;
        if !document.id(RootRef).is_empty() {
            let mut edit = document.edit();
            edit.set(RootRef, &["id"], identity.timeline_id.as_str())
                .map_err(document_error)?;
            edit.commit();
        }
        let text = self.moved(self.draft.document.write(), identity);
        Ok((text, duration))
    }

    /// A text in which the paths below the original's folder are below that of the copy.
    fn moved(&self, text: Vec<u8>, identity: &CopyIdentity) -> Vec<u8> {
        let Some((folder, files)) = &self.folder else {
            return text;
        };
        let Ok(mut text) = String::from_utf8(text) else {
            return Vec::new();
        };
        let stated = files.file(META).and_then(|meta| {
            let meta: Value = serde_json::from_slice(meta.json()).ok()?;
            meta["draft_fold_path"].as_str().map(plain)
        });
        let stated = stated.filter(|stated| !stated.is_empty() && !same(stated, folder));
        let here = registry::app_path(folder);
        for old in stated.into_iter().chain([here]) {
            text = moved(&text, &old, &identity.home.folder, &mut |_| true);
        }
        text.into_bytes()
    }

    /// The documents of the copy, with the names that the original has.
    fn documents(&self, identity: &CopyIdentity, text: &[u8]) -> Result<Vec<CopiedDocument>> {
        let Some((folder, files)) = &self.folder else {
            return Ok(self.new_documents(identity, text));
        };
        let mut documents = Vec::new();
        for file in files.files.iter().filter(|file| file.has_timeline()) {
            // An encrypted document would show the original's state.
            if file.content() != FileContent::Encrypted {
                documents.push((self.name_in_copy(&file.name, identity), text.to_vec()));
            }
        }
        let main = self.main_timeline().unwrap_or_default().to_owned();
        let renamed = |mut value: Value| {
            for from in [&main, &self.document_id]
                .into_iter()
                .filter(|id| !id.is_empty())
            {
                timelines::rename(&mut value, from, &identity.timeline_id);
            }
            value
        };
        if let Some(project) = &files.project {
            let own = project["id"].as_str() != Some(&main);
            let mut project = renamed(project.clone());
            if own && project["id"].is_string() {
                let id = made_id(&[&identity.timeline_id, "project"]);
                project["id"] = id.into();
            }
            documents.push((PROJECT.to_owned(), project.to_string().into_bytes()));
        }
        let layout = regular_file::read(&folder.join(LAYOUT), DOCUMENT_BYTES, Links::Refuse);
        if let Ok(bytes) = layout {
            let renamed = serde_json::from_slice(&bytes).map(renamed);
            let bytes = renamed.map_or(bytes, |layout| layout.to_string().into_bytes());
            documents.push((LAYOUT.to_owned(), bytes));
        }
        Ok(documents)
    }

    fn name_in_copy(&self, name: &str, identity: &CopyIdentity) -> String {
        let path = self.path_in_copy(Path::new(name), identity);
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    }

    /// The documents of a draft folder, for a document that had none.
    fn new_documents(&self, identity: &CopyIdentity, text: &[u8]) -> Vec<CopiedDocument> {
        let profile = self.draft.profile();
        let mut documents = Documents::new(text.to_vec(), &[]);
        if let Ok(document) = Document::parse(text) {
            let timeline = Timeline::of(&document, profile.scheme(), identity.now);
            let has_timelines = profile.has_timelines() && !timeline.id.is_empty();
            documents.timelines = has_timelines.then(|| Timelines::new(&timeline));
        }
        documents.os = profile.os;
        documents.now = identity.now;
        let all = documents.all().into_iter();
        all.map(|(name, bytes)| (name, bytes.into_owned()))
            .collect()
    }

    fn meta(
        &self,
        identity: &CopyIdentity,
        copied: &CopiedMedia,
        duration: i64,
        bytes: u64,
    ) -> Result<Vec<u8>> {
        let before = self.folder.as_ref().and_then(|(_, files)| files.file(META));
        let parsed = before.and_then(|file| CompanionFile::parse(file.bytes.to_vec()).ok());
        let Some(mut meta) = parsed else {
            let meta = files::meta(&files::Meta {
                id: &identity.draft_id,
                name: &identity.name,
                folder: &identity.home.folder,
                root: &identity.home.root,
                entries: &copied.entries,
                duration: Micros(duration),
                bytes,
                now: identity.now,
            });
            return Ok(meta.to_string().into_bytes());
        };
        let edit = |meta: &mut CompanionFile| -> capcut_draft::Result<()> {
            for (key, value) in [
                ("draft_id", &identity.draft_id),
                ("draft_name", &identity.name),
                ("draft_fold_path", &identity.home.folder),
                ("draft_root_path", &identity.home.root),
            ] {
                set_known(meta, key, value)?;
            }
            for (key, value) in [
                ("tm_duration", duration),
                ("tm_draft_create", identity.now),
                ("tm_draft_modified", identity.now),
            ] {
                set_known(meta, key, &value)?;
            }
            // The draft in the cloud is the original.
            for (key, value) in shape("meta") {
                if key.starts_with("tm_draft_cloud") && key.ends_with("_id") {
                    set_known(meta, key, &-1_i64)?;
                } else if key.starts_with("tm_draft_cloud") || key.starts_with("cloud_") {
                    set_known(meta, key, &RawJson(&value.to_string()))?;
                }
            }
            add_to_bin(meta, &copied.entries, identity.now)
        };
        edit(&mut meta).map_err(document_error)?;
        Ok(self.moved(meta.write(), identity))
    }

    /// The document that the app reads first.
    fn json_file(&self, documents: &[CopiedDocument]) -> &'static str {
        let first = self.draft.profile().primary_file();
        let is_there = |name: &&str| documents.iter().any(|(document, _)| document == name);
        let mut all = [first].into_iter().chain(ROOTS).filter(is_there);
        all.next().unwrap_or(first)
    }

    fn mark(&self, staging: &Staging, documents: &[CopiedDocument], text: &[u8]) -> Result<()> {
        let mut marker = Marker::new(&self.draft.id, text);
        marker.origin = staging.origin().clone();
        let written = documents
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        marker.note_documents(written, text);
        let all =
            existing::walk(&staging.path).map_err(|error| unreadable(&staging.path, error))?;
        for inside in all {
            let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
            let Ok(stamp) = Stamp::of(&staging.path.join(&inside)) else {
                continue;
            };
            marker
                .files
                .entry(parts.join("/"))
                .or_insert(WrittenFile::Media(stamp));
        }
        marker.write(&staging.path)
    }
}

fn register(
    identity: &CopyIdentity,
    folder: &Path,
    (json_file, duration, bytes): (&str, i64, u64),
    notes: &mut Vec<String>,
) -> bool {
    if !folder.parent().is_some_and(registry::is_drafts_folder) {
        return false;
    }
    let entry = registry::RegistryEntry {
        name: &identity.name,
        id: &identity.draft_id,
        folder,
        json_file,
        duration: Micros(duration),
        bytes,
        now: identity.now,
    };
    match registry::register(&entry) {
        Ok(_) => true,
        Err(error) => {
            notes.push(error.to_string());
            false
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let attempt = || -> std::io::Result<()> {
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        fs::write(path, bytes)?;
        fs::File::open(path)?.sync_all()
    };
    attempt().map_err(|error| unwritable(path, error))
}

fn unreadable(folder: &Path, error: std::io::Error) -> Error {
    Error::conflict(format!("{} cannot be read", folder.display()))
        .hint("check the permissions of the folder")
        .source(error)
}
