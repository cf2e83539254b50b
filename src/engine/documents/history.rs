//! The steps of a draft, undo and redo. Both add records, so nothing is lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::args::Call;
use crate::caller::CalledBy;
use crate::draft::ids::DraftId;
use crate::engine::edit::{Edit, EditOutcome};
use crate::engine::{Engine, RecordedEdit, TRIES, VERSION, as_seen, changing, found, reply};
use crate::error::{Error, Result};
use crate::journal::{Appended, CallPosition, ENGINE, NewRecord, Record};

/// The steps that an undo took back or brought back, in this order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RecordedUndo {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redo: Vec<u64>,
}

/// What to undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UndoWish {
    /// The last steps.
    Steps(usize),
    /// Everything after the step with this checkpoint.
    Checkpoint(String),
    /// Brings back the last steps that were undone.
    Redo(usize),
    /// What a run of a plan did, if nothing was changed after it.
    Run(Arc<str>),
}

/// How many calls of a run a step describes.
const DESCRIBED: usize = 5;

/// A call that changed a draft, or all calls of a run of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HistoryStep {
    /// Of its last call.
    pub sequence: u64,
    pub tool: String,
    /// What it changed, in words.
    pub changes: Vec<String>,
    pub checkpoint: Option<String>,
    pub at_ms: i64,
    /// Who made it; `None` for steps of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<CalledBy>>,
    /// Whether it was undone.
    pub is_undone: bool,
    /// How many calls it has.
    pub calls: usize,
    #[serde(skip)]
    run: Option<Arc<str>>,
}

/// How to come to a step of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepDistance {
    Undo(usize),
    Redo(usize),
}

/// What an undo did.
#[derive(Debug)]
pub(crate) struct Undone {
    /// The steps in the order in which they were taken or brought back.
    pub steps: Vec<HistoryStep>,
    /// How many steps can still be undone.
    pub left: usize,
    /// How many steps can be brought back.
    pub redoable: usize,
}

/// The calls that changed a draft, and which of them stand.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// In their order.
    calls: Vec<HistoryStep>,
    /// Calls that stand, the oldest first.
    done: Vec<u64>,
    /// Calls that were undone and can be brought back, the last one to be brought back first.
    undone: Vec<u64>,
}

/// The steps that are undone.
pub(in crate::engine) fn undone(founds: &[RecordedEdit]) -> BTreeSet<u64> {
    let mut gone = BTreeSet::new();
    for undo in founds.iter().filter_map(|found| found.undo.as_ref()) {
        gone.extend(&undo.undo);
        for sequence in &undo.redo {
            gone.remove(sequence);
        }
    }
    gone
}

/// The name of a draft by its renames that stand; `None` if it was never renamed.
fn name_of(founds: &[RecordedEdit]) -> Option<String> {
    let gone = undone(founds);
    let renames = (0..).zip(founds).filter_map(|(sequence, found)| {
        let names = found.step.as_ref()?.renamed.as_ref()?;
        Some((gone.contains(&sequence), names))
    });
    let mut name = None;
    for (is_undone, (before, after)) in renames {
        let first = name.unwrap_or(before);
        name = Some(if is_undone { first } else { after });
    }
    name.cloned()
}

impl History {
    fn of(records: &[Record], founds: &[RecordedEdit]) -> Self {
        let mut history = Self::default();
        for (record, found) in records.iter().zip(founds).skip(1) {
            if let Some(undo) = &found.undo {
                history.apply(undo);
                continue;
            }
            if let Some(Edit::TakeBack(calls)) = &found.edit {
                history.done.retain(|done| !calls.contains(done));
                history.calls.retain(|step| !calls.contains(&step.sequence));
            }
            if record.internal || (found.step.is_none() && found.edit.is_none()) {
                continue;
            }
            history.done.push(record.sequence);
            // What was undone before another change stays undone.
            history.undone.clear();
            let (changes, checkpoint) = match &found.step {
                Some(step) if !step.changes.is_empty() => {
                    (step.changes.clone(), step.checkpoint.clone())
                }
                Some(step) => (vec![described(record)], step.checkpoint.clone()),
                None => (vec![described(record)], None),
            };
            history.calls.push(HistoryStep {
                sequence: record.sequence,
                tool: record.tool.clone(),
                changes,
                checkpoint,
                at_ms: record.at_ms,
                by: found.by.clone(),
                is_undone: false,
                calls: 1,
                run: found.run.clone(),
            });
        }
        let gone = undone(founds);
        for step in &mut history.calls {
            step.is_undone = gone.contains(&step.sequence);
        }
        history
    }

