//! Runs the calls of the CapCut API.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use futures::FutureExt as _;
use hyper::header::HeaderValue;
use serde_json::Value;

use super::answer::{self, Answer};
use super::tenants::Tenant;
use super::{CALLS, HttpServer, RequestClient, texts};
use crate::access::Guest;
use crate::args::Object;
use crate::backend::envelope::{self, ServerErrorText};
use crate::caller::Manner;
use crate::draft::ids::DraftId;
use crate::error::{Error, Kind, Result};
use crate::tool::{Spec, Texts};

impl HttpServer {
    /// Runs a call. As with the API, the call completes even if the client disconnects, and a panic in it affects
    /// no other call. The permit counts the call as running while the server stops.
    pub(super) async fn call(
        self: &Arc<Self>,
        spec: &'static Spec,
        tenant: &Arc<Tenant>,
        guest: Option<&Guest>,
        arguments: Result<Object>,
        client: &RequestClient,
        manner: Manner,
    ) -> Answer {
        let Ok(permit) = Arc::clone(&self.calls).try_acquire_owned() else {
            return busy();
        };
        let (tenant, recorded, client) = (Arc::clone(tenant), guest.cloned(), client.clone());
        let work = async move {
            let ended = tenant.run_call(spec, arguments, &client, manner).await;
            if let Some(guest) = recorded {
                guest.record(
                    spec.name,
                    ended.draft.as_ref().map(DraftId::as_str),
                    ended.result,
                );
            }
            drop(permit);
            ended.answer
        };
        let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind());
        let first_poll = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        // Only a call that has to wait gets its own task; most calls finish in the first poll, and a task would
        // slow them down.
        let done = match first_poll {
            Poll::Ready(done) => done.ok(),
            Poll::Pending => tokio::spawn(work).await.ok().and_then(Result::ok),
        };
        done.unwrap_or_else(|| {
            let error = Error::internal("an internal error in capcut-mcp stopped this call");
            let error = error.hint(if spec.hints.read_only {
                "nothing was changed; report this"
            } else {
                "check the draft before you call again, and report this"
            });
            tracing::error!(tool = spec.name, "{}", error.cause());
            if let Some(guest) = guest {
                guest.record(spec.name, None, error.kind.name());
            }
            failed(&spec.texts, &error, None)
        })
    }
}

/// How a call ended.
struct EndedCall {
    answer: Answer,
    draft: Option<DraftId>,
    /// `ok`, or the kind of the error.
    result: &'static str,
}

impl Tenant {
    async fn run_call(
        &self,
        spec: &'static Spec,
        arguments: Result<Object>,
        client: &RequestClient,
        manner: Manner,
    ) -> EndedCall {
        let caller = client.caller(self);
        // Other capcut-mcp processes receive the error text of this program, not the wording of the API.
        let texts = match manner {
            Manner::Strict => &Texts::NONE,
            Manner::Api => &spec.texts,
        };
        let failed = |error: &Error, draft: Option<DraftId>| EndedCall {
            answer: failed(texts, error, draft.as_ref()),
            draft,
            result: error.kind.name(),
        };
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(error) => {
                (self.refused)(spec, &error);
                return failed(&error, None);
            }
        };
        let mut arguments = arguments;
        if let Err(error) = self.name_uploads(&mut arguments).await {
            (self.refused)(spec, &error);
            return failed(&error, None);
        }
        if let Some(missing) = texts::missing(texts, &arguments) {
            (self.refused)(spec, &Error::invalid(missing));
            return EndedCall {
                answer: answer::failure(missing),
                draft: None,
                result: Kind::InvalidArgument.name(),
            };
        }
        let request = match spec.decode(arguments, &caller.in_manner(manner)) {
            Ok(request) => request,
            Err(error) => {
                (self.refused)(spec, &error);
                return failed(&error, None);
            }
        };
        let draft = request.draft().cloned();
        let done = match (self.run)(request).await {
            Ok(done) => done,
            Err(error) => return failed(&error, draft),
        };
        let made = done.reply.get("draft_id").and_then(Value::as_str);
        let made = made.and_then(DraftId::of_server);
        match answer::success(spec, done, &self.link) {
            Ok(answer) => EndedCall {
                answer,
                draft: draft.or(made),
                result: "ok",
            },
            Err(error) => {
                tracing::error!(tool = spec.name, "{}", error.cause());
                failed(&error, draft)
            }
        }
    }
}

fn failed(texts: &Texts, error: &Error, draft: Option<&DraftId>) -> Answer {
    let said = error.source.as_deref();
    let text = match said.and_then(<dyn std::error::Error + Send + Sync>::downcast_ref) {
        // The error text comes from a server, in the wording that its clients know.
        Some(ServerErrorText(words)) => words.clone(),
        None => texts::failure(texts, error, draft.map(DraftId::as_str)),
    };
    let mut answer = if error.kind == Kind::Busy {
        answer::busy(&text)
    } else {
        answer::failure(&text)
    };
    // The body is exactly the API's; the kind of error is in a header.
    let kind = HeaderValue::from_static(error.kind.name());
    answer.headers_mut().insert(envelope::KIND_HEADER, kind);
    answer
}

pub(super) fn busy() -> Answer {
    answer::busy(&format!(
        "{CALLS} calls are under way, which is the limit of this server; try again in a moment"
    ))
}
