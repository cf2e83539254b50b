//! What a saved draft folder says of itself: that it is ours, of which draft, and what we wrote.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, Result};
use crate::regular_file::{self, Links, SMALL_BYTES};

/// The file in a draft folder; the app leaves it alone.
pub(crate) const FILE: &str = ".capcut-mcp.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// The draft that was saved here.
    pub draft: String,
    /// SHA-256 of the document as it was written.
    pub document: String,
    /// It was saved here to be copied to another place, for which its paths are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
}

impl Marker {
    pub(crate) fn new(draft: &str, document: &[u8]) -> Self {
        Self {
            draft: draft.to_owned(),
            document: hash(document),
            elsewhere: false,
        }
    }

    /// The marker of a draft folder, `None` where it is not ours.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let bytes = regular_file::read(&folder.join(FILE), SMALL_BYTES, Links::Refuse).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Error::internal("a marker could not be written out").source(error))?;
        let path = folder.join(FILE);
        fs::write(&path, bytes).map_err(|error| {
            Error::new(
                Kind::Conflict,
                format!("{} cannot be written", path.display()),
            )
            .source(error)
        })
    }

    /// Whether `document` is as we wrote it: nobody edited the draft since.
    pub(crate) fn wrote(&self, document: &[u8]) -> bool {
        self.document == hash(document)
    }
}

fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
