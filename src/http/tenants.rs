//! The tenants of a server: whose drafts a request is about.
//!
//! Each tenant has an [`App`] with a data folder of its own, so what belongs to another tenant does not exist for its
//! calls. The user of this process is the tenant "local".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer};
use super::{Done, Health, MakeLink, Run, health};
use crate::access::TenantName;
use crate::args::Object;
use crate::caller::{Allowed, CalledBy, CalledVia, Caller, From, Manner};
use crate::delivery::links::LinkKey;
use crate::error::{Error, Result};
use crate::exec::{App, Context, LOCAL_TENANT, Output};
use crate::mcp::ListedTools;
use crate::mcp::over_http::HttpEndpoint;
use crate::metrics::Metrics;
use crate::providers;
use crate::storage;
use crate::tool::Spec;

/// A tenant that has not been asked for for this long is closed; its next request opens it again.
const UNUSED: Duration = Duration::from_mins(10);
/// How many drafts of each tenant an admin's list has.
const LISTED: usize = 200;

/// One tenant, and what its requests need to be answered.
pub(super) struct Tenant {
    pub run: Run,
    pub health: Health,
    /// Called with each call whose arguments are refused; such a call never runs.
    pub refused: Box<dyn Fn(&'static Spec, &Error) + Send + Sync>,
    pub link: MakeLink,
    /// `None` in tests, which have only calls of the API.
    pub app: Option<Arc<App>>,
    /// `None` if the listener has only the API.
    pub mcp: Option<HttpEndpoint>,
    /// Its clients on this machine (`here`) and all others (`network`).
    pub here: Caller,
    pub network: Caller,
    pub use_of: TenantUse,
}

/// When a tenant was last asked for, and how many own its [`App`] while no call, job or session does.
pub(super) struct TenantUse {
    last: Mutex<Instant>,
    owners: usize,
}

impl TenantUse {
    pub(super) fn new(owners: usize) -> Self {
        Self {
            last: Mutex::new(Instant::now()),
            owners,
        }
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tenant {
    /// Whether it has not been asked for for some time, and no call or job of it is under way.
    fn is_unused(&self, now: Instant) -> bool {
        let owners = self.app.as_ref().map_or(0, Arc::strong_count);
        let idle = now.saturating_duration_since(*self.use_of.last());
        idle >= UNUSED && owners <= self.use_of.owners
    }

    pub(super) fn caller(&self, from: From) -> &Caller {
        match from {
            From::Here => &self.here,
            From::Network => &self.network,
        }
    }
}

impl Tenant {
    /// Replaces the names of uploaded files by their paths.
    pub(super) async fn name_uploads(&self, arguments: &mut Object) -> Result<()> {
        match &self.app {
            // Without a data folder there are no files.
            Some(app) if app.settings.data_dir().is_ok() => app.uploads()?.resolve(arguments).await,
            _ => Ok(()),
        }
    }
}

/// The tenants of a listener; those other than "local" are opened by their first request.
pub(super) struct Tenants {
    local: Arc<Tenant>,
    others: Mutex<HashMap<String, Arc<Tenant>>>,
    /// `None` in tests.
    shared: Option<Shared>,
}

/// What all tenants of a listener share.
pub(super) struct Shared {
    /// The drafts of the user of this process.
    pub app: Arc<App>,
    pub allowed: Arc<Allowed>,
    /// The tools of MCP, if the listener has it.
    pub tools: Option<Arc<ListedTools>>,
    /// Whether MCP has no sessions.
    pub is_stateless: bool,
    pub calls: Arc<Semaphore>,
    pub stop: CancellationToken,
    /// Signs the links to saved drafts, if they can be downloaded.
    pub link_key: Option<Arc<LinkKey>>,
}

impl Tenants {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            local: Arc::new(shared.tenant(Arc::clone(&shared.app))),
            others: Mutex::default(),
            shared: Some(shared),
        }
    }

    /// Only this tenant.
    #[cfg(test)]
    pub(super) fn only(local: Tenant) -> Self {
        Self {
            local: Arc::new(local),
            others: Mutex::default(),
            shared: None,
        }
    }

    /// The user of this process.
    pub(super) fn local(&self) -> Arc<Tenant> {
        Arc::clone(&self.local)
    }

