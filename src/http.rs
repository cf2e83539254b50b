//! The engine as an HTTP server: one route per tool, from the list, with the manners of the reference API.
//!
//! Almost everything is answered with 200 and `{"error", "output", "success"}`; pages of HTML tell the rest.
//! What the reference does not say stands beside `output`: `placed`, `notes`, `backend`.

mod json;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request as Http, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use futures::FutureExt as _;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::args::{Manner, Object, is_truthy};
use crate::draft::ids::DraftId;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::tools::{ROUTED, Spec};

/// The most that a request may hold.
const MAX_BODY: usize = 64 << 20;

/// How long a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// How many requests are carried out at once; more are told to come again.
const MAX_CALLS: usize = 256;

struct Server {
    engine: Arc<Engine>,
    calls: Semaphore,
}

/// Answers until the process is told to end; requests that have arrived are answered first.
pub(crate) async fn serve(listener: TcpListener, engine: Arc<Engine>) -> std::io::Result<()> {
    let server = Arc::new(Server {
        engine,
        calls: Semaphore::new(MAX_CALLS),
    });
    let router = Router::new().fallback(answer).with_state(server);
    // Answers are small and awaited: they leave at once.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(told_to_end())
        .await
}

async fn told_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

async fn answer(State(server): State<Arc<Server>>, request: Http) -> Response {
    let (head, body) = request.into_parts();
    let Some(path) = plain_path(head.uri.path()) else {
        return page(StatusCode::NOT_FOUND);
    };
    if path == "/health" {
        return health(&server, &head.method);
    }
    let Some(spec) = path
        .strip_prefix('/')
        .and_then(|name| ROUTED.iter().find(|spec| spec.name == name))
    else {
        return page(StatusCode::NOT_FOUND);
    };
    let allowed = if is_list(spec) {
        "GET, HEAD, OPTIONS"
    } else {
        "POST, OPTIONS"
    };
    let arguments = match head.method {
        Method::OPTIONS => return with_allow(StatusCode::OK, allowed, ""),
        Method::GET | Method::HEAD if is_list(spec) => Object::new(),
        Method::POST if !is_list(spec) => {
            if !is_json(head.headers.get(header::CONTENT_TYPE)) {
                return page(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            let body = match receive(body).await {
                Ok(body) => body,
                Err(status) => return page(status),
            };
            match json::read(&body) {
                Ok(arguments) => arguments,
                Err(json::Fault::Page(status)) => return page(status),
                Err(json::Fault::Told(error)) => return failure(spec, &error, &Object::new()),
            }
        }
        _ => return with_allow(StatusCode::METHOD_NOT_ALLOWED, allowed, METHOD_PAGE),
    };
    carry_out(&server, spec, arguments).await
}

async fn carry_out(server: &Server, spec: &'static Spec, arguments: Object) -> Response {
    let texts = spec.texts;
    let missing = texts
        .required
        .iter()
        .any(|name| !arguments.get(*name).is_some_and(is_truthy))
        || texts
            .not_null
            .iter()
            .any(|name| arguments.get(*name).is_some_and(Value::is_null));
    if missing {
        return envelope(StatusCode::OK, Err(texts.missing), Object::new());
    }
    let Ok(_slot) = server.calls.try_acquire() else {
        let busy = Error::new(
            Kind::Busy,
            format!("{MAX_CALLS} calls are being carried out already"),
        )
        .hint("call again in a moment");
        return failure(spec, &busy, &arguments);
    };
    let draft = arguments.clone();
    let request = match spec.decode(arguments, Manner::Api) {
        Ok(request) => request,
        Err(error) => return failure(spec, &error, &draft),
    };
    let work = AssertUnwindSafe(request.run(&server.engine)).catch_unwind();
    let reply = work.await.unwrap_or_else(|_| {
        tracing::error!(tool = spec.name, "the call panicked");
        Err(Error::internal(
            "a fault of the engine's own stopped this call",
        ))
    });
    let link = |draft: &DraftId| server.engine.link(draft);
    let answered: Result<(Value, Object)> = reply.and_then(|mut reply| {
        let beside = beside(&mut reply);
        Ok((spec.reply_to_api(reply, &link)?, beside))
    });
    match answered {
        Ok((output, beside)) => envelope(StatusCode::OK, Ok(output), beside),
        Err(error) => failure(spec, &error, &draft),
    }
}

/// What the reference does not answer.
fn beside(reply: &mut Value) -> Object {
    let mut beside = Object::new();
    let Value::Object(reply) = reply else {
        return beside;
    };
    for name in ["notes", "backend"] {
        if let Some(value) = reply.get(name) {
            beside.insert(name.to_owned(), value.clone());
        }
    }
    if reply.contains_key("track") {
        let placed: Object = ["track", "segment_id", "start", "end"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), reply.get(name)?.clone())))
            .collect();
        beside.insert("placed".to_owned(), placed.into());
    }
    if let Some(folder) = reply.get("folder") {
        beside.insert("folder".to_owned(), folder.clone());
    }
    beside
}

