//! Workers: they take jobs of all tenants from the queue and run them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::HttpServer;
use super::tenants::Tenant;
use crate::caller::{Caller, From};
use crate::error::{Error, Result};
use crate::exec::LOCAL_TENANT;
use crate::exec::jobs::JobCaller;
use crate::journal::{ClaimTerms, ClaimedJob, JobRow};
use crate::local;

/// How long a worker waits at most before it looks for jobs again.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// How long it waits after the store has failed.
const FAILED: Duration = Duration::from_secs(1);

impl HttpServer {
    /// Takes jobs from the queue and runs up to `most` of them at the same time, until `stop`. What runs then continues.
    pub(crate) async fn work(self: Arc<Self>, most: usize, stop: CancellationToken) {
        let Some(app) = self.tenants.local().app.clone() else {
            return;
        };
        let store = Arc::clone(app.journal.store());
        let slots = Arc::new(Semaphore::new(most));
        loop {
            let slot = tokio::select! {
                () = stop.cancelled() => return,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let terms = ClaimTerms {
                runner: app.engine.runner().name().await.to_owned(),
                lease: Duration::from_secs_f64(app.manifest.limits.job_lease_s),
                per_tenant: app.manifest.limits.tenant_jobs,
            };
            let wait = match store.job_claim(&terms).await {
                Ok(Some(claimed)) => {
                    let server = Arc::clone(&self);
                    tokio::spawn(async move {
                        server.run_job(claimed).await;
                        drop(slot);
                    });
                    continue;
                }
                Ok(None) => store.jobs_changed(LOOKED_EVERY),
                Err(error) => {
                    tracing::warn!("no job can be taken from the queue: {}", error.cause());
                    Box::pin(tokio::time::sleep(FAILED))
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = wait => {}
            }
        }
    }

    /// Runs a job to its end, or until another process has it.
    async fn run_job(&self, ClaimedJob { who, job }: ClaimedJob) {
        let id = job.id.clone();
        let tenant = match self.tenants.named(who.as_str()) {
            Ok(tenant) => tenant,
            Err(error) => {
                tracing::error!(
                    job = id,
                    "the job of {who} cannot be run: {}",
                    error.cause()
                );
                return;
            }
        };
        if let Err(error) = run_of(&tenant, &job).await {
            tracing::error!(job = id, "the job cannot be run: {}", error.cause());
            if let Some(app) = &tenant.app
                && let Err(error) = app.jobs.give_up(&job, &error).await
            {
                tracing::warn!(job = id, "its end could not be stored: {}", error.cause());
            }
        }
    }
}

async fn run_of(tenant: &Arc<Tenant>, job: &JobRow) -> Result<()> {
    let Some(app) = tenant.app.clone() else {
        return Err(Error::internal("the tenant has no data"));
    };
    let taken = app.jobs.take(job, |handle, call| {
        let caller = caller_of(tenant, &app.tenant, &call.caller);
        local::job(&job.kind, Arc::clone(&app), call, (handle, caller))
    });
    taken.await
}

/// The caller of a job, with what this process allows its clients.
fn caller_of(tenant: &Tenant, name: &str, of: &JobCaller) -> Caller {
    let caller = match of.from {
        Some(from) => tenant.caller(from).clone(),
        // A user of a process on another machine; names of files are those of this machine.
        None if name == LOCAL_TENANT => Caller::user(),
        None => tenant.caller(From::Network).clone(),
    };
    let caller = Caller {
        by: of.by.clone(),
        ..caller
    };
    caller.in_manner(of.manner).at_site(of.site.clone())
}
