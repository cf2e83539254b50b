//! Where a server keeps saved drafts and uploaded files: files under keys, which are written once, in the data folder or
//! in a bucket of an S3-compatible service.
//!
//! [`Storage`] knows which of the two it is and gives each tenant its [`BlobStore`]s. [`folder`] and [`s3`] are the
//! stores, [`copies`] has the files of a bucket that calls use on this machine.

mod attachment;
mod content;
#[cfg(test)]
mod contract;
mod copies;
mod folder;
mod s3;
mod section;
mod turns;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures::Stream;
use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tokio::sync::Mutex;

use crate::error::{Error, Kind, Result};
use crate::secrets;
use crate::settings::StorageKeys;

pub(crate) use attachment::attachment;
pub(crate) use content::{ContentStore, NoteFile, UserName, YOUNG, remove_copies};
pub(crate) use folder::FolderStore;
pub(crate) use section::{LinksOf, StorageKind, StorageSection};
pub(crate) use turns::KeyedTurns;

use s3::{Bucket, S3Store};

/// The folder in a tenant's data folder with its saved drafts, and that with its uploaded files.
const SAVED: &str = "delivery";
pub(crate) const UPLOADS: &str = "files";
/// The folder in a tenant's data folder with media by content, and the key of those in a bucket.
const MEDIA: &str = "media";
/// The folder in [`UPLOADS`] and [`MEDIA`] with copies of files that are in a bucket.
const COPIES: &str = ".copies";
/// How long the result of a probe counts.
const PROBED: Duration = Duration::from_secs(10);
/// Time limit for a probe.
const PROBE: Duration = Duration::from_secs(20);

/// A part of a file as it is read.
pub(crate) type BlobStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync>>;

/// A complete file that is not in a store yet. It is removed when it is not put into one.
pub(crate) struct NewBlob {
    pub file: TempPath,
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: String,
}

impl NewBlob {
    /// A small file with this content, made in the scratch folder of a store.
    pub(crate) async fn of(scratch: &Path, content: Vec<u8>) -> Result<Self> {
        let scratch = scratch.to_owned();
        blocking(move || {
            let attempt = || {
                let file = tempfile::NamedTempFile::new_in(&scratch)?;
                std::fs::write(file.path(), &content)?;
                file.as_file().sync_all()?;
                Ok(file.into_temp_path())
            };
            let file = attempt().map_err(|error| folder::unusable(&scratch, error))?;
            Ok(Self {
                file,
                bytes: content.len() as u64,
                sha256: hex(&Sha256::digest(&content)),
            })
        })
        .await
    }
}

/// A file of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredFile {
    pub key: String,
    pub bytes: u64,
    /// When it was put, by the clock of the store.
    pub modified: SystemTime,
}

impl StoredFile {
    /// How long ago it was put; zero if that is in the future.
    pub(crate) fn age(&self) -> Duration {
        let age = SystemTime::now().duration_since(self.modified);
        age.unwrap_or_default()
    }
}

/// Files under keys. A key has parts between slashes; see [`is_key`].
#[async_trait]
pub(crate) trait BlobStore: Send + Sync {
    /// A folder of this machine for files that will be [put](Self::put).
    fn scratch(&self) -> Result<&Path>;

    /// Moves a file into the store, unless there is one with this key: then the result is `false`.
    async fn put(&self, key: &str, blob: NewBlob) -> Result<bool>;

    /// Moves a file into the store, in place of one with this key. Of several at the same time one stays, whole.
    async fn replace(&self, key: &str, blob: NewBlob) -> Result<()>;

    /// A file without its content; `None` if there is none.
    async fn find(&self, key: &str) -> Result<Option<StoredFile>>;

    /// SHA-256 of a file; `None` if there is none.
    async fn sha256(&self, key: &str) -> Result<Option<String>>;

    /// A part of a file. A file that ends before the part does gives an error.
    async fn read(&self, key: &str, range: Range<u64>) -> Result<BlobStream>;

