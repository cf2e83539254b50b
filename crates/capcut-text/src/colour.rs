//! Glyphs whose font describes them as coloured shapes (`COLR`, versions 0 and 1), as Windows' emoji are, become pictures.

use skrifa::color::{Brush, ColorGlyph, ColorPainter, ColorStop, CompositeMode, Extend};
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::DrawSettings;
use skrifa::raw::TableProvider;
use skrifa::raw::types::{BoundingBox, GlyphId};
use skrifa::{FontRef, MetadataProvider};
use tiny_skia::{
    BlendMode, Color, FillRule, GradientStop, IntRect, LinearGradient, Mask, Paint, Path,
    PathBuilder, Pixmap, PixmapPaint, Point, RadialGradient, Rect, Shader, SpreadMode,
    SweepGradient, Transform,
};

use crate::glyphs::{GlyphPicture, Pen};
use crate::text::Rgba;

/// Pixels of an em. Larger letters are enlarged, smaller ones made smaller.
const PIXELS: f32 = 160.0;
/// What is painted around the origin of the glyph, in ems: to the left, up, to the right, down.
const AROUND: (f32, f32, f32, f32) = (0.25, 1.25, 1.75, 0.5);
/// The palette entry that stands for the colour of the text.
const FOREGROUND: u16 = 0xFFFF;
/// Layers that are open at once; a glyph with more is not complete.
const MOST_LAYERS: usize = 16;

/// Paints the glyph. `None` if nothing is seen.
pub(crate) fn picture(
    font: &FontRef,
    glyph: &ColorGlyph,
    foreground: Rgba,
) -> Option<GlyphPicture> {
    let (left, up, right, down) = AROUND;
    let width = ((left + right) * PIXELS) as u32;
    let height = ((up + down) * PIXELS) as u32;
    let scale = PIXELS / f32::from(font.head().ok()?.units_per_em().max(1));
    // Fonts count upwards, pictures downwards.
    let base = Transform::from_row(scale, 0.0, 0.0, -scale, left * PIXELS, up * PIXELS);
    let palettes = font.color_palettes();
    let palette = palettes.get(0);
    let mut painter = Painter {
        font,
        palette: palette.as_ref().map_or(&[], |palette| palette.colors()),
        foreground,
        transforms: vec![base],
        clips: Vec::new(),
        layers: vec![Pixmap::new(width, height)?],
        skipped: 0,
    };
    glyph.paint(LocationRef::default(), &mut painter).ok()?;
    let (cropped, x, y) = cropped(painter.layers.first()?)?;
    let per = 1.0 / PIXELS;
    let placement = Transform::from_row(per, 0.0, 0.0, per, x * per - left, y * per - up);
    Some(GlyphPicture::new(cropped, placement))
}

/// The part of the picture that is not transparent, and its place.
fn cropped(picture: &Pixmap) -> Option<(Pixmap, f32, f32)> {
    let (width, height) = (picture.width(), picture.height());
    let (mut left, mut top, mut right, mut bottom) = (width, height, 0, 0);
    for (index, pixel) in picture.pixels().iter().enumerate() {
        if pixel.alpha() > 0 {
            let (x, y) = (index as u32 % width, index as u32 / width);
            (left, top) = (left.min(x), top.min(y));
            (right, bottom) = (right.max(x + 1), bottom.max(y + 1));
        }
    }
    let [x, y, width, height] = [
        left,
        top,
        right.checked_sub(left)?,
        bottom.checked_sub(top)?,
    ];
    let rect = IntRect::from_xywh(x.cast_signed(), y.cast_signed(), width, height)?;
    Some((picture.as_ref().clone_rect(rect)?, left as f32, top as f32))
}

struct Painter<'a> {
    font: &'a FontRef<'a>,
    palette: &'a [skrifa::color::Color],
    foreground: Rgba,
    /// From the current units to pixels; the last is in force.
    transforms: Vec<Transform>,
    /// What may be painted; the last is in force.
    clips: Vec<Mask>,
    /// The first is the picture.
    layers: Vec<Pixmap>,
    /// Layers that were not opened because there are too many.
    skipped: usize,
}

