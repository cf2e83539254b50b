//! When to retry, and after how long: pure functions without clocks.

use std::time::Duration;

use crate::error::Kind;
use crate::manifest::{self, Backoff, Policies, Policy, Retry};

/// How long to wait before the next try; `None` if there is none. `tries` is the number of tries so far, `random`
/// is from 0 to 1.
pub(crate) fn wait(
    policies: &Policies,
    retry: Retry,
    failure: Failed,
    tries: u32,
    random: f64,
) -> Option<Duration> {
    if failure.lasting {
        return None;
    }
    let policy = match (retry, failure.kind) {
        (Retry::Unsent | Retry::Transient, Kind::Busy) if failure.by_server => policies.busy,
        (Retry::Unsent | Retry::Transient, Kind::Unsent) => policies.unsent,
        (Retry::Transient, Kind::Unavailable | Kind::Timeout) => policies.transient,
        _ => return None,
    };
    if tries >= policy.tries {
        return None;
    }
    let own = pause(policy, tries, random);
    // The server's `Retry-After` overrides our own wait, up to the longest wait.
    let longest = manifest::seconds(policy.longest_wait_s);
    Some(failure.after.map_or(own, |after| after.min(longest)))
}

/// The result of a failed try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    pub kind: Kind,
    /// The server returned the error, not a lane or breaker of this process.
    pub by_server: bool,
    /// When the server asks to be called again.
    pub after: Option<Duration>,
    /// The failure persists until the user does something.
    pub lasting: bool,
}

impl Failed {
    /// The name of the policy that [`wait`] uses, for reports.
    pub(crate) fn class(self) -> &'static str {
        match self.kind {
            Kind::Busy => "busy",
            Kind::Unsent => "unsent",
            _ => "transient",
        }
    }
}

/// The wait after the given number of tries. Jitter picks it from the upper half, so that callers that failed
/// together do not retry together.
fn pause(policy: Policy, tries: u32, random: f64) -> Duration {
    let step = tries.saturating_sub(1);
    let growth = match policy.backoff {
        Backoff::Linear => f64::from(step + 1),
        Backoff::Exponential => 2f64.powi(i32::try_from(step.min(60)).unwrap_or(60)),
    };
    let wait = (policy.first_wait_s * growth).min(policy.longest_wait_s);
    manifest::seconds(if policy.jitter {
        wait * (0.5 + random.clamp(0.0, 1.0) / 2.0)
    } else {
        wait
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    fn after(retry: Retry, kind: Kind, tries: u32) -> Option<f64> {
        let failed = Failed {
            kind,
            by_server: true,
            after: None,
            lasting: false,
        };
        wait(&Manifest::built_in().retry, retry, failed, tries, 1.0).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn an_edit_is_retried_only_if_it_was_never_sent() {
        assert_eq!(after(Retry::Unsent, Kind::Unsent, 1), Some(1.0));
        for kind in [
            Kind::Unavailable,
            Kind::Timeout,
            Kind::Conflict,
            Kind::NotFound,
            Kind::Internal,
            Kind::Cancelled,
        ] {
            assert_eq!(after(Retry::Unsent, kind, 1), None, "{kind:?}");
        }
    }

    #[test]
    fn an_idempotent_call_is_retried_after_a_broken_connection() {
        assert_eq!(after(Retry::Transient, Kind::Unavailable, 1), Some(2.0));
        assert_eq!(after(Retry::Transient, Kind::Timeout, 2), Some(4.0));
        assert_eq!(after(Retry::Transient, Kind::Timeout, 3), None);
        assert_eq!(after(Retry::Transient, Kind::InvalidArgument, 1), None);
    }

    #[test]
    fn a_lasting_failure_is_not_retried() {
        let failed = Failed {
            kind: Kind::Unavailable,
            by_server: false,
            after: None,
            lasting: true,
        };
        let policies = Manifest::built_in().retry;
        assert_eq!(wait(&policies, Retry::Transient, failed, 1, 0.0), None);
    }

    #[test]
    fn a_call_marked_never_is_not_retried() {
        for kind in [Kind::Unsent, Kind::Busy, Kind::Timeout] {
            assert_eq!(after(Retry::Never, kind, 1), None);
        }
    }

    #[test]
    fn waits_grow_to_their_limit_and_stop() {
        let waits: Vec<_> = (1..=5)
            .map(|tries| after(Retry::Unsent, Kind::Unsent, tries))
            .collect();
        assert_eq!(waits, [Some(1.0), Some(2.0), Some(4.0), Some(8.0), None]);
        assert_eq!(after(Retry::Unsent, Kind::Busy, 1), Some(5.0));
        assert_eq!(after(Retry::Unsent, Kind::Busy, 2), Some(10.0));
    }

    #[test]
    fn jitter_picks_from_the_upper_half() {
        let failed = Failed {
            kind: Kind::Unsent,
            by_server: true,
            after: None,
            lasting: false,
        };
        let wait = |random| {
            wait(
                &Manifest::built_in().retry,
                Retry::Unsent,
                failed,
                2,
                random,
            )
        };
        assert_eq!(wait(0.0), Some(Duration::from_secs(1)));
        assert_eq!(wait(1.0), Some(Duration::from_secs(2)));
    }

    #[test]
    fn retry_after_is_limited_and_a_full_lane_is_not_retried() {
        let policies = Manifest::built_in().retry;
        let mut failed = Failed {
            kind: Kind::Busy,
            by_server: true,
            after: Some(Duration::from_secs(2)),
            lasting: false,
        };
        assert_eq!(
            wait(&policies, Retry::Unsent, failed, 1, 0.0),
            Some(Duration::from_secs(2))
        );
        failed.after = Some(Duration::from_secs(4000));
        assert_eq!(
            wait(&policies, Retry::Unsent, failed, 1, 0.0),
            Some(Duration::from_mins(1))
        );
        failed.by_server = false;
        assert_eq!(wait(&policies, Retry::Unsent, failed, 1, 0.0), None);
    }
}
