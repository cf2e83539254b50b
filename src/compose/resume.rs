//! Compares the content that earlier runs left in a draft with the plan: an item counts as present only if all its
//! arguments are equal. An item that was changed since becomes operations on its clip, or is removed and added again.
//!
//! The journal has the calls that were sent. The document only shows whether their results are still present: it does
//! not contain the arguments, and servers write it in different ways.

mod call;
mod captions;
pub(super) mod change;
mod draft;
pub(super) mod last_plan;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use capcut_draft::InspectFilter;
use serde_json::Value;

use call::PlannedCall;
use captions::CallCaptions;
use change::{CallClips, ClipKeyframe, DraftChanges, ItemChange};
use draft::MadeWith;

use super::document::{DraftSegment, DraftSegments};
use super::item::Item;
use super::known::KnownMedia;
use super::plan::Plan;
use super::report::ItemReport;
use super::section::Section;
use crate::draft::ids::DraftId;
use crate::engine::documents::document_error;
use crate::engine::{clips_of, edits_document, run_of, standing};
use crate::error::{Error, Result};
use crate::exec::App;
use crate::journal::{DraftRow, ENGINE, Record};
use crate::tools::{Caller, Object};
use crate::units::Edition;

/// At most this many calls that are not in the plan are listed.
const NAMED: usize = 5;

/// The part of the plan that is in the draft.
#[derive(Default)]
pub(super) struct ResumeState {
    /// The items that are present, by path, and the note for each.
    there: HashMap<String, &'static str>,
    /// The items whose clips are removed before they are added again, by path.
    again: HashSet<String>,
    /// The number of segments on each track that stay.
    pub counts: BTreeMap<String, usize>,
    /// What the run changes before it adds the rest.
    pub changes: DraftChanges,
    /// The runs that were undone.
    pub undone: BTreeSet<Arc<str>>,
    pub notes: Vec<String>,
}

impl ResumeState {
    /// The note for an item that is present and is not sent.
    pub(super) fn has(&self, item: &Item) -> Option<&'static str> {
        self.there.get(&item.path).copied()
    }

    /// The note for an item that replaces what an earlier run added for it.
    pub(super) fn replaces(&self, item: &Item) -> Option<&'static str> {
        let is_again = self.again.contains(&item.path);
        is_again.then_some("what an earlier run added for it was removed, and it was added again")
    }

    /// The items that are added again.
    pub(super) fn added_again<'i>(
        &self,
        items: &'i [Item],
    ) -> impl Iterator<Item = &'i Item> + use<'i, '_> {
        items.iter().filter(|item| self.again.contains(&item.path))
    }
}

/// What a run requires of the draft.
pub(super) struct ResumedPlan<'a> {
    pub plan: &'a Plan,
    /// The arguments of `create_draft`, with all defaults.
    pub create: Object,
    pub items: &'a [Item],
    pub lengths: &'a KnownMedia,
    pub caller: &'a Caller,
}

