//! What a server's draft contains according to the journal, and whether a document of the draft contains it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use capcut_draft::Settings;

use super::Failure;
use super::recorded::{again, manner};
use crate::caller::{Caller, Manner};
use crate::draft::evidence::{
    Contents, Evidence, EvidenceMatch, ExpectedSegments, KeyframeTimes, Leaves,
};
use crate::draft::ids::DraftId;
use crate::error::{Error, Result};
use crate::journal::Record;
use crate::sorting;
use crate::tool::{BeyondApi, Request};
use crate::tools::Object;
use crate::units::Micros;

/// How many missing calls one error names.
const NAMED: usize = 10;
/// How many drafts have their accounts kept in memory.
const REMEMBERED: usize = 64;

/// What a draft's calls ask for and the API does not have.
#[derive(Clone, Default)]
pub(crate) struct ExpectedBeyondApi {
    pub draft: Settings,
    /// Properties, by the clips of their calls.
    pub clips: Vec<(Evidence, Object)>,
}

/// What a draft's acknowledged calls left in it, up to the last journal record that was read.
#[derive(Default)]
pub(crate) struct ExpectedDraft {
    /// The sequence number of the first record that has not been read yet.
    pub(super) next: u64,
    /// In the order of the calls.
    placements: Vec<ExpectedSegments>,
    times: HashMap<Evidence, usize>,
    /// With the dialect of the call: in the API's dialect, servers accept keyframes without a clip and drop them.
    keyframes: Vec<(KeyframeTimes, Manner)>,
    beyond_api: ExpectedBeyondApi,
    /// How many calls leave nothing that can be identified in a document.
    unseen: usize,
    /// The draft existed before the journal's first record of it.
    is_adopted: bool,
}

/// What a call in the journal leaves in its draft.
pub(crate) fn leaves(record: &Record) -> Option<Leaves> {
    Some(repeated(record)?.leaves())
}

fn repeated(record: &Record) -> Option<Box<dyn Request>> {
    let arguments = record.arguments.as_object()?.clone();
    again(record, arguments, &Caller::user(), true).ok()
}

impl ExpectedDraft {
    pub(crate) fn enter(&mut self, record: &Record) {
        self.next = record.sequence + 1;
        // Not a user's call.
        if record.internal {
            return;
        }
        let request = repeated(record);
        let beyond = request.as_ref().map(|request| request.beyond_api());
        let BeyondApi { draft, clips } = beyond
            .filter(|_| manner(record) == Manner::Strict)
            .unwrap_or_default();
        if draft != Settings::default() {
            self.beyond_api.draft = draft;
        }
        match request.as_ref().map(|request| request.leaves()) {
            Some(Leaves::Segments(placement)) => {
                if !clips.is_empty() {
                    self.beyond_api
                        .clips
                        .push((placement.evidence.clone(), clips));
                }
                let times = self.times.entry(placement.evidence.clone()).or_default();
                *times += 1;
                self.placements.push(placement);
            }
            Some(Leaves::Keyframes(keyframes)) => {
                self.keyframes.push((keyframes, manner(record)));
            }
            Some(Leaves::Unseen) => self.unseen += 1,
            Some(Leaves::Nothing) => {}
            None => self.is_adopted = true,
        }
    }

    /// How many acknowledged calls leave this.
    pub(crate) fn times(&self, evidence: &Evidence) -> usize {
        self.times.get(evidence).copied().unwrap_or_default()
    }

    /// What a save adds to the saved draft.
    pub(super) fn beyond_api(&self) -> &ExpectedBeyondApi {
        &self.beyond_api
    }

    pub(super) fn has_media(&self) -> bool {
        let mut placements = self.placements.iter();
        self.next == 0 || placements.any(|placed| placed.evidence.source.is_some())
    }

    /// Whether a call takes its length from a file. Servers measure files late, and overlaps show only then.
    pub(super) fn has_open_ends(&self) -> bool {
        self.placements
            .iter()
            .any(|placed| placed.ends.contains(&None))
    }

    /// A note on the calls that cannot be compared with a document.
    pub(crate) fn not_compared(&self) -> Option<String> {
        (self.unseen > 0).then(|| {
            format!(
                "{} calls were not checked: what they add cannot be identified in the document (such as subtitles from a file)",
                self.unseen
            )
        })
    }

    /// The acknowledged calls that a document lacks.
    fn missing<'a>(&'a self, contents: &'a Contents) -> impl Iterator<Item = &'a Evidence> {
        self.times
            .iter()
            .filter(move |(evidence, times)| match contents.find(evidence) {
                EvidenceMatch::Times(found) => found < **times,
                EvidenceMatch::Part => true,
            })
            .map(|(evidence, _)| evidence)
    }

