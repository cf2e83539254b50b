//! The HTTP server: MCP at `/mcp`, and one route per tool, from the tool list, in the dialect of the reference API.
//!
//! What each call does is defined in `tools`. This module handles routing, bodies, the envelope, and the
//! protection of a listener that any program or web page can reach.

mod admission;
mod answer;
mod body;
mod calls;
mod drafts;
mod eager;
mod files;
mod generate;
mod health;
mod listener;
mod newer;
mod parts;
mod receive;
mod routes;
mod streams;
mod studio;
mod tenants;
#[cfg(test)]
mod tests;
mod texts;
mod tls;
mod visitors;
mod workers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use hyper::body::Body as _;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::access::{AccessGate, Guest, shown_path, take_token};
use crate::args::Object;
use crate::backend::Sender;
use crate::backend::envelope;
use crate::caller::{Allowed, Caller, From, Manner};
use crate::delivery::links::LinkKey;
use crate::draft::ids::DraftId;
use crate::error::{Result, shortened};
use crate::exec::{App, call_log};
use crate::manifest::Manifest;
use crate::mcp::over_http::TooManySessions;
use crate::mcp::{ListedTools, ToolSet};
use crate::memory;
use crate::metrics;
use crate::settings::ToolChoice;
use crate::tool::{Request, Spec};
use admission::Asked;
pub(crate) use admission::{Admission, parse_name, parse_origin};
use answer::{Answer, AnswerBody};
use body::{Body, Unreadable};
use calls::busy;
use eager::Eager;
pub(crate) use health::{health, ready};
use listener::Closing;
pub(crate) use listener::{AcceptOptions, Connections, Received, accept};
use newer::Endpoint;
use receive::{Receiver, Unreceived};
use routes::{ApiRoute, Destination, OwnRoute, Routes, resolved};
use streams::OpenStreams;
use studio::Studio;
pub(crate) use studio::{OwnStudio, serve_studio};
use tenants::{Shared, Tenant, Tenants};
pub(crate) use tls::Tls;
use visitors::RequestOrigin;

/// Calls that run at the same time; further calls are answered 503 with `Retry-After`.
const CALLS: usize = 512;
const CONNECTIONS: Connections = Connections {
    most: 4096,
    head: Duration::from_mins(1),
};
/// How often idle sessions and unused tenants are looked for.
const TENDED: Duration = Duration::from_secs(5);
/// How often the storage of tenants is swept, if no other server has done so.
const SWEPT: Duration = Duration::from_mins(10);
/// When that is done first after the start.
const FIRST_SWEPT: Duration = Duration::from_mins(1);
/// How long calls that are under way may take after the server is told to stop.
const LAST_CALLS: Duration = Duration::from_secs(10);

/// Runs a decoded call.
pub(crate) type Run =
    Arc<dyn Fn(Box<dyn Request>) -> BoxFuture<'static, Result<Done>> + Send + Sync>;

/// The result of a call.
pub(crate) struct Done {
    pub reply: Value,
    /// The `output` of the server that ran the call, which is passed on unchanged.
    pub output: Option<Value>,
}

/// The reply to `GET /health`, and whether calls can be run.
pub(crate) type Health = Box<dyn Fn() -> BoxFuture<'static, (bool, Value)> + Send + Sync>;

/// Makes the link to a draft that answers contain.
pub(crate) type MakeLink = Box<dyn Fn(&DraftId) -> String + Send + Sync>;

/// What a listener serves.
#[derive(Default)]
pub(crate) struct ServerOptions {
    /// The tools of `/mcp`; `None`: only the CapCut API.
    pub tools: Option<ToolChoice>,
    pub allowed: Arc<Allowed>,
    /// Who is served; `None` in tests: everyone.
    pub gate: Option<AccessGate>,
    /// `None`: without TLS.
    pub tls: Option<Tls>,
    /// The start of links to saved drafts; without it, it is the address of the listener as the client sees it.
    pub public_url: Option<Arc<str>>,
    /// Serves no session of MCP: each request is answered by itself.
    pub is_stateless: bool,
    /// Runs jobs and serves nothing.
    pub is_worker: bool,
}

impl ServerOptions {
    /// The scheme of the listener's address.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Whether clients can download saved drafts. An API without a public address answers as the reference server does.
    fn delivers(&self) -> bool {
        self.tools.is_some() || self.public_url.is_some() || self.is_worker
    }
}

