//! Media over HTTP: requests that keep to what may be read, redirects, tries, ranges and streams.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
    RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::access::refused_host;
use super::probe::{self, Depth};
use super::reader::{BLOCK, Guard, Origin, Reader, read_at};
use super::{Access, Facts, Limits, blocking, timed_out, too_large};
use crate::error::{Error, Kind, Result};

/// The longest that a server's `Retry-After` is kept to: callers wait for this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// One client for all media, made at its first use.
pub(super) struct Http {
    limits: Limits,
    access: Arc<Access>,
    clients: OnceLock<Result<Clients>>,
}

struct Clients {
    /// With the system's proxy, if there is one.
    outside: Client,
    /// Without: for this machine, and wherever addresses have to be checked before connecting.
    direct: Client,
}

/// A try that failed, and when another makes sense.
struct Failed {
    error: Error,
    again: Option<Duration>,
}

impl Failed {
    fn for_good(error: Error) -> Self {
        Self { error, again: None }
    }

    fn for_now(error: Error) -> Self {
        Self {
            error,
            again: Some(Duration::ZERO),
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::for_good(error)
    }
}

/// Bytes of a source: from one on, and of a source that is still the same.
pub(super) struct Part<'a> {
    pub from: u64,
    pub count: u64,
    pub validator: Option<&'a HeaderValue>,
}

impl Http {
    pub fn new(limits: Limits, access: Arc<Access>) -> Self {
        Self {
            limits,
            access,
            clients: OnceLock::new(),
        }
    }

    fn client(&self, url: &Url) -> Result<&Client> {
        let clients = self
            .clients
            .get_or_init(|| clients(&self.limits, &self.access));
        let clients = clients.as_ref().map_err(super::again)?;
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

    /// The answer to a request for all or a part of `url`, after redirects: its status is 200, 206
    /// or 416.
    async fn send(
        &self,
        url: &Url,
        shown: &str,
        part: Option<&Part<'_>>,
    ) -> Result<Response, Failed> {
        let mut url = url.clone();
        for _ in 0..=self.limits.redirects {
            self.access.url(&url, shown)?;
            let mut request = self
                .client(&url)?
                .get(url.clone())
                .header(ACCEPT_ENCODING, "identity");
            if let Some(part) = part {
                let last = part.from.saturating_add(part.count.max(1) - 1);
                request = request.header(RANGE, format!("bytes={}-{last}", part.from));
                if let Some(validator) = part.validator {
                    request = request.header(IF_RANGE, validator);
                }
            }
            let answer = tokio::time::timeout(self.limits.answer_timeout(), request.send());
            let response = match answer.await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(self.unsent(error, &url, shown)),
                Err(_) => {
                    return Err(timed_out(shown, "no answer", self.limits.answer_timeout_s).into());
                }
            };
            let status = response.status();
            if !status.is_redirection() {
                return match status {
                    StatusCode::OK
                    | StatusCode::PARTIAL_CONTENT
                    | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
                    _ => Err(refused(&response, shown)),
                };
            }
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
        .hint("open it in a browser and copy the address it ends at")
        .into())
    }

