//! Decoding, packet by packet.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek as _, SeekFrom};
use std::path::Path;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_AC3, CODEC_ID_ALAC, CODEC_ID_DCA, CODEC_ID_EAC3, CODEC_ID_FLAC,
    CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_SPEEX, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, Track};
use symphonia::core::io::{
    MediaSource, MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource,
};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{
    AdtsReader, FlacReader, IsoMp4Reader, MpaReader, OggReader, WavReader,
};

use crate::container::{self, Container};
use crate::error::{MOST_SECONDS, SoundError};
use crate::mp4::{self, Edit};

/// Takes decoded sound: Hz, channels, and interleaved samples.
pub(crate) type Sink<'a> = dyn FnMut(u32, usize, &[f32]) -> Result<(), SoundError> + 'a;

/// What was decoded.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    /// The codec's name.
    pub codec: String,
    /// Seconds.
    pub duration: f64,
}

/// Part of the packets that may be broken, and the most in a row.
const MOST_BROKEN: f64 = 0.05;
const MOST_BROKEN_IN_A_ROW: u32 = 200;

/// Decodes the first sound track of a file.
pub(crate) fn decode_file(path: &Path, sink: &mut Sink) -> Result<Decoded, SoundError> {
    let mut file = File::open(path)?;
    let (container, start) = container::probe(&mut file)?;
    if container == Container::Mp4 {
        mp4::check_complete(&mut file)?;
    }
    let has_exact_length = container != Container::Mp3 || states_frames(&mut file, start)?;
    file.seek(SeekFrom::Start(start))?;
    let reader = open(Box::new(file), container)?;
    let track = sound_track(&*reader)?;
    let edits = if container == Container::Mp4 {
        mp4::edits(&mut File::open(path)?, track.id)?
    } else {
        VecDeque::new()
    };
    let stated = has_exact_length.then(|| stated(track, &edits)).flatten();
    decode(reader, edits, stated, sink)
}

/// Decodes a WAV of any length that comes from a pipe.
pub(crate) fn decode_pipe(
    pipe: impl Read + Send + Sync,
    sink: &mut Sink,
) -> Result<Decoded, SoundError> {
    let reader = open(Box::new(ReadOnlySource::new(pipe)), Container::Wave)?;
    decode(reader, VecDeque::new(), None, sink)
}

fn open<'a>(
    source: Box<dyn MediaSource + 'a>,
    container: Container,
) -> Result<Box<dyn FormatReader + 'a>, SoundError> {
    let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
    let options = FormatOptions::default();
    let (opened, name): (Result<Box<dyn FormatReader + 'a>, Error>, _) = match container {
        Container::Wave => (WavReader::try_new(stream, options).map(boxed), "a WAV file"),
        Container::Mp3 => (
            MpaReader::try_new(stream, options).map(boxed),
            "an MP3 file",
        ),
        Container::Adts => (
            AdtsReader::try_new(stream, options).map(boxed),
            "an AAC file",
        ),
        Container::Mp4 => (
            IsoMp4Reader::try_new(stream, options).map(boxed),
            "an MP4 file",
        ),
        Container::Flac => (
            FlacReader::try_new(stream, options).map(boxed),
            "a FLAC file",
        ),
        Container::Ogg => (
            OggReader::try_new(stream, options).map(boxed),
            "an Ogg file",
        ),
    };
    opened.map_err(|error| match error {
        Error::Unsupported(what) => {
            SoundError::NeedsFfmpeg(format!("{name} of an unusual kind ({what})"))
        }
        error => broken(error),
    })
}

fn boxed<'a>(reader: impl FormatReader + 'a) -> Box<dyn FormatReader + 'a> {
    Box::new(reader)
}

fn sound_parameters(track: &Track) -> Option<&AudioCodecParameters> {
    match &track.codec_params {
        Some(CodecParameters::Audio(parameters)) => Some(parameters),
        _ => None,
    }
}

fn sound_track(reader: &dyn FormatReader) -> Result<&Track, SoundError> {
    let mut tracks = reader.tracks().iter();
    tracks
        .find(|track| sound_parameters(track).is_some())
        .ok_or_else(|| SoundError::NoSound("it has no sound track".to_owned()))
}

