//! Receives bodies, with limits in bytes, in time and in the memory that all bodies take together.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::manifest::{self, Limits};

/// A body that is too large is read up to this multiple of the limit, because a client that is still sending
/// would not read the error.
const UNREAD: usize = 4;
/// Bodies larger than this count towards the shared memory limit.
pub(super) const LARGE: usize = 64 << 10;
/// Memory for large bodies and the values read from them; bodies that find none free wait.
const MEMORY: usize = 160 << 20;
/// The unit in which memory is counted.
const UNIT: usize = 1 << 10;
/// Memory per JSON value, including its share of the list or object that it is in.
const VALUE: usize = 96;

pub(super) struct Receiver {
    memory: Semaphore,
    /// The largest body, in bytes.
    most: usize,
    /// The maximum time between two pieces of a body.
    pause: Duration,
    /// The maximum time for a whole body.
    whole: Duration,
}

/// A body, and the memory that is reserved for it while it is in use.
#[derive(Debug)]
pub(super) struct ReceivedBody<'a> {
    pub bytes: Bytes,
    pub memory: Option<SemaphorePermit<'a>>,
}

impl ReceivedBody<'_> {
    pub(super) fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
            memory: None,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreceived {
    /// The limit in bytes.
    TooLarge(usize),
    TooSlow,
    /// The connection ended, or the body does not match its headers.
    Broken,
}

impl Receiver {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: Semaphore::new(MEMORY / UNIT),
            most: limits.request_bytes,
            pause: manifest::seconds(limits.request_pause_s),
            whole: manifest::seconds(limits.request_timeout_s),
        }
    }

    pub(super) async fn receive<B: Body<Data = Bytes> + Unpin>(
        &self,
        body: B,
    ) -> Result<ReceivedBody<'_>, Unreceived> {
        if body.is_end_stream() {
            return Ok(ReceivedBody::empty());
        }
        timeout(self.whole, self.collect(body))
            .await
            .map_err(|_| Unreceived::TooSlow)?
    }

    async fn collect<B: Body<Data = Bytes> + Unpin>(
        &self,
        mut body: B,
    ) -> Result<ReceivedBody<'_>, Unreceived> {
        // A small body arrives in one piece, which is kept without a copy.
        let mut first = Bytes::new();
        let mut rest = Vec::new();
        let mut count = 0;
        let mut memory = None;
        while let Some(piece) = self.next(&mut body).await? {
            count += piece.len();
            if count > self.most {
                rest = Vec::new();
                if count > self.most.saturating_mul(UNREAD) {
                    break;
                }
                continue;
            }
            if count > LARGE && memory.is_none() {
                // The memory is reserved in one step: two bodies that each hold half would wait for each other.
                let hint = body.size_hint();
                let all = hint.exact().map_or(self.most, |left| {
                    count.saturating_add(usize::try_from(left).unwrap_or(self.most))
                });
                let reserved = self.memory.acquire_many(units(all.min(self.most))).await;
                memory = Some(reserved.map_err(|_| Unreceived::Broken)?);
                rest.reserve(usize::try_from(hint.lower()).unwrap_or(0).min(self.most));
            }
            if first.is_empty() && rest.is_empty() {
                first = piece;
            } else {
                if rest.is_empty() {
                    rest.reserve(first.len() + piece.len());
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&piece);
            }
        }
        if count > self.most {
            return Err(Unreceived::TooLarge(self.most));
        }
        Ok(ReceivedBody {
            bytes: if rest.is_empty() { first } else { rest.into() },
            memory,
        })
    }

    /// Memory for this number of JSON values; `None` if other bodies are using it.
    pub(super) fn for_values(&self, values: usize) -> Option<SemaphorePermit<'_>> {
        let wanted = units(values.saturating_mul(VALUE));
        self.memory.try_acquire_many(wanted).ok()
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next<B: Body<Data = Bytes> + Unpin>(
        &self,
        body: &mut B,
    ) -> Result<Option<Bytes>, Unreceived> {
        loop {
            match timeout(self.pause, body.frame()).await {
                Err(_) => return Err(Unreceived::TooSlow),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Unreceived::Broken),
                // Trailers contain nothing that a call uses.
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// Bytes in memory units, but never more than exist in total.
fn units(bytes: usize) -> u32 {
    bytes.div_ceil(UNIT).min(MEMORY / UNIT) as u32
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;
    use crate::manifest::Manifest;

    fn receiver() -> Receiver {
        Receiver::new(&Manifest::built_in().limits)
    }

    async fn received(
        receiver: &Receiver,
        pieces: impl Iterator<Item = Bytes>,
    ) -> Result<Bytes, Unreceived> {
        let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        let received = receiver
            .receive(StreamBody::new(stream::iter(frames)))
            .await?;
        Ok(received.bytes)
    }

    #[tokio::test]
    async fn body_pieces_are_joined_in_order() {
        let pieces = ["{\"a\"", ":", "", "1}"].into_iter().map(Bytes::from);
        let body = received(&receiver(), pieces).await;
        assert_eq!(body.expect("a body"), "{\"a\":1}");
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_for_any_piece_size() {
        let receiver = receiver();
        let mebibyte = Bytes::from(vec![b' '; 1 << 20]);
        let pieces = |count| std::iter::repeat_n(mebibyte.clone(), count);
        let body = received(&receiver, pieces(64)).await.expect("the most");
        assert_eq!(body.len(), receiver.most);
        let more = pieces(64).chain([Bytes::from_static(b" ")]);
        let error = Err(Unreceived::TooLarge(receiver.most));
        assert_eq!(received(&receiver, more).await, error);
        assert_eq!(received(&receiver, pieces(300)).await, error);
        assert_eq!(receiver.memory.available_permits(), MEMORY / UNIT);
    }

    #[tokio::test]
    async fn large_bodies_wait_for_the_memory_of_others() {
        let receiver = receiver();
        let body = || {
            let pieces = std::iter::repeat_n(Bytes::from(vec![b' '; 1 << 20]), 60);
            let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
            receiver.receive(StreamBody::new(stream::iter(frames)))
        };
        let (first, second) = (body().await.expect("a body"), body().await.expect("a body"));
        assert!(receiver.for_values(1_000_000).is_none());
        let mut third = std::pin::pin!(body());
        assert!(futures::poll!(third.as_mut()).is_pending());
        drop(first);
        assert!(third.await.is_ok());
        drop(second);
        assert!(receiver.for_values(200_000).is_some());
        assert_eq!(receiver.memory.available_permits(), MEMORY / UNIT);
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_times_out() {
        let receiver = Receiver {
            pause: Duration::from_millis(5),
            ..receiver()
        };
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let got = receiver.receive(silent).await;
        assert_eq!(got.expect_err("nothing came"), Unreceived::TooSlow);
    }
}
