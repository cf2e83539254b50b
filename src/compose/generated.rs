//! What a plan has made for it: voices (`say`), pictures (`imagine`), films (`film`) and transcripts (`auto`), in two branches
//! that run at the same time, up to one sync point. After it, each such item has a file like any other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::generated_keys::{Described, Said, described, said};
use super::item::Item;
use super::of_voices;
use super::plan::Plan;
use super::script::{self, USUAL_PACE};
use super::spoken;
use super::steps::Steps;
use crate::caller::Caller;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::manifest::OnFailure;
use crate::providers::{
    AssetOrder, Estimate, MadeAsset, MakeContext, Maker, Makes, MaxCost, Wanted,
};
use crate::sound::Listener;

/// The length of a film that is asked for if its item says none, in seconds.
const FILM_S: f64 = 5.0;

/// What a run may spend, and whether it only estimates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spending {
    /// `max_cost` of the call; the settings say the rest.
    pub max_cost: Option<MaxCost>,
    /// Sends again what may have been accepted in an earlier run.
    pub retry_uncertain: bool,
}

/// What was made for a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MadeReport {
    /// What this run cost at most.
    pub cost: f64,
    /// The word for the amount.
    pub currency: String,
    /// Providers without a price, whose cost is not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// How long it took, in milliseconds.
    pub ms: f64,
    pub assets: Vec<MadeRow>,
}

/// An asset that was made for an item.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MadeRow {
    /// The item of the plan.
    pub item: String,
    /// `speech`, `picture`, `film` or `transcript`.
    pub make: String,
    /// The provider that made it.
    pub by: String,
    /// Whether it was there from an earlier run.
    pub kept: bool,
    /// At most; missing if the provider has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The length of a sound or film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// An item and what is made for it.
struct AssetNeed {
    /// The index of the item.
    item: usize,
    order: AssetOrder,
}

/// What the items of a plan need, apart from transcripts, whose sounds may have to be made first.
fn needs(maker: &Maker, items: &[Item], canvas: (u32, u32)) -> (Vec<AssetNeed>, Vec<String>) {
    let mut needs = Vec::new();
    let mut faults = Vec::new();
    // Several of the same description without a seed are different pictures.
    let mut takes: BTreeMap<String, u32> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let Some((key, makes, provider, wanted)) = wanted(item, canvas, &mut takes) else {
            continue;
        };
        let chosen = maker.providers.choose(makes, provider.as_deref());
        let order = chosen.map(|chosen| AssetOrder {
            provider: chosen.name().to_owned(),
            wanted,
        });
        match order.and_then(|order| maker.checked(order)) {
            Ok(order) => needs.push(AssetNeed { item: index, order }),
            Err(error) => faults.push((format!("{}.{key}", item.path), told(&error))),
        }
    }
    (needs, together(faults))
}

/// An error with its hint on one line.
fn told(error: &Error) -> String {
    match &error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message.clone(),
    }
}

/// How many items a fault names.
const NAMED: usize = 3;

/// Faults by their paths; items with the same fault are named together.
fn together(faults: Vec<(String, String)>) -> Vec<String> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (path, text) in faults {
        match groups.iter_mut().find(|(known, _)| *known == text) {
            Some((_, paths)) => paths.push(path),
            None => groups.push((text, vec![path])),
        }
    }
    let line = |(text, paths): (String, Vec<String>)| {
        let more = match paths.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = paths[..paths.len().min(NAMED)].join(", ");
        format!("{named}{more}: {text}")
    };
    groups.into_iter().map(line).collect()
}

/// The key of an item that says what is made, the provider that it names, and what is wanted.
fn wanted(
    item: &Item,
    (width, height): (u32, u32),
    takes: &mut BTreeMap<String, u32>,
) -> Option<(&'static str, Makes, Option<String>, Wanted)> {
    if let Some(Said {
        text,
        voice,
        provider,
        voice_speed,
    }) = said(&item.extras)
    {
        let wanted = Wanted::Speech {
            text,
            voice,
            speed: voice_speed,
        };
        return Some(("say", Makes::Speech, provider, wanted));
    }
    let Described {
        key,
        prompt,
        seed,
        provider,
    } = described(&item.extras)?;
    let take = match seed {
        Some(_) => 0,
        None => {
            let take = takes.entry(format!("{key}\0{prompt}")).or_default();
            *take += 1;
            *take - 1
        }
    };
    Some(if key == "imagine" {
        let wanted = Wanted::Picture {
            prompt,
            width,
            height,
            seed,
            take,
        };
        (key, Makes::Picture, provider, wanted)
    } else {
        let seconds = film_length(item);
        let wanted = Wanted::Film {
            prompt,
            width,
            height,
            seconds,
            seed,
            take,
        };
        (key, Makes::Film, provider, wanted)
    })
}

