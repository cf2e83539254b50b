//! Compares every format with `ffprobe`, and checks broken files of every format.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::LazyLock;

use super::super::probe::ProbeError;
use super::super::testing::{MediaServer, ffmpeg, has_ffmpeg, probe_bytes};
use super::*;
use crate::golden;

const VIDEO: &str = "-f lavfi -i testsrc=size=128x72:rate=30:duration=2.2";
const SOUND: &str = "-f lavfi -i sine=frequency=440:sample_rate=44100:duration=2.3";

/// File names, and the `ffmpeg` arguments that create them.
fn recipes() -> Vec<(&'static str, String)> {
    let both = format!("{VIDEO} {SOUND}");
    let h264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac";
    vec![
        ("plain.mp4", format!("{both} {h264}")),
        (
            "faststart.mp4",
            format!("{both} {h264} -movflags +faststart"),
        ),
        (
            "bframes.mp4",
            format!("{both} -c:v libx264 -bf 3 -pix_fmt yuv420p -c:a aac"),
        ),
        (
            "fragmented.mp4",
            format!("{both} {h264} -g 15 -movflags frag_keyframe+empty_moov"),
        ),
        (
            "default_base.mp4",
            format!("{both} {h264} -g 15 -movflags frag_keyframe+empty_moov+default_base_moof"),
        ),
        (
            "dash.mp4",
            format!("{both} {h264} -g 15 -movflags dash+frag_keyframe"),
        ),
        (
            "hybrid.mp4",
            format!("{both} {h264} -g 15 -movflags frag_keyframe"),
        ),
        (
            "hevc.mp4",
            format!(
                "{both} -c:v libx265 -x265-params log-level=none -pix_fmt yuv420p -tag:v hvc1 -c:a aac"
            ),
        ),
        (
            "av1.mp4",
            format!("{both} -c:v libaom-av1 -cpu-used 8 -c:a aac"),
        ),
        (
            "silent.mov",
            format!("{VIDEO} -c:v libx264 -pix_fmt yuv420p"),
        ),
        ("pcm.mov", format!("{both} -c:v mjpeg -c:a pcm_s16le")),
        ("late.mp4", format!("{VIDEO} -itsoffset 0.7 {SOUND} {h264}")),
        (
            "late_video.mp4",
            format!("{SOUND} -itsoffset 0.5 {VIDEO} {h264}"),
        ),
        (
            "ntsc.mp4",
            format!("-f lavfi -i testsrc=size=128x72:rate=30000/1001:duration=3 {h264}"),
        ),
        (
            "vp9.webm",
            format!("{both} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus"),
        ),
        (
            "av1.mkv",
            format!("{both} -c:v libaom-av1 -cpu-used 8 -c:a flac"),
        ),
        ("h264.mkv", format!("{both} {h264}")),
        ("sound.mka", format!("{SOUND} -c:a libvorbis -f matroska")),
        ("cbr.mp3", format!("{SOUND} -b:a 128k")),
        ("vbr.mp3", format!("{SOUND} -q:a 4")),
        (
            "bare_cbr.mp3",
            format!("{SOUND} -b:a 96k -write_xing 0 -id3v2_version 0"),
        ),
        (
            "low_mono.mp3",
            "-f lavfi -i sine=sample_rate=16000:duration=3 -ac 1 -b:a 32k".to_owned(),
        ),
        ("plain.wav", SOUND.to_owned()),
        ("float.wav", format!("{SOUND} -c:a pcm_f32le")),
        ("adpcm.wav", format!("{SOUND} -c:a adpcm_ms")),
        ("big.wav", format!("{SOUND} -rf64 always")),
        ("plain.m4a", format!("{SOUND} -c:a aac")),
        ("plain.aac", format!("{SOUND} -c:a aac")),
        ("plain.flac", format!("{SOUND} -c:a flac")),
        ("vorbis.ogg", format!("{SOUND} -c:a libvorbis")),
        ("flac.ogg", format!("{SOUND} -c:a flac")),
        ("plain.opus", format!("{SOUND} -c:a libopus")),
        (
            "rgba.png",
            "-f lavfi -i color=red:size=61x37 -frames:v 1 -pix_fmt rgba".to_owned(),
        ),
        (
            "plain.jpg",
            "-f lavfi -i testsrc=size=61x37 -frames:v 1 -update 1".to_owned(),
        ),
        (
            "plain.bmp",
            "-f lavfi -i testsrc=size=61x37 -frames:v 1 -update 1".to_owned(),
        ),
        (
            "lossy.webp",
            "-f lavfi -i testsrc=size=61x37 -frames:v 1 -c:v libwebp".to_owned(),
        ),
        (
            "lossless.webp",
            "-f lavfi -i testsrc=size=61x37 -frames:v 1 -c:v libwebp -lossless 1".to_owned(),
        ),
        (
            "moves.gif",
            "-f lavfi -i testsrc=size=61x37:rate=10:duration=1.5".to_owned(),
        ),
        (
            "one.gif",
            "-f lavfi -i testsrc=size=61x37 -frames:v 1".to_owned(),
        ),
        ("stream.ts", format!("{both} {h264}")),
        ("old.avi", format!("{both} -c:v mpeg4 -c:a mp3")),
    ]
}