    /// All of a small file; `None` if there is none.
    ///
    /// # Errors
    /// If it has more than `most` bytes.
    async fn bytes(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>>;

    /// The path of a file on this machine, complete and as it was put: of the file itself, or of a copy. `None` if there
    /// is none.
    async fn local(&self, key: &str) -> Result<Option<PathBuf>>;

    /// Makes sure that a path that [`local`](Self::local) returned, maybe long ago, has its file. Nothing happens for
    /// other paths.
    ///
    /// # Errors
    /// If the file has been removed from the store, or has another content by now.
    async fn restore(&self, path: &Path) -> Result<()>;

    /// The keys that begin with `prefix`, which is empty or ends with a slash, and are after the key `after`; in
    /// ascending order.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<StoredFile>>;

    /// Removes a file; it is no error if there is none.
    async fn delete(&self, key: &str) -> Result<()>;

    /// A link with which anyone can download a file for some time, as a file of this name. `None` if the store has no
    /// links of its own.
    async fn link(&self, key: &str, name: &str, valid: Duration) -> Result<Option<String>>;
}

/// Whether a text is a key: parts between slashes, of which none is empty or begins with a dot, without characters that
/// a file name cannot have everywhere.
fn is_key(key: &str) -> bool {
    key.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.contains(['\\', ':'])
            && !part.contains(char::is_control)
    })
}

fn invalid_key() -> Error {
    Error::internal("a key of the store is not valid")
}

/// Whether a text is a SHA-256 in hexadecimal digits, as this program writes it.
pub(crate) fn is_sha256(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 64 && text.bytes().all(is_digit)
}

/// Where this process keeps saved drafts, uploaded files and media.
pub(crate) struct Storage {
    section: StorageSection,
    keys: StorageKeys,
    /// Opened when it is first needed.
    bucket: OnceLock<Result<Arc<Bucket>>>,
    /// The last probe: when it ended, and how.
    probed: Mutex<Option<(Instant, Result<()>)>>,
}

impl Storage {
    pub(crate) fn new(section: StorageSection, keys: StorageKeys) -> Self {
        for secret in [&keys.secret, &keys.session, &keys.key_id]
            .into_iter()
            .flatten()
        {
            secrets::know(&secret.0);
        }
        Self {
            section,
            keys,
            bucket: OnceLock::new(),
            probed: Mutex::new(None),
        }
    }

    /// Only the data folder.
    #[cfg(test)]
    pub(crate) fn folder() -> Self {
        let section = StorageSection {
            kind: StorageKind::Folder,
            endpoint: String::new(),
            bucket: String::new(),
            region: String::new(),
            prefix: String::new(),
            virtual_hosted_style: false,
            allow_http: false,
            links: LinksOf::Server,
            cache_bytes: 0,
        };
        Self::new(section, StorageKeys::default())
    }

    pub(crate) fn is_bucket(&self) -> bool {
        self.section.kind == StorageKind::S3
    }

    /// Where it is, for people: a bucket and its service.
    pub(crate) fn shown(&self) -> String {
        let StorageSection {
            bucket, endpoint, ..
        } = &self.section;
        match self.section.kind {
            StorageKind::Folder => "the data folder".to_owned(),
            StorageKind::S3 if endpoint.is_empty() => {
                format!("bucket {bucket} of AWS in {}", self.section.region())
            }
            StorageKind::S3 => format!("bucket {bucket} at {endpoint}"),
        }
    }

    /// Opens it; does not connect.
    ///
    /// # Errors
    /// If the credentials are missing.
    pub(crate) fn open(&self) -> Result<()> {
        if self.is_bucket() {
            self.bucket()?;
        }
        Ok(())
    }

    /// The saved drafts of a tenant with this data folder.
    pub(crate) fn saved(&self, data: &Path, tenant: &str) -> Result<Arc<dyn BlobStore>> {
        if !self.is_bucket() {
            return Ok(Arc::new(FolderStore::new(data.join(SAVED))));
        }
        let scratch = data.join(SAVED);
        let store = S3Store::new(self.bucket()?, &of_tenant(tenant), scratch, None);
        Ok(Arc::new(store))
    }

    /// The saved drafts in the data folder, if there are any besides those in the bucket: they were saved before the
    /// bucket was set up.
    pub(crate) fn earlier_saved(&self, data: &Path) -> Option<Arc<dyn BlobStore>> {
        let folder = data.join(SAVED);
        if !self.is_bucket() || !folder.is_dir() {
            return None;
        }
        Some(Arc::new(FolderStore::new(folder)))
    }

