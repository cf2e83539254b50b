//! What a draft of CapCut or JianYing shows at a time.
//!
//! A [`Movie`] is read from a document once. [`Movie::scene`] says what is seen at a time, as plain values: layers with their
//! place, opacity, masks and colours. A [`Composer`] draws a scene; it asks its caller for the frames of files through
//! [`Frames`]. The crate does no I/O and has no clock.
//!
//! Documents are data of strangers: times, sizes, counts and depths are limited, and numbers that make no sense count as
//! missing.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]
#![forbid(unsafe_code)]
#![expect(
    clippy::cast_possible_wrap,
    reason = "numbers of pixels and tracks are far from the limits of their types"
)]

mod animated;
mod animation;
mod compose;
mod cover;
mod drawn;
mod geometry;
mod look;
mod movie;
mod paint;
mod read;
mod review;
mod scene;
mod stage;
mod transition;

pub use animated::{Animated, Key};
pub use compose::{Composer, Frame, Frames, WantedFrame};
pub use cover::{Cover, Shape};
pub use drawn::{Closeness, DRAWN, DrawnProperty};
pub use geometry::Affine;
pub use look::{Adjustment, ChromaKey, Look};
pub use movie::{Gain, Medium, MediumKind, MediumUse, Movie, Sound};
pub use review::{Finding, FindingKind, HeardFile, MeasurableTexts, MeasuredText, Review};
pub use scene::{Blend, Color, Content, Layer, PictureContent, Scene, SceneNote, TextPicture};
