//! Compares the content that earlier runs left in a draft with the plan: an item counts as present only if all its
//! arguments are equal.
//!
//! The journal has the calls that were sent. The document only shows whether their results are still present: it does
//! not contain the arguments, and servers write it in different ways.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::document::DraftSegments;
use super::item::Item;
use super::layout::{self, Lengths};
use super::plan::Plan;
use super::report::ItemReport;
use super::section::Section;
use crate::draft::ids::DraftId;
use crate::engine::{standing, subtitle};
use crate::error::{Error, Result};
use crate::exec::App;
use crate::journal::{DraftRow, ENGINE, JobRecord};
use crate::media::shown;
use crate::tools::{self, Caller, Manner, Object};
use crate::units::{Edition, Micros};

/// Numbers with at most this difference are equal: times are counted in microseconds.
const SAME: f64 = 1e-6;
/// The most characters of a value in a message.
const SHOWN_CHARS: usize = 80;
/// At most this many calls that are not in the plan are listed.
const NAMED: usize = 5;

/// The part of the plan that is in the draft.
#[derive(Default)]
pub(super) struct ResumeState {
    /// The items that are present, by path, and the note for each.
    there: HashMap<String, &'static str>,
    /// The number of segments on each track.
    pub counts: BTreeMap<String, usize>,
    pub notes: Vec<String>,
}

impl ResumeState {
    /// The note for an item that is present and is not sent.
    pub(super) fn has(&self, item: &Item) -> Option<&'static str> {
        self.there.get(&item.path).copied()
    }
}

/// What a run requires of the draft.
pub(super) struct ResumedPlan<'a> {
    pub plan: &'a Plan,
    /// The arguments of `create_draft`, with all defaults.
    pub create: Object,
    pub items: &'a [Item],
    pub lengths: &'a Lengths,
    pub caller: &'a Caller,
}

/// Differences, and notes.
#[derive(Default)]
struct Differences {
    faults: Vec<String>,
    notes: Vec<String>,
}

/// A call for an item: from the journal, or required by a plan.
#[derive(Clone)]
struct PlannedCall {
    sequence: u64,
    tool: String,
    section: Section,
    /// With all defaults, without the draft.
    arguments: Object,
    /// On the timeline.
    start: Micros,
    /// Its content: argument and value.
    content: Option<(&'static str, String)>,
}

/// The arguments with the content of a call.
const CONTENTS: [&str; 7] = [
    "text",
    "video_url",
    "image_url",
    "audio_url",
    "srt",
    "sticker_id",
    "effect_type",
];

impl PlannedCall {
    fn new(sequence: u64, tool: &str, arguments: Object) -> Option<Self> {
        let section = Section::of_tool(tool)?;
        // Both sides are read leniently. What cannot be read was written by another version, and is compared unchanged.
        let reader = Caller::user().in_manner(Manner::Api);
        let mut arguments = tools::routed(tool)
            .and_then(|spec| spec.read(arguments.clone(), &reader).ok())
            .and_then(|request| request.arguments_in_full().ok())
            .unwrap_or(arguments);
        // `width` and `height` are the canvas of a new draft, which does not apply here.
        for key in ["draft_id", "width", "height"] {
            arguments.shift_remove(key);
        }
        let start = match tool {
            "add_video" | "add_audio" => "target_start",
            "add_subtitle" => "time_offset",
            "add_video_keyframe" => "time",
            _ => "start",
        };
        let start = arguments.get(start).and_then(Value::as_f64);
        let content = CONTENTS
            .iter()
            .find_map(|key| Some((*key, arguments.get(*key)?.as_str()?.to_owned())));
        Some(Self {
            sequence,
            tool: tool.to_owned(),
            section,
            start: Micros::from_seconds(start.unwrap_or(0.0)),
            content,
            arguments,
        })
    }

    /// The call of an item, with the names and defaults of this edition.
    fn of_item(item: &Item, edition: Edition) -> Result<Self> {
        let read = item.spec.read(item.arguments.clone(), &Caller::user());
        let sent = match read.and_then(|request| request.in_edition(edition)) {
            Ok(Some(request)) => request.call().arguments.clone(),
            Ok(None) | Err(_) => item.arguments.clone(),
        };
        Self::new(0, item.spec.name, sent)
            .ok_or_else(|| Error::internal(format!("{} has no call", item.path)))
    }

