//! MP3 and AAC as plain frame streams, and FLAC.

use std::time::Instant;

use super::wire::{syncsafe, u16_be, u32_be, u32_le};
use super::{Depth, Probe, ProbeError, SourceReader, micros, sound};
use crate::media::{Facts, MediaFormat};
use crate::units::Micros;

/// Bytes after the tags in which the first frame is searched.
const SEARCH: usize = 64 << 10;
/// Remote files up to this size are counted frame by frame, like local files: 8 minutes at 128 kbit/s.
const COUNTED: u64 = 8 << 20;
/// In larger files, this many bytes and this many positions in the rest show whether the bit rate is constant.
const SAMPLED: u64 = 512 << 10;
const PLACES: u64 = 16;

struct Frame {
    format: MediaFormat,
    /// 0: unknown, as in AAC.
    kilobits: u64,
    bytes: u64,
    samples: u64,
    rate: u64,
    /// Position in the first frame of the table for a variable bit rate.
    table: usize,
}

/// Whether two consecutive frames begin here.
pub(super) fn starts_audio(head: &[u8]) -> bool {
    frame(head).is_some_and(|first| {
        head.get(first.bytes as usize..)
            .is_some_and(|rest| frame(rest).is_some_and(|next| next.rate == first.rate))
    })
}

pub(super) fn audio(reader: &mut SourceReader, depth: Depth) -> Probe<Facts> {
    let (start, cover_art) = tags(reader)?;
    let head = reader.bytes(start, SEARCH)?;
    if head.starts_with(b"fLaC") {
        return flac_at(reader, start, cover_art, depth);
    }
    let found = (0..head.len().saturating_sub(4)).find(|at| {
        head[*at] == 0xff
            && (starts_audio(&head[*at..])
                || frame(&head[*at..]).is_some_and(|f| at + f.bytes as usize == head.len()))
    });
    let Some(offset) = found else {
        let cut = head.len() < SEARCH;
        return Err(if cut && start > 0 {
            ProbeError::Broken("MP3", "it has no sound after its tags".to_owned())
        } else {
            ProbeError::Unknown("it has no audio frames".to_owned())
        });
    };
    let start = start + offset as u64;
    let head = &head[offset..];
    // Found above.
    let Some(first) = frame(head) else {
        return Err(ProbeError::Unknown("it has no audio frames".to_owned()));
    };
    let what = if first.format == MediaFormat::Mp3 {
        "MP3"
    } else {
        "AAC"
    };
    if let Some((frames, bytes)) = table(&first, head) {
        let there = reader.measure()?;
        if start + bytes > there {
            return Err(ProbeError::Cut(what, there, start + bytes));
        }
        // Sound after the part that the table describes: joined files, with the table of the first one.
        if next_sound(reader, start + bytes, &first)?.is_none() {
            return Ok(sound(
                first.format,
                micros(frames * first.samples, first.rate),
                cover_art,
            ));
        }
    }
    let duration = count(reader, start, &first)?;
    Ok(sound(first.format, duration, cover_art))
}

/// The position after ID3v2 tags, and whether they contain a picture.
fn tags(reader: &mut SourceReader) -> Probe<(u64, bool)> {
    let mut at = 0;
    let mut cover_art = false;
    for _ in 0..16 {
        let head = reader.bytes(at, 10)?;
        let Some(length) = syncsafe(&head, 6).filter(|_| head.starts_with(b"ID3")) else {
            break;
        };
        cover_art |= tagged_picture(reader, at + 10, length, head[3])?;
        let footer = if head[5] & 0x10 == 0 { 0 } else { 10 };
        at += 10 + length + footer;
        if let Some(there) = reader.len().filter(|there| at > *there) {
            return Err(ProbeError::Cut("MP3", there, at));
        }
    }
    Ok((at, cover_art))
}

fn tagged_picture(reader: &mut SourceReader, from: u64, length: u64, version: u8) -> Probe<bool> {
    let end = from + length;
    let mut at = from;
    for _ in 0..1000 {
        let head = reader.bytes(at, 10)?;
        let (name, length, header) = match version {
            2 => (head.get(..3), u32_be(&head, 2).map(|n| n & 0xff_ffff), 6),
            3 => (head.get(..4), u32_be(&head, 4), 10),
            _ => (head.get(..4), syncsafe(&head, 4), 10),
        };
        let (Some(name), Some(length)) = (name, length) else {
            break;
        };
        if name == b"APIC" || name == b"PIC" {
            return Ok(true);
        }
        at += header + length;
        if at >= end || name[0] == 0 {
            break;
        }
    }
    Ok(false)
}

