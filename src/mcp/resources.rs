//! Drafts to read, as `draft://ID`.

use std::sync::Arc;

use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};

use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::local;

const SCHEME: &str = "draft://";

/// As many drafts as a person looks through; older ones are still read by their id.
const LISTED: usize = 100;

/// The drafts that changed last.
pub(super) async fn list(app: &App) -> Result<Vec<Resource>> {
    let drafts = app.journal.list(false, LISTED, None).await?;
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
                .with_description(format!("{} calls, {saved}", draft.calls))
                .with_mime_type("application/json")
        })
        .collect())
}

pub(super) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("draft://{draft_id}", "draft")
            .with_title("Draft")
            .with_description("The whole document of a draft: canvas, tracks, segments, materials.")
            .with_mime_type("application/json"),
    ]
}

/// The document of a draft, wherever the draft lives.
pub(super) async fn read(
    app: &Arc<App>,
    uri: &str,
    context: &Context,
) -> Result<ReadResourceResult> {
    let id = uri.strip_prefix(SCHEME).ok_or_else(|| {
        Error::not_found(format!("there is no resource \"{uri}\""))
            .hint("drafts are `draft://DRAFT_ID`")
    })?;
    let script = local::script(app, id, context).await?;
    let contents = ResourceContents::text(script, uri).with_mime_type("application/json");
    Ok(ReadResourceResult::new(vec![contents]))
}
