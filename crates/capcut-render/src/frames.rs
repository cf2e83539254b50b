//! The frames of the files of a draft: pictures are decoded once, and videos by a few decoders at a time.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use capcut_scene::{
    Content, Frame, Frames, Layer, Medium, MediumKind, Movie, PictureContent, Scene, SceneNote,
    WantedFrame,
};
use tiny_skia::Pixmap;

use crate::decoder::{Decoder, VideoSource};
use crate::kept::{FrameKey, KeptFrames};
use crate::process::Stop;
use crate::resize::within;
use crate::still::{StillError, still};
use crate::tools::Tools;

/// How many decoders run at the same time.
const DECODERS: usize = 4;
/// How long before its clip is seen a decoder is opened, microseconds.
const AHEAD: i64 = 1_200_000;
/// How many bytes of frames a decoder keeps that has to make room for another one, and how many frames.
const KEPT_BYTES: usize = 48 << 20;
const KEPT_FRAMES: usize = 24;
/// How many bytes of decoded pictures are kept.
const STILL_BYTES: usize = 96 << 20;

/// A file, or why there is none, in a few words.
pub type FoundFile = Result<PathBuf, String>;

/// A clip: the index of its file, and of its use.
type ClipKey = (usize, usize);

pub(crate) struct MediaFrames {
    media: Vec<Medium>,
    files: Vec<FoundFile>,
    /// All uses by their start.
    starts: Vec<(i64, ClipKey)>,
    /// From the canvas to the target.
    scale: f64,
    /// Frames per second of the output.
    fps: f64,
    tools: Option<Tools>,
    stop: Stop,
    stills: HashMap<(usize, (u32, u32)), Arc<Pixmap>>,
    clips: HashMap<ClipKey, OpenClip>,
    failed: HashMap<usize, String>,
    /// The clips whose files were looked at for notes.
    noted: HashSet<ClipKey>,
    /// Counts the frames of the output.
    now: u64,
    notes: Vec<SceneNote>,
    /// The most decoders that ran at the same time.
    most_open: usize,
    /// Frames of earlier pictures; `None` for videos, which show each frame once.
    kept: Option<KeptFrames>,
    /// See [`VideoSource::is_exact`].
    is_exact: bool,
}

struct OpenClip {
    decoder: Decoder,
    /// When it was last asked.
    used: u64,
    /// Animations start again after this length, microseconds.
    loops_after: Option<i64>,
}

impl MediaFrames {
    pub(crate) fn new(
        movie: &Movie,
        files: Vec<FoundFile>,
        tools: Option<Tools>,
        stop: Stop,
    ) -> Self {
        let media = movie.media().to_vec();
        let uses = media.iter().enumerate().flat_map(|(index, medium)| {
            let uses = medium.uses.iter().enumerate();
            let is_video = medium.kind == MediumKind::Video;
            uses.filter(move |_| is_video)
                .map(move |(usage, used)| (used.shown.start, (index, usage)))
        });
        let mut starts: Vec<_> = uses.collect();
        starts.sort_unstable();
        Self {
            media,
            files,
            starts,
            scale: 1.0,
            fps: movie.fps(),
            tools,
            stop,
            stills: HashMap::new(),
            clips: HashMap::new(),
            failed: HashMap::new(),
            noted: HashSet::new(),
            now: 0,
            notes: Vec::new(),
            most_open: 0,
            kept: None,
            is_exact: false,
        }
    }

    /// Uses the frames of earlier pictures, and keeps those of this one. Colours are exact.
    pub(crate) fn for_pictures(&mut self, kept: Option<KeptFrames>) {
        self.kept = kept;
        self.is_exact = true;
    }

    /// Sets the factor from the canvas to the target.
    pub(crate) fn set_scale(&mut self, scale: f64) {
        if (scale - self.scale).abs() > 1e-9 {
            self.scale = scale;
            self.clips.clear();
        }
    }

    pub(crate) fn notes(&self) -> &[SceneNote] {
        &self.notes
    }

    pub(crate) fn most_open(&self) -> usize {
        self.most_open
    }

    /// Ends all decoders.
    pub(crate) fn close(&mut self) {
        self.clips.clear();
    }

    /// Ends the decoders of clips that are over, and opens those of the clips that follow while fewer than the limit run.
    pub(crate) fn follow(&mut self, time: i64) {
        self.now += 1;
        let media = &self.media;
        self.clips
            .retain(|(medium, usage), _| media[*medium].uses[*usage].shown.end() > time);
        let first = self.starts.partition_point(|(start, _)| *start <= time);
        let last = self
            .starts
            .partition_point(|(start, _)| *start <= time + AHEAD);
        for index in first..last {
            let (_, key) = self.starts[index];
            if self.running() >= DECODERS {
                return;
            }
            if self.clips.contains_key(&key) || self.failed.contains_key(&key.0) {
                continue;
            }
            self.prepare_clip(key, self.media[key.0].uses[key.1].source.start);
        }
    }

