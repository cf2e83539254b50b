//! Who sends a request, and what the listener answers before it becomes a call: without a token, with a wrong one, with
//! one that only reads, or with too many calls. [`crate::access`] decides.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::{
    HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::answer::{self, Answer};
use super::newer::Endpoint;
use super::routes::{Destination, OwnRoute};
use super::tenants::Tenant;
use super::{Head, HttpServer};
use crate::access::{AuditEntry, CallClass, Guest, PathToken, Refused, Visit};
use crate::caller::From;
use crate::error::shortened;
use crate::manifest::{LaneName, Manifest};
use crate::tool::Spec;

/// A call of MCP that reads drafts without a tool.
const READ_RESOURCE: &str = "resources/read";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// With an admin's token: the tenant whose drafts the request is about.
const TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// Where a request comes from.
pub(super) struct RequestOrigin<'a> {
    pub peer: IpAddr,
    pub from: From,
    /// The id of the request.
    pub id: &'a str,
}

/// The id of a request, which is in its answer, in errors and in the audit log.
pub(super) fn request_id() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// The headers of every answer.
pub(super) fn add_headers(headers: &mut HeaderMap, id: &str, is_tls: bool) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    let text = HeaderValue::from_static;
    headers.insert(X_CONTENT_TYPE_OPTIONS, text("nosniff"));
    headers.insert(X_FRAME_OPTIONS, text("DENY"));
    // The studio has its own.
    headers
        .entry(REFERRER_POLICY)
        .or_insert(text("no-referrer"));
    if is_tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, text("max-age=31536000"));
    }
}

/// Whether anyone may ask: preflights of browsers, which have no `Authorization` header, what clients read in order to
/// sign in, and saved drafts, whose links are signed.
fn is_public(route: Destination, method: &Method, path: &str) -> bool {
    *method == Method::OPTIONS
        || path.starts_with(".well-known/")
        || matches!(
            route,
            Destination::Own(OwnRoute::WebSocket | OwnRoute::DraftFile)
        )
}

impl HttpServer {
    /// Who sent the request; `None` if that does not matter. The error is the answer to a caller who is not served.
    pub(super) async fn guest(
        &self,
        visitor: &RequestOrigin<'_>,
        head: &Parts,
        route: Destination,
        path: &str,
        token: Option<&PathToken>,
    ) -> Result<Option<Guest>, Box<Answer>> {
        let Some(gate) = &self.gate else {
            return Ok(None);
        };
        if is_public(route, &head.method, path) {
            return Ok(None);
        }
        let visit = Visit {
            is_local: visitor.from == From::Here,
        };
        let client = gate.client(visitor.peer, &head.headers);
        match gate.identify(visit, &head.headers, token).await {
            Ok(identity) => Ok(Some(Guest::new(gate, identity, client, visitor.id))),
            // Orchestrators and load balancers have no token.
            Err(_) if matches!(route, Destination::Own(OwnRoute::Health | OwnRoute::Ready)) => {
                Ok(None)
            }
            Err(refused) => {
                let action = action(route);
                tracing::warn!(
                    %client,
                    route = action,
                    request = visitor.id,
                    "Authentication failed: {}",
                    refused.name()
                );
                gate.audit(&AuditEntry {
                    request: visitor.id,
                    tenant: None,
                    token: None,
                    client,
                    action,
                    draft: None,
                    result: refused.name(),
                });
                let origin = self.origin(visitor.peer, head);
                let challenge = gate.challenge(&refused, &origin);
                Err(Box::new(answer_to(&refused, challenge)))
            }
        }
    }

    /// The same for the studio, whose pages send the token as a cookie.
    pub(super) async fn studio_guest(
        &self,
        visitor: &RequestOrigin<'_>,
        head: &Parts,
        token: Option<&PathToken>,
    ) -> Result<Option<Guest>, Box<Answer>> {
        let route = Destination::Own(OwnRoute::Studio);
        self.guest(visitor, head, route, "studio", token).await
    }

