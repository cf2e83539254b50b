//! Cuts the pauses out of speech, and moves everything else along.

use std::collections::BTreeSet;

use crate::document::{ClipRef, RootRef};
use crate::error::{Error, Result};
use crate::field::root;
use crate::grid::{Grid, Seconds, TimeRange};
use crate::kinds::ClipKind;
use crate::ops::JumpCut;
use crate::ops::session::Session;
use crate::path::PathPart;
use crate::select::Time;
use crate::value::RawJson;

/// How many cuts a report names.
const SHOWN: usize = 12;
/// Cuts leave no piece of a clip that is shorter, in microseconds on the timeline: it would be a flash.
const SHORTEST_PIECE: i64 = 200_000;
/// Speech at an edge of a clip that is shorter is the rest of a word that was trimmed away, in microseconds.
const SHORTEST_REST: i64 = 100_000;
/// Word times that are this much later than their caption are not on its clock, in milliseconds.
const TOLERANCE_MS: f64 = 50.0;

/// Which pauses are cut, in microseconds on the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseRule {
    /// The shortest pause that is cut.
    pub least: i64,
    /// What stays of a pause on each side.
    pub keep: i64,
}

impl Default for PauseRule {
    fn default() -> Self {
        Self {
            least: 400_000,
            keep: 100_000,
        }
    }
}

impl PauseRule {
    /// The rule that an operation describes.
    ///
    /// # Errors
    /// For values out of their range.
    pub fn of(operation: &JumpCut) -> Result<Self> {
        let usual = Self::default();
        let time = |name: &str, time: Option<Time>, usual: i64, (least, most): (i64, i64)| {
            let micros = time.map_or(usual, |time| time.micros);
            if (least..=most).contains(&micros) {
                return Ok(micros);
            }
            Err(Error::invalid(format!(
                "`{name}` is {}; it must be from {} to {}",
                Seconds(micros),
                Seconds(least),
                Seconds(most)
            )))
        };
        Ok(Self {
            least: time(
                "min_pause",
                operation.min_pause,
                usual.least,
                (100_000, 60_000_000),
            )?,
            keep: time("keep", operation.keep, usual.keep, (0, 5_000_000))?,
        })
    }
}

/// The frames that are cut out of a clip, in order: its pauses, also before the first and after the last word. `speech` is
/// when somebody speaks in it, on the timeline and in order.
#[must_use]
pub fn pauses_to_cut(
    clip: TimeRange,
    speech: &[TimeRange],
    rule: PauseRule,
    grid: Grid,
) -> Vec<(i64, i64)> {
    let mut cuts = Vec::new();
    let mut done = clip.start;
    let mut inside: Vec<(i64, i64)> = speech
        .iter()
        .map(|span| (span.start.max(clip.start), span.end().min(clip.end())))
        .filter(|(start, end)| start < end)
        .collect();
    let is_rest = |&(start, end): &(i64, i64)| {
        let is_at_edge = start == clip.start || end > clip.end() - grid.one();
        is_at_edge && end - start < SHORTEST_REST
    };
    if !inside.iter().all(is_rest) {
        inside.retain(|span| !is_rest(span));
    }
    inside.push((clip.end(), clip.end()));
    for (start, end) in inside {
        if start - done >= rule.least {
            let first = if done == clip.start {
                grid.frame_of_sum(done)
            } else {
                grid.frame_from(done + rule.keep)
            };
            let last = if start == clip.end() {
                grid.frame_of_sum(start)
            } else {
                grid.frame(start - rule.keep)
            };
            if last > first {
                cuts.push((first, last));
            }
        }
        done = done.max(end);
    }
    cuts
}

/// The frames of a range that are outside of all cuts, which are in order.
#[must_use]
pub fn kept_frames((start, end): (i64, i64), cuts: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let mut kept = Vec::new();
    let mut at = start;
    for (first, last) in cuts {
        if *first > at && at < end {
            kept.push((at, (*first).min(end)));
        }
        at = at.max(*last);
    }
    if at < end {
        kept.push((at, end));
    }
    kept
}