/// Whether the first frame of an MP3 states how long it is; otherwise the length is an estimate from the bit rate.
fn states_frames(file: &mut File, start: u64) -> Result<bool, SoundError> {
    file.seek(SeekFrom::Start(start))?;
    let mut head = Vec::new();
    file.by_ref().take(4_096).read_to_end(&mut head)?;
    let has = |name: &[u8]| head.windows(4).any(|bytes| bytes == name);
    Ok(has(b"Xing") || has(b"Info") || has(b"VBRI"))
}

/// The length that the container states, in seconds.
fn stated(track: &Track, edits: &VecDeque<Edit>) -> Option<f64> {
    let stored = track
        .time_base
        .zip(track.duration)
        .map(|(base, duration)| {
            duration.get() as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get())
        })
        .filter(|seconds| *seconds > 0.0);
    if edits.is_empty() {
        return stored;
    }
    let mut heard = 0.0;
    for edit in edits {
        heard += match edit {
            Edit::Silence(seconds) => *seconds,
            Edit::Media { start, end } => {
                let end = end.map_or(stored, |end| Some(stored.map_or(end, |all| all.min(end))))?;
                (end - start).max(0.0)
            }
        };
    }
    Some(heard)
}

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Box<OpusDecoder>),
}

struct OpusDecoder {
    decoder: ropus::Decoder,
    channels: usize,
    /// The factor of the header's output gain.
    gain: f32,
    samples: Vec<f32>,
}

/// The longest Opus packet, in frames at 48 kHz: 120 ms.
const OPUS_FRAMES: usize = 5_760;

impl OpusDecoder {
    fn new(parameters: &AudioCodecParameters) -> Result<Self, SoundError> {
        let channels = parameters.channels.as_ref().map_or(2, Channels::count);
        if !(1..=2).contains(&channels) {
            return Err(SoundError::NeedsFfmpeg(format!(
                "Opus with {channels} channels"
            )));
        }
        let layout = if channels == 1 {
            ropus::Channels::Mono
        } else {
            ropus::Channels::Stereo
        };
        let decoder = ropus::Decoder::new(48_000, layout)
            .map_err(|error| SoundError::Broken(format!("{error:?}")))?;
        let header = parameters.extra_data.as_deref().unwrap_or_default();
        let gain = match header {
            [
                b'O',
                b'p',
                b'u',
                b's',
                b'H',
                b'e',
                b'a',
                b'd',
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                low,
                high,
                ..,
            ] => f32::from(i16::from_le_bytes([*low, *high])) / 256.0,
            _ => 0.0,
        };
        Ok(Self {
            decoder,
            channels,
            gain: 10f32.powf(gain / 20.0),
            samples: vec![0.0; OPUS_FRAMES * channels],
        })
    }

    fn decode(&mut self, packet: &Packet) -> Option<&mut [f32]> {
        let mode = ropus::DecodeMode::Normal;
        let frames = self
            .decoder
            .decode_float(&packet.data, &mut self.samples, mode)
            .ok()?;
        let start = (packet.trim_start.get() as usize).min(frames);
        let end = frames - (packet.trim_end.get() as usize).min(frames - start);
        let heard = &mut self.samples[start * self.channels..end * self.channels];
        if self.gain != 1.0 {
            for sample in heard.iter_mut() {
                *sample *= self.gain;
            }
        }
        Some(heard)
    }
}

