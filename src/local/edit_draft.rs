//! `edit_draft`: applies operations to any draft, as one step that can be undone.

mod listening;

use std::path::Path;
use std::sync::Arc;

use capcut_draft::{ClipSelector, Cover, Operation, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::args::input_rule::InputRule;
use crate::args::{draft_settings, set_values};
use crate::draft::ids::DraftId;
use crate::engine::documents::{self, DraftChange, document_error};
use crate::engine::paths::located;
use crate::error::{Error, Result};
use crate::exec::drafts::editable;
use crate::exec::{App, Context};
use crate::local::{LocalTool, call_of};
use crate::tool::Hints;

/// Advice for the keys of an operation.
const IN_OPERATIONS: &str =
    "write it in `operations`: [{\"op\": \"replace_text\", \"clip\": \"c1\", \"text\": \"Hello\"}]";

/// Maximum number of operations in a call.
const OPERATIONS: usize = 1_000;

/// Changes a draft: all operations or none, as one step that `undo_draft` takes back. Clips are named by id, words,
/// file name or track and time (`t1@2.5`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct EditDraft {
    /// The draft.
    pub draft_id: DraftId,
    /// Objects `{op, clip, …}`. Ops and keys: set (properties, such as volume: 0.5), replace_media (media: path
    /// or URL, length: cut, freeze, loop, speed), replace_text (text), move (at, track), shift (from, by, no clip),
    /// trim (start, end, duration), split (at), freeze (at, duration), remove (close_gap), duplicate (at, track),
    /// add_keyframes (property, points: [{time, value}], easing), clear_keyframes (property, time), clear (what: transition, effect, mask,
    /// animation), track (track, and mute, lock, hide, rename, order, remove), canvas (width, height), rename (name),
    /// settings (fps, magnet, cover: file or time, markers: [{at, title, color}]), add_markers (markers), group (clips), ungroup,
    /// split_audio, duck (clip: music, under: voice, by_db: -12), loudness (loudness_lufs: -16), jump_cut (min_pause, keep),
    /// cut_on (clip: pictures, beats_of: music, every, offset), fade (fade_in, fade_out; whole video).
    /// `clip` of set, clear, remove, duck, loudness, jump_cut, cut_on: also a track, "images", "captions", …, or a list.
    /// Times are seconds.
    #[schemars(with = "Vec<serde_json::Map<String, Value>>")]
    pub operations: Vec<Value>,
    /// Only says what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Names the state after this, for `undo_draft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// What changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EditedDraft {
    pub draft_id: DraftId,
    pub changes: Vec<String>,
    /// Ids of the clips that changed.
    pub clips: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LocalTool for EditDraft {
    const NAME: &'static str = "edit_draft";
    const TITLE: &'static str = "Edit draft";
    const HINTS: Hints = Hints {
        read_only: false,
        // A step can be undone.
        destructive: false,
        idempotent: false,
        open_world: true,
    };
    const INPUT_RULES: &'static [InputRule] = &[
        InputRule::Rare("checkpoint"),
        InputRule::Alias("ops", "operations"),
        InputRule::Alias("edits", "operations"),
        InputRule::Slots("operations"),
        InputRule::Advice("op", IN_OPERATIONS),
        InputRule::Advice("operation", IN_OPERATIONS),
        InputRule::Advice("clip", IN_OPERATIONS),
        InputRule::Advice("text", IN_OPERATIONS),
        InputRule::Advice("media", IN_OPERATIONS),
        InputRule::Advice("at", IN_OPERATIONS),
    ];
    type Reply = EditedDraft;

    fn draft(&self) -> Option<&DraftId> {
        Some(&self.draft_id)
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.operations.is_empty() && self.checkpoint.is_none() {
            faults.push("`operations` is empty".to_owned());
        }
        if self.operations.len() > OPERATIONS {
            faults.push(format!(
                "`operations` has {} entries; at most {OPERATIONS} are applied in a call",
                self.operations.len()
            ));
        }
        if self.checkpoint.as_ref().is_some_and(|name| {
            let length = name.trim().chars().count();
            length == 0 || length > 100
        }) {
            faults.push("`checkpoint` must have 1 to 100 characters".to_owned());
        }
        faults
    }

    async fn run(&self, app: &Arc<App>, context: &Context) -> Result<EditedDraft> {
        let (mut operations, unusual) = self.operations(app, context).await?;
        let draft = editable(app, &self.draft_id, Self::NAME, context).await?;
        if app.engine.opened(&draft.id).await?.is_some() {
            for_opened(&mut operations)?;
        }
        let _turn = app.turn_alone(&draft.id).await?;
        let change = DraftChange {
            operations: &operations,
            checkpoint: self.checkpoint.as_deref().map(str::trim),
            dry_run: self.dry_run,
        };
        let changed = app
            .engine
            .change(&draft.id, &change, &call_of(self, context)?)
            .await?;
        let mut reply = EditedDraft {
            draft_id: draft.id.clone(),
            changes: Vec::new(),
            clips: Vec::new(),
            notes: draft.note.into_iter().chain(unusual).collect(),
        };
        for report in changed.reports {
            reply.changes.extend(report.changes);
            reply.notes.extend(report.notes);
            for clip in report.clips {
                if !reply.clips.contains(&clip) {
                    reply.clips.push(clip);
                }
            }
        }
        if self.dry_run {
            reply
                .notes
                .push("nothing was changed (`dry_run`)".to_owned());
        } else if changed.is_recorded {
            reply.notes.extend(out_of_date(app, &draft.id).await?);
        } else {
            reply
                .notes
                .push("the draft is like this already: nothing was changed".to_owned());
        }
        Ok(reply)
    }
}

