//! Tokens in the path, `/t/TOKEN/create_draft`, for clients that can send no header.

use std::fmt;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

use crate::secrets::LEFT_OUT;

/// A token that was not sent in a header, such as one from a path. It is never shown.
pub(crate) struct PathToken(String);

impl PathToken {
    /// One that was sent in another place, such as a cookie.
    pub(crate) fn new(token: String) -> Self {
        Self(token)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PathToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LEFT_OUT)
    }
}

/// Takes the token out of a request's target, before anything routes or logs the path. A path that only resembles
/// one with a token stays, and [`shown_path`] masks it.
pub(crate) fn take_token(target: &mut Uri) -> Option<PathToken> {
    let path = target.path().trim_start_matches('/');
    let (mark, rest) = path.split_once('/')?;
    if percent_decoded(mark) != "t" {
        return None;
    }
    let (token, rest) = rest.split_once('/')?;
    let token = percent_decoded(token);
    if token.is_empty() {
        return None;
    }
    let query = target
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    let stripped: PathAndQuery = format!("/{}{query}", rest.trim_start_matches('/'))
        .parse()
        .ok()?;
    let mut parts = std::mem::take(target).into_parts();
    parts.path_and_query = Some(stripped);
    match Uri::from_parts(parts) {
        Ok(stripped) => {
            *target = stripped;
            Some(PathToken(token))
        }
        // The parts were those of a valid target, so that this is not reached; the target is then `/`.
        Err(_) => None,
    }
}

/// A path for logs, without what may be a token in it.
pub(crate) fn shown_path(path: &str) -> String {
    let plain = percent_decoded(path);
    let plain = plain.trim_start_matches('/');
    match plain.strip_prefix("t/") {
        Some(_) => format!("/t/{LEFT_OUT}"),
        None => path.to_owned(),
    }
}

/// A text with its percent codes decoded.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|&b| char::from(b).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_out_of_the_path() {
        for (target, token, left) in [
            ("/t/S3CRET/create_draft", Some("S3CRET"), "/create_draft"),
            ("/t/S3CRET/a?b=c", Some("S3CRET"), "/a?b=c"),
            ("/t/S3CRET/", Some("S3CRET"), "/"),
            ("//t/S3CRET//a%2Fb", Some("S3CRET"), "/a%2Fb"),
            ("/%74/S3%2BCRET/a", Some("S3+CRET"), "/a"),
            (
                "http://host:1/t/S3CRET/a?x",
                Some("S3CRET"),
                "http://host:1/a?x",
            ),
            ("/t/S3CRET", None, "/t/S3CRET"),
            ("/t//a", None, "/t//a"),
            ("/tt/S3CRET/a", None, "/tt/S3CRET/a"),
            ("/a/t/S3CRET/b", None, "/a/t/S3CRET/b"),
            ("*", None, "*"),
        ] {
            let mut uri: Uri = target.parse().expect(target);
            let taken = take_token(&mut uri);
            assert_eq!(taken.as_ref().map(PathToken::as_str), token, "{target}");
            assert_eq!(uri.to_string(), left, "{target}");
            assert!(!format!("{taken:?}").contains("S3"), "{target}");
        }
    }

    #[test]
    fn paths_that_resemble_one_with_a_token_are_masked() {
        for path in [
            "/t/S3CRET",
            "t/S3CRET/x",
            "//t/S3CRET",
            "/%74/S3CRET",
            "/t%2FS3CRET%2Fx",
            "/%2Ft/S3CRET",
        ] {
            assert_eq!(shown_path(path), "/t/…", "{path}");
        }
        assert_eq!(shown_path("/create_draft"), "/create_draft");
        assert_eq!(shown_path("/text"), "/text");
    }
}
