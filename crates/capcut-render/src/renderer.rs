//! A draft with its files, ready to be shown.

use std::sync::Arc;

use capcut_scene::{Composer, MediumKind, Movie, Scene, SceneNote};
use capcut_text::Fonts;
use tiny_skia::Pixmap;

use crate::error::{Problem, RenderError, Result};
use crate::frames::{FoundFile, MediaFrames};
use crate::kept::KeptFrames;
use crate::process::Stop;
use crate::sound::SoundClip;
use crate::still::still;
use crate::tools::Tools;

/// The files of a draft.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// In the order of [`Movie::media`].
    pub media: Vec<FoundFile>,
    /// In the order of [`Movie::sounds`].
    pub sounds: Vec<FoundFile>,
}

/// A draft with its files. What is drawn depends on nothing else than these.
pub struct Renderer {
    pub(crate) movie: Movie,
    files: Files,
    pub(crate) fonts: Fonts,
    tools: Option<Tools>,
    notes: Vec<SceneNote>,
    kept: Option<KeptFrames>,
}

impl Renderer {
    /// `fonts` are those with which the movie was read. `tools` are missing where FFmpeg is not installed: videos are shown as placeholders then.
    pub fn new(mut movie: Movie, files: Files, fonts: Fonts, tools: Option<Tools>) -> Self {
        for index in 0..movie.media().len() {
            let medium = &movie.media()[index];
            if medium.size.0 > 0 && medium.size.1 > 0 {
                continue;
            }
            let Some(Ok(file)) = files.media.get(index) else {
                continue;
            };
            let video = || tools.as_ref()?.facts(file).ok()?.video;
            let whole = || still(file, (u32::MAX, u32::MAX)).ok();
            let size = match medium.kind {
                MediumKind::Picture => whole().map(|picture| (picture.width(), picture.height())),
                MediumKind::Video => None,
            };
            let size = size.or_else(|| video().map(|video| (video.width, video.height)));
            if let Some(size) = size {
                movie.set_size(index, size);
            }
        }
        let mut notes = movie.notes().to_vec();
        if tools.is_none()
            && movie
                .media()
                .iter()
                .any(|medium| medium.kind == MediumKind::Video)
        {
            notes.push(SceneNote {
                clip: Arc::default(),
                subject: "ffmpeg".to_owned(),
                is_left_out: true,
                text: "FFmpeg is not installed: videos are shown as placeholders".to_owned(),
            });
        }
        Self {
            movie,
            files,
            fonts,
            tools,
            notes,
            kept: None,
        }
    }

    /// Uses the frames that were decoded for earlier pictures, and keeps those of its own. Videos neither use nor keep any.
    #[must_use]
    pub fn with_kept(mut self, kept: &KeptFrames) -> Self {
        self.kept = Some(kept.clone());
        self
    }

    pub fn movie(&self) -> &Movie {
        &self.movie
    }

    /// By clip: what is approximate or left out in the document, and in the frames and videos that were made.
    pub fn notes(&self) -> &[SceneNote] {
        &self.notes
    }

    pub(crate) fn add_notes(&mut self, notes: &[SceneNote]) {
        for note in notes {
            if !self.notes.contains(note) {
                self.notes.push(note.clone());
            }
        }
    }

    /// Why the frames of a file are not shown, if that is known: it is missing, or FFmpeg is.
    pub fn hindrance(&self, medium: usize) -> Option<String> {
        match self.files.media.get(medium) {
            Some(Err(why)) => Some(why.clone()),
            Some(Ok(_)) => {
                let is_video = self.movie.media().get(medium)?.kind == MediumKind::Video;
                (is_video && self.tools.is_none()).then(|| "FFmpeg is not installed".to_owned())
            }
            None => Some("no file".to_owned()),
        }
    }

    pub(crate) fn tools(&self) -> Result<&Tools> {
        self.tools.as_ref().ok_or_else(|| {
            RenderError::new(
                Problem::NoTool,
                "`ffmpeg` is not installed: a preview video cannot be made without it",
            )
        })
    }

