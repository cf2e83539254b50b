//! Media sources: probing what they are, and fetching them.
//!
//! [`Media::facts`] probes each source once, even if several calls request it at the same time, and remembers
//! the result. [`Media::fetch`] stores a source at a path on disk, completely or not at all. Reading the
//! formats is left to `probe`, transport to `http`, and access control to the [`Caller`].

mod cache;
mod fetch;
pub(crate) mod ffmpeg;
mod flight;
pub(crate) mod http;
mod limits;
mod probe;
mod reader;
mod source;
mod still;
#[cfg(test)]
mod testing;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::caller::{Access, Caller, Unread, refused_file};
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};
use crate::storage::ContentStore;
use crate::units::Micros;

pub(crate) use cache::{MADE, NeededMedia, Removed, prune_older, remove_expired, source_key};
pub(crate) use limits::MediaLimits;
pub(crate) use source::shown;

use cache::Cache;
use flight::Flights;
use http::{Clients, Http};
use probe::{Depth, ProbeError};
use reader::{FileOrigin, Guard, SourceReader};
use source::MediaSource;

/// The type, length and size of a media file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a plain fact of the file"
)]
pub(crate) struct Facts {
    /// The format of the content, independent of the name.
    pub format: MediaFormat,
    /// A still picture.
    pub is_still: bool,
    /// Pixels of the picture as it is shown, after rotation; 0 when there is none.
    pub width: u32,
    /// Pixels of the picture as it is shown, after rotation; 0 when there is none.
    pub height: u32,
    /// The length of the video stream, or else of the file; zero for a still picture.
    pub duration: Micros,
    /// The length of the first audio stream, or else of the file; `None` if there is no audio.
    pub audio_duration: Option<Micros>,
    /// There is a video stream; cover art does not count.
    pub has_video: bool,
    /// There is audio.
    pub has_audio: bool,
    /// The tags of an audio file contain a picture.
    pub cover_art: bool,
    /// The size of the whole file, if known.
    pub bytes: Option<u64>,
}

/// The formats that are recognised by their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MediaFormat {
    Mp4,
    Mov,
    Webm,
    Mkv,
    Mp3,
    Wav,
    M4a,
    Aac,
    Flac,
    Ogg,
    Opus,
    Png,
    Jpg,
    Gif,
    Webp,
    Heic,
    Avif,
    Bmp,
    Ts,
    Avi,
    Flv,
    Wmv,
    Wma,
    Mpg,
    Mxf,
    Nut,
    Dv,
    Rm,
    Aiff,
    Caf,
    Amr,
    Au,
    Wv,
    Ape,
    W64,
    Ac3,
    Eac3,
    Dts,
    Tiff,
}

impl Facts {
    /// Whether it contains a picture or video, apart from cover art.
    pub(crate) fn has_picture(&self) -> bool {
        self.has_video || self.is_still || self.format == MediaFormat::Gif
    }

    /// Whether it is an animated picture, which loops for the length of its segment.
    pub(crate) fn is_moving_picture(&self) -> bool {
        let is_animated =
            matches!(self.format, MediaFormat::Webp | MediaFormat::Avif) && self.has_video;
        self.format == MediaFormat::Gif || is_animated
    }

    /// The length of the longer of picture and sound, if that is clearly less than `said`: programs that
    /// measure the same file differ slightly. A still picture has no length.
    pub(crate) fn lasts_less(&self, said: Micros) -> Option<Micros> {
        let tolerance = Micros((said.0 / 50).max(300_000));
        let lasts = self.duration.max(self.audio_duration.unwrap_or_default());
        (!self.is_still && lasts < said - tolerance).then_some(lasts)
    }
}

