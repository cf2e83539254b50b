//! How the programs of FFmpeg are given a file: as a file of this disk, in a format that holds its media
//! itself.
//!
//! Playlists and session descriptions (m3u8, concat, SDP and others) name further files and addresses, and
//! FFmpeg recognises them by their content, whatever the file is called. Following them would get round
//! what may be read, so they are refused.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// Formats that hold their media themselves.
const FORMATS: &str = "mpegts,mpeg,mpegvideo,h264,hevc,avi,flv,live_flv,asf,aiff,caf,amr,au,wv,ape,w64,ac3,\
    eac3,dts,mp3,aac,flac,ogg,wav,mov,matroska,gif,png_pipe,jpeg_pipe,tiff_pipe,bmp_pipe,webp_pipe,rm,mxf,nut,dv";

/// `program` with stdin closed and `options`, then with `file` as its one input. What it prints is taken
/// from stdout.
pub(crate) fn reading(program: &str, options: &[&str], file: &Path) -> Command {
    // The protocol is named, so that no name of a file is taken for an address.
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
