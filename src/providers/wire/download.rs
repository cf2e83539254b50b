//! Fetches results: from the service itself with its key, from other addresses without it.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, LOCATION};
use reqwest::{Client, Response, Url};
use tokio::io::AsyncWriteExt as _;

use super::{CONNECT, ServiceWire, too_large, url};
use crate::caller::{Access, Allowed, Caller, From, Manner};
use crate::error::{Error, Kind, Origin, Result};
use crate::media::http::{client, innermost, is_host_refused};
use crate::providers::kinds;
use crate::providers::section::is_here;
use crate::providers::service::{AssetContent, ServiceSettings, in_seconds};
use crate::secrets;

const REDIRECTS: usize = 5;
const TRIES: u32 = 3;
/// Time limit for the start of an answer, and between two pieces of it.
const STALL: Duration = Duration::from_secs(30);
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(300);

/// The clients for results, which use no proxy: they check the addresses of hosts.
#[derive(Default)]
pub(super) struct DownloadClients {
    /// Connects only to public addresses.
    public: OnceLock<Client>,
    /// Connects to any address: for the results of services on this machine.
    any: Mutex<Option<Client>>,
}

impl DownloadClients {
    fn public(&self) -> Result<Client> {
        if let Some(client) = self.public.get() {
            return Ok(client.clone());
        }
        let made = client(CONNECT, &public())?;
        Ok(self.public.get_or_init(|| made).clone())
    }

    fn any(&self) -> Result<Client> {
        let mut kept = self.any.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        let made = client(CONNECT, &Caller::user().access)?;
        Ok(kept.insert(made).clone())
    }
}

/// What a stranger may reach: public addresses.
fn public() -> Arc<Access> {
    Caller::client(Manner::Strict, From::Network, &Arc::new(Allowed::default())).access
}

/// A failed try, and whether another one makes sense.
struct FailedDownload {
    error: Error,
    again: bool,
}

impl std::convert::From<Error> for FailedDownload {
    fn from(error: Error) -> Self {
        Self {
            error,
            again: false,
        }
    }
}

impl FailedDownload {
    fn for_now(error: Error) -> Self {
        Self { error, again: true }
    }
}

impl ServiceWire {
    /// Fetches a result into a file that is complete, or not there after an error. Fetching is free, so it is tried
    /// three times.
    ///
    /// # Errors
    /// If the address is not allowed: it has neither TLS nor, like the service, is on this machine, or is in a private
    /// network. If the file is larger than `most_bytes`, or does not arrive within `timeout`.
    pub(in crate::providers) async fn download(
        &self,
        settings: &ServiceSettings,
        content: &AssetContent,
        to: &Path,
        most_bytes: u64,
        timeout: Duration,
    ) -> Result<()> {
        let (url, own) = match content {
            AssetContent::Url(url) => (url.clone(), false),
            AssetContent::Own(path) => (url(settings, path)?, true),
            _ => return Err(Error::internal("this result has no address")),
        };
        let fetched = async {
            let mut pause = PAUSE;
            for left in (0..TRIES).rev() {
                match self.fetch(settings, &url, own, to, most_bytes).await {
                    Ok(()) => return Ok(()),
                    Err(failed) if failed.again && left > 0 => {
                        tracing::info!(error = %failed.error.message, "a result is fetched again");
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                    }
                    Err(failed) => return Err(failed.error),
                }
            }
            Err(Error::internal("no try is left"))
        };
        let done = tokio::time::timeout(timeout, fetched)
            .await
            .unwrap_or_else(|_| {
                Err(Error::new(
                    Kind::Timeout,
                    format!(
                        "provider `{}`: the result did not arrive within {} s from {}",
                        settings.name,
                        in_seconds(timeout),
                        shown(&url)
                    ),
                ))
            });
        if done.is_err() {
            // Part of a file would look like a result.
            let _ = tokio::fs::remove_file(to).await;
        }
        done
    }

