//! Levels per 10 ms: all that is kept of the samples.

/// Levels in a second.
pub(crate) const PER_SECOND: usize = 100;
/// The lowest level, in dB of full scale.
pub(crate) const FLOOR_DB: f32 = -90.0;

/// A level in hundredths of a decibel of full scale: two bytes for 10 ms.
pub(crate) type Level = i16;

/// The level of a mean square.
pub(crate) fn level(mean_square: f32) -> Level {
    let decibels = 10.0 * (mean_square + 1e-9).log10();
    (decibels.clamp(FLOOR_DB, 60.0) * 100.0).round() as Level
}

/// The level at a fraction of the sorted levels.
pub(crate) fn percentile(levels: &mut [Level], fraction: f32) -> Level {
    let Some(last) = levels.len().checked_sub(1) else {
        return (FLOOR_DB * 100.0) as Level;
    };
    let index = (last as f32 * fraction) as usize;
    *levels.select_nth_unstable(index.min(last)).1
}

/// Levels of all channels together at the rate of the file, for silence: sounds of opposite phase do not cancel out.
#[derive(Debug)]
pub(crate) struct Loudnesses {
    rate: u64,
    frames: u64,
    next: u64,
    sum: f64,
    count: u32,
    pub(crate) levels: Vec<Level>,
    pub(crate) peak: f32,
}

impl Loudnesses {
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            rate: u64::from(rate),
            frames: 0,
            next: u64::from(rate) / PER_SECOND as u64,
            sum: 0.0,
            count: 0,
            levels: Vec::new(),
            peak: 0.0,
        }
    }

    pub(crate) fn push(&mut self, channels: usize, mut samples: &[f32]) {
        while !samples.is_empty() {
            let frames = samples.len() / channels;
            let until = (self.next - self.frames).min(frames as u64) as usize;
            let (now, later) = samples.split_at(until.max(1) * channels);
            let (mut sum, mut peak) = (0f32, self.peak);
            for sample in now {
                sum += sample * sample;
                peak = peak.max(sample.abs());
            }
            self.peak = peak;
            self.sum += f64::from(sum);
            self.count += now.len() as u32;
            self.frames += (now.len() / channels) as u64;
            if self.frames >= self.next {
                self.complete();
            }
            samples = later;
        }
    }

    fn complete(&mut self) {
        self.levels
            .push(level((self.sum / f64::from(self.count.max(1))) as f32));
        (self.sum, self.count) = (0.0, 0);
        self.next = (self.levels.len() as u64 + 1) * self.rate / PER_SECOND as u64;
    }

    pub(crate) fn finish(&mut self) {
        if self.count > 0 {
            self.complete();
        }
    }
}

/// Samples at 16 kHz in half a step of 10 ms.
const HALF_STEP: usize = 80;

/// Levels above 120 Hz at 16 kHz, so that hum does not count: over 20 ms, every 10 ms.
#[derive(Debug, Default)]
pub(crate) struct VoiceLevels {
    high_pass: [f32; 4],
    sum: f32,
    count: usize,
    /// Mean squares of the last half steps, the latest last.
    halves: [f32; 4],
    complete: usize,
    pub(crate) levels: Vec<Level>,
}

impl VoiceLevels {
    pub(crate) fn push(&mut self, sample: f32) {
        // Two filters of the first order: exp(-2π × 120 / 16000).
        const KEPT: f32 = 0.953_97;
        let [y1, x1, y2, x2] = &mut self.high_pass;
        *y1 = KEPT * (*y1 + sample - *x1);
        *x1 = sample;
        *y2 = KEPT * (*y2 + *y1 - *x2);
        *x2 = *y1;
        self.sum += *y2 * *y2;
        self.count += 1;
        if self.count == HALF_STEP {
            self.half();
        }
    }

    fn half(&mut self) {
        self.halves.rotate_left(1);
        self.halves[3] = self.sum / HALF_STEP as f32;
        (self.sum, self.count) = (0.0, 0);
        self.complete += 1;
        // Step i is half steps 2i and 2i + 1, measured with one more on both sides.
        if self.complete >= 3 && self.complete % 2 == 1 {
            let count = if self.complete == 3 { 3 } else { 4 };
            let sum: f32 = self.halves[4 - count..].iter().sum();
            self.levels.push(level(sum / count as f32));
        }
    }

    pub(crate) fn finish(&mut self) {
        if self.complete >= 2 && self.complete.is_multiple_of(2) {
            let sum: f32 = self.halves[1..].iter().sum();
            self.levels.push(level(sum / 3.0));
        }
    }
}
