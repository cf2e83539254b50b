//! Plans with problems: all problems are reported before anything is made.

use serde_json::{Value, json};

use crate::plans::{compose, remote};
use crate::support::{Home, media};

/// Runs an invalid plan; stderr must contain all of these texts, and no draft may have been made.
pub(crate) fn refused(home: &Home, plan: &Value, expected: &[&str]) {
    let (code, _, stderr) = compose(home, plan, &[]);
    assert_eq!(code, 2, "{stderr}");
    for text in expected {
        assert!(stderr.contains(text), "{text} in\n{stderr}");
    }
    let drafts = home.call("list_drafts", &json!({})).expect("a list");
    assert_eq!(drafts["drafts"].as_array().map(Vec::len), Some(0));
}

#[test]
fn all_problems_of_a_plan_are_reported_before_anything_is_made() {
    let plan = json!({
        "aspect_ratio": "9x16y",
        "visuals": [
            { "image_url": media("logo.png"), "transitoin": "Dissolve" },
            { "colour": "red" },
            { "video_url": media("clip.mp4"), "speed": "fast" },
        ],
        "texts": [{ "start": 1 }, { "text": "a", "font": "Comic Sans of my own" }],
        "subtitles": [{ "srt": "1\n00:00:00,000 --> 00:00:01,000\nx\n", "align_to": "voice" }],
        "save": { "draft_profile": "capcut-amiga" },
    });
    refused(
        &Home::embedded(),
        &plan,
        &[
            "aspect_ratio",
            "visuals[0].transitoin",
            "visuals[1]",
            "visuals[2].speed",
            "texts[0].text",
            "texts[1].font: ",
            "subtitles[0].align_to",
            "save.draft_profile",
        ],
    );
}

#[test]
fn unknown_names_are_reported_with_suggestions_on_both_backends() {
    let image = "http://127.0.0.1:9/i.png";
    let plan = json!({
        "visuals": [
            { "image_url": image, "transition": "Disolve", "mask_type": "Circel", "outro_animation": "Fade_Outt" },
            { "video_url": "http://127.0.0.1:9/v.mp4", "end": 2, "transition": "Black Fade", "mask_type": "Hexagram" },
            { "image_url": image, "combo_animation": "nonsense" },
        ],
        "audio": [{ "audio_url": "http://127.0.0.1:9/a.mp3", "end": 2, "effect_type": "Big_Hous" }],
        "texts": [{
            "text": "ab", "start": 0, "end": 2, "intro_animation": "Fade In", "outro_animation": "Fade Owt",
            "text_styles": [{ "start": 0, "end": 1, "font": "Nofont" }],
        }],
        "subtitles": [{ "srt": "1\n00:00:00,000 --> 00:00:01,000\nx\n", "font": "Nofont" }],
        "effects": [{ "effect_type": "Vignete", "start": 0, "end": 2 }],
        "keyframes": [{ "property_type": "colour" }, { "track_name": "nowhere" }],
    });
    let expected = [
        "visuals[0].transition: CapCut has no transition \"Disolve\" (did you mean `Dissolve`",
        "visuals[0].mask_type: CapCut has no mask \"Circel\" (did you mean `Circle`",
        "visuals[0].outro_animation: ",
        "visuals[1].mask_type: ",
        "visuals[2].combo_animation: ",
        "audio[0].effect_type: ",
        "texts[0].outro_animation: ",
        "texts[0].text_styles[0].font: ",
        "subtitles[0].font: ",
        "effects[0].effect_type: ",
        "keyframes[0].property_type is \"colour\"",
        "keyframes[1].track_name: ",
    ];
    refused(&Home::embedded(), &plan, &expected);
    let (home, api) = remote(1);
    refused(&home, &plan, &expected);
    assert_eq!(api.drafts(), 0);
    // Valid items are not reported.
    let (_, _, stderr) = compose(&home, &plan, &[]);
    assert!(
        !stderr.contains("visuals[1].transition") && !stderr.contains("intro_animation"),
        "{stderr}"
    );
}

#[test]
fn invalid_times_and_files_are_reported_before_anything_is_made() {
    let home = Home::embedded();
    let text = home.file("notes.txt", "no picture");
    let broken = home.file("broken.srt", "1\n00:00:03,000 --> what\nx\n");
    let plan = json!({
        "visuals": [
            { "video_url": media("clip.mp4"), "start": 3, "end": 1 },
            { "image_url": media("logo.png"), "start": 4, "end": 6, "track_name": "over" },
            { "image_url": media("logo.png"), "start": 5, "end": 7, "track_name": "over" },
            { "image_url": media("logo.png"), "start": 7, "end": 8, "track_name": "over" },
            { "image_url": "/nowhere/missing.png" },
            { "image_url": text },
            { "video_url": media("logo.png") },
        ],
        "audio": [{ "audio_url": "https://[broken", "end": 3 }],
        "texts": [
            { "text": "a", "start": 6, "end": 5 },
            { "text": "b", "start": 0, "end": 2 },
            { "text": "c", "start": 1, "end": 3 },
            { "text": "d", "start": 1, "end": 3, "track_name": "over" },
        ],
        "subtitles": [{ "srt": broken }, { "srt": "/nowhere/missing.srt" }],
    });
    refused(
        &home,
        &plan,
        &[
            "visuals[0].end is 1 s, which is not after `start` (3 s)",
            "visuals[2]: 5 s to 7 s was requested, but track `over` is occupied by visuals[1] from 4 s to 6 s",
            "visuals[4].image_url: no such file: /nowhere/missing.png",
            "visuals[5].image_url: ",
            "visuals[6].video_url: ",
            "add it with `add_image`",
            "audio[0].audio_url: ",
            "texts[0].end is 5 s",
            "texts[2]: 1 s to 3 s was requested, but track `text_main` is occupied by texts[1]",
            "texts[3].track_name: track `over` already has pictures (visuals[1])",
            "subtitles[0].srt: ",
            "subtitles[1].srt: no such file",
        ],
    );
}

/// Lengths are known only after the media were inspected, which happens before anything is made.
#[test]
fn overlaps_from_media_lengths_are_reported_before_anything_is_made() {
    let plan = json!({ "visuals": [
        { "video_url": media("clip.mp4") },
        { "image_url": media("logo.png") },
        { "image_url": media("logo.png"), "start": 3.5, "end": 5 },
    ]});
    for home in [Home::embedded(), remote(1).0] {
        refused(
            &home,
            &plan,
            &[
                "visuals[2]: 3.5 s to 5 s",
                "is occupied by visuals[0] from 0 s to 4 s",
            ],
        );
    }
}
