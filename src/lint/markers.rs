//! Checks the markers by which the app recognises its own drafts: versions, platforms, ids, and the parts of a
//! document.

use super::Severity::{Error, Info, Warning};
use super::document::{Platform, RawDocument};
use super::folder::{Folder, ROOTS};
use super::loose::LooseValue;
use super::{LintContext, ProblemReport};
use crate::engine::paths::plain;
use crate::engine::profile::{AppOs, Profile, edition_of, is_template_machine, parts, scheme_of};
use crate::units::{Edition, Micros};

/// The document id in the reference server's template.
pub(super) const TEMPLATE_DOCUMENT: &str = "91E08AC5-22FB-47E2-9AA0-7DC300FAEA2B";

/// The number in `version` of every draft since JianYing 3.3.
const VERSION: i64 = 360_000;

const HOW: &str = "writes the markers of the newest draft that the app saved here, or those of a built-in profile if there is none";

pub(super) fn check(context: &LintContext<'_>, report: &mut ProblemReport) {
    let document = &context.draft.document;
    let missing = missing(document);
    if is_too_old(document) {
        old_app(context, report);
    } else if !missing.is_empty() {
        report.fixable(
            Error,
            "markers-missing",
            missing.join(", "),
            "markers by which the app recognises its own drafts are missing: it reports an unusual path, or refuses the draft",
            HOW,
        );
    } else if let Some(why) = stale(document) {
        report.fixable(Warning, "markers-stale", "new_version", why, HOW);
    } else if let Some(why) = other_app(context.folder, document, context.options.edition) {
        report.fixable(
            Warning,
            "markers-of-other-app",
            "last_modified_platform.app_source",
            why,
            HOW,
        );
    }
    identity(context, report);
    structure(context, report);
    roots(context, report);
}

/// Checks that the document has the name that the app on each operating system expects.
fn roots(context: &LintContext<'_>, report: &mut ProblemReport) {
    let document = &context.draft.document;
    let Some(missing) = ROOTS
        .into_iter()
        .find(|name| context.folder.file(name).is_none())
    else {
        return;
    };
    let first = profile(document).map(|profile| profile.primary_file());
    let what = "the file is missing: on Windows both apps read `draft_content.json` first, on macOS `draft_info.json`";
    if first == Some(missing) {
        report.fixable(
            Warning,
            "document-missing",
            missing,
            what,
            "writes a copy of the other one",
        );
    } else if saved_by_app(document) {
        report.add(
            Info,
            "document-missing",
            missing,
            what,
            "no action is needed: the app on the other system writes it",
        );
    } else {
        report.fixable(
            Info,
            "document-missing",
            missing,
            what,
            "writes a copy of the other one",
        );
    }
}

impl Platform<'_> {
    fn is_template_machine(&self) -> bool {
        is_template_machine(|key| match key {
            "device_id" => self.device_id.str(),
            "hard_disk_id" => self.hard_disk_id.str(),
            _ => self.mac_address.str(),
        })
    }
}

/// The profile for the app version that a document names.
pub(super) fn profile(document: &RawDocument<'_>) -> Option<Profile> {
    let platform = document.last_modified_platform.get()?;
    let edition = platform.edition()?;
    Profile::for_version(edition, os(document)?, platform.app_version.str()).ok()
}

/// Whether the app version that the document names omits default values.
pub(super) fn leaves_defaults_out(document: &RawDocument<'_>) -> bool {
    profile(document).is_some_and(|profile| profile.leaves_defaults_out())
}

/// The operating system that a document names.
pub(super) fn os(document: &RawDocument<'_>) -> Option<AppOs> {
    document.saved_with()?.os.str().parse().ok()
}

/// Whether the app version that a document names is older than those that this program writes. Its markers and
/// parts are as that version wrote them, and the app upgrades them when it opens the draft.
pub(super) fn is_too_old(document: &RawDocument<'_>) -> bool {
    document.saved_with().is_some_and(Platform::is_too_old)
}

/// Reports a draft of an old version that should be opened by the other app.
fn old_app(context: &LintContext<'_>, report: &mut ProblemReport) {
    let document = &context.draft.document;
    if let Some(why) = other_app(context.folder, document, context.options.edition) {
        report.add(
            Warning,
            "markers-of-other-app",
            "last_modified_platform.app_source",
            why,
            "its version is too old to be rewritten: open it in the app that saved it",
        );
    }
}

fn identity(context: &LintContext<'_>, report: &mut ProblemReport) {
    let document = &context.draft.document;
    let device = [&document.platform, &document.last_modified_platform]
        .into_iter()
        .filter_map(LooseValue::get)
        .any(Platform::is_template_machine);
    if device {
        report.fixable(
            Info,
            "template-device",
            "platform.device_id",
            "the machine ids are made up and the same in every draft of the reference server",
            "clears them",
        );
    }
    let id = document.id.str();
    if id.eq_ignore_ascii_case(TEMPLATE_DOCUMENT) {
        report.fixable(
            Warning,
            "shared-id",
            "id",
            "every draft of the reference server has this id: the app may treat them as one draft",
            "gives the draft a new id",
        );
    } else if id.is_empty() {
        report.fixable(
            Error,
            "id-missing",
            "id",
            "the document has no id",
            "adds an id",
        );
    }
}

