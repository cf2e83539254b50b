//! The API's envelope `{"success", "output", "error"}`: what an answer of a server means, whatever its shape.
//!
//! The reference server answers HTTP 200 to almost everything and says `success: false`; for the rest it
//! sends pages of HTML. Relatives of it put the output at the top level.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::args::Object;
use crate::backend::{Failure, Reached};
use crate::error::{Error, Kind, Origin};
use crate::units::Micros;

/// An answer as it came off the wire.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// What our own server says a failure is.
    pub kind: Option<Kind>,
    pub body: Vec<u8>,
}

/// The header in which our own server says what a failure is.
pub(crate) const KIND_HEADER: &str = "x-capcut-mcp-kind";

/// The header in which other processes of ours say that arguments are in our own dialect.
pub(crate) const MANNER_HEADER: &str = "x-capcut-mcp-manner";
pub(crate) const STRICT: &str = "strict";

/// What a server said was wrong, as it said it: the source of the error, for callers who compare with its words.
#[derive(Debug)]
pub(crate) struct Words(pub String);

/// Nothing: the error that has them says them, as far as they may be shown.
impl fmt::Display for Words {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Words {}

/// How much of a text that was not expected is shown.
const SHOWN_CHARS: usize = 160;
/// How much of a server's own words is shown: some list all the names that they take.
const SAID_CHARS: usize = 1000;

/// What stands in the envelope of a success.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Opened {
    pub output: Value,
    /// What our own server adds to what the API answers.
    pub beside: Object,
}

/// The content of an answer, or what the failure means. `place` is the address without its query. What to do after a lost
/// answer depends on the request, and is not said here.
pub(crate) fn open(answer: &Answer, place: &str) -> Result<Opened, Failure> {
    if !(200..300).contains(&answer.status) {
        return Err(refused(answer, place));
    }
    let lost = |what: String| {
        let error = Error::new(Kind::Unavailable, format!("{place} {what}"));
        Failure::lost(error.with_origin(Origin::Api))
    };
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Err(lost("answered with nothing".into()));
    }
    let mut envelope = match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(envelope)) => envelope,
        Ok(other) => {
            let what = crate::args::kind(&other);
            return Err(lost(format!(
                "answered with {what} where an object belongs"
            )));
        }
        Err(error) if error.is_eof() => {
            return Err(lost(format!(
                "broke off its answer after {} bytes",
                answer.body.len()
            )));
        }
        Err(_) => {
            let text = looks_like(&answer.body);
            return Err(lost(format!("did not answer with JSON but with {text}")));
        }
    };
    match envelope.remove("success") {
        Some(Value::Bool(true)) => {
            envelope.remove("error");
            if let Some(output) = envelope.remove("output") {
                let beside = envelope;
                return Ok(Opened { output, beside });
            }
            Ok(Opened {
                output: Value::Object(envelope),
                beside: Object::new(),
            })
        }
        Some(Value::Bool(false)) => {
            let text = ["error", "message"]
                .iter()
                .filter_map(|key| envelope.get(*key).and_then(Value::as_str))
                .find(|text| !text.trim().is_empty());
            let error = said(place, text.unwrap_or_default());
            Err(Failure::refused(Error {
                kind: answer.kind.unwrap_or(error.kind),
                ..error
            }))
        }
        _ => Err(lost("answered without saying whether it succeeded".into())),
    }
}

/// What to do where a server refuses requests without a key.
pub(crate) const WANTS_A_KEY: &str = "the server wants a key: set `headers = { \"X-API-Key\" = \"${CAPCUT_API_KEY}\" }` under `[api]` in \
     `tools.toml`, with the header that it asks for, and that environment variable; if they are set, the key is wrong";

/// A failure that HTTP's status tells.
fn refused(answer: &Answer, place: &str) -> Failure {
    let status = answer.status;
    let text = looks_like(&answer.body);
    let origin = match status {
        401 | 403 => Origin::Authentication,
        _ => Origin::Api,
    };
    let told = |kind| {
        Error::new(kind, format!("{place} answered {status} with {text}")).with_origin(origin)
    };
    let error = |kind, hint: &str| told(kind).hint(hint);
    match status {
        429 | 503 => Failure {
            after: answer.retry_after,
            ..Failure::refused(error(Kind::Busy, "call again later"))
        },
        408 => Failure::lost(told(Kind::Timeout)),
        // A gateway that lost the server behind it does not know either.
        502 | 504 => Failure::lost(told(Kind::Unavailable)),
        500.. => Failure::refused(error(
            Kind::Unavailable,
            "the server failed on this call; its own log says why",
        )),
        404 | 405 => Failure::refused(error(
            Kind::NotFound,
            "this server does not have the tool; `health_check` says which server it is",
        )),
        300..=399 => Failure::refused(error(
            Kind::InvalidArgument,
            "give the address that it points to with `--api-url`",
        )),
        401 | 403 => Failure::refused(error(Kind::InvalidArgument, WANTS_A_KEY)),
        _ => Failure::refused(error(
            Kind::InvalidArgument,
            "the server does not take this call",
        )),
    }
}