impl Painter<'_> {
    fn transform(&self) -> Transform {
        self.transforms.last().copied().unwrap_or_default()
    }

    fn outline(&self, glyph: GlyphId) -> Option<Path> {
        let outline = self.font.outline_glyphs().get(glyph)?;
        let mut pen = Pen::upwards();
        let settings = DrawSettings::unhinted(Size::unscaled(), LocationRef::default());
        outline.draw(settings, &mut pen).ok()?;
        pen.path()
    }

    fn clip(&mut self, path: Option<&Path>) {
        let (width, height) = (self.layers[0].width(), self.layers[0].height());
        let Some(mut mask) = Mask::new(width, height) else {
            return;
        };
        let transform = self.transform();
        if let Some(path) = path {
            match self.clips.last() {
                Some(outer) => {
                    mask = outer.clone();
                    mask.intersect_path(path, FillRule::Winding, true, transform);
                }
                None => mask.fill_path(path, FillRule::Winding, true, transform),
            }
        }
        self.clips.push(mask);
    }

    fn colour(&self, index: u16, alpha: f32) -> Color {
        let colour = match self.palette.get(usize::from(index)) {
            _ if index == FOREGROUND => Color::from_rgba8(
                self.foreground.red,
                self.foreground.green,
                self.foreground.blue,
                255,
            ),
            Some(colour) => Color::from_rgba8(colour.red, colour.green, colour.blue, colour.alpha),
            None => Color::TRANSPARENT,
        };
        let mut colour = colour;
        colour.apply_opacity(if alpha.is_nan() {
            1.0
        } else {
            alpha.clamp(0.0, 1.0)
        });
        colour
    }

    fn stops(&self, stops: &[ColorStop]) -> Vec<GradientStop> {
        stops
            .iter()
            .map(|stop| {
                let colour = self.colour(stop.palette_index, stop.alpha);
                GradientStop::new(stop.offset, colour)
            })
            .collect()
    }

    /// The paint of a brush whose units are mapped by `transform`.
    fn paint(&self, brush: &Brush, transform: Transform) -> Paint<'static> {
        let point = |point: skrifa::raw::types::Point<f32>| Point::from_xy(point.x, point.y);
        let shader = match brush {
            Brush::Solid {
                palette_index,
                alpha,
            } => Some(Shader::SolidColor(self.colour(*palette_index, *alpha))),
            Brush::LinearGradient {
                p0,
                p1,
                color_stops,
                extend,
            } => LinearGradient::new(
                point(*p0),
                point(*p1),
                self.stops(color_stops),
                spread(*extend),
                transform,
            ),
            Brush::RadialGradient {
                c0,
                r0,
                c1,
                r1,
                color_stops,
                extend,
            } => RadialGradient::new(
                point(*c0),
                r0.max(0.0),
                point(*c1),
                r1.max(0.0),
                self.stops(color_stops),
                spread(*extend),
                transform,
            ),
            Brush::SweepGradient {
                c0,
                start_angle,
                end_angle,
                color_stops,
                extend,
            } => SweepGradient::new(
                // Angles are clockwise, in units that count upwards.
                Point::from_xy(c0.x, -c0.y),
                *start_angle,
                *end_angle,
                self.stops(color_stops),
                spread(*extend),
                transform.pre_scale(1.0, -1.0),
            ),
        };
        let first = || match brush {
            Brush::Solid { .. } => Color::TRANSPARENT,
            Brush::LinearGradient { color_stops, .. }
            | Brush::RadialGradient { color_stops, .. }
            | Brush::SweepGradient { color_stops, .. } => {
                color_stops.first().map_or(Color::TRANSPARENT, |stop| {
                    self.colour(stop.palette_index, stop.alpha)
                })
            }
        };
        Paint {
            // A gradient without an extent has one colour.
            shader: shader.unwrap_or_else(|| Shader::SolidColor(first())),
            anti_alias: true,
            ..Paint::default()
        }
    }
}

