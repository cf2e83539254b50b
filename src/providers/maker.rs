//! Makes assets: what is there already is used, what is under way is waited for, and everything else is recorded before it
//! is sent.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::assets::{Asset, AssetStore};
use super::creation::{self, Creation};
use super::pool::{Provider, Providers, cancelled};
use super::price::{self, Estimate};
use super::section::Makes;
use super::sentences;
use super::service::{Accepted, CreationRefusal};
use super::wanted::Wanted;
use crate::error::{Error, Kind, Result};
use crate::journal::{Budget, CreationClaim, CreationRow, CreationState, Journal, Runner, now_ms};

/// How often a request is sent that the provider surely did not accept.
const TRIES: u32 = 4;
/// How often the state of a creation is read that another run works on.
const LOOK: Duration = Duration::from_millis(100);

/// Makes the assets of one tenant.
pub(crate) struct Maker {
    pub providers: Arc<Providers>,
    journal: Arc<Journal>,
    runner: Arc<Runner>,
    assets: AssetStore,
    /// The keys of the creations that this process works on or is about to, with how many do.
    active: Arc<Mutex<HashMap<String, usize>>>,
}

/// An asset that a plan asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AssetOrder {
    /// The name of the provider; it makes what is wanted.
    pub provider: String,
    pub wanted: Wanted,
}

/// An asset, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct MadeAsset {
    pub asset: Asset,
    /// The provider that made it.
    pub by: String,
    /// What it cost in this run at most; `None` if the price is not known.
    pub cost: Option<f64>,
    /// It was there from an earlier run.
    pub is_kept: bool,
}

/// What accompanies the orders of a run.
#[derive(Clone)]
pub(crate) struct MakeContext {
    /// The caller has given up. What was sent is kept when it arrives; tasks are ended at the provider.
    pub cancel: CancellationToken,
    /// Nothing more is sent, but what was sent is waited for. Also cancelled by `cancel`.
    pub stop: CancellationToken,
    /// Sends again what may have been accepted earlier.
    pub retry_uncertain: bool,
    /// The time limit of all orders.
    pub until: Instant,
    pub spent: Spent,
}

/// What the orders of a run cost at most: also those whose answer was lost, and that may have been billed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent(Arc<Mutex<f64>>);

impl Spent {
    fn add(&self, cost: f64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += cost;
    }

