//! What is heard in media files: speech, silence, loudness and beats. Each file is analysed once: results are kept in the
//! data folder by the hash of the file's content.
//!
//! [`capcut_sound`] decodes and analyses; this module finds the file that the caller may read, decodes with FFmpeg what the
//! crate does not, and keeps results.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout};
use std::time::SystemTime;

use capcut_sound::{Analysis, Beats, Loudness, SoundError, Span, Wanted};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::media::{Media, ffmpeg, shown};
use crate::regular_file::{self, Links};
use crate::sorting;

/// How many files are analysed at the same time: each occupies a processor.
static ANALYSES: Semaphore = Semaphore::const_new(2);

/// The folder with results, below the data folder.
const FOLDER: &str = "sound";
/// Results of another version of the analyses are not used.
const VERSION: &str = "2";
/// How many results are kept, and how large one may be in bytes.
const MOST_RESULTS: usize = 400;
const MOST_BYTES: u64 = 16 << 20;

/// The files that a caller may listen to.
#[derive(Clone)]
pub(crate) struct Listener {
    pub media: Media,
    /// The data folder.
    pub data: PathBuf,
}

impl Listener {
    /// What a file or URL contains, as seconds from its beginning.
    ///
    /// # Errors
    /// If the caller may not read it, it has no sound, or its sound cannot be decoded; the error names it.
    pub(crate) async fn analysis(
        &self,
        source: &str,
        wanted: Wanted,
        cancel: &CancellationToken,
    ) -> Result<Analysis> {
        let data = self.data.clone();
        let name = shown(source);
        self.work(source, cancel, move |file, stop| {
            kept_or_made(file, &name, &data, wanted, stop)
        })
        .await
    }

    /// Works on the file of a source, beside the threads that answer clients.
    async fn work<T: Send + 'static>(
        &self,
        source: &str,
        cancel: &CancellationToken,
        work: impl FnOnce(&Path, &CancellationToken) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let facts = self.media.facts(source).await?;
        if !facts.has_audio {
            return Err(no_sound(source, "it has no sound track"));
        }
        let (file, _fetched) = self.file(source).await?;
        let _turn = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(cancelled()),
            turn = ANALYSES.acquire() => turn.map_err(|error| Error::internal("no analysis can start").source(error))?,
        };
        // The end of this future ends the work.
        let stop = cancel.child_token();
        let _ends_with_the_future = stop.clone().drop_guard();
        let work = tokio::task::spawn_blocking(move || work(&file, &stop));
        work.await.map_err(|error| {
            Error::media(format!("the sound of {} cannot be decoded", shown(source))).source(error)
        })?
    }

    /// The loudness of a part of a file or URL: LUFS and dBTP.
    ///
    /// # Errors
    /// As those of [`Self::analysis`], and if the part is silent or too short to be measured.
    pub(crate) async fn loudness(
        &self,
        source: &str,
        part: Span,
        cancel: &CancellationToken,
    ) -> Result<(f64, f64)> {
        let name = shown(source);
        let measured = self.work(
            source,
            cancel,
            move |file, stop| match capcut_sound::loudness_of(file, part, &|| stop.is_cancelled()) {
                Err(SoundError::NeedsFfmpeg(what)) => by_ffmpeg(file, &name, &what, stop, |pipe| {
                    capcut_sound::loudness_of_wave(pipe, part, &|| stop.is_cancelled())
                }),
                made => made.map_err(|error| sound_error(&name, error)),
            },
        );
        match measured.await? {
            Loudness {
                integrated: Some(lufs),
                true_peak: Some(peak),
            } => Ok((lufs, peak)),
            _ => Err(Error::media(format!(
                "the loudness of {} cannot be measured: from {} s to {} s, it is silent or shorter than 0.4 s",
                shown(source),
                rounded(part.start),
                rounded(part.end)
            ))
            .hint("set `volume` instead; `analyze_audio` shows how loud a file is")),
        }
    }

    /// The beats of a file or URL, in seconds.
    ///
    /// # Errors
    /// As those of [`Self::analysis`], and if the beats are uncertain.
    pub(crate) async fn beats(&self, source: &str, cancel: &CancellationToken) -> Result<Vec<f64>> {
        let found = self.analysis(source, Wanted::BEATS, cancel).await?;
        let name = shown(source);
        let fault = match &found.beats {
            _ if found.is_silent() => format!("{name} is silent"),
            Some(beats) if beats.is_certain() && !beats.times.is_empty() => {
                return Ok(beats.times.clone());
            }
            Some(beats) if !beats.times.is_empty() => format!(
                "the beats of {name} are uncertain: confidence {:.2}, and steady music has {} or more",
                beats.confidence,
                Beats::UNCERTAIN
            ),
            _ => format!("{name} has no beats"),
        };
        Err(Error::media(fault)
            .hint("set the lengths of pictures in seconds (`duration`, or `trim` in a draft), or name other music"))
    }

    /// The spans of speech in a file or URL.
    ///
    /// # Errors
    /// As those of [`Self::analysis`], and if there is no speech.
    pub(crate) async fn speech(
        &self,
        source: &str,
        cancel: &CancellationToken,
    ) -> Result<Vec<Span>> {
        let found = self.analysis(source, Wanted::SPEECH, cancel).await?;
        match spoken(&found, source) {
            Ok(spans) => Ok(spans.to_vec()),
            Err(why) => Err(Error::media(why)
                .hint("give a recording of a voice; `analyze_audio` shows what a file contains")),
        }
    }

    /// A file on this disk with the content of a source; a fetched one is removed with the folder.
    pub(crate) async fn file(&self, source: &str) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
        if Media::is_here(source) {
            let here = self.media.here(source).await;
            let here =
                here.ok_or_else(|| Error::media(format!("{} cannot be read", shown(source))))?;
            return Ok((here, None));
        }
        let stored = |error: io::Error| {
            Error::media(format!("{} cannot be written", self.data.display())).source(error)
        };
        regular_file::create_own_folder(&self.data).map_err(stored)?;
        let folder = tempfile::Builder::new()
            .prefix("sound-")
            .tempdir_in(&self.data)
            .map_err(stored)?;
        let file = folder.path().join("media");
        self.media.fetch(source, &file, &|_, _| {}).await?;
        Ok((file, Some(folder)))
    }
}

