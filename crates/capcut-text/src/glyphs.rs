//! What a glyph looks like: an outline, or a picture in colour. Looks are kept, as texts repeat their letters.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use skrifa::bitmap::{BitmapData, BitmapGlyph, Origin};
use skrifa::instance::{LocationRef, NormalizedCoord, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::raw::TableProvider;
use skrifa::{FontRef, GlyphId, MetadataProvider};
use tiny_skia::{Path, PathBuilder, Pixmap, PremultipliedColorU8, Transform};

use crate::colour;
use crate::faces::Face;
use crate::text::Rgba;

/// The memory of all kept glyphs.
const MOST_BYTES: u64 = 24 << 20;
/// The largest width and height of pictures in fonts, in pixels.
const LARGEST_PICTURE: u32 = 1024;

/// What is drawn for a glyph.
#[derive(Clone, Debug)]
pub(crate) enum GlyphLook {
    /// In units of the font, y downwards from the baseline.
    Outline {
        path: Path,
        units_per_em: f32,
    },
    Picture(Arc<GlyphPicture>),
    /// A space, or a glyph that the font does not have.
    Nothing,
}

/// A picture in a font.
#[derive(Debug)]
pub(crate) struct GlyphPicture {
    /// The picture, then each half as large as the one before.
    pub levels: Vec<Pixmap>,
    /// From pixels of the first level to ems, y downwards from the baseline.
    pub placement: Transform,
}

impl GlyphPicture {
    pub(crate) fn new(picture: Pixmap, placement: Transform) -> Self {
        let mut levels = vec![picture];
        while let Some(half) = levels.last().and_then(half) {
            levels.push(half);
        }
        Self { levels, placement }
    }
}

/// Half the width and height; each pixel is the mean of four. `None` if it is small.
fn half(picture: &Pixmap) -> Option<Pixmap> {
    let (width, height) = (picture.width() / 2, picture.height() / 2);
    if width < 8 || height < 8 {
        return None;
    }
    let mut out = Pixmap::new(width, height)?;
    let pixels = picture.pixels();
    let stride = picture.width() as usize;
    for (index, pixel) in out.pixels_mut().iter_mut().enumerate() {
        let (x, y) = (index % width as usize, index / width as usize);
        let first = 2 * y * stride + 2 * x;
        let four = [first, first + 1, first + stride, first + stride + 1];
        let mean = |channel: fn(PremultipliedColorU8) -> u8| {
            let sum: u32 = four.iter().map(|at| u32::from(channel(pixels[*at]))).sum();
            ((sum + 2) / 4) as u8
        };
        let (red, green, blue) = (
            mean(PremultipliedColorU8::red),
            mean(PremultipliedColorU8::green),
            mean(PremultipliedColorU8::blue),
        );
        let alpha = mean(PremultipliedColorU8::alpha);
        if let Some(colour) = PremultipliedColorU8::from_rgba(red, green, blue, alpha) {
            *pixel = colour;
        }
    }
    Some(out)
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct GlyphKey {
    face: usize,
    glyph: u32,
    /// The place on the axes of a variable font.
    coordinates: Box<[i16]>,
    /// The colour of the text, which glyphs in colour may use.
    foreground: Option<Rgba>,
}

#[derive(Clone)]
struct BytesOfLook;

impl Weighter<GlyphKey, GlyphLook> for BytesOfLook {
    fn weight(&self, _: &GlyphKey, look: &GlyphLook) -> u64 {
        100 + match look {
            GlyphLook::Outline { path, .. } => 9 * path.points().len() as u64,
            GlyphLook::Picture(picture) => {
                let bytes = picture.levels.iter().map(|level| level.data().len() as u64);
                bytes.sum()
            }
            GlyphLook::Nothing => 0,
        }
    }
}

/// Looks of glyphs by face and number.
pub(crate) struct GlyphCache {
    looks: Cache<GlyphKey, GlyphLook, BytesOfLook>,
}

impl GlyphCache {
    pub(crate) fn new() -> Self {
        Self {
            looks: Cache::with_weighter(2_000, MOST_BYTES, BytesOfLook),
        }
    }

    /// The look of a glyph of the face with that number. `foreground`: the colour of the text.
    pub(crate) fn look(
        &self,
        (number, face): (usize, &Face),
        glyph: u32,
        coordinates: &[i16],
        foreground: Rgba,
    ) -> GlyphLook {
        let foreground = face.has_colour.then_some(foreground);
        let key = GlyphKey {
            face: number,
            glyph,
            coordinates: coordinates.into(),
            foreground,
        };
        if let Some(look) = self.looks.get(&key) {
            return look;
        }
        let look = face
            .data()
            .and_then(|data| FontRef::from_index(data.as_ref(), 0).ok())
            .and_then(|font| look(&font, GlyphId::new(glyph), coordinates, foreground))
            .unwrap_or(GlyphLook::Nothing);
        self.looks.insert(key, look.clone());
        look
    }
}

fn look(
    font: &FontRef,
    glyph: GlyphId,
    coordinates: &[i16],
    foreground: Option<Rgba>,
) -> Option<GlyphLook> {
    let units_per_em = f32::from(font.head().ok()?.units_per_em().max(1));
    if let Some(foreground) = foreground
        && let Some(picture) = in_colour(font, glyph, units_per_em, foreground)
    {
        return Some(GlyphLook::Picture(Arc::new(picture)));
    }
    let outline = font.outline_glyphs().get(glyph)?;
    let coordinates: Vec<NormalizedCoord> = coordinates
        .iter()
        .map(|bits| NormalizedCoord::from_bits(*bits))
        .collect();
    let settings = DrawSettings::unhinted(Size::unscaled(), LocationRef::new(&coordinates));
    let mut pen = Pen::downwards();
    outline.draw(settings, &mut pen).ok()?;
    let path = pen.path()?;
    Some(GlyphLook::Outline { path, units_per_em })
}

fn in_colour(
    font: &FontRef,
    glyph: GlyphId,
    units_per_em: f32,
    foreground: Rgba,
) -> Option<GlyphPicture> {
    if let Some(shapes) = font.color_glyphs().get(glyph) {
        return colour::picture(font, &shapes, foreground);
    }
    // The largest, which is made smaller when it is drawn.
    let strikes = font.bitmap_strikes();
    let largest = strikes
        .iter()
        .filter_map(|strike| strike.get(glyph))
        .max_by(|a, b| a.ppem_y.total_cmp(&b.ppem_y))?;
    picture(&largest, units_per_em)
}

/// Decodes a picture of a font. Its bearings are explained in skrifa's `BitmapGlyph`.
fn picture(bitmap: &BitmapGlyph, units_per_em: f32) -> Option<GlyphPicture> {
    let pixels = match &bitmap.data {
        BitmapData::Png(bytes) => {
            // Width and height follow the signature and the head of the first chunk.
            let side =
                |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
            if side(16)? > LARGEST_PICTURE || side(20)? > LARGEST_PICTURE {
                return None;
            }
            Pixmap::decode_png(bytes).ok()?
        }
        BitmapData::Bgra(bytes) => {
            if bitmap.width > LARGEST_PICTURE || bitmap.height > LARGEST_PICTURE {
                return None;
            }
            let mut out = Pixmap::new(bitmap.width, bitmap.height)?;
            for (pixel, bytes) in out.pixels_mut().iter_mut().zip(bytes.as_chunks::<4>().0) {
                let [blue, green, red, alpha] = *bytes;
                if let Some(colour) = PremultipliedColorU8::from_rgba(red, green, blue, alpha) {
                    *pixel = colour;
                }
            }
            out
        }
        BitmapData::Mask(_) => return None,
    };
    let (per_x, per_y) = (1.0 / bitmap.ppem_x.max(1.0), 1.0 / bitmap.ppem_y.max(1.0));
    let left = bitmap.bearing_x / units_per_em + bitmap.inner_bearing_x * per_x;
    let up = bitmap.bearing_y / units_per_em + bitmap.inner_bearing_y * per_y;
    let top = match bitmap.placement_origin {
        Origin::TopLeft => -up,
        Origin::BottomLeft => -up - pixels.height() as f32 * per_y,
    };
    let placement = Transform::from_row(per_x, 0.0, 0.0, per_y, left, top);
    Some(GlyphPicture::new(pixels, placement))
}

/// Takes an outline over.
pub(crate) struct Pen {
    path: PathBuilder,
    /// The sign of y.
    up: f32,
}

impl Pen {
    /// With y downwards, as pictures count.
    fn downwards() -> Self {
        Self {
            path: PathBuilder::new(),
            up: -1.0,
        }
    }

    /// With y upwards, as fonts count.
    pub(crate) fn upwards() -> Self {
        Self {
            up: 1.0,
            ..Self::downwards()
        }
    }

    pub(crate) fn path(self) -> Option<Path> {
        self.path.finish()
    }
}

impl OutlinePen for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(x, y * self.up);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(x, y * self.up);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        self.path.quad_to(cx, cy * self.up, x, y * self.up);
    }

    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        let up = self.up;
        self.path.cubic_to(cx0, cy0 * up, cx1, cy1 * up, x, y * up);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
