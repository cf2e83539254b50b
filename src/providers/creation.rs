//! One creation, from the moment it is recorded until its asset is kept. It runs on its own, so that what was paid for is
//! kept even if its run has ended.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::assets::{Asset, AssetStore};
use super::command;
use super::kinds;
use super::pool::{CreationSlot, Provider, Providers};
use super::section::{Makes, ProviderKind};
use super::service::{
    Accepted, AssetContent, CreatedAsset, CreationRefusal, RawAsset, ServiceKind, TaskState,
    VoicedWord,
};
use super::wanted::Wanted;
use crate::breaker::Verdict;
use crate::error::{Error, Kind, Result};
use crate::journal::{CreationRow, CreationState, Journal};

/// Maximum size of an answer that is not an asset.
const ANSWER_BYTES: u64 = 4 << 20;
/// How often the state of a task is asked for if neither the settings nor its kind say so.
const POLL: Duration = Duration::from_secs(5);
const POLL_ARK: Duration = Duration::from_secs(10);
/// How long the end of a task is waited for after it was cancelled.
const CANCELLING: Duration = Duration::from_secs(10);

/// A claimed creation.
pub(super) struct Creation {
    pub providers: Arc<Providers>,
    pub provider: Arc<Provider>,
    pub journal: Arc<Journal>,
    pub assets: AssetStore,
    pub wanted: Wanted,
    pub row: CreationRow,
    pub until: Instant,
    pub cancel: CancellationToken,
}

impl Creation {
    /// Sends the request, waits for the result and records it.
    pub(super) async fn run(
        mut self,
        mut admission: CreationSlot,
        sent: TaskTrackerToken,
    ) -> Result<Asset, CreationRefusal> {
        // An answer is awaited until it is recorded; a task is recorded by its id.
        let mut sent = Some(sent);
        let mut made = if self.row.state == CreationState::Waiting {
            Ok(None)
        } else {
            self.create().await
        };
        if let Ok(None) = made {
            sent = None;
            made = self.finish_task().await.map(Some);
        }
        let made = made.and_then(|made| {
            made.ok_or_else(|| Ended::Failed(Error::internal("a task has no result")))
        });
        admission.verdict = verdict(&made);
        let recorded = match &made {
            Ok(asset) => {
                self.row.state = CreationState::Made;
                self.row.found = serde_json::to_string(asset).ok();
                self.journal.put_creation(&self.row).await
            }
            // The task continues; a later run asks for it again.
            Err(Ended::Unfinished(_)) => Ok(()),
            Err(Ended::Refused(refusal)) if refusal.accepted == Accepted::No => {
                self.journal.drop_creation(&self.row.key).await
            }
            Err(Ended::Failed(_)) => self.journal.drop_creation(&self.row.key).await,
            Err(Ended::Refused(refusal)) if self.is_harmless() => {
                tracing::debug!(provider = self.provider.name(), "{}", refusal.error.cause());
                self.journal.drop_creation(&self.row.key).await
            }
            Err(Ended::Refused(refusal)) => {
                self.row.state = CreationState::Uncertain;
                self.row.found = Some(json!({ "why": refusal.error.message }).to_string());
                self.journal.put_creation(&self.row).await
            }
        };
        drop(sent);
        match (made, recorded) {
            (Ok(asset), Ok(())) => Ok(asset),
            (Ok(_), Err(error)) => Err(CreationRefusal::uncertain(error)),
            (Err(ended), _) => Err(match ended {
                Ended::Refused(refusal) if refusal.accepted == Accepted::Maybe => CreationRefusal {
                    error: uncertain(
                        self.provider.name(),
                        &refusal.error.message,
                        self.is_harmless(),
                    ),
                    ..refusal
                },
                Ended::Refused(refusal) => refusal,
                // Accepted for sure, so that nothing stands in for it.
                Ended::Failed(error) | Ended::Unfinished(error) => {
                    CreationRefusal::uncertain(error)
                }
            }),
        }
    }

