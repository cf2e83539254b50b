//! TLS to a database.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Kind, Result};

/// How much is verified of the server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verified {
    Nothing,
    /// Who issued it.
    Issuer,
    /// The issuer and the name of the host.
    Host,
}

/// Makes connections with the certificates that the address of the store asks for.
#[derive(Clone)]
pub(super) struct Connector(pub MakeRustlsConnect);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// `roots`: a PEM file of issuers; `None`: those that the operating system trusts.
    pub(super) fn new(verified: Verified, roots: Option<&Path>) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unusable = |error: rustls::Error| Error::internal("TLS cannot be set up").source(error);
        let issuers: Option<Arc<dyn ServerCertVerifier>> = match (verified, roots) {
            (Verified::Nothing, _) => None,
            (_, None) => Some(Arc::new(
                rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(unusable)?,
            )),
            (_, Some(path)) => Some(
                WebPkiServerVerifier::builder_with_provider(
                    Arc::new(read_roots(path)?),
                    Arc::clone(&provider),
                )
                .build()
                .map_err(|error| unreadable(path).source(error))?,
            ),
        };
        let verifier = CertificateVerifier {
            verified,
            issuers,
            provider: Arc::clone(&provider),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self(MakeRustlsConnect::new(config)))
    }
}

fn unreadable(path: &Path) -> Error {
    Error::new(
        Kind::InvalidArgument,
        format!(
            "`sslrootcert={}` cannot be used as a file of certificates",
            path.display()
        ),
    )
    .hint("name a PEM file with the certificate that issued the server's")
}

fn read_roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| unreadable(path).source(error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(path).source(error))?;
        roots
            .add(certificate)
            .map_err(|error| unreadable(path).source(error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(path));
    }
    Ok(roots)
}

/// Verifies as much as `sslmode` asks for.
#[derive(Debug)]
struct CertificateVerifier {
    verified: Verified,
    issuers: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(issuers) = &self.issuers else {
            return Ok(ServerCertVerified::assertion());
        };
        let seen =
            issuers.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match seen {
            // The name is compared after the issuer was verified.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.verified == Verified::Issuer => Ok(ServerCertVerified::assertion()),
            seen => seen,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
