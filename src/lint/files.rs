//! Checks the files of a draft: which exist, which can be read, and whether they have the same content.

use std::thread;

use capcut_draft::{Document, Flaw, FlawKind};
use serde_json::Value;

use super::ProblemReport;
use super::Severity::{Error, Info, Warning};
use super::folder::{
    BACKUP, DocumentFile, FileContent, Folder, LOCKED, META, PROJECT, ROOTS, TEMPLATE,
};
use crate::engine::paths::file_name;
use crate::units::Micros;

/// Maximum number of values to report that other programs cannot read.
const REPORTED: usize = 100;

/// Checks the files, and returns the document that takes precedence.
pub(super) fn check<'a>(
    folder: &'a Folder,
    report: &mut ProblemReport,
) -> Option<ReadDocument<'a>> {
    readable(folder, report);
    let truth = truth(folder, |file, why| broken(file, &why, report));
    if let Some(truth) = &truth {
        unusable(truth, report);
    }
    if folder.path.join(LOCKED).exists() {
        report.add(
            Warning,
            "open-in-app",
            LOCKED,
            "the draft is open in the app, which will overwrite changes by other programs",
            "close the draft in the app (if the app is not running, it crashed: delete the file)",
        );
    }
    if let Some(truth) = &truth {
        mirrors(folder, truth.file, report);
    } else if !folder
        .files
        .iter()
        .any(|file| file.content() == FileContent::Encrypted)
    {
        report.add(
            Error,
            "no-document",
            ROOTS.join(", "),
            "no document can be read: the draft has no timeline",
            "restore the copy that the app keeps (`draft_content.json.bak`), or save the draft again",
        );
    }
    leftovers(folder, report);
    truth
}

/// The document that takes precedence.
pub(super) struct ReadDocument<'a> {
    pub file: &'a DocumentFile,
    pub document: Document,
    flaws: Vec<Flaw>,
}

impl ReadDocument<'_> {
    /// When the last clip ends; none if a number that it follows from is too large.
    pub(super) fn end(&self) -> Option<Micros> {
        let mut clips = self.document.all_clips();
        let is_known = clips.all(|clip| self.document.check_times(clip).is_ok());
        is_known.then(|| Micros(self.document.end()))
    }
}

/// Reads the document that takes precedence; `unreadable` gets those that cannot be read, and why.
pub(super) fn truth(
    folder: &Folder,
    mut unreadable: impl FnMut(&DocumentFile, String),
) -> Option<ReadDocument<'_>> {
    for file in folder.candidates() {
        let (document, flaws) = parsed(file.json());
        let repeated = flaws.iter().find(|flaw| flaw.kind == FlawKind::RepeatedKey);
        match document {
            Ok(_) if let Some(flaw) = repeated => {
                unreadable(file, format!("the key `{}` stands twice", flaw.place));
            }
            Ok(document) => {
                return Some(ReadDocument {
                    file,
                    document,
                    flaws,
                });
            }
            Err(error) => unreadable(file, error.message),
        }
    }
    None
}

