//! What is known about the media of a plan before its layout.

use std::collections::HashMap;
use std::sync::Arc;

use capcut_sound::Span;

use crate::error::Error;
use crate::units::Micros;

/// The speech in sources, in seconds of the file, or why it is not known.
pub(crate) type SpeechBySource = HashMap<String, Result<Vec<Span>, Arc<Error>>>;

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PlayedPart {
    pub source: String,
    pub start: Micros,
    /// `None`: to the end of the file.
    pub end: Option<Micros>,
}

/// What is known about media before the layout, by source.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownMedia {
    /// Seconds: of the picture (or the file) and of the sound.
    pub lengths: HashMap<String, (f64, f64)>,
    /// Frames per second of the timeline, if the plan says so.
    pub fps: Option<f64>,
    /// Where somebody speaks in the files that were listened to.
    pub speech: SpeechBySource,
    /// The beats of music, in seconds of the file, or why they are not known.
    pub beats: HashMap<String, Result<Vec<f64>, Arc<Error>>>,
    /// LUFS and dBTP of the parts of files that items with `loudness_lufs` play, or why they are not known.
    pub loudness: HashMap<PlayedPart, Result<(f64, f64), Arc<Error>>>,
}

impl KnownMedia {
    pub(super) fn get(&self, source: &str) -> Option<&(f64, f64)> {
        self.lengths.get(source)
    }
}
