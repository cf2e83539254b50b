//! Containers, codecs, lengths, loudness, and what is refused.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use capcut_sound::{Analysis, SoundError, Wanted, analyze, analyze_wave};

use crate::made::{RATE, Sound, WaveFile, frame, music};

/// Two tones between silence, from 1 to 2 s and from 3.5 to 4 s, in 6 s.
fn two_tones() -> Sound {
    let mut sound = Sound::silence(6.0);
    for (start, end) in [(1.0, 2.0), (3.5, 4.0)] {
        for index in frame(start)..frame(end) {
            let time = index as f64 / f64::from(RATE);
            sound.0[index] = (0.5 * (2.0 * std::f64::consts::PI * 440.0 * time).sin()) as f32;
        }
    }
    sound
}

fn all(path: &Path) -> Result<Analysis, SoundError> {
    analyze(path, Wanted::ALL, &|| false)
}

#[test]
fn every_format_has_the_length_and_times_of_the_original() {
    let file = WaveFile::of(&two_tones(), 2);
    let cases: [(&str, &[&str], &str); 14] = [
        ("a.wav", &["-c:a", "pcm_s24le"], "PCM"),
        ("b.wav", &["-c:a", "pcm_f32le", "-ar", "48000"], "PCM"),
        (
            "c.wav",
            &["-c:a", "pcm_u8", "-ar", "11025", "-ac", "1"],
            "PCM",
        ),
        ("six.wav", &["-ac", "6"], "PCM"),
        ("a.mp3", &["-b:a", "128k"], "MP3"),
        ("vbr.mp3", &["-q:a", "4", "-ac", "1", "-ar", "22050"], "MP3"),
        ("a.m4a", &["-c:a", "aac"], "AAC"),
        (
            "fragments.mp4",
            &[
                "-c:a",
                "aac",
                "-movflags",
                "frag_keyframe+empty_moov+delay_moov",
            ],
            "AAC",
        ),
        ("a.mov", &["-c:a", "pcm_s16be"], "PCM"),
        ("a.aac", &["-c:a", "aac"], "AAC"),
        ("a.flac", &[], "FLAC"),
        ("a.ogg", &["-c:a", "libvorbis"], "Vorbis"),
        ("a.opus", &["-c:a", "libopus"], "Opus"),
        (
            "speech.ogg",
            &[
                "-c:a",
                "libopus",
                "-b:a",
                "16k",
                "-ac",
                "1",
                "-application",
                "voip",
            ],
            "Opus",
        ),
    ];
    for (name, options, codec) in cases {
        let encoded = file.encoded(name, options);
        // A name says nothing.
        let renamed = encoded.with_extension("dat");
        std::fs::rename(&encoded, &renamed).expect("the file is renamed");
        let found = all(&renamed).unwrap_or_else(|error| panic!("{name} {error}"));
        assert_eq!(found.codec, codec, "{name}");
        // AAC frames without a container, and fragments, do not state what to leave out at the end.
        let is_open = name == "a.aac" || name.starts_with("fragments");
        let tolerance = if is_open { 0.08 } else { 0.03 };
        assert!(
            (found.duration - 6.0).abs() <= tolerance,
            "{name}: {} s",
            found.duration
        );
        let spans = found.spoken().expect("spans");
        let edges: Vec<f64> = spans
            .iter()
            .flat_map(|span| [span.start, span.end])
            .collect();
        assert_eq!(edges.len(), 4, "{name}: {spans:?}");
        let late = if name == "a.aac" { 0.05 } else { 0.0 };
        for (edge, truth) in edges.iter().zip([1.0, 2.0, 3.5, 4.0]) {
            assert!((edge - truth).abs() <= 0.041 + late, "{name}: {spans:?}");
        }
        assert!(
            found
                .loudness
                .and_then(|loudness| loudness.integrated)
                .is_some(),
            "{name}"
        );
    }
}

