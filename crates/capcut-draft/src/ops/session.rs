//! One operation at work: what it touched, and the rules that apply to the timeline afterwards.

use std::collections::{HashMap, HashSet};

use crate::document::{ClipRef, Document, RootRef, TrackRef};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind, Result};
use crate::field::{clip, root, track};
use crate::grid::{Grid, Seconds, TimeRange};
use crate::kinds::ClipKind;

/// An edit with what operations need to know about it.
pub(crate) struct Session<'d> {
    pub edit: Edit<'d>,
    pub grid: Grid,
    pub changes: Vec<String>,
    pub notes: Vec<String>,
    /// The tracks whose clips moved, by number, as they were before.
    tracks: HashMap<u32, TrackBefore>,
    /// The numbers of the clips that the operation changed, in order.
    pub clips: Vec<u32>,
    /// The end of the last clip before the operation.
    end_before: i64,
}

struct TrackBefore {
    overlaps: HashSet<(u32, u32)>,
    /// Clips that another one follows directly.
    followed: HashSet<u32>,
}

impl<'d> Session<'d> {
    pub(crate) fn new(edit: Edit<'d>) -> Self {
        let grid = edit.grid();
        let mut session = Self {
            end_before: 0,
            edit,
            grid,
            changes: Vec::new(),
            notes: Vec::new(),
            tracks: HashMap::new(),
            clips: Vec::new(),
        };
        session.begin();
        session
    }

    /// Starts the next operation.
    pub(crate) fn begin(&mut self) {
        self.end_before = end(&self.edit);
        self.grid = self.edit.grid();
        self.tracks.clear();
        self.clips.clear();
        self.changes.clear();
        self.notes.clear();
    }

    pub(crate) fn changed(&mut self, change: String) {
        self.changes.push(change);
    }

    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Notes that an operation changes a clip, unless its track is locked.
    pub(crate) fn touch(&mut self, clip: ClipRef) -> Result<()> {
        let track = self.edit.track_of(clip);
        if self.edit.is_locked(track) {
            let id = self.edit.short_track_id(track);
            return Err(Error::new(
                ErrorKind::Locked,
                format!("{} is on a locked track", self.edit.describe(clip)),
            )
            .hint(format!(
                "unlock it first with {{\"op\": \"track\", \"track\": \"{id}\", \"lock\": false}}"
            )));
        }
        let number = self.edit.elements[clip.0 as usize].number;
        if !self.clips.contains(&number) {
            self.clips.push(number);
        }
        Ok(())
    }

    /// As [`touch`](Self::touch), where the clip moves or changes its length.
    pub(crate) fn touch_time(&mut self, clip: ClipRef) -> Result<()> {
        self.touch(clip)?;
        self.touch_track(self.edit.track_of(clip));
        Ok(())
    }

    pub(crate) fn touch_track(&mut self, track: TrackRef) {
        let number = self.edit.elements[track.0 as usize].number;
        if !self.tracks.contains_key(&number) {
            let before = TrackBefore {
                overlaps: overlaps(&self.edit, track),
                followed: followed(&self.edit, track),
            };
            self.tracks.insert(number, before);
        }
    }

    /// Sets when a clip is shown, in microseconds on frames, and keeps the track's clips sorted by start.
    pub(crate) fn set_target(&mut self, clip: ClipRef, target: TimeRange) -> Result<()> {
        let old = self.edit.target(clip);
        if old.start != target.start {
            self.edit
                .set(clip, &["target_timerange", "start"], &target.start)?;
        }
        if old.duration != target.duration {
            self.edit
                .set(clip, &["target_timerange", "duration"], &target.duration)?;
        }
        if old.start != target.start {
            self.sort_in(clip)?;
        }
        Ok(())
    }

    /// Moves a clip to its position by time in the list of its track.
    pub(crate) fn sort_in(&mut self, clip: ClipRef) -> Result<()> {
        let track = self.edit.track_of(clip);
        let start = self.edit.target(clip).start;
        let others = self.edit.clips(track).filter(|other| *other != clip);
        let index = index_of_start(&self.edit, others, start);
        self.edit.move_clip(clip, track, index).map(drop)
    }

    /// The frames of a clip: first, and after the last.
    pub(crate) fn frames(&self, clip: ClipRef) -> (i64, i64) {
        let target = self.edit.target(clip);
        let start = self.grid.frame_of_sum(target.start);
        (start, self.grid.frame_of_sum(target.end()).max(start + 1))
    }

    pub(crate) fn range_of_frames(&self, start: i64, end: i64) -> TimeRange {
        TimeRange::between(self.grid.time(start), self.grid.time(end))
    }

