//! The temporary folder that becomes the draft's folder, and the cleanup of abandoned ones.
//!
//! Each has a lock file next to it that its process holds; the system releases it when the process ends in any
//! way. Once the folder is complete, its lock file contains the final name. Folders without a holder are moved
//! to their final path if they are complete, and removed if not.
//!
//! When a draft is replaced, only the files that we wrote are removed. Files of the user or the app are in the
//! new folder before the two are swapped.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::existing::{self, Existing, IfTaken, PathState, Terms};
use super::{blocking, make, unwritable};
use crate::engine::exclusive::Exclusive;
use crate::engine::folder_change::sync_folder;
use crate::engine::marker::{self, Marker, PlanOrigin};
use crate::engine::package::now;
use crate::error::{Error, Result};
use crate::media::Removed;
use crate::regular_file::{self, Links};

const TEMPORARY: &str = ".capcut-mcp-tmp-";
/// The folder for replaced drafts; the app ignores it.
pub(crate) const BACKUPS: &str = ".capcut-mcp-backup";
/// Maximum number of backups per name.
const MOST_BACKUPS: usize = 10;
/// The largest number that is added to the names of drafts with the same name.
const MOST_NUMBERS: u32 = 10_000;

/// A temporary name in the drafts folder. Its file or folder is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    /// For a file or a folder.
    pub path: PathBuf,
    lock: File,
}

impl Claim {
    pub(super) fn new(drafts: &Path) -> Result<Self> {
        for _ in 0..16 {
            let path = drafts.join(format!("{TEMPORARY}{:016x}", fastrand::u64(..)));
            let lock_path = lock_of(&path);
            let options = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&lock_path);
            let lock = match options {
                Ok(lock) => lock,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(unwritable(&lock_path, error)),
            };
            lock.lock().map_err(|error| unwritable(&lock_path, error))?;
            // A cleanup may have removed the file before it was locked.
            if lock_path.exists() {
                return Ok(Self { path, lock });
            }
        }
        Err(Error::internal("no temporary name is free"))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        remove(&self.path);
        let _ = fs::remove_file(lock_of(&self.path));
    }
}

