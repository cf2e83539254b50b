//! A document, read to be drawn.

use std::ops::Range;
use std::sync::Arc;

use capcut_draft::{Clock, Document, TimeRange};
use capcut_text::{Fonts, Rgba, TextLayout};

use crate::animated::Animated;
use crate::animation::{AnimationForm, AnimationPhase};
use crate::geometry::Affine;
use crate::look::{Adjustment, ChromaKey};
use crate::read::read;
use crate::scene::{Blend, Color, Scene, SceneNote};
use crate::stage::{fit, visible_size};
use crate::transition::TransitionForm;

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
    /// Its short id.
    pub name: Arc<str>,
    /// When clips are seen that are not drawn, such as stickers.
    pub not_drawn: Vec<TimeRange>,
    /// By start; only those that are seen.
    pub clips: Vec<Clip>,
    /// The longest clip, to find those that overlap.
    pub longest: i64,
    /// By start.
    pub joints: Vec<Joint>,
}

/// A transition between two clips of a track.
#[derive(Clone, Debug)]
pub(crate) struct Joint {
    /// Indexes of clips.
    pub first: usize,
    pub second: usize,
    pub range: TimeRange,
    pub form: TransitionForm,
}

/// An animation of a clip.
#[derive(Clone, Debug)]
pub(crate) struct Animation {
    pub form: AnimationForm,
    pub phase: AnimationPhase,
    /// From the start of the clip, microseconds on the timeline.
    pub range: TimeRange,
}

/// The shape of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaskShape {
    Linear,
    Mirror,
    Circle,
    Rectangle,
    Heart,
    Star,
}

/// A mask of a clip.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    pub shape: MaskShape,
    /// Half pictures from the centre, upwards.
    pub x: Animated,
    pub y: Animated,
    /// Parts of the picture.
    pub width: Animated,
    pub height: Animated,
    /// Degrees, clockwise.
    pub rotation: Animated,
    /// From 0 to 1.
    pub feather: Animated,
    pub round_corner: Animated,
    pub inverted: bool,
}

/// What is around the picture of a clip.
#[derive(Clone, Debug)]
pub(crate) enum Backdrop {
    Color(Color),
    /// The clip itself, blurred; from 0 to 1.
    Blur(f64),
    /// A picture that covers the canvas.
    Picture {
        medium: usize,
        usage: usize,
    },
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
    pub masks: Vec<Mask>,
    pub adjustments: Vec<(Adjustment, Animated)>,
    pub chroma: Option<ChromaKey>,
    pub backdrop: Option<Backdrop>,
    pub animations: Vec<Animation>,
    pub emphasis: Option<Emphasis>,
}

/// The words of a caption that are emphasised while they are spoken.
#[derive(Clone, Debug)]
pub(crate) struct Emphasis {
    pub color: Rgba,
    /// From which time after the start of the clip which clusters are emphasised, microseconds, in order.
    pub changes: Vec<(i64, Range<usize>)>,
}

impl Emphasis {
    /// What is emphasised at a time after the start of the clip.
    pub(crate) fn at(&self, time: i64) -> Option<Range<usize>> {
        let next = self.changes.partition_point(|(start, _)| *start <= time);
        let (_, clusters) = self.changes.get(next.checked_sub(1)?)?;
        Some(clusters.clone())
    }
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
    Text(Arc<TextLayout>),
    /// Its adjustments change all that is below.
    Adjustment,
    Placeholder(Arc<str>),
}

impl Movie {
    /// Reads a document. What cannot be read is left out, with a note. Of the fonts that it names, those are used that
    /// `fonts` has; [`Movie::font_files`] lists the files.
    #[must_use]
    pub fn new(document: &Document, fonts: &Fonts) -> Self {
        read(document, fonts)
    }

    /// The files of fonts that the texts of a document name, as it has them, each once.
    #[must_use]
    pub fn font_files(document: &Document) -> Vec<String> {
        crate::read::font_files(document)
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
        crate::stage::scene(self, at)
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
