//! Pictures and clips that end on beats of music: `cut_on` in plans, and of clips in drafts.

use std::f64::consts::PI;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::sound::{RATE, composed, wave};
use crate::support::drafts::{clips, created, edited, of_clip, placed, saved_at, script, text};
use crate::support::{Client, Home, media};

/// Clicks every half second from 0.25 s on, for 30 s.
pub(crate) fn clicks(home: &Home) -> PathBuf {
    let mut samples = vec![0_i16; 30 * RATE as usize];
    for click in 0..59 {
        let first = (0.25 + 0.5 * f64::from(click)) * f64::from(RATE);
        for index in 0..400 {
            let time = f64::from(index) / f64::from(RATE);
            let level = 0.8 * (-time * 200.0).exp() * (2.0 * PI * 1_500.0 * time).sin();
            samples[first as usize + index as usize] = (level * 32_767.0) as i16;
        }
    }
    wave(home, "clicks.wav", &samples)
}

#[test]
fn pictures_end_on_beats_of_trimmed_moved_and_fast_music() {
    let home = Home::embedded();
    let mut client = home.connected();
    let music = clicks(&home);
    let clip = media("clip.mp4");
    for (at, from, speed) in [(0.0, 0.0, 1.0), (0.5, 3.1, 1.0), (0.2, 4.0, 2.0)] {
        let mut wish = json!({ "beats_of": "music", "every": 2 });
        wish["offset"] = json!(1);
        let picture = json!({ "image_url": media("picture.jpg"), "cut_on": wish });
        let mut longer = picture.clone();
        longer["duration"] = json!(2.4);
        let plan = json!({
            "audio": [{ "id": "music", "audio_url": text(&music), "at": at, "source_start": from, "speed": speed }],
            "visuals": [picture, picture, longer, { "video_url": clip, "cut_on": "music" }],
            "save": false,
        });
        let (document, made) = composed(&mut client, &plan);
        let mut ends: Vec<f64> = clips(&document)
            .iter()
            .filter(|clip| !of_clip(&document, clip, "videos").is_empty())
            .map(|clip| {
                let range = &clip["target_timerange"];
                let time = |key: &str| range[key].as_f64().expect("a time") / 1e6;
                time("start") + time("duration")
            })
            .collect();
        ends.sort_by(f64::total_cmp);
        assert_eq!(ends.len(), 4, "{made}");
        let beat = 0.5 / speed;
        for (index, end) in ends.iter().enumerate() {
            // In beats of the file.
            let place = ((end - at) * speed + from - 0.25) / 0.5;
            assert!(
                (place - place.round()).abs() * beat < 0.06,
                "{ends:?} {made}"
            );
            if (1..3).contains(&index) {
                let beats = (end - ends[index - 1]) / beat;
                assert!(
                    (beats - (beats / 2.0).round() * 2.0).abs() * beat < 0.06,
                    "{ends:?}"
                );
            }
        }
        assert!((ends[1] - ends[0] - 2.0 * beat).abs() < 0.06, "{ends:?}");
        assert!((ends[2] - ends[1] - 2.4).abs() <= beat + 0.06, "{ends:?}");
        assert!((ends[3] - ends[2] - beat).abs() < 0.06, "{ends:?}");
        assert!(
            made.to_string().contains("ends on the beat of music at"),
            "{made}"
        );
    }
}

/// 20 s without a beat.
fn noise(home: &Home) -> PathBuf {
    let mut state = 7_u32;
    let noise: Vec<i16> = (0..320_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((f64::from(state >> 16) / 65_536.0 - 0.5) * 16_000.0) as i16
        })
        .collect();
    wave(home, "noise.wav", &noise)
}

#[test]
fn uncertain_beats_and_other_ids_are_errors() {
    let home = Home::embedded();
    let mut client = home.connected();
    let noise = noise(&home);
    let plan = |wish: Value| {
        json!({
            "audio": [{ "id": "music", "audio_url": text(&noise) }],
            "visuals": [{ "id": "picture", "image_url": media("picture.jpg"), "cut_on": wish }],
            "save": false,
        })
    };
    for (wish, expected) in [
        (json!("musik"), "did you mean \"music\"?"),
        (json!("picture"), "give the `id` of an item of `audio`"),
        (
            json!({ "beats_of": "music", "every": 0 }),
            "its `every` is 0",
        ),
    ] {
        let error = client
            .call("compose_draft", json!({ "plan": plan(wish) }))
            .expect_err("an error");
        assert!(
            error.contains("visuals[0].cut_on") && error.contains(expected),
            "{error}"
        );
    }
    let (_, made) = composed(&mut client, &plan(json!("music")));
    let row = made["report"]["items"][1].to_string();
    let is_named = row.contains("noise.wav are uncertain: confidence")
        || row.contains("noise.wav has no beats");
    assert!(is_named && row.contains("`duration`"), "{row}");
}

/// How the music is played: from this time on the timeline, from this time in the file, and how fast.
type PlayedMusic = (f64, f64, f64);

/// A draft with two pictures and a video, one after another, and music.
fn pictures_and_music(client: &mut Client, home: &Home, (at, from, speed): PlayedMusic) -> String {
    let draft = created(client, json!({ "name": "Beats" }));
    for (start, end) in [(0.0, 2.4), (2.4, 5.1)] {
        let picture = json!({
            "draft_id": draft, "image_url": media("picture.jpg"), "start": start, "end": end, "transition": "Dissolve",
            "track_name": "video_main",
        });
        client.call("add_image", picture).expect("a picture");
    }
    let clip = json!({
        "draft_id": draft, "video_url": media("clip.mp4"), "target_start": 5.1, "end": 1.9, "track_name": "video_main",
    });
    client.call("add_video", clip).expect("a clip");
    let music = json!({
        "draft_id": draft, "audio_url": text(&clicks(home)), "track_name": "music", "target_start": at, "start": from,
        "speed": speed,
    });
    client.call("add_audio", music).expect("music");
    draft
}

