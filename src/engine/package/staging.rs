//! The temporary folder that becomes the draft's folder, and what is left of those that did not.
//!
//! Each has a lock file beside it that its process holds; the system frees it when the process dies,
//! however that happens. Once the folder is complete, its lock file has the name that it shall get. What
//! nobody holds is put in its place if it was complete, and removed if not.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::SystemTime;

use super::files::sync_folder;
use super::{make, unwritable};
use crate::engine::marker::{self, Marker};
use crate::engine::package::now;
use crate::engine::timelines;
use crate::error::{Error, Result};

const TEMPORARY: &str = ".capcut-mcp-tmp-";
/// Where drafts go whose place another one took; the app does not look into it.
pub(crate) const BACKUPS: &str = ".capcut-mcp-backup";

/// A name in the folder of drafts for something that is being made. What is there when it is dropped, is gone.
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
            // Someone who cleans up may have taken the file before it was locked.
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

/// Where the draft waits, meanwhile, that is replaced.
fn old_of(path: &Path) -> PathBuf {
    path.with_extension("old")
}

/// Removes a file, or a folder with everything in it.
fn remove(path: &Path) {
    let _ = fs::remove_dir_all(path);
    let _ = fs::remove_file(path);
}

/// A folder that is being filled. Dropped before [`Staging::finish`], it is gone.
#[derive(Debug)]
pub(super) struct Staging {
    pub path: PathBuf,
    to: PathBuf,
    claim: Claim,
    /// The draft that is saved, whose own folder may be replaced.
    draft: String,
    overwrite: bool,
    /// What is read meanwhile of the draft's own folder: where nobody changed it, it need not be kept.
    reading: Option<JoinHandle<Option<Stamps>>>,
}

/// Size and time of change of every document that holds the timeline, by its path in the draft's folder.
type Stamps = Vec<(PathBuf, u64, SystemTime)>;

impl Staging {
    pub(crate) fn begin(drafts: &Path, name: &str, draft: &str, overwrite: bool) -> Result<Self> {
        make(drafts)?;
        let to = drafts.join(name);
        let ours = may_take(&to, draft, overwrite)?;
        let claim = Claim::new(drafts)?;
        let path = claim.path.clone();
        fs::create_dir(&path).map_err(|error| unwritable(&path, error))?;
        Ok(Self {
            path,
            to: to.clone(),
            claim,
            draft: draft.to_owned(),
            overwrite,
            reading: ours.map(|marker| std::thread::spawn(move || as_written(&to, &marker))),
        })
    }

    /// Where the draft will be.
    pub(crate) fn path_of_draft(&self) -> PathBuf {
        self.to.clone()
    }

    /// Puts the folder in its place, and says where what was there is kept, if it is.
    pub(crate) fn finish(mut self) -> Result<Option<PathBuf>> {
        sync_folder(&self.path);
        let mut kept = None;
        if self.to.exists() {
            kept = self.replace()?;
        } else {
            fs::rename(&self.path, &self.to).map_err(|error| unwritable(&self.to, error))?;
        }
        if let Some(drafts) = self.to.parent() {
            sync_folder(drafts);
        }
        Ok(kept)
    }

    fn replace(&mut self) -> Result<Option<PathBuf>> {
        let ours = may_take(&self.to, &self.draft, self.overwrite)?;
        let read = self.reading.take().and_then(|read| read.join().ok());
        let disposable = ours.is_some()
            && read
                .flatten()
                .is_some_and(|read| stamps(&self.to) == Some(read));
        // From here on whoever finds the two folders can put the new one in its place.
        let name = self.to.file_name().unwrap_or_default().to_string_lossy();
        let complete = || {
            let mut lock = &self.claim.lock;
            lock.write_all(name.as_bytes())?;
            lock.sync_data()
        };
        complete().map_err(|error| unwritable(&self.path, error))?;
        let aside = if disposable {
            old_of(&self.path)
        } else {
            backup_of(&self.to)?
        };
        fs::rename(&self.to, &aside).map_err(|error| {
            unwritable(&self.to, error).hint(
                "it may be open in the app: close the draft there, or save under another `name`",
            )
        })?;
        if let Err(error) = fs::rename(&self.path, &self.to) {
            // Back to how it was.
            let _ = fs::rename(&aside, &self.to);
            return Err(unwritable(&self.to, error));
        }
        if disposable {
            remove(&aside);
            return Ok(None);
        }
        Ok(Some(aside))
    }
}

