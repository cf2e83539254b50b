//! Checks the media files of a draft: whether they exist, and whether their content matches their use and
//! extension.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use capcut_draft::{CompoundDocument, Document, Fields, MaterialRef, field};

use super::Severity::{Error, Info, Warning};
use super::folder::{Folder, META, MediaLocation};
use super::markers;
use super::sniff::{self, FileContents};
use super::{LintContext, ProblemReport};
use crate::engine::paths::{file_name, is_foreign};
use crate::engine::profile::is_linked_to_media_list;
use crate::engine::registry;
use crate::media::{Facts, MediaFormat};
use crate::units::Micros;

/// A material that uses a file, and the location of the file.
#[derive(Debug)]
pub(super) struct FileMaterial {
    /// The indices of the compound clips that contain it, from the outermost; empty for the draft itself.
    pub within: Vec<usize>,
    /// `videos` or `audios`.
    pub list: &'static str,
    pub index: usize,
    /// `video`, `photo`, `extract_music`, …
    pub kind: String,
    /// Its path in the document.
    pub path: String,
    /// Its name in the app.
    pub name: String,
    /// The id of its entry in the list of media.
    pub link: String,
    /// Whether the app links materials of its kind to the list of media.
    pub is_linked: bool,
    pub width: i64,
    pub height: i64,
    pub duration: Micros,
    pub place: MediaLocation,
}

/// Checks the media files, and returns the media that must be in the list of media.
pub(super) fn check(context: &LintContext<'_>, report: &mut ProblemReport) -> Vec<FileMaterial> {
    let new_version = context.root.value(&field::root::NEW_VERSION);
    let is_far = is_of_unknown_machine(context);
    let mut places: HashMap<String, (MediaLocation, Option<FileContents>)> = HashMap::new();
    let mut reported = HashSet::new();
    let mut media = Vec::new();
    let parts = parts(context.document);
    for (part, list) in parts
        .iter()
        .flat_map(|part| ["videos", "audios"].map(|list| (part, list)))
    {
        for (index, material) in part.document.materials(list) {
            let material = &material;
            let kind = material.value(&field::material::KIND);
            let path = &*material.value(&field::material::PATH);
            if !is_local(list, &kind, path) {
                continue;
            }
            let name = &*name(list, material, path);
            let (place, look) = if path.is_empty() {
                looked_at(context.folder, path, name)
            } else {
                places
                    .entry(path.to_owned())
                    .or_insert_with(|| looked_at(context.folder, path, name))
                    .clone()
            };
            let (place, look) = match (place, &context.options.media) {
                (MediaLocation::Nowhere, Some(moved)) => {
                    let named = (
                        path,
                        if path.is_empty() {
                            name
                        } else {
                            file_name(path)
                        },
                    );
                    let is_sound = list == "audios";
                    let found = moved.candidates(context.folder, is_sound, material, named);
                    match found[..] {
                        [] => (MediaLocation::Nowhere, None),
                        [file] => {
                            let look = sniff::look(file, &context.folder.shown(file));
                            (MediaLocation::Found(file.clone()), Some(look))
                        }
                        _ => {
                            let all = found.into_iter().cloned().collect();
                            (MediaLocation::Several(all), None)
                        }
                    }
                }
                (place, _) => (place, look),
            };
            let place = match place {
                MediaLocation::Nowhere if is_far && is_foreign(path) => MediaLocation::Elsewhere,
                place => place,
            };
            let at = MaterialUse {
                list: place_of_list(&part.within, list),
                is_sound: list == "audios",
                index,
                is_shown: part.shown.contains(&material.value(&field::material::ID)),
            };
            sizes(&at, material, report);
            // A problem of a file is reported once, even if several materials use the file.
            if path.is_empty() || reported.insert((path.to_owned(), list)) {
                at.place(context.folder, path, name, &place, report);
                if let (Some(file), Some(look)) = (place.file(), &look) {
                    let is_inside =
                        matches!(place, MediaLocation::Inside(_) | MediaLocation::Moved(_));
                    let shown = context.folder.shown(file);
                    at.content((file, &shown, is_inside), material, look, report);
                }
            }
            media.push(FileMaterial {
                within: part.within.clone(),
                is_linked: part.within.is_empty()
                    && is_linked_to_media_list(list, &kind, &new_version),
                list,
                index,
                kind,
                width: material.value(&field::material::WIDTH),
                height: material.value(&field::material::HEIGHT),
                duration: Micros(material.value(&field::material::DURATION)),
                path: path.to_owned(),
                name: name.to_owned(),
                link: material.value(&field::material::LOCAL_MATERIAL_ID),
                place,
            });
        }
    }
    media
}

