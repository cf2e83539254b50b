//! Changes of several files of a folder that take effect together, even if the process is killed.
//!
//! The new files are first written into a temporary folder inside the folder. Then a record lists them, and they are
//! moved to their paths. After a kill, the next access to the folder moves the rest, or removes files that no record
//! lists. Nothing is moved over a file that another program has changed since.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::engine::backup::unwritable;
use crate::engine::draft_files::is_open_in_app;
use crate::engine::exclusive::Exclusive;
use crate::engine::marker::{Hashes, Stamp, WrittenFile};
use crate::engine::registry::{self, EntryUpdate};
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, DOCUMENT_BYTES, FileState, Links};

/// The temporary folder; the app ignores it.
const FOLDER: &str = ".capcut-mcp-change";
const LOCK: &str = ".capcut-mcp-change.lock";
const RECORD: &str = "record.json";
/// The new files, by their paths in the folder.
const NEW: &str = "new";
/// The files that they replace.
const OLD: &str = "old";
/// Timeout for another process that changes the folder, which takes milliseconds after its media are there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A complete change.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ChangeRecord {
    /// Files and folders that get another name before files are moved: from, to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    renamed: Vec<(String, String)>,
    /// By their paths in the folder.
    files: BTreeMap<String, ChangedFile>,
    /// Folders that are removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
    /// What changes in the app's list of drafts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<EntryUpdate>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ChangedFile {
    /// SHA-256 of the file that it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    after: WrittenFile,
}

/// A change that is prepared; no other process changes the folder meanwhile. Dropped before
/// [`commit`](Self::commit), it leaves nothing.
#[derive(Debug)]
pub(crate) struct FolderChange {
    folder: PathBuf,
    record: ChangeRecord,
    /// The files that are replaced and were as they had been read, and the new ones; by their paths in the folder. The
    /// content of a file that is in the same state need not be read again.
    seen: FileStates,
    written: FileStates,
    /// A change that could neither be made nor taken back stays for the next access.
    is_left: bool,
    _lock: Exclusive,
}

type FileStates = BTreeMap<String, FileState>;

/// A new file.
#[derive(Debug)]
pub(crate) struct NewFile<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
    /// SHA-256 of the bytes.
    pub hash: String,
    /// SHA-256 of the file that it replaces; none if there must be none.
    pub before: Option<String>,
    /// The state of that file when it was read, if known.
    pub seen: Option<FileState>,
}

/// Completes or removes what a killed process left in `folder`.
pub(crate) fn settle(folder: &Path) -> Result<()> {
    if has_change(folder) {
        lock(folder)?;
    }
    Ok(())
}

/// As [`settle`], but leaves the folder to a process that is saving into it now.
pub(crate) fn settle_if_free(folder: &Path) -> Result<()> {
    if has_change(folder) {
        try_lock(folder)?;
    }
    Ok(())
}

fn has_change(folder: &Path) -> bool {
    let is_there = |name: &str| fs::symlink_metadata(folder.join(name)).is_ok();
    is_there(FOLDER) || is_there(LOCK)
}

