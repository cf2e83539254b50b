//! Rate limits: for each token and class of calls, a number of calls a minute, with bursts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// The kinds of calls that are counted separately: the lanes of the tools, and everything without a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallClass {
    Audio,
    Visual,
    Draft,
    Query,
    /// Tools that run in this process, files and links.
    Other,
}

impl CallClass {
    const COUNT: usize = 5;
}

/// The limit of one class.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    /// Calls a minute, over a longer time; 0: no limit.
    pub per_minute: f64,
    /// Calls at once.
    pub burst: u32,
}

/// The limits of each token.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateSection {
    pub audio: Rate,
    pub visual: Rate,
    pub draft: Rate,
    pub query: Rate,
    pub other: Rate,
}

impl RateSection {
    /// The limits with their names.
    pub(crate) fn named(&self) -> [(&'static str, Rate); CallClass::COUNT] {
        [
            ("audio", self.audio),
            ("visual", self.visual),
            ("draft", self.draft),
            ("query", self.query),
            ("other", self.other),
        ]
    }

    fn of(&self, class: CallClass) -> Rate {
        match class {
            CallClass::Audio => self.audio,
            CallClass::Visual => self.visual,
            CallClass::Draft => self.draft,
            CallClass::Query => self.query,
            CallClass::Other => self.other,
        }
    }
}

/// The number of keys from which those that are idle are removed.
const MANY: usize = 1024;

/// The state of all limits. Keys are those of callers whose token was accepted, so that no one else can add any.
pub(super) struct RateLimits {
    rates: RateSection,
    keys: Mutex<HashMap<String, [Option<Instant>; CallClass::COUNT]>>,
}

impl RateLimits {
    pub(super) fn new(rates: RateSection) -> Self {
        Self {
            rates,
            keys: Mutex::default(),
        }
    }

    /// Counts a call. `Err`: it is too much, and may be tried again after this time.
    ///
    /// This is the generic cell rate algorithm: for each key, the time at which all calls so far would have arrived if
    /// they had arrived at the permitted rate. A call may be ahead of this time by the burst.
    pub(super) fn count(&self, key: &str, class: CallClass, now: Instant) -> Result<(), Duration> {
        let rate = self.rates.of(class);
        let Some(interval) = interval(rate) else {
            return Ok(());
        };
        let ahead = interval.saturating_mul(rate.burst.saturating_sub(1));
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MANY && !keys.contains_key(key) {
            // A key whose times have passed has the same limits as a new one.
            keys.retain(|_, times| times.iter().flatten().any(|time| *time > now));
        }
        if !keys.contains_key(key) {
            keys.insert(key.to_owned(), [None; CallClass::COUNT]);
        }
        let Some(time) = keys.get_mut(key).map(|times| &mut times[class as usize]) else {
            return Ok(());
        };
        let due = time.unwrap_or(now).max(now);
        let early = due.duration_since(now);
        if early > ahead {
            return Err(early - ahead);
        }
        *time = Some(due + interval);
        Ok(())
    }
}

/// The time between two calls at the permitted rate; `None`: no limit.
fn interval(rate: Rate) -> Option<Duration> {
    let s = 60.0 / rate.per_minute;
    // `tools.toml` refuses other rates; a rate that is too small to have an interval must not be unlimited.
    (rate.per_minute > 0.0).then(|| {
        Duration::try_from_secs_f64(s)
            .unwrap_or(Duration::from_hours(24))
            .min(Duration::from_hours(24))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_minute: f64, burst: u32) -> RateLimits {
        let rate = Rate { per_minute, burst };
        let other = Rate {
            per_minute: 0.0,
            burst: 1,
        };
        RateLimits::new(RateSection {
            audio: rate,
            visual: rate,
            draft: rate,
            query: rate,
            other,
        })
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let limits = limits(60.0, 20);
        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(limits.count("a", CallClass::Draft, start), Ok(()));
        }
        assert_eq!(
            limits.count("a", CallClass::Draft, start),
            Err(Duration::from_secs(1))
        );
        // Other classes and other keys have their own.
        assert_eq!(limits.count("a", CallClass::Query, start), Ok(()));
        assert_eq!(limits.count("b", CallClass::Draft, start), Ok(()));
        let later = start + Duration::from_millis(2500);
        assert_eq!(limits.count("a", CallClass::Draft, later), Ok(()));
        assert_eq!(limits.count("a", CallClass::Draft, later), Ok(()));
        assert_eq!(
            limits.count("a", CallClass::Draft, later),
            Err(Duration::from_millis(500))
        );
        let much_later = start + Duration::from_hours(1);
        let passed = (0..40).filter(|_| limits.count("a", CallClass::Draft, much_later).is_ok());
        assert_eq!(passed.count(), 20);
    }

    #[test]
    fn zero_is_no_limit_and_a_tiny_rate_is_not() {
        let now = Instant::now();
        let unlimited = limits(100.0, 20);
        assert!((0..1000).all(|_| unlimited.count("a", CallClass::Other, now).is_ok()));
        let tiny = limits(1e-300, 1);
        assert_eq!(tiny.count("a", CallClass::Draft, now), Ok(()));
        assert!(tiny.count("a", CallClass::Draft, now).is_err());
    }

    #[test]
    fn idle_keys_are_removed() {
        let limits = limits(60.0, 20);
        let mut now = Instant::now();
        for key in 0..10 * MANY {
            assert_eq!(
                limits.count(&key.to_string(), CallClass::Draft, now),
                Ok(())
            );
            now += Duration::from_millis(10);
        }
        let kept = limits.keys.lock().unwrap().len();
        assert!(kept <= MANY + 1, "{kept}");
    }
}
