//! Removes what has expired from the storage of a tenant: media and saved versions that no draft needs, and uploads that broke
//! off.
//!
//! Servers with one journal do so one at a time, by a lease. Servers with different journals may share a bucket: each publishes
//! what its drafts need, and spares what the others need. What another server does not need any more stays until it says so.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{App, user_of};
use crate::delivery::links::LinkKey;
use crate::delivery::saved::{SavedDrafts, part_of};
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::journal::DraftRow;
use crate::media::{self, NeededMedia, Removed};
use crate::printable::counted;
use crate::storage::{ContentStore, Storage, is_sha256};

/// How often a tenant's storage is swept, by all servers together.
pub(crate) const SWEPT: Duration = Duration::from_hours(1);
/// How often that may happen because a tenant has no space left.
const SWEPT_FOR_SPACE: Duration = Duration::from_mins(1);

/// What was removed from a tenant's storage.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    media: Removed,
    /// Saved versions of drafts.
    versions: usize,
    /// Uploads that broke off.
    uploads: usize,
    /// Media and versions stay, because a server has not said what its drafts need.
    is_unknown: bool,
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "removed {} of {} bytes, {} and {}",
            counted(self.media.files as usize, "media file"),
            self.media.bytes,
            counted(self.versions, "saved version"),
            counted(self.uploads, "unfinished upload"),
        )?;
        if self.is_unknown {
            f.write_str(
                "; media stay until all servers with this bucket have said what they need",
            )?;
        }
        Ok(())
    }
}

/// What the drafts of a journal need, by the drafts and their last change.
#[derive(Default)]
pub(super) struct KnownNeeds(Mutex<HashMap<DraftId, (i64, Arc<DraftNeeds>)>>);

#[derive(Default)]
struct DraftNeeds {
    urls: HashSet<String>,
    contents: HashSet<String>,
}

/// What a journal publishes.
#[derive(Default, Serialize, Deserialize)]
struct PublishedNeeds {
    urls: HashSet<String>,
    contents: HashSet<String>,
    /// The drafts, as parts of keys.
    drafts: HashSet<String>,
}

impl PublishedNeeds {
    fn add(&mut self, other: Self) {
        self.urls.extend(other.urls);
        self.contents.extend(other.contents);
        self.drafts.extend(other.drafts);
    }
}

impl App {
    /// Removes what has expired, unless a server with the same journal has done so within [`SWEPT`].
    pub(crate) async fn sweep_storage(&self) -> Result<()> {
        if !self.storage.is_bucket() || !self.is_turn("sweep", SWEPT).await? {
            return Ok(());
        }
        let swept = self.sweep(0).await?;
        tracing::info!("object storage of {:?}: {swept}", self.tenant);
        Ok(())
    }

    /// Removes what no draft needs until there is space again.
    pub(super) async fn sweep_for_space(&self) -> Result<()> {
        if !self.storage.is_bucket() || !self.is_turn("sweep for space", SWEPT_FOR_SPACE).await? {
            return Ok(());
        }
        // A tenth of it, so that the next call does not find it full again.
        let swept = self.sweep(self.manifest.limits.tenant_bytes / 10).await?;
        tracing::info!("object storage of {:?} is full: {swept}", self.tenant);
        Ok(())
    }

    async fn is_turn(&self, key: &str, every: Duration) -> Result<bool> {
        // It is not released: it ends when the next one is due.
        self.journal.lease(key, Uuid::new_v4(), every).await
    }

    /// Removes what has expired, and what no draft needs until `excess` bytes are removed.
    pub(crate) async fn sweep(&self, excess: u64) -> Result<Swept> {
        let data = self.settings.data_dir()?;
        let limits = &self.manifest.limits;
        let copies = Storage::media_copies(data);
        let user = user_of(&self.journal);
        let mut swept = Swept::default();
        let Some(content) =
            self.storage
                .media(&self.tenant, copies, limits.media.cache_bytes, user)?
        else {
            return Ok(swept);
        };
        swept.uploads = self.storage.abort_abandoned().await?;
        let Some(needs) = self.needs(&content).await? else {
            swept.is_unknown = true;
            return Ok(swept);
        };
        let needed = NeededMedia {
            urls: needs.urls,
            contents: needs.contents,
        };
        let age = Duration::from_secs(limits.media.cache_age_s);
        swept.media = media::remove_expired(&content, &needed, age, excess).await?;
        let saved = self.saved_drafts(data)?;
        swept.versions = saved.remove_expired(&needs.drafts).await?;
        self.storage.forget_used(&self.tenant)?;
        Ok(swept)
    }

