//! Fetches a source to a path, with a temporary name next to it until it is known to be complete. Downloads are
//! cached, and downloaded again only if they changed on the server.

use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use tempfile::TempPath;
use tokio::sync::Semaphore;

use super::cache::{Cache, CacheEntry, CacheKey};
use super::http::{self, Brought, Http, Validators};
use super::probe::Depth;
use super::reader::Guard;
use super::{Facts, Fetched, Inner, LocalFile, MediaLimits, blocking, cancellable, probed};
use crate::error::{Error, Result};

/// Probes `url`: the cached copy if it is still current, else the server.
pub(super) async fn facts(
    http: &Http,
    url: Url,
    shown: String,
    inner: Arc<Inner>,
) -> Result<Facts> {
    let limits = &inner.limits;
    if inner.cache.is_none() {
        return Ok(http::facts(http, url, shown, limits).await?.0);
    }
    let key = Cache::key(http.access(), &url);
    if let Some(kept) = found(&inner, &key).await?
        && let Some(kept) = current(http, (&url, &shown), &inner, &key, kept).await?
    {
        return cancellable(limits, move |guard| {
            probed(&kept.path, &shown, guard, Depth::Facts)
        })
        .await;
    }
    let (facts, came) = http::facts(http, url, shown, limits).await?;
    if let Some((bytes, validators)) = came {
        let inner = Arc::clone(&inner);
        blocking(move || {
            if let Some(cache) = &inner.cache {
                cache.keep(&key, bytes.as_slice(), validators);
            }
            Ok(())
        })
        .await?;
    }
    Ok(facts)
}

/// The cached copy. It is looked for outside the threads that answer clients, because the disk may be slow.
async fn found(inner: &Arc<Inner>, key: &CacheKey) -> Result<Option<CacheEntry>> {
    let (inner, key) = (Arc::clone(inner), key.clone());
    blocking(move || Ok(inner.cache.as_ref().and_then(|cache| cache.find(&key)))).await
}

/// Notes that the server has just confirmed the cached copy.
async fn confirmed(inner: &Arc<Inner>, key: &CacheKey, mut kept: CacheEntry) -> Result<CacheEntry> {
    let (inner, key) = (Arc::clone(inner), key.clone());
    blocking(move || {
        if let Some(cache) = &inner.cache {
            cache.confirm(&key, &mut kept);
        }
        Ok(kept)
    })
    .await
}

/// The cached copy if it is current: the server confirmed it recently, or confirms it now.
async fn current(
    http: &Http,
    (url, shown): (&Url, &str),
    inner: &Arc<Inner>,
    key: &CacheKey,
    kept: CacheEntry,
) -> Result<Option<CacheEntry>> {
    if inner
        .cache
        .as_ref()
        .is_some_and(|cache| cache.is_fresh(key))
    {
        // The caller's access and the host's address may have changed.
        http.may_ask(url, shown).await?;
        return Ok(Some(kept));
    }
    let Some(known) = kept.validators() else {
        return Ok(None);
    };
    if !http.is_unchanged(url, shown, known).await? {
        return Ok(None);
    }
    confirmed(inner, key, kept).await.map(Some)
}

