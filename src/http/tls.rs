//! TLS of a listener, with a certificate and a key from files, which may be replaced while the server runs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links};

/// How often the files are looked at, at most: by the first new connection after this time.
const LOOK: Duration = Duration::from_secs(1);
/// The time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Chains have a few certificates of some kilobytes.
const MOST_BYTES: u64 = 1 << 20;

/// Accepts TLS on the connections of a listener.
#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    /// With the PEM files of a certificate chain and of its private key.
    pub(crate) fn new(certificate: &Path, key: &Path) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let files = CertificateFiles::open(certificate, key, Arc::clone(&provider))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal("TLS cannot be set up").source(error))?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::new(files));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Completes the handshake of a new connection.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        tokio::time::timeout(HANDSHAKE, self.0.accept(stream))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// A certificate and its key, read again when a file changes.
struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    loaded: Mutex<LoadedCertificate>,
}

struct LoadedCertificate {
    at: Instant,
    /// The content of both files when they were last looked at, also if they could not be used.
    bytes: (Vec<u8>, Vec<u8>),
    certified: Arc<CertifiedKey>,
}

impl CertificateFiles {
    fn open(certificate: &Path, key: &Path, provider: Arc<CryptoProvider>) -> Result<Self> {
        let bytes = (read("--tls-cert", certificate)?, read("--tls-key", key)?);
        let certified = certified(&provider, certificate, key, &bytes)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            provider,
            loaded: Mutex::new(LoadedCertificate {
                at: Instant::now(),
                bytes,
                certified: Arc::new(certified),
            }),
        })
    }

    /// The certificate; the last one that could be used if the files are damaged or only one of them is replaced yet.
    fn current(&self) -> Arc<CertifiedKey> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.at.elapsed() >= LOOK {
            loaded.at = Instant::now();
            let read = read("--tls-cert", &self.certificate)
                .and_then(|certificate| Ok((certificate, read("--tls-key", &self.key)?)));
            match read {
                Ok(bytes) if bytes == loaded.bytes => {}
                Ok(bytes) => {
                    match certified(&self.provider, &self.certificate, &self.key, &bytes) {
                        Ok(certified) => {
                            tracing::info!("the certificate of the listener was replaced");
                            loaded.certified = Arc::new(certified);
                        }
                        Err(error) => {
                            tracing::warn!("the last certificate stays in use: {}", error.cause());
                        }
                    }
                    loaded.bytes = bytes;
                }
                Err(error) => {
                    tracing::warn!("the last certificate stays in use: {}", error.cause());
                }
            }
        }
        Arc::clone(&loaded.certified)
    }
}

impl fmt::Debug for CertificateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateFiles")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// Links are followed: tools that renew certificates replace links.
fn read(option: &str, path: &Path) -> Result<Vec<u8>> {
    regular_file::read(path, MOST_BYTES, Links::Follow).map_err(|error| {
        Error::new(
            Kind::Unavailable,
            format!("`{option}`: {} cannot be read", path.display()),
        )
        .hint("give the path of a PEM file that this user can read")
        .source(error)
    })
}

fn certified(
    provider: &CryptoProvider,
    certificate: &Path,
    key: &Path,
    (certificate_bytes, key_bytes): &(Vec<u8>, Vec<u8>),
) -> Result<CertifiedKey> {
    let chain: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(certificate_bytes).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| {
        Error::invalid(format!(
            "`--tls-cert`: {} is not a PEM file with certificates",
            certificate.display()
        ))
        .hint("it begins with -----BEGIN CERTIFICATE-----; the server's own certificate comes first")
    })?;
    let private = PrivateKeyDer::from_pem_slice(key_bytes).map_err(|_| {
        Error::invalid(format!(
            "`--tls-key`: {} is not a PEM file with a private key",
            key.display()
        ))
        .hint("it begins with -----BEGIN PRIVATE KEY-----, and is not encrypted")
    })?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| {
        Error::invalid(format!(
            "the key in {} is not that of the certificate in {}",
            key.display(),
            certificate.display()
        ))
        .hint("use the two files that were made together")
        .source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");

    fn data(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(FOLDER).join(name)).expect(name)
    }

    #[test]
    fn files_that_are_replaced_are_used_as_soon_as_they_fit_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("cert"), folder.path().join("key"));
        std::fs::write(&certificate, data("one.crt")).expect("written");
        std::fs::write(&key, data("one.key")).expect("written");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let files = CertificateFiles::open(&certificate, &key, provider).expect("files");
        let shown = || {
            files.loaded.lock().unwrap().at = Instant::now().checked_sub(LOOK).expect("uptime");
            files.current().cert[0].to_vec()
        };
        let first = shown();
        std::fs::write(&certificate, data("two.crt")).expect("written");
        assert_eq!(shown(), first, "the key is still that of the first");
        std::fs::write(&key, data("two.key")).expect("written");
        let second = shown();
        assert_ne!(second, first);
        for damaged in [&b""[..], b"-----BEGIN CERTIFICATE-----\nx", b"\0\0"] {
            std::fs::write(&certificate, damaged).expect("written");
            assert_eq!(shown(), second);
        }
        std::fs::remove_file(&certificate).expect("removed");
        assert_eq!(shown(), second);
    }

    #[test]
    fn wrong_files_are_named() {
        let path = |name: &str| Path::new(FOLDER).join(name);
        let error = |certificate: &str, key: &str| {
            Tls::new(&path(certificate), &path(key))
                .err()
                .expect("wrong")
                .to_string()
        };
        assert!(error("none", "one.key").contains("`--tls-cert`"));
        assert!(error("one.crt", "none").contains("`--tls-key`"));
        assert!(error("one.key", "one.key").contains("not a PEM file with certificates"));
        assert!(error("one.crt", "one.crt").contains("not a PEM file with a private key"));
        assert!(error("one.crt", "two.key").contains("is not that of the certificate"));
    }
}