/// Places on the timeline, which the API writes in microseconds: `[start: 0, end: 5000000]`.
fn in_seconds(text: &str) -> String {
    let read = || {
        let (before, rest) = text.split_once("[start: ")?;
        let (start, rest) = rest.split_once(", end: ")?;
        let (end, after) = rest.split_once(']')?;
        let (start, end) = (Micros(start.parse().ok()?), Micros(end.parse().ok()?));
        Some(format!("{before}[{start} to {end}]{after}"))
    };
    read().unwrap_or_else(|| text.to_owned())
}

/// What the server's own words mean; the texts are those of the reference server.
fn said(place: &str, text: &str) -> Error {
    let words = Words(without_queries(text));
    let text = in_seconds(&shown(&words.0));
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if text.is_empty()
        || text.ends_with("processing video: .")
        || text.ends_with("processing image: .")
    {
        return Error::conflict(format!("{place} refused without a reason: {text:?}")).hint(
            "the reference server does so for pictures when the draft has just one video track, \
             such as after a call with `track_name` \"video\": such a draft takes no more pictures; make a new one",
        ).source(words).with_origin(Origin::Api);
    }
    let kind = if has(&[
        "does not exist in cache",
        "Task with ID",
        "不存在名为",
        "Track named",
        "No segments in track",
    ]) {
        Kind::NotFound
    } else if has(&[
        "overlaps with existing segment",
        "is not of the same type as the track",
        "的轨道",
        "已存在动画",
    ]) {
        Kind::Conflict
    } else if has(&["Failed to download"]) {
        Kind::Media
    } else {
        Kind::InvalidArgument
    };
    Error::new(kind, format!("{place}: {text}"))
        .source(words)
        .with_origin(Origin::Api)
}

/// A body that is not what it should be, in a few words.
pub(crate) fn looks_like(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(16 * 1024)]);
    let text = text.trim();
    if text.is_empty() {
        return "an empty body".into();
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        let title = lower.find("<title>").and_then(|start| {
            let start = start + "<title>".len();
            let end = lower[start..].find("</title>")? + start;
            text.get(start..end)
        });
        return match title {
            Some(title) => format!("a page of HTML, {:?}", excerpt(title)),
            None => "a page of HTML".into(),
        };
    }
    format!("{:?}", excerpt(&without_queries(text)))
}

/// The beginning of a text that was not expected.
pub(crate) fn excerpt(text: &str) -> String {
    cut(text.trim(), SHOWN_CHARS)
}

/// A server's own words as they may be repeated: without keys, without what a terminal obeys, and not too long.
pub(crate) fn shown(text: &str) -> String {
    // Cut twice, so that a text of megabytes is not searched to its end.
    let text = cut(text.trim(), 4 * SAID_CHARS);
    let clean: String = without_queries(&text)
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    cut(&clean, SAID_CHARS)
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The text with the queries of its addresses cut off: they may hold keys.
pub(crate) fn without_queries(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = ["http://", "https://"]
        .iter()
        .filter_map(|s| rest.find(s))
        .min()
    {
        let address = &rest[start..];
        let end = address
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | ')' | ',' | '，')
            })
            .unwrap_or(address.len());
        let shown = address[..end].find(['?', '#']).unwrap_or(end);
        clean.push_str(&rest[..start]);
        clean.push_str(&address[..shown]);
        rest = &address[end..];
    }
    clean.push_str(rest);
    clean
}

impl Failure {
    /// It was sent, and nobody knows what came of it.
    pub(crate) fn lost(error: Error) -> Self {
        Self {
            error,
            reached: Reached::Lost,
            by_server: true,
            after: None,
            since: None,
        }
    }

    /// The server said no.
    pub(crate) fn refused(error: Error) -> Self {
        Self {
            reached: Reached::Answered,
            ..Self::lost(error)
        }
    }