struct Reference {
    video: Option<(u32, u32, Option<f64>)>,
    has_audio: bool,
    audio: Option<f64>,
    whole: Option<f64>,
}

fn reference(path: &Path) -> Reference {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-print_format",
            "json",
            "-show_streams",
            "-show_format",
        ])
        .arg(path)
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let seconds = |value: &serde_json::Value| value.as_str().and_then(|text| text.parse().ok());
    let stream = |kind: &str| {
        json["streams"]
            .as_array()
            .unwrap()
            .iter()
            .find(|stream| stream["codec_type"] == kind)
            .cloned()
    };
    let number = |value: &serde_json::Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    Reference {
        video: stream("video").map(|s| {
            (
                number(&s["width"]),
                number(&s["height"]),
                seconds(&s["duration"]),
            )
        }),
        has_audio: stream("audio").is_some(),
        audio: stream("audio").and_then(|s| seconds(&s["duration"])),
        whole: seconds(&json["format"]["duration"]),
    }
}

type Files = BTreeMap<&'static str, Vec<u8>>;

/// The files of [`recipes`], created once for all tests.
fn made() -> Option<&'static Files> {
    static MADE: LazyLock<Option<Files>> = LazyLock::new(|| {
        if !has_ffmpeg() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let make = |(name, words)| {
            let path = ffmpeg(folder.path(), &format!("{words} {name}"));
            (name, std::fs::read(path).unwrap())
        };
        Some(recipes().into_iter().map(make).collect())
    });
    MADE.as_ref()
}

