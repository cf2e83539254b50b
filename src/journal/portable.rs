//! What a store contains, in the form in which it is copied into other stores and into backups.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{CreationRow, JobPhase, PackedDocument, Store};
use crate::access::TenantName;
use crate::draft::ids::DraftId;
use crate::error::Result;

/// A part of a draft has about this number of bytes, and at most this number of calls.
const PART_BYTES: usize = 1 << 20;
const PART_CALLS: usize = 200;

/// A store whose content can be copied.
#[async_trait]
pub(crate) trait PortableStore: Store {
    /// Where it is, for people, without a password.
    fn name(&self) -> String;

    /// Sends everything that a tenant has, as it is at one moment: drafts with their calls in order, then jobs in the
    /// order of the queue, values and creations. What is added meanwhile is not included. Leases are not: they belong to
    /// processes. Returns early if no one receives.
    async fn export(&self, who: &TenantName, to: mpsc::Sender<StorePart>) -> Result<()>;

    /// Adds what is missing, all or nothing, and says for each part what was done. What was written survives a power
    /// failure. Repeating this adds nothing.
    async fn import(
        &self,
        who: &TenantName,
        parts: &[StorePart],
        existing: MergeRule,
    ) -> Result<Vec<Imported>>;
}

/// What becomes of something in a store that is there already, but different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MergeRule {
    /// It becomes what is imported, except that calls of drafts are only added.
    Replace,
    Keep,
}

/// What importing a part did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Imported {
    /// This number of calls or other rows is new or changed; 0 if all was there.
    Written(u64),
    /// The draft has another call at this sequence, or lacks the calls before it: nothing was added to it.
    Differs(u64),
    /// Another job has the idempotency key of this one.
    KeyTaken,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StorePart {
    Draft(Box<DraftCalls>),
    Job(Box<PortableJob>),
    Value(PortableValue),
    Creation(Box<CreationRow>),
}

/// A draft, or a part of one that has many calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DraftCalls {
    pub draft: PortableDraft,
    /// Those that the calls name and that were not sent before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<PackedDocument>,
    /// Consecutive calls.
    pub calls: Vec<PortableCall>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PortableDraft {
    pub origin: String,
    pub id: DraftId,
    pub name: String,
    pub edition: String,
    pub reason: String,
    pub created_ms: i64,
    pub changed_ms: i64,
    pub saved_to: Option<String>,
    pub deleted_ms: Option<i64>,
    pub moved_to: Option<(String, DraftId)>,
}

/// A call, its texts exactly as they are stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PortableCall {
    pub sequence: u64,
    /// Calls of early versions have none.
    pub call: Option<Uuid>,
    pub at_ms: i64,
    pub engine_version: u32,
    pub tool: String,
    pub arguments: String,
    pub found: Option<String>,
    pub reply: String,
    pub internal: bool,
    /// The hash of its document.
    pub document: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PortableJob {
    pub id: String,
    pub kind: String,
    pub draft: Option<DraftId>,
    pub request: String,
    pub state: String,
    pub key: Option<String>,
    pub phase: JobPhase,
    pub attempt: u32,
    pub runner: String,
    /// It was asked to stop.
    pub stop: bool,
    pub updated_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PortableValue {
    pub key: String,
    #[serde(with = "base64_bytes")]
    pub value: Vec<u8>,
    /// When it is removed, in milliseconds since 1970.
    pub until_ms: Option<i64>,
}

impl StorePart {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Draft(part) => {
                let documents = part.documents.iter().map(|own| own.packed.len());
                let calls = part.calls.iter().map(PortableCall::bytes);
                documents.chain(calls).sum()
            }
            Self::Job(job) => job.request.len() + job.state.len(),
            Self::Value(value) => value.value.len(),
            Self::Creation(row) => row.found.as_ref().map_or(0, String::len),
        }
    }
}

impl PortableCall {
    fn bytes(&self) -> usize {
        let found = self.found.as_ref().map_or(0, String::len);
        100 + self.arguments.len() + found + self.reply.len()
    }
}

impl DraftCalls {
    pub(super) fn new(draft: PortableDraft) -> Self {
        Self {
            draft,
            documents: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Adds a call. If the part has enough, it is returned, and the next calls begin another one.
    pub(super) fn push(&mut self, call: PortableCall) -> Option<StorePart> {
        self.calls.push(call);
        let is_full = self.calls.len() >= PART_CALLS
            || self.calls.iter().map(PortableCall::bytes).sum::<usize>()
                + self
                    .documents
                    .iter()
                    .map(|own| own.packed.len())
                    .sum::<usize>()
                >= PART_BYTES;
        is_full.then(|| self.take())
    }

    /// What is left at the end of the draft's calls.
    pub(super) fn rest(mut self) -> Option<StorePart> {
        (!self.calls.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> StorePart {
        StorePart::Draft(Box::new(Self {
            draft: self.draft.clone(),
            documents: std::mem::take(&mut self.documents),
            calls: std::mem::take(&mut self.calls),
        }))
    }

    /// Which of the calls are to be added to a draft that has the calls `there` of those sequences and ends with `last`;
    /// an error is the sequence at which the two differ.
    pub(super) fn missing(
        &self,
        there: &[PortableCall],
        last: Option<u64>,
    ) -> Result<&[PortableCall], u64> {
        let next = last.map_or(0, |last| last + 1);
        let mut there = there.iter();
        for (at, call) in self.calls.iter().enumerate() {
            if call.sequence > next {
                return Err(next);
            }
            if call.sequence == next {
                return Ok(&self.calls[at..]);
            }
            if there.next() != Some(call) {
                return Err(call.sequence);
            }
        }
        Ok(&[])
    }
}

/// Bytes as Base64.
pub(super) mod base64_bytes {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map_err(D::Error::custom)
    }
}
