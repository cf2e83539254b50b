//! Backups of files of a draft, outside of all drafts: before `lint --fix`, and before an opened draft is saved into its
//! folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::engine::registry;
use crate::error::{Error, Kind, Result};
use crate::regular_file;

/// How many backups are kept of drafts with the same name.
const MOST_BACKUPS: usize = 20;

/// Deletes the oldest backups of drafts with this name, so that one more can be added.
fn prune(backups: &Path, name: &str) {
    let mut all: Vec<(Vec<u64>, PathBuf)> = fs::read_dir(backups)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let own = entry.file_name().into_string().ok()?;
            // The time in seconds, and a number if there are several in one second.
            let when = own.strip_prefix(name)?.strip_prefix('-')?.split('-');
            let when: Vec<u64> = when.map(str::parse).collect::<Result<_, _>>().ok()?;
            (when.len() <= 2
                && when[0] > 1_000_000_000
                && entry.path().join("backup.json").is_file())
            .then(|| (when, entry.path()))
        })
        .collect();
    all.sort_unstable();
    let surplus = (all.len() + 1).saturating_sub(MOST_BACKUPS);
    for (_, backup) in all.drain(..surplus) {
        let _ = fs::remove_dir_all(backup);
    }
}

/// The backup of the original files.
pub(crate) struct Backup {
    /// Where the copies are.
    folder: PathBuf,
    draft: PathBuf,
    made: bool,
    kept: Vec<String>,
    renamed: Vec<[String; 2]>,
}

impl Backup {
    /// A backup of the draft in `folder`, in a new folder below `backups` that is created with the first file.
    pub(crate) fn new(folder: &Path, backups: &Path) -> Self {
        let seconds = now() / 1_000_000;
        let name = folder.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let free = (0..u32::MAX)
            .map(|number| match number {
                0 => backups.join(format!("{name}-{seconds}")),
                number => backups.join(format!("{name}-{seconds}-{number}")),
            })
            .find(|path| !path.exists());
        prune(backups, &name);
        Self {
            folder: free.unwrap_or_else(|| backups.join(name)),
            draft: folder.to_owned(),
            made: false,
            kept: Vec::new(),
            renamed: Vec::new(),
        }
    }

    /// Copies a file before its first change.
    pub(crate) fn keep(&mut self, from: &Path, name: &str) -> Result<()> {
        if self.copy(from, name)? {
            self.write_index()?;
        }
        Ok(())
    }

    /// Copies files of the draft before they change. Of those with the same hash, one is copied, and the others become
    /// links to it.
    pub(crate) fn keep_all<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
        hashes: &BTreeMap<String, String>,
    ) -> Result<()> {
        let mut copies: BTreeMap<&str, &str> = BTreeMap::new();
        for name in names {
            let hash = hashes.get(name).map(String::as_str);
            if let Some(first) = hash.and_then(|hash| copies.get(hash))
                && self.link(first, name).is_ok()
            {
                continue;
            }
            let from = self.draft.join(name);
            self.copy(&from, name)?;
            copies.extend(hash.map(|hash| (hash, name)));
        }
        self.write_index()
    }

    /// Keeps a file as a link to a copy with the same content.
    fn link(&mut self, first: &str, name: &str) -> std::io::Result<()> {
        let to = self.folder.join(name);
        fs::create_dir_all(to.parent().unwrap_or(&self.folder))?;
        fs::hard_link(self.folder.join(first), &to)?;
        self.kept.push(name.to_owned());
        Ok(())
    }

    /// Whether the file was not kept before.
    fn copy(&mut self, from: &Path, name: &str) -> Result<bool> {
        if self.kept.iter().any(|kept| kept == name) {
            return Ok(false);
        }
        self.kept.push(name.to_owned());
        if from.is_file() {
            let to = self.folder.join(name);
            regular_file::create_own_folder(&self.folder)
                .and_then(|()| fs::create_dir_all(to.parent().unwrap_or(&self.folder)))
                .and_then(|()| fs::copy(from, &to))
                .map_err(|error| unwritable(&to, error))?;
        }
        Ok(true)
    }

    /// Records that a file of the draft got another name.
    pub(crate) fn renamed(&mut self, from: String, to: String) -> Result<()> {
        self.renamed.push([from, to]);
        self.write_index()
    }

    /// Copies a folder of the draft; returns the path of the copy.
    pub(crate) fn keep_folder(&mut self, from: &Path, name: &str) -> Result<PathBuf> {
        let to = self.folder.join(name);
        regular_file::create_own_folder(&self.folder)
            .and_then(|()| copy_folder(from, &to))
            .map_err(|error| unwritable(&to, error))?;
        self.made = true;
        Ok(to)
    }

    /// The folder with the copies, if there are any.
    pub(crate) fn made(self) -> Option<PathBuf> {
        self.made.then_some(self.folder)
    }

    /// Writes `backup.json`, which describes how to restore the files.
    fn write_index(&mut self) -> Result<()> {
        let to = self.folder.join("backup.json");
        let index = json!({
            "draft": self.draft, "files": self.kept, "renamed": self.renamed,
            "to_go_back": "rename the files back, and copy the others into the draft's folder",
        });
        regular_file::create_own_folder(&self.folder)
            .map_err(|error| unwritable(&self.folder, error))?;
        self.made = true;
        registry::write(&to, index.to_string().as_bytes())
    }
}

/// Copies a folder with all of its content, except for links.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let to = to.join(entry.file_name());
        if kind.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

pub(crate) fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        Kind::Conflict,
        format!("{} cannot be written", path.display()),
    )
    .hint("check the folder's permissions and the free disk space")
    .source(error)
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_micros() as i64
}