    async fn fetch(
        &self,
        settings: &ServiceSettings,
        url: &Url,
        own: bool,
        to: &Path,
        most_bytes: u64,
    ) -> Result<(), FailedDownload> {
        let base = super::url(settings, "")?;
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let is_own_host = url.origin() == base.origin();
            check(settings, &base, &url)?;
            let client = if is_own_host {
                self.client(&url)?
            } else if is_here(&base) {
                self.downloads.any()?
            } else {
                self.downloads.public()?
            };
            let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if own && is_own_host {
                for (name, value) in kinds::credentials(settings)? {
                    request = request.header(name, value);
                }
            }
            let sent = tokio::time::timeout(STALL, request.send()).await;
            let response = sent
                .map_err(|_| stalled(settings, &url, 0))?
                .map_err(|error| unreached(settings, &url, error))?;
            let status = response.status().as_u16();
            if !(300..400).contains(&status) {
                return if status == 200 {
                    save(settings, &url, response, to, most_bytes).await
                } else {
                    Err(refused(settings, &url, status))
                };
            }
            let next = response
                .headers()
                .get(LOCATION)
                .and_then(|location| url.join(&String::from_utf8_lossy(location.as_bytes())).ok());
            let Some(next) = next else {
                return Err(wrong(
                    settings,
                    &url,
                    &format!("HTTP {status} without a usable `Location`"),
                )
                .into());
            };
            url = next;
        }
        Err(wrong(settings, &url, &format!("more than {REDIRECTS} redirects")).into())
    }
}

/// Refuses addresses over which a result must not be fetched.
fn check(settings: &ServiceSettings, base: &Url, url: &Url) -> Result<()> {
    if url.origin() == base.origin() {
        return Ok(());
    }
    let both_here = is_here(base) && is_here(url);
    if url.scheme() != "https" && !(url.scheme() == "http" && both_here) {
        return Err(wrong(
            settings,
            url,
            &format!(
                "its address is `{}`; only https is fetched, and http from this machine for a service on this machine",
                url.scheme()
            ),
        ));
    }
    if !is_here(base) {
        public()
            .url(url, &shown(url))
            .map_err(|_| not_public(settings, url))?;
    }
    Ok(())
}

fn wrong(settings: &ServiceSettings, url: &Url, problem: &str) -> Error {
    Error::media(format!(
        "provider `{}`: the result at {} cannot be fetched: {problem}",
        settings.name,
        shown(url)
    ))
}

fn not_public(settings: &ServiceSettings, url: &Url) -> Error {
    wrong(
        settings,
        url,
        "its address is in a private network, and the service is not on this machine",
    )
}

/// An address without its query, which is often a signature.
fn shown(url: &Url) -> String {
    secrets::address(url.as_str())
}

fn unreached(settings: &ServiceSettings, url: &Url, error: reqwest::Error) -> FailedDownload {
    if is_host_refused(&error) {
        return not_public(settings, url).into();
    }
    let host = url.host_str().unwrap_or_default();
    let problem = if error.is_connect() {
        format!("no connection to {host}")
    } else {
        format!("{host} closed the connection before it answered")
    };
    let mut failed = wrong(settings, url, &problem)
        .with_origin(Origin::Connection)
        .source(innermost(&error.without_url()));
    failed.kind = Kind::Unavailable;
    FailedDownload::for_now(failed)
}

fn stalled(settings: &ServiceSettings, url: &Url, bytes: u64) -> FailedDownload {
    let seconds = STALL.as_secs();
    let problem = format!("nothing arrived for {seconds} s after {bytes} bytes");
    FailedDownload::for_now(Error {
        kind: Kind::Timeout,
        ..wrong(settings, url, &problem)
    })
}

