//! Tokens of an identity provider: JSON Web Tokens (RFC 7519) with the signature of one of the provider's keys.

mod keys;
mod signatures;

use std::sync::Once;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{GuestIdentity, How, Rights, TenantName};
use crate::error::{Error, Result};
use keys::ProviderKeys;

/// The provider whose tokens are accepted; off if `issuer` is empty.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtSection {
    pub issuer: String,
    pub audience: String,
    pub algorithms: Vec<JwtAlgorithm>,
    /// The URL or the file of the provider's keys (JWKS, RFC 7517).
    pub keys: String,
    pub leeway_s: f64,
    pub tenant_claim: String,
    pub scope_claim: String,
    pub write_scope: String,
    pub admin_scope: String,
}

/// Signatures that only the owner of a private key can make. `none` and those with shared keys (`HS256`) are not among
/// them: a public key would be the shared key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum JwtAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl JwtAlgorithm {
    fn is(self, other: Algorithm) -> bool {
        let own = match self {
            Self::RS256 => Algorithm::RS256,
            Self::RS384 => Algorithm::RS384,
            Self::RS512 => Algorithm::RS512,
            Self::PS256 => Algorithm::PS256,
            Self::PS384 => Algorithm::PS384,
            Self::PS512 => Algorithm::PS512,
            Self::ES256 => Algorithm::ES256,
            Self::ES384 => Algorithm::ES384,
            Self::EdDSA => Algorithm::EdDSA,
        };
        own == other
    }
}

/// The largest leeway for the clocks of two machines, in seconds.
const MOST_LEEWAY_S: f64 = 600.0;

impl JwtSection {
    pub(crate) fn is_on(&self) -> bool {
        !self.issuer.trim().is_empty()
    }

    /// What is wrong with the section, as a key and a sentence.
    pub(crate) fn faults(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        if !(0.0..=MOST_LEEWAY_S).contains(&self.leeway_s) {
            faults.push(("leeway_s", "must be a number of seconds from 0 to 600"));
        }
        if !self.is_on() {
            return faults;
        }
        for (key, value) in [
            ("audience", &self.audience),
            ("keys", &self.keys),
            ("tenant_claim", &self.tenant_claim),
        ] {
            if value.trim().is_empty() {
                faults.push((key, "must not be empty if `issuer` is set"));
            }
        }
        if self.algorithms.is_empty() {
            faults.push(("algorithms", "must name at least one algorithm"));
        }
        let has_scope = [&self.write_scope, &self.admin_scope]
            .iter()
            .any(|scope| !scope.trim().is_empty());
        if has_scope && self.scope_claim.trim().is_empty() {
            faults.push(("scope_claim", "must not be empty if a scope is set"));
        }
        if keys::is_plain_remote(self.keys.trim()) {
            faults.push((
                "keys",
                "must begin with https:// unless the provider is on this machine",
            ));
        }
        faults
    }

    #[cfg(test)]
    pub(super) fn off() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            algorithms: vec![JwtAlgorithm::ES256, JwtAlgorithm::EdDSA],
            keys: String::new(),
            leeway_s: 60.0,
            tenant_claim: "sub".to_owned(),
            scope_claim: "scope".to_owned(),
            write_scope: String::new(),
            admin_scope: String::new(),
        }
    }
}

/// Why a provider's token was not accepted.
#[derive(Debug)]
pub(super) enum JwtFault {
    /// The token is wrong: what is wrong with it, without quoting it.
    Wrong(String),
    Expired,
    /// The provider's keys are not available, so nothing can be said about the token.
    Unavailable(Error),
}

/// Verifies the tokens of one provider.
pub(super) struct JwtVerifier {
    section: JwtSection,
    keys: ProviderKeys,
}

