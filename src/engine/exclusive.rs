//! A lock that one process at a time holds, in a file that exists while it is held.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::regular_file;

/// The lock. The system releases it when its process ends, in any way.
#[derive(Debug)]
pub(crate) struct Exclusive {
    path: PathBuf,
    _lock: File,
}

impl Exclusive {
    /// `None` while another process holds the lock.
    pub(crate) fn new(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let lock = regular_file::open_own(path)?;
            match lock.try_lock() {
                Ok(()) if is_linked(&lock, path) => {
                    return Ok(Some(Self {
                        path: path.to_owned(),
                        _lock: lock,
                    }));
                }
                // Its last owner removed the file between opening and locking.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        // Remove it while it is locked, so that no other process locks a file that is about to be removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether an open file is still the one at `path`.
fn is_linked(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let _ = path;
        file.metadata().is_ok_and(|there| there.nlink() > 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}
