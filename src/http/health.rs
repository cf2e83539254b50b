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
pub(crate) async fn health(app: &Arc<App>) -> (bool, Value) {
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

/// Whether calls can be run and recorded: the journal can be read, the data folder can be written, and the server that
/// makes the drafts answers. If drafts and files are kept in a bucket, that can be written, too.
pub(crate) async fn ready(app: &Arc<App>) -> (bool, Value) {
    let journal = match tokio::time::timeout(JOURNAL_ID, app.journal.id()).await {
        Ok(Ok(_)) => "ok".to_owned(),
        Ok(Err(error)) => error.cause().to_string(),
        Err(_) => format!("does not answer within {} s", JOURNAL_ID.as_secs()),
    };
    let folder = match app.settings.data_dir().map(std::path::Path::to_owned) {
        Ok(folder) => {
            let tried = tokio::task::spawn_blocking(move || probe(&folder)).await;
            match tried.map_err(std::io::Error::other).flatten() {
                Ok(()) => "ok".to_owned(),
                Err(error) => format!("cannot be written: {error}"),
            }
        }
        Err(error) => error.cause().to_string(),
    };
    let (serves, _) = health(app).await;
    let server = if serves {
        "ok"
    } else {
        "no CapCut API answers"
    };
    let mut works = serves && journal == "ok" && folder == "ok";
    let mut checks = json!({ "journal": journal, "data_folder": folder, "backend": server });
    if app.storage.is_bucket() {
        let storage = match app.storage.probe().await {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        works = works && storage == "ok";
        checks["storage"] = storage.into();
    }
    (works, json!({ "ready": works, "checks": checks }))
}

/// Writes a file and removes it.
fn probe(folder: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, b"ready?")?;
    file.as_file().sync_data()?;
    file.close()
}

/// What a caller without a token gets: orchestrators need the status, and people the names of what does not work.
pub(super) fn only_state(works: bool, checked: &Value) -> Value {
    if works {
        return json!({ "status": "ok" });
    }
    let checks = checked["checks"].as_object();
    let missing = checks
        .into_iter()
        .flatten()
        .filter(|(_, state)| *state != "ok");
    let missing: Vec<&String> = missing.map(|(name, _)| name).collect();
    if missing.is_empty() {
        json!({ "status": "unavailable" })
    } else {
        json!({ "status": "unavailable", "missing": missing })
    }
}
