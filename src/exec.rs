//! Runs calls: the turn on the draft, a slot in a lane, the circuit breaker, the backend, retries, the journal.

mod attempt;
mod breakers;
pub(crate) mod call_log;
mod delivery;
pub(crate) mod drafts;
pub(crate) mod jobs;
pub(crate) mod lanes;
mod leases;
mod ledger;
mod pulse;
mod quota;
mod recovery;
mod retry;
mod routing;
mod settling;
mod sweep;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod turns;

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::access::TenantName;
use crate::backend::{Failure, Reached, Servers};
use crate::breaker::Breaker;
use crate::caller::Caller;
use crate::delivery::saved::{SavedDrafts, part_of};
use crate::draft::evidence::Leaves;
use crate::draft::ids::DraftId;
use crate::engine::{self, Engine};
use crate::error::{Error, Kind, Result, shortened};
use crate::journal::{self, ENGINE, Journal};
use crate::manifest::{Manifest, Route};
use crate::media::MediaStore;
use crate::memory;
use crate::metrics::{self, Metrics};
use crate::providers::{ASSETS, AssetStore, Maker, Providers};
use crate::settings::{BackendChoice, Settings};
use crate::storage::{Storage, UserName};
use crate::styles;
use crate::tool::{Hints, Request, Spec, Tool as _, Turn};
use crate::tools::generate_draft_url::GenerateDraftUrl;

use attempt::{Attempt, lane_name, timed_out};
use call_log::UnderWay;
use recovery::Next;
pub(crate) use routing::ADOPTED;
use routing::Home;
pub(crate) use settling::{note, put_id};

pub(crate) use crate::backend::Backend;
pub(crate) use crate::progress::{Progress, Step};

/// The caller, and what accompanies the request.
#[derive(Clone)]
pub(crate) struct Context {
    pub caller: Caller,
    pub cancel: CancellationToken,
    pub progress: Option<Progress>,
    /// How often the call was sent so far, and the time that took.
    pub cost: Option<Arc<Cost>>,
    /// Where a server's `output` is put, for callers that pass it on unchanged.
    pub output: Option<Arc<Output>>,
}

/// The `output` of the server that ran a call; empty if the engine ran it.
#[derive(Default)]
pub(crate) struct Output(Mutex<Option<Value>>);

impl Output {
    fn put(&self, output: Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
    }

    pub(crate) fn take(&self) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Context {
    /// A context for a call of this caller without cancellation or progress.
    pub(crate) fn of(caller: &Caller) -> Self {
        Self {
            caller: caller.clone(),
            cancel: CancellationToken::new(),
            progress: None,
            cost: None,
            output: None,
        }
    }
}

/// How often a call was sent, and how long that took, without waiting times.
#[derive(Default)]
pub(crate) struct Cost {
    tries: AtomicUsize,
    busy_us: AtomicU64,
}

impl Cost {
    pub(crate) fn tries(&self) -> usize {
        self.tries.load(Ordering::Relaxed)
    }

    pub(crate) fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_us.load(Ordering::Relaxed))
    }
}

/// Everything that the calls of one tenant need; files and connections are opened on first use. What belongs to a
/// tenant (drafts, jobs, media) is in its own data folder, so that its calls cannot reach anything else; limits and
/// counters are those of the process.
pub(crate) struct App {
    /// The name of the tenant; [`LOCAL_TENANT`] for the user of this process.
    pub tenant: Arc<str>,
    pub settings: Settings,
    pub manifest: Arc<Manifest>,
    pub engine: Arc<Engine>,
    pub media: MediaStore,
    pub journal: Arc<Journal>,
    /// Calls that take longer than a client waits.
    pub jobs: jobs::Jobs,
    pub servers: Servers,
    pub lanes: Arc<lanes::Lanes>,
    pub metrics: Arc<Metrics>,
    /// The saved drafts that clients can download, if a listener delivers them.
    pub saved: OnceLock<SavedDrafts>,
    /// Where saved drafts and uploaded files are.
    pub storage: Arc<Storage>,
    /// Makes voices, pictures and films; `None` without a data folder.
    pub maker: Option<Arc<Maker>>,
    turns: turns::Turns,
    draft_leases: leases::DraftLeases,
    pulse: pulse::Pulse,
    breakers: Arc<Mutex<HashMap<String, Breaker>>>,
    homes: routing::OriginCache,
    lists: ledger::Lists,
    /// What drafts need of the bucket.
    needs: sweep::KnownNeeds,
}