fn lock_of(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// The temporary path of the draft that is replaced.
fn old_of(path: &Path) -> PathBuf {
    path.with_extension("old")
}

/// Removes a file, or a folder with everything in it.
fn remove(path: &Path) {
    let _ = fs::remove_dir_all(path);
    let _ = fs::remove_file(path);
}

/// A reserved folder name for a save: drafts with the same name get different folders.
#[derive(Debug)]
struct Reserved {
    folder: PathBuf,
    #[cfg_attr(not(test), expect(dead_code, reason = "holds the lock"))]
    name: Exclusive,
}

impl Reserved {
    /// `None` while another save holds the name. Names that differ only in case are equal on Windows and macOS.
    fn new(drafts: &Path, name: &str) -> Result<Option<Self>> {
        let folder = drafts.join(name);
        let hash = marker::hash(name.to_lowercase().as_bytes());
        let reserved = exclusive(drafts, &format!("name-{hash}"))?;
        Ok(reserved.map(|name| Self { folder, name }))
    }
}

/// A name in the drafts folder that only one save of all processes holds at a time.
fn exclusive(drafts: &Path, name: &str) -> Result<Option<Exclusive>> {
    let path = lock_of(&drafts.join(format!("{TEMPORARY}{name}")));
    Exclusive::new(&path).map_err(|error| unwritable(&path, error))
}

/// Timeout for another save's search for its folder, which reads a few documents.
const SEARCH_PATIENCE: Duration = Duration::from_secs(10);

/// Only one save at a time searches for its folder: a name is reserved during the check, and another save would
/// consider its own folder occupied.
fn search(drafts: &Path) -> Result<Option<Exclusive>> {
    let until = Instant::now() + SEARCH_PATIENCE;
    loop {
        let searching = exclusive(drafts, "search")?;
        // If a search does not end, the worst result is an unnecessary number in the name.
        if searching.is_some() || Instant::now() > until {
            return Ok(searching);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A folder that is being filled. If dropped before [`Staging::finish`], it is removed.
#[derive(Debug)]
pub(super) struct Staging {
    pub path: PathBuf,
    /// The name of the draft's final folder.
    pub name: String,
    /// A note if the draft is not the first with its name.
    pub note: Option<String>,
    to: Reserved,
    claim: Claim,
    terms: Terms,
    /// The folder that is replaced.
    existing: Option<Existing>,
    /// Files of the replaced folder that are not ours, at the time of the check.
    foreign: Vec<PathBuf>,
}

/// A replaced draft that is kept as a backup.
#[derive(Debug, PartialEq)]
pub(super) struct ReplacedDraft {
    pub folder: PathBuf,
    /// The files that had been changed since it was saved.
    pub changed: Vec<String>,
}

impl Staging {
    /// The plan that the save belongs to.
    pub(super) fn origin(&self) -> &PlanOrigin {
        &self.terms.origin
    }

    /// Finds the folder of the draft: `name`, or for the draft of a plan the next free number. With `zip`, a
    /// zip file will be written next to it.
    pub(super) fn begin(drafts: &Path, name: &str, zip: bool, terms: Terms) -> Result<Self> {
        make(drafts)?;
        let numbered = terms.origin.plan.is_some() || terms.if_taken == IfTaken::Number;
        let mut edited = Vec::new();
        let _searching = search(drafts)?;
        for number in 1..MOST_NUMBERS {
            let own = match number {
                1 => name.to_owned(),
                number => super::name::numbered(name, number),
            };
            let to = drafts.join(&own);
            let Some(reserved) = Reserved::new(drafts, &own)? else {
                if numbered || number > 1 {
                    continue;
                }
                return Err(taken(&to, "another save is writing"));
            };
            let existing = match PathState::look(&to, &terms)? {
                PathState::Free => None,
                PathState::Replaceable(existing) => Some(*existing),
                PathState::Taken if numbered || number > 1 => continue,
                PathState::Taken => return Err(taken(&to, "there is another draft at")),
                PathState::Edited(changed) => {
                    edited.push((own, changed));
                    continue;
                }
            };
            let zip = zip.then(|| drafts.join(format!("{own}.zip")));
            let marker = existing
                .as_ref()
                .and_then(|existing| existing.marker.as_ref());
            match zip.map(|zip| may_replace_zip(&zip, marker, terms.overwrite)) {
                Some(Err(_)) if numbered && number > 1 => continue,
                Some(Err(error)) => return Err(error),
                _ => {}
            }
            let foreign = match &existing {
                Some(existing) => existing.foreign().map_err(|error| unreadable(&to, error))?,
                None => Vec::new(),
            };
            let claim = Claim::new(drafts)?;
            let path = claim.path.clone();
            fs::create_dir(&path).map_err(|error| unwritable(&path, error))?;
            return Ok(Self {
                path,
                note: (number > 1).then(|| match edited.first() {
                    Some((kept, changed)) => format!(
                        "the draft \"{kept}\" was changed on this computer ({}) and stays as it is: this version is named \"{own}\"",
                        existing::listed(changed)
                    ),
                    None => format!(
                        "there is another draft named \"{name}\": this one is named \"{own}\""
                    ),
                }),
                name: own,
                to: reserved,
                claim,
                terms,
                existing,
                foreign,
            });
        }
        Err(taken(
            &drafts.join(name),
            "there are too many drafts with the name of",
        ))
    }

    /// The draft's own folder, if it was saved before.
    pub(super) fn own_folder(&self) -> Option<&Path> {
        let existing = self.existing.as_ref();
        let ours = existing.filter(|existing| existing.marker.is_some())?;
        Some(&ours.folder)
    }

    /// Files of the replaced folder that are kept.
    pub(super) fn foreign(&self) -> &[PathBuf] {
        &self.foreign
    }

    /// Adds files of the replaced folder to the new one.
    pub(super) async fn keep(&self, files: BTreeSet<PathBuf>) -> Result<()> {
        let Some(existing) = self.existing.as_ref().filter(|_| !files.is_empty()) else {
            return Ok(());
        };
        let (old, new) = (existing.folder.clone(), self.path.clone());
        let shared = !existing.keep;
        blocking(move || {
            for file in files {
                existing::put(&old.join(&file), &new.join(&file), shared)
                    .map_err(|error| unwritable(&new.join(&file), error))?;
            }
            Ok(())
        })
        .await
    }

    /// The marker of the replaced folder, if it belongs to the same draft or plan.
    pub(super) fn marker_before(&self) -> Option<&Marker> {
        self.existing.as_ref()?.marker.as_ref()
    }

    /// The final path of the draft.
    pub(super) fn path_of_draft(&self) -> PathBuf {
        self.to.folder.clone()
    }

    /// Moves the folder to its final path, and returns the backup of the previous one, if it is kept.
    pub(super) fn finish(mut self) -> Result<Option<ReplacedDraft>> {
        sync_folder(&self.path);
        let to = self.path_of_draft();
        let kept = match (fs::symlink_metadata(&to), self.existing.take()) {
            (Ok(_), Some(existing)) => self.replace(existing)?,
            (Ok(_), None) => {
                return Err(taken(&to, "during the save, another draft was created at"));
            }
            // The previous folder was moved away in the meantime.
            (Err(_), _) => {
                fs::rename(&self.path, &to).map_err(|error| unwritable(&to, error))?;
                None
            }
        };
        if let Some(drafts) = to.parent() {
            sync_folder(drafts);
        }
        Ok(kept)
    }

    fn replace(&mut self, existing: Existing) -> Result<Option<ReplacedDraft>> {
        let to = &self.to.folder;
        existing::refuse_open(to)?;
        let mut changed = existing.changed.clone();
        if !existing.is_as_seen(to) {
            changed.push("during the save".to_owned());
        } else if existing.differs_from(&self.path) {
            changed.push("its documents differ from the journal".to_owned());
        }
        if !changed.is_empty() && !self.terms.overwrite {
            return Err(existing::edited(to, &changed));
        }
        let mut keep = existing.keep || !changed.is_empty();
        let foreign = existing.foreign().map_err(|error| unreadable(to, error))?;
        let in_the_way = existing::carry_over(to, &self.path, &foreign, !keep)
            .map_err(|error| unwritable(&self.path, error))?;
        keep |= !in_the_way.is_empty();
        // From here on, a cleanup that finds the two folders can complete the replacement.
        let complete = || {
            let mut lock = &self.claim.lock;
            lock.write_all(self.name.as_bytes())?;
            lock.sync_data()
        };
        complete().map_err(|error| unwritable(&self.path, error))?;
        let aside = if keep {
            backup_of(to)?
        } else {
            old_of(&self.path)
        };
        fs::rename(to, &aside).map_err(|error| {
            unwritable(to, error).hint(
                "it may be open in the app: close the draft there, or save under another `name`",
            )
        })?;
        if let Err(error) = fs::rename(&self.path, to) {
            // Restore the previous state; if the path is occupied by now, move the folder to the backups.
            if fs::rename(&aside, to).is_err() && !keep {
                let _ = put_away(&aside, to);
            }
            return Err(unwritable(to, error));
        }
        if keep {
            prune(to);
            return Ok(Some(ReplacedDraft {
                folder: aside,
                changed,
            }));
        }
        if !existing.is_as_seen(&aside) {
            let folder = put_away(&aside, to)?;
            let changed = vec!["during the save".to_owned()];
            return Ok(Some(ReplacedDraft { folder, changed }));
        }
        let left = discard(&aside, to, &existing.marker.unwrap_or_default());
        Ok(left?.map(|folder| ReplacedDraft {
            folder,
            changed: Vec::new(),
        }))
    }
}

fn taken(to: &Path, what: &str) -> Error {
    Error::conflict(format!("{what} {}", to.display())).hint(
        "save under another `name`, or with `overwrite`: then the other one is kept as a backup",
    )
}

fn unreadable(folder: &Path, error: io::Error) -> Error {
    Error::conflict(format!(
        "{} contains files of yours or of the app that cannot be kept",
        folder.display()
    ))
    .hint("move them out of the draft's folder, or save under another `name`")
    .source(error)
}

/// Fails if there is a zip file that is not this draft's as it was written.
pub(super) fn may_replace_zip(zip: &Path, ours: Option<&Marker>, overwrite: bool) -> Result<()> {
    let is_ours = ours.is_some_and(|marker| marker.wrote_zip(zip));
    if overwrite || is_ours || fs::symlink_metadata(zip).is_err() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "the file {} exists, and was not written for this draft or has been changed since",
        zip.display()
    ))
    .hint("move the file away, save under another `name`, or save with `overwrite`: then it is kept as a backup"))
}

/// Removes the folder of a draft that was replaced by the one in `to`: our files, and those that the new folder
/// also has. Files that arrived late are moved to `to`. Anything left is moved to the backups.
fn discard(old: &Path, to: &Path, marker: &Marker) -> Result<Option<PathBuf>> {
    for path in marker.paths() {
        let _ = fs::remove_file(old.join(path));
    }
    for file in existing::walk(old).unwrap_or_default() {
        let (late, new) = (old.join(&file), to.join(&file));
        if existing::is_same(&late, &new) {
            let _ = fs::remove_file(&late);
        } else if fs::symlink_metadata(&new).is_err()
            && let Some(folder) = new.parent()
            && fs::create_dir_all(folder).is_ok()
        {
            let _ = fs::rename(&late, &new);
        }
    }
    remove_empty(old);
    if fs::symlink_metadata(old).is_err() {
        return Ok(None);
    }
    put_away(old, to).map(Some)
}

/// Removes empty folders below `folder`, and then the folder itself if it is empty.
fn remove_empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

/// Moves a file or folder to the backups of the draft at `to`.
fn put_away(from: &Path, to: &Path) -> Result<PathBuf> {
    let backup = backup_of(to)?;
    fs::rename(from, &backup).map_err(|error| unwritable(&backup, error))?;
    prune(to);
    Ok(backup)
}

/// Moves a file or folder to the backups, to free its name.
pub(super) fn back_up(path: &Path) -> Result<PathBuf> {
    put_away(path, path)
}

/// A free path in the backups.
fn backup_of(path: &Path) -> Result<PathBuf> {
    let backups = path.parent().unwrap_or(Path::new(".")).join(BACKUPS);
    make(&backups)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut stamp = now();
    loop {
        let backup = backups.join(format!("{name} {stamp}"));
        if fs::symlink_metadata(&backup).is_err() {
            return Ok(backup);
        }
        stamp += 1;
    }
}

/// Keeps the newest backups of `path`, and removes the others.
fn prune(path: &Path) {
    let backups = path.parent().unwrap_or(Path::new(".")).join(BACKUPS);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut all: Vec<(i64, PathBuf)> = fs::read_dir(&backups)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let own = entry.file_name().into_string().ok()?;
            let stamp = own.strip_prefix(&*name)?.strip_prefix(' ')?;
            Some((stamp.parse().ok()?, entry.path()))
        })
        .collect();
    all.sort_unstable();
    let surplus = all.len().saturating_sub(MOST_BACKUPS);
    for (_, backup) in all.drain(..surplus) {
        remove(&backup);
    }
}

