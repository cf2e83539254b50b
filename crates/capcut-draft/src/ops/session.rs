//! One operation at work: what it touched, and the rules that apply to the timeline afterwards.

use std::collections::{HashMap, HashSet};

use crate::document::{ClipRef, Document, RootRef, TrackRef};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind, Result};
use crate::field::{clip, material, root, track};
use crate::grid::{Grid, Seconds, TimeRange};
use crate::kinds::ClipKind;
use crate::resource::Resources;

/// An edit with what operations need to know about it.
pub(crate) struct Session<'d> {
    pub edit: Edit<'d>,
    pub resources: &'d dyn Resources,
    pub grid: Grid,
    pub changes: Vec<String>,
    pub notes: Vec<String>,
    /// The clips of the tracks on which something moved, as they were before, by the number of the track.
    tracks: HashMap<u32, Vec<PlacedClip>>,
    /// The numbers of the clips that the operation changed, in order, and as a set.
    clips: Vec<u32>,
    known_clips: HashSet<u32>,
    /// Clips whose transition the operation made longer.
    pub longer_transitions: Vec<ClipRef>,
    /// The end of the last clip before the operation.
    end_before: i64,
}

/// A clip with its place on its track. They are sorted by start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PlacedClip {
    start: i64,
    end: i64,
    number: u32,
    clip: ClipRef,
}

/// What decides how long the transition after a clip can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Neighbours {
    number: u32,
    clip: ClipRef,
    length: i64,
    /// Number and length of the clip that follows directly.
    next: Option<(u32, i64)>,
}

impl<'d> Session<'d> {
    pub(crate) fn new(edit: Edit<'d>, resources: &'d dyn Resources) -> Self {
        let grid = edit.grid();
        Self {
            end_before: edit.end(),
            edit,
            resources,
            grid,
            changes: Vec::new(),
            notes: Vec::new(),
            tracks: HashMap::new(),
            clips: Vec::new(),
            known_clips: HashSet::new(),
            longer_transitions: Vec::new(),
        }
    }

    /// Starts the next operation.
    pub(crate) fn begin(&mut self) {
        self.end_before = self.edit.end();
        self.grid = self.edit.grid();
        self.tracks.clear();
        self.clips.clear();
        self.known_clips.clear();
        self.longer_transitions.clear();
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
        self.report_clip(clip);
        Ok(())
    }

    /// Notes that an operation changes a clip.
    pub(crate) fn report_clip(&mut self, clip: ClipRef) {
        let number = self.edit.elements[clip.0 as usize].number;
        if self.known_clips.insert(number) {
            self.clips.push(number);
        }
    }