    /// A program of the user that costs nothing can be run again.
    fn is_harmless(&self) -> bool {
        is_harmless(&self.provider)
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// The asset; `None` if there is a task now.
    async fn create(&mut self) -> Result<Option<Asset>, Ended> {
        let settings = &self.provider.settings;
        let most = self.providers.generate.asset_bytes;
        if settings.section.kind() == ProviderKind::Command {
            let folder = tempfile::tempdir().map_err(|error| {
                CreationRefusal::refused(
                    Error::internal("a temporary folder cannot be made").source(error),
                )
            })?;
            let raw = command::run(
                settings,
                &self.wanted,
                folder.path(),
                self.left(),
                most,
                &self.cancel,
            )
            .await?;
            return self.keep(raw).await.map(Some);
        }
        let kind = self.kind()?;
        let outgoing = kind
            .creation(settings, &self.wanted)
            .map_err(CreationRefusal::refused)?;
        // Services put assets into JSON, which is a third longer.
        let most = most.saturating_add(most / 2).saturating_add(ANSWER_BYTES);
        let answer = self
            .providers
            .wire
            .send(settings, outgoing, self.left(), most)
            .await?;
        match kind.created(settings, &self.wanted, &answer)? {
            CreatedAsset::Made(raw) => self.keep(raw).await.map(Some),
            CreatedAsset::Task(id) => {
                self.row.state = CreationState::Waiting;
                self.row.task = Some(id);
                if let Err(error) = self.journal.put_creation(&self.row).await {
                    return Err(CreationRefusal::uncertain(error).into());
                }
                Ok(None)
            }
        }
    }

    fn kind(&self) -> Result<&'static dyn ServiceKind, CreationRefusal> {
        kinds::of(self.provider.section().kind())
            .ok_or_else(|| CreationRefusal::refused(Error::internal("a program has no requests")))
    }

    /// Asks for the state of a task until it has ended.
    async fn finish_task(&mut self) -> Result<Asset, Ended> {
        let id = self.row.task.clone().unwrap_or_default();
        let kind = self.kind()?;
        let settings = &self.provider.settings;
        let every = match settings.section.poll_s {
            0.0 if settings.section.kind() == ProviderKind::Ark => POLL_ARK,
            0.0 => POLL,
            seconds => Duration::from_secs_f64(seconds),
        };
        let mut failures = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(self.cancel_task(kind, &id).await);
            }
            let outgoing = kind.task(settings, &id).map_err(Ended::Failed)?;
            let state = match self
                .providers
                .wire
                .send(settings, outgoing, self.left(), ANSWER_BYTES)
                .await
            {
                Ok(answer) => kind.task_state(settings, &id, &answer),
                // Asking is safe: it is repeated.
                Err(refusal) => Err(refusal.error),
            };
            match state {
                Ok(TaskState::Done(raw)) => match self.keep(raw).await {
                    Ok(asset) => return Ok(asset),
                    // Its address may have expired or the connection broken off: the task has a new one.
                    Err(Ended::Refused(refusal)) if failures < 3 => {
                        failures += 1;
                        tracing::debug!(
                            provider = self.provider.name(),
                            "{}",
                            refusal.error.cause()
                        );
                    }
                    Err(ended) => return Err(self.unfinished(&id, &ended.into_error().message)),
                },
                Ok(TaskState::Failed(error)) => return Err(Ended::Failed(error)),
                Ok(TaskState::Waiting(done)) => {
                    failures = 0;
                    tracing::debug!(
                        provider = self.provider.name(),
                        task = id,
                        done,
                        "a task runs"
                    );
                }
                Err(error) if error.kind == Kind::NotFound => return Err(Ended::Failed(error)),
                Err(error) => {
                    failures += 1;
                    if failures > 20 {
                        return Err(self.unfinished(&id, &error.message));
                    }
                }
            }
            if self.left() < every {
                return Err(self.unfinished(&id, "it did not end within the time limit"));
            }
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    fn unfinished(&self, id: &str, why: &str) -> Ended {
        Ended::Unfinished(
            Error::new(
                Kind::Timeout,
                format!(
                    "the task {id} of the provider {:?} has no result yet: {why}",
                    self.provider.name()
                ),
            )
            .hint("run again: the same task is asked for, and nothing is paid twice"),
        )
    }

    /// Ends a task at the provider. If that is not possible, a later run takes its result.
    async fn cancel_task(&self, kind: &dyn ServiceKind, id: &str) -> Ended {
        let settings = &self.provider.settings;
        let cancelled = Error::new(Kind::Cancelled, format!("the task {id} was cancelled"));
        let Some(outgoing) = kind.cancellation(settings, id) else {
            return Ended::Unfinished(cancelled);
        };
        let sent = self
            .providers
            .wire
            .send(settings, outgoing, CANCELLING, ANSWER_BYTES);
        match sent.await {
            Ok(_) => Ended::Failed(cancelled),
            Err(refusal) => {
                tracing::info!(
                    provider = self.provider.name(),
                    "a task was not cancelled: {}",
                    refusal.error.cause()
                );
                Ended::Unfinished(cancelled)
            }
        }
    }

    /// Brings the content to the disk, looks at it and keeps it.
    async fn keep(&self, raw: RawAsset) -> Result<Asset, Ended> {
        self.try_to_keep(raw)
            .await
            .map_err(|error| Ended::Refused(CreationRefusal::uncertain(error)))
    }

