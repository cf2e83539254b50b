//! Who may use a listener, and with which rights: tokens, sign-in with a provider, rate limits and the audit log.
//!
//! [`AccessGate`] answers for one listener; [`decide`] is the rule. What a caller may read, fetch and write is decided by
//! [`caller`](crate::caller), and where a tenant's drafts are by the listener.

mod audit;
mod decision;
mod gate;
mod guest;
pub(crate) mod jwt;
mod limits;
mod metadata;
mod path_token;
mod proxies;
mod tenant;
pub(crate) mod tokens;
pub(crate) mod utc;

pub(crate) use audit::AuditEntry;
pub(crate) use decision::{Refused, Visit};
pub(crate) use gate::{AccessGate, AccessSettings};
pub(crate) use guest::Guest;
pub(crate) use jwt::JwtSection;
pub(crate) use limits::{CallClass, RateSection};
pub(crate) use path_token::{PathToken, percent_decoded, shown_path, take_token};
pub(crate) use proxies::Network;
pub(crate) use tenant::TenantName;

/// An admitted caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuestIdentity {
    /// Whose drafts, jobs, templates, media and files it uses.
    pub tenant: TenantName,
    pub rights: Rights,
    pub how: How,
}

/// What a caller may do beyond reading its own drafts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// It may not change, save, upload, delete or generate anything.
    pub read_only: bool,
    /// It sees the drafts of all tenants.
    pub admin: bool,
}

/// How a caller was identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// A program on this machine, on a listener without tokens.
    LocalUser,
    /// Anyone, on a listener with `--no-auth`.
    Anyone,
    /// The id of a token.
    Token(String),
    /// A token of the configured provider.
    Jwt,
}

impl GuestIdentity {
    /// The caller of a listener that asks for no token.
    fn without_token(how: How) -> Self {
        Self {
            tenant: TenantName::local(),
            rights: Rights::default(),
            how,
        }
    }
}