    fn text(&self, key: &str) -> &str {
        self.arguments
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Its position: nothing overlaps on one track, so two calls for one position are two versions of one item.
    fn place(&self) -> (Section, &str, Micros, String) {
        let list = |key: &str| self.arguments.get(key).map(Value::to_string);
        let which = match self.section {
            Section::Keyframes => format!(
                "{} {:?} {:?}",
                self.text("property_type"),
                list("property_types"),
                list("times")
            ),
            _ => String::new(),
        };
        (self.section, self.text("track_name"), self.start, which)
    }

    /// A description for people: `add_text` "Hello" at 2 s on track `text_main`.
    fn named(&self) -> String {
        let what = match &self.content {
            Some((key, content)) => format!(" {}", value_shown(key, &json!(content))),
            None => format!(" {}", self.text("property_type")),
        };
        format!(
            "`{}`{what} at {} on track `{}`",
            self.tool,
            self.start,
            self.text("track_name")
        )
    }

    /// The arguments in which two calls differ.
    fn differences(&self, other: &Self, open_end: bool) -> Vec<String> {
        let keys: BTreeSet<&String> = self
            .arguments
            .keys()
            .chain(other.arguments.keys())
            .collect();
        keys.into_iter()
            .filter(|key| {
                let (one, two) = (self.arguments.get(*key), other.arguments.get(*key));
                // An end that follows from the media is absent if the media could not be read.
                let is_absent = |value: Option<&Value>| {
                    value.is_none_or(|value| value.as_f64().is_none_or(|end| end <= 0.0))
                };
                let is_open =
                    open_end && key.as_str() == "end" && (is_absent(one) || is_absent(two));
                !is_open && !same(one.unwrap_or(&Value::Null), two.unwrap_or(&Value::Null))
            })
            .cloned()
            .collect()
    }

    fn is(&self, other: &Self, open_end: bool) -> bool {
        // The arguments that differ most often are compared first, because long drafts have many calls.
        self.tool == other.tool
            && (self.start.0 - other.start.0).abs() <= 1
            && self.content == other.content
            && self.differences(other, open_end).is_empty()
    }
}

fn same(one: &Value, two: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse::<f64>().ok(),
        other => other.as_f64(),
    };
    match (one, two) {
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            let get = |object: &Object, key: &String| object.get(key).cloned().unwrap_or_default();
            one.keys()
                .chain(two.keys())
                .all(|key| same(&get(one, key), &get(two, key)))
        }
        (Value::String(one), Value::String(two)) => one == two,
        (Value::Number(_), _) | (_, Value::Number(_)) => match (number(one), number(two)) {
            (Some(one), Some(two)) => (one - two).abs() <= SAME,
            _ => false,
        },
        (one, two) => one == two,
    }
}

/// A value for messages: shortened, and without the secrets of a URL.
fn value_shown(key: &str, value: &Value) -> String {
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        Value::String(text) if key.ends_with("_url") || key == "srt" => json!(shown(text)),
        other => other.clone(),
    };
    let text = text.to_string();
    if text.chars().count() <= SHOWN_CHARS {
        return text;
    }
    text.chars().take(SHOWN_CHARS).chain("…".chars()).collect()
}

