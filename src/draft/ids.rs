//! Ids of drafts and of their contents.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A draft's id, as `create_draft` returned it: `dfd_cat_<unix seconds>_<8 hex digits>`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub(crate) struct DraftId(pub String);

impl DraftId {
    /// An id in the format of the reference API's.
    pub(crate) fn make(unix_seconds: u64, random: u32) -> Self {
        Self(format!("dfd_cat_{unix_seconds}_{random:08x}"))
    }

    /// The id of the draft that a part of a job makes: the same for every attempt at the job, so that an attempt that broke off
    /// leaves no draft behind.
    pub(crate) fn of_job(job: &str, part: u32) -> Self {
        let id = job.rsplit('_').next().unwrap_or_default();
        // The id of a job begins with its time.
        let milliseconds = id
            .get(..12)
            .and_then(|time| u64::from_str_radix(time, 16).ok());
        let hash = Sha256::digest(job.as_bytes());
        let random = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        Self::make(
            milliseconds.unwrap_or_default() / 1000,
            random.wrapping_add(part),
        )
    }

    /// An id from a server. As it names folders and appears in messages, only letters, digits, `_`, `-` and `.`
    /// are allowed, and no leading dot.
    pub(crate) fn of_server(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        let is_name = fits && !text.starts_with('.') && text.chars().all(plain);
        is_name.then(|| Self(text.to_owned()))
    }

    /// Whether it has the format of ids that this program makes.
    pub(crate) fn looks_made(&self) -> bool {
        self.0.starts_with("dfd_")
    }

    /// Within the limit of file systems for a name (255 bytes).
    const MAX_BYTES: usize = 200;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DraftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an object in a draft, written as 32 lower-case hex digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub u128);

impl Id {
    /// The id of a file name, as the API derives it: UUID version 3 in the DNS namespace.
    pub(crate) fn of_name(name: &str) -> Self {
        Self(uuid::Uuid::new_v3(&uuid::Uuid::NAMESPACE_DNS, name.as_bytes()).as_u128())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Ids derived from the draft and the sequence number of the call: folding the same calls gives the same ids.
pub(crate) struct Ids {
    seed: Sha256,
    counter: u32,
}

impl Ids {
    pub(crate) fn new(draft: &DraftId, sequence: u64) -> Self {
        let mut seed = Sha256::new();
        seed.update(draft.as_str().as_bytes());
        seed.update([0]);
        seed.update(sequence.to_be_bytes());
        Self { seed, counter: 0 }
    }

    /// 32 lower-case hex digits with the bits of a version 4 UUID.
    pub(crate) fn next_id(&mut self) -> Id {
        let mut hash = self.seed.clone();
        hash.update(self.counter.to_be_bytes());
        self.counter += 1;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Id(uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_id_has_the_format_of_the_api() {
        let id = DraftId::make(1_750_000_000, 0xBEEF);
        assert_eq!(id.as_str(), "dfd_cat_1750000000_0000beef");
        assert_eq!(
            serde_json::to_string(&id).unwrap(),
            "\"dfd_cat_1750000000_0000beef\""
        );
    }

    #[test]
    fn a_server_id_must_be_a_plain_name() {
        for valid in ["dfd_cat_1750000000_0000beef", "我的草稿-1", "a.b"] {
            assert_eq!(DraftId::of_server(valid), Some(DraftId(valid.into())));
        }
        let long = "x".repeat(1 << 20);
        for bad in [
            "",
            ".",
            "..",
            "../../../../tmp/evil",
            "a/b",
            "a\\b",
            "C:evil",
            "a\0b",
            "a\u{1b}[31m",
            "a b",
            "a\nb",
            "a\u{202e}b",
            &long,
        ] {
            assert_eq!(DraftId::of_server(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn ids_are_derived_from_draft_and_sequence() {
        let ids = |draft: &str, sequence| {
            let mut ids = Ids::new(&DraftId(draft.into()), sequence);
            [ids.next_id(), ids.next_id()]
        };
        let [first, second] = ids("a", 1);
        assert_eq!([first, second], ids("a", 1));
        assert_ne!(first, second);
        assert_ne!(first, ids("a", 2)[0]);
        assert_ne!(first, ids("b", 1)[0]);
        // Drafts on disk contain such ids, so every version must derive the same ones.
        assert_eq!(first.to_string(), "2a0977eac4f44bf39f09b2e9f2d7d933");
    }

    #[test]
    fn an_id_has_the_bits_of_a_version_4_uuid() {
        let mut ids = Ids::new(&DraftId::make(0, 0), 0);
        for _ in 0..100 {
            let id = ids.next_id().to_string();
            assert_eq!(id.len(), 32);
            assert!(
                id.bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            );
            assert_eq!(&id[12..13], "4");
            assert!("89ab".contains(&id[16..17]));
        }
    }
}
