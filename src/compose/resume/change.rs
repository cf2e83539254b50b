//! Changed items of a plan as operations of `edit_draft` on their clips.

use std::collections::BTreeSet;

use capcut_draft::{Operation, Property};
use serde_json::{Value, json};

use super::call::{PlannedCall, value_shown};
use crate::args::normalize::Normalized;
use crate::args::property;
use crate::compose::item::Item;
use crate::compose::section::Section;
use crate::draft::ids::DraftId;
use crate::engine::documents::{DraftChange, document_error};
use crate::error::{Error, Result};
use crate::exec::App;
use crate::tools::{Call, Caller, Object};

/// An item whose clip is in the draft, with other arguments.
pub(in crate::compose) struct ItemChange {
    /// The item's path.
    path: String,
    /// The sequence number of the call that added the clip.
    sequence: u64,
    /// The differences, with both values.
    pub said: Vec<String>,
    /// The arguments that the clip has after the change; none if its clips are removed and the item is added again.
    arguments: Option<Object>,
    operations: Vec<(Order, Value)>,
}

/// What a run changes in a draft before it adds the rest.
#[derive(Default)]
pub(in crate::compose) struct DraftChanges {
    /// Of the draft as a whole: operations with the plan's keys.
    pub draft: Vec<(&'static str, Value)>,
    pub items: Vec<ItemChange>,
}

impl DraftChanges {
    pub(in crate::compose) fn is_empty(&self) -> bool {
        self.draft.is_empty() && self.items.is_empty()
    }
}

/// Room is made before it is used, and clips that move in one direction do not meet.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Order {
    Draft,
    Keyframes,
    Remove,
    Look,
    Media,
    Shorten,
    Earlier(f64),
    Later(f64),
    Lengthen,
    Magnet,
}

impl Order {
    fn key(self) -> (u8, f64) {
        match self {
            Self::Draft => (0, 0.0),
            Self::Keyframes => (1, 0.0),
            Self::Remove => (2, 0.0),
            Self::Look => (3, 0.0),
            Self::Media => (4, 0.0),
            Self::Shorten => (5, 0.0),
            Self::Earlier(to) => (6, to),
            Self::Later(to) => (7, -to),
            Self::Lengthen => (8, 0.0),
            Self::Magnet => (9, 0.0),
        }
    }
}

/// Start and length on the timeline, seconds; no length if it is that of the media.
fn span(call: &PlannedCall) -> (f64, Option<f64>) {
    let number = |key: &str| call.arguments.get(key).and_then(Value::as_f64);
    let end = number("end").filter(|end| *end > 0.0);
    let start = number("start").unwrap_or(0.0);
    match number("target_start") {
        Some(at) => {
            let speed = number("speed").filter(|speed| *speed > 0.0).unwrap_or(1.0);
            (at, end.map(|end| (end - start) / speed))
        }
        None => (start, end.map(|end| end - start)),
    }
}

impl ItemChange {
    /// The change of an item that differs from its call. What no operation sets on a clip requires that its clips, `own`, are
    /// removed and the item is added again.
    pub(super) fn of(
        item: &Item,
        was: &PlannedCall,
        wanted: &PlannedCall,
        own: &CallClips<'_>,
    ) -> Self {
        let path = item.plan_path();
        if was.tool != wanted.tool {
            let said = format!(
                "{path}: the draft has {}, but the plan has {}",
                was.named(),
                wanted.named()
            );
            return Self::again(item, was, vec![said], own);
        }
        let clip = was.clip.as_deref().unwrap_or_default();
        let is_file_time = matches!(was.tool.as_str(), "add_video" | "add_audio");
        let mut said = Vec::new();
        let mut operations = Some(Vec::new());
        let mut has_times = false;
        for key in was.differences(wanted, item.open_end) {
            let values = [was, wanted].map(|call| call.arguments.get(&key).unwrap_or(&Value::Null));
            said.push(differs(path, &key, values));
            let value = values[1];
            let made = match key.as_str() {
                // Captions are many clips, and keyframes none.
                _ if matches!(item.section, Section::Subtitles | Section::Keyframes) => None,
                "text" => {
                    let words = json!({ "op": "replace_text", "clip": clip, "text": value });
                    Some(vec![(Order::Look, words)])
                }
                "video_url" | "image_url" | "audio_url" => {
                    let start = wanted.arguments.get("start").filter(|_| is_file_time);
                    let start = start.cloned().unwrap_or(json!(0));
                    let file = json!({
                        "op": "replace_media", "clip": clip, "media": value, "source_start": start,
                    });
                    Some(vec![(Order::Media, file)])
                }
                "start" | "end" | "target_start" if !(is_file_time && key == "start") => {
                    let is_first = !std::mem::replace(&mut has_times, true);
                    Some(if is_first {
                        times(clip, was, wanted)
                    } else {
                        Vec::new()
                    })
                }
                _ => settable(&key, item, values).map(|name| {
                    let set = json!({ "op": "set", "clip": clip, name: value });
                    vec![(Order::Look, set)]
                }),
            };
            operations = operations.zip(made).map(|(all, made)| [all, made].concat());
        }
        match operations {
            Some(operations) => Self {
                path: path.to_owned(),
                sequence: was.sequence,
                said,
                arguments: Some(wanted.arguments.clone()),
                operations,
            },
            None => Self::again(item, was, said, own),
        }
    }

