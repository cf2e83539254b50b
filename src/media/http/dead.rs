//! Hosts that could not be reached: they are skipped for a while, as each attempt takes as long as the last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;

use crate::error::{Error, Kind};

/// Faster failures are not remembered: a refused connection may be accepted a moment later.
const SLOW: Duration = Duration::from_secs(1);
/// How long a host counts as responsive after a response.
const ALIVE: Duration = Duration::from_mins(10);
/// Limits the memory of a long-running server.
const MOST: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct DeadHosts {
    by_host: Mutex<HashMap<String, Dead>>,
    /// The last response of each host: such hosts may be slow, but are not dead.
    answered: Mutex<HashMap<String, Instant>>,
}

#[derive(Debug)]
struct Dead {
    since: Instant,
    kind: Kind,
    /// The error, without the requested source.
    what: String,
}

impl DeadHosts {
    pub(super) fn answered(&self, url: &Url) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() >= MOST {
            answered.retain(|_, at| at.elapsed() < ALIVE);
        }
        if answered.len() < MOST {
            answered.insert(host(url), Instant::now());
        }
    }

    pub(super) fn has_answered(&self, url: &Url) -> bool {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let at = answered.get(&host(url));
        at.is_some_and(|at| at.elapsed() < ALIVE)
    }

    /// Remembers a host that could not be reached, if the attempt took long.
    pub(super) fn add(&self, url: &Url, shown: &str, asked: Instant, error: &Error) {
        if asked.elapsed() < SLOW {
            return;
        }
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.remove(&host(url));
        drop(answered);
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
    }

    /// The error for a host that could not be reached within the last `remembered`.
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
            format!("{shown}: {} (tried {} s ago)", dead.what, ago.as_secs()),
        );
        Some(error.hint(format!(
            "{} is tried again in {} s; check the address and whether the host is running",
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
        hosts.add(&one, "a", Instant::now(), &late);
        assert!(hosts.error(&one, "a", minute).is_none());
        hosts.add(&one, "a", long_ago, &late);
        let error = hosts.error(&same, "b", minute).unwrap();
        assert_eq!(error.kind, Kind::Timeout);
        assert_eq!(error.message, "b: no answer within 2 s (tried 0 s ago)");
        assert!(hosts.error(&url("http://h:81/"), "c", minute).is_none());
        assert!(hosts.error(&one, "a", Duration::ZERO).is_none());
        assert!(hosts.error(&one, "a", minute).is_none(), "it was forgotten");
    }
}
