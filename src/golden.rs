//! Recordings of the reference API for comparison in tests; `tests/golden/README.md` describes them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of recordings in `tests/golden/recorded.zip`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// Requests with their responses and the final document of the draft.
    Cases,
    /// Folders that the API's `save_draft` wrote.
    Saved,
    /// The responses of the list endpoints, and the enumerations behind them with all ids.
    Catalog,
}

/// `tests/golden`.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The recordings of one part in order, each with its name: `video_minimal.capcut`.
pub(crate) fn recordings(part: Part) -> Vec<(String, Value)> {
    let name = match part {
        Part::Cases => "cases.jsonl",
        Part::Saved => "saved.jsonl",
        Part::Catalog => "catalog.jsonl",
    };
    let archive = File::open(folder().join("recorded.zip")).expect("the recordings exist");
    let mut archive = zip::ZipArchive::new(archive).expect("an archive");
    let lines = BufReader::new(archive.by_name(name).expect(name)).lines();
    lines
        .map(|line| {
            let mut line: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
            let name = line["name"].as_str().expect("a name").to_owned();
            (name, line["recording"].take())
        })
        .collect()
}

/// The folder of the media that the recorded calls use.
pub(crate) fn media() -> PathBuf {
    folder().join("media")
}

/// The folders of drafts that the apps saved. They are not part of the repository, as not all of their licences
/// are settled.
pub(crate) fn app_drafts() -> Option<Vec<PathBuf>> {
    let shared = std::env::var("CAPCUT_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let folder = Path::new(&shared).join("app-drafts");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no drafts of the apps at {}", folder.display());
        return None;
    };
    let folders = entries.flatten().map(|entry| entry.path());
    Some(folders.filter(|path| path.is_dir()).collect())
}
