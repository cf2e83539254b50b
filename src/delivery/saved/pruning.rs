//! Which saved versions and videos are removed, and when.
//!
//! A version is first retired: it is in no list any more, so that it gets no new link. Its zip file is removed when its links
//! have expired. Several servers may do so at the same time.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{ARCHIVES, RECORDS, SavedDrafts, SavedVersion, TOTAL, VIDEOS, time_of};
use crate::error::Result;
use crate::storage::NewBlob;

/// The prefix of the keys of notes about retired versions.
const RETIRED: &str = "retired";
/// A zip file without a record that is older was left by a process that was killed.
const ABANDONED: Duration = Duration::from_hours(1);

impl SavedDrafts {
    /// Removes the oldest versions beyond the limits, but not `kept`. `own` are the versions of its draft before it.
    pub(super) async fn prune(&self, own: Vec<(String, u64)>, kept: &SavedVersion) -> Result<()> {
        let mut retired = self.remove_retired().await?;
        let mut left = self.limits.versions.max(1) - 1;
        let mut removed = 0;
        for (version, bytes) in own.into_iter().rev() {
            if retired.contains(&version) {
                continue;
            }
            if self.version(&version).await?.is_none() {
                // Another process may be about to write its record.
                if !is_abandoned(&version) {
                    continue;
                }
            } else if left > 0 {
                left -= 1;
                continue;
            } else {
                self.retire(&version).await?;
                retired.insert(version);
                removed += bytes;
                continue;
            }
            self.remove(&version).await?;
            removed += bytes;
        }
        let mut total = self.total.lock().await;
        let known = total.filter(|(when, _)| when.elapsed() < TOTAL);
        let (when, bytes) = match known {
            Some((when, bytes)) => (when, (bytes + kept.bytes).saturating_sub(removed)),
            None => {
                let archives = self.store.list(&format!("{ARCHIVES}/"), None).await?;
                let archives = archives.iter();
                let kept = archives.filter(|file| !is_retired(&file.key, &retired));
                (Instant::now(), kept.map(|file| file.bytes).sum())
            }
        };
        let bytes = if bytes > self.limits.bytes {
            self.prune_to_size(kept, &retired).await?
        } else {
            bytes
        };
        *total = Some((when, bytes));
        Ok(())
    }

    /// Removes the oldest versions of all drafts until the others are within the limit. Returns the size of those.
    async fn prune_to_size(&self, kept: &SavedVersion, retired: &HashSet<String>) -> Result<u64> {
        let mut archives = self.store.list(&format!("{ARCHIVES}/"), None).await?;
        archives.retain(|file| !is_retired(&file.key, retired));
        let mut total: u64 = archives.iter().map(|file| file.bytes).sum();
        let mut versions: Vec<(&str, u64)> = archives
            .iter()
            .filter_map(|file| {
                let version = file.key.rsplit('/').next()?.strip_suffix(".zip")?;
                Some((version, file.bytes))
            })
            .filter(|(version, _)| *version != kept.version)
            .collect();
        versions.sort_unstable();
        for (version, bytes) in versions {
            if total <= self.limits.bytes {
                break;
            }
            if self.version(version).await?.is_none() && !is_abandoned(version) {
                // Another process may be about to write its record.
                continue;
            }
            self.retire(version).await?;
            total = total.saturating_sub(bytes);
        }
        Ok(total)
    }

    /// Takes a version out of all lists. Its zip file stays as long as a link to it may be valid: someone may be downloading it.
    async fn retire(&self, version: &str) -> Result<()> {
        let note = NewBlob::of(self.store.scratch()?, b"{}".to_vec()).await?;
        self.store
            .put(&format!("{RETIRED}/{version}.json"), note)
            .await?;
        self.store
            .delete(&format!("{RECORDS}/{version}.json"))
            .await?;
        self.records.remove(version);
        Ok(())
    }

    /// Removes retired versions whose links have expired; returns all that are or were retired.
    pub(super) async fn remove_retired(&self) -> Result<HashSet<String>> {
        let prefix = format!("{RETIRED}/");
        let mut retired = HashSet::new();
        for note in self.store.list(&prefix, None).await? {
            let version = note.key.strip_prefix(&prefix);
            let Some(version) = version.and_then(|name| name.strip_suffix(".json")) else {
                continue;
            };
            if note.age() >= self.limits.link {
                self.remove(version).await?;
                self.store.delete(&note.key).await?;
            }
            retired.insert(version.to_owned());
        }
        Ok(retired)
    }

    /// Removes versions that are too old, but never the last one of a draft in `live`, which has drafts as parts of keys.
    /// Returns how many there were. Several servers may do so at the same time.
    pub(crate) async fn remove_expired(&self, live: &HashSet<String>) -> Result<usize> {
        let retired = self.remove_retired().await?;
        let mut drafts: HashMap<String, Vec<String>> = HashMap::new();
        let prefix = format!("{ARCHIVES}/");
        for file in self.store.list(&prefix, None).await? {
            let parts = file
                .key
                .strip_prefix(&prefix)
                .and_then(|key| key.split_once('/'));
            if let Some((draft, name)) = parts
                && let Some(version) = name.strip_suffix(".zip")
                && !retired.contains(version)
            {
                let versions = drafts.entry(draft.to_owned()).or_default();
                versions.push(version.to_owned());
            }
        }
        let mut removed = 0;
        for (draft, mut versions) in drafts {
            versions.sort_unstable();
            if live.contains(&draft) {
                // Those without a record may be arriving.
                while let Some(last) = versions.pop() {
                    if self.version(&last).await?.is_some() {
                        break;
                    }
                }
            }
            for version in versions {
                if is_older(&version, self.limits.age) {
                    self.retire(&version).await?;
                    removed += 1;
                }
            }
        }
        let prefix = format!("{VIDEOS}/");
        for video in self.store.list(&prefix, None).await? {
            let draft = video
                .key
                .strip_prefix(&prefix)
                .and_then(|key| key.split('/').next());
            if draft.is_some_and(|draft| !live.contains(draft)) && video.age() >= self.limits.age {
                self.store.delete(&video.key).await?;
            }
        }
        Ok(removed)
    }

    async fn remove(&self, version: &str) -> Result<()> {
        // The record first: what is listed is there.
        self.store
            .delete(&format!("{RECORDS}/{version}.json"))
            .await?;
        self.records.remove(version);
        let draft = version.splitn(3, '-').nth(2).unwrap_or_default();
        self.store
            .delete(&format!("{ARCHIVES}/{draft}/{version}.zip"))
            .await
    }
}

/// Whether a version is so old that no process is still about to write its record.
fn is_abandoned(version: &str) -> bool {
    is_older(version, ABANDONED)
}

fn is_older(version: &str, least: Duration) -> bool {
    let time = time_of(version).map(Duration::from_micros);
    let age = time.and_then(|time| {
        let time = UNIX_EPOCH.checked_add(time)?;
        SystemTime::now().duration_since(time).ok()
    });
    age.is_some_and(|age| age > least)
}

/// Whether the zip file with this key is one of a version in `retired`.
fn is_retired(key: &str, retired: &HashSet<String>) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".zip")
        .is_some_and(|version| retired.contains(version))
}