/// Whether the app saved the draft on another machine that is not known, because its metadata is missing.
fn is_of_unknown_machine(context: &LintContext<'_>) -> bool {
    let root = context.folder.path.parent();
    context.folder.file(META).is_none()
        && markers::saved_by_app(context.root)
        && !root.is_some_and(registry::is_drafts_folder)
}

/// The path of a list of materials in the document.
fn place_of_list(within: &[usize], list: &str) -> String {
    let mut place = String::new();
    for index in within {
        let _ = write!(place, "materials.drafts[{index}].draft.");
    }
    place + "materials." + list
}

impl FileMaterial {
    /// Whether the list of media should have it. The list does not have the app's own sounds; whether it has the
    /// media of compound clips is not known.
    pub(super) fn is_listed(&self) -> bool {
        const LIBRARY: [&str; 3] = ["music", "sound", "text_to_audio"];
        !matches!(
            self.place,
            MediaLocation::Nowhere | MediaLocation::Several(_)
        ) && self.within.is_empty()
            && !(self.list == "audios" && LIBRARY.contains(&&*self.kind))
    }
}

fn looked_at(folder: &Folder, path: &str, name: &str) -> (MediaLocation, Option<FileContents>) {
    let place = folder.locate(path, name);
    let look = place
        .file()
        .map(|file| sniff::look(file, &folder.shown(file)));
    (place, look)
}

impl MediaLocation {
    /// The file, if it is on this machine.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Inside(file) | Self::Moved(file) | Self::Outside(file) | Self::Found(file) => {
                Some(file)
            }
            Self::Several(_) | Self::Elsewhere | Self::Nowhere => None,
        }
    }
}

/// The documents whose media are checked: the draft, and its compound clips.
struct DraftPart<'d> {
    /// The indices of the compound clips in `drafts`, from the outermost to this one; empty for the draft itself.
    within: Vec<usize>,
    document: PartDocument<'d>,
    /// The ids of the materials that segments use.
    shown: HashSet<String>,
}

enum PartDocument<'d> {
    Draft(&'d Document),
    Compound(CompoundDocument<'d>),
}

impl<'d> PartDocument<'d> {
    fn materials(&self, list: &str) -> Vec<(usize, Fields<'d, MaterialRef>)> {
        match self {
            Self::Compound(document) => document.materials(list),
            Self::Draft(document) => {
                let all = document.materials(list).enumerate();
                all.filter(|(_, material)| document.is_object(*material))
                    .map(|(index, material)| (index, document.fields(material)))
                    .collect()
            }
        }
    }
}

/// The draft, then its compound clips and those in them.
fn parts(document: &Document) -> Vec<DraftPart<'_>> {
    let clips = document.all_clips();
    let clips = clips.filter(|clip| document.is_object(*clip));
    let shown = clips.map(|clip| document.material_id(clip).into_owned());
    let mut parts = vec![DraftPart {
        within: Vec::new(),
        document: PartDocument::Draft(document),
        shown: shown.collect(),
    }];
    let mut next = 0;
    while let Some(part) = parts.get(next) {
        let mut inner = Vec::new();
        for (index, material) in part.document.materials("drafts") {
            if let Some(compound) = material.compound() {
                let mut within = part.within.clone();
                within.push(index);
                inner.push(DraftPart {
                    within,
                    shown: compound.material_ids().into_iter().collect(),
                    document: PartDocument::Compound(compound),
                });
            }
        }
        parts.extend(inner);
        next += 1;
    }
    parts
}