#[test]
fn the_edit_list_of_an_mp4_is_honoured() {
    // Sound that begins 1.5 s after the picture.
    let file = WaveFile::of(&two_tones(), 1);
    let target = file.folder.path().join("late.mp4");
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=size=64x64:rate=10:duration=8",
        ])
        .args(["-itsoffset", "1.5", "-i"])
        .arg(&file.path)
        .args(["-c:a", "aac"])
        .arg(&target)
        .stdin(Stdio::null())
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    let found = all(&target).expect("an analysis");
    let first = found.spoken().expect("spans")[0];
    assert!((first.start - 2.5).abs() <= 0.03, "{first:?}");
    // A trimmed copy: the stored sound begins before what is heard.
    let source = file.encoded("whole.m4a", &["-c:a", "aac"]);
    let cut = file.folder.path().join("cut.m4a");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-ss", "0.73", "-i"])
        .arg(&source)
        .args(["-c", "copy"])
        .arg(&cut)
        .stdin(Stdio::null())
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    let reference = file.encoded("cut.wav", &["-ss", "0.73"]);
    let (cut, reference) = (
        all(&cut).expect("a cut"),
        all(&reference).expect("a reference"),
    );
    let start = |found: &Analysis| found.spoken().expect("spans")[0].start;
    assert!(
        (start(&cut) - start(&reference)).abs() <= 0.04,
        "{} {}",
        start(&cut),
        start(&reference)
    );
}

#[test]
fn loudness_agrees_with_ffmpeg() {
    let mut quiet = music(20.0, 3);
    quiet.0.iter_mut().for_each(|sample| *sample *= 0.05);
    for (sound, channels) in [(music(20.0, 1), 1), (music(12.0, 2), 2), (quiet, 2)] {
        let file = WaveFile::of(&sound, channels);
        for encoded in [
            file.path.clone(),
            file.encoded("a.flac", &["-ar", "48000"]),
            file.encoded("six.wav", &["-ac", "6"]),
        ] {
            let loudness = all(&encoded)
                .expect("an analysis")
                .loudness
                .expect("a loudness");
            let output = Command::new("ffmpeg")
                .args(["-nostats", "-i"])
                .arg(&encoded)
                .args(["-af", "ebur128=peak=true", "-f", "null", "-"])
                .stdin(Stdio::null())
                .output()
                .expect("ffmpeg is installed");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let summary = said.rsplit_once("Summary:").expect("a summary").1;
            let number = |name: &str| -> f64 {
                let rest = summary.split_once(name).expect(name).1;
                rest.split_whitespace()
                    .next()
                    .expect("a number")
                    .parse()
                    .expect("a number")
            };
            let (integrated, peak) = (
                loudness.integrated.expect("LUFS"),
                loudness.true_peak.expect("dBTP"),
            );
            assert!(
                (integrated - number("I:")).abs() <= 0.1,
                "{integrated} {}",
                number("I:")
            );
            assert!(
                (peak - number("Peak:")).abs() <= 0.3,
                "{peak} {}",
                number("Peak:")
            );
        }
    }
}