/// How much of a film an item plays, from its start in the file, in seconds: times in the file, as for other videos.
fn film_length(item: &Item) -> f64 {
    let start = item.number("start").unwrap_or(0.0);
    let end = item.number("end").filter(|end| *end > 0.0);
    let end = end.or_else(|| Some(start + item.number("duration")?));
    end.unwrap_or(start + FILM_S).max(1.0)
}

/// Whether anything of a plan is made.
pub(crate) fn is_any(items: &[Item]) -> bool {
    items.iter().any(Item::is_made)
}

/// The problems of what the items have made, each with its path.
pub(super) fn faults(app: &App, items: &[Item], canvas: (u32, u32)) -> Vec<String> {
    if !is_any(items) {
        return Vec::new();
    }
    let Some(maker) = &app.maker else {
        return vec![no_folder().to_string()];
    };
    let (_, mut faults) = needs(maker, items, canvas);
    for item in items {
        if let Some(provider) = item.extra("auto")
            && let Err(error) = maker.providers.choose(Makes::Transcript, provider.as_str())
        {
            faults.push(format!("{}.auto: {}", item.path, told(&error)));
        }
    }
    faults
}

pub(super) fn no_folder() -> Error {
    Error::invalid("nothing can be made without a data folder").hint("set `--data-dir`")
}

/// What a plan would cost.
pub(crate) async fn estimate(
    app: &Arc<App>,
    items: &[Item],
    canvas: (u32, u32),
    context: &Context,
) -> Result<Estimate> {
    let maker = app.maker.as_ref().ok_or_else(no_folder)?;
    let orders = orders(app, items, canvas, context).await?;
    maker.estimate(&orders).await
}

/// Everything that a plan has made, for estimates.
pub(super) async fn orders(
    app: &Arc<App>,
    items: &[Item],
    canvas: (u32, u32),
    context: &Context,
) -> Result<Vec<AssetOrder>> {
    let maker = app.maker.as_ref().ok_or_else(no_folder)?;
    let (needs, _) = needs(maker, items, canvas);
    let mut orders: Vec<AssetOrder> = needs.iter().map(|need| need.order.clone()).collect();
    for item in items {
        let Some(provider) = item.extra("auto") else {
            continue;
        };
        let provider = maker
            .providers
            .choose(Makes::Transcript, provider.as_str())?;
        let heard = heard(items, item);
        let voice = heard.and_then(|heard| {
            let own = |need: &&AssetNeed| items[need.item].path == heard.path;
            needs.iter().find(own)
        });
        let (source, caller) = match voice {
            Some(need) => {
                let made = maker.finished(&need.order).await?;
                let path = made.and_then(|made| maker.assets().path(&made.asset));
                let path = path.map(|path| path.to_string_lossy().into_owned());
                (path, Caller::user())
            }
            None => {
                let source = heard.and_then(Item::source).map(str::to_owned);
                (source, context.caller.clone())
            }
        };
        let (sha256, seconds) = match (source, voice) {
            (Some(source), _) => sound_of(app, &source, &caller).await?,
            // The voice has to be made first.
            (None, Some(need)) => {
                let text = need.order.wanted.text();
                (text.to_owned(), spoken_length(text))
            }
            (None, None) => (item.path.clone(), 0.0),
        };
        orders.push(AssetOrder {
            provider: provider.name().to_owned(),
            wanted: Wanted::Transcript {
                sha256,
                file: std::path::PathBuf::new(),
                seconds,
                language: item.extra_text("language").unwrap_or_default().to_owned(),
            },
        });
    }
    Ok(orders)
}

/// The hash of a sound's content, or its address if it has to be fetched first, and its length in seconds.
async fn sound_of(app: &Arc<App>, source: &str, caller: &Caller) -> Result<(String, f64)> {
    let Ok(facts) = app.media.of(caller).facts(source).await else {
        return Ok((source.to_owned(), 0.0));
    };
    let path = std::path::Path::new(source);
    let hash = if path.is_file() {
        crate::sound::content_hash(path).await?
    } else {
        source.to_owned()
    };
    let length = facts.audio_duration.unwrap_or(facts.duration);
    Ok((hash, length.seconds()))
}

