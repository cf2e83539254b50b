//! What is wrong around a draft's document: media, the media bin, names and paths, registration.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Problems;
use super::Severity::{Error, Info, Warning};
use super::document::end_of;
use super::folder::{Folder, Located, META, TOKEN, same};
use crate::draft::finished::list;
use crate::engine::registry;

/// The draft id that the reference server's template gives to everybody's drafts.
pub(crate) const TEMPLATE_DRAFT: &str = "989869B1-B560-489C-9C6F-4B444F24BF36";

pub(crate) fn check(folder: &Folder, document: &Value, problems: &mut Problems) {
    media(folder, document, problems);
    meta(folder, document, problems);
    registration(folder, problems);
    if !folder.path.join("draft_cover.jpg").is_file() {
        problems.fixable(
            Info,
            "cover",
            "draft_cover.jpg",
            "there is no cover: the draft stands in the app's list without a picture",
            "draws one",
        );
    }
}

/// A local media file that the document names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medium<'a> {
    /// `videos` or `audios`.
    pub list: &'static str,
    pub index: usize,
    pub material: &'a Value,
}

impl<'a> Medium<'a> {
    pub fn path(&self) -> &'a str {
        self.material["path"].as_str().unwrap_or_default()
    }

    pub fn link(&self) -> &'a str {
        self.material["local_material_id"]
            .as_str()
            .unwrap_or_default()
    }

    pub fn name(&self) -> &'a str {
        let key = if self.list == "videos" {
            "material_name"
        } else {
            "name"
        };
        let name = self.material[key].as_str().unwrap_or_default();
        if name.is_empty() {
            self.path().rsplit(['/', '\\']).next().unwrap_or_default()
        } else {
            name
        }
    }

    /// Where its file is; one without a path is looked for by its name.
    pub fn locate(&self, folder: &Folder) -> Located {
        folder.locate(if self.path().is_empty() {
            self.name()
        } else {
            self.path()
        })
    }

    /// Sound of the app's own library has no file here.
    fn is_local(&self) -> bool {
        let kind = self.material["type"].as_str().unwrap_or_default();
        !(self.list == "audios"
            && self.path().is_empty()
            && !matches!(kind, "extract_music" | "record"))
    }
}

/// The local media of a document.
pub(crate) fn all_media(document: &Value) -> Vec<Medium<'_>> {
    ["videos", "audios"]
        .into_iter()
        .flat_map(|name| {
            list(&document["materials"][name])
                .iter()
                .enumerate()
                .map(move |(index, material)| Medium {
                    list: name,
                    index,
                    material,
                })
        })
        .filter(Medium::is_local)
        .collect()
}

/// The entries of the media bin, with the file of each.
pub(crate) fn bin_entries(meta: &Value) -> impl Iterator<Item = &Value> {
    list(&meta["draft_materials"])
        .iter()
        .flat_map(|group| list(&group["value"]))
}

/// A path in the one form in which those of timeline, bin and folder can be compared.
pub(crate) fn in_draft(folder: &Folder, path: &str) -> String {
    let plain = path.replace('\\', "/");
    let here = registry::app_path(&folder.path);
    let starts = [
        folder.told().unwrap_or_default().replace('\\', "/"),
        here,
        TOKEN.to_owned(),
        ".".to_owned(),
    ];
    for start in starts.iter().filter(|start| !start.is_empty()) {
        if let Some(rest) = plain
            .strip_prefix(start.trim_end_matches('/'))
            .and_then(|rest| rest.strip_prefix('/'))
        {
            return format!("./{rest}");
        }
    }
    plain
}

