//! `doctor --test`: makes, saves, checks and deletes a small draft with the configured backend.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::{Finding, broken};
use crate::caller::Caller;
use crate::cli::samples;
use crate::compose::generated::Spending;
use crate::compose::plan::Plan;
use crate::compose::report::RunOutcome;
use crate::compose::source::Places;
use crate::compose::{RunStart, compose};
use crate::error::{Error, Result};
use crate::exec::{App, Backend, Context};
use crate::lint::{self, Severity, lint};
use crate::printable::counted;
use crate::styles::Styles;

const WHAT: &str = "test draft";

pub(super) async fn test(app: &Arc<App>) -> Finding {
    match made(app).await {
        Ok(finding) => finding,
        Err(error) => broken(WHAT, &error),
    }
}

async fn made(app: &Arc<App>) -> Result<Finding> {
    let data = app.settings.data_dir()?;
    let folder = std::fs::create_dir_all(data)
        .and_then(|()| tempfile::Builder::new().prefix("doctor-").tempdir_in(data))
        .map_err(|e| Error::invalid(format!("{} cannot be written", data.display())).source(e))?;
    let drafts = folder.path().join("drafts");
    samples::folder(&drafts)?;
    let mut plan = json!({
        "name": "capcut-mcp test",
        "texts": [{ "text": "Test", "start": 0, "end": 2 }],
        "save": { "draft_folder": drafts },
    });
    // The server may be on another machine, unable to read local files.
    if matches!(app.keeper(None).await?, Backend::Embedded(_)) {
        let picture = folder.path().join("picture.jpg");
        samples::write(&picture, samples::PICTURE.content)?;
        plan["visuals"] = json!([{ "image_url": picture, "duration": 2 }]);
    }
    let plan = Plan::from_value(
        &plan,
        &Places::default(),
        &BTreeMap::new(),
        None,
        &Styles::default(),
    )?;
    let taking = RunStart {
        checked: None,
        resume: None,
        spending: Spending::default(),
        known: &|_| {},
    };
    let report = compose(app, &plan, taking, &Context::of(&Caller::user())).await?;
    let checked = if report.outcome == RunOutcome::Complete {
        checked(report.folder.as_deref().map(Path::new), folder.path(), data)
    } else {
        let mut faults = report.faults();
        faults.extend(report.save_error);
        Err(Error::invalid(faults.join("; ")))
    };
    if let Some(draft) = &report.draft_id {
        app.journal.delete(draft).await?;
        app.forget(draft);
    }
    Ok(match checked {
        Ok(text) => Finding::ok(WHAT, text),
        Err(error) => broken(WHAT, &error),
    })
}

/// What the linter finds in the saved draft.
fn checked(folder: Option<&Path>, temporary: &Path, data: &Path) -> Result<String> {
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        return Ok("made and saved by the server; its folder cannot be read from this machine, so it was not checked".to_owned());
    };
    let problems = lint(folder, &lint::LintOptions::new(data, None))?;
    let errors: Vec<&str> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| problem.what.as_str())
        .collect();
    if errors.is_empty() {
        return Ok(if folder.starts_with(temporary) {
            "made, saved, checked and deleted".to_owned()
        } else {
            format!(
                "made, saved and checked; the server's folder {} was not removed",
                folder.display()
            )
        });
    }
    Err(Error::invalid(format!(
        "the saved draft has {}: {}",
        counted(errors.len(), "error"),
        errors.join("; ")
    )))
}