    pub(crate) fn media_frames(&self, stop: &Stop) -> MediaFrames {
        MediaFrames::new(
            &self.movie,
            self.files.media.clone(),
            self.tools.clone(),
            stop.clone(),
        )
    }

    /// The clips that are heard; those whose files are missing are noted.
    pub(crate) fn sound_clips(&self, notes: &mut Vec<SceneNote>) -> Vec<SoundClip> {
        let mut clips = Vec::new();
        for (index, sound) in self.movie.sounds().iter().enumerate() {
            let file = self
                .files
                .sounds
                .get(index)
                .cloned()
                .unwrap_or_else(|| Err("no file".to_owned()));
            let facts = file.and_then(|file| {
                let facts = self
                    .tools
                    .as_ref()
                    .map(|tools| tools.facts(&file))
                    .transpose()?;
                Ok((file, facts.and_then(|facts| facts.sound)))
            });
            match facts {
                Ok((file, Some(facts))) => clips.push(SoundClip {
                    sound: sound.clone(),
                    file,
                    facts,
                }),
                // A video without sound.
                Ok((_, None)) if sound.is_video => {}
                Ok((_, None)) => notes.push(silent(&sound.clip, "the file has no sound")),
                Err(why) => notes.push(silent(&sound.clip, &why)),
            }
        }
        clips
    }

    /// The picture at a time, microseconds, in a size within `longest` pixels on its longer side.
    ///
    /// # Errors
    /// If there is too little memory for it.
    pub fn frame(&mut self, at: i64, longest: u32) -> Result<Pixmap> {
        let mut frames = self.frames(&[at], longest)?;
        frames
            .pop()
            .ok_or_else(|| RenderError::new(Problem::Internal, "there is no frame"))
    }

    /// The pictures at times, in the order of the times.
    ///
    /// # Errors
    /// As [`Self::frame`].
    pub fn frames(&mut self, times: &[i64], longest: u32) -> Result<Vec<Pixmap>> {
        let last = (self.movie.duration() - 1).max(0);
        let scenes = times
            .iter()
            .map(|at| self.movie.scene((*at).clamp(0, last)));
        let scenes: Vec<_> = scenes.collect();
        self.scenes(&scenes, longest)
    }

    /// The pictures of scenes of the movie, which may be parts of what is seen.
    ///
    /// # Errors
    /// As [`Self::frame`].
    pub fn scenes(&mut self, scenes: &[Scene], longest: u32) -> Result<Vec<Pixmap>> {
        let stop = Stop::default();
        let (width, height) = size_within(self.movie.canvas(), longest);
        let mut media = self.media_frames(&stop);
        media.set_scale(f64::from(width) / f64::from(self.movie.canvas().0.max(1)));
        media.for_pictures(self.kept.clone());
        let mut composer = Composer::new(self.fonts.clone());
        let mut pictures = Vec::new();
        for scene in scenes {
            let mut target = Pixmap::new(width, height).ok_or_else(|| {
                RenderError::new(
                    Problem::Invalid,
                    format!("a picture of {width} × {height} pixels is not possible"),
                )
            })?;
            media.prepare(scene);
            media.note_left_out(scene);
            composer.compose(scene, &mut media, &mut target);
            pictures.push(target);
        }
        media.close();
        let notes = media.notes().to_vec();
        self.add_notes(&notes);
        Ok(pictures)
    }
}

/// The size with the proportions of the canvas whose longer side has at most `longest` pixels; not larger than the canvas.
pub fn size_within(canvas: (u32, u32), longest: u32) -> (u32, u32) {
    crate::resize::within(canvas, (longest, longest))
}

fn silent(clip: &Arc<str>, why: &str) -> SceneNote {
    SceneNote {
        clip: Arc::clone(clip),
        subject: "sound".to_owned(),
        is_left_out: true,
        text: format!("it is not heard: {why}"),
    }
}
