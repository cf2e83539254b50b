//! Reads a zip file with a draft and unpacks it. The file may come from anywhere: everything is checked before anything
//! is written, and what is written is checked against the list of files if there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::folder_rules::{self, composed};
use crate::encoding;
use crate::engine::draft_files::{META, ROOTS};
use crate::engine::package::archive::{ArchiveManifest, FORMAT, MANIFEST, NOTE, copied};
use crate::engine::paths::{file_name, plain};
use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, DOCUMENT_BYTES, Links, SMALL_BYTES};
use crate::settings::Os;
use crate::units::Edition;

/// Maximum number of entries. A draft has a few dozen files and its media.
const ENTRIES: usize = 50_000;
/// The contents may have this many times the size of the zip file; documents, which repeat themselves, have about 30.
const RATIO: u64 = 200;
/// Contents of this size are accepted at any ratio.
const SMALL: u64 = 64 << 20;
/// How deep in a zip file without a list the draft's folder may be.
const DEPTH: usize = 4;

/// A zip file with a draft, whose entries are checked.
#[derive(Debug)]
pub(crate) struct DraftArchive {
    shown: String,
    zip: ZipArchive<BufReader<File>>,
    /// SHA-256 of the file.
    pub sha256: String,
    pub manifest: Option<ArchiveManifest>,
    /// The name of the draft's folder in it; of the zip file if it has none.
    pub name: String,
    /// The draft's files, by their paths in its folder.
    entries: BTreeMap<String, ArchiveEntry>,
}

#[derive(Clone, Copy, Debug)]
struct ArchiveEntry {
    index: usize,
    bytes: u64,
}

impl DraftArchive {
    /// Opens a zip file whose contents have at most `max_bytes` bytes; `shown` is its name for people.
    pub(crate) fn open(path: &Path, shown: &str, max_bytes: u64) -> Result<Self> {
        let mut file = regular_file::open(path, Links::Follow).map_err(|error| {
            let fault = format!("{} cannot be read", path.display());
            Error::not_found(fault).hint("check the path").source(error)
        })?;
        let (size, sha256) = copied(&mut file, &mut io::sink())
            .and_then(|read| file.rewind().map(|()| read))
            .map_err(|error| damaged(shown, "it cannot be read").source(error))?;
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            damaged(shown, "it is not a zip file, or it is cut off").source(error.to_string())
        })?;
        if zip.len() > ENTRIES {
            return Err(refused(
                shown,
                &format!("it has {} entries; at most {ENTRIES} are read", zip.len()),
            ));
        }
        if zip.has_duplicate_names() {
            return Err(refused(shown, "two of its entries have the same name"));
        }
        let is_overlapping = zip.has_overlapping_entries();
        if is_overlapping.map_err(|error| unreadable(shown, &error))? {
            return Err(refused(shown, "its entries overlap"));
        }
        let (all, total) = entries(&zip, shown)?;
        if total > max_bytes {
            return Err(refused(
                shown,
                &format!("its contents have {total} bytes; at most {max_bytes} are accepted"),
            ));
        }
        if total > SMALL && total / RATIO > size {
            return Err(refused(
                shown,
                &format!("its contents have {total} bytes, but the file has only {size}"),
            ));
        }
        let manifest = match all.get(MANIFEST) {
            Some(entry) => manifest(&mut zip, *entry, shown)?,
            None => None,
        };
        let (name, entries) = match &manifest {
            Some(manifest) => (manifest.name.clone(), listed(manifest, &all, shown)?),
            None => folder_of_draft(all, shown)?,
        };
        Ok(Self {
            shown: shown.to_owned(),
            zip,
            sha256,
            manifest,
            name: composed(&name),
            entries,
        })
    }

    /// Refuses files that `os` does not have in `folder`, the final folder of the draft.
    pub(crate) fn fits(&self, os: Os, folder: &Path) -> Result<()> {
        let folder = folder.to_string_lossy();
        for path in self.entries.keys() {
            if let Some(fault) = folder_rules::fault(os, &folder, path) {
                return Err(
                    refused(&self.shown, &format!("\"{path}\" cannot be written: {fault}")).hint(
                        "rename the file where the draft was made and save it again, or use a folder with a shorter path",
                    ),
                );
            }
        }
        match folder_rules::clash(os, self.entries.keys().map(String::as_str)) {
            Some((one, other)) => Err(refused(
                &self.shown,
                &format!("\"{one}\" and \"{other}\" are the same file on {os}"),
            )),
            None => Ok(()),
        }
    }

    /// Identifies the draft in all its versions.
    pub(crate) fn draft(&mut self) -> Result<String> {
        if let Some(manifest) = &self.manifest {
            return Ok(manifest.draft.clone());
        }
        let id = self.meta()?;
        let id = id["draft_id"].as_str().filter(|id| !id.is_empty());
        Ok(format!("zip-{}", id.unwrap_or(&self.sha256)))
    }

    /// The app that the draft is for; `None` if nothing in the file shows it.
    pub(crate) fn edition(&mut self) -> Result<Option<Edition>> {
        if let Some(manifest) = &self.manifest {
            return Ok(Some(manifest.edition));
        }
        let meta = self.meta()?;
        let folder = meta["draft_fold_path"].as_str().map(plain);
        Ok(folder.as_deref().and_then(Edition::of_path))
    }

    fn meta(&mut self) -> Result<serde_json::Value> {
        let Some(entry) = self.entries.get(META).copied() else {
            return Ok(serde_json::Value::Null);
        };
        let bytes = read(&mut self.zip, entry, DOCUMENT_BYTES, &self.shown)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        Ok(serde_json::from_slice(bytes).unwrap_or_default())
    }

    /// Unpacks the draft's files into `to`, an empty folder, and checks them.
    pub(crate) fn unpack(&mut self, to: &Path) -> Result<()> {
        let hashes: BTreeMap<&str, &str> = self
            .manifest
            .iter()
            .flat_map(|manifest| &manifest.files)
            .map(|file| (&*file.path, &*file.sha256))
            .collect();
        for (inside, entry) in &self.entries {
            let path = to.join(inside.split('/').collect::<PathBuf>());
            let (bytes, hash) = written(&mut self.zip, *entry, &path, &self.shown)?;
            if bytes != entry.bytes {
                let fault = format!("\"{inside}\" has {bytes} bytes instead of {}", entry.bytes);
                return Err(damaged(&self.shown, &fault));
            }
            if hashes.get(&**inside).is_some_and(|known| **known != hash) {
                let fault = format!("\"{inside}\" is not as it was packed");
                return Err(damaged(&self.shown, &fault));
            }
        }
        Ok(())
    }
}

