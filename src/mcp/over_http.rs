//! MCP over Streamable HTTP, for the drafts of one tenant. The listener is in [`crate::http`].

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use rmcp::model::Extensions;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::incoming::{GivenTwice, twice_in};
use super::{ClientOf, ListedTools, McpServer};
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
        if let Some(key) = twice_in(&body) {
            head.extensions.insert(GivenTwice(key));
        }
        head.extensions.insert(caller);
        let request = Request::from_parts(head, Full::new(body));
        Ok(self.service.handle(request).await)
    }
}

/// The caller of a request over HTTP.
pub(super) fn caller_of(extensions: &Extensions) -> Result<Caller> {
    let head = extensions.get::<Parts>();
    let caller = head.and_then(|head| head.extensions.get::<Caller>());
    caller
        .cloned()
        .ok_or_else(|| Error::internal("the caller of a request over HTTP is not known"))
}
