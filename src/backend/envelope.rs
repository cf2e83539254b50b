//! The API's envelope `{"success", "output", "error"}`: interprets the answers of servers in all their variants.
//!
//! The reference server answers almost all failures with HTTP 200 and `success: false`, and the rest with HTML
//! pages. Related servers put the output at the top level.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::failure::Failure;
use crate::args::Object;
use crate::error::{Error, Kind, Origin};
use crate::units::Micros;

/// An answer as it was received.
#[derive(Clone, Debug)]
pub(crate) struct ServerAnswer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// The kind of the failure, if our own server names it.
    pub kind: Option<Kind>,
    pub body: Vec<u8>,
}

/// The header in which our own server names the kind of a failure.
pub(crate) const KIND_HEADER: &str = "x-capcut-mcp-kind";

/// The header with which other processes of this program mark arguments that are in our own dialect.
pub(crate) const MANNER_HEADER: &str = "x-capcut-mcp-manner";
pub(crate) const STRICT: &str = "strict";

/// A server's own error text, unchanged: the source of the error, for callers that compare it with known texts.
#[derive(Debug)]
pub(crate) struct ServerErrorText(pub String);

/// Displays nothing: the message of the error already contains the text, with secrets removed.
impl fmt::Display for ServerErrorText {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for ServerErrorText {}

/// How many characters of an unexpected text are shown.
const SHOWN_CHARS: usize = 160;
/// How many characters of a server's error text are shown: some texts list all accepted names.
const SAID_CHARS: usize = 1000;

/// The content of a successful envelope.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EnvelopeContent {
    pub output: Value,
    /// Fields that our own server adds next to `output`.
    pub beside: Object,
}

/// The same with the `output` as text: most replies are read from it directly.
#[derive(Debug)]
pub(crate) struct EnvelopeText {
    pub output: Box<RawValue>,
    /// See [`EnvelopeContent::beside`].
    pub beside: Object,
}

impl EnvelopeText {
    pub(crate) fn value(&self) -> serde_json::Result<Value> {
        serde_json::from_str(self.output.get())
    }

    pub(crate) fn content(self) -> serde_json::Result<EnvelopeContent> {
        let output = self.value()?;
        let beside = self.beside;
        Ok(EnvelopeContent { output, beside })
    }

    /// The `draft_id` in the output.
    pub(crate) fn draft_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Named {
            draft_id: String,
        }
        let output = self.output.get();
        if !output.contains("draft_id") {
            return None;
        }
        let named: Named = serde_json::from_str(output).ok()?;
        Some(named.draft_id)
    }
}

/// The members of an answer.
#[derive(Default)]
struct Envelope {
    success: Option<Value>,
    output: Option<Box<RawValue>>,
    /// All others but an empty `error`.
    others: Object,
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Envelope;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(name) = members.next_key::<String>()? {
                    match name.as_str() {
                        "success" => envelope.success = Some(members.next_value()?),
                        "output" => envelope.output = Some(members.next_value()?),
                        _ => {
                            let value: Value = members.next_value()?;
                            if name != "error" || value != "" {
                                envelope.others.insert(name, value);
                            }
                        }
                    }
                }
                Ok(envelope)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The content of an answer, or the failure that it means. `place` is the address without its query. Hints for lost
/// answers depend on the request, so the caller adds them.
pub(crate) fn open(
    answer: &ServerAnswer,
    place: impl Fn() -> String,
) -> Result<EnvelopeText, Failure> {
    if !(200..300).contains(&answer.status) {
        return Err(refused(answer, &place()));
    }
    let lost = |what: String| {
        let error = Error::new(Kind::Unavailable, format!("{} {what}", place()));
        Failure::lost(error.with_origin(Origin::Api))
    };
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Err(lost("returned an empty answer".into()));
    }
    let mut envelope: Envelope = match serde_json::from_slice(&answer.body) {
        Ok(envelope) => envelope,
        Err(error) if error.is_eof() => {
            return Err(lost(format!(
                "sent an incomplete answer of {} bytes",
                answer.body.len()
            )));
        }
        Err(_) => {
            let what = match serde_json::from_slice::<Value>(&answer.body) {
                Ok(other) => format!("{} instead of an object", crate::args::kind(&other)),
                Err(_) => format!("{} instead of JSON", looks_like(&answer.body)),
            };
            return Err(lost(format!("answered with {what}")));
        }
    };
    match envelope.success {
        Some(Value::Bool(true)) => {
            envelope.others.shift_remove("error");
            if let Some(output) = envelope.output {
                let beside = envelope.others;
                return Ok(EnvelopeText { output, beside });
            }
            let output = to_raw_value(&envelope.others);
            let output = output.map_err(|error| lost(format!("cannot be read: {error}")))?;
            Ok(EnvelopeText {
                output,
                beside: Object::new(),
            })
        }
        Some(Value::Bool(false)) => {
            let text = ["error", "message"]
                .iter()
                .filter_map(|key| envelope.others.get(*key).and_then(Value::as_str))
                .find(|text| !text.trim().is_empty());
            let error = said(&place(), text.unwrap_or_default());
            Err(Failure::refused(Error {
                kind: answer.kind.unwrap_or(error.kind),
                ..error
            }))
        }
        _ => Err(lost("did not say whether the call succeeded".into())),
    }
}