/// Media of a draft of an app are files, which keep their names.
fn for_opened(operations: &mut [Operation]) -> Result<()> {
    for (index, operation) in operations.iter_mut().enumerate() {
        let files = match operation {
            Operation::ReplaceMedia(replace) => [
                ("media", Some(&mut replace.media)),
                ("still", replace.still.as_mut()),
            ],
            Operation::Freeze(freeze) => [("media", None), ("still", Some(&mut freeze.still))],
            _ => continue,
        };
        for (name, file) in files {
            let Some(file) = file else { continue };
            let argument = format!("operations[{index}]: `{name}`");
            documents::for_app(&argument, file)?;
        }
    }
    Ok(())
}

/// The note that a saved folder lacks what just changed.
pub(super) async fn out_of_date(app: &App, draft: &DraftId) -> Result<Option<String>> {
    let row = app.journal.find(draft).await?;
    let Some(saved) = row.and_then(|row| row.saved_to) else {
        return Ok(None);
    };
    let opened = app.engine.opened(draft).await?;
    let is_copy = opened.is_some_and(|opened| opened.folder_of_file() != Path::new(&saved));
    Ok(Some(if is_copy {
        format!(
            "the copy in {saved} is out of date: `save_draft` with its name writes the changes there"
        )
    } else {
        format!("the folder {saved} is out of date: `save_draft` writes the changes")
    }))
}

