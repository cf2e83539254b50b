//! Listens to the media of a plan before the layout: what its keys need to know of their sound.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use capcut_sound::Span;
use futures::{FutureExt, StreamExt};

use super::item::Item;
use super::known::KnownMedia;
use super::{aligned, ducking, jump_cuts, levels, on_beats};
use crate::error::{Error, Kind, Result};
use crate::exec::{App, Context};
use crate::sound::Listener;
use crate::units::Micros;

/// How many files are listened to concurrently; analyses have their own limit.
const FILES: usize = 8;

/// Finds the speech and the beats in the sources whose items need them.
///
/// # Errors
/// Only if the caller cancels: a file that cannot be heard is a failure of the items that need it.
pub(super) async fn listen(
    app: &Arc<App>,
    items: &[Item],
    known: &mut KnownMedia,
    context: &Context,
) -> Result<()> {
    let mut voices: BTreeSet<String> = ducking::voices(items);
    voices.extend(aligned::voices(items));
    voices.extend(jump_cuts::voices(items));
    let music = on_beats::music(items);
    if voices.is_empty() && music.is_empty() {
        return Ok(());
    }
    let listener = &listener(app, context)?;
    known.speech = each(voices, |source| async move {
        listener.speech(&source, &context.cancel).await
    })
    .await?;
    known.beats = each(music, |source| async move {
        listener.beats(&source, &context.cancel).await
    })
    .await?;
    Ok(())
}

/// Measures the loudness of what items play; returns whether one needs it. Their places are known.
///
/// # Errors
/// As [`listen`].
pub(super) async fn measure(
    app: &Arc<App>,
    items: &[Item],
    known: &mut KnownMedia,
    context: &Context,
) -> Result<bool> {
    let parts = levels::parts(items);
    if parts.is_empty() {
        return Ok(false);
    }
    let listener = &listener(app, context)?;
    known.loudness = each(parts, |part| async move {
        let end = part.end.map_or(f64::INFINITY, Micros::seconds);
        let span = Span::new(part.start.seconds(), end);
        listener.loudness(&part.source, span, &context.cancel).await
    })
    .await?;
    Ok(true)
}

fn listener(app: &Arc<App>, context: &Context) -> Result<Listener> {
    Ok(Listener {
        media: app.media.of(&context.caller),
        data: app.settings.data_dir()?.to_owned(),
    })
}

/// What is found for each key, or why nothing is.
async fn each<K, T, F>(
    keys: BTreeSet<K>,
    find: impl Fn(K) -> F + Sync,
) -> Result<HashMap<K, std::result::Result<T, Arc<Error>>>>
where
    K: Clone + Eq + Hash + Send + Sync,
    T: Send,
    F: Future<Output = Result<T>> + Send,
{
    let found = keys.into_iter().map(|key| {
        let find = &find;
        async move { (key.clone(), find(key).await) }.boxed()
    });
    let found: Vec<_> = futures::stream::iter(found)
        .buffer_unordered(FILES)
        .collect()
        .await;
    let mut known = HashMap::with_capacity(found.len());
    for (key, found) in found {
        match found {
            Err(error) if error.kind == Kind::Cancelled => return Err(error),
            found => known.insert(key, found.map_err(Arc::new)),
        };
    }
    Ok(known)
}
