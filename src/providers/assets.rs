//! Finished assets, as files by the hash of their content below the data folder, and in the bucket if there is one.
//!
//! A file whose name is a whole SHA-256 is in the bucket and may be a copy; one with half of it is only on this machine.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capcut_sound::{SoundError, wave_header, write_wave};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::section::Makes;
use super::service::VoicedWord;
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::media::{Facts, MADE, MediaStore};
use crate::regular_file::{self, Links};
use crate::storage::ContentStore;
use crate::units::Micros;

/// The folder below the data folder.
pub(crate) const ASSETS: &str = "assets";
/// The name of files that are being made, and the age after which one is left from a crash.
const PART: &str = "part-";
const LEFT: Duration = Duration::from_hours(24);

/// Silence after a speech, in seconds: clips end at frames, and the last sound must not be cut. A frame has at most 1/24 s.
const TAIL: f64 = 0.05;

/// What is recorded of a finished asset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asset {
    /// The name of the file in the folder of assets.
    pub file: String,
    pub bytes: u64,
    /// The length of a sound or film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The words of a speech with their times, if the service gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<VoicedWord>,
}

/// The finished assets of one tenant.
#[derive(Clone)]
pub(crate) struct AssetStore {
    folder: PathBuf,
    media: MediaStore,
    shared: Option<Arc<ContentStore>>,
}

impl AssetStore {
    /// `shared` is the bucket, with copies in the folder [`ASSETS`].
    pub(crate) fn new(data: &Path, media: MediaStore, shared: Option<ContentStore>) -> Self {
        Self {
            folder: data.join(ASSETS),
            media,
            shared: shared.map(Arc::new),
        }
    }

    /// The bucket, if there is one.
    pub(crate) fn shared(&self) -> Option<Arc<ContentStore>> {
        self.shared.clone()
    }

    /// Makes sure that the file of an asset is on this machine, and in the bucket, if there is one. `None` if it is not there
    /// any more. The name of the file may change.
    ///
    /// # Errors
    /// If the bucket does not answer.
    pub(super) async fn bring(&self, mut asset: Asset) -> Result<Option<Asset>> {
        let Some(shared) = &self.shared else {
            return Ok(self.path(&asset).map(|_| asset));
        };
        let named = self.folder.join(&asset.file);
        let extension = named.extension().and_then(|ending| ending.to_str());
        let here = self.path(&asset);
        let is_in_bucket = match shared.content_of(&named) {
            Some(sha256) => {
                if here.is_none() {
                    let found = shared.local(sha256, extension, asset.bytes).await?;
                    return Ok(found.map(|_| asset));
                }
                shared.has(sha256, asset.bytes).await?
            }
            None => false,
        };
        match here {
            Some(here) if !is_in_bucket => {
                // It was made while the bucket was away, or before there was one, or was removed behind our back.
                let kept = put(shared, &here, extension).await?;
                asset.file = name_of(&kept);
                Ok(Some(asset))
            }
            here => Ok(here.map(|_| asset)),
        }
    }

    /// The file of an asset, if it is there and as large as it was.
    pub(crate) fn path(&self, asset: &Asset) -> Option<PathBuf> {
        let is_name = Path::new(&asset.file).file_name() == Some(asset.file.as_ref());
        let path = self.folder.join(&asset.file);
        let there = fs::symlink_metadata(&path).ok().filter(|_| is_name)?;
        (there.is_file() && there.len() == asset.bytes).then_some(path)
    }

