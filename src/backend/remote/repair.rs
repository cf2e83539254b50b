//! Checks a server's saved draft as `lint` does, and fixes it: servers leave out things that the app needs.

use std::path::{Path, PathBuf};

use super::Remote;
use crate::error::Result;
use crate::lint::{self, LintOptions, Problem, Severity};
use crate::printable::counted;
use crate::units::Edition;

/// How many problems a note lists.
const NAMED: usize = 10;

impl Remote {
    /// Notes on what was found in a draft's folder and what was fixed. A folder that will be moved is only checked:
    /// its paths must be those of its final location.
    pub(super) async fn check_saved(
        &self,
        folder: PathBuf,
        edition: Edition,
        stays: bool,
    ) -> Vec<String> {
        let data_dir = self.data_dir.clone();
        let fixes = self.manifest.api.mend_saves && stays;
        let shown = folder.display().to_string();
        let judged = tokio::task::spawn_blocking(move || match data_dir {
            Some(data_dir) if fixes => repair(&folder, &LintOptions::new(&data_dir, Some(edition))),
            data_dir => {
                let options = LintOptions::new(&data_dir.unwrap_or_default(), Some(edition));
                let problems = lint::lint(&folder, &options)?;
                Ok(problem_list(&problems, "").into_iter().collect())
            }
        });
        match judged.await {
            Ok(Ok(mut notes)) => {
                if !stays && !notes.is_empty() {
                    notes.push(
                        "after you move the folder, run `capcut-mcp lint --fix` on it to fix what can be fixed"
                            .to_owned(),
                    );
                }
                notes
            }
            Ok(Err(error)) => vec![format!("{shown} was not checked: {error}")],
            Err(error) => vec![format!("{shown} was not checked: {error}")],
        }
    }
}

fn repair(folder: &Path, options: &LintOptions) -> Result<Vec<String>> {
    let fixed = lint::fix(folder, options)?;
    let mut notes = Vec::new();
    if !fixed.changed.is_empty() {
        let backup = fixed.backup.as_deref().map(Path::display);
        let backup = backup.map_or_else(String::new, |backup| {
            format!("; the server's original files are in {backup}")
        });
        notes.push(format!("fixed: {}{backup}", fixed.changed.join(", ")));
    }
    notes.extend(fixed.notes);
    notes.extend(problem_list(
        &fixed.left,
        " that cannot be fixed automatically",
    ));
    Ok(notes)
}

/// A note on the problems that affect what the user sees or hears.
fn problem_list(problems: &[Problem], which: &str) -> Option<String> {
    let seen: Vec<_> = problems
        .iter()
        .filter(|problem| problem.severity > Severity::Info)
        .collect();
    if seen.is_empty() {
        return None;
    }
    let more = seen.len().saturating_sub(NAMED);
    let mut lines: Vec<_> = seen
        .iter()
        .take(NAMED)
        .map(|problem| format!("{}: {} ({})", problem.path, problem.what, problem.hint))
        .collect();
    if more > 0 {
        lines.push(format!(
            "and {more} more: `capcut-mcp lint` lists all of them"
        ));
    }
    Some(format!(
        "{}{which}:\n- {}",
        counted(seen.len(), "problem"),
        lines.join("\n- ")
    ))
}
