//! Draws scenes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use capcut_text::{Align, Fonts, Text, TextLayout, TextPart};
use tiny_skia::{Pixmap, Transform};

use crate::geometry::Affine;
use crate::paint::{Paint, Scratch, Stroke, adjust, blur, draw, over_color};
use crate::scene::{Blend, Color, Content, Layer, PictureContent, Scene, TextPicture};

/// The largest side of frames that are asked for, pixels.
const LARGEST_FRAME: f64 = 8192.0;

/// The frame of a file that a scene shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedFrame {
    /// The index in [`Movie::media`](crate::Movie::media).
    pub medium: usize,
    /// The index in [`Medium::uses`](crate::Medium::uses).
    pub usage: usize,
    /// Microseconds in the file; before its start the first frame is meant, after its end the last one.
    pub at: i64,
    /// The largest size at which the whole picture is shown while the clip lasts, pixels of the target. A larger or smaller
    /// frame is scaled.
    pub size: (u32, u32),
}

/// The frame of a file.
#[derive(Clone, Debug)]
pub enum Frame {
    /// The whole picture, upright, premultiplied, of any size.
    Picture(Arc<Pixmap>),
    /// There is none: why, in a few words, which are drawn on a placeholder.
    Missing(String),
}

/// Where a composer gets frames of files.
pub trait Frames {
    fn frame(&mut self, wanted: &WantedFrame) -> Frame;
}

/// How many labels of placeholders are kept.
const MAX_LABELS: usize = 100;

/// Draws scenes; it keeps its buffers from one to the next.
pub struct Composer {
    /// For the labels of placeholders.
    fonts: Fonts,
    labels: HashMap<String, Arc<TextLayout>>,
    scratch: Scratch,
    /// Pictures of compound clips and groups that are not used at the moment.
    spare: Vec<Pixmap>,
    line: Vec<[u8; 4]>,
}

impl Composer {
    #[must_use]
    pub fn new(fonts: Fonts) -> Self {
        Self {
            fonts,
            labels: HashMap::new(),
            scratch: Scratch::default(),
            spare: Vec::new(),
            line: Vec::new(),
        }
    }

    /// Draws a scene over the whole target, whose size may differ from the canvas: the scene is scaled to it.
    pub fn compose(&mut self, scene: &Scene, frames: &mut dyn Frames, target: &mut Pixmap) {
        let scale = Affine::scale(
            f64::from(target.width()) / scene.canvas.0,
            f64::from(target.height()) / scene.canvas.1,
        );
        let background = scene.background.unwrap_or(Color {
            alpha: 0.0,
            ..Color::BLACK
        });
        over_color(target, background);
        self.layers(&scene.layers, scale, frames, target);
    }

    fn layers(
        &mut self,
        layers: &[Layer],
        scale: Affine,
        frames: &mut dyn Frames,
        target: &mut Pixmap,
    ) {
        for layer in layers {
            self.layer(layer, scale, frames, target);
        }
    }

    fn layer(
        &mut self,
        layer: &Layer,
        scale: Affine,
        frames: &mut dyn Frames,
        target: &mut Pixmap,
    ) {
        if layer.opacity <= 0.0 {
            return;
        }
        let (width, height) = layer.content.size();
        let place = Affine::scale(width, height).then(layer.place).then(scale);
        match &layer.content {
            Content::Picture(picture) => {
                let wanted = wanted(picture, scale);
                match frames.frame(&wanted) {
                    Frame::Picture(frame) => {
                        let paint = Paint::Picture(&frame, picture.crop);
                        self.paint(layer, paint, place, scale, target);
                    }
                    Frame::Missing(label) => self.placeholder(layer, &label, place, scale, target),
                }
            }
            Content::Color { color, .. } => {
                self.paint(layer, Paint::Color(*color), place, scale, target);
            }
            Content::Text(text) => self.text(layer, text, scale, target),
            Content::Placeholder { label, .. } => {
                self.placeholder(layer, label, place, scale, target);
            }
            Content::Scene(scene) => {
                self.compound(layer, scene, (place, scale), frames, target);
            }
            Content::Group { layers, size, blur } => self.group(
                layer,
                (layers, *size, *blur),
                (place, scale),
                frames,
                target,
            ),
            Content::Adjustment { .. } => {
                adjust(target, &layer.look, layer.opacity, &mut self.scratch);
            }
        }
    }

