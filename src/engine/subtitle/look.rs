//! The look of a cue on a canvas: as requested by the call, completed from the file.

use super::cue::{Cue, LetterSize, LetterStyle};
use crate::draft::clip::Clip;
use crate::draft::text::{Align, CharacterStyle, Rgb, Stroke, TextContent};

/// The look that a call gives all its captions, and which parts of it were given explicitly.
pub(crate) struct CallLook<'a> {
    pub look: &'a TextContent,
    /// Width and height in pixels.
    pub canvas: (f64, f64),
    pub gives: Gives,
}

/// What a call sets explicitly for all captions. Styles of the file do not override it; inline markup does.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an argument")]
pub(crate) struct Gives {
    pub bold: bool,
    pub italic: bool,
    pub underline: bool,
    pub color: bool,
    pub alpha: bool,
    pub border: bool,
    pub size: bool,
    pub place: bool,
}

/// Line height relative to the font size; height of font size 1 relative to the shorter side.
const LINE: f64 = 1.25;
const SIZE: f64 = 0.01;
/// Pixels of an em of size 1 on a canvas whose shorter side is 1080 pixels.
pub(super) const EM: f64 = 5.0;
/// The em of common fonts as a part of the height from their highest to their lowest letters, which ASS calls their size.
pub(super) const EM_OF_HEIGHT: f64 = 0.9;
/// Wide letters are as wide as high; others have half that width.
const NARROW: f64 = 0.5;