impl MediaFormat {
    /// The usual file name extension, without the dot.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Webm => "webm",
            Self::Mkv => "mkv",
            Self::Mp3 => "mp3",
            Self::Wav => "wav",
            Self::M4a => "m4a",
            Self::Aac => "aac",
            Self::Flac => "flac",
            Self::Ogg => "ogg",
            Self::Opus => "opus",
            Self::Png => "png",
            Self::Jpg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Heic => "heic",
            Self::Avif => "avif",
            Self::Bmp => "bmp",
            Self::Ts => "ts",
            Self::Avi => "avi",
            Self::Flv => "flv",
            Self::Wmv => "wmv",
            Self::Wma => "wma",
            Self::Mpg => "mpg",
            Self::Mxf => "mxf",
            Self::Nut => "nut",
            Self::Dv => "dv",
            Self::Rm => "rm",
            Self::Aiff => "aiff",
            Self::Caf => "caf",
            Self::Amr => "amr",
            Self::Au => "au",
            Self::Wv => "wv",
            Self::Ape => "ape",
            Self::W64 => "w64",
            Self::Ac3 => "ac3",
            Self::Eac3 => "eac3",
            Self::Dts => "dts",
            Self::Tiff => "tiff",
        }
    }

    /// Its file name extensions, without the dot.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Mp4 => &["mp4", "mov", "m4v", "m4a", "qt", "3gp", "3g2"],
            Self::Mov => &["mov", "qt", "mp4", "m4v", "m4a"],
            Self::Webm => &["webm", "weba", "mkv"],
            Self::Mkv => &["mkv", "mka", "webm"],
            Self::Mp3 => &["mp3"],
            Self::Wav => &["wav", "wave"],
            Self::M4a => &["m4a", "mp4", "m4b", "mov", "aac"],
            Self::Aac => &["aac", "m4a"],
            Self::Flac => &["flac"],
            Self::Ogg | Self::Opus => &["ogg", "oga", "opus", "ogv"],
            Self::Png => &["png", "apng"],
            Self::Jpg => &["jpg", "jpeg", "jpe", "jfif"],
            Self::Gif => &["gif"],
            Self::Webp => &["webp"],
            Self::Heic => &["heic", "heif", "hif"],
            Self::Avif => &["avif"],
            Self::Bmp => &["bmp", "dib"],
            Self::Ts => &["ts", "mts", "m2ts"],
            Self::Avi => &["avi"],
            Self::Flv => &["flv"],
            Self::Wmv => &["wmv", "asf"],
            Self::Wma => &["wma", "wmv", "asf"],
            Self::Mpg => &["mpg", "mpeg", "vob", "m2v"],
            Self::Mxf => &["mxf"],
            Self::Nut => &["nut"],
            Self::Dv => &["dv", "dif"],
            Self::Rm => &["rm", "ra", "rmvb", "ram"],
            Self::Aiff => &["aiff", "aif", "aifc"],
            Self::Caf => &["caf"],
            Self::Amr => &["amr", "awb"],
            Self::Au => &["au", "snd"],
            Self::Wv => &["wv"],
            Self::Ape => &["ape"],
            Self::W64 => &["w64"],
            Self::Ac3 => &["ac3"],
            Self::Eac3 => &["eac3", "ec3", "ac3"],
            Self::Dts => &["dts"],
            Self::Tiff => &["tiff", "tif"],
        }
    }

    /// Whether a file has an extension of the format.
    pub(crate) fn is_extension_of(self, file: &Path) -> bool {
        let extension = file.extension().unwrap_or_default().to_string_lossy();
        self.extensions().contains(&&*extension.to_lowercase())
    }
}

/// The result of [`Media::fetch`].
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The size of the stored file.
    pub bytes: u64,
    /// The facts of that file, read from the disk.
    pub facts: Facts,
    /// The source is not available any more: this is what was fetched earlier.
    pub is_earlier: bool,
}

/// How many files are copied at the same time: more are not faster, and would slow down other parts of a save.
const COPIES: usize = 2;

/// The media known to this process: cheap to clone; all clones share one cache of results. Reading requires a
/// caller.
#[derive(Clone)]
pub(crate) struct MediaStore {
    inner: Arc<Inner>,
}

/// The media that one caller may read.
#[derive(Clone)]
pub(crate) struct Media {
    inner: Arc<Inner>,
    access: Arc<Access>,
    http: Http,
}

struct Inner {
    limits: MediaLimits,
    clients: Clients,
    flights: Flights,
    cache: Option<Cache>,
    copying: Semaphore,
    restore: OnceLock<Restore>,
}

/// Brings back a file that was on this machine, if it is one that is elsewhere, too; `None`: nothing has to be done.
type Restore = Box<dyn Fn(&Path) -> Option<BoxFuture<'static, Result<()>>> + Send + Sync>;

impl MediaStore {
    /// Does not access disk or network: HTTP clients are created on first use. Fetched files are cached in the
    /// folder `data`, if there is one.
    pub(crate) fn new(limits: MediaLimits, data: Option<&Path>) -> Self {
        Self::sharing(limits, data, None)
    }

    /// The same, but fetched files are in `shared` if that is given, and the folder has copies of them.
    pub(crate) fn sharing(
        limits: MediaLimits,
        data: Option<&Path>,
        shared: Option<ContentStore>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                clients: Clients::default(),
                flights: Flights::default(),
                cache: Cache::new(data, &limits, shared),
                copying: Semaphore::new(COPIES),
                restore: OnceLock::new(),
                limits,
            }),
        }
    }

    /// From now on `restore` is asked before a file of this machine is read.
    pub(crate) fn restore_with(
        &self,
        restore: impl Fn(&Path) -> Option<BoxFuture<'static, Result<()>>> + Send + Sync + 'static,
    ) {
        let _ = self.inner.restore.set(Box::new(restore));
    }

    pub(crate) fn of(&self, caller: &Caller) -> Media {
        let access = Arc::clone(&caller.access);
        Media {
            http: self.inner.clients.of(&self.inner.limits, &access),
            inner: Arc::clone(&self.inner),
            access,
        }
    }
}