    fn apply(&mut self, undo: &RecordedUndo) {
        for sequence in &undo.undo {
            self.done.retain(|done| done != sequence);
            self.undone.push(*sequence);
        }
        for sequence in &undo.redo {
            self.undone.retain(|undone| undone != sequence);
            self.done.push(*sequence);
        }
    }

    fn call(&self, sequence: u64) -> Option<&HistoryStep> {
        let at = self
            .calls
            .binary_search_by_key(&sequence, |call| call.sequence);
        self.calls.get(at.ok()?)
    }

    fn undone_steps(&self, steps: Vec<HistoryStep>) -> Undone {
        Undone {
            steps,
            left: self.grouped(&self.done).len(),
            redoable: self.grouped(&self.undone).len(),
        }
    }

    /// Calls that follow each other and belong to one run are one step.
    fn grouped<'s>(&self, sequences: &'s [u64]) -> Vec<&'s [u64]> {
        let run = |sequence: &u64| self.call(*sequence).and_then(|call| call.run.as_ref());
        let is_same = |a: &u64, b: &u64| run(a).is_some() && run(a) == run(b);
        sequences.chunk_by(is_same).collect()
    }

    /// The steps, in the order of the calls.
    pub(crate) fn steps(&self) -> Vec<HistoryStep> {
        let sequences: Vec<u64> = self.calls.iter().map(|call| call.sequence).collect();
        let groups = self.grouped(&sequences).into_iter();
        groups.filter_map(|group| self.step(group)).collect()
    }

    /// How many steps an undo takes back, or a redo brings back, until the step with this sequence is the last one that
    /// stands; `None` if it is that already, or stays undone because of a later change.
    pub(crate) fn distance(&self, sequence: u64) -> Option<StepDistance> {
        let at = |sequences: &[u64]| {
            let groups = self.grouped(sequences);
            let at = groups.iter().position(|group| group.contains(&sequence))?;
            Some(groups.len() - at)
        };
        if let Some(from_end) = at(&self.done) {
            return (from_end > 1).then(|| StepDistance::Undo(from_end - 1));
        }
        at(&self.undone).map(StepDistance::Redo)
    }

    /// How many steps stand.
    pub(crate) fn standing(&self) -> usize {
        self.grouped(&self.done).len()
    }

    /// Calls as one step.
    fn step(&self, sequences: &[u64]) -> Option<HistoryStep> {
        let calls: Vec<&HistoryStep> = sequences
            .iter()
            .filter_map(|sequence| self.call(*sequence))
            .collect();
        let last = calls.iter().max_by_key(|call| call.sequence)?;
        let mut step = HistoryStep::clone(last);
        if calls.len() > 1 {
            step.calls = calls.len();
            "compose_draft".clone_into(&mut step.tool);
            let described = calls.iter().flat_map(|call| &call.changes);
            step.changes = described.take(DESCRIBED).cloned().collect();
            if let Some(more) = calls.len().checked_sub(DESCRIBED).filter(|more| *more > 0) {
                step.changes
                    .push(format!("and {more} more calls of the plan"));
            }
        }
        Some(step)
    }

    /// The steps to take back and to bring back.
    fn choose(&self, id: &DraftId, wish: &UndoWish) -> Result<RecordedUndo> {
        let from_end = |calls: &[u64], count: usize| -> Vec<u64> {
            let groups = self.grouped(calls).into_iter().rev().take(count);
            groups
                .flat_map(|group| group.iter().rev().copied())
                .collect()
        };
        let steps = self.grouped(&self.done).len();
        match wish {
            UndoWish::Redo(_) if self.undone.is_empty() => Err(Error::conflict(format!(
                "nothing of draft {id} can be brought back: nothing was undone since its last change"
            ))),
            UndoWish::Redo(count) => Ok(RecordedUndo {
                redo: from_end(&self.undone, *count),
                ..RecordedUndo::default()
            }),
            UndoWish::Steps(_) if self.done.is_empty() => Err(Error::conflict(format!(
                "draft {id} has no step that can be undone"
            ))),
            UndoWish::Steps(count) if *count > steps => Err(Error::invalid(format!(
                "`steps` is {count}, but draft {id} has {steps} that can be undone"
            ))),
            UndoWish::Steps(count) => Ok(RecordedUndo {
                undo: from_end(&self.done, *count),
                ..RecordedUndo::default()
            }),
            UndoWish::Checkpoint(name) => self.choose_checkpoint(name),
            UndoWish::Run(run) => self.choose_run(id, run),
        }
    }

    fn choose_run(&self, id: &DraftId, run: &Arc<str>) -> Result<RecordedUndo> {
        let is_of_run = |sequence: &&u64| {
            let call = self.call(**sequence);
            call.is_some_and(|call| call.run.as_ref() == Some(run))
        };
        let last = self.done.iter().rev().take_while(is_of_run).copied();
        let undo: Vec<u64> = last.collect();
        if undo.len() != self.done.iter().filter(is_of_run).count() {
            return Err(Error::conflict(format!(
                "draft {id} was changed by others during the run, so the run cannot be undone"
            )));
        }
        Ok(RecordedUndo {
            undo,
            ..RecordedUndo::default()
        })
    }

    fn choose_checkpoint(&self, name: &str) -> Result<RecordedUndo> {
        let of = |sequence: &u64| self.call(*sequence);
        let named = |sequence: &u64| {
            of(sequence).is_some_and(|step| step.checkpoint.as_deref() == Some(name))
        };
        let Some(at) = self.done.iter().rposition(named) else {
            let mut known: Vec<&str> = self
                .done
                .iter()
                .filter_map(|sequence| of(sequence)?.checkpoint.as_deref())
                .collect();
            known.dedup();
            let error = Error::not_found(format!("there is no checkpoint {name:?}"));
            return Err(if known.is_empty() {
                error.hint("set one with `edit_draft` and `checkpoint`")
            } else {
                error.hint(format!("the checkpoints are {}", known.join(", ")))
            });
        };
        let later: Vec<u64> = self.done[at + 1..].iter().rev().copied().collect();
        if later.is_empty() {
            return Err(Error::conflict(format!(
                "the draft is at the checkpoint {name:?} already"
            )));
        }
        Ok(RecordedUndo {
            undo: later,
            ..RecordedUndo::default()
        })
    }
}

