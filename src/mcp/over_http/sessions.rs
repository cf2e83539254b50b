//! The sessions of one tenant.
//!
//! A session of the SDK has tasks and channels, which take about 59 KB. One that nothing uses for some time is put aside:
//! its tasks end, and what its client sent with `initialize` is kept. The next request of the client brings it back. With a
//! store that other machines use, it is kept there, and any of them brings it back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::Stream;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionHandle, LocalSessionManager, LocalSessionManagerError,
};
use rmcp::transport::streamable_http_server::session::store::{
    SessionState, SessionStore, SessionStoreError,
};
use rmcp::transport::streamable_http_server::{RestoreOutcome, SessionId, SessionManager};

use crate::journal::Journal;
use crate::memory;

/// A session that has not been used for this long is put aside.
const IDLE: Duration = Duration::from_secs(15);
/// A session that has not been used for this long ends.
const FORGOTTEN: Duration = Duration::from_hours(12);
/// How often the time of the last use of a session is written to the store.
const TOLD_EVERY: Duration = Duration::from_hours(1);
/// Sessions of a tenant. Beyond it, the one that has not been used for the longest time ends.
const MOST: usize = 4096;
/// The largest `initialize` that is kept, in bytes of JSON. A session with a larger one is not put aside: it ends when it has
/// not been used for [`LARGE_IDLE`].
const LARGE: usize = 16 << 10;
const LARGE_IDLE: Duration = Duration::from_mins(5);

/// Held by everything that uses a session: its requests, the calls that they started, and its open streams.
#[derive(Clone, Debug)]
pub(super) struct InUse(#[expect(dead_code, reason = "only counted")] Arc<()>);

#[derive(Debug)]
struct KnownSession {
    /// `None`: it is being opened, or this is too large to be kept.
    state: Option<SessionState>,
    used: Instant,
    /// When the time of its last use was last written to the store.
    told: Instant,
    users: Arc<()>,
}

impl KnownSession {
    fn new(now: Instant) -> Self {
        Self {
            state: None,
            used: now,
            told: now,
            users: Arc::default(),
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        let patience = if self.state.is_some() {
            IDLE
        } else {
            LARGE_IDLE
        };
        !self.is_in_use() && now.saturating_duration_since(self.used) >= patience
    }

    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.users) > 1
    }
}

/// What is known of sessions, whether they are put aside or not.
#[derive(Debug, Default)]
pub(super) struct KnownSessions {
    known: Mutex<HashMap<Box<str>, KnownSession>>,
    /// The store, if other machines use it as well.
    shared: Option<Arc<Journal>>,
}

/// The key of a session in the store.
fn key(id: &str) -> String {
    format!("session {id}")
}

