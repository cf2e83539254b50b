//! The container of a file, by its first bytes: names lie, and decoders take other files for raw MP3.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};

use crate::error::SoundError;

/// A container whose sound is decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Wave,
    Mp3,
    Adts,
    Mp4,
    Flac,
    Ogg,
}

/// The container, and where it begins in the file: after tags.
pub(crate) fn probe(file: &mut File) -> Result<(Container, u64), SoundError> {
    let mut start = 0;
    let mut head = head_at(file, start)?;
    if head.is_empty() {
        return Err(SoundError::NoSound("it is empty".to_owned()));
    }
    // ID3v2 tags; a few files have two.
    for _ in 0..4 {
        let Some(length) = id3_length(&head) else {
            break;
        };
        start += length;
        head = head_at(file, start)?;
    }
    let is_tagged = start > 0;
    let at = |from: usize, bytes: &[u8]| head.get(from..from + bytes.len()) == Some(bytes);
    let container = match &head[..] {
        _ if at(0, b"RIFF") && at(8, b"WAVE") => Container::Wave,
        _ if at(0, b"fLaC") => Container::Flac,
        _ if at(0, b"OggS") => Container::Ogg,
        _ if [
            b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot",
        ]
        .iter()
        .any(|kind| at(4, *kind)) =>
        {
            Container::Mp4
        }
        [0xff, second, ..] if second & 0xf6 == 0xf0 => Container::Adts,
        [0xff, second, third, ..] if second & 0xe0 == 0xe0 => match (second >> 1) & 3 {
            1 if third >> 4 != 15 => Container::Mp3,
            2 => return Err(needs("MPEG audio of layer 2")),
            3 => return Err(needs("MPEG audio of layer 1")),
            _ => return Err(unknown()),
        },
        // Zero bytes between the tag and the first frame are usual.
        _ if is_tagged => Container::Mp3,
        head => return Err(other(head).map_or_else(unknown, needs)),
    };
    Ok((container, start))
}

fn head_at(file: &mut File, start: u64) -> Result<Vec<u8>, SoundError> {
    file.seek(SeekFrom::Start(start))?;
    let mut head = Vec::new();
    file.by_ref().take(400).read_to_end(&mut head)?;
    Ok(head)
}

/// The length of an ID3v2 tag in bytes, if the bytes begin with one.
fn id3_length(head: &[u8]) -> Option<u64> {
    let [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] = *head else {
        return None;
    };
    let size = [a, b, c, d]
        .iter()
        .fold(0, |size, byte| (size << 7) | u64::from(byte & 0x7f));
    let footer = if flags & 0x10 == 0 { 0 } else { 10 };
    Some(10 + size + footer)
}

fn needs(what: &str) -> SoundError {
    SoundError::NeedsFfmpeg(what.to_owned())
}

fn unknown() -> SoundError {
    SoundError::NoSound("its first bytes match no known format of sound or video".to_owned())
}

/// Files that may have sound, with their article.
fn other(head: &[u8]) -> Option<&'static str> {
    let at = |from: usize, bytes: &[u8]| head.get(from..from + bytes.len()) == Some(bytes);
    // Packets of 188 bytes, in some files with 4 additional bytes before each.
    let packets = |first: usize, size: usize| [0, 1].iter().all(|n| at(first + n * size, b"G"));
    Some(match head {
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "a Matroska or WebM file",
        _ if at(0, b"RIFF") && at(8, b"AVI ") => "an AVI file",
        _ if at(0, b"RF64") || at(0, b"BW64") => "an RF64 file",
        _ if at(0, b"riff\x2e\x91\xcf\x11") => "a Wave64 file",
        _ if at(0, b"FLV\x01") => "an FLV file",
        _ if at(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") => "a Windows Media file",
        _ if packets(0, 188) || packets(4, 192) => "an MPEG-TS file",
        [0, 0, 1, 0xba | 0xb3, ..] => "an MPEG file",
        _ if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) => "an AIFF file",
        _ if at(0, b"caff") => "a CAF file",
        _ if at(0, b"#!AMR") => "an AMR file",
        _ if at(0, b".snd") => "an AU file",
        _ if at(0, b"wvpk") => "a WavPack file",
        _ if at(0, b"MAC ") => "a Monkey's Audio file",
        [0x0b, 0x77, ..] => "an AC-3 file",
        [0x7f, 0xfe, 0x80, 1, ..] | [0xfe, 0x7f, 1, 0x80, ..] => "a DTS file",
        _ if at(0, b".RMF") => "a RealMedia file",
        [6, 0x0e, 0x2b, 0x34, ..] => "an MXF file",
        _ if at(0, b"nut/multimedia container") => "a NUT file",
        [0x1f, 7, 0, ..] => "a DV file",
        _ => return None,
    })
}
