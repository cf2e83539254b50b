//! The part of a store that belongs to one tenant.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use uuid::Uuid;

use super::{
    Appended, Beat, Budget, CallPosition, CreationClaim, CreationRow, DraftRow, Fence, JobAdded,
    JobReport, JobRow, NewDraftRow, NewJob, NewRecord, PackedDocument, Record, Store, unknown,
};
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::Result;
use crate::sorting;

/// The drafts, calls and jobs of one tenant: who has it cannot reach those of another one.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    who: TenantName,
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.store.close(&self.who);
    }
}

impl Journal {
    pub(crate) fn new(store: Arc<dyn Store>, who: TenantName) -> Self {
        Self { store, who }
    }

    pub(crate) fn tenant(&self) -> &TenantName {
        &self.who
    }

    /// The store, for what concerns all tenants.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// As [`Store::path`].
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.store.path(&self.who)
    }

    /// As [`Store::id`].
    pub(crate) fn id(&self) -> BoxFuture<'_, Result<String>> {
        self.store.id(&self.who)
    }

    /// As [`Store::check`].
    pub(crate) fn check(&self) -> BoxFuture<'_, Result<()>> {
        self.store.check(&self.who)
    }

    /// As [`Store::create`].
    pub(crate) fn create<'a>(
        &'a self,
        draft: &'a NewDraftRow,
        record: &'a NewRecord,
    ) -> BoxFuture<'a, Result<()>> {
        self.store.create(&self.who, draft, record)
    }

    /// As [`Store::append`].
    pub(crate) fn append<'a>(
        &'a self,
        origin: &'a str,
        draft: &'a DraftId,
        record: &'a NewRecord,
        at: CallPosition,
    ) -> BoxFuture<'a, Result<Appended>> {
        self.store.append(&self.who, origin, draft, record, at)
    }

    /// As [`Store::records`].
    pub(crate) fn records<'a>(
        &'a self,
        origin: &'a str,
        draft: &'a DraftId,
        from: u64,
    ) -> BoxFuture<'a, Result<Vec<Record>>> {
        self.store.records(&self.who, origin, draft, from)
    }

    /// As [`Store::last_sequence`].
    pub(crate) fn last_sequence<'a>(
        &'a self,
        origin: &'a str,
        draft: &'a DraftId,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        self.store.last_sequence(&self.who, origin, draft)
    }

    /// As [`Store::find`].
    pub(crate) fn find<'a>(
        &'a self,
        draft: &'a DraftId,
    ) -> BoxFuture<'a, Result<Option<DraftRow>>> {
        self.store.find(&self.who, draft)
    }

    /// As [`Store::find_at`].
    pub(crate) fn find_at<'a>(
        &'a self,
        origin: &'a str,
        draft: &'a DraftId,
    ) -> BoxFuture<'a, Result<Option<DraftRow>>> {
        self.store.find_at(&self.who, origin, draft)
    }

    /// As [`Store::list`].
    pub(crate) fn list<'a>(
        &'a self,
        include_deleted: bool,
        limit: usize,
        query: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<DraftRow>>> {
        self.store.list(&self.who, include_deleted, limit, query)
    }

    /// As [`Store::set_saved`].
    pub(crate) fn set_saved<'a>(
        &'a self,
        origin: &'a str,
        draft: &'a DraftId,
        folder: &'a str,
        fence: Option<&'a Fence>,
    ) -> BoxFuture<'a, Result<()>> {
        self.store
            .set_saved(&self.who, origin, draft, folder, fence)
    }

    /// As [`Store::set_moved`].
    pub(crate) fn set_moved<'a>(
        &'a self,
        from: (&'a str, &'a DraftId),
        last: u64,
        to: (&'a str, &'a DraftId),
    ) -> BoxFuture<'a, Result<bool>> {
        self.store.set_moved(&self.who, from, last, to)
    }

    /// As [`Store::delete`].
    pub(crate) fn delete<'a>(&'a self, draft: &'a DraftId) -> BoxFuture<'a, Result<()>> {
        self.store.delete(&self.who, draft)
    }

    /// As [`Store::restore`].
    pub(crate) fn restore<'a>(&'a self, draft: &'a DraftId) -> BoxFuture<'a, Result<()>> {
        self.store.restore(&self.who, draft)
    }

    /// As [`Store::document`].
    pub(crate) fn document<'a>(
        &'a self,
        hash: &'a str,
    ) -> BoxFuture<'a, Result<Option<PackedDocument>>> {
        self.store.document(&self.who, hash)
    }

    /// As [`Store::empty_trash`].
    pub(crate) fn empty_trash(&self, older_than: Duration) -> BoxFuture<'_, Result<u64>> {
        self.store.empty_trash(&self.who, older_than)
    }

    /// As [`Store::job_add`].
    pub(crate) fn job_add<'a>(
        &'a self,
        job: &'a NewJob,
        lease: Duration,
    ) -> BoxFuture<'a, Result<JobAdded>> {
        self.store.job_add(&self.who, job, lease)
    }

    /// As [`Store::job_beat`].
    pub(crate) fn job_beat<'a>(
        &'a self,
        fence: &'a Fence,
        report: Option<&'a JobReport>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Beat>> {
        self.store.job_beat(&self.who, fence, report, lease)
    }

    /// As [`Store::job_end`].
    pub(crate) fn job_end<'a>(
        &'a self,
        fence: &'a Fence,
        report: &'a JobReport,
    ) -> BoxFuture<'a, Result<bool>> {
        self.store.job_end(&self.who, fence, report)
    }

    /// As [`Store::job_requeue`].
    pub(crate) fn job_requeue<'a>(
        &'a self,
        fence: &'a Fence,
        report: &'a JobReport,
    ) -> BoxFuture<'a, Result<bool>> {
        self.store.job_requeue(&self.who, fence, report)
    }

    /// As [`Store::job_get`].
    pub(crate) fn job_get<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<JobRow>>> {
        self.store.job_get(&self.who, id)
    }

    /// As [`Store::job_with_key`].
    pub(crate) fn job_with_key<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<JobRow>>> {
        self.store.job_with_key(&self.who, key)
    }

    /// As [`Store::job_stop`].
    pub(crate) fn job_stop<'a>(
        &'a self,
        id: &'a str,
        stopped: &'a str,
    ) -> BoxFuture<'a, Result<Option<JobRow>>> {
        self.store.job_stop(&self.who, id, stopped)
    }

    /// As [`Store::jobs_open`].
    pub(crate) fn jobs_open(&self) -> BoxFuture<'_, Result<usize>> {
        self.store.jobs_open(&self.who)
    }

    /// As [`Store::lease`].
    pub(crate) fn lease<'a>(
        &'a self,
        key: &'a str,
        holder: Uuid,
        lasts: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        self.store.lease(&self.who, key, holder, lasts)
    }

    /// As [`Store::is_leased`].
    pub(crate) fn is_leased<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<bool>> {
        self.store.is_leased(&self.who, key)
    }

    /// As [`Store::value`].
    pub(crate) fn value<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        self.store.value(&self.who, key)
    }

    /// As [`Store::put_value`].
    pub(crate) fn put_value<'a>(
        &'a self,
        key: &'a str,
        new: &'a [u8],
        lasts: Option<Duration>,
    ) -> BoxFuture<'a, Result<()>> {
        self.store.put_value(&self.who, key, new, lasts)
    }

    /// As [`Store::set_value`].
    pub(crate) fn set_value<'a>(
        &'a self,
        key: &'a str,
        seen: Option<&'a [u8]>,
        new: Option<&'a [u8]>,
        lasts: Option<Duration>,
    ) -> BoxFuture<'a, Result<bool>> {
        self.store.set_value(&self.who, key, seen, new, lasts)
    }

    /// As [`Store::creation`].
    pub(crate) fn creation<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<CreationRow>>> {
        self.store.creation(&self.who, key)
    }

    /// As [`Store::claim_creation`].
    pub(crate) fn claim_creation<'a>(
        &'a self,
        row: &'a CreationRow,
        budget: Option<Budget>,
    ) -> BoxFuture<'a, Result<CreationClaim>> {
        self.store.claim_creation(&self.who, row, budget)
    }

    /// As [`Store::put_creation`].
    pub(crate) fn put_creation<'a>(&'a self, row: &'a CreationRow) -> BoxFuture<'a, Result<()>> {
        self.store.put_creation(&self.who, row)
    }

    /// As [`Store::replace_creation`].
    pub(crate) fn replace_creation<'a>(
        &'a self,
        seen: &'a CreationRow,
        new: Option<&'a CreationRow>,
    ) -> BoxFuture<'a, Result<bool>> {
        self.store.replace_creation(&self.who, seen, new)
    }

    /// As [`Store::drop_creation`].
    pub(crate) fn drop_creation<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<()>> {
        self.store.drop_creation(&self.who, key)
    }

    /// As [`Store::spent`].
    pub(crate) fn spent(&self, since_ms: i64) -> BoxFuture<'_, Result<f64>> {
        self.store.spent(&self.who, since_ms)
    }

    /// The drafts whose name or id is most similar to `draft`, best first: for "did you mean".
    pub(crate) async fn near(&self, draft: &str, count: usize) -> Result<Vec<DraftRow>> {
        const RECENT: usize = 1000;
        // Similar ids are not much longer, and the time to compare grows with the length of the text.
        let draft: String = draft.trim().chars().take(100).collect();
        let name = draft.to_lowercase();
        let mut near: Vec<(usize, DraftRow)> = self
            .list(false, RECENT, None)
            .await?
            .into_iter()
            .map(|row| {
                let by_id = strsim::osa_distance(&draft, row.id.as_str());
                let own: String = row.name.to_lowercase().chars().take(100).collect();
                let by_name = strsim::osa_distance(&name, &own);
                (by_id.min(by_name), row)
            })
            .collect();
        // The sort is stable: of two equally similar drafts, the one that changed last comes first.
        sorting::sort_by_key(&mut near, |(distance, _)| *distance);
        Ok(near.into_iter().take(count).map(|(_, row)| row).collect())
    }
}

/// What is the same for all stores.
impl dyn Store {
    /// The reason why a call was not added; `Ok` with the number of records if the draft accepts calls.
    pub(super) async fn refused(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
    ) -> Result<u64> {
        let Some(row) = self.find_at(who, origin, draft).await? else {
            return Err(unknown(draft));
        };
        row.takes_calls()?;
        let last = self.last_sequence(who, origin, draft).await?;
        Ok(last.map_or(0, |last| last + 1))
    }
}
