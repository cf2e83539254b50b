//! What exists at the path where a draft will be saved: whether it may be replaced, and what is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::draft_files::{LOCKED, is_open_in_app};
use crate::engine::folder_change;
use crate::engine::marker::{self, Marker, PlanOrigin, Stamp, WrittenFile};
use crate::engine::{registry, timelines};
use crate::error::{Error, Result};

pub(super) const TIMELINES: [&str; 2] = ["draft_content.json", "draft_info.json"];

/// Documents that earlier versions wrote without recording them.
const DOCUMENTS: [&str; 7] = [
    "draft_content.json",
    "draft_info.json",
    "draft_meta_info.json",
    "draft_virtual_store.json",
    "draft_agency_config.json",
    "draft_settings",
    super::cover::FILE,
];

/// Copies of a draft's documents that the app keeps. Next to a new document they would be outdated, and some
/// versions of the app use them.
const COPIES: [&str; 7] = [
    "Timelines",
    ".backup",
    "timeline_layout.json",
    "template.tmp",
    "template-2.tmp",
    "draft_content.json.bak",
    "draft_info.json.bak",
];

/// What a save writes, and what it may replace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub draft: String,
    pub origin: PlanOrigin,
    /// Files that are not ours, or were changed since, may be replaced; they are kept as a backup.
    pub overwrite: bool,
    /// Where the draft was last saved, according to the journal.
    pub saved_to: Option<PathBuf>,
    /// What to do if the name is taken.
    pub if_taken: IfTaken,
}

/// What to do if the name of a draft is taken and may not be replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum IfTaken {
    /// The save fails.
    #[default]
    Refuse,
    /// It fails if there is another draft; next to an edited version of this draft the name gets a number.
    NumberIfEdited,
    /// The name gets the next free number.
    Number,
}

/// A folder that may be replaced.
#[derive(Debug)]
pub(super) struct Existing {
    /// The canonical path.
    pub folder: PathBuf,
    /// Its marker, if the folder is ours.
    pub marker: Option<Marker>,
    /// The files that were changed since we wrote them.
    pub changed: Vec<String>,
    /// Whether it is kept as a backup.
    pub keep: bool,
    /// An earlier version did not record what it wrote: the folder counts as unchanged if it equals what is
    /// written now.
    unknown: bool,
    /// The documents as they were when their content was checked.
    seen: BTreeMap<String, Stamp>,
}

/// Whether a path can be used.
#[derive(Debug)]
pub(super) enum PathState {
    Free,
    /// A folder of this draft, or one that may be overwritten.
    Replaceable(Box<Existing>),
    /// There is another draft, or something else.
    Taken,
    /// There is this draft, edited since we wrote it: these files were changed. The new one gets another name.
    Edited(Vec<String>),
}

impl PathState {
    /// Checks `to`. A folder of ours that was changed since is an error, unless it may be overwritten.
    pub(super) fn look(to: &Path, terms: &Terms) -> Result<Self> {
        let there = match fs::symlink_metadata(to) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Free),
            Err(error) => return Err(super::unwritable(to, error)),
        };
        if there.is_dir() {
            folder_change::settle(to)?;
        }
        let marker = Some(to).filter(|_| there.is_dir()).and_then(|to| {
            Marker::read(to).or_else(|| {
                // Saved by a version without markers.
                let saved = terms.saved_to.as_deref() == Some(to);
                (saved && is_unmarked(to)).then(|| Marker {
                    draft: terms.draft.clone(),
                    ..Marker::default()
                })
            })
        });
        let plan = &terms.origin.plan;
        let (mine, sibling) = marker.as_ref().map_or((false, false), |marker| {
            (
                marker.draft == terms.draft || (plan.is_some() && marker.origin.plan == *plan),
                terms.origin.batch.is_some() && marker.origin.batch == terms.origin.batch,
            )
        });
        if mine {
            refuse_open(to)?;
            let ours = Existing::ours(to, marker.unwrap_or_default(), terms)?;
            if ours.changed.is_empty() || terms.overwrite {
                return Ok(Self::Replaceable(Box::new(ours)));
            }
            return match terms.if_taken {
                IfTaken::Refuse => Err(edited(to, &ours.changed)),
                IfTaken::NumberIfEdited | IfTaken::Number => Ok(Self::Edited(ours.changed)),
            };
        }
        // A draft of the same batch must never be replaced.
        if !terms.overwrite || sibling {
            return Ok(Self::Taken);
        }
        refuse_open(to)?;
        Ok(Self::Replaceable(Box::new(Existing {
            folder: to.to_owned(),
            marker: None,
            changed: Vec::new(),
            keep: true,
            unknown: false,
            seen: BTreeMap::new(),
        })))
    }
}