/// The differences of a draft as a whole.
#[derive(Default)]
struct Differences {
    faults: Vec<String>,
    notes: Vec<String>,
    /// The operations that bring the values of the plan, with the plan's keys.
    operations: Vec<(&'static str, Value)>,
}

/// Compares the draft with the plan. An error lists all differences, and then nothing was changed.
pub(super) async fn compare(
    app: &Arc<App>,
    row: &DraftRow,
    document: &DraftSegments,
    run: &ResumedPlan<'_>,
) -> Result<ResumeState> {
    let items = run.items;
    let records = app.journal.records(&row.origin, &row.id, 0).await?;
    let mut undone: BTreeSet<Arc<str>> = records.iter().filter_map(run_of).collect();
    let records = standing(records);
    for run in records.iter().filter_map(run_of) {
        undone.remove(&run);
    }
    let edits = HandEdits::read(app, &row.id, &records).await?;
    let created = records
        .first()
        .filter(|record| record.tool == "create_draft")
        .and_then(|record| record.arguments.as_object());
    let planned = last_plan::settings_before(app, row, run.caller, &undone).await?;
    let made = MadeWith {
        created,
        planned: planned.as_ref(),
    };
    let Differences {
        faults,
        notes,
        operations,
    } = draft::compare(row, document, run, &made)?;
    let lengths = run.lengths;
    let mut comparison = Comparison {
        row,
        document,
        edits,
        overwrite: run.plan.replaces_edits(),
        sent: sent(&records, row.origin == ENGINE),
        asked: last_plan::asked_before(app, row, edition(row), lengths, &undone).await?,
        faults,
        state: ResumeState {
            undone,
            notes,
            changes: DraftChanges {
                draft: operations,
                items: Vec::new(),
            },
            ..ResumeState::default()
        },
        order: Vec::new(),
        keyframes: Vec::new(),
    };
    let edition = edition(row);
    let wanted = items.iter().map(|item| PlannedCall::of_item(item, edition));
    let wanted: Vec<PlannedCall> = wanted.collect::<Result<_>>()?;
    let mut others = Vec::new();
    for (item, wanted) in items.iter().zip(&wanted) {
        let found = comparison.take(|sent| sent.is(wanted, item.open_end));
        match found {
            Some(found) => comparison.unchanged(app, run.caller, item, found).await,
            None => others.push((item, wanted)),
        }
    }
    for (item, wanted) in others {
        comparison.changed(item, wanted);
    }
    comparison.add_keyframes_again();
    comparison.finish()
}

/// The calls that were sent, with the arguments that their clips have now.
fn sent(records: &[Record], is_here: bool) -> Vec<Option<PlannedCall>> {
    let calls = records.iter().filter_map(|record| {
        let arguments = record.arguments.as_object()?.clone();
        let mut call = PlannedCall::new(record.sequence, &record.tool, arguments)?;
        call.is_of_run = run_of(record).is_some();
        let clip = record.reply.get("segment_id").and_then(Value::as_str);
        call.clip = clip.filter(|_| is_here).map(str::to_owned);
        call.count = record.reply.get("count").and_then(Value::as_u64);
        Some(Some(call))
    });
    let mut sent: Vec<Option<PlannedCall>> = calls.collect();
    // Earlier runs changed the clips of these calls, or removed them.
    let changed = records.iter().filter_map(|record| {
        let calls = change::changed_calls(&record.arguments)?;
        Some(calls.into_iter().map(|call| (record.sequence, call)))
    });
    for (last_run, (sequence, arguments)) in changed.flatten() {
        let is_it = |call: &&mut Option<PlannedCall>| {
            call.as_ref().is_some_and(|call| call.sequence == sequence)
        };
        let Some(place) = sent.iter_mut().find(is_it) else {
            continue;
        };
        *place = place.take().and_then(|call| {
            Some(PlannedCall {
                clip: call.clip,
                count: call.count,
                is_of_run: true,
                last_run,
                ..PlannedCall::new(sequence, &call.tool, arguments?)?
            })
        });
    }
    sent
}

/// The edits of a draft that no run made.
#[derive(Default)]
struct HandEdits {
    any: bool,
    /// The clips that they changed, by full id, each with the sequence number of the last edit.
    touched: HashMap<String, u64>,
    /// The clips whose keyframes they changed.
    animated: HashMap<String, u64>,
}

impl HandEdits {
    async fn read(app: &App, draft: &DraftId, records: &[Record]) -> Result<Self> {
        let is_by_hand = |record: &&Record| {
            edits_document(record)
                && Section::of_tool(&record.tool).is_none()
                && change::changed_calls(&record.arguments).is_none()
        };
        let edits: Vec<&Record> = records.iter().filter(is_by_hand).collect();
        let mut read = Self::default();
        if edits.is_empty() {
            return Ok(read);
        }
        read.any = true;
        let rows = app.engine.inspect(draft, |document| {
            document.inspect(&InspectFilter::default())
        });
        let rows = rows.await?.map_err(document_error)?;
        let clips = rows.into_iter().flat_map(|track| track.clips);
        let full_ids: HashMap<String, String> = clips.map(|clip| (clip.id, clip.full_id)).collect();
        for edit in edits {
            let operations = edit.arguments["operations"].as_array();
            let animates = operations.into_iter().flatten().any(|operation| {
                let name = operation["op"].as_str().unwrap_or_default();
                name.ends_with("_keyframes")
            });
            for clip in clips_of(edit) {
                let Some(full) = full_ids.get(&clip) else {
                    continue;
                };
                read.touched.insert(full.clone(), edit.sequence);
                if animates {
                    read.animated.insert(full.clone(), edit.sequence);
                }
            }
        }
        Ok(read)
    }