impl EditDraft {
    /// The operations, with the files of `replace_media` measured and the values of `set` in the form of the document;
    /// and notes on unusual values.
    async fn operations(
        &self,
        app: &Arc<App>,
        context: &Context,
    ) -> Result<(Vec<Operation>, Vec<String>)> {
        let mut operations = Vec::with_capacity(self.operations.len());
        let mut notes = Vec::new();
        for (index, value) in self.operations.iter().enumerate() {
            let within = |mut error: Error| {
                error.message = format!("operations[{index}]: {}", error.message);
                error
            };
            let mut value = measured(app, value, context).await.map_err(within)?;
            if let Some(members) = value.as_object_mut() {
                if members.get("op").is_none_or(|op| op != "group")
                    && !members.contains_key("clip")
                    && let Some(clips) = members.shift_remove("clips")
                {
                    members.insert("clip".to_owned(), clips);
                }
                set_values::read_times(members);
                if members.get("op").is_some_and(|op| op == "freeze") {
                    self.with_still(app, members, context)
                        .await
                        .map_err(within)?;
                }
                listening::listened(app, &self.draft_id, members, context)
                    .await
                    .map_err(within)?;
                match members.get("op").and_then(Value::as_str) {
                    Some("set") => notes
                        .extend(set_values::read(members, &context.caller.styles).map_err(within)?),
                    Some("add_keyframes") => set_values::read_points(members).map_err(within)?,
                    Some("settings" | "canvas") => {
                        set_values::read_size(members).map_err(within)?;
                        draft_settings::read(members).map_err(within)?;
                    }
                    Some("add_markers") => draft_settings::read(members).map_err(within)?,
                    _ => {}
                }
            }
            let read = Operation::read(&value).map_err(document_error);
            let operation = read.map_err(within)?;
            if let Operation::Settings(settings) = &operation
                && let Some(Cover::File(source)) = &settings.cover
            {
                let checked = app.engine.check_cover(source, &context.caller).await;
                checked.map_err(within)?;
            }
            operations.push(operation);
        }
        Ok((operations, notes))
    }
}

impl EditDraft {
    /// Gives a `freeze` without `still` a picture of the frame that the clip shows then, before this call.
    async fn with_still(
        &self,
        app: &Arc<App>,
        operation: &mut serde_json::Map<String, Value>,
        context: &Context,
    ) -> Result<()> {
        if operation.contains_key("still") {
            return Ok(());
        }
        let read = |name: &str| operation.get(name).cloned().unwrap_or_default();
        let (Ok(clip), Ok(at)) = (
            serde_json::from_value::<ClipSelector>(read("clip")),
            serde_json::from_value::<Time>(read("at")),
        ) else {
            // What is missing is reported when the operation is read.
            operation.insert("still".to_owned(), json!({ "path": "", "kind": "image" }));
            return Ok(());
        };
        let id = app.current(&self.draft_id).await?;
        let opened = app.engine.opened(&id).await?;
        let folder = opened.and_then(|opened| opened.folder.clone());
        let found = app
            .engine
            .inspect(&id, |document| document.frame_at(&clip, at))
            .await?;
        let (file, seconds) = found.map_err(document_error)?;
        let file = located(&file, folder.as_deref())
            .map_or(file, |file| file.to_string_lossy().into_owned());
        let still = app.engine.frame_at(&file, seconds, &context.caller).await;
        let still = still
            .map_err(|error| error.hint("or give `still`, the path of a picture of the frame"))?;
        operation.insert("still".to_owned(), json!(still));
        Ok(())
    }
}

/// An operation whose `media` and `still` are files as the document crate expects them.
async fn measured(app: &Arc<App>, operation: &Value, context: &Context) -> Result<Value> {
    let mut operation = operation.clone();
    if operation["op"] != "replace_media" && operation["op"] != "freeze" {
        return Ok(operation);
    }
    let Value::Object(members) = &mut operation else {
        return Ok(operation);
    };
    for alias in ["url", "file", "path"] {
        if !members.contains_key("media")
            && let Some(media) = members.shift_remove(alias)
        {
            members.insert("media".to_owned(), media);
        }
    }
    for name in ["media", "still"] {
        let Some(value) = members.get_mut(name) else {
            continue;
        };
        let Some(source) = value.as_str() else {
            return Err(Error::invalid(format!(
                "`{name}` must be the path or URL of a file"
            )));
        };
        let engine = &app.engine;
        *value = json!(engine.media_file(name, source, &context.caller).await?);
    }
    Ok(operation)
}
