//! What is seen at a time, as plain values.

use std::sync::Arc;

use capcut_text::{Rgba, TextLayout};

use crate::cover::Cover;
use crate::geometry::Affine;
use crate::look::Look;

/// A colour, not premultiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Color {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
    /// From 0 to 1.
    pub alpha: f64,
}

impl Color {
    pub const BLACK: Self = Self::opaque(0, 0, 0);
    pub const WHITE: Self = Self::opaque(255, 255, 255);

    #[must_use]
    pub const fn opaque(red: u8, green: u8, blue: u8) -> Self {
        Self {
            red,
            green,
            blue,
            alpha: 1.0,
        }
    }

    /// Reads `#rgb`, `#rrggbb` or `#rrggbbaa`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix('#')?;
        if !digits.is_ascii() {
            return None;
        }
        let digits: String = match digits.len() {
            3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
            6 | 8 => digits.to_owned(),
            _ => return None,
        };
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let alpha = if digits.len() == 8 { part(6)? } else { 255 };
        Some(Self {
            red: part(0)?,
            green: part(2)?,
            blue: part(4)?,
            alpha: f64::from(alpha) / 255.0,
        })
    }
}

/// How a layer mixes with what is below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blend {
    #[default]
    Normal,
    Multiply,
    Screen,
    /// The sum of both.
    Add,
    Darken,
    Lighten,
    Overlay,
    HardLight,
    SoftLight,
    ColorDodge,
    ColorBurn,
    LinearBurn,
}

/// All that is seen at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Pixels.
    pub canvas: (f64, f64),
    /// What is below all layers; none inside compound clips, which may be transparent.
    pub background: Option<Color>,
    /// From the bottom up.
    pub layers: Vec<Layer>,
    /// How many clips are left out because a scene has at most 500 layers, with those of compound clips.
    pub left_out: usize,
}

/// A thing that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The clip that it belongs to, by its short id; clips in compound clips follow theirs after a `/`.
    pub clip: Arc<str>,
    pub content: Content,
    /// From pixels of the content to pixels of the canvas.
    pub place: Affine,
    /// From 0 to 1.
    pub opacity: f64,
    pub blend: Blend,
    /// What is shown of it; all of them must show a pixel.
    pub covers: Vec<Cover>,
    pub look: Look,
}

impl Layer {
    pub(crate) fn new(clip: &Arc<str>, content: Content) -> Self {
        Self {
            clip: clip.clone(),
            content,
            place: Affine::IDENTITY,
            opacity: 1.0,
            blend: Blend::Normal,
            covers: Vec::new(),
            look: Look::default(),
        }
    }
}

/// What a layer shows. Sizes are in pixels of the content.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Content {
    Picture(PictureContent),
    Color {
        color: Color,
        size: (f64, f64),
    },
    Text(TextPicture),
    /// Stands for something that cannot be drawn.
    Placeholder {
        label: Arc<str>,
        size: (f64, f64),
    },
    /// The scene of a compound clip.
    Scene(Box<Scene>),
    /// Layers that are drawn on a canvas of their own first.
    Group {
        layers: Vec<Layer>,
        size: (f64, f64),
        /// Pixels.
        blur: f64,
    },
    /// The look of the layer changes all that is below it.
    Adjustment {
        size: (f64, f64),
    },
}

/// A part of a frame of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureContent {
    /// The index in [`Movie::media`](crate::Movie::media).
    pub medium: usize,
    /// The index in [`Medium::uses`](crate::Medium::uses).
    pub usage: usize,
    /// Microseconds in the file; less than 0 or beyond its end in the handles of transitions: the first or the last frame.
    pub at: i64,
    /// Of the visible part.
    pub size: (f64, f64),
    /// From the visible part, as a square with sides of 1, to the whole picture as such a square.
    pub crop: Affine,
    /// The largest size of the whole picture on the canvas while the clip lasts, pixels.
    pub largest: (f64, f64),
}

/// A text that was laid out, whose pixels are those of the canvas at a scale of 1.
#[derive(Clone, Debug)]
pub struct TextPicture {
    pub layout: Arc<TextLayout>,
    /// The part of its letters that is shown, from 0 to 1.
    pub shown: f64,
    /// The clusters of a caption that are emphasised then, and their colour.
    pub emphasis: Option<(std::ops::Range<usize>, Rgba)>,
}

impl PartialEq for TextPicture {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.layout, &other.layout)
            && self.shown == other.shown
            && self.emphasis == other.emphasis
    }
}

impl TextPicture {
    /// The letters that are shown.
    #[must_use]
    pub fn clusters(&self) -> std::ops::Range<usize> {
        let all = self.layout.clusters();
        0..(self.shown.clamp(0.0, 1.0) * all as f64).round() as usize
    }
}

impl Content {
    /// Width and height in its own pixels.
    #[must_use]
    pub fn size(&self) -> (f64, f64) {
        match self {
            Self::Picture(picture) => picture.size,
            Self::Text(text) => (
                f64::from(text.layout.width()),
                f64::from(text.layout.height()),
            ),
            Self::Color { size, .. }
            | Self::Placeholder { size, .. }
            | Self::Group { size, .. }
            | Self::Adjustment { size } => *size,
            Self::Scene(scene) => scene.canvas,
        }
    }
}

/// Something about a clip that is drawn in another way than the app draws it, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SceneNote {
    /// The clip by its short id; empty for the whole document.
    pub clip: Arc<str>,
    /// What it is about, such as a property or the name of an effect.
    pub subject: String,
    /// Whether it is left out, and not only approximate.
    pub is_left_out: bool,
    pub text: String,
}
