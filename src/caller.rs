//! The caller of a tool, and what its calls may read, fetch and write.
//!
//! A [`Caller`] is passed along with every call. All code that reads a file, connects to a media host or writes
//! into a folder for a call asks the caller for permission; neither the process nor the dialect of the call
//! decides this.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::styles::Styles;

/// How a caller's arguments are interpreted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Manner {
    /// MCP and command line: aliases and small mistakes are accepted, one error lists all problems, unknown names
    /// are refused.
    #[default]
    Strict,
    /// HTTP: like the reference API; mistakes are not corrected, unknown fields are ignored.
    Api,
}

impl Manner {
    pub(crate) fn is_strict(self) -> bool {
        self == Self::Strict
    }
}

/// The right of a process to write for a job: it ends when another process takes the job over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    pub job: Arc<str>,
    /// How often a process began to run the job, with this one.
    pub attempt: u32,
    /// The part of the job that is meant, such as a row of a batch, from 0.
    pub part: u32,
}

/// The caller of a tool; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub manner: Manner,
    pub access: Arc<Access>,
    /// The run of a plan that it calls for: its calls on a draft are one step of undo.
    pub run: Option<Arc<str>>,
    /// The looks of texts that it saved.
    pub styles: Styles,
    /// The start of the addresses at which it reaches this server, if saved drafts are delivered to it by links.
    pub site: Option<Arc<str>>,
    /// The job that makes its calls: they are not recorded once another process has taken the job over.
    pub fence: Option<Fence>,
    /// What the history of a draft names as the one who changed it.
    pub by: Option<Arc<CalledBy>>,
    /// How many records the draft had when the caller read it: a change of a draft that has more by now is refused.
    pub seen: Option<u64>,
}

/// Who made a call, as the history of a draft names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CalledBy {
    pub via: CalledVia,
    /// What a client of MCP calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Through what a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CalledVia {
    Mcp,
    Shell,
    Api,
    Studio,
    /// One that a later version of this program has.
    #[serde(other)]
    Other,
}

/// The most characters of a client's name that are kept.
const CLIENT_NAME: usize = 60;

impl CalledBy {
    pub(crate) fn via(via: CalledVia) -> Self {
        Self { via, name: None }
    }

    /// A client of MCP, by the name that it gave itself.
    pub(crate) fn client(name: Option<&str>) -> Self {
        let plain = |name: &str| -> String {
            let letters = name.chars().filter(|c| !c.is_control());
            letters.take(CLIENT_NAME).collect()
        };
        Self {
            via: CalledVia::Mcp,
            name: name.map(plain).filter(|name| !name.trim().is_empty()),
        }
    }
}

impl std::fmt::Display for CalledBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let via = match self.via {
            CalledVia::Mcp => "MCP",
            CalledVia::Shell => "command line",
            CalledVia::Api => "API",
            CalledVia::Studio => "studio",
            CalledVia::Other => "another program",
        };
        match &self.name {
            Some(name) => write!(f, "{name} ({via})"),
            None => f.write_str(via),
        }
    }
}

impl Caller {
    /// The user of this process, over stdio or at a shell: has all rights of the user.
    pub(crate) fn user() -> Self {
        static ACCESS: LazyLock<Arc<Access>> = LazyLock::new(|| Arc::new(Access(None)));
        Self {
            manner: Manner::Strict,
            access: Arc::clone(&ACCESS),
            run: None,
            styles: Styles::default(),
            site: None,
            fence: None,
            by: None,
            seen: None,
        }
    }

    /// The user at a shell.
    pub(crate) fn shell() -> Self {
        Self::user().called_by(CalledBy::via(CalledVia::Shell))
    }

    /// A client of a listener that works on the drafts of this process's user.
    pub(crate) fn client(manner: Manner, from: From, allowed: &Arc<Allowed>) -> Self {
        Self {
            manner,
            access: Arc::new(Access(Some(Rules {
                from,
                allowed: Arc::clone(allowed),
                own_folders: Vec::new(),
                is_tenant: false,
            }))),
            run: None,
            styles: Styles::default(),
            site: None,
            fence: None,
            by: None,
            seen: None,
        }
    }

    /// The same client, which may read these folders as well.
    pub(crate) fn with_folders(self, folders: &[PathBuf]) -> Self {
        let access = self.access.0.as_ref().map(|rules| Rules {
            own_folders: folders.to_vec(),
            allowed: Arc::clone(&rules.allowed),
            ..*rules
        });
        Self {
            access: Arc::new(Access(access)),
            ..self
        }
    }

