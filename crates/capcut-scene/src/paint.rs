//! Draws one layer onto a picture, row by row: samples its pixels, changes their colours, cuts them by masks, and mixes them
//! with what is below. Pixels are premultiplied RGBA, packed in little-endian words.

mod blur;
mod mix;
mod sample;

use tiny_skia::Pixmap;

use crate::cover::CoverTester;
use crate::geometry::Affine;
use crate::look::{CompiledLook, Look};
use crate::scene::{Blend, Color};

pub(crate) use blur::blur;
pub(crate) use mix::over_color;

/// Where the pixels of a layer come from.
pub(crate) enum Paint<'p> {
    /// A picture; the map is from the visible part as a square to the picture as a square.
    Picture(&'p Pixmap, Affine),
    Color(Color),
}

/// How a layer is drawn.
pub(crate) struct Stroke<'p> {
    pub paint: Paint<'p>,
    /// From the layer as a square with sides of 1 to pixels of the target.
    pub place: Affine,
    pub opacity: f64,
    pub blend: Blend,
    /// None leaves the colours as they are.
    pub look: Option<CompiledLook>,
    /// In pixels of the target.
    pub covers: Vec<CoverTester>,
}

/// Buffers that are used again for each layer.
#[derive(Default)]
pub(crate) struct Scratch {
    row: Vec<u32>,
    smaller: Vec<Pixmap>,
}

/// The part of a row that a layer covers: pixels from `start` to `end`, of which those from `full_start` to `full_end` are
/// covered wholly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RowSpan {
    start: usize,
    end: usize,
    full_start: usize,
    full_end: usize,
}

/// The edges of a layer on the target.
struct Quad {
    /// From pixels of the target to the layer as a square.
    back: Affine,
    /// The sides of the square in pixels of the target, across the edges.
    across: f64,
    down: f64,
    rows: std::ops::Range<usize>,
    width: usize,
}

impl Quad {
    /// None if nothing of it is on the target.
    fn new(place: Affine, width: usize, height: usize) -> Option<Self> {
        let back = place.inverse()?;
        let across = 1.0 / back.a.hypot(back.c);
        let down = 1.0 / back.b.hypot(back.d);
        let corners = place.corners(1.0, 1.0).map(|(_, y)| y);
        let top = corners.iter().copied().fold(f64::INFINITY, f64::min) - 1.0;
        let bottom = corners.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 1.0;
        let limit = height as f64;
        let rows = top.clamp(0.0, limit) as usize..bottom.ceil().clamp(0.0, limit) as usize;
        (across.is_finite() && down.is_finite() && !rows.is_empty()).then_some(Self {
            back,
            across,
            down,
            rows,
            width,
        })
    }

    fn span(&self, row: usize) -> Option<RowSpan> {
        let (s, t) = self.back.apply(0.5, row as f64 + 0.5);
        let part = |edge: f64| {
            let (ds, dt) = (edge / self.across, edge / self.down);
            let first = between(s, self.back.a, ds, 1.0 - ds)?;
            let second = between(t, self.back.b, dt, 1.0 - dt)?;
            let limit = self.width as f64;
            // Pixels whose number lies between these bounds.
            let start = (first.0.max(second.0) - 1e-6).ceil().clamp(0.0, limit) as usize;
            let end = (first.1.min(second.1) + 1e-6).floor() + 1.0;
            let end = end.clamp(0.0, limit) as usize;
            (start < end).then_some((start, end))
        };
        let (start, end) = part(-0.5)?;
        let (full_start, full_end) = part(0.5).unwrap_or((end, end));
        Some(RowSpan {
            start,
            end,
            full_start: full_start.max(start).min(end),
            full_end: full_end.max(start).min(end),
        })
    }

    /// How much of a pixel is covered.
    fn coverage(&self, x: usize, row: usize) -> f64 {
        let (s, t) = self.back.apply(x as f64 + 0.5, row as f64 + 0.5);
        let side = |part: f64, length: f64| {
            let (from, to) = (part * length + 0.5, (1.0 - part) * length + 0.5);
            (from.min(1.0) + to.min(1.0) - 1.0).clamp(0.0, 1.0)
        };
        side(s, self.across) * side(t, self.down)
    }
}

