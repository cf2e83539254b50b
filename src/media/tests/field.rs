//! Files from other programs and services whose headers do not match their content.

use std::path::PathBuf;

use tokio::task::JoinSet;

use super::super::probe::{Depth, ProbeError};
use super::super::testing::{MediaServer, ffmpeg, has_ffmpeg, probe_bytes};
use super::*;

fn field(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/field");
    std::fs::read(folder.join(name)).unwrap()
}

/// The length of the same bytes on this disk, and over HTTP in each way that servers deliver them.
async fn lengths(name: &str, bytes: Vec<u8>) -> Vec<Micros> {
    let mut tasks = JoinSet::new();
    let server = MediaServer::start(&mut tasks).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, &bytes).unwrap();
    server.add(name, bytes);
    let mut lengths = Vec::new();
    for source in [
        path.to_str().unwrap().to_owned(),
        server.url("ranges", name),
        server.url("plain", name),
        server.url("no-length", name),
    ] {
        let facts = media().facts(&source).await;
        let facts = facts.unwrap_or_else(|error| panic!("{source}: {error}"));
        lengths.push(facts.duration);
    }
    lengths
}

/// Checks each length to within the rounding of a microsecond.
async fn last(name: &str, bytes: Vec<u8>, expected: i64) {
    let lengths = lengths(name, bytes).await;
    let near = |length: &Micros| (length.0 - expected).abs() <= 1;
    assert!(
        lengths.iter().all(near),
        "{name}: {lengths:?}, not {expected} µs"
    );
}

/// Frames of silence: 44,100 samples per second, 1,152 in each.
fn frames(kilobits: u64, count: usize) -> Vec<u8> {
    let (head, bytes) = match kilobits {
        128 => (0x90, 417),
        32 => (0x10, 104),
        _ => panic!("{kilobits} kbit/s"),
    };
    let mut frame = vec![0; bytes];
    frame[..4].copy_from_slice(&[0xff, 0xfb, head, 0xc4]);
    frame.repeat(count)
}

fn of_frames(count: u64) -> i64 {
    (count * 1152 * 1_000_000 / 44_100).cast_signed()
}

#[tokio::test]
async fn lengths_are_exact_if_the_bit_rate_of_an_mp3_changes() {
    last(
        "a.mp3",
        [frames(128, 2100), frames(32, 2100)].concat(),
        of_frames(4200),
    )
    .await;
    last(
        "b.mp3",
        [frames(32, 2100), frames(128, 2100)].concat(),
        of_frames(4200),
    )
    .await;
    let short = [frames(128, 3000), frames(32, 50), frames(128, 3000)].concat();
    last("c.mp3", short, of_frames(6050)).await;
    // Larger than the size up to which all frames are counted.
    let large = [frames(128, 12_000), frames(32, 40_000)].concat();
    assert!(large.len() > 9_000_000);
    last("d.mp3", large, of_frames(52_000)).await;
}

#[tokio::test]
async fn a_large_constant_bit_rate_mp3_is_measured_without_fetching_it() {
    let mut tasks = JoinSet::new();
    let server = MediaServer::start(&mut tasks).await;
    server.add("a.mp3", frames(128, 60_000));
    let facts = media().facts(&server.url("ranges", "a.mp3")).await.unwrap();
    let off = facts.duration.0 - of_frames(60_000);
    assert!(off.abs() < 30_000, "{off} µs, more than a frame");
    assert!(server.bytes() < 4 << 20, "{} bytes", server.bytes());
}

#[tokio::test]
async fn all_parts_of_joined_mp3_files_count() {
    // Each part has an `Info` frame that describes this part only: 23 frames of 576 samples at 24 kHz.
    last("single.mp3", field("01-single.mp3"), 552_000).await;
    last("joined.mp3", field("01-joined.mp3"), 3 * 552_000).await;
    // With the tags of each part between them.
    let single = field("01-single.mp3");
    let mut id3v1 = b"TAG".to_vec();
    id3v1.resize(128, 0);
    let mut id3v2 = b"ID3\x04\0\0\0\0\x02\0".to_vec();
    id3v2.resize(10 + 256, 0);
    let mut ape = b"APETAGEX\xd0\x07\0\0\x40\0\0\0\x01\0\0\0\0\0\0\xa0\0\0\0\0\0\0\0\0".to_vec();
    ape.resize(32 + 64, b'x');
    for between in [&id3v1, &id3v2, &ape, &[&*ape, &*id3v1, &*id3v2].concat()] {
        let joined = [&*single, between, &*single, between].concat();
        last("tagged.mp3", joined, 2 * 552_000).await;
        // After the only part they change nothing.
        last("one.mp3", [&*single, &**between].concat(), 552_000).await;
    }
    // Of different rates: 23 × 576 samples at 24 kHz, 100 × 1,152 at 44.1 kHz.
    let joined = [single.clone(), frames(128, 100), single].concat();
    last("rates.mp3", joined, 2 * 552_000 + of_frames(100)).await;
}

