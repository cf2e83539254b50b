//! The providers of this process. Their limits count for all tenants together.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::section::{GenerateSection, Makes, ProviderKind, ProviderSection};
use super::service::{CreationRefusal, ServiceSettings};
use super::wire::ServiceWire;
use super::{command, kinds};
use crate::breaker::{Breaker, BreakerSettings, BreakerStatus, Verdict};
use crate::error::{Error, Kind, Result};
use crate::secrets::{self, Hidden};
use crate::settings::environment;

/// Consecutive failures that open the breaker of a provider, and how long it stays open for films and for the rest.
const FAILURES: u32 = 3;
const COOL_DOWN: Duration = Duration::from_secs(45);
const COOL_DOWN_FILMS: Duration = Duration::from_secs(90);

/// Limits of a test: time, and bytes of the answer.
const TRIAL: Duration = Duration::from_secs(20);
const TRIAL_BYTES: u64 = 16 << 20;

const MINUTE: Duration = Duration::from_mins(1);

/// All configured providers.
pub(crate) struct Providers {
    all: BTreeMap<String, Arc<Provider>>,
    pub(super) wire: ServiceWire,
    pub generate: GenerateSection,
    /// The requests whose answers are not recorded yet. Closed when the process ends.
    sent: TaskTracker,
}

/// A provider and its limits.
pub(crate) struct Provider {
    pub(super) settings: ServiceSettings,
    slots: Arc<Semaphore>,
    /// When its last creations of the last minute were sent.
    sent: Mutex<VecDeque<Instant>>,
    breaker: Mutex<Breaker>,
}

impl Providers {
    /// Does no I/O. Keys are read from the environment, and from now on left out of all texts.
    pub(crate) fn new(
        sections: &BTreeMap<String, ProviderSection>,
        generate: &GenerateSection,
    ) -> Self {
        let all = sections.iter().map(|(name, section)| {
            let provider = Provider::new(name, section);
            (name.clone(), Arc::new(provider))
        });
        Self {
            all: all.collect(),
            wire: ServiceWire::new(),
            generate: generate.clone(),
            sent: TaskTracker::new(),
        }
    }

    /// Counts a request until its answer is recorded; `None` if nothing more is sent because the process ends.
    pub(super) fn sending(&self) -> Option<TaskTrackerToken> {
        let token = self.sent.token();
        (!self.sent.is_closed()).then_some(token)
    }