    /// The acknowledged keyframes that a saved document lacks, by the dialect of their calls.
    pub(super) fn missing_keyframes(&self, contents: &Contents) -> Vec<(String, Manner)> {
        let lacks = |(wanted, manner): &(KeyframeTimes, Manner)| {
            let (track, manner) = (wanted.track.clone(), *manner);
            let times: Vec<Micros> = contents.lacks(wanted).collect();
            times.into_iter().map(move |time| {
                let what =
                    format!("the keyframe at {time} on track {track:?} is not in the saved draft");
                (what, manner)
            })
        };
        self.keyframes.iter().flat_map(lacks).collect()
    }

    /// Whether a time on a track is inside a segment; `None` if that is not known.
    pub(crate) fn has_segment_at(&self, track: &str, time: Micros) -> Option<bool> {
        let mut unknown = self.unseen > 0 || self.is_adopted || self.next == 0;
        for placed in self.placements.iter().filter(|p| p.evidence.track == track) {
            for (&start, end) in placed.evidence.starts.iter().zip(&placed.ends) {
                match end {
                    Some(end) if start <= time && time <= *end => return Some(true),
                    None if start <= time => unknown = true,
                    _ => {}
                }
            }
        }
        (!unknown).then_some(false)
    }

    /// The known time ranges of a track's segments, in seconds.
    pub(crate) fn stretches(&self, track: &str) -> String {
        let placed = self.placements.iter().filter(|p| p.evidence.track == track);
        let mut stretches: Vec<(Micros, Micros)> = placed
            .flat_map(|placed| placed.evidence.starts.iter().copied().zip(&placed.ends))
            .filter_map(|(start, end)| Some((start, (*end)?)))
            .collect();
        stretches.sort_unstable();
        let shown = stretches.iter().take(NAMED);
        let shown: Vec<String> = shown
            .map(|(start, end)| format!("{} to {end}", start.seconds()))
            .collect();
        shown.join(", ")
    }

    /// Refuses a document of the server that lacks acknowledged segments. If another segment occupies the time
    /// range of each missing one, the server dropped them as overlaps when it measured its files. Otherwise the
    /// draft itself was lost: the server restarted and made an empty draft with the same id.
    pub(super) fn refuse_if_short(
        &self,
        base: &str,
        draft: &DraftId,
        contents: &Contents,
    ) -> Result<(), Failure> {
        let mut missing: Vec<&Evidence> = self.missing(contents).collect();
        if missing.is_empty() {
            return Ok(());
        }
        sorting::sort_by(&mut missing, |a, b| {
            (&a.track, &a.starts).cmp(&(&b.track, &b.starts))
        });
        let mut list: Vec<String> = missing
            .iter()
            .take(NAMED)
            .map(|evidence| match &evidence.source {
                Some(source) => format!("{evidence} ({})", crate::media::shown(source)),
                None => evidence.to_string(),
            })
            .collect();
        if missing.len() > NAMED {
            list.push(format!("and {} more", missing.len() - NAMED));
        }
        let list = list.join("\n- ");
        let (count, all) = (missing.len(), self.placements.len());
        if missing.iter().all(|evidence| contents.covers(evidence)) {
            let error = Error::conflict(format!(
                "{base} dropped {count} of {all} acknowledged segments of draft {draft}: after it measured the files, they \
                overlap other segments. Nothing was saved. Missing:\n- {list}"
            ));
            return Err(Failure::refused(error.hint(
                "make a new draft, and give each clip its `end`, or a `target_start` after the end of the previous clip",
            )));
        }
        let error = Error::not_found(format!(
            "draft {draft} is incomplete at {base}: the server restarted or lost the draft, and {count} of {all} \
            acknowledged segments are missing. Nothing was saved. Missing:\n- {list}"
        ));
        Err(Failure::draft_lost(error))
    }
}

/// The accounts of recently used drafts.
#[derive(Default)]
pub(super) struct ExpectedDrafts(Mutex<HashMap<DraftId, ExpectedDraft>>);

impl ExpectedDrafts {
    /// Until `put`, another call for the draft reads the journal from its start.
    pub(super) fn take(&self, draft: &DraftId) -> ExpectedDraft {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.remove(draft).unwrap_or_default()
    }

    pub(super) fn put(&self, draft: &DraftId, account: ExpectedDraft) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= REMEMBERED {
            accounts.clear();
        }
        accounts.insert(draft.clone(), account);
    }
}
