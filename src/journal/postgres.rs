//! The store in a PostgreSQL database, which the processes of many machines use at the same time.
//!
//! What was acknowledged is on the disk of the database. Times of leases and of the trash are the database's. A transaction
//! pooler may be in front of it; then new jobs are noticed when workers ask for them, not at once.

mod address;
mod append;
mod creations;
mod database;
mod drafts;
mod failure;
mod jobs;
mod listener;
mod portable;
mod schema;
mod shared;
#[cfg(all(test, unix))]
#[path = "../../tests/it/support/postgres.rs"]
pub(super) mod test_server;
#[cfg(all(test, unix))]
mod tests;
mod text;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Appended, Beat, Budget, CallPosition, ClaimTerms, ClaimedJob, CreationClaim, CreationRow,
    DraftRow, Fence, Imported, JobAdded, JobReport, JobRow, MergeRule, NewDraftRow, NewJob,
    NewRecord, PackedDocument, PortableStore, Record, Store, StorePart, already_exists,
};
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::Result;

use address::DatabaseAddress;
use append::{AppendOutcome, Batcher};
use database::{DatabasePool, StatementWork, values};
use listener::QueueListener;

/// Making one does no I/O but reading `sslrootcert`: connections are opened when they are needed.
#[derive(Debug)]
pub(super) struct Postgres {
    database: Arc<DatabasePool>,
    batcher: Batcher,
    listener: QueueListener,
}

impl Postgres {
    /// # Errors
    /// If `url` is not a valid address of a database.
    pub(super) fn new(url: &str) -> Result<Self> {
        let address = DatabaseAddress::parse(url)?;
        let database = Arc::new(DatabasePool::new(address.clone()));
        Ok(Self {
            batcher: Batcher::new(Arc::clone(&database)),
            listener: QueueListener::new(address),
            database,
        })
    }
}

#[async_trait]
impl Store for Postgres {
    fn is_shared(&self) -> bool {
        true
    }

    /// With the number of the database, so that a copy of it on the same server is another journal.
    async fn id(&self, who: &TenantName) -> Result<String> {
        const SQL: &str =
            "SELECT journal, (SELECT oid::int8 FROM pg_database WHERE datname = current_database())
            FROM capcut_mcp.format";
        let row = self
            .database
            .one(StatementWork::Look, SQL, values![])
            .await?;
        let Some(row) = row else {
            return Err(failure::damaged(
                &self.database.address,
                "the table `capcut_mcp.format` is empty",
            ));
        };
        let journal: Uuid = self.database.get(&row, 0)?;
        let database: i64 = self.database.get(&row, 1)?;
        Ok(format!("{}-{database:x}-{who}", journal.simple()))
    }

    async fn check(&self, who: &TenantName) -> Result<()> {
        drafts::check(&self.database, who).await
    }

    async fn tenants(&self) -> Result<Vec<TenantName>> {
        drafts::tenants(&self.database).await
    }

    async fn create(
        &self,
        who: &TenantName,
        draft: &NewDraftRow,
        record: &NewRecord,
    ) -> Result<()> {
        if append::create(&self.database, who, draft, record).await? {
            return Ok(());
        }
        Err(already_exists(&draft.origin, &draft.id))
    }

    async fn append(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        record: &NewRecord,
        at: CallPosition,
    ) -> Result<Appended> {
        loop {
            let outcome = self.batcher.append(who, origin, draft, record, at).await?;
            if let AppendOutcome::Added(appended) = outcome {
                return Ok(appended);
            }
            (self as &dyn Store).refused(who, origin, draft).await?;
            // The draft accepts calls again: it was restored from the trash in the meantime.
        }
    }

    async fn records(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        from: u64,
    ) -> Result<Vec<Record>> {
        drafts::records(&self.database, who, origin, draft, from).await
    }

    async fn last_sequence(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
    ) -> Result<Option<u64>> {
        drafts::last_sequence(&self.database, who, origin, draft).await
    }

    async fn find(&self, who: &TenantName, draft: &DraftId) -> Result<Option<DraftRow>> {
        drafts::find(&self.database, who, draft).await
    }

    async fn find_at(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
    ) -> Result<Option<DraftRow>> {
        drafts::find_at(&self.database, who, origin, draft).await
    }

    async fn list(
        &self,
        who: &TenantName,
        include_deleted: bool,
        limit: usize,
        query: Option<&str>,
    ) -> Result<Vec<DraftRow>> {
        drafts::list(&self.database, who, include_deleted, limit, query).await
    }

    async fn set_saved(
        &self,
        who: &TenantName,
        origin: &str,
        draft: &DraftId,
        folder: &str,
        fence: Option<&Fence>,
    ) -> Result<()> {
        drafts::set_saved(&self.database, who, (origin, draft), folder, fence).await
    }

    async fn set_moved(
        &self,
        who: &TenantName,
        from: (&str, &DraftId),
        last: u64,
        to: (&str, &DraftId),
    ) -> Result<bool> {
        drafts::set_moved(&self.database, who, from, last, to).await
    }

    async fn delete(&self, who: &TenantName, draft: &DraftId) -> Result<()> {
        let found = drafts::set_deleted(&self.database, who, draft, true).await?;
        super::changed(found.into(), draft)
    }

