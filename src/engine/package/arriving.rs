//! The progress of a save's files, in bytes.

use std::sync::{Mutex, PoisonError};

use super::PackageProgress;
use crate::progress::{Bytes, Pace};

/// The received bytes of each file.
pub(super) struct Arriving {
    files: Mutex<Vec<FileProgress>>,
    pace: Pace,
}

#[derive(Clone, Copy, Default)]
struct FileProgress {
    begun: bool,
    ended: bool,
    done: u64,
    of: Option<u64>,
}

impl Arriving {
    pub(crate) fn of(files: usize) -> Self {
        Self {
            files: Mutex::new(vec![FileProgress::default(); files]),
            pace: Pace::default(),
        }
    }

    /// Updates a file; returns the total progress if it is time to report it.
    pub(crate) fn bytes(
        &self,
        index: usize,
        done: u64,
        of: Option<u64>,
    ) -> Option<PackageProgress> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files[index] = FileProgress {
            begun: true,
            ended: false,
            done,
            of,
        };
        self.pace.is_due().then(|| progress_of(&files))
    }

    pub(crate) fn ended(&self, index: usize) -> PackageProgress {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files[index].ended = true;
        progress_of(&files)
    }
}

fn progress_of(files: &[FileProgress]) -> PackageProgress {
    let files_done = files.iter().filter(|file| file.ended).count() as u64;
    let part = files.iter().filter(|file| !file.ended).filter_map(|file| {
        let of = file.of.filter(|of| *of > 0)?;
        Some((file.done as f64 / of as f64).min(1.0))
    });
    // The total is known once the size of every file is known.
    let all_known = files.iter().all(|file| file.begun && file.of.is_some());
    PackageProgress {
        files_done,
        files: files.len() as u64,
        part: part.sum(),
        bytes: Bytes {
            done: files.iter().map(|file| file.done).sum(),
            of: all_known.then(|| files.iter().filter_map(|file| file.of).sum()),
        },
        message: format!("media {files_done} of {}", files.len()),
    }
}
