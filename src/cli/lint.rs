//! `lint`: checks a draft folder and fixes what is safe to fix.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli;
use crate::lint::{self, Fixed, LintOptions, MovedMedia, Problem, Severity};
use crate::printable::counted;
use crate::settings::Settings;

/// Checks a draft folder made by any program. Exit codes: 0 = clean, 1 = warnings, 2 = errors.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  capcut-mcp lint ~/Movies/CapCut/User\\ Data/Projects/com.lveditor.draft/my-video
  capcut-mcp lint my-video --fix                fixes what is safe to fix, and keeps backups
  capcut-mcp lint my-video --fix --media ~/Movies    finds media that were moved there
  capcut-mcp lint my-video --edition jianying   checks that it opens in JianYing
  capcut-mcp lint my-video --json | jq '.problems[] | select(.severity == \"error\")'")]
pub(super) struct Lint {
    /// The draft's own folder.
    draft: PathBuf,
    /// Fixes what is safe to fix. Every file that changes is first copied to the data folder.
    #[arg(long)]
    fix: bool,
    /// Searches missing media below this folder, by name, and by size, length and kind.
    #[arg(long, value_name = "DIR")]
    media: Option<PathBuf>,
    /// Prints the problems as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Lint {
    /// `edition` is the app that the user named, if any.
    pub(super) fn run(
        self,
        settings: &Settings,
        edition: Option<crate::units::Edition>,
    ) -> anyhow::Result<ExitCode> {
        let mut options = LintOptions::new(settings.data_dir()?, edition);
        options.media = self.media.as_deref().map(MovedMedia::below).transpose()?;
        let (problems, fixed) = if self.fix {
            let fixed = lint::fix(&self.draft, &options)?;
            (fixed.left.clone(), Some(fixed))
        } else {
            (lint::lint(&self.draft, &options)?, None)
        };
        let text = if self.json {
            as_json(&problems, fixed.as_ref())
        } else {
            as_text(&problems, fixed.as_ref())
        };
        cli::print(&text)?;
        Ok(exit_code(&problems))
    }
}

fn exit_code(problems: &[Problem]) -> ExitCode {
    ExitCode::from(match lint::worst(problems) {
        None | Some(Severity::Info) => 0,
        Some(Severity::Warning) => 1,
        Some(Severity::Error) => 2,
    })
}

fn as_json(problems: &[Problem], fixed: Option<&Fixed>) -> String {
    let mut value = json!({ "problems": problems });
    if let Some(fixed) = fixed {
        value["changed"] = json!(fixed.changed);
        value["backup"] = json!(fixed.backup);
        value["notes"] = json!(fixed.notes);
    }
    cli::json_text(&value)
}

fn as_text(problems: &[Problem], fixed: Option<&Fixed>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    if let Some(fixed) = fixed {
        for file in &fixed.changed {
            let _ = writeln!(text, "fixed: {file}");
        }
        if let Some(backup) = &fixed.backup {
            let _ = writeln!(text, "backup: {}", backup.display());
        }
        for note in &fixed.notes {
            let _ = writeln!(text, "note: {note}");
        }
        if fixed.changed.is_empty() {
            text.push_str("nothing was fixed\n");
        }
    }
    for problem in problems {
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        let _ = writeln!(
            text,
            "{severity}: {}: {} [{}]",
            problem.path, problem.what, problem.code
        );
        let _ = writeln!(text, "    {}", problem.hint);
    }
    let count = |severity| {
        problems
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
    };
    let fixable = problems.iter().filter(|problem| problem.fixable).count();
    let _ = writeln!(
        text,
        "{}, {}, {}{}",
        counted(count(Severity::Error), "error"),
        counted(count(Severity::Warning), "warning"),
        counted(count(Severity::Info), "note"),
        match fixable {
            0 => String::new(),
            number => format!("; `--fix` fixes {number}"),
        }
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(severity: Severity, fixable: bool) -> Problem {
        Problem {
            code: "unsorted",
            severity,
            path: "tracks[0].segments".to_owned(),
            what: "the segments are not in order".to_owned(),
            hint: "sort them".to_owned(),
            fixable,
        }
    }

    #[test]
    fn the_exit_code_reflects_the_worst_severity() {
        let code = |severity| format!("{:?}", exit_code(&[problem(severity, false)]));
        let expected = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(format!("{:?}", exit_code(&[])), expected(0));
        assert_eq!(code(Severity::Info), expected(0));
        assert_eq!(code(Severity::Warning), expected(1));
        assert_eq!(code(Severity::Error), expected(2));
    }

    #[test]
    fn each_problem_is_shown_with_its_location_and_advice() {
        let problems = [
            problem(Severity::Error, false),
            problem(Severity::Warning, true),
        ];
        let text = as_text(&problems, None);
        assert!(text.starts_with(
            "error: tracks[0].segments: the segments are not in order [unsorted]\n    sort them\n"
        ));
        assert!(
            text.ends_with("1 error, 1 warning, 0 notes; `--fix` fixes 1\n"),
            "{text}"
        );
    }
}