    /// The short ids of the clips that the operation changed.
    pub(crate) fn changed_clips(&self) -> Vec<String> {
        let ids = self.clips.iter().map(|number| format!("c{number}"));
        ids.collect()
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
            let before = placed_clips(&self.edit, track);
            self.tracks.insert(number, before);
        }
    }

    /// Sets when a clip is shown, in microseconds on frames, and keeps the track's clips sorted by start.
    pub(crate) fn set_target(&mut self, clip: ClipRef, target: TimeRange) -> Result<()> {
        self.edit.check_times(clip)?;
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
        let mut linked = self.edit.members_of(&group);
        linked.retain(|other| *other != own);
        linked
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
            self.edit.check_times(clip)?;
            let (start, end) = self.frames(clip);
            let target = self.range_of_frames(at, at + end - start);
            at += end - start;
            let old = self.edit.target(clip);
            // A rounding of a microsecond is not a move.
            if (old.start - target.start).abs() > 2 || (old.end() - target.end()).abs() > 2 {
                self.report_clip(clip);
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
        for track in self.edit.tracks() {
            let number = self.edit.elements[track.0 as usize].number;
            let Some(before) = self.tracks.remove(&number) else {
                continue;
            };
            let now = placed_clips(&self.edit, track);
            if now == before {
                continue;
            }
            let known = overlaps_of(&before);
            let overlaps = overlaps_of(&now);
            if let Some((first, second)) = overlaps.iter().find(|pair| !known.contains(pair)) {
                return Err(self.conflict(track, *first, *second));
            }
            self.check_transitions(&neighbours(&before), &neighbours(&now))?;
        }
        for clip in std::mem::take(&mut self.longer_transitions) {
            let track = self.edit.track_of(clip);
            let all = neighbours(&placed_clips(&self.edit, track));
            if let Some(own) = all.iter().find(|own| own.clip == clip) {
                self.fit_transition(own)?;
            }
        }
        self.set_duration()
    }

    /// Removes transitions to clips that no longer follow, and shortens those that are longer than their clips. Clips
    /// that are as they were keep theirs.
    fn check_transitions(&mut self, before: &[Neighbours], now: &[Neighbours]) -> Result<()> {
        for own in now {
            let old = before.binary_search_by_key(&own.number, |old| old.number);
            let old = old.ok().map(|old| before[old]);
            if old.is_some_and(|old| old.next.is_some()) && own.next.is_none() {
                self.drop_transition(own.clip)?;
            } else if old.map(|old| (old.length, old.next)) != Some((own.length, own.next)) {
                self.fit_transition(own)?;
            }
        }
        Ok(())
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

    fn drop_transition(&mut self, left: ClipRef) -> Result<()> {
        let ids: Vec<String> = self
            .edit
            .companions(left, &["transitions"])
            .map(|transition| self.edit.id(transition).into_owned())
            .collect();
        for id in ids {
            self.edit.drop_ref(left, &id)?;
            self.report_clip(left);
            let id = self.edit.short_id(left);
            self.changed(format!(
                "the transition after {id} is removed, as no clip follows it directly"
            ));
        }
        Ok(())
    }

    /// Shortens a transition that is longer than one of its clips.
    fn fit_transition(&mut self, own: &Neighbours) -> Result<()> {
        let Some(transition) = self.edit.companion(own.clip, &["transitions"]) else {
            return Ok(());
        };
        let length = self.edit.value(transition, &material::DURATION);
        let longest = own
            .next
            .map_or(own.length, |(_, next)| next.min(own.length));
        if length > longest {
            let transition = self.edit.own_copy(own.clip, transition)?;
            let longest = self.grid.floor(longest).max(0);
            self.edit.set(transition, &["duration"], &longest)?;
            self.report_clip(own.clip);
            let id = self.edit.short_id(own.clip);
            self.changed(format!(
                "the transition after {id} is shortened to {}",
                Seconds(longest)
            ));
        }
        Ok(())
    }

    /// The length of the draft follows its last clip, where it did before.
    fn set_duration(&mut self) -> Result<()> {
        let now = self.edit.end();
        if self
            .edit
            .usable_number(RootRef, root::DURATION.path)
            .is_err()
        {
            return Ok(());
        }
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

/// The clips of a track by start.
fn placed_clips(document: &Document, track: TrackRef) -> Vec<PlacedClip> {
    let mut clips: Vec<PlacedClip> = document
        .clips(track)
        .map(|clip| {
            let target = document.target(clip);
            PlacedClip {
                start: target.start,
                end: target.end(),
                number: document.elements[clip.0 as usize].number,
                clip,
            }
        })
        .collect();
    clips.sort_unstable();
    clips
}

/// The pairs of clips of a track that overlap, by number.
pub(crate) fn overlaps(document: &Document, track: TrackRef) -> HashSet<(u32, u32)> {
    overlaps_of(&placed_clips(document, track))
}

fn overlaps_of(clips: &[PlacedClip]) -> HashSet<(u32, u32)> {
    let mut pairs = HashSet::new();
    let mut open: Vec<&PlacedClip> = Vec::new();
    for clip in clips {
        open.retain(|earlier| earlier.end > clip.start);
        pairs.extend(open.iter().map(|earlier| {
            let (first, second) = (earlier.number, clip.number);
            (first.min(second), first.max(second))
        }));
        if clip.end > clip.start {
            open.push(clip);
        }
    }
    pairs
}

/// The neighbours of clips, sorted by number.
fn neighbours(clips: &[PlacedClip]) -> Vec<Neighbours> {
    let mut all: Vec<Neighbours> = clips
        .iter()
        .zip(clips.iter().skip(1).map(Some).chain([None]))
        .map(|(own, next)| Neighbours {
            number: own.number,
            clip: own.clip,
            length: own.end - own.start,
            next: next
                .filter(|next| (next.start - own.end).abs() <= 2)
                .map(|next| (next.number, next.end - next.start)),
        })
        .collect();
    all.sort_unstable();
    all
}
