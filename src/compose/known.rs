//! What is known about the media of a plan before its layout.

use std::collections::HashMap;
use std::sync::Arc;

use capcut_sound::Span;

use crate::error::Error;

/// The speech in sources, in seconds of the file, or why it is not known.
pub(crate) type SpeechBySource = HashMap<String, Result<Vec<Span>, Arc<Error>>>;

/// What is known about media before the layout, by source.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownMedia {
    /// Seconds: of the picture (or the file) and of the sound.
    pub lengths: HashMap<String, (f64, f64)>,
    /// Where somebody speaks in the files that were listened to.
    pub speech: SpeechBySource,
}

impl KnownMedia {
    pub(super) fn get(&self, source: &str) -> Option<&(f64, f64)> {
        self.lengths.get(source)
    }
}
