//! An identified caller of a listener, for the time of one request.

use std::net::IpAddr;
use std::sync::Arc;

use super::audit::AuditEntry;
use super::limits::CallClass;
use super::{AccessGate, GuestIdentity, How, Refused, TenantName};
use crate::caller::From;

/// Cheap to clone: it travels with the request.
#[derive(Clone)]
pub(crate) struct Guest(Arc<GuestOfRequest>);

struct GuestOfRequest {
    gate: Arc<AccessGate>,
    identity: GuestIdentity,
    client: IpAddr,
    request: String,
}

impl Guest {
    /// `client` is the address for the audit log, and `request` the id that is in the answer.
    pub(crate) fn new(
        gate: &Arc<AccessGate>,
        identity: GuestIdentity,
        client: IpAddr,
        request: &str,
    ) -> Self {
        Self(Arc::new(GuestOfRequest {
            gate: Arc::clone(gate),
            identity,
            client,
            request: request.to_owned(),
        }))
    }

    pub(crate) fn tenant(&self) -> &TenantName {
        &self.0.identity.tenant
    }

    /// The tenant that the request names: its own, or any for an admin. The answer to others does not depend on whether
    /// the tenant exists.
    pub(crate) fn tenant_named(&self, name: &str) -> Result<TenantName, Refused> {
        let own = self.tenant();
        if name == own.as_str() {
            return Ok(own.clone());
        }
        match name.parse() {
            Ok(name) if self.0.identity.rights.admin => Ok(name),
            _ => Err(Refused::OtherTenant),
        }
    }

    /// Where the caller counts as being. A program with a token may be behind a proxy that leaves no trace, so that it does
    /// not get the access to servers of this machine that the local user has.
    pub(crate) fn place(&self, from: From) -> From {
        match self.0.identity.how {
            How::LocalUser | How::Anyone => from,
            How::Token(_) | How::Jwt => From::Network,
        }
    }

    /// Whether it sent a token.
    pub(crate) fn has_token(&self) -> bool {
        matches!(self.0.identity.how, How::Token(_) | How::Jwt)
    }

    /// The id of the request.
    pub(crate) fn request(&self) -> &str {
        &self.0.request
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.0.identity.rights.read_only
    }

    /// Whether it sees the drafts of all tenants.
    pub(crate) fn is_admin(&self) -> bool {
        self.0.identity.rights.admin
    }

    /// Refuses a call that its token does not allow.
    pub(crate) fn may(&self, action: &str, only_reads: bool) -> Result<(), Refused> {
        if self.is_read_only() && !only_reads {
            return Err(Refused::ReadOnly(format!("`{action}` changes something")));
        }
        Ok(())
    }

    /// Whether the token with which the request was sent has been neither revoked nor expired since. A provider's tokens are
    /// checked only when a request arrives.
    pub(crate) fn still_counts(&self) -> bool {
        match &self.0.identity.how {
            How::LocalUser | How::Anyone | How::Jwt => true,
            How::Token(id) => self.0.gate.has_token(id),
        }
    }

    /// Counts a call. Callers without a token have no limits: they are the user of this machine, or were admitted by
    /// `--no-auth`.
    pub(crate) fn count(&self, class: CallClass) -> Result<(), Refused> {
        let GuestOfRequest { gate, identity, .. } = &*self.0;
        match &identity.how {
            How::LocalUser | How::Anyone => Ok(()),
            How::Token(id) => gate.count(&format!("token {id}"), class),
            How::Jwt => gate.count(&format!("tenant {}", identity.tenant), class),
        }
    }

    /// Writes how a call ended into the audit log. `result`: `ok`, or the kind of the error.
    pub(crate) fn record(&self, action: &str, draft: Option<&str>, result: &str) {
        let guest = &*self.0;
        guest.gate.audit(&AuditEntry {
            request: &guest.request,
            tenant: Some(guest.identity.tenant.as_str()),
            token: match &guest.identity.how {
                How::Token(id) => Some(id),
                _ => None,
            },
            client: guest.client,
            action,
            draft,
            result,
        });
    }
}