    /// The tenant whose drafts a request is about.
    pub(super) fn tenant_of(
        &self,
        guest: Option<&Guest>,
        headers: &HeaderMap,
    ) -> Result<Arc<Tenant>, Box<Answer>> {
        let Some(guest) = guest else {
            return Ok(self.tenants.local());
        };
        let named = match headers.get(TENANT) {
            None => Ok(guest.tenant().clone()),
            Some(name) => guest.tenant_named(name.to_str().unwrap_or_default()),
        };
        let name = named.map_err(|refused| {
            guest.record(TENANT.as_str(), None, refused.name());
            Box::new(answer_to(&refused, None))
        })?;
        self.tenants.named(name.as_str()).map_err(|error| {
            tracing::error!("{}", error.cause());
            let text = "the drafts of this tenant cannot be opened; the server's log says why";
            Box::new(answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, text))
        })
    }

    /// The answer to a call that the caller's token or its rate does not allow.
    pub(super) fn refused_call(&self, head: &Head, spec: &'static Spec) -> Option<Answer> {
        self.refused_with(
            head.guest.as_ref(),
            spec.name,
            spec.hints.read_only,
            class_of(&self.manifest, spec.name),
        )
    }

    /// The same for an endpoint of newer sources: none of them changes anything.
    pub(super) fn refused_endpoint(&self, head: &Head, endpoint: Endpoint) -> Option<Answer> {
        let guest = head.guest.as_ref();
        self.refused_with(
            guest,
            endpoint.name(),
            endpoint.only_reads(),
            CallClass::Other,
        )
    }

    /// The same for uploaded files.
    pub(super) fn refused_files(&self, guest: Option<&Guest>, method: &Method) -> Option<Answer> {
        let only_reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        self.refused_with(guest, "files", only_reads, CallClass::Other)
    }

    /// The same for the list of saved drafts.
    pub(super) fn refused_list(&self, head: &Head) -> Option<Answer> {
        self.refused_with(head.guest.as_ref(), "drafts", true, CallClass::Other)
    }

    /// The same for the list of all tenants, which is for admins.
    pub(super) fn refused_tenants(&self, head: &Head) -> Option<Answer> {
        let guest = head.guest.as_ref();
        if let Some(guest) = guest.filter(|guest| !guest.is_admin()) {
            let refused = Refused::NoAdmin;
            guest.record("tenants", None, refused.name());
            return Some(answer_to(&refused, None));
        }
        self.refused_with(guest, "tenants", true, CallClass::Other)
    }

    fn refused_with(
        &self,
        guest: Option<&Guest>,
        action: &str,
        only_reads: bool,
        class: CallClass,
    ) -> Option<Answer> {
        let guest = guest?;
        let checked = guest
            .may(action, only_reads)
            .and_then(|()| guest.count(class));
        let refused = checked.err()?;
        guest.record(action, None, refused.name());
        Some(answer_to(&refused, None))
    }

    /// The answer to messages of MCP with more calls than the caller's rate allows.
    pub(super) fn too_many(&self, head: &Head, message: &[u8]) -> Option<Answer> {
        let guest = head.guest.as_ref()?;
        for call in calls_in(message) {
            let (action, class) = match &call {
                CountedCall::Tool(tool) => (shortened(tool), class_of(&self.manifest, tool)),
                CountedCall::Resource => (READ_RESOURCE.into(), CallClass::Query),
            };
            if let Err(refused) = guest.count(class) {
                guest.record(&action, None, refused.name());
                return Some(answer_to(&refused, None));
            }
        }
        None
    }

    /// Where clients sign in, if there is a provider.
    pub(super) fn sign_in(&self, peer: IpAddr, head: &Head) -> Answer {
        let origin = self.origin(peer, &head.parts);
        let metadata = self.gate.as_ref();
        match metadata.and_then(|gate| gate.metadata(head.parts.uri.path(), &origin)) {
            Some(_) if !matches!(head.parts.method, Method::GET | Method::HEAD) => {
                answer::not_allowed(OwnRoute::SignIn.allow())
            }
            Some(metadata) => answer::json(StatusCode::OK, metadata),
            None => answer::page(StatusCode::NOT_FOUND),
        }
    }

    /// The address of this listener as its client sees it.
    pub(super) fn origin(&self, peer: IpAddr, head: &Parts) -> String {
        let host = head
            .uri
            .authority()
            .map(hyper::http::uri::Authority::as_str);
        let header = head.headers.get(hyper::header::HOST);
        let host = host.or_else(|| header.and_then(|host| host.to_str().ok()));
        let own = (self.tls.is_some(), host.unwrap_or("localhost"));
        match &self.gate {
            Some(gate) => gate.origin(peer, &head.headers, own),
            // Only in tests.
            None => format!("http://{}", own.1),
        }
    }
}