    fn paint(
        &mut self,
        layer: &Layer,
        paint: Paint<'_>,
        place: Affine,
        scale: Affine,
        target: &mut Pixmap,
    ) {
        let covers = layer.covers.iter().map(|cover| cover.then(scale));
        // What cannot be placed shows nothing.
        let covers: Option<Vec<_>> = covers.map(|cover| cover.tester()).collect();
        let Some(covers) = covers else { return };
        let stroke = Stroke {
            paint,
            place,
            opacity: layer.opacity,
            blend: layer.blend,
            look: (!layer.look.is_plain()).then(|| layer.look.compile()),
            covers,
        };
        draw(target, &stroke, &mut self.scratch);
    }

    fn placeholder(
        &mut self,
        layer: &Layer,
        label: &str,
        place: Affine,
        scale: Affine,
        target: &mut Pixmap,
    ) {
        let color = Color::opaque(64, 64, 72);
        self.paint(layer, Paint::Color(color), place, scale, target);
        let layout = self.label(label);
        let (across, down) = place.lengths();
        let (width, height) = (f64::from(layout.width()), f64::from(layout.height()));
        // In the middle, and not wider than the place.
        let size = (across * 0.8 / width.max(1.0)).min(down * 0.2 / height.max(1.0));
        let map = Affine::translate(-width / 2.0, -height / 2.0)
            .then(Affine::scale(size / across, size / down))
            .then(Affine::translate(0.5, 0.5))
            .then(place);
        let all = 0..layout.clusters();
        let opacity = layer.opacity as f32;
        layout.draw(&mut target.as_mut(), transform(map), opacity, all);
    }

    fn label(&mut self, label: &str) -> Arc<TextLayout> {
        if let Some(known) = self.labels.get(label) {
            return known.clone();
        }
        if self.labels.len() >= MAX_LABELS {
            self.labels.clear();
        }
        let short: String = label.chars().take(80).collect();
        let mut text = Text::new(vec![TextPart::new(short, 24.0)]);
        text.align = Align::Center;
        let layout = Arc::new(self.fonts.lay_out(&text));
        self.labels.insert(label.to_owned(), layout.clone());
        layout
    }

    fn text(&mut self, layer: &Layer, text: &TextPicture, scale: Affine, target: &mut Pixmap) {
        let map = transform(layer.place.then(scale));
        let clusters = text.clusters();
        let layout = match &text.emphasis {
            Some((emphasised, color)) => Cow::Owned(text.layout.filled(emphasised, *color)),
            None => Cow::Borrowed(&*text.layout),
        };
        let is_direct =
            layer.covers.is_empty() && layer.look.is_plain() && layer.blend == Blend::Normal;
        if is_direct {
            let opacity = layer.opacity as f32;
            layout.draw(&mut target.as_mut(), map, opacity, clusters);
            return;
        }
        let Some(mut own) = self.buffer((target.width(), target.height())) else {
            return;
        };
        over_color(
            &mut own,
            Color {
                alpha: 0.0,
                ..Color::BLACK
            },
        );
        layout.draw(&mut own.as_mut(), map, 1.0, clusters);
        let whole = Affine::scale(f64::from(target.width()), f64::from(target.height()));
        let paint = Paint::Picture(&own, Affine::IDENTITY);
        self.paint(layer, paint, whole, scale, target);
        self.spare.push(own);
    }

