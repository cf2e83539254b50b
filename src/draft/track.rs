//! Tracks, their kinds and their render order. The segments of a track do not overlap.

use serde::{Deserialize, Serialize};

use crate::draft::ids::Id;
use crate::draft::segment::Segment;
use crate::units::{Micros, Range};

/// What a track holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TrackKind {
    /// Videos and pictures.
    Video,
    Audio,
    Text,
    Sticker,
    Effect,
    Filter,
}

impl TrackKind {
    /// The name in documents, and the default name of a track.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Text => "text",
            Self::Sticker => "sticker",
            Self::Effect => "effect",
            Self::Filter => "filter",
        }
    }

    /// The render index of the first track of this kind.
    pub(crate) fn base(self) -> f64 {
        match self {
            Self::Video | Self::Audio => 0.0,
            Self::Effect => 10000.0,
            Self::Filter => 11000.0,
            Self::Sticker => 14000.0,
            Self::Text => 15000.0,
        }
    }
}

/// A row of segments that do not overlap.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Track {
    pub id: Id,
    /// Unique in the draft, over all kinds.
    pub name: Box<str>,
    pub kind: TrackKind,
    /// Tracks with a higher index are in front.
    pub render_index: f64,
    /// In order of addition.
    segments: Vec<Segment>,
    /// Indexes into `segments`, sorted by start and end.
    by_time: Vec<u32>,
}

impl Track {
    pub(crate) fn new(id: Id, name: &str, kind: TrackKind, render_index: f64) -> Self {
        Self {
            id,
            name: name.into(),
            kind,
            render_index,
            segments: Vec::new(),
            by_time: Vec::new(),
        }
    }

    /// In order of addition.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// A segment to set keyframes on. Its time range must not change.
    pub(crate) fn segment_mut(&mut self, place: usize) -> &mut Segment {
        &mut self.segments[place]
    }

    /// In chronological order.
    pub(crate) fn in_time(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.by_time
            .iter()
            .map(|&place| &self.segments[place as usize])
    }

    /// The end of the last segment.
    pub(crate) fn end(&self) -> Option<Micros> {
        self.segments
            .iter()
            .map(|segment| segment.target.end())
            .max()
    }

    /// The segment that overlaps `range`. As none overlap each other, only the last one that starts before the
    /// end of `range` can.
    pub(crate) fn in_the_way(&self, range: Range) -> Option<&Segment> {
        let after = self
            .by_time
            .partition_point(|&place| self.segments[place as usize].target.start < range.end());
        let last = &self.segments[*self.by_time.get(after.checked_sub(1)?)? as usize];
        last.target.overlaps(range).then_some(last)
    }

    /// The index in [`Track::segments`] of the segment that covers a time, bounds included. If several do, the
    /// one that was added first.
    pub(crate) fn covering(&self, time: Micros) -> Option<usize> {
        let started = self
            .by_time
            .partition_point(|&place| self.segments[place as usize].target.start <= time);
        // As none overlap, their ends are sorted too.
        let covering = self.by_time[..started].iter().rev();
        covering
            .map(|&place| place as usize)
            .take_while(|&place| self.segments[place].covers(time))
            .min()
    }

    /// The earliest start from `range.start` on where `range.duration` is free.
    pub(crate) fn free_after(&self, range: Range) -> Micros {
        let mut start = range.start;
        let first = self
            .by_time
            .partition_point(|&place| self.segments[place as usize].target.end() <= start);
        for &place in &self.by_time[first..] {
            let taken = self.segments[place as usize].target;
            if taken.start >= start + range.duration {
                break;
            }
            start = start.max(taken.end());
        }
        start
    }

    /// Adds a segment whose range is known to be free.
    pub(crate) fn push(&mut self, segment: Segment) {
        let key = (segment.target.start, segment.target.end());
        let at = self.by_time.partition_point(|&place| {
            let target = self.segments[place as usize].target;
            (target.start, target.end()) <= key
        });
        self.by_time.insert(at, self.segments.len() as u32);
        self.segments.push(segment);
    }

    /// Recomputes the lengths of the segments; each ends at the start of the next one at the latest.
    pub(crate) fn fit(&mut self, mut length: impl FnMut(&mut Segment)) {
        for place in (0..self.by_time.len()).rev() {
            let next = self
                .by_time
                .get(place + 1)
                .map(|&next| self.segments[next as usize].target.start);
            let segment = &mut self.segments[self.by_time[place] as usize];
            let before = segment.target;
            length(segment);
            if let Some(next) = next
                && segment.target != before
                && segment.target.end() > next
            {
                segment.cut(next - segment.target.start);
            }
        }
    }
}
