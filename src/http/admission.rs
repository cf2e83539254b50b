//! Decides which requests a listener accepts, and whether a client is on this machine.
//!
//! A web page can make a browser send requests to this machine: cross-site, or under the page's own name by DNS
//! rebinding. So the host that a request names must be one that cannot be rebound, or one that was allowed. The
//! same is required of the origin of a page that sends a request.

use std::net::IpAddr;

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY, VIA,
};
use hyper::{Request, StatusCode, Version};
use reqwest::Url;

use super::answer::{self, Answer};
use crate::caller::From;

/// The name that Docker containers use for their host machine.
const DOCKER_HOST: &str = "host.docker.internal";

/// The names by which a listener may be addressed and the sites whose pages may use it.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Host names in lower case, without a trailing dot.
    names: Vec<String>,
    /// Origins as browsers write them.
    origins: Vec<String>,
}

/// An accepted request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub from: From,
    /// The origin of the page that sent the request, if a page did. The answer must allow it for the browser.
    origin: Option<HeaderValue>,
}

/// Why a request is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: String,
}

impl Admission {
    /// For the machine with this name, and for the hosts and origins that options allow.
    pub(crate) fn new(machine: Option<&str>, hosts: &[String], origins: &[String]) -> Self {
        let mut names = vec![DOCKER_HOST.to_owned()];
        if let Some(machine) = machine.map(plain).filter(|it| !it.is_empty()) {
            // `NAME.local` (mDNS) is how others on the same network find this machine; no DNS server has such
            // names.
            let first = machine.split('.').next().unwrap_or_default().to_owned();
            names.extend([format!("{first}.local"), first, machine]);
        }
        names.extend(hosts.iter().map(|host| plain(host)));
        Self {
            names,
            origins: origins.to_vec(),
        }
    }

    /// Accepts a request of a client at `peer`, or says why not.
    pub(crate) fn admit<B>(&self, head: &Request<B>, peer: IpAddr) -> Result<Admitted, Refusal> {
        self.checked(head, peer)
            .inspect_err(|refusal| refusal.log(peer))
    }

    fn checked<B>(&self, head: &Request<B>, peer: IpAddr) -> Result<Admitted, Refusal> {
        let host = named(head)?;
        if let Some(host) = &host
            && !self.knows(host)
        {
            return Err(Refusal {
                status: StatusCode::MISDIRECTED_REQUEST,
                error: format!(
                    "this server does not answer for the host {:?}: to allow this host name, start it with `--public-host {}`",
                    host.shown(),
                    host.shown()
                ),
            });
        }
        let origin = self.origin(head.headers(), host.as_ref())?;
        let is_here = peer.to_canonical().is_loopback()
            && host.as_ref().is_some_and(Host::is_loopback)
            && !head.headers().keys().any(is_of_proxies);
        Ok(Admitted {
            from: if is_here { From::Here } else { From::Network },
            origin,
        })
    }

    fn knows(&self, host: &Host) -> bool {
        match host {
            Host::Address(_) => true,
            Host::Name(name) => name == "localhost" || self.names.contains(name),
        }
    }

    /// The origin of the page that sent the request, if a page did and it is allowed.
    fn origin(
        &self,
        headers: &HeaderMap,
        host: Option<&Host>,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let mut given = headers.get_all(ORIGIN).iter();
        let Some(value) = given.next() else {
            return Ok(None);
        };
        let text = value.to_str().unwrap_or_default();
        if given.next().is_none() {
            if self.origins.iter().any(|allowed| allowed == text) {
                return Ok(Some(value.clone()));
            }
            let page = text
                .strip_prefix("http://")
                .or_else(|| text.strip_prefix("https://"))
                .and_then(|authority| Host::read(authority).ok());
            let may = |page: &Host| match page {
                // Any site can be served from an IP address, so an address must be loopback or this server's own.
                Host::Address(_) => page.is_loopback() || Some(page) == host,
                Host::Name(_) => self.knows(page),
            };
            if page.as_ref().is_some_and(may) {
                return Ok(Some(value.clone()));
            }
        }
        let shown: String = text.chars().take(200).collect();
        Err(Refusal {
            status: StatusCode::FORBIDDEN,
            error: if shown.is_empty() || shown == "null" {
                "pages without their own origin (`Origin: null`), such as local files and sandboxed frames, cannot call this server: serve the page from a site and start the server with `--allow-origin URL`".to_owned()
            } else {
                format!(
                    "pages of {shown} are not allowed to call this server: to allow them, start it with `--allow-origin {shown}`"
                )
            },
        })
    }
}