    /// It never left, so nothing was done.
    pub(crate) fn unsent(error: Error) -> Self {
        Self {
            reached: Reached::Never,
            ..Self::lost(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLACE: &str = "http://127.0.0.1:9000/add_text";

    fn answer(status: u16, body: impl AsRef<[u8]>) -> Result<Value, Failure> {
        let body = body.as_ref().to_vec();
        open(
            &Answer {
                status,
                retry_after: None,
                kind: None,
                body,
            },
            PLACE,
        )
        .map(|opened| opened.output)
    }

    fn failure(status: u16, body: impl AsRef<[u8]>) -> (Kind, Reached, String) {
        let failure = answer(status, body).unwrap_err();
        (
            failure.error.kind,
            failure.reached,
            failure.error.to_string(),
        )
    }

    #[test]
    fn a_success_gives_its_output() {
        let output = answer(
            200,
            br#"{"error":"","output":{"draft_id":"d"},"success":true}"#,
        )
        .unwrap();
        assert_eq!(output, json!({ "draft_id": "d" }));
    }

    #[test]
    fn an_output_at_the_top_level_is_one_too() {
        let output = answer(200, br#"{"success":true,"task_id":"t","status":"failed"}"#).unwrap();
        assert_eq!(output, json!({ "task_id": "t", "status": "failed" }));
    }

    #[test]
    fn the_servers_texts_tell_what_is_wrong() {
        for (text, kind) in [
            (
                "Hi, the required parameters 'audio_url' are missing.",
                Kind::InvalidArgument,
            ),
            (
                "Unsupported mask type 'x', supported types include: Linear",
                Kind::InvalidArgument,
            ),
            ("Unknown scene effect type: x", Kind::InvalidArgument),
            ("Draft d does not exist in cache.", Kind::NotFound),
            (
                "Task with ID d not found. Please check if the task ID is correct.",
                Kind::NotFound,
            ),
            (
                "Error occurred while adding keyframe: Failed to add keyframe: 不存在名为 'x' 的轨道.",
                Kind::NotFound,
            ),
            (
                "Error occurred while processing video: New segment overlaps with existing segment [start: 0, end: 5].",
                Kind::Conflict,
            ),
            ("Error occurred while processing video: .", Kind::Conflict),
            (
                "Error occurred while processing subtitle: Failed to download subtitle file: 404 Client Error",
                Kind::Media,
            ),
        ] {
            let body = json!({ "success": false, "output": "", "error": text }).to_string();
            let (found, reached, message) = failure(200, body);
            assert_eq!((found, reached), (kind, Reached::Answered), "{text}");
            assert!(message.contains(PLACE), "{message}");
        }
    }

    #[test]
    fn pages_of_html_are_told_by_their_title() {
        let page =
            "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>";
        let (kind, reached, text) = failure(404, page);
        assert_eq!((kind, reached), (Kind::NotFound, Reached::Answered));
        assert!(
            text.contains("answered 404 with a page of HTML, \"404 Not Found\""),
            "{text}"
        );
        assert_eq!(failure(415, page).0, Kind::InvalidArgument);
        assert_eq!(failure(400, page).0, Kind::InvalidArgument);
        assert_eq!(failure(405, page).0, Kind::NotFound);
        assert_eq!(failure(500, page).0, Kind::Unavailable);
        assert_eq!(failure(500, page).1, Reached::Answered);
        assert_eq!(failure(502, "").1, Reached::Lost);
        assert_eq!(failure(503, "").0, Kind::Busy);
        assert_eq!(failure(429, "").0, Kind::Busy);
        let (kind, reached, text) = failure(200, page);
        assert_eq!((kind, reached), (Kind::Unavailable, Reached::Lost));
        assert!(text.contains("HTML"), "{text}");
    }

    #[test]
    fn an_answer_that_says_nothing_is_a_lost_one() {
        for (body, says) in [
            ("", "nothing"),
            ("  \n", "nothing"),
            ("{\"success\":tr", "broke off"),
            ("[1]", "a list"),
            ("hello", "\"hello\""),
            ("{\"output\":1}", "whether it succeeded"),
            ("{\"success\":\"true\"}", "whether it succeeded"),
        ] {
            let (kind, reached, text) = failure(200, body);
            assert_eq!(
                (kind, reached),
                (Kind::Unavailable, Reached::Lost),
                "{body}"
            );
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn a_servers_words_are_bounded_and_harmless() {
        let long = json!({ "success": false, "error": "x".repeat(5 << 20) }).to_string();
        let text = failure(200, long).2;
        assert!(text.len() < 2000, "{} bytes", text.len());
        let bad = json!({ "success": false, "error": "a\u{1b}[31mred\u{7} b\0c" }).to_string();
        let text = failure(200, bad).2;
        assert!(
            text.contains("[31mred") && !text.contains(char::is_control),
            "{text:?}"
        );
        let page = failure(500, "y".repeat(5 << 20)).2;
        assert!(page.len() < 1000, "{} bytes", page.len());
    }

    #[test]
    fn queries_of_addresses_are_not_shown() {
        assert_eq!(
            without_queries("404 for url: https://h/a.srt?key=s3cret, and 'http://b/c?x#y' 你?"),
            "404 for url: https://h/a.srt, and 'http://b/c' 你?"
        );
    }
}
