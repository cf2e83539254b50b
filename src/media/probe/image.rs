//! PNG, JPEG, GIF and BMP: size, orientation, and whether the end is there.

use super::wire::{u16_be, u16_le, u32_be, u32_le};
use super::{Depth, Probe, ProbeError, SourceReader, picture};
use crate::media::{Facts, MediaFormat};
use crate::units::Micros;

/// The number of chunks, segments or blocks after which a file is considered broken.
const MOST_PARTS: usize = 4_000_000;

pub(super) fn png(reader: &mut SourceReader, depth: Depth) -> Probe<Facts> {
    const WHAT: &str = "PNG";
    let head = reader.bytes(0, 33)?;
    let (Some(width), Some(height), true) = (
        u32_be(&head, 16),
        u32_be(&head, 20),
        head.get(12..16) == Some(b"IHDR"),
    ) else {
        return Err(ProbeError::Cut(WHAT, head.len() as u64, 33));
    };
    let facts = picture(WHAT, MediaFormat::Png, width, height, Micros::ZERO)?;
    if depth == Depth::Facts {
        return Ok(facts);
    }
    let mut at = 8;
    for _ in 0..MOST_PARTS {
        let chunk = reader.bytes(at, 8)?;
        let Some(length) = u32_be(&chunk, 0).filter(|_| chunk.len() == 8) else {
            return Err(ProbeError::Cut(WHAT, reader.measure()?, at + 12));
        };
        at += 12 + length;
        if &chunk[4..] == b"IEND" {
            let bytes = reader.measure()?;
            return if at <= bytes {
                Ok(facts)
            } else {
                Err(ProbeError::Cut(WHAT, bytes, at))
            };
        }
    }
    Err(too_many(WHAT))
}

pub(super) fn jpeg(reader: &mut SourceReader, depth: Depth) -> Probe<Facts> {
    const WHAT: &str = "JPEG";
    let mut at = 2;
    let mut turned = false;
    let mut size = None;
    for _ in 0..MOST_PARTS {
        let head = reader.bytes(at, 18)?;
        match head.as_slice() {
            // Any number of fill bytes may come before a marker.
            [0xff, 0xff, ..] => at += 1,
            [0xff, 0x01 | 0xd0..=0xd8, ..] => at += 2,
            [0xff, 0xd9, ..] => break,
            [0xff, 0xda, ..] => {
                let (width, height) = size.ok_or_else(|| {
                    ProbeError::Broken(WHAT, "the picture comes before its size".to_owned())
                })?;
                if depth == Depth::Whole {
                    jpeg_end(reader, at)?;
                }
                let (width, height) = if turned {
                    (height, width)
                } else {
                    (width, height)
                };
                return picture(WHAT, MediaFormat::Jpg, width, height, Micros::ZERO);
            }
            [0xff, marker, high, low, rest @ ..] => {
                let length = u64::from(u16::from_be_bytes([*high, *low]));
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                    size = u16_be(rest, 3).zip(u16_be(rest, 1));
                }
                if *marker == 0xe1 && rest.starts_with(b"Exif\0\0") {
                    let tags = reader.bytes(at + 10, length.saturating_sub(8) as usize)?;
                    turned = orientation(&tags).is_some_and(|way| (5..=8).contains(&way));
                }
                at += 2 + length.max(2);
                if size.is_some() && depth == Depth::Facts && (turned || past_exif(*marker)) {
                    // All known writers put the orientation before the frame.
                    let (width, height) = size.unwrap_or_default();
                    let (width, height) = if turned {
                        (height, width)
                    } else {
                        (width, height)
                    };
                    return picture(WHAT, MediaFormat::Jpg, width, height, Micros::ZERO);
                }
            }
            [] | [_] | [0xff, ..] => return Err(ProbeError::Cut(WHAT, reader.measure()?, at + 4)),
            _ => return Err(ProbeError::Broken(WHAT, format!("no marker at byte {at}"))),
        }
    }
    Err(ProbeError::Broken(
        WHAT,
        "it contains no picture".to_owned(),
    ))
}

/// A frame header: the orientation cannot come after it.
fn past_exif(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf)
}

/// Reads from a scan to the end of the picture: data, further tables and scans, the end marker.
fn jpeg_end(reader: &mut SourceReader, scan: u64) -> Probe<()> {
    const STEP: usize = 32 << 10;
    let mut at = scan;
    let cut = |reader: &mut SourceReader, at| -> Probe<()> {
        Err(ProbeError::Cut("JPEG", reader.measure()?, at + 2))
    };
    for _ in 0..MOST_PARTS {
        let bytes = reader.bytes(at, STEP)?;
        if bytes.len() < 2 {
            return cut(reader, at + bytes.len() as u64);
        }
        let marker = bytes
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7));
        let Some(position) = marker else {
            at += bytes.len() as u64 - 1;
            continue;
        };
        if bytes[position + 1] == 0xd9 {
            return Ok(());
        }
        at += position as u64;
        let Some(length) = u16_be(&reader.bytes(at, 4)?, 2) else {
            return cut(reader, at + 2);
        };
        at += 2 + length.max(2);
    }
    Err(too_many("JPEG"))
}

