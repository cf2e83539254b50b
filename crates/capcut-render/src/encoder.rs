//! Frames and samples on their way into a video file.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Problem, RenderError, Result};
use crate::process::{self, Process, Stop};
use crate::sound::{Mixer, RATE};
use crate::tools::Tools;

/// How long the encoder may take after its last frame.
const FINISH: Duration = Duration::from_mins(5);

/// What is encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct VideoFormat {
    /// Pixels, even.
    pub width: u32,
    pub height: u32,
    pub rate: FrameRate,
}

/// Frames per second as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameRate {
    pub above: u32,
    pub below: u32,
}

impl FrameRate {
    /// The rate that is meant by a number such as 29.97, from 1 to 120.
    pub(crate) fn of(fps: f64) -> Self {
        let fps = if fps.is_finite() {
            fps.clamp(1.0, 120.0)
        } else {
            30.0
        };
        let whole = fps.round();
        if (fps - whole).abs() < 1e-3 {
            return Self {
                above: whole as u32,
                below: 1,
            };
        }
        let film = fps.ceil() * 1000.0;
        if (fps - film / 1001.0).abs() < 5e-3 {
            return Self {
                above: film as u32,
                below: 1001,
            };
        }
        Self {
            above: (fps * 1000.0).round() as u32,
            below: 1000,
        }
    }

    /// The start of a frame, microseconds.
    pub(crate) fn time_of(self, frame: u64) -> i64 {
        let micros = u128::from(frame) * u128::from(self.below) * 1_000_000;
        // Rounded up: rounded down it would be in the frame before.
        i64::try_from(micros.div_ceil(u128::from(self.above))).unwrap_or(i64::MAX)
    }

