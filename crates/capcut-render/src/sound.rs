//! The sound of a draft: each clip decoded by `ffmpeg`, mixed here.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;

use capcut_scene::Sound;

use crate::facts::SoundFacts;
use crate::process::{self, Process, Stop};
use crate::tools::Tools;

/// Samples per second and channel.
pub(crate) const RATE: u32 = 48_000;
/// How much is mixed at a time, seconds: each clip is decoded for this length, then the next one.
const BLOCK_S: u32 = 4;
/// How many decoders stay open from one block to the next.
const OPEN: usize = 6;
/// How many samples share one value of the volume; between two values it changes in a straight line.
const STEP: usize = 64;
/// Above this level, samples are limited softly.
const KNEE: f32 = 0.9;

/// Left and right.
type Sample = [f32; 2];

/// A clip whose file was found.
#[derive(Clone, Debug)]
pub(crate) struct SoundClip {
    pub sound: Sound,
    pub file: PathBuf,
    pub facts: SoundFacts,
}

/// Mixes a part of a draft.
pub(crate) struct Mixer {
    voices: Vec<Voice>,
    /// The start of the part on the timeline, microseconds.
    from: i64,
    /// The samples of the part, and those that are done.
    length: u64,
    done: u64,
    tools: Tools,
    stop: Stop,
}

struct Voice {
    clip: SoundClip,
    stream: Option<Stream>,
    /// Why it is not heard.
    failed: Option<String>,
}

impl Mixer {
    /// The part from `from` to `to` on the timeline, microseconds.
    pub(crate) fn new(
        clips: Vec<SoundClip>,
        (from, to): (i64, i64),
        tools: &Tools,
        stop: &Stop,
    ) -> Self {
        let is_heard =
            |clip: &SoundClip| clip.sound.range.start < to && clip.sound.range.end() > from;
        let voice = |clip| Voice {
            clip,
            stream: None,
            failed: None,
        };
        Self {
            voices: clips.into_iter().filter(is_heard).map(voice).collect(),
            from,
            length: samples_in(to - from),
            done: 0,
            tools: tools.clone(),
            stop: stop.clone(),
        }
    }

    /// Whether nothing is heard.
    pub(crate) fn is_silent(&self) -> bool {
        self.voices.is_empty()
    }

    /// The samples that follow; none at the end.
    pub(crate) fn next_block(&mut self) -> Vec<Sample> {
        let count = (self.length - self.done).min(u64::from(RATE * BLOCK_S)) as usize;
        let mut mixed = vec![[0.0; 2]; count];
        let (start, end) = (
            self.time_of(self.done),
            self.time_of(self.done + count as u64),
        );
        let is_active = |voice: &Voice| {
            let range = voice.clip.sound.range;
            voice.failed.is_none() && range.start < end && range.end() > start
        };
        let active = self.voices.iter().filter(|voice| is_active(voice)).count();
        for voice in &mut self.voices {
            if !is_active(voice) {
                voice.stream = None;
                continue;
            }
            if self.stop.is_stopped() {
                break;
            }
            if let Err(error) = voice.add_to(&mut mixed, start, &self.tools, &self.stop) {
                voice.failed = Some(error);
            }
            if active > OPEN {
                voice.stream = None;
            }
        }
        for value in mixed.as_flattened_mut() {
            *value = limited(*value);
        }
        self.done += count as u64;
        mixed
    }

    fn time_of(&self, sample: u64) -> i64 {
        self.from + (u128::from(sample) * 1_000_000 / u128::from(RATE)) as i64
    }

    /// The clips that could not be decoded, and why.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&SoundClip, &str)> {
        self.voices
            .iter()
            .filter_map(|voice| Some((&voice.clip, voice.failed.as_deref()?)))
    }
}

fn samples_in(micros: i64) -> u64 {
    (u128::from(micros.max(0).unsigned_abs()) * u128::from(RATE) / 1_000_000) as u64
}

