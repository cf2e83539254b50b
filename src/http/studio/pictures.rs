//! Pictures of a draft, and the files that can be downloaded. Every file is one of this list; no path comes from a request.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use serde_json::{Value, json};

use super::super::answer::{self, Answer};
use super::{Studio, StudioVisit, drafts, page, text, videos};
use crate::delivery::archive::pack_folder;
use crate::error::{Error, Kind, Result};
use crate::exec::Context;
use crate::exec::drafts::script;
use crate::journal::DraftRow;
use crate::storage::{attachment, blocking};
use crate::units::Edition;

/// The longer side of a cover in pixels.
const COVER: u32 = 480;
/// Frames of the sheet for browsers without JavaScript.
const SHEET: u32 = 9;
/// The longest part of a draft's name in the name of a file, in characters.
const NAME: usize = 80;

const JPEG: &str = "image/jpeg";
const PNG: &str = "image/png";
const SVG: &str = "image/svg+xml";

/// What is shown in place of a cover that cannot be made, such as that of an empty draft.
const NO_COVER: &str = include_str!("page/no-cover.svg");

/// The picture in the file that a tool made.
async fn made(visit: &StudioVisit, tool: &str, arguments: Value, field: &str) -> Result<Vec<u8>> {
    let reply = visit.read(tool, arguments).await?;
    let path = reply[field].as_str();
    let path = path.ok_or_else(|| Error::internal("the tool made no picture"))?;
    tokio::fs::read(path)
        .await
        .map_err(|error| Error::internal("the picture cannot be read").source(error))
}

/// A picture. One whose address has the version of the draft never changes.
fn picture(visit: &StudioVisit, content_type: &'static str, bytes: Vec<u8>) -> Answer {
    let mut answer = answer::typed(StatusCode::OK, content_type, bytes.into());
    if visit.parameter("v").is_some() {
        let age = HeaderValue::from_static("private, max-age=604800, immutable");
        answer.headers_mut().insert(CACHE_CONTROL, age);
    }
    answer
}

/// A small picture of the middle of the draft.
pub(super) async fn cover(visit: &StudioVisit, row: &DraftRow) -> Result<Answer> {
    let arguments =
        |pixels: Option<u32>| json!({ "draft_id": row.id, "count": 1, "pixels": pixels });
    let mut cover = made(visit, "preview_frame", arguments(Some(COVER)), "image").await;
    // A canvas may be smaller.
    if matches!(&cover, Err(error) if error.kind == Kind::InvalidArgument) {
        cover = made(visit, "preview_frame", arguments(None), "image").await;
    }
    Ok(match cover {
        Ok(bytes) => picture(visit, JPEG, bytes),
        Err(error) => {
            tracing::debug!("draft {} has no cover: {}", row.id, error.cause());
            picture(visit, SVG, NO_COVER.into())
        }
    })
}

fn number(visit: &StudioVisit, name: &str) -> Result<Option<f64>> {
    let Some(text) = visit.parameter(name) else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(Error::invalid(format!(
            "`{name}` is {text:?}, which is not a number"
        ))),
    }
}

/// The composed picture at a time: `at`, seconds.
pub(super) async fn frame(visit: &StudioVisit, row: &DraftRow) -> Result<Answer> {
    let at = number(visit, "at")?.unwrap_or(0.0);
    let pixels = number(visit, "pixels")?;
    let arguments = json!({ "draft_id": row.id, "at": at, "pixels": pixels.map(|it| it as u32) });
    let bytes = made(visit, "preview_frame", arguments, "image").await?;
    Ok(picture(visit, JPEG, bytes))
}

/// Several frames in one picture.
pub(super) async fn sheet(visit: &StudioVisit, row: &DraftRow) -> Result<Answer> {
    let arguments = json!({ "draft_id": row.id, "count": SHEET });
    Ok(
        match made(visit, "preview_frame", arguments, "image").await {
            Ok(bytes) => picture(visit, JPEG, bytes),
            Err(error) => {
                tracing::debug!("draft {} has no pictures: {}", row.id, error.cause());
                picture(visit, SVG, NO_COVER.into())
            }
        },
    )
}

/// The timeline as a picture.
pub(super) async fn timeline(visit: &StudioVisit, row: &DraftRow) -> Result<Answer> {
    let bytes = made(visit, "preview_draft", json!({ "draft_id": row.id }), "svg").await?;
    Ok(text(&visit.head, StatusCode::OK, SVG, bytes))
}