    fn unsent(&self, error: reqwest::Error, url: &Url, shown: &str) -> Failed {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if error.is::<NotAllowed>() {
                return refused_host(shown, url.host_str().unwrap_or_default()).into();
            }
            cause = error.source();
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
            format!("{shown}: {host} broke off before it answered")
        };
        Failed::for_now(Error::new(Kind::Unsent, text).source(innermost(&error)))
    }

    fn tries(&self) -> Tries {
        Tries {
            left: self.limits.tries.max(1) - 1,
            wait: Duration::from_millis(self.limits.retry_wait_ms),
        }
    }

    /// A whole small body.
    pub async fn bytes(&self, url: &Url, shown: &str, max_bytes: u64) -> Result<Vec<u8>> {
        let mut tries = self.tries();
        loop {
            match self.bytes_once(url, shown, max_bytes).await {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => tries.after(failed).await?,
            }
        }
    }

    async fn bytes_once(&self, url: &Url, shown: &str, max_bytes: u64) -> Result<Vec<u8>, Failed> {
        let response = whole(self.send(url, shown, None).await?, shown)?;
        let mut body = Body::new(response, shown, &self.limits);
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await? {
            if (bytes.len() + chunk.len()) as u64 > max_bytes {
                return Err(too_large(shown, max_bytes).into());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// A part of exactly the length asked for, of a source of `bytes` bytes.
    async fn part(&self, url: &Url, shown: &str, part: &Part<'_>, bytes: u64) -> Result<Vec<u8>> {
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
        part: &Part<'_>,
        bytes: u64,
    ) -> Result<Vec<u8>, Failed> {
        let response = self.send(url, shown, Some(part)).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT
            || total(&response) != Some((part.from, bytes))
        {
            return Err(changed(shown).into());
        }
        let piece = self.first(response, shown, part.count).await?;
        if (piece.len() as u64) < part.count {
            return Err(Failed::for_now(changed(shown)));
        }
        Ok(piece)
    }

    /// The first `count` bytes of a body.
    async fn first(&self, response: Response, shown: &str, count: u64) -> Result<Vec<u8>, Failed> {
        let mut body = Body::new(response, shown, &self.limits);
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

    /// Downloads into `file`, from its start at every try; gives the size.
    pub async fn download(
        &self,
        url: &Url,
        shown: &str,
        file: &mut tokio::fs::File,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<u64> {
        let mut tries = self.tries();
        let mut broke_at = None;
        loop {
            let mut bytes = 0;
            let mut failed = match self
                .download_once(url, shown, file, &mut bytes, progress)
                .await
            {
                Ok(()) if bytes == 0 => return Err(Error::media(format!("{shown} is empty"))),
                Ok(()) => return Ok(bytes),
                Err(failed) => failed,
            };
            // Twice at the same byte: the server has no more than this.
            if bytes > 0
                && failed.error.kind == Kind::Unsent
                && broke_at.replace(bytes) == Some(bytes)
            {
                failed.error.kind = Kind::Media;
            }
            tries.after(failed).await?;
        }
    }

    async fn download_once(
        &self,
        url: &Url,
        shown: &str,
        file: &mut tokio::fs::File,
        bytes: &mut u64,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<(), Failed> {
        let on_disk = |error| Error::internal("a download cannot be written").source(error);
        file.rewind().await.map_err(on_disk)?;
        file.set_len(0).await.map_err(on_disk)?;
        let response = whole(self.send(url, shown, None).await?, shown)?;
        let total = response.content_length();
        if total.is_some_and(|total| total > self.limits.max_bytes) {
            return Err(too_large(shown, self.limits.max_bytes).into());
        }
        let mut body = Body::new(response, shown, &self.limits);
        progress(0, total);
        while let Some(chunk) = body.next().await? {
            *bytes += chunk.len() as u64;
            if *bytes > self.limits.max_bytes {
                return Err(too_large(shown, self.limits.max_bytes).into());
            }
            file.write_all(&chunk).await.map_err(on_disk)?;
            progress(*bytes, total);
        }
        file.flush().await.map_err(on_disk)?;
        Ok(())
    }
}

/// How often something is still tried, and after which pause.
struct Tries {
    left: u32,
    wait: Duration,
}

impl Tries {
    /// Waits before another try; gives the failure back where none makes sense.
    async fn after(&mut self, failed: Failed) -> Result<()> {
        let Some(asked) = failed.again.filter(|_| self.left > 0) else {
            return Err(failed.error);
        };
        self.left -= 1;
        // Up to a half more, so that many callers do not come back together.
        let pause = self
            .wait
            .max(asked.min(LONGEST_WAIT))
            .mul_f64(1.0 + fastrand::f64() / 2.0);
        self.wait = self.wait.saturating_mul(4);
        tracing::info!(error = %failed.error.message, ?pause, "media is asked for again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn clients(limits: &Limits, access: &Arc<Access>) -> Result<Clients> {
    // Whoever comes first installs it; it is the same one everywhere.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .user_agent(concat!("capcut-mcp/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect_timeout())
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(Resolver(Arc::clone(access))))
    };
    let failed = |error| Error::internal("no HTTP client could be made").source(error);
    Ok(Clients {
        outside: builder().build().map_err(failed)?,
        direct: builder().no_proxy().build().map_err(failed)?,
    })
}

/// Looks names up and keeps to the addresses that may be asked. The connection then goes to just
/// these, so that a name cannot change its meaning in between.
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

/// A status that is no success, as an error.
fn refused(response: &Response, shown: &str) -> Failed {
    let status = response.status();
    let error = |kind| Error::new(kind, format!("{shown}: HTTP {status}"));
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_secs);
    let hint = match status.as_u16() {
        401 | 403 => {
            "the server does not give it to us: make it public, or use an address with its access key in it"
        }
        404 | 410 => "check the address in a browser",
        _ => "try again later",
    };
    match status.as_u16() {
        429 | 503 => Failed {
            error: error(Kind::Busy).hint(hint),
            again: Some(wait),
        },
        500.. => Failed {
            error: error(Kind::Unavailable).hint(hint),
            again: Some(wait),
        },
        408 | 425 => Failed::for_now(error(Kind::Unavailable).hint(hint)),
        401 | 403 | 404 | 410 => error(Kind::Media).hint(hint).into(),
        _ => error(Kind::Media).into(),
    }
}

/// An answer that has all of it.
fn whole(response: Response, shown: &str) -> Result<Response> {
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(Error::media(format!(
            "{shown}: HTTP {status} to a request for all of it"
        ))),
    }
}

/// The cause at the bottom: what lies between says "error sending request" and the like.
fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

/// A body as it arrives, and not slower than allowed.
struct Body {
    response: Response,
    shown: String,
    total: Option<u64>,
    bytes: u64,
    least: u64,
    window: Duration,
    since: Instant,
    bytes_then: u64,
}

impl Body {
    fn new(response: Response, shown: &str, limits: &Limits) -> Self {
        Self {
            total: response.content_length(),
            response,
            shown: shown.to_owned(),
            bytes: 0,
            least: limits
                .min_bytes_per_s
                .saturating_mul(limits.min_speed_window_s),
            window: limits.min_speed_window(),
            since: Instant::now(),
            bytes_then: 0,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failed> {
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
        self.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
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
                "{}: only {} bytes came in {} s",
                self.shown,
                self.bytes - self.bytes_then,
                self.window.as_secs()
            ),
        )
    }

    fn broke_off(&self, error: &reqwest::Error) -> Failed {
        let of = self
            .total
            .map_or(String::new(), |total| format!(" of {total}"));
        Failed::for_now(
            Error::new(
                Kind::Unsent,
                format!(
                    "{} is cut off: the answer ended after {}{of} bytes",
                    self.shown, self.bytes
                ),
            )
            .source(innermost(error)),
        )
    }
}

/// What lies at `url`: by ranges where the server has them, else from the stream.
pub(super) async fn facts(http: &Http, url: Url, shown: String, limits: &Limits) -> Result<Facts> {
    let cancel = CancellationToken::new();
    let _ends_with_the_future = cancel.clone().drop_guard();
    let guard = Guard::new(limits, cancel);
    let late = || {
        timed_out(
            &shown,
            "what it is could not be found out",
            limits.probe_timeout_s,
        )
    };
    let opened = tokio::time::timeout_at(guard.deadline.into(), open(http, &url, &shown, &guard));
    let mut reader = opened.await.map_err(|_| late())??;
    let name = shown.clone();
    let most = limits.max_probe_bytes;
    let answer = blocking(move || {
        let head = reader.bytes(0, 4096)?;
        if probe::may_be_media(&head) {
            // Only as a file of this disk can anything else look at it.
            let mut file = tempfile::NamedTempFile::new().map_err(|error| scratch(&error))?;
            let bytes = reader.measure()?;
            if bytes > most {
                return Err(too_large(&name, most));
            }
            let mut at = 0;
            loop {
                let piece = reader.bytes(at, 1 << 20)?;
                if piece.is_empty() {
                    break;
                }
                file.write_all(&piece).map_err(|error| scratch(&error))?;
                at += piece.len() as u64;
            }
            return probe::read(&mut reader, Some(file.path()), Depth::Facts)
                .map_err(|fault| fault.into_error(&name));
        }
        probe::read(&mut reader, None, Depth::Facts).map_err(|fault| fault.into_error(&name))
    });
    match tokio::time::timeout_at(guard.deadline.into(), answer).await {
        Ok(answer) => answer.map_err(|error| {
            if error.kind == Kind::Timeout {
                late()
            } else {
                error
            }
        }),
        Err(_) => Err(late()),
    }
}

fn scratch(error: &std::io::Error) -> Error {
    Error::internal(format!("no temporary file: {error}"))
}

async fn open(http: &Http, url: &Url, shown: &str, guard: &Guard) -> Result<Reader> {
    let mut tries = http.tries();
    loop {
        match open_once(http, url, shown, guard).await {
            Ok(reader) => return Ok(reader),
            Err(failed) => tries.after(failed).await?,
        }
    }
}

async fn open_once(http: &Http, url: &Url, shown: &str, guard: &Guard) -> Result<Reader, Failed> {
    let part = Part {
        from: 0,
        count: BLOCK as u64,
        validator: None,
    };
    let mut response = http.send(url, shown, Some(&part)).await?;
    let empty = || Failed::for_good(Error::media(format!("{shown} is empty")));
    match (response.status(), total(&response)) {
        (StatusCode::RANGE_NOT_SATISFIABLE, Some((_, 0))) => return Err(empty()),
        (StatusCode::PARTIAL_CONTENT, Some((0, bytes))) => {
            let validator = validator(&response);
            let last = response.url().clone();
            let first = http.first(response, shown, BLOCK as u64).await?;
            if (first.len() as u64) < bytes.min(BLOCK as u64) {
                return Err(Failed::for_now(changed(shown)));
            }
            let origin = Ranged {
                asker: asker(http, shown, guard),
                url: last,
                bytes,
                validator,
            };
            let mut reader = Reader::new(Box::new(origin), guard.clone());
            reader.first(&first);
            return Ok(reader);
        }
        (StatusCode::OK, _) => {}
        // Ranges that cannot be relied on: all of it, then.
        _ => response = whole(http.send(url, shown, None).await?, shown)?,
    }
    if response.content_length() == Some(0) {
        return Err(empty());
    }
    let origin = stream(http, shown, guard, response)?;
    Ok(Reader::new(Box::new(origin), guard.clone()))
}

/// The first byte and the whole length that a part belongs to; no first byte where there is none.
fn total(response: &Response) -> Option<(u64, u64)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes")?.trim_start().split_once('/')?;
    let from = match range.split_once('-') {
        Some((from, _)) => from.trim().parse().ok()?,
        None => 0,
    };
    Some((from, total.trim().parse().ok()?))
}

/// What makes a later request fail if the source has changed. A weak tag promises nothing about bytes.
fn validator(response: &Response) -> Option<HeaderValue> {
    let headers = response.headers();
    let strong = headers
        .get(ETAG)
        .filter(|tag| tag.as_bytes().starts_with(b"\""));
    strong.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

fn changed(shown: &str) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("{shown} changed while it was read"),
    )
}

/// What a thread that reads needs in order to ask.
struct Asker {
    http: Http,
    shown: String,
    handle: Handle,
    guard: Guard,
}

fn asker(http: &Http, shown: &str, guard: &Guard) -> Asker {
    Asker {
        http: http.share(),
        shown: shown.to_owned(),
        handle: Handle::current(),
        guard: guard.clone(),
    }
}

impl Asker {
    /// Waits on a thread for blocking work; ends with the deadline or when nobody waits any more.
    fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.guard.check()?;
        self.handle.block_on(async {
            tokio::select! {
                () = self.guard.cancel.cancelled() => Err(Error::new(Kind::Cancelled, "nobody waits for this any more")),
                () = tokio::time::sleep_until(self.guard.deadline.into()) => Err(self.guard.late()),
                result = work => result,
            }
        })
    }
}

