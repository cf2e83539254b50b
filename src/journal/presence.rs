//! Shows which processes are still running: a process that other processes need to check locks its own file, and
//! the operating system releases the lock when the process ends, even after a crash.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::Journal;
use crate::regular_file::{self, Links};

/// A newer file is not removed, because its creator may be about to lock it.
const SETTLED: Duration = Duration::from_mins(1);

/// Makes this process visible to others that use the journal. The lock file is created on first use.
#[derive(Debug)]
pub(crate) struct Runner {
    /// The folder of the lock files; `None` if the journal is not a file.
    dir: Option<PathBuf>,
    own: OnceLock<Option<Presence>>,
}

impl Runner {
    /// Does no I/O.
    pub(crate) fn new(journal: &Journal) -> Self {
        Self {
            dir: journal.path().map(|path| path.with_file_name("running")),
            own: OnceLock::new(),
        }
    }

    /// The name of this process's lock file; empty if it could not be created.
    pub(crate) fn name(&self) -> &str {
        let own = self.own.get_or_init(|| {
            Presence::new(self.dir.as_deref()?)
                .inspect_err(|error| {
                    tracing::warn!(
                        "other processes will see jobs of this process as interrupted: {error}"
                    );
                })
                .ok()
        });
        own.as_ref().map_or("", |presence| &presence.name)
    }

    /// Whether the process with this name is still running.
    pub(crate) fn is_there(&self, name: &str) -> bool {
        self.dir.as_deref().is_some_and(|dir| is_there(dir, name))
    }
}

#[derive(Debug)]
struct Presence {
    name: String,
    path: PathBuf,
    _lock: File,
}

impl Presence {
    /// Creates and locks a file in `dir`, and removes the files of processes that have ended.
    fn new(dir: &Path) -> io::Result<Self> {
        regular_file::create_own_folder(dir)?;
        sweep(dir);
        let name = uuid::Uuid::new_v4().simple().to_string();
        let path = dir.join(&name);
        let lock =
            regular_file::owner_only(File::options().read(true).write(true).create_new(true))
                .open(&path)?;
        lock.lock()?;
        Ok(Self {
            name,
            path,
            _lock: lock,
        })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // If this fails, the next process removes the file.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_there(dir: &Path, name: &str) -> bool {
    !name.is_empty() && is_locked(&dir.join(name))
}

fn is_locked(path: &Path) -> bool {
    // A shared lock, so that two processes that check do not mistake each other for the owner.
    regular_file::open(path, Links::Refuse)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified());
        let settled = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > SETTLED));
        if settled && !is_locked(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_visible_until_its_presence_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let presence = Presence::new(dir.path()).unwrap();
        let name = presence.name.clone();
        assert!(is_there(dir.path(), &name));
        drop(presence);
        assert!(!is_there(dir.path(), &name));
        assert!(!is_there(dir.path(), ""));
    }

    #[test]
    fn files_of_ended_processes_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let living = Presence::new(dir.path()).unwrap();
        let left = dir.path().join("left");
        let fresh = dir.path().join("fresh");
        let old = std::time::SystemTime::now() - 2 * SETTLED;
        for path in [&left, &fresh] {
            File::create(path).unwrap();
        }
        for path in [&left, &living.path] {
            File::options()
                .write(true)
                .open(path)
                .and_then(|file| file.set_modified(old))
                .unwrap();
        }
        assert!(!is_there(dir.path(), "left"));
        let _next = Presence::new(dir.path()).unwrap();
        assert!(!left.exists() && fresh.exists() && living.path.exists());
        assert!(is_there(dir.path(), &living.name));
    }
}
