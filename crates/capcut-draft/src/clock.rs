//! The time in a file that belongs to a time on the timeline.

use crate::document::{ClipRef, Document, MaterialRef};
use crate::field::{clip, material};
use crate::grid::TimeRange;
use crate::kinds::ClipKind;

/// The slowest and the fastest playback that is followed. The apps have 0.1 to 100.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.01..=1000.0;

/// A point of a speed curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeedPoint {
    /// Part of the source range, from 0 to 1.
    pub at: f64,
    /// The factor there; between points it changes in a straight line.
    pub speed: f64,
}

/// Which part of a file a clip shows, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// On the timeline, microseconds.
    pub target: TimeRange,
    /// In the file, microseconds.
    pub source: TimeRange,
    pub speed: f64,
    /// Empty, or at least two points from 0 to 1 in their order.
    pub curve: Vec<SpeedPoint>,
}

impl Clock {
    /// A clock; a speed and points of a curve that make no sense are left out, and others are limited.
    #[must_use]
    pub fn new(target: TimeRange, source: TimeRange, speed: f64, curve: Vec<SpeedPoint>) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 {
            speed.clamp(*SPEEDS.start(), *SPEEDS.end())
        } else {
            1.0
        };
        Self {
            target,
            source,
            speed,
            curve: usable(curve),
        }
    }

    /// The time in the file at a time on the timeline, both in microseconds. Before and after the clip, as for the
    /// handles of a transition, it continues with the speed at that end; it may be less than 0 or beyond the file.
    #[must_use]
    pub fn source_at(&self, time: i64) -> f64 {
        let start = self.source.start as f64;
        let elapsed = (time - self.target.start) as f64;
        if self.curve.is_empty() || self.source.duration <= 0 || self.target.duration <= 0 {
            return start + elapsed * self.speed;
        }
        let length = self.source.duration as f64;
        let target = self.target.duration as f64;
        // A part of the file takes its length divided by the factor; all of them together take the clip's length.
        let whole: f64 = self.curve.windows(2).map(time_of).sum();
        let mut left = elapsed / target * whole;
        if left < 0.0 {
            return start + left * self.curve[0].speed * length;
        }
        for pair in self.curve.windows(2) {
            let time = time_of(pair);
            if left <= time {
                return start + part_after(pair, left) * length;
            }
            left -= time;
        }
        let last = self.curve.last().map_or(1.0, |point| point.speed);
        start + (1.0 + left * last) * length
    }

    /// The time on the timeline at a time in the file, both in microseconds.
    #[must_use]
    pub fn time_of(&self, source: f64) -> i64 {
        let start = self.target.start;
        if self.curve.is_empty() {
            let elapsed = (source - self.source.start as f64) / self.speed;
            return start.saturating_add(elapsed.round() as i64);
        }
        let (mut low, mut high) = (start, self.target.end());
        if source <= self.source_at(low) {
            return low;
        }
        while high - low > 1 {
            let middle = i64::midpoint(low, high);
            if self.source_at(middle) <= source {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The factor at a time on the timeline.
    #[must_use]
    pub fn speed_at(&self, time: i64) -> f64 {
        if self.curve.is_empty() {
            return self.speed;
        }
        (self.source_at(time + 500) - self.source_at(time - 500)) / 1000.0
    }
}

impl Document {
    /// Which part of its file a clip plays, and how fast.
    #[must_use]
    pub fn clock(&self, own: ClipRef) -> Clock {
        let target = self.target(own);
        let source = self.get(own, &clip::SOURCE).unwrap_or(TimeRange {
            start: 0,
            duration: target.duration,
        });
        if !matches!(
            self.clip_kind(own),
            ClipKind::Video | ClipKind::Audio | ClipKind::Compound | ClipKind::Image
        ) {
            return Clock::new(target, source, 1.0, Vec::new());
        }
        let companion = self.companion(own, &["speeds"]);
        let speed = self
            .get(own, &clip::SPEED)
            .or_else(|| self.get(companion?, &material::SPEED))
            .unwrap_or(1.0);
        let curve = companion.map_or_else(Vec::new, |companion| self.speed_curve(companion));
        Clock::new(target, source, speed, curve)
    }

    fn speed_curve(&self, companion: MaterialRef) -> Vec<SpeedPoint> {
        let points = self.raw(companion, &["curve_speed", "speed_points"]);
        let points = points.and_then(|raw| serde_json::from_slice::<serde_json::Value>(raw).ok());
        let points = points.as_ref().and_then(serde_json::Value::as_array);
        let points = points.into_iter().flatten();
        points
            .filter_map(|point| {
                Some(SpeedPoint {
                    at: point.get("x")?.as_f64()?,
                    speed: point.get("y")?.as_f64()?,
                })
            })
            .collect()
    }
}

/// The points of a curve, if they are one.
fn usable(mut curve: Vec<SpeedPoint>) -> Vec<SpeedPoint> {
    let is_usable = |point: &SpeedPoint| {
        (0.0..=1.0).contains(&point.at) && point.speed.is_finite() && point.speed > 0.0
    };
    curve.retain(is_usable);
    curve.sort_by(|a, b| a.at.total_cmp(&b.at));
    curve.dedup_by(|next, own| next.at <= own.at);
    curve.truncate(1000);
    for point in &mut curve {
        point.speed = point.speed.clamp(*SPEEDS.start(), *SPEEDS.end());
    }
    let (Some(first), Some(last)) = (curve.first().copied(), curve.last().copied()) else {
        return Vec::new();
    };
    if first.at > 0.0 {
        curve.insert(0, SpeedPoint { at: 0.0, ..first });
    }
    if last.at < 1.0 {
        curve.push(SpeedPoint { at: 1.0, ..last });
    }
    curve
}

fn slope(pair: &[SpeedPoint]) -> f64 {
    (pair[1].speed - pair[0].speed) / (pair[1].at - pair[0].at)
}

/// How long the part between two points takes, in lengths of the source.
fn time_of(pair: &[SpeedPoint]) -> f64 {
    let slope = slope(pair);
    if slope.abs() < 1e-9 {
        (pair[1].at - pair[0].at) / pair[0].speed
    } else {
        (pair[1].speed / pair[0].speed).ln() / slope
    }
}

/// The part of the source that is reached after a time from the first of two points.
fn part_after(pair: &[SpeedPoint], time: f64) -> f64 {
    let slope = slope(pair);
    let from = pair[0];
    let part = if slope.abs() < 1e-9 {
        time * from.speed
    } else {
        from.speed * (slope * time).exp_m1() / slope
    };
    (from.at + part).min(pair[1].at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, duration: i64) -> TimeRange {
        TimeRange { start, duration }
    }

    #[test]
    fn source_times_follow_the_speed() {
        let clock = Clock::new(range(1000, 500), range(7000, 1000), 2.0, Vec::new());
        assert_eq!(
            [1000, 1250, 1500, 900].map(|time| clock.source_at(time)),
            [7000.0, 7500.0, 8000.0, 6800.0]
        );
        for speed in [0.0, -3.0, f64::NAN, f64::INFINITY] {
            assert_eq!(
                Clock::new(range(0, 1), range(0, 1), speed, Vec::new()).speed,
                1.0
            );
        }
    }

    #[test]
    fn a_speed_curve_ends_where_the_source_ends() {
        let points = [(0.0, 0.9), (0.1, 0.9), (0.5, 6.8), (0.65, 0.3), (1.0, 1.0)];
        let curve = points.map(|(at, speed)| SpeedPoint { at, speed }).to_vec();
        let clock = Clock::new(range(0, 4_000_000), range(1_000_000, 8_000_000), 2.0, curve);
        assert!((clock.source_at(0) - 1e6).abs() < 1.0);
        assert!((clock.source_at(4_000_000) - 9e6).abs() < 1.0);
        assert!((clock.time_of(clock.source_at(1_234_567)) - 1_234_567).abs() <= 1);
        let mut last = 0.0;
        for time in (-400_000..4_400_000).step_by(20_000) {
            let source = clock.source_at(time);
            assert!(source > last, "{time}: {source} after {last}");
            last = source;
        }
        // The speeds at two places have the ratio of the curve.
        let ratio = clock.speed_at(3_999_000) / clock.speed_at(1_000);
        assert!((ratio - 1.0 / 0.9).abs() < 0.01, "{ratio}");
    }

    #[test]
    fn curves_of_damaged_documents_are_left_out_or_mended() {
        let of = |points: &[(f64, f64)]| {
            let curve = points.iter().map(|&(at, speed)| SpeedPoint { at, speed });
            Clock::new(range(0, 10), range(0, 10), 1.0, curve.collect()).curve
        };
        assert_eq!(of(&[(f64::NAN, 1.0), (2.0, 1.0), (0.5, -1.0)]), []);
        assert_eq!(of(&[(0.7, 1.0), (0.2, 3.0), (0.2, 5.0)]).len(), 4);
    }
}