fn decode(
    mut reader: Box<dyn FormatReader + '_>,
    edits: VecDeque<Edit>,
    stated: Option<f64>,
    sink: &mut Sink,
) -> Result<Decoded, SoundError> {
    let track = sound_track(&*reader)?;
    let id = track.id;
    let parameters = sound_parameters(track)
        .cloned()
        .ok_or_else(|| SoundError::NoSound("it has no sound track".to_owned()))?;
    let mut decoder = if parameters.codec == CODEC_ID_OPUS {
        Decoder::Opus(Box::new(OpusDecoder::new(&parameters)?))
    } else {
        let made = symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default());
        Decoder::Symphonia(made.map_err(|error| match error {
            Error::Unsupported(_) => needs(&parameters),
            error => broken(error),
        })?)
    };
    let mut heard = Heard {
        edits,
        is_edited: false,
        position: 0,
        rate: 0,
        channels: 0,
        passed: 0,
        sink,
    };
    heard.is_edited = !heard.edits.is_empty();
    let (mut packets, mut failed, mut in_a_row) = (0u64, 0u64, 0u32);
    let mut samples: Vec<f32> = Vec::new();
    while !heard.is_complete() {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(Error::IoError(error)) => return Err(SoundError::Read(error)),
            Err(Error::ResetRequired) => {
                return Err(SoundError::NeedsFfmpeg(
                    "several sounds one after the other in one file".to_owned(),
                ));
            }
            Err(error) => {
                (failed, in_a_row) = (failed + 1, in_a_row + 1);
                if in_a_row > MOST_BROKEN_IN_A_ROW {
                    return Err(broken(error));
                }
                continue;
            }
        };
        if packet.track_id != id {
            continue;
        }
        packets += 1;
        let decoded: Option<(u32, usize, &mut [f32])> = match &mut decoder {
            Decoder::Opus(opus) => {
                let channels = opus.channels;
                opus.decode(&packet)
                    .map(|samples| (48_000, channels, samples))
            }
            Decoder::Symphonia(decoder) => match decoder.decode(&packet) {
                Ok(buffer) => {
                    let (rate, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
                    buffer.copy_to_vec_interleaved(&mut samples);
                    Some((rate, channels, &mut samples[..]))
                }
                Err(Error::Unsupported(_)) => return Err(needs(&parameters)),
                Err(Error::DecodeError(_) | Error::IoError(_)) => None,
                Err(error) => return Err(broken(error)),
            },
        };
        match decoded {
            Some((rate, channels, samples)) => {
                in_a_row = 0;
                heard.push(rate, channels, samples)?;
            }
            None => {
                (failed, in_a_row) = (failed + 1, in_a_row + 1);
                if in_a_row > MOST_BROKEN_IN_A_ROW {
                    return Err(unreadable(failed, packets));
                }
            }
        }
    }
    let duration = heard.finish()?;
    if failed as f64 > (packets as f64 * MOST_BROKEN).max(2.0) {
        return Err(unreadable(failed, packets));
    }
    if duration <= 0.0 {
        return Err(SoundError::NoSound("its sound track is empty".to_owned()));
    }
    if let Some(stated) = stated
        && duration < stated - (stated * 0.02).max(0.5)
    {
        return Err(SoundError::Broken(format!(
            "its sound ends after {duration:.2} s of {stated:.2} s; the file may be cut off"
        )));
    }
    Ok(Decoded {
        codec: codec_name(&parameters).to_owned(),
        duration,
    })
}

/// Passes on what the edits leave of the stored sound.
struct Heard<'a, 'b> {
    edits: VecDeque<Edit>,
    is_edited: bool,
    /// Frames that were decoded and passed on.
    position: u64,
    passed: u64,
    rate: u32,
    channels: usize,
    sink: &'a mut Sink<'b>,
}

impl Heard<'_, '_> {
    fn is_complete(&self) -> bool {
        self.is_edited && self.edits.is_empty()
    }