/// A listener: the routes of the CapCut API, MCP, and the tenants whose drafts they are about.
pub(crate) struct HttpServer {
    routes: Routes,
    tenants: Tenants,
    /// Recognises requests that this process sent itself: they are answered 508 (loop detected).
    own: Option<Sender>,
    admission: Admission,
    /// Who is served; `None` in tests: everyone.
    gate: Option<Arc<AccessGate>>,
    tls: Option<Tls>,
    /// The lanes of the tools, for the rate limits.
    manifest: Arc<Manifest>,
    calls: Arc<Semaphore>,
    receiver: Receiver,
    /// Ends the sessions of MCP.
    stop: CancellationToken,
    /// The largest message of MCP, in bytes.
    message_bytes: usize,
    /// Signs the links to saved drafts; `None` if they cannot be downloaded.
    link_key: Option<Arc<LinkKey>>,
    public_url: Option<Arc<str>>,
    streams: OpenStreams,
    studio: Arc<Studio>,
}

/// A request without its body, and who sent it.
struct Head {
    parts: Parts,
    client: RequestClient,
    peer: IpAddr,
    /// `None`: the path is served to anyone.
    guest: Option<Guest>,
}

/// The client that sent a request.
#[derive(Clone)]
struct RequestClient {
    from: From,
    /// See [`Caller::site`].
    site: Option<Arc<str>>,
}

impl Head {
    fn is_reading(&self) -> bool {
        matches!(self.parts.method, Method::GET | Method::HEAD)
    }
}

impl RequestClient {
    fn caller(&self, tenant: &Tenant) -> Caller {
        tenant.caller(self.from).at_site(self.site.clone())
    }
}

impl HttpServer {
    /// The server of a process, for any backend.
    ///
    /// # Errors
    /// For a choice of tools that leaves none, or names unknown ones, and for a storage without credentials.
    pub(crate) async fn of(
        app: &Arc<App>,
        options: ServerOptions,
        admission: Admission,
    ) -> Result<Self> {
        app.storage.open()?;
        let link_key = if options.delivers() {
            let key = if app.journal.store().is_shared() {
                LinkKey::shared(&app.journal).await
            } else {
                app.settings.data_dir().and_then(LinkKey::of)
            };
            // Everything else works without it.
            let key = key.inspect_err(|error| {
                tracing::error!(
                    "saved drafts cannot be downloaded from this server until it is started again: {}",
                    error.cause()
                );
            });
            key.ok().map(Arc::new)
        } else {
            None
        };
        let tools = match options.tools {
            Some(choice) => Some(Arc::new(ListedTools::new(ToolSet::new(choice)?))),
            None => None,
        };
        let calls = Arc::new(Semaphore::new(CALLS));
        let stop = CancellationToken::new();
        let shared = Shared {
            app: Arc::clone(app),
            allowed: options.allowed,
            tools,
            is_stateless: options.is_stateless,
            calls: Arc::clone(&calls),
            stop: stop.clone(),
            link_key: link_key.clone(),
        };
        let tenants = Tenants::new(shared);
        let mut server = Self::new(tenants, calls, stop);
        server.admission = admission;
        server.gate = options.gate.map(Arc::new);
        server.tls = options.tls;
        server.manifest = Arc::clone(&app.manifest);
        server.own = Some(app.servers.sender.clone());
        server.receiver = Receiver::new(&app.manifest.limits);
        server.message_bytes = app.manifest.limits.message_bytes;
        server.link_key = link_key;
        server.public_url = options.public_url;
        Ok(server)
    }

    /// See [`Tenants::end_jobs`].
    pub(crate) async fn end_jobs(&self) {
        self.tenants.end_jobs().await;
    }

    fn new(tenants: Tenants, calls: Arc<Semaphore>, stop: CancellationToken) -> Self {
        let manifest = Manifest::built_in();
        let routes = Routes::new(&manifest);
        Self {
            routes,
            tenants,
            own: None,
            admission: Admission::new(None, &[], &[]),
            gate: None,
            tls: None,
            studio: Arc::new(Studio::new(Arc::clone(&calls), stop.clone())),
            calls,
            receiver: Receiver::new(&manifest.limits),
            stop,
            message_bytes: manifest.limits.message_bytes,
            manifest: Arc::new(manifest),
            link_key: None,
            public_url: None,
            streams: OpenStreams::default(),
        }
    }

    /// The start of the addresses at which a client reaches this server, if it can download saved drafts. The `Host` is
    /// one of this server: others are not admitted.
    fn site(&self, peer: IpAddr, head: &Parts) -> Option<Arc<str>> {
        self.link_key.as_ref()?;
        let own = || self.origin(peer, head).into();
        Some(self.public_url.clone().unwrap_or_else(own))
    }

