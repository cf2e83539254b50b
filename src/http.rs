//! The HTTP server: MCP at `/mcp`, and one route per tool, from the tool list, in the dialect of the reference API.
//!
//! What each call does is defined in `tools`. This module handles routing, bodies, the envelope, and the
//! protection of a listener that any program or web page can reach.

mod admission;
mod answer;
mod body;
mod eager;
mod files;
mod health;
mod listener;
mod newer;
mod receive;
mod routes;
mod tenants;
#[cfg(test)]
mod tests;
mod texts;

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::args::Object;
use crate::backend::Sender;
use crate::backend::envelope::{self, ServerErrorText};
use crate::caller::{Allowed, From, Manner};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result, shortened};
use crate::exec::{App, call_log};
use crate::manifest::Manifest;
use crate::mcp::over_http::TooManySessions;
use crate::mcp::{ListedTools, ToolSet};
use crate::memory;
use crate::metrics;
use crate::settings::ToolChoice;
use crate::tool::{Request, Spec, Texts};
use admission::Asked;
pub(crate) use admission::{Admission, parse_name, parse_origin};
use answer::{Answer, AnswerBody};
use body::{Body, Unreadable};
use eager::Eager;
pub(crate) use health::health;
pub(crate) use listener::{Connections, Received, accept};
use newer::Endpoint;
use receive::{Receiver, Unreceived};
use routes::{ApiRoute, Destination, OwnRoute, Routes, resolved};
use tenants::{Tenant, Tenants};

/// Calls that run at the same time; further calls are answered 503 with `Retry-After`.
const CALLS: usize = 512;
const CONNECTIONS: Connections = Connections {
    most: 4096,
    head: Duration::from_mins(1),
};
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
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerOptions {
    /// The tools of `/mcp`; `None`: only the CapCut API.
    pub tools: Option<ToolChoice>,
    pub allowed: Arc<Allowed>,
}

/// A listener: the routes of the CapCut API, MCP, and the tenants whose drafts they are about.
pub(crate) struct HttpServer {
    routes: Routes,
    tenants: Tenants,
    /// Recognises requests that this process sent itself: they are answered 508 (loop detected).
    own: Option<Sender>,
    admission: Admission,
    calls: Arc<Semaphore>,
    receiver: Receiver,
    /// Ends the sessions of MCP.
    stop: CancellationToken,
    /// The largest message of MCP, in bytes.
    message_bytes: usize,
}

/// A request without its body, and where its client is.
struct Head {
    parts: Parts,
    from: From,
}

impl HttpServer {
    /// The server of a process, for any backend.
    ///
    /// # Errors
    /// For a choice of tools that leaves none, or names unknown ones.
    pub(crate) fn of(app: &Arc<App>, options: ServerOptions, admission: Admission) -> Result<Self> {
        let tools = match options.tools {
            Some(choice) => Some(Arc::new(ListedTools::new(ToolSet::new(choice)?))),
            None => None,
        };
        let calls = Arc::new(Semaphore::new(CALLS));
        let stop = CancellationToken::new();
        let tenants = Tenants::new(app, options.allowed, tools, &calls, &stop);
        let mut server = Self::new(tenants, calls, stop);
        server.admission = admission;
        server.own = Some(app.servers.sender.clone());
        server.receiver = Receiver::new(&app.manifest.limits);
        server.message_bytes = app.manifest.limits.message_bytes;
        Ok(server)
    }

    fn new(tenants: Tenants, calls: Arc<Semaphore>, stop: CancellationToken) -> Self {
        let manifest = Manifest::built_in();
        let routes = Routes::new(&manifest);
        Self {
            routes,
            tenants,
            own: None,
            admission: Admission::new(None, &[], &[]),
            calls,
            receiver: Receiver::new(&manifest.limits),
            stop,
            message_bytes: manifest.limits.message_bytes,
        }
    }