impl Media {
    /// Probes `source`. Concurrent callers share one probe. A success is remembered for one hour (for a file,
    /// as long as its size and modification time stay the same), a failure is not.
    pub(crate) async fn facts(&self, source: &str) -> Result<Arc<Facts>> {
        self.ask(source, None).await
    }

    /// As [`Media::facts`], and counts the bytes downloaded for it.
    pub(crate) async fn facts_counting(
        &self,
        source: &str,
        arrived: Arc<AtomicU64>,
    ) -> Result<Arc<Facts>> {
        self.ask(source, Some(arrived)).await
    }

    async fn ask(&self, source: &str, arrived: Option<Arc<AtomicU64>>) -> Result<Arc<Facts>> {
        let parsed = MediaSource::parse(source)?;
        let shown = shown(source);
        let inner = Arc::clone(&self.inner);
        match parsed {
            MediaSource::File(path) => {
                let file = self.open(&path, &shown).await?;
                let key = format!(
                    "{}\0{}\0{:?}",
                    file.path.display(),
                    file.bytes,
                    file.modified
                );
                self.inner
                    .flights
                    .get(key, move || async move {
                        cancellable(&inner.limits, move |guard| {
                            probed(&file.path, &shown, guard, Depth::Facts)
                        })
                        .await
                    })
                    .await
            }
            MediaSource::Http(url) => {
                let http = self.http.counting(arrived);
                // A caller that may not fetch a source must not see the facts that others fetched.
                let key = format!("{}\0{url}", self.access.fetch_key());
                self.inner
                    .flights
                    .get(key, move || async move {
                        fetch::facts(&http, url, shown, inner).await
                    })
                    .await
            }
        }
    }

    /// Probes a whole file on this machine; truncated files are errors too.
    pub(crate) async fn whole(&self, file: &Path) -> Result<Facts> {
        let shown = file.display().to_string();
        let file = self.open(file, &shown).await?;
        cancellable(&self.inner.limits, move |guard| {
            probed(&file.path, &shown, guard, Depth::Whole)
        })
        .await
    }

