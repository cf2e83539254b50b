//! What is seen of a movie at a time.

use std::sync::Arc;

use crate::animated::Animated;
use crate::animation::Motion;
use crate::cover::{Cover, Shape};
use crate::geometry::Affine;
use crate::look::Look;
use crate::movie::{
    Backdrop, Clip, Joint, Mask, MaskShape, MediumKind, Movie, Timeline, Track, What,
};
use crate::scene::{Blend, Color, Content, Layer, PictureContent, Scene, TextPicture};
use crate::transition::Side;

/// How many layers a scene has at most, with those of compound clips: documents may refer to one clip again and again.
const MAX_LAYERS: usize = 500;
/// The strongest blur behind a clip, as a part of the canvas's shorter side.
const STRONGEST_BLUR: f64 = 0.12;

/// What is seen at a time, microseconds on the timeline.
pub(crate) fn scene(movie: &Movie, at: i64) -> Scene {
    let mut stage = Stage {
        movie,
        left: MAX_LAYERS,
        left_out: 0,
    };
    let mut scene = stage.timeline(0, at);
    scene.background = Some(Color::BLACK);
    scene.left_out = stage.left_out;
    scene
}

struct Stage<'m> {
    movie: &'m Movie,
    /// How many layers may still be made.
    left: usize,
    /// How many clips found no place.
    left_out: usize,
}

impl Stage<'_> {
    fn timeline(&mut self, index: usize, at: i64) -> Scene {
        let timeline = &self.movie.timelines[index];
        let mut shown: Vec<(i64, Vec<Layer>)> = Vec::new();
        for track in &timeline.tracks {
            let is_lowest = shown.is_empty();
            let joint = track.joint_at(at);
            for (index, clip) in track.at(at) {
                if joint.is_some_and(|joint| [joint.first, joint.second].contains(&index)) {
                    continue;
                }
                let layers = self.clip(timeline, clip, at, is_lowest);
                shown.push((clip.order, layers));
            }
            if let Some(joint) = joint {
                let order = track.clips[joint.first].order;
                shown.push((order, self.joint(timeline, track, joint, at, is_lowest)));
            }
        }
        shown.sort_by_key(|(order, _)| *order);
        Scene {
            canvas: timeline.canvas,
            background: None,
            layers: shown.into_iter().flat_map(|(_, layers)| layers).collect(),
            left_out: 0,
        }
    }

    /// The layers of a clip: what is around its picture, and the picture.
    fn clip(
        &mut self,
        timeline: &Timeline,
        clip: &Clip,
        at: i64,
        has_backdrop: bool,
    ) -> Vec<Layer> {
        if self.left < 2 {
            self.left_out += 1;
            return Vec::new();
        }
        self.left -= 2;
        let content = self.content(timeline, clip, at);
        let mut layers = Vec::new();
        if has_backdrop && let Some(backdrop) = &clip.backdrop {
            layers.extend(self.backdrop(timeline, clip, backdrop, &content));
        }
        layers.push(clip.layer(timeline.canvas, content, at));
        layers
    }

    fn content(&mut self, timeline: &Timeline, clip: &Clip, at: i64) -> Content {
        match &clip.what {
            What::Picture {
                medium,
                usage,
                crop,
            } => self.picture(timeline, clip, (*medium, *usage, *crop), at),
            What::Compound(inner) => {
                let at = clip.clock.source_at(at).round() as i64;
                Content::Scene(Box::new(self.timeline(*inner, at)))
            }
            What::Text(layout) => Content::Text(TextPicture {
                layout: layout.clone(),
                shown: 1.0,
                emphasis: clip.emphasis.as_ref().and_then(|emphasis| {
                    let clusters = emphasis.at(at - clip.clock.target.start)?;
                    Some((clusters, emphasis.color))
                }),
            }),
            What::Adjustment => Content::Adjustment {
                size: timeline.canvas,
            },
            What::Placeholder(label) => Content::Placeholder {
                label: label.clone(),
                size: timeline.canvas,
            },
        }
    }

    fn picture(
        &self,
        timeline: &Timeline,
        clip: &Clip,
        (medium, usage, crop): (usize, usize, Affine),
        at: i64,
    ) -> Content {
        let file = &self.movie.media[medium];
        Content::Picture(PictureContent {
            medium,
            usage,
            at: match file.kind {
                MediumKind::Picture => 0,
                MediumKind::Video => clip.clock.source_at(at).round() as i64,
            },
            size: visible_size(timeline.canvas, file.size, crop),
            crop,
            largest: file.uses[usage].largest,
        })
    }

    /// What is around the picture of a clip.
    fn backdrop(
        &self,
        timeline: &Timeline,
        clip: &Clip,
        backdrop: &Backdrop,
        content: &Content,
    ) -> Option<Layer> {
        let size = timeline.canvas;
        let (content, blur) = match backdrop {
            Backdrop::Color(color) => {
                let content = Content::Color {
                    color: *color,
                    size,
                };
                return Some(Layer::new(&clip.name, content));
            }
            Backdrop::Blur(level) => (content.clone(), level * STRONGEST_BLUR * size.0.min(size.1)),
            Backdrop::Picture { medium, usage } => {
                let picture = (*medium, *usage, Affine::IDENTITY);
                (self.picture(timeline, clip, picture, 0), 0.0)
            }
        };
        let (width, height) = content.size();
        let cover = (size.0 / width).max(size.1 / height);
        let place = Affine::translate(-width / 2.0, -height / 2.0)
            .then(Affine::scale(cover, cover))
            .then(Affine::translate(size.0 / 2.0, size.1 / 2.0));
        let layer = Layer {
            place,
            ..Layer::new(&clip.name, content)
        };
        Some(if blur > 0.0 {
            group(&clip.name, vec![layer], size, blur)
        } else {
            layer
        })
    }

    fn joint(
        &mut self,
        timeline: &Timeline,
        track: &Track,
        joint: &Joint,
        at: i64,
        has_backdrop: bool,
    ) -> Vec<Layer> {
        let canvas = timeline.canvas;
        let part = (at - joint.range.start) as f64 / joint.range.duration.max(1) as f64;
        let sides = joint.form.sides(part, canvas);
        let first = &track.clips[joint.first];
        let second = &track.clips[joint.second];
        let mut layers = Vec::new();
        for (clip, side, is_second) in [(first, &sides.first, false), (second, &sides.second, true)]
        {
            if side.opacity <= 0.0 {
                continue;
            }
            let mut own = self.clip(timeline, clip, at, has_backdrop);
            own = sided(own, side, clip, canvas);
            if sides.is_mixed && is_second {
                for layer in &mut own {
                    layer.blend = Blend::Add;
                }
            }
            layers.extend(own);
        }
        if sides.is_mixed && layers.len() > 1 {
            layers = vec![group(&first.name, layers, canvas, 0.0)];
        }
        if let Some(color) = sides.over.filter(|color| color.alpha > 0.0) {
            let content = Content::Color {
                color,
                size: canvas,
            };
            layers.push(Layer::new(&first.name, content));
        }
        layers
    }
}

