//! What the tools that show a draft's pictures have in common: the draft, its files, and the remarks on the result.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use capcut_draft::Document;
use capcut_render::{
    FoundFile, KeptFrames, Problem, RenderError, Renderer, VideoOptions, VideoReport,
};
use capcut_scene::{Movie, SceneNote};
use capcut_text::Fonts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::args::to_value;
use crate::draft::ids::DraftId;
use crate::engine::package::unwritable;
use crate::engine::paths::{file_name, located};
use crate::error::{Error, Kind, Result};
use crate::exec::drafts::{NamedDraft, any, document_of};
use crate::exec::{App, Context};
use crate::media::{Media, ffmpeg};
use crate::picture::png::system_fonts;
use crate::regular_file;

/// What every picture is said to be.
pub(crate) const PREVIEW: &str =
    "this is a preview: the app's export is final, and differs where a note says so";
/// The longest time that a call can name, in seconds.
pub(super) const LONGEST_S: f64 = 1e6;
/// How many font files of a draft are read.
const FONTS: usize = 16;
/// How many notes a reply has, how many characters, and how many clips each names.
const NOTES: usize = 40;
const NOTE_CHARACTERS: usize = 6_000;
const CLIPS: usize = 20;
/// The longest result with an image, in characters: hosts do not show longer ones in a view.
const RESULT: usize = 90_000;
/// Of these, the part for notes that are added later and for what is around the reply and the image.
const AROUND: usize = 1_500;
const IMAGE_STEP: usize = 4096;

/// A draft that is going to be shown.
pub(crate) struct ShownDraft {
    pub movie: Movie,
    pub document: Document,
    fonts: Fonts,
    /// The draft's folder, if it is on disk.
    pub folder: Option<PathBuf>,
}

impl ShownDraft {
    /// Reads a draft as `open_draft` and `inspect_draft` read it.
    pub(crate) async fn read(
        app: &Arc<App>,
        draft: &NamedDraft,
        context: &Context,
    ) -> Result<Self> {
        let (document, folder) = document_of(app, draft, context).await?;
        let mut fonts = system_fonts();
        for font in Movie::font_files(&document).iter().take(FONTS) {
            let Some(file) = located(font, folder.as_deref()) else {
                continue;
            };
            let media = app.media.of(&context.caller);
            if let Some(file) = media.here(&file.to_string_lossy()).await {
                fonts = blocking(move || Ok(fonts.with_file(&file).unwrap_or(fonts))).await?;
            }
        }
        let used = fonts.clone();
        let (movie, document) = blocking(move || {
            let movie = Movie::new(&document, &used);
            Ok((movie, document))
        })
        .await?;
        if movie.duration() <= 0 {
            return Err(
                Error::conflict("the draft is empty: there is nothing to show")
                    .hint("add clips first"),
            );
        }
        Ok(Self {
            movie,
            document,
            fonts,
            folder,
        })
    }

    /// Seconds.
    pub(crate) fn duration_s(&self) -> f64 {
        self.movie.duration() as f64 / 1e6
    }

    /// Gives the draft its files: those that are seen or heard between two times, microseconds on the timeline.
    pub(crate) async fn with_files(
        self,
        app: &Arc<App>,
        ranges: &[(i64, i64)],
        has_sound: bool,
        context: &Context,
    ) -> Result<RenderableDraft> {
        let data = app.settings.data_dir()?;
        let stored = |error| unwritable(data, error);
        regular_file::create_own_folder(data).map_err(stored)?;
        let mut files = FileFinder {
            media: app.media.of(&context.caller),
            folder: self.folder.as_deref(),
            fetched: tempfile::Builder::new()
                .prefix("render-")
                .tempdir_in(data)
                .map_err(stored)?,
            count: 0,
        };
        let is_in =
            |start: i64, end: i64| ranges.iter().any(|(from, to)| start <= *to && end >= *from);
        let mut media = Vec::new();
        for medium in self.movie.media() {
            let is_seen = medium
                .uses
                .iter()
                .any(|used| is_in(used.shown.start, used.shown.end()));
            media.push(if is_seen {
                files.find(&medium.path).await
            } else {
                Err(NOT_SHOWN.to_owned())
            });
        }
        let mut sounds = Vec::new();
        for sound in self.movie.sounds() {
            let is_heard = has_sound && is_in(sound.range.start, sound.range.end());
            sounds.push(if is_heard {
                files.find(&sound.path).await
            } else {
                Err(NOT_SHOWN.to_owned())
            });
        }
        let fetched = files.fetched;
        let (movie, fonts) = (self.movie, self.fonts);
        let renderer = blocking(move || {
            let files = capcut_render::Files { media, sounds };
            Ok(Renderer::new(movie, files, fonts, ffmpeg::tools()).with_kept(kept_frames()))
        });
        Ok(RenderableDraft {
            renderer: renderer.await?,
            _fetched: fetched,
        })
    }
}

