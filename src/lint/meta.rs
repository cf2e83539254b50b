//! Checks a draft's metadata: its name, its paths, the list of media, and its entry in the app's list of drafts.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::Severity::{Error, Info, Warning};
use super::folder::{Folder, META, MediaLocation};
use super::media::FileMaterial;
use super::{LintContext, ProblemReport};
use crate::draft::finished::list;
use crate::engine::paths::{TOKEN, below, file_name, is_foreign, plain, same};
use crate::engine::registry;
use crate::units::Micros;

pub(super) fn check(context: &LintContext<'_>, media: &[FileMaterial], report: &mut ProblemReport) {
    let folder = context.folder;
    let Some(meta) = &folder.meta else {
        if folder.file(META).is_none() {
            report.fixable(
                Error,
                "meta-missing",
                META,
                "the file is missing: the app does not list the draft, or shows its media as lost",
                "creates it",
            );
        }
        registration(folder, report);
        return;
    };
    let is_portable = is_portable(folder, media);
    identity(folder, meta, is_portable, report);
    let stated = Micros(meta["tm_duration"].as_i64().unwrap_or_default());
    if let Some(end) = context.end
        && stated.0.abs_diff(end.0) > 40_000
    {
        report.fixable(
            Info,
            "meta-duration",
            at("tm_duration"),
            format!("it is {stated}, but the last segment ends at {end}"),
            "sets it to the end of the last segment",
        );
    }
    bin(folder, meta, media, report);
    // A draft that will be copied elsewhere is not opened from this folder.
    if !(is_portable && folder.marker.is_some()) {
        registration(folder, report);
    }
}

/// Whether the draft contains no absolute paths, neither of itself nor of a file. It can be copied anywhere, and
/// the app fills in the paths.
pub(super) fn is_portable(folder: &Folder, media: &[FileMaterial]) -> bool {
    folder.meta.is_some()
        && folder.stated_path().is_empty()
        && folder.meta_text("draft_root_path").is_empty()
        && media.iter().all(|medium| {
            let path = plain(&medium.path);
            below(&path, TOKEN).or_else(|| below(&path, ".")).is_some()
        })
}

fn at(key: &str) -> String {
    format!("{META}: {key}")
}

fn identity(folder: &Folder, meta: &Value, is_portable: bool, report: &mut ProblemReport) {
    let text = |key: &str| meta[key].as_str().unwrap_or_default();
    if folder.is_template() {
        report.fixable(
            Warning,
            "shared-id",
            at("draft_id"),
            "every draft of the reference server has this id: the app treats them as one draft",
            "gives the draft a new id",
        );
    } else if text("draft_id").is_empty() {
        report.fixable(
            Warning,
            "id-missing",
            at("draft_id"),
            "the draft has no id",
            "adds an id",
        );
    }
    if folder.is_for_another_machine() {
        let name = folder.name();
        let told = folder.stated_path();
        if !folder.is_saved_for_elsewhere() {
            report.add(
                Info,
                "for-another-system",
                at("draft_fold_path"),
                format!("the draft was saved for \"{told}\""),
                format!("copy the folder \"{name}\" to this location"),
            );
        }
        if file_name(&plain(told)) != name {
            report.add(
                Warning,
                "draft-name",
                at("draft_fold_path"),
                format!(
                    "the folder is named \"{name}\", but the draft expects \"{}\"",
                    file_name(&plain(told))
                ),
                "rename the folder",
            );
        }
        return;
    }
    let mut wrong = |key: &str, what: String, code, how| {
        report.fixable(Warning, code, at(key), what, how);
    };
    let told = text("draft_fold_path");
    if !is_portable && !same(told, &folder.path) {
        let whose = if is_foreign(told) {
            "a path of another machine"
        } else {
            "another folder"
        };
        let what = format!("it is \"{told}\", which is {whose}");
        wrong(
            "draft_fold_path",
            what,
            "draft-path",
            "sets the current folder",
        );
    }
    let root = folder.path.parent().unwrap_or(Path::new("/"));
    if !is_portable && !same(text("draft_root_path"), root) {
        let what = format!(
            "it is \"{}\", but the draft is in another folder",
            text("draft_root_path")
        );
        wrong(
            "draft_root_path",
            what,
            "draft-path",
            "sets the current folder",
        );
    }
    if text("draft_name") != folder.name() {
        let what = format!(
            "it is \"{}\", but the folder is named \"{}\"; the app may rename the folder",
            text("draft_name"),
            folder.name()
        );
        wrong(
            "draft_name",
            what,
            "draft-name",
            "sets the name of the folder",
        );
    }
}

