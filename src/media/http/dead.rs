//! Hosts that could not be reached: for a while they are not asked again, as each try takes as long as the last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;

use crate::error::{Error, Kind};

/// Failures that took less are not remembered: a refused connection may be accepted a moment later.
const SLOW: Duration = Duration::from_secs(1);
/// So that a long-lived server does not grow with every host it ever asked.
const MOST: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct DeadHosts {
    by_host: Mutex<HashMap<String, Dead>>,
}

#[derive(Debug)]
struct Dead {
    since: Instant,
    kind: Kind,
    /// What was wrong, without the source that was asked for.
    what: String,
}

impl DeadHosts {
    /// Remembers a host that was not reached, if finding that out has taken long; whether it has.
    pub(super) fn add(&self, url: &Url, shown: &str, asked: Instant, error: &Error) -> bool {
        if asked.elapsed() < SLOW {
            return false;
        }
        let mut by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        if by_host.len() >= MOST
            && let Some(oldest) = by_host
                .iter()
                .min_by_key(|(_, dead)| dead.since)
                .map(|(host, _)| host.clone())
        {
            by_host.remove(&oldest);
        }
        by_host.insert(
            host(url),
            Dead {
                since: Instant::now(),
                kind: error.kind,
                what: error
                    .message
                    .trim_start_matches(shown)
                    .trim_start_matches(": ")
                    .to_owned(),
            },
        );
        true
    }

    /// The error for a host that was not reached within the last `remembered`.
    pub(super) fn error(&self, url: &Url, shown: &str, remembered: Duration) -> Option<Error> {
        let mut by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        let host = host(url);
        let dead = by_host.get(&host)?;
        let ago = dead.since.elapsed();
        if ago >= remembered {
            by_host.remove(&host);
            return None;
        }
        let error = Error::new(
            dead.kind,
            format!("{shown}: {} (asked {} s ago)", dead.what, ago.as_secs()),
        );
        Some(error.hint(format!(
            "{} is asked again in {} s; check the address and whether the host runs",
            url.host_str().unwrap_or_default(),
            (remembered - ago).as_secs() + 1
        )))
    }
}

fn host(url: &Url) -> String {
    format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slow_failures_are_remembered_and_only_for_a_while() {
        let hosts = DeadHosts::default();
        let url = |text: &str| Url::parse(text).unwrap();
        let (one, same) = (url("http://h/a.mp4"), url("http://h:80/b.mp4"));
        let long_ago = Instant::now().checked_sub(2 * SLOW).unwrap();
        let minute = Duration::from_mins(1);
        let late = Error::new(Kind::Timeout, "a: no answer within 2 s");
        assert!(!hosts.add(&one, "a", Instant::now(), &late));
        assert!(hosts.error(&one, "a", minute).is_none());
        assert!(hosts.add(&one, "a", long_ago, &late));
        let error = hosts.error(&same, "b", minute).unwrap();
        assert_eq!(error.kind, Kind::Timeout);
        assert_eq!(error.message, "b: no answer within 2 s (asked 0 s ago)");
        assert!(hosts.error(&url("http://h:81/"), "c", minute).is_none());
        assert!(hosts.error(&one, "a", Duration::ZERO).is_none());
        assert!(hosts.error(&one, "a", minute).is_none(), "it was forgotten");
    }
}
