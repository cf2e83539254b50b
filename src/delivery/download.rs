//! Fetches zip files of drafts, and lists those of a server. A download that was interrupted in any way continues where it
//! stopped, also in another process.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, IF_RANGE, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::PATH;
use crate::caller::{Access, Allowed, Caller, From, Manner, refused_host};
use crate::engine::marker;
use crate::engine::registry;
use crate::error::{Error, Kind, Result};
use crate::media::{self, http};
use crate::regular_file::{self, Links, SMALL_BYTES};

const CONNECT: Duration = Duration::from_secs(10);
/// Time limit for the head of an answer, and for each piece of its body.
const PIECE: Duration = Duration::from_mins(1);
const REDIRECTS: usize = 5;
/// How often a request is repeated without new bytes.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Maximum size of a list of drafts.
const LIST_BYTES: usize = 16 << 20;
/// How long the part of a file is kept for a download that does not continue.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// The server that the user named.
#[derive(Clone, Debug)]
pub(crate) struct NamedServer {
    /// With a slash at the end.
    pub url: Url,
    pub token: Option<String>,
}

impl NamedServer {
    pub(crate) fn new(address: &str, token: Option<String>) -> Result<Self> {
        let mut url = Url::parse(address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Error::invalid(format!(
                    "`--server`: \"{address}\" is not the address of a server"
                ))
                .hint("give an address such as http://nas.local:8080")
            })?;
        url.set_query(None);
        url.set_fragment(None);
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { url, token })
    }

    fn is_origin_of(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }
}

/// A version that a server lists.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ListedVersion {
    pub version: String,
    pub draft_id: String,
    pub name: String,
    pub sha256: String,
    pub download_url: String,
}

/// The answer to a request for a list.
#[derive(Debug, Deserialize)]
struct VersionList {
    drafts: Vec<ListedVersion>,
}

/// Requests of `pull`, and the files that they fetch.
#[derive(Clone)]
pub(crate) struct Downloads {
    folder: PathBuf,
    client: Client,
    access: Arc<Access>,
    server: Option<NamedServer>,
    most: u64,
}

/// A file that was fetched; no other process uses it until this is dropped.
#[derive(Debug)]
pub(crate) struct DownloadedFile {
    pub path: PathBuf,
    _lock: File,
}

impl DownloadedFile {
    /// Removes the file, once it is no longer needed.
    pub(crate) fn remove(self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(state_of(&self.path));
    }
}

/// A failed attempt, and whether another one makes sense, after some time.
struct FailedFetch {
    error: Error,
    again: Option<Duration>,
}

impl FailedFetch {
    fn again(error: Error) -> Self {
        Self {
            error,
            again: Some(Duration::ZERO),
        }
    }
}

impl std::convert::From<Error> for FailedFetch {
    fn from(error: Error) -> Self {
        Self { error, again: None }
    }
}

/// What is known about a file of which a part was fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PartState {
    /// Shows whether the file has changed.
    validator: Option<String>,
}

impl Downloads {
    /// Files are kept in `folder` until they are complete, and have at most `most` bytes.
    pub(crate) fn new(
        folder: PathBuf,
        server: Option<NamedServer>,
        allowed_hosts: &[String],
        most: u64,
    ) -> Result<Self> {
        // A link may come from anyone: only public hosts are asked, and those that the user named.
        let host = server.as_ref().and_then(|server| server.url.host_str());
        let named = host.map(str::to_owned).into_iter();
        let allowed = Allowed::new(named.chain(allowed_hosts.iter().cloned()), []);
        let access = Caller::client(Manner::Strict, From::Network, &Arc::new(allowed)).access;
        regular_file::create_own_folder(&folder).map_err(|error| unwritable(&folder, error))?;
        remove_old(&folder);
        Ok(Self {
            folder,
            client: http::client(CONNECT, &access)?,
            access,
            server,
            most,
        })
    }