    /// Whether a clip was edited after a call.
    fn has_touched(&self, clip: &str, since: u64) -> bool {
        self.touched.get(clip).is_some_and(|last| *last > since)
    }
}

/// A comparison of a draft with the items of a plan.
struct Comparison<'a> {
    row: &'a DraftRow,
    document: &'a DraftSegments,
    edits: HandEdits,
    /// What was edited by hand gets the values of the plan.
    overwrite: bool,
    /// The calls that belong to no item yet.
    sent: Vec<Option<PlannedCall>>,
    /// The calls that the last run required, by the path of their item.
    asked: HashMap<String, PlannedCall>,
    faults: Vec<String>,
    state: ResumeState,
    /// The items that are present, each with its section and the sequence number of its call.
    order: Vec<(Section, u64, &'a str)>,
    /// Keyframes that are present, with their calls.
    keyframes: Vec<(&'a Item, PlannedCall)>,
}

impl<'a> Comparison<'a> {
    /// Takes the call that fits; one whose clip is in the draft is preferred.
    fn take(&mut self, fits: impl Fn(&PlannedCall) -> bool) -> Option<PlannedCall> {
        let is_there = |call: &PlannedCall| {
            let clip = call.clip.as_deref();
            clip.is_none_or(|clip| self.document.has(clip))
        };
        let mut first = None;
        for (index, call) in self.sent.iter().enumerate() {
            let Some(call) = call.as_ref().filter(|call| fits(call)) else {
                continue;
            };
            first = first.or(Some(index));
            if is_there(call) {
                first = Some(index);
                break;
            }
        }
        self.sent[first?].take()
    }

    /// The captions that a call added.
    fn captions(&self, item: &Item, call: &PlannedCall) -> CallCaptions<'a> {
        if self.row.origin == ENGINE {
            CallCaptions::of(&self.row.id, call, self.document)
        } else {
            CallCaptions::on_tracks(item, self.document)
        }
    }

    /// What a call of the engine left in the draft.
    fn clips<'c>(&self, item: &Item, call: &'c PlannedCall) -> CallClips<'c>
    where
        'a: 'c,
    {
        if self.row.origin != ENGINE {
            return CallClips::Clips(Vec::new());
        }
        match item.section {
            Section::Subtitles => {
                let captions = self.captions(item, call).clips.into_iter();
                CallClips::Clips(captions.map(|clip| clip.id.as_str()).collect())
            }
            Section::Keyframes => CallClips::Keyframes(self.clip_keyframes(call)),
            _ => {
                let clip = call.clip.as_deref();
                let clip = clip.filter(|clip| self.document.has(clip));
                CallClips::Clips(clip.into_iter().collect())
            }
        }
    }

