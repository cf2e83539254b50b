//! Documents and pictures for tests.

use std::sync::Arc;

use capcut_draft::Document;
use capcut_scene::{Composer, Frame, Frames, Movie, WantedFrame};
use capcut_text::Fonts;
use serde_json::{Value, json};
use tiny_skia::{ColorU8, Pixmap, PremultipliedColorU8};

pub(crate) type Rgba = [u8; 4];
pub(crate) const RED: Rgba = [255, 0, 0, 255];
pub(crate) const GREEN: Rgba = [0, 255, 0, 255];
pub(crate) const BLUE: Rgba = [0, 0, 255, 255];
pub(crate) const WHITE: Rgba = [255, 255, 255, 255];
pub(crate) const BLACK: Rgba = [0, 0, 0, 255];

/// Gives each file a picture whose quarters are red, green, blue and white.
#[derive(Default)]
pub(crate) struct Areas {
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) asked: Vec<WantedFrame>,
}

impl Areas {
    pub(crate) fn sized(width: u32, height: u32) -> Self {
        Self {
            size: Some((width, height)),
            ..Self::default()
        }
    }

    pub(crate) fn picture(width: u32, height: u32) -> Pixmap {
        let mut picture = Pixmap::new(width, height).unwrap();
        for (index, pixel) in picture.pixels_mut().iter_mut().enumerate() {
            let (x, y) = (index as u32 % width, index as u32 / width);
            let color = match (x * 2 < width, y * 2 < height) {
                (true, true) => RED,
                (false, true) => GREEN,
                (true, false) => BLUE,
                (false, false) => WHITE,
            };
            *pixel = premultiplied(color);
        }
        picture
    }
}

impl Frames for Areas {
    fn frame(&mut self, wanted: &WantedFrame) -> Frame {
        self.asked.push(*wanted);
        let (width, height) = self.size.unwrap_or(wanted.size);
        Frame::Picture(Arc::new(Self::picture(width, height)))
    }
}

/// The embedded font only.
pub(crate) fn fonts() -> Fonts {
    Fonts::of_folders(&[])
}

pub(crate) fn movie(document: &Document) -> Movie {
    Movie::new(document, &fonts())
}

pub(crate) fn draw(
    movie: &Movie,
    at: i64,
    (width, height): (u32, u32),
    frames: &mut dyn Frames,
) -> Pixmap {
    let mut target = Pixmap::new(width, height).unwrap();
    Composer::new(fonts()).compose(&movie.scene(at), frames, &mut target);
    target
}

pub(crate) fn pixel(picture: &Pixmap, x: u32, y: u32) -> Rgba {
    let color = picture.pixel(x, y).unwrap().demultiply();
    [color.red(), color.green(), color.blue(), color.alpha()]
}

fn merged(mut base: Value, more: Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        base[key.as_str()] = value.clone();
    }
    base
}

/// A clip of two seconds with the material of this id.
pub(crate) fn image(material: &str, more: Value) -> Value {
    let base = json!({
        "id": format!("clip of {material}"), "material_id": material,
        "target_timerange": {"start": 0, "duration": 2_000_000},
    });
    merged(base, more)
}

pub(crate) fn video(material: &str, more: Value) -> Value {
    image(material, more)
}

/// A document with a track; materials whose ids begin with `V` are videos, others pictures. Their sizes are those of the
/// canvas, or what their id says: `A 40x60`.
pub(crate) fn document(track: Value, width: u32, height: u32) -> Document {
    document_of(json!([track]), json!({}), width, height)
}

pub(crate) fn document_of(tracks: Value, materials: Value, width: u32, height: u32) -> Document {
    let mut videos = Vec::new();
    for clip in tracks
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|track| track["segments"].as_array().unwrap())
    {
        let id = clip["material_id"].as_str().unwrap();
        let size = id
            .split_once(' ')
            .and_then(|(_, size)| size.split_once('x'));
        let (own_width, own_height) = size.map_or((width, height), |(w, h)| {
            (w.parse().unwrap(), h.parse().unwrap())
        });
        let kind = if id.starts_with('V') {
            "video"
        } else {
            "photo"
        };
        videos.push(json!({
            "id": id, "type": kind, "path": format!("/media/{id}"), "width": own_width, "height": own_height,
            "duration": 20_000_000,
        }));
    }
    let root = json!({
        "id": "T", "fps": 30.0, "canvas_config": {"width": width, "height": height, "ratio": "original"},
        "render_index_track_mode_on": true, "tracks": tracks,
        "materials": merged(json!({"videos": videos}), materials),
    });
    Document::parse(root.to_string()).unwrap()
}

fn premultiplied([red, green, blue, alpha]: Rgba) -> PremultipliedColorU8 {
    ColorU8::from_rgba(red, green, blue, alpha).premultiply()
}

/// Whether two colours agree within 2 of 255 in each channel.
pub(crate) fn assert_near(own: Rgba, expected: Rgba, what: &str) {
    let is_near = own.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2);
    assert!(is_near, "{what}: {own:?} instead of {expected:?}");
}

pub(crate) fn plain((width, height): (u32, u32), color: Rgba) -> Pixmap {
    let mut picture = Pixmap::new(width, height).unwrap();
    picture.pixels_mut().fill(premultiplied(color));
    picture
}

/// One colour for all files.
pub(crate) struct Plain(pub(crate) Rgba);

impl Frames for Plain {
    fn frame(&mut self, wanted: &WantedFrame) -> Frame {
        Frame::Picture(Arc::new(plain(wanted.size, self.0)))
    }
}

/// A colour for each file; the last one for others.
pub(crate) struct ByMedium(pub(crate) Vec<Rgba>);

impl Frames for ByMedium {
    fn frame(&mut self, wanted: &WantedFrame) -> Frame {
        let color = self.0[wanted.medium.min(self.0.len() - 1)];
        Frame::Picture(Arc::new(plain(wanted.size, color)))
    }
}