    fn push(&mut self, rate: u32, channels: usize, samples: &mut [f32]) -> Result<(), SoundError> {
        if samples.is_empty() {
            return Ok(());
        }
        if rate == 0 || channels == 0 {
            return Err(SoundError::Broken(
                "it states no sample rate or no channels".to_owned(),
            ));
        }
        if self.rate == 0 {
            (self.rate, self.channels) = (rate, channels);
        } else if (self.rate, self.channels) != (rate, channels) {
            return Err(SoundError::NeedsFfmpeg(
                "a file whose sample rate or number of channels changes".to_owned(),
            ));
        }
        for sample in samples.iter_mut() {
            // Files with floats can contain anything.
            *sample = if sample.is_finite() {
                sample.clamp(-16.0, 16.0)
            } else {
                0.0
            };
        }
        if !self.is_edited {
            return self.pass(samples);
        }
        let frames = (samples.len() / channels) as u64;
        let (from, to) = (self.position, self.position + frames);
        self.position = to;
        while let Some(edit) = self.edits.front().copied() {
            let (start, end) = match edit {
                Edit::Silence(seconds) => {
                    self.silence(seconds)?;
                    self.edits.pop_front();
                    continue;
                }
                Edit::Media { start, end } => (self.frames(start), end.map(|end| self.frames(end))),
            };
            let first = start.max(from).min(to);
            let last = end.unwrap_or(u64::MAX).clamp(first, to);
            let part = (first - from) as usize * channels..(last - from) as usize * channels;
            self.pass(&samples[part])?;
            if end.is_none_or(|end| end > to) {
                break;
            }
            self.edits.pop_front();
        }
        Ok(())
    }

    fn frames(&self, seconds: f64) -> u64 {
        (seconds * f64::from(self.rate)).round() as u64
    }

    fn silence(&mut self, seconds: f64) -> Result<(), SoundError> {
        let silence = vec![0.0; 4_096 * self.channels];
        let mut left = self.frames(seconds) as usize * self.channels;
        while left > 0 {
            let count = left.min(silence.len());
            self.pass(&silence[..count])?;
            left -= count;
        }
        Ok(())
    }

    fn pass(&mut self, samples: &[f32]) -> Result<(), SoundError> {
        self.passed += (samples.len() / self.channels) as u64;
        if self.passed as f64 > MOST_SECONDS * f64::from(self.rate) {
            return Err(SoundError::TooLong);
        }
        (self.sink)(self.rate, self.channels, samples)
    }

    /// Seconds.
    fn finish(self) -> Result<f64, SoundError> {
        Ok(if self.rate == 0 {
            0.0
        } else {
            self.passed as f64 / f64::from(self.rate)
        })
    }
}

fn unreadable(failed: u64, packets: u64) -> SoundError {
    SoundError::Broken(format!("{failed} of {packets} packets cannot be decoded"))
}

fn broken(error: Error) -> SoundError {
    match error {
        Error::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => {
            SoundError::Read(error)
        }
        Error::IoError(_) => SoundError::Broken("it ends in its header".to_owned()),
        error => SoundError::Broken(error.to_string()),
    }
}

fn needs(parameters: &AudioCodecParameters) -> SoundError {
    let name = codec_name(parameters);
    SoundError::NeedsFfmpeg(match parameters.channels.as_ref().map(Channels::count) {
        Some(channels) if channels > 2 => format!("{name} with {channels} channels"),
        _ if parameters.codec == CODEC_ID_AAC => format!("{name} of an unusual profile"),
        _ => format!("{name} sound"),
    })
}

fn codec_name(parameters: &AudioCodecParameters) -> &'static str {
    const NAMES: [(AudioCodecId, &str); 12] = [
        (CODEC_ID_AAC, "AAC"),
        (CODEC_ID_AC3, "AC-3"),
        (CODEC_ID_ALAC, "ALAC"),
        (CODEC_ID_DCA, "DTS"),
        (CODEC_ID_EAC3, "E-AC-3"),
        (CODEC_ID_FLAC, "FLAC"),
        (CODEC_ID_MP1, "MP1"),
        (CODEC_ID_MP2, "MP2"),
        (CODEC_ID_MP3, "MP3"),
        (CODEC_ID_OPUS, "Opus"),
        (CODEC_ID_SPEEX, "Speex"),
        (CODEC_ID_VORBIS, "Vorbis"),
    ];
    let found = NAMES.iter().find(|(id, _)| *id == parameters.codec);
    let is_pcm = symphonia::default::get_codecs()
        .get_audio_decoder(parameters.codec)
        .is_some_and(|codec| codec.codec.info.short_name.starts_with("pcm"));
    match found {
        Some((_, name)) => name,
        None if is_pcm => "PCM",
        None => "an unknown codec",
    }
}