/// The tenant of drafts that the user of this process made.
pub(crate) const LOCAL_TENANT: &str = "local";

/// The name of a journal as a user of the storage.
fn user_of(journal: &Arc<Journal>) -> UserName {
    let journal = Arc::clone(journal);
    Arc::new(move || {
        let journal = Arc::clone(&journal);
        async move { Ok(part_of(&journal.id().await?)) }.boxed()
    })
}

/// The media of a tenant: those that are fetched are also in the bucket, if there is one.
fn media_of(
    storage: &Storage,
    tenant: &str,
    settings: &Settings,
    manifest: &Manifest,
    journal: &Arc<Journal>,
) -> MediaStore {
    let limits = manifest.limits.media.clone();
    let Ok(data) = settings.data_dir() else {
        return MediaStore::new(limits, None);
    };
    let copies = Storage::media_copies(data);
    let shared = storage.media(tenant, copies, limits.cache_bytes, user_of(journal));
    let shared = shared.unwrap_or_else(|error| {
        tracing::warn!("fetched media are not shared: {}", error.cause());
        None
    });
    MediaStore::sharing(limits, Some(data), shared)
}

/// How long the end of a process waits for the answers of providers.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

impl App {
    /// Before the process ends: see [`Providers::finish_sent`].
    pub(crate) async fn finish_sent(&self) {
        if let Some(maker) = &self.maker {
            maker.providers.finish_sent(LAST_ANSWERS).await;
        }
    }

    pub(crate) fn new(settings: Settings) -> Result<Arc<Self>> {
        let options = engine::EngineOptions::new(&settings);
        Self::with_options(settings, options)
    }

    pub(crate) fn with_options(
        settings: Settings,
        mut options: engine::EngineOptions,
    ) -> Result<Arc<Self>> {
        let manifest = Arc::new(Manifest::load(settings.config_file.as_ref())?);
        options.memory_bytes = manifest.limits.memory_bytes;
        if let Ok(data) = settings.data_dir() {
            styles::keep_in(data.to_owned());
        }
        let store = match &settings.store {
            Some(address) => journal::in_postgres(&address.0)?,
            None => journal::in_folder(settings.data_dir().ok(), manifest.journal.sync),
        };
        let journal = Arc::new(Journal::new(store, TenantName::local()));
        let storage = Arc::new(Storage::new(
            manifest.storage.clone(),
            settings.storage_keys.clone(),
        ));
        let media = media_of(&storage, LOCAL_TENANT, &settings, &manifest, &journal);
        let engine = Arc::new(Engine::new(
            settings.edition,
            media.clone(),
            Arc::clone(&journal),
            options,
        ));
        let mut app = Self::of(settings, manifest, engine, media, journal, storage);
        let providers = Providers::new(&app.manifest.providers, &app.manifest.generate);
        app.maker = app.maker_of(&Arc::new(providers));
        app.restore_files();
        Ok(Arc::new(app))
    }

    /// The same process for another tenant, with a data folder of its own.
    pub(crate) fn for_tenant(&self, tenant: &TenantName) -> Result<Arc<Self>> {
        let settings = self.settings.for_tenant(tenant.as_str())?;
        let mut options = engine::EngineOptions::new(&settings);
        options.link.clone_from(self.engine.link_prefix());
        options.memory_bytes = self.manifest.limits.memory_bytes;
        let store = Arc::clone(self.journal.store());
        let journal = Arc::new(Journal::new(store, tenant.clone()));
        let media = media_of(
            &self.storage,
            tenant.as_str(),
            &settings,
            &self.manifest,
            &journal,
        );
        let engine = Arc::new(Engine::new(
            settings.edition,
            media.clone(),
            Arc::clone(&journal),
            options,
        ));
        let (manifest, storage) = (Arc::clone(&self.manifest), Arc::clone(&self.storage));
        let mut app = Self::of(settings, manifest, engine, media, journal, storage);
        app.tenant = tenant.as_str().into();
        app.servers.addresses.clone_from(&self.servers.addresses);
        app.servers.sender = self.servers.sender.clone();
        app.lanes = Arc::clone(&self.lanes);
        app.metrics = Arc::clone(&self.metrics);
        app.pulse = self.pulse.clone();
        app.breakers = Arc::clone(&self.breakers);
        app.maker = self
            .maker
            .as_ref()
            .and_then(|maker| app.maker_of(&maker.providers));
        app.restore_files();
        Ok(Arc::new(app))
    }

