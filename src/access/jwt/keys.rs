//! The public keys of a provider, from its JWKS: fetched when they are needed, and again when they change.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::JwtFault;
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};
use crate::secrets;

/// The age at which keys are fetched again: a key that the provider has withdrawn is refused after this time.
const FRESH: Duration = Duration::from_hours(1);
/// How long keys are used while the provider cannot be reached.
const MOST_AGE: Duration = Duration::from_hours(24);
/// The shortest time between two fetches, also for tokens with unknown keys, which anyone can send.
const PAUSE: Duration = Duration::from_secs(30);
const FETCH_TIME: Duration = Duration::from_secs(10);
/// Providers have a few keys of some kilobytes.
const MOST_BYTES: usize = 1 << 20;

pub(super) struct ProviderKeys {
    source: KeySource,
    client: OnceCell<Client>,
    known: Mutex<KnownKeys>,
    /// Held while keys are fetched, so that one request fetches and the others wait.
    fetching: tokio::sync::Mutex<()>,
}

enum KeySource {
    Url(Url),
    File(PathBuf),
}

#[derive(Clone, Default)]
struct KnownKeys {
    keys: Arc<Vec<Jwk>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

#[derive(Deserialize)]
struct JwksDocument {
    keys: Vec<Value>,
}

/// Whether keys would be fetched over a network without TLS, where anyone could replace them.
pub(super) fn is_plain_remote(place: &str) -> bool {
    Url::parse(place).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        let is_here = host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        url.scheme() == "http" && !is_here
    })
}

impl ProviderKeys {
    pub(super) fn new(place: &str) -> Result<Self> {
        let source = match Url::parse(place) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => KeySource::Url(url),
            _ if Path::new(place).is_absolute() => KeySource::File(place.into()),
            _ => {
                return Err(Error::invalid(format!(
                    "`keys` of `[auth.jwt]` is {place:?}, which is neither an https:// address nor an absolute path"
                ))
                .hint("give the provider's `jwks_uri`, which is in its /.well-known/openid-configuration"));
            }
        };
        Ok(Self {
            source,
            client: OnceCell::new(),
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// The key of a token by the id in its header. A token without an id is accepted if only one key fits.
    pub(super) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, JwtFault> {
        let known = self.known();
        let is_fresh = known.fetched.is_some_and(|at| at.elapsed() < FRESH);
        if let Some(key) = key_of(&known.keys, kid, algorithm).filter(|_| is_fresh) {
            return Ok(key);
        }
        let failed = self.refresh().await.err();
        let known = self.known();
        let is_usable = known.fetched.is_some_and(|at| at.elapsed() < MOST_AGE);
        match (key_of(&known.keys, kid, algorithm), failed) {
            (Some(key), _) if is_usable => Ok(key),
            (None, None) if is_usable => {
                Err(JwtFault::Wrong("the provider has no key for it".to_owned()))
            }
            (_, Some(error)) => Err(JwtFault::Unavailable(error)),
            (_, None) => Err(JwtFault::Unavailable(Error::new(
                Kind::Unavailable,
                "the provider's keys could not be fetched a moment ago",
            ))),
        }
    }

    fn known(&self) -> KnownKeys {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Fetches the keys unless that was tried a moment ago.
    async fn refresh(&self) -> Result<()> {
        let _one = self.fetching.lock().await;
        if self.known().tried.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(());
        }
        let fetched = self.fetch().await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.tried = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                known.keys = Arc::new(keys);
                known.fetched = Some(Instant::now());
                Ok(())
            }
            Err(error) => {
                tracing::warn!("{}", error.cause());
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Jwk>> {
        let (place, bytes) = match &self.source {
            KeySource::File(path) => {
                let bytes = regular_file::read(path, MOST_BYTES as u64, Links::Follow);
                let place = path.display().to_string();
                (
                    place.clone(),
                    bytes.map_err(|error| unfetched(&place).source(error))?,
                )
            }
            KeySource::Url(url) => {
                let place = secrets::address(url.as_str());
                let bytes = tokio::time::timeout(FETCH_TIME, self.download(url)).await;
                let bytes = bytes.map_err(|_| {
                    unfetched(&place).source(format!("no answer within {} s", FETCH_TIME.as_secs()))
                })?;
                (
                    place.clone(),
                    bytes.map_err(|what| unfetched(&place).source(what))?,
                )
            }
        };
        let document: JwksDocument = serde_json::from_slice(&bytes)
            .map_err(|error| unfetched(&place).source(format!("it is not a JWKS: {error}")))?;
        // Keys of other kinds can be in the same set.
        let keys = document.keys.into_iter();
        let keys: Vec<Jwk> = keys
            .filter_map(|key| serde_json::from_value(key).ok())
            .collect();
        tracing::debug!("{} keys at {place}", keys.len());
        Ok(keys)
    }

    async fn download(&self, url: &Url) -> std::result::Result<Vec<u8>, String> {
        let client = self.client.get_or_try_init(async || {
            // Fails if it is installed already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            Client::builder()
                .user_agent(concat!("capcut-mcp/", env!("CARGO_PKG_VERSION")))
                // The keys decide who is served: they come from the configured address and from no other.
                .redirect(reqwest::redirect::Policy::none())
                .build()
        });
        let client = client.await.map_err(|error| error.to_string())?;
        let mut answer = client
            .get(url.clone())
            .send()
            .await
            .map_err(|error| error.without_url().to_string())?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(format!("the provider answered {}", answer.status()));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = answer
            .chunk()
            .await
            .map_err(|error| error.without_url().to_string())?
        {
            if bytes.len() + piece.len() > MOST_BYTES {
                return Err(format!("the answer is larger than {MOST_BYTES} bytes"));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

fn unfetched(place: &str) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("the provider's keys cannot be read from {place}"),
    )
    .hint("check `keys` of `[auth.jwt]`, and whether this machine reaches the provider")
}

fn key_of(keys: &[Jwk], kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let mut fitting = keys.iter().filter(|key| {
        let is_named = kid.is_none() || key.common.key_id.as_deref() == kid;
        is_named && fits(key, algorithm)
    });
    let found = fitting.next()?;
    if kid.is_none() && fitting.next().is_some() {
        return None;
    }
    DecodingKey::from_jwk(found).ok()
}

/// Whether a key is for signatures of this algorithm.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(_) => AlgorithmFamily::Ec,
        AlgorithmParameters::OctetKeyPair(_) => AlgorithmFamily::Ed,
        // Shared keys do not belong into a public set.
        _ => return false,
    };
    let common = &key.common;
    let is_for_signatures = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let own: KeyAlgorithm = algorithm.into();
    kind.algorithms().contains(&algorithm)
        && is_for_signatures
        && common.key_algorithm.is_none_or(|named| named == own)
}