    /// Sends nothing more, and waits until the answers to what was sent are recorded, at most for `limit`: what a lost answer
    /// brings is paid for. Tasks are asked for again by the next process.
    pub(crate) async fn finish_sent(&self, limit: Duration) {
        self.sent.close();
        if tokio::time::timeout(limit, self.sent.wait()).await.is_err() {
            tracing::warn!("answers of providers did not arrive before the end of the process");
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.all.values()
    }

    /// The provider with this name, which makes this; without a name, the one that is used by default.
    ///
    /// # Errors
    /// If there is none, or it is not clear which; the error lists those that can be named.
    pub(crate) fn choose(&self, makes: Makes, name: Option<&str>) -> Result<&Arc<Provider>> {
        let able: Vec<&Arc<Provider>> = self.all().filter(|one| one.makes() == makes).collect();
        let names: Vec<&str> = able.iter().map(|one| one.name()).collect();
        let (what, things) = (makes.name(), makes.things());
        let configure = || {
            format!(
                "configure one with `makes = \"{what}\"` below `[providers.NAME]` in `tools.toml`; `capcut-mcp providers` lists those that are there"
            )
        };
        if let Some(name) = name {
            return match (self.all.get(name), names.is_empty()) {
                (Some(provider), _) if provider.makes() == makes => Ok(provider),
                (Some(provider), _) => Err(Error::invalid(format!(
                    "the provider {name:?} makes {}, not {things}; {}",
                    provider.makes().things(),
                    listed(&names, things)
                ))),
                (None, true) => Err(Error::invalid(format!(
                    "there is no provider {name:?}, and none that makes {things}"
                ))
                .hint(configure())),
                (None, false) => Err(Error::invalid(format!(
                    "there is no provider {name:?}; {}",
                    listed(&names, things)
                ))),
            };
        }
        let mut defaults = able.iter().filter(|one| one.settings.section.default);
        match (&able[..], defaults.next(), defaults.next()) {
            ([], ..) => Err(Error::invalid(format!(
                "no provider that makes {things} is configured"
            ))
            .hint(configure())),
            ([only], ..) => Ok(only),
            (_, Some(default), None) => Ok(default),
            _ => Err(Error::invalid(format!(
                "several providers make {things}: name one of {}",
                names.join(", ")
            ))
            .hint("or set `default = true` for one of them in `tools.toml`")),
        }
    }

    /// Tests a provider with a request that costs nothing; returns what it shows.
    ///
    /// # Errors
    /// If it does not answer, or not to this key; or if its program is not there.
    pub(crate) async fn test(&self, provider: &Provider) -> Result<String> {
        let settings = &provider.settings;
        if settings.section.kind() == ProviderKind::Command {
            return command::find(settings)
                .map(|program| format!("{} is there", program.display()));
        }
        let trial = kinds::of(settings.section.kind()).and_then(|kind| kind.trial(settings));
        let Some(trial) = trial else {
            return Ok("configured; this kind has no request that costs nothing".to_owned());
        };
        let started = Instant::now();
        let sent = self.wire.send(settings, trial, TRIAL, TRIAL_BYTES).await;
        match sent {
            Ok(_) => Ok(format!("answers in {} ms", started.elapsed().as_millis())),
            Err(refusal) => Err(refusal.error),
        }
    }

    /// The provider and those that stand in for it, in order.
    pub(super) fn chain(&self, first: &Arc<Provider>) -> Vec<Arc<Provider>> {
        let mut chain = vec![Arc::clone(first)];
        while let Some(next) = chain
            .last()
            .and_then(|last| self.all.get(&last.settings.section.fallback))
            && chain.len() <= self.all.len()
        {
            chain.push(Arc::clone(next));
        }
        chain
    }
}

fn listed(names: &[&str], what: &str) -> String {
    if names.is_empty() {
        format!("no provider makes {what}")
    } else {
        format!("{what} can be made by: {}", names.join(", "))
    }
}

impl Provider {
    fn new(name: &str, section: &ProviderSection) -> Self {
        let secret = |variable: &str| {
            let value = environment(variable).filter(|_| !variable.is_empty())?;
            let value = value.into_string().ok()?.trim().to_owned();
            secrets::know(&value);
            (!value.is_empty()).then_some(Hidden(value))
        };
        for variable in &section.env {
            secret(variable);
        }
        let cool_down = match section.makes() {
            Makes::Film => COOL_DOWN_FILMS,
            _ => COOL_DOWN,
        };
        let breaker = section.breaker.map_or(
            BreakerSettings {
                failures: FAILURES,
                cool_down,
                trial_calls: 1,
            },
            |own| BreakerSettings {
                failures: own.failures,
                cool_down: Duration::from_secs_f64(own.cool_down_s),
                trial_calls: 1,
            },
        );
        Self {
            settings: ServiceSettings {
                name: name.to_owned(),
                section: section.clone(),
                key: secret(&section.key_env),
                app_id: secret(&section.app_id_env),
            },
            slots: Arc::new(Semaphore::new(section.concurrency)),
            sent: Mutex::default(),
            breaker: Mutex::new(Breaker::new(breaker)),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    pub(crate) fn makes(&self) -> Makes {
        self.settings.section.makes()
    }

    pub(super) fn settings(&self) -> &ServiceSettings {
        &self.settings
    }

    pub(crate) fn section(&self) -> &ProviderSection {
        &self.settings.section
    }

    /// The variables that it needs and that are not set.
    fn missing_variables(&self) -> Vec<&str> {
        let section = &self.settings.section;
        let mut missing = Vec::new();
        if !section.key_env.is_empty() && self.settings.key.is_none() {
            missing.push(section.key_env.as_str());
        }
        if !section.app_id_env.is_empty() && self.settings.app_id.is_none() {
            missing.push(section.app_id_env.as_str());
        }
        let of_program = section.env.iter().map(String::as_str);
        missing.extend(of_program.filter(|name| environment(name).is_none()));
        missing
    }

    /// Whether its variables are set.
    ///
    /// # Errors
    /// With the first that is not.
    pub(crate) fn ready(&self) -> Result<()> {
        match self.missing_variables().first() {
            None => Ok(()),
            Some(variable) => Err(Error::invalid(format!(
                "the provider {:?} needs the environment variable `{variable}`, which is not set",
                self.name()
            ))
            .hint("set it where this program is started, and start it again")),
        }
    }

    pub(crate) fn breaker_status(&self) -> BreakerStatus {
        self.with_breaker(|breaker| breaker.position(Instant::now()))
    }

    fn with_breaker<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        act(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a slot, for the limit of calls a minute, and asks the breaker.
    pub(super) async fn admit(
        self: &Arc<Self>,
        cancel: &CancellationToken,
        until: Instant,
    ) -> Result<CreationSlot, CreationRefusal> {
        self.ready().map_err(CreationRefusal::refused)?;
        let late = || {
            CreationRefusal::refused(Error::new(
                Kind::Timeout,
                format!("the provider {:?} had no free slot in time", self.name()),
            ))
        };
        let slots = Arc::clone(&self.slots);
        let slot = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(cancelled()),
            slot = slots.acquire_owned() => slot.map_err(|_| late())?,
            () = tokio::time::sleep_until(until.into()) => return Err(late()),
        };
        while let Some(wait) = self.pause() {
            if Instant::now() + wait > until {
                return Err(late());
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(cancelled()),
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.with_breaker(|breaker| breaker.admit(Instant::now()))
            .map_err(|wait| {
                let seconds = wait.as_secs_f64().ceil();
                CreationRefusal::refused(
                    Error::new(
                        Kind::Busy,
                        format!(
                            "the provider {:?} failed several times in a row: it is not asked for another {seconds} s",
                            self.name()
                        ),
                    )
                    .hint("run again later; `capcut-mcp providers test` checks it"),
                )
            })?;
        Ok(CreationSlot {
            provider: Arc::clone(self),
            verdict: Verdict::Unknown,
            _slot: slot,
        })
    }

    /// How long to wait because of `calls_per_minute`; `None` counts a call.
    fn pause(&self) -> Option<Duration> {
        let most = self.settings.section.calls_per_minute as usize;
        if most == 0 {
            return None;
        }
        let now = Instant::now();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        while sent.front().is_some_and(|at| now - *at >= MINUTE) {
            sent.pop_front();
        }
        if sent.len() < most {
            sent.push_back(now);
            return None;
        }
        sent.front().map(|first| MINUTE - (now - *first))
    }
}

/// The right to send one creation; its end is recorded in the breaker.
pub(super) struct CreationSlot {
    provider: Arc<Provider>,
    pub verdict: Verdict,
    _slot: OwnedSemaphorePermit,
}

impl Drop for CreationSlot {
    fn drop(&mut self) {
        let verdict = self.verdict;
        self.provider
            .with_breaker(|breaker| breaker.record(verdict, Instant::now()));
    }
}

pub(super) fn cancelled() -> CreationRefusal {
    CreationRefusal::refused(Error::new(
        Kind::Cancelled,
        "cancelled before it was sent to the provider",
    ))
}