    /// Starts the decoders for a scene together, so that they run side by side.
    pub(crate) fn prepare(&mut self, scene: &Scene) {
        self.now += 1;
        let mut wanted = Vec::new();
        pictures(&scene.layers, &mut wanted);
        wanted.retain(|picture| {
            self.media
                .get(picture.medium)
                .is_some_and(|medium| medium.kind == MediumKind::Video)
                && !self.clips.contains_key(&(picture.medium, picture.usage))
                && !self.failed.contains_key(&picture.medium)
                && self
                    .kept_video((picture.medium, picture.usage), picture.at)
                    .is_none()
        });
        wanted.truncate(DECODERS.saturating_sub(self.running()));
        if let Some(tools) = &self.tools {
            thread::scope(|scope| {
                for picture in &wanted {
                    if let Some(Ok(file)) = self.files.get(picture.medium) {
                        scope.spawn(|| tools.facts(file));
                    }
                }
            });
        }
        for picture in wanted {
            self.prepare_clip((picture.medium, picture.usage), picture.at);
        }
    }

    fn prepare_clip(&mut self, key: ClipKey, at: i64) {
        if let Ok(mut clip) = self.open(key) {
            // What fails here is reported when the clip is seen.
            let _ = clip.decoder.prepare(at.max(0));
            clip.used = self.now;
            self.clips.insert(key, clip);
            self.most_open = self.most_open.max(self.running());
        }
    }

    fn running(&self) -> usize {
        self.clips
            .values()
            .filter(|clip| clip.decoder.is_running())
            .count()
    }

    /// The largest size at which a clip is shown, pixels of the target.
    fn size(&self, (medium, usage): ClipKey) -> (u32, u32) {
        let side = |length: f64| (length * self.scale).ceil().clamp(1.0, 8192.0) as u32;
        let used = self.media.get(medium).and_then(|it| it.uses.get(usage));
        used.map_or((1, 1), |used| (side(used.largest.0), side(used.largest.1)))
    }

    /// The key of a frame of a clip, if frames are kept.
    fn frame_key(
        &self,
        medium: usize,
        at: i64,
        size: (u32, u32),
    ) -> Option<(&KeptFrames, FrameKey)> {
        let kept = self.kept.as_ref()?;
        let file = self.files.get(medium)?.as_ref().ok()?;
        Some((kept, FrameKey::of(file, at, size)?))
    }

    fn kept_video(&self, clip: ClipKey, at: i64) -> Option<Arc<Pixmap>> {
        let (kept, key) = self.frame_key(clip.0, at, self.size(clip))?;
        kept.get(&key)
    }

    fn open(&self, (medium, usage): ClipKey) -> Result<OpenClip, String> {
        let size = self.size((medium, usage));
        let file = self
            .files
            .get(medium)
            .cloned()
            .unwrap_or_else(|| Err("no file".to_owned()))?;
        let Some(tools) = &self.tools else {
            return Err(NO_TOOL.to_owned());
        };
        let facts = tools.facts(&file)?.video.ok_or("it has no picture")?;
        let used = &self.media[medium].uses[usage];
        let speed = used.source.duration as f64 / (used.shown.duration as f64).max(1.0);
        let is_dense = facts.fps.is_some_and(|fps| fps * speed > 2.0 * self.fps);
        let loops = facts.codec == "gif" || facts.codec == "apng";
        let loops_after = facts
            .duration
            .filter(|_| loops)
            .map(|duration| (duration * 1e6) as i64);
        let source = VideoSource {
            size: within((facts.width, facts.height), size),
            step: is_dense.then_some(0.5 * speed / self.fps),
            is_exact: self.is_exact,
            file,
            facts,
        };
        Ok(OpenClip {
            decoder: Decoder::new(source, tools, &self.stop),
            used: 0,
            loops_after: loops_after.filter(|length| *length > 0),
        })
    }

    /// Pauses the decoders that were not asked for longest, until one more can run.
    fn make_room(&mut self) {
        while self.running() >= DECODERS {
            let running = self
                .clips
                .values_mut()
                .filter(|clip| clip.decoder.is_running());
            let Some(oldest) = running.min_by_key(|clip| clip.used) else {
                return;
            };
            // More clips are seen than there are decoders: each decodes some frames in its turn.
            let is_seen = oldest.used + 2 >= self.now;
            let keep = if is_seen {
                (KEPT_BYTES / oldest.decoder.frame_bytes()).clamp(2, KEPT_FRAMES)
            } else {
                0
            };
            oldest.decoder.pause(keep);
        }
    }

    fn video(&mut self, wanted: &WantedFrame) -> Result<Arc<Pixmap>, String> {
        let key = (wanted.medium, wanted.usage);
        if let Some(frame) = self.kept_video(key, wanted.at) {
            return Ok(frame);
        }
        let mut clip = match self.clips.remove(&key) {
            Some(clip) => clip,
            None => self.open(key)?,
        };
        let at = match clip.loops_after {
            Some(length) => wanted.at.max(0) % length,
            None => wanted.at,
        };
        if clip.decoder.must_start(at) {
            self.make_room();
        }
        clip.used = self.now;
        let frame = clip.decoder.frame(at);
        self.clips.insert(key, clip);
        self.most_open = self.most_open.max(self.running());
        if let (Ok(frame), Some((kept, key))) =
            (&frame, self.frame_key(key.0, wanted.at, self.size(key)))
        {
            kept.put(key, frame);
        }
        frame
    }

