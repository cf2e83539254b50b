//! The frame grid of a timeline, and the positions of a track's segments on it.

use crate::units::{Micros, Range};

/// Times that fall on frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    fps: f64,
}

impl Grid {
    pub(crate) fn new(fps: f64) -> Self {
        Self {
            fps: if fps.is_finite() && fps > 0.0 {
                fps
            } else {
                30.0
            },
        }
    }

    /// The frame nearest to `time`.
    pub(crate) fn frame(self, time: Micros) -> i64 {
        (time.0 as f64 * self.fps / 1e6).round() as i64
    }

    /// The last frame that begins at `time` or before.
    pub(crate) fn frame_before(self, time: Micros) -> i64 {
        ((time.0 + 1) as f64 * self.fps / 1e6).ceil() as i64 - 1
    }

    /// When frame `frame` begins.
    pub(crate) fn time(self, frame: i64) -> Micros {
        self.time_at(frame as f64)
    }

    /// The time after this many frames, rounded down as in all drafts that the apps saved (0 of 35,000 times
    /// are rounded up): CapCut 9.1 on Windows treats a time that is rounded up as the next frame.
    pub(crate) fn time_at(self, frames: f64) -> Micros {
        // Adds 0.001 µs: floating point may give slightly less than a whole number.
        Micros((frames * 1e6 / self.fps + 1e-3).floor() as i64)
    }

    pub(crate) fn snap(self, time: Micros) -> Micros {
        self.time(self.frame(time))
    }

    pub(crate) fn is_on(self, time: Micros) -> bool {
        self.snap(time) == time
    }
}

/// A segment's position before it is aligned to the grid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnalignedPosition {
    pub target: Range,
    /// Its start in the material; `None` if the material has no clock.
    pub source: Option<Micros>,
    pub speed: f64,
    /// The material's length; `None` if it has no end, such as a picture.
    pub media: Option<Micros>,
}

/// A segment's position on the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GridPosition {
    pub target: Range,
    pub source: Option<Range>,
    /// The segment was cut: the media is shorter than requested by more than a frame.
    pub cut: bool,
}

/// Aligns a track's segments, sorted by start, to the grid.
///
/// Neighbours that touch still touch: both edges are rounded, not the length. No segment becomes shorter than a
/// frame, and no overlap is introduced.
pub(crate) fn place(grid: Grid, wanted: &[UnalignedPosition]) -> Vec<GridPosition> {
    let mut places = Vec::with_capacity(wanted.len());
    let mut end_before = (i64::MIN, Micros(i64::MIN));
    for (index, segment) in wanted.iter().enumerate() {
        let mut start = grid.frame(segment.target.start).max(0);
        if start < end_before.0 && segment.target.start >= end_before.1 {
            start = end_before.0;
        }
        let mut end = grid.frame(segment.target.end()).max(start + 1);
        let touches = wanted
            .get(index + 1)
            .is_some_and(|next| next.target.start.0 - segment.target.end().0 <= 1);
        let source = segment.source.map(|source| {
            let (range, last) = source_range(grid, segment, source, (start, end), touches);
            end = last;
            range
        });
        let target = Range::new(grid.time(start), grid.time(end) - grid.time(start));
        let asked = segment.target.duration;
        places.push(GridPosition {
            target,
            source,
            cut: asked.0 - target.duration.0 > grid.time(1).0 * 3 / 2,
        });
        end_before = (end, segment.target.end());
    }
    places
}