    /// The tenant of this name, which is a valid name of a folder.
    pub(super) fn named(&self, name: &str) -> Result<Arc<Tenant>> {
        if name == LOCAL_TENANT {
            return Ok(self.local());
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = others.get(name) {
            *tenant.use_of.last() = Instant::now();
            return Ok(Arc::clone(tenant));
        }
        let Some(shared) = &self.shared else {
            return Err(Error::internal("this listener has only one tenant"));
        };
        let tenant_name: TenantName = name.parse().map_err(Error::internal)?;
        let tenant = Arc::new(shared.tenant(shared.app.for_tenant(&tenant_name)?));
        others.insert(name.to_owned(), Arc::clone(&tenant));
        Ok(tenant)
    }

    /// All tenants, also those that are not open, with the drafts that were changed last.
    pub(super) async fn listed(&self) -> Answer {
        match self.rows().await {
            Ok(rows) => answer::json(StatusCode::OK, json!({ "tenants": rows })),
            Err(error) => {
                tracing::error!("the tenants cannot be listed: {}", error.cause());
                let why = "the tenants cannot be listed: see the server's log";
                answer::refusal(StatusCode::SERVICE_UNAVAILABLE, why)
            }
        }
    }

    async fn rows(&self) -> Result<Vec<Value>> {
        let mut names = vec![TenantName::local()];
        if let Some(app) = &self.local.app {
            let found = app.journal.store().tenants().await?;
            let local = TenantName::local();
            names.extend(found.into_iter().filter(|name| *name != local));
        }
        let mut rows = Vec::with_capacity(names.len());
        for name in &names {
            let Some(app) = self.named(name.as_str())?.app.clone() else {
                continue;
            };
            // One more than are listed, to say whether there are more.
            let mut drafts = app.journal.list(false, LISTED + 1, None).await?;
            let has_more = drafts.len() > LISTED;
            drafts.truncate(LISTED);
            let drafts = drafts.into_iter().map(|draft| {
                json!({ "draft_id": draft.id, "name": draft.name, "modified": draft.modified_ms / 1000 })
            });
            let drafts: Vec<Value> = drafts.collect();
            rows.push(json!({ "tenant": name.as_str(), "drafts": drafts, "has_more": has_more }));
        }
        Ok(rows)
    }

    /// Stops the jobs of all tenants; they can be resumed, or go back into the queue.
    pub(super) async fn end_jobs(&self) {
        let all = self.all();
        let ended = all
            .iter()
            .filter_map(|tenant| tenant.app.as_ref())
            .map(|app| async {
                if app.jobs.are_queued() {
                    app.jobs.hand_over().await;
                } else {
                    app.jobs.cancel_all().await;
                }
            });
        futures::future::join_all(ended).await;
    }

    /// Puts aside what clients have not used for some time, and closes the tenants of which nothing is in use.
    pub(super) async fn tend(&self, now: Instant) {
        for tenant in self.all() {
            let has_no_session = match &tenant.mcp {
                Some(endpoint) => endpoint.tend(now).await,
                None => true,
            };
            let is_other = !Arc::ptr_eq(&tenant, &self.local);
            if is_other && has_no_session && tenant.is_unused(now) {
                self.close(tenant);
            }
        }
    }

    /// Removes what has expired from the storage of all tenants that have something there.
    pub(super) async fn sweep(&self) {
        let Some(shared) = &self.shared else {
            return;
        };
        let names = match shared.app.storage.tenants().await {
            Ok(names) => names,
            Err(error) => {
                return tracing::warn!("the storage is not swept: {}", error.cause());
            }
        };
        let is_tenant = |name: &String| name.parse::<TenantName>().is_ok();
        for name in names.iter().filter(|name| is_tenant(name)) {
            if let Err(error) = shared.sweep(self.open(name), name).await {
                tracing::warn!("the storage of {name:?} is not swept: {}", error.cause());
            }
        }
    }

    /// The tenant of this name, if it is open.
    fn open(&self, name: &str) -> Option<Arc<App>> {
        if name == LOCAL_TENANT {
            return self.local.app.clone();
        }
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.get(name).and_then(|tenant| tenant.app.clone())
    }

    /// Closes a tenant, unless a request has it.
    fn close(&self, tenant: Arc<Tenant>) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        // The list and this function have it.
        if Arc::strong_count(&tenant) == 2 {
            others.retain(|_, other| !Arc::ptr_eq(other, &tenant));
        }
    }

