//! Saving an opened draft into the folder that it was opened from.
//!
//! Only what exists there is written: every copy of the document, and what the app keeps about it. It is written only
//! if the documents are as they were when the draft was opened, or as an earlier save wrote them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capcut_draft::CompanionFile;

use super::super::existing::{self, listed};
use super::super::home::DraftLocation;
use super::super::{SavedPackage, blocking};
use super::brought::{self, CopiedMedia};
use super::cover::ChosenPicture;
use super::{OpenedSubject, add_to_bin, add_to_store, assets, set_known};
use crate::engine::backup::{Backup, now};
use crate::engine::documents::{OpenedFrom, RecordedWrite};
use crate::engine::draft_files::{
    self, BACKUP, DocumentFile, DraftFiles, FileContent, META, hashes,
};
use crate::engine::folder_change::{FolderChange, NewFile};
use crate::engine::marker;
use crate::engine::registry::{self, EntryUpdate};
use crate::engine::timelines::PROJECT;
use crate::error::{Error, Result};
use crate::media::Media;

const STORE: &str = "draft_virtual_store.json";

/// A save into the folder, before it is made.
#[derive(Debug)]
pub(crate) enum PreparedSave {
    /// The folder has this state already.
    Nothing(SavedPackage),
    Change(Box<PreparedChange>),
}

/// The new files are complete, and no file of the draft has changed yet.
#[derive(Debug)]
pub(crate) struct PreparedChange {
    /// What is recorded in the journal before the first file changes.
    pub write: RecordedWrite,
    draft: OpenedSubject,
    change: FolderChange,
    /// The files that change.
    names: Vec<String>,
    /// The hashes of the documents before.
    hashes: BTreeMap<String, String>,
    removes_backup: bool,
    /// Files that other programs changed since the draft was opened.
    changed: Vec<String>,
    notes: Vec<String>,
}

/// The folder as it is before the save.
struct CheckedFolder {
    change: FolderChange,
    files: Vec<DocumentFile>,
    hashes: BTreeMap<String, String>,
    changed: Vec<String>,
}

/// Begins a save into the folder that a draft was opened from: until its end, no other process saves into it.
pub(crate) async fn begin(from: Arc<OpenedFrom>) -> Result<FolderChange> {
    blocking(move || {
        let folder = from.folder_of_file();
        if !folder.is_dir() {
            return Err(gone(folder));
        }
        if from.folder.is_some() {
            existing::refuse_open(folder)?;
            refuse_running(&from)?;
        }
        FolderChange::begin(folder)
    })
    .await
}

/// Prepares the save; with `overwrite` also if the documents were changed since. The draft was read after the save
/// was [begun](begin), so that another process cannot write a newer state in between.
pub(crate) async fn prepare(
    change: FolderChange,
    draft: OpenedSubject,
    overwrite: bool,
    media: &Media,
) -> Result<PreparedSave> {
    let (mut draft, checked) = blocking(move || {
        let checked = check(change, &draft, overwrite)?;
        Ok((draft, checked))
    })
    .await?;
    let copied = match &draft.from.folder {
        Some(folder) => {
            let needed = brought::brought(&draft, folder);
            let known = draft.copied_media();
            let (there, staged) = (assets(folder), checked.change.staged()?);
            let home = home_of(folder);
            let there = (&*there, &known);
            brought::copy(&needed, (&draft.id, &home), there, &staged, media).await?
        }
        // The app does not read a document outside of a draft folder.
        None => CopiedMedia::default(),
    };
    let staged = checked.change.staged()?;
    let cover = ChosenPicture::take(&mut draft, &staged, media).await?;
    blocking(move || checked.prepared(draft, copied, &cover)).await
}

fn home_of(folder: &Path) -> DraftLocation {
    let text = registry::app_path(folder);
    DraftLocation {
        root: folder.parent().map(registry::app_path).unwrap_or_default(),
        media: text.clone(),
        folder: text,
    }
}

