//! Requests to providers that create something, which may cost money.

use serde::{Deserialize, Serialize};

/// A request that creates something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CreationRow {
    /// Identifies what is wanted of which provider.
    pub key: String,
    /// The provider's name.
    pub provider: String,
    pub state: CreationState,
    /// The process that works on it: the name of its [`Runner`](super::Runner).
    pub runner: String,
    /// The id of the provider's task, if it has one.
    pub task: Option<String>,
    /// What it costs at most; 0 if that is not known.
    pub cost: f64,
    /// What was made, or why it is not known, as JSON.
    pub found: Option<String>,
    /// When it was claimed, in milliseconds since 1970; set by the store.
    pub claimed_ms: i64,
}

/// How far a creation is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CreationState {
    /// Its request is about to be sent, or was sent and has no answer yet.
    Sending,
    /// The provider works on a task.
    Waiting,
    /// The asset is there.
    Made,
    /// It may have been accepted, but the answer was lost.
    Uncertain,
}

impl CreationRow {
    /// Whether this is the same creation in the same state.
    pub(super) fn is_as(&self, seen: &Self) -> bool {
        (
            &self.key,
            self.state,
            &self.runner,
            &self.task,
            self.claimed_ms,
        ) == (
            &seen.key,
            seen.state,
            &seen.runner,
            &seen.task,
            seen.claimed_ms,
        )
    }

    /// The same creation under another key, so that its own is free. Its cost still counts.
    pub(crate) fn set_aside(&self) -> Self {
        Self {
            key: format!("{}#{}", self.key, uuid::Uuid::new_v4().simple()),
            ..self.clone()
        }
    }
}

impl CreationState {
    pub(crate) const ALL: [Self; 4] = [Self::Sending, Self::Waiting, Self::Made, Self::Uncertain];

    /// The name in the store.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Made => "made",
            Self::Uncertain => "uncertain",
        }
    }
}

/// The most that may be spent since a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Budget {
    pub most: f64,
    /// In milliseconds since 1970.
    pub since_ms: i64,
}

impl Budget {
    /// Whether this may be spent in addition. Sums of amounts are not exact.
    pub(super) fn allows(&self, spent: f64, cost: f64) -> bool {
        spent + cost <= self.most + 1e-9
    }
}

/// The outcome of claiming a creation.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub(crate) enum CreationClaim {
    /// As it is recorded.
    Claimed(CreationRow),
    /// There is one with this key.
    Exists(CreationRow),
    /// It would exceed the budget, of which this much is spent.
    OverBudget(f64),
}
