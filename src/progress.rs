//! How far a call is, told while it runs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often bytes are told of at most.
const EVERY: Duration = Duration::from_millis(200);

/// How far a call is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub done: f64,
    pub total: Option<f64>,
    pub message: String,
    /// Of what is being fetched, where that is what the step tells.
    pub bytes: Option<Bytes>,
}

/// Hears how far a call is.
pub(crate) type Progress = Arc<dyn Fn(Step) + Send + Sync>;

/// How much has been fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub done: u64,
    /// Of how many, where that is known.
    pub of: Option<u64>,
}

/// As people read it: `3.1 of 40.0 MB`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        match self.of {
            Some(of) => write!(f, "{:.1} of {:.1} MB", megabytes(self.done), megabytes(of)),
            None => write!(f, "{:.1} MB", megabytes(self.done)),
        }
    }
}

/// Keeps what is told from coming faster than anybody reads.
#[derive(Debug)]
pub(crate) struct Pace {
    every: Duration,
    last: Mutex<Option<Instant>>,
}

impl Default for Pace {
    fn default() -> Self {
        Self::every(EVERY)
    }
}

impl Pace {
    pub(crate) fn every(every: Duration) -> Self {
        Self {
            every,
            last: Mutex::default(),
        }
    }

    /// Whether it is time to tell; then the next time is a while away.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= self.every);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_megabytes_and_not_too_often() {
        let bytes = |done, of| Bytes { done, of }.to_string();
        assert_eq!(bytes(3_149_999, Some(40_000_000)), "3.1 of 40.0 MB");
        assert_eq!(bytes(0, None), "0.0 MB");
        let pace = Pace::every(Duration::from_hours(1));
        assert!(pace.is_due() && !pace.is_due());
        assert!(Pace::every(Duration::ZERO).is_due());
    }
}