fn check(change: FolderChange, draft: &OpenedSubject, overwrite: bool) -> Result<CheckedFolder> {
    let folder = draft.folder();
    let files = match &draft.from.folder {
        Some(folder) => DraftFiles::read(folder)?.with_reserves(folder).files,
        None => {
            let name = draft.from.file.file_name().unwrap_or_default();
            let file = draft_files::read(folder, &name.to_string_lossy())?;
            vec![file.ok_or_else(|| gone(&draft.from.file))?]
        }
    };
    let hashes = hashes(&files);
    let changed = changed_since(draft, &hashes);
    if !changed.is_empty() && !overwrite {
        return Err(Error::conflict(format!(
            "{} was changed since it was opened ({}), for instance in the app",
            draft.from.folder.as_deref().unwrap_or(&draft.from.file).display(),
            listed(&changed)
        ))
        .hint(
            "open it again with `open_draft` and repeat the edits, save this state as a copy with `name`, or replace \
             those changes with `overwrite`, which keeps a backup",
        ));
    }
    Ok(CheckedFolder {
        change,
        files,
        hashes,
        changed,
    })
}

fn gone(path: &Path) -> Error {
    Error::not_found(format!("{} does not exist any more", path.display()))
        .hint("save the draft as a copy, with `name` or `draft_folder`")
}

/// The app writes its own state of a draft when it closes it or quits.
fn refuse_running(from: &OpenedFrom) -> Result<()> {
    let app = from.edition.app();
    let Some(process) = registry::running(from.edition) else {
        return Ok(());
    };
    Err(Error::conflict(format!(
        "{app} is running ({process}) and could overwrite the draft in {}",
        from.path().display()
    ))
    .hint(format!(
        "quit {app} and save again, or save a copy with `name`"
    )))
}

/// The documents that are neither as they were when the draft was opened nor as a save wrote them.
fn changed_since(draft: &OpenedSubject, now: &BTreeMap<String, String>) -> Vec<String> {
    let opened = [&draft.from.files];
    let states = opened
        .into_iter()
        .chain(draft.writes.iter().map(|write| &write.files));
    let differences = |state: &BTreeMap<String, String>| -> BTreeSet<String> {
        let is_document = |name: &&String| *name != META;
        now.iter()
            .filter(|(name, hash)| state.get(*name) != Some(*hash))
            // The app may have made its first reserve copy since.
            .filter(|(name, _)| !draft_files::is_reserve(name) || state.contains_key(*name))
            .map(|(name, _)| name)
            .chain(state.keys().filter(|name| !now.contains_key(*name)))
            .filter(is_document)
            .cloned()
            .collect()
    };
    let mut last = BTreeSet::new();
    for state in states {
        last = differences(state);
        if last.is_empty() {
            break;
        }
    }
    last.into_iter().collect()
}