    /// The clips that move with a clip: those of its group.
    pub(crate) fn linked(&self, own: ClipRef) -> Vec<ClipRef> {
        let group = self.edit.value(own, &clip::GROUP);
        if group.is_empty() {
            return Vec::new();
        }
        self.edit
            .all_clips()
            .filter(|other| *other != own && self.edit.value(*other, &clip::GROUP) == group)
            .collect()
    }

    /// Whether the app closes gaps on a track: the main track, its magnet on, and without gaps now.
    pub(crate) fn is_magnetic(&self, track: TrackRef) -> bool {
        let is_main = main_track(&self.edit) == Some(track);
        if !is_main || !self.edit.value(RootRef, &root::MAGNET) {
            return false;
        }
        let mut at = 0;
        self.edit.clips(track).len() > 0
            && self.edit.clips(track).all(|clip| {
                let target = self.edit.target(clip);
                let follows = (target.start - at).abs() <= 2;
                at = target.end();
                follows
            })
    }

    /// Lays the clips of a track one after another from time 0, in the order of its list.
    pub(crate) fn close_gaps(&mut self, track: TrackRef) -> Result<()> {
        self.touch_track(track);
        let clips: Vec<ClipRef> = self.edit.clips(track).collect();
        let mut at = 0;
        for clip in clips {
            let (start, end) = self.frames(clip);
            let target = self.range_of_frames(at, at + end - start);
            at += end - start;
            let old = self.edit.target(clip);
            // A rounding of a microsecond is not a move.
            if (old.start - target.start).abs() > 2 || (old.end() - target.end()).abs() > 2 {
                let number = self.edit.elements[clip.0 as usize].number;
                if !self.clips.contains(&number) {
                    self.clips.push(number);
                }
                if old.start != target.start {
                    self.edit
                        .set(clip, &["target_timerange", "start"], &target.start)?;
                }
                if old.duration != target.duration {
                    self.edit
                        .set(clip, &["target_timerange", "duration"], &target.duration)?;
                }
            }
        }
        Ok(())
    }

