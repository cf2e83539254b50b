//! What a plan has made for it: voices (`say`), pictures (`imagine`), films (`film`) and transcripts (`auto`), and what that
//! costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::generated_keys::{Described, Said, described, said};
use super::item::Item;
use super::script::{self, USUAL_PACE};
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::providers::{AssetOrder, Estimate, Maker, Makes, MaxCost, Wanted};

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
    /// What this run cost at most, with requests whose answers were lost.
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
pub(super) struct AssetNeed {
    /// The index of the item.
    pub item: usize,
    pub order: AssetOrder,
}

/// What the items of a plan need, apart from transcripts, whose sounds may have to be made first.
pub(super) fn needs(
    maker: &Maker,
    items: &[Item],
    canvas: (u32, u32),
) -> (Vec<AssetNeed>, Vec<String>) {
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
pub(super) fn heard<'a>(items: &'a [Item], item: &Item) -> Option<&'a Item> {
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
