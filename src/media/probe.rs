//! Identifies a file by its content: one reader per family of formats, `ffprobe` for the rest.
//!
//! We have our own readers because the crates that were tried round to milliseconds where a draft needs
//! microseconds, allocate as much memory as the file claims, panic on broken tables, or read far more than
//! headers. Our readers trust nothing: all reading is limited by the file's size, the deadline and a count.

mod bmff;
mod ffprobe;
mod image;
mod matroska;
mod mpeg;
mod ogg;
mod riff;
mod wire;

use std::path::Path;

use super::reader::SourceReader;
use super::{Facts, MediaFormat};
use crate::error::Error;
use crate::units::Micros;

/// How much of a file to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only what is needed to place it, with as few reads as possible.
    Facts,
    /// Also whether its end is there.
    Whole,
}

/// Why there are no facts.
#[derive(Debug)]
pub(super) enum ProbeError {
    /// The bytes could not be read.
    Read(Error),
    /// A broken file of this kind: `(what, why)`.
    Broken(&'static str, String),
    /// The file is shorter than it states: `(what, bytes there, bytes needed)`.
    Cut(&'static str, u64, u64),
    /// Not media, or empty.
    NotMedia(String),
    /// An unknown format.
    Unknown(String),
    /// A format, with its article, that requires `ffprobe`, which is not installed.
    NeedsFfprobe(&'static str),
}

pub(super) type Probe<T> = Result<T, ProbeError>;

impl From<Error> for ProbeError {
    fn from(error: Error) -> Self {
        Self::Read(error)
    }
}

impl ProbeError {
    pub(crate) fn into_error(self, shown: &str) -> Error {
        match self {
            Self::Read(mut error) => {
                if !error.message.contains(shown) {
                    error.message = format!("{shown}: {}", error.message);
                }
                error
            }
            Self::Broken(what, why) => {
                Error::media(format!("{shown} is a broken {what} file: {why}"))
            }
            Self::Cut(what, bytes, needed) => Error::media(format!(
                "{shown} is cut off: this {what} file has {bytes} bytes and needs {needed}"
            ))
            .hint("fetch or export it again"),
            Self::NeedsFfprobe(what) => Error::media(format!(
                "{shown} is {what} file, and reading it requires `ffprobe`, which is not installed"
            ))
            .hint("install FFmpeg, which includes `ffprobe`, or convert the file: a video to MP4, sound to MP3 or WAV, a picture to PNG or JPEG"),
            Self::NotMedia(what) | Self::Unknown(what) => {
                Error::media(format!("{shown} is not media: {what}"))
            }
        }
    }

    /// Whether another reader cannot help.
    fn is_final(&self) -> bool {
        matches!(self, Self::Read(_))
    }
}

/// Probes `reader`. `path` is its path on this disk, if it has one, as `ffprobe` reads files only.
pub(super) fn read(reader: &mut SourceReader, path: Option<&Path>, depth: Depth) -> Probe<Facts> {
    let head = reader.bytes(0, 4096)?;
    if head.is_empty() {
        return Err(ProbeError::NotMedia("it is empty".to_owned()));
    }
    let known = match family(&head) {
        Some(Family::Bmff) => bmff::read(reader, depth),
        Some(Family::Matroska) => matroska::read(reader),
        Some(Family::Png) => image::png(reader, depth),
        Some(Family::Jpeg) => image::jpeg(reader, depth),
        Some(Family::Gif) => image::gif(reader),
        Some(Family::Bmp) => image::bmp(reader),
        Some(Family::Wave) => riff::wave(reader),
        Some(Family::Webp) => riff::webp(reader),
        Some(Family::Flac) => mpeg::flac(reader, depth),
        Some(Family::Ogg) => ogg::read(reader),
        Some(Family::Mpeg) => mpeg::audio(reader, depth),
        None => match text_kind(&head) {
            Some(what) => return Err(ProbeError::NotMedia(what.to_owned())),
            None => Err(unknown(&head, path.is_some())),
        },
    };
    let mut facts = match known {
        Ok(facts) => facts,
        Err(fault) if fault.is_final() || matches!(fault, ProbeError::Cut(..)) => {
            return Err(fault);
        }
        Err(fault) => match path.and_then(|path| ffprobe::read(path, reader.guard())) {
            Some(facts) => facts,
            None => return Err(fault),
        },
    };
    facts.bytes = reader.len();
    Ok(facts)
}

/// The reason that a file with this beginning cannot be read. `ffprobe` is tried if the file is on this disk.
fn unknown(head: &[u8], is_here: bool) -> ProbeError {
    let is_asked = is_here && ffprobe::is_installed();
    match needs_ffprobe(head) {
        Some(what) if is_asked => {
            ProbeError::Unknown(format!("it begins like {what} file, which ffprobe cannot read"))
        }
        Some(what) => ProbeError::NeedsFfprobe(what),
        None if is_asked => {
            ProbeError::Unknown("its first bytes match no known format, and ffprobe does not recognise it".to_owned())
        }
        None => ProbeError::Unknown(
            "its first bytes match no format that is supported without `ffprobe`, which is not installed".to_owned(),
        ),
    }
}

/// A format that only `ffprobe` reads, with its article.
fn needs_ffprobe(head: &[u8]) -> Option<&'static str> {
    let at = |from: usize, bytes: &[u8]| head.get(from..from + bytes.len()) == Some(bytes);
    // Packets of 188 bytes, in some files with 4 additional bytes before each.
    let packets = |first: usize, size: usize| [0, 1].iter().all(|n| at(first + n * size, b"G"));
    Some(match head {
        _ if at(0, b"RIFF") && at(8, b"AVI ") => "an AVI",
        _ if at(0, b"FLV\x01") => "an FLV",
        _ if at(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") => "a Windows Media (WMV, WMA)",
        _ if packets(0, 188) || packets(4, 192) => "an MPEG-TS",
        [0, 0, 1, 0xba | 0xb3, ..] => "an MPEG",
        _ if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) => "an AIFF",
        _ if at(0, b"caff") => "a CAF",
        _ if at(0, b"II*\0") || at(0, b"MM\0*") => "a TIFF",
        _ if at(0, b"#!AMR") => "an AMR",
        _ if at(0, b".snd") => "an AU",
        _ if at(0, b"wvpk") => "a WavPack",
        _ if at(0, b"MAC ") => "a Monkey's Audio",
        _ if at(0, b"riff\x2e\x91\xcf\x11") => "a Wave64",
        [0x0b, 0x77, ..] => "an AC-3",
        [0x7f, 0xfe, 0x80, 1, ..] | [0xfe, 0x7f, 1, 0x80, ..] => "a DTS",
        _ if at(0, b".RMF") => "a RealMedia",
        [6, 0x0e, 0x2b, 0x34, ..] => "an MXF",
        _ if at(0, b"nut/multimedia container") => "a NUT",
        [0x1f, 7, 0, ..] => "a DV",
        _ => return None,
    })
}

/// Whether `ffprobe` may recognise the file, so that fetching it is worthwhile.
pub(super) fn may_be_media(head: &[u8]) -> bool {
    family(head).is_none() && text_kind(head).is_none() && ffprobe::is_installed()
}

#[derive(Clone, Copy)]
enum Family {
    Bmff,
    Matroska,
    Png,
    Jpeg,
    Gif,
    Bmp,
    Wave,
    Webp,
    Flac,
    Ogg,
    Mpeg,
}

fn family(head: &[u8]) -> Option<Family> {
    let at = |from: usize, text: &[u8]| head.get(from..from + text.len()) == Some(text);
    Some(match head {
        [0x89, b'P', b'N', b'G', ..] => Family::Png,
        [0xff, 0xd8, 0xff, ..] => Family::Jpeg,
        [b'G', b'I', b'F', b'8', ..] => Family::Gif,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Family::Matroska,
        [b'f', b'L', b'a', b'C', ..] => Family::Flac,
        [b'O', b'g', b'g', b'S', ..] => Family::Ogg,
        [b'I', b'D', b'3', ..] => Family::Mpeg,
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Family::Bmp,
        _ if (at(0, b"RIFF") || at(0, b"RF64")) && at(8, b"WAVE") => Family::Wave,
        _ if at(0, b"RIFF") && at(8, b"WEBP") => Family::Webp,
        _ if [
            b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot",
        ]
        .iter()
        .any(|kind| at(4, *kind)) =>
        {
            Family::Bmff
        }
        _ if mpeg::starts_audio(head) => Family::Mpeg,
        _ => return None,
    })
}

/// The kind of text, if it is text.
fn text_kind(head: &[u8]) -> Option<&'static str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The read may end in the middle of a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let start = text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .to_ascii_lowercase();
    Some(
        if start.starts_with("<!doctype html") || start.starts_with("<html") {
            "it is an HTML page"
        } else if start.starts_with("<svg") || start.contains("<svg ") {
            "it is an SVG drawing: convert it to PNG first"
        } else if start.starts_with('{') || start.starts_with('[') {
            "it is JSON"
        } else if start.starts_with("#extm3u") {
            "it is a playlist of a stream, not a file"
        } else {
            "it is text"
        },
    )
}

/// The facts of an audio file.
fn sound(format: MediaFormat, duration: Micros, cover_art: bool) -> Facts {
    Facts {
        format,
        is_still: false,
        width: 0,
        height: 0,
        duration,
        audio_duration: Some(duration),
        has_video: false,
        has_audio: true,
        cover_art,
        bytes: None,
    }
}

/// The facts of a picture; it is animated if it has a length.
fn picture(
    what: &'static str,
    format: MediaFormat,
    width: u64,
    height: u64,
    duration: Micros,
) -> Probe<Facts> {
    let (width, height) = size(what, width, height)?;
    let moves = duration > Micros::ZERO;
    Ok(Facts {
        format,
        is_still: !moves,
        width,
        height,
        duration,
        audio_duration: None,
        has_video: moves,
        has_audio: false,
        cover_art: false,
        bytes: None,
    })
}

fn size(what: &'static str, width: u64, height: u64) -> Probe<(u32, u32)> {
    match (u32::try_from(width), u32::try_from(height)) {
        (Ok(width @ 1..=0xf_ffff), Ok(height @ 1..=0xf_ffff)) => Ok((width, height)),
        _ => Err(ProbeError::Broken(
            what,
            format!("its picture is {width} × {height} pixels"),
        )),
    }
}

/// `count` units, of which `per_second` make a second, as microseconds. The reference API multiplies the six
/// decimals that ffprobe prints by a million and truncates; drafts must match it.
fn micros(count: u64, per_second: u64) -> Micros {
    if per_second == 0 {
        return Micros::ZERO;
    }
    decimals(count as f64 / per_second as f64)
}

/// See [`micros`].
fn decimals(seconds: f64) -> Micros {
    if !seconds.is_finite() || seconds < 0.0 {
        return Micros::ZERO;
    }
    let text = format!("{seconds:.6}");
    Micros((text.parse::<f64>().unwrap_or(0.0) * 1e6) as i64)
}

fn no_sound_or_picture() -> ProbeError {
    ProbeError::NotMedia("it has neither picture nor sound".to_owned())
}
