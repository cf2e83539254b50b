//! Brings a source to its place: under a temporary name beside it until it is known to be whole.

use std::path::Path;

use reqwest::Url;
use tempfile::TempPath;
use tokio::sync::Semaphore;

use super::http::Http;
use super::probe::Depth;
use super::{Fetched, Limits, LocalFile, blocking, probe_file};
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
    finish(path, to, shown, limits).await
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
    progress(0, Some(file.bytes));
    let (empty, path) = beside(to)?;
    drop(empty);
    let (from, link, bytes) = (file.path, limits.hard_links, file.bytes);
    let turn = copying.acquire().await;
    let path = blocking(move || {
        if link {
            // A link cannot take the place of a file: the name is free for a moment only.
            std::fs::remove_file(&path).map_err(|error| unwritable(&path, error))?;
            if std::fs::hard_link(&from, &path).is_ok() {
                return Ok(path);
            }
        }
        std::fs::copy(&from, &path).map_err(|error| {
            Error::media(format!("{} cannot be copied", from.display())).source(error)
        })?;
        Ok(path)
    })
    .await?;
    drop(turn);
    let fetched = finish(path, to, shown, limits).await?;
    progress(bytes, Some(bytes));
    Ok(fetched)
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

/// Looks whether it is whole, and gives it its name. A copy is not waited for until it is on the disk, as `cp`
/// does not: where the power fails before, its source is still there to save the draft from again.
async fn finish(path: TempPath, to: &Path, shown: String, limits: &Limits) -> Result<Fetched> {
    let mut facts = probe_file(path.to_path_buf(), shown, limits.clone(), Depth::Whole).await?;
    let to = to.to_owned();
    let bytes = blocking(move || {
        let bytes = std::fs::metadata(&path)
            .map_err(|error| unwritable(&to, error))?
            .len();
        let temporary = path.to_path_buf();
        path.persist(&to)
            .map_err(|error| unwritable(&to, error.error))?;
        // Two links to one file: renaming one to the other leaves both.
        std::fs::remove_file(temporary).ok();
        Ok(bytes)
    })
    .await?;
    facts.bytes = Some(bytes);
    Ok(Fetched { bytes, facts })
}

fn unwritable(to: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("{} cannot be written", to.display())).source(error)
}
