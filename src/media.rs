//! What is known of a media source, and fetching it.
//!
//! [`Media::facts`] asks each source once, however many calls want it at the same time, and
//! remembers the answer. [`Media::fetch`] brings a source to a place on disk, whole or not at all.
//! Reading the formats is left to `probe`, the transport to `http`, what may be read to the [`Caller`].

mod cache;
mod fetch;
pub(crate) mod ffmpeg;
mod flight;
mod http;
mod limits;
mod probe;
mod reader;
mod source;
#[cfg(test)]
mod testing;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::caller::{Access, Caller, Unread, refused_file};
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};
use crate::units::Micros;

pub(crate) use cache::{Removed, prune_older};
pub(crate) use limits::Limits;
pub(crate) use source::shown;

use cache::Cache;
use flight::Flights;
use http::{Clients, Http};
use probe::{Depth, Fault};
use reader::{FileOrigin, Guard, Reader};
use source::Source;

/// What a media file is and how long and large its picture and sound are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a plain fact of the file"
)]
pub(crate) struct Facts {
    /// What the content is, whatever the name says.
    pub format: Format,
    /// A picture that does not move.
    pub is_still: bool,
    /// Pixels of the picture as it is shown, after rotation; 0 when there is none.
    pub width: u32,
    /// Pixels of the picture as it is shown, after rotation; 0 when there is none.
    pub height: u32,
    /// The video stream's length, else the file's; zero for a still.
    pub duration: Micros,
    /// The first audio stream's length, else the file's; absent without sound.
    pub audio_duration: Option<Micros>,
    /// There is a moving picture; cover art does not count.
    pub has_video: bool,
    /// There is sound.
    pub has_audio: bool,
    /// There is a picture in the tags of an audio file.
    pub cover_art: bool,
    /// The size of the whole file, where it is known.
    pub bytes: Option<u64>,
}

/// The formats that are told apart by their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
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
    /// Whether there is anything to be seen in it, cover art aside.
    pub(crate) fn has_picture(&self) -> bool {
        self.has_video || self.is_still || self.format == Format::Gif
    }

    /// Whether it is a picture that moves, which is shown over and over for as long as it is wanted.
    pub(crate) fn is_moving_picture(&self) -> bool {
        let is_animated = matches!(self.format, Format::Webp | Format::Avif) && self.has_video;
        self.format == Format::Gif || is_animated
    }

    /// How long the longer of picture and sound lasts, where that is clearly less than `said`: programs that measure
    /// one file differ a little. A still has no length.
    pub(crate) fn lasts_less(&self, said: Micros) -> Option<Micros> {
        let tolerance = Micros((said.0 / 50).max(300_000));
        let lasts = self.duration.max(self.audio_duration.unwrap_or_default());
        (!self.is_still && lasts < said - tolerance).then_some(lasts)
    }
}

impl Format {
    /// The usual ending of a file name, without the dot.
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
}

/// What [`Media::fetch`] brought.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The size of the file that now lies there.
    pub bytes: u64,
    /// What that file is, read from the disk.
    pub facts: Facts,
}

/// How many files are copied at the same time: more are no faster, and leave nothing of the machine to whatever
/// else a save does meanwhile.
const COPIES: usize = 2;

/// Media as they are known to this process: cheap to clone, and every clone shares one memory of what was asked.
/// Nothing is read but for a caller.
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
    limits: Limits,
    clients: Clients,
    flights: Flights,
    cache: Option<Cache>,
    copying: Semaphore,
}

