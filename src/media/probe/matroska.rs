//! WebM and Matroska.

use super::wire::u16_be;
use super::{Probe, ProbeError, SourceReader, decimals, no_sound_or_picture, size};
use crate::media::{Facts, MediaFormat};
use crate::units::Micros;

const WHAT: &str = "Matroska";
const MOST_ELEMENTS: usize = 100_000;

const DOC_TYPE: u64 = 0x4282;
const SEGMENT: u64 = 0x1853_8067;
const INFO: u64 = 0x1549_a966;
const TIMESTAMP_SCALE: u64 = 0x002a_d7b1;
const DURATION: u64 = 0x4489;
const TRACKS: u64 = 0x1654_ae6b;
const TRACK_ENTRY: u64 = 0xae;
const TRACK_NUMBER: u64 = 0xd7;
const TRACK_TYPE: u64 = 0x83;
const DEFAULT_DURATION: u64 = 0x0023_e383;
const VIDEO: u64 = 0xe0;
const PIXEL_WIDTH: u64 = 0xb0;
const PIXEL_HEIGHT: u64 = 0xba;
const PROJECTION: u64 = 0x7670;
const POSE_ROLL: u64 = 0x7675;
const CLUSTER: u64 = 0x1f43_b675;
const TIMESTAMP: u64 = 0xe7;
const SIMPLE_BLOCK: u64 = 0xa3;
const BLOCK_GROUP: u64 = 0xa0;
const BLOCK: u64 = 0xa1;

struct Element {
    id: u64,
    body: u64,
    /// `None` for an element of unknown length, which extends to the next of its kind.
    end: Option<u64>,
}

#[derive(Default)]
struct MatroskaTrack {
    number: u64,
    kind: u64,
    size: (u64, u64),
    turned: bool,
    /// Nanoseconds per frame.
    frame: u64,
}

pub(super) fn read(reader: &mut SourceReader) -> Probe<Facts> {
    let mut scale = 1_000_000;
    let mut duration = None;
    let mut tracks: Option<Vec<MatroskaTrack>> = None;
    let head = element(reader, 0)?.ok_or_else(|| broken("it has no header"))?;
    let head_end = head.end.ok_or_else(|| broken("its header has no end"))?;
    let mut webm = false;
    each(reader, head.body, head_end, &mut |reader, part| {
        if part.id == DOC_TYPE {
            webm = reader.bytes(part.body, 4)? == b"webm";
        }
        Ok(())
    })?;
    let mut at = head_end;
    let segment = loop {
        let Some(part) = element(reader, at)? else {
            return Err(ProbeError::Cut(WHAT, reader.measure()?, at + 12));
        };
        if part.id == SEGMENT {
            break part;
        }
        at = part
            .end
            .filter(|end| *end > at)
            .ok_or_else(|| broken("it has no segment"))?;
    };
    if let (Some(there), Some(end)) = (reader.len(), segment.end)
        && end > there
    {
        return Err(ProbeError::Cut(WHAT, there, end));
    }
    at = segment.body;
    for _ in 0..MOST_ELEMENTS {
        if segment.end.is_some_and(|end| at >= end) {
            break;
        }
        let Some(part) = element(reader, at)? else {
            break;
        };
        match (part.id, part.end) {
            (INFO, Some(end)) => each(reader, part.body, end, &mut |reader, part| {
                match part.id {
                    TIMESTAMP_SCALE => scale = unsigned(reader, part)?.max(1),
                    DURATION => duration = Some(float(reader, part)?),
                    _ => {}
                }
                Ok(())
            })?,
            (TRACKS, Some(end)) => tracks = Some(read_tracks(reader, part.body, end)?),
            // Everything that is needed comes before the media, in files of all usual writers.
            (CLUSTER, end) if tracks.is_some() || end.is_none() => break,
            _ => {}
        }
        let Some(end) = part.end else {
            break;
        };
        at = end;
    }
    let tracks = tracks.ok_or_else(|| broken("it has no list of tracks"))?;
    let duration = match duration.filter(|duration| *duration > 0.0) {
        // ffmpeg truncates to whole microseconds here.
        Some(units) => decimals((units * scale as f64 / 1000.0).trunc() / 1e6),
        None => live_length(reader, at, scale, &tracks)?,
    };
    facts(webm, duration, &tracks)
}

