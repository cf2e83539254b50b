//! Real media that the stub services answer with.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use super::super::media;

/// The sampling rate of voices.
const RATE: u32 = 16_000;

/// A sound and when each of its characters is heard, in seconds.
#[derive(Clone)]
pub(crate) struct Voice {
    pub(crate) wave: Vec<u8>,
    pub(crate) characters: Vec<(String, f64, f64)>,
}

impl Voice {
    /// A tone for each word, or for each character of Chinese, with pauses in between: its length follows the text.
    pub(crate) fn tones(text: &str, speed: f64) -> Self {
        let mut at = 0.1;
        let mut characters = Vec::new();
        let mut samples = vec![0i16; (at * f64::from(RATE)) as usize];
        for letter in text.chars() {
            let (seconds, is_heard) = match letter {
                letter if u32::from(letter) >= 0x3400 && letter.is_alphanumeric() => (0.2, true),
                letter if letter.is_alphanumeric() => (0.06, true),
                letter if letter.is_whitespace() => (0.09, false),
                _ => (0.22, false),
            };
            let seconds = seconds / speed;
            characters.push((letter.to_string(), at, at + seconds));
            at += seconds;
            let end = (at * f64::from(RATE)) as usize;
            while samples.len() < end {
                let time = samples.len() as f64 / f64::from(RATE);
                let tone = (time * 220.0 * std::f64::consts::TAU).sin() * 9_000.0;
                samples.push(if is_heard { tone as i16 } else { 0 });
            }
        }
        samples.resize(samples.len() + RATE as usize / 7, 0);
        Self {
            wave: wave(&samples),
            characters,
        }
    }

    /// Speech of espeak-ng, without times; `None` if it is not installed.
    pub(crate) fn spoken(text: &str, speed: f64) -> Option<Self> {
        let is_chinese = text.chars().any(|letter| u32::from(letter) >= 0x3400);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("voice.wav");
        let pace = (175.0 * speed).round().to_string();
        let mut child = Command::new("espeak-ng")
            .args([
                "-v",
                if is_chinese { "cmn" } else { "en" },
                "-s",
                &pace,
                "-w",
            ])
            .arg(&file)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(text.as_bytes()).expect("the text is read");
        drop(stdin);
        assert!(child.wait().expect("an end").success());
        Some(Self {
            wave: std::fs::read(&file).expect("a sound"),
            characters: Vec::new(),
        })
    }

    /// The words with their times: characters of Chinese, and what is between spaces.
    pub(crate) fn words(&self) -> Vec<(String, f64, f64)> {
        let mut words: Vec<(String, f64, f64)> = Vec::new();
        let mut is_open = false;
        for (letter, start, end) in &self.characters {
            let is_word = letter.chars().all(char::is_alphanumeric);
            let is_own = letter.chars().all(|letter| u32::from(letter) >= 0x3400);
            match words.last_mut() {
                Some(last) if is_open && !(is_word && is_own) && letter != " " => {
                    last.0.push_str(letter);
                    if is_word {
                        last.2 = *end;
                    }
                }
                _ if is_word => words.push((letter.clone(), *start, *end)),
                _ => {}
            }
            is_open = letter != " ";
        }
        words
    }

    pub(crate) fn seconds(&self) -> f64 {
        let rate = self.wave[24..28]
            .try_into()
            .map_or(RATE, u32::from_le_bytes);
        (self.wave.len() - 44) as f64 / 2.0 / f64::from(rate)
    }
}

/// Samples of one channel as a WAV file.
pub(crate) fn wave(samples: &[i16]) -> Vec<u8> {
    let bytes = samples.len() as u32 * 2;
    let mut wave = Vec::with_capacity(bytes as usize + 44);
    wave.extend(b"RIFF");
    wave.extend((36 + bytes).to_le_bytes());
    wave.extend(b"WAVEfmt ");
    wave.extend(16u32.to_le_bytes());
    wave.extend(1u16.to_le_bytes());
    wave.extend(1u16.to_le_bytes());
    wave.extend(RATE.to_le_bytes());
    wave.extend((RATE * 2).to_le_bytes());
    wave.extend(2u16.to_le_bytes());
    wave.extend(16u16.to_le_bytes());
    wave.extend(b"data");
    wave.extend(bytes.to_le_bytes());
    wave.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    wave
}

/// A WAV file as programs write it into a pipe: its sizes are not known.
pub(crate) fn of_unknown_size(mut wave: Vec<u8>) -> Vec<u8> {
    wave[4..8].fill(0xff);
    wave[40..44].fill(0xff);
    wave
}

/// A file of two MP3s, each with its own header.
pub(crate) fn two_mp3s() -> Vec<u8> {
    let one = std::fs::read(media("voice.mp3")).expect("the voice");
    [one.clone(), one].concat()
}

/// A PNG of this size: a bar on a ground, in colours that follow the description.
pub(crate) fn picture(description: &str, width: u32, height: u32) -> Vec<u8> {
    let hash = description.bytes().fold(17u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let [_, red, green, blue] = hash.to_be_bytes();
    let palette = [red, green, blue, !red, !green, !blue];
    // One bit for a pixel.
    let row_bytes = width.div_ceil(8) as usize;
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::fast());
    for row in 0..height {
        let is_bar = row > height / 3 && row < height / 2;
        let mut line = vec![if is_bar { 0xff } else { 0 }; row_bytes + 1];
        line[0] = 0;
        rows.write_all(&line).expect("memory");
    }
    let rows = rows.finish().expect("memory");
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([1, 3, 0, 0, 0]);
    for (kind, bytes) in [
        (b"IHDR", header.as_slice()),
        (b"PLTE", &palette),
        (b"IDAT", &rows),
        (b"IEND", &[]),
    ] {
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(bytes);
        png.extend((bytes.len() as u32).to_be_bytes());
        png.extend(kind);
        png.extend(bytes);
        png.extend(crc.sum().to_be_bytes());
    }
    png
}

/// A film of this shape and length, made with FFmpeg once for each; without FFmpeg a short one of the examples.
pub(crate) fn film(width: u32, height: u32, seconds: u32) -> Vec<u8> {
    type Films = Mutex<BTreeMap<(u32, u32, u32), Vec<u8>>>;
    static FILMS: LazyLock<Films> = LazyLock::new(Films::default);
    // Small, of the same shape.
    let scale = f64::from(width.max(height)) / 320.0;
    let side = |side: u32| ((f64::from(side) / scale / 2.0).round() as u32 * 2).max(16);
    let key = (side(width), side(height), seconds);
    let mut films = FILMS.lock().expect("not poisoned");
    films
        .entry(key)
        .or_insert_with(|| {
            make_film(key).unwrap_or_else(|| std::fs::read(media("clip.mp4")).expect("the clip"))
        })
        .clone()
}

fn make_film((width, height, seconds): (u32, u32, u32)) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let file: &Path = &folder.path().join("film.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .arg(format!(
            "testsrc=size={width}x{height}:rate=12:duration={seconds}"
        ))
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
        ])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    made.status.success().then(|| std::fs::read(file).ok())?
}
