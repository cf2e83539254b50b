//! MCP over Streamable HTTP, for the drafts of one tenant. The listener is in [`crate::http`].

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use rmcp::model::{ErrorCode, Extensions, ProtocolVersion, RequestId};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::incoming::{GivenTwice, twice_in};
use super::{ClientOf, ListedTools, McpServer};
use crate::access::Guest;
use crate::error::{Error, Result};
use crate::exec::App;
use crate::tools::Caller;

/// Sessions of older clients that are open at the same time, for each tenant. A client that opens one for each call and
/// closes none reaches it only after 4096 calls in the five minutes after which an unused session ends.
const SESSIONS: usize = 4096;

/// The endpoint of one tenant. Sessions are its own: the id of a session of another tenant is unknown here.
pub(crate) struct HttpEndpoint {
    service: StreamableHttpService<McpServer, LocalSessionManager>,
    sessions: Arc<LocalSessionManager>,
}

/// Why a request gets no answer from MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManySessions(pub usize);

impl HttpEndpoint {
    /// `calls` are the calls that may run at the same time on the listener; `stop` ends all sessions.
    pub(crate) fn new(
        app: &Arc<App>,
        tools: &Arc<ListedTools>,
        calls: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) -> Self {
        // Priming events would keep clients of older versions from reading the answer, among them Dify's: they take
        // the first event for it.
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.sse_retry = None;
        let sessions = Arc::new(sessions);
        // The listener checks `Host` and `Origin` of every request, and bodies are complete when they arrive here.
        let config = StreamableHttpServerConfig::default()
            .with_sse_retry(None)
            .with_cancellation_token(stop.clone())
            .with_max_request_body_bytes(usize::MAX)
            .disable_allowed_hosts()
            .disable_allowed_origins();
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
    ) -> std::result::Result<Response<BoxBody<Bytes, Infallible>>, TooManySessions> {
        if head.method == Method::POST
            && !head.headers.contains_key("mcp-session-id")
            && self.sessions.sessions.read().await.len() >= SESSIONS
        {
            return Err(TooManySessions(SESSIONS));
        }
        if let Some(answer) = removed_method(&head, &body) {
            return Ok(answer);
        }
        if let Some(key) = twice_in(&body) {
            head.extensions.insert(GivenTwice(key));
        }
        head.extensions.insert(caller);
        let request = Request::from_parts(head, Full::new(body));
        Ok(self.service.handle(request).await)
    }
}

/// The answer to `initialize` in the version without it, which is 404 there; the SDK answers 200.
fn removed_method(head: &Parts, body: &[u8]) -> Option<Response<BoxBody<Bytes, Infallible>>> {
    #[derive(Deserialize)]
    struct Message {
        id: RequestId,
        method: String,
    }
    let version = head.headers.get("mcp-protocol-version")?.to_str().ok()?;
    if version != ProtocolVersion::V_2026_07_28.as_str() {
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
            "message": format!("{version} has no `initialize`: send requests directly, or name an earlier version"),
        },
    });
    let mut answer = Response::new(Full::new(Bytes::from(error.to_string())).boxed());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    Some(answer)
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
