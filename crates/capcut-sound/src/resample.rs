//! Mono at 16 kHz, which speech and beats are found in.

use std::f64::consts::PI;

/// Hz.
pub(crate) const RATE: u32 = 16_000;

/// Positions between two samples for which the filter is computed beforehand.
const PHASES: usize = 128;

/// A streaming polyphase filter: a windowed sinc with a cutoff just below half of the lower rate.
#[derive(Debug)]
pub(crate) struct Resampler {
    /// Samples of the source for one of the result.
    step: f64,
    /// Where the next sample is made, in pending samples.
    position: f64,
    pending: Vec<f32>,
    half: usize,
    table: Vec<f32>,
}

impl Resampler {
    pub(crate) fn new(rate: u32) -> Self {
        let step = f64::from(rate) / f64::from(RATE);
        let cutoff = (1.0 / step).min(1.0) * 0.95;
        let half = (10.0 / cutoff).ceil() as usize;
        let mut table = vec![0f32; (PHASES + 1) * 2 * half];
        for phase in 0..=PHASES {
            for tap in 0..2 * half {
                let time = tap as f64 - (half as f64 - 1.0) - phase as f64 / PHASES as f64;
                if time.abs() >= half as f64 {
                    continue;
                }
                let sinc = if time.abs() < 1e-9 {
                    cutoff
                } else {
                    (PI * time * cutoff).sin() / (PI * time)
                };
                let window = 0.5 + 0.5 * (PI * time / half as f64).cos();
                table[phase * 2 * half + tap] = (sinc * window) as f32;
            }
        }
        Self {
            step,
            position: 0.0,
            pending: vec![0.0; half - 1],
            half,
            table,
        }
    }

    /// Adds the mean of the channels and passes each sample at 16 kHz that is complete.
    pub(crate) fn push(&mut self, channels: usize, samples: &[f32], out: &mut impl FnMut(f32)) {
        let scale = 1.0 / channels as f32;
        self.pending.extend(
            samples
                .chunks_exact(channels)
                .map(|frame| frame.iter().sum::<f32>() * scale),
        );
        loop {
            let whole = self.position.floor();
            let start = whole as usize;
            let Some(window) = self.pending.get(start..start + 2 * self.half) else {
                break;
            };
            let phase = ((self.position - whole) * PHASES as f64).round() as usize;
            let taps = &self.table[phase * 2 * self.half..(phase + 1) * 2 * self.half];
            out(dot(taps, window));
            self.position += self.step;
        }
        let done = (self.position as usize).min(self.pending.len());
        if done > 8_192 {
            self.pending.drain(..done);
            self.position -= done as f64;
        }
    }

    /// Passes the samples that wait for later ones.
    pub(crate) fn finish(&mut self, out: &mut impl FnMut(f32)) {
        let silence = vec![0.0; self.half];
        self.push(1, &silence, out);
    }
}

/// Eight sums side by side, which compilers turn into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a.zip(b) {
        for index in 0..8 {
            sums[index] += a[index] * b[index];
        }
    }
    sums.iter().sum::<f32>() + rest
}