fn media(folder: &Folder, document: &Value, problems: &mut Problems) {
    let meta = folder.meta();
    let entries: Vec<(&str, String)> = meta
        .map(|meta| {
            bin_entries(meta)
                .filter_map(|entry| {
                    Some((
                        entry["id"].as_str()?,
                        in_draft(folder, entry["file_Path"].as_str()?),
                    ))
                })
                .collect()
        })
        .unwrap_or_default();
    let ids: std::collections::HashSet<&str> = entries.iter().map(|(id, _)| *id).collect();
    let paths: std::collections::HashSet<&str> =
        entries.iter().map(|(_, path)| path.as_str()).collect();
    for medium in all_media(document) {
        let place = format!(
            "{}: materials.{}[{}]",
            folder.canonical, medium.list, medium.index
        );
        let path = medium.path();
        match medium.locate(folder) {
            Located::Inside(file) => whole(&file, &place, problems),
            Located::Moved(file) => {
                problems.fixable(
                    Error,
                    "media-moved",
                    format!("{place}.path"),
                    if path.is_empty() {
                        format!("there is no path, though the file is in the draft: {}", shown(folder, &file))
                    } else {
                        format!("\"{path}\" leads nowhere on this machine, though the file is in the draft: {}", shown(folder, &file))
                    },
                    "writes the path of the file in the draft",
                );
            }
            Located::Outside(file) => {
                whole(&file, &place, problems);
                problems.fixable(
                    Warning,
                    "media-outside",
                    format!("{place}.path"),
                    format!("\"{path}\" is outside the draft: the app on macOS may not read it, and it is lost when the file moves"),
                    "copies it into the draft",
                );
            }
            Located::Nowhere => problems.add(
                Error,
                "media-missing",
                format!("{place}.path"),
                if path.is_empty() {
                    format!(
                        "there is no path, and no file \"{}\" in the draft",
                        medium.name()
                    )
                } else {
                    format!("there is no file \"{path}\"")
                },
                "put the file there, relink it in the app, or save the draft again",
            ),
        }
        if meta.is_none() || path.is_empty() {
            continue;
        }
        let linked = ids.contains(medium.link());
        if !linked && !paths.contains(in_draft(folder, path).as_str()) {
            problems.fixable(
                Warning,
                "media-unregistered",
                format!("{META}: draft_materials"),
                format!("\"{}\" is not in the list of media: CapCut 9 and JianYing 11 on macOS show it as lost", medium.name()),
                "puts it there",
            );
        } else if !linked {
            problems.fixable(
                Warning,
                "media-unlinked",
                format!("{place}.local_material_id"),
                format!("it leads to no entry of the list of media in `{META}`: CapCut 9.3 and JianYing since 5.9 may show the clip as missing"),
                "writes the entry's id",
            );
        }
    }
}

/// A media file that is there should also be one.
fn whole(file: &Path, place: &str, problems: &mut Problems) {
    if fs::metadata(file).is_ok_and(|metadata| metadata.len() == 0) {
        problems.add(
            Error,
            "media-empty",
            format!("{place}.path"),
            format!("{} is empty", file.display()),
            "replace it with the whole file, or save the draft again",
        );
        return;
    }
    if let Some((content, name)) = misnamed(file) {
        problems.add(
            Info,
            "media-misnamed",
            format!("{place}.path"),
            format!("it is named .{name}, but it is {content}"),
            "the app reads most such files all the same; else save the draft again from here",
        );
    }
}

/// What a file is and what its name says, where they do not agree.
fn misnamed(file: &Path) -> Option<(&'static str, String)> {
    use std::io::Read as _;
    let name = file.extension()?.to_string_lossy().to_lowercase();
    let mut start = [0; 16];
    let mut open = fs::File::open(file).ok()?;
    let length = open.read(&mut start).ok()?;
    let start = &start[..length];
    let at = |position: usize, bytes: &[u8]| {
        start
            .get(position..)
            .is_some_and(|rest| rest.starts_with(bytes))
    };
    let (content, names): (_, &[&str]) = if at(0, b"\x89PNG") {
        ("PNG", &["png"])
    } else if at(0, b"\xff\xd8\xff") {
        ("JPEG", &["jpg", "jpeg"])
    } else if at(0, b"GIF8") {
        ("GIF", &["gif"])
    } else if at(8, b"WEBP") {
        ("WebP", &["webp"])
    } else if at(8, b"WAVE") {
        ("WAV", &["wav"])
    } else if at(4, b"ftyp") {
        (
            "MP4",
            &[
                "mp4", "mov", "m4a", "m4v", "qt", "3gp", "heic", "heif", "avif",
            ],
        )
    } else if at(0, b"\x1aE\xdf\xa3") {
        ("Matroska or WebM", &["mkv", "webm", "mka"])
    } else if at(0, b"OggS") {
        ("Ogg", &["ogg", "oga", "opus"])
    } else if at(0, b"fLaC") {
        ("FLAC", &["flac"])
    } else if at(0, b"<!DO") || at(0, b"<htm") || at(0, b"<HTM") {
        ("a web page", &["html", "htm"])
    } else {
        return None;
    };
    (!names.contains(&name.as_str())).then_some((content, name))
}

