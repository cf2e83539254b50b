//! The files of a bucket that calls use on this machine: complete copies, of which those that were not used for the longest
//! time are removed.
//!
//! A copy's path has an id of the content, so that a draft which uses a file never gets another one of the same name. A copy
//! of a file that has a name of its own is `ID/NAME`, others are `SHA256` or `SHA256.EXTENSION`.

use std::fs::{self, DirEntry, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempPath;

use super::folder::{scratch, unusable};
use super::is_sha256;
use crate::error::Result;
use crate::sorting;

/// Copies that were used more recently are not removed: a call may be reading them.
const IN_USE: Duration = Duration::from_mins(10);

/// A folder with copies; it may have other files, too.
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

    /// Where the copy of a file without a name is.
    pub(super) fn path_of_content(&self, sha256: &str, extension: Option<&str>) -> PathBuf {
        self.folder.join(match extension {
            Some(extension) => format!("{sha256}.{extension}"),
            None => sha256.to_owned(),
        })
    }

    /// The SHA-256 of a path of [`Self::path_of_content`].
    pub(super) fn content_of<'a>(&self, path: &'a Path) -> Option<&'a str> {
        let is_here = path.parent() == Some(&self.folder);
        content_of(path).filter(|_| is_here)
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
        let all = self.all();
        let mut total: u64 = all.iter().map(|copy| copy.bytes).sum();
        for copy in all {
            if total <= self.most || copy.unused() < IN_USE {
                break;
            }
            if copy.remove(&self.folder) {
                total -= copy.bytes;
            }
        }
    }

    /// Removes the copies that were not used for some time; returns how many there were, and their size.
    pub(super) fn remove_older(&self, age: Duration) -> (u64, u64) {
        let (mut files, mut bytes) = (0, 0);
        for copy in self.all() {
            if copy.unused() >= age.max(IN_USE) && copy.remove(&self.folder) {
                files += 1;
                bytes += copy.bytes;
            }
        }
        (files, bytes)
    }

    /// All copies; first the one that was not used for the longest time.
    fn all(&self) -> Vec<StoredCopy> {
        let mut all = Vec::new();
        let files_in = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in files_in(&self.folder) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    all.extend(files_in(&entry.path()).filter_map(|copy| StoredCopy::of(&copy)));
                }
                Ok(kind) if kind.is_file() && content_of(&entry.path()).is_some() => {
                    all.extend(StoredCopy::of(&entry));
                }
                _ => {}
            }
        }
        sorting::sort_by_key(&mut all, |copy| copy.used);
        all
    }
}

/// The SHA-256 that is a file's name, apart from its extension.
fn content_of(path: &Path) -> Option<&str> {
    let stem = path.file_stem()?.to_str()?;
    is_sha256(stem).then_some(stem)
}

struct StoredCopy {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl StoredCopy {
    fn of(entry: &DirEntry) -> Option<Self> {
        let there = entry.metadata().ok()?;
        let used = there.accessed().or_else(|_| there.modified());
        Some(Self {
            path: entry.path(),
            bytes: there.len(),
            used: used.unwrap_or(SystemTime::UNIX_EPOCH),
        })
    }

    fn unused(&self) -> Duration {
        let unused = SystemTime::now().duration_since(self.used);
        unused.unwrap_or_default()
    }

    /// Removes it, and its own folder in `folder`.
    fn remove(&self, folder: &Path) -> bool {
        let is_removed = fs::remove_file(&self.path).is_ok();
        if let Some(own) = self
            .path
            .parent()
            .filter(|own| is_removed && *own != folder)
        {
            let _ = fs::remove_dir(own);
        }
        is_removed
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
    fn copies_without_a_name_share_a_folder_with_other_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let copies = Copies::new(folder.path().to_owned(), 0);
        let hash = "0123456789abcdef".repeat(4);
        let speech = copies.path_of_content(&hash, Some("wav"));
        let other = folder.path().join("0123.wav");
        let long = folder.path().join(format!("{hash}0"));
        for path in [&speech, &other, &long] {
            fs::write(path, "x").expect("written");
            last_used(path, Duration::from_hours(2));
        }
        assert_eq!(copies.content_of(&speech), Some(&*hash));
        assert_eq!(copies.content_of(&other), None);
        assert_eq!(
            copies.content_of(&folder.path().join("a").join(&hash)),
            None
        );
        assert_eq!(copies.remove_older(Duration::from_hours(3)), (0, 0));
        assert_eq!(copies.remove_older(Duration::from_hours(1)), (1, 1));
        assert!(!speech.exists() && other.exists() && long.exists());
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