fn structure(context: &LintContext<'_>, report: &mut ProblemReport) {
    let document = &context.draft.document;
    // A missing frame rate has its default value, 30.
    let is_usable = document.fps.value().is_some_and(|fps| fps > 0.0);
    if !is_usable && !document.fps.is_missing() {
        report.fixable(
            Error,
            "fps",
            "fps",
            "the frame rate is not a positive number",
            "sets 30 frames per second",
        );
    }
    let size = document.canvas_config.get();
    if size.is_none_or(|size| {
        [&size.width, &size.height]
            .iter()
            .any(|side| side.whole() <= 0)
    }) {
        report.add(
            Error,
            "canvas",
            "canvas_config",
            "the canvas has no size",
            "set the size in the app, or create the draft with `width` and `height`",
        );
    }
    for (name, is_there) in [
        ("tracks", document.tracks.get().is_some()),
        ("materials", document.materials.get().is_some()),
    ] {
        if !is_there {
            report.add(
                Error,
                "structure",
                name,
                format!("the document has no `{name}`"),
                "restore the copy that the app keeps (`draft_content.json.bak`), or save the draft again",
            );
        }
    }
    let missing: Vec<_> = [
        ("config", document.config.is_missing()),
        ("keyframes", document.keyframes.is_missing()),
    ]
    .into_iter()
    .filter_map(|(name, is_missing)| is_missing.then_some(name))
    .collect();
    if !missing.is_empty() && !leaves_defaults_out(document) && !is_too_old(document) {
        report.fixable(
            Warning,
            "parts-missing",
            missing.join(", "),
            "parts that every draft of the app contains are missing",
            "adds them with neutral values",
        );
    }
    let end = context.draft.end();
    let stated = Micros(document.duration.whole());
    if end.0.saturating_sub(stated.0).saturating_abs() > frame(document) {
        report.fixable(
            Warning,
            "duration",
            "duration",
            format!("it is {stated}, but the last segment ends at {end}"),
            "sets it to the end of the last segment",
        );
    }
}

/// The length of a frame in microseconds.
pub(super) fn frame(document: &RawDocument<'_>) -> i64 {
    let fps = document
        .fps
        .value()
        .filter(|fps| *fps > 0.0)
        .unwrap_or(30.0);
    (1e6 / fps) as i64
}

/// The missing markers of those that every app version requires.
fn missing(document: &RawDocument<'_>) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if document.version.whole() < VERSION {
        missing.push("version");
    }
    if document.new_version.str().is_empty() {
        missing.push("new_version");
    }
    for (name, platform) in [
        ("platform", &document.platform),
        ("last_modified_platform", &document.last_modified_platform),
    ] {
        let is_known = platform.get().is_some_and(|platform| {
            edition_of(platform.app_source.str()).is_some()
                && !platform.app_version.str().is_empty()
        });
        if !is_known {
            missing.push(name);
        }
    }
    missing
}

/// The reason why the markers look older than the app version that they name.
fn stale(document: &RawDocument<'_>) -> Option<String> {
    let platform = document.last_modified_platform.get()?;
    let edition = platform.edition()?;
    let version = platform.app_version.str();
    let scheme = document.new_version.str();
    let expected = scheme_of(edition, version)?;
    // Between two known versions the number is an estimate; it grows by about four per version.
    (parts(scheme)?[0] + 4 < expected).then(|| {
        format!(
            "{} {version} writes {expected}.0.0 or more here, not {scheme}: newer versions treat the draft as foreign",
            edition.app()
        )
    })
}

/// The reason why the markers do not match the app that should open the draft.
fn other_app(
    folder: &Folder,
    document: &RawDocument<'_>,
    wanted: Option<Edition>,
) -> Option<String> {
    let written = document.saved_with()?.edition()?;
    let wanted = wanted.or_else(|| edition_of_folder(folder))?;
    (written != wanted).then(|| {
        format!(
            "the draft says that {} wrote it, but it is for {}",
            written.app(),
            wanted.app()
        )
    })
}

/// The app that the draft is for, if its folder shows this.
pub(super) fn edition_of_folder(folder: &Folder) -> Option<Edition> {
    let here = folder.path.to_string_lossy().into_owned();
    [plain(&here), plain(folder.stated_path())]
        .into_iter()
        .find_map(|path| Edition::of_path(&path))
}

/// Whether the app itself saved the draft: no other program writes real machine ids.
pub(super) fn saved_by_app(document: &RawDocument<'_>) -> bool {
    document.saved_with().is_some_and(|platform| {
        !platform.device_id.str().is_empty() && !platform.is_template_machine()
    })
}

/// Whether markers are missing or older than the app version that they name.
pub(super) fn are_stale(document: &RawDocument<'_>) -> bool {
    !missing(document).is_empty() || stale(document).is_some()
}
