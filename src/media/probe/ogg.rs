//! Ogg: Vorbis, Opus, FLAC and Speex. The length is the position of the last page.

use super::wire::{u16_be, u32_be, u32_le, u64_le};
use super::{Probe, ProbeError, SourceReader, micros, sound};
use crate::media::{Facts, MediaFormat};

const WHAT: &str = "Ogg";
/// The maximum size of a page.
const PAGE: usize = 27 + 255 + 255 * 255;

struct OggStream {
    serial: u64,
    format: MediaFormat,
    /// Positions per second.
    rate: u64,
}

pub(super) fn read(reader: &mut SourceReader) -> Probe<Facts> {
    let head = reader.bytes(0, 64 << 10)?;
    let stream = stream(&head)?;
    let cover_art = head
        .windows(22)
        .any(|window| window.eq_ignore_ascii_case(b"metadata_block_picture"));
    let bytes = reader.measure()?;
    let mut span = PAGE as u64 * 2;
    loop {
        let from = bytes.saturating_sub(span);
        let tail = reader.bytes(from, (bytes - from) as usize)?;
        if let Some(position) = last_position(&tail, stream.serial, bytes)? {
            let duration = micros(position, stream.rate);
            return Ok(sound(stream.format, duration, cover_art));
        }
        if from == 0 || span > 8 << 20 {
            return Err(ProbeError::Broken(WHAT, "it has no length".to_owned()));
        }
        span *= 4;
    }
}

/// The first audio stream among the pages that begin a stream.
fn stream(head: &[u8]) -> Probe<OggStream> {
    let mut at = 0;
    while let Some(page) = head.get(at..).filter(|page| page.starts_with(b"OggS")) {
        let opens = page.get(5).is_some_and(|flags| flags & 2 != 0);
        let (Some(serial), Some(length), true) = (u32_le(page, 14), page_length(page), opens)
        else {
            break;
        };
        let segments = page.get(26).copied().map_or(0, usize::from);
        let packet = page.get(27 + segments..).unwrap_or_default();
        let rate = |rate: Option<u64>, format| {
            rate.filter(|rate| *rate > 0)
                .map(|rate| OggStream {
                    serial,
                    format,
                    rate,
                })
                .ok_or_else(|| ProbeError::Broken(WHAT, "its sample rate is missing".to_owned()))
        };
        if packet.starts_with(b"OpusHead") {
            // Opus positions always use 48 kHz.
            return rate(Some(48_000), MediaFormat::Opus);
        } else if packet.starts_with(b"\x01vorbis") {
            return rate(u32_le(packet, 12), MediaFormat::Ogg);
        } else if packet.starts_with(b"\x7fFLAC") {
            let packed = u16_be(packet, 27).zip(packet.get(29));
            return rate(
                packed.map(|(high, low)| high << 4 | u64::from(low >> 4)),
                MediaFormat::Ogg,
            );
        } else if packet.starts_with(b"Speex   ") {
            return rate(u32_le(packet, 36), MediaFormat::Ogg);
        } else if packet.starts_with(b"\x80theora") {
            break;
        }
        at += length;
    }
    Err(ProbeError::Unknown(
        "it is an Ogg file without a supported audio stream".to_owned(),
    ))
}

fn page_length(page: &[u8]) -> Option<usize> {
    let segments = usize::from(*page.get(26)?);
    let table = page.get(27..27 + segments)?;
    Some(
        27 + segments
            + table
                .iter()
                .map(|length| usize::from(*length))
                .sum::<usize>(),
    )
}

/// The position of the stream's last page in the file's tail; an error if that page is incomplete.
fn last_position(tail: &[u8], serial: u64, bytes: u64) -> Probe<Option<u64>> {
    let mut last = None;
    let mut at = 0;
    while let Some(found) = tail[at..].windows(4).position(|window| window == b"OggS") {
        let page = &tail[at + found..];
        let ours = u32_le(page, 14) == Some(serial) && page.get(4) == Some(&0);
        let length = page_length(page);
        if ours || u32_be(page, 14).is_none() {
            let needed = length.unwrap_or(27 + 255);
            if needed > page.len() {
                let place = bytes - page.len() as u64;
                return Err(ProbeError::Cut(WHAT, bytes, place + needed as u64));
            }
            // All bits set: no packet ends on this page.
            last = u64_le(page, 6)
                .filter(|position| *position != u64::MAX)
                .or(last);
        }
        at += found
            + length
                .filter(|length| ours && *length <= page.len())
                .unwrap_or(4);
    }
    Ok(last)
}