fn cancelled() -> Error {
    Error::new(Kind::Cancelled, "the analysis of a sound was cancelled")
}

fn no_sound(source: &str, why: &str) -> Error {
    Error::media(format!("{} contains no sound: {why}", shown(source)))
        .hint("give a file with sound: a recording, music, or a video with a sound track")
}

fn kept_or_made(
    file: &Path,
    name: &str,
    data: &Path,
    wanted: Wanted,
    stop: &CancellationToken,
) -> Result<Analysis> {
    let unreadable =
        |error: io::Error| Error::media(format!("{name} cannot be read")).source(error);
    let folder = data.join(FOLDER);
    let hash = hash(file, stop)
        .map_err(unreadable)?
        .ok_or_else(cancelled)?;
    let kept = folder.join(format!("{hash}-{VERSION}.json"));
    let before = regular_file::read(&kept, MOST_BYTES, Links::Refuse).ok();
    let before = before.and_then(|bytes| serde_json::from_slice::<Analysis>(&bytes).ok());
    let mut all = wanted;
    if let Some(before) = before {
        if before.has(wanted) {
            return Ok(before);
        }
        // What was known stays known.
        all.speech |= before.speech.is_some();
        all.loudness |= before.loudness.is_some();
        all.beats |= before.beats.is_some();
    }
    let made = match capcut_sound::analyze(file, all, &|| stop.is_cancelled()) {
        Err(SoundError::NeedsFfmpeg(what)) => {
            let read = |pipe| capcut_sound::analyze_wave(pipe, all, &|| stop.is_cancelled());
            by_ffmpeg(file, name, &what, stop, read).map(|made| Analysis {
                codec: what,
                ..made
            })
        }
        made => made.map_err(|error| sound_error(name, error)),
    }?;
    // A full disk costs the next analysis time, not this one its result.
    if let Err(error) = keep(&folder, &kept, &made) {
        tracing::debug!("the analysis of a sound is not kept: {error}");
    }
    Ok(made)
}

/// Identifies a file's content: the start of its SHA-256, in hexadecimal.
pub(crate) async fn content_hash(file: &Path) -> Result<String> {
    let path = file.to_owned();
    let hashed = tokio::task::spawn_blocking(move || hash(&path, &CancellationToken::new())).await;
    let hashed = hashed.map_err(io::Error::other).flatten();
    match hashed {
        Ok(Some(hash)) => Ok(hash),
        Ok(None) => Err(cancelled()),
        Err(error) => Err(Error::media("a sound cannot be read").source(error)),
    }
}

