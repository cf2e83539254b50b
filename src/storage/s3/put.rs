//! Puts a file of this machine into a bucket: in one request, or a large one in parts.
//!
//! A service keeps the parts of an upload that broke off, and not every service can list such uploads. Therefore each has
//! a small object while it is under way, by which [`abort_abandoned`] finds it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, ObjectStore as _, ObjectStoreExt as _, PutMode, PutMultipartOptions,
    PutOptions, PutPayload,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Bucket, SHA256};
use crate::error::{Error, Kind, Result};
use crate::storage::{NewBlob, blocking, hex};

/// The size of a part; a file with fewer bytes is sent in one request. All parts but the last need 5 MiB.
const PART: u64 = 8 << 20;
/// Maximum number of parts of an object.
const PARTS: u64 = 10_000;
/// How many parts are sent at the same time.
const AT_ONCE: usize = 3;
/// Time limit for sending a part, with all tries.
const SENDING: Duration = Duration::from_mins(3);
/// Time limit for removing the parts of an upload that failed.
const ABORTING: Duration = Duration::from_secs(10);
/// The start of the keys of uploads in parts that are under way.
const UNFINISHED: &str = "unfinished";
/// The time after which an upload was left by a process that was killed: the largest file takes less.
const ABANDONED: Duration = Duration::from_hours(24);
/// The time after which an upload that cannot be aborted is not there any more.
const FORGOTTEN: Duration = Duration::from_hours(24 * 7);

/// What happens to an object that has the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IfPresent {
    Keep,
    Replace,
}

/// Puts a file under a key that has been checked. The result is `false` if there is an object with this key that stays.
pub(super) async fn put(
    bucket: &Bucket,
    key: &str,
    blob: &NewBlob,
    existing: IfPresent,
) -> Result<bool> {
    if existing == IfPresent::Keep && bucket.find(key).await?.is_some() {
        return Ok(false);
    }
    let path = bucket.path(key)?;
    let sent = if blob.bytes <= PART {
        in_one(bucket, &path, blob, existing).await
    } else {
        in_parts(bucket, key, &path, blob, existing).await
    };
    match sent {
        Err(error) => {
            // The answer may have been lost after the object was stored.
            let found = bucket.find(key).await.ok().flatten();
            let is_stored = found.is_some_and(|it| it.sha256.as_ref() == Some(&blob.sha256));
            if is_stored { Ok(true) } else { Err(error) }
        }
        sent => sent,
    }
}

fn attributes(key: &ObjectPath, blob: &NewBlob) -> Attributes {
    let content_type = match key.extension() {
        Some("zip") => "application/zip",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    Attributes::from_iter([
        (Attribute::ContentType, content_type.to_owned()),
        (Attribute::Metadata(SHA256.into()), blob.sha256.clone()),
    ])
}

async fn in_one(
    bucket: &Bucket,
    path: &ObjectPath,
    blob: &NewBlob,
    existing: IfPresent,
) -> Result<bool> {
    let content = part_of(&blob.file, 0, blob.bytes).await?;
    let payload = PutPayload::from(content);
    let put = async |mode| {
        let options = PutOptions {
            mode,
            attributes: attributes(path, blob),
            ..PutOptions::default()
        };
        in_time(bucket, bucket.s3.put_opts(path, payload.clone(), options)).await
    };
    let mode = match existing {
        IfPresent::Keep => PutMode::Create,
        IfPresent::Replace => PutMode::Overwrite,
    };
    match put(mode).await? {
        Ok(_) => Ok(true),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
        // A service without conditional requests.
        Err(error) if super::failure::short(&error).starts_with("HTTP 501") => {
            let put = put(PutMode::Overwrite).await?;
            put.map(|_| true).map_err(|error| bucket.failed(error))
        }
        Err(error) => Err(bucket.failed(error)),
    }
}

async fn in_parts(
    bucket: &Bucket,
    key: &str,
    path: &ObjectPath,
    blob: &NewBlob,
    existing: IfPresent,
) -> Result<bool> {
    let options = PutMultipartOptions {
        attributes: attributes(path, blob),
        ..PutMultipartOptions::default()
    };
    let started = in_time(bucket, bucket.s3.create_multipart_opts(path, options)).await?;
    let id = started.map_err(|error| bucket.failed(error))?;
    let note = UploadNote {
        key: key.to_owned(),
        upload: id.clone(),
    };
    let upload = PartUpload {
        s3: bucket.s3.clone(),
        path: path.clone(),
        note_path: bucket.path(&note.own_key())?,
        id,
    };
    let mut unfinished = UnfinishedUpload(Some(upload.clone()));
    let sent = match note.put(bucket).await {
        Ok(()) => send_parts(bucket, &upload, blob).await,
        Err(error) => Err(error),
    };
    let parts = match sent {
        Ok(parts) => parts,
        Err(error) => {
            unfinished.abort().await;
            return Err(error);
        }
    };
    // The request that completes it has no condition: the time in which another object could get the key is short.
    if existing == IfPresent::Keep && bucket.find(key).await?.is_some() {
        unfinished.abort().await;
        return Ok(false);
    }
    let complete = upload.s3.complete_multipart(path, &upload.id, parts);
    match in_time(bucket, complete).await {
        Ok(Ok(_)) => {
            unfinished.0 = None;
            if let Err(error) = bucket.delete(&note.own_key()).await {
                tracing::debug!("the note of an upload stays: {}", error.cause());
            }
            Ok(true)
        }
        Ok(Err(error)) => {
            unfinished.abort().await;
            Err(bucket.failed(error))
        }
        Err(error) => {
            unfinished.abort().await;
            Err(error)
        }
    }
}

/// Sends the parts of a file; returns them in order.
async fn send_parts(bucket: &Bucket, upload: &PartUpload, blob: &NewBlob) -> Result<Vec<PartId>> {
    let size = part_size(blob.bytes);
    let mut sending = FuturesUnordered::new();
    let (mut start, mut count) = (0, 0);
    let mut sent: Vec<(usize, PartId)> = Vec::new();
    while start < blob.bytes || !sending.is_empty() {
        if start < blob.bytes && sending.len() < AT_ONCE {
            let length = size.min(blob.bytes - start);
            let content = part_of(&blob.file, start, length).await?;
            let index = count;
            sending.push(async move {
                let part = upload
                    .s3
                    .put_part(&upload.path, &upload.id, index, content.into());
                let part = in_time(bucket, part).await?;
                let part = part.map_err(|error| bucket.failed(error))?;
                Ok::<_, Error>((index, part))
            });
            start += length;
            count += 1;
        } else if let Some(part) = sending.next().await {
            sent.push(part?);
        }
    }
    sent.sort_unstable_by_key(|(index, _)| *index);
    Ok(sent.into_iter().map(|(_, part)| part).collect())
}

/// The size of the parts of a file: all but the last have the same one.
fn part_size(bytes: u64) -> u64 {
    let least = bytes.div_ceil(PARTS);
    PART.max(least.next_multiple_of(1 << 20))
}

/// What is known about an upload in parts that is under way.
#[derive(Serialize, Deserialize)]
struct UploadNote {
    key: String,
    /// The id that the service gave it.
    upload: String,
}

impl UploadNote {
    fn own_key(&self) -> String {
        let hash = Sha256::digest(format!("{}\0{}", self.key, self.upload));
        format!("{UNFINISHED}/{}.json", &hex(&hash)[..32])
    }

    async fn put(&self, bucket: &Bucket) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::internal("a note cannot be written").source(error))?;
        let path = bucket.path(&self.own_key())?;
        let put = bucket.s3.put(&path, text.into());
        let put = in_time(bucket, put).await?;
        put.map(|_| ()).map_err(|error| bucket.failed(error))
    }
}

