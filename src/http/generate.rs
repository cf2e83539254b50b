//! `POST /api/v1/generate-video`: the tool `generate_video` under the path and in the words that public guides use. The
//! answer has the fields of the video itself, without the envelope of the API.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use crate::args::Object;
use crate::caller::{Caller, Manner};
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::local;

/// How long an answer waits for the video if the request does not say, in seconds; after that it has a `job_id`.
const WAIT_S: f64 = 3000.0;

/// Makes a video, or says how far one is: `{"job_id": …}`.
pub(super) async fn answer(
    app: &Arc<App>,
    arguments: Object,
    caller: &Caller,
) -> (Answer, Option<Error>) {
    match made(app, arguments, &caller.in_manner(Manner::Strict)).await {
        Ok(video) => (answer::json(StatusCode::OK, video), None),
        Err(error) => {
            let status = match error.kind {
                Kind::InvalidArgument => StatusCode::BAD_REQUEST,
                Kind::NotFound => StatusCode::NOT_FOUND,
                Kind::Conflict => StatusCode::CONFLICT,
                Kind::Media => StatusCode::UNPROCESSABLE_ENTITY,
                Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            let text = error.for_client();
            let body = json!({
                "status": "error", "error": text, "message": text, "kind": error.kind.name(),
                "draft_id": null, "video_url": null, "download_url": null, "duration": null,
            });
            (answer::json(status, body), Some(error))
        }
    }
}

async fn made(app: &Arc<App>, mut arguments: Object, caller: &Caller) -> Result<Value> {
    let name = if arguments.contains_key("job_id") {
        "job_status"
    } else {
        arguments.entry("wait_s").or_insert_with(|| WAIT_S.into());
        "generate_video"
    };
    let tool = local::find(name).ok_or_else(|| Error::internal(format!("no tool `{name}`")))?;
    let call = local::decode(tool, arguments, caller)?;
    let mut reply = call.answer(app, Context::of(caller)).await?;
    let job = reply["job_id"].take();
    let ended = reply["status"].as_str().unwrap_or_default().to_owned();
    let message = match (ended.as_str(), job.as_str()) {
        ("running", Some(job)) => {
            json!(format!(
                "it is being made; send {{\"job_id\": \"{job}\"}} to this address for its state"
            ))
        }
        _ => reply["message"].take(),
    };
    match reply["report"].take() {
        Value::Object(mut video) if video.contains_key("draft_id") => {
            video.shift_remove("video_file");
            video.insert("job_id".to_owned(), job);
            Ok(Value::Object(video))
        }
        report => Ok(json!({
            "status": ended, "job_id": job, "message": message, "draft_id": reply["draft_id"],
            "duration": null, "video_url": null, "download_url": null, "report": report,
        })),
    }
}