/// Waits for other processes, and completes or removes what a killed one left.
fn lock(folder: &Path) -> Result<Exclusive> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(lock) = try_lock(folder)? {
            return Ok(lock);
        }
        if Instant::now() > until {
            return Err(Error::new(
                Kind::Busy,
                format!("another process is saving into {}", folder.display()),
            )
            .hint("try again when it has finished"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `None` while another process has the lock.
fn try_lock(folder: &Path) -> Result<Option<Exclusive>> {
    let path = folder.join(LOCK);
    let lock = Exclusive::new(&path).map_err(|error| unwritable(&path, error))?;
    if lock.is_some() {
        finish_earlier(folder)?;
    }
    Ok(lock)
}

/// Completes the change that a killed process left, or removes it if it had not begun to move files.
fn finish_earlier(folder: &Path) -> Result<()> {
    let temporary = folder.join(FOLDER);
    if fs::symlink_metadata(&temporary).is_err() {
        return Ok(());
    }
    let path = temporary.join(RECORD);
    let record = match regular_file::read(&path, DOCUMENT_BYTES, Links::Refuse) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            remove(&temporary);
            return Ok(());
        }
        Err(error) => return Err(unwritable(&path, error)),
    };
    let record: ChangeRecord = serde_json::from_slice(&record).map_err(|error| {
        Error::conflict(format!(
            "{} describes an interrupted save and cannot be read",
            path.display()
        ))
        .hint(format!(
            "it may be from a newer version of this program: use that version, or remove the folder {}",
            temporary.display()
        ))
        .source(error)
    })?;
    if is_open_in_app(folder) {
        // The app writes its own state; the save is completed or dropped when it has closed the draft.
        return Ok(());
    }
    // The states are not recorded: the files are read.
    let unknown = FileStates::new();
    if record.is_inside(folder) && record.is_untouched(folder, &unknown) {
        record.run(folder, &unknown)?;
    } else {
        tracing::warn!(
            "an interrupted save into {} was dropped, as another program changed the files since",
            folder.display()
        );
    }
    remove(&temporary);
    Ok(())
}

impl ChangeRecord {
    /// Whether all paths are inside the folder; the record may have been written by others.
    fn is_inside(&self, folder: &Path) -> bool {
        let renamed = self.renamed.iter().flat_map(|(from, to)| [from, to]);
        let names = self.files.keys().chain(&self.removed).chain(renamed);
        let mut names = names.map(Path::new);
        let real = folder.canonicalize().ok();
        names.all(|path| {
            let above = folder.join(path.parent().unwrap_or(path));
            let is_linked = above
                .canonicalize()
                .is_ok_and(|above| real.as_ref().is_none_or(|real| !above.starts_with(real)));
            let mut parts = path.components();
            !is_linked && parts.all(|part| matches!(part, Component::Normal(_)))
        })
    }

    /// Whether every file is as before the change or as after it; `seen` are files as before it.
    fn is_untouched(&self, folder: &Path, seen: &FileStates) -> bool {
        let mut hashes = Hashes::default();
        self.files.iter().all(|(name, file)| {
            let path = folder.join(name);
            let before = folder.join(name_before(&self.renamed, name));
            if seen
                .get(name)
                .is_some_and(|state| state.is_same_at(&before))
            {
                return true;
            }
            // Usually as before: then it is read once.
            hashes.of(&path) == file.before
                || file.after.is_at(&path, &mut hashes)
                || hashes.of(&before) == file.before
        })
    }

    /// Whether a file is as after the change; `written` are the new files before they were moved.
    fn is_done(
        &self,
        folder: &Path,
        name: &str,
        written: &FileStates,
        hashes: &mut Hashes,
    ) -> bool {
        let path = folder.join(name);
        match (written.get(name), self.files.get(name)) {
            (Some(state), _) => state.is_moved_to(&path),
            (None, Some(file)) => file.after.is_at(&path, hashes),
            (None, None) => false,
        }
    }

    /// Moves the files that are not at their paths yet.
    fn run(&self, folder: &Path, written: &FileStates) -> Result<()> {
        let temporary = folder.join(FOLDER);
        for (from, to) in &self.renamed {
            let (from, to) = (folder.join(from), folder.join(to));
            if fs::symlink_metadata(&from).is_ok() && fs::symlink_metadata(&to).is_err() {
                move_file(&from, &to).map_err(|error| unwritable(&from, error))?;
            }
        }
        for name in self.files.keys() {
            let (from, to) = (temporary.join(NEW).join(name), folder.join(name));
            if fs::symlink_metadata(&from).is_ok() {
                move_file(&from, &to).map_err(|error| unwritable(&to, error))?;
            }
        }
        for name in &self.removed {
            let (from, to) = (folder.join(name), temporary.join(OLD).join(name));
            if fs::symlink_metadata(&from).is_ok() {
                move_file(&from, &to).map_err(|error| unwritable(&from, error))?;
            }
        }
        let mut hashes = Hashes::default();
        for name in self.files.keys() {
            if !self.is_done(folder, name, written, &mut hashes) {
                return Err(Error::conflict(format!(
                    "{} was changed by another program during the save",
                    folder.join(name).display()
                ))
                .hint(
                    "close the app, open the draft again with `open_draft`, and repeat the edits",
                ));
            }
        }
        self.sync(folder);
        if let Some(entry) = &self.entry
            && let Err(error) = registry::update(folder, entry)
        {
            // The list belongs to the app, and the draft is usable without it.
            tracing::warn!(%error, "the app's list of drafts was not updated");
        }
        Ok(())
    }

    fn sync(&self, folder: &Path) {
        let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
        for name in self.files.keys() {
            let above = folder.join(name).parent().map(Path::to_owned);
            folders.extend(above.filter(|above| !folders.contains(above)));
        }
        for folder in &folders {
            sync_folder(folder);
        }
    }

    /// Puts the old files back, after a failed run.
    fn take_back(&self, folder: &Path, written: &FileStates) -> io::Result<()> {
        let temporary = folder.join(FOLDER);
        let mut hashes = Hashes::default();
        for (name, file) in &self.files {
            let (new, old) = (
                temporary.join(NEW).join(name),
                temporary.join(OLD).join(name),
            );
            let path = folder.join(name);
            // A file that is still in the temporary folder was not moved.
            if fs::symlink_metadata(&new).is_ok()
                || !self.is_done(folder, name, written, &mut hashes)
            {
                continue;
            }
            match file.before {
                Some(_) => fs::rename(&old, &path)?,
                None => fs::remove_file(&path)?,
            }
        }
        for name in &self.removed {
            let old = temporary.join(OLD).join(name);
            if fs::symlink_metadata(&old).is_ok() {
                fs::rename(&old, folder.join(name))?;
            }
        }
        for (from, to) in self.renamed.iter().rev() {
            let (from, to) = (folder.join(from), folder.join(to));
            if fs::symlink_metadata(&from).is_err() && fs::symlink_metadata(&to).is_ok() {
                fs::rename(&to, &from)?;
            }
        }
        self.sync(folder);
        Ok(())
    }
}

impl FolderChange {
    /// Begins a change of `folder`, after what a killed process left there.
    pub(crate) fn begin(folder: &Path) -> Result<Self> {
        let lock = lock(folder)?;
        let temporary = folder.join(FOLDER);
        if fs::symlink_metadata(&temporary).is_ok() {
            return Err(Error::conflict(format!(
                "an earlier save into {} was interrupted, and the draft is open in the app",
                folder.display()
            ))
            .hint("close the draft in the app and save again"));
        }
        Ok(Self {
            folder: folder.to_owned(),
            record: ChangeRecord::default(),
            seen: FileStates::new(),
            written: FileStates::new(),
            is_left: false,
            _lock: lock,
        })
    }

    /// The folder into which new files can be written before they are [added](Self::add).
    pub(crate) fn staged(&self) -> Result<PathBuf> {
        let new = self.folder.join(FOLDER).join(NEW);
        fs::create_dir_all(&new).map_err(|error| unwritable(&new, error))?;
        Ok(new)
    }

    /// Adds a file that is in the [staged](Self::staged) folder, at its path there.
    pub(crate) fn add(&mut self, name: &str) -> Result<()> {
        let path = self.staged()?.join(name);
        let stamp = File::open(&path)
            .and_then(|file| file.sync_all())
            .and_then(|()| Stamp::of(&path));
        let stamp = stamp.map_err(|error| unwritable(&path, error))?;
        let file = ChangedFile {
            before: None,
            after: WrittenFile::Media(stamp),
        };
        self.record.files.insert(name.to_owned(), file);
        Ok(())
    }

    /// Adds files with this content.
    pub(crate) fn write(&mut self, files: Vec<NewFile<'_>>) -> Result<()> {
        let staged = self.staged()?;
        let (folder, renamed) = (&self.folder, &self.record.renamed);
        let write = |file: &NewFile<'_>| {
            let path = staged.join(file.name);
            let before = folder.join(name_before(renamed, file.name));
            let attempt = || {
                write_new(&path, file.bytes)?;
                let is_as_read = file.seen.is_some_and(|state| state.is_at(&before));
                keep_old(folder, &before, file)?;
                // The link that keeps it is a change of the file.
                let seen = is_as_read.then(|| FileState::of(&before)).transpose()?;
                Ok((FileState::of(&path)?, seen))
            };
            attempt().map_err(|error| unwritable(&path, error))
        };
        let write = &write;
        let states: Vec<(FileState, Option<FileState>)> = std::thread::scope(|scope| {
            // The disk syncs several files in the time of one.
            let all: Vec<_> = files
                .iter()
                .map(|file| scope.spawn(move || write(file)))
                .collect();
            let joined = all.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::internal("a file could not be written")))
            });
            joined.collect::<Result<_>>()
        })?;
        for (file, (written, seen)) in files.into_iter().zip(states) {
            self.written.insert(file.name.to_owned(), written);
            if let Some(seen) = seen {
                self.seen.insert(file.name.to_owned(), seen);
            }
            let recorded = ChangedFile {
                before: file.before,
                after: WrittenFile::Hash(file.hash),
            };
            self.record.files.insert(file.name.to_owned(), recorded);
        }
        Ok(())
    }

    /// Gives a file or folder another name. Files that are written have their new paths; they come after this.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        self.record.renamed.push((from.to_owned(), to.to_owned()));
    }

    /// Removes a folder.
    pub(crate) fn remove(&mut self, name: &str) {
        self.record.removed.push(name.to_owned());
    }

    /// Updates the entry of the draft in the app's list of drafts.
    pub(crate) fn update_entry(&mut self, entry: EntryUpdate) {
        self.record.entry = Some(entry);
    }

    /// Makes the change: after a failure, all files are as before; after a kill, the next access completes it.
    pub(crate) fn commit(mut self) -> Result<()> {
        if !self.record.is_untouched(&self.folder, &self.seen) {
            return Err(changed_meanwhile(&self.folder));
        }
        let temporary = self.folder.join(FOLDER);
        let record = serde_json::to_vec(&self.record)
            .map_err(|error| Error::internal("a record cannot be written as JSON").source(error))?;
        self.sync_staged(&temporary);
        registry::write(&temporary.join(RECORD), &record)?;
        sync_folder(&temporary);
        sync_folder(&self.folder);
        if let Err(error) = self.record.run(&self.folder, &self.written) {
            if let Err(cause) = self.record.take_back(&self.folder, &self.written) {
                tracing::warn!(%cause, "the files before a failed save could not be put back");
                self.is_left = true;
            }
            return Err(error);
        }
        Ok(())
    }

    fn sync_staged(&self, temporary: &Path) {
        let new = temporary.join(NEW);
        for name in self.record.files.keys() {
            if let Some(above) = new.join(name).parent() {
                sync_folder(above);
            }
        }
        sync_folder(&new);
    }
}

