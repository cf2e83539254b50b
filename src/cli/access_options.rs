//! Who may use a listener: `--no-auth`, `--behind-proxy`, `--audit-log`, `--tls-cert` and `--tls-key`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::access::AccessSettings;
use crate::access::tokens::{TokenSources, TokenStore};
use crate::error::{Error, Result};
use crate::http::Tls;
use crate::manifest::Manifest;
use crate::settings::Settings;

/// Without tokens (`capcut-mcp token add`) a listener serves only programs on its own machine.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct AccessOptions {
    /// Serves everyone who reaches the port, with the rights of this machine's user over the drafts, also without a token.
    #[arg(long)]
    no_auth: bool,
    /// A proxy on this machine forwards requests of others: every caller needs a token, local ones too.
    #[arg(long, conflicts_with = "no_auth")]
    behind_proxy: bool,
    /// Logs who did what to this file, one JSON object per line. It is rotated as the file of `--log-file`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) audit_log: Option<PathBuf>,
    /// Serves over TLS with the certificates in this PEM file, which is read again when it changes.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl AccessOptions {
    pub(super) fn is_open_to_all(&self) -> bool {
        self.no_auth
    }

    /// The TLS of the listener, if it has any.
    pub(super) fn tls(&self) -> Result<Option<Tls>> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Tls::new(certificate, key).map(Some),
            (None, None) => Ok(None),
            _ => Err(Error::invalid(
                "`--tls-cert` and `--tls-key` belong together",
            )),
        }
    }

    /// How the callers of the listener are identified.
    pub(super) fn settings(
        &self,
        settings: &Settings,
        manifest: &Manifest,
    ) -> Result<AccessSettings> {
        Ok(AccessSettings {
            tokens: TokenStore::new(settings.data_dir()?),
            sources: TokenSources {
                text: settings.tokens.as_ref().map(|tokens| tokens.0.clone()),
                file: settings.tokens_file.clone(),
            },
            jwt: manifest.auth.jwt.clone(),
            rates: manifest.rates,
            trusted_proxies: manifest.http.trusted_proxies.clone(),
            behind_proxy: self.behind_proxy,
            open_to_all: self.no_auth,
            audit_log: settings.audit_log.clone(),
        })
    }
}