    async fn answer(self: Arc<Self>, received: Received) -> Answer {
        let id = visitors::request_id();
        let mut answer = self.answered(received, &id).await;
        visitors::add_headers(answer.headers_mut(), &id, self.tls.is_some());
        answer
    }

    async fn answered(self: &Arc<Self>, mut received: Received, id: &str) -> Answer {
        // From here on, no path has a token.
        let token = take_token(received.request.uri_mut());
        let route = self.routes.at(&resolved(received.request.uri().path()));
        let is_studio = matches!(route, Destination::Own(OwnRoute::Studio));
        let admitted = match self.admission.admit(&received.request, received.peer) {
            Ok(admitted) => admitted,
            Err(refusal) if is_studio => {
                return studio::secured(answer::refusal(StatusCode::FORBIDDEN, refusal.error()));
            }
            Err(refusal) => return refusal.answer(),
        };
        let (head, body) = received.request.into_parts();
        let asked = Asked::of(&head.headers);
        let path = resolved(head.uri.path()).into_owned();
        let allow = route.allow();
        let visitor = RequestOrigin {
            peer: received.peer,
            from: admitted.from,
            id,
        };
        if is_studio {
            // There are no CORS headers: a browser lets no page of another origin read it.
            received.activity.works();
            return self.studio(&visitor, head, body, &path, token).await;
        }
        let guest = match self
            .guest(&visitor, &head, route, &path, token.as_ref())
            .await
        {
            Ok(guest) => guest,
            // The body of a caller who is not served is not read, so that the connection ends with the answer.
            Err(answer) => {
                let has_unread = !body.is_end_stream();
                let answer = if has_unread {
                    closing(*answer)
                } else {
                    *answer
                };
                return admitted.with_cors_headers(answer, asked, allow);
            }
        };
        let tenant = match self.tenant_of(guest.as_ref(), &head.headers) {
            Ok(tenant) => tenant,
            Err(answer) => return admitted.with_cors_headers(closing(*answer), asked, allow),
        };
        if let (Destination::Own(OwnRoute::Files), Some(app)) = (route, &tenant.app) {
            let name = path.strip_prefix("files").unwrap_or_default();
            let name = name.strip_prefix('/').unwrap_or_default();
            received.activity.works();
            if let Some(refused) = self.refused_files(guest.as_ref(), &head.method) {
                return admitted.with_cors_headers(closing(refused), asked, allow);
            }
            let (answer, result) =
                files::answer(app, &head.method, name, body, &self.receiver).await;
            if let Some(guest) = &guest {
                guest.record("files", None, result);
            }
            log_refusal(&head.method, &path, &answer);
            return admitted.with_cors_headers(answer, asked, files::allow(name));
        }
        // The body is read even if the request is refused, because the connection is used for further requests. Those of
        // callers who are not known take none of the memory that others need.
        let is_unknown = self.gate.is_some() && guest.is_none();
        let has_unread = is_unknown && !body.is_end_stream();
        let body = if is_unknown {
            Ok(receive::ReceivedBody::empty())
        } else {
            self.receiver.receive(body).await
        };
        if self.own.as_ref().is_some_and(|own| own.sent(&head.headers)) {
            return answer::page(StatusCode::LOOP_DETECTED);
        }
        received.activity.works();
        let head = Head {
            client: RequestClient {
                from: guest
                    .as_ref()
                    .map_or(admitted.from, |guest| guest.place(admitted.from)),
                site: self.site(received.peer, &head),
            },
            parts: head,
            peer: received.peer,
            guest,
        };
        let (method, answer) = (
            head.parts.method.clone(),
            self.at(route, &tenant, head, body).await,
        );
        log_refusal(&method, &path, &answer);
        let answer = if has_unread { closing(answer) } else { answer };
        admitted.with_cors_headers(answer, asked, allow)
    }

