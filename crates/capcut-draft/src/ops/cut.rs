//! Operations that cut clips: trim and split, and the part of the file that a clip shows.

use crate::document::{ClipRef, Dialect};
use crate::error::{Error, Result};
use crate::field::{clip, material};
use crate::grid::{Seconds, TimeRange};
use crate::kinds::ClipKind;
use crate::ops::session::Session;
use crate::ops::{Split, Trim};

impl Session<'_> {
    pub(crate) fn trim(&mut self, operation: &Trim) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        self.edit.check_times(own)?;
        let (first, last) = self.frames(own);
        let start = operation
            .start
            .map_or(first, |start| self.grid.frame(start.micros));
        let end = match (operation.end, operation.duration) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid("`trim` takes `end` or `duration`, not both"));
            }
            (Some(end), None) => self.grid.frame(end.micros),
            (None, Some(duration)) => start + self.grid.frame(duration.micros),
            (None, None) if operation.start.is_none() => {
                return Err(Error::invalid(
                    "`trim` needs `start`, `end` or `duration`, in seconds on the timeline",
                ));
            }
            (None, None) => last,
        };
        if start < 0 || end <= start {
            return Err(Error::invalid(format!(
                "{} would last from {} to {}; it must start at 0 s or later and last a frame at least",
                self.edit.describe(own),
                Seconds(self.grid.time(start)),
                Seconds(self.grid.time(end))
            )));
        }
        let old = self.edit.target(own);
        let mut all = vec![own];
        all.extend(
            self.linked(own)
                .into_iter()
                .filter(|other| self.edit.target(*other) == old),
        );
        for clip in all {
            self.trim_to(clip, start, end)?;
            let target = self.edit.target(clip);
            self.changed(format!(
                "{} now lasts from {} to {}",
                self.edit.short_id(clip),
                Seconds(target.start),
                Seconds(target.end())
            ));
        }
        Ok(())
    }

    /// Gives a clip other edges; its picture stays where it is on the timeline.
    fn trim_to(&mut self, own: ClipRef, start: i64, end: i64) -> Result<()> {
        let track = self.edit.track_of(own);
        let is_magnetic = self.is_magnetic(track);
        self.trim_edges(own, start, end)?;
        if is_magnetic {
            self.close_gaps(track)?;
        }
        Ok(())
    }

    /// As [`trim_to`](Self::trim_to), without closing a gap.
    pub(super) fn trim_edges(&mut self, own: ClipRef, start: i64, end: i64) -> Result<()> {
        self.touch_time(own)?;
        self.edit.check_times(own)?;
        let (first, _) = self.frames(own);
        let old = self.edit.target(own);
        let target = self.range_of_frames(start, end);
        let moved = if start == first {
            0
        } else {
            target.start - old.start
        };
        if let Some(source) = self.source_after(own, moved, target.duration)? {
            self.set_source(own, source)?;
        }
        if moved != 0 && !self.keyframes_on_source_clock(own) {
            self.cut_keyframes_before(own, moved)?;
        }
        self.set_target(own, target)?;
        self.fit_animations(own, target.duration)
    }

    /// The part of its file that a clip shows when its start moves and its length changes.
    fn source_after(&self, own: ClipRef, moved: i64, duration: i64) -> Result<Option<TimeRange>> {
        let Some(source) = self.edit.range(own, &["source_timerange"]) else {
            return Ok(None);
        };
        let speed = self.speed(own);
        let kind = self.edit.clip_kind(own);
        let needed = (duration as f64 * speed).round() as i64;
        if !kind.has_source() {
            return Ok(Some(TimeRange {
                duration: needed,
                ..source
            }));
        }
        let frame = (self.grid.one() as f64 * speed.max(1.0)).ceil() as i64;
        let exact = source.start + (moved as f64 * speed).round() as i64;
        if exact < -frame {
            return Err(Error::conflict(format!(
                "{} cannot start {} earlier: only {} of its file are before its start",
                self.edit.describe(own),
                Seconds(-moved),
                Seconds((source.start as f64 / speed) as i64)
            )));
        }
        let start = if moved == 0 {
            source.start
        } else {
            self.grid.time(self.grid.frame_of_sum(exact.max(0)))
        };
        let length = self.media_length(own).unwrap_or(i64::MAX);
        let allowed = length.max(source.end());
        if start.saturating_add(needed) > allowed.saturating_add(frame) {
            let longest = self.grid.floor(((allowed - start) as f64 / speed) as i64);
            return Err(Error::conflict(format!(
                "{} cannot last {}: its file lasts {}, which is enough for {}",
                self.edit.describe(own),
                Seconds(duration),
                Seconds(allowed),
                Seconds(longest)
            ))
            .hint("trim it to at most that, or set a lower `speed`"));
        }
        let duration = needed.min(allowed - start).max(1);
        Ok(Some(TimeRange { start, duration }))
    }

    /// The length of the file of a video or sound; `None` if it has no end or is not known.
    pub(crate) fn media_length(&self, own: ClipRef) -> Option<i64> {
        let main = self.edit.main_material(own)?;
        let is_timed = matches!(self.edit.clip_kind(own), ClipKind::Video | ClipKind::Audio);
        let length = self.edit.value(main, &material::DURATION);
        (is_timed && length > 0).then_some(length)
    }

    pub(crate) fn speed(&self, own: ClipRef) -> f64 {
        let speed = self.edit.value(own, &clip::SPEED);
        if (1e-3..=1e3).contains(&speed) {
            speed
        } else {
            1.0
        }
    }

    pub(crate) fn set_source(&mut self, own: ClipRef, source: TimeRange) -> Result<()> {
        let old = self.edit.range(own, &["source_timerange"]);
        if old.map(|old| old.start) != Some(source.start) {
            self.edit
                .set(own, &["source_timerange", "start"], &source.start)?;
        }
        if old.map(|old| old.duration) != Some(source.duration) {
            self.edit
                .set(own, &["source_timerange", "duration"], &source.duration)?;
        }
        Ok(())
    }

    /// Whether keyframes of a clip count from the start of its file.
    pub(crate) fn keyframes_on_source_clock(&self, own: ClipRef) -> bool {
        self.edit.dialect() == Dialect::App && self.edit.range(own, &["source_timerange"]).is_some()
    }

    pub(crate) fn split(&mut self, operation: &Split) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        self.edit.check_times(own)?;
        let cut = self.grid.frame(operation.at.micros);
        let old = self.edit.target(own);
        let mut all = vec![own];
        all.extend(self.linked(own).into_iter().filter(|other| {
            let target = self.edit.target(*other);
            target.contains(self.grid.time(cut)) && target.start < self.grid.time(cut)
        }));
        let (first, last) = self.frames(own);
        if cut <= first || cut >= last {
            return Err(Error::invalid(format!(
                "`at` is {}; {} can be split after {} and before {}",
                Seconds(operation.at.micros),
                self.edit.describe(own),
                Seconds(old.start),
                Seconds(old.end())
            )));
        }
        for clip in all {
            self.split_clip(clip, cut)?;
        }
        Ok(())
    }

    pub(super) fn split_clip(&mut self, own: ClipRef, cut: i64) -> Result<ClipRef> {
        self.touch_time(own)?;
        self.edit.check_times(own)?;
        let (first, last) = self.frames(own);
        let (left, right) = (
            self.range_of_frames(first, cut),
            self.range_of_frames(cut, last),
        );
        let speed = self.speed(own);
        let source = self.edit.range(own, &["source_timerange"]);
        let kind = self.edit.clip_kind(own);
        let copy = self.copy_clip(own, "split")?;
        self.touch_time(copy)?;
        if let Some(source) = source {
            let length = |target: TimeRange| (target.duration as f64 * speed).round() as i64;
            let duration = length(left).min(source.duration);
            self.set_source(own, TimeRange { duration, ..source })?;
            let start = if kind.has_source() {
                self.grid
                    .time(self.grid.frame_of_sum(source.start + length(left)))
            } else {
                source.start
            };
            let duration = if kind.has_source() {
                length(right).min(source.end() - start).max(1)
            } else {
                length(right)
            };
            self.set_source(copy, TimeRange { start, duration })?;
        }
        let at = match source {
            Some(source) if self.keyframes_on_source_clock(own) => {
                source.start + ((left.duration as f64) * speed).round() as i64
            }
            _ => left.duration,
        };
        self.split_keyframes(own, copy, at)?;
        self.set_target(own, left)?;
        self.set_target(copy, right)?;
        self.drop_companions(own, &["transitions"])?;
        self.keep_animations(own, "out", left.duration)?;
        self.keep_animations(copy, "in", right.duration)?;
        for (clip, key) in [(own, "fade_out_duration"), (copy, "fade_in_duration")] {
            if let Some(fade) = self.edit.companion(clip, &["audio_fades"]) {
                let fade = self.edit.own_copy(clip, fade)?;
                self.edit.set(fade, &[key], &0_i64)?;
            }
        }
        self.changed(format!(
            "{} is split at {}; the second part is {}",
            self.edit.short_id(own),
            Seconds(right.start),
            self.edit.short_id(copy)
        ));
        Ok(copy)
    }
}
