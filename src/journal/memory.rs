//! A journal in memory, for tests: the simplest implementation of the contract.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Appended, Beat, Budget, CallPosition, ClaimTerms, ClaimedJob, CreationClaim, CreationRow,
    DraftRow, Fence, JobAdded, JobPhase, JobReport, JobRow, KEEP_FINISHED_MS, NewDraftRow, NewJob,
    NewRecord, PackedDocument, Record, Store, already_exists, beyond, changed, now_ms, taken_over,
};
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::sorting;

#[derive(Debug, Default)]
pub(super) struct MemoryStore {
    tenants: Mutex<BTreeMap<TenantName, Arc<Mutex<Tables>>>>,
    /// Told when a job is added or stopped.
    queue: Notify,
    /// How many ends of jobs it does not take, as a database that is away.
    lost_ends: AtomicU32,
}

impl MemoryStore {
    pub(super) fn that_loses(ends: u32) -> Self {
        Self {
            lost_ends: ends.into(),
            ..Self::default()
        }
    }
}

fn lock<T>(tables: &Mutex<T>) -> MutexGuard<'_, T> {
    tables.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Tables {
    drafts: Vec<StoredDraft>,
    jobs: BTreeMap<String, StoredJob>,
    leases: BTreeMap<String, (Uuid, Instant)>,
    documents: BTreeMap<String, Arc<PackedDocument>>,
    creations: BTreeMap<String, CreationRow>,
    values: BTreeMap<String, (Vec<u8>, Option<Instant>)>,
}

#[derive(Debug)]
struct StoredJob {
    row: JobRow,
    /// When the lease of its runner ends.
    until: Instant,
    queued: Instant,
    stop: bool,
}

impl StoredJob {
    fn row(&self) -> JobRow {
        JobRow {
            is_lost: self.row.phase == JobPhase::Running && !self.is_running(),
            ..self.row.clone()
        }
    }

    fn is_running(&self) -> bool {
        self.row.phase == JobPhase::Running && self.until > Instant::now()
    }

    /// Whether a worker may take it.
    fn is_open(&self) -> bool {
        self.row.phase != JobPhase::Ended && !self.is_running()
    }

    fn put(&mut self, report: &JobReport) {
        self.row.state.clone_from(&report.state);
        if report.draft.is_some() {
            self.row.draft.clone_from(&report.draft);
        }
        self.row.updated_ms = now_ms();
    }
}

impl Tables {
    /// The job, if it is still run by this attempt.
    fn held(&mut self, fence: &Fence) -> Option<&mut StoredJob> {
        let job = self.jobs.get_mut(&*fence.job)?;
        let held = job.row.attempt == fence.attempt && job.row.phase == JobPhase::Running;
        held.then_some(job)
    }

