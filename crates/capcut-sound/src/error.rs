//! Why a sound cannot be analysed.

use std::fmt;
use std::io;

/// Why a sound cannot be analysed. The messages have the file as their subject and do not name it.
#[derive(Debug)]
pub enum SoundError {
    /// The file cannot be read.
    Read(io::Error),
    /// It contains no sound: what it is instead.
    NoSound(String),
    /// A container or codec that is not decoded here; its name, such as `AC-3`.
    NeedsFfmpeg(String),
    /// A broken file: what is wrong.
    Broken(String),
    /// Longer than [`MOST_SECONDS`].
    TooLong,
    /// The caller cancelled.
    Cancelled,
}

/// The longest sound that is analysed, in seconds: 12 hours.
pub(crate) const MOST_SECONDS: f64 = 43_200.0;

impl fmt::Display for SoundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::NoSound(what) => write!(f, "contains no sound: {what}"),
            Self::NeedsFfmpeg(what) => write!(f, "is {what}, which is decoded with FFmpeg only"),
            Self::Broken(what) => write!(f, "is broken: {what}"),
            Self::TooLong => write!(
                f,
                "is longer than {} hours, the most that is analysed",
                MOST_SECONDS / 3600.0
            ),
            Self::Cancelled => write!(f, "was not analysed to its end: cancelled"),
        }
    }
}

impl std::error::Error for SoundError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for SoundError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}