impl Existing {
    fn ours(to: &Path, marker: Marker, terms: &Terms) -> Result<Self> {
        let folder = to
            .canonicalize()
            .map_err(|error| super::unwritable(to, error))?;
        let documents = marker
            .files
            .iter()
            .filter(|(_, written)| matches!(written, WrittenFile::Hash(_)))
            .map(|(name, _)| name.as_str());
        let mut seen = BTreeMap::new();
        for name in documents.chain(TIMELINES) {
            if let Ok(stamp) = Stamp::of(&to.join(name)) {
                seen.insert(name.to_owned(), stamp);
            }
        }
        let is_noted = !marker.files.is_empty();
        let unknown = !is_noted && marker.document.is_empty();
        let mut changed = if is_noted {
            marker.changed(to)
        } else if unknown {
            Vec::new()
        } else {
            let is_ours =
                |name: &&str| marker::read(&to.join(name)).is_ok_and(|bytes| marker.wrote(&bytes));
            let edited = TIMELINES.into_iter().filter(|name| !is_ours(name));
            edited.map(str::to_owned).collect()
        };
        let has_copy = |name: &&str| fs::symlink_metadata(to.join(name)).is_ok();
        let below = |name: &str| {
            let within = format!("{name}/");
            let is_below = |path: &String| path == name || path.starts_with(&within);
            marker.files.keys().any(is_below)
        };
        let copies: Vec<&str> = COPIES
            .into_iter()
            .filter(has_copy)
            .filter(|name| !below(name))
            .collect();
        // Timelines that the app created from the draft: it uses them from then on.
        let nested = walk(&to.join(timelines::FOLDER)).unwrap_or_default();
        for file in nested {
            let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
            let inside = format!("{}/{}", timelines::FOLDER, parts.join("/"));
            let is_document = timelines::DOCUMENTS.iter().any(|name| file.ends_with(name));
            if is_noted && is_document && !marker.files.contains_key(&inside) {
                changed.push(inside);
            }
        }
        let keep =
            !changed.is_empty() || !is_noted || !copies.is_empty() || marker.draft != terms.draft;
        Ok(Self {
            folder,
            marker: Some(marker),
            changed,
            keep,
            unknown,
            seen,
        })
    }

    /// Whether none of our files in `folder`, which was at this path, changed since the check.
    pub(super) fn is_as_seen(&self, folder: &Path) -> bool {
        let documents = self
            .seen
            .iter()
            .all(|(name, stamp)| Stamp::of(&folder.join(name)).is_ok_and(|now| now == *stamp));
        let files = self.marker.iter().flat_map(|marker| &marker.files);
        let mut media = files.filter(|(name, _)| !self.changed.contains(name));
        documents
            && media.all(|(name, written)| match written {
                WrittenFile::Media(stamp) => stamp.is_of(&folder.join(name)),
                WrittenFile::Hash(_) => true,
            })
    }

    /// Whether it must equal what is written now to count as unchanged, but does not.
    pub(super) fn differs_from(&self, new: &Path) -> bool {
        self.unknown
            && TIMELINES.iter().any(|name| {
                let [old, new] = [&self.folder, new].map(|folder| marker::read(&folder.join(name)));
                match (old, new) {
                    (Ok(old), Ok(new)) => old != new,
                    _ => true,
                }
            })
    }

    /// The files in it that are not ours and are kept. Empty if it is another draft.
    pub(super) fn foreign(&self) -> io::Result<Vec<PathBuf>> {
        let Some(marker) = &self.marker else {
            return Ok(Vec::new());
        };
        let mut ours: BTreeSet<PathBuf> = marker.paths().collect();
        if marker.files.is_empty() {
            ours.extend(DOCUMENTS.map(PathBuf::from));
            ours.extend(media_of(&self.folder));
        }
        let mut files = walk(&self.folder)?;
        files.retain(|file| !ours.contains(file) && !is_copy(file) && !is_temporary(file));
        Ok(files)
    }
}

/// The media of a draft saved by an earlier version: those in its media bin.
fn media_of(folder: &Path) -> Vec<PathBuf> {
    let meta = marker::read(&folder.join("draft_meta_info.json")).unwrap_or_default();
    let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap_or_default();
    let lists = meta["draft_materials"].as_array().into_iter().flatten();
    lists
        .flat_map(|list| list["value"].as_array().into_iter().flatten())
        .filter_map(|entry| entry["file_Path"].as_str()?.strip_prefix("./"))
        .map(PathBuf::from)
        .collect()
}

/// Whether a draft folder has no marker file, not even an unreadable one.
fn is_unmarked(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(marker::FILE))
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn is_copy(file: &Path) -> bool {
    COPIES.iter().any(|copy| file.starts_with(copy))
}

