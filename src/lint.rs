//! Finds problems in a draft folder on disk, written by any program, and fixes what can be fixed.
//!
//! [`lint`] finds problems, [`fix`] fixes them. Unknown parts of a draft are not checked and are kept unchanged,
//! and nothing is decrypted.

mod files;
mod fix;
mod folder;
mod markers;
mod materials;
mod media;
mod meta;
mod moved;
mod opening;
mod overview;
mod sniff;
#[cfg(test)]
mod tests;
mod timeline;
mod timelines;

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use capcut_draft::{Document, Fields, MaterialRef, RootRef, TimeRange};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::sorting;
use crate::units::{Edition, Micros, Range};
use folder::Folder;

pub(crate) use fix::{Fixed, fix};
pub(crate) use moved::MovedMedia;
pub(crate) use opening::open;
pub(crate) use overview::{DraftFolder, FolderState, entry, overview, state};

/// How severe a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The app handles it, or it is only untidy.
    Info,
    /// Something may look or sound different, or may be missing in some versions of the app.
    Warning,
    /// The draft does not open, or some of its content is lost.
    Error,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Problem {
    /// A short name for the kind of problem.
    pub code: &'static str,
    pub severity: Severity,
    /// The path in the document, such as `tracks[1].segments[0].material_id`, or the file.
    pub path: String,
    pub what: String,
    /// What to do about it.
    #[serde(rename = "way_out")] // the key that scripts know
    pub hint: String,
    /// Whether [`fix`] fixes it.
    pub fixable: bool,
}

/// Options in addition to the folder.
#[derive(Clone, Debug)]
pub(crate) struct LintOptions {
    /// The app that should open the draft; if not given, it is derived from the folder and the draft.
    pub edition: Option<Edition>,
    /// Where [`fix`] keeps the original files, outside of all drafts.
    pub backups: PathBuf,
    /// Where missing media are searched.
    pub media: Option<MovedMedia>,
}

impl LintOptions {
    /// Options with backups in the program's data folder.
    pub(crate) fn new(data_dir: &Path, edition: Option<Edition>) -> Self {
        Self {
            edition,
            backups: data_dir.join("backups"),
            media: None,
        }
    }
}

/// The problems of the draft in `folder`, the most severe first.
pub(crate) fn lint(folder: &Path, options: &LintOptions) -> Result<Vec<Problem>> {
    Ok(look(&Folder::open(folder)?, options))
}

/// The highest severity among `problems`.
pub(crate) fn worst(problems: &[Problem]) -> Option<Severity> {
    problems.iter().map(|problem| problem.severity).max()
}

fn look(folder: &Folder, options: &LintOptions) -> Vec<Problem> {
    let mut report = ProblemReport::default();
    if let Some(truth) = files::check(folder, &mut report) {
        let context = LintContext {
            folder,
            document: &truth.document,
            root: &truth.document.fields(RootRef),
            end: truth.end(),
            options,
        };
        markers::check(&context, &mut report);
        timelines::check(&context, &mut report);
        materials::check(&context, &mut report);
        timeline::check(&context, &mut report);
        let media = media::check(&context, &mut report);
        meta::check(&context, &media, &mut report);
    }
    let mut problems = report.problems;
    sorting::sort_by_key(&mut problems, |problem| Reverse(problem.severity));
    problems
}

/// The input of the checks.
struct LintContext<'a> {
    folder: &'a Folder,
    document: &'a Document,
    /// The members of the document.
    root: &'a Fields<'a, RootRef>,
    /// When the last clip ends, if that can be computed.
    end: Option<Micros>,
    options: &'a LintOptions,
}

impl<'a> LintContext<'a> {
    /// The materials of a list, with their index; those that are not objects are left out.
    fn materials(&self, list: &str) -> impl Iterator<Item = (usize, MaterialRef)> + use<'a> {
        let document = self.document;
        let all: Vec<_> = document.materials(list).collect();
        let all = all.into_iter().enumerate();
        all.filter(move |(_, material)| document.is_object(*material))
    }
}

fn range(range: TimeRange) -> Range {
    Range::new(Micros(range.start), Micros(range.duration))
}

/// Collects problems.
#[derive(Debug, Default)]
struct ProblemReport {
    problems: Vec<Problem>,
}

impl ProblemReport {
    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.problems.push(Problem {
            code,
            severity,
            path: path.into(),
            what: what.into(),
            hint: hint.into(),
            fixable: false,
        });
    }

    /// Like [`Self::add`], for problems that `lint --fix` fixes; `how` continues the sentence "`capcut-mcp lint
    /// --fix` …".
    fn fixable(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: impl Into<String>,
        what: impl Into<String>,
        how: &str,
    ) {
        let hint = format!("`capcut-mcp lint --fix` {how}");
        self.add(severity, code, path, what, hint);
        if let Some(problem) = self.problems.last_mut() {
            problem.fixable = true;
        }
    }
}
