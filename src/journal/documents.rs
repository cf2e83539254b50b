//! The documents that drafts were opened from: stored once, compressed, by the hash of their text.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::portable::base64_bytes;
use crate::error::{Error, Result};

/// The largest document that is stored, in bytes: what can also be edited.
const MAX_DOCUMENT_BYTES: usize = capcut_draft::MAX_BYTES;

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PackedDocument {
    /// SHA-256 of the text, in hexadecimal digits.
    pub hash: String,
    /// The text, as a deflate stream.
    #[serde(with = "base64_bytes")]
    pub packed: Vec<u8>,
}

/// SHA-256 of a text, in hexadecimal digits.
pub(crate) fn document_hash(text: &[u8]) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl PackedDocument {
    /// # Errors
    /// If the text is longer than [`MAX_DOCUMENT_BYTES`].
    pub(crate) fn of(text: &[u8]) -> Result<Self> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::invalid(format!(
                "the document has {:.1} MB; at most 64 MB can be opened",
                text.len() as f64 / (1024.0 * 1024.0)
            )));
        }
        // 6 % of the text's size at the fastest level.
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        let packed = encoder
            .write_all(text)
            .and_then(|()| encoder.finish())
            .map_err(|error| Error::internal("a document cannot be compressed").source(error))?;
        Ok(Self {
            hash: document_hash(text),
            packed,
        })
    }

    /// The text; an error if it is damaged.
    pub(crate) fn text(&self) -> Result<Vec<u8>> {
        let damaged = || {
            Error::internal(format!(
                "the document {} in the journal is damaged",
                self.hash
            ))
            .hint("restore the journal from a backup, or open the draft again with `open_draft`")
        };
        let mut text = Vec::new();
        DeflateDecoder::new(&*self.packed)
            // One byte more than allowed, so that a damaged stream cannot fill the memory.
            .take(MAX_DOCUMENT_BYTES as u64 + 1)
            .read_to_end(&mut text)
            .map_err(|error| damaged().source(error))?;
        if document_hash(&text) != self.hash {
            return Err(damaged());
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_stored() {
        for text in ["", "{}", &"{\"tracks\": []} ".repeat(10_000)] {
            let packed = PackedDocument::of(text.as_bytes()).unwrap();
            assert_eq!(packed.text().unwrap(), text.as_bytes());
            assert!(packed.packed.len() < text.len().max(1_000));
        }
    }

    #[test]
    fn a_document_beyond_the_limit_is_refused_with_its_size() {
        let error = PackedDocument::of(&vec![b' '; MAX_DOCUMENT_BYTES + 1024 * 1024]).unwrap_err();
        assert!(error.to_string().contains("65.0 MB"), "{error}");
        PackedDocument::of(&vec![b' '; MAX_DOCUMENT_BYTES]).unwrap();
    }

    #[test]
    fn a_damaged_document_is_an_error() {
        let packed = PackedDocument::of(b"{\"tracks\": []}").unwrap();
        let cut = PackedDocument {
            packed: packed.packed[..4].to_vec(),
            ..packed.clone()
        };
        cut.text().unwrap_err();
        let other = PackedDocument {
            packed: PackedDocument::of(b"{}").unwrap().packed,
            ..packed
        };
        other.text().unwrap_err();
    }
}
