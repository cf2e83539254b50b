//! `jump_cut` in plans and of existing clips: pauses are cut, and everything else moves along.

use std::path::Path;

use serde_json::{Value, json};

use crate::rendering::has_ffmpeg;
use crate::sound::{SPOKEN, composed, voice, wave, words_of};
use crate::sound_sources::filmed;
use crate::support::drafts::{clips, created, document, edited, placed, saved_at, script, text};
use crate::support::{Client, Home, media};

/// Checks the pieces of [`SPOKEN`] at a speed: each spoken span with what is kept around it, one after another.
fn check_pieces(pieces: &[(f64, f64, f64)], at: f64, speed: f64, keep: f64) {
    assert_eq!(pieces.len(), SPOKEN.len(), "{pieces:?}");
    let mut end_before = at;
    for (index, ((start, end, source), (spoken, until))) in pieces.iter().zip(SPOKEN).enumerate() {
        assert!((start - end_before).abs() < 0.002, "{index} {pieces:?}");
        end_before = *end;
        // At double speed, what is before the first word and after the last one is shorter than a pause.
        let is_uncut = index == 0 && spoken / speed < 0.4;
        let before = if is_uncut { spoken / speed } else { keep };
        let from = spoken - before * speed;
        assert!(
            (source - from).abs() <= 0.06 * speed + 0.02,
            "{index} {source} {from} {pieces:?}"
        );
        let rest = (12.0 - until) / speed;
        let after = if rest < 0.4 { rest } else { keep };
        let length = (until - spoken) / speed + before + after;
        assert!(
            (end - start - length).abs() <= 0.12,
            "{index} {length} {pieces:?}"
        );
        let frame = end * 30.0;
        assert!((frame - frame.round()).abs() < 0.001, "{pieces:?}");
    }
}

#[test]
fn pauses_are_cut_and_everything_moves_along() {
    let home = Home::embedded();
    let mut client = home.connected();
    let talk = voice(&home, "talk.wav", &SPOKEN, 12.0);
    let words = json!([
        { "text": "one", "start": 0.6, "end": 1.4 }, { "text": "two", "start": 3.1, "end": 3.9 },
        { "text": "three.", "start": 6.1, "end": 7.9 },
    ]);
    for speed in [1.0, 2.0] {
        // The same from a plan and as an operation.
        let plan = |jump_cut: bool| {
            json!({
                "audio": [{ "id": "talk", "audio_url": text(&talk), "track_name": "talk", "speed": speed, "jump_cut": jump_cut }],
                "visuals": [{ "image_url": media("picture.jpg"), "start": 0, "end": 12.0 / speed }],
                "texts": [
                    { "text": "A", "start": 3.2 / speed, "end": 7.0 / speed },
                    { "text": "B", "start": 11.2 / speed, "end": 11.6 / speed },
                ],
                "subtitles": [{ "words": words.to_string(), "align_to": "talk", "grouping": { "pause": 5 } }],
                "save": false,
            })
        };
        let (from_plan, made) = composed(&mut client, &plan(true));
        assert!(made.to_string().contains("pauses are cut"), "{made}");
        let (_, before) = composed(&mut client, &plan(false));
        let draft = before["draft_id"].as_str().expect("an id").to_owned();
        let reply = edited(
            &mut client,
            &draft,
            json!([{ "op": "jump_cut", "clip": "talk" }]),
        )
        .expect("edited");
        assert!(
            reply["changes"].to_string().contains("pauses are cut"),
            "{reply}"
        );
        let edited_draft = document(&mut client, &draft);
        for found in [&from_plan, &edited_draft] {
            let pieces = placed(found, "audios");
            check_pieces(&pieces, 0.0, speed, 0.1);
            let end = pieces.last().expect("pieces").1;
            // What spoke at a time is still there at that time.
            let now = |time: f64| {
                let index = SPOKEN
                    .iter()
                    .position(|span| (span.0..span.1).contains(&time))
                    .expect("speech");
                let (start, _, source) = pieces[index];
                start + (time - source) / speed
            };
            let near = |found: f64, time: f64| (found - now(time)).abs() < 0.05;
            let texts: Vec<(f64, f64, f64)> = placed(found, "texts");
            let has = |from: f64, to: Option<f64>| {
                texts
                    .iter()
                    .any(|(start, end, _)| near(*start, from) && to.is_none_or(|to| near(*end, to)))
            };
            assert!(
                has(3.2, Some(7.0)) && has(11.2, None),
                "{speed} {texts:?} {pieces:?}"
            );
            let spoken: Vec<(f64, f64)> = words_of(found)
                .into_iter()
                .flat_map(|(_, words)| words)
                .collect();
            assert_eq!(spoken.len(), 3, "{spoken:?}");
            for (word, (from, to)) in spoken.iter().zip([(0.6, 1.4), (3.1, 3.9), (6.1, 7.9)]) {
                assert!(
                    near(word.0, from) && near(word.1, to),
                    "{speed} {spoken:?} {pieces:?}"
                );
            }
            let picture = placed(found, "videos");
            assert!((picture[0].1 - end).abs() < 0.05, "{picture:?} {end}");
        }
        // One step, which can be undone.
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
        assert_eq!(placed(&document(&mut client, &draft), "audios").len(), 1);
    }
}

