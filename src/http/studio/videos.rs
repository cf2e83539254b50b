//! Preview videos: they are made by jobs of `preview_video`, and sent in whole or in parts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName,
    HeaderValue,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::super::answer::{self, Answer, AnswerBody};
use super::super::parts::{AskedPart, asked_for};
use super::{Studio, StudioVisit, page};
use crate::caller::Caller;
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::exec::App;
use crate::journal::{DraftRow, KEPT};
use crate::storage::attachment;

/// How long a look waits for the end of a job before it waits again.
const WAIT: Duration = Duration::from_secs(20);
/// How much of a file is read at a time.
const PIECE: usize = 64 << 10;

/// The video of a draft that is being made here.
#[derive(Default)]
pub(super) struct Videos(Mutex<Making>);

#[derive(Default)]
struct Making {
    job: Option<String>,
    /// The calls of the draft when the job began.
    calls: u64,
    /// Why the last job failed.
    failed: Option<String>,
}

impl Videos {
    fn lock(&self) -> MutexGuard<'_, Making> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A finished video, as the journal keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct MadeVideo {
    /// The calls of the draft when it was made.
    calls: u64,
    file: PathBuf,
    /// When it was made, in milliseconds since 1970.
    at_ms: i64,
}

/// The video as the page shows it.
#[derive(Debug, Default, Serialize)]
pub(super) struct ShownVideo {
    pub is_there: bool,
    /// Whether the draft was changed since it was made.
    pub is_old: bool,
    pub version: String,
    /// From 0 to 1, while one is being made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub making: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

fn key(id: &DraftId) -> String {
    format!("studio video {id}")
}

async fn made(app: &App, id: &DraftId) -> Result<Option<MadeVideo>> {
    let value = app.journal.value(&key(id)).await?;
    let made = value.and_then(|value| serde_json::from_slice::<MadeVideo>(&value).ok());
    // Other machines of the same store have files of their own, and previews are removed after some time.
    Ok(made.filter(|made| made.file.is_file()))
}

fn videos_of(studio: &Studio, app: &App, id: &DraftId) -> Option<Arc<Videos>> {
    let all = studio.videos.lock().unwrap_or_else(PoisonError::into_inner);
    all.get(&(Arc::clone(&app.tenant), id.clone())).cloned()
}

/// The same, for a video that is going to be made.
fn new_videos_of(studio: &Studio, app: &App, id: &DraftId) -> Arc<Videos> {
    let mut all = studio.videos.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (Arc::clone(&app.tenant), id.clone());
    Arc::clone(all.entry(key).or_default())
}

pub(super) async fn shown(
    studio: &Studio,
    visit: &StudioVisit,
    row: &DraftRow,
) -> Result<ShownVideo> {
    shown_to(studio, &visit.app, &visit.caller, row).await
}

/// The state of a draft's video.
pub(super) async fn shown_to(
    studio: &Studio,
    app: &Arc<App>,
    caller: &Caller,
    row: &DraftRow,
) -> Result<ShownVideo> {
    let mut shown = ShownVideo::default();
    if let Some(made) = made(app, &row.id).await? {
        shown.is_there = true;
        shown.is_old = made.calls != row.calls;
        shown.version = made.at_ms.to_string();
    }
    let (job, failed) = match videos_of(studio, app, &row.id) {
        Some(of_draft) => {
            let making = of_draft.lock();
            (making.job.clone(), making.failed.clone())
        }
        None => (None, None),
    };
    shown.failed = failed;
    if let Some(job) = job {
        let arguments = json!({ "job_id": job, "wait_s": 0 });
        let state = super::run(app, caller, "job_status", arguments).await?;
        let (done, total) = (state["done"].as_f64(), state["total"].as_f64());
        let part = done.unwrap_or_default() / total.unwrap_or(100.0).max(1.0);
        shown.making = Some(part.clamp(0.0, 1.0));
    }
    Ok(shown)
}

/// Starts to make a video of the draft as it is, unless that is under way.
pub(super) async fn make(
    studio: &Arc<Studio>,
    visit: &StudioVisit,
    row: &DraftRow,
) -> Result<ShownVideo, Box<Answer>> {
    let of_draft = new_videos_of(studio, &visit.app, &row.id);
    let is_under_way = {
        let making = of_draft.lock();
        making.job.is_some() && making.calls == row.calls
    };
    if !is_under_way {
        let arguments = json!({ "draft_id": row.id, "wait_s": 0 });
        let caller = visit.caller.clone();
        let reply = visit
            .call(studio, "preview_video", arguments, caller)
            .await?;
        let Some(job) = reply["job_id"].as_str() else {
            return Err(Box::new(
                visit.failed(&Error::internal("the job of the video has no id")),
            ));
        };
        *of_draft.lock() = Making {
            job: Some(job.to_owned()),
            calls: row.calls,
            failed: None,
        };
        let (app, caller, id) = (Arc::clone(&visit.app), visit.caller.clone(), row.id.clone());
        let (job, calls) = (job.to_owned(), row.calls);
        tokio::spawn(async move {
            let ended = followed(&app, &caller, &id, &job, calls).await;
            let mut making = of_draft.lock();
            // A later job may have taken its place.
            if making.job.as_deref() == Some(&job) {
                making.job = None;
                making.failed = ended.err().map(|error| error.to_string());
            }
        });
    }
    let shown = shown(studio, visit, row).await;
    shown.map_err(|error| Box::new(visit.failed(&error)))
}

/// Waits for the end of a job and keeps where its video is.
async fn followed(
    app: &Arc<App>,
    caller: &Caller,
    id: &DraftId,
    job: &str,
    calls: u64,
) -> Result<()> {
    loop {
        let state = app.jobs.wait(job, WAIT).await?;
        if state.is_open() {
            continue;
        }
        if let Some(error) = state.failure() {
            return Err(error);
        }
        let arguments = json!({ "job_id": job, "wait_s": 0 });
        let reply = super::run(app, caller, "job_status", arguments).await?;
        let file = reply["report"]["file"].as_str();
        let file = file.ok_or_else(|| Error::internal("the job of the video made no file"))?;
        let made = MadeVideo {
            calls,
            file: PathBuf::from(file),
            at_ms: crate::journal::now_ms(),
        };
        let value = serde_json::to_vec(&made)
            .map_err(|error| Error::internal("a video cannot be recorded").source(error))?;
        return app.journal.put_value(&key(id), &value, Some(KEPT)).await;
    }
}

/// The video, or a part of it.
pub(super) async fn file(visit: &StudioVisit, row: &DraftRow) -> Answer {
    let made = match made(&visit.app, &row.id).await {
        Ok(Some(made)) => made,
        Ok(None) => return page::missing(super::Language::of(&visit.head)),
        Err(error) => return visit.failed(&error),
    };
    let sent = sent(&visit.head, &made.file, "video/mp4", None).await;
    sent.unwrap_or_else(|error| visit.failed(&error))
}

/// The file of a video for a download.
pub(super) async fn download(visit: &StudioVisit, row: &DraftRow, name: &str) -> Result<Answer> {
    let made = made(&visit.app, &row.id).await?;
    let made = made.ok_or_else(|| Error::not_found("there is no preview video yet"))?;
    sent(&visit.head, &made.file, "video/mp4", Some(name)).await
}

fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// A file, or the part of it that the client wants; with a name, as a download.
pub(super) async fn sent(
    head: &Parts,
    path: &Path,
    content_type: &'static str,
    name: Option<&str>,
) -> Result<Answer> {
    let unreadable = |error| Error::not_found("the file cannot be read").source(error);
    let mut file = File::open(path).await.map_err(unreadable)?;
    let facts = file.metadata().await.map_err(unreadable)?;
    let size = facts.len();
    let changed = facts.modified().ok();
    let changed = changed.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let tag = format!("\"{size:x}-{:x}\"", changed.unwrap_or_default().as_micros());
    let empty = |status| answer::typed(status, content_type, Bytes::new());
    let mut answer = match asked_for(&head.headers, size, &tag) {
        AskedPart::Unchanged => empty(StatusCode::NOT_MODIFIED),
        AskedPart::Beyond => {
            let mut answer = empty(StatusCode::RANGE_NOT_SATISFIABLE);
            set(&mut answer, CONTENT_RANGE, &format!("bytes */{size}"));
            answer
        }
        part => {
            let (range, status) = match part {
                AskedPart::Of(range) => (range, StatusCode::PARTIAL_CONTENT),
                _ => (0..size, StatusCode::OK),
            };
            let mut answer = empty(status);
            if status == StatusCode::PARTIAL_CONTENT {
                let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                set(&mut answer, CONTENT_RANGE, &shown);
            }
            let length = range.end - range.start;
            if head.method != Method::HEAD {
                file.seek(std::io::SeekFrom::Start(range.start))
                    .await
                    .map_err(unreadable)?;
                *answer.body_mut() = pieces(file, length);
            }
            set(&mut answer, CONTENT_LENGTH, &length.to_string());
            answer
        }
    };
    set(&mut answer, ETAG, &tag);
    set(&mut answer, ACCEPT_RANGES, "bytes");
    if let Some(name) = name {
        set(&mut answer, CONTENT_DISPOSITION, &attachment(name));
    }
    Ok(answer)
}

/// The next bytes of a file. One that becomes too short gives a body that is too short, which clients notice.
fn pieces(file: File, length: u64) -> AnswerBody {
    let pieces = stream::unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; most];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(count) => {
                piece.truncate(count);
                Some((Bytes::from(piece), (file, left - count as u64)))
            }
            Err(error) => {
                tracing::warn!("a file of the studio cannot be read: {error}");
                None
            }
        }
    });
    let frames = pieces.map(|piece| Ok::<_, std::convert::Infallible>(Frame::data(piece)));
    AnswerBody::Stream(BodyExt::boxed(StreamBody::new(frames)))
}

/// The reply to a request that starts a video.
pub(super) fn started(shown: &ShownVideo) -> Value {
    json!({ "video": shown })
}
