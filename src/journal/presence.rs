//! Which processes are still there: whoever has something that others ask about holds a lock on a file of its
//! own, and the system takes the lock away when the process ends, however it ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::Journal;
use crate::regular_file::{self, Links};

/// A file that is so young may be about to be locked by its maker.
const SETTLED: Duration = Duration::from_mins(1);

/// This process as others that use the journal see it, from when it first has something that they may ask about.
#[derive(Debug)]
pub(crate) struct Runner {
    /// Where the processes are to be seen; none where the journal is no file.
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

    /// The name that this process is seen by; empty where it cannot be seen.
    pub(crate) fn name(&self) -> &str {
        let own = self.own.get_or_init(|| {
            Presence::new(self.dir.as_deref()?)
                .inspect_err(|error| {
                    tracing::warn!("jobs of this process look interrupted to others: {error}");
                })
                .ok()
        });
        own.as_ref().map_or("", |presence| &presence.name)
    }

    /// Whether the process of that name is still there.
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
    /// Makes and locks a file in `dir`, and removes the files there of those that are gone.
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
        // What stays is swept by the next one.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_there(dir: &Path, name: &str) -> bool {
    !name.is_empty() && is_locked(&dir.join(name))
}

fn is_locked(path: &Path) -> bool {
    // Shared, so that two who look do not take each other for the owner.
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
    fn one_is_there_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let presence = Presence::new(dir.path()).unwrap();
        let name = presence.name.clone();
        assert!(is_there(dir.path(), &name));
        drop(presence);
        assert!(!is_there(dir.path(), &name));
        assert!(!is_there(dir.path(), ""));
    }

    #[test]
    fn what_the_dead_left_is_swept_and_the_living_stay() {
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
