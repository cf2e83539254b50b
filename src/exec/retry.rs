//! When to try again, and after how long: plain functions, without clocks.

use std::time::Duration;

use crate::error::Kind;
use crate::manifest::{self, Backoff, Policies, Policy, Retry};

/// How long to wait before the next try; `None` if there is none. `tries` counts those that were made,
/// `random` is from 0 to 1.
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
    // A server that says when knows better, within reason.
    let longest = manifest::seconds(policy.longest_wait_s);
    Some(failure.after.map_or(own, |after| after.min(longest)))
}

/// What a try came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    pub kind: Kind,
    /// The server said it, not a lane or breaker of ours.
    pub by_server: bool,
    /// When the server wants to be asked again.
    pub after: Option<Duration>,
    /// It stays until the user has done something.
    pub lasting: bool,
}

impl Failed {
    /// The name of the policy that [`wait`] goes by, for reports.
    pub(crate) fn class(self) -> &'static str {
        match self.kind {
            Kind::Busy => "busy",
            Kind::Unsent => "unsent",
            _ => "transient",
        }
    }
}

/// The wait after the given number of tries. With jitter it is drawn from its upper half, so that
/// callers that failed together do not come back together.
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
    fn an_edit_is_sent_again_only_when_it_was_never_sent() {
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
    fn what_may_be_carried_out_twice_is_tried_again_when_it_broke_off() {
        assert_eq!(after(Retry::Transient, Kind::Unavailable, 1), Some(2.0));
        assert_eq!(after(Retry::Transient, Kind::Timeout, 2), Some(4.0));
        assert_eq!(after(Retry::Transient, Kind::Timeout, 3), None);
        assert_eq!(after(Retry::Transient, Kind::InvalidArgument, 1), None);
    }

    #[test]
    fn what_stays_until_the_user_acts_is_not_tried_again() {
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
    fn never_is_never() {
        for kind in [Kind::Unsent, Kind::Busy, Kind::Timeout] {
            assert_eq!(after(Retry::Never, kind, 1), None);
        }
    }

    #[test]
    fn waits_grow_to_their_limit_and_end() {
        let waits: Vec<_> = (1..=5)
            .map(|tries| after(Retry::Unsent, Kind::Unsent, tries))
            .collect();
        assert_eq!(waits, [Some(1.0), Some(2.0), Some(4.0), Some(8.0), None]);
        assert_eq!(after(Retry::Unsent, Kind::Busy, 1), Some(5.0));
        assert_eq!(after(Retry::Unsent, Kind::Busy, 2), Some(10.0));
    }

    #[test]
    fn jitter_takes_from_the_upper_half() {
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
    fn a_server_says_when_within_reason_and_our_own_fullness_is_not_tried_again() {
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
