//! Changed items of a plan as operations of `edit_draft` on their clips.

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
    /// The sequence number of the call that added the clip.
    sequence: u64,
    /// The arguments that the clip has after the change.
    arguments: Object,
    /// One for each changed argument or time.
    changes: Vec<ArgumentChange>,
}

/// A change of one property of a clip.
struct ArgumentChange {
    /// The argument in the plan, with both values.
    said: String,
    order: Order,
    operation: Value,
}

/// Room is made before it is used, and clips that move in one direction do not meet.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Order {
    Look,
    Media,
    Shorten,
    Earlier(f64),
    Later(f64),
    Lengthen,
}

impl Order {
    fn key(self) -> (u8, f64) {
        match self {
            Self::Look => (0, 0.0),
            Self::Media => (1, 0.0),
            Self::Shorten => (2, 0.0),
            Self::Earlier(to) => (3, to),
            Self::Later(to) => (4, -to),
            Self::Lengthen => (5, 0.0),
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
    /// The operations for an item that differs from its call; the error lists what no operation can change.
    pub(super) fn of(
        item: &Item,
        was: &PlannedCall,
        wanted: &PlannedCall,
    ) -> Result<Self, Vec<String>> {
        let path = item.plan_path();
        if was.tool != wanted.tool {
            return Err(vec![format!(
                "{path}: the draft has {}, but the plan has {}",
                was.named(),
                wanted.named()
            )]);
        }
        // Captions are many clips, and keyframes none.
        let is_one_clip = !matches!(item.section, Section::Subtitles | Section::Keyframes);
        let clip = was.clip.clone().unwrap_or_default();
        let mut changes = Vec::new();
        let mut faults = Vec::new();
        let mut has_times = false;
        for key in was.differences(wanted, item.open_end) {
            let values = [was, wanted].map(|call| call.arguments.get(&key).unwrap_or(&Value::Null));
            let said = differs(path, &key, values);
            let is_file_time = matches!(was.tool.as_str(), "add_video" | "add_audio");
            let change = |order, of: &dyn Fn(&Value) -> Value| ArgumentChange {
                said: said.clone(),
                order,
                operation: of(values[1]),
            };
            match key.as_str() {
                _ if !is_one_clip => faults.push(said),
                "text" => changes.push(change(
                    Order::Look,
                    &|text| json!({ "op": "replace_text", "clip": clip, "text": text }),
                )),
                "video_url" | "image_url" | "audio_url" => {
                    let start = wanted.arguments.get("start").filter(|_| is_file_time);
                    let start = start.cloned().unwrap_or(json!(0));
                    changes.push(change(Order::Media, &|media| {
                        json!({ "op": "replace_media", "clip": clip, "media": media, "source_start": start })
                    }));
                }
                "start" | "end" | "target_start" if !(is_file_time && key == "start") => {
                    if !has_times {
                        has_times = true;
                        changes.extend(times(&clip, &said, was, wanted));
                    }
                }
                _ => match settable(&key, item, values) {
                    Some(name) => changes.push(change(
                        Order::Look,
                        &|value| json!({ "op": "set", "clip": clip, name: value }),
                    )),
                    None => faults.push(said),
                },
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            sequence: was.sequence,
            arguments: wanted.arguments.clone(),
            changes,
        })
    }

    /// The changed arguments, with both values.
    pub(super) fn said(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().map(|change| change.said.as_str())
    }
}

/// Changes of start and length on the timeline.
fn times(clip: &str, said: &str, was: &PlannedCall, wanted: &PlannedCall) -> Vec<ArgumentChange> {
    let mut changes = Vec::new();
    let ((old, old_length), (new, new_length)) = (span(was), span(wanted));
    let differ = |one: f64, two: f64| (one - two).abs() > 1e-6;
    if differ(old, new) {
        changes.push(ArgumentChange {
            said: said.to_owned(),
            order: if new < old {
                Order::Earlier(new)
            } else {
                Order::Later(new)
            },
            operation: json!({ "op": "move", "clip": clip, "at": new }),
        });
    }
    if let (Some(old), Some(new)) = (old_length, new_length)
        && differ(old, new)
    {
        changes.push(ArgumentChange {
            said: said.to_owned(),
            order: if new < old {
                Order::Shorten
            } else {
                Order::Lengthen
            },
            operation: json!({ "op": "trim", "clip": clip, "duration": new }),
        });
    }
    changes
}

/// The property that an argument sets, if it has both values in the property's own unit.
fn settable(key: &str, item: &Item, values: [&Value; 2]) -> Option<&'static str> {
    let of_property = Property::named(key)?;
    let is_same_unit = property::listed(key)?.measure.unit == of_property.measure.unit;
    let has_both = values.iter().all(|value| !value.is_null());
    // A transition, a mask and a shadow are there only with these arguments.
    let needs = [
        ("mask_", "mask_type"),
        ("transition_", "transition"),
        ("shadow_", "shadow_enabled"),
    ];
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

/// The key of a recorded edit with the calls that it changed: their sequence numbers and new arguments.
const ITEMS: &str = "items";

/// The calls that a recorded edit of a run changed; none for an edit by hand.
pub(super) fn changed_calls(arguments: &Value) -> Option<Vec<(u64, Object)>> {
    let items = arguments.get(ITEMS)?.as_array()?;
    let read = |item: &Value| {
        Some((
            item["sequence"].as_u64()?,
            item["arguments"].as_object()?.clone(),
        ))
    };
    Some(items.iter().filter_map(read).collect())
}

fn edit_call(draft: &DraftId, caller: &Caller, mut arguments: Object) -> Call {
    arguments.insert("draft_id".to_owned(), json!(draft));
    Call {
        tool: "edit_draft",
        arguments,
        caller: caller.clone(),
        normalized: Normalized::default(),
    }
}

/// Applies the changes of all items to a draft of the engine: all or none.
pub(in crate::compose) async fn apply(
    app: &App,
    draft: &DraftId,
    items: &[ItemChange],
    caller: &Caller,
) -> Result<Vec<String>> {
    let mut changes: Vec<&ArgumentChange> = items.iter().flat_map(|item| &item.changes).collect();
    changes.sort_by(|one, two| {
        let (one, two) = (one.order.key(), two.order.key());
        one.0.cmp(&two.0).then(one.1.total_cmp(&two.1))
    });
    let mut operations = Vec::with_capacity(changes.len());
    let mut shown = Vec::with_capacity(changes.len());
    for change in changes {
        let mut operation = change.operation.clone();
        if let Some(media) = operation["media"].as_str() {
            let file = app.engine.media_file("media", media, caller).await?;
            operation["media"] = json!(file);
        }
        let read = Operation::read(&operation).map_err(document_error);
        operations.push(read.map_err(|error| within(&change.said, error))?);
        shown.push(change.operation.clone());
    }
    let records = items
        .iter()
        .map(|item| json!({ "sequence": item.sequence, "arguments": item.arguments }));
    let mut arguments = Object::new();
    arguments.insert("operations".to_owned(), Value::Array(shown));
    arguments.insert(ITEMS.to_owned(), records.collect());
    let change = DraftChange {
        operations: &operations,
        checkpoint: None,
        dry_run: false,
    };
    let call = edit_call(draft, caller, arguments);
    let changed = app.engine.change(draft, &change, &call).await;
    let changed = changed.map_err(|mut error| {
        error.message = format!(
            "the changed items of the plan cannot be applied to draft {draft}, and nothing was changed: {}",
            error.message
        );
        error
    })?;
    Ok(changed
        .reports
        .into_iter()
        .flat_map(|report| report.changes.into_iter().chain(report.notes))
        .collect())
}

fn within(place: &str, mut error: Error) -> Error {
    error.message = format!("{place}: {}", error.message);
    error
}
