//! What a media file is by its first bytes: enough to see that a name lies.

use std::fs;
use std::io::Read;
use std::path::Path;

/// What can be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Picture,
    /// Pictures that move, and perhaps sound.
    Video,
    Sound,
    /// A container of either.
    VideoOrSound,
    /// No media.
    Text,
}

/// A format by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// As messages call it.
    pub name: &'static str,
    pub kind: Kind,
    /// The endings that such a file may have, the usual one first.
    pub endings: &'static [&'static str],
}

/// A look at a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub bytes: u64,
    /// `None` where the first bytes are of no format that is known here.
    pub format: Option<Format>,
}

/// Looks at the first bytes; `None` where the file cannot be read.
pub(super) fn look(file: &Path) -> Option<Look> {
    let mut open = fs::File::open(file).ok()?;
    let bytes = open.metadata().ok()?.len();
    let mut start = [0; 64];
    let length = open.read(&mut start).ok()?;
    Some(Look {
        bytes,
        format: format(&start[..length]),
    })
}

fn format(start: &[u8]) -> Option<Format> {
    let at = |position: usize, bytes: &[u8]| {
        start
            .get(position..)
            .is_some_and(|rest| rest.starts_with(bytes))
    };
    let (name, kind, endings): (_, _, &[&str]) = if at(0, b"\x89PNG") {
        ("PNG", Kind::Picture, &["png"])
    } else if at(0, b"\xff\xd8\xff") {
        ("JPEG", Kind::Picture, &["jpg", "jpeg", "jpe", "jfif"])
    } else if at(0, b"GIF8") {
        ("GIF", Kind::Picture, &["gif"])
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        ("WebP", Kind::Picture, &["webp"])
    } else if at(0, b"BM") && at(6, &[0, 0, 0, 0]) {
        ("BMP", Kind::Picture, &["bmp"])
    } else if at(0, b"RIFF") && at(8, b"WAVE") {
        ("WAV", Kind::Sound, &["wav", "wave"])
    } else if at(0, b"RIFF") && at(8, b"AVI ") {
        ("AVI", Kind::Video, &["avi"])
    } else if at(4, b"ftyp") && (at(8, b"heic") || at(8, b"mif1") || at(8, b"heix")) {
        ("HEIC", Kind::Picture, &["heic", "heif", "hif"])
    } else if at(4, b"ftypavif") {
        ("AVIF", Kind::Picture, &["avif"])
    } else if at(4, b"ftypM4A") {
        (
            "MPEG-4 sound",
            Kind::Sound,
            &["m4a", "mp4", "m4b", "mov", "aac"],
        )
    } else if at(4, b"ftypqt") {
        (
            "QuickTime",
            Kind::VideoOrSound,
            &["mov", "qt", "mp4", "m4v", "m4a"],
        )
    } else if at(4, b"ftyp") {
        (
            "MPEG-4",
            Kind::VideoOrSound,
            &["mp4", "mov", "m4v", "m4a", "qt", "3gp", "3g2"],
        )
    } else if at(0, b"\x1aE\xdf\xa3") {
        if start.windows(4).any(|window| window == b"webm") {
            ("WebM", Kind::VideoOrSound, &["webm", "weba", "mkv"])
        } else {
            ("Matroska", Kind::VideoOrSound, &["mkv", "mka", "webm"])
        }
    } else if at(0, b"OggS") {
        ("Ogg", Kind::VideoOrSound, &["ogg", "oga", "opus", "ogv"])
    } else if at(0, b"fLaC") {
        ("FLAC", Kind::Sound, &["flac"])
    } else if at(0, b"ID3")
        || (start.len() > 1 && start[0] == 0xff && matches!(start[1] & 0xf6, 0xe2 | 0xf2))
    {
        ("MP3", Kind::Sound, &["mp3"])
    } else if is_text(start) {
        ("text, not media", Kind::Text, &[])
    } else {
        return None;
    };
    Some(Format {
        name,
        kind,
        endings,
    })
}

/// What a server answers instead of a file: a page, a message, an error in JSON.
fn is_text(start: &[u8]) -> bool {
    let text = start.trim_ascii_start();
    let beginning = [
        b"<!".as_slice(),
        b"<html",
        b"<HTML",
        b"<?xml",
        b"{\"",
        b"{\n",
        b"[{",
    ];
    beginning
        .iter()
        .any(|beginning| text.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let name = |bytes: &[u8]| format(bytes).map(|format| format.name);
        assert_eq!(name(b"RIFF\0\0\0\0WAVEfmt "), Some("WAV"));
        assert_eq!(name(b"\0\0\0\x1cftypqt  "), Some("QuickTime"));
        assert_eq!(name(b"\0\0\0\x1cftypisom"), Some("MPEG-4"));
        assert_eq!(
            name(b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm"),
            Some("WebM")
        );
        assert_eq!(name(&[0xff, 0xfb, 0x90, 0x64]), Some("MP3"));
        assert_eq!(name(b"<!DOCTYPE html>"), Some("text, not media"));
        assert_eq!(name(b"\x01\x02\x03"), None);
        assert_eq!(name(b""), None);
    }
}
