//! Sets of times: ranges in their order that do not touch, in microseconds.

use capcut_draft::TimeRange;

/// The times that are in any of these ranges; pauses up to `bridged` between them count as in them.
pub(super) fn united(ranges: impl IntoIterator<Item = TimeRange>, bridged: i64) -> Vec<TimeRange> {
    let mut ranges: Vec<TimeRange> = ranges
        .into_iter()
        .filter(|range| range.duration > 0)
        .collect();
    ranges.sort_by_key(|range| range.start);
    let mut united: Vec<TimeRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match united.last_mut() {
            Some(last) if range.start - last.end() <= bridged => {
                *last = TimeRange::between(last.start, last.end().max(range.end()));
            }
            _ => united.push(range),
        }
    }
    united
}

/// The times of `from` that are not in `other`; both are sets.
pub(super) fn without(from: &[TimeRange], other: &[TimeRange]) -> Vec<TimeRange> {
    let mut left = Vec::new();
    for range in from {
        let mut at = range.start;
        let first = other.partition_point(|other| other.end() <= range.start);
        for cut in &other[first..] {
            if cut.start >= range.end() {
                break;
            }
            if cut.start > at {
                left.push(TimeRange::between(at, cut.start));
            }
            at = at.max(cut.end());
        }
        if at < range.end() {
            left.push(TimeRange::between(at, range.end()));
        }
    }
    left
}

/// The times of a set that are in a range.
pub(super) fn within(set: &[TimeRange], range: TimeRange) -> Vec<TimeRange> {
    let first = set.partition_point(|own| own.end() <= range.start);
    let own = set[first..].iter();
    own.take_while(|own| own.start < range.end())
        .map(|own| TimeRange::between(own.start.max(range.start), own.end().min(range.end())))
        .collect()
}

/// How long a set lasts.
pub(super) fn length(set: &[TimeRange]) -> i64 {
    set.iter().map(|range| range.duration).sum()
}

/// A set whose ranges begin earlier and end later.
pub(super) fn widened(set: &[TimeRange], by: i64) -> Vec<TimeRange> {
    let wide = set
        .iter()
        .map(|range| TimeRange::between(range.start - by, range.end() + by));
    united(wide, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(i64, i64)]) -> Vec<TimeRange> {
        ranges
            .iter()
            .map(|(start, end)| TimeRange::between(*start, *end))
            .collect()
    }

    #[test]
    fn sets_are_united_cut_and_widened() {
        let mixed = set(&[(5, 7), (0, 2), (1, 3), (9, 9), (8, 10)]);
        assert_eq!(united(mixed.clone(), 0), set(&[(0, 3), (5, 7), (8, 10)]));
        assert_eq!(united(mixed, 1), set(&[(0, 3), (5, 10)]));
        let whole = set(&[(0, 10), (20, 30)]);
        let cuts = set(&[(-5, 1), (2, 3), (9, 22), (29, 40)]);
        assert_eq!(without(&whole, &cuts), set(&[(1, 2), (3, 9), (22, 29)]));
        assert_eq!(without(&whole, &[]), whole);
        assert_eq!(without(&whole, &set(&[(0, 30)])), []);
        assert_eq!(
            within(&whole, TimeRange::between(8, 21)),
            set(&[(8, 10), (20, 21)])
        );
        assert_eq!(length(&whole), 20);
        assert_eq!(widened(&whole, 6), set(&[(-6, 36)]));
    }
}