impl Drop for FolderChange {
    fn drop(&mut self) {
        if !self.is_left {
            remove(&self.folder.join(FOLDER));
        }
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Keeps the file that a new one replaces until the change is complete, and gives the new one its permissions.
fn keep_old(folder: &Path, path: &Path, file: &NewFile<'_>) -> io::Result<()> {
    if file.before.is_none() {
        return Ok(());
    }
    let temporary = folder.join(FOLDER);
    let old = temporary.join(OLD).join(file.name);
    if let Some(above) = old.parent() {
        fs::create_dir_all(above)?;
    }
    if fs::hard_link(path, &old).is_err() {
        fs::copy(path, &old)?;
    }
    let permissions = fs::metadata(path)?.permissions();
    fs::set_permissions(temporary.join(NEW).join(file.name), permissions)
}

/// The path that a file has before files and folders get their new names.
pub(crate) fn name_before(renamed: &[(String, String)], name: &str) -> String {
    for (from, to) in renamed {
        if let Some(below) = name.strip_prefix(to.as_str())
            && (below.is_empty() || below.starts_with('/'))
        {
            return format!("{from}{below}");
        }
    }
    name.to_owned()
}

fn changed_meanwhile(path: &Path) -> Error {
    Error::conflict(format!(
        "{} was changed by another program in the meantime, so nothing was written",
        path.display()
    ))
    .hint("close the draft in the app and try again")
}

fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(above) = to.parent() {
        fs::create_dir_all(above)?;
    }
    fs::rename(from, to)
}

/// Removes the temporary folder: first the record, so that a kill in between leaves nothing to complete.
fn remove(temporary: &Path) {
    let _ = fs::remove_file(temporary.join(RECORD));
    let _ = fs::remove_dir_all(temporary);
}

/// Syncs the entries of a folder to the disk, if the system supports it.
pub(crate) fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::marker;

