//! Shaped glyphs get their places: in lines, or upright in columns.

use std::sync::Arc;

use parley::{Layout, Run};
use tiny_skia::Transform;

use crate::fonts::FontSet;
use crate::glyphs::{GlyphCache, GlyphLook};
use crate::layout::{Bounds, PlacedGlyph, PlacedShape, TextLayout, Underline};
use crate::shape::{Prepared, RunStyle};
use crate::text::{Align, Rgba};

/// The horizontal shift of slanted letters per pixel of height.
const SLANT: f32 = 0.21;
/// By how much the outlines of letters grow that have to look bold, in ems.
const EMBOLDEN: f32 = 1.0 / 48.0;

/// A column of vertical text; its glyphs are placed around its middle.
#[derive(Default)]
struct Column {
    glyphs: Vec<PlacedGlyph>,
    height: f32,
    width: f32,
}

/// Puts shaped glyphs at their places.
pub(crate) struct Placing<'a> {
    pub set: &'a FontSet,
    pub glyphs: &'a GlyphCache,
    pub prepared: &'a Prepared,
    pub styles: &'a [RunStyle],
}

impl Placing<'_> {
    pub(crate) fn lines(&self, shaped: &Layout<u32>, layout: &mut TextLayout) {
        let widths = shaped
            .lines()
            .map(|line| line.metrics().advance - line.metrics().hanging_advance);
        layout.width = widths.fold(0.0, f32::max);
        layout.height = shaped.height();
        let first = shaped.lines().next();
        layout.baseline = first.map_or(0.0, |line| line.metrics().baseline);
        layout.lines = shaped.len();
        for line in shaped.lines() {
            let metrics = line.metrics();
            let free = layout.width - (metrics.advance - metrics.hanging_advance);
            let mut x = match layout.text.align {
                Align::Left => 0.0,
                Align::Center => free / 2.0,
                Align::Right => free,
            };
            if shaped.is_rtl() {
                // Spaces at the end hang over the left edge.
                x -= metrics.hanging_advance;
            }
            for run in line.runs() {
                for cluster in run.visual_clusters() {
                    let start = x;
                    let style = self.styles[cluster.style().brush as usize];
                    let number = self.number(cluster.text_range().start);
                    for glyph in cluster.glyphs() {
                        let at = (x + glyph.x, metrics.baseline + glyph.y);
                        self.place(&run, glyph.id, style, number, at, layout);
                        x += glyph.advance;
                    }
                    if layout.text.parts[style.part].underline && x > start {
                        let font = run.font_metrics();
                        let thickness = font.underline_size.max(run.font_size() / 20.0);
                        let top = metrics.baseline - font.underline_offset.min(-thickness);
                        layout.underlines.push(Underline {
                            cluster: number,
                            part: style.part,
                            bounds: Bounds {
                                left: start,
                                top,
                                right: x,
                                bottom: top + thickness,
                            },
                        });
                    }
                }
            }
        }
    }

    /// Upright letters in columns, from right to left.
    pub(crate) fn columns(&self, shaped: &Layout<u32>, layout: &mut TextLayout) {
        let text = Arc::clone(&layout.text);
        let longest = text.max_width.unwrap_or(f32::INFINITY);
        let mut columns: Vec<Column> = Vec::new();
        for line in shaped.lines() {
            let mut column = Column {
                width: line.metrics().line_height,
                ..Column::default()
            };
            // The order of reading, not of places: all letters are upright.
            let mut clusters: Vec<_> = line
                .runs()
                .flat_map(|run| run.clusters().map(move |cluster| (run, cluster)))
                .collect();
            clusters.sort_by_key(|(_, cluster)| cluster.text_range().start);
            for (run, cluster) in clusters {
                if cluster.is_hard_line_break() {
                    continue;
                }
                let style = self.styles[cluster.style().brush as usize];
                let part = &text.parts[style.part];
                let metrics = run.font_metrics();
                let length = if cluster.is_space_or_nbsp() {
                    part.size / 2.0
                } else {
                    part.size
                };
                if column.height > 0.0 && column.height + length > longest {
                    columns.push(std::mem::take(&mut column));
                }
                column.width = column.width.max(part.size * text.line_height);
                let advance: f32 = cluster.glyphs().map(|glyph| glyph.advance).sum();
                // The letter without the spacing after it is centred.
                let mut x = -(advance - part.letter_spacing.min(advance)) / 2.0;
                let baseline = column.height + (length + metrics.ascent - metrics.descent) / 2.0;
                let before = layout.glyphs.len();
                for glyph in cluster.glyphs() {
                    let at = (x + glyph.x, baseline + glyph.y);
                    let number = self.number(cluster.text_range().start);
                    self.place(&run, glyph.id, style, number, at, layout);
                    x += glyph.advance;
                }
                column.glyphs.extend(layout.glyphs.drain(before..));
                column.height += (length + part.letter_spacing).max(0.0);
            }
            columns.push(column);
        }
        layout.lines = columns.len();
        let heights = columns.iter().map(|column| column.height);
        layout.height = heights.fold(0.0, f32::max);
        layout.width = columns.iter().map(|column| column.width).sum();
        let mut right = layout.width;
        for column in columns {
            let free = layout.height - column.height;
            let down = match text.align {
                Align::Left => 0.0,
                Align::Center => free / 2.0,
                Align::Right => free,
            };
            let middle = right - column.width / 2.0;
            for mut glyph in column.glyphs {
                if glyph.shape.shift(middle, down) {
                    layout.glyphs.push(glyph);
                }
            }
            right -= column.width;
        }
    }

    /// The number of the cluster at a place of the shaped text.
    fn number(&self, at: usize) -> usize {
        let clusters = &self.prepared.clusters;
        let after = clusters.partition_point(|cluster| cluster.start <= at);
        clusters[after.saturating_sub(1)].number
    }

    fn place(
        &self,
        run: &Run<u32>,
        glyph: u32,
        style: RunStyle,
        cluster: usize,
        (x, y): (f32, f32),
        layout: &mut TextLayout,
    ) {
        // What no font has is a box of its own; a glyph 0 stands for a space or a control.
        let Some(chosen) = style.face.filter(|_| glyph != 0) else {
            return;
        };
        let face = (chosen.face, &*self.set.faces[chosen.face]);
        let foreground = Rgba {
            alpha: 255,
            ..layout.text.parts[style.part].fill
        };
        let coordinates: Vec<i16> = run
            .normalized_coords()
            .iter()
            .map(|coordinate| coordinate.to_bits())
            .collect();
        let size = run.font_size();
        let shape = match self.glyphs.look(face, glyph, &coordinates, foreground) {
            GlyphLook::Outline { path, units_per_em } => {
                let scale = size / units_per_em;
                let slant = if chosen.slant { -SLANT * scale } else { 0.0 };
                let transform = Transform::from_row(scale, 0.0, slant, scale, x, y);
                let grown = if chosen.embolden {
                    size * EMBOLDEN
                } else {
                    0.0
                };
                let path = path.transform(transform);
                path.map(|path| PlacedShape::Outline { path, grown })
            }
            GlyphLook::Picture(picture) => {
                let transform = Transform::from_row(size, 0.0, 0.0, size, x, y);
                let transform = transform.pre_concat(picture.placement);
                Some(PlacedShape::Picture { picture, transform })
            }
            GlyphLook::Nothing => None,
        };
        layout.glyphs.extend(shape.map(|shape| PlacedGlyph {
            cluster,
            part: style.part,
            shape,
        }));
    }
}
