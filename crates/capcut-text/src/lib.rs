//! Text in any script on pixels: fonts are found without fontconfig, a text is laid out once and drawn as often as needed.
//!
//! [`Fonts`] knows the font files of a system and chooses one for each grapheme cluster. [`Fonts::lay_out`] makes a
//! [`TextLayout`] of a [`Text`]; [`TextLayout::draw`] draws it on a `tiny-skia` pixmap. Texts and font files are data of
//! strangers: sizes, lengths and counts are limited, and what a font does not have is drawn as a box and reported.

mod clusters;
mod colour;
mod draw;
mod faces;
mod folders;
mod fonts;
mod glyphs;
mod layout;
mod missing;
mod place;
mod shape;
mod text;

pub use folders::{OperatingSystem, font_folders};
pub use fonts::{FontFileError, Fonts};
pub use layout::{Bounds, TextLayout};
pub use missing::MissingScript;
pub use text::{Align, Background, FontChoice, Language, Rgba, Shadow, Stroke, Text, TextPart};
