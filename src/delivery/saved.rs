//! The saved drafts of a server that people can download: each version as a zip file that never changes.
//!
//! A version has a zip file and, written after it, a small record. Records are listed by time, so that a program that
//! watches for new versions asks only for those after the last one it knows.

mod pruning;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::archive::pack_folder;
use super::links::{LinkKey, LinkTarget};
use crate::engine::marker;
use crate::engine::package::archive::copied;
use crate::error::{Error, Result};
use crate::storage::{BlobStore, NewBlob, Storage, blocking};
use crate::units::Edition;

/// The prefixes of the keys of zip files, of records and of videos.
const ARCHIVES: &str = "drafts";
const RECORDS: &str = "index";
const VIDEOS: &str = "videos";
/// Maximum size of a record.
const RECORD: u64 = 64 << 10;
/// How many records are kept in memory, and read at the same time.
const RECORDS_KNOWN: usize = 1_000;
const RECORDS_AT_ONCE: usize = 8;
/// How long the size of all zip files is known: other processes may add some.
const TOTAL: Duration = Duration::from_mins(1);

/// Limits of what is kept, and how long a link is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryLimits {
    pub link: Duration,
    /// How long versions are kept, apart from the last one of a draft that is not in the trash.
    pub age: Duration,
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
    store: Arc<dyn BlobStore>,
    /// Those that were saved before the server got another storage. Only their links still work.
    earlier: Option<Arc<dyn BlobStore>>,
    tenant: String,
    key: Arc<LinkKey>,
    limits: DeliveryLimits,
    /// One version at a time gets its place in the list.
    turn: Mutex<()>,
    /// Records never change.
    records: Cache<String, SavedVersion>,
    /// The size of all zip files, and when it was found out.
    total: Mutex<Option<(Instant, u64)>>,
}