/// An origin as browsers write it: scheme, host, and the port unless it is the scheme's default.
pub(crate) fn parse_origin(text: &str) -> Result<String, String> {
    let bad = || format!("{text:?} is not an origin, such as https://app.example.com");
    let url = Url::parse(text.trim()).map_err(|_| bad())?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username() == "";
    if !url.has_host() || !is_bare {
        return Err(bad());
    }
    // The `url` library knows origins only for web schemes; those of browser extensions are compared as text.
    let origin = url.origin();
    if origin.is_tuple() {
        return Ok(origin.ascii_serialization());
    }
    Ok(text.trim().trim_end_matches('/').to_owned())
}

/// A host name to allow, without scheme and port.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    match Host::read(text.trim()) {
        Ok(Host::Name(name)) if !text.contains(':') => Ok(name),
        Ok(Host::Address(_)) => Err(format!(
            "{text:?} is an IP address; addresses need no option"
        )),
        _ => Err(format!(
            "{text:?} is not a host name, such as videos.example.com (without scheme and port)"
        )),
    }
}

impl Refusal {
    fn malformed(error: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn error(&self) -> &str {
        &self.error
    }

    pub(super) fn answer(&self) -> Answer {
        answer::refusal(self.status, &self.error)
    }

    /// Logs the refusal with the word that monitoring looks for; a page that is not allowed counts as an
    /// authentication failure.
    fn log(&self, peer: IpAddr) {
        let what = match self.status {
            StatusCode::FORBIDDEN => "Authentication failed",
            _ => "Connection refused",
        };
        tracing::warn!(%peer, status = self.status.as_u16(), "{what}: {}", self.error);
    }
}

impl Admitted {
    /// Adds the CORS headers with which the browser lets the page read the answer; `methods` are those of the
    /// route.
    pub(crate) fn with_cors_headers<B>(
        &self,
        mut answer: hyper::Response<B>,
        asked: Asked,
        methods: &'static str,
    ) -> hyper::Response<B> {
        let headers = answer.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = &self.origin else {
            return answer;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if asked.is_preflight {
            let text = HeaderValue::from_static;
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, text(methods));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, text(REQUEST_HEADERS));
            headers.insert(ACCESS_CONTROL_MAX_AGE, text("600"));
            if asked.is_for_private_network {
                headers.insert(PRIVATE_NETWORK, text("true"));
            }
        } else {
            let exposed = HeaderValue::from_static(EXPOSED_HEADERS);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        answer
    }
}

/// What a browser asks in a preflight before it lets a page send a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    is_preflight: bool,
    is_for_private_network: bool,
}

impl Asked {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            is_preflight: headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD),
            is_for_private_network: headers.contains_key("access-control-request-private-network"),
        }
    }
}

/// The headers that pages may send: those of the API and of MCP's Streamable HTTP.
const REQUEST_HEADERS: &str = "Authorization, Content-Type, Last-Event-ID, Mcp-Method, Mcp-Name, Mcp-Protocol-Version, Mcp-Session-Id, X-Tenant";
/// The headers that pages may read.
const EXPOSED_HEADERS: &str =
    "Mcp-Session-Id, Retry-After, WWW-Authenticate, X-Capcut-Mcp-Kind, X-Request-Id";

const PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Whether proxies add this header: such a request can come from anywhere.
fn is_of_proxies(name: &HeaderName) -> bool {
    *name == FORWARDED
        || *name == VIA
        || name.as_str().starts_with("x-forwarded")
        || name.as_str() == "x-real-ip"
}

/// The host that a request names: in its target, if that is an absolute URL, and in its `Host` header.
fn named<B>(head: &Request<B>) -> Result<Option<Host>, Refusal> {
    let mut hosts = head.headers().get_all(HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::malformed(
            "the request has more than one `Host` header".to_owned(),
        ));
    }
    let header = match first {
        Some(value) => {
            let text = value.to_str().unwrap_or_default();
            Some(Host::read(text).map_err(|()| {
                let shown: String = text.chars().take(200).collect();
                Refusal::malformed(format!(
                    "the `Host` header is neither a host nor a host with a port: {shown:?}"
                ))
            })?)
        }
        None => None,
    };
    if header.is_none() && head.version() >= Version::HTTP_11 {
        return Err(Refusal::malformed(
            "the request has no `Host` header, which HTTP/1.1 requires".to_owned(),
        ));
    }
    let Some(authority) = head.uri().authority() else {
        return Ok(header);
    };
    let target = Host::read(authority.as_str()).map_err(|()| {
        Refusal::malformed("the request's target does not name a valid host".to_owned())
    })?;
    match header {
        Some(header) if header != target => Err(Refusal::malformed(
            "the request's target and its `Host` header name different hosts".to_owned(),
        )),
        _ => Ok(Some(target)),
    }
}