    pub(crate) fn total(&self) -> f64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maker {
    pub(crate) fn new(
        providers: Arc<Providers>,
        journal: Arc<Journal>,
        runner: Arc<Runner>,
        assets: AssetStore,
    ) -> Self {
        Self {
            providers,
            journal,
            runner,
            assets,
            active: Arc::default(),
        }
    }

    pub(crate) fn assets(&self) -> &AssetStore {
        &self.assets
    }

    /// What was spent in the days of the budget.
    pub(crate) async fn spent(&self) -> Result<f64> {
        let days = i64::from(self.providers.generate.budget_days);
        self.journal.spent(now_ms() - days * 86_400_000).await
    }

    /// Whether an order can be made: it is there, or the variables of its provider are set.
    pub(crate) async fn ready(&self, order: &AssetOrder) -> Result<()> {
        let first = self.provider(order)?;
        match first.ready() {
            Ok(()) => Ok(()),
            Err(error) => {
                let chain = self.providers.chain(first);
                for wanted in Self::pieces(order, first)? {
                    if self.kept(&chain, &wanted).await?.is_none() {
                        return Err(error);
                    }
                }
                Ok(())
            }
        }
    }

    /// The text of an asset of text or of a transcript.
    pub(crate) fn text(&self, made: &MadeAsset) -> Result<String> {
        self.assets.text(&made.asset)
    }

    /// The orders of an order: a long speech is made in pieces.
    fn pieces(order: &AssetOrder, provider: &Provider) -> Result<Vec<Wanted>> {
        let most = provider.section().text_bytes();
        let wanted = &order.wanted;
        if wanted.text().len() <= most {
            return Ok(vec![wanted.clone()]);
        }
        let Wanted::Speech { text, voice, speed } = wanted else {
            return Err(Error::invalid(format!(
                "the description has {} bytes; the provider {:?} takes at most {most}",
                wanted.text().len(),
                provider.name()
            ))
            .hint("shorten it; `text_bytes` of the provider in `tools.toml` sets the limit"));
        };
        let pieces = sentences::pieces(text, most).into_iter();
        Ok(pieces
            .map(|text| Wanted::Speech {
                text,
                voice: voice.clone(),
                speed: *speed,
            })
            .collect())
    }

    /// The order, if its provider takes a text of this size.
    pub(crate) fn checked(&self, order: AssetOrder) -> Result<AssetOrder> {
        Self::pieces(&order, self.provider(&order)?)?;
        Ok(order)
    }

    fn provider(&self, order: &AssetOrder) -> Result<&Arc<Provider>> {
        self.providers
            .choose(order.wanted.makes(), Some(&order.provider))
    }

    /// What orders would cost. The same order is made once.
    pub(crate) async fn estimate(&self, orders: &[AssetOrder]) -> Result<Estimate> {
        let mut estimate = Estimate {
            currency: self.providers.generate.currency.clone(),
            ..Estimate::default()
        };
        let mut counted = HashSet::new();
        for order in orders {
            let first = self.provider(order)?;
            for wanted in Self::pieces(order, first)? {
                let chain = self.providers.chain(first);
                if !counted.insert(key(&chain[0], &wanted, false)) {
                    continue;
                }
                if self.kept(&chain, &wanted).await?.is_some() {
                    estimate.kept += 1;
                    continue;
                }
                let costs: Option<Vec<f64>> = chain
                    .iter()
                    .map(|provider| price::cost(provider.settings(), &wanted))
                    .collect();
                let cost = costs.map(|costs| costs.into_iter().fold(0.0, f64::max));
                let seconds = price::seconds(chain[0].settings(), &wanted);
                estimate.add(first.name(), &wanted, seconds, cost);
            }
        }
        Ok(estimate)
    }

    /// A finished asset of one of the providers.
    async fn kept(&self, chain: &[Arc<Provider>], wanted: &Wanted) -> Result<Option<MadeAsset>> {
        for (index, provider) in chain.iter().enumerate() {
            let row = self
                .journal
                .creation(&key(provider, wanted, index > 0))
                .await?;
            if let Some(row) = row.filter(|row| row.state == CreationState::Made)
                && let Some(asset) = self.asset(&row).await?
            {
                return Ok(Some(MadeAsset {
                    asset,
                    by: row.provider,
                    cost: Some(0.0),
                    is_kept: true,
                }));
            }
        }
        Ok(None)
    }

    /// The asset of a finished creation, if its file is still there.
    async fn asset(&self, row: &CreationRow) -> Result<Option<Asset>> {
        let found = row.found.as_deref();
        match found.and_then(|found| serde_json::from_str(found).ok()) {
            Some(asset) => self.assets.bring(asset).await,
            None => Ok(None),
        }
    }

    /// Makes an asset, or returns it if it is there.
    ///
    /// # Errors
    /// Those of the provider and of those that stand in for it. If a request may have been accepted, the error says so, and
    /// nothing stands in for it.
    pub(crate) async fn make(
        &self,
        order: &AssetOrder,
        context: &MakeContext,
    ) -> Result<MadeAsset> {
        let first = self.provider(order)?;
        let chain = self.providers.chain(first);
        let mut parts = Vec::new();
        for wanted in Self::pieces(order, first)? {
            parts.push(self.make_piece(&chain, &wanted, context).await?);
        }
        self.joined(parts).await
    }

    /// The asset of an order if it is there.
    pub(crate) async fn finished(&self, order: &AssetOrder) -> Result<Option<MadeAsset>> {
        let first = self.provider(order)?;
        let chain = self.providers.chain(first);
        let mut parts = Vec::new();
        for wanted in Self::pieces(order, first)? {
            match self.kept(&chain, &wanted).await? {
                Some(part) => parts.push(part),
                None => return Ok(None),
            }
        }
        self.joined(parts).await.map(Some)
    }

    async fn joined(&self, mut parts: Vec<MadeAsset>) -> Result<MadeAsset> {
        if parts.len() < 2 {
            return parts
                .pop()
                .ok_or_else(|| Error::invalid("there is no text to speak"));
        }
        let assets: Vec<Asset> = parts.iter().map(|part| part.asset.clone()).collect();
        let mut by: Vec<String> = parts.iter().map(|part| part.by.clone()).collect();
        by.dedup();
        Ok(MadeAsset {
            asset: self.assets.join(&assets).await?,
            by: by.join(", "),
            cost: parts.iter().map(|part| part.cost).sum(),
            is_kept: parts.iter().all(|part| part.is_kept),
        })
    }

    async fn make_piece(
        &self,
        chain: &[Arc<Provider>],
        wanted: &Wanted,
        context: &MakeContext,
    ) -> Result<MadeAsset> {
        if let Some(kept) = self.kept(chain, wanted).await? {
            return Ok(kept);
        }
        let mut refused: Option<Error> = None;
        for (index, provider) in self.in_order(chain, wanted).await? {
            match self.make_by(provider, wanted, index > 0, context).await {
                Ok(made) => return Ok(made),
                Err(refusal)
                    if refusal.accepted == Accepted::Maybe
                        || refusal.error.kind == Kind::Cancelled =>
                {
                    return Err(refusal.error);
                }
                Err(refusal) => {
                    let error = refusal.error;
                    refused = Some(match refused {
                        None => error,
                        Some(before) => Error {
                            message: format!("{}; {}", before.message, error.message),
                            ..error
                        },
                    });
                }
            }
        }
        Err(refused.unwrap_or_else(|| Error::internal("there is no provider")))
    }

    /// The providers in the order in which they are asked. One that may have accepted the same order in an earlier run
    /// comes first.
    async fn in_order<'c>(
        &self,
        chain: &'c [Arc<Provider>],
        wanted: &Wanted,
    ) -> Result<Vec<(usize, &'c Arc<Provider>)>> {
        let mut order = Vec::with_capacity(chain.len());
        for (index, provider) in chain.iter().enumerate() {
            let row = self
                .journal
                .creation(&key(provider, wanted, index > 0))
                .await?;
            let is_asked = row.is_some_and(|row| row.state != CreationState::Made);
            order.push((!is_asked, index, provider));
        }
        order.sort_by_key(|(is_new, index, _)| (*is_new, *index));
        let order = order.into_iter();
        Ok(order
            .map(|(_, index, provider)| (index, provider))
            .collect())
    }

