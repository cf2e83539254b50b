//! `compose --dry-run`: an engine makes the plans in a temporary folder. This runs every check that a real run makes
//! before it saves, and leaves no files.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::text;
use crate::cli;
use crate::cli::shown::{Shown, Without};
use crate::compose::batch::BatchEntry;
use crate::compose::generated::{Spending, is_any};
use crate::compose::plan::Save;
use crate::compose::report::{ItemStatus, RunOutcome};
use crate::compose::{RunStart, check, compose, planned, template_run};
use crate::error::{Error, Kind};
use crate::exec::{App, Backend, Context};

/// Makes each plan and prints its timeline; exit code 1 if one of them cannot be made as written.
pub(super) async fn run(
    app: &Arc<App>,
    entries: Vec<BatchEntry>,
    context: &Context,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir()
        .map_err(|e| Error::internal("cannot create a temporary folder").source(e))?;
    let keeper = app.keeper(None).await?;
    let mut edition = app.settings.edition;
    if let Backend::Remote(server) = &keeper {
        edition = server.server(&app.journal).await?.edition;
    }
    let trial = App::new(app.settings.in_folder(folder.path(), edition))?;
    let shown = Shown::new(Without::of(as_json));
    let mut all = true;
    for BatchEntry {
        label,
        mut plan,
        wrong,
        ..
    } in entries
    {
        let made = match wrong {
            Some(error) => Err(error),
            // Only the real backend knows what its server cannot do.
            None => match check(app, &plan, None, &context.caller).await {
                Err(error) => Err(error),
                // The check filled it, and the trial does not have its draft.
                Ok(_) if plan.template.is_some() => Ok(template_run::checked(&plan)),
                Ok(checked) if is_any(&checked.items) => {
                    planned(app, &plan, checked.items, context).await
                }
                Ok(_) => {
                    plan.save = Some(Save::Whether(false));
                    let taking = RunStart {
                        checked: None,
                        resume: None,
                        spending: Spending::default(),
                        known: &|_| {},
                    };
                    let context = Context {
                        progress: Some(shown.progress()),
                        ..context.clone()
                    };
                    compose(&trial, &plan, taking, &context).await
                }
            },
        };
        shown.clear();
        match made {
            Ok(mut report) => {
                // Neither the draft nor the engine outlives this.
                report.draft_id = None;
                report.backend = Some(keeper.name().to_owned());
                let reason = |note: &String| !note.contains("--backend embedded");
                report.notes.retain(reason);
                if report.outcome == RunOutcome::Cancelled {
                    return Ok(ExitCode::from(Kind::Cancelled.exit_code()));
                }
                all &= report.items.iter().all(|row| row.status == ItemStatus::Ok);
                if as_json {
                    let event = json!({ "event": "dry_run", "plan": label, "report": report });
                    cli::print(&event.to_string())?;
                } else {
                    text::dry_run(&label, &report).print()?;
                }
            }
            Err(error) if error.kind == Kind::Cancelled => return Err(error.into()),
            Err(error) => {
                all = false;
                if as_json {
                    let text = error.to_string();
                    let event = json!({ "event": "dry_run", "plan": label, "error": text });
                    cli::print(&event.to_string())?;
                } else {
                    text::wrong(&label, &error).print()?;
                }
            }
        }
    }
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
