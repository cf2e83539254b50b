//! The circuit breaker: when to stop calling a backend, and when to try it again. The current time is an
//! argument.

use std::time::{Duration, Instant};

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerSettings {
    /// Number of consecutive failures that open it.
    pub failures: u32,
    /// How long calls are paused.
    pub cool_down: Duration,
    /// Number of calls that must succeed before it closes again.
    pub trial_calls: u32,
}

/// The recent results of one backend's calls.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    state: BreakerPhase,
}

#[derive(Debug)]
enum BreakerPhase {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        /// Set if the server was unreachable, with the time: as soon as it answers, calls may try it. A server
        /// that answers with errors would pass that check too.
        away: Option<Instant>,
    },
    /// A few calls may try the backend.
    HalfOpen {
        under_way: u32,
        good: u32,
    },
}

/// The state for reports; the numbers are those that dashboards of such bridges use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerStatus {
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
}

impl BreakerStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What the end of a call says about the backend's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The backend answered, possibly with a refusal.
    Good,
    /// The call failed at the backend, or timed out.
    Bad,
    /// The backend was unreachable or closed the connection.
    Away,
    /// The call was abandoned: nothing was learnt.
    Unknown,
}

impl Breaker {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: BreakerPhase::Closed { failures: 0 },
        }
    }

    /// Admits a call, or returns how long calls are paused.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        if let BreakerPhase::Open { until, .. } = self.state {
            if now < until {
                return Err(until - now);
            }
            self.state = BreakerPhase::HalfOpen {
                under_way: 0,
                good: 0,
            };
        }
        if let BreakerPhase::HalfOpen { under_way, .. } = &mut self.state {
            if *under_way >= self.settings.trial_calls {
                return Err(Duration::from_secs(1));
            }
            *under_way += 1;
        }
        Ok(())
    }

    /// The backend was seen to answer again: a few calls may try it immediately.
    pub(crate) fn came_back(&mut self) {
        if let BreakerPhase::Open { .. } = self.state {
            self.state = BreakerPhase::HalfOpen {
                under_way: 0,
                good: 0,
            };
        }
    }

    /// The time since when the breaker is open because the server was unreachable.
    pub(crate) fn away_since(&self) -> Option<Instant> {
        match self.state {
            BreakerPhase::Open { away, .. } => away,
            BreakerPhase::Closed { .. } | BreakerPhase::HalfOpen { .. } => None,
        }
    }

    /// Records how an admitted call ended. Returns true if that opened the breaker.
    pub(crate) fn record(&mut self, verdict: Verdict, now: Instant) -> bool {
        let opened = BreakerPhase::Open {
            until: now + self.settings.cool_down,
            away: (verdict == Verdict::Away).then_some(now),
        };
        match (&mut self.state, verdict) {
            (BreakerPhase::Closed { failures }, Verdict::Good) => *failures = 0,
            (BreakerPhase::Closed { failures }, Verdict::Bad | Verdict::Away) => {
                *failures += 1;
                if *failures >= self.settings.failures {
                    self.state = opened;
                    return true;
                }
            }
            (BreakerPhase::HalfOpen { under_way, good }, Verdict::Good) => {
                *under_way = under_way.saturating_sub(1);
                *good += 1;
                if *good >= self.settings.trial_calls {
                    self.state = BreakerPhase::Closed { failures: 0 };
                }
            }
            (BreakerPhase::HalfOpen { .. }, Verdict::Bad | Verdict::Away) => {
                self.state = opened;
                return true;
            }
            (BreakerPhase::HalfOpen { under_way, .. }, Verdict::Unknown) => {
                *under_way = under_way.saturating_sub(1);
            }
            // The call was admitted before the breaker opened.
            (BreakerPhase::Open { .. }, _) | (BreakerPhase::Closed { .. }, Verdict::Unknown) => {}
        }
        false
    }

    pub(crate) fn position(&self, now: Instant) -> BreakerStatus {
        match self.state {
            BreakerPhase::Closed { .. } => BreakerStatus::Closed,
            BreakerPhase::Open { until, .. } if now < until => BreakerStatus::Open,
            BreakerPhase::Open { .. } | BreakerPhase::HalfOpen { .. } => BreakerStatus::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOL_DOWN: Duration = Duration::from_mins(3);

    fn breaker() -> (Breaker, Instant) {
        let settings = BreakerSettings {
            failures: 3,
            cool_down: COOL_DOWN,
            trial_calls: 2,
        };
        (Breaker::new(settings), Instant::now())
    }

    fn fail(breaker: &mut Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.admit(now).unwrap();
            breaker.record(Verdict::Bad, now);
        }
    }

    #[test]
    fn opens_after_consecutive_failures() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 2, now);
        breaker.admit(now).unwrap();
        breaker.record(Verdict::Good, now);
        fail(&mut breaker, 2, now);
        assert_eq!(breaker.position(now), BreakerStatus::Closed);
        fail(&mut breaker, 1, now);
        assert_eq!(breaker.position(now), BreakerStatus::Open);
        assert_eq!(
            breaker.admit(now + Duration::from_mins(1)),
            Err(Duration::from_mins(2))
        );
    }

    #[test]
    fn successful_trial_calls_close_it() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 3, now);
        let later = now + COOL_DOWN;
        assert_eq!(breaker.position(later), BreakerStatus::HalfOpen);
        breaker.admit(later).unwrap();
        breaker.admit(later).unwrap();
        assert!(
            breaker.admit(later).is_err(),
            "only the trial calls at the same time"
        );
        breaker.record(Verdict::Good, later);
        assert_eq!(breaker.position(later), BreakerStatus::HalfOpen);
        breaker.record(Verdict::Good, later);
        assert_eq!(breaker.position(later), BreakerStatus::Closed);
    }

    #[test]
    fn a_backend_that_is_back_is_tried_before_the_pause_ends() {
        let (mut breaker, now) = breaker();
        breaker.came_back();
        assert_eq!(breaker.position(now), BreakerStatus::Closed);
        fail(&mut breaker, 3, now);
        assert!(breaker.admit(now).is_err());
        breaker.came_back();
        assert_eq!(breaker.position(now), BreakerStatus::HalfOpen);
        for _ in 0..2 {
            breaker.admit(now).unwrap();
            breaker.record(Verdict::Good, now);
        }
        assert_eq!(breaker.position(now), BreakerStatus::Closed);
    }

    #[test]
    fn distinguishes_an_unreachable_server_from_a_failing_one() {
        for (last, away) in [(Verdict::Away, true), (Verdict::Bad, false)] {
            let (mut breaker, now) = breaker();
            fail(&mut breaker, 2, now);
            breaker.admit(now).unwrap();
            assert!(breaker.record(last, now));
            assert_eq!(breaker.away_since().is_some(), away);
        }
    }

    #[test]
    fn a_failed_trial_call_opens_it_again() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 3, now);
        let later = now + COOL_DOWN;
        breaker.admit(later).unwrap();
        assert!(breaker.record(Verdict::Bad, later));
        assert_eq!(breaker.position(later), BreakerStatus::Open);
    }

    #[test]
    fn an_abandoned_trial_call_frees_its_slot() {
        let (mut breaker, now) = breaker();
        fail(&mut breaker, 3, now);
        let later = now + COOL_DOWN;
        for _ in 0..5 {
            breaker.admit(later).unwrap();
            breaker.record(Verdict::Unknown, later);
        }
        assert_eq!(breaker.position(later), BreakerStatus::HalfOpen);
    }
}
