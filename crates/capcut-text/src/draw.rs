//! Placed glyphs become pixels: background, shadow, strokes, letters.

use std::ops::Range;

use tiny_skia::{
    BlendMode, Color, ColorU8, FillRule, FilterQuality, LineJoin, Paint, Path, PathBuilder, Pixmap,
    PixmapMut, PixmapPaint, Rect, Stroke as Pen, Transform,
};

use crate::layout::{Bounds, PlacedShape, TextLayout};
use crate::text::{Background, Rgba, Shadow};

/// Blurs of more pixels look the same and take long.
const WIDEST_BLUR: f32 = 100.0;

/// Letters that are larger on the target, in pixels, are not drawn: the rasteriser computes with 16 bits.
const LARGEST_LETTER: f32 = 16_000.0;

/// What is drawn of a layout, and where.
#[derive(Clone)]
struct View<'a> {
    /// From pixels of the layout to those of the target.
    transform: Transform,
    shown: &'a Range<usize>,
    /// Of the target, in pixels.
    size: (f32, f32),
}

impl View<'_> {
    /// Whether something within these bounds, with `around` pixels on each side, touches the target.
    fn sees(&self, bounds: Bounds, around: f32) -> bool {
        let bounds = bounds.grown(around, around);
        let rect = Rect::from_ltrb(bounds.left, bounds.top, bounds.right, bounds.bottom);
        let Some(rect) = rect.and_then(|rect| rect.transform(self.transform)) else {
            return false;
        };
        let (width, height) = self.size;
        rect.width().max(rect.height()) <= LARGEST_LETTER
            && (rect.right() >= -1.0 && rect.left() <= width + 1.0)
            && (rect.bottom() >= -1.0 && rect.top() <= height + 1.0)
    }

    /// The same on a layer.
    fn on(&self, layer: &Layer) -> Self {
        let (x, y) = layer.origin;
        Self {
            transform: self.transform.post_translate(-x as f32, -y as f32),
            shown: self.shown,
            size: (layer.pixels.width() as f32, layer.pixels.height() as f32),
        }
    }
}

impl TextLayout {
    /// Draws the clusters of the range on the target.
    ///
    /// `transform` maps pixels of the layout, whose origin is the top left corner of the text, to those of the target;
    /// `opacity` is 0 to 1 for the whole. Of a transform that is not finite or has no inverse nothing is drawn, and letters
    /// of more than 16,000 pixels on the target are left out.
    pub fn draw(
        &self,
        target: &mut PixmapMut,
        transform: Transform,
        opacity: f32,
        shown: Range<usize>,
    ) {
        let opacity = opacity.clamp(0.0, 1.0);
        if opacity.is_nan() || opacity <= 0.0 || !transform.is_valid() {
            return;
        }
        let view = View {
            transform,
            shown: &shown,
            size: (target.width() as f32, target.height() as f32),
        };
        if opacity >= 1.0 {
            self.draw_all(target, &view);
        } else if let Some(mut layer) = self.layer(&view, 0.0) {
            let inside = view.on(&layer);
            self.draw_all(&mut layer.pixels.as_mut(), &inside);
            layer.put(target, opacity);
        }
    }

    fn draw_all(&self, target: &mut PixmapMut, view: &View) {
        if let (Some(background), Some(bounds)) = (self.text.background, self.background()) {
            draw_background(target, view, &background, bounds);
        }
        if let Some(shadow) = &self.text.shadow {
            self.draw_shadow(target, view, shadow);
        }
        self.draw_letters(target, view);
    }

    /// An empty picture of what is painted within the target. `beyond`: pixels outside of the target that matter, too.
    fn layer(&self, view: &View, beyond: f32) -> Option<Layer> {
        let painted = self.painted();
        let rect = Rect::from_ltrb(painted.left, painted.top, painted.right, painted.bottom)?;
        let rect = rect.transform(view.transform)?;
        let (width, height) = view.size;
        let left = (rect.left() - 1.0).max(-beyond).floor();
        let top = (rect.top() - 1.0).max(-beyond).floor();
        let right = (rect.right() + 1.0).min(width + beyond).ceil();
        let bottom = (rect.bottom() + 1.0).min(height + beyond).ceil();
        if left >= right || top >= bottom {
            return None;
        }
        Some(Layer {
            pixels: Pixmap::new((right - left) as u32, (bottom - top) as u32)?,
            origin: (left as i32, top as i32),
        })
    }

    fn draw_letters(&self, target: &mut PixmapMut, view: &View) {
        let mut parts = self.text.parts.iter();
        if parts.any(|part| part.stroke.is_some() && part.fill.alpha < 255) {
            // Strokes are erased where letters are, but not what is on the target.
            if let Some(mut layer) = self.layer(view, 0.0) {
                let inside = view.on(&layer);
                self.draw_strokes(&mut layer.pixels.as_mut(), &inside);
                layer.put(target, 1.0);
            }
        } else {
            self.draw_strokes(target, view);
        }
        for (number, part) in self.text.parts.iter().enumerate() {
            self.fill_part(target, view, number, &paint(part.fill));
        }
        self.draw_pictures(target, view);
    }