impl KnownSessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, KnownSession>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a session as used; `None` if there is none.
    pub(super) async fn begin(&self, id: &str, now: Instant) -> Option<InUse> {
        if let Some(in_use) = self.begin_here(id, now) {
            return Some(in_use);
        }
        // Another server may have opened it.
        let shared = self.shared.as_ref()?;
        match shared.value(&key(id)).await {
            Ok(Some(_)) => {
                let mut known = self.lock();
                known
                    .entry(id.into())
                    .or_insert_with(|| KnownSession::new(now));
            }
            Ok(None) => return None,
            Err(error) => {
                tracing::warn!("a session cannot be looked up: {}", error.cause());
                return None;
            }
        }
        self.begin_here(id, now)
    }

    fn begin_here(&self, id: &str, now: Instant) -> Option<InUse> {
        let mut known = self.lock();
        let session = known.get_mut(id)?;
        session.used = now;
        if now.saturating_duration_since(session.told) >= TOLD_EVERY {
            session.told = now;
            self.tell(id);
        }
        Some(InUse(Arc::clone(&session.users)))
    }

    /// Renews a session in the store, so that it is kept.
    fn tell(&self, id: &str) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        let key = key(id);
        tokio::spawn(async move {
            let told = async {
                match shared.value(&key).await? {
                    Some(state) => shared.put_value(&key, &state, Some(FORGOTTEN)).await,
                    None => Ok(()),
                }
            };
            if let Err(error) = told.await {
                tracing::warn!("the use of a session cannot be stored: {}", error.cause());
            }
        });
    }

    /// Makes room for a new session; `false` if all are in use.
    pub(super) fn make_room(&self) -> bool {
        let mut known = self.lock();
        if known.len() < MOST {
            return true;
        }
        let unused = known.iter().filter(|(_, session)| !session.is_in_use());
        let oldest = unused.min_by_key(|(_, session)| session.used);
        let oldest = oldest.map(|(id, _)| id.clone());
        oldest.is_some_and(|id| known.remove(&id).is_some())
    }

    pub(super) fn most() -> usize {
        MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

#[async_trait]
impl SessionStore for KnownSessions {
    async fn load(&self, id: &str) -> Result<Option<SessionState>, SessionStoreError> {
        let Some(shared) = &self.shared else {
            let known = self.lock();
            return Ok(known.get(id).and_then(|session| session.state.clone()));
        };
        // Another server may have closed it meanwhile.
        let state = shared.value(&key(id)).await?;
        Ok(state
            .map(|state| serde_json::from_slice(&state))
            .transpose()?)
    }

    async fn store(&self, id: &str, state: &SessionState) -> Result<(), SessionStoreError> {
        let bytes = serde_json::to_vec(state)?;
        if let Some(shared) = &self.shared {
            shared.put_value(&key(id), &bytes, Some(FORGOTTEN)).await?;
        }
        // With a store, what is put aside is read from there.
        if (bytes.len() <= LARGE || self.shared.is_some())
            && let Some(session) = self.lock().get_mut(id)
        {
            session.state = Some(state.clone());
        }
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), SessionStoreError> {
        self.lock().remove(id);
        if let Some(shared) = &self.shared {
            let key = key(id);
            let seen = shared.value(&key).await?;
            // If it is renewed meanwhile, it is only kept for longer.
            shared.set_value(&key, seen.as_deref(), None, None).await?;
        }
        Ok(())
    }
}

/// The sessions of the SDK, of which idle ones are put aside.
#[derive(Debug)]
pub(super) struct Sessions {
    pub known: Arc<KnownSessions>,
    live: LocalSessionManager,
    /// Sessions whose tasks were told to end: the end of the tasks does not close a session that was brought back since.
    ending: Mutex<HashMap<SessionId, usize>>,
}

impl Sessions {
    pub(super) fn new(journal: &Arc<Journal>) -> Self {
        let mut live = LocalSessionManager::default();
        // Priming events would keep clients of older versions from reading the answer, among them Dify's: they take
        // the first event for it.
        live.session_config.sse_retry = None;
        // It would also end sessions whose calls are under way.
        live.session_config.keep_alive = None;
        Self {
            known: Arc::new(KnownSessions {
                known: Mutex::default(),
                shared: journal.store().is_shared().then(|| Arc::clone(journal)),
            }),
            live,
            ending: Mutex::default(),
        }
    }

    /// Puts idle sessions aside and ends forgotten ones. Returns how many are left that are not put aside.
    pub(super) async fn tend(&self, now: Instant) -> usize {
        let (idle, left) = self.take_idle(now).await;
        if idle.len() > 100 {
            memory::release_soon();
        }
        for handle in idle {
            // A task that ended already needs no message.
            let _ = handle.close().await;
        }
        left
    }

    async fn take_idle(&self, now: Instant) -> (Vec<LocalSessionHandle>, usize) {
        let mut live = self.live.sessions.write().await;
        let mut known = self.known.lock();
        known.retain(|_, session| {
            session.is_in_use() || now.saturating_duration_since(session.used) < FORGOTTEN
        });
        let is_idle = |id: &SessionId| known.get(&**id).is_none_or(|session| session.is_idle(now));
        let idle: Vec<SessionId> = live.keys().filter(|id| is_idle(id)).cloned().collect();
        let mut ending = self.ending();
        let mut handles = Vec::with_capacity(idle.len());
        for id in idle {
            if known
                .get(&*id)
                .is_some_and(|session| session.state.is_none())
            {
                known.remove(&*id);
            }
            handles.extend(live.remove(&id));
            *ending.entry(id).or_default() += 1;
        }
        (handles, live.len())
    }

    fn ending(&self) -> MutexGuard<'_, HashMap<SessionId, usize>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the end of tasks that were told to end.
    fn has_ended(&self, id: &SessionId) -> bool {
        let mut ending = self.ending();
        let Some(count) = ending.get_mut(id) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            ending.remove(id);
        }
        true
    }
}

