//! Streams that stay open. A request is checked when it arrives; a stream continues, so it is ended when the token with
//! which it was opened no longer counts.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::StreamExt as _;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, AnswerBody};
use crate::access::Guest;

type Stream = BoxBody<Bytes, Infallible>;

/// The streams of a listener that are open.
#[derive(Default)]
pub(super) struct OpenStreams(Mutex<Vec<(Guest, Weak<CancellationToken>)>>);

impl OpenStreams {
    /// The stream of a guest, until its token no longer counts.
    pub(super) fn of(&self, guest: Guest, stream: Stream) -> Stream {
        let end = Arc::new(CancellationToken::new());
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, end)| end.strong_count() > 0);
        open.push((guest, Arc::downgrade(&end)));
        drop(open);
        let until = async move { end.cancelled().await };
        BodyExt::boxed(StreamBody::new(BodyStream::new(stream).take_until(until)))
    }

    /// The answer; if it is a stream of events, it ends when the guest's token no longer counts.
    pub(super) fn ended_with(&self, guest: Guest, answer: Answer) -> Answer {
        let kind = answer.headers().get(CONTENT_TYPE);
        if kind.is_none_or(|kind| kind != "text/event-stream") {
            return answer;
        }
        answer.map(|body| match body {
            AnswerBody::Stream(stream) => AnswerBody::Stream(self.of(guest, stream)),
            whole @ AnswerBody::Whole(_) => whole,
        })
    }

    /// Ends the streams of tokens that were revoked or have expired.
    pub(super) fn end_refused(&self) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(guest, end)| {
            let Some(end) = end.upgrade() else {
                return false;
            };
            let counts = guest.still_counts();
            if !counts {
                end.cancel();
            }
            counts
        });
    }
}
