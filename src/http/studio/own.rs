//! The listener of `capcut-mcp studio`: for the browser of this machine's user alone.
//!
//! The address that the browser opens has a token that is valid once. It is exchanged for a cookie that is valid until the
//! process ends; what has neither is answered 403.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::super::admission::Admission;
use super::super::answer::{self, Answer};
use super::super::listener::{AcceptOptions, Closing, Connections, Received, accept};
use super::super::receive::Receiver;
use super::super::routes::resolved;
use super::super::{CALLS, LAST_CALLS, visitors};
use super::entrance::{is_foreign, refused_page};
use super::texts::Language;
use super::{PageCookie, Studio, StudioVisit, page, secured};
use crate::caller::{Caller, From};
use crate::engine::marker::hex;
use crate::error::{Error, Result};
use crate::exec::App;

const CONNECTIONS: Connections = Connections {
    most: 64,
    head: Duration::from_mins(1),
};
/// Browsers of this machine that are signed in at the same time.
const BROWSERS: usize = 16;

/// The studio of this machine's user.
pub(crate) struct OwnStudio {
    app: Arc<App>,
    studio: Arc<Studio>,
    admission: Admission,
    receiver: Receiver,
    calls: Arc<Semaphore>,
    stop: CancellationToken,
    address: SocketAddr,
    /// Until it is used.
    token: Mutex<Option<String>>,
    /// The values of cookies.
    browsers: Mutex<Vec<String>>,
    cookie: PageCookie,
}

fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::internal("the system has no random numbers"))?;
    Ok(hex(&bytes))
}

fn is_same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

impl OwnStudio {
    /// For a listener at `address`.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn new(app: &Arc<App>, address: SocketAddr) -> Result<Self> {
        let calls = Arc::new(Semaphore::new(CALLS));
        let stop = CancellationToken::new();
        Ok(Self {
            studio: Arc::new(Studio::new(Arc::clone(&calls), stop.clone())),
            receiver: Receiver::new(&app.manifest.limits),
            app: Arc::clone(app),
            admission: Admission::new(None, &[], &[]),
            calls,
            stop,
            address,
            token: Mutex::new(Some(secret()?)),
            browsers: Mutex::default(),
            // Browsers send cookies to all ports of a machine: each studio has its own.
            cookie: PageCookie {
                name: format!("capcut_studio_{}", address.port()),
                is_secure: false,
            },
        })
    }

    /// The address that a browser opens, once; with a draft, that of its page.
    pub(crate) fn link(&self, draft: Option<&str>) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let token = token.as_deref().unwrap_or_default();
        let mut link = format!("http://{}/studio/open?token={token}", self.address);
        if let Some(draft) = draft {
            link.push_str(&format!("&draft={draft}"));
        }
        link
    }

    /// Uses the token up. The answer sets the cookie.
    fn open(&self, received: &Received) -> Option<Answer> {
        let head = received.request.headers();
        // A browser that loads pages in advance must not use the token up.
        if head.contains_key("sec-purpose") || head.contains_key("purpose") {
            return None;
        }
        let query = received.request.uri().query()?;
        let of = |name: &str| {
            let url = reqwest::Url::parse(&format!("http://localhost/?{query}")).ok()?;
            let mut found = url.query_pairs().filter(|(key, _)| key == name);
            found.next().map(|(_, value)| value.into_owned())
        };
        let given = of("token")?;
        {
            let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
            if !token.as_ref().is_some_and(|token| is_same(token, &given)) {
                return None;
            }
            *token = None;
        }
        let value = secret().ok()?;
        let mut browsers = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        if browsers.len() >= BROWSERS {
            browsers.remove(0);
        }
        browsers.push(value.clone());
        drop(browsers);
        let draft = of("draft").and_then(|id| crate::draft::ids::DraftId::of_server(&id));
        let to = draft.map_or("/studio/".to_owned(), |id| format!("/studio/draft/{id}"));
        let mut answer = page::landing(Language::English, &to);
        self.cookie.set(&mut answer, &value);
        Some(answer)
    }

    fn knows(&self, cookie: Option<&str>) -> bool {
        let browsers = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        cookie.is_some_and(|cookie| browsers.iter().any(|known| is_same(known, cookie)))
    }

    async fn answer(&self, received: Received) -> Answer {
        let mut answer = secured(self.answered(received).await);
        visitors::add_headers(answer.headers_mut(), &visitors::request_id(), false);
        answer
    }

    async fn answered(&self, received: Received) -> Answer {
        received.activity.works();
        let admitted = match self.admission.admit(&received.request, received.peer) {
            Ok(admitted) => admitted,
            Err(refusal) => return answer::refusal(StatusCode::FORBIDDEN, refusal.error()),
        };
        if admitted.from != From::Here {
            let text = "the studio serves only the browser of its own machine";
            return answer::refusal(StatusCode::FORBIDDEN, text);
        }
        let path = resolved(received.request.uri().path()).into_owned();
        let is_opening = path == "studio/open";
        if is_opening && let Some(opened) = self.open(&received) {
            return opened;
        }
        let (head, body) = received.request.into_parts();
        let language = Language::of(&head);
        let below = match path.strip_prefix("studio") {
            Some(below) if below.is_empty() || below.starts_with('/') => {
                below.trim_start_matches('/').to_owned()
            }
            // The start of the address alone leads to the page as well.
            _ if path.is_empty() => String::new(),
            _ => return page::missing(language),
        };
        if let Some(file) = page::own_file(&head, &below) {
            return file;
        }
        if is_foreign(&head) {
            return refused_page();
        }
        let cookie = self.cookie.read(&head.headers);
        if is_opening || !self.knows(cookie.as_deref()) {
            let mut answer = page::used_up(language);
            *answer.status_mut() = StatusCode::FORBIDDEN;
            return answer;
        }
        let visit = StudioVisit {
            app: Arc::clone(&self.app),
            caller: Caller::user(),
            guest: None,
            head,
            path: below,
        };
        self.studio.answer(visit, body, &self.receiver).await
    }
}

/// Serves until `stop`, then gives running calls some time.
pub(crate) async fn serve_studio(
    listener: TcpListener,
    own: Arc<OwnStudio>,
    stop: impl Future<Output = ()>,
) {
    let (calls, end) = (Arc::clone(&own.calls), own.stop.clone());
    let app = Arc::clone(&own.app);
    let answering = move |received| {
        let own = Arc::clone(&own);
        async move { Box::pin(own.answer(received)).await }
    };
    let options = AcceptOptions {
        connections: CONNECTIONS,
        metrics: Some(Arc::clone(&app.metrics)),
        tls: None,
    };
    let Closing { closed, answered } = accept(listener, options, answering, stop).await;
    let ended = async {
        let calls = async {
            answered.await;
            let _ = calls.acquire_many(CALLS as u32).await;
            end.cancel();
        };
        futures::future::join(closed, calls).await;
    };
    if tokio::time::timeout(LAST_CALLS, ended).await.is_err() {
        tracing::warn!("stopped; calls that were still under way were cancelled");
    }
    end.cancel();
    app.jobs.cancel_all().await;
}
