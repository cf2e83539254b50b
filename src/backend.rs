//! The backends that handle calls: the engine in this process or a CapCut API server, and the choice between them.

mod choice;
pub(crate) mod dialect;
pub(crate) mod envelope;
mod expected;
mod failure;
mod recorded;
mod remote;
mod wire;

use std::sync::Arc;

use crate::engine::Engine;

pub(crate) use choice::{Choice, Servers};
pub(crate) use expected::leaves;
pub(crate) use failure::{Failure, Reached};
pub(crate) use recorded::{RecordedDialect, again, manner};
pub(crate) use remote::Remote;
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
