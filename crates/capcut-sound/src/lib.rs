//! What a sound file contains, in pure Rust: where somebody speaks, where it is silent, how loud it is and where its beats
//! are; and where the words of a known script are spoken.
//!
//! [`analyze`] decodes a file once and feeds all analyses that are wanted. Levels are kept, samples are not: an hour takes
//! less than 10 MB. WAV, MP3, AAC, MP4 and M4A, FLAC, Ogg Vorbis and Ogg Opus are decoded here; everything else is
//! [`SoundError::NeedsFfmpeg`], and [`analyze_wave`] reads what FFmpeg writes to a pipe.

mod align;
mod analysis;
mod beats;
mod container;
mod decode;
mod error;
mod levels;
mod mp4;
mod resample;
mod speech;
mod wave;

pub use align::{align, spoken_weight};
pub use analysis::{
    Analysis, Loudness, Wanted, analyze, analyze_wave, loudness_of, loudness_of_wave,
};
pub use beats::Beats;
pub use error::SoundError;
pub use speech::{Span, gaps, overlaps};
pub use wave::{wave_header, write_wave};