    /// The same client for a tenant, whose data are in `folder`. It may read that folder, but not write into the
    /// folders that are allowed for all: another tenant could read there what it saves.
    pub(crate) fn of_tenant(self, folder: &Path) -> Self {
        let access = self.access.0.as_ref().map(|rules| Rules {
            own_folders: vec![folder.to_owned()],
            is_tenant: true,
            allowed: Arc::clone(&rules.allowed),
            ..*rules
        });
        Self {
            access: Arc::new(Access(access)),
            styles: Styles::in_folder(folder),
            ..self
        }
    }

    /// The same caller with another dialect: calls of a journal are repeated in the dialect in which they were
    /// accepted.
    pub(crate) fn in_manner(&self, manner: Manner) -> Self {
        Self {
            manner,
            ..self.clone()
        }
    }

    /// The same client, to which saved drafts are delivered by links that begin with `site`.
    pub(crate) fn at_site(&self, site: Option<Arc<str>>) -> Self {
        Self {
            site,
            ..self.clone()
        }
    }

    /// The same caller for a run of a plan.
    pub(crate) fn in_run(&self, run: Option<Arc<str>>) -> Self {
        Self {
            run,
            ..self.clone()
        }
    }

    /// The same caller, whom the history of drafts names so.
    pub(crate) fn called_by(self, by: CalledBy) -> Self {
        Self {
            by: Some(Arc::new(by)),
            ..self
        }
    }

    /// The same caller, who read a draft when it had this many records.
    pub(crate) fn having_seen(self, seen: u64) -> Self {
        Self {
            seen: Some(seen),
            ..self
        }
    }

    /// Whether this caller may see the ids and names of drafts that it did not name.
    pub(crate) fn sees_other_drafts(&self) -> bool {
        self.access.is_open()
    }

    /// Whether it runs on this machine, and so could read its folders itself.
    pub(crate) fn is_here(&self) -> bool {
        self.access
            .0
            .as_ref()
            .is_none_or(|rules| rules.from == From::Here)
    }

    /// Whether errors may quote a text that was read for it: only for the user, and only from the user's own files.
    pub(crate) fn may_see_quoted(&self, is_file: bool) -> bool {
        is_file && self.access.is_open()
    }

    /// Where it is, if it is a client of a listener.
    pub(crate) fn from(&self) -> Option<From> {
        self.access.0.as_ref().map(|rules| rules.from)
    }

    /// Whether its calls wait for a slot in a full lane; other calls are refused immediately, with a hint to retry
    /// later.
    pub(crate) fn waits_for_slots(&self) -> bool {
        self.manner == Manner::Strict
    }
}

/// Where a client of a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    /// On this machine, without a proxy in between.
    Here,
    /// Anywhere else.
    Network,
}

/// What the clients of a listener may access in addition to public hosts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Hosts that media may come from, even if their addresses are not public; `*.lan` matches all names that end
    /// in `.lan`.
    hosts: Vec<String>,
    /// Folders from which files may be read and into which drafts may be saved.
    folders: Vec<PathBuf>,
}

impl Allowed {
    pub(crate) fn new(
        hosts: impl IntoIterator<Item = String>,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        let host = |host: String| host.trim().trim_matches(['[', ']']).to_ascii_lowercase();
        Self {
            hosts: hosts.into_iter().map(host).collect(),
            folders: folders.into_iter().collect(),
        }
    }

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

    /// A hint that lists the allowed folders.
    fn folders_hint(&self) -> String {
        if self.folders.is_empty() {
            return "the server does not allow any folder: start it with `--allow-dir FOLDER`"
                .to_owned();
        }
        let folders: Vec<_> = self
            .folders
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        format!("allowed with `--allow-dir`: {}", folders.join(", "))
    }
}

/// What a caller may make this program read, fetch and write. Without rules, it has all rights of the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Access(Option<Rules>);

#[derive(Debug, PartialEq, Eq)]
struct Rules {
    from: From,
    allowed: Arc<Allowed>,
    /// Folders of the caller itself, which it may read.
    own_folders: Vec<PathBuf>,
    /// Whether it is a tenant other than the user of this process: it writes only into `own_folders`.
    is_tenant: bool,
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The caller has no permission; the hint says which folders it may read.
    Refused { hint: String },
    /// The caller has permission, but reading failed.
    Failed(std::io::Error),
}

impl Access {
    /// Whether everything is allowed, so no checks are needed.
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// Media that were fetched with one access may be used with another that has the same key.
    pub(crate) fn fetch_key(&self) -> String {
        match &self.0 {
            None => String::new(),
            Some(rules) => format!("{:?} {:?}", rules.from, rules.allowed.hosts),
        }
    }

