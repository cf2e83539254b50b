//! Compares the content that earlier runs left in a draft with the plan: an item counts as present only if all its
//! arguments are equal. An item that was changed since becomes operations on its clip.
//!
//! The journal has the calls that were sent. The document only shows whether their results are still present: it does
//! not contain the arguments, and servers write it in different ways.

mod call;
pub(super) mod change;
pub(super) mod last_plan;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use capcut_draft::InspectFilter;
use serde_json::{Value, json};

use call::{PlannedCall, value_shown};
use change::ItemChange;

use super::document::DraftSegments;
use super::item::Item;
use super::layout::Lengths;
use super::plan::Plan;
use super::report::ItemReport;
use super::section::Section;
use crate::draft::ids::DraftId;
use crate::engine::documents::document_error;
use crate::engine::{clips_of, edits_document, run_of, standing, subtitle};
use crate::error::{Error, Result};
use crate::exec::App;
use crate::journal::{DraftRow, ENGINE, Record};
use crate::tools::{Caller, Object};
use crate::units::{Edition, Micros};

/// At most this many calls that are not in the plan are listed.
const NAMED: usize = 5;

/// The part of the plan that is in the draft.
#[derive(Default)]
pub(super) struct ResumeState {
    /// The items that are present, by path, and the note for each.
    there: HashMap<String, &'static str>,
    /// The number of segments on each track.
    pub counts: BTreeMap<String, usize>,
    /// What the run changes before it adds the rest.
    pub changes: Vec<ItemChange>,
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

/// Compares the draft with the plan. An error lists all differences, and then nothing was changed.
pub(super) async fn compare(
    app: &Arc<App>,
    row: &DraftRow,
    document: &DraftSegments,
    run: &ResumedPlan<'_>,
) -> Result<ResumeState> {
    let items = run.items;
    let records = standing(app.journal.records(&row.origin, &row.id, 0).await?);
    let is_by_hand = |record: &&Record| {
        edits_document(record)
            && Section::of_tool(&record.tool).is_none()
            && change::changed_calls(&record.arguments).is_none()
    };
    let edits: Vec<&Record> = records.iter().filter(is_by_hand).collect();
    let by_hand = !edits.is_empty();
    let touched = touched(app, &row.id, &edits).await?;
    let overwrite = run.plan.replaces_edits();
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
            let mut call = PlannedCall::new(record.sequence, &record.tool, arguments)?;
            let clip = record.reply.get("segment_id").and_then(Value::as_str);
            call.is_of_run = run_of(record).is_some();
            call.clip = clip.filter(|_| row.origin == ENGINE).map(str::to_owned);
            Some(call)
        })
        .map(Some)
        .collect();
    // Earlier runs changed the clips of these calls.
    let changed = records.iter().filter_map(|record| {
        let calls = change::changed_calls(&record.arguments)?;
        Some(calls.into_iter().map(|call| (record.sequence, call)))
    });
    for (last_run, (sequence, arguments)) in changed.flatten() {
        let mut calls = sent.iter_mut().flatten();
        if let Some(call) = calls.find(|call| call.sequence == sequence)
            && let Some(changed) = PlannedCall::new(sequence, &call.tool, arguments)
        {
            *call = PlannedCall {
                clip: call.clip.take(),
                is_of_run: true,
                last_run,
                ..changed
            };
        }
    }
    let asked = last_plan::asked_before(app, row, edition(row), run.lengths).await?;
    let edition = edition(row);
    let wanted = items.iter().map(|item| PlannedCall::of_item(item, edition));
    let wanted: Vec<PlannedCall> = wanted.collect::<Result<_>>()?;

    let mut there = HashMap::new();
    let mut changes: Vec<ItemChange> = Vec::new();
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
        // An item that was acknowledged but is no longer in the draft is sent again, unless it was removed by hand.
        let is_there = match &found.clip {
            Some(clip) if by_hand => document.has(clip),
            _ => document.holds(item),
        };
        if by_hand && !is_there && !overwrite {
            faults.push(removed(item));
        }
        if is_there {
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
            let is_there = changed.clip.as_ref().is_none_or(|clip| document.has(clip));
            // What was added by hand is not changed, even at the item's position.
            let is_planned =
                changed.is_of_run || asked.values().any(|asked| asked.is(&changed, true));
            let is_edited = changed.clip.as_ref().is_some_and(|clip| {
                let last = touched.get(clip);
                last.is_some_and(|last| *last > changed.last_run)
            });
            match ItemChange::of(item, &changed, wanted) {
                Err(found) => faults.extend(found),
                Ok(change) if !is_planned => faults.extend(change.said().map(str::to_owned)),
                Ok(_) if !is_there && overwrite => {}
                Ok(_) if !is_there => faults.push(removed(item)),
                Ok(change) => {
                    if is_edited && !overwrite {
                        let said = change.said();
                        faults.extend(
                            said.map(|said| format!("{said}; its clip was edited by hand since")),
                        );
                    }
                    there.insert(item.path.clone(), "its clip in the draft was changed");
                    changes.push(change);
                }
            }
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
        .hint("for what was edited by hand, `overwrite` takes the values of the plan; otherwise use the values of the draft in the plan, change the draft with `edit_draft`, or run the plan without `resume` for a new draft"));
    }
    notes.extend(reordered(&order));
    notes.extend(more(&sent));
    Ok(ResumeState {
        there,
        counts: document.counts(),
        changes,
        notes,
    })
}

/// The clips that were edited by hand, by their full id, each with the sequence number of the last edit.
async fn touched(app: &App, draft: &DraftId, edits: &[&Record]) -> Result<HashMap<String, u64>> {
    if edits.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = app.engine.inspect(draft, |document| {
        document.inspect(&InspectFilter::default())
    });
    let rows = rows.await?.map_err(document_error)?;
    let clips = rows.into_iter().flat_map(|track| track.clips);
    let full_ids: HashMap<String, String> = clips.map(|clip| (clip.id, clip.full_id)).collect();
    let mut touched = HashMap::new();
    for edit in edits {
        for clip in clips_of(edit) {
            if let Some(full) = full_ids.get(&clip) {
                touched.insert(full.clone(), edit.sequence);
            }
        }
    }
    Ok(touched)
}

fn removed(item: &Item) -> String {
    format!(
        "{}: the draft no longer has its clip, which was removed by hand, but the plan has it",
        item.plan_path()
    )
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
