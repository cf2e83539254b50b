//! A document, read to be drawn.

use std::sync::Arc;

use capcut_draft::{Document, TimeRange};

use crate::animated::Animated;
use crate::clock::Clock;
use crate::geometry::Affine;
use crate::read::read;
use crate::scene::{Blend, Color, Content, Layer, PictureContent, Scene, SceneNote};

/// A document, read to be drawn.
#[derive(Clone, Debug)]
pub struct Movie {
    /// The document itself, and those of compound clips.
    pub(crate) timelines: Vec<Timeline>,
    pub(crate) media: Vec<Medium>,
    pub(crate) sounds: Vec<Sound>,
    pub(crate) notes: Vec<SceneNote>,
    pub(crate) fps: f64,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediumKind {
    Picture,
    Video,
}

/// A file whose frames are seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Medium {
    /// As the document has it; it may begin with the app's placeholder for the draft's folder, and be relative, empty or
    /// of another system.
    pub path: String,
    pub kind: MediumKind,
    /// Pixels, as it is shown after rotation; 0 if the document does not say.
    pub size: (u32, u32),
    /// Microseconds; 0 if the document does not say.
    pub duration: i64,
    pub uses: Vec<MediumUse>,
}

/// A clip that shows a file.
#[derive(Clone, Debug, PartialEq)]
pub struct MediumUse {
    /// By its short id.
    pub clip: Arc<str>,
    /// When it is seen, with the handles of transitions, microseconds on the timeline.
    pub shown: TimeRange,
    /// The part of the file that is seen then, microseconds; the end is after the start, also where it may be beyond the file.
    pub source: TimeRange,
    /// The largest size of the whole picture on the canvas, pixels.
    pub largest: (f64, f64),
}

/// A clip that is heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// By its short id.
    pub clip: Arc<str>,
    /// As in [`Medium::path`].
    pub path: String,
    /// Whether the file is a video, which may have no sound.
    pub is_video: bool,
    /// When it is heard, microseconds on the timeline.
    pub range: TimeRange,
    /// Which part of the file is heard when, and at which speed. Its target may reach beyond `range`: a compound clip shows
    /// a part of what is in it.
    pub clock: Clock,
    /// Whether its pitch stays the same at another speed.
    pub keeps_pitch: bool,
    /// Its gains, which are multiplied.
    pub gains: Vec<Gain>,
    /// Effects that are not heard.
    pub left_out: Vec<String>,
}

/// A volume over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Gain {
    /// Keyframes on the timeline.
    pub volume: Animated,
    /// The clip on the timeline, microseconds, to which the fades belong.
    pub range: TimeRange,
    /// Microseconds.
    pub fade_in: i64,
    pub fade_out: i64,
}

impl Gain {
    fn at(&self, time: i64) -> f64 {
        let ramp = |elapsed: i64, length: i64| {
            if length > 0 {
                (elapsed as f64 / length as f64).clamp(0.0, 1.0)
            } else {
                1.0
            }
        };
        self.volume.at(time as f64).clamp(0.0, 100.0)
            * ramp(time - self.range.start, self.fade_in)
            * ramp(self.range.end() - time, self.fade_out)
    }
}

impl Sound {
    /// The factor for its samples at a time on the timeline, microseconds.
    #[must_use]
    pub fn gain_at(&self, time: i64) -> f64 {
        self.gains.iter().map(|gain| gain.at(time)).product()
    }
}

/// A document's tracks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    pub canvas: (f64, f64),
    pub duration: i64,
    pub tracks: Vec<Track>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    /// By start; only those that are seen.
    pub clips: Vec<Clip>,
    /// The longest clip, to find those that overlap.
    pub longest: i64,
}

/// A clip that is seen.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub name: Arc<str>,
    pub what: What,
    pub clock: Clock,
    /// Whether keyframes are on the clock of the file, or count from the start of the clip.
    pub keys_on_source: bool,
    /// What covers what: larger is above.
    pub order: i64,
    /// Half canvases from the centre.
    pub x: Animated,
    /// Upwards.
    pub y: Animated,
    pub scale_x: Animated,
    pub scale_y: Animated,
    /// Degrees, clockwise.
    pub rotation: Animated,
    pub opacity: Animated,
    pub flip: (bool, bool),
    pub blend: Blend,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Picture {
        medium: usize,
        usage: usize,
        crop: Affine,
    },
    /// A draft within the draft: the index of its timeline.
    Compound(usize),
    Placeholder(Arc<str>),
}