    /// Applies the rules of the timeline after an operation.
    ///
    /// # Errors
    /// `Conflict` if clips overlap that did not before.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let tracks: Vec<TrackRef> = self.edit.tracks();
        for track in tracks {
            let number = self.edit.elements[track.0 as usize].number;
            let Some(before) = self.tracks.remove(&number) else {
                continue;
            };
            let now = overlaps(&self.edit, track);
            if let Some((first, second)) = now.iter().find(|pair| !before.overlaps.contains(pair)) {
                return Err(self.conflict(track, *first, *second));
            }
            let followed = followed(&self.edit, track);
            for number in before.followed.difference(&followed) {
                self.drop_transition(track, *number)?;
            }
        }
        self.fit_transitions()?;
        self.set_duration()
    }

    fn conflict(&self, track: TrackRef, first: u32, second: u32) -> Error {
        let find = |number: u32| {
            let mut clips = self.edit.clips(track);
            clips.find(|clip| self.edit.elements[clip.0 as usize].number == number)
        };
        let (Some(first), Some(second)) = (find(first), find(second)) else {
            return Error::conflict("clips would overlap");
        };
        let overlap = self
            .edit
            .target(first)
            .end()
            .min(self.edit.target(second).end())
            - self.edit.target(second).start;
        Error::conflict(format!(
            "{} and {} would overlap by {} on track {}",
            self.edit.describe(first),
            self.edit.describe(second),
            Seconds(overlap),
            self.edit.describe_track(track),
        ))
        .hint("move or trim one of them first, use another track, or `shift` what follows")
    }

    fn drop_transition(&mut self, track: TrackRef, number: u32) -> Result<()> {
        let left = self
            .edit
            .clips(track)
            .find(|clip| self.edit.elements[clip.0 as usize].number == number);
        let Some(left) = left else { return Ok(()) };
        let ids: Vec<String> = self
            .edit
            .companions(left, &["transitions"])
            .map(|transition| self.edit.id(transition).into_owned())
            .collect();
        for id in ids {
            self.edit.drop_ref(left, &id)?;
            let id = self.edit.short_id(left);
            self.changed(format!(
                "the transition after {id} is removed, as no clip follows it directly"
            ));
        }
        Ok(())
    }

    /// Shortens transitions that are longer than one of their clips.
    fn fit_transitions(&mut self) -> Result<()> {
        let clips: Vec<ClipRef> = self.clips_by_number();
        for clip in clips {
            let transition = self.edit.companion(clip, &["transitions"]);
            let Some(transition) = transition else {
                continue;
            };
            let length = self.edit.number(transition, &["duration"]).unwrap_or(0.0) as i64;
            let own = self.edit.target(clip);
            let next = self
                .edit
                .clips(self.edit.track_of(clip))
                .map(|next| self.edit.target(next))
                .find(|next| (next.start - own.end()).abs() <= 2);
            let longest = next.map_or(own.duration, |next| next.duration.min(own.duration));
            if length > longest {
                let transition = self.edit.own_copy(clip, transition)?;
                let longest = self.grid.floor(longest).max(0);
                self.edit.set(transition, &["duration"], &longest)?;
                let id = self.edit.short_id(clip);
                self.changed(format!(
                    "the transition after {id} is shortened to {}",
                    Seconds(longest)
                ));
            }
        }
        Ok(())
    }

    /// The clips that the operation touched and that still exist.
    pub(crate) fn clips_by_number(&self) -> Vec<ClipRef> {
        if self.clips.is_empty() {
            return Vec::new();
        }
        let numbers: HashSet<u32> = self.clips.iter().copied().collect();
        self.edit
            .all_clips()
            .filter(|clip| numbers.contains(&self.edit.elements[clip.0 as usize].number))
            .collect()
    }

    /// The length of the draft follows its last clip, where it did before.
    fn set_duration(&mut self) -> Result<()> {
        let now = end(&self.edit);
        let stated = self.edit.value(RootRef, &root::DURATION);
        if now != self.end_before && (stated == self.end_before || now > stated) {
            self.edit.set(RootRef, root::DURATION.path, &now)?;
        }
        Ok(())
    }

    /// Turns the magnet of the main track off, so that the app keeps a gap there.
    pub(crate) fn keep_gaps(&mut self) -> Result<()> {
        if self.edit.value(RootRef, &root::MAGNET) {
            self.edit.set(RootRef, root::MAGNET.path, &false)?;
            self.note(
                "the main track has a gap now, so its magnet is turned off: with the magnet on, the app would close the gap"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// An error for the inside of a compound clip or another read-only clip.
    pub(crate) fn require_inside(&self, clip: ClipRef) -> Result<ClipKind> {
        let kind = self.edit.clip_kind(clip);
        match kind.read_only() {
            None => Ok(kind),
            Some(reason) => Err(Error::read_only(format!(
                "{} is {reason}",
                self.edit.describe(clip)
            ))
            .hint("it can be moved, trimmed, removed and duplicated")),
        }
    }
}

/// The lowest video track, where the app keeps the main clips.
pub(crate) fn main_track(document: &Document) -> Option<TrackRef> {
    let lowest = document
        .tracks()
        .into_iter()
        .find(|track| document.value(*track, &track::KIND) == "video");
    lowest.filter(|track| document.value(*track, &track::FLAG) == 0)
}

/// The index at which a clip with this start keeps the list sorted.
pub(crate) fn index_of_start(
    document: &Document,
    clips: impl Iterator<Item = ClipRef>,
    start: i64,
) -> usize {
    let mut index = 0;
    for (position, clip) in clips.enumerate() {
        if document.target(clip).start <= start {
            index = position + 1;
        }
    }
    index
}

/// The end of the last clip.
pub(crate) fn end(document: &Document) -> i64 {
    let ends = document.all_clips().map(|clip| document.target(clip).end());
    ends.max().unwrap_or(0)
}

/// Start, end and number of the clips of a track, by start.
fn sorted(document: &Document, track: TrackRef) -> Vec<(i64, i64, u32)> {
    let mut clips: Vec<(i64, i64, u32)> = document
        .clips(track)
        .map(|clip| {
            let target = document.target(clip);
            (
                target.start,
                target.end(),
                document.elements[clip.0 as usize].number,
            )
        })
        .collect();
    clips.sort_unstable();
    clips
}

/// The pairs of clips of a track that overlap, by number; at least one pair for each clip that begins before an
/// earlier one ends.
pub(crate) fn overlaps(document: &Document, track: TrackRef) -> HashSet<(u32, u32)> {
    let mut pairs = HashSet::new();
    let mut open: Vec<(i64, u32)> = Vec::new();
    for (start, end, number) in sorted(document, track) {
        open.retain(|(end, _)| *end > start);
        pairs.extend(
            open.iter()
                .map(|(_, other)| (*other.min(&number), *other.max(&number))),
        );
        if end > start {
            open.push((end, number));
        }
    }
    pairs
}

fn followed(document: &Document, track: TrackRef) -> HashSet<u32> {
    sorted(document, track)
        .windows(2)
        .filter(|pair| (pair[1].0 - pair[0].1).abs() <= 2)
        .map(|pair| pair[0].2)
        .collect()
}