impl MediaStore {
    /// Touches neither disk nor network: HTTP clients are made at their first use. What is fetched is kept in the folder
    /// `data`, if there is one.
    pub(crate) fn new(limits: Limits, data: Option<&Path>) -> Self {
        Self {
            inner: Arc::new(Inner {
                clients: Clients::default(),
                flights: Flights::default(),
                cache: Cache::new(data, &limits),
                copying: Semaphore::new(COPIES),
                limits,
            }),
        }
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
    /// What `source` is. Callers at the same time share one probe; a success is remembered for an
    /// hour (a file's as long as its size and time of change stay), a failure is not.
    pub(crate) async fn facts(&self, source: &str) -> Result<Arc<Facts>> {
        self.ask(source, None).await
    }

    /// As [`Media::facts`], and counts the bytes that come from the web for it.
    pub(crate) async fn facts_counting(
        &self,
        source: &str,
        arrived: Arc<AtomicU64>,
    ) -> Result<Arc<Facts>> {
        self.ask(source, Some(arrived)).await
    }

    async fn ask(&self, source: &str, arrived: Option<Arc<AtomicU64>>) -> Result<Arc<Facts>> {
        let parsed = Source::parse(source)?;
        let shown = shown(source);
        let inner = Arc::clone(&self.inner);
        match parsed {
            Source::File(path) => {
                let file = LocalFile::open(&self.access, &path, &shown).await?;
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
            Source::Http(url) => {
                let http = self.http.counting(arrived);
                // Whoever may not fetch a source does not learn what others were given of it.
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

    /// What a file of this machine is, after a look at all of it: an error also where it is cut off.
    pub(crate) async fn whole(&self, file: &Path) -> Result<Facts> {
        let shown = file.display().to_string();
        let file = LocalFile::open(&self.access, file, &shown).await?;
        cancellable(&self.inner.limits, move |guard| {
            probed(&file.path, &shown, guard, Depth::Whole)
        })
        .await
    }

    /// Brings `source` to `to`, under a temporary name beside it until it is known to be whole
    /// media. `progress` hears the bytes so far and, where known, of how many.
    pub(crate) async fn fetch(
        &self,
        source: &str,
        to: &Path,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<Fetched> {
        let shown = shown(source);
        match Source::parse(source)? {
            Source::File(path) => {
                let file = LocalFile::open(&self.access, &path, &shown).await?;
                let inner = &self.inner;
                fetch::copy(file, to, shown, &inner.limits, &inner.copying, progress).await
            }
            Source::Http(url) => {
                fetch::download(&self.http, &url, to, shown, &self.inner, progress).await
            }
        }
    }

    /// Refuses a source that this caller may not read, without reading it: for those that a server will fetch.
    pub(crate) async fn may_read(&self, source: &str) -> Result<()> {
        let shown = shown(source);
        match Source::parse(source) {
            Ok(Source::File(path)) => self.access.may_read(&path, &shown).await,
            Ok(Source::Http(url)) => self.http.may_ask(&url, &shown).await,
            Err(error) => Err(error),
        }
    }

    /// Where `source` lies, if it is a file of this machine that may be read.
    pub(crate) async fn here(&self, source: &str) -> Option<PathBuf> {
        let Ok(Source::File(path)) = Source::parse(source) else {
            return None;
        };
        let file = LocalFile::open(&self.access, &path, &shown(source)).await;
        Some(file.ok()?.path)
    }

    /// Whether local files are linked instead of copied.
    pub(crate) fn links(&self) -> bool {
        self.inner.limits.hard_links
    }

    /// Whether nothing but this machine is asked for it; also of what names nothing.
    pub(crate) fn is_here(source: &str) -> bool {
        !matches!(Source::parse(source), Ok(Source::Http(_)))
    }

    /// The bytes of a small file, such as subtitles.
    pub(crate) async fn text(&self, source: &str, max_bytes: u64) -> Result<Vec<u8>> {
        let shown = shown(source);
        match Source::parse(source)? {
            Source::File(path) => {
                let file = LocalFile::open(&self.access, &path, &shown).await?;
                // The path has no links any more: one that is there now was put there after the check.
                let read = tokio::task::spawn_blocking(move || {
                    regular_file::read(&file.path, max_bytes, Links::Refuse)
                });
                let read = read.await.map_err(io::Error::other);
                read.flatten().map_err(|error| match error.kind() {
                    io::ErrorKind::FileTooLarge => too_large(&shown, max_bytes),
                    _ => unreadable(&shown, error),
                })
            }
            Source::Http(url) => self.http.bytes(&url, &shown, max_bytes).await,
        }
    }
}

/// A file of this machine that exists and may be read.
struct LocalFile {
    /// Without links and dots: what was checked is what is opened.
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
            return Err(
                Error::media(format!("{shown} is a folder")).hint("name one file inside it")
            );
        }
        // A pipe or a device would block or never end.
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

/// What a file of this disk is.
fn probed(path: &Path, shown: &str, guard: Guard, depth: Depth) -> Result<Facts> {
    read(path, shown, guard, depth).map_err(|fault| fault.into_error(shown))
}

fn read(path: &Path, shown: &str, guard: Guard, depth: Depth) -> Result<Facts, Fault> {
    let origin = FileOrigin::open(path).map_err(|error| unreadable(shown, error))?;
    let mut reader = Reader::new(Box::new(origin), guard);
    probe::read(&mut reader, Some(path), depth)
}

/// What a look at a file of this disk shows.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// Media, and whole as far as its format tells.
    Media(Facts),
    /// Cut off or broken media: what is wrong.
    Damaged(String),
    /// A web page, text, nothing: what it is.
    NotMedia(String),
    /// Of a format that is not known here.
    Unknown,
}

/// Looks at all of a file, which messages call `shown`. This waits for the disk.
pub(crate) fn look(path: &Path, shown: &str) -> Result<Look> {
    let guard = Guard::new(&Limits::default(), CancellationToken::new());
    match read(path, shown, guard, Depth::Whole) {
        Ok(facts) => Ok(Look::Media(facts)),
        Err(Fault::Unknown(_) | Fault::NeedsFfprobe(_)) => Ok(Look::Unknown),
        Err(Fault::NotMedia(what)) => Ok(Look::NotMedia(what)),
        Err(fault @ (Fault::Broken(..) | Fault::Cut(..))) => {
            Ok(Look::Damaged(fault.into_error(shown).message))
        }
        Err(fault @ Fault::Read(_)) => Err(fault.into_error(shown)),
    }
}

/// Runs `work` on a thread of its own; dropping the future ends the reading.
async fn cancellable<T: Send + 'static>(
    limits: &Limits,
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
        Err(error) => Err(Error::internal("reading media broke down").source(error)),
    }
}

/// Why a file or folder may not or cannot be read.
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
