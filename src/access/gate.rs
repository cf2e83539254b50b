//! Identifies the callers of one listener, counts their calls and keeps the audit log.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Instant;

use hyper::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;

use super::audit::{AuditEntry, AuditLog};
use super::decision::{AccessRules, Credential, decide, may_listen};
use super::jwt::{JwtFault, JwtSection, JwtVerifier};
use super::limits::{CallClass, RateLimits, RateSection};
use super::metadata;
use super::path_token::PathToken;
use super::proxies::{Network, client_address, public_origin};
use super::tokens::{LiveTokens, LookedUp, TokenSources, TokenStore};
use super::{GuestIdentity, How, Refused, Visit, utc};
use crate::error::Result;

/// How the callers of a listener are identified.
pub(crate) struct AccessSettings {
    pub tokens: TokenStore,
    pub sources: TokenSources,
    pub jwt: JwtSection,
    pub rates: RateSection,
    pub trusted_proxies: Vec<Network>,
    pub behind_proxy: bool,
    /// `--no-auth`.
    pub open_to_all: bool,
    pub audit_log: Option<PathBuf>,
}

/// The access of one listener.
pub(crate) struct AccessGate {
    tokens: LiveTokens,
    jwt: Option<JwtVerifier>,
    rates: RateLimits,
    trusted_proxies: Vec<Network>,
    behind_proxy: bool,
    open_to_all: bool,
    audit: Option<AuditLog>,
}

impl AccessGate {
    /// Fails while the tokens cannot be read, so that no one is served.
    pub(crate) fn tokens_are_known(&self) -> Result<()> {
        self.tokens.current().map(drop)
    }

    /// Fails if the tokens cannot be read, or if the listener at `address` would be open to a network without them.
    pub(crate) fn new(settings: AccessSettings, address: SocketAddr) -> Result<Self> {
        let gate = Self {
            tokens: LiveTokens::open(settings.tokens, settings.sources)?,
            jwt: JwtVerifier::new(&settings.jwt)?,
            rates: RateLimits::new(settings.rates),
            trusted_proxies: settings.trusted_proxies,
            behind_proxy: settings.behind_proxy,
            open_to_all: settings.open_to_all,
            audit: settings
                .audit_log
                .as_deref()
                .map(AuditLog::open)
                .transpose()?,
        };
        may_listen(
            address,
            gate.has_credentials()?,
            gate.behind_proxy,
            gate.open_to_all,
        )?;
        Ok(gate)
    }

    pub(crate) fn has_credentials(&self) -> Result<bool> {
        Ok(self.jwt.is_some() || !self.tokens.current()?.is_empty())
    }

    /// Whether the token with this id counts. While the tokens cannot be read, nothing is known of a change.
    pub(super) fn has_token(&self, id: &str) -> bool {
        let table = self.tokens.current();
        table.map_or(true, |table| table.has(id, utc::now_s()))
    }

    /// Who sent a request: by its `Authorization` header, or by the token that was in its path.
    pub(crate) async fn identify(
        &self,
        visit: Visit,
        headers: &HeaderMap,
        in_path: Option<&PathToken>,
    ) -> Result<GuestIdentity, Refused> {
        let unavailable = |error: crate::error::Error| {
            tracing::error!("{error}");
            // The path of the file is for the log only.
            Refused::Unavailable("the server's tokens cannot be read".to_owned())
        };
        let table = self.tokens.current().map_err(unavailable)?;
        let rules = AccessRules {
            open_to_all: self.open_to_all,
            behind_proxy: self.behind_proxy,
            has_credentials: self.jwt.is_some() || !table.is_empty(),
        };
        let credential = match sent(headers, in_path) {
            _ if !rules.has_credentials => Credential::None,
            SentToken::Nothing => Credential::None,
            SentToken::Malformed(what) => Credential::Wrong(what.to_owned()),
            SentToken::Given(token) => match table.look_up(token, utc::now_s()) {
                LookedUp::Valid(entry) => Credential::Valid(GuestIdentity {
                    tenant: entry.name.clone(),
                    rights: entry.rights(),
                    how: How::Token(entry.id.clone()),
                }),
                LookedUp::Expired(entry) => Credential::Wrong(format!(
                    "it expired on {}",
                    utc::readable(entry.expires_s.unwrap_or_default())
                )),
                LookedUp::Unknown => self.of_provider(token).await?,
            },
        };
        decide(visit, rules, credential)
    }

