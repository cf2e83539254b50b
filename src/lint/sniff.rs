//! Detects the format of a media file, and names formats in messages.

use std::fs;
use std::path::Path;

use crate::media::{self, Facts, Format};

/// The result of reading a file.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// It cannot be read; the reason.
    Unreadable(String),
    Empty,
    /// It is something else, such as a web page or text; what it is.
    NotMedia(String),
    /// It is truncated or damaged; the reason.
    Damaged(String),
    /// Its format is unknown, so it is not checked.
    Unknown,
    Media(Facts),
}

impl Look {
    pub(super) fn format(&self) -> Option<Format> {
        match self {
            Self::Media(facts) => Some(facts.format),
            _ => None,
        }
    }
}

/// Reads a whole file; messages name it `shown`.
pub(super) fn look(file: &Path, shown: &str) -> Look {
    match fs::metadata(file) {
        Err(error) => return Look::Unreadable(format!("{shown} cannot be read: {error}")),
        // Reading a pipe could block.
        Ok(metadata) if !metadata.is_file() => {
            return Look::Unreadable(format!("{shown} is not a regular file"));
        }
        Ok(metadata) if metadata.len() == 0 => return Look::Empty,
        Ok(_) => {}
    }
    match media::look(file, shown) {
        Ok(media::Look::Media(facts)) => Look::Media(facts),
        Ok(media::Look::Damaged(what)) => Look::Damaged(what),
        Ok(media::Look::NotMedia(what)) => Look::NotMedia(what),
        Ok(media::Look::Unknown) => Look::Unknown,
        Err(error) => Look::Unreadable(error.to_string()),
    }
}

/// The format's name in messages.
pub(super) fn name(format: Format) -> &'static str {
    match format {
        Format::Mp4 => "MPEG-4",
        Format::Mov => "QuickTime",
        Format::Webm => "WebM",
        Format::Mkv => "Matroska",
        Format::Mp3 => "MP3",
        Format::Wav => "WAV",
        Format::M4a => "MPEG-4 audio",
        Format::Aac => "AAC",
        Format::Flac => "FLAC",
        Format::Ogg | Format::Opus => "Ogg",
        Format::Png => "PNG",
        Format::Jpg => "JPEG",
        Format::Gif => "GIF",
        Format::Webp => "WebP",
        Format::Heic => "HEIC",
        Format::Avif => "AVIF",
        Format::Bmp => "BMP",
        Format::Ts => "an MPEG transport stream",
        Format::Avi => "AVI",
        Format::Flv => "Flash video",
        Format::Wmv => "Windows Media",
        Format::Mpg => "MPEG",
        Format::Wma => "Windows Media Audio",
        Format::Mxf => "MXF",
        Format::Nut => "NUT",
        Format::Dv => "DV",
        Format::Rm => "RealMedia",
        Format::Aiff => "AIFF",
        Format::Caf => "CAF",
        Format::Amr => "AMR",
        Format::Au => "AU",
        Format::Wv => "WavPack",
        Format::Ape => "Monkey's Audio",
        Format::W64 => "Wave64",
        Format::Ac3 => "AC-3",
        Format::Eac3 => "E-AC-3",
        Format::Dts => "DTS",
        Format::Tiff => "TIFF",
    }
}
