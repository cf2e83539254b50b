//! HTTP requests for media: checked against the caller's access, also after redirects; retried where that
//! helps; and aborted if they are too slow. [`remote`] probes web sources.

mod dead;
mod remote;

use std::io::SeekFrom;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_RANGE, ETAG, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::{MediaLimits, timed_out, too_large};
use crate::caller::{Access, refused_host};
use crate::error::{Error, Kind, Origin, Result};

use dead::DeadHosts;
pub(super) use remote::facts;

/// The maximum wait for a server's `Retry-After`, as callers are waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How many clients are kept, one per kind of access.
const MOST_CLIENTS: usize = 16;

/// The HTTP clients, one per access: a connection that one caller opened must not serve a caller without access
/// to that host.
#[derive(Default)]
pub(super) struct Clients(Mutex<Vec<Http>>);

impl Clients {
    pub(super) fn of(&self, limits: &MediaLimits, access: &Arc<Access>) -> Http {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |http: &&Http| Arc::ptr_eq(&http.access, access) || http.access == *access;
        if let Some(http) = kept.iter().find(same) {
            return http.clone();
        }
        if kept.len() >= MOST_CLIENTS {
            kept.remove(0);
        }
        let http = Http {
            limits: limits.clone(),
            access: Arc::clone(access),
            clients: Arc::default(),
            dead: Arc::default(),
            arrived: None,
        };
        kept.push(http.clone());
        http
    }
}

/// The client of one access, created on first use; clones share it.
#[derive(Clone)]
pub(super) struct Http {
    limits: MediaLimits,
    access: Arc<Access>,
    clients: Arc<OnceLock<Result<Pair>>>,
    dead: Arc<DeadHosts>,
    /// Counts the bytes of bodies.
    arrived: Option<Arc<AtomicU64>>,
}

struct Pair {
    /// Uses the system's proxy, if there is one.
    outside: Client,
    /// Uses no proxy: for this machine, and if addresses must be checked before connecting.
    direct: Client,
}

/// A failed attempt, and the wait before the next one, if it makes sense.
struct FailedAttempt {
    error: Error,
    again: Option<Duration>,
}

impl FailedAttempt {
    fn permanent(error: Error) -> Self {
        Self { error, again: None }
    }

    fn for_now(error: Error) -> Self {
        Self {
            error,
            again: Some(Duration::ZERO),
        }
    }
}

impl From<Error> for FailedAttempt {
    fn from(error: Error) -> Self {
        Self::permanent(error)
    }
}

/// What is requested.
#[derive(Clone, Copy)]
pub(super) enum Want<'a> {
    All,
    Part(&'a RangeRequest<'a>),
    /// The whole file, unless it still matches these validators.
    Unless(&'a Validators),
}

/// The version of a source as the server states it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    etag: Option<String>,
    modified: Option<String>,
}

impl Validators {
    /// `None` if the server forbids caching its response.
    fn of(response: &Response) -> Option<Self> {
        let text = |name| {
            let value: Option<&HeaderValue> = response.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let control = text(CACHE_CONTROL).unwrap_or_default();
        let may_be_kept = !control.to_ascii_lowercase().contains("no-store");
        may_be_kept.then(|| Self {
            etag: text(ETAG),
            modified: text(LAST_MODIFIED),
        })
    }

    /// Whether a server can be asked whether the source has changed.
    pub(super) fn are_there(&self) -> bool {
        self.etag.is_some() || self.modified.is_some()
    }
}

/// The result of a download.
pub(super) enum Brought {
    /// The whole file, with its validators if it may be cached.
    New(Option<Validators>),
    /// Nothing, as the source has not changed.
    Unchanged,
}

/// A byte range of a source, requested only if the source has not changed.
pub(super) struct RangeRequest<'a> {
    pub from: u64,
    /// `None`: to the end.
    pub count: Option<u64>,
    pub validator: Option<&'a HeaderValue>,
}