/// Removes backups older than `age` from a drafts folder.
pub(crate) fn prune_backups(drafts: &Path, age: Duration) -> Removed {
    prune_made(&drafts.join(BACKUPS), age, |name| {
        let stamp: i64 = name.rsplit_once(' ')?.1.parse().ok()?;
        Some(stamp)
    })
}

/// Removes entries of a folder that were created longer than `age` ago. `made` gives the time from the entry's
/// name, in microseconds since 1970; entries with other names are kept. Links are not followed.
pub(crate) fn prune_made(
    folder: &Path,
    age: Duration,
    made: impl Fn(&str) -> Option<i64>,
) -> Removed {
    let mut removed = Removed::default();
    if !fs::symlink_metadata(folder).is_ok_and(|there| there.is_dir()) {
        return removed;
    }
    let until = now().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let made = made(&entry.file_name().to_string_lossy());
        let is_link = entry.file_type().map_or(true, |kind| kind.is_symlink());
        if made.is_none_or(|made| made > until) || is_link {
            continue;
        }
        let (files, bytes) = size(&entry.path());
        remove(&entry.path());
        if fs::symlink_metadata(entry.path()).is_err() {
            removed.files += files;
            removed.bytes += bytes;
        }
    }
    let _ = fs::remove_dir(folder);
    removed
}

