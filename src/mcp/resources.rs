//! Resources: drafts as `draft://ID`, and the schema of plans.

use std::sync::Arc;

use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};

use crate::compose::schema as plan_schema;
use crate::error::{Error, Result};
use crate::exec::drafts::script;
use crate::exec::{App, Context};
use crate::printable::counted;

const SCHEME: &str = "draft://";

/// The address of a draft, as clients fill it in.
pub(super) const DRAFT_TEMPLATE: &str = "draft://{draft_id}";

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
        .map(|draft| {
            let name = if draft.name.is_empty() {
                draft.id.to_string()
            } else {
                draft.name
            };
            let saved = draft.saved_to.map_or("not saved".to_owned(), |folder| {
                format!("saved to {folder}")
            });
            Resource::new(format!("{SCHEME}{}", draft.id), name)
                .with_description(format!(
                    "{}, {saved}",
                    counted(draft.calls as usize, "call")
                ))
                .with_mime_type("application/json")
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
    ]
}

/// The document of a draft on any backend.
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
    let id = uri.strip_prefix(SCHEME).ok_or_else(|| {
        Error::not_found(format!("there is no resource \"{uri}\""))
            .hint("drafts are `draft://DRAFT_ID`, the schema of plans is `schema://plan`")
    })?;
    let script = script(app, id, context).await?;
    let contents = ResourceContents::text(script, uri).with_mime_type("application/json");
    Ok(ReadResourceResult::new(vec![contents]))
}