    /// Fetches a file; `progress` gets the bytes that are there, and the size of the file if it is known.
    pub(crate) async fn fetch(
        &self,
        url: &Url,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<DownloadedFile> {
        let shown = media::shown(url.as_str());
        let path = self.folder.join(format!("{}.part", identity(url)));
        let lock = regular_file::open_own(&path).map_err(|error| unwritable(&path, error))?;
        if lock.try_lock().is_err() {
            return Err(
                Error::new(Kind::Busy, format!("another process is fetching {shown}"))
                    .hint("wait until it has finished"),
            );
        }
        let file = lock.try_clone().map_err(|error| unwritable(&path, error))?;
        let mut file = tokio::fs::File::from_std(file);
        let (mut left, mut wait) = (TRIES, FIRST_WAIT);
        loop {
            let before = size(&lock, &path)?;
            let fetched = self
                .fetch_once((url, &shown), &mut file, &path, progress)
                .await;
            let Err(failed) = fetched else {
                return Ok(DownloadedFile { path, _lock: lock });
            };
            if size(&lock, &path)? > before {
                (left, wait) = (TRIES, FIRST_WAIT);
            }
            left -= 1;
            let Some(asked) = failed.again.filter(|_| left > 0) else {
                return Err(failed.error);
            };
            tracing::info!(error = %failed.error.message, "the download is continued");
            tokio::time::sleep(wait.max(asked.min(LONGEST_WAIT))).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn fetch_once(
        &self,
        (url, shown): (&Url, &str),
        file: &mut tokio::fs::File,
        path: &Path,
        progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
    ) -> Result<(), FailedFetch> {
        let on_disk = |error| FailedFetch::from(unwritable(path, error));
        let state: PartState = regular_file::read(&state_of(path), SMALL_BYTES, Links::Refuse)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let mut there = file.metadata().await.map_err(on_disk)?.len();
        let validator = state.validator.as_deref().filter(|_| there > 0);
        let validator = validator.and_then(|text| HeaderValue::from_str(text).ok());
        let part = validator.map(|validator| (there, validator));
        let mut response = self.send((url, shown), part.as_ref()).await?;
        let sum = match response.status() {
            StatusCode::PARTIAL_CONTENT => match http::total(&response) {
                Some((from, sum)) if from == there => Some(sum),
                _ => return Err(restarted(file, shown).await),
            },
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return match http::total(&response) {
                    Some((_, sum)) if sum == there && there > 0 => Ok(()),
                    _ => Err(restarted(file, shown).await),
                };
            }
            _ => {
                there = 0;
                file.set_len(0).await.map_err(on_disk)?;
                let state = PartState {
                    validator: http::validator(&response)
                        .and_then(|value| value.to_str().ok().map(str::to_owned)),
                };
                let state = serde_json::to_vec(&state).unwrap_or_default();
                registry::write(&state_of(path), &state)?;
                response.content_length()
            }
        };
        if sum.is_some_and(|sum| sum > self.most) {
            return Err(self.too_large(shown).into());
        }
        file.seek(io::SeekFrom::Start(there))
            .await
            .map_err(on_disk)?;
        progress(there, sum);
        loop {
            let piece = match tokio::time::timeout(PIECE, response.chunk()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    return Err(FailedFetch::again(
                        cut_off(shown, there, sum).source(http::innermost(&error)),
                    ));
                }
                Err(_) => return Err(FailedFetch::again(cut_off(shown, there, sum))),
            };
            there += piece.len() as u64;
            if there > sum.unwrap_or(self.most) {
                return Err(self.too_large(shown).into());
            }
            file.write_all(&piece).await.map_err(on_disk)?;
            file.flush().await.map_err(on_disk)?;
            progress(there, sum);
        }
        match sum {
            Some(sum) if there < sum => Err(FailedFetch::again(cut_off(shown, there, Some(sum)))),
            _ => {
                file.sync_all().await.map_err(on_disk)?;
                Ok(())
            }
        }
    }

    /// The answer, after redirects, to a request for a file or the rest of it.
    async fn send(
        &self,
        (url, shown): (&Url, &str),
        part: Option<&(u64, HeaderValue)>,
    ) -> Result<Response, FailedFetch> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            self.access
                .url(&url, shown)
                .map_err(|error| self.not_allowed(error, &url))?;
            let mut request = self
                .client
                .get(url.clone())
                .header(ACCEPT_ENCODING, "identity");
            if let Some((from, validator)) = part {
                request = request
                    .header(RANGE, format!("bytes={from}-"))
                    .header(IF_RANGE, validator);
            }
            let token = self
                .server
                .as_ref()
                .filter(|server| server.is_origin_of(&url));
            if let Some(token) = token.and_then(|server| server.token.as_deref()) {
                let mut value =
                    HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                        Error::invalid("the token has characters that no token has")
                            .hint("check the file or the variable that it comes from")
                    })?;
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            let response = match tokio::time::timeout(PIECE, request.send()).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(self.unsent(&error, &url, shown)),
                Err(_) => {
                    let late = format!("{shown}: no answer within {} s", PIECE.as_secs());
                    return Err(FailedFetch::again(Error::new(Kind::Timeout, late)));
                }
            };
            if !response.status().is_redirection() {
                return checked(response, shown);
            }
            let next = response.headers().get(LOCATION);
            let next =
                next.and_then(|next| url.join(&String::from_utf8_lossy(next.as_bytes())).ok());
            url = next.ok_or_else(|| {
                Error::media(format!("{shown}: a redirect without a usable address"))
            })?;
        }
        Err(Error::media(format!("{shown}: more than {REDIRECTS} redirects")).into())
    }

    fn unsent(&self, error: &reqwest::Error, url: &Url, shown: &str) -> FailedFetch {
        let host = url.host_str().unwrap_or_default();
        if http::is_host_refused(error) {
            return self.not_allowed(refused_host(shown, host), url).into();
        }
        FailedFetch::again(
            Error::new(Kind::Unsent, format!("{shown}: no connection to {host}"))
                .hint("check that the server runs and can be reached from this computer")
                .source(http::innermost(error)),
        )
    }

    /// The error for a host that is asked only if the user named it.
    fn not_allowed(&self, error: Error, url: &Url) -> Error {
        let host = url.host_str().unwrap_or_default();
        let named = match &self.server {
            Some(server) => format!(
                "the server is {}",
                server.url.origin().ascii_serialization()
            ),
            None => "no server is named".to_owned(),
        };
        error.hint(format!(
            "links lead to public hosts or to the server that you name, and {named}; if you trust this host, add `--allow-host {host}`"
        ))
    }

    /// The versions that the server has after the version `after`, the newest first; only those before `before`.
    pub(crate) async fn list(
        &self,
        after: Option<&str>,
        before: Option<&str>,
    ) -> Result<Vec<ListedVersion>> {
        let server = self
            .server
            .as_ref()
            .ok_or_else(|| Error::internal("no server is named"))?;
        let unusable = |_| Error::internal("the address of the list is not valid");
        let mut url = server.url.join(PATH).map_err(unusable)?;
        for (key, value) in [("after", after), ("before", before)] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(key, value);
            }
        }
        let shown = media::shown(server.url.as_str());
        let sent = self.send((&url, &shown), None).await;
        let mut response = sent.map_err(|failed| failed.error)?;
        let mut body = Vec::new();
        loop {
            let piece = tokio::time::timeout(PIECE, response.chunk()).await;
            match piece {
                Ok(Ok(Some(piece))) if body.len() + piece.len() <= LIST_BYTES => {
                    body.extend_from_slice(&piece);
                }
                Ok(Ok(None)) => break,
                _ => return Err(cut_off(&shown, body.len() as u64, None)),
            }
        }
        let list: VersionList = serde_json::from_slice(&body).map_err(|error| {
            Error::new(
                Kind::Media,
                format!("{shown} has no list of drafts: the answer is not one"),
            )
            .hint("`--server` takes the address of `capcut-mcp serve --http`")
            .source(error)
        })?;
        Ok(list.drafts)
    }

    /// The address of a version.
    pub(crate) fn address(&self, version: &ListedVersion) -> Result<Url> {
        let server = self.server.as_ref().map(|server| &server.url);
        let parsed = match server {
            Some(server) => server.join(&version.download_url),
            None => Url::parse(&version.download_url),
        };
        parsed.map_err(|error| {
            Error::media(format!(
                "the link to the draft \"{}\" is not an address",
                version.name
            ))
            .source(error)
        })
    }

    fn too_large(&self, shown: &str) -> Error {
        Error::media(format!("{shown} has more than {} bytes", self.most))
            .hint("if you expect such a draft, raise `limits.delivery.pull_bytes` in `tools.toml`")
    }
}

