//! The attempts of one call on its backend, until it succeeds or another attempt would not help.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::breakers::verdict;
use super::lanes::Patience;
use super::ledger::{self, Lookup};
use super::routing::Home;
use super::{App, Context, Cost, retry};
use crate::backend::{Backend, Failure, Reached};
use crate::breaker::Verdict;
use crate::draft::evidence::Leaves;
use crate::error::{Error, Kind, Result};
use crate::manifest::{self, LaneName, Route};
use crate::metrics;
use crate::tool::{Request, Spec};

/// A call that may be sent more than once.
pub(super) struct Attempt<'a> {
    pub(super) request: &'a dyn Request,
    pub(super) route: &'a Route,
    pub(super) backend: &'a Backend,
    pub(super) context: &'a Context,
    /// What the call adds to its draft.
    pub(super) leaves: &'a Leaves,
    /// See [`Failure::since`].
    pub(super) since: Option<NonZeroU64>,
    /// The deadline of the call, set when it gets its first slot.
    pub(super) until: Option<Instant>,
}

impl App {
    /// Retries until the call succeeds or another try would not help.
    pub(super) async fn tries(
        &self,
        attempt: &mut Attempt<'_>,
        home: &Home,
    ) -> Result<Value, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.once(attempt).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => Failure {
                    since: attempt.since,
                    ..failure
                },
            };
            let mut kind = failure.error.kind;
            if failure.reached == Reached::Lost
                && let Backend::Remote(remote) = attempt.backend
                && ledger::is_edit(attempt.request.spec())
            {
                let looking = self.look_up(remote, attempt.request, attempt.leaves, &failure);
                match Box::pin(looking).await? {
                    Lookup::Applied(reply) => return Ok(reply),
                    // The call was not applied, so a retry is as safe as if it had never been sent.
                    Lookup::NotApplied => kind = Kind::Unsent,
                    Lookup::NoDraft => {}
                }
            }
            let failed = retry::Failed {
                kind,
                by_server: failure.by_server,
                after: failure.after,
                lasting: failure.error.lasting,
            };
            let policies = &self.manifest.retry;
            let wait = retry::wait(
                policies,
                attempt.route.retry,
                failed,
                tries,
                fastrand::f64(),
            );
            let now = Instant::now();
            let left = attempt
                .until
                .map(|until| until.saturating_duration_since(now));
            let wait = wait.filter(|wait| left.is_none_or(|left| *wait < left));
            let Some(wait) = wait.filter(|_| !home.may_choose_again(attempt.request, &failure))
            else {
                return Err(with_tries(failure, tries));
            };
            tracing::info!(
                tool = attempt.request.spec().name,
                tries,
                wait_ms = wait.as_millis() as u64,
                "retrying: {}",
                failure.error.message
            );
            self.metrics
                .retry(attempt.request.spec().name, failed.class());
            tokio::time::sleep(wait).await;
        }
    }

    /// One try: a slot, the breaker, the backend.
    async fn once(&self, attempt: &mut Attempt<'_>) -> Result<Value, Failure> {
        let Attempt {
            request,
            route,
            backend,
            context,
            leaves,
            ..
        } = *attempt;
        let _slot = match route.lane {
            Some(lane) => {
                let patience = if request.call().caller.waits_for_slots() {
                    Patience::Waits
                } else {
                    Patience::Places
                };
                Some(
                    self.queued(self.lanes.enter(lane, patience), "a slot in its lane")
                        .await??,
                )
            }
            None => None,
        };
        let _active = self.metrics.active(lane_name(route));
        let timeout = self.manifest.timeout(route);
        let until = *attempt
            .until
            .get_or_insert_with(|| Instant::now() + timeout);
        let _busy = context.cost.as_deref().map(Busy::since_now);
        match backend {
            Backend::Embedded(engine) => {
                let work = request.run(engine, context.progress.as_ref());
                let left = until.saturating_duration_since(Instant::now());
                match tokio::time::timeout(left, work).await {
                    Ok(ended) => Ok(ended?),
                    Err(_) => Err(timed_out(request.spec(), timeout).into()),
                }
            }
            Backend::Remote(remote) => {
                self.check_sources(request).await?;
                let _server_slot = Box::pin(self.server_slot(&remote.base, route.lane)).await?;
                let trial = self.trial(remote, until).await?;
                let progress = context.progress.as_ref();
                let ended = match (route.cache_s, route.path()) {
                    (Some(_), Some(path)) => {
                        Box::pin(self.ask_list(remote, request, path, until, context)).await
                    }
                    _ => {
                        let called = remote
                            .call(request, leaves, route, &self.journal, until, progress)
                            .await;
                        called.map(|answered| {
                            if let (Some(kept), Some(output)) = (&context.output, answered.output) {
                                kept.put(output);
                            }
                            answered.reply
                        })
                    }
                };
                trial.ended(match &ended {
                    Ok(_) => Verdict::Good,
                    Err(failure) => verdict(failure),
                });
                if let Err(failure) = &ended
                    && failure.reached == Reached::Never
                {
                    remote.doubt().await;
                }
                ended
            }
        }
    }

    /// Refuses media that a client of a listener is not allowed to read: otherwise a server would fetch them for
    /// it.
    async fn check_sources(&self, request: &dyn Request) -> Result<()> {
        let call = request.call();
        if call.caller.access.is_open() {
            return Ok(());
        }
        let media = self.media.of(&call.caller);
        for (name, value) in &call.arguments {
            let Some(source) = value.as_str().filter(|source| !source.is_empty()) else {
                continue;
            };
            // Subtitles can be given as the text itself.
            let is_elsewhere = || Path::new(source).is_absolute() || source.contains("://");
            let is_source = name.ends_with("_url") || (name == "srt" && is_elsewhere());
            if is_source && let Err(mut error) = media.may_read(source).await {
                error.message = format!("`{name}`: {}", error.message);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits in a queue, up to `limits.queue_wait_s`.
    pub(super) async fn queued<T>(&self, wait: impl Future<Output = T>, what: &str) -> Result<T> {
        let limit = manifest::seconds(self.manifest.limits.queue_wait_s);
        tokio::time::timeout(limit, wait).await.map_err(|_| {
            Error::new(
                Kind::Busy,
                format!("the call waited {} s for {what}", limit.as_secs_f64()),
            )
            .hint(
                "call again later; `limits.queue_wait_s` in `tools.toml` sets how long calls wait",
            )
        })
    }
}

/// Measures a try: its time counts whether it succeeds, fails or is dropped.
struct Busy<'a>(&'a Cost, Instant);

impl<'a> Busy<'a> {
    fn since_now(cost: &'a Cost) -> Self {
        cost.tries.fetch_add(1, Ordering::Relaxed);
        Self(cost, Instant::now())
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let us = self.1.elapsed().as_micros() as u64;
        self.0.busy_us.fetch_add(us, Ordering::Relaxed);
    }
}

pub(super) fn timed_out(spec: &Spec, limit: Duration) -> Error {
    Error::new(
        Kind::Timeout,
        format!("`{}` timed out after {} s", spec.name, limit.as_secs_f64()),
    )
    .hint(format!(
        "`tools.{}.timeout_s` in `tools.toml` sets this limit",
        spec.name
    ))
}

fn with_tries(mut failure: Failure, tries: u32) -> Failure {
    if tries > 1 {
        failure.error.message = format!("{} (tried {tries} times)", failure.error.message);
    }
    failure
}

pub(super) fn lane_name(route: &Route) -> &'static str {
    route.lane.map_or(metrics::NO_LANE, LaneName::name)
}
