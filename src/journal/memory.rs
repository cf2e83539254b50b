//! A journal in memory, for tests: the simplest implementation of the contract.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    Appended, Budget, CallPosition, CreationClaim, CreationRow, DraftRow, JobRecord,
    KEEP_FINISHED_MS, NewDraftRow, NewRecord, PackedDocument, Record, Store, already_exists,
    beyond, changed, now_ms,
};
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::sorting;

#[derive(Debug, Default)]
pub(super) struct MemoryStore(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    drafts: Vec<StoredDraft>,
    jobs: BTreeMap<String, JobRecord>,
    leases: BTreeMap<String, (Uuid, Instant)>,
    documents: BTreeMap<String, Arc<PackedDocument>>,
    creations: BTreeMap<String, CreationRow>,
}

impl Tables {
    fn spent(&self, since_ms: i64) -> f64 {
        let rows = self.creations.values();
        let rows = rows.filter(|row| row.claimed_ms >= since_ms);
        rows.map(|row| row.cost).sum()
    }
}

#[derive(Debug)]
struct StoredDraft {
    row: DraftRow,
    changed_ms: i64,
    calls: Vec<(Uuid, Record)>,
    /// The hashes of the documents that its calls name.
    documents: Vec<String>,
}

impl StoredDraft {
    fn push(&mut self, record: &NewRecord) -> Result<u64> {
        let json = |text: &str| {
            serde_json::from_str(text)
                .map_err(|error| Error::internal("a record is not JSON").source(error))
        };
        let sequence = self.calls.len() as u64;
        let entered = Record {
            sequence,
            tool: record.tool.clone(),
            arguments: json(&record.arguments)?,
            found: record.found.clone(),
            reply: json(&record.reply)?,
            engine_version: record.engine_version,
            at_ms: record.at_ms,
            internal: record.internal,
        };
        self.calls.push((record.call, entered));
        if let Some(name) = &record.name {
            self.row.name.clone_from(name);
        }
        self.documents
            .extend(record.document.iter().map(|document| document.hash.clone()));
        Ok(sequence)
    }

    fn row(&self) -> DraftRow {
        let last_ms = self.calls.last().map_or(0, |(_, record)| record.at_ms);
        DraftRow {
            calls: self.calls.iter().filter(|(_, call)| !call.internal).count() as u64,
            modified_ms: self.changed_ms.max(last_ms),
            ..self.row.clone()
        }
    }
}

impl Tables {
    fn at(&mut self, origin: &str, draft: &DraftId) -> Option<&mut StoredDraft> {
        self.drafts
            .iter_mut()
            .find(|found| found.row.id == *draft && found.row.origin == origin)
    }

    fn keep(&mut self, record: &NewRecord) {
        if let Some(document) = &record.document {
            self.documents
                .insert(document.hash.clone(), Arc::clone(document));
        }
    }