    fn draft() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("Timelines")).unwrap();
        for name in ["one.json", "Timelines/two.json"] {
            fs::write(folder.path().join(name), "old").unwrap();
        }
        folder
    }

    fn read(folder: &Path, name: &str) -> Option<String> {
        fs::read_to_string(folder.join(name)).ok()
    }

    fn file<'a>(name: &'a str, before: Option<&str>) -> NewFile<'a> {
        NewFile {
            name,
            bytes: b"new",
            hash: marker::hash(b"new"),
            before: before.map(|before| marker::hash(before.as_bytes())),
            seen: None,
        }
    }

    fn begun(folder: &Path) -> FolderChange {
        let mut change = FolderChange::begin(folder).unwrap();
        let files = ["one.json", "Timelines/two.json"].map(|name| file(name, Some("old")));
        change.write(files.into()).unwrap();
        change.write(vec![file("three.json", None)]).unwrap();
        change.remove("gone");
        change
    }

    /// As a killed process leaves it.
    fn killed(mut change: FolderChange, is_recorded: bool) {
        if is_recorded {
            let record = serde_json::to_vec(&change.record).unwrap();
            fs::write(change.folder.join(FOLDER).join(RECORD), record).unwrap();
        }
        change.is_left = true;
    }

    #[test]
    fn a_change_is_made_completely_and_leaves_no_temporary_files() {
        let folder = draft();
        fs::create_dir_all(folder.path().join("gone/deep")).unwrap();
        begun(folder.path()).commit().unwrap();
        for name in ["one.json", "Timelines/two.json", "three.json"] {
            assert_eq!(read(folder.path(), name).as_deref(), Some("new"), "{name}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn after_a_kill_a_recorded_change_is_completed_and_another_is_removed() {
        for is_recorded in [false, true] {
            let folder = draft();
            killed(begun(folder.path()), is_recorded);
            // One file was moved before the kill.
            if is_recorded {
                let new = folder.path().join(FOLDER).join(NEW);
                fs::rename(new.join("one.json"), folder.path().join("one.json")).unwrap();
            }
            settle(folder.path()).unwrap();
            let expected = if is_recorded { "new" } else { "old" };
            for name in ["one.json", "Timelines/two.json"] {
                assert_eq!(read(folder.path(), name).as_deref(), Some(expected));
            }
            let three = read(folder.path(), "three.json");
            assert_eq!(three.is_some(), is_recorded);
            assert!(!folder.path().join(FOLDER).exists() && !folder.path().join(LOCK).exists());
        }
    }

    #[test]
    fn what_another_program_wrote_after_the_kill_is_kept() {
        let folder = draft();
        killed(begun(folder.path()), true);
        fs::write(folder.path().join("one.json"), "theirs").unwrap();
        settle(folder.path()).unwrap();
        assert_eq!(read(folder.path(), "one.json").as_deref(), Some("theirs"));
        let two = read(folder.path(), "Timelines/two.json");
        assert_eq!(two.as_deref(), Some("old"));
        assert!(!folder.path().join(FOLDER).exists());
    }

    #[test]
    fn a_draft_that_is_open_in_the_app_waits() {
        let folder = draft();
        killed(begun(folder.path()), true);
        let locked = folder.path().join(".locked");
        fs::write(&locked, "").unwrap();
        settle(folder.path()).unwrap();
        assert_eq!(read(folder.path(), "one.json").as_deref(), Some("old"));
        let error = FolderChange::begin(folder.path()).unwrap_err();
        assert!(error.to_string().contains("interrupted"), "{error}");
        fs::remove_file(&locked).unwrap();
        settle(folder.path()).unwrap();
        assert_eq!(read(folder.path(), "one.json").as_deref(), Some("new"));
    }

    #[test]
    fn a_change_that_fails_or_meets_a_newer_file_changes_nothing() {
        let folder = draft();
        fs::write(folder.path().join("file"), "").unwrap();
        let mut change = begun(folder.path());
        change.rename("Timelines", "renamed");
        // The last of the files: its folder cannot be created.
        change.write(vec![file("zzz/four.json", None)]).unwrap();
        fs::write(folder.path().join("zzz"), "a file").unwrap();
        change.commit().unwrap_err();
        for name in ["one.json", "Timelines/two.json"] {
            assert_eq!(read(folder.path(), name).as_deref(), Some("old"), "{name}");
        }
        assert!(read(folder.path(), "three.json").is_none());
        let change = begun(folder.path());
        fs::write(folder.path().join("one.json"), "theirs").unwrap();
        let error = change.commit().unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
        assert_eq!(read(folder.path(), "one.json").as_deref(), Some("theirs"));
        assert!(!folder.path().join(FOLDER).exists());
    }

    #[test]
    fn a_record_with_paths_outside_of_the_folder_is_not_followed() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("draft");
        fs::create_dir_all(folder.join(FOLDER).join(NEW)).unwrap();
        let record = r#"{"files": {}, "renamed": [["../mine", "stolen"]]}"#;
        fs::write(folder.join(FOLDER).join(RECORD), record).unwrap();
        fs::write(outer.path().join("mine"), "mine").unwrap();
        settle(&folder).unwrap();
        assert!(outer.path().join("mine").exists() && !folder.join("stolen").exists());
    }
}
