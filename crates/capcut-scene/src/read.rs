//! Reads documents into timelines.

mod effects;
mod sound;
mod text;
mod values;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use capcut_draft::{
    ClipKind, ClipRef, Clock, Dialect, Document, KeyframeList, MaterialRef, RootRef, TimeRange,
    TrackRef, field,
};
use capcut_text::Fonts;

use crate::movie::{Clip, Medium, MediumKind, MediumUse, Movie, Timeline, Track, What};
use crate::scene::{Blend, SceneNote};
use crate::transition::TransitionForm;

/// The sides that a canvas can have, pixels. The apps have 4K at most.
const SIDES: std::ops::RangeInclusive<i64> = 2..=8192;
/// The canvas of a document without one, as in new drafts of the apps.
const USUAL_CANVAS: (f64, f64) = (1920.0, 1080.0);
/// How deep compound clips are drawn.
const MAX_DEPTH: usize = 8;
/// How many clips are read, with those of compound clips once for each clip that shows them.
const MAX_CLIPS: usize = 50_000;
/// How many bytes of documents of compound clips are read.
const MAX_COMPOUND_BYTES: usize = 256 * 1024 * 1024;
/// How many notes are kept.
const MAX_NOTES: usize = 5_000;

/// Reads a document and those of its compound clips.
pub(crate) fn read(document: &Document, fonts: &Fonts) -> Movie {
    let fps = document.grid().fps();
    let mut reader = Reader {
        movie: Movie {
            timelines: Vec::new(),
            media: Vec::new(),
            sounds: Vec::new(),
            notes: Vec::new(),
            fps,
        },
        fonts: fonts.clone(),
        media: HashMap::new(),
        clips_left: MAX_CLIPS,
        bytes_left: MAX_COMPOUND_BYTES,
    };
    let outer = Outer {
        prefix: String::new(),
        stretch: 1.0,
        offset: 0.0,
        window: TimeRange {
            start: 0,
            duration: i64::MAX / 4,
        },
        gains: Vec::new(),
        depth: 0,
    };
    reader.timeline(document, &outer);
    reader.movie.measure();
    reader.movie
}

use values::{animated, crop, number};

pub(crate) use text::font_files;

/// Where a document stands in the movie.
#[derive(Clone)]
struct Outer {
    /// The ids of the clips that contain it.
    prefix: String,
    /// A time in it, times this and plus `offset`, is a time of the movie.
    stretch: f64,
    offset: f64,
    /// When it is seen, in the movie.
    window: TimeRange,
    /// Of the clips that contain it.
    gains: Vec<crate::movie::Gain>,
    depth: usize,
}

impl Outer {
    fn time(&self, inner: i64) -> i64 {
        (inner as f64 * self.stretch + self.offset).round() as i64
    }

    fn range(&self, inner: TimeRange) -> TimeRange {
        TimeRange::between(self.time(inner.start), self.time(inner.end()))
    }

    /// When something in it is seen in the movie.
    fn shown(&self, inner: TimeRange) -> TimeRange {
        let range = self.range(inner);
        let start = range.start.max(self.window.start);
        TimeRange::between(start, range.end().min(self.window.end()).max(start))
    }

    fn inner_time(&self, time: i64) -> i64 {
        ((time as f64 - self.offset) / self.stretch).round() as i64
    }
}

struct Reader {
    movie: Movie,
    fonts: Fonts,
    /// By path and kind.
    media: HashMap<(String, bool), usize>,
    clips_left: usize,
    bytes_left: usize,
}

/// A document that is being read.
struct Source<'d> {
    document: &'d Document,
    canvas: (f64, f64),
    outer: &'d Outer,
    /// The documents of compound clips that were parsed already.
    compounds: HashMap<MaterialRef, Option<Rc<Document>>>,
}

impl Reader {
    fn note(&mut self, clip: &Arc<str>, subject: &str, is_left_out: bool, text: impl Into<String>) {
        if self.movie.notes.len() >= MAX_NOTES {
            return;
        }
        let note = SceneNote {
            clip: clip.clone(),
            subject: subject.to_owned(),
            is_left_out,
            text: text.into(),
        };
        if self.movie.notes.last() != Some(&note) {
            self.movie.notes.push(note);
        }
    }

