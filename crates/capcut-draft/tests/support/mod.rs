//! Documents for the tests: those in this repository, and app-saved ones where the folder exists.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test program uses a part"
)]

use std::fs;
use std::path::{Path, PathBuf};

use capcut_draft::Document;

pub(crate) fn data_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

pub(crate) fn data(name: &str) -> Vec<u8> {
    fs::read(data_folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn app() -> Document {
    Document::parse(data("app.json")).expect("a document")
}

/// The documents in the repository, and drafts that apps saved, by name.
pub(crate) fn documents() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    collect(&data_folder(), &mut found);
    assert!(found.len() >= 5, "the test data is in the repository");
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/app-drafts");
    if saved.is_dir() {
        collect(&saved, &mut found);
    } else {
        eprintln!(
            "skipped: drafts that apps saved are not at {}",
            saved.display()
        );
    }
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            collect(&path, found);
        } else if path.parent() == Some(&data_folder())
            || ["draft_content.json", "draft_info.json", "template-2.tmp"].contains(&&*name)
        {
            found.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
}

/// A small generator of numbers (xorshift), the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// A time in microseconds below the limit.
    pub(crate) fn time(&mut self, limit: u32) -> i64 {
        i64::try_from(self.below(limit as usize)).unwrap_or_default()
    }
}
