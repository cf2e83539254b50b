//! Log lines without secrets: of an address neither its query nor its user is written.
//!
//! The libraries in this process log what they handle, and addresses carry tokens. So lines are
//! looked over where they leave, not where they are made.

use std::io::{self, Write};
use std::ops::Range;

/// A writer that is given whole lines and passes them on without secrets.
pub(super) struct Discreet<W>(pub W);

impl<W: Write> Write for Discreet<W> {
    /// The formatter writes an event at once, so nothing is split between two calls.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(without_secrets(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Names whose values are nobody's business, wherever they stand.
const NAMES: [&str; 9] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "signature",
    "credential",
    "api_key",
    "apikey",
];

/// What stands in the place of what is left out.
const LEFT_OUT: &str = "…";

fn without_secrets(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, _) in text.char_indices() {
        if at < copied {
            continue;
        }
        if let Some(secret) = secret_at(text, at) {
            kept.push_str(&text[copied..secret.start]);
            kept.push_str(LEFT_OUT);
            copied = secret.end;
        }
    }
    kept.push_str(&text[copied..]);
    kept
}

/// What is to be left out because of what stands here.
fn secret_at(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    match rest.as_bytes()[0] {
        b':' if rest.starts_with("://") => user(rest).map(|end| at + 3..at + end),
        mark @ (b'?' | b'#') => {
            let inside = &rest[1..1 + word(&rest[1..])];
            let is_query = in_address(&text[..at]) || (mark == b'?' && inside.contains('='));
            (is_query && !inside.is_empty()).then_some(at + 1..at + 1 + inside.len())
        }
        // As Rust shows the parts of an address.
        b'q' | b'f' => {
            const FIELDS: [&str; 4] = [
                "query: Some(\"",
                "fragment: Some(\"",
                r#"query: Some(\""#,
                r#"fragment: Some(\""#,
            ];
            let field = FIELDS.iter().find(|field| rest.starts_with(**field))?;
            let inside = rest[field.len()..].find(['"', '\\'])?;
            Some(at + field.len()..at + field.len() + inside)
        }
        _ => None,
    }
    .or_else(|| named(rest).map(|value| at + value.start..at + value.end))
}

/// Up to where somebody's name and password stand in front of a host.
fn user(rest: &str) -> Option<usize> {
    let authority = &rest[3..3 + word(&rest[3..])];
    let host = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    authority[..host].rfind('@').map(|end| 3 + end)
}

/// Whether what stands before belongs to an address that goes on here.
fn in_address(before: &str) -> bool {
    let start = before.rfind(ends_word).map_or(0, |at| at + 1);
    before.get(start..).is_some_and(|word| {
        word.contains("://") || word.starts_with('/') || word.starts_with("data:")
    })
}

/// The value after a telling name: `token=x`, `token: "x"`, `"token":"x"`, also escaped.
fn named(rest: &str) -> Option<Range<usize>> {
    let name = NAMES.iter().find(|name| {
        rest.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
    })?;
    let mut at = name.len();
    let skip = |at: &mut usize, what: &[char]| {
        let left = rest[*at..].trim_start_matches(what);
        let skipped = rest.len() - *at - left.len();
        *at += skipped;
        skipped > 0
    };
    let quoted = skip(&mut at, &['"', '\\']);
    if !skip(&mut at, &[':', '=']) {
        return None;
    }
    skip(&mut at, &[' ']);
    let in_quotes = skip(&mut at, &['"', '\\']);
    // A number of a JSON object stays one: the line has to be JSON still.
    if quoted && !in_quotes {
        return None;
    }
    for scheme in ["bearer ", "basic "] {
        let start = rest[at..].get(..scheme.len());
        if start.is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
            at += scheme.len();
        }
    }
    let length = rest[at..]
        .find(|c| ends_word(c) || matches!(c, '&' | ',' | ';' | ')' | '}' | ']'))
        .unwrap_or(rest.len() - at);
    (length > 0).then_some(at..at + length)
}

/// How many bytes belong to the word that begins here.
fn word(text: &str) -> usize {
    text.find(ends_word).unwrap_or(text.len())
}

/// What ends an address within a sentence, or a string within JSON.
fn ends_word(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter, '"' | '\'' | '\\' | '<' | '>' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_neither_query_nor_user_is_written() {
        for (line, expected) in [
            (
                "GET https://h/a.mp4?token=S3CRET now",
                "GET https://h/a.mp4?… now",
            ),
            ("https://h/a?S3CRET", "https://h/a?…"),
            ("https://h/a#S3CRET", "https://h/a#…"),
            ("at http://me:S3CRET@h:1/a", "at http://…@h:1/a"),
            (
                r#"{"u":"http://h/a?x=S3CRET","b":1}"#,
                r#"{"u":"http://h/a?…","b":1}"#,
            ),
            (
                r#"{"m":"url: \"http://h/?x=S3CRET\""}"#,
                r#"{"m":"url: \"http://h/?…\""}"#,
            ),
            ("GET /a.mp4?x=S3CRET HTTP/1.1", "GET /a.mp4?… HTTP/1.1"),
            (
                r#"Url { path: "/a", query: Some("x=S3CRET") }"#,
                r#"Url { path: "/a", query: Some("…") }"#,
            ),
            (
                r#"{"m":"query: Some(\"S3CRET\")"}"#,
                r#"{"m":"query: Some(\"…\")"}"#,
            ),
            ("authorization: Bearer S3CRET", "authorization: Bearer …"),
            (
                r#""Set-Cookie": "S3CRET; Path=/""#,
                r#""Set-Cookie": "…; Path=/""#,
            ),
            ("api_key=S3CRET&more", "api_key=…&more"),
        ] {
            assert_eq!(without_secrets(line), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_was() {
        for line in [
            "the server failed too often: left alone? yes",
            "metrics are told at http://127.0.0.1:9090/metrics",
            "größer als \u{1F600}: 3 #1",
            r#"{"progressToken":3,"fields":{"message":"x"}}"#,
            "a token was given",
            "why? because=",
        ] {
            assert_eq!(without_secrets(line), line);
        }
    }

    #[test]
    fn a_line_of_json_is_still_one() {
        let address = "https://me:S3CRET@h/ä.mp4?a=\"S3CRET\"&token=S3CRET#S3CRET";
        let line = serde_json::json!({"message": format!("got {address:?}"), "url": address, "token": "S3CRET"});
        let mut written = Vec::new();
        let mut writer = Discreet(&mut written);
        writer
            .write_all(line.to_string().as_bytes())
            .expect("memory");
        let text = String::from_utf8(written).expect("UTF-8");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        assert!(text.contains("https://…@h/ä.mp4?"), "{text}");
        assert!(!text.contains("me:S3CRET"), "{text}");
    }
}
