//! The edit list of an MP4: which parts of the stored sound are heard. The demuxer ignores it, and without it every AAC
//! file begins some 20 to 50 ms late.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};

use crate::error::{MOST_SECONDS, SoundError};

/// A part of what is heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Edit {
    /// Seconds of silence.
    Silence(f64),
    /// A range of the stored sound in seconds; without an end, all that follows.
    Media { start: f64, end: Option<f64> },
}

/// The most entries of a list, and the most boxes that are looked at.
const MOST_EDITS: u64 = 10_000;
const MOST_BOXES: usize = 20_000;

/// The edits of a track; none if everything that is stored is heard.
///
/// # Errors
/// If the parts that are heard are not in the order in which they are stored.
pub(crate) fn edits(file: &mut File, track_id: u32) -> Result<VecDeque<Edit>, SoundError> {
    let length = file.metadata()?.len();
    let mut reader = BoxReader {
        file,
        left: MOST_BOXES,
    };
    let Some(movie) = reader.find(0..length, *b"moov")? else {
        return Ok(VecDeque::new());
    };
    let Some(movie_scale) = reader.timescale(movie.clone(), *b"mvhd")? else {
        return Ok(VecDeque::new());
    };
    for track in reader.all(movie, *b"trak")? {
        let Some(header) = reader.find(track.clone(), *b"tkhd")? else {
            continue;
        };
        let bytes = reader.bytes(header, 24)?;
        let at = if bytes.first() == Some(&1) { 20 } else { 12 };
        if number(&bytes, at, 4) != Some(u64::from(track_id)) {
            continue;
        }
        let Some(media) = reader.find(track.clone(), *b"mdia")? else {
            break;
        };
        let (Some(scale), Some(list)) = (
            reader.timescale(media, *b"mdhd")?,
            reader.find(track, *b"edts")?,
        ) else {
            break;
        };
        let Some(list) = reader.find(list, *b"elst")? else {
            break;
        };
        return parse(
            &reader.bytes(list, 8 + MOST_EDITS * 20)?,
            movie_scale,
            scale,
        );
    }
    Ok(VecDeque::new())
}

fn parse(bytes: &[u8], movie_scale: f64, scale: f64) -> Result<VecDeque<Edit>, SoundError> {
    let width = if bytes.first() == Some(&1) { 8 } else { 4 };
    let count = number(bytes, 4, 4).unwrap_or(0).min(MOST_EDITS) as usize;
    let mut edits = VecDeque::new();
    let mut reached = 0.0;
    for index in 0..count {
        let at = 8 + index * (2 * width + 4);
        let (Some(length), Some(from)) =
            (number(bytes, at, width), number(bytes, at + width, width))
        else {
            break;
        };
        let length = length as f64 / movie_scale;
        if length > MOST_SECONDS {
            return Err(SoundError::TooLong);
        }
        let nothing = if width == 8 {
            u64::MAX
        } else {
            u64::from(u32::MAX)
        };
        if from == nothing {
            edits.push_back(Edit::Silence(length));
            continue;
        }
        let start = from as f64 / scale;
        if start < reached {
            return Err(SoundError::NeedsFfmpeg(
                "an MP4 file whose edit list repeats or reorders its sound".to_owned(),
            ));
        }
        let end = (length > 0.0).then_some(start + length);
        reached = end.unwrap_or(start);
        edits.push_back(Edit::Media { start, end });
    }
    if edits.iter().all(|edit| matches!(edit, Edit::Silence(_))) {
        // A list without sound is that of a broken writer; players ignore it, too.
        edits.clear();
    }
    Ok(edits)
}

/// Refuses a file that ends inside one of its boxes.
pub(crate) fn check_complete(file: &mut File) -> Result<(), SoundError> {
    let length = file.metadata()?.len();
    let (mut at, mut left) = (0u64, MOST_BOXES);
    while at + 8 <= length && left > 0 {
        left -= 1;
        file.seek(SeekFrom::Start(at))?;
        let mut head = Vec::new();
        file.by_ref().take(16).read_to_end(&mut head)?;
        let size = match number(&head, 0, 4) {
            Some(0) | None => return Ok(()),
            Some(1) => number(&head, 8, 8).unwrap_or(0),
            Some(size) => size,
        };
        let end = at.saturating_add(size.max(8));
        if end > length {
            return Err(SoundError::Broken(format!(
                "it is cut off: it has {length} bytes and needs {end}"
            )));
        }
        at = end;
    }
    Ok(())
}

