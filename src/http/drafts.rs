//! `/drafts`: the saved drafts of a tenant as a list, and as files behind signed links, in whole or in parts.

use std::convert::Infallible;
use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, StatusCode};
use reqwest::Url;
use serde_json::{Value, json};

use super::answer::{self, Answer, AnswerBody};
use super::parts::{AskedPart, asked_for};
use super::tenants::Tenants;
use crate::delivery::links::LinkKey;
use crate::delivery::saved::{SavedDrafts, SavedVersion};
use crate::error::Result;
use crate::exec::App;
use crate::storage::{BlobStore, attachment};

/// How many drafts a list has; further ones are asked for with `before`.
const LISTED: usize = 200;

/// The list of a tenant's saved drafts, the newest first. `query` may have `after` and `before`, versions between which
/// the listed ones are.
pub(super) async fn list(app: &App, query: &str, site: Option<&str>) -> Answer {
    let (Some(saved), Some(site)) = (app.saved.get(), site) else {
        return answer::page(StatusCode::NOT_FOUND);
    };
    let value = |name: &str| {
        let url = Url::parse(&format!("http://localhost/?{query}")).ok()?;
        let mut found = url.query_pairs().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.into_owned())
    };
    let (after, before) = (value("after"), value("before"));
    let listed = saved
        .list(after.as_deref(), before.as_deref(), LISTED)
        .await;
    let rows = match listed {
        Ok(versions) => rows(saved, site, &versions).await,
        Err(error) => Err(error),
    };
    match rows {
        Ok(rows) => answer::json(StatusCode::OK, json!({ "drafts": rows })),
        Err(error) => {
            tracing::error!("the saved drafts cannot be listed: {}", error.cause());
            unavailable("the saved drafts cannot be listed: see the server's log")
        }
    }
}

async fn rows(saved: &SavedDrafts, site: &str, versions: &[SavedVersion]) -> Result<Vec<Value>> {
    let mut rows = Vec::with_capacity(versions.len());
    for version in versions {
        let mut row = crate::args::to_value(version)?;
        row["download_url"] = saved.link(site, version).await?.into();
        rows.push(row);
    }
    Ok(rows)
}

fn unavailable(why: &str) -> Answer {
    let mut answer = answer::refusal(StatusCode::SERVICE_UNAVAILABLE, why);
    let soon = HeaderValue::from_static("5");
    answer.headers_mut().insert(RETRY_AFTER, soon);
    answer
}

/// The file that a link leads to. Every link that is not valid has the same answer.
pub(super) async fn file(
    tenants: &Tenants,
    key: Option<&LinkKey>,
    (path, query): (&str, &str),
    (method, headers): (&Method, &HeaderMap),
) -> Answer {
    let gone = || {
        answer::refusal(
            StatusCode::NOT_FOUND,
            "this link is not valid, or no longer: save the draft again, or list the drafts for a new link",
        )
    };
    let target = key.and_then(|key| key.target(path, query, SystemTime::now()));
    let Some(target) = target else {
        return gone();
    };
    let Ok(tenant) = tenants.named(&target.tenant) else {
        return gone();
    };
    let Some(saved) = tenant.app.as_ref().and_then(|app| app.saved.get()) else {
        return gone();
    };
    let (store, size) = match saved.archive(&target.key).await {
        Ok(Some(found)) => found,
        Ok(None) => return gone(),
        Err(error) => {
            tracing::error!("a saved draft cannot be read: {}", error.cause());
            return unavailable("the draft cannot be read now: see the server's log");
        }
    };
    // The key is that of one version, whose content never changes.
    let tag = format!("\"{}\"", target.key.rsplit('/').next().unwrap_or_default());
    let part = asked_for(headers, size, &tag);
    let mut answer = match &part {
        AskedPart::Unchanged => bare(StatusCode::NOT_MODIFIED),
        AskedPart::Beyond => {
            let mut answer = bare(StatusCode::RANGE_NOT_SATISFIABLE);
            set(&mut answer, CONTENT_RANGE, &format!("bytes */{size}"));
            answer
        }
        AskedPart::Whole => sent(store, &target.key, 0..size, StatusCode::OK, method).await,
        AskedPart::Of(range) => {
            let status = StatusCode::PARTIAL_CONTENT;
            let mut answer = sent(store, &target.key, range.clone(), status, method).await;
            let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            set(&mut answer, CONTENT_RANGE, &shown);
            answer
        }
    };
    set(&mut answer, ETAG, &tag);
    set(&mut answer, ACCEPT_RANGES, "bytes");
    set(&mut answer, CACHE_CONTROL, "private, no-transform");
    set(&mut answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut answer, CONTENT_DISPOSITION, &attachment(&target.name));
    answer
}

/// An answer with a part of the file, or only its head.
async fn sent(
    store: &dyn BlobStore,
    key: &str,
    range: Range<u64>,
    status: StatusCode,
    method: &Method,
) -> Answer {
    let length = range.end - range.start;
    let mut answer = bare(status);
    let is_video = Path::new(key)
        .extension()
        .is_some_and(|ending| ending == "mp4");
    let kind = if is_video {
        "video/mp4"
    } else {
        "application/zip"
    };
    set(&mut answer, CONTENT_TYPE, kind);
    if method != Method::HEAD {
        let read = match store.read(key, range).await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!("a saved draft cannot be read: {}", error.cause());
                return unavailable("the draft cannot be read now: see the server's log");
            }
        };
        // A file that cannot be read to its end gives a body that is too short, which clients notice.
        let pieces = read
            .inspect_err(|error| tracing::error!("a saved draft cannot be read: {error}"))
            .take_while(|piece| std::future::ready(piece.is_ok()))
            .filter_map(|piece| std::future::ready(piece.ok()))
            .map(|piece: Bytes| Ok::<_, Infallible>(Frame::data(piece)));
        *answer.body_mut() = AnswerBody::Stream(BodyExt::boxed(StreamBody::new(pieces)));
    }
    set(&mut answer, CONTENT_LENGTH, &length.to_string());
    answer
}

fn bare(status: StatusCode) -> Answer {
    answer::text(status, "application/zip", String::new())
}

fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