    fn draw_strokes(&self, target: &mut PixmapMut, view: &View) {
        for (number, part) in self.text.parts.iter().enumerate() {
            let Some(stroke) = part.stroke else {
                continue;
            };
            for (path, grown) in self.outlines(view, number, stroke.width) {
                let pen = round_pen((stroke.width + grown) * 2.0);
                target.stroke_path(&path, &paint(stroke.colour), &pen, view.transform, None);
            }
            if part.fill.alpha < 255 {
                // The half of the stroke within the letters would be seen through them.
                let mut eraser = paint(Rgba::BLACK);
                eraser.blend_mode = BlendMode::DestinationOut;
                self.fill_part(target, view, number, &eraser);
            }
        }
    }

    fn fill_part(&self, target: &mut PixmapMut, view: &View, part: usize, paint: &Paint) {
        for (path, grown) in self.outlines(view, part, 0.0) {
            target.fill_path(&path, paint, FillRule::Winding, view.transform, None);
            if grown > 0.0 {
                let pen = round_pen(grown * 2.0);
                target.stroke_path(&path, paint, &pen, view.transform, None);
            }
        }
    }

    /// The letters of a part as paths, each with how far a synthetic bold reaches beyond it. `around`: the width of the
    /// stroke that is drawn of them.
    fn outlines(&self, view: &View, part: usize, around: f32) -> Vec<(Path, f32)> {
        let (mut plain, mut bold) = (PathBuilder::new(), PathBuilder::new());
        let mut bold_grown = 0.0;
        // They are sorted by part.
        let first = self.glyphs.partition_point(|glyph| glyph.part < part);
        let of_part = self.glyphs[first..]
            .iter()
            .take_while(|glyph| glyph.part == part);
        for glyph in of_part.filter(|glyph| view.shown.contains(&glyph.cluster)) {
            if let PlacedShape::Outline { path, grown } = &glyph.shape
                && view.sees(glyph.shape.bounds(), around)
            {
                // A part has one size, so that all its synthetic bold grows alike.
                if *grown > 0.0 {
                    bold_grown = *grown;
                    bold.push_path(path);
                } else {
                    plain.push_path(path);
                }
            }
        }
        for line in self.underline_rects(view, part) {
            plain.push_rect(line);
        }
        let plain = plain.finish().map(|path| (path, 0.0));
        let bold = bold.finish().map(|path| (path, bold_grown));
        plain.into_iter().chain(bold).collect()
    }

    /// The lines under the letters, without seams between neighbours.
    fn underline_rects(&self, view: &View, part: usize) -> Vec<Rect> {
        let mut joined: Vec<Bounds> = Vec::new();
        let first = self.underlines.partition_point(|line| line.part < part);
        let of_part = self.underlines[first..]
            .iter()
            .take_while(|line| line.part == part);
        for line in of_part.filter(|line| view.shown.contains(&line.cluster)) {
            if !view.sees(line.bounds, 0.0) {
                continue;
            }
            match joined.last_mut() {
                Some(last)
                    if last.top == line.bounds.top
                        && (last.right - line.bounds.left).abs() < 0.5 =>
                {
                    last.right = line.bounds.right;
                }
                _ => joined.push(line.bounds),
            }
        }
        joined
            .into_iter()
            .filter_map(|line| Rect::from_ltrb(line.left, line.top, line.right, line.bottom))
            .collect()
    }

    fn draw_pictures(&self, target: &mut PixmapMut, view: &View) {
        for glyph in &self.glyphs {
            let PlacedShape::Picture {
                picture,
                transform: place,
            } = &glyph.shape
            else {
                continue;
            };
            if !view.shown.contains(&glyph.cluster) || !view.sees(glyph.shape.bounds(), 0.0) {
                continue;
            }
            let to_target = view.transform.pre_concat(*place);
            let (across, down) = (
                to_target.sx.hypot(to_target.ky),
                to_target.kx.hypot(to_target.sy),
            );
            // The level that is made smaller by less than half.
            let smaller = (1.0 / across.max(down).max(1e-6)).log2().floor().max(0.0);
            let level = (smaller as usize).min(picture.levels.len() - 1);
            let (first, pixels) = (&picture.levels[0], &picture.levels[level]);
            let to_target = to_target.pre_scale(
                first.width() as f32 / pixels.width() as f32,
                first.height() as f32 / pixels.height() as f32,
            );
            let paint = PixmapPaint {
                opacity: f32::from(self.text.parts[glyph.part].fill.alpha) / 255.0,
                quality: FilterQuality::Bilinear,
                ..PixmapPaint::default()
            };
            target.draw_pixmap(0, 0, pixels.as_ref(), &paint, to_target, None);
        }
    }