fn group(clip: &Arc<str>, layers: Vec<Layer>, size: (f64, f64), blur: f64) -> Layer {
    Layer::new(clip, Content::Group { layers, size, blur })
}

/// The layers of a clip as a side of a transition; one layer if they have to be mixed as one.
fn sided(mut layers: Vec<Layer>, side: &Side, clip: &Clip, canvas: (f64, f64)) -> Vec<Layer> {
    for layer in &mut layers {
        layer.place = layer.place.then(side.place);
        for cover in &mut layer.covers {
            *cover = cover.then(side.place);
        }
    }
    let is_mixed = side.opacity < 1.0 || !side.covers.is_empty();
    if side.blur > 0.0 || is_mixed && layers.len() > 1 {
        layers = vec![group(&clip.name, layers, canvas, side.blur)];
    }
    for layer in &mut layers {
        layer.opacity *= side.opacity;
        layer.covers.extend_from_slice(&side.covers);
    }
    layers
}

/// The size of the visible part of a file, pixels; that of the canvas if it is not known.
pub(crate) fn visible_size(canvas: (f64, f64), file: (u32, u32), crop: Affine) -> (f64, f64) {
    let (width, height) = match file {
        (0, _) | (_, 0) => canvas,
        (width, height) => (f64::from(width), f64::from(height)),
    };
    let across = (crop.a * width).hypot(crop.b * height);
    let down = (crop.c * width).hypot(crop.d * height);
    (across.max(1.0), down.max(1.0))
}

/// The factor with which a picture is contained in the canvas.
pub(crate) fn fit(canvas: (f64, f64), size: (f64, f64)) -> f64 {
    (canvas.0 / size.0).min(canvas.1 / size.1)
}

impl Track {
    /// The clips that are seen at a time, with their indexes.
    fn at(&self, at: i64) -> impl Iterator<Item = (usize, &Clip)> {
        let end = self
            .clips
            .partition_point(|clip| clip.clock.target.start <= at);
        let start = self.clips[..end]
            .partition_point(|clip| clip.clock.target.start.saturating_add(self.longest) <= at);
        let clips = self.clips[start..end].iter().enumerate();
        clips
            .filter(move |(_, clip)| at < clip.clock.target.end())
            .map(move |(index, clip)| (start + index, clip))
    }

    /// The transition at a time.
    fn joint_at(&self, at: i64) -> Option<&Joint> {
        let end = self.joints.partition_point(|joint| joint.range.start <= at);
        let joint = self.joints[..end].last()?;
        (at < joint.range.end()).then_some(joint)
    }
}

impl Clip {
    /// The time for its keyframes, microseconds.
    fn key_time(&self, at: i64) -> f64 {
        if self.keys_on_source {
            self.clock.source_at(at)
        } else {
            (at - self.clock.target.start) as f64
        }
    }

    pub(crate) fn value(&self, animated: &Animated, at: i64) -> f64 {
        animated.at(self.key_time(at))
    }

