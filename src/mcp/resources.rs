//! Resources: documents of drafts as `draft://ID`, their clips as `draft://ID/clips`, the schema of plans, and the page of the view.

use std::sync::Arc;

use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};

use super::view;
use crate::compose::schema as plan_schema;
use crate::error::{Error, Result};
use crate::exec::drafts::{NamedDraft, document_of, script};
use crate::exec::{App, Context};
use crate::local::rows::whole_text;
use crate::printable::counted;

const SCHEME: &str = "draft://";

/// The address of a draft, as clients fill it in.
pub(super) const DRAFT_TEMPLATE: &str = "draft://{draft_id}";

/// The address of its tracks and clips.
pub(super) const CLIPS_TEMPLATE: &str = "draft://{draft_id}/clips";

/// The end of the address of a draft's tracks and clips.
const CLIPS: &str = "/clips";

/// The schema with every key of a plan; the tool schemas show only the common ones.
const PLAN_SCHEMA: &str = "schema://plan";

/// The number of drafts that are listed; older ones can still be read by their id.
const LISTED: usize = 100;

/// The drafts that changed last.
pub(super) async fn list(app: &App) -> Result<Vec<Resource>> {
    let drafts = app.journal.list(false, LISTED, None).await?;
    let plan = Resource::new(PLAN_SCHEMA, "plan schema")
        .with_description(
            "JSON Schema of a plan for `compose_draft`, with every key of every item.",
        )
        .with_mime_type("application/schema+json");
    Ok(drafts
        .into_iter()
        .flat_map(|draft| {
            let name = if draft.name.is_empty() {
                draft.id.to_string()
            } else {
                draft.name
            };
            let saved = draft.saved_to.map_or("not saved".to_owned(), |folder| {
                format!("saved to {folder}")
            });
            let clips = Resource::new(
                format!("{SCHEME}{}{CLIPS}", draft.id),
                format!("{name}: clips"),
            )
            .with_description("Tracks and clips, as `inspect_draft` lists them.")
            .with_mime_type("text/plain");
            let document = Resource::new(format!("{SCHEME}{}", draft.id), name)
                .with_description(format!(
                    "{}, {saved}",
                    counted(draft.calls as usize, "call")
                ))
                .with_mime_type("application/json");
            [document, clips]
        })
        .chain(std::iter::once(plan))
        .collect())
}

pub(super) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(DRAFT_TEMPLATE, "draft")
            .with_title("Draft")
            .with_description("The whole document of a draft: canvas, tracks, segments, materials.")
            .with_mime_type("application/json"),
        ResourceTemplate::new(CLIPS_TEMPLATE, "clips")
            .with_title("Clips of a draft")
            .with_description(
                "The tracks and clips of a draft as lines, with the ids for `edit_draft`.",
            )
            .with_mime_type("text/plain"),
    ]
}

/// The document of a draft on any backend, or its tracks and clips.
pub(super) async fn read(
    app: &Arc<App>,
    uri: &str,
    context: &Context,
) -> Result<ReadResourceResult> {
    if uri == PLAN_SCHEMA {
        let contents = ResourceContents::text(plan_schema::schema().to_string(), uri);
        let contents = contents.with_mime_type("application/schema+json");
        return Ok(ReadResourceResult::new(vec![contents]));
    }
    if uri == view::URI {
        return Ok(view::read());
    }
    let id = uri.strip_prefix(SCHEME).ok_or_else(|| {
        Error::not_found(format!("there is no resource \"{uri}\""))
            .hint("drafts are `draft://DRAFT_ID`, their clips are `draft://DRAFT_ID/clips`, the schema of plans is `schema://plan`")
    })?;
    if let Some(id) = id.strip_suffix(CLIPS) {
        let id = app.named_draft(id, &context.caller).await?;
        let (document, folder) = document_of(app, &NamedDraft::Known(id), context).await?;
        let text = whole_text(&document, folder.as_deref())?;
        let contents = ResourceContents::text(text, uri).with_mime_type("text/plain");
        return Ok(ReadResourceResult::new(vec![contents]));
    }
    let script = script(app, id, context).await?;
    let contents = ResourceContents::text(script, uri).with_mime_type("application/json");
    Ok(ReadResourceResult::new(vec![contents]))
}
