//! The marker of a saved draft folder: which draft it contains and which files we wrote.
//!
//! When a draft is saved again, it decides which files may be replaced and whether they have been changed
//! since.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::regular_file::{self, DOCUMENT_BYTES, Links, SMALL_BYTES};

/// The marker file in a draft folder; the app ignores it.
pub(crate) const FILE: &str = ".capcut-mcp.json";

/// How many zip files are remembered: the current one and the one before, in case the process is killed between
/// noting the new file and moving it to its final path.
const ZIPS: usize = 2;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Marker {
    /// The draft that was saved here.
    pub draft: String,
    /// SHA-256 of the timeline as written; empty if an earlier version did not record it.
    pub document: String,
    /// The draft was saved to be copied to another machine; its paths are for that machine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
    /// SHA-256 of the zip file from which the draft was put here, if it came in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulled: Option<String>,
    /// The run of a plan that saved it.
    #[serde(flatten)]
    pub origin: PlanOrigin,
    /// Every file that we wrote, by its path in the folder; empty if an earlier version did not record them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, WrittenFile>,
    /// The zip files written next to the folder, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zips: Vec<Stamp>,
}

/// The plan that a save belongs to, if any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PlanOrigin {
    /// Identifies the plan: by its file and position in it, or by its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The batch that it was run in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
}

/// A file as we wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum WrittenFile {
    /// SHA-256 of a document.
    Hash(String),
    /// A media file: identified by size and time, as hashing would take long.
    Media(Stamp),
}

/// Detects changes of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub bytes: u64,
    /// Microseconds since 1970. `None` for a hard link to the user's file, which changes with that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_us: Option<i64>,
}

impl Stamp {
    /// The stamp of a regular file.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self::new(&metadata))
    }

    pub(crate) fn new(metadata: &Metadata) -> Self {
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            bytes: metadata.len(),
            modified_us: modified.and_then(|since| i64::try_from(since.as_micros()).ok()),
        }
    }

    /// The stamp of a hard link to a file of the user.
    pub(crate) fn shared(self) -> Self {
        Self {
            modified_us: None,
            ..self
        }
    }

    /// Whether the file is unchanged since it was stamped.
    pub(crate) fn is_of(&self, path: &Path) -> bool {
        Self::of(path).is_ok_and(|now| self.modified_us.is_none() || *self == now)
    }
}

impl Marker {
    pub(crate) fn new(draft: &str, document: &[u8]) -> Self {
        Self {
            draft: draft.to_owned(),
            document: hash(document),
            ..Self::default()
        }
    }

    /// The marker of a draft folder; `None` if the folder is not ours.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let bytes = regular_file::read(&folder.join(FILE), SMALL_BYTES, Links::Refuse).ok()?;
        let marker: Self = serde_json::from_slice(&bytes).ok()?;
        Some(marker).filter(|marker| !marker.draft.is_empty())
    }

    /// Replaces the marker file atomically: the folder may be in use.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        crate::engine::registry::write(&folder.join(FILE), &self.bytes()?)
    }

    /// The content of the marker file.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|error| Error::internal("a marker could not be serialized").source(error))
    }

    /// Whether `document` is as we wrote it: the draft has not been edited since.
    pub(crate) fn wrote(&self, document: &[u8]) -> bool {
        self.document == hash(document)
    }

    /// Records the documents by their hashes; several of them have the same bytes.
    pub(crate) fn note_documents<'a>(
        &mut self,
        documents: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        timeline: &[u8],
    ) {
        for (name, bytes) in documents {
            let hash = if bytes == timeline {
                self.document.clone()
            } else {
                hash(bytes)
            };
            self.files.insert(name.to_owned(), WrittenFile::Hash(hash));
        }
    }

    /// Records that we change a document of ours, such as with `lint --fix`; returns whether it is one. If it had been
    /// changed by others before, it still counts as changed.
    pub(crate) fn note_rewritten(&mut self, name: &str, before: &[u8], after: &[u8]) -> bool {
        let Some(WrittenFile::Hash(written)) = self.files.get_mut(name) else {
            return false;
        };
        if *written != hash(before) {
            return false;
        }
        *written = hash(after);
        if name == "draft_content.json" {
            self.document = hash(after);
        }
        true
    }

    /// Records a zip file that is about to be moved to its final path.
    pub(crate) fn note_zip(&mut self, zip: Stamp) {
        self.zips.insert(0, zip);
        self.zips.truncate(ZIPS);
    }

    /// Whether `file` is a zip file as we wrote it for this draft.
    pub(crate) fn wrote_zip(&self, file: &Path) -> bool {
        self.zips.iter().any(|zip| zip.is_of(file))
    }

    /// The files that have been changed since we wrote them.
    pub(crate) fn changed(&self, folder: &Path) -> Vec<String> {
        let mut hashes = Hashes::default();
        let mut changed = Vec::new();
        for (name, written) in &self.files {
            if !written.is_at(&folder.join(name), &mut hashes) {
                changed.push(name.clone());
            }
        }
        changed
    }

    /// Every file that we wrote, the marker itself included, by its path in the folder.
    pub(crate) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files
            .keys()
            .map(PathBuf::from)
            .filter(|path| is_inside(path))
            .chain([PathBuf::from(FILE)])
    }
}

impl WrittenFile {
    /// Whether the file at `path` is as it was written.
    pub(crate) fn is_at(&self, path: &Path, hashes: &mut Hashes) -> bool {
        match self {
            Self::Hash(hash) => hashes.of(path).is_some_and(|now| now == *hash),
            Self::Media(stamp) => stamp.is_of(path),
        }
    }
}

/// Hashes of files; copies of the same document are hashed once.
#[derive(Default)]
pub(crate) struct Hashes {
    known: Vec<(Arc<Vec<u8>>, String)>,
}

impl Hashes {
    pub(crate) fn of(&mut self, path: &Path) -> Option<String> {
        let file = regular_file::open(path, Links::Refuse).ok()?;
        let known = self.known.iter().map(|(bytes, _)| bytes);
        let bytes = regular_file::read_shared(file, DOCUMENT_BYTES, known).ok()?;
        let is_known = |(known, _): &&(Arc<Vec<u8>>, String)| Arc::ptr_eq(known, &bytes);
        if let Some((_, hash)) = self.known.iter().find(is_known) {
            return Some(hash.clone());
        }
        let hash = hash(&bytes);
        self.known.push((bytes, hash.clone()));
        Some(hash)
    }
}

/// Whether a path in a marker stays inside its folder; the marker may have been changed by others.
fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}

/// The content of a document.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    regular_file::read(path, DOCUMENT_BYTES, Links::Refuse)
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
