//! The look of a cue on a canvas: as requested by the call, completed from the file.

use std::collections::HashMap;
use std::sync::Arc;

use super::cue::{Cue, CueFrame, LetterSize, LetterStyle};
use super::markup::EM_OF_HEIGHT;
use super::timing::LinesBelow;
use crate::draft::clip::Clip;
use crate::draft::text::{
    Align, Background, CharacterStyle, Font, Rgb, Shadow, Stroke, TextContent,
};

/// The look that a call gives all its captions, and which parts of it were given explicitly.
pub(crate) struct CallLook<'a> {
    pub look: &'a TextContent,
    /// Width and height in pixels.
    pub canvas: (f64, f64),
    pub gives: Gives,
    /// The fonts of the file that the edition has, by their names in the file.
    pub fonts: HashMap<Arc<str>, Font>,
}

/// What a call sets explicitly for all captions. Styles of the file do not override it; inline markup does.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an argument")]
pub(crate) struct Gives {
    pub font: bool,
    pub bold: bool,
    pub italic: bool,
    pub underline: bool,
    pub color: bool,
    pub alpha: bool,
    pub border: bool,
    pub size: bool,
    pub place: bool,
}

/// The room between captions that are shown at the same time, in lines.
const BETWEEN: f64 = 0.1;
/// The height of a line in ems, as texts without `line_spacing` have it.
const LINE_OF_EM: f64 = 1.22;
/// Pixels of an em of size 1 on a canvas whose shorter side is 1080 pixels.
pub(super) const EM: f64 = 5.0;
/// Wide letters are as wide as high; others have half that width.
const NARROW: f64 = 0.5;

impl CallLook<'_> {
    /// The look of one caption, if it differs from the common look; it is moved for what is below it.
    pub(crate) fn of(&self, cue: &Cue, below: LinesBelow) -> Option<TextContent> {
        if below.lines == 0 && !cue.has_look() {
            return None;
        }
        let whole = self.look.styles.first()?;
        let mut look = self.look.clone();
        let base = self.style(whole, &self.kept(cue.style.clone()));
        look.styles = self.parts(cue, &base);
        if look.karaoke.is_none() {
            look.karaoke = cue.sung;
        }
        look.has_border = look.styles.iter().any(|style| style.stroke.is_some());
        self.frame(&cue.frame, &mut look);
        self.place(cue, &mut look);
        if below.lines > 0 {
            let raised = self.raised(cue, &look, below);
            look.clip.transform_y = rounded(look.clip.transform_y + raised, 1e6);
        }
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
            font: style.font.filter(|_| !gives.font),
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

    fn style(&self, below: &CharacterStyle, letters: &LetterStyle) -> CharacterStyle {
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
            font: letters
                .font
                .as_ref()
                .and_then(|name| self.fonts.get(name))
                .or(below.font.as_ref())
                .cloned(),
            range: below.range,
        }
    }

    /// A size in the unit of requests, to a hundredth.
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
        (size * 100.0).round().clamp(10.0, 100_000.0) / 100.0
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
            add(part.from, part.to, self.style(base, &part.letters));
            done = part.to;
        }
        if done < count || count == 0 {
            add(done, count, base.clone());
        }
        styles
    }

    /// What the file defines for the whole text. What the call sets takes precedence.
    fn frame(&self, frame: &CueFrame, look: &mut TextContent) {
        let (right, down) = (
            frame.shadow.0.unwrap_or_default(),
            frame.shadow.1.unwrap_or_default(),
        );
        if right != 0.0 || down != 0.0 {
            let rgb = frame.shadow_color.unwrap_or(Rgb(0, 0, 0));
            look.shadow = Some(Shadow {
                alpha: frame.shadow_alpha.unwrap_or(1.0),
                angle: rounded((-down).atan2(right).to_degrees(), 1e4),
                color: rgb.hex().into(),
                rgb,
                distance: rounded(right.hypot(down) * 100.0, 1e4).min(100.0),
                smoothing: 0.0,
            });
        }
        if let (Some(own), None) = (frame.background, &look.background) {
            look.background = Some(Background {
                style: 0,
                color: own.color.hex().into(),
                alpha: own.alpha,
                round_radius: 0.0,
                height: own.padding,
                width: own.padding,
                horizontal_offset: 0.0,
                vertical_offset: 0.0,
            });
        }
        look.letter_spacing = frame.letter_spacing.filter(|spacing| *spacing != 0.0);
        let usual = Clip::default();
        if look.clip.scale_x == usual.scale_x && look.clip.scale_y == usual.scale_y {
            look.clip.scale_x = frame.scale.0.unwrap_or(usual.scale_x);
            look.clip.scale_y = frame.scale.1.unwrap_or(usual.scale_y);
            look.clip.uniform = look.clip.scale_x == look.clip.scale_y;
        }
        if look.clip.rotation == usual.rotation {
            look.clip.rotation = frame.rotation.unwrap_or(usual.rotation);
        }
    }

    fn place(&self, cue: &Cue, look: &mut TextContent) {
        let place = &cue.place;
        look.vertical |= place.vertical;
        look.align = place.align.and_then(Align::of);
        if let Some(width) = place.width {
            look.fixed_width = Some((width * self.canvas.0).round() as i64);
        }
        // Whole pixels of the canvas, as scripts have them.
        let margins = place.margins.map(|(left, right, end)| {
            let (width, height) = self.canvas;
            (
                (left * width).round(),
                (right * width).round(),
                (end * height).round(),
            )
        });
        if let Some((left, right, _)) = margins {
            let width = self.canvas.0 - left - right;
            look.fixed_width = (width >= 1.0).then_some(width as i64).or(look.fixed_width);
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
        let to_centre = self.text_box(&cue.text, look).to_centre((x, y));
        let of_margins = margins.map(|(left, right, end)| {
            let (width, height) = (self.canvas.0.max(1.0), self.canvas.1.max(1.0));
            let column = match x {
                -1 => left / width,
                1 => 1.0 - right / width,
                _ => f64::midpoint(1.0, (left - right) / width),
            };
            let row = match y {
                -1 => Some(1.0 - end / height),
                1 => Some(end / height),
                _ => None,
            };
            (Some(column), row)
        });
        let point = match (place.point, of_margins) {
            ((None, None), Some(point)) => point,
            (point, _) => point,
        };
        let usual = &self.look.clip;
        look.clip.transform_x = match point.0 {
            Some(at) => 2.0 * at - 1.0 + to_centre.0,
            None if x == 0 => usual.transform_x,
            None => f64::from(x) * EDGE_X,
        };
        look.clip.transform_y = match point.1 {
            Some(at) => (1.0 - 2.0 * at + to_centre.1).clamp(-1.0, 1.0),
            None => match y {
                0 => 0.0,
                y if f64::from(y) * usual.transform_y >= 0.0 => usual.transform_y,
                _ => -usual.transform_y,
            },
        };
        for side in [&mut look.clip.transform_x, &mut look.clip.transform_y] {
            *side = rounded(*side, 1e6);
        }
    }

    /// How many lines a caption has where it is broken at its width.
    pub(crate) fn lines(&self, cue: &Cue) -> usize {
        let own = self.of(cue, LinesBelow::default());
        self.text_box(&cue.text, own.as_ref().unwrap_or(self.look))
            .lines() as usize
    }

    fn text_box<'b>(&self, text: &'b str, look: &'b TextContent) -> TextBox<'b> {
        TextBox {
            text,
            size: look.styles.first().map_or(0.0, |style| style.size),
            fixed_width: look.fixed_width.map(|width| width as f64),
            clip: &look.clip,
            canvas: self.canvas,
        }
    }

    /// How far a caption is moved towards the middle of the canvas to avoid others at its position.
    fn raised(&self, cue: &Cue, look: &TextContent, below: LinesBelow) -> f64 {
        let own = self.text_box(&cue.text, look);
        let has_edge = cue.place.anchor.is_some_and(|(_, y)| y != 0)
            && (cue.place.point.1.is_some() || cue.place.margins.is_some());
        let lines = if has_edge && !self.gives.place {
            below.lines as f64
        } else {
            // Their middles are at their positions.
            below.lines as f64 + (own.lines() - below.lowest as f64) / 2.0
        };
        let line = own.em() * LINE_OF_EM * look.clip.scale_y;
        // Whole pixels of the canvas, as scripts have them.
        let pixels = ((lines + BETWEEN) * line).ceil();
        let up = if look.clip.transform_y > 0.0 {
            -1.0
        } else {
            1.0
        };
        (2.0 * pixels / self.canvas.1.max(1.0)).min(1.0) * up
    }
}

