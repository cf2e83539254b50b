//! Operations that move clips.

use crate::document::{ClipRef, TrackRef};
use crate::error::{Error, Result};
use crate::field::track;
use crate::grid::{Seconds, TimeRange};
use crate::ops::session::Session;
use crate::ops::{Move, Shift};

impl Session<'_> {
    pub(crate) fn move_clip(&mut self, operation: &Move) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        let from = self.edit.track_of(own);
        let to = match &operation.track {
            Some(track) => self.edit.select_track(track)?,
            None => from,
        };
        if operation.at.is_none() && to == from {
            return Err(Error::invalid(
                "`move` needs `at`, a time in seconds, or another `track`",
            ));
        }
        self.touch_time(own)?;
        self.edit.check_times(own)?;
        let at = operation
            .at
            .map_or(self.edit.target(own).start, |at| at.micros);
        if at < 0 {
            return Err(Error::invalid(format!(
                "`at` is {}; the timeline begins at 0 s",
                Seconds(at)
            )));
        }
        let linked = self.linked(own);
        let (first, last) = self.frames(own);
        if self.is_magnetic(to) {
            let moved = self.change_track(own, to)?;
            self.touch_time(moved)?;
            self.move_among(moved, at)?;
            if from != to && self.was_magnetic_without(from) {
                self.close_gaps(from)?;
            }
            return self.follow(moved, &linked, first);
        }
        let closes = from != to && self.is_magnetic(from);
        let start = self.free_frame(to, at, own);
        let target = self.range_of_frames(start, start + last - first);
        let moved = self.change_track(own, to)?;
        self.touch_time(moved)?;
        let opens = from == to && self.is_magnetic(from);
        self.set_target(moved, target)?;
        self.sort_in(moved)?;
        if closes {
            self.close_gaps(from)?;
        }
        debug_assert!(!opens, "the main track was handled before");
        self.follow(moved, &linked, first)
    }

    fn was_magnetic_without(&self, track: TrackRef) -> bool {
        super::session::main_track(&self.edit) == Some(track)
    }

    /// Puts a clip of a magnetic track before the first other clip whose middle is later.
    pub(super) fn move_among(&mut self, own: ClipRef, at: i64) -> Result<()> {
        let track = self.edit.track_of(own);
        let mut time = 0;
        let mut index = 0;
        for other in self.edit.clips(track).filter(|other| *other != own) {
            let length = self.edit.target(other).duration;
            if time + length / 2 < at {
                index += 1;
            }
            time += length;
        }
        self.edit.move_clip(own, track, index)?;
        self.close_gaps(track)
    }

    /// Moves the clips of a group by what the first one moved, and reports it.
    fn follow(&mut self, own: ClipRef, linked: &[ClipRef], first: i64) -> Result<()> {
        let (now, _) = self.frames(own);
        self.changed(format!(
            "{} now starts at {} on {}",
            self.edit.short_id(own),
            Seconds(self.edit.target(own).start),
            self.edit.describe_track(self.edit.track_of(own))
        ));
        for other in linked {
            self.touch_time(*other)?;
            self.shift_frames(*other, now - first)?;
            self.sort_in(*other)?;
            self.changed(format!(
                "{} moved with it, as it is in the same group",
                self.edit.short_id(*other)
            ));
        }
        Ok(())
    }

    /// The frame of a time; the next one if another clip ends within it.
    pub(super) fn free_frame(&self, track: TrackRef, at: i64, own: ClipRef) -> i64 {
        let frame = self.grid.frame(at);
        let range = TimeRange::between(self.grid.time(frame), self.grid.time(frame + 1));
        let is_cut = self
            .edit
            .clips(track)
            .filter(|other| *other != own)
            .any(|other| {
                let target = self.edit.target(other);
                target.start < range.start
                    && (range.start + 1..=at.max(range.start + 1)).contains(&target.end())
            });
        if is_cut { frame + 1 } else { frame }
    }

    /// Moves a clip by whole frames, without a look at its neighbours.
    pub(super) fn shift_frames(&mut self, own: ClipRef, by: i64) -> Result<()> {
        self.edit.check_times(own)?;
        let (first, last) = self.frames(own);
        if first + by < 0 {
            return Err(Error::conflict(format!(
                "{} would start before 0 s",
                self.edit.describe(own)
            )));
        }
        self.report_clip(own);
        let old = self.edit.target(own);
        let target = self.range_of_frames(first + by, last + by);
        if old.start != target.start {
            self.edit
                .set(own, &["target_timerange", "start"], &target.start)?;
        }
        if old.duration != target.duration {
            self.edit
                .set(own, &["target_timerange", "duration"], &target.duration)?;
        }
        Ok(())
    }

    /// Moves a clip to another track of the same kind, with the layer and the attributes of that track.
    pub(super) fn change_track(&mut self, own: ClipRef, to: TrackRef) -> Result<ClipRef> {
        let from = self.edit.track_of(own);
        if from == to {
            return Ok(own);
        }
        let (own_kind, other_kind) = (
            self.edit.value(from, &track::KIND),
            self.edit.value(to, &track::KIND),
        );
        if own_kind != other_kind {
            return Err(Error::invalid(format!(
                "{} is on a track for {own_kind}, and {} is for {other_kind}",
                self.edit.describe(own),
                self.edit.describe_track(to)
            )));
        }
        let start = self.edit.target(own).start;
        let index = super::session::index_of_start(&self.edit, self.edit.clips(to), start);
        self.touch_track(to);
        let sibling = self.edit.clips(to).next();
        let moved = self.edit.move_clip(own, to, index)?;
        self.edit.usable_number(to, track::ATTRIBUTE.path)?;
        let attribute = self.edit.value(to, &track::ATTRIBUTE);
        let layer = self
            .edit
            .tracks()
            .iter()
            .position(|track| *track == to)
            .unwrap_or(0);
        for key in ["track_attribute", "render_index", "track_render_index"] {
            let value = match (key, sibling) {
                ("track_attribute", _) => Some(attribute),
                (_, Some(sibling)) => self
                    .edit
                    .usable_number(sibling, &[key])?
                    .map(|number| number as i64),
                ("track_render_index", None) => i64::try_from(layer).ok(),
                _ => None,
            };
            if let (Some(value), Some(_)) = (value, self.edit.raw(moved, &[key])) {
                self.edit.set(moved, &[key], &value)?;
            }
        }
        Ok(moved)
    }

    pub(crate) fn shift(&mut self, operation: &Shift) -> Result<()> {
        let tracks = match &operation.track {
            Some(track) => vec![self.edit.select_track(track)?],
            None => self.edit.tracks(),
        };
        let from = operation.from.micros;
        let by = self.grid.frame(operation.by.micros);
        let mut count = 0;
        for track in tracks {
            let clips: Vec<ClipRef> = self
                .edit
                .clips(track)
                .filter(|clip| self.edit.target(*clip).start >= from)
                .collect();
            if clips.is_empty() || by == 0 {
                continue;
            }
            let is_magnetic = self.is_magnetic(track);
            self.touch_track(track);
            self.touch(clips[0])?;
            for clip in &clips {
                self.shift_frames(*clip, by)?;
            }
            if is_magnetic {
                self.keep_gaps()?;
            }
            count += clips.len();
        }
        let from = Seconds(from);
        let by = Seconds(self.grid.time(by));
        self.changed(match count {
            0 => format!("nothing moved by {by}: no clip starts at {from} or later"),
            1 => format!("1 clip from {from} on moved by {by}"),
            _ => format!("{count} clips from {from} on moved by {by}"),
        });
        Ok(())
    }
}