    /// The text of an asset.
    pub(super) fn text(&self, asset: &Asset) -> Result<String> {
        let path = self.folder.join(&asset.file);
        let bytes = regular_file::read(&path, asset.bytes.max(1), Links::Refuse);
        let bytes = bytes.map_err(|error| unkept(&self.folder, error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file for an asset that is being made; it is removed when it is dropped.
    pub(super) fn part(&self) -> Result<NamedTempFile> {
        let made = regular_file::create_own_folder(&self.folder).and_then(|()| {
            self.sweep();
            tempfile::Builder::new()
                .prefix(PART)
                .tempfile_in(&self.folder)
        });
        made.map_err(|error| unkept(&self.folder, error))
    }

    /// Removes files that a crash left.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_part = entry.file_name().to_string_lossy().starts_with(PART);
            let age = entry.metadata().and_then(|found| found.modified());
            if is_part && age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Looks at what arrived and keeps it, a speech as WAV.
    ///
    /// # Errors
    /// If it is not what was wanted: a web page, an empty or a broken file, a picture instead of a sound.
    pub(super) async fn keep(
        &self,
        part: NamedTempFile,
        makes: Makes,
        words: Vec<VoicedWord>,
    ) -> Result<Asset> {
        let (part, extension, facts) = match makes {
            Makes::Transcript => (part, "json", None),
            Makes::Text => (part, "txt", None),
            Makes::Speech | Makes::Picture | Makes::Film => {
                let path = part.path().to_owned();
                let facts = self.media.of(&Caller::user()).whole(&path).await;
                let facts = facts.map_err(|error| unusable(&path, makes, &error))?;
                fits(&facts, makes)?;
                let wave = match makes {
                    Makes::Speech => self.as_wave(&part).await?,
                    _ => None,
                };
                match wave {
                    None => (part, facts.format.extension(), Some(facts)),
                    Some(wave) => {
                        let facts = self.media.of(&Caller::user()).whole(wave.path()).await?;
                        (wave, "wav", Some(facts))
                    }
                }
            }
        };
        let (file, bytes) = self.store(part, extension).await?;
        let seconds = facts.as_ref().and_then(|facts| match makes {
            Makes::Speech => Some(facts.audio_duration.unwrap_or(facts.duration)),
            Makes::Film => Some(facts.duration),
            _ => None,
        });
        let side = |side: u32| (side > 0).then_some(side);
        Ok(Asset {
            file,
            bytes,
            seconds: seconds.map(Micros::seconds),
            width: facts.as_ref().and_then(|facts| side(facts.width)),
            height: facts.as_ref().and_then(|facts| side(facts.height)),
            words,
        })
    }

    /// Gives a complete file its name; returns that and the size. What was paid for is kept also while the bucket is away.
    async fn store(&self, part: NamedTempFile, extension: &'static str) -> Result<(String, u64)> {
        if let Some(shared) = &self.shared {
            let bytes = part.as_file().metadata();
            let bytes = bytes.map_err(|error| unkept(&self.folder, error))?.len();
            match put(shared, part.path(), Some(extension)).await {
                Ok(kept) => return Ok((name_of(&kept), bytes)),
                Err(error) => tracing::warn!("an asset is not in the bucket: {}", error.cause()),
            }
        }
        let folder = self.folder.clone();
        let stored = tokio::task::spawn_blocking(move || store(part, &folder, extension));
        stored
            .await
            .map_err(|error| Error::internal("an asset was not kept").source(error))?
            .map_err(|error| unkept(&self.folder, error))
    }

    /// A speech as WAV, which states its true length, with silence at its end. `None` for what only FFmpeg decodes.
    async fn as_wave(&self, part: &NamedTempFile) -> Result<Option<NamedTempFile>> {
        let path = part.path().to_owned();
        let mut wave = self.part()?;
        let work = move || match write_wave(&[&path], wave.as_file_mut(), TAIL, &|| false) {
            Ok(_) => Ok(Some(wave)),
            Err(SoundError::NeedsFfmpeg(_)) => Ok(None),
            Err(error) => Err(Error::media(format!("the speech that arrived {error}"))),
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal("decoding a speech was interrupted").source(error))?
    }

    /// Joins speeches to one file; their words follow each other.
    pub(super) async fn join(&self, parts: &[Asset]) -> Result<Asset> {
        let paths: Vec<PathBuf> = parts
            .iter()
            .map(|part| self.folder.join(&part.file))
            .collect();
        let mut wave = self.part()?;
        let work = move || {
            let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
            let lengths = write_wave(&paths, wave.as_file_mut(), 0.0, &|| false);
            lengths.map(|lengths| (wave, lengths))
        };
        let joined = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::internal("joining speeches was interrupted").source(error))?;
        let (wave, lengths) = joined.map_err(|error| {
            Error::media(format!(
                "the parts of a long speech cannot be joined: one {error}"
            ))
            .hint("set `text_bytes` of the provider higher, or give shorter texts")
        })?;
        let mut words = Vec::new();
        let mut start = 0.0;
        let is_complete = parts.iter().all(|part| !part.words.is_empty());
        for (part, length) in parts.iter().zip(&lengths) {
            words.extend(
                part.words
                    .iter()
                    .filter(|_| is_complete)
                    .map(|word| VoicedWord {
                        word: word.word.clone(),
                        start: word.start + start,
                        end: word.end + start,
                    }),
            );
            start += length;
        }
        self.keep(wave, Makes::Speech, words).await
    }

    /// Writes samples of 16 bits, one channel, as WAV.
    pub(super) fn write_pcm(
        part: &mut NamedTempFile,
        rate: u32,
        bytes: &[u8],
    ) -> std::io::Result<()> {
        let even = bytes.len() / 2 * 2;
        let size = u32::try_from(even).map_err(std::io::Error::other)?;
        part.write_all(&wave_header(rate, 1, size))?;
        part.write_all(&bytes[..even])
    }
}

/// Whether the file is of the wanted kind.
fn fits(facts: &Facts, makes: Makes) -> Result<()> {
    let (is_right, wanted) = match makes {
        Makes::Speech => (facts.has_audio && !facts.has_video, "a sound"),
        Makes::Picture => (facts.is_still, "a picture"),
        _ => (facts.has_video && !facts.is_still, "a film"),
    };
    if is_right {
        return Ok(());
    }
    Err(Error::media(format!(
        "the answer is not {wanted} but {} file",
        facts.format.extension()
    )))
}

/// Puts a file into the bucket, with a note that it was made; returns the path of its copy.
async fn put(shared: &ContentStore, file: &Path, extension: Option<&str>) -> Result<PathBuf> {
    let kept = shared.keep_copy_of(file, extension).await?;
    if let Some(sha256) = shared.content_of(&kept) {
        shared.put_note(MADE, sha256, b"{}".to_vec()).await?;
    }
    Ok(kept)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The message does not name the temporary file.
fn unusable(path: &Path, makes: Makes, error: &Error) -> Error {
    let name = path.display().to_string();
    let what = error.message.replace(&name, "the file");
    Error::media(format!(
        "the {} that arrived is not usable: {what}",
        makes.name()
    ))
}

/// Gives a complete file its name; returns that and the size.
fn store(
    mut part: NamedTempFile,
    folder: &Path,
    extension: &str,
) -> std::io::Result<(String, u64)> {
    let file = part.as_file_mut();
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Hashing(Sha256::new());
    let bytes = std::io::copy(file, &mut hash)?;
    file.sync_all()?;
    let hash = hash.0.finalize();
    let mut name = hash[..16]
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    name.push('.');
    name.push_str(extension);
    let path = folder.join(&name);
    part.persist(&path)?;
    // The folder's entry, too.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok((name, bytes))
}

struct Hashing(Sha256);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn unkept(folder: &Path, error: std::io::Error) -> Error {
    Error::media(format!("an asset cannot be kept in {}", folder.display())).source(error)
}
