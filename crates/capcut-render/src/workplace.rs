//! Files that appear complete or not at all: they are made in a folder of their own beside the target, and renamed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{TempDir, TempPath};

use crate::error::{Problem, RenderError, Result};

/// The names of the folders begin so.
const PREFIX: &str = ".capcut-mcp-render-";
/// The file that the process that works in a folder holds locked.
const LOCK: &str = "lock";

/// A folder beside a target, removed when it is dropped; the next render beside it removes those of killed processes.
pub(crate) struct Workplace {
    target: PathBuf,
    overwrite: bool,
    folder: TempDir,
    _lock: File,
}

impl Workplace {
    /// # Errors
    /// If the target exists and may not be replaced, is a folder, or its folder does not exist or cannot be written.
    pub(crate) fn new(target: &Path, overwrite: bool) -> Result<Self> {
        if target.file_name().is_none() || target.is_dir() {
            return Err(RenderError::new(
                Problem::Invalid,
                format!("\"{}\" is not the name of a file", target.display()),
            )
            .hint("give the path of the video file, such as preview.mp4"));
        }
        if !overwrite && fs::symlink_metadata(target).is_ok() {
            return Err(exists(target));
        }
        let beside = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        if !beside.is_dir() {
            return Err(RenderError::new(
                Problem::Invalid,
                format!(
                    "the folder \"{}\" for \"{}\" does not exist",
                    beside.display(),
                    target.display()
                ),
            )
            .hint("create the folder, or choose another one"));
        }
        remove_abandoned(beside);
        let what = format!("\"{}\"", target.display());
        let made = || {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(beside)?;
            let lock = File::create(folder.path().join(LOCK))?;
            lock.try_lock()?;
            Ok((folder, lock))
        };
        let (folder, lock) =
            made().map_err(|error: io::Error| RenderError::storage(&what, &error))?;
        Ok(Self {
            target: target.to_owned(),
            overwrite,
            folder,
            _lock: lock,
        })
    }

    /// The path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives a complete file of the folder the name of the target.
    pub(crate) fn publish(self, name: &str) -> Result<()> {
        let made = self.file(name);
        let what = format!("\"{}\"", self.target.display());
        let stored = |error: io::Error| RenderError::storage(&what, &error);
        File::options()
            .write(true)
            .open(&made)
            .and_then(|file| file.sync_all())
            .map_err(stored)?;
        if self.overwrite {
            fs::rename(&made, &self.target).map_err(stored)?;
        } else {
            persist_new(&made, &self.target).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => exists(&self.target),
                _ => stored(error),
            })?;
        }
        #[cfg(unix)]
        if let Some(beside) = self.folder.path().parent() {
            // The name itself; some file systems cannot do it.
            let _ = File::open(beside).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }
}

fn exists(target: &Path) -> RenderError {
    RenderError::new(Problem::Exists, format!("\"{}\" exists", target.display()))
        .hint("choose another name, or allow overwriting (`--overwrite` on the command line)")
}

/// Renames without ever replacing a file, also one that appears meanwhile.
fn persist_new(made: &Path, target: &Path) -> io::Result<()> {
    let refused = match TempPath::try_from_path(made)?.persist_noclobber(target) {
        Ok(()) => return Ok(()),
        Err(refused) => refused,
    };
    if refused.error.kind() == io::ErrorKind::AlreadyExists {
        refused.path.keep()?;
        return Err(refused.error);
    }
    // A file system without links, such as FAT: who creates the name owns it.
    let made = refused.path.keep()?;
    File::create_new(target)?;
    fs::rename(made, target)
}

/// Removes the folders of killed processes: no process holds their lock.
fn remove_abandoned(beside: &Path) {
    for entry in fs::read_dir(beside).into_iter().flatten().flatten() {
        let is_ours = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_ours(&entry.file_name()) || !is_folder {
            continue;
        }
        // Without a lock file it is either being created, or was left between two steps; it is empty then.
        let Ok(lock) = File::options().write(true).open(entry.path().join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            drop(lock);
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_file_appears_complete_and_nothing_else_remains() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out 影片.mp4");
        let work = Workplace::new(&target, false).unwrap();
        fs::write(work.file("a.mp4"), "video").unwrap();
        assert!(!target.exists());
        work.publish("a.mp4").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"video");
        assert_eq!(names(folder.path()).len(), 1);
        drop(Workplace::new(&target, true).unwrap());
        assert_eq!(names(folder.path()).len(), 1, "unfinished work is removed");
        assert_eq!(fs::read(&target).unwrap(), b"video");
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.mp4");
        let work = Workplace::new(&target, false).unwrap();
        fs::write(work.file("a.mp4"), "new").unwrap();
        fs::write(&target, "old").unwrap();
        assert_eq!(work.publish("a.mp4").unwrap_err().problem, Problem::Exists);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(names(folder.path()).len(), 1);
        let error = Workplace::new(&target, false).err().unwrap();
        assert_eq!(error.problem, Problem::Exists);
        let work = Workplace::new(&target, true).unwrap();
        fs::write(work.file("a.mp4"), "new").unwrap();
        work.publish("a.mp4").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn folders_of_killed_processes_are_removed_and_those_in_use_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let working = Workplace::new(&folder.path().join("a.mp4"), false).unwrap();
        let left = folder.path().join(format!("{PREFIX}left"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("half.mp4"), "half").unwrap();
        let other = Workplace::new(&folder.path().join("b.mp4"), false).unwrap();
        assert!(!left.exists());
        assert!(working.file(LOCK).exists() && other.file(LOCK).exists());
    }

    #[test]
    fn targets_that_cannot_be_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |target: &Path| Workplace::new(target, true).err().unwrap();
        assert_eq!(refused(folder.path()).problem, Problem::Invalid);
        let error = refused(&folder.path().join("no/out.mp4"));
        assert!(error.message.contains("does not exist"), "{error}");
    }
}
