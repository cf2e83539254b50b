//! The doctor's view of a disk, simulated in its tests.

use std::path::Path;

use crate::regular_file::{self, Links, SMALL_BYTES};

pub(super) trait Files {
    fn is_file(&self, path: &Path) -> bool;
    fn is_folder(&self, path: &Path) -> bool;
    /// The names of the folders in a folder.
    fn folders(&self, path: &Path) -> Vec<String>;
    /// A text file's content; `None` if it cannot be read.
    fn read(&self, path: &Path) -> Option<String>;
    /// Whether the folder can be created and written to, or why not.
    fn writable(&self, path: &Path) -> Result<(), String>;
}

/// The disk of this machine.
pub(super) struct Disk;

impl Files for Disk {
    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn folders(&self, path: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(path) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn read(&self, path: &Path) -> Option<String> {
        let bytes = regular_file::read(path, SMALL_BYTES, Links::Follow).ok()?;
        String::from_utf8(bytes).ok()
    }

    fn writable(&self, path: &Path) -> Result<(), String> {
        crate::regular_file::create_own_folder(path)
            .and_then(|()| tempfile::NamedTempFile::new_in(path))
            .map(drop)
            .map_err(|e| e.to_string())
    }
}

/// A disk with only these files. Paths are text in the style of any system.
#[cfg(test)]
pub(super) struct MadeUp {
    files: std::collections::BTreeMap<String, String>,
    pub(super) read_only: bool,
}

#[cfg(test)]
impl MadeUp {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        Self {
            files,
            read_only: false,
        }
    }

    /// The paths of the files in a folder, relative to it.
    fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a str> {
        self.files.keys().filter_map(move |path| {
            let folder = folder.to_str()?.trim_end_matches(['/', '\\']);
            path.strip_prefix(folder)?.strip_prefix(['/', '\\'])
        })
    }
}

#[cfg(test)]
impl Files for MadeUp {
    fn is_file(&self, path: &Path) -> bool {
        self.read(path).is_some()
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.below(path).next().is_some()
    }

    fn folders(&self, path: &Path) -> Vec<String> {
        let mut names: Vec<_> = self
            .below(path)
            .filter_map(|rest| rest.split_once(['/', '\\']))
            .map(|(name, _)| name.to_owned())
            .collect();
        names.dedup();
        names
    }

    fn read(&self, path: &Path) -> Option<String> {
        self.files.get(path.to_str()?).cloned()
    }

    fn writable(&self, _path: &Path) -> Result<(), String> {
        if self.read_only {
            Err("Permission denied".to_owned())
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
#[test]
fn a_simulated_disk_supports_the_paths_of_every_system() {
    let disk = MadeUp::new(&[(r"C:\a\b\c.txt", "text"), ("/a/b/c.txt", "text")]);
    assert!(disk.is_folder(Path::new(r"C:\a\b")));
    assert!(disk.is_folder(Path::new("/a")));
    assert!(!disk.is_folder(Path::new("/a/b/c")));
    assert_eq!(disk.folders(Path::new(r"C:\a")), ["b"]);
}