    /// Makes an asset with one provider.
    async fn make_by(
        &self,
        provider: &Arc<Provider>,
        wanted: &Wanted,
        is_fallback: bool,
        context: &MakeContext,
    ) -> Result<MadeAsset, CreationRefusal> {
        let key = key(provider, wanted, is_fallback);
        let wanted = wanted.by(&provider.section().voice, is_fallback);
        let until = context
            .until
            .min(Instant::now() + self.time_limit(provider));
        let cost = price::cost(provider.settings(), &wanted);
        let mut retry_uncertain = context.retry_uncertain;
        let mut tries = 0;
        loop {
            let found = self
                .journal
                .creation(&key)
                .await
                .map_err(CreationRefusal::refused)?;
            let mut row = CreationRow {
                key: key.clone(),
                provider: provider.name().to_owned(),
                state: CreationState::Sending,
                runner: self.runner.name().await.to_owned(),
                task: None,
                cost: cost.unwrap_or(0.0),
                found: None,
                claimed_ms: 0,
            };
            let is_taken_over = match found {
                None => false,
                Some(found) => match self.settle(found, provider, &mut retry_uncertain).await? {
                    Settled::Made(asset) => {
                        return Ok(MadeAsset {
                            asset,
                            by: provider.name().to_owned(),
                            cost: Some(0.0),
                            is_kept: true,
                        });
                    }
                    Settled::Free => continue,
                    Settled::TakenOver(waiting) => {
                        row = waiting;
                        true
                    }
                    Settled::Busy => {
                        if Instant::now() + LOOK > until {
                            return Err(CreationRefusal::uncertain(Error::new(
                                Kind::Timeout,
                                "another run makes this asset, and did not finish in time",
                            )));
                        }
                        tokio::select! {
                            biased;
                            () = context.stop.cancelled() => return Err(cancelled()),
                            () = tokio::time::sleep(LOOK) => continue,
                        }
                    }
                },
            };
            // Before anything is recorded: what waits for a slot was surely not sent.
            let active = ActiveCreation::new(&self.active, &key);
            let admission = provider.admit(&context.stop, until).await?;
            let Some(sent) = self.providers.sending() else {
                return Err(cancelled());
            };
            if !is_taken_over {
                let claim = self.journal.claim_creation(&row, self.budget()).await;
                match claim.map_err(CreationRefusal::refused)? {
                    CreationClaim::Claimed(claimed) => row = claimed,
                    CreationClaim::Exists(_) => continue,
                    CreationClaim::OverBudget(spent) => {
                        return Err(CreationRefusal::refused(self.over_budget(spent, row.cost)));
                    }
                }
            }
            // An earlier run paid for its task.
            let cost = if is_taken_over { Some(0.0) } else { cost };
            let is_task = provider.makes() == Makes::Film;
            // What costs nothing, or can be ended at the provider, does not hold up the end of a run.
            let ends = is_task || creation::is_harmless(provider);
            let end = if ends { &context.stop } else { &context.cancel };
            let creation = Creation {
                providers: Arc::clone(&self.providers),
                provider: Arc::clone(provider),
                journal: Arc::clone(&self.journal),
                assets: self.assets.clone(),
                wanted: wanted.clone(),
                row,
                until,
                cancel: end.clone(),
            };
            let work = tokio::spawn(async move {
                let _active = active;
                creation.run(admission, sent).await
            });
            let ended = tokio::select! {
                ended = work => ended,
                // What was sent continues, and is kept when it arrives; a task is ended at the provider first.
                () = context.cancel.cancelled(), if !is_task => {
                    context.spent.add(cost.unwrap_or(0.0));
                    return Err(cancelled());
                }
            };
            let ended = ended.unwrap_or_else(|error| {
                Err(CreationRefusal::uncertain(
                    Error::internal("making an asset was interrupted").source(error),
                ))
            });
            let is_refused = matches!(&ended, Err(refusal) if refusal.accepted == Accepted::No);
            if !is_refused {
                context.spent.add(cost.unwrap_or(0.0));
            }
            let refusal = match ended {
                Ok(asset) => {
                    // It is kept in any case. Nothing stands in for it while the bucket is away.
                    let brought = self.assets.bring(asset).await;
                    let brought = brought.map_err(CreationRefusal::uncertain)?;
                    return Ok(MadeAsset {
                        asset: brought.ok_or_else(|| CreationRefusal::uncertain(gone()))?,
                        by: provider.name().to_owned(),
                        cost,
                        is_kept: false,
                    });
                }
                Err(refusal) => refusal,
            };
            tries += 1;
            let again = refusal
                .again
                .filter(|_| refusal.accepted == Accepted::No && tries < TRIES);
            let Some(wait) = again else {
                return Err(refusal);
            };
            // Different runs do not ask again at the same moment.
            let wait = wait + Duration::from_millis(fastrand::u64(0..250));
            if Instant::now() + wait > until {
                let seconds = wait.as_secs();
                let error = refusal.error.hint(format!(
                    "it asks for a pause of {seconds} s, which is longer than the time limit; run again after it"
                ));
                return Err(CreationRefusal { error, ..refusal });
            }
            tokio::select! {
                biased;
                () = context.stop.cancelled() => return Err(cancelled()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// What a recorded creation means for a run that wants the same.
    async fn settle(
        &self,
        row: CreationRow,
        provider: &Provider,
        retry_uncertain: &mut bool,
    ) -> Result<Settled, CreationRefusal> {
        // What another run has changed meanwhile stays as it is, and is read again.
        let replace = async |new: Option<&CreationRow>| {
            let replaced = self.journal.replace_creation(&row, new).await;
            replaced.map_err(CreationRefusal::refused)
        };
        match row.state {
            CreationState::Made => {
                match self.asset(&row).await.map_err(CreationRefusal::refused)? {
                    Some(asset) => Ok(Settled::Made(asset)),
                    // Its file was removed: it is made, and paid, again.
                    None => {
                        replace(Some(&row.set_aside())).await?;
                        Ok(Settled::Free)
                    }
                }
            }
            CreationState::Uncertain if *retry_uncertain => {
                *retry_uncertain = false;
                replace(Some(&row.set_aside())).await?;
                Ok(Settled::Free)
            }
            CreationState::Uncertain => Err(CreationRefusal::uncertain(creation::uncertain(
                provider.name(),
                &creation::why(&row),
                creation::is_harmless(provider),
            ))),
            CreationState::Sending | CreationState::Waiting if self.is_worked_on(&row).await => {
                Ok(Settled::Busy)
            }
            CreationState::Sending if creation::is_harmless(provider) => {
                replace(None).await?;
                Ok(Settled::Free)
            }
            CreationState::Sending => {
                let uncertain = CreationRow {
                    state: CreationState::Uncertain,
                    ..row.clone()
                };
                replace(Some(&uncertain)).await?;
                Ok(Settled::Free)
            }
            CreationState::Waiting => {
                let own = CreationRow {
                    runner: self.runner.name().await.to_owned(),
                    ..row.clone()
                };
                Ok(if replace(Some(&own)).await? {
                    Settled::TakenOver(own)
                } else {
                    Settled::Free
                })
            }
        }
    }

    /// Whether a run of this or another process works on a creation.
    async fn is_worked_on(&self, row: &CreationRow) -> bool {
        if row.runner == self.runner.name().await {
            let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            return active.contains_key(&row.key);
        }
        self.runner.is_there(&row.runner).await
    }

    fn time_limit(&self, provider: &Provider) -> Duration {
        let section = provider.section();
        let limits = &self.providers.generate;
        let seconds = match (section.timeout_s, section.makes()) {
            (0.0, Makes::Speech) => limits.speech_timeout_s,
            (0.0, Makes::Picture) => limits.picture_timeout_s,
            (0.0, Makes::Film) => limits.film_timeout_s,
            (0.0, Makes::Transcript) => limits.transcript_timeout_s,
            (0.0, Makes::Text) => limits.text_timeout_s,
            (own, _) => own,
        };
        Duration::from_secs_f64(seconds)
    }

    fn budget(&self) -> Option<Budget> {
        let limits = &self.providers.generate;
        (limits.budget > 0.0).then(|| Budget {
            most: limits.budget,
            since_ms: now_ms() - i64::from(limits.budget_days) * 86_400_000,
        })
    }

    fn over_budget(&self, spent: f64, cost: f64) -> Error {
        let limits = &self.providers.generate;
        let currency = &limits.currency;
        Error::invalid(format!(
            "the budget is used up: {} {currency} of {} {currency} were spent in {} days, and this costs {} {currency}",
            price::rounded(spent),
            price::rounded(limits.budget),
            limits.budget_days,
            price::rounded(cost)
        ))
        .hint("nothing was sent; `budget` and `budget_days` below `[generate]` in `tools.toml` set the limit")
    }
}

enum Settled {
    Made(Asset),
    /// It can be claimed now, or has another state by now.
    Free,
    /// A task of a process that has ended.
    TakenOver(CreationRow),
    /// Somebody works on it.
    Busy,
}

/// Marks a creation as worked on by this process.
struct ActiveCreation {
    all: Arc<Mutex<HashMap<String, usize>>>,
    key: String,
}

impl ActiveCreation {
    fn new(all: &Arc<Mutex<HashMap<String, usize>>>, key: &str) -> Self {
        let mut active = all.lock().unwrap_or_else(PoisonError::into_inner);
        *active.entry(key.to_owned()).or_default() += 1;
        Self {
            all: Arc::clone(all),
            key: key.to_owned(),
        }
    }
}

impl Drop for ActiveCreation {
    fn drop(&mut self) {
        let mut active = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = active.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                active.remove(&self.key);
            }
        }
    }
}

fn gone() -> Error {
    Error::media("a file that was made is not there any more").hint("run again: it is recreated")
}

/// Identifies what a provider is asked for, with the settings that decide about the result.
fn key(provider: &Provider, wanted: &Wanted, is_fallback: bool) -> String {
    let section = provider.section();
    let settings = serde_json::json!([
        section.kind().name(),
        section.base_url(),
        section.model,
        section.options,
        section.command,
        section.sizes,
    ]);
    wanted
        .by(&section.voice, is_fallback)
        .key(&settings.to_string())
}
