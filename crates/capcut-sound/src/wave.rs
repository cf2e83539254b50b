//! Files as one WAV: sounds one after the other, or one sound whose file states a wrong length.

use std::fs::File;
use std::io::{BufWriter, Cursor, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::container::{self, Container};
use crate::decode::{decode_file, decode_pipe};
use crate::error::SoundError;

/// The size of the header that [`wave_header`] makes, in bytes.
const HEADER: u32 = 44;

/// Decodes files one after the other to one WAV of 16 bits, with the sample rate and the channels of the first, and adds
/// `tail` seconds of silence; returns the length of each in seconds. All sound that is there is decoded, whatever a header says about the length.
///
/// # Errors
/// If a file cannot be read or decoded here, contains no sound, or has another sample rate than the first; if `to` cannot be
/// written, or the caller cancels.
pub fn write_wave(
    files: &[&Path],
    to: &mut File,
    tail: f64,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Vec<f64>, SoundError> {
    let mut out = BufWriter::new(to);
    out.write_all(&[0; HEADER as usize])?;
    let mut form: Option<(u32, usize)> = None;
    let mut written: u64 = 0;
    let mut lengths = Vec::with_capacity(files.len());
    for path in files {
        let mut sink = |rate: u32, channels: usize, samples: &[f32]| {
            if is_cancelled() {
                return Err(SoundError::Cancelled);
            }
            let (own_rate, own_channels) = *form.get_or_insert((rate, channels));
            if own_rate != rate {
                return Err(SoundError::Broken(format!(
                    "its sample rate is {rate} Hz, that of the sound before it {own_rate} Hz"
                )));
            }
            for frame in samples.chunks_exact(channels) {
                for channel in 0..own_channels {
                    let sample = frame[channel.min(channels - 1)];
                    // As it was decoded, so that samples of 16 bits stay the same.
                    let sample = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
                    out.write_all(&sample.to_le_bytes())?;
                }
            }
            written += (samples.len() / channels * own_channels * 2) as u64;
            Ok(())
        };
        let mut file = File::open(path)?;
        let (container, _) = container::probe(&mut file)?;
        let decoded = if container == Container::Wave {
            decode_pipe(with_true_sizes(file)?, &mut sink)?
        } else {
            decode_file(path, &mut sink)?
        };
        lengths.push(decoded.duration);
    }
    let Some((rate, channels)) = form else {
        return Err(SoundError::NoSound("there is no file".to_owned()));
    };
    let silence = (tail * f64::from(rate)).round() as usize * channels * 2;
    out.write_all(&vec![0; silence])?;
    written += silence as u64;
    let bytes = u32::try_from(written)
        .ok()
        .filter(|bytes| *bytes < u32::MAX - HEADER);
    let bytes = bytes.ok_or(SoundError::TooLong)?;
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&wave_header(rate, channels as u16, bytes))?;
    out.flush()?;
    Ok(lengths)
}

/// How far the samples of a WAV are from its start at most, in bytes.
const HEAD: u64 = 64 << 10;

/// The bytes of a WAV whose header may state sizes that the file does not have, as those of services that send it while it
/// is made.
fn with_true_sizes(mut file: File) -> Result<impl Read + Send + Sync, SoundError> {
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(HEAD).read_to_end(&mut head)?;
    let number = |at: usize| {
        let bytes = head.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let mut at = 12;
    while let Some(stated) = number(at + 4) {
        if head.get(at..at + 4) != Some(b"data") {
            at += 8 + stated as usize + (stated as usize & 1);
            continue;
        }
        let there = bytes.saturating_sub(at as u64 + 8);
        if stated == 0 || u64::from(stated) > there {
            let samples = u32::try_from(there).map_err(|_| SoundError::TooLong)?;
            let whole = u32::try_from(bytes - 8).map_err(|_| SoundError::TooLong)?;
            head[at + 4..at + 8].copy_from_slice(&samples.to_le_bytes());
            head[4..8].copy_from_slice(&whole.to_le_bytes());
        }
        break;
    }
    Ok(Cursor::new(head).chain(file))
}

/// The header of a WAV with samples of 16 bits: Hz, channels, and the size of the samples in bytes.
pub fn wave_header(rate: u32, channels: u16, bytes: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER as usize);
    header.extend(b"RIFF");
    header.extend((bytes + HEADER - 8).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16u32.to_le_bytes());
    header.extend(1u16.to_le_bytes());
    header.extend(channels.to_le_bytes());
    header.extend(rate.to_le_bytes());
    header.extend((rate * u32::from(channels) * 2).to_le_bytes());
    header.extend((channels * 2).to_le_bytes());
    header.extend(16u16.to_le_bytes());
    header.extend(b"data");
    header.extend(bytes.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone of this many frames at 16 kHz, one channel; `stated` is the size in its header.
    fn wave(frames: u32, stated: u32) -> Vec<u8> {
        let mut bytes = wave_header(16_000, 1, frames * 2);
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&stated.to_le_bytes());
        for frame in 0..frames {
            let sample = (f64::from(frame) * 0.2).sin() * 9_000.0;
            bytes.extend((sample as i16).to_le_bytes());
        }
        bytes
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn sounds_are_joined_and_unknown_lengths_are_found() {
        let (one, two) = (file(&wave(8_000, 16_000)), file(&wave(4_000, u32::MAX)));
        let mut to = tempfile::tempfile().unwrap();
        let lengths = write_wave(&[one.path(), two.path()], &mut to, 0.1, &|| false).unwrap();
        assert_eq!(lengths, [0.5, 0.25]);
        let mut written = Vec::new();
        to.rewind().unwrap();
        to.read_to_end(&mut written).unwrap();
        // The same samples, and a tenth of a second of silence.
        assert_eq!(written[44..44 + 16_000], wave(8_000, 16_000)[44..]);
        assert_eq!(written.len(), 44 + 24_000 + 3_200);
        assert_eq!(written[..44], wave_header(16_000, 1, 27_200));
        assert!(written[44 + 24_000..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_cannot_be_joined_is_an_error() {
        let one = file(&wave(800, 1_600));
        let mut other = wave(800, 1_600);
        other[24..28].copy_from_slice(&8_000u32.to_le_bytes());
        let other = file(&other);
        let mut to = tempfile::tempfile().unwrap();
        let error = write_wave(&[one.path(), other.path()], &mut to, 0.0, &|| false).unwrap_err();
        assert!(error.to_string().contains("8000 Hz"), "{error}");
        let page = file(b"<html>no sound</html>");
        assert!(write_wave(&[page.path()], &mut to, 0.0, &|| false).is_err());
        assert!(write_wave(&[], &mut to, 0.0, &|| false).is_err());
        let cancelled = write_wave(&[one.path()], &mut to, 0.0, &|| true);
        assert!(matches!(cancelled, Err(SoundError::Cancelled)));
    }
}