    /// Reads a document; returns the index of its timeline.
    fn timeline(&mut self, document: &Document, outer: &Outer) -> usize {
        let index = self.movie.timelines.len();
        let canvas = self.canvas(document, outer);
        self.movie.timelines.push(Timeline {
            canvas,
            duration: document.end().max(0),
            tracks: Vec::new(),
        });
        let mut source = Source {
            document,
            canvas,
            outer,
            compounds: HashMap::new(),
        };
        let by_track = document.value(RootRef, &field::root::RENDER_INDEX_TRACK_MODE);
        let mut tracks = Vec::new();
        for (position, track) in document.tracks().into_iter().enumerate() {
            let position = by_track.then_some(position as i64);
            let mut clips = self.track(&mut source, track, position);
            clips.sort_by_key(|(clip, _)| clip.clock.target.start);
            let (clips, transitions): (Vec<Clip>, Vec<_>) = clips.into_iter().unzip();
            let longest = clips.iter().map(|clip| clip.clock.target.duration).max();
            tracks.push(Track {
                name: document.short_track_id(track).into(),
                not_drawn: not_drawn(document, track),
                longest: longest.unwrap_or_default(),
                joints: self.joints(outer, &clips, &transitions),
                clips,
            });
        }
        self.movie.timelines[index].tracks = tracks;
        index
    }

    fn canvas(&mut self, document: &Document, outer: &Outer) -> (f64, f64) {
        let side = |field| document.value(RootRef, field);
        let width = side(&field::root::CANVAS_WIDTH);
        let height = side(&field::root::CANVAS_HEIGHT);
        if SIDES.contains(&width) && SIDES.contains(&height) {
            return (width as f64, height as f64);
        }
        let clip = outer.prefix.trim_end_matches('/').into();
        self.note(
            &clip,
            "canvas",
            false,
            format!(
                "the canvas is {width} × {height} pixels; it is drawn as 1920 × 1080, because sides must be from {} to {} pixels",
                SIDES.start(),
                SIDES.end()
            ),
        );
        USUAL_CANVAS
    }

    /// The clips of a track that are seen, with their transitions.
    fn track(
        &mut self,
        source: &mut Source<'_>,
        track: TrackRef,
        position: Option<i64>,
    ) -> Vec<(Clip, Option<(TransitionForm, i64)>)> {
        let document = source.document;
        let attribute = document.value(track, &field::track::ATTRIBUTE);
        let (is_muted, is_hidden) = (attribute & 1 != 0, attribute & 2 != 0);
        let clips: Vec<ClipRef> = document.clips(track).collect();
        let mut seen = Vec::new();
        for own in clips {
            if self.clips_left == 0 {
                let whole = Arc::from("");
                self.note(
                    &whole,
                    "clips",
                    true,
                    format!(
                        "only the first {MAX_CLIPS} clips are drawn, with those of compound clips"
                    ),
                );
                break;
            }
            self.clips_left -= 1;
            let target = document.target(own);
            if target.duration <= 0 || !document.value(own, &field::clip::VISIBLE) {
                continue;
            }
            let Some(main) = document.main_material(own) else {
                continue;
            };
            let name: Arc<str> =
                format!("{}{}", source.outer.prefix, document.short_id(own)).into();
            let kind = document.clip_kind(own);
            let clock = document.clock(own);
            if !is_muted && matches!(kind, ClipKind::Video | ClipKind::Audio) {
                self.sound(source, own, main, kind, &name, &clock);
            }
            if is_hidden && kind != ClipKind::Compound {
                continue;
            }
            let Some(what) = self.what(source, own, main, kind, &name, &clock, is_muted) else {
                continue;
            };
            if is_hidden {
                continue;
            }
            let order = || document.value(own, &field::clip::RENDER_INDEX);
            let order = position.unwrap_or_else(order);
            let transition = self.transition(document, own, &name);
            let clip = self.clip(source, own, name, what, clock, order);
            seen.push((clip, transition));
        }
        seen
    }