    /// Changes every draft with this id, and this origin if one is given; returns their number.
    fn change(
        &mut self,
        origin: Option<&str>,
        draft: &DraftId,
        change: impl Fn(&mut StoredDraft),
    ) -> usize {
        let found = self.drafts.iter_mut().filter(|found| {
            found.row.id == *draft && origin.is_none_or(|origin| found.row.origin == origin)
        });
        found.map(change).count()
    }
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn id(&self) -> Result<String> {
        Ok(format!("{:p}", &raw const self.0))
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn create(&self, draft: &NewDraftRow, record: &NewRecord) -> Result<()> {
        let mut tables = self.lock();
        if let Some(there) = tables.at(&draft.origin, &draft.id) {
            if there.calls.first().map(|(call, _)| *call) == Some(record.call) {
                return Ok(());
            }
            return Err(already_exists(&draft.origin, &draft.id));
        }
        let mut made = StoredDraft {
            row: DraftRow {
                origin: draft.origin.clone(),
                id: draft.id.clone(),
                name: draft.name.clone(),
                edition: draft.edition.clone(),
                reason: draft.reason.clone(),
                created_ms: record.at_ms,
                modified_ms: record.at_ms,
                calls: 0,
                saved_to: None,
                deleted_ms: None,
                moved_to: None,
            },
            changed_ms: record.at_ms,
            calls: Vec::new(),
            documents: Vec::new(),
        };
        made.push(record)?;
        tables.keep(record);
        tables.drafts.push(made);
        Ok(())
    }

    async fn append(
        &self,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<Appended> {
        let calls = (self as &dyn Store).refused(origin, draft).await?;
        let mut tables = self.lock();
        let Some(found) = tables.at(origin, draft) else {
            return Err(Error::internal("the draft was removed in the meantime"));
        };
        let there = found
            .calls
            .iter()
            .position(|(call, _)| *call == record.call);
        if let Some(there) = there {
            return Ok(Appended::Already(there as u64));
        }
        match at {
            CallPosition::Sequence(sequence) if sequence < found.calls.len() as u64 => {
                Ok(Appended::Conflict)
            }
            CallPosition::Sequence(sequence) if sequence > found.calls.len() as u64 => {
                Err(beyond(draft, sequence, calls))
            }
            _ => {
                let sequence = found.push(record)?;
                tables.keep(record);
                Ok(Appended::Done(sequence))
            }
        }
    }

    async fn records(&self, origin: &str, draft: &DraftId, from: u64) -> Result<Vec<Record>> {
        let mut tables = self.lock();
        let calls = tables.at(origin, draft).map(|found| found.calls.iter());
        let records = calls.into_iter().flatten().map(|(_, record)| record);
        Ok(records
            .filter(|record| record.sequence >= from)
            .cloned()
            .collect())
    }

    async fn last_sequence(&self, origin: &str, draft: &DraftId) -> Result<Option<u64>> {
        let mut tables = self.lock();
        let found = tables.at(origin, draft);
        let found = found.filter(|found| found.row.deleted_ms.is_none());
        Ok(found.map(|found| found.calls.len() as u64 - 1))
    }

    async fn find(&self, draft: &DraftId) -> Result<Option<DraftRow>> {
        let tables = self.lock();
        let rows = tables.drafts.iter().map(StoredDraft::row);
        Ok(rows
            .filter(|row| row.id == *draft)
            .max_by_key(|row| (row.deleted_ms.is_none(), row.modified_ms)))
    }

    async fn find_at(&self, origin: &str, draft: &DraftId) -> Result<Option<DraftRow>> {
        Ok(self.lock().at(origin, draft).map(|found| found.row()))
    }

    async fn list(
        &self,
        include_deleted: bool,
        limit: usize,
        query: Option<&str>,
    ) -> Result<Vec<DraftRow>> {
        let wanted = query.unwrap_or_default().trim().to_lowercase();
        let tables = self.lock();
        let mut rows: Vec<_> = tables
            .drafts
            .iter()
            .rev()
            .map(StoredDraft::row)
            .filter(|row| include_deleted || row.deleted_ms.is_none())
            .filter(|row| {
                row.id.as_str().contains(&wanted) || row.name.to_lowercase().contains(&wanted)
            })
            .collect();
        sorting::sort_by_key(&mut rows, |row| std::cmp::Reverse(row.modified_ms));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn set_saved(&self, origin: &str, draft: &DraftId, folder: &str) -> Result<()> {
        let rows = self.lock().change(Some(origin), draft, |found| {
            found.row.saved_to = Some(folder.to_owned());
            found.changed_ms = found.changed_ms.max(now_ms());
        });
        changed(rows, draft)
    }

    async fn set_moved(
        &self,
        (origin, draft): (&str, &DraftId),
        last: u64,
        (to_origin, to): (&str, &DraftId),
    ) -> Result<bool> {
        let mut tables = self.lock();
        let found = tables.at(origin, draft);
        let found = found
            .filter(|found| found.row.moved_to.is_none() && found.calls.len() as u64 == last + 1);
        let Some(found) = found else { return Ok(false) };
        found.row.moved_to = Some((to_origin.to_owned(), to.clone()));
        found.changed_ms = found.changed_ms.max(now_ms());
        Ok(true)
    }

    async fn delete(&self, draft: &DraftId) -> Result<()> {
        let rows = self.lock().change(None, draft, |found| {
            found.row.deleted_ms.get_or_insert_with(now_ms);
        });
        changed(rows, draft)
    }

    async fn restore(&self, draft: &DraftId) -> Result<()> {
        let rows = self
            .lock()
            .change(None, draft, |found| found.row.deleted_ms = None);
        changed(rows, draft)
    }

    async fn document(&self, hash: &str) -> Result<Option<PackedDocument>> {
        let tables = self.lock();
        Ok(tables.documents.get(hash).map(|found| (**found).clone()))
    }

    async fn empty_trash(&self, older_than: Duration) -> Result<u64> {
        let age_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let until_ms = now_ms().saturating_sub(age_ms);
        let mut tables = self.lock();
        let before = tables.drafts.len();
        let stays = |found: &StoredDraft| found.row.deleted_ms.is_none_or(|at| at > until_ms);
        tables.drafts.retain(stays);
        let Tables {
            drafts, documents, ..
        } = &mut *tables;
        documents.retain(|hash, _| drafts.iter().any(|draft| draft.documents.contains(hash)));
        Ok((before - tables.drafts.len()) as u64)
    }

    async fn job_put(&self, job: &JobRecord) -> Result<()> {
        let now = now_ms();
        let mut tables = self.lock();
        let job = JobRecord {
            updated_ms: now,
            ..job.clone()
        };
        tables.jobs.insert(job.id.clone(), job);
        tables
            .jobs
            .retain(|_, job| !job.finished || job.updated_ms >= now - KEEP_FINISHED_MS);
        Ok(())
    }

    async fn job_get(&self, id: &str) -> Result<Option<JobRecord>> {
        Ok(self.lock().jobs.get(id).cloned())
    }

    async fn lease(&self, key: &str, holder: Uuid, lasts: Duration) -> Result<bool> {
        let mut tables = self.lock();
        let (now, until) = (Instant::now(), Instant::now() + lasts);
        let held = tables.leases.get(key).copied();
        if held.is_some_and(|(other, until)| other != holder && until > now) {
            return Ok(false);
        }
        tables.leases.insert(key.to_owned(), (holder, until));
        Ok(true)
    }

    async fn release(&self, key: &str, holder: Uuid) -> Result<()> {
        let leases = &mut self.lock().leases;
        leases.retain(|held, (other, _)| held != key || *other != holder);
        Ok(())
    }

    async fn creation(&self, key: &str) -> Result<Option<CreationRow>> {
        Ok(self.lock().creations.get(key).cloned())
    }

    async fn claim_creation(
        &self,
        row: &CreationRow,
        budget: Option<Budget>,
    ) -> Result<CreationClaim> {
        let mut tables = self.lock();
        if let Some(found) = tables.creations.get(&row.key) {
            return Ok(CreationClaim::Exists(found.clone()));
        }
        if let Some(budget) = budget {
            let spent = tables.spent(budget.since_ms);
            if !budget.allows(spent, row.cost) {
                return Ok(CreationClaim::OverBudget(spent));
            }
        }
        let row = CreationRow {
            claimed_ms: now_ms(),
            ..row.clone()
        };
        tables.creations.insert(row.key.clone(), row.clone());
        Ok(CreationClaim::Claimed(row))
    }

    async fn put_creation(&self, row: &CreationRow) -> Result<()> {
        let mut tables = self.lock();
        tables.creations.insert(row.key.clone(), row.clone());
        Ok(())
    }

    async fn replace_creation(
        &self,
        seen: &CreationRow,
        new: Option<&CreationRow>,
    ) -> Result<bool> {
        let creations = &mut self.lock().creations;
        if !creations.get(&seen.key).is_some_and(|own| own.is_as(seen)) {
            return Ok(false);
        }
        creations.remove(&seen.key);
        if let Some(new) = new {
            creations.insert(new.key.clone(), new.clone());
        }
        Ok(true)
    }

    async fn drop_creation(&self, key: &str) -> Result<()> {
        self.lock().creations.remove(key);
        Ok(())
    }

    async fn spent(&self, since_ms: i64) -> Result<f64> {
        Ok(self.lock().spent(since_ms))
    }
}