    async fn of_provider(&self, token: &str) -> Result<Credential, Refused> {
        let Some(jwt) = self.jwt.as_ref().filter(|_| JwtVerifier::is_form_of(token)) else {
            return Ok(Credential::Wrong(
                "it is not known here, or was revoked".to_owned(),
            ));
        };
        match jwt.identify(token).await {
            Ok(identity) => Ok(Credential::Valid(identity)),
            Err(JwtFault::Wrong(what)) => Ok(Credential::Wrong(what)),
            Err(JwtFault::Expired) => Ok(Credential::Wrong("it has expired".to_owned())),
            Err(JwtFault::Unavailable(error)) => {
                tracing::error!("{error}");
                Err(Refused::Unavailable(
                    "the keys of the sign-in provider cannot be fetched".to_owned(),
                ))
            }
        }
    }

    /// Counts a call of the caller with this key.
    pub(super) fn count(&self, key: &str, class: CallClass) -> Result<(), Refused> {
        self.rates
            .count(key, class, Instant::now())
            .map_err(Refused::TooMany)
    }

    /// The address of the client, for logs.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        client_address(peer, headers, &self.trusted_proxies)
    }

    /// The address of the listener as its client sees it, `https://videos.example.com`. `own`: whether the listener has
    /// TLS, and the host that the request names.
    pub(crate) fn origin(&self, peer: IpAddr, headers: &HeaderMap, own: (bool, &str)) -> String {
        public_origin(peer, headers, &self.trusted_proxies, own)
    }

    /// The metadata for signing in with the provider, if there is one and the path is theirs.
    pub(crate) fn metadata(&self, path: &str, origin: &str) -> Option<Value> {
        metadata::metadata(path, origin, self.jwt.as_ref()?.section())
    }

    /// The `WWW-Authenticate` header of a refused request.
    pub(crate) fn challenge(&self, refused: &Refused, origin: &str) -> Option<String> {
        let origin = self.jwt.is_some().then_some(origin);
        match refused {
            Refused::TokenNeeded | Refused::OnlyLocal => Some(metadata::challenge(None, origin)),
            Refused::WrongToken(what) => {
                Some(metadata::challenge(Some(("invalid_token", what)), origin))
            }
            Refused::ReadOnly(what) => Some(metadata::challenge(
                Some(("insufficient_scope", what)),
                origin,
            )),
            Refused::OtherTenant
            | Refused::NoAdmin
            | Refused::TooMany(_)
            | Refused::Unavailable(_) => None,
        }
    }

    pub(crate) fn audit(&self, entry: &AuditEntry<'_>) {
        if let Some(audit) = &self.audit {
            audit.write(entry);
        }
    }
}

