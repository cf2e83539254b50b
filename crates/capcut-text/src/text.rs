//! A text with its styles, as it is given. All lengths are pixels, except where an em is named.

use std::path::PathBuf;

/// The longest text in characters; the rest is left out and [`crate::TextLayout::is_cut`] says so.
pub(crate) const MOST_CHARACTERS: usize = 10_000;
/// Sizes in pixels are clamped to this range.
const SIZES: (f32, f32) = (0.1, 4096.0);
/// Widths of strokes, offsets and blurs in pixels are at most this long.
const LONGEST: f32 = 4096.0;

/// A colour that is not premultiplied; 255 is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rgba {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
    pub alpha: u8,
}

impl Rgba {
    pub const BLACK: Self = Self::opaque(0, 0, 0);
    pub const WHITE: Self = Self::opaque(255, 255, 255);

    pub const fn opaque(red: u8, green: u8, blue: u8) -> Self {
        Self::new(red, green, blue, 255)
    }

    pub const fn new(red: u8, green: u8, blue: u8, alpha: u8) -> Self {
        Self {
            red,
            green,
            blue,
            alpha,
        }
    }
}

/// How the lines of a text are placed between its left and right edge; the columns of vertical text, between top and bottom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    #[default]
    Left,
    Center,
    Right,
}

/// Whose forms of Han characters are preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    #[default]
    SimplifiedChinese,
    TraditionalChinese,
    Japanese,
    Korean,
}

/// The font of a part. A font that is not there is replaced by one of the system's, and
/// [`crate::TextLayout::replaced_fonts`] names it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FontChoice {
    /// A file that was added with [`crate::Fonts::with_file`].
    pub file: Option<PathBuf>,
    /// A family, full or PostScript name; capitals, spaces and hyphens do not matter.
    pub family: Option<String>,
    /// Synthesised where the family has no such face.
    pub bold: bool,
    /// Synthesised where the family has no such face.
    pub italic: bool,
}

/// An outline around the letters, outside of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// How far it reaches from the letters, in pixels.
    pub width: f32,
    pub colour: Rgba,
}

/// A shadow of letters and strokes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shadow {
    /// In pixels, to the right and down.
    pub offset: (f32, f32),
    /// The standard deviation of the blur in pixels.
    pub blur: f32,
    pub colour: Rgba,
}

/// A box behind the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Background {
    pub colour: Rgba,
    /// The radius of the corners in pixels; at most half of the shorter side is used.
    pub radius: f32,
    /// How far it reaches beyond the text, horizontally and vertically, in pixels; negative values shrink it.
    pub padding: (f32, f32),
    /// By how much it is moved, to the right and down, in pixels.
    pub offset: (f32, f32),
}

/// A part of a text with one style.
#[derive(Clone, Debug, PartialEq)]
pub struct TextPart {
    pub text: String,
    pub font: FontChoice,
    /// The size of an em in pixels, 0.1 to 4096.
    pub size: f32,
    pub fill: Rgba,
    pub stroke: Option<Stroke>,
    /// Added after each letter, in pixels.
    pub letter_spacing: f32,
    pub underline: bool,
}

impl TextPart {
    /// White letters of the default font.
    pub fn new(text: impl Into<String>, size: f32) -> Self {
        Self {
            text: text.into(),
            font: FontChoice::default(),
            size,
            fill: Rgba::WHITE,
            stroke: None,
            letter_spacing: 0.0,
            underline: false,
        }
    }
}

/// A text of one or more parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// They follow each other without a break; `\n` starts a line (or a column).
    pub parts: Vec<TextPart>,
    pub align: Align,
    /// Upright letters from top to bottom, in columns from right to left.
    pub vertical: bool,
    /// Lines are wrapped at this width in pixels, columns at this height. `None`: they are not wrapped.
    pub max_width: Option<f32>,
    /// The distance of lines as a multiple of their largest em, 0.1 to 20.
    pub line_height: f32,
    /// Whose forms Han characters have; `None`: by Kana and Hangul in the text, else Simplified Chinese.
    pub language: Option<Language>,
    pub shadow: Option<Shadow>,
    pub background: Option<Background>,
}

impl Text {
    pub fn new(parts: Vec<TextPart>) -> Self {
        Self {
            parts,
            align: Align::default(),
            vertical: false,
            max_width: None,
            line_height: 1.2,
            language: None,
            shadow: None,
            background: None,
        }
    }

    /// The text with all values within their limits. Values that are not numbers become the nearest harmless ones.
    pub(crate) fn limited(&self) -> Self {
        let mut text = self.clone();
        for part in &mut text.parts {
            part.size = limited(part.size, SIZES.0, SIZES.0, SIZES.1);
            // Negative spacing beyond an em would place letters in reverse.
            part.letter_spacing = limited(part.letter_spacing, 0.0, -part.size, LONGEST);
            part.stroke = part.stroke.map(|stroke| Stroke {
                width: limited(stroke.width, 0.0, 0.0, LONGEST),
                ..stroke
            });
            part.stroke = part.stroke.filter(|stroke| stroke.width > 0.0);
        }
        text.max_width = text.max_width.filter(|width| *width > 0.0);
        text.line_height = limited(text.line_height, 1.2, 0.1, 20.0);
        text.shadow = text.shadow.map(|shadow| Shadow {
            offset: limited_pair(shadow.offset),
            blur: limited(shadow.blur, 0.0, 0.0, 512.0),
            ..shadow
        });
        text.background = text.background.map(|background| Background {
            radius: limited(background.radius, 0.0, 0.0, LONGEST),
            padding: limited_pair(background.padding),
            offset: limited_pair(background.offset),
            ..background
        });
        text
    }
}

fn limited(value: f32, otherwise: f32, least: f32, most: f32) -> f32 {
    if value.is_nan() {
        otherwise
    } else {
        value.clamp(least, most)
    }
}

fn limited_pair((x, y): (f32, f32)) -> (f32, f32) {
    let limited = |value| limited(value, 0.0, -LONGEST, LONGEST);
    (limited(x), limited(y))
}