impl CheckedFolder {
    /// Writes the new files into the temporary folder.
    fn prepared(
        mut self,
        mut draft: OpenedSubject,
        copied: CopiedMedia,
        cover: &ChosenPicture,
    ) -> Result<PreparedSave> {
        let folder = draft.folder().to_owned();
        let own = draft.from.folder.is_some();
        let is_unedited =
            draft.base.is_none() && draft.writes.is_empty() && self.changed.is_empty();
        if !copied.files.is_empty() {
            copied.place(&mut draft.document, &home_of(&folder))?;
            draft.rewrite();
        }
        let (text, hash) = (std::mem::take(&mut draft.text), draft.hash.clone());
        let is_stale = |file: &&DocumentFile| {
            file.has_timeline() && file.content() != FileContent::Encrypted && *file.bytes != text
        };
        let stale: Vec<&DocumentFile> = self.files.iter().filter(is_stale).collect();
        let mut notes = self.encrypted();
        notes.extend(copied.notes.iter().cloned());
        notes.extend(draft.missing_media(own.then_some(&folder)));
        notes.extend(cover.note.clone());
        let covers = if own {
            cover.files(&folder)
        } else {
            Vec::new()
        };
        if is_unedited || stale.is_empty() && covers.is_empty() {
            notes.push(format!(
                "{} has this state already: nothing was written",
                draft.from.path().display()
            ));
            let listed = registry::entry(&folder).ok().flatten().is_some();
            return Ok(PreparedSave::Nothing(draft.saved(listed, notes)));
        }
        let update = EntryUpdate {
            name: draft.name_in_app(&self.files),
            duration: draft.duration(),
            bytes: None,
            now: now(),
        };
        let name = update.name.clone();
        let (new, update) = self.about(&folder, update, &copied, &mut notes)?;
        let mut writes: Vec<NewFile<'_>> = stale
            .iter()
            .map(|file| NewFile {
                name: &file.name,
                bytes: &text,
                hash: hash.clone(),
                before: self.hashes.get(&file.name).cloned(),
                seen: Some(file.state),
            })
            .collect();
        writes.extend(new.iter().map(|(file, bytes)| NewFile {
            name: &file.name,
            bytes,
            hash: marker::hash(bytes),
            before: Some(marker::hash(&file.bytes)),
            seen: Some(file.state),
        }));
        writes.extend(covers.iter().map(|(name, bytes)| {
            NewFile {
                name,
                bytes,
                hash: marker::hash(bytes),
                before: marker::read(&folder.join(name))
                    .ok()
                    .map(|before| marker::hash(&before)),
                seen: None,
            }
        }));
        let names: Vec<String> = writes.iter().map(|file| file.name.to_owned()).collect();
        let mut after = self.hashes.clone();
        for file in &writes {
            if let Some(known) = after.get_mut(file.name) {
                known.clone_from(&file.hash);
            }
        }
        self.change.write(writes)?;
        for name in &copied.new {
            self.change.add(name)?;
        }
        let removes_backup = own && draft.profile().restores_backup() && is_folder(&folder, BACKUP);
        if removes_backup {
            self.change.remove(BACKUP);
        }
        self.change.update_entry(update);
        Ok(PreparedSave::Change(Box::new(PreparedChange {
            write: RecordedWrite {
                files: after,
                media: copied.files,
                name,
            },
            draft,
            change: self.change,
            names,
            hashes: self.hashes,
            removes_backup,
            changed: self.changed,
            notes,
        })))
    }

    /// A note that names the documents that cannot be written.
    fn encrypted(&self) -> Vec<String> {
        let encrypted = self
            .files
            .iter()
            .filter(|file| file.has_timeline() && file.content() == FileContent::Encrypted);
        let names: Vec<String> = encrypted.map(|file| file.name.clone()).collect();
        if names.is_empty() {
            return Vec::new();
        }
        vec![format!(
            "encrypted by the app and not changed: {}; if the app reads these first, it does not show the edits",
            listed(&names)
        )]
    }

    /// The files that describe the draft, as they were read, with their new contents; and the update of the draft in the
    /// app's list.
    fn about(
        &self,
        folder: &Path,
        mut update: EntryUpdate,
        copied: &CopiedMedia,
        notes: &mut Vec<String>,
    ) -> Result<(Vec<(DocumentFile, Vec<u8>)>, EntryUpdate)> {
        let mut new = Vec::new();
        let mut add =
            |file: &DocumentFile, edited: capcut_draft::Result<CompanionFile>| match edited {
                Ok(edited) => {
                    let bytes = edited.write();
                    if bytes != *file.bytes {
                        new.push((file.clone(), bytes));
                    }
                }
                Err(error) => {
                    let name = &file.name;
                    notes.push(format!("`{name}` was not changed: {}", error.message));
                }
            };
        for file in &self.files {
            let edit = match &*file.name {
                META => Self::meta(file, &mut update, copied),
                PROJECT => Self::project(file, update.now),
                _ => continue,
            };
            add(file, edit);
        }
        if !copied.entries.is_empty()
            && let Some(file) = draft_files::read(folder, STORE)?
        {
            let edit = CompanionFile::parse(file.bytes.to_vec()).and_then(|mut store| {
                add_to_store(&mut store, &copied.entries)?;
                Ok(store)
            });
            add(&file, edit);
        }
        Ok((new, update))
    }

    fn meta(
        file: &DocumentFile,
        update: &mut EntryUpdate,
        copied: &CopiedMedia,
    ) -> capcut_draft::Result<CompanionFile> {
        let mut meta = CompanionFile::parse(file.bytes.to_vec())?;
        set_known(&mut meta, "tm_duration", &update.duration)?;
        set_known(&mut meta, "tm_draft_modified", &update.now)?;
        if let Some(name) = &update.name {
            set_known(&mut meta, "draft_name", name)?;
        }
        if !copied.entries.is_empty() {
            add_to_bin(&mut meta, &copied.entries, update.now)?;
            let key = "draft_timeline_materials_size_";
            let size = meta.raw(&[capcut_draft::PathPart::Key(key)]);
            let size = size.and_then(|size| std::str::from_utf8(size).ok()?.parse::<i64>().ok());
            if let Some(size) = size {
                let size = size.saturating_add_unsigned(copied.bytes);
                set_known(&mut meta, key, &size)?;
                update.bytes = u64::try_from(size).ok();
            }
        }
        Ok(meta)
    }