    /// The canonical path of a file or folder, if it may be read.
    pub(crate) async fn file(&self, path: &Path) -> std::result::Result<PathBuf, Unread> {
        let real = tokio::fs::canonicalize(path).await;
        let Some(Rules {
            allowed,
            own_folders,
            ..
        }) = &self.0
        else {
            return real.map_err(Unread::Failed);
        };
        for folder in allowed.folders.iter().chain(own_folders) {
            let Ok(folder_real) = tokio::fs::canonicalize(folder).await else {
                continue;
            };
            match &real {
                Ok(real) if real.starts_with(&folder_real) => return Ok(real.clone()),
                // The caller may learn whether a file exists only in folders that it may read.
                Err(error)
                    if !path.components().any(|part| part.as_os_str() == "..")
                        && parent_within(path, &folder_real).await =>
                {
                    return Err(Unread::Failed(error.kind().into()));
                }
                _ => {}
            }
        }
        let hint = allowed.folders_hint();
        Err(Unread::Refused { hint })
    }

    /// Refuses a file or folder that this caller may not read; does not check that it exists.
    pub(crate) async fn may_read(&self, path: &Path, shown: &str) -> Result<()> {
        match self.file(path).await {
            Err(Unread::Refused { hint }) => Err(refused_file(shown, &hint)),
            _ => Ok(()),
        }
    }

    /// Refuses a folder into which this caller may not write. For a folder that does not exist, the nearest
    /// existing parent folder decides.
    pub(crate) fn may_write(&self, folder: &Path) -> Result<()> {
        let Some(Rules {
            allowed,
            own_folders,
            is_tenant,
            ..
        }) = &self.0
        else {
            return Ok(());
        };
        let folders = match own_folders {
            own if *is_tenant => own.as_slice(),
            _ => allowed.folders.as_slice(),
        };
        let real = folder
            .ancestors()
            .take_while(|part| !part.as_os_str().is_empty())
            .find_map(|part| part.canonicalize().ok());
        let is_below = !folder
            .components()
            .any(|part| part == std::path::Component::ParentDir);
        let within = real.filter(|_| is_below).is_some_and(|real| {
            let mut folders = folders.iter();
            folders.any(|folder| folder.canonicalize().is_ok_and(|it| real.starts_with(it)))
        });
        if within {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} cannot be written: it is not in a folder that the server allows",
            folder.display()
        ))
        .hint(allowed.folders_hint()))
    }

    /// Refuses a URL whose host is an IP address that this caller may not use. Host names are checked when they are
    /// resolved, by [`Access::addresses`].
    pub(crate) fn url(&self, url: &Url, shown: &str) -> Result<()> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::invalid(format!(
                "{shown} is or redirects to a `{}` URL; only `http` and `https` are supported",
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

    /// The addresses of a host to which connections are allowed.
    pub(crate) fn addresses<A: AsIp>(
        &self,
        host: &str,
        addresses: impl IntoIterator<Item = A>,
    ) -> Vec<A> {
        let may = |ip: IpAddr| {
            self.0.as_ref().is_none_or(|Rules { from, allowed, .. }| {
                is_public(ip)
                    || (*from == From::Here && ip.is_loopback())
                    || allowed.names(host)
                    || allowed.names(&ip.to_string())
            })
        };
        addresses
            .into_iter()
            .filter(|address| may(address.ip()))
            .collect()
    }
}

/// An address, with or without a port.
pub(crate) trait AsIp {
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

pub(crate) fn refused_file(shown: &str, hint: &str) -> Error {
    Error::invalid(format!(
        "{shown} cannot be read: it is not in a folder that the server allows"
    ))
    .hint(hint)
}

pub(crate) fn refused_host(shown: &str, host: &str) -> Error {
    Error::invalid(format!(
        "{shown} cannot be read: {host} is not a public host"
    ))
    .hint(format!(
        "start the server with `--allow-host {host}` to allow media from this host"
    ))
}

async fn parent_within(path: &Path, folder: &Path) -> bool {
    match path.parent() {
        Some(parent) => tokio::fs::canonicalize(parent)
            .await
            .is_ok_and(|parent| parent.starts_with(folder)),
        None => false,
    }
}

/// Whether an address is globally reachable, and so not part of a private network.
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
        // Multicast and reserved.
        || a >= 224
        // Carrier-grade NAT (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
        // IETF protocol assignments (RFC 6890).
        || (a == 192 && b == 0 && c == 0)
        // 6to4 relay anycast (RFC 7526).
        || (a == 192 && b == 88 && c == 99)
        // Benchmarking (RFC 2544).
        || (a == 198 && (18..20).contains(&b)))
}