/// What a request sent to identify itself.
enum SentToken<'a> {
    Nothing,
    Given(&'a str),
    Malformed(&'static str),
}

fn sent<'a>(headers: &'a HeaderMap, in_path: Option<&'a PathToken>) -> SentToken<'a> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return in_path.map_or(SentToken::Nothing, |token| SentToken::Given(token.as_str()));
    };
    if given.next().is_some() {
        return SentToken::Malformed("the request has more than one `Authorization` header");
    }
    let text = value.to_str().unwrap_or_default().trim();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
        return SentToken::Malformed("`Authorization` is not `Bearer TOKEN`");
    }
    if in_path.is_some_and(|other| other.as_str() != token) {
        return SentToken::Malformed("the path and `Authorization` have different tokens");
    }
    SentToken::Given(token)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use std::sync::Arc;

    use crate::access::Guest;
    use crate::access::limits::Rate;
    use crate::access::path_token::take_token;
    use crate::access::{Rights, TenantName};

    fn gate(folder: &std::path::Path) -> AccessGate {
        let rate = Rate {
            per_minute: 60.0,
            burst: 2,
        };
        let rates = RateSection {
            audio: rate,
            visual: rate,
            draft: rate,
            query: rate,
            other: rate,
        };
        let settings = AccessSettings {
            tokens: TokenStore::new(folder),
            sources: TokenSources::default(),
            jwt: JwtSection::off(),
            rates,
            trusted_proxies: Vec::new(),
            behind_proxy: false,
            open_to_all: false,
            audit_log: None,
        };
        AccessGate::new(settings, ([127, 0, 0, 1], 0).into()).expect("a gate")
    }

    #[tokio::test]
    async fn tokens_are_read_from_the_header_or_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let alice: TenantName = "alice".parse().expect("a name");
        let rights = Rights {
            read_only: true,
            admin: false,
        };
        let store = TokenStore::new(folder.path());
        let new = store
            .change(&|all| crate::access::tokens::add(all, &alice, rights, None))
            .expect("added");
        let gate = gate(folder.path());
        let ask = async |header: &[&str], in_path: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in header {
                headers.append(
                    AUTHORIZATION,
                    HeaderValue::from_str(value).expect("a header"),
                );
            }
            let token = in_path.map(|token| {
                take_token(&mut format!("/t/{token}/x").parse().expect("a path")).expect("a token")
            });
            let visit = Visit { is_local: true };
            gate.identify(visit, &headers, token.as_ref()).await
        };
        let token = new.token.as_str();
        let bearer = format!("Bearer {token}");
        let expected = GuestIdentity {
            tenant: alice,
            rights,
            how: How::Token(new.entry.id.clone()),
        };
        assert_eq!(ask(&[&bearer], None).await.as_ref(), Ok(&expected));
        assert_eq!(
            ask(&[&format!("bearer   {token} ")], None).await.as_ref(),
            Ok(&expected)
        );
        assert_eq!(ask(&[], Some(token)).await.as_ref(), Ok(&expected));
        assert_eq!(ask(&[&bearer], Some(token)).await.as_ref(), Ok(&expected));
        assert_eq!(ask(&[], None).await, Err(Refused::TokenNeeded));
        let wrong = format!("{bearer}x");
        for (headers, in_path) in [
            (vec![wrong.as_str()], None),
            (vec![bearer.as_str(), bearer.as_str()], None),
            (vec![bearer.as_str()], Some("other")),
            (vec!["Basic YTpi"], None),
            (vec!["Basic YTpi"], Some(token)),
            (vec!["Bearer"], None),
            (vec!["Bearer a b"], None),
            (vec![""], None),
            (vec![token], None),
            (vec![], Some("other")),
        ] {
            let refused = ask(&headers, in_path).await.expect_err("refused");
            assert!(
                matches!(refused, Refused::WrongToken(_)),
                "{headers:?} {refused:?}"
            );
            assert!(!refused.text().contains(token), "{refused:?}");
            assert!(
                gate.challenge(&refused, "http://h")
                    .is_some_and(|text| text.contains("invalid_token"))
            );
        }
    }

    #[tokio::test]
    async fn without_tokens_credentials_are_not_compared() {
        let folder = tempfile::tempdir().expect("a folder");
        let gate = gate(folder.path());
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            HeaderValue::from_static("Bearer placeholder"),
        );
        let local = gate
            .identify(Visit { is_local: true }, &headers, None)
            .await;
        assert_eq!(local.expect("served").how, How::LocalUser);
        let other = gate
            .identify(Visit { is_local: false }, &headers, None)
            .await;
        assert_eq!(other, Err(Refused::OnlyLocal));
    }

    #[test]
    fn only_callers_with_a_token_have_limits() {
        let folder = tempfile::tempdir().expect("a folder");
        let gate = Arc::new(gate(folder.path()));
        let count = |how| {
            let identity = GuestIdentity {
                tenant: TenantName::local(),
                rights: Rights::default(),
                how,
            };
            let guest = Guest::new(&gate, identity, IpAddr::from([127, 0, 0, 1]), "1");
            (0..4)
                .filter(|_| guest.count(CallClass::Draft).is_ok())
                .count()
        };
        assert_eq!(count(How::LocalUser), 4);
        assert_eq!(count(How::Token("1".to_owned())), 2);
        assert_eq!(count(How::Token("2".to_owned())), 2);
        assert_eq!(count(How::Jwt), 2);
    }
}