/// Unpacks a file; returns its size and SHA-256.
fn written(
    zip: &mut ZipArchive<BufReader<File>>,
    entry: ArchiveEntry,
    path: &Path,
    shown: &str,
) -> Result<(u64, String)> {
    let source = zip.by_index(entry.index);
    let source = source.map_err(|error| unreadable(shown, &error))?;
    let mut source = source.take(entry.bytes.saturating_add(1));
    let mut attempt = || -> io::Result<(u64, String)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::create_new(path)?;
        let copied = copied(&mut source, &mut file)?;
        file.sync_all()?;
        Ok(copied)
    };
    attempt().map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other => damaged(shown, "its contents cannot be read").source(error),
        _ => unwritten(path, error),
    })
}

/// The entries by their names, without folders and the files that systems add; and their size.
fn entries<R>(zip: &ZipArchive<R>, shown: &str) -> Result<(BTreeMap<String, ArchiveEntry>, u64)>
where
    R: io::Read + io::Seek,
{
    let mut all = BTreeMap::new();
    let mut total = 0_u64;
    for index in 0..zip.len() {
        let entry = zip
            .by_index_data(index)
            .map_err(|error| unreadable(shown, &error))?;
        let name = match std::str::from_utf8(entry.name_raw()) {
            Ok(name) => name.to_owned(),
            // Windows writes names in the encoding of the system, without saying which.
            Err(_) => encoding::decode(entry.name_raw()).text,
        };
        if let Some(fault) = fault_of_name(&name) {
            return Err(refused(shown, &format!("the entry {name:?} {fault}")));
        }
        let kind = entry.unix_mode().unwrap_or_default() & 0o170_000;
        if entry.is_symlink() || !matches!(kind, 0 | 0o100_000 | 0o040_000) {
            return Err(refused(
                shown,
                &format!("the entry {name:?} is a link or a device"),
            ));
        }
        if entry.encrypted() {
            return Err(
                refused(shown, "it has a password").hint("pack it again without a password")
            );
        }
        let method = entry.compression();
        if !matches!(
            method,
            CompressionMethod::Stored | CompressionMethod::Deflated
        ) {
            return Err(refused(
                shown,
                &format!("the entry {name:?} is compressed with {method}"),
            )
            .hint("pack it again as an ordinary zip file"));
        }
        total = total.saturating_add(entry.size());
        if name.ends_with('/') || is_of_system(&name) {
            continue;
        }
        let bytes = entry.size();
        all.insert(name, ArchiveEntry { index, bytes });
    }
    Ok((all, total))
}

/// Why a name is refused.
fn fault_of_name(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if name.contains('\\') {
        Some("has a backslash")
    } else if name.starts_with('/') {
        Some("has an absolute path")
    } else if bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' {
        Some("has a drive letter")
    } else if name
        .trim_end_matches('/')
        .split('/')
        .any(|part| part == "..")
    {
        Some("leads out of the folder")
    } else if name
        .strip_suffix('/')
        .unwrap_or(name)
        .split('/')
        .any(|part| matches!(part, "" | "."))
    {
        Some("has an empty part")
    } else if name.chars().any(char::is_control) {
        Some("has a control character")
    } else {
        None
    }
}

/// Whether a system or its file manager added the file.
fn is_of_system(name: &str) -> bool {
    name.starts_with("__MACOSX/")
        || [".DS_Store", "Thumbs.db", "desktop.ini"].contains(&file_name(name))
}