/// The item whose sound a subtitle belongs to.
fn heard<'a>(items: &'a [Item], item: &Item) -> Option<&'a Item> {
    let id = item.extra_text("align_to")?;
    items
        .iter()
        .find(|other| other.extra_text("id") == Some(id))
}

/// About how long a text is spoken, in seconds.
pub(crate) fn spoken_length(text: &str) -> f64 {
    script::weight(text) * USUAL_PACE
}

/// How long what is made for an item will be, in seconds, if that can be said before.
pub(super) fn expected_length(item: &Item) -> Option<f64> {
    if let Some(said) = said(&item.extras) {
        return Some(spoken_length(&said.text) / said.voice_speed);
    }
    item.extra("film").map(|_| film_length(item))
}

/// Whether a run may spend what its plans cost together.
///
/// # Errors
/// With the estimate, and how to permit it.
pub(crate) fn permit(app: &App, estimate: &Estimate, spending: Spending) -> Result<()> {
    let Some(maker) = &app.maker else {
        return Ok(());
    };
    let of_settings = maker.providers.generate.max_cost;
    estimate.may_be_spent(spending.max_cost.unwrap_or(of_settings))
}

/// What the two branches share.
struct AssetRun<'a> {
    app: &'a Arc<App>,
    maker: &'a Maker,
    make: MakeContext,
    /// Cancelled at the first failure with `on_failure: abort`.
    stop: CancellationToken,
    abort: bool,
    steps: &'a Steps,
    done: Mutex<usize>,
    all: usize,
}

/// Makes everything that the items need, and gives them the files.
///
/// # Errors
/// If it costs more than is permitted, if the client gives up, or, with `on_failure: abort`, if something cannot be made.
/// Nothing was created then but what was made, which is kept for the next run.
pub(super) async fn generate(
    app: &Arc<App>,
    plan: &Plan,
    (items, canvas): (&mut [Item], (u32, u32)),
    spending: Spending,
    steps: &Steps,
    context: &Context,
) -> Result<Option<MadeReport>> {
    if !is_any(items) {
        return Ok(None);
    }
    let started = Instant::now();
    let maker = app.maker.as_ref().ok_or_else(no_folder)?;
    let estimate = estimate(app, items, canvas, context).await?;
    permit(app, &estimate, spending)?;
    if estimate.items > 0 && app.bytes_left().await? == 0 {
        return Err(
            Error::conflict("nothing can be made: the storage of this tenant is full").hint(
                "remove drafts or files; `limits.tenant_bytes` in `tools.toml` sets the limit",
            ),
        );
    }
    let (needs, _) = needs(maker, items, canvas);
    // Before anything is paid.
    for need in &needs {
        let ready = maker.ready(&need.order).await;
        ready.map_err(|error| Error {
            message: format!("{}: {}", items[need.item].path, error.message),
            ..error
        })?;
    }
    let limits = &maker.providers.generate;
    let until = started + Duration::from_secs_f64(limits.run_timeout_s);
    let stop = context.cancel.child_token();
    let generation = AssetRun {
        app,
        maker,
        make: MakeContext {
            cancel: context.cancel.clone(),
            stop: stop.clone(),
            retry_uncertain: spending.retry_uncertain,
            until,
        },
        stop,
        abort: plan.on_failure.unwrap_or(app.manifest.sync.on_failure) == OnFailure::Abort,
        steps,
        done: Mutex::new(0),
        all: needs.len()
            + items
                .iter()
                .filter(|item| item.extra("auto").is_some())
                .count(),
    };
    let (voices, pictures): (Vec<AssetNeed>, Vec<AssetNeed>) = needs
        .into_iter()
        .partition(|need| need.order.wanted.makes() == Makes::Speech);
    let (voices, pictures) = {
        let all = &*items;
        let audio = async {
            let mut made = generation.branch(all, voices, limits.voices).await;
            // Transcripts are of the same branch; some are of voices that were just made.
            made.extend(
                generation
                    .transcripts(all, &made, limits.voices, context)
                    .await,
            );
            made
        };
        let visual = generation.branch(all, pictures, limits.pictures);
        futures::future::join(audio.boxed(), visual.boxed()).await
    };
    if context.cancel.is_cancelled() {
        return Err(Error::new(
            Kind::Cancelled,
            "cancelled while assets were being made; no draft was created",
        )
        .hint("what was made is kept: the next run of the plan uses it"));
    }
    let mut report = MadeReport {
        currency: limits.currency.clone(),
        unknown: estimate.unknown,
        ..MadeReport::default()
    };
    let mut failed: Option<Error> = None;
    for Outcome { item, key, made } in voices.into_iter().chain(pictures) {
        match made {
            Ok(made) => {
                report.cost += made.cost.unwrap_or(0.0);
                report.assets.push(MadeRow {
                    item: items[item].path.clone(),
                    make: key.what().to_owned(),
                    by: made.by.clone(),
                    kept: made.is_kept,
                    cost: made.cost,
                    seconds: made.asset.seconds,
                });
                if let Err(error) = take(maker, items, item, key, &made) {
                    items[item].fail(key.key(), &error);
                }
            }
            Err(error) => {
                if failed.is_none() || error.kind != Kind::Cancelled {
                    let path = format!("{}.{}: {}", items[item].path, key.key(), error.message);
                    failed = Some(Error {
                        message: path,
                        ..error.again()
                    });
                }
                items[item].fail(key.key(), &error);
            }
        }
    }
    if generation.abort
        && let Some(error) = failed
    {
        return Err(error);
    }
    of_voices::follow(items);
    report.ms = super::ms(started);
    // Two orders for the same speech are one creation.
    report.cost = (report.cost * 1e6).round() / 1e6;
    Ok(Some(report))
}