    /// Makes the assets of this tenant.
    fn maker_of(&self, providers: &Arc<Providers>) -> Option<Arc<Maker>> {
        let data = self.settings.data_dir().ok()?;
        let most = self.manifest.storage.cache_bytes;
        let (folder, user) = (data.join(ASSETS), user_of(&self.journal));
        let shared = self.storage.media(&self.tenant, folder, most, user);
        let shared = shared.unwrap_or_else(|error| {
            tracing::warn!("what providers make is not shared: {}", error.cause());
            None
        });
        Some(Arc::new(Maker::new(
            Arc::clone(providers),
            Arc::clone(&self.journal),
            self.engine.runner(),
            AssetStore::new(data, self.media.clone(), shared),
        )))
    }

    /// Whether these are the drafts of the user of this process.
    pub(crate) fn is_local(&self) -> bool {
        *self.tenant == *LOCAL_TENANT
    }

    /// How long the work on both branches of a plan may take.
    pub(crate) fn sync_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.manifest.sync.timeout_s)
    }

    /// The backend that keeps the draft: `embedded` or `remote`.
    pub(crate) async fn backend_of(&self, draft: &DraftId) -> Result<&'static str> {
        match self.journal.find(draft).await? {
            Some(row) if row.origin == ENGINE => Ok("embedded"),
            Some(_) => Ok("remote"),
            None => Err(journal::unknown(draft)),
        }
    }

    pub(crate) fn of(
        settings: Settings,
        manifest: Arc<Manifest>,
        engine: Arc<Engine>,
        media: MediaStore,
        journal: Arc<Journal>,
        storage: Arc<Storage>,
    ) -> Self {
        Self {
            servers: Servers::new(&settings, &manifest, &media),
            tenant: LOCAL_TENANT.into(),
            lanes: Arc::new(lanes::Lanes::new(&manifest)),
            metrics: Arc::new(Metrics::new()),
            saved: OnceLock::new(),
            storage,
            maker: None,
            turns: turns::Turns::default(),
            draft_leases: leases::DraftLeases::default(),
            pulse: pulse::Pulse::default(),
            breakers: Arc::default(),
            homes: routing::OriginCache::default(),
            lists: ledger::Lists::default(),
            needs: sweep::KnownNeeds::default(),
            jobs: jobs::Jobs::new(
                journal.clone(),
                engine.runner(),
                jobs::JobTerms {
                    are_queued: settings.are_jobs_queued,
                    lease: Duration::from_secs_f64(manifest.limits.job_lease_s),
                },
            ),
            settings,
            manifest,
            engine,
            media,
            journal,
        }
    }

    /// Runs a call and returns its reply.
    pub(crate) async fn run(
        self: &Arc<Self>,
        request: Box<dyn Request>,
        context: Context,
    ) -> Result<Value> {
        self.bounded(request, context, None).await
    }

    /// Like [`App::run`], but on the given backend instead of the draft's own: for moving drafts. Boxed, because
    /// the future is recursive: a call may have to move its draft before it runs.
    pub(crate) fn run_on(
        self: &Arc<Self>,
        backend: Backend,
        request: Box<dyn Request>,
        context: Context,
    ) -> BoxFuture<'_, Result<Value>> {
        Box::pin(self.bounded(request, context, Some(Home::moving(backend))))
    }

    async fn bounded(
        self: &Arc<Self>,
        request: Box<dyn Request>,
        mut context: Context,
        home: Option<Home>,
    ) -> Result<Value> {
        let cancel = context.cancel.clone();
        let cost = Arc::clone(context.cost.get_or_insert_default());
        let spec = request.spec();
        // Boxed, because this large future is moved several times here and by callers.
        let work = Box::pin(self.run_call(request, context, home));
        guarded(spec, &cancel, &cost, work).await
    }

    /// Runs a call that needs no backend in this process. Like every call it is counted, logged and limited in time.
    pub(crate) async fn in_process(
        self: &Arc<Self>,
        spec: &'static Spec,
        draft: Option<&DraftId>,
        context: &Context,
        work: BoxFuture<'_, Result<Value>>,
    ) -> Result<Value> {
        self.pulse.call();
        let caller = &context.caller;
        let route = self.manifest.route(spec.name)?;
        let timeout = self.manifest.timeout(route);
        let cost = Cost::default();
        let counted = async {
            let mut running = UnderWay::new(self, spec, draft, caller, route, Some(&cost));
            running.on(metrics::LOCAL);
            let active = self.metrics.active(metrics::NO_LANE);
            let work = async {
                self.within_quota(spec).await?;
                work.await
            };
            let ended = match tokio::time::timeout(timeout, work).await {
                Ok(ended) => ended,
                Err(_) => Err(timed_out(spec, timeout)),
            };
            drop(active);
            self.ended(running, ended, draft, caller).await
        };
        guarded(spec, &context.cancel, &cost, Box::pin(counted)).await
    }

    /// The turn of a call in this process that must not run beside other calls on its draft.
    pub(crate) async fn turn_alone(&self, draft: &DraftId) -> Result<Option<turns::Held>> {
        let wait = self.turns.take(draft, Turn::Alone);
        self.queued(wait, "its turn on the draft").await
    }

    /// Adds the most similar drafts to the error for an unknown draft, if the caller may see other drafts.
    async fn with_nearest(&self, error: Error, named: Option<&DraftId>, caller: &Caller) -> Error {
        let Some(named) = named.filter(|_| error.kind == Kind::NotFound) else {
            return error;
        };
        if !caller.sees_other_drafts() || !matches!(self.journal.find(named).await, Ok(None)) {
            return error;
        }
        if !named.looks_made()
            && let Some(hint) = drafts::hint_of_apps(self, caller, named.as_str()).await
        {
            return error.hint(hint);
        }
        match self.journal.near(named.as_str(), 3).await {
            Ok(near) if !near.is_empty() => {
                let drafts = near.iter().map(|row| match row.name.as_str() {
                    "" => format!("`{}`", row.id),
                    name => format!("`{}` ({:?})", row.id, shortened(name)),
                });
                let drafts: Vec<String> = drafts.collect();
                error.hint(format!("did you mean {}?", drafts.join(", ")))
            }
            _ => error,
        }
    }

    /// Counts and logs a call, even if it is dropped before it ends.
    async fn run_call(
        self: &Arc<Self>,
        request: Box<dyn Request>,
        context: Context,
        home: Option<Home>,
    ) -> Result<Value> {
        self.pulse.call();
        // Boxed, like everything that few calls need: otherwise every call's future would contain it.
        let (request, unnamed) = match Box::pin(self.by_name(request.as_ref())).await {
            Ok(Some(by_name)) => (by_name, Ok(())),
            Ok(None) => (request, Ok(())),
            Err(error) => (request, Err(error)),
        };
        let request = request.as_ref();
        let spec = request.spec();
        let route = self.manifest.route(spec.name)?;
        let (draft, caller) = (request.draft(), &request.call().caller);
        let cost = context.cost.as_deref();
        let mut running = UnderWay::new(self, spec, draft, caller, route, cost);
        let unnamed = match unnamed {
            Ok(()) if !self.is_local() => Box::pin(self.within_quota(spec)).await,
            other => other,
        };
        let ended = match unnamed {
            Ok(()) => {
                self.route(request, route, &context, home, &mut running)
                    .await
            }
            Err(error) => Err(error),
        };
        self.ended(running, ended, draft, &context.caller).await
    }

    /// Counts and logs the end of a call, and completes its reply or its error.
    async fn ended(
        &self,
        running: UnderWay<'_>,
        ended: Result<Value>,
        draft: Option<&DraftId>,
        caller: &Caller,
    ) -> Result<Value> {
        if running.end(&ended) > memory::LONG_WORK {
            memory::release_soon();
        }
        match ended {
            Ok(mut reply) => {
                each_note_once(&mut reply);
                Ok(reply)
            }
            // Boxed: otherwise every call's future would contain it.
            Err(error) => Err(Box::pin(self.with_nearest(error, draft, caller)).await),
        }
    }

    async fn route(
        self: &Arc<Self>,
        request: &dyn Request,
        route: &Route,
        context: &Context,
        home: Option<Home>,
        running: &mut UnderWay<'_>,
    ) -> Result<Value> {
        if let Some(home) = home {
            running.on(home.backend.name());
            let ended = self.at(&home, request, route, context).await;
            return ended.map_err(|failure| failure.error);
        }
        let (redirected, home) = self.placed(request).await?;
        let about = redirected
            .as_ref()
            .map_or(request, |redirected| redirected.request.as_ref());
        running.on(home.backend.name());
        let settled = if about.needs_edition() {
            Box::pin(self.in_edition(about, &home)).await?
        } else {
            None
        };
        let about = settled.as_deref().unwrap_or(about);
        let mut ended = self.at_home(home, about, route, context, running).await;
        if let Ok(reply) = &mut ended {
            settling::note(reply, &about.call().normalized.notes);
        }
        match redirected {
            Some(redirected) => redirected.tell(ended),
            None => ended,
        }
    }

    /// Runs a call where its draft is. If the draft is lost or moves meanwhile, runs it on the draft that
    /// replaces it.
    async fn at_home(
        self: &Arc<Self>,
        home: Home,
        request: &dyn Request,
        route: &Route,
        context: &Context,
        running: &mut UnderWay<'_>,
    ) -> Result<Value> {
        let failure = match self.at(&home, request, route, context).await {
            Ok(reply) => return Ok(reply),
            Err(failure) => failure,
        };
        let Backend::Remote(remote) = &home.backend else {
            return Err(failure.error);
        };
        // The server that would have made the draft is gone and nothing was done: choose a backend again, once.
        if request.draft().is_none()
            && self.settings.backend == BackendChoice::Auto
            && (failure.reached == Reached::Never
                || (failure.reached == Reached::Lost && failure.error.kind == Kind::Unavailable))
        {
            remote.doubt().await;
            let home = self.home(request).await?;
            running.on(home.backend.name());
            // Rare paths are boxed: otherwise every call's future would contain them.
            let ended = Box::pin(self.at(&home, request, route, context)).await;
            return ended.map_err(|failure| failure.error);
        }
        let redirected = Box::pin(self.recovered(request, remote, failure, context)).await;
        let redirected = match redirected.map_err(|failure| failure.error)? {
            Next::Call(redirected) => redirected,
            Next::Done(mut reply) => {
                let entered = Box::pin(self.enter(remote, &home, request, &reply)).await;
                if let Err(error) = entered {
                    ledger::not_recorded(remote, request, &mut reply, error)?;
                }
                sign(request.spec(), &mut reply, &home);
                return Ok(reply);
            }
        };
        let about = redirected.request.as_ref();
        let home = self.home(about).await?;
        running.on(home.backend.name());
        let ended = match Box::pin(self.at(&home, about, route, context)).await {
            // Another call recovered the draft while this one waited for its turn.
            Err(failure)
                if failure.reached == Reached::Forgotten && self.has_moved(about).await? =>
            {
                Box::pin(self.moved_on(about, route, context, running)).await
            }
            ended => ended.map_err(|failure| failure.error),
        };
        redirected.tell(ended)
    }

    /// Runs the call on the draft that replaced its draft.
    async fn moved_on(
        self: &Arc<Self>,
        request: &dyn Request,
        route: &Route,
        context: &Context,
        running: &mut UnderWay<'_>,
    ) -> Result<Value> {
        let (redirected, home) = self.placed(request).await?;
        let about = redirected
            .as_ref()
            .map_or(request, |redirected| redirected.request.as_ref());
        running.on(home.backend.name());
        let ended = self.at(&home, about, route, context).await;
        let ended = ended.map_err(|failure| failure.error);
        match redirected {
            Some(redirected) => redirected.tell(ended),
            None => ended,
        }
    }

    /// Runs one call on its backend, from its turn to its entry in the journal.
    async fn at(
        self: &Arc<Self>,
        home: &Home,
        request: &dyn Request,
        route: &Route,
        context: &Context,
    ) -> Result<Value, Failure> {
        let spec = request.spec();
        if let Backend::Remote(remote) = &home.backend
            && let Some(cache_s) = route.cache_s
            && let Some(path) = route.path()
        {
            let key = ledger::list_key(remote, path);
            if let Some(output) = self.fresh_list(&key, cache_s) {
                return Ok(ledger::list_reply(request, &output, context)?);
            }
            let mut attempt = Attempt {
                request,
                route,
                backend: &home.backend,
                context,
                leaves: &Leaves::Nothing,
                since: None,
                until: None,
            };
            let ended = Box::pin(self.tries(&mut attempt, home)).await;
            return ended.or_else(|failure| self.old_list(&key, request, context, failure));
        }
        let turn = match request.draft() {
            Some(draft) if request.turn() != Turn::Free => {
                let wait = self.turns.take(draft, request.turn());
                self.queued(wait, "its turn on the draft").await?
            }
            _ => None,
        };
        let mut lease = None;
        if let (Backend::Remote(remote), Some(draft), Some(_)) =
            (&home.backend, request.draft(), &turn)
            && !home.moving
        {
            lease = Box::pin(self.draft_lease(draft)).await?;
            self.still_there(remote, draft).await?;
        }
        let leaves = match &home.backend {
            Backend::Remote(_) => request.leaves(),
            Backend::Embedded(_) => Leaves::Nothing,
        };
        let _announced = match (&home.backend, request.draft(), leaves.evidence()) {
            (Backend::Remote(remote), Some(draft), Some(evidence)) => {
                Some(remote.announce(draft, evidence.clone()))
            }
            _ => None,
        };
        let since = match (&home.backend, request.draft(), leaves.evidence()) {
            (Backend::Remote(remote), Some(draft), Some(_)) => {
                self.last_in_shared_journal(remote, draft).await
            }
            _ => None,
        };
        let mut attempt = Attempt {
            request,
            route,
            backend: &home.backend,
            context,
            leaves: &leaves,
            since,
            until: None,
        };
        let mut reply = match self.tries(&mut attempt, home).await {
            Ok(reply) => reply,
            Err(failure) => return Err(Box::pin(self.blamed(home, request, failure)).await),
        };
        if let Some(turn) = &turn {
            turn.succeeded();
        }
        if request.save_wish().is_ok_and(|wish| wish.is_some()) {
            Box::pin(self.deliver(request, &mut reply)).await;
        }
        if spec.name == GenerateDraftUrl::NAME {
            Box::pin(self.link_saved(request, &mut reply)).await;
        }
        if let Backend::Remote(remote) = &home.backend {
            let entered = Box::pin(self.enter(remote, home, request, &reply)).await;
            if let Err(error) = entered {
                ledger::not_recorded(remote, request, &mut reply, error)?;
            }
        }
        if lease.is_some_and(|lease| lease.is_lost()) {
            ledger::note(
                &mut reply,
                "the database was away while the call ran, so that another process may have changed the draft on the server at the same time: look at the draft before you change it again",
            );
        }
        sign(spec, &mut reply, home);
        Ok(reply)
    }
}