type Area = std::ops::Range<u64>;

/// Looks for boxes in a file of any size, with few reads.
struct BoxReader<'a> {
    file: &'a mut File,
    left: usize,
}

impl BoxReader<'_> {
    fn find(&mut self, area: Area, kind: [u8; 4]) -> Result<Option<Area>, SoundError> {
        Ok(self.first(area, kind, 1)?.pop())
    }

    fn all(&mut self, area: Area, kind: [u8; 4]) -> Result<Vec<Area>, SoundError> {
        self.first(area, kind, usize::MAX)
    }

    /// The contents of the first boxes of a kind.
    fn first(&mut self, area: Area, kind: [u8; 4], most: usize) -> Result<Vec<Area>, SoundError> {
        let mut found = Vec::new();
        let mut at = area.start;
        while at + 8 <= area.end && found.len() < most && self.left > 0 {
            self.left -= 1;
            let head = self.bytes(at..area.end, 16)?;
            let (Some(size), Some(name)) = (number(&head, 0, 4), head.get(4..8)) else {
                break;
            };
            let (size, header) = match size {
                0 => (area.end - at, 8),
                1 => (number(&head, 8, 8).unwrap_or(0), 16),
                size => (size, 8),
            };
            let Some(end) = at.checked_add(size).filter(|end| *end <= area.end) else {
                break;
            };
            if size < header {
                break;
            }
            if name == kind {
                found.push(at + header..end);
            }
            at = end;
        }
        Ok(found)
    }

    fn bytes(&mut self, area: Area, most: u64) -> Result<Vec<u8>, SoundError> {
        self.file.seek(SeekFrom::Start(area.start))?;
        let mut bytes = Vec::new();
        let count = most.min(area.end - area.start);
        self.file.by_ref().take(count).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Units in a second, from `mvhd` or `mdhd`.
    fn timescale(&mut self, area: Area, kind: [u8; 4]) -> Result<Option<f64>, SoundError> {
        let Some(header) = self.find(area, kind)? else {
            return Ok(None);
        };
        let bytes = self.bytes(header, 24)?;
        let at = if bytes.first() == Some(&1) { 20 } else { 12 };
        let scale = number(&bytes, at, 4).filter(|scale| *scale > 0);
        Ok(scale.map(|scale| scale as f64))
    }
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + width)?;
    Some(
        bytes
            .iter()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u32, i32)]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 0];
        bytes.extend((entries.len() as u32).to_be_bytes());
        for (length, from) in entries {
            bytes.extend(length.to_be_bytes());
            bytes.extend(from.to_be_bytes());
            bytes.extend([0, 1, 0, 0]);
        }
        bytes
    }

    #[test]
    fn edit_lists_become_ranges_in_seconds() {
        let edits = parse(&list(&[(500, -1), (2_000, 1_024)]), 1_000.0, 48_000.0).unwrap();
        let start = 1_024.0 / 48_000.0;
        let expected = [
            Edit::Silence(0.5),
            Edit::Media {
                start,
                end: Some(start + 2.0),
            },
        ];
        assert_eq!(edits, expected);
        let open = parse(&list(&[(0, 312)]), 1_000.0, 48_000.0).unwrap();
        assert_eq!(
            open,
            [Edit::Media {
                start: 0.0065,
                end: None
            }]
        );
    }

    #[test]
    fn lists_that_repeat_sound_are_left_to_ffmpeg() {
        let repeated = parse(&list(&[(1_000, 0), (1_000, 0)]), 1_000.0, 48_000.0);
        assert!(matches!(repeated, Err(SoundError::NeedsFfmpeg(_))));
        let cut = parse(&list(&[(1_000, 0)])[..14], 1_000.0, 48_000.0).unwrap();
        assert!(cut.is_empty());
    }
}
