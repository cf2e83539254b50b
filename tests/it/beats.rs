//! Pictures and clips that end on beats of music: `cut_on` in plans, and of clips in drafts.

use std::f64::consts::PI;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::sound::{RATE, composed, wave};
use crate::support::drafts::{clips, of_clip, text};
use crate::support::{Home, media};

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

#[test]
fn uncertain_beats_and_other_ids_are_errors() {
    let home = Home::embedded();
    let mut client = home.connected();
    let mut state = 7_u32;
    let noise: Vec<i16> = (0..320_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((f64::from(state >> 16) / 65_536.0 - 0.5) * 16_000.0) as i16
        })
        .collect();
    let noise = wave(&home, "noise.wav", &noise);
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