impl SessionManager for Sessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.live.create_session().await?;
        let session = KnownSession::new(Instant::now());
        self.known.lock().insert((&*id).into(), session);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.live.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.live.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        if self.has_ended(id) {
            return Ok(());
        }
        self.live.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.live.create_stream(id, message).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        self.live.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.live.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.live.resume(id, last_event_id).await
    }

    async fn restore_session(
        &self,
        id: SessionId,
    ) -> Result<RestoreOutcome<Self::Transport>, Self::Error> {
        self.live.restore_session(id).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use hyper::body::Bytes;
    use hyper::{HeaderMap, Method, Request, StatusCode};
    use serde_json::{Value, json};
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::exec::testing;
    use crate::mcp::ListedTools;
    use crate::mcp::over_http::{HttpEndpoint, McpResponse, SESSION};
    use crate::mcp::tool_set::ToolSet;
    use crate::settings::{BackendChoice, ToolChoice};
    use crate::tools::Caller;

    fn endpoint() -> HttpEndpoint {
        let tools = ToolSet::new(ToolChoice::default()).expect("tools");
        let tools = Arc::new(ListedTools::new(tools));
        let calls = Arc::new(Semaphore::new(8));
        let app = testing::app(None, BackendChoice::Embedded, |_| {});
        HttpEndpoint::new(&app, &tools, false, (&calls, &CancellationToken::new()))
    }

    async fn send(
        endpoint: &HttpEndpoint,
        method: Method,
        session: Option<&str>,
        message: &Value,
    ) -> McpResponse {
        let mut request = Request::builder()
            .method(method)
            .uri("/mcp")
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(session) = session {
            request = request
                .header(SESSION, session)
                .header("mcp-protocol-version", "2025-11-25");
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let body = if message.is_null() {
            Bytes::new()
        } else {
            message.to_string().into()
        };
        let answer = endpoint.answer(head, body, Caller::user()).await;
        answer.expect("not too many sessions")
    }

    async fn open(endpoint: &HttpEndpoint, name: &str) -> String {
        let message = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": name, "version": "1" } } });
        let answer = send(endpoint, Method::POST, None, &message).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let id = |headers: &HeaderMap| headers[SESSION].to_str().expect("an id").to_owned();
        let id = id(answer.headers());
        drop(answer);
        let message = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let answer = send(endpoint, Method::POST, Some(&id), &message).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        id
    }

    /// Lists the tools; returns the status.
    async fn list(endpoint: &HttpEndpoint, session: &str) -> StatusCode {
        static ID: AtomicU64 = AtomicU64::new(1);
        let id = ID.fetch_add(1, Ordering::Relaxed);
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" });
        let answer = send(endpoint, Method::POST, Some(session), &message).await;
        let status = answer.status();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await;
        let body = body.expect("a body").to_bytes();
        let has_tools = String::from_utf8_lossy(&body).contains("create_draft");
        assert_eq!(has_tools, status == StatusCode::OK, "{status}");
        status
    }

    /// Waits until the tasks of an answered request no longer hold its session.
    async fn unused(endpoint: &HttpEndpoint) {
        let known = &endpoint.sessions.known;
        while known.lock().values().any(KnownSession::is_in_use) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn later(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn idle_sessions_are_put_aside_and_brought_back() {
        let endpoint = endpoint();
        let id = open(&endpoint, "tests").await;
        for _ in 0..3 {
            unused(&endpoint).await;
            assert_eq!(endpoint.sessions.tend(later(5)).await, 1, "not idle yet");
            assert_eq!(endpoint.sessions.tend(later(20)).await, 0);
            // At once, while the former tasks of the session end, and several at the same time.
            let all = futures::future::join_all((0..4).map(|_| list(&endpoint, &id))).await;
            assert_eq!(all, [StatusCode::OK; 4]);
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(list(&endpoint, &id).await, StatusCode::OK, "it stays");
        }
        let closed = send(&endpoint, Method::DELETE, Some(&id), &Value::Null).await;
        assert!(closed.status().is_success());
        assert_eq!(list(&endpoint, &id).await, StatusCode::NOT_FOUND);
        assert!(endpoint.tend(later(0)).await, "no session is left");
    }

    #[tokio::test]
    async fn a_session_with_an_open_stream_stays() {
        let endpoint = endpoint();
        let id = open(&endpoint, "tests").await;
        let stream = send(&endpoint, Method::GET, Some(&id), &Value::Null).await;
        assert_eq!(stream.status(), StatusCode::OK);
        assert_eq!(endpoint.sessions.tend(later(3600)).await, 1);
        drop(stream);
        unused(&endpoint).await;
        assert_eq!(endpoint.sessions.tend(later(3600)).await, 0);
        assert_eq!(list(&endpoint, &id).await, StatusCode::OK);
    }

    #[tokio::test]
    async fn unused_sessions_end() {
        let endpoint = endpoint();
        let id = open(&endpoint, "tests").await;
        let large = open(&endpoint, &"x".repeat(LARGE)).await;
        unused(&endpoint).await;
        assert_eq!(endpoint.sessions.tend(later(60)).await, 1, "the large one");
        assert_eq!(list(&endpoint, &large).await, StatusCode::OK);
        unused(&endpoint).await;
        assert_eq!(endpoint.sessions.tend(later(600)).await, 0);
        assert_eq!(list(&endpoint, &large).await, StatusCode::NOT_FOUND);
        assert_eq!(list(&endpoint, &id).await, StatusCode::OK);
        unused(&endpoint).await;
        assert!(endpoint.tend(later(13 * 3600)).await);
        assert_eq!(list(&endpoint, &id).await, StatusCode::NOT_FOUND);
        let unknown = "4c6e9f44-0000-4000-8000-000000000000";
        assert_eq!(list(&endpoint, unknown).await, StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_longest_unused_session_makes_room() {
        let known = KnownSessions::default();
        let start = Instant::now();
        for index in 0..MOST {
            let used = start + Duration::from_secs(index as u64);
            known
                .lock()
                .insert(index.to_string().into(), KnownSession::new(used));
        }
        let first = known.begin_here("0", start).expect("a session");
        assert!(known.make_room());
        assert_eq!(known.lock().len(), MOST - 1);
        assert!(known.begin_here("0", start).is_some(), "it is in use");
        assert!(known.begin_here("1", start).is_none());
        drop(first);
    }
}