/// Checks that clips follow each other and end on beats, as many beats apart as are counted.
fn check_ends(pictures: &[(f64, f64, f64)], (at, from, speed): PlayedMusic, every: f64) {
    let beat = 0.5 / speed;
    let mut before: Option<f64> = None;
    for (index, (start, end, _)) in pictures.iter().enumerate() {
        let place = ((end - at) * speed + from - 0.25) / 0.5;
        assert!(
            (place - place.round()).abs() * beat < 0.06,
            "{index} {pictures:?}"
        );
        if let Some(before) = before {
            assert!((start - before).abs() < 0.001, "{pictures:?}");
            let beats = (end - before) / beat;
            assert!(
                (beats - (beats / every).round() * every).abs() * beat < 0.06,
                "{index} {pictures:?}"
            );
        }
        before = Some(*end);
    }
}

#[test]
fn clips_of_a_draft_end_on_beats_and_are_undone_to_the_same_bytes() {
    let home = Home::embedded();
    let mut client = home.connected();
    for (music, every) in [
        ((0.0, 0.0, 1.0), 1),
        ((0.5, 3.1, 1.0), 2),
        ((0.2, 4.0, 2.0), 4),
    ] {
        let draft = pictures_and_music(&mut client, &home, music);
        let before = script(&mut client, &draft);
        let cut = json!([{ "op": "cut_on", "clip": "video_main", "beats_of": "music", "every": every, "offset": 1 }]);
        let reply = edited(&mut client, &draft, cut).expect("edited");
        assert!(
            reply["changes"]
                .to_string()
                .contains("ends on beats: c1 at "),
            "{reply}"
        );
        let document: Value = serde_json::from_str(&script(&mut client, &draft)).expect("JSON");
        let pictures = placed(&document, "videos");
        let every = f64::from(every);
        check_ends(&pictures, music, every);
        assert_eq!(pictures.len(), 3, "{pictures:?}");
        for ((start, end, _), usual) in pictures.iter().zip([2.4, 2.7, 1.9]) {
            let most = 0.5 / music.2 * every / 2.0 + 0.06;
            assert!((end - start - usual).abs() < most, "{usual} {pictures:?}");
        }
        let transitions = document["materials"]["transitions"]
            .as_array()
            .map(Vec::len);
        assert_eq!(transitions, Some(2), "{document}");
        let undo = json!({ "draft_id": draft });
        client.call("undo_draft", undo).expect("undone");
        assert_eq!(script(&mut client, &draft), before);
    }
}

#[test]
fn clips_of_a_draft_of_the_app_end_on_beats_too() {
    let home = Home::embedded();
    let mut client = home.connected();
    let music = (0.5, 3.1, 1.0);
    let own = pictures_and_music(&mut client, &home, music);
    let target = home.path().join("apps");
    let save = json!({ "draft_id": own, "draft_folder": text(&target) });
    let (folder, _) = saved_at(&client.call("save_draft", save).expect("saved"));
    let opened = client.call("open_draft", json!({ "draft": text(&folder) }));
    let draft = opened.expect("opened")["draft_id"].clone();
    let before = script(&mut client, &draft);
    let cut = json!([{ "op": "cut_on", "clip": "images", "beats_of": "clicks.wav" }]);
    edited(&mut client, &draft, cut).expect("edited");
    let saved = client.call("save_draft", json!({ "draft_id": draft }));
    let (_, document) = saved_at(&saved.expect("saved"));
    let pictures = placed(&document, "videos");
    check_ends(&pictures[..2], music, 1.0);
    // The video follows, as it is.
    let (start, end, _) = pictures[2];
    assert!(
        (start - pictures[1].1).abs() < 0.001 && (end - start - 1.9).abs() < 0.04,
        "{pictures:?}"
    );
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(script(&mut client, &draft), before);
}

#[test]
fn clips_whose_music_has_no_certain_beats_stay() {
    let home = Home::embedded();
    let mut client = home.connected();
    let draft = pictures_and_music(&mut client, &home, (0.0, 0.0, 1.0));
    let silent = wave(&home, "silent.wav", &vec![0; 64_000]);
    for (file, track) in [(&noise(&home), "noise"), (&silent, "silent")] {
        let sound = json!({ "draft_id": draft, "audio_url": text(file), "track_name": track });
        client.call("add_audio", sound).expect("a sound");
    }
    let before = script(&mut client, &draft);
    for (beats_of, clip, expected) in [
        ("noise", "images", "noise.wav"),
        ("silent", "images", "silent.wav is silent"),
        ("c1", "images", "has no sound of a file"),
        ("musik", "images", "musik"),
        (
            "music",
            "noise",
            "is not a picture or clip on a video track",
        ),
    ] {
        let cut = json!([{ "op": "cut_on", "clip": clip, "beats_of": beats_of }]);
        let error = edited(&mut client, &draft, cut).expect_err("an error");
        assert!(
            error.contains("operations[0]") && error.contains(expected),
            "{error}"
        );
        let is_uncertain =
            error.contains("are uncertain: confidence") || error.contains("has no beats");
        assert_eq!(is_uncertain, beats_of == "noise", "{error}");
    }
    assert_eq!(script(&mut client, &draft), before);
}
