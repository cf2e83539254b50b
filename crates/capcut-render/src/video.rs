//! Preview videos: frames are composed in one thread and written in another, while FFmpeg decodes and encodes.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use capcut_scene::{Composer, SceneNote};
use tiny_skia::Pixmap;

use crate::encoder::{self, Encoder, FrameRate, VideoFormat};
use crate::error::{Problem, RenderError, Result};
use crate::frames::MediaFrames;
use crate::process::Stop;
use crate::renderer::{Renderer, size_within};
use crate::sound::Mixer;
use crate::workplace::Workplace;

/// How often the caller is told how far the work is, and can end it.
const TOLD: Duration = Duration::from_millis(50);
/// Work without progress for this time has failed.
const STALLED: Duration = Duration::from_mins(2);
/// How many frames wait for the encoder.
const WAITING: usize = 2;

/// What of a draft becomes a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoOptions {
    /// The part on the timeline, microseconds.
    pub range: (i64, i64),
    /// The longest side, pixels; the canvas is the largest. Sides are rounded to even numbers.
    pub longest: u32,
    /// Whether an existing file is replaced.
    pub overwrite: bool,
}

/// A video that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoReport {
    pub width: u32,
    pub height: u32,
    pub fps: f64,
    pub frames: u64,
    /// Microseconds.
    pub duration: i64,
    pub bytes: u64,
    pub has_sound: bool,
    /// The encoder of FFmpeg.
    pub encoder: &'static str,
    /// The most decoders of videos that ran at the same time.
    pub decoders: usize,
}

/// How far the work is, for the thread that watches.
#[derive(Default)]
struct Done {
    sound: AtomicU64,
    frames: AtomicU64,
}

