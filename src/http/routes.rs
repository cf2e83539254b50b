//! The paths of a listener.

use std::borrow::Cow;
use std::collections::HashMap;

use super::newer::Endpoint;
use crate::access::percent_decoded;
use crate::manifest::Manifest;
use crate::tool::Spec;
use crate::tools::ROUTED;

/// The routes of the CapCut API, by path without leading slashes.
pub(super) struct Routes(HashMap<String, ApiRoute>);

impl Routes {
    /// The paths are the built-in ones: a user's manifest changes where calls are sent, not what is served here.
    pub(super) fn new(built_in: &Manifest) -> Self {
        let mut routes = HashMap::new();
        for spec in &ROUTED {
            let Some(listed) = built_in.tools.get(spec.name) else {
                continue;
            };
            if let Some(path) = listed.path() {
                let route = ApiRoute {
                    spec,
                    get: listed.get.is_some(),
                };
                routes.insert(path.trim_start_matches('/').to_owned(), route);
            }
        }
        Self(routes)
    }

    /// Where a request to this path goes.
    pub(super) fn at(&self, path: &str) -> Destination {
        if let Some(route) = self.0.get(path) {
            return Destination::Api(*route);
        }
        Endpoint::at(path)
            .map(Destination::Newer)
            .or_else(|| OwnRoute::at(path).map(Destination::Own))
            .unwrap_or(Destination::None)
    }
}

#[derive(Clone, Copy)]
pub(super) struct ApiRoute {
    pub spec: &'static Spec,
    /// Whether it is read with GET; otherwise it is called with POST.
    pub get: bool,
}

/// A path of this server that is not one of the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnRoute {
    /// For orchestrators, and for other capcut-mcp processes.
    Health,
    /// Whether calls can be run and recorded.
    Ready,
    Metrics,
    Mcp,
    /// Where clients sign in (RFC 9728).
    SignIn,
    /// The list of saved drafts.
    Drafts,
    /// A saved draft, by a link.
    DraftFile,
    /// Guides name a WebSocket there.
    WebSocket,
    /// Uploaded files, or one of them.
    Files,
    /// All tenants with their drafts, for admins.
    Tenants,
    /// The page for people.
    Studio,
}

impl OwnRoute {
    pub(super) fn at(path: &str) -> Option<Self> {
        Some(match path.strip_suffix('/').unwrap_or(path) {
            "health" | "api/v1/health" => Self::Health,
            "ready" => Self::Ready,
            "metrics" => Self::Metrics,
            "mcp" => Self::Mcp,
            "ws" => Self::WebSocket,
            "files" => Self::Files,
            "tenants" => Self::Tenants,
            "studio" => Self::Studio,
            page if page.starts_with("studio/") => Self::Studio,
            file if file.starts_with("files/") => Self::Files,
            _ if path.starts_with(".well-known/oauth-protected-resource") => Self::SignIn,
            "drafts" => Self::Drafts,
            file if file.starts_with("drafts/") => Self::DraftFile,
            _ => return None,
        })
    }

    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Mcp => "DELETE, GET, OPTIONS, POST",
            Self::Files => "DELETE, GET, HEAD, OPTIONS, PUT",
            Self::Studio => "GET, HEAD, POST, PUT",
            _ => "GET, HEAD, OPTIONS",
        }
    }
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) enum Destination {
    Api(ApiRoute),
    /// An endpoint that only newer sources of the API have.
    Newer(Endpoint),
    Own(OwnRoute),
    None,
}

impl Destination {
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Api(ApiRoute { get: true, .. }) => "GET, HEAD, OPTIONS",
            Self::Api(ApiRoute { get: false, .. }) => "OPTIONS, POST",
            Self::Newer(endpoint) => endpoint.allow(),
            Self::Own(route) => route.allow(),
            Self::None => "OPTIONS",
        }
    }
}

/// The path without leading slashes, with percent codes decoded.
pub(super) fn resolved(path: &str) -> Cow<'_, str> {
    let path = if path.contains('%') {
        Cow::Owned(percent_decoded(path))
    } else {
        Cow::Borrowed(path)
    };
    match path {
        Cow::Borrowed(path) => Cow::Borrowed(path.trim_start_matches('/')),
        Cow::Owned(path) => Cow::Owned(path.trim_start_matches('/').to_owned()),
    }
}
