//! The mix: each clip at its time, with its volume, within 0.3 dB of what is computed.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use capcut_render::{RenderError, VideoOptions, VideoReport};
use serde_json::{Value, json};

use crate::support::{Draft, Media, SECOND};

/// The samples of one channel of a video, 48,000 a second.
fn samples(file: &Path, channel: u8) -> Vec<f32> {
    let said = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args([
            "-af",
            &format!("pan=mono|c0=c{channel}"),
            "-ar",
            "48000",
            "-f",
            "f32le",
            "-",
        ])
        .output()
        .unwrap();
    let (values, _) = said.stdout.as_chunks::<4>();
    values
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

/// The level of a part, from and to in seconds, in dB.
fn level(samples: &[f32], from: f64, to: f64) -> f64 {
    let part = &samples[(from * 48e3) as usize..((to * 48e3) as usize).min(samples.len())];
    let power: f64 = part
        .iter()
        .map(|value| f64::from(*value).powi(2))
        .sum::<f64>()
        / part.len() as f64;
    10.0 * power.max(1e-12).log10()
}

/// The frequency of a part by its crossings of zero.
fn pitch(samples: &[f32], from: f64, to: f64) -> f64 {
    let part = &samples[(from * 48e3) as usize..(to * 48e3) as usize];
    part.windows(2)
        .filter(|pair| pair[0] <= 0.0 && pair[1] > 0.0)
        .count() as f64
        / (to - from)
}

fn tone(media: &Media, name: &str, hertz: u32, more: &str) -> std::path::PathBuf {
    // Amplitude 0.25: -15.05 dB.
    media.make(
        name,
        &format!("-f lavfi -i aevalsrc=0.25*sin(2*PI*{hertz}*t):s=44100:d=6 {more}"),
    )
}

const TONE: f64 = -15.05;

fn mixed(draft: &Draft, media: &Media, range: (i64, i64)) -> Result<VideoReport, RenderError> {
    let options = VideoOptions {
        range,
        longest: 64,
        overwrite: true,
    };
    draft
        .renderer()
        .video(&media.path("out.mp4"), options, &mut |_| {
            ControlFlow::Continue(())
        })
}

fn clip(draft: Draft, file: &Path, range: ((f64, f64), (f64, f64)), more: Value) -> Draft {
    draft.clip("audio", file, (0, 0), range, more)
}

#[test]
fn levels_are_those_of_the_files_volumes_and_fades() {
    let media = Media::new();
    let mono = tone(&media, "mono.wav", 440, "");
    let stereo = tone(
        &media,
        "stereo.m4a",
        440,
        "-ac 2 -af pan=stereo|c0=c0|c1=0*c0 -c:a aac -b:a 192k",
    );
    for file in [&mono, &stereo] {
        for volume in [1.0, 0.5, 2.0] {
            let draft = clip(
                Draft::new((64, 64), 10.0),
                file,
                ((1.0, 3.0), (0.5, 3.0)),
                json!({"volume": volume}),
            );
            mixed(&draft, &media, (0, 4 * SECOND)).unwrap();
            let left = samples(&media.path("out.mp4"), 0);
            let expected = TONE + 20.0 * f64::log10(volume);
            let found = level(&left, 0.6, 3.4);
            assert!(
                (found - expected).abs() < 0.3,
                "{}: {found} dB instead of {expected}",
                file.display()
            );
            assert!(level(&left, 0.0, 0.45) < -60.0 && level(&left, 3.6, 3.9) < -60.0);
            let right = level(&samples(&media.path("out.mp4"), 1), 0.6, 3.4);
            assert!(
                if file == &mono {
                    (right - expected).abs() < 0.3
                } else {
                    right < -50.0
                },
                "{right}"
            );
        }
    }
    let draft = clip(
        Draft::new((64, 64), 10.0),
        &mono,
        ((0.0, 4.0), (0.0, 4.0)),
        json!({"fade": [2 * SECOND, SECOND]}),
    );
    mixed(&draft, &media, (0, 4 * SECOND)).unwrap();
    let left = samples(&media.path("out.mp4"), 0);
    for (from, to) in [(0.9, 1.1), (1.4, 1.6), (2.2, 2.8), (3.4, 3.6)] {
        let middle: f64 = f64::midpoint(from, to);
        let gain = (middle / 2.0).min(4.0 - middle).min(1.0);
        let (found, expected) = (level(&left, from, to), TONE + 20.0 * gain.log10());
        assert!(
            (found - expected).abs() < 0.3,
            "{middle} s: {found} instead of {expected}"
        );
    }
}

#[test]
fn clips_are_added_and_loud_sums_stay_within_the_range() {
    let media = Media::new();
    let one = tone(&media, "one.wav", 440, "");
    let other = tone(&media, "other.wav", 1000, "");
    let whole = ((0.0, 3.0), (0.0, 3.0));
    let draft = clip(
        clip(Draft::new((64, 64), 10.0), &one, whole, json!({})),
        &other,
        whole,
        json!({}),
    );
    mixed(&draft, &media, (0, 3 * SECOND)).unwrap();
    let found = level(&samples(&media.path("out.mp4"), 0), 0.5, 2.5);
    assert!((found - (TONE + 3.01)).abs() < 0.3, "{found}");
    let mut loud = Draft::new((64, 64), 10.0);
    for _ in 0..9 {
        loud = clip(loud, &one, whole, json!({}));
    }
    mixed(&loud, &media, (0, 3 * SECOND)).unwrap();
    let left = samples(&media.path("out.mp4"), 0);
    assert!(left.iter().all(|value| value.abs() < 1.1));
    assert!(level(&left, 0.5, 2.5) > -3.5);
}

#[test]
fn speed_keeps_the_pitch_or_changes_it() {
    let media = Media::new();
    let file = tone(&media, "one.wav", 440, "");
    for (speed, source) in [(2.0, 4.0), (0.5, 1.0), (0.25, 0.5), (3.0, 6.0)] {
        for changes in [false, true] {
            let range = ((0.0, source), (0.0, source / speed));
            let draft = clip(
                Draft::new((64, 64), 10.0),
                &file,
                range,
                json!({"is_tone_modify": changes}),
            );
            mixed(&draft, &media, (0, 2 * SECOND)).unwrap();
            let left = samples(&media.path("out.mp4"), 0);
            let (found, expected) = (
                pitch(&left, 0.4, 1.6),
                if changes { 440.0 * speed } else { 440.0 },
            );
            assert!(
                (found / expected - 1.0).abs() < 0.03,
                "{speed} {changes}: {found} Hz instead of {expected}"
            );
            let found = level(&left, 0.4, 1.6);
            assert!((found - TONE).abs() < 0.5, "{speed} {changes}: {found}");
        }
    }
}

#[test]
fn a_part_of_a_draft_has_the_sound_of_that_part() {
    let media = Media::new();
    let file = media.make(
        "steps.wav",
        "-f lavfi -i aevalsrc='0.1*(1+floor(t))*sin(2*PI*440*t)':s=48000:d=6",
    );
    let draft = clip(
        Draft::new((64, 64), 10.0),
        &file,
        ((1.0, 5.0), (1.0, 5.0)),
        json!({}),
    );
    mixed(&draft, &media, (3 * SECOND, 5 * SECOND)).unwrap();
    let left = samples(&media.path("out.mp4"), 0);
    // Amplitudes 0.4 and 0.5.
    assert!((level(&left, 0.1, 0.9) - (20.0 * f64::log10(0.4) - 3.01)).abs() < 0.3);
    assert!((level(&left, 1.1, 1.9) - (20.0 * f64::log10(0.5) - 3.01)).abs() < 0.3);
}

#[test]
fn files_without_sound_are_noted_and_the_video_is_made() {
    let media = Media::new();
    let silent = media.make(
        "silent.mp4",
        "-f lavfi -i color=red:s=64x64:d=2 -c:v libx264",
    );
    let whole = ((0.0, 2.0), (0.0, 2.0));
    let draft = clip(
        Draft::new((64, 64), 10.0).clip("video", &silent, (64, 64), whole, json!({})),
        &media.path("gone.mp3"),
        whole,
        json!({}),
    );
    let mut renderer = draft.renderer();
    let options = VideoOptions {
        range: (0, 2 * SECOND),
        longest: 64,
        overwrite: true,
    };
    let report = renderer
        .video(&media.path("out.mp4"), options, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(!report.has_sound && report.frames == 20);
    let notes: Vec<_> = renderer
        .notes()
        .iter()
        .filter(|note| note.subject == "sound")
        .collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn the_volume_follows_its_keyframes_on_the_clock_of_the_file() {
    let media = Media::new();
    let file = tone(&media, "one.wav", 440, "");
    // From second 1 to 5 of the file, in 2 seconds: the volume falls from 1 at second 2 to 0.25 at second 4.
    let point = |id: &str, at: i64, value: f64| {
        json!({"id": id, "curveType": "Line", "time_offset": at, "values": [value],
               "left_control": {"x": 0.0, "y": 0.0}, "right_control": {"x": 0.0, "y": 0.0}, "graphID": ""})
    };
    let keyframes = json!([{
        "id": "K", "material_id": "", "property_type": "KFTypeVolume",
        "keyframe_list": [point("a", 2 * SECOND, 1.0), point("b", 4 * SECOND, 0.25)]
    }]);
    let draft = clip(
        Draft::new((64, 64), 10.0),
        &file,
        ((1.0, 4.0), (0.0, 2.0)),
        json!({"common_keyframes": keyframes}),
    );
    mixed(&draft, &media, (0, 2 * SECOND)).unwrap();
    let left = samples(&media.path("out.mp4"), 0);
    for middle in [0.3, 0.7, 1.0, 1.3, 1.8] {
        let part = ((middle * 2.0 + 1.0 - 2.0) / 2.0_f64).clamp(0.0, 1.0);
        let expected = TONE + 20.0 * f64::log10(1.0 - 0.75 * part);
        let found = level(&left, middle - 0.04, middle + 0.04);
        assert!(
            (found - expected).abs() < 0.5,
            "{middle} s: {found} dB instead of {expected}"
        );
    }
}

#[test]
fn a_speed_curve_changes_the_pitch_and_not_the_level() {
    let media = Media::new();
    let file = tone(&media, "one.wav", 440, "");
    // From the speed 1 to 3 over 4 seconds of the file, which takes 4 × ln(3) / 2 seconds.
    let length = 2.0 * 3.0_f64.ln();
    let curve = json!([{"x": 0.0, "y": 1.0}, {"x": 1.0, "y": 3.0}]);
    let draft = clip(
        Draft::new((64, 64), 10.0),
        &file,
        ((0.0, 4.0), (0.0, length)),
        json!({"curve": curve}),
    );
    mixed(&draft, &media, (0, 2 * SECOND)).unwrap();
    let left = samples(&media.path("out.mp4"), 0);
    for middle in [0.2, 1.0, 1.8_f64] {
        // The place in the file grows with its speed: x' = (1 + x / 2) seconds in a second.
        let speed = (middle / 2.0).exp();
        let found = pitch(&left, middle - 0.1, middle + 0.1);
        assert!(
            (found / (440.0 * speed) - 1.0).abs() < 0.08,
            "{middle} s: {found} Hz instead of {}",
            440.0 * speed
        );
        let found = level(&left, middle - 0.1, middle + 0.1);
        assert!((found - TONE).abs() < 0.5, "{middle} s: {found} dB");
    }
}