    fn draw_shadow(&self, target: &mut PixmapMut, view: &View, shadow: &Shadow) {
        let transform = view.transform;
        let area = transform.sx * transform.sy - transform.kx * transform.ky;
        let blur = (shadow.blur * area.abs().sqrt()).min(WIDEST_BLUR);
        let Some(mut layer) = self.layer(view, (blur * 3.0).ceil()) else {
            return;
        };
        // The shadow turns and grows with the text.
        let (x, y) = shadow.offset;
        let moved = View {
            transform: transform.pre_translate(x, y),
            ..view.clone()
        };
        let inside = moved.on(&layer);
        self.draw_letters(&mut layer.pixels.as_mut(), &inside);
        let width = layer.pixels.width() as usize;
        let pixels = layer.pixels.pixels();
        let mut alphas: Vec<u8> = pixels.iter().map(|pixel| pixel.alpha()).collect();
        blur_alphas(&mut alphas, width, blur);
        let Rgba {
            red,
            green,
            blue,
            alpha: most,
        } = shadow.colour;
        for (pixel, alpha) in layer.pixels.pixels_mut().iter_mut().zip(alphas) {
            let alpha = (u32::from(alpha) * u32::from(most) + 127) / 255;
            *pixel = ColorU8::from_rgba(red, green, blue, alpha as u8).premultiply();
        }
        layer.put(target, 1.0);
    }
}

/// A picture that is put on another one.
struct Layer {
    pixels: Pixmap,
    /// Its top left corner on the target.
    origin: (i32, i32),
}

impl Layer {
    fn put(&self, target: &mut PixmapMut, opacity: f32) {
        let paint = PixmapPaint {
            opacity,
            blend_mode: BlendMode::SourceOver,
            quality: FilterQuality::Nearest,
        };
        let (x, y) = self.origin;
        target.draw_pixmap(
            x,
            y,
            self.pixels.as_ref(),
            &paint,
            Transform::identity(),
            None,
        );
    }
}

fn draw_background(target: &mut PixmapMut, view: &View, background: &Background, bounds: Bounds) {
    if !view.sees(bounds, 0.0) {
        return;
    }
    let (width, height) = (bounds.right - bounds.left, bounds.bottom - bounds.top);
    let radius = background.radius.min(width / 2.0).min(height / 2.0);
    if let Some(path) = rounded(bounds, radius) {
        let paint = paint(background.colour);
        target.fill_path(&path, &paint, FillRule::Winding, view.transform, None);
    }
}

/// A rectangle with round corners.
fn rounded(bounds: Bounds, radius: f32) -> Option<Path> {
    let Bounds {
        left,
        top,
        right,
        bottom,
    } = bounds;
    if radius <= 0.0 {
        let rect = Rect::from_ltrb(left, top, right, bottom)?;
        return Some(PathBuilder::from_rect(rect));
    }
    // The control points of a quarter of a circle.
    let near = radius * (1.0 - 0.552_284_8);
    let mut path = PathBuilder::new();
    path.move_to(left + radius, top);
    path.line_to(right - radius, top);
    path.cubic_to(right - near, top, right, top + near, right, top + radius);
    path.line_to(right, bottom - radius);
    path.cubic_to(
        right,
        bottom - near,
        right - near,
        bottom,
        right - radius,
        bottom,
    );
    path.line_to(left + radius, bottom);
    path.cubic_to(
        left + near,
        bottom,
        left,
        bottom - near,
        left,
        bottom - radius,
    );
    path.line_to(left, top + radius);
    path.cubic_to(left, top + near, left + near, top, left + radius, top);
    path.close();
    path.finish()
}

fn round_pen(width: f32) -> Pen {
    Pen {
        width,
        line_join: LineJoin::Round,
        ..Pen::default()
    }
}

fn paint(colour: Rgba) -> Paint<'static> {
    let mut paint = Paint {
        anti_alias: true,
        ..Paint::default()
    };
    let Rgba {
        red,
        green,
        blue,
        alpha,
    } = colour;
    paint.set_color(Color::from_rgba8(red, green, blue, alpha));
    paint
}

/// Three box blurs, which together are nearly a Gaussian one of this standard deviation.
fn blur_alphas(alphas: &mut [u8], width: usize, deviation: f32) {
    if deviation < 0.3 || alphas.is_empty() {
        return;
    }
    // The formula of SVG's feGaussianBlur, made odd.
    let size = (deviation * 3.0 * (2.0 * std::f32::consts::PI).sqrt() / 4.0 + 0.5).floor();
    let radius = (size as usize / 2).max(1);
    let height = alphas.len() / width;
    let mut other = vec![0; alphas.len()];
    for _ in 0..3 {
        for (line, out) in alphas
            .chunks_exact(width)
            .zip(other.chunks_exact_mut(width))
        {
            blur_line(line, 1, width, radius, |at, value| out[at] = value);
        }
        for column in 0..width {
            blur_line(&other[column..], width, height, radius, |at, value| {
                alphas[column + at * width] = value;
            });
        }
    }
}

fn blur_line(
    line: &[u8],
    step: usize,
    length: usize,
    radius: usize,
    mut put: impl FnMut(usize, u8),
) {
    let size = (2 * radius + 1) as u32;
    let at = |index: usize| u32::from(line[index * step]);
    let mut sum: u32 = (0..radius.min(length)).map(at).sum();
    for index in 0..length {
        if index + radius < length {
            sum += at(index + radius);
        }
        put(index, ((sum + size / 2) / size) as u8);
        if index >= radius {
            sum -= at(index - radius);
        }
    }
}
