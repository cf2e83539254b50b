//! Listens to the files of a draft's sounds, for a look at the draft.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use capcut_draft::TimeRange;
use capcut_scene::{HeardFile, Sound};
use capcut_sound::{Analysis, Beats, Span, Wanted};

use super::{listed, out_of_time};
use crate::engine::paths::located;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::local::rendering::ShownDraft;
use crate::media::{Media, shown};
use crate::sorting;
use crate::sound::Listener;

/// How many files are listened to.
const FILES: usize = 40;
/// Speech has pauses: a longer file, in seconds, without any is music or noise.
const BREATHLESS: f64 = 10.0;
/// The part of a file that speech without pauses fills.
const FILLED: f64 = 0.97;

/// What is heard in the files of a draft.
#[derive(Default)]
pub(super) struct HeardFiles {
    /// By path, as the document has it.
    files: HashMap<String, Arc<HeardFile>>,
    /// What was not heard, and why.
    pub notes: Vec<String>,
}

impl HeardFiles {
    /// In the order of the sounds.
    pub(super) fn of(&self, sounds: &[Sound]) -> Vec<Option<Arc<HeardFile>>> {
        let sounds = sounds.iter();
        sounds
            .map(|sound| self.files.get(&sound.path).cloned())
            .collect()
    }
}

/// Listens to the files of a draft until a time, those that are heard longest first. What cannot be heard is a note.
///
/// # Errors
/// If the caller cancels.
pub(super) async fn heard(
    app: &App,
    draft: &ShownDraft,
    until: Instant,
    context: &Context,
) -> Result<HeardFiles> {
    let mut lengths: HashMap<&str, i64> = HashMap::new();
    for sound in draft.movie.sounds() {
        *lengths.entry(&sound.path).or_default() += sound.range.duration;
    }
    let mut paths: Vec<(&str, i64)> = lengths.into_iter().collect();
    sorting::sort_by_key(&mut paths, |(path, length)| (-length, *path));
    let listener = Listener {
        media: app.media.of(&context.caller),
        data: app.settings.data_dir()?.to_owned(),
    };
    let mut heard = HeardFiles::default();
    let mut unheard: Vec<(String, Vec<String>)> = Vec::new();
    for (index, (path, _)) in paths.iter().enumerate() {
        let why = if index >= FILES {
            format!("at most {FILES} files are listened to")
        } else {
            let found = listen(&listener, path, draft, context);
            match tokio::time::timeout_at(until.into(), found).await {
                Ok(Ok(file)) => {
                    heard.files.insert((*path).to_owned(), Arc::new(file));
                    continue;
                }
                Ok(Err(error)) if context.cancel.is_cancelled() => return Err(error),
                Ok(Err(error)) => error.message,
                Err(_) => out_of_time(app),
            }
        };
        match unheard.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, files)) => files.push(shown(path)),
            None => unheard.push((why, vec![shown(path)])),
        }
    }
    heard.notes = unheard
        .into_iter()
        .map(|(why, files)| format!("sound not checked for {} ({why})", listed(&files)))
        .collect();
    Ok(heard)
}

async fn listen(
    listener: &Listener,
    path: &str,
    draft: &ShownDraft,
    context: &Context,
) -> Result<HeardFile> {
    if path.is_empty() {
        return Err(Error::media("the draft names no file"));
    }
    let source = if Media::is_here(path) {
        let file = located(path, draft.folder.as_deref());
        let file = file.ok_or_else(|| Error::media("it is on another computer"))?;
        file.to_string_lossy().into_owned()
    } else {
        path.to_owned()
    };
    if context.cancel.is_cancelled() {
        return Err(Error::new(Kind::Cancelled, "the look was cancelled"));
    }
    // A video may have no sound.
    if !listener.media.facts(&source).await?.has_audio {
        return Ok(HeardFile::default());
    }
    let wanted = Wanted {
        beats: true,
        ..Wanted::SPEECH
    };
    let found = listener.analysis(&source, wanted, &context.cancel).await?;
    Ok(heard_file(&found))
}

fn heard_file(found: &Analysis) -> HeardFile {
    let micros = |seconds: f64| (seconds * 1e6).round() as i64;
    let range = |span: &Span| TimeRange::between(micros(span.start), micros(span.end));
    let speech = found.spoken().filter(|spans| is_voice(found, spans));
    let silence = if found.is_silent() {
        vec![TimeRange::between(0, micros(found.duration))]
    } else {
        found.silence.iter().map(range).collect()
    };
    HeardFile {
        duration: micros(found.duration),
        speech: speech.unwrap_or_default().iter().map(range).collect(),
        silence,
        levels: found
            .levels
            .iter()
            .map(|level| f32::from(*level) / 100.0)
            .collect(),
    }
}

/// Whether what stands out of a sound is a voice: music has a beat, or no pauses.
fn is_voice(found: &Analysis, spans: &[Span]) -> bool {
    let spoken: f64 = spans.iter().map(Span::duration).sum();
    let is_breathless = found.duration > BREATHLESS && spoken > FILLED * found.duration;
    let has_beat = found.beats.as_ref().is_some_and(Beats::is_certain);
    !found.is_silent() && !is_breathless && !has_beat
}