fn meta(folder: &Folder, document: &Value, problems: &mut Problems) {
    let Some(meta) = folder.meta() else {
        if !folder.files.contains_key(META) {
            problems.fixable(
                Error,
                "meta-missing",
                META,
                "is missing: the app does not list the draft",
                "writes it",
            );
        }
        return;
    };
    let text = |key: &str| meta[key].as_str().unwrap_or_default();
    let mut wrong = |severity, code, key: &str, what: String, how| {
        problems.fixable(severity, code, format!("{META}: {key}"), what, how);
    };
    if text("draft_id").eq_ignore_ascii_case(TEMPLATE_DRAFT) || text("draft_id").is_empty() {
        wrong(
            Warning,
            "template-id",
            "draft_id",
            "every draft of the reference server has this same id: the app takes them for one"
                .to_owned(),
            "gives the draft an id of its own",
        );
    }
    if !folder.is_for_another_system() {
        if !same(text("draft_fold_path"), &folder.path) {
            wrong(
                Error,
                "foreign-path",
                "draft_fold_path",
                format!(
                    "it says \"{}\", but the draft is elsewhere",
                    text("draft_fold_path")
                ),
                "writes where the draft is",
            );
        }
        let root = folder.path.parent().unwrap_or(Path::new("/"));
        if !same(text("draft_root_path"), root) {
            wrong(
                Warning,
                "foreign-path",
                "draft_root_path",
                format!(
                    "it says \"{}\", but the draft is elsewhere",
                    text("draft_root_path")
                ),
                "writes where the draft is",
            );
        }
        if text("draft_name") != folder.name() {
            wrong(
                Warning,
                "draft-name",
                "draft_name",
                format!(
                    "it says \"{}\", but the folder is named \"{}\"; the app may rename the folder",
                    text("draft_name"),
                    folder.name()
                ),
                "writes the name of the folder",
            );
        }
    }
    let told = meta["tm_duration"].as_i64().unwrap_or_default();
    let end = end_of(document);
    if (told - end.0).abs() > 40_000 {
        wrong(
            Info,
            "meta-duration",
            "tm_duration",
            format!(
                "it says {}, the last segment ends at {end}",
                crate::units::Micros(told)
            ),
            "writes the end of the last segment",
        );
    }
}

fn registration(folder: &Folder, problems: &mut Problems) {
    if folder.registry().is_none() || folder.is_for_another_system() {
        return;
    }
    match registry::entry(&folder.path) {
        Ok(Some(_)) => {}
        Ok(None) => problems.fixable(
            Warning,
            "unregistered",
            format!("../{}", registry::FILE),
            "the app's list of drafts does not have this one: some versions do not show it",
            "puts it there; the app must not run meanwhile",
        ),
        Err(error) => problems.add(
            Info,
            "registry",
            format!("../{}", registry::FILE),
            error.message,
            error.hint.unwrap_or_default(),
        ),
    }
}

/// A file of the draft as it is called inside it.
fn shown(folder: &Folder, file: &Path) -> String {
    file.strip_prefix(&folder.path)
        .unwrap_or(file)
        .to_string_lossy()
        .replace('\\', "/")
}
