//! What the listener says about signing in: the metadata of a protected resource (RFC 9728), and the challenge with
//! which a refused request is answered (RFC 6750).

use serde_json::{Value, json};

use super::jwt::JwtSection;

/// The paths of the metadata: of the listener, and of the resource `/mcp`.
const PATHS: [(&str, &str); 2] = [
    ("/.well-known/oauth-protected-resource", ""),
    ("/.well-known/oauth-protected-resource/mcp", "/mcp"),
];

/// The metadata at this path, if it is one of its paths. `origin` is the listener's address as its clients see it,
/// `https://videos.example.com`.
pub(super) fn metadata(path: &str, origin: &str, jwt: &JwtSection) -> Option<Value> {
    let (_, resource) = PATHS.iter().find(|(known, _)| *known == path)?;
    let scopes: Vec<&str> = [&jwt.write_scope, &jwt.admin_scope]
        .into_iter()
        .map(|scope| scope.trim())
        .filter(|scope| !scope.is_empty())
        .collect();
    let mut metadata = json!({
        "resource": format!("{origin}{resource}"),
        "authorization_servers": [jwt.issuer],
        "bearer_methods_supported": ["header"],
        "resource_name": "capcut-mcp",
    });
    if !scopes.is_empty() {
        metadata["scopes_supported"] = scopes.into();
    }
    Some(metadata)
}

/// The value of `WWW-Authenticate`. `error`: the code and description of what is wrong with the token, if there is one.
/// `origin`: as for [`metadata`], if there is a provider.
pub(super) fn challenge(error: Option<(&str, &str)>, origin: Option<&str>) -> String {
    let mut text = "Bearer realm=\"capcut-mcp\"".to_owned();
    if let Some((code, description)) = error {
        let description = quotable(description);
        text.push_str(&format!(
            ", error=\"{code}\", error_description=\"{description}\""
        ));
    }
    if let Some(origin) = origin {
        let (path, _) = PATHS[1];
        text.push_str(&format!(
            ", resource_metadata=\"{}{path}\"",
            quotable(origin)
        ));
    }
    text
}

/// A text with only the characters that a quoted value may have.
fn quotable(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_name_the_resource_and_the_issuer() {
        let jwt = JwtSection {
            issuer: "https://id.example.com".to_owned(),
            write_scope: "drafts:write".to_owned(),
            ..JwtSection::off()
        };
        let origin = "https://videos.example.com";
        let at = |path| metadata(path, origin, &jwt);
        let root = at("/.well-known/oauth-protected-resource").expect("metadata");
        assert_eq!(root["resource"], "https://videos.example.com");
        let mcp = at("/.well-known/oauth-protected-resource/mcp").expect("metadata");
        assert_eq!(mcp["resource"], "https://videos.example.com/mcp");
        assert_eq!(
            mcp["authorization_servers"],
            json!(["https://id.example.com"])
        );
        assert_eq!(mcp["scopes_supported"], json!(["drafts:write"]));
        assert!(at("/.well-known/oauth-protected-resource/other").is_none());
        assert!(at("/mcp").is_none());
    }

    #[test]
    fn a_challenge_is_a_valid_header_for_any_text() {
        assert_eq!(challenge(None, None), "Bearer realm=\"capcut-mcp\"");
        let text = challenge(
            Some(("invalid_token", "a \"b\"\r\nX: 张\\")),
            Some("http://h:1"),
        );
        assert_eq!(
            text,
            "Bearer realm=\"capcut-mcp\", error=\"invalid_token\", error_description=\"a bX: \", resource_metadata=\"http://h:1/.well-known/oauth-protected-resource/mcp\""
        );
        assert!(hyper::header::HeaderValue::from_str(&text).is_ok());
    }
}
