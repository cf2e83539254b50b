//! `GET /health`: for orchestrators, and for other processes of ours, which recognise an engine by it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::backend::dialect;
use crate::exec::App;
use crate::local::health_check;
use crate::settings::BackendChoice;

/// The answer, and whether calls can be carried out. In front of a server it says which one that is and how it is.
pub(super) async fn health(app: &Arc<App>) -> (bool, Value) {
    let backend = app.settings.backend;
    let mut health = dialect::engine_health(app.engine.edition(), app.journal.path());
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