#[tokio::test]
async fn every_format_agrees_with_ffprobe() {
    let Some(files) = made() else { return };
    let folder = tempfile::tempdir().unwrap();
    let media = media();
    let mut wrong = Vec::new();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let reference = reference(&path);
        let facts = match media.facts(path.to_str().unwrap()).await {
            Ok(facts) => facts,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let mut near = |what: &str, ours: Micros, theirs: Option<f64>, within: f64| {
            if let Some(theirs) = theirs
                && (ours.seconds() - theirs).abs() > within
            {
                wrong.push(format!("{name}: {what} is {ours}, ffprobe says {theirs}"));
            }
        };
        // ffprobe estimates these from the bit rate, or includes the encoder delay.
        let within = match *name {
            "plain.aac" => 0.2,
            "bare_cbr.mp3" => 0.06,
            // ffprobe uses the length of the first segments for the sound.
            "dash.mp4" => 0.3,
            _ => 1.5e-6,
        };
        if !facts.is_still
            && let Some((.., length)) = reference.video
        {
            near(
                "duration",
                facts.duration,
                length.or(reference.whole),
                within,
            );
        }
        if reference.has_audio {
            near(
                "audio",
                facts.audio_duration.unwrap_or_default(),
                reference.audio.or(reference.whole),
                within,
            );
        }
        let size = reference
            .video
            .map_or((0, 0), |(width, height, _)| (width, height));
        if size != (facts.width, facts.height) || reference.has_audio != facts.has_audio {
            wrong.push(format!("{name}: {facts:?}"));
        }
        if let Some(expected) = name.rsplit('.').next()
            && !matches!(expected, "mka")
            && expected != facts.format.extension()
        {
            wrong.push(format!("{name}: taken for {}", facts.format.extension()));
        }
        if facts.is_still == facts.has_video && !facts.has_audio {
            wrong.push(format!("{name}: {facts:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(files.len(), recipes().len());
}

#[tokio::test]
async fn sizes_take_rotation_into_account() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(
        folder.path(),
        &format!("{VIDEO} -c:v libx264 -pix_fmt yuv420p flat.mp4"),
    );
    let media = media();
    for (turn, size) in [("90", (72, 128)), ("180", (128, 72)), ("270", (72, 128))] {
        let path = ffmpeg(
            folder.path(),
            &format!("-i flat.mp4 -c copy -metadata:s:v rotate={turn} t{turn}.mp4"),
        );
        let facts = media.facts(path.to_str().unwrap()).await.unwrap();
        assert_eq!((facts.width, facts.height), size, "{turn}");
    }
    let plain = ffmpeg(
        folder.path(),
        "-f lavfi -i testsrc=size=61x37 -frames:v 1 -update 1 a.jpg",
    );
    let plain = std::fs::read(plain).unwrap();
    for order in [*b"MM", *b"II"] {
        for way in 1..=8_u16 {
            let numbers = |value: u16| {
                if &order == b"MM" {
                    value.to_be_bytes()
                } else {
                    value.to_le_bytes()
                }
            };
            let long = |value: u32| {
                if &order == b"MM" {
                    value.to_be_bytes()
                } else {
                    value.to_le_bytes()
                }
            };
            let mut exif = b"Exif\0\0".to_vec();
            exif.extend(order);
            exif.extend(numbers(42));
            exif.extend(long(8));
            exif.extend(numbers(2));
            for (tag, value) in [(0x010f_u16, 7), (0x0112, way)] {
                exif.extend(numbers(tag));
                exif.extend(numbers(3));
                exif.extend(long(1));
                exif.extend(numbers(value));
                exif.extend([0, 0]);
            }
            let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
            let jpeg = [&plain[..2], &[0xff, 0xe1], &length, &exif, &plain[2..]].concat();
            let facts = probe_bytes(&jpeg, Depth::Whole).unwrap();
            let expected = if way < 5 { (61, 37) } else { (37, 61) };
            assert_eq!((facts.width, facts.height), expected, "{way}");
        }
    }
}

#[tokio::test]
async fn lengths_missing_in_headers_are_found() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let make = |words: &str| ffmpeg(folder.path(), words);
    let noise = "-f lavfi -i anoisesrc=duration=5:sample_rate=44100:seed=1";
    for (path, seconds, within) in [
        // As a browser's recorder writes it, to a stream that cannot seek back.
        (
            make(&format!(
                "{VIDEO} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -f webm -live 1 live.webm"
            )),
            2.2,
            0.07,
        ),
        (
            make(&format!(
                "{noise} -af volume='if(lt(t,2.5),0.001,1)':eval=frame -q:a 2 -write_xing 0 vbr.mp3"
            )),
            5.0,
            0.06,
        ),
        (make(&format!("{noise} -c:a aac raw.aac")), 5.0, 0.06),
        (
            make(&format!("{SOUND} -c:a flac -f flac pipe.flac")),
            2.3,
            0.001,
        ),
    ] {
        let facts = media().facts(path.to_str().unwrap()).await.unwrap();
        assert!(
            (facts.duration.seconds() - seconds).abs() < within,
            "{}: {facts:?}",
            path.display()
        );
    }
    // A FLAC whose writer could not seek back has no sample count.
    let mut flac = std::fs::read(folder.path().join("pipe.flac")).unwrap();
    flac[21] &= 0xf0;
    flac[22..26].fill(0);
    let facts = probe_bytes(&flac, Depth::Facts).unwrap();
    assert_eq!(facts.duration, Micros(2_300_000));
    // A WAV written to a pipe has no length.
    let mut wav = std::fs::read(make(&format!("{SOUND} -bitexact open.wav"))).unwrap();
    for at in [4, 40] {
        wav[at..at + 4].fill(0xff);
    }
    assert_eq!(
        probe_bytes(&wav, Depth::Whole).unwrap().duration,
        Micros(2_300_000)
    );
}

#[tokio::test]
async fn cover_art_does_not_count_as_video() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(
        folder.path(),
        "-f lavfi -i testsrc=size=64x64 -frames:v 1 c.png",
    );
    for name in ["a.mp3", "a.flac", "a.m4a"] {
        let path = ffmpeg(
            folder.path(),
            &format!("{SOUND} -i c.png -map 0 -map 1 -c:v copy -disposition:v attached_pic {name}"),
        );
        let facts = media().facts(path.to_str().unwrap()).await.unwrap();
        assert!(
            facts.cover_art && !facts.has_video && facts.has_audio,
            "{name}: {facts:?}"
        );
        assert_eq!((facts.width, facts.height), (0, 0));
    }
}

/// Files to break: those of the recordings, and those made by `ffmpeg`.
pub(super) fn all_files() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(golden::media()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        files.push((name, std::fs::read(path).unwrap()));
    }
    for (name, bytes) in made().into_iter().flatten() {
        files.push(((*name).to_owned(), bytes.clone()));
    }
    files
}

