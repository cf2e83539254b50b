//! Sounds with known contents.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use capcut_sound::Span;
use tempfile::TempDir;

/// Hz.
pub(crate) const RATE: u32 = 44_100;

/// A repeatable generator of numbers.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }
}

/// Mono samples at [`RATE`].
#[derive(Clone, Default)]
pub(crate) struct Sound(pub Vec<f32>);

pub(crate) fn frame(seconds: f64) -> usize {
    (seconds * f64::from(RATE)).round() as usize
}

impl Sound {
    pub(crate) fn silence(seconds: f64) -> Self {
        Self(vec![0.0; frame(seconds)])
    }

    pub(crate) fn duration(&self) -> f64 {
        self.0.len() as f64 / f64::from(RATE)
    }

    pub(crate) fn add(&mut self, at: f64, samples: &[f32], factor: f32) {
        let start = frame(at);
        if self.0.len() < start + samples.len() {
            self.0.resize(start + samples.len(), 0.0);
        }
        for (to, sample) in self.0[start..].iter_mut().zip(samples) {
            *to += sample * factor;
        }
    }

    /// The root mean square of the parts that are not silent.
    pub(crate) fn strength(&self) -> f32 {
        let loud: Vec<f32> = self.0.iter().copied().filter(|s| s.abs() > 1e-3).collect();
        (loud.iter().map(|s| s * s).sum::<f32>() / loud.len().max(1) as f32).sqrt()
    }

    /// White noise that is weaker than the sound by some decibels.
    pub(crate) fn with_noise(&self, decibels_below: f64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let deviation = self.strength() * 10f32.powf(-decibels_below as f32 / 20.0);
        let noisy = self.0.iter().map(|sample| {
            // The sum of 12 uniform numbers is close to normal, with a variance of 1.
            let normal: f64 = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
            sample + normal as f32 * deviation
        });
        Self(noisy.collect())
    }

    /// Writes a WAV with 16 bits, the same on all channels.
    pub(crate) fn write(&self, path: &Path, channels: u16) {
        let mut bytes = Vec::new();
        let size = self.0.len() as u32 * 2 * u32::from(channels);
        bytes.extend(b"RIFF");
        bytes.extend((36 + size).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16u32.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(RATE.to_le_bytes());
        bytes.extend((RATE * 2 * u32::from(channels)).to_le_bytes());
        bytes.extend((2 * channels).to_le_bytes());
        bytes.extend(16u16.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(size.to_le_bytes());
        for sample in &self.0 {
            let value = (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16;
            for _ in 0..channels {
                bytes.extend(value.to_le_bytes());
            }
        }
        std::fs::write(path, bytes).expect("the file is written");
    }
}

/// A folder with one WAV.
pub(crate) struct WaveFile {
    pub folder: TempDir,
    pub path: PathBuf,
}

impl WaveFile {
    pub(crate) fn of(sound: &Sound, channels: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sound.wav");
        sound.write(&path, channels);
        Self { folder, path }
    }

    /// The same sound as FFmpeg encodes it.
    pub(crate) fn encoded(&self, name: &str, options: &[&str]) -> PathBuf {
        let target = self.folder.path().join(name);
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i"])
            .arg(&self.path)
            .args(options)
            .arg(&target)
            .stdin(Stdio::null())
            .status()
            .expect("ffmpeg is installed");
        assert!(status.success(), "{name}: {options:?}");
        target
    }
}

/// What espeak-ng says, without the silence around it, and the spans of 10 ms that are above −45 dB of its peak; `None` if
/// espeak-ng is not installed, which is printed.
pub(crate) fn said(language: &str, text: &str) -> Option<Sound> {
    let spoken = Command::new("espeak-ng")
        .args(["-v", language, "-s", "160", "--stdout", "--", text])
        .stdin(Stdio::null())
        .output();
    let Ok(spoken) = spoken else {
        println!("NOT CHECKED: espeak-ng is not installed");
        return None;
    };
    let bytes = &spoken.stdout;
    let rate = u32::from_le_bytes(bytes[24..28].try_into().expect("a header"));
    let samples: Vec<f32> = bytes[44..]
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
        .collect();
    // Linear interpolation is enough for what is measured.
    let step = f64::from(rate) / f64::from(RATE);
    let count = (samples.len() as f64 / step) as usize;
    let resampled = (0..count.saturating_sub(2)).map(|index| {
        let at = index as f64 * step;
        let part = at.fract() as f32;
        let at = at as usize;
        samples[at] * (1.0 - part) + samples[(at + 1).min(samples.len() - 1)] * part
    });
    let sound = Sound(resampled.collect());
    let spans = heard(&sound);
    let (first, last) = (spans.first()?, spans.last()?);
    let last = frame(last.end).min(sound.0.len());
    Some(Sound(sound.0[frame(first.start)..last].to_vec()))
}

/// Where a clean voice is above −45 dB of its peak, split at pauses of 200 ms.
pub(crate) fn heard(sound: &Sound) -> Vec<Span> {
    let step = RATE as usize / 100;
    let levels: Vec<f32> = sound
        .0
        .chunks(step)
        .map(|part| part.iter().map(|s| s * s).sum::<f32>() / part.len() as f32)
        .collect();
    let least = levels.iter().copied().fold(0.0, f32::max) * 10f32.powf(-4.5);
    let mut spans: Vec<Span> = Vec::new();
    for (index, level) in levels.iter().enumerate() {
        if *level < least {
            continue;
        }
        let (start, end) = (index as f64 / 100.0, (index + 1) as f64 / 100.0);
        match spans.last_mut() {
            Some(span) if start - span.end < 0.2 => span.end = end,
            _ => spans.push(Span::new(start, end)),
        }
    }
    spans
}

/// Harmony of three tones that begins at each of the times.
pub(crate) fn harmony(times: impl IntoIterator<Item = f64>, seconds: f64, seed: u64) -> Sound {
    let mut random = Random::new(seed);
    let mut sound = Sound::silence(seconds);
    for at in times.into_iter().take_while(|at| at + 1.0 < seconds) {
        for _ in 0..3 {
            let tone = 220.0 * 2f64.powf(random.between(0.0, 24.0).floor() / 12.0);
            let samples: Vec<f32> = (0..frame(1.0))
                .map(|index| {
                    let time = index as f64 / f64::from(RATE);
                    let fade = (-2.5 * time).exp() * (time * 100.0).min(1.0);
                    ((2.0 * std::f64::consts::PI * tone * time).sin() * fade) as f32
                })
                .collect();
            sound.add(at, &samples, 0.25);
        }
    }
    sound
}

/// Harmony every half second.
pub(crate) fn music(seconds: f64, seed: u64) -> Sound {
    harmony((0..).map(|index| f64::from(index) * 0.5), seconds, seed)
}
