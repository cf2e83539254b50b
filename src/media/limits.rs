//! How long and how much is waited for and read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds on everything that waits or reads; each may be set in `tools.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Seconds for a connection to a host, TLS included.
    pub connect_timeout_s: u64,
    /// Seconds from a request to the first line of its answer.
    pub answer_timeout_s: u64,
    /// Seconds from a request to the first line of its answer, for a host that has not answered yet.
    pub first_answer_s: u64,
    /// Seconds for which a host that could not be reached is not asked again.
    pub dead_host_s: u64,
    /// Seconds for all of finding out what a source is.
    pub probe_timeout_s: u64,
    /// Bytes of a file that is fetched, at most.
    pub max_bytes: u64,
    /// Bytes that are read to find out what a source is, where the server gives no ranges.
    pub max_probe_bytes: u64,
    /// Bytes per second below which a download is given up.
    pub min_bytes_per_s: u64,
    /// Seconds over which that speed is measured.
    pub min_speed_window_s: u64,
    /// Redirects that are followed, at most.
    pub redirects: usize,
    /// How often a request is sent when there was no connection, a 5xx or 429, or a short body.
    pub tries: u32,
    /// Milliseconds before the second try; four times as many before each further one.
    pub retry_wait_ms: u64,
    /// Local files are hard-linked where the file system can, instead of copied: writing to the source then changes
    /// the draft, and the other way round.
    pub hard_links: bool,
    /// Bytes of fetched media that are kept on disk, at most; 0: none are kept.
    pub cache_bytes: u64,
    /// Seconds after which a fetched file that was not asked after any more is fetched again.
    pub cache_age_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout_s: 5,
            answer_timeout_s: 30,
            first_answer_s: 5,
            dead_host_s: 60,
            probe_timeout_s: 20,
            max_bytes: 4 << 30,
            max_probe_bytes: 256 << 20,
            min_bytes_per_s: 1024,
            min_speed_window_s: 30,
            redirects: 10,
            tries: 3,
            retry_wait_ms: 250,
            hard_links: false,
            cache_bytes: 2 << 30,
            cache_age_s: 3600,
        }
    }
}

impl Limits {
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_s)
    }

    pub(crate) fn probe_timeout(&self) -> Duration {
        Duration::from_secs(self.probe_timeout_s)
    }

    pub(crate) fn min_speed_window(&self) -> Duration {
        Duration::from_secs(self.min_speed_window_s)
    }
}