fn refused(settings: &ServiceSettings, url: &Url, status: u16) -> FailedDownload {
    let error = wrong(settings, url, &format!("HTTP {status}"));
    match status {
        // A new file may not be there yet at every server.
        404 | 408 | 425 | 429 | 500.. => FailedDownload::for_now(Error {
            kind: Kind::Unavailable,
            ..error
        }),
        401 | 403 | 410 => error
            .hint("the address may have expired: results are kept by services for a limited time")
            .into(),
        _ => error.into(),
    }
}

async fn save(
    settings: &ServiceSettings,
    url: &Url,
    mut response: Response,
    to: &Path,
    most_bytes: u64,
) -> Result<(), FailedDownload> {
    let on_disk = |error| {
        Error::internal(format!("{} cannot be written", to.display()))
            .source(error)
            .hint("check the free space and the permissions of the data folder")
    };
    let total = response.content_length();
    if total.is_some_and(|total| total > most_bytes) {
        return Err(too_large(settings, most_bytes).into());
    }
    let broken = |problem: String| {
        let mut error = wrong(settings, url, &problem);
        error.kind = Kind::Unavailable;
        FailedDownload::for_now(error)
    };
    let mut file = tokio::fs::File::create(to).await.map_err(on_disk)?;
    let mut bytes = 0;
    loop {
        let chunk = tokio::time::timeout(STALL, response.chunk())
            .await
            .map_err(|_| stalled(settings, url, bytes))?
            .map_err(|error| {
                let cause = innermost(&error.without_url());
                broken(format!("it broke off after {bytes} bytes: {cause}"))
            })?;
        let Some(chunk) = chunk else { break };
        bytes += chunk.len() as u64;
        if bytes > most_bytes {
            return Err(too_large(settings, most_bytes).into());
        }
        file.write_all(&chunk).await.map_err(on_disk)?;
    }
    file.flush().await.map_err(on_disk)?;
    match total {
        Some(total) if total != bytes => Err(broken(format!("it has {bytes} of {total} bytes"))),
        _ if bytes == 0 => Err(broken("it is empty".to_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Script, ScriptedServer, serve, serve_with, settings_at};
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    async fn download(base: &str, content: &AssetContent, most: u64) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("asset");
        let wire = ServiceWire::new();
        let done = wire
            .download(&settings_at(base), content, &to, most, LIMIT)
            .await;
        assert_eq!(to.exists(), done.is_ok());
        done.map(|()| std::fs::read(&to).unwrap())
    }

    fn at(server: &ScriptedServer, path: &str) -> AssetContent {
        let url = Url::parse(&server.url).unwrap().join(path).unwrap();
        AssetContent::Url(url)
    }

    #[tokio::test]
    async fn a_result_of_the_service_itself_is_fetched_with_its_key() {
        let server = serve(vec![Script::text(200, "", "film")]);
        let content = AssetContent::Own("/videos/v1/content".to_owned());
        assert_eq!(download(&server.url, &content, 100).await.unwrap(), b"film");
        let asked = server.asked();
        assert!(
            asked[0].starts_with("GET /v1/videos/v1/content "),
            "{asked:?}"
        );
        assert!(asked[0].contains("authorization: Bearer"), "{asked:?}");
    }

    #[tokio::test]
    async fn other_addresses_get_no_key_also_after_redirects() {
        let other = serve(vec![
            Script::text(200, "", "picture"),
            Script::text(200, "", "film"),
        ]);
        let there = other.url.replace("/v1", "/files/a.png?sig=1");
        let server = serve_with(|_| {
            let to = format!("Location: {there}\r\n");
            vec![Script::text(302, &to, ""), Script::text(302, &to, "")]
        });
        let content = at(&server, "/go");
        assert_eq!(
            download(&server.url, &content, 100).await.unwrap(),
            b"picture"
        );
        let content = AssetContent::Own("/videos/v1/content".to_owned());
        assert_eq!(download(&server.url, &content, 100).await.unwrap(), b"film");
        assert!(!server.asked()[0].contains("authorization"));
        assert!(server.asked()[1].contains("authorization"));
        for asked in other.asked() {
            assert!(
                !asked.contains("authorization") && asked.starts_with("GET /files/a.png?sig=1 "),
                "{asked}"
            );
        }
    }

    #[tokio::test]
    async fn broken_downloads_are_repeated_until_they_are_complete() {
        let server = serve(vec![
            Script::raw(""),
            Script::raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut"),
            Script::text(200, "", "whole"),
        ]);
        assert_eq!(
            download(&server.url, &at(&server, "/a"), 100)
                .await
                .unwrap(),
            b"whole"
        );
        let server = serve(vec![
            Script::text(503, "", ""),
            Script::text(200, "", ""),
            Script::text(404, "", ""),
        ]);
        let error = download(&server.url, &at(&server, "/a?secret=1"), 100)
            .await
            .unwrap_err();
        assert_eq!(server.asked().len(), 3);
        assert!(
            error.message.contains("404") && !error.message.contains("secret"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_does_not_help_is_not_repeated() {
        let server = serve(vec![Script::text(403, "", "expired")]);
        let error = download(&server.url, &at(&server, "/a"), 100)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("expired"), "{error}");
        for script in [
            Script::text(200, "", "too long"),
            Script::raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ntoo long"),
        ] {
            let server = serve(vec![script]);
            let error = download(&server.url, &at(&server, "/a"), 4)
                .await
                .unwrap_err();
            assert!(error.message.contains("more than 4 bytes"), "{error}");
        }
    }

    #[tokio::test]
    async fn redirects_have_a_limit() {
        let server = serve(vec![Script::text(302, "Location: /again\r\n", ""); 6]);
        let error = download(&server.url, &at(&server, "/a"), 100)
            .await
            .unwrap_err();
        assert!(error.message.contains("5 redirects"), "{error}");
        assert_eq!(server.asked().len(), 6);
    }

    #[test]
    fn only_safe_addresses_are_fetched() {
        let allowed = |base: &str, url: &str| {
            let (base, url) = (Url::parse(base).unwrap(), Url::parse(url).unwrap());
            check(&settings_at(base.as_str()), &base, &url).is_ok()
        };
        let (far, here) = ("https://api.example.com/v1", "http://127.0.0.1:8000/v1");
        assert!(allowed(far, "https://cdn.example.com/a.png?sig=1"));
        assert!(allowed(far, "https://api.example.com/files/a.png"));
        assert!(allowed(here, "http://127.0.0.1:9000/a.png"));
        assert!(allowed(here, "http://localhost:9000/a.png"));
        assert!(allowed(here, "https://192.168.1.5/a.png"));
        assert!(allowed(
            "https://192.168.1.5/v1",
            "https://192.168.1.5/a.png"
        ));
        for url in [
            "http://cdn.example.com/a.png",
            "http://127.0.0.1:9000/a.png",
            "https://127.0.0.1/a.png",
            "https://192.168.1.5/a.png",
            "https://[::1]/a.png",
            "https://169.254.169.254/latest/meta-data",
            "ftp://cdn.example.com/a.png",
            "file:///etc/passwd",
        ] {
            assert!(!allowed(far, url), "{url}");
        }
        assert!(!allowed(here, "http://192.168.1.5/a.png"));
        assert!(!allowed(here, "file:///etc/passwd"));
    }

    #[tokio::test]
    async fn names_of_private_addresses_are_refused() {
        // Only its resolution shows where it is.
        let url = Url::parse("https://localhost/a.png").unwrap();
        let wire = ServiceWire::new();
        let folder = tempfile::tempdir().unwrap();
        let settings = settings_at("https://api.example.com/v1");
        let content = AssetContent::Url(url);
        let to = folder.path().join("a");
        let done = wire.download(&settings, &content, &to, 10, LIMIT).await;
        let error = done.unwrap_err();
        assert!(error.message.contains("private network"), "{error}");
    }
}
