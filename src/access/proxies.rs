//! Proxies in front of the listener: whose headers count, and what they say about the client.

use std::net::IpAddr;

use hyper::header::{FORWARDED, HeaderMap};
use serde::Deserialize;

/// An address, or the addresses with a common beginning: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Network {
    address: IpAddr,
    /// The length of the common beginning in bits.
    bits: u8,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let rest = 32 - u32::from(self.bits);
                (own.to_bits() ^ other.to_bits())
                    .checked_shr(rest)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let rest = 128 - u32::from(self.bits);
                (own.to_bits() ^ other.to_bits())
                    .checked_shr(rest)
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("{text:?} is neither an IP address nor a network such as 10.0.0.0/8");
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let address = address.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| bad())?,
            None => most,
        };
        if bits > most {
            return Err(bad());
        }
        Ok(Self { address, bits })
    }
}

/// The address of the client: the peer, or, if the peer is a trusted proxy, the last address in its headers that is not
/// a trusted proxy.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    if !is_trusted(peer) {
        return client;
    }
    let named = if headers.contains_key(FORWARDED) {
        forwarded(headers)
    } else {
        x_forwarded_for(headers)
    };
    for address in named.into_iter().rev() {
        // What stands before something unreadable cannot be trusted either.
        let Some(address) = address else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// The address of the listener as its client sees it: what a trusted proxy says in `X-Forwarded-Proto` and
/// `X-Forwarded-Host`, or else what the request itself shows. `own`: whether the listener has TLS, and the host that the
/// request names.
pub(super) fn public_origin(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[Network],
    own: (bool, &str),
) -> String {
    let is_trusted = trusted.iter().any(|network| network.contains(peer));
    let said = |name: &str| {
        let value = headers.get(name).filter(|_| is_trusted)?.to_str().ok()?;
        // The first proxy is the one that the client sees.
        Some(value.split(',').next()?.trim())
    };
    let (is_tls, host) = own;
    let is_host = |host: &&str| {
        let may = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(may)
    };
    let scheme = match said("x-forwarded-proto") {
        Some(scheme @ ("http" | "https")) => scheme,
        _ if is_tls => "https",
        _ => "http",
    };
    let host = said("x-forwarded-host").filter(is_host).unwrap_or(host);
    format!("{scheme}://{host}")
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lists = headers.get_all("x-forwarded-for").iter();
    lists
        .flat_map(|list| list.to_str().unwrap_or("?").split(','))
        .map(address)
        .collect()
}

/// The `for` parameters of `Forwarded` (RFC 7239).
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lists = headers.get_all(FORWARDED).iter();
    let elements = lists.flat_map(|list| list.to_str().unwrap_or("?").split(','));
    let client = |element: &str| {
        let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let named = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        named.and_then(|(_, value)| address(value))
    };
    elements.map(client).collect()
}

/// An address with or without a port, quotes and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            _ => text,
        },
    };
    bare.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn network(text: &str) -> Result<Network, String> {
        text.to_owned().try_into()
    }

    #[test]
    fn networks_contain_their_addresses() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "::1", "127.0.0.1"),
            ("10.1.2.3/32", "::ffff:10.1.2.3", "10.1.2.4"),
        ] {
            let network = network(text).expect(text);
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(
                !network.contains(outside.parse().unwrap()),
                "{text} {outside}"
            );
        }
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "proxy",
            "10.0.0.0/-1",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_trusted_proxies_name_the_listener() {
        let trusted = [network("127.0.0.1").unwrap()];
        let origin = |peer: &str, proto: &str, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-proto", proto.parse().unwrap());
            headers.insert("x-forwarded-host", host.parse().unwrap());
            public_origin(peer.parse().unwrap(), &headers, &trusted, (false, "own:1"))
        };
        assert_eq!(
            origin("127.0.0.1", "https", "a.example:8"),
            "https://a.example:8"
        );
        assert_eq!(
            origin("127.0.0.1", "https, http", "a.example, b"),
            "https://a.example"
        );
        assert_eq!(origin("127.0.0.1", "ftp", "a/b?\"x"), "http://own:1");
        assert_eq!(origin("127.0.0.2", "https", "a.example"), "http://own:1");
    }

    #[test]
    fn only_trusted_proxies_name_the_client() {
        let trusted = [
            network("127.0.0.1").unwrap(),
            network("10.0.0.0/8").unwrap(),
        ];
        let client = |peer: &str, headers: &[(&str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                let name: HeaderName = name.parse().unwrap();
                map.append(name, HeaderValue::from_str(value).unwrap());
            }
            client_address(peer.parse().unwrap(), &map, &trusted).to_string()
        };
        let list = "X-Forwarded-For";
        assert_eq!(client("192.0.2.1", &[(list, "1.1.1.1")]), "192.0.2.1");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(
            client("127.0.0.1", &[(list, "6.6.6.6, 1.1.1.1")]),
            "1.1.1.1"
        );
        assert_eq!(
            client("::ffff:10.0.0.1", &[(list, "1.1.1.1, 10.2.2.2")]),
            "1.1.1.1"
        );
        assert_eq!(
            client("127.0.0.1", &[(list, "6.6.6.6"), (list, "1.1.1.1:99")]),
            "1.1.1.1"
        );
        assert_eq!(
            client("127.0.0.1", &[(list, "1.1.1.1, rubbish")]),
            "127.0.0.1"
        );
        assert_eq!(client("127.0.0.1", &[(list, "10.9.9.9")]), "10.9.9.9");
        let forwarded = r#"for=6.6.6.6, For="[2001:db8::1]:4711";proto=https"#;
        let both = [("Forwarded", forwarded), (list, "1.1.1.1")];
        assert_eq!(client("127.0.0.1", &both), "2001:db8::1");
        assert_eq!(
            client("127.0.0.1", &[("Forwarded", "for=_hidden")]),
            "127.0.0.1"
        );
    }
}
