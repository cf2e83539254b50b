//! Reads a line of input as a message of MCP, or determines the ids to answer with an error.

use hyper::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, ErrorData, Extensions, GetMeta,
    JsonObject, JsonRpcMessage, ProtocolVersion, RequestId, RequestMetaObject,
};
use rmcp::service::RxJsonRpcMessage;
use serde::Deserialize;
use serde_json::Value;

use super::request_id::IdFinder;
use crate::args::duplicates::Noticed;

pub(super) type Incoming = RxJsonRpcMessage<RoleServer>;

pub(super) enum ParsedLine {
    Message(Box<Incoming>),
    /// An empty line, or a notification that this server does not know.
    Nothing,
    /// Not a message, with the request ids found in it. Without an id, the answer has none: MCP's schema requires
    /// that, where JSON-RPC has `null`.
    Refused(Vec<RequestId>, ErrorData),
}

/// What a request means on a connection that is not initialized.
pub(super) enum Opening {
    /// `initialize`, or a request that carries the information of `initialize` in its metadata.
    Starts,
    /// A request that is allowed before `initialize`.
    Asks,
    TooEarly,
}

impl Opening {
    pub(super) fn of(request: &ClientRequest) -> Self {
        match request {
            ClientRequest::InitializeRequest(_) => Self::Starts,
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => Self::Asks,
            _ => {
                let meta = request.get_meta();
                match meta.protocol_version() {
                    None => Self::TooEarly,
                    // Missing keys and unknown versions are reported by the SDK.
                    Some(version)
                        if meta.missing_required_keys(&version).is_empty()
                            && ProtocolVersion::KNOWN_VERSIONS.contains(&version) =>
                    {
                        Self::Starts
                    }
                    Some(_) => Self::Asks,
                }
            }
        }
    }
}

/// A tool call. Nearly every line is one, so it is read without trying all other messages first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolCallMessage {
    #[serde(rename = "jsonrpc")]
    _jsonrpc: rmcp::model::JsonRpcVersion2_0,
    id: RequestId,
    #[serde(rename = "method")]
    _method: rmcp::model::CallToolRequestMethod,
    params: CallParams,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallParams {
    name: String,
    #[serde(default)]
    arguments: Option<Noticed>,
    #[serde(default, rename = "_meta")]
    meta: Option<RequestMetaObject>,
}

/// The arguments of a call with members that [`ToolCallMessage`] does not know.
#[derive(Deserialize)]
struct UnusualCall {
    params: UnusualParams,
}

#[derive(Deserialize)]
struct UnusualParams {
    #[serde(default)]
    arguments: Option<Noticed>,
}

/// A key that an object in the arguments of a call has twice; in the extensions of the request.
#[derive(Clone)]
pub(super) struct GivenTwice(pub String);

impl GivenTwice {
    /// Over HTTP it is in the extensions of the HTTP request.
    pub(super) fn of(extensions: &Extensions) -> Option<&Self> {
        let http = || extensions.get::<Parts>()?.extensions.get();
        extensions.get().or_else(http)
    }
}

pub(super) fn read(line: &[u8]) -> ParsedLine {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    let line = line.trim_ascii();
    if line.is_empty() {
        return ParsedLine::Nothing;
    }
    if let Ok(call) = serde_json::from_slice::<ToolCallMessage>(line)
        && let Some((arguments, twice)) = in_object(call.params.arguments)
    {
        let mut params = CallToolRequestParams::new(call.params.name);
        params.arguments = arguments;
        let mut request = CallToolRequest::new(params);
        if let Some(key) = twice {
            request.extensions.insert(GivenTwice(key));
        }
        if let Some(meta) = call.params.meta {
            request.extensions.insert(meta);
        }
        let request = ClientRequest::CallToolRequest(request);
        return ParsedLine::Message(Box::new(JsonRpcMessage::request(request, call.id)));
    }
    if let Ok(mut message) = serde_json::from_slice::<Incoming>(line) {
        if let JsonRpcMessage::Request(request) = &mut message
            && let ClientRequest::CallToolRequest(call) = &mut request.request
            && let Some(key) = twice_in(line)
        {
            call.extensions.insert(GivenTwice(key));
        }
        return ParsedLine::Message(Box::new(message));
    }
    match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(members)) => match members.get("id") {
            // Notifications get no answer, not even an error.
            None if members.get("method").is_some_and(Value::is_string) => ParsedLine::Nothing,
            id => {
                let id = id.and_then(read_id);
                ParsedLine::Refused(
                    id.into_iter().collect(),
                    invalid("it is not a JSON-RPC 2.0 request of MCP"),
                )
            }
        },
        Ok(Value::Array(messages)) => ParsedLine::Refused(
            messages
                .iter()
                .filter(|message| message.get("method").is_some())
                .filter_map(|message| read_id(message.get("id")?))
                .collect(),
            invalid("batches are not supported: send each message on its own line"),
        ),
        Ok(_) => ParsedLine::Refused(Vec::new(), invalid("it is not a JSON object")),
        Err(error) => ParsedLine::Refused(
            IdFinder::of(line),
            ErrorData::parse_error(format!("the message is not valid JSON: {error}"), None),
        ),
    }
}

/// A key that an object in the arguments of a call has twice, if the message is a call with one.
pub(super) fn twice_in(message: &[u8]) -> Option<String> {
    let call = serde_json::from_slice::<UnusualCall>(message).ok()?;
    call.params.arguments?.twice
}

/// The arguments of a call, and a key that is given twice in them; `None` if they are not an object.
fn in_object(noticed: Option<Noticed>) -> Option<(Option<JsonObject>, Option<String>)> {
    match noticed {
        None => Some((None, None)),
        Some(Noticed {
            value: Value::Object(arguments),
            twice,
        }) => Some((Some(arguments), twice)),
        Some(_) => None,
    }
}

fn read_id(id: &Value) -> Option<RequestId> {
    serde_json::from_value(id.clone()).ok()
}

/// A first line that clients can copy.
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"my-client","version":"1.0"}}}"#;

pub(super) fn not_initialized() -> ErrorData {
    let message = format!(
        "send `initialize` first and then this request again; a line to initialize with: {INITIALIZE}"
    );
    ErrorData::invalid_request(message, None)
}

fn invalid(why: &str) -> ErrorData {
    ErrorData::invalid_request(format!("the message is invalid: {why}"), None)
}

pub(super) fn too_long(most: usize) -> ErrorData {
    invalid(&format!(
        "it is longer than {most} bytes (`limits.message_bytes`): send less text, or the path of a file"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_tool_call_is_read_as_the_sdk_reads_it() {
        for message in [
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "a" } }),
            json!({ "jsonrpc": "2.0", "id": "x", "method": "tools/call", "params": { "name": "a", "arguments": { "b": [1, null] } } }),
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "name": "a", "arguments": null, "_meta": { "progressToken": 3, "io.modelcontextprotocol/protocolVersion": "2026-07-28" } } }),
        ] {
            let text = message.to_string();
            let theirs: Incoming = serde_json::from_str(&text).expect("a message");
            assert!(
                serde_json::from_str::<ToolCallMessage>(&text).is_ok(),
                "{text}"
            );
            let ParsedLine::Message(ours) = read(text.as_bytes()) else {
                panic!("a message: {text}");
            };
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        }
    }
}
