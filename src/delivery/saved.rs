//! The saved drafts of a server that people can download: each version as a zip file that never changes.
//!
//! A version has a zip file and, written after it, a small record. Records are listed by time, so that a program that
//! watches for new versions asks only for those after the last one it knows.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::archive::pack_folder;
use super::links::{LinkKey, LinkTarget};
use super::store::{BlobStore, FolderStore, blocking};
use crate::engine::marker;
use crate::engine::package::archive::copied;
use crate::error::{Error, Result};
use crate::units::Edition;

/// The prefixes of the keys of zip files and of records.
const ARCHIVES: &str = "drafts";
const RECORDS: &str = "index";
/// The folder in a tenant's data folder.
const FOLDER: &str = "delivery";
/// Maximum size of a record.
const RECORD: u64 = 64 << 10;

/// Limits of what is kept, and how long a link is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryLimits {
    pub link: Duration,
    /// Maximum number of versions of a draft.
    pub versions: usize,
    /// Maximum size of all zip files of a tenant; the newest version is kept in any case.
    pub bytes: u64,
}

/// A version of a saved draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedVersion {
    /// Identifies the version; versions that were saved later have greater ones.
    pub version: String,
    pub draft_id: String,
    pub name: String,
    pub edition: Edition,
    /// The size of the zip file.
    pub bytes: u64,
    /// SHA-256 of the zip file.
    pub sha256: String,
}

impl SavedVersion {
    fn archive_key(&self) -> String {
        format!(
            "{ARCHIVES}/{}/{}.zip",
            part_of(&self.draft_id),
            self.version
        )
    }

    fn record_key(&self) -> String {
        format!("{RECORDS}/{}.json", self.version)
    }
}

/// The saved drafts of a tenant.
pub(crate) struct SavedDrafts {
    store: Box<dyn BlobStore>,
    tenant: String,
    key: Arc<LinkKey>,
    limits: DeliveryLimits,
    /// One version at a time gets its place in the list.
    turn: Mutex<()>,
}

impl SavedDrafts {
    /// Those in a tenant's data folder.
    pub(crate) fn in_folder(
        data: &Path,
        tenant: &str,
        key: Arc<LinkKey>,
        limits: DeliveryLimits,
    ) -> Result<Self> {
        Ok(Self {
            store: Box::new(FolderStore::new(data.join(FOLDER))?),
            tenant: tenant.to_owned(),
            key,
            limits,
            turn: Mutex::new(()),
        })
    }

    /// Packs the draft saved in `folder`. A draft that is as in its last version gets no new one.
    pub(crate) async fn add(
        &self,
        folder: &Path,
        draft: &str,
        edition: Edition,
    ) -> Result<(SavedVersion, Vec<String>)> {
        let (folder, id) = (folder.to_owned(), draft.to_owned());
        let scratch = self.store.scratch().to_owned();
        let (file, packed, bytes, sha256) = blocking(move || {
            let unusable = |error| {
                Error::internal("the zip file of the draft cannot be written").source(error)
            };
            let file = tempfile::NamedTempFile::new_in(&scratch).map_err(unusable)?;
            let packed = pack_folder(&folder, &id, edition, file.as_file())?;
            let mut written = file.reopen().map_err(unusable)?;
            let (bytes, sha256) = copied(&mut written, &mut std::io::sink()).map_err(unusable)?;
            Ok((file.into_temp_path(), packed, bytes, sha256))
        })
        .await?;
        let _turn = self.turn.lock().await;
        let all = self.versions().await?;
        let part = part_of(draft);
        let last = all.iter().rev().find(|key| is_of(key, &part));
        if let Some(last) = last
            && let Some(last) = self.version(last).await?
            && last.sha256 == sha256
            && self.store.size(&last.archive_key()).await?.is_some()
        {
            return Ok((last, packed.notes));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_micros() as u64);
        // Later than every other version, even if the clock was set back.
        let newest = all.last().and_then(|version| time_of(version)).unwrap_or(0);
        let time = now.max(newest + 1);
        let saved = SavedVersion {
            version: format!("{time:016x}-{}-{part}", &sha256[..16]),
            draft_id: draft.to_owned(),
            name: packed.manifest.name,
            edition,
            bytes,
            sha256,
        };
        self.store.put(&saved.archive_key(), file).await?;
        self.put_record(&saved).await?;
        self.prune(&saved).await?;
        Ok((saved, packed.notes))
    }

