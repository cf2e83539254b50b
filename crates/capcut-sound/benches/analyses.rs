//! Speed and memory of all analyses together: `cargo bench -p capcut-sound`. Needs FFmpeg, which encodes ten minutes of
//! synthetic sound in each format, and repeats it to an hour; fails if an hour takes more than 10 MB.

#![expect(clippy::print_stdout, reason = "the result")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use capcut_sound::{Wanted, analyze};

/// Seconds of sound.
const SECONDS: u32 = 600;
/// How often it is repeated to last an hour.
const HOUR: u32 = 3600 / SECONDS;
/// The most memory, in bytes, that an hour may take above that of the start.
const MOST_MEMORY: u64 = 10_000_000;

/// The argument with which this program analyses one file.
const ONE: &str = "--file";

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(ONE) {
        analyse_one(Path::new(&arguments.next().expect("a file")));
        return;
    }
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
        "{:<20} {:>12} {:>19}",
        "format", "× realtime", "memory above start"
    );
    for (name, options) in formats {
        let file = folder.path().join(name);
        let mut arguments = vec!["-i", original.to_str().expect("a path")];
        arguments.extend(options);
        ffmpeg(&arguments, &file);
        measure(name, &file);
        // An hour as PCM would be 600 MB on disk.
        if ["sound.wav", "sound.flac"].contains(&name) {
            continue;
        }
        let hour = folder.path().join(format!("hour {name}"));
        let repeats = (HOUR - 1).to_string();
        let repeated = [
            "-stream_loop",
            &repeats,
            "-i",
            file.to_str().expect("a path"),
            "-c",
            "copy",
        ];
        ffmpeg(&repeated, &hour);
        if let Some(bytes) = measure(&format!("{name}, an hour"), &hour) {
            assert!(
                bytes <= MOST_MEMORY,
                "{bytes} bytes of memory for an hour of {name}"
            );
        }
    }
}

/// Prints the speed of all analyses of a file, and the most memory that they take; returns that in bytes, on Linux.
fn measure(name: &str, file: &Path) -> Option<u64> {
    // A process of its own: one that has analysed before uses the memory of that again.
    let this = std::env::current_exe().expect("this program");
    let measured = Command::new(this).arg(ONE).arg(file).output();
    let measured = measured.expect("a measurement");
    assert!(measured.status.success(), "{measured:?}");
    let said = String::from_utf8_lossy(&measured.stdout);
    let (speed, memory) = said.trim().split_once(' ').expect("two figures");
    let above: Option<u64> = memory.parse().ok();
    let shown = above.map_or(String::new(), |bytes| {
        format!("{:.1} MB", bytes as f64 / 1e6)
    });
    println!("{name:<20} {speed:>12} {shown:>19}");
    above
}

/// Analyses one file; prints how much faster than its sound, and the bytes of memory above those of the start.
fn analyse_one(file: &Path) {
    let before = memory_kib("VmHWM");
    let started = Instant::now();
    let found = analyze(file, Wanted::ALL, &|| false).expect("an analysis");
    let seconds = started.elapsed().as_secs_f64();
    let above = memory_kib("VmHWM").zip(before);
    let above = above.map(|(peak, before)| peak.saturating_sub(before) * 1024);
    let above = above.map_or("unknown".to_owned(), |bytes| bytes.to_string());
    println!("{:.0} {above}", found.duration / seconds);
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

/// A value of this process's status in KiB, on Linux.
fn memory_kib(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
