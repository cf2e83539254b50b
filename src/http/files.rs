//! `/files`: files that clients send to this server, because they have no URL for them.

use hyper::body::{Body, Bytes};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;

use super::answer::{self, Answer};
use super::receive::{Receiver, Unreceived};
use crate::error::{Error, Kind, Result};
use crate::exec::App;

/// The methods of `/files` and of a file.
pub(super) fn allow(name: &str) -> &'static str {
    if name.is_empty() {
        "GET, HEAD, OPTIONS"
    } else {
        "DELETE, OPTIONS, PUT"
    }
}

/// Answers a request for the list (an empty name) or for a file; the second value is `ok`, or the kind of the error.
pub(super) async fn answer<B>(
    app: &App,
    method: &Method,
    name: &str,
    body: B,
    receiver: &Receiver,
) -> (Answer, &'static str)
where
    B: Body<Data = Bytes> + Unpin,
{
    let answered = match *method {
        Method::GET | Method::HEAD if name.is_empty() => list(app).await,
        Method::PUT if !name.is_empty() => put(app, name, body, receiver).await,
        Method::DELETE if !name.is_empty() => remove(app, name).await,
        Method::OPTIONS => return (answer::options(allow(name)), "ok"),
        _ => {
            return (
                answer::not_allowed(allow(name)),
                Kind::InvalidArgument.name(),
            );
        }
    };
    match answered {
        Ok(answer) => (answer, "ok"),
        Err(error) => (refused(&error), error.kind.name()),
    }
}

async fn list(app: &App) -> Result<Answer> {
    let files = app.uploads()?.list().await?;
    Ok(answer::json(StatusCode::OK, json!({ "files": files })))
}

async fn remove(app: &App, name: &str) -> Result<Answer> {
    app.uploads()?.remove(name).await?;
    Ok(answer::json(
        StatusCode::OK,
        json!({ "success": true, "error": "" }),
    ))
}

/// Stores the body. Its pieces are written as they arrive, so a file may be larger than the memory.
async fn put<B>(app: &App, name: &str, mut body: B, receiver: &Receiver) -> Result<Answer>
where
    B: Body<Data = Bytes> + Unpin,
{
    let left = app.bytes_left().await?;
    let most = left.min(app.manifest.limits.upload_bytes);
    let mut file = app.uploads()?.start(name, most)?;
    if body.size_hint().lower() > most {
        return Err(Error::invalid(format!(
            "the file has {} bytes; at most {most} are allowed (`limits.upload_bytes`, or what is left of `limits.tenant_bytes`)",
            body.size_hint().lower()
        )));
    }
    loop {
        match receiver.next(&mut body).await {
            Ok(Some(piece)) => file.write(&piece)?,
            Ok(None) => break,
            Err(unreceived) => {
                let why = match unreceived {
                    Unreceived::TooSlow => "no data arrived for too long",
                    _ => "the connection broke off",
                };
                return Err(
                    Error::new(Kind::Unsent, format!("the file was not stored: {why}"))
                        .hint("send it again"),
                );
            }
        }
    }
    let uploaded = file.finish(&app.media).await?;
    let status = if uploaded.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(answer::json(status, json!(uploaded)))
}

/// Why a file is not stored, listed or removed. The connection is closed, because the rest of the body is not read.
fn refused(error: &Error) -> Answer {
    let status = match error.kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Media => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Unsent => StatusCode::REQUEST_TIMEOUT,
        Kind::Unavailable | Kind::Timeout | Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut answer = answer::refusal(status, &error.for_client());
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}
