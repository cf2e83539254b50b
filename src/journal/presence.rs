//! Shows which processes are still running. Beside a journal that is a file, a process locks a file of its own, and the
//! operating system releases the lock when the process ends, even after a crash. With a store that other machines use
//! as well, it renews a lease there.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::Journal;
use crate::error::Result;
use crate::regular_file::{self, Links};

/// How long a lease lasts after the end of its process.
const LASTS: Duration = Duration::from_secs(15);

/// A newer file is not removed, because its creator may be about to lock it.
const SETTLED: Duration = Duration::from_mins(1);

/// Makes this process visible to others that use the journal. The lock file or the lease is created on first use.
#[derive(Debug)]
pub(crate) struct Runner {
    place: PresencePlace,
    own: OnceCell<OwnPresence>,
}

#[derive(Debug)]
enum PresencePlace {
    /// The folder of the lock files.
    Folder(PathBuf),
    /// Leases in a store that other machines use.
    Leases(Arc<Journal>),
    /// Only this process has the journal.
    Nowhere,
}

#[derive(Debug)]
enum OwnPresence {
    File(Presence),
    Lease {
        name: String,
        _renewal: AbortOnDropHandle<()>,
    },
    /// It could not be created.
    None,
}

impl Runner {
    /// Does no I/O.
    pub(crate) fn new(journal: &Arc<Journal>) -> Self {
        let place = match journal.path() {
            _ if journal.store().is_shared() => PresencePlace::Leases(Arc::clone(journal)),
            Some(path) => PresencePlace::Folder(path.with_file_name("running")),
            None => PresencePlace::Nowhere,
        };
        Self {
            place,
            own: OnceCell::new(),
        }
    }

    /// The name by which others see whether this process is there; empty if they cannot.
    pub(crate) async fn name(&self) -> &str {
        let own = self.own.get_or_try_init(|| self.appear()).await;
        match own {
            Ok(own) => own.name(),
            Err(error) => {
                tracing::warn!("other processes do not see this process yet: {error}");
                ""
            }
        }
    }

    async fn appear(&self) -> Result<OwnPresence> {
        match &self.place {
            PresencePlace::Nowhere => Ok(OwnPresence::None),
            PresencePlace::Folder(folder) => Ok(match Presence::new(folder) {
                Ok(presence) => OwnPresence::File(presence),
                Err(error) => {
                    tracing::warn!(
                        "other processes will see jobs of this process as interrupted: {error}"
                    );
                    OwnPresence::None
                }
            }),
            PresencePlace::Leases(journal) => {
                let holder = Uuid::new_v4();
                let name = holder.simple().to_string();
                let key = lease_key(&name);
                journal.lease(&key, holder, LASTS).await?;
                let journal = Arc::clone(journal);
                let renewal = tokio::spawn(async move {
                    loop {
                        tokio::time::sleep(LASTS / 4).await;
                        // The next one tries again.
                        if let Err(error) = journal.lease(&key, holder, LASTS).await {
                            tracing::debug!("{key} could not be renewed: {error}");
                        }
                    }
                });
                Ok(OwnPresence::Lease {
                    name,
                    _renewal: AbortOnDropHandle::new(renewal),
                })
            }
        }
    }

    /// Whether the process with this name is still running. If that is not known, it counts as running.
    pub(crate) async fn is_there(&self, name: &str) -> bool {
        match &self.place {
            PresencePlace::Nowhere => false,
            PresencePlace::Folder(folder) => is_there(folder, name),
            PresencePlace::Leases(_) if name.is_empty() => false,
            PresencePlace::Leases(journal) => {
                let leased = journal.is_leased(&lease_key(name)).await;
                leased.unwrap_or(true)
            }
        }
    }
}

fn lease_key(name: &str) -> String {
    format!("runner {name}")
}

impl OwnPresence {
    fn name(&self) -> &str {
        match self {
            Self::File(presence) => &presence.name,
            Self::Lease { name, .. } => name,
            Self::None => "",
        }
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
