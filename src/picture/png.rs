//! The shapes of a picture as a PNG, with the system's fonts.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use capcut_text::{Fonts, MissingScript, Rgba, Text, TextPart};
use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, PixmapMut, Rect, Stroke, Transform};

use super::shapes::{ShapeList, TextShape, TimelineShape};
use crate::error::{Error, Result};

/// The longer side in pixels, at most: models read this size without downscaling it.
const LONGEST: f64 = 1568.0;

/// The PNG, and notes on what it does not show.
#[derive(Debug)]
pub(crate) struct Png {
    pub bytes: Vec<u8>,
    pub notes: Vec<String>,
}

/// Renders with the system's fonts.
pub(crate) fn render(list: &ShapeList) -> Result<Png> {
    render_with(list, &system_fonts())
}

/// The fonts of the system, which are looked for once.
pub(crate) fn system_fonts() -> Fonts {
    static FONTS: OnceLock<Fonts> = OnceLock::new();
    FONTS.get_or_init(Fonts::of_system).clone()
}

fn render_with(list: &ShapeList, fonts: &Fonts) -> Result<Png> {
    let scale = (LONGEST / list.width.max(list.height)).min(1.0);
    let pixels = |length: f64| (length * scale).round().max(1.0) as u32;
    let mut pixmap = Pixmap::new(pixels(list.width), pixels(list.height))
        .ok_or_else(|| Error::internal("the picture has no size"))?;
    let mut painter = Painter {
        target: pixmap.as_mut(),
        transform: Transform::from_scale(scale as f32, scale as f32),
        fonts,
        missing: BTreeMap::new(),
    };
    painter.draw(&list.shapes);
    let missing = painter.missing;
    let bytes = pixmap
        .encode_png()
        .map_err(|error| Error::internal("the picture cannot be written as PNG").source(error))?;
    let mut notes = Vec::new();
    if !missing.is_empty() {
        notes.push(missing_note(missing.into_values()));
    }
    if scale < 0.6 {
        notes.push(format!(
            "the PNG is scaled down to {:.0} %; the SVG has all details",
            scale * 100.0
        ));
    }
    Ok(Png { bytes, notes })
}

struct Painter<'a> {
    target: PixmapMut<'a>,
    /// From pixels of the picture to those of the target.
    transform: Transform,
    fonts: &'a Fonts,
    /// By the name of the script.
    missing: BTreeMap<&'static str, MissingScript>,
}

impl Painter<'_> {
    fn draw(&mut self, shapes: &[TimelineShape]) {
        for shape in shapes {
            match shape {
                TimelineShape::Rect {
                    left,
                    top,
                    width,
                    height,
                    radius,
                    fill,
                    border,
                } => {
                    let place = [*left, *top, *width, *height].map(|length| length as f32);
                    self.rect(place, *radius as f32, *fill, *border);
                }
                TimelineShape::Polygon {
                    corners,
                    fill,
                    opacity,
                } => {
                    let mut path = PathBuilder::new();
                    for (index, (x, y)) in corners.iter().enumerate() {
                        if index == 0 {
                            path.move_to(*x as f32, *y as f32);
                        } else {
                            path.line_to(*x as f32, *y as f32);
                        }
                    }
                    path.close();
                    if let Some(path) = path.finish() {
                        let paint = paint(*fill, *opacity);
                        let rule = FillRule::Winding;
                        self.target
                            .fill_path(&path, &paint, rule, self.transform, None);
                    }
                }
                TimelineShape::Line {
                    x,
                    top,
                    bottom,
                    colour,
                } => {
                    let mut path = PathBuilder::new();
                    path.move_to(*x as f32, *top as f32);
                    path.line_to(*x as f32, *bottom as f32);
                    if let Some(path) = path.finish() {
                        let pen = Stroke::default();
                        let paint = paint(*colour, 1.0);
                        self.target
                            .stroke_path(&path, &paint, &pen, self.transform, None);
                    }
                }
                TimelineShape::Text(text) => self.text(text),
                TimelineShape::Group { shapes, .. } => self.draw(shapes),
            }
        }
    }

    fn rect(&mut self, place: [f32; 4], radius: f32, fill: u32, border: Option<u32>) {
        let [left, top, width, height] = place;
        let Some(rect) = Rect::from_xywh(left, top, width, height) else {
            return;
        };
        let radius = radius.min(width / 2.0).min(height / 2.0);
        let Some(path) = rounded(rect, radius) else {
            return;
        };
        let rule = FillRule::Winding;
        self.target
            .fill_path(&path, &paint(fill, 1.0), rule, self.transform, None);
        if let Some(border) = border {
            let pen = Stroke::default();
            self.target
                .stroke_path(&path, &paint(border, 1.0), &pen, self.transform, None);
        }
    }

    fn text(&mut self, text: &TextShape) {
        let [_, red, green, blue] = text.colour.to_be_bytes();
        let mut part = TextPart::new(text.words.as_str(), text.size as f32);
        part.fill = Rgba::opaque(red, green, blue);
        let layout = self.fonts.lay_out(&Text::new(vec![part]));
        let (width, room) = (layout.width(), text.room as f32);
        // The room was estimated for any font.
        let narrower = if width > room {
            room.max(1.0) / width
        } else {
            1.0
        };
        let mut left = text.at.0 as f32;
        if text.is_right_aligned {
            left -= width * narrower;
        }
        let at = Transform::from_translate(left, text.at.1 as f32 - layout.baseline());
        let transform = self.transform.pre_concat(at).pre_scale(narrower, 1.0);
        layout.draw(&mut self.target, transform, 1.0, 0..layout.clusters());
        for missing in layout.missing() {
            match self.missing.get_mut(missing.script) {
                Some(known) => {
                    let new = missing.characters.chars();
                    let new: Vec<char> = new.filter(|c| !known.characters.contains(*c)).collect();
                    known.characters.extend(new);
                }
                None => {
                    self.missing.insert(missing.script, missing.clone());
                }
            }
        }
    }
}

