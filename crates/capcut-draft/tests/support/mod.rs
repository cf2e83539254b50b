//! Documents for the tests: those in this repository, and app-saved ones where the folder exists.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test program uses a part"
)]

use std::fs;
use std::path::{Path, PathBuf};

use capcut_draft::{Document, InspectFilter, Operation, OperationReport, Result};
use serde_json::Value;

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

/// Applies operations; undone, the document has the same bytes.
pub(crate) fn applied(document: &mut Document, operations: Value) -> Result<Vec<OperationReport>> {
    let operations: Vec<Operation> = operations
        .as_array()
        .expect("a list")
        .iter()
        .map(Operation::read)
        .collect::<Result<_>>()?;
    let before = document.write();
    let problems = document.problems();
    let (step, reports) = document.apply_operations(&operations)?;
    assert_eq!(document.problems(), problems);
    // Undone, it is the same bytes.
    let after = document.write();
    document.apply(&step.inverse())?;
    assert_eq!(document.write(), before);
    document.apply(&step)?;
    assert_eq!(document.write(), after);
    Ok(reports)
}

/// Start and end of each clip of a track in seconds, and the start in its file.
pub(crate) fn placed(document: &Document, track: &str) -> Vec<(f64, f64, f64)> {
    let tracks = document.inspect(&InspectFilter::default()).expect("rows");
    let track = tracks.into_iter().find(|row| row.id == track);
    let full: Value = serde_json::from_slice(&document.write()).expect("JSON");
    let segments: Vec<&Value> = full["tracks"]
        .as_array()
        .expect("tracks")
        .iter()
        .flat_map(|track| track["segments"].as_array().expect("segments"))
        .collect();
    let rows = track.expect("the track").clips.into_iter();
    rows.map(|row| {
        let segment = segments.iter().find(|segment| segment["id"] == row.full_id);
        let source = &segment.expect("the segment")["source_timerange"]["start"];
        (row.start, row.end, source.as_f64().unwrap_or(0.0) / 1e6)
    })
    .collect()
}

pub(crate) fn assert_near(found: &[(f64, f64, f64)], expected: &[(f64, f64, f64)]) {
    let near = |a: f64, b: f64| (a - b).abs() < 0.002;
    assert!(
        found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(a, b)| near(a.0, b.0) && near(a.1, b.1) && near(a.2, b.2)),
        "{found:?}\n{expected:?}"
    );
}
