//! The rule: which callers a listener serves, as a function of what is known about a request.

use std::net::SocketAddr;
use std::time::Duration;

use super::{GuestIdentity, How};
use crate::error::{Error, Kind, Result};

/// What a request shows about where it comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    /// Its peer and its `Host` are loopback, and no proxy has added a header.
    pub is_local: bool,
}

/// How the listener is set up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AccessRules {
    /// `--no-auth`.
    pub open_to_all: bool,
    /// `--behind-proxy`.
    pub behind_proxy: bool,
    /// There is a token or a provider.
    pub has_credentials: bool,
}

impl AccessRules {
    fn needs_token(self) -> bool {
        self.has_credentials || self.behind_proxy
    }
}

/// What a request sent to identify itself, looked up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential {
    None,
    Valid(GuestIdentity),
    /// What is wrong with it, without quoting it.
    Wrong(String),
}

/// Why a request is not served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It needs a token and has none.
    TokenNeeded,
    /// The listener has no tokens, and the request is not from this machine.
    OnlyLocal,
    /// Its token is wrong.
    WrongToken(String),
    /// Its token only reads.
    ReadOnly(String),
    /// It asks for the drafts of this other tenant, and is no admin's.
    OtherTenant,
    /// It asks for the list of all tenants, and is no admin's.
    NoAdmin,
    /// Too many calls; more are accepted after this time.
    TooMany(Duration),
    /// The tokens or the provider's keys cannot be read.
    Unavailable(String),
}

pub(super) fn decide(
    visit: Visit,
    rules: AccessRules,
    credential: Credential,
) -> Result<GuestIdentity, Refused> {
    match credential {
        Credential::Valid(identity) => Ok(identity),
        // A mistyped token does not silently use the drafts of another tenant.
        Credential::Wrong(what) if rules.has_credentials => Err(Refused::WrongToken(what)),
        // Without tokens nothing is compared: clients of the API send placeholders.
        _ if rules.open_to_all => Ok(GuestIdentity::without_token(How::Anyone)),
        _ if rules.needs_token() => Err(Refused::TokenNeeded),
        _ if visit.is_local => Ok(GuestIdentity::without_token(How::LocalUser)),
        _ => Err(Refused::OnlyLocal),
    }
}

/// Refuses to start a listener that no one could use, or that anyone in the network could.
pub(crate) fn may_listen(
    address: SocketAddr,
    has_credentials: bool,
    behind_proxy: bool,
    open_to_all: bool,
) -> Result<()> {
    let hint = "make a token with `capcut-mcp token add NAME` and start again; `--no-auth` serves everyone who reaches the port";
    if has_credentials || open_to_all {
        return Ok(());
    }
    if behind_proxy {
        return Err(Error::invalid(
            "`--behind-proxy` asks every caller for a token, and there are no tokens",
        )
        .hint(hint));
    }
    if !address.ip().to_canonical().is_loopback() {
        return Err(Error::invalid(format!(
            "{address} can be reached from other machines, and there are no tokens: everyone in the network could use this server"
        ))
        .hint(hint));
    }
    Ok(())
}

