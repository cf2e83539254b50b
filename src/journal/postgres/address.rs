//! The address of a database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE`, as other
//! programs have it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::tls::{self, Verified};
use crate::error::{Error, Result};

/// A connection that was interrupted without a message is noticed after this time.
const SILENCE: Duration = Duration::from_secs(5);

/// Where a database is, and how it is reached.
#[derive(Clone)]
pub(super) struct DatabaseAddress {
    pub config: Config,
    pub tls: tls::Connector,
    /// For messages: without the password.
    shown: String,
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// `database "drafts" on db.example.com:5432 as user "capcut"`.
impl fmt::Display for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

const FORM: &str = "write it as postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full; special characters of the password are written as % and two hexadecimal digits";

impl DatabaseAddress {
    /// # Errors
    /// If the address is not valid or the certificates of `sslrootcert` cannot be read. No message contains the password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let wrong =
            |what: String| Error::invalid(format!("the address of the store {what}")).hint(FORM);
        let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
        // The part after the first `@` would be taken for a host, and be in messages.
        if address.matches('@').count() > 1 {
            return Err(wrong("has more than one `@`".to_owned()));
        }
        let mut mode = None;
        let mut roots = None;
        let mut others = Vec::new();
        for parameter in parameters.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "sslmode" => mode = Some(ssl_mode(value).ok_or_else(|| {
                    wrong(format!(
                        "has `sslmode={value}`, which is not `disable`, `prefer`, `require`, `verify-ca` or `verify-full`"
                    ))
                })?),
                "sslrootcert" => roots = Some(PathBuf::from(crate::access::percent_decoded(value))),
                _ => others.push(parameter),
            }
        }
        let rest = if others.is_empty() {
            address.to_owned()
        } else {
            format!("{address}?{}", others.join("&"))
        };
        let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| {
            // The reason names a parameter, never a value.
            let reason = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            wrong(format!("is not valid: {reason}"))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("names no host".to_owned()));
        }
        if config.get_user().is_none() {
            return Err(wrong("names no user".to_owned()));
        }
        if config.get_dbname().is_none() {
            return Err(wrong("names no database".to_owned()));
        }
        let local = config.get_hosts().iter().all(is_socket) && !config.get_hosts().is_empty();
        let (mode, verified) = match mode {
            // There is no TLS on a socket in the file system.
            _ if local => (SslMode::Disable, Verified::Nothing),
            None => (SslMode::Prefer, Verified::Nothing),
            // As other programs do: with certificates, those that issue are verified.
            Some((SslMode::Require, Verified::Nothing)) if roots.is_some() => {
                (SslMode::Require, Verified::Issuer)
            }
            Some(mode) => mode,
        };
        config.ssl_mode(mode);
        if config.get_application_name().is_none() {
            config.application_name("capcut-mcp");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(SILENCE);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        Ok(Self {
            shown: shown(&config),
            tls: tls::Connector::new(verified, roots.as_deref())?,
            config,
        })
    }
}

fn ssl_mode(value: &str) -> Option<(SslMode, Verified)> {
    Some(match value {
        "disable" => (SslMode::Disable, Verified::Nothing),
        "prefer" => (SslMode::Prefer, Verified::Nothing),
        "require" => (SslMode::Require, Verified::Nothing),
        "verify-ca" => (SslMode::Require, Verified::Issuer),
        "verify-full" => (SslMode::Require, Verified::Host),
        _ => return None,
    })
}

#[cfg(unix)]
fn is_socket(host: &Host) -> bool {
    matches!(host, Host::Unix(_))
}

#[cfg(not(unix))]
fn is_socket(_: &Host) -> bool {
    false
}

fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let mut hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(at, host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(at)),
            #[cfg(unix)]
            Host::Unix(path) => format!("{}/.s.PGSQL.{}", path.display(), port(at)),
        })
        .collect();
    if hosts.is_empty() {
        let addresses = config.get_hostaddrs().iter().enumerate();
        hosts.extend(addresses.map(|(at, address)| format!("{address}:{}", port(at))));
    }
    format!(
        "database {:?} on {} as user {:?}",
        config.get_dbname().unwrap_or_default(),
        hosts.join(", "),
        config.get_user().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, shown) in [
            (
                "postgres://capcut:hunter2%40x@db.example.com/drafts?sslmode=verify-full",
                "database \"drafts\" on db.example.com:5432 as user \"capcut\"",
            ),
            (
                "postgresql://capcut:hunter2@one:6000,two:6001/drafts?target_session_attrs=read-write",
                "database \"drafts\" on one:6000, two:6001 as user \"capcut\"",
            ),
        ] {
            let address = DatabaseAddress::parse(url).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), shown);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_reached_without_tls() {
        let address =
            DatabaseAddress::parse("postgres://me@%2Frun%2Fpg:6000/d?sslmode=require").unwrap();
        assert_eq!(address.config.get_ssl_mode(), SslMode::Disable);
        assert!(address.to_string().contains("/run/pg/.s.PGSQL.6000"));
    }

    #[test]
    fn a_wrong_address_is_refused_without_its_password() {
        for (url, part) in [
            ("postgres://me:hun@ter2@host/d", "more than one `@`"),
            ("postgres://me:hunter2@host/d?sslmode=on", "sslmode=on"),
            ("postgres://me:hunter2@host/d?colour=red", "colour"),
            ("postgres://me:hunter2@host:x/d", "port"),
            ("postgres://me:hunter2@host", "no database"),
            ("postgres://host/d", "no user"),
            ("postgres://me:hunter2@/d", "no host"),
            (
                "postgres://me:hunter2@host/d?sslmode=verify-ca&sslrootcert=/nowhere.pem",
                "/nowhere.pem",
            ),
        ] {
            let error = DatabaseAddress::parse(url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("ter2"), "{url}: {error}");
        }
    }
}
