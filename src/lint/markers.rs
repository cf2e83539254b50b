//! Checks the markers by which the app recognises its own drafts: versions, platforms, ids, and the parts of a
//! document.

use capcut_draft::field::root::{self, PlatformFields};
use capcut_draft::{Field, FieldState, Fields, RootRef};

use super::Severity::{Error, Info, Warning};
use super::folder::{Folder, ROOTS};
use super::{LintContext, ProblemReport};
use crate::engine::paths::plain;
use crate::engine::profile::{
    self, AppOs, Profile, edition_of, edition_of_id, is_template_machine, parts, scheme_of,
};
use crate::units::{Edition, Micros};

/// The document id in the reference server's template.
pub(super) const TEMPLATE_DOCUMENT: &str = "91E08AC5-22FB-47E2-9AA0-7DC300FAEA2B";

/// The number in `version` of every draft since JianYing 3.3.
const VERSION: i64 = 360_000;

const HOW: &str = "writes the markers of the newest draft that the app saved here, or those of a built-in profile if there is none";

pub(super) fn check(context: &LintContext<'_>, report: &mut ProblemReport) {
    let root = context.root;
    let missing = missing(root);
    if is_too_old(root) {
        old_app(context, report);
    } else if !missing.is_empty() {
        report.fixable(
            Error,
            "markers-missing",
            missing.join(", "),
            "markers by which the app recognises its own drafts are missing: it reports an unusual path, or refuses the draft",
            HOW,
        );
    } else if let Some(why) = stale(root) {
        report.fixable(Warning, "markers-stale", "new_version", why, HOW);
    } else if let Some(why) = other_app(context.folder, root, context.options.edition) {
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
    let root = context.root;
    let Some(missing) = ROOTS
        .into_iter()
        .find(|name| context.folder.file(name).is_none())
    else {
        return;
    };
    let first = profile(root).map(|profile| profile.primary_file());
    let what = "the file is missing: on Windows both apps read `draft_content.json` first, on macOS `draft_info.json`";
    if first == Some(missing) {
        report.fixable(
            Warning,
            "document-missing",
            missing,
            what,
            "writes a copy of the other one",
        );
    } else if saved_by_app(root) {
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

/// The app and the machine that a document names.
pub(super) struct Platform<'d> {
    root: &'d Fields<'d, RootRef>,
    fields: PlatformFields,
}

impl<'d> Platform<'d> {
    fn of(root: &'d Fields<'_, RootRef>, fields: PlatformFields) -> Option<Self> {
        root.get(&fields.whole)?;
        Some(Self { root, fields })
    }

    /// The app. JianYing before 4 does not write its source, only its id.
    pub(super) fn edition(&self) -> Option<Edition> {
        let source = self.root.value(&self.fields.app_source);
        if source.is_empty() {
            edition_of_id(self.root.value(&self.fields.app_id))
        } else {
            edition_of(&source)
        }
    }

    fn app_version(&self) -> String {
        self.root.value(&self.fields.app_version)
    }

    /// The ids of the machine: device, hard disk, network.
    fn machine(&self) -> [String; 3] {
        let read = |field: &Field<RootRef, String>| self.root.value(field);
        self.fields.machine.each_ref().map(read)
    }

    fn is_template_machine(&self) -> bool {
        let [device, disk, network] = self.machine();
        is_template_machine(|key| match key {
            "device_id" => &device,
            "hard_disk_id" => &disk,
            _ => &network,
        })
    }
}

/// The app that saved the document last.
pub(super) fn saved_with<'d>(root: &'d Fields<'_, RootRef>) -> Option<Platform<'d>> {
    Platform::of(root, root::LAST_MODIFIED_PLATFORM).or_else(|| Platform::of(root, root::PLATFORM))
}

/// The profile for the app version that a document names.
pub(super) fn profile(root: &Fields<'_, RootRef>) -> Option<Profile> {
    let platform = Platform::of(root, root::LAST_MODIFIED_PLATFORM)?;
    let edition = platform.edition()?;
    Profile::for_version(edition, os(root)?, &platform.app_version()).ok()
}

/// Whether the app version that the document names omits default values.
pub(super) fn leaves_defaults_out(root: &Fields<'_, RootRef>) -> bool {
    profile(root).is_some_and(|profile| profile.leaves_defaults_out())
}

/// The operating system that a document names.
pub(super) fn os(root: &Fields<'_, RootRef>) -> Option<AppOs> {
    let platform = saved_with(root)?;
    root.value(&platform.fields.os).parse().ok()
}

/// Whether the app version that a document names is older than those that this program writes. Its markers and
/// parts are as that version wrote them, and the app upgrades them when it opens the draft.
pub(super) fn is_too_old(root: &Fields<'_, RootRef>) -> bool {
    saved_with(root).is_some_and(|platform| {
        platform
            .edition()
            .is_some_and(|edition| profile::is_too_old(edition, &platform.app_version()))
    })
}

/// Reports a draft of an old version that should be opened by the other app.
fn old_app(context: &LintContext<'_>, report: &mut ProblemReport) {
    let root = context.root;
    if let Some(why) = other_app(context.folder, root, context.options.edition) {
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
    let root = context.root;
    let is_template = [root::PLATFORM, root::LAST_MODIFIED_PLATFORM]
        .into_iter()
        .filter_map(|fields| Platform::of(root, fields))
        .any(|platform| platform.is_template_machine());
    if is_template {
        report.fixable(
            Info,
            "template-device",
            "platform.device_id",
            "the machine ids are made up and the same in every draft of the reference server",
            "clears them",
        );
    }
    let id = context.document.id(RootRef);
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
    let root = context.root;
    // A missing frame rate has its default value, 30.
    let is_usable = match root.state(&root::FPS) {
        FieldState::Missing => true,
        FieldState::Is(fps) => fps > 0.0,
        FieldState::Null | FieldState::Other => false,
    };
    if !is_usable {
        report.fixable(
            Error,
            "fps",
            "fps",
            "the frame rate is not a positive number",
            "sets 30 frames per second",
        );
    }
    let sides = [root::CANVAS_WIDTH, root::CANVAS_HEIGHT];
    if sides.iter().any(|side| root.value(side) <= 0) {
        report.add(
            Error,
            "canvas",
            "canvas_config",
            "the canvas has no size",
            "set the size in the app, or create the draft with `width` and `height`",
        );
    }
    for (name, is_there) in [
        ("tracks", context.document.has_tracks()),
        ("materials", root.get(&root::MATERIALS).is_some()),
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
    let missing: Vec<&str> = [root::CONFIG, root::KEYFRAMES]
        .into_iter()
        .filter(|part| root.state(part) == FieldState::Missing)
        .filter_map(|part| part.path.first().copied())
        .collect();
    if !missing.is_empty() && !leaves_defaults_out(root) && !is_too_old(root) {
        report.fixable(
            Warning,
            "parts-missing",
            missing.join(", "),
            "parts that every draft of the app contains are missing",
            "adds them with neutral values",
        );
    }
    let stated = Micros(root.value(&root::DURATION));
    if let Some(end) = context.end
        && end.0.saturating_sub(stated.0).saturating_abs() > frame(root)
    {
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
pub(super) fn frame(root: &Fields<'_, RootRef>) -> i64 {
    let fps = root.get(&root::FPS).filter(|fps| *fps > 0.0);
    let fps = fps.unwrap_or(30.0);
    (1e6 / fps) as i64
}

/// The missing markers of those that every app version requires.
fn missing(root: &Fields<'_, RootRef>) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if root.value(&root::VERSION) < VERSION {
        missing.push("version");
    }
    if root.value(&root::NEW_VERSION).is_empty() {
        missing.push("new_version");
    }
    for (name, fields) in [
        ("platform", root::PLATFORM),
        ("last_modified_platform", root::LAST_MODIFIED_PLATFORM),
    ] {
        let is_known = edition_of(&root.value(&fields.app_source)).is_some()
            && !root.value(&fields.app_version).is_empty();
        if !is_known {
            missing.push(name);
        }
    }
    missing
}

/// The reason why the markers look older than the app version that they name.
fn stale(root: &Fields<'_, RootRef>) -> Option<String> {
    let platform = Platform::of(root, root::LAST_MODIFIED_PLATFORM)?;
    let edition = platform.edition()?;
    let version = platform.app_version();
    let scheme = root.value(&root::NEW_VERSION);
    let expected = scheme_of(edition, &version)?;
    // Between two known versions the number is an estimate; it grows by about four per version.
    (parts(&scheme)?[0] + 4 < expected).then(|| {
        format!(
            "{} {version} writes {expected}.0.0 or more here, not {scheme}: newer versions treat the draft as foreign",
            edition.app()
        )
    })
}

/// The reason why the markers do not match the app that should open the draft.
fn other_app(
    folder: &Folder,
    root: &Fields<'_, RootRef>,
    wanted: Option<Edition>,
) -> Option<String> {
    let written = saved_with(root)?.edition()?;
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
pub(super) fn saved_by_app(root: &Fields<'_, RootRef>) -> bool {
    saved_with(root).is_some_and(|platform| {
        !platform.machine()[0].is_empty() && !platform.is_template_machine()
    })
}

/// Whether markers are missing or older than the app version that they name.
pub(super) fn are_stale(root: &Fields<'_, RootRef>) -> bool {
    !missing(root).is_empty() || stale(root).is_some()
}