/// Fails if what is at `to` may not be replaced; its marker if it is this draft.
fn may_take(to: &Path, draft: &str, overwrite: bool) -> Result<Option<Marker>> {
    let ours = Marker::read(to).filter(|marker| marker.draft == draft);
    if ours.is_some() || overwrite || !to.exists() {
        return Ok(ours);
    }
    Err(Error::conflict(format!(
        "there is another draft at {}",
        to.display()
    ))
    .hint("save under another `name`, or with `overwrite`: then the other one is kept as a backup"))
}

/// The stamps of the draft in `folder`, if nobody changed it since we wrote it.
fn as_written(folder: &Path, marker: &Marker) -> Option<Stamps> {
    let stamps = stamps(folder)?;
    // All were written with the same bytes: one of them tells for all.
    let mut first: Option<Vec<u8>> = None;
    for (name, ..) in &stamps {
        let bytes = fs::read(folder.join(name)).ok()?;
        match &first {
            Some(first) if *first == bytes => {}
            None if marker.wrote(&bytes) => first = Some(bytes),
            _ => return None,
        }
    }
    Some(stamps)
}

fn stamps(folder: &Path) -> Option<Stamps> {
    let mut stamps = Vec::new();
    let nested = fs::read_dir(folder.join(timelines::FOLDER));
    let nested = nested.into_iter().flatten().flatten();
    let folders = nested.map(|entry| Path::new(timelines::FOLDER).join(entry.file_name()));
    for inside in [PathBuf::new()].into_iter().chain(folders) {
        for name in timelines::DOCUMENTS {
            let name = inside.join(name);
            match fs::metadata(folder.join(&name)) {
                Ok(metadata) => stamps.push((name, metadata.len(), metadata.modified().ok()?)),
                Err(_) if inside == Path::new("") && name != Path::new("template-2.tmp") => {
                    return None;
                }
                Err(_) => {}
            }
        }
    }
    stamps.sort();
    Some(stamps)
}

/// A free place among the backups.
fn backup_of(folder: &Path) -> Result<PathBuf> {
    let drafts = folder.parent().unwrap_or(Path::new("."));
    let backups = drafts.join(BACKUPS);
    make(&backups)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(backups.join(format!("{name} {}", now())))
}

/// Finishes or removes what processes left that ended in the middle of a save.
pub(super) fn clean(drafts: &Path) {
    let entries = fs::read_dir(drafts).into_iter().flatten().flatten();
    let left: BTreeSet<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(TEMPORARY))
        .map(|entry| entry.path().with_extension(""))
        .collect();
    for path in left {
        let lock_path = lock_of(&path);
        let mut name = String::new();
        let lock = File::open(&lock_path);
        if let Ok(mut lock) = lock.as_ref() {
            // Held by a process that is still at it.
            if lock.try_lock().is_err() {
                continue;
            }
            let _ = lock.read_to_string(&mut name);
        }
        settle(&path, drafts, &name);
        let _ = fs::remove_file(&lock_path);
    }
}

