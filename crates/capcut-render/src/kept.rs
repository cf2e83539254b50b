//! Frames that were decoded for earlier pictures: the same time again, or after an edit, needs no decoder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tiny_skia::Pixmap;

/// How many bytes of frames are kept.
const BYTES: usize = 32 << 20;

/// Decoded frames of single pictures and sheets, at most 32 MB; the one that was used longest ago goes first. Cheap to
/// clone; clones share the frames. A file that changed is decoded again.
#[derive(Clone, Debug, Default)]
pub struct KeptFrames(Arc<Mutex<Kept>>);

/// What is shown of which state of a file, and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameKey {
    file: PathBuf,
    bytes: u64,
    changed: Option<SystemTime>,
    /// Microseconds in the file.
    at: i64,
    /// The pixels that it was decoded for.
    size: (u32, u32),
}

#[derive(Debug, Default)]
struct Kept {
    /// The one that was used last is at the end.
    frames: Vec<(FrameKey, Arc<Pixmap>)>,
    bytes: usize,
}

impl FrameKey {
    /// `None` if the file is not there.
    pub(crate) fn of(file: &Path, at: i64, size: (u32, u32)) -> Option<Self> {
        let state = fs::metadata(file).ok()?;
        Some(Self {
            file: file.to_owned(),
            bytes: state.len(),
            changed: state.modified().ok(),
            at,
            size,
        })
    }
}

impl KeptFrames {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: &FrameKey) -> Option<Arc<Pixmap>> {
        let mut kept = self.lock();
        let index = kept.frames.iter().position(|(of, _)| of == key)?;
        let found = kept.frames.remove(index);
        let frame = Arc::clone(&found.1);
        kept.frames.push(found);
        Some(frame)
    }

    pub(crate) fn put(&self, key: FrameKey, frame: &Arc<Pixmap>) {
        let bytes = frame.data().len();
        let mut kept = self.lock();
        if bytes > BYTES || kept.frames.iter().any(|(of, _)| *of == key) {
            return;
        }
        let mut left = kept.bytes + bytes;
        let mut gone = 0;
        while left > BYTES {
            left -= kept.frames[gone].1.data().len();
            gone += 1;
        }
        kept.frames.drain(..gone);
        kept.frames.push((key, Arc::clone(frame)));
        kept.bytes = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(side: u32) -> Arc<Pixmap> {
        Arc::new(Pixmap::new(side, side).unwrap())
    }

    #[test]
    fn the_frame_that_was_used_longest_ago_makes_room() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let key = |at| FrameKey::of(file.path(), at, (1024, 1024)).unwrap();
        let kept = KeptFrames::default();
        // Each has 4 MB.
        for at in 0..8 {
            kept.put(key(at), &frame(1024));
        }
        assert!(kept.get(&key(0)).is_some());
        kept.put(key(8), &frame(1024));
        assert!(kept.get(&key(0)).is_some(), "it was used after the others");
        assert!(kept.get(&key(1)).is_none());
        assert_eq!(kept.lock().bytes, BYTES);
        kept.put(key(9), &frame(4096));
        assert!(
            kept.get(&key(8)).is_some(),
            "one that is too large moves nothing"
        );
    }

    #[test]
    fn a_changed_file_and_another_size_are_other_frames() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let key = |size| FrameKey::of(file.path(), 0, (size, size)).unwrap();
        let kept = KeptFrames::default();
        kept.put(key(8), &frame(8));
        assert!(kept.get(&key(8)).is_some());
        assert!(kept.get(&key(9)).is_none());
        fs::write(file.path(), "other").unwrap();
        assert!(kept.get(&key(8)).is_none());
        assert!(FrameKey::of(Path::new("/not/there"), 0, (8, 8)).is_none());
    }
}
