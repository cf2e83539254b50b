//! Ids of drafts, and of everything in them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A draft's id, as `create_draft` returned it: `dfd_cat_<unix seconds>_<8 hex digits>`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct DraftId(pub String);

impl DraftId {
    /// An id in the form of the reference API's.
    pub fn make(unix_seconds: u64, random: u32) -> Self {
        Self(format!("dfd_cat_{unix_seconds}_{random:08x}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DraftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ids that follow from the draft and the sequence of the call: folding the same calls gives the same ids.
pub struct Ids {
    seed: Sha256,
    counter: u32,
}

impl Ids {
    pub fn new(draft: &DraftId, sequence: u64) -> Self {
        let mut seed = Sha256::new();
        seed.update(draft.as_str().as_bytes());
        seed.update([0]);
        seed.update(sequence.to_be_bytes());
        Self { seed, counter: 0 }
    }

    /// 32 lower-case hex digits with the bits of a version 4 UUID.
    pub fn next_id(&mut self) -> String {
        let mut hash = self.seed.clone();
        hash.update(self.counter.to_be_bytes());
        self.counter += 1;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .simple()
            .to_string()
    }
}