    /// How many frames a length has, microseconds; one at least.
    pub(crate) fn frames_in(self, micros: i64) -> u64 {
        let above = u128::from(micros.max(0).unsigned_abs()) * u128::from(self.above);
        let below = u128::from(self.below) * 1_000_000;
        u64::try_from((above + below / 2) / below)
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

/// Writes the mix into `to`, an audio file for [`encode`]. Calls `heard` with the part that is done, from 0 to 1.
pub(crate) fn write_sound(
    mixer: &mut Mixer,
    to: &Path,
    tools: &Tools,
    stop: &Stop,
    heard: &mut dyn FnMut(),
) -> Result<()> {
    let mut command = process::command(tools.ffmpeg());
    command
        .args([
            "-v",
            "error",
            "-y",
            "-nostats",
            "-f",
            "f32le",
            "-ar",
            &RATE.to_string(),
            "-ac",
            "2",
            "-i",
            "pipe:0",
        ])
        .args(["-c:a", "aac", "-b:a", "192k", "-f", "mp4"])
        .arg(output(to))
        .stdin(std::process::Stdio::piped());
    let process = start(&mut command, stop)?;
    let mut pipe = BufWriter::with_capacity(256 << 10, process.stdin().ok_or_else(no_pipe)?);
    loop {
        let block = mixer.next_block();
        if block.is_empty() {
            break;
        }
        for value in block.as_flattened() {
            if pipe.write_all(&value.to_le_bytes()).is_err() {
                return Err(failure(&process, stop, "the sound"));
            }
        }
        heard();
        if stop.is_stopped() {
            return Err(RenderError::cancelled());
        }
    }
    if pipe.flush().is_err() {
        return Err(failure(&process, stop, "the sound"));
    }
    drop(pipe);
    finish(&process, stop, "the sound")
}

/// A running encoder.
pub(crate) struct Encoder {
    pub process: Arc<Process>,
    pub pipe: std::process::ChildStdin,
    name: &'static str,
}

impl Encoder {
    /// Starts to encode frames into `to`, with the sound in `sound`.
    pub(crate) fn start(
        format: VideoFormat,
        sound: Option<&Path>,
        to: &Path,
        tools: &Tools,
        stop: &Stop,
    ) -> Result<Self> {
        let name = tools.encoder().ok_or_else(|| {
            RenderError::new(
                Problem::NoTool,
                "this FFmpeg has no encoder that works for H.264 or MPEG-4 video",
            )
            .hint("install an FFmpeg with libx264")
        })?;
        let VideoFormat {
            width,
            height,
            rate,
        } = format;
        let rate = format!("{}/{}", rate.above, rate.below);
        let mut command = process::command(tools.ffmpeg());
        command
            .args([
                "-v",
                "error",
                "-y",
                "-nostats",
                "-f",
                "rawvideo",
                "-pixel_format",
                "rgba",
            ])
            .args([
                "-video_size",
                &format!("{width}x{height}"),
                "-framerate",
                &rate,
                "-i",
                "pipe:0",
            ]);
        if let Some(sound) = sound {
            command.args(process::input_arguments(sound));
            command.args(["-map", "0:v:0", "-map", "1:a:0", "-c:a", "copy"]);
        }
        command
            .args([
                "-vf",
                "scale=flags=bilinear:out_color_matrix=bt709:out_range=tv,format=yuv420p",
            ])
            .args(["-c:v", name]);
        match name {
            // The preset has no look-ahead, whose frames are kept in memory.
            "libx264" => command.args(["-preset", "superfast", "-crf", "21", "-threads", "2"]),
            "mpeg4" => command.args(["-q:v", "3"]),
            _ => {
                let pixels = f64::from(width) * f64::from(height) * f64::from(format.rate.above)
                    / f64::from(format.rate.below);
                command.args(["-b:v", &format!("{:.0}", (pixels * 0.15).max(500_000.0))])
            }
        };
        command
            .args([
                "-colorspace",
                "bt709",
                "-color_primaries",
                "bt709",
                "-color_trc",
                "bt709",
                "-color_range",
                "tv",
            ])
            .args(["-movflags", "+faststart", "-f", "mp4"])
            .arg(output(to))
            .stdin(std::process::Stdio::piped());
        let process = start(&mut command, stop)?;
        let pipe = process.stdin().ok_or_else(no_pipe)?;
        Ok(Self {
            process,
            pipe,
            name,
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The encoder ended before its last frame.
    pub(crate) fn failure(process: &Process, stop: &Stop) -> RenderError {
        failure(process, stop, "the video")
    }

    pub(crate) fn finish(process: &Process, stop: &Stop) -> Result<()> {
        finish(process, stop, "the video")
    }
}

/// Checks that a file has this many frames; a full disk does not always make `ffmpeg` fail.
pub(crate) fn check(file: &Path, frames: u64, has_sound: bool, tools: &Tools) -> Result<()> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        streams: Vec<Stream>,
    }
    #[derive(Deserialize)]
    struct Stream {
        codec_type: Option<String>,
        nb_frames: Option<String>,
    }
    let said = tools
        .streams(file)
        .map_err(|error| RenderError::new(Problem::Media, error))?;
    let said: Said = serde_json::from_slice(&said)
        .map_err(|_| RenderError::new(Problem::Media, "the video that was made cannot be read"))?;
    let of = |kind: &str| {
        said.streams
            .iter()
            .find(|stream| stream.codec_type.as_deref() == Some(kind))
    };
    let made: u64 = of("video")
        .and_then(|video| video.nb_frames.as_deref()?.parse().ok())
        .unwrap_or(0);
    if made != frames || has_sound != of("audio").is_some() {
        return Err(RenderError::new(
            Problem::Media,
            format!("the video that `ffmpeg` made is incomplete: it has {made} of {frames} frames"),
        )
        .hint("check the free space on the disk, and try again"));
    }
    Ok(())
}

/// The protocol is explicit, so that no file name is taken for an address.
fn output(to: &Path) -> std::ffi::OsString {
    let mut address = std::ffi::OsString::from("file:");
    address.push(to);
    address
}

fn no_pipe() -> RenderError {
    RenderError::new(Problem::Internal, "`ffmpeg` has no input")
}

fn start(command: &mut std::process::Command, stop: &Stop) -> Result<Arc<Process>> {
    stop.spawn(command, |_| true).map_err(|error| {
        RenderError::new(
            Problem::NoTool,
            format!("`ffmpeg` cannot be started: {error}"),
        )
    })
}

/// Why a process ended that still had to write `what`.
fn failure(process: &Process, stop: &Stop, what: &str) -> RenderError {
    if stop.is_stopped() {
        return RenderError::cancelled();
    }
    // The last messages come with its end.
    let _ = process.wait(Duration::from_secs(5));
    if process.found_disk_full() {
        return RenderError::new(
            Problem::Storage,
            format!("{what} cannot be written: the disk is full"),
        )
        .hint("free some space, or choose a folder on another disk");
    }
    let messages = process.messages();
    let said = messages.last().map_or("it ended early", String::as_str);
    RenderError::new(
        Problem::Media,
        format!("`ffmpeg` could not write {what}: {said}"),
    )
}

fn finish(process: &Process, stop: &Stop, what: &str) -> Result<()> {
    match process.wait(FINISH) {
        Ok(Some(status)) if status.success() && !process.found_disk_full() => Ok(()),
        Ok(None) => Err(RenderError::new(
            Problem::TimedOut,
            format!(
                "`ffmpeg` did not finish {what} within {} s",
                FINISH.as_secs()
            ),
        )),
        Ok(Some(_)) | Err(_) => Err(failure(process, stop, what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_the_fractions_that_are_meant() {
        let rate = |fps| {
            let FrameRate { above, below } = FrameRate::of(fps);
            (above, below)
        };
        assert_eq!(rate(30.0), (30, 1));
        assert_eq!(rate(29.97), (30_000, 1001));
        assert_eq!(rate(23.976), (24_000, 1001));
        assert_eq!(rate(59.94), (60_000, 1001));
        assert_eq!(rate(12.5), (12_500, 1000));
        assert_eq!(rate(f64::NAN), (30, 1));
        assert_eq!(rate(1e9), (120, 1));
    }

    #[test]
    fn frames_and_times_agree() {
        for fps in [23.976, 25.0, 29.97, 30.0, 60.0] {
            let rate = FrameRate::of(fps);
            assert_eq!(rate.time_of(0), 0);
            for frames in [1, 7, 300, 108_000] {
                assert_eq!(rate.frames_in(rate.time_of(frames)), frames);
            }
        }
        assert_eq!(FrameRate::of(30.0).frames_in(-5), 1);
        assert_eq!(FrameRate::of(30.0).time_of(1), 33_334);
    }
}