/// Compares the draft with the plan. An error lists all differences, and then nothing was changed.
pub(super) async fn compare(
    app: &Arc<App>,
    row: &DraftRow,
    document: &DraftSegments,
    run: &ResumedPlan<'_>,
) -> Result<ResumeState> {
    let items = run.items;
    let records = standing(app.journal.records(&row.origin, &row.id, 0).await?);
    let created = records
        .first()
        .filter(|record| record.tool == "create_draft")
        .and_then(|record| record.arguments.as_object());
    let Differences {
        mut faults,
        mut notes,
    } = compare_canvas(row, document, run, created);

    let mut sent: Vec<Option<PlannedCall>> = records
        .iter()
        .filter_map(|record| {
            let arguments = record.arguments.as_object()?.clone();
            PlannedCall::new(record.sequence, &record.tool, arguments)
        })
        .map(Some)
        .collect();
    let asked = asked_before(app, row, run.lengths).await?;
    let edition = edition(row);
    let wanted = items.iter().map(|item| PlannedCall::of_item(item, edition));
    let wanted: Vec<PlannedCall> = wanted.collect::<Result<_>>()?;

    let mut there = HashMap::new();
    let mut order: Vec<(Section, u64, &str)> = Vec::new();
    let mut others = Vec::new();
    for (item, wanted) in items.iter().zip(&wanted) {
        let found = sent
            .iter_mut()
            .find(|sent| {
                sent.as_ref()
                    .is_some_and(|sent| sent.is(wanted, item.open_end))
            })
            .and_then(Option::take);
        let Some(found) = found else {
            others.push((item, wanted));
            continue;
        };
        // An item that was acknowledged but is no longer in the draft is sent again.
        if document.holds(item) {
            there.insert(item.path.clone(), "was already in the draft");
            order.push((item.section, found.sequence, &item.path));
        }
    }
    for (item, wanted) in others {
        let before = asked.get(&item.path);
        let is_before = |sent: &PlannedCall| before.is_some_and(|before| before.is(sent, true));
        let is_version = |sent: &PlannedCall| {
            sent.place() == wanted.place()
                || (sent.section == wanted.section
                    && sent.content.is_some()
                    && sent.content == wanted.content)
        };
        let changed = [&is_before as &dyn Fn(&PlannedCall) -> bool, &is_version]
            .into_iter()
            .find_map(|is_it| {
                sent.iter_mut()
                    .find(|sent| sent.as_ref().is_some_and(is_it))
                    .and_then(Option::take)
            });
        if let Some(changed) = changed {
            faults.extend(differences_of(item, &changed, wanted));
        } else if document.holds(item) {
            // Its call may have been applied although its reply was lost: then the segment is the requested one.
            if before.is_some_and(|before| before.is(wanted, item.open_end)) {
                there.insert(
                    item.path.clone(),
                    "was already in the draft; the reply to its call was lost, so only its position was compared",
                );
            } else {
                faults.push(format!(
                    "{}: the draft has another segment at its position ({}), which cannot be compared with it",
                    item.plan_path(),
                    wanted.named()
                ));
            }
        }
    }
    for item in items.iter().filter(|item| there.contains_key(&item.path)) {
        if item.section == Section::Subtitles {
            match captions_differ(app, run.caller, document, item).await {
                Ok(Some(fault)) => faults.push(fault),
                Ok(None) => {}
                Err(error) => notes.push(format!(
                    "{}.srt cannot be read, so its captions were not compared with those in the draft: {}",
                    item.plan_path(),
                    error.message
                )),
            }
        }
    }
    if !faults.is_empty() {
        let mut seen = BTreeSet::new();
        faults.retain(|fault| seen.insert(fault.clone()));
        return Err(Error::conflict(format!(
            "draft {} differs from the plan, and nothing was changed:\n{}",
            row.id,
            faults.join("\n")
        ))
        .hint("the content of a draft cannot be changed: run the plan without `resume` for a new draft, or use the values of the draft in the plan"));
    }
    notes.extend(reordered(&order));
    notes.extend(more(&sent));
    Ok(ResumeState {
        there,
        counts: document.counts(),
        notes,
    })
}

/// The differences of a changed item, one line per argument.
fn differences_of(item: &Item, was: &PlannedCall, wanted: &PlannedCall) -> Vec<String> {
    let path = item.plan_path();
    if was.tool != wanted.tool {
        return vec![format!(
            "{path}: the draft has {}, but the plan has {}",
            was.named(),
            wanted.named()
        )];
    }
    was.differences(wanted, item.open_end)
        .into_iter()
        .map(|key| {
            let values = [was, wanted]
                .map(|call| value_shown(&key, call.arguments.get(&key).unwrap_or(&Value::Null)));
            let secret = if values[0] == values[1] {
                " (they differ in a part that is not shown)"
            } else {
                ""
            };
            format!(
                "{path}.{key}: the draft has {}, but the plan has {}{secret}",
                values[0], values[1]
            )
        })
        .collect()
}

fn compare_canvas(
    row: &DraftRow,
    document: &DraftSegments,
    ResumedPlan { plan, create, .. }: &ResumedPlan<'_>,
    created: Option<&Object>,
) -> Differences {
    let mut found = Differences::default();
    let says_canvas = plan.width.is_some()
        || plan.height.is_some()
        || plan.aspect_ratio.is_some()
        || plan.resolution.is_some();
    let side = |name: &str| create.get(name).and_then(Value::as_f64);
    let wanted = (
        side("width").unwrap_or_else(crate::args::default::width),
        side("height").unwrap_or_else(crate::args::default::height),
    );
    if let Some(canvas) = document.canvas.filter(|canvas| *canvas != wanted) {
        let (was, wanted) = [canvas, wanted]
            .map(|(width, height)| format!("{width}x{height}"))
            .into();
        if says_canvas {
            let key = [
                ("aspect_ratio", plan.aspect_ratio.is_some()),
                ("resolution", plan.resolution.is_some()),
                ("width", plan.width.is_some()),
            ];
            let key = key.iter().find(|(_, says)| *says);
            found.faults.push(format!(
                "{}: the canvas of the draft is {was}, but that of the plan is {wanted}",
                key.map_or("height", |(key, _)| key)
            ));
        } else {
            found.notes.push(format!(
                "the plan does not set the canvas; that of the draft is {was}"
            ));
        }
    }
    let said = |key: &str| created.and_then(|created| created.get(key)?.as_str());
    let name = said("name").or(Some(row.name.as_str()).filter(|name| !name.is_empty()));
    for (key, was, wanted) in [
        ("name", name, &plan.name),
        ("note", said("note"), &plan.note),
    ] {
        if let Some(wanted) = wanted
            && was != Some(wanted)
        {
            found.faults.push(format!(
                "{key}: the draft has {}, but the plan has {}",
                value_shown(key, &json!(was)),
                value_shown(key, &json!(wanted))
            ));
        }
    }
    found
}