    /// Stores `source` at `to`, using a temporary name next to it until it is known to be complete media.
    /// `progress` receives the bytes so far and, if known, the total.
    pub(crate) async fn fetch(
        &self,
        source: &str,
        to: &Path,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<Fetched> {
        let shown = shown(source);
        match MediaSource::parse(source)? {
            MediaSource::File(path) => {
                let file = self.open(&path, &shown).await?;
                let inner = &self.inner;
                fetch::copy(file, to, shown, &inner.limits, &inner.copying, progress).await
            }
            MediaSource::Http(url) => {
                fetch::download(&self.http, &url, to, shown, &self.inner, progress).await
            }
        }
    }

    /// Refuses a source that this caller may not read, without reading it: for sources that a server will fetch.
    pub(crate) async fn may_read(&self, source: &str) -> Result<()> {
        let shown = shown(source);
        match MediaSource::parse(source) {
            Ok(MediaSource::File(path)) => self.access.may_read(&path, &shown).await,
            Ok(MediaSource::Http(url)) => self.http.may_ask(&url, &shown).await,
            Err(error) => Err(error),
        }
    }

    /// The path of `source`, if it is a readable file on this machine.
    pub(crate) async fn here(&self, source: &str) -> Option<PathBuf> {
        let Ok(MediaSource::File(path)) = MediaSource::parse(source) else {
            return None;
        };
        let file = self.open(&path, &shown(source)).await;
        Some(file.ok()?.path)
    }

    /// A file on this machine, which is brought back first if that is possible.
    async fn open(&self, path: &Path, shown: &str) -> Result<LocalFile> {
        let restored = self.inner.restore.get().and_then(|restore| restore(path));
        if let Some(restored) = restored {
            restored.await?;
        }
        LocalFile::open(&self.access, path, shown).await
    }

    /// Whether local files are linked instead of copied.
    pub(crate) fn links(&self) -> bool {
        self.inner.limits.hard_links
    }

    /// Whether reading it needs no network; also true for invalid sources.
    pub(crate) fn is_here(source: &str) -> bool {
        !matches!(MediaSource::parse(source), Ok(MediaSource::Http(_)))
    }

    /// The bytes of a small file, such as subtitles.
    pub(crate) async fn text(&self, source: &str, max_bytes: u64) -> Result<Vec<u8>> {
        let shown = shown(source);
        match MediaSource::parse(source)? {
            MediaSource::File(path) => {
                let file = self.open(&path, &shown).await?;
                // The path has been resolved: a link found there now was created after the check.
                let read = tokio::task::spawn_blocking(move || {
                    regular_file::read(&file.path, max_bytes, Links::Refuse)
                });
                let read = read.await.map_err(io::Error::other);
                read.flatten().map_err(|error| match error.kind() {
                    io::ErrorKind::FileTooLarge => too_large(&shown, max_bytes),
                    _ => unreadable(&shown, error),
                })
            }
            MediaSource::Http(url) => self.http.bytes(&url, &shown, max_bytes).await,
        }
    }
}

/// A file on this machine that exists and may be read.
struct LocalFile {
    /// Canonical: the file that was checked is the file that is opened.
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl LocalFile {
    async fn open(access: &Access, path: &Path, shown: &str) -> Result<Self> {
        let path = access
            .file(path)
            .await
            .map_err(|unread| unread_error(shown, unread))?;
        let metadata = tokio::fs::metadata(&path)
            .await
            .map_err(|error| unreadable(shown, error))?;
        if metadata.is_dir() {
            return Err(Error::media(format!("{shown} is a folder"))
                .hint("give the path of a file inside it"));
        }
        // Reading a pipe or a device could block or never end.
        if !metadata.is_file() {
            return Err(Error::media(format!("{shown} is not a regular file")));
        }
        if metadata.len() == 0 {
            return Err(Error::media(format!("{shown} is empty")));
        }
        Ok(Self {
            path,
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

/// Probes a file on this disk.
fn probed(path: &Path, shown: &str, guard: Guard, depth: Depth) -> Result<Facts> {
    read(path, shown, guard, depth).map_err(|fault| fault.into_error(shown))
}

fn read(path: &Path, shown: &str, guard: Guard, depth: Depth) -> Result<Facts, ProbeError> {
    let origin = FileOrigin::open(path).map_err(|error| unreadable(shown, error))?;
    let mut reader = SourceReader::new(Box::new(origin), guard);
    probe::read(&mut reader, Some(path), depth)
}

/// The result of checking a file on this disk.
#[derive(Clone, Debug)]
pub(crate) enum FileCheck {
    /// Media, and complete, where its format allows a check.
    Media(Facts),
    /// Truncated or broken media: what is wrong.
    Damaged(String),
    /// A web page, text or an empty file: what it is.
    NotMedia(String),
    /// An unknown format.
    Unknown,
}

/// Checks a whole file, which messages call `shown`. Blocks on the disk.
pub(crate) fn look(path: &Path, shown: &str) -> Result<FileCheck> {
    let guard = Guard::new(&MediaLimits::default(), CancellationToken::new());
    match read(path, shown, guard, Depth::Whole) {
        Ok(facts) => Ok(FileCheck::Media(facts)),
        Err(ProbeError::Unknown(_) | ProbeError::NeedsFfprobe(_)) => Ok(FileCheck::Unknown),
        Err(ProbeError::NotMedia(what)) => Ok(FileCheck::NotMedia(what)),
        Err(fault @ (ProbeError::Broken(..) | ProbeError::Cut(..))) => {
            Ok(FileCheck::Damaged(fault.into_error(shown).message))
        }
        Err(fault @ ProbeError::Read(_)) => Err(fault.into_error(shown)),
    }
}

/// Runs `work` on its own thread; dropping the future stops the reading.
async fn cancellable<T: Send + 'static>(
    limits: &MediaLimits,
    work: impl FnOnce(Guard) -> Result<T> + Send + 'static,
) -> Result<T> {
    let cancel = CancellationToken::new();
    let _ends_with_the_future = cancel.clone().drop_guard();
    let guard = Guard::new(limits, cancel);
    blocking(move || work(guard)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("reading media panicked").source(error)),
    }
}

/// The error for a file or folder that is not allowed or not possible to read.
pub(crate) fn unread_error(shown: &str, unread: Unread) -> Error {
    match unread {
        Unread::Failed(error) => unreadable(shown, error),
        Unread::Refused { hint } => {
            refused_file(shown, &format!("{hint}; or give an http(s) address"))
        }
    }
}

fn unreadable(shown: &str, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            Error::media(format!("no such file: {shown}"))
                .hint("correct the path, or give an http(s) address")
        }
        _ => Error::media(format!("{shown} cannot be read")).source(error),
    }
}

fn too_large(shown: &str, max_bytes: u64) -> Error {
    Error::media(format!("{shown} is larger than {max_bytes} bytes"))
}

fn timed_out(shown: &str, what: &str, seconds: u64) -> Error {
    Error::new(Kind::Timeout, format!("{shown}: {what} within {seconds} s"))
}

#[cfg(test)]
mod tests;