impl Http {
    /// The same clients, for a thread of its own.
    fn share(&self) -> Self {
        let clients = OnceLock::new();
        if let Some(Ok(made)) = self.clients.get() {
            let copy = Clients {
                outside: made.outside.clone(),
                direct: made.direct.clone(),
            };
            let _ = clients.set(Ok(copy));
        }
        Self {
            limits: self.limits.clone(),
            access: Arc::clone(&self.access),
            clients,
        }
    }
}

/// A source whose server gives parts.
struct Ranged {
    asker: Asker,
    /// Where redirects led.
    url: Url,
    bytes: u64,
    validator: Option<HeaderValue>,
}

impl Origin for Ranged {
    fn len(&self) -> Option<u64> {
        Some(self.bytes)
    }

    fn measure(&mut self) -> Result<u64> {
        Ok(self.bytes)
    }

    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let count = (buffer.len() as u64).min(self.bytes.saturating_sub(offset));
        if count == 0 {
            return Ok(0);
        }
        let part = Part {
            from: offset,
            count,
            validator: self.validator.as_ref(),
        };
        let Asker { http, shown, .. } = &self.asker;
        let piece = self
            .asker
            .wait(http.part(&self.url, shown, &part, self.bytes))?;
        buffer[..count as usize].copy_from_slice(&piece);
        Ok(count as usize)
    }

    fn is_near(&self) -> bool {
        false
    }
}

