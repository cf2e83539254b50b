//! A draft folder on disk: its documents, which of them takes precedence, and its media.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::engine::draft_files::DraftFiles;
pub(super) use crate::engine::draft_files::{
    BACKUP, DocumentFile, FileContent, LOCKED, META, ROOTS, TEMPLATE,
};
use crate::engine::folder_change;
use crate::engine::marker::Marker;
use crate::engine::paths::{
    TOKEN, below, file_name, is_foreign, is_windows, plain, same, without_verbatim,
};
use crate::engine::registry;
pub(super) use crate::engine::timelines::PROJECT;
use crate::error::{Error, Result};
use crate::sorting;

/// Maximum number of a draft's files to search when a file is looked up by name.
const MOST_FILES: usize = 50_000;

/// A draft folder and its documents.
#[derive(Debug)]
pub(super) struct Folder {
    pub path: PathBuf,
    /// The existing documents.
    pub files: Vec<DocumentFile>,
    /// The content of `draft_meta_info.json`, if it can be read.
    pub meta: Option<Value>,
    /// The content of `Timelines/project.json`, if it can be read.
    pub project: Option<Value>,
    /// The id of the main timeline, from `project`.
    pub main_timeline: Option<String>,
    /// What this program recorded when it saved the draft here.
    pub marker: Option<Marker>,
    media: OnceCell<HashMap<String, PathBuf>>,
}

