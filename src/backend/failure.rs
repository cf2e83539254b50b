//! How an attempt on a backend failed: the error, how far the call got, and when to try again.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::error::Error;

/// What to do about a draft that the server lost.
const LOST_DRAFT: &str = "`recover_draft` recreates it from the journal, on the server or, with `to: \"embedded\"`, in the engine; \
     `--recover auto` does this automatically";

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

impl Failure {
    /// The request was sent; its result is unknown.
    pub(crate) fn lost(error: Error) -> Self {
        Self {
            error,
            reached: Reached::Lost,
            by_server: true,
            after: None,
            since: None,
        }
    }

    /// The server refused the call.
    pub(crate) fn refused(error: Error) -> Self {
        Self {
            reached: Reached::Answered,
            ..Self::lost(error)
        }
    }

    /// The server no longer has the draft, as the error says.
    pub(super) fn draft_lost(error: Error) -> Self {
        Self {
            reached: Reached::Forgotten,
            ..Self::refused(error.hint(LOST_DRAFT))
        }
    }

    /// The request was not sent, so nothing was changed.
    pub(crate) fn unsent(error: Error) -> Self {
        Self {
            reached: Reached::Never,
            ..Self::lost(error)
        }
    }
}
