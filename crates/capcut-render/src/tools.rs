//! The programs of FFmpeg that are installed, and what they can do.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use crate::error::{Problem, RenderError, Result};
use crate::facts::{self, MediaFacts};
use crate::process::{self, lock};

/// The time limit of programs that answer a question.
const ANSWER: Duration = Duration::from_secs(20);
/// The largest answer in bytes.
const ANSWER_BYTES: u64 = 4 << 20;
/// How many files' facts are remembered.
const REMEMBERED: usize = 1_000;

/// Encoders for H.264, then the one that every FFmpeg has; the first that works is used.
const ENCODERS: [&str; 8] = [
    "libx264",
    "h264_videotoolbox",
    "h264_nvenc",
    "h264_qsv",
    "h264_amf",
    "h264_mf",
    "libopenh264",
    "mpeg4",
];

/// Those that need nothing but themselves.
const SOFTWARE: [&str; 3] = ["libx264", "libopenh264", "mpeg4"];

/// FFmpeg as it is installed here. Cheap to clone; what was found out is shared.
#[derive(Clone, Debug)]
pub struct Tools(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    version: String,
    /// Version of libavutil, which counts all versions of FFmpeg in order; `None` if it is not known.
    libavutil: Option<(u32, u32)>,
    encoder: OnceLock<Option<&'static str>>,
    filters: OnceLock<Vec<String>>,
    facts: Mutex<HashMap<PathBuf, (FileState, MediaFacts)>>,
}

/// Size and time of the last change of a file.
type FileState = (u64, Option<SystemTime>);

impl Tools {
    /// The programs of these names or paths.
    ///
    /// # Errors
    /// If `ffmpeg` is not installed or does not run.
    pub fn of(ffmpeg: &Path, ffprobe: &Path) -> Result<Self> {
        let absent =
            |why: &str| RenderError::new(Problem::NoTool, format!("`{}` {why}", ffmpeg.display()));
        let mut command = process::command(ffmpeg);
        let said =
            process::output(command.arg("-version"), ANSWER, ANSWER_BYTES).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::NotFound => absent("is not installed"),
                    _ => absent(&format!("cannot be started: {error}")),
                }
            })?;
        let said = said.ok_or_else(|| absent("does not run: `-version` failed"))?;
        let said = String::from_utf8_lossy(&said);
        let version = said.lines().next().unwrap_or_default();
        let version = version.split_whitespace().nth(2).unwrap_or("unknown");
        Ok(Self(Arc::new(Inner {
            ffmpeg: ffmpeg.to_owned(),
            ffprobe: ffprobe.to_owned(),
            version: version.to_owned(),
            libavutil: libavutil(&said),
            encoder: OnceLock::new(),
            filters: OnceLock::new(),
            facts: Mutex::default(),
        })))
    }

    /// The version of FFmpeg, as it states it.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    pub(crate) fn ffmpeg(&self) -> &Path {
        &self.0.ffmpeg
    }

    fn is_at_least(&self, major: u32, minor: u32) -> bool {
        self.0
            .libavutil
            .is_none_or(|version| version >= (major, minor))
    }

    /// The options for one output frame per decoded frame. `-fps_mode` exists since FFmpeg 5.1.
    pub(crate) fn each_frame(&self) -> [&'static str; 2] {
        let name = if self.is_at_least(57, 28) {
            "-fps_mode"
        } else {
            "-vsync"
        };
        [name, "passthrough"]
    }

    /// The filter that reports the time of each frame. FFmpeg before 4.4 cannot leave out the checksums.
    pub(crate) fn showinfo(&self) -> &'static str {
        if self.is_at_least(56, 70) {
            "showinfo=checksum=0"
        } else {
            "showinfo"
        }
    }

    /// The best encoder that works here; `None` if none does.
    pub fn encoder(&self) -> Option<&'static str> {
        *self.0.encoder.get_or_init(|| {
            let known = self.ask(&["-encoders"]);
            let known: Vec<&str> = known.split_whitespace().collect();
            let mut there = ENCODERS.into_iter().filter(|name| known.contains(name));
            // Encoders that need a graphics card are listed on machines without one; the others need no trial.
            there.find(|name| {
                if SOFTWARE.contains(name) {
                    return true;
                }
                let mut command = process::command(self.ffmpeg());
                command
                    .args([
                        "-v",
                        "error",
                        "-nostdin",
                        "-f",
                        "lavfi",
                        "-i",
                        "color=s=256x256:r=25:d=0.12",
                    ])
                    .args(["-c:v", name, "-pix_fmt", "yuv420p", "-f", "null", "-"]);
                matches!(
                    process::output(&mut command, ANSWER, ANSWER_BYTES),
                    Ok(Some(_))
                )
            })
        })
    }

    /// Whether HDR video can be converted.
    pub(crate) fn converts_hdr(&self) -> bool {
        let filters = self.0.filters.get_or_init(|| {
            let said = self.ask(&["-filters"]);
            said.split_whitespace().map(str::to_owned).collect()
        });
        ["zscale", "tonemap"]
            .iter()
            .all(|name| filters.iter().any(|filter| filter == name))
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = process::command(self.ffmpeg());
        command
            .args(["-v", "error", "-hide_banner"])
            .args(arguments);
        match process::output(&mut command, ANSWER, ANSWER_BYTES) {
            Ok(Some(said)) => String::from_utf8_lossy(&said).into_owned(),
            _ => String::new(),
        }
    }

    /// What `ffprobe` says about a file; remembered until the file changes.
    pub(crate) fn facts(&self, file: &Path) -> Result<MediaFacts, String> {
        let metadata = std::fs::metadata(file).map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is not a file".to_owned());
        }
        let state = (metadata.len(), metadata.modified().ok());
        if let Some((known, facts)) = lock(&self.0.facts).get(file)
            && *known == state
        {
            return Ok(facts.clone());
        }
        let mut command = process::command(&self.0.ffprobe);
        command
            .args(facts::QUESTION)
            .args(process::input_arguments(file));
        let said = process::output(&mut command, ANSWER, ANSWER_BYTES)
            .map_err(|error| format!("`ffprobe` cannot be started: {error}"))?;
        let said = said.ok_or("`ffprobe` cannot read it")?;
        let facts = MediaFacts::of(&said).ok_or("`ffprobe` says nothing about it")?;
        let mut remembered = lock(&self.0.facts);
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(file.to_owned(), (state, facts.clone()));
        Ok(facts)
    }
}