impl CallLook<'_> {
    /// The look of one caption, if it differs from the common look. `below` is the number of lines of other
    /// captions that are already shown at its position.
    pub(crate) fn of(&self, cue: &Cue, below: usize) -> Option<TextContent> {
        if below == 0 && !cue.has_look() {
            return None;
        }
        let whole = self.look.styles.first()?;
        let mut look = self.look.clone();
        let base = self.style(whole, self.kept(cue.style));
        look.styles = self.parts(cue, &base);
        if look.karaoke.is_none() {
            look.karaoke = cue.sung;
        }
        look.has_border = look.styles.iter().any(|style| style.stroke.is_some());
        self.place(cue, base.size, &mut look);
        look.clip.transform_y += self.raised(&look.clip, below, base.size);
        let count = cue.text.chars().count() as u32;
        let is_usual = matches!(look.styles.as_slice(), [only] if *only == CharacterStyle { range: (0, count), ..whole.clone() });
        if is_usual {
            look.styles.clone_from(&self.look.styles);
        }
        (look != *self.look).then_some(look)
    }

    /// The file's style without what the call sets.
    fn kept(&self, style: LetterStyle) -> LetterStyle {
        let gives = self.gives;
        LetterStyle {
            bold: style.bold.filter(|_| !gives.bold),
            italic: style.italic.filter(|_| !gives.italic),
            underline: style.underline.filter(|_| !gives.underline),
            color: style.color.filter(|_| !gives.color),
            alpha: style.alpha.filter(|_| !gives.alpha),
            outline: style.outline.filter(|_| !gives.border),
            size: style.size.filter(|_| !gives.size),
            outline_color: style.outline_color.filter(|_| !gives.border),
            outline_alpha: style.outline_alpha.filter(|_| !gives.border),
        }
    }

    fn style(&self, below: &CharacterStyle, letters: LetterStyle) -> CharacterStyle {
        let was = below.stroke;
        let stroke = Stroke {
            alpha: letters
                .outline_alpha
                .or(was.map(|was| was.alpha))
                .unwrap_or(1.0),
            color: letters
                .outline_color
                .or(was.map(|was| was.color))
                .unwrap_or(Rgb(0, 0, 0)),
            width: letters.outline.or(was.map(|was| was.width)).unwrap_or(0.0),
        };
        CharacterStyle {
            bold: letters.bold.unwrap_or(below.bold),
            italic: letters.italic.unwrap_or(below.italic),
            underline: letters.underline.unwrap_or(below.underline),
            color: letters.color.unwrap_or(below.color),
            alpha: letters.alpha.unwrap_or(below.alpha),
            size: letters
                .size
                .map_or(below.size, |size| self.size(size, below.size)),
            stroke: (stroke.width > 0.0).then_some(stroke),
            ..below.clone()
        }
    }

    /// A size in the unit of requests, to a tenth.
    fn size(&self, size: LetterSize, usual: f64) -> f64 {
        let size = match size {
            LetterSize::Times(times) => usual * times,
            // Players scale scripts to the height of the picture; a wide script must fit on a high canvas, too.
            LetterSize::OfScript { size, canvas } => {
                let scale = (self.canvas.0 / canvas.0).min(self.canvas.1 / canvas.1);
                let unit = EM * self.canvas.0.min(self.canvas.1).max(1.0) / 1080.0;
                size * scale * EM_OF_HEIGHT / unit
            }
        };
        (size * 10.0).round().clamp(1.0, 10_000.0) / 10.0
    }

    /// The styles of the parts and of the text between them.
    fn parts(&self, cue: &Cue, base: &CharacterStyle) -> Vec<CharacterStyle> {
        let count = cue.text.chars().count() as u32;
        let mut styles: Vec<CharacterStyle> = Vec::new();
        let mut add = |from: u32, to: u32, style: CharacterStyle| match styles.last_mut() {
            Some(last)
                if CharacterStyle {
                    range: last.range,
                    ..style.clone()
                } == *last =>
            {
                last.range.1 = to
            }
            _ => styles.push(CharacterStyle {
                range: (from, to),
                ..style
            }),
        };
        let mut done = 0;
        for part in &cue.parts {
            if part.from > done {
                add(done, part.from, base.clone());
            }
            add(part.from, part.to, self.style(base, part.letters));
            done = part.to;
        }
        if done < count || count == 0 {
            add(done, count, base.clone());
        }
        styles
    }

    fn place(&self, cue: &Cue, size: f64, look: &mut TextContent) {
        let place = &cue.place;
        look.vertical |= place.vertical;
        look.align = place.align.and_then(Align::of);
        if let Some(width) = place.width {
            look.fixed_width = Some((width * self.canvas.0).round() as i64);
        }
        let Some((x, y)) = place.anchor.or_else(|| {
            let has_point = place.point.0.is_some() || place.point.1.is_some();
            has_point.then_some((0, -1))
        }) else {
            return;
        };
        if self.gives.place {
            return;
        }
        let (width, height) = self.extent(cue, size, &look.clip);
        let usual = &self.look.clip;
        look.clip.transform_x = match place.point.0 {
            Some(at) => 2.0 * at - 1.0 - f64::from(x) * width / 2.0,
            None if x == 0 => usual.transform_x,
            None => f64::from(x) * EDGE_X,
        };
        look.clip.transform_y = match place.point.1 {
            Some(at) => (1.0 - 2.0 * at - f64::from(y) * height / 2.0).clamp(-1.0, 1.0),
            None => match y {
                0 => 0.0,
                y if f64::from(y) * usual.transform_y >= 0.0 => usual.transform_y,
                _ => -usual.transform_y,
            },
        };
        for side in [&mut look.clip.transform_x, &mut look.clip.transform_y] {
            *side = (*side * 1e6).round() / 1e6;
        }
    }

    /// The approximate width and height of a caption, in half canvases.
    fn extent(&self, cue: &Cue, size: f64, clip: &Clip) -> (f64, f64) {
        let (width, height) = (self.canvas.0.max(1.0), self.canvas.1.max(1.0));
        let letter = size * SIZE * width.min(height);
        let longest = cue.text.split('\n').map(|line| {
            line.chars()
                .map(|c| if c.is_ascii() { NARROW } else { 1.0 })
                .sum::<f64>()
        });
        let longest = longest.fold(0.0, f64::max);
        let lines = cue.lines() as f64;
        (
            (2.0 * longest * letter * clip.scale_x / width).min(2.0),
            (2.0 * lines * letter * LINE * clip.scale_y / height).min(2.0),
        )
    }

    /// How far a caption is moved towards the middle of the canvas to avoid others at its position.
    fn raised(&self, clip: &Clip, below: usize, size: f64) -> f64 {
        let (width, height) = (self.canvas.0.max(1.0), self.canvas.1.max(1.0));
        let line = 2.0 * size * SIZE * width.min(height) * LINE * clip.scale_y / height;
        let up = if clip.transform_y > 0.0 { -1.0 } else { 1.0 };
        ((below as f64 * line).min(1.0) * up * 1e6).round() / 1e6
    }
}

/// The distance of left and right captions from the middle, as with `position`.
const EDGE_X: f64 = 0.6;