impl Renderer {
    /// Writes a part of the draft into `target`, an MP4 file, which appears complete or not at all. `progress` is called with
    /// the part that is done, from 0 to 1, and can end the work.
    ///
    /// # Errors
    /// If FFmpeg is missing or fails, the file exists, cannot be written, or the work was cancelled.
    pub fn video(
        &mut self,
        target: &Path,
        options: VideoOptions,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<VideoReport> {
        let workplace = Workplace::new(target, options.overwrite)?;
        let stop = Stop::default();
        let done = Done::default();
        let (from, to) = options.range;
        let rate = FrameRate::of(self.movie.fps());
        let frames = rate.frames_in(to - from);
        let mut work = Work {
            renderer: self,
            options,
            rate,
            frames,
            workplace: &workplace,
            stop: &stop,
            done: &done,
        };
        let made = thread::scope(|scope| {
            let (ended, end) = mpsc::channel();
            let worker = scope.spawn(|| {
                // Sent or dropped, also by a panic: either wakes the thread that watches.
                let ended = ended;
                let made = work.run();
                let _ = ended.send(());
                made
            });
            let why = watch(&end, &done, frames, &stop, progress);
            let made = worker.join().unwrap_or_else(|_| {
                Err(RenderError::new(
                    Problem::Internal,
                    "a part of the renderer failed; this is a bug",
                ))
            });
            // A video that was complete before it was cancelled counts.
            match (made, why) {
                (Err(_), Some(why)) => Err(why),
                (made, _) => made,
            }
        });
        let (report, notes) = made?;
        self.add_notes(&notes);
        workplace.publish(VIDEO)?;
        Ok(report)
    }
}

/// Calls `progress` until the work ends; returns why it was ended, if it was.
fn watch(
    end: &mpsc::Receiver<()>,
    done: &Done,
    frames: u64,
    stop: &Stop,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
) -> Option<RenderError> {
    let mut last = (0, Instant::now());
    loop {
        let (sound, composed) = (
            done.sound.load(Ordering::Relaxed),
            done.frames.load(Ordering::Relaxed),
        );
        if sound + composed != last.0 {
            last = (sound + composed, Instant::now());
        }
        if progress(composed as f32 / frames as f32).is_break() {
            stop.stop();
            return Some(RenderError::cancelled());
        }
        if last.1.elapsed() > STALLED {
            stop.stop();
            let message = format!("no frame was made within {} s", STALLED.as_secs());
            return Some(RenderError::new(Problem::TimedOut, message));
        }
        match end.recv_timeout(TOLD) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// The files in the workplace.
const VIDEO: &str = "video.mp4";
const SOUND: &str = "sound.m4a";

struct Work<'a> {
    renderer: &'a Renderer,
    options: VideoOptions,
    rate: FrameRate,
    frames: u64,
    workplace: &'a Workplace,
    stop: &'a Stop,
    done: &'a Done,
}

impl Work<'_> {
    fn run(&mut self) -> Result<(VideoReport, Vec<SceneNote>)> {
        let tools = self.renderer.tools()?;
        let (from, to) = self.options.range;
        let mut notes = Vec::new();
        let clips = self.renderer.sound_clips(&mut notes);
        let mut mixer = Mixer::new(clips, (from, to), tools, self.stop);
        let sound = (!mixer.is_silent()).then(|| self.workplace.file(SOUND));
        if let Some(sound) = &sound {
            let mut heard = || {
                self.done.sound.fetch_add(1, Ordering::Relaxed);
            };
            encoder::write_sound(&mut mixer, sound, tools, self.stop, &mut heard)?;
        }
        notes.extend(mixer.failures().map(|(clip, why)| SceneNote {
            clip: clip.sound.clip.clone(),
            subject: "sound".to_owned(),
            is_left_out: true,
            text: format!("it is not heard: {why}"),
        }));
        let (width, height) = size_within(self.renderer.movie.canvas(), self.options.longest);
        let even = |side: u32| (side & !1).max(16);
        let format = VideoFormat {
            width: even(width),
            height: even(height),
            rate: self.rate,
        };
        let video = self.workplace.file(VIDEO);
        let encoder = Encoder::start(format, sound.as_deref(), &video, tools, self.stop)?;
        let name = encoder.name();
        let mut media = self.renderer.media_frames(self.stop);
        self.encode(format, encoder, &mut media)?;
        media.close();
        notes.extend(media.notes().iter().cloned());
        encoder::check(&video, self.frames, sound.is_some(), tools)?;
        let bytes = std::fs::metadata(&video)
            .map_err(|error| RenderError::storage("the video", &error))?
            .len();
        let report = VideoReport {
            width: format.width,
            height: format.height,
            fps: f64::from(self.rate.above) / f64::from(self.rate.below),
            frames: self.frames,
            duration: self.rate.time_of(self.frames),
            bytes,
            has_sound: sound.is_some(),
            encoder: name,
            decoders: media.most_open(),
        };
        Ok((report, notes))
    }

    /// Composes all frames and waits for the encoder.
    fn encode(&self, format: VideoFormat, encoder: Encoder, media: &mut MediaFrames) -> Result<()> {
        let Encoder {
            process, mut pipe, ..
        } = encoder;
        let (full, written) = mpsc::sync_channel::<Pixmap>(WAITING);
        let (empty, reused) = mpsc::channel::<Pixmap>();
        thread::scope(|scope| {
            let writer = scope.spawn(move || {
                for picture in written {
                    if pipe.write_all(picture.data()).is_err() {
                        return false;
                    }
                    let _ = empty.send(picture);
                }
                pipe.flush().is_ok()
            });
            let composed = self.compose(format, media, &full, &reused);
            drop(full);
            let is_written = writer.join().unwrap_or(false);
            if !is_written {
                return Err(Encoder::failure(&process, self.stop));
            }
            composed
        })?;
        if self.stop.is_stopped() {
            return Err(RenderError::cancelled());
        }
        Encoder::finish(&process, self.stop)
    }

    fn compose(
        &self,
        format: VideoFormat,
        media: &mut MediaFrames,
        full: &mpsc::SyncSender<Pixmap>,
        reused: &mpsc::Receiver<Pixmap>,
    ) -> Result<()> {
        let movie = &self.renderer.movie;
        media.set_scale(f64::from(format.width) / f64::from(movie.canvas().0.max(1)));
        let mut composer = Composer::new(self.renderer.fonts.clone());
        for frame in 0..self.frames {
            if self.stop.is_stopped() {
                return Err(RenderError::cancelled());
            }
            let at = self.options.range.0 + self.rate.time_of(frame);
            let new = || Pixmap::new(format.width, format.height);
            let mut target = reused.try_recv().ok().or_else(new).ok_or_else(|| {
                let message = format!(
                    "a picture of {} × {} pixels is not possible",
                    format.width, format.height
                );
                RenderError::new(Problem::Invalid, message)
            })?;
            media.follow(at);
            let scene = movie.scene(at);
            media.note_left_out(&scene);
            composer.compose(&scene, media, &mut target);
            if full.send(target).is_err() {
                // The encoder ended; the caller says why.
                return Ok(());
            }
            self.done.frames.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
