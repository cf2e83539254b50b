//! Input for FFmpeg programs: always a file on this disk, in a format that contains its media itself.
//!
//! Playlists and session descriptions (m3u8, concat, SDP and others) refer to further files and addresses, and
//! FFmpeg recognises them by content, whatever the file name. Following them would bypass access control, so
//! they are refused.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// Formats that contain their media themselves.
const FORMATS: &str = "mpegts,mpeg,mpegvideo,h264,hevc,avi,flv,live_flv,asf,aiff,caf,amr,au,wv,ape,w64,ac3,\
    eac3,dts,mp3,aac,flac,ogg,wav,mov,matroska,gif,png_pipe,jpeg_pipe,tiff_pipe,bmp_pipe,webp_pipe,rm,mxf,nut,dv";

/// Runs `program` with `options` and `file` as its only input. Stdin is closed, stdout is piped.
pub(crate) fn reading(program: &str, options: &[&str], file: &Path) -> Command {
    // The protocol is explicit, so that no file name is taken for an address.
    let mut address = OsString::from("file:");
    address.push(file);
    let mut command = Command::new(program);
    command
        .args(options)
        .args(["-protocol_whitelist", "file", "-format_whitelist", FORMATS])
        .arg("-i")
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}