/// The first difference between a subtitle file and the captions in the draft.
async fn captions_differ(
    app: &App,
    caller: &Caller,
    document: &DraftSegments,
    item: &Item,
) -> Result<Option<String>> {
    let srt = item.arguments.get("srt").and_then(Value::as_str);
    let Some(srt) = srt
        .map(str::trim)
        .filter(|srt| !srt.contains(['\n', '\r']) && !srt.contains("-->") && !srt.contains("\\n"))
    else {
        return Ok(None);
    };
    let bytes = app.media.of(caller).text(srt, subtitle::MAX_BYTES).await?;
    let offset = item.number("time_offset").unwrap_or(0.0);
    let laid = subtitle::parse(&subtitle::decode(&bytes).0)?
        .laid(Micros::from_seconds_truncated(offset))?;
    let lanes = laid.lanes.iter().flatten();
    let tracks = document.tracks_of_captions(item.track());
    let differs = |start: Micros, text: &str| {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_there = |track: &&str| {
            let was = document.text_at(track, start);
            was.is_some_and(|was| words(was) == words(text))
        };
        !tracks.iter().any(is_there)
    };
    let Some(cue) = lanes
        .clone()
        .find(|cue| differs(cue.range.start, &cue.text))
    else {
        return Ok(None);
    };
    // A server puts all captions on one track.
    let mut joined = laid.joined().into_iter();
    if joined.all(|(range, text)| !differs(range.start, &text)) {
        return Ok(None);
    }
    let start = cue.range.start;
    let was = document.text_at(item.track(), start);
    Ok(Some(format!(
        "{}.srt: caption {} at {start} is {} in the file, but {} in the draft",
        item.plan_path(),
        cue.number,
        value_shown("", &json!(cue.text)),
        value_shown("", &json!(was))
    )))
}

/// Notes about items whose order in the draft differs from the plan, by section.
fn reordered(order: &[(Section, u64, &str)]) -> Vec<String> {
    order
        .windows(2)
        // Sounds and pictures are sent to a server concurrently, so their order is that of its replies.
        .filter(|pair| !matches!(pair[0].0, Section::Audio | Section::Visuals))
        .filter(|pair| pair[0].0 == pair[1].0 && pair[0].1 > pair[1].1)
        .map(|pair| {
            format!(
                "{} was added to the draft before {}: their order differs from the plan",
                pair[1].2, pair[0].2
            )
        })
        .collect()
}

/// A note about content of the draft that is not in the plan.
fn more(sent: &[Option<PlannedCall>]) -> Option<String> {
    let more: Vec<String> = sent.iter().flatten().map(PlannedCall::named).collect();
    if more.is_empty() {
        return None;
    }
    let named = more[..more.len().min(NAMED)].join("; ");
    let rest = more.len().saturating_sub(NAMED);
    let rest = if rest > 0 {
        format!("; and {rest} more")
    } else {
        String::new()
    };
    Some(format!(
        "the draft also has content that is not (or no longer) in the plan, and that stays: {named}{rest}"
    ))
}