/// The list of files, if this program wrote it.
fn manifest(
    zip: &mut ZipArchive<BufReader<File>>,
    entry: ArchiveEntry,
    shown: &str,
) -> Result<Option<ArchiveManifest>> {
    let bytes = read(zip, entry, SMALL_BYTES, shown)?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    // Other programs have files of this name, too.
    let Some(format) = value["format"]
        .as_u64()
        .filter(|_| value["draft"].is_string())
    else {
        return Ok(None);
    };
    if format != u64::from(FORMAT) {
        return Err(refused(
            shown,
            &format!("its list of files has the format {format}; this version reads {FORMAT}"),
        )
        .hint("update capcut-mcp on this computer"));
    }
    let manifest: ArchiveManifest = serde_json::from_value(value)
        .map_err(|error| damaged(shown, &format!("`{MANIFEST}` is damaged")).source(error))?;
    if manifest.draft.is_empty() || fault_of_name(&manifest.name).is_some() {
        return Err(damaged(shown, &format!("`{MANIFEST}` is damaged")));
    }
    Ok(Some(manifest))
}

/// The draft's files, if they are exactly those in the list.
fn listed(
    manifest: &ArchiveManifest,
    all: &BTreeMap<String, ArchiveEntry>,
    shown: &str,
) -> Result<BTreeMap<String, ArchiveEntry>> {
    let mut found = BTreeMap::new();
    for file in &manifest.files {
        let entry = all.get(&format!("{}/{}", manifest.name, file.path));
        let Some(entry) = entry.filter(|entry| entry.bytes == file.bytes) else {
            let fault = format!("\"{}\" is missing or has another size", file.path);
            return Err(damaged(shown, &fault));
        };
        found.insert(file.path.clone(), *entry);
    }
    let known: BTreeSet<usize> = found.values().map(|entry| entry.index).collect();
    let mut others = all.iter().filter(|(name, entry)| {
        !known.contains(&entry.index) && ![MANIFEST, NOTE].contains(&&***name)
    });
    match others.next() {
        Some((name, _)) => Err(damaged(
            shown,
            &format!("{name:?} is not in its list of files"),
        )),
        None => Ok(found),
    }
}

/// The name and the files of the only draft in a zip file without a list.
fn folder_of_draft(
    all: BTreeMap<String, ArchiveEntry>,
    shown: &str,
) -> Result<(String, BTreeMap<String, ArchiveEntry>)> {
    let mut folders: BTreeSet<&str> = BTreeSet::new();
    for name in all.keys() {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        // The documents of timelines and of compound clips are inside a draft.
        let is_inside = folder
            .split('/')
            .any(|part| matches!(part, "Timelines" | "subdraft"));
        if ROOTS.contains(&file) && !is_inside && folder.split('/').count() <= DEPTH {
            folders.insert(folder);
        }
    }
    let mut found = folders.iter();
    let folder = match (found.next(), found.next()) {
        (Some(folder), None) => (*folder).to_owned(),
        (None, _) => {
            return Err(refused(
                shown,
                "it contains no draft: there is no `draft_content.json` or `draft_info.json` in it",
            )
            .hint("pack the draft's own folder, or save the draft with `zip`"));
        }
        (Some(_), Some(_)) => {
            let names: Vec<_> = folders.iter().take(4).copied().collect();
            return Err(refused(
                shown,
                &format!("it contains {} drafts: {}", folders.len(), names.join(", ")),
            )
            .hint("pack each draft's folder in a zip file of its own"));
        }
    };
    let name = match file_name(&folder) {
        "" => file_name(shown).trim_end_matches(".zip"),
        name => name,
    };
    let start = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    let name = name.to_owned();
    let inside = |(path, entry): (String, ArchiveEntry)| {
        let inside = path.strip_prefix(&start)?.to_owned();
        // The state of a running app or of this program on the other computer.
        let is_state = inside.starts_with(".locked") || inside.starts_with(".capcut-mcp");
        (!is_state).then_some((inside, entry))
    };
    Ok((name, all.into_iter().filter_map(inside).collect()))
}

fn read(
    zip: &mut ZipArchive<BufReader<File>>,
    entry: ArchiveEntry,
    most: u64,
    shown: &str,
) -> Result<Vec<u8>> {
    let source = zip.by_index(entry.index);
    let source = source.map_err(|error| unreadable(shown, &error))?;
    regular_file::read_all(source, most)
        .map_err(|error| damaged(shown, "its contents cannot be read").source(error))
}

fn unreadable(shown: &str, error: &ZipError) -> Error {
    damaged(shown, "its contents cannot be read").source(error.to_string())
}

/// The error for a file that is not as it was made.
fn damaged(shown: &str, fault: &str) -> Error {
    Error::new(Kind::Media, format!("{shown} is damaged: {fault}"))
        .hint("download or copy it again")
}

/// The error for a file that must not be unpacked.
fn refused(shown: &str, fault: &str) -> Error {
    Error::new(Kind::Media, format!("{shown} is not unpacked: {fault}"))
        .hint("use a zip file of a draft from a source that you trust")
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space on this disk, and repeat the command"
        }
        _ => "check that the drafts folder may be written",
    };
    Error::conflict(format!("{} cannot be written", path.display()))
        .hint(hint)
        .source(error)
}