/// Keeps samples within -1 and 1 without a hard edge.
fn limited(value: f32) -> f32 {
    let level = value.abs();
    if level <= KNEE {
        return value;
    }
    let room = 1.0 - KNEE;
    let level = KNEE + room * ((level - KNEE) / room).tanh();
    level.copysign(value)
}

impl Voice {
    /// Adds its samples to a block that starts at a time on the timeline, microseconds.
    fn add_to(
        &mut self,
        mixed: &mut [Sample],
        start: i64,
        tools: &Tools,
        stop: &Stop,
    ) -> Result<(), String> {
        let range = self.clip.sound.range;
        let skipped = samples_in(range.start - start) as usize;
        let end = samples_in(range.end() - start).min(mixed.len() as u64) as usize;
        let Some(mixed) = mixed.get_mut(skipped..end) else {
            return Ok(());
        };
        let begin = start.max(range.start);
        let stream = match &mut self.stream {
            Some(stream) => stream,
            stream => stream.insert(Stream::open(&self.clip, begin, tools, stop)?),
        };
        let micros = |samples: usize| (samples as f64 * 1e6 / f64::from(RATE)) as i64;
        let time = |sample: usize| begin + micros(sample);
        let sound = &self.clip.sound;
        let mut gain = sound.gain_at(time(0)) as f32;
        for (index, part) in mixed.chunks_mut(STEP).enumerate() {
            let first = index * STEP;
            let next = sound.gain_at(time(first + part.len()).min(range.end() - 1)) as f32;
            let slope = (next - gain) / part.len() as f32;
            for (offset, value) in part.iter_mut().enumerate() {
                let position = match stream.pace {
                    Pace::Timeline => None,
                    Pace::File => Some(sound.clock.source_at(time(first + offset))),
                };
                let [left, right] = stream.sample(position)?;
                let gain = gain + slope * offset as f32;
                value[0] += left * gain;
                value[1] += right * gain;
            }
            gain = next;
        }
        Ok(())
    }
}

/// How fast the samples of a stream follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// One after the other: `ffmpeg` has changed the speed.
    Timeline,
    /// As in the file: each is looked up by its time there, and the pitch follows the speed.
    File,
}

/// The samples of a file from a time on.
struct Stream {
    process: Arc<Process>,
    pipe: BufReader<ChildStdout>,
    pace: Pace,
    /// The time of the first sample in the file, microseconds.
    begin: f64,
    /// The samples that may be needed again, and the index of the first.
    kept: VecDeque<Sample>,
    index: u64,
    ended: bool,
    /// No sample was read.
    is_empty: bool,
}

impl Stream {
    fn open(clip: &SoundClip, begin: i64, tools: &Tools, stop: &Stop) -> Result<Self, String> {
        let clock = &clip.sound.clock;
        let from = clock.source_at(begin).max(0.0);
        let to = clock.source_at(clip.sound.range.end());
        let has_curve = !clock.curve.is_empty();
        let speed = clock.speed;
        let pace = if !has_curve && (speed == 1.0 || clip.sound.keeps_pitch) {
            Pace::Timeline
        } else {
            Pace::File
        };
        let mut filters = Vec::new();
        // FFmpeg's own conversion makes each side of a mono file 3 dB quieter.
        if clip.facts.channels == 1 {
            filters.push("pan=stereo|c0=c0|c1=c0".to_owned());
        }
        // Gaps, also before the first sample, are silence.
        filters.push(format!("aresample={RATE}:async=1:first_pts=0"));
        if pace == Pace::Timeline && speed != 1.0 {
            filters.extend(tempo(speed));
        }
        let mut command = process::command(tools.ffmpeg());
        command.args(["-v", "error", "-nostdin", "-threads", "1"]);
        if from > 0.0 {
            command.args(["-ss", &format!("{:.6}", from / 1e6)]);
        }
        command
            .args(["-t", &format!("{:.6}", (to - from).max(0.0) / 1e6 + 1.0)])
            .args(process::input_arguments(&clip.file))
            .args([
                "-map",
                "0:a:0",
                "-vn",
                "-sn",
                "-dn",
                "-af",
                &filters.join(","),
            ])
            .args([
                "-ac",
                "2",
                "-ar",
                &RATE.to_string(),
                "-f",
                "f32le",
                "pipe:1",
            ])
            .stdout(Stdio::piped());
        let process = stop
            .spawn(&mut command, |_| true)
            .map_err(|error| format!("`ffmpeg` cannot be started: {error}"))?;
        let pipe = process.stdout().ok_or("`ffmpeg` has no output")?;
        Ok(Self {
            process,
            pipe: BufReader::with_capacity(64 << 10, pipe),
            pace,
            begin: from,
            kept: VecDeque::new(),
            index: 0,
            ended: false,
            is_empty: true,
        })
    }

