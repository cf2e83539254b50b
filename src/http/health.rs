//! `GET /health`: for orchestrators, and for other capcut-mcp processes, which recognise an engine by the answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backend::dialect;
use crate::exec::App;
use crate::local::health_check;
use crate::settings::BackendChoice;

/// How long the answer waits for the journal's id; after that, the id is left out.
const JOURNAL_ID: Duration = Duration::from_secs(1);

/// The answer, and whether calls can be run. In front of a server, the answer also names that server and its
/// state.
pub(super) async fn health(app: &Arc<App>) -> (bool, Value) {
    let backend = app.settings.backend;
    let id = tokio::time::timeout(JOURNAL_ID, app.journal.id()).await;
    let id = id.ok().and_then(Result::ok);
    let mut health = dialect::engine_health(app.engine.edition(), id.as_deref());
    if backend == BackendChoice::Embedded {
        return (true, health);
    }
    let servers = health_check::servers(app).await;
    let first = servers.iter().find(|server| server.server.is_some());
    let works = backend == BackendChoice::Auto || first.is_some();
    health["backend"] = json!(backend.name());
    if let Some(edition) = first.and_then(|server| server.edition) {
        health["edition"] = json!(edition);
    }
    if !works {
        health["status"] = json!("unavailable");
    }
    health["servers"] = json!(servers);
    (works, health)
}