impl Tools {
    /// The kinds of the streams of a file and the numbers of their frames, as `ffprobe` writes them in JSON.
    pub(crate) fn streams(&self, file: &Path) -> Result<Vec<u8>, String> {
        let mut command = process::command(&self.0.ffprobe);
        command
            .args([
                "-v",
                "error",
                "-of",
                "json",
                "-show_entries",
                "stream=codec_type,nb_frames",
            ])
            .args(process::input_arguments(file));
        process::output(&mut command, ANSWER, ANSWER_BYTES)
            .map_err(|error| format!("`ffprobe` cannot be started: {error}"))?
            .ok_or_else(|| "the video that was made cannot be read".to_owned())
    }
}

/// The version in a line like `libavutil      57. 28.100 / 57. 28.100`.
fn libavutil(said: &str) -> Option<(u32, u32)> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("libavutil"))?;
    let mut numbers = line.split(['.', '/']).map(|part| part.trim().parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_library() {
        let said = "ffmpeg version N-1-g Copyright\nlibavutil      57. 28.100 / 57. 28.100\n";
        assert_eq!(libavutil(said), Some((57, 28)));
        assert_eq!(
            libavutil("libavutil      60.  8.100 / 60.  8.100"),
            Some((60, 8))
        );
        assert_eq!(libavutil("ffmpeg version 5"), None);
    }

    #[test]
    fn a_program_that_is_absent_is_named() {
        let error = Tools::of(Path::new("/nowhere/ffmpeg"), Path::new("ffprobe")).unwrap_err();
        assert_eq!(error.problem, Problem::NoTool);
        assert!(error.message.contains("/nowhere/ffmpeg"), "{error}");
    }
}