    /// Draws the scene of a compound clip as a picture.
    fn compound(
        &mut self,
        layer: &Layer,
        scene: &Scene,
        (place, scale): (Affine, Affine),
        frames: &mut dyn Frames,
        target: &mut Pixmap,
    ) {
        let (width, height) = (f64::from(target.width()), f64::from(target.height()));
        let inner_scale = Affine::scale(width / scene.canvas.0, height / scene.canvas.1);
        let is_whole = place.is_near(Affine::scale(width, height));
        if is_whole && is_plain(layer) && scene.layers.iter().all(mixes_alone) {
            self.layers(&scene.layers, inner_scale, frames, target);
            return;
        }
        let (across, down) = place.lengths();
        let limit = |length: f64, side: f64| length.ceil().clamp(1.0, side * 2.0) as u32;
        let size = (limit(across, width), limit(down, height));
        let Some(mut inner) = self.buffer(size) else {
            return;
        };
        self.compose(scene, frames, &mut inner);
        let paint = Paint::Picture(&inner, Affine::IDENTITY);
        self.paint(layer, paint, place, scale, target);
        self.spare.push(inner);
    }

    /// Draws layers on a canvas of their own, which is smaller the more it is blurred.
    fn group(
        &mut self,
        layer: &Layer,
        (layers, size, radius): (&[Layer], (f64, f64), f64),
        (place, scale): (Affine, Affine),
        frames: &mut dyn Frames,
        target: &mut Pixmap,
    ) {
        let (across, down) = scale.lengths();
        let radius = radius * (across * down).sqrt();
        let smaller = (radius / 4.0).clamp(1.0, 64.0);
        let side = |side: f64, scale: f64, limit: u32| {
            let side = (side * scale / smaller).round();
            side.clamp(1.0, f64::from(limit)) as u32
        };
        let pixels = (
            side(size.0, across, target.width()),
            side(size.1, down, target.height()),
        );
        let Some(mut inner) = self.buffer(pixels) else {
            return;
        };
        over_color(
            &mut inner,
            Color {
                alpha: 0.0,
                ..Color::BLACK
            },
        );
        let own = Affine::scale(f64::from(pixels.0) / size.0, f64::from(pixels.1) / size.1);
        self.layers(layers, own, frames, &mut inner);
        blur(&mut inner, radius / smaller, &mut self.line);
        let paint = Paint::Picture(&inner, Affine::IDENTITY);
        self.paint(layer, paint, place, scale, target);
        self.spare.push(inner);
    }

    fn buffer(&mut self, (width, height): (u32, u32)) -> Option<Pixmap> {
        let fits = |own: &Pixmap| own.width() == width && own.height() == height;
        match self.spare.iter().position(fits) {
            Some(index) => Some(self.spare.swap_remove(index)),
            None => {
                self.spare.truncate(3);
                Pixmap::new(width, height)
            }
        }
    }
}

fn transform(map: Affine) -> Transform {
    Transform::from_row(
        map.a as f32,
        map.b as f32,
        map.c as f32,
        map.d as f32,
        map.e as f32,
        map.f as f32,
    )
}

/// Whether a layer is drawn as its content is.
fn is_plain(layer: &Layer) -> bool {
    layer.opacity >= 1.0
        && layer.blend == Blend::Normal
        && layer.covers.is_empty()
        && layer.look.is_plain()
}

/// Whether it makes no difference for a layer on what it is drawn.
fn mixes_alone(layer: &Layer) -> bool {
    layer.blend == Blend::Normal && !matches!(layer.content, Content::Adjustment { .. })
}

fn wanted(picture: &PictureContent, scale: Affine) -> WantedFrame {
    let (across, down) = scale.lengths();
    let side = |side: f64| side.ceil().clamp(1.0, LARGEST_FRAME) as u32;
    WantedFrame {
        medium: picture.medium,
        usage: picture.usage,
        at: picture.at,
        size: (
            side(picture.largest.0 * across),
            side(picture.largest.1 * down),
        ),
    }
}