/// An MPEG or ADTS frame header.
fn frame(bytes: &[u8]) -> Option<Frame> {
    let [0xff, second, third, fourth, ..] = *bytes else {
        return None;
    };
    if second & 0xf6 == 0xf0 {
        return adts(bytes);
    }
    let (version, layer) = (second >> 3 & 3, second >> 1 & 3);
    let (rate_index, speed) = (usize::from(third >> 4), usize::from(third >> 2 & 3));
    if second & 0xe0 != 0xe0
        || version == 1
        || layer == 0
        || speed == 3
        || !(1..15).contains(&rate_index)
    {
        return None;
    }
    let old = version == 3;
    let kilobits = match (old, layer) {
        (true, 3) => [
            32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
        ],
        (true, 2) => [
            32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
        ],
        (true, _) => [
            32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
        ],
        (false, 3) => [
            32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
        ],
        (false, _) => [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    }[rate_index - 1];
    let halvings = match version {
        3 => 0,
        2 => 1,
        _ => 2,
    };
    let rate = [44_100_u64, 48_000, 32_000][speed] >> halvings;
    let padding = u64::from(third >> 1 & 1);
    let (samples, bytes) = match (layer, old) {
        (3, _) => (384, (12 * kilobits * 1000 / rate + padding) * 4),
        (1, false) => (576, 72 * kilobits * 1000 / rate + padding),
        _ => (1152, 144 * kilobits * 1000 / rate + padding),
    };
    let mono = fourth >> 6 == 3;
    let side = match (old, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    Some(Frame {
        format: MediaFormat::Mp3,
        kilobits,
        bytes,
        samples,
        rate,
        table: 4 + side,
    })
}

fn adts(bytes: &[u8]) -> Option<Frame> {
    const RATES: [u64; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8000, 7350,
    ];
    let rate = *RATES.get(usize::from(*bytes.get(2)? >> 2 & 15))?;
    let length = (u64::from(bytes[3] & 3) << 11)
        | (u64::from(*bytes.get(4)?) << 3)
        | u64::from(*bytes.get(5)? >> 5);
    let blocks = u64::from(*bytes.get(6)? & 3) + 1;
    (length >= 7).then_some(Frame {
        format: MediaFormat::Aac,
        kilobits: 0,
        bytes: length,
        samples: 1024 * blocks,
        rate,
        table: usize::MAX,
    })
}

/// Whether a frame contains a table instead of sound.
fn is_table(first: &Frame, frame: &[u8]) -> bool {
    let at = |from: usize| frame.get(from..from.saturating_add(4));
    first.format == MediaFormat::Mp3
        && (at(36) == Some(b"VBRI") || matches!(at(first.table), Some(b"Xing" | b"Info")))
}

/// The numbers of frames and bytes from a Xing, Info or VBRI table in the first frame.
fn table(first: &Frame, head: &[u8]) -> Option<(u64, u64)> {
    let frame = head.get(..first.bytes as usize)?;
    if !is_table(first, frame) {
        return None;
    }
    let (frames, bytes) = if frame.get(36..40) == Some(b"VBRI") {
        (u32_be(frame, 50)?, u32_be(frame, 46)?)
    } else {
        let table = frame.get(first.table..)?;
        let has_both = u32_be(table, 4)? & 3 == 3;
        (u32_be(table, 8).filter(|_| has_both)?, u32_be(table, 12)?)
    };
    (frames > 0 && bytes > 0).then_some((frames, bytes))
}

/// Samples and frames so far.
#[derive(Default)]
struct Counted {
    at: u64,
    /// By sample rate: joined files may differ.
    samples: Vec<(u64, u64)>,
    /// The bit rate of the last frame.
    kilobits: Option<u64>,
    varies: bool,
}

impl Counted {
    fn add(&mut self, frame: &Frame) {
        match self
            .samples
            .iter_mut()
            .find(|(rate, _)| *rate == frame.rate)
        {
            Some((_, samples)) => *samples += frame.samples,
            None => self.samples.push((frame.rate, frame.samples)),
        }
        self.varies |= frame.kilobits == 0
            || self.kilobits.is_some_and(|known| known != frame.kilobits)
            || self.samples.len() > 1;
        self.kilobits = Some(frame.kilobits);
    }

    /// The length if all `whole` bytes are like the `counted` ones.
    fn duration(&self, whole: u64, counted: u64) -> Micros {
        let all = self.samples.iter().map(|(rate, samples)| {
            let samples = u128::from(*samples) * u128::from(whole) / u128::from(counted.max(1));
            micros(u64::try_from(samples).unwrap_or(0), *rate).0
        });
        Micros(all.sum())
    }
}

/// The length by counting frames. In a large remote file with a constant bit rate, only a part is counted; with
/// a variable bit rate, as much as half of the remaining time allows.
fn count(reader: &mut SourceReader, start: u64, first: &Frame) -> Probe<Micros> {
    let bytes = reader.measure()?;
    let mut counted = Counted {
        at: start,
        ..Counted::default()
    };
    let is_all = reader.is_near() || bytes - start <= COUNTED;
    let most = if is_all { bytes } else { start + SAMPLED };
    let now = Instant::now();
    let until = now + reader.guard().deadline.saturating_duration_since(now) / 2;
    walk(reader, &mut counted, first, (bytes, most), None)?;
    if !is_all && counted.at >= most && !is_constant(reader, &counted, bytes)? {
        walk(reader, &mut counted, first, (bytes, bytes), Some(until))?;
    }
    let is_part = counted.at < bytes && (counted.at >= most && !is_all || Instant::now() >= until);
    let duration = if is_part && !reader.is_near() {
        counted.duration(bytes - start, counted.at - start)
    } else {
        counted.duration(1, 1)
    };
    if duration == Micros::ZERO {
        return Err(ProbeError::Broken(
            "MP3",
            "it has no complete frame".to_owned(),
        ));
    }
    Ok(duration)
}

/// Continues counting up to `most`, and at most to `bytes`, the end of the file.
fn walk(
    reader: &mut SourceReader,
    counted: &mut Counted,
    first: &Frame,
    (bytes, most): (u64, u64),
    until: Option<Instant>,
) -> Probe<()> {
    while counted.at < most && until.is_none_or(|until| Instant::now() < until) {
        let at = counted.at;
        let head = reader.bytes(at, 44)?;
        let next = match frame(&head).filter(|next| next.format == first.format) {
            Some(next) if is_like(&counted.samples, &next) || is_followed(reader, at, &next)? => {
                Some(next)
            }
            _ => None,
        };
        match next {
            // A truncated frame at the end is not played.
            Some(next) if at + next.bytes > bytes => break,
            Some(next) => {
                if !is_table(&next, &head) {
                    counted.add(&next);
                }
                counted.at += next.bytes;
            }
            None => match next_sound(reader, at, first)? {
                Some(next) => counted.at = next,
                None => {
                    counted.at = bytes;
                    break;
                }
            },
        }
    }
    Ok(())
}

fn is_like(samples: &[(u64, u64)], next: &Frame) -> bool {
    samples.iter().any(|(rate, _)| *rate == next.rate)
}

/// Whether another frame of the same kind follows directly.
fn is_followed(reader: &mut SourceReader, at: u64, frame: &Frame) -> Probe<bool> {
    let next = self::frame(&reader.bytes(at + frame.bytes, 8)?);
    Ok(next.is_some_and(|next| next.rate == frame.rate && next.format == frame.format))
}

/// Whether samples of the rest have the same bit rate as the counted part.
fn is_constant(reader: &mut SourceReader, counted: &Counted, bytes: u64) -> Probe<bool> {
    if counted.varies {
        return Ok(false);
    }
    for place in 1..=PLACES {
        let at = counted.at + (bytes - counted.at) * place / (PLACES + 1);
        let piece = reader.bytes(at, 8 << 10)?;
        let found = (0..piece.len()).find(|at| starts_audio(&piece[*at..]));
        let is_same = found
            .and_then(|at| frame(&piece[at..]))
            .is_some_and(|frame| {
                Some(frame.kilobits) == counted.kilobits && is_like(&counted.samples, &frame)
            });
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The next position with audio frames, at `from` or after tags and other data.
fn next_sound(reader: &mut SourceReader, from: u64, first: &Frame) -> Probe<Option<u64>> {
    let mut at = from;
    for _ in 0..16 {
        let head = reader.bytes(at, 32)?;
        at += match head.as_slice() {
            [b'T', b'A', b'G', ..] => 128,
            [b'I', b'D', b'3', ..] => 10 + syncsafe(&head, 6).unwrap_or(0),
            _ if head.starts_with(b"APETAGEX") => {
                // The items come before a footer and after a header.
                let is_header = head.get(23).is_some_and(|flags| flags & 0x20 != 0);
                32 + u32_le(&head, 12).filter(|_| is_header).unwrap_or(0)
            }
            _ => break,
        };
    }
    let bytes = reader.bytes(at, SEARCH)?;
    let found = (0..bytes.len()).find(|at| {
        starts_audio(&bytes[*at..])
            && frame(&bytes[*at..]).is_some_and(|next| next.format == first.format)
    });
    Ok(found.map(|found| at + found as u64))
}

pub(super) fn flac(reader: &mut SourceReader, depth: Depth) -> Probe<Facts> {
    flac_at(reader, 0, false, depth)
}

fn flac_at(
    reader: &mut SourceReader,
    start: u64,
    mut cover_art: bool,
    depth: Depth,
) -> Probe<Facts> {
    const WHAT: &str = "FLAC";
    let head = reader.bytes(start + 4, 38)?;
    let (Some(block), Some(high), Some(low)) =
        (u16_be(&head, 6), u32_be(&head, 14), u32_be(&head, 18))
    else {
        return Err(ProbeError::Cut(WHAT, reader.measure()?, start + 42));
    };
    let rate = high >> 12;
    let total = (high & 0xf) << 32 | low;
    if rate == 0 {
        return Err(ProbeError::Broken(
            WHAT,
            "its sample rate is missing".to_owned(),
        ));
    }
    let mut at = start + 4;
    for _ in 0..1000 {
        let head = reader.bytes(at, 4)?;
        let (Some(word), Some(kind)) = (u32_be(&head, 0), head.first()) else {
            return Err(ProbeError::Cut(WHAT, reader.measure()?, at + 4));
        };
        cover_art |= kind & 0x7f == 6;
        at += 4 + (word & 0xff_ffff);
        if kind & 0x80 != 0 {
            break;
        }
    }
    if let Some(there) = reader.len().filter(|there| at >= *there) {
        return Err(ProbeError::Cut(WHAT, there, at + 1));
    }
    if total > 0 && depth == Depth::Facts {
        return Ok(sound(MediaFormat::Flac, micros(total, rate), cover_art));
    }
    let end = flac_end(reader, at, block)?;
    match (total, end) {
        (0, None) => Err(ProbeError::Broken(WHAT, "it contains no sound".to_owned())),
        (0, Some(end)) => Ok(sound(MediaFormat::Flac, micros(end, rate), cover_art)),
        (total, Some(end)) if end >= total => {
            Ok(sound(MediaFormat::Flac, micros(total, rate), cover_art))
        }
        (total, end) => Err(ProbeError::Broken(
            WHAT,
            format!(
                "its sound ends after {} of {}",
                micros(end.unwrap_or(0), rate),
                micros(total, rate)
            ),
        )),
    }
}

/// The sample at which the last frame ends.
fn flac_end(reader: &mut SourceReader, start: u64, block: u64) -> Probe<Option<u64>> {
    let bytes = reader.measure()?;
    let mut span = 64 << 10;
    loop {
        let from = bytes.saturating_sub(span).max(start);
        let tail = reader.bytes(from, (bytes - from) as usize)?;
        let last = (0..tail.len())
            .rev()
            .find_map(|at| flac_frame(&tail[at..], block));
        if last.is_some() || from == start || span > 8 << 20 {
            return Ok(last);
        }
        span *= 4;
    }
}

/// The sample at which the frame with this header ends; the header's checksum must match.
fn flac_frame(bytes: &[u8], block: u64) -> Option<u64> {
    let [0xff, second @ (0xf8 | 0xf9), third, _, first, ..] = *bytes else {
        return None;
    };
    let extra = match first.leading_ones() as usize {
        0 => 0,
        ones @ 2..=7 => ones - 1,
        _ => return None,
    };
    let lead = if extra == 0 {
        u64::from(first)
    } else {
        u64::from(first) & ((1 << (6 - extra.min(6))) - 1)
    };
    let number = bytes
        .get(5..5 + extra)?
        .iter()
        .fold(lead, |number, byte| number << 6 | u64::from(byte & 0x3f));
    let mut at = 5 + extra;
    let samples = match third >> 4 {
        0 => return None,
        1 => 192,
        code @ 2..=5 => 576 << (code - 2),
        6 => {
            at += 1;
            u64::from(*bytes.get(at - 1)?) + 1
        }
        7 => {
            at += 2;
            u16_be(bytes, at - 2)? + 1
        }
        code => 256 << (code - 8),
    };
    at += match third & 15 {
        12 => 1,
        13 | 14 => 2,
        15 => return None,
        _ => 0,
    };
    let sum = bytes.get(..at)?.iter().fold(0_u8, |sum, byte| {
        (0..8).fold(sum ^ byte, |sum, _| {
            sum << 1 ^ if sum & 0x80 == 0 { 0 } else { 7 }
        })
    });
    if sum != *bytes.get(at)? {
        return None;
    }
    let position = if second == 0xf9 {
        number
    } else {
        number * block
    };
    Some(position + samples)
}
