//! A draft that came in a zip file, put into a drafts folder of this computer: its paths are those of this computer, and
//! it is in the app's list of drafts.
//!
//! Unpacking is left to the caller, who fills the temporary folder that becomes the draft's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use capcut_draft::{CompanionFile, Document, PathPart};

use super::existing::{self, IfTaken, Terms};
use super::staging::{self, Staging};
use super::{WhileRunning, name, next_here, refuse_running, said_of, unwritable};
use crate::draft::finished::made_id;
use crate::engine::documents::document_error;
use crate::engine::draft_files::{FileContent, META, ROOTS, content};
use crate::engine::marker::{self, Marker, Stamp, WrittenFile};
use crate::engine::moved_paths::moved;
use crate::engine::paths::{TOKEN, plain};
use crate::engine::profile::{Profile, own_os};
use crate::engine::registry;
use crate::error::{Error, Result};
use crate::regular_file::DOCUMENT_BYTES;
use crate::units::{Edition, Micros};

/// The folder of media, in which nothing is a document.
const ASSETS: &str = "assets";

/// What is put where.
#[derive(Clone, Debug)]
pub(crate) struct PullRequest {
    /// The drafts folder.
    pub drafts: PathBuf,
    /// The name of the draft in the app, and of its folder.
    pub name: String,
    /// Identifies the draft in all its versions.
    pub draft: String,
    pub edition: Edition,
    /// SHA-256 of the zip file.
    pub archive: String,
    /// The files whose paths in the documents begin with the token; `None` if the zip file has no list.
    pub media: Option<BTreeSet<String>>,
    pub if_taken: IfTaken,
}

/// The result.
#[derive(Debug)]
pub(crate) struct PulledDraft {
    pub folder: PathBuf,
    pub change: PulledChange,
    /// Whether the draft is in the app's list of drafts.
    pub registered: bool,
    /// What differs from the request.
    pub notes: Vec<String>,
    /// What to do next, so that the app shows the draft.
    pub next: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PulledChange {
    /// The draft is new on this computer.
    New,
    /// It replaced an earlier version.
    Replaced,
    /// This version was there already.
    Nothing,
}

impl PullRequest {
    /// Fails if the app is running: it keeps its list of drafts in memory and writes it when it quits.
    pub(crate) fn refuse_running(&self) -> Result<()> {
        let looked_for = registry::is_drafts_folder(&self.drafts).then_some(self.edition);
        let running = looked_for.and_then(registry::running);
        refuse_running(WhileRunning::Refuse, self.edition, running.as_deref())
            .map_err(|error| error.hint("quit the app and repeat the command"))
    }

    /// The draft, if this version of it is on this computer already. Only its entry in the app's list is added if it is
    /// missing there.
    pub(crate) fn found(&self) -> Result<Option<PulledDraft>> {
        staging::clean(&self.drafts);
        let folders = fs::read_dir(&self.drafts).into_iter().flatten().flatten();
        let is_it = |folder: &PathBuf| {
            let marker = Marker::read(folder)?;
            let is_same =
                marker.draft == self.draft && marker.pulled.as_ref() == Some(&self.archive);
            is_same.then(|| marker.changed(folder))
        };
        let found = folders
            .map(|entry| entry.path())
            .filter(|folder| !is_hidden(folder))
            .find_map(|folder| Some((is_it(&folder)?, folder)));
        let Some((changed, folder)) = found else {
            return Ok(None);
        };
        let mut notes = Vec::new();
        if !changed.is_empty() {
            notes.push(format!(
                "the draft was changed on this computer since ({}) and stays as it is",
                existing::listed(&changed)
            ));
        }
        let is_listed = registry::entry(&folder).is_ok_and(|entry| entry.is_some());
        let registered = is_listed
            || (changed.is_empty() && registry::is_drafts_folder(&self.drafts) && {
                self.refuse_running()?;
                self.register(&folder, &mut notes)
            });
        Ok(Some(self.done(
            folder,
            PulledChange::Nothing,
            registered,
            notes,
        )))
    }

