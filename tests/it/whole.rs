//! `duration: whole` of pictures where sounds, whose lengths are read first, set the length of the video.

use serde_json::{Value, json};

use crate::beats::clicks;
use crate::sound::{SPOKEN, composed, voice};
use crate::support::drafts::{placed, text};
use crate::support::{Home, media, media_server};

/// A plan that is not saved.
fn plan(audio: Value, visuals: Value) -> Value {
    json!({ "audio": audio, "visuals": visuals, "save": false })
}

fn whole() -> Value {
    json!({ "image_url": media("picture.jpg"), "duration": "whole" })
}

#[test]
fn a_picture_for_the_whole_video_lasts_as_long_as_the_sounds() {
    let home = Home::embedded();
    let mut client = home.connected();
    let server = media_server();
    let talk = voice(&home, "talk.wav", &SPOKEN, 12.0);
    let talk = text(&talk);
    let over =
        json!({ "image_url": media("logo.png"), "duration": " Whole ", "track_name": "over" });
    for (audio, visuals, end) in [
        (json!([{ "audio_url": talk }]), json!([whole()]), Some(12.0)),
        (
            json!([{ "audio_url": talk }]),
            json!([whole(), over]),
            Some(12.0),
        ),
        (
            json!([{ "audio_url": talk, "loudness_lufs": -20 }]),
            json!([whole()]),
            Some(12.0),
        ),
        // As long as what is left.
        (
            json!([{ "audio_url": talk, "jump_cut": true }]),
            json!([whole(), over]),
            None,
        ),
        (
            json!([
                { "audio_url": talk, "start": 3, "end": 8, "speed": 2, "track_name": "a" },
                { "audio_url": talk, "end": 2, "at": 5, "track_name": "b" },
                { "audio_url": talk, "loop": true, "duck": true, "track_name": "c" },
            ]),
            json!([whole()]),
            Some(7.0),
        ),
        (
            json!([{ "audio_url": format!("{}/range/music.mp3", server.url) }]),
            json!([whole()]),
            Some(12.068),
        ),
    ] {
        let (document, made) = composed(&mut client, &plan(audio.clone(), visuals.clone()));
        assert_eq!(made["status"], "complete", "{made}");
        let pictures = placed(&document, "videos");
        let sounds = placed(&document, "audios");
        let last = sounds.iter().map(|(_, end, _)| *end).fold(0.0, f64::max);
        assert_eq!(Some(pictures.len()), visuals.as_array().map(Vec::len));
        for (start, until, _) in &pictures {
            let is_whole = *start == 0.0 && (until - end.unwrap_or(last)).abs() < 0.04;
            assert!(
                is_whole && (until - last).abs() < 0.04,
                "{audio} {pictures:?} {sounds:?}"
            );
        }
        assert!(end.is_some() || last < 9.0, "{sounds:?}");
    }
    // Other pictures set the length, also if they end on a beat.
    let music = clicks(&home);
    let cut = json!({ "image_url": media("picture.jpg"), "cut_on": "music", "duration": 5 });
    let audio = json!([{ "id": "music", "audio_url": text(&music) }]);
    let (document, made) = composed(&mut client, &plan(audio, json!([over, cut])));
    let pictures = placed(&document, "videos");
    assert_eq!(pictures.len(), 2, "{made}");
    assert_eq!(pictures[0], pictures[1], "{made}");
    assert!(
        (pictures[0].1 - 4.75).abs() < 0.04 || (pictures[0].1 - 5.25).abs() < 0.04,
        "{made}"
    );
}

#[test]
fn a_whole_video_without_a_length_is_an_error() {
    let home = Home::embedded();
    let mut client = home.connected();
    let server = media_server();
    let music = json!({ "id": "music", "audio_url": media("music.mp3") });
    let (mut looped, mut cut) = (music.clone(), whole());
    looped["loop"] = json!(true);
    cut["cut_on"] = json!("music");
    for (audio, visuals, expected) in [
        (
            json!([]),
            json!([whole()]),
            "no picture or sound of the plan sets the length of the whole video",
        ),
        (
            json!([looped]),
            json!([whole()]),
            "no picture or sound of the plan sets the length of the whole video",
        ),
        (
            json!([music]),
            json!([cut]),
            "shown for the whole video: leave out `cut_on`",
        ),
    ] {
        let error = client
            .call("compose_draft", json!({ "plan": plan(audio, visuals) }))
            .expect_err("an error");
        assert!(
            error.contains("visuals[0].") && error.contains(expected) && error.lines().count() == 1,
            "{error}"
        );
    }
    // Its sound turns out to be missing, or another picture turns out to be shown at the same time.
    let gone = json!([{ "audio_url": format!("{}/gone.mp3", server.url) }]);
    for (audio, visuals, expected) in [
        (
            gone,
            json!([whole()]),
            "`duration`: the length of the whole video is unknown",
        ),
        (
            json!([music]),
            json!([whole(), whole()]),
            "is occupied by visuals[0]",
        ),
    ] {
        let plan = plan(audio, visuals);
        let made = client
            .call("compose_draft", json!({ "plan": plan, "detail": "all" }))
            .map_or_else(|error| error, |made| made.to_string());
        assert!(made.contains(expected), "{made}");
    }
}