    async fn restore(&self, who: &TenantName, draft: &DraftId) -> Result<()> {
        let found = drafts::set_deleted(&self.database, who, draft, false).await?;
        super::changed(found.into(), draft)
    }

    async fn document(&self, who: &TenantName, hash: &str) -> Result<Option<PackedDocument>> {
        drafts::document(&self.database, who, hash).await
    }

    async fn empty_trash(&self, who: &TenantName, older_than: Duration) -> Result<u64> {
        drafts::empty_trash(&self.database, who, older_than).await
    }

    async fn job_add(&self, who: &TenantName, job: &NewJob, lease: Duration) -> Result<JobAdded> {
        let added = jobs::add(&self.database, who, job, lease).await?;
        self.listener.tell();
        Ok(added)
    }

    async fn job_claim(&self, terms: &ClaimTerms) -> Result<Option<ClaimedJob>> {
        jobs::claim(&self.database, terms).await
    }

    async fn job_beat(
        &self,
        who: &TenantName,
        fence: &Fence,
        report: Option<&JobReport>,
        lease: Duration,
    ) -> Result<Beat> {
        jobs::beat(&self.database, who, fence, report, lease).await
    }

    async fn job_end(&self, who: &TenantName, fence: &Fence, report: &JobReport) -> Result<bool> {
        let ended = jobs::end(&self.database, who, fence, report).await?;
        // A job that waited because of the limit per tenant may run now.
        self.listener.tell();
        Ok(ended)
    }

    async fn job_requeue(
        &self,
        who: &TenantName,
        fence: &Fence,
        report: &JobReport,
    ) -> Result<bool> {
        jobs::requeue(&self.database, who, fence, report).await
    }

    async fn job_get(&self, who: &TenantName, id: &str) -> Result<Option<JobRow>> {
        jobs::get(&self.database, who, id).await
    }

    async fn job_with_key(&self, who: &TenantName, key: &str) -> Result<Option<JobRow>> {
        jobs::with_key(&self.database, who, key).await
    }

    async fn job_stop(&self, who: &TenantName, id: &str, stopped: &str) -> Result<Option<JobRow>> {
        let was = jobs::stop(&self.database, who, id, stopped).await?;
        self.listener.tell();
        Ok(was)
    }

    async fn jobs_open(&self, who: &TenantName) -> Result<usize> {
        jobs::open(&self.database, who).await
    }

    async fn jobs_changed(&self, most: Duration) {
        self.listener.wait(most).await;
    }

    async fn lease(
        &self,
        who: &TenantName,
        key: &str,
        holder: Uuid,
        lasts: Duration,
    ) -> Result<bool> {
        shared::lease(&self.database, who, key, holder, lasts).await
    }

    async fn release(&self, who: &TenantName, key: &str, holder: Uuid) -> Result<()> {
        shared::release(&self.database, who, key, holder).await
    }

    async fn is_leased(&self, who: &TenantName, key: &str) -> Result<bool> {
        shared::is_leased(&self.database, who, key).await
    }

    async fn value(&self, who: &TenantName, key: &str) -> Result<Option<Vec<u8>>> {
        shared::value(&self.database, who, key).await
    }

    async fn put_value(
        &self,
        who: &TenantName,
        key: &str,
        new: &[u8],
        lasts: Option<Duration>,
    ) -> Result<()> {
        shared::put_value(&self.database, who, key, new, lasts).await
    }

    async fn set_value(
        &self,
        who: &TenantName,
        key: &str,
        seen: Option<&[u8]>,
        new: Option<&[u8]>,
        lasts: Option<Duration>,
    ) -> Result<bool> {
        shared::set_value(&self.database, who, key, seen, new, lasts).await
    }

    async fn creation(&self, who: &TenantName, key: &str) -> Result<Option<CreationRow>> {
        creations::find(&self.database, who, key).await
    }

    async fn claim_creation(
        &self,
        who: &TenantName,
        row: &CreationRow,
        budget: Option<Budget>,
    ) -> Result<CreationClaim> {
        creations::claim(&self.database, who, row, budget).await
    }

    async fn put_creation(&self, who: &TenantName, row: &CreationRow) -> Result<()> {
        creations::put(&self.database, who, row).await
    }

    async fn replace_creation(
        &self,
        who: &TenantName,
        seen: &CreationRow,
        new: Option<&CreationRow>,
    ) -> Result<bool> {
        creations::replace(&self.database, who, seen, new).await
    }

    async fn drop_creation(&self, who: &TenantName, key: &str) -> Result<()> {
        creations::drop(&self.database, who, key).await
    }

    async fn spent(&self, who: &TenantName, since_ms: i64) -> Result<f64> {
        creations::spent(&self.database, who, since_ms).await
    }
}

#[async_trait]
impl PortableStore for Postgres {
    fn name(&self) -> String {
        self.database.address.to_string()
    }

    async fn export(&self, who: &TenantName, to: mpsc::Sender<StorePart>) -> Result<()> {
        portable::export(&self.database, who, &to).await
    }

    async fn import(
        &self,
        who: &TenantName,
        parts: &[StorePart],
        existing: MergeRule,
    ) -> Result<Vec<Imported>> {
        let done = portable::import(&self.database, who, parts, existing).await?;
        self.listener.tell();
        Ok(done)
    }
}