impl SavedDrafts {
    /// Those of a tenant with this data folder.
    pub(crate) fn of(
        storage: &Storage,
        data: &Path,
        tenant: &str,
        key: Arc<LinkKey>,
        limits: DeliveryLimits,
    ) -> Result<Self> {
        Ok(Self {
            store: storage.saved(data, tenant)?,
            earlier: storage.earlier_saved(data),
            tenant: tenant.to_owned(),
            key,
            limits,
            turn: Mutex::new(()),
            records: Cache::new(RECORDS_KNOWN),
            total: Mutex::new(None),
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
        let scratch = self.store.scratch()?.to_owned();
        let (packed, blob) = blocking(move || {
            let unusable = |error| {
                Error::internal("the zip file of the draft cannot be written").source(error)
            };
            let file = tempfile::NamedTempFile::new_in(&scratch).map_err(unusable)?;
            let packed = pack_folder(&folder, &id, edition, file.as_file())?;
            let mut written = file.reopen().map_err(unusable)?;
            let (bytes, sha256) = copied(&mut written, &mut std::io::sink()).map_err(unusable)?;
            let file = file.into_temp_path();
            let blob = NewBlob {
                file,
                bytes,
                sha256,
            };
            Ok((packed, blob))
        })
        .await?;
        let _turn = self.turn.lock().await;
        let part = part_of(draft);
        let own = self.own(&part).await?;
        if let Some(last) = self.last(&own).await?
            && last.sha256 == blob.sha256
        {
            return Ok((last, packed.notes));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_micros() as u64);
        // Later than every other version, even if the clock was set back.
        let later = self.versions(Some(&format!("{now:016x}"))).await?;
        let newest = later.last().and_then(|version| time_of(version));
        let time = newest.map_or(now, |newest| now.max(newest + 1));
        let saved = SavedVersion {
            version: format!("{time:016x}-{}-{part}", &blob.sha256[..16]),
            draft_id: draft.to_owned(),
            name: packed.manifest.name,
            edition,
            bytes: blob.bytes,
            sha256: blob.sha256.clone(),
        };
        self.store.put(&saved.archive_key(), blob).await?;
        self.put_record(&saved).await?;
        // The version can be downloaded, whatever becomes of others.
        if let Err(error) = self.prune(own, &saved).await {
            tracing::warn!("old versions of drafts are not removed: {}", error.cause());
        }
        Ok((saved, packed.notes))
    }

    async fn put_record(&self, saved: &SavedVersion) -> Result<()> {
        let record = serde_json::to_vec(saved)
            .map_err(|error| Error::internal("a record cannot be written").source(error))?;
        let record = NewBlob::of(self.store.scratch()?, record).await?;
        self.store.put(&saved.record_key(), record).await?;
        self.records.insert(saved.version.clone(), saved.clone());
        Ok(())
    }

    /// The versions of a draft that have a zip file, the oldest first, with its size.
    async fn own(&self, part: &str) -> Result<Vec<(String, u64)>> {
        let prefix = format!("{ARCHIVES}/{part}/");
        let archives = self.store.list(&prefix, None).await?;
        let own = archives.into_iter().filter_map(|file| {
            let version = file.key.strip_prefix(&prefix)?.strip_suffix(".zip")?;
            Some((version.to_owned(), file.bytes))
        });
        Ok(own.collect())
    }

    /// The version of a draft that was saved last.
    pub(crate) async fn latest(&self, draft: &str) -> Result<Option<SavedVersion>> {
        let own = self.own(&part_of(draft)).await?;
        self.last(&own).await
    }

    /// The newest of these versions that has a record.
    async fn last(&self, own: &[(String, u64)]) -> Result<Option<SavedVersion>> {
        for (version, _) in own.iter().rev() {
            if let Some(saved) = self.version(version).await? {
                return Ok(Some(saved));
            }
        }
        Ok(None)
    }

    /// The versions after the version `after` and before `before`, the newest first; at most `limit`.
    pub(crate) async fn list(
        &self,
        after: Option<&str>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SavedVersion>> {
        let all = self.versions(after).await?;
        let newer = all
            .iter()
            .rev()
            .skip_while(|version| before.is_some_and(|before| version.as_str() >= before))
            .take(limit.saturating_add(RECORDS_AT_ONCE));
        let reads: Vec<_> = newer.map(|version| self.version(version).boxed()).collect();
        // Records may be gone in the meantime.
        let mut found: Vec<SavedVersion> = futures::stream::iter(reads)
            .buffered(RECORDS_AT_ONCE)
            .try_filter_map(|saved| std::future::ready(Ok(saved)))
            .try_collect()
            .await?;
        found.truncate(limit);
        Ok(found)
    }

    /// A link to a version: of the storage, or at a server whose addresses begin with `site`.
    pub(crate) async fn link(&self, site: &str, saved: &SavedVersion) -> Result<String> {
        let (key, name) = (saved.archive_key(), format!("{}.zip", saved.name));
        if let Some(link) = self.store.link(&key, &name, self.limits.link).await? {
            return Ok(link);
        }
        let target = LinkTarget {
            tenant: self.tenant.clone(),
            key,
            name,
        };
        self.key.link(site, &target, self.limits.link)
    }

    /// Keeps a video of a draft, in place of an earlier one; returns its key.
    pub(crate) async fn add_video(&self, file: &Path, draft: &str) -> Result<String> {
        let file = file.to_owned();
        let scratch = self.store.scratch()?.to_owned();
        let blob = blocking(move || {
            let unusable = |error| Error::internal("the video cannot be stored").source(error);
            let mut from = File::open(&file).map_err(unusable)?;
            let mut to = tempfile::NamedTempFile::new_in(&scratch).map_err(unusable)?;
            let (bytes, sha256) = copied(&mut from, to.as_file_mut()).map_err(unusable)?;
            let file = to.into_temp_path();
            Ok(NewBlob {
                file,
                bytes,
                sha256,
            })
        })
        .await?;
        let prefix = format!("{VIDEOS}/{}/", part_of(draft));
        let key = format!("{prefix}{}.mp4", &blob.sha256[..16]);
        let earlier = self.store.list(&prefix, None).await?;
        self.store.put(&key, blob).await?;
        for other in earlier.into_iter().filter(|other| other.key != key) {
            self.store.delete(&other.key).await?;
        }
        Ok(key)
    }

    /// A link to a video, as [`Self::link`].
    pub(crate) async fn link_video(&self, site: &str, key: &str) -> Result<String> {
        let name = key.rsplit('/').next().unwrap_or_default().to_owned();
        if let Some(link) = self.store.link(key, &name, self.limits.link).await? {
            return Ok(link);
        }
        let target = LinkTarget {
            tenant: self.tenant.clone(),
            key: key.to_owned(),
            name,
        };
        self.key.link(site, &target, self.limits.link)
    }

    /// The store that has the file with this key, and its size.
    pub(crate) async fn archive(&self, key: &str) -> Result<Option<(&dyn BlobStore, u64)>> {
        for store in [Some(&self.store), self.earlier.as_ref()]
            .into_iter()
            .flatten()
        {
            if let Some(file) = store.find(key).await? {
                return Ok(Some((&**store, file.bytes)));
            }
        }
        Ok(None)
    }

    /// The versions after the version `after`, or all; the oldest first.
    async fn versions(&self, after: Option<&str>) -> Result<Vec<String>> {
        // A client may ask for what is no version.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let key = after
            .filter(|after| after.bytes().all(is_plain))
            .map(|after| format!("{RECORDS}/{after}"));
        let prefix = format!("{RECORDS}/");
        let records = self.store.list(&prefix, key.as_deref()).await?;
        let versions = records.iter().filter_map(|file| {
            let name = file.key.strip_prefix(RECORDS)?.strip_prefix('/')?;
            Some(name.strip_suffix(".json")?.to_owned())
        });
        let newer = |version: &String| after.is_none_or(|after| version.as_str() > after);
        Ok(versions.filter(newer).collect())
    }

    /// A version; `None` if it was removed in the meantime, or its record is damaged.
    async fn version(&self, version: &str) -> Result<Option<SavedVersion>> {
        if let Some(known) = self.records.get(version) {
            return Ok(Some(known));
        }
        let key = format!("{RECORDS}/{version}.json");
        let Some(bytes) = self.store.bytes(&key, RECORD).await? else {
            return Ok(None);
        };
        let saved: Option<SavedVersion> = serde_json::from_slice(&bytes).ok();
        if let Some(saved) = &saved {
            self.records.insert(version.to_owned(), saved.clone());
        }
        Ok(saved)
    }
}

/// An id of a draft as a part of keys; ids of other programs may have any characters.
pub(crate) fn part_of(draft: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !draft.is_empty() && draft.len() <= 100 && draft.bytes().all(is_plain) {
        draft.to_owned()
    } else {
        marker::hash(draft.as_bytes())[..32].to_owned()
    }
}

fn time_of(version: &str) -> Option<u64> {
    u64::from_str_radix(version.split('-').next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
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
                link: Duration::ZERO,
                age: Duration::from_hours(24),
                versions,
                bytes,
            };
            let data = folder.path().join("data");
            fs::create_dir(&data).unwrap();
            let storage = Storage::folder();
            let drafts = SavedDrafts::of(&storage, &data, "local", key, limits).unwrap();
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
        let (_, bytes) = it.drafts.archive(&b.archive_key()).await.unwrap().unwrap();
        assert_eq!(bytes, b.bytes);
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
        let archives = it.drafts.store.list("drafts/", None).await.unwrap();
        assert_eq!(archives.len(), 3);

        let it = Fixture::new(5, 1);
        it.save("a", "1").await;
        let last = it.save("b", "1").await;
        assert_eq!(it.names(None, 10).await, [last.version]);
        it.drafts.remove_retired().await.unwrap();
        assert_eq!(
            it.drafts.store.list("drafts/", None).await.unwrap().len(),
            1
        );
    }

    #[tokio::test]
    async fn a_version_that_is_not_listed_any_more_can_be_downloaded_until_its_links_expire() {
        let mut it = Fixture::new(1, u64::MAX);
        it.drafts.limits.link = Duration::from_mins(1);
        let first = it.save("a", "1").await;
        let second = it.save("a", "2").await;
        let listed = it.names(None, 10).await;
        assert_eq!(listed, std::slice::from_ref(&second.version));
        let key = first.archive_key();
        assert!(it.drafts.archive(&key).await.unwrap().is_some());
        let third = it.save("a", "3").await;
        assert!(it.drafts.archive(&key).await.unwrap().is_some());
        it.drafts.limits.link = Duration::ZERO;
        it.drafts.remove_expired(&HashSet::new()).await.unwrap();
        assert!(it.drafts.archive(&key).await.unwrap().is_none());
        assert_eq!(it.names(None, 10).await, [third.version]);
        assert!(
            it.drafts
                .store
                .list("retired/", None)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            it.drafts.store.list("drafts/", None).await.unwrap().len(),
            1
        );
    }

    #[tokio::test]
    async fn old_versions_expire_but_not_the_last_one_of_a_draft_that_is_there() {
        let mut it = Fixture::new(5, u64::MAX);
        for (draft, content) in [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")] {
            it.save(draft, content).await;
        }
        let live = HashSet::from(["a".to_owned()]);
        assert_eq!(
            it.drafts.remove_expired(&live).await.unwrap(),
            0,
            "they are young"
        );
        it.drafts.limits.age = Duration::ZERO;
        // A zip file whose record is about to be written.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let arriving = format!("{:016x}-00-a", now.as_micros());
        let blob = NewBlob::of(it.drafts.store.scratch().unwrap(), b"zip".to_vec());
        let key = format!("drafts/a/{arriving}.zip");
        assert!(
            it.drafts
                .store
                .put(&key, blob.await.unwrap())
                .await
                .unwrap()
        );
        assert_eq!(it.drafts.remove_expired(&live).await.unwrap(), 3);
        let left = it.drafts.list(None, None, 10).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].draft_id, "a");
        assert!(it.drafts.store.find(&key).await.unwrap().is_some());
        assert_eq!(it.drafts.latest("a").await.unwrap(), Some(left[0].clone()));
        assert_eq!(it.drafts.latest("b").await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_no_version_and_is_removed_later() {
        let it = Fixture::new(2, u64::MAX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let hour = Duration::from_mins(61);
        let left = |age: Duration| format!("{:016x}-00-a", (now - age).as_micros() as u64);
        let (old, young) = (left(hour), left(Duration::ZERO));
        for version in [&old, &young] {
            let blob = NewBlob::of(it.drafts.store.scratch().unwrap(), b"zip".to_vec());
            let key = format!("drafts/a/{version}.zip");
            let put = it.drafts.store.put(&key, blob.await.unwrap()).await;
            assert!(put.unwrap());
        }
        let saved = it.save("a", "1").await;
        assert_eq!(
            it.names(None, 10).await,
            std::slice::from_ref(&saved.version)
        );
        let own = it.drafts.own("a").await.unwrap();
        let own: Vec<String> = own.into_iter().map(|(version, _)| version).collect();
        assert_eq!(own, [young, saved.version]);
    }
}
