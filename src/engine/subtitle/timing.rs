//! Timing of cues: moves them by an offset, cuts short overlaps, and puts other overlapping cues on additional
//! tracks.

use std::collections::HashSet;

use super::cue::{Cue, Notes};
use crate::error::{Error, Result};
use crate::sorting;
use crate::units::{Micros, Range};

/// An overlap up to this length is not visible, so it is cut.
const SMALL: Micros = Micros(100_000);
/// Maximum captions at the same time; more cannot be read.
const LANES: usize = 8;

/// Cues by lane, without overlaps within a lane; the first lane has the most.
#[derive(Debug)]
pub(crate) struct Laid {
    pub lanes: Vec<Vec<Cue>>,
    pub notes: Notes,
}

/// Moves cues by `offset`; what would be before 0 s is cut or left out.
pub(super) fn moved(cues: Vec<Cue>, offset: Micros, notes: &mut Notes) -> Result<Vec<Cue>> {
    let mut first_gone: Option<(u64, Range)> = None;
    let mut moved = Vec::with_capacity(cues.len());
    for mut cue in cues {
        let (start, end) = (cue.range.start + offset, cue.range.end() + offset);
        if end <= Micros::ZERO {
            notes.of_cue(cue.number, "left out, because it ends before 0 s");
            first_gone = first_gone.or(Some((cue.number, Range::new(start, end - start))));
            continue;
        }
        if start < Micros::ZERO {
            notes.of_cue(cue.number, "cut, because it starts before 0 s");
        }
        let start = start.max(Micros::ZERO);
        cue.range = Range::new(start, end - start);
        for word in &mut cue.words {
            (word.start, word.end) = (word.start + offset, word.end + offset);
        }
        moved.push(cue);
    }
    match first_gone {
        Some((cue, range)) if moved.is_empty() => Err(Error::invalid(format!(
            "`time_offset`: every cue would end before 0 s: cue {cue} would be at {} to {}",
            range.start,
            range.end()
        ))
        .hint("give an offset in seconds that moves the cues to 0 s or later")),
        _ => Ok(moved),
    }
}

/// Distributes cues to lanes so that no cues overlap on a lane.
pub(super) fn lanes(mut cues: Vec<Cue>, notes: &mut Notes) -> Vec<Vec<Cue>> {
    sorting::sort_by_key(&mut cues, |cue| cue.range.start);
    let mut seen = HashSet::new();
    cues.retain(|cue| {
        let is_new = seen.insert((cue.range.start, cue.range.duration, cue.text.clone()));
        if !is_new {
            notes.of_cue(
                cue.number,
                "left out, because the same text is already shown at the same time",
            );
        }
        is_new
    });
    for later in 1..cues.len() {
        let next = cues[later].range.start;
        let cue = &mut cues[later - 1];
        let over = cue.range.end() - next;
        if cue.range.start < next && over > Micros::ZERO && over <= SMALL {
            cue.range.duration = next - cue.range.start;
            notes.of_cue(
                cue.number,
                "cut by up to 0.1 s, because the next cue starts before it ends",
            );
        }
    }
    let mut lanes: Vec<Vec<Cue>> = Vec::new();
    for cue in cues {
        let free = |lane: &Vec<Cue>| {
            lane.last()
                .is_none_or(|last| last.range.end() <= cue.range.start)
        };
        match lanes.iter().position(free) {
            Some(lane) => lanes[lane].push(cue),
            None if lanes.len() < LANES => lanes.push(vec![cue]),
            None => notes.of_cue(
                cue.number,
                format!("left out, because {LANES} other cues are shown at the same time"),
            ),
        }
    }
    lanes
}

/// The lines that are shown at the position and time of a cue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinesBelow {
    /// Of all earlier lanes.
    pub lines: usize,
    /// Of the first of them.
    pub lowest: usize,
}

/// For each cue of each lane, what earlier lanes show at its position and time; `lines` counts the lines of a cue.
pub(super) fn lines_below(
    lanes: &[Vec<Cue>],
    lines: impl Fn(&Cue) -> usize,
) -> Vec<Vec<LinesBelow>> {
    let mut below: Vec<Vec<LinesBelow>> = Vec::with_capacity(lanes.len());
    for (number, lane) in lanes.iter().enumerate() {
        let mut of_lane = vec![LinesBelow::default(); lane.len()];
        for lower in &lanes[..number] {
            let mut first = 0;
            for (cue, below) in lane.iter().zip(&mut of_lane) {
                while lower
                    .get(first)
                    .is_some_and(|other| other.range.end() <= cue.range.start)
                {
                    first += 1;
                }
                let beside = lower[first..]
                    .iter()
                    .take_while(|other| other.range.start < cue.range.end())
                    .filter(|other| {
                        !cue.place.pinned
                            && other.place.anchor == cue.place.anchor
                            && other.place.point == cue.place.point
                            && other.place.margins.map(|(.., end)| end)
                                == cue.place.margins.map(|(.., end)| end)
                    });
                let beside = beside.map(&lines).max().unwrap_or(0);
                if below.lines == 0 {
                    below.lowest = beside;
                }
                below.lines += beside;
            }
        }
        below.push(of_lane);
    }
    below
}

/// The cues of all lanes on one track: cues at the same time are joined, with the lines of the first lane last.
pub(super) fn joined(lanes: &[Vec<Cue>]) -> Vec<(Range, String)> {
    if let [lane] = lanes {
        return lane
            .iter()
            .map(|cue| (cue.range, cue.text.clone()))
            .collect();
    }
    let all = || lanes.iter().flatten();
    let mut times: Vec<Micros> = all()
        .flat_map(|cue| [cue.range.start, cue.range.end()])
        .collect();
    times.sort_unstable();
    times.dedup();
    // The current position in each lane.
    let mut at = vec![0; lanes.len()];
    let mut joined = Vec::new();
    for pair in times.windows(2) {
        let mut texts: Vec<&str> = Vec::new();
        for (lane, at) in lanes.iter().zip(&mut at) {
            while lane.get(*at).is_some_and(|cue| cue.range.end() <= pair[0]) {
                *at += 1;
            }
            texts.extend(
                lane.get(*at)
                    .filter(|cue| cue.range.start <= pair[0])
                    .map(|cue| cue.text.as_str()),
            );
        }
        if !texts.is_empty() {
            texts.reverse();
            joined.push((Range::new(pair[0], pair[1] - pair[0]), texts.join("\n")));
        }
    }
    joined
}