/// A file that a person downloads.
pub(super) async fn download(
    studio: &Studio,
    visit: &StudioVisit,
    row: &DraftRow,
    name: &str,
) -> Answer {
    match name {
        "subtitles.srt" => subtitles(studio, visit, row, "srt").await,
        "subtitles.vtt" => subtitles(studio, visit, row, "vtt").await,
        "timeline.svg" | "timeline.png" | "frame.png" => {
            studio.picture(visit, image(visit, row, name)).await
        }
        "draft.json" => or_failed(visit, document(visit, row).await),
        "draft.zip" => match visit.refused("drafts", true) {
            Some(refused) => refused,
            None => or_failed(visit, archive(visit, row).await),
        },
        "preview.mp4" => {
            let name = file_name(row, "mp4");
            or_failed(visit, videos::download(visit, row, &name).await)
        }
        _ => page::missing(super::Language::of(&visit.head)),
    }
}

fn or_failed(visit: &StudioVisit, made: Result<Answer>) -> Answer {
    made.unwrap_or_else(|error| visit.failed(&error))
}

/// A name for a file of the draft that every system can store.
fn file_name(row: &DraftRow, ending: &str) -> String {
    let plain = |c: char| {
        if c.is_control() || "/\\:*?\"<>|".contains(c) {
            '_'
        } else {
            c
        }
    };
    let name: String = drafts::name(row)
        .trim()
        .chars()
        .map(plain)
        .take(NAME)
        .collect();
    format!("{}.{ending}", name.trim_start_matches('.'))
}

fn named(mut answer: Answer, row: &DraftRow, ending: &str) -> Answer {
    if let Ok(value) = HeaderValue::try_from(attachment(&file_name(row, ending))) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    answer
}

async fn subtitles(studio: &Studio, visit: &StudioVisit, row: &DraftRow, format: &str) -> Answer {
    let arguments = json!({ "draft_id": row.id, "format": format });
    let caller = visit.caller.clone();
    match visit
        .call(studio, "export_subtitles", arguments, caller)
        .await
    {
        Ok(reply) => {
            let text = reply["text"].as_str().unwrap_or_default().to_owned();
            let kind = if format == "vtt" {
                "text/vtt; charset=utf-8"
            } else {
                "application/x-subrip"
            };
            named(
                answer::typed(StatusCode::OK, kind, text.into()),
                row,
                format,
            )
        }
        Err(answer) => *answer,
    }
}

async fn image(visit: &StudioVisit, row: &DraftRow, name: &str) -> Result<Answer> {
    let id = &row.id;
    let (bytes, content_type, ending) = match name {
        "frame.png" => {
            let at = number(visit, "at")?.unwrap_or(0.0);
            let arguments = json!({ "draft_id": id, "at": at, "format": "png" });
            (
                made(visit, "preview_frame", arguments, "image").await?,
                PNG,
                "png",
            )
        }
        "timeline.png" => (
            made(visit, "preview_draft", json!({ "draft_id": id }), "png").await?,
            PNG,
            "png",
        ),
        _ => (
            made(visit, "preview_draft", json!({ "draft_id": id }), "svg").await?,
            SVG,
            "svg",
        ),
    };
    Ok(named(
        answer::typed(StatusCode::OK, content_type, bytes.into()),
        row,
        ending,
    ))
}

/// The document of the draft.
async fn document(visit: &StudioVisit, row: &DraftRow) -> Result<Answer> {
    let context = Context::of(&visit.caller);
    let document = script(&visit.app, row.id.as_str(), &context).await?;
    let answer = text(
        &visit.head,
        StatusCode::OK,
        "application/json",
        document.into_bytes(),
    );
    Ok(named(answer, row, "json"))
}

/// The folder that the draft was saved to, as a zip file for any computer.
async fn archive(visit: &StudioVisit, row: &DraftRow) -> Result<Answer> {
    let Some(folder) = row.saved_to.clone() else {
        return Err(Error::conflict("the draft is not saved yet").hint("save it first"));
    };
    let edition: Edition = row.edition.parse().unwrap_or(visit.app.engine.edition());
    let (id, scratch) = (
        row.id.to_string(),
        visit.app.settings.data_dir()?.to_owned(),
    );
    let packed = blocking(move || {
        let unusable =
            |error| Error::internal("the zip file of the draft cannot be written").source(error);
        let file = tempfile::NamedTempFile::new_in(&scratch).map_err(unusable)?;
        pack_folder(std::path::Path::new(&folder), &id, edition, file.as_file())?;
        Ok(file.into_temp_path())
    })
    .await?;
    // The file stays open until it is sent.
    videos::sent(
        &visit.head,
        &packed,
        "application/zip",
        Some(&file_name(row, "zip")),
    )
    .await
}