    async fn answer(self: Arc<Self>, received: Received) -> Answer {
        let admitted = match self.admission.admit(&received.request, received.peer) {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal.answer(),
        };
        let (head, body) = received.request.into_parts();
        let asked = Asked::of(&head.headers);
        let path = resolved(head.uri.path()).into_owned();
        let route = self.routes.at(&path);
        let tenant = self.tenants.local();
        if let (Destination::Own(OwnRoute::Files), Some(app)) = (route, &tenant.app) {
            let name = path.strip_prefix("files").unwrap_or_default();
            let name = name.strip_prefix('/').unwrap_or_default();
            received.activity.works();
            let answer = files::answer(app, &head.method, name, body, &self.receiver).await;
            log_refusal(&head.method, &path, &answer);
            return admitted.with_cors_headers(answer, asked, files::allow(name));
        }
        // The body is read even if the request is refused, because the connection is used for further requests.
        let body = self.receiver.receive(body).await;
        if self.own.as_ref().is_some_and(|own| own.sent(&head.headers)) {
            return answer::page(StatusCode::LOOP_DETECTED);
        }
        received.activity.works();
        let allow = route.allow();
        let head = Head {
            parts: head,
            from: admitted.from,
        };
        let (method, answer) = (
            head.parts.method.clone(),
            self.at(route, &tenant, head, body).await,
        );
        log_refusal(&method, &path, &answer);
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
            Destination::Api(route) => self.routed(route, tenant, &head, body, allow).await,
            Destination::Newer(endpoint) => match &tenant.app {
                Some(app) => self.newer(app, endpoint, tenant, &head, body).await,
                None => answer::page(StatusCode::NOT_FOUND),
            },
            Destination::Own(OwnRoute::Mcp) => self.mcp(tenant, head, body).await,
            Destination::Own(route) => match head.parts.method {
                Method::OPTIONS => answer::options(allow),
                Method::GET | Method::HEAD => self.own(route, tenant).await,
                _ => answer::not_allowed(allow),
            },
            Destination::None => answer::page(StatusCode::NOT_FOUND),
        }
    }

    /// Health, readiness and metrics.
    async fn own(&self, route: OwnRoute, tenant: &Tenant) -> Answer {
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
                answer::json(stated(works), health)
            }
            (OwnRoute::Ready, Some(app)) => {
                let (works, ready) = health::ready(app).await;
                answer::json(stated(works), ready)
            }
            (OwnRoute::Metrics, Some(app)) => {
                answer::text(StatusCode::OK, metrics::CONTENT_TYPE, app.metrics_text())
            }
            (OwnRoute::WebSocket, _) => answer::upgrade_required(),
            _ => answer::page(StatusCode::NOT_FOUND),
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
        let caller = tenant.caller(head.from).in_manner(Manner::Strict);
        match endpoint.answer(head.parts, body.bytes, caller).await {
            Ok(answer) => answer.map(AnswerBody::Stream),
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
        let Head { parts: head, from } = head;
        let from = *from;
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
                .call(spec, tenant, Ok(whole_list()), from, Manner::Api)
                .await;
        }
        match self.decoded(&head.headers, body, |name| knows(spec, name)) {
            Ok(decoded) => {
                let manner = match head.headers.get(envelope::MANNER_HEADER) {
                    Some(manner) if manner == envelope::STRICT => Manner::Strict,
                    _ => Manner::Api,
                };
                let answer = self
                    .call(spec, tenant, decoded.arguments, from, manner)
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
        let caller = tenant.caller(head.from);
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

    /// Runs a call. As with the API, the call completes even if the client disconnects, and a panic in it affects
    /// no other call. The permit counts the call as running while the server stops.
    async fn call(
        self: &Arc<Self>,
        spec: &'static Spec,
        tenant: &Arc<Tenant>,
        arguments: Result<Object>,
        from: From,
        manner: Manner,
    ) -> Answer {
        let Ok(permit) = Arc::clone(&self.calls).try_acquire_owned() else {
            return busy();
        };
        let tenant = Arc::clone(tenant);
        let work = async move {
            let answer = tenant.run_call(spec, arguments, from, manner).await;
            drop(permit);
            answer
        };
        let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind());
        let first_poll = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        // Only a call that has to wait gets its own task; most calls finish in the first poll, and a task would
        // slow them down.
        let done = match first_poll {
            Poll::Ready(done) => done.ok(),
            Poll::Pending => tokio::spawn(work).await.ok().and_then(Result::ok),
        };
        done.unwrap_or_else(|| {
            let error = Error::internal("an internal error in capcut-mcp stopped this call");
            let error = error.hint(if spec.hints.read_only {
                "nothing was changed; report this"
            } else {
                "check the draft before you call again, and report this"
            });
            tracing::error!(tool = spec.name, "{}", error.cause());
            failed(&spec.texts, &error, None)
        })
    }
}

