//! Speed and memory of all analyses together: `cargo bench -p capcut-sound`. Needs FFmpeg, which encodes ten minutes of
//! synthetic sound in each format.

#![expect(clippy::print_stdout, reason = "the result")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use capcut_sound::{Wanted, analyze};

/// Seconds of sound.
const SECONDS: u32 = 600;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let formats: [(&str, &[&str]); 6] = [
        ("sound.wav", &[]),
        ("sound.mp3", &["-b:a", "192k"]),
        ("sound.m4a", &["-c:a", "aac", "-b:a", "160k"]),
        ("sound.flac", &[]),
        ("sound.ogg", &["-c:a", "libvorbis"]),
        ("sound.opus", &["-c:a", "libopus"]),
    ];
    let original = folder.path().join("original.wav");
    // Tones that come and go, with noise: stereo at 44.1 kHz.
    let source = format!(
        "aevalsrc=exprs='0.4*sin(2*PI*330*t)*gt(sin(2*PI*t/3),0)*exp(-4*mod(t,0.5))+0.02*(random(0)-0.5)\
         |0.3*sin(2*PI*440*t)*gt(sin(2*PI*t/3),0)*exp(-4*mod(t,0.5))+0.02*(random(1)-0.5)':s=44100:d={SECONDS}"
    );
    ffmpeg(&["-f", "lavfi", "-i", &source], &original);
    println!(
        "{:<12} {:>12} {:>14}",
        "format", "× realtime", "peak memory"
    );
    for (name, options) in formats {
        let file = folder.path().join(name);
        let mut arguments = vec!["-i", original.to_str().expect("a path")];
        arguments.extend(options);
        ffmpeg(&arguments, &file);
        let before = Instant::now();
        let found = analyze(&file, Wanted::ALL, &|| false).expect("an analysis");
        let seconds = before.elapsed().as_secs_f64();
        let memory = peak_memory_kib().map_or(String::new(), |kib| {
            format!("{:.1} MiB", kib as f64 / 1024.0)
        });
        println!("{name:<12} {:>12.0} {memory:>14}", found.duration / seconds);
    }
}

fn ffmpeg(arguments: &[&str], target: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments)
        .arg(target)
        .stdin(Stdio::null())
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "{arguments:?}");
}

/// The most memory that this process has used, on Linux.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