/// A second of 8-bit sound at 8 kHz, with these numbers for its length and that of the whole.
fn wave(riff: u32, data: u32, seconds: usize) -> Vec<u8> {
    let mut wave = b"RIFF".to_vec();
    wave.extend(riff.to_le_bytes());
    wave.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    wave.extend(data.to_le_bytes());
    wave.resize(44 + 8000 * seconds, 0x80);
    wave
}

#[tokio::test]
async fn a_wave_of_unknown_length_extends_to_the_end_of_the_file() {
    last("field.wav", field("02-wav-7fffffff.wav"), 500_000).await;
    for (riff, data) in [
        (0x7fff_ffff, 0x7fff_ffff),
        (0xffff_ffff, 0xffff_ffff),
        (0, 0),
        (36, 0),
        (0x7fff_f024, 0x7fff_f000),
        (0x8000_0024, 0x8000_0000),
        (0xffff_fff0, 0xffff_ffcc),
        (0x7fff_ffff, 0x7fff_ffdb),
        (0, 0x4000_0000),
        (0xffff_ffff, 0x1000_0000),
        (36, 0x1000_0000),
    ] {
        last(
            &format!("{riff:x}-{data:x}.wav"),
            wave(riff, data, 1),
            1_000_000,
        )
        .await;
    }
    // Longer than the first read.
    last("long.wav", wave(0x7fff_ffff, 0x7fff_ffff, 600), 600_000_000).await;
}

#[test]
fn a_truncated_or_empty_wave_is_not_treated_as_unknown_length() {
    let whole = wave(36 + 16_000, 16_000, 1);
    assert!(matches!(
        probe_bytes(&whole, Depth::Whole),
        Err(ProbeError::Cut(..))
    ));
    let empty = wave(36, 0, 0);
    assert!(matches!(
        probe_bytes(&empty, Depth::Whole),
        Err(ProbeError::Broken(..))
    ));
}