    fn saved_drafts(&self, data: &Path) -> Result<SavedDrafts> {
        SavedDrafts::of(
            &self.storage,
            data,
            &self.tenant,
            Arc::new(LinkKey::of(data)?),
            self.manifest.limits.delivery.limits(),
        )
    }

    /// What the drafts of this journal need, which is published, and those of the others; `None` if one of them has not
    /// published it yet.
    async fn needs(&self, content: &ContentStore) -> Result<Option<PublishedNeeds>> {
        let drafts = self.journal.list(false, usize::MAX, None).await?;
        let mut own = PublishedNeeds::default();
        for draft in &drafts {
            own.drafts.insert(part_of(draft.id.as_str()));
            let needs = self.needs_of(draft).await?;
            own.urls.extend(needs.urls.iter().cloned());
            own.contents.extend(needs.contents.iter().cloned());
        }
        self.needs.keep(&drafts);
        let text = serde_json::to_vec(&own)
            .map_err(|error| Error::internal("a note cannot be written").source(error))?;
        content.publish(text).await?;
        let mut all = PublishedNeeds::default();
        for text in content.published().await? {
            let published: Option<PublishedNeeds> =
                serde_json::from_slice(&text).map_err(|error| {
                    let what = "a note about what the drafts of a server need is damaged";
                    Error::internal(what).source(error)
                })?;
            let Some(published) = published else {
                return Ok(None);
            };
            all.add(published);
        }
        Ok(Some(all))
    }

    /// What a draft has named since it was made. More than it needs now does no harm: an edit can be undone.
    async fn needs_of(&self, draft: &DraftRow) -> Result<Arc<DraftNeeds>> {
        if let Some(known) = self.needs.get(draft) {
            return Ok(known);
        }
        let records = self.journal.records(&draft.origin, &draft.id, 0).await?;
        let mut needs = DraftNeeds::default();
        let mut documents = HashSet::new();
        for record in &records {
            each_text(&record.arguments, &mut |text| needs.add(text));
            let found = record.found.as_deref().unwrap_or_default();
            each_text_of(found.as_bytes(), &mut |text| {
                needs.add(text);
                if is_sha256(text) {
                    documents.insert(text.to_owned());
                }
            });
        }
        for hash in documents {
            if let Some(packed) = self.journal.document(&hash).await? {
                let texts = tokio::task::spawn_blocking(move || {
                    let mut needs = DraftNeeds::default();
                    each_text_of(&packed.text()?, &mut |text| needs.add(text));
                    Ok(needs)
                });
                let found: DraftNeeds = texts
                    .await
                    .map_err(|error| Error::internal("a document was not read").source(error))
                    .flatten()?;
                needs.urls.extend(found.urls);
                needs.contents.extend(found.contents);
            }
        }
        let needs = Arc::new(needs);
        self.needs.put(draft, &needs);
        Ok(needs)
    }
}

impl DraftNeeds {
    fn add(&mut self, text: &str) {
        if text.contains("://")
            && let Some(url) = media::source_key(text)
        {
            self.urls.insert(url);
        }
        let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default();
        if is_sha256(stem) {
            self.contents.insert(stem.to_owned());
        }
    }
}

impl KnownNeeds {
    fn get(&self, draft: &DraftRow) -> Option<Arc<DraftNeeds>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (modified, needs) = known.get(&draft.id)?;
        (*modified == draft.modified_ms).then(|| Arc::clone(needs))
    }

    fn put(&self, draft: &DraftRow, needs: &Arc<DraftNeeds>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(draft.id.clone(), (draft.modified_ms, Arc::clone(needs)));
    }

    /// Forgets the drafts that are not there any more.
    fn keep(&self, drafts: &[DraftRow]) {
        let there: HashSet<&DraftId> = drafts.iter().map(|draft| &draft.id).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|draft, _| there.contains(draft));
    }
}

/// Calls `work` with every text of a value.
fn each_text(value: &Value, work: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => work(text),
        Value::Array(values) => values.iter().for_each(|value| each_text(value, work)),
        Value::Object(members) => members.values().for_each(|value| each_text(value, work)),
        _ => {}
    }
}

/// Calls `work` with every text of a JSON document that has no quotes in it. Documents may have values that other readers of
/// JSON refuse, so that it is not parsed.
fn each_text_of(document: &[u8], work: &mut dyn FnMut(&str)) {
    for piece in document.split(|byte| *byte == b'"') {
        let Ok(piece) = str::from_utf8(piece) else {
            continue;
        };
        if !piece.contains('\\') {
            work(piece);
        } else if let Ok(text) = serde_json::from_str::<String>(&format!("\"{piece}\"")) {
            work(&text);
        }
    }
}
