//! Which local folders and which hosts may be read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use reqwest::Url;

use super::unreadable;
use crate::error::{Error, Result};

/// What a caller may make this program read.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    rules: Option<Rules>,
}

/// What others may ask of a listener on the network.
#[derive(Clone, Debug)]
struct Rules {
    hosts: Vec<String>,
    folders: Vec<PathBuf>,
}

impl Access {
    /// Everything that the user may read: for what runs as the user and for the user alone.
    pub(crate) fn user() -> Self {
        Self { rules: None }
    }

    /// Public hosts and this machine's loopback; other hosts by name or address (`*.lan` for all
    /// names below one); of local files only what lies in `folders`.
    pub(crate) fn network(
        hosts: impl IntoIterator<Item = String>,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        let host = |host: String| host.trim().trim_matches(['[', ']']).to_ascii_lowercase();
        Self {
            rules: Some(Rules {
                hosts: hosts.into_iter().map(host).collect(),
                folders: folders.into_iter().collect(),
            }),
        }
    }

    /// Everything is allowed, so that nothing needs to be looked at.
    pub(super) fn is_open(&self) -> bool {
        self.rules.is_none()
    }

    /// The real place of a file, if it may be read.
    pub(super) async fn file(&self, path: &Path, shown: &str) -> Result<PathBuf> {
        let real = tokio::fs::canonicalize(path).await;
        let Some(rules) = &self.rules else {
            return real.map_err(|error| unreadable(shown, error));
        };
        let refused = || {
            Error::invalid(format!(
                "{shown} may not be read: it is not in a folder that was allowed"
            ))
            .hint(if rules.folders.is_empty() {
                "allow its folder with `--allow-dir`, or give an http(s) address".to_owned()
            } else {
                let folders: Vec<_> = rules
                    .folders
                    .iter()
                    .map(|f| f.display().to_string())
                    .collect();
                format!("allowed with `--allow-dir`: {}", folders.join(", "))
            })
        };
        for folder in &rules.folders {
            let Ok(folder_real) = tokio::fs::canonicalize(folder).await else {
                continue;
            };
            match &real {
                Ok(real) if real.starts_with(&folder_real) => return Ok(real.clone()),
                // Whether a file exists is told only of the folders that may be read.
                Err(error)
                    if !path.components().any(|part| part.as_os_str() == "..")
                        && parent_within(path, &folder_real).await =>
                {
                    return Err(unreadable(shown, std::io::Error::from(error.kind())));
                }
                _ => {}
            }
        }
        Err(refused())
    }

    /// Refuses an address whose host is a number that may not be asked. Names are looked at when
    /// they are resolved, by [`Access::addresses`].
    pub(super) fn url(&self, url: &Url, shown: &str) -> Result<()> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::invalid(format!(
                "{shown} leads to a `{}` address",
                url.scheme()
            )));
        }
        let host = url.host_str().unwrap_or_default();
        let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() else {
            return Ok(());
        };
        if self.addresses(host, [address]).is_empty() {
            return Err(refused_host(shown, host));
        }
        Ok(())
    }

    /// Those of a host's addresses that may be connected to.
    pub(super) fn addresses<A: AsIp>(
        &self,
        host: &str,
        addresses: impl IntoIterator<Item = A>,
    ) -> Vec<A> {
        let named = self.rules.as_ref().is_none_or(|rules| rules.names(host));
        addresses
            .into_iter()
            .filter(|address| {
                let ip = address.ip();
                named
                    || ip.is_loopback()
                    || is_public(ip)
                    || self
                        .rules
                        .as_ref()
                        .is_some_and(|rules| rules.names(&ip.to_string()))
            })
            .collect()
    }
}

impl Rules {
    fn names(&self, host: &str) -> bool {
        let host = host
            .trim_matches(['[', ']'])
            .trim_end_matches('.')
            .to_ascii_lowercase();
        self.hosts
            .iter()
            .any(|allowed| match allowed.strip_prefix('*') {
                Some(end) => end.starts_with('.') && host.ends_with(end),
                None => *allowed == host,
            })
    }
}

/// An address, with or without a port.
pub(super) trait AsIp {
    fn ip(&self) -> IpAddr;
}

impl AsIp for IpAddr {
    fn ip(&self) -> IpAddr {
        *self
    }
}

impl AsIp for std::net::SocketAddr {
    fn ip(&self) -> IpAddr {
        std::net::SocketAddr::ip(self)
    }
}