impl JwtVerifier {
    /// `None` if the section is off.
    pub(super) fn new(section: &JwtSection) -> Result<Option<Self>> {
        static PROVIDER: Once = Once::new();
        if !section.is_on() {
            return Ok(None);
        }
        // It fails if the process already has a provider, which is this one.
        PROVIDER.call_once(|| {
            let _ = signatures::PROVIDER.install_default();
        });
        Ok(Some(Self {
            keys: ProviderKeys::new(section.keys.trim())?,
            section: section.clone(),
        }))
    }

    pub(super) fn section(&self) -> &JwtSection {
        &self.section
    }

    /// Whether a token has the form of a JWT.
    pub(super) fn is_form_of(token: &str) -> bool {
        let mut parts = token.split('.');
        let header = parts.next().unwrap_or_default();
        header.starts_with("eyJ") && parts.count() == 2
    }

    pub(super) async fn identify(&self, token: &str) -> Result<GuestIdentity, JwtFault> {
        let wrong = |what: &str| JwtFault::Wrong(what.to_owned());
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| wrong("its header is not that of a JWT with a known algorithm"))?;
        let mut allowed = self.section.algorithms.iter();
        if !allowed.any(|allowed| allowed.is(header.alg)) {
            return Err(JwtFault::Wrong(format!(
                "its algorithm {:?} is not among `algorithms` of `[auth.jwt]`",
                header.alg
            )));
        }
        // Extensions that a verifier has to understand (RFC 7515, 4.1.11); none is understood.
        if header.crit.is_some() {
            return Err(wrong("its header has `crit` extensions"));
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await?;
        let mut validation = Validation::new(header.alg);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[self.section.issuer.trim()]);
        validation.set_audience(&[self.section.audience.trim()]);
        validation.validate_nbf = true;
        validation.leeway = Duration::try_from_secs_f64(self.section.leeway_s)
            .unwrap_or_default()
            .as_secs();
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => JwtFault::Expired,
                ErrorKind::ImmatureSignature => wrong("it is not valid yet"),
                ErrorKind::InvalidSignature => wrong("its signature is not that of the provider"),
                ErrorKind::InvalidIssuer => wrong("its issuer is another one"),
                ErrorKind::InvalidAudience => {
                    wrong("its audience is not this server's `audience` of `[auth.jwt]`")
                }
                ErrorKind::MissingRequiredClaim(claim) => {
                    JwtFault::Wrong(format!("it has no valid claim `{claim}`"))
                }
                _ => wrong("it is malformed"),
            })?;
        self.identity(&decoded.claims)
    }

    fn identity(&self, claims: &Map<String, Value>) -> Result<GuestIdentity, JwtFault> {
        let claim = self.section.tenant_claim.trim();
        let tenant = match value_at(claims, claim) {
            Some(Value::String(text)) if !text.is_empty() => TenantName::of_claim(text),
            Some(Value::Number(number)) => TenantName::of_claim(&number.to_string()),
            _ => {
                return Err(JwtFault::Wrong(format!(
                    "it has no text in the claim `{claim}`, which names the tenant"
                )));
            }
        };
        let granted = value_at(claims, self.section.scope_claim.trim());
        let has = |scope: &str| granted.is_some_and(|granted| has_scope(granted, scope.trim()));
        let (write, admin) = (&self.section.write_scope, &self.section.admin_scope);
        Ok(GuestIdentity {
            tenant,
            rights: Rights {
                read_only: !write.trim().is_empty() && !has(write),
                admin: !admin.trim().is_empty() && has(admin),
            },
            how: How::Jwt,
        })
    }
}

/// A claim by its name, or by a path of names: `realm_access.roles`.
fn value_at<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    value_at(claims.get(first)?.as_object()?, rest)
}

/// Whether a claim grants a scope: words in a text, or a list of texts.
fn has_scope(granted: &Value, scope: &str) -> bool {
    match granted {
        Value::String(text) => text.split_whitespace().any(|word| word == scope),
        Value::Array(list) => list.iter().any(|item| item == scope),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
