//! The documents in a draft folder of any program: their names, and which of them exist.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use serde_json::Value;

use crate::engine::marker;
use crate::engine::paths::{file_name, without_verbatim};
use crate::engine::timelines::{self, PROJECT};
use crate::error::{Error, Result};
use crate::regular_file::{self, DOCUMENT_BYTES, FileState, Links};

/// The root documents; if they are equally new, the first one takes precedence.
pub(crate) const ROOTS: [&str; 2] = ["draft_content.json", "draft_info.json"];
/// A copy of the document that some versions of the app reportedly prefer.
pub(crate) const TEMPLATE: &str = "template-2.tmp";
/// Copies of the document that the app restores if the document is damaged.
const RESERVES: [&str; 2] = ["draft_content.json.bak", "draft_info.json.bak"];
pub(crate) const META: &str = "draft_meta_info.json";
/// The folder in which the app keeps earlier states of the draft.
pub(crate) const BACKUP: &str = ".backup";
/// The file with which the app marks a draft that is open in it.
pub(crate) const LOCKED: &str = ".locked";

/// What a file contains, according to its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileContent {
    Json,
    Encrypted,
    Empty,
    Other,
}

/// A document of a draft folder.
#[derive(Clone, Debug)]
pub(crate) struct DocumentFile {
    /// Its path in the folder.
    pub name: String,
    /// Copies with the same content share it.
    pub bytes: Arc<Vec<u8>>,
    /// The state of the file before it was read.
    pub state: FileState,
}

impl DocumentFile {
    /// The bytes without a byte order mark.
    pub(crate) fn json(&self) -> &[u8] {
        self.bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.bytes)
    }

    /// Whether two documents have the same JSON, byte by byte.
    pub(crate) fn has_same_json(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes) || self.json() == other.json()
    }

    pub(crate) fn content(&self) -> FileContent {
        content(self.json())
    }

    /// Whether it is a document in a subfolder, such as that of a timeline.
    pub(crate) fn is_nested(&self) -> bool {
        self.name.contains('/')
    }

    /// Whether it contains the timeline: every such file of a folder has the same content.
    pub(crate) fn has_timeline(&self) -> bool {
        ![META, PROJECT].contains(&&*self.name)
    }
}

/// The documents of a draft folder.
#[derive(Debug)]
pub(crate) struct DraftFiles {
    pub files: Vec<DocumentFile>,
    /// The content of `Timelines/project.json`, if it can be read.
    pub project: Option<Value>,
    /// The id of the main timeline, from `project`.
    pub main_timeline: Option<String>,
}

impl DraftFiles {
    /// Reads the documents in `folder`, a canonical path. An existing document that cannot be read is an error:
    /// otherwise only the remaining ones would be checked.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let project_file = read(folder, PROJECT)?;
        let project = project_file
            .as_ref()
            .and_then(|file| serde_json::from_slice::<Value>(file.json()).ok())
            .filter(Value::is_object);
        let main_timeline = project
            .as_ref()
            .and_then(|project| project["main_timeline_id"].as_str().map(str::to_owned))
            .filter(|id| !id.is_empty() && !id.contains(['/', '\\']) && id != "..");
        let timeline = ROOTS.iter().chain(&[TEMPLATE]).copied();
        let inside = main_timeline.as_deref().map(timelines::folder);
        let nested = inside
            .iter()
            .flat_map(|inside| timeline.clone().map(move |name| format!("{inside}/{name}")));
        let names: Vec<String> = timeline
            .clone()
            .chain([META])
            .map(str::to_owned)
            .chain(nested)
            .collect();
        let mut files = read_all(folder, &names)?;
        let after_meta = files.iter().take_while(|file| !file.is_nested()).count();
        files.splice(after_meta..after_meta, project_file);
        Ok(Self {
            files,
            project,
            main_timeline,
        })
    }

    pub(crate) fn file(&self, name: &str) -> Option<&DocumentFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Adds the reserve copies that can be read.
    pub(crate) fn with_reserves(mut self, folder: &Path) -> Self {
        let reserves = reserves(folder, self.main_timeline.as_deref(), &self.files);
        self.files.extend(reserves);
        self
    }
}

/// The reserve copies of the documents in `folder` that can be read; `files` are its other documents.
pub(crate) fn reserves(
    folder: &Path,
    main_timeline: Option<&str>,
    files: &[DocumentFile],
) -> Vec<DocumentFile> {
    let nested = main_timeline.map(timelines::folder);
    let names = RESERVES.into_iter().flat_map(|name| {
        let inside = nested.as_ref().map(|nested| format!("{nested}/{name}"));
        inside.into_iter().chain([name.to_owned()])
    });
    names
        .filter_map(|name| read_beside(folder, &name, files).ok().flatten())
        .collect()
}

/// SHA-256 of documents, by their names.
pub(crate) fn hashes<'a>(
    files: impl IntoIterator<Item = &'a DocumentFile>,
) -> BTreeMap<String, String> {
    let mut known: Vec<(&Arc<Vec<u8>>, String)> = Vec::new();
    let mut hashes = BTreeMap::new();
    for file in files {
        // Most of them have the same bytes.
        let same = known
            .iter()
            .find(|(bytes, _)| Arc::ptr_eq(bytes, &file.bytes) || **bytes == file.bytes);
        let hash = match same {
            Some((_, hash)) => hash.clone(),
            None => marker::hash(&file.bytes),
        };
        known.push((&file.bytes, hash.clone()));
        hashes.insert(file.name.clone(), hash);
    }
    hashes
}

/// Whether the app has the draft in `folder` open.
pub(crate) fn is_open_in_app(folder: &Path) -> bool {
    folder.join(LOCKED).symlink_metadata().is_ok()
}