/// What a call of this tool counts as.
pub(super) fn class_of(manifest: &Manifest, tool: &str) -> CallClass {
    let route = manifest.tools.get(tool);
    match route.and_then(|route| route.lane) {
        Some(LaneName::Audio) => CallClass::Audio,
        Some(LaneName::Visual) => CallClass::Visual,
        Some(LaneName::Draft) => CallClass::Draft,
        Some(LaneName::Query) => CallClass::Query,
        None => CallClass::Other,
    }
}

/// The name of a route in logs: never the path, which a caller chooses.
fn action(route: Destination) -> &'static str {
    match route {
        Destination::Api(route) => route.spec.name,
        Destination::Newer(endpoint) => endpoint.name(),
        Destination::Own(OwnRoute::Mcp) => "mcp",
        Destination::Own(OwnRoute::Metrics) => "metrics",
        Destination::Own(OwnRoute::Drafts | OwnRoute::DraftFile) => "drafts",
        Destination::Own(OwnRoute::Files) => "files",
        Destination::Own(OwnRoute::Tenants) => "tenants",
        Destination::Own(OwnRoute::Studio) => "studio",
        Destination::Own(_) => "health",
        Destination::None => "unknown path",
    }
}

pub(super) fn answer_to(refused: &Refused, challenge: Option<String>) -> Answer {
    let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::FORBIDDEN);
    let mut answer = answer::refusal(status, &refused.text());
    let headers = answer.headers_mut();
    if let Some(challenge) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(s) = refused.retry_after_s() {
        headers.insert(RETRY_AFTER, s.into());
    }
    answer
}

/// What the rate limits count of MCP's messages.
#[derive(Debug, PartialEq, Eq)]
enum CountedCall {
    Tool(String),
    Resource,
}

/// The parts of a JSON-RPC message that say which tool it calls.
#[derive(Deserialize)]
struct MessageHead<'a> {
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<NamedTool<'a>>,
}

#[derive(Deserialize)]
struct NamedTool<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

/// The calls in a message of MCP, or in a list of messages. What cannot be read is refused later.
fn calls_in(message: &[u8]) -> Vec<CountedCall> {
    let messages: Vec<MessageHead<'_>> = match message.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(message).unwrap_or_default(),
        _ => serde_json::from_slice(message).into_iter().collect(),
    };
    let call = |message: MessageHead<'_>| match message.method.as_deref() {
        Some("tools/call") => {
            let name = message.params.and_then(|params| params.name);
            Some(CountedCall::Tool(name.unwrap_or_default().into_owned()))
        }
        Some(READ_RESOURCE) => Some(CountedCall::Resource),
        _ => None,
    };
    messages.into_iter().filter_map(call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_a_message_are_found() {
        for (message, expected) in [
            (
                r#"{"method":"tools/call","params":{"name":"add_text","arguments":{"name":"x"}}}"#,
                &["add_text"][..],
            ),
            (
                r#"{"params":{"name":"add\u005ftext"},"method":"tools\/call"}"#,
                &["add_text"],
            ),
            (
                r#"[{"method":"tools/call","params":{"name":"a"}},{"method":"ping"},{"method":"tools/call","params":{"name":"b"}}]"#,
                &["a", "b"],
            ),
            (r#"{"method":"tools/call"}"#, &[""]),
            (r#"{"method":"prompts/get","params":{"name":"a"}}"#, &[]),
            (r#"{"result":{}}"#, &[]),
            ("not JSON", &[]),
            ("", &[]),
        ] {
            let tools = expected
                .iter()
                .map(|tool| CountedCall::Tool((*tool).to_owned()));
            assert_eq!(
                calls_in(message.as_bytes()),
                tools.collect::<Vec<_>>(),
                "{message}"
            );
        }
        let read = br#"{"method":"resources/read","params":{"uri":"capcut://drafts"}}"#;
        assert_eq!(calls_in(read), [CountedCall::Resource]);
    }
}