    /// Puts the draft there. `unpack` fills the folder that it is given.
    pub(crate) fn put(&self, unpack: impl FnOnce(&Path) -> Result<()>) -> Result<PulledDraft> {
        self.refuse_running()?;
        let wanted = name::folder(&self.name);
        let terms = Terms {
            draft: self.draft.clone(),
            if_taken: self.if_taken,
            ..Terms::default()
        };
        let staging = Staging::begin(&self.drafts, &wanted, false, terms)
            .map_err(|error| error.hint("give the draft another name with `--name`"))?;
        let mut notes: Vec<String> = staging.note.clone().into_iter().collect();
        if wanted != self.name.trim() {
            notes.push(format!(
                "the folder and the draft are named \"{wanted}\", as \"{}\" is not a valid name on every system",
                self.name
            ));
        }
        unpack(&staging.path)?;
        let folder = staging.path_of_draft();
        // Two drafts of one id would be one draft for the app.
        let is_beside = staging.note.is_some();
        let written = self.written(&staging.path, &folder, is_beside, &mut notes)?;
        self.mark(&staging.path, &written)?;
        let change = match staging.marker_before() {
            Some(_) => PulledChange::Replaced,
            None => PulledChange::New,
        };
        notes.extend(staging.finish()?.iter().map(said_of));
        let registered =
            registry::is_drafts_folder(&self.drafts) && self.register(&folder, &mut notes);
        Ok(self.done(folder, change, registered, notes))
    }

    fn done(
        &self,
        folder: PathBuf,
        change: PulledChange,
        registered: bool,
        notes: Vec<String>,
    ) -> PulledDraft {
        let name = name_of(&folder);
        let next = next_here(self.edition, None, registered, (&folder, &name));
        PulledDraft {
            folder,
            change,
            registered,
            notes,
            next,
        }
    }