/// A host as requests and origins name it.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    /// In lower case, without a trailing dot.
    Name(String),
}

impl Host {
    /// Reads `host`, `host:port` and `[address]:port`.
    fn read(text: &str) -> Result<Self, ()> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(())?;
                let address: std::net::Ipv6Addr = host.parse().map_err(|_| ())?;
                let host = Self::Address(IpAddr::V6(address).to_canonical());
                (
                    host,
                    after.strip_prefix(':').or(after.is_empty().then_some("")),
                )
            }
            None => {
                let (host, port) = text.split_once(':').unwrap_or((text, ""));
                let host = plain(host);
                let may = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                if host.is_empty() || host.len() > 253 || !host.bytes().all(may) {
                    return Err(());
                }
                let host = match host.parse::<IpAddr>() {
                    Ok(address) => Self::Address(address),
                    Err(_) => Self::Name(host),
                };
                (host, Some(port))
            }
        };
        let port = port.ok_or(())?;
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
            && (port.is_empty() || port.parse::<u16>().is_ok());
        is_port.then_some(host).ok_or(())
    }

    fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name == "localhost",
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

/// A name in the form in which names are compared: lower case, without a trailing dot.
fn plain(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7));

    fn admission() -> Admission {
        Admission::new(
            Some("Studio.example.net"),
            &["videos.example.com".to_owned()],
            &["https://app.example.com".to_owned()],
        )
    }

    fn head(target: &str, version: Version, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(target).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request")
    }

    fn admit(headers: &[(&str, &str)]) -> Result<From, u16> {
        let head = head("/create_draft", Version::HTTP_11, headers);
        let admitted = admission().admit(&head, LOOPBACK);
        admitted
            .map(|admitted| admitted.from)
            .map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn admits_hosts_of_this_machine_and_allowed_hosts() {
        for (host, expected) in [
            ("localhost", Ok(From::Here)),
            ("LocalHost:9000", Ok(From::Here)),
            ("localhost.", Ok(From::Here)),
            ("localhost:", Ok(From::Here)),
            ("127.0.0.1:9000", Ok(From::Here)),
            ("127.9.9.9", Ok(From::Here)),
            ("[::1]:9000", Ok(From::Here)),
            ("[::ffff:127.0.0.1]", Ok(From::Here)),
            ("192.168.1.7:9000", Ok(From::Network)),
            ("0.0.0.0:9000", Ok(From::Network)),
            ("[2001:db8::1]", Ok(From::Network)),
            ("host.docker.internal:9000", Ok(From::Network)),
            ("studio.example.net", Ok(From::Network)),
            ("STUDIO", Ok(From::Network)),
            ("studio.local:9000", Ok(From::Network)),
            ("videos.example.com:80", Ok(From::Network)),
            ("videos.example.com.", Ok(From::Network)),
            ("evil.example:9000", Err(421)),
            ("evil.localhost", Err(421)),
            ("localhost.evil.example", Err(421)),
            ("127.0.0.1.evil.example", Err(421)),
            ("evil.example.net", Err(421)),
            ("sub.videos.example.com", Err(421)),
            ("2130706433", Err(421)),
            ("0x7f000001", Err(421)),
            ("127.1", Err(421)),
            ("localhost..", Err(421)),
            ("", Err(400)),
            (":9000", Err(400)),
            ("::1", Err(400)),
            ("[::1", Err(400)),
            ("[::1]x", Err(400)),
            ("localhost:99999", Err(400)),
            ("localhost:9a", Err(400)),
            ("me@localhost", Err(400)),
            ("localhost@evil.example", Err(400)),
            ("localhost, evil.example", Err(400)),
            ("local host", Err(400)),
            ("evil.example/localhost", Err(400)),
        ] {
            assert_eq!(admit(&[("Host", host)]), expected, "{host}");
        }
        assert_eq!(admit(&[]), Err(400));
        let twice = [("Host", "localhost"), ("Host", "localhost")];
        assert_eq!(admit(&twice), Err(400));
    }

    #[test]
    fn a_request_without_a_host_counts_as_from_the_network() {
        let head = head("/health", Version::HTTP_10, &[]);
        let admitted = admission().admit(&head, LOOPBACK).expect("HTTP/1.0");
        assert_eq!(admitted.from, From::Network);
    }

    #[test]
    fn an_absolute_url_as_target_is_checked_against_the_host_header() {
        let check = |target: &str, host: &str| {
            let head = head(target, Version::HTTP_11, &[("Host", host)]);
            let admitted = admission().admit(&head, LOOPBACK);
            admitted.map_err(|refusal| refusal.status.as_u16())
        };
        assert!(check("http://localhost:9000/health", "localhost:9000").is_ok());
        assert_eq!(
            check("http://evil.example/health", "evil.example"),
            Err(421)
        );
        assert_eq!(check("http://evil.example/health", "localhost"), Err(400));
        assert_eq!(check("http://localhost/health", "evil.example"), Err(400));
    }

    #[test]
    fn only_local_clients_without_a_proxy_count_as_local() {
        let from = |peer: IpAddr, extra: &[(&str, &str)]| {
            let headers = [&[("Host", "localhost")], extra].concat();
            let head = head("/x", Version::HTTP_11, &headers);
            admission().admit(&head, peer).expect("admitted").from
        };
        assert_eq!(from(LOOPBACK, &[]), From::Here);
        assert_eq!(from(IpAddr::V6(Ipv6Addr::LOCALHOST), &[]), From::Here);
        assert_eq!(
            from(Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), &[]),
            From::Here
        );
        assert_eq!(from(OTHER, &[]), From::Network);
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-host",
            "X-FORWARDED-PROTO",
            "X-Forwarded-Anything",
            "Via",
            "X-Real-IP",
        ] {
            assert_eq!(
                from(LOOPBACK, &[(name, "127.0.0.1")]),
                From::Network,
                "{name}"
            );
        }
    }

    #[test]
    fn admits_pages_of_this_machine_and_of_allowed_sites() {
        for (host, origin, may) in [
            ("localhost:9000", "http://localhost:3000", true),
            ("localhost:9000", "http://127.0.0.1:8080", true),
            ("localhost:9000", "https://[::1]", true),
            ("localhost:9000", "https://app.example.com", true),
            ("localhost:9000", "http://app.example.com", false),
            ("localhost:9000", "https://app.example.com:8443", false),
            ("localhost:9000", "https://evil.example", false),
            (
                "localhost:9000",
                "https://app.example.com.evil.example",
                false,
            ),
            ("localhost:9000", "null", false),
            ("localhost:9000", "", false),
            ("localhost:9000", "file://", false),
            ("localhost:9000", "http://192.168.1.7", false),
            ("192.168.1.7:9000", "http://192.168.1.7:3000", true),
            ("192.168.1.7:9000", "http://192.168.1.8", false),
            ("videos.example.com", "https://videos.example.com", true),
            ("localhost:9000", "http://localhost@evil.example", false),
            ("localhost:9000", "chrome-extension://abcdef", false),
        ] {
            let got = admit(&[("Host", host), ("Origin", origin)]);
            let expected = if may { Ok(()) } else { Err(403) };
            assert_eq!(got.map(|_| ()), expected, "{host} {origin}");
        }
        let twice = [
            ("Host", "localhost"),
            ("Origin", "http://localhost"),
            ("Origin", "https://evil.example"),
        ];
        assert_eq!(admit(&twice), Err(403));
    }

    #[test]
    fn refusals_name_the_option() {
        let refusal = |headers: &[(&str, &str)]| {
            let head = head("/x", Version::HTTP_11, headers);
            admission()
                .admit(&head, LOOPBACK)
                .expect_err("refused")
                .error
        };
        let host = refusal(&[("Host", "evil.example:9000")]);
        assert!(host.contains("`--public-host evil.example`"), "{host}");
        let origin = refusal(&[("Host", "localhost"), ("Origin", "https://evil.example")]);
        assert!(
            origin.contains("`--allow-origin https://evil.example`"),
            "{origin}"
        );
        let null = refusal(&[("Host", "localhost"), ("Origin", "null")]);
        assert!(null.contains("--allow-origin"), "{null}");
    }

    #[test]
    fn public_host_takes_names_and_allow_origin_takes_origins() {
        assert_eq!(
            parse_name("Videos.Example.com.").as_deref(),
            Ok("videos.example.com")
        );
        for text in ["", "http://a.b", "a.b:80", "10.0.0.1", "a b"] {
            assert!(parse_name(text).is_err(), "{text}");
        }
        let origin = parse_origin("HTTPS://App.example.com:443/");
        assert_eq!(origin.as_deref(), Ok("https://app.example.com"));
        let origin = parse_origin("chrome-extension://abcdef");
        assert_eq!(origin.as_deref(), Ok("chrome-extension://abcdef"));
        for text in [
            "app.example.com",
            "null",
            "https://a.b/path",
            "https://u@a.b",
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }
}