/// What to do if a server refuses requests without a key.
pub(crate) const WANTS_A_KEY: &str = "the server requires a key: set `headers = { \"X-API-Key\" = \"${CAPCUT_API_KEY}\" }` under `[api]` in \
`tools.toml`, with the header that the server expects, and set that environment variable; if both are set, the key is wrong";

/// The failure that an HTTP status means.
fn refused(answer: &ServerAnswer, place: &str) -> Failure {
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
        // A gateway that lost its server does not know whether the call was applied.
        502 | 504 => Failure::lost(told(Kind::Unavailable)),
        500.. => Failure::refused(error(
            Kind::Unavailable,
            "the server failed on this call; see its log for the reason",
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
            "the server does not accept this call",
        )),
    }
}

/// Converts positions that the API writes in microseconds: `[start: 0, end: 5000000]`.
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

/// The error that a server's error text means; the texts are those of the reference server.
fn said(place: &str, text: &str) -> Error {
    let words = ServerErrorText(without_queries(text));
    let text = in_seconds(&shown(&words.0));
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if text.is_empty()
        || text.ends_with("processing video: .")
        || text.ends_with("processing image: .")
    {
        return Error::conflict(format!("{place} refused the call without a reason: {text:?}")).hint(
            "the reference server does this for images if the draft has exactly one video track, for example after a \
            call with `track_name` \"video\": such a draft accepts no more images; make a new draft",
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

/// A short description of an unexpected body.
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
            Some(title) => format!("the HTML page {:?}", excerpt(title)),
            None => "an HTML page".into(),
        };
    }
    format!("{:?}", excerpt(&without_queries(text)))
}

/// The beginning of an unexpected text.
pub(crate) fn excerpt(text: &str) -> String {
    cut(text.trim(), SHOWN_CHARS)
}

/// A server's text for display: without keys and control characters, and of limited length.
pub(crate) fn shown(text: &str) -> String {
    // Cut before and after, so that a text of megabytes is not searched completely.
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

/// The text with the queries removed from its URLs: they may contain keys.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::failure::Reached;
    use super::*;

    const PLACE: &str = "http://127.0.0.1:9000/add_text";

    fn answer(status: u16, body: impl AsRef<[u8]>) -> Result<Value, Failure> {
        let body = body.as_ref().to_vec();
        open(
            &ServerAnswer {
                status,
                retry_after: None,
                kind: None,
                body,
            },
            || PLACE.to_owned(),
        )
        .map(|opened| opened.content().expect("JSON").output)
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
    fn an_output_at_the_top_level_is_accepted() {
        let output = answer(200, br#"{"success":true,"task_id":"t","status":"failed"}"#).unwrap();
        assert_eq!(output, json!({ "task_id": "t", "status": "failed" }));
    }

    #[test]
    fn error_texts_of_servers_are_mapped_to_kinds() {
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
    fn the_range_of_an_overlap_is_shown_in_seconds() {
        let text = "Error occurred while processing video: New segment overlaps with existing segment \
                    [start: 1500000, end: 4000000]. You can click the link below for help: https://h/a?k=1";
        let body = json!({ "success": false, "output": "", "error": text }).to_string();
        let shown = failure(200, body).2;
        assert!(
            shown.contains("existing segment [1.5 s to 4 s]. You can click"),
            "{shown}"
        );
        assert!(
            !shown.contains("1500000") && !shown.contains("?k=1"),
            "{shown}"
        );
        // Anything else in brackets stays as it is.
        for text in ["[start: a, end: 2]", "[start: 1", "list [1, 2]"] {
            assert_eq!(in_seconds(text), text);
        }
    }

    #[test]
    fn html_pages_are_described_by_their_title() {
        let page =
            "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>";
        let (kind, reached, text) = failure(404, page);
        assert_eq!((kind, reached), (Kind::NotFound, Reached::Answered));
        assert!(
            text.contains("answered 404 with the HTML page \"404 Not Found\""),
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
    fn an_unusable_answer_counts_as_lost() {
        for (body, says) in [
            ("", "empty"),
            ("  \n", "empty"),
            ("{\"success\":tr", "incomplete"),
            ("[1]", "a list"),
            ("hello", "\"hello\""),
            ("{\"output\":1}", "whether the call succeeded"),
            ("{\"success\":\"true\"}", "whether the call succeeded"),
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
    fn server_texts_are_shortened_and_lose_control_characters() {
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
    fn queries_of_urls_are_not_shown() {
        assert_eq!(
            without_queries("404 for url: https://h/a.srt?key=s3cret, and 'http://b/c?x#y' 你?"),
            "404 for url: https://h/a.srt, and 'http://b/c' 你?"
        );
    }
}
