//! Facts of media, and errors of fetching.

use std::time::Duration;

use super::*;
use crate::golden;

fn media() -> Media {
    MediaStore::new(MediaLimits::default(), None).of(&Caller::user())
}

/// Compares with the reference API's measurements, to the microsecond.
#[tokio::test]
async fn facts_agree_with_the_reference() {
    let folder = golden::media();
    let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let media = media();
    let mut compared = 0;
    for entry in manifest["files"].as_array().unwrap() {
        let name = entry["file"].as_str().unwrap();
        let path = folder.join(name);
        let facts = media.facts(path.to_str().unwrap()).await;
        let (video, image) = (&entry["as_video"], &entry["as_image"]);
        let sound = &entry["as_audio"];
        if video.is_null() && image.is_null() && sound.is_null() {
            let error = facts.expect_err(name);
            assert_eq!(error.kind, Kind::Media, "{name}: {error}");
            continue;
        }
        let facts = facts.unwrap_or_else(|error| panic!("{name}: {error}"));
        compared += 1;
        assert_eq!(facts.bytes, entry["bytes"].as_u64(), "{name}");
        let is_audio = sound["used"] == true || name == "cover.mp3";
        if is_audio {
            assert_eq!(
                facts.audio_duration,
                sound["duration_us"].as_i64().map(Micros),
                "{name}"
            );
            assert!(facts.has_audio && !facts.has_video, "{name}: {facts:?}");
            assert_eq!(facts.cover_art, entry["has_video_stream"] == true, "{name}");
            continue;
        }
        let picture = if image.is_null() { video } else { image };
        assert_eq!(
            Some(u64::from(facts.width)),
            picture["width"].as_u64(),
            "{name}"
        );
        assert_eq!(
            Some(u64::from(facts.height)),
            picture["height"].as_u64(),
            "{name}"
        );
        if !facts.is_still {
            assert_eq!(
                Some(facts.duration.0),
                video["duration_us"].as_i64(),
                "{name}"
            );
        }
        assert_eq!(
            facts.is_still,
            !image.is_null() && name != "anim.gif",
            "{name}"
        );
    }
    assert_eq!(compared, 25);
}

mod field;
mod formats;
mod kept;
mod shared;
mod web;
