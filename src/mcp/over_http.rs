//! MCP over Streamable HTTP, for the drafts of one tenant. The listener is in [`crate::http`].

mod sessions;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use rmcp::model::{ErrorCode, Extensions, ProtocolVersion, RequestId};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::sessions::{KnownSessions, Sessions};
use super::incoming::{GivenTwice, twice_in};
use super::{ClientOf, ListedTools, McpServer};
use crate::access::Guest;
use crate::error::{Error, Result};
use crate::exec::App;
use crate::tools::Caller;

/// An answer, complete or a stream.
type McpResponse = Response<BoxBody<Bytes, Infallible>>;

/// The header with the id of a session.
const SESSION: &str = "mcp-session-id";

/// The endpoint of one tenant. Sessions are its own: the id of a session of another tenant is unknown here.
pub(crate) struct HttpEndpoint {
    service: StreamableHttpService<McpServer, Sessions>,
    sessions: Arc<Sessions>,
}

/// Why a request gets no answer from MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManySessions(pub usize);

impl HttpEndpoint {
    /// `calls` are the calls that may run at the same time on the listener; `stop` ends all sessions.
    pub(crate) fn new(
        app: &Arc<App>,
        tools: &Arc<ListedTools>,
        is_stateless: bool,
        (calls, stop): (&Arc<Semaphore>, &CancellationToken),
    ) -> Self {
        let sessions = Arc::new(Sessions::new(&app.journal));
        // The listener checks `Host` and `Origin` of every request, and bodies are complete when they arrive here.
        let mut config = StreamableHttpServerConfig::default()
            .with_sse_retry(None)
            .with_legacy_session_mode(!is_stateless)
            .with_cancellation_token(stop.clone())
            .with_max_request_body_bytes(usize::MAX)
            .disable_allowed_hosts()
            .disable_allowed_origins();
        let known = Arc::clone(&sessions.known);
        config.session_store = Some(known);
        let (app, tools, calls) = (Arc::clone(app), Arc::clone(tools), Arc::clone(calls));
        let make = move || {
            Ok(McpServer {
                app: Arc::clone(&app),
                tools: Arc::clone(&tools),
                client: ClientOf::Request(Arc::clone(&calls)),
            })
        };
        Self {
            service: StreamableHttpService::new(make, Arc::clone(&sessions), config),
            sessions,
        }
    }

    /// Answers a request of this caller.
    pub(crate) async fn answer(
        &self,
        mut head: Parts,
        body: Bytes,
        caller: Caller,
    ) -> std::result::Result<McpResponse, TooManySessions> {
        let known = &self.sessions.known;
        let in_use = match head.headers.get(SESSION).map(HeaderValue::to_str) {
            Some(Ok(id)) => known.begin(id, Instant::now()).await,
            Some(Err(_)) => None,
            None if may_open_a_session(&head) && !known.make_room() => {
                return Err(TooManySessions(KnownSessions::most()));
            }
            None => None,
        };
        if let Some(answer) = removed_method(&head, &body) {
            return Ok(answer);
        }
        if let Some(key) = twice_in(&body) {
            head.extensions.insert(GivenTwice(key));
        }
        head.extensions.insert(caller);
        let Some(in_use) = in_use else {
            let request = Request::from_parts(head, Full::new(body));
            return Ok(self.service.handle(request).await);
        };
        // The call that the request starts may go on after the answer's stream has broken off.
        head.extensions.insert(in_use.clone());
        let closes = head.method == Method::DELETE;
        let request = Request::from_parts(head, Full::new(body));
        let mut answer = self.service.handle(request).await;
        // The official Python client takes the SDK's 202 for a failure.
        if closes && answer.status() == StatusCode::ACCEPTED {
            *answer.status_mut() = StatusCode::NO_CONTENT;
        }
        Ok(answer.map(|stream| {
            let held = move |piece| {
                let _ = &in_use;
                piece
            };
            stream.map_frame(held).boxed()
        }))
    }

    /// Puts idle sessions aside and ends forgotten ones. Returns whether no session is left.
    pub(crate) async fn tend(&self, now: Instant) -> bool {
        let left = self.sessions.tend(now).await;
        left == 0 && self.sessions.known.is_empty()
    }
}

/// The answer to `initialize` in the version without it, which is 404 there; the SDK answers 200.
fn removed_method(head: &Parts, body: &[u8]) -> Option<McpResponse> {
    #[derive(Deserialize)]
    struct Message {
        id: RequestId,
        method: String,
    }
    if !is_without_sessions(head) {
        return None;
    }
    let message = serde_json::from_slice::<Message>(body).ok()?;
    if message.method != "initialize" {
        return None;
    }
    let error = json!({
        "jsonrpc": "2.0",
        "id": message.id,
        "error": {
            "code": ErrorCode::METHOD_NOT_FOUND.0,
            "message": format!(
                "{} has no `initialize`: send requests directly, or name an earlier version",
                ProtocolVersion::V_2026_07_28
            ),
        },
    });
    let mut answer = Response::new(Full::new(Bytes::from(error.to_string())).boxed());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    Some(answer)
}

/// Whether a request is of the version of the protocol that has no sessions.
fn is_without_sessions(head: &Parts) -> bool {
    let version = head.headers.get("mcp-protocol-version");
    version.is_some_and(|version| version == ProtocolVersion::V_2026_07_28.as_str())
}

/// Whether a request without the id of a session may be `initialize`.
fn may_open_a_session(head: &Parts) -> bool {
    head.method == Method::POST && !is_without_sessions(head)
}

/// The guest who sent a request, with its rights.
pub(super) fn guest_of(extensions: &Extensions) -> Option<&Guest> {
    extensions.get::<Parts>()?.extensions.get()
}

/// The caller of a request over HTTP.
pub(super) fn caller_of(extensions: &Extensions) -> Result<Caller> {
    let head = extensions.get::<Parts>();
    let caller = head.and_then(|head| head.extensions.get::<Caller>());
    caller
        .cloned()
        .ok_or_else(|| Error::internal("the caller of a request over HTTP is not known"))
}