/// Aborts uploads in parts that processes have left which were killed. Several processes may do so at the same time.
/// Returns how many there were.
pub(in crate::storage) async fn abort_abandoned(bucket: &Bucket) -> Result<usize> {
    let mut aborted = 0;
    for file in bucket.list(&format!("{UNFINISHED}/"), None).await? {
        if file.age() < ABANDONED {
            continue;
        }
        let note_path = bucket.path(&format!("{UNFINISHED}/{}", file.key))?;
        let note = match bucket.s3.get(&note_path).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => Err(error),
        };
        let note = note.map_err(|error| bucket.failed(error))?;
        // What is not a note is of no use.
        if let Ok(note) = serde_json::from_slice::<UploadNote>(&note) {
            let upload = PartUpload {
                s3: bucket.s3.clone(),
                path: bucket.path(&note.key)?,
                note_path: note_path.clone(),
                id: note.upload,
            };
            if !upload.abort().await && file.age() < FORGOTTEN {
                continue;
            }
            aborted += 1;
        }
        bucket.delete(&format!("{UNFINISHED}/{}", file.key)).await?;
    }
    Ok(aborted)
}

/// An upload in parts. The service keeps its parts until it is completed or aborted.
#[derive(Clone)]
struct PartUpload {
    s3: AmazonS3,
    path: ObjectPath,
    note_path: ObjectPath,
    id: String,
}

impl PartUpload {
    /// Removes its parts, and then its note; returns whether that worked.
    async fn abort(self) -> bool {
        let abort = async {
            match self.s3.abort_multipart(&self.path, &self.id).await {
                // It was completed or aborted before.
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            self.s3.delete(&self.note_path).await
        };
        match tokio::time::timeout(ABORTING, abort).await {
            Ok(Ok(()) | Err(object_store::Error::NotFound { .. })) => return true,
            Ok(Err(error)) => tracing::warn!(
                "object storage keeps the parts of an upload that failed: {}",
                super::failure::short(&error)
            ),
            Err(_) => tracing::warn!("object storage keeps the parts of an upload that failed"),
        }
        false
    }
}

/// An upload that is aborted when it is dropped.
struct UnfinishedUpload(Option<PartUpload>);

impl UnfinishedUpload {
    async fn abort(&mut self) {
        if let Some(upload) = self.0.take() {
            upload.abort().await;
        }
    }
}

impl Drop for UnfinishedUpload {
    /// The call was cancelled.
    fn drop(&mut self) {
        if let (Some(upload), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(upload.abort());
        }
    }
}

/// Ends a request that takes too long.
async fn in_time<T>(bucket: &Bucket, request: impl Future<Output = T>) -> Result<T> {
    let ended = tokio::time::timeout(SENDING, request).await;
    ended.map_err(|_| bucket.failures.too_slow(SENDING))
}

/// A part of a file on this disk.
async fn part_of(path: &Path, start: u64, length: u64) -> Result<Vec<u8>> {
    let path = path.to_owned();
    blocking(move || {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(start))?;
            let mut content = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            file.read_exact(&mut content)?;
            Ok(content)
        };
        read().map_err(|error| {
            Error::new(
                Kind::Unavailable,
                "a file for object storage cannot be read",
            )
            .source(error)
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_size_has_few_enough_parts() {
        for bytes in [PART + 1, 1 << 30, 80 << 30, 5 << 40] {
            let part = part_size(bytes);
            assert!(part >= PART && part.is_multiple_of(1 << 20), "{bytes}");
            assert!(bytes.div_ceil(part) <= PARTS, "{bytes}");
        }
        assert_eq!(part_size(1 << 30), PART);
    }
}
