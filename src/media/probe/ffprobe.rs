//! `ffprobe`, if installed, for files on this disk that the built-in readers do not support.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::decimals;
use crate::media::reader::Guard;
use crate::media::{Facts, MediaFormat, ffmpeg};
use crate::regular_file;
use crate::units::Micros;

/// Limit for its output in bytes; a file with many streams has a long one.
const MOST_BYTES: u64 = 4 << 20;

#[derive(Deserialize)]
struct FfprobeOutput {
    #[serde(default)]
    streams: Vec<FfprobeStream>,
    #[serde(default)]
    format: Container,
}

#[derive(Deserialize)]
struct FfprobeStream {
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
    duration: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

#[derive(Default, Deserialize)]
struct Container {
    #[serde(default)]
    format_name: String,
    duration: Option<String>,
}

/// Checked once: an installation during the run is found at the next start.
pub(super) fn is_installed() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        Command::new("ffprobe")
            .arg("-version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// The facts from `ffprobe`; `None` if it is not installed, too slow, or cannot read the file.
pub(super) fn read(path: &Path, guard: &Guard) -> Option<Facts> {
    if !is_installed() {
        return None;
    }
    let options = [
        "-v",
        "error",
        "-print_format",
        "json",
        "-show_streams",
        "-show_format",
    ];
    let mut child = ffmpeg::reading("ffprobe", &options, path).spawn().ok()?;
    let mut stdout = child.stdout.take()?;
    // A thread reads the output, so that a full pipe cannot block the child.
    let answer = std::thread::spawn(move || regular_file::read_all(&mut stdout, MOST_BYTES));
    let status = wait(&mut child, guard);
    let answer = answer.join().ok()?.ok();
    if !status? {
        return None;
    }
    facts(&serde_json::from_slice(&answer?).ok()?)
}

/// Whether it succeeded; kills it at the deadline.
fn wait(child: &mut std::process::Child, guard: &Guard) -> Option<bool> {
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status.success());
        }
        if guard.cancel.is_cancelled() || Instant::now() >= guard.deadline {
            child.kill().ok();
            child.wait().ok();
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn facts(answer: &FfprobeOutput) -> Option<Facts> {
    let seconds = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
    let whole = seconds(&answer.format.duration);
    let video = answer
        .streams
        .iter()
        .find(|s| s.codec_type == "video" && s.disposition.attached_pic == 0 && s.width > 0);
    let audio = answer.streams.iter().find(|s| s.codec_type == "audio");
    let cover_art = answer
        .streams
        .iter()
        .any(|s| s.disposition.attached_pic != 0);
    let main = video.or(audio)?;
    let length =
        |stream: &FfprobeStream| decimals(seconds(&stream.duration).or(whole).unwrap_or(0.0));
    let name = answer.format.format_name.as_str();
    let is_still = name.ends_with("_pipe") && audio.is_none();
    // A file without a length cannot be placed on a timeline.
    if !is_still && length(main) == Micros::ZERO {
        return None;
    }
    let turned = video.is_some_and(|stream| {
        let turn = stream.side_data_list.iter().find_map(|data| data.rotation);
        turn.is_some_and(|turn| (turn / 90.0).round() as i64 % 2 != 0)
    });
    let (width, height) = video.map_or((0, 0), |stream| (stream.width, stream.height));
    let (width, height) = if turned {
        (height, width)
    } else {
        (width, height)
    };
    Some(Facts {
        format: format(name, video.is_some())?,
        is_still,
        width,
        height,
        duration: if is_still { Micros::ZERO } else { length(main) },
        audio_duration: audio.map(length),
        has_video: video.is_some() && !is_still,
        has_audio: audio.is_some(),
        cover_art,
        bytes: None,
    })
}

fn format(name: &str, video: bool) -> Option<MediaFormat> {
    Some(match name.split(',').next()? {
        "mpegts" => MediaFormat::Ts,
        "mpeg" | "mpegvideo" => MediaFormat::Mpg,
        "avi" => MediaFormat::Avi,
        "flv" | "live_flv" => MediaFormat::Flv,
        "asf" if video => MediaFormat::Wmv,
        "asf" => MediaFormat::Wma,
        "mxf" => MediaFormat::Mxf,
        "nut" => MediaFormat::Nut,
        "dv" => MediaFormat::Dv,
        "rm" => MediaFormat::Rm,
        "aiff" => MediaFormat::Aiff,
        "caf" => MediaFormat::Caf,
        "amr" => MediaFormat::Amr,
        "au" => MediaFormat::Au,
        "wv" => MediaFormat::Wv,
        "ape" => MediaFormat::Ape,
        "w64" => MediaFormat::W64,
        "ac3" => MediaFormat::Ac3,
        "eac3" => MediaFormat::Eac3,
        "dts" => MediaFormat::Dts,
        "mp3" => MediaFormat::Mp3,
        "aac" => MediaFormat::Aac,
        "flac" => MediaFormat::Flac,
        "ogg" => MediaFormat::Ogg,
        "wav" => MediaFormat::Wav,
        "mov" if video => MediaFormat::Mp4,
        "mov" => MediaFormat::M4a,
        "matroska" => MediaFormat::Mkv,
        "gif" => MediaFormat::Gif,
        "png_pipe" => MediaFormat::Png,
        "jpeg_pipe" => MediaFormat::Jpg,
        "tiff_pipe" => MediaFormat::Tiff,
        "bmp_pipe" => MediaFormat::Bmp,
        "webp_pipe" => MediaFormat::Webp,
        _ => return None,
    })
}