fn failure(spec: &Spec, error: &Error, arguments: &Object) -> Response {
    let texts = spec.texts;
    let draft = arguments
        .get("draft_id")
        .or_else(|| arguments.get("task_id"));
    let text = match draft {
        Some(draft) if error.kind == Kind::NotFound && !texts.unknown.is_empty() => {
            let id = draft
                .as_str()
                .map_or_else(|| draft.to_string(), str::to_owned);
            let known = error.hint.as_deref().unwrap_or_default();
            format!("{} {known}", texts.unknown.replace("{}", &id))
                .trim_end()
                .to_owned()
        }
        _ => {
            let told = error.to_string().replace("\nhint: ", " — ");
            format!("{}{told}{}", texts.before, texts.after)
        }
    };
    if error.kind == Kind::Internal {
        tracing::error!(tool = spec.name, "{error}");
    }
    let status = match error.kind {
        Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    envelope(status, Err(&text), Object::new())
}

/// The answer's keys are sorted, as the reference sorts them.
fn envelope(status: StatusCode, answered: Result<Value, &str>, beside: Object) -> Response {
    let mut answer: Map<String, Value> = beside;
    let (success, output, error) = match answered {
        Ok(output) => (true, output, ""),
        Err(error) => (false, Value::from(""), error),
    };
    answer.insert("success".to_owned(), success.into());
    answer.insert("output".to_owned(), output);
    answer.insert("error".to_owned(), error.into());
    let mut body = String::new();
    json::write(&mut body, &Value::Object(answer));
    body.push('\n');
    respond(status, "application/json", body)
}

fn health(server: &Server, method: &Method) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return with_allow(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD", METHOD_PAGE);
    }
    let body = json!({
        "status": "ok",
        "edition": server.engine.edition().name(),
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
    });
    respond(StatusCode::OK, "application/json", format!("{body}\n"))
}

/// Lists are asked for, everything else is sent.
fn is_list(spec: &Spec) -> bool {
    spec.name.starts_with("get_")
}

/// The path with escapes read and doubled slashes made one.
fn plain_path(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            (digit()? * 16 + digit()?) as u8
        } else {
            byte
        };
        if byte != b'/' || bytes.last() != Some(&b'/') {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// `application/json` and `application/…+json`, in any case and with parameters.
fn is_json(content_type: Option<&HeaderValue>) -> bool {
    let Some(text) = content_type.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let kind = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

async fn receive(body: Body) -> std::result::Result<Bytes, StatusCode> {
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

const METHOD_PAGE: &str = "<!doctype html>\n<html lang=en>\n<title>405 Method Not Allowed</title>\n<h1>Method Not Allowed</h1>\n<p>The method is not allowed for the requested URL.</p>\n";

/// What the reference says in HTML.
fn page(status: StatusCode) -> Response {
    let reason = status.canonical_reason().unwrap_or("Error");
    let told = match status {
        StatusCode::NOT_FOUND => "The requested URL was not found on the server.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            "The request needs the header Content-Type: application/json."
        }
        StatusCode::BAD_REQUEST => "The body of the request is not JSON.",
        StatusCode::PAYLOAD_TOO_LARGE => "The request is larger than 64 MiB.",
        StatusCode::REQUEST_TIMEOUT => "The request took too long to arrive.",
        _ => "The body of the request is not a JSON object.",
    };
    respond(
        status,
        "text/html; charset=utf-8",
        format!(
            "<!doctype html>\n<html lang=en>\n<title>{} {reason}</title>\n<h1>{reason}</h1>\n<p>{told}</p>\n",
            status.as_u16()
        ),
    )
}

fn with_allow(status: StatusCode, allowed: &'static str, body: &'static str) -> Response {
    let mut response = respond(status, "text/html; charset=utf-8", body.to_owned());
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_reference_reads_them() {
        let check = |path, expected: Option<&str>| {
            assert_eq!(plain_path(path).as_deref(), expected, "{path}");
        };
        check("/add_text", Some("/add_text"));
        check("//get_mask_types", Some("/get_mask_types"));
        check("/%61dd_text", Some("/add_text"));
        check("/add_text/", Some("/add_text/"));
        check("/%zz", None);
        check("/%ff", None);
    }

    #[test]
    fn content_types_of_json_are_taken() {
        let check = |text, expected| {
            assert_eq!(
                is_json(Some(&HeaderValue::from_static(text))),
                expected,
                "{text}"
            );
        };
        check("application/json", true);
        check("Application/JSON; charset=utf-8", true);
        check("application/vnd.api+json", true);
        check("text/plain", false);
        check("application/x-www-form-urlencoded", false);
        assert!(!is_json(None));
    }
}
