//! Makes what the items of a plan need, in two branches that run at the same time, up to one sync point. After it, each such
//! item has a file like any other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::generated::{
    AssetNeed, MadeReport, MadeRow, Spending, estimate, heard, is_any, needs, no_folder, permit,
};
use super::generated_keys::said;
use super::item::Item;
use super::of_voices;
use super::plan::Plan;
use super::spoken;
use super::steps::Steps;
use crate::caller::Caller;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::manifest::OnFailure;
use crate::providers::{AssetOrder, MadeAsset, MakeContext, Maker, Makes, Spent, Wanted};
use crate::sound::Listener;

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
            spent: Spent::default(),
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
    report.cost = (generation.make.spent.total() * 1e6).round() / 1e6;
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
    item.made_of = item.makes();
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
