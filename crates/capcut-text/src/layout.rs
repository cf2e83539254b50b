//! A text whose glyphs have their places.

use std::ops::Range;
use std::sync::Arc;

use tiny_skia::{Path, Rect, Transform};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::clusters::is_line_end;
use crate::glyphs::GlyphPicture;
use crate::missing::MissingScript;
use crate::text::{Rgba, Text};

/// A rectangle in pixels of the layout, whose origin is the top left corner of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

impl Bounds {
    pub(crate) fn of(rect: Rect) -> Self {
        Self {
            left: rect.left(),
            top: rect.top(),
            right: rect.right(),
            bottom: rect.bottom(),
        }
    }

    pub(crate) fn grown(self, x: f32, y: f32) -> Self {
        Self {
            left: self.left - x,
            top: self.top - y,
            right: self.right + x,
            bottom: self.bottom + y,
        }
    }

    pub(crate) fn moved(self, (x, y): (f32, f32)) -> Self {
        Self {
            left: self.left + x,
            top: self.top + y,
            right: self.right + x,
            bottom: self.bottom + y,
        }
    }

    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// A text whose glyphs have their places.
#[derive(Clone, Debug)]
pub struct TextLayout {
    pub(crate) text: Arc<Text>,
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) baseline: f32,
    pub(crate) clusters: usize,
    pub(crate) lines: usize,
    pub(crate) glyphs: Vec<PlacedGlyph>,
    pub(crate) underlines: Vec<Underline>,
    pub(crate) missing: Vec<MissingScript>,
    pub(crate) replaced: Vec<String>,
    pub(crate) is_cut: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct PlacedGlyph {
    /// The cluster that it belongs to, from 0.
    pub cluster: usize,
    /// The part whose style it has.
    pub part: usize,
    pub shape: PlacedShape,
}

#[derive(Clone, Debug)]
pub(crate) enum PlacedShape {
    /// In pixels of the layout; `grown` is how far a synthetic bold reaches beyond it.
    Outline { path: Path, grown: f32 },
    Picture {
        picture: Arc<GlyphPicture>,
        /// From pixels of the picture to those of the layout.
        transform: Transform,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Underline {
    pub cluster: usize,
    pub part: usize,
    pub bounds: Bounds,
}

impl TextLayout {
    /// The text, with its values within their limits.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// The width of the widest line in pixels, without strokes, shadow and background.
    pub fn width(&self) -> f32 {
        self.width
    }

    /// The height of all lines in pixels, without strokes, shadow and background.
    pub fn height(&self) -> f32 {
        self.height
    }

    /// The distance from the top to the baseline of the first line in pixels; 0 for vertical text.
    pub fn baseline(&self) -> f32 {
        self.baseline
    }

    /// The number of grapheme clusters without the ends of lines: what people count as characters.
    pub fn clusters(&self) -> usize {
        self.clusters
    }

    /// The clusters that have a part in a range of characters of the text.
    pub fn clusters_of(&self, characters: Range<usize>) -> Range<usize> {
        let words: String = self
            .text
            .parts
            .iter()
            .map(|part| part.text.as_str())
            .collect();
        let (mut at, mut number) = (0, 0);
        let mut found: Option<Range<usize>> = None;
        for cluster in words.graphemes(true) {
            let start = at;
            at += cluster.chars().count();
            if is_line_end(cluster) {
                continue;
            }
            if start < characters.end && at > characters.start {
                let first = found.map_or(number, |found| found.start);
                found = Some(first..number + 1);
            }
            number += 1;
        }
        let found = found.unwrap_or_default();
        found.start.min(self.clusters)..found.end.min(self.clusters)
    }

    /// The same layout with another colour of the letters of some clusters; their opacity stays.
    #[must_use]
    pub fn filled(&self, clusters: &Range<usize>, color: Rgba) -> Self {
        let mut own = self.clone();
        let known = self.text.parts.len();
        let mut text = (*self.text).clone();
        text.parts.extend(self.text.parts.iter().map(|part| {
            let mut part = part.clone();
            part.text = String::new();
            part.fill = Rgba {
                alpha: part.fill.alpha,
                ..color
            };
            part
        }));
        own.text = Arc::new(text);
        for glyph in &mut own.glyphs {
            if clusters.contains(&glyph.cluster) {
                glyph.part += known;
            }
        }
        for line in &mut own.underlines {
            if clusters.contains(&line.cluster) {
                line.part += known;
            }
        }
        // Drawing expects them by part.
        own.glyphs.sort_by_key(|glyph| glyph.part);
        own.underlines.sort_by_key(|line| line.part);
        own
    }

    /// The number of lines, or of columns of vertical text.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The scripts that no font has, with samples and a package.
    pub fn missing(&self) -> &[MissingScript] {
        &self.missing
    }

    /// The fonts that parts name and that are not there; each was replaced by a font of the system.
    pub fn replaced_fonts(&self) -> &[String] {
        &self.replaced
    }

    /// Whether the end of the text was left out because it has more than 10,000 characters.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What is painted at most: letters with strokes, shadow and background.
    pub fn painted(&self) -> Bounds {
        let mut letters = Bounds {
            left: 0.0,
            top: 0.0,
            right: self.width,
            bottom: self.height,
        };
        for glyph in &self.glyphs {
            let stroke = self.text.parts[glyph.part].stroke;
            let stroke = stroke.map_or(0.0, |stroke| stroke.width);
            letters = letters.with(glyph.shape.bounds().grown(stroke, stroke));
        }
        let mut all = letters;
        if let Some(shadow) = &self.text.shadow {
            let blur = shadow.blur * 3.0;
            all = all.with(letters.moved(shadow.offset).grown(blur, blur));
        }
        if let Some(background) = self.background() {
            all = all.with(background);
        }
        all
    }

    /// The box behind the text.
    pub(crate) fn background(&self) -> Option<Bounds> {
        let background = self.text.background?;
        let bounds = Bounds {
            left: 0.0,
            top: 0.0,
            right: self.width,
            bottom: self.height,
        };
        let bounds = bounds
            .grown(background.padding.0, background.padding.1)
            .moved(background.offset);
        (bounds.right > bounds.left && bounds.bottom > bounds.top).then_some(bounds)
    }
}

impl PlacedShape {
    pub(crate) fn bounds(&self) -> Bounds {
        match self {
            Self::Outline { path, grown } => Bounds::of(path.bounds()).grown(*grown, *grown),
            Self::Picture { picture, transform } => {
                let Some(first) = picture.levels.first() else {
                    return Bounds::default();
                };
                let size = (first.width() as f32, first.height() as f32);
                Rect::from_xywh(0.0, 0.0, size.0, size.1)
                    .and_then(|rect| rect.transform(*transform))
                    .map(Bounds::of)
                    .unwrap_or_default()
            }
        }
    }

    /// Moves it; `false` if it is then nowhere.
    pub(crate) fn shift(&mut self, x: f32, y: f32) -> bool {
        match self {
            Self::Outline { path, .. } => {
                let moved = path.clone().transform(Transform::from_translate(x, y));
                moved.map(|moved| *path = moved).is_some()
            }
            Self::Picture { transform, .. } => {
                *transform = transform.post_translate(x, y);
                true
            }
        }
    }
}
