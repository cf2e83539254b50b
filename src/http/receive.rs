//! Receiving bodies, bounded in bytes, in time and in how many large ones are held at once.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::manifest::{self, Limits};

/// What is too large is still read to so many times the limit, so that the client hears why.
const UNREAD: usize = 4;
/// A body beyond this is large.
const LARGE: usize = 1 << 20;
/// Large bodies that are held at once; others wait.
const LARGE_AT_ONCE: usize = 8;

pub(super) struct Receiver {
    large: Semaphore,
    /// The largest body.
    most: usize,
    /// From one piece of a body to the next.
    pause: Duration,
    /// For a whole body.
    whole: Duration,
}

/// A body, and its place among the large ones.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub bytes: Bytes,
    _place: Option<SemaphorePermit<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreceived {
    /// The most that is read.
    TooLarge(usize),
    TooSlow,
    /// The connection ended, or the body is not what its headers say.
    Broken,
}

impl Receiver {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            large: Semaphore::new(LARGE_AT_ONCE),
            most: limits.request_bytes,
            pause: manifest::seconds(limits.request_pause_s),
            whole: manifest::seconds(limits.request_timeout_s),
        }
    }

    pub(super) async fn receive<B: Body<Data = Bytes> + Unpin>(
        &self,
        body: B,
    ) -> Result<Received<'_>, Unreceived> {
        if body.is_end_stream() {
            return Ok(Received {
                bytes: Bytes::new(),
                _place: None,
            });
        }
        timeout(self.whole, self.collect(body))
            .await
            .map_err(|_| Unreceived::TooSlow)?
    }

    async fn collect<B: Body<Data = Bytes> + Unpin>(
        &self,
        mut body: B,
    ) -> Result<Received<'_>, Unreceived> {
        // A small body comes in one piece, which is kept as it is.
        let mut first = Bytes::new();
        let mut rest = Vec::new();
        let mut count = 0;
        let mut place = None;
        while let Some(piece) = self.next(&mut body).await? {
            count += piece.len();
            if count > self.most {
                rest = Vec::new();
                if count > self.most.saturating_mul(UNREAD) {
                    break;
                }
                continue;
            }
            if count > LARGE && place.is_none() {
                place = Some(self.large.acquire().await.map_err(|_| Unreceived::Broken)?);
                let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0);
                rest.reserve(announced.min(self.most));
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
        Ok(Received {
            bytes: if rest.is_empty() { first } else { rest.into() },
            _place: place,
        })
    }

    /// The next piece; `None` at the end.
    async fn next<B: Body<Data = Bytes> + Unpin>(
        &self,
        body: &mut B,
    ) -> Result<Option<Bytes>, Unreceived> {
        loop {
            match timeout(self.pause, body.frame()).await {
                Err(_) => return Err(Unreceived::TooSlow),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Unreceived::Broken),
                // Trailers say nothing that is wanted here.
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
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
    async fn pieces_are_joined_in_their_order() {
        let pieces = ["{\"a\"", ":", "", "1}"].into_iter().map(Bytes::from);
        let body = received(&receiver(), pieces).await;
        assert_eq!(body.expect("a body"), "{\"a\":1}");
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_whatever_its_pieces() {
        let receiver = receiver();
        let mebibyte = Bytes::from(vec![b' '; 1 << 20]);
        let pieces = |count| std::iter::repeat_n(mebibyte.clone(), count);
        let body = received(&receiver, pieces(64)).await.expect("the most");
        assert_eq!(body.len(), receiver.most);
        let more = pieces(64).chain([Bytes::from_static(b" ")]);
        let error = Err(Unreceived::TooLarge(receiver.most));
        assert_eq!(received(&receiver, more).await, error);
        assert_eq!(received(&receiver, pieces(300)).await, error);
        assert_eq!(receiver.large.available_permits(), LARGE_AT_ONCE);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let receiver = Receiver {
            pause: Duration::from_millis(5),
            ..receiver()
        };
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let got = receiver.receive(silent).await;
        assert_eq!(got.expect_err("nothing came"), Unreceived::TooSlow);
    }
}
