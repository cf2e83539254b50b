//! A summary of a draft folder, for lists of drafts from any program.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use capcut_draft::{Document, RootRef, TextContent, field};
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use crate::engine::draft_files::{FileContent, META, ROOTS, content};
use crate::error::{Error, Result};
use crate::regular_file::{self, DOCUMENT_BYTES, Links, SMALL_BYTES};

/// Maximum number of tracks, of media and of texts in a summary.
const LISTED: usize = 500;
/// Maximum number of characters of a name or text.
const SHOWN: usize = 200;

/// The summary of a draft folder.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    pub name: String,
    pub path: PathBuf,
    /// Canvas size in pixels; 0 if the document does not say.
    pub width: f64,
    pub height: f64,
    /// Seconds.
    pub duration: f64,
    pub fps: f64,
    pub tracks: Vec<TrackOverview>,
    /// Names of the media files.
    pub media: Vec<String>,
    /// The content of the texts.
    pub texts: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TrackOverview {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub segments: usize,
}

/// A draft folder as an entry of a list.
#[derive(Debug, Serialize)]
pub(crate) struct DraftFolder {
    pub name: String,
    pub path: PathBuf,
    /// When its document last changed, in seconds since 1970.
    pub modified: u64,
}

/// The folder as an entry of a list, if it is a draft folder.
pub(crate) fn entry(folder: &Path) -> Option<DraftFolder> {
    let changed = |name: &&str| {
        let meta = std::fs::symlink_metadata(folder.join(name)).ok()?;
        let modified = meta.is_file().then(|| meta.modified().ok())??;
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    };
    Some(DraftFolder {
        name: folder.file_name()?.to_string_lossy().into_owned(),
        path: folder.to_owned(),
        modified: ROOTS.iter().filter_map(changed).max()?,
    })
}

/// What a list shows of a draft folder beside its entry.
#[derive(Debug, Default)]
pub(crate) struct FolderState {
    /// Seconds; `None` if the draft does not say, or is encrypted.
    pub duration: Option<f64>,
    /// The app encrypted the document.
    pub encrypted: bool,
}

/// Length and encryption of the draft in a folder, without reading more than necessary.
pub(crate) fn state(folder: &Path) -> FolderState {
    /// Enough to recognise encrypted content.
    const HEAD: u64 = 4096;
    #[derive(Deserialize)]
    struct StatedLength {
        #[serde(alias = "tm_duration")]
        duration: f64,
    }
    let stated = |name: &str, most: u64| {
        let bytes = regular_file::read(&folder.join(name), most, Links::Refuse).ok()?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let stated: StatedLength = serde_json::from_slice(bytes).ok()?;
        (stated.duration > 0.0).then_some(stated.duration / 1e6)
    };
    let heads = ROOTS.iter().filter_map(|name| {
        let file = regular_file::open(&folder.join(name), Links::Refuse).ok()?;
        let mut head = Vec::new();
        file.take(HEAD).read_to_end(&mut head).ok()?;
        let own = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        Some((*name, content(own)))
    });
    let heads: Vec<(&str, FileContent)> = heads.collect();
    let readable = heads
        .iter()
        .find(|(_, content)| *content == FileContent::Json);
    let of_document = || readable.and_then(|(name, _)| stated(name, DOCUMENT_BYTES));
    FolderState {
        duration: stated(META, SMALL_BYTES).or_else(of_document),
        encrypted: readable.is_none()
            && heads
                .iter()
                .any(|(_, content)| *content == FileContent::Encrypted),
    }
}

/// Reads a draft folder. An error if it is not a draft folder, or if its document cannot be read.
pub(crate) fn overview(folder: &Path) -> Result<Overview> {
    let folder = Folder::open(folder)?;
    let document = Document::parse_object(folder.document()?.json()).map_err(|error| {
        let path = folder.path.display();
        Error::conflict(format!("the document of the draft in {path} is not JSON"))
            .hint("use `validate_draft` to find its problems")
            .source(error)
    })?;
    let media = ["videos", "audios"].into_iter();
    let media = media
        .flat_map(|list| document.materials(list))
        .filter_map(|material| document.material_name(material));
    let words = |text| {
        let content = document.get(text, &field::material::CONTENT)?;
        Some(shown(&TextContent::read(&content).words()))
    };
    let track = |track| TrackOverview {
        kind: shown(&document.value(track, &field::track::KIND)),
        name: shown(&document.value(track, &field::track::NAME)),
        segments: document.clips(track).len(),
    };
    let side = |side| document.get(RootRef, side).unwrap_or_default() as f64;
    let name = folder.meta_text("draft_name");
    Ok(Overview {
        name: if name.is_empty() {
            folder.name()
        } else {
            shown(name)
        },
        width: side(&field::root::CANVAS_WIDTH),
        height: side(&field::root::CANVAS_HEIGHT),
        duration: document.value(RootRef, &field::root::DURATION) as f64 / 1e6,
        // Newer JianYing versions omit default values.
        fps: document.value(RootRef, &field::root::FPS),
        tracks: document
            .tracks()
            .into_iter()
            .take(LISTED)
            .map(track)
            .collect(),
        media: media.take(LISTED).map(|name| shown(&name)).collect(),
        texts: document
            .materials("texts")
            .take(LISTED)
            .filter_map(words)
            .collect(),
        path: folder.path,
    })
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
