//! A bucket of an S3-compatible service as a store.

mod failure;
mod put;
mod transport;

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use hyper::body::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as ObjectPath;
use object_store::signer::{Method, SignedUrlOptions, Signer as _};
use object_store::{
    Attribute, BackoffConfig, GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _,
    RetryConfig,
};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::attachment::attachment;
use super::copies::Copies;
use super::folder::{scratch, unusable};
use super::section::StorageSection;
use super::turns::KeyedTurns;
use super::{
    BlobStore, BlobStream, LinksOf, NewBlob, StoredFile, blocking, hex, invalid_key, is_key,
    is_sha256,
};
use crate::error::{Error, Result};
use crate::settings::StorageKeys;
use crate::sorting;
use failure::Failures;
use put::IfPresent;
pub(super) use put::abort_abandoned;
use transport::Transport;

/// The metadata of an object with the SHA-256 of its content.
const SHA256: &str = "sha256";
/// The object that a probe writes.
const PROBE: &str = "probe";
/// How long the size of a tenant's objects is known.
const USED: Duration = Duration::from_secs(30);
/// The longest time for which a link can be valid.
const LONGEST_LINK: Duration = Duration::from_hours(24);

/// Requests are repeated after failures of the service; their number and time are bounded, because calls wait for them.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(15),
    }
}

/// A bucket, as all tenants use it.
pub(super) struct Bucket {
    s3: AmazonS3,
    failures: Failures,
    /// The start of all keys: empty, or with a slash at the end.
    prefix: String,
    links: LinksOf,
    /// Whether a request has shown that the bucket exists: the answer for a missing object is the same as for a missing
    /// bucket.
    is_seen: AtomicBool,
    /// The size of a tenant's objects, and when that was found out.
    used: Mutex<HashMap<String, (Instant, u64)>>,
    /// Of the calls that put the same key, or need the same copy, one at a time does so: a service need not decide between
    /// those of one server. Copies have absolute paths, keys have none.
    turns: KeyedTurns<PathBuf>,
}

/// What is known about an object without its content.
struct ObjectFacts {
    bytes: u64,
    sha256: Option<String>,
    etag: String,
    modified: SystemTime,
}

impl ObjectFacts {
    /// Identifies the content.
    fn id(&self) -> String {
        let text = self.sha256.clone().unwrap_or_else(|| {
            // The object was not put by this program.
            hex(&Sha256::digest(format!("{} {}", self.etag, self.bytes)))
        });
        text[..32].to_owned()
    }
}

