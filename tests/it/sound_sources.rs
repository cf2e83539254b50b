//! Where sounds come from and go to: codecs that only FFmpeg decodes, videos, drafts of the app, and CapCut API servers.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::remote::reference;
use crate::rendering::has_ffmpeg;
use crate::sound::{
    SPOKEN, composed, is_near, lowered, lufs, music_of, pairs, voice, voice_like_music, volume,
    words_of,
};
use crate::support::drafts::{clips, document, document_in, edited, of_clip, saved_at, text};
use crate::support::{Asked, Home, media};

/// A sound in another format, by FFmpeg.
fn encoded(home: &Home, file: &Path, name: &str) -> PathBuf {
    let made = home.path().join(name);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .args([file, &made])
        .status();
    assert!(status.expect("ffmpeg").success(), "{name}");
    made
}

/// A video of 12 s with this sound, by FFmpeg.
pub(crate) fn filmed(home: &Home, sound: &Path) -> PathBuf {
    let made = home.path().join("filmed.mp4");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .args(["testsrc=duration=12:size=128x72:rate=30", "-i"])
        .arg(sound)
        .args(["-shortest", "-pix_fmt", "yuv420p"])
        .arg(&made)
        .status();
    assert!(status.expect("ffmpeg").success());
    made
}

/// The integrated loudness of a file as FFmpeg measures it, in LUFS.
fn loudness_by_ffmpeg(file: &Path) -> f64 {
    let ran = Command::new("ffmpeg")
        .args([
            "-nostats",
            "-i",
            text(file),
            "-af",
            "aresample=async=1:first_pts=0,ebur128",
            "-f",
            "null",
            "-",
        ])
        .output();
    let said = String::from_utf8_lossy(&ran.expect("ffmpeg").stderr).into_owned();
    let (_, last) = said.rsplit_once("I: ").expect("a loudness");
    let number = last.split_whitespace().next().expect("a number");
    number.parse().expect("LUFS")
}

/// The volume at which a sound of this loudness has another one, in LUFS.
fn volume_for(wanted: f64, loudness: f64) -> f64 {
    10f64.powf((wanted - loudness) / 20.0)
}

/// Within 0.15 dB: FFmpeg states a tenth.
fn is_volume(found: f64, expected: f64) -> bool {
    (found / expected).log10().abs() * 20.0 < 0.15
}

#[test]
fn codecs_that_only_ffmpeg_decodes_are_ducked_aligned_and_measured() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let mut client = home.connected();
    let talk = voice(&home, "talk.wav", &SPOKEN, 12.0);
    let music = voice_like_music(&home);
    for name in ["talk.ac3", "talk.wma", "talk.mka"] {
        let talk = encoded(&home, &talk, name);
        let loudness = loudness_by_ffmpeg(&talk);
        let plan = json!({
            "audio": [
                { "audio_url": text(&music), "track_name": "music", "end": 12, "duck": { "under": "voice", "by_db": -12, "fade": 0.1 } },
                { "id": "voice", "audio_url": text(&talk), "track_name": "voice", "loudness_lufs": -20 },
            ],
            "subtitles": [{ "script": "one two three four five six", "align_to": "voice" }],
            "save": false,
        });
        let (document, made) = composed(&mut client, &plan);
        let found = lowered(&music_of(&document), 0.26);
        assert!(is_near(&found, &SPOKEN, 0.06), "{name}: {found:?} {made}");
        let words: Vec<(f64, f64)> = words_of(&document)
            .into_iter()
            .flat_map(|(_, words)| words)
            .collect();
        let is_spoken = |word: &(f64, f64)| {
            let mut spans = SPOKEN.iter();
            spans.any(|span| word.0 >= span.0 - 0.06 && word.1 <= span.1 + 0.06)
        };
        assert!(
            words.len() == 6 && words.iter().all(is_spoken),
            "{name}: {words:?}"
        );
        let all = clips(&document);
        let own = all
            .iter()
            .find(|clip| {
                let materials = of_clip(&document, clip, "audios");
                materials
                    .iter()
                    .any(|material| material.to_string().contains(name))
            })
            .expect("the voice");
        assert!(
            is_volume(volume(own), volume_for(-20.0, loudness)),
            "{name}: {} {loudness} {made}",
            volume(own)
        );
    }
}