impl Refused {
    /// The HTTP status of the answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::TokenNeeded | Self::OnlyLocal | Self::WrongToken(_) => 401,
            Self::ReadOnly(_) | Self::OtherTenant | Self::NoAdmin => 403,
            Self::TooMany(_) => 429,
            Self::Unavailable(_) => 503,
        }
    }

    /// One word for the audit log and for metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::TokenNeeded | Self::OnlyLocal => "no_token",
            Self::WrongToken(_) => "wrong_token",
            Self::ReadOnly(_) => "read_only",
            Self::OtherTenant => "other_tenant",
            Self::NoAdmin => "not_admin",
            Self::TooMany(_) => "rate_limited",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// The seconds after which to try again, for `Retry-After`.
    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::TooMany(wait) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            Self::Unavailable(_) => Some(5),
            _ => None,
        }
    }

    /// What is wrong, and what to do.
    fn words(&self) -> (String, &'static str) {
        match self {
            Self::TokenNeeded => (
                "this server needs a token: send it in the header `Authorization`, as `Bearer TOKEN`, or begin the path with `/t/TOKEN/`".to_owned(),
                "the person who runs the server makes a token with `capcut-mcp token add NAME`",
            ),
            Self::OnlyLocal => (
                "this server serves only programs on its own machine, because it has no tokens".to_owned(),
                "the person who runs the server makes a token with `capcut-mcp token add NAME`; send it in the header `Authorization`, as `Bearer TOKEN`",
            ),
            Self::WrongToken(what) => (
                format!("the token was not accepted: {what}"),
                "the person who runs the server lists tokens with `capcut-mcp token list` and makes a new one with `capcut-mcp token add NAME`",
            ),
            Self::ReadOnly(what) => (
                format!("this token only reads, and {what}"),
                "use a token without `--read-only`",
            ),
            Self::OtherTenant => (
                "`X-Tenant` names another tenant, and this token is not an admin's".to_owned(),
                "leave the header out, or use a token with `--admin`",
            ),
            Self::NoAdmin => (
                "the list of all tenants is for admins, and this token is not an admin's".to_owned(),
                "use a token with `--admin`; `list_drafts` lists your own drafts",
            ),
            Self::TooMany(_) => (
                format!(
                    "too many calls with this token; try again in {} s",
                    self.retry_after_s().unwrap_or_default()
                ),
                "the limits are `[rates]` in the server's `tools.toml`",
            ),
            Self::Unavailable(what) => (
                format!("no one can be identified at the moment: {what}"),
                "the server's log says more",
            ),
        }
    }

    /// For protocols that have errors of their own.
    pub(crate) fn error(&self) -> Error {
        let kind = match self {
            Self::TooMany(_) => Kind::Busy,
            Self::Unavailable(_) => Kind::Unavailable,
            _ => Kind::InvalidArgument,
        };
        let (message, hint) = self.words();
        Error::new(kind, message).hint(hint)
    }

    /// The text for the client.
    pub(crate) fn text(&self) -> String {
        let (message, hint) = self.words();
        format!("{message}\nhint: {hint}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Rights;

    fn valid() -> Credential {
        Credential::Valid(GuestIdentity {
            tenant: "alice".parse().expect("a name"),
            rights: Rights::default(),
            how: How::Token("1".to_owned()),
        })
    }

    #[test]
    fn every_combination_of_caller_listener_and_token_is_decided() {
        let mut served = Vec::new();
        for bits in 0..16 {
            let bit = |at: u32| bits >> at & 1 == 1;
            let visit = Visit { is_local: bit(0) };
            let rules = AccessRules {
                has_credentials: bit(1),
                behind_proxy: bit(2),
                open_to_all: bit(3),
            };
            for (sent, credential) in [
                ("none", Credential::None),
                ("valid", valid()),
                ("wrong", Credential::Wrong("x".to_owned())),
            ] {
                let decided = decide(visit, rules, credential);
                let expected = match sent {
                    "valid" => "alice",
                    "wrong" if rules.has_credentials => "wrong_token",
                    _ if rules.open_to_all => "Anyone",
                    _ if rules.has_credentials || rules.behind_proxy => "no_token",
                    _ if visit.is_local => "LocalUser",
                    _ => "no_token",
                };
                let got = match &decided {
                    Ok(identity) if sent == "valid" => identity.tenant.to_string(),
                    Ok(identity) => {
                        assert_eq!(identity.tenant, crate::access::TenantName::local());
                        format!("{:?}", identity.how)
                    }
                    Err(refused) => {
                        assert_eq!(refused.status(), 401);
                        refused.name().to_owned()
                    }
                };
                assert_eq!(got, expected, "{visit:?} {rules:?} {sent}");
                if decided.is_ok() && sent != "valid" && !rules.open_to_all {
                    served.push((visit.is_local, rules.has_credentials, rules.behind_proxy));
                }
            }
        }
        // Without a token and without `--no-auth` only the local user is served, and only while there are no tokens.
        served.dedup();
        assert_eq!(served, [(true, false, false)]);
    }

    #[test]
    fn an_address_beyond_this_machine_needs_tokens() {
        let check = |address: &str, credentials, proxy, open| {
            may_listen(
                address.parse().expect("an address"),
                credentials,
                proxy,
                open,
            )
            .is_ok()
        };
        for address in [
            "127.0.0.1:80",
            "127.1.2.3:80",
            "[::1]:80",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(check(address, false, false, false), "{address}");
            assert!(!check(address, false, true, false), "{address}");
            assert!(check(address, true, true, false), "{address}");
        }
        for address in [
            "0.0.0.0:80",
            "[::]:80",
            "192.168.1.2:80",
            "[::ffff:10.0.0.1]:80",
        ] {
            assert!(!check(address, false, false, false), "{address}");
            assert!(check(address, true, false, false), "{address}");
            assert!(check(address, false, false, true), "{address}");
        }
    }

    #[test]
    fn the_wait_is_rounded_up_to_seconds() {
        let wait = |ms| Refused::TooMany(Duration::from_millis(ms)).retry_after_s();
        assert_eq!(wait(1), Some(1));
        assert_eq!(wait(1000), Some(1));
        assert_eq!(wait(1001), Some(2));
    }
}