/// The number and bytes of the files at or below a path.
fn size(path: &Path) -> (u64, u64) {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| size(&entry.path()))
            .fold((0, 0), |(files, bytes), (more, further)| {
                (files + more, bytes + further)
            }),
        Ok(there) => (1, there.len()),
        Err(_) => (0, 0),
    }
}

/// Completes or removes what processes left that ended during a save.
pub(super) fn clean(drafts: &Path) {
    let entries = fs::read_dir(drafts).into_iter().flatten().flatten();
    let left: BTreeSet<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY))
        .map(|entry| entry.path().with_extension(""))
        .collect();
    if left.is_empty() {
        return;
    }
    // A name that is checked here would look occupied to a save that searches for its folder.
    let _searching = search(drafts);
    for path in left {
        let lock_path = lock_of(&path);
        let mut name = String::new();
        // Held until its file is removed.
        let mut lock = regular_file::open(&lock_path, Links::Refuse).ok();
        if let Some(lock) = &mut lock {
            // Held by a running save.
            if lock.try_lock().is_err() {
                continue;
            }
            let _ = lock.read_to_string(&mut name);
        }
        settle(&path, drafts, &name);
        let _ = fs::remove_file(&lock_path);
    }
}

/// After a killed process: moves the new draft to its path if it is complete, else restores the old one.
fn settle(path: &Path, drafts: &Path, name: &str) {
    let old = old_of(path);
    let to = drafts.join(super::name::folder(name));
    if !name.is_empty() {
        if !to.exists() && path.join(marker::FILE).is_file() {
            let _ = fs::rename(path, &to);
        }
        if !to.exists() && old.exists() {
            let _ = fs::rename(&old, &to);
        }
    }
    remove(path);
    if fs::symlink_metadata(&old).is_err() {
        return;
    }
    // The user's files are already in the new folder, if there is one.
    let _ = match Marker::read(&old) {
        Some(marker) if !name.is_empty() => discard(&old, &to, &marker),
        _ => discard(&old, &to, &Marker::default()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(staging: &Staging, content: &str) {
        let mut marker = Marker::new(&staging.terms.draft, content.as_bytes());
        for name in existing::TIMELINES {
            fs::write(staging.path.join(name), content).unwrap();
            marker.note_documents([(name, content.as_bytes())], content.as_bytes());
        }
        marker.write(&staging.path).unwrap();
    }

    fn begin(drafts: &Path, name: &str, draft: &str, overwrite: bool) -> Result<Staging> {
        let terms = Terms {
            draft: draft.to_owned(),
            overwrite,
            ..Terms::default()
        };
        Staging::begin(drafts, name, false, terms)
    }

    fn save(drafts: &Path, draft: &str, content: &str, overwrite: bool) -> Result<Option<PathBuf>> {
        let staging = begin(drafts, "trip", draft, overwrite)?;
        fill(&staging, content);
        Ok(staging.finish()?.map(|kept| kept.folder))
    }

    fn names(drafts: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(drafts)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn saving_again_replaces_the_drafts_own_folder() {
        let drafts = tempfile::tempdir().unwrap();
        assert_eq!(save(drafts.path(), "a", "one", false).unwrap(), None);
        assert_eq!(save(drafts.path(), "a", "two", false).unwrap(), None);
        assert_eq!(names(drafts.path()), ["trip"]);
        let content = fs::read_to_string(drafts.path().join("trip/draft_info.json")).unwrap();
        assert_eq!(content, "two");
    }

    #[test]
    fn changes_by_the_app_during_a_save_are_kept() {
        for overwrite in [false, true] {
            let drafts = tempfile::tempdir().unwrap();
            save(drafts.path(), "a", "one", false).unwrap();
            let staging = begin(drafts.path(), "trip", "a", overwrite).unwrap();
            fs::write(drafts.path().join("trip/draft_content.json"), "edited").unwrap();
            fill(&staging, "two");
            let ended = staging.finish();
            let read =
                |folder: &Path| fs::read_to_string(folder.join("draft_content.json")).unwrap();
            if overwrite {
                let kept = ended.unwrap().unwrap();
                assert_eq!(read(&kept.folder), "edited");
                assert_eq!(read(&drafts.path().join("trip")), "two");
            } else {
                assert!(ended.unwrap_err().to_string().contains("during the save"));
                assert_eq!(read(&drafts.path().join("trip")), "edited");
                assert_eq!(names(drafts.path()), ["trip"]);
            }
        }
    }

    #[test]
    fn files_added_during_a_save_are_kept() {
        let drafts = tempfile::tempdir().unwrap();
        save(drafts.path(), "a", "one", false).unwrap();
        let staging = begin(drafts.path(), "trip", "a", false).unwrap();
        fs::write(drafts.path().join("trip/late.txt"), "mine").unwrap();
        fill(&staging, "two");
        assert_eq!(staging.finish().unwrap(), None);
        assert_eq!(names(drafts.path()), ["trip"]);
        let late = fs::read_to_string(drafts.path().join("trip/late.txt")).unwrap();
        assert_eq!(late, "mine");
    }

    #[test]
    fn another_draft_of_the_same_name_is_replaced_only_with_overwrite_and_backed_up() {
        let drafts = tempfile::tempdir().unwrap();
        save(drafts.path(), "a", "one", false).unwrap();
        let error = save(drafts.path(), "b", "two", false).unwrap_err();
        assert!(error.to_string().contains("another draft"), "{error}");
        assert_eq!(
            names(drafts.path()),
            ["trip"],
            "no incomplete folder remains"
        );
        let kept = save(drafts.path(), "b", "two", true).unwrap().unwrap();
        assert_eq!(
            fs::read_to_string(kept.join("draft_info.json")).unwrap(),
            "one"
        );
    }

    #[test]
    fn a_dropped_save_leaves_no_files() {
        let drafts = tempfile::tempdir().unwrap();
        drop(begin(drafts.path(), "trip", "a", false).unwrap());
        assert!(names(drafts.path()).is_empty());
    }

    #[test]
    fn cleanup_completes_or_removes_abandoned_saves_and_keeps_running_ones() {
        let drafts = tempfile::tempdir().unwrap();
        let living = begin(drafts.path(), "living", "l", false).unwrap();
        // A killed process releases its lock and removes nothing.
        let killed = |name: &str, complete: bool| {
            let staging = begin(drafts.path(), name, "k", false).unwrap();
            fill(&staging, "whole");
            let left = staging.path.with_file_name(format!("{TEMPORARY}{name}0"));
            fs::rename(&staging.path, &left).unwrap();
            fs::write(lock_of(&left), if complete { name } else { "" }).unwrap();
            left
        };
        killed("half", false);
        killed("whole", true);
        // Between the two renames, and between the second and the end.
        let between = killed("between", true);
        fs::create_dir(old_of(&between)).unwrap();
        let done = killed("done", true);
        fs::rename(&done, drafts.path().join("done")).unwrap();
        fs::create_dir(old_of(&done)).unwrap();
        // A file of the user that is not in the new folder.
        fs::write(old_of(&done).join("mine.txt"), "mine").unwrap();
        // The new folder did not reach the disk, but the old one had been moved away.
        let lost = killed("lost", true);
        fs::rename(&lost, old_of(&lost)).unwrap();
        for left in ["0", "name-0", "search"] {
            fs::write(drafts.path().join(format!("{TEMPORARY}{left}.lock")), "").unwrap();
        }
        fs::write(drafts.path().join(format!("{TEMPORARY}1")), "half a zip").unwrap();
        clean(drafts.path());
        let living_name = living
            .path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let reserved = living.to.name.path().file_name().unwrap();
        assert_eq!(
            names(drafts.path()),
            [
                &living_name,
                &format!("{living_name}.lock"),
                reserved.to_str().unwrap(),
                "between",
                "done",
                "lost",
                "whole"
            ]
        );
        assert!(drafts.path().join("done/mine.txt").is_file());
        let whole = |name: &str| drafts.path().join(name).join(marker::FILE).is_file();
        assert!(["between", "done", "lost", "whole"].into_iter().all(whole));
    }
}
