//! Answers: the reference API's envelope in its exact form, and the HTML error pages of its web framework.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, SERVER};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Value, json};

use super::Done;
use crate::draft::ids::DraftId;
use crate::error::Result as OwnResult;
use crate::tool::Spec;

pub(super) type Answer = Response<AnswerBody>;

/// The body of an answer.
pub(super) enum AnswerBody {
    Whole(Full<Bytes>),
    /// Of MCP: it may arrive in pieces, for as long as a call runs or a session is open.
    Stream(BoxBody<Bytes, Infallible>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(context),
            Self::Stream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// Longer texts in a reply are documents. They are already in `output` and are not repeated next to it.
const LONGEST_NOTE: usize = 16 << 10;

/// The envelope of a success: the API's `output`, with the other fields of our reply next to it.
pub(super) fn success(
    spec: &Spec,
    done: Done,
    link: &dyn Fn(&DraftId) -> String,
) -> OwnResult<Answer> {
    let mut reply = done.reply;
    reply.sort_all_objects();
    let mut output = match done.output {
        Some(output) => Cow::Owned(output),
        None => spec.reply_to_api(&reply, link)?,
    };
    if let Cow::Owned(output) = &mut output {
        output.sort_all_objects();
    }
    let is_document =
        |value: &Value| matches!(value, Value::String(text) if text.len() > LONGEST_NOTE);
    let (error, success) = (Value::from(""), Value::from(true));
    let mut envelope: BTreeMap<&str, &Value> = BTreeMap::new();
    for (name, value) in reply.as_object().into_iter().flatten() {
        if !is_document(value) && output.get(name).is_none() && *value != *output {
            envelope.insert(name, value);
        }
    }
    envelope.extend([
        ("error", &error),
        ("output", &*output),
        ("success", &success),
    ]);
    // Most of the answer is a document as text, in which each quote is escaped and takes two bytes.
    let room = output
        .as_str()
        .map_or(0, |text| text.len() + text.len() / 4);
    Ok(typed(StatusCode::OK, JSON, ascii(&envelope, room)))
}

/// The envelope of a success with only `output`.
pub(super) fn output(output: Value) -> Answer {
    let envelope = json!({ "error": "", "output": output, "success": true });
    json(StatusCode::OK, envelope)
}

/// The envelope of a failure; the API answers failures with HTTP 200.
pub(super) fn failure(error: &str) -> Answer {
    json(StatusCode::OK, failed(error))
}

/// A text of another type.
pub(super) fn text(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    typed(status, content_type, text.into())
}

/// Clients of guides look for a WebSocket.
pub(super) fn upgrade_required() -> Answer {
    let error = "this server has no WebSocket: MCP clients connect to /mcp on this address (Streamable HTTP)";
    json(StatusCode::UPGRADE_REQUIRED, failed(error))
}

/// Too many calls at the same time: the same call may succeed in a moment.
pub(super) fn busy(error: &str) -> Answer {
    let mut answer = json(StatusCode::SERVICE_UNAVAILABLE, failed(error));
    let headers = answer.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// The body is larger than any call needs.
pub(super) fn too_large(limit: usize) -> Answer {
    let error = if limit.is_multiple_of(1 << 20) {
        format!("the body is larger than {} MiB", limit >> 20)
    } else {
        format!("the body is larger than {limit} bytes")
    };
    json(StatusCode::PAYLOAD_TOO_LARGE, failed(&error))
}

/// The body has more values than any call needs.
pub(super) fn too_many_values(limit: usize) -> Answer {
    let error = format!("the body has more than {limit} JSON values, which is the limit");
    json(StatusCode::PAYLOAD_TOO_LARGE, failed(&error))
}

/// A request that is refused before its path is looked at.
pub(super) fn refusal(status: StatusCode, error: &str) -> Answer {
    json(status, failed(error))
}

fn failed(error: &str) -> Value {
    json!({ "error": error, "output": "", "success": false })
}

/// JSON as the API writes it: keys sorted, no spaces, ASCII only, a trailing newline.
pub(super) fn json(status: StatusCode, mut value: Value) -> Answer {
    value.sort_all_objects();
    typed(status, JSON, ascii(&value, 0))
}

fn ascii(value: &impl Serialize, room: usize) -> Bytes {
    let mut text = Vec::with_capacity(256 + room);
    value
        .serialize(&mut serde_json::Serializer::with_formatter(
            &mut text, Ascii,
        ))
        .expect("a JSON value is written to memory");
    text.push(b'\n');
    text.into()
}

/// The answer to `OPTIONS`: an empty body and the allowed methods.
pub(super) fn options(allow: &'static str) -> Answer {
    let mut answer = typed(StatusCode::OK, HTML, Bytes::new());
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

/// The page for a method that is not allowed.
pub(super) fn not_allowed(allow: &'static str) -> Answer {
    let mut answer = page(StatusCode::METHOD_NOT_ALLOWED);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// The page of a status, as the API's framework writes it.
pub(super) fn page(status: StatusCode) -> Answer {
    let text = match status {
        StatusCode::BAD_REQUEST => {
            "The browser (or proxy) sent a request that this server could not understand."
        }
        StatusCode::NOT_FOUND => {
            "The requested URL was not found on the server. If you entered the URL manually \
             please check your spelling and try again."
        }
        StatusCode::METHOD_NOT_ALLOWED => "The method is not allowed for the requested URL.",
        StatusCode::REQUEST_TIMEOUT => {
            "The server closed the network connection because the browser didn&#39;t finish the \
             request within the specified time."
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            "Did not attempt to load JSON data because the request Content-Type was not \
             &#39;application/json&#39;."
        }
        _ => {
            "The server encountered an internal error and was unable to complete your request. \
             Either the server is overloaded or there is an error in the application."
        }
    };
    let code = status.as_u16();
    let name = status.canonical_reason().unwrap_or_default();
    let page = format!(
        "<!doctype html>\n<html lang=en>\n<title>{code} {name}</title>\n<h1>{name}</h1>\n<p>{text}</p>\n"
    );
    typed(status, HTML, page.into())
}

/// An answer with a body of any type.
pub(super) fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(AnswerBody::Whole(Full::new(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        SERVER,
        HeaderValue::from_static(concat!("capcut-mcp/", env!("CARGO_PKG_VERSION"))),
    );
    answer
}

/// Compact JSON in which everything except printable ASCII is escaped.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        mut fragment: &str,
    ) -> io::Result<()> {
        let special = |byte: &u8| *byte >= 0x7F;
        while let Some(plain) = fragment.as_bytes().iter().position(special) {
            let (before, rest) = fragment.split_at(plain);
            writer.write_all(before.as_bytes())?;
            let mut chars = rest.chars();
            if let Some(char) = chars.next() {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            fragment = chars.as_str();
        }
        writer.write_all(fragment.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_sorted_compact_and_ascii_with_a_newline() {
        let mut value =
            json!({"b": {"z": 1, "a": [{"y": 0.5, "x": null}]}, "a": "你 😀\u{7f}\u{1}\n\"ä~"});
        value.sort_all_objects();
        let text = ascii(&value, 0);
        assert_eq!(
            std::str::from_utf8(&text).expect("ASCII"),
            concat!(
                r#"{"a":"\u4f60 \ud83d\ude00\u007f\u0001\n\"\u00e4~","#,
                r#""b":{"a":[{"x":null,"y":0.5}],"z":1}}"#,
                "\n"
            )
        );
        assert_eq!(serde_json::from_slice::<Value>(&text).expect("JSON"), value);
    }

    #[test]
    fn a_page_names_its_status() {
        let page = page(StatusCode::NOT_FOUND);
        assert_eq!(page.status(), 404);
        assert_eq!(page.headers()[CONTENT_TYPE], HTML);
    }
}
