//! Where calls go: the engine in this process, or a CapCut API server; and which of the two it is.

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

/// Who carries a call out.
#[derive(Clone)]
pub(crate) enum Backend {
    Embedded(Arc<Engine>),
    Remote(Arc<Remote>),
}

impl Backend {
    /// As replies and the journal's readers name it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Remote(_) => "remote",
        }
    }
}

/// A try that failed, and what is known of it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: Error,
    pub reached: Reached,
    /// The server said it, or the way to it; not a limit of ours.
    pub by_server: bool,
    /// When the server wants to be asked again.
    pub after: Option<Duration>,
    /// In a journal that the server keeps too: the sequence number after the draft's last call before this one was sent.
    /// The server enters this call itself, so what came before cannot be told from the journal alone.
    pub since: Option<NonZeroU64>,
}

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// It never left.
    Never,
    /// It was answered, if only to refuse.
    Answered,
    /// The draft that it is about is not there any more.
    Forgotten,
    /// It was sent, and the answer was lost.
    Lost,
}

impl From<Error> for Failure {
    /// The engine's own errors: what they are about was not done.
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
