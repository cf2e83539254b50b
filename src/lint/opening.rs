//! A draft folder as it is opened for editing: its document, and the state of all its documents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::folder::{DocumentFile, FileContent, Folder, ROOTS};
use super::markers;
use crate::engine::documents::NewDocument;
use crate::engine::draft_files::{hashes, reserves};
use crate::error::{Error, Result};
use crate::journal::document_hash;
use crate::regular_file::{self, DOCUMENT_BYTES, Links};

/// Reads the draft at a path: its folder, or one of its documents.
pub(crate) fn open(path: &Path) -> Result<NewDocument> {
    if path.is_dir() {
        return open_folder(&with_all_copies(path));
    }
    if !path.is_file() {
        return Err(
            Error::not_found(format!("{} does not exist", path.display()))
                .hint("give the folder of a draft, its document, or the draft's exact name"),
        );
    }
    match folder_of(path) {
        Some(folder) => open_folder(&folder),
        None => open_file(path),
    }
}

/// The draft folder that a document belongs to; a nested timeline belongs to the folder above.
fn folder_of(document: &Path) -> Option<PathBuf> {
    let name = document.file_name()?.to_str()?;
    let folder = document.parent()?;
    if !ROOTS.contains(&name) {
        return None;
    }
    Some(with_all_copies(folder))
}

/// The draft's folder for the folder of a nested timeline: a save into that alone would leave the other copies behind.
fn with_all_copies(folder: &Path) -> PathBuf {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    match whole.parent() {
        Some(timelines) if timelines.ends_with("Timelines") => {
            timelines.parent().unwrap_or(folder).to_owned()
        }
        _ => folder.to_owned(),
    }
}

fn open_folder(path: &Path) -> Result<NewDocument> {
    let folder = Folder::open(path)?;
    let document = folder.document()?;
    let name = folder.meta_text("draft_name");
    Ok(NewDocument {
        text: document.bytes.to_vec(),
        name: if name.is_empty() {
            folder.name()
        } else {
            name.to_owned()
        },
        edition: markers::edition_of_folder(&folder),
        file: folder.path.join(&document.name),
        files: hashes(folder.files.iter().chain(&reserves(
            &folder.path,
            folder.main_timeline.as_deref(),
            &folder.files,
        ))),
        folder: Some(folder.path),
    })
}

fn open_file(path: &Path) -> Result<NewDocument> {
    let text = regular_file::read(path, DOCUMENT_BYTES, Links::Refuse).map_err(|error| {
        Error::conflict(format!("{} cannot be read", path.display()))
            .source(error)
            .hint("a draft's document must be a readable regular file")
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let file = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let files = BTreeMap::from([(
        file.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        document_hash(&text),
    )]);
    Ok(NewDocument {
        name: name.into_owned(),
        text,
        edition: None,
        folder: None,
        file,
        files,
    })
}

impl Folder {
    /// The document that takes precedence; an error that says why there is none.
    pub(super) fn document(&self) -> Result<&DocumentFile> {
        let is_encrypted = |file: &DocumentFile| file.content() == FileContent::Encrypted;
        self.candidates().first().copied().ok_or_else(|| {
            let path = self.path.display();
            if self.files.iter().any(is_encrypted) {
                return Error::conflict(format!("the draft in {path} is encrypted by the app"))
                    .hint("JianYing 6.0 and newer versions encrypt the drafts that they save; only the app can read them");
            }
            Error::conflict(format!("the document of the draft in {path} is not JSON"))
                .hint("use `validate_draft` to find its problems")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const DOCUMENT: &str = r#"{"tracks": [], "materials": {}}"#;

    #[test]
    fn a_draft_is_opened_by_its_folder_or_by_one_of_its_documents() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("假期 (1)");
        let nested = folder.join("Timelines").join("A1");
        fs::create_dir_all(&nested).unwrap();
        let project = r#"{"main_timeline_id": "A1"}"#;
        fs::write(folder.join("Timelines/project.json"), project).unwrap();
        for file in [
            folder.join("draft_content.json"),
            nested.join("draft_content.json"),
            root.path().join("alone.json"),
        ] {
            fs::write(&file, DOCUMENT).unwrap();
            let opened = open(&file).unwrap();
            assert_eq!(opened.text, DOCUMENT.as_bytes());
            assert_eq!(opened.folder.is_none(), file.ends_with("alone.json"));
        }
        let opened = open(&folder).unwrap();
        assert_eq!(opened.name, "假期 (1)");
        assert_eq!(opened.files.len(), 3);
        let error = open(&root.path().join("gone")).unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
    }

    #[test]
    fn an_encrypted_draft_is_explained() {
        let root = tempfile::tempdir().unwrap();
        fs::write(
            root.path().join("draft_content.json"),
            "r3fKa8Zt0hRkQmV5c29tZXRoaW5n==",
        )
        .unwrap();
        let error = open(root.path()).unwrap_err();
        assert!(
            error.to_string().contains("encrypted by the app"),
            "{error}"
        );
    }
}