impl Bucket {
    pub(super) fn open(section: &StorageSection, keys: &StorageKeys) -> Result<Self> {
        let (Some(key_id), Some(secret)) = (&keys.key_id, &keys.secret) else {
            let missing = if keys.key_id.is_none() {
                "AWS_ACCESS_KEY_ID"
            } else {
                "AWS_SECRET_ACCESS_KEY"
            };
            return Err(Error::invalid(format!(
                "the credentials for object storage are missing: the variable {missing} is not set"
            ))
            .at_shell("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the server's environment, or remove `[storage]` from `tools.toml`"));
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&section.bucket)
            .with_region(section.region())
            .with_virtual_hosted_style_request(section.virtual_hosted_style)
            .with_allow_http(section.allow_http)
            .with_access_key_id(&key_id.0)
            .with_secret_access_key(&secret.0)
            .with_retry(retries())
            .with_http_connector(Transport::new(section)?);
        if let Some(endpoint) = section.endpoint() {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(session) = &keys.session {
            builder = builder.with_token(&session.0);
        }
        let s3 = builder.build().map_err(|error| {
            tracing::error!("object storage: {error}");
            Error::invalid("object storage cannot be used with these settings")
                .at_shell("check `[storage]` in `tools.toml`")
        })?;
        let prefix = match &*section.prefix {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Ok(Self {
            s3,
            failures: Failures::new(section),
            prefix,
            links: section.links,
            is_seen: AtomicBool::new(false),
            used: Mutex::default(),
            turns: KeyedTurns::default(),
        })
    }

    /// The path of an object. `key` has been checked.
    fn path(&self, key: &str) -> Result<ObjectPath> {
        ObjectPath::parse(format!("{}{key}", self.prefix)).map_err(|_| invalid_key())
    }

    /// The error for a failed request.
    fn failed(&self, error: object_store::Error) -> Error {
        self.failures.error(&error)
    }

    /// The error for a failed request whose answer had no body to explain it.
    async fn explained(&self, error: object_store::Error) -> Error {
        if self.failures.is_explained(&error) {
            return self.failed(error);
        }
        match self.seen().await {
            Err(why) => why,
            Ok(()) => self.failed(error),
        }
    }

    /// Lists one object, to learn whether that is possible.
    async fn seen(&self) -> Result<()> {
        let path = self.path(PROBE)?;
        let first = self.s3.list(Some(&path)).try_next().await;
        first.map_err(|error| self.failed(error))?;
        self.is_seen.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn find(&self, key: &str) -> Result<Option<ObjectFacts>> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        match self.s3.get_opts(&self.path(key)?, options).await {
            Ok(found) => {
                self.is_seen.store(true, Ordering::Relaxed);
                let sha256 = found.attributes.get(&Attribute::Metadata(SHA256.into()));
                Ok(Some(ObjectFacts {
                    bytes: found.meta.size,
                    sha256: sha256
                        .map(|value| value.as_ref().to_owned())
                        .filter(|text| is_sha256(text)),
                    etag: found.meta.e_tag.unwrap_or_default(),
                    modified: found.meta.last_modified.into(),
                }))
            }
            Err(object_store::Error::NotFound { .. }) => {
                if !self.is_seen.load(Ordering::Relaxed) {
                    self.seen().await?;
                }
                Ok(None)
            }
            Err(error) => Err(self.explained(error).await),
        }
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<BlobStream> {
        let wanted = range.end.saturating_sub(range.start);
        if wanted == 0 {
            return Ok(Box::pin(futures::stream::empty()));
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let found = self.s3.get_opts(&self.path(key)?, options).await;
        let found = found.map_err(|error| self.failed(error))?;
        Ok(Box::pin(ObjectStream {
            pieces: Mutex::new(found.into_stream()),
            left: wanted,
        }))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<StoredFile>> {
        let root = format!("{}{prefix}", self.prefix);
        let at = self.path(prefix.trim_end_matches('/'))?;
        let found = match after {
            Some(after) => {
                let after = self.path(&format!("{prefix}{after}"))?;
                self.s3.list_with_offset(Some(&at), &after)
            }
            None => self.s3.list(Some(&at)),
        };
        let mut found: Vec<StoredFile> = found
            .try_filter_map(|object| {
                let key = object.location.as_ref().strip_prefix(&root);
                let key = key.filter(|key| is_key(key)).map(str::to_owned);
                let file = key.map(|key| StoredFile {
                    key,
                    bytes: object.size,
                    modified: object.last_modified.into(),
                });
                std::future::ready(Ok(file))
            })
            .try_collect()
            .await
            .map_err(|error| self.failed(error))?;
        self.is_seen.store(true, Ordering::Relaxed);
        // Not every service sorts by the bytes of the keys.
        sorting::sort_by(&mut found, |a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    /// The parts of keys between `prefix/` and the next slash.
    pub(super) async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let found = self.s3.list_with_delimiter(Some(&self.path(prefix)?)).await;
        let found = found.map_err(|error| self.failed(error))?;
        let names = found.common_prefixes.iter();
        Ok(names
            .filter_map(|folder| folder.filename().map(str::to_owned))
            .collect())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        match self.s3.delete(&self.path(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn link(&self, key: &str, name: &str, valid: Duration) -> Result<String> {
        let options = SignedUrlOptions::default()
            .with_query([("response-content-disposition", attachment(name))]);
        let path = self.path(key)?;
        let valid = valid.min(LONGEST_LINK);
        let signed = self.s3.signed_url_opts(Method::GET, &path, valid, &options);
        let signed = signed.await.map_err(|error| self.failed(error))?;
        Ok(signed.into())
    }

    /// Writes, reads, lists and deletes an object. Several processes may do so at the same time.
    pub(super) async fn probe(&self) -> Result<()> {
        let path = self.path(PROBE)?;
        let failed = |error| self.failed(error);
        let content = "written by capcut-mcp to find out whether this bucket can be used";
        self.s3.put(&path, content.into()).await.map_err(failed)?;
        self.seen().await?;
        match self.s3.get(&path).await {
            // Another process has deleted it.
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(self.failed(error)),
            Ok(found) => {
                let read = found.bytes().await.map_err(failed)?;
                if read != content.as_bytes() {
                    return Err(self.failures.damaged(PROBE));
                }
            }
        }
        self.delete(PROBE).await
    }

    /// The size of all objects below a key.
    pub(super) async fn used(&self, root: &str) -> Result<u64> {
        let known = |used: &HashMap<String, (Instant, u64)>| {
            let (when, bytes) = used.get(root)?;
            (when.elapsed() < USED).then_some(*bytes)
        };
        if let Some(bytes) = known(&self.used.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(bytes);
        }
        let all = self.list(&format!("{root}/"), None).await?;
        let bytes = all.iter().map(|file| file.bytes).sum();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(root.to_owned(), (Instant::now(), bytes));
        Ok(bytes)
    }

    /// From now on the size of the objects below a key that contains `key` has to be found out again.
    pub(super) fn changed(&self, key: &str) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|root, _| {
            let below = key.strip_prefix(&**root);
            !below.is_some_and(|below| below.starts_with('/'))
        });
    }
}

/// The objects below a key of a bucket.
pub(super) struct S3Store {
    bucket: Arc<Bucket>,
    root: String,
    scratch: PathBuf,
    /// The files that are used on this machine.
    copies: Option<Copies>,
}

impl S3Store {
    pub(super) fn new(
        bucket: Arc<Bucket>,
        root: &str,
        scratch: PathBuf,
        copies: Option<Copies>,
    ) -> Self {
        Self {
            bucket,
            root: root.to_owned(),
            scratch,
            copies,
        }
    }

    fn key(&self, key: &str) -> Result<String> {
        if !is_key(key) {
            return Err(invalid_key());
        }
        Ok(format!("{}/{key}", self.root))
    }

    fn copies(&self) -> Result<&Copies> {
        let copies = self.copies.as_ref();
        copies.ok_or_else(|| Error::internal("this store has no copies on this machine"))
    }

    /// Makes sure that the copy of an object is at `path`.
    async fn fetch(&self, key: &str, facts: &ObjectFacts, path: &Path) -> Result<()> {
        let lock = self.bucket.turns.of(path);
        let _turn = lock.lock().await;
        let (to, bytes) = (path.to_owned(), facts.bytes);
        if blocking(move || Ok(Copies::is_there(&to, bytes))).await? {
            return Ok(());
        }
        let copies = self.copies()?.clone();
        let folder = copies.clone();
        let file = blocking(move || {
            let folder = folder.scratch()?;
            tempfile::NamedTempFile::new_in(folder).map_err(|error| unusable(folder, error))
        })
        .await?;
        let (file, temporary) = file.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let mut hash = Sha256::new();
        let mut pieces = self.bucket.read(&self.key(key)?, 0..bytes).await?;
        let on_disk = |error| unusable(&temporary, error);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.bucket.failures.cut_off(key, error))?;
            hash.update(&piece);
            file.write_all(&piece).await.map_err(on_disk)?;
        }
        file.sync_all().await.map_err(on_disk)?;
        drop(file);
        let hash = hex(&hash.finalize());
        if facts.sha256.as_ref().is_some_and(|sha256| *sha256 != hash) {
            return Err(self.bucket.failures.damaged(key));
        }
        let (to, modified) = (path.to_owned(), facts.modified);
        blocking(move || copies.keep(temporary, &to, Some(modified))).await
    }
}

#[async_trait]
impl BlobStore for S3Store {
    fn scratch(&self) -> Result<&Path> {
        scratch(&self.scratch)?;
        Ok(&self.scratch)
    }

    async fn put(&self, key: &str, blob: NewBlob) -> Result<bool> {
        let full = self.key(key)?;
        let turn = self.bucket.turns.of(Path::new(&full));
        let _turn = turn.lock().await;
        let is_new = put::put(&self.bucket, &full, &blob, IfPresent::Keep).await?;
        if is_new {
            self.bucket.changed(&full);
        }
        if let Some(copies) = self.copies.clone().filter(|_| is_new) {
            // It need not be fetched again.
            let path = copies.path(&blob.sha256[..32], key);
            let kept = blocking(move || copies.keep(blob.file, &path, None)).await;
            if let Err(error) = kept {
                tracing::warn!("an uploaded file is not kept here: {}", error.cause());
            }
        }
        Ok(is_new)
    }

    async fn replace(&self, key: &str, blob: NewBlob) -> Result<()> {
        let full = self.key(key)?;
        let turn = self.bucket.turns.of(Path::new(&full));
        let _turn = turn.lock().await;
        put::put(&self.bucket, &full, &blob, IfPresent::Replace).await?;
        self.bucket.changed(&full);
        Ok(())
    }

    async fn find(&self, key: &str) -> Result<Option<StoredFile>> {
        let found = self.bucket.find(&self.key(key)?).await?;
        Ok(found.map(|facts| StoredFile {
            key: key.to_owned(),
            bytes: facts.bytes,
            modified: facts.modified,
        }))
    }

    async fn sha256(&self, key: &str) -> Result<Option<String>> {
        let full = self.key(key)?;
        let Some(facts) = self.bucket.find(&full).await? else {
            return Ok(None);
        };
        if facts.sha256.is_some() {
            return Ok(facts.sha256);
        }
        let mut hash = Sha256::new();
        let mut pieces = self.bucket.read(&full, 0..facts.bytes).await?;
        while let Some(piece) = pieces.next().await {
            hash.update(piece.map_err(|error| self.bucket.failures.cut_off(key, error))?);
        }
        Ok(Some(hex(&hash.finalize())))
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<BlobStream> {
        self.bucket.read(&self.key(key)?, range).await
    }

    async fn bytes(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let path = self.bucket.path(&self.key(key)?)?;
        let found = match self.bucket.s3.get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.bucket.failed(error)),
        };
        if found.meta.size > most {
            return Err(self.bucket.failures.damaged(key));
        }
        let read = found.bytes().await;
        let read = read.map_err(|error| self.bucket.failed(error))?;
        Ok(Some(read.into()))
    }

    async fn local(&self, key: &str) -> Result<Option<PathBuf>> {
        let Some(facts) = self.bucket.find(&self.key(key)?).await? else {
            return Ok(None);
        };
        let path = self.copies()?.path(&facts.id(), key);
        self.fetch(key, &facts, &path).await?;
        Ok(Some(path))
    }

    async fn restore(&self, path: &Path) -> Result<()> {
        let parts = self.copies.as_ref().and_then(|copies| copies.parts(path));
        let Some((id, name)) = parts.filter(|(_, name)| is_key(name)) else {
            return Ok(());
        };
        if path.is_file() {
            return Ok(());
        }
        let gone = |what: &str| {
            Error::media(format!("the uploaded file \"files/{name}\" {what}"))
                .hint("upload the file again under another name, and use that one")
        };
        match self.bucket.find(&self.key(name)?).await? {
            None => Err(gone("has been removed")),
            Some(facts) if facts.id() != id => Err(gone("has another content by now")),
            Some(facts) => self.fetch(name, &facts, path).await,
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<StoredFile>> {
        if !prefix.is_empty() {
            self.key(prefix.trim_end_matches('/'))?;
        }
        let root = format!("{}/{prefix}", self.root);
        let after = after.and_then(|after| after.strip_prefix(prefix));
        let found = self.bucket.list(&root, after).await?;
        let found = found.into_iter();
        Ok(found
            .map(|file| StoredFile {
                key: format!("{prefix}{}", file.key),
                ..file
            })
            .collect())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let full = self.key(key)?;
        self.bucket.delete(&full).await?;
        self.bucket.changed(&full);
        if let Some(copies) = self.copies.clone() {
            let name = key.to_owned();
            blocking(move || {
                copies.remove(&name);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn link(&self, key: &str, name: &str, valid: Duration) -> Result<Option<String>> {
        if self.bucket.links == LinksOf::Server {
            return Ok(None);
        }
        let link = self.bucket.link(&self.key(key)?, name, valid).await?;
        Ok(Some(link))
    }
}

/// The content of an object, or of a part of it, which ends with an error if it is too short.
struct ObjectStream {
    /// Never locked: this only makes the stream usable from several threads.
    pieces: Mutex<BoxStream<'static, object_store::Result<Bytes>>>,
    left: u64,
}

impl Stream for ObjectStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let pieces = self
            .pieces
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        match pieces.poll_next_unpin(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(piece))) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.left = 0;
                Poll::Ready(Some(Err(io::Error::other(failure::short(&error)))))
            }
            Poll::Ready(None) if self.left > 0 => {
                self.left = 0;
                Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
            }
            Poll::Ready(None) => Poll::Ready(None),
        }
    }
}
