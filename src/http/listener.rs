//! Accepts connections: fewer than the system allows; the one that has been idle longest is closed first.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::tls::Tls;
use crate::metrics::Metrics;

/// File descriptors reserved for files, media and other servers: this many or a quarter of all, whichever is
/// more.
const RESERVED: u64 = 64;
/// A connection whose body has been arriving for less than this is not closed in favour of another.
const BODY_GRACE: Duration = Duration::from_secs(2);
/// If all connections are running calls, a new one waits for this time before it checks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How often a listener that ends looks whether all requests are answered.
const ANSWERED_EVERY: Duration = Duration::from_millis(5);

/// How a listener treats its connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connections {
    /// Open connections at the same time, if the system allows that many.
    pub most: usize,
    /// Time for the head of a request, including the wait for it on an idle connection.
    pub head: Duration,
}

/// What a listener does with its connections.
pub(crate) struct AcceptOptions {
    pub connections: Connections,
    /// Counts them.
    pub metrics: Option<Arc<Metrics>>,
    pub tls: Option<Tls>,
}

/// A request with the state of its connection.
pub(crate) struct Received {
    pub request: Request<Incoming>,
    pub peer: IpAddr,
    pub activity: Activity,
}

/// What a connection is doing, which decides whether it may be closed in favour of another.
#[derive(Clone)]
pub(crate) struct Activity(Arc<Connection>);

const WAITING: u8 = 0;
const RECEIVING: u8 = 1;
const WORKING: u8 = 2;
/// An answer that is sent in pieces has begun.
const SENDING: u8 = 3;
/// The same for a stream on which the server may say something some day.
const LISTENING: u8 = 4;

struct Connection {
    state: AtomicU8,
    since: Mutex<Instant>,
    /// Closes the connection unless a call has started on it.
    closed: Notify,
}

/// A body that keeps its connection until it has been sent.
pub(crate) struct Sent<B> {
    body: B,
    connection: Arc<Connection>,
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Sent<B> {
    fn drop(&mut self) {
        self.connection.enter(WAITING);
    }
}

impl Connection {
    fn enter(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the connection may be closed in favour of another, and its rank: the smallest is closed first.
    fn idle(&self) -> Option<(u8, Instant)> {
        let (state, since) = (self.state.load(Ordering::Acquire), self.since());
        let is_idle = match state {
            WAITING | LISTENING => true,
            RECEIVING => since.elapsed() >= BODY_GRACE,
            _ => false,
        };
        is_idle.then_some((state, since))
    }
}

impl Activity {
    /// The request has arrived: its connection stays open until it is answered.
    pub(crate) fn works(&self) {
        self.0.enter(WORKING);
    }
}

/// The open connections of a listener.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<(u64, HashMap<u64, Arc<Connection>>)>>);

impl Open {
    fn add(&self) -> (u64, Arc<Connection>) {
        let connection = Arc::new(Connection {
            state: AtomicU8::new(WAITING),
            since: Mutex::new(Instant::now()),
            closed: Notify::new(),
        });
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, all) = &mut *open;
        *next += 1;
        all.insert(*next, Arc::clone(&connection));
        (*next, connection)
    }

    fn remove(&self, number: u64) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.1.remove(&number);
    }

    /// Whether a connection has a request that is not answered to its end.
    fn is_answering(&self) -> bool {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut states = open.1.values().map(|it| it.state.load(Ordering::Acquire));
        states.any(|state| matches!(state, RECEIVING | WORKING | SENDING))
    }

    /// Closes the connection that has been idle longest. Returns whether there was one.
    fn close_one(&self) -> bool {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |it: &&Arc<Connection>| it.idle().is_some();
        let longest = open.1.values().filter(idle).min_by_key(|it| it.idle());
        if let Some(longest) = longest {
            longest.closed.notify_one();
        }
        longest.is_some()
    }
}

/// The number of connections that leaves enough descriptors for everything else.
fn most(wanted: usize) -> usize {
    let Some(descriptors) = descriptors() else {
        return wanted;
    };
    let left = descriptors.saturating_sub(RESERVED.max(descriptors / 4));
    wanted.min(usize::try_from(left).unwrap_or(wanted)).max(1)
}

