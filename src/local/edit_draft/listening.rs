//! What operations have to know of the sounds of a draft: its files are listened to, and the operation gets what was heard.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use capcut_draft::{ClipSelector, SoundPart};
use capcut_sound::Span;
use serde_json::{Value, json};

use crate::draft::ids::DraftId;
use crate::engine::paths::located;
use crate::error::{Error, Result};
use crate::exec::{App, Context};
use crate::media::{Media, shown};
use crate::sound::Listener;
use crate::tools::Object;

/// The most files to which an operation listens.
const LISTENED_TO: usize = 40;

/// What is listened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Speech,
    Beats,
    /// Of the parts that are played.
    Loudness,
}

/// An operation that needs to know what is heard.
struct ListeningOperation {
    name: &'static str,
    /// The key with the clips whose files are listened to.
    clips: &'static str,
    /// The key for what was heard.
    result: &'static str,
    heard: Heard,
}

const fn row(
    name: &'static str,
    clips: &'static str,
    result: &'static str,
    heard: Heard,
) -> ListeningOperation {
    ListeningOperation {
        name,
        clips,
        result,
        heard,
    }
}

const OPERATIONS: [ListeningOperation; 4] = [
    row("duck", "under", "speech", Heard::Speech),
    row("jump_cut", "clip", "speech", Heard::Speech),
    row("cut_on", "beats_of", "beats", Heard::Beats),
    row("loudness", "clip", "measured", Heard::Loudness),
];

/// Gives an operation what is heard in the files of its clips, as the draft is before this call, unless it has that already.
///
/// # Errors
/// If a file cannot be read or heard, or does not have what is listened for.
pub(super) async fn listened(
    app: &Arc<App>,
    draft: &DraftId,
    operation: &mut Object,
    context: &Context,
) -> Result<()> {
    let name = operation.get("op").and_then(Value::as_str);
    let Some(listening) = OPERATIONS.iter().find(|row| name == Some(row.name)) else {
        return Ok(());
    };
    let clips = operation.get(listening.clips).cloned().unwrap_or_default();
    let Ok(clips) = serde_json::from_value::<ClipSelector>(clips) else {
        // Reported when the operation is read.
        return Ok(());
    };
    if operation.contains_key(listening.result) {
        return Ok(());
    }
    let draft = app.current(draft).await?;
    let opened = app.engine.opened(&draft).await?;
    let folder: Option<PathBuf> = opened.and_then(|opened| opened.folder.clone());
    let listener = Listener {
        media: app.media.of(&context.caller),
        data: app.settings.data_dir()?.to_owned(),
    };
    let parts = app
        .engine
        .inspect(&draft, |document| document.sound_parts(&clips))
        .await?;
    // A clip that an earlier operation of this call makes, or an error that the operation itself reports.
    let mut parts: Vec<SoundPart> = parts.unwrap_or_default();
    if listening.heard != Heard::Loudness {
        let mut files: Vec<SoundPart> = Vec::with_capacity(parts.len());
        for part in parts {
            if files.iter().all(|known| known.file != part.file) {
                files.push(part);
            }
        }
        parts = files;
    }
    if parts.len() > LISTENED_TO {
        let (key, count) = (listening.clips, parts.len());
        return Err(Error::invalid(format!(
            "`{key}` has {count} files; at most {LISTENED_TO} are listened to in an operation"
        ))
        .hint("name fewer clips, in several operations if needed"));
    }
    let mut heard = Vec::with_capacity(parts.len());
    for part in parts {
        let source = on_this_computer(&part.file, folder.as_deref())?;
        heard.push(hear(&listener, listening.heard, &source, &part, context).await?);
    }
    operation.insert(listening.result.to_owned(), json!(heard));
    Ok(())
}

/// What is heard in a file, as the document crate expects it.
async fn hear(
    listener: &Listener,
    heard: Heard,
    source: &str,
    part: &SoundPart,
    context: &Context,
) -> Result<Value> {
    let (file, cancel) = (&part.file, &context.cancel);
    Ok(match heard {
        Heard::Speech => {
            let spans = listener.speech(source, cancel).await?;
            let spans: Vec<[f64; 2]> = spans.iter().map(|span| [span.start, span.end]).collect();
            json!({ "file": file, "spans": spans })
        }
        Heard::Beats => json!({ "file": file, "times": listener.beats(source, cancel).await? }),
        Heard::Loudness => {
            let span = Span::new(part.start, part.end);
            let (lufs, true_peak) = listener.loudness(source, span, cancel).await?;
            json!({
                "file": file, "start": part.start, "end": part.end, "lufs": lufs, "true_peak": true_peak,
            })
        }
    })
}

/// A file of a draft, where it can be read: its URL, or its path on this computer.
fn on_this_computer(file: &str, folder: Option<&Path>) -> Result<String> {
    if !Media::is_here(file) {
        return Ok(file.to_owned());
    }
    let here = located(file, folder).ok_or_else(|| {
        Error::media(format!("{} is not on this computer", shown(file)))
            .hint("name clips whose files are here, or link the file again with `replace_media`")
    })?;
    Ok(here.to_string_lossy().into_owned())
}