impl ColorPainter for Painter<'_> {
    fn push_transform(&mut self, transform: skrifa::color::Transform) {
        let inner = matrix(transform);
        self.transforms.push(self.transform().pre_concat(inner));
    }

    fn pop_transform(&mut self) {
        self.transforms.pop();
    }

    fn push_clip_glyph(&mut self, glyph: GlyphId) {
        let path = self.outline(glyph);
        self.clip(path.as_ref());
    }

    fn push_clip_box(&mut self, clip: BoundingBox<f32>) {
        let rect = Rect::from_ltrb(clip.x_min, clip.y_min, clip.x_max, clip.y_max);
        self.clip(rect.map(PathBuilder::from_rect).as_ref());
    }

    fn pop_clip(&mut self) {
        self.clips.pop();
    }

    fn fill(&mut self, brush: Brush<'_>) {
        let paint = self.paint(&brush, self.transform());
        if let Some(layer) = self.layers.last_mut()
            && let Some(all) =
                Rect::from_xywh(0.0, 0.0, layer.width() as f32, layer.height() as f32)
        {
            layer.fill_rect(all, &paint, Transform::identity(), self.clips.last());
        }
    }

    fn fill_glyph(
        &mut self,
        glyph: GlyphId,
        brush_transform: Option<skrifa::color::Transform>,
        brush: Brush<'_>,
    ) {
        let inner = brush_transform.map(matrix).unwrap_or_default();
        let transform = self.transform();
        let paint = self.paint(&brush, inner);
        if let Some(path) = self.outline(glyph)
            && let Some(layer) = self.layers.last_mut()
        {
            let clip = self.clips.last();
            layer.fill_path(&path, &paint, FillRule::Winding, transform, clip);
        }
    }

    fn push_layer(&mut self, _: CompositeMode) {
        let (width, height) = (self.layers[0].width(), self.layers[0].height());
        match Pixmap::new(width, height) {
            Some(layer) if self.layers.len() < MOST_LAYERS => self.layers.push(layer),
            _ => self.skipped += 1,
        }
    }

    fn pop_layer_with_mode(&mut self, mode: CompositeMode) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        if self.layers.len() < 2 {
            return;
        }
        let Some(top) = self.layers.pop() else {
            return;
        };
        let paint = PixmapPaint {
            blend_mode: blend(mode),
            ..PixmapPaint::default()
        };
        if let Some(below) = self.layers.last_mut() {
            let clip = self.clips.last();
            below.draw_pixmap(0, 0, top.as_ref(), &paint, Transform::identity(), clip);
        }
    }
}

fn matrix(matrix: skrifa::color::Transform) -> Transform {
    Transform::from_row(
        matrix.xx, matrix.yx, matrix.xy, matrix.yy, matrix.dx, matrix.dy,
    )
}

fn spread(extend: Extend) -> SpreadMode {
    match extend {
        Extend::Repeat => SpreadMode::Repeat,
        Extend::Reflect => SpreadMode::Reflect,
        _ => SpreadMode::Pad,
    }
}

fn blend(mode: CompositeMode) -> BlendMode {
    match mode {
        CompositeMode::Clear => BlendMode::Clear,
        CompositeMode::Src => BlendMode::Source,
        CompositeMode::Dest => BlendMode::Destination,
        CompositeMode::DestOver => BlendMode::DestinationOver,
        CompositeMode::SrcIn => BlendMode::SourceIn,
        CompositeMode::DestIn => BlendMode::DestinationIn,
        CompositeMode::SrcOut => BlendMode::SourceOut,
        CompositeMode::DestOut => BlendMode::DestinationOut,
        CompositeMode::SrcAtop => BlendMode::SourceAtop,
        CompositeMode::DestAtop => BlendMode::DestinationAtop,
        CompositeMode::Xor => BlendMode::Xor,
        CompositeMode::Plus => BlendMode::Plus,
        CompositeMode::Screen => BlendMode::Screen,
        CompositeMode::Overlay => BlendMode::Overlay,
        CompositeMode::Darken => BlendMode::Darken,
        CompositeMode::Lighten => BlendMode::Lighten,
        CompositeMode::ColorDodge => BlendMode::ColorDodge,
        CompositeMode::ColorBurn => BlendMode::ColorBurn,
        CompositeMode::HardLight => BlendMode::HardLight,
        CompositeMode::SoftLight => BlendMode::SoftLight,
        CompositeMode::Difference => BlendMode::Difference,
        CompositeMode::Exclusion => BlendMode::Exclusion,
        CompositeMode::Multiply => BlendMode::Multiply,
        CompositeMode::HslHue => BlendMode::Hue,
        CompositeMode::HslSaturation => BlendMode::Saturation,
        CompositeMode::HslColor => BlendMode::Color,
        CompositeMode::HslLuminosity => BlendMode::Luminosity,
        _ => BlendMode::SourceOver,
    }
}