/// The distance of left and right captions from the middle, as with `position`.
const EDGE_X: f64 = 0.6;

fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

/// The box around a text, estimated without its font.
pub(super) struct TextBox<'a> {
    pub text: &'a str,
    /// In the unit of requests.
    pub size: f64,
    /// The width at which lines are broken, in pixels.
    pub fixed_width: Option<f64>,
    pub clip: &'a Clip,
    /// Width and height in pixels.
    pub canvas: (f64, f64),
}

impl TextBox<'_> {
    /// The pixels of an em.
    fn em(&self) -> f64 {
        self.size * EM * self.canvas.0.min(self.canvas.1).max(1.0) / 1080.0
    }

    /// The width in pixels at which lines are broken.
    fn limit(&self) -> f64 {
        let limit = self.fixed_width.filter(|width| *width > 0.0);
        limit.unwrap_or(self.canvas.0.max(1.0))
    }

    /// The widths of the lines of the text in pixels, before they are broken.
    fn widths(&self) -> impl Iterator<Item = f64> {
        let em = self.em();
        self.text.split('\n').map(move |line| {
            let letters = line
                .chars()
                .map(|c| if c.is_ascii() { NARROW } else { 1.0 });
            letters.sum::<f64>() * em
        })
    }

    /// The number of lines.
    fn lines(&self) -> f64 {
        let limit = self.limit();
        self.widths()
            .map(|width| (width / limit).ceil().clamp(1.0, 1000.0))
            .sum()
    }

    /// The width and height in pixels, before the text is turned.
    fn extent(&self) -> (f64, f64) {
        let limit = self.limit();
        let longest = self
            .widths()
            .fold(0.0_f64, |longest, width| longest.max(width.min(limit)));
        (
            longest * self.clip.scale_x,
            self.lines() * self.em() * LINE_OF_EM * self.clip.scale_y,
        )
    }

    /// The way from the anchor to the centre in half canvases, to the right and upwards.
    pub(super) fn to_centre(&self, (x, y): (i8, i8)) -> (f64, f64) {
        let (width, height) = self.extent();
        let (right, up) = (-f64::from(x) * width / 2.0, -f64::from(y) * height / 2.0);
        let (sin, cos) = self.clip.rotation.to_radians().sin_cos();
        (
            2.0 * (right * cos + up * sin) / self.canvas.0.max(1.0),
            2.0 * (up * cos - right * sin) / self.canvas.1.max(1.0),
        )
    }
}
