//! The files of a bucket that calls use on this machine: complete copies, of which those that were not used for the longest
//! time are removed.
//!
//! A copy's path has an id of the content, so that a draft which uses a file never gets another one of the same name.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempPath;

use super::folder::{scratch, unusable};
use crate::error::Result;
use crate::sorting;

/// Copies that were used more recently are not removed: a call may be reading them.
const IN_USE: Duration = Duration::from_mins(10);

/// A folder with copies: `ID/NAME`.
#[derive(Clone, Debug)]
pub(super) struct Copies {
    folder: PathBuf,
    /// Maximum size of all copies, apart from those that are in use.
    most: u64,
}

impl Copies {
    /// The folder need not exist.
    pub(super) fn new(folder: PathBuf, most: u64) -> Self {
        Self { folder, most }
    }

    /// Where the copy of a file is. A name is a key without slashes.
    pub(super) fn path(&self, id: &str, name: &str) -> PathBuf {
        self.folder.join(id).join(name)
    }

    /// The id and the name of a path of [`Self::path`].
    pub(super) fn parts<'a>(&self, path: &'a Path) -> Option<(&'a str, &'a str)> {
        let mut parts = path.strip_prefix(&self.folder).ok()?.iter();
        let (id, name) = (parts.next()?.to_str()?, parts.next()?.to_str()?);
        parts.next().is_none().then_some((id, name))
    }

    /// Whether a copy with this size is there; it counts as used now.
    pub(super) fn is_there(path: &Path, bytes: u64) -> bool {
        let is_there = fs::symlink_metadata(path).is_ok_and(|it| it.is_file() && it.len() == bytes);
        if is_there {
            used(path, None);
        }
        is_there
    }

    /// A folder for files that will be [kept](Self::keep).
    pub(super) fn scratch(&self) -> Result<&Path> {
        scratch(&self.folder)?;
        Ok(&self.folder)
    }

    /// Makes a complete file the copy at `path`. `modified` is the time that it gets, which stays the same if it is
    /// fetched again.
    pub(super) fn keep(
        &self,
        file: TempPath,
        path: &Path,
        modified: Option<SystemTime>,
    ) -> Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        scratch(&self.folder)?;
        scratch(folder)?;
        used(&file, modified);
        file.persist(path)
            .map_err(|error| unusable(path, error.error))?;
        self.remove_unused();
        Ok(())
    }

    /// Removes the copies with this name.
    pub(super) fn remove(&self, name: &str) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if fs::remove_file(entry.path().join(name)).is_ok() {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    fn remove_unused(&self) {
        let mut all = Vec::new();
        let mut total = 0;
        for folder in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                if let Ok(there) = entry.metadata() {
                    total += there.len();
                    let last = there.accessed().or_else(|_| there.modified());
                    all.push((
                        last.unwrap_or(SystemTime::UNIX_EPOCH),
                        there.len(),
                        entry.path(),
                    ));
                }
            }
        }
        sorting::sort_by_key(&mut all, |(last, ..)| *last);
        let now = SystemTime::now();
        for (last, bytes, path) in all {
            let is_in_use = now.duration_since(last).unwrap_or_default() < IN_USE;
            if total <= self.most || is_in_use {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                total -= bytes;
                let _ = path.parent().map(fs::remove_dir);
            }
        }
    }
}

/// Notes that a file is used now. Not every file system does so by itself.
fn used(path: &Path, modified: Option<SystemTime>) {
    let mut times = FileTimes::new().set_accessed(SystemTime::now());
    if let Some(modified) = modified {
        times = times.set_modified(modified);
    }
    let file = File::options().write(true).open(path);
    let _ = file.and_then(|file| file.set_times(times));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(copies: &Copies, id: &str, name: &str, bytes: usize) -> PathBuf {
        let file = tempfile::NamedTempFile::new_in(copies.scratch().expect("a folder"));
        let file = file.expect("a file").into_temp_path();
        fs::write(&file, vec![b'x'; bytes]).expect("written");
        let path = copies.path(id, name);
        copies.keep(file, &path, None).expect("kept");
        path
    }

    fn last_used(path: &Path, ago: Duration) {
        let times = FileTimes::new().set_accessed(SystemTime::now() - ago);
        let file = File::options().write(true).open(path).expect("it is there");
        file.set_times(times).expect("set");
    }

    #[test]
    fn the_copies_that_were_not_used_for_the_longest_time_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let copies = Copies::new(folder.path().join("copies"), 25);
        let (a, b) = (
            keep(&copies, "1", "a.mp4", 10),
            keep(&copies, "2", "b.mp4", 10),
        );
        last_used(&a, Duration::from_hours(1));
        last_used(&b, Duration::from_hours(2));
        let c = keep(&copies, "3", "c.mp4", 10);
        assert!(a.is_file() && !b.exists() && c.is_file());
        assert!(!b.parent().expect("a folder").exists());
        // A use counts, and what is in use stays although the limit is exceeded.
        assert!(Copies::is_there(&a, 10));
        let d = keep(&copies, "4", "d.mp4", 10);
        assert!(a.is_file() && c.is_file() && d.is_file());
        assert!(!Copies::is_there(&a, 11), "another size");
        copies.remove("a.mp4");
        assert!(!a.exists() && c.is_file());
    }

    #[test]
    fn only_paths_of_copies_have_an_id_and_a_name() {
        let copies = Copies::new(PathBuf::from("/data/files/.copies"), 0);
        let path = copies.path("12ab", "夏.mp4");
        assert_eq!(copies.parts(&path), Some(("12ab", "夏.mp4")));
        for other in [
            "/data/files/a.mp4",
            "/data/files/.copies/a",
            "/data/files/.copies/a/b/c",
        ] {
            assert_eq!(copies.parts(Path::new(other)), None, "{other}");
        }
    }
}
