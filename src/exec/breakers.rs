//! The circuit breakers of all servers: whether a call is admitted, and what its end says about the server.

use std::sync::PoisonError;
use std::time::Instant;

use super::App;
use crate::backend::{Failure, Reached, Remote};
use crate::breaker::{Breaker, BreakerStatus, Verdict};
use crate::error::{Error, Kind, Result};
use crate::media;
use crate::metrics::BreakerState;

impl App {
    pub(super) async fn trial<'a>(
        &'a self,
        remote: &'a Remote,
        until: Instant,
    ) -> Result<AdmittedCall<'a>> {
        let admit = |breaker: &mut Breaker| breaker.admit(Instant::now());
        let mut admitted = self.with_breaker(remote, admit);
        // Boxed: otherwise every call's future would contain it.
        if admitted.is_err() && Box::pin(self.is_back(remote, until)).await {
            admitted = self.with_breaker(remote, admit);
        }
        match admitted {
            Ok(()) => Ok(AdmittedCall {
                app: self,
                remote,
                verdict: Verdict::Unknown,
            }),
            Err(wait) => Err(open_breaker(remote, wait.as_secs_f64().ceil())),
        }
    }

    pub(super) fn with_breaker<T>(
        &self,
        remote: &Remote,
        act: impl FnOnce(&mut Breaker) -> T,
    ) -> T {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers
            .entry(remote.base.clone())
            .or_insert_with(|| Breaker::new(self.manifest.breaker.settings()));
        act(breaker)
    }

    /// The state of a server's breaker.
    pub(crate) fn position(&self, remote: &Remote) -> BreakerStatus {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers.get(&remote.base);
        breaker.map_or(BreakerStatus::Closed, |breaker| {
            breaker.position(Instant::now())
        })
    }

    /// Whether the breaker admits calls to a server; does not count a call.
    pub(super) fn admits(&self, remote: &Remote) -> Result<()> {
        match self.position(remote) {
            BreakerStatus::Open => Err(open_breaker(remote, self.manifest.breaker.cool_down_s)),
            BreakerStatus::Closed | BreakerStatus::HalfOpen => Ok(()),
        }
    }

    /// The metrics in their current state. Breakers change with time, so their state is read now, like the queues.
    pub(crate) fn metrics_text(&self) -> String {
        let now = Instant::now();
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        for (base, breaker) in &*breakers {
            let state = match breaker.position(now) {
                BreakerStatus::Closed => BreakerState::Closed,
                BreakerStatus::HalfOpen => BreakerState::HalfOpen,
                BreakerStatus::Open => BreakerState::Open,
            };
            self.metrics.breaker(&media::shown(base), state);
        }
        drop(breakers);
        for lane in self.lanes.in_use() {
            self.metrics.waiting(lane.lane.name(), lane.waiting);
        }
        self.metrics.render()
    }
}

/// A call that the breaker admitted. If it is dropped without a verdict, the breaker learns nothing.
pub(super) struct AdmittedCall<'a> {
    app: &'a App,
    remote: &'a Remote,
    verdict: Verdict,
}

impl AdmittedCall<'_> {
    pub(super) fn ended(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for AdmittedCall<'_> {
    fn drop(&mut self) {
        let verdict = self.verdict;
        let record = |breaker: &mut Breaker| breaker.record(verdict, Instant::now());
        if self.app.with_breaker(self.remote, record) {
            tracing::warn!(
                server = self.remote.base,
                cool_down_s = self.app.manifest.breaker.cool_down_s,
                "the server has failed repeatedly; calls are paused"
            );
        }
    }
}

/// The server's health as shown by a failure: a refusal counts as an answer.
pub(super) fn verdict(failure: &Failure) -> Verdict {
    let is_away = matches!(failure.reached, Reached::Never | Reached::Lost);
    match failure.error.kind {
        Kind::Unsent | Kind::Unavailable if is_away => Verdict::Away,
        Kind::Unsent | Kind::Unavailable | Kind::Timeout => Verdict::Bad,
        _ => Verdict::Good,
    }
}

fn open_breaker(remote: &Remote, wait_s: f64) -> Error {
    Error::new(
        Kind::Busy,
        format!("{} has failed repeatedly; calls are paused", remote.base),
    )
    .hint(format!("call again in {wait_s} s, or check its logs"))
    .at_shell("make drafts without a server, with `--backend embedded`")
}