    /// Removes what a call added; the item is added again.
    pub(super) fn again(
        item: &Item,
        was: &PlannedCall,
        said: Vec<String>,
        own: &CallClips<'_>,
    ) -> Self {
        let operations = match own {
            CallClips::Clips(clips) => clips
                .iter()
                .map(|clip| (Order::Remove, removal(clip)))
                .collect(),
            CallClips::Keyframes(keyframes) => keyframes
                .iter()
                .map(|keyframe| {
                    let clear = json!({
                        "op": "clear_keyframes", "clip": keyframe.clip,
                        "property": keyframe.property, "time": keyframe.time,
                    });
                    (Order::Keyframes, clear)
                })
                .collect(),
        };
        Self {
            path: item.plan_path().to_owned(),
            sequence: was.sequence,
            said,
            arguments: None,
            operations,
        }
    }

    /// Whether the item is added again.
    pub(super) fn adds_again(&self) -> bool {
        self.arguments.is_none()
    }

    fn clips(&self, fits: impl Fn(&str, &Value) -> bool) -> impl Iterator<Item = &str> {
        self.operations.iter().filter_map(move |(_, operation)| {
            let clip = operation["clip"].as_str()?;
            fits(operation["op"].as_str()?, operation).then_some(clip)
        })
    }

    /// The clips that it removes.
    pub(super) fn removes(&self) -> impl Iterator<Item = &str> {
        self.clips(|name, _| name == "remove")
    }

    /// The clips whose keyframes it removes or moves.
    pub(super) fn moves_keyframes(&self) -> impl Iterator<Item = &str> {
        self.clips(|name, operation| match name {
            "remove" | "move" | "trim" | "replace_media" => true,
            "set" => operation.get("speed").is_some(),
            _ => false,
        })
    }
}

/// Removes a clip; what follows stays where the plan has it.
fn removal(clip: &str) -> Value {
    json!({ "op": "remove", "clip": clip, "close_gap": false })
}

/// What a call left in the draft.
pub(super) enum CallClips<'a> {
    Clips(Vec<&'a str>),
    Keyframes(Vec<ClipKeyframe<'a>>),
}

/// A keyframe of a clip.
pub(super) struct ClipKeyframe<'a> {
    pub clip: &'a str,
    pub property: &'a str,
    /// On the timeline, seconds.
    pub time: f64,
}

impl CallClips<'_> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Clips(clips) => clips.is_empty(),
            Self::Keyframes(keyframes) => keyframes.is_empty(),
        }
    }
}

/// Changes of start and length on the timeline.
fn times(clip: &str, was: &PlannedCall, wanted: &PlannedCall) -> Vec<(Order, Value)> {
    let mut changes = Vec::new();
    let ((old, old_length), (new, new_length)) = (span(was), span(wanted));
    let differ = |one: f64, two: f64| (one - two).abs() > 1e-6;
    if differ(old, new) {
        let order = if new < old {
            Order::Earlier(new)
        } else {
            Order::Later(new)
        };
        changes.push((order, json!({ "op": "move", "clip": clip, "at": new })));
    }
    if let (Some(old), Some(new)) = (old_length, new_length)
        && differ(old, new)
    {
        let order = if new < old {
            Order::Shorten
        } else {
            Order::Lengthen
        };
        changes.push((
            order,
            json!({ "op": "trim", "clip": clip, "duration": new }),
        ));
    }
    changes
}

/// The property that an argument sets, if it has both values in the property's own unit.
fn settable(key: &str, item: &Item, values: [&Value; 2]) -> Option<&'static str> {
    let of_property = Property::named(key)?;
    let is_same_unit = property::listed(key)?.measure.unit == of_property.measure.unit;
    let has_both = values.iter().all(|value| !value.is_null());
    // A transition, a mask and others are there only with these arguments.
    let needs = [
        ("mask_", "mask_type"),
        ("transition_", "transition"),
        ("shadow_", "shadow_enabled"),
        ("intro_", "intro_animation"),
        ("outro_", "outro_animation"),
        ("combo_", "combo_animation"),
        ("effect_params", "effect_type"),
    ];
    // Another effect has other parameters, and an image's older names give way to the newer ones.
    let depends = match key {
        "effect_type" => &["effect_params", "params"][..],
        "animation" | "animation_duration" => &["intro_animation", "intro_animation_duration"],
        _ => &[],
    };
    if depends
        .iter()
        .any(|other| item.arguments.contains_key(*other))
    {
        return None;
    }
    let has_needed = needs
        .iter()
        .filter(|(prefix, needed)| key.starts_with(prefix) && key != *needed)
        .all(|(_, needed)| {
            let given = item.arguments.get(*needed);
            given.is_some_and(crate::args::is_truthy)
        });
    (is_same_unit && has_both && has_needed).then_some(of_property.name)
}