/// The entries of the list of media.
pub(super) fn entries(meta: &Value) -> impl Iterator<Item = &Value> {
    list(&meta["draft_materials"])
        .iter()
        .flat_map(|group| list(&group["value"]))
}

/// A path in a normal form, so that paths of the timeline, the list of media and the folder can be compared.
pub(super) fn in_draft(folder: &Folder, path: &str) -> String {
    let text = plain(path);
    let here = registry::app_path(&folder.path);
    let told = plain(folder.stated_path());
    for start in [TOKEN, ".", &here, &told] {
        if let Some(rest) = below(&text, start) {
            return format!("./{rest}");
        }
    }
    text
}

/// The path of a medium as the list of media should have it.
pub(super) fn bin_path(folder: &Folder, medium: &FileMaterial) -> String {
    match &medium.place {
        MediaLocation::Inside(file) | MediaLocation::Moved(file) => {
            format!("./{}", folder.shown(file))
        }
        MediaLocation::Found(file) => registry::app_path(file),
        MediaLocation::Outside(_)
        | MediaLocation::Several(_)
        | MediaLocation::Elsewhere
        | MediaLocation::Nowhere => in_draft(folder, &medium.path),
    }
}

fn bin(folder: &Folder, meta: &Value, media: &[FileMaterial], report: &mut ProblemReport) {
    let by_id: HashMap<&str, String> = entries(meta)
        .filter_map(|entry| {
            let path = in_draft(folder, entry["file_Path"].as_str().unwrap_or_default());
            Some((entry["id"].as_str()?, path))
        })
        .collect();
    let paths: HashSet<&str> = by_id.values().map(String::as_str).collect();
    let mut reported = HashSet::new();
    for medium in media.iter().filter(|medium| medium.is_listed()) {
        let path = bin_path(folder, medium);
        let is_listed = paths.contains(&*path);
        if !is_listed {
            if reported.insert(path) {
                report.fixable(
                    Warning,
                    "media-unlisted",
                    at("draft_materials"),
                    format!("\"{}\" is not in the list of media: CapCut 9 and JianYing 11 on macOS show it as lost", medium.name),
                    "adds it",
                    );
            }
        } else if medium.is_linked && !by_id.contains_key(&*medium.link) {
            report.fixable(
                Warning,
                "media-unlinked",
                format!("materials.{}[{}].local_material_id", medium.list, medium.index),
                "it does not match an entry of the list of media: CapCut 9.3 and JianYing 5.9 and newer may show the clip as missing",
                "sets it to the entry's id",
            );
        }
    }
}

fn registration(folder: &Folder, report: &mut ProblemReport) {
    let Some(root) = folder.path.parent() else {
        return;
    };
    if !root.join(registry::FILE).is_file() || folder.is_for_another_machine() {
        return;
    }
    let place = format!("../{}", registry::FILE);
    match registry::entry(&folder.path) {
        Ok(None) => report.fixable(
            Warning,
            "unregistered",
            place,
            "the draft is not in the app's list of drafts: some versions do not show it",
            "adds it; the app must not be running",
        ),
        Ok(Some(entry)) => {
            let file = file_name(entry["draft_json_file"].as_str().unwrap_or_default());
            if !file.is_empty() && !folder.path.join(file).is_file() {
                report.fixable(
                    Warning,
                    "registered-wrongly",
                    place,
                    format!("the app's list of drafts names `{file}` for this draft, but the file does not exist"),
                    "corrects the entry",
                );
            }
        }
        Err(error) => report.add(
            Info,
            "registry",
            place,
            error.message,
            error.hint.unwrap_or_default(),
        ),
    }
}
