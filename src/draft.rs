//! The draft as a plain value: tracks, segments, materials; no I/O, clock or randomness.

pub(crate) mod ids;
pub(crate) mod picture;