#[test]
fn other_codecs_need_ffmpeg_and_come_through_a_pipe() {
    let file = WaveFile::of(&two_tones(), 2);
    let cases: [(&str, &[&str], &str); 6] = [
        ("a.ac3", &[], "AC-3"),
        ("ac3.mp4", &["-c:a", "ac3"], "AC-3"),
        ("alac.m4a", &["-c:a", "alac"], "ALAC"),
        ("a.mkv", &["-c:a", "aac"], "Matroska"),
        ("a.avi", &["-c:a", "libmp3lame"], "AVI"),
        ("a.aiff", &[], "AIFF"),
    ];
    for (name, options, what) in cases {
        let encoded = file.encoded(name, options);
        match all(&encoded) {
            Err(SoundError::NeedsFfmpeg(said)) => assert!(said.contains(what), "{name}: {said}"),
            other => panic!("{name}: {other:?}"),
        }
        let mut decoder = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&encoded)
            .args(["-map", "0:a:0", "-f", "wav", "-c:a", "pcm_s16le", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ffmpeg is installed");
        let pipe = decoder.stdout.take().expect("a pipe");
        let found = analyze_wave(pipe, Wanted::ALL, &|| false).expect("an analysis");
        assert!(decoder.wait().expect("an end").success());
        assert!(
            (found.duration - 6.0).abs() < 0.1,
            "{name}: {}",
            found.duration
        );
        assert_eq!(found.spoken().expect("spans").len(), 2, "{name}");
    }
    let many = file.encoded("many.opus", &["-c:a", "libopus", "-ac", "6"]);
    assert!(
        matches!(all(&many), Err(SoundError::NeedsFfmpeg(what)) if what.contains("6 channels"))
    );
    let many = file.encoded("many.m4a", &["-c:a", "aac", "-ac", "6"]);
    assert!(matches!(all(&many), Err(SoundError::NeedsFfmpeg(what)) if what.contains("AAC")));
}

#[test]
fn broken_files_and_files_without_sound_say_what_is_wrong() {
    let file = WaveFile::of(&two_tones(), 1);
    let put = |name: &str, bytes: &[u8]| {
        let path = file.folder.path().join(name);
        std::fs::write(&path, bytes).expect("the file is written");
        path
    };
    assert!(matches!(
        all(&put("empty.mp3", b"")),
        Err(SoundError::NoSound(_))
    ));
    assert!(matches!(
        all(&put(
            "text.mp3",
            b"this is no sound at all, whatever its name is"
        )),
        Err(SoundError::NoSound(_))
    ));
    assert!(matches!(
        all(&file.folder.path().join("absent.mp3")),
        Err(SoundError::Read(_))
    ));
    let silent_video = file.folder.path().join("picture.mp4");
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=size=64x64:rate=10:duration=1",
        ])
        .arg(&silent_video)
        .stdin(Stdio::null())
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    assert!(matches!(all(&silent_video), Err(SoundError::NoSound(_))));
    for (name, options) in [
        ("a.flac", &[][..]),
        ("a.mp3", &[][..]),
        ("a.m4a", &["-movflags", "+faststart"][..]),
    ] {
        let whole = std::fs::read(file.encoded(name, options)).expect("a file");
        let cut = put(&format!("cut-{name}"), &whole[..whole.len() / 2]);
        match all(&cut) {
            Err(SoundError::Broken(what)) => {
                assert!(
                    what.contains("s of 6.") || what.contains("is cut off"),
                    "{name}: {what}"
                );
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let whole = std::fs::read(&file.path).expect("a file");
    let cut = put("cut.wav", &whole[..whole.len() / 2]);
    assert!(matches!(all(&cut), Err(SoundError::Broken(_))));
    let header = put("header.wav", &whole[..30]);
    assert!(matches!(all(&header), Err(SoundError::Broken(_))));
}

#[test]
fn damaged_bytes_never_end_the_program() {
    let file = WaveFile::of(&two_tones(), 2);
    let cases: [(&str, &[&str]); 6] = [
        ("a.mp3", &[]),
        ("a.m4a", &["-c:a", "aac"]),
        ("a.flac", &[]),
        ("a.ogg", &["-c:a", "libvorbis"]),
        ("a.opus", &["-c:a", "libopus"]),
        ("a.wav", &[]),
    ];
    let mut random = crate::made::Random::new(77);
    for (name, options) in cases {
        let whole = std::fs::read(file.encoded(&format!("x{name}"), options)).expect("a file");
        for round in 0..12 {
            let mut bytes = whole.clone();
            let reach = if round % 2 == 0 {
                bytes.len()
            } else {
                600.min(bytes.len())
            };
            for _ in 0..20 {
                let at = (random.unit() * reach as f64) as usize;
                bytes[at] = (random.unit() * 256.0) as u8;
            }
            let path = file.folder.path().join("damaged");
            std::fs::write(&path, bytes).expect("the file is written");
            if let Ok(found) = all(&path) {
                assert!(found.duration > 0.0 && found.peak.is_finite());
            }
        }
    }
}

#[test]
fn a_cancelled_analysis_ends_at_once() {
    let file = WaveFile::of(&two_tones(), 1);
    let asked = AtomicUsize::new(0);
    let cancelled = analyze(&file.path, Wanted::ALL, &|| {
        asked.fetch_add(1, Ordering::Relaxed) >= 3
    });
    assert!(matches!(cancelled, Err(SoundError::Cancelled)));
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}
