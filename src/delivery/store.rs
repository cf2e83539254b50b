//! Where a server keeps the zip files of saved drafts: files under keys, which are written once.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use async_trait::async_trait;
use futures::Stream;
use hyper::body::Bytes;
use tempfile::TempPath;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};

/// How much of a file is read at a time.
const PIECE: usize = 256 << 10;

/// A part of a file as it is read.
pub(crate) type BlobStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync>>;

/// Files under keys. A key has parts between slashes; no part is empty or begins with a dot.
#[async_trait]
pub(crate) trait BlobStore: Send + Sync {
    /// A folder of this machine for files that will be [put](Self::put).
    fn scratch(&self) -> &Path;

    /// Moves a file into the store, unless there is one with this key: then the result is `false`.
    async fn put(&self, key: &str, file: TempPath) -> Result<bool>;

    /// The size of a file; `None` if there is none.
    async fn size(&self, key: &str) -> Result<Option<u64>>;

    /// A part of a file.
    async fn read(&self, key: &str, range: Range<u64>) -> Result<BlobStream>;

    /// The keys that begin with `prefix`, which ends with a slash; in ascending order, with their sizes.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>>;

    /// Removes a file; it is no error if there is none.
    async fn delete(&self, key: &str) -> Result<()>;
}

/// A folder of this machine.
#[derive(Debug)]
pub(crate) struct FolderStore {
    root: PathBuf,
    scratch: PathBuf,
}

impl FolderStore {
    pub(crate) fn new(root: PathBuf) -> Result<Self> {
        let scratch = root.join(".new");
        regular_file::create_own_folder(&root)
            .and_then(|()| regular_file::create_own_folder(&scratch))
            .map_err(|error| unusable(&scratch, error))?;
        Ok(Self { root, scratch })
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        let is_plain = |part: &str| {
            !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':', '\0'])
        };
        if !key.split('/').all(is_plain) {
            return Err(Error::internal("a key of the store is not valid"));
        }
        Ok(key
            .split('/')
            .fold(self.root.clone(), |path, part| path.join(part)))
    }
}

#[async_trait]
impl BlobStore for FolderStore {
    fn scratch(&self) -> &Path {
        &self.scratch
    }

    async fn put(&self, key: &str, file: TempPath) -> Result<bool> {
        let path = self.path(key)?;
        blocking(move || {
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder).map_err(|error| unusable(folder, error))?;
            match file.persist_noclobber(&path) {
                Ok(()) => Ok(true),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(unusable(&path, error.error)),
            }
        })
        .await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        let path = self.path(key)?;
        match tokio::fs::symlink_metadata(&path).await {
            Ok(file) if file.is_file() => Ok(Some(file.len())),
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

    async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        let folder = self.path(prefix.trim_end_matches('/'))?;
        let prefix = prefix.trim_end_matches('/').to_owned();
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
                    let key = format!("{prefix}/{name}");
                    match entry.metadata() {
                        Ok(there) if there.is_dir() => folders.push((entry.path(), key)),
                        Ok(there) if there.is_file() => found.push((key, there.len())),
                        _ => {}
                    }
                }
            }
            found.sort();
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
}

fn unusable(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space on the server's disk"
        }
        _ => "check the permissions of the server's data folder",
    };
    Error::new(
        Kind::Unavailable,
        format!("{} cannot be used", path.display()),
    )
    .hint(hint)
    .source(error)
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("a task of the delivery failed").source(error)),
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    /// What every store does.
    async fn contract(store: &dyn BlobStore) {
        let new = |content: &str| {
            let file = tempfile::NamedTempFile::new_in(store.scratch()).unwrap();
            fs::write(file.path(), content).unwrap();
            file.into_temp_path()
        };
        assert_eq!(store.size("drafts/a/1.zip").await.unwrap(), None);
        assert!(
            store
                .put("drafts/a/1.zip", new("0123456789"))
                .await
                .unwrap()
        );
        assert!(!store.put("drafts/a/1.zip", new("other")).await.unwrap());
        assert!(store.put("drafts/b/2.zip", new("b")).await.unwrap());
        assert!(store.put("drafts2/c", new("c")).await.unwrap());
        assert_eq!(store.size("drafts/a/1.zip").await.unwrap(), Some(10));
        for (range, expected) in [
            (0..10, "0123456789"),
            (3..5, "34"),
            (9..10, "9"),
            (4..4, ""),
        ] {
            let read = store.read("drafts/a/1.zip", range.clone()).await.unwrap();
            let read: Vec<Bytes> = read.try_collect().await.unwrap();
            assert_eq!(read.concat(), expected.as_bytes(), "{range:?}");
        }
        let beyond = store.read("drafts/a/1.zip", 5..20).await.unwrap();
        assert!(beyond.try_collect::<Vec<Bytes>>().await.is_err());
        let listed = |prefix| async move { store.list(prefix).await.unwrap() };
        let all = [
            ("drafts/a/1.zip".to_owned(), 10),
            ("drafts/b/2.zip".to_owned(), 1),
        ];
        assert_eq!(listed("drafts/").await, all);
        assert_eq!(listed("drafts/b/").await, all[1..]);
        assert_eq!(listed("nothing/").await, []);
        store.delete("drafts/a/1.zip").await.unwrap();
        store.delete("drafts/a/1.zip").await.unwrap();
        assert!(store.read("drafts/a/1.zip", 0..1).await.is_err());
        assert_eq!(listed("drafts/").await, all[1..]);
        for key in ["", "../x", "/x", "a//b", "a/../b", ".new/x", "a\\b", "c:x"] {
            assert!(store.put(key, new("x")).await.is_err(), "{key}");
            assert!(store.read(key, 0..1).await.is_err(), "{key}");
        }
        // What could not be put leaves nothing.
        assert_eq!(fs::read_dir(store.scratch()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_folder_is_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::new(folder.path().join("store")).unwrap();
        contract(&store).await;
    }
}