    /// The next sample, or the one at a time in the file, microseconds; silence before the start and after the end.
    fn sample(&mut self, position: Option<f64>) -> Result<Sample, String> {
        let Some(position) = position else {
            return Ok(self.read()?.unwrap_or_default());
        };
        let place = (position - self.begin) * f64::from(RATE) / 1e6;
        if place < 0.0 {
            return Ok(Sample::default());
        }
        let (whole, part) = (place.floor() as u64, place.fract() as f32);
        while self.index + (self.kept.len() as u64) < whole + 2 {
            let Some(sample) = self.read()? else {
                break;
            };
            self.kept.push_back(sample);
        }
        while self.index < whole && !self.kept.is_empty() {
            self.kept.pop_front();
            self.index += 1;
        }
        let at = |index: usize| self.kept.get(index).copied().unwrap_or_default();
        let (before, after) = (at(0), at(1));
        Ok([0, 1].map(|side| before[side] + (after[side] - before[side]) * part))
    }

    fn read(&mut self) -> Result<Option<Sample>, String> {
        if self.ended {
            return Ok(None);
        }
        let mut bytes = [0; 8];
        match self.pipe.read_exact(&mut bytes) {
            Ok(()) => {
                let (sides, _) = bytes.as_chunks::<4>();
                let sample = [f32::from_le_bytes(sides[0]), f32::from_le_bytes(sides[1])];
                self.is_empty = false;
                // Damaged files may contain values that are no numbers.
                Ok(Some(sample.map(|value| {
                    if value.is_finite() {
                        value.clamp(-16.0, 16.0)
                    } else {
                        0.0
                    }
                })))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.ended = true;
                // A part behind the end of the file is silence; a message says that it was not decoded.
                match self.process.messages().last() {
                    Some(message) if self.is_empty => Err(format!("`ffmpeg`: {message}")),
                    _ => Ok(None),
                }
            }
            Err(error) => Err(format!("the output of `ffmpeg` cannot be read: {error}")),
        }
    }
}

/// The filters that change the speed and keep the pitch; each can do 0.5 to 100.
fn tempo(speed: f64) -> Vec<String> {
    let mut left = speed;
    let mut filters = Vec::new();
    while left < 0.5 {
        filters.push("atempo=0.5".to_owned());
        left /= 0.5;
    }
    while left > 100.0 {
        filters.push("atempo=100".to_owned());
        left /= 100.0;
    }
    filters.push(format!("atempo={left:.9}"));
    filters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_for_a_speed_multiply_to_it() {
        for speed in [0.01, 0.1, 0.5, 0.73, 1.5, 100.0, 1000.0] {
            let factors = tempo(speed)
                .into_iter()
                .map(|filter| filter["atempo=".len()..].parse::<f64>().unwrap());
            let factors: Vec<f64> = factors.collect();
            assert!(
                factors.iter().all(|factor| (0.5..=100.0).contains(factor)),
                "{factors:?}"
            );
            assert!((factors.iter().product::<f64>() / speed - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn samples_stay_within_the_range_and_quiet_ones_stay_exact() {
        for value in [-0.9, -0.2, 0.0, 0.5, 0.9] {
            assert_eq!(limited(value), value);
        }
        assert!(limited(0.95) < 0.95 && limited(0.95) > 0.9);
        assert!(limited(40.0) <= 1.0 && limited(-40.0) >= -1.0);
    }
}
