//! WAV and WebP: chunks with little-endian lengths.

use super::wire::{u16_le, u24_le, u32_le, u64_le};
use super::{Probe, ProbeError, SourceReader, micros, picture, sound};
use crate::media::{Facts, MediaFormat};
use crate::units::Micros;

const MOST_CHUNKS: usize = 200_000;
/// Writers that cannot seek back, such as services that stream speech, write 0 or a number close to the
/// maximum, signed or unsigned, for an unknown length.
const UNKNOWN: u64 = 0x7fff_0000;

pub(super) fn wave(reader: &mut SourceReader) -> Probe<Facts> {
    const WHAT: &str = "WAV";
    let mut at = 12;
    let mut bytes_per_second = 0;
    let mut rate = 0;
    let mut frame = None;
    let mut samples = 0;
    let mut long_data = None;
    for _ in 0..MOST_CHUNKS {
        let head = reader.bytes(at, 8)?;
        let Some(length) = u32_le(&head, 4) else {
            return Err(ProbeError::Cut(WHAT, reader.measure()?, at + 8));
        };
        let body = at + 8;
        match &head[..4] {
            b"fmt " => {
                let format = reader.bytes(body, 16)?;
                rate = u32_le(&format, 4).unwrap_or(0);
                bytes_per_second = u32_le(&format, 8).unwrap_or(0);
                // Only in uncompressed formats is a block one point in time.
                if let (Some(1 | 3 | 0xfffe), Some(block @ 1..)) =
                    (u16_le(&format, 0), u16_le(&format, 12))
                {
                    frame = Some(block);
                }
            }
            // RF64: lengths that do not fit into 32 bits.
            b"ds64" => long_data = u64_le(&reader.bytes(body, 16)?, 8),
            // The number of samples, for codecs whose blocks contain several.
            b"fact" => samples = u32_le(&reader.bytes(body, 4)?, 0).unwrap_or(0),
            b"data" => {
                let length = match long_data.filter(|_| length == 0xffff_ffff) {
                    Some(0 | u64::MAX) => rest(reader, body)?,
                    Some(length) => length,
                    None => data_length(reader, body, length)?,
                };
                let end = body.saturating_add(length);
                if let Some(there) = reader.len().filter(|there| end > *there) {
                    return Err(ProbeError::Cut(WHAT, there, end));
                }
                let duration = match frame {
                    Some(block) => micros(length / block, rate),
                    None if samples > 0 && rate > 0 => micros(samples, rate),
                    None => micros(length, bytes_per_second),
                };
                if duration == Micros::ZERO {
                    return Err(ProbeError::Broken(WHAT, "it contains no sound".to_owned()));
                }
                return Ok(sound(MediaFormat::Wav, duration, false));
            }
            _ => {}
        }
        at = body + length + length % 2;
    }
    Err(ProbeError::Broken(
        WHAT,
        "it has no `data` chunk".to_owned(),
    ))
}

/// The length of the sound at `body`: `said` as in the file, or everything up to the end if that number means
/// "unknown".
fn data_length(reader: &mut SourceReader, body: u64, said: u64) -> Probe<u64> {
    let riff = u32_le(&reader.bytes(4, 4)?, 0).unwrap_or(0);
    let is_unknown = match said {
        // Correct for an empty file; a streamed file has more data.
        0 => Some(riff + 8) != reader.len(),
        UNKNOWN.. => true,
        // If the length of the whole is unknown or smaller than this part, the length of the part is not
        // reliable either.
        _ => riff == 0 || riff >= UNKNOWN || riff + 8 < body + said,
    };
    if !is_unknown {
        return Ok(said);
    }
    let rest = rest(reader, body)?;
    Ok(if said == 0 { rest } else { said.min(rest) })
}

fn rest(reader: &mut SourceReader, from: u64) -> Probe<u64> {
    Ok(reader.measure()?.saturating_sub(from))
}

pub(super) fn webp(reader: &mut SourceReader) -> Probe<Facts> {
    const WHAT: &str = "WebP";
    let head = reader.bytes(0, 30)?;
    let Some(length) = u32_le(&head, 4).filter(|_| head.len() == 30) else {
        return Err(ProbeError::Cut(WHAT, head.len() as u64, 30));
    };
    if let Some(there) = reader.len().filter(|there| *there < 8 + length) {
        return Err(ProbeError::Cut(WHAT, there, 8 + length));
    }
    let broken = || ProbeError::Broken(WHAT, "it contains no picture".to_owned());
    match &head[12..16] {
        b"VP8 " => {
            let width = u16_le(&head, 26).ok_or_else(broken)? & 0x3fff;
            let height = u16_le(&head, 28).ok_or_else(broken)? & 0x3fff;
            picture(WHAT, MediaFormat::Webp, width, height, Micros::ZERO)
        }
        b"VP8L" => {
            let bits = u32_le(&head, 21).ok_or_else(broken)?;
            let (width, height) = ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
            picture(WHAT, MediaFormat::Webp, width, height, Micros::ZERO)
        }
        b"VP8X" => {
            let width = u24_le(&head, 24).ok_or_else(broken)? + 1;
            let height = u24_le(&head, 27).ok_or_else(broken)? + 1;
            let moves = head[20] & 2 != 0;
            let duration = if moves {
                webp_length(reader, 8 + length)?
            } else {
                Micros::ZERO
            };
            picture(WHAT, MediaFormat::Webp, width, height, duration)
        }
        _ => Err(broken()),
    }
}

/// The sum of the frame durations of an animation.
fn webp_length(reader: &mut SourceReader, end: u64) -> Probe<Micros> {
    let mut at = 12;
    let mut milliseconds = 0;
    for _ in 0..MOST_CHUNKS {
        let head = reader.bytes(at, 24)?;
        let (Some(length), true) = (u32_le(&head, 4), at < end) else {
            break;
        };
        if head.starts_with(b"ANMF") {
            milliseconds += u24_le(&head, 20).unwrap_or(0);
        }
        at += 8 + length + length % 2;
    }
    Ok(micros(milliseconds, 1000))
}
