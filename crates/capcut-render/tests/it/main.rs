//! The crate with a real FFmpeg, on media that it generates.

mod frames;
mod sounds;
mod support;
mod videos;