    /// What a clip shows; none if nothing is seen of it.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a clip that were read already"
    )]
    fn what(
        &mut self,
        source: &mut Source<'_>,
        own: ClipRef,
        main: MaterialRef,
        kind: ClipKind,
        name: &Arc<str>,
        clock: &Clock,
        is_muted: bool,
    ) -> Option<What> {
        match kind {
            ClipKind::Video | ClipKind::Image => {
                Some(self.picture(source, main, kind, name, clock))
            }
            ClipKind::Compound => self.compound(source, own, main, name, clock, is_muted),
            ClipKind::Adjust => Some(What::Adjustment),
            ClipKind::Filter => {
                let filter = source.document.value(main, &field::material::NAME);
                let is_drawn = effects::is_gray(&filter);
                if !is_drawn {
                    let text = format!("the filter \"{filter}\" is not drawn");
                    self.note(name, "filter", true, text);
                }
                is_drawn.then_some(What::Adjustment)
            }
            ClipKind::Effect => {
                let effect = source.document.value(main, &field::material::NAME);
                let text = format!("the effect \"{effect}\" is not drawn");
                self.note(name, "effect_type", true, text);
                None
            }
            ClipKind::Sticker => {
                self.note(
                    name,
                    "sticker_id",
                    true,
                    "the sticker is not drawn: its picture is in the app",
                );
                None
            }
            ClipKind::TextTemplate => {
                self.note(
                    name,
                    "text template",
                    true,
                    "the text template is not drawn",
                );
                None
            }
            ClipKind::Text => Some(self.text(source, own, main, name)),
            ClipKind::Audio | ClipKind::Unknown => None,
        }
    }

    fn picture(
        &mut self,
        source: &Source<'_>,
        main: MaterialRef,
        kind: ClipKind,
        name: &Arc<str>,
        clock: &Clock,
    ) -> What {
        let document = source.document;
        let path = file_of(document, main);
        let is_video = kind == ClipKind::Video;
        let side = |field| u32::try_from(document.value(main, field)).unwrap_or_default();
        let size = (
            side(&field::material::WIDTH).min(1 << 16),
            side(&field::material::HEIGHT).min(1 << 16),
        );
        let duration = document.value(main, &field::material::DURATION).max(0);
        let medium = self.medium(Medium {
            path,
            kind: if is_video {
                MediumKind::Video
            } else {
                MediumKind::Picture
            },
            size,
            duration,
            uses: Vec::new(),
        });
        let uses = &mut self.movie.media[medium].uses;
        uses.push(usage(source.outer, name, clock, clock.target));
        What::Picture {
            medium,
            usage: uses.len() - 1,
            crop: crop(document, main),
        }
    }

    /// The index of a file; each file is listed once.
    fn medium(&mut self, medium: Medium) -> usize {
        let key = (medium.path.clone(), medium.kind == MediumKind::Video);
        let media = &mut self.movie.media;
        *self.media.entry(key).or_insert_with(|| {
            media.push(medium);
            media.len() - 1
        })
    }

    fn compound(
        &mut self,
        source: &mut Source<'_>,
        own: ClipRef,
        main: MaterialRef,
        name: &Arc<str>,
        clock: &Clock,
        is_muted: bool,
    ) -> Option<What> {
        let document = source.document;
        let material = if document.list_name(main) == "drafts" {
            main
        } else {
            document.companion(own, &["drafts"])?
        };
        if source.outer.depth >= MAX_DEPTH {
            self.note(
                name,
                "compound clip",
                true,
                format!("compound clips are drawn {MAX_DEPTH} levels deep"),
            );
            return Some(What::Placeholder("compound clip".into()));
        }
        let left = &mut self.bytes_left;
        let inner = source.compounds.entry(material).or_insert_with(|| {
            let text = document.raw(material, &["draft"])?;
            *left = left.checked_sub(text.len())?;
            Document::parse_object(text).ok().map(Rc::new)
        });
        let Some(inner) = inner.clone() else {
            self.note(
                name,
                "compound clip",
                true,
                "the draft of the compound clip cannot be read; a placeholder is drawn",
            );
            return Some(What::Placeholder("compound clip".into()));
        };
        if !clock.curve.is_empty() {
            self.note(
                name,
                "speed_curve",
                false,
                "sounds inside a compound clip are played at its average speed",
            );
        }
        let outer = self.outer_of(source, own, name, clock, is_muted);
        Some(What::Compound(self.timeline(&inner, &outer)))
    }

    /// Where the document of a compound clip stands in the movie.
    fn outer_of(
        &mut self,
        source: &Source<'_>,
        own: ClipRef,
        name: &Arc<str>,
        clock: &Clock,
        is_muted: bool,
    ) -> Outer {
        let outer = source.outer;
        let speed = if clock.curve.is_empty() || clock.source.duration <= 0 {
            clock.speed
        } else {
            clock.source.duration as f64 / clock.target.duration as f64
        };
        let stretch = outer.stretch / speed;
        let start = clock.target.start as f64 * outer.stretch + outer.offset;
        let mut gains = outer.gains.clone();
        gains.push(sound::gain(source, own, clock, is_muted));
        Outer {
            prefix: format!("{name}/"),
            stretch,
            offset: start - clock.source.start as f64 * stretch,
            window: outer.shown(clock.target),
            gains,
            depth: outer.depth + 1,
        }
    }

    fn clip(
        &mut self,
        source: &Source<'_>,
        own: ClipRef,
        name: Arc<str>,
        what: What,
        clock: Clock,
        order: i64,
    ) -> Clip {
        let document = source.document;
        let lists = document.keyframes(own);
        let keys_on_source = self.keys_on_source(document, own, &name, &clock, &lists);
        let number = |path: &[&str], default: f64| number(document, own, path, default);
        let animated = |key: &str, base: f64| animated(&lists, key, base);
        let mut scale_x = animated("KFTypeScaleX", number(&["clip", "scale", "x"], 1.0));
        let mut scale_y = animated("KFTypeScaleY", number(&["clip", "scale", "y"], 1.0));
        let is_uniform = document.flag(own, &["uniform_scale", "on"]) != Some(false);
        // A uniform scale is the horizontal scale alone.
        if is_uniform && !scale_x.is_fixed() && scale_y.is_fixed() {
            scale_y = scale_x.clone();
        } else if is_uniform && scale_x.is_fixed() && !scale_y.is_fixed() {
            scale_x = scale_y.clone();
        }
        let uniform = animated("UNIFORM_SCALE", 1.0);
        if !uniform.is_fixed() {
            (scale_x, scale_y) = (uniform.clone(), uniform);
        }
        let flag = |path: &[&str]| document.flag(own, path) == Some(true);
        let alpha = if let What::Text(_) = what {
            text::opacity(document, own, &lists)
        } else {
            animated("KFTypeAlpha", number(&["clip", "alpha"], 1.0))
        };
        let mut clip = Clip {
            name,
            what,
            keys_on_source,
            order,
            x: animated("KFTypePositionX", number(&["clip", "transform", "x"], 0.0)),
            y: animated("KFTypePositionY", number(&["clip", "transform", "y"], 0.0)),
            scale_x,
            scale_y,
            rotation: animated("KFTypeRotation", number(&["clip", "rotation"], 0.0)),
            opacity: alpha,
            flip: (
                flag(&["clip", "flip", "horizontal"]),
                flag(&["clip", "flip", "vertical"]),
            ),
            blend: Blend::Normal,
            masks: Vec::new(),
            adjustments: Vec::new(),
            chroma: None,
            backdrop: None,
            animations: Vec::new(),
            emphasis: None,
            clock,
        };
        if let What::Text(layout) = &clip.what {
            clip.emphasis = self.emphasis(document, own, layout, &clip.name);
        }
        self.effects(source, own, &lists, &mut clip);
        clip
    }

    /// Whether the keyframes of a clip are on the clock of its file. Documents of the reference server, and of tools like
    /// it, count them from the start of the clip.
    fn keys_on_source(
        &mut self,
        document: &Document,
        own: ClipRef,
        name: &Arc<str>,
        clock: &Clock,
        lists: &[KeyframeList],
    ) -> bool {
        let on_source = counts_on_source(document, own, clock, lists);
        let is_moved = !on_source
            && document.dialect() == Dialect::App
            && clock.source.start > 0
            && has_source(document, own)
            && lists.iter().any(|list| !list.points.is_empty());
        if is_moved {
            self.note(
                name,
                "keyframes",
                false,
                "all keyframes are before the part of the file that is shown; they are taken as counted from the start of the clip",
            );
        }
        on_source
    }
}