/// Whether a material needs a local file: items of the app's own library do not.
fn is_local(list: &str, kind: &str, path: &str) -> bool {
    !path.is_empty()
        || match list {
            "audios" => matches!(kind, "extract_music" | "record"),
            _ => matches!(kind, "video" | "photo" | "gif"),
        }
}

/// The file name of a material.
fn name(list: &str, material: &Fields<'_, MaterialRef>, path: &str) -> String {
    let field = match list {
        "videos" => field::material::MATERIAL_NAME,
        _ => field::material::NAME,
    };
    let name = material.value(&field);
    if name.is_empty() {
        file_name(path).to_owned()
    } else {
        name
    }
}

/// Whether a material has no clock.
pub(super) fn is_still(material: &Fields<'_, MaterialRef>) -> bool {
    matches!(&*material.value(&field::material::KIND), "photo" | "gif")
}

fn sizes(at: &MaterialUse, material: &Fields<'_, MaterialRef>, report: &mut ProblemReport) {
    if material.value(&field::material::DURATION) <= 0 && !is_still(material) {
        report.add(
            Error,
            "media-length",
            at.field("duration"),
            "the material has no length: the app shows it as lost",
            "save the draft again on a machine that can read the file, or replace the clip in the app",
            );
    }
    let sides = [field::material::WIDTH, field::material::HEIGHT];
    if !at.is_sound && sides.iter().any(|side| material.value(side) <= 0) {
        report.add(
            Warning,
            "media-size",
            at.field("width"),
            "the material has no width or height: the app cannot place it",
            "save the draft again on a machine that can read the file, or replace the clip in the app",
        );
    }
}

struct MaterialUse {
    /// The path of its list in the document.
    list: String,
    is_sound: bool,
    index: usize,
    /// Whether a segment uses it.
    is_shown: bool,
}

impl MaterialUse {
    fn field(&self, field: &str) -> String {
        format!("{}[{}].{field}", self.list, self.index)
    }

    fn place(
        &self,
        folder: &Folder,
        path: &str,
        name: &str,
        place: &MediaLocation,
        report: &mut ProblemReport,
    ) {
        let place_of = self.field("path");
        match place {
            MediaLocation::Inside(_) => {}
            MediaLocation::Moved(file) => report.fixable(
                Error,
                "media-moved",
                place_of,
                if path.is_empty() {
                    format!("the path is missing, but the file is in the draft: {}", folder.shown(file))
                } else {
                    format!("\"{path}\" does not exist on this machine, but the file is in the draft: {}", folder.shown(file))
                },
                "sets the path of the file in the draft",
            ),
            MediaLocation::Found(file) => report.fixable(
                Error,
                "media-moved",
                place_of,
                format!("\"{path}\" does not exist, but this file has its name and size: {}", file.display()),
                "sets the path of this file",
            ),
            MediaLocation::Several(files) => {
                let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                report.add(
                    if self.is_shown { Error } else { Info },
                    "media-missing",
                    place_of,
                    format!("\"{path}\" does not exist, and several files have its name and size, so none was chosen: {}", files.join(", ")),
                    "give `--media` a folder that contains only one of them",
                );
            }
            MediaLocation::Outside(_) => report.add(
                Info,
                "media-outside",
                place_of,
                format!("\"{path}\" is outside the draft: on macOS the app may not be allowed to read it, and it is lost when the file moves"),
                "save the draft with capcut-mcp, which copies media into it",
            ),
            MediaLocation::Elsewhere => report.add(
                Info,
                "media-elsewhere",
                place_of,
                format!("\"{path}\" is on the machine that the draft was saved for, and cannot be checked here"),
                "check the draft on that machine",
            ),
            MediaLocation::Nowhere => {
                let what = if path.is_empty() && name.is_empty() {
                    "the path and the name of the file are missing".to_owned()
                } else if path.is_empty() {
                    format!("the path is missing, and there is no file \"{name}\" in the draft")
                } else if is_foreign(path) {
                    format!("\"{path}\" is a path of another operating system, and there is no file \"{}\" in the draft", file_name(path))
                } else {
                    format!("there is no file \"{path}\"")
                };
                let severity = if self.is_shown { Error } else { Info };
                let hint = "put the file into the draft (`assets/`) and run `capcut-mcp lint --fix`, or save the draft again; the app offers to relink it";
                report.add(severity, "media-missing", place_of, what, hint);
            }
        }
    }

