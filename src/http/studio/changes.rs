//! What people do on the page: each is a call of a tool.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::answer::{self, Answer};
use super::super::is_json;
use super::{Studio, StudioVisit, json_text, page, videos};
use crate::caller::Caller;
use crate::journal::{DraftRow, ENGINE};

/// How long the page waits for a save, in seconds.
const SAVE_WAIT_S: f64 = 600.0;

/// Operations for a draft as the page read it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageEdit {
    records: u64,
    operations: Vec<Value>,
}

/// Steps of a draft as the page read it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageUndo {
    records: u64,
    steps: usize,
    #[serde(default)]
    redo: bool,
}

pub(super) async fn change(
    studio: &Arc<Studio>,
    visit: &StudioVisit,
    row: DraftRow,
    part: &str,
    body: &[u8],
) -> Answer {
    if part == "video" {
        return video(studio, visit, &row).await;
    }
    if !is_json(&visit.head.headers) {
        return answer::page(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let id = &row.id;
    let caller = visit.caller.clone();
    let reply = match part {
        "edit" => match serde_json::from_slice::<PageEdit>(body) {
            Ok(edit) => {
                let arguments = json!({ "draft_id": id, "operations": edit.operations });
                let caller = having_seen(caller, edit.records, &row);
                visit.call(studio, "edit_draft", arguments, caller).await
            }
            Err(_) => return answer::page(StatusCode::BAD_REQUEST),
        },
        "undo" => match serde_json::from_slice::<PageUndo>(body) {
            Ok(undo) => {
                let arguments = json!({ "draft_id": id, "steps": undo.steps, "redo": undo.redo });
                let caller = having_seen(caller, undo.records, &row);
                visit.call(studio, "undo_draft", arguments, caller).await
            }
            Err(_) => return answer::page(StatusCode::BAD_REQUEST),
        },
        "check" => {
            let arguments = json!({ "draft_id": id, "look": true });
            visit
                .call(studio, "validate_draft", arguments, caller)
                .await
        }
        "save" => {
            let arguments = json!({ "draft_id": id, "wait_s": SAVE_WAIT_S });
            visit.call(studio, "save_draft", arguments, caller).await
        }
        _ => return page::missing(super::Language::of(&visit.head)),
    };
    match reply {
        Ok(reply) => json_text(&visit.head, &reply),
        Err(answer) => *answer,
    }
}

/// The caller of a change, who read the draft when it had this many records. A server's draft is moved by its first edit,
/// and has other records then.
fn having_seen(caller: Caller, records: u64, row: &DraftRow) -> Caller {
    if row.origin == ENGINE {
        caller.having_seen(records)
    } else {
        caller
    }
}

/// Starts to make a video. Browsers without JavaScript send a form and get the page again.
async fn video(studio: &Arc<Studio>, visit: &StudioVisit, row: &DraftRow) -> Answer {
    let shown = match videos::make(studio, visit, row).await {
        Ok(shown) => shown,
        Err(answer) => return *answer,
    };
    let kind = visit.head.headers.get(CONTENT_TYPE);
    let is_form = kind.is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    if !is_form {
        return json_text(&visit.head, &videos::started(&shown));
    }
    let mut answer = answer::page(StatusCode::SEE_OTHER);
    let to = format!("/studio/draft/{}", row.id);
    if let Ok(to) = HeaderValue::try_from(to) {
        answer.headers_mut().insert(LOCATION, to);
    }
    answer
}