/// When clips of a track are seen that are not drawn.
fn not_drawn(document: &Document, track: TrackRef) -> Vec<TimeRange> {
    if document.value(track, &field::track::ATTRIBUTE) & 2 != 0 {
        return Vec::new();
    }
    let is_seen = |own: &ClipRef| {
        matches!(
            document.clip_kind(*own),
            ClipKind::Sticker | ClipKind::TextTemplate
        ) && document.value(*own, &field::clip::VISIBLE)
    };
    let clips = document.clips(track).filter(is_seen);
    clips.map(|own| document.target(own)).collect()
}

fn has_source(document: &Document, own: ClipRef) -> bool {
    let raw = document.raw(own, &["source_timerange"]);
    raw.is_some_and(|raw| raw.starts_with(b"{"))
}

/// As [`Reader::keys_on_source`], without a note.
fn counts_on_source(
    document: &Document,
    own: ClipRef,
    clock: &Clock,
    lists: &[KeyframeList],
) -> bool {
    if document.dialect() == Dialect::Api || !has_source(document, own) {
        return false;
    }
    let mut offsets = lists
        .iter()
        .flat_map(|list| &list.points)
        .map(|point| point.offset);
    let before_source = 0..clock.source.start;
    before_source.is_empty() || !offsets.all(|offset| before_source.contains(&offset))
}

/// The file of a material. Working documents name the file that was added beside the place that it gets in a save.
fn file_of(document: &Document, main: MaterialRef) -> String {
    let added = || document.get(main, &field::material::REMOTE_URL);
    if document.dialect() == Dialect::Api
        && let Some(added) = added().filter(|added| !added.is_empty())
    {
        return added;
    }
    document.value(main, &field::material::PATH)
}

/// When a clip shows which part of its file.
fn usage(outer: &Outer, name: &Arc<str>, clock: &Clock, range: TimeRange) -> MediumUse {
    let shown = outer.shown(range);
    let source = |time: i64| clock.source_at(outer.inner_time(time)).clamp(-1e13, 1e13) as i64;
    let start = source(shown.start);
    MediumUse {
        clip: name.clone(),
        shown,
        source: TimeRange::between(start, source(shown.end()).max(start)),
        largest: (1.0, 1.0),
    }
}
