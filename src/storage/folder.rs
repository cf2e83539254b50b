//! A folder of this machine as a store.

use std::fs;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::{BlobStore, BlobStream, NewBlob, StoredFile, blocking, hex, invalid_key, is_key};
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};
use crate::sorting;

/// How much of a file is read at a time.
const PIECE: usize = 256 << 10;
/// Temporary files that are older belong to a process that was killed.
const ABANDONED: Duration = Duration::from_hours(24);

/// A folder of this machine.
#[derive(Debug)]
pub(crate) struct FolderStore {
    root: PathBuf,
}

impl FolderStore {
    /// The folder need not exist.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        if !is_key(key) {
            return Err(invalid_key());
        }
        Ok(key
            .split('/')
            .fold(self.root.clone(), |path, part| path.join(part)))
    }
}

#[async_trait]
impl BlobStore for FolderStore {
    fn scratch(&self) -> Result<&Path> {
        // Temporary files have hidden names.
        scratch(&self.root)?;
        Ok(&self.root)
    }

    async fn put(&self, key: &str, blob: NewBlob) -> Result<bool> {
        let path = self.path(key)?;
        blocking(move || {
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder).map_err(|error| unusable(folder, error))?;
            match blob.file.persist_noclobber(&path) {
                Ok(()) => Ok(true),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(unusable(&path, error.error)),
            }
        })
        .await
    }

    async fn replace(&self, key: &str, blob: NewBlob) -> Result<()> {
        let path = self.path(key)?;
        blocking(move || {
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder).map_err(|error| unusable(folder, error))?;
            let put = blob.file.persist(&path);
            put.map_err(|error| unusable(&path, error.error))
        })
        .await
    }

    async fn find(&self, key: &str) -> Result<Option<StoredFile>> {
        let path = self.path(key)?;
        match tokio::fs::symlink_metadata(&path).await {
            Ok(file) if file.is_file() => Ok(Some(stored(key.to_owned(), &file))),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&path, error)),
        }
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<BlobStream> {
        let path = self.path(key)?;
        let from = path.clone();
        let file = blocking(move || {
            regular_file::open(&from, Links::Refuse).map_err(|error| unusable(&from, error))
        })
        .await?;
        let mut file = tokio::fs::File::from_std(file);
        file.seek(io::SeekFrom::Start(range.start))
            .await
            .map_err(|error| unusable(&path, error))?;
        let left = range.end.saturating_sub(range.start);
        let pieces = futures::stream::try_unfold((file, left), |(mut file, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let mut piece = vec![0; most];
            let read = file.read(&mut piece).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            piece.truncate(read);
            Ok(Some((Bytes::from(piece), (file, left - read as u64))))
        });
        Ok(Box::pin(pieces))
    }

    async fn bytes(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path(key)?;
        blocking(
            move || match regular_file::read(&path, most, Links::Refuse) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(unusable(&path, error)),
            },
        )
        .await
    }

    async fn sha256(&self, key: &str) -> Result<Option<String>> {
        let path = self.path(key)?;
        blocking(move || match hash_of(&path) {
            Ok(hash) => Ok(Some(hash)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&path, error)),
        })
        .await
    }

    async fn local(&self, key: &str) -> Result<Option<PathBuf>> {
        let is_there = self.find(key).await?.is_some();
        Ok(if is_there {
            Some(self.path(key)?)
        } else {
            None
        })
    }

    async fn restore(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<StoredFile>> {
        let prefix = prefix.trim_end_matches('/').to_owned();
        let folder = if prefix.is_empty() {
            self.root.clone()
        } else {
            self.path(&prefix)?
        };
        let after = after.map(str::to_owned);
        blocking(move || {
            let mut found = Vec::new();
            let mut folders = vec![(folder, prefix)];
            while let Some((folder, prefix)) = folders.pop() {
                let entries = match fs::read_dir(&folder) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(unusable(&folder, error)),
                };
                for entry in entries.flatten() {
                    let name = entry.file_name();
                    let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                        continue;
                    };
                    let key = match &*prefix {
                        "" => name.to_owned(),
                        prefix => format!("{prefix}/{name}"),
                    };
                    match entry.metadata() {
                        Ok(there) if there.is_dir() => folders.push((entry.path(), key)),
                        Ok(there) if there.is_file() => found.push(stored(key, &there)),
                        _ => {}
                    }
                }
            }
            found.retain(|file| after.as_deref().is_none_or(|after| *file.key > *after));
            sorting::sort_by(&mut found, |a, b| a.key.cmp(&b.key));
            Ok(found)
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(&path, error)),
            _ => {
                // Only an empty folder is removed.
                if let Some(folder) = path.parent().filter(|folder| *folder != self.root) {
                    let _ = tokio::fs::remove_dir(folder).await;
                }
                Ok(())
            }
        }
    }

    async fn link(&self, _key: &str, _name: &str, _valid: Duration) -> Result<Option<String>> {
        Ok(None)
    }
}

fn stored(key: String, file: &fs::Metadata) -> StoredFile {
    StoredFile {
        key,
        bytes: file.len(),
        modified: file.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    }
}

/// The error for a file of the data folder. Its path is for the log only: clients of a server get the error.
pub(super) fn unusable(path: &Path, error: io::Error) -> Error {
    tracing::error!("{} cannot be used: {error}", path.display());
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space on the server's disk"
        }
        _ => "check the permissions of the server's data folder",
    };
    Error::new(
        Kind::Unavailable,
        "the data folder of the server cannot be used",
    )
    .hint(hint)
    .source(error)
}

/// Makes a folder in which temporary files are made, and removes those that were abandoned.
pub(super) fn scratch(folder: &Path) -> Result<()> {
    regular_file::create_own_folder(folder).map_err(|error| unusable(folder, error))?;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_temporary = entry.file_name().to_string_lossy().starts_with(".tmp");
        let is_old = || {
            let modified = entry.metadata().and_then(|there| there.modified()).ok()?;
            let age = SystemTime::now().duration_since(modified).ok()?;
            Some(age > ABANDONED)
        };
        if is_temporary && is_old() == Some(true) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

pub(super) fn hash_of(path: &Path) -> io::Result<String> {
    let mut file = regular_file::open(path, Links::Refuse)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&piece[..count]),
        }
    }
}