    fn still_held(&mut self, fence: Option<&Fence>) -> Result<()> {
        match fence {
            Some(fence) if self.held(fence).is_none() => Err(taken_over(fence)),
            _ => Ok(()),
        }
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        let (value, until) = self.values.get(key)?;
        let lasts = until.is_none_or(|until| until > Instant::now());
        lasts.then(|| value.clone())
    }

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
    fn of(&self, who: &TenantName) -> Arc<Mutex<Tables>> {
        Arc::clone(lock(&self.tenants).entry(who.clone()).or_default())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn id(&self, who: &TenantName) -> Result<String> {
        Ok(format!("{:p}", Arc::as_ptr(&self.of(who))))
    }

    async fn tenants(&self) -> Result<Vec<TenantName>> {
        Ok(lock(&self.tenants).keys().cloned().collect())
    }

    async fn check(&self, _who: &TenantName) -> Result<()> {
        Ok(())
    }

    async fn create(
        &self,
        who: &TenantName,
        draft: &NewDraftRow,
        record: &NewRecord,
    ) -> Result<()> {
        let own = self.of(who);
        let mut tables = lock(&own);
        tables.still_held(record.fence.as_ref())?;
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
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<Appended> {
        let own = self.of(who);
        let calls = (self as &dyn Store).refused(who, origin, draft).await?;
        let mut tables = lock(&own);
        tables.still_held(record.fence.as_ref())?;
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

    async fn records(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        from: u64,
    ) -> Result<Vec<Record>> {
        let own = self.of(who);
        let mut tables = lock(&own);
        let calls = tables.at(origin, draft).map(|found| found.calls.iter());
        let records = calls.into_iter().flatten().map(|(_, record)| record);
        Ok(records
            .filter(|record| record.sequence >= from)
            .cloned()
            .collect())
    }

    async fn last_sequence(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
    ) -> Result<Option<u64>> {
        let own = self.of(who);
        let mut tables = lock(&own);
        let found = tables.at(origin, draft);
        let found = found.filter(|found| found.row.deleted_ms.is_none());
        Ok(found.map(|found| found.calls.len() as u64 - 1))
    }

    async fn find(&self, who: &TenantName, draft: &DraftId) -> Result<Option<DraftRow>> {
        let own = self.of(who);
        let tables = lock(&own);
        let rows = tables.drafts.iter().map(StoredDraft::row);
        Ok(rows
            .filter(|row| row.id == *draft)
            .max_by_key(|row| (row.deleted_ms.is_none(), row.modified_ms)))
    }

    async fn find_at(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
    ) -> Result<Option<DraftRow>> {
        let own = self.of(who);
        Ok(lock(&own).at(origin, draft).map(|found| found.row()))
    }

    async fn list(
        &self,
        who: &TenantName,
        include_deleted: bool,
        limit: usize,
        query: Option<&str>,
    ) -> Result<Vec<DraftRow>> {
        let own = self.of(who);
        let wanted = query.unwrap_or_default().trim().to_lowercase();
        let tables = lock(&own);
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

    async fn set_saved(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        folder: &str,
        fence: Option<&Fence>,
    ) -> Result<()> {
        let own = self.of(who);
        let mut tables = lock(&own);
        tables.still_held(fence)?;
        let rows = tables.change(Some(origin), draft, |found| {
            found.row.saved_to = Some(folder.to_owned());
            found.changed_ms = found.changed_ms.max(now_ms());
        });
        changed(rows, draft)
    }

    async fn set_moved(
        &self,
        who: &TenantName,
        (origin, draft): (&str, &DraftId),
        last: u64,
        (to_origin, to): (&str, &DraftId),
    ) -> Result<bool> {
        let own = self.of(who);
        let mut tables = lock(&own);
        let found = tables.at(origin, draft);
        let found = found
            .filter(|found| found.row.moved_to.is_none() && found.calls.len() as u64 == last + 1);
        let Some(found) = found else { return Ok(false) };
        found.row.moved_to = Some((to_origin.to_owned(), to.clone()));
        found.changed_ms = found.changed_ms.max(now_ms());
        Ok(true)
    }

    async fn delete(&self, who: &TenantName, draft: &DraftId) -> Result<()> {
        let own = self.of(who);
        let rows = lock(&own).change(None, draft, |found| {
            found.row.deleted_ms.get_or_insert_with(now_ms);
        });
        changed(rows, draft)
    }

    async fn restore(&self, who: &TenantName, draft: &DraftId) -> Result<()> {
        let own = self.of(who);
        let rows = lock(&own).change(None, draft, |found| found.row.deleted_ms = None);
        changed(rows, draft)
    }

    async fn document(&self, who: &TenantName, hash: &str) -> Result<Option<PackedDocument>> {
        let own = self.of(who);
        let tables = lock(&own);
        Ok(tables.documents.get(hash).map(|found| (**found).clone()))
    }

    async fn empty_trash(&self, who: &TenantName, older_than: Duration) -> Result<u64> {
        let own = self.of(who);
        let age_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let until_ms = now_ms().saturating_sub(age_ms);
        let mut tables = lock(&own);
        let before = tables.drafts.len();
        let stays = |found: &StoredDraft| found.row.deleted_ms.is_none_or(|at| at > until_ms);
        tables.drafts.retain(stays);
        let Tables {
            drafts, documents, ..
        } = &mut *tables;
        documents.retain(|hash, _| drafts.iter().any(|draft| draft.documents.contains(hash)));
        Ok((before - tables.drafts.len()) as u64)
    }

    async fn job_add(&self, who: &TenantName, job: &NewJob, lease: Duration) -> Result<JobAdded> {
        let own = self.of(who);
        let mut tables = lock(&own);
        let same = tables
            .jobs
            .values()
            .find(|other| other.row.key.is_some() && other.row.key == job.key);
        if let Some(same) = same {
            return Ok(JobAdded::Exists(same.row.id.clone()));
        }
        let runs = job.runner.is_some();
        let row = JobRow {
            id: job.id.clone(),
            kind: job.kind.clone(),
            draft: None,
            request: job.request.clone(),
            state: job.state.clone(),
            key: job.key.clone(),
            phase: if runs {
                JobPhase::Running
            } else {
                JobPhase::Waiting
            },
            attempt: u32::from(runs),
            runner: job.runner.clone().unwrap_or_default(),
            is_lost: false,
            updated_ms: now_ms(),
        };
        let stored = StoredJob {
            row,
            until: Instant::now() + lease,
            queued: Instant::now(),
            stop: false,
        };
        tables.jobs.insert(job.id.clone(), stored);
        self.queue.notify_waiters();
        Ok(JobAdded::New)
    }

    async fn job_claim(&self, terms: &ClaimTerms) -> Result<Option<ClaimedJob>> {
        let mut open = Vec::new();
        for (who, own) in &*lock(&self.tenants) {
            let tables = lock(own);
            let running = tables.jobs.values().filter(|job| job.is_running()).count();
            let waits = tables.jobs.values().filter(|job| job.is_open());
            if let Some(since) = waits.map(|job| job.queued).min()
                && running < terms.per_tenant
            {
                open.push((running, since, who.clone()));
            }
        }
        open.sort();
        let Some((_, _, who)) = open.into_iter().next() else {
            return Ok(None);
        };
        let own = self.of(&who);
        let mut tables = lock(&own);
        let waits = tables.jobs.values_mut().filter(|job| job.is_open());
        let Some(job) = waits.min_by_key(|job| job.queued) else {
            return Ok(None);
        };
        job.row.phase = JobPhase::Running;
        job.row.attempt += 1;
        job.row.runner.clone_from(&terms.runner);
        job.until = Instant::now() + terms.lease;
        let job = job.row();
        Ok(Some(ClaimedJob { who, job }))
    }

    async fn job_beat(
        &self,
        who: &TenantName,
        fence: &Fence,
        report: Option<&JobReport>,
        lease: Duration,
    ) -> Result<Beat> {
        let own = self.of(who);
        let mut tables = lock(&own);
        let Some(job) = tables.held(fence) else {
            return Ok(Beat::Lost);
        };
        job.until = Instant::now() + lease;
        if let Some(report) = report {
            job.put(report);
        }
        Ok(if job.stop { Beat::Stop } else { Beat::Go })
    }

    async fn job_end(&self, who: &TenantName, fence: &Fence, report: &JobReport) -> Result<bool> {
        let lost = self.lost_ends.load(Ordering::SeqCst);
        if lost > 0 {
            self.lost_ends.store(lost - 1, Ordering::SeqCst);
            return Err(Error::internal("the end was lost"));
        }
        let own = self.of(who);
        let mut tables = lock(&own);
        let ended = tables.held(fence).map(|job| {
            job.put(report);
            job.row.phase = JobPhase::Ended;
        });
        let from_ms = now_ms() - KEEP_FINISHED_MS;
        tables
            .jobs
            .retain(|_, job| job.row.phase != JobPhase::Ended || job.row.updated_ms >= from_ms);
        Ok(ended.is_some())
    }

    async fn job_requeue(
        &self,
        who: &TenantName,
        fence: &Fence,
        report: &JobReport,
    ) -> Result<bool> {
        let own = self.of(who);
        let mut tables = lock(&own);
        let done = tables.held(fence).map(|job| {
            job.put(report);
            job.row.phase = JobPhase::Waiting;
            job.queued = Instant::now();
        });
        self.queue.notify_waiters();
        Ok(done.is_some())
    }

    async fn job_get(&self, who: &TenantName, id: &str) -> Result<Option<JobRow>> {
        let own = self.of(who);
        let tables = lock(&own);
        Ok(tables.jobs.get(id).map(StoredJob::row))
    }

    async fn job_with_key(&self, who: &TenantName, key: &str) -> Result<Option<JobRow>> {
        let own = self.of(who);
        let tables = lock(&own);
        let mut jobs = tables.jobs.values();
        let found = jobs.find(|job| job.row.key.as_deref() == Some(key));
        Ok(found.map(StoredJob::row))
    }

    async fn job_stop(&self, who: &TenantName, id: &str, stopped: &str) -> Result<Option<JobRow>> {
        let own = self.of(who);
        let mut tables = lock(&own);
        let Some(job) = tables.jobs.get_mut(id) else {
            return Ok(None);
        };
        let was = job.row();
        if job.is_open() {
            job.row.phase = JobPhase::Ended;
            job.row.attempt += 1;
            job.row.state = stopped.to_owned();
            job.row.updated_ms = now_ms();
        } else if was.phase == JobPhase::Running {
            job.stop = true;
        }
        self.queue.notify_waiters();
        Ok(Some(was))
    }

    async fn jobs_open(&self, who: &TenantName) -> Result<usize> {
        let own = self.of(who);
        let tables = lock(&own);
        let open = tables.jobs.values();
        Ok(open.filter(|job| job.row.phase != JobPhase::Ended).count())
    }

    async fn jobs_changed(&self, most: Duration) {
        let _timed_out = tokio::time::timeout(most, self.queue.notified()).await;
    }

    async fn lease(
        &self,
        who: &TenantName,
        key: &str,
        holder: Uuid,
        lasts: Duration,
    ) -> Result<bool> {
        let own = self.of(who);
        let mut tables = lock(&own);
        let (now, until) = (Instant::now(), Instant::now() + lasts);
        let held = tables.leases.get(key).copied();
        if held.is_some_and(|(other, until)| other != holder && until > now) {
            return Ok(false);
        }
        tables.leases.insert(key.to_owned(), (holder, until));
        Ok(true)
    }

    async fn release(&self, who: &TenantName, key: &str, holder: Uuid) -> Result<()> {
        let own = self.of(who);
        let leases = &mut lock(&own).leases;
        leases.retain(|held, (other, _)| held != key || *other != holder);
        Ok(())
    }

    async fn is_leased(&self, who: &TenantName, key: &str) -> Result<bool> {
        let own = self.of(who);
        let tables = lock(&own);
        let until = tables.leases.get(key).map(|(_, until)| *until);
        Ok(until.is_some_and(|until| until > Instant::now()))
    }

    async fn value(&self, who: &TenantName, key: &str) -> Result<Option<Vec<u8>>> {
        let own = self.of(who);
        let tables = lock(&own);
        Ok(tables.value(key))
    }

    async fn put_value(
        &self,
        who: &TenantName,
        key: &str,
        new: &[u8],
        lasts: Option<Duration>,
    ) -> Result<()> {
        let own = self.of(who);
        let until = lasts.map(|lasts| Instant::now() + lasts);
        let value = (new.to_vec(), until);
        lock(&own).values.insert(key.to_owned(), value);
        Ok(())
    }

    async fn set_value(
        &self,
        who: &TenantName,
        key: &str,
        seen: Option<&[u8]>,
        new: Option<&[u8]>,
        lasts: Option<Duration>,
    ) -> Result<bool> {
        let own = self.of(who);
        let mut tables = lock(&own);
        if tables.value(key).as_deref() != seen {
            return Ok(false);
        }
        tables.values.remove(key);
        if let Some(new) = new {
            let until = lasts.map(|lasts| Instant::now() + lasts);
            tables.values.insert(key.to_owned(), (new.to_vec(), until));
        }
        Ok(true)
    }

    async fn creation(&self, who: &TenantName, key: &str) -> Result<Option<CreationRow>> {
        let own = self.of(who);
        Ok(lock(&own).creations.get(key).cloned())
    }

    async fn claim_creation(
        &self,
        who: &TenantName,
        row: &CreationRow,
        budget: Option<Budget>,
    ) -> Result<CreationClaim> {
        let own = self.of(who);
        let mut tables = lock(&own);
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

    async fn put_creation(&self, who: &TenantName, row: &CreationRow) -> Result<()> {
        let own = self.of(who);
        let mut tables = lock(&own);
        tables.creations.insert(row.key.clone(), row.clone());
        Ok(())
    }

    async fn replace_creation(
        &self,
        who: &TenantName,
        seen: &CreationRow,
        new: Option<&CreationRow>,
    ) -> Result<bool> {
        let own = self.of(who);
        let creations = &mut lock(&own).creations;
        if !creations.get(&seen.key).is_some_and(|own| own.is_as(seen)) {
            return Ok(false);
        }
        creations.remove(&seen.key);
        if let Some(new) = new {
            creations.insert(new.key.clone(), new.clone());
        }
        Ok(true)
    }

    async fn drop_creation(&self, who: &TenantName, key: &str) -> Result<()> {
        let own = self.of(who);
        lock(&own).creations.remove(key);
        Ok(())
    }

    async fn spent(&self, who: &TenantName, since_ms: i64) -> Result<f64> {
        let own = self.of(who);
        Ok(lock(&own).spent(since_ms))
    }
}