    fn clip_keyframes<'c>(&self, call: &'c PlannedCall) -> Vec<ClipKeyframe<'c>>
    where
        'a: 'c,
    {
        let document = self.document;
        let keyframes = call.keyframes().into_iter();
        let on_clips = keyframes.flat_map(|(property, time)| {
            let clips = document.animated_at(call.track(), time);
            clips.map(move |clip| ClipKeyframe {
                clip,
                property,
                time,
            })
        });
        on_clips.collect()
    }

    /// An item with a call that has the same arguments.
    async fn unchanged(&mut self, app: &App, caller: &Caller, item: &'a Item, found: PlannedCall) {
        // An item that was acknowledged but is no longer in the draft is sent again, unless it was removed by hand.
        let is_there = match (&found.clip, item.section) {
            (Some(_), Section::Subtitles) => !self.captions(item, &found).clips.is_empty(),
            (Some(clip), _) if self.edits.any => self.document.has(clip),
            _ => self.document.holds(item),
        };
        if self.edits.any && !is_there && !self.overwrite {
            self.faults.push(removed(item));
        }
        if !is_there {
            return;
        }
        self.order.push((item.section, found.sequence, &item.path));
        if item.section == Section::Subtitles {
            let captions = self.captions(item, &found);
            let is_edited = |clip: &DraftSegment| self.edits.has_touched(&clip.id, found.last_run);
            let difference = captions.difference(app, caller, item, is_edited).await;
            match difference {
                Ok(Some(said)) => return self.replace(item, &found, vec![said]),
                Ok(None) => {}
                Err(error) => self.state.notes.push(format!(
                    "{}.srt cannot be read, so its captions were not compared with those in the draft: {}",
                    item.plan_path(),
                    error.message
                )),
            }
        }
        self.is_there(item, "was already in the draft");
        if item.section == Section::Keyframes {
            self.keyframes.push((item, found));
        }
    }

    fn is_there(&mut self, item: &Item, note: &'static str) {
        self.state.there.insert(item.path.clone(), note);
    }

    /// An item without such a call: another version of a call, or new.
    fn changed(&mut self, item: &'a Item, wanted: &PlannedCall) {
        let before = self.asked.get(&item.path).cloned();
        let is_before =
            |sent: &PlannedCall| before.as_ref().is_some_and(|before| before.is(sent, true));
        let is_version = |sent: &PlannedCall| {
            sent.place() == wanted.place()
                || (sent.section == wanted.section
                    && sent.content.is_some()
                    && sent.content == wanted.content)
        };
        let was = self.take(is_before).or_else(|| self.take(is_version));
        let Some(was) = was else {
            if self.document.holds(item) {
                self.position_is_taken(item, wanted, before.as_ref());
            }
            return;
        };
        let own = self.clips(item, &was);
        let change = ItemChange::of(item, &was, wanted, &own);
        let is_there = was.clip.is_none() || !own.is_empty();
        // What was added by hand is not changed, even at the item's position.
        let is_planned = was.is_of_run || self.asked.values().any(|asked| asked.is(&was, true));
        if !is_planned {
            self.faults.extend(change.said);
        } else if !is_there {
            if !self.overwrite {
                self.faults.push(removed(item));
            }
        } else if change.adds_again() {
            let said = change.said;
            self.replace(item, &was, said);
        } else {
            self.refuse_edited(item, &was, &change.said);
            self.is_there(item, "its clip in the draft was changed");
            self.state.changes.items.push(change);
        }
    }

    /// Removes what a call added, so that the item is added again.
    fn replace(&mut self, item: &'a Item, was: &PlannedCall, said: Vec<String>) {
        let own = self.clips(item, was);
        if own.is_empty() && self.row.origin == ENGINE {
            // The journal does not know its clip.
            self.faults.extend(said);
            return;
        }
        self.refuse_edited(item, was, &said);
        self.state.again.insert(item.path.clone());
        let change = ItemChange::again(item, was, said, &own);
        self.state.changes.items.push(change);
    }

    /// A fault for each difference of an item whose clips were edited by hand after its call.
    fn refuse_edited(&mut self, item: &Item, was: &PlannedCall, said: &[String]) {
        let since = was.last_run;
        let is_edited = match self.clips(item, was) {
            CallClips::Clips(clips) => {
                let captions = |item| self.captions(item, was).removed;
                let is_captions = item.section == Section::Subtitles;
                clips.iter().any(|clip| self.edits.has_touched(clip, since))
                    || (is_captions && captions(item).is_some_and(|removed| removed > 0))
            }
            CallClips::Keyframes(keyframes) => keyframes.iter().any(|keyframe| {
                let last = self.edits.animated.get(keyframe.clip);
                last.is_some_and(|last| *last > since)
            }),
        };
        if is_edited && !self.overwrite {
            let edited = |said: &String| format!("{said}; its clip was edited by hand since");
            self.faults.extend(said.iter().map(edited));
        }
    }

    fn position_is_taken(
        &mut self,
        item: &Item,
        wanted: &PlannedCall,
        before: Option<&PlannedCall>,
    ) {
        // Its call may have been applied although its reply was lost: then the segment is the requested one.
        if before.is_some_and(|before| before.is(wanted, item.open_end)) {
            self.is_there(
                item,
                "was already in the draft; the reply to its call was lost, so only its position was compared",
            );
        } else {
            self.faults.push(format!(
                "{}: the draft has another segment at its position ({}), which cannot be compared with it",
                item.plan_path(),
                wanted.named()
            ));
        }
    }

    /// Adds keyframes of the plan again if their clips change: each belongs to a time, not to a clip.
    fn add_keyframes_again(&mut self) {
        let moved = |changes: &[ItemChange]| -> BTreeSet<String> {
            let clips = changes.iter().flat_map(ItemChange::moves_keyframes);
            clips.map(str::to_owned).collect()
        };
        let moved = moved(&self.state.changes.items);
        let is_on_moved = |keyframes: &[ClipKeyframe<'_>]| {
            keyframes
                .iter()
                .any(|keyframe| moved.contains(keyframe.clip))
        };
        for (item, found) in std::mem::take(&mut self.keyframes) {
            let keyframes = self.clip_keyframes(&found);
            if !is_on_moved(&keyframes) {
                continue;
            }
            self.state.there.remove(&item.path);
            self.state.again.insert(item.path.clone());
            let own = CallClips::Keyframes(keyframes);
            let change = ItemChange::again(item, &found, Vec::new(), &own);
            self.state.changes.items.push(change);
        }
        if self.overwrite {
            return;
        }
        for call in self.sent.iter().flatten() {
            if call.section != Section::Keyframes {
                continue;
            }
            let removes = |clip: &str| {
                let mut removed = self
                    .state
                    .changes
                    .items
                    .iter()
                    .flat_map(ItemChange::removes);
                removed.any(|removed| removed == clip)
            };
            let keyframes = self.clip_keyframes(call);
            if keyframes.iter().any(|keyframe| removes(keyframe.clip)) {
                self.faults.push(format!(
                    "{} is not in the plan, and is on a clip that would be removed and added again",
                    call.named()
                ));
            }
        }
    }

    fn finish(mut self) -> Result<ResumeState> {
        if !self.faults.is_empty() {
            let mut seen = BTreeSet::new();
            self.faults.retain(|fault| seen.insert(fault.clone()));
            return Err(Error::conflict(format!(
                "draft {} differs from the plan, and nothing was changed:\n{}",
                self.row.id,
                self.faults.join("\n")
            ))
            .hint("for what was edited by hand, `overwrite` takes the values of the plan; otherwise use the values of the draft in the plan, change the draft with `edit_draft`, or run the plan without `resume` for a new draft"));
        }
        let mut state = self.state;
        state.notes.extend(reordered(&self.order));
        let is_there = |call: &&PlannedCall| {
            let clip = call.clip.as_deref();
            clip.is_none_or(|clip| self.document.has(clip))
        };
        state
            .notes
            .extend(more(self.sent.iter().flatten().filter(is_there)));
        let removed = state
            .changes
            .items
            .iter()
            .flat_map(ItemChange::removes)
            .collect();
        state.counts = self.document.counts_without(&removed);
        Ok(state)
    }
}

fn removed(item: &Item) -> String {
    format!(
        "{}: the draft no longer has its clip, which was removed by hand, but the plan has it",
        item.plan_path()
    )
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
fn more<'c>(sent: impl Iterator<Item = &'c PlannedCall>) -> Option<String> {
    let more: Vec<String> = sent.map(PlannedCall::named).collect();
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