/// Only global unicast is public; for an address that contains an IPv4 address, that address decides.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match address.segments() {
        // IPv4-mapped, NAT64 (RFC 6052) and 6to4 addresses contain an IPv4 address.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // 2001::/23, IETF protocol assignments: Teredo, benchmarking, ORCHID.
        [0x2001, second, ..] if second < 0x0200 => false,
        // Documentation.
        [0x2001, 0x0db8, ..] | [0x3fff, 0..0x1000, ..] => false,
        // 2000::/3, global unicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_made_a_call_is_read_also_from_later_versions() {
        let read = |text: &str| serde_json::from_str::<CalledBy>(text).expect("a caller");
        assert_eq!(
            read(r#"{"via":"studio"}"#),
            CalledBy::via(CalledVia::Studio)
        );
        assert_eq!(read(r#"{"via":"telepathy"}"#).via, CalledVia::Other);
        let client = CalledBy::client(Some("a\nlong name"));
        assert_eq!(client.to_string(), "along name (MCP)");
        assert_eq!(CalledBy::client(Some(" \n")).name, None);
        let long = CalledBy::client(Some(&"x".repeat(1000)));
        assert_eq!(long.name.map(|name| name.len()), Some(CLIENT_NAME));
    }

    fn access(from: From, hosts: &[&str], folders: &[&Path]) -> Arc<Access> {
        let allowed = Allowed::new(
            hosts.iter().map(|host| (*host).to_owned()),
            folders.iter().map(|folder| (*folder).to_owned()),
        );
        Caller::client(Manner::Api, from, &Arc::new(allowed)).access
    }

    fn may(access: &Access, ip: &str) -> bool {
        let found = access.addresses("some.host", [ip.parse::<IpAddr>().unwrap()]);
        !found.is_empty()
    }

    #[test]
    fn loopback_is_allowed_for_local_clients_and_refused_for_the_network() {
        let (here, network) = (
            access(From::Here, &[], &[]),
            access(From::Network, &[], &[]),
        );
        let named = access(From::Network, &["127.0.0.1", "[::1]", "10.0.0.1"], &[]);
        for (ip, by_name) in [("127.0.0.1", true), ("127.8.8.8", false), ("::1", true)] {
            assert!(may(&here, ip), "{ip}");
            assert!(!may(&network, ip), "{ip}");
            assert_eq!(may(&named, ip), by_name, "{ip}");
            assert!(may(&Caller::user().access, ip), "{ip}");
        }
        assert!(!may(&here, "10.0.0.1") && may(&named, "10.0.0.1"));
        assert!(!may(&network, "::ffff:127.0.0.1"));
        assert_ne!(here.fetch_key(), network.fetch_key());
        assert_ne!(network.fetch_key(), named.fetch_key());
    }

    #[test]
    fn clients_may_use_only_public_addresses() {
        let access = access(From::Network, &[], &[]);
        let may = |ip: &str| may(&access, ip);
        for ip in [
            "8.8.8.8",
            "1.1.1.1",
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
    fn all_notations_of_ip_addresses_in_urls_are_checked() {
        let access = access(From::Here, &["nas.lan", "*.internal", "10.1.2.3"], &[]);
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
            Caller::user()
                .access
                .url(&Url::parse("http://10.0.0.1/").unwrap(), "x")
                .is_ok()
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn files_outside_the_allowed_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        let secret = folder.path().join("secret");
        std::fs::create_dir_all(&open).unwrap();
        std::fs::create_dir_all(&secret).unwrap();
        std::fs::write(open.join("a"), "a").unwrap();
        std::fs::write(secret.join("b"), "b").unwrap();
        std::os::unix::fs::symlink(secret.join("b"), open.join("link")).unwrap();
        std::os::unix::fs::symlink(&secret, open.join("folder")).unwrap();
        let access = access(From::Here, &[], &[&open]);
        assert!(access.file(&open.join("a")).await.is_ok());
        assert!(access.file(&secret.join("../open/a")).await.is_ok());
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
            let refused = access.file(&path).await;
            assert!(
                matches!(refused, Err(Unread::Refused { .. })),
                "{}",
                path.display()
            );
        }
        let missing = access.file(&open.join("missing")).await;
        assert!(matches!(missing, Err(Unread::Failed(_))));
        assert!(Caller::user().access.file(&secret.join("b")).await.is_ok());
        let none = super::tests::access(From::Here, &[], &[]);
        assert!(none.file(&open.join("a")).await.is_err());
        for (folder, may) in [
            (open.clone(), true),
            (open.join("new/below"), true),
            (open.join("folder"), false),
            (open.join("new/../../secret"), false),
            (secret.clone(), false),
            (PathBuf::from("relative"), false),
        ] {
            let shown = folder.display();
            assert_eq!(access.may_write(&folder).is_ok(), may, "{shown}");
            assert!(none.may_write(&folder).is_err(), "{shown}");
            assert!(Caller::user().access.may_write(&folder).is_ok(), "{shown}");
        }
    }
}