    async fn at(
        self: &Arc<Self>,
        route: Destination,
        tenant: &Arc<Tenant>,
        head: Head,
        body: Result<receive::ReceivedBody<'_>, Unreceived>,
    ) -> Answer {
        let allow = route.allow();
        match route {
            Destination::Api(route) => match self.refused_call(&head, route.spec) {
                Some(answer) => answer,
                None => self.routed(route, tenant, &head, body, allow).await,
            },
            Destination::Newer(endpoint) => match &tenant.app {
                Some(app) => match self.refused_endpoint(&head, endpoint) {
                    Some(answer) => answer,
                    None => self.newer(app, endpoint, tenant, &head, body).await,
                },
                None => answer::page(StatusCode::NOT_FOUND),
            },
            Destination::Own(OwnRoute::Mcp) => self.mcp(tenant, head, body).await,
            Destination::Own(OwnRoute::SignIn) => self.sign_in(head.peer, &head),
            Destination::Own(OwnRoute::Drafts | OwnRoute::DraftFile) if head.is_reading() => {
                self.drafts(tenant, &head).await
            }
            Destination::Own(OwnRoute::Tenants) if head.is_reading() => {
                match self.refused_tenants(&head) {
                    Some(refused) => refused,
                    None => self.tenants.listed().await,
                }
            }
            Destination::Own(route) => match head.parts.method {
                Method::OPTIONS => answer::options(allow),
                Method::GET | Method::HEAD => self.own(route, tenant, &head).await,
                _ => answer::not_allowed(allow),
            },
            Destination::None => answer::page(StatusCode::NOT_FOUND),
        }
    }