/// A document and what other programs cannot read in it; both take about as long.
fn parsed(json: &[u8]) -> (capcut_draft::Result<Document>, Vec<Flaw>) {
    thread::scope(|scope| {
        let flaws = scope.spawn(|| Flaw::find(json, REPORTED));
        let document = Document::parse_object(json);
        match flaws.join() {
            Ok(flaws) => (document, flaws),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Reports values that other programs cannot read.
fn unusable(truth: &ReadDocument<'_>, report: &mut ProblemReport) {
    for flaw in &truth.flaws {
        let (what, hint) = match flaw.kind {
            FlawKind::HalfCharacter => (
                "a character is cut: the text has half of a surrogate pair, which programs and some versions of the app cannot read",
                "write the text again in the app, or replace it with `edit_draft`",
            ),
            FlawKind::LargeNumber => (
                "the number is too large: programs and some versions of the app cannot read it",
                "correct the number in the document, or set the value again in the app",
            ),
            FlawKind::RepeatedKey => continue,
        };
        let place = format!("{}: {}", truth.file.name, flaw.place);
        report.add(Error, "unreadable", place, what, hint);
    }
}

fn readable(folder: &Folder, report: &mut ProblemReport) {
    for file in &folder.files {
        match file.content() {
            FileContent::Encrypted => report.add(
                if file.name == META { Info } else { Error },
                "encrypted",
                &file.name,
                "is encrypted: JianYing 6.0 and newer versions encrypt the drafts that they save, and only the app can read them",
                "continue in the app; a draft that was made with capcut-mcp can be saved again with another name",
            ),
            FileContent::Empty | FileContent::Other
                if ROOTS.contains(&file_name(&file.name)) || file.name == PROJECT =>
            {
                broken(file, "it does not start with `{`", report);
            }
            FileContent::Json | FileContent::Empty | FileContent::Other => {}
        }
    }
    if let Some(meta) = folder.file(META)
        && folder.meta.is_none()
        && meta.content() != FileContent::Encrypted
    {
        report.fixable(
            Error,
            "meta-unreadable",
            META,
            "is not a JSON object: the app does not list the draft",
            "writes a new one",
        );
    }
}

fn broken(file: &DocumentFile, why: &str, report: &mut ProblemReport) {
    let what = format!("cannot be read: {why}");
    let hint =
        "restore the copy that the app keeps (`draft_content.json.bak`), or save the draft again";
    report.add(Error, "unreadable", &file.name, what, hint);
}

fn mirrors(folder: &Folder, truth: &DocumentFile, report: &mut ProblemReport) {
    for file in folder.mirrors(&truth.name) {
        if is_mirrored(truth, file) {
            continue;
        }
        let how = format!("replaces it with the newest file, `{}`", truth.name);
        if file_name(&file.name) == TEMPLATE {
            report.fixable(
                Error,
                "mirror-stale",
                &file.name,
                format!("differs from `{}`; some versions of the app read it first, and show an old or empty draft", truth.name),
                &how,
            );
        } else if same_document(truth, file) {
            report.fixable(
                Warning,
                "mirror-differs",
                &file.name,
                format!(
                    "has the same content as `{}`, but not the same bytes; the app writes identical files",
                    truth.name
                ),
                &how,
            );
        } else {
            report.fixable(
                Error,
                "mirror-differs",
                &file.name,
                format!(
                    "differs from `{}`: some versions of the app read one file, some the other",
                    truth.name
                ),
                &how,
            );
        }
    }
}

/// Whether a file matches the document; for files in `Timelines` the bytes must be equal, as the app writes them.
pub(super) fn is_mirrored(truth: &DocumentFile, mirror: &DocumentFile) -> bool {
    if truth.is_nested() || mirror.is_nested() {
        truth.has_same_json(mirror)
    } else {
        same_document(truth, mirror)
    }
}

/// Whether two files have the same JSON content, regardless of formatting.
fn same_document(one: &DocumentFile, other: &DocumentFile) -> bool {
    if one.has_same_json(other) {
        return true;
    }
    // Files whose sizes differ by more than whitespace explains cannot have the same content.
    let size = |file: &DocumentFile| file.bytes.len();
    if size(one) > 4 * size(other) || size(other) > 4 * size(one) {
        return false;
    }
    let value = |file: &DocumentFile| serde_json::from_slice::<Value>(file.json()).ok();
    value(one).is_some_and(|value_of_one| Some(value_of_one) == value(other))
}

fn leftovers(folder: &Folder, report: &mut ProblemReport) {
    let there: Vec<_> = ["draft_content.json.bak", "draft_info.json.bak", BACKUP]
        .into_iter()
        .filter(|name| folder.path.join(name).exists())
        .collect();
    if !there.is_empty() {
        report.add(
            Info,
            "leftovers",
            there.join(", "),
            "the app keeps an earlier state of the draft here",
            "no action is needed: the app restores it if it cannot read the draft. However, JianYing 11.4 and newer also restore `.backup` if another program changed the draft, so such a program must move it away",
        );
    }
    if !folder.path.join("draft_cover.jpg").is_file() {
        report.add(
            Info,
            "cover-missing",
            "draft_cover.jpg",
            "the cover is missing: the app's list shows the draft without a picture",
            "the app creates a cover when it next saves the draft",
        );
    }
}