#[test]
fn a_truncated_file_is_refused() {
    let mut checked = 0;
    for (name, bytes) in all_files() {
        // Formats without a count or an end marker, and those that only ffprobe reads.
        if probe_bytes(&bytes, Depth::Whole).is_err()
            || ["bare_cbr.mp3", "plain.aac"].contains(&name.as_str())
        {
            continue;
        }
        for keep in [
            bytes.len() / 2,
            bytes.len() * 9 / 10,
            bytes.len() - 200.min(bytes.len() / 3),
        ] {
            if let Ok(facts) = probe_bytes(&bytes[..keep], Depth::Whole) {
                panic!(
                    "{keep} of {} bytes of {name} are accepted as {facts:?}",
                    bytes.len()
                );
            }
            checked += 1;
        }
    }
    assert!(checked == 0 || checked > 100, "{checked}");
}

#[test]
fn broken_files_of_every_format_neither_panic_nor_hang() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut slowest = std::time::Duration::ZERO;
    for (name, bytes) in all_files() {
        let head = bytes.len().min(2000);
        for round in 0..250 {
            let mut broken = bytes.clone();
            match round % 5 {
                0 => broken.truncate(random.usize(..=bytes.len())),
                1 if !bytes.is_empty() => {
                    // A length or count with the largest possible value.
                    let at = random.usize(..head);
                    let end = (at + 1 + random.usize(..8)).min(broken.len());
                    broken[at..end].fill([0, 0x7f, 0x80, 0xff][random.usize(..4)]);
                }
                2 if !bytes.is_empty() => {
                    for _ in 0..random.usize(1..=20) {
                        let at = random.usize(..bytes.len());
                        broken[at] = random.u8(..);
                    }
                }
                3 => {
                    let from = random.usize(..=bytes.len());
                    broken.drain(from..(from + random.usize(..100)).min(bytes.len()));
                }
                _ => {
                    for _ in 0..random.usize(1..=6) {
                        if head > 0 {
                            broken[random.usize(..head)] = random.u8(..);
                        }
                    }
                }
            }
            for depth in [Depth::Facts, Depth::Whole] {
                let start = std::time::Instant::now();
                match probe_bytes(&broken, depth) {
                    Ok(facts) => assert!(facts.duration >= Micros::ZERO, "{name}: {facts:?}"),
                    Err(ProbeError::Read(error)) => panic!("{name}: {error}"),
                    Err(_) => {}
                }
                slowest = slowest.max(start.elapsed());
            }
        }
    }
    assert!(slowest.as_secs() < 5, "{slowest:?}");
}

#[test]
fn noise_after_every_known_signature_does_not_panic() {
    let mut random = fastrand::Rng::with_seed(11);
    let beginnings: [&[u8]; 12] = [
        b"\0\0\0\x08ftyp\0\0\x40\0moov\0\0\x20\0trak",
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a\x10\0\x10\0\x80\0\0",
        b"RIFF\xff\xff\xff\x7fWAVE",
        b"RIFF\x10\0\0\0WEBPVP8X",
        b"fLaC\0\0\0\x22",
        b"OggS\0\x02",
        b"ID3\x04\0\0\0\0\x10\0",
        b"\xff\xfb\x90\0",
        b"\xff\xf1\x50\x80",
    ];
    for round in 0..3000 {
        let mut bytes = beginnings[round % beginnings.len()].to_vec();
        bytes.extend((0..random.usize(..3000)).map(|_| {
            if round % 2 == 0 {
                random.u8(..)
            } else {
                random.u8(..4)
            }
        }));
        let _ = probe_bytes(&bytes, Depth::Whole);
    }
}

#[test]
fn facts_are_written_and_read_back() {
    let facts = Facts {
        format: MediaFormat::Mp4,
        is_still: false,
        width: 1,
        height: 2,
        duration: Micros(3),
        audio_duration: None,
        has_video: true,
        has_audio: false,
        cover_art: false,
        bytes: Some(4),
    };
    let text = serde_json::to_string(&facts).unwrap();
    assert!(text.contains(r#""format":"mp4""#), "{text}");
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
    assert!(serde_json::from_str::<MediaLimits>(r#"{"max_bites": 1}"#).is_err());
    assert_eq!(
        serde_json::from_str::<MediaLimits>(r#"{"tries": 5}"#)
            .unwrap()
            .tries,
        5
    );
}

#[tokio::test]
async fn formats_that_need_ffprobe_are_also_read_from_the_web() {
    let Some(files) = made() else { return };
    let mut tasks = tokio::task::JoinSet::new();
    let server = MediaServer::start(&mut tasks).await;
    for name in ["stream.ts", "old.avi"] {
        server.add(name, files[name].clone());
        for way in ["ranges", "no-length"] {
            let facts = media().facts(&server.url(way, name)).await.unwrap();
            assert_eq!((facts.width, facts.height), (128, 72), "{name}");
            assert_eq!(facts.bytes, Some(files[name].len() as u64), "{name}");
        }
    }
}
