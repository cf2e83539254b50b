//! Fetches a source to a path, with a temporary name next to it until it is known to be complete. Downloads are
//! cached, and downloaded again only if they changed on the server.

use std::io;
use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use tempfile::TempPath;
use tokio::sync::Semaphore;

use super::cache::{Cache, CacheEntry, CacheKey, CachedFile, NewContent};
use super::http::{self, Brought, Http, Validators};
use super::probe::Depth;
use super::reader::Guard;
use super::{Facts, Fetched, Inner, LocalFile, MediaLimits, cancellable, probed};
use crate::error::{Error, Result};

/// Probes `url`: the cached copy if it is still current, else the server.
pub(super) async fn facts(
    http: &Http,
    url: Url,
    shown: String,
    inner: Arc<Inner>,
) -> Result<Facts> {
    let limits = &inner.limits;
    let Some(cache) = &inner.cache else {
        return Ok(http::facts(http, url, shown, limits).await?.0);
    };
    let key = Cache::key(http.access(), &url);
    let mut found = cache.look(&key).await;
    let asked = async {
        if let Some(entry) = &mut found.entry
            && is_current(http, (&url, &shown), cache, &key, entry).await?
        {
            return Ok(None);
        }
        let facts = http::facts(http, url.clone(), shown.clone(), limits).await;
        facts.map(Some)
    };
    let asked = asked.await;
    match (asked, found.entry) {
        (Ok(Some((facts, came))), _) => {
            if let Some((bytes, validators)) = came {
                let content = NewContent::Bytes(bytes);
                cache.keep(&key, content, &facts, validators).await;
            }
            Ok(facts)
        }
        (Ok(None), Some(entry)) => entry.facts(limits, shown).await,
        (Ok(None), None) => Err(Error::internal("a source without a copy was not probed")),
        (Err(error), Some(entry)) if entry.stands_in(&error) => {
            stands_in(&shown, &error);
            entry.facts(limits, shown).await
        }
        (Err(error), _) => Err(found.failure.unwrap_or(error)),
    }
}

fn stands_in(shown: &str, error: &Error) {
    tracing::info!(
        "{shown} is not available any more: what was fetched earlier is used ({})",
        error.cause()
    );
}

/// Whether the cached copy is current: the server confirmed it recently, or confirms it now.
async fn is_current(
    http: &Http,
    (url, shown): (&Url, &str),
    cache: &Cache,
    key: &CacheKey,
    entry: &mut CacheEntry,
) -> Result<bool> {
    if cache.is_fresh(key, entry) {
        // The caller's access and the host's address may have changed.
        http.may_ask(url, shown).await?;
        return Ok(true);
    }
    let Some(known) = entry.validators() else {
        return Ok(false);
    };
    if !http.is_unchanged(url, shown, known).await? {
        return Ok(false);
    }
    cache.confirm(key, entry).await;
    Ok(true)
}

pub(super) async fn download(
    http: &Http,
    url: &Url,
    to: &Path,
    shown: String,
    inner: &Arc<Inner>,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Fetched> {
    let limits = &inner.limits;
    let source = || (url, shown.clone());
    let Some(cache) = &inner.cache else {
        let (brought, _) = downloaded(http, source(), to, (None, limits), progress).await?;
        return brought.ok_or_else(unbrought);
    };
    let key = Cache::key(http.access(), url);
    // Other downloads of the same source wait here, and then find the cached copy.
    let turn = cache.turn(&key);
    let _turn = turn.lock().await;
    let mut found = cache.look(&key).await;
    let given = async |entry| match cache.file(entry).await? {
        Some(file) => given(file, to, shown.clone(), limits, progress)
            .await
            .map(Some),
        None => Ok(None),
    };
    let mut failure = found.failure;
    if let Some(entry) = found.entry.take_if(|entry| cache.is_fresh(&key, entry)) {
        http.may_ask(url, &shown).await?;
        match given(entry).await {
            Ok(Some(fetched)) => return Ok(fetched),
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
    }
    let known = found
        .entry
        .as_ref()
        .and_then(CacheEntry::validators)
        .cloned();
    let mut brought = downloaded(http, source(), to, (known.as_ref(), limits), progress).await;
    if let Ok((None, _)) = brought
        && let Some(mut entry) = found.entry.take()
    {
        cache.confirm(&key, &mut entry).await;
        match given(entry).await {
            Ok(Some(fetched)) => return Ok(fetched),
            // The content is not in the cache any more.
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
        brought = downloaded(http, source(), to, (None, limits), progress).await;
    }
    match (brought, found.entry) {
        (Ok((Some(fetched), validators)), entry) => {
            // It is replaced now.
            drop(entry);
            if let Some(validators) = validators {
                let content = NewContent::File(to.to_owned());
                cache.keep(&key, content, &fetched.facts, validators).await;
            }
            Ok(fetched)
        }
        (Ok((None, _)), _) => Err(unbrought()),
        (Err(error), Some(entry)) if entry.stands_in(&error) => {
            stands_in(&shown, &error);
            let mut fetched = given(entry).await?.ok_or(error)?;
            fetched.is_earlier = true;
            Ok(fetched)
        }
        (Err(error), _) => Err(failure.unwrap_or(error)),
    }
}

fn unbrought() -> Error {
    Error::internal("a download returned no file")
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
    kept: CachedFile,
    to: &Path,
    shown: String,
    limits: &MediaLimits,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Fetched> {
    let (link, to) = (limits.hard_links, to.to_owned());
    let fetched = cancellable(limits, move |guard| {
        let (mut file, path) = temporary_for(&to)?;
        let mut from = kept.file;
        if !(link && kept.may_be_linked && is_linked(&kept.path, &path)) {
            io::copy(&mut from, &mut file).map_err(|error| {
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
    Ok(Fetched {
        bytes,
        facts,
        is_earlier: false,
    })
}

fn unwritable(to: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("{} cannot be written", to.display())).source(error)
}