/// An argument with its value in the draft and in the plan.
fn differs(path: &str, key: &str, values: [&Value; 2]) -> String {
    let [was, wanted] = values.map(|value| value_shown(key, value));
    let secret = if was == wanted {
        " (they differ in a part that is not shown)"
    } else {
        ""
    };
    format!("{path}.{key}: the draft has {was}, but the plan has {wanted}{secret}")
}

/// The key of a recorded edit with the calls that it changed: their sequence numbers and new arguments, without arguments if
/// it removed what they added.
const ITEMS: &str = "items";

/// The calls that a recorded edit of a run changed; none for an edit by hand.
pub(super) fn changed_calls(arguments: &Value) -> Option<Vec<(u64, Option<Object>)>> {
    let items = arguments.get(ITEMS)?.as_array()?;
    let read = |item: &Value| {
        Some((
            item["sequence"].as_u64()?,
            item["arguments"].as_object().cloned(),
        ))
    };
    Some(items.iter().filter_map(read).collect())
}

fn edit_call(draft: &DraftId, caller: &Caller, operations: Vec<Value>, items: Value) -> Call {
    let mut arguments = Object::new();
    arguments.insert("draft_id".to_owned(), json!(draft));
    arguments.insert("operations".to_owned(), Value::Array(operations));
    arguments.insert(ITEMS.to_owned(), items);
    Call {
        tool: "edit_draft",
        arguments,
        caller: caller.clone(),
        normalized: Normalized::default(),
    }
}

/// Applies all changes to a draft of the engine: all or none.
pub(in crate::compose) async fn apply(
    app: &App,
    draft: &DraftId,
    changes: &DraftChanges,
    caller: &Caller,
) -> Result<Vec<String>> {
    let of_draft = changes.draft.iter().map(|(key, operation)| {
        // Gaps may be there until all clips have moved.
        let order = if operation["magnet"] == true {
            Order::Magnet
        } else {
            Order::Draft
        };
        (order.key(), operation, *key)
    });
    let items = &changes.items;
    let changes = items.iter().flat_map(|item| {
        let operations = item.operations.iter();
        operations.map(|(order, operation)| (order.key(), operation, item.path.as_str()))
    });
    let mut changes: Vec<_> = of_draft.chain(changes).collect();
    changes.sort_by(|(one, ..), (two, ..)| one.0.cmp(&two.0).then(one.1.total_cmp(&two.1)));
    let mut operations = Vec::with_capacity(changes.len());
    let mut shown = Vec::with_capacity(changes.len());
    for (_, operation, path) in changes {
        let mut given = operation.clone();
        if let Some(media) = operation["media"].as_str() {
            let file = app.engine.media_file("media", media, caller).await;
            given["media"] = json!(file.map_err(|error| unchanged(draft, Some(path), error))?);
        }
        if let Some(cover) = operation["cover"].as_str() {
            let checked = app.engine.check_cover(cover, caller).await;
            checked.map_err(|error| unchanged(draft, Some("cover"), error))?;
        }
        let read = Operation::read(&given).map_err(document_error);
        operations.push(read.map_err(|error| unchanged(draft, Some(path), error))?);
        shown.push(operation.clone());
    }
    let records = items.iter().map(|item| match &item.arguments {
        Some(arguments) => json!({ "sequence": item.sequence, "arguments": arguments }),
        None => json!({ "sequence": item.sequence }),
    });
    let call = edit_call(draft, caller, shown, records.collect());
    let changed = change(app, draft, &operations, &call).await;
    changed.map_err(|error| unchanged(draft, None, error))
}

/// The error of a change that was not made.
pub(in crate::compose) fn unchanged(
    draft: &DraftId,
    path: Option<&str>,
    mut error: Error,
) -> Error {
    let path = path.map_or(String::new(), |path| format!("{path}: "));
    error.message = format!(
        "the changed items of the plan cannot be applied to draft {draft}, and nothing was changed: {path}{}",
        error.message
    );
    error
}

/// Removes clips that calls of this run added.
pub(in crate::compose) async fn remove(
    app: &App,
    draft: &DraftId,
    clips: &[&str],
    calls: &BTreeSet<u64>,
    caller: &Caller,
) -> Result<()> {
    let shown: Vec<Value> = clips.iter().map(|clip| removal(clip)).collect();
    let read = shown.iter().map(Operation::read);
    let operations: Vec<Operation> = read.collect::<Result<_, _>>().map_err(document_error)?;
    let records = calls.iter().map(|sequence| json!({ "sequence": sequence }));
    let call = edit_call(draft, caller, shown, records.collect());
    change(app, draft, &operations, &call).await.map(drop)
}

async fn change(
    app: &App,
    draft: &DraftId,
    operations: &[Operation],
    call: &Call,
) -> Result<Vec<String>> {
    let change = DraftChange {
        operations,
        checkpoint: None,
        dry_run: false,
    };
    let changed = app.engine.change(draft, &change, call).await?;
    Ok(changed
        .reports
        .into_iter()
        .flat_map(|report| report.changes.into_iter().chain(report.notes))
        .collect())
}