fn facts(webm: bool, duration: Micros, tracks: &[MatroskaTrack]) -> Probe<Facts> {
    let video = tracks.iter().find(|track| track.kind == 1);
    let has_audio = tracks.iter().any(|track| track.kind == 2);
    if video.is_none() && !has_audio {
        return Err(no_sound_or_picture());
    }
    if duration == Micros::ZERO {
        return Err(broken("its length is missing or 0"));
    }
    let (width, height) = match video {
        Some(track) if track.turned => size(WHAT, track.size.1, track.size.0)?,
        Some(track) => size(WHAT, track.size.0, track.size.1)?,
        None => (0, 0),
    };
    Ok(Facts {
        format: if webm {
            MediaFormat::Webm
        } else {
            MediaFormat::Mkv
        },
        is_still: false,
        width,
        height,
        duration,
        audio_duration: has_audio.then_some(duration),
        has_video: video.is_some(),
        has_audio,
        cover_art: false,
        bytes: None,
    })
}

fn read_tracks(reader: &mut SourceReader, from: u64, end: u64) -> Probe<Vec<MatroskaTrack>> {
    let mut tracks = Vec::new();
    each(reader, from, end, &mut |reader, part| {
        let (TRACK_ENTRY, Some(end)) = (part.id, part.end) else {
            return Ok(());
        };
        let mut track = MatroskaTrack::default();
        each(reader, part.body, end, &mut |reader, part| {
            match (part.id, part.end) {
                (TRACK_NUMBER, _) => track.number = unsigned(reader, part)?,
                (TRACK_TYPE, _) => track.kind = unsigned(reader, part)?,
                (DEFAULT_DURATION, _) => track.frame = unsigned(reader, part)?,
                (VIDEO, Some(end)) => each(reader, part.body, end, &mut |reader, part| {
                    match (part.id, part.end) {
                        (PIXEL_WIDTH, _) => track.size.0 = unsigned(reader, part)?,
                        (PIXEL_HEIGHT, _) => track.size.1 = unsigned(reader, part)?,
                        (PROJECTION, Some(end)) => {
                            each(reader, part.body, end, &mut |reader, part| {
                                if part.id == POSE_ROLL {
                                    let quarters = (float(reader, part)? / 90.0).round();
                                    track.turned = quarters as i64 % 2 != 0;
                                }
                                Ok(())
                            })?;
                        }
                        _ => {}
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        tracks.push(track);
        Ok(())
    })?;
    Ok(tracks)
}

/// The length of a recording whose header was not completed: the end of the last block.
fn live_length(
    reader: &mut SourceReader,
    media: u64,
    scale: u64,
    tracks: &[MatroskaTrack],
) -> Probe<Micros> {
    const TAIL: u64 = 4 << 20;
    let bytes = reader.measure()?;
    let from = bytes.saturating_sub(TAIL).max(media);
    let tail = reader.bytes(from, (bytes - from) as usize)?;
    let mut last = 0;
    let mut frame_ns = 0;
    let mut place = 0;
    while let Some(found) = find(&tail[place..], &[0x1f, 0x43, 0xb6, 0x75]) {
        place += found + 4;
        cluster(
            reader,
            from + place as u64 - 4,
            bytes,
            tracks,
            &mut last,
            &mut frame_ns,
        )?;
    }
    Ok(decimals(
        (last as f64 * scale as f64 + frame_ns as f64) / 1e9,
    ))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Finds the latest time in the cluster at `at`. Its blocks follow each other, whether its length is known or
/// not; any other element ends it.
fn cluster(
    reader: &mut SourceReader,
    at: u64,
    bytes: u64,
    tracks: &[MatroskaTrack],
    last: &mut u64,
    frame_ns: &mut u64,
) -> Probe<()> {
    let Some(cluster) = element(reader, at)?.filter(|part| part.id == CLUSTER) else {
        return Ok(());
    };
    let end = cluster.end.unwrap_or(bytes).min(bytes);
    let mut at = cluster.body;
    let mut base = None;
    while at < end {
        let Some(part) = element(reader, at)? else {
            break;
        };
        let Some(part_end) = part.end.filter(|end| *end <= bytes) else {
            break;
        };
        match part.id {
            TIMESTAMP => base = Some(unsigned(reader, &part)?),
            SIMPLE_BLOCK => block(reader, part.body, base, tracks, last, frame_ns)?,
            BLOCK_GROUP => each(reader, part.body, part_end, &mut |reader, part| {
                if part.id == BLOCK {
                    block(reader, part.body, base, tracks, last, frame_ns)?;
                }
                Ok(())
            })?,
            // Void, CRC, position, size of the previous cluster.
            0xec | 0xbf | 0xa7 | 0xab => {}
            _ => break,
        }
        at = part_end;
    }
    Ok(())
}

fn block(
    reader: &mut SourceReader,
    at: u64,
    base: Option<u64>,
    tracks: &[MatroskaTrack],
    last: &mut u64,
    frame_ns: &mut u64,
) -> Probe<()> {
    let head = reader.bytes(at, 12)?;
    let Some((number, length)) = vint(&head, true) else {
        return Ok(());
    };
    let (Some(base), Some(offset)) = (base, u16_be(&head, length)) else {
        return Ok(());
    };
    let time = base.saturating_add_signed(i64::from((offset as u16).cast_signed()));
    if time >= *last {
        *last = time;
        *frame_ns = tracks
            .iter()
            .find(|track| track.number == number)
            .map_or(0, |track| track.frame.min(1_000_000_000));
    }
    Ok(())
}

/// The elements within `from..end`.
fn each(
    reader: &mut SourceReader,
    from: u64,
    end: u64,
    visit: &mut dyn FnMut(&mut SourceReader, &Element) -> Probe<()>,
) -> Probe<()> {
    let mut at = from;
    for _ in 0..MOST_ELEMENTS {
        if at >= end {
            return Ok(());
        }
        let Some(part) = element(reader, at)? else {
            return Err(ProbeError::Cut(WHAT, reader.measure()?, end));
        };
        let Some(part_end) = part.end.filter(|part_end| *part_end <= end) else {
            return Err(broken("an element is larger than its parent"));
        };
        visit(reader, &part)?;
        at = part_end;
    }
    Err(broken("it has too many elements"))
}

/// The element at `at`; `None` at the end of the file.
fn element(reader: &mut SourceReader, at: u64) -> Probe<Option<Element>> {
    let head = reader.bytes(at, 12)?;
    let Some((id, id_length)) = vint(&head, false) else {
        return if head.len() < 12 {
            Ok(None)
        } else {
            Err(broken("an element has no valid id"))
        };
    };
    let Some((size, size_length)) = vint(head.get(id_length..).unwrap_or_default(), true) else {
        return if head.len() < 12 {
            Ok(None)
        } else {
            Err(broken("an element has no length"))
        };
    };
    let body = at + (id_length + size_length) as u64;
    let unknown = size == (1 << (7 * size_length)) - 1;
    Ok(Some(Element {
        id,
        body,
        end: (!unknown).then(|| body.saturating_add(size)),
    }))
}

/// A number whose leading zero bits give its length in bytes; `drop_mark` removes the bit that ends them.
fn vint(bytes: &[u8], drop_mark: bool) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let bytes = bytes.get(..length).filter(|_| length <= 8)?;
    let value = bytes
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte));
    let mark = 1 << (7 * length);
    Some((if drop_mark { value & (mark - 1) } else { value }, length))
}

fn content(reader: &mut SourceReader, part: &Element) -> Probe<Vec<u8>> {
    let length = part.end.map_or(0, |end| (end - part.body).min(8));
    Ok(reader.bytes(part.body, length as usize)?)
}

fn unsigned(reader: &mut SourceReader, part: &Element) -> Probe<u64> {
    let bytes = content(reader, part)?;
    Ok(bytes
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn float(reader: &mut SourceReader, part: &Element) -> Probe<f64> {
    let bytes = content(reader, part)?;
    Ok(match bytes.len() {
        4 => bytes
            .first_chunk()
            .map_or(0.0, |bytes| f64::from(f32::from_be_bytes(*bytes))),
        8 => bytes
            .first_chunk()
            .map_or(0.0, |bytes| f64::from_be_bytes(*bytes)),
        _ => 0.0,
    })
}

fn broken(why: &str) -> ProbeError {
    ProbeError::Broken(WHAT, why.to_owned())
}
