//! Streams that tell pages when something changed, also by other processes: the journal is read several times a second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::StatusCode;
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::answer::{self, Answer, AnswerBody};
use super::{Studio, StudioVisit, videos};
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::error::Result;
use crate::exec::App;
use crate::journal::{DraftRow, ENGINE};

/// How often the journal is read; half as often if other machines use it as well.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A comment is sent after this time without a change, so that connections that broke are noticed.
const SILENCE: Duration = Duration::from_secs(15);
/// How many drafts of the list are watched.
const WATCHED: usize = 60;

/// Changes of the list of drafts.
pub(super) fn of_list(studio: &Studio, visit: &StudioVisit) -> Answer {
    let app = Arc::clone(&visit.app);
    answered(studio, &visit.app, move || {
        let app = Arc::clone(&app);
        async move { drafts(&app).await }
    })
}

/// Changes of a draft and the progress of its video.
pub(super) fn of_draft(studio: &Arc<Studio>, visit: &StudioVisit, row: &DraftRow) -> Answer {
    let (app, caller, id) = (Arc::clone(&visit.app), visit.caller.clone(), row.id.clone());
    let of = Arc::clone(studio);
    answered(studio, &visit.app, move || {
        let (studio, app, caller) = (Arc::clone(&of), Arc::clone(&app), caller.clone());
        let id = id.clone();
        async move { draft(&studio, &app, &caller, &id).await }
    })
}

async fn drafts(app: &App) -> Result<Value> {
    let rows = app.journal.list(false, WATCHED, None).await?;
    let rows = rows.into_iter().map(|row| json!([row.id, row.modified_ms]));
    Ok(rows.collect())
}

async fn draft(studio: &Studio, app: &Arc<App>, caller: &Caller, id: &DraftId) -> Result<Value> {
    let id = app.current(id).await?;
    let Some(row) = app
        .journal
        .find(&id)
        .await?
        .filter(|row| row.deleted_ms.is_none())
    else {
        return Ok(json!({ "gone": true }));
    };
    let records = if row.origin == ENGINE {
        app.engine.records(&id).await?
    } else {
        row.calls
    };
    let video = videos::shown_to(studio, app, caller, &row).await?;
    Ok(json!({
        "id": id,
        "records": records,
        "modified_ms": row.modified_ms,
        "video": video,
    }))
}

/// A stream with what `look` returns, whenever it is another value than before.
fn answered<F>(studio: &Studio, app: &App, look: impl Fn() -> F + Send + Sync + 'static) -> Answer
where
    F: Future<Output = Result<Value>> + Send + 'static,
{
    let every = if app.journal.store().is_shared() {
        2 * LOOK_EVERY
    } else {
        LOOK_EVERY
    };
    let Ok(place) = Arc::clone(&studio.streams).try_acquire_owned() else {
        return answer::busy("too many pages wait for changes; close some of them");
    };
    // The task ends when the page has gone, or the server stops.
    let (pieces, mut received) = mpsc::channel::<String>(1);
    let stop = studio.stop.clone();
    tokio::spawn(async move {
        let _place = place;
        let mut changes = Changes::default();
        loop {
            if let Some(piece) = changes.next(look().await)
                && pieces.send(piece).await.is_err()
            {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = pieces.closed() => return,
                () = stop.cancelled() => return,
            }
        }
    });
    let stream = stream::poll_fn(move |context| received.poll_recv(context));
    let frames = stream.map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    let mut answer = answer::typed(StatusCode::OK, "text/event-stream", Bytes::new());
    *answer.body_mut() = AnswerBody::Stream(BodyExt::boxed(StreamBody::new(frames)));
    answer
}

/// What was sent last.
struct Changes {
    last: Option<Value>,
    sent: Instant,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            last: None,
            sent: Instant::now(),
        }
    }
}

impl Changes {
    /// What is sent after a look: the new value, a comment after a long silence, or nothing.
    fn next(&mut self, looked: Result<Value>) -> Option<String> {
        let piece = match looked {
            Ok(value) if self.last.as_ref() != Some(&value) => {
                let piece = format!("data: {value}\n\n");
                self.last = Some(value);
                piece
            }
            Ok(_) if self.sent.elapsed() < SILENCE => return None,
            Ok(_) => ":\n\n".to_owned(),
            Err(error) => {
                // The next look may succeed; the page keeps what it has.
                tracing::debug!("changes cannot be read: {}", error.cause());
                return None;
            }
        };
        self.sent = Instant::now();
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn only_changes_are_sent() {
        let mut changes = Changes::default();
        assert_eq!(changes.next(Ok(json!(1))).as_deref(), Some("data: 1\n\n"));
        assert_eq!(changes.next(Ok(json!(1))), None);
        assert_eq!(changes.next(Err(Error::internal("locked"))), None);
        assert_eq!(changes.next(Ok(json!(2))).as_deref(), Some("data: 2\n\n"));
        changes.sent -= SILENCE;
        assert_eq!(changes.next(Ok(json!(2))).as_deref(), Some(":\n\n"));
    }
}