#[test]
fn no_flash_is_left_between_pauses_or_at_the_end_of_a_file() {
    let home = Home::embedded();
    let mut client = home.connected();
    // A short word alone, and a pause to the end of a file that ends within a frame.
    let spoken = [(0.0, 1.0), (3.0, 3.12), (5.0, 6.0)];
    for (index, seconds) in [8.0, 8.004, 8.013, 8.021, 8.0332].into_iter().enumerate() {
        let talk = voice(&home, &format!("talk {index}.wav"), &spoken, seconds);
        let plan = |jump_cut: Value| {
            json!({
                "audio": [
                    { "id": "talk", "audio_url": text(&talk), "track_name": "talk", "jump_cut": jump_cut },
                    { "audio_url": text(&talk), "track_name": "talk", "start": 0, "end": 1 },
                ],
                "visuals": [{ "image_url": media("picture.jpg"), "start": 0, "end": 2 }],
                "save": false,
            })
        };
        let (from_plan, made) = composed(&mut client, &plan(json!({ "keep": 0 })));
        assert!(made.to_string().contains("pauses are cut"), "{made}");
        let (_, before) = composed(&mut client, &plan(json!(false)));
        let draft = before["draft_id"].as_str().expect("an id").to_owned();
        let cut = json!([{ "op": "jump_cut", "clip": "c1", "keep": 0 }]);
        edited(&mut client, &draft, cut).expect("edited");
        for (document, is_plan) in [(from_plan, true), (document(&mut client, &draft), false)] {
            let pieces = placed(&document, "audios");
            assert_eq!(pieces.len(), 4, "{is_plan} {seconds} {pieces:?}");
            for (index, (start, end, source)) in pieces.iter().enumerate() {
                assert!(end - start >= 0.199, "{is_plan} {seconds} {pieces:?}");
                assert!(
                    index == 0 || (start - pieces[index - 1].1).abs() < 0.001,
                    "{is_plan} {seconds} {pieces:?}"
                );
                let (from, to) = *spoken.get(index).unwrap_or(&(0.0, 0.9));
                assert!(
                    *source < from + 0.04 && source + end - start > to - 0.04,
                    "{is_plan} {seconds} {pieces:?}"
                );
            }
        }
    }
}