/// A source that comes only as a whole: as much of it as was needed so far, in a nameless file.
struct Streamed {
    asker: Asker,
    /// Absent once it has ended.
    body: Option<Body>,
    file: File,
    arrived: u64,
    total: Option<u64>,
}

fn stream(http: &Http, shown: &str, guard: &Guard, response: Response) -> Result<Streamed> {
    let body = Body::new(response, shown, &http.limits);
    Ok(Streamed {
        asker: asker(http, shown, guard),
        total: body.total,
        body: Some(body),
        file: tempfile::tempfile().map_err(|error| scratch(&error))?,
        arrived: 0,
    })
}

impl Streamed {
    fn read_on(&mut self, until: u64) -> Result<()> {
        let most = self.asker.http.limits.max_probe_bytes;
        while self.arrived < until {
            let Some(body) = self.body.as_mut() else {
                return Ok(());
            };
            let next = async { body.next().await.map_err(|failed| failed.error) };
            let Some(chunk) = self.asker.wait(next)? else {
                self.body = None;
                self.total = Some(self.arrived);
                return Ok(());
            };
            self.arrived += chunk.len() as u64;
            if self.arrived > most {
                return Err(Error::media(format!(
                    "{}: its server gives no parts, and what it is does not show in the first {most} bytes",
                    self.asker.shown
                )));
            }
            std::io::Seek::seek(&mut self.file, std::io::SeekFrom::End(0))
                .map_err(|error| scratch(&error))?;
            self.file
                .write_all(&chunk)
                .map_err(|error| scratch(&error))?;
        }
        Ok(())
    }
}

impl Origin for Streamed {
    fn len(&self) -> Option<u64> {
        self.total
    }

    fn measure(&mut self) -> Result<u64> {
        if self.total.is_none() {
            self.read_on(u64::MAX)?;
        }
        Ok(self.total.unwrap_or(self.arrived))
    }

    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.read_on(offset.saturating_add(buffer.len() as u64))?;
        read_at(&mut self.file, offset, buffer).map_err(|error| scratch(&error))
    }

    fn is_near(&self) -> bool {
        false
    }
}