    /// Health, readiness and metrics.
    async fn own(&self, route: OwnRoute, tenant: &Tenant, head: &Head) -> Answer {
        let is_known = self.gate.is_none() || head.guest.is_some();
        let stated = |works: bool| {
            if works {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        match (route, &tenant.app) {
            (OwnRoute::Health, _) => {
                let (works, health) = (tenant.health)().await;
                let health = if is_known {
                    health
                } else {
                    health::only_state(works, &health)
                };
                answer::json(stated(works), health)
            }
            (OwnRoute::Ready, Some(app)) => {
                let (mut works, mut ready) = health::ready(app).await;
                if let Some(Err(error)) = self.gate.as_ref().map(|gate| gate.tokens_are_known()) {
                    works = false;
                    ready["ready"] = false.into();
                    ready["checks"]["tokens"] = error.cause().to_string().into();
                }
                let ready = if is_known {
                    ready
                } else {
                    health::only_state(works, &ready)
                };
                answer::json(stated(works), ready)
            }
            (OwnRoute::Metrics, Some(app)) => {
                answer::text(StatusCode::OK, metrics::CONTENT_TYPE, app.metrics_text())
            }
            (OwnRoute::WebSocket, _) => answer::upgrade_required(),
            _ => answer::page(StatusCode::NOT_FOUND),
        }
    }

    /// The list of saved drafts, or the file of a link.
    async fn drafts(&self, tenant: &Tenant, head: &Head) -> Answer {
        let Parts {
            uri,
            method,
            headers,
            ..
        } = &head.parts;
        let query = uri.query().unwrap_or_default();
        let path = resolved(uri.path());
        match (path.strip_prefix("drafts/"), &tenant.app) {
            (Some(file), _) if !file.is_empty() => {
                let key = self.link_key.as_deref();
                drafts::file(&self.tenants, key, (file, query), (method, headers)).await
            }
            (_, Some(app)) => match self.refused_list(head) {
                Some(refused) => refused,
                None => drafts::list(app, query, head.client.site.as_deref()).await,
            },
            (_, None) => answer::page(StatusCode::NOT_FOUND),
        }
    }

    /// A request of MCP.
    async fn mcp(
        &self,
        tenant: &Tenant,
        head: Head,
        body: Result<receive::ReceivedBody<'_>, Unreceived>,
    ) -> Answer {
        let Some(endpoint) = &tenant.mcp else {
            return answer::page(StatusCode::NOT_FOUND);
        };
        if head.parts.method == Method::OPTIONS {
            return answer::options(OwnRoute::Mcp.allow());
        }
        let body = match received(body) {
            Ok(body) => body,
            Err(page) => return *page,
        };
        if body.bytes.len() > self.message_bytes {
            return answer::too_large(self.message_bytes);
        }
        let _for_values = match self.memory_for_values(&body.bytes) {
            Ok(memory) => memory,
            Err(page) => return *page,
        };
        if let Some(answer) = self.too_many(&head, &body.bytes) {
            return answer;
        }
        let caller = head.client.caller(tenant).in_manner(Manner::Strict);
        let mut parts = head.parts;
        // The answer to a call ends with the call.
        let stays = parts.method == Method::GET;
        if let Some(guest) = &head.guest {
            parts.extensions.insert(guest.clone());
        }
        match endpoint.answer(parts, body.bytes, caller).await {
            Ok(answer) => answer.map(|stream| {
                AnswerBody::Stream(match head.guest {
                    Some(guest) if stays => self.streams.of(guest, stream),
                    _ => stream,
                })
            }),
            Err(TooManySessions(most)) => answer::busy(&format!(
                "{most} sessions are open, which is the limit: close sessions that are not used, or try again in a few minutes"
            )),
        }
    }

    async fn routed(
        self: &Arc<Self>,
        route: ApiRoute,
        tenant: &Arc<Tenant>,
        head: &Head,
        body: Result<receive::ReceivedBody<'_>, Unreceived>,
        allow: &'static str,
    ) -> Answer {
        let Head {
            parts: head,
            client,
            guest,
            ..
        } = head;
        match (&head.method, route.get) {
            (&Method::OPTIONS, _) => return answer::options(allow),
            (&Method::GET | &Method::HEAD, true) | (&Method::POST, false) => {}
            _ => return answer::not_allowed(allow),
        }
        let spec = route.spec;
        let body = match received(body) {
            Ok(body) => body,
            Err(page) => return *page,
        };
        if route.get {
            return self
                .call(
                    spec,
                    tenant,
                    guest.as_ref(),
                    Ok(whole_list()),
                    client,
                    Manner::Api,
                )
                .await;
        }
        match self.decoded(&head.headers, body, |name| knows(spec, name)) {
            Ok(decoded) => {
                let manner = match head.headers.get(envelope::MANNER_HEADER) {
                    Some(manner) if manner == envelope::STRICT => Manner::Strict,
                    _ => Manner::Api,
                };
                let answer = self
                    .call(
                        spec,
                        tenant,
                        guest.as_ref(),
                        decoded.arguments,
                        client,
                        manner,
                    )
                    .await;
                drop(decoded.memory);
                answer
            }
            Err(page) => *page,
        }
    }

    /// Answers at an endpoint that only newer sources of the API have.
    async fn newer(
        &self,
        app: &Arc<App>,
        endpoint: Endpoint,
        tenant: &Tenant,
        head: &Head,
        body: Result<receive::ReceivedBody<'_>, Unreceived>,
    ) -> Answer {
        let caller = &head.client.caller(tenant);
        let head = &head.parts;
        match &head.method {
            &Method::OPTIONS => return answer::options(endpoint.allow()),
            &Method::GET | &Method::HEAD if endpoint.takes_get() => {
                return endpoint.answer(app, Object::new(), caller).await;
            }
            &Method::POST => {}
            // The recorded API has none of these paths.
            _ => return answer::page(StatusCode::NOT_FOUND),
        }
        let Ok(_permit) = self.calls.try_acquire() else {
            return busy();
        };
        let decoded = received(body).and_then(|body| self.decoded(&head.headers, body, |_| true));
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(page) => return *page,
        };
        let answer = match decoded.arguments {
            Ok(arguments) => endpoint.answer(app, arguments, caller).await,
            Err(error) => {
                call_log::refused(endpoint.name(), &error, true);
                answer::failure(&error.to_string())
            }
        };
        drop(decoded.memory);
        answer
    }

    /// The arguments of a body, or the problems with arguments that are `known`. `Err`: the page for a body that
    /// the API does not accept.
    fn decoded<'a>(
        &'a self,
        headers: &HeaderMap,
        body: receive::ReceivedBody<'a>,
        known: impl Fn(&str) -> bool,
    ) -> Result<RequestArguments<'a>, Box<Answer>> {
        let page = |status| Err(Box::new(answer::page(status)));
        if !is_json(headers) {
            return page(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let receive::ReceivedBody { bytes, memory } = body;
        let for_values = self.memory_for_values(&bytes)?;
        match Body::read(&bytes) {
            Ok(read) => Ok(RequestArguments {
                arguments: read.arguments(known),
                memory: [memory, for_values],
            }),
            Err(Unreadable::Malformed) => page(StatusCode::BAD_REQUEST),
            Err(Unreadable::NotAnObject | Unreadable::TooDeep) => {
                page(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// The memory for the values of a large body; the error is the page for one with too many.
    fn memory_for_values(&self, bytes: &[u8]) -> Result<Option<SemaphorePermit<'_>>, Box<Answer>> {
        if bytes.len() <= receive::LARGE {
            return Ok(None);
        }
        memory::release_soon();
        let values = body::values(bytes);
        if values > body::MAX_VALUES {
            return Err(Box::new(answer::too_many_values(body::MAX_VALUES)));
        }
        match self.receiver.for_values(values) {
            Some(memory) => Ok(Some(memory)),
            None => Err(Box::new(answer::busy(
                "all memory for large request bodies is in use; try again in a moment",
            ))),
        }
    }
}

/// An answer after which the connection is closed, because the request's body was not read.
fn closing(mut answer: Answer) -> Answer {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}

/// Logs a request that was refused before it became a call; calls write their own log lines.
fn log_refusal(method: &Method, path: &str, answer: &Answer) {
    let status = answer.status();
    if status.as_u16() < 400 || answer.headers().contains_key(envelope::KIND_HEADER) {
        return;
    }
    // These report on this server and are not calls.
    if matches!(OwnRoute::at(path), Some(OwnRoute::Health | OwnRoute::Ready)) {
        return;
    }
    tracing::warn!(
        %method,
        path = %shortened(&shown_path(path)),
        status = status.as_u16(),
        "request refused: {}",
        status.canonical_reason().unwrap_or_default()
    );
}

/// Lists are returned whole: the API has no pages.
fn whole_list() -> Object {
    Object::from_iter([("limit".to_owned(), u64::MAX.into())])
}

/// Whether the tool has an argument of this name; called only for arguments with a problem.
fn knows(spec: &Spec, name: &str) -> bool {
    let properties = spec.input().get("properties");
    properties.is_some_and(|properties| properties.get(name).is_some())
}

/// The arguments of a body, and the memory that is reserved for it while it is in use.
struct RequestArguments<'a> {
    arguments: Result<Object>,
    memory: [Option<SemaphorePermit<'a>>; 2],
}

/// The body, or the page for a body that did not arrive.
fn received(
    body: Result<receive::ReceivedBody<'_>, Unreceived>,
) -> Result<receive::ReceivedBody<'_>, Box<Answer>> {
    body.map_err(|error| {
        Box::new(match error {
            Unreceived::TooLarge(limit) => answer::too_large(limit),
            Unreceived::TooSlow => answer::page(StatusCode::REQUEST_TIMEOUT),
            Unreceived::Broken => answer::page(StatusCode::BAD_REQUEST),
        })
    })
}

/// `application/json` or `application/*+json`, in any case and with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let kind = value.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Serves until `stop`. Then accepts no new connections and gives running calls up to [`LAST_CALLS`].
pub(crate) async fn serve(
    listener: TcpListener,
    server: Arc<HttpServer>,
    workers: Option<usize>,
    stop: impl Future<Output = ()>,
) {
    let no_more_jobs = CancellationToken::new();
    if let Some(most) = workers.filter(|most| *most > 0) {
        tokio::spawn(Arc::clone(&server).work(most, no_more_jobs.clone()));
    }
    let eager = Eager::default();
    let awake = tokio::spawn(eager.clone().stay_awake());
    let tended = {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TENDED).await;
                server.streams.end_refused();
                server.tenants.tend(Instant::now()).await;
            }
        })
    };
    let swept = {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            tokio::time::sleep(FIRST_SWEPT).await;
            loop {
                server.tenants.sweep().await;
                tokio::time::sleep(SWEPT).await;
            }
        })
    };
    let answering = {
        let server = Arc::clone(&server);
        move |received| {
            let (server, eager) = (Arc::clone(&server), eager.clone());
            async move {
                // Boxed, because a connection keeps room for it also while it is idle.
                let answer = Box::pin(server.answer(received)).await;
                eager.answered();
                answer
            }
        }
    };
    let accepted = AcceptOptions {
        connections: CONNECTIONS,
        metrics: server.tenants.metrics(),
        tls: server.tls.clone(),
    };
    let Closing { closed, answered } = accept(listener, accepted, answering, stop).await;
    no_more_jobs.cancel();
    awake.abort();
    tended.abort();
    swept.abort();
    let under_way = CALLS - server.calls.available_permits();
    if under_way > 0 {
        tracing::info!("stopping: {under_way} calls are still under way");
    }
    let ended = async {
        let calls = async {
            answered.await;
            // This includes calls whose clients have disconnected.
            let _ = server.calls.acquire_many(CALLS as u32).await;
            // Streams of sessions stay open until they are ended.
            server.stop.cancel();
        };
        futures::future::join(closed, calls).await;
    };
    if tokio::time::timeout(LAST_CALLS, ended).await.is_err() {
        let left = CALLS - server.calls.available_permits();
        tracing::warn!("stopped; {left} calls were cancelled");
    }
    server.stop.cancel();
    server.tenants.end_jobs().await;
}