#[test]
fn pauses_that_cannot_be_cut_are_explained() {
    let home = Home::embedded();
    let mut client = home.connected();
    let talk = voice(&home, "talk.wav", &SPOKEN, 12.0);
    let silent = wave(&home, "silent.wav", &vec![0; 32_000]);
    let draft = created(&mut client, json!({}));
    for (file, track) in [(&talk, "talk"), (&silent, "silent")] {
        let arguments = json!({ "draft_id": draft, "audio_url": text(file), "track_name": track });
        client.call("add_audio", arguments).expect("a clip");
    }
    let title = json!({ "draft_id": draft, "text": "Only here", "start": 4.5, "end": 5.5 });
    client.call("add_text", title).expect("a text");
    let reply = edited(
        &mut client,
        &draft,
        json!([{ "op": "jump_cut", "clip": "talk", "min_pause": 1.6 }]),
    )
    .expect("edited");
    assert!(
        reply["notes"].to_string().contains("stays, as")
            && reply["notes"].to_string().contains("Only here"),
        "{reply}"
    );
    assert_eq!(
        placed(&document(&mut client, &draft), "texts"),
        [(4.5, 5.5, 0.0)]
    );
    for (operation, expected) in [
        (
            json!({ "op": "jump_cut", "clip": "silent" }),
            "silent.wav is silent",
        ),
        (
            json!({ "op": "jump_cut", "clip": "talk", "min_pause": 0 }),
            "`min_pause` is 0 s; it must be from 0.1 s",
        ),
        (
            json!({ "op": "jump_cut", "clip": "talk", "keep": 9 }),
            "`keep` is 9 s",
        ),
        (
            json!({ "op": "jump_cut", "clip": "Only here" }),
            "has no sound",
        ),
    ] {
        let error = edited(&mut client, &draft, json!([operation])).expect_err("an error");
        assert!(error.contains(expected), "{error}");
    }
    for (item, expected) in [
        (
            json!({ "audio_url": text(&talk), "jump_cut": { "least": 1 } }),
            "no key `least`",
        ),
        (
            json!({ "audio_url": text(&talk), "jump_cut": 3 }),
            "is 3; it must be true",
        ),
        (
            json!({ "audio_url": text(&talk), "jump_cut": true, "loop": true }),
            "`loop` is given as well",
        ),
    ] {
        let error = client
            .call("compose_draft", json!({ "plan": { "audio": [item] } }))
            .expect_err("an error");
        assert!(
            error.contains("audio[0].jump_cut") && error.contains(expected),
            "{error}"
        );
    }
    let plan = json!({
        "audio": [{ "audio_url": text(&silent), "jump_cut": true }],
        "texts": [{ "text": "A" }], "save": false,
    });
    let (_, made) = composed(&mut client, &plan);
    assert!(
        made["report"]["items"][0]["error"]
            .to_string()
            .contains("silent.wav is silent"),
        "{made}"
    );
}

fn add_sound(client: &mut Client, draft: &str, file: &Path, track: &str, at: f64) {
    let arguments = json!({
        "draft_id": draft, "audio_url": text(file), "track_name": track, "target_start": at,
    });
    client.call("add_audio", arguments).expect("a clip");
}