    async fn put_record(&self, saved: &SavedVersion) -> Result<()> {
        let record = serde_json::to_vec(saved)
            .map_err(|error| Error::internal("a record cannot be written").source(error))?;
        let scratch = self.store.scratch().to_owned();
        let file = blocking(move || {
            let attempt = || {
                let file = tempfile::NamedTempFile::new_in(&scratch)?;
                std::fs::write(file.path(), &record)?;
                file.as_file().sync_all()?;
                Ok(file.into_temp_path())
            };
            attempt().map_err(|error: std::io::Error| {
                Error::internal("a record cannot be written").source(error)
            })
        })
        .await?;
        self.store.put(&saved.record_key(), file).await?;
        Ok(())
    }

    /// The versions after the version `after` and before `before`, the newest first; at most `limit`.
    pub(crate) async fn list(
        &self,
        after: Option<&str>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SavedVersion>> {
        let all = self.versions().await?;
        let newer = all
            .iter()
            .rev()
            .skip_while(|version| before.is_some_and(|before| version.as_str() >= before))
            .take_while(|version| after.is_none_or(|after| version.as_str() > after));
        let mut found = Vec::new();
        for version in newer {
            if found.len() == limit {
                break;
            }
            found.extend(self.version(version).await?);
        }
        Ok(found)
    }

    /// A link to a version at a server whose addresses begin with `site`.
    pub(crate) fn link(&self, site: &str, saved: &SavedVersion) -> Result<String> {
        let target = LinkTarget {
            tenant: self.tenant.clone(),
            key: saved.archive_key(),
            name: saved.name.clone(),
        };
        self.key.link(site, &target, self.limits.link)
    }

    pub(crate) fn store(&self) -> &dyn BlobStore {
        &*self.store
    }

    /// All versions, the oldest first.
    async fn versions(&self) -> Result<Vec<String>> {
        let records = self.store.list(&format!("{RECORDS}/")).await?;
        let versions = records.iter().filter_map(|(key, _)| {
            let name = key.strip_prefix(RECORDS)?.strip_prefix('/')?;
            Some(name.strip_suffix(".json")?.to_owned())
        });
        Ok(versions.collect())
    }

    /// A version; `None` if it was removed in the meantime, or its record is damaged.
    async fn version(&self, version: &str) -> Result<Option<SavedVersion>> {
        let key = format!("{RECORDS}/{version}.json");
        let Some(bytes) = self.store.size(&key).await? else {
            return Ok(None);
        };
        let Ok(read) = self.store.read(&key, 0..bytes.min(RECORD)).await else {
            return Ok(None);
        };
        let pieces: Vec<_> = match read.try_collect().await {
            Ok(pieces) => pieces,
            Err(_) => return Ok(None),
        };
        Ok(serde_json::from_slice(&pieces.concat()).ok())
    }

    /// Removes the oldest versions beyond the limits, but not `kept`.
    async fn prune(&self, kept: &SavedVersion) -> Result<()> {
        let all = self.versions().await?;
        let archives = self.store.list(&format!("{ARCHIVES}/")).await?;
        let mut total: u64 = archives.iter().map(|(_, bytes)| bytes).sum();
        let part = part_of(&kept.draft_id);
        let own = all.iter().filter(|version| is_of(version, &part));
        let mut surplus = own.count().saturating_sub(self.limits.versions.max(1));
        for version in all.iter().filter(|version| **version != kept.version) {
            let is_surplus = surplus > 0 && is_of(version, &part);
            if !is_surplus && total <= self.limits.bytes {
                continue;
            }
            surplus -= usize::from(is_surplus);
            let draft = version.splitn(3, '-').nth(2).unwrap_or_default();
            let archive = format!("{ARCHIVES}/{draft}/{version}.zip");
            let bytes = archives.iter().find(|(key, _)| *key == archive);
            total = total.saturating_sub(bytes.map_or(0, |(_, bytes)| *bytes));
            // The record first: what is listed is there.
            self.store
                .delete(&format!("{RECORDS}/{version}.json"))
                .await?;
            self.store.delete(&archive).await?;
        }
        Ok(())
    }
}

/// An id of a draft as a part of keys; ids of other programs may have any characters.
fn part_of(draft: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !draft.is_empty() && draft.len() <= 100 && draft.bytes().all(is_plain) {
        draft.to_owned()
    } else {
        marker::hash(draft.as_bytes())[..32].to_owned()
    }
}

/// Whether a version is of the draft with this part in its keys: it has the part, too, so that the versions of a draft
/// are found without reading records.
fn is_of(version: &str, part: &str) -> bool {
    version.splitn(3, '-').nth(2) == Some(part)
}

fn time_of(version: &str) -> Option<u64> {
    u64::from_str_radix(version.split('-').next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Fixture {
        folder: tempfile::TempDir,
        drafts: SavedDrafts,
    }

    impl Fixture {
        fn new(versions: usize, bytes: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let key = Arc::new(LinkKey::of(folder.path()).unwrap());
            let limits = DeliveryLimits {
                link: Duration::from_mins(1),
                versions,
                bytes,
            };
            let data = folder.path().join("data");
            fs::create_dir(&data).unwrap();
            let drafts = SavedDrafts::in_folder(&data, "local", key, limits).unwrap();
            Self { folder, drafts }
        }

        async fn save(&self, draft: &str, content: &str) -> SavedVersion {
            let folder = self.folder.path().join(draft);
            fs::create_dir_all(folder.join("assets")).unwrap();
            fs::write(folder.join("draft_content.json"), "{}").unwrap();
            fs::write(folder.join("assets/a.txt"), content).unwrap();
            let added = self.drafts.add(&folder, draft, Edition::Capcut).await;
            added.unwrap().0
        }

        async fn names(&self, after: Option<&str>, limit: usize) -> Vec<String> {
            let listed = self.drafts.list(after, None, limit).await.unwrap();
            listed.into_iter().map(|it| it.version).collect()
        }
    }

    #[tokio::test]
    async fn versions_are_listed_newest_first_after_a_cursor() {
        let it = Fixture::new(5, u64::MAX);
        assert!(it.names(None, 10).await.is_empty());
        let a = it.save("a", "1").await;
        let b = it.save("b-with-dash", "1").await;
        let again = it.save("a", "1").await;
        assert_eq!(again, a, "nothing changed");
        let c = it.save("a", "2").await;
        let all = [c.version.clone(), b.version.clone(), a.version.clone()];
        assert_eq!(it.names(None, 10).await, all);
        assert_eq!(it.names(None, 2).await, all[..2]);
        assert_eq!(it.names(Some(&b.version), 10).await, all[..1]);
        assert!(it.names(Some(&c.version), 10).await.is_empty());
        let size = it.drafts.store().size(&b.archive_key()).await.unwrap();
        assert_eq!(size, Some(b.bytes));
    }

    #[tokio::test]
    async fn old_versions_are_removed_beyond_the_limits() {
        let it = Fixture::new(2, u64::MAX);
        let mut saved = Vec::new();
        for content in ["1", "2", "3"] {
            saved.push(it.save("a", content).await);
        }
        let other = it.save("b", "1").await;
        let left = [&other, &saved[2], &saved[1]].map(|it| it.version.clone());
        assert_eq!(it.names(None, 10).await, left);
        let archives = it.drafts.store().list("drafts/").await.unwrap();
        assert_eq!(archives.len(), 3);

        let it = Fixture::new(5, 1);
        it.save("a", "1").await;
        let last = it.save("b", "1").await;
        assert_eq!(it.names(None, 10).await, [last.version]);
        assert_eq!(it.drafts.store().list("drafts/").await.unwrap().len(), 1);
    }
}
