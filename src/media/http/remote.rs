//! Probes a web source: with range requests if its server supports them, else from the stream.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use reqwest::header::HeaderValue;
use reqwest::{Response, StatusCode, Url};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    FailedAttempt, Http, PacedBody, RangeRequest, Validators, Want, changed, total, validator,
    whole,
};
use crate::error::{Error, Kind, Result};
use crate::media::probe::{self, Depth};
use crate::media::reader::{BLOCK, ByteOrigin, Guard, SourceReader, read_at};
use crate::media::{Facts, MediaLimits, blocking, timed_out, too_large};

/// A whole small file from the first response, if it may be cached.
pub(in crate::media) type Came = Option<(Vec<u8>, Validators)>;

/// Probes the file at `url`.
pub(in crate::media) async fn facts(
    http: &Http,
    url: Url,
    shown: String,
    limits: &MediaLimits,
) -> Result<(Facts, Came)> {
    let cancel = CancellationToken::new();
    let _ends_with_the_future = cancel.clone().drop_guard();
    let guard = Guard::new(limits, cancel);
    let late = || timed_out(&shown, "it could not be identified", limits.probe_timeout_s);
    let opened = tokio::time::timeout_at(guard.deadline.into(), open(http, &url, &shown, &guard));
    let asked = Instant::now();
    let (mut reader, keep) = opened.await.map_err(|_| {
        let late = late();
        http.dead.add(&url, &shown, asked, &late);
        late
    })??;
    let name = shown.clone();
    let most = limits.max_probe_bytes;
    let answer = blocking(move || {
        let head = reader.bytes(0, 4096)?;
        if probe::may_be_media(&head) {
            // `ffprobe` needs a file on this disk.
            let mut file = tempfile::NamedTempFile::new().map_err(scratch)?;
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
                file.write_all(&piece).map_err(scratch)?;
                at += piece.len() as u64;
            }
            let facts = probe::read(&mut reader, Some(file.path()), Depth::Facts);
            return Ok((facts.map_err(|fault| fault.into_error(&name))?, None));
        }
        let facts = probe::read(&mut reader, None, Depth::Facts);
        let facts = facts.map_err(|fault| fault.into_error(&name))?;
        let is_small = |bytes: &u64| *bytes <= BLOCK as u64;
        let came = match (keep, reader.len().filter(is_small)) {
            (Some(keep), Some(bytes)) => Some((reader.bytes(0, bytes as usize)?, keep)),
            _ => None,
        };
        Ok((facts, came))
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

fn scratch(error: std::io::Error) -> Error {
    let folder = std::env::temp_dir();
    Error::new(
        Kind::Unavailable,
        format!("cannot write a temporary file in {}", folder.display()),
    )
    .hint("create that folder, free some space there, or set another folder in the environment variable `TMPDIR` (on Windows `TMP`)")
    .source(error)
}

type OpenedSource = (SourceReader, Option<Validators>);

async fn open(http: &Http, url: &Url, shown: &str, guard: &Guard) -> Result<OpenedSource> {
    let mut tries = http.tries();
    loop {
        match open_once(http, url, shown, guard).await {
            Ok(opened) => return Ok(opened),
            Err(failed) => tries.after(failed).await?,
        }
    }
}

async fn open_once(
    http: &Http,
    url: &Url,
    shown: &str,
    guard: &Guard,
) -> Result<OpenedSource, FailedAttempt> {
    let part = RangeRequest {
        from: 0,
        count: Some(BLOCK as u64),
        validator: None,
    };
    let mut response = http.send(url, shown, Want::Part(&part)).await?;
    let empty = || FailedAttempt::permanent(Error::media(format!("{shown} is empty")));
    match (response.status(), total(&response)) {
        (StatusCode::RANGE_NOT_SATISFIABLE, Some((_, 0))) => return Err(empty()),
        (StatusCode::PARTIAL_CONTENT, Some((0, bytes))) => {
            let (validator, keep) = (validator(&response), Validators::of(&response));
            let last = response.url().clone();
            let first = http.first(response, shown, BLOCK as u64).await?;
            if (first.len() as u64) < bytes.min(BLOCK as u64) {
                return Err(FailedAttempt::for_now(changed(shown)));
            }
            let origin = Ranged {
                asker: asker(http, shown, guard),
                url: last,
                bytes,
                validator,
            };
            let mut reader = SourceReader::new(Box::new(origin), guard.clone());
            reader.first(&first);
            return Ok((reader, keep));
        }
        (StatusCode::OK, _) => {}
        // The ranges are not reliable: request the whole file.
        _ => response = whole(http.send(url, shown, Want::All).await?, shown)?,
    }
    if response.content_length() == Some(0) {
        return Err(empty());
    }
    let keep = Validators::of(&response);
    let origin = stream(http, shown, guard, response)?;
    Ok((SourceReader::new(Box::new(origin), guard.clone()), keep))
}

/// What a reading thread needs to send requests.
struct Asker {
    http: Http,
    shown: String,
    handle: Handle,
    guard: Guard,
}

fn asker(http: &Http, shown: &str, guard: &Guard) -> Asker {
    Asker {
        http: http.clone(),
        shown: shown.to_owned(),
        handle: Handle::current(),
        guard: guard.clone(),
    }
}

impl Asker {
    /// Blocks the thread until `work` is done, the deadline passes, or the probe is cancelled.
    fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.guard.check()?;
        self.handle.block_on(async {
            tokio::select! {
                () = self.guard.cancel.cancelled() => Err(Error::new(Kind::Cancelled, "cancelled")),
                () = tokio::time::sleep_until(self.guard.deadline.into()) => Err(self.guard.late()),
                result = work => result,
            }
        })
    }
}

/// A source whose server supports range requests.
struct Ranged {
    asker: Asker,
    /// The address after redirects.
    url: Url,
    bytes: u64,
    validator: Option<HeaderValue>,
}

impl ByteOrigin for Ranged {
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
        let part = RangeRequest {
            from: offset,
            count: Some(count),
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

/// A source without range requests: the part that was needed so far, in an anonymous file.
struct Streamed {
    asker: Asker,
    /// `None` once it has ended.
    body: Option<PacedBody>,
    file: File,
    arrived: u64,
    total: Option<u64>,
}

fn stream(http: &Http, shown: &str, guard: &Guard, response: Response) -> Result<Streamed> {
    let body = PacedBody::new(response, shown, http);
    Ok(Streamed {
        asker: asker(http, shown, guard),
        total: body.total,
        body: Some(body),
        file: tempfile::tempfile().map_err(scratch)?,
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
                    "{}: its server does not support range requests, and it could not be identified by its first {most} bytes",
                    self.asker.shown
                )));
            }
            std::io::Seek::seek(&mut self.file, std::io::SeekFrom::End(0)).map_err(scratch)?;
            self.file.write_all(&chunk).map_err(scratch)?;
        }
        Ok(())
    }
}

impl ByteOrigin for Streamed {
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
        read_at(&mut self.file, offset, buffer).map_err(scratch)
    }

    fn is_near(&self) -> bool {
        false
    }
}