/// The cuts, made shorter where a piece between them of one of the clips would be shorter than 0.2 s. Clips are given by
/// their frames; cuts are in order.
#[must_use]
pub fn without_short_pieces(
    mut cuts: Vec<(i64, i64)>,
    clips: impl IntoIterator<Item = (i64, i64)>,
    grid: Grid,
) -> Vec<(i64, i64)> {
    let least = grid.frame_from(SHORTEST_PIECE);
    for clip in clips {
        for (from, to) in kept_frames(clip, &cuts) {
            let missing = least - (to - from);
            let before = cuts.iter().rposition(|cut| cut.1 == from && from > clip.0);
            let after = cuts.iter().position(|cut| cut.0 == to && to < clip.1);
            let room = |cut: Option<usize>| cut.map_or(0, |cut| cuts[cut].1 - cuts[cut].0);
            let (room_before, room_after) = (room(before), room(after));
            if missing <= 0 {
                continue;
            }
            let early = (missing / 2).max(missing - room_after).min(room_before);
            let late = (missing - early).min(room_after);
            if let Some(cut) = before {
                cuts[cut].1 -= early;
            }
            if let Some(cut) = after {
                cuts[cut].0 += late;
            }
        }
        cuts.retain(|(first, last)| first < last);
    }
    cuts
}

/// How many frames are cut before a frame.
fn frames_cut_before(frame: i64, cuts: &[(i64, i64)]) -> i64 {
    let before = cuts.iter().take_while(|(first, _)| *first < frame);
    before.map(|(first, last)| (*last).min(frame) - first).sum()
}

