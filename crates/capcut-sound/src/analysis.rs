//! All analyses of a sound in one pass.

use std::io::Read;
use std::path::Path;

use ebur128::{EbuR128, Mode};
use serde::{Deserialize, Serialize};

use crate::beats::{Beats, OnsetDetector};
use crate::decode::{Decoded, Sink, decode_file, decode_pipe};
use crate::error::SoundError;
use crate::levels::{Level, Loudnesses, PER_SECOND, VoiceLevels, level};
use crate::resample::Resampler;
use crate::speech::{Span, silence, speech};

/// Which analyses are made. Levels and silence always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub speech: bool,
    pub loudness: bool,
    pub beats: bool,
}

impl Wanted {
    pub const ALL: Self = Self {
        speech: true,
        loudness: true,
        beats: true,
    };
    pub const BEATS: Self = Self {
        speech: false,
        loudness: false,
        beats: true,
    };
    pub const SPEECH: Self = Self {
        speech: true,
        loudness: false,
        beats: false,
    };
}

/// What a sound contains. Times are seconds from its beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Seconds of decoded sound.
    pub duration: f64,
    /// Such as `AAC`.
    pub codec: String,
    /// Hz.
    pub sample_rate: u32,
    pub channels: u32,
    /// Where sound stands out of the background, split at pauses of 0.2 s and more; `None` if not wanted. A voice is
    /// told from noise, not from music.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speech: Option<Vec<Span>>,
    /// Where all is below −50 dB of full scale for at least 0.3 s.
    pub silence: Vec<Span>,
    /// `None` if not wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<Loudness>,
    /// `None` if not wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beats: Option<Beats>,
    /// The largest sample, 1 = full scale.
    pub peak: f32,
    /// Levels of each half second, in hundredths of a decibel of full scale.
    pub levels: Vec<Level>,
}

/// Loudness by EBU R128.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loudness {
    /// LUFS; `None` if nothing is loud enough to be measured (−70 LUFS), or it lasts less than 0.4 s.
    pub integrated: Option<f64>,
    /// dBTP; `None` for digital silence.
    pub true_peak: Option<f64>,
}

impl Analysis {
    /// Whether nothing in it is audible: no sample above −60 dB of full scale.
    pub fn is_silent(&self) -> bool {
        self.peak < 0.001
    }

    /// The spans of speech, if at least one lasts 0.3 s.
    pub fn spoken(&self) -> Option<&[Span]> {
        let spans = self.speech.as_deref()?;
        spans
            .iter()
            .any(|span| span.duration() >= 0.3)
            .then_some(spans)
    }

    /// Whether it has what is wanted.
    pub fn has(&self, wanted: Wanted) -> bool {
        (self.speech.is_some() || !wanted.speech)
            && (self.loudness.is_some() || !wanted.loudness)
            && (self.beats.is_some() || !wanted.beats)
    }

    /// The mean level between two times, in dB of full scale; `None` outside the sound.
    pub fn level(&self, start: f64, end: f64) -> Option<f64> {
        let index = |time: f64| (time.max(0.0) * 2.0) as usize;
        let last = (index(end) + 1).min(self.levels.len());
        let part = self.levels.get(index(start).min(last)..last)?;
        if part.is_empty() {
            return None;
        }
        let power = part
            .iter()
            .map(|level| 10f64.powf(f64::from(*level) / 1_000.0));
        Some(10.0 * (power.sum::<f64>() / part.len() as f64).log10())
    }
}