pub(super) fn refused_host(shown: &str, host: &str) -> Error {
    Error::invalid(format!(
        "{shown} may not be read: {host} is not a public host"
    ))
    .hint("allow it with `--allow-host` if it is meant")
}

async fn parent_within(path: &Path, folder: &Path) -> bool {
    match path.parent() {
        Some(parent) => tokio::fs::canonicalize(parent)
            .await
            .is_ok_and(|parent| parent.starts_with(folder)),
        None => false,
    }
}

/// Reachable from anywhere, so nothing that only this machine's network is trusted with.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

/// Only global unicast; addresses that carry an IPv4 address are as public as that one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // Teredo, benchmarks and ORCHID.
        [0x2001, second, ..] if second < 0x0200 => false,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..0x1000, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn only_public_addresses_and_loopback_are_open_to_the_network() {
        let access = Access::network([], []);
        let may = |ip: &str| {
            !access
                .addresses("some.host", [ip.parse::<IpAddr>().unwrap()])
                .is_empty()
        };
        for ip in [
            "8.8.8.8",
            "1.1.1.1",
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "100.128.0.1",
        ] {
            assert!(may(ip), "{ip}");
        }
        for ip in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "100.100.100.200",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.192",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "2001:db8::1",
            "::10.0.0.1",
            "2001:0:1::1",
            "64:ff9b:1::1",
        ] {
            assert!(!may(ip), "{ip}");
        }
    }

    #[test]
    fn numbers_in_addresses_are_seen_through() {
        let access = Access::network(
            [
                "nas.lan".to_owned(),
                "*.internal".to_owned(),
                "10.1.2.3".to_owned(),
            ],
            [],
        );
        let may = |url: &str| access.url(&Url::parse(url).unwrap(), url).is_ok();
        for url in [
            "http://169.254.169.254/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0251.0376.0251.0376/",
            "http://[::ffff:169.254.169.254]/",
            "http://10.0.0.1:80/",
            "http://0/",
            "http://[fe80::1]/",
            "file:///etc/passwd",
        ] {
            assert!(!may(url), "{url}");
        }
        for url in [
            "http://8.8.8.8/",
            "http://127.0.0.1:9000/",
            "http://[::1]/",
            "http://10.1.2.3/",
            "http://example.com/",
        ] {
            assert!(may(url), "{url}");
        }
        let private = [IpAddr::from([10, 0, 0, 9])];
        for (host, allowed) in [
            ("NAS.lan", true),
            ("nas.lan.", true),
            ("a.internal", true),
            ("internal", false),
            ("other.lan", false),
            ("evilnas.lan", false),
        ] {
            assert_eq!(
                !access.addresses(host, private).is_empty(),
                allowed,
                "{host}"
            );
        }
        assert!(
            Access::user()
                .url(&Url::parse("http://10.0.0.1/").unwrap(), "x")
                .is_ok()
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn files_outside_the_allowed_folders_are_out_of_reach() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        let secret = folder.path().join("secret");
        std::fs::create_dir_all(&open).unwrap();
        std::fs::create_dir_all(&secret).unwrap();
        std::fs::write(open.join("a"), "a").unwrap();
        std::fs::write(secret.join("b"), "b").unwrap();
        std::os::unix::fs::symlink(secret.join("b"), open.join("link")).unwrap();
        std::os::unix::fs::symlink(&secret, open.join("folder")).unwrap();
        let access = Access::network([], [open.clone()]);
        assert!(access.file(&open.join("a"), "a").await.is_ok());
        assert!(access.file(&secret.join("../open/a"), "a").await.is_ok());
        for path in [
            secret.join("b"),
            open.join("../secret/b"),
            open.join("link"),
            open.join("folder/b"),
            secret.join("missing"),
            open.join("../secret/missing"),
            open.join("folder/missing"),
            PathBuf::from("/etc/passwd"),
        ] {
            let error = access.file(&path, "x").await.unwrap_err();
            assert_eq!(error.kind, Kind::InvalidArgument, "{}", path.display());
        }
        assert_eq!(
            access
                .file(&open.join("missing"), "x")
                .await
                .unwrap_err()
                .kind,
            Kind::Media
        );
        assert!(Access::user().file(&secret.join("b"), "x").await.is_ok());
        assert_eq!(
            Access::network([], [])
                .file(&open.join("a"), "x")
                .await
                .unwrap_err()
                .kind,
            Kind::InvalidArgument
        );
    }
}