    /// Writes the documents for this computer into the temporary folder of a draft that will be at `folder`; returns
    /// their names.
    fn written(
        &self,
        staged: &Path,
        folder: &Path,
        is_beside: bool,
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>> {
        let here = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let new = registry::app_path(&here);
        let root = registry::app_path(here.parent().unwrap_or(&here));
        let meta = marker::read(&staged.join(META)).ok();
        let meta = meta.and_then(|bytes| CompanionFile::parse(bytes).ok());
        let stated = meta.as_ref().and_then(|meta| {
            let stated = plain(&meta.text(&[PathPart::Key("draft_fold_path")])?);
            (!stated.is_empty() && stated != new).then_some(stated)
        });
        let mut is_meant = |below: &str| match &self.media {
            Some(media) => media.contains(below),
            None => is_plain(below) && staged.join(below).is_file(),
        };
        let mut written = Vec::new();
        let mut roots = 0;
        for (name, bytes) in documents(staged)? {
            let is_root = ROOTS.contains(&&*name);
            roots += usize::from(is_root);
            let what = content(without_mark(&bytes));
            let text = match (String::from_utf8(bytes), what) {
                (Ok(text), FileContent::Json) => text,
                (_, FileContent::Encrypted) if is_root => {
                    notes.push(format!(
                        "`{name}` is encrypted, as newer versions of JianYing do: its paths and its content were not checked"
                    ));
                    written.push(name);
                    continue;
                }
                _ if is_root => {
                    return Err(Error::invalid(format!(
                        "`{name}` in the zip file is damaged: it is not JSON"
                    ))
                    .hint("save the draft again where it was made"));
                }
                _ => {
                    written.push(name);
                    continue;
                }
            };
            let mut after = moved(&text, TOKEN, &new, &mut is_meant);
            if let Some(stated) = &stated {
                after = moved(&after, stated, &new, &mut is_meant);
            }
            let after = if name == META {
                self.meta(after, (&new, &root), &name_of(folder), is_beside)?
            } else {
                after.into_bytes()
            };
            if is_root {
                Document::parse(without_mark(&after).to_vec()).map_err(|error| {
                    document_error(error).hint("save the draft again where it was made")
                })?;
            }
            if after != text.as_bytes() {
                let path = staged.join(&name);
                fs::write(&path, &after).map_err(|error| unwritable(&path, error))?;
            }
            written.push(name);
        }
        if roots == 0 {
            return Err(Error::invalid(
                "the zip file contains no draft: it has neither `draft_content.json` nor `draft_info.json`",
            ));
        }
        Ok(written)
    }

    /// `draft_meta_info.json` with the name and the paths on this computer.
    fn meta(
        &self,
        text: String,
        (folder, root): (&str, &str),
        name: &str,
        is_beside: bool,
    ) -> Result<Vec<u8>> {
        let mut meta = CompanionFile::parse(text).map_err(document_error)?;
        let own_id = made_id(&[&self.draft, folder, "draft"]);
        let values = [
            ("draft_fold_path", folder),
            ("draft_root_path", root),
            ("draft_name", name),
        ];
        let id = is_beside.then_some(("draft_id", &*own_id));
        for (key, value) in values.into_iter().chain(id) {
            let path = [PathPart::Key(key)];
            if meta.text(&path).as_deref() != Some(value) {
                meta.set(&path, value).map_err(document_error)?;
            }
        }
        Ok(meta.write())
    }

    fn mark(&self, staged: &Path, documents: &[String]) -> Result<()> {
        let mut marker = Marker {
            draft: self.draft.clone(),
            pulled: Some(self.archive.clone()),
            ..Marker::default()
        };
        for inside in files(staged)? {
            let path = staged.join(&inside);
            let file = if documents.contains(&inside) {
                let bytes = marker::read(&path).map_err(|error| unwritable(&path, error))?;
                WrittenFile::Hash(marker::hash(&bytes))
            } else {
                WrittenFile::Media(Stamp::of(&path).map_err(|error| unwritable(&path, error))?)
            };
            if let (true, WrittenFile::Hash(hash)) = (inside == ROOTS[0], &file) {
                marker.document.clone_from(hash);
            }
            marker.files.insert(inside, file);
        }
        marker.write(staged)
    }

    fn register(&self, folder: &Path, notes: &mut Vec<String>) -> bool {
        let meta = marker::read(&folder.join(META)).unwrap_or_default();
        let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap_or_default();
        let first = Profile::built_in(self.edition, own_os()).primary_file();
        let mut all = [first].into_iter().chain(ROOTS);
        let json_file = all.find(|root| folder.join(root).is_file());
        let media = fs::metadata(folder.join(ASSETS)).is_ok();
        let media = media.then(|| files(&folder.join(ASSETS)).unwrap_or_default());
        let sizes = media.into_iter().flatten().filter_map(|file| {
            let file = folder.join(ASSETS).join(file);
            fs::metadata(file).ok().map(|file| file.len())
        });
        let entry = registry::RegistryEntry {
            name: &name_of(folder),
            id: meta["draft_id"].as_str().unwrap_or_default(),
            folder,
            json_file: json_file.unwrap_or(first),
            duration: Micros(meta["tm_duration"].as_i64().unwrap_or_default()),
            bytes: sizes.sum(),
            now: super::now(),
        };
        match registry::register(&entry) {
            Ok(_) => true,
            Err(error) => {
                notes.push(error.to_string());
                false
            }
        }
    }
}

/// A text without a byte order mark.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn is_hidden(folder: &Path) -> bool {
    name_of(folder).starts_with('.')
}

/// Whether a path stays inside its folder.
fn is_plain(below: &str) -> bool {
    !below.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// The files below a folder, by their paths with `/`.
pub(crate) fn files(folder: &Path) -> Result<Vec<String>> {
    let all = existing::walk(folder).map_err(|error| {
        Error::conflict(format!("{} cannot be read", folder.display())).source(error)
    })?;
    let all = all.iter().filter(|inside| !folder.join(inside).is_dir());
    let paths = all.map(|inside| {
        let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    });
    Ok(paths.collect())
}

/// The files of a draft's folder that may contain paths, with their contents: its documents, and small files beside them.
pub(crate) fn documents(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for inside in files(folder)? {
        if !is_document(&inside) {
            continue;
        }
        let path = folder.join(&inside);
        let size = fs::symlink_metadata(&path).map_or(0, |file| file.len());
        if size > DOCUMENT_BYTES {
            return Err(Error::invalid(format!(
                "`{inside}` has {size} bytes, but a document has at most {DOCUMENT_BYTES}"
            )));
        }
        let bytes = marker::read(&path).map_err(|error| {
            Error::conflict(format!("{} cannot be read", path.display())).source(error)
        })?;
        found.push((inside, bytes));
    }
    Ok(found)
}

/// Whether a file of a draft's folder is a document of the app.
pub(crate) fn is_document(inside: &str) -> bool {
    let first = inside.split('/').next().unwrap_or_default();
    let ending = Path::new(inside).extension().and_then(|it| it.to_str());
    first != ASSETS && matches!(ending, None | Some("json" | "tmp" | "bak" | "extra"))
}