/// The start of the SHA-256 of a file's content, in hexadecimal; `None` if stopped.
fn hash(file: &Path, stop: &CancellationToken) -> io::Result<Option<String>> {
    let mut file = File::open(file)?;
    let mut hash = Sha256::new();
    let mut bytes = vec![0; 1 << 18];
    loop {
        if stop.is_cancelled() {
            return Ok(None);
        }
        match file.read(&mut bytes)? {
            0 => break,
            count => hash.update(&bytes[..count]),
        }
    }
    let hash: String = hash.finalize()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Some(hash))
}

/// Stores a result under a temporary name first, and removes the oldest ones.
fn keep(folder: &Path, kept: &Path, made: &Analysis) -> io::Result<()> {
    regular_file::create_own_folder(folder)?;
    let part = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(io::BufWriter::new(&part), made)?;
    part.persist(kept).map_err(|error| error.error)?;
    let mut results: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)?
        .flatten()
        .filter_map(|entry| {
            let there = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((there.modified().ok()?, entry.path()))
        })
        .collect();
    sorting::sort_by_key(&mut results, |(modified, _)| *modified);
    let more = results.len().saturating_sub(MOST_RESULTS);
    for (_, oldest) in &results[..more] {
        fs::remove_file(oldest)?;
    }
    Ok(())
}

/// A process that ends with its reader.
struct Decoder(Child);

impl Drop for Decoder {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is read from the sound of a file, decoded by FFmpeg.
fn by_ffmpeg<T>(
    file: &Path,
    name: &str,
    what: &str,
    stop: &CancellationToken,
    read: impl FnOnce(ChildStdout) -> std::result::Result<T, SoundError>,
) -> Result<T> {
    if ffmpeg::tools().is_none() {
        return Err(Error::media(format!(
            "{name} is or has {what}, which is decoded with FFmpeg only, and FFmpeg is not installed"
        ))
        .hint(format!("{}; or convert the file to WAV, MP3, M4A, FLAC, Ogg or Opus", ffmpeg::HOW_TO_GET)));
    }
    let mut command = ffmpeg::reading("ffmpeg", &["-v", "error", "-nostdin"], file);
    // A sound that begins after the picture begins with silence, so that times are those of the file.
    command.args([
        "-map",
        "0:a:0",
        "-vn",
        "-af",
        "aresample=async=1:first_pts=0",
        "-f",
        "wav",
        "-c:a",
        "pcm_s16le",
        "-",
    ]);
    let broken = || {
        Error::media(format!(
            "FFmpeg cannot decode the sound of {name}, which is or has {what}"
        ))
    };
    let mut decoder = Decoder(command.spawn().map_err(|error| broken().source(error))?);
    let Some(pipe) = decoder.0.stdout.take() else {
        return Err(broken());
    };
    let made = match read(pipe) {
        Err(_) if stop.is_cancelled() => return Err(cancelled()),
        Err(error) => return Err(broken().source(error)),
        Ok(made) => made,
    };
    if !decoder.0.wait().is_ok_and(|status| status.success()) {
        return Err(broken().hint("the file may be damaged or cut off"));
    }
    Ok(made)
}

/// To milliseconds.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

fn sound_error(name: &str, error: SoundError) -> Error {
    let hint = match error {
        SoundError::Cancelled => return cancelled(),
        SoundError::NoSound(what) => return no_sound(name, &what),
        SoundError::TooLong => "give a shorter file",
        _ => "export or fetch the file again, or convert it to WAV, MP3 or M4A",
    };
    Error::media(format!("the sound of {name} {error}")).hint(hint)
}

/// The spans of speech, or why there are none; the text names the file.
pub(crate) fn spoken<'a>(
    analysis: &'a Analysis,
    source: &str,
) -> std::result::Result<&'a [Span], String> {
    let name = shown(source);
    if analysis.is_silent() {
        return Err(format!(
            "{name} is silent: its loudest sample is below -60 dB of full scale"
        ));
    }
    analysis.spoken().ok_or_else(|| {
        format!("{name} has no speech of 0.3 s or more: nothing stands out of its background")
    })
}
