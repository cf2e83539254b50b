//! Brings a source to its place: under a temporary name beside it until it is known to be whole.

use std::path::Path;

use reqwest::Url;
use tempfile::TempPath;
use tokio::sync::Semaphore;

use super::http::Http;
use super::probe::Depth;
use super::reader::Guard;
use super::{Fetched, Limits, LocalFile, cancellable, probed};
use crate::error::{Error, Result};

pub(super) async fn download(
    http: &Http,
    url: &Url,
    to: &Path,
    shown: String,
    limits: &Limits,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Fetched> {
    let (file, path) = beside(to)?;
    let mut file = tokio::fs::File::from_std(file);
    http.download(url, &shown, &mut file, progress).await?;
    // Nobody else has it.
    file.sync_all()
        .await
        .map_err(|error| unwritable(to, error))?;
    drop(file);
    let to = to.to_owned();
    cancellable(limits, move |guard| finish(path, &to, &shown, guard)).await
}

pub(super) async fn copy(
    file: LocalFile,
    to: &Path,
    shown: String,
    limits: &Limits,
    copying: &Semaphore,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<Fetched> {
    if file.bytes > limits.max_bytes {
        return Err(super::too_large(&shown, limits.max_bytes));
    }
    let bytes = file.bytes;
    progress(0, Some(bytes));
    let (from, link, to) = (file.path, limits.hard_links, to.to_owned());
    // In one go: a way to another thread and back for each step takes longer than the steps.
    let turn = copying.acquire().await;
    let fetched = cancellable(limits, move |guard| {
        let (empty, path) = beside(&to)?;
        drop(empty);
        brought(&from, &path, link)?;
        // Copying took what it took.
        finish(path, &to, &shown, guard.restarted())
    })
    .await?;
    drop(turn);
    progress(bytes, Some(bytes));
    Ok(fetched)
}

/// Puts the file in the place of an empty one: as a link if that is wanted and possible, else as a copy. A copy is
/// not waited for until it is on the disk, as `cp` does not: where the power fails before, its source is still
/// there to save the draft from again.
fn brought(from: &Path, path: &Path, link: bool) -> Result<()> {
    // The name is free for a moment only. A link cannot take the place of a file, and ext4 writes a copy that takes
    // the place of one to the disk at once.
    std::fs::remove_file(path).map_err(|error| unwritable(path, error))?;
    if link && std::fs::hard_link(from, path).is_ok() {
        return Ok(());
    }
    // `reflink` shares the blocks until one of the two files is written to (btrfs, XFS, bcachefs, APFS, ReFS).
    if reflink_copy::reflink(from, path).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, path).map_err(|error| {
        Error::media(format!("{} cannot be copied", from.display())).source(error)
    })?;
    Ok(())
}

/// A new file beside `to`, which goes away unless it is moved there.
fn beside(to: &Path) -> Result<(std::fs::File, TempPath)> {
    let folder = to
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".part");
    // As any other file that is made here, not for the user alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder
        .tempfile_in(folder)
        .map_err(|error| unwritable(to, error))?;
    Ok(file.into_parts())
}

/// Looks whether it is whole, and gives it its name.
fn finish(path: TempPath, to: &Path, shown: &str, guard: Guard) -> Result<Fetched> {
    let mut facts = probed(&path, shown, guard, Depth::Whole)?;
    let bytes = std::fs::metadata(&path)
        .map_err(|error| unwritable(to, error))?
        .len();
    let temporary = path.to_path_buf();
    path.persist(to)
        .map_err(|error| unwritable(to, error.error))?;
    // Two links to one file: renaming one to the other leaves both.
    std::fs::remove_file(temporary).ok();
    facts.bytes = Some(bytes);
    Ok(Fetched { bytes, facts })
}

fn unwritable(to: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("{} cannot be written", to.display())).source(error)
}