/// A rectangle with round corners.
fn rounded(rect: Rect, radius: f32) -> Option<tiny_skia::Path> {
    if radius <= 0.0 {
        return Some(PathBuilder::from_rect(rect));
    }
    let (left, top, right, bottom) = (rect.left(), rect.top(), rect.right(), rect.bottom());
    let mut path = PathBuilder::new();
    path.move_to(left + radius, top);
    path.line_to(right - radius, top);
    path.quad_to(right, top, right, top + radius);
    path.line_to(right, bottom - radius);
    path.quad_to(right, bottom, right - radius, bottom);
    path.line_to(left + radius, bottom);
    path.quad_to(left, bottom, left, bottom - radius);
    path.line_to(left, top + radius);
    path.quad_to(left, top, left + radius, top);
    path.close();
    path.finish()
}

fn paint(colour: u32, opacity: f32) -> Paint<'static> {
    let [_, red, green, blue] = colour.to_be_bytes();
    let mut colour = Color::from_rgba8(red, green, blue, 255);
    colour.apply_opacity(opacity);
    let mut paint = Paint {
        anti_alias: true,
        ..Paint::default()
    };
    paint.set_color(colour);
    paint
}

/// The note on characters that no font has, by script.
fn missing_note(missing: impl Iterator<Item = MissingScript>) -> String {
    let mut scripts = Vec::new();
    let mut packages = Vec::new();
    for missing in missing {
        let some: String = missing.characters.chars().take(5).collect();
        let more = if missing.characters.chars().count() > 5 {
            "…"
        } else {
            ""
        };
        scripts.push(format!("{} ({some}{more})", missing.script));
        if !packages.contains(&missing.package) {
            packages.push(missing.package);
        }
    }
    format!(
        "no font on this machine has these characters, so the PNG shows boxes instead: {}; install a font that has them (on \
         Debian and Ubuntu: {}) and draw again; the SVG displays correctly where such a font is installed",
        scripts.join(", "),
        packages.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &str) -> ShapeList {
        ShapeList {
            width: 300.0,
            height: 60.0,
            shapes: vec![TimelineShape::Text(TextShape {
                at: (4.0, 40.0),
                is_right_aligned: false,
                colour: 0xFF_FF_FF,
                size: 30.0,
                words: words.to_owned(),
                room: 290.0,
            })],
        }
    }

    fn painted(png: &Png) -> usize {
        let image = Pixmap::decode_png(&png.bytes).unwrap();
        image
            .pixels()
            .iter()
            .filter(|pixel| pixel.alpha() > 0)
            .count()
    }

    #[test]
    fn without_fonts_latin_is_drawn_and_a_note_names_what_is_missing() {
        let none = Fonts::of_folders(&[]);
        let png = render_with(&words("Hello 123"), &none).unwrap();
        assert!(painted(&png) > 300, "{}", painted(&png));
        assert!(png.notes.is_empty(), "{:?}", png.notes);
        let png = render_with(&words("a 你好 😀"), &none).unwrap();
        assert_eq!(png.notes.len(), 1, "{:?}", png.notes);
        for part in [
            "Han (你好)",
            "emoji (😀)",
            "fonts-noto-cjk, fonts-noto-color-emoji",
            "boxes",
        ] {
            assert!(png.notes[0].contains(part), "{part}: {:?}", png.notes);
        }
    }

    #[test]
    fn words_stay_within_their_room() {
        let mut list = words("WWWWWWWWWWWWWWWWWWWW");
        let Some(TimelineShape::Text(text)) = list.shapes.first_mut() else {
            panic!("a text");
        };
        text.room = 100.0;
        let png = render_with(&list, &Fonts::of_folders(&[])).unwrap();
        let image = Pixmap::decode_png(&png.bytes).unwrap();
        let last = image.pixels().iter().enumerate();
        let last = last
            .filter(|(_, pixel)| pixel.alpha() > 0)
            .map(|(at, _)| at % 300)
            .max();
        assert!((95..=105).contains(&last.unwrap()), "{last:?}");
    }

    #[test]
    fn a_large_picture_is_scaled_down_for_models() {
        let list = ShapeList {
            width: 1200.0,
            height: 6000.0,
            shapes: Vec::new(),
        };
        let png = render_with(&list, &Fonts::of_folders(&[])).unwrap();
        let image = Pixmap::decode_png(&png.bytes).unwrap();
        assert_eq!((image.width(), image.height()), (314, 1568));
        assert!(
            png.notes.iter().any(|note| note.contains("26 %")),
            "{:?}",
            png.notes
        );
    }
}