    /// The uploaded files of a tenant with this data folder.
    pub(crate) fn uploads(&self, data: &Path, tenant: &str) -> Result<Arc<dyn BlobStore>> {
        let folder = data.join(UPLOADS);
        if !self.is_bucket() {
            return Ok(Arc::new(FolderStore::new(folder)));
        }
        let copies = copies::Copies::new(folder.join(COPIES), self.section.cache_bytes);
        let root = format!("{}/{UPLOADS}", of_tenant(tenant));
        let store = S3Store::new(self.bucket()?, &root, folder, Some(copies));
        Ok(Arc::new(store))
    }

    /// The media of a tenant in the bucket, with copies of at most `most` bytes in a folder of this machine; `None` if there
    /// is no bucket.
    pub(crate) fn media(
        &self,
        tenant: &str,
        folder: PathBuf,
        most: u64,
        user: UserName,
    ) -> Result<Option<ContentStore>> {
        if !self.is_bucket() {
            return Ok(None);
        }
        let root = format!("{}/{MEDIA}", of_tenant(tenant));
        let store = S3Store::new(self.bucket()?, &root, folder.clone(), None);
        Ok(Some(ContentStore::new(Arc::new(store), folder, most, user)))
    }

    /// The bytes that a tenant has in the bucket, as of a few seconds ago; 0 for a folder.
    pub(crate) async fn used(&self, tenant: &str) -> Result<u64> {
        if !self.is_bucket() {
            return Ok(0);
        }
        self.bucket()?.used(&of_tenant(tenant)).await
    }

    /// The size of a tenant's objects is found out again when it is needed.
    pub(crate) fn forget_used(&self, tenant: &str) -> Result<()> {
        if self.is_bucket() {
            self.bucket()?.changed(&format!("{}/", of_tenant(tenant)));
        }
        Ok(())
    }

    /// The tenants that have something in the bucket.
    pub(crate) async fn tenants(&self) -> Result<Vec<String>> {
        if !self.is_bucket() {
            return Ok(Vec::new());
        }
        self.bucket()?.folders(TENANTS).await
    }

    /// Aborts uploads to the bucket that broke off; returns how many there were.
    pub(crate) async fn abort_abandoned(&self) -> Result<usize> {
        if !self.is_bucket() {
            return Ok(0);
        }
        s3::abort_abandoned(&*self.bucket()?).await
    }

    /// The folder in a data folder with copies of uploaded files.
    pub(crate) fn copies(data: &Path) -> PathBuf {
        data.join(UPLOADS).join(COPIES)
    }

    /// The folder in a data folder with copies of media.
    pub(crate) fn media_copies(data: &Path) -> PathBuf {
        data.join(MEDIA).join(COPIES)
    }

    /// Writes, reads, lists and deletes a small object. A result counts for some seconds, so that this can be called by
    /// anyone.
    pub(crate) async fn probe(&self) -> Result<()> {
        let mut probed = self.probed.lock().await;
        if let Some((when, result)) = &*probed
            && when.elapsed() < PROBED
        {
            return again(result);
        }
        let result = match tokio::time::timeout(PROBE, self.bucket()?.probe()).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(
                Kind::Timeout,
                format!(
                    "{} does not answer within {} s",
                    self.shown(),
                    PROBE.as_secs()
                ),
            )
            .hint("check the endpoint and the network")),
        };
        let shared = again(&result);
        *probed = Some((Instant::now(), result));
        shared
    }

    fn bucket(&self) -> Result<Arc<Bucket>> {
        let opened = self
            .bucket
            .get_or_init(|| Bucket::open(&self.section, &self.keys).map(Arc::new));
        opened.as_ref().map(Arc::clone).map_err(Error::again)
    }
}

fn again(result: &Result<()>) -> Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(error.again()),
    }
}

/// The start of the keys of tenants.
const TENANTS: &str = "t";

/// The start of a tenant's keys.
fn of_tenant(tenant: &str) -> String {
    format!("{TENANTS}/{tenant}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs work that waits for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("a task of the storage failed").source(error)),
    }
}