/// The key of an item that something is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MadeKey {
    Say,
    Imagine,
    Film,
    Auto,
}

impl MadeKey {
    fn key(self) -> &'static str {
        match self {
            Self::Say => "say",
            Self::Imagine => "imagine",
            Self::Film => "film",
            Self::Auto => "auto",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Say => Makes::Speech.name(),
            Self::Imagine => Makes::Picture.name(),
            Self::Film => Makes::Film.name(),
            Self::Auto => Makes::Transcript.name(),
        }
    }

    fn of(wanted: &Wanted) -> Self {
        match wanted.makes() {
            Makes::Speech | Makes::Text => Self::Say,
            Makes::Picture => Self::Imagine,
            Makes::Film => Self::Film,
            Makes::Transcript => Self::Auto,
        }
    }
}

/// What making something for an item led to.
struct Outcome {
    item: usize,
    key: MadeKey,
    made: Result<MadeAsset>,
}

impl AssetRun<'_> {
    /// Makes a branch's assets, at most `most` at the same time. Equal orders are made once.
    async fn branch(&self, items: &[Item], needs: Vec<AssetNeed>, most: usize) -> Vec<Outcome> {
        let mut groups: Vec<(AssetOrder, Vec<usize>)> = Vec::new();
        for need in needs {
            match groups.iter_mut().find(|(order, _)| *order == need.order) {
                Some((_, items)) => items.push(need.item),
                None => groups.push((need.order, vec![need.item])),
            }
        }
        let made: Vec<BoxFuture<'_, Vec<Outcome>>> = groups
            .into_iter()
            .map(|(order, indexes)| {
                async move {
                    let key = MadeKey::of(&order.wanted);
                    let made = self.maker.make(&order, &self.make).await;
                    self.tell(&items[indexes[0]], key, &made, indexes.len())
                        .await;
                    let mut outcomes = Vec::with_capacity(indexes.len());
                    let mut first = true;
                    for item in indexes {
                        let made = match &made {
                            Ok(made) if first => Ok(made.clone()),
                            Ok(made) => Ok(MadeAsset {
                                cost: Some(0.0),
                                is_kept: true,
                                ..made.clone()
                            }),
                            Err(error) => Err(error.again()),
                        };
                        first = false;
                        outcomes.push(Outcome { item, key, made });
                    }
                    outcomes
                }
                .boxed()
            })
            .collect();
        let made: Vec<Vec<Outcome>> = futures::stream::iter(made)
            .buffer_unordered(most.max(1))
            .collect()
            .await;
        made.into_iter().flatten().collect()
    }

    /// Makes the transcripts of subtitles with `auto`.
    async fn transcripts(
        &self,
        items: &[Item],
        voices: &[Outcome],
        most: usize,
        context: &Context,
    ) -> Vec<Outcome> {
        let wished = items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.extra("auto").is_some());
        let made: Vec<BoxFuture<'_, Outcome>> = wished
            .map(|(index, item)| {
                async move {
                    let made = self.transcript(items, item, voices, context).await;
                    self.tell(item, MadeKey::Auto, &made, 1).await;
                    Outcome {
                        item: index,
                        key: MadeKey::Auto,
                        made,
                    }
                }
                .boxed()
            })
            .collect();
        futures::stream::iter(made)
            .buffer_unordered(most.max(1))
            .collect()
            .await
    }

    async fn transcript(
        &self,
        items: &[Item],
        item: &Item,
        voices: &[Outcome],
        context: &Context,
    ) -> Result<MadeAsset> {
        let heard =
            heard(items, item).ok_or_else(|| Error::invalid("`align_to` names no sound"))?;
        let of_voice = voices
            .iter()
            .find(|voice| items[voice.item].path == heard.path);
        let made_file;
        let source = match of_voice {
            Some(Outcome { made: Ok(made), .. }) => {
                made_file = self.file(made)?;
                made_file.as_str()
            }
            Some(Outcome { made: Err(_), .. }) => {
                return Err(Error::media(format!(
                    "the voice of {} was not made",
                    heard.path
                )));
            }
            None => heard
                .source()
                .ok_or_else(|| Error::invalid(format!("{} has no sound", heard.path)))?,
        };
        let caller = if of_voice.is_some() {
            Caller::user()
        } else {
            context.caller.clone()
        };
        let listener = Listener {
            media: self.app.media.of(&caller),
            data: self.app.settings.data_dir()?.to_owned(),
        };
        let (file, _fetched) = listener.file(source).await?;
        let facts = listener.media.facts(source).await?;
        if !facts.has_audio {
            return Err(Error::media(format!("{} has no sound", heard.path)));
        }
        let provider = item.extra("auto").and_then(Value::as_str);
        let provider = self.maker.providers.choose(Makes::Transcript, provider)?;
        let order = AssetOrder {
            provider: provider.name().to_owned(),
            wanted: Wanted::Transcript {
                sha256: crate::sound::content_hash(&file).await?,
                file,
                seconds: facts.audio_duration.unwrap_or(facts.duration).seconds(),
                language: item.extra_text("language").unwrap_or_default().to_owned(),
            },
        };
        self.maker.make(&order, &self.make).await
    }

    fn file(&self, made: &MadeAsset) -> Result<String> {
        let path = self.maker.assets().path(&made.asset);
        let path =
            path.ok_or_else(|| Error::media("a file that was made is not there any more"))?;
        Ok(path.to_string_lossy().into_owned())
    }

    async fn tell(&self, item: &Item, key: MadeKey, made: &Result<MadeAsset>, count: usize) {
        if self.abort && made.is_err() {
            self.stop.cancel();
        }
        let mut done = self.done.lock().await;
        *done += count;
        let how = match made {
            Ok(made) if made.is_kept => "kept",
            Ok(_) => "made",
            Err(_) => "failed",
        };
        let message = format!(
            "{} {how} for {} ({} of {})",
            key.what(),
            item.path,
            *done,
            self.all
        );
        // Making is a part of the first step.
        let part = 0.9 * *done as f64 / self.all.max(1) as f64;
        self.steps.tell(part, message, None);
    }
}

