//! Probes the lengths of a plan's media before the layout.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use super::item::Item;
use super::known::KnownMedia;
use super::steps::Steps;
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::progress::Bytes;

/// How many media are probed concurrently.
const PROBES: usize = 8;
/// How often the bytes read are reported while media are probed.
const REPORTED_EVERY: Duration = Duration::from_millis(250);

/// Probes all media whose items do not set a length, concurrently.
pub(super) async fn probe(
    app: &Arc<App>,
    items: &[Item],
    steps: &Steps,
    context: &Context,
) -> Result<KnownMedia> {
    let sources: BTreeSet<String> = items
        .iter()
        .filter(|item| item.open_end)
        .filter_map(|item| item.source().map(str::to_owned))
        .collect();
    let all = sources.len();
    let arrived = Arc::new(AtomicU64::new(0));
    let asked: Vec<BoxFuture<'_, Option<(String, (f64, f64))>>> = sources
        .into_iter()
        .map(|source| {
            let (media, arrived) = (app.media.of(&context.caller), arrived.clone());
            async move {
                // A file that cannot be read keeps its open end: its own call reports the problem.
                let facts = media.facts_counting(&source, arrived).await.ok()?;
                let sound = facts.audio_duration.unwrap_or(facts.duration);
                Some((source, (facts.duration.seconds(), sound.seconds())))
            }
            .boxed()
        })
        .collect();
    let mut probes = futures::stream::iter(asked).buffer_unordered(PROBES);
    let mut lengths = KnownMedia::default();
    let mut looked = 0;
    let mut told = 0;
    loop {
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => {
                return Err(Error::new(Kind::Cancelled, "cancelled while media were being probed; nothing was created"));
            }
            probed = probes.next() => {
                let Some(probed) = probed else { return Ok(lengths) };
                lengths.lengths.extend(probed);
                looked += 1;
            }
            () = tokio::time::sleep(REPORTED_EVERY) => {
                let done = arrived.load(Ordering::Relaxed);
                if done > told {
                    told = done;
                    let bytes = Bytes { done, of: None };
                    // The total is unknown, so the value approaches the first item without reaching it.
                    let part = 1.0 - 1.0 / (1.0 + done as f64 / 1e7);
                    steps.tell(part * 0.99, format!("probed {looked} of {all} media files ({bytes})"), Some(bytes));
                }
            }
        }
    }
}