/// Of what a killed process left, the new draft gets its place if it is complete, else the old one its own again.
fn settle(path: &Path, drafts: &Path, name: &str) {
    let old = old_of(path);
    if !name.is_empty() {
        let to = drafts.join(super::name::folder(name));
        if !to.exists() && path.join(marker::FILE).is_file() {
            let _ = fs::rename(path, &to);
        }
        if !to.exists() && old.exists() {
            let _ = fs::rename(&old, &to);
        }
    }
    remove(path);
    remove(&old);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(staging: &Staging, content: &str) {
        for name in [
            "draft_content.json",
            "draft_info.json",
            "Timelines/T/draft_info.json",
        ] {
            let path = staging.path.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Marker::new(&staging.draft, content.as_bytes())
            .write(&staging.path)
            .unwrap();
    }

    fn save(drafts: &Path, draft: &str, content: &str, overwrite: bool) -> Result<Option<PathBuf>> {
        let staging = Staging::begin(drafts, "trip", draft, overwrite)?;
        fill(&staging, content);
        staging.finish()
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
    fn what_was_edited_in_the_app_is_kept() {
        let drafts = tempfile::tempdir().unwrap();
        save(drafts.path(), "a", "one", false).unwrap();
        fs::write(drafts.path().join("trip/draft_info.json"), "edited").unwrap();
        let kept = save(drafts.path(), "a", "two", false).unwrap().unwrap();
        assert_eq!(
            fs::read_to_string(kept.join("draft_info.json")).unwrap(),
            "edited"
        );
        assert_eq!(names(drafts.path()), [BACKUPS, "trip"]);
        fs::write(
            drafts.path().join("trip/Timelines/T/draft_info.json"),
            "edited",
        )
        .unwrap();
        let kept = save(drafts.path(), "a", "three", false).unwrap().unwrap();
        let nested = kept.join("Timelines/T/draft_info.json");
        assert_eq!(fs::read_to_string(nested).unwrap(), "edited");
    }

    #[test]
    fn what_the_app_changes_during_a_save_is_kept() {
        let drafts = tempfile::tempdir().unwrap();
        save(drafts.path(), "a", "one", false).unwrap();
        let mut staging = Staging::begin(drafts.path(), "trip", "a", false).unwrap();
        let read = staging.reading.take().unwrap().join().unwrap();
        assert!(read.is_some(), "it was as it had been written");
        staging.reading = Some(std::thread::spawn(move || read));
        fs::write(drafts.path().join("trip/draft_content.json"), "edited").unwrap();
        fill(&staging, "two");
        let kept = staging.finish().unwrap().unwrap();
        assert_eq!(
            fs::read_to_string(kept.join("draft_content.json")).unwrap(),
            "edited"
        );
    }

    #[test]
    fn another_draft_of_that_name_is_replaced_only_when_asked_and_kept() {
        let drafts = tempfile::tempdir().unwrap();
        save(drafts.path(), "a", "one", false).unwrap();
        let error = save(drafts.path(), "b", "two", false).unwrap_err();
        assert!(error.to_string().contains("another draft"), "{error}");
        assert_eq!(names(drafts.path()), ["trip"], "nothing half-written stays");
        let kept = save(drafts.path(), "b", "two", true).unwrap().unwrap();
        assert_eq!(
            fs::read_to_string(kept.join("draft_info.json")).unwrap(),
            "one"
        );
    }

    #[test]
    fn a_save_that_is_given_up_leaves_nothing() {
        let drafts = tempfile::tempdir().unwrap();
        drop(Staging::begin(drafts.path(), "trip", "a", false).unwrap());
        assert!(names(drafts.path()).is_empty());
    }

    #[test]
    fn what_a_killed_process_left_is_finished_or_removed_and_what_a_living_one_holds_stays() {
        let drafts = tempfile::tempdir().unwrap();
        let living = Staging::begin(drafts.path(), "living", "l", false).unwrap();
        // A killed process frees its lock and removes nothing.
        let killed = |name: &str, complete: bool| {
            let staging = Staging::begin(drafts.path(), name, "k", false).unwrap();
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
        // The new one did not reach the disk, but the old one had made room for it.
        let lost = killed("lost", true);
        fs::rename(&lost, old_of(&lost)).unwrap();
        fs::write(drafts.path().join(format!("{TEMPORARY}0.lock")), "").unwrap();
        fs::write(drafts.path().join(format!("{TEMPORARY}1")), "half a zip").unwrap();
        clean(drafts.path());
        let living_name = living
            .path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            names(drafts.path()),
            [
                &living_name,
                &format!("{living_name}.lock"),
                "between",
                "done",
                "lost",
                "whole"
            ]
        );
        let whole = |name: &str| drafts.path().join(name).join(marker::FILE).is_file();
        assert!(["between", "done", "lost", "whole"].into_iter().all(whole));
    }
}
