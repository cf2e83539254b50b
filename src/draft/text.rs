//! Texts: the words, and the style of each part.

use std::ops::Not;

use serde::{Deserialize, Serialize};

use crate::draft::clip::Clip;
use crate::draft::ids::{Id, Ids};
use crate::draft::material::{Animations, TextEffect};
use crate::units::Micros;

/// A text on the canvas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TextContent {
    #[serde(skip)]
    pub id: Id,
    pub text: Box<str>,
    /// Contiguous, in text order.
    pub styles: Vec<CharacterStyle>,
    /// Fonts of the parts with their own style. If there is any such part, `styles` has no shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_fonts: Option<Vec<Font>>,
    #[serde(default, skip_serializing_if = "Not::not")]
    pub vertical: bool,
    /// Width of the text box in pixels, if it is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_width: Option<i64>,
    /// Height of the text box in pixels, if it is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_height: Option<i64>,
    /// Alignment of the lines. Default: centred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub align: Option<Align>,
    /// Additional space between letters, in ems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter_spacing: Option<f64>,
    /// The text as a whole has an outline.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub has_border: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bubble: Option<TextEffect>,
    /// Lettering from the app's library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TextEffect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub animations: Option<Animations>,
    /// When its words are spoken, in order. Words whose text has blanks or punctuation between them may leave gaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<SpokenWord>,
    /// How its words are emphasised while they are spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub karaoke: Option<Karaoke>,
    #[serde(default, skip_serializing_if = "Clip::is_plain")]
    pub clip: Clip,
}

impl TextContent {
    pub(crate) fn assign(&mut self, ids: &mut Ids) {
        self.id = ids.next_id();
        for effect in [&mut self.bubble, &mut self.effect].into_iter().flatten() {
            effect.id = ids.next_id();
        }
        if let Some(animations) = &mut self.animations {
            animations.id = ids.next_id();
        }
    }
}

/// Characters `from` to `to` (exclusive) of a text, and when they are spoken, counted from the start of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SpokenWord {
    pub from: u32,
    pub to: u32,
    pub start: Micros,
    pub end: Micros,
}

/// How words are emphasised while they are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Karaoke {
    pub color: Rgb,
    pub mode: KaraokeMode,
}

/// Which words of a caption have the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KaraokeMode {
    /// All words up to the one that is spoken.
    Words,
    /// Only the word that is spoken.
    Word,
    /// All lines up to the one that is spoken.
    Lines,
    /// All words up to the one that is spoken, which is filled from its start to its end.
    Fill,
    /// All words up to the one that is spoken, whose outline appears with the colour.
    Outline,
}

/// The app's effect that follows the words of a caption.
pub(crate) const CAPTION_EFFECT: &str = "7361356220424262161";

impl KaraokeMode {
    pub(crate) const ALL: [Self; 5] = [
        Self::Words,
        Self::Word,
        Self::Lines,
        Self::Fill,
        Self::Outline,
    ];

    /// The name of its caption animation in documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Words => "Karaoke",
            Self::Word => "Highlight",
            Self::Lines => "Karaoke by line",
            Self::Fill => "Karaoke fill",
            Self::Outline => "Karaoke outline",
        }
    }
}

/// Alignment of lines; centred text has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Align {
    Left,
    Right,
}

impl Align {
    /// `-1`: left, `1`: right, others: centred.
    pub(crate) fn of(side: i8) -> Option<Self> {
        match side {
            -1 => Some(Self::Left),
            1 => Some(Self::Right),
            _ => None,
        }
    }
}

/// The style of a part of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CharacterStyle {
    /// First character and end (exclusive), in Unicode code points.
    pub range: (u32, u32),
    pub size: f64,
    /// The text colour.
    pub color: Rgb,
    pub alpha: f64,
    #[serde(default, skip_serializing_if = "Not::not")]
    pub bold: bool,
    #[serde(default, skip_serializing_if = "Not::not")]
    pub italic: bool,
    #[serde(default, skip_serializing_if = "Not::not")]
    pub underline: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stroke: Option<Stroke>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub font: Option<Font>,
}

/// Red, green and blue, from 0 to 255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// Each from 0 to 1, as in documents.
    pub(crate) fn parts(self) -> [f64; 3] {
        [self.0, self.1, self.2].map(|part| f64::from(part) / 255.0)
    }

    /// `#RRGGBB`.
    pub(crate) fn hex(self) -> String {
        format!("#{:02X}{:02X}{:02X}", self.0, self.1, self.2)
    }
}

/// The outline of letters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stroke {
    pub alpha: f64,
    pub color: Rgb,
    /// In the unit of requests: from 0 to 100.
    pub width: f64,
}

/// A font of the app's library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Font {
    /// The display name.
    pub name: Box<str>,
    pub resource_id: Box<str>,
}

/// A box behind the text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Background {
    /// The value in the document: 0 or 2.
    pub style: u8,
    pub color: Box<str>,
    pub alpha: f64,
    pub round_radius: f64,
    pub height: f64,
    pub width: f64,
    /// From -1 to 1.
    pub horizontal_offset: f64,
    /// From -1 to 1.
    pub vertical_offset: f64,
}

/// A shadow of the text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shadow {
    pub alpha: f64,
    /// Degrees.
    pub angle: f64,
    /// As given in the request.
    pub color: Box<str>,
    pub rgb: Rgb,
    pub distance: f64,
    /// In the unit of requests: from 0 to 1.
    pub smoothing: f64,
}