/// The part of the material that fills the frames `start..end`, and the frame where it ends.
fn source_range(
    grid: Grid,
    segment: &UnalignedPosition,
    source: Micros,
    (start, mut end): (i64, i64),
    touches: bool,
) -> (Range, i64) {
    let stretch = |end: i64| {
        let target = grid.time(end) - grid.time(start);
        Micros((target.0 as f64 * segment.speed).round() as i64)
    };
    let mut first = grid.frame(source).max(0);
    let Some(media) = segment.media else {
        return (Range::new(grid.time(first), stretch(end)), end);
    };
    let beyond = |first: i64, end: i64| (grid.time(first) + stretch(end) - media).0;
    // Rounding up may require a part of a frame that the file does not have. The app then plays from the start
    // of the file, so the part is taken slightly earlier.
    let frame = grid.time(1).0;
    if beyond(first, end) > 1 && beyond(first, end) <= 2 * frame {
        let back = (beyond(first, end) as f64 / frame as f64).ceil() as i64;
        first = (first - back).max(0);
    }
    // If the next segment follows directly, the cut between them stays: at the start of the file the part
    // cannot be taken earlier, and a fraction of a frame beyond the end does no harm. All other segments end
    // with the file.
    let allowed = if touches && first == 0 { frame } else { 1 };
    if beyond(first, end) > allowed {
        // A file that plays fast may lack several of its own frames although it fills all but a part of the last
        // frame of the timeline: the cut stays then too, and the part ends with the file.
        let left = media - grid.time(first);
        if touches && left.0 > 0 && beyond(first, end) as f64 <= frame as f64 * segment.speed {
            return (Range::new(grid.time(first), left), end);
        }
        let fits = (media - grid.time(first)).0.max(0) as f64 / segment.speed;
        end = grid
            .frame_before(grid.time(start) + Micros(fits as i64))
            .clamp(start + 1, end);
        // At a high speed, one timeline frame may need more than the rest of the file.
        let last = grid.frame_before(media - Micros(1)).max(0);
        first = first.min(last);
        let left = (media - grid.time(first)).max(Micros(1));
        return (Range::new(grid.time(first), stretch(end).min(left)), end);
    }
    (Range::new(grid.time(first), stretch(end)), end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted(start: i64, duration: i64, source: i64, speed: f64, media: i64) -> UnalignedPosition {
        UnalignedPosition {
            target: Range::new(Micros(start), Micros(duration)),
            source: Some(Micros(source)),
            speed,
            media: Some(Micros(media)),
        }
    }

    #[test]
    fn times_are_rounded_to_frames_as_in_the_app() {
        let grid = Grid::new(30.0);
        assert_eq!(grid.snap(Micros(1_000_001)), Micros(1_000_000));
        assert_eq!(grid.snap(Micros(1_020_000)), Micros(1_033_333));
        for (frame, time) in [
            (2, 66_666),
            (11, 366_666),
            (30, 1_000_000),
            (188, 6_266_666),
        ] {
            assert_eq!(grid.time(frame), Micros(time));
            assert_eq!(grid.frame(Micros(time)), frame);
            assert_eq!(grid.frame_before(Micros(time)), frame);
            assert_eq!(grid.frame_before(Micros(time - 1)), frame - 1);
        }
        assert!(grid.is_on(Micros(33_333)) && grid.is_on(Micros(66_666)));
        assert!(!grid.is_on(Micros(66_667)) && !grid.is_on(Micros(40_000)));
        assert_eq!(
            Grid::new(30_000.0 / 1001.0).time(30_000),
            Micros(1_001_000_000)
        );
    }

    #[test]
    fn neighbours_that_touch_still_touch() {
        let places = place(
            Grid::new(30.0),
            &[
                wanted(0, 1_010_000, 0, 1.0, 9_000_000),
                wanted(1_010_000, 1_010_000, 0, 2.0, 9_000_000),
            ],
        );
        assert_eq!(places[0].target.end(), places[1].target.start);
        assert_eq!(
            places[1].source.unwrap().duration.0,
            places[1].target.duration.0 * 2
        );
    }

    #[test]
    fn a_whole_clip_ends_with_its_file() {
        let places = place(Grid::new(30.0), &[wanted(0, 4_990_000, 0, 1.0, 4_990_000)]);
        assert_eq!(places[0].target.duration, Micros(4_966_666));
        assert!(!places[0].cut);
    }

    #[test]
    fn a_part_at_the_end_of_the_file_starts_a_frame_earlier() {
        let places = place(
            Grid::new(30.0),
            &[wanted(0, 2_990_000, 2_000_000, 1.0, 4_990_000)],
        );
        let source = places[0].source.unwrap();
        assert!(source.end() <= Micros(4_990_000), "{source:?}");
        assert_eq!(places[0].target.duration, Micros(3_000_000));
    }

    #[test]
    fn a_segment_longer_than_its_media_is_cut_and_marked() {
        let places = place(Grid::new(30.0), &[wanted(0, 9_000_000, 0, 2.0, 4_000_000)]);
        assert_eq!(places[0].target.duration, Micros(2_000_000));
        assert!(places[0].cut);
    }

    proptest! {
        /// What `lint` requires of a segment: it lies within its file, and its length matches its speed, both
        /// to within a frame.
        #[test]
        fn lengths_agree_at_every_speed(
            speed in prop_oneof![(-3.0f64..3.0).prop_map(|power| 10f64.powf(power)), Just(100.0), Just(3.0), Just(1.0 / 3.0)],
            media in 1i64..5_000_000,
            (from, part) in (0.0f64..1.0, 0.0f64..=1.0),
            fps in prop_oneof![Just(24.0), Just(30.0), Just(60.0)],
        ) {
            let grid = Grid::new(fps);
            let source = (media as f64 * from) as i64;
            let length = (((media - source) as f64 * part) as i64).max(1);
            let target = (length as f64 / speed) as i64;
            let place = place(grid, &[wanted(0, target.max(1), source, speed, media)])[0];
            let frame = grid.time(1).0;
            let source = place.source.unwrap();
            prop_assert!(place.target.duration.0 >= frame && source.duration.0 > 0, "{:?}", place);
            prop_assert!(source.start.0 >= 0 && source.end().0 <= media + 1, "{:?} of {}", place, media);
            let implied = place.target.duration.0 as f64 * speed;
            let allowed = (frame as f64 * speed).max(2.0);
            prop_assert!((source.duration.0 as f64 - implied).abs() <= allowed, "{:?}", place);
        }

        #[test]
        fn placed_segments_are_on_the_grid_without_overlaps(
            steps in proptest::collection::vec((0i64..200_000, 1i64..3_000_000, 0i64..5_000_000, 0.1f64..8.0), 1..40),
            fps in prop_oneof![Just(24.0), Just(25.0), Just(30.0), Just(60.0)],
        ) {
            let grid = Grid::new(fps);
            let mut at = 0;
            let mut wanted = Vec::new();
            for (gap, duration, source, speed) in steps {
                at += gap;
                wanted.push(self::wanted(at, duration, source, speed, source + (duration as f64 * speed) as i64 + 1));
                at += duration;
            }
            let places = place(grid, &wanted);
            for (index, place) in places.iter().enumerate() {
                prop_assert!(place.target.duration.0 > 0);
                prop_assert!(grid.is_on(place.target.start) && grid.is_on(place.target.end()));
                let source = place.source.unwrap();
                let speed = wanted[index].speed;
                let exact = (place.target.duration.0 as f64 * speed).round() as i64;
                // The file may be too short even for the shortest segment, or for a part of the last frame before a
                // cut that stays.
                let lacks = exact - source.duration.0;
                let is_shortest = place.target.duration <= grid.time(1) + Micros(1);
                let before_cut = (grid.time(1).0 as f64 * speed) as i64 + 1;
                let touches = wanted
                    .get(index + 1)
                    .is_some_and(|next| next.target.start.0 - wanted[index].target.end().0 <= 1);
                let is_explained = is_shortest || touches && lacks <= before_cut;
                prop_assert!(lacks == 0 || lacks > 0 && is_explained);
                if let Some(next) = places.get(index + 1) {
                    prop_assert!(place.target.end() <= next.target.start);
                    let touched = wanted[index].target.end() == wanted[index + 1].target.start;
                    prop_assert!(!touched || place.cut || place.target.end() == next.target.start);
                }
            }
        }
    }
}