impl Movie {
    /// Reads a document. What cannot be read is left out, with a note.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        read(document)
    }

    /// Width and height of the canvas, pixels.
    #[must_use]
    pub fn canvas(&self) -> (u32, u32) {
        let (width, height) = self.timelines[0].canvas;
        (width as u32, height as u32)
    }

    /// Microseconds.
    #[must_use]
    pub fn duration(&self) -> i64 {
        self.timelines[0].duration
    }

    /// Frames per second, from 1 to 1000.
    #[must_use]
    pub fn fps(&self) -> f64 {
        self.fps
    }

    /// The files that are seen.
    #[must_use]
    pub fn media(&self) -> &[Medium] {
        &self.media
    }

    /// The clips that are heard.
    #[must_use]
    pub fn sounds(&self) -> &[Sound] {
        &self.sounds
    }

    /// What is approximate or left out, by clip.
    #[must_use]
    pub fn notes(&self) -> &[SceneNote] {
        &self.notes
    }

    /// Sets the size of a file, for callers that have read it: pixels, as it is shown after rotation. Documents may have
    /// another size, or none. Sizes of 0 are ignored.
    pub fn set_size(&mut self, medium: usize, size: (u32, u32)) {
        if size.0 > 0
            && size.1 > 0
            && let Some(medium) = self.media.get_mut(medium)
        {
            medium.size = size;
        }
        self.measure();
    }

    /// What is seen at a time, microseconds on the timeline.
    #[must_use]
    pub fn scene(&self, at: i64) -> Scene {
        let mut scene = self.scene_of(0, at);
        scene.background = Some(Color::BLACK);
        scene
    }

    fn scene_of(&self, index: usize, at: i64) -> Scene {
        let timeline = &self.timelines[index];
        let mut shown: Vec<(i64, Vec<Layer>)> = Vec::new();
        for track in &timeline.tracks {
            for clip in track.at(at) {
                let layers = vec![self.layer(timeline, clip, at)];
                shown.push((clip.order, layers));
            }
        }
        shown.sort_by_key(|(order, _)| *order);
        Scene {
            canvas: timeline.canvas,
            background: None,
            layers: shown.into_iter().flat_map(|(_, layers)| layers).collect(),
        }
    }

    fn layer(&self, timeline: &Timeline, clip: &Clip, at: i64) -> Layer {
        let content = match &clip.what {
            What::Picture {
                medium,
                usage,
                crop,
            } => Content::Picture(PictureContent {
                medium: *medium,
                usage: *usage,
                at: match self.media[*medium].kind {
                    MediumKind::Picture => 0,
                    MediumKind::Video => clip.clock.source_at(at).round() as i64,
                },
                size: visible_size(timeline.canvas, self.media[*medium].size, *crop),
                crop: *crop,
                largest: self.media[*medium].uses[*usage].largest,
            }),
            What::Compound(inner) => {
                let at = clip.clock.source_at(at).round() as i64;
                Content::Scene(Box::new(self.scene_of(*inner, at)))
            }
            What::Placeholder(label) => Content::Placeholder {
                label: label.clone(),
                size: timeline.canvas,
            },
        };
        let place = clip.place(timeline.canvas, content.size(), at);
        Layer {
            clip: clip.name.clone(),
            content,
            place,
            opacity: clip.value(&clip.opacity, at).clamp(0.0, 1.0),
            blend: clip.blend,
        }
    }

    /// Sets the largest sizes at which files are seen.
    pub(crate) fn measure(&mut self) {
        let media = &mut self.media;
        for timeline in &self.timelines {
            for clip in timeline.tracks.iter().flat_map(|track| &track.clips) {
                let What::Picture {
                    medium,
                    usage,
                    crop,
                } = &clip.what
                else {
                    continue;
                };
                let (width, height) = visible_size(timeline.canvas, media[*medium].size, *crop);
                let fit = fit(timeline.canvas, (width, height));
                let (across, down) = crop.lengths();
                let whole = |visible: f64, part: f64, scale: &Animated| {
                    let size = visible / part.max(1e-3) * fit * scale.largest();
                    size.clamp(1.0, 1e5)
                };
                media[*medium].uses[*usage].largest = (
                    whole(width, across, &clip.scale_x),
                    whole(height, down, &clip.scale_y),
                );
            }
        }
    }
}

/// The size of the visible part of a file, pixels; that of the canvas if it is not known.
fn visible_size(canvas: (f64, f64), file: (u32, u32), crop: Affine) -> (f64, f64) {
    let (width, height) = match file {
        (0, _) | (_, 0) => canvas,
        (width, height) => (f64::from(width), f64::from(height)),
    };
    let across = (crop.a * width).hypot(crop.b * height);
    let down = (crop.c * width).hypot(crop.d * height);
    (across.max(1.0), down.max(1.0))
}

/// The factor with which a picture is contained in the canvas.
fn fit(canvas: (f64, f64), size: (f64, f64)) -> f64 {
    (canvas.0 / size.0).min(canvas.1 / size.1)
}

impl Track {
    /// The clips that are seen at a time.
    fn at(&self, at: i64) -> impl Iterator<Item = &Clip> {
        let end = self
            .clips
            .partition_point(|clip| clip.clock.target.start <= at);
        let start = self.clips[..end]
            .partition_point(|clip| clip.clock.target.start.saturating_add(self.longest) <= at);
        self.clips[start..end]
            .iter()
            .filter(move |clip| at < clip.clock.target.end())
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

    /// From pixels of the content to those of the canvas.
    fn place(&self, canvas: (f64, f64), size: (f64, f64), at: i64) -> Affine {
        let fit = fit(canvas, size);
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