/// Cuts in order, without overlaps.
#[must_use]
pub fn merged_cuts(mut cuts: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    cuts.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (first, last) in cuts {
        match merged.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

impl Session<'_> {
    /// Cuts the pauses out of clips.
    pub(crate) fn jump_cut(&mut self, operation: &JumpCut) -> Result<()> {
        let rule = PauseRule::of(operation)?;
        let selected = self.edit.select_all(&operation.clip)?;
        let mut cuts = Vec::new();
        let mut spoken = Vec::new();
        for own in &selected {
            self.touch_time(*own)?;
            self.edit.check_times(*own)?;
            let speech = self.speech_of(*own, operation)?;
            let own_cuts = pauses_to_cut(self.edit.target(*own), &speech, rule, self.grid);
            spoken.extend(kept_frames(self.frames(*own), &own_cuts));
            cuts.extend(own_cuts);
        }
        // Where another of the clips speaks, nothing is cut.
        let spoken = merged_cuts(spoken);
        let cuts: Vec<(i64, i64)> = merged_cuts(cuts)
            .into_iter()
            .flat_map(|cut| kept_frames(cut, &spoken))
            .collect();
        let mut pieces: BTreeSet<ClipRef> = selected.iter().copied().collect();
        for own in &selected {
            let target = self.edit.target(*own);
            let file = self.edit.sound_file(*own);
            let linked = self.linked(*own).into_iter();
            pieces.extend(linked.filter(|other| {
                self.edit.target(*other) == target || self.edit.sound_file(*other) == file
            }));
        }
        for own in &pieces {
            self.require_constant_speed(*own, "its pauses cannot be cut")?;
        }
        let cuts = self.without_whole_clips(cuts);
        let frames = pieces.iter().map(|own| self.frames(*own));
        let cuts = without_short_pieces(cuts, frames, self.grid);
        if cuts.is_empty() {
            self.note(format!(
                "no pause lasts {} or more: nothing was cut",
                Seconds(rule.least)
            ));
            return Ok(());
        }
        let changes = self.changes.len();
        self.cut_out(&cuts, &pieces)?;
        self.cut_markers(&cuts)?;
        // Each split is a part of this operation.
        self.changes.truncate(changes);
        let shown = cuts.iter().take(SHOWN).map(|(first, last)| {
            format!(
                "{}–{}",
                Seconds(self.grid.time(*first)),
                Seconds(self.grid.time(*last))
            )
        });
        let shown: Vec<String> = shown.collect();
        let more = match cuts.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let frames: i64 = cuts.iter().map(|(first, last)| last - first).sum();
        self.changed(format!(
            "{} {} cut, {} in total (times before the cut): {}{more}",
            cuts.len(),
            if cuts.len() == 1 {
                "pause is"
            } else {
                "pauses are"
            },
            Seconds(self.grid.time(frames)),
            shown.join(", ")
        ));
        Ok(())
    }

    /// When somebody speaks in a clip, on the timeline.
    fn speech_of(&self, own: ClipRef, operation: &JumpCut) -> Result<Vec<TimeRange>> {
        let kind = self.edit.clip_kind(own);
        let file = self.edit.sound_file(own);
        let Some(file) = file.filter(|_| matches!(kind, ClipKind::Video | ClipKind::Audio)) else {
            return Err(Error::invalid(format!(
                "{} has no sound of a file in which somebody could speak",
                self.edit.describe(own)
            )));
        };
        if !operation.speech.iter().any(|found| found.file == file) {
            return Err(Error::conflict(format!(
                "the speech of {} is not known, as an earlier operation changed its file",
                self.edit.describe(own)
            ))
            .hint("give `jump_cut` in a call of its own, after the others"));
        }
        let speech = self.sounding(own, &operation.speech);
        if speech.is_empty() {
            return Err(Error::invalid(format!(
                "{} plays a part of its file without speech",
                self.edit.describe(own)
            ))
            .hint("leave it out, or remove it"));
        }
        Ok(speech)
    }

    /// Times of the file follow from times of the timeline only at a constant speed, forwards; else the error says what
    /// is not possible.
    pub(super) fn require_constant_speed(&self, own: ClipRef, impossible: &str) -> Result<()> {
        let speed = self.edit.companion(own, &["speeds"]);
        let is_curve = speed.is_some_and(|speed| {
            let mode = self.edit.number(speed, &["mode"]);
            mode.is_some_and(|mode| mode != 0.0)
        });
        let (what, hint) = match (is_curve, self.is_reversed(own)) {
            (true, _) => (
                "has a speed curve",
                "set a constant `speed` first, and give it its curve afterwards",
            ),
            (_, true) => ("plays backwards", "do it before it is reversed in the app"),
            _ => return Ok(()),
        };
        let own = self.edit.describe(own);
        Err(Error::conflict(format!("{own} {what}; {impossible}")).hint(hint))
    }

    /// Whether the app plays a clip backwards, from a file that it made.
    pub(super) fn is_reversed(&self, own: ClipRef) -> bool {
        self.edit.raw(own, &["reverse"]) == Some(b"true")
    }

    /// The cuts, except those in which a whole clip is shown or heard.
    fn without_whole_clips(&mut self, cuts: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
        let all: Vec<ClipRef> = self.edit.all_clips().collect();
        let mut kept = Vec::with_capacity(cuts.len());
        for cut in cuts {
            let inside = all.iter().find(|other| {
                let (first, last) = self.frames(**other);
                first >= cut.0 && last <= cut.1
            });
            match inside {
                None => kept.push(cut),
                Some(other) => self.note(format!(
                    "the pause at {} stays, as {} is there only",
                    Seconds(self.grid.time(cut.0)),
                    self.edit.describe(*other)
                )),
            }
        }
        kept
    }

    /// Takes frames out of the timeline: `pieces` lose them, other clips become shorter by them at their end.
    fn cut_out(&mut self, cuts: &[(i64, i64)], pieces: &BTreeSet<ClipRef>) -> Result<()> {
        for track in self.edit.tracks() {
            let clips: Vec<ClipRef> = self.edit.clips(track).collect();
            for own in clips {
                let range = self.frames(own);
                let kept = kept_frames(range, cuts);
                let cut_before = frames_cut_before(range.0, cuts);
                if kept == [range] {
                    if cut_before > 0 {
                        self.touch_time(own)?;
                        self.shift_frames(own, -cut_before)?;
                    }
                } else if pieces.contains(&own) {
                    self.divide(own, &kept, cuts)?;
                } else {
                    self.touch_time(own)?;
                    for cut in cuts.iter().rev() {
                        let cut = (cut.0.max(range.0), cut.1.min(range.1));
                        if cut.0 < cut.1 {
                            self.cut_words(own, range.0, cut)?;
                        }
                    }
                    let length: i64 = kept.iter().map(|(first, last)| last - first).sum();
                    self.trim_edges(own, range.0, range.0 + length)?;
                    self.shift_frames(own, -cut_before)?;
                }
            }
        }
        Ok(())
    }

    /// Leaves the kept frames of a clip, which are in order, as clips one after another.
    fn divide(&mut self, own: ClipRef, kept: &[(i64, i64)], cuts: &[(i64, i64)]) -> Result<()> {
        let mut pieces = Vec::with_capacity(kept.len());
        for (index, (first, last)) in kept.iter().enumerate().rev() {
            let piece = if index > 0 {
                self.split_clip(own, *first)?
            } else {
                own
            };
            self.trim_edges(piece, *first, *last)?;
            pieces.push((piece, *first));
        }
        // From the first one on, so that clips never pass each other.
        for (piece, first) in pieces.into_iter().rev() {
            self.shift_frames(piece, -frames_cut_before(first, cuts))?;
        }
        Ok(())
    }

    /// Moves the markers of the timeline along; those in a cut are where it was.
    fn cut_markers(&mut self, cuts: &[(i64, i64)]) -> Result<()> {
        for (index, marker) in self.edit.markers().iter().enumerate() {
            let frame = self.grid.frame(marker.at.micros);
            let cut_before = frames_cut_before(frame, cuts);
            if cut_before == 0 {
                continue;
            }
            let path = [
                PathPart::Key(root::TIME_MARKS),
                PathPart::Key("mark_items"),
                PathPart::Index(index),
                PathPart::Key("time_range"),
                PathPart::Key("start"),
            ];
            let time = self.grid.time(frame - cut_before);
            self.edit.set_at(RootRef, &path, &time)?;
        }
        Ok(())
    }

    /// The words of a caption when frames are taken out; `first` is its first frame.
    fn cut_words(&mut self, own: ClipRef, first: i64, (from, to): (i64, i64)) -> Result<()> {
        let Some(main) = self.edit.main_material(own) else {
            return Ok(());
        };
        let read = |key: &str| -> Option<Vec<f64>> {
            let raw = self.edit.raw(main, &["words", key])?;
            serde_json::from_slice(raw).ok()
        };
        let (Some(starts), Some(ends)) = (read("start_time"), read("end_time")) else {
            return Ok(());
        };
        let length = self.edit.target(own).duration as f64 / 1e3;
        let last = ends.iter().copied().fold(0.0, f64::max);
        if starts.is_empty() || last > length + TOLERANCE_MS {
            return Ok(());
        }
        let time = |frame: i64| (self.grid.time(frame) - self.grid.time(first)) as f64 / 1e3;
        let (from, to) = (time(from), time(to));
        let main = self.edit.own_copy(own, main)?;
        for (key, times) in [("start_time", starts), ("end_time", ends)] {
            let moved = times.iter().map(|at| {
                let at = if *at >= to {
                    at - (to - from)
                } else {
                    at.min(from)
                };
                at.round() as i64
            });
            let text = serde_json::to_string(&moved.collect::<Vec<i64>>()).unwrap_or_default();
            self.edit.set(main, &["words", key], &RawJson(&text))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_cut_on_frames_and_keep_their_edges() {
        let grid = Grid::new(10.0);
        let range = |start: i64, end: i64| TimeRange::between(start * 1_000, end * 1_000);
        let clip = range(1_000, 11_000);
        let speech = [
            range(500, 2_000),
            range(2_300, 4_000),
            range(6_050, 7_000),
            range(8_000, 9_000),
        ];
        let cuts = pauses_to_cut(clip, &speech, PauseRule::default(), grid);
        assert_eq!(cuts, [(41, 59), (71, 79), (91, 110)]);
        assert_eq!(
            kept_frames((10, 110), &cuts),
            [(10, 41), (59, 71), (79, 91)]
        );
        assert_eq!(kept_frames((41, 59), &cuts), []);
    }

    #[test]
    fn the_rest_of_a_word_at_an_edge_is_a_pause_unless_there_is_nothing_else() {
        let grid = Grid::new(100.0);
        let range = |start: i64, end: i64| TimeRange::between(start * 10_000, end * 10_000);
        let clip = range(100, 600);
        let rule = PauseRule::default();
        for (speech, expected) in [
            (
                vec![range(50, 102), range(200, 300), range(598, 700)],
                vec![(100, 190), (310, 600)],
            ),
            (
                vec![range(50, 110), range(200, 300)],
                vec![(120, 190), (310, 600)],
            ),
            (vec![range(50, 102), range(598, 700)], vec![(112, 588)]),
            (vec![range(300, 304)], vec![(100, 290), (314, 600)]),
        ] {
            assert_eq!(
                pauses_to_cut(clip, &speech, rule, grid),
                expected,
                "{speech:?}"
            );
        }
    }

    #[test]
    fn no_piece_of_a_clip_is_shorter_than_a_fifth_of_a_second() {
        let grid = Grid::new(100.0);
        let shorter = |cuts: &[(i64, i64)], clips: &[(i64, i64)]| {
            let cuts = without_short_pieces(cuts.to_vec(), clips.iter().copied(), grid);
            for clip in clips {
                for (from, to) in kept_frames(*clip, &cuts) {
                    assert!(to - from >= 20.min(clip.1 - clip.0), "{clip:?} {cuts:?}");
                }
            }
            cuts
        };
        // Both sides, the only side, and what one side does not have.
        assert_eq!(
            shorter(&[(10, 100), (110, 200)], &[(0, 300)]),
            [(20, 95), (115, 200)]
        );
        assert_eq!(shorter(&[(50, 100)], &[(0, 104)]), [(50, 84)]);
        assert_eq!(shorter(&[(98, 100), (104, 200)], &[(0, 300)]), [(118, 200)]);
        assert_eq!(shorter(&[(5, 10)], &[(0, 15)]), []);
        // What another clip keeps, of a clip that ends there.
        assert_eq!(shorter(&[(50, 97)], &[(0, 100), (97, 300)]), [(50, 80)]);
        assert_eq!(shorter(&[(50, 100)], &[(0, 100), (100, 300)]), [(50, 100)]);
    }
}