pub(super) async fn download(
    http: &Http,
    url: &Url,
    to: &Path,
    shown: String,
    inner: &Arc<Inner>,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Fetched> {
    let Some(cache) = &inner.cache else {
        let (brought, _) =
            downloaded(http, (url, shown), to, (None, &inner.limits), progress).await?;
        return brought.ok_or_else(|| Error::internal("a download returned no file"));
    };
    let key = Cache::key(http.access(), url);
    // Other downloads of the same source wait here, and then find the cached copy.
    let turn = cache.turn(&key);
    let _turn = turn.lock().await;
    let mut kept = found(inner, &key).await?;
    if let Some(kept) = kept.take_if(|_| cache.is_fresh(&key)) {
        http.may_ask(url, &shown).await?;
        return given(kept, to, shown, &inner.limits, progress).await;
    }
    let known = kept.as_ref().and_then(|kept| kept.validators().cloned());
    let source = (url, shown.clone());
    let (brought, validators) =
        downloaded(http, source, to, (known.as_ref(), &inner.limits), progress).await?;
    let Some(fetched) = brought else {
        let Some(kept) = kept else {
            return Err(Error::internal("a download returned no file"));
        };
        let kept = confirmed(inner, &key, kept).await?;
        return given(kept, to, shown, &inner.limits, progress).await;
    };
    drop(kept);
    if let Some(validators) = validators {
        let (inner, to) = (Arc::clone(inner), to.to_owned());
        blocking(move || {
            if let (Some(cache), Ok(file)) = (&inner.cache, std::fs::File::open(&to)) {
                cache.keep(&key, file, validators);
            }
            Ok(())
        })
        .await?;
    }
    Ok(fetched)
}

/// The downloaded file with its validators; `None` if the source has not changed.
async fn downloaded(
    http: &Http,
    (url, shown): (&Url, String),
    to: &Path,
    (known, limits): (Option<&Validators>, &MediaLimits),
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<(Option<Fetched>, Option<Validators>)> {
    let (file, path) = temporary_for(to)?;
    let mut file = tokio::fs::File::from_std(file);
    let brought = http
        .download((url, &shown), known, &mut file, progress)
        .await?;
    let Brought::New(validators) = brought else {
        return Ok((None, None));
    };
    // This is the only copy.
    file.sync_all()
        .await
        .map_err(|error| unwritable(to, error))?;
    drop(file);
    let to = to.to_owned();
    let fetched = cancellable(limits, move |guard| finish(path, &to, &shown, guard)).await?;
    Ok((Some(fetched), validators))
}

/// Stores the cached copy at its target: as a link if requested and possible, else as a copy, which shares
/// blocks if the file system supports it.
async fn given(
    mut kept: CacheEntry,
    to: &Path,
    shown: String,
    limits: &MediaLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Fetched> {
    let (link, to) = (limits.hard_links, to.to_owned());
    let fetched = cancellable(limits, move |guard| {
        let (mut file, path) = temporary_for(&to)?;
        if !link || !is_linked(&kept.path, &path) {
            kept.copy_to(&mut file).map_err(|error| {
                Error::media(format!("the cached copy of {shown} cannot be read")).source(error)
            })?;
        }
        drop(file);
        finish(path, &to, &shown, guard.restarted())
    })
    .await?;
    progress(fetched.bytes, Some(fetched.bytes));
    Ok(fetched)
}

/// Replaces an empty file with a link; the file remains if that fails.
fn is_linked(from: &Path, path: &Path) -> bool {
    let link = path.with_extension("link");
    std::fs::hard_link(from, &link).is_ok() && std::fs::rename(&link, path).is_ok()
}

pub(super) async fn copy(
    file: LocalFile,
    to: &Path,
    shown: String,
    limits: &MediaLimits,
    copying: &Semaphore,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Fetched> {
    if file.bytes > limits.max_bytes {
        return Err(super::too_large(&shown, limits.max_bytes));
    }
    let bytes = file.bytes;
    progress(0, Some(bytes));
    let (from, link, to) = (file.path, limits.hard_links, to.to_owned());
    // All steps in one blocking task: switching threads for each step takes longer than the steps.
    let turn = copying.acquire().await;
    let fetched = cancellable(limits, move |guard| {
        let (empty, path) = temporary_for(&to)?;
        drop(empty);
        brought(&from, &path, link)?;
        // The time for copying does not count.
        finish(path, &to, &shown, guard.restarted())
    })
    .await?;
    drop(turn);
    progress(bytes, Some(bytes));
    Ok(fetched)
}

/// Replaces an empty file with the source: as a link if requested and possible, else as a copy. A copy is not
/// synced to the disk, as with `cp`: after a power failure the source still exists, and the draft can be saved
/// again.
fn brought(from: &Path, path: &Path, link: bool) -> Result<()> {
    // The name is free only for a moment. A link cannot replace a file, and ext4 immediately flushes a copy
    // that replaces one.
    std::fs::remove_file(path).map_err(|error| unwritable(path, error))?;
    if link && std::fs::hard_link(from, path).is_ok() {
        return Ok(());
    }
    // A reflink shares the blocks until one of the two files is changed (btrfs, XFS, bcachefs, APFS, ReFS).
    if reflink_copy::reflink(from, path).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, path).map_err(|error| {
        Error::media(format!("{} cannot be copied", from.display())).source(error)
    })?;
    Ok(())
}

/// A new file next to `to`, which is removed unless it is renamed.
fn temporary_for(to: &Path) -> Result<(std::fs::File, TempPath)> {
    let folder = to
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".part");
    // Readable by others, like any other file that this program creates.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder
        .tempfile_in(folder)
        .map_err(|error| unwritable(to, error))?;
    Ok(file.into_parts())
}

/// Checks that it is complete, and renames it to its final name.
fn finish(path: TempPath, to: &Path, shown: &str, guard: Guard) -> Result<Fetched> {
    let mut facts = probed(&path, shown, guard, Depth::Whole)?;
    let bytes = std::fs::metadata(&path)
        .map_err(|error| unwritable(to, error))?
        .len();
    let temporary = path.to_path_buf();
    path.persist(to)
        .map_err(|error| unwritable(to, error.error))?;
    // If both are links to one file, renaming one to the other keeps both.
    std::fs::remove_file(temporary).ok();
    facts.bytes = Some(bytes);
    Ok(Fetched { bytes, facts })
}

fn unwritable(to: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("{} cannot be written", to.display())).source(error)
}