    /// The list of timelines with the time of the change.
    fn project(file: &DocumentFile, now: i64) -> capcut_draft::Result<CompanionFile> {
        use capcut_draft::PathPart::{Index, Key};
        let mut project = CompanionFile::parse(file.bytes.to_vec())?;
        set_known(&mut project, "update_time", &now)?;
        let main = project.text(&[Key("main_timeline_id")]);
        let main = main.unwrap_or_default().into_owned();
        let timeline = |index| [Key("timelines"), Index(index)];
        for index in 0.. {
            let [list, item] = timeline(index);
            if project.raw(&[list, item]).is_none() {
                break;
            }
            let changed = [list, item, Key("update_time")];
            let is_main = project
                .text(&[list, item, Key("id")])
                .is_some_and(|id| id == main);
            if is_main && project.raw(&changed).is_some() {
                project.set(&changed, &now)?;
            }
        }
        Ok(project)
    }
}

fn is_folder(folder: &Path, name: &str) -> bool {
    folder
        .join(name)
        .symlink_metadata()
        .is_ok_and(|there| there.is_dir())
}

impl OpenedSubject {
    /// The name to be written for the app: that of an edit, or after its undo the one at opening.
    fn name_in_app(&self, files: &[DocumentFile]) -> Option<String> {
        self.new_name().or_else(|| {
            let meta = files.iter().find(|file| file.name == META)?;
            let meta = CompanionFile::parse(meta.bytes.to_vec()).ok()?;
            let now = meta.text(&[capcut_draft::PathPart::Key("draft_name")])?;
            let is_ours = |write: &RecordedWrite| write.name.as_deref() == Some(&*now);
            let is_other = now != *self.name && self.writes.iter().any(is_ours);
            is_other.then(|| self.name.clone())
        })
    }

    fn saved(&self, registered: bool, notes: Vec<String>) -> SavedPackage {
        let folder = self.folder().to_owned();
        let own = self.from.folder.as_deref();
        let (files, bytes) = brought::counted(&self.document, own);
        let app = self.from.edition.app();
        let next = match own {
            Some(_) => {
                let name = self.new_name().unwrap_or_else(|| self.name.clone());
                format!("start {app} and open the draft \"{name}\"")
            }
            None => format!("the document is in {}", self.from.file.display()),
        };
        SavedPackage {
            folder,
            zip: None,
            unzipped: None,
            files,
            bytes,
            registered,
            notes,
            next,
        }
    }
}

impl PreparedChange {
    /// Makes the change, after a backup in a folder below `backups`.
    pub(crate) async fn commit(self, backups: PathBuf) -> Result<SavedPackage> {
        blocking(move || self.commit_now(&backups)).await
    }

    fn commit_now(mut self, backups: &Path) -> Result<SavedPackage> {
        let folder = self.draft.folder().to_owned();
        let mut backup = Backup::new(&folder, backups);
        backup.keep_all(self.names.iter().map(String::as_str), &self.hashes)?;
        if self.removes_backup {
            backup.keep_folder(&folder.join(BACKUP), BACKUP)?;
        }
        self.change.commit()?;
        if let Some(backup) = backup.made() {
            let backup = backup.display();
            self.notes.push(if self.changed.is_empty() {
                format!("the files before this save are in {backup}")
            } else {
                format!(
                    "{} had been changed since the draft was opened; the files before this save are in {backup}",
                    listed(&self.changed)
                )
            });
        }
        if self.removes_backup {
            self.notes.push(format!(
                "`{BACKUP}` was moved there as well: otherwise the app would restore the earlier state in it"
            ));
        }
        let registered = registry::entry(&folder).ok().flatten().is_some();
        Ok(self.draft.saved(registered, self.notes))
    }
}
