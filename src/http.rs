//! The HTTP server: one route per tool, from the tool list, in the dialect of the reference API.
//!
//! What each call does is defined in `tools`. This module handles routing, bodies, the envelope, and the
//! protection of a listener that any program or web page can reach.

mod admission;
mod answer;
mod body;
mod eager;
mod health;
mod listener;
mod newer;
mod receive;
#[cfg(test)]
mod tests;
mod texts;

use std::borrow::Cow;
use std::collections::HashMap;
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

use crate::args::Object;
use crate::backend::Sender;
use crate::backend::envelope::{self, ServerErrorText};
use crate::caller::{Allowed, Caller, From, Manner};
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result, shortened};
use crate::exec::{App, Context, Output, call_log};
use crate::manifest::Manifest;
use crate::memory;
use crate::tool::{Request, Spec, Texts};
use crate::tools::ROUTED;
use admission::Asked;
pub(crate) use admission::{Admission, parse_name, parse_origin};
use answer::Answer;
use body::{Body, Unreadable};
use eager::Eager;
pub(crate) use listener::{Connections, Received, accept};
use newer::Endpoint;
use receive::{Receiver, Unreceived};

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

/// The API: its routes and what they need to answer.
pub(crate) struct ApiService {
    routes: HashMap<String, HttpRoute>,
    run: Run,
    health: Health,
    /// Called with each call whose arguments are refused; such a call never runs.
    refused: Box<dyn Fn(&'static Spec, &Error) + Send + Sync>,
    /// Recognises requests that this process sent itself: they are answered 508 (loop detected).
    own: Option<Sender>,
    link: MakeLink,
    /// Runs the endpoints of newer sources. `None` in tests: those paths answer 404.
    app: Option<Arc<App>>,
    admission: Admission,
    /// Clients on this machine (`here`) and all others (`network`).
    here: Caller,
    network: Caller,
    calls: Arc<Semaphore>,
    receiver: Receiver,
}

#[derive(Clone, Copy)]
struct HttpRoute {
    /// `None`: the health of this server.
    spec: Option<&'static Spec>,
    get: bool,
}

impl ApiService {
    /// The API of a process, for any backend.
    pub(crate) fn of(app: &Arc<App>, allowed: &Arc<Allowed>, admission: Admission) -> Self {
        let engine = Arc::clone(&app.engine);
        let asked = Arc::clone(app);
        let counts = Arc::clone(app);
        let app = Arc::clone(app);
        let mut api = Self::new(
            Box::new(move || {
                let app = Arc::clone(&asked);
                Box::pin(async move { health::health(&app).await })
            }),
            Box::new(move |draft| engine.link(draft)),
            Arc::new(move |request| {
                let app = Arc::clone(&app);
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
        );
        api.admission = admission;
        api.app = Some(Arc::clone(&counts));
        api.here = Caller::client(Manner::Api, From::Here, allowed);
        api.network = Caller::client(Manner::Api, From::Network, allowed);
        api.own = Some(counts.servers.sender.clone());
        api.receiver = Receiver::new(&counts.manifest.limits);
        api.refused = Box::new(move |spec, error| counts.refused(spec.name, error, true));
        api
    }

    fn new(health: Health, link: MakeLink, run: Run) -> Self {
        // The paths are the built-in ones: a user's manifest changes where calls are sent, not what is served
        // here.
        let manifest = Manifest::built_in();
        let mut routes = HashMap::new();
        for spec in &ROUTED {
            let Some(listed) = manifest.tools.get(spec.name) else {
                continue;
            };
            if let Some(path) = listed.path() {
                let route = HttpRoute {
                    spec: Some(spec),
                    get: listed.get.is_some(),
                };
                routes.insert(path.trim_start_matches('/').to_owned(), route);
            }
        }
        let route = HttpRoute {
            spec: None,
            get: true,
        };
        routes.insert("health".to_owned(), route);
        Self {
            routes,
            run,
            health,
            refused: Box::new(|_, _| {}),
            own: None,
            link,
            app: None,
            admission: Admission::new(None, &[], &[]),
            here: Caller::client(Manner::Api, From::Here, &Arc::default()),
            network: Caller::client(Manner::Api, From::Network, &Arc::default()),
            calls: Arc::new(Semaphore::new(CALLS)),
            receiver: Receiver::new(&manifest.limits),
        }
    }

    async fn answer(self: Arc<Self>, received: Received) -> Answer {
        let admitted = match self.admission.admit(&received.request, received.peer) {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal.answer(),
        };
        let (head, body) = received.request.into_parts();
        let asked = Asked::of(&head.headers);
        let path = resolved(head.uri.path());
        let route = self.routes.get(path.as_ref()).copied();
        let newer = self.app.as_ref().zip(Endpoint::at(&path));
        let allow = match route {
            Some(HttpRoute { get: true, .. }) => "GET, HEAD, OPTIONS",
            Some(HttpRoute { get: false, .. }) => "OPTIONS, POST",
            None => newer.map_or("OPTIONS", |(_, endpoint)| endpoint.allow()),
        };
        // The body is read even if the request is refused, because the connection is used for further requests.
        let body = self.receiver.receive(body).await;
        if self.own.as_ref().is_some_and(|own| own.sent(&head.headers)) {
            return answer::page(StatusCode::LOOP_DETECTED);
        }
        received.activity.works();
        let answer = match route {
            Some(route) => self.routed(route, &head, body, allow, admitted.from).await,
            None => match newer {
                Some((app, endpoint)) => {
                    self.newer(app, endpoint, &head, body, admitted.from).await
                }
                None => answer::page(StatusCode::NOT_FOUND),
            },
        };
        log_refusal(&head, &path, &answer);
        admitted.with_cors_headers(answer, asked, allow)
    }

    async fn routed(
        self: &Arc<Self>,
        route: HttpRoute,
        head: &Parts,
        body: Result<receive::ReceivedBody<'_>, Unreceived>,
        allow: &'static str,
        from: From,
    ) -> Answer {
        match (&head.method, route.get) {
            (&Method::OPTIONS, _) => return answer::options(allow),
            (&Method::GET | &Method::HEAD, true) | (&Method::POST, false) => {}
            _ => return answer::not_allowed(allow),
        }
        let Some(spec) = route.spec else {
            let (works, health) = (self.health)().await;
            let status = if works {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            return answer::json(status, health);
        };
        let body = match received(body) {
            Ok(body) => body,
            Err(page) => return *page,
        };
        if route.get {
            return self.call(spec, Ok(whole_list()), from, Manner::Api).await;
        }
        match self.decoded(&head.headers, body, |name| knows(spec, name)) {
            Ok(decoded) => {
                let manner = match head.headers.get(envelope::MANNER_HEADER) {
                    Some(manner) if manner == envelope::STRICT => Manner::Strict,
                    _ => Manner::Api,
                };
                let answer = self.call(spec, decoded.arguments, from, manner).await;
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
        head: &Parts,
        body: Result<receive::ReceivedBody<'_>, Unreceived>,
        from: From,
    ) -> Answer {
        match &head.method {
            &Method::OPTIONS => return answer::options(endpoint.allow()),
            &Method::GET | &Method::HEAD if endpoint.takes_get() => {
                return endpoint.answer(app, Object::new(), self.caller(from)).await;
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
            Ok(arguments) => endpoint.answer(app, arguments, self.caller(from)).await,
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
        let mut for_values = None;
        if bytes.len() > receive::LARGE {
            memory::release_soon();
            let values = body::values(&bytes);
            if values > body::MAX_VALUES {
                return Err(Box::new(answer::too_many_values(body::MAX_VALUES)));
            }
            for_values = self.receiver.for_values(values);
            if for_values.is_none() {
                return Err(Box::new(answer::busy(
                    "all memory for large request bodies is in use; try again in a moment",
                )));
            }
        }
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

    fn caller(&self, from: From) -> &Caller {
        match from {
            From::Here => &self.here,
            From::Network => &self.network,
        }
    }

    /// Runs a call. As with the API, the call completes even if the client disconnects, and a panic in it affects
    /// no other call. The permit counts the call as running while the server stops.
    async fn call(
        self: &Arc<Self>,
        spec: &'static Spec,
        arguments: Result<Object>,
        from: From,
        manner: Manner,
    ) -> Answer {
        let Ok(permit) = Arc::clone(&self.calls).try_acquire_owned() else {
            return busy();
        };
        let api = Arc::clone(self);
        let work = async move {
            let answer = api.run_call(spec, arguments, from, manner).await;
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
fn log_refusal(head: &Parts, path: &str, answer: &Answer) {
    let status = answer.status();
    if status.as_u16() < 400 || answer.headers().contains_key(envelope::KIND_HEADER) {
        return;
    }
    // The health endpoint reports on this server and is not a call.
    if path == "health" {
        return;
    }
    tracing::warn!(
        method = %head.method,
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

/// The path without leading slashes, with percent codes decoded.
fn resolved(path: &str) -> Cow<'_, str> {
    let path = if path.contains('%') {
        Cow::Owned(decoded(path))
    } else {
        Cow::Borrowed(path)
    };
    match path {
        Cow::Borrowed(path) => Cow::Borrowed(path.trim_start_matches('/')),
        Cow::Owned(path) => Cow::Owned(path.trim_start_matches('/').to_owned()),
    }
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|&b| char::from(b).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
    api: Arc<ApiService>,
    stop: impl Future<Output = ()>,
) {
    let eager = Eager::default();
    let awake = tokio::spawn(eager.clone().stay_awake());
    let answering = {
        let api = Arc::clone(&api);
        move |received| {
            let (api, eager) = (Arc::clone(&api), eager.clone());
            async move {
                let answer = api.answer(received).await;
                eager.answered();
                answer
            }
        }
    };
    let closed = accept(listener, CONNECTIONS, answering, stop).await;
    awake.abort();
    let under_way = CALLS - api.calls.available_permits();
    if under_way > 0 {
        tracing::info!("stopping: {under_way} calls are still under way");
    }
    let ended = async {
        closed.await;
        // This includes calls whose clients have disconnected.
        let _ = api.calls.acquire_many(CALLS as u32).await;
    };
    if tokio::time::timeout(LAST_CALLS, ended).await.is_err() {
        let left = CALLS - api.calls.available_permits();
        tracing::warn!("stopped; {left} calls were cancelled");
    }
}