impl Http {
    /// The same client, which counts its bytes in `arrived`.
    pub(crate) fn counting(&self, arrived: Option<Arc<AtomicU64>>) -> Self {
        Self {
            arrived,
            ..self.clone()
        }
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    fn client(&self, url: &Url) -> Result<&Client> {
        let clients = self
            .clients
            .get_or_init(|| clients(&self.limits, &self.access));
        let clients = clients.as_ref().map_err(Error::again)?;
        let here = url.host_str().is_some_and(|host| {
            let host = host.trim_matches(['[', ']']);
            host.eq_ignore_ascii_case("localhost")
                || host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        });
        Ok(if here || !self.access.is_open() {
            &clients.direct
        } else {
            &clients.outside
        })
    }

    /// Refuses an address that this caller may not fetch, if that can be decided without a request.
    pub(super) async fn may_ask(&self, url: &Url, shown: &str) -> Result<()> {
        self.access.url(url, shown)?;
        let host = url.host_str().unwrap_or_default();
        let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), 0));
        let Ok(Ok(found)) = tokio::time::timeout(self.limits.connect_timeout(), found).await else {
            // An unresolved name has no address to refuse; the server that fetches it reports the error.
            return Ok(());
        };
        if self.access.addresses(host, found).is_empty() {
            return Err(refused_host(shown, host));
        }
        Ok(())
    }

    /// The response to a request for all or a part of `url`, after redirects: its status is 200, 206, 304 (not
    /// modified), or 416 for an empty file. If a host refuses parts or conditions, the whole file is requested.
    async fn send(
        &self,
        url: &Url,
        shown: &str,
        want: Want<'_>,
    ) -> Result<Response, FailedAttempt> {
        let mut url = url.clone();
        let mut want = want;
        let mut redirects = 0;
        while redirects <= self.limits.redirects {
            self.access.url(&url, shown)?;
            let remembered = Duration::from_secs(self.limits.dead_host_s);
            if let Some(error) = self.dead.error(&url, shown, remembered) {
                return Err(error.into());
            }
            let asked = Instant::now();
            let mut request = self
                .client(&url)?
                .get(url.clone())
                .header(ACCEPT_ENCODING, "identity");
            match want {
                Want::All => {}
                Want::Part(part) => {
                    let last = part
                        .count
                        .map(|count| part.from.saturating_add(count.max(1) - 1).to_string());
                    let last = last.unwrap_or_default();
                    request = request.header(RANGE, format!("bytes={}-{last}", part.from));
                    if let Some(validator) = part.validator {
                        request = request.header(IF_RANGE, validator);
                    }
                }
                Want::Unless(known) => {
                    if let Some(etag) = &known.etag {
                        request = request.header(IF_NONE_MATCH, etag);
                    }
                    if let Some(modified) = &known.modified {
                        request = request.header(IF_MODIFIED_SINCE, modified);
                    }
                }
            }
            let within = if self.dead.has_answered(&url) {
                self.limits.answer_timeout_s
            } else {
                self.limits.answer_timeout_s.min(self.limits.first_answer_s)
            };
            let answer = tokio::time::timeout(Duration::from_secs(within), request.send());
            let response = match answer.await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => {
                    let is_host = error.is_connect() || error.is_timeout();
                    let mut failed = self.unsent(error, &url, shown);
                    // No retry: the caller is waiting, and another attempt would take as long.
                    if is_host {
                        self.dead.add(&url, shown, asked, &failed.error);
                        failed.again = None;
                    }
                    return Err(failed);
                }
                Err(_) => {
                    let mut late = timed_out(shown, "no answer", within);
                    if within < self.limits.answer_timeout_s {
                        late = late.hint(format!(
                            "if the host needs more time to answer, set `limits.media.first_answer_s` in `tools.toml` to more than {within}"
                        ));
                    }
                    self.dead.add(&url, shown, asked, &late);
                    return Err(late.into());
                }
            };
            self.dead.answered(&url);
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED && matches!(want, Want::Unless(_)) {
                return Ok(response);
            }
            if !status.is_redirection() {
                let is_empty = || matches!(total(&response), Some((_, 0)));
                return match status {
                    StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
                    StatusCode::RANGE_NOT_SATISFIABLE if is_empty() => Ok(response),
                    _ if !matches!(want, Want::All) && may_refuse_parts(status) => {
                        want = Want::All;
                        continue;
                    }
                    _ => Err(refused(&response, shown)),
                };
            }
            redirects += 1;
            let next = response
                .headers()
                .get(LOCATION)
                .and_then(|location| url.join(&String::from_utf8_lossy(location.as_bytes())).ok());
            let Some(next) = next else {
                return Err(Error::media(format!(
                    "{shown}: HTTP {status} without a usable `Location`"
                ))
                .into());
            };
            url = next;
        }
        Err(Error::media(format!(
            "{shown}: more than {} redirects",
            self.limits.redirects
        ))
        .hint("open it in a browser and use the final address")
        .into())
    }

    fn unsent(&self, error: reqwest::Error, url: &Url, shown: &str) -> FailedAttempt {
        if is_host_refused(&error) {
            return refused_host(shown, url.host_str().unwrap_or_default()).into();
        }
        let error = error.without_url();
        let host = url.host_str().unwrap_or_default();
        if error.is_timeout() {
            return Error::new(
                Kind::Timeout,
                format!(
                    "{shown}: no connection to {host} within {} s",
                    self.limits.connect_timeout_s
                ),
            )
            .into();
        }
        let text = if error.is_connect() {
            format!("{shown}: no connection to {host}")
        } else {
            format!("{shown}: {host} closed the connection before it answered")
        };
        FailedAttempt::for_now(Error::new(Kind::Unsent, text).source(innermost(&error)))
    }

    fn tries(&self) -> Tries {
        Tries {
            left: self.limits.tries.max(1) - 1,
            wait: Duration::from_millis(self.limits.retry_wait_ms),
        }
    }

    /// Downloads a small file into memory.
    pub(crate) async fn bytes(&self, url: &Url, shown: &str, max_bytes: u64) -> Result<Vec<u8>> {
        let mut tries = self.tries();
        loop {
            match self.bytes_once(url, shown, max_bytes).await {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => tries.after(failed).await?,
            }
        }
    }

    async fn bytes_once(
        &self,
        url: &Url,
        shown: &str,
        max_bytes: u64,
    ) -> Result<Vec<u8>, FailedAttempt> {
        let response = whole(self.send(url, shown, Want::All).await?, shown)?;
        let mut body = PacedBody::new(response, shown, self);
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await? {
            if (bytes.len() + chunk.len()) as u64 > max_bytes {
                return Err(too_large(shown, max_bytes).into());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// A part of exactly the requested length, of a source of `bytes` bytes.
    async fn part(
        &self,
        url: &Url,
        shown: &str,
        part: &RangeRequest<'_>,
        bytes: u64,
    ) -> Result<Vec<u8>> {
        let mut tries = self.tries();
        loop {
            match self.part_once(url, shown, part, bytes).await {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => tries.after(failed).await?,
            }
        }
    }

    async fn part_once(
        &self,
        url: &Url,
        shown: &str,
        part: &RangeRequest<'_>,
        bytes: u64,
    ) -> Result<Vec<u8>, FailedAttempt> {
        let response = self.send(url, shown, Want::Part(part)).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT
            || total(&response) != Some((part.from, bytes))
        {
            return Err(changed(shown).into());
        }
        let count = part.count.unwrap_or(bytes - part.from);
        let piece = self.first(response, shown, count).await?;
        if (piece.len() as u64) < count {
            return Err(FailedAttempt::for_now(changed(shown)));
        }
        Ok(piece)
    }

    /// The first `count` bytes of a body.
    async fn first(
        &self,
        response: Response,
        shown: &str,
        count: u64,
    ) -> Result<Vec<u8>, FailedAttempt> {
        let mut body = PacedBody::new(response, shown, self);
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > count {
                break;
            }
        }
        bytes.truncate(count as usize);
        Ok(bytes)
    }

    /// Whether the source still matches `known`.
    pub(super) async fn is_unchanged(
        &self,
        url: &Url,
        shown: &str,
        known: &Validators,
    ) -> Result<bool> {
        let mut tries = self.tries();
        loop {
            match self.send(url, shown, Want::Unless(known)).await {
                Ok(response) => return Ok(response.status() == StatusCode::NOT_MODIFIED),
                Err(failed) => tries.after(failed).await?,
            }
        }
    }

    /// Downloads into `file`, which is empty, unless the source still matches `known`. An interrupted download
    /// is resumed if the server can confirm that the source has not changed; otherwise it starts again.
    pub(super) async fn download(
        &self,
        (url, shown): (&Url, &str),
        known: Option<&Validators>,
        file: &mut tokio::fs::File,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<Brought> {
        let mut tries = self.tries();
        let mut download = Download::default();
        let mut broke_at = None;
        loop {
            let mut failed = match self
                .download_once((url, shown), known, file, &mut download, progress)
                .await
            {
                Ok(false) => return Ok(Brought::Unchanged),
                Ok(true) if download.bytes == 0 => {
                    return Err(Error::media(format!("{shown} is empty")));
                }
                Ok(true) => return Ok(Brought::New(download.keep)),
                Err(failed) => failed,
            };
            // Interrupted twice at the same byte: the server does not have more.
            if download.bytes > 0
                && failed.error.kind == Kind::Unsent
                && broke_at.replace(download.bytes) == Some(download.bytes)
            {
                failed.error.kind = Kind::Media;
            }
            tries.after(failed).await?;
        }
    }

    /// Returns whether the source is new.
    async fn download_once(
        &self,
        (url, shown): (&Url, &str),
        known: Option<&Validators>,
        file: &mut tokio::fs::File,
        download: &mut Download,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<bool, FailedAttempt> {
        let on_disk =
            |error| Error::invalid(format!("{shown} cannot be written to this disk")).source(error);
        let response = match self.rest(url, shown, download).await? {
            Some(rest) => rest,
            None => {
                let want = known.map_or(Want::All, Want::Unless);
                let response = self.send(url, shown, want).await?;
                if response.status() == StatusCode::NOT_MODIFIED {
                    return Ok(false);
                }
                let response = whole(response, shown)?;
                *download = Download::of(&response);
                response
            }
        };
        // Discard what a failed attempt wrote after the counted bytes.
        file.seek(SeekFrom::Start(download.bytes))
            .await
            .map_err(on_disk)?;
        file.set_len(download.bytes).await.map_err(on_disk)?;
        let total = download.total;
        if total.is_some_and(|total| total > self.limits.max_bytes) {
            return Err(too_large(shown, self.limits.max_bytes).into());
        }
        let mut body = PacedBody::new(response, shown, self);
        body.resumed(download.bytes, total);
        progress(download.bytes, total);
        while let Some(chunk) = body.next().await? {
            if download.bytes + chunk.len() as u64 > total.unwrap_or(self.limits.max_bytes) {
                return Err(match total {
                    Some(_) => {
                        *download = Download::default();
                        FailedAttempt::for_now(changed(shown))
                    }
                    None => too_large(shown, self.limits.max_bytes).into(),
                });
            }
            file.write_all(&chunk).await.map_err(on_disk)?;
            download.bytes += chunk.len() as u64;
            progress(download.bytes, total);
        }
        file.flush().await.map_err(on_disk)?;
        match total {
            // A server may return less than the requested part.
            Some(total) if download.bytes < total => Err(FailedAttempt::for_now(cut_off(
                shown,
                download.bytes,
                Some(total),
            ))),
            _ => Ok(true),
        }
    }

    /// The response that continues an interrupted download; `None` if the whole file must be requested.
    async fn rest(
        &self,
        url: &Url,
        shown: &str,
        download: &mut Download,
    ) -> Result<Option<Response>, FailedAttempt> {
        let (1.., Some(validator)) = (download.bytes, download.validator.clone()) else {
            return Ok(None);
        };
        let part = RangeRequest {
            from: download.bytes,
            count: None,
            validator: Some(&validator),
        };
        let response = self.send(url, shown, Want::Part(&part)).await?;
        let same = |now: HeaderValue| now == validator;
        match (response.status(), total(&response)) {
            (StatusCode::PARTIAL_CONTENT, Some((from, total)))
                if from == download.bytes
                    && download.total.is_none_or(|known| known == total)
                    && self::validator(&response).is_none_or(same) =>
            {
                download.total = Some(total);
                Ok(Some(response))
            }
            // The source has changed, or the server does not support ranges: this is the whole file.
            (StatusCode::OK, _) => {
                *download = Download::of(&response);
                Ok(Some(response))
            }
            _ => Ok(None),
        }
    }
}

/// The state of a download.
#[derive(Default)]
struct Download {
    bytes: u64,
    /// The size of the whole file, if the server gave it.
    total: Option<u64>,
    validator: Option<HeaderValue>,
    keep: Option<Validators>,
}

impl Download {
    /// The state before the body of this response.
    fn of(response: &Response) -> Self {
        Self {
            bytes: 0,
            total: response.content_length(),
            validator: validator(response),
            keep: Validators::of(response),
        }
    }
}

/// The validator for later range requests. A weak tag does not guarantee equal bytes.
pub(crate) fn validator(response: &Response) -> Option<HeaderValue> {
    let headers = response.headers();
    let strong = headers
        .get(ETAG)
        .filter(|tag| tag.as_bytes().starts_with(b"\""));
    strong.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

/// The remaining attempts, and the pause before the next one.
struct Tries {
    left: u32,
    wait: Duration,
}

impl Tries {
    /// Waits before the next attempt; returns the error if none is left or useful.
    async fn after(&mut self, failed: FailedAttempt) -> Result<()> {
        let Some(asked) = failed.again.filter(|_| self.left > 0) else {
            return Err(failed.error);
        };
        self.left -= 1;
        // Up to 50 % more, so that many callers do not retry at the same moment.
        let pause = self
            .wait
            .max(asked.min(LONGEST_WAIT))
            .mul_f64(1.0 + fastrand::f64() / 2.0);
        self.wait = self.wait.saturating_mul(4);
        tracing::info!(error = %failed.error.message, ?pause, "a media request is retried");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn clients(limits: &MediaLimits, access: &Arc<Access>) -> Result<Pair> {
    Ok(Pair {
        outside: built(builder(limits.connect_timeout(), access))?,
        direct: client(limits.connect_timeout(), access)?,
    })
}

/// An HTTP client that connects only to the addresses that `access` allows. It uses no proxy and follows no redirects:
/// [`Access::url`] checks each address before it is requested.
pub(crate) fn client(connect_timeout: Duration, access: &Arc<Access>) -> Result<Client> {
    built(builder(connect_timeout, access).no_proxy())
}

fn builder(connect_timeout: Duration, access: &Arc<Access>) -> ClientBuilder {
    // The first call installs it; an error means that it is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("capcut-mcp/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(Arc::new(Resolver(Arc::clone(access))))
}

fn built(builder: ClientBuilder) -> Result<Client> {
    builder
        .build()
        .map_err(|error| Error::internal("cannot create an HTTP client").source(error))
}

/// Whether a request failed because its host has no address that is allowed.
pub(crate) fn is_host_refused(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<NotAllowed>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Resolves names and keeps only the allowed addresses. The connection uses exactly these, so that a name
/// cannot change its address in between (DNS rebinding).
struct Resolver(Arc<Access>);

#[derive(Debug)]
struct NotAllowed;

impl std::fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("its addresses are not public")
    }
}

impl std::error::Error for NotAllowed {}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let access = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let allowed = access.addresses(host, found);
            if allowed.is_empty() {
                return Err(NotAllowed.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether a host that answers a range request with this status may accept a request for the whole file. 403 is
/// common for addresses whose signature does not cover `Range`.
fn may_refuse_parts(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        400 | 403 | 405 | 406 | 409 | 412 | 413 | 415 | 416 | 417 | 422 | 501
    )
}

/// The error for a status that is not a success.
fn refused(response: &Response, shown: &str) -> FailedAttempt {
    let status = response.status();
    let error = |kind| Error::new(kind, format!("{shown}: HTTP {status}"));
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs);
    let hint = match status.as_u16() {
        401 | 403 => {
            "the server denies access: make the file public, or use an address that contains an access key"
        }
        404 | 410 => "check the address in a browser",
        _ => "try again later",
    };
    match status.as_u16() {
        429 | 503 => FailedAttempt {
            error: error(Kind::Busy).hint(hint),
            again: Some(wait),
        },
        500.. => FailedAttempt {
            error: error(Kind::Unavailable).hint(hint),
            again: Some(wait),
        },
        408 | 425 => FailedAttempt::for_now(error(Kind::Unavailable).hint(hint)),
        401 | 403 => error(Kind::Media)
            .hint(hint)
            .with_origin(Origin::Authentication)
            .into(),
        404 | 410 => error(Kind::Media).hint(hint).into(),
        _ => error(Kind::Media).into(),
    }
}

/// Checks that a response has the whole file.
fn whole(response: Response, shown: &str) -> Result<Response> {
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(Error::media(format!(
            "{shown}: HTTP {status} in reply to a request for the whole file"
        ))),
    }
}

/// The innermost cause: those above it say "error sending request" or similar.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

/// Whether the HTTP library gave the request up before it wrote any of it: only then its error is "canceled".
pub(crate) fn never_written(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .filter_map(|error| error.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_canceled)
}

/// A body as it arrives, with a minimum speed.
struct PacedBody {
    response: Response,
    shown: String,
    total: Option<u64>,
    /// Bytes of the file before this body.
    before: u64,
    bytes: u64,
    least: u64,
    window: Duration,
    since: Instant,
    bytes_then: u64,
    arrived: Option<Arc<AtomicU64>>,
}

impl PacedBody {
    fn new(response: Response, shown: &str, http: &Http) -> Self {
        let limits = &http.limits;
        Self {
            arrived: http.arrived.clone(),
            total: response.content_length(),
            response,
            shown: shown.to_owned(),
            before: 0,
            bytes: 0,
            least: limits
                .min_bytes_per_s
                .saturating_mul(limits.min_speed_window_s),
            window: limits.min_speed_window(),
            since: Instant::now(),
            bytes_then: 0,
        }
    }

    /// Marks this as the rest of a file of `total` bytes, of which `before` have arrived.
    fn resumed(&mut self, before: u64, total: Option<u64>) {
        self.before = before;
        self.total = total;
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, FailedAttempt> {
        let left = self.window.saturating_sub(self.since.elapsed());
        let chunk = match tokio::time::timeout(left, self.response.chunk()).await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(self.broke_off(&error)),
            Err(_) if self.bytes - self.bytes_then < self.least => {
                return Err(self.too_slow().into());
            }
            Err(_) => {
                self.since = Instant::now();
                self.bytes_then = self.bytes;
                return Box::pin(self.next()).await;
            }
        };
        let count = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        self.bytes += count;
        if let Some(arrived) = &self.arrived {
            arrived.fetch_add(count, Ordering::Relaxed);
        }
        if self.since.elapsed() >= self.window {
            if chunk.is_some() && self.bytes - self.bytes_then < self.least {
                return Err(self.too_slow().into());
            }
            self.since = Instant::now();
            self.bytes_then = self.bytes;
        }
        Ok(chunk.map(|chunk| chunk.to_vec()))
    }

    fn too_slow(&self) -> Error {
        Error::new(
            Kind::Timeout,
            format!(
                "{}: only {} bytes arrived in {} s",
                self.shown,
                self.bytes - self.bytes_then,
                self.window.as_secs()
            ),
        )
    }

    fn broke_off(&self, error: &reqwest::Error) -> FailedAttempt {
        let bytes = self.bytes + self.before;
        FailedAttempt::for_now(cut_off(&self.shown, bytes, self.total).source(innermost(error)))
    }
}

fn cut_off(shown: &str, bytes: u64, total: Option<u64>) -> Error {
    let of = total.map_or(String::new(), |total| format!(" of {total}"));
    Error::new(
        Kind::Unsent,
        format!("{shown} is cut off: the answer ended after {bytes}{of} bytes"),
    )
}

/// The first byte of a part and the length of the whole file; the first byte is 0 if there is no range.
pub(crate) fn total(response: &Response) -> Option<(u64, u64)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes")?.trim_start().split_once('/')?;
    let from = match range.split_once('-') {
        Some((from, _)) => from.trim().parse().ok()?,
        None => 0,
    };
    Some((from, total.trim().parse().ok()?))
}

fn changed(shown: &str) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("{shown} changed while it was read"),
    )
}
