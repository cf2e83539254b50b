//! Frames, contact sheets and preview videos of drafts.
//!
//! The scene at a time and its pixels are left to `capcut-scene`; this crate has the files: still pictures, decoders,
//! sound and the encoder. `ffmpeg` only decodes and encodes. All functions block.

mod decoder;
mod encoder;
mod error;
mod facts;
mod frames;
mod kept;
mod output;
mod process;
mod renderer;
mod resize;
mod sheet;
mod sound;
mod still;
mod tools;
mod video;
mod workplace;

pub use error::{Problem, RenderError, Result};
pub use frames::FoundFile;
pub use kept::KeptFrames;
pub use output::{Encoded, PictureFormat, fitted, jpeg, png};
pub use process::input_arguments;
pub use renderer::{Files, Renderer, size_within};
pub use sheet::{columns, sheet};
pub use still::{StillError, still};
pub use tools::Tools;
pub use video::{VideoOptions, VideoReport};
