//! Listens to the media of a plan before the layout: what its keys need to know of their sound.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};

use super::item::Item;
use super::known::KnownMedia;
use super::{aligned, ducking};
use crate::error::{Kind, Result};
use crate::exec::{App, Context};
use crate::sound::Listener;

/// How many files are listened to concurrently; analyses have their own limit.
const FILES: usize = 8;

/// Finds the speech in the sources whose items need it.
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
    if voices.is_empty() {
        return Ok(());
    }
    let listener = Listener {
        media: app.media.of(&context.caller),
        data: app.settings.data_dir()?.to_owned(),
    };
    let listened = voices.into_iter().map(|source| {
        let listener = &listener;
        async move {
            let found = listener.speech(&source, &context.cancel).await;
            (source, found)
        }
        .boxed()
    });
    let listened: Vec<_> = futures::stream::iter(listened)
        .buffer_unordered(FILES)
        .collect()
        .await;
    for (source, found) in listened {
        match found {
            Err(error) if error.kind == Kind::Cancelled => return Err(error),
            found => known.speech.insert(source, found.map_err(Arc::new)),
        };
    }
    Ok(())
}