/// Waits for a slot for one more connection and closes an idle connection for it.
async fn place(
    places: &Arc<Semaphore>,
    open: &Open,
    tasks: &mut JoinSet<()>,
) -> OwnedSemaphorePermit {
    loop {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return place;
        }
        open.close_one();
        // The slot is free as soon as the task of the closed connection has ended.
        let _ = tokio::time::timeout(LOOK_AGAIN, tasks.join_next()).await;
    }
}

/// The system's limit of file descriptors for this process, if there is one.
#[cfg(unix)]
fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

/// The end of a listener: what its connections still do. Both are to be awaited together.
pub(crate) struct Closing<C, S> {
    /// All connections are closed, which lets requests that are under way end; streams of sessions do not end by themselves.
    pub closed: C,
    /// No connection has a request that is not answered to its end, except for streams of sessions.
    pub answered: S,
}

/// Serves until `stop`, then accepts no new connections and waits for requests that are under way. Connections are
/// counted in `metrics`.
pub(crate) async fn accept<S, F, B>(
    listener: TcpListener,
    options: AcceptOptions,
    service: S,
    stop: impl Future<Output = ()>,
) -> Closing<impl Future<Output = ()>, impl Future<Output = ()>>
where
    S: Fn(Received) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
{
    let AcceptOptions {
        connections,
        metrics,
        tls,
    } = options;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(connections.head)
        .half_close(true);
    let graceful = GracefulShutdown::new();
    let http = Arc::new(http);
    let places = Arc::new(Semaphore::new(most(connections.most)));
    let open = Open::default();
    let mut tasks = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("no connection could be accepted: {error}");
                // Without free descriptors, the next accept would fail immediately: closing an idle connection
                // frees one.
                open.close_one();
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
        };
        let place = tokio::select! {
            biased;
            () = &mut stop => break,
            place = place(&places, &open, &mut tasks) => place,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY could not be set: {error}");
        }
        let (number, connection) = open.add();
        let (respond, at) = (service.clone(), Arc::clone(&connection));
        let service = service_fn(move |request| {
            at.enter(RECEIVING);
            let connection = Arc::clone(&at);
            let is_get = request.method() == Method::GET;
            let answer = respond(Received {
                request,
                peer: peer.ip(),
                activity: Activity(Arc::clone(&at)),
            });
            async move {
                let answer = answer.await;
                let kind = answer.headers().get(CONTENT_TYPE);
                let is_session = is_get && kind.is_some_and(|kind| kind == "text/event-stream");
                connection.enter(if is_session { LISTENING } else { SENDING });
                Ok::<_, Infallible>(answer.map(|body| Sent { body, connection }))
            }
        });
        let (open, http, tls) = (open.clone(), Arc::clone(&http), tls.clone());
        let watcher = graceful.watcher();
        let counted = metrics.as_ref().map(|metrics| metrics.connection());
        tasks.spawn(async move {
            let served = async move {
                let Some(tls) = tls else {
                    let served = http.serve_connection(TokioIo::new(stream), service);
                    return watcher
                        .watch(served)
                        .await
                        .map_err(|error| error.to_string());
                };
                // A client that is slow or speaks no TLS holds up no one else.
                let stream = tls
                    .accept(stream)
                    .await
                    .map_err(|error| error.to_string())?;
                let served = http.serve_connection(TokioIo::new(stream), service);
                watcher
                    .watch(served)
                    .await
                    .map_err(|error| error.to_string())
            };
            let mut served = std::pin::pin!(served);
            let ended = loop {
                tokio::select! {
                    biased;
                    ended = &mut served => break ended,
                    // A request may have arrived since the connection was found idle.
                    () = connection.closed.notified() => if connection.idle().is_some() {
                        break Ok(());
                    },
                }
            };
            if let Err(error) = ended {
                tracing::debug!("a connection failed: {error}");
            }
            open.remove(number);
            drop((place, counted));
        });
    }
    drop(listener);
    Closing {
        closed: async move {
            graceful.shutdown().await;
            drop(tasks);
        },
        answered: async move {
            while open.is_answering() {
                tokio::time::sleep(ANSWERED_EVERY).await;
            }
        },
    }
}
