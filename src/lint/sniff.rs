//! Detects the format of a media file, and names formats in messages.

use std::fs;
use std::path::Path;

use crate::media::{self, Facts, MediaFormat};

/// The result of reading a file.
#[derive(Clone, Debug)]
pub(super) enum FileContents {
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

impl FileContents {
    pub(super) fn format(&self) -> Option<MediaFormat> {
        match self {
            Self::Media(facts) => Some(facts.format),
            _ => None,
        }
    }
}

/// Reads a whole file; messages name it `shown`.
pub(super) fn look(file: &Path, shown: &str) -> FileContents {
    match fs::metadata(file) {
        Err(error) => return FileContents::Unreadable(format!("{shown} cannot be read: {error}")),
        // Reading a pipe could block.
        Ok(metadata) if !metadata.is_file() => {
            return FileContents::Unreadable(format!("{shown} is not a regular file"));
        }
        Ok(metadata) if metadata.len() == 0 => return FileContents::Empty,
        Ok(_) => {}
    }
    match media::look(file, shown) {
        Ok(media::FileCheck::Media(facts)) => FileContents::Media(facts),
        Ok(media::FileCheck::Damaged(what)) => FileContents::Damaged(what),
        Ok(media::FileCheck::NotMedia(what)) => FileContents::NotMedia(what),
        Ok(media::FileCheck::Unknown) => FileContents::Unknown,
        Err(error) => FileContents::Unreadable(error.to_string()),
    }
}

/// The format's name in messages.
pub(super) fn name(format: MediaFormat) -> &'static str {
    match format {
        MediaFormat::Mp4 => "MPEG-4",
        MediaFormat::Mov => "QuickTime",
        MediaFormat::Webm => "WebM",
        MediaFormat::Mkv => "Matroska",
        MediaFormat::Mp3 => "MP3",
        MediaFormat::Wav => "WAV",
        MediaFormat::M4a => "MPEG-4 audio",
        MediaFormat::Aac => "AAC",
        MediaFormat::Flac => "FLAC",
        MediaFormat::Ogg | MediaFormat::Opus => "Ogg",
        MediaFormat::Png => "PNG",
        MediaFormat::Jpg => "JPEG",
        MediaFormat::Gif => "GIF",
        MediaFormat::Webp => "WebP",
        MediaFormat::Heic => "HEIC",
        MediaFormat::Avif => "AVIF",
        MediaFormat::Bmp => "BMP",
        MediaFormat::Ts => "an MPEG transport stream",
        MediaFormat::Avi => "AVI",
        MediaFormat::Flv => "Flash video",
        MediaFormat::Wmv => "Windows Media",
        MediaFormat::Mpg => "MPEG",
        MediaFormat::Wma => "Windows Media Audio",
        MediaFormat::Mxf => "MXF",
        MediaFormat::Nut => "NUT",
        MediaFormat::Dv => "DV",
        MediaFormat::Rm => "RealMedia",
        MediaFormat::Aiff => "AIFF",
        MediaFormat::Caf => "CAF",
        MediaFormat::Amr => "AMR",
        MediaFormat::Au => "AU",
        MediaFormat::Wv => "WavPack",
        MediaFormat::Ape => "Monkey's Audio",
        MediaFormat::W64 => "Wave64",
        MediaFormat::Ac3 => "AC-3",
        MediaFormat::Eac3 => "E-AC-3",
        MediaFormat::Dts => "DTS",
        MediaFormat::Tiff => "TIFF",
    }
}
