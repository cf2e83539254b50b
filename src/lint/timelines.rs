//! Checks the folder `Timelines`: newer versions of the apps read the draft only from it.

use capcut_draft::RootRef;

use super::Severity::{Error, Warning};
use super::folder::{Folder, PROJECT, ROOTS};
use super::markers::{self, TEMPLATE_DOCUMENT};
use super::{LintContext, ProblemReport};
use crate::draft::finished::list;
use crate::engine::profile::Profile;
use crate::engine::timelines::{FOLDER, folder as folder_of};

/// From this scheme on (CapCut 8.9, JianYing 10.9), drafts without the folder reportedly do not open; older
/// versions create the folder.
const NEEDED: u32 = 175;

pub(super) fn check(context: &LintContext<'_>, report: &mut ProblemReport) {
    let folder = context.folder;
    if !folder.path.join(FOLDER).is_dir() {
        missing(context, report);
        return;
    }
    let Some(main) = &folder.main_timeline else {
        report.fixable(
            Error,
            "timeline-missing",
            PROJECT,
            "does not name the main timeline",
            "creates it for the document's own timeline",
        );
        return;
    };
    documents(context, main, report);
    let id = context.document.id(RootRef);
    let is_replaced = id.is_empty() || id.eq_ignore_ascii_case(TEMPLATE_DOCUMENT);
    if !is_replaced && !main.eq_ignore_ascii_case(&id) {
        report.fixable(
            Warning,
            "timeline-id",
            "id",
            format!("the document's id differs from that of the main timeline, {main}"),
            "gives the document the id of the main timeline",
        );
    }
    if !is_listed(folder, main) {
        report.fixable(
            Warning,
            "timeline-id",
            format!("{PROJECT}: timelines"),
            format!("the list does not contain the main timeline, {main}"),
            "adds it",
        );
    }
}

/// Whether the list of timelines contains this id.
pub(super) fn is_listed(folder: &Folder, id: &str) -> bool {
    let project = folder.project.as_ref();
    project.is_some_and(|project| {
        list(&project["timelines"]).iter().any(|timeline| {
            timeline["id"]
                .as_str()
                .is_some_and(|known| known.eq_ignore_ascii_case(id))
        })
    })
}

fn missing(context: &LintContext<'_>, report: &mut ProblemReport) {
    let Some(profile) = markers::profile(context.root).filter(Profile::has_timelines) else {
        return;
    };
    let is_needed = profile.scheme() >= NEEDED;
    // These versions open the drafts that they saved themselves.
    if !is_needed && markers::saved_by_app(context.root) {
        return;
    }
    report.fixable(
        if is_needed { Error } else { Warning },
        "timelines-missing",
        FOLDER,
        format!(
            "the folder is missing: {} {} keeps the timeline there{}",
            profile.edition.app(),
            profile.app_version,
            if is_needed {
                ", and reportedly lists a draft without it but does not open it"
            } else {
                ""
            }
        ),
        "creates it from the document",
    );
}

fn documents(context: &LintContext<'_>, main: &str, report: &mut ProblemReport) {
    let place = folder_of(main);
    let missing: Vec<&str> = ROOTS
        .into_iter()
        .filter(|name| context.folder.file(&format!("{place}/{name}")).is_none())
        .collect();
    if missing.len() == ROOTS.len() {
        report.fixable(
            Error,
            "timeline-missing",
            place,
            "contains no document, but `Timelines/project.json` names it as the main timeline: newer versions of the app read only this folder",
            "writes the document there",
        );
        return;
    }
    let first = markers::profile(context.root).map(|profile| profile.primary_file());
    if let Some(first) = first.filter(|first| missing.contains(first)) {
        report.fixable(
            Warning,
            "timeline-missing",
            format!("{place}/{first}"),
            "the file is missing: the app on the draft's system reads it first",
            "writes a copy of the other one",
        );
    }
}
