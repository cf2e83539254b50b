//! The draft itself and its compound clips: where and when what is in them is seen.

use capcut_draft::TimeRange;

use super::is_still;
use super::texts::{Area, place};
use crate::geometry::Affine;
use crate::movie::{Clip, Movie, Timeline, What};

/// How many compound clips are reviewed.
const MOST: usize = 1_000;

/// The draft, or a compound clip of it.
#[derive(Clone, Debug)]
pub(super) struct Inside<'m> {
    pub timeline: &'m Timeline,
    /// The clips that contain it with their timelines, the outermost first; none for the draft.
    pub outer: Vec<(&'m Timeline, &'m Clip)>,
}

impl<'m> Inside<'m> {
    /// The draft, and then all compound clips in it.
    pub(super) fn all(movie: &'m Movie) -> Vec<Self> {
        let mut all = vec![Self {
            timeline: &movie.timelines[0],
            outer: Vec::new(),
        }];
        let mut index = 0;
        while index < all.len() {
            let own = all[index].clone();
            index += 1;
            for clip in own.timeline.tracks.iter().flat_map(|track| &track.clips) {
                let What::Compound(inner) = clip.what else {
                    continue;
                };
                if all.len() >= MOST {
                    return all;
                }
                let mut outer = own.outer.clone();
                outer.push((own.timeline, clip));
                all.push(Self {
                    timeline: &movie.timelines[inner],
                    outer,
                });
            }
        }
        all
    }

    /// Whether operations can change its clips.
    pub(super) fn is_draft(&self) -> bool {
        self.outer.is_empty()
    }

    /// What a finding adds on clips that operations cannot change.
    pub(super) fn advice(&self) -> &'static str {
        if self.is_draft() {
            ""
        } else {
            "; it is in a compound clip: change it in the app, or take the compound clip apart with `ungroup`"
        }
    }

    /// When something in it is seen in the draft. The duration is 0 or less if it never is.
    pub(super) fn range(&self, inner: TimeRange) -> TimeRange {
        self.outer.iter().rev().fold(inner, |range, (_, clip)| {
            let (clock, target) = (&clip.clock, clip.clock.target);
            TimeRange::between(
                clock.time_of(range.start as f64).max(target.start),
                clock.time_of(range.end() as f64).min(target.end()),
            )
        })
    }

    /// The time in it at a time of the draft.
    pub(super) fn time(&self, at: i64) -> i64 {
        self.outer
            .iter()
            .fold(at, |at, (_, clip)| clip.clock.source_at(at).round() as i64)
    }

    /// From pixels of its canvas to those of the draft, at a time of the draft.
    pub(super) fn map(&self, at: i64) -> Affine {
        let maps = self.maps(at);
        maps.last().map_or(Affine::IDENTITY, |(map, _)| *map)
    }

    /// What can be seen of it on the canvas of the draft, at a time of the draft.
    pub(super) fn frame(&self, at: i64) -> Area {
        let draft = self.outer.first().map_or(self.timeline, |(draft, _)| draft);
        let whole = place(Affine::IDENTITY, draft.canvas).1;
        self.maps(at)
            .into_iter()
            .fold(whole, |frame, (map, canvas)| {
                let own = place(map, canvas).1;
                Area {
                    left: frame.left.max(own.left),
                    top: frame.top.max(own.top),
                    right: frame.right.min(own.right),
                    bottom: frame.bottom.min(own.bottom),
                }
            })
    }

    /// The canvas of each compound clip around it and its own, with the map to the canvas of the draft.
    fn maps(&self, at: i64) -> Vec<(Affine, (f64, f64))> {
        let inner = self.outer.iter().skip(1).map(|(timeline, _)| *timeline);
        let inner = inner.chain([self.timeline]);
        let mut at = at;
        let mut map = Affine::IDENTITY;
        let mut maps = Vec::new();
        for ((timeline, clip), inner) in self.outer.iter().zip(inner) {
            map = clip.place(timeline.canvas, inner.canvas, at).then(map);
            at = clip.clock.source_at(at).round() as i64;
            maps.push((map, inner.canvas));
        }
        maps
    }

    /// From 0 to 1, at a time of the draft.
    pub(super) fn opacity(&self, at: i64) -> f64 {
        let mut at = at;
        let mut opacity = 1.0;
        for (_, clip) in &self.outer {
            opacity *= clip.value(&clip.opacity, at).clamp(0.0, 1.0);
            at = clip.clock.source_at(at).round() as i64;
        }
        opacity
    }

    pub(super) fn is_still(&self) -> bool {
        self.outer.iter().all(|(_, clip)| is_still(clip))
    }
}
