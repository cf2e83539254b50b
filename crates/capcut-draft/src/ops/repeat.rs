//! A group of clips that is shown several times, one copy after another.

use crate::document::{ClipRef, TrackRef};
use crate::error::{Error, Result};
use crate::ops::session::{Session, main_track};

/// The largest number of clips that one call adds.
const MOST_COPIES: usize = 10_000;

impl Session<'_> {
    /// Puts copies of a group of clips after it, and what follows after the copies. Returns the numbers of each
    /// copy's clips, in the order of the group.
    ///
    /// A group with clips of the main track is as long as these, and everything later moves; of another group, only
    /// what is later on its tracks.
    pub(crate) fn repeat_group(
        &mut self,
        group: &[ClipRef],
        times: usize,
    ) -> Result<Vec<Vec<u32>>> {
        if group.len().saturating_mul(times) > MOST_COPIES {
            return Err(Error::invalid(format!(
                "{} clips would be copied {times} times; the limit is {MOST_COPIES} copies",
                group.len()
            )));
        }
        for clip in group {
            self.touch_time(*clip)?;
            self.edit.check_times(*clip)?;
        }
        let main = main_track(&self.edit);
        let of_main: Vec<ClipRef> = group
            .iter()
            .copied()
            .filter(|clip| Some(self.edit.track_of(*clip)) == main)
            .collect();
        let closes = main.filter(|main| !of_main.is_empty() && self.is_magnetic(*main));
        let lead = if of_main.is_empty() { group } else { &of_main };
        let frames = lead.iter().map(|clip| self.frames(*clip));
        let (first, last) = frames.fold((i64::MAX, 0), |(first, last), (start, end)| {
            (first.min(start), last.max(end))
        });
        let length = last - first;
        let tracks: Vec<TrackRef> = self
            .edit
            .tracks()
            .into_iter()
            .filter(|track| {
                let is_own = |clip: &ClipRef| self.edit.track_of(*clip) == *track;
                !of_main.is_empty() || group.iter().any(is_own)
            })
            .collect();
        for track in tracks {
            let by = length.saturating_mul(i64::try_from(times).unwrap_or(i64::MAX));
            self.make_room(track, group, last, by)?;
        }
        let mut copies = Vec::with_capacity(times);
        for time in (1..).take(times) {
            let mut numbers = Vec::with_capacity(group.len());
            for clip in group {
                let (start, end) = self.frames(*clip);
                let copy = self.copy_clip(*clip, "copy")?;
                self.touch_time(copy)?;
                numbers.push(self.edit.elements[copy.0 as usize].number);
                let range = self.range_of_frames(start + length * time, end + length * time);
                self.set_target(copy, range)?;
            }
            copies.push(numbers);
        }
        if let Some(main) = closes {
            self.close_gaps(main)?;
        }
        let shown: Vec<String> = group.iter().map(|clip| self.edit.short_id(*clip)).collect();
        self.changed(format!(
            "{} {} shown {} times",
            shown.join(", "),
            if shown.len() == 1 { "is" } else { "are" },
            times + 1
        ));
        Ok(copies)
    }

    /// Moves the clips of a track that start at a frame or later, except those of the group.
    pub(super) fn make_room(
        &mut self,
        track: TrackRef,
        group: &[ClipRef],
        from: i64,
        by: i64,
    ) -> Result<()> {
        let later: Vec<ClipRef> = self
            .edit
            .clips(track)
            .filter(|clip| !group.contains(clip) && self.frames(*clip).0 >= from)
            .collect();
        if by == 0 {
            return Ok(());
        }
        for clip in later {
            self.touch_time(clip)?;
            self.shift_frames(clip, by)?;
        }
        Ok(())
    }
}
