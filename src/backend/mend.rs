//! A saved draft of a server, checked as `lint` does and mended: what servers leave out the app takes amiss.

use std::path::{Path, PathBuf};

use super::remote::Remote;
use crate::error::Result;
use crate::lint::{self, Options, Problem, Severity};
use crate::printable::counted;
use crate::units::Edition;

/// How many problems are told one by one.
const NAMED: usize = 10;

impl Remote {
    /// What was found in a draft's folder and what was done about it. One that does not stay where it is is only
    /// looked at: the right paths are those of the place where it will be.
    pub(super) async fn judge(
        &self,
        folder: PathBuf,
        edition: Edition,
        stays: bool,
    ) -> Vec<String> {
        let data_dir = self.data_dir.clone();
        let mends = self.manifest.api.mend_saves && stays;
        let shown = folder.display().to_string();
        let judged = tokio::task::spawn_blocking(move || match data_dir {
            Some(data_dir) if mends => mend(&folder, &Options::new(&data_dir, Some(edition))),
            data_dir => {
                let options = Options::new(&data_dir.unwrap_or_default(), Some(edition));
                let problems = lint::lint(&folder, &options)?;
                Ok(told(&problems, "").into_iter().collect())
            }
        });
        match judged.await {
            Ok(Ok(mut notes)) => {
                if !stays && !notes.is_empty() {
                    notes.push(
                        "`capcut-mcp lint --fix` mends what it can, once the folder is in its place"
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

fn mend(folder: &Path, options: &Options) -> Result<Vec<String>> {
    let fixed = lint::fix(folder, options)?;
    let mut notes = Vec::new();
    if !fixed.changed.is_empty() {
        let backup = fixed.backup.as_deref().map(Path::display);
        let backup = backup.map_or_else(String::new, |backup| {
            format!("; the files as the server wrote them are in {backup}")
        });
        notes.push(format!("mended: {}{backup}", fixed.changed.join(", ")));
    }
    notes.extend(fixed.notes);
    notes.extend(told(&fixed.left, " that cannot be mended"));
    Ok(notes)
}

/// The problems that somebody sees or hears.
fn told(problems: &[Problem], which: &str) -> Option<String> {
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
        .map(|problem| format!("{}: {} ({})", problem.path, problem.what, problem.way_out))
        .collect();
    if more > 0 {
        lines.push(format!("and {more} more: `capcut-mcp lint` tells them all"));
    }
    Some(format!(
        "{}{which}:\n- {}",
        counted(seen.len(), "problem"),
        lines.join("\n- ")
    ))
}