/// Starts again from the beginning: the file has changed.
async fn restarted(file: &mut tokio::fs::File, shown: &str) -> FailedFetch {
    let _ = file.set_len(0).await;
    FailedFetch::again(Error::new(
        Kind::Unavailable,
        format!("{shown} changed while it was fetched"),
    ))
}

/// An answer with the file, a part of it, or the statement that there is no such part.
fn checked(response: Response, shown: &str) -> Result<Response, FailedFetch> {
    let status = response.status();
    let error = |kind, hint: &str| Error::new(kind, format!("{shown}: HTTP {status}")).hint(hint);
    let wait = response.headers().get(RETRY_AFTER);
    let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
    match status.as_u16() {
        200 | 206 | 416 => Ok(response),
        401 => Err(error(
            Kind::InvalidArgument,
            "the server wants a token: give it with `--token-file` or CAPCUT_MCP_TOKEN",
        )
        .into()),
        403 | 404 | 410 => Err(error(
            Kind::NotFound,
            "the link is not valid, or no longer: save the draft again, or ask for a new link",
        )
        .into()),
        429 | 503 => Err(FailedFetch {
            error: error(Kind::Busy, "the server is busy: repeat the command later"),
            again: Some(wait.map_or(Duration::from_secs(1), Duration::from_secs)),
        }),
        500.. => Err(FailedFetch::again(error(
            Kind::Unavailable,
            "the server failed: repeat the command later",
        ))),
        _ => Err(error(Kind::Media, "check the address").into()),
    }
}