/// Ends the work of a call that is cancelled, and turns a panic into an error.
async fn guarded(
    spec: &'static Spec,
    cancel: &CancellationToken,
    cost: &Cost,
    work: impl Future<Output = Result<Value>> + Unpin,
) -> Result<Value> {
    let work = AssertUnwindSafe(work).catch_unwind();
    tokio::select! {
        biased;
        () = cancel.cancelled(), if !spec.reports_when_cancelled => Err(cancelled(spec, cost.tries())),
        ended = work => ended.unwrap_or_else(|panic| Err(panicked(spec.hints, panic.as_ref()))),
    }
}

fn cancelled(spec: &Spec, tries: usize) -> Error {
    let error = Error::new(Kind::Cancelled, format!("`{}` was cancelled", spec.name));
    if tries == 0 {
        return error.hint("nothing was changed");
    }
    if spec.hints.read_only {
        return error;
    }
    error.hint("it was running and may have been applied: check the draft before you call again")
}

/// Several steps of a call can add the same note.
fn each_note_once(reply: &mut Value) {
    let Some(Value::Array(notes)) = reply.get_mut("notes") else {
        return;
    };
    let mut known: Vec<Value> = Vec::with_capacity(notes.len());
    for note in notes.drain(..) {
        if !known.contains(&note) {
            known.push(note);
        }
    }
    *notes = known;
}

/// Adds the backend, and why it was chosen, to replies that have these fields.
fn sign(spec: &Spec, reply: &mut Value, home: &Home) {
    let Some(reply) = reply.as_object_mut() else {
        return;
    };
    if spec.names_backend() {
        reply
            .entry("backend")
            .or_insert_with(|| json!(home.backend.name()));
    }
    if let Some(reason) = &home.reason
        && spec.gives_reason()
    {
        reply.entry("reason").or_insert_with(|| json!(reason));
    }
}

/// A panic (a bug in this program) ends one call, not the process.
fn panicked(hints: Hints, panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!("a call panicked: {text}");
    if hints.read_only {
        return Error::internal("an internal error in capcut-mcp stopped this call")
            .hint(format!("nothing was changed; report this: {text}"));
    }
    Error::internal("an internal error in capcut-mcp stopped this call; it may have been applied")
        .hint(format!(
            "check the draft before you call again, and report this: {text}"
        ))
}