impl Tenant {
    async fn run_call(
        &self,
        spec: &'static Spec,
        arguments: Result<Object>,
        from: From,
        manner: Manner,
    ) -> Answer {
        let caller = self.caller(from);
        // Other capcut-mcp processes receive the error text of this program, not the wording of the API.
        let texts = match manner {
            Manner::Strict => &Texts::NONE,
            Manner::Api => &spec.texts,
        };
        let failed = |error: &Error, draft| failed(texts, error, draft);
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(error) => {
                (self.refused)(spec, &error);
                return failed(&error, None);
            }
        };
        let mut arguments = arguments;
        self.name_uploads(&mut arguments);
        if let Some(missing) = texts::missing(texts, &arguments) {
            (self.refused)(spec, &Error::invalid(missing));
            return answer::failure(missing);
        }
        let request = match spec.decode(arguments, &caller.in_manner(manner)) {
            Ok(request) => request,
            Err(error) => {
                (self.refused)(spec, &error);
                return failed(&error, None);
            }
        };
        let draft = request.draft().cloned();
        let done = match (self.run)(request).await {
            Ok(done) => done,
            Err(error) => return failed(&error, draft.as_ref()),
        };
        answer::success(spec, done, &self.link).unwrap_or_else(|error| {
            tracing::error!(tool = spec.name, "{}", error.cause());
            failed(&error, draft.as_ref())
        })
    }
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
        path = %shortened(path),
        status = status.as_u16(),
        "request refused: {}",
        status.canonical_reason().unwrap_or_default()
    );
}

fn failed(texts: &Texts, error: &Error, draft: Option<&DraftId>) -> Answer {
    let said = error.source.as_deref();
    let text = match said.and_then(<dyn std::error::Error + Send + Sync>::downcast_ref) {
        // The error text comes from a server, in the wording that its clients know.
        Some(ServerErrorText(words)) => words.clone(),
        None => texts::failure(texts, error, draft.map(DraftId::as_str)),
    };
    let mut answer = if error.kind == Kind::Busy {
        answer::busy(&text)
    } else {
        answer::failure(&text)
    };
    // The body is exactly the API's; the kind of error is in a header.
    let kind = HeaderValue::from_static(error.kind.name());
    answer.headers_mut().insert(envelope::KIND_HEADER, kind);
    answer
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

fn busy() -> Answer {
    answer::busy(&format!(
        "{CALLS} calls are under way, which is the limit of this server; try again in a moment"
    ))
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
    stop: impl Future<Output = ()>,
) {
    let eager = Eager::default();
    let awake = tokio::spawn(eager.clone().stay_awake());
    let answering = {
        let server = Arc::clone(&server);
        move |received| {
            let (server, eager) = (Arc::clone(&server), eager.clone());
            async move {
                let answer = server.answer(received).await;
                eager.answered();
                answer
            }
        }
    };
    let closed = accept(
        listener,
        CONNECTIONS,
        server.tenants.metrics(),
        answering,
        stop,
    )
    .await;
    awake.abort();
    let under_way = CALLS - server.calls.available_permits();
    if under_way > 0 {
        tracing::info!("stopping: {under_way} calls are still under way");
    }
    let ended = async {
        // This includes calls whose clients have disconnected.
        let calls = async {
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