/// Who may read a file is asked before its frames are looked for, so all callers share them.
fn kept_frames() -> &'static KeptFrames {
    static KEPT: OnceLock<KeptFrames> = OnceLock::new();
    KEPT.get_or_init(KeptFrames::default)
}

/// The reason for files that are not needed; it is never shown.
const NOT_SHOWN: &str = "it is not shown";

/// A draft with its files. Fetched files are removed with it.
pub(crate) struct RenderableDraft {
    pub renderer: Renderer,
    _fetched: TempDir,
}

impl RenderableDraft {
    /// Writes a video; see [`Renderer::video`]. `progress` is called with the part that is done, from 0 to 1.
    pub(crate) async fn video(
        mut self,
        target: PathBuf,
        options: VideoOptions,
        cancel: CancellationToken,
        progress: impl Fn(f32) + Send + 'static,
    ) -> Result<(VideoReport, Vec<String>)> {
        // The end of this future, such as that of the process, ends the work.
        let stop = cancel.child_token();
        let _ends_with_the_future = stop.clone().drop_guard();
        blocking(move || {
            let made = self.renderer.video(&target, options, &mut |done| {
                progress(done);
                if stop.is_cancelled() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            let report = made.map_err(of_renderer)?;
            Ok((report, notes(self.renderer.notes())))
        })
        .await
    }
}

/// Finds the files of a draft that its caller may read.
struct FileFinder<'a> {
    media: Media,
    folder: Option<&'a Path>,
    fetched: TempDir,
    count: usize,
}

impl FileFinder<'_> {
    async fn find(&mut self, path: &str) -> FoundFile {
        if path.is_empty() {
            return Err("the draft names no file".to_owned());
        }
        if !Media::is_here(path) {
            self.count += 1;
            let to = self.fetched.path().join(self.count.to_string());
            let fetched = self.media.fetch(path, &to, &|_, _| {}).await;
            return fetched.map(|_| to).map_err(|error| error.message);
        }
        let Some(file) = located(path, self.folder) else {
            return Err("it is on another computer".to_owned());
        };
        let found = self.media.here(&file.to_string_lossy()).await;
        found.ok_or_else(|| "it is missing or may not be read".to_owned())
    }
}

/// An error of the renderer as one of this program.
pub(crate) fn of_renderer(error: RenderError) -> Error {
    let kind = match error.problem {
        Problem::Invalid => Kind::InvalidArgument,
        Problem::Exists => Kind::Conflict,
        Problem::NoTool | Problem::Media | Problem::Storage => Kind::Media,
        Problem::TimedOut => Kind::Timeout,
        Problem::Cancelled => Kind::Cancelled,
        Problem::Internal => Kind::Internal,
    };
    let made = Error::new(kind, error.message);
    match (error.hint, error.problem) {
        (Some(hint), _) => made.hint(hint),
        (None, Problem::NoTool) => made.hint(ffmpeg::HOW_TO_GET),
        (None, _) => made,
    }
}

/// The size of an image in bytes so that it fits into a result with its reply, which is sent twice, as data and as text, and with the timeline
/// for a view, which has this number of characters.
pub(super) fn image_bytes(reply: &impl Serialize, timeline: usize) -> Result<usize> {
    let data = to_value(reply)?.to_string();
    let text = Value::String(data.clone()).to_string();
    let sent = data.chars().count() + text.chars().count();
    let left = RESULT.saturating_sub(timeline + AROUND + sent);
    // Base64 has four characters for three bytes. In steps, so that a draft looks the same in folders with other names.
    Ok(left / 4 * 3 / IMAGE_STEP * IMAGE_STEP)
}

/// The remarks, each with all its clips as one line, those that are left out first.
pub(crate) fn notes(notes: &[SceneNote]) -> Vec<String> {
    let mut lines: Vec<(&SceneNote, Vec<&str>)> = Vec::new();
    let (left_out, approximate): (Vec<_>, Vec<_>) = notes.iter().partition(|note| note.is_left_out);
    for note in left_out.into_iter().chain(approximate) {
        let is_same = |(other, _): &&mut (&SceneNote, Vec<&str>)| {
            (&other.subject, &other.text, other.is_left_out)
                == (&note.subject, &note.text, note.is_left_out)
        };
        match lines.iter_mut().find(is_same) {
            Some((_, clips)) => clips.push(&note.clip),
            None => lines.push((note, vec![&note.clip])),
        }
    }
    let all = lines.len();
    lines.truncate(NOTES);
    let line = |(note, clips): (&SceneNote, Vec<&str>)| {
        let what = if note.is_left_out {
            "left out"
        } else {
            "approximate"
        };
        let mut place = clips[..clips.len().min(CLIPS)].join(", ");
        if let Some(more) = clips.len().checked_sub(CLIPS).filter(|more| *more > 0) {
            place.push_str(&format!(" and {more} more"));
        }
        if !place.is_empty() {
            place.push_str(": ");
        }
        format!("{place}{} ({what}): {}", note.subject, note.text)
    };
    let mut characters = 0;
    let mut lines: Vec<String> = lines.into_iter().map(line).collect();
    lines.retain(|line| {
        let longer = characters + line.chars().count();
        let fits = longer <= NOTE_CHARACTERS;
        characters = if fits { longer } else { characters };
        fits
    });
    if let Some(more) = all.checked_sub(lines.len()).filter(|more| *more > 0) {
        lines.push(format!("and {more} more notes"));
    }
    lines
}