/// Gives an item what was made for it.
fn take(
    maker: &Maker,
    items: &mut [Item],
    index: usize,
    key: MadeKey,
    made: &MadeAsset,
) -> Result<()> {
    if key == MadeKey::Auto {
        let transcript = maker.text(made)?;
        let item = &mut items[index];
        item.extras.shift_remove("auto");
        item.arguments.insert("srt".to_owned(), transcript.into());
        return Ok(());
    }
    let path = maker.assets().path(&made.asset);
    let path = path.ok_or_else(|| Error::media("a file that was made is not there any more"))?;
    let argument = match key {
        MadeKey::Say => "audio_url",
        MadeKey::Imagine => "image_url",
        MadeKey::Film | MadeKey::Auto => "video_url",
    };
    let item = &mut items[index];
    let text = said(&item.extras).map(|said| said.text);
    item.arguments
        .insert(argument.to_owned(), path.to_string_lossy().into());
    for key in ["say", "imagine", "film", "style", "seed", "provider"] {
        item.extras.shift_remove(key);
    }
    let id = item.extra_text("id").map(str::to_owned);
    if let Some(words) = text
        .as_deref()
        .and_then(|text| spoken::on_words(text, &made.asset.words))
    {
        item.extras.insert("words".to_owned(), words.into());
    }
    // Captions of a voice have its words: with the service's times, or placed on the speech.
    let words = item.extra("words").cloned();
    if let (Some(words), Some(id)) = (words, id) {
        for caption in items.iter_mut().filter(|caption| caption.is_of_voice(&id)) {
            caption.extras.shift_remove("script");
            caption.arguments.insert("srt".to_owned(), words.clone());
        }
    }
    Ok(())
}
