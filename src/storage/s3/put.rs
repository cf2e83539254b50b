//! Puts a file of this machine into a bucket: in one request, or a large one in parts.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore as _, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, UploadPart,
};

use super::{Bucket, SHA256};
use crate::error::{Error, Kind, Result};
use crate::storage::{NewBlob, blocking};

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

/// Puts a file under a key that has been checked, unless there is an object with this key: then the result is `false`.
pub(super) async fn put(bucket: &Bucket, key: &str, blob: &NewBlob) -> Result<bool> {
    if bucket.find(key).await?.is_some() {
        return Ok(false);
    }
    let path = bucket.path(key)?;
    let sent = if blob.bytes <= PART {
        in_one(bucket, &path, blob).await
    } else {
        in_parts(bucket, key, &path, blob).await
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

async fn in_one(bucket: &Bucket, path: &ObjectPath, blob: &NewBlob) -> Result<bool> {
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
    match put(PutMode::Create).await? {
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

async fn in_parts(bucket: &Bucket, key: &str, path: &ObjectPath, blob: &NewBlob) -> Result<bool> {
    let options = PutMultipartOptions {
        attributes: attributes(path, blob),
        ..PutMultipartOptions::default()
    };
    let started = in_time(bucket, bucket.s3.put_multipart_opts(path, options)).await?;
    let mut upload = UnfinishedUpload(Some(started.map_err(|error| bucket.failed(error))?));
    let sent = send_parts(bucket, &mut upload, blob).await;
    if let Err(error) = sent {
        upload.abort().await;
        return Err(error);
    }
    // The request that completes it has no condition: the time in which another object could get the key is short.
    if bucket.find(key).await?.is_some() {
        upload.abort().await;
        return Ok(false);
    }
    match in_time(bucket, upload.complete()).await {
        Ok(Ok(())) => {
            upload.0 = None;
            Ok(true)
        }
        Ok(Err(error)) => {
            upload.abort().await;
            Err(bucket.failed(error))
        }
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

async fn send_parts(bucket: &Bucket, upload: &mut UnfinishedUpload, blob: &NewBlob) -> Result<()> {
    let part = part_size(blob.bytes);
    let mut sending = FuturesUnordered::new();
    let mut start = 0;
    while start < blob.bytes || !sending.is_empty() {
        if start < blob.bytes && sending.len() < AT_ONCE {
            let length = part.min(blob.bytes - start);
            let content = part_of(&blob.file, start, length).await?;
            sending.push(in_time(bucket, upload.part(content)));
            start += length;
        } else if let Some(sent) = sending.next().await {
            sent?.map_err(|error| bucket.failed(error))?;
        }
    }
    Ok(())
}

/// The size of the parts of a file: all but the last have the same one.
fn part_size(bytes: u64) -> u64 {
    let least = bytes.div_ceil(PARTS);
    PART.max(least.next_multiple_of(1 << 20))
}

/// An upload in parts. The service keeps its parts until it is completed or aborted.
struct UnfinishedUpload(Option<Box<dyn MultipartUpload>>);

impl UnfinishedUpload {
    /// Sends the next part, whose place in the object is that of this call.
    fn part(&mut self, content: Vec<u8>) -> UploadPart {
        match &mut self.0 {
            Some(upload) => upload.put_part(content.into()),
            None => Box::pin(std::future::ready(Ok(()))),
        }
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        match &mut self.0 {
            Some(upload) => upload.complete().await.map(|_| ()),
            None => Ok(()),
        }
    }

    async fn abort(&mut self) {
        if let Some(upload) = self.0.take() {
            abort(upload).await;
        }
    }
}

impl Drop for UnfinishedUpload {
    /// The call was cancelled.
    fn drop(&mut self) {
        if let (Some(upload), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(abort(upload));
        }
    }
}

async fn abort(mut upload: Box<dyn MultipartUpload>) {
    match tokio::time::timeout(ABORTING, upload.abort()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(
            "object storage keeps the parts of an upload that failed: {}",
            super::failure::short(&error)
        ),
        Err(_) => tracing::warn!("object storage keeps the parts of an upload that failed"),
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
