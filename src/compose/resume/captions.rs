//! The captions of a subtitle file, compared with those in a draft.

use std::collections::HashSet;

use serde_json::json;

use super::call::{PlannedCall, value_shown};
use crate::compose::document::{DraftSegment, DraftSegments};
use crate::compose::item::Item;
use crate::draft::ids::{DraftId, Ids};
use crate::engine::subtitle::Cue;
use crate::error::Result;
use crate::exec::App;
use crate::tools::Caller;
use crate::tools::add_subtitle::AddSubtitle;
use crate::units::Micros;

/// The most ids that a call makes for a caption: its clip, text, bubble, effect and animation, and a track.
const IDS_PER_CAPTION: u64 = 6;
/// Tracks that a call may add before its first caption.
const FIRST_TRACKS: u64 = 4;

/// What a call has left in the draft.
pub(super) struct CallCaptions<'a> {
    pub clips: Vec<&'a DraftSegment>,
    /// How many of its captions were removed since; `None` if the draft does not show which captions are its own.
    pub removed: Option<usize>,
}

impl<'a> CallCaptions<'a> {
    /// The captions of a call of the engine: their ids follow from the draft and the call.
    pub(super) fn of(draft: &DraftId, call: &PlannedCall, document: &'a DraftSegments) -> Self {
        let count = call.count.unwrap_or(0);
        let mut ids = Ids::new(draft, call.sequence);
        let made = 0..FIRST_TRACKS + IDS_PER_CAPTION * count;
        let made: HashSet<String> = made.map(|_| ids.next_id().to_string()).collect();
        let clips = document.all().filter(|clip| made.contains(&clip.id));
        let clips: Vec<&DraftSegment> = clips.collect();
        Self {
            removed: Some((count as usize).saturating_sub(clips.len())),
            clips,
        }
    }

    /// All texts on the tracks of an item: a server does not say which of them it added for a call.
    pub(super) fn on_tracks(item: &Item, document: &'a DraftSegments) -> Self {
        Self {
            clips: document.captions_on(item.track()),
            removed: None,
        }
    }

    fn is_own(&self) -> bool {
        self.removed.is_some()
    }

    /// The first difference from the file of an item; none if edits by hand explain all differences.
    pub(super) async fn difference(
        &self,
        app: &App,
        caller: &Caller,
        item: &Item,
        is_edited: impl Fn(&DraftSegment) -> bool,
    ) -> Result<Option<String>> {
        let call = AddSubtitle::of_item(&item.arguments)?;
        if call.files().next().is_none() {
            return Ok(None);
        }
        let media = app.media.of(caller);
        let laid = call.captions(&media, caller, true).await?;
        let cues = || laid.lanes.iter().flatten();
        let missing: Vec<&Cue> = cues()
            .filter(|cue| !self.clips.iter().any(|clip| self.is_same(cue, clip)))
            .collect();
        let further = |clip: &&&DraftSegment| !cues().any(|cue| self.is_same(cue, clip));
        let further: Vec<&&DraftSegment> = if self.is_own() {
            self.clips.iter().filter(further).collect()
        } else {
            Vec::new()
        };
        let is_explained = match self.removed {
            Some(removed) => {
                further.iter().all(|clip| is_edited(clip))
                    && missing.len() <= further.len() + removed
            }
            // A server puts all captions on one track.
            None => laid.joined().into_iter().all(|(range, text)| {
                let clips = self.clips.iter();
                let mut at = clips.filter(|clip| clip.start == range.start.0);
                at.any(|clip| are_same_words(clip.text.as_deref(), &text))
            }),
        };
        if is_explained {
            return Ok(None);
        }
        let path = item.plan_path();
        let is_by_hand = |cue: &Cue| {
            let mut clips = self.clips.iter();
            clips.any(|clip| clip.start == cue.range.start.0 && is_edited(clip))
        };
        let of_file = missing.iter().find(|cue| !is_by_hand(cue));
        if let Some(cue) = of_file.or(missing.first()) {
            return Ok(Some(format!("{path}.srt: {}", self.in_words(cue))));
        }
        Ok(further.first().map(|clip| {
            format!(
                "{path}.srt: the draft has the caption {} at {}, which the file does not have",
                value_shown("", &json!(clip.text)),
                Micros(clip.start)
            )
        }))
    }

    fn is_same(&self, cue: &Cue, clip: &DraftSegment) -> bool {
        cue.range.start.0 == clip.start
            && (!self.is_own() || cue.range.end().0 == clip.end)
            && are_same_words(clip.text.as_deref(), &cue.text)
    }

    /// How the draft differs from a caption of the file.
    fn in_words(&self, cue: &Cue) -> String {
        let (number, start) = (cue.number, cue.range.start);
        let clip = self.clips.iter().find(|clip| clip.start == start.0);
        match clip {
            Some(clip) if are_same_words(clip.text.as_deref(), &cue.text) => format!(
                "caption {number} at {start} ends at {} in the file, but at {} in the draft",
                cue.range.end(),
                Micros(clip.end)
            ),
            _ => format!(
                "caption {number} at {start} is {} in the file, but {} in the draft",
                value_shown("", &json!(cue.text)),
                value_shown("", &json!(clip.and_then(|clip| clip.text.as_deref())))
            ),
        }
    }
}

fn are_same_words(one: Option<&str>, two: &str) -> bool {
    one.is_some_and(|one| one.split_whitespace().eq(two.split_whitespace()))
}