/// The draft that a call names: exactly one of both.
pub(super) async fn draft_of(
    app: &App,
    draft_id: Option<&DraftId>,
    draft: Option<&str>,
    context: &Context,
) -> Result<NamedDraft> {
    let named = draft_id.map(DraftId::as_str).or(draft);
    let named = named.ok_or_else(|| Error::invalid("neither `draft_id` nor `draft` is given"))?;
    any(app, &context.caller, named).await
}

/// The problem if not exactly one of `draft_id` and `draft` is given.
pub(super) fn draft_fault(draft_id: Option<&DraftId>, draft: Option<&str>) -> Option<String> {
    match (draft_id, draft.map(str::trim).filter(|draft| !draft.is_empty())) {
        (Some(_), None) | (None, Some(_)) => None,
        (None, None) => Some(
            "`draft_id` or `draft` is required: an id, or the folder, document or exact name of a draft".to_owned(),
        ),
        (Some(_), Some(_)) => Some("give either `draft_id` or `draft`, not both".to_owned()),
    }
}

/// The problem of a time, in seconds.
pub(super) fn time_fault(name: &str, time: f64) -> Option<String> {
    (!(0.0..=LONGEST_S).contains(&time))
        .then(|| format!("`{name}` is {time} s; it must be from 0 to {LONGEST_S} s"))
}

/// The problem of a size, in pixels.
pub(super) fn size_fault(size: Option<u32>) -> Option<String> {
    let size = size.filter(|size| !SIZES.contains(size))?;
    Some(format!(
        "`size` is {size} pixels; the longer side must have from {} to {} pixels",
        SIZES.start(),
        SIZES.end()
    ))
}

/// The sizes of the longer side, in pixels; a canvas has at most the last.
const SIZES: std::ops::RangeInclusive<u32> = 16..=8192;

/// Refuses a size beyond the canvas.
pub(crate) fn size_on_canvas(size: Option<u32>, usual: u32, movie: &Movie) -> Result<u32> {
    let (width, height) = movie.canvas();
    let longest = width.max(height);
    match size {
        Some(size) if size > longest => Err(Error::invalid(format!(
            "`size` is {size} pixels, which is more than the canvas has on its longer side ({longest} of {width} × {height})"
        ))
        .hint(format!("give at most {longest}"))),
        Some(size) => Ok(size),
        None => Ok(usual.min(longest)),
    }
}

/// A time of a call on the timeline of a draft, microseconds.
pub(super) fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("a part of the renderer failed").source(error))?
}

/// What a call or job that made a video returns.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct VideoMade {
    /// The MP4 file.
    pub file: String,
    pub width: u32,
    pub height: u32,
    pub fps: f64,
    /// Seconds.
    pub duration: f64,
    pub bytes: u64,
    pub has_sound: bool,
    /// By clip: what is approximate or left out.
    pub notes: Vec<String>,
}

impl VideoMade {
    pub(crate) fn new(file: &Path, report: &VideoReport, mut notes: Vec<String>) -> Self {
        notes.push(PREVIEW.to_owned());
        if report.encoder == "mpeg4" {
            notes.push("this FFmpeg has no encoder for H.264: the video is MPEG-4, which some players do not show".to_owned());
        }
        Self {
            file: file.to_string_lossy().into_owned(),
            width: report.width,
            height: report.height,
            fps: report.fps,
            duration: report.duration as f64 / 1e6,
            bytes: report.bytes,
            has_sound: report.has_sound,
            notes,
        }
    }
}

/// A name for the file of a preview: the name of the draft in plain letters, and a hash, because different drafts may have
/// the same plain letters.
pub(super) fn plain_name(draft: &str) -> String {
    let hash = Sha256::digest(draft);
    let hash: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let name = file_name(draft.trim_end_matches(['/', '\\']));
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().take(80).map(plain).collect();
    format!("{name} {hash}")
}