#[test]
fn a_sound_that_begins_after_its_picture_has_the_times_of_the_file() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let mut client = home.connected();
    let talk = voice(&home, "talk.wav", &SPOKEN, 12.0);
    for name in ["late.mkv", "late.mp4"] {
        let video = home.path().join(name);
        let codec = if name == "late.mkv" { "ac3" } else { "aac" };
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i"])
            .args([
                "testsrc=duration=13:size=64x64:rate=30",
                "-itsoffset",
                "0.7",
                "-i",
            ])
            .arg(&talk)
            .args(["-c:a", codec])
            .arg(&video)
            .status();
        assert!(made.expect("ffmpeg").success());
        let arguments = json!({ "source": text(&video), "what": ["speech"] });
        let found = client
            .call("analyze_audio", arguments)
            .expect("an analysis");
        let truth = SPOKEN.map(|(start, end)| (start + 0.7, end + 0.7));
        assert!(
            is_near(&pairs(&found["speech"]), &truth, 0.05),
            "{name}: {found}"
        );
    }
}

#[test]
fn music_is_lowered_where_a_video_with_a_speed_curve_speaks() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let mut client = home.connected();
    let video = filmed(&home, &voice(&home, "talk.wav", &SPOKEN, 12.0));
    let music = voice_like_music(&home);
    // From factor 1 to 3: a time of the file is shown at 6 ln(1 + 2 x), where x is its part of the file.
    let shown = |time: f64| 6.0 * (1.0 + 2.0 * time / 12.0).ln();
    let truth = SPOKEN.map(|(start, end)| (shown(start), shown(end)));
    let duck = json!({ "under": "talk", "by_db": -12, "fade": 0.1 });
    let plan = |duck: &Value| {
        json!({
            "visuals": [{ "id": "talk", "video_url": text(&video), "track_name": "talk", "speed_curve": [[0, 1], [1, 3]] }],
            "audio": [{ "audio_url": text(&music), "volume": 0.8, "track_name": "music", "duck": duck }],
            "save": false,
        })
    };
    let (of_plan, made) = composed(&mut client, &plan(&duck));
    let (_, plain) = composed(&mut client, &plan(&json!(false)));
    let draft = plain["draft_id"].as_str().expect("an id").to_owned();
    let mut operation = duck;
    operation["op"] = json!("duck");
    operation["clip"] = json!("music");
    let reply = edited(&mut client, &draft, json!([operation])).expect("edited");
    for found in [of_plan, document(&mut client, &draft)] {
        let found = lowered(&music_of(&found), 0.8 * 0.26);
        assert!(
            is_near(&found, &truth, 0.06),
            "{found:?} {truth:?} {made} {reply}"
        );
    }
}

#[test]
fn words_of_a_video_with_a_speed_curve_are_shown_when_they_are_heard() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let mut client = home.connected();
    let video = filmed(&home, &voice(&home, "talk.wav", &SPOKEN, 12.0));
    // As above.
    let shown = |time: f64| 6.0 * (1.0 + 2.0 * time / 12.0).ln();
    let words = [
        ("one", 0.5, 0.9),
        ("two", 3.1, 3.5),
        ("three", 6.25, 7.0),
        ("four", 11.1, 11.4),
    ];
    let truth = words.map(|(_, start, end)| (shown(start), shown(end)));
    let given: Vec<Value> = words
        .iter()
        .map(|(text, start, end)| json!({ "text": text, "start": start, "end": end }))
        .collect();
    let plan = json!({
        "visuals": [{ "id": "talk", "video_url": text(&video), "speed_curve": [[0, 1], [1, 3]] }],
        "subtitles": [{ "words": json!(given).to_string(), "align_to": "talk", "preset": "highlight" }],
        "save": false,
    });
    let (document, made) = composed(&mut client, &plan);
    let found: Vec<(f64, f64)> = words_of(&document)
        .into_iter()
        .flat_map(|(_, words)| words)
        .collect();
    assert!(is_near(&found, &truth, 0.012), "{found:?} {truth:?} {made}");
}

/// The volume of the only clip with a file of a kind.
fn only_volume(document: &Value, list: &str) -> f64 {
    let all = clips(document);
    let mut own = all
        .iter()
        .filter(|clip| !of_clip(document, clip, list).is_empty());
    let found = volume(own.next().expect("a clip"));
    assert!(own.next().is_none());
    found
}