    fn layer(&self, canvas: (f64, f64), content: Content, at: i64) -> Layer {
        let size = content.size();
        let place = self.place(canvas, size, at);
        let mut layer = Layer {
            opacity: self.value(&self.opacity, at).clamp(0.0, 1.0),
            blend: self.blend,
            look: self.look(at),
            ..Layer::new(&self.name, content)
        };
        let (place, blur) = self.animate(place, &mut layer, canvas, at);
        layer.place = place;
        let masks = self.masks.iter();
        layer
            .covers
            .extend(masks.map(|mask| self.mask(mask, size, at)));
        // Masks and animations belong to the content.
        for cover in &mut layer.covers {
            *cover = cover.then(place);
        }
        if blur <= 0.0 {
            return layer;
        }
        let (opacity, blend) = (layer.opacity, layer.blend);
        layer.opacity = 1.0;
        layer.blend = Blend::Normal;
        Layer {
            opacity,
            blend,
            ..group(&self.name, vec![layer], canvas, blur)
        }
    }

    /// Applies the animations of a time to the place, opacity and covers of a layer. The second number is a blur, in pixels
    /// of the canvas.
    fn animate(
        &self,
        mut place: Affine,
        layer: &mut Layer,
        canvas: (f64, f64),
        at: i64,
    ) -> (Affine, f64) {
        let size = layer.content.size();
        let mut blur = 0.0;
        for motion in self.motions(at) {
            place = motion.place(place, size, canvas);
            layer.opacity *= motion.opacity.clamp(0.0, 1.0);
            layer.covers.extend(motion.cover(size));
            if let Content::Text(text) = &mut layer.content {
                text.shown *= motion.letters;
            }
            blur += motion.blur * canvas.0.min(canvas.1);
        }
        (place, blur)
    }

    /// What its animations do at a time.
    fn motions(&self, at: i64) -> impl Iterator<Item = Motion> {
        // In the handles of a transition it is as at its start or end.
        let last = (self.clock.target.duration - 1).max(0);
        let elapsed = (at - self.clock.target.start).clamp(0, last);
        self.animations.iter().filter_map(move |animation| {
            let range = animation.range;
            let is_now = (range.start..range.end()).contains(&elapsed);
            let passed = elapsed - range.start;
            let part = passed as f64 / range.duration.max(1) as f64;
            let seconds = passed as f64 / 1e6;
            is_now.then(|| animation.form.motion(animation.phase, part, seconds))
        })
    }

    fn look(&self, at: i64) -> Look {
        let mut look = Look {
            chroma: self.chroma,
            ..Look::default()
        };
        for (adjustment, value) in &self.adjustments {
            look.set(*adjustment, self.value(value, at));
        }
        look
    }

    /// A mask in pixels of the content.
    // Its centre and size are parts of the material, as pyJianYingDraft writes them.
    fn mask(&self, mask: &Mask, (width, height): (f64, f64), at: i64) -> Cover {
        let value = |animated: &Animated| self.value(animated, at);
        let half = |animated: &Animated, side: f64| (value(animated) * side / 2.0).clamp(0.0, 1e6);
        let (across, down) = (half(&mask.width, width), half(&mask.height, height));
        let shape = match mask.shape {
            MaskShape::Linear => Shape::Half,
            MaskShape::Mirror => Shape::Band(down),
            MaskShape::Circle => Shape::Ellipse(across, down),
            MaskShape::Rectangle => {
                let round = value(&mask.round_corner).clamp(0.0, 1.0);
                Shape::Rectangle(across, down, round * across.min(down))
            }
            MaskShape::Heart => Shape::Heart(across, down),
            MaskShape::Star => Shape::Star(across, down),
        };
        let place = Affine::rotate(value(&mask.rotation)).then(Affine::translate(
            width / 2.0 * (1.0 + value(&mask.x)),
            height / 2.0 * (1.0 - value(&mask.y)),
        ));
        Cover {
            inverted: mask.inverted,
            ..Cover::new(shape, place)
        }
        .soft(value(&mask.feather).clamp(0.0, 1.0) * width.min(height) * 0.5)
    }

    /// From pixels of the content to those of the canvas.
    pub(crate) fn place(&self, canvas: (f64, f64), size: (f64, f64), at: i64) -> Affine {
        let fit = match self.what {
            What::Text(_) => 1.0,
            _ => fit(canvas, size),
        };
        let sign = |flipped: bool| if flipped { -1.0 } else { 1.0 };
        let value = |animated: &Animated| self.value(animated, at);
        let x = canvas.0 / 2.0 * (1.0 + value(&self.x));
        let y = canvas.1 / 2.0 * (1.0 - value(&self.y));
        Affine::translate(-size.0 / 2.0, -size.1 / 2.0)
            .then(Affine::scale(
                fit * value(&self.scale_x) * sign(self.flip.0),
                fit * value(&self.scale_y) * sign(self.flip.1),
            ))
            .then(Affine::rotate(value(&self.rotation)))
            .then(Affine::translate(x, y))
    }
}
