//! Hashes of what was copied, to compare it with what is there afterwards.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::access::TenantName;
use crate::error::{Error, Result};
use crate::journal::{MergeRule, StorePart, now_ms};

type Hash = [u8; 32];

/// The hash of each draft, job, value and creation of a store.
#[derive(Debug, Default)]
pub(super) struct Fingerprints {
    entries: HashMap<(TenantName, String), Fingerprint>,
    /// The numbers of calls at which the hashes of drafts are noted: those of the other side.
    noted_at: HashMap<(TenantName, String), u64>,
}

#[derive(Clone, Debug, Default)]
struct Fingerprint {
    /// Of everything but the calls.
    head: Hash,
    /// Of all calls so far, each with the hash of those before it.
    chain: Hash,
    calls: u64,
    /// The hash of as many calls as the other side has.
    noted: Option<Hash>,
    /// When it may be gone, in milliseconds since 1970.
    until_ms: Option<i64>,
}

/// The name of an entry within its tenant, for people too.
pub(super) fn name(part: &StorePart) -> String {
    match part {
        StorePart::Draft(part) => format!("draft {} ({})", part.draft.id, part.draft.origin),
        StorePart::Job(job) => format!("job {}", job.id),
        StorePart::Value(value) => format!("value {:?}", value.key),
        StorePart::Creation(row) => format!("creation {}", row.key),
    }
}

fn hash(of: &impl serde::Serialize, after: Option<&Hash>) -> Result<Hash> {
    let text = serde_json::to_vec(of)
        .map_err(|error| Error::internal("an entry cannot be written as JSON").source(error))?;
    let mut hash = Sha256::new();
    if let Some(after) = after {
        hash.update(after);
    }
    hash.update(&text);
    Ok(hash.finalize().into())
}

impl Fingerprints {
    /// Empty ones that note the hashes of drafts after as many calls as those of `other` have.
    pub(super) fn following(other: &Self) -> Self {
        let counts = other.entries.iter();
        Self {
            entries: HashMap::new(),
            noted_at: counts.map(|(key, own)| (key.clone(), own.calls)).collect(),
        }
    }

    pub(super) fn add(&mut self, who: &TenantName, part: &StorePart) -> Result<()> {
        let key = (who.clone(), name(part));
        let noted_at = self.noted_at.get(&key).copied();
        let own = self.entries.entry(key).or_default();
        match part {
            StorePart::Draft(part) => {
                for document in &part.documents {
                    // An error if it is damaged.
                    document.text()?;
                }
                own.head = hash(&part.draft, None)?;
                for call in &part.calls {
                    own.chain = hash(call, Some(&own.chain))?;
                    own.calls += 1;
                    if noted_at == Some(own.calls) {
                        own.noted = Some(own.chain);
                    }
                }
            }
            StorePart::Job(job) => own.head = hash(job, None)?,
            StorePart::Creation(row) => own.head = hash(row, None)?,
            StorePart::Value(value) => {
                own.head = hash(value, None)?;
                own.until_ms = value.until_ms;
            }
        }
        Ok(())
    }

    /// Leaves an entry out of the comparison; false if it was left out before.
    pub(super) fn forget(&mut self, who: &TenantName, name: &str) -> bool {
        let key = (who.clone(), name.to_owned());
        self.entries.remove(&key).is_some()
    }

    /// What `seen` lacks of this, or has otherwise, in order. With [`MergeRule::Keep`] it may have more calls, and other
    /// properties.
    pub(super) fn missing_in(&self, seen: &Self, existing: MergeRule) -> Vec<String> {
        let mut found = Vec::new();
        for ((who, name), own) in &self.entries {
            let how = match seen.entries.get(&(who.clone(), name.clone())) {
                None if own.until_ms.is_some_and(|until| until <= now_ms()) => continue,
                None => "is not there",
                Some(there) if own.calls > 0 && there.noted != Some(own.chain) => {
                    "has other calls there"
                }
                Some(_) if existing == MergeRule::Keep => continue,
                Some(there) if there.calls > own.calls => "has more calls there",
                Some(there) if there.head != own.head => "is different there",
                Some(_) => continue,
            };
            found.push(format!("{name} of {} {how}", who.as_str()));
        }
        found.sort();
        found
    }
}
