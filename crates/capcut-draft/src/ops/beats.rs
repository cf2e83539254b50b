//! Moves the ends of pictures and clips onto beats of music.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::document::{ClipRef, TrackRef};
use crate::error::{Error, Result};
use crate::field::track;
use crate::grid::{Seconds, TimeRange};
use crate::ops::CutOn;
use crate::ops::session::Session;

/// The least time that a picture is shown, in microseconds.
const SHORTEST: i64 = 200_000;
/// How many ends a report names.
const SHOWN: usize = 12;
/// Which beats count.
const EVERY: RangeInclusive<u32> = 1..=64;
/// How many beats are left out first.
const OFFSET: RangeInclusive<u32> = 0..=10_000;

/// A clip, with its frames before and after.
struct PlacedAgain {
    own: ClipRef,
    before: (i64, i64),
    after: (i64, i64),
}

impl PlacedAgain {
    fn moved(&self) -> i64 {
        self.after.0 - self.before.0
    }

    fn length(&self) -> i64 {
        self.after.1 - self.after.0
    }

    fn is_trimmed(&self) -> bool {
        self.length() != self.before.1 - self.before.0
    }
}

impl Session<'_> {
    /// Moves the ends of clips onto the nearest beats; what follows them directly on their track moves along.
    pub(crate) fn cut_on(&mut self, operation: &CutOn) -> Result<()> {
        let beats = self.beats_on_timeline(operation)?;
        let selected: BTreeSet<ClipRef> =
            self.edit.select_all(&operation.clip)?.into_iter().collect();
        let mut tracks: Vec<TrackRef> = Vec::new();
        for own in &selected {
            let of_clip = self.edit.track_of(*own);
            if self.edit.value(of_clip, &track::KIND) != "video" {
                return Err(Error::invalid(format!(
                    "{} is not a picture or clip on a video track",
                    self.edit.describe(*own)
                ))
                .hint("`clip` is what ends on beats, and `beats_of` the music"));
            }
            if !tracks.contains(&of_clip) {
                tracks.push(of_clip);
            }
        }
        let mut placed = Vec::new();
        let mut ends = Vec::new();
        let mut late = Vec::new();
        for of_clips in tracks {
            self.place_on_beats(
                of_clips,
                &selected,
                &beats,
                (&mut placed, &mut ends, &mut late),
            )?;
        }
        if !late.is_empty() {
            self.note(format!(
                "no beats are left for {}: what is there keeps its length",
                late.join(", ")
            ));
        }
        if ends.is_empty() {
            return Ok(());
        }
        let changed = self.place_again(&placed)?;
        if changed == 0 {
            self.note("all of these clips end on beats already".to_owned());
            return Ok(());
        }
        let more = match ends.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        ends.truncate(SHOWN);
        self.changed(format!("ends on beats: {}{more}", ends.join(", ")));
        let follow = placed
            .iter()
            .filter(|clip| !selected.contains(&clip.own) && clip.moved() != 0)
            .count();
        if follow > 0 {
            let clips = if follow == 1 { "clip" } else { "clips" };
            self.changed(format!("{follow} {clips} after them moved along"));
        }
        Ok(())
    }

    /// The frames nearest to the beats that count, in order.
    fn beats_on_timeline(&self, operation: &CutOn) -> Result<Vec<i64>> {
        for (name, given, range) in [
            ("every", operation.every, EVERY),
            ("offset", operation.offset, OFFSET),
        ] {
            if !range.contains(&given) {
                return Err(Error::invalid(format!(
                    "`{name}` is {given}; it must be a whole number of beats from {} to {}",
                    range.start(),
                    range.end()
                )));
            }
        }
        let mut beats = Vec::new();
        for own in self.edit.select_all(&operation.beats_of)? {
            let described = || self.edit.describe(own);
            let file = self
                .edit
                .sound_file(own)
                .ok_or_else(|| Error::invalid(format!("{} has no sound of a file", described())))?;
            let found = operation.beats.iter().find(|found| found.file == file);
            let found = found.ok_or_else(|| {
                Error::conflict(format!(
                    "the beats of {} are not known, as an earlier operation changed its file",
                    described()
                ))
                .hint("give `cut_on` in a call of its own, after the others")
            })?;
            if self.is_reversed(own) {
                return Err(Error::conflict(format!("{} plays backwards", described()))
                    .hint("name music that plays forwards"));
            }
            let clock = self.edit.clock(own);
            let played = found.times.iter().map(|seconds| seconds * 1e6);
            let played = played.filter(|time| {
                (clock.source.start as f64 - 1.0..=clock.source.end() as f64).contains(time)
            });
            beats.extend(played.map(|time| clock.time_of(time)));
        }
        let half = self.grid.one() / 2;
        let mut beats: Vec<i64> = beats
            .into_iter()
            .map(|time| self.grid.frame(time + half))
            .collect();
        beats.sort_unstable();
        beats.dedup();
        let counted: Vec<i64> = beats
            .into_iter()
            .skip(operation.offset as usize)
            .step_by(operation.every as usize)
            .collect();
        if counted.is_empty() {
            return Err(
                Error::invalid("the part of the music that is played has no such beat")
                    .hint("use a smaller `every` or `offset`, or name another clip of the music"),
            );
        }
        Ok(counted)
    }

    /// Computes where the clips of a track are when the selected ones end on beats; for the report, those that do, and
    /// those after the last beat.
    fn place_on_beats(
        &mut self,
        of_clips: TrackRef,
        selected: &BTreeSet<ClipRef>,
        beats: &[i64],
        (placed, ends, late): (&mut Vec<PlacedAgain>, &mut Vec<String>, &mut Vec<String>),
    ) -> Result<()> {
        let is_magnetic = self.is_magnetic(of_clips);
        let mut clips: Vec<ClipRef> = self.edit.clips(of_clips).collect();
        clips.sort_by_key(|own| self.edit.target(*own).start);
        let mut last: Option<(i64, i64)> = None;
        for own in clips {
            self.edit.check_times(own)?;
            let before = self.frames(own);
            let start = match last {
                Some((end_before, end)) if is_magnetic || end_before == before.0 => end,
                _ => before.0,
            };
            let usual = start + before.1 - before.0;
            let mut end = usual;
            if selected.contains(&own) {
                let id = self.edit.short_id(own);
                match self.end_on_beat(own, start, usual, beats)? {
                    Some(beat) => {
                        end = beat;
                        ends.push(format!("{id} at {}", Seconds(self.grid.time(beat))));
                    }
                    None => late.push(id),
                }
            }
            last = Some((before.1, end));
            placed.push(PlacedAgain {
                own,
                before,
                after: (start, end),
            });
        }
        Ok(())
    }

    /// The beat nearest to the usual end of a clip that begins at a frame, within its file; `None` if no beat follows.
    fn end_on_beat(
        &self,
        own: ClipRef,
        start: i64,
        usual: i64,
        beats: &[i64],
    ) -> Result<Option<i64>> {
        let first = beats.partition_point(|beat| *beat < start + self.grid.frame_from(SHORTEST));
        let later = &beats[first..];
        let Some(next) = later.first() else {
            return Ok(None);
        };
        let longest = self.longest_by_files(own).max(usual - start);
        let nearest = later
            .iter()
            .take_while(|beat| **beat <= start.saturating_add(longest))
            .min_by_key(|beat| (**beat - usual).abs());
        match nearest {
            Some(beat) => Ok(Some(*beat)),
            None => Err(Error::conflict(format!(
                "{} would begin at {}, where its file is enough until {}; the next beat is at {}",
                self.edit.describe(own),
                Seconds(self.grid.time(start)),
                Seconds(self.grid.time(start + longest)),
                Seconds(self.grid.time(*next))
            ))
            .hint("leave it out, set a lower `speed` for it, or use a smaller `every`")),
        }
    }

    /// The frames that a clip, and what is shown with it at the same times, can last by their files.
    fn longest_by_files(&self, own: ClipRef) -> i64 {
        let of_file = |own: ClipRef| {
            let length = self.media_length(own)?;
            let source = self.edit.range(own, &["source_timerange"])?;
            let rest = (length.max(source.end()) - source.start) as f64 / self.speed(own);
            Some(self.grid.frame_of_sum(rest as i64))
        };
        let target = self.edit.target(own);
        let together = self.linked(own).into_iter();
        let together = together.filter(|other| self.edit.target(*other) == target);
        let all = std::iter::once(own).chain(together);
        all.filter_map(of_file).min().unwrap_or(i64::MAX)
    }

    /// Gives clips their new places, and takes what is in their groups along; returns how many clips changed.
    fn place_again(&mut self, placed: &[PlacedAgain]) -> Result<usize> {
        // What is in several groups' way follows the clip during which it begins.
        let mut leaders: BTreeMap<ClipRef, usize> = BTreeMap::new();
        let own: BTreeSet<ClipRef> = placed.iter().map(|clip| clip.own).collect();
        for (index, clip) in placed.iter().enumerate() {
            let range = TimeRange::between(clip.before.0, clip.before.1);
            for other in self.linked(clip.own) {
                if own.contains(&other) {
                    continue;
                }
                let is_during = range.contains(self.frames(other).0);
                if is_during || !leaders.contains_key(&other) {
                    leaders.insert(other, index);
                }
            }
        }
        let mut changed = 0;
        for (index, clip) in placed.iter().enumerate() {
            if clip.before == clip.after {
                continue;
            }
            changed += 1;
            let target = self.edit.target(clip.own);
            let followers = leaders.iter().filter(|(_, leader)| **leader == index);
            let followers: Vec<ClipRef> = followers.map(|(other, _)| *other).collect();
            for other in followers {
                let is_same = self.edit.target(other) == target;
                self.place_one(other, clip, is_same)?;
                self.sort_in(other)?;
            }
            self.place_one(clip.own, clip, true)?;
        }
        Ok(changed)
    }

    fn place_one(&mut self, own: ClipRef, clip: &PlacedAgain, is_trimmed: bool) -> Result<()> {
        self.touch_time(own)?;
        if is_trimmed && clip.is_trimmed() {
            self.require_constant_speed(own, "its end cannot be moved to a beat")?;
            let first = self.frames(own).0;
            self.trim_edges(own, first, first + clip.length())?;
        }
        self.shift_frames(own, clip.moved())
    }
}