/// The orientation tag of EXIF data, 1 to 8.
fn orientation(tiff: &[u8]) -> Option<u64> {
    type Number = fn(&[u8], usize) -> Option<u64>;
    let (short, long): (Number, Number) = match tiff.get(..4)? {
        b"II*\0" => (u16_le, u32_le),
        b"MM\0*" => (u16_be, u32_be),
        _ => return None,
    };
    let table = long(tiff, 4)? as usize;
    let entries = short(tiff, table)? as usize;
    (0..entries)
        .map(|index| table + 2 + 12 * index)
        .take_while(|entry| entry + 12 <= tiff.len())
        .find(|entry| short(tiff, *entry) == Some(0x0112))
        .and_then(|entry| short(tiff, entry + 8))
}

/// A GIF is read to its end: its length is the sum of its frame delays.
pub(super) fn gif(reader: &mut SourceReader) -> Probe<Facts> {
    const WHAT: &str = "GIF";
    let head = reader.bytes(0, 13)?;
    let (Some(width), Some(height), Some(flags)) = (
        u16_le(&head, 6),
        u16_le(&head, 8),
        head.get(10).copied().filter(|_| head.len() == 13),
    ) else {
        return Err(ProbeError::Cut(WHAT, head.len() as u64, 13));
    };
    let mut at = 13 + color_table(flags);
    let mut pictures = 0_u32;
    let mut hundredths = 0;
    let mut delay = 0;
    for _ in 0..MOST_PARTS {
        let block = reader.bytes(at, 10)?;
        match block.as_slice() {
            [0x3b, ..] => {
                if pictures == 0 {
                    return Err(ProbeError::Broken(
                        WHAT,
                        "it contains no picture".to_owned(),
                    ));
                }
                let duration = if pictures > 1 {
                    super::micros(hundredths, 100)
                } else {
                    Micros::ZERO
                };
                return picture(WHAT, MediaFormat::Gif, width, height, duration);
            }
            [0x21, 0xf9, 4, _, low, high, ..] => {
                delay = u64::from(u16::from_le_bytes([*low, *high]));
                at = sub_blocks(reader, at + 2)?;
            }
            [0x21, _, ..] => at = sub_blocks(reader, at + 2)?,
            [0x2c, _, _, _, _, _, _, _, _, flags] => {
                pictures += 1;
                // As in ffmpeg and browsers: a delay below 2 counts as 10 (hundredths of a second).
                hundredths += if delay < 2 { 10 } else { delay };
                delay = 0;
                at = sub_blocks(reader, at + 11 + color_table(*flags))?;
            }
            [] | [0x21 | 0x2c, ..] => return Err(ProbeError::Cut(WHAT, reader.measure()?, at + 1)),
            _ => return Err(ProbeError::Broken(WHAT, format!("no block at byte {at}"))),
        }
    }
    Err(too_many(WHAT))
}

fn color_table(flags: u8) -> u64 {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

/// The position after a chain of blocks that each begin with their length.
fn sub_blocks(reader: &mut SourceReader, mut at: u64) -> Probe<u64> {
    for _ in 0..MOST_PARTS {
        match reader.bytes(at, 1)?.first() {
            Some(0) => return Ok(at + 1),
            Some(length) => at += 1 + u64::from(*length),
            None => return Err(ProbeError::Cut("GIF", reader.measure()?, at + 1)),
        }
    }
    Err(too_many("GIF"))
}

pub(super) fn bmp(reader: &mut SourceReader) -> Probe<Facts> {
    const WHAT: &str = "BMP";
    let head = reader.bytes(0, 26)?;
    let (Some(bytes), Some(header), Some(width), Some(height)) = (
        u32_le(&head, 2),
        u32_le(&head, 14),
        u32_le(&head, 18),
        u32_le(&head, 22),
    ) else {
        return Err(ProbeError::Cut(WHAT, head.len() as u64, 26));
    };
    if header < 40 {
        return Err(ProbeError::Broken(
            WHAT,
            format!("its header has {header} bytes and needs 40"),
        ));
    }
    if let Some(there) = reader.len().filter(|there| *there < bytes) {
        return Err(ProbeError::Cut(WHAT, there, bytes));
    }
    // A negative height means that rows are stored from top to bottom.
    let height = u64::from((height as u32).cast_signed().unsigned_abs());
    picture(WHAT, MediaFormat::Bmp, width, height, Micros::ZERO)
}

fn too_many(what: &'static str) -> ProbeError {
    ProbeError::Broken(what, "it has too many parts".to_owned())
}