    /// The counters of the process; `None` in tests.
    pub(super) fn metrics(&self) -> Option<Arc<Metrics>> {
        let app = self.local.app.as_ref();
        app.map(|app| Arc::clone(&app.metrics))
    }

    /// Those that are open.
    fn all(&self) -> Vec<Arc<Tenant>> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.values().chain([&self.local]).cloned().collect()
    }
}

impl Shared {
    /// Sweeps the storage of a tenant, which need not be open.
    async fn sweep(&self, open: Option<Arc<App>>, name: &str) -> Result<()> {
        let app = match open {
            Some(app) => app,
            None => {
                let tenant: TenantName = name.parse().map_err(Error::internal)?;
                self.app.for_tenant(&tenant)?
            }
        };
        app.sweep_storage().await
    }

    fn tenant(&self, app: Arc<App>) -> Tenant {
        if let Some(key) = &self.link_key
            && let Err(error) = app.deliver_saves(key)
        {
            tracing::error!("saved drafts cannot be downloaded: {}", error.cause());
        }
        let (health_app, run_app, refused_app) =
            (Arc::clone(&app), Arc::clone(&app), Arc::clone(&app));
        let engine = Arc::clone(&app.engine);
        let caller = |from| {
            let caller = Caller::client(Manner::Api, from, &self.allowed)
                .called_by(CalledBy::via(CalledVia::Api));
            match app.settings.data_dir() {
                Ok(folder) if app.is_local() => {
                    let own = [storage::UPLOADS, providers::ASSETS];
                    caller.with_folders(&own.map(|name| folder.join(name)))
                }
                Ok(folder) => caller.of_tenant(folder),
                Err(_) => caller,
            }
        };
        let (here, network) = (caller(From::Here), caller(From::Network));
        let mcp = self.tools.as_ref().map(|tools| {
            HttpEndpoint::new(&app, tools, self.is_stateless, (&self.calls, &self.stop))
        });
        Tenant {
            run: Arc::new(move |request| {
                let app = Arc::clone(&run_app);
                Box::pin(async move {
                    let output = Arc::<Output>::default();
                    let context = Context {
                        output: Some(Arc::clone(&output)),
                        ..Context::of(&request.call().caller)
                    };
                    let reply = app.run(request, context).await?;
                    let output = output.take();
                    Ok(Done { reply, output })
                })
            }),
            health: Box::new(move || {
                let app = Arc::clone(&health_app);
                Box::pin(async move { health::health(&app).await })
            }),
            refused: Box::new(move |spec, error| refused_app.refused(spec.name, error, true)),
            link: Box::new(move |draft| engine.link(draft)),
            mcp,
            here,
            network,
            use_of: TenantUse::new(Arc::strong_count(&app)),
            app: Some(app),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::exec::testing::app_with;
    use crate::settings::Given;

    fn tenants(data: &Path) -> Tenants {
        let given = Given {
            data_dir: Some(data.to_owned()),
            ..Given::default()
        };
        let app = app_with(given, |_| {});
        Tenants::new(Shared {
            app,
            allowed: Arc::default(),
            tools: None,
            is_stateless: false,
            calls: Arc::new(Semaphore::new(1)),
            stop: CancellationToken::new(),
            link_key: None,
        })
    }

    #[tokio::test]
    async fn a_tenant_closes_when_nothing_of_it_is_in_use_and_opens_again() {
        let data = tempfile::tempdir().expect("a folder");
        let tenants = tenants(data.path());
        let open = || {
            let all = tenants.all();
            all.len()
        };
        drop(tenants.named("alice").expect("opened"));
        let busy = tenants.named("bob").expect("opened");
        let job = busy.app.clone();
        drop(busy);
        let later = Instant::now() + UNUSED;
        tenants.tend(Instant::now()).await;
        assert_eq!(open(), 3, "they were just asked for");
        tenants.tend(later).await;
        assert_eq!(open(), 2, "a job of bob is under way");
        drop(job);
        tenants.tend(later).await;
        assert_eq!(open(), 1);
        drop(tenants.named("alice").expect("opened again"));
        assert_eq!(open(), 2);
        tenants.tend(Instant::now() + 2 * UNUSED).await;
        assert_eq!(open(), 1, "the user of the process stays");
    }
}
