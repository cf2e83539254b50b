//! Operations that move clips and change their lengths.

use crate::document::{ClipRef, Dialect, TrackRef};
use crate::error::{Error, Result};
use crate::field::{clip, material, track};
use crate::grid::{Seconds, TimeRange};
use crate::kinds::ClipKind;
use crate::ops::session::Session;
use crate::ops::{Duplicate, Move, Remove, Shift, Split, Trim};
use crate::scan::PathPart;

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
    fn move_among(&mut self, own: ClipRef, at: i64) -> Result<()> {
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
    fn free_frame(&self, track: TrackRef, at: i64, own: ClipRef) -> i64 {
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
    fn shift_frames(&mut self, own: ClipRef, by: i64) -> Result<()> {
        let (first, last) = self.frames(own);
        if first + by < 0 {
            return Err(Error::conflict(format!(
                "{} would start before 0 s",
                self.edit.describe(own)
            )));
        }
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
    fn change_track(&mut self, own: ClipRef, to: TrackRef) -> Result<ClipRef> {
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
                    .number(sibling, &[key])
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
                self.clips.push(self.edit.elements[clip.0 as usize].number);
            }
            if is_magnetic {
                self.keep_gaps()?;
            }
            count += clips.len();
        }
        self.clips.dedup();
        self.changed(format!(
            "{count} clips from {} on moved by {}",
            Seconds(from),
            Seconds(self.grid.time(by))
        ));
        Ok(())
    }

    pub(crate) fn trim(&mut self, operation: &Trim) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
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
        self.touch_time(own)?;
        let track = self.edit.track_of(own);
        let is_magnetic = self.is_magnetic(track);
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
        self.fit_animations(own, target.duration)?;
        if is_magnetic {
            self.close_gaps(track)?;
        }
        Ok(())
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
        if speed.is_finite() && speed > 0.0 {
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

    fn split_clip(&mut self, own: ClipRef, cut: i64) -> Result<()> {
        self.touch_time(own)?;
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
        Ok(())
    }

    /// Removes the additional materials of a clip in these lists; returns how many there were.
    pub(crate) fn drop_companions(&mut self, own: ClipRef, lists: &[&str]) -> Result<usize> {
        let ids: Vec<String> = self
            .edit
            .companions(own, lists)
            .map(|material| self.edit.id(material).into_owned())
            .collect();
        for id in &ids {
            self.edit.drop_ref(own, id)?;
        }
        Ok(ids.len())
    }

    /// A copy of a clip directly after it in the list, with materials of its own.
    pub(crate) fn copy_clip(&mut self, own: ClipRef, purpose: &str) -> Result<ClipRef> {
        if self.edit.main_material(own).is_none() {
            return Err(Error::read_only(format!(
                "{} cannot be copied, as its material does not exist",
                self.edit.describe(own)
            )));
        }
        let track = self.edit.track_of(own);
        let list = self.edit.elements[own.0 as usize].list;
        let index = self.edit.index_in(list, own.0);
        let text = String::from_utf8_lossy(self.edit.text_of(own.0)).into_owned();
        let id = self.edit.unused_id(&self.edit.id(own), purpose);
        let copy = self.edit.add_clip(track, index + 1, &text)?;
        self.edit.set(copy, &["id"], id.as_str())?;
        let copy = self.edit.clips_by_id(&id).next().unwrap_or(copy);
        let mut refs: Vec<String> = self.edit.refs(copy).into_iter().map(Into::into).collect();
        refs.push(self.edit.material_id(copy).into_owned());
        refs.dedup();
        for old in refs {
            let materials: Vec<_> = self.edit.materials_by_id(&old).collect();
            if materials.is_empty() {
                // The reference API refers to speeds that do not exist; a copy does without.
                self.edit.drop_ref(copy, &old)?;
                continue;
            }
            let copied = materials.iter().filter(|material| {
                // A draft inside the draft is large and never edited here, so it stays shared.
                !["drafts", "text_templates"].contains(&self.edit.list_name(**material))
            });
            let copied: Vec<_> = copied.copied().collect();
            if copied.is_empty() || copied.len() != materials.len() {
                continue;
            }
            let new = self.edit.unused_id(&old, purpose);
            for material in copied {
                let list = self.edit.list_name(material).to_owned();
                let text = String::from_utf8_lossy(self.edit.text_of(material.0)).into_owned();
                let material = self.edit.add_material(&list, &text)?;
                self.edit.set(material, &["id"], new.as_str())?;
            }
            while self.edit.material_id(copy) == old
                || self.edit.refs(copy).iter().any(|id| *id == old)
            {
                self.edit.change_ref(copy, &old, &new)?;
            }
        }
        self.renew_keyframe_ids(copy, purpose)?;
        // A copy is not in the group of the original.
        if !self.edit.value(copy, &clip::GROUP).is_empty() && purpose != "split" {
            self.edit.set(copy, clip::GROUP.path, "")?;
        }
        Ok(copy)
    }

    pub(crate) fn remove(&mut self, operation: &Remove) -> Result<()> {
        let mut all = self.edit.select_all(&operation.clip)?;
        for own in all.clone() {
            all.extend(self.linked(own));
        }
        all.sort_unstable();
        all.dedup();
        let mut unused = Vec::new();
        for own in all {
            self.touch_time(own)?;
            let track = self.edit.track_of(own);
            let closes = self.is_magnetic(track) || operation.close_gap;
            let is_magnetic = self.is_magnetic(track);
            self.changed(format!("{} is removed", self.edit.describe(own)));
            let (first, last) = self.frames(own);
            let end = self.edit.target(own).end();
            unused.push(self.edit.material_id(own).into_owned());
            unused.extend(self.edit.refs(own).into_iter().map(String::from));
            self.edit.remove(own)?;
            if is_magnetic {
                self.close_gaps(track)?;
                self.note("the main track closes the gap, as its magnet is on".to_owned());
            } else if closes {
                let later: Vec<ClipRef> = self
                    .edit
                    .clips(track)
                    .filter(|clip| self.edit.target(*clip).start >= end - 2)
                    .collect();
                for clip in later {
                    self.shift_frames(clip, first - last)?;
                }
            }
        }
        unused.sort_unstable();
        unused.dedup();
        self.edit.drop_unused(&unused)
    }

    pub(crate) fn duplicate(&mut self, operation: &Duplicate) -> Result<()> {
        let own = self.edit.select(&operation.clip)?;
        let to = match &operation.track {
            Some(track) => self.edit.select_track(track)?,
            None => self.edit.track_of(own),
        };
        let at = operation
            .at
            .map_or(self.edit.target(own).end(), |at| at.micros);
        if at < 0 {
            return Err(Error::invalid(format!(
                "`at` is {}; the timeline begins at 0 s",
                Seconds(at)
            )));
        }
        self.touch_time(own)?;
        let is_magnetic = self.is_magnetic(to);
        let (first, last) = self.frames(own);
        let start = match operation.at {
            Some(_) => self.free_frame(to, at, own),
            None => last,
        };
        let copy = self.copy_clip(own, "copy")?;
        self.drop_companions(copy, &["transitions"])?;
        let copy = self.change_track(copy, to)?;
        self.touch_time(copy)?;
        if is_magnetic {
            self.move_among(copy, at)?;
        } else {
            let target = self.range_of_frames(start, start + last - first);
            self.set_target(copy, target)?;
        }
        self.changed(format!(
            "{} is a copy of {} from {} on",
            self.edit.describe(copy),
            self.edit.short_id(own),
            Seconds(self.edit.target(copy).start)
        ));
        Ok(())
    }

    /// Keeps the animations of a clip within its length.
    pub(crate) fn fit_animations(&mut self, own: ClipRef, length: i64) -> Result<()> {
        self.edit_animations(own, length, None)
    }

    /// As [`fit_animations`](Self::fit_animations), without animations of a type.
    fn keep_animations(&mut self, own: ClipRef, except: &str, length: i64) -> Result<()> {
        self.edit_animations(own, length, Some(except))
    }

    fn edit_animations(&mut self, own: ClipRef, length: i64, except: Option<&str>) -> Result<()> {
        let Some(material) = self.edit.companion(own, &["material_animations"]) else {
            return Ok(());
        };
        let mut count = 0;
        while self.animation_value(material, count, "type").is_some() {
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let material = self.edit.own_copy(own, material)?;
        for index in (0..count).rev() {
            let kind = self
                .animation_value(material, index, "type")
                .unwrap_or_default();
            let kind = kind.trim_matches('"').to_owned();
            let list = [PathPart::Key("animations")];
            if except == Some(&kind) {
                self.edit.remove_item(material, &list, index)?;
                continue;
            }
            let time = |key| {
                let value = self.animation_value(material, index, key);
                value
                    .and_then(|value| value.parse::<f64>().ok())
                    .unwrap_or(0.0) as i64
            };
            let (start, duration) = (time("start"), time("duration"));
            let new_duration = match kind.as_str() {
                "loop" | "group" => length - start.min(length),
                _ => duration.min(length),
            };
            let new_start = if kind == "out" {
                length - new_duration
            } else {
                start.min(length)
            };
            for (key, old, new) in [
                ("start", start, new_start),
                ("duration", duration, new_duration),
            ] {
                if old != new {
                    let path = [
                        PathPart::Key("animations"),
                        PathPart::Index(index),
                        PathPart::Key(key),
                    ];
                    self.edit.set_at(material, &path, &new)?;
                }
            }
        }
        Ok(())
    }

    fn animation_value(
        &self,
        material: crate::document::MaterialRef,
        index: usize,
        key: &str,
    ) -> Option<String> {
        let path = [
            PathPart::Key("animations"),
            PathPart::Index(index),
            PathPart::Key(key),
        ];
        self.edit
            .raw_at(material, &path)
            .map(|raw| String::from_utf8_lossy(raw).into_owned())
    }
}