/// Analyses the first sound track of a file in one pass. `is_cancelled` is asked several times for each second of sound.
///
/// # Errors
/// If the file cannot be read or decoded here, contains no sound, or the caller cancels.
pub fn analyze(
    file: &Path,
    wanted: Wanted,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Analysis, SoundError> {
    run(wanted, is_cancelled, |sink| decode_file(file, sink))
}

/// As [`analyze`], for a WAV stream, whose header need not state a length: what `ffmpeg -f wav -` writes.
///
/// # Errors
/// As those of [`analyze`].
pub fn analyze_wave(
    wave: impl Read + Send + Sync,
    wanted: Wanted,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Analysis, SoundError> {
    run(wanted, is_cancelled, |sink| decode_pipe(wave, sink))
}

/// The loudness of a part of a file's first sound track. What is after the part is not read.
///
/// # Errors
/// As those of [`analyze`].
pub fn loudness_of(
    file: &Path,
    part: Span,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Loudness, SoundError> {
    let mut meter = PartMeter::new(part);
    let decoded = decode_file(file, &mut |rate, channels, samples| {
        if is_cancelled() || meter.is_done {
            return Err(SoundError::Cancelled);
        }
        meter.push(rate, channels, samples)
    });
    match decoded {
        Err(SoundError::Cancelled) if meter.is_done => {}
        decoded => drop(decoded?),
    }
    meter.finish()
}

/// As [`loudness_of`], for a WAV stream as [`analyze_wave`] reads it, to its end.
///
/// # Errors
/// As those of [`analyze`].
pub fn loudness_of_wave(
    wave: impl Read + Send + Sync,
    part: Span,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Loudness, SoundError> {
    let mut meter = PartMeter::new(part);
    decode_pipe(wave, &mut |rate, channels, samples| {
        if is_cancelled() {
            return Err(SoundError::Cancelled);
        }
        meter.push(rate, channels, samples)
    })?;
    meter.finish()
}

/// Measures the frames of a part.
struct PartMeter {
    part: Span,
    meter: Option<EbuR128>,
    /// Frames before the next ones.
    before: u64,
    is_done: bool,
}

impl PartMeter {
    fn new(part: Span) -> Self {
        Self {
            part,
            meter: None,
            before: 0,
            is_done: false,
        }
    }

    fn push(&mut self, rate: u32, channels: usize, samples: &[f32]) -> Result<(), SoundError> {
        let meter = match &mut self.meter {
            Some(meter) => meter,
            none => none.insert(meter(rate, channels)?),
        };
        let count = (samples.len() / channels.max(1)) as u64;
        // A cast of a time beyond all frames saturates.
        let frame = |seconds: f64| (seconds * f64::from(rate)).round() as u64;
        let within = |frame: u64| (frame.saturating_sub(self.before)).min(count) as usize;
        let (first, last) = (within(frame(self.part.start)), within(frame(self.part.end)));
        if first < last {
            meter
                .add_frames_f32(&samples[first * channels..last * channels])
                .map_err(|_| not_measured())?;
        }
        self.before += count;
        self.is_done = self.before >= frame(self.part.end);
        Ok(())
    }

    fn finish(self) -> Result<Loudness, SoundError> {
        match self.meter {
            Some(meter) => Ok(loudness(&meter)),
            None => Err(SoundError::NoSound("its sound track is empty".to_owned())),
        }
    }
}

fn meter(rate: u32, channels: usize) -> Result<EbuR128, SoundError> {
    let mode = Mode::I | Mode::TRUE_PEAK | Mode::HISTOGRAM;
    EbuR128::new(channels as u32, rate, mode)
        .map_err(|_| SoundError::Broken(format!("it has {channels} channels at {rate} Hz")))
}

fn not_measured() -> SoundError {
    SoundError::Broken("its loudness cannot be measured".to_owned())
}

fn run(
    wanted: Wanted,
    is_cancelled: &dyn Fn() -> bool,
    decode: impl FnOnce(&mut Sink) -> Result<Decoded, SoundError>,
) -> Result<Analysis, SoundError> {
    let mut analyzer = None;
    let decoded = decode(&mut |rate, channels, samples| {
        if is_cancelled() {
            return Err(SoundError::Cancelled);
        }
        let analyzer = match &mut analyzer {
            Some(analyzer) => analyzer,
            none => none.insert(Analyzer::new(rate, channels, wanted)?),
        };
        analyzer.push(samples)
    })?;
    match analyzer {
        Some(analyzer) => Ok(analyzer.finish(decoded)),
        None => Err(SoundError::NoSound("its sound track is empty".to_owned())),
    }
}

struct Analyzer {
    rate: u32,
    channels: usize,
    all: Loudnesses,
    resampler: Option<Resampler>,
    voice: Option<VoiceLevels>,
    onsets: Option<OnsetDetector>,
    meter: Option<EbuR128>,
}

impl Analyzer {
    fn new(rate: u32, channels: usize, wanted: Wanted) -> Result<Self, SoundError> {
        let meter = wanted.loudness.then(|| meter(rate, channels));
        if !(100..=1_000_000).contains(&rate) {
            return Err(SoundError::Broken(format!("its sample rate is {rate} Hz")));
        }
        Ok(Self {
            rate,
            channels,
            all: Loudnesses::new(rate),
            resampler: (wanted.speech || wanted.beats).then(|| Resampler::new(rate)),
            voice: wanted.speech.then(VoiceLevels::default),
            onsets: wanted.beats.then(OnsetDetector::new),
            meter: meter.transpose()?,
        })
    }

    fn push(&mut self, samples: &[f32]) -> Result<(), SoundError> {
        self.all.push(self.channels, samples);
        if let Some(meter) = &mut self.meter {
            meter.add_frames_f32(samples).map_err(|_| not_measured())?;
        }
        if let Some(resampler) = &mut self.resampler {
            let (voice, onsets) = (&mut self.voice, &mut self.onsets);
            resampler.push(self.channels, samples, &mut |sample| {
                feed(voice, onsets, sample);
            });
        }
        Ok(())
    }

    fn finish(mut self, decoded: Decoded) -> Analysis {
        self.all.finish();
        if let Some(resampler) = &mut self.resampler {
            let (voice, onsets) = (&mut self.voice, &mut self.onsets);
            resampler.finish(&mut |sample| feed(voice, onsets, sample));
        }
        let loudness = self.meter.take().map(|meter| loudness(&meter));
        let beats = self.onsets.take().map(OnsetDetector::finish);
        let speech = self.voice.take().map(|mut voice| {
            voice.finish();
            let mut spans = speech(&voice.levels);
            for span in &mut spans {
                span.end = span.end.min(decoded.duration);
            }
            spans.retain(|span| span.end > span.start);
            spans
        });
        Analysis {
            duration: decoded.duration,
            codec: decoded.codec,
            sample_rate: self.rate,
            channels: self.channels as u32,
            speech,
            silence: silence(&self.all.levels),
            loudness,
            beats,
            peak: self.all.peak,
            levels: self
                .all
                .levels
                .chunks(PER_SECOND / 2)
                .map(|levels| {
                    let power = levels.iter().map(|l| 10f32.powf(f32::from(*l) / 1_000.0));
                    level(power.sum::<f32>() / levels.len() as f32)
                })
                .collect(),
        }
    }
}

fn feed(voice: &mut Option<VoiceLevels>, onsets: &mut Option<OnsetDetector>, sample: f32) {
    if let Some(voice) = voice {
        voice.push(sample);
    }
    if let Some(onsets) = onsets {
        onsets.push(sample);
    }
}

fn loudness(meter: &EbuR128) -> Loudness {
    let integrated = meter.loudness_global().ok();
    let peaks = (0..meter.channels()).filter_map(|channel| meter.true_peak(channel).ok());
    let peak = peaks.fold(0.0, f64::max);
    Loudness {
        integrated: integrated.filter(|loudness| loudness.is_finite()),
        true_peak: (peak > 0.0).then(|| 20.0 * peak.log10()),
    }
}
