//! Where somebody speaks, and where it is silent, from levels.

use serde::{Deserialize, Serialize};

use crate::levels::{FLOOR_DB, Level, PER_SECOND, percentile};

/// A range of a sound, in seconds from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Seconds.
    pub start: f64,
    /// Seconds; after `start`.
    pub end: f64,
}

impl Span {
    /// A range between two times in seconds.
    pub fn new(start: f64, end: f64) -> Self {
        Self { start, end }
    }

    /// Seconds.
    pub fn duration(&self) -> f64 {
        self.end - self.start
    }
}

/// The ranges between spans that are in order, from 0 to `duration` seconds.
pub fn gaps(spans: &[Span], duration: f64) -> Vec<Span> {
    let mut gaps = Vec::new();
    let mut reached = 0.0;
    for span in spans {
        if span.start > reached {
            gaps.push(Span::new(reached, span.start));
        }
        reached = span.end.max(reached);
    }
    if duration > reached {
        gaps.push(Span::new(reached, duration));
    }
    gaps
}

/// The parts of spans, in order, that are between two times in seconds.
pub fn overlaps(spans: &[Span], start: f64, end: f64) -> Vec<Span> {
    let parts = spans.iter().map(|span| Span {
        start: span.start.max(start),
        end: span.end.min(end),
    });
    parts.filter(|part| part.end > part.start).collect()
}

/// Pauses from this length on split speech, in levels of 10 ms.
const PAUSE: usize = 20;
/// Shorter sounds are clicks and breaths, in levels of 10 ms.
const SHORTEST: usize = 10;
/// Without a pause for this many levels (8 s), the background is looked for again.
const BREATHLESS: usize = 800;
/// The most that the background may be below the voice, in hundredths of a decibel.
const MOST_RANGE: f32 = 6_000.0;

/// Where the voice stands out of the background: a level that begins a span and a lower one that ends it, both between
/// the background and the voice of the file. Levels tell a voice from noise, not from music.
pub(crate) fn speech(levels: &[Level]) -> Vec<Span> {
    let Some(voice) = voice(levels) else {
        return Vec::new();
    };
    let background = f32::from(percentile(&mut levels.to_vec(), 0.10));
    let found = stand_out(levels, voice, background);
    let is_breathless = |found: &[(usize, usize)]| found.iter().any(|(a, b)| b - a > BREATHLESS);
    if is_breathless(&found) {
        // Digital silence before or after a recording is not its background.
        let least = (FLOOR_DB * 100.0) as Level + 300;
        let mut heard: Vec<Level> = levels.iter().copied().filter(|l| *l > least).collect();
        if heard.len() < levels.len() {
            let background = f32::from(percentile(&mut heard, 0.10));
            return spans(&stand_out(levels, voice, background), levels.len());
        }
    }
    spans(&found, levels.len())
}

/// The usual level of the loud parts; `None` if nothing is audible.
fn voice(levels: &[Level]) -> Option<f32> {
    // The loudest 50 ms do not count: clicks.
    let mut sorted = levels.to_vec();
    let index = sorted.len().checked_sub(6)?;
    let peak = *sorted.select_nth_unstable(index).1;
    if peak < -6_000 {
        return None;
    }
    sorted.retain(|level| *level > peak - 2_500);
    Some(f32::from(percentile(&mut sorted, 0.85)))
}

fn stand_out(levels: &[Level], voice: f32, background: f32) -> Vec<(usize, usize)> {
    let range = (voice - background).clamp(600.0, MOST_RANGE);
    let background = background.max(voice - MOST_RANGE);
    let begins = (background + (range * 0.30).max(400.0)) as i32;
    let lasts = (background + (range * 0.18).max(250.0)) as i32;
    let at = |index: usize| i32::from(levels[index]);
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut index = 0;
    while index < levels.len() {
        if at(index) < begins {
            index += 1;
            continue;
        }
        let mut start = index;
        while start > 0 && at(start - 1) >= lasts {
            start -= 1;
        }
        while index < levels.len() && at(index) >= lasts {
            index += 1;
        }
        match found.last_mut() {
            Some(last) if start < last.1 + PAUSE => last.1 = index,
            _ => found.push((start, index)),
        }
    }
    found.retain(|(start, end)| end - start >= SHORTEST);
    found
}

/// Levels below this, in hundredths of a decibel of full scale, are silence.
const SILENT: Level = -5_000;
/// The shortest silence, in levels of 10 ms.
const SHORTEST_SILENCE: usize = 30;

/// Where all is below −50 dB of full scale for at least 0.3 s.
pub(crate) fn silence(levels: &[Level]) -> Vec<Span> {
    let mut found = Vec::new();
    let mut start = None;
    for (index, level) in levels.iter().chain([&0]).enumerate() {
        match (start, *level < SILENT) {
            (None, true) => start = Some(index),
            (Some(from), false) => {
                if index - from >= SHORTEST_SILENCE {
                    found.push((from, index));
                }
                start = None;
            }
            _ => {}
        }
    }
    spans(&found, levels.len())
}

fn spans(found: &[(usize, usize)], count: usize) -> Vec<Span> {
    let seconds = |index: usize| index.min(count) as f64 / PER_SECOND as f64;
    found
        .iter()
        .map(|(start, end)| Span::new(seconds(*start), seconds(*end)))
        .collect()
}
