//! Progress reports of running calls.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The minimum interval between reports of bytes.
const EVERY: Duration = Duration::from_millis(200);

/// One progress report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub done: f64,
    pub total: Option<f64>,
    pub message: String,
    /// The progress of a download, if the report is about one.
    pub bytes: Option<Bytes>,
}

/// Receives the progress of a call.
pub(crate) type Progress = Arc<dyn Fn(Step) + Send + Sync>;

/// How much has been downloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub done: u64,
    /// The total, if known.
    pub of: Option<u64>,
}

/// For people: `3.1 of 40.0 MB`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        match self.of {
            Some(of) => write!(f, "{:.1} of {:.1} MB", megabytes(self.done), megabytes(of)),
            None => write!(f, "{:.1} MB", megabytes(self.done)),
        }
    }
}

/// Limits how often progress is reported.
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

    /// Whether a report is due; if so, starts the next interval.
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
    fn bytes_are_shown_in_megabytes_and_reports_are_paced() {
        let bytes = |done, of| Bytes { done, of }.to_string();
        assert_eq!(bytes(3_149_999, Some(40_000_000)), "3.1 of 40.0 MB");
        assert_eq!(bytes(0, None), "0.0 MB");
        let pace = Pace::every(Duration::from_hours(1));
        assert!(pace.is_due() && !pace.is_due());
        assert!(Pace::every(Duration::ZERO).is_due());
    }
}
