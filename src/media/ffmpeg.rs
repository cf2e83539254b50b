//! FFmpeg programs: always with a file on this disk as input, in a format that contains its media itself.
//!
//! Playlists and session descriptions (m3u8, concat, SDP and others) refer to further files and addresses, and
//! FFmpeg recognises them by content, whatever the file name. Following them would bypass access control, so
//! they are refused.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use capcut_render::{Tools, input_arguments};

/// How FFmpeg is installed.
pub(crate) const HOW_TO_GET: &str = "install FFmpeg: `apt install ffmpeg` on Debian and Ubuntu, `brew install ffmpeg` on macOS, \
     `winget install ffmpeg` on Windows";

/// Runs `program` with `options` and `file` as its only input. Stdin is closed, stdout is piped.
pub(crate) fn reading(program: &str, options: &[&str], file: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(options)
        .args(input_arguments(file))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// `ffmpeg` and `ffprobe`, if both are installed and work. They are looked for until they are found.
pub(crate) fn tools() -> Option<Tools> {
    static FOUND: OnceLock<Tools> = OnceLock::new();
    if let Some(tools) = FOUND.get() {
        return Some(tools.clone());
    }
    let tools = Tools::of(Path::new("ffmpeg"), Path::new("ffprobe"));
    // Without them pictures are drawn, and the reply says so.
    let tools = tools.inspect_err(|error| tracing::debug!("FFmpeg is not used: {}", error.message));
    let tools = tools.ok()?;
    Some(FOUND.get_or_init(|| tools).clone())
}