/// Whether a file is a temporary file of this program.
fn is_temporary(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(registry::TEMPORARY)
}

/// The covers of a draft and its timelines, by their paths in its folder.
pub(super) fn covers(folder: &Path) -> Vec<String> {
    let timelines = Path::new(timelines::FOLDER);
    let nested = walk(&folder.join(timelines)).unwrap_or_default();
    let nested = nested.iter().map(|file| timelines.join(file));
    let all = nested.chain([PathBuf::from(super::cover::FILE)]);
    all.filter(|file| file.ends_with(super::cover::FILE) && folder.join(file).is_file())
        .map(|file| {
            let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
            parts.join("/")
        })
        .collect()
}

/// Fails if the draft is open in the app, which would overwrite the saved files.
pub(crate) fn refuse_open(folder: &Path) -> Result<()> {
    if !is_open_in_app(folder) {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "the draft {} is open in the app, which would overwrite the saved files (the file `{LOCKED}` exists)",
        folder.display()
    ))
    .hint(format!(
        "close the draft in the app and save again, or save under another `name`; if the app is not running, it left \
         `{LOCKED}` behind: remove that file"
    )))
}

/// The error for a draft that was changed since it was saved.
pub(super) fn edited(folder: &Path, changed: &[String]) -> Error {
    Error::conflict(format!(
        "the draft in {} was changed since it was saved ({}), for instance in the app",
        folder.display(),
        listed(changed)
    ))
    .hint(
        "save with `overwrite`, which keeps the changed draft as a backup, or save under another `name`",
    )
    .at_shell("give `compose` the option `--overwrite`")
}

/// Lists the first few of some files.
pub(super) fn listed(files: &[String]) -> String {
    const NAMED: usize = 4;
    let mut text = files[..files.len().min(NAMED)].join(", ");
    if files.len() > NAMED {
        text += &format!(" and {} more", files.len() - NAMED);
    }
    text
}

/// All files below a folder, including links and pipes, and all empty folders. Links are not followed.
pub(super) fn walk(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inside) = folders.pop() {
        let mut is_empty = true;
        for entry in fs::read_dir(folder.join(&inside))? {
            let entry = entry?;
            is_empty = false;
            let path = inside.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
        if is_empty && inside != Path::new("") {
            found.push(inside);
        }
    }
    found.sort();
    Ok(found)
}

/// Adds files that are not ours to the new folder: with `shared` as hard links, because the old folder will be
/// removed, else as copies. Returns those that could not be added because the new draft has a file with that
/// name.
pub(super) fn carry_over(
    from: &Path,
    to: &Path,
    files: &[PathBuf],
    shared: bool,
) -> io::Result<Vec<PathBuf>> {
    let mut in_the_way = Vec::new();
    for file in files {
        let (old, new) = (from.join(file), to.join(file));
        if fs::symlink_metadata(&old)?.is_dir() {
            fs::create_dir_all(&new)?;
        } else if fs::symlink_metadata(&new).is_ok() {
            if !is_same(&old, &new) {
                in_the_way.push(file.clone());
            }
        } else {
            put(&old, &new, shared)?;
        }
    }
    Ok(in_the_way)
}

/// Adds a file at another path, with its modification time: as a hard link, or as a copy.
pub(super) fn put(old: &Path, new: &Path, shared: bool) -> io::Result<()> {
    if let Some(folder) = new.parent() {
        fs::create_dir_all(folder)?;
    }
    let metadata = fs::symlink_metadata(old)?;
    // Links and pipes cannot be copied, and have no content to change.
    if (shared || !metadata.is_file()) && fs::hard_link(old, new).is_ok() {
        return Ok(());
    }
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{} is not a regular file", old.display()),
        ));
    }
    if reflink_copy::reflink(old, new).is_err() {
        // Never overwrite an existing file: it may be the same file under another name.
        let mut file = fs::File::create_new(new)?;
        io::copy(&mut fs::File::open(old)?, &mut file)?;
    }
    if let (Ok(modified), Ok(file)) = (
        metadata.modified(),
        fs::File::options().write(true).open(new),
    ) {
        // Distinguishes a copy from later changes.
        let _ = file.set_modified(modified);
    }
    fs::set_permissions(new, metadata.permissions())
}

/// Whether two paths are the same file, or a file and its copy by [`put`].
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let [Ok(one), Ok(other)] = [one, other].map(fs::symlink_metadata) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if (one.dev(), one.ino()) == (other.dev(), other.ino()) {
            return true;
        }
    }
    one.is_file() && other.is_file() && Stamp::new(&one) == Stamp::new(&other)
}
