//! What is at the place where a draft will be saved: whether it may be replaced, and what of it stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::marker::{self, Marker, Origin, Stamp, Written};
use crate::engine::{registry, timelines};
use crate::error::{Error, Result};

/// The app's sign that a draft is open in it.
const LOCKED: &str = ".locked";

pub(super) const TIMELINES: [&str; 2] = ["draft_content.json", "draft_info.json"];

/// Documents that earlier versions wrote without noting them.
const DOCUMENTS: [&str; 7] = [
    "draft_content.json",
    "draft_info.json",
    "draft_meta_info.json",
    "draft_virtual_store.json",
    "draft_agency_config.json",
    "draft_settings",
    super::cover::FILE,
];

/// What the app keeps of a draft's documents besides them. Beside a new document they would be stale, and some
/// versions of the app go by them.
const COPIES: [&str; 7] = [
    "Timelines",
    ".backup",
    "timeline_layout.json",
    "template.tmp",
    "template-2.tmp",
    "draft_content.json.bak",
    "draft_info.json.bak",
];

/// What a save wants to put into its place, and on what terms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub draft: String,
    pub origin: Origin,
    /// What is not ours, or was changed since, may be replaced; it is kept as a backup.
    pub overwrite: bool,
    /// Where the journal says that the draft was saved.
    pub saved_to: Option<PathBuf>,
}

/// A folder that may be replaced.
#[derive(Debug)]
pub(super) struct Existing {
    /// Without links.
    pub folder: PathBuf,
    /// What it says of itself, if it is ours.
    pub marker: Option<Marker>,
    /// What somebody else changed in it since we wrote it.
    pub changed: Vec<String>,
    /// It is kept as a backup.
    pub keep: bool,
    /// An earlier version did not note what it wrote: it is unchanged if it equals what is written now.
    unknown: bool,
    /// The documents as they were when their content was looked at.
    seen: BTreeMap<String, Stamp>,
}

/// Whether a place can be taken.
#[derive(Debug)]
pub(super) enum Place {
    Free,
    /// Of this draft, or to be overwritten.
    Replaceable(Box<Existing>),
    /// Another draft is there, or something else.
    Taken,
}

impl Place {
    /// Looks at `to`. What is ours and was changed since is an error, unless it may be overwritten.
    pub(super) fn look(to: &Path, terms: &Terms) -> Result<Self> {
        let there = match fs::symlink_metadata(to) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Free),
            Err(error) => return Err(super::unwritable(to, error)),
        };
        let marker = Some(to).filter(|_| there.is_dir()).and_then(|to| {
            Marker::read(to).or_else(|| {
                // Before there were markers.
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
            let marker = marker.unwrap_or_default();
            return Existing::ours(to, marker, terms).map(|ours| Self::Replaceable(Box::new(ours)));
        }
        // What another draft of the same batch has just saved is never meant.
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
            .filter(|(_, written)| matches!(written, Written::Hash(_)))
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
        // Timelines that the app made of the draft: it goes by them from then on.
        let nested = walk(&to.join(timelines::FOLDER)).unwrap_or_default();
        for file in nested {
            let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
            let inside = format!("{}/{}", timelines::FOLDER, parts.join("/"));
            let is_document = timelines::DOCUMENTS.iter().any(|name| file.ends_with(name));
            if is_noted && is_document && !marker.files.contains_key(&inside) {
                changed.push(inside);
            }
        }
        if !changed.is_empty() && !terms.overwrite {
            return Err(edited(to, &changed));
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

    /// Whether nothing of ours changed in `folder`, which was at this place, since it was looked at.
    pub(super) fn is_as_seen(&self, folder: &Path) -> bool {
        let documents = self
            .seen
            .iter()
            .all(|(name, stamp)| Stamp::of(&folder.join(name)).is_ok_and(|now| now == *stamp));
        let files = self.marker.iter().flat_map(|marker| &marker.files);
        let mut media = files.filter(|(name, _)| !self.changed.contains(name));
        documents
            && media.all(|(name, written)| match written {
                Written::Media(stamp) => stamp.is_of(&folder.join(name)),
                Written::Hash(_) => true,
            })
    }

    /// Whether it has to equal what is written now to count as unchanged, and does not.
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

    /// The files in it that are not ours: what stays. None where it is another draft.
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

/// The media of a draft that an earlier version saved: those in its media bin.
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

/// A draft folder without a marker, even one that cannot be read.
fn is_unmarked(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(marker::FILE))
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn is_copy(file: &Path) -> bool {
    COPIES.iter().any(|copy| file.starts_with(copy))
}

/// Whether a file is one of ours that has not got its name yet.
fn is_temporary(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(registry::TEMPORARY)
}

/// The covers of a draft, by their path in its folder: its own and those of its timelines.
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

/// Fails if the draft is open in the app, which would write over what is saved.
pub(crate) fn refuse_open(folder: &Path) -> Result<()> {
    if fs::symlink_metadata(folder.join(LOCKED)).is_err() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "the draft {} is open in the app, which would write over what is saved (its file `{LOCKED}` is there)",
        folder.display()
    ))
    .hint(format!(
        "close the draft in the app and save again, or save under another `name`; if the app does not run, it left \
         `{LOCKED}` behind: remove that file"
    )))
}

/// The error of a draft that was changed since it was saved.
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

/// The first few of some files.
pub(super) fn listed(files: &[String]) -> String {
    const NAMED: usize = 4;
    let mut text = files[..files.len().min(NAMED)].join(", ");
    if files.len() > NAMED {
        text += &format!(" and {} more", files.len() - NAMED);
    }
    text
}

/// All files below a folder, links and pipes among them, and the folders that are empty. Links are not followed.
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

/// Puts what is not ours into the new folder as well. With `shared`, as the same files, because the old folder will
/// go; else as copies. Says what could not be taken over because the new draft has a file of that name.
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

/// Puts a file at another place, too, with its time of change: shared, or as a copy.
pub(super) fn put(old: &Path, new: &Path, shared: bool) -> io::Result<()> {
    if let Some(folder) = new.parent() {
        fs::create_dir_all(folder)?;
    }
    let metadata = fs::symlink_metadata(old)?;
    // Links and pipes cannot be copied, and have nothing in them to change.
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
        // Never over a file that is there: it may be this one under another name.
        let mut file = fs::File::create_new(new)?;
        io::copy(&mut fs::File::open(old)?, &mut file)?;
    }
    if let (Ok(modified), Ok(file)) = (
        metadata.modified(),
        fs::File::options().write(true).open(new),
    ) {
        // Tells a copy from what came later.
        let _ = file.set_modified(modified);
    }
    fs::set_permissions(new, metadata.permissions())
}

/// Whether two paths are one file, or a file and its copy by [`put`].
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
