//! The page of a draft, and the data that it shows.

use capcut_draft::{InspectFilter, Summary, TrackRow};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::super::answer::Answer;
use super::page::{HTML, escaped, filled};
use super::texts::Language;
use super::{Studio, StudioVisit, drafts, json_text, text, videos};
use crate::engine::documents::{HistoryStep, document_error};
use crate::error::Result;
use crate::exec::Context;
use crate::exec::drafts::{NamedDraft, document_of};
use crate::journal::{DraftRow, ENGINE};

const PAGE: &str = include_str!("page/draft.html");
/// The most steps of the history that a page lists.
const STEPS: usize = 500;

/// The page, with a player and pictures for browsers without JavaScript.
pub(super) async fn page(
    studio: &Studio,
    visit: &StudioVisit,
    row: &DraftRow,
    language: Language,
) -> Answer {
    let id = escaped(row.id.as_str()).into_owned();
    let name = escaped(drafts::name(row)).into_owned();
    let words = language.in_page();
    let player = match videos::shown(studio, visit, row).await {
        Ok(video) if video.is_there => format!(
            "<video controls preload=\"metadata\" src=\"/studio/draft/{id}/video?v={}\"></video>",
            escaped(&video.version)
        ),
        _ if visit.may_change() => format!(
            "<form method=\"post\" action=\"/studio/draft/{id}/video\"><button>{}</button></form>",
            escaped(language.word("make_video"))
        ),
        _ => String::new(),
    };
    let sign_out = drafts::sign_out(visit, language);
    let rights = if visit.may_change() { "all" } else { "read" };
    let values = [
        ("id", id.as_str()),
        ("name", &name),
        ("words", &words),
        ("player", &player),
        ("rights", rights),
        ("sign_out", &sign_out),
    ];
    let page = filled(PAGE, language, &values);
    text(&visit.head, StatusCode::OK, HTML, page.into_bytes())
}

/// Everything that the page shows of a draft.
pub(super) async fn data(studio: &Studio, visit: &StudioVisit, row: &DraftRow) -> Answer {
    if let Some(refused) = visit.refused("inspect_draft", true) {
        return refused;
    }
    match collected(studio, visit, row).await {
        Ok(data) => json_text(&visit.head, &data),
        Err(error) => visit.failed(&error),
    }
}

/// Identifies the state of a draft.
pub(super) async fn records(visit: &StudioVisit, row: &DraftRow) -> Result<u64> {
    if row.origin == ENGINE {
        visit.app.engine.records(&row.id).await
    } else {
        Ok(row.calls)
    }
}

async fn collected(studio: &Studio, visit: &StudioVisit, row: &DraftRow) -> Result<Value> {
    // Before the rest: what changes meanwhile is noticed by the next event.
    let records = records(visit, row).await?;
    let (summary, tracks) = rows(visit, row).await?;
    let (steps, standing) = if row.origin == ENGINE {
        history(visit, row).await?
    } else {
        (Vec::new(), 0)
    };
    let video = videos::shown(studio, visit, row).await?;
    Ok(json!({
        "id": row.id,
        "name": drafts::name(row),
        "records": records,
        "calls": row.calls,
        "modified_ms": row.modified_ms,
        "saved_to": row.saved_to,
        "summary": summary,
        "tracks": tracks,
        "history": steps,
        "standing": standing,
        "video": video,
    }))
}

async fn rows(visit: &StudioVisit, row: &DraftRow) -> Result<(Summary, Vec<TrackRow>)> {
    let filter = InspectFilter::default();
    let (summary, tracks) = if row.origin == ENGINE {
        let look =
            |document: &capcut_draft::Document| (document.summary(), document.inspect(&filter));
        visit.app.engine.inspect(&row.id, look).await?
    } else {
        let named = NamedDraft::Known(row.id.clone());
        let context = Context::of(&visit.caller);
        let (document, _) = document_of(&visit.app, &named, &context).await?;
        (document.summary(), document.inspect(&filter))
    };
    Ok((summary, tracks.map_err(document_error)?))
}

/// The steps, the last one first, each with how to come back to it; and how many stand.
async fn history(visit: &StudioVisit, row: &DraftRow) -> Result<(Vec<Value>, usize)> {
    let history = visit.app.engine.history(&row.id).await?;
    let steps = history.steps();
    let step = |step: &HistoryStep| {
        let mut value = json!(step);
        if let Some(distance) = history.distance(step.sequence) {
            value["distance"] = json!(distance);
        }
        value
    };
    let steps = steps.iter().rev().take(STEPS).map(step).collect();
    Ok((steps, history.standing()))
}