#[test]
fn clips_of_one_file_are_cut_each_by_its_own_times_and_undone_to_the_same_bytes() {
    let home = Home::embedded();
    let mut client = home.connected();
    let talk = voice(&home, "talk.wav", &SPOKEN, 12.0);
    let draft = created(
        &mut client,
        json!({ "markers": [{ "at": 13, "title": "again" }] }),
    );
    for (track, at) in [("talk", 0.0), ("talk", 12.0), ("room", 0.0)] {
        add_sound(&mut client, &draft, &talk, track, at);
    }
    let volume = json!([
        { "op": "group", "clips": ["c1", "c3"] },
        { "op": "add_keyframes", "clip": "c1", "property": "volume", "points": [{ "time": 0, "value": 1 }, { "time": 12, "value": 0.1 }] },
    ]);
    edited(&mut client, &draft, volume).expect("grouped");
    let before = script(&mut client, &draft);
    let cut = |client: &mut Client, clip: Value| {
        edited(client, &draft, json!([{ "op": "jump_cut", "clip": clip }])).expect("cut");
        document(client, &draft)
    };
    // One clip, with the one that is grouped with it; the other moves.
    let one = cut(&mut client, json!("c1"));
    let all = placed(&one, "audios");
    let (grouped, rest) = all.split_at(8);
    for piece in grouped.chunks(2) {
        assert_eq!(piece[0], piece[1], "{all:?}");
    }
    let pieces: Vec<_> = grouped.iter().step_by(2).copied().collect();
    check_pieces(&pieces, 0.0, 1.0, 0.1);
    let end = pieces[3].1;
    assert!(
        matches!(rest, [(start, last, _)] if (start - end).abs() < 0.002 && (last - end - 12.0).abs() < 0.002),
        "{all:?}"
    );
    let marker = one["time_marks"]["mark_items"][0]["time_range"]["start"]
        .as_f64()
        .expect("a marker");
    assert!((marker / 1e6 - end - 1.0).abs() < 0.04, "{marker} {end}");
    // The volume falls over the whole clip, in each piece from where it was in the file.
    let falling: Vec<(f64, f64)> = clips(&one)
        .iter()
        .filter(|clip| {
            !clip["common_keyframes"]
                .as_array()
                .is_none_or(Vec::is_empty)
        })
        .map(|clip| {
            let source = clip["source_timerange"]["start"].as_f64().expect("a start") / 1e6;
            let first = &clip["common_keyframes"][0]["keyframe_list"][0]["values"][0];
            (source, first.as_f64().expect("a value"))
        })
        .collect();
    assert_eq!(falling.len(), 4, "{falling:?}");
    for (source, value) in falling {
        assert!(
            (value - (1.0 - 0.9 * source / 12.0)).abs() < 0.01,
            "{source} {value}"
        );
    }
    client
        .call("undo_draft", json!({ "draft_id": draft }))
        .expect("undone");
    assert_eq!(script(&mut client, &draft), before);
    // Both clips: each by where its own file speaks.
    let both = placed(&cut(&mut client, json!(["c1", "c2"])), "audios");
    assert_eq!(both.len(), 12, "{both:?}");
    check_pieces(&both[8..], end, 1.0, 0.1);
}

#[test]
fn a_video_in_a_draft_of_the_app_is_cut_with_its_sound() {
    if !has_ffmpeg() {
        return;
    }
    let home = Home::embedded();
    let talk = voice(&home, "talk.wav", &SPOKEN, 12.0);
    let video = filmed(&home, &talk);
    let mut client = home.connected();
    let own = created(&mut client, json!({ "name": "Talk" }));
    let arguments = json!({ "draft_id": own, "video_url": text(&video) });
    client.call("add_video", arguments).expect("a clip");
    let title = json!({ "draft_id": own, "text": "A", "start": 3.2, "end": 7 });
    client.call("add_text", title).expect("a text");
    let target = home.path().join("apps");
    let saved = client.call(
        "save_draft",
        json!({ "draft_id": own, "draft_folder": text(&target) }),
    );
    let (folder, _) = saved_at(&saved.expect("saved"));
    let opened = client.call("open_draft", json!({ "draft": text(&folder) }));
    let draft = opened.expect("opened")["draft_id"].clone();
    let before = script(&mut client, &draft);
    edited(
        &mut client,
        &draft,
        json!([{ "op": "split_audio", "clip": "c1" }, { "op": "group", "clips": ["c1", "c3"] }]),
    )
    .expect("split off");
    let split = script(&mut client, &draft);
    edited(
        &mut client,
        &draft,
        json!([{ "op": "jump_cut", "clip": "c1" }]),
    )
    .expect("cut");
    let saved = client.call("save_draft", json!({ "draft_id": draft }));
    let (_, document) = saved_at(&saved.expect("saved"));
    let picture = placed(&document, "videos");
    check_pieces(&picture, 0.0, 1.0, 0.1);
    assert_eq!(placed(&document, "audios"), picture);
    assert_eq!(
        document["duration"].as_f64().map(|end| end / 1e6),
        picture.last().map(|last| last.1)
    );
    for expected in [split, before] {
        client
            .call("undo_draft", json!({ "draft_id": draft }))
            .expect("undone");
        assert_eq!(script(&mut client, &draft), expected);
    }
}