/// A call in short: its tool, and what it adds.
fn described(record: &Record) -> String {
    let arguments = &record.arguments;
    let what = [
        "text",
        "video_url",
        "audio_url",
        "image_url",
        "effect_type",
        "srt",
    ]
    .iter()
    .find_map(|key| arguments[*key].as_str());
    match what {
        Some(what) => {
            let line = what.lines().next().unwrap_or_default();
            let shown: String = line.chars().take(40).collect();
            format!("{} {shown:?}", record.tool)
        }
        None => record.tool.clone(),
    }
}

impl Engine {
    async fn with_founds(&self, id: &DraftId) -> Result<(Vec<Record>, Vec<RecordedEdit>)> {
        self.hold(id).await?;
        let records = self.journal.records(ENGINE, id, 0).await?;
        let founds = records
            .iter()
            .map(|record| found(id, record))
            .collect::<Result<_>>()?;
        Ok((records, founds))
    }

    /// The steps of a draft.
    pub(crate) async fn history(&self, id: &DraftId) -> Result<History> {
        let (records, founds) = self.with_founds(id).await?;
        Ok(History::of(&records, &founds))
    }

    /// Takes steps back, or brings them back.
    pub(crate) async fn undo(&self, id: &DraftId, wish: &UndoWish, call: &Call) -> Result<Undone> {
        let held = self.hold(id).await?;
        let _turn = held.turn().await;
        held.settle_folder();
        for _ in 0..TRIES {
            let (records, mut founds) = self.with_founds(id).await?;
            as_seen(call, id, founds.len() as u64)?;
            let mut history = History::of(&records, &founds);
            let chosen = history.choose(id, wish)?;
            let sequences: Vec<u64> = chosen.undo.iter().chain(&chosen.redo).copied().collect();
            let steps = history.grouped(&sequences).into_iter();
            let steps = steps.filter_map(|calls| history.step(calls)).collect();
            if sequences.is_empty() {
                return Ok(history.undone_steps(Vec::new()));
            }
            history.apply(&chosen);
            let recorded = RecordedEdit {
                undo: Some(chosen),
                by: call.caller.by.clone(),
                ..RecordedEdit::default()
            };
            let placed = reply(id, None, &EditOutcome::default());
            let record = NewRecord::of(call, Some(&recorded), &placed, VERSION)?;
            let sequence = founds.len() as u64;
            founds.push(recorded);
            let record = NewRecord {
                name: name_of(&founds),
                ..record
            };
            let state = self.folded(id, &founds).await?;
            let at = CallPosition::Sequence(sequence);
            match self.journal.append(ENGINE, id, &record, at).await {
                Ok(Appended::Done(_) | Appended::Already(_)) => {
                    self.replace(&held, state);
                    return Ok(history.undone_steps(steps));
                }
                Ok(Appended::Conflict) => {}
                Err(error) => {
                    self.drafts.forget(id);
                    return Err(error);
                }
            }
        }
        Err(changing(id))
    }
}