#[test]
fn loudness_of_videos_and_in_drafts_of_the_app_is_set() {
    let home = Home::embedded();
    let mut client = home.connected();
    let video = media("clip.mp4");
    let loudness = lufs(&mut client, &video);
    let plan = json!({
        "name": "Loud",
        "visuals": [{ "video_url": text(&video), "loudness_lufs": -23 }],
        "save": { "draft_folder": text(&home.path().join("apps")) },
    });
    let (document, made) = composed(&mut client, &plan);
    let expected = volume_for(-23.0, loudness);
    let found = only_volume(&document, "videos");
    assert!(is_volume(found, expected), "{found} {expected} {made}");
    let folder = PathBuf::from(made["report"]["folder"].as_str().expect("a folder"));
    let saved = document_in(&folder).expect("a document");
    assert!(is_volume(only_volume(&saved, "videos"), expected));
    // Opened from the folder, where the file has a path of the app.
    let opened = client.call("open_draft", json!({ "draft": text(&folder) }));
    let draft = opened.expect("opened")["draft_id"].clone();
    let reply = edited(
        &mut client,
        &draft,
        json!([{ "op": "loudness", "clip": "c1", "loudness_lufs": -28 }]),
    )
    .expect("edited");
    let said = reply["changes"].to_string();
    assert!(said.contains("-28.0 LUFS instead of"), "{reply}");
    let saved = client.call("save_draft", json!({ "draft_id": draft }));
    let (_, saved) = saved_at(&saved.expect("saved"));
    let found = only_volume(&saved, "videos");
    let expected = volume_for(-28.0, loudness);
    assert!(is_volume(found, expected), "{found} {expected} {reply}");
}

/// Start and end of each subtitle in seconds.
fn times_of_srt(srt: &str) -> Vec<(f64, f64)> {
    let seconds = |time: &str| {
        let parts: Vec<f64> = time
            .trim()
            .replace(',', ".")
            .split(':')
            .map(|part| part.parse().expect("a number"))
            .collect();
        parts[0] * 3600.0 + parts[1] * 60.0 + parts[2]
    };
    let rows = srt.lines().filter_map(|line| line.split_once("-->"));
    rows.map(|(start, end)| (seconds(start), seconds(end)))
        .collect()
}

#[test]
fn servers_receive_scripts_as_subtitles_and_pieces_without_pauses() {
    let plan = |talk: &Path, jump_cut: bool| {
        json!({
            "audio": [{ "id": "voice", "audio_url": text(talk), "jump_cut": jump_cut }],
            "subtitles": [{ "script": ["One two.", "Three four.", "Five six seven.", "Eight."], "align_to": "voice" }],
            "save": false,
        })
    };
    for jump_cut in [false, true] {
        let server = reference(|_| None);
        let home = Home::remote(&server.url);
        let talk = voice(&home, "talk.wav", &SPOKEN, 12.0);
        let plan = plan(&talk, jump_cut);
        let mut client = home.connected();
        let made = client.call("compose_draft", json!({ "plan": plan, "detail": "all" }));
        let asked = server.asked();
        let sent = |path: &str| -> Vec<Value> {
            let sent = asked.iter().filter(|asked| asked.path == path);
            sent.map(Asked::json).collect()
        };
        // What is played: start on the timeline, and start and end in the file.
        let pieces: Vec<(f64, f64, f64)> = sent("/add_audio")
            .iter()
            .map(|body| {
                let time = |key: &str| body[key].as_f64().unwrap_or(0.0);
                let end = body["end"].as_f64().filter(|end| *end > 0.0);
                (time("target_start"), time("start"), end.unwrap_or(12.0))
            })
            .collect();
        assert_eq!(pieces.len(), if jump_cut { 4 } else { 1 }, "{made:?}");
        let subtitles = sent("/add_subtitle");
        assert_eq!(subtitles.len(), 1, "{made:?}");
        let rows = times_of_srt(subtitles[0]["srt"].as_str().expect("an SRT"));
        assert_eq!(rows.len(), 4, "{subtitles:?}");
        // Each line begins where its speech is on the timeline.
        for (row, span) in rows.iter().zip(SPOKEN) {
            let piece = pieces
                .iter()
                .find(|piece| piece.1 <= span.0 && span.0 < piece.2)
                .expect("a piece");
            let shown = piece.0 + span.0 - piece.1;
            assert!(
                (row.0 - shown).abs() < 0.1,
                "{jump_cut} {row:?} {shown} {pieces:?}"
            );
        }
    }
}
