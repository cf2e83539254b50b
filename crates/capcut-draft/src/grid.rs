//! Times in microseconds, and the frames of a timeline.

use std::fmt;

/// A stretch of time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    pub start: i64,
    pub duration: i64,
}

impl TimeRange {
    /// The range from one time to another.
    pub fn between(start: i64, end: i64) -> Self {
        Self {
            start,
            duration: end - start,
        }
    }

    pub fn end(self) -> i64 {
        self.start.saturating_add(self.duration)
    }

    pub(crate) fn contains(self, time: i64) -> bool {
        (self.start..self.end()).contains(&time)
    }
}

/// The frames of a timeline. The apps round the times of frames down to whole microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    fps: f64,
}

impl Grid {
    /// The grid of a frame rate; a rate that makes no sense counts as 30.
    pub fn new(fps: f64) -> Self {
        let is_usable = fps.is_finite() && (1.0..=1000.0).contains(&fps);
        Self {
            fps: if is_usable { fps } else { 30.0 },
        }
    }

    /// Frames per second.
    pub fn fps(self) -> f64 {
        self.fps
    }

    /// When a frame begins, rounded down as in all drafts that the apps saved.
    pub fn time(self, frame: i64) -> i64 {
        // Adds 0.001 µs: floating point may give slightly less than a whole number.
        (frame as f64 * 1e6 / self.fps + 1e-3).floor() as i64
    }

    /// The last frame that begins at `time` or before.
    pub fn frame(self, time: i64) -> i64 {
        (time.saturating_add(1) as f64 * self.fps / 1e6).ceil() as i64 - 1
    }

    /// The frame of an edge that is a sum of rounded times, up to 2 µs below a frame.
    pub(crate) fn frame_of_sum(self, time: i64) -> i64 {
        self.frame(time.saturating_add(2))
    }

    /// The first frame that begins at `time` or later.
    pub fn frame_from(self, time: i64) -> i64 {
        let frame = self.frame(time);
        frame + i64::from(self.time(frame) != time)
    }

    /// The time of the last frame at `time` or before.
    pub fn floor(self, time: i64) -> i64 {
        self.time(self.frame(time))
    }

    /// Whether a frame begins at this time.
    pub fn is_on(self, time: i64) -> bool {
        self.floor(time) == time
    }

    /// The length of a frame.
    pub(crate) fn one(self) -> i64 {
        self.time(1).max(1)
    }
}

/// A time for messages: `1.5 s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seconds(pub i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = (self.0 as f64 / 1e3).round() / 1e3;
        write!(f, "{seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_down_to_frames() {
        let grid = Grid::new(30.0);
        assert_eq!(grid.time(11), 366_666);
        assert_eq!(grid.floor(366_665), 333_333);
        assert_eq!(grid.floor(366_666), 366_666);
        assert_eq!(grid.floor(366_667), 366_666);
        assert_eq!(grid.floor(1_100_000), 1_100_000);
        assert_eq!(grid.frame_of_sum(1_066_666 + 2_033_333), 93);
        for fps in [23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0] {
            let grid = Grid::new(fps);
            for frame in 0..10_000 {
                assert_eq!(grid.frame(grid.time(frame)), frame, "{fps} {frame}");
            }
        }
    }
}