#[tokio::test]
async fn every_segment_of_a_fragmented_file_counts() {
    last("field.mp4", field("25-index-each.mp4"), 4_000_000).await;
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source =
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=12 -f lavfi -i sine=duration=12";
    let coded = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -c:a aac";
    for (name, flags) in [
        ("keyframes.mp4", "frag_keyframe+empty_moov"),
        ("dash.mp4", "dash+frag_keyframe"),
        ("global.mp4", "dash+frag_keyframe+global_sidx"),
        ("no_table.mp4", "dash+frag_keyframe+skip_trailer"),
        ("cmaf.mp4", "cmaf+frag_keyframe"),
    ] {
        let words = format!("{source} {coded} -movflags {flags} {name}");
        let bytes = std::fs::read(ffmpeg(folder.path(), &words)).unwrap();
        assert!(bytes.len() > 200_000, "{name}: larger than the first read");
        let lengths = lengths(name, bytes).await;
        for length in &lengths {
            let difference = (length.0 - lengths[0].0).abs();
            // An index has display times, fragments have decoding times.
            assert!(
                difference <= 80_000 && length.0 > 11_900_000,
                "{name}: {lengths:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_last_fragment_is_found_without_reading_all_fragments() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = ffmpeg(
        folder.path(),
        "-f lavfi -i testsrc2=size=640x360:rate=25:duration=40 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -movflags frag_keyframe+empty_moov a.mp4",
    );
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes.len() > 2 << 20);
    let mut tasks = JoinSet::new();
    let server = MediaServer::start(&mut tasks).await;
    server.add("a.mp4", bytes);
    let facts = media().facts(&server.url("ranges", "a.mp4")).await.unwrap();
    assert_eq!(facts.duration, Micros(40_000_000));
    assert!(server.requests() <= 4, "{}", server.requests());
}

#[test]
fn a_picture_of_odd_size_has_its_display_size() {
    let odd = field("20-odd.heic");
    let facts = probe_bytes(&odd, Depth::Whole).unwrap();
    assert_eq!((facts.width, facts.height), (301, 201));
    let at = |kind: &[u8]| odd.windows(4).position(|bytes| bytes == kind).unwrap();
    // Only the properties of the picture itself count: here it has only its size.
    let mut other = odd.clone();
    let table = at(b"ipma");
    other[table + 14] = 1;
    let size = other[table + 15..]
        .iter()
        .position(|property| property & 0x7f == 3)
        .unwrap();
    other[table + 15] = other[table + 15 + size];
    let facts = probe_bytes(&other, Depth::Facts).unwrap();
    assert_eq!((facts.width, facts.height), (302, 202));
    // A crop that is larger than the picture, or divides by zero.
    for (offset, value) in [(4, 0xffff), (8, 0)] {
        let mut broken = odd.clone();
        let from = at(b"clap") + offset;
        broken[from..from + 4].copy_from_slice(&u32::to_be_bytes(value));
        let facts = probe_bytes(&broken, Depth::Facts).unwrap();
        assert_eq!((facts.width, facts.height), (302, 202));
    }
}

#[test]
fn an_animated_webp_is_a_moving_picture() {
    let facts = probe_bytes(&field("10-anim.webp"), Depth::Whole).unwrap();
    assert!(
        facts.is_moving_picture() && facts.has_picture(),
        "{facts:?}"
    );
    assert_eq!(facts.duration, Micros(600_000));
}

#[tokio::test]
async fn formats_read_by_ffprobe_keep_their_own_format_name() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sound = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=2";
    let video = "-f lavfi -i testsrc=size=720x576:rate=25:duration=2";
    for (ending, words) in [
        ("au", format!("{sound} -c:a pcm_s16be")),
        ("wv", format!("{sound} -c:a wavpack")),
        ("ac3", format!("{sound} -c:a ac3 -b:a 192k")),
        ("eac3", format!("{sound} -c:a eac3 -b:a 192k")),
        ("dts", format!("{sound} -c:a dca -strict -2 -ac 2")),
        ("w64", format!("{sound} -c:a pcm_s16le")),
        ("caf", format!("{sound} -c:a pcm_s16le")),
        ("aiff", format!("{sound} -c:a pcm_s16be")),
        ("wma", format!("{sound} -c:a wmav2 -f asf")),
        ("rm", format!("{video} -s 352x288 -c:v rv10 -an")),
        ("mxf", format!("{video} -c:v mpeg2video -an")),
        ("nut", format!("{video} {sound} -c:v mpeg4 -c:a pcm_s16le")),
        (
            "dv",
            format!("{video} {sound} -c:v dvvideo -pix_fmt yuv420p -ac 2 -f dv"),
        ),
        ("avi", format!("{video} -c:v mpeg4")),
        ("flv", format!("{video} -c:v flv1")),
        ("wmv", format!("{video} -c:v wmv2 -f asf")),
        ("ts", format!("{video} -c:v mpeg2video")),
        ("mpg", format!("{video} -c:v mpeg2video -f vob")),
        (
            "tiff",
            "-f lavfi -i testsrc=size=61x37 -frames:v 1".to_owned(),
        ),
    ] {
        let path = ffmpeg(folder.path(), &format!("{words} a.{ending}"));
        let bytes = std::fs::read(&path).unwrap();
        let facts = media().facts(path.to_str().unwrap()).await;
        let facts = facts.unwrap_or_else(|error| panic!("{ending}: {error}"));
        assert_eq!(facts.format.extension(), ending);
        let length = facts.duration.seconds();
        assert!(
            facts.is_still || (1.8..2.3).contains(&length),
            "{ending}: {facts:?}"
        );
        let to = folder.path().join("copy");
        let source = path.to_str().unwrap();
        media().fetch(source, &to, &|_, _| {}).await.expect(ending);
        // Without ffprobe, which only reads files on this disk.
        match probe_bytes(&bytes, Depth::Facts) {
            Err(fault @ ProbeError::NeedsFfprobe(_)) => {
                let error = fault.into_error("a.bin").to_string();
                assert!(error.contains("reading it requires `ffprobe`"), "{error}");
            }
            other => panic!("{ending}: {other:?}"),
        }
    }
    let amr = [
        b"#!AMR\n".to_vec(),
        [&[0x04][..], &[0; 12]].concat().repeat(100),
    ]
    .concat();
    let path = folder.path().join("a.bin");
    std::fs::write(&path, &amr).unwrap();
    let facts = media().facts(path.to_str().unwrap()).await.unwrap();
    assert_eq!(
        (facts.format, facts.duration),
        (MediaFormat::Amr, Micros(2_000_000))
    );
    for name in ["18-sound.caf", "19-clip.avi"] {
        let path = folder.path().join(name);
        std::fs::write(&path, field(name)).unwrap();
        let facts = media().facts(path.to_str().unwrap()).await.unwrap();
        assert!(name.ends_with(facts.format.extension()), "{facts:?}");
    }
}

#[tokio::test]
async fn files_have_the_same_length_over_http_as_on_disk() {
    for (name, bytes) in formats::all_files() {
        let mut tasks = JoinSet::new();
        let server = MediaServer::start(&mut tasks).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(&name);
        std::fs::write(&path, &bytes).unwrap();
        server.add("file", bytes);
        let local = media().facts(path.to_str().unwrap()).await;
        for way in ["ranges", "no-length"] {
            let remote = media().facts(&server.url(way, "file")).await;
            match (&local, remote) {
                (Ok(local), Ok(remote)) => assert_eq!(
                    (local.duration, local.audio_duration),
                    (remote.duration, remote.audio_duration),
                    "{name} {way}"
                ),
                (Err(_), Err(_)) => {}
                (local, remote) => panic!("{name} {way}: {local:?}, {remote:?}"),
            }
        }
    }
}