/// The numbers x for which `value + step·x` lies between two bounds.
fn between(value: f64, step: f64, low: f64, high: f64) -> Option<(f64, f64)> {
    const ALL: (f64, f64) = (-1e12, 1e12);
    if low > high {
        return None;
    }
    if step.abs() < 1e-12 {
        return (value >= low - 1e-9 && value <= high + 1e-9).then_some(ALL);
    }
    let (from, to) = ((low - value) / step, (high - value) / step);
    Some((from.min(to).max(ALL.0), from.max(to).min(ALL.1)))
}

/// Draws a layer.
pub(crate) fn draw(target: &mut Pixmap, stroke: &Stroke<'_>, scratch: &mut Scratch) {
    let (width, height) = (target.width() as usize, target.height() as usize);
    if stroke.opacity <= 0.0 {
        return;
    }
    let Some(quad) = Quad::new(stroke.place, width, height) else {
        return;
    };
    let Scratch { row, smaller } = scratch;
    let source = match &stroke.paint {
        Paint::Picture(picture, crop) => {
            let sampler = sample::Sampler::new(picture, *crop, quad.back, smaller);
            let Some(sampler) = sampler else { return };
            Source::Picture(sampler)
        }
        Paint::Color(color) => Source::Color(mix::premultiplied(*color)),
    };
    let opacity = (stroke.opacity.min(1.0) * 255.0).round() as u32;
    row.resize(width, 0);
    let (pixels, _) = target.data_mut().as_chunks_mut::<4>();
    for y in quad.rows.clone() {
        let Some(span) = quad.span(y) else { continue };
        let below = &mut pixels[y * width + span.start..y * width + span.end];
        let row = &mut row[span.start..span.end];
        match &source {
            Source::Picture(sampler) => sampler.row(span.start, y, row),
            Source::Color(color) => row.fill(*color),
        }
        if let Some(look) = &stroke.look {
            look.row(row, |index| {
                let x = (span.start + index) as f64 + 0.5;
                quad.back.apply(x, y as f64 + 0.5)
            });
        }
        let edges = (span.start..span.full_start).chain(span.full_end..span.end);
        for x in edges {
            let part = (quad.coverage(x, y) * 255.0).round() as u32;
            let pixel = &mut row[x - span.start];
            *pixel = mix::scaled(*pixel, part);
        }
        for cover in &stroke.covers {
            for (index, pixel) in row.iter_mut().enumerate() {
                let part = (cover.at(span.start + index, y) * 255.0).round() as u32;
                if part < 255 {
                    *pixel = mix::scaled(*pixel, part);
                }
            }
        }
        if opacity < 255 {
            for pixel in row.iter_mut() {
                *pixel = mix::scaled(*pixel, opacity);
            }
        }
        mix::row(below, row, stroke.blend);
    }
}

/// Changes the colours of what is drawn already.
pub(crate) fn adjust(target: &mut Pixmap, look: &Look, opacity: f64, scratch: &mut Scratch) {
    let (width, height) = (target.width() as usize, f64::from(target.height()));
    let part = (opacity.clamp(0.0, 1.0) * 256.0).round() as u32;
    let look = look.compile();
    let row = &mut scratch.row;
    let (pixels, _) = target.data_mut().as_chunks_mut::<4>();
    for (y, pixels) in pixels.chunks_exact_mut(width).enumerate() {
        row.clear();
        row.extend(pixels.iter().map(|pixel| u32::from_le_bytes(*pixel)));
        look.row(row, |x| {
            ((x as f64 + 0.5) / width as f64, (y as f64 + 0.5) / height)
        });
        for (pixel, changed) in pixels.iter_mut().zip(row.iter()) {
            let mixed = mix::lerp(u32::from_le_bytes(*pixel), *changed, part);
            *pixel = mixed.to_le_bytes();
        }
    }
}

enum Source<'p> {
    Picture(sample::Sampler<'p>),
    Color(u32),
}
