//! Everything that is wrong with a draft folder on disk, whoever wrote it.
//!
//! [`lint`] reads and judges, [`super::mend`] mends. Both work on plain JSON values, so that
//! what a newer app adds is neither misjudged nor lost. Nothing is ever decrypted.

pub(crate) mod bin;
pub(crate) mod document;
pub(crate) mod folder;

use std::path::Path;

use serde::Serialize;

use crate::error::Result;
use folder::{Folder, State};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The app works around it, or it is only untidy.
    Info,
    /// Something may look or sound different, or be missing in some versions.
    Warning,
    /// The draft does not open or is not listed, or something in it is lost.
    Error,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// A short name for the kind of problem.
    pub code: &'static str,
    /// The file, and the place in it.
    pub path: String,
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub way_out: String,
    /// [`super::mend::fix`] mends it.
    pub fixable: bool,
}

/// Problems while they are found.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub Vec<Problem>);

impl Problems {
    pub fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: impl Into<String>,
        what: impl Into<String>,
        way_out: impl Into<String>,
    ) {
        self.0.push(Problem {
            code,
            path: path.into(),
            severity,
            what: what.into(),
            way_out: way_out.into(),
            fixable: false,
        });
    }

    /// Like [`Self::add`], for what `lint --fix` mends by `how`.
    pub fn fixable(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: impl Into<String>,
        what: impl Into<String>,
        how: &str,
    ) {
        self.add(
            severity,
            code,
            path,
            what,
            format!("`capcut-mcp lint --fix` {how}"),
        );
        if let Some(problem) = self.0.last_mut() {
            problem.fixable = true;
        }
    }
}

/// The problems of the draft in `folder`, the worst first.
pub(crate) fn lint(folder: &Path) -> Result<Vec<Problem>> {
    let folder = Folder::read(folder)?;
    let mut problems = Problems::default();
    files(&folder, &mut problems);
    if let Some(document) = folder.document() {
        document::check(&folder.canonical, document, &mut problems);
        bin::check(&folder, document, &mut problems);
    }
    let mut problems = problems.0;
    problems.sort_by(|a, b| b.severity.cmp(&a.severity));
    Ok(problems)
}

/// The files of the folder: which are there, readable, and alike.
fn files(folder: &Folder, problems: &mut Problems) {
    for (name, state) in &folder.files {
        match state {
            State::Encrypted => problems.add(
                Severity::Error,
                "encrypted",
                name,
                "is encrypted: JianYing since 6.0 saves drafts so that only the app can read them",
                "edit it in the app; a draft that was written here can be saved again from here under another name",
            ),
            State::Broken(why) => problems.add(
                Severity::Error,
                "unreadable",
                name,
                format!("is no JSON: {why}"),
                "restore the copy that the app keeps beside it (`draft_content.json.bak`), or save the draft again",
            ),
            State::Json(_) => {}
        }
    }
    let Some(document) = folder.document() else {
        return;
    };
    for name in ["draft_content.json", "draft_info.json"] {
        if !folder.files.contains_key(name) {
            problems.fixable(
                Severity::Warning,
                "mirror-missing",
                name,
                "is missing: CapCut on Windows reads `draft_content.json`, macOS and JianYing since 6 `draft_info.json`",
                "writes it like the other",
            );
        }
    }
    for name in folder.mirrors() {
        if let Some(State::Json(other)) = folder.files.get(name)
            && !std::ptr::eq(&raw const **other, document)
            && **other != *document
        {
            problems.fixable(
                Severity::Error,
                "mirror-differs",
                name,
                format!(
                    "is not what `{}` is; some versions of the app read the one, some the other",
                    folder.canonical
                ),
                &format!(
                    "makes all of them what the newest, `{}`, is",
                    folder.canonical
                ),
            );
        }
    }
    if let Some(missing) = &folder.missing_timeline {
        problems.add(
            Severity::Error,
            "timeline-missing",
            missing,
            "is missing, but `Timelines/project.json` names it as the main timeline",
            "remove the folder `Timelines` while the app is closed: the app builds it again",
        );
    }
    if folder.path.join(".locked").exists() {
        problems.add(
            Severity::Info,
            "open-in-app",
            ".locked",
            "the draft is open in the app, which will write over what others change",
            "close the draft in the app first",
        );
    }
}

#[cfg(test)]
mod tests;
