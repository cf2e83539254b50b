//! Timeouts and size limits for reading media.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits for everything that waits or reads; each can be set in `tools.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MediaLimits {
    /// Seconds to connect to a host, including TLS.
    pub connect_timeout_s: u64,
    /// Seconds from a request to the first line of the response.
    pub answer_timeout_s: u64,
    /// Seconds from a request to the first line of the response, for a host that has not responded before.
    pub first_answer_s: u64,
    /// Seconds before a host that could not be reached is contacted again.
    pub dead_host_s: u64,
    /// Seconds to identify a source.
    pub probe_timeout_s: u64,
    /// Maximum bytes of a fetched file.
    pub max_bytes: u64,
    /// Maximum bytes read to identify a source if its server does not support ranges.
    pub max_probe_bytes: u64,
    /// Bytes per second below which a download is aborted.
    pub min_bytes_per_s: u64,
    /// Seconds over which that speed is measured.
    pub min_speed_window_s: u64,
    /// Maximum number of redirects.
    pub redirects: usize,
    /// Maximum attempts of a request that fails with no connection, a 5xx or 429, or a short body.
    pub tries: u32,
    /// Milliseconds before the second attempt; multiplied by four before each further one.
    pub retry_wait_ms: u64,
    /// Hard-links local files, where the file system supports it, instead of copying them: writing to the
    /// source then changes the draft, and vice versa.
    pub hard_links: bool,
    /// Maximum bytes of fetched media that are cached on disk; 0 disables the cache.
    pub cache_bytes: u64,
    /// Seconds since its last confirmation after which a cached file is fetched again.
    pub cache_age_s: u64,
}

impl Default for MediaLimits {
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

impl MediaLimits {
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