/// A name for the file that a link leads to: a new link to the same file has the same one.
fn identity(url: &Url) -> String {
    let mut plain = url.clone();
    plain.set_fragment(None);
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| !is_of_signature(key))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    plain.set_query(None);
    if !kept.is_empty() {
        plain.query_pairs_mut().extend_pairs(kept);
    }
    marker::hash(plain.as_str().as_bytes())[..32].to_owned()
}

/// Whether a parameter is one of the signature of a link: of a server, or of object storage.
fn is_of_signature(key: &str) -> bool {
    let of_storage = |start: &str| {
        let found = key.get(..start.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(start))
    };
    matches!(key, "expires" | "signature") || of_storage("x-amz-")
}

fn state_of(path: &Path) -> PathBuf {
    path.with_extension("json")
}

fn size(file: &File, path: &Path) -> Result<u64> {
    let there = file.metadata().map_err(|error| unwritable(path, error))?;
    Ok(there.len())
}

/// Removes parts of files whose downloads were not continued for a long time.
fn remove_old(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_part = path.extension().is_some_and(|it| it == "part");
        let modified = entry.metadata().and_then(|there| there.modified());
        let age = modified.map(|then| SystemTime::now().duration_since(then).unwrap_or_default());
        let is_free = || File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_part && age.is_ok_and(|age| age > KEPT) && is_free() {
            let _ = fs::remove_file(&path);
            let _ = fs::remove_file(state_of(&path));
        }
    }
}

fn cut_off(shown: &str, bytes: u64, of: Option<u64>) -> Error {
    let of = of.map_or(String::new(), |of| format!(" of {of}"));
    Error::new(
        Kind::Unsent,
        format!("{shown} is cut off: the answer ended after {bytes}{of} bytes"),
    )
    .hint("repeat the command: it continues from there")
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space on this disk, and repeat the command: it continues from there"
        }
        _ => "check the permissions of the data folder",
    };
    Error::conflict(format!("{} cannot be written", path.display()))
        .hint(hint)
        .source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_link_continues_the_download_of_the_same_file() {
        let of = |text: &str| identity(&Url::parse(text).unwrap());
        let one = of("http://x/drafts/a.zip?tenant=t&key=k&expires=1&signature=2");
        assert_eq!(
            one,
            of("http://x/drafts/a.zip?tenant=t&key=k&expires=9&signature=8#top")
        );
        assert_ne!(
            one,
            of("http://x/drafts/a.zip?tenant=t&key=l&expires=1&signature=2")
        );
        assert_ne!(
            one,
            of("http://x/drafts/b.zip?tenant=t&key=k&expires=1&signature=2")
        );
    }

    #[test]
    fn a_new_link_of_object_storage_continues_the_download_too() {
        let of = |text: &str| identity(&Url::parse(text).unwrap());
        let one =
            of("http://s3/b/a.zip?X-Amz-Date=1&X-Amz-Signature=2&response-content-disposition=x");
        assert_eq!(
            one,
            of(
                "http://s3/b/a.zip?response-content-disposition=x&X-Amz-Date=3&X-Amz-Signature=4&X-Amz-Credential=c"
            )
        );
        assert_ne!(
            one,
            of("http://s3/b/b.zip?X-Amz-Date=1&response-content-disposition=x")
        );
    }

    #[test]
    fn a_server_is_an_http_address() {
        let url = |text: &str| NamedServer::new(text, None).map(|server| server.url.to_string());
        assert_eq!(url("http://nas:8080").unwrap(), "http://nas:8080/");
        assert_eq!(
            url("https://x.test/capcut/?a#b").unwrap(),
            "https://x.test/capcut/"
        );
        for text in ["", "nas", "nas:8080", "ftp://nas", "file:///x", "http://"] {
            assert!(url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_public_hosts_and_the_named_server_are_asked() {
        let folder = tempfile::tempdir().unwrap();
        let downloads = |server: Option<&str>| {
            let server = server.map(|server| NamedServer::new(server, None).unwrap());
            Downloads::new(
                folder.path().join("pull"),
                server,
                &["nas.lan".to_owned()],
                1,
            )
            .unwrap()
        };
        let may = |server, url: &str| {
            let url = Url::parse(url).unwrap();
            downloads(server).access.url(&url, "it").is_ok()
        };
        for private in [
            "http://127.0.0.1:1/",
            "http://10.0.0.1/",
            "http://[::1]/",
            "http://169.254.169.254/",
        ] {
            assert!(!may(None, private), "{private}");
            assert!(!may(Some("http://192.168.1.5"), private), "{private}");
            assert!(may(Some(private), private), "{private}");
        }
        assert!(may(None, "http://93.184.216.34/"));
        assert!(may(None, "http://nas.lan:9000/"));
    }
}