/// Whether a document is a reserve copy.
pub(crate) fn is_reserve(name: &str) -> bool {
    RESERVES.contains(&file_name(name))
}

/// Reads a document of the draft in `folder`; `None` if there is no such file. An existing file that cannot be
/// read is an error: otherwise only the remaining files would be checked.
pub(crate) fn read(folder: &Path, name: &str) -> Result<Option<DocumentFile>> {
    read_beside(folder, name, &[])
}

/// Reads the documents of a draft that exist. The first one is read alone, and the others, which are usually copies of it,
/// in parallel.
fn read_all(folder: &Path, names: &[String]) -> Result<Vec<DocumentFile>> {
    /// Less takes less time than starting a thread.
    const WORTH_A_THREAD: usize = 1 << 20;
    let mut names = names.iter();
    let mut files = Vec::new();
    for name in names.by_ref() {
        files.extend(read(folder, name)?);
        if !files.is_empty() {
            break;
        }
    }
    if files.iter().all(|first| first.bytes.len() < WORTH_A_THREAD) {
        for name in names {
            let file = read_beside(folder, name, &files)?;
            files.extend(file);
        }
        return Ok(files);
    }
    let first = &files;
    let others: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> = names
            .map(|name| scope.spawn(move || read_beside(folder, name, first)))
            .collect();
        let joined = all.into_iter().map(|thread| match thread.join() {
            Ok(file) => file,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<_>>()
    })?;
    files.extend(others.into_iter().flatten());
    Ok(files)
}

/// As [`read`]; the bytes are shared with a known file that has the same ones.
fn read_beside(folder: &Path, name: &str, known: &[DocumentFile]) -> Result<Option<DocumentFile>> {
    let path = folder.join(name);
    let attempt = || -> io::Result<DocumentFile> {
        let file = regular_file::open(&path, Links::Refuse)?;
        // `Timelines` and its folders may be links as well.
        let real = path.parent().map(Path::canonicalize).transpose()?;
        if !real.is_none_or(|real| without_verbatim(real).starts_with(folder)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "behind a symbolic link that points outside the draft",
            ));
        }
        let state = FileState::new(&file.metadata()?);
        let known = known.iter().map(|file| &file.bytes);
        let bytes = regular_file::read_shared(file, DOCUMENT_BYTES, known)?;
        let is_new = Arc::strong_count(&bytes) == 1;
        if is_new && values(&bytes) > VALUES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("contains more than {VALUES} values"),
            ));
        }
        Ok(DocumentFile {
            name: name.to_owned(),
            bytes,
            state,
        })
    };
    match attempt() {
        Ok(file) => Ok(Some(file)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(
            Error::conflict(format!("{} cannot be read", path.display()))
                .source(error)
                .hint("a draft's documents must be readable regular files of at most 256 MiB"),
        ),
    }
}

/// Maximum number of JSON values in a document. Each takes up to 72 bytes in memory. A draft has about one value
/// per 20 bytes, so the limit is a document of about 120 MB, ten times the size of a draft with 3,000 segments.
const VALUES: usize = 6_000_000;

/// An upper bound for the number of JSON values in the document; 0 if the document is too short to exceed the
/// limit.
fn values(document: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const LOW: u64 = ONES * 0x7f;
    if document.len() < VALUES {
        return 0;
    }
    // Eight bytes at a time, as each save reads every copy of the document: the highest bit of each byte that begins
    // a value.
    let (words, rest) = document.as_chunks::<8>();
    let differs = |word: u64, byte: u8| {
        let difference = word ^ (ONES * u64::from(byte));
        ((difference & LOW) + LOW) | difference
    };
    let in_word = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        let others = differs(word, b',') & differs(word, b'[') & differs(word, b'{');
        ((!others >> 7) & ONES).count_ones() as usize
    };
    let begins_value = |byte: &&u8| matches!(byte, b',' | b'[' | b'{');
    words.iter().map(in_word).sum::<usize>() + rest.iter().filter(begins_value).count()
}

/// Detects the content of a file. JianYing's encrypted files are one long base64 text, or bytes that are not text.
pub(crate) fn content(bytes: &[u8]) -> FileContent {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => FileContent::Empty,
        Some(b'{') => FileContent::Json,
        Some(_) => {
            let text = bytes.trim_ascii();
            let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(byte);
            if (text.len() > 16 && text.iter().all(base64)) || std::str::from_utf8(text).is_err() {
                FileContent::Encrypted
            } else {
                FileContent::Other
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_begins_a_value_is_counted() {
        let text = r#"{"a":[1,{"b":"é,\u001b"},-2],"{":[]}"#;
        let expected = text.matches([',', '[', '{']).count();
        let copies = VALUES / text.len() + 1;
        for end in 0..9 {
            let document = format!("{}{}", text.repeat(copies), " ".repeat(end));
            assert_eq!(values(document.as_bytes()), expected * copies);
        }
        assert_eq!(values(b"[1,2]"), 0);
    }

    #[test]
    fn content_distinguishes_encrypted_files_from_json_text_and_empty_files() {
        assert_eq!(content(b" {\"a\":1}"), FileContent::Json);
        assert_eq!(
            content(b"r3fKa8Zt0hRkQmV5c29tZXRoaW5n=="),
            FileContent::Encrypted
        );
        assert_eq!(content(&[0x8f, 0xff, 0x00, 0xc1]), FileContent::Encrypted);
        assert_eq!(content(b"Not found, says the server"), FileContent::Other);
        assert_eq!(content(b"  \n"), FileContent::Empty);
    }
}