/// Where a media file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MediaLocation {
    /// In the draft's folder, at its path.
    Inside(PathBuf),
    /// In the draft's folder, but not at its path.
    Moved(PathBuf),
    /// At its path, outside the draft's folder.
    Outside(PathBuf),
    /// In the folder that the user named, not at its path.
    Found(PathBuf),
    /// There are several such files in the folder that the user named.
    Several(Vec<PathBuf>),
    /// On the machine that the draft was written for, which is not this one.
    Elsewhere,
    Nowhere,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let fault = if path.is_file() {
                format!("{} is a file, not a folder", path.display())
            } else {
                format!("the folder {} does not exist", path.display())
            };
            return Err(Error::not_found(fault)
                .hint("name the draft's own folder, the one with `draft_content.json` or `draft_info.json`"));
        }
        let path = path
            .canonicalize()
            .map_or_else(|_| path.to_owned(), without_verbatim);
        folder_change::settle(&path)?;
        let DraftFiles {
            files,
            project,
            main_timeline,
        } = DraftFiles::read(&path)?;
        let meta = files.iter().find(|file| file.name == META);
        let meta = meta.and_then(|file| serde_json::from_slice::<Value>(file.json()).ok());
        let meta = meta.filter(Value::is_object);
        if files.iter().all(|file| file.name == PROJECT) {
            let hint = match nearest(&path) {
                Some(draft) => format!("did you mean {}?", draft.display()),
                None => "name the draft's own folder, the one with `draft_content.json` or `draft_info.json`".to_owned(),
            };
            return Err(
                Error::not_found(format!("{} is not a draft folder", path.display())).hint(hint),
            );
        }
        let marker = Marker::read(&path);
        Ok(Self {
            path,
            files,
            meta,
            project,
            main_timeline,
            marker,
            media: OnceCell::new(),
        })
    }

    pub(crate) fn file(&self, name: &str) -> Option<&DocumentFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The readable documents, by precedence: the newest comes first, because an edited file is newer than the
    /// others, while the times of files from one save differ by less than two seconds.
    pub(crate) fn candidates(&self) -> Vec<&DocumentFile> {
        let mut all: Vec<_> = self
            .files
            .iter()
            .filter(|file| ROOTS.contains(&file_name(&file.name)))
            .filter(|file| file.content() == FileContent::Json)
            .collect();
        sorting::sort_by_key(&mut all, |file| {
            let seconds = file
                .state
                .modified()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs() / 2);
            let rank = ROOTS.iter().position(|root| *root == file.name);
            (Reverse(seconds), rank.unwrap_or(ROOTS.len()))
        });
        all
    }

    /// The files that must have the same content as the document.
    pub(crate) fn mirrors<'a>(
        &'a self,
        document: &'a str,
    ) -> impl Iterator<Item = &'a DocumentFile> {
        self.files
            .iter()
            .filter(move |file| file.name != document && file.has_timeline())
    }

    /// The name of the folder.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// A text field of `draft_meta_info.json`, or an empty text.
    pub(crate) fn meta_text(&self, key: &str) -> &str {
        let value = self.meta.as_ref().and_then(|meta| meta[key].as_str());
        value.unwrap_or_default()
    }

    /// The folder of the draft according to its own files.
    pub(crate) fn stated_path(&self) -> &str {
        self.meta_text("draft_fold_path")
    }

    /// Whether the draft has the id of the reference server's template, which all of the server's drafts share.
    pub(crate) fn is_template(&self) -> bool {
        TEMPLATE_DRAFTS
            .iter()
            .any(|id| id.eq_ignore_ascii_case(self.meta_text("draft_id")))
    }

    /// Whether the draft was written for a location on another machine; its paths can be checked only there.
    pub(crate) fn is_for_another_machine(&self) -> bool {
        let told = self.stated_path();
        let is_elsewhere =
            self.is_saved_for_elsewhere() && !told.is_empty() && !same(told, &self.path);
        !self.is_template() && (is_foreign(told) || is_elsewhere)
    }

    /// Whether this program saved the draft to be copied to another location.
    pub(crate) fn is_saved_for_elsewhere(&self) -> bool {
        self.marker.as_ref().is_some_and(|marker| marker.elsewhere)
    }

    /// Locates the file with this `path` in a document or, if the path is empty, with this `name`.
    pub(crate) fn locate(&self, path: &str, name: &str) -> MediaLocation {
        let text = plain(path);
        let inside = |rest: &str| Some(self.path.join(rest)).filter(|file| file.is_file());
        let here = registry::app_path(&self.path);
        let is_absolute = text.starts_with('/') || is_windows(path);
        let own = below(&text, TOKEN)
            .or_else(|| below(&text, &here))
            .or_else(|| below(&text, "."))
            .or(Some(&*text)
                .filter(|text| !text.is_empty() && !is_absolute && !text.contains("..")));
        if let Some(file) = own.and_then(inside) {
            return MediaLocation::Inside(file);
        }
        let told = plain(self.stated_path());
        if let Some(file) = below(&text, &told).and_then(inside) {
            return if self.is_for_another_machine() || same(&told, &self.path) {
                MediaLocation::Inside(file)
            } else {
                MediaLocation::Moved(file)
            };
        }
        let local = Path::new(path);
        if local.is_absolute() && !is_foreign(path) && local.is_file() {
            return MediaLocation::Outside(local.to_owned());
        }
        // A display name can be anything, so it is used only if there is no path.
        let name = if text.is_empty() {
            file_name(name)
        } else {
            file_name(&text)
        };
        if let Some(file) = self.media().get(&name.to_lowercase()) {
            return MediaLocation::Moved(self.path.join(file));
        }
        if (is_foreign(path) || is_absolute) && self.is_for_another_machine() {
            MediaLocation::Elsewhere
        } else {
            MediaLocation::Nowhere
        }
    }

    /// All files of the draft that may be media, by their names in lower case.
    fn media(&self) -> &HashMap<String, PathBuf> {
        self.media.get_or_init(|| {
            let mut found = HashMap::new();
            let mut folders = vec![PathBuf::new()];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(self.path.join(&folder))
                    .into_iter()
                    .flatten()
                    .flatten()
                {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let Ok(kind) = entry.file_type() else {
                        continue;
                    };
                    if name.starts_with('.') || found.len() >= MOST_FILES {
                        continue;
                    }
                    let path = folder.join(&name);
                    if kind.is_dir() && name != "Timelines" {
                        folders.push(path);
                    } else if kind.is_file() && !is_own(&name) {
                        found.entry(name.to_lowercase()).or_insert(path);
                    }
                }
            }
            found
        })
    }

    /// The path of a file relative to the draft's folder.
    pub(crate) fn shown(&self, file: &Path) -> String {
        let inside = file.strip_prefix(&self.path).unwrap_or(file);
        inside.to_string_lossy().replace('\\', "/")
    }
}

/// The draft ids in the reference server's templates for CapCut and JianYing.
const TEMPLATE_DRAFTS: [&str; 2] = [
    "989869B1-B560-489C-9C6F-4B444F24BF36",
    "EC6E4680-CEF1-408B-8BA9-5E13124C61D2",
];

/// Whether a file belongs to the app and is not media.
fn is_own(name: &str) -> bool {
    matches!(
        Path::new(name)
            .extension()
            .and_then(|ending| ending.to_str()),
        None | Some("json" | "tmp" | "bak" | "extra")
    ) || name == "draft_cover.jpg"
}

/// The newest draft in the subfolders of a folder that is not a draft itself.
fn nearest(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| ROOTS.iter().any(|root| path.join(root).is_file()))
        .max_by_key(|path| {
            fs::metadata(path)
                .and_then(|metadata| metadata.modified())
                .ok()
        })
}