/// The sequence numbers of these items' calls, among the draft's calls from `began` on. An item without a call is not
/// in the draft.
pub(super) async fn sequences<'a>(
    app: &App,
    draft: &DraftId,
    began: u64,
    items: impl Iterator<Item = (&'a Item, &'a ItemReport)>,
) -> Result<BTreeSet<u64>> {
    let records = standing(app.journal.records(ENGINE, draft, 0).await?);
    let mut sent: Vec<(Option<&Value>, PlannedCall)> = records
        .iter()
        .filter(|record| record.sequence >= began)
        .filter_map(|record| {
            let arguments = record.arguments.as_object()?.clone();
            let sent = PlannedCall::new(record.sequence, &record.tool, arguments)?;
            Some((record.reply.get("segment_id"), sent))
        })
        .collect();
    let row = app.journal.find_at(ENGINE, draft).await?;
    let edition = row.as_ref().map(edition).unwrap_or_default();
    let mut found = BTreeSet::new();
    for (item, row) in items {
        let wanted = PlannedCall::of_item(item, edition)?;
        // Two calls may have equal arguments: the segment in the reply, if it arrived, identifies the item's own call.
        let is_it = |(segment, sent): &(Option<&Value>, PlannedCall)| {
            let answered = row.segment_id.as_deref();
            answered.is_none_or(|id| segment.and_then(|segment| segment.as_str()) == Some(id))
                && sent.is(&wanted, false)
        };
        if let Some(place) = sent.iter().rposition(is_it) {
            found.insert(sent.remove(place).1.sequence);
        }
    }
    Ok(found)
}

/// The app that a draft is for.
fn edition(row: &DraftRow) -> Edition {
    row.edition.parse().unwrap_or_default()
}

/// The key under which the plan of a draft's last run is stored.
fn key(draft: &DraftId) -> String {
    format!("plan_{draft}")
}

/// Stores the plan of a draft, so that a later run knows which items were changed since.
pub(super) async fn remember(app: &App, draft: &DraftId, plan: &Plan) {
    let written = serde_json::to_string(plan)
        .map_err(|e| Error::internal("a plan cannot be written as JSON").source(e));
    let kept = match written {
        Ok(state) => {
            let plan = JobRecord {
                id: key(draft),
                kind: "plan".to_owned(),
                draft: Some(draft.clone()),
                state,
                finished: true,
                pid: std::process::id(),
                updated_ms: 0,
            };
            app.journal.job_put(&plan).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        tracing::warn!(draft = draft.as_str(), %error, "the plan could not be stored for a later run");
    }
}

/// The calls that the last run of the draft required, by the path of their item.
async fn asked_before(
    app: &App,
    row: &DraftRow,
    lengths: &Lengths,
) -> Result<HashMap<String, PlannedCall>> {
    let Some(kept) = app.journal.job_get(&key(&row.id)).await? else {
        return Ok(HashMap::new());
    };
    // A plan of another version may have another form: then only the journal is used.
    let Ok(plan) = serde_json::from_str::<Plan>(&kept.state) else {
        return Ok(HashMap::new());
    };
    let (items, _) = plan.items();
    let items = layout::lay_out(items, lengths, true);
    Ok(items
        .iter()
        .filter_map(|item| {
            Some((
                item.path.clone(),
                PlannedCall::of_item(item, edition(row)).ok()?,
            ))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(tool: &str, arguments: &Value) -> PlannedCall {
        PlannedCall::new(0, tool, arguments.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn calls_are_equal_if_all_their_arguments_are() {
        let one = sent(
            "add_text",
            &json!({ "draft_id": "a", "text": "Hi", "start": 0, "end": 2.0 }),
        );
        let is = |more: &Value| {
            let mut other = json!({ "draft_id": "b", "text": "Hi", "start": 0.0, "end": 2 });
            other
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            one.differences(&sent("add_text", &other), false)
        };
        assert_eq!(is(&json!({})), [""; 0]);
        // An explicit default, and another notation of a number.
        assert_eq!(
            is(&json!({ "track_name": "text_main", "rotation": 0 })),
            [""; 0]
        );
        for (key, value) in [
            ("text", json!("hi")),
            ("font_color", json!("#00FF00")),
            ("end", json!(2.001)),
            ("font_size", json!(9)),
            ("shadow_enabled", json!(true)),
            ("text_styles", json!([{ "start": 0, "end": 1 }])),
        ] {
            assert_eq!(is(&json!({ key: value })), [key], "{key}");
        }
    }

    #[test]
    fn an_end_that_follows_from_the_media_may_be_absent() {
        let clip = json!({ "video_url": "/clip", "target_start": 0 });
        let mut ended = clip.clone();
        ended["end"] = json!(4.0);
        let (open, ended) = (sent("add_video", &clip), sent("add_video", &ended));
        assert!(open.is(&ended, true) && !open.is(&ended, false));
        let mut other = clip.clone();
        other["end"] = json!(5.0);
        assert!(!ended.is(&sent("add_video", &other), true));
    }

    #[test]
    fn secrets_in_urls_are_not_shown() {
        let url = json!("https://me:pw@h/a.mp4?token=1");
        assert_eq!(value_shown("video_url", &url), "\"https://h/a.mp4\"");
        assert!(value_shown("text", &json!("x".repeat(500))).chars().count() < 100);
    }
}
