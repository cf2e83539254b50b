//! What is wanted of a provider.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::section::Makes;

/// One asset. Its JSON identifies it: the same asset is made once.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "make", rename_all = "lowercase")]
pub(crate) enum Wanted {
    Speech {
        text: String,
        /// As the service names it; empty: the provider's own.
        voice: String,
        /// 1 is the voice's own pace.
        speed: f64,
    },
    Picture {
        prompt: String,
        /// Pixels of the canvas that it is for.
        width: u32,
        height: u32,
        seed: Option<u64>,
        /// Which of several of the same description without a seed, from 0: each is another picture.
        take: u32,
    },
    Film {
        prompt: String,
        /// Pixels of the canvas that it is for.
        width: u32,
        height: u32,
        /// The least length that is needed.
        seconds: f64,
        seed: Option<u64>,
        /// As that of a picture.
        take: u32,
    },
    Transcript {
        /// The SHA-256 of the file, in hexadecimal.
        sha256: String,
        /// Where it is; not a part of its identity.
        #[serde(skip)]
        file: std::path::PathBuf,
        /// The length of its sound.
        seconds: f64,
        /// A code such as `en`; empty: the service finds out.
        language: String,
    },
    Text {
        /// What kind of text, and in what form.
        instructions: String,
        input: String,
    },
}

impl Wanted {
    pub(crate) fn makes(&self) -> Makes {
        match self {
            Self::Speech { .. } => Makes::Speech,
            Self::Picture { .. } => Makes::Picture,
            Self::Film { .. } => Makes::Film,
            Self::Transcript { .. } => Makes::Transcript,
            Self::Text { .. } => Makes::Text,
        }
    }

    /// The text that a service reads, from which its length and price follow.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Speech { text, .. } => text,
            Self::Picture { prompt, .. } | Self::Film { prompt, .. } => prompt,
            Self::Transcript { .. } => "",
            Self::Text { input, .. } => input,
        }
    }

    /// The same for a provider with this voice. A fallback does not know the voices of the provider before it.
    pub(super) fn by(&self, own_voice: &str, is_fallback: bool) -> Self {
        let mut wanted = self.clone();
        if let Self::Speech { voice, .. } = &mut wanted
            && (voice.is_empty() || is_fallback)
        {
            own_voice.clone_into(voice);
        }
        wanted
    }

    /// Identifies what a provider is asked for: the SHA-256 of the request and of the settings that decide about the result,
    /// in hexadecimal.
    pub(crate) fn key(&self, settings: &str) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(settings.as_bytes());
        hash.update([0]);
        hash.update(&json);
        hash.finalize()
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}
