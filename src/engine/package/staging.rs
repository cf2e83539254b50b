//! The temporary folder that becomes the draft's folder, and what is left of those that did not.
//!
//! Each has a lock file beside it that its process holds; the system frees it when the process
//! dies, however that happens. What nobody holds is finished if it was complete, and removed if not.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::files::sync_folder;
use super::{make, unwritable};
use crate::engine::marker::{self, Marker};
use crate::engine::package::now;
use crate::error::{Error, Result};

const TEMPORARY: &str = ".capcut-mcp-tmp-";
/// Where drafts go whose place another one took; the app does not look into it.
pub(crate) const BACKUPS: &str = ".capcut-mcp-backup";
/// The name that the folder shall have, written when it is complete.
const COMPLETE: &str = ".capcut-mcp-complete";

/// A folder that is being filled. Dropped before [`Staging::finish`], it is gone.
#[derive(Debug)]
pub(super) struct Staging {
    pub path: PathBuf,
    to: PathBuf,
    lock_path: PathBuf,
    _lock: File,
    /// The draft that is saved, whose own folder may be replaced.
    draft: String,
    overwrite: bool,
    done: bool,
}

impl Staging {
    pub(crate) fn begin(drafts: &Path, name: &str, draft: &str, overwrite: bool) -> Result<Self> {
        make(drafts)?;
        let to = drafts.join(name);
        check(&to, draft, overwrite)?;
        for _ in 0..16 {
            let path = drafts.join(format!("{TEMPORARY}{:016x}", fastrand::u64(..)));
            let lock_path = path.with_extension("lock");
            let lock = match File::create_new(&lock_path) {
                Ok(lock) => lock,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(unwritable(&lock_path, error)),
            };
            lock.lock().map_err(|error| unwritable(&lock_path, error))?;
            // Someone who cleans up may have taken the file before it was locked.
            if !lock_path.exists() {
                continue;
            }
            let staging = Self {
                path,
                to,
                lock_path,
                _lock: lock,
                draft: draft.to_owned(),
                overwrite,
                done: false,
            };
            fs::create_dir(&staging.path).map_err(|error| unwritable(&staging.path, error))?;
            return Ok(staging);
        }
        Err(Error::internal("no name for a temporary folder is free"))
    }

    /// Where the draft will be.
    pub(crate) fn path_of_draft(&self) -> PathBuf {
        self.to.clone()
    }

    /// Puts the folder in its place, and says where what was there is kept, if it is.
    pub(crate) fn finish(mut self) -> Result<Option<PathBuf>> {
        let mark = self.path.join(COMPLETE);
        let name = self.to.file_name().unwrap_or_default().to_string_lossy();
        fs::write(&mark, name.as_bytes()).map_err(|error| unwritable(&mark, error))?;
        sync_folder(&self.path);
        let mut kept = None;
        if self.to.exists() {
            let disposable = check(&self.to, &self.draft, self.overwrite)?;
            let backup = set_aside(&self.to)?;
            if let Err(error) = fs::rename(&self.path, &self.to) {
                // Back to how it was.
                let _ = fs::rename(&backup, &self.to);
                return Err(unwritable(&self.to, error));
            }
            if disposable {
                let _ = fs::remove_dir_all(&backup);
                let _ = backup.parent().map(fs::remove_dir);
            } else {
                kept = Some(backup);
            }
        } else {
            fs::rename(&self.path, &self.to).map_err(|error| unwritable(&self.to, error))?;
        }
        self.done = true;
        let _ = fs::remove_file(self.to.join(COMPLETE));
        if let Some(drafts) = self.to.parent() {
            sync_folder(drafts);
        }
        Ok(kept)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.path);
        }
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Whether what is at `to` may be replaced, and need not be kept: it is this draft as we wrote it.
fn check(to: &Path, draft: &str, overwrite: bool) -> Result<bool> {
    if !to.exists() {
        return Ok(true);
    }
    let ours = Marker::read(to).filter(|marker| marker.draft == draft);
    if let Some(marker) = ours {
        return Ok(["draft_content.json", "draft_info.json"]
            .iter()
            .all(|name| fs::read(to.join(name)).is_ok_and(|bytes| marker.wrote(&bytes)))
            && !to.join("Timelines").exists());
    }
    if overwrite {
        return Ok(false);
    }
    Err(Error::conflict(format!(
        "there is another draft at {}",
        to.display()
    ))
    .hint("save under another `name`, or with `overwrite`: then the other one is kept as a backup"))
}

/// Moves a draft's folder to the backups.
fn set_aside(folder: &Path) -> Result<PathBuf> {
    let drafts = folder.parent().unwrap_or(Path::new("."));
    let backups = drafts.join(BACKUPS);
    make(&backups)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let backup = backups.join(format!("{name} {}", now()));
    fs::rename(folder, &backup).map_err(|error| {
        unwritable(folder, error)
            .hint("it may be open in the app: close the draft there, or save under another `name`")
    })?;
    Ok(backup)
}

/// Finishes or removes what processes left that ended in the middle of a save.
pub(super) fn clean(drafts: &Path) {
    let entries = fs::read_dir(drafts).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(TEMPORARY) {
            continue;
        }
        let lock_path = path.with_extension("lock");
        if path.extension().is_some() {
            if path.with_extension("").exists() {
                continue;
            }
        } else if lock_path.exists() {
            // Held by a process that is still at it.
            let free = File::open(&lock_path).is_ok_and(|lock| lock.try_lock().is_ok());
            if !free {
                continue;
            }
        }
        if path.extension().is_some() {
            let free = File::open(&path).is_ok_and(|lock| lock.try_lock().is_ok());
            if free {
                let _ = fs::remove_file(&path);
            }
            continue;
        }
        if !complete(&path, drafts) {
            let _ = fs::remove_dir_all(&path);
        }
        let _ = fs::remove_file(&lock_path);
    }
}

/// Puts a complete folder in its place, if that is free: its save ended between two renames.
fn complete(path: &Path, drafts: &Path) -> bool {
    let Ok(name) = fs::read_to_string(path.join(COMPLETE)) else {
        return false;
    };
    let to = drafts.join(super::name::folder(&name));
    if !path.join(marker::FILE).is_file() || to.exists() || fs::rename(path, &to).is_err() {
        return false;
    }
    let _ = fs::remove_file(to.join(COMPLETE));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(staging: &Staging, content: &str) {
        for name in ["draft_content.json", "draft_info.json"] {
            fs::write(staging.path.join(name), content).unwrap();
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
            if complete {
                fs::write(staging.path.join(COMPLETE), name).unwrap();
            }
            let copy = staging.path.with_file_name(format!("{TEMPORARY}{name}0"));
            fs::rename(&staging.path, &copy).unwrap();
            fs::write(copy.with_extension("lock"), "").unwrap();
        };
        killed("half", false);
        killed("whole", true);
        fs::write(drafts.path().join(format!("{TEMPORARY}0.lock")), "").unwrap();
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
                living_name.clone(),
                format!("{living_name}.lock"),
                "whole".to_owned()
            ]
        );
        assert!(!drafts.path().join("whole").join(COMPLETE).exists());
    }
}