    fn picture(&mut self, wanted: &WantedFrame) -> Result<Arc<Pixmap>, String> {
        let key = (wanted.medium, wanted.size);
        if let Some(picture) = self.stills.get(&key) {
            return Ok(Arc::clone(picture));
        }
        let file = self
            .files
            .get(wanted.medium)
            .cloned()
            .unwrap_or_else(|| Err("no file".to_owned()))?;
        let before = self.frame_key(wanted.medium, 0, wanted.size);
        if let Some(picture) = before.as_ref().and_then(|(kept, key)| kept.get(key)) {
            return Ok(picture);
        }
        let picture = match still(&file, wanted.size) {
            Ok(picture) => {
                let picture = Arc::new(picture);
                if let Some((kept, key)) = before {
                    kept.put(key, &picture);
                }
                picture
            }
            Err(StillError::Broken(why)) => return Err(why),
            // HEIC, AVIF, TIFF and others.
            Err(StillError::Format) => {
                let picture = self.video(&WantedFrame { at: 0, ..*wanted })?;
                self.clips.remove(&(wanted.medium, wanted.usage));
                picture
            }
        };
        let bytes = |picture: &Pixmap| picture.data().len();
        let all: usize = self.stills.values().map(|picture| bytes(picture)).sum();
        if all + bytes(&picture) > STILL_BYTES {
            self.stills.clear();
        }
        self.stills.insert(key, Arc::clone(&picture));
        Ok(picture)
    }

    /// Notes that a scene has more layers than are drawn.
    pub(crate) fn note_left_out(&mut self, scene: &Scene) {
        let is_noted = self.notes.iter().any(|note| note.subject == TOO_MANY);
        if scene.left_out > 0 && !is_noted {
            self.notes.push(SceneNote {
                clip: Arc::default(),
                subject: TOO_MANY.to_owned(),
                is_left_out: true,
                text:
                    "at most 500 are drawn at one time; those on the lowest tracks are drawn first"
                        .to_owned(),
            });
        }
    }

    fn note(&mut self, wanted: &WantedFrame, subject: &str, is_left_out: bool, text: String) {
        let clip = self.media[wanted.medium]
            .uses
            .get(wanted.usage)
            .map(|used| Arc::clone(&used.clip));
        let note = SceneNote {
            clip: clip.unwrap_or_default(),
            subject: subject.to_owned(),
            is_left_out,
            text,
        };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Notes what is approximate in a file that was decoded.
    fn note_facts(&mut self, wanted: &WantedFrame) {
        let (Some(Ok(file)), Some(tools)) = (self.files.get(wanted.medium), &self.tools) else {
            return;
        };
        let is_hdr = tools
            .facts(file)
            .is_ok_and(|facts| facts.video.is_some_and(|video| video.is_hdr));
        if !is_hdr {
            return;
        }
        let text = if tools.converts_hdr() {
            "HDR video, converted to SDR: colours are approximate"
        } else {
            "HDR video, shown without conversion: its colours are pale; an FFmpeg with the filters zscale and tonemap converts them"
        };
        self.note(wanted, "HDR", false, text.to_owned());
    }
}

/// The files in layers and those within them.
fn pictures<'a>(layers: &'a [Layer], found: &mut Vec<&'a PictureContent>) {
    for layer in layers.iter().filter(|layer| layer.opacity > 0.0) {
        match &layer.content {
            Content::Picture(picture) => found.push(picture),
            Content::Scene(scene) => pictures(&scene.layers, found),
            Content::Group { layers, .. } => pictures(layers, found),
            _ => {}
        }
    }
}

/// The subject of the note on scenes with too many layers.
const TOO_MANY: &str = "layers";
/// The label of videos where FFmpeg is not installed.
const NO_TOOL: &str = "video: needs ffmpeg";

impl Frames for MediaFrames {
    fn frame(&mut self, wanted: &WantedFrame) -> Frame {
        let Some(medium) = self.media.get(wanted.medium) else {
            return Frame::Missing("no file".to_owned());
        };
        let kind = medium.kind;
        let made = match self.failed.get(&wanted.medium) {
            Some(why) => Err(why.clone()),
            None if kind == MediumKind::Picture => self.picture(wanted),
            None => self.video(wanted),
        };
        match made {
            Ok(picture) => {
                if kind == MediumKind::Video && self.noted.insert((wanted.medium, wanted.usage)) {
                    self.note_facts(wanted);
                }
                Frame::Picture(picture)
            }
            Err(why) => {
                if self.stop.is_stopped() {
                    return Frame::Missing(String::new());
                }
                self.failed.insert(wanted.medium, why.clone());
                let path = self.media[wanted.medium].path.clone();
                let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
                let text = format!("a placeholder is shown instead of \"{name}\": {why}");
                self.note(wanted, "media", true, text);
                let label = if why == NO_TOOL {
                    why
                } else {
                    format!("{name}: {why}")
                };
                Frame::Missing(label)
            }
        }
    }
}
