//! The backends that handle calls: the engine in this process or a CapCut API server, and the choice between them.

mod account;
mod choice;
pub(crate) mod dialect;
mod mend;
mod remote;
mod save;
mod sent;
mod vain;
mod wire;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::error::Error;

pub(crate) use account::leaves;
pub(crate) use choice::{Choice, Servers};
pub(crate) use remote::Remote;
pub(crate) use sent::{Sent, again, manner};
pub(crate) use wire::{Sender, is_loopback};

/// The backend that handles a call.
#[derive(Clone)]
pub(crate) enum Backend {
    Embedded(Arc<Engine>),
    Remote(Arc<Remote>),
}

impl Backend {
    /// The name in replies and in what is shown of the journal.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Remote(_) => "remote",
        }
    }
}

/// A failed attempt, and what is known about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: Error,
    pub reached: Reached,
    /// The server or the connection to it caused the failure, not one of our own limits.
    pub by_server: bool,
    /// How long the server asks us to wait before the next attempt.
    pub after: Option<Duration>,
    /// Set if the server writes to the same journal: the sequence number after the draft's last call before this
    /// one was sent. The server records this call itself, so the journal alone does not show which calls came
    /// before it.
    pub since: Option<NonZeroU64>,
}

/// How far a call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// It was not sent.
    Never,
    /// The server answered, possibly with a refusal.
    Answered,
    /// The server no longer has the draft.
    Forgotten,
    /// It was sent, and the answer was lost.
    Lost,
}

impl From<Error> for Failure {
    /// Errors of the engine: the call had no effect.
    fn from(error: Error) -> Self {
        Self {
            error,
            reached: Reached::Answered,
            by_server: false,
            after: None,
            since: None,
        }
    }
}
