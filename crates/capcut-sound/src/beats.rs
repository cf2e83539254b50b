//! Beats: onsets as the growth of a mel spectrum, a period that may drift, and the beats that fit both best.
//!
//! After Ellis, "Beat Tracking by Dynamic Programming" (2007), with a period for each second that a Viterbi search
//! chooses among the autocorrelations of 10 s.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use serde::{Deserialize, Serialize};

use crate::resample::RATE;

/// The beats of a sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Beats {
    /// Seconds, in order.
    pub times: Vec<f64>,
    /// Beats per minute, the median; 0 without beats.
    pub tempo: f64,
    /// From 0 to 1: how regular the onsets are. Below [`Beats::UNCERTAIN`], the beats are a guess.
    pub confidence: f64,
}

impl Beats {
    /// Below this confidence there may be no beat: speech and noise are below it.
    pub const UNCERTAIN: f64 = 0.35;

    pub fn is_certain(&self) -> bool {
        self.confidence >= Self::UNCERTAIN
    }
}

/// Samples between two frames: 10 ms.
const HOP: usize = 160;
const WINDOW: usize = 1_024;
const BANDS: usize = 40;
/// Bands of the bass, which count more.
const BASS: usize = 6;
/// The periods that are looked for, in frames: 214 to 54.5 beats per minute.
const SHORTEST: usize = 28;
const LONGEST: usize = 110;
const PERIODS: usize = LONGEST - SHORTEST + 1;
/// Frames between two estimates of the period, and on each side of one.
const STEP: usize = 100;
const REACH: usize = 500;
/// Less than 2 s have no tempo.
const LEAST: usize = 200;
/// How much later than a frame's time its onset is, in seconds; measured with clicks.
const DELAY: f64 = 0.011;

/// Turns samples at 16 kHz into onsets.
pub(crate) struct OnsetDetector {
    transform: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    input: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// For each band its first bin and the weights from there.
    bands: Vec<(usize, Vec<f32>)>,
    pending: Vec<f32>,
    previous: [[f32; BANDS]; 2],
    frames: usize,
    onsets: Vec<f32>,
}