    async fn try_to_keep(&self, raw: RawAsset) -> Result<Asset> {
        let most = self.providers.generate.asset_bytes;
        let mut part = self.assets.part()?;
        let unwritten = |error| Error::media("what arrived cannot be written").source(error);
        match raw.content {
            AssetContent::Bytes(bytes) => part.write_all(&bytes).map_err(unwritten)?,
            AssetContent::Text(text) => part.write_all(text.as_bytes()).map_err(unwritten)?,
            AssetContent::Pcm { rate, bytes } => {
                AssetStore::write_pcm(&mut part, rate, &bytes).map_err(unwritten)?;
            }
            AssetContent::File(file) => {
                tokio::fs::copy(&file, part.path())
                    .await
                    .map_err(unwritten)?;
            }
            content @ (AssetContent::Url(_) | AssetContent::Own(_)) => {
                let settings = &self.provider.settings;
                self.providers
                    .wire
                    .download(settings, &content, part.path(), most, self.left())
                    .await?;
            }
        }
        let words = sane(raw.words);
        let makes = self.wanted.makes();
        if makes != Makes::Transcript && makes != Makes::Text {
            let bytes = part.as_file().metadata().map_err(unwritten)?.len();
            if bytes == 0 {
                return Err(Error::media("the answer has no content"));
            }
        }
        self.assets.keep(part, makes, words).await
    }
}

/// Words whose times are in order; otherwise none, so that they are found in the sound.
fn sane(words: Vec<VoicedWord>) -> Vec<VoicedWord> {
    let is_sane = |pair: &[VoicedWord]| pair[0].start <= pair[1].start;
    let all = words.iter().all(|word| {
        word.start.is_finite()
            && word.end.is_finite()
            && word.start >= 0.0
            && word.start <= word.end
    });
    if all && words.windows(2).all(is_sane) {
        words
    } else {
        Vec::new()
    }
}

/// How a creation ended without an asset.
enum Ended {
    Refused(CreationRefusal),
    /// The provider says that there will be no result.
    Failed(Error),
    /// A task that has not ended.
    Unfinished(Error),
}

impl Ended {
    fn into_error(self) -> Error {
        match self {
            Self::Refused(refusal) => refusal.error,
            Self::Failed(error) | Self::Unfinished(error) => error,
        }
    }
}

impl From<CreationRefusal> for Ended {
    fn from(refusal: CreationRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What the end of a creation says about the provider's health. A refusal of the request is an answer.
fn verdict(made: &Result<Asset, Ended>) -> Verdict {
    match made {
        Ok(_) | Err(Ended::Failed(_)) => Verdict::Good,
        Err(Ended::Unfinished(_)) => Verdict::Unknown,
        Err(Ended::Refused(refusal)) => match (refusal.accepted, refusal.error.kind) {
            (_, Kind::Cancelled) => Verdict::Unknown,
            (Accepted::Maybe, _) | (_, Kind::Unavailable | Kind::Timeout) => Verdict::Bad,
            (_, Kind::Unsent) => Verdict::Away,
            // It is there, and asks for a pause.
            (Accepted::No, _) => Verdict::Good,
        },
    }
}

/// Whether a provider is a program that costs nothing: running it again does no harm.
pub(super) fn is_harmless(provider: &Provider) -> bool {
    let section = provider.section();
    section.kind() == ProviderKind::Command
        && section.price.is_some_and(|price| {
            [price.per_call, price.per_1000_characters, price.per_second]
                .iter()
                .all(|amount| *amount == 0.0)
        })
}

/// The error for a creation that may have been accepted.
pub(super) fn uncertain(provider: &str, why: &str, is_harmless: bool) -> Error {
    let named = format!("provider `{provider}`: ");
    let message = if why.starts_with(&named) {
        why.to_owned()
    } else {
        format!("{named}{why}")
    };
    let error = Error::new(Kind::Unavailable, message);
    if is_harmless {
        return error;
    }
    Error {
        message: format!(
            "{}; the request may have been accepted and billed, so it is not sent again by itself",
            error.message
        ),
        ..error
    }
    .hint("look at the provider's usage page; to send it again, and perhaps pay twice, run with `retry_uncertain: true`")
    .lasting()
}

/// Why a creation is uncertain, from its row.
pub(super) fn why(row: &CreationRow) -> String {
    let found: Option<Value> = row
        .found
        .as_deref()
        .and_then(|found| serde_json::from_str(found).ok());
    let why = found.and_then(|found| Some(found.get("why")?.as_str()?.to_owned()));
    why.unwrap_or_else(|| "the program ended before the answer arrived".to_owned())
}
