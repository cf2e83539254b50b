//! What one tenant of a server may have: drafts, bytes and jobs. The user of this process has no limits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;

use super::App;
use crate::error::{Error, Kind, Result};
use crate::storage::Storage;
use crate::tool::Spec;
use crate::uploads::Uploads;

/// The tools that make a draft.
const MAKE_DRAFTS: [&str; 5] = [
    "create_draft",
    "compose_draft",
    "compose_batch",
    "open_draft",
    "apply_template",
];

/// The tools that write files.
const WRITE_FILES: [&str; 6] = [
    "save_draft",
    "compose_draft",
    "compose_batch",
    "preview_draft",
    "preview_frame",
    "preview_video",
];

impl App {
    /// The files that clients sent.
    pub(crate) fn uploads(&self) -> Result<Uploads> {
        let store = self
            .storage
            .uploads(self.settings.data_dir()?, &self.tenant)?;
        Ok(Uploads::new(store))
    }

    /// From now on a call that needs an uploaded file or a file that a provider made, maybe long ago, gets it from the bucket
    /// if it is not on this machine.
    pub(super) fn restore_files(&self) {
        let Some(data) = self
            .settings
            .data_dir()
            .ok()
            .filter(|_| self.storage.is_bucket())
        else {
            return;
        };
        let (storage, tenant) = (Arc::clone(&self.storage), Arc::clone(&self.tenant));
        let (data, copies) = (data.to_owned(), Storage::copies(data));
        let made = self
            .maker
            .as_ref()
            .and_then(|maker| maker.assets().shared());
        self.media.restore_with(move |path: &Path| {
            let path = path.to_owned();
            if path.is_file() {
                return None;
            }
            if let Some(made) = &made
                && made.content_of(&path).is_some()
            {
                let made = Arc::clone(made);
                return Some(async move { made.restore(&path).await }.boxed());
            }
            if !path.starts_with(&copies) {
                return None;
            }
            let store = storage.uploads(&data, &tenant);
            Some(async move { store?.restore(&path).await }.boxed())
        });
    }

    /// How many bytes may still be stored.
    pub(crate) async fn bytes_left(&self) -> Result<u64> {
        if self.is_local() {
            return Ok(u64::MAX);
        }
        let data = self.settings.data_dir()?.to_owned();
        let in_bucket = self.storage.used(&self.tenant).await?;
        let copies = [Storage::copies(&data), Storage::media_copies(&data)];
        let used = tokio::task::spawn_blocking(move || size(&data, &copies)).await;
        let used = used.map_err(io::Error::other).flatten().map_err(|error| {
            Error::new(
                Kind::Unavailable,
                "the size of the stored data is not known",
            )
            .source(error)
        })?;
        let used = used.saturating_add(in_bucket);
        Ok(self.manifest.limits.tenant_bytes.saturating_sub(used))
    }

    /// Refuses a call for which its tenant has no room.
    pub(super) async fn within_quota(&self, spec: &Spec) -> Result<()> {
        if self.is_local() {
            return Ok(());
        }
        if MAKE_DRAFTS.contains(&spec.name) {
            let most = self.manifest.limits.tenant_drafts;
            if self.journal.list(false, most, None).await?.len() >= most {
                return Err(Error::conflict(format!(
                    "there are {most} drafts, which is the limit (`limits.tenant_drafts`)"
                ))
                .hint("delete drafts that are no longer needed with `delete_draft`"));
            }
        }
        if WRITE_FILES.contains(&spec.name) && !self.has_space().await? {
            return Err(Error::conflict(format!(
                "all of the {} bytes for files are in use (`limits.tenant_bytes`)",
                self.manifest.limits.tenant_bytes
            ))
            .hint("delete drafts and uploaded files that are no longer needed"));
        }
        Ok(())
    }

    /// Whether something more may be stored, if need be after what no draft needs has been removed from the bucket.
    async fn has_space(&self) -> Result<bool> {
        if !self.has_no_bytes_left().await? {
            return Ok(true);
        }
        if let Err(error) = self.sweep_for_space().await {
            tracing::warn!("no space was made in the storage: {}", error.cause());
        }
        Ok(!self.has_no_bytes_left().await?)
    }

    /// Whether nothing more may be stored. What a bucket has does not count while it does not answer: drafts are saved on
    /// this machine.
    async fn has_no_bytes_left(&self) -> Result<bool> {
        match self.bytes_left().await {
            Ok(left) => Ok(left == 0),
            Err(error) if self.storage.is_bucket() => {
                tracing::warn!("the size of stored data is not known: {}", error.cause());
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses one more job than a tenant may run.
    pub(crate) async fn job_within_quota(&self) -> Result<()> {
        if self.jobs.are_queued() {
            return self.queue_within_quota().await;
        }
        let most = self.manifest.limits.tenant_jobs;
        if self.is_local() || self.jobs.running().len() < most {
            return Ok(());
        }
        Err(Error::new(
            Kind::Busy,
            format!("{most} jobs are running, which is the limit (`limits.tenant_jobs`)"),
        )
        .hint("wait for one with `job_status`, or stop one with `cancel_job`"))
    }

    /// Refuses one more job than may be in the queue.
    async fn queue_within_quota(&self) -> Result<()> {
        let most = self.manifest.limits.tenant_queue;
        if self.journal.jobs_open().await? < most {
            return Ok(());
        }
        Err(Error::new(
            Kind::Busy,
            format!("{most} jobs wait or run, which is the limit (`limits.tenant_queue`)"),
        )
        .hint("call again when some of them have ended; `job_status` says how far one is"))
    }
}

/// The bytes of all files below a folder, apart from some folders in it. Links are not followed, and what is removed meanwhile
/// does not count.
fn size(folder: &Path, except: &[PathBuf]) -> io::Result<u64> {
    let mut total = 0;
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => {
                    let folder = entry.path();
                    if !except.contains(&folder) {
                        folders.push(folder);
                    }
                }
                Ok(metadata) if metadata.is_file() => total += metadata.len(),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_folder_is_that_of_its_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let size = |folder: &Path| size(folder, &[folder.join("copies")]);
        assert_eq!(size(&folder.path().join("missing")).expect("nothing"), 0);
        fs::create_dir(folder.path().join("in")).expect("a folder");
        fs::write(folder.path().join("a"), [0; 10]).expect("written");
        fs::write(folder.path().join("in/b"), [0; 5]).expect("written");
        fs::create_dir(folder.path().join("copies")).expect("a folder");
        fs::write(folder.path().join("copies/a"), [0; 100]).expect("written");
        assert_eq!(size(folder.path()).expect("a size"), 15);
    }
}
