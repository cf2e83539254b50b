//! The view of MCP Apps: a page that hosts show in the conversation for tools that show a draft. It draws the timeline and frames, and asks
//! for further frames with `preview_frame`.
//!
//! Specification: MCP Apps 2026-01-26, the extension `io.modelcontextprotocol/ui`. Clients that do not announce it get the same tools and
//! results without a view.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{
    ExtensionCapabilities, MetaObject, ReadResourceResult, Resource, ResourceContents, Tool,
};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use crate::args::to_value;
use crate::error::{Error, Result};
use crate::exec::drafts::{any, document_of};
use crate::exec::{App, Context};
use crate::picture::outline::outline;
use crate::tools::Object;

const EXTENSION: &str = "io.modelcontextprotocol/ui";
const MIME_TYPE: &str = "text/html;profile=mcp-app";
/// The address of the page.
pub(super) const URI: &str = "ui://capcut-mcp/preview.html";
const PAGE: &str = include_str!("view/preview.html");
/// The key of the timeline in the metadata of a result, which the page reads and models do not get.
const TIMELINE: &str = "capcut-mcp/timeline";
/// The tools that the page calls.
pub(super) const CALLED: [&str; 2] = ["preview_frame", "job_status"];

/// What the server announces.
pub(super) fn capability() -> ExtensionCapabilities {
    let settings = object(json!({ "mimeTypes": [MIME_TYPE] }));
    ExtensionCapabilities::from_iter([(EXTENSION.to_owned(), settings)])
}

/// Whether the client of a request shows views.
pub(super) fn is_shown(context: &RequestContext<RoleServer>) -> bool {
    let announced = context.client_capabilities();
    let extensions = announced.and_then(|announced| announced.extensions);
    let Some(settings) = extensions.as_ref().and_then(|all| all.get(EXTENSION)) else {
        return false;
    };
    match settings.get("mimeTypes") {
        // The specification requires the list, but the extension is announced.
        None => true,
        Some(types) => types
            .as_array()
            .is_some_and(|types| types.iter().any(|one| one == MIME_TYPE)),
    }
}

/// The tool with the view in which hosts show its results.
pub(super) fn with_view(tool: Tool) -> Tool {
    tool.with_meta(meta(json!({ "resourceUri": URI })))
}

/// The tool for calls of the page only: hosts do not show it to the model.
pub(super) fn for_page(tool: Tool) -> Tool {
    tool.with_meta(meta(json!({ "visibility": ["app"] })))
}

/// The page in the list of resources.
pub(super) fn resource() -> Resource {
    Resource::new(URI, "preview")
        .with_title("Draft preview")
        .with_description("The timeline and frames of a draft, for hosts that show MCP Apps.")
        .with_mime_type(MIME_TYPE)
        .with_meta(of_page())
}

/// The page.
pub(super) fn read() -> ReadResourceResult {
    let page = ResourceContents::text(PAGE, URI).with_mime_type(MIME_TYPE);
    ReadResourceResult::new(vec![page.with_meta(of_page())])
}

/// The page asks nothing of other servers and needs no permission.
fn of_page() -> MetaObject {
    meta(json!({ "csp": {}, "permissions": {}, "prefersBorder": true }))
}

/// The draft that a reply names.
pub(super) fn draft_of(reply: &Value) -> Option<&str> {
    reply["draft_id"].as_str().or(reply["draft"].as_str())
}

/// The metadata of a result: the timeline of its draft. If the draft cannot be read now, the page asks for it later.
pub(super) async fn timeline(app: &Arc<App>, draft: &str, context: &Context) -> Option<MetaObject> {
    let made = async {
        let draft = any(app, &context.caller, draft).await?;
        let (document, _) = document_of(app, &draft, context).await?;
        let made = tokio::task::spawn_blocking(move || to_value(&outline(&document)));
        made.await
            .map_err(|error| Error::internal("the timeline could not be read").source(error))?
    };
    let made: Result<Value> = made.await;
    let timeline = made
        .inspect_err(|error| tracing::debug!(%error, "no timeline for the view"))
        .ok()?;
    Some(MetaObject(Object::from_iter([(
        TIMELINE.to_owned(),
        timeline,
    )])))
}

fn meta(settings: Value) -> MetaObject {
    MetaObject(Object::from_iter([("ui".to_owned(), settings)]))
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}