    fn content(
        &self,
        (file, shown, is_inside): (&Path, &str, bool),
        material: &Fields<'_, MaterialRef>,
        look: &FileContents,
        report: &mut ProblemReport,
    ) {
        let place_of = self.field("path");
        let claim = claim(self.is_sound, &material.value(&field::material::KIND));
        let again = "replace it with the right file, or save the draft again";
        let facts = match look {
            FileContents::Unknown => return,
            FileContents::Media(facts) => facts,
            FileContents::Unreadable(what) => {
                let hint = "check the file and its permissions";
                report.add(Error, "media-unreadable", place_of, what, hint);
                return;
            }
            FileContents::Empty => {
                let what = format!("{shown} is empty");
                report.add(Error, "media-empty", place_of, what, again);
                return;
            }
            FileContents::NotMedia(what) => {
                let what = format!("{shown} cannot be used as {claim}: {what}");
                report.add(Error, "media-kind", place_of, what, again);
                return;
            }
            FileContents::Damaged(what) => {
                report.add(Error, "media-damaged", place_of, what, again);
                return;
            }
        };
        let format = sniff::name(facts.format);
        if !fits(self.is_sound, facts) {
            let what = format!("{shown} is {format}, which cannot be used as {claim}");
            report.add(Error, "media-kind", place_of, what, again);
            return;
        }
        self.length(shown, material, facts, report);
        if !facts.format.is_extension_of(file) {
            let what = format!("{shown} is {format}, but its extension is that of another format");
            if is_inside && better_name(file, facts.format).is_some() {
                let how = "gives it the right extension";
                report.fixable(Warning, "media-misnamed", place_of, what, how);
            } else {
                let hint = "give the file the right extension, and replace the clip in the app";
                report.add(Warning, "media-misnamed", place_of, what, hint);
            }
        }
    }

    /// Reports a file that is shorter than its material: it was replaced, or it is truncated in a format that does
    /// not show this.
    fn length(
        &self,
        shown: &str,
        material: &Fields<'_, MaterialRef>,
        facts: &Facts,
        report: &mut ProblemReport,
    ) {
        let said = Micros(material.value(&field::material::DURATION));
        if is_still(material) {
            return;
        }
        let Some(lasts) = facts.lasts_less(said) else {
            return;
        };
        report.add(
            Warning,
            "media-shorter",
            self.field("duration"),
            format!(
                "{shown} lasts {lasts}, but the material {said}: clips that use the rest lose it"
            ),
            "replace it with the right file, or save the draft again",
        );
    }
}

/// Whether the file has what the material needs; for videos and photos the app accepts moving and still pictures.
pub(super) fn fits(is_sound: bool, facts: &Facts) -> bool {
    if is_sound {
        facts.has_audio
    } else {
        facts.has_picture()
    }
}

fn claim(is_sound: bool, kind: &str) -> &'static str {
    match (is_sound, kind) {
        (true, _) => "audio",
        (_, "photo") => "a picture",
        _ => "video",
    }
}

/// The path with the right extension, unless that path already exists.
pub(super) fn better_name(file: &Path, format: MediaFormat) -> Option<PathBuf> {
    let better = file.with_extension(format.extension());
    (!better.exists()).then_some(better)
}