impl OnsetDetector {
    pub(crate) fn new() -> Self {
        let transform = RealFftPlanner::<f32>::new().plan_fft_forward(WINDOW);
        let hann = |index: usize| {
            0.5 - 0.5 * (2.0 * std::f32::consts::PI * index as f32 / WINDOW as f32).cos()
        };
        Self {
            input: transform.make_input_vec(),
            spectrum: transform.make_output_vec(),
            scratch: transform.make_scratch_vec(),
            transform,
            window: (0..WINDOW).map(hann).collect(),
            bands: bands(),
            // The first frame is centred on the first sample.
            pending: vec![0.0; WINDOW / 2],
            previous: [[0.0; BANDS]; 2],
            frames: 0,
            onsets: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, sample: f32) {
        self.pending.push(sample);
        if self.pending.len() >= WINDOW + 16 * HOP {
            self.process();
        }
    }

    fn process(&mut self) {
        let mut start = 0;
        while start + WINDOW <= self.pending.len() {
            self.frame(start);
            start += HOP;
        }
        self.pending.drain(..start);
    }

    fn frame(&mut self, start: usize) {
        let samples = self.pending[start..start + WINDOW].iter();
        for ((slot, sample), weight) in self.input.iter_mut().zip(samples).zip(&self.window) {
            *slot = sample * weight;
        }
        // The lengths are those of the plan.
        let _ = self.transform.process_with_scratch(
            &mut self.input,
            &mut self.spectrum,
            &mut self.scratch,
        );
        let magnitudes: Vec<f32> = self.spectrum.iter().map(|bin| bin.norm()).collect();
        let mut now = [0f32; BANDS];
        for (value, (first, weights)) in now.iter_mut().zip(&self.bands) {
            let bins = magnitudes[*first..].iter().zip(weights);
            let sum: f32 = bins.map(|(magnitude, weight)| magnitude * weight).sum();
            *value = (1.0 + 20.0 * sum).ln();
        }
        let [before, last] = &self.previous;
        let mut flux = 0.0;
        if self.frames >= 2 {
            for band in 0..BANDS {
                let base = before[band].max(0.5 * (before[band] + last[band]));
                let weight = if band < BASS { 1.6 } else { 1.0 };
                flux += (now[band] - base).max(0.0) * weight;
            }
        }
        self.onsets.push(flux);
        self.previous = [*last, now];
        self.frames += 1;
    }

    pub(crate) fn finish(mut self) -> Beats {
        self.pending.resize(self.pending.len() + WINDOW / 2, 0.0);
        self.process();
        let mut onsets = std::mem::take(&mut self.onsets);
        drop(self);
        if !sharpen(&mut onsets) {
            return Beats::default();
        }
        track(&onsets)
    }
}

/// Triangles on the mel scale, from 30 to 7600 Hz.
fn bands() -> Vec<(usize, Vec<f32>)> {
    let mel = |hertz: f32| 2595.0 * (1.0 + hertz / 700.0).log10();
    let hertz = |mel: f32| 700.0 * (10f32.powf(mel / 2595.0) - 1.0);
    let (low, high) = (mel(30.0), mel(7_600.0));
    let edge = |index: usize| {
        let at = low + (high - low) * index as f32 / (BANDS + 1) as f32;
        hertz(at) * WINDOW as f32 / RATE as f32
    };
    (0..BANDS)
        .map(|band| {
            let (low, middle, high) = (edge(band), edge(band + 1), edge(band + 2));
            let first = low.floor() as usize;
            let last = (high.ceil() as usize).min(WINDOW / 2);
            let weight = |bin: usize| {
                let bin = bin as f32;
                let weight = if bin <= middle {
                    (bin - low) / (middle - low).max(0.5)
                } else {
                    (high - bin) / (high - middle).max(0.5)
                };
                weight.max(0.0)
            };
            (first, (first..=last).map(weight).collect())
        })
        .collect()
}

/// Takes off the local mean, scales to the usual strength, and smooths; false if there is nothing.
fn sharpen(onsets: &mut [f32]) -> bool {
    const AROUND: usize = 40;
    let count = onsets.len();
    if count < LEAST {
        return false;
    }
    let original = onsets.to_vec();
    let mut sum: f64 = original[..AROUND].iter().copied().map(f64::from).sum();
    let mut square = 0.0;
    for (index, onset) in onsets.iter_mut().enumerate() {
        // The sum of [index - AROUND, index + AROUND).
        if let Some(added) = original.get(index + AROUND - 1).filter(|_| index > 0) {
            sum += f64::from(*added);
        }
        if index > AROUND {
            sum -= f64::from(original[index - AROUND - 1]);
        }
        let width = (index + AROUND).min(count) - index.saturating_sub(AROUND);
        *onset = (f64::from(original[index]) - sum / width as f64).max(0.0) as f32;
        square += f64::from(*onset * *onset);
    }
    let deviation = (square / count as f64).sqrt() as f32;
    if deviation < 1e-3 {
        return false;
    }
    let mut last = (onsets[0] / deviation).min(6.0);
    let mut now = last;
    for index in 0..count {
        let next = onsets
            .get(index + 1)
            .map_or(now, |next| (next / deviation).min(6.0));
        onsets[index] = 0.25 * last + 0.5 * now + 0.25 * next;
        (last, now) = (now, next);
    }
    true
}

/// How well each period fits around a frame, and how regular the onsets there are, from 0 to 1.
fn periods(onsets: &[f32], centre: usize) -> ([f32; PERIODS], [f32; PERIODS]) {
    let range = centre.saturating_sub(REACH)..(centre + REACH).min(onsets.len());
    let part = &onsets[range];
    let mean = part.iter().sum::<f32>() / part.len().max(1) as f32;
    let part: Vec<f32> = part.iter().map(|onset| onset - mean).collect();
    let longest = LONGEST * 4 + 6;
    let likeness: Vec<f32> = (0..=longest)
        .map(|lag| match part.get(lag..) {
            Some(later) if !later.is_empty() => {
                later.iter().zip(&part).map(|(a, b)| a * b).sum::<f32>() / later.len() as f32
            }
            _ => 0.0,
        })
        .collect();
    // A period is not a whole number of frames.
    let near = |lag: usize, reach: usize| {
        let range = lag.saturating_sub(reach)..=(lag + reach).min(longest);
        likeness[range].iter().copied().fold(f32::MIN, f32::max)
    };
    let own = likeness[0].max(1e-9);
    let (mut fits, mut regular) = ([0f32; PERIODS], [0f32; PERIODS]);
    for index in 0..PERIODS {
        let lag = SHORTEST + index;
        let comb = 1.2 * likeness[lag]
            + 0.6 * near(2 * lag, 1)
            + 0.2 * near(3 * lag, 1)
            + near(4 * lag, 2);
        let tempo = 6_000.0 / lag as f32;
        let usual = (-0.5 * ((tempo / 110.0).log2() / 0.75).powi(2)).exp();
        fits[index] = (comb / own).max(0.0) * usual;
        regular[index] = (near(lag, 1).max(near(2 * lag, 1)) / own).clamp(0.0, 1.0);
    }
    let best = fits.iter().copied().fold(1e-9, f32::max);
    for fit in &mut fits {
        *fit = (*fit / best).max(1e-3).ln();
    }
    (fits, regular)
}

/// The period of each step, in frames, and the mean regularity along them.
fn path(onsets: &[f32]) -> (Vec<u8>, f64) {
    let steps = onsets.len().div_ceil(STEP);
    let mut score = [0f32; PERIODS];
    let mut from: Vec<[u8; PERIODS]> = Vec::with_capacity(steps);
    let mut regularities: Vec<[u8; PERIODS]> = Vec::with_capacity(steps);
    for step in 0..steps {
        let (fits, regular) = periods(onsets, step * STEP);
        regularities.push(regular.map(|value| (value * 255.0) as u8));
        let mut now = [0f32; PERIODS];
        let mut origin = [0u8; PERIODS];
        for to in 0..PERIODS {
            let (mut best, mut chosen) = (f32::MIN, to);
            for (before, earlier) in score.iter().enumerate() {
                let ratio = ((SHORTEST + to) as f32 / (SHORTEST + before) as f32)
                    .ln()
                    .abs();
                // Changes by more than a few percent are expensive.
                let cost = 90.0 * (ratio.min(0.06) / 0.06) * ratio.clamp(0.02, 1.0);
                if earlier - cost > best {
                    (best, chosen) = (earlier - cost, before);
                }
            }
            now[to] = fits[to] + if step == 0 { 0.0 } else { best };
            origin[to] = chosen as u8;
        }
        score = now;
        from.push(origin);
    }
    let mut period = (0..PERIODS)
        .max_by(|a, b| score[*a].total_cmp(&score[*b]))
        .unwrap_or(0);
    let mut path = vec![0u8; steps];
    let mut regularity = 0.0;
    for step in (0..steps).rev() {
        path[step] = (SHORTEST + period) as u8;
        regularity += f64::from(regularities[step][period]) / 255.0;
        period = usize::from(from[step][period]);
    }
    (path, regularity / steps.max(1) as f64)
}

fn track(onsets: &[f32]) -> Beats {
    const TIGHT: f32 = 120.0;
    let (periods, regularity) = path(onsets);
    let period_at = |frame: usize| f32::from(periods[(frame / STEP).min(periods.len() - 1)]);
    let count = onsets.len();
    let mut best = vec![0f32; count];
    let mut back = vec![u32::MAX; count];
    // The cost of each distance, for the period at hand.
    let mut costs: (f32, Vec<f32>) = (0.0, Vec::new());
    for frame in 0..count {
        let period = period_at(frame);
        let (near, far) = ((period * 0.6) as usize, (period * 1.6) as usize);
        if costs.0 != period {
            let cost = |distance| TIGHT * ((distance as f32 / period).ln()).powi(2);
            costs = (period, (near..=far).map(cost).collect());
        }
        let (mut value, mut origin) = (0.0, u32::MAX);
        for (distance, cost) in (near..=far).zip(&costs.1) {
            let Some(before) = frame.checked_sub(distance) else {
                break;
            };
            if best[before] - cost > value {
                (value, origin) = (best[before] - cost, before as u32);
            }
        }
        best[frame] = onsets[frame] + value;
        back[frame] = origin;
    }
    let from = count - (period_at(count) as usize).min(count);
    let last = (from..count).max_by(|a, b| best[*a].total_cmp(&best[*b]));
    let mut frames = Vec::new();
    let mut next = last;
    while let Some(frame) = next {
        frames.push(frame);
        next = (back[frame] != u32::MAX).then_some(back[frame] as usize);
    }
    frames.reverse();
    beats(onsets, &frames, regularity)
}

fn beats(onsets: &[f32], frames: &[usize], regularity: f64) -> Beats {
    let mut sorted = onsets.to_vec();
    let index = (sorted.len() - 1) * 9 / 10;
    let least = *sorted.select_nth_unstable_by(index, f32::total_cmp).1 * 0.15;
    drop(sorted);
    let strength = |frame: usize| {
        let around = frame.saturating_sub(4)..(frame + 5).min(onsets.len());
        onsets[around].iter().copied().fold(0.0, f32::max)
    };
    let is_heard = |frame: &&usize| strength(**frame) > least.max(1e-3);
    // Beats before the first and after the last onset are not heard.
    let first = frames.iter().position(|frame| is_heard(&frame));
    let last = frames.iter().rposition(|frame| is_heard(&frame));
    let (Some(first), Some(last)) = (first, last) else {
        return Beats::default();
    };
    let frames = &frames[first..=last];
    if frames.len() < 4 {
        return Beats::default();
    }
    let on_onset = frames.iter().filter(is_heard).count() as f64 / frames.len() as f64;
    let times: Vec<f64> = frames
        .iter()
        .map(|frame| (*frame as f64 + peak_offset(onsets, *frame)) * 0.01 + DELAY)
        .map(|time| (time * 1e4).round() / 1e4)
        .collect();
    let mut steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_by(f64::total_cmp);
    Beats {
        tempo: 60.0 / steps[steps.len() / 2],
        times,
        confidence: (regularity * on_onset).clamp(0.0, 1.0),
    }
}

/// Where between frames a peak is.
fn peak_offset(onsets: &[f32], frame: usize) -> f64 {
    if frame == 0 || frame + 1 >= onsets.len() {
        return 0.0;
    }
    let (before, at, after) = (onsets[frame - 1], onsets[frame], onsets[frame + 1]);
    let bend = before - 2.0 * at + after;
    if bend >= 0.0 {
        return 0.0;
    }
    f64::from((0.5 * (before - after) / bend).clamp(-0.5, 0.5))
}
